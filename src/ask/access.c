#include "ask/access.h"

static tl_unix wall(const tl_access *a)
{
    return a->env->wall(a->env->user);
}

static const tl_membership *ours(const tl_access *a, const tl_node_id *network)
{
    return a->book ? tl_networks_by_id(a->book, network) : NULL;
}

static tl_access_verdict of_network(tl_may may)
{
    return may ? (tl_access_verdict)(TL_ACCESS_NETWORK + (int)may) : TL_ACCESS_OK;
}

/* --- who may ask us --- */

static tl_access_verdict for_member(const tl_access *a, const tl_node_id *peer,
                                    const tl_node_id *network)
{
    const tl_membership *n = ours(a, network);
    if (!n || tl_networks_is_stranger(a->book, n, peer, wall(a)))
        return TL_ACCESS_UNPROVEN;
    return of_network(tl_networks_may_ask(a->book, network, peer, wall(a)));
}

tl_access_verdict tl_access_for_peer(const tl_access *a, const tl_node_id *peer,
                                     const tl_node_id *network)
{
    if (!a->sharing)
        return TL_ACCESS_NOT_SHARED;
    tl_access_verdict v = !network ? a->share_public ? TL_ACCESS_OK : TL_ACCESS_NO_MEMBER
                          : peer   ? for_member(a, peer, network)
                                   : TL_ACCESS_UNPROVEN;
    if (v)
        return v; /* a private node does not tell strangers that it is shutting down */
    return a->running ? TL_ACCESS_OK : TL_ACCESS_LEAVING;
}

tl_access_verdict tl_access_for_strangers(const tl_access *a)
{
    return tl_access_for_peer(a, NULL, NULL);
}

bool tl_access_welcomes(const tl_access *a, const tl_node_id *peer)
{
    if (tl_access_for_peer(a, peer, NULL) == TL_ACCESS_OK)
        return true;
    for (size_t i = 0; a->book && i < tl_networks_count(a->book); i++)
        if (!tl_access_for_peer(a, peer, &tl_networks_at(a->book, i)->id))
            return true;
    return false;
}

static bool is_valid(const tl_access *a, const tl_membership *n)
{
    return !tl_networks_are_we(a->book, &n->id, wall(a));
}

bool tl_access_serves(const tl_access *a, const tl_node_id *network)
{
    const tl_membership *n = ours(a, network);
    return n && is_valid(a, n) && tl_role_may_serve(n->cert.role);
}

bool tl_access_serves_others(const tl_access *a)
{
    if (!tl_access_for_strangers(a))
        return true;
    for (size_t i = 0; a->book && a->sharing && a->running && i < tl_networks_count(a->book); i++)
        if (tl_access_serves(a, &tl_networks_at(a->book, i)->id))
            return true;
    return false;
}

const char *tl_access_words(tl_access_verdict v)
{
    static const char *const by_may[TL_MAY_VERDICTS] = {
        [TL_MAY_NOT_OURS] = "this node is not in the network any more",
        [TL_MAY_WE_EXPIRED] = "this node's own certificate of the network has expired",
        [TL_MAY_WE_REVOKED] = "this node's own certificate of the network was revoked",
        [TL_MAY_WE_EARLY] = "this node's clock is behind its own certificate of the network",
        [TL_MAY_WE_ROLE] = "this node is a consumer of the network: it serves nobody there",
        [TL_MAY_STALE] = "this node's list of who was revoked is too old; an admin must be online",
        [TL_MAY_UNKNOWN] = "your node has shown no valid certificate of the network",
        [TL_MAY_EXPIRED] = "your node's certificate of the network has expired: teale ptn renew",
        [TL_MAY_REVOKED] = "your node, or the admin that signed for it, was revoked",
        [TL_MAY_EARLY] = "your node's certificate is of the future: a clock is wrong",
        [TL_MAY_ROLE] = "your node's role in the network does not suffice",
    };
    switch (v) {
    case TL_ACCESS_OK: return "";
    case TL_ACCESS_NOT_SHARED: return "this node shares no model server";
    case TL_ACCESS_LEAVING: return "this node is shutting down";
    case TL_ACCESS_NO_MEMBER:
        return "this node serves only members of its networks, for questions of these networks";
    case TL_ACCESS_ENCRYPTED: return "this node speaks only over encrypted connections";
    case TL_ACCESS_UNPROVEN: return "your node has shown no valid certificate of the network";
    default: return by_may[v - TL_ACCESS_NETWORK];
    }
}

/* --- whom we may ask --- */

tl_access_verdict tl_access_to_peer(const tl_access *a, const tl_node_id *peer,
                                    const tl_node_id *network)
{
    if (!network)
        return a->ask_any ? TL_ACCESS_OK : TL_ACCESS_NO_MEMBER;
    if (!a->book)
        return of_network(TL_MAY_NOT_OURS);
    return of_network(tl_networks_may_serve(a->book, network, peer, wall(a)));
}

bool tl_access_network_to(const tl_access *a, const tl_node_id *peer, tl_node_id *ret_network)
{
    const tl_membership *best = NULL;
    int64_t least = 0;
    for (size_t i = 0; a->book && i < tl_networks_count(a->book); i++) {
        const tl_membership *n = tl_networks_at(a->book, i);
        int64_t version, price;
        if (tl_networks_may_serve(a->book, &n->id, peer, wall(a)))
            continue;
        price = tl_ptn_price_of(n->ptn, &version);
        if (!best || price < least) {
            best = n;
            least = price;
        }
    }
    if (best)
        *ret_network = best->id;
    return best;
}

bool tl_access_may_try(const tl_access *a, const tl_node_id *peer)
{
    tl_node_id network;
    return a->ask_any || tl_access_network_to(a, peer, &network);
}

bool tl_access_asks_others(const tl_access *a)
{
    return a->ask_any || tl_access_in_network(a);
}

tl_may tl_access_in(const tl_access *a, const tl_node_id *network)
{
    return a->book ? tl_networks_are_we(a->book, network, wall(a)) : TL_MAY_NOT_OURS;
}

const char *tl_access_name_of(const tl_access *a, const tl_node_id *network)
{
    const tl_membership *n = ours(a, network);
    return n ? n->name : "";
}

/* --- both --- */

bool tl_access_is_member(const tl_access *a, const tl_node_id *peer)
{
    return a->book && tl_networks_is_member(a->book, peer, wall(a));
}

bool tl_access_is_member_of(const tl_access *a, const tl_node_id *peer, const tl_node_id *network)
{
    return a->book && tl_networks_are_members(a->book, network, peer, wall(a)) == TL_MAY_OK;
}

bool tl_access_keeps(const tl_access *a, const tl_node_id *peer)
{
    return a->ask_any || tl_access_is_member(a, peer) || tl_access_welcomes(a, peer);
}

bool tl_access_in_network(const tl_access *a)
{
    for (size_t i = 0; a->book && i < tl_networks_count(a->book); i++)
        if (is_valid(a, tl_networks_at(a->book, i)))
            return true;
    return false;
}

tl_access_verdict tl_access_for_old(const tl_access *a)
{
    return a->in_clear ? tl_access_for_strangers(a) : TL_ACCESS_ENCRYPTED;
}

tl_access_verdict tl_access_to_old(const tl_access *a, const tl_node_id *peer)
{
    if (!a->in_clear || tl_access_is_member(a, peer)) /* members speak Noise */
        return TL_ACCESS_ENCRYPTED;
    return a->ask_any ? TL_ACCESS_OK : TL_ACCESS_NO_MEMBER;
}
