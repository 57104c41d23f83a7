/* Comes back to peers that this node knows, where no relay tells who is there: carries out what peer/again decides. */
#include "node/reach.h"
#include "node/state.h"
#include "node/trials.h"

#include <stddef.h>
#include <stdlib.h>

#define MEMBERS_MAX TL_AGAIN_PEERS

struct tl_node_again {
    tl_again *core;
    tl_trials *trials;
};

static tl_time now_of(const tl_node *n)
{
    return tl_loop_now(n->loop);
}

/* --- what again asks --- */

static bool may_seek(void *user)
{
    const tl_node *n = user;
    const tl_introducers *own = tl_peers_introducers(n->peers);
    tl_introducer_facts by[TL_INTRODUCERS_MAX];
    return n->stage == TL_NODE_RUNNING && !tl_node_is_aside(n) && n->network &&
           !tl_relays_is_registered(n->relays) &&
           (tl_node_dht_is_ready(n) || (own && tl_introducers_attached(own, by)));
}

/* Whoever only asks this node comes back by itself. */
static tl_again_rank rank(void *user, const tl_node_id *peer)
{
    const tl_node *n = user;
    if (tl_access_is_member(&n->access, peer))
        return TL_AGAIN_MEMBER;
    const tl_peer *p = tl_peer_table_find(&n->table, peer);
    bool dealt = p && (p->proven || p->kept) && p->n_models && !p->in_clear;
    return dealt && tl_access_may_try(&n->access, peer) && tl_access_keeps(&n->access, peer)
               ? TL_AGAIN_DEALT
               : TL_AGAIN_NEVER;
}

static bool try_to_connect(void *user, const tl_node_id *peer)
{
    return tl_trials_begin(((tl_node *)user)->comeback->trials, peer);
}

/* --- what came of it --- */

static void on_connected(tl_node *n, const tl_node_id *peer)
{
    tl_again_on_connected(n->comeback->core, peer);
}

static void on_failed(tl_node *n, const tl_node_id *peer)
{
    tl_again_on_failed(n->comeback->core, peer, now_of(n));
}

/* --- who --- */

typedef struct {
    size_t n; /* so many were seen; the last MEMBERS_MAX are kept */
    tl_node_id ids[MEMBERS_MAX];
} lately;

static void visit(void *user, const tl_cert *cert)
{
    lately *l = user;
    l->ids[l->n++ % MEMBERS_MAX] = cert->node;
}

void tl_node_again_members(tl_node *n)
{
    if (!n->comeback)
        return;
    for (size_t i = 0; i < tl_networks_count(n->book); i++) {
        lately l = {0};
        tl_networks_each(n->book, tl_networks_at(n->book, i), visit, &l);
        for (size_t k = 0; k < l.n && k < MEMBERS_MAX; k++)
            if (!tl_node_id_eq(&l.ids[k], &n->identity.id))
                tl_again_add(n->comeback->core, &l.ids[k], now_of(n));
    }
}

void tl_node_again_known(tl_node *n, const tl_node_id *peer)
{
    if (n->comeback)
        tl_again_add(n->comeback->core, peer, now_of(n));
}

void tl_node_again_hello(tl_node *n, const tl_node_id *peer)
{
    tl_peer *p = tl_peer_table_find(&n->table, peer);
    tl_peer_facts facts;
    if (!p || !n->comeback || !tl_peers_facts(n->peers, p, &facts))
        return;
    p->seen = tl_loop_unix();
    if (facts.dialled && p->n_models && tl_access_may_try(&n->access, peer))
        p->kept = true; /* a person or a question of this machine wanted it */
    tl_again_add(n->comeback->core, peer, now_of(n));
    tl_again_on_connected(n->comeback->core, peer);
}

/* Its goodbye said that it takes no questions: that is over with its process. */
void tl_node_again_left(tl_node *n, const tl_node_id *peer)
{
    tl_peer *p = tl_peer_table_find(&n->table, peer);
    if (p && !p->listed && p->n_models && !p->paused)
        p->available = true;
    if (!n->comeback)
        return;
    tl_again_on_left(n->comeback->core, peer, now_of(n));
    tl_again_add(n->comeback->core, peer, now_of(n) + TL_AGAIN_FIRST);
}

void tl_node_again_hurry(tl_node *n)
{
    if (n->comeback)
        tl_again_hurry(n->comeback->core, now_of(n));
}

/* --- life --- */

tl_err tl_node_wire_again(tl_node *n)
{
    static const tl_again_world world = {may_seek, tl_trials_has_room, rank, tl_trials_is_connected,
                                         try_to_connect};
    static const tl_trials_events trials = {on_connected, on_failed};
    n->comeback = calloc(1, sizeof *n->comeback);
    if (!n->comeback || !(n->comeback->trials = tl_trials_new(n, TL_AGAIN_AT_ONCE, &trials)))
        return TL_ERR_NOMEM;
    return tl_again_new(&world, n, &n->comeback->core);
}

void tl_node_free_again(tl_node *n)
{
    struct tl_node_again *a = n->comeback;
    n->comeback = NULL;
    if (!a)
        return;
    tl_trials_free(a->trials);
    tl_again_free(a->core);
    free(a);
}

void tl_node_again_on_timer(tl_node *n)
{
    if (n->stage == TL_NODE_RUNNING)
        tl_again_on_timer(n->comeback->core, now_of(n));
}

/* While a relay tells who is there it does nothing, and wakes nobody. */
tl_time tl_node_again_expiry(const tl_node *n)
{
    return n->stage == TL_NODE_RUNNING && !tl_relays_is_registered(n->relays)
               ? tl_again_expiry(n->comeback->core)
               : TL_NEVER;
}
