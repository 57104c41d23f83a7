/* What an asker says of prices, and what it is told: nobody is charged more than was agreed on. */
#include "asker_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const tl_node_id network = {{1, 2, 3}};

static tl_quic_stream *asked_at(asker_scene *s, listener *l, tl_maybe price, bool private)
{
    tl_ask ask = {.id = "r1",
                  .model = "m",
                  .path = "/v1/chat/completions",
                  .content_type = "application/json",
                  .has_peer = true,
                  .peer = {{7}},
                  .has_network = private,
                  .network = network,
                  .max_price = {true, 500},
                  .price = price,
                  .price_version = {price.given, 9}};
    tl_quic_stream *stream = fake_stream_new();
    assert_int_equal(tl_asker_ask(s->asker, &ask, "m", &listener_sink, l, &l->exchange), TL_OK);
    asker_scene_grant(s, stream);
    return stream;
}

static void the_request_carries_the_maximum_and_the_price_that_was_seen(void **state)
{
    (void)state;
    for (int seen = 0; seen < 2; seen++) {
        asker_scene s;
        listener l = {0};
        size_t at = 0;
        tl_cluster_message m;
        asker_scene_init(&s);
        tl_quic_stream *stream = asked_at(&s, &l, (tl_maybe){seen, 120}, false);
        fake_next_message(stream, &at, TL_CLUSTER_REQUEST, &m);
        assert_int_equal(m.u.request.max_price.value, 500);
        assert_int_equal(m.u.request.price.given, seen);
        assert_int_equal(m.u.request.price.value, seen ? 120 : 0);
        assert_int_equal(m.u.request.price_version.value, seen ? 9 : 0);
        asker_scene_clear(&s);
        fake_stream_free(stream);
    }
}

#define HEX62 "02030000000000000000000000000000000000000000000000000000000000"

static void an_answer_that_costs_more_or_is_of_another_network_is_not_taken(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        bool private, taken;
        int64_t price;
    } rows[] = {
        {"", false, true, 0}, /* a node of before */
        {",\"pricePerKToken\":120", false, true, 120},
        {",\"pricePerKToken\":90", false, true, 90},
        {",\"pricePerKToken\":121", false, false, 0},
        {",\"pricePerKToken\":120,\"ptnID\":\"01" HEX62 "\"", true, true, 120},
        {",\"pricePerKToken\":120", true, true, 120},
        {",\"pricePerKToken\":120,\"ptnID\":\"ff" HEX62 "\"", true, false, 0},
        {",\"pricePerKToken\":120,\"ptnID\":\"01" HEX62 "\"", false, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        asker_scene s;
        listener l = {0};
        char text[512];
        asker_scene_init(&s);
        tl_quic_stream *stream = asked_at(&s, &l, tl_maybe_of(120), rows[i].private);
        snprintf(text, sizeof text,
                 "{\"inferenceResponse\":{\"requestID\":\"r1\",\"status\":200,\"contentType\":"
                 "\"text/plain\"%s}}",
                 rows[i].fields);
        fake_lay_text(stream, TL_FRAME_MESSAGE, text);
        fake_arrives(stream);
        assert_int_equal(l.calls[ON_HEAD], rows[i].taken);
        assert_int_equal(l.calls[ON_FAIL], !rows[i].taken);
        if (rows[i].taken) {
            assert_true(l.head.price.given);
            assert_int_equal(l.head.price.value, rows[i].price);
            assert_int_equal(l.head.has_network, rows[i].private);
        } else {
            assert_int_equal(l.fail, TL_FAIL_PEER_FAILED);
            assert_true(stream->reset);
        }
        asker_scene_clear(&s);
        fake_stream_free(stream);
    }
}

static void a_refusal_tells_the_price_as_it_is_now(void **state)
{
    (void)state;
    asker_scene s;
    listener l = {0};
    asker_scene_init(&s);
    tl_quic_stream *stream = asked_at(&s, &l, tl_maybe_of(120), false);
    fake_lay_text(stream, TL_FRAME_MESSAGE,
                  ERROR("r1", "payment_required", ",\"pricePerKToken\":130,\"priceVersion\":10"));
    fake_arrives(stream);
    assert_int_equal(l.fail, TL_FAIL_PAYMENT_REQUIRED);
    assert_true(l.price.given && l.price_version.given);
    assert_int_equal(l.price.value, 130);
    assert_int_equal(l.price_version.value, 10);
    asker_scene_clear(&s);
    fake_stream_free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_carries_the_maximum_and_the_price_that_was_seen),
        cmocka_unit_test(an_answer_that_costs_more_or_is_of_another_network_is_not_taken),
        cmocka_unit_test(a_refusal_tells_the_price_as_it_is_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
