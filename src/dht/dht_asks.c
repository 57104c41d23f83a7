/* The requests of dht.h, and our own searches: a search for the nodes nearest to a target in each address
 * family, and then, where something is to be stored, a `put` to each of them. */
#include "dht/state.h"

#include <assert.h>
#include <stdlib.h>

static bool stores(const dht_ask *a)
{
    return a->kind == ASKS_PUT || a->kind == ASKS_KEPT;
}

static bool is_for_nodes(const dht_ask *a)
{
    return a->kind == ASKS_SELF || a->kind == ASKS_FILL;
}

static void free_ask(dht_ask *a)
{
    for (unsigned i = 0; i < FAMILIES; i++)
        tl_lookup_clear(&a->family[i].lookup);
    free(a);
}

void tl_dht_asks_clear(tl_dht *d)
{
    for (size_t i = 0; i < d->n_asks; i++)
        free_ask(d->asks[i]);
    d->n_asks = 0;
}

static dht_ask *find(const tl_dht *d, tl_dht_request name)
{
    for (size_t i = 0; name != 0 && i < d->n_asks; i++)
        if (d->asks[i]->name == name && d->asks[i]->state != ASK_ENDED)
            return d->asks[i];
    return NULL;
}

/* --- beginning --- */

/* Requests of others than ourselves have their own bound, so that they cannot keep ours out. */
static tl_err make(tl_dht *d, ask_kind kind, const tl_dht_id *target, tl_time now,
                   dht_ask **ret_ask)
{
    size_t of_users = 0;
    for (size_t i = 0; i < d->n_asks; i++)
        of_users += d->asks[i]->kind == ASKS_GET || d->asks[i]->kind == ASKS_PUT;
    bool is_users = kind == ASKS_GET || kind == ASKS_PUT;
    if ((is_users && of_users >= TL_DHT_REQUESTS_MAX) ||
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): it holds pointers */
        d->n_asks == sizeof d->asks / sizeof *d->asks)
        return TL_ERR_BUSY;
    dht_ask *a = calloc(1, sizeof *a);
    if (!a)
        return TL_ERR_NOMEM;
    a->name = ++d->last_name;
    a->kind = kind;
    a->target = *target;
    a->began = now;
    d->asks[d->n_asks++] = a;
    tl_dht_poke(d);
    *ret_ask = a;
    return TL_OK;
}

dht_ask *tl_dht_ask_begin(tl_dht *d, ask_kind kind, const tl_dht_id *target, tl_time now)
{
    dht_ask *a = NULL;
    return make(d, kind, target, now, &a) ? NULL : a;
}

tl_err tl_dht_get(tl_dht *d, const uint8_t key[32], tl_slice salt, unsigned quorum,
                  const tl_dht_ask *ask, tl_time now, tl_dht_request *ret_request)
{
    if (salt.n > TL_DHT_SALT_MAX)
        return TL_ERR_INVALID;
    dht_ask *a;
    tl_dht_id target = tl_dht_target_of_key(key, salt);
    tl_err e = make(d, ASKS_GET, &target, now, &a);
    if (e)
        return e;
    a->to = *ask;
    a->is_mutable = true;
    a->quorum = quorum;
    a->n_salt = (uint8_t)salt.n;
    if (salt.n > 0)
        memcpy(a->salt, salt.p, salt.n);
    *ret_request = a->name;
    return TL_OK;
}

tl_err tl_dht_get_immutable(tl_dht *d, const tl_dht_id *target, const tl_dht_ask *ask, tl_time now,
                            tl_dht_request *ret_request)
{
    dht_ask *a;
    tl_err e = make(d, ASKS_GET, target, now, &a);
    if (e)
        return e;
    a->to = *ask;
    a->quorum = 1;
    *ret_request = a->name;
    return TL_OK;
}

static void set_item(dht_ask *a, const tl_dht_item *item)
{
    a->item = *item;
    a->has_item = true;
    a->is_mutable = item->is_mutable;
    a->n_salt = item->n_salt;
    memcpy(a->salt, item->salt, sizeof a->salt);
}

