#include "wire/signal.h"
#include "wire/signalread.h"
#include "wire/signalwrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define A   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define IDS "\"fromNodeID\":\"" A "\",\"toNodeID\":\"" B "\",\"sessionID\":\"s-1\""

/* Scans a copy of exactly the text's size, which stays valid until the next call. */
static tl_err scan_n(const void *text, size_t n, tl_signal_side side, tl_signal *ret)
{
    static uint8_t *copy;
    free(copy);
    copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    return tl_signal_scan(tl_slice_of(copy, n), side, ret);
}
static tl_err scan(const char *text, tl_signal *ret)
{
    return scan_n(text, strlen(text), TL_SIGNAL_AT_RELAY, ret);
}

static void routed_messages_give_the_fields_they_are_routed_by(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"relayData\":{" IDS ",\"data\":\"QUJD\"}}",
        "{\"relayData\":{\"data\":\"QUJD\"," IDS "}}",
        "{\"relayData\":{\"_0\":{" IDS ",\"data\":\"QUJD\"}}}",
        " { \"relayData\" : { \"_0\" : { \"data\" : \"QUJD\" , " IDS " } } } ",
        "{\"relayData\":{" IDS ",\"data\":\"QUJD\",\"x\":null,\"y\":true}}",
        "{\"relayData\":{" IDS ",\"data\":\"QUJD\",\"x\":{\"z\":[1,{}]},\"y\":2.5}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tl_signal s;
        assert_int_equal(scan(texts[i], &s), TL_OK);
        assert_int_equal(s.type, TL_SIGNAL_RELAY_DATA);
        assert_true(tl_slice_eq(s.from, TL_SLICE_LIT(A)));
        assert_true(tl_slice_eq(s.to, TL_SLICE_LIT(B)));
        assert_true(tl_slice_eq(s.session, TL_SLICE_LIT("s-1")));
        assert_true(tl_slice_eq(s.data, TL_SLICE_LIT("QUJD")));
        tl_signal_clear(&s);
    }
}

static void escaped_names_and_values_mean_what_they_spell(void **state)
{
    (void)state;
    tl_signal s;
    assert_int_equal(scan("{\"relayOpen\":{\"from\\u004eodeID\":\"" A "\",\"toNodeID\":\"" B
                          "\",\"sessionID\":\"\\u0073-1\"}}",
                          &s),
                     TL_OK);
    assert_true(tl_slice_eq(s.from, TL_SLICE_LIT(A)));
    assert_true(tl_slice_eq(s.session, TL_SLICE_LIT("s-1")));
    assert_int_equal(scan("{\"relayOpen\":{\"fromNodeID\":\"" A "\",\"toNodeID\":\"" B
                          "\",\"sessionID\":\"\\u0073-1\"}}",
                          &s),
                     TL_OK);
    assert_true(tl_slice_eq(s.session, TL_SLICE_LIT("s-1")));
}

typedef struct {
    tl_err e;
    const char *text;
} judged;

