#include "relay/stunserver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BEGIN (1000 * TL_SEC)

static const tl_stun_id id = {{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 11, 12}};

/* A server, what it was asked last and what it said. */
typedef struct {
    tl_stunserver *server;
    tl_stun_site site;
    tl_time now;
    tl_stun_answer answer;
    tl_stun read;
} world;

static tl_addr addr(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->now = BEGIN;
    w->site = (tl_stun_site){.n = 4,
                             .addr = {addr("198.51.100.1:3478"), addr("198.51.100.1:3479"),
                                      addr("198.51.100.2:3478"), addr("198.51.100.2:3479")}};
    assert_int_equal(tl_stunserver_new(&w->server), TL_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    tl_stunserver_free(w->server);
    free(w);
    return 0;
}

static void only_one_address(world *w, const char *local)
{
    w->site = (tl_stun_site){.n = 1, .addr = {addr(local)}};
}

/* Sends `bytes` to the `socket`-th socket; true: answered, and the answer is in w->read. */
static bool ask_bytes(world *w, size_t socket, const char *from, tl_slice bytes)
{
    tl_addr f = addr(from);
    uint8_t *copy = malloc(bytes.n ? bytes.n : 1);
    assert_non_null(copy);
    if (bytes.n)
        memcpy(copy, bytes.p, bytes.n);
    bool answered =
        tl_stunserver_on_datagram(w->server, &w->site, socket, &f, &w->site.addr[socket],
                                  tl_slice_of(copy, bytes.n), w->now, &w->answer);
    free(copy);
    if (!answered)
        return false;
    const tl_stun_writer *m = &w->answer.message;
    assert_int_equal(tl_stun_read(tl_slice_of(m->bytes, m->n), &w->read), TL_OK);
    assert_memory_equal(w->read.id.bytes, id.bytes, TL_STUN_ID);
    tl_stunserver_on_sent(w->server, &w->answer, true);
    return true;
}

static bool ask(world *w, size_t socket, const char *from, const tl_stun_writer *request)
{
    return ask_bytes(w, socket, from, tl_slice_of(request->bytes, request->n));
}

static tl_stun_writer request(void)
{
    tl_stun_writer m;
    tl_stun_begin(&m, TL_STUN_REQUEST, &id);
    return m;
}

static tl_stun_writer change(bool ip, bool port)
{
    tl_stun_writer m = request();
    tl_stun_put_change(&m, ip, port);
    return m;
}

static void assert_addr(const tl_addr *a, const char *expected)
{
    char text[TL_ADDR_TEXT_MAX];
    tl_addr_write(text, a);
    assert_string_equal(text, expected);
}

static uint64_t dropped(const world *w, tl_stun_drop why)
{
    return tl_stunserver_counters(w->server)->dropped[why];
}

/* --- answers --- */

static void a_request_is_told_where_it_came_from(void **state)
{
    world *w = *state;
    tl_stun_writer m = request();
    only_one_address(w, "198.51.100.1:3478");
    assert_true(ask(w, 0, "203.0.113.5:40000", &m));
    assert_int_equal(w->read.class, TL_STUN_SUCCESS);
    assert_addr(&w->read.mapped, "203.0.113.5:40000");
    assert_addr(&w->read.origin, "198.51.100.1:3478");
    assert_int_equal(w->read.other.family, TL_ADDR_NONE);
    assert_false(w->read.fingerprint);
    only_one_address(w, "[2001:db8::1]:3478");
    assert_true(ask(w, 0, "[2001:db8::5]:40000", &m));
    assert_addr(&w->read.mapped, "[2001:db8::5]:40000");
    assert_addr(&w->read.origin, "[2001:db8::1]:3478");
}

static void a_fingerprint_is_answered_with_one(void **state)
{
    world *w = *state;
    tl_stun_writer m = request();
    tl_stun_finish(&m);
    assert_true(ask(w, 0, "203.0.113.5:40000", &m));
    assert_true(w->read.fingerprint);
}

static void a_wildcard_names_the_address_that_was_asked(void **state)
{
    world *w = *state;
    tl_stun_writer m = request();
    only_one_address(w, "0.0.0.0:3478");
    tl_addr from = addr("203.0.113.5:40000"), asked = addr("198.51.100.77:3478");
    assert_true(tl_stunserver_on_datagram(w->server, &w->site, 0, &from, &asked,
                                          tl_slice_of(m.bytes, m.n), w->now, &w->answer));
    assert_int_equal(
        tl_stun_read(tl_slice_of(w->answer.message.bytes, w->answer.message.n), &w->read), TL_OK);
    assert_addr(&w->read.origin, "198.51.100.77:3478");
}

static void with_two_addresses_each_socket_names_its_opposite(void **state)
{
    world *w = *state;
    static const char *const opposite[] = {"198.51.100.2:3479", "198.51.100.2:3478",
                                           "198.51.100.1:3479", "198.51.100.1:3478"};
    tl_stun_writer m = request();
    for (size_t i = 0; i < 4; i++) {
        assert_true(ask(w, i, "203.0.113.5:40000", &m));
        assert_int_equal(w->answer.socket, i);
        assert_true(tl_addr_eq(&w->read.origin, &w->site.addr[i]));
        assert_addr(&w->read.other, opposite[i]);
    }
}

static void a_change_request_is_answered_from_the_socket_it_asks_for(void **state)
{
    world *w = *state;
    for (size_t at = 0; at < 4; at++) {
        for (size_t flags = 0; flags < 4; flags++) {
            tl_stun_writer m = change(flags & TL_STUN_OTHER_ADDRESS, flags & TL_STUN_OTHER_PORT);
            assert_true(ask(w, at, "203.0.113.5:40000", &m));
            assert_int_equal(w->answer.socket, at ^ flags);
            assert_true(tl_addr_eq(&w->read.origin, &w->site.addr[at ^ flags]));
            assert_true(tl_addr_eq(&w->read.other, &w->site.addr[at ^ 3]));
        }
    }
}

static void a_change_request_without_another_address_is_error_420(void **state)
{
    world *w = *state;
    only_one_address(w, "198.51.100.1:3478");
    for (int flags = 0; flags < 4; flags++) {
        tl_stun_writer m = change(flags & 1, flags & 2);
        assert_true(ask(w, 0, "203.0.113.5:40000", &m));
        assert_int_equal(w->answer.socket, 0);
        assert_int_equal(w->read.class, flags ? TL_STUN_ERROR : TL_STUN_SUCCESS);
        assert_int_equal(w->read.error, flags ? 420 : 0);
    }
}

/* The list is the last attribute of `m`. */
static void assert_lists(const tl_stun_writer *m, const uint16_t *types, size_t n)
{
    size_t padded = (2 * n + 3) & ~(size_t)3;
    const uint8_t *p = m->bytes + m->n - padded - 4;
    assert_int_equal(p[0] << 8 | p[1], 0x000A);
    assert_int_equal(p[2] << 8 | p[3], 2 * n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[4 + 2 * i] << 8 | p[5 + 2 * i], types[i]);
}

/* Attributes without values behind a request. */
static tl_stun_writer with_types(const uint16_t *types, size_t n)
{
    tl_stun_writer m = request();
    for (size_t i = 0; i < n; i++) {
        m.bytes[m.n++] = (uint8_t)(types[i] >> 8);
        m.bytes[m.n++] = (uint8_t)types[i];
        m.bytes[m.n++] = 0;
        m.bytes[m.n++] = 0;
    }
    m.bytes[3] = (uint8_t)(m.n - 20);
    return m;
}

static void what_is_not_understood_is_listed_in_error_420(void **state)
{
    world *w = *state;
    static const uint16_t types[] = {0x0002, 0x0027, 0x7FFF};
    static const uint16_t optional[] = {0x8002, 0xC057, 0xFFFF};
    for (size_t n = 1; n <= 3; n++) {
        tl_stun_writer m = with_types(types, n);
        assert_true(ask(w, 0, "203.0.113.5:40000", &m));
        assert_int_equal(w->read.class, TL_STUN_ERROR);
        assert_int_equal(w->read.error, 420);
        assert_lists(&w->answer.message, types, n);
    }
    tl_stun_writer m = with_types(optional, 3);
    assert_true(ask(w, 0, "203.0.113.5:40000", &m));
    assert_int_equal(w->read.class, TL_STUN_SUCCESS);
}

static void a_request_with_somebodys_credentials_is_answered_without(void **state)
{
    world *w = *state;
    tl_stun_writer m = request();
    tl_stun_put_username(&m, TL_SLICE_LIT("somebody"));
    tl_stun_put_priority(&m, 7);
    assert_int_equal(tl_stun_put_integrity(&m, TL_SLICE_LIT("unknown here")), TL_OK);
    tl_stun_finish(&m);
    assert_true(ask(w, 0, "203.0.113.5:40000", &m));
    assert_int_equal(w->read.class, TL_STUN_SUCCESS);
    assert_int_equal(w->read.mac_at, 0);
    assert_true(w->read.fingerprint);
}

/* --- silence --- */

static void what_is_no_request_gets_no_answer(void **state)
{
    world *w = *state;
    for (int c = TL_STUN_REQUEST; c <= TL_STUN_ERROR; c++) {
        tl_stun_writer m;
        tl_stun_begin(&m, (tl_stun_class)c, &id);
        assert_int_equal(ask(w, 0, "203.0.113.5:40000", &m), c == TL_STUN_REQUEST);
    }
    assert_int_equal(dropped(w, TL_STUN_DROP_NOT_REQUEST), 3);
}

static void an_answer_of_ours_gets_no_answer(void **state)
{
    world *w = *state;
    tl_stun_writer m = request();
    assert_true(ask(w, 0, "198.51.100.2:3478", &m)); /* as if from our own other socket */
    tl_stun_writer answer = w->answer.message;
    assert_false(ask(w, 2, "198.51.100.1:3478", &answer));
}

static void every_malformed_datagram_is_dropped_and_counted(void **state)
{
    world *w = *state;
    tl_stun_writer m = request();
    tl_stun_put_priority(&m, 1);
    tl_stun_finish(&m);
    for (size_t n = 0; n < m.n; n++)
        assert_false(ask_bytes(w, 0, "203.0.113.5:40000", tl_slice_of(m.bytes, n)));
    assert_int_equal(dropped(w, TL_STUN_DROP_MALFORMED), m.n);
    assert_true(ask(w, 0, "203.0.113.5:40000", &m));
    m.bytes[m.n - 1] ^= 1;
    assert_false(ask(w, 0, "203.0.113.5:40000", &m));
    assert_int_equal(dropped(w, TL_STUN_DROP_MALFORMED), m.n + 1);
    assert_int_equal(tl_stunserver_counters(w->server)->datagrams, m.n + 2);
    assert_int_equal(tl_stunserver_counters(w->server)->requests, 1);
}

static void nothing_is_sent_to_addresses_that_are_nobodys(void **state)
{
    world *w = *state;
    static const struct {
        const char *local, *bad, *good;
    } cases[] = {
        {"198.51.100.1:3478", "203.0.113.5:0", "203.0.113.5:1"},
        {"198.51.100.1:3478", "0.0.0.0:9", "1.0.0.0:9"},
        {"198.51.100.1:3478", "0.1.2.3:9", "1.1.2.3:9"},
        {"198.51.100.1:3478", "224.0.0.1:9", "223.0.0.1:9"},
        {"198.51.100.1:3478", "239.255.255.255:9", "223.255.255.255:9"},
        {"198.51.100.1:3478", "240.0.0.1:9", "223.0.0.2:9"},
        {"198.51.100.1:3478", "255.255.255.255:9", "223.255.255.254:9"},
        {"198.51.100.1:3478", "127.0.0.1:9", "128.0.0.1:9"},
        {"198.51.100.1:3478", "169.254.169.254:9", "169.253.169.254:9"},
        {"127.0.0.1:3478", "203.0.113.5:9", "127.9.9.9:9"},
        {"169.254.1.1:3478", "203.0.113.5:9", "169.254.169.254:9"},
        {"10.0.0.1:3478", "127.0.0.1:9", "10.0.0.2:9"},
        {"[2001:db8::1]:3478", "[2001:db8::5]:0", "[2001:db8::5]:1"},
        {"[2001:db8::1]:3478", "[::]:9", "[1::]:9"},
        {"[2001:db8::1]:3478", "[::127.0.0.1]:9", "[1::127.0.0.1]:9"},
        {"[2001:db8::1]:3478", "[ff02::1]:9", "[fe02::1]:9"},
        {"[2001:db8::1]:3478", "[::1]:9", "[2001:db8::1]:9"},
        {"[2001:db8::1]:3478", "[fe80::1]:9", "[fec0::1]:9"},
        {"[2001:db8::1]:3478", "[::ffff:127.0.0.1]:9", "[::ffff:128.0.0.1]:9"},
        {"[2001:db8::1]:3478", "[::ffff:169.254.169.254]:9", "[::ffff:169.253.0.1]:9"},
        {"[::1]:3478", "[2001:db8::5]:9", "[::1]:9"},
        {"[fe80::9]:3478", "[2001:db8::5]:9", "[fe80::1]:9"},
    };
    tl_stun_writer m = request();
    size_t n = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < n; i++) {
        only_one_address(w, cases[i].local);
        if (ask(w, 0, cases[i].bad, &m))
            fail_msg("%s was answered", cases[i].bad);
        if (!ask(w, 0, cases[i].good, &m))
            fail_msg("%s was not answered", cases[i].good);
    }
    assert_int_equal(dropped(w, TL_STUN_DROP_ADDRESS), n);
}