tl_err tl_dht_put(tl_dht *d, const tl_dht_item *item, const tl_dht_ask *ask, tl_time now,
                  tl_dht_request *ret_request)
{
    if (tl_dht_item_verify(item))
        return TL_ERR_INVALID;
    dht_ask *a;
    tl_dht_id target = tl_dht_item_target(item);
    tl_err e = make(d, ASKS_PUT, &target, now, &a);
    if (e)
        return e;
    a->to = *ask;
    a->whole = true;
    set_item(a, item);
    *ret_request = a->name;
    return TL_OK;
}

void tl_dht_cancel(tl_dht *d, tl_dht_request request)
{
    dht_ask *a = find(d, request);
    if (a)
        a->state = ASK_ENDED;
    tl_dht_poke(d);
}

void tl_dht_asks_restart(tl_dht *d)
{
    for (size_t i = 0; i < d->n_asks; i++) {
        dht_ask *a = d->asks[i];
        for (unsigned family = 0; family < FAMILIES; family++) {
            tl_lookup_clear(&a->family[family].lookup);
            a->family[family].is_on = false;
        }
        if (a->state != ASK_ENDED)
            a->state = ASK_WAITING;
        a->puts = 0;
    }
    tl_dht_poke(d);
}

/* --- searching --- */

static void seed(tl_dht *d, dht_ask *a, unsigned family, tl_time now)
{
    tl_lookup *l = &a->family[family].lookup;
    tl_dht_node nodes[NODES_OF_LOOKUP];
    const tl_table *table = &d->family[family].table;
    size_t n = tl_table_closest(table, &a->target, NODES_OF_LOOKUP, nodes);
    tl_lookup_init(l, &a->target, a->kind == ASKS_FILL ? 1 : TL_LOOKUP_PATHS,
                   a->kind == ASKS_SELF ? TL_LOOKUP_NO_CROWD : tl_dht_usual_bits(d));
    for (size_t i = 0; i < n; i++)
        tl_lookup_seed(l, &nodes[i].id, &nodes[i].addr);
    bool enough = tl_dht_has_enough(d) && n >= SEEDS_ENOUGH;
    for (size_t i = d->n_seeds, used = 0; i-- > 0 && used < SEEDS_OF_LOOKUP;) {
        dht_seed *s = &d->seeds[i];
        bool first = a->kind == ASKS_SELF && !s->has_id && !s->asked;
        if ((enough && !first) || tl_dht_family_of(&s->node.addr) != family ||
            !tl_dht_may_ask(d, &s->node.addr, now) ||
            (s->has_id && tl_dht_id_eq(&s->node.id, &table->self)))
            continue;
        s->asked |= first;
        tl_lookup_seed(l, s->has_id ? &s->node.id : NULL, &s->node.addr);
        used++;
    }
}

/* False: no node is known. */
static bool begin_search(tl_dht *d, dht_ask *a, tl_time now)
{
    bool any = false;
    for (unsigned family = 0; family < FAMILIES; family++) {
        if (!d->family[family].is_on)
            continue;
        seed(d, a, family, now);
        a->family[family].is_on = a->family[family].lookup.n > 0;
        any |= a->family[family].is_on;
    }
    return any;
}

static bool ask_node(tl_dht *d, dht_ask *a, tl_lookup_node *node, tl_time now)
{
    tl_krpc query = {.method = is_for_nodes(a) ? TL_KRPC_FIND_NODE : TL_KRPC_GET,
                     .has_target = true};
    tl_query_for what = {
        .owner = a->name, .kind = QUERY_LOOK, .has_id = node->has_id, .id = node->id};
    memcpy(query.target, a->target.b, sizeof query.target);
    if (stores(a) && a->is_mutable && a->item.seq > 0) /* only newer ones are worth their bytes */
        query.seq = tl_maybe_of(a->item.seq);
    return tl_dht_query(d, &node->addr, &query, &what, now);
}

/* Sends what may be sent now. */
static void search(tl_dht *d, dht_ask *a, tl_time now)
{
    for (unsigned family = 0; family < FAMILIES; family++) {
        tl_lookup *l = &a->family[family].lookup;
        tl_lookup_node *node;
        while (a->family[family].is_on && (node = tl_lookup_next(l)) != NULL) {
            if (!tl_dht_may_ask(d, &node->addr, now)) {
                tl_lookup_on_silent(l, node);
                continue;
            }
            if (!ask_node(d, a, node, now)) {
                tl_lookup_not_asked(l, node);
                a->has_news = true; /* as soon as the budget allows */
                return;
            }
            a->result.asked++;
        }
    }
}

