#include "whole_net.h"

#include <stdio.h>
#include <stdlib.h>

#define TELL_AFTER    (20 * TL_MS) /* as net/network: answers of several servers come together */
#define SUSPECT_APART (1 * TL_SEC)

static void must_ok(tl_err e)
{
    if (e)
        abort();
}

/* --- telling --- */

static void tell(whole_net *w, bool moved)
{
    w->moved |= moved;
    if (w->change_at == TL_NEVER)
        w->change_at = sim_now(w->sim) + TELL_AFTER;
}

static void on_facts(void *user)
{
    whole_net *w = user;
    const tl_nat_facts *f = tl_behaviour_facts(w->behaviour);
    bool moved = (w->told4.family && f->public4.family && !tl_addr_eq(&w->told4, &f->public4)) ||
                 (w->told6.family && f->public6.family && !tl_addr_eq(&w->told6, &f->public6));
    if (f->public4.family)
        w->told4 = f->public4;
    if (f->public6.family)
        w->told6 = f->public6;
    tell(w, moved);
}

static tl_sock main_sock(const whole_net *w, tl_addr_family family)
{
    for (size_t i = 0; i < w->n_interfaces; i++)
        if (w->interfaces[i].addr.family == family)
            return family == TL_ADDR_V4 ? WHOLE_NET_SOCK4 : WHOLE_NET_SOCK6;
    return 0;
}

/* The interfaces are others. */
static void rebuild(whole_net *w)
{
    tl_behaviour_set_sockets(w->behaviour, main_sock(w, TL_ADDR_V4), main_sock(w, TL_ADDR_V6),
                             w->port, w->port, w->interfaces, w->n_interfaces);
    if (w->n_servers && w->n_interfaces)
        tl_behaviour_begin(w->behaviour, sim_now(w->sim));
    w->rebuilt = true;
    tell(w, true);
    sim_wake(w->host);
}

void whole_net_suspect(whole_net *w)
{
    tl_time now = sim_now(w->sim);
    if (!w->on || !w->n_servers || tl_behaviour_busy(w->behaviour) ||
        (w->suspected_at && now < w->suspected_at + SUSPECT_APART))
        return;
    w->suspected_at = now;
    tl_behaviour_look(w->behaviour, now);
    sim_wake(w->host);
}

/* --- life --- */

void whole_net_init(whole_net *w, sim *s, sim_host *host, tl_rand *rand,
                    const whole_net_events *events, void *user)
{
    static const tl_behaviour_events from_behaviour = {on_facts};
    *w = (whole_net){.sim = s,
                     .host = host,
                     .events = *events,
                     .user = user,
                     .look_at = TL_NEVER,
                     .change_at = TL_NEVER};
    w->port = (uint16_t)(20000 + tl_rand_below(rand, 30000));
    must_ok(tl_behaviour_new(rand, &from_behaviour, w, &w->behaviour));
}

void whole_net_clear(whole_net *w)
{
    tl_behaviour_free(w->behaviour);
    free(w->tallies);
    *w = (whole_net){.sim = NULL};
}

sim_link *whole_net_join(whole_net *w, sim_inet *in, uint32_t path, sim_site *site, const char *ip,
                         uint8_t prefix, const sim_faults *faults)
{
    if (w->n_interfaces == TL_INTERFACES_MAX)
        abort();
    tl_interface *i = &w->interfaces[w->n_interfaces];
    *i = (tl_interface){.addr = sim_addr(ip, 0), .prefix = prefix};
    snprintf(i->name, sizeof i->name, "if%u", path);
    w->paths[w->n_interfaces++] = path;
    w->in = in;
    w->on = true;
    sim_link *link = sim_inet_join(in, w->host, path, site, ip, faults);
    rebuild(w);
    return link;
}

void whole_net_leave(whole_net *w, const char *ip)
{
    tl_addr a = sim_addr(ip, 0);
    for (size_t i = 0; i < w->n_interfaces; i++) {
        if (!tl_addr_same_ip(&w->interfaces[i].addr, &a))
            continue;
        sim_inet_leave(w->in, w->host, ip);
        w->n_interfaces--;
        memmove(&w->interfaces[i], &w->interfaces[i + 1],
                (w->n_interfaces - i) * sizeof *w->interfaces);
        memmove(&w->paths[i], &w->paths[i + 1], (w->n_interfaces - i) * sizeof *w->paths);
        rebuild(w);
        return;
    }
    abort();
}

