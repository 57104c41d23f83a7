#include "whole_introducing.h"

#include <stdlib.h>

static void must_ok(tl_err e)
{
    if (e)
        abort();
}

static bool admits(void *user, const tl_node_id *node)
{
    (void)user;
    (void)node;
    return true;
}

static bool is_ours(void *user, const tl_addr *addr)
{
    const whole_introducing *i = user;
    return tl_addr_eq(addr, &i->addr);
}

static bool find(void *user, const tl_node_id *node, tl_burst_way *ret_way)
{
    (void)user;
    (void)node;
    (void)ret_way;
    return false;
}

void whole_introducing_start(whole_node *n)
{
    static const tl_attached_world world = {admits, is_ours, find};
    tl_addr none = {.family = TL_ADDR_NONE};
    whole_introducing *i = calloc(1, sizeof *i);
    if (!i || !n->net.n_interfaces)
        abort();
    i->node = n;
    i->addr = n->net.interfaces[0].addr;
    i->addr.port = n->net.port;
    must_ok(tl_attached_new(&n->identity, &world, i, &n->rand, sim_now(n->sim), &i->attached));
    tl_attached_set_address(i->attached, &i->addr, &none);
    must_ok(tl_introducer_new(&n->identity, i->attached, &i->core));
    tl_introducer_set_serving(i->core, true);
    n->introducing = i;
}

void whole_introducing_free(whole_node *n)
{
    if (n->introducing) {
        tl_introducer_free(n->introducing->core);
        tl_attached_free(n->introducing->attached);
    }
    free(n->introducing);
    n->introducing = NULL;
}

tl_relayer_name whole_introducing_name(const whole_node *n)
{
    return (tl_relayer_name){.id = n->identity.id, .addr = n->introducing->addr};
}

bool whole_introducing_on_control(whole_node *n, const tl_addr *from, tl_slice datagram)
{
    whole_introducing *i = n->introducing;
    tl_burst_way way = {.remote = *from, .local = i ? i->addr : *from};
    tl_introducer_output out;
    if (!i || !tl_introducer_on_control(i->core, &way, datagram, sim_now(n->sim),
                                        n->env.wall(n->env.user), &out))
        return false;
    if (out.n > datagram.n)
        abort(); /* it never sends more than it got */
    if (out.n)
        must_ok(whole_net_send(&n->net, WHOLE_NET_SOCK4, &out.way.remote, out.bytes, out.n, out.n));
    return true;
}

void whole_introducing_on_timer(whole_node *n)
{
    if (n->introducing)
        tl_introducer_on_timer(n->introducing->core, sim_now(n->sim));
}

tl_time whole_introducing_expiry(const whole_node *n)
{
    return n->introducing ? tl_introducer_expiry(n->introducing->core) : TL_NEVER;
}

bool whole_introducing_ask(void *node, const tl_node_id *peer,
                           const uint8_t nonce[TL_CONTROL_NONCE_SIZE], unsigned nth)
{
    const whole_node *n = node;
    return tl_peers_introducers(n->peers) &&
           tl_introducers_ask(tl_peers_introducers(n->peers), peer, nonce, nth);
}

bool whole_introducing_is(void *node, const tl_node_id *by, const tl_addr *from, tl_addr *ret_seen)
{
    const whole_node *n = node;
    return tl_peers_introducers(n->peers) &&
           tl_introducers_is(tl_peers_introducers(n->peers), by, from, ret_seen);
}

bool whole_introducing_is_attached(const whole_node *n, const whole_node *to)
{
    tl_introducer_facts by[TL_INTRODUCERS_MAX];
    size_t k = tl_introducers_attached(tl_peers_introducers(n->peers), by);
    for (size_t i = 0; i < k; i++)
        if (tl_node_id_eq(&by[i].name.id, &to->identity.id))
            return true;
    return false;
}
