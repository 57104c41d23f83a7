#include "wire/http1.h"
#include "wire/wsupgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static tl_err parse(const char *text, size_t n, tl_http1_head *h, int *ret_status)
{
    size_t scanned = 0;
    *ret_status = 0;
    return tl_http1_request_parse(tl_slice_of(text, n), &scanned, h, ret_status);
}

static void a_request_is_read_with_all_its_parts(void **state)
{
    (void)state;
    static const char text[] = "POST /v1/chat?x=%20y HTTP/1.1\r\nHost: localhost:11435\r\n"
                               "Content-Type:\t application/json \r\nExpect: 100-continue\r\n"
                               "content-length: 12\r\nX-A: 1\r\nx-a: 2\r\nEmpty:\r\n\r\nbody";
    tl_http1_head h;
    int status;
    assert_int_equal(parse(text, sizeof text - 1, &h, &status), TL_OK);
    assert_int_equal(h.head_n, sizeof text - 1 - 4);
    assert_true(tl_slice_eq(h.method, TL_SLICE_LIT("POST")));
    assert_true(tl_slice_eq(h.target, TL_SLICE_LIT("/v1/chat?x=%20y")));
    assert_true(tl_slice_eq(h.host, TL_SLICE_LIT("localhost:11435")));
    assert_int_equal(h.minor, 1);
    assert_true(h.has_content_length && !h.chunked && h.content_length == 12);
    assert_true(h.expect_continue && h.keep_alive);
    assert_int_equal(h.header_count, 7);
    size_t count;
    assert_true(tl_slice_eq(tl_http1_header_find(&h, "content-type", NULL),
                            TL_SLICE_LIT("application/json")));
    assert_true(tl_slice_eq(tl_http1_header_find(&h, "X-a", &count), TL_SLICE_LIT("1")));
    assert_int_equal(count, 2);
    assert_int_equal(tl_http1_header_find(&h, "Empty", &count).n, 0);
    assert_int_equal(count, 1);
    tl_http1_header_find(&h, "absent", &count);
    assert_int_equal(count, 0);
}

static void an_absolute_target_names_the_host_and_host_counts_for_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *target;
    } rows[] = {
        {"GET http://a:1/b?c HTTP/1.1\r\nHost: evil\r\n\r\n", "a:1", "/b?c"},
        {"GET HTTPS://[::1]/ HTTP/1.1\r\nHost: a\r\n\r\n", "[::1]", "/"},
        {"GET http://a HTTP/1.1\r\nHost: a:80\r\n\r\n", "a", "/"},
        {"GET /http://a HTTP/1.1\r\nHost: b\r\n\r\n", "b", "/http://a"},
        {"GET http://a/b HTTP/1.0\r\n\r\n", "a", "/b"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tl_http1_head h;
        int status;
        assert_int_equal(parse(rows[i].text, strlen(rows[i].text), &h, &status), TL_OK);
        assert_true(tl_slice_eq(h.host, tl_slice_str(rows[i].host)));
        assert_true(tl_slice_eq(h.target, tl_slice_str(rows[i].target)));
    }
}

static const char whole[] =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\r\n";

static void a_head_cut_anywhere_waits_for_more(void **state)
{
    (void)state;
    tl_http1_head h;
    int status;
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        char *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, whole, n);
        assert_int_equal(parse(copy, n, &h, &status), TL_ERR_SHORT);
        free(copy);
    }
    assert_int_equal(parse(whole, sizeof whole - 1, &h, &status), TL_OK);
}

static void a_head_that_drips_in_is_looked_at_once(void **state)
{
    (void)state;
    size_t scanned = 0;
    tl_http1_head h;
    int status;
    for (size_t n = 1; n < sizeof whole - 1; n++) {
        assert_int_equal(tl_http1_request_parse(tl_slice_of(whole, n), &scanned, &h, &status),
                         TL_ERR_SHORT);
        assert_int_equal(scanned, n);
    }
    assert_int_equal(
        tl_http1_request_parse(tl_slice_of(whole, sizeof whole - 1), &scanned, &h, &status), TL_OK);
    assert_true(tl_http1_header_lists(&h, "connection", "upgrade"));
    assert_false(tl_http1_header_lists(&h, "connection", "keep"));
}

typedef struct {
    int status; /* 0: taken */
    const char *text;
} request;
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"

