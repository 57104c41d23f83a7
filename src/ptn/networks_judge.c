/* The judgements of the book. */
#include "ptn/networks_state.h"

#include <assert.h>
#include <utlist.h>

const char *tl_membership_state_name(tl_membership_state s)
{
    switch (s) {
    case TL_MEMBERSHIP_JOINING: return "joining";
    case TL_MEMBERSHIP_VALID:
    case TL_MEMBERSHIP_EARLY: return "valid";
    case TL_MEMBERSHIP_EXPIRED: return "expired";
    case TL_MEMBERSHIP_REVOKED: return "revoked";
    case TL_MEMBERSHIP_LEFT: return "left";
    case TL_MEMBERSHIP_STATES: break;
    }
    assert(!"a state of the list");
    return "";
}

const char *tl_may_words(tl_may may)
{
    switch (may) {
    case TL_MAY_OK: return "allowed";
    case TL_MAY_NOT_OURS: return "this node is not a member";
    case TL_MAY_WE_EXPIRED:
        return "the certificate of this node has expired; an admin renews it (teale ptn renew)";
    case TL_MAY_WE_REVOKED: return "this node, or the admin that signed for it, was revoked";
    case TL_MAY_WE_EARLY:
        return "the certificate of this node begins in the future; set the clock of this machine";
    case TL_MAY_WE_ROLE: return "this node is a consumer and does not serve";
    case TL_MAY_STALE:
        return "this node has seen no list of revoked nodes that is new enough; it needs an admin "
               "online, or a larger ptn.revocation_max_age_hours";
    case TL_MAY_UNKNOWN: return "the other node has shown no certificate";
    case TL_MAY_EXPIRED: return "the certificate of the other node has expired";
    case TL_MAY_REVOKED: return "the other node, or the admin that signed for it, was revoked";
    case TL_MAY_EARLY:
        return "the certificate of the other node begins in the future; one of the two clocks is "
               "wrong";
    case TL_MAY_ROLE: return "the other node is a consumer and does not serve";
    case TL_MAY_VERDICTS: break;
    }
    assert(!"a verdict of the list");
    return "";
}

tl_membership_state tl_membership_state_of(const tl_networks *b, const tl_membership *n,
                                           tl_unix now)
{
    if (n->left)
        return TL_MEMBERSHIP_LEFT;
    if (!n->certificate)
        return tl_ptn_is_revoked(n->ptn, &b->self) ? TL_MEMBERSHIP_REVOKED : TL_MEMBERSHIP_JOINING;
    switch (tl_ptn_judge(n->ptn, &n->cert, &b->self, now)) {
    case TL_PTN_OK: return TL_MEMBERSHIP_VALID;
    case TL_PTN_EXPIRED: return TL_MEMBERSHIP_EXPIRED;
    case TL_PTN_EARLY: return TL_MEMBERSHIP_EARLY;
    case TL_PTN_REVOKED: return TL_MEMBERSHIP_REVOKED;
    default: break;
    }
    assert(!"our own certificate is of this network and node");
    return TL_MEMBERSHIP_REVOKED;
}

bool tl_membership_is_disputed(const tl_membership *n)
{
    return n->heard_dispute && !tl_ptn_is_revoked(n->ptn, &n->dispute.node);
}

bool tl_networks_rests_on(const tl_membership *n, const tl_cert *cert, const tl_node_id *issuer,
                          tl_unix now)
{
    return cert->delegated && tl_node_id_eq(&cert->issuer, issuer) &&
           !tl_ptn_is_revoked(n->ptn, &cert->node) && !tl_cert_at(cert, now);
}

bool tl_membership_lost_issuer(const tl_networks *b, const tl_membership *n)
{
    return n->certificate && n->cert.delegated && tl_ptn_is_revoked(n->ptn, &n->cert.issuer) &&
           !tl_ptn_is_revoked(n->ptn, &b->self);
}

const tl_cert *tl_networks_an_admin(const tl_networks *b, const tl_membership *n, tl_unix now)
{
    const tl_kept_cert *k, *best = NULL;
    DL_FOREACH (b->seen, k) /* the one that was seen last wins */
        if (k->network == n && !k->left && tl_role_may_invite(k->cert.role) &&
            !tl_ptn_judge(n->ptn, &k->cert, &k->cert.node, now) &&
            (!best || k->of->connected >= best->of->connected))
            best = k;
    return best ? &best->cert : NULL;
}

