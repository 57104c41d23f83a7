#include "nat/birthday.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define T0   (1000 * TL_SEC)
#define SOCK 7

static const tl_addr remote = {TL_ADDR_V4, 4004, 0, {203, 0, 113, 2}};

/* Runs a search to its end; returns how many probes, each of them in `ret`. */
static size_t run(tl_birthday *b, uint64_t seed, tl_birthday_probe *ret, tl_time *ret_at)
{
    tl_rand rand = tl_rand_seeded(seed);
    size_t n = 0;
    for (tl_time now = T0; !tl_birthday_over(b, now); now = tl_birthday_expiry(b)) {
        tl_birthday_probe p;
        while (tl_birthday_next(b, &rand, now, &p)) {
            assert_true(n < TL_BIRTHDAY_PROBES);
            ret[n] = p;
            ret_at[n++] = now;
        }
        assert_true(tl_birthday_expiry(b) > now);
    }
    return n;
}

static void guesses_are_ports_without_repetition_a_hundred_a_second(void **state)
{
    (void)state;
    tl_birthday_probe *p = calloc(TL_BIRTHDAY_PROBES, sizeof *p);
    tl_time *at = calloc(TL_BIRTHDAY_PROBES, sizeof *at);
    assert_true(p && at);
    for (uint64_t seed = 0; seed < 50; seed++) {
        static bool seen[65536];
        memset(seen, 0, sizeof seen);
        tl_birthday *b;
        assert_int_equal(tl_birthday_guess(&remote, SOCK, T0, &b), TL_OK);
        assert_int_equal(run(b, seed, p, at), TL_BIRTHDAY_PROBES);
        for (size_t i = 0; i < TL_BIRTHDAY_PROBES; i++) {
            assert_int_equal(p[i].sock, SOCK);
            assert_true(tl_addr_same_ip(&p[i].to, &remote));
            assert_true(p[i].to.port >= TL_BIRTHDAY_PORT_MIN && !seen[p[i].to.port]);
            assert_int_not_equal(p[i].to.port, remote.port); /* was asked as a candidate */
            seen[p[i].to.port] = true;
            assert_true(p[i].id != 0);
            assert_int_equal(at[i], T0 + i * 10 * TL_MS);
        }
        tl_birthday_free(b);
    }
    free(p);
    free(at);
}

static void every_socket_is_opened_and_refreshed_once(void **state)
{
    (void)state;
    tl_birthday_probe *p = calloc(TL_BIRTHDAY_PROBES, sizeof *p);
    tl_time *at = calloc(TL_BIRTHDAY_PROBES, sizeof *at);
    tl_sock socks[300];
    assert_true(p && at);
    for (tl_sock i = 0; i < 300; i++)
        socks[i] = 100 + i;
    tl_birthday *b;
    assert_int_equal(tl_birthday_open(&remote, socks, 300, T0, &b), TL_OK);
    assert_int_equal(tl_birthday_sockets(b), TL_BIRTHDAY_SOCKETS);
    assert_int_equal(run(b, 1, p, at), 2 * TL_BIRTHDAY_SOCKETS);
    for (size_t i = 0; i < 2 * TL_BIRTHDAY_SOCKETS; i++) {
        assert_int_equal(p[i].sock, 100 + i % TL_BIRTHDAY_SOCKETS);
        assert_true(tl_addr_eq(&p[i].to, &remote));
        tl_time begin = i < TL_BIRTHDAY_SOCKETS ? T0 : T0 + 5 * TL_SEC;
        assert_int_equal(at[i], begin + i % TL_BIRTHDAY_SOCKETS * 5 * TL_MS);
    }
    assert_true(tl_birthday_is_sock(b, 100 + 255) && !tl_birthday_is_sock(b, 100 + 256));
    tl_birthday_free(b);
    free(p);
    free(at);
}

