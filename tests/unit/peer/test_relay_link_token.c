/* Sessions whose datagrams go as `token || datagram`. */
#include "peer/relay_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define PATH  7
#define TOKEN "8000112233445566778899aabbccddee"

static tl_rand rng;
static tl_identity own, other;
static char own_hex[65], other_hex[65], session[65];
static tl_relay_link *link_;
static tl_buf said;
static size_t begun;
static bool binary, full;
static struct {
    unsigned offers, warnings, payloads;
    tl_path_id path;
    tl_relay_offer offer;
    char udp[64];
    tl_unix ends_at;
    uint8_t data[8];
    size_t n;
} told;

static tl_err begin(void *wire, size_t n, uint8_t **ret_room)
{
    (void)wire;
    if (full)
        return TL_ERR_BUSY;
    tl_buf_clear(&said);
    begun = n;
    binary = false;
    return tl_buf_reserve(&said, n, ret_room);
}

static tl_err begin_binary(void *wire, size_t n, uint8_t **ret_room)
{
    tl_err e = begin(wire, n, ret_room);
    binary = true;
    return e;
}

static void commit(void *wire)
{
    (void)wire;
    tl_buf_added(&said, begun);
}

static void on_registered(void *user)
{
    (void)user;
}

static void on_ready(void *user, tl_path_id path)
{
    (void)user;
    (void)path;
}

static void on_ended(void *user, tl_path_id path, const char *why)
{
    (void)user;
    (void)path;
    (void)why;
}

static void on_offer(void *user, tl_path_id path, const tl_relay_offer *offer)
{
    (void)user;
    told.offers++;
    told.path = path;
    told.offer = *offer;
    snprintf(told.udp, sizeof told.udp, "%s", offer->udp);
}

static void on_warning(void *user, tl_path_id path, tl_unix ends_at)
{
    (void)user;
    told.warnings++;
    told.path = path;
    told.ends_at = ends_at;
}

static void on_payload(void *user, uint8_t *data, size_t n)
{
    (void)user;
    told.payloads++;
    told.n = n;
    memcpy(told.data, data, n < sizeof told.data ? n : sizeof told.data);
}

static void hear(const char *fmt, ...) TL_PRINTF(1, 2);
static void hear(const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tl_relay_link_on_text(link_, (uint8_t *)text, (size_t)n, TL_SEC);
}

/* Registered, with the session PATH asked for. */
static void start(bool wants_tokens)
{
    static const tl_relay_wire wire = {begin, commit, begin_binary};
    tl_relay_link_events events = {
        .on_registered = on_registered, .on_ready = on_ready, .on_ended = on_ended};
    if (wants_tokens) {
        events.on_offer = on_offer;
        events.on_warning = on_warning;
        events.on_payload = on_payload;
    }
    memset(&told, 0, sizeof told);
    full = false;
    rng = tl_rand_seeded(1);
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_new(&rng, &own), TL_OK);
    assert_int_equal(tl_identity_new(&rng, &other), TL_OK);
    tl_node_id_write(own_hex, &own.id);
    tl_node_id_write(other_hex, &other.id);
    assert_int_equal(tl_relay_link_new(&own, &rng, "me", &events, NULL, &link_), TL_OK);
    tl_relay_link_on_open(link_, "relay.example", &wire, NULL, 0);
    hear(
        "{\"challenge\":{\"nonce\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddee"
        "ff\"}}");
    assert_int_equal(memmem(said.data, said.len, "\"relay-token\"", 13) != NULL, wants_tokens);
    hear("{\"registerAck\":{\"nodeID\":\"%s\",\"registeredAt\":1.5,\"ttlSeconds\":300}}", own_hex);
    assert_int_equal(tl_relay_link_open(link_, &other.id, PATH), TL_OK);
    const char *id = memmem(said.data, said.len, "\"sessionID\":\"", 13);
    assert_non_null(id);
    snprintf(session, sizeof session, "%.*s", (int)strcspn(id + 13, "\""), id + 13);
}

static void ready(void)
{
    hear("{\"relayReady\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"%s\"}}",
         other_hex, own_hex, session);
}

static void offer(const char *id)
{
    hear("{\"relayOffer\":{\"sessionID\":\"%s\",\"token\":\"" TOKEN
         "\",\"udp\":\"192.0.2.9:3478\",\"expiresAt\":1800000600,\"limitBytesPerSecond\":65536}}",
         id);
}

static int teardown(void **state)
{
    (void)state;
    tl_relay_link_free(link_);
    tl_buf_clear(&said);
    return 0;
}

