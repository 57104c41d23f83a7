#include "wire/krpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ID     "abcdefghij0123456789"
#define TARGET "mnopqrstuvwxyz123456"

static tl_krpc parsed(tl_slice datagram)
{
    tl_krpc m;
    assert_true(tl_krpc_is(datagram));
    assert_int_equal(tl_krpc_parse(datagram, &m), TL_OK);
    return m;
}

static tl_krpc parsed_text(const char *text)
{
    return parsed(tl_slice_str(text));
}

static tl_err error_of(const char *text)
{
    tl_krpc m;
    return tl_krpc_parse(tl_slice_str(text), &m);
}

static void expect_text(tl_slice got, const char *expected)
{
    assert_true(tl_slice_eq(got, tl_slice_str(expected)));
}

static void the_queries_of_bep_5_are_read(void **state)
{
    (void)state;
    tl_krpc m = parsed_text("d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe");
    assert_int_equal(m.kind, TL_KRPC_QUERY);
    assert_int_equal(m.method, TL_KRPC_PING);
    expect_text(m.tid, "aa");
    assert_true(m.has_id && !m.bad_arguments && !m.read_only);
    assert_memory_equal(m.id, ID, 20);

    m = parsed_text("d1:ad2:id20:" ID "6:target20:" TARGET "e1:q9:find_node1:t2:aa1:y1:qe");
    assert_int_equal(m.method, TL_KRPC_FIND_NODE);
    assert_true(m.has_target && !m.bad_arguments);
    assert_memory_equal(m.target, TARGET, 20);

    m = parsed_text("d1:ad2:id20:" ID "9:info_hash20:" TARGET "e1:q9:get_peers1:t2:aa1:y1:qe");
    assert_int_equal(m.method, TL_KRPC_GET_PEERS);
    assert_memory_equal(m.target, TARGET, 20);

    m = parsed_text("d1:ad2:id20:" ID "12:implied_porti1e9:info_hash20:" TARGET
                    "4:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe");
    assert_int_equal(m.method, TL_KRPC_ANNOUNCE_PEER);
    assert_false(m.bad_arguments);
    expect_text(m.token, "aoeusnth");
}

static void the_responses_and_errors_of_bep_5_are_read(void **state)
{
    (void)state;
    tl_krpc m = parsed_text("d1:rd2:id20:" TARGET "e1:t2:aa1:y1:re");
    assert_int_equal(m.kind, TL_KRPC_RESPONSE);
    assert_memory_equal(m.id, TARGET, 20);
    assert_null(m.nodes.p);

    m = parsed_text("d1:rd2:id20:" ID "5:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re");
    expect_text(m.token, "aoeusnth");

    m = parsed_text("d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee");
    assert_int_equal(m.kind, TL_KRPC_ERROR);
    assert_int_equal(m.code, TL_KRPC_E_GENERIC);
    expect_text(m.words, "A Generic Error Ocurred");
}

static void an_answer_with_nodes_of_both_families_is_read(void **state)
{
    (void)state;
    tl_krpc m = parsed_text("d2:ip6:\xC6\x33\x64\x01\x1A\xE1"
                            "1:rd2:id20:" ID "3:nat4:Cone5:nodes52:" ID
                            "\xC6\x12\x01\x01\x1A\xE1" TARGET "\xC6\x12\x01\x02\x1A\xE2"
                            "6:nodes638:" ID " \x01\x0D\xB8"
                            "4567890ABCDE"
                            "\x1A\xE1"
                            "e1:t2:aa1:v4:LT121:y1:re");
    char text[TL_ADDR_TEXT_MAX];
    const uint8_t *id;
    tl_addr a;
    tl_addr_write(text, &m.ip);
    assert_string_equal(text, "198.51.100.1:6881");
    expect_text(m.client, "LT12");
    assert_true(m.has_nat);
    assert_int_equal(m.nat, TL_CONTROL_NAT_CONE);
    assert_true(tl_krpc_next_node(&m.nodes, TL_ADDR_V4, &id, &a));
    assert_memory_equal(id, ID, 20);
    assert_true(tl_krpc_next_node(&m.nodes, TL_ADDR_V4, &id, &a));
    assert_memory_equal(id, TARGET, 20);
    tl_addr_write(text, &a);
    assert_string_equal(text, "198.18.1.2:6882");
    assert_false(tl_krpc_next_node(&m.nodes, TL_ADDR_V4, &id, &a));
    assert_true(tl_krpc_next_node(&m.nodes6, TL_ADDR_V6, &id, &a));
    assert_int_equal(a.family, TL_ADDR_V6);
    assert_int_equal(a.port, 6881);
    assert_false(tl_krpc_next_node(&m.nodes6, TL_ADDR_V6, &id, &a));
}

