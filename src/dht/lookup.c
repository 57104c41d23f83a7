#include "dht/lookup.h"

#include "dht/queries.h"

#include <assert.h>
#include <stdlib.h>

void tl_lookup_init(tl_lookup *l, const tl_dht_id *target, unsigned paths, unsigned usual)
{
    assert(paths == 1 || paths == TL_LOOKUP_PATHS);
    *l = (tl_lookup){.target = *target, .paths = paths, .usual = usual};
}

void tl_lookup_clear(tl_lookup *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->nodes[i]);
    l->n = 0;
}

/* --- nodes in order --- */

static size_t place_of(const tl_lookup *l, const tl_lookup_node *node)
{
    size_t at = l->n;
    while (node->has_id && at > 0 &&
           (!l->nodes[at - 1]->has_id ||
            tl_dht_id_cmp(&l->target, &node->id, &l->nodes[at - 1]->id) < 0))
        at--;
    return at;
}

static void insert(tl_lookup *l, tl_lookup_node *node)
{
    assert(l->n < TL_LOOKUP_NODES_MAX);
    size_t at = place_of(l, node);
    memmove(l->nodes + at + 1, l->nodes + at, (l->n - at) * sizeof *l->nodes);
    l->nodes[at] = node;
    l->n++;
}

static void take_out(tl_lookup *l, size_t at)
{
    l->n--;
    memmove(l->nodes + at, l->nodes + at + 1, (l->n - at) * sizeof *l->nodes);
}

/* False: all that are there were asked, or are nearer. */
static bool make_room(tl_lookup *l, const tl_lookup_node *node)
{
    if (l->n < TL_LOOKUP_NODES_MAX)
        return true;
    size_t end = place_of(l, node);
    for (size_t i = l->n; i-- > end;)
        if (l->nodes[i]->state == TL_LOOKUP_FRESH || l->nodes[i]->state == TL_LOOKUP_FAILED) {
            free(l->nodes[i]);
            take_out(l, i);
            return true;
        }
    return false;
}

static bool is_known(const tl_lookup *l, const tl_lookup_node *node)
{
    unsigned of_host = 0;
    for (size_t i = 0; i < l->n; i++) {
        const tl_lookup_node *other = l->nodes[i];
        if (tl_addr_eq(&other->addr, &node->addr))
            return true;
        if (node->has_id && other->has_id && tl_dht_id_eq(&other->id, &node->id) &&
            other->state != TL_LOOKUP_FAILED)
            return true;
        of_host += other->host == node->host;
    }
    return of_host >= TL_LOOKUP_PER_HOST;
}

static void add(tl_lookup *l, const tl_lookup_node *node)
{
    if ((node->has_id && !node->fits &&
         tl_dht_id_common(&l->target, &node->id) >= l->usual + TL_LOOKUP_TOO_NEAR) ||
        is_known(l, node) || !make_room(l, node))
        return;
    tl_lookup_node *copy = malloc(sizeof *copy);
    if (!copy)
        return;
    *copy = *node;
    insert(l, copy);
}

static tl_lookup_node make_node(const tl_dht_id *id, const tl_addr *addr)
{
    tl_lookup_node node = {
        .addr = *addr, .network = tl_dht_addr_network(addr), .host = tl_queries_host(addr)};
    if (id) {
        node.id = *id;
        node.has_id = true;
        node.fits = tl_dht_id_fits(id, addr);
    }
    return node;
}

void tl_lookup_seed(tl_lookup *l, const tl_dht_id *id, const tl_addr *addr)
{
    tl_lookup_node node = make_node(id, addr);
    node.path = (uint8_t)(l->n % l->paths);
    node.hops = 1;
    node.is_first = l->n < (size_t)TL_LOOKUP_FIRSTS * l->paths;
    add(l, &node);
}

void tl_lookup_named(tl_lookup *l, const tl_lookup_node *by, const tl_dht_id *id,
                     const tl_addr *addr)
{
    tl_lookup_node node = make_node(id, addr);
    node.path = by->path;
    node.hops = (uint8_t)(by->hops < UINT8_MAX ? by->hops + 1 : UINT8_MAX);
    add(l, &node);
}

/* --- the rings --- */

/* How many of the careful ring may have `bits` or more in common with the target. By chance 8 / 2^n nodes
 * have n more than usual. Twice that, and at least one, is no sign of a crowd. */
static unsigned may_be_so_near(const tl_lookup *l, unsigned bits)
{
    if (bits <= l->usual + 1)
        return TL_LOOKUP_K;
    unsigned more = bits - l->usual;
    return more == 2 ? 4 : more == 3 ? 3 : more <= 5 ? 2 : 1;
}

static bool fits_careful(const tl_lookup *l, const tl_lookup_node *node,
                         const tl_lookup_node *const *ring, unsigned n)
{
    if (!node->fits)
        return false;
    unsigned of_network = 0;
    for (unsigned i = 0; i < n; i++)
        of_network += ring[i]->network == node->network;
    /* The nodes of the ring so far are all nearer than this one. */
    return of_network < TL_LOOKUP_PER_NETWORK &&
           n < may_be_so_near(l, tl_dht_id_common(&l->target, &node->id));
}