void whole_net_ask_server(whole_net *w, const tl_addr *server)
{
    tl_stun_server *s = &w->servers[w->n_servers++];
    tl_addr_write(s->name, server);
    s->addr = *server;
    tl_behaviour_set_servers(w->behaviour, w->servers, w->n_servers);
    if (w->n_interfaces)
        tl_behaviour_begin(w->behaviour, sim_now(w->sim));
    w->look_at = sim_now(w->sim) + tl_behaviour_keepalive(w->behaviour);
    sim_wake(w->host);
}

/* --- sending --- */

static uint16_t port_of(const whole_net *w, tl_sock sock)
{
    if (sock < WHOLE_NET_EXTRA)
        return sock ? w->port : 0;
    return sock - WHOLE_NET_EXTRA < WHOLE_NET_SOCKETS ? w->extra[sock - WHOLE_NET_EXTRA] : 0;
}

/* The interface by which `to` is reached: the one whose subnet it is on, else the first. */
static const tl_interface *interface_to(const whole_net *w, const tl_addr *to)
{
    const tl_interface *first = NULL;
    for (size_t i = 0; i < w->n_interfaces; i++) {
        const tl_interface *own = &w->interfaces[i];
        if (own->addr.family != to->family)
            continue;
        if (tl_addr_on_link(to, own, 1))
            return own;
        if (!first)
            first = own;
    }
    return first;
}

static whole_net_tally *tally_of(whole_net *w, const tl_addr *a)
{
    for (size_t i = 0; i < w->n_tallies; i++)
        if (tl_addr_eq(&w->tallies[i].to, a))
            return &w->tallies[i];
    if (w->n_tallies == w->cap_tallies) {
        w->cap_tallies = w->cap_tallies ? 2 * w->cap_tallies : 64;
        w->tallies = realloc(w->tallies, w->cap_tallies * sizeof *w->tallies);
        if (!w->tallies)
            abort();
    }
    w->tallies[w->n_tallies] = (whole_net_tally){.to = *a};
    return &w->tallies[w->n_tallies++];
}

static bool is_server(const whole_net *w, const tl_addr *a)
{
    for (size_t i = 0; i < w->n_servers; i++)
        if (tl_addr_same_ip(&w->servers[i].addr, a))
            return true;
    return false;
}

static void watch(whole_net *w, const tl_addr *to)
{
    bool ours = false; /* our own question, to see whether the NAT turns it round */
    for (size_t i = 0; !ours && i < 2; i++)
        ours = tl_addr_same_ip(i ? &w->told6 : &w->told4, to);
    if (is_server(w, to) || tl_addr_eq(to, &w->relay))
        return;
    if (ours) {
        w->forbidden += tl_addr_kind_of(to) == TL_ADDR_FORBIDDEN;
        return;
    }
    if (!tl_candidate_allowed(to, w->interfaces, w->n_interfaces, w->port)) {
        char text[TL_ADDR_TEXT_MAX];
        tl_addr_write(text, to);
        fprintf(stderr, "a datagram to %s\n", text);
        w->forbidden++;
    }
    whole_net_tally *t = tally_of(w, to);
    t->sent++;
    if (!t->heard_at)
        t->unheard++;
}

tl_err whole_net_send(whole_net *w, tl_sock sock, const tl_addr *to, const uint8_t *data, size_t n,
                      size_t segment)
{
    const tl_interface *via = interface_to(w, to);
    uint16_t port = port_of(w, sock);
    if (!port)
        return TL_ERR_NOT_FOUND;
    for (size_t at = 0; at < n; at += segment) {
        watch(w, to);
        if (!via)
            continue; /* no route: lost */
        tl_addr from = via->addr;
        from.port = port;
        sim_inet_send(w->host, w->paths[via - w->interfaces], &from, to, data + at,
                      n - at < segment ? n - at : segment);
    }
    return TL_OK;
}

size_t whole_net_open_sockets(whole_net *w, tl_sock *ret_socks, size_t n)
{
    size_t opened = 0;
    for (size_t i = 0; i < WHOLE_NET_SOCKETS && opened < n; i++) {
        if (w->extra[i])
            continue;
        w->extra[i] = (uint16_t)(60000 + i);
        ret_socks[opened++] = (tl_sock)(WHOLE_NET_EXTRA + i);
    }
    return opened;
}

void whole_net_close_socket(whole_net *w, tl_sock sock)
{
    if (port_of(w, sock) == 0 || sock < WHOLE_NET_EXTRA)
        abort(); /* not open */
    w->extra[sock - WHOLE_NET_EXTRA] = 0;
}

size_t whole_net_extra_sockets(const whole_net *w)
{
    size_t n = 0;
    for (size_t i = 0; i < WHOLE_NET_SOCKETS; i++)
        n += w->extra[i] != 0;
    return n;
}

