#include "natmodel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAPPINGS 512
#define PACKETS  256
#define FILTERS  64

typedef struct {
    bool used;
    tl_addr key; /* of the destination, as far as the mapping depends on it */
    uint16_t port;
    tl_time used_at;
    size_t n;
    tl_addr sent_to[FILTERS];
    tl_time sent_at[FILTERS];
} mapping;

typedef struct {
    tl_time at;
    uint64_t seq;
    bool in; /* for the client, behind the NAT; else for a server */
    tl_addr from, to;
    size_t n;
    uint8_t bytes[TL_STUN_MAX];
} packet;

struct model {
    tl_time now;
    uint64_t seq;
    tl_rand rand, client_rand;
    model_nat nat;
    size_t n_servers;
    model_server servers[MODEL_SERVERS];
    mapping mappings[MAPPINGS];
    size_t n_packets;
    packet packets[PACKETS];
    tl_behaviour *client;
    unsigned told, astray;
    tl_stun_output last;
};

tl_addr model_addr(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static void on_facts(void *user)
{
    ((model *)user)->told++;
}

void model_restart(model *m)
{
    static const tl_behaviour_events events = {.on_facts = on_facts};
    tl_behaviour_free(m->client);
    assert_int_equal(tl_behaviour_new(&m->client_rand, &events, m, &m->client), TL_OK);
}

model *model_new(uint64_t seed)
{
    model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->now = 1000 * TL_SEC;
    m->rand = tl_rand_seeded(seed);
    m->client_rand = tl_rand_seeded(seed + 1);
    m->nat = (model_nat){.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                         .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                         .lifetime = 120 * TL_SEC};
    m->nat.ip = model_addr("203.0.113.7:1");
    model_restart(m);
    return m;
}

void model_free(model *m)
{
    tl_behaviour_free(m->client);
    free(m);
}

model_nat *model_nat_of(model *m)
{
    return &m->nat;
}

tl_behaviour *model_client(model *m)
{
    return m->client;
}

tl_time model_now(const model *m)
{
    return m->now;
}

unsigned model_told(const model *m)
{
    return m->told;
}

unsigned model_astray(const model *m)
{
    return m->astray;
}

tl_slice model_last(const model *m, tl_addr *ret_to)
{
    *ret_to = m->last.to;
    return tl_slice_of(m->last.bytes, m->last.n);
}

model_server *model_add(model *m, const char *addr, const char *other)
{
    assert_true(m->n_servers < MODEL_SERVERS);
    model_server *s = &m->servers[m->n_servers++];
    *s = (model_server){.addr = model_addr(addr), .delay = (10 + m->n_servers) * TL_MS};
    if (other)
        s->other = model_addr(other);
    return s;
}

void model_begin(model *m)
{
    bool is_public = m->nat.mapping == TL_MAPPING_NONE;
    tl_interface own = {.addr = is_public ? m->nat.ip : model_addr("192.168.1.10:1"), .prefix = 24};
    own.addr.port = 0;
    tl_stun_server list[MODEL_SERVERS];
    memset(list, 0, sizeof list);
    for (size_t i = 0; i < m->n_servers; i++)
        list[i].addr = m->servers[i].addr;
    tl_behaviour_set_sockets(m->client, 1, 2, MODEL_PORT, MODEL_PORT, &own, 1);
    tl_behaviour_set_servers(m->client, list, m->n_servers);
    tl_behaviour_begin(m->client, m->now);
}

void model_reboot(model *m)
{
    memset(m->mappings, 0, sizeof m->mappings);
}

/* --- the way of a packet --- */

static void put(model *m, tl_time delay, bool in, const tl_addr *from, const tl_addr *to,
                const uint8_t *bytes, size_t n)
{
    if (m->nat.loss_percent && tl_rand_below(&m->rand, 100) < m->nat.loss_percent)
        return;
    assert_true(m->n_packets < PACKETS);
    packet *p = &m->packets[m->n_packets++];
    *p =
        (packet){.at = m->now + delay, .seq = m->seq++, .in = in, .from = *from, .to = *to, .n = n};
    memcpy(p->bytes, bytes, n);
}

static tl_addr key_of(const model *m, const tl_addr *to)
{
    tl_addr key = *to;
    if (m->nat.mapping == TL_MAPPING_ENDPOINT_INDEPENDENT || m->nat.mapping == TL_MAPPING_NONE)
        return (tl_addr){.family = TL_ADDR_NONE};
    if (m->nat.mapping == TL_MAPPING_ADDRESS_DEPENDENT)
        key.port = 0;
    return key;
}

static bool is_alive(const model *m, const mapping *p)
{
    return p->used && m->now < p->used_at + m->nat.lifetime;
}

static bool is_taken(const model *m, uint16_t port)
{
    for (size_t i = 0; i < MAPPINGS; i++)
        if (is_alive(m, &m->mappings[i]) && m->mappings[i].port == port)
            return true;
    return false;
}

static mapping *mapping_to(model *m, const tl_addr *to)
{
    tl_addr key = key_of(m, to);
    mapping *empty = NULL;
    for (size_t i = 0; i < MAPPINGS; i++) {
        mapping *p = &m->mappings[i];
        if (is_alive(m, p) && tl_addr_eq(&p->key, &key))
            return p;
        if (!is_alive(m, p) && !empty)
            empty = p;
    }
    assert_non_null(empty);
    uint16_t port = MODEL_PORT;
    if (m->nat.mapping != TL_MAPPING_NONE)
        while (!(m->nat.preserves_port && port == MODEL_PORT && !is_taken(m, port)) &&
               (port == MODEL_PORT || is_taken(m, port)))
            port = (uint16_t)(20000 + tl_rand_below(&m->rand, 20000));
    *empty = (mapping){.used = true, .key = key, .port = port};
    return empty;
}

static void come_in(model *m, tl_time delay, const tl_addr *from, const tl_addr *to,
                    const uint8_t *bytes, size_t n)
{
    if (to->family == TL_ADDR_V6)
        put(m, delay, true, from, to, bytes, n);
    if (!tl_addr_same_ip(to, &m->nat.ip))
        return;
    for (size_t i = 0; i < MAPPINGS; i++) {
        const mapping *p = &m->mappings[i];
        if (!is_alive(m, p) || p->port != to->port)
            continue;
        bool pass = m->nat.filtering == TL_FILTERING_ENDPOINT_INDEPENDENT;
        for (size_t k = 0; k < p->n; k++)
            if (m->now < p->sent_at[k] + m->nat.lifetime)
                pass |= m->nat.filtering == TL_FILTERING_ADDRESS_DEPENDENT
                            ? tl_addr_same_ip(&p->sent_to[k], from)
                            : tl_addr_eq(&p->sent_to[k], from);
        if (pass)
            put(m, delay, true, from, to, bytes, n);
        return;
    }
}

static void go_out(model *m, const tl_stun_output *out)
{
    mapping *p = mapping_to(m, &out->to);
    tl_addr from = m->nat.ip;
    from.port = p->port;
    p->used_at = m->now;
    size_t i = 0;
    while (i < p->n && !tl_addr_eq(&p->sent_to[i], &out->to))
        i++;
    assert_true(i < FILTERS);
    if (i == p->n)
        p->sent_to[p->n++] = out->to;
    p->sent_at[i] = m->now;
    if (!tl_addr_same_ip(&out->to, &m->nat.ip))
        put(m, TL_MS, false, &from, &out->to, out->bytes, out->n);
    else if (m->nat.hairpin)
        come_in(m, 2 * TL_MS, &from, &out->to, out->bytes, out->n);
}

/* --- servers --- */

static void answer(model *m, model_server *s, const tl_addr *from, const tl_addr *to,
                   const tl_stun *q)
{
    tl_stun_writer w;
    tl_stun_id id = q->id;
    tl_addr says = *to, names = s->names_other.family ? s->names_other : s->other;
    id.bytes[3] ^= s->manner == ANSWERS_OTHER_ID;
    if (s->manner == SAYS_LOOPBACK)
        says = model_addr("127.0.0.1:41820");
    if (s->manner == SAYS_OTHER_IP)
        says = model_addr("192.0.2.66:6666");
    if (s->manner == SAYS_OTHER_PORT)
        says.port ^= 1;
    tl_stun_begin(&w, s->manner == SAYS_ERROR ? TL_STUN_ERROR : TL_STUN_SUCCESS, &id);
    if (s->manner == SAYS_ERROR)
        tl_stun_put_error(&w, 500, "no");
    else if (s->manner != SAYS_NOTHING)
        tl_stun_put_xor_mapped(&w, &says);
    if (names.family)
        tl_stun_put_other(&w, &names);
    tl_stun_finish(&w);
    for (int i = 0; i < (s->manner == ANSWERS_TWICE ? 2 : 1); i++)
        come_in(m, s->delay, from, to, w.bytes, w.n);
}

static bool is_at(const model_server *s, const tl_addr *a)
{
    if (tl_addr_eq(a, &s->addr) || tl_addr_eq(a, &s->other))
        return true;
    bool ip = tl_addr_same_ip(a, &s->addr) || tl_addr_same_ip(a, &s->other);
    return !s->strict && s->other.family && ip &&
           (a->port == s->addr.port || a->port == s->other.port);
}

static void reach_server(model *m, const packet *p)
{
    tl_stun q;
    assert_int_equal(tl_stun_read(tl_slice_of(p->bytes, p->n), &q), TL_OK);
    for (size_t i = 0; i < m->n_servers; i++) {
        model_server *s = &m->servers[i];
        if (!is_at(s, &p->to))
            continue;
        s->heard++;
        if (s->manner == DEAD || (s->mute && q.has_change))
            return;
        tl_addr from = p->to;
        if (q.has_change && !s->deaf && s->other.family) {
            bool first_ip = tl_addr_same_ip(&from, &s->addr);
            bool first_port = from.port == s->addr.port;
            from = first_ip != q.change_ip ? s->addr : s->other;
            from.port = first_port != q.change_port ? s->addr.port : s->other.port;
        }
        if (s->manner == ANSWERS_FROM_ELSEWHERE)
            from.port ^= 1;
        answer(m, s, &from, &p->from, &q);
        return;
    }
    m->astray++;
}

/* --- time --- */

bool model_inject(model *m, const tl_addr *from, tl_slice datagram)
{
    tl_stun stun;
    assert_int_equal(tl_stun_read(datagram, &stun), TL_OK);
    return tl_behaviour_on_stun(m->client, from->family == TL_ADDR_V4 ? 1 : 2, from, datagram,
                                &stun, m->now);
}

static void drain(model *m)
{
    while (tl_behaviour_next_output(m->client, m->now, &m->last)) {
        assert_int_equal(m->last.sock, m->last.to.family == TL_ADDR_V4 ? 1 : 2);
        tl_addr from6 = model_addr(MODEL_IP6);
        if (m->last.to.family == TL_ADDR_V4)
            go_out(m, &m->last);
        else
            put(m, TL_MS, false, &from6, &m->last.to, m->last.bytes, m->last.n);
    }
}

static packet *first_packet(model *m)
{
    packet *first = NULL;
    for (size_t i = 0; i < m->n_packets; i++) {
        packet *p = &m->packets[i];
        if (!first || p->at < first->at || (p->at == first->at && p->seq < first->seq))
            first = p;
    }
    return first;
}

/* One packet or timer, not later than `until`; false: none is due by then. */
static bool step(model *m, tl_time until)
{
    drain(m);
    packet *p = first_packet(m);
    tl_time expiry = tl_behaviour_expiry(m->client);
    if (p && p->at <= until && p->at <= expiry) {
        packet it = *p;
        *p = m->packets[--m->n_packets];
        m->now = it.at;
        if (it.in)
            (void)model_inject(m, &it.from, tl_slice_of(it.bytes, it.n));
        else
            reach_server(m, &it);
        return true;
    }
    if (expiry > until)
        return false;
    m->now = expiry > m->now ? expiry : m->now;
    tl_behaviour_on_timer(m->client, m->now);
    return true;
}

void model_run(model *m, tl_time how_long)
{
    tl_time until = m->now + how_long;
    for (unsigned steps = 0; step(m, until); steps++)
        assert_true(steps < 1000000); /* a timer that is always due */
    m->now = until;
}

tl_time model_round(model *m)
{
    tl_time began = m->now;
    for (unsigned steps = 0; tl_behaviour_busy(m->client); steps++)
        assert_true(step(m, TL_NEVER - 1) && steps < 100000);
    return m->now - began;
}