static bool has_quorum(const dht_ask *a)
{
    return a->kind == ASKS_GET && a->quorum > 0 && a->same >= a->quorum;
}

static bool is_searched(dht_ask *a)
{
    for (unsigned family = 0; family < FAMILIES; family++)
        if (a->family[family].is_on && !tl_lookup_is_done(&a->family[family].lookup))
            return false;
    return true;
}

/* --- ending --- */

static void end(tl_dht *d, dht_ask *a, tl_time now)
{
    a->state = ASK_ENDED;
    a->result.took = now - a->began;
    d->counters.lookups++;
    for (unsigned family = 0; family < FAMILIES; family++) {
        tl_lookup *l = &a->family[family].lookup;
        a->result.answered += l->answered;
        for (size_t i = 0; i < l->n; i++)
            if (l->nodes[i]->state == TL_LOOKUP_ANSWERED) { /* the nearest one */
                if (l->nodes[i]->hops > a->result.hops)
                    a->result.hops = l->nodes[i]->hops;
                break;
            }
    }
    tl_kept *kept = a->kind == ASKS_KEPT ? tl_kept_find(&d->kept, &a->target) : NULL;
    if (kept && kept->request == a->name) {
        kept->request = 0;
        const tl_kept_stored s = {a->should, a->had, a->result.values, a->stayed, a->whole};
        tl_kept_on_stored(&d->kept, kept, &s, now);
    }
    if (is_for_nodes(a))
        tl_dht_on_searched(d, a, now);
    if (a->kind == ASKS_GET || a->kind == ASKS_PUT) {
        d->counters.requests++;
        bool is_get = a->kind == ASKS_GET;
        uint64_t *well = is_get ? &d->counters.found : &d->counters.stored;
        uint64_t *badly = is_get ? &d->counters.not_found : &d->counters.not_stored;
        ++*((is_get ? a->has_item : a->result.values > 0) ? well : badly);
        a->to.on_done(a->to.user, a->name, is_get && a->has_item ? &a->item : NULL, &a->result);
    }
}

/* --- storing --- */

/* Are we ourselves among the nearest? */
static bool is_ours_to_hold(const tl_dht *d, dht_ask *a, unsigned family)
{
    unsigned bits;
    tl_lookup_node *ring[TL_LOOKUP_RINGS_MAX];
    size_t n = tl_lookup_rings(&a->family[family].lookup, ring);
    if (!d->config.serves || !d->family[family].is_on)
        return false;
    if (!tl_lookup_density(&a->family[family].lookup, &bits))
        return true;
    return tl_dht_id_cmp(&a->target, &d->family[family].table.self, &ring[n - 1]->id) < 0;
}

static void put_at(tl_dht *d, dht_ask *a, const tl_lookup_node *node, tl_time now)
{
    tl_krpc query = {.method = TL_KRPC_PUT, .token = tl_slice_of(node->token, node->n_token)};
    tl_query_for what = {.owner = a->name, .kind = QUERY_PUT, .has_id = true, .id = node->id};
    tl_dht_item_into_put(&a->item, &query);
    a->puts += tl_dht_query(d, &node->addr, &query, &what, now);
}

static void begin_storing(tl_dht *d, dht_ask *a, tl_time now, tl_unix wall)
{
    tl_kept *kept = a->kind == ASKS_KEPT ? tl_kept_find(&d->kept, &a->target) : NULL;
    if (kept) {
        if (!tl_kept_sign(kept, wall)) {
            end(d, a, now);
            return;
        }
        a->whole = tl_kept_is_whole_due(&d->kept, kept, now);
        a->item = kept->item;
    } else if (a->kind == ASKS_KEPT) { /* it was dropped meanwhile */
        end(d, a, now);
        return;
    }
    a->state = ASK_PUTTING;
    for (unsigned family = 0; family < FAMILIES; family++) {
        tl_lookup_node *ring[TL_LOOKUP_RINGS_MAX];
        size_t n = a->family[family].is_on ? tl_lookup_rings(&a->family[family].lookup, ring) : 0;
        for (size_t i = 0; i < n; i++) {
            if (ring[i]->n_token == 0)
                continue;
            bool has = ring[i]->holds && ring[i]->seq == a->item.seq;
            a->should++;
            a->had += has;
            if (!has || a->whole)
                put_at(d, a, ring[i], now);
        }
        if (a->family[family].is_on && is_ours_to_hold(d, a, family) &&
            tl_dht_server_keep(d->server, &a->item, now) == TL_OK)
            a->result.values += n == 0; /* nobody else is there */
    }
}