static void an_offer_of_a_session_that_stands_is_told_once(void **state)
{
    (void)state;
    start(true);
    offer(session); /* before relayReady */
    assert_int_equal(told.offers, 0);
    ready();
    offer("another");
    assert_int_equal(told.offers, 0);
    offer(session);
    assert_int_equal(told.offers, 1);
    assert_int_equal(told.path, PATH);
    assert_string_equal(told.udp, "192.0.2.9:3478");
    assert_int_equal(told.offer.expires_at, 1800000600);
    assert_int_equal(told.offer.limit, 65536);
    offer(session);
    assert_int_equal(told.offers, 1);
}

static void a_node_that_wants_no_tokens_asks_for_none_and_takes_none(void **state)
{
    (void)state;
    start(false);
    ready();
    offer(session);
    uint8_t data[] = "abc";
    tl_relay_link_on_binary(link_, data, 3);
    assert_int_equal(tl_relay_link_counters_of(link_)->ignored, 2);
    assert_int_equal(tl_relay_link_send_packet(link_, PATH, TL_SLICE_LIT("x")), TL_ERR_NOT_FOUND);
}

static void a_packet_is_the_token_and_the_datagram_in_one_binary_message(void **state)
{
    (void)state;
    uint8_t token[16];
    start(true);
    ready();
    assert_int_equal(tl_relay_link_send_packet(link_, PATH, TL_SLICE_LIT("abc")), TL_ERR_NOT_FOUND);
    offer(session);
    assert_int_equal(tl_hex_parse(TL_SLICE_LIT(TOKEN), false, token, sizeof token), TL_OK);
    assert_int_equal(tl_relay_link_send_packet(link_, PATH, TL_SLICE_LIT("abc")), TL_OK);
    assert_true(binary);
    assert_int_equal(said.len, 19);
    assert_memory_equal(tl_buf_begin(&said), token, 16);
    assert_memory_equal(tl_buf_begin(&said) + 16, "abc", 3);
    assert_int_equal(tl_relay_link_send_packet(link_, PATH, tl_slice_of(NULL, 0)), TL_OK);
    assert_int_equal(said.len, 16);
    full = true;
    assert_int_equal(tl_relay_link_send_packet(link_, PATH, TL_SLICE_LIT("abc")), TL_ERR_BUSY);
    assert_int_equal(tl_relay_link_counters_of(link_)->packets_out, 2);
}

static void a_binary_message_is_a_payload_and_relay_data_stays_possible(void **state)
{
    (void)state;
    uint8_t data[] = "hello";
    start(true);
    ready();
    offer(session);
    tl_relay_link_on_binary(link_, data, 5);
    assert_int_equal(told.payloads, 1);
    assert_int_equal(told.n, 5);
    assert_memory_equal(told.data, "hello", 5);
    assert_int_equal(tl_relay_link_send(link_, PATH, TL_SLICE_LIT("abc")), TL_OK);
    assert_false(binary);
    tl_relay_link_on_closed(link_);
    tl_relay_link_on_binary(link_, data, 5);
    assert_int_equal(told.payloads, 1);
}

static void a_token_ends_with_its_session(void **state)
{
    (void)state;
    start(true);
    ready();
    offer(session);
    tl_relay_link_close(link_, PATH);
    assert_int_equal(tl_relay_link_send_packet(link_, PATH, TL_SLICE_LIT("x")), TL_ERR_NOT_FOUND);
}

static void a_warning_is_told_of_the_session_that_it_names(void **state)
{
    (void)state;
    start(true);
    ready();
    hear("{\"relayWarning\":{\"sessionID\":\"another\",\"reason\":\"session_max\","
         "\"endsAt\":1800000000}}");
    assert_int_equal(told.warnings, 0);
    hear("{\"relayWarning\":{\"sessionID\":\"%s\",\"reason\":\"session_max\",\"endsAt\":1800000000}"
         "}",
         session);
    assert_int_equal(told.warnings, 1);
    assert_int_equal(told.path, PATH);
    assert_int_equal(told.ends_at, 1800000000);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        T(an_offer_of_a_session_that_stands_is_told_once),
        T(a_node_that_wants_no_tokens_asks_for_none_and_takes_none),
        T(a_packet_is_the_token_and_the_datagram_in_one_binary_message),
        T(a_binary_message_is_a_payload_and_relay_data_stays_possible),
        T(a_token_ends_with_its_session),
        T(a_warning_is_told_of_the_session_that_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
