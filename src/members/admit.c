/* What an admin answers: requests to join, to renew, and members that leave. */
#include "members/state.h"

#include "base/log.h"

#include <sodium.h>
#include <stdlib.h>

/* A request to join that waits for the store. */
typedef struct {
    tl_members_spend spend; /* first */
    tl_members *members;
    char digest[33]; /* of the request's invite */
} admitting;

void tl_join_digest(const char *text, char ret_hex[33])
{
    uint8_t hash[16];
    crypto_generichash(hash, sizeof hash, (const uint8_t *)text, strlen(text), NULL, 0);
    tl_hex_write(ret_hex, hash, sizeof hash);
}

static void refuse_join(tl_members *m, const tl_node_id *peer, const char *digest, tl_refusal r)
{
    m->counters.joins_refused++;
    tl_members_tell(m, peer, "ptnRefused",
                    json_pack("{s:s, s:s}", "invite", digest, "code", tl_refusal_code(r)));
}

/* NULL: there is no such object, which json_pack leaves out. */
static json_t *copy_or_null(const json_t *object)
{
    return object ? json_deep_copy(object) : NULL;
}

/* A new member has the lists before it acts as one. */
static void answer(tl_members *m, const admitting *a, tl_membership *n)
{
    tl_members_tell(m, &a->spend.node, "ptnJoined",
                    json_pack("{s:s, s:O, s:s, s:o*, s:o*, s:o*}", "invite", a->digest,
                              "certificate", a->spend.ret_certificate, "name", n->name,
                              "revocations", copy_or_null(tl_ptn_list(n->ptn)), "prices",
                              copy_or_null(tl_ptn_price_object(n->ptn)), "groupKey",
                              copy_or_null(tl_ptn_groupkey_object(n->ptn))));
}

static void admitted(tl_members *m, const admitting *a)
{
    tl_cert cert;
    tl_membership *n = tl_networks_by_id(m->config.book, &a->spend.network);
    if (!n || n->left || tl_cert_read(a->spend.ret_certificate, &cert)) {
        refuse_join(m, &a->spend.node, a->digest, TL_REFUSAL_INVITE_FOREIGN);
        return;
    }
    bool fresh = json_equal(a->spend.ret_certificate, a->spend.certificate);
    (void)tl_networks_keep(m->config.book, &cert); /* OLD: it was renewed since */
    m->counters.joins_admitted++;
    answer(m, a, n);
    tl_roll_tell(m, n, a->spend.ret_certificate);
    if (fresh)
        m->config.world->on_event(m->config.user, n, &a->spend.node, TL_MEMBERSHIP_JOINED);
}

static void on_spent(tl_members_stored *s, tl_err e)
{
    admitting *a = (admitting *)s;
    tl_members *m = a->members;
    m->n_admitting--;
    switch (e) {
    case TL_OK: admitted(m, a); break;
    case TL_ERR_EXISTS: refuse_join(m, &a->spend.node, a->digest, TL_REFUSAL_INVITE_USED); break;
    case TL_ERR_FORBIDDEN:
        refuse_join(m, &a->spend.node, a->digest, TL_REFUSAL_INVITE_WITHDRAWN);
        break;
    case TL_ERR_NOT_FOUND:
        refuse_join(m, &a->spend.node, a->digest,
                    a->spend.certificate ? TL_REFUSAL_INVITE_WITHDRAWN : TL_REFUSAL_INVITE_EXPIRED);
        break;
    default: refuse_join(m, &a->spend.node, a->digest, tl_refusal_of_store(e)); break;
    }
    json_decref(a->spend.certificate);
    json_decref(a->spend.ret_certificate);
    free(a);
}

/* The certificate for the node that asks. NULL: the invite has ended, and only a member that used it
 * gets its own again. */
static tl_refusal certify(tl_members *m, const tl_neighbour *nb, const json_t *payload,
                          tl_membership **ret_network, tl_invite *ret_invite,
                          json_t **ret_certificate)
{
    tl_unix now = tl_members_wall(m);
    const tl_networks *b = m->config.book;
    const tl_identity *self = m->config.identity;
    tl_refusal r = tl_authority_judge_join(b, self, &nb->id, payload, now, ret_network, ret_invite);
    tl_membership *n = *ret_network;
    *ret_certificate = NULL;
    if (!r)
        return tl_authority_certify(b, n, self, &nb->id, ret_invite->role,
                                    ret_invite->valid_seconds, now, ret_certificate);
    return r == TL_REFUSAL_INVITE_EXPIRED && tl_members_holds(m, &nb->id, n) ? TL_REFUSAL_NONE : r;
}

