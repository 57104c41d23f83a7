/* The verbs of private networks: what changes something. */
#include "node/members_state.h"

#include "crypto/idjson.h"
#include "node/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define INVITE_LIFE (24 * 3600) /* seconds, where nothing else is asked for */

/* --- calls --- */

json_t *tl_ptn_time_json(tl_unix at)
{
    return at == TL_PTN_NO_END || at == 0 ? json_null() : tl_json_time(at);
}

void tl_ptn_refuse(tl_call *call, tl_refusal r, const char *words)
{
    tl_call_fail(call, tl_refusal_code(r), "%s", *words ? words : tl_refusal_words(r));
}

void tl_ptn_refuse_here(const tl_node *n, tl_call *call, tl_refusal r, const char *words)
{
    tl_store_state store = {0};
    if (n->store)
        tl_store_state_of(n->store, &store);
    if (r == TL_REFUSAL_STORE && !*words && store.failing && store.cause[0])
        tl_call_fail(call, tl_refusal_code(r), "it could not be stored: %.*s (%.200s)",
                     (int)sizeof store.cause, store.cause, store.path);
    else
        tl_ptn_refuse(call, r, words);
}

void tl_ptn_call_free(tl_ptn_call *c)
{
    DL_DELETE(c->node->members_world->calls, c);
    tl_timer_stop(&c->timer);
    tl_buf_clear(&c->text);
    json_decref(c->fallen);
    free(c);
}

static void on_done(tl_members_op *op)
{
    tl_ptn_call *c = (tl_ptn_call *)op;
    if (c->call && op->refusal)
        tl_ptn_refuse_here(c->node, c->call, op->refusal, op->words);
    else if (c->call)
        tl_call_ok(c->call, c->result(c));
    tl_ptn_call_free(c);
}

tl_ptn_call *tl_ptn_call_new(tl_node *n, tl_call *call, json_t *(*result)(tl_ptn_call *c))
{
    tl_ptn_call *c = calloc(1, sizeof *c);
    if (!c) {
        tl_ptn_refuse(call, TL_REFUSAL_INTERNAL, "");
        return NULL;
    }
    c->op.on_done = on_done;
    c->node = n;
    c->call = call;
    c->result = result;
    DL_APPEND(n->members_world->calls, c);
    return c;
}

void tl_node_drop_ptn_calls(tl_node *n)
{
    tl_ptn_call *c, *next;
    if (!n->members_world)
        return;
    DL_FOREACH_SAFE (n->members_world->calls, c, next) {
        c->call = NULL;
        if (c->op.queued) { /* a join that waits for its inviter */
            tl_members_unwait(n->members, &c->op);
            tl_ptn_call_free(c);
        }
    }
}

static bool is_open(const tl_node *n, tl_call *call)
{
    if (!n->members)
        tl_call_fail(call, "E_UNAVAILABLE",
                     "this node runs without a database, so it is in no network; start it with a "
                     "home directory that can be written");
    return n->members != NULL;
}

void tl_node_fail_network(const tl_node *n, const char *text, tl_call *call)
{
    const tl_membership *renamed = tl_networks_once_called(n->book, tl_slice_str(text));
    if (renamed)
        tl_call_fail(call, "E_NOT_FOUND", "network \"%.64s\" is called %s here now", text,
                     renamed->name);
    else
        tl_call_fail(call, "E_NOT_FOUND",
                     "this node is in no network \"%.64s\"; \"teale ptn list\" names those it is "
                     "in",
                     text);
}

tl_membership *tl_ptn_network(tl_node *n, const json_t *args, tl_call *call)
{
    tl_membership *found[2];
    const char *text = tl_json_string(args, "net", "");
    char first[TL_NODE_ID_HEX + 1], second[TL_NODE_ID_HEX + 1];
    if (!is_open(n, call))
        return NULL;
    size_t count = tl_networks_find(n->book, tl_slice_str(text), found);
    if (count == 1 && !found[0]->left)
        return found[0];
    if (count > 1) {
        tl_node_id_write(first, &found[0]->id);
        tl_node_id_write(second, &found[1]->id);
        tl_call_fail(
            call, "E_AMBIGUOUS",
            "%.64s names several networks: %s and %s; say which by ID, or rename one: teale "
            "ptn rename %.16s NAME",
            text, first, second, second);
    } else {
        tl_node_fail_network(n, text, call);
    }
    return NULL;
}