static void what_was_sent_to_a_broadcast_address_gets_no_answer(void **state)
{
    world *w = *state;
    tl_stun_writer m = request();
    tl_addr from = addr("203.0.113.5:9"), asked = {.family = TL_ADDR_NONE};
    only_one_address(w, "0.0.0.0:3478");
    assert_false(tl_stunserver_on_datagram(w->server, &w->site, 0, &from, &asked,
                                           tl_slice_of(m.bytes, m.n), w->now, &w->answer));
    asked = addr("239.1.1.1:3478");
    assert_false(tl_stunserver_on_datagram(w->server, &w->site, 0, &from, &asked,
                                           tl_slice_of(m.bytes, m.n), w->now, &w->answer));
    asked = addr("198.51.100.1:3478");
    assert_true(tl_stunserver_on_datagram(w->server, &w->site, 0, &from, &asked,
                                          tl_slice_of(m.bytes, m.n), w->now, &w->answer));
}

/* --- no amplifier --- */

static void use_ipv6(world *w)
{
    w->site = (tl_stun_site){.n = 4,
                             .addr = {addr("[2001:db8::1]:3478"), addr("[2001:db8::1]:3479"),
                                      addr("[2001:db8::2]:3478"), addr("[2001:db8::2]:3479")}};
}

/* `headers`: those of IP and UDP, which travel too. */
static void assert_bounded(world *w, const char *from, const tl_stun_writer *m, size_t headers)
{
    assert_true(ask(w, 0, from, m));
    size_t out = headers + w->answer.message.n, in = headers + m->n;
    if (out > TL_STUNSERVER_FACTOR * in)
        fail_msg("%zu bytes for %zu", out, in);
}

