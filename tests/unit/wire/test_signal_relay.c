/* What a relay tells of its sessions: relayOffer, relayWarning, goodbye, and why it closes one. */
#include "wire/signalread.h"
#include "wire/signalwrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static tl_buf out;
static char text[1024];

/* Scans what was written, from a copy that lives on. */
static void rescan(tl_signal_side side, tl_signal *s)
{
    assert_true(out.len < sizeof text);
    memcpy(text, tl_buf_begin(&out), out.len);
    assert_int_equal(tl_signal_scan(tl_slice_of(text, out.len), side, s), TL_OK);
    tl_buf_clear(&out);
}

typedef struct {
    tl_err e;
    const char *text;
} judged;

static void offers_warnings_and_goodbyes_of_a_relay_survive_the_way(void **state)
{
    (void)state;
    tl_signal s;
    tl_signal_relay_offer o;
    tl_signal_offered offered = {.session = "s-1",
                                 .token = {0x80, 1, 2},
                                 .udp = "192.0.2.1:3478",
                                 .expires_at = INT64_MAX,
                                 .limit_bytes_per_second = 65536};
    assert_int_equal(tl_signal_write_relay_offer(&out, &offered), TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(s.type, TL_SIGNAL_RELAY_OFFER);
    assert_int_equal(tl_signal_read_relay_offer(&s, &o), TL_OK);
    assert_string_equal(o.session, "s-1");
    assert_memory_equal(o.token, offered.token, sizeof o.token);
    assert_string_equal(o.udp, "192.0.2.1:3478");
    assert_true(o.expires_at == INT64_MAX);
    assert_int_equal(o.limit_bytes_per_second, 65536);
    tl_signal_clear(&s);
    offered = (tl_signal_offered){.session = "s-1", .udp = ""};
    assert_int_equal(tl_signal_write_relay_offer(&out, &offered), TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(tl_signal_read_relay_offer(&s, &o), TL_OK);
    assert_null(o.udp);
    assert_int_equal(o.expires_at, 0);
    assert_int_equal(o.limit_bytes_per_second, 0);
    tl_signal_clear(&s);

    tl_signal_relay_warning w;
    assert_int_equal(tl_signal_write_relay_warning(&out, "s-2", "session_max", 1790000000), TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(tl_signal_read_relay_warning(&s, &w), TL_OK);
    assert_string_equal(w.session, "s-2");
    assert_string_equal(w.reason, "session_max");
    assert_int_equal(w.ends_at, 1790000000);
    tl_signal_clear(&s);
    tl_signal_goodbye g;
    assert_int_equal(tl_signal_write_goodbye(&out, "restart", 30), TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(tl_signal_read_goodbye(&s, &g), TL_OK);
    assert_string_equal(g.reason, "restart");
    assert_int_equal(g.in_seconds, 30);
    tl_signal_clear(&s);
    assert_int_equal(tl_signal_write_close(&out, A, B, "s-1", "idle"), TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(s.type, TL_SIGNAL_RELAY_CLOSE);
    assert_true(tl_slice_eq(s.reason, TL_SLICE_LIT("idle")));
    assert_true(tl_slice_eq(s.from, TL_SLICE_LIT(A)));
    assert_int_equal(tl_signal_write_session(&out, TL_SIGNAL_RELAY_CLOSE, A, B, "s-1"), TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(s.reason.n, 0);
}

#define OFFER(members) "{\"relayOffer\":{" members "}}"
#define TOKEN          "\"token\":\"80000000000000000000000000000001\""

static void malformed_offers_warnings_and_goodbyes_are_refused(void **state)
{
    (void)state;
    static const judged cases[] = {
        {TL_OK, OFFER("\"sessionID\":\"s\"," TOKEN)},
        {TL_OK, OFFER("\"sessionID\":\"s\"," TOKEN ",\"new\":[1]")},
        {TL_ERR_INVALID, OFFER("\"sessionID\":\"s\"")},
        {TL_ERR_INVALID, OFFER(TOKEN)},
        {TL_ERR_INVALID, OFFER("\"sessionID\":\"s s\"," TOKEN)},
        {TL_ERR_INVALID, OFFER("\"sessionID\":\"s\",\"token\":\"80\"")},
        {TL_ERR_INVALID, OFFER("\"sessionID\":\"s\",\"token\":5")},
        {TL_ERR_INVALID, OFFER("\"sessionID\":\"s\",\"udp\":5," TOKEN)},
        {TL_ERR_INVALID, OFFER("\"sessionID\":\"s\",\"expiresAt\":-1," TOKEN)},
        {TL_ERR_INVALID, OFFER("\"sessionID\":\"s\",\"expiresAt\":1.5," TOKEN)},
        {TL_ERR_INVALID, OFFER("\"sessionID\":\"s\",\"limitBytesPerSecond\":\"9\"," TOKEN)},
        {TL_OK, "{\"relayWarning\":{\"sessionID\":\"s\",\"reason\":\"r\",\"endsAt\":1}}"},
        {TL_ERR_INVALID,
         "{\"relayWarning\":{\"sessionID\":\"s\",\"reason\":\"r\",\"endsAt\":\"\"}}"},
        {TL_ERR_INVALID, "{\"relayWarning\":{\"sessionID\":\"\",\"reason\":\"r\",\"endsAt\":1}}"},
        {TL_OK, "{\"goodbye\":{\"reason\":\"r\",\"inSeconds\":86400}}"},
        {TL_ERR_INVALID, "{\"goodbye\":{\"reason\":\"r\",\"inSeconds\":86401}}"},
        {TL_ERR_INVALID, "{\"goodbye\":{\"inSeconds\":1}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_signal s;
        tl_signal_relay_offer o;
        tl_signal_relay_warning w;
        tl_signal_goodbye g;
        assert_int_equal(tl_signal_scan(tl_slice_str(cases[i].text), TL_SIGNAL_AT_NODE, &s), TL_OK);
        tl_err e = s.type == TL_SIGNAL_RELAY_OFFER     ? tl_signal_read_relay_offer(&s, &o)
                   : s.type == TL_SIGNAL_RELAY_WARNING ? tl_signal_read_relay_warning(&s, &w)
                                                       : tl_signal_read_goodbye(&s, &g);
        if (e != cases[i].e)
            fail_msg("%s", cases[i].text);
        tl_signal_clear(&s);
    }
}

static void a_relay_that_can_do_nothing_new_names_no_feature(void **state)
{
    (void)state;
    tl_signal s;
    tl_signal_challenge c;
    assert_int_equal(tl_signal_write_challenge(&out, A, (tl_signal_features){0}), TL_OK);
    rescan(TL_SIGNAL_AT_NODE, &s);
    assert_int_equal(tl_signal_read_challenge(&s, &c), TL_OK);
    assert_false(c.features.relay_token || c.features.goodbye || c.features.quiet);
    tl_signal_clear(&s);
}

/* It is nobody's to insist on: programs of the public network may write what they like there. */
static void a_reason_of_another_kind_is_no_reason(void **state)
{
    (void)state;
    tl_signal s;
    assert_int_equal(
        tl_signal_scan(TL_SLICE_LIT("{\"relayClose\":{\"fromNodeID\":\"a\",\"toNodeID\":"
                                    "\"b\",\"sessionID\":\"s\",\"reason\":5}}"),
                       TL_SIGNAL_AT_NODE, &s),
        TL_OK);
    assert_int_equal(s.reason.n, 0);
    tl_signal_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers_warnings_and_goodbyes_of_a_relay_survive_the_way),
        cmocka_unit_test(malformed_offers_warnings_and_goodbyes_are_refused),
        cmocka_unit_test(a_relay_that_can_do_nothing_new_names_no_feature),
        cmocka_unit_test(a_reason_of_another_kind_is_no_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
