/* How this node comes into the DHT and stays there: it joins, asks nodes whether they are still there, fills
 * its table, and keeps it over a restart.
 *
 * Tending: one node at a time, the one that was tended longest ago, is asked `find_node`. The pace follows
 * what is met: an answer makes the time to the next one a twentieth longer, a silence makes it two fifths
 * shorter. It settles where about one of eleven is silent. In a calm network every node is asked once in 15
 * minutes (BEP 5), which is one small query in some seconds. */
#include "dht/state.h"

#include <assert.h>
#include <stdlib.h>

#define TEND_FIRST    (5 * TL_SEC)
#define TEND_MIN      (1 * TL_SEC)  /* so that tending costs at most 0.5 kB/s, whatever happens */
#define TEND_MIN_MAX  (2 * TL_SEC)  /* with hundreds of nodes one is still asked only so often */
#define TEND_ROUND    (15 * TL_MIN) /* BEP 5 */
#define JOIN_WAIT     (5 * TL_SEC)
#define JOIN_WAIT_MAX (5 * TL_MIN)
#define FILL_EVERY    (15 * TL_MIN) /* a search for a random target: how dense the DHT is */
#define DEPTH_MAX     2             /* bits that our neighbours may add */
#define SAVED_MAX     64            /* nodes of a family */
/* So far beyond the usual number of common bits, a bucket has one honest node in two. */
#define DEEP_BITS     4

size_t tl_dht_nodes(const tl_dht *d)
{
    size_t n = 0;
    for (unsigned i = 0; i < FAMILIES; i++)
        n += d->family[i].is_on ? d->family[i].table.n : 0;
    return n;
}

bool tl_dht_has_enough(const tl_dht *d)
{
    size_t n = 0;
    for (unsigned i = 0; i < FAMILIES && n < SEEDS_ENOUGH; i++)
        n += d->family[i].is_on ? tl_table_networks(&d->family[i].table, SEEDS_ENOUGH) : 0;
    return n >= SEEDS_ENOUGH;
}

/* --- joining --- */

/* False: it is there already, or there is no memory. */
static bool add_seed(tl_dht *d, const dht_seed *seed)
{
    for (size_t i = 0; i < d->n_seeds; i++)
        if (tl_addr_eq(&d->seeds[i].node.addr, &seed->node.addr))
            return false;
    if (d->n_seeds == d->seeds_cap && d->seeds_cap < TL_DHT_SEEDS_MAX) {
        size_t cap = d->seeds_cap ? d->seeds_cap * 2 : 8;
        dht_seed *seeds = realloc(d->seeds, cap * sizeof *seeds);
        if (!seeds)
            return false;
        d->seeds = seeds;
        d->seeds_cap = cap;
    }
    if (d->n_seeds == d->seeds_cap) {
        d->n_seeds--;
        memmove(d->seeds, d->seeds + 1, d->n_seeds * sizeof *d->seeds);
    }
    d->seeds[d->n_seeds++] = *seed;
    return true;
}

void tl_dht_add_node(tl_dht *d, const tl_addr *addr, tl_time now)
{
    dht_seed seed = {.node.addr = tl_addr_normal(*addr)};
    if (addr->family == TL_ADDR_NONE || addr->port == 0)
        return;
    /* Each is asked once, however many nodes are known: those of an earlier run, or all that came by
     * themselves, may be one who besieges us. */
    if (add_seed(d, &seed) || !tl_dht_has_enough(d))
        tl_dht_join_again(d, now);
}

void tl_dht_join_again(tl_dht *d, tl_time now)
{
    d->next_join = now;
    d->join_wait = 0;
    tl_dht_poke(d);
}

static bool is_searching(const tl_dht *d, ask_kind kind)
{
    for (size_t i = 0; i < d->n_asks; i++)
        if (d->asks[i]->kind == kind && d->asks[i]->state != ASK_ENDED)
            return true;
    return false;
}

static void join(tl_dht *d, tl_time now)
{
    if (is_searching(d, ASKS_SELF))
        return;
    /* One search for both families: their IDs differ, and the target is the one of a family that has
     * nodes. The other one's own neighbours come by tending. */
    const dht_family *of = &d->family[d->family[0].is_on ? 0 : 1];
    if (tl_dht_ask_begin(d, ASKS_SELF, &of->table.self, now))
        d->next_join = TL_NEVER;
    else
        d->next_join = now + JOIN_WAIT;
}

static void fill(tl_dht *d, tl_time now)
{
    tl_dht_id target = tl_dht_id_random(d->config.rand);
    d->next_fill = TL_NEVER;
    if (!tl_dht_ask_begin(d, ASKS_FILL, &target, now))
        d->next_fill = now + FILL_EVERY;
}

