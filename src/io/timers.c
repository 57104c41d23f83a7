#include "io/timers.h"

#include <assert.h>

/* A timer's children form a list through `next`. `prev` is the elder sibling; of the eldest child
 * it is the parent; of the root it is NULL. */

static bool is_before(const tl_timer *a, const tl_timer *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

/* Joins two trees (either may be NULL) whose roots have no siblings. */
static tl_timer *meld(tl_timer *a, tl_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (is_before(b, a)) {
        tl_timer *t = a;
        a = b;
        b = t;
    }
    b->next = a->child;
    b->prev = a;
    if (a->child)
        a->child->prev = b;
    a->child = b;
    return a;
}

static tl_timer *take_front(tl_timer **list)
{
    tl_timer *t = *list;
    if (t) {
        *list = t->next;
        t->next = t->prev = NULL;
    }
    return t;
}

/* Joins siblings in the two passes that make the heap O(log n), amortised: first melds pairs from
 * the left, then melds all these pairs from the right. */
static tl_timer *meld_siblings(tl_timer *list)
{
    tl_timer *pairs = NULL, *root = NULL;
    while (list) {
        tl_timer *a = take_front(&list), *b = take_front(&list);
        tl_timer *pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs)
        root = meld(root, take_front(&pairs));
    return root;
}

static void add(tl_timers *h, tl_timer *t)
{
    t->seq = h->seq++;
    t->child = t->next = t->prev = NULL;
    h->root = meld(h->root, t);
}

static void take_out(tl_timers *h, tl_timer *t)
{
    tl_timer *below = meld_siblings(t->child);
    if (t == h->root) {
        h->root = below;
    } else {
        if (t->prev->child == t)
            t->prev->child = t->next;
        else
            t->prev->next = t->next;
        if (t->next)
            t->next->prev = t->prev;
        h->root = meld(h->root, below);
    }
    t->child = t->next = t->prev = NULL;
}

void tl_timers_init(tl_timers *h)
{
    *h = (tl_timers){.alarm = TL_NEVER};
}

void tl_timers_set(tl_timers *h, tl_timer *t, tl_time at, tl_time now)
{
    if (at == t->at || (at <= now && t->at <= now))
        return; /* it is due already and keeps its place */
    if (t->at != TL_NEVER)
        take_out(h, t);
    t->at = at < now ? now : at;
    if (t->at != TL_NEVER)
        add(h, t);
}

void tl_timers_begin_turn(tl_timers *h)
{
    h->turn = h->seq;
}

tl_timer *tl_timers_take_due(tl_timers *h, tl_time now)
{
    tl_timer *t = h->root;
    /* A timer set in this turn stands behind all timers that were due before: its time is at least
     * `now`, and its `seq` is later. So the first such timer ends the turn. */
    if (!t || t->at > now || t->seq >= h->turn)
        return NULL;
    take_out(h, t);
    t->at = TL_NEVER;
    return t;
}

bool tl_timers_next_alarm(tl_timers *h, tl_time now, tl_time *ret_at)
{
    tl_time at = h->root ? h->root->at : TL_NEVER;
    if (at != TL_NEVER && at > now && at - now > TL_TIMERS_AHEAD_MAX) {
        /* The timer is far away: any alarm before it is right. An alarm that moved on with every
         * turn would never go off. */
        at = h->alarm > now && h->alarm <= at ? h->alarm : now + TL_TIMERS_AHEAD_MAX;
    }
    if (at == h->alarm)
        return false;
    h->alarm = at;
    *ret_at = at;
    return true;
}

void tl_timers_on_alarm(tl_timers *h)
{
    h->alarm = TL_NEVER;
}
