/* The local network: where peers are there, pipes to them, and who may greet us from there. */
#include "direct/state.h"

bool tl_near_is(const tl_direct *d, const tl_node_id *peer)
{
    tl_addr addrs[TL_DIRECT_NEAR_MAX];
    return d->world.near && d->world.near(d->user, peer, addrs) > 0;
}

/* With IPv4, and global IPv6, this is also what an introducer does for a node that reaches it. But a neighbour needs no
 * leave to ask: the announcement has told it all that an answer tells. */
bool tl_near_came(const tl_direct *d, tl_sock sock, const tl_addr *from)
{
    const tl_direct_self *self = d->world.self(d->user);
    return self->lan && (tl_sock_is_pipe(sock) ||
                         tl_addr_is_near(from, self->interfaces, self->n_interfaces, self->port));
}

bool tl_near_own(const tl_direct *d, const tl_addr *neighbour, tl_addr *ret_own)
{
    const tl_direct_self *self = d->world.self(d->user);
    if (!self->port || !tl_addr_beside(neighbour, self->interfaces, self->n_interfaces, ret_own))
        return false;
    ret_own->port = self->port;
    ret_own->scope = 0;
    return true;
}

/* Also where TCP answers and UDP is not let in: then it costs five datagrams. */
static bool add_udp(tl_session *s, const tl_addr *addr)
{
    tl_direct *d = s->peer->direct;
    const tl_direct_self *self = d->world.self(d->user);
    tl_candidate c = {TL_CANDIDATE_HOST, *addr, tl_candidate_priority(TL_CANDIDATE_HOST, addr, 0)};
    if (!tl_addr_is_near(addr, self->interfaces, self->n_interfaces, self->port)) {
        s->refused++;
        d->counters.candidates_refused++;
        return false;
    }
    tl_attempt_note(s->peer, "on the local network:", addr);
    tl_checks_add_remote(s->checks, &c, tl_direct_now(d));
    return true;
}

bool tl_near_add(tl_session *s, tl_sock sock, const tl_addr *from, uint16_t port)
{
    tl_addr udp = *from;
    bool pipe = tl_sock_is_pipe(sock);
    if (pipe) {
        udp.port = port;
        tl_checks_add_pipe(s->checks, sock, from, tl_direct_now(s->peer->direct));
    }
    return add_udp(s, &udp) || pipe;
}

void tl_near_join(tl_session *s)
{
    const tl_direct *d = s->peer->direct;
    tl_addr addrs[TL_DIRECT_NEAR_MAX];
    tl_direct_pipe pipes[TL_DIRECT_PIPES_MAX];
    if (!d->world.near || !tl_session_started(s))
        return;
    size_t n = d->world.near(d->user, &s->peer->id, addrs);
    for (size_t i = 0; i < n; i++)
        (void)add_udp(s, &addrs[i]);
    n = d->world.pipes(d->user, &s->peer->id, pipes);
    for (size_t i = 0; i < n; i++)
        tl_checks_add_pipe(s->checks, pipes[i].sock, &pipes[i].remote, tl_direct_now(d));
    tl_session_pump(s);
}

/* --- what the owner tells --- */

bool tl_direct_is_near(const tl_direct *d, const tl_node_id *peer)
{
    return d->enabled && tl_near_is(d, peer);
}

void tl_direct_on_near(tl_direct *d, const tl_node_id *peer)
{
    tl_direct_peer *p = tl_direct_peer_find(d, peer);
    if (!p || !d->enabled || !p->wanted)
        return;
    if (p->now && tl_session_started(p->now)) {
        tl_near_join(p->now);
        if (d->world.greet)
            (void)d->world.greet(d->user, peer, NULL);
        tl_direct_settle(d);
    } else {
        tl_direct_hurry(d, peer);
    }
    tl_attempt_check(p);
}

bool tl_direct_on_pipe(tl_direct *d, const tl_node_id *peer, const tl_direct_pipe *pipe,
                       uint8_t ret_nonce[TL_CONTROL_NONCE_SIZE])
{
    tl_direct_peer *p = tl_direct_peer_find(d, peer);
    if (!p || !d->enabled || !p->now)
        return false;
    if (p->now->state == TL_SESSION_OFFERED)
        return p->now->introduced && !tl_hex_parse(tl_slice_str(tl_checks_session(p->now->checks)),
                                                   false, ret_nonce, TL_CONTROL_NONCE_SIZE);
    if (tl_session_started(p->now)) {
        tl_checks_add_pipe(p->now->checks, pipe->sock, &pipe->remote, tl_direct_now(d));
        tl_session_pump(p->now);
        tl_direct_settle(d);
        tl_attempt_check(p);
    }
    return false;
}

static void drop_pipe(tl_session *s, tl_sock pipe)
{
    if (!s)
        return;
    tl_checks_drop_pipe(s->checks, pipe, tl_direct_now(s->peer->direct));
    tl_session_pump(s);
}

void tl_direct_on_pipe_closed(tl_direct *d, tl_sock pipe)
{
    tl_direct_peer *p, *next;
    HASH_ITER (hh, d->peers, p, next) {
        drop_pipe(p->now, pipe);
        drop_pipe(p->old, pipe);
    }
    tl_direct_settle(d);
}

bool tl_direct_is_held(const tl_direct *d, tl_path_id path)
{
    const tl_way_entry *way = tl_way_find(d, path);
    const tl_pair *pair = way ? tl_way_pair(way) : NULL;
    return pair && tl_sock_is_pipe(pair->sock) && d->world.pipe_full &&
           d->world.pipe_full(d->user, pair->sock);
}
