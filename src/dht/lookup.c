#include "dht/lookup.h"

#include "dht/queries.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

void tl_lookup_init(tl_lookup *l, const tl_dht_id *target, unsigned paths, unsigned usual)
{
    assert(paths == 1 || paths == TL_LOOKUP_PATHS);
    *l = (tl_lookup){.target = *target, .paths = paths, .usual = usual, .path_k = TL_LOOKUP_PATH_K};
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
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are moved */
    memmove(l->nodes + at + 1, l->nodes + at, (l->n - at) * sizeof *l->nodes);
    l->nodes[at] = node;
    l->n++;
}

static void take_out(tl_lookup *l, size_t at)
{
    l->n--;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are moved */
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

static bool has_same_id(const tl_lookup_node *a, const tl_lookup_node *b)
{
    return a->has_id && b->has_id && tl_dht_id_eq(&a->id, &b->id);
}

/* An ID is taken once it has answered. Before that it is a word of one path: who names a node at a wrong
 * address must not keep out the right one, which another path names, or which fits. */
static bool has_its_id(const tl_lookup_node *other, const tl_lookup_node *node)
{
    if (!has_same_id(other, node) || other->state == TL_LOOKUP_FAILED ||
        (node->fits && !other->fits))
        return false;
    return other->state == TL_LOOKUP_ANSWERED || other->path == node->path;
}

static bool is_known(const tl_lookup *l, const tl_lookup_node *node)
{
    unsigned of_host = 0;
    for (size_t i = 0; i < l->n; i++) {
        const tl_lookup_node *other = l->nodes[i];
        if (tl_addr_eq(&other->addr, &node->addr) || has_its_id(other, node))
            return true;
        of_host += other->host == node->host;
    }
    return of_host >= TL_LOOKUP_PER_HOST;
}

static void add(tl_lookup *l, const tl_lookup_node *node)
{
    if ((node->has_id && !node->fits && node->common >= l->usual + TL_LOOKUP_TOO_NEAR) ||
        is_known(l, node) || !make_room(l, node))
        return;
    tl_lookup_node *copy = malloc(sizeof *copy);
    if (!copy)
        return;
    *copy = *node;
    insert(l, copy);
}

static tl_lookup_node make_node(const tl_lookup *l, const tl_dht_id *id, const tl_addr *addr)
{
    tl_lookup_node node = {
        .addr = *addr, .network = tl_dht_addr_network(addr), .host = tl_queries_host(addr)};
    if (id) {
        node.id = *id;
        node.has_id = true;
        node.common = (uint8_t)tl_dht_id_common(&l->target, id);
        node.fits = tl_dht_id_fits(id, addr);
    }
    return node;
}

void tl_lookup_named(tl_lookup *l, const tl_lookup_node *by, const tl_dht_id *id,
                     const tl_addr *addr)
{
    tl_lookup_node node = make_node(l, id, addr);
    node.path = by->path;
    node.hops = (uint8_t)(by->hops < UINT8_MAX ? by->hops + 1 : UINT8_MAX);
    add(l, &node);
}

/* --- the rings --- */

/* How many of the careful ring may have `bits` or more in common with the target. By chance 8 / 2^n nodes
 * have n more than usual. Twice that, and at least one, is no sign of a crowd. */
static unsigned may_be_so_near(unsigned usual, unsigned bits)
{
    if (bits <= usual + 1)
        return UINT_MAX;
    unsigned more = bits - usual;
    return more == 2 ? 4 : more == 3 ? 3 : more <= 5 ? 2 : 1;
}

/* Nodes of a ring so far; all of them are nearer than the next. */
typedef struct {
    unsigned n, crowd; /* that count, and that are of a crowd */
    const tl_lookup_node *nodes[TL_LOOKUP_FIRSTS * TL_LOOKUP_PATHS + TL_LOOKUP_CROWD_MAX];
} ring;

static bool is_careful(const tl_lookup_node *node, const ring *r)
{
    unsigned of_network = 0;
    if (!node->has_id || !node->fits)
        return false;
    for (unsigned i = 0; i < r->n + r->crowd; i++)
        of_network += r->nodes[i]->network == node->network;
    return of_network < TL_LOOKUP_PER_NETWORK;
}

static bool is_of_crowd(const tl_lookup *l, const tl_lookup_node *node, const ring *r)
{
    return r->n >= may_be_so_near(l->usual, node->common);
}

/* A crowd is in the ring, too, up to its bound, and does not count. So the rings of two nodes that judge
 * the crowd differently are one within the other. Who stores and who asks find the same nodes. */
static uint8_t add_careful(const tl_lookup *l, ring *r, const tl_lookup_node *node)
{
    if (r->n == TL_LOOKUP_K || !is_careful(node, r))
        return 0;
    bool is_crowd = is_of_crowd(l, node, r);
    if (is_crowd && r->crowd == TL_LOOKUP_CROWD_MAX)
        return 0;
    r->nodes[r->n + r->crowd] = node;
    r->n += !is_crowd;
    r->crowd += is_crowd;
    return TL_LOOKUP_CAREFUL;
}

static uint8_t add_if(ring *r, unsigned most, const tl_lookup_node *node, uint8_t flag)
{
    if (r->n == most)
        return 0;
    r->nodes[r->n++] = node;
    return flag;
}

/* They are made of nodes that answered, or may still do. */
static void set_rings(tl_lookup *l)
{
    ring plain, careful, own[TL_LOOKUP_PATHS];
    plain.n = plain.crowd = careful.n = careful.crowd = 0;
    for (unsigned i = 0; i < l->paths; i++)
        own[i].n = own[i].crowd = 0;
    for (size_t i = 0; i < l->n; i++) {
        tl_lookup_node *node = l->nodes[i];
        node->rings = 0;
        if (node->state == TL_LOOKUP_FAILED || node->state == TL_LOOKUP_LATE)
            continue;
        node->rings |= add_if(&plain, TL_LOOKUP_K, node, TL_LOOKUP_PLAIN);
        node->rings |= add_careful(l, &careful, node);
        if (l->all_seeds && node->hops == 1)
            node->rings |= TL_LOOKUP_OWN;
        if (node->path >= l->paths)
            continue;
        ring *of = &own[node->path];
        if (is_careful(node, of) && !is_of_crowd(l, node, of))
            node->rings |= add_if(of, l->path_k, node, TL_LOOKUP_OWN);
    }
}

/* Who besieges a key has the nearest nodes of our own table, too. Paths begin at careful ones. */
void tl_lookup_seed(tl_lookup *l, const tl_dht_id *id, const tl_addr *addr)
{
    ring firsts = {0};
    tl_lookup_node node = make_node(l, id, addr);
    for (size_t i = 0; i < l->n; i++)
        if (l->nodes[i]->path < l->paths)
            (void)add_if(&firsts, TL_LOOKUP_FIRSTS * TL_LOOKUP_PATHS, l->nodes[i], 0);
    bool is_first = firsts.n < TL_LOOKUP_FIRSTS * l->paths && is_careful(&node, &firsts) &&
                    !is_of_crowd(l, &node, &firsts);
    node.path = (uint8_t)(is_first ? firsts.n % l->paths : l->paths);
    node.hops = 1;
    add(l, &node);
}

/* --- whom to ask --- */

static bool is_wanted(const tl_lookup_node *node)
{
    return node->state == TL_LOOKUP_FRESH && node->rings != 0;
}

static tl_lookup_node *choose(tl_lookup *l)
{
    tl_lookup_node *next = NULL;
    bool is_fair = l->asked % TL_LOOKUP_FAIR == TL_LOOKUP_FAIR - 1;
    set_rings(l);
    for (size_t i = 0; i < l->n && (!next || is_fair); i++)
        if (is_wanted(l->nodes[i]) &&
            (!next || l->of_path[l->nodes[i]->path] < l->of_path[next->path]))
            next = l->nodes[i];
    return next;
}

/* Are the nearest that answered farther from the target than those of other targets? */
static bool is_misled(const tl_lookup *l)
{
    unsigned n = 0;
    if (l->usual == TL_LOOKUP_NO_CROWD)
        return false;
    for (size_t i = 0; i < l->n; i++)
        if (l->nodes[i]->state == TL_LOOKUP_ANSWERED && l->nodes[i]->fits && ++n == TL_LOOKUP_K)
            return l->nodes[i]->common + TL_LOOKUP_SPARSE <= l->usual;
    return true;
}

tl_lookup_node *tl_lookup_next(tl_lookup *l)
{
    unsigned under_way = 0;
    for (size_t i = 0; i < l->n; i++)
        under_way += l->nodes[i]->state == TL_LOOKUP_ASKED;
    if (l->asked >= TL_LOOKUP_ASKED_MAX || under_way >= TL_LOOKUP_ALPHA)
        return NULL;
    tl_lookup_node *next = choose(l);
    while (!next && under_way == 0 && l->path_k < TL_LOOKUP_PATH_MAX && is_misled(l)) {
        l->path_k += l->all_seeds ? TL_LOOKUP_PATH_K : 0;
        l->all_seeds = true;
        next = choose(l);
    }
    if (!next)
        return NULL;
    next->state = TL_LOOKUP_ASKED;
    l->of_path[next->path]++;
    l->asked++;
    return next;
}

void tl_lookup_not_asked(tl_lookup *l, tl_lookup_node *node)
{
    assert(node->state == TL_LOOKUP_ASKED);
    node->state = TL_LOOKUP_FRESH;
    l->of_path[node->path]--;
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

/* No ID counts twice. `node` answered: those that did not yet are wrong addresses of it. Of two that
 * answered it is the one that fits, or else the first. */
static void keep_one_of_id(tl_lookup *l, tl_lookup_node *node)
{
    for (size_t i = 0; i < l->n; i++) {
        tl_lookup_node *other = l->nodes[i];
        if (other == node || !has_same_id(other, node))
            continue;
        if (other->state == TL_LOOKUP_FRESH ||
            (other->state == TL_LOOKUP_ANSWERED && node->fits && !other->fits))
            other->state = TL_LOOKUP_FAILED;
        else if (other->state == TL_LOOKUP_ANSWERED)
            node->state = TL_LOOKUP_FAILED;
    }
}

void tl_lookup_on_answer(tl_lookup *l, tl_lookup_node *node, const tl_dht_id *id, tl_slice token)
{
    node->state = TL_LOOKUP_ANSWERED;
    l->answered++;
    if (token.n <= sizeof node->token && token.n > 0) {
        memcpy(node->token, token.p, token.n);
        node->n_token = (uint8_t)token.n;
    }
    if (!node->has_id || !tl_dht_id_eq(&node->id, id)) { /* another one than it was said to be */
        take_out(l, index_of(l, node));
        node->id = *id;
        node->has_id = true;
        node->common = (uint8_t)tl_dht_id_common(&l->target, id);
        node->fits = tl_dht_id_fits(id, &node->addr);
        insert(l, node);
    }
    keep_one_of_id(l, node);
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
    set_rings(l);
    for (size_t i = 0; i < l->n; i++)
        if (l->nodes[i]->state == TL_LOOKUP_ASKED ||
            (is_wanted(l->nodes[i]) && l->asked < TL_LOOKUP_ASKED_MAX))
            return false;
    return true;
}

/* --- what was found --- */

size_t tl_lookup_rings(tl_lookup *l, tl_lookup_node *ret_nodes[TL_LOOKUP_RINGS_MAX])
{
    size_t n = 0;
    set_rings(l);
    for (size_t i = 0; i < l->n; i++)
        if ((l->nodes[i]->rings & (TL_LOOKUP_PLAIN | TL_LOOKUP_CAREFUL)) &&
            l->nodes[i]->state == TL_LOOKUP_ANSWERED)
            ret_nodes[n++] = l->nodes[i];
    return n;
}

size_t tl_lookup_without_crowd(const tl_dht_id *target, unsigned usual, tl_dht_node *nodes,
                               size_t n, size_t most)
{
    tl_dht_node left[TL_LOOKUP_NODES_MAX];
    size_t taken = 0, n_left = 0;
    assert(n <= TL_LOOKUP_NODES_MAX);
    for (size_t i = 0; i < n && taken < most; i++) {
        bool counts = tl_dht_id_fits(&nodes[i].id, &nodes[i].addr) &&
                      taken < may_be_so_near(usual, tl_dht_id_common(target, &nodes[i].id));
        if (counts)
            nodes[taken++] = nodes[i];
        else
            left[n_left++] = nodes[i];
    }
    for (size_t i = 0; i < n_left && taken < most; i++)
        nodes[taken++] = left[i];
    return taken;
}

bool tl_lookup_density(tl_lookup *l, unsigned *ret_bits)
{
    ring r = {0};
    for (size_t i = 0; i < l->n; i++) {
        const tl_lookup_node *node = l->nodes[i];
        if (node->state != TL_LOOKUP_ANSWERED || !is_careful(node, &r))
            continue;
        r.nodes[r.n++] = node;
        if (r.n == TL_LOOKUP_K) {
            *ret_bits = node->common;
            return true;
        }
    }
    return false;
}
