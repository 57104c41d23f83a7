#include "peer/leg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const tl_addr relay = {.family = TL_ADDR_V4, .bytes = {198, 51, 100, 80}, .port = 3478};
static const tl_addr here = {.family = TL_ADDR_V4, .bytes = {203, 0, 113, 1}, .port = 40000};
static const tl_addr there = {.family = TL_ADDR_V4, .bytes = {203, 0, 113, 1}, .port = 40001};
static tl_rand rng;

/* The question that is due at `now`. */
static tl_stun question(tl_leg *l, tl_time now)
{
    tl_stun_writer w;
    tl_stun stun;
    assert_true(tl_leg_ask(l, &rng, now, &w));
    assert_int_equal(tl_stun_read(tl_slice_of(w.bytes, w.n), &stun), TL_OK);
    assert_int_equal(stun.class, TL_STUN_REQUEST);
    assert_true(tl_leg_expiry(l) > now);
    assert_false(tl_leg_ask(l, &rng, now, &w)); /* once */
    return stun;
}

static tl_stun answer_to(const tl_stun *asked, const tl_addr *seen)
{
    return (tl_stun){.class = TL_STUN_SUCCESS, .id = asked->id, .mapped = *seen};
}

static tl_leg open_leg(tl_time now)
{
    tl_leg l = tl_leg_new(&relay);
    tl_leg_news news;
    tl_leg_want(&l, now);
    tl_stun asked = question(&l, now), answer = answer_to(&asked, &here);
    assert_true(tl_leg_on_answer(&l, &answer, now + 30 * TL_MS, &news));
    assert_int_equal(news, TL_LEG_OPENED);
    assert_int_equal(l.state, TL_LEG_OPEN);
    return l;
}

static void a_leg_that_nobody_needs_asks_nothing(void **state)
{
    (void)state;
    tl_leg l = tl_leg_new(&relay);
    tl_stun_writer w;
    assert_int_equal(tl_leg_expiry(&l), TL_NEVER);
    assert_false(tl_leg_ask(&l, &rng, TL_SEC, &w));
    tl_leg_doubt(&l, TL_SEC);
    assert_int_equal(tl_leg_expiry(&l), TL_NEVER);
    l = open_leg(TL_SEC);
    tl_leg_rest(&l);
    assert_int_equal(tl_leg_expiry(&l), TL_NEVER);
}

static void an_answer_opens_it_and_tells_our_address_and_the_round_trip(void **state)
{
    (void)state;
    tl_leg l = open_leg(TL_SEC);
    assert_true(tl_addr_eq(&l.seen, &here));
    assert_int_equal(l.rtt, 30 * TL_MS);
    assert_int_equal(tl_leg_expiry(&l), TL_SEC + 30 * TL_MS + TL_LEG_EVERY);
}

static void only_an_answer_to_our_question_counts(void **state)
{
    (void)state;
    tl_leg l = tl_leg_new(&relay);
    tl_leg_news news;
    tl_leg_want(&l, TL_SEC);
    tl_stun asked = question(&l, TL_SEC), answer = answer_to(&asked, &here), other = answer;
    other.id.bytes[3] ^= 1;
    assert_false(tl_leg_on_answer(&l, &other, TL_SEC, &news));
    other = answer;
    other.class = TL_STUN_ERROR;
    assert_false(tl_leg_on_answer(&l, &other, TL_SEC, &news));
    other = answer;
    other.mapped.family = TL_ADDR_NONE;
    assert_false(tl_leg_on_answer(&l, &other, TL_SEC, &news));
    assert_int_equal(l.state, TL_LEG_ASKING);
    assert_true(tl_leg_on_answer(&l, &answer, TL_SEC, &news));
    assert_false(tl_leg_on_answer(&l, &answer, TL_SEC, &news)); /* twice */
}

