#include "market/bid.h"
#include "slots_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const slots_question a_private = {
    .private = true, .network = 1, .member = 1, .bid = -1, .prompt = 3, .generated = 4};
static const slots_question a_public = {.member = 9, .bid = 5, .prompt = 3, .generated = 4};

#define WAIT_MAX (300 * TL_SEC)

static tl_slots_facts facts(const slots_scene *s)
{
    tl_slots_facts f;
    tl_slots_facts_of(s->slots, &f);
    return f;
}

static void clear(listener *l, size_t n)
{
    for (size_t i = 0; i < n; i++)
        listener_clear(&l[i]);
}

/* --- the way of a question --- */

static void a_question_runs_at_once_where_a_slot_is_free_and_is_handed_on_as_it_is(void **state)
{
    (void)state;
    slots_scene s;
    listener l = {0};
    slots_question q = a_public;
    q.body = "{\"model\":\"m\",\"x\":1}";
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    slots_scene_ask(&s, &q, &l);
    served *v = slots_scene_served(&s, &l);
    assert_non_null(v);
    assert_true(tl_slice_eq(tl_buf_slice(&v->body), tl_slice_str(q.body)));
    assert_string_equal(v->ask.model, "m");
    assert_int_equal(tl_exchange_progress(l.exchange).position, 0);
    slots_scene_stream(&s, TL_MS, 4);
    assert_int_equal(l.calls[ON_HEAD], 1);
    assert_int_equal(l.calls[ON_END], 1);
    assert_int_equal(l.end.tokens_out, 4);
    clear(&l, 1);
    slots_scene_clear(&s);
}

static void a_question_waits_for_a_slot_and_knows_its_place(void **state)
{
    (void)state;
    slots_scene s;
    listener l[3] = {{0}};
    slots_question q = a_public;
    q.body = "{\"model\":\"m\",\"waits\":true}";
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    for (size_t i = 0; i < 3; i++)
        slots_scene_ask(&s, &q, &l[i]);
    assert_int_equal(s.n_running, 1);
    for (unsigned i = 1; i < 3; i++) {
        tl_progress p = tl_exchange_progress(l[i].exchange);
        assert_int_equal(p.position, i);
        assert_in_range(p.wait_seconds, 1, 3600);
    }
    slots_scene_stream(&s, TL_MS, 4); /* the first ends */
    assert_int_equal(s.n_running, 0);
    slots_scene_pass(&s, 0);
    assert_int_equal(s.n_running, 1);
    served *v = slots_scene_served(&s, &l[1]);
    assert_non_null(v);
    assert_true(tl_slice_eq(tl_buf_slice(&v->body), tl_slice_str(q.body)));
    assert_int_equal(tl_exchange_progress(l[1].exchange).position, 0);
    assert_int_equal(tl_exchange_progress(l[2].exchange).position, 1);
    while (l[2].exchange)
        slots_scene_stream(&s, TL_MS, 4);
    clear(l, 3);
    slots_scene_clear(&s);
}

static void a_pause_before_the_slot_holds_when_the_answer_comes(void **state)
{
    (void)state;
    slots_scene s;
    listener l[2] = {{0}};
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    slots_scene_ask(&s, &a_public, &l[0]);
    slots_scene_ask(&s, &a_public, &l[1]);
    listener_pause(&l[1], true);
    slots_scene_stream(&s, TL_MS, 4);
    slots_scene_stream(&s, TL_MS, 4);
    assert_true(slots_scene_served(&s, &l[1])->paused);
    listener_pause(&l[1], false);
    slots_scene_stream(&s, TL_MS, 4);
    assert_int_equal(l[1].calls[ON_END], 1);
    clear(l, 2);
    slots_scene_clear(&s);
}

static void a_cancelled_question_is_gone_at_once_waiting_or_running(void **state)
{
    (void)state;
    slots_scene s;
    listener l[3] = {{0}};
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    for (size_t i = 0; i < 3; i++)
        slots_scene_ask(&s, &a_public, &l[i]);
    listener_cancel(&l[1]);
    assert_int_equal(facts(&s).queued[TL_SCHED_PUBLIC], 1);
    assert_int_equal(tl_exchange_progress(l[2].exchange).position, 1);
    listener_cancel(&l[0]);
    assert_int_equal(s.n_running, 0);
    slots_scene_pass(&s, 0);
    assert_non_null(slots_scene_served(&s, &l[2]));
    listener_cancel(&l[2]);
    assert_int_equal(facts(&s).gave_up, 3);
    clear(l, 3);
    slots_scene_clear(&s);
}