static void no_answer_is_more_than_twice_its_request(void **state)
{
    world *w = *state;
    static const uint16_t types[] = {0x7F00, 0x7F01, 0x7F02, 0x7F03, 0x7F04,
                                     0x7F05, 0x7F06, 0x7F07, 0x7F08};
    for (int v6 = 0; v6 < 2; v6++) {
        const char *from = v6 ? "[2001:db8::5]:9" : "203.0.113.5:9";
        size_t headers = v6 ? 48 : 28;
        if (v6)
            use_ipv6(w);
        for (int fingerprint = 0; fingerprint < 2; fingerprint++) {
            for (size_t n = 0; n <= 9; n++) {
                tl_stun_writer m = with_types(types, n);
                if (fingerprint)
                    tl_stun_finish(&m);
                assert_bounded(w, from, &m, headers);
            }
            for (int flags = 0; flags < 4; flags++) {
                tl_stun_writer m = change(flags & 1, flags & 2);
                if (fingerprint)
                    tl_stun_finish(&m);
                assert_bounded(w, from, &m, headers);
            }
        }
    }
}

static void only_the_shortest_request_over_ipv6_goes_without_the_origin(void **state)
{
    world *w = *state;
    use_ipv6(w);
    tl_stun_writer m = request();
    assert_true(ask(w, 0, "[2001:db8::5]:9", &m));
    assert_int_equal(w->read.origin.family, TL_ADDR_NONE);
    assert_addr(&w->read.other, "[2001:db8::2]:3479");
    tl_stun_finish(&m);
    assert_true(ask(w, 0, "[2001:db8::5]:9", &m));
    assert_addr(&w->read.origin, "[2001:db8::1]:3478");
    assert_addr(&w->read.other, "[2001:db8::2]:3479");
}

