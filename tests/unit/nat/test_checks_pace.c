/* When a pair is asked, what an answer changes, and when silence means that it is lost. */
#include "pairs_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define DRAWS 20000 /* of a span with jitter: both ends are met to a thousandth */

static check_side *side(size_t i)
{
    return &c->sides[i];
}

static size_t valid(tl_pair_pace pace, tl_time rtt)
{
    size_t i = add_valid(TL_CANDIDATE_HOST, 1, rtt);
    c->pairs[i].pace = pace;
    return i;
}

static unsigned events(tl_checks_event_type type)
{
    tl_checks_event e;
    unsigned n = 0;
    while (tl_checks_next_event(c, &e))
        n += e.type == type;
    return n;
}

/* That span comes out of many draws between these two, and close to both. */
typedef struct {
    tl_time least, most;
} spread;

static void widen(spread *s, tl_time span)
{
    s->least = s->least ? tl_time_min(s->least, span) : span;
    s->most = tl_time_max(s->most, span);
}

static void expect_spread(const spread *s, tl_time least, tl_time most)
{
    tl_time near = (most - least) / 1000;
    assert_in_range(s->least, least, least + near);
    assert_in_range(s->most, most - near, most);
}

/* --- asking --- */

static void the_gaps_of_an_attempt_are_a_tenth_more_or_less(void **state)
{
    (void)state;
    static const tl_time gaps[] = {100, 200, 400, 800, 1000, 1000};
    for (unsigned tries = 0; tries < 6; tries++) {
        spread s = {0};
        for (int n = 0; n < DRAWS; n++) {
            c->n = c->last_id = 0;
            size_t i = add_candidate();
            side(i)->tries = tries;
            ask(i, 1, T0);
            assert_int_equal(side(i)->tries, tries < 5 ? tries + 1 : 5);
            widen(&s, side(i)->next_at - T0);
        }
        expect_spread(&s, gaps[tries] * TL_MS * 9 / 10, gaps[tries] * TL_MS * 11 / 10);
    }
}

static void a_question_is_noted_and_nothing_else_hurries(void **state)
{
    (void)state;
    size_t i = add_candidate();
    side(i)->at_once = true;
    ask(i, 77, T0);
    assert_int_equal(state_of(i), TL_PAIR_PROBING);
    assert_false(side(i)->at_once);
    assert_int_equal(side(i)->asked_at, T0);
    assert_int_equal(c->pairs[i].sent, 1);
    assert_int_equal(side(i)->unanswered, 0);
    ask(i, 78, T0 + TL_SEC);
    assert_int_equal(c->pairs[i].sent, 2);
    tl_check_give_up(c, i);
    ask(i, 79, T0 + TL_SEC);
    assert_int_equal(state_of(i), TL_PAIR_PROBING);
}

static void the_last_questions_are_kept_as_many_as_there_is_room_for(void **state)
{
    (void)state;
    size_t i = add_candidate();
    for (uint64_t last = 1; last <= 2 * CHECK_TXNS; last++) {
        ask(i, last, T0 + last);
        for (uint64_t id = last > CHECK_TXNS ? last - CHECK_TXNS + 1 : 1; id <= last; id++) {
            bool kept = false;
            for (size_t t = 0; t < CHECK_TXNS; t++)
                kept |= side(i)->txns[t].id == id && side(i)->txns[t].at == T0 + id;
            assert_true(kept);
        }
    }
}

static void a_lost_pair_is_asked_as_in_an_attempt_then_every_five_seconds_then_less(void **state)
{
    (void)state;
    size_t i = valid(TL_PACE_KEEP, TL_MS);
    tl_time lost = T0 + 3 * TL_SEC;
    lose(i, lost);
    assert_int_equal(side(i)->next_at, lost + CHECK_LOST_SOON);
    side(i)->tries = 4;
    ask(i, 1, lost + 1);
    assert_in_range(side(i)->next_at - lost - 1, 900 * TL_MS, 1100 * TL_MS);
    ask(i, 2, lost + TL_MIN - 1);
    assert_int_equal(side(i)->next_at, lost + TL_MIN - 1 + CHECK_LOST_SOON);
    ask(i, 3, lost + TL_MIN);
    assert_int_equal(side(i)->next_at, lost + TL_MIN + CHECK_LOST_LATE);
    assert_int_equal(state_of(i), TL_PAIR_LOST);
    assert_int_equal(side(i)->unanswered, 0);
}

