#include "dht/table.h"

#include <assert.h>
#include <stdlib.h>

static unsigned bucket_of(const tl_table *t, const tl_dht_id *id)
{
    unsigned common = tl_dht_id_common(&t->self, id);
    return common < TL_TABLE_BUCKETS ? common : TL_TABLE_BUCKETS - 1;
}

void tl_table_init(tl_table *t, const tl_dht_id *self)
{
    *t = (tl_table){.self = *self, .deep = TL_TABLE_BUCKETS};
}

void tl_table_clear(tl_table *t)
{
    for (unsigned i = 0; i < TL_TABLE_BUCKETS; i++) {
        free(t->buckets[i]);
        t->buckets[i] = NULL;
    }
    t->n = 0;
}

/* --- which of two nodes is the better one --- */

static unsigned of_network(const tl_table_bucket *b, uint64_t network)
{
    unsigned n = 0;
    for (unsigned i = 0; i < b->n; i++)
        n += b->nodes[i].network == network;
    return n;
}

/* 0: nothing speaks against it. `others`: nodes of its network in the bucket beside it. */
static unsigned faults(const tl_table_node *node, unsigned others)
{
    return (node->fails > 0 ? 4u : 0) + (others >= TL_TABLE_PER_NETWORK ? 2u : 0) +
           (node->fits ? 0 : 1u);
}

/* The node of a full bucket that `node` may replace; TL_TABLE_K: none. Among equals the newest goes. */
static unsigned worst_but(const tl_table_bucket *b, const tl_table_node *node)
{
    unsigned worst = TL_TABLE_K, most = faults(node, of_network(b, node->network));
    for (unsigned i = 0; i < b->n; i++) {
        const tl_table_node *other = &b->nodes[i];
        unsigned of = faults(other, of_network(b, other->network) - 1);
        /* A node that makes a third of its network goes no better when it replaces one of the two. */
        if (of > most || (of == most && worst != TL_TABLE_K)) {
            worst = i;
            most = of;
        }
    }
    return worst;
}

/* --- nodes come and go --- */

static void remove_at(tl_table_node *nodes, uint8_t *n, unsigned at)
{
    assert(at < *n);
    memmove(nodes + at, nodes + at + 1, (*n - at - 1u) * sizeof *nodes);
    (*n)--;
}

static void add_spare(tl_table_bucket *b, const tl_table_node *node)
{
    for (unsigned i = 0; i < b->n_spares; i++)
        if (tl_dht_id_eq(&b->spares[i].id, &node->id) ||
            tl_addr_eq(&b->spares[i].addr, &node->addr)) {
            remove_at(b->spares, &b->n_spares, i);
            break;
        }
    if (b->n_spares == TL_TABLE_SPARES)
        remove_at(b->spares, &b->n_spares, 0);
    b->spares[b->n_spares++] = *node;
}

/* The best spare, the newest of equals, takes a free place. */
static void fill_up(tl_table *t, tl_table_bucket *b)
{
    while (b->n < TL_TABLE_K && b->n_spares > 0) {
        unsigned best = 0, least = UINT32_MAX;
        for (unsigned i = 0; i < b->n_spares; i++) {
            unsigned of = faults(&b->spares[i], of_network(b, b->spares[i].network));
            if (of <= least) {
                best = i;
                least = of;
            }
        }
        b->nodes[b->n++] = b->spares[best];
        t->n++;
        remove_at(b->spares, &b->n_spares, best);
    }
}

static void drop(tl_table *t, tl_table_bucket *b, unsigned at)
{
    remove_at(b->nodes, &b->n, at);
    t->n--;
    fill_up(t, b);
}

/* Of its IP, and of its network, in the whole table; nodes that fail are not counted. */
static bool is_crowded(const tl_table *t, const tl_table_node *node)
{
    unsigned of_network = 0;
    if (tl_dht_addr_is_local(&node->addr))
        return false;
    for (unsigned i = 0; i < TL_TABLE_BUCKETS; i++)
        for (unsigned j = 0; t->buckets[i] && j < t->buckets[i]->n; j++) {
            const tl_table_node *other = &t->buckets[i]->nodes[j];
            if (other->network != node->network || other->fails > 0)
                continue;
            if (tl_addr_same_ip(&other->addr, &node->addr))
                return true;
            of_network++;
        }
    return of_network >= TL_TABLE_PER_NETWORK;
}

