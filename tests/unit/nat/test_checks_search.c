/* A birthday search with two sockets: which of them both ends settle on. */
#include "checks_scene.h"
#include "nat/checks_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define FIRST  20
#define SECOND 21

static const tl_sock socks[] = {FIRST, SECOND};

/* a's NAT shows its two sockets at these. */
static tl_addr place_of(const scene *s, tl_sock sock)
{
    tl_addr a = s->at_a;
    a.port = (uint16_t)(3000 + sock);
    return a;
}

/* a opens both; b has heard of each, and its answer and its own check wait in `ret`. */
typedef struct {
    tl_checks_output answer, check;
} words;

static words b_hears(scene *s, tl_sock sock)
{
    tl_checks_output probe = take(s, s->a);
    words w;
    tl_addr place = place_of(s, sock);
    assert_int_equal(probe.sock, sock);
    give(s, s->b, SOCK4, &place, &probe);
    w.answer = take(s, s->b);
    w.check = take(s, s->b);
    assert_true(!is_request(&w.answer) && is_request(&w.check));
    return w;
}

static void begin(scene *s, words *ret_first, words *ret_second)
{
    scene_init(s);
    tl_checks_start(s->a, s->now);
    tl_checks_start(s->b, s->now);
    tl_checks_search_open(s->a, &s->at_b, socks, 2, s->now);
    *ret_first = b_hears(s, FIRST);
    s->now = tl_checks_expiry(s->a);
    *ret_second = b_hears(s, SECOND);
}

static tl_sock valid_at(const tl_checks *c)
{
    size_t n;
    const tl_pair *p = tl_checks_pairs(c, &n);
    for (size_t i = 0; i < n; i++)
        if (p[i].state == TL_PAIR_VALID)
            return p[i].sock;
    return 0;
}

/* The answer under way to the other socket would end the search there, and close the one over which
 * the peer has just been answered. `local`: the bits of the address of ours that it came to. */
static void reach_second_and_answer_first(tl_sock local)
{
    scene s;
    words first, second;
    begin(&s, &first, &second);
    give(&s, s.a, SECOND | local, &s.at_b, &second.check);
    tl_checks_output answer = take(&s, s.a), check = take(&s, s.a);
    assert_true(!is_request(&answer) && is_request(&check));
    assert_int_equal(tl_sock_base(check.sock), SECOND);
    give(&s, s.a, FIRST | local, &s.at_b, &first.answer);
    assert_int_equal(valid_at(s.a), 0);
    tl_addr place = place_of(&s, SECOND);
    give(&s, s.b, SOCK4, &place, &check);
    tl_checks_output last = take(&s, s.b);
    give(&s, s.a, SECOND | local, &s.at_b, &last);
    assert_int_equal(tl_sock_base(valid_at(s.a)), SECOND);
    scene_clear(&s);
}

static void a_socket_that_the_peer_reached_is_not_left_for_an_answer_to_another(void **state)
{
    (void)state;
    reach_second_and_answer_first(0);
    reach_second_and_answer_first(3 << TL_SOCK_LOCAL_SHIFT);
}

static void an_answer_is_taken_where_nothing_was_reached_before(void **state)
{
    (void)state;
    scene s;
    words first, second;
    begin(&s, &first, &second);
    give(&s, s.a, FIRST, &s.at_b, &first.answer);
    assert_int_equal(valid_at(s.a), FIRST);
    scene_clear(&s);
}

/* The peer that reached a socket may be gone again, or its NAT may be. */
static void a_socket_that_came_to_nothing_is_left_after_a_while(void **state)
{
    (void)state;
    scene s;
    words first, second;
    begin(&s, &first, &second);
    give(&s, s.a, SECOND, &s.at_b, &second.check);
    drain(&s, s.a);
    s.now += CHECK_HIT;
    give(&s, s.a, FIRST, &s.at_b, &first.answer);
    assert_int_equal(valid_at(s.a), FIRST);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_that_the_peer_reached_is_not_left_for_an_answer_to_another),
        cmocka_unit_test(an_answer_is_taken_where_nothing_was_reached_before),
        cmocka_unit_test(a_socket_that_came_to_nothing_is_left_after_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
