#include "dht_world.h"

#include "wire/krpc.h"

#include <assert.h>
#include <stdlib.h>

#define HEADERS       28 /* IPv4 and UDP */
#define TIME_AT_START (1000 * TL_SEC)
#define WALL_AT_START INT64_C(1750000000)
#define SYBIL_NET     0xC80000u /* 200.0.0/24 */
#define FIRST_NET     0x140000u /* 20.0.0/24 to 83.255.255/24, a /24 for each node */
#define NETS          0x400000u
#define NETS_STEP     0x1E3779u /* odd: from one node's /24 to the next one's */
#define PORT          6881

typedef struct {
    tl_time at;
    uint64_t seq;  /* order among equals */
    uint32_t node; /* to which it goes */
    uint32_t from; /* index into `addrs` of the sender; unused for timers */
    uint8_t *data; /* NULL: a timer */
    uint32_t n;
    uint32_t forged; /* the sender is not a node: `data` begins with its tl_addr */
} event;

typedef struct {
    dht_world *world;
    uint32_t index;
    bool lives, is_touched;
    dht_kind kind;
    tl_addr addr;
    tl_dht_id id;
    tl_dht *dht;
    tl_env env;
    tl_time due; /* of its earliest timer in the heap; TL_NEVER: none */
} node;

struct dht_world {
    dht_world_config config;
    tl_rand rand;
    tl_time now;
    uint64_t seq;
    node **nodes; /* all that were made */
    size_t n;
    uint32_t *living; /* their numbers, in any order */
    uint32_t *place;  /* where a node is in `living` */
    size_t n_living;
    uint32_t *liars; /* all that were made */
    size_t n_liars;
    uint32_t *sybils;
    size_t n_sybils;
    event *heap;
    size_t heap_n, heap_cap;
    dht_world_traffic traffic;
    tl_addr watched;
    uint64_t watched_n;
};

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

/* --- events in order --- */