static bool may_be_in(const tl_table *t, unsigned bucket, const tl_table_node *node)
{
    return (node->fits || bucket < t->deep) && !is_crowded(t, node);
}

static void place(tl_table *t, const tl_table_node *node)
{
    unsigned index = bucket_of(t, &node->id);
    if (!may_be_in(t, index, node))
        return;
    if (!t->buckets[index] && !(t->buckets[index] = calloc(1, sizeof **t->buckets)))
        return;
    tl_table_bucket *b = t->buckets[index];
    if (b->n < TL_TABLE_K) {
        b->nodes[b->n++] = *node;
        t->n++;
        return;
    }
    unsigned worst = worst_but(b, node);
    if (worst == TL_TABLE_K) {
        add_spare(b, node);
        return;
    }
    if (b->nodes[worst].fails == 0)
        add_spare(b, &b->nodes[worst]);
    remove_at(b->nodes, &b->n, worst);
    b->nodes[b->n++] = *node;
}

void tl_table_set_self(tl_table *t, const tl_dht_id *self)
{
    tl_table old = *t;
    tl_table_init(t, self);
    t->deep = old.deep;
    for (unsigned i = 0; i < TL_TABLE_BUCKETS; i++)
        for (unsigned j = 0; old.buckets[i] && j < old.buckets[i]->n; j++)
            if (!tl_dht_id_eq(&old.buckets[i]->nodes[j].id, self))
                place(t, &old.buckets[i]->nodes[j]);
    tl_table_clear(&old);
}

void tl_table_answered(tl_table *t, const tl_dht_id *id, const tl_addr *addr, tl_time now)
{
    if (tl_dht_id_eq(id, &t->self))
        return;
    tl_table_node node = {.id = *id,
                          .fits = tl_dht_id_fits(id, addr),
                          .addr = *addr,
                          .network = tl_dht_addr_network(addr),
                          .heard = now,
                          .tended = now};
    tl_table_bucket *b = t->buckets[bucket_of(t, id)];
    for (unsigned i = 0; b && i < b->n; i++) {
        bool same_id = tl_dht_id_eq(&b->nodes[i].id, id);
        bool same_addr = tl_addr_eq(&b->nodes[i].addr, addr);
        if (same_id && same_addr) {
            b->nodes[i].heard = b->nodes[i].tended = now;
            b->nodes[i].fails = 0;
            return;
        }
        if (same_id && b->nodes[i].fails == 0)
            return;
        if (same_id || same_addr) {
            b->nodes[i] = node;
            return;
        }
    }
    place(t, &node);
}

static tl_table_node *find(tl_table *t, const tl_dht_id *id, tl_table_bucket **ret_bucket,
                           unsigned *ret_at)
{
    tl_table_bucket *b = t->buckets[bucket_of(t, id)];
    for (unsigned i = 0; b && i < b->n; i++)
        if (tl_dht_id_eq(&b->nodes[i].id, id)) {
            *ret_bucket = b;
            *ret_at = i;
            return &b->nodes[i];
        }
    return NULL;
}

void tl_table_failed(tl_table *t, const tl_dht_id *id, const tl_addr *addr)
{
    tl_table_bucket *b;
    unsigned at;
    tl_table_node *node = find(t, id, &b, &at);
    if (!node || !tl_addr_eq(&node->addr, addr))
        return;
    node->fails++;
    if (b->n_spares > 0 || node->fails >= TL_TABLE_FAILS)
        drop(t, b, at);
}

void tl_table_remove(tl_table *t, const tl_dht_id *id, const tl_addr *addr)
{
    tl_table_bucket *b;
    unsigned at;
    const tl_table_node *node = find(t, id, &b, &at);
    if (node && tl_addr_eq(&node->addr, addr))
        drop(t, b, at);
}

bool tl_table_wants(const tl_table *t, const tl_dht_id *id, const tl_addr *addr)
{
    if (tl_dht_id_eq(id, &t->self))
        return false;
    const tl_table_bucket *b = t->buckets[bucket_of(t, id)];
    for (unsigned i = 0; b && i < b->n; i++)
        if (tl_dht_id_eq(&b->nodes[i].id, id) || tl_addr_eq(&b->nodes[i].addr, addr))
            return b->nodes[i].fails > 0 && !tl_addr_eq(&b->nodes[i].addr, addr);
    tl_table_node node = {
        .fits = tl_dht_id_fits(id, addr), .addr = *addr, .network = tl_dht_addr_network(addr)};
    if (!may_be_in(t, bucket_of(t, id), &node))
        return false;
    if (!b || b->n < TL_TABLE_K)
        return true;
    return worst_but(b, &node) != TL_TABLE_K;
}