/* A whole number in `args`; `fallback` where it is not there. False: the call has failed. */
static bool number_arg(const json_t *args, const char *key, int64_t fallback, tl_call *call,
                       int64_t *ret)
{
    const json_t *v = json_object_get(args, key);
    *ret = json_is_integer(v) ? json_integer_value(v) : fallback;
    if (!v || json_is_null(v) || (json_is_integer(v) && *ret >= 0 && *ret <= TL_PTN_TIME_MAX))
        return true;
    tl_call_fail(call, "E_INVALID", "%s is a whole number from 0 to 2^53 - 1", key);
    return false;
}

/* --- networks --- */

static tl_membership *network_of(const tl_ptn_call *c)
{
    return tl_networks_by_id(c->node->book, &c->op.network);
}

static json_t *created(tl_ptn_call *c)
{
    const tl_membership *m = network_of(c);
    return m ? json_pack("{s:o, s:s, s:s}", "ptn_id", tl_node_id_json(&m->id), "name", m->name,
                         "role", tl_role_name(m->cert.role))
             : NULL;
}

void tl_verb_ptn_create(tl_node *n, const json_t *args, tl_call *call)
{
    tl_ptn_call *c = is_open(n, call) ? tl_ptn_call_new(n, call, created) : NULL;
    if (c)
        tl_members_create(n->members, &c->op, tl_json_string(args, "name", ""),
                          tl_json_bool(args, "again", false));
}

void tl_verb_ptn_rename(tl_node *n, const json_t *args, tl_call *call)
{
    tl_membership *m = tl_ptn_network(n, args, call);
    tl_ptn_call *c = m ? tl_ptn_call_new(n, call, created) : NULL;
    if (c)
        tl_members_rename(n->members, &c->op, m, tl_json_string(args, "name", ""));
}

static json_t *left(tl_ptn_call *c)
{
    return json_pack("{s:o, s:s}", "ptn_id", tl_node_id_json(&c->op.network), "state", "left");
}

void tl_verb_ptn_leave(tl_node *n, const json_t *args, tl_call *call)
{
    tl_membership *m = tl_ptn_network(n, args, call);
    tl_ptn_call *c = m ? tl_ptn_call_new(n, call, left) : NULL;
    if (c)
        tl_members_leave(n->members, &c->op, m, tl_json_bool(args, "delete", false));
}

static json_t *price_json(const tl_membership *m)
{
    int64_t version, micro = tl_ptn_price_of(m->ptn, &version);
    const json_t *price = tl_ptn_price_object(m->ptn);
    json_t *issued = json_object_get(price, "issuedAt");
    return json_pack("{s:o, s:I, s:I, s:o, s:O?}", "ptn_id", tl_node_id_json(&m->id), "price_micro",
                     (json_int_t)micro, "version", (json_int_t)version, "issued_at",
                     tl_ptn_time_json(json_integer_value(issued)), "issuer",
                     json_object_get(price, "issuerNodeID"));
}

static json_t *priced(tl_ptn_call *c)
{
    const tl_membership *m = network_of(c);
    return m ? price_json(m) : NULL;
}

void tl_verb_ptn_price(tl_node *n, const json_t *args, tl_call *call)
{
    int64_t micro;
    tl_membership *m = tl_ptn_network(n, args, call);
    if (!m || !number_arg(args, "price_micro", -1, call, &micro))
        return;
    if (micro < 0) {
        tl_call_ok(call, price_json(m));
        return;
    }
    tl_ptn_call *c = tl_ptn_call_new(n, call, priced);
    if (c)
        tl_members_price(n->members, &c->op, m, micro);
}

/* --- invites --- */

/* Without the CA key no certificate outlives this admin's own: where that may cut the new member's
 * short. TL_PTN_NO_END: never. */
