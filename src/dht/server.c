#include "dht/server.h"

#include <sodium.h>
#include <stdlib.h>

#define ANSWER_LEAST 56  /* bytes: an answer to a ping */
#define HEADERS_V4   28u /* bytes of the IP and UDP headers */
#define HEADERS_V6   48u
#define TOKEN_SIZE   8
#define SECRET_SIZE  crypto_generichash_KEYBYTES
#define PRUNE_EVERY  TL_MIN

struct tl_dht_server {
    tl_rand *rand;
    tl_dht_server_nodes nodes;
    bool serving;
    tl_control_nat nat;
    bool has_key;
    uint8_t key[TL_KRPC_KEY_SIZE];
    uint8_t secret[2][SECRET_SIZE]; /* of tokens: the one in use, and the one before */
    tl_time rotated;
    tl_time prune_at;
    tl_dht_sources sources;
    tl_dht_items items;
    tl_dht_server_counters counters;
};

static const char *const drop_names[TL_DHT_SERVER_DROPS] = {
    [TL_DHT_SERVER_DROP_ADDRESS] = "address", [TL_DHT_SERVER_DROP_READ_ONLY] = "read_only",
    [TL_DHT_SERVER_DROP_QUERIES] = "queries", [TL_DHT_SERVER_DROP_BYTES] = "bytes",
    [TL_DHT_SERVER_DROP_SUM] = "sum",         [TL_DHT_SERVER_DROP_NOMEM] = "memory",
};

const char *tl_dht_server_drop_name(tl_dht_server_drop drop)
{
    return drop_names[drop];
}

tl_err tl_dht_server_new(tl_rand *rand, const tl_dht_server_nodes *nodes, tl_time now,
                         tl_dht_server **ret_server)
{
    tl_dht_server *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    s->rand = rand;
    s->nodes = *nodes;
    s->nat = TL_CONTROL_NAT_UNKNOWN;
    s->rotated = now;
    s->prune_at = TL_NEVER;
    tl_rand_bytes(rand, s->secret, sizeof s->secret);
    tl_dht_sources_init(&s->sources, now);
    *ret_server = s;
    return TL_OK;
}

void tl_dht_server_free(tl_dht_server *s)
{
    if (!s)
        return;
    tl_dht_sources_clear(&s->sources);
    tl_dht_items_clear(&s->items);
    sodium_memzero(s->secret, sizeof s->secret);
    free(s);
}

void tl_dht_server_set_serving(tl_dht_server *s, bool serving)
{
    s->serving = serving;
}

void tl_dht_server_set_nat(tl_dht_server *s, tl_control_nat nat)
{
    s->nat = nat;
}

void tl_dht_server_set_key(tl_dht_server *s, const uint8_t key[TL_KRPC_KEY_SIZE])
{
    s->has_key = key != NULL;
    if (key)
        memcpy(s->key, key, sizeof s->key);
}

static bool drop(tl_dht_server *s, tl_dht_server_drop why)
{
    s->counters.dropped[why]++;
    return false;
}

/* --- tokens: only who receives at an address can put from it --- */

static void rotate(tl_dht_server *s, tl_time now)
{
    for (int i = 0; i < 2 && now - s->rotated >= TL_DHT_SERVER_TOKEN_ROTATES; i++) {
        memcpy(s->secret[1], s->secret[0], SECRET_SIZE);
        tl_rand_bytes(s->rand, s->secret[0], SECRET_SIZE);
        s->rotated += TL_DHT_SERVER_TOKEN_ROTATES;
    }
    if (now - s->rotated >= TL_DHT_SERVER_TOKEN_ROTATES)
        s->rotated = now;
}

/* Of the IP alone: some programs put from another port than they asked from. */
static void make_token(const uint8_t secret[SECRET_SIZE], const tl_addr *from,
                       uint8_t ret_token[TOKEN_SIZE])
{
    uint8_t digest[crypto_generichash_BYTES];
    (void)crypto_generichash(digest, sizeof digest, from->bytes, sizeof from->bytes, secret,
                             SECRET_SIZE);
    memcpy(ret_token, digest, TOKEN_SIZE);
}

static bool token_is_good(const tl_dht_server *s, const tl_addr *from, tl_slice token)
{
    uint8_t expected[TOKEN_SIZE];
    bool good = false;
    for (int i = 0; i < 2 && token.n == TOKEN_SIZE; i++) {
        make_token(s->secret[i], from, expected);
        good |= sodium_memcmp(expected, token.p, TOKEN_SIZE) == 0;
    }
    return good;
}

