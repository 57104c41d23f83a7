/* Until the first byte nothing is lost: who is silent is overtaken, who works is not, and whoever
 * gives the first byte has the question. */
#include "router_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ASKED   (2500 * TL_MS)
#define DIALLED (1 * TL_SEC)
#define WORKING (5 * TL_SEC)

static unsigned asking(router_scene *s, unsigned who)
{
    tl_node_id id = router_scene_id(who);
    return tl_peer_table_find(&s->table, &id)->asking;
}

static const tl_router_counters *counters(router_scene *s)
{
    return tl_router_counters_of(s->router);
}

/* Peers 2, 3, 4, ... that serve "m", asked in this order; all of them connected, or none. */
static void begin(router_scene *s, listener *l, unsigned n, bool connected)
{
    router_scene_init(s);
    *l = (listener){0};
    for (unsigned who = 2; who < 2 + n; who++) {
        (void)router_scene_peer(s, who, "m")->tier;
        s->facts[who] = (peer_fact){connected, who * TL_MS};
        tl_node_id id = router_scene_id(who);
        tl_peer_table_find(&s->table, &id)->tier = (int)who;
    }
    router_scene_ask(s, l, "m");
}

static void finish(router_scene *s, listener *l)
{
    listener_clear(l);
    router_scene_clear(s);
}

/* After exactly this time another one is asked, and not before. */
static void check_overtaken_after(router_scene *s, tl_time time)
{
    size_t before = s->n_providers;
    assert_true(tl_router_expiry(s->router) <= s->env.now + time);
    router_scene_pass(s, time - 1);
    assert_asked(s, before);
    router_scene_pass(s, 1);
    assert_asked(s, before + 1);
}

static void check_not_overtaken_within(router_scene *s, tl_time time)
{
    size_t before = s->n_providers;
    for (tl_time t = 0; t < time; t += 100 * TL_MS)
        router_scene_pass(s, 100 * TL_MS);
    assert_asked(s, before);
}

/* --- who is overtaken --- */

static void one_that_gives_no_sign_of_life_is_overtaken(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, 2, true);
    check_overtaken_after(&s, ASKED);
    (void)router_scene_at(&s, 3);
    assert_false(s.providers[0].over); /* it may still come */
    assert_int_equal(asking(&s, 2) + asking(&s, 3), 2);
    assert_int_equal(counters(&s)->overtaken, 1);
    assert_int_equal(counters(&s)->retried, 0);
    finish(&s, &l);

    begin(&s, &l, 2, false); /* nor a connection */
    check_overtaken_after(&s, DIALLED);
    finish(&s, &l);

    begin(&s, &l, 2, false); /* one that came about in time */
    router_scene_pass(&s, DIALLED - 1);
    s.facts[2].connected = true;
    router_scene_pass(&s, 1);
    check_overtaken_after(&s, ASKED - DIALLED);
    finish(&s, &l);
}

static void one_that_says_that_it_works_is_not_until_the_limit_for_the_first_byte(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, 2, true);
    tl_time asked_at = s.env.now;
    while (s.env.now < asked_at + 296 * TL_SEC) {
        provider_progress(router_scene_at(&s, 2));
        check_not_overtaken_within(&s, 2 * TL_SEC);
    }
    provider_progress(router_scene_at(&s, 2));
    router_scene_pass(&s, asked_at + 300 * TL_SEC - s.env.now);
    assert_asked(&s, 2);
    assert_false(s.providers[0].over);
    finish(&s, &l);

    begin(&s, &l, 2, true); /* its twin falls silent */
    provider_progress(router_scene_at(&s, 2));
    check_overtaken_after(&s, WORKING);
    finish(&s, &l);
}

static void after_a_head_only_one_that_served_well_is_taken_at_its_word(void **state)
{
    (void)state;
    for (int served = 0; served < 2; served++) {
        router_scene s;
        listener l;
        begin(&s, &l, 0, true);
        listener_cancel(&l);
        l = (listener){0};
        for (unsigned who = 2; who < 4; who++) {
            (void)router_scene_peer(&s, who, "m");
            if (served)
                router_scene_served(&s, who);
        }
        router_scene_ask(&s, &l, "m");
        provider *p = router_scene_at(&s, 2);
        provider_head(p);
        if (served) {
            for (int i = 0; i < 20; i++) {
                router_scene_pass(&s, 2 * TL_SEC);
                provider_progress(p);
            }
            assert_asked(&s, 1);
        } else {
            router_scene_pass(&s, 2 * TL_SEC);
            provider_progress(p);
            router_scene_pass(&s, ASKED - 2 * TL_SEC);
            assert_asked(&s, 2);
        }
        finish(&s, &l);
    }
}

