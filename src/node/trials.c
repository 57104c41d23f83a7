#include "node/trials.h"

#include "node/state.h"

#include <stdlib.h>

/* They stop short of TL_PEERS_WARM_MAX: those that a person or a question wants do not close them, to be sought again. */
#define WARM_MAX (TL_PEERS_WARM_MAX - 2)

typedef struct {
    tl_peer_wish wish; /* first. Waits while `taken` */
    tl_trials *all;
    bool taken;
} trial;

struct tl_trials {
    tl_node *node;
    tl_trials_events events;
    bool beginning; /* inside tl_peers_wish */
    size_t most;
    trial at[];
};

tl_trials *tl_trials_new(tl_node *n, size_t most, const tl_trials_events *events)
{
    tl_trials *t = calloc(1, sizeof *t + most * sizeof t->at[0]);
    if (!t)
        return NULL;
    t->node = n;
    t->events = *events;
    t->most = most;
    return t;
}

void tl_trials_free(tl_trials *t)
{
    for (size_t i = 0; t && i < t->most; i++)
        if (t->at[i].taken)
            tl_peers_unwish(t->node->peers, &t->at[i].wish);
    free(t);
}

static void on_connected(tl_peer_wish *w, tl_quic_stream *s)
{
    trial *one = (trial *)w;
    tl_trials *t = one->all;
    (void)s; /* the connection is all that was wanted */
    one->taken = false;
    t->events.on_connected(t->node, &w->peer);
    tl_node_wake(t->node);
}

static void on_failed(tl_peer_wish *w, tl_err e, const char *why)
{
    trial *one = (trial *)w;
    tl_trials *t = one->all;
    (void)e, (void)why;
    one->taken = false;
    if (!t->beginning)
        t->events.on_failed(t->node, &w->peer);
    tl_node_wake(t->node);
}

bool tl_trials_begin(tl_trials *t, const tl_node_id *peer)
{
    size_t i = 0;
    while (i < t->most && t->at[i].taken)
        i++;
    if (i == t->most)
        return false;
    trial *one = &t->at[i];
    *one = (trial){.wish = {.peer = *peer,
                            .connection_only = true,
                            .on_stream = on_connected,
                            .on_failed = on_failed},
                   .all = t,
                   .taken = true};
    t->beginning = true;
    if (tl_peers_wish(t->node->peers, &one->wish))
        one->taken = false;
    t->beginning = false;
    return one->taken;
}

bool tl_trials_is_connected(void *user, const tl_node_id *peer)
{
    const tl_node *n = user;
    const tl_peer *p = tl_peer_table_find(&n->table, peer);
    tl_peer_facts facts;
    return p && tl_peers_facts(n->peers, p, &facts);
}

bool tl_trials_has_room(void *user)
{
    return tl_peers_warm(((tl_node *)user)->peers) < WARM_MAX;
}