static bool is_before(const event *a, const event *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void push(dht_world *w, event e)
{
    if (w->heap_n == w->heap_cap) {
        w->heap_cap = w->heap_cap ? w->heap_cap * 2 : 1024;
        w->heap = must(realloc(w->heap, w->heap_cap * sizeof *w->heap));
    }
    e.seq = w->seq++;
    size_t at = w->heap_n++;
    while (at > 0 && is_before(&e, &w->heap[(at - 1) / 4])) {
        w->heap[at] = w->heap[(at - 1) / 4];
        at = (at - 1) / 4;
    }
    w->heap[at] = e;
}

static event pop(dht_world *w)
{
    event first = w->heap[0], last = w->heap[--w->heap_n];
    size_t at = 0;
    for (;;) {
        size_t least = 0, child = at * 4 + 1;
        for (size_t i = child; i < child + 4 && i < w->heap_n; i++)
            if (least == 0 || is_before(&w->heap[i], &w->heap[least]))
                least = i;
        if (least == 0 || !is_before(&w->heap[least], &last))
            break;
        w->heap[at] = w->heap[least];
        at = least;
    }
    w->heap[at] = last;
    return first;
}

/* --- addresses --- */

static tl_addr addr_in(uint32_t net, uint8_t host, uint16_t port)
{
    tl_addr a = {.family = TL_ADDR_V4, .port = port};
    a.bytes[0] = (uint8_t)(net >> 16);
    a.bytes[1] = (uint8_t)(net >> 8);
    a.bytes[2] = (uint8_t)net;
    a.bytes[3] = host;
    return a;
}

/* Neighbours in number are far apart in address. */
static uint32_t net_of(size_t index)
{
    return FIRST_NET + ((uint32_t)index * NETS_STEP) % NETS;
}

static size_t index_of_net(uint32_t net)
{
    uint32_t inverse = 1;
    for (unsigned i = 0; i < 5; i++) /* Newton, modulo 2^32 */
        inverse *= 2 - NETS_STEP * inverse;
    return ((net - FIRST_NET) * inverse) % NETS;
}

/* The node at an address; NULL: nobody. */
static node *at_addr(dht_world *w, const tl_addr *a)
{
    if (a->family != TL_ADDR_V4)
        return NULL;
    uint32_t net = (uint32_t)a->bytes[0] << 16 | (uint32_t)a->bytes[1] << 8 | a->bytes[2];
    size_t index = w->n;
    if (net == SYBIL_NET) {
        size_t k = (size_t)(a->port - PORT) * 254 + a->bytes[3] - 1;
        if (a->port >= PORT && k < w->n_sybils)
            index = w->sybils[k];
    } else if (net >= FIRST_NET && net < FIRST_NET + NETS) {
        index = index_of_net(net);
    }
    if (index >= w->n || !w->nodes[index]->lives || !tl_addr_eq(&w->nodes[index]->addr, a))
        return NULL;
    return w->nodes[index];
}

static tl_time delay(const dht_world *w, uint32_t a, uint32_t b)
{
    tl_time span = w->config.delay_max - w->config.delay_min;
    if (span == 0)
        return w->config.delay_min;
    uint64_t mix = (uint64_t)(a < b ? a : b) * 0x9E3779B97F4A7C15u + (a < b ? b : a);
    mix ^= mix >> 29;
    mix *= 0xBF58476D1CE4E5B9u;
    return w->config.delay_min + (mix >> 20) % span;
}

/* --- sending --- */

static void deliver(dht_world *w, node *from, const tl_addr *to, tl_slice datagram)
{
    w->traffic.datagrams++;
    w->traffic.bytes += datagram.n + HEADERS;
    if (w->watched.family != TL_ADDR_NONE && tl_addr_same_ip(&w->watched, to))
        w->watched_n++;
    node *n = at_addr(w, to);
    if (!n ||
        (w->config.loss > 0 && (double)tl_rand_below(&w->rand, 1000000) < w->config.loss * 1000000))
        return;
    event e = {
        .at = w->now + delay(w, from->index, n->index), .node = n->index, .from = from->index};
    e.data = must(malloc(datagram.n));
    memcpy(e.data, datagram.p, datagram.n);
    e.n = (uint32_t)datagram.n;
    push(w, e);
}

static void send_of_node(void *user, const tl_addr *to, tl_slice datagram)
{
    node *n = user;
    deliver(n->world, n, to, datagram);
}

void dht_world_forge(dht_world *w, const tl_addr *from, const tl_addr *to, tl_slice datagram)
{
    node *n = at_addr(w, to);
    if (!n)
        return;
    event e = {.at = w->now + w->config.delay_min, .node = n->index, .forged = 1};
    e.n = (uint32_t)(sizeof *from + datagram.n);
    e.data = must(malloc(e.n));
    memcpy(e.data, from, sizeof *from);
    memcpy(e.data + sizeof *from, datagram.p, datagram.n);
    push(w, e);
}

/* --- liars --- */

/* The liars nearest to a target, among a number of them at random: they would know each other. */
static void name_liars(dht_world *w, const tl_dht_id *target, dht_kind kind, uint8_t nodes[8 * 26],
                       size_t *ret_n)
{
    tl_dht_node best[8];
    size_t n = 0, looks = w->n_liars < 256 ? w->n_liars : 256;
    size_t first = (size_t)tl_rand_below(&w->rand, w->n_liars);
    for (size_t k = 0; k < looks; k++) {
        const node *liar = w->nodes[w->liars[(first + k) % w->n_liars]];
        if (!liar->lives || liar->kind != kind)
            continue;
        size_t at = n < 8 ? n++ : 8;
        while (at > 0 && tl_dht_id_cmp(target, &liar->id, &best[at - 1].id) < 0) {
            if (at < 8)
                best[at] = best[at - 1];
            at--;
        }
        if (at < 8)
            best[at] = (tl_dht_node){liar->id, liar->addr};
    }
    *ret_n = 0;
    for (size_t i = 0; i < n; i++)
        *ret_n += tl_krpc_node_write(best[i].id.b, &best[i].addr, nodes + *ret_n);
}

/* Nodes right beside the target, at addresses where nobody is. */
static void name_nobody(dht_world *w, const tl_dht_id *target, uint8_t nodes[8 * 26], size_t *ret_n)
{
    *ret_n = 0;
    for (unsigned i = 0; i < 8; i++) {
        tl_dht_id id = tl_dht_id_beside(target, 30 + i, &w->rand);
        tl_addr a = addr_in(0x800000u + (uint32_t)tl_rand_below(&w->rand, 0x300000), 7, PORT);
        if (i < 2 && w->watched.family != TL_ADDR_NONE)
            a = w->watched;
        *ret_n += tl_krpc_node_write(id.b, &a, nodes + *ret_n);
    }
}

static void lie(dht_world *w, node *liar, const tl_addr *to, const tl_krpc *query)
{
    static const uint8_t rubbish[] = "d1:n7:Unknown1:vi1ee";
    uint8_t nodes[8 * 26], bytes[TL_KRPC_MAX], noise[64];
    size_t n = 0;
    unsigned lie = (unsigned)tl_rand_below(&w->rand, 5);
    if (lie == 4 && liar->kind == DHT_LIAR && query->method != TL_KRPC_PUT)
        return; /* silence */
    tl_krpc answer = {.kind = TL_KRPC_RESPONSE, .tid = query->tid, .has_id = true};
    memcpy(answer.id, liar->id.b, sizeof answer.id);
    if (query->has_target) {
        tl_dht_id target;
        memcpy(target.b, query->target, sizeof target.b);
        if (liar->kind == DHT_LIAR && lie % 2 == 0)
            name_nobody(w, &target, nodes, &n);
        else
            name_liars(w, &target, liar->kind, nodes, &n);
        answer.nodes = tl_slice_of(nodes, n);
        answer.token = TL_SLICE_LIT("tokn");
    }
    tl_rand_bytes(&w->rand, noise, sizeof noise);
    if (query->method == TL_KRPC_GET && liar->kind == DHT_LIAR && lie == 1) {
        answer.key = noise; /* an item of another key, or one that nobody signed */
        answer.sig = noise;
        answer.seq = tl_maybe_of(INT64_C(1) << 40);
        answer.value = tl_slice_of(rubbish, sizeof rubbish - 1);
    }
    size_t bytes_n;
    if (tl_krpc_write(&answer, sizeof bytes, bytes, &bytes_n) == TL_OK)
        deliver(w, liar, to, tl_slice_of(bytes, bytes_n));
}

/* --- nodes --- */

static tl_time env_now(void *user)
{
    return ((node *)user)->world->now;
}

static tl_unix env_wall(void *user)
{
    return dht_world_wall(((node *)user)->world);
}

static void env_wake(void *user)
{
    ((node *)user)->is_touched = true;
}

static void set_timer(dht_world *w, node *n)
{
    tl_time due = n->lives ? tl_dht_expiry(n->dht) : TL_NEVER;
    n->is_touched = false;
    if (due == TL_NEVER || due >= n->due)
        return;
    n->due = due < w->now ? w->now : due;
    push(w, (event){.at = n->due, .node = n->index});
}

void dht_world_touch(dht_world *w, size_t index)
{
    set_timer(w, w->nodes[index]);
}

static node *make(dht_world *w, dht_kind kind)
{
    assert(w->n < w->config.most);
    node *n = must(calloc(1, sizeof *n));
    n->world = w;
    n->index = (uint32_t)w->n;
    n->kind = kind;
    n->due = TL_NEVER;
    n->env = (tl_env){env_now, env_wall, env_wake, n};
    n->lives = true;
    w->nodes[w->n++] = n;
    return n;
}

static size_t start(dht_world *w, node *n, unsigned seeds, const tl_dht_id *id)
{
    tl_dht_config config = {.rand = &w->rand,
                            .env = &n->env,
                            .has4 = true,
                            .serves = n->kind != DHT_READER,
                            .nat = TL_CONTROL_NAT_PUBLIC,
                            .republish_secs = TL_DHT_REPUBLISH_SECS,
                            .send = send_of_node,
                            .user = n};
    static const tl_addr none = {.family = TL_ADDR_NONE};
    if (tl_dht_new(&config, w->now, &n->dht))
        abort();
    tl_dht_set_address(n->dht, &n->addr, &none, w->now);
    if (id) { /* as from a table that was saved */
        uint8_t saved[4 + 2 * 21] = "TLD1";
        memcpy(saved + 4, id->b, sizeof id->b);
        if (tl_dht_load(n->dht, tl_slice_of(saved, sizeof saved), w->now))
            abort();
    }
    tl_dht_report report;
    tl_dht_report_of(n->dht, &report);
    n->id = report.id4;
    for (unsigned i = 0; i < seeds && w->n_living > 0; i++) {
        tl_addr known = dht_world_addr(w, dht_world_any(w, DHT_HONEST));
        tl_dht_add_node(n->dht, &known, w->now);
    }
    w->place[n->index] = (uint32_t)w->n_living;
    w->living[w->n_living++] = n->index;
    if (n->kind == DHT_LIAR || n->kind == DHT_ECLIPSE)
        w->liars[w->n_liars++] = n->index;
    set_timer(w, n);
    return n->index;
}

static tl_addr own_net(dht_world *w, const node *n)
{
    return addr_in(net_of(n->index), (uint8_t)(1 + tl_rand_below(&w->rand, 254)), PORT);
}

size_t dht_world_add(dht_world *w, dht_kind kind, unsigned seeds)
{
    node *n = make(w, kind);
    n->addr = own_net(w, n);
    return start(w, n, seeds, NULL);
}

size_t dht_world_add_id(dht_world *w, dht_kind kind, unsigned seeds, const tl_dht_id *id)
{
    node *n = make(w, kind);
    n->addr = own_net(w, n);
    return start(w, n, seeds, id);
}

size_t dht_world_add_sybil(dht_world *w, dht_kind kind, unsigned seeds)
{
    node *n = make(w, kind);
    size_t k = w->n_sybils++;
    w->sybils[k] = n->index;
    n->addr = addr_in(SYBIL_NET, (uint8_t)(1 + k % 254), (uint16_t)(PORT + k / 254));
    return start(w, n, seeds, NULL);
}

/* As if the attacker had looked for hosts at the right addresses all over the internet. The address is
 * in no /24 of another node. */
size_t dht_world_add_near(dht_world *w, dht_kind kind, unsigned seeds, const tl_dht_id *target,
                          unsigned bits)
{
    for (;;) {
        for (unsigned host = 1; host < 255; host++)
            for (unsigned r = 0; r < 8; r++) {
                tl_addr a = addr_in(net_of(w->n), (uint8_t)host, PORT);
                tl_dht_id id = tl_dht_id_for(&a, &w->rand);
                if (tl_dht_id_common(&id, target) < bits)
                    continue;
                node *found = make(w, kind);
                found->addr = a;
                return start(w, found, seeds, &id);
            }
        /* This /24 has none: nobody lives there. */
        node *nobody = make(w, kind);
        nobody->lives = false;
    }
}

void dht_world_kill(dht_world *w, size_t index)
{
    node *n = w->nodes[index];
    assert(n->lives);
    n->lives = false;
    tl_dht_free(n->dht);
    n->dht = NULL;
    uint32_t at = w->place[index];
    w->living[at] = w->living[--w->n_living];
    w->place[w->living[at]] = at;
}

/* --- the world --- */

dht_world *dht_world_new(uint64_t seed, const dht_world_config *config)
{
    dht_world *w = must(calloc(1, sizeof *w));
    w->config = *config;
    w->rand = tl_rand_seeded(seed);
    w->now = TIME_AT_START;
    w->nodes = must(calloc(config->most, sizeof(node *)));
    w->living = must(calloc(config->most, sizeof *w->living));
    w->place = must(calloc(config->most, sizeof *w->place));
    w->liars = must(calloc(config->most, sizeof *w->liars));
    w->sybils = must(calloc(config->most, sizeof *w->sybils));
    return w;
}

void dht_world_free(dht_world *w)
{
    for (size_t i = 0; i < w->n; i++) {
        tl_dht_free(w->nodes[i]->dht);
        free(w->nodes[i]);
    }
    for (size_t i = 0; i < w->heap_n; i++)
        free(w->heap[i].data);
    free(w->heap);
    free(w->nodes);
    free(w->living);
    free(w->place);
    free(w->liars);
    free(w->sybils);
    free(w);
}

static void happen(dht_world *w, event *e)
{
    node *n = w->nodes[e->node];
    if (!e->data) {
        if (n->due != e->at) /* an earlier timer has come instead */
            return;
        n->due = TL_NEVER;
        if (n->lives)
            tl_dht_on_timer(n->dht, w->now, dht_world_wall(w));
    } else if (n->lives) {
        tl_addr from;
        tl_slice datagram = tl_slice_of(e->data, e->n);
        tl_krpc m;
        if (e->forged) {
            memcpy(&from, e->data, sizeof from);
            datagram = tl_slice_of(e->data + sizeof from, e->n - sizeof from);
        } else {
            from = w->nodes[e->from]->addr;
        }
        bool lies = (n->kind == DHT_LIAR || n->kind == DHT_ECLIPSE) &&
                    tl_krpc_parse(datagram, &m) == TL_OK && m.kind == TL_KRPC_QUERY &&
                    m.method != TL_KRPC_PING;
        if (lies)
            lie(w, n, &from, &m);
        else
            tl_dht_on_datagram(n->dht, &from, datagram, w->now, dht_world_wall(w));
    }
    set_timer(w, n);
    free(e->data);
}

void dht_world_run_for(dht_world *w, tl_time span)
{
    tl_time until = w->now + span;
    while (w->heap_n > 0 && w->heap[0].at <= until) {
        event e = pop(w);
        w->now = e.at;
        happen(w, &e);
    }
    w->now = until;
}

tl_time dht_world_now(const dht_world *w)
{
    return w->now;
}

tl_unix dht_world_wall(const dht_world *w)
{
    return WALL_AT_START + (tl_unix)((w->now - TIME_AT_START) / TL_SEC);
}

tl_rand *dht_world_rand(dht_world *w)
{
    return &w->rand;
}

bool dht_world_lives(const dht_world *w, size_t index)
{
    return w->nodes[index]->lives;
}

size_t dht_world_made(const dht_world *w)
{
    return w->n;
}

tl_dht *dht_world_dht(dht_world *w, size_t index)
{
    return w->nodes[index]->dht;
}

tl_addr dht_world_addr(const dht_world *w, size_t index)
{
    return w->nodes[index]->addr;
}

dht_kind dht_world_kind(const dht_world *w, size_t index)
{
    return w->nodes[index]->kind;
}

size_t dht_world_any(dht_world *w, dht_kind kind)
{
    for (;;) {
        size_t index = w->living[tl_rand_below(&w->rand, w->n_living)];
        if (w->nodes[index]->kind == kind)
            return index;
    }
}

void dht_world_watch(dht_world *w, const tl_addr *addr)
{
    w->watched = *addr;
    w->watched_n = 0;
}

uint64_t dht_world_watched(const dht_world *w)
{
    return w->watched_n;
}

dht_world_traffic dht_world_traffic_of(const dht_world *w)
{
    return w->traffic;
}
