#include "node/relay_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static tl_err read_text(const char *text)
{
    tl_word w;
    tl_err e = tl_word_read(tl_slice_str(text), &w);
    if (!e)
        tl_word_clear(&w);
    return e;
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    for (int t = TL_WORD_RELAY_OPEN; t <= TL_WORD_RELAY_CLOSE; t++) {
        tl_buf out = {0};
        tl_word w;
        if (t == TL_WORD_RELAY_DATA) {
            assert_int_equal(tl_word_write_data_head(&out, A, B, "s-1"), TL_OK);
            assert_int_equal(tl_buf_append_str(&out, "aGk=" TL_WORD_DATA_END), TL_OK);
        } else {
            assert_int_equal(tl_word_write_session(&out, (tl_word_type)t, A, B, "s-1"), TL_OK);
        }
        assert_int_equal(tl_word_read(tl_buf_slice(&out), &w), TL_OK);
        assert_int_equal(w.type, t);
        assert_string_equal(w.from, A);
        assert_string_equal(w.to, B);
        assert_string_equal(w.session, "s-1");
        if (t == TL_WORD_RELAY_DATA)
            assert_true(tl_slice_eq(w.data, TL_SLICE_LIT("aGk=")));
        for (size_t n = 0; n < out.len; n++)
            assert_int_equal(tl_word_read(tl_slice_of(tl_buf_begin(&out), n), &w), TL_ERR_PROTO);
        tl_buf_clear(&out);
    }
}

static void the_wrapping_of_the_swift_clients_is_undone(void **state)
{
    (void)state;
    tl_word w;
    assert_int_equal(tl_word_read(TL_SLICE_LIT("{\"relayData\":{\"_0\":{\"fromNodeID\":\"" A
                                               "\",\"toNodeID\":\"" B
                                               "\",\"sessionID\":\"S\",\"data\":\"\\/\\/8=\"}}}"),
                                  &w),
                     TL_OK);
    assert_string_equal(w.session, "S");
    uint8_t text[8];
    size_t n = w.data.n;
    memcpy(text, w.data.p, n);
    assert_int_equal(tl_word_data(text, n, &n), TL_OK);
    assert_true(tl_slice_eq(tl_slice_of(text, n), TL_SLICE_LIT("\xff\xff")));
    assert_int_equal(tl_word_read(TL_SLICE_LIT("{\"challenge\":{\"_0\":{\"nonce\":\"x\"}}}"), &w),
                     TL_OK);
    assert_string_equal(tl_json_string(w.payload, "nonce", ""), "x");
    tl_word_clear(&w);
}

static void malformed_messages_are_refused_and_their_twins_pass(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"relayOpen\":{\"fromNodeID\":\"" A "\",\"toNodeID\":\"" B
                               "\",\"sessionID\":\"S\",\"more\":[{}]}}"),
                     TL_OK);
    assert_int_equal(read_text("{\"relayOpen\":{\"fromNodeID\":\"" A "\",\"toNodeID\":\"" B
                               "\",\"sessionID\":\"S_\"}}"),
                     TL_ERR_PROTO);
    assert_int_equal(read_text("{\"relayOpen\":{\"fromNodeID\":\"" A "\",\"toNodeID\":\"" B "a"
                               "\",\"sessionID\":\"S\"}}"),
                     TL_ERR_PROTO);
    assert_int_equal(read_text("{\"relayOpen\":{\"fromNodeID\":\"" A "\",\"fromNodeID\":\"" A
                               "\",\"toNodeID\":\"" B "\",\"sessionID\":\"S\"}}"),
                     TL_ERR_PROTO);
    assert_int_equal(read_text("{\"relayOpen\":{\"fromNodeID\":\"" A "\",\"sessionID\":\"S\"}}"),
                     TL_ERR_PROTO);
    assert_int_equal(read_text("{\"relayData\":{\"fromNodeID\":\"" A "\",\"toNodeID\":\"" B
                               "\",\"sessionID\":\"S\",\"data\":1}}"),
                     TL_ERR_PROTO);
    assert_int_equal(read_text("{\"relayData\":{\"fromNodeID\":\"" A "\",\"toNodeID\":\"" B
                               "\",\"sessionID\":\"S\"}}"),
                     TL_ERR_PROTO);
    assert_int_equal(read_text("{\"peerJoined\":{}}"), TL_OK);
    assert_int_equal(read_text("{\"peerJoined\":{},\"x\":1}"), TL_ERR_PROTO);
    assert_int_equal(read_text("{\"error\":[]}"), TL_ERR_PROTO);
    assert_int_equal(read_text("{\"error\":{\"code\":\"a\",\"code\":\"b\"}}"), TL_ERR_PROTO);
    assert_int_equal(read_text("{}"), TL_ERR_PROTO);
    assert_int_equal(read_text("[]"), TL_ERR_PROTO);
}

static void base64_with_other_escapes_is_refused(void **state)
{
    (void)state;
    size_t n;
    uint8_t bad[] = "\\u0041AAA", cut[] = "AAA\\";
    assert_int_equal(tl_word_data(bad, sizeof bad - 1, &n), TL_ERR_PROTO);
    assert_int_equal(tl_word_data(cut, sizeof cut - 1, &n), TL_ERR_PROTO);
}

static void a_discovery_names_the_model_only_if_there_is_one(void **state)
{
    (void)state;
    tl_buf out = {0};
    assert_int_equal(tl_word_write_discover(&out, A, "", 100, ""), TL_OK);
    assert_true(
        tl_slice_eq(tl_buf_slice(&out), TL_SLICE_LIT("{\"discover\":{\"requestingNodeID\":\"" A
                                                     "\",\"filter\":{},\"limit\":100}}")));
    tl_buf_clear(&out);
    assert_int_equal(tl_word_write_discover(&out, A, "a\"b", 5, "c"), TL_OK);
    assert_true(tl_slice_eq(
        tl_buf_slice(&out),
        TL_SLICE_LIT("{\"discover\":{\"requestingNodeID\":\"" A
                     "\",\"filter\":{\"modelID\":\"a\\\"b\"},\"limit\":5,\"cursor\":\"c\"}}")));
    tl_buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(the_wrapping_of_the_swift_clients_is_undone),
        cmocka_unit_test(malformed_messages_are_refused_and_their_twins_pass),
        cmocka_unit_test(base64_with_other_escapes_is_refused),
        cmocka_unit_test(a_discovery_names_the_model_only_if_there_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
