#include "inet.h"

#include <stdio.h>
#include <stdlib.h>

#define MEMBERS_MAX 64
#define SITES_MAX   32
#define HOPS_MAX    8
#define PAYLOAD_MAX 1600
#define CORE_OUT    UINT32_MAX /* the cloud's link to itself */
#define CORE_IN     (UINT32_MAX - 1)

/* Before each datagram: the two addresses as they are in memory, and a sum over them, so that an
 * altered header is dropped as a router would. */
typedef struct {
    tl_addr from, to;
    uint64_t sum;
} header;

typedef struct {
    sim_host *host;
    uint32_t path; /* the host's; the cloud's is the index of the first member with this link */
    uint32_t line;
    sim_link *link;
    sim_site *site;
    tl_addr ip;
    bool gone;
} member;

struct sim_site {
    sim_site *outer;
    sim_nat *nat, *firewall;
};

typedef struct {
    tl_addr to;
    uint64_t n;
} tally;

struct sim_inet {
    sim *sim;
    sim_host *cloud;
    sim_link *core;
    sim_site sites[SITES_MAX];
    size_t n_sites;
    member members[MEMBERS_MAX];
    size_t n;
    sim_inet_tap tap;
    void *tap_user;
    tally *tallies;
    size_t n_tallies, cap_tallies;
};

tl_addr sim_addr(const char *ip, uint16_t port)
{
    tl_addr a;
    if (tl_addr_parse_ip(tl_slice_str(ip), &a))
        abort();
    a.port = port;
    return a;
}

static uint64_t header_sum(const header *h)
{
    uint64_t sum = 14695981039346656037u;
    const tl_addr *both[] = {&h->from, &h->to};
    for (int i = 0; i < 2; i++) {
        sum = (sum ^ both[i]->port ^ (uint64_t)both[i]->family << 32) * 1099511628211u;
        sum = (sum ^ both[i]->scope) * 1099511628211u;
        for (size_t k = 0; k < sizeof both[i]->bytes; k++)
            sum = (sum ^ both[i]->bytes[k]) * 1099511628211u;
    }
    return sum;
}

static size_t pack(uint8_t *ret, const tl_addr *from, const tl_addr *to, tl_slice payload)
{
    header h = {.from = *from, .to = *to};
    h.sum = header_sum(&h);
    memcpy(ret, &h, sizeof h);
    memcpy(ret + sizeof h, payload.p, payload.n);
    return sizeof h + payload.n;
}

bool sim_inet_read(const uint8_t *data, size_t n, tl_addr *ret_from, tl_addr *ret_to,
                   tl_slice *ret_payload)
{
    header h;
    if (n < sizeof h)
        return false;
    memcpy(&h, data, sizeof h);
    if (h.sum != header_sum(&h))
        return false;
    *ret_from = h.from;
    *ret_to = h.to;
    *ret_payload = tl_slice_of(data + sizeof h, n - sizeof h);
    return true;
}

void sim_inet_send(sim_host *h, uint32_t path, const tl_addr *from, const tl_addr *to,
                   const uint8_t *data, size_t n)
{
    uint8_t buf[sizeof(header) + PAYLOAD_MAX];
    if (n <= PAYLOAD_MAX)
        sim_send(h, path, buf, pack(buf, from, to, tl_slice_of(data, n)));
}

/* --- routing --- */

static void count(sim_inet *in, const tl_addr *to)
{
    for (size_t i = 0; i < in->n_tallies; i++)
        if (tl_addr_eq(&in->tallies[i].to, to)) {
            in->tallies[i].n++;
            return;
        }
    if (in->n_tallies == in->cap_tallies) {
        in->cap_tallies = in->cap_tallies ? 2 * in->cap_tallies : 64;
        in->tallies = realloc(in->tallies, in->cap_tallies * sizeof *in->tallies);
        if (!in->tallies)
            abort();
    }
    in->tallies[in->n_tallies++] = (tally){*to, 1};
}

uint64_t sim_inet_sent_to(const sim_inet *in, const tl_addr *to)
{
    for (size_t i = 0; i < in->n_tallies; i++)
        if (tl_addr_eq(&in->tallies[i].to, to))
            return in->tallies[i].n;
    return 0;
}

static const member *member_at(const sim_inet *in, const sim_site *site, const tl_addr *a)
{
    for (size_t i = 0; i < in->n; i++)
        if (!in->members[i].gone && in->members[i].site == site &&
            tl_addr_same_ip(&in->members[i].ip, a))
            return &in->members[i];
    return NULL;
}

/* The site just inside `site` whose border this address is at; with IPv6, that has it inside. */
static sim_site *site_behind(sim_inet *in, const sim_site *site, const tl_addr *a)
{
    for (size_t i = 0; i < in->n_sites; i++) {
        sim_site *s = &in->sites[i];
        if (s->outer != site)
            continue;
        if (a->family == TL_ADDR_V4 ? tl_addr_same_ip(sim_nat_ip(s->nat), a)
                                    : member_at(in, s, a) || site_behind(in, s, a))
            return s;
    }
    return NULL;
}

static sim_nat *border(const sim_site *site, const tl_addr *a)
{
    return a->family == TL_ADDR_V4 ? site->nat : site->firewall;
}

static void carry(sim_inet *in, uint32_t line, const tl_addr *from, const tl_addr *to,
                  tl_slice payload)
{
    uint8_t buf[sizeof(header) + PAYLOAD_MAX];
    sim_send(in->cloud, line, buf, pack(buf, from, to, payload));
}