void tl_admit_on_join(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    tl_membership *n = NULL;
    tl_invite invite;
    char digest[33];
    json_t *certificate = NULL;
    tl_join_digest(tl_json_string(payload, "invite", ""), digest);
    tl_refusal r = TL_REFUSAL_BUSY;
    if (tl_members_may_check(m, nb, 2) && m->n_admitting < TL_MEMBERS_ADMITTING_MAX)
        r = certify(m, nb, payload, &n, &invite, &certificate);
    admitting *a = r ? NULL : calloc(1, sizeof *a);
    if (!a) {
        json_decref(certificate);
        refuse_join(m, &nb->id, digest, r ? r : TL_REFUSAL_INTERNAL);
        return;
    }
    a->members = m;
    memcpy(a->digest, digest, sizeof digest);
    a->spend = (tl_members_spend){
        .stored = {on_spent}, .network = n->id, .node = nb->id, .certificate = certificate};
    memcpy(a->spend.nonce, invite.nonce, sizeof invite.nonce);
    m->n_admitting++;
    m->config.world->spend_invite(m->config.user, &a->spend);
}

/* --- renewals --- */

static void refuse_renewal(tl_members *m, const tl_node_id *peer, const tl_membership *n,
                           tl_refusal r)
{
    tl_members_tell(
        m, peer, "ptnRefused",
        json_pack("{s:o, s:s}", "ptnID", tl_node_id_json(&n->id), "code", tl_refusal_code(r)));
}

/* A certificate that waits for the store before it is sent. */
typedef struct {
    tl_members_stored stored; /* first */
    tl_members *members;
    tl_node_id network, node;
    json_t *certificate;
} renewing;

static void on_renewed(tl_members_stored *s, tl_err e)
{
    renewing *r = (renewing *)s;
    tl_members *m = r->members;
    const tl_membership *n = tl_networks_by_id(m->config.book, &r->network);
    m->n_admitting--;
    if (n && e)
        refuse_renewal(m, &r->node, n, tl_refusal_of_store(e));
    else if (n) {
        if (tl_members_tell(m, &r->node, "ptnRenewed",
                            json_pack("{s:O}", "certificate", r->certificate)))
            m->config.world->on_event(m->config.user, n, &r->node, TL_MEMBERSHIP_RENEWED);
        tl_roll_tell(m, n, r->certificate);
    }
    json_decref(r->certificate);
    free(r);
}

tl_refusal tl_admit_sign_again(tl_members *m, tl_membership *n, const tl_cert *cert, tl_unix seen)
{
    tl_cert fresh;
    json_t *certificate;
    tl_unix now = tl_members_wall(m);
    tl_node_id node = cert->node;
    tl_refusal r =
        m->n_admitting < TL_MEMBERS_ADMITTING_MAX
            ? tl_authority_certify(m->config.book, n, m->config.identity, &node, cert->role,
                                   tl_authority_lifetime(cert), now, &certificate)
            : TL_REFUSAL_BUSY;
    if (r)
        return r;
    renewing *w = calloc(1, sizeof *w);
    if (!w || tl_cert_read(certificate, &fresh)) {
        free(w);
        json_decref(certificate);
        return TL_REFUSAL_INTERNAL;
    }
    *w = (renewing){.stored = {on_renewed},
                    .members = m,
                    .network = n->id,
                    .node = node,
                    .certificate = certificate};
    m->n_admitting++;
    (void)tl_networks_keep(m->config.book, &fresh);
    m->config.world->save_member(m->config.user, &n->id, &node, certificate, seen, &w->stored);
    return TL_REFUSAL_NONE;
}

/* Of a certificate that has ended, a person decides (`ptn renew NET NODE`). */
void tl_admit_on_renew(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    tl_membership *n = tl_members_network_of(m, payload);
    const tl_member_link *l = n ? tl_link_find(nb, &n->id) : NULL;
    if (!l || !l->heard)
        return;
    const tl_cert *cert = tl_networks_cert_of(m->config.book, n, &nb->id);
    tl_refusal r = TL_REFUSAL_BUSY;
    if (tl_ptn_is_revoked(n->ptn, &nb->id))
        r = TL_REFUSAL_REVOKED;
    else if (!cert || !tl_members_holds(m, &nb->id, n))
        r = TL_REFUSAL_DENIED;
    else if (tl_members_may_check(m, nb, 2))
        r = tl_admit_sign_again(m, n, cert, tl_members_wall(m));
    if (r)
        refuse_renewal(m, &nb->id, n, r);
}

void tl_admit_replace(tl_members *m, tl_neighbour *nb, tl_membership *n)
{
    const tl_cert *cert = tl_networks_cert_of(m->config.book, n, &nb->id);
    if (cert && tl_members_holds(m, &nb->id, n) &&
        !tl_authority_may(m->config.book, n, tl_members_wall(m)) && tl_members_may_check(m, nb, 2))
        (void)tl_admit_sign_again(m, n, cert,
                                  tl_members_wall(m)); /* NOT_CA: another admin does it */
}

/* --- leaving --- */

void tl_admit_on_leave(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    tl_membership *n = tl_members_network_of(m, payload);
    tl_member_link *l = n ? tl_link_find(nb, &n->id) : NULL;
    if (!l || !l->heard)
        return;
    *l = (tl_member_link){.network = n->id};
    tl_networks_forget(m->config.book, n, &nb->id);
    m->config.world->drop_member(m->config.user, &n->id, &nb->id,
                                 tl_networks_issued_last(m->config.book, n, &nb->id));
    m->config.world->on_event(m->config.user, n, &nb->id, TL_MEMBERSHIP_HAS_LEFT);
}