static size_t answers_of(world *w, const char *from, size_t asked)
{
    tl_stun_writer m = request();
    size_t answered = 0;
    for (size_t i = 0; i < asked; i++)
        answered += ask(w, 0, from, &m);
    return answered;
}

static void an_address_is_sent_a_burst_and_then_a_rate(void **state)
{
    world *w = *state;
    assert_int_equal(answers_of(w, "203.0.113.5:1", 1000), TL_STUNSERVER_BURST);
    assert_int_equal(answers_of(w, "203.0.113.5:2", 10), 0); /* whatever the port */
    assert_int_equal(answers_of(w, "203.0.113.6:1", 10), 10);
    assert_int_equal(dropped(w, TL_STUN_DROP_RATE), 1000 - TL_STUNSERVER_BURST + 10);
    for (int i = 0; i < 10; i++) {
        w->now += TL_SEC / 10;
        assert_int_equal(answers_of(w, "203.0.113.5:1", 100), TL_STUNSERVER_PER_SEC / 10);
    }
}

static void an_ipv6_customer_is_a_64_prefix(void **state)
{
    world *w = *state;
    use_ipv6(w);
    assert_int_equal(answers_of(w, "[2001:db8:0:1::1]:1", 1000), TL_STUNSERVER_BURST);
    assert_int_equal(answers_of(w, "[2001:db8:0:1:ffff::1]:1", 10), 0);
    assert_int_equal(answers_of(w, "[2001:db8:0:2::1]:1", 10), 10);
}