/* --- what comes back --- */

typedef struct {
    dht_ask *ask;
    tl_lookup_node *by;
} naming;

static void name_node(tl_dht *d, void *user, const tl_dht_node *node, tl_time now)
{
    (void)now;
    const naming *n = user;
    unsigned family = tl_dht_family_of(&node->addr);
    if (family == tl_dht_family_of(&n->by->addr))
        tl_lookup_named(&n->ask->family[family].lookup, n->by, &node->id, &node->addr);
    else
        tl_dht_consider(d, node, false, now);
}

/* Byte for byte what was verified already? Most holders have the same. */
static bool is_same_again(const dht_ask *a, const tl_krpc *m)
{
    const tl_dht_item *item = &a->item;
    return a->kind == ASKS_GET && a->has_item && a->is_mutable && m->key && m->sig &&
           m->seq.given && m->seq.value == item->seq &&
           memcmp(m->key, item->key, sizeof item->key) == 0 &&
           memcmp(m->sig, item->sig, sizeof item->sig) == 0 &&
           tl_slice_eq(m->value, tl_dht_item_value(item));
}

/* The item in an answer to `get`, if there is one. */
static void take_item(tl_dht *d, dht_ask *a, tl_lookup_node *node, const tl_krpc *answer,
                      tl_unix wall)
{
    tl_dht_item item;
    if (is_same_again(a, answer)) {
        node->holds = true;
        node->seq = a->item.seq;
        a->result.values++;
        a->same++;
        return;
    }
    tl_err e = tl_dht_item_from_answer(answer, &a->target, tl_slice_of(a->salt, a->n_salt), &item);
    if (e == TL_ERR_NOT_FOUND) {
        if (answer->seq.given) { /* it has none that is newer than ours */
            node->holds = true;
            node->seq = answer->seq.value;
        }
        return;
    }
    if (e || item.is_mutable != a->is_mutable) {
        a->result.refused += a->kind == ASKS_GET;
        return;
    }
    node->holds = true;
    node->seq = item.seq;
    if (stores(a)) {
        if (item.is_mutable && item.seq > a->item.seq && item.seq > a->result.newer)
            a->result.newer = item.seq;
        tl_kept *kept = a->kind == ASKS_KEPT ? tl_kept_find(&d->kept, &a->target) : NULL;
        if (kept)
            tl_kept_found(kept, &item, wall);
        return;
    }
    a->result.values++;
    if (a->has_item && item.seq < a->item.seq)
        return;
    if (a->has_item && item.seq == a->item.seq) {
        a->same++;
        return;
    }
    a->item = item;
    a->has_item = true;
    a->same = 1;
    if (a->to.on_item)
        a->to.on_item(a->to.user, a->name, &a->item);
}

void tl_dht_asks_on_answer(tl_dht *d, const tl_query *query, const tl_krpc *answer, tl_time now,
                           tl_unix wall)
{
    dht_ask *a = find(d, query->what.owner);
    if (!a)
        return;
    a->has_news = true;
    if (query->what.kind == QUERY_PUT) {
        a->puts--;
        a->result.values++;
        return;
    }
    tl_lookup *l = &a->family[tl_dht_family_of(&query->to)].lookup;
    tl_lookup_node *node = tl_lookup_asked(l, &query->to);
    if (!node)
        return;
    tl_dht_id id;
    memcpy(id.b, answer->id, sizeof id.b);
    tl_lookup_on_answer(l, node, &id, answer->token);
    if (!is_for_nodes(a))
        take_item(d, a, node, answer, wall);
    if (a->state != ASK_LOOKING) /* cancelled by whoever was told of the item */
        return;
    naming n = {a, node};
    tl_dht_each_named(d, &query->to, answer, now, name_node, &n);
}

void tl_dht_asks_on_late(tl_dht *d, const tl_query *query)
{
    dht_ask *a = find(d, query->what.owner);
    if (!a || query->what.kind != QUERY_LOOK)
        return;
    a->has_news = true;
    tl_lookup *l = &a->family[tl_dht_family_of(&query->to)].lookup;
    tl_lookup_node *node = tl_lookup_asked(l, &query->to);
    if (node)
        tl_lookup_on_late(l, node);
}