/* RFC 6298: the timeout is rtt + 4 * rttvar. */
static void a_valid_pair_is_asked_again_after_its_timeout_at_most_four_times_a_second(void **state)
{
    (void)state;
    static const struct {
        unsigned rtt_ms, var_ms, wait_ms;
    } rows[] = {{20, 5, 50}, {30, 4, 50}, {60, 10, 100}, {100, 30, 220}, {200, 20, 250}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        c->n = c->last_id = 0;
        size_t i = valid(TL_PACE_KEEP, TL_MS);
        c->pairs[i].rtt = rows[k].rtt_ms * TL_MS;
        side(i)->rttvar = rows[k].var_ms * TL_MS;
        tl_time now = T0 + 10 * TL_SEC;
        ask(i, 1, now);
        assert_int_equal(side(i)->next_at, now + rows[k].wait_ms * TL_MS);
        assert_int_equal(side(i)->unanswered, 1);
        assert_int_equal(side(i)->unanswered_since, now);
        ask(i, 2, now + 1);
        assert_int_equal(side(i)->unanswered, 2);
        assert_int_equal(side(i)->unanswered_since, now); /* of the first */
    }
}

static void an_overdue_answer_is_asked_for_in_a_hurry(void **state)
{
    (void)state;
    size_t i = valid(TL_PACE_KEEP, TL_MS);
    c->pairs[i].rtt = 100 * TL_MS;
    side(i)->rttvar = 25 * TL_MS; /* the timeout is 200 ms, an eighth of it 25 ms */
    tl_time now = T0 + 10 * TL_SEC;
    ask(i, 1, now);
    ask(i, 2, now + 200 * TL_MS - 1);
    assert_int_equal(side(i)->next_at, now + 400 * TL_MS - 1);
    ask(i, 3, now + 200 * TL_MS);
    assert_int_equal(side(i)->next_at, now + 200 * TL_MS + CHECK_HURRY);
    c->pairs[i].rtt = 700 * TL_MS; /* 800 ms, an eighth is 100 ms */
    ask(i, 4, now + 800 * TL_MS);
    assert_int_equal(side(i)->next_at, now + 900 * TL_MS);
}

static void silence_under_traffic_is_told_once_when_it_lasts(void **state)
{
    (void)state;
    for (tl_pair_pace pace = TL_PACE_REST; pace <= TL_PACE_ACTIVE; pace++) {
        c->n = c->last_id = 0;
        size_t i = valid(pace, TL_MS);
        events(TL_CHECKS_SILENT);
        c->pairs[i].rtt = 100 * TL_MS;
        side(i)->rttvar = 25 * TL_MS; /* the timeout is 200 ms */
        tl_time now = T0 + 10 * TL_SEC, told = now + 200 * TL_MS + CHECK_SILENT;
        ask(i, 1, now);
        ask(i, 2, told - 1);
        assert_int_equal(events(TL_CHECKS_SILENT), 0);
        ask(i, 3, told);
        assert_int_equal(events(TL_CHECKS_SILENT), pace == TL_PACE_ACTIVE ? 1 : 0);
        ask(i, 4, told + 1);
        assert_int_equal(events(TL_CHECKS_SILENT), 0);
        answer(i, told, told + 2); /* and again after an answer */
        c->pairs[i].rtt = side(i)->rttvar = 0;
        ask(i, 5, told + TL_SEC);
        ask(i, 6, told + 2 * TL_SEC);
        assert_int_equal(events(TL_CHECKS_SILENT), pace == TL_PACE_ACTIVE ? 1 : 0);
    }
}

/* --- answers --- */

