/* Two relays as one: which of them a session is opened at, and who is where. */
#include "peer/relays.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NONCE "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static tl_rand rng;
static tl_identity own, other;
static char own_hex[65], other_hex[65];
static tl_peer_table table;
static tl_relays *relays;
static tl_buf said[2]; /* the last message to each relay */
static unsigned said_n[2];
static size_t begun[2];
static unsigned registered, ready, ended, discovered, joined, left, leaving;
static bool discovered_ok;
static size_t told_of;
static char why_ended[96];

static tl_err wire_begin(void *wire, size_t n, uint8_t **ret_room)
{
    size_t i = (size_t)((tl_buf *)wire - said);
    tl_buf_clear(&said[i]);
    begun[i] = n;
    return tl_buf_reserve(&said[i], n, ret_room);
}

static void wire_commit(void *wire)
{
    size_t i = (size_t)((tl_buf *)wire - said);
    tl_buf_added(&said[i], begun[i]);
    said_n[i]++;
}

static const tl_relay_wire wire = {wire_begin, wire_commit, NULL};

static void on_registered(void *user)
{
    (void)user;
    registered++;
    told_of = tl_relays_telling(relays);
}

static void on_refused(void *user, const char *code, const char *message)
{
    (void)user, (void)code, (void)message;
    fail_msg("refused: %s", code);
}

static void on_peer(void *user, const tl_relay_peer *peer)
{
    (void)user;
    assert_non_null(tl_peer_table_get(&table, &peer->id));
}

static void on_discovered(void *user, const char *model, bool ok)
{
    (void)user, (void)model;
    discovered++;
    discovered_ok = ok;
}

static tl_path_id on_asked(void *user, const tl_node_id *from)
{
    (void)user, (void)from;
    return 77;
}

static void on_ready(void *user, tl_path_id path)
{
    (void)user, (void)path;
    ready++;
}

static void on_ended(void *user, tl_path_id path, const char *why)
{
    (void)user, (void)path;
    ended++;
    snprintf(why_ended, sizeof why_ended, "%s", why);
}

static void on_datagram(void *user, tl_path_id path, uint8_t *data, size_t n)
{
    (void)user, (void)path, (void)data, (void)n;
}

static void on_signal(void *user, tl_signal_type type, const tl_node_id *from, tl_slice payload)
{
    (void)user, (void)type, (void)from, (void)payload;
}

static void on_signal_failed(void *user, const char *session)
{
    (void)user, (void)session;
}

static void on_presence(void *user, const tl_node_id *peer, bool here)
{
    (void)user, (void)peer;
    joined += here;
    left += !here;
}

static void on_goodbye(void *user, unsigned in_seconds)
{
    (void)user;
    leaving = in_seconds;
    told_of = tl_relays_telling(relays);
}

static void hear(size_t i, const char *fmt, ...) TL_PRINTF(2, 3);
static void hear(size_t i, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tl_relay_link_on_text(tl_relays_link(relays, i), (uint8_t *)text, strlen(text), TL_SEC);
}

static void connect_to(size_t i)
{
    tl_relay_link_on_open(tl_relays_link(relays, i), "relay", &wire, &said[i], TL_SEC);
    hear(i, "{\"challenge\":{\"nonce\":\"" NONCE "\"}}");
    hear(i, "{\"registerAck\":{\"nodeID\":\"%s\",\"registeredAt\":1,\"ttlSeconds\":300}}", own_hex);
}

static void joins(size_t i, bool here)
{
    hear(i,
         here ? "{\"peerJoined\":{\"nodeID\":\"%s\",\"publicKey\":\"%s\",\"displayName\":\"p\","
                "\"capabilities\":{}}}"
              : "{\"peerLeft\":{\"nodeID\":\"%s\",\"publicKey\":\"%s\",\"displayName\":\"p\","
                "\"capabilities\":{}}}",
         other_hex, other_hex);
}

/* The peer is at this relay, as its list says. */
static void is_at(size_t i)
{
    tl_peer *p = tl_peer_table_get(&table, &other.id);
    assert_non_null(p);
    p->at_relays |= 1u << i;
}

static int setup(void **state)
{
    (void)state;
    static const tl_relay_link_events events = {.on_registered = on_registered,
                                                .on_refused = on_refused,
                                                .on_peer = on_peer,
                                                .on_discovered = on_discovered,
                                                .on_asked = on_asked,
                                                .on_ready = on_ready,
                                                .on_ended = on_ended,
                                                .on_datagram = on_datagram,
                                                .on_signal = on_signal,
                                                .on_signal_failed = on_signal_failed,
                                                .on_presence = on_presence,
                                                .on_goodbye = on_goodbye};
    rng = tl_rand_seeded(1);
    registered = ready = ended = discovered = joined = left = leaving = 0;
    said_n[0] = said_n[1] = 0;
    if (tl_crypto_init() || tl_identity_new(&rng, &own) || tl_identity_new(&rng, &other) ||
        tl_relays_new(&own, &rng, &table, "me", &events, NULL, &relays))
        return -1;
    tl_node_id_write(own_hex, &own.id);
    tl_node_id_write(other_hex, &other.id);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_relays_free(relays);
    tl_peer_table_clear(&table);
    tl_buf_clear(&said[0]);
    tl_buf_clear(&said[1]);
    return 0;
}