/* A timer that is 4 ms late each time costs no probe; one that is a second late brings no flood. */
static void a_late_timer_is_caught_up_with(void **state)
{
    (void)state;
    tl_birthday *b;
    tl_birthday_probe p;
    tl_rand rand = tl_rand_seeded(3);
    assert_int_equal(tl_birthday_guess(&remote, SOCK, T0, &b), TL_OK);
    for (tl_time now = T0; now <= T0 + TL_SEC; now = tl_birthday_expiry(b) + 4 * TL_MS)
        while (tl_birthday_next(b, &rand, now, &p))
            ;
    assert_in_range(tl_birthday_sent(b), 99, 101);
    unsigned before = tl_birthday_sent(b);
    while (tl_birthday_next(b, &rand, T0 + 2 * TL_SEC, &p))
        ;
    assert_in_range(tl_birthday_sent(b) - before, 1, 5);
    tl_birthday_free(b);
}

static void a_question_is_known_by_its_number_its_socket_and_its_address(void **state)
{
    (void)state;
    tl_birthday *b;
    tl_birthday_probe p;
    tl_rand rand = tl_rand_seeded(3);
    tl_time at = 0;
    assert_int_equal(tl_birthday_guess(&remote, SOCK, T0, &b), TL_OK);
    assert_true(tl_birthday_next(b, &rand, T0, &p));
    tl_addr ip = p.to, port = p.to;
    ip.bytes[3] ^= 1;
    port.port ^= 1;
    assert_false(tl_birthday_asked(b, p.id ^ 1, SOCK, &p.to, &at));
    assert_false(tl_birthday_asked(b, p.id, SOCK + 1, &p.to, &at));
    assert_false(tl_birthday_asked(b, p.id, SOCK, &ip, &at));
    assert_false(tl_birthday_asked(b, p.id, SOCK, &port, &at));
    assert_false(tl_birthday_asked(b, 0, SOCK, &p.to, &at));
    assert_int_equal(at, 0);
    assert_true(tl_birthday_asked(b, p.id, SOCK, &p.to, &at));
    assert_int_equal(at, T0);
    assert_true(tl_birthday_is_place(b, SOCK, &port) && !tl_birthday_is_place(b, SOCK, &ip));
    assert_false(tl_birthday_is_place(b, SOCK + 1, &port));
    tl_birthday_free(b);
}

static void a_search_without_sockets_only_ends(void **state)
{
    (void)state;
    tl_birthday *b;
    tl_birthday_probe p;
    tl_rand rand = tl_rand_seeded(3);
    assert_int_equal(tl_birthday_open(&remote, NULL, 0, T0, &b), TL_OK);
    assert_false(tl_birthday_next(b, &rand, T0, &p));
    assert_int_equal(tl_birthday_expiry(b), T0 + TL_BIRTHDAY_WITHIN);
    tl_birthday_free(b);
}

static void time_stood_still_is_not_lost_to_the_search(void **state)
{
    (void)state;
    tl_birthday *b;
    tl_birthday_probe p;
    tl_rand rand = tl_rand_seeded(3);
    assert_int_equal(tl_birthday_guess(&remote, SOCK, T0, &b), TL_OK);
    assert_true(tl_birthday_next(b, &rand, T0, &p));
    tl_birthday_delay(b, TL_MIN);
    assert_false(tl_birthday_over(b, T0 + TL_MIN));
    assert_true(tl_birthday_next(b, &rand, T0 + TL_MIN + 10 * TL_MS, &p));
    assert_int_equal(tl_birthday_sent(b), 2);
    assert_true(tl_birthday_over(b, T0 + TL_MIN + TL_BIRTHDAY_WITHIN));
    tl_birthday_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guesses_are_ports_without_repetition_a_hundred_a_second),
        cmocka_unit_test(every_socket_is_opened_and_refreshed_once),
        cmocka_unit_test(a_late_timer_is_caught_up_with),
        cmocka_unit_test(a_question_is_known_by_its_number_its_socket_and_its_address),
        cmocka_unit_test(a_search_without_sockets_only_ends),
        cmocka_unit_test(time_stood_still_is_not_lost_to_the_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
