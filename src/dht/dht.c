#include "dht/dht.h"

#include "dht/state.h"
#include "nat/candidate.h"
#include "wire/krpc.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* --- making and ending --- */

/* The nearest ones; where they are so near that somebody may besiege the target, others beside them. */
static size_t closest_for_server(void *user, const tl_dht_id *target, tl_addr_family family,
                                 size_t max, uint8_t *ret_nodes)
{
    const tl_dht *d = user;
    const dht_family *f = &d->family[family == TL_ADDR_V6];
    tl_dht_node nodes[NODES_OF_LOOKUP];
    if (!f->is_on)
        return 0;
    size_t n = tl_table_closest(&f->table, target, max < TL_TABLE_K ? max : TL_TABLE_K, nodes);
    unsigned usual = tl_dht_usual_bits(d);
    if (n > 0 && tl_dht_id_common(target, &nodes[0].id) > usual + CROWD_BITS) {
        size_t all = tl_table_closest(&f->table, target, NODES_OF_LOOKUP, nodes);
        n = tl_lookup_without_crowd(target, usual, nodes, all, n);
    }
    for (size_t i = 0; i < n; i++)
        ret_nodes += tl_krpc_node_write(nodes[i].id.b, &nodes[i].addr, ret_nodes);
    return n;
}

static tl_dht_id id_for_server(void *user, tl_addr_family family)
{
    const tl_dht *d = user;
    return d->family[family == TL_ADDR_V6].table.self;
}

static bool knows_for_server(void *user, const tl_addr *addr)
{
    const tl_dht *d = user;
    return tl_table_has(&d->family[tl_dht_family_of(addr)].table, addr);
}

tl_err tl_dht_new(const tl_dht_config *config, tl_time now, tl_dht **ret_dht)
{
    tl_dht *d = calloc(1, sizeof *d);
    if (!d)
        return TL_ERR_NOMEM;
    d->config = *config;
    tl_dht_server_nodes nodes = {closest_for_server, knows_for_server, id_for_server, d};
    tl_err e = tl_dht_server_new(config->rand, &nodes, now, &d->server);
    if (e) {
        free(d);
        return e;
    }
    tl_dht_server_set_serving(d->server, config->serves);
    tl_dht_server_set_nat(d->server, config->nat);
    tl_queries_init(&d->queries);
    d->budget = tl_ratelimit_make(TL_DHT_ASKS_PER_SEC, TL_DHT_ASKS_BURST, now);
    d->pings = tl_ratelimit_make(PINGS_PER_SEC, PINGS_BURST, now);
    d->back =
        tl_ratelimit_make(PINGS_PER_SEC / PINGS_OF_ASKERS, PINGS_BURST / PINGS_OF_ASKERS, now);
    for (unsigned i = 0; i < FAMILIES; i++) {
        tl_dht_id id = tl_dht_id_random(config->rand);
        tl_table_init(&d->family[i].table, &id);
        d->family[i].is_on = i == 0 ? config->has4 : config->has6;
    }
    tl_dht_set_republish(d, config->republish_secs);
    d->next_join = d->next_tend = now;
    d->next_fill = TL_NEVER;
    *ret_dht = d;
    return TL_OK;
}

void tl_dht_free(tl_dht *d)
{
    if (!d)
        return;
    tl_dht_asks_clear(d);
    tl_kept_clear(&d->kept);
    tl_queries_clear(&d->queries);
    for (unsigned i = 0; i < FAMILIES; i++)
        tl_table_clear(&d->family[i].table);
    tl_dht_server_free(d->server);
    free(d->seeds);
    free(d);
}

void tl_dht_poke(tl_dht *d)
{
    if (!d->poked)
        tl_env_wake(d->config.env);
    d->poked = true;
}

/* --- what is set --- */

void tl_dht_set_address(tl_dht *d, const tl_addr *v4, const tl_addr *v6, tl_time now)
{
    const tl_addr *own[FAMILIES] = {v4, v6};
    bool moved = false;
    for (unsigned i = 0; i < FAMILIES; i++) {
        dht_family *f = &d->family[i];
        bool same_ip = f->own.family == own[i]->family && tl_addr_same_ip(&f->own, own[i]);
        f->own = *own[i];
        if (same_ip || own[i]->family == TL_ADDR_NONE || tl_dht_id_fits(&f->table.self, own[i]))
            continue;
        tl_dht_id id = tl_dht_id_for(own[i], d->config.rand);
        tl_table_set_self(&f->table, &id);
        moved = true;
    }
    if (moved) {
        tl_kept_hurry(&d->kept, now);
        tl_dht_join_again(d, now);
    }
}