static void the_model_server_here_and_a_named_peer_are_never_overtaken(void **state)
{
    (void)state;
    for (int named = 0; named < 2; named++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        (void)router_scene_peer(&s, 2, "m");
        (void)router_scene_peer(&s, 3, "m");
        s.models[0] = named ? NULL : "m";
        tl_ask ask = named ? router_scene_question_to("m", 2) : router_scene_question("m");
        router_scene_ask_full(&s, &l, &ask);
        check_not_overtaken_within(&s, 20 * TL_SEC);
        finish(&s, &l);
    }
}

static void while_the_client_reads_nothing_nobody_is_overtaken(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, 2, true);
    listener_pause(&l, true);
    check_not_overtaken_within(&s, 5 * TL_SEC);
    listener_pause(&l, false);
    check_overtaken_after(&s, ASKED);
    finish(&s, &l);
}

static void where_nobody_else_is_known_the_relay_is_asked_once(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, 1, true);
    router_scene_pass(&s, ASKED);
    assert_int_equal(s.discovers, 1);
    assert_string_equal(s.discovered, "m");
    router_scene_discovered(&s, "m"); /* in vain */
    provider_progress(router_scene_at(&s, 2));
    router_scene_pass(&s, 5 * TL_SEC);
    assert_int_equal(s.discovers, 2);
    assert_string_equal(s.discovered, "m:latest");
    router_scene_discovered(&s, "m:latest"); /* in vain, too */
    provider_progress(router_scene_at(&s, 2));
    router_scene_pass(&s, 10 * TL_SEC);
    assert_int_equal(s.discovers, 2);
    (void)router_scene_peer(&s, 3, "m"); /* comes to be known some other way */
    router_scene_pass(&s, 5 * TL_SEC);
    (void)router_scene_at(&s, 3);
    finish(&s, &l);

    begin(&s, &l, 1, true);
    router_scene_pass(&s, ASKED);
    (void)router_scene_peer(&s, 3, "m");
    router_scene_discovered(&s, "m");
    router_scene_pass(&s, 0);
    (void)router_scene_at(&s, 3);
    finish(&s, &l);
}

/* --- how many --- */

static void
two_at_most_have_the_question_and_one_that_is_not_even_connected_makes_room(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, 5, false);
    for (unsigned i = 1; i < 5; i++) {
        check_overtaken_after(&s, DIALLED);
        unsigned under_way = 0;
        for (unsigned who = 0; who < s.n_providers; who++)
            under_way += !s.providers[who].over;
        assert_int_equal(under_way, 2);
        assert_true(i < 2 || s.providers[i - 2].cancelled); /* the oldest */
    }
    finish(&s, &l);
}

static void
connected_ones_make_room_after_five_seconds_and_those_with_a_head_after_ten(void **state)
{
    (void)state;
    for (int heads = 0; heads < 2; heads++) {
        router_scene s;
        listener l;
        begin(&s, &l, 3, true);
        if (heads)
            provider_head(router_scene_at(&s, 2));
        check_overtaken_after(&s, ASKED);
        if (heads)
            provider_head(router_scene_at(&s, 3));
        check_overtaken_after(&s, (heads ? 10 : 5) * TL_SEC - ASKED);
        assert_true(s.providers[0].cancelled);
        assert_false(s.providers[1].over);
        finish(&s, &l);
    }
}

static void
a_question_that_nobody_gives_a_sign_of_is_asked_of_nobody_new_after_six_seconds(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        router_scene s;
        listener l;
        begin(&s, &l, 1, true);
        s.discover_err = TL_ERR_CLOSED;
        router_scene_pass(&s, ASKED);
        router_scene_pass(&s, late ? 3500 * TL_MS : 3500 * TL_MS - 1);
        (void)router_scene_peer(&s, 3, "m");
        tl_router_on_discovered(s.router, "m", true);
        router_scene_pass(&s, late ? 20 * TL_SEC : 5 * TL_SEC);
        assert_asked(&s, 1);
        finish(&s, &l);
    }
}

