/* Who joined and who left, as the relay tells it. */
#include "peer/relay_link.h"

#include "crypto/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define NONCE "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static tl_identity own, other;
static char own_hex[65], other_hex[65];
static tl_relay_link *link_;
static tl_buf said;
static size_t begun;
static unsigned joined, left, told_unnamed;
static tl_node_id told;

static tl_err wire_begin(void *wire, size_t n, uint8_t **ret_room)
{
    (void)wire;
    tl_buf_clear(&said);
    begun = n;
    return tl_buf_reserve(&said, n, ret_room);
}

static void wire_commit(void *wire)
{
    (void)wire;
    tl_buf_added(&said, begun);
}

static void on_registered(void *user)
{
    (void)user;
}

static void on_presence(void *user, const tl_node_id *peer, bool has_joined)
{
    (void)user;
    told_unnamed += !peer;
    if (!peer)
        return;
    told = *peer;
    joined += has_joined;
    left += !has_joined;
}

static void hear(const char *text)
{
    char copy[400];
    int n = snprintf(copy, sizeof copy, "%s", text);
    tl_relay_link_on_text(link_, (uint8_t *)copy, (size_t)n, TL_SEC);
}

static void hear_presence(const char *type, const char *hex)
{
    char text[300];
    snprintf(text, sizeof text, "{\"%s\":{\"nodeID\":\"%s\",\"displayName\":\"x\"}}", type, hex);
    hear(text);
}

static void greet(void)
{
    hear("{\"challenge\":{\"nonce\":\"" NONCE "\",\"features\":[]}}");
}

static void register_(void)
{
    char text[200];
    greet();
    snprintf(text, sizeof text, "{\"registerAck\":{\"nodeID\":\"%s\",\"registeredAt\":1.5}}",
             own_hex);
    hear(text);
    assert_true(tl_relay_link_is_registered(link_));
}

static void begin(bool wanted)
{
    static const tl_relay_wire wire = {wire_begin, wire_commit};
    tl_relay_link_events events = {.on_registered = on_registered,
                                   .on_presence = wanted ? on_presence : NULL};
    static tl_rand rng;
    rng = tl_rand_seeded(1);
    joined = left = told_unnamed = 0;
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_new(&rng, &own), TL_OK);
    assert_int_equal(tl_identity_new(&rng, &other), TL_OK);
    tl_node_id_write(own_hex, &own.id);
    tl_node_id_write(other_hex, &other.id);
    assert_int_equal(tl_relay_link_new(&own, &rng, "me", &events, NULL, &link_), TL_OK);
    tl_relay_link_on_open(link_, "relay.example", &wire, NULL, TL_SEC);
}

static void end(void)
{
    tl_relay_link_free(link_);
    tl_buf_clear(&said);
}

static void who_joins_and_who_leaves_is_told(void **state)
{
    (void)state;
    begin(true);
    register_();
    hear_presence("peerJoined", other_hex);
    assert_int_equal(joined, 1);
    assert_true(tl_node_id_eq(&told, &other.id));
    hear_presence("peerLeft", other_hex);
    assert_int_equal(left, 1);
    assert_true(tl_node_id_eq(&told, &other.id));
    end();
}

static void that_many_came_or_went_is_told_and_the_relay_learns_that_it_is_understood(void **state)
{
    (void)state;
    begin(true);
    greet();
    assert_non_null(memmem(tl_buf_begin(&said), said.len, "\"peers-changed\"", 15));
    hear("{\"peersChanged\":{}}");
    assert_int_equal(told_unnamed, 0); /* not before the registration */
    register_();
    hear("{\"peersChanged\":{}}");
    assert_int_equal(told_unnamed, 1);
    assert_int_equal(joined + left, 0);
    end();
    begin(false);
    register_();
    assert_null(memmem(tl_buf_begin(&said), said.len, "peers-changed", 13));
    hear("{\"peersChanged\":{}}");
    assert_int_equal(told_unnamed, 0);
    end();
}

static void before_the_registration_nothing_of_it_is_believed(void **state)
{
    (void)state;
    begin(true);
    hear_presence("peerJoined", other_hex);
    greet();
    hear_presence("peerLeft", other_hex);
    assert_int_equal(joined + left, 0);
    end();
}

static void ourselves_and_nonsense_are_not_told(void **state)
{
    (void)state;
    begin(true);
    register_();
    uint64_t ignored = tl_relay_link_counters_of(link_)->ignored;
    hear_presence("peerJoined", own_hex);
    hear_presence("peerLeft", "zz");
    hear("{\"peerLeft\":{\"displayName\":\"x\"}}");
    hear("{\"peerJoined\":[]}");
    assert_int_equal(joined + left, 0);
    assert_int_equal(tl_relay_link_counters_of(link_)->ignored +
                         tl_relay_link_counters_of(link_)->malformed,
                     ignored + 4);
    end();
}

static void an_owner_who_does_not_want_it_is_not_told(void **state)
{
    (void)state;
    begin(false);
    register_();
    hear_presence("peerJoined", other_hex);
    assert_int_equal(joined + left, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_joins_and_who_leaves_is_told),
        cmocka_unit_test(that_many_came_or_went_is_told_and_the_relay_learns_that_it_is_understood),
        cmocka_unit_test(before_the_registration_nothing_of_it_is_believed),
        cmocka_unit_test(ourselves_and_nonsense_are_not_told),
        cmocka_unit_test(an_owner_who_does_not_want_it_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