static void cancel_it(listener *l)
{
    listener_cancel(l);
}

static void a_sink_may_cancel_inside_head_and_body(void **state)
{
    (void)state;
    static const listener_call calls[] = {ON_HEAD, ON_BODY};
    for (size_t i = 0; i < 2; i++) {
        slots_scene s;
        listener l = {
            .inside = {
                [ON_HEAD] = i == 0 ? cancel_it : NULL, [ON_BODY] = i == 1 ? cancel_it : NULL}};
        slots_scene_init(&s, 1, 4, WAIT_MAX);
        slots_scene_ask(&s, &a_public, &l);
        served *v = slots_scene_served(&s, &l);
        served_head(v, 200);
        if (i == 1)
            served_tokens(v, 1);
        assert_int_equal(l.calls[calls[i]], 1);
        assert_int_equal(s.n_running, 0);
        clear(&l, 1);
        slots_scene_clear(&s);
    }
}

/* --- when it cannot run --- */

static void a_full_queue_turns_away_with_the_seconds_until_a_place_is_likely(void **state)
{
    (void)state;
    slots_scene s;
    listener l[4] = {{0}};
    slots_scene_init(&s, 1, 2, WAIT_MAX);
    for (size_t i = 0; i < 4; i++)
        slots_scene_ask(&s, &a_public, &l[i]);
    slots_scene_pass(&s, 0);
    assert_int_equal(l[3].calls[ON_FAIL], 1);
    assert_int_equal(l[3].fail, TL_FAIL_QUEUE_FULL);
    assert_in_range(l[3].retry_after, 1, 3600);
    listener other = {0}; /* each class has its own queue */
    slots_scene_ask(&s, &a_private, &other);
    slots_scene_pass(&s, 0);
    assert_int_equal(other.calls[ON_FAIL], 0);
    for (size_t i = 0; i < 3; i++)
        listener_cancel(&l[i]);
    listener_cancel(&other);
    clear(l, 4);
    slots_scene_clear(&s);
}

static void who_has_most_in_a_full_queue_makes_room(void **state)
{
    (void)state;
    slots_scene s;
    listener l[3] = {{0}}, other = {0};
    slots_question another = a_public;
    another.member = a_public.member + 1;
    slots_scene_init(&s, 1, 2, WAIT_MAX);
    for (size_t i = 0; i < 3; i++) /* one runs, two wait */
        slots_scene_ask(&s, &a_public, &l[i]);
    slots_scene_ask(&s, &another, &other);
    slots_scene_pass(&s, 0);
    assert_int_equal(other.calls[ON_FAIL], 0);
    assert_int_equal(l[1].calls[ON_FAIL], 0);
    assert_int_equal(l[2].calls[ON_FAIL], 1);
    assert_int_equal(l[2].fail, TL_FAIL_QUEUE_FULL);
    assert_in_range(l[2].retry_after, 1, 3600);
    listener_cancel(&l[0]);
    listener_cancel(&l[1]);
    listener_cancel(&other);
    clear(l, 3);
    clear(&other, 1);
    slots_scene_clear(&s);
}

static void the_wait_is_computed_from_what_answers_took(void **state)
{
    (void)state;
    slots_scene s;
    listener l = {0};
    slots_question q = {.bid = 1, .generated = 1000};
    slots_scene_init(&s, 2, 64, WAIT_MAX);
    for (int i = 0; i < 100; i++) { /* answers of 20 s, one after the other */
        slots_scene_ask(&s, &q, &l);
        for (int t = 0; t < 20; t++)
            slots_scene_stream(&s, TL_SEC, 50);
        assert_null(l.exchange);
        listener_clear(&l);
        l = (listener){0};
    }
    assert_int_equal(facts(&s).wait_seconds[TL_SCHED_PUBLIC], 0);
    listener many[6] = {{0}};
    for (size_t i = 0; i < 6; i++)
        slots_scene_ask(&s, &q, &many[i]);
    /* four wait, the place of a new one is the fifth: 5 x 20 s / 2 slots */
    assert_in_range(facts(&s).wait_seconds[TL_SCHED_PUBLIC], 45, 55);
    assert_in_range(tl_exchange_progress(many[5].exchange).wait_seconds, 36, 44);
    for (size_t i = 0; i < 6; i++)
        listener_cancel(&many[i]);
    slots_scene_clear(&s);
}