static void malformed_datagrams_cost_their_address_nothing(void **state)
{
    world *w = *state;
    for (int i = 0; i < 1000; i++)
        assert_false(ask_bytes(w, 0, "203.0.113.5:1", TL_SLICE_LIT("rubbish")));
    assert_int_equal(answers_of(w, "203.0.113.5:1", 1), 1);
}

/* Many more forged senders than the table holds: nobody is refused for them, and the one at whom
 * they aim between is sent little more than its measure. */
static void a_flood_of_forged_senders_denies_nobody_the_service(void **state)
{
    world *w = *state;
    tl_stun_writer m = request();
    tl_addr asked = w->site.addr[0];
    size_t victim = 0;
    for (uint32_t i = 0; i < 200000; i++) {
        tl_addr from = {.family = TL_ADDR_V4, .port = 9};
        from.bytes[0] = 100;
        memcpy(from.bytes + 1, (uint8_t[]){(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}, 3);
        assert_true(tl_stunserver_on_datagram(w->server, &w->site, 0, &from, &asked,
                                              tl_slice_of(m.bytes, m.n), w->now, &w->answer));
        if (i % 10 == 0)
            victim += ask(w, 0, "203.0.113.5:1", &m);
    }
    assert_true(victim < 2 * TL_STUNSERVER_BURST); /* used all the time, it is not the oldest */
}

/* --- what operators see --- */

static void the_counters_tell_what_happened(void **state)
{
    world *w = *state;
    tl_stun_writer m = request();
    static const uint16_t type = 0x7FFF;
    assert_true(ask(w, 0, "203.0.113.5:1", &m));
    size_t sent = w->answer.message.n;
    m = with_types(&type, 1);
    assert_true(ask(w, 0, "203.0.113.5:1", &m));
    sent += w->answer.message.n;
    assert_false(ask_bytes(w, 0, "203.0.113.5:1", TL_SLICE_LIT("12345")));
    tl_stunserver_on_sent(w->server, &w->answer, false);
    const tl_stun_counters *c = tl_stunserver_counters(w->server);
    assert_int_equal(c->datagrams, 3);
    assert_int_equal(c->requests, 2);
    assert_int_equal(c->answers, 2);
    assert_int_equal(c->errors, 1);
    assert_int_equal(c->bytes_in, 49);
    assert_int_equal(c->bytes_out, sent);
    assert_int_equal(c->dropped[TL_STUN_DROP_MALFORMED], 1);
    assert_int_equal(c->dropped[TL_STUN_DROP_NOT_REQUEST], 0);
    assert_int_equal(c->dropped[TL_STUN_DROP_ADDRESS], 0);
    assert_int_equal(c->dropped[TL_STUN_DROP_RATE], 0);
    assert_int_equal(c->dropped[TL_STUN_DROP_UNSENT], 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_told_where_it_came_from),
        TEST(a_fingerprint_is_answered_with_one),
        TEST(a_wildcard_names_the_address_that_was_asked),
        TEST(with_two_addresses_each_socket_names_its_opposite),
        TEST(a_change_request_is_answered_from_the_socket_it_asks_for),
        TEST(a_change_request_without_another_address_is_error_420),
        TEST(what_is_not_understood_is_listed_in_error_420),
        TEST(a_request_with_somebodys_credentials_is_answered_without),
        TEST(what_is_no_request_gets_no_answer),
        TEST(an_answer_of_ours_gets_no_answer),
        TEST(every_malformed_datagram_is_dropped_and_counted),
        TEST(nothing_is_sent_to_addresses_that_are_nobodys),
        TEST(what_was_sent_to_a_broadcast_address_gets_no_answer),
        TEST(no_answer_is_more_than_twice_its_request),
        TEST(only_the_shortest_request_over_ipv6_goes_without_the_origin),
        TEST(an_address_is_sent_a_burst_and_then_a_rate),
        TEST(an_ipv6_customer_is_a_64_prefix),
        TEST(malformed_datagrams_cost_their_address_nothing),
        TEST(a_flood_of_forged_senders_denies_nobody_the_service),
        TEST(the_counters_tell_what_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
