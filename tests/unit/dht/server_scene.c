#include "server_scene.h"

static tl_rand rand_source;
tl_identity identity;
tl_dht_server *server;
size_t known; /* nodes of each family that the table has */
tl_time now;

/* --- the node around it --- */

static size_t closest(void *user, const tl_dht_id *target, tl_addr_family family, size_t max,
                      uint8_t *ret_nodes)
{
    (void)user;
    size_t n = known < max ? known : max, at = 0;
    for (size_t i = 0; i < n; i++) {
        tl_addr a = {.family = family, .port = (uint16_t)(i + 1), .bytes = {198, 18, 0, 9}};
        at += tl_krpc_node_write(target->b, &a, ret_nodes + at);
    }
    return n;
}

static tl_dht_id id_of(void *user, tl_addr_family family)
{
    (void)user;
    tl_dht_id id;
    memset(id.b, family == TL_ADDR_V4 ? 4 : 6, sizeof id.b);
    return id;
}

int begin(void **state)
{
    (void)state;
    tl_dht_server_nodes nodes = {.closest = closest, .id = id_of};
    now = START;
    known = 8;
    asker = addr("198.18.0.1:6881");
    rand_source = tl_rand_seeded(5);
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_new(&rand_source, &identity), TL_OK);
    assert_int_equal(tl_dht_server_new(&rand_source, &nodes, now, &server), TL_OK);
    tl_dht_server_set_serving(server, true);
    return 0;
}

int end(void **state)
{
    (void)state;
    tl_dht_server_free(server);
    return 0;
}

tl_addr addr(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

/* --- asking it --- */

tl_addr asker;
static uint8_t answer_bytes[TL_KRPC_MAX];
size_t answer_n, query_n;

bool ask_bytes(tl_slice datagram, tl_krpc *ret)
{
    tl_krpc query;
    assert_int_equal(tl_krpc_parse(datagram, &query), TL_OK);
    query_n = datagram.n;
    if (!tl_dht_server_on_query(server, &asker, &query, datagram.n, now, answer_bytes, &answer_n))
        return false;
    assert_true(answer_n <= TL_DHT_SERVER_ANSWER_MAX);
    assert_int_equal(tl_krpc_parse(tl_slice_of(answer_bytes, answer_n), ret), TL_OK);
    assert_true(ret->kind != TL_KRPC_QUERY && tl_slice_eq(ret->tid, query.tid));
    assert_true(tl_addr_eq(&ret->ip, &asker));
    return true;
}

bool ask(const tl_krpc *query, tl_krpc *ret)
{
    static uint8_t bytes[TL_KRPC_MAX];
    size_t n;
    assert_int_equal(tl_krpc_write(query, TL_KRPC_MAX, bytes, &n), TL_OK);
    return ask_bytes(tl_slice_of(bytes, n), ret);
}

tl_krpc query_of(tl_krpc_method method)
{
    tl_krpc q = {
        .kind = TL_KRPC_QUERY, .method = method, .tid = TL_SLICE_LIT("aa"), .has_id = true};
    memcpy(q.id, ID, 20);
    memcpy(q.target, TARGET, 20);
    q.has_target = method != TL_KRPC_PING && method != TL_KRPC_PUT;
    if (method == TL_KRPC_ANNOUNCE_PEER)
        q.token = TL_SLICE_LIT("12345678");
    return q;
}

tl_krpc answered(const tl_krpc *query)
{
    tl_krpc a;
    assert_true(ask(query, &a));
    return a;
}

tl_krpc got(const tl_dht_item *item)
{
    tl_krpc q = query_of(TL_KRPC_GET);
    tl_dht_id target = tl_dht_item_target(item);
    memcpy(q.target, target.b, sizeof target.b);
    return answered(&q);
}

static uint8_t token_bytes[TL_KRPC_TOKEN_MAX];

tl_slice token(void)
{
    tl_krpc q = query_of(TL_KRPC_GET), a = answered(&q);
    assert_true(a.token.n > 0);
    memcpy(token_bytes, a.token.p, a.token.n);
    return tl_slice_of(token_bytes, a.token.n);
}

tl_dht_item item_of(int64_t seq)
{
    tl_dht_item item;
    assert_int_equal(tl_dht_item_sign(&identity, SALT, seq, VALUE, &item), TL_OK);
    return item;
}

tl_krpc put_of(const tl_dht_item *item, tl_slice with)
{
    tl_krpc q = query_of(TL_KRPC_PUT);
    tl_dht_item_into_put(item, &q);
    q.token = with;
    return q;
}

void expect_taken(const tl_krpc *query)
{
    tl_krpc a = answered(query);
    assert_int_equal(a.kind, TL_KRPC_RESPONSE);
}

void expect_error(const tl_krpc *query, int code)
{
    tl_krpc a = answered(query);
    assert_int_equal(a.kind, TL_KRPC_ERROR);
    assert_int_equal(a.code, code);
    assert_true(a.words.n > 0);
}

uint64_t dropped(tl_dht_server_drop why)
{
    return tl_dht_server_counters_of(server)->dropped[why];
}
