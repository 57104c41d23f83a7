/* Two neighbours with a pipe between them, where UDP does not pass: when it is asked again. */
#include "checks_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PIPE_A    tl_sock_pipe(1)
#define PIPE_B    tl_sock_pipe(2)
#define PORT_PIPE 40000 /* of the side that dialled */

static scene s;
static bool udp_passes, pipe_passes;
static unsigned udp_sent; /* by both */
static tl_addr pipe_to;   /* where b is, as far as the pipe goes */

static int set_up(void **state)
{
    (void)state;
    scene_init(&s);
    udp_passes = false;
    pipe_passes = true;
    udp_sent = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scene_clear(&s);
    return 0;
}

static tl_addr pipe_of(const tl_addr *at)
{
    tl_addr a = *at;
    a.port = PORT_PIPE;
    return a;
}

static bool carry_one(tl_checks *from, tl_checks *to, const tl_addr *at, tl_sock pipe)
{
    tl_checks_output o;
    if (!tl_checks_next_output(from, s.now, &o))
        return false;
    tl_addr pipe_at = pipe_of(from == s.b ? &pipe_to : at);
    const tl_addr *source = tl_sock_is_pipe(o.sock) ? &pipe_at : at;
    udp_sent += !tl_sock_is_pipe(o.sock) && is_request(&o);
    if (tl_sock_is_pipe(o.sock) ? pipe_passes : udp_passes)
        give(&s, to, tl_sock_is_pipe(o.sock) ? pipe : SOCK4, source, &o);
    return true;
}

static void carry(void)
{
    while (carry_one(s.a, s.b, &s.at_a, PIPE_B) || carry_one(s.b, s.a, &s.at_b, PIPE_A))
        ;
}

static void run_for(tl_time span)
{
    for (tl_time end = s.now + span; s.now < end; s.now += 10 * TL_MS) {
        tl_checks_on_timer(s.a, s.now);
        tl_checks_on_timer(s.b, s.now);
        carry();
    }
}

static void begin(const tl_addr *there)
{
    pipe_to = *there;
    tl_addr to_a = pipe_of(&s.at_a), to_b = pipe_of(&pipe_to);
    add(&s, s.a, TL_CANDIDATE_HOST, &s.at_b);
    add(&s, s.b, TL_CANDIDATE_HOST, &s.at_a);
    tl_checks_add_pipe(s.a, PIPE_A, &to_b, s.now);
    tl_checks_add_pipe(s.b, PIPE_B, &to_a, s.now);
    tl_checks_start(s.a, s.now);
    tl_checks_start(s.b, s.now);
    run_for(10 * TL_SEC);
}

static tl_pair_state udp_of(const tl_checks *c, const tl_addr *to)
{
    return tl_checks_find(c, SOCK4, to)->state;
}

static void run_until(tl_time since_start)
{
    run_for(T0 + since_start - s.now);
}

static void udp_beside_a_pipe_is_asked_again_by_one_packet_each_time_ever_less_often(void **state)
{
    static const unsigned at[] = {30, 90, 210, 450, 930, 1530, 2130};
    (void)state;
    begin(&s.at_b);
    assert_int_equal(udp_of(s.a, &s.at_b), TL_PAIR_FAILED);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        udp_sent = 0;
        run_until((at[i] - 1) * TL_SEC);
        assert_int_equal(udp_sent, 0);
        run_until((at[i] + 2) * TL_SEC);
        assert_int_equal(udp_sent, 2); /* one of each side */
        assert_int_equal(udp_of(s.a, &s.at_b), TL_PAIR_FAILED);
    }
}

static void udp_that_passes_again_stands_within_the_next_interval(void **state)
{
    (void)state;
    begin(&s.at_b);
    run_until(40 * TL_SEC);
    udp_passes = true;
    run_until(85 * TL_SEC);
    assert_int_equal(udp_of(s.a, &s.at_b), TL_PAIR_FAILED);
    (void)events_of(s.a, TL_CHECKS_VALID);
    run_until(92 * TL_SEC);
    assert_int_equal(udp_of(s.a, &s.at_b), TL_PAIR_VALID);
    assert_int_equal(udp_of(s.b, &s.at_a), TL_PAIR_VALID);
    assert_int_equal(events_of(s.a, TL_CHECKS_VALID), 1);
}

static void where_no_pipe_answers_udp_is_given_up_as_ever(void **state)
{
    (void)state;
    pipe_passes = false;
    begin(&s.at_b);
    udp_sent = 0;
    run_until(2000 * TL_SEC);
    assert_int_equal(udp_sent, 0);
}

/* A pipe says nothing of another address of the peer. */
static void udp_to_another_address_than_the_pipes_is_not_asked_again(void **state)
{
    tl_addr other = addr("203.0.113.77", 1);
    (void)state;
    begin(&other);
    udp_sent = 0;
    run_until(1000 * TL_SEC);
    assert_int_equal(udp_of(s.a, &s.at_b), TL_PAIR_FAILED);
    assert_in_range(udp_sent, 1, 10); /* of the other side, whose pipe is beside */
    assert_int_equal(tl_checks_find(s.a, SOCK4, &s.at_b)->sent, TL_CHECKS_UNHEARD_MAX);
}

static void a_change_of_network_begins_the_intervals_anew(void **state)
{
    (void)state;
    begin(&s.at_b);
    run_until(300 * TL_SEC);
    tl_checks_restart(s.a, SOCK4, SOCK6, s.now);
    run_for(10 * TL_SEC);
    unsigned sent = tl_checks_find(s.a, SOCK4, &s.at_b)->sent;
    run_for(18 * TL_SEC);
    assert_int_equal(tl_checks_find(s.a, SOCK4, &s.at_b)->sent, sent);
    run_for(5 * TL_SEC);
    assert_int_equal(tl_checks_find(s.a, SOCK4, &s.at_b)->sent, sent + 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(udp_beside_a_pipe_is_asked_again_by_one_packet_each_time_ever_less_often),
        TEST(udp_that_passes_again_stands_within_the_next_interval),
        TEST(where_no_pipe_answers_udp_is_given_up_as_ever),
        TEST(udp_to_another_address_than_the_pipes_is_not_asked_again),
        TEST(a_change_of_network_begins_the_intervals_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
