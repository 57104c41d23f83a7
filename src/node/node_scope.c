/* What this node tells of its networks, and what follows when the book of networks changes. */
#include "node/accounts.h"
#include "node/lan_state.h"
#include "node/reach.h"
#include "node/state.h"

#include "peer/claims.h"

static tl_unix wall(const tl_node *n)
{
    return n->env.wall(n->env.user);
}

json_t *tl_node_ptns(tl_node *n)
{
    json_t *list =
        tl_claims_own(n->book, &n->identity.id, n->settings.ptn_hide, wall(n), &n->ptns_until);
    json_decref(n->ptns_told);
    n->ptns_told = json_incref(list);
    n->told_serving = tl_access_serves_others(&n->access);
    return list;
}

/* Tells our capabilities anew, where the book or the hour has changed them. */
static void tell_if_changed(tl_node *n)
{
    json_t *list =
        tl_claims_own(n->book, &n->identity.id, n->settings.ptn_hide, wall(n), &n->ptns_until);
    bool changed = list && (!json_equal(list, n->ptns_told) ||
                            tl_access_serves_others(&n->access) != n->told_serving);
    json_decref(list);
    if (changed)
        tl_node_tell_capabilities(n);
}

/* Are there questions that rest on a certificate? It may end while they wait or are answered. */
static bool rest_on_certificates(const tl_node *n)
{
    return tl_networks_count(n->book) &&
           (!tl_server_is_idle(n->server) || tl_router_running(n->router));
}

/* A certificate ends by the book, or by time alone: so what rests on one is looked at each second. */
void tl_node_follow_book(tl_node *n)
{
    bool changed = tl_networks_version(n->book) != n->book_seen;
    if (changed || wall(n) >= n->ptns_until)
        tell_if_changed(n);
    if (!changed && (wall(n) == n->book_looked_at || !rest_on_certificates(n)))
        return;
    n->book_looked_at = wall(n);
    n->book_seen = tl_networks_version(n->book);
    tl_server_on_book(n->server);
    if (changed)
        tl_node_sweep_deeds(n);
    if (changed)
        tl_node_again_members(n);
    if (changed)
        tl_node_lan_known_changed(n);
    if (changed)
        tl_router_on_book(n->router);
    else
        tl_router_end_lapsed(n->router);
}

void tl_node_on_listed(tl_node *n)
{
    tl_router_on_listed(n->router);
    if (n->members)
        tl_members_on_present(n->members);
}

void tl_node_go_on_with_claims(tl_node *n)
{
    if (!tl_claims_go_on(n->book, &n->table, wall(n)))
        return;
    tl_node_on_listed(n);
    tl_router_on_relay(n->router);
}

void tl_node_look_for_members(tl_node *n)
{
    if (n->settings.ptn_hide || tl_peer_table_count(&n->table) < TL_PEERS_MAX / 2)
        return;
    for (size_t i = 0; i < tl_networks_count(n->book); i++) {
        const tl_node_id *id = &tl_networks_at(n->book, i)->id;
        if (!tl_networks_are_we(n->book, id, wall(n)) &&
            tl_relays_discover_network(n->relays, id, tl_loop_now(n->loop)))
            return; /* the next look asks again */
    }
}

tl_time tl_node_scope_expiry(const tl_node *n)
{
    tl_unix left = n->ptns_until - wall(n);
    tl_time now = tl_loop_now(n->loop);
    if (rest_on_certificates(n))
        return now + TL_SEC;
    if (n->ptns_until == TL_PTN_NO_END)
        return TL_NEVER;
    /* The wall clock may be set meanwhile: it is looked at every hour. */
    left = left < 0 ? 0 : left > TL_HIDE_HOUR ? TL_HIDE_HOUR : left;
    return now + (tl_time)left * TL_SEC;
}
