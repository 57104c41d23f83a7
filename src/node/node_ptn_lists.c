/* The verbs of private networks that show something. */
#include "node/members_state.h"

#include "crypto/idjson.h"
#include "store/networks.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

void tl_verb_ptn_list(tl_node *n, const json_t *args, tl_call *call)
{
    (void)args;
    json_t *ptns = tl_node_ptns_json(n);
    tl_call_ok(call, ptns ? json_pack("{s:o}", "ptns", ptns) : NULL);
}

void tl_verb_ptn_show(tl_node *n, const json_t *args, tl_call *call)
{
    const tl_membership *m = tl_ptn_network(n, args, call);
    if (!m)
        return;
    json_t *ptn = tl_node_ptn_json(n, m);
    json_t *objects = json_pack("{s:O?, s:O?, s:O?}", "certificate", m->certificate, "revocations",
                                tl_ptn_list(m->ptn), "prices", tl_ptn_price_object(m->ptn));
    if (!ptn || !objects || json_object_update(ptn, objects)) {
        json_decref(ptn);
        ptn = NULL;
    }
    json_decref(objects);
    tl_call_ok(call, ptn);
}

/* --- invites --- */

static json_t *invite_json(const tl_invite_row *row)
{
    char nonce[2 * TL_INVITE_NONCE + 1];
    bool ended = row->state == TL_INVITE_OPEN && tl_loop_unix() > row->expires_at;
    tl_hex_write(nonce, row->nonce, sizeof row->nonce);
    return json_pack("{s:s, s:s, s:o, s:o, s:s, s:o}", "nonce", nonce, "role",
                     tl_role_name(row->role), "expires_at", tl_ptn_time_json(row->expires_at),
                     "for", row->bound ? tl_node_id_json(&row->bound_to) : json_null(), "state",
                     ended ? "expired" : tl_invite_state_name(row->state), "used_by",
                     row->state == TL_INVITE_USED ? tl_node_id_json(&row->used_by) : json_null());
}

/* Answers with an array, or with a failure; the call is over. */
static void finish(tl_ptn_call *c, tl_err e, json_t *answer)
{
    if (!c->call)
        json_decref(answer);
    else if (e)
        tl_ptn_refuse_here(c->node, c->call, TL_REFUSAL_STORE, "");
    else
        tl_call_ok(c->call, answer);
    tl_ptn_call_free(c);
}

static void on_invites(void *user, tl_err e, const tl_invite_row *rows, size_t count)
{
    json_t *all = e ? NULL : json_array();
    for (size_t i = 0; all && i < count; i++) {
        all = tl_json_append(all, invite_json(&rows[i]));
    }
    finish(user, e, all ? json_pack("{s:o}", "invites", all) : NULL);
}

void tl_verb_ptn_invites(tl_node *n, const json_t *args, tl_call *call)
{
    const tl_membership *m = tl_ptn_network(n, args, call);
    tl_ptn_call *c = m ? tl_ptn_call_new(n, call, NULL) : NULL;
    if (c && tl_store_list_invites(n->store, &m->id, on_invites, c))
        finish(c, TL_ERR_NOMEM, NULL);
}

/* --- members --- */

/* What the store knows of the members, in the order of their IDs, while the book's are listed. */
typedef struct {
    tl_node *node;
    const tl_membership *network;
    const tl_member_seen *rows;
    size_t n;
    json_t *all; /* NULL: out of memory */
} listing;

static int by_node(const void *a, const void *b)
{
    return tl_node_id_cmp(a, &((const tl_member_seen *)b)->node);
}

static const char *state_of(const listing *l, const tl_cert *cert)
{
    switch (tl_ptn_judge(l->network->ptn, cert, &cert->node, tl_loop_unix())) {
    case TL_PTN_REVOKED: return "revoked";
    case TL_PTN_EXPIRED: return "expired";
    default: return "valid";
    }
}

static void add(listing *l, const tl_cert *cert, const char *name, bool online, tl_unix seen)
{
    tl_unix revoked_at = tl_ptn_revoked_at(l->network->ptn, &cert->node);
    json_t *m = json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:s, s:b, s:o, s:o}", "node_id",
                          tl_node_id_json(&cert->node), "name", name, "role",
                          tl_role_name(cert->role), "issued_at", tl_ptn_time_json(cert->issued_at),
                          "expires_at", tl_ptn_time_json(cert->expires_at), "issuer",
                          tl_node_id_json(&cert->issuer), "state", state_of(l, cert), "online",
                          online, "last_seen", tl_ptn_time_json(online ? tl_loop_unix() : seen),
                          "revoked_at", tl_ptn_time_json(revoked_at));
    if (!l->all || json_array_append_new(l->all, m)) {
        json_decref(l->all);
        l->all = NULL;
    }
}

static void add_member(void *user, const tl_cert *cert)
{
    listing *l = user;
    const tl_node *n = l->node;
    const tl_member_seen *seen =
        l->n ? bsearch(&cert->node, l->rows, l->n, sizeof *l->rows, by_node) : NULL;
    const tl_peer *p = tl_peer_table_find(&n->table, &cert->node);
    bool online = (p && p->listed) || tl_members_is_online(n->members, &cert->network, &cert->node);
    add(l, cert,
        p && *p->name ? p->name
        : seen        ? seen->name
                      : "",
        online, seen ? seen->last_seen : 0);
}

static void on_members(void *user, tl_err e, const tl_member_seen *rows, size_t count)
{
    tl_ptn_call *c = user;
    tl_node *n = c->node;
    const tl_membership *m = tl_networks_by_id(n->book, &c->network);
    listing l = {.node = n, .network = m, .rows = rows, .n = count, .all = json_array()};
    if (!e && m && m->certificate)
        add(&l, &m->cert, n->name, true, tl_loop_unix());
    if (!e && m)
        tl_networks_each(n->book, m, add_member, &l);
    json_t *answer =
        l.all ? json_pack("{s:o, s:o}", "ptn_id", tl_node_id_json(&c->network), "members", l.all)
              : NULL;
    finish(c, e, answer);
}

void tl_verb_ptn_members(tl_node *n, const json_t *args, tl_call *call)
{
    const tl_membership *m = tl_ptn_network(n, args, call);
    tl_ptn_call *c = m ? tl_ptn_call_new(n, call, NULL) : NULL;
    if (!c)
        return;
    c->network = m->id;
    if (tl_store_list_members(n->store, &m->id, on_members, c))
        finish(c, TL_ERR_NOMEM, NULL);
}
