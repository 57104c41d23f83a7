#include "ask/guests.h"

#include <assert.h>
#include <stdlib.h>

tl_guests tl_guests_new(tl_time now)
{
    return (tl_guests){.strangers = tl_ratelimit_make(TL_GUEST_SUM * TL_GUEST_RATE,
                                                      TL_GUEST_SUM * TL_GUEST_BURST, now)};
}

static void forget(tl_guests *g, tl_guest *guest)
{
    HASH_DELETE(hh, g->peers, guest);
    free(guest);
}

void tl_guests_clear(tl_guests *g)
{
    tl_guest *guest, *next;
    HASH_ITER (hh, g->peers, guest, next)
        forget(g, guest);
}

/* One that has nothing here; one that was served goes last. */
static tl_guest *least(const tl_guests *g)
{
    tl_guest *served = NULL;
    for (tl_guest *guest = g->peers; guest; guest = guest->hh.next) {
        if (guest->running)
            continue;
        if (!guest->served)
            return guest;
        served = served ? served : guest;
    }
    return served;
}

/* Finds or adds. NULL: out of memory, or all of TL_GUESTS_MAX have requests here. */
static tl_guest *get(tl_guests *g, const tl_node_id *id, tl_time now)
{
    tl_guest *guest;
    HASH_FIND(hh, g->peers, id, sizeof *id, guest);
    if (guest)
        return guest;
    if (HASH_COUNT(g->peers) >= TL_GUESTS_MAX) {
        tl_guest *old = least(g);
        if (!old)
            return NULL;
        forget(g, old);
    }
    if (!(guest = calloc(1, sizeof *guest)))
        return NULL;
    guest->id = *id;
    guest->rate = tl_ratelimit_make(TL_GUEST_RATE, TL_GUEST_BURST, now);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
    if (TL_TABLE_ADD(hh, g->peers, id, sizeof guest->id, guest))
        return guest;
    free(guest);
    return NULL;
}

static unsigned share(unsigned at_once, bool stranger)
{
    unsigned part = at_once / (stranger ? 8 : 2), least_part = at_once < 4 ? at_once : 4;
    return part > least_part ? part : least_part;
}

/* From now on the peer is one that we know, or a stranger. */
static void set_rate(tl_guest *guest, bool stranger, tl_time now)
{
    uint64_t times = stranger ? 1 : TL_GUEST_KNOWN;
    if (guest->rate.burst != times * TL_GUEST_BURST)
        guest->rate = tl_ratelimit_make(times * TL_GUEST_RATE, times * TL_GUEST_BURST, now);
}

tl_guest *tl_guests_enter(tl_guests *g, const tl_node_id *id, bool member, unsigned at_once,
                          tl_time now, const char **ret_why)
{
    tl_guest *guest = get(g, id, now);
    if (!guest) {
        *ret_why = "this node has no memory for the request now";
        return NULL;
    }
    bool stranger = !member && !guest->served;
    if (guest->running >= share(at_once, stranger) ||
        (stranger && g->strangers_running >= at_once - at_once / 4)) {
        *ret_why = "this node answers as many requests of this peer as it takes";
        return NULL;
    }
    set_rate(guest, stranger, now);
    if (!tl_ratelimit_take(&guest->rate, 1, now) ||
        (stranger && !tl_ratelimit_take(&g->strangers, 1, now))) {
        *ret_why = "this peer asks more often than this node allows";
        return NULL;
    }
    if (!guest->running)
        guest->stranger = stranger;
    guest->running++;
    g->strangers_running += guest->stranger;
    return guest;
}

void tl_guests_leave(tl_guests *g, tl_guest *guest, bool whole)
{
    assert(guest->running && (!guest->stranger || g->strangers_running));
    guest->running--;
    g->strangers_running -= guest->stranger;
    if (!whole)
        return;
    guest->served = true;
    tl_ratelimit_give_back(&guest->rate);
    if (!guest->stranger)
        return;
    tl_ratelimit_give_back(&g->strangers);
    g->strangers_running -= guest->running; /* it is known now */
    guest->stranger = false;
}
