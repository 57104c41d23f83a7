/* Queries to the server of the DHT, each from one of sixteen addresses: two bytes of length, one that
 * says who asks and how long after the one before, then the datagram. A byte of the token that a
 * `put` has may stand for the right token: `T` eight times. */
#include "dht/server.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static size_t closest(void *user, const tl_dht_id *target, tl_addr_family family, size_t max,
                      uint8_t *ret_nodes)
{
    tl_addr a = {.family = family, .port = 1, .bytes = {198, 18}};
    (void)user;
    for (size_t i = 0, at = 0; i < max; i++)
        at += tl_krpc_node_write(target->b, &a, ret_nodes + at);
    return max;
}

static tl_dht_id id_of(void *user, tl_addr_family family)
{
    (void)user;
    return (tl_dht_id){{(uint8_t)family}};
}

/* The last token that each address was given. */
static uint8_t tokens[16][8];

static void ask(tl_dht_server *s, unsigned who, const uint8_t *bytes, size_t n, tl_time now)
{
    static const uint8_t wildcard[8] = {'T', 'T', 'T', 'T', 'T', 'T', 'T', 'T'};
    tl_addr from = {.family = who & 1 ? TL_ADDR_V6 : TL_ADDR_V4, .port = (uint16_t)(1 + who)};
    size_t headers = who & 1 ? 48 : 28, answer_n;
    uint8_t answer[TL_KRPC_MAX];
    tl_krpc query, a;
    memcpy(from.bytes, &(uint8_t[4]){198, 18, (uint8_t)(who / 4), (uint8_t)who}, 4);
    if (tl_krpc_parse(tl_slice_of(bytes, n), &query) || query.kind != TL_KRPC_QUERY)
        return;
    if (tl_slice_eq(query.token, tl_slice_of(wildcard, sizeof wildcard)))
        query.token = tl_slice_of(tokens[who], sizeof tokens[who]);
    if (!tl_dht_server_on_query(s, &from, &query, n, now, answer, &answer_n))
        return;
    check(answer_n <= TL_DHT_SERVER_ANSWER_MAX);
    check(tl_krpc_parse(tl_slice_of(answer, answer_n), &a) == TL_OK);
    check(a.kind != TL_KRPC_QUERY && tl_slice_eq(a.tid, query.tid));
    check(a.value.n || headers + answer_n <= TL_DHT_SERVER_FACTOR * (headers + n));
    if (a.token.n)
        memcpy(tokens[who], a.token.p, sizeof tokens[who]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool started;
    tl_dht_server_nodes nodes = {.closest = closest, .id = id_of};
    tl_rand rand = tl_rand_seeded(1);
    tl_dht_server *s;
    tl_time now = TL_SEC;
    if (!started && tl_crypto_init())
        return 0;
    started = true;
    if (tl_dht_server_new(&rand, &nodes, now, &s))
        return 0;
    tl_dht_server_set_serving(s, true);
    while (n >= 3) {
        size_t length = (size_t)data[0] << 8 | data[1];
        unsigned who = data[2] & 15;
        now += (tl_time)(data[2] >> 4) * (data[2] >> 4) * TL_SEC;
        data += 3, n -= 3;
        if (length > n)
            length = n;
        ask(s, who, data, length, now);
        if (now >= tl_dht_server_expiry(s))
            tl_dht_server_on_timer(s, now);
        check(tl_dht_server_stored(s) <= TL_DHT_ITEMS_MAX);
        data += length, n -= length;
    }
    tl_dht_server_free(s);
    return 0;
}
