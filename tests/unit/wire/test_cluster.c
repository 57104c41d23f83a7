#include "wire/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const samples[] = {
    "{\"hello\":{\"agent\":\"teale/0.1.0\",\"displayName\":\"gpu\",\"capabilities\":"
    "{\"loadedModels\":[\"a\"],\"unheardOf\":1}}}",
    "{\"helloAck\":{\"agent\":\"teale/0.1.0\",\"displayName\":\"\",\"capabilities\":{}}}",
    "{\"heartbeat\":{\"sequence\":7,\"running\":2,\"available\":true}}",
    "{\"heartbeatAck\":{\"sequence\":9007199254740993,\"running\":0,\"available\":false}}",
    "{\"goodbye\":{\"reason\":\"shutting down\"}}",
    "{\"inferenceRequest\":{\"requestID\":\"0a-Z\",\"model\":\"qwen3:8b\",\"streaming\":true,"
    "\"path\":\"/v1/chat/completions\",\"contentType\":\"application/json\",\"progress\":true}}",
    "{\"inferenceProgress\":{\"requestID\":\"r\"}}",
    "{\"inferenceResponse\":{\"requestID\":\"r\",\"status\":429,\"contentType\":\"text/plain\","
    "\"retryAfter\":\"3\"}}",
    "{\"inferenceComplete\":{\"requestID\":\"r\",\"tokens_in\":12,\"tokens_out\":34,\"receipt\":"
    "null}}",
    "{\"inferenceError\":{\"requestID\":\"r\",\"errorMessage\":\"model server is down\","
    "\"code\":\"unavailable\",\"detail\":\"backend_unreachable\"}}",
};

static tl_err parse(const char *text)
{
    tl_cluster_message m;
    tl_err e = tl_cluster_parse(tl_slice_str(text), &m);
    if (!e)
        tl_cluster_message_clear(&m);
    return e;
}

static void every_message_survives_a_round_trip_byte_for_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        tl_cluster_message m;
        tl_buf out = {0};
        assert_int_equal(tl_cluster_parse(tl_slice_str(samples[i]), &m), TL_OK);
        assert_int_equal(m.type, i);
        assert_int_equal(tl_cluster_write(&out, &m), TL_OK);
        assert_true(tl_slice_eq(tl_buf_slice(&out), tl_slice_str(samples[i])));
        tl_cluster_message_clear(&m);
        tl_buf_clear(&out);
    }
}

static void fields_that_may_be_absent_survive_a_round_trip(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"heartbeat\":{\"sequence\":7,\"running\":2,\"available\":true,\"bids\":[{\"model\":"
        "\"m\"}]}}",
        "{\"inferenceRequest\":{\"requestID\":\"r\",\"model\":\"m\",\"streaming\":true,\"path\":"
        "\"/v1/x\",\"contentType\":\"a/b\",\"maxPricePerKToken\":0,"
        "\"pricePerKToken\":5,\"priceVersion\":3}}",
        "{\"inferenceResponse\":{\"requestID\":\"r\",\"status\":200,\"contentType\":\"text/plain\","
        "\"pricePerKToken\":9007199254740991}}",
        "{\"inferenceError\":{\"requestID\":\"r\",\"errorMessage\":\"dearer\",\"code\":"
        "\"payment_required\",\"pricePerKToken\":7,\"priceVersion\":4}}",
        "{\"inferenceError\":{\"requestID\":\"r\",\"errorMessage\":\"full\",\"code\":\"queue_"
        "full\","
        "\"retryAfter\":3600}}",
        "{\"inferenceProgress\":{\"requestID\":\"r\",\"queuePosition\":3,\"waitSeconds\":86400}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tl_cluster_message m;
        tl_buf out = {0};
        assert_int_equal(tl_cluster_parse(tl_slice_str(texts[i]), &m), TL_OK);
        assert_int_equal(tl_cluster_write(&out, &m), TL_OK);
        assert_true(tl_slice_eq(tl_buf_slice(&out), tl_slice_str(texts[i])));
        tl_cluster_message_clear(&m);
        tl_buf_clear(&out);
    }
}

static void a_message_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        for (size_t n = 0; n < strlen(samples[i]); n++) {
            tl_cluster_message m;
            assert_int_equal(tl_cluster_parse(tl_slice_of(samples[i], n), &m), TL_ERR_PROTO);
        }
}