static const judged judgements[] = {
    {TL_OK, "{\"relayOpen\":{" IDS "}}"},
    /* invalid_json */
    {TL_ERR_PROTO, ""},
    {TL_ERR_PROTO, "hello"},
    {TL_ERR_PROTO, "{\"relayOpen\":{" IDS "}"},
    {TL_ERR_PROTO, "{\"relayOpen\":{" IDS "}}x"},
    {TL_ERR_PROTO, "{\"relayOpen\":{" IDS ",}}"},
    {TL_ERR_PROTO, "{\"relayOpen\":{" IDS ",\"sessionID\":\"s-1\"}}"},
    {TL_ERR_PROTO, "{\"relayOpen\":{" IDS ",\"session\\u0049D\":\"s-1\"}}"},
    {TL_ERR_PROTO, "{\"relayOpen\":{" IDS ",\"x\":{\"a\":1,\"a\":1}}}"},
    {TL_OK, "{\"relayOpen\":{" IDS ",\"x\":{\"a\":1,\"b\":1}}}"},
    {TL_ERR_PROTO, "{\"relayOpen\":{" IDS ",\"x\":1,\"x\":2}}"},
    {TL_ERR_PROTO, "{\"relayData\":{\"data\":\"\",\"data\":\"\"," IDS "}}"},
    {TL_ERR_PROTO, "{\"relayOpen\":{" IDS "},\"relayOpen\":{" IDS "}}"},
    {TL_ERR_PROTO, "{\"relayOpen\":{\"_0\":{" IDS "},\"_0\":{" IDS "}}}"},
    {TL_ERR_PROTO, "{\"relayOpen\":{" IDS ",\"x\":\"\\ud800\"}}"},
    {TL_OK, "{\"relayOpen\":{" IDS ",\"x\":\"\\ud83d\\ude00\"}}"},
    {TL_ERR_PROTO, "{\"relayOpen\":{" IDS ",\"x\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}}"}, /* 17 */
    {TL_OK, "{\"relayOpen\":{" IDS ",\"x\":[[[[[[[[[[[[[[]]]]]]]]]]]]]]}}"},          /* 16 */
    {TL_ERR_PROTO, "[{\"a\":1,\"a\":2}]"},
    {TL_ERR_PROTO, "{\"nonsense\":{\"a\":1,\"a\":2}}"},
    {TL_ERR_PROTO, "{\"discover\":{\"requestingNodeID\":\"x\",\"requestingNodeID\":\"x\"}}"},
    {TL_ERR_PROTO, "{\"discover\":[1,]}"},
    /* invalid_message */
    {TL_ERR_INVALID, "{}"},
    {TL_ERR_INVALID, "[]"},
    {TL_ERR_INVALID, "1"},
    {TL_ERR_INVALID, "\"relayOpen\""},
    {TL_ERR_INVALID, "null"},
    {TL_ERR_INVALID, "{\"relayOpen\":{" IDS "},\"x\":1}"},
    /* Whoever unwraps would read other ids than those checked. */
    {TL_ERR_INVALID, "{\"relayOpen\":{" IDS ",\"\\u005f0\":{" IDS "}}}"},
    {TL_ERR_INVALID, "{\"relayOpen\":{\"\\u005f0\":{" IDS "}," IDS "}}"},
    {TL_OK, "{\"relayOpen\":{" IDS ",\"\\u005f1\":{" IDS "}}}"},
    {TL_ERR_INVALID, "{\"offer\":{" IDS ",\"connectionInfo\":{},\"_\\u0030\":{}}}"},
    {TL_OK, "{\"offer\":{" IDS ",\"connectionInfo\":{},\"_\\u0031\":{}}}"},
    {TL_ERR_INVALID, "{\"relayData\":{" IDS ",\"\\u0064ata\":\"QUJD\"}}"},
    {TL_OK, "{\"relayData\":{" IDS ",\"data\":\"QUJD\",\"\\u0064\":\"QUJD\"}}"},
    {TL_ERR_INVALID, "{\"nonsense\":1,\"x\":1}"},
    {TL_OK, "{\"nonsense\":1}"},
    {TL_ERR_INVALID, "{\"discover\":{},\"x\":1}"},
    {TL_ERR_INVALID, "{\"relayOpen\":[]}"},
    {TL_ERR_INVALID, "{\"relayOpen\":null}"},
    {TL_ERR_INVALID, "{\"discover\":\"x\"}"},
    {TL_ERR_INVALID, "{\"relayOpen\":{}}"},
    {TL_ERR_INVALID, "{\"relayOpen\":{\"fromNodeID\":\"" A "\",\"toNodeID\":\"" B "\"}}"},
    {TL_ERR_INVALID,
     "{\"relayOpen\":{\"fromNodeID\":1,\"toNodeID\":\"" B "\",\"sessionID\":\"s\"}}"},
    {TL_ERR_INVALID,
     "{\"relayOpen\":{\"fromNodeID\":null,\"toNodeID\":\"" B "\",\"sessionID\":\"s\"}}"},
    {TL_ERR_INVALID, "{\"relayOpen\":{" IDS ",\"x\":1e999}}"},
    {TL_OK, "{\"relayOpen\":{" IDS ",\"x\":1e99}}"},
    {TL_ERR_INVALID, "{\"relayData\":{" IDS "}}"},
    {TL_ERR_INVALID, "{\"relayData\":{" IDS ",\"data\":5}}"},
    {TL_ERR_INVALID, "{\"relayData\":{" IDS ",\"data\":{\"a\":[]}}}"},
    {TL_ERR_INVALID, "{\"relayData\":{" IDS ",\"data\":null}}"},
    {TL_OK, "{\"relayData\":{" IDS ",\"data\":\"\"}}"},
    {TL_ERR_INVALID, "{\"relayOpen\":{\"_0\":{" IDS "},\"x\":1}}"},
    {TL_ERR_INVALID, "{\"relayOpen\":{\"x\":1,\"_0\":{" IDS "}}}"},
    {TL_ERR_INVALID, "{\"relayOpen\":{\"_0\":["
                     "]}}"},
    {TL_ERR_INVALID, "{\"discover\":{\"_0\":{},\"x\":1}}"},
    {TL_ERR_INVALID, "{\"discover\":{\"_0\":1}}"},
    {TL_OK, "{\"discover\":{\"_0\":{}}}"},
    {TL_ERR_INVALID, "{\"offer\":{" IDS "}}"},
    {TL_ERR_INVALID, "{\"offer\":{" IDS ",\"connectionInfo\":[]}}"},
    {TL_OK, "{\"offer\":{" IDS ",\"connectionInfo\":{}}}"},
    {TL_OK, "{\"answer\":{\"_0\":{" IDS ",\"connectionInfo\":{},\"signature\":\"\"}}}"},
    {TL_ERR_INVALID, "{\"answer\":{" IDS ",\"connectionInfo\":{},\"signature\":1}}"},
    {TL_ERR_INVALID, "{\"iceCandidate\":{" IDS ",\"candidate\":\"\"}}"},
    {TL_OK, "{\"iceCandidate\":{" IDS ",\"candidate\":{\"ip\":\"1.2.3.4\",\"port\":1}}}"},
    /* session ids */
    {TL_ERR_INVALID,
     "{\"relayClose\":{\"fromNodeID\":\"a\",\"toNodeID\":\"b\",\"sessionID\":\"\"}}"},
    {TL_ERR_INVALID,
     "{\"relayClose\":{\"fromNodeID\":\"a\",\"toNodeID\":\"b\",\"sessionID\":\"a_b\"}}"},
    {TL_ERR_INVALID,
     "{\"relayClose\":{\"fromNodeID\":\"a\",\"toNodeID\":\"b\",\"sessionID\":\"a\\u0000b\"}}"},
    {TL_ERR_INVALID,
     "{\"relayClose\":{\"fromNodeID\":\"a\",\"toNodeID\":\"b\",\"sessionID\":\"" A "0\"}}"},
    {TL_OK, "{\"relayClose\":{\"fromNodeID\":\"a\",\"toNodeID\":\"b\",\"sessionID\":\"" A "\"}}"},
    {TL_OK, "{\"relayClose\":{\"fromNodeID\":\"a\",\"toNodeID\":\"b\",\"sessionID\":\"A-z-0\"}}"},
};