/* Did the node say in this search that it has the item, as it is now? */
static bool has_it(dht_ask *a, const tl_addr *node)
{
    const tl_lookup_node *n = tl_lookup_asked(&a->family[tl_dht_family_of(node)].lookup, node);
    return n && n->holds && n->seq == a->item.seq;
}

void tl_dht_asks_on_failed(tl_dht *d, const tl_query *query, bool refused)
{
    dht_ask *a = find(d, query->what.owner);
    if (!a)
        return;
    a->has_news = true;
    if (query->what.kind == QUERY_PUT) {
        a->puts--;
        a->result.refused += refused;
        a->stayed += refused && has_it(a, &query->to);
        return;
    }
    tl_lookup *l = &a->family[tl_dht_family_of(&query->to)].lookup;
    tl_lookup_node *node = tl_lookup_asked(l, &query->to);
    if (node)
        tl_lookup_on_silent(l, node);
}

/* --- going on --- */

/* What we hold ourselves counts as one node's answer. */
static void look_at_home(tl_dht *d, dht_ask *a, tl_time now)
{
    tl_dht_item item;
    if (a->kind != ASKS_GET || !tl_dht_server_find(d->server, &a->target, now, &item) ||
        item.is_mutable != a->is_mutable)
        return;
    a->item = item;
    a->has_item = true;
    a->same = a->result.values = 1;
    if (a->to.on_item)
        a->to.on_item(a->to.user, a->name, &a->item);
}

static void run(tl_dht *d, dht_ask *a, tl_time now, tl_unix wall)
{
    if (!a->has_news && a->state != ASK_WAITING)
        return;
    a->has_news = false;
    /* A search that begins at one or two unknown nodes is theirs to mislead. */
    if (a->state == ASK_WAITING && !is_for_nodes(a) && !d->joined &&
        now - a->began < WAIT_FOR_NODES)
        return;
    if (a->state == ASK_WAITING) {
        if (begin_search(d, a, now)) {
            a->state = ASK_LOOKING;
            look_at_home(d, a, now);
        } else {
            look_at_home(d, a, now);
            end(d, a, now);
        }
    }
    if (a->state == ASK_LOOKING) {
        search(d, a, now);
        if (has_quorum(a) || (!stores(a) && is_searched(a)))
            end(d, a, now);
        else if (is_searched(a))
            begin_storing(d, a, now, wall);
    }
    if (a->state == ASK_PUTTING && a->puts == 0)
        end(d, a, now);
}

static void begin_kept(tl_dht *d, tl_time now)
{
    unsigned under_way = 0;
    tl_kept *kept;
    for (size_t i = 0; i < d->n_asks; i++)
        under_way += d->asks[i]->kind == ASKS_KEPT;
    while (d->joined && under_way < KEEPING_MAX && (kept = tl_kept_due(&d->kept, now)) != NULL) {
        dht_ask *a = tl_dht_ask_begin(d, ASKS_KEPT, &kept->target, now);
        if (!a)
            return;
        set_item(a, &kept->item);
        kept->request = a->name;
        under_way++;
    }
}

void tl_dht_asks_run(tl_dht *d, tl_time now, tl_unix wall)
{
    begin_kept(d, now);
    for (size_t i = 0; i < d->n_asks; i++) /* calls of users may add some */
        run(d, d->asks[i], now, wall);
    for (size_t i = 0; i < d->n_asks;) {
        if (d->asks[i]->state != ASK_ENDED) {
            i++;
            continue;
        }
        free_ask(d->asks[i]);
        d->asks[i] = d->asks[--d->n_asks];
        tl_dht_poke(d); /* there is room for the next kept item */
    }
}

tl_time tl_dht_asks_expiry(const tl_dht *d)
{
    tl_time first = TL_NEVER;
    for (size_t i = 0; i < d->n_asks; i++) {
        dht_ask *a = d->asks[i];
        if (a->state == ASK_WAITING)
            first = tl_time_min(first, a->began + WAIT_FOR_NODES);
        else if (a->state == ASK_LOOKING && d->budget.tokens == 0)
            first = tl_time_min(first, d->budget.at + TL_SEC / TL_DHT_ASKS_PER_SEC);
    }
    return d->joined ? tl_time_min(first, tl_kept_expiry(&d->kept)) : first;
}