static void an_unknown_type_is_told_apart_from_nonsense(void **state)
{
    (void)state;
    tl_cluster_message m;
    assert_int_equal(tl_cluster_parse(TL_SLICE_LIT("{\"natHint\":{}}"), &m), TL_OK);
    assert_int_equal(m.type, TL_CLUSTER_OTHER);
    tl_cluster_message_clear(&m);
    assert_int_equal(tl_cluster_parse(TL_SLICE_LIT("{\"ptnHello\":{\"a\":[1]}}"), &m), TL_OK);
    tl_buf out = {0};
    assert_string_equal(m.u.other.name, "ptnHello");
    assert_int_equal(tl_cluster_write(&out, &m), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&out), TL_SLICE_LIT("{\"ptnHello\":{\"a\":[1]}}")));
    tl_buf_clear(&out);
    tl_cluster_message_clear(&m);
    assert_int_equal(parse("{\"natHint\":1}"), TL_ERR_PROTO);
    assert_int_equal(parse("{\"natHint\":{},\"goodbye\":{\"reason\":\"\"}}"), TL_ERR_PROTO);
    assert_int_equal(parse("{}"), TL_ERR_PROTO);
    assert_int_equal(parse("[]"), TL_ERR_PROTO);
    assert_int_equal(parse("1"), TL_ERR_PROTO);
    assert_int_equal(parse("{\"natHint\":{\"a\":1,\"a\":2}}"), TL_ERR_PROTO);
    assert_int_equal(parse("{\"natHint\":{}} x"), TL_ERR_PROTO);
}

#define REQUEST(id, path, type, extra)                                                             \
    "{\"inferenceRequest\":{\"requestID\":\"" id                                                   \
    "\",\"model\":\"m\",\"streaming\":true,\"path\":\"" path "\",\"contentType\":\"" type          \
    "\"" extra "}}"
#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void fields_out_of_their_bounds_are_refused_and_their_twins_pass(void **state)
{
    (void)state;
    assert_int_equal(parse(REQUEST("r1", "/v1/x", "a/b", "")), TL_OK);
    assert_int_equal(parse(REQUEST("", "/v1/x", "a/b", "")), TL_ERR_PROTO);
    assert_int_equal(parse(REQUEST("r 1", "/v1/x", "a/b", "")), TL_ERR_PROTO);
    assert_int_equal(parse(REQUEST("order-7_2.b", "/v1/x", "a/b", "")), TL_OK);
    assert_int_equal(parse(REQUEST("order/7", "/v1/x", "a/b", "")), TL_ERR_PROTO);
    assert_int_equal(parse(REQUEST(HEX64, "/v1/x", "a/b", "")), TL_OK);
    assert_int_equal(parse(REQUEST(HEX64 "0", "/v1/x", "a/b", "")), TL_ERR_PROTO);
    assert_int_equal(parse(REQUEST("r1", "v1/x", "a/b", "")), TL_ERR_PROTO);
    assert_int_equal(parse(REQUEST("r1", "/v1/x", "a/b\\r\\nX: y", "")), TL_ERR_PROTO);
    assert_int_equal(parse(REQUEST("r1", "/v1\\u0000x", "a/b", "")), TL_ERR_PROTO);
    assert_int_equal(parse(REQUEST("r1", "/v1/x", "a/b", ",\"ptnID\":\"" HEX64 "\"")), TL_OK);
    assert_int_equal(parse(REQUEST("r1", "/v1/x", "a/b", ",\"ptnID\":\"12\"")), TL_ERR_PROTO);
    assert_int_equal(parse(REQUEST("r1", "/v1/x", "a/b", ",\"ptnID\":null")), TL_OK);
    assert_int_equal(parse(REQUEST("r1", "/v1/x", "a/b", ",\"later\":[1]")), TL_OK);
    assert_int_equal(parse(REQUEST("r1", "/v1/x", "a/b", ",\"progress\":false")), TL_OK);
    assert_int_equal(parse(REQUEST("r1", "/v1/x", "a/b", ",\"progress\":1")), TL_ERR_PROTO);
    assert_int_equal(parse(REQUEST("r1", "/v1/x", "a/b", ",\"maxPricePerKToken\":0")), TL_OK);
    assert_int_equal(parse(REQUEST("r1", "/v1/x", "a/b", ",\"maxPricePerKToken\":-1")),
                     TL_ERR_PROTO);
    assert_int_equal(parse(REQUEST("r1", "/v1/x", "a/b", ",\"maxPricePerKToken\":\"1\"")),
                     TL_ERR_PROTO);
    assert_int_equal(
        parse(REQUEST("r1", "/v1/x", "a/b", ",\"maxPricePerKToken\":9007199254740992")),
        TL_ERR_PROTO);
    assert_int_equal(parse("{\"heartbeat\":{\"sequence\":1,\"running\":0,\"available\":true,"
                           "\"bids\":{}}}"),
                     TL_ERR_PROTO);
    assert_int_equal(parse("{\"inferenceProgress\":{\"requestID\":\"\"}}"), TL_ERR_PROTO);
    static const char *const places[] = {"\"queuePosition\":-1", "\"queuePosition\":4294967296",
                                         "\"queuePosition\":\"1\"", "\"waitSeconds\":86401",
                                         "\"waitSeconds\":1.5"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"inferenceProgress\":{\"requestID\":\"r\",%s}}", places[i]);
        assert_int_equal(parse(text), TL_ERR_PROTO);
    }
    assert_int_equal(
        parse("{\"inferenceError\":{\"requestID\":\"r\",\"errorMessage\":\"\",\"code\":"
              "\"queue_full\",\"retryAfter\":-1}}"),
        TL_ERR_PROTO);
}