static tl_unix cut_at(const tl_membership *m, const tl_invite *i)
{
    tl_unix own = m && !m->has_ca ? m->cert.expires_at : TL_PTN_NO_END;
    bool wishes_less = i->valid_seconds && i->valid_seconds <= TL_PTN_TIME_MAX - i->expires_at &&
                       i->expires_at + i->valid_seconds <= own;
    return wishes_less ? TL_PTN_NO_END : own;
}

static json_t *invited(tl_ptn_call *c)
{
    char nonce[2 * TL_INVITE_NONCE + 1];
    const tl_invite *i = &c->invite;
    tl_hex_write(nonce, i->nonce, sizeof i->nonce);
    return json_pack("{s:s%, s:o, s:s, s:s, s:s, s:o, s:o, s:o}", "invite", tl_buf_begin(&c->text),
                     c->text.len, "ptn_id", tl_node_id_json(&i->network), "name", i->name, "role",
                     tl_role_name(i->role), "nonce", nonce, "expires_at",
                     tl_ptn_time_json(i->expires_at), "for",
                     i->bound ? tl_node_id_json(&i->node) : json_null(), "certificate_until",
                     tl_ptn_time_json(cut_at(network_of(c), i)));
}

static bool read_invite(tl_node *n, const json_t *args, tl_call *call, tl_invite *ret)
{
    int64_t life;
    tl_invite i = {0};
    const char *role = tl_json_string(args, "role", "consumer");
    const json_t *bound = json_object_get(args, "for");
    if (!tl_role_parse(role, &i.role)) {
        tl_call_fail(call, "E_INVALID", "a role is consumer, provider or admin");
        return false;
    }
    if (!number_arg(args, "expires_s", INVITE_LIFE, call, &life) ||
        !number_arg(args, "valid_s", 0, call, &i.valid_seconds))
        return false;
    i.bound = bound && !json_is_null(bound);
    if (i.bound && !tl_node_other_arg(n, args, "for", call, &i.node))
        return false;
    i.expires_at = life > TL_INVITE_LIFE_MAX ? TL_PTN_TIME_MAX : tl_loop_unix() + life;
    const tl_string_list *relays = &n->settings.wan_relay_url;
    if (relays->n && strlen(relays->item[0]) <= TL_INVITE_RELAY_MAX)
        snprintf(i.relay, sizeof i.relay, "%s", relays->item[0]);
    *ret = i;
    return true;
}

void tl_verb_ptn_invite(tl_node *n, const json_t *args, tl_call *call)
{
    tl_invite invite;
    tl_membership *m = tl_ptn_network(n, args, call);
    if (!m || !read_invite(n, args, call, &invite))
        return;
    tl_ptn_call *c = tl_ptn_call_new(n, call, invited);
    if (!c)
        return;
    c->invite = invite;
    tl_members_invite(n->members, &c->op, m, &c->invite, &c->text);
}

static bool read_nonce(const json_t *args, tl_call *call, uint8_t ret[TL_INVITE_NONCE])
{
    const char *hex = tl_json_string(args, "nonce", "");
    if (!tl_hex_parse(tl_slice_str(hex), false, ret, TL_INVITE_NONCE))
        return true;
    tl_call_fail(call, "E_INVALID", "a nonce is 32 hex digits; \"teale ptn invites\" names them");
    return false;
}

static json_t *withdrawn(tl_ptn_call *c)
{
    char nonce[2 * TL_INVITE_NONCE + 1];
    tl_hex_write(nonce, c->invite.nonce, sizeof c->invite.nonce);
    return json_pack("{s:s, s:s}", "nonce", nonce, "state", "withdrawn");
}

void tl_verb_ptn_withdraw(tl_node *n, const json_t *args, tl_call *call)
{
    uint8_t nonce[TL_INVITE_NONCE];
    tl_membership *m = tl_ptn_network(n, args, call);
    if (!m || !read_nonce(args, call, nonce))
        return;
    tl_ptn_call *c = tl_ptn_call_new(n, call, withdrawn);
    if (!c)
        return;
    memcpy(c->invite.nonce, nonce, sizeof nonce);
    tl_members_withdraw(n->members, &c->op, m, nonce);
}

/* --- joining --- */