/* Opens a session and tells at which relay. */
static size_t opened_at(tl_path_id path)
{
    size_t i = 9;
    assert_int_equal(tl_relays_open(relays, &other.id, path, 0), TL_OK);
    assert_true(tl_relays_of(relays, path, &i));
    assert_non_null(memmem(tl_buf_begin(&said[i]), said[i].len, "relayOpen", 9));
    return i;
}

static void session_of(size_t i, char ret_id[80])
{
    const char *at = memmem(tl_buf_begin(&said[i]), said[i].len, "\"sessionID\":\"", 13);
    assert_non_null(at);
    snprintf(ret_id, 80, "%.32s", at + 13);
}

static void is_ready(size_t i, const char *id)
{
    hear(i, "{\"relayReady\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"%s\"}}",
         other_hex, own_hex, id);
}

static void is_absent(size_t i, const char *id)
{
    hear(i,
         "{\"error\":{\"code\":\"peer_not_found\",\"message\":\"no\",\"about\":\"relayOpen\","
         "\"sessionID\":\"%s\"}}",
         id);
}

static void the_nearer_of_two_relays_that_both_are_at_is_taken(void **state)
{
    (void)state;
    connect_to(0);
    connect_to(1);
    is_at(0);
    is_at(1);
    tl_relays_set_rtt(relays, 0, 50 * TL_MS);
    tl_relays_set_rtt(relays, 1, 20 * TL_MS);
    assert_int_equal(opened_at(1), 1);
    tl_relays_set_rtt(relays, 1, 60 * TL_MS);
    assert_int_equal(opened_at(2), 0);
}

static void what_was_measured_end_to_end_counts_more_than_our_own_half(void **state)
{
    (void)state;
    connect_to(0);
    connect_to(1);
    is_at(0);
    is_at(1);
    tl_relays_set_rtt(relays, 0, 20 * TL_MS);
    tl_relays_set_rtt(relays, 1, 30 * TL_MS);
    assert_int_equal(opened_at(1), 0);
    tl_relays_measured(relays, &other.id, 1, 200 * TL_MS); /* the peer is far from that relay */
    assert_int_equal(opened_at(2), 1);
    tl_relays_measured(relays, &other.id, 2, 150 * TL_MS);
    assert_int_equal(opened_at(3), 1);
}

static void a_relay_that_the_peer_is_at_comes_before_a_nearer_one(void **state)
{
    (void)state;
    connect_to(0);
    connect_to(1);
    is_at(1);
    tl_relays_set_rtt(relays, 0, 1 * TL_MS);
    tl_relays_set_rtt(relays, 1, 90 * TL_MS);
    assert_int_equal(opened_at(1), 1);
}

static void a_relay_that_is_leaving_is_taken_only_if_there_is_no_other(void **state)
{
    (void)state;
    connect_to(0);
    connect_to(1);
    is_at(0);
    is_at(1);
    tl_relays_set_rtt(relays, 0, 1 * TL_MS);
    tl_relays_set_rtt(relays, 1, 90 * TL_MS);
    hear(0, "{\"goodbye\":{\"reason\":\"restart\",\"inSeconds\":30}}");
    assert_int_equal(leaving, 30);
    assert_int_equal(told_of, 0);
    assert_true(tl_relays_is_leaving(relays, 0));
    assert_int_equal(opened_at(1), 1);
    tl_relay_link_on_closed(tl_relays_link(relays, 1));
    assert_int_equal(opened_at(2), 0);
    tl_relay_link_on_closed(tl_relays_link(relays, 0));
    connect_to(0); /* the new one says no goodbye */
    assert_false(tl_relays_is_leaving(relays, 0));
}

static void where_one_relay_does_not_know_the_peer_the_other_is_asked(void **state)
{
    (void)state;
    char id[80];
    size_t at;
    connect_to(0);
    connect_to(1);
    tl_relays_set_rtt(relays, 0, 1 * TL_MS);
    tl_relays_set_rtt(relays, 1, 9 * TL_MS);
    assert_int_equal(opened_at(1), 0);
    session_of(0, id);
    is_absent(0, id);
    assert_int_equal(ended, 0);
    assert_true(tl_relays_of(relays, 1, &at) && at == 1);
    session_of(1, id);
    is_ready(1, id);
    assert_int_equal(ready, 1);
    assert_int_equal(opened_at(2), 0); /* the peer is in no table: nothing was learned */
    session_of(0, id);
    is_absent(0, id);
    session_of(1, id);
    is_absent(1, id);
    assert_int_equal(ended, 1);
    assert_string_equal(why_ended, "the peer is not at the relay");
}

