#include "quic/door.h"

#include "quic/conn.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#define KNOCKS_BURST      16 /* dials and their repetitions after a restart, of one peer */
#define KNOCKS_PER_SEC    8
#define WAITING_SHARE     8 /* a peer dials once or twice at a time */
#define STRANGERS_SHARE   16
#define STRANGERS_OF_FOUR 3
#define GROUPS_TIDY       256  /* a group without a connection is kept for 2 s, or while fewer */
#define GROUPS_MAX        8192 /* twice the sessions that a relay grants one node */

struct tl_door_group {
    uint64_t key;
    tl_ratelimit knocks;
    size_t waiting_n, strangers_n, members_n;
    size_t held;       /* bytes of its strangers; only for tl_door_heaviest */
    UT_hash_handle hh; /* by key */
};

static void forget(tl_quic *q, tl_door_group *g)
{
    HASH_DEL(q->groups, g);
    free(g);
}

/* Forgets the groups without a connection whose bucket is full again. */
static void tidy(tl_quic *q, tl_time now)
{
    tl_door_group *g, *next;
    if (HASH_COUNT(q->groups) < GROUPS_TIDY || now < q->tidied_at + TL_SEC)
        return;
    q->tidied_at = now;
    HASH_ITER (hh, q->groups, g, next)
        if (!g->members_n && tl_ratelimit_when(&g->knocks, KNOCKS_BURST, now) <= now)
            forget(q, g);
}

/* NULL: out of memory, or GROUPS_MAX. */
static tl_door_group *get(tl_quic *q, tl_path_id path, tl_time now)
{
    uint64_t key = q->group_of ? q->group_of(q->group_user, path) : path;
    tl_door_group *g;
    HASH_FIND(hh, q->groups, &key, sizeof key, g);
    if (g)
        return g;
    tidy(q, now);
    g = HASH_COUNT(q->groups) < GROUPS_MAX ? calloc(1, sizeof *g) : NULL;
    if (!g)
        return NULL;
    g->key = key;
    g->knocks = tl_ratelimit_make(KNOCKS_PER_SEC, KNOCKS_BURST, now);
    if (TL_TABLE_ADD(hh, q->groups, key, sizeof g->key, g))
        return g;
    free(g);
    return NULL;
}

bool tl_door_may_knock(tl_quic *q, tl_path_id path, tl_time now)
{
    tl_door_group *g = get(q, path, now);
    return g && tl_ratelimit_take(&g->knocks, 1, now);
}

/* --- places --- */

static bool counts_as_stranger(const tl_quic_conn *c)
{
    return c->place == TL_DOOR_INSIDE && !c->known;
}

/* Adds `by` (1 or -1, modulo 2^n) for the place that `c` has. */
static void count(tl_quic_conn *c, size_t by)
{
    tl_quic *q = c->quic;
    c->group->members_n += by;
    if (c->place == TL_DOOR_WAITING) {
        c->group->waiting_n += by;
        q->half_open_n += by;
        q->strangers_waiting_n += c->known ? 0 : by;
    }
    if (counts_as_stranger(c)) {
        c->group->strangers_n += by;
        q->strangers_n += by;
    }
}

/*  OUTSIDE --enter--> WAITING --pass--> INSIDE
 *     ^------leave-------/---------------/       */
static void set_place(tl_quic_conn *c, tl_door_place place)
{
    tl_quic *q = c->quic;
    assert(place == TL_DOOR_OUTSIDE || place == c->place + 1);
    if (c->place != TL_DOOR_OUTSIDE)
        count(c, (size_t)-1);
    if (c->place == TL_DOOR_WAITING)
        DL_DELETE2(q->waiting, c, door_prev, door_next);
    c->place = place;
    if (place == TL_DOOR_WAITING)
        DL_APPEND2(q->waiting, c, door_prev, door_next);
    if (place != TL_DOOR_OUTSIDE)
        count(c, 1);
}

/* --- making room --- */