static void learn_density(tl_dht *d, dht_ask *a)
{
    unsigned bits;
    for (unsigned i = 0; i < FAMILIES; i++)
        if (a->family[i].is_on && tl_lookup_density(&a->family[i].lookup, &bits)) {
            d->densities[d->next_density++ % DENSITIES] = (uint8_t)(bits < 255 ? bits + 1 : 255);
            return;
        }
}

void tl_dht_on_searched(tl_dht *d, dht_ask *a, tl_time now)
{
    learn_density(d, a);
    if (a->kind == ASKS_FILL) {
        unsigned usual = tl_dht_usual_bits(d);
        for (unsigned i = 0; i < FAMILIES; i++)
            d->family[i].table.deep =
                usual + DEEP_BITS < TL_TABLE_BUCKETS ? usual + DEEP_BITS : TL_TABLE_BUCKETS;
        d->next_fill = now + (++d->fills < FILLS ? 0 : FILL_EVERY);
        return;
    }
    if (tl_dht_nodes(d) > 0 && !d->joined) {
        d->joined = true;
        d->fills = 0;
        d->next_fill = d->next_tend = now;
        d->tend_period = TEND_FIRST;
        tl_dht_poke(d); /* requests have waited for this */
    }
    if (!tl_dht_has_enough(d)) {
        d->join_wait = d->join_wait == 0 ? JOIN_WAIT : tl_time_min(d->join_wait * 2, JOIN_WAIT_MAX);
        d->next_join = now + d->join_wait;
    }
}

/* The densest but one of the last searches, for one that liars led astray ends where nodes are sparse. Nobody can
 * make it denser than it is, for nobody knows the targets before. The nodes around ourselves tell, too; our ID is
 * known, so they add DEPTH_MAX bits at most. A node that has just come knows nothing else, and what it
 * publishes must not fall to a siege. */