static void an_answer_makes_a_pair_valid_and_is_confirmed_twice(void **state)
{
    (void)state;
    size_t i = add_candidate();
    side(i)->at_once = true;
    ask(i, 1, T0);
    answer(i, T0, T0 + 30 * TL_MS);
    const tl_pair *p = &c->pairs[i];
    assert_int_equal(state_of(i), TL_PAIR_VALID);
    assert_int_equal(p->valid_since, T0 + 30 * TL_MS);
    assert_int_equal(p->heard, T0 + 30 * TL_MS);
    assert_int_equal(p->answered, 1);
    assert_int_equal(p->sent, 1);
    assert_int_equal(p->seen_as.port, 99);
    assert_int_equal(p->pace, TL_PACE_KEEP);
    assert_int_equal(events(TL_CHECKS_VALID), 1);
    assert_false(side(i)->at_once || side(i)->silent);
    for (tl_time n = 1; n <= CHECK_CONFIRMS; n++) {
        tl_time asked = side(i)->asked_at;
        assert_int_equal(side(i)->next_at, asked + CHECK_CONFIRM);
        ask(i, n + 1, asked + CHECK_CONFIRM);
        answer(i, asked + CHECK_CONFIRM, asked + CHECK_CONFIRM + 1);
        assert_int_equal(state_of(i), TL_PAIR_VALID);
    }
    assert_true(side(i)->next_at > side(i)->asked_at + 20 * TL_SEC);
    assert_int_equal(events(TL_CHECKS_VALID), 0);
}

static void an_answer_to_the_search_counts_as_a_question_of_the_pair(void **state)
{
    (void)state;
    size_t i = add_learned();
    answer(i, T0 + TL_SEC, T0 + 2 * TL_SEC);
    assert_int_equal(c->pairs[i].sent, 1);
    assert_int_equal(side(i)->asked_at, T0 + TL_SEC);
    answer(i, T0 + TL_SEC, T0 + 2 * TL_SEC); /* its own, asked then */
    answer(i, T0 + TL_MS, T0 + 2 * TL_SEC);  /* an earlier one */
    assert_int_equal(c->pairs[i].sent, 1);
    assert_int_equal(side(i)->asked_at, T0 + TL_SEC);
}

static void the_owners_pace_outlives_a_loss_of_the_pair_only_as_keeping(void **state)
{
    (void)state;
    size_t i = valid(TL_PACE_ACTIVE, TL_MS);
    side(i)->paced = true;
    lose(i, T0 + 3 * TL_SEC);
    assert_int_equal(c->pairs[i].pace, TL_PACE_KEEP);
    assert_int_equal(events(TL_CHECKS_LOST), 1);
    c->pairs[i].pace = TL_PACE_REST; /* said while it was lost */
    answer(i, T0 + 4 * TL_SEC, T0 + 5 * TL_SEC);
    assert_int_equal(c->pairs[i].pace, TL_PACE_REST);
    assert_int_equal(side(i)->next_at, T0 + 4 * TL_SEC + CHECK_CONFIRM);
}

/* RFC 6298 section 2. */
static void round_trips_are_smoothed(void **state)
{
    (void)state;
    size_t i = add_candidate();
    answer(i, T0, T0); /* 0 would say that nothing was measured */
    assert_int_equal(c->pairs[i].rtt, 1);
    c->pairs[i].rtt = 0;
    answer(i, T0, T0 + 800);
    assert_int_equal(c->pairs[i].rtt, 800);
    assert_int_equal(side(i)->rttvar, 400);
    answer(i, T0, T0 + 1600); /* off by 800 */
    assert_int_equal(side(i)->rttvar, 500);
    assert_int_equal(c->pairs[i].rtt, 900);
    answer(i, T0, T0 + 100); /* off by as much, the other way */
    assert_int_equal(side(i)->rttvar, 575);
    assert_int_equal(c->pairs[i].rtt, 800);

    /* the shortest is kept, while the pair is valid */
    assert_int_equal(c->pairs[i].least, 1);
    c->pairs[i].least = 0;
    answer(i, T0, T0 + 900);
    answer(i, T0, T0 + 700);
    answer(i, T0, T0 + 5000);
    assert_int_equal(c->pairs[i].least, 700);
    assert_int_not_equal(c->pairs[i].rtt, 700);
    lose(i, T0 + 10 * TL_SEC);
    assert_int_equal(c->pairs[i].least, 0);
    answer(i, T0 + 10 * TL_SEC, T0 + 10 * TL_SEC + 900);
    assert_int_equal(c->pairs[i].least, 900);
}

