/* The messages of the old protocol, as its own programs wrote them, and as they read ours. */
#include "legacy/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ID "6e7af19c-216d-419c-bb24-9c5d28b19034"

static tl_err parse(const char *text, tl_legacy_message *m)
{
    return tl_legacy_parse(tl_slice_str(text), m);
}

/* Parses, and sees the type; the caller clears. */
static tl_legacy_message parsed(const char *text, tl_legacy_type type)
{
    tl_legacy_message m;
    assert_int_equal(parse(text, &m), TL_OK);
    assert_int_equal(m.type, type);
    return m;
}

static void what_the_programs_write_is_read_wrapped_and_bare(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"{\"inferenceRequest\":{\"_0\":{\"requestID\":\"" ID "\",\"streaming\":true,\"request\":"
         "{\"model\":\"parrot-1\",\"messages\":[]}}}}",
         "{\"inferenceRequest\":{\"requestID\":\"" ID "\",\"request\":{\"model\":\"parrot-1\"}}}"},
        {"{\"inferenceChunk\":{\"_0\":{\"chunk\":{\"choices\":[{\"delta\":{\"content\":\"one\"},"
         "\"finish_reason\":null,\"index\":0}]},\"requestID\":\"" ID "\"}}}",
         "{\"inferenceChunk\":{\"chunk\":{},\"requestID\":\"" ID "\"}}"},
        {"{\"inferenceComplete\":{\"_0\":{\"requestID\":\"" ID "\",\"tokensOut\":4}}}",
         "{\"inferenceComplete\":{\"requestID\":\"" ID "\",\"tokensIn\":null,\"tokensOut\":4}}"},
        {"{\"inferenceError\":{\"_0\":{\"code\":\"queue_full\",\"errorMessage\":\"queue full\","
         "\"requestID\":\"" ID "\"}}}",
         "{\"inferenceError\":{\"code\":\"queue_full\",\"errorMessage\":\"queue full\","
         "\"requestID\":\"" ID "\"}}"},
    };
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 2; k++) {
            tl_legacy_message m = parsed(texts[i][k], (tl_legacy_type)(TL_LEGACY_REQUEST + i));
            assert_string_equal(m.id, ID);
            assert_int_equal(json_is_object(m.body), i < 2);
            if (i == 2)
                assert_true(m.tokens_in == 0 && m.tokens_out == 4);
            if (i == 3)
                assert_true(!strcmp(m.code, "queue_full") && !strcmp(m.words, "queue full"));
            tl_legacy_message_clear(&m);
        }
    (void)parsed("{\"hello\":{\"_0\":{\"deviceInfo\":{},\"protocolVersion\":1}}}", TL_LEGACY_HELLO);
    (void)parsed("{\"heartbeatAck\":{}}", TL_LEGACY_HEARTBEAT_ACK);
    (void)parsed("{\"loadModel\":{\"requestID\":\"x\"}}", TL_LEGACY_OTHER);
}

static void a_message_with_a_wrong_field_is_one_of_no_use(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"inferenceRequest\":{\"request\":{}}}",
        "{\"inferenceRequest\":{\"requestID\":7,\"request\":{}}}",
        "{\"inferenceRequest\":{\"requestID\":\"a b\",\"request\":{}}}",
        "{\"inferenceRequest\":{\"requestID\":\"x\",\"request\":[]}}",
        "{\"inferenceRequest\":{\"requestID\":\"x\"}}",
        "{\"inferenceChunk\":{\"requestID\":\"x\",\"chunk\":\"y\"}}",
        "{\"inferenceComplete\":{}}",
        "{\"inferenceRequest\":{\"_0\":{},\"requestID\":\"x\",\"request\":{}}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tl_legacy_message m = parsed(texts[i], TL_LEGACY_OTHER);
        assert_null(m.body);
    }
    tl_legacy_message m = /* the twin */
        parsed("{\"inferenceRequest\":{\"requestID\":\"x\",\"request\":{}}}", TL_LEGACY_REQUEST);
    tl_legacy_message_clear(&m);
}