static void each_fault_has_its_own_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof judgements / sizeof *judgements; i++) {
        tl_signal s;
        tl_err e = scan(judgements[i].text, &s);
        if (e != judgements[i].e)
            fail_msg("%s: %d instead of %d", judgements[i].text, e, judgements[i].e);
        tl_signal_clear(&s);
    }
}

static void many_unknown_fields_pass_and_their_duplicates_do_not(void **state)
{
    (void)state;
    for (int twice = 0; twice < 2; twice++) {
        tl_buf b = {0};
        tl_signal s;
        assert_int_equal(tl_buf_append_str(&b, "{\"relayData\":{" IDS ",\"data\":\"QUJD\""), TL_OK);
        for (int i = 0; i < 40; i++)
            assert_int_equal(tl_buf_printf(&b, ",\"x%d\":true", i == 39 && twice ? 20 : i), TL_OK);
        assert_int_equal(tl_buf_append_str(&b, "}}"), TL_OK);
        assert_int_equal(scan_n(tl_buf_begin(&b), b.len, TL_SIGNAL_AT_RELAY, &s),
                         twice ? TL_ERR_PROTO : TL_OK);
        if (!twice)
            assert_true(tl_slice_eq(s.data, TL_SLICE_LIT("QUJD")));
        tl_buf_clear(&b);
    }
}

static void a_message_cut_anywhere_is_no_json(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"relayData\":{\"_0\":{" IDS ",\"data\":\"QUJD\",\"x\":[1,{}]}}}",
        "{\"offer\":{" IDS ",\"connectionInfo\":{\"publicIP\":\"1.2.3.4\"},\"signature\":\"00\"}}",
        "{\"discover\":{\"_0\":{\"requestingNodeID\":\"" A "\",\"filter\":null}}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tl_signal s;
        for (size_t n = 0; n < strlen(texts[i]); n++)
            assert_int_equal(scan_n(texts[i], n, TL_SIGNAL_AT_RELAY, &s), TL_ERR_PROTO);
        assert_int_equal(scan(texts[i], &s), TL_OK);
        tl_signal_clear(&s);
    }
}