static void a_relay_that_dies_meanwhile_hands_the_session_to_the_other(void **state)
{
    (void)state;
    char id[80];
    size_t at;
    connect_to(0);
    connect_to(1);
    tl_relays_set_rtt(relays, 0, 1 * TL_MS);
    tl_relays_set_rtt(relays, 1, 9 * TL_MS);
    assert_int_equal(opened_at(1), 0);
    tl_relay_link_on_closed(tl_relays_link(relays, 0));
    assert_int_equal(ended, 0);
    assert_true(tl_relays_of(relays, 1, &at) && at == 1);
    session_of(1, id);
    is_ready(1, id);
    tl_relay_link_on_closed(tl_relays_link(relays, 1)); /* one that stood is over with its relay */
    assert_int_equal(ended, 1);
    assert_false(tl_relays_is_registered(relays));
    assert_int_equal(tl_relays_open(relays, &other.id, 2, 0), TL_ERR_CLOSED);
}

static void a_session_may_be_asked_for_at_another_relay_than_one(void **state)
{
    (void)state;
    char id[80];
    size_t at;
    connect_to(0);
    connect_to(1);
    is_at(0);
    is_at(1);
    tl_relays_set_rtt(relays, 0, 1 * TL_MS);
    tl_relays_set_rtt(relays, 1, 9 * TL_MS);
    assert_int_equal(opened_at(1), 0);
    assert_true(tl_relays_has_other(relays, &other.id, 1, false));
    assert_int_equal(tl_relays_open(relays, &other.id, 2, 1), TL_OK);
    assert_true(tl_relays_of(relays, 2, &at) && at == 1);
    session_of(1, id);
    is_absent(1, id);
    assert_int_equal(ended, 1); /* the first was not wanted */
    assert_false(tl_relays_has_other(relays, &other.id, 1, false));
    tl_relay_link_on_closed(tl_relays_link(relays, 1));
    assert_int_equal(tl_relays_open(relays, &other.id, 3, 1), TL_ERR_CLOSED);
}

static void who_left_one_relay_has_not_left(void **state)
{
    (void)state;
    connect_to(0);
    connect_to(1);
    is_at(0);
    joins(0, true);
    joins(1, true);
    assert_int_equal(joined, 2);
    joins(0, false);
    assert_int_equal(left, 0);
    joins(1, false);
    assert_int_equal(left, 1);
}

static void a_discovery_is_over_when_both_relays_have_answered(void **state)
{
    (void)state;
    connect_to(0);
    connect_to(1);
    assert_int_equal(tl_relays_discover(relays, "", TL_SEC), TL_OK);
    hear(0, "{\"discoverResponse\":{\"peers\":[]}}");
    assert_int_equal(discovered, 0);
    tl_relay_link_on_closed(tl_relays_link(relays, 1));
    assert_int_equal(discovered, 1);
    assert_true(discovered_ok); /* one has answered */
    assert_int_equal(tl_relays_discover(relays, "", TL_SEC), TL_OK);
    tl_relay_link_on_closed(tl_relays_link(relays, 0));
    assert_int_equal(discovered, 2);
    assert_false(discovered_ok);
    assert_int_equal(tl_relays_discover(relays, "", TL_SEC), TL_ERR_CLOSED);
}

static void each_event_says_of_which_relay_it_is(void **state)
{
    (void)state;
    connect_to(1);
    assert_int_equal(told_of, 1);
    connect_to(0);
    assert_int_equal(told_of, 0);
    assert_int_equal(registered, 2);
    tl_relay_link_counters sum = tl_relays_counters(relays);
    assert_int_equal(sum.messages_out, said_n[0] + said_n[1]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_nearer_of_two_relays_that_both_are_at_is_taken),
        T(what_was_measured_end_to_end_counts_more_than_our_own_half),
        T(a_relay_that_the_peer_is_at_comes_before_a_nearer_one),
        T(a_relay_that_is_leaving_is_taken_only_if_there_is_no_other),
        T(where_one_relay_does_not_know_the_peer_the_other_is_asked),
        T(a_relay_that_dies_meanwhile_hands_the_session_to_the_other),
        T(a_session_may_be_asked_for_at_another_relay_than_one),
        T(who_left_one_relay_has_not_left),
        T(a_discovery_is_over_when_both_relays_have_answered),
        T(each_event_says_of_which_relay_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