void tl_dht_set_sockets(tl_dht *d, bool has4, bool has6, tl_time now)
{
    bool has[FAMILIES] = {has4, has6};
    for (unsigned i = 0; i < FAMILIES; i++) {
        if (d->family[i].is_on == has[i])
            continue;
        d->family[i].is_on = has[i];
        tl_dht_join_again(d, now);
    }
}

void tl_dht_set_nat(tl_dht *d, tl_control_nat nat)
{
    tl_dht_server_set_nat(d->server, nat);
}

void tl_dht_set_introduces(tl_dht *d, const uint8_t key[TL_KRPC_KEY_SIZE])
{
    tl_dht_server_set_key(d->server, key);
}

void tl_dht_set_serving(tl_dht *d, bool serves)
{
    d->config.serves = serves;
    tl_dht_server_set_serving(d->server, serves);
}

void tl_dht_set_republish(tl_dht *d, unsigned secs)
{
    assert(secs >= 60 && secs <= TL_DHT_REPUBLISH_SECS);
    d->kept.republish = secs * TL_SEC;
}

void tl_dht_network_changed(tl_dht *d, tl_time now)
{
    tl_queries_drop(&d->queries);
    d->queries.srtt = 0;
    tl_dht_asks_restart(d);
    tl_kept_hurry(&d->kept, now);
    tl_dht_join_again(d, now);
}

/* --- queries out --- */

bool tl_dht_may_ask(tl_dht *d, const tl_addr *to, tl_time now)
{
    const dht_family *f = &d->family[tl_dht_family_of(to)];
    return to->family != TL_ADDR_NONE && f->is_on && to->port != 0 && !tl_addr_eq(to, &f->own) &&
           !tl_queries_is_silent(&d->queries, to, now) &&
           (!d->config.may_send || d->config.may_send(d->config.user, to));
}

static void send_to(tl_dht *d, const tl_addr *to, const uint8_t *bytes, size_t n)
{
    d->counters.bytes_out += n;
    d->config.send(d->config.user, to, tl_slice_of(bytes, n));
}

bool tl_dht_query(tl_dht *d, const tl_addr *to, tl_krpc *query, const tl_query_for *what,
                  tl_time now)
{
    unsigned family = tl_dht_family_of(to);
    uint8_t tid[TL_QUERIES_TID], bytes[TL_KRPC_MAX];
    size_t n;
    if (!tl_ratelimit_take(&d->budget, 1, now))
        return false;
    if (tl_queries_add(&d->queries, to, what, d->config.rand, now, tid)) {
        tl_ratelimit_give_back(&d->budget);
        return false;
    }
    const dht_family *other = &d->family[!family];
    query->kind = TL_KRPC_QUERY;
    query->tid = tl_slice_of(tid, sizeof tid);
    query->has_id = true;
    memcpy(query->id, d->family[family].table.self.b, sizeof query->id);
    query->read_only = !d->config.serves;
    if (other->is_on && other->table.n < SEEDS_ENOUGH && query->has_target)
        query->want = TL_KRPC_WANT4 | TL_KRPC_WANT6;
    tl_err e = tl_krpc_write(query, sizeof bytes, bytes, &n);
    assert(!e); /* an item is at most 1000 bytes, and its token at most 64 */
    (void)e;
    query->tid = (tl_slice){NULL, 0};
    d->counters.queries_out++;
    send_to(d, to, bytes, n);
    return true;
}

/* --- datagrams in --- */

/* How far an address reaches: 0 this machine, 1 local networks, 2 everywhere. -1: no such address is
 * asked. */
static int reach_of(const tl_dht *d, const tl_addr *a)
{
    if (tl_addr_is_loopback(a))
        return d->config.to_loopback ? 0 : -1;
    switch (tl_addr_kind_of(a)) {
    case TL_ADDR_GLOBAL: return 2;
    case TL_ADDR_PRIVATE:
    case TL_ADDR_SHARED: return 1;
    case TL_ADDR_FORBIDDEN: break;
    }
    return -1;
}

/* Who is far away cannot make us ask somebody in our own network. */
void tl_dht_each_named(tl_dht *d, const tl_addr *from, const tl_krpc *answer, tl_time now,
                       void (*each)(tl_dht *d, void *user, const tl_dht_node *node, tl_time now),
                       void *user)
{
    int reach = reach_of(d, from);
    for (unsigned family = 0; family < FAMILIES; family++) {
        tl_slice nodes = family == 0 ? answer->nodes : answer->nodes6;
        const uint8_t *id;
        tl_dht_node node;
        for (unsigned n = 0; n < 2 * TL_TABLE_K; n++) {
            if (!tl_krpc_next_node(&nodes, tl_dht_family_at(family), &id, &node.addr))
                break;
            memcpy(node.id.b, id, sizeof node.id.b);
            tl_addr normal = tl_addr_normal(node.addr);
            int of = reach_of(d, &node.addr);
            if (normal.family != node.addr.family || of < 0 || of < reach ||
                tl_dht_id_eq(&node.id, &d->family[family].table.self) ||
                !tl_dht_may_ask(d, &node.addr, now))
                continue;
            each(d, user, &node, now);
        }
    }
}