static void numbers_are_whole_and_within_range(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"heartbeatAck\":{\"running\":0,\"available\":true,\"sequence\":0}}"),
                     TL_OK);
    assert_int_equal(
        parse("{\"heartbeatAck\":{\"running\":0,\"available\":true,\"sequence\":1e3}}"), TL_OK);
    assert_int_equal(parse("{\"heartbeatAck\":{\"running\":0,\"available\":true,\"sequence\":-1}}"),
                     TL_ERR_PROTO);
    assert_int_equal(
        parse("{\"heartbeatAck\":{\"running\":0,\"available\":true,\"sequence\":0.5}}"),
        TL_ERR_PROTO);
    assert_int_equal(
        parse("{\"heartbeatAck\":{\"running\":0,\"available\":true,\"sequence\":1e300}}"),
        TL_ERR_PROTO);
    assert_int_equal(
        parse("{\"heartbeatAck\":{\"running\":0,\"available\":true,\"sequence\":\"1\"}}"),
        TL_ERR_PROTO);
    assert_int_equal(parse("{\"heartbeatAck\":{\"running\":0,\"available\":true,\"sequence\":"
                           "99999999999999999999}}"),
                     TL_ERR_PROTO);
    assert_int_equal(parse("{\"inferenceResponse\":{\"requestID\":\"r\",\"status\":200,"
                           "\"contentType\":\"\"}}"),
                     TL_OK);
    assert_int_equal(parse("{\"inferenceResponse\":{\"requestID\":\"r\",\"status\":199,"
                           "\"contentType\":\"\"}}"),
                     TL_ERR_PROTO);
    assert_int_equal(parse("{\"inferenceResponse\":{\"requestID\":\"r\",\"status\":600,"
                           "\"contentType\":\"\"}}"),
                     TL_ERR_PROTO);
}

static void words_for_a_person_are_cut_between_characters(void **state)
{
    (void)state;
    char text[700] = "{\"goodbye\":{\"reason\":\"x";
    for (int i = 0; i < 200; i++)
        strcat(text, "\xc3\xa4");
    strcat(text, "\"}}");
    tl_cluster_message m;
    assert_int_equal(tl_cluster_parse(tl_slice_str(text), &m), TL_OK);
    assert_int_equal(strlen(m.u.goodbye), TL_CLUSTER_REASON_MAX - 1);
    assert_true(tl_utf8_is(tl_slice_str(m.u.goodbye)));
}

static void words_that_are_not_utf8_still_make_valid_json(void **state)
{
    (void)state;
    tl_cluster_message m = {.type = TL_CLUSTER_ERROR,
                            .u.error = {.id = "r", .message = "caf\xe9", .code = "internal_error"}};
    tl_buf out = {0};
    assert_int_equal(tl_cluster_write(&out, &m), TL_OK);
    tl_cluster_message back;
    assert_int_equal(tl_cluster_parse(tl_buf_slice(&out), &back), TL_OK);
    assert_string_equal(back.u.error.message, "caf?");
    tl_buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_survives_a_round_trip_byte_for_byte),
        cmocka_unit_test(fields_that_may_be_absent_survive_a_round_trip),
        cmocka_unit_test(a_message_cut_anywhere_is_refused),
        cmocka_unit_test(an_unknown_type_is_told_apart_from_nonsense),
        cmocka_unit_test(fields_out_of_their_bounds_are_refused_and_their_twins_pass),
        cmocka_unit_test(numbers_are_whole_and_within_range),
        cmocka_unit_test(words_for_a_person_are_cut_between_characters),
        cmocka_unit_test(words_that_are_not_utf8_still_make_valid_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