static void after_an_answer_later_questions_are_still_open_under_traffic(void **state)
{
    (void)state;
    for (int active = 0; active < 2; active++) {
        c->n = c->last_id = 0;
        size_t i = valid(active ? TL_PACE_ACTIVE : TL_PACE_KEEP, TL_MS);
        memset(side(i)->txns, 0, sizeof side(i)->txns);
        side(i)->txn_next = CHECK_TXNS - 2; /* so that they lie at both ends of the ring */
        tl_time now = T0 + 10 * TL_SEC;
        for (uint64_t id = 1; id <= 4; id++)
            ask(i, id, now + id);
        side(i)->txns[CHECK_TXNS - 1].id = 0; /* the second is answered */
        side(i)->silent = true;
        answer(i, now + 2, now + 5);
        assert_int_equal(side(i)->unanswered, active ? 2 : 0);
        if (active)
            assert_int_equal(side(i)->unanswered_since, now + 3);
        assert_false(side(i)->silent);
        assert_int_equal(side(i)->answered_at, now + 5);
        answer(i, now + 4, now + 6); /* the last: none is later */
        assert_int_equal(side(i)->unanswered, 0);
    }
}

/* The ring does not hold them in the order in which they were asked. */
static void the_oldest_open_question_is_found_wherever_it_lies(void **state)
{
    (void)state;
    size_t i = valid(TL_PACE_ACTIVE, TL_MS);
    tl_time now = T0 + 10 * TL_SEC;
    side(i)->txns[0] = (check_txn){5, now + 50};
    side(i)->txns[1] = (check_txn){3, now + 30};
    side(i)->txns[CHECK_TXNS - 1] = (check_txn){4, now + 40};
    side(i)->txns[2] = (check_txn){0, now + 20}; /* answered */
    side(i)->txns[3] = (check_txn){1, now + 10}; /* before the answered one */
    answer(i, now + 15, now + 60);
    assert_int_equal(side(i)->unanswered, 3);
    assert_int_equal(side(i)->unanswered_since, now + 30);
}

/* --- pace --- */

static void the_next_question_follows_the_pace(void **state)
{
    (void)state;
    size_t i = valid(TL_PACE_REST, TL_MS);
    tl_time asked = side(i)->asked_at = T0 + 10 * TL_SEC;
    tl_check_repace(c, i, T0);
    assert_int_equal(side(i)->next_at, TL_NEVER);
    c->pairs[i].pace = TL_PACE_ACTIVE;
    tl_check_repace(c, i, T0);
    assert_int_equal(side(i)->next_at, asked + CHECK_ACTIVE);
    /* overdue, because the way was idle: not between a question and its first token */
    tl_check_repace(c, i, asked + CHECK_ACTIVE + 7);
    assert_int_equal(side(i)->next_at, asked + CHECK_ACTIVE + 7 + CHECK_LATER);
    c->pairs[i].pace = TL_PACE_KEEP;
    spread s = {0};
    for (int n = 0; n < DRAWS; n++) {
        tl_check_repace(c, i, T0);
        widen(&s, side(i)->next_at - asked);
    }
    expect_spread(&s, c->keepalive * 9 / 10, c->keepalive);
}

/* A pair under traffic, asked at T0 and answered at once. */
static size_t paced(void)
{
    size_t i = valid(TL_PACE_ACTIVE, TL_MS);
    side(i)->asked_at = T0;
    tl_check_repace(c, i, T0);
    assert_int_equal(side(i)->next_at, T0 + CHECK_ACTIVE);
    return i;
}