/* {"TYPE":{IDS,"KEY":"yyy…"}} of `n` bytes in all. */
static tl_err scan_sized(const char *type, const char *key, size_t n)
{
    tl_buf b = {0};
    tl_signal s;
    assert_int_equal(tl_buf_printf(&b, "{\"%s\":{" IDS ",\"%s\":\"", type, key), TL_OK);
    uint8_t *room;
    size_t fill = n - b.len - 3;
    assert_int_equal(tl_buf_reserve(&b, fill, &room), TL_OK);
    memset(room, 'y', fill);
    tl_buf_added(&b, fill);
    assert_int_equal(tl_buf_append_str(&b, "\"}}"), TL_OK);
    assert_int_equal(b.len, n);
    tl_err e = scan_n(tl_buf_begin(&b), b.len, TL_SIGNAL_AT_RELAY, &s);
    tl_signal_clear(&s);
    tl_buf_clear(&b);
    return e;
}

static void only_data_may_be_large(void **state)
{
    (void)state;
    assert_int_equal(scan_sized("relayOpen", "x", TL_SIGNAL_SMALL_MAX), TL_OK);
    assert_int_equal(scan_sized("relayOpen", "x", TL_SIGNAL_SMALL_MAX + 1), TL_ERR_TOO_LARGE);
    assert_int_equal(scan_sized("nonsense", "x", TL_SIGNAL_SMALL_MAX + 1), TL_ERR_TOO_LARGE);
    assert_int_equal(scan_sized("register", "x", TL_SIGNAL_REGISTER_MAX), TL_OK);
    assert_int_equal(scan_sized("register", "x", TL_SIGNAL_REGISTER_MAX + 1), TL_ERR_TOO_LARGE);
    assert_int_equal(scan_sized("discoverResponse", "x", TL_SIGNAL_SMALL_MAX + 1),
                     TL_ERR_TOO_LARGE);
    assert_int_equal(scan_sized("relayData", "data", 1 << 20), TL_OK);
}

/* A page of `n` bytes whose tree has that many objects. */
static tl_err scan_page(size_t n, size_t objects)
{
    tl_buf b = {0};
    tl_signal s;
    assert_int_equal(tl_buf_append_str(&b, "{\"discoverResponse\":{\"peers\":[],\"x\":[{}"), TL_OK);
    for (size_t i = 1; i < objects; i++)
        assert_int_equal(tl_buf_append_str(&b, ",{}"), TL_OK);
    assert_int_equal(tl_buf_append_str(&b, "],\"y\":\""), TL_OK);
    uint8_t *room;
    size_t fill = b.len < n ? n - b.len : 0;
    assert_int_equal(tl_buf_reserve(&b, fill + 1, &room), TL_OK);
    memset(room, 'x', fill);
    tl_buf_added(&b, fill);
    assert_int_equal(tl_buf_append_str(&b, "\"}}"), TL_OK);
    tl_err e = scan_n(tl_buf_begin(&b), b.len, TL_SIGNAL_AT_NODE, &s);
    if (!e)
        tl_signal_clear(&s);
    tl_buf_clear(&b);
    return e;
}

static void a_page_has_a_bound_of_bytes_and_of_values(void **state)
{
    (void)state;
    assert_int_equal(scan_page(1 << 20, 1), TL_OK);
    assert_int_equal(scan_page(TL_SIGNAL_PAGE_MAX + 100, 1), TL_ERR_TOO_LARGE);
    assert_int_equal(scan_page(0, TL_SIGNAL_PAGE_VALUES / 2 - 10),
                     TL_OK); /* a bracket and a comma */
    assert_int_equal(scan_page(0, TL_SIGNAL_PAGE_VALUES / 2 + 10), TL_ERR_TOO_LARGE);
}

