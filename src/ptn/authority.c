#include "ptn/authority.h"

#include "ptn/state.h"

#include <assert.h>

static const struct {
    const char *code, *words;
} refusals[TL_REFUSALS] = {
    [TL_REFUSAL_NONE] = {"", "done"},
    [TL_REFUSAL_INVITE_MALFORMED] = {"E_INVITE_MALFORMED",
                                     "this is no invite; copy all of it, from teale:inv1: on"},
    [TL_REFUSAL_INVITE_ALTERED] = {"E_INVITE_ALTERED",
                                   "the invite was altered: its signature is wrong; copy it again, "
                                   "or ask for a new one"},
    [TL_REFUSAL_INVITE_EXPIRED] = {"E_INVITE_EXPIRED",
                                   "the invite has expired; ask its maker for a new one"},
    [TL_REFUSAL_INVITE_USED] = {"E_INVITE_USED",
                                "another node has used the invite; ask its maker for a new one"},
    [TL_REFUSAL_INVITE_WITHDRAWN] = {"E_INVITE_WITHDRAWN",
                                     "the invite was withdrawn; ask its maker for a new one"},
    [TL_REFUSAL_INVITE_OTHER_NODE] = {"E_INVITE_OTHER_NODE",
                                      "the invite is for another node; ask its maker for one that "
                                      "is for this node"},
    [TL_REFUSAL_INVITE_FOREIGN] = {"E_INVITE_FOREIGN",
                                   "the maker of the invite is no admin of the network; ask an "
                                   "admin for an invite"},
    [TL_REFUSAL_REVOKED] = {"E_REVOKED",
                            "the node was revoked in this network, for good; a new invite does not "
                            "help"},
    [TL_REFUSAL_NOT_ADMIN] = {"E_NOT_ADMIN",
                              "only an admin of the network may do this; ask one (teale ptn "
                              "members)"},
    [TL_REFUSAL_NOT_CA] = {"E_NOT_CA",
                           "this needs the network's CA key, which this node does not hold; do it "
                           "where the network was made, or import the key (teale ptn "
                           "import-ca-key)"},
    [TL_REFUSAL_DENIED] = {"E_DENIED",
                           "the node's certificate is not there or has expired; an admin renews it "
                           "(teale ptn renew)"},
    [TL_REFUSAL_NOT_FOUND] = {"E_NOT_FOUND", "there is none of this name or number"},
    [TL_REFUSAL_EXISTS] = {"E_EXISTS", "it is there already"},
    [TL_REFUSAL_INVALID] = {"E_INVALID", "a value is out of its range"},
    [TL_REFUSAL_AWAY] = {"E_AWAY", "nobody who could do this is online; try again later"},
    [TL_REFUSAL_BUSY] = {"E_BUSY", "too much is asked at once; try again later"},
    [TL_REFUSAL_STORE] = {"E_STORE",
                          "the node cannot store it now; teale doctor, on its machine, says why"},
    [TL_REFUSAL_INTERNAL] = {"E_INTERNAL", "the node is out of memory"},
};

const char *tl_refusal_code(tl_refusal r)
{
    assert(r < TL_REFUSALS);
    return refusals[r].code;
}

bool tl_refusal_parse(const char *code, tl_refusal *ret)
{
    for (int i = TL_REFUSAL_NONE + 1; i < TL_REFUSALS; i++) {
        if (strcmp(code, refusals[i].code) == 0) {
            *ret = (tl_refusal)i;
            return true;
        }
    }
    return false;
}

const char *tl_refusal_words(tl_refusal r)
{
    assert(r < TL_REFUSALS);
    return refusals[r].words;
}

bool tl_refusal_is_passing(tl_refusal r)
{
    return r == TL_REFUSAL_AWAY || r == TL_REFUSAL_BUSY || r == TL_REFUSAL_STORE ||
           r == TL_REFUSAL_INTERNAL;
}

static tl_refusal refusal_of(tl_err e)
{
    switch (e) {
    case TL_OK: return TL_REFUSAL_NONE;
    case TL_ERR_FORBIDDEN: return TL_REFUSAL_NOT_ADMIN;
    case TL_ERR_INVALID:
    case TL_ERR_BUSY: return TL_REFUSAL_INVALID;
    case TL_ERR_EXISTS: return TL_REFUSAL_EXISTS;
    default: return TL_REFUSAL_INTERNAL;
    }
}

/* The authority's key alone makes its holder one who decides: its own certificate may have ended. */
tl_refusal tl_authority_may(const tl_networks *b, const tl_membership *n, tl_unix now)
{
    if (n->left)
        return TL_REFUSAL_NOT_FOUND;
    if (n->has_ca)
        return TL_REFUSAL_NONE;
    switch (tl_membership_state_of(b, n, now)) {
    case TL_MEMBERSHIP_REVOKED: return TL_REFUSAL_REVOKED;
    case TL_MEMBERSHIP_EXPIRED:
    case TL_MEMBERSHIP_EARLY: return TL_REFUSAL_DENIED;
    case TL_MEMBERSHIP_VALID:
        return tl_role_may_invite(n->cert.role) ? TL_REFUSAL_NONE : TL_REFUSAL_NOT_ADMIN;
    default: return TL_REFUSAL_NOT_ADMIN;
    }
}