/* --- one answer --- */

typedef struct {
    tl_krpc message; /* borrows from what follows */
    uint8_t nodes[TL_DHT_SERVER_NODES * TL_KRPC_NODE4];
    uint8_t nodes6[TL_DHT_SERVER_NODES * TL_KRPC_NODE6];
    uint8_t token[TOKEN_SIZE];
    tl_dht_item item;
} answer;

static void fail(answer *a, tl_krpc_code code, const char *words)
{
    a->message.kind = TL_KRPC_ERROR;
    a->message.code = code;
    a->message.words = tl_slice_str(words);
}

static void add_nodes(tl_dht_server *s, const tl_addr *from, const tl_krpc *query, answer *a)
{
    unsigned want = query->want;
    tl_dht_id target;
    memcpy(target.b, query->target, sizeof target.b);
    if (!want) /* BEP 32: those that the sender can reach */
        want = from->family == TL_ADDR_V4 ? TL_KRPC_WANT4 : TL_KRPC_WANT6;
    if (want & TL_KRPC_WANT4) {
        size_t n =
            s->nodes.closest(s->nodes.user, &target, TL_ADDR_V4, TL_DHT_SERVER_NODES, a->nodes);
        a->message.nodes = tl_slice_of(a->nodes, n * TL_KRPC_NODE4);
    }
    if (want & TL_KRPC_WANT6) {
        size_t n =
            s->nodes.closest(s->nodes.user, &target, TL_ADDR_V6, TL_DHT_SERVER_NODES, a->nodes6);
        a->message.nodes6 = tl_slice_of(a->nodes6, n * TL_KRPC_NODE6);
    }
}

/* BEP 44: who has that sequence already is told it alone. */
static void add_item(tl_dht_server *s, const tl_krpc *query, tl_time now, answer *a)
{
    tl_dht_id target;
    memcpy(target.b, query->target, sizeof target.b);
    if (!tl_dht_items_find(&s->items, &target, now, &a->item))
        return;
    if (a->item.is_mutable)
        a->message.seq = tl_maybe_of(a->item.seq);
    if (a->item.is_mutable && query->seq.given && a->item.seq <= query->seq.value)
        return;
    tl_dht_item_into_put(&a->item, &a->message); /* answers have neither salt nor target */
    a->message.salt = (tl_slice){0};
}

static void on_get(tl_dht_server *s, const tl_addr *from, const tl_krpc *query, tl_time now,
                   answer *a)
{
    make_token(s->secret[0], from, a->token);
    a->message.token = tl_slice_of(a->token, TOKEN_SIZE);
    add_nodes(s, from, query, a);
    add_item(s, query, now, a);
}

static void count_put(tl_dht_server *s, tl_dht_put_result result)
{
    s->counters.stored += result == TL_DHT_PUT_NEW;
    s->counters.refreshed += result == TL_DHT_PUT_AGAIN;
    s->counters.replaced += result == TL_DHT_PUT_NEWER;
}

static void say_result(tl_dht_put_result result, answer *a)
{
    switch (result) {
    case TL_DHT_PUT_NEW:
    case TL_DHT_PUT_AGAIN:
    case TL_DHT_PUT_NEWER: return;
    case TL_DHT_PUT_CAS: fail(a, TL_KRPC_E_CAS, "another seq than cas is kept"); return;
    case TL_DHT_PUT_SEQ: fail(a, TL_KRPC_E_SEQ, "a newer item is kept"); return;
    case TL_DHT_PUT_FULL: fail(a, TL_KRPC_E_SERVER, "no room for more"); return;
    case TL_DHT_PUT_NOMEM: fail(a, TL_KRPC_E_SERVER, "out of memory"); return;
    }
}

