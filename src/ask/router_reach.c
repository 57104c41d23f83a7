/* A peer that a question names, and of which nothing is known, is connected to first where no relay can be asked for
 * it: its hello says what it serves. */
#include "ask/router_state.h"

#include <stddef.h>
#include <stdio.h>

static void over(tl_route *x)
{
    x->reach = TL_REACH_OVER;
    x->router->any_new = true;
    tl_env_wake(&x->router->env);
    if (x->state == TL_ROUTE_FINDING)
        tl_route_set_state(x, TL_ROUTE_NEW); /* its deadline stays */
}

static void on_connected(tl_peer_wish *w, tl_quic_stream *s)
{
    tl_route *x = (tl_route *)((char *)w - offsetof(tl_route, wish));
    (void)s; /* none was wished for */
    x->reach = TL_REACH_HELLO;
}

static void on_failed(tl_peer_wish *w, tl_err e, const char *why)
{
    tl_route *x = (tl_route *)((char *)w - offsetof(tl_route, wish));
    char id[TL_NODE_ID_HEX + 1];
    (void)e;
    tl_node_id_write(id, &x->ask.peer);
    snprintf(x->why, sizeof x->why, "the peer %.16s cannot be reached: %.200s", id, why);
    x->fail = TL_FAIL_NO_PROVIDER;
    over(x);
}

/* Is what it serves told by its hello, and by nothing before? */
static bool is_unknown(const tl_route *x)
{
    tl_peer_facts facts;
    const tl_router *r = x->router;
    const tl_peer *p = tl_peer_table_find(r->table, &x->ask.peer);
    return !p || (!p->n_models && !p->in_clear && !tl_peers_facts(r->peers, p, &facts));
}

/* The local network knows it, whatever a relay says. */
static bool is_near(const tl_route *x)
{
    const tl_router *r = x->router;
    return r->world.is_near && r->world.is_near(r->user, &x->ask.peer);
}

bool tl_route_reach(tl_route *x)
{
    tl_router *r = x->router;
    bool waits = x->reach == TL_REACH_DIALLING || x->reach == TL_REACH_HELLO;
    if (x->waited)
        return false;
    if (!waits) {
        if (x->reach == TL_REACH_OVER || !x->ask.has_peer || x->ask.scoped || x->n_tried ||
            !r->access->ask_any || (!r->world.relay_hopeless(r->user) && !is_near(x)) ||
            tl_node_id_eq(&x->ask.peer, &r->own) || !is_unknown(x))
            return false;
        x->wish = (tl_peer_wish){.peer = x->ask.peer,
                                 .connection_only = true,
                                 .on_stream = on_connected,
                                 .on_failed = on_failed};
        x->reach = TL_REACH_DIALLING;
        if (tl_peers_wish(r->peers, &x->wish)) {
            x->reach = TL_REACH_OVER;
            return false;
        }
    }
    if (x->reach == TL_REACH_OVER) /* it failed at once */
        return false;
    if (x->state != TL_ROUTE_FINDING)
        tl_route_set_state(x, TL_ROUTE_FINDING);
    tl_route_set_deadline(x, tl_time_min(x->deadline, x->asked_at + TL_ROUTE_REACH_WITHIN));
    return true;
}

/* --- the local network --- */

bool tl_route_look_near(tl_route *x, bool waits)
{
    const tl_router *r = x->router;
    if (x->waited || x->near_over || x->ask.has_peer || !r->world.look_near)
        return false;
    if (!r->world.look_near(r->user)) {
        x->near_over = true;
        return false;
    }
    x->near = true;
    if (x->state != TL_ROUTE_FINDING)
        tl_route_set_state(x, TL_ROUTE_FINDING);
    if (!waits)
        tl_route_set_deadline(x, tl_time_min(x->deadline, x->asked_at + TL_ROUTE_NEAR_WITHIN));
    return true;
}

static void look_again(tl_route *x)
{
    x->router->any_new = true;
    tl_env_wake(&x->router->env);
    if (x->state == TL_ROUTE_FINDING)
        tl_route_set_state(x, TL_ROUTE_NEW); /* its deadline stays */
}

void tl_router_on_near_over(tl_router *r)
{
    for (tl_route *x = r->routes; x; x = x->next)
        if (x->near && !x->near_over) {
            x->near_over = true;
            look_again(x);
        }
}

void tl_route_unreach(tl_route *x)
{
    if (x->wish.contact)
        tl_peers_unwish(x->router->peers, &x->wish);
}

void tl_router_on_hello(tl_router *r, const tl_node_id *peer)
{
    tl_route *x;
    for (x = r->routes; x; x = x->next)
        if ((x->reach == TL_REACH_DIALLING || x->reach == TL_REACH_HELLO) &&
            tl_node_id_eq(&x->ask.peer, peer))
            over(x);
        else if (x->near && !x->near_over)
            look_again(x);
}