static tl_may we_are(const tl_networks *b, const tl_membership *n, tl_unix now)
{
    if (!n)
        return TL_MAY_NOT_OURS;
    switch (tl_membership_state_of(b, n, now)) {
    case TL_MEMBERSHIP_VALID: return TL_MAY_OK;
    case TL_MEMBERSHIP_EXPIRED: return TL_MAY_WE_EXPIRED;
    case TL_MEMBERSHIP_REVOKED: return TL_MAY_WE_REVOKED;
    case TL_MEMBERSHIP_EARLY: return TL_MAY_WE_EARLY;
    default: return TL_MAY_NOT_OURS;
    }
}

static tl_may peer_is(const tl_kept_cert *k, const tl_membership *n, tl_unix now)
{
    if (!k || k->left)
        return TL_MAY_UNKNOWN;
    switch (tl_ptn_judge(n->ptn, &k->cert, &k->cert.node, now)) {
    case TL_PTN_OK: return TL_MAY_OK;
    case TL_PTN_EXPIRED: return TL_MAY_EXPIRED;
    case TL_PTN_EARLY: return TL_MAY_EARLY;
    default: return TL_MAY_REVOKED;
    }
}

bool tl_networks_is_stranger(const tl_networks *b, const tl_membership *n, const tl_node_id *peer,
                             tl_unix now)
{
    const tl_kept_cert *k = tl_kept_cert_find(b, n, peer);
    bool out = tl_ptn_is_revoked(n->ptn, peer);
    if (!b->hides)
        return (!k || k->left) && !out;
    return !k || k->left || (!k->met && (out || peer_is(k, n, now)));
}

/* A peer that is revoked is told so whether or not we have its certificate. A node that hides tells
 * nobody so who does not know already that it is a member. */
static tl_may both_are(const tl_networks *b, const tl_membership *n, const tl_node_id *peer,
                       tl_unix now, const tl_kept_cert **ret_kept)
{
    tl_may may = we_are(b, n, now);
    if (may)
        return may;
    *ret_kept = tl_kept_cert_find(b, n, peer);
    if (tl_networks_is_stranger(b, n, peer, now))
        return TL_MAY_UNKNOWN;
    return tl_ptn_is_revoked(n->ptn, peer) ? TL_MAY_REVOKED : peer_is(*ret_kept, n, now);
}

static bool is_stale(const tl_networks *b, const tl_membership *n, tl_unix now)
{
    if (!b->max_age)
        return false;
    tl_unix at = tl_ptn_listed_at(n->ptn);
    if (n->checked_at > at)
        at = n->checked_at;
    if (n->cert.issued_at > at)
        at = n->cert.issued_at;
    return now - at > b->max_age;
}

tl_may tl_networks_may_ask(const tl_networks *b, const tl_node_id *network, const tl_node_id *peer,
                           tl_unix now)
{
    const tl_membership *n = tl_networks_by_id(b, network);
    const tl_kept_cert *kept;
    tl_may may = we_are(b, n, now);
    if (may)
        return may;
    if (!tl_role_may_serve(n->cert.role))
        return TL_MAY_WE_ROLE;
    may = both_are(b, n, peer, now, &kept);
    if (!may && is_stale(b, n, now))
        return TL_MAY_STALE;
    return may;
}

tl_may tl_networks_may_serve(const tl_networks *b, const tl_node_id *network,
                             const tl_node_id *peer, tl_unix now)
{
    const tl_kept_cert *kept;
    tl_may may = both_are(b, tl_networks_by_id(b, network), peer, now, &kept);
    if (!may && !tl_role_may_serve(kept->cert.role))
        return TL_MAY_ROLE;
    return may;
}

tl_may tl_networks_are_members(const tl_networks *b, const tl_node_id *network,
                               const tl_node_id *peer, tl_unix now)
{
    const tl_kept_cert *kept;
    return both_are(b, tl_networks_by_id(b, network), peer, now, &kept);
}

bool tl_networks_is_member(const tl_networks *b, const tl_node_id *peer, tl_unix now)
{
    tl_peer_certs *p;
    HASH_FIND(hh, b->peers, peer, sizeof *peer, p);
    for (const tl_kept_cert *k = p ? p->certs : NULL; k; k = k->next_of_peer)
        if (!we_are(b, k->network, now) && !peer_is(k, k->network, now))
            return true;
    return false;
}

tl_may tl_networks_are_we(const tl_networks *b, const tl_node_id *network, tl_unix now)
{
    return we_are(b, tl_networks_by_id(b, network), now);
}
