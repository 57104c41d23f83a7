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
static tl_guest *get(tl_guests *g, const tl_guest_key *who, tl_time now)
{
    tl_guest *guest;
    HASH_FIND(hh, g->peers, who, sizeof *who, guest);
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
    guest->who = *who;
    guest->rate = tl_ratelimit_make(TL_GUEST_RATE, TL_GUEST_BURST, now);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
    if (TL_TABLE_ADD(hh, g->peers, who, sizeof guest->who, guest))
        return guest;
    free(guest);
    return NULL;
}

static size_t share(size_t all, bool stranger)
{
    return all / (stranger ? 8 : 2);
}

static size_t strangers_share(size_t all)
{
    return all - all / 4;
}

/* The last eighth of the three quarters goes to those that have nothing here: a few peers, each of
 * them served once, would else take all that the others wait for. */
static size_t outsiders_share(size_t all, bool has_none)
{
    return strangers_share(all) - (has_none ? 0 : all / 8);
}

static unsigned at_once_share(unsigned at_once, bool stranger)
{
    unsigned part = (unsigned)share(at_once, stranger), least_part = at_once < 4 ? at_once : 4;
    return part > least_part ? part : least_part;
}

/* From now on the peer is one that we know, or a stranger. */
static void set_rate(tl_guest *guest, bool stranger, tl_time now)
{
    uint64_t times = stranger ? 1 : TL_GUEST_KNOWN;
    if (guest->rate.burst != times * TL_GUEST_BURST)
        guest->rate = tl_ratelimit_make(times * TL_GUEST_RATE, times * TL_GUEST_BURST, now);
}

/* NULL: there is room. Else which limit it is. What is the peer's own is looked at first: then no peer
 * takes from the strangers' common share what its own would not let it use. */
static const char *why_no_room(const tl_guests *g, const tl_guest *guest, bool member,
                               unsigned at_once)
{
    bool stranger = !member && !guest->served;
    if (guest->running >= at_once_share(at_once, stranger))
        return "this node answers as many requests of this peer as it takes";
    if (stranger && g->strangers_running >= strangers_share(at_once))
        return "this node answers as many requests of peers that it does not know as it takes";
    if (!member && g->outsiders_running >= outsiders_share(at_once, guest->running == 0))
        return "this node answers as many requests of peers outside its networks as it takes";
    return NULL;
}

static const char *why_too_often(tl_guests *g, tl_guest *guest, bool stranger, tl_time now)
{
    if (!tl_ratelimit_take(&guest->rate, 1, now))
        return "this peer asks more often than this node allows";
    if (!stranger || tl_ratelimit_take(&g->strangers, 1, now))
        return NULL;
    tl_ratelimit_give_back(&guest->rate); /* it is the others who ask too often */
    return "peers that this node does not know ask it more often than it allows, all together";
}

tl_guest *tl_guests_enter(tl_guests *g, const tl_guest_key *who, bool member, unsigned at_once,
                          tl_time now, const char **ret_why)
{
    tl_guest *guest = get(g, who, now);
    if (!guest) {
        *ret_why = "this node has no memory for the request now";
        return NULL;
    }
    bool stranger = !member && !guest->served;
    const char *why = why_no_room(g, guest, member, at_once);
    if (!why) {
        set_rate(guest, stranger, now);
        why = why_too_often(g, guest, stranger, now);
    }
    if (why) {
        *ret_why = why;
        return NULL;
    }
    if (!guest->running) {
        guest->stranger = stranger;
        guest->outsider = !member;
    }
    guest->running++;
    g->outsiders_running += guest->outsider;
    g->strangers_running += guest->stranger;
    return guest;
}

bool tl_guests_take(tl_guests *g, tl_guest *guest, size_t n, size_t max, const char **ret_why)
{
    assert(guest->running);
    if (guest->bytes + n > share(max, guest->stranger))
        *ret_why = "this node has no memory for more requests of this peer now";
    else if (guest->stranger && g->strangers_bytes + n > strangers_share(max))
        *ret_why = "this node has no memory for more requests of peers that it does not know now";
    else {
        guest->bytes += n;
        g->strangers_bytes += guest->stranger ? n : 0;
        return true;
    }
    return false;
}

void tl_guests_return(tl_guests *g, tl_guest *guest, size_t n)
{
    assert(guest->bytes >= n && (!guest->stranger || g->strangers_bytes >= n));
    guest->bytes -= n;
    g->strangers_bytes -= guest->stranger ? n : 0;
}

void tl_guests_leave(tl_guests *g, tl_guest *guest, bool whole)
{
    assert(guest->running && (!guest->stranger || g->strangers_running));
    guest->running--;
    assert(guest->running || !guest->bytes);
    assert(!guest->outsider || g->outsiders_running);
    g->outsiders_running -= guest->outsider;
    g->strangers_running -= guest->stranger;
    if (!whole)
        return;
    tl_ratelimit_give_back(&guest->rate);
    if (guest->stranger)
        tl_ratelimit_give_back(&g->strangers);
    if (guest->who.in_clear)
        return; /* who was served is not proven */
    guest->served = true;
    if (!guest->stranger)
        return;
    g->strangers_running -= guest->running; /* it is known now */
    g->strangers_bytes -= guest->bytes;
    guest->stranger = false;
}