static void no_question_waits_beyond_its_bound(void **state)
{
    (void)state;
    slots_scene s;
    listener l[2] = {{0}};
    slots_scene_init(&s, 1, 4, 10 * TL_SEC);
    slots_scene_ask(&s, &a_public, &l[0]);
    assert_int_equal(tl_slots_expiry(s.slots), TL_NEVER); /* it does not wait */
    slots_scene_pass(&s, TL_SEC);
    slots_scene_ask(&s, &a_public, &l[1]);
    assert_int_equal(tl_slots_expiry(s.slots), s.env.now + 10 * TL_SEC);
    slots_scene_pass(&s, 10 * TL_SEC - 1);
    assert_non_null(l[1].exchange);
    slots_scene_pass(&s, 1);
    assert_int_equal(l[1].fail, TL_FAIL_QUEUE_FULL);
    assert_in_range(l[1].retry_after, 1, 3600);
    assert_int_equal(facts(&s).late, 1);
    listener_cancel(&l[0]);
    slots_scene_clear(&s);
}

static void a_model_server_that_cannot_be_asked_fails_the_question_and_not_the_next(void **state)
{
    (void)state;
    static const struct {
        tl_err e;
        tl_fail fail;
    } rows[] = {{TL_ERR_NOMEM, TL_FAIL_UNAVAILABLE},
                {TL_ERR_CLOSED, TL_FAIL_UNAVAILABLE},
                {TL_ERR_NOT_FOUND, TL_FAIL_MODEL_NOT_LOADED}};
    for (size_t i = 0; i < 3; i++) {
        slots_scene s;
        listener l[2] = {{0}};
        slots_scene_init(&s, 1, 4, WAIT_MAX);
        s.refuses = rows[i].e;
        slots_scene_ask(&s, &a_public, &l[0]);
        s.refuses = TL_OK;
        slots_scene_pass(&s, 0);
        assert_int_equal(l[0].fail, rows[i].fail);
        slots_scene_ask(&s, &a_public, &l[1]);
        slots_scene_stream(&s, TL_MS, 4);
        assert_int_equal(l[1].calls[ON_END], 1);
        clear(l, 2);
        slots_scene_clear(&s);
    }
}

static void a_failure_of_the_model_server_is_handed_on_and_frees_the_slot(void **state)
{
    (void)state;
    slots_scene s;
    listener l[2] = {{0}};
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    slots_scene_ask(&s, &a_public, &l[0]);
    slots_scene_ask(&s, &a_public, &l[1]);
    served_fail(slots_scene_served(&s, &l[0]), TL_FAIL_BACKEND_ERROR);
    assert_int_equal(l[0].fail, TL_FAIL_BACKEND_ERROR);
    slots_scene_pass(&s, 0);
    slots_scene_stream(&s, TL_MS, 4);
    assert_int_equal(l[1].calls[ON_END], 1);
    clear(l, 2);
    slots_scene_clear(&s);
}

/* --- the owner takes the machine back --- */

static void closed_lets_what_runs_go_on_and_turns_the_others_away(void **state)
{
    (void)state;
    slots_scene s;
    listener l[3] = {{0}};
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    slots_scene_ask(&s, &a_private, &l[0]);
    slots_scene_ask(&s, &a_private, &l[1]);
    listener_quiet = true;
    tl_slots_close(s.slots, "paused", false);
    listener_quiet = false;
    slots_scene_ask(&s, &a_public, &l[2]);
    slots_scene_pass(&s, 0);
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(l[i].fail, TL_FAIL_UNAVAILABLE);
        assert_string_equal(l[i].message, "paused");
    }
    slots_scene_stream(&s, TL_MS, 4);
    assert_int_equal(l[0].calls[ON_END], 1);
    tl_slots_open(s.slots);
    assert_null(tl_slots_closed(s.slots));
    listener again = {0};
    slots_scene_ask(&s, &a_public, &again);
    slots_scene_stream(&s, TL_MS, 4);
    assert_int_equal(again.calls[ON_END], 1);
    clear(l, 3);
    clear(&again, 1);
    slots_scene_clear(&s);
}

static void closed_now_ends_what_runs_so_that_its_asker_goes_on_elsewhere(void **state)
{
    (void)state;
    slots_scene s;
    listener l = {0};
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    slots_scene_ask(&s, &a_private, &l);
    served *v = slots_scene_served(&s, &l);
    served_head(v, 200);
    served_tokens(v, 1);
    listener_quiet = true;
    tl_slots_close(s.slots, "paused", true);
    listener_quiet = false;
    assert_int_equal(s.n_running, 0); /* the model server is free at once */
    slots_scene_pass(&s, 0);
    assert_int_equal(l.fail, TL_FAIL_UNAVAILABLE);
    clear(&l, 1);
    slots_scene_clear(&s);
}