static json_t *joined(tl_ptn_call *c)
{
    const tl_membership *m = network_of(c);
    bool taken = m && tl_networks_named(c->node->book, m->name, m);
    return m ? json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:b}", "state", "joined", "ptn_id",
                         tl_node_id_json(&m->id), "name", m->name, "role",
                         tl_role_name(m->cert.role), "admin", tl_node_id_json(&c->op.node),
                         "expires_at", tl_ptn_time_json(m->cert.expires_at), "name_taken", taken)
             : NULL;
}

/* The join goes on without its caller. */
static void give_up(tl_ptn_call *c)
{
    if (c->op.queued)
        tl_members_unwait(c->node->members, &c->op);
    tl_ptn_call_free(c);
}

static void on_dropped(void *user)
{
    tl_ptn_call *c = user;
    tl_call *call = c->call;
    if (!c->op.queued)
        return; /* it is over in a moment */
    give_up(c);
    tl_call_fail(call, "E_UNAVAILABLE", "the caller is gone");
}

static void on_waited(void *user)
{
    tl_ptn_call *c = user;
    tl_call *call = c->call;
    const tl_membership *m = network_of(c);
    const char *why = tl_members_waiting(c->node->members, &c->op.network);
    if (!c->op.queued || !call)
        return;
    json_t *state = json_pack("{s:s, s:o, s:s, s:o, s:s?}", "state", "joining", "ptn_id",
                              tl_node_id_json(&c->op.network), "name", m ? m->name : "", "admin",
                              tl_node_id_json(&c->op.node), "waiting", why && *why ? why : NULL);
    give_up(c);
    tl_call_ok(call, state);
}

void tl_verb_ptn_join(tl_node *n, const json_t *args, tl_call *call)
{
    int64_t wait;
    if (!is_open(n, call) || !number_arg(args, "wait", 0, call, &wait))
        return;
    const json_t *invite = json_object_get(args, "invite");
    if (!json_is_string(invite) || json_string_length(invite) > 2 * TL_INVITE_MAX) {
        tl_ptn_refuse(call, TL_REFUSAL_INVITE_MALFORMED, "");
        return;
    }
    tl_ptn_call *c = tl_ptn_call_new(n, call, joined);
    if (!c)
        return;
    tl_timer_init(&c->timer, n->loop, on_waited, c);
    tl_call_on_drop(call, on_dropped, c);
    if (wait)
        tl_timer_set(&c->timer,
                     tl_loop_now(n->loop) + (tl_time)(wait < 86400 ? wait : 86400) * TL_SEC);
    tl_members_join(n->members, &c->op, json_string_value(invite), tl_json_string(args, "as", ""));
}

/* --- members --- */

/* The members who go out with an admin. */
typedef struct {
    const tl_node *node;
    const tl_membership *network;
    const tl_node_id *issuer;
    json_t *all; /* NULL: out of memory */
} falling;

static void add_fallen(void *user, const tl_cert *cert)
{
    falling *f = user;
    const tl_peer *p = tl_peer_table_find(&f->node->table, &cert->node);
    if (!tl_networks_rests_on(f->network, cert, f->issuer, tl_loop_unix()))
        return;
    json_t *one =
        json_pack("{s:o, s:s, s:s, s:s, s:b}", "node_id", tl_node_id_json(&cert->node), "name",
                  p ? p->name : "", "role", tl_role_name(cert->role), "state", "valid", "met",
                  tl_networks_has_met(f->node->book, f->network, &cert->node));
    if (json_array_append_new(f->all, one)) { /* it takes `one` also where it fails */
        json_decref(f->all);
        f->all = NULL;
    }
}

static json_t *fallen_of(const tl_node *n, const tl_membership *m, const tl_node_id *admin)
{
    falling f = {n, m, admin, json_array()};
    tl_networks_each(n->book, m, add_fallen, &f);
    return f.all;
}

/* Who is kept is valid, also where this node has not come to sign for it yet; everybody else of them is
 * not. */