/* The signature, which costs most, comes last. */
static void on_put(tl_dht_server *s, const tl_addr *from, const tl_krpc *query, tl_time now,
                   answer *a)
{
    tl_dht_id own = s->nodes.id(s->nodes.user, from->family);
    size_t pushed_out;
    if (!token_is_good(s, from, query->token)) {
        fail(a, TL_KRPC_E_PROTOCOL, "wrong token");
        return;
    }
    tl_err e = tl_dht_item_from_put(query, &a->item);
    if (e) {
        if (e == TL_ERR_TOO_LARGE)
            fail(a, TL_KRPC_E_VALUE, "v is too long");
        else if (query->salt.n > TL_DHT_SALT_MAX)
            fail(a, TL_KRPC_E_SALT, "salt is too long");
        else
            fail(a, TL_KRPC_E_PROTOCOL, "v or seq is malformed");
        return;
    }
    say_result(tl_dht_items_look(&s->items, &a->item, query->cas, now), a);
    if (a->message.kind == TL_KRPC_ERROR)
        return;
    if (tl_dht_item_verify(&a->item)) {
        fail(a, TL_KRPC_E_SIG, "invalid signature");
        return;
    }
    s->counters.expired += tl_dht_items_prune(&s->items, now);
    tl_dht_put_result result =
        tl_dht_items_put(&s->items, &a->item, query->cas, from, &own, now, &pushed_out);
    s->counters.pushed_out += pushed_out;
    count_put(s, result);
    say_result(result, a);
}

static void fill(tl_dht_server *s, const tl_addr *from, const tl_krpc *query, tl_time now,
                 answer *a)
{
    tl_dht_id own = s->nodes.id(s->nodes.user, from->family);
    a->message =
        (tl_krpc){.kind = TL_KRPC_RESPONSE, .tid = query->tid, .ip = *from, .has_id = true};
    memcpy(a->message.id, own.b, sizeof own.b);
    if (query->method == TL_KRPC_OTHER) {
        fail(a, TL_KRPC_E_METHOD, "unknown method");
        return;
    }
    if (query->bad_arguments) {
        fail(a, TL_KRPC_E_PROTOCOL, "malformed arguments");
        return;
    }
    switch (query->method) {
    case TL_KRPC_PING:
        a->message.has_nat = true;
        a->message.nat = s->nat;
        a->message.key = s->has_key ? s->key : NULL;
        return;
    case TL_KRPC_FIND_NODE:
    case TL_KRPC_GET_PEERS: /* without a token: this node keeps no peers of torrents */
        add_nodes(s, from, query, a);
        return;
    case TL_KRPC_GET: on_get(s, from, query, now, a); return;
    case TL_KRPC_PUT:
        on_put(s, from, query, now, a);
        s->counters.refused += a->message.kind == TL_KRPC_ERROR;
        return;
    default: fail(a, TL_KRPC_E_METHOD, "no peers are kept here"); return;
    }
}

/* --- its length --- */

static size_t headers_of(const tl_addr *a)
{
    return a->family == TL_ADDR_V4 ? HEADERS_V4 : HEADERS_V6;
}

/* How long the answer may be. An answer with an item is bounded by what its receiver gets in all. */
static size_t budget_for(const tl_addr *from, size_t query_n, const answer *a)
{
    size_t headers = headers_of(from);
    size_t budget = TL_DHT_SERVER_FACTOR * (headers + query_n) - headers;
    if (a->message.value.n || budget > TL_DHT_SERVER_ANSWER_MAX)
        return TL_DHT_SERVER_ANSWER_MAX;
    return budget;
}

/* One node less. False: there is none. */
static bool shorten(tl_krpc *m)
{
    if (m->nodes6.n)
        m->nodes6.n -= TL_KRPC_NODE6;
    else if (m->nodes.n)
        m->nodes.n -= TL_KRPC_NODE4;
    else
        return false;
    return true;
}

/* The shortest answer always fits: an error has at most 34 bytes more than its query without the
 * words, which have at most 28. */
static bool write(answer *a, size_t max, uint8_t ret_answer[TL_KRPC_MAX], size_t *ret_n)
{
    while (tl_krpc_write(&a->message, max, ret_answer, ret_n))
        if (!shorten(&a->message))
            return false;
    return true;
}

/* --- a query --- */

static bool may_be_looked_at(tl_dht_server *s, const tl_addr *from, const tl_krpc *query,
                             tl_time now)
{
    if (from->family == TL_ADDR_NONE || from->port == 0)
        return drop(s, TL_DHT_SERVER_DROP_ADDRESS);
    if (!s->serving && query->method != TL_KRPC_PING)
        return drop(s, TL_DHT_SERVER_DROP_READ_ONLY);
    switch (tl_dht_sources_on_query(&s->sources, from, now)) {
    case TL_DHT_SOURCE_OK: return true;
    case TL_DHT_SOURCE_NOMEM: return drop(s, TL_DHT_SERVER_DROP_NOMEM);
    default: return drop(s, TL_DHT_SERVER_DROP_QUERIES);
    }
}