static void the_number_of_slots_may_change_at_any_time(void **state)
{
    (void)state;
    slots_scene s;
    listener l[4] = {{0}};
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    for (size_t i = 0; i < 4; i++)
        slots_scene_ask(&s, &a_public, &l[i]);
    tl_slots_set_config(s.slots, &(tl_slots_config){3, 4, WAIT_MAX});
    slots_scene_pass(&s, 0);
    assert_int_equal(s.n_running, 3);
    tl_slots_set_config(s.slots, &(tl_slots_config){1, 4, WAIT_MAX});
    slots_scene_stream(&s, TL_MS, 4); /* three end, and one slot is there */
    slots_scene_pass(&s, 0);
    assert_int_equal(s.n_running, 1);
    assert_non_null(slots_scene_served(&s, &l[3]));
    listener_cancel(&l[3]);
    clear(l, 4);
    slots_scene_clear(&s);
}

/* --- what is charged --- */

static void tokens_are_charged_as_they_stream_and_usage_corrects_them(void **state)
{
    (void)state;
    slots_scene s;
    listener l = {0};
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    slots_question q = {.bid = 1, .prompt = 9, .generated = 10, .body = "{\"model\":\"m\"}"};
    slots_scene_ask(&s, &q, &l);
    served *v = slots_scene_served(&s, &l);
    served_head(v, 200);
    served_tokens(v, 3);
    assert_int_equal(tl_slots_served(s.slots, TL_SCHED_PUBLIC), 4 + 6); /* of 13 bytes, and 3 */
    served_tokens(v, 1);
    assert_int_equal(tl_slots_served(s.slots, TL_SCHED_PUBLIC), 4 + 8);
    /* the server counts three tokens in those four pieces, and nine in the prompt */
    v->sink.on_body(v->user, TL_SLICE_LIT("data: {\"usage\":{\"prompt_tokens\":9,\"completion_"
                                          "tokens\":3}}\n\n"));
    served_end(v);
    assert_int_equal(tl_slots_served(s.slots, TL_SCHED_PUBLIC), 9 + 3 * 2);
    assert_int_equal(facts(&s).prompt[TL_SCHED_PUBLIC], 9);
    assert_int_equal(facts(&s).generated[TL_SCHED_PUBLIC], 3);
    assert_int_equal(facts(&s).generated[TL_SCHED_PRIVATE], 0);
    clear(&l, 1);
    slots_scene_clear(&s);
}

static void an_answer_without_usage_costs_its_deltas_and_a_quarter_of_the_question(void **state)
{
    (void)state;
    slots_scene s;
    listener l = {0};
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    s.tells_usage = false;
    slots_scene_ask(&s, &(slots_question){.generated = 5, .body = "{\"model\":\"m\"}"}, &l);
    slots_scene_stream(&s, TL_MS, 5);
    assert_int_equal(l.calls[ON_END], 1);
    assert_int_equal(tl_slots_served(s.slots, TL_SCHED_PUBLIC), 4 + 5 * 2); /* 13 bytes */
    clear(&l, 1);
    slots_scene_clear(&s);
}

static void who_hangs_up_pays_for_the_prompt_and_who_got_nothing_pays_nothing(void **state)
{
    (void)state;
    slots_scene s;
    listener l[3] = {{0}};
    slots_question q = {.generated = 5, .body = "{\"model\":\"m\"}"};
    slots_scene_init(&s, 3, 4, WAIT_MAX);
    for (size_t i = 0; i < 3; i++)
        slots_scene_ask(&s, &q, &l[i]);
    served_fail(slots_scene_served(&s, &l[0]), TL_FAIL_BACKEND_UNREACHABLE);
    served *refused = slots_scene_served(&s, &l[1]);
    served_head(refused, 400);
    served_tokens(refused, 2);
    served_end(refused);
    assert_int_equal(tl_slots_served(s.slots, TL_SCHED_PUBLIC), 0);
    listener_cancel(&l[2]);
    assert_int_equal(tl_slots_served(s.slots, TL_SCHED_PUBLIC), 4);
    clear(l, 3);
    slots_scene_clear(&s);
}