/* --- networks --- */

tl_err tl_authority_certify_self(const tl_identity *self, const tl_identity *ca, tl_unix now,
                                 json_t **ret_certificate)
{
    tl_cert wish = {.network = ca->id,
                    .node = self->id,
                    .issuer = self->id,
                    .role = TL_ROLE_ADMIN,
                    .issued_at = now,
                    .expires_at = TL_PTN_NO_END};
    return tl_cert_make(&wish, ca, NULL, ret_certificate);
}

tl_err tl_authority_found(const tl_identity *self, tl_rand *rand, tl_unix now, tl_identity *ret_ca,
                          json_t **ret_certificate)
{
    tl_identity ca;
    tl_err e = tl_identity_new(rand, &ca);
    if (e)
        return e;
    e = tl_authority_certify_self(self, &ca, now, ret_certificate);
    if (!e)
        *ret_ca = ca;
    tl_identity_clear(&ca);
    return e;
}

/* --- invites and joins --- */

tl_refusal tl_authority_invite(const tl_networks *b, const tl_membership *n,
                               const tl_identity *self, tl_rand *rand, tl_unix now,
                               tl_invite *invite, tl_buf *out)
{
    if (invite->role == TL_ROLE_ADMIN && !n->has_ca && !n->left)
        return TL_REFUSAL_NOT_CA; /* whatever else this node is */
    tl_refusal r = tl_authority_may(b, n, now);
    if (r)
        return r;
    if (invite->expires_at <= now || invite->expires_at > now + TL_INVITE_LIFE_MAX)
        return TL_REFUSAL_INVALID;
    if (invite->bound && tl_ptn_is_revoked(n->ptn, &invite->node))
        return TL_REFUSAL_REVOKED;
    invite->network = n->id;
    invite->inviter = self->id;
    tl_rand_bytes(rand, invite->nonce, sizeof invite->nonce);
    return refusal_of(tl_invite_write(out, invite, self));
}

/* The request, but its signature. */
static tl_err sign_join(const tl_identity *self, json_t *join)
{
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    tl_err e = tl_signer_sign(self, TL_SIGN_JOIN, join, hex);
    return e ? e : tl_field_set(join, "signature", json_string(hex));
}

tl_err tl_authority_write_join(const tl_identity *self, const char *invite, json_t **ret_join)
{
    json_t *join = json_pack("{s:s}", "invite", invite);
    tl_err e = join ? tl_field_set_id(join, "nodeID", &self->id) : TL_ERR_NOMEM;
    if (!e)
        e = sign_join(self, join);
    if (e) {
        json_decref(join);
        return e;
    }
    *ret_join = join;
    return TL_OK;
}

/* Is this a request of `peer` itself? The text of the invite is borrowed. */
static tl_refusal read_join(const json_t *join, const tl_node_id *peer, const char **ret_text)
{
    tl_fields f = tl_fields_of(join);
    tl_signer signer = {0};
    const char *text = "";
    tl_field_text(&f, "invite", TL_INVITE_MAX, &text);
    tl_field_id(&f, "nodeID", &signer.network); /* its own key signs */
    tl_field_signature(&f, &signer.signature);
    if (!tl_fields_end(&f))
        return TL_REFUSAL_INVITE_MALFORMED;
    if (!tl_node_id_eq(&signer.network, peer) ||
        tl_signer_check_object(&signer, TL_SIGN_JOIN, join, NULL))
        return TL_REFUSAL_INVITE_ALTERED;
    *ret_text = text;
    return TL_REFUSAL_NONE;
}

tl_refusal tl_authority_judge_join(const tl_networks *b, const tl_identity *self,
                                   const tl_node_id *peer, const json_t *join, tl_unix now,
                                   tl_membership **ret_network, tl_invite *ret_invite)
{
    const char *text;
    tl_invite invite;
    tl_refusal r = read_join(join, peer, &text);
    if (r)
        return r;
    tl_ptn_verdict v = tl_invite_read(tl_slice_str(text), &invite);
    if (v)
        return v == TL_PTN_NO_MEMORY   ? TL_REFUSAL_INTERNAL
               : v == TL_PTN_SIGNATURE ? TL_REFUSAL_INVITE_ALTERED
                                       : TL_REFUSAL_INVITE_MALFORMED;
    tl_membership *n = tl_networks_by_id(b, &invite.network);
    if (!n || !tl_node_id_eq(&invite.inviter, &self->id) || tl_authority_may(b, n, now))
        return TL_REFUSAL_INVITE_FOREIGN;
    if (tl_ptn_is_revoked(n->ptn, peer))
        return TL_REFUSAL_REVOKED;
    v = tl_invite_at(&invite, peer, now);
    if (v == TL_PTN_FOREIGN)
        return TL_REFUSAL_INVITE_OTHER_NODE;
    if (invite.role == TL_ROLE_ADMIN && !n->has_ca)
        return TL_REFUSAL_NOT_CA;
    *ret_network = n;
    *ret_invite = invite;
    return v == TL_PTN_EXPIRED ? TL_REFUSAL_INVITE_EXPIRED : TL_REFUSAL_NONE;
}

