#include "nat.h"

#include <stdlib.h>

#define PORT_MIN         1024
#define DEFAULT_LIFETIME (120 * TL_SEC)

typedef struct {
    tl_addr remote;
    tl_time at;
} contact;

typedef struct {
    tl_addr inside;
    tl_addr remote; /* whom it is for: NONE, an address, or an address and port */
    uint16_t port;  /* outside */
    bool fixed;     /* a port mapping */
    tl_time at;
    contact *contacts;
    size_t n_contacts, cap_contacts;
} mapping;

struct sim_nat {
    tl_rand *rand;
    sim_nat_kind kind;
    tl_addr ip;
    mapping *mappings;
    size_t n, cap;
};

/* Room for one more of `size` bytes. */
static void *grown(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    *cap = *cap ? 2 * *cap : 4;
    array = realloc(array, *cap * size);
    if (!array)
        abort();
    return array;
}

sim_nat *sim_nat_new(tl_rand *rand, const sim_nat_kind *kind, const tl_addr *ip)
{
    sim_nat *n = calloc(1, sizeof *n);
    if (!n)
        abort();
    n->rand = rand;
    n->kind = *kind;
    n->ip = *ip;
    if (!n->kind.lifetime)
        n->kind.lifetime = DEFAULT_LIFETIME;
    return n;
}

void sim_nat_free(sim_nat *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n; i++)
        free(n->mappings[i].contacts);
    free(n->mappings);
    free(n);
}

const sim_nat_kind *sim_nat_kind_of(const sim_nat *n)
{
    return &n->kind;
}

const tl_addr *sim_nat_ip(const sim_nat *n)
{
    return &n->ip;
}

static void expire(sim_nat *n, tl_time now)
{
    for (size_t i = n->n; i-- > 0;) {
        if (n->mappings[i].fixed || now < n->mappings[i].at + n->kind.lifetime)
            continue;
        free(n->mappings[i].contacts);
        n->mappings[i] = n->mappings[--n->n];
    }
}

static bool port_is_free(const sim_nat *n, uint16_t port)
{
    for (size_t i = 0; i < n->n; i++)
        if (n->mappings[i].port == port)
            return false;
    return true;
}

static uint16_t choose_port(sim_nat *n, uint16_t wished)
{
    if (n->kind.preserve_ports && wished && port_is_free(n, wished))
        return wished;
    uint16_t port;
    do
        port = (uint16_t)(PORT_MIN + tl_rand_below(n->rand, 65536 - PORT_MIN));
    while (!port_is_free(n, port));
    return port;
}

/* What of the remote address a mapping depends on. */
static tl_addr mapping_key(const sim_nat *n, const tl_addr *remote)
{
    tl_addr key = {.family = TL_ADDR_NONE};
    if (n->kind.mapping == TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT)
        return *remote;
    if (n->kind.mapping == TL_MAPPING_ADDRESS_DEPENDENT) {
        key = *remote;
        key.port = 0;
    }
    return key;
}

static mapping *mapping_new(sim_nat *n, const tl_addr *inside, const tl_addr *key)
{
    uint16_t port =
        n->kind.mapping == TL_MAPPING_NONE ? inside->port : choose_port(n, inside->port);
    n->mappings = grown(n->mappings, n->n, &n->cap, sizeof *n->mappings);
    mapping *m = &n->mappings[n->n++];
    *m = (mapping){.inside = *inside, .remote = *key, .port = port};
    return m;
}

static void note_contact(mapping *m, const tl_addr *remote, tl_time now)
{
    for (size_t i = 0; i < m->n_contacts; i++)
        if (tl_addr_eq(&m->contacts[i].remote, remote)) {
            m->contacts[i].at = now;
            return;
        }
    m->contacts = grown(m->contacts, m->n_contacts, &m->cap_contacts, sizeof *m->contacts);
    m->contacts[m->n_contacts++] = (contact){*remote, now};
}

static tl_addr outside_of(const sim_nat *n, const mapping *m)
{
    if (n->kind.mapping == TL_MAPPING_NONE)
        return m->inside;
    tl_addr a = n->ip;
    a.port = m->port;
    return a;
}

tl_addr sim_nat_out(sim_nat *n, const tl_addr *inside, const tl_addr *remote, tl_time now)
{
    expire(n, now);
    tl_addr key = mapping_key(n, remote);
    mapping *m = NULL;
    for (size_t i = 0; i < n->n && !(m && m->fixed); i++) /* a port mapping before all others */
        if (tl_addr_eq(&n->mappings[i].inside, inside) &&
            (n->mappings[i].fixed || tl_addr_eq(&n->mappings[i].remote, &key)))
            m = &n->mappings[i];
    if (!m)
        m = mapping_new(n, inside, &key);
    m->at = now;
    note_contact(m, remote, now);
    return outside_of(n, m);
}

static bool lets_in(const sim_nat *n, const mapping *m, const tl_addr *remote, tl_time now)
{
    if (m->fixed || n->kind.filtering == TL_FILTERING_ENDPOINT_INDEPENDENT)
        return true;
    for (size_t i = 0; i < m->n_contacts; i++) {
        const contact *c = &m->contacts[i];
        if (now < c->at + n->kind.lifetime && tl_addr_same_ip(&c->remote, remote) &&
            (n->kind.filtering == TL_FILTERING_ADDRESS_DEPENDENT || c->remote.port == remote->port))
            return true;
    }
    return false;
}

bool sim_nat_in(sim_nat *n, const tl_addr *remote, const tl_addr *outside, tl_time now,
                tl_addr *ret_inside)
{
    expire(n, now);
    for (size_t i = 0; i < n->n; i++) {
        const mapping *m = &n->mappings[i];
        tl_addr ours = outside_of(n, m);
        if (tl_addr_eq(&ours, outside) && lets_in(n, m, remote, now)) {
            *ret_inside = m->inside;
            return true;
        }
    }
    return false;
}

void sim_nat_reboot(sim_nat *n)
{
    for (size_t i = n->n; i-- > 0;) {
        if (n->mappings[i].fixed)
            continue;
        free(n->mappings[i].contacts);
        n->mappings[i] = n->mappings[--n->n];
    }
}

void sim_nat_move(sim_nat *n, const tl_addr *ip)
{
    n->ip = *ip;
    for (size_t i = 0; i < n->n; i++)
        n->mappings[i].fixed = false;
    sim_nat_reboot(n);
}

tl_addr sim_nat_map(sim_nat *n, const tl_addr *inside)
{
    tl_addr nobody = {.family = TL_ADDR_NONE};
    mapping *m = mapping_new(n, inside, &nobody);
    m->fixed = true;
    return outside_of(n, m);
}

size_t sim_nat_mappings(const sim_nat *n, tl_time now)
{
    size_t count = 0;
    for (size_t i = 0; i < n->n; i++)
        count += !n->mappings[i].fixed && now < n->mappings[i].at + n->kind.lifetime;
    return count;
}