static void on_query(tl_dht *d, const tl_addr *from, const tl_krpc *query, size_t n, tl_time now)
{
    uint8_t answer[TL_KRPC_MAX];
    size_t answer_n;
    d->counters.queries_in++;
    if (!tl_dht_server_on_query(d->server, from, query, n, now, answer, &answer_n))
        return;
    send_to(d, from, answer, answer_n);
    if (query->read_only || !query->has_id)
        return;
    tl_dht_node node = {.addr = *from};
    memcpy(node.id.b, query->id, sizeof node.id.b);
    if (tl_dht_may_ask(d, from, now))
        tl_dht_consider(d, &node, true, now);
}

static void consider_named(tl_dht *d, void *user, const tl_dht_node *node, tl_time now)
{
    (void)user;
    tl_dht_consider(d, node, false, now);
}

/* A node of Teale is here. Only its answer to a ping says whether it introduces others. */
static void ask_introducer(tl_dht *d, const tl_addr *from, const tl_krpc *m,
                           const tl_query_for *what, tl_time now)
{
    const tl_slice ours = TL_KRPC_CLIENT;
    if (m->client.n != ours.n || memcmp(m->client.p, ours.p, 2) != 0 || !d->config.on_introducer ||
        !d->config.wants_introducers(d->config.user))
        return;
    if (what->kind == QUERY_PING && m->key) {
        d->config.on_introducer(d->config.user, from, m->key);
    } else if (what->kind != QUERY_PING && !tl_queries_asks(&d->queries, from) &&
               tl_ratelimit_take(&d->pings, 1, now)) {
        tl_krpc query = {.method = TL_KRPC_PING};
        tl_query_for ping = {.kind = QUERY_PING, .has_id = true};
        memcpy(ping.id.b, m->id, sizeof ping.id.b);
        tl_dht_query(d, from, &query, &ping, now);
    }
}

static void on_answer(tl_dht *d, const tl_addr *from, const tl_krpc *m, tl_time now, tl_unix wall)
{
    tl_query query;
    if (!tl_queries_answer(&d->queries, from, m->tid, now, &query)) {
        d->counters.dropped[TL_DHT_DROP_STRANGER]++;
        return;
    }
    tl_table *table = &d->family[tl_dht_family_of(from)].table;
    if (m->kind == TL_KRPC_ERROR || !m->has_id) {
        d->counters.errors_in++;
        if (query.what.has_id)
            tl_table_failed(table, &query.what.id, from);
        if (query.what.kind == QUERY_TEND)
            tl_dht_on_tended(d, true);
        tl_dht_asks_on_failed(d, &query, true);
        return;
    }
    d->counters.answers_in++;
    tl_dht_id id;
    memcpy(id.b, m->id, sizeof id.b);
    if (query.what.has_id && !tl_dht_id_eq(&id, &query.what.id))
        tl_table_remove(table, &query.what.id, from);
    tl_table_answered(table, &id, from, now);
    if (query.what.kind == QUERY_TEND) {
        tl_dht_on_tended(d, true);
        tl_dht_each_named(d, from, m, now, consider_named, NULL);
    }
    tl_dht_asks_on_answer(d, &query, m, now, wall);
    ask_introducer(d, from, m, &query.what, now);
}

/* What the server did not answer, in our counters' words. */
static void count_drops(tl_dht *d)
{
    const uint64_t *of = tl_dht_server_counters_of(d->server)->dropped;
    uint64_t rate = 0;
    for (unsigned i = 0; i < TL_DHT_SERVER_DROPS; i++)
        if (i != TL_DHT_SERVER_DROP_READ_ONLY)
            rate += of[i];
    d->counters.dropped[TL_DHT_DROP_RO] = of[TL_DHT_SERVER_DROP_READ_ONLY];
    d->counters.dropped[TL_DHT_DROP_RATE] = rate;
}

void tl_dht_on_datagram(tl_dht *d, const tl_addr *from, tl_slice datagram, tl_time now,
                        tl_unix wall)
{
    tl_krpc m;
    d->counters.bytes_in += datagram.n;
    if (tl_krpc_parse(datagram, &m)) {
        d->counters.dropped[TL_DHT_DROP_FORM]++;
        return;
    }
    if (from->family == TL_ADDR_NONE || reach_of(d, from) < 0 || from->port == 0 ||
        !d->family[tl_dht_family_of(from)].is_on ||
        (d->config.may_send && !d->config.may_send(d->config.user, from))) {
        d->counters.dropped[TL_DHT_DROP_ADDRESS]++;
        return;
    }
    if (m.kind == TL_KRPC_QUERY) {
        on_query(d, from, &m, datagram.n, now);
        count_drops(d);
    } else {
        on_answer(d, from, &m, now, wall);
        tl_dht_asks_run(d, now, wall);
    }
}

