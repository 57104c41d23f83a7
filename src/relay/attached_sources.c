/* Sources, and whose signatures are checked. */
#include "relay/attached_state.h"

#include <stdlib.h>
#include <utlist.h>

tl_attach_source *tl_attached_source(const tl_attached *t, const tl_origin *key)
{
    tl_attach_source *s;
    HASH_FIND(hh, t->sources, key, sizeof *key, s);
    return s;
}

tl_attach_place tl_attached_place_of(const tl_attached *t, const tl_addr *addr)
{
    tl_origin address = tl_origin_address(addr), network = tl_origin_network(addr);
    return (tl_attach_place){tl_attached_source(t, &address), tl_attached_source(t, &network)};
}

/* Adds it to the strangers. NULL: out of memory. */
static tl_attach_source *source_new(tl_attached *t, const tl_origin *key, unsigned times,
                                    tl_time now)
{
    tl_attach_source *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->key = *key;
    s->used = now;
    for (int i = 0; i < 2; i++) {
        s->proofs[i] = tl_ratelimit_make(times * TL_ATTACHED_PROOFS_PER_SEC,
                                         times * TL_ATTACHED_PROOFS_BURST, now);
        s->intros[i] = tl_ratelimit_make(times * TL_ATTACHED_INTROS_PER_SEC,
                                         times * TL_ATTACHED_INTROS_BURST, now);
    }
    if (!TL_TABLE_ADD(hh, t->sources, key, sizeof s->key, s)) {
        free(s);
        return NULL;
    }
    DL_APPEND(t->strangers, s);
    return s;
}

static bool is_stranger(const tl_attach_source *s)
{
    return !s->attached[0] && !s->attached[1];
}

/* It is the youngest of those without attached nodes now. */
static void source_used(tl_attached *t, tl_attach_source *s, tl_time now)
{
    s->used = now;
    if (!is_stranger(s))
        return;
    DL_DELETE(t->strangers, s);
    DL_APPEND(t->strangers, s);
}

static void source_enter(tl_attached *t, tl_attach_source *s, bool proven)
{
    if (is_stranger(s))
        DL_DELETE(t->strangers, s);
    s->attached[proven]++;
}

static void source_leave(tl_attached *t, tl_attach_source *s, bool proven, tl_time now)
{
    s->attached[proven]--;
    if (!is_stranger(s))
        return;
    s->used = now;
    DL_APPEND(t->strangers, s);
}

void tl_attached_enter(tl_attached *t, tl_attach_place place, bool proven)
{
    source_enter(t, place.address, proven);
    source_enter(t, place.network, proven);
}

void tl_attached_leave_place(tl_attached *t, tl_attach_place place, bool proven, tl_time now)
{
    source_leave(t, place.address, proven, now);
    source_leave(t, place.network, proven, now);
}

/* --- budgets --- */

/* The shares of the address and of its network, and then what all have together. One who floods uses up his own
 * first. */
static bool take(const tl_attach_place *place, tl_ratelimit *all, bool proven, tl_time now)
{
    return (!place->address || tl_ratelimit_take(&place->address->proofs[proven], 1, now)) &&
           (!place->network || tl_ratelimit_take(&place->network->proofs[proven], 1, now)) &&
           tl_ratelimit_take(all, 1, now);
}

/* Who is paid for gets entries of its own, if it has none, and they have paid, too. False: out of memory. */
static bool settle(tl_attached *t, const tl_addr *from, bool proven, tl_time now,
                   tl_attach_place *place)
{
    tl_origin address = tl_origin_address(from), network = tl_origin_network(from);
    if (!place->network) {
        place->network = source_new(t, &network, TL_ATTACHED_NETWORK_TIMES, now);
        if (place->network)
            (void)tl_ratelimit_take(&place->network->proofs[proven], 1, now);
    }
    if (place->network && !place->address) {
        place->address = source_new(t, &address, 1, now);
        if (place->address)
            (void)tl_ratelimit_take(&place->address->proofs[proven], 1, now);
    }
    if (!place->network || !place->address)
        return false;
    source_used(t, place->address, now);
    source_used(t, place->network, now);
    return true;
}

tl_asked tl_attached_may_attach(tl_attached *t, tl_attached_node *a, const tl_addr *from,
                                bool marked, tl_time now, tl_attach_place *ret_place)
{
    tl_attach_place place = tl_attached_place_of(t, from);
    bool own = a && tl_ratelimit_take(&a->again[marked], TL_ATTACHED_AGAIN_EVERY, now);
    bool proven = !own && marked && take(&place, &t->attach_proofs[TL_ATTACH_PROVEN], true, now);
    if (!own && !proven && !take(&place, &t->attach_proofs[TL_ATTACH_STRANGER], false, now))
        return marked ? TL_ASKED_RATE : TL_ASKED_UNPROVEN;
    if (!settle(t, from, proven, now, &place))
        return TL_ASKED_MEMORY;
    *ret_place = place;
    return TL_ASKED_TAKEN;
}

bool tl_attached_pays(tl_attached *t, tl_attached_node *a, const tl_addr *from, tl_time now)
{
    tl_attach_place place = tl_attached_place_of(t, from);
    if (!tl_ratelimit_take(&a->asks, 1, now))
        return false;
    return a->proven ? take(&place, &t->ask_proofs[TL_ATTACH_PROVEN], true, now)
                     : tl_ratelimit_take(&t->ask_proofs[TL_ATTACH_HERE], 1, now);
}

tl_asked tl_attached_may_ask(tl_attached *t, tl_attached_node *a, const tl_addr *from, tl_time now)
{
    tl_attach_place place = tl_attached_place_of(t, from);
    if (a && tl_attached_pays(t, a, from, now))
        return TL_ASKED_TAKEN;
    if (!take(&place, &t->ask_proofs[TL_ATTACH_STRANGER], false, now))
        return TL_ASKED_RATE;
    return settle(t, from, false, now, &place) ? TL_ASKED_TAKEN : TL_ASKED_MEMORY;
}

bool tl_attached_may_tell(tl_attached *t, const tl_addr *to, tl_time now)
{
    tl_origin address = tl_origin_address(to), network = tl_origin_network(to);
    return tl_origin_take(&t->told_address, tl_slice_of(address.bytes, sizeof address.bytes),
                          TL_ATTACHED_TOLD_PER_SEC, TL_ATTACHED_TOLD_BURST, now) &&
           tl_origin_take(&t->told_network, tl_slice_of(network.bytes, sizeof network.bytes),
                          TL_ATTACHED_NETWORK_TIMES * TL_ATTACHED_TOLD_PER_SEC,
                          TL_ATTACHED_NETWORK_TIMES * TL_ATTACHED_TOLD_BURST, now) &&
           tl_ratelimit_take(&t->told, 1, now);
}

/* --- time --- */

static void source_free(tl_attached *t, tl_attach_source *s)
{
    DL_DELETE(t->strangers, s);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, t->sources, s);
    free(s);
}

void tl_attached_sweep_sources(tl_attached *t, tl_time now)
{
    tl_time refill = TL_ATTACHED_PROOFS_BURST / TL_ATTACHED_PROOFS_PER_SEC * TL_SEC;
    while (t->strangers && now >= t->strangers->used + refill)
        source_free(t, t->strangers);
}

void tl_attached_clear_sources(tl_attached *t)
{
    while (t->strangers)
        source_free(t, t->strangers);
}
