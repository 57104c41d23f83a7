#include "checks_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define SESSION     "3F2504E0-4F89-41D3-9A0C-0305E82C3301"
#define STUN_SERVER "198.51.100.53"

static const sim_faults line = {.delay = TL_MS};

struct waiting {
    struct waiting *next;
    size_t n;
    uint8_t data[];
};

static tl_sock sock_of_port(const end *e, const tl_addr *a)
{
    if (a->port == END_PORT)
        return a->family == TL_ADDR_V4 ? END_SOCK4 : END_SOCK6;
    tl_sock s = END_SEARCH + (tl_sock)a->port - END_PORT - 1;
    bool open = s >= END_SEARCH && s < END_SEARCH + e->n_search;
    return open || (s == e->search_left && s) ? s : 0;
}

static tl_addr addr_of_sock(const end *e, tl_sock sock)
{
    if (sock == END_SOCK6)
        return sim_addr(e->ip6, END_PORT);
    return sim_addr(e->ip4,
                    sock == END_SOCK4 ? END_PORT : (uint16_t)(END_PORT + 1 + sock - END_SEARCH));
}

static sim *world_of;

static void on_bytes(end *e, const uint8_t *data, size_t n)
{
    tl_addr from, to;
    tl_slice payload;
    tl_stun stun;
    if (!sim_inet_read(data, n, &from, &to, &payload) || e->deaf)
        return;
    tl_sock sock = sock_of_port(e, &to);
    if (sock && tl_stun_is(payload) && tl_stun_read(payload, &stun) == TL_OK)
        tl_checks_on_stun(e->checks, sock, &from, payload, &stun, sim_now(world_of));
}

static void on_datagram(void *user, uint32_t path, uint8_t *data, size_t n)
{
    end *e = user;
    (void)path;
    if (!e->frozen) {
        on_bytes(e, data, n);
        return;
    }
    struct waiting *w = malloc(sizeof *w + n);
    if (!w)
        abort();
    w->n = n;
    memcpy(w->data, data, n);
    LL_APPEND(e->waiting, w);
}

static void on_timer(void *user)
{
    end *e = user;
    tl_checks_on_timer(e->checks, sim_now(world_of));
}

static tl_time expiry(void *user)
{
    const end *e = user;
    return e->frozen ? TL_NEVER : tl_checks_expiry(e->checks);
}

static void on_event(end *e, const tl_checks_event *event)
{
    tl_time now = sim_now(world_of);
    sim_expect(e->n_events < END_EVENTS_MAX);
    e->events[e->n_events++] = *event;
    switch (event->type) {
    case TL_CHECKS_VALID:
        e->valid++;
        e->first_valid = e->first_valid ? e->first_valid : now;
        break;
    case TL_CHECKS_SILENT: e->silent++; break;
    case TL_CHECKS_LOST:
        e->lost++;
        e->first_lost = e->first_lost ? e->first_lost : now;
        break;
    case TL_CHECKS_DONE:
        sim_expect(!end_valid(e));
        e->done++;
        break;
    case TL_CHECKS_SOCKETS_DONE: {
        const tl_pair *p = event->pair ? tl_checks_pair(e->checks, event->pair) : NULL;
        sim_expect(!event->pair || p);
        e->search_left = p ? p->sock : 0;
        e->n_search = 0;
        e->sockets_done++;
        break;
    }
    }
}

static void flush(void *user)
{
    end *e = user;
    tl_checks_output o;
    tl_checks_event event;
    if (e->frozen)
        return;
    while (tl_checks_next_output(e->checks, sim_now(world_of), &o)) {
        tl_addr from = addr_of_sock(e, o.sock);
        e->wrote++;
        sim_inet_send(e->host, 1, &from, &o.to, o.bytes, o.n);
    }
    while (tl_checks_next_event(e->checks, &event))
        on_event(e, &event);
    sim_expect(tl_checks_expiry(e->checks) > sim_now(world_of));
}

void checks_world_place(checks_world *w, end *e, sim_site *site, const char *ip4, const char *ip6)
{
    static const sim_host_ops ops = {on_datagram, on_timer, expiry, flush};
    *e = (end){.site = site, .rand = tl_rand_seeded(tl_rand_u64(sim_rand(w->s)))};
    snprintf(e->ip4, sizeof e->ip4, "%s", ip4);
    snprintf(e->ip6, sizeof e->ip6, "%s", ip6);
    sim_expect(tl_identity_new(&e->rand, &e->identity) == TL_OK);
    e->host = sim_host_new(w->s, &ops, e);
    e->line = sim_inet_join(w->in, e->host, 1, site, ip4, &line);
    sim_inet_join(w->in, e->host, 1, site, ip6, &line);
}

