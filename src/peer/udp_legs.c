/* The legs: one for each relay address, shared by all ways that go over it. */
#include "peer/state.h"

static tl_sock sock_of(const tl_peers *p, const tl_addr *relay)
{
    const tl_direct_self *self = p->config.udp->self(p->config.udp_user);
    return relay->family == TL_ADDR_V6 ? self->sock6 : self->sock4;
}

tl_udp_leg *tl_udp_leg_at(tl_peers *p, const tl_addr *relay)
{
    for (size_t i = 0; i < TL_UDP_LEGS_MAX; i++)
        if (p->udp_legs[i].users && tl_addr_eq(&p->udp_legs[i].leg.relay, relay))
            return &p->udp_legs[i];
    return NULL;
}

bool tl_peers_is_relay(tl_peers *p, const tl_addr *from)
{
    return tl_udp_leg_at(p, from) != NULL;
}

static tl_udp_leg *free_place(tl_peers *p)
{
    for (size_t i = 0; i < TL_UDP_LEGS_MAX; i++)
        if (!p->udp_legs[i].users)
            return &p->udp_legs[i];
    return NULL;
}

tl_udp_leg *tl_udp_leg_get(tl_peers *p, const char *hostport)
{
    tl_addr addrs[2];
    size_t n = p->config.udp->find(p->config.udp_user, hostport, addrs);
    for (size_t i = 0; i < n; i++) {
        tl_addr relay = tl_addr_normal(addrs[i]);
        if (!sock_of(p, &relay))
            continue;
        tl_udp_leg *leg = tl_udp_leg_at(p, &relay);
        if (!leg && (leg = free_place(p)))
            leg->leg = tl_leg_new(&relay);
        if (leg)
            leg->users++;
        return leg;
    }
    return NULL;
}

void tl_udp_leg_put(tl_udp_leg *leg)
{
    if (--leg->users == 0)
        tl_leg_rest(&leg->leg);
}

tl_err tl_udp_leg_send(tl_peers *p, const tl_udp_leg *leg, tl_slice prefix, const uint8_t *data,
                       size_t n, size_t segment)
{
    tl_sock sock = sock_of(p, &leg->leg.relay);
    if (!sock)
        return TL_ERR_UNREACHABLE;
    return p->config.udp->send(p->config.udp_user, sock, &leg->leg.relay, prefix, data, n, segment);
}

static void ask(tl_peers *p, tl_udp_leg *leg, tl_time now)
{
    tl_stun_writer question;
    if (tl_leg_ask(&leg->leg, p->config.rand, now, &question))
        (void)!tl_udp_leg_send(p, leg, tl_slice_of(NULL, 0), question.bytes, question.n,
                               question.n);
    tl_peers_due(p, tl_leg_expiry(&leg->leg));
}

void tl_udp_leg_doubt(tl_peers *p, tl_udp_leg *leg)
{
    tl_time now = tl_peers_now(p);
    tl_leg_want(&leg->leg, now);
    tl_leg_doubt(&leg->leg, now);
    ask(p, leg, now);
}

void tl_udp_on_moved(tl_peers *p)
{
    for (size_t i = 0; i < TL_UDP_LEGS_MAX; i++)
        if (p->udp_legs[i].users)
            tl_udp_leg_doubt(p, &p->udp_legs[i]);
}

tl_time tl_udp_legs_on_timer(tl_peers *p, tl_time now)
{
    tl_time due = TL_NEVER;
    for (size_t i = 0; i < TL_UDP_LEGS_MAX; i++) {
        tl_udp_leg *leg = &p->udp_legs[i];
        if (!leg->users)
            continue;
        if (tl_leg_on_timer(&leg->leg, now))
            tl_udp_on_leg(p, leg, now);
        ask(p, leg, now);
        due = tl_time_min(due, tl_leg_expiry(&leg->leg));
    }
    return due;
}

tl_leg_state tl_peers_relay_leg(const tl_peers *p)
{
    tl_leg_state known = TL_LEG_RESTING;
    for (size_t i = 0; i < TL_UDP_LEGS_MAX; i++) {
        if (!p->udp_legs[i].users || known == TL_LEG_OPEN)
            continue;
        if (p->udp_legs[i].leg.state != TL_LEG_RESTING)
            known = p->udp_legs[i].leg.state;
    }
    return known;
}
