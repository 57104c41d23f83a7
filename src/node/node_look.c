/* Waits for a fresh list of nodes and models, and for a fresh round of STUN. */
#include "node/state.h"

#define LOOK_FRESH  TL_SEC       /* a list of this age is fresh enough for people and scripts */
#define LOOK_WITHIN (1 * TL_SEC) /* after that the list is given as it is */
#define NETLOOK_WITHIN                                                                             \
    (9 * TL_SEC) /* the network gives up sooner itself, unless its port is closed before that */

static void finish(tl_node_look *l)
{
    tl_node_unlook(l);
    l->on_done(l->user);
}

static void on_timer(void *user)
{
    finish(user);
}

void tl_node_look_start(tl_node *n, tl_node_look *l, void (*on_done)(void *user), void *user)
{
    tl_time now = tl_loop_now(n->loop);
    bool asked = n->discovered_at && now - n->discovered_at < LOOK_FRESH && !n->list_is_old;
    bool waits = tl_relays_is_registered(n->relays) &&
                 (asked ? n->discovering : tl_node_ask_everybody(n) == TL_OK);
    *l = (tl_node_look){.node = n, .on_done = on_done, .user = user, .next = n->looks};
    n->looks = l;
    tl_timer_init(&l->timer, n->loop, on_timer, l);
    tl_timer_set(&l->timer, waits ? now + LOOK_WITHIN : now);
}

void tl_node_unlook(tl_node_look *l)
{
    if (!l->node)
        return;
    tl_timer_stop(&l->timer);
    for (tl_node_look **at = &l->node->looks; *at; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            break;
        }
    l->node = NULL;
}

void tl_node_looks_done(tl_node *n)
{
    n->discovering = false;
    while (n->looks) /* a look that starts in this loop finds the list fresh: a timer ends it */
        finish(n->looks);
}

/* --- the network --- */

static void finish_netlook(void *user)
{
    tl_node_netlook *l = user;
    tl_node_unnetlook(l);
    l->on_done(l->user);
}

void tl_node_netlook_start(tl_node *n, tl_node_netlook *l, void (*on_done)(void *user), void *user)
{
    tl_time now = tl_loop_now(n->loop);
    *l = (tl_node_netlook){.node = n, .on_done = on_done, .user = user};
    l->look = (tl_network_look){.on_done = finish_netlook, .user = l};
    tl_timer_init(&l->timer, n->loop, finish_netlook, l);
    bool asks = n->network && n->settings.wan_enabled;
    tl_timer_set(&l->timer, asks ? now + NETLOOK_WITHIN : now);
    if (asks)
        tl_network_look_start(n->network, &l->look);
}

void tl_node_unnetlook(tl_node_netlook *l)
{
    if (!l->node)
        return;
    tl_timer_stop(&l->timer);
    if (l->look.network)
        tl_network_unlook(&l->look);
    l->node = NULL;
}