/* --- time --- */

static void on_silent(tl_dht *d, const tl_query *query)
{
    d->counters.timeouts++;
    if (tl_queries_tells(&d->queries, query)) {
        if (query->what.has_id)
            tl_table_failed(&d->family[tl_dht_family_of(&query->to)].table, &query->what.id,
                            &query->to);
        if (query->what.kind == QUERY_TEND)
            tl_dht_on_tended(d, false);
    }
    tl_dht_asks_on_failed(d, query, false);
}

void tl_dht_on_timer(tl_dht *d, tl_time now, tl_unix wall)
{
    tl_query_event event;
    tl_query query;
    d->poked = false;
    while (tl_queries_next_event(&d->queries, now, &event, &query)) {
        if (event == TL_QUERY_SILENT)
            on_silent(d, &query);
        else
            tl_dht_asks_on_late(d, &query);
    }
    if (now >= tl_dht_server_expiry(d->server))
        tl_dht_server_on_timer(d->server, now);
    tl_dht_tend(d, now);
    tl_dht_asks_run(d, now, wall);
}

tl_time tl_dht_expiry(const tl_dht *d)
{
    if (d->poked)
        return 0;
    tl_time first = tl_time_min(tl_queries_expiry(&d->queries), tl_dht_server_expiry(d->server));
    return tl_time_min(first, tl_time_min(tl_dht_tend_expiry(d), tl_dht_asks_expiry(d)));
}

/* --- what is told --- */

const char *tl_dht_drop_name(tl_dht_drop drop)
{
    static const char *const names[TL_DHT_DROPS] = {"form", "stranger", "address", "rate",
                                                    "read_only"};
    assert(drop < TL_DHT_DROPS);
    return names[drop];
}

const tl_dht_counters *tl_dht_counters_of(const tl_dht *d)
{
    return &d->counters;
}

void tl_dht_report_of(const tl_dht *d, tl_dht_report *ret_report)
{
    const dht_family *f = d->family;
    unsigned bits = tl_dht_usual_bits(d);
    *ret_report = (tl_dht_report){
        .state = d->joined ? TL_DHT_READY : TL_DHT_JOINING,
        .id4 = f[0].table.self,
        .id6 = f[1].table.self,
        .has_id4 = f[0].is_on,
        .has_id6 = f[1].is_on,
        .nodes4 = f[0].table.n,
        .nodes6 = f[1].table.n,
        .stored = tl_dht_server_stored(d->server),
        .kept = d->kept.n,
        .read_only = !d->config.serves,
        .network = bits == TL_LOOKUP_NO_CROWD ? 0 : TL_LOOKUP_K * exp2(bits + 0.5),
    };
}

/* --- what is kept alive --- */

tl_err tl_dht_publish(tl_dht *d, const tl_identity *identity, tl_slice salt, tl_slice value,
                      int64_t last_seq, tl_time now)
{
    tl_err e = tl_kept_publish(&d->kept, identity, salt, value, last_seq, now);
    if (!e)
        tl_dht_poke(d);
    return e;
}

void tl_dht_unpublish(tl_dht *d, const tl_node_id *key, tl_slice salt)
{
    tl_dht_id target = tl_dht_target_of_key(key->key, salt);
    tl_kept_drop(&d->kept, &target);
}

tl_err tl_dht_hold(tl_dht *d, const tl_dht_item *item, tl_time now)
{
    if (!item->is_mutable || tl_dht_item_verify(item))
        return TL_ERR_AUTH;
    tl_err e = tl_kept_hold(&d->kept, item, now);
    if (!e)
        tl_dht_poke(d);
    return e;
}

void tl_dht_release(tl_dht *d, const tl_dht_id *target)
{
    tl_kept_drop(&d->kept, target);
}

bool tl_dht_kept_of(const tl_dht *d, const tl_dht_id *target, tl_dht_kept *ret_kept)
{
    const tl_kept *kept = tl_kept_find(&d->kept, target);
    if (!kept)
        return false;
    *ret_kept = (tl_dht_kept){.target = kept->target,
                              .seq = kept->item.seq,
                              .holders = kept->holders,
                              .stored = kept->stored,
                              .is_ours = kept->identity != NULL,
                              .outdone = kept->outdone,
                              .cannot_sign = kept->cannot_sign};
    return true;
}