static void what_is_no_object_with_one_object_is_no_message(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "{}",
                                        "[]",
                                        "{\"hello\":1}",
                                        "{\"hello\":{},\"heartbeat\":{}}",
                                        "{\"hello\":{}} ",
                                        "{\"hello\":{}}}",
                                        "{\"hello\":{\"a\":1,\"a\":2}}",
                                        "{\"hello\":{}"};
    tl_legacy_message m;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (parse(texts[i], &m) == TL_OK && strcmp(texts[i], "{\"hello\":{}} ") != 0)
            fail_msg("taken: %s", texts[i]);
    (void)parsed("{\"hello\":{}}", TL_LEGACY_HELLO);
}

static void every_cut_of_a_message_is_none(void **state)
{
    (void)state;
    static const char text[] =
        "{\"inferenceChunk\":{\"_0\":{\"requestID\":\"" ID "\",\"chunk\":{\"a\":[1]}}}}";
    tl_legacy_message m;
    for (size_t n = 0; n < sizeof text - 1; n++)
        assert_int_equal(tl_legacy_parse(tl_slice_of(text, n), &m), TL_ERR_PROTO);
    assert_int_equal(tl_legacy_parse(tl_slice_of(text, sizeof text - 1), &m), TL_OK);
    tl_legacy_message_clear(&m);
}

static void a_deep_message_is_none(void **state)
{
    (void)state;
    char text[4 * TL_LEGACY_DEPTH];
    tl_legacy_message m;
    for (unsigned deep = TL_LEGACY_DEPTH - 1; deep <= TL_LEGACY_DEPTH; deep++) {
        size_t n = 0;
        memcpy(text, "{\"a\":{\"b\":", 10);
        n = 10;
        memset(text + n, '[', deep - 1);
        n += deep - 1;
        memset(text + n, ']', deep - 1);
        n += deep - 1;
        memcpy(text + n, "}}", 2);
        assert_int_equal(tl_legacy_parse(tl_slice_of(text, n + 2), &m),
                         deep < TL_LEGACY_DEPTH ? TL_OK : TL_ERR_PROTO);
    }
}

static void quic_datagrams_do_not_pass_for_messages(void **state)
{
    (void)state;
    /* A short header may begin with '{', and its last byte be '}'. */
    uint8_t datagram[1200];
    tl_legacy_message m;
    tl_rand rand = tl_rand_seeded(7);
    for (int i = 0; i < 2000; i++) {
        tl_rand_bytes(&rand, datagram, sizeof datagram);
        datagram[0] = '{';
        datagram[sizeof datagram - 1] = '}';
        tl_slice all = tl_slice_of(datagram, sizeof datagram);
        assert_true(tl_legacy_may_be(all));
        assert_int_equal(tl_legacy_parse(all, &m), TL_ERR_PROTO);
    }
    assert_false(tl_legacy_may_be(TL_SLICE_LIT("\xc0{}")));
    assert_false(tl_legacy_may_be(tl_slice_of(NULL, 0)));
}

/* --- what we write --- */

static json_t *payload(tl_buf *out, const char *type)
{
    json_t *root = NULL;
    assert_int_equal(tl_json_parse(tl_buf_slice(out), 16, &root, NULL), TL_OK);
    json_t *inner = json_object_get(json_object_get(root, type), "_0");
    assert_non_null(inner);
    json_incref(inner);
    json_decref(root);
    tl_buf_clear(out);
    return inner;
}