static void end_checks(end *e, const end *other)
{
    tl_checks_config config = {
        .rand = &e->rand,
        .self = &e->identity,
        .peer = &other->identity.id,
        .session = SESSION,
        .tag = (uint32_t)tl_rand_u64(&e->rand),
        .sock4 = END_SOCK4,
        .sock6 = END_SOCK6,
        .keepalive = 25 * TL_SEC,
    };
    sim_expect(tl_checks_new(&config, &e->checks) == TL_OK);
}

void checks_world_empty(checks_world *w, uint64_t seed, const sim_faults *core)
{
    sim_expect(tl_crypto_init() == TL_OK);
    w->s = sim_new(seed);
    w->in = sim_inet_new(w->s, core);
    world_of = w->s;
}

void checks_world_begin(checks_world *w)
{
    end_checks(&w->a, &w->b);
    end_checks(&w->b, &w->a);
}

void checks_world_init(checks_world *w, uint64_t seed, const sim_nat_kind *a, const sim_nat_kind *b,
                       const sim_faults *faults)
{
    checks_world_empty(w, seed, faults);
    sim_site *site_a = a ? sim_inet_site(w->in, NULL, a, "203.0.113.1") : NULL;
    sim_site *site_b = b ? sim_inet_site(w->in, NULL, b, "198.51.100.1") : NULL;
    checks_world_place(w, &w->a, site_a, a ? "10.0.0.2" : "203.0.113.77", "2001:db8:a::2");
    checks_world_place(w, &w->b, site_b, b ? "10.0.0.3" : "198.51.100.77", "2001:db8:b::2");
    checks_world_begin(w);
}

static void end_clear(end *e)
{
    struct waiting *x, *tmp;
    LL_FOREACH_SAFE (e->waiting, x, tmp)
        free(x);
    tl_checks_free(e->checks);
    tl_identity_clear(&e->identity);
}

void checks_world_clear(checks_world *w)
{
    end_clear(&w->a);
    end_clear(&w->b);
    sim_inet_free(w->in);
    sim_free(w->s);
}

tl_addr end_host(const end *e)
{
    return sim_addr(e->ip4, END_PORT);
}

tl_addr end_host6(const end *e)
{
    return sim_addr(e->ip6, END_PORT);
}

tl_addr end_reflexive(checks_world *w, end *e)
{
    tl_addr host = end_host(e), server = sim_addr(STUN_SERVER, 3478);
    return sim_site_out(w->in, e->site, &host, &server);
}

void checks_tell_one(checks_world *w, end *to, tl_candidate_kind kind, const tl_addr *a)
{
    tl_candidate c = {kind, *a, tl_candidate_priority(kind, a, 0)};
    tl_checks_add_remote(to->checks, &c, sim_now(w->s));
    sim_wake(to->host);
}

void checks_tell(checks_world *w, end *from, end *to)
{
    tl_addr host = end_host(from), reflexive = end_reflexive(w, from);
    checks_tell_one(w, to, TL_CANDIDATE_HOST, &host);
    checks_tell_one(w, to, TL_CANDIDATE_SERVER_REFLEXIVE, &reflexive);
}

void end_start(checks_world *w, end *e)
{
    tl_checks_start(e->checks, sim_now(w->s));
    sim_wake(e->host);
}

void checks_search(checks_world *w, end *e, end *other)
{
    tl_sock socks[TL_BIRTHDAY_SOCKETS];
    for (size_t i = 0; i < TL_BIRTHDAY_SOCKETS; i++)
        socks[i] = END_SEARCH + (tl_sock)i;
    e->n_search = TL_BIRTHDAY_SOCKETS;
    tl_addr seen = end_reflexive(w, other), symmetric = end_reflexive(w, e);
    tl_checks_search_open(e->checks, &seen, socks, TL_BIRTHDAY_SOCKETS, sim_now(w->s));
    tl_checks_search_guess(other->checks, &symmetric, sim_now(w->s));
    sim_wake(e->host);
    sim_wake(other->host);
}

void end_freeze(end *e)
{
    e->frozen = true;
}

void end_thaw(checks_world *w, end *e)
{
    (void)w;
    e->frozen = false;
    struct waiting *x, *tmp;
    LL_FOREACH_SAFE (e->waiting, x, tmp) {
        on_bytes(e, x->data, x->n);
        free(x);
    }
    e->waiting = NULL;
    sim_wake(e->host);
}

const tl_pair *end_valid(const end *e)
{
    size_t n;
    const tl_pair *pairs = tl_checks_pairs(e->checks, &n);
    for (size_t i = 0; i < n; i++)
        if (pairs[i].state == TL_PAIR_VALID)
            return &pairs[i];
    return NULL;
}

bool both_valid(void *world)
{
    checks_world *w = world;
    return end_valid(&w->a) && end_valid(&w->b);
}