/* Both are made of nodes that answered, or may still do. */
static void set_rings(tl_lookup *l)
{
    const tl_lookup_node *careful[TL_LOOKUP_K];
    unsigned n_plain = 0, n_careful = 0;
    for (size_t i = 0; i < l->n; i++) {
        tl_lookup_node *node = l->nodes[i];
        node->rings = 0;
        if (node->state == TL_LOOKUP_FAILED || node->state == TL_LOOKUP_LATE)
            continue;
        if (n_plain < TL_LOOKUP_K) {
            node->rings |= TL_LOOKUP_PLAIN;
            n_plain++;
        }
        if (n_careful < TL_LOOKUP_K && node->has_id && fits_careful(l, node, careful, n_careful)) {
            node->rings |= TL_LOOKUP_CAREFUL;
            careful[n_careful++] = node;
        }
    }
}

/* --- whom to ask --- */

tl_lookup_node *tl_lookup_next(tl_lookup *l)
{
    unsigned under_way[TL_LOOKUP_PATHS] = {0}, own[TL_LOOKUP_PATHS] = {0};
    if (l->asked >= TL_LOOKUP_ASKED_MAX)
        return NULL;
    for (size_t i = 0; i < l->n; i++)
        under_way[l->nodes[i]->path] += l->nodes[i]->state == TL_LOOKUP_ASKED;
    set_rings(l);
    for (size_t i = 0; i < l->n; i++) {
        tl_lookup_node *node = l->nodes[i];
        if (node->state == TL_LOOKUP_FAILED || node->state == TL_LOOKUP_LATE)
            continue;
        bool is_near = own[node->path]++ < TL_LOOKUP_K;
        if (node->state != TL_LOOKUP_FRESH || !(is_near || node->is_first || node->rings != 0) ||
            under_way[node->path] >= TL_LOOKUP_ALPHA / l->paths)
            continue;
        node->state = TL_LOOKUP_ASKED;
        l->asked++;
        return node;
    }
    return NULL;
}

void tl_lookup_not_asked(tl_lookup *l, tl_lookup_node *node)
{
    assert(node->state == TL_LOOKUP_ASKED);
    node->state = TL_LOOKUP_FRESH;
    l->asked--;
}

tl_lookup_node *tl_lookup_asked(tl_lookup *l, const tl_addr *addr)
{
    for (size_t i = 0; i < l->n; i++)
        if ((l->nodes[i]->state == TL_LOOKUP_ASKED || l->nodes[i]->state == TL_LOOKUP_LATE) &&
            tl_addr_eq(&l->nodes[i]->addr, addr))
            return l->nodes[i];
    return NULL;
}

static size_t index_of(const tl_lookup *l, const tl_lookup_node *node)
{
    size_t i = 0;
    while (l->nodes[i] != node)
        i++;
    return i;
}

void tl_lookup_on_answer(tl_lookup *l, tl_lookup_node *node, const tl_dht_id *id, tl_slice token)
{
    node->state = TL_LOOKUP_ANSWERED;
    l->answered++;
    if (token.n <= sizeof node->token && token.n > 0) {
        memcpy(node->token, token.p, token.n);
        node->n_token = (uint8_t)token.n;
    }
    if (node->has_id && tl_dht_id_eq(&node->id, id))
        return;
    /* It is another node than it was said to be. Its own word counts, but no ID counts twice. */
    for (size_t i = 0; i < l->n; i++)
        if (l->nodes[i] != node && l->nodes[i]->has_id && tl_dht_id_eq(&l->nodes[i]->id, id) &&
            l->nodes[i]->state == TL_LOOKUP_ANSWERED)
            node->state = TL_LOOKUP_FAILED;
    take_out(l, index_of(l, node));
    node->id = *id;
    node->has_id = true;
    node->fits = tl_dht_id_fits(id, &node->addr);
    insert(l, node);
}

void tl_lookup_on_late(tl_lookup *l, tl_lookup_node *node)
{
    (void)l;
    if (node->state == TL_LOOKUP_ASKED)
        node->state = TL_LOOKUP_LATE;
}

void tl_lookup_on_silent(tl_lookup *l, tl_lookup_node *node)
{
    (void)l;
    node->state = TL_LOOKUP_FAILED;
}

bool tl_lookup_is_done(tl_lookup *l)
{
    unsigned own[TL_LOOKUP_PATHS] = {0};
    set_rings(l);
    for (size_t i = 0; i < l->n; i++) {
        const tl_lookup_node *node = l->nodes[i];
        if (node->state == TL_LOOKUP_ASKED)
            return false;
        if (node->state == TL_LOOKUP_FAILED || node->state == TL_LOOKUP_LATE)
            continue;
        bool is_near = own[node->path]++ < TL_LOOKUP_K;
        if (node->state == TL_LOOKUP_FRESH && (is_near || node->is_first || node->rings != 0) &&
            l->asked < TL_LOOKUP_ASKED_MAX)
            return false;
    }
    return true;
}

/* --- what was found --- */

size_t tl_lookup_rings(tl_lookup *l, tl_lookup_node *ret_nodes[2 * TL_LOOKUP_K])
{
    size_t n = 0;
    set_rings(l);
    for (size_t i = 0; i < l->n; i++)
        if (l->nodes[i]->rings != 0 && l->nodes[i]->state == TL_LOOKUP_ANSWERED)
            ret_nodes[n++] = l->nodes[i];
    return n;
}

bool tl_lookup_density(tl_lookup *l, unsigned *ret_bits)
{
    unsigned n = 0;
    for (size_t i = 0; i < l->n; i++)
        if (l->nodes[i]->state == TL_LOOKUP_ANSWERED && ++n == TL_LOOKUP_K) {
            *ret_bits = tl_dht_id_common(&l->target, &l->nodes[i]->id);
            return true;
        }
    return false;
}