static void judge_fallen(const tl_ptn_call *c, const tl_membership *m)
{
    size_t i;
    json_t *one;
    tl_node_id id;
    json_array_foreach (c->fallen, i, one) {
        bool holds =
            m && !tl_node_id_parse(tl_slice_str(tl_json_string(one, "node_id", "")), &id) &&
            (!tl_networks_are_members(c->node->book, &m->id, &id, tl_loop_unix()) ||
             (c->keep && tl_json_bool(one, "met", false) && !tl_ptn_is_revoked(m->ptn, &id)));
        if (json_object_set_new(one, "state", json_string(holds ? "valid" : "revoked")))
            return;
    }
}

static json_t *revoked(tl_ptn_call *c)
{
    judge_fallen(c, network_of(c));
    bool public = c->node->access.share_public && c->node->backend;
    return json_pack("{s:o, s:o, s:I, s:o, s:I, s:O, s:b, s:I, s:b, s:b}", "ptn_id",
                     tl_node_id_json(&c->op.network), "node_id", tl_node_id_json(&c->op.node),
                     "sequence", (json_int_t)c->op.number, "revoked_at", tl_ptn_time_json(c->op.at),
                     "told", (json_int_t)c->op.told, "members", c->fallen, "serves_public", public,
                     "not_kept", (json_int_t)c->op.not_kept, "again", c->again, "never_met",
                     c->stranger);
}

static json_t *promoted(tl_ptn_call *c)
{
    return json_pack("{s:o, s:o, s:s}", "ptn_id", tl_node_id_json(&c->op.network), "node_id",
                     tl_node_id_json(&c->op.node), "role", tl_role_name(c->op.cert.role));
}

static json_t *renewed(tl_ptn_call *c)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "ptn_id", tl_node_id_json(&c->op.network), "node_id",
                     tl_node_id_json(&c->op.node), "issued_at",
                     tl_ptn_time_json(c->op.cert.issued_at), "expires_at",
                     tl_ptn_time_json(c->op.cert.expires_at));
}

void tl_verb_ptn_revoke(tl_node *n, const json_t *args, tl_call *call)
{
    tl_node_id node;
    tl_membership *m = tl_ptn_network(n, args, call);
    if (!m || !tl_node_peer_arg(n, args, "node_id", call, &node))
        return;
    json_t *fallen = fallen_of(n, m, &node);
    if (tl_json_bool(args, "dry_run", false)) { /* who would go out, for a person to confirm */
        tl_refusal r = tl_authority_may(n->book, m, tl_loop_unix());
        if (r)
            tl_ptn_refuse(call, r, "");
        else
            tl_call_ok(call, json_pack("{s:o, s:o, s:O}", "ptn_id", tl_node_id_json(&m->id),
                                       "node_id", tl_node_id_json(&node), "members", fallen));
        json_decref(fallen);
        return;
    }
    tl_ptn_call *c = tl_ptn_call_new(n, call, revoked);
    if (!c) {
        json_decref(fallen);
        return;
    }
    c->fallen = fallen;
    c->again = tl_ptn_is_revoked(m->ptn, &node);
    c->stranger = !tl_networks_issued_last(n->book, m, &node);
    c->keep = tl_json_bool(args, "keep_members", false);
    tl_members_revoke(n->members, &c->op, m, &node, c->keep);
}

void tl_verb_ptn_promote(tl_node *n, const json_t *args, tl_call *call)
{
    tl_node_id node;
    tl_membership *m = tl_ptn_network(n, args, call);
    if (!m || !tl_node_peer_arg(n, args, "node_id", call, &node))
        return;
    tl_ptn_call *c = tl_ptn_call_new(n, call, promoted);
    if (c)
        tl_members_promote(n->members, &c->op, m, &node);
}

void tl_verb_ptn_renew(tl_node *n, const json_t *args, tl_call *call)
{
    int64_t valid;
    tl_node_id node = n->identity.id;
    const json_t *whom = json_object_get(args, "node_id");
    tl_membership *m = tl_ptn_network(n, args, call);
    if (!m || !number_arg(args, "valid_s", -1, call, &valid) ||
        (whom && !json_is_null(whom) && !tl_node_peer_arg(n, args, "node_id", call, &node)))
        return;
    tl_ptn_call *c = tl_ptn_call_new(n, call, renewed);
    if (c)
        tl_members_renew(n->members, &c->op, m, &node, valid);
}