tl_addr sim_site_out(sim_inet *in, sim_site *site, const tl_addr *inside, const tl_addr *remote)
{
    tl_addr from = *inside;
    for (; site; site = site->outer)
        from = sim_nat_out(border(site, &from), &from, remote, sim_now(in->sim));
    return from;
}

static void deliver(sim_inet *in, const member *m, const tl_addr *from, const tl_addr *to,
                    tl_slice payload)
{
    if (in->tap && !in->tap(in->tap_user, m->host, from, to, payload))
        return;
    carry(in, m->line, from, to, payload);
}

static void route(sim_inet *in, sim_site *site, tl_addr from, tl_addr to, tl_slice payload)
{
    tl_time now = sim_now(in->sim);
    for (int hops = 0; hops < HOPS_MAX; hops++) {
        const member *m = member_at(in, site, &to);
        if (m) {
            deliver(in, m, &from, &to, payload);
            return;
        }
        sim_site *inner = site_behind(in, site, &to);
        if (inner) {
            if (!sim_nat_in(border(inner, &to), &from, &to, now, &to))
                return;
            site = inner;
            continue;
        }
        if (!site)
            return; /* no such address */
        sim_nat *nat = border(site, &from);
        bool turns = tl_addr_same_ip(sim_nat_ip(nat), &to);
        if (turns && !sim_nat_kind_of(nat)->hairpin)
            return;
        from = sim_nat_out(nat, &from, &to, now);
        site = site->outer;
        if (!site && !turns) {
            carry(in, CORE_OUT, &from, &to, payload);
            return;
        }
    }
}

static void on_datagram(void *user, uint32_t path, uint8_t *data, size_t n)
{
    sim_inet *in = user;
    tl_addr from, to;
    tl_slice payload;
    if (!sim_inet_read(data, n, &from, &to, &payload) || payload.n > PAYLOAD_MAX)
        return;
    if (path == CORE_IN) {
        route(in, NULL, from, to, payload);
        return;
    }
    count(in, &to);
    for (size_t i = 0; i < in->n; i++) {
        const member *m = &in->members[i];
        if (m->line != path || m->gone || (m->site && !tl_addr_same_ip(&m->ip, &from)))
            continue;
        if (m->site)
            route(in, m->site, from, to, payload);
        else
            carry(in, CORE_OUT, &from, &to, payload);
        return;
    }
}

static void nothing(void *user)
{
    (void)user;
}

static tl_time never(void *user)
{
    (void)user;
    return TL_NEVER;
}

/* --- building --- */

sim_inet *sim_inet_new(sim *s, const sim_faults *core)
{
    static const sim_host_ops ops = {on_datagram, nothing, never, nothing};
    sim_inet *in = calloc(1, sizeof *in);
    if (!in)
        abort();
    in->sim = s;
    in->cloud = sim_host_new(s, &ops, in);
    in->core = sim_link_new(s, in->cloud, CORE_OUT, in->cloud, CORE_IN, core);
    return in;
}

sim_link *sim_inet_core(sim_inet *in)
{
    return in->core;
}

void sim_inet_free(sim_inet *in)
{
    for (size_t i = 0; i < in->n_sites; i++) {
        sim_nat_free(in->sites[i].nat);
        sim_nat_free(in->sites[i].firewall);
    }
    free(in->tallies);
    free(in);
}

sim_site *sim_inet_site(sim_inet *in, sim_site *outer, const sim_nat_kind *kind, const char *ip)
{
    if (in->n_sites == SITES_MAX)
        abort();
    sim_site *site = &in->sites[in->n_sites++];
    tl_addr a = sim_addr(ip, 0), none = {.family = TL_ADDR_NONE};
    sim_nat_kind firewall = *kind;
    firewall.mapping = TL_MAPPING_NONE;
    site->outer = outer;
    site->nat = sim_nat_new(sim_rand(in->sim), kind, &a);
    site->firewall = sim_nat_new(sim_rand(in->sim), &firewall, &none);
    return site;
}

sim_nat *sim_site_nat(sim_site *site)
{
    return site->nat;
}

sim_link *sim_inet_join(sim_inet *in, sim_host *h, uint32_t path, sim_site *site, const char *ip,
                        const sim_faults *faults)
{
    if (in->n == MEMBERS_MAX)
        abort();
    member *m = &in->members[in->n];
    *m = (member){.host = h, .path = path, .site = site, .ip = sim_addr(ip, 0)};
    m->line = (uint32_t)in->n;
    for (size_t i = 0; i < in->n && !m->link; i++)
        if (in->members[i].host == h && in->members[i].path == path) {
            m->line = in->members[i].line;
            m->link = in->members[i].link;
        }
    if (!m->link)
        m->link = sim_link_new(in->sim, h, path, in->cloud, m->line, faults);
    in->n++;
    return m->link;
}

void sim_inet_leave(sim_inet *in, sim_host *h, const char *ip)
{
    tl_addr a = sim_addr(ip, 0);
    for (size_t i = 0; i < in->n; i++)
        if (in->members[i].host == h && tl_addr_same_ip(&in->members[i].ip, &a))
            in->members[i].gone = true;
}

void sim_inet_set_tap(sim_inet *in, sim_inet_tap tap, void *user)
{
    in->tap = tap;
    in->tap_user = user;
}