/* --- what is asked of the table --- */

/* Adds the nodes of one bucket to `nodes`, which stay sorted from `from` on. */
static size_t gather(const tl_table_bucket *b, const tl_dht_id *target, size_t from, size_t n,
                     size_t max, tl_dht_node *nodes)
{
    for (unsigned i = 0; b && i < b->n; i++) {
        const tl_table_node *node = &b->nodes[i];
        if (node->fails > 0)
            continue;
        size_t at = n;
        while (at > from && tl_dht_id_cmp(target, &node->id, &nodes[at - 1].id) < 0)
            at--;
        if (at == max)
            continue;
        if (n == max)
            n--;
        memmove(nodes + at + 1, nodes + at, (n - at) * sizeof *nodes);
        nodes[at] = (tl_dht_node){node->id, node->addr};
        n++;
    }
    return n;
}

/* The bucket of the target has the nearest nodes. All buckets nearer to us come next, and in no order
 * between them. Then the farther buckets, one by one. */
size_t tl_table_closest(const tl_table *t, const tl_dht_id *target, size_t max,
                        tl_dht_node *ret_nodes)
{
    unsigned own = bucket_of(t, target);
    size_t n = gather(t->buckets[own], target, 0, 0, max, ret_nodes);
    size_t from = n;
    for (unsigned i = own + 1; i < TL_TABLE_BUCKETS && from < max; i++)
        n = gather(t->buckets[i], target, from, n, max, ret_nodes);
    for (unsigned i = own; i-- > 0 && n < max;)
        n = gather(t->buckets[i], target, n, n, max, ret_nodes);
    return n;
}

tl_table_node *tl_table_oldest(tl_table *t)
{
    tl_table_node *oldest = NULL;
    for (unsigned i = 0; i < TL_TABLE_BUCKETS; i++)
        for (unsigned j = 0; t->buckets[i] && j < t->buckets[i]->n; j++)
            if (!oldest || t->buckets[i]->nodes[j].tended < oldest->tended)
                oldest = &t->buckets[i]->nodes[j];
    return oldest;
}

unsigned tl_table_depth(const tl_table *t)
{
    unsigned n = 0;
    for (unsigned i = TL_TABLE_BUCKETS; i-- > 0;) {
        for (unsigned j = 0; t->buckets[i] && j < t->buckets[i]->n; j++)
            n += t->buckets[i]->nodes[j].fits && t->buckets[i]->nodes[j].fails == 0;
        if (n >= TL_TABLE_K)
            return i;
    }
    return 0;
}

size_t tl_table_list(const tl_table *t, size_t max, tl_dht_node *ret_nodes)
{
    size_t n = 0;
    for (unsigned j = 0; j < TL_TABLE_K; j++)
        for (unsigned i = 0; i < TL_TABLE_BUCKETS && n < max; i++) {
            const tl_table_bucket *b = t->buckets[i];
            if (b && j < b->n && b->nodes[j].fails == 0)
                ret_nodes[n++] = (tl_dht_node){b->nodes[j].id, b->nodes[j].addr};
        }
    return n;
}

size_t tl_table_networks(const tl_table *t, size_t max)
{
    uint64_t seen[TL_TABLE_BUCKETS];
    size_t n = 0;
    assert(max <= TL_TABLE_BUCKETS);
    for (unsigned i = 0; i < TL_TABLE_BUCKETS; i++)
        for (unsigned j = 0; t->buckets[i] && j < t->buckets[i]->n && n < max; j++) {
            size_t at = 0;
            while (at < n && seen[at] != t->buckets[i]->nodes[j].network)
                at++;
            if (at == n)
                seen[n++] = t->buckets[i]->nodes[j].network;
        }
    return n;
}

bool tl_table_has(const tl_table *t, const tl_addr *addr)
{
    for (unsigned i = 0; i < TL_TABLE_BUCKETS; i++)
        for (unsigned j = 0; t->buckets[i] && j < t->buckets[i]->n; j++)
            if (t->buckets[i]->nodes[j].fails == 0 &&
                tl_addr_eq(&t->buckets[i]->nodes[j].addr, addr))
                return true;
    return false;
}
