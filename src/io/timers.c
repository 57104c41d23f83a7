#include "io/timers.h"

/* A node's children form a list through `next`; `prev` is the elder sibling, of the eldest child
 * the parent, of the root NULL. */

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

/* The two passes that give the heap its amortised O(log n): meld pairs from the left, then all of
 * those from the right. */
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

void tl_timers_add(tl_timers *h, tl_timer *t)
{
    t->seq = h->seq++;
    t->child = t->next = t->prev = NULL;
    h->root = meld(h->root, t);
}

void tl_timers_remove(tl_timers *h, tl_timer *t)
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