unsigned tl_dht_usual_bits(const tl_dht *d)
{
    uint8_t sorted[DENSITIES];
    unsigned n = 0;
    for (unsigned i = 0; i < DENSITIES; i++) {
        if (d->densities[i] == 0)
            continue;
        unsigned at = n++;
        for (; at > 0 && sorted[at - 1] > d->densities[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = d->densities[i];
    }
    unsigned depth = 0;
    for (unsigned i = 0; i < FAMILIES && depth == 0; i++)
        depth = d->family[i].is_on ? tl_table_depth(&d->family[i].table) : 0;
    if (n < DENSITIES_MIN)
        return depth > 0 ? depth : TL_LOOKUP_NO_CROWD;
    unsigned found = sorted[n - (n > DENSITIES_MIN ? 2 : 1)] - 1u;
    if (depth <= found)
        return found;
    return depth < found + DEPTH_MAX ? depth : found + DEPTH_MAX;
}

/* --- tending --- */

/* The pace with which every node is asked once in TEND_ROUND. */
static tl_time calm_period(const tl_dht *d)
{
    size_t n = tl_dht_nodes(d);
    return tl_time_max(TEND_ROUND / (n ? n : 1), TEND_MIN_MAX);
}

void tl_dht_on_tended(tl_dht *d, bool answered)
{
    tl_time period = answered ? d->tend_period + d->tend_period / 20 : d->tend_period / 5 * 3;
    d->tend_period = tl_time_max(tl_time_min(period, calm_period(d)), TEND_MIN);
}

static void tend_one(tl_dht *d, tl_time now)
{
    dht_family *f = &d->family[d->tended++ % FAMILIES];
    if (!f->is_on || f->table.n == 0)
        f = &d->family[d->tended++ % FAMILIES];
    tl_table_node *node = f->is_on ? tl_table_oldest(&f->table) : NULL;
    if (!node)
        return;
    tl_krpc query = {.method = TL_KRPC_FIND_NODE, .has_target = true};
    tl_query_for what = {.kind = QUERY_TEND, .has_id = true, .id = node->id};
    /* In turn, who is near us, and who else is where this node is. */
    unsigned common = tl_dht_id_common(&f->table.self, &node->id);
    tl_dht_id target = f->table.self;
    if (tl_rand_below(d->config.rand, 2) == 0 && common < TL_DHT_ID_BITS)
        target = tl_dht_id_beside(&f->table.self, common, d->config.rand);
    memcpy(query.target, target.b, sizeof query.target);
    node->tended = now;
    if (!tl_queries_asks(&d->queries, &node->addr))
        tl_dht_query(d, &node->addr, &query, &what, now);
}

void tl_dht_consider(tl_dht *d, const tl_dht_node *node, bool asked, tl_time now)
{
    const dht_family *f = &d->family[tl_dht_family_of(&node->addr)];
    tl_ratelimit *pings = asked ? &d->back : &d->pings;
    if (!f->is_on || !tl_table_wants(&f->table, &node->id, &node->addr) ||
        tl_queries_asks(&d->queries, &node->addr) || tl_ratelimit_when(pings, 1, now) != now ||
        !tl_queries_may_ping(&d->queries, &node->addr, now))
        return;
    (void)tl_ratelimit_take(pings, 1, now);
    tl_krpc query = {.method = TL_KRPC_PING};
    tl_query_for what = {.kind = QUERY_PING, .has_id = true, .id = node->id};
    tl_dht_query(d, &node->addr, &query, &what, now);
}

void tl_dht_tend(tl_dht *d, tl_time now)
{
    if (d->joined && tl_dht_nodes(d) == 0) {
        d->joined = false;
        tl_dht_join_again(d, now);
    }
    if (now >= d->next_join)
        join(d, now);
    if (!d->joined)
        return;
    if (!tl_dht_has_enough(d) && d->next_join == TL_NEVER && !is_searching(d, ASKS_SELF))
        d->next_join = now + JOIN_WAIT;
    if (now >= d->next_fill && !is_searching(d, ASKS_FILL))
        fill(d, now);
    if (now >= d->next_tend) {
        tend_one(d, now);
        /* Nodes that joined at one time do not stay in step. */
        d->next_tend =
            now + d->tend_period / 4 * 3 + tl_rand_below(d->config.rand, d->tend_period / 2 + 1);
    }
}

tl_time tl_dht_tend_expiry(const tl_dht *d)
{
    tl_time first = d->next_join;
    if (d->joined)
        first = tl_time_min(first, tl_time_min(d->next_tend, d->next_fill));
    return first;
}

/* --- over a restart: "TLD1", then per family our ID, the number of nodes, and compact nodes --- */

static const uint8_t magic[4] = {'T', 'L', 'D', '1'};

size_t tl_dht_save(const tl_dht *d, uint8_t ret[TL_DHT_TABLE_BYTES_MAX])
{
    uint8_t *p = ret;
    memcpy(p, magic, sizeof magic);
    p += sizeof magic;
    for (unsigned i = 0; i < FAMILIES; i++) {
        tl_dht_node nodes[SAVED_MAX];
        const tl_table *t = &d->family[i].table;
        size_t n = tl_table_list(t, SAVED_MAX, nodes);
        memcpy(p, t->self.b, sizeof t->self.b);
        p += sizeof t->self.b;
        *p++ = (uint8_t)n;
        for (size_t j = 0; j < n; j++)
            p += tl_krpc_node_write(nodes[j].id.b, &nodes[j].addr, p);
    }
    assert((size_t)(p - ret) <= TL_DHT_TABLE_BYTES_MAX);
    return (size_t)(p - ret);
}

/* The nodes of one family, checked only (`d` NULL) or taken. False: not by tl_dht_save. */
static bool load_family(tl_dht *d, unsigned family, tl_slice *bytes)
{
    size_t each = family == 0 ? TL_KRPC_NODE4 : TL_KRPC_NODE6;
    if (bytes->n < TL_DHT_ID_SIZE + 1)
        return false;
    size_t n = bytes->p[TL_DHT_ID_SIZE];
    if (n > SAVED_MAX || bytes->n < TL_DHT_ID_SIZE + 1 + n * each)
        return false;
    tl_slice nodes = tl_slice_of(bytes->p + TL_DHT_ID_SIZE + 1, n * each);
    tl_dht_id self;
    memcpy(self.b, bytes->p, sizeof self.b);
    *bytes = tl_slice_of(nodes.p + nodes.n, bytes->n - TL_DHT_ID_SIZE - 1 - nodes.n);
    if (!d)
        return true;
    tl_table_set_self(&d->family[family].table, &self);
    const uint8_t *id;
    dht_seed seed = {.has_id = true};
    while (tl_krpc_next_node(&nodes, tl_dht_family_at(family), &id, &seed.node.addr)) {
        memcpy(seed.node.id.b, id, sizeof seed.node.id.b);
        (void)add_seed(d, &seed);
    }
    return true;
}

tl_err tl_dht_load(tl_dht *d, tl_slice bytes, tl_time now)
{
    if (bytes.n < sizeof magic || memcmp(bytes.p, magic, sizeof magic) != 0)
        return TL_ERR_PROTO;
    tl_slice rest = tl_slice_of(bytes.p + sizeof magic, bytes.n - sizeof magic), again = rest;
    for (unsigned i = 0; i < FAMILIES; i++)
        if (!load_family(NULL, i, &rest))
            return TL_ERR_PROTO;
    if (rest.n > 0)
        return TL_ERR_PROTO;
    for (unsigned i = 0; i < FAMILIES; i++)
        (void)load_family(d, i, &again);
    tl_dht_join_again(d, now);
    return TL_OK;
}