/* Every refused line has a neighbour that differs in one thing and passes. */
static const request requests[] = {
    {0, GET "\r\n"},
    {400, "GET / HTTP/1.1\nHost: a\n\n"},
    {400, "GET / HTTP/1.1\r\nHost: a\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"},
    {400, "\r\n" GET "\r\n"},
    {400, GET "A: b\r\n c\r\n\r\n"}, /* folded */
    {0, GET "A: b\r\nc: d\r\n\r\n"},
    {400, GET " A: b\r\n\r\n"},
    {400, GET "A : b\r\n\r\n"},
    {400, GET "A\t: b\r\n\r\n"},
    {400, GET ": b\r\n\r\n"},
    {400, GET "A b\r\n\r\n"},
    {400, GET "A(b): c\r\n\r\n"},
    {400, GET "A: b\x01\r\n\r\n"},
    {400, GET "A: b\x7f\r\n\r\n"},
    {0, GET "A: b\xc3\xa9\tc\r\n\r\n"},
    /* Host */
    {400, "GET / HTTP/1.1\r\n\r\n"},
    {0, "GET / HTTP/1.0\r\n\r\n"},
    {400, GET "Host: a\r\n\r\n"},
    {400, GET "host: b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
    {0, "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"},
    /* what a proxy and a server might frame differently */
    {0, GET "Content-Length: 5\r\n\r\n"},
    {400, GET "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"},
    {400, GET "Content-Length: 5, 5\r\n\r\n"},
    {400, GET "Content-Length: +5\r\n\r\n"},
    {400, GET "Content-Length: -5\r\n\r\n"},
    {400, GET "Content-Length: 0x5\r\n\r\n"},
    {400, GET "Content-Length: 5 5\r\n\r\n"},
    {400, GET "Content-Length:\r\n\r\n"},
    {400, GET "Content-Length: 18446744073709551617\r\n\r\n"},
    {0, GET "Content-Length: 000000000000000005\r\n\r\n"},
    {400, GET "Content-Length: 0000000000000000005\r\n\r\n"},
    {0, GET "Transfer-Encoding: chunked\r\n\r\n"},
    {0, GET "transfer-encoding: Chunked\r\n\r\n"},
    {400, GET "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"},
    {400, GET "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {501, GET "Transfer-Encoding: gzip, chunked\r\n\r\n"},
    {501, GET "Transfer-Encoding: identity\r\n\r\n"},
    {501, GET "Transfer-Encoding: xchunked\r\n\r\n"},
    {501, GET "Transfer-Encoding:\r\n\r\n"},
    {400, GET "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n"},
    {400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {417, GET "Expect: something\r\n\r\n"},
    {0, GET "Expect: 100-Continue\r\n\r\n"},
    {417, GET "Expect: 100-Continue\r\nExpect: 100-Continue\r\n\r\n"},
    /* request line */
    {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
    {505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
    {505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"},
    {505, "GET / HTTP/9.9\r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/:.1\r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/1.:\r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/1./\r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/1:1\r\nHost: a\r\n\r\n"},
    {0, "G / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/1\r\nHost: a\r\n\r\n"},
    {400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /\r\nHost: a\r\n\r\n"},
    {400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
    {0, "OPTIONS /* HTTP/1.1\r\nHost: a\r\n\r\n"},
    /* absolute form */
    {0, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET http:/a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET http:// HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET http://a/ HTTP/1.1\r\n\r\n"},
    {400, "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
    {400, "GET http://a/# HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n"},
    {0, "GET /a%2F HTTP/1.1\r\nHost: a\r\n\r\n"},
    {0, "GET /%00%09%aa%ffb%AA%FF HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /%0g HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /%g0 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /%0` HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /%0@ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /%0: HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /%0/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /a\"b HTTP/1.1\r\nHost: a\r\n\r\n"},
};

static void heads_that_two_parsers_could_read_differently_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        tl_http1_head h;
        int status;
        tl_err e = parse(requests[i].text, strlen(requests[i].text), &h, &status);
        int wanted = requests[i].status;
        if ((e == TL_OK) != (wanted == 0) || status != wanted)
            fail_msg("%s: error %d, status %d", requests[i].text, e, status);
    }
}

/* One byte in each place where only some may stand, beside the lists of the RFCs. */
static void each_byte_may_stand_where_its_grammar_says(void **state)
{
    (void)state;
    static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const struct {
        const char *format, *also;
        int byte_at;
    } places[] = {
        {"xGET / HTTP/1.1\r\nHost: a\r\n\r\n", "!#$%&'*+-.^_`|~", 0}, /* RFC 9110 5.6.2 */
        {"GxET / HTTP/1.1\r\nHost: a\r\n\r\n", "!#$%&'*+-.^_`|~", 1},
        {"GET / HTTP/1.1\r\nHost: a\r\nxA: b\r\n\r\n", "!#$%&'*+-.^_`|~", 25},
        {"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "-._~!$&'()*+,;=:@/?", 5},
        {"GET / HTTP/1.1\r\nHost: xa\r\n\r\n", "-._~!$&'()*+;=:[]%\t ", 22}, /* trimmed */
        {"GET / HTTP/1.1\r\nHost: bxa\r\n\r\n", "-._~!$&'()*+;=:[]%", 23},
    };
    for (size_t k = 0; k < sizeof places / sizeof *places; k++)
        for (int c = 1; c < 256; c++) {
            char text[64];
            tl_http1_head h;
            int status;
            snprintf(text, sizeof text, "%s", places[k].format);
            text[places[k].byte_at] = (char)c;
            bool may = strchr(alnum, c) || strchr(places[k].also, c);
            tl_err e = parse(text, strlen(text), &h, &status);
            if ((e == TL_OK) != may && !(c == ':' && k == 2)) /* ":A: b" has no name */
                fail_msg("place %zu, byte %02x: error %d", k, c, e);
        }
}

static void what_is_refused_early_leaves_the_head_untouched(void **state)
{
    (void)state;
    tl_http1_head h = {.head_n = 77};
    int status;
    assert_int_equal(parse("GET /\x01", 6, &h, &status), TL_ERR_PROTO);
    assert_int_equal(h.head_n, 77);
    assert_int_equal(parse("\r\n", 2, &h, &status), TL_ERR_PROTO); /* not "more, please" */
    assert_int_equal(h.head_n, 77);
    assert_int_equal(parse("G\r\n", 3, &h, &status), TL_ERR_SHORT);
    assert_int_equal(h.head_n, 77);
}

static void names_are_equal_but_for_the_case_of_letters(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {{"az", "AZ", true},    {"AZ", "az", true},    {"xbc", "abc", false},
                {"axc", "abc", false}, {"abx", "abc", false}, {"ab", "abc", false},
                {"@", "`", false},     {"[", "{", false},     {"`", "@", false},
                {"", "", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(tl_http1_equals_ignoring_case(tl_slice_str(rows[i].a), rows[i].b),
                         rows[i].equal);
}

static void values_are_trimmed_at_their_ends_alone(void **state)
{
    (void)state;
    static const char text[] = GET "A:\t b\tc\t \r\nB: \t\r\nC: d\t\r\n\r\n";
    tl_http1_head h;
    int status;
    size_t count;
    assert_int_equal(parse(text, sizeof text - 1, &h, &status), TL_OK);
    assert_true(tl_slice_eq(tl_http1_header_find(&h, "a", NULL), TL_SLICE_LIT("b\tc")));
    assert_true(tl_slice_eq(tl_http1_header_find(&h, "c", NULL), TL_SLICE_LIT("d")));
    assert_int_equal(tl_http1_header_find(&h, "b", NULL).n, 0);
    assert_int_equal(tl_http1_header_find(&h, "absent", &count).n, 0);
    assert_int_equal(count, 0);
}

static void a_header_beyond_the_count_is_none(void **state)
{
    (void)state;
    tl_http1_head h = {.header_count = 0};
    size_t count;
    h.headers[0] = (tl_http1_header){TL_SLICE_LIT("a"), TL_SLICE_LIT("b")};
    assert_int_equal(tl_http1_header_find(&h, "a", &count).n, 0);
    assert_int_equal(count, 0);
    assert_false(tl_http1_header_lists(&h, "a", "b"));
    h.header_count = 1;
    assert_true(tl_http1_header_lists(&h, "a", "b"));
}

static void the_framing_of_a_body_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        uint64_t length;
        bool has_length, chunked;
    } rows[] = {
        {"", 0, false, false},
        {"Content-Length: 0\r\n", 0, true, false},
        {"Content-Length: 1234567890\r\n", 1234567890, true, false},
        {"Content-Length: 999999999999999999\r\n", 999999999999999999, true, false},
        {"Transfer-Encoding: chunked\r\n", 0, false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[128];
        tl_http1_head h;
        int status;
        int n = snprintf(text, sizeof text, GET "%s\r\n", rows[i].header);
        assert_int_equal(parse(text, (size_t)n, &h, &status), TL_OK);
        assert_int_equal(h.content_length, rows[i].length);
        assert_int_equal(h.has_content_length, rows[i].has_length);
        assert_int_equal(h.chunked, rows[i].chunked);
    }
}

static void a_zero_byte_is_refused_at_once(void **state)
{
    (void)state;
    tl_http1_head h;
    int status;
    assert_int_equal(parse("GET /\0 HTTP", 11, &h, &status), TL_ERR_PROTO);
    assert_int_equal(parse("GET /a HTTP", 11, &h, &status), TL_ERR_SHORT);
}

static void size_and_number_of_headers_are_bounded(void **state)
{
    (void)state;
    tl_buf b = {0};
    tl_http1_head h;
    int status;
    for (int extra = 63; extra <= 64; extra++) { /* and Host */
        tl_buf_clear(&b);
        assert_int_equal(tl_buf_append_str(&b, GET), TL_OK);
        for (int i = 0; i < extra; i++)
            assert_int_equal(tl_buf_printf(&b, "H%d: v\r\n", i), TL_OK);
        assert_int_equal(tl_buf_append_str(&b, "\r\n"), TL_OK);
        tl_err e = parse((char *)tl_buf_begin(&b), b.len, &h, &status);
        assert_int_equal(e, extra == 63 ? TL_OK : TL_ERR_TOO_LARGE);
        assert_int_equal(status, extra == 63 ? 0 : 431);
    }
    for (int over = 0; over < 2; over++) {
        tl_buf_clear(&b);
        size_t fill = TL_HTTP1_HEAD_MAX - sizeof(GET "A: \r\n\r\n") + 1 + (size_t)over;
        assert_int_equal(tl_buf_append_str(&b, GET "A: "), TL_OK);
        for (size_t i = 0; i < fill; i++)
            assert_int_equal(tl_buf_append_str(&b, "x"), TL_OK);
        assert_int_equal(tl_buf_append_str(&b, "\r\n\r\n"), TL_OK);
        tl_err e = parse((char *)tl_buf_begin(&b), b.len, &h, &status);
        assert_int_equal(e, over ? TL_ERR_TOO_LARGE : TL_OK);
        assert_int_equal(status, over ? 431 : 0);
    }
    tl_buf_clear(&b);
}

static void a_connection_is_kept_as_its_version_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keep;
    } cases[] = {{GET "\r\n", true},
                 {GET "Connection: x, Close\r\n\r\n", false},
                 {"GET / HTTP/1.0\r\n\r\n", false},
                 {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_http1_head h;
        int status;
        assert_int_equal(parse(cases[i].text, strlen(cases[i].text), &h, &status), TL_OK);
        assert_int_equal(h.keep_alive, cases[i].keep);
    }
}

static void responses_are_read_too(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {{"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n", 101},
                 {"HTTP/1.1 404\r\n\r\n", 404},
                 {"HTTP/1.0 503 \r\n\r\n", 503},
                 {"HTTP/1.1 100 Continue\r\n\r\n", 100},
                 {"HTTP/1.1 599\r\n\r\n", 599},
                 {"HTTP/1.1 099 x\r\n\r\n", 0},
                 {"HTTP/1.1 20\r\n\r\n", 0},
                 {"HTTP/1.1 2000\r\n\r\n", 0},
                 {"HTTP/1.1 2x0\r\n\r\n", 0},
                 {"HTTP/1.1 2/0\r\n\r\n", 0},
                 {"HTTP/1.1 2:0\r\n\r\n", 0},
                 {"HTTP/1.1x200 x\r\n\r\n", 0},
                 {"HTTP/1.1 99 x\r\n\r\n", 0},
                 {"HTTP/1.1 1010 x\r\n\r\n", 0},
                 {"HTTP/1.1  200 x\r\n\r\n", 0},
                 {"HTTP/1.1 600 x\r\n\r\n", 0},
                 {"HTTP/3.1 200 x\r\n\r\n", 0},
                 {"HTTP/1.1 200 x\n\n", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_http1_head h;
        size_t scanned = 0;
        tl_err e = tl_http1_response_parse(tl_slice_str(cases[i].text), &scanned, &h);
        assert_int_equal(e, cases[i].status ? TL_OK : TL_ERR_PROTO);
        if (!e)
            assert_int_equal(h.status, cases[i].status);
    }
}

static void a_websocket_handshake_agrees_with_itself(void **state)
{
    (void)state;
    tl_buf ask = {0}, answer = {0};
    tl_rand rand = tl_rand_seeded(3);
    char key[TL_WS_KEY_SIZE], accept[TL_WS_ACCEPT_SIZE];
    tl_http1_head h;
    int status;
    size_t scanned = 0;
    assert_int_equal(tl_ws_upgrade_ask(&ask, &rand, "relay:8080", "/ws", key), TL_OK);
    assert_int_equal(parse((char *)ask.data, ask.len, &h, &status), TL_OK);
    assert_int_equal(tl_ws_upgrade_check(&h, accept), 0);
    assert_int_equal(tl_ws_upgrade_answer(&answer, accept), TL_OK);
    assert_int_equal(tl_http1_response_parse(tl_buf_slice(&answer), &scanned, &h), TL_OK);
    assert_int_equal(tl_ws_upgrade_confirm(&h, key), TL_OK);
    assert_int_equal(tl_ws_upgrade_confirm(&h, "dGhlIHNhbXBsZSBub25jZQ=="), TL_ERR_PROTO);
    tl_buf_clear(&ask);
    tl_buf_clear(&answer);
}

#define WS                                                                                         \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void an_upgrade_must_be_complete(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {GET WS "Sec-WebSocket-Version: 13\r\n\r\n", 0},
        {GET WS "Sec-WebSocket-Version: 8\r\n\r\n", 426},
        {GET WS "\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\n" WS "Sec-WebSocket-Version: 13\r\n\r\n", 405},
        {"GET / HTTP/1.0\r\nHost: a\r\n" WS "Sec-WebSocket-Version: 13\r\n\r\n", 400},
        {GET WS "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
         400},
        {GET WS "Content-Length: 3\r\nSec-WebSocket-Version: 13\r\n\r\n", 400},
        {GET "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: short\r\n"
             "Sec-WebSocket-Version: 13\r\n\r\n",
         400},
        {GET "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
             "Sec-WebSocket-Version: 13\r\n\r\n",
         400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_http1_head h;
        int status;
        char accept[TL_WS_ACCEPT_SIZE];
        assert_int_equal(parse(cases[i].text, strlen(cases[i].text), &h, &status), TL_OK);
        assert_int_equal(tl_ws_upgrade_check(&h, accept), cases[i].status);
    }
}

static void each_status_has_its_phrase_and_others_have_one_by_class(void **state)
{
    (void)state;
    assert_string_equal(tl_http1_phrase(200), "OK");
    assert_string_equal(tl_http1_phrase(426), "Upgrade Required");
    assert_string_equal(tl_http1_phrase(503), "Service Unavailable");
    assert_string_equal(tl_http1_phrase(299), "OK");
    assert_string_equal(tl_http1_phrase(499), "Error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read_with_all_its_parts),
        cmocka_unit_test(an_absolute_target_names_the_host_and_host_counts_for_nothing),
        cmocka_unit_test(a_head_cut_anywhere_waits_for_more),
        cmocka_unit_test(a_head_that_drips_in_is_looked_at_once),
        cmocka_unit_test(heads_that_two_parsers_could_read_differently_are_refused),
        cmocka_unit_test(each_byte_may_stand_where_its_grammar_says),
        cmocka_unit_test(what_is_refused_early_leaves_the_head_untouched),
        cmocka_unit_test(names_are_equal_but_for_the_case_of_letters),
        cmocka_unit_test(values_are_trimmed_at_their_ends_alone),
        cmocka_unit_test(a_header_beyond_the_count_is_none),
        cmocka_unit_test(the_framing_of_a_body_is_told),
        cmocka_unit_test(a_zero_byte_is_refused_at_once),
        cmocka_unit_test(size_and_number_of_headers_are_bounded),
        cmocka_unit_test(a_connection_is_kept_as_its_version_says),
        cmocka_unit_test(responses_are_read_too),
        cmocka_unit_test(a_websocket_handshake_agrees_with_itself),
        cmocka_unit_test(an_upgrade_must_be_complete),
        cmocka_unit_test(each_status_has_its_phrase_and_others_have_one_by_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