bool whole_net_map(whole_net *w, sim_nat *nat)
{
    for (size_t i = 0; i < w->n_interfaces; i++) {
        tl_addr inside = w->interfaces[i].addr;
        if (inside.family != TL_ADDR_V4)
            continue;
        inside.port = w->port;
        w->mapped = sim_nat_map(nat, &inside);
        tell(w, false);
        sim_wake(w->host);
        return true;
    }
    return false;
}

/* --- what we are --- */

const tl_direct_self *whole_net_self(whole_net *w)
{
    const tl_nat_facts *facts = tl_behaviour_facts(w->behaviour);
    tl_candidate_sources s = {.interfaces = w->interfaces,
                              .n_interfaces = w->n_interfaces,
                              .port4 = main_sock(w, TL_ADDR_V4) ? w->port : 0,
                              .port6 = main_sock(w, TL_ADDR_V6) ? w->port : 0,
                              .mapped = w->mapped,
                              .reflexive4 = facts->public4,
                              .reflexive6 = facts->public6};
    w->self = (tl_direct_self){.sock4 = main_sock(w, TL_ADDR_V4),
                               .sock6 = main_sock(w, TL_ADDR_V6),
                               .port = w->port,
                               .candidates = w->candidates,
                               .n_candidates = tl_candidates_gather(&s, w->candidates),
                               .interfaces = w->interfaces,
                               .n_interfaces = w->n_interfaces,
                               .facts = facts,
                               .keepalive = tl_behaviour_keepalive(w->behaviour),
                               .lan = w->lan};
    return &w->self;
}

/* --- driving --- */

static tl_sock sock_at(const whole_net *w, const tl_addr *a)
{
    if (a->port == w->port)
        return a->family == TL_ADDR_V4 ? WHOLE_NET_SOCK4 : WHOLE_NET_SOCK6;
    for (size_t i = 0; i < WHOLE_NET_SOCKETS; i++)
        if (w->extra[i] == a->port && a->port)
            return (tl_sock)(WHOLE_NET_EXTRA + i);
    return 0;
}

static bool is_own(const whole_net *w, const tl_addr *a)
{
    for (size_t i = 0; i < w->n_interfaces; i++)
        if (tl_addr_same_ip(&w->interfaces[i].addr, a))
            return true;
    return false;
}

void whole_net_on_datagram(whole_net *w, uint8_t *data, size_t n)
{
    tl_addr from, to;
    tl_slice payload;
    tl_stun stun;
    if (!sim_inet_read(data, n, &from, &to, &payload) || !is_own(w, &to) || !sock_at(w, &to))
        return;
    tl_sock sock = sock_at(w, &to);
    if (!is_server(w, &from))
        tally_of(w, &from)->heard_at = sim_now(w->sim);
    if (payload.n && payload.p[0] == 0x0C) {
        if (w->events.on_control)
            (void)w->events.on_control(w->user, sock, &from, payload);
    } else if (!tl_stun_is(payload)) {
        w->events.on_train(w->user, sock, &from, data + (payload.p - data), payload.n, payload.n);
    } else if (tl_stun_read(payload, &stun) == TL_OK &&
               !tl_behaviour_on_stun(w->behaviour, sock, &from, payload, &stun, sim_now(w->sim))) {
        w->events.on_stun(w->user, sock, &from, payload, &stun);
    }
}

void whole_net_flush(whole_net *w)
{
    tl_stun_output o;
    while (tl_behaviour_next_output(w->behaviour, sim_now(w->sim), &o))
        (void)!whole_net_send(w, o.sock, &o.to, o.bytes, o.n, o.n);
}

void whole_net_on_timer(whole_net *w)
{
    tl_time now = sim_now(w->sim);
    if (now >= tl_behaviour_expiry(w->behaviour))
        tl_behaviour_on_timer(w->behaviour, now);
    if (now >= w->look_at) {
        w->look_at = now + tl_behaviour_keepalive(w->behaviour);
        if (w->n_interfaces && !tl_behaviour_busy(w->behaviour))
            tl_behaviour_look(w->behaviour, now);
    }
    if (now >= w->change_at) {
        bool moved = w->moved;
        w->change_at = TL_NEVER;
        w->moved = false;
        w->changes += moved;
        w->events.on_change(w->user, moved);
    }
}

tl_time whole_net_expiry(const whole_net *w)
{
    return tl_time_min(tl_behaviour_expiry(w->behaviour), tl_time_min(w->look_at, w->change_at));
}
