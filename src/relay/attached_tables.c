/* The attached nodes. */
#include "relay/attached_state.h"

#include <stdlib.h>
#include <utlist.h>

tl_attached_node *tl_attached_node_of(const tl_attached *t, const tl_node_id *id)
{
    tl_attached_node *a;
    HASH_FIND(hh, t->nodes, id, sizeof *id, a);
    return a;
}

tl_attached_node *tl_attached_node_at(const tl_attached *t, const tl_node_id *id,
                                      const tl_addr *from)
{
    tl_attached_node *a = tl_attached_node_of(t, id);
    return a && tl_addr_eq(&a->way.remote, from) ? a : NULL;
}

/* --- places --- */

/* As many as there may be: [without a proof, with one]. */
static const size_t max_all[2] = {TL_ATTACHED_UNPROVEN_MAX, TL_ATTACHED_PROVEN_MAX};
static const size_t max_address[2] = {TL_ATTACHED_UNPROVEN_PER_SOURCE, TL_ATTACHED_PER_SOURCE};
static const size_t max_network[2] = {TL_ATTACHED_UNPROVEN_PER_NETWORK, TL_ATTACHED_PER_NETWORK};

/* `a` has one of these places already, or is NULL. */
static bool has_place(const tl_attached *t, const tl_attached_node *a, const tl_addr *at,
                      bool proven)
{
    tl_attach_place p = tl_attached_place_of(t, at);
    size_t all = proven ? t->counters.attached - t->counters.unproven : t->counters.unproven;
    bool own = a && a->proven == proven;
    return all - own < max_all[proven] &&
           (!p.address || p.address->attached[proven] - (own && a->place.address == p.address) <
                              max_address[proven]) &&
           (!p.network || p.network->attached[proven] - (own && a->place.network == p.network) <
                              max_network[proven]);
}

tl_asked tl_attached_room(const tl_attached *t, const tl_attached_node *a, const tl_addr *at,
                          bool marked, bool *ret_proven)
{
    bool proven = marked || (a && a->proven && tl_addr_eq(&a->way.remote, at));
    bool taken = proven && has_place(t, a, at, true);
    *ret_proven = taken;
    if (taken || has_place(t, a, at, false))
        return TL_ASKED_TAKEN;
    return proven ? TL_ASKED_FULL : TL_ASKED_UNPROVEN;
}

static tl_attached_node *node_new(tl_attached *t, const tl_node_id *id, tl_time now)
{
    tl_attached_node *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->id = *id;
    a->asks = tl_ratelimit_make(TL_ATTACHED_ASKS_PER_SEC, TL_ATTACHED_ASKS_BURST, now);
    for (int i = 0; i < 2; i++) {
        a->again[i] = tl_ratelimit_make(1, TL_ATTACHED_AGAIN_EVERY * TL_ATTACHED_AGAIN_BURST, now);
        a->sought[i] = tl_ratelimit_make(TL_ATTACHED_SOUGHT_PER_SEC, TL_ATTACHED_SOUGHT_BURST, now);
    }
    if (!TL_TABLE_ADD(hh, t->nodes, id, sizeof a->id, a)) {
        free(a);
        return NULL;
    }
    t->counters.attached++;
    return a;
}

static void enter(tl_attached *t, tl_attached_node *a, tl_attach_place place, bool proven)
{
    tl_attached_enter(t, place, proven);
    a->place = place;
    a->proven = proven;
    t->counters.unproven += !proven;
}

static void leave(tl_attached *t, const tl_attached_node *a, tl_time now)
{
    tl_attached_leave_place(t, a->place, a->proven, now);
    t->counters.unproven -= !a->proven;
}

tl_asked tl_attached_put(tl_attached *t, const tl_node_id *id, const tl_burst_way *way,
                         tl_attach_place place, bool proven, uint64_t timestamp, tl_time now)
{
    tl_attached_node *a = tl_attached_node_of(t, id);
    tl_asked result = a ? TL_ASKED_AGAIN : TL_ASKED_TAKEN;
    if (a) {
        DL_DELETE(t->first, a);
        leave(t, a, now);
    } else {
        a = node_new(t, id, now);
        if (!a)
            return TL_ASKED_MEMORY;
    }
    enter(t, a, place, proven);
    a->way = *way;
    a->timestamp = timestamp;
    a->until = now + TL_ATTACHED_KEPT;
    DL_APPEND(t->first, a);
    return result;
}

void tl_attached_drop(tl_attached *t, tl_attached_node *a, tl_time now)
{
    leave(t, a, now);
    DL_DELETE(t->first, a);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, t->nodes, a);
    free(a);
    t->counters.attached--;
}

/* --- time --- */

void tl_attached_sweep(tl_attached *t, tl_time now)
{
    tl_seen_nonces_sweep(&t->nonces, now);
    while (t->first && now >= t->first->until)
        tl_attached_drop(t, t->first, now);
    tl_attached_sweep_sources(t, now);
}

void tl_attached_clear(tl_attached *t)
{
    tl_seen_nonces_clear(&t->nonces);
    while (t->first)
        tl_attached_drop(t, t->first, 0);
    tl_attached_clear_sources(t);
}