static void eight_are_asked_in_all_and_the_last_two_are_waited_for(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, 10, false);
    for (int i = 0; i < 100; i++)
        router_scene_pass(&s, 100 * TL_MS);
    assert_asked(&s, 6); /* six seconds without any sign are over */
    finish(&s, &l);

    begin(&s, &l, 10, true);
    for (unsigned i = 0; i < 7; i++) {
        provider_head(&s.providers[s.n_providers - 1]); /* and nothing more */
        for (int j = 0; j < 100 && s.n_providers < i + 2; j++)
            router_scene_pass(&s, 100 * TL_MS);
    }
    assert_asked(&s, 8);
    router_scene_pass(&s, TL_MIN);
    assert_asked(&s, 8);
    assert_false(s.providers[7].over || s.providers[6].over);
    assert_true(s.providers[5].cancelled);
    finish(&s, &l);
}

/* --- who wins --- */

static void the_first_byte_wins_and_the_other_is_left(void **state)
{
    (void)state;
    for (unsigned winner = 0; winner < 2; winner++) {
        router_scene s;
        listener l;
        begin(&s, &l, 2, true);
        router_scene_pass(&s, ASKED);
        provider *won = &s.providers[winner], *lost = &s.providers[1 - winner];
        provider_head(lost); /* a head is no byte */
        provider_head(won);
        assert_true(listener_heard_nothing(&l));
        provider_body(won, "hello");
        assert_int_equal(l.head.peer.key[0], won->who);
        assert_true(lost->cancelled);
        assert_int_equal(asking(&s, won->who), 1);
        assert_int_equal(asking(&s, lost->who), 0);
        router_scene_pass(&s, TL_MIN);
        assert_asked(&s, 2);
        provider_body(won, " world");
        provider_end(won);
        assert_int_equal(l.calls[ON_END], 1);
        assert_true(listener_body_is(&l, "hello world"));
        assert_int_equal(s.done_by, won->who);
        finish(&s, &l);
    }
}

static void an_answer_without_a_body_wins_too(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, 2, true);
    router_scene_pass(&s, ASKED);
    provider_head(&s.providers[1]);
    provider_end(&s.providers[1]);
    assert_int_equal(l.calls[ON_END], 1);
    assert_true(s.providers[0].cancelled);
    finish(&s, &l);
}

static void a_failure_is_told_when_nobody_else_has_the_question(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 2; first++) {
        router_scene s;
        listener l;
        begin(&s, &l, 2, true);
        s.relay_hopeless = "off";
        router_scene_pass(&s, ASKED);
        provider_fail(&s.providers[first], TL_FAIL_INTERNAL, "one");
        assert_true(listener_heard_nothing(&l));
        provider_fail(&s.providers[1 - first], TL_FAIL_INTERNAL, "two");
        assert_int_equal(l.calls[ON_FAIL], 1);
        assert_string_equal(l.message, first == 0 ? "peer 0300000000000000: two"
                                                  : "peer 0200000000000000: two");
        finish(&s, &l);
    }
}

static void where_one_of_two_fails_a_third_is_asked_if_the_other_is_silent(void **state)
{
    (void)state;
    for (int working = 0; working < 2; working++) {
        router_scene s;
        listener l;
        begin(&s, &l, 3, true);
        router_scene_pass(&s, ASKED);
        if (working)
            provider_progress(&s.providers[0]);
        provider_fail(&s.providers[1], TL_FAIL_INTERNAL, "one");
        assert_asked(&s, working ? 2 : 3);
        finish(&s, &l);
    }
}

/* --- what it costs them --- */

/* Who is asked next, of all that are known. */
static unsigned next_asked(router_scene *s)
{
    listener l = {0};
    router_scene_ask(s, &l, "m");
    unsigned who = s->providers[s->n_providers - 1].who;
    listener_cancel(&l);
    return who;
}

static void who_was_silent_while_another_answered_stands_behind(void **state)
{
    (void)state;
    enum { SILENT, WORKED, OVERTOOK };
    for (int how = SILENT; how <= OVERTOOK; how++) {
        router_scene s;
        listener l;
        begin(&s, &l, 3, true);
        router_scene_pass(&s, ASKED);
        provider *won = &s.providers[how == OVERTOOK ? 0 : 1];
        if (how == WORKED)
            provider_progress(&s.providers[0]);
        provider_head(won);
        provider_body(won, "x");
        listener_cancel(&l); /* no praise */
        assert_int_equal(next_asked(&s), how == SILENT ? 3 : 2);
        router_scene_pass(&s, 10 * TL_SEC);
        assert_int_equal(next_asked(&s), 2); /* the penalty is over */
        finish(&s, &l);
    }
}