static void a_question_of_the_peer_brings_ours_forward_when_half_of_the_wait_is_over(void **state)
{
    (void)state;
    size_t i = paced();
    tl_time half = T0 + CHECK_ACTIVE / 2;
    tl_check_on_asked(c, i, half - 1);
    assert_int_equal(side(i)->next_at, T0 + CHECK_ACTIVE);
    tl_check_on_asked(c, i, half);
    assert_int_equal(side(i)->next_at, half);
    assert_false(side(i)->at_once); /* it keeps its place among other pairs */
    ask(i, 5, half);
    answer(i, half, half + TL_MS);
    assert_int_equal(side(i)->next_at, half + CHECK_FOLLOW); /* the peer's comes before it */
    ask(i, 6, half + CHECK_FOLLOW);                          /* it did not come: this side leads */
    answer(i, half + CHECK_FOLLOW, half + CHECK_FOLLOW + TL_MS);
    assert_int_equal(side(i)->next_at, half + CHECK_FOLLOW + CHECK_ACTIVE);
}

static void
a_question_of_the_peer_brings_nothing_forward_beside_an_open_question_or_without_traffic(
    void **state)
{
    (void)state;
    size_t i = paced();
    ask(i, 5, T0 + CHECK_ACTIVE);
    tl_time next = side(i)->next_at;
    tl_check_on_asked(c, i, T0 + 2 * CHECK_ACTIVE - 1);
    assert_int_equal(side(i)->next_at, next);
    size_t quiet = valid(TL_PACE_KEEP, TL_MS);
    next = side(quiet)->next_at;
    tl_check_on_asked(c, quiet, T0 + TL_SEC);
    assert_int_equal(side(quiet)->next_at, next);
}

static void a_new_pace_changes_neither_open_questions_nor_other_states(void **state)
{
    (void)state;
    size_t i = valid(TL_PACE_KEEP, TL_MS), waiting = add(TL_CANDIDATE_HOST, 2);
    ask(i, 1, T0 + TL_SEC);
    tl_time planned = side(i)->next_at;
    c->pairs[i].pace = c->pairs[waiting].pace = TL_PACE_ACTIVE;
    tl_check_repace(c, i, T0 + TL_SEC);
    assert_int_equal(side(i)->next_at, planned);
    tl_check_repace(c, waiting, T0 + TL_SEC);
    assert_int_equal(side(waiting)->next_at, TL_NEVER);
}

static void a_new_pace_does_not_put_off_a_confirming_question(void **state)
{
    (void)state;
    size_t i = valid(TL_PACE_KEEP, TL_MS);
    side(i)->confirms = 1;
    side(i)->next_at = T0 + TL_SEC;
    tl_check_repace(c, i, T0);
    assert_int_equal(side(i)->next_at, T0 + TL_SEC);
    side(i)->confirms = 0;
    tl_check_repace(c, i, T0);
    assert_true(side(i)->next_at > T0 + 20 * TL_SEC);
}

/* --- judging --- */

/* Three questions, the first at T0 + 10 s; the last answer came `before` that. */
static size_t silent(tl_pair_pace pace, tl_time rtt, tl_time before)
{
    c->n = c->last_id = 0;
    size_t i = valid(pace, TL_MS);
    c->pairs[i].rtt = rtt;
    side(i)->answered_at = T0 + 10 * TL_SEC - before;
    for (uint64_t id = 1; id <= 3; id++)
        ask(i, id, T0 + 10 * TL_SEC + id - 1);
    return i;
}

