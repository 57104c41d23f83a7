#include "peer/again.h"

#include <assert.h>
#include <stdlib.h>

typedef enum {
    FREE,
    DUE,
    TRYING,
    RESTING, /* it is connected */
} state;

typedef struct {
    state state;
    tl_node_id peer;
    tl_time due;     /* DUE: when */
    unsigned failed; /* one after the other */
} place;

struct tl_again {
    tl_again_world world;
    void *user;
    place places[TL_AGAIN_PEERS];
    size_t trying;
    tl_time next_at; /* not before */
    bool could;      /* tl_again_world.may_seek said so last */
    tl_again_counters counters;
};

static place *find(const tl_again *a, const tl_node_id *peer)
{
    for (size_t i = 0; i < TL_AGAIN_PEERS; i++)
        if (a->places[i].state != FREE && tl_node_id_eq(&a->places[i].peer, peer))
            return (place *)(uintptr_t)&a->places[i];
    return NULL;
}

static void set_state(tl_again *a, place *p, state to, tl_time due)
{
    assert(to != TRYING || p->state == DUE);
    a->trying -= p->state == TRYING;
    a->trying += to == TRYING;
    p->state = to;
    p->due = due;
}

static tl_time pause_after(unsigned failed)
{
    tl_time pause = TL_AGAIN_PAUSE;
    for (unsigned i = 1; i < failed && pause < TL_AGAIN_MAX; i++)
        pause *= 2;
    return tl_time_min(pause, TL_AGAIN_MAX);
}

/* --- who --- */

/* Is `p` to go before one that is new and of this rank? */
static bool gives_way(tl_again *a, const place *p, tl_again_rank rank)
{
    tl_again_rank own = a->world.rank(a->user, &p->peer);
    return p->state == DUE && (own < rank || (own == rank && p->failed));
}

static place *make_room(tl_again *a, tl_again_rank rank)
{
    place *worst = NULL;
    for (size_t i = 0; i < TL_AGAIN_PEERS; i++) {
        place *p = &a->places[i];
        if (p->state == FREE)
            return p;
        if (!gives_way(a, p, rank))
            continue;
        if (!worst || a->world.rank(a->user, &p->peer) < a->world.rank(a->user, &worst->peer) ||
            (a->world.rank(a->user, &p->peer) == a->world.rank(a->user, &worst->peer) &&
             p->failed > worst->failed))
            worst = p;
    }
    return worst;
}

void tl_again_add(tl_again *a, const tl_node_id *peer, tl_time now)
{
    tl_again_rank rank = a->world.rank(a->user, peer);
    place *p = rank == TL_AGAIN_NEVER || find(a, peer) ? NULL : make_room(a, rank);
    if (!p)
        return;
    *p = (place){.peer = *peer};
    set_state(a, p, a->world.is_connected(a->user, peer) ? RESTING : DUE, now);
}

void tl_again_on_connected(tl_again *a, const tl_node_id *peer)
{
    place *p = find(a, peer);
    if (!p || p->state == RESTING)
        return;
    a->counters.back++;
    p->failed = 0;
    set_state(a, p, RESTING, TL_NEVER);
}

void tl_again_on_left(tl_again *a, const tl_node_id *peer, tl_time now)
{
    place *p = find(a, peer);
    if (p && p->state == RESTING)
        set_state(a, p, DUE, now + TL_AGAIN_FIRST);
}

void tl_again_on_failed(tl_again *a, const tl_node_id *peer, tl_time now)
{
    place *p = find(a, peer);
    if (!p || p->state != TRYING)
        return;
    a->counters.failed++;
    p->failed++;
    set_state(a, p, DUE, now + pause_after(p->failed));
}

void tl_again_hurry(tl_again *a, tl_time now)
{
    for (size_t i = 0; i < TL_AGAIN_PEERS; i++)
        if (a->places[i].state == DUE) {
            a->places[i].due = now;
            a->places[i].failed = 0;
        }
}

bool tl_again_seeks(const tl_again *a, const tl_node_id *peer)
{
    const place *p = find(a, peer);
    return p && p->state != RESTING;
}

/* --- when --- */

/* Members first, and of equals the one that failed least often. */
static place *next_due(tl_again *a, tl_time now)
{
    place *best = NULL;
    tl_again_rank best_rank = TL_AGAIN_NEVER;
    for (size_t i = 0; i < TL_AGAIN_PEERS; i++) {
        place *p = &a->places[i];
        if (p->state != DUE || now < p->due)
            continue;
        tl_again_rank rank = a->world.rank(a->user, &p->peer);
        if (rank == TL_AGAIN_NEVER)
            set_state(a, p, FREE, TL_NEVER);
        else if (a->world.is_connected(a->user, &p->peer))
            set_state(a, p, RESTING, TL_NEVER);
        else if (!best || rank > best_rank || (rank == best_rank && p->failed < best->failed)) {
            best = p;
            best_rank = rank;
        }
    }
    return best;
}

static void try_one(tl_again *a, place *p, tl_time now)
{
    a->counters.tried++;
    a->next_at = now + TL_AGAIN_APART;
    set_state(a, p, TRYING, TL_NEVER);
    if (!a->world.connect(a->user, &p->peer))
        tl_again_on_failed(a, &p->peer, now);
}

static tl_time first_due(const tl_again *a)
{
    tl_time at = TL_NEVER;
    for (size_t i = 0; i < TL_AGAIN_PEERS; i++)
        if (a->places[i].state == DUE)
            at = tl_time_min(at, a->places[i].due);
    return at;
}

void tl_again_on_timer(tl_again *a, tl_time now)
{
    place *p;
    if (now < tl_again_expiry(a))
        return;
    bool may = a->world.may_seek(a->user);
    if (may && !a->could)
        tl_again_hurry(a, now);
    a->could = may;
    if (may && a->world.has_room(a->user) && (p = next_due(a, now)))
        try_one(a, p, now);
    else
        a->next_at = now + TL_AGAIN_LOOK;
}

tl_time tl_again_expiry(const tl_again *a)
{
    tl_time due = a->trying < TL_AGAIN_AT_ONCE ? first_due(a) : TL_NEVER;
    if (due != TL_NEVER && !a->could) /* what it waits for may come before its pause is over */
        return a->next_at;
    return due == TL_NEVER ? TL_NEVER : tl_time_max(due, a->next_at);
}

/* --- life --- */

tl_err tl_again_new(const tl_again_world *world, void *user, tl_again **ret_again)
{
    tl_again *a = calloc(1, sizeof *a);
    if (!a)
        return TL_ERR_NOMEM;
    a->world = *world;
    a->user = user;
    *ret_again = a;
    return TL_OK;
}

void tl_again_free(tl_again *a)
{
    free(a);
}

const tl_again_counters *tl_again_counters_of(const tl_again *a)
{
    return &a->counters;
}