/* Returns when it was shut. */
static tl_time until_shut(tl_leg *l, tl_time now, unsigned *ret_asked)
{
    tl_stun_writer w;
    *ret_asked = 0;
    for (;;) {
        if (tl_leg_on_timer(l, now))
            return now;
        *ret_asked += tl_leg_ask(l, &rng, now, &w);
        now = tl_leg_expiry(l);
    }
}

static void silence_shuts_it_and_it_is_asked_again_after_pauses_that_double(void **state)
{
    (void)state;
    tl_leg l = tl_leg_new(&relay);
    unsigned asked;
    tl_time now = TL_SEC, pause = TL_LEG_PAUSE_MIN;
    tl_leg_want(&l, now);
    for (int i = 0; i < 8; i++) {
        tl_time shut = until_shut(&l, now, &asked);
        assert_int_equal(shut, now + TL_LEG_PATIENCE);
        assert_int_equal(asked, TL_LEG_TRIES);
        assert_int_equal(l.state, TL_LEG_SHUT);
        assert_int_equal(tl_leg_expiry(&l), shut + pause);
        now = shut + pause;
        pause = 2 * pause < TL_LEG_PAUSE_MAX ? 2 * pause : TL_LEG_PAUSE_MAX;
    }
    tl_leg_news news;
    tl_stun q = question(&l, now), answer = answer_to(&q, &here);
    assert_true(tl_leg_on_answer(&l, &answer, now, &news));
    assert_int_equal(news, TL_LEG_OPENED);
    assert_int_equal(l.pause, TL_LEG_PAUSE_MIN);
}

static void a_doubt_asks_at_once_and_finds_silence_within_its_patience(void **state)
{
    (void)state;
    unsigned asked;
    tl_leg l = open_leg(TL_SEC);
    tl_leg_doubt(&l, 3 * TL_SEC);
    assert_int_equal(tl_leg_expiry(&l), 3 * TL_SEC);
    assert_int_equal(until_shut(&l, 3 * TL_SEC, &asked), 3 * TL_SEC + TL_LEG_PATIENCE);
    /* a leg that was just found shut is not asked for each doubt */
    tl_time next = tl_leg_expiry(&l);
    tl_leg_doubt(&l, 6 * TL_SEC);
    assert_int_equal(tl_leg_expiry(&l), next);
    tl_leg_doubt(&l, 3 * TL_SEC + TL_LEG_PAUSE_MIN);
    assert_int_equal(tl_leg_expiry(&l), 3 * TL_SEC + TL_LEG_PAUSE_MIN);
}

static void another_address_of_ours_is_told_as_a_move_once(void **state)
{
    (void)state;
    tl_leg l = open_leg(TL_SEC);
    tl_leg_news news;
    tl_time now = tl_leg_expiry(&l);
    tl_stun q = question(&l, now), answer = answer_to(&q, &here);
    assert_true(tl_leg_on_answer(&l, &answer, now, &news));
    assert_int_equal(news, TL_LEG_SAME);
    now = tl_leg_expiry(&l);
    q = question(&l, now);
    answer = answer_to(&q, &there);
    assert_true(tl_leg_on_answer(&l, &answer, now, &news));
    assert_int_equal(news, TL_LEG_MOVED);
    assert_true(tl_addr_eq(&l.seen, &there));
    now = tl_leg_expiry(&l);
    q = question(&l, now);
    answer = answer_to(&q, &there);
    assert_true(tl_leg_on_answer(&l, &answer, now, &news));
    assert_int_equal(news, TL_LEG_SAME);
}

int main(void)
{
    rng = tl_rand_seeded(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leg_that_nobody_needs_asks_nothing),
        cmocka_unit_test(an_answer_opens_it_and_tells_our_address_and_the_round_trip),
        cmocka_unit_test(only_an_answer_to_our_question_counts),
        cmocka_unit_test(silence_shuts_it_and_it_is_asked_again_after_pauses_that_double),
        cmocka_unit_test(a_doubt_asks_at_once_and_finds_silence_within_its_patience),
        cmocka_unit_test(another_address_of_ours_is_told_as_a_move_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
