#include "whole_lan.h"

#include "relay/signed.h"

#include <stdlib.h>

static int index_of(const whole_lan *l, const whole_node *n)
{
    return n == l->ends[1];
}

/* The far end of the connection, as the node sees it. */
static tl_addr far_end(const whole_lan *l, const whole_node *n)
{
    int other = !index_of(l, n);
    tl_addr a = l->ends[other]->net.interfaces[0].addr;
    a.port = other ? l->ends[1]->net.port : 50000;
    return a;
}

static tl_sock pipe_of(const whole_lan *l, const whole_node *n)
{
    return tl_sock_pipe((tl_sock)index_of(l, n) + 1);
}

void whole_lan_join(whole_lan *l, whole_node *dials, whole_node *answers, tl_time delay)
{
    sim_faults faults = {.delay = delay};
    *l = (whole_lan){.ends = {dials, answers}, .announced = true};
    l->wire = sim_link_new(dials->sim, dials->host, WHOLE_LAN_PATH, answers->host, WHOLE_LAN_PATH,
                           &faults);
    dials->lan = answers->lan = l;
    dials->net.lan = answers->net.lan = true;
}

void whole_lan_cut(whole_lan *l, bool cut)
{
    sim_link_set_down(l->wire, cut);
}

void whole_lan_close(whole_lan *l)
{
    l->open = false;
    for (size_t i = 0; i < 2; i++) {
        tl_direct_on_pipe_closed(l->ends[i]->direct, pipe_of(l, l->ends[i]));
        sim_wake(l->ends[i]->host);
    }
}

size_t whole_lan_near(void *user, const tl_node_id *peer, tl_addr ret_addrs[TL_DIRECT_NEAR_MAX])
{
    const whole_node *n = user;
    const whole_lan *l = n->lan;
    if (!l || !l->announced || !tl_node_id_eq(peer, &l->ends[!index_of(l, n)]->identity.id))
        return 0;
    ret_addrs[0] = l->ends[!index_of(l, n)]->net.interfaces[0].addr;
    ret_addrs[0].port = l->ends[!index_of(l, n)]->net.port;
    return 1;
}

static void greet(whole_node *n, const tl_node_id *peer, const uint8_t *nonce, bool by_pipe)
{
    uint8_t bytes[TL_CONTROL_MAX];
    tl_addr to[TL_DIRECT_NEAR_MAX];
    tl_control c = {.type = TL_CONTROL_PUNCH_INTRO,
                    .pad_n = TL_CONTROL_INTRO_PAD,
                    .addr = n->net.interfaces[0].addr,
                    .nat = TL_CONTROL_NAT_UNKNOWN,
                    .timestamp = (uint64_t)n->env.wall(n->env.user)};
    memcpy(c.initiator, n->identity.id.key, sizeof c.initiator);
    memcpy(c.introducer, peer->key, sizeof c.introducer);
    memcpy(c.target, peer->key, sizeof c.target);
    memcpy(c.nonce, nonce, sizeof c.nonce);
    c.addr.port = n->net.port;
    if (tl_control_sign(&c, &n->identity) || !whole_lan_near(n, peer, to))
        abort();
    size_t len = tl_control_write(&c, bytes);
    if (by_pipe)
        (void)!whole_lan_send(n, bytes, len, len);
    else
        (void)!whole_net_send(&n->net, WHOLE_NET_SOCK4, to, bytes, len, len);
}

bool whole_lan_greet(void *user, const tl_node_id *peer, const uint8_t nonce[TL_CONTROL_NONCE_SIZE])
{
    whole_node *n = user;
    tl_addr there[TL_DIRECT_NEAR_MAX];
    if (!whole_lan_near(n, peer, there))
        return false;
    if (index_of(n->lan, n) == 0)
        n->lan->open = true;
    if (nonce)
        greet(n, peer, nonce, false);
    if (nonce && n->lan->open)
        greet(n, peer, nonce, true);
    return true;
}

size_t whole_lan_pipes(void *user, const tl_node_id *peer,
                       tl_direct_pipe ret_pipes[TL_DIRECT_PIPES_MAX])
{
    const whole_node *n = user;
    tl_addr there[TL_DIRECT_NEAR_MAX];
    if (!n->lan || !n->lan->open || index_of(n->lan, n) || !whole_lan_near(user, peer, there))
        return 0;
    ret_pipes[0] = (tl_direct_pipe){pipe_of(n->lan, n), far_end(n->lan, n)};
    return 1;
}

tl_err whole_lan_send(whole_node *n, const uint8_t *data, size_t len, size_t segment)
{
    if (!n->lan || !n->lan->open)
        return TL_ERR_NOT_FOUND;
    for (size_t at = 0; at < len; at += segment)
        sim_send(n->host, WHOLE_LAN_PATH, data + at, len - at < segment ? len - at : segment);
    return TL_OK;
}

void whole_lan_on_datagram(whole_node *n, uint8_t *data, size_t len)
{
    tl_slice bytes = tl_slice_of(data, len);
    tl_addr from = far_end(n->lan, n);
    tl_sock sock = pipe_of(n->lan, n);
    tl_stun stun;
    if (!n->lan->open)
        return;
    if (tl_control_is(bytes))
        (void)tl_direct_on_control(n->direct, sock, &from, bytes);
    else if (!tl_stun_is(bytes))
        tl_peers_on_train(n->peers, sock, &from, data, len, len);
    else if (!tl_stun_read(bytes, &stun))
        tl_direct_on_stun(n->direct, sock, &from, bytes, &stun);
}
