/* Datagrams, in both directions. Only this file chooses by a path's kind where a datagram is sent:
 * a relayed one through the relay link, a direct one through direct/ to a UDP socket. */
#include "peer/state.h"

/* --- in --- */

void tl_peers_on_datagram(tl_peers *p, tl_path_id path, uint8_t *data, size_t n)
{
    const tl_env *env = &p->config.env;
    tl_quic_on_datagram(p->quic, path, data, n, tl_peers_now(p), env->wall(env->user));
    tl_peers_wake(p);
}

void tl_peers_on_train(tl_peers *p, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                       size_t segment)
{
    if (!p->config.direct || segment == 0)
        return;
    for (size_t at = 0; at < n; at += segment) {
        size_t len = n - at < segment ? n - at : segment;
        bool client;
        tl_path_id known = tl_quic_path_of(p->quic, tl_slice_of(data + at, len), &client);
        tl_path_id path = tl_direct_path_of(p->config.direct, sock, from, known, client);
        if (path)
            tl_peers_on_datagram(p, path, data + at, len);
    }
    tl_peers_wake(p);
}

/* --- out --- */

bool tl_traffic_is_held(void *user, tl_path_id id)
{
    const tl_peers *p = user;
    const tl_path *path = tl_path_find(p, id);
    if (!path)
        return false; /* datagrams for that path are lost, not kept */
    switch (path->kind) {
    case TL_PATH_SESSION: return !p->events.may_send(p->user);
    case TL_PATH_DIRECT:
    case TL_PATH_LENT: return false;
    }
    return false;
}

static void send_through_relay(tl_peers *p, const tl_quic_output *o)
{
    for (size_t at = 0; at < o->n; at += o->segment) {
        size_t n = o->n - at < o->segment ? o->n - at : o->segment;
        /* On an error it is lost, as on any network; the link counts it. */
        (void)!tl_relay_link_send(p->config.link, o->path, tl_slice_of(p->out + at, n));
    }
}

static void send_train(tl_peers *p, const tl_quic_output *o)
{
    const tl_path *path = tl_path_find(p, o->path);
    if (!path) {
        p->counters.pathless++;
        return;
    }
    switch (path->kind) {
    case TL_PATH_SESSION: send_through_relay(p, o); break;
    case TL_PATH_DIRECT:
        /* On an error it is lost, as on any network; the owner of the sockets counts it. */
        (void)!tl_direct_send(p->config.direct, o->path, p->out, o->n, o->segment);
        break;
    case TL_PATH_LENT: p->counters.pathless++; break;
    }
}

void tl_traffic_send(tl_peers *p)
{
    tl_quic_output o;
    while (tl_quic_next_output(p->quic, p->out, tl_peers_now(p), &o))
        send_train(p, &o);
}
