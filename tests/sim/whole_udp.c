#include "whole_udp.h"

#include "whole_introducing.h"
#include "whole_relaying.h"

#include <stdlib.h>

static void must_ok(tl_err e)
{
    if (e)
        abort();
}

static const tl_direct_self *self(void *user)
{
    return whole_net_self(&((whole_node *)user)->net);
}

static void on_offer(void *user, tl_path_id path, const tl_relay_offer *offer)
{
    tl_peers_on_offer(((whole_node *)user)->peers, path, offer);
}

static void on_warning(void *user, tl_path_id path, tl_unix ends_at)
{
    (void)ends_at;
    tl_peers_on_warning(((whole_node *)user)->peers, path);
}

static void on_payload(void *user, uint8_t *data, size_t n)
{
    tl_peers_on_payload(((whole_node *)user)->peers, data, n);
}

static size_t udp_find(void *user, const char *hostport, tl_addr ret_addrs[2])
{
    whole_node *n = user;
    if (!n->net.on || tl_addr_parse(tl_slice_str(hostport), &ret_addrs[0]))
        return 0;
    n->net.relay = ret_addrs[0];
    return 1;
}

static tl_err udp_send(void *user, tl_sock sock, const tl_addr *to, tl_slice prefix,
                       const uint8_t *data, size_t n, size_t segment)
{
    tl_err e = TL_OK;
    for (size_t at = 0; at < n && !e; at += segment) {
        tl_buf packet = {0};
        must_ok(tl_buf_append(&packet, prefix));
        must_ok(
            tl_buf_append(&packet, tl_slice_of(data + at, n - at < segment ? n - at : segment)));
        e = whole_net_send(&((whole_node *)user)->net, sock, to, tl_buf_begin(&packet), packet.len,
                           packet.len);
        tl_buf_clear(&packet);
    }
    return e;
}

static bool net_control(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    whole_node *n = user;
    bool taken = whole_relaying_on_control(n, from, datagram) ||
                 tl_peers_on_control(n->peers, from, datagram) ||
                 whole_introducing_on_control(n, from, datagram) ||
                 tl_direct_on_control(n->direct, sock, from, datagram);
    if (taken)
        tl_env_wake(&n->env);
    return taken;
}

static void net_stun(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram,
                     const tl_stun *stun)
{
    if (tl_peers_on_stun(((whole_node *)user)->peers, from, datagram, stun))
        return;
    tl_direct_on_stun(((whole_node *)user)->direct, sock, from, datagram, stun);
}

static void net_train(void *user, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                      size_t segment)
{
    if (!whole_relaying_on_packet(user, from, data, n))
        tl_peers_on_train(((whole_node *)user)->peers, sock, from, data, n, segment);
}

static void net_change(void *user, bool moved)
{
    whole_node *n = user;
    tl_direct_on_change(n->direct, moved);
    if (moved) {
        tl_peers_on_moved(n->peers);
        whole_moves_changed(n, n->net.rebuilt);
        n->net.rebuilt = false;
    }
    tl_env_wake(&n->env);
}

const whole_net_events whole_udp_net_events = {net_stun, net_train, net_change, net_control};
const tl_peers_udp whole_udp = {self, udp_find, udp_send};

void whole_udp_events(tl_relay_link_events *events)
{
    events->on_offer = on_offer;
    events->on_warning = on_warning;
    events->on_payload = on_payload;
}

void whole_udp_on_silent(void *node, const tl_node_id *peer)
{
    whole_node *n = node;
    tl_peers_on_silent(n->peers, peer);
    whole_net_suspect(&n->net);
}