#define K32   "12345678901234567890123456789012"
#define SIG64 K32 K32

static void queries_for_items_are_read_whole(void **state)
{
    (void)state;
    tl_krpc m =
        parsed_text("d1:ad3:casi3e2:id20:" ID "1:k32:" K32 "4:salt5:teale3:seqi4e3:sig64:" SIG64
                    "5:token2:xy1:vd1:vi1eee1:q3:put2:roi1e1:t2:aa1:y1:qe");
    assert_int_equal(m.method, TL_KRPC_PUT);
    assert_true(m.read_only && !m.bad_arguments);
    assert_true(m.cas.given && m.cas.value == 3 && m.seq.given && m.seq.value == 4);
    assert_memory_equal(m.key, K32, 32);
    assert_memory_equal(m.sig, SIG64, 64);
    expect_text(m.salt, "teale");
    expect_text(m.token, "xy");
    expect_text(m.value, "d1:vi1ee");

    m = parsed_text("d1:ad2:id20:" ID "3:seqi9e6:target20:" TARGET
                    "4:wantl2:n42:n62:n8ee1:q3:get1:t2:aa1:y1:qe");
    assert_int_equal(m.method, TL_KRPC_GET);
    assert_int_equal(m.want, TL_KRPC_WANT4 | TL_KRPC_WANT6);
    assert_int_equal(m.seq.value, 9);
}

static void keys_may_be_out_of_order_and_unknown(void **state)
{
    (void)state;
    tl_krpc m = parsed_text("d1:y1:q1:t2:aa1:q4:ping1:ad1:zli1ee2:id20:" ID "e2:xxd1:ai1eee");
    assert_int_equal(m.method, TL_KRPC_PING);
    assert_memory_equal(m.id, ID, 20);
}

static void an_unknown_method_is_read_as_other(void **state)
{
    (void)state;
    tl_krpc m = parsed_text("d1:ad2:id20:" ID "e1:q17:sample_infohashes1:t2:aa1:y1:qe");
    assert_int_equal(m.method, TL_KRPC_OTHER);
    assert_false(m.bad_arguments);
    m = parsed_text("d1:ad2:id20:" ID "e1:q5:other1:t2:aa1:y1:qe");
    assert_int_equal(m.method, TL_KRPC_OTHER);
}

static void what_is_no_message_is_refused(void **state)
{
    (void)state;
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe"), TL_OK);
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:q4:ping1:y1:qe"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:q4:ping1:t0:1:y1:qe"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:q4:ping1:t16:0123456789abcdef1:y1:qe"), TL_OK);
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:q4:ping1:t17:0123456789abcdefg1:y1:qe"),
                     TL_ERR_PROTO);
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:q4:ping1:ti7e1:y1:qe"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:q4:ping1:t2:aae"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:xe"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y2:qqe"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:t2:aa1:y1:qe"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:qi4e1:t2:aa1:y1:qe"), TL_ERR_PROTO);
    assert_int_equal(error_of("l1:ad2:id20:" ID "ee"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:t2:aa1:y1:qe"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe\n"), TL_ERR_PROTO);
}