/* --- what is signed for others --- */

/* Where we hold the authority's key, it signs. */
static const tl_identity *signing_key(const tl_membership *n, const tl_identity *self)
{
    return n->has_ca ? &n->ca : self;
}

int64_t tl_authority_lifetime(const tl_cert *cert)
{
    return cert->expires_at == TL_PTN_NO_END ? 0 : cert->expires_at - cert->issued_at;
}

static tl_unix end_of(const tl_membership *n, int64_t lifetime, tl_unix now)
{
    tl_unix end = lifetime ? now + lifetime : TL_PTN_NO_END;
    return !n->has_ca && n->cert.expires_at < end ? n->cert.expires_at : end;
}

/* Later than the certificate that is known, whose issuer's clock may be ahead: the newer counts. */
static tl_unix issue_at(const tl_networks *b, const tl_membership *n, const tl_identity *self,
                        const tl_node_id *node, tl_unix now)
{
    tl_unix known = tl_networks_issued_last(b, n, node);
    if (n->certificate && tl_node_id_eq(&self->id, node))
        known = n->cert.issued_at;
    bool behind = known && known >= now && known - now < TL_PTN_AHEAD_MAX;
    return behind ? known + 1 : now;
}

tl_refusal tl_authority_certify(const tl_networks *b, const tl_membership *n,
                                const tl_identity *self, const tl_node_id *node, tl_role role,
                                int64_t lifetime, tl_unix now, json_t **ret_certificate)
{
    tl_refusal r = tl_authority_may(b, n, now);
    if (r)
        return r;
    if (role == TL_ROLE_ADMIN && !n->has_ca)
        return TL_REFUSAL_NOT_CA;
    if (tl_ptn_is_revoked(n->ptn, node))
        return TL_REFUSAL_REVOKED;
    now = issue_at(b, n, self, node, now);
    if (lifetime < 0 || lifetime > TL_PTN_TIME_MAX - now)
        return TL_REFUSAL_INVALID;
    tl_cert wish = {.network = n->id,
                    .node = *node,
                    .issuer = self->id,
                    .role = role,
                    .issued_at = now,
                    .expires_at = end_of(n, lifetime, now)};
    return refusal_of(tl_cert_make(&wish, signing_key(n, self), n->certificate, ret_certificate));
}

tl_refusal tl_authority_revoke(const tl_networks *b, const tl_membership *n,
                               const tl_identity *self, const tl_node_id *node, tl_unix now,
                               json_t **ret_list)
{
    tl_revocations list;
    tl_refusal r = tl_authority_may(b, n, now);
    if (r)
        return r;
    tl_err e = tl_ptn_next_list(n->ptn, node, !n->has_ca, now, &list);
    if (e == TL_ERR_BUSY && !n->has_ca)
        return TL_REFUSAL_NOT_CA;
    if (e)
        return refusal_of(e);
    list.issuer = self->id;
    e = tl_revocations_make(&list, signing_key(n, self), n->certificate, ret_list);
    tl_revocations_clear(&list);
    return refusal_of(e);
}

tl_refusal tl_authority_price(const tl_networks *b, const tl_membership *n, const tl_identity *self,
                              int64_t micro, tl_unix now, json_t **ret_price)
{
    tl_ptn_price price = {.head = {.network = n->id, .issuer = self->id, .issued_at = now},
                          .micro_per_ktoken = micro};
    tl_refusal r = tl_authority_may(b, n, now);
    if (r)
        return r;
    tl_ptn_price_of(n->ptn, &price.head.version);
    if (++price.head.version > TL_PTN_ADMIN_NUMBER_MAX && !n->has_ca)
        return TL_REFUSAL_NOT_CA;
    return refusal_of(tl_ptn_price_make(&price, signing_key(n, self), n->certificate, ret_price));
}

tl_refusal tl_authority_groupkey(const tl_networks *b, const tl_membership *n,
                                 const tl_identity *self, tl_rand *rand, tl_unix now,
                                 json_t **ret_object)
{
    tl_ptn_groupkey key = {.head = {.network = n->id,
                                    .issuer = self->id,
                                    .version = tl_ptn_groupkey_version(n->ptn) + 1,
                                    .issued_at = now}};
    tl_refusal r = tl_authority_may(b, n, now);
    if (r)
        return r;
    if (key.head.version > TL_PTN_ADMIN_NUMBER_MAX && !n->has_ca)
        return TL_REFUSAL_NOT_CA;
    tl_rand_bytes(rand, key.key, sizeof key.key);
    tl_err e = tl_ptn_groupkey_make(&key, signing_key(n, self), n->certificate, ret_object);
    sodium_memzero(&key, sizeof key);
    return refusal_of(e);
}