static void a_silent_pair_is_lost_after_three_round_trips_at_least_750_ms_at_most_2_s(void **state)
{
    (void)state;
    static const struct {
        tl_pair_pace pace;
        unsigned rtt_ms, before_ms, lost_ms; /* after the first of its questions */
    } rows[] = {
        {TL_PACE_KEEP, 10, 100, 750},
        {TL_PACE_KEEP, 300, 100, 900},
        {TL_PACE_KEEP, 900, 100, 2000},
        {TL_PACE_REST, 300, 100, 900},
        /* the silence began with the last answer, if that was less than 250 ms before */
        {TL_PACE_ACTIVE, 10, 249, 750 - 249},
        {TL_PACE_ACTIVE, 300, 100, 900 - 100},
        /* else 250 ms before the first question */
        {TL_PACE_ACTIVE, 10, 250, 750 - 250},
        {TL_PACE_ACTIVE, 10, 5000, 750 - 250},
        {TL_PACE_ACTIVE, 900, 5000, 2000},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        size_t i = silent(rows[k].pace, rows[k].rtt_ms * TL_MS, rows[k].before_ms * TL_MS);
        tl_time at = T0 + 10 * TL_SEC + rows[k].lost_ms * TL_MS;
        assert_int_equal(tl_check_judge_at(c, i), at);
        tl_check_judge(c, i, at - 1);
        assert_int_equal(state_of(i), TL_PAIR_VALID);
        side(i)->at_once = true;
        tl_check_judge(c, i, at);
        assert_int_equal(state_of(i), TL_PAIR_LOST);
        assert_int_equal(side(i)->unanswered, 0);
        assert_false(side(i)->at_once);
        assert_int_equal(side(i)->lost_at, at);
    }
}

static void two_unanswered_questions_are_no_loss(void **state)
{
    (void)state;
    size_t i = silent(TL_PACE_KEEP, TL_MS, TL_SEC);
    side(i)->unanswered = CHECK_LOST_N - 1;
    assert_int_equal(tl_check_judge_at(c, i), TL_NEVER);
    tl_check_judge(c, i, T0 + TL_MIN);
    assert_int_equal(state_of(i), TL_PAIR_VALID);
    side(i)->unanswered = CHECK_LOST_N;
    tl_check_judge(c, i, T0 + TL_MIN);
    assert_int_equal(state_of(i), TL_PAIR_LOST);
}

static void only_an_address_that_a_check_taught_us_is_given_up(void **state)
{
    (void)state;
    size_t candidate = add_valid(TL_CANDIDATE_HOST, 1, TL_MS),
           learned = add_valid(TL_CANDIDATE_PEER_REFLEXIVE, 2, TL_MS),
           probing = add(TL_CANDIDATE_PEER_REFLEXIVE, 3);
    ask(probing, 1, T0);
    side(probing)->unanswered = CHECK_LOST_N;
    tl_time lost = T0 + 3 * TL_SEC;
    assert_int_equal(tl_check_judge_at(c, learned), TL_NEVER);
    lose(candidate, lost);
    lose(learned, lost);
    assert_int_equal(tl_check_judge_at(c, candidate), TL_NEVER);
    assert_int_equal(tl_check_judge_at(c, probing), TL_NEVER);
    assert_int_equal(tl_check_judge_at(c, learned), lost + CHECK_GIVE_UP);
    tl_check_judge(c, learned, lost + CHECK_GIVE_UP - 1);
    assert_int_equal(state_of(learned), TL_PAIR_LOST);
    tl_check_judge(c, learned, lost + CHECK_GIVE_UP);
    assert_int_equal(state_of(learned), TL_PAIR_FAILED);
    assert_int_equal(side(learned)->next_at, TL_NEVER);
}

/* --- a process that stood still --- */

static void what_was_in_flight_is_forgotten_and_what_is_in_use_is_asked(void **state)
{
    (void)state;
    static const tl_pair_pace paces[] = {TL_PACE_REST, TL_PACE_KEEP, TL_PACE_ACTIVE};
    tl_time now = T0 + TL_MIN;
    for (size_t k = 0; k < 3; k++) {
        size_t i = silent(paces[k], TL_MS, TL_SEC);
        side(i)->silent = true;
        tl_check_on_stood(c, i, 10 * TL_SEC, now);
        assert_int_equal(side(i)->next_at, paces[k] == TL_PACE_REST ? TL_NEVER : now);
        assert_int_equal(side(i)->unanswered, 0);
        assert_int_equal(side(i)->answered_at, now);
        assert_false(side(i)->silent);
        for (size_t t = 0; t < CHECK_TXNS; t++)
            assert_int_equal(side(i)->txns[t].id, 0);
        assert_int_equal(tl_check_judge_at(c, i), TL_NEVER);
    }
}