static void every_failure_costs_its_time_and_a_whole_answer_clears_it(void **state)
{
    (void)state;
    static const struct {
        tl_fail fail;
        unsigned secs;
    } rows[] = {
        {TL_FAIL_PEER_FAILED, 5},   {TL_FAIL_TIMEOUT, 10},         {TL_FAIL_INTERNAL, 5},
        {TL_FAIL_BACKEND_ERROR, 5}, {TL_FAIL_QUEUE_FULL, 2},       {TL_FAIL_UNAVAILABLE, 2},
        {TL_FAIL_FORBIDDEN, 2},     {TL_FAIL_MODEL_NOT_LOADED, 2}, {TL_FAIL_CANCELLED, 5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        router_scene s;
        listener l;
        begin(&s, &l, 2, true);
        listener_cancel(&l);
        for (unsigned times = 1; times <= 2; times++) {
            router_scene_failed(&s, 2, rows[i].fail);
            router_scene_pass(&s, times * rows[i].secs * TL_SEC - 1);
            assert_int_equal(next_asked(&s), 3);
            router_scene_pass(&s, 1);
            assert_int_equal(next_asked(&s), 2);
        }
        router_scene_failed(&s, 2, rows[i].fail);
        router_scene_served(&s, 2);
        assert_int_equal(next_asked(&s), 2);
        finish(&s, &l);
    }
}

static void an_answer_that_says_no_is_no_merit(void **state)
{
    (void)state;
    for (int status = 200; status <= 404; status += 204) {
        router_scene s;
        listener l;
        begin(&s, &l, 2, true);
        provider *p = router_scene_at(&s, 2);
        tl_answer_head head = {.status = status, .peer = p->ask.peer};
        p->sink.on_head(p->user, &head);
        provider_end(p);
        s.facts[2].rtt = TL_SEC; /* the farther one now: only its merit can speak for it */
        assert_int_equal(next_asked(&s), status == 200 ? 2 : 3);
        finish(&s, &l);
    }
}

static void who_broke_off_in_the_middle_stands_behind(void **state)
{
    (void)state;
    for (int broke = 0; broke < 2; broke++) {
        router_scene s;
        listener l;
        begin(&s, &l, 2, true);
        provider *p = router_scene_at(&s, 2);
        provider_head(p);
        provider_body(p, "x");
        if (broke)
            provider_fail(p, TL_FAIL_PEER_FAILED, "broken");
        else
            listener_cancel(&l);
        assert_int_equal(next_asked(&s), broke ? 3 : 2);
        finish(&s, &l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_gives_no_sign_of_life_is_overtaken),
        cmocka_unit_test(one_that_says_that_it_works_is_not_until_the_limit_for_the_first_byte),
        cmocka_unit_test(after_a_head_only_one_that_served_well_is_taken_at_its_word),
        cmocka_unit_test(the_model_server_here_and_a_named_peer_are_never_overtaken),
        cmocka_unit_test(while_the_client_reads_nothing_nobody_is_overtaken),
        cmocka_unit_test(where_nobody_else_is_known_the_relay_is_asked_once),
        cmocka_unit_test(
            two_at_most_have_the_question_and_one_that_is_not_even_connected_makes_room),
        cmocka_unit_test(
            connected_ones_make_room_after_five_seconds_and_those_with_a_head_after_ten),
        cmocka_unit_test(
            a_question_that_nobody_gives_a_sign_of_is_asked_of_nobody_new_after_six_seconds),
        cmocka_unit_test(eight_are_asked_in_all_and_the_last_two_are_waited_for),
        cmocka_unit_test(the_first_byte_wins_and_the_other_is_left),
        cmocka_unit_test(an_answer_without_a_body_wins_too),
        cmocka_unit_test(a_failure_is_told_when_nobody_else_has_the_question),
        cmocka_unit_test(where_one_of_two_fails_a_third_is_asked_if_the_other_is_silent),
        cmocka_unit_test(who_was_silent_while_another_answered_stands_behind),
        cmocka_unit_test(every_failure_costs_its_time_and_a_whole_answer_clears_it),
        cmocka_unit_test(an_answer_that_says_no_is_no_merit),
        cmocka_unit_test(who_broke_off_in_the_middle_stands_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