/* A forged source has neither answered us, nor does it know our token. */
static tl_dht_sender sender_of(const tl_dht_server *s, const tl_addr *from, const tl_krpc *query)
{
    if (query->method == TL_KRPC_PING)
        return TL_DHT_SENDER_PING;
    bool proven = (query->method == TL_KRPC_PUT && token_is_good(s, from, query->token)) ||
                  (s->nodes.knows && s->nodes.knows(s->nodes.user, from));
    return proven ? TL_DHT_SENDER_PROVEN : TL_DHT_SENDER_ANY;
}

static bool may_be_sent(tl_dht_server *s, const tl_addr *to, tl_dht_sender sender, size_t n,
                        tl_time now)
{
    switch (tl_dht_sources_send(&s->sources, to, sender, headers_of(to) + n, now)) {
    case TL_DHT_SOURCE_OK: return true;
    case TL_DHT_SOURCE_SUM: return drop(s, TL_DHT_SERVER_DROP_SUM);
    case TL_DHT_SOURCE_NOMEM: return drop(s, TL_DHT_SERVER_DROP_NOMEM);
    default: return drop(s, TL_DHT_SERVER_DROP_BYTES);
    }
}

bool tl_dht_server_on_query(tl_dht_server *s, const tl_addr *from, const tl_krpc *query,
                            size_t query_n, tl_time now, uint8_t ret_answer[TL_KRPC_MAX],
                            size_t *ret_n)
{
    answer a = {0};
    size_t n;
    s->counters.queries[query->method]++;
    if (!may_be_looked_at(s, from, query, now))
        return false;
    tl_dht_sender sender = sender_of(s, from, query);
    if (!tl_dht_sources_has_room(&s->sources, sender, ANSWER_LEAST + headers_of(from), now))
        return drop(s, TL_DHT_SERVER_DROP_SUM);
    s->prune_at = tl_time_min(s->prune_at, now + PRUNE_EVERY);
    rotate(s, now);
    fill(s, from, query, now, &a);
    if (!write(&a, budget_for(from, query_n, &a), ret_answer, &n))
        return drop(s, TL_DHT_SERVER_DROP_BYTES);
    if (!may_be_sent(s, from, sender, n, now))
        return false;
    s->counters.answers += a.message.kind == TL_KRPC_RESPONSE;
    s->counters.errors += a.message.kind == TL_KRPC_ERROR;
    *ret_n = n;
    return true;
}

void tl_dht_server_on_timer(tl_dht_server *s, tl_time now)
{
    if (now < s->prune_at)
        return;
    tl_dht_sources_prune(&s->sources, now);
    s->counters.expired += tl_dht_items_prune(&s->items, now);
    s->prune_at = s->sources.n || s->items.n ? now + PRUNE_EVERY : TL_NEVER;
}

tl_time tl_dht_server_expiry(const tl_dht_server *s)
{
    return s->prune_at;
}

/* --- what is kept --- */

tl_err tl_dht_server_keep(tl_dht_server *s, const tl_dht_item *item, tl_time now)
{
    tl_dht_id own = s->nodes.id(s->nodes.user, TL_ADDR_V4);
    size_t pushed_out;
    tl_dht_put_result result =
        tl_dht_items_put(&s->items, item, (tl_maybe){0}, NULL, &own, now, &pushed_out);
    s->counters.pushed_out += pushed_out;
    s->prune_at = tl_time_min(s->prune_at, now + PRUNE_EVERY);
    switch (result) {
    case TL_DHT_PUT_CAS:
    case TL_DHT_PUT_SEQ: return TL_ERR_REPLAY;
    case TL_DHT_PUT_FULL: return TL_ERR_BUSY;
    case TL_DHT_PUT_NOMEM: return TL_ERR_NOMEM;
    default: return TL_OK;
    }
}

bool tl_dht_server_find(const tl_dht_server *s, const tl_dht_id *target, tl_time now,
                        tl_dht_item *ret_item)
{
    return tl_dht_items_find(&s->items, target, now, ret_item);
}

size_t tl_dht_server_stored(const tl_dht_server *s)
{
    return s->items.n;
}

const tl_dht_server_counters *tl_dht_server_counters_of(const tl_dht_server *s)
{
    return &s->counters;
}