static void plans_move_by_as_long_as_it_stood(void **state)
{
    (void)state;
    size_t probing = add(TL_CANDIDATE_HOST, 1), waiting = add(TL_CANDIDATE_HOST, 2),
           lost = add_valid(TL_CANDIDATE_PEER_REFLEXIVE, 3, TL_MS);
    ask(probing, 1, T0);
    lose(lost, T0 + 3 * TL_SEC);
    tl_time planned = side(probing)->next_at, again = side(lost)->next_at;
    for (size_t i = 0; i < c->n; i++)
        tl_check_on_stood(c, i, 10 * TL_SEC, T0 + TL_MIN);
    assert_int_equal(side(probing)->next_at, planned + 10 * TL_SEC);
    assert_int_equal(side(waiting)->next_at, TL_NEVER);
    assert_int_equal(side(lost)->next_at, again + 10 * TL_SEC);
    assert_int_equal(tl_check_judge_at(c, lost), T0 + 13 * TL_SEC + CHECK_GIVE_UP);
    assert_int_equal(side(probing)->lost_at, 0);
}

/* --- events --- */

static void events_come_in_order_and_no_more_than_there_is_room_for(void **state)
{
    (void)state;
    tl_checks_event e;
    for (unsigned round = 0; round < 3; round++) { /* the ring begins elsewhere each time */
        for (uint16_t n = 1; n <= CHECK_EVENTS + 5; n++)
            tl_check_event(c, TL_CHECKS_LOST, n);
        for (uint16_t n = 1; n <= CHECK_EVENTS; n++) {
            assert_true(tl_checks_next_event(c, &e));
            assert_int_equal(e.pair, n);
            assert_int_equal(e.type, TL_CHECKS_LOST);
        }
        assert_false(tl_checks_next_event(c, &e));
        tl_check_event(c, TL_CHECKS_VALID, 7);
        assert_true(tl_checks_next_event(c, &e));
        assert_int_equal(e.type, TL_CHECKS_VALID);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, pairs_setup, pairs_teardown)
    const struct CMUnitTest tests[] = {
        T(the_gaps_of_an_attempt_are_a_tenth_more_or_less),
        T(a_question_is_noted_and_nothing_else_hurries),
        T(the_last_questions_are_kept_as_many_as_there_is_room_for),
        T(a_lost_pair_is_asked_as_in_an_attempt_then_every_five_seconds_then_less),
        T(a_valid_pair_is_asked_again_after_its_timeout_at_most_four_times_a_second),
        T(an_overdue_answer_is_asked_for_in_a_hurry),
        T(silence_under_traffic_is_told_once_when_it_lasts),
        T(an_answer_makes_a_pair_valid_and_is_confirmed_twice),
        T(an_answer_to_the_search_counts_as_a_question_of_the_pair),
        T(the_owners_pace_outlives_a_loss_of_the_pair_only_as_keeping),
        T(round_trips_are_smoothed),
        T(after_an_answer_later_questions_are_still_open_under_traffic),
        T(the_oldest_open_question_is_found_wherever_it_lies),
        T(the_next_question_follows_the_pace),
        T(a_question_of_the_peer_brings_ours_forward_when_half_of_the_wait_is_over),
        T(a_question_of_the_peer_brings_nothing_forward_beside_an_open_question_or_without_traffic),
        T(a_new_pace_changes_neither_open_questions_nor_other_states),
        T(a_new_pace_does_not_put_off_a_confirming_question),
        T(a_silent_pair_is_lost_after_three_round_trips_at_least_750_ms_at_most_2_s),
        T(two_unanswered_questions_are_no_loss),
        T(only_an_address_that_a_check_taught_us_is_given_up),
        T(what_was_in_flight_is_forgotten_and_what_is_in_use_is_asked),
        T(plans_move_by_as_long_as_it_stood),
        T(events_come_in_order_and_no_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