static void responses_that_are_wrong_are_refused(void **state)
{
    (void)state;
    assert_int_equal(error_of("d1:rd2:id20:" ID "5:nodes26:" ID "123456e1:t2:aa1:y1:re"), TL_OK);
    assert_int_equal(error_of("d1:rd2:id20:" ID "5:nodes25:" ID "12345e1:t2:aa1:y1:re"),
                     TL_ERR_PROTO);
    assert_int_equal(error_of("d1:rd2:id20:" ID "6:nodes626:" ID "123456e1:t2:aa1:y1:re"),
                     TL_ERR_PROTO);
    assert_int_equal(error_of("d1:rd2:id20:" ID "5:nodesi1ee1:t2:aa1:y1:re"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:rd2:id19:abcdefghij012345678e1:t2:aa1:y1:re"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:rd5:nodes0:e1:t2:aa1:y1:re"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:rd2:id20:" ID "1:k32:" K32 "e1:t2:aa1:y1:re"), TL_OK);
    assert_int_equal(
        error_of("d1:rd2:id20:" ID "1:k31:1234567890123456789012345678901e1:t2:aa1:y1:re"),
        TL_ERR_PROTO);
    assert_int_equal(error_of("d1:rd2:id20:" ID "3:sig32:" K32 "e1:t2:aa1:y1:re"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:rd2:id20:" ID "3:seq1:1e1:t2:aa1:y1:re"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:rd2:id20:" ID "5:token64:" SIG64 "e1:t2:aa1:y1:re"), TL_OK);
    assert_int_equal(error_of("d1:rd2:id20:" ID "5:token65:" SIG64 "xe1:t2:aa1:y1:re"),
                     TL_ERR_PROTO);
    assert_int_equal(error_of("d1:t2:aa1:y1:re"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:e3:2011:t2:aa1:y1:ee"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:ele1:t2:aa1:y1:ee"), TL_ERR_PROTO);
    assert_int_equal(error_of("d1:eli201ee1:t2:aa1:y1:ee"), TL_OK);
}

static void a_query_with_wrong_arguments_can_still_be_answered(void **state)
{
    (void)state;
    const char *wrong[] = {
        "d1:q4:ping1:t2:aa1:y1:qe",
        "d1:ade1:q4:ping1:t2:aa1:y1:qe",
        "d1:a2:id1:q4:ping1:t2:aa1:y1:qe",
        "d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe",
        "d1:ad2:id20:" ID "e1:q9:find_node1:t2:aa1:y1:qe",
        "d1:ad2:id20:" ID "9:info_hash20:" TARGET "e1:q9:find_node1:t2:aa1:y1:qe",
        "d1:ad2:id20:" ID "6:target20:" TARGET "e1:q9:get_peers1:t2:aa1:y1:qe",
        "d1:ad2:id20:" ID "6:target20:" TARGET "4:want2:n4e1:q9:find_node1:t2:aa1:y1:qe",
        "d1:ad2:id20:" ID "9:info_hash20:" TARGET "e1:q13:announce_peer1:t2:aa1:y1:qe",
        "d1:ad2:id20:" ID "5:token2:xye1:q3:put1:t2:aa1:y1:qe",
        "d1:ad2:id20:" ID "1:vi1ee1:q3:put1:t2:aa1:y1:qe",
        "d1:ad2:id20:" ID "1:k32:" K32 "5:token2:xy1:vi1ee1:q3:put1:t2:aa1:y1:qe",
        "d1:ad2:id20:" ID "1:k32:" K32 "3:seqi1e5:token2:xy1:vi1ee1:q3:put1:t2:aa1:y1:qe",
        "d1:ad2:id20:" ID "3:seqi1e5:token2:xy1:vi1ee1:q3:put1:t2:aa1:y1:qe",
        "d1:ad3:cas1:x2:id20:" ID "5:token2:xy1:vi1ee1:q3:put1:t2:aa1:y1:qe",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tl_krpc m = parsed_text(wrong[i]);
        assert_true(m.bad_arguments);
        expect_text(m.tid, "aa");
    }
    assert_false(
        parsed_text("d1:ad2:id20:" ID "5:token2:xy1:vi1ee1:q3:put1:t2:aa1:y1:qe").bad_arguments);
}

static void our_address_as_seen_is_read_where_it_has_a_port(void **state)
{
    (void)state;
    tl_krpc m = parsed_text("d2:ip4:\xC6\x33\x64\x01"
                            "1:rd2:id20:" ID "e1:t2:aa1:y1:re");
    assert_int_equal(m.ip.family, TL_ADDR_NONE);
    m = parsed_text("d2:ip18:0123456789abcdef\x1A\xE1"
                    "1:rd2:id20:" ID "e1:t2:aa1:y1:re");
    assert_int_equal(m.ip.family, TL_ADDR_V6);
    m = parsed_text("d2:ipi4e1:rd2:id20:" ID "e1:t2:aa1:y1:re");
    assert_int_equal(m.ip.family, TL_ADDR_NONE);
}

static void a_name_of_a_nat_that_nobody_knows_is_none(void **state)
{
    (void)state;
    assert_false(parsed_text("d1:rd2:id20:" ID "3:nat5:Blacke1:t2:aa1:y1:re").has_nat);
    assert_false(parsed_text("d1:rd2:id20:" ID "3:nati3ee1:t2:aa1:y1:re").has_nat);
    tl_krpc m = parsed_text("d1:rd2:id20:" ID "3:nat9:Symmetrice1:t2:aa1:y1:re");
    assert_true(m.has_nat);
    assert_int_equal(m.nat, TL_CONTROL_NAT_SYMMETRIC);
}

/* A whole message of each kind, as large as they get. */
static tl_krpc whole(tl_krpc_kind kind, tl_krpc_method method)
{
    static uint8_t nodes[8 * TL_KRPC_NODE4], nodes6[2 * TL_KRPC_NODE6];
    bool query = kind == TL_KRPC_QUERY, put = query && method == TL_KRPC_PUT;
    bool response = kind == TL_KRPC_RESPONSE;
    tl_krpc m = {.kind = kind, .tid = TL_SLICE_LIT("\0\xFF\x65:"), .method = method};
    memcpy(m.id, ID, 20);
    memcpy(m.target, TARGET, 20);
    m.has_id = query || response;
    m.has_target = query && method != TL_KRPC_PING;
    m.read_only = query;
    if (put)
        m.cas = tl_maybe_of(-5), m.salt = TL_SLICE_LIT("4:salt");
    if (put || response) {
        m.key = (const uint8_t *)K32;
        m.sig = (const uint8_t *)SIG64;
        m.seq = tl_maybe_of(INT64_MAX);
        m.value = TL_SLICE_LIT("d1:ali1ei2eee");
    }
    if (put || response || (query && method == TL_KRPC_ANNOUNCE_PEER))
        m.token = TL_SLICE_LIT("token!");
    if (query && method == TL_KRPC_FIND_NODE)
        m.want = TL_KRPC_WANT4 | TL_KRPC_WANT6;
    if (response) {
        m.nodes = tl_slice_of(nodes, sizeof nodes);
        m.nodes6 = tl_slice_of(nodes6, sizeof nodes6);
        m.has_nat = true;
        m.nat = TL_CONTROL_NAT_SYMMETRIC;
    }
    if (kind == TL_KRPC_ERROR) {
        m.code = TL_KRPC_E_SEQ;
        m.words = TL_SLICE_LIT("a newer one is kept");
    }
    if (!query)
        m.ip = (tl_addr){.family = TL_ADDR_V4, .port = 6881, .bytes = {198, 18, 0, 1}};
    return m;
}

static void expect_same(const tl_krpc *a, const tl_krpc *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_true(tl_slice_eq(a->tid, b->tid) && tl_slice_eq(a->token, b->token) &&
                tl_slice_eq(a->salt, b->salt) && tl_slice_eq(a->value, b->value) &&
                tl_slice_eq(a->nodes, b->nodes) && tl_slice_eq(a->nodes6, b->nodes6) &&
                tl_slice_eq(a->words, b->words));
    assert_true(tl_addr_eq(&a->ip, &b->ip));
    assert_int_equal(a->read_only, b->read_only);
    assert_int_equal(a->has_id, b->has_id);
    assert_int_equal(a->has_target, b->has_target);
    assert_true(!a->has_target || memcmp(a->target, b->target, 20) == 0);
    assert_true(!a->has_id || memcmp(a->id, b->id, 20) == 0);
    assert_int_equal(a->want, b->want);
    assert_int_equal(a->cas.given, b->cas.given);
    assert_true(a->cas.value == b->cas.value && a->seq.value == b->seq.value);
    assert_int_equal(a->seq.given, b->seq.given);
    assert_int_equal(!a->key, !b->key);
    assert_int_equal(a->has_nat, b->has_nat);
    assert_int_equal(a->nat, b->nat);
    assert_true(a->code == b->code);
}

static void every_kind_is_read_as_it_was_written(void **state)
{
    (void)state;
    for (int kind = TL_KRPC_QUERY; kind <= TL_KRPC_ERROR; kind++)
        for (int method = 0; method < TL_KRPC_OTHER; method++) {
            tl_krpc m = whole((tl_krpc_kind)kind, (tl_krpc_method)method), again;
            uint8_t bytes[TL_KRPC_MAX], less[TL_KRPC_MAX];
            size_t n;
            assert_int_equal(tl_krpc_write(&m, TL_KRPC_MAX, bytes, &n), TL_OK);
            again = parsed(tl_slice_of(bytes, n));
            assert_false(again.bad_arguments);
            expect_same(&m, &again);
            assert_true(tl_slice_eq(again.client, TL_KRPC_CLIENT));
            assert_int_equal(tl_krpc_write(&m, n, less, &n), TL_OK);
            assert_int_equal(tl_krpc_write(&m, n - 1, less, &n), TL_ERR_TOO_LARGE);
        }
}

static void what_is_written_is_canonical(void **state)
{
    (void)state;
    tl_krpc m = whole(TL_KRPC_QUERY, TL_KRPC_PUT);
    uint8_t bytes[TL_KRPC_MAX];
    size_t n;
    assert_int_equal(tl_krpc_write(&m, TL_KRPC_MAX, bytes, &n), TL_OK);
    expect_text(tl_slice_of(bytes, 27), "d1:ad3:casi-5e2:id20:abcdef");
    m = whole(TL_KRPC_QUERY, TL_KRPC_FIND_NODE);
    m.tid = TL_SLICE_LIT("aa");
    assert_int_equal(tl_krpc_write(&m, TL_KRPC_MAX, bytes, &n), TL_OK);
    assert_true(tl_slice_eq(tl_slice_of(bytes, n),
                            TL_SLICE_LIT("d1:ad2:id20:" ID "6:target20:" TARGET
                                         "4:wantl2:n42:n6ee1:q9:find_node2:roi1e1:t2:aa1:v4:TL\0\1"
                                         "1:y1:qe")));
}

static void what_is_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (int kind = TL_KRPC_QUERY; kind <= TL_KRPC_ERROR; kind++) {
        tl_krpc m = whole((tl_krpc_kind)kind, TL_KRPC_PUT), again;
        uint8_t bytes[TL_KRPC_MAX];
        size_t n;
        assert_int_equal(tl_krpc_write(&m, TL_KRPC_MAX, bytes, &n), TL_OK);
        for (size_t cut = 0; cut < n; cut++) {
            uint8_t *copy = malloc(cut ? cut : 1);
            assert_non_null(copy);
            memcpy(copy, bytes, cut);
            assert_int_equal(tl_krpc_parse(tl_slice_of(copy, cut), &again), TL_ERR_SHORT);
            free(copy);
        }
    }
}

static void a_datagram_has_at_most_1500_bytes(void **state)
{
    (void)state;
    static char text[2000];
    tl_krpc m;
    int n =
        snprintf(text, sizeof text, "d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:x1400:%01400d1:y1:qe", 0);
    assert_true(n < TL_KRPC_READ_MAX);
    assert_int_equal(tl_krpc_parse(tl_slice_of(text, (size_t)n), &m), TL_OK);
    n = snprintf(text, sizeof text, "d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:x1500:%01500d1:y1:qe", 0);
    assert_int_equal(tl_krpc_parse(tl_slice_of(text, (size_t)n), &m), TL_ERR_TOO_LARGE);
}

static void krpc_is_told_from_other_datagrams_by_three_bytes(void **state)
{
    (void)state;
    assert_true(tl_krpc_is(TL_SLICE_LIT("d1e")));
    assert_false(tl_krpc_is(TL_SLICE_LIT("de")));
    assert_false(tl_krpc_is(TL_SLICE_LIT("dee")));
    assert_false(tl_krpc_is(TL_SLICE_LIT("d1:a")));
    assert_false(tl_krpc_is(TL_SLICE_LIT("l1:ae")));
    assert_false(tl_krpc_is((tl_slice){0}));
}

static void addresses_have_6_or_18_bytes(void **state)
{
    (void)state;
    tl_addr a;
    uint8_t bytes[TL_KRPC_COMPACT_MAX];
    assert_int_equal(tl_krpc_addr_parse(TL_SLICE_LIT("\x7F\0\0\1\0\0"), &a), TL_OK);
    assert_int_equal(a.port, 0);
    assert_int_equal(tl_krpc_addr_write(&a, bytes), 6);
    assert_int_equal(tl_krpc_addr_parse(TL_SLICE_LIT("0123456789abcdef\xFF\xFE"), &a), TL_OK);
    assert_int_equal(a.port, 0xFFFE);
    assert_int_equal(tl_krpc_addr_write(&a, bytes), 18);
    assert_memory_equal(bytes, "0123456789abcdef\xFF\xFE", 18);
    assert_int_equal(tl_krpc_addr_parse(TL_SLICE_LIT("12345"), &a), TL_ERR_PROTO);
    assert_int_equal(tl_krpc_addr_parse(TL_SLICE_LIT("1234567"), &a), TL_ERR_PROTO);
    assert_int_equal(tl_krpc_addr_parse((tl_slice){0}, &a), TL_ERR_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_queries_of_bep_5_are_read),
        cmocka_unit_test(the_responses_and_errors_of_bep_5_are_read),
        cmocka_unit_test(an_answer_with_nodes_of_both_families_is_read),
        cmocka_unit_test(queries_for_items_are_read_whole),
        cmocka_unit_test(keys_may_be_out_of_order_and_unknown),
        cmocka_unit_test(an_unknown_method_is_read_as_other),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(responses_that_are_wrong_are_refused),
        cmocka_unit_test(a_query_with_wrong_arguments_can_still_be_answered),
        cmocka_unit_test(our_address_as_seen_is_read_where_it_has_a_port),
        cmocka_unit_test(a_name_of_a_nat_that_nobody_knows_is_none),
        cmocka_unit_test(every_kind_is_read_as_it_was_written),
        cmocka_unit_test(what_is_written_is_canonical),
        cmocka_unit_test(what_is_cut_anywhere_is_refused),
        cmocka_unit_test(a_datagram_has_at_most_1500_bytes),
        cmocka_unit_test(krpc_is_told_from_other_datagrams_by_three_bytes),
        cmocka_unit_test(addresses_have_6_or_18_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