/* The oldest that waits in the group: a stranger if there is one. */
static tl_quic_conn *oldest_of(const tl_quic *q, const tl_door_group *g)
{
    tl_quic_conn *c, *known = NULL;
    DL_FOREACH2(q->waiting, c, door_next)
    {
        if (c->group == g && !c->known)
            return c;
        if (c->group == g && !known)
            known = c;
    }
    return known;
}

static const tl_door_group *largest(const tl_quic *q)
{
    const tl_door_group *g, *worst = NULL;
    for (g = q->groups; g; g = g->hh.next)
        if (!worst || g->waiting_n > worst->waiting_n)
            worst = g;
    return worst;
}

/* False: only known peers wait there, and the newcomer is a stranger. */
static bool make_room(const tl_quic_conn *newcomer, const tl_door_group *g)
{
    tl_quic_conn *c = oldest_of(newcomer->quic, g);
    assert(c);
    if (c->known && !newcomer->known)
        return false;
    c->quic->counters.dropped_limit++;
    tl_qconn_end(c, TL_ERR_BUSY, 0, "made room");
    return true;
}

static size_t strangers_max(const tl_quic *q)
{
    return (q->config.conns_max * STRANGERS_OF_FOUR + 3) / 4;
}

static bool strangers_are_full(const tl_quic_conn *c)
{
    const tl_quic *q = c->quic;
    return c->group->strangers_n >= STRANGERS_SHARE || q->strangers_n >= strangers_max(q);
}

/* One more at the door would fill places that are for known peers and our own connections. A known
 * peer takes one of them. False: so many strangers are inside that no stranger has room. */
static bool keep_places_free(const tl_quic_conn *newcomer)
{
    tl_quic_conn *c;
    const tl_quic *q = newcomer->quic;
    if (q->strangers_n + q->strangers_waiting_n < strangers_max(q))
        return true;
    if (!q->strangers_waiting_n)
        return newcomer->known;
    const tl_door_group *worst = largest(q);
    if (oldest_of(q, worst)->known)
        DL_FOREACH2(q->waiting, c, door_next)
        {
            if (!c->known) {
                worst = c->group;
                break;
            }
        }
    return make_room(newcomer, worst);
}

bool tl_door_enter(tl_quic_conn *c, tl_time now)
{
    tl_quic *q = c->quic;
    tl_door_group *g = get(q, c->path, now);
    if (!g)
        return false;
    c->group = g;
    if (g->waiting_n >= WAITING_SHARE && !make_room(c, g))
        return false;
    if (q->half_open_n >= q->config.half_open_max && !make_room(c, largest(q)))
        return false;
    if (!keep_places_free(c))
        return false;
    set_place(c, TL_DOOR_WAITING);
    return true;
}

bool tl_door_pass(tl_quic_conn *c)
{
    if (!c->known && strangers_are_full(c))
        return false;
    set_place(c, TL_DOOR_INSIDE);
    return true;
}

void tl_door_on_known(tl_quic_conn *c)
{
    if (c->place == TL_DOOR_WAITING)
        c->quic->strangers_waiting_n--;
    if (c->place != TL_DOOR_INSIDE)
        return;
    c->group->strangers_n--;
    c->quic->strangers_n--;
}

tl_quic_conn *tl_door_heaviest(tl_quic *q)
{
    tl_door_group *g, *worst = NULL;
    tl_quic_conn *c, *heaviest = NULL;
    for (g = q->groups; g; g = g->hh.next)
        g->held = 0;
    DL_FOREACH (q->conns, c) {
        if (!c->ng || c->known || c->place == TL_DOOR_OUTSIDE)
            continue;
        c->group->held += c->memory.n;
        if (!worst || c->group->held > worst->held)
            worst = c->group;
    }
    DL_FOREACH (q->conns, c)
        if (c->ng && !c->known && c->place != TL_DOOR_OUTSIDE && c->group == worst &&
            (!heaviest || c->memory.n > heaviest->memory.n))
            heaviest = c;
    return heaviest;
}

void tl_door_leave(tl_quic_conn *c)
{
    if (c->place != TL_DOOR_OUTSIDE)
        set_place(c, TL_DOOR_OUTSIDE);
}

void tl_door_clear(tl_quic *q)
{
    while (q->groups)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
        forget(q, q->groups);
}