static void large_data_with_odd_neighbours_is_judged_by_the_neighbours(void **state)
{
    (void)state;
    static char data[200000];
    memset(data, 'A', sizeof data);
    static const judged neighbours[] = {{TL_OK, "\"x\":{\"a\":1}"},
                                        {TL_ERR_PROTO, "\"x\":{\"a\":1,\"a\":1}"},
                                        {TL_ERR_INVALID, "\"x\":1e999"}};
    for (size_t i = 0; i < 3; i++) {
        tl_buf b = {0};
        tl_signal s;
        assert_int_equal(tl_buf_append_str(&b, "{\"relayData\":{\"data\":\""), TL_OK);
        assert_int_equal(tl_buf_append(&b, tl_slice_of(data, sizeof data)), TL_OK);
        assert_int_equal(tl_buf_printf(&b, "\"," IDS ",%s}}", neighbours[i].text), TL_OK);
        assert_int_equal(scan_n(tl_buf_begin(&b), b.len, TL_SIGNAL_AT_RELAY, &s), neighbours[i].e);
        if (!neighbours[i].e)
            assert_int_equal(s.data.n, sizeof data);
        tl_buf_clear(&b);
    }
}

static void each_side_knows_the_messages_it_receives(void **state)
{
    (void)state;
    tl_signal s;
    static const struct {
        const char *text;
        tl_signal_type at_relay, at_node;
    } cases[] = {{"{\"challenge\":{}}", TL_SIGNAL_UNKNOWN, TL_SIGNAL_CHALLENGE},
                 {"{\"register\":{}}", TL_SIGNAL_REGISTER, TL_SIGNAL_UNKNOWN},
                 {"{\"discover\":{}}", TL_SIGNAL_DISCOVER, TL_SIGNAL_UNKNOWN},
                 {"{\"error\":{}}", TL_SIGNAL_UNKNOWN, TL_SIGNAL_ERROR},
                 {"{\"relayOpen\":{" IDS "}}", TL_SIGNAL_RELAY_OPEN, TL_SIGNAL_RELAY_OPEN},
                 {"{\"relayopen\":{" IDS "}}", TL_SIGNAL_UNKNOWN, TL_SIGNAL_UNKNOWN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(scan_n(cases[i].text, strlen(cases[i].text), TL_SIGNAL_AT_RELAY, &s),
                         TL_OK);
        assert_int_equal(s.type, cases[i].at_relay);
        tl_signal_clear(&s);
        assert_int_equal(scan_n(cases[i].text, strlen(cases[i].text), TL_SIGNAL_AT_NODE, &s),
                         TL_OK);
        assert_int_equal(s.type, cases[i].at_node);
        tl_signal_clear(&s);
    }
}

#define CAPABILITIES                                                                               \
    "{ "                                                                                           \
    "\"hardware\":{\"totalRAMGB\":32.0,\"tier\":1},\"loadedModels\":[\"m\"],\"isAvailable\":true," \
    "\"new\":1}"
#define REGISTER(rest) "{\"register\":{\"nodeID\":\"" A "\",\"publicKey\":\"" A "\"," rest "}}"

static tl_err read_register(const char *text, tl_signal *s, tl_signal_register *ret)
{
    assert_int_equal(scan(text, s), TL_OK);
    return tl_signal_read_register(s, ret);
}

static void a_registration_is_read_with_its_capabilities_as_they_stand(void **state)
{
    (void)state;
    tl_signal s;
    tl_signal_register r;
    assert_int_equal(
        read_register(
            "{\"register\":{\"_0\":{\"nodeID\":\"" A "\",\"publicKey\":\"" A
            "\",\"wgPublicKey\":null,\"displayName\":\"n\xC3\xA9\",\"capabilities\":" CAPABILITIES
            ",\"signature\":\"ab\",\"challengeSignature\":\"cd\",\"features\":[\"x\",\"quiet\","
            "\"goodbye\",\"peers-changed\"]}}}",
            &s, &r),
        TL_OK);
    assert_string_equal(r.node_id, A);
    assert_null(r.wg_public);
    assert_string_equal(r.display_name, "n\xC3\xA9");
    assert_true(tl_slice_eq(r.capabilities, TL_SLICE_LIT(CAPABILITIES)));
    assert_string_equal(r.signature, "ab");
    assert_string_equal(r.challenge_signature, "cd");
    assert_true(r.features.quiet);
    assert_true(r.features.goodbye);
    assert_false(r.features.relay_token);
    tl_signal_clear(&s);
}

static void malformed_registrations_are_refused(void **state)
{
    (void)state;
    static const judged cases[] = {
        {TL_OK, REGISTER("\"displayName\":\"\",\"capabilities\":{}")},
        {TL_ERR_INVALID, REGISTER("\"capabilities\":{}")},
        {TL_ERR_INVALID, REGISTER("\"displayName\":1,\"capabilities\":{}")},
        {TL_ERR_INVALID, REGISTER("\"displayName\":\"a\\u0000\",\"capabilities\":{}")},
        {TL_ERR_INVALID, REGISTER("\"displayName\":\"\"")},
        {TL_ERR_INVALID, REGISTER("\"displayName\":\"\",\"capabilities\":[]")},
        {TL_ERR_INVALID, REGISTER("\"displayName\":\"\",\"capabilities\":null")},
        {TL_OK, REGISTER("\"displayName\":\"\",\"capabilities\":{\"hardware\":null}")},
        {TL_OK, REGISTER("\"displayName\":\"\",\"capabilities\":{\"hardware\":{\"tier\":0}}")},
        {TL_OK, REGISTER("\"displayName\":\"\",\"capabilities\":{\"loadedModels\":[1]}")},
        {TL_OK, REGISTER("\"displayName\":\"\",\"capabilities\":{\"isAvailable\":1}")},
        {TL_ERR_INVALID,
         REGISTER("\"displayName\":\"\",\"capabilities\":{},\"wgPublicKey\":\"ab\"")},
        {TL_OK, REGISTER("\"displayName\":\"\",\"capabilities\":{},\"wgPublicKey\":\"" B "\"")},
        {TL_ERR_INVALID, REGISTER("\"displayName\":\"\",\"capabilities\":{},\"signature\":1")},
        {TL_ERR_INVALID,
         REGISTER("\"displayName\":\"\",\"capabilities\":{},\"challengeSignature\":[]")},
        {TL_ERR_INVALID,
         REGISTER("\"displayName\":\"\",\"capabilities\":{},\"features\":\"quiet\"")},
        {TL_ERR_INVALID, REGISTER("\"displayName\":\"\",\"capabilities\":{},\"features\":[1]")},
        {TL_ERR_INVALID, "{\"register\":{\"nodeID\":\"" A "\",\"publicKey\":\"" B
                         "\",\"displayName\":\"\",\"capabilities\":{}}}"},
        {TL_ERR_INVALID, "{\"register\":{\"nodeID\":\"zz\",\"publicKey\":\"zz\",\"displayName\":"
                         "\"\",\"capabilities\":{}}}"},
        {TL_ERR_INVALID, "{\"register\":{}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_signal s;
        tl_signal_register r;
        if (read_register(cases[i].text, &s, &r) != cases[i].e)
            fail_msg("%s", cases[i].text);
        tl_signal_clear(&s);
    }
}

#define DISCOVER(rest) "{\"discover\":{\"requestingNodeID\":\"" A "\"" rest "}}"

static void discover_is_read_with_its_ranges(void **state)
{
    (void)state;
    static const judged cases[] = {
        {TL_OK, DISCOVER("")},
        {TL_OK, DISCOVER(",\"filter\":null")},
        {TL_OK,
         DISCOVER(
             ",\"filter\":{\"modelID\":null,\"minRAMGB\":null,\"minTier\":null,\"ptnID\":null}")},
        {TL_OK, DISCOVER(",\"limit\":1")},
        {TL_OK, DISCOVER(",\"limit\":500")},
        {TL_ERR_INVALID, DISCOVER(",\"limit\":0")},
        {TL_ERR_INVALID, DISCOVER(",\"limit\":501")},
        {TL_ERR_INVALID, DISCOVER(",\"limit\":-1")},
        {TL_ERR_INVALID, DISCOVER(",\"limit\":1.5")},
        {TL_ERR_INVALID, DISCOVER(",\"limit\":\"5\"")},
        {TL_ERR_INVALID, DISCOVER(",\"filter\":[]")},
        {TL_ERR_INVALID, DISCOVER(",\"filter\":{\"minTier\":\"1\"}")},
        {TL_ERR_INVALID, DISCOVER(",\"filter\":{\"minRAMGB\":\"1\"}")},
        {TL_ERR_INVALID, DISCOVER(",\"cursor\":1")},
        {TL_ERR_INVALID, "{\"discover\":{}}"},
    };
    tl_signal s;
    tl_signal_discover d;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(scan(cases[i].text, &s), TL_OK);
        if (tl_signal_read_discover(&s, &d) != cases[i].e)
            fail_msg("%s", cases[i].text);
        tl_signal_clear(&s);
    }
    assert_int_equal(scan(DISCOVER(""), &s), TL_OK);
    assert_int_equal(tl_signal_read_discover(&s, &d), TL_OK);
    assert_int_equal(d.limit, 100);
    tl_signal_clear(&s);
}

/* --- round trips --- */

static tl_buf out;
static void rescan(tl_signal_side side, tl_signal *s)
{
    assert_int_equal(scan_n(tl_buf_begin(&out), out.len, side, s), TL_OK);
    tl_buf_clear(&out);
}

static void what_the_relay_writes_a_node_reads(void **state)
{
    (void)state;
    tl_signal s;
    tl_signal_challenge c;
    tl_signal_features can = {.relay_token = true, .goodbye = true};
    assert_int_equal(tl_signal_write_challenge(&out, A, can), TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(tl_signal_read_challenge(&s, &c), TL_OK);
    assert_string_equal(c.nonce, A);
    assert_true(c.features.relay_token && c.features.goodbye && !c.features.quiet);
    tl_signal_clear(&s);
    tl_signal_ack ack;
    assert_int_equal(tl_signal_write_ack(&out, A, 800000000.25, 300, "h:1", "1.2.3.4:5", 7), TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(tl_signal_read_ack(&s, &ack), TL_OK);
    assert_string_equal(ack.node_id, A);
    assert_true(ack.registered_at == 800000000.25);
    assert_int_equal(ack.ttl_seconds, 300);
    assert_string_equal(ack.udp, "h:1");
    assert_string_equal(ack.observed, "1.2.3.4:5");
    assert_int_equal(ack.models_kept, 7);
    tl_signal_clear(&s);
    assert_int_equal(tl_signal_write_ack(&out, A, 0, 300, "", "", -1), TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(tl_signal_read_ack(&s, &ack), TL_OK);
    assert_int_equal(ack.models_kept, -1);
    tl_signal_clear(&s);
    tl_signal_peer p;
    assert_int_equal(tl_signal_write_presence(&out, TL_SIGNAL_PEER_LEFT, A, "x\"\n"), TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(s.type, TL_SIGNAL_PEER_LEFT);
    assert_int_equal(tl_signal_read_presence(&s, &p), TL_OK);
    assert_string_equal(p.node_id, A);
    assert_string_equal(p.display_name, "x\"\n");
    tl_signal_clear(&s);
    tl_signal_error e;
    assert_int_equal(tl_signal_write_error(&out, TL_SIGNAL_BUSY, "why", TL_SLICE_LIT("relayData"),
                                           TL_SLICE_LIT("s-1")),
                     TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(tl_signal_read_error(&s, &e), TL_OK);
    assert_int_equal(e.code, TL_SIGNAL_BUSY);
    assert_string_equal(e.message, "why");
    assert_string_equal(e.about, "relayData");
    assert_string_equal(e.session, "s-1");
    tl_signal_clear(&s);
}

static void a_page_of_peers_survives_the_way(void **state)
{
    (void)state;
    tl_signal s;
    tl_signal_peer p;
    tl_signal_listed listed = {.node_id = A,
                               .wg_public = NULL,
                               .display_name = "one",
                               .capabilities = {TL_SLICE_LIT(CAPABILITIES)},
                               .last_seen = 5};
    assert_int_equal(tl_signal_write_peers_begin(&out), TL_OK);
    assert_int_equal(tl_signal_write_peer(&out, true, &listed), TL_OK);
    listed.node_id = B;
    listed.wg_public = A;
    assert_int_equal(tl_signal_write_peer(&out, false, &listed), TL_OK);
    assert_int_equal(tl_signal_write_peers_end(&out, "0a"), TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(tl_signal_peer_count(&s), 2);
    assert_string_equal(tl_signal_next_cursor(&s), "0a");
    assert_int_equal(tl_signal_read_peer(&s, 0, &p), TL_OK);
    assert_string_equal(p.public_key, A);
    assert_null(p.wg_public);
    assert_int_equal(json_integer_value(json_object_get(p.capabilities, "new")), 1);
    assert_int_equal(tl_signal_read_peer(&s, 1, &p), TL_OK);
    assert_string_equal(p.wg_public, A);
    assert_int_equal(tl_signal_read_peer(&s, 2, &p), TL_ERR_INVALID);
    tl_signal_clear(&s);
}

static void what_a_node_writes_the_relay_reads(void **state)
{
    (void)state;
    tl_signal s;
    tl_signal_register r;
    tl_signal_registration reg = {.node_id = A,
                                  .wg_public = B,
                                  .display_name = "me",
                                  .capabilities = TL_SLICE_LIT(CAPABILITIES),
                                  .signature = "s",
                                  .challenge_signature = "c",
                                  .features = {.quiet = true, .relay_token = true}};
    assert_int_equal(tl_signal_write_register(&out, &reg), TL_OK);
    rescan(TL_SIGNAL_AT_RELAY, &s);
    assert_int_equal(tl_signal_read_register(&s, &r), TL_OK);
    assert_string_equal(r.challenge_signature, "c");
    assert_true(r.features.quiet && r.features.relay_token && !r.features.goodbye);
    tl_signal_clear(&s);
    tl_signal_discover d;
    assert_int_equal(tl_signal_write_discover(&out, A, "m", 16.5, 2, B, 50, "cur"), TL_OK);
    rescan(TL_SIGNAL_AT_RELAY, &s);
    assert_int_equal(tl_signal_read_discover(&s, &d), TL_OK);
    assert_string_equal(d.model_id, "m");
    assert_true(d.min_ram_gb == 16.5);
    assert_int_equal(d.min_tier, 2);
    assert_string_equal(d.ptn_id, B);
    assert_int_equal(d.limit, 50);
    assert_string_equal(d.cursor, "cur");
    tl_signal_clear(&s);
    assert_int_equal(tl_signal_write_discover(&out, A, NULL, 0, 0, NULL, 0, NULL), TL_OK);
    rescan(TL_SIGNAL_AT_RELAY, &s);
    assert_int_equal(tl_signal_read_discover(&s, &d), TL_OK);
    assert_null(d.model_id);
    tl_signal_clear(&s);
    assert_int_equal(tl_signal_write_data(&out, A, B, "s-1", TL_SLICE_LIT("ABCD")), TL_OK);
    rescan(TL_SIGNAL_AT_RELAY, &s);
    assert_true(tl_slice_eq(s.data, TL_SLICE_LIT("QUJDRA==")));
    assert_int_equal(tl_signal_write_session(&out, TL_SIGNAL_RELAY_READY, A, B, "s-1"), TL_OK);
    rescan(TL_SIGNAL_AT_RELAY, &s);
    assert_int_equal(s.type, TL_SIGNAL_RELAY_READY);
    json_t *offer = json_pack("{s:s,s:s,s:s,s:{}}", "fromNodeID", A, "toNodeID", B, "sessionID",
                              "s-1", "connectionInfo");
    assert_int_equal(tl_signal_write_object(&out, TL_SIGNAL_OFFER, offer), TL_OK);
    json_decref(offer);
    rescan(TL_SIGNAL_AT_RELAY, &s);
    assert_int_equal(s.type, TL_SIGNAL_OFFER);
    assert_true(tl_slice_eq(s.to, TL_SLICE_LIT(B)));
}

static void every_code_has_a_name_that_is_read_back(void **state)
{
    (void)state;
    for (int c = 0; c < TL_SIGNAL_CODES; c++)
        assert_int_equal(tl_signal_code_parse(tl_slice_str(tl_signal_code_name((tl_signal_code)c))),
                         c);
    assert_int_equal(tl_signal_code_parse(TL_SLICE_LIT("no_such_code")), TL_SIGNAL_CODES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routed_messages_give_the_fields_they_are_routed_by),
        cmocka_unit_test(escaped_names_and_values_mean_what_they_spell),
        cmocka_unit_test(each_fault_has_its_own_verdict),
        cmocka_unit_test(many_unknown_fields_pass_and_their_duplicates_do_not),
        cmocka_unit_test(a_message_cut_anywhere_is_no_json),
        cmocka_unit_test(only_data_may_be_large),
        cmocka_unit_test(a_page_has_a_bound_of_bytes_and_of_values),
        cmocka_unit_test(large_data_with_odd_neighbours_is_judged_by_the_neighbours),
        cmocka_unit_test(each_side_knows_the_messages_it_receives),
        cmocka_unit_test(a_registration_is_read_with_its_capabilities_as_they_stand),
        cmocka_unit_test(malformed_registrations_are_refused),
        cmocka_unit_test(discover_is_read_with_its_ranges),
        cmocka_unit_test(what_the_relay_writes_a_node_reads),
        cmocka_unit_test(a_page_of_peers_survives_the_way),
        cmocka_unit_test(what_a_node_writes_the_relay_reads),
        cmocka_unit_test(every_code_has_a_name_that_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
