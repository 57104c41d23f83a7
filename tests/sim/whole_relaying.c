#include "whole_relaying.h"

#include <stdlib.h>

static void must_ok(tl_err e)
{
    if (e)
        abort();
}

static bool serves(void *user, const tl_node_id *a, const tl_node_id *b)
{
    (void)user;
    (void)a;
    (void)b;
    return true;
}

static bool is_reciprocal(void *user, const tl_node_id *node)
{
    (void)user;
    (void)node;
    return false;
}

static bool admits(void *user, const tl_node_id *node)
{
    return serves(user, node, node);
}

static bool is_ours(void *user, const tl_addr *addr)
{
    const whole_relaying *r = user;
    return tl_addr_eq(addr, &r->addr);
}

static bool find(void *user, const tl_node_id *node, tl_burst_way *ret_way)
{
    (void)user;
    (void)node;
    (void)ret_way;
    return false;
}

void whole_relaying_start(whole_node *n, const tl_relay_limits *limits)
{
    static const tl_peerrelay_world world = {serves, is_reciprocal, is_ours};
    static const tl_attached_world attached_world = {admits, is_ours, find};
    whole_relaying *r = calloc(1, sizeof *r);
    tl_addr none = {.family = TL_ADDR_NONE};
    if (!r || !n->net.n_interfaces)
        abort();
    tl_peerrelay_config config = {.identity = &n->identity,
                                  .limits = limits ? *limits : tl_relay_limits_default(),
                                  .port4 = n->net.port};
    r->node = n;
    r->addr = n->net.interfaces[0].addr;
    r->addr.port = n->net.port;
    must_ok(
        tl_attached_new(&n->identity, &attached_world, r, &n->rand, sim_now(n->sim), &r->attached));
    tl_attached_set_address(r->attached, &r->addr, &none);
    config.attached = r->attached;
    must_ok(tl_peerrelay_new(&config, &world, r, &n->rand, sim_now(n->sim), &r->relay));
    tl_peerrelay_set_address(r->relay, &r->addr, &none);
    n->relaying = r;
    tl_relayers_set_relaying(tl_peers_relayers(n->peers), true);
    n->retell = true;
    tl_env_wake(&n->env);
}

void whole_relaying_free(whole_node *n)
{
    if (n->relaying) {
        tl_peerrelay_free(n->relaying->relay);
        tl_attached_free(n->relaying->attached);
    }
    free(n->relaying);
    n->relaying = NULL;
}

static void send_bursts(whole_relaying *r)
{
    struct iovec pieces[TL_BURST_SEGMENTS_MAX];
    const tl_bursts *bursts = tl_peerrelay_bursts(r->relay);
    for (size_t i = 0; i < bursts->n; i++) {
        size_t n = tl_bursts_gather(bursts, &bursts->items[i], pieces);
        for (size_t k = 0; k < n; k++)
            must_ok(whole_net_send(&r->node->net, WHOLE_NET_SOCK4, &bursts->items[i].way.remote,
                                   pieces[k].iov_base, pieces[k].iov_len, pieces[k].iov_len));
    }
    tl_peerrelay_sent(r->relay);
}

bool whole_relaying_on_control(whole_node *n, const tl_addr *from, tl_slice datagram)
{
    whole_relaying *r = n->relaying;
    tl_burst_way way = {.remote = *from, .local = r ? r->addr : *from};
    bool taken = r && tl_peerrelay_on_control(r->relay, &way, datagram, sim_now(n->sim),
                                              n->env.wall(n->env.user));
    if (taken)
        send_bursts(r);
    return taken;
}

bool whole_relaying_on_packet(whole_node *n, const tl_addr *from, uint8_t *data, size_t n_data)
{
    whole_relaying *r = n->relaying;
    tl_burst_way way = {.remote = *from, .local = r ? r->addr : *from};
    if (!r || !n_data || !tl_token_is_first(data[0]))
        return false;
    tl_peerrelay_on_datagrams(r->relay, &way, data, n_data, n_data, sim_now(n->sim));
    send_bursts(r);
    return true;
}

void whole_relaying_on_timer(whole_node *n)
{
    if (!n->relaying)
        return;
    tl_peerrelay_on_timer(n->relaying->relay, sim_now(n->sim));
    send_bursts(n->relaying);
}

tl_time whole_relaying_expiry(const whole_node *n)
{
    return n->relaying ? tl_peerrelay_expiry(n->relaying->relay) : TL_NEVER;
}

void whole_relaying_on_attached(void *node)
{
    whole_node *n = node;
    n->retell = true;
    tl_env_wake(&n->env);
}

static json_t *relayed_by(const whole_node *n)
{
    tl_relayer_facts by[TL_RELAYERS_ATTACHED];
    const tl_relayers *r = n->peers ? tl_peers_relayers(n->peers) : NULL;
    json_t *list = json_array();
    for (size_t i = 0, k = r ? tl_relayers_attached(r, by) : 0; i < k; i++) {
        char hex[TL_NODE_ID_HEX + 1], addr[TL_ADDR_TEXT_MAX];
        tl_node_id_write(hex, &by[i].name.id);
        tl_addr_write(addr, &by[i].name.addr);
        if (json_array_append_new(list, json_pack("{s:s, s:s}", "nodeID", hex, "address", addr)))
            abort();
    }
    return list;
}

void whole_relaying_tell(const whole_node *n, json_t *capabilities)
{
    char addr[TL_ADDR_TEXT_MAX];
    if (n->relaying) {
        tl_addr_write(addr, &n->relaying->addr);
        if (json_object_set_new(
                capabilities, "relay",
                json_pack("{s:[s], s:s, s:i}", "addresses", addr, "for", "any", "free", 50)))
            abort();
    }
    if (json_object_set_new(capabilities, "relayedBy", relayed_by(n)))
        abort();
    if (n->relayed_lies &&
        json_object_set(capabilities, "relayedBy", (json_t *)(uintptr_t)n->relayed_lies))
        abort();
}

bool whole_relaying_is_attached(const whole_node *n, const whole_node *to)
{
    tl_relayer_facts by[TL_RELAYERS_ATTACHED];
    size_t k = tl_relayers_attached(tl_peers_relayers(n->peers), by);
    for (size_t i = 0; i < k; i++)
        if (tl_node_id_eq(&by[i].name.id, &to->identity.id))
            return true;
    return false;
}