static void hello_and_heartbeat_have_every_field_that_swift_insists_on(void **state)
{
    (void)state;
    tl_node_id id = {{0xec, 0x1f, 0x0b, 0x3e}};
    json_t *hardware = json_pack("{s:s}", "chipFamily", "amdCPU");
    json_t *models = json_pack("[s]", "m");
    tl_legacy_self self = {&id, "me", hardware, models, 2, 978307200 + 60};
    tl_buf out = {0};
    assert_int_equal(tl_legacy_write_hello(&out, TL_LEGACY_HELLO_ACK, &self), TL_OK);
    json_t *p = payload(&out, "helloAck");
    const json_t *device = json_object_get(p, "deviceInfo");
    assert_string_equal(tl_json_string(device, "id", ""), "ec1f0b3e-0000-0000-0000-000000000000");
    assert_string_equal(tl_json_string(device, "name", ""), "me");
    assert_true(tl_json_number(device, "lastSeenAt", 0) == 60);
    assert_true(tl_json_number(device, "registeredAt", 0) == 60);
    assert_true(tl_json_bool(device, "isCurrentDevice", false));
    assert_true(json_equal(json_object_get(device, "hardware"), hardware));
    assert_true(json_equal(json_object_get(device, "loadedModels"), models));
    assert_true(json_equal(json_object_get(p, "loadedModels"), models));
    assert_true(tl_json_number(p, "protocolVersion", 0) == 1);
    json_decref(p);
    assert_int_equal(tl_legacy_write_heartbeat(&out, TL_LEGACY_HEARTBEAT, &self), TL_OK);
    p = payload(&out, "heartbeat");
    assert_true(json_is_true(json_object_get(p, "isGenerating")));
    assert_true(tl_json_number(p, "queueDepth", 0) == 2);
    assert_true(tl_json_number(p, "throttleLevel", 0) == 100);
    assert_string_equal(tl_json_string(p, "thermalLevel", ""), "nominal");
    json_decref(p);
    json_decref(hardware);
    json_decref(models);
}

static void questions_and_answers_are_read_back(void **state)
{
    (void)state;
    tl_buf out = {0};
    json_t *chunk = json_pack("{s:i}", "created", 1);
    tl_legacy_message m;
    assert_int_equal(tl_legacy_write_request(&out, ID, TL_SLICE_LIT("{\"model\":\"m\"}")), TL_OK);
    m = parsed((tl_buf_append(&out, tl_slice_of("", 1)) ? "" : (char *)tl_buf_begin(&out)),
               TL_LEGACY_REQUEST);
    assert_string_equal(tl_json_string(m.body, "model", ""), "m");
    tl_legacy_message_clear(&m);
    tl_buf_clear(&out);
    assert_int_equal(tl_legacy_write_chunk(&out, ID, chunk), TL_OK);
    assert_int_equal(tl_legacy_parse(tl_buf_slice(&out), &m), TL_OK);
    assert_true(m.type == TL_LEGACY_CHUNK && json_equal(m.body, chunk));
    tl_legacy_message_clear(&m);
    json_decref(chunk);
    tl_buf_clear(&out);
    assert_int_equal(tl_legacy_write_complete(&out, ID, 3, UINT64_MAX), TL_OK);
    assert_int_equal(tl_legacy_parse(tl_buf_slice(&out), &m), TL_OK);
    assert_true(m.type == TL_LEGACY_COMPLETE && m.tokens_in == 3 && m.tokens_out == UINT32_MAX);
    tl_buf_clear(&out);
    assert_int_equal(tl_legacy_write_error(&out, ID, "timeout", "\xff"), TL_OK);
    assert_int_equal(tl_legacy_parse(tl_buf_slice(&out), &m), TL_OK);
    assert_true(m.type == TL_LEGACY_ERROR && !strcmp(m.code, "timeout") && m.words[0]);
    tl_buf_clear(&out);
}

static void request_ids_are_the_same_in_capitals(void **state)
{
    (void)state;
    assert_true(tl_legacy_id_eq("6e7af19c-216d", "6E7AF19C-216D"));
    assert_false(tl_legacy_id_eq("6e7af19c-216d", "6e7af19c-216e"));
    assert_false(tl_legacy_id_eq("6e7af19c", "6e7af19c-216e"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_programs_write_is_read_wrapped_and_bare),
        cmocka_unit_test(a_message_with_a_wrong_field_is_one_of_no_use),
        cmocka_unit_test(what_is_no_object_with_one_object_is_no_message),
        cmocka_unit_test(every_cut_of_a_message_is_none),
        cmocka_unit_test(a_deep_message_is_none),
        cmocka_unit_test(quic_datagrams_do_not_pass_for_messages),
        cmocka_unit_test(hello_and_heartbeat_have_every_field_that_swift_insists_on),
        cmocka_unit_test(questions_and_answers_are_read_back),
        cmocka_unit_test(request_ids_are_the_same_in_capitals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