static void pictures_in_a_question_are_no_tokens(void **state)
{
    (void)state;
    slots_scene s;
    listener l = {0};
    size_t n = 1u << 20;
    char *body = malloc(n + 1);
    assert_non_null(body);
    memset(body, 'a', n);
    body[n] = 0;
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    s.tells_usage = false;
    slots_scene_ask(&s, &(slots_question){.generated = 1, .body = body}, &l);
    slots_scene_stream(&s, TL_MS, 5);
    assert_int_equal(tl_slots_served(s.slots, TL_SCHED_PUBLIC), TL_SLOTS_PROMPT_MAX + 2);
    free(body);
    clear(&l, 1);
    slots_scene_clear(&s);
}

/* --- who is next --- */

static void the_public_goes_by_the_maximum_and_without_one_by_the_price_that_stands(void **state)
{
    (void)state;
    slots_scene s;
    listener running = {0}, l[3] = {{0}};
    static const int64_t bids[] = {3, -1, 7};
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    slots_scene_ask(&s, &a_public, &running);
    for (size_t i = 0; i < 3; i++) {
        slots_question q = a_public;
        q.bid = bids[i];
        q.price = 1;
        slots_scene_ask(&s, &q, &l[i]);
    }
    assert_int_equal(tl_exchange_progress(l[2].exchange).position, 1);
    assert_int_equal(tl_exchange_progress(l[0].exchange).position, 2);
    assert_int_equal(tl_exchange_progress(l[1].exchange).position, 3);
    for (size_t i = 0; i < 3; i++)
        listener_cancel(&l[i]);
    listener_cancel(&running);
    slots_scene_clear(&s);
}

static void a_maximum_counts_to_sixteen_times_the_price_and_then_age(void **state)
{
    (void)state;
    static const struct {
        int64_t price, first, second;
        bool jumps; /* the second goes before the first */
    } rows[] = {
        {0, 5, TL_PRICE_MAX, false},
        {1, 16, TL_PRICE_MAX, false},
        {100, 1600, TL_PRICE_MAX, false},
        {100, 1599, TL_PRICE_MAX, true},
        {100, -1, 101, true},
        {100, 300, 299, false},
        {TL_PRICE_MAX, -1, TL_PRICE_MAX, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        slots_scene s;
        listener running = {0}, first = {0}, second = {0};
        slots_question q = a_public;
        slots_scene_init(&s, 1, 4, WAIT_MAX);
        slots_scene_ask(&s, &a_public, &running);
        q.price = rows[i].price;
        q.bid = rows[i].first;
        slots_scene_ask(&s, &q, &first);
        q.bid = rows[i].second;
        slots_scene_ask(&s, &q, &second);
        assert_int_equal(tl_exchange_progress(second.exchange).position, rows[i].jumps ? 1 : 2);
        listener_cancel(&first);
        listener_cancel(&second);
        listener_cancel(&running);
        slots_scene_clear(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_runs_at_once_where_a_slot_is_free_and_is_handed_on_as_it_is),
        cmocka_unit_test(a_question_waits_for_a_slot_and_knows_its_place),
        cmocka_unit_test(a_pause_before_the_slot_holds_when_the_answer_comes),
        cmocka_unit_test(a_cancelled_question_is_gone_at_once_waiting_or_running),
        cmocka_unit_test(a_sink_may_cancel_inside_head_and_body),
        cmocka_unit_test(a_full_queue_turns_away_with_the_seconds_until_a_place_is_likely),
        cmocka_unit_test(who_has_most_in_a_full_queue_makes_room),
        cmocka_unit_test(the_wait_is_computed_from_what_answers_took),
        cmocka_unit_test(no_question_waits_beyond_its_bound),
        cmocka_unit_test(a_model_server_that_cannot_be_asked_fails_the_question_and_not_the_next),
        cmocka_unit_test(a_failure_of_the_model_server_is_handed_on_and_frees_the_slot),
        cmocka_unit_test(closed_lets_what_runs_go_on_and_turns_the_others_away),
        cmocka_unit_test(closed_now_ends_what_runs_so_that_its_asker_goes_on_elsewhere),
        cmocka_unit_test(the_number_of_slots_may_change_at_any_time),
        cmocka_unit_test(tokens_are_charged_as_they_stream_and_usage_corrects_them),
        cmocka_unit_test(an_answer_without_usage_costs_its_deltas_and_a_quarter_of_the_question),
        cmocka_unit_test(who_hangs_up_pays_for_the_prompt_and_who_got_nothing_pays_nothing),
        cmocka_unit_test(pictures_in_a_question_are_no_tokens),
        cmocka_unit_test(the_public_goes_by_the_maximum_and_without_one_by_the_price_that_stands),
        cmocka_unit_test(a_maximum_counts_to_sixteen_times_the_price_and_then_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
