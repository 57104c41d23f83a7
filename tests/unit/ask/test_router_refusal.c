/* What a user sees when providers fail: nothing, if another one answers; else what the last one said,
 * and whose server it was. */
#include "ask/refusal.h"
#include "router_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NO_ROOM "{\"error\":{\"message\":\"slow down\",\"code\":\"busy\"}}"

static void begin(router_scene *s, listener *l, bool streaming, unsigned peers)
{
    tl_ask ask = router_scene_question("m");
    ask.streaming = streaming;
    router_scene_init(s);
    s->relay_hopeless = "off";
    for (unsigned who = 2; who < 2 + peers; who++)
        (void)router_scene_peer(s, who, "m");
    *l = (listener){0};
    router_scene_ask_full(s, l, &ask);
}

static void finish(router_scene *s, listener *l)
{
    router_scene_clear(s);
    listener_clear(l);
}

static void refuse(provider *p, int status, const char *body)
{
    provider_head_of(p, status, "application/json");
    provider_body(p, body);
    provider_end(p);
}

static void a_refusal_of_a_model_server_is_followed_by_another_provider(void **state)
{
    (void)state;
    static const int passed[] = {400, 413, 422}, refused[] = {404, 429};
    for (int streaming = 0; streaming < 2; streaming++) {
        router_scene s;
        listener l;
        for (size_t i = 0; i < 2; i++) {
            begin(&s, &l, streaming, 2);
            refuse(router_scene_at(&s, 2), refused[i], NO_ROOM);
            assert_true(listener_heard_nothing(&l));
            provider *p = router_scene_at(&s, 3);
            provider_head(p);
            provider_body(p, "yes");
            provider_end(p);
            assert_int_equal(l.head.status, 200);
            assert_int_equal(l.head.peer.key[0], 3);
            assert_true(listener_body_is(&l, "yes"));
            assert_int_equal(s.done, TL_FAIL_COUNT);
            finish(&s, &l);
        }
        for (size_t i = 0; i < 3; i++) { /* the question is at fault, whoever is asked */
            begin(&s, &l, streaming, 2);
            refuse(router_scene_at(&s, 2), passed[i], NO_ROOM);
            assert_int_equal(l.head.status, passed[i]);
            assert_true(listener_body_is(&l, NO_ROOM));
            assert_int_equal(l.calls[ON_END], 1);
            assert_asked(&s, 1);
            finish(&s, &l);
        }
    }
}

static void the_last_refusal_is_shown_when_nobody_else_is_left_and_says_whose_it_is(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, true, 2);
    tl_peer *anna = tl_peer_table_find(&s.table, &(tl_node_id){{3}});
    snprintf(anna->name, sizeof anna->name, "anna");
    refuse(router_scene_at(&s, 2), 404, "{}");
    refuse(router_scene_at(&s, 3), 429, NO_ROOM);
    assert_int_equal(l.head.status, 429);
    assert_int_equal(l.head.peer.key[0], 3);
    assert_string_equal(l.head.retry_after, "7");
    assert_string_equal(l.head.content_type, "application/json");
    assert_true(listener_body_is(
        &l, "{\"error\":{\"message\":\"the model server of peer \\\"anna\\\" (0300000000000000) "
            "answers with status 429: slow down\",\"code\":\"busy\"}}"));
    assert_int_equal(l.calls[ON_END], 1);
    assert_int_equal(s.done, TL_FAIL_QUEUE_FULL);
    assert_int_equal(tl_router_counters_of(s.router)->failed, 1);
    assert_int_equal(tl_router_counters_of(s.router)->answered, 0);
    finish(&s, &l);
}

static void a_refusal_of_ones_own_server_passes_as_it_is(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    s.relay_hopeless = "off";
    s.models[0] = "m";
    router_scene_ask(&s, &l, "m");
    provider *p = router_scene_at(&s, OWN);
    provider_head_of(p, 404, "text/plain");
    provider_body(p, "404 page not found");
    provider_end(p);
    assert_int_equal(l.head.status, 404);
    assert_string_equal(l.head.content_type, "text/plain");
    assert_int_equal(l.head.via, TL_VIA_LOCAL);
    assert_true(listener_body_is(&l, "404 page not found"));
    finish(&s, &l);
}

static void what_fails_says_whose_it_is_by_the_owners_word_first(void **state)
{
    (void)state;
    static const struct {
        const char *alias, *name, *said;
    } rows[] = {{"gpu", "vm", "peer [gpu] \"vm\" (0300000000000000): it broke"},
                {"gpu", "", "peer [gpu] (0300000000000000): it broke"},
                {NULL, "vm", "peer \"vm\" (0300000000000000): it broke"},
                {NULL, "x\" [gpu] \"y", "peer \"x' 'gpu' 'y\" (0300000000000000): it broke"},
                {NULL, "", "peer 0300000000000000: it broke"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        router_scene s;
        listener l;
        begin(&s, &l, true, 2);
        s.alias = rows[i].alias;
        tl_peer *p = tl_peer_table_find(&s.table, &(tl_node_id){{3}});
        snprintf(p->name, sizeof p->name, "%s", rows[i].name);
        provider_fail(router_scene_at(&s, 2), TL_FAIL_BACKEND_ERROR, "it broke");
        provider_fail(router_scene_at(&s, 3), TL_FAIL_BACKEND_ERROR, "it broke");
        assert_string_equal(l.message, rows[i].said);
        finish(&s, &l);
    }
}

static void what_a_peer_calls_this_node_is_that_peer(void **state)
{
    (void)state;
    static const struct {
        const char *message, *said;
    } rows[] = {
        {"this node does not serve the model", "it does not serve \"m\""},
        {"this node does not serve the model now", "it does not serve \"m\" now"},
        {"this node's queue is full", "its queue is full"},
        {"this node is shutting down", "it is shutting down"},
        {"nothing of this node", "nothing of this node"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        router_scene s;
        listener l;
        char said[128];
        begin(&s, &l, true, 2);
        provider_fail(router_scene_at(&s, 2), TL_FAIL_MODEL_NOT_LOADED, rows[i].message);
        provider_fail(router_scene_at(&s, 3), TL_FAIL_MODEL_NOT_LOADED, rows[i].message);
        snprintf(said, sizeof said, "peer 0300000000000000: %s", rows[i].said);
        assert_string_equal(l.message, said);
        finish(&s, &l);
    }
}

static void of_a_refusal_and_a_failure_the_later_is_shown(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, true, 2);
    refuse(router_scene_at(&s, 2), 429, NO_ROOM);
    provider_fail(router_scene_at(&s, 3), TL_FAIL_BACKEND_ERROR,
                  "the model server failed with status 503");
    assert_int_equal(l.fail, TL_FAIL_BACKEND_ERROR);
    assert_string_equal(l.message,
                        "the model server of peer 0300000000000000 failed with status 503");
    finish(&s, &l);

    begin(&s, &l, true, 2);
    provider_fail(router_scene_at(&s, 2), TL_FAIL_BACKEND_AUTH,
                  "the model server refuses its key (status 401; setting: backend_key_file)");
    assert_true(listener_heard_nothing(&l));
    refuse(router_scene_at(&s, 3), 404, "no");
    assert_int_equal(l.head.status, 404);
    assert_true(listener_body_is(
        &l, "{\"error\":{\"type\":\"invalid_request_error\",\"param\":null,\"code\":null,"
            "\"message\":\"the model server of peer 0300000000000000 answers with status 404\"}}"));
    finish(&s, &l);
}

/* Nothing of it has gone on, so nothing is lost. */
static void an_answer_that_is_not_live_may_break_off_unseen(void **state)
{
    (void)state;
    static const struct {
        bool streaming;
        const char *type;
        bool unseen;
    } rows[] = {{false, "application/json", true},
                {true, "application/json", false},
                {false, "text/event-stream", false},
                {false, "audio/mpeg", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        router_scene s;
        listener l;
        begin(&s, &l, rows[i].streaming, 2);
        provider *p = router_scene_at(&s, 2);
        provider_head_of(p, 200, rows[i].type);
        provider_body(p, "half");
        provider_fail(p, TL_FAIL_BACKEND_ERROR, "the model server broke off its answer");
        assert_int_equal(l.calls[ON_FAIL], !rows[i].unseen);
        assert_int_equal(l.calls[ON_BODY], !rows[i].unseen);
        if (rows[i].unseen) {
            p = router_scene_at(&s, 3);
            provider_head_of(p, 200, rows[i].type);
            provider_body(p, "who");
            provider_body(p, "le");
            assert_true(listener_heard_nothing(&l));
            provider_end(p);
            assert_true(listener_body_is(&l, "whole"));
            assert_int_equal(l.calls[ON_END], 1);
        }
        finish(&s, &l);
    }
}

static void what_is_too_long_to_hold_goes_on(void **state)
{
    (void)state;
    static char piece[1025];
    memset(piece, 'x', sizeof piece - 1);
    router_scene s;
    listener l;
    begin(&s, &l, false, 2);
    provider *p = router_scene_at(&s, 2);
    provider_head_of(p, 200, "application/json");
    for (size_t n = 0; n < TL_ANSWER_HELD_MAX; n += sizeof piece - 1)
        provider_body(p, piece);
    assert_true(listener_heard_nothing(&l));
    provider_body(p, "y");
    assert_int_equal(l.calls[ON_HEAD], 1);
    assert_int_equal(l.body.len, TL_ANSWER_HELD_MAX + 1);
    provider_body(p, "z");
    provider_end(p);
    assert_int_equal(l.body.len, TL_ANSWER_HELD_MAX + 2);
    assert_int_equal(l.calls[ON_END], 1);
    finish(&s, &l);
}

static void all_that_is_held_has_a_limit_in_sum(void **state)
{
    (void)state;
    static char piece[TL_ANSWER_HELD_MAX + 1];
    enum { N = TL_ROUTE_HELD_SUM / TL_ANSWER_HELD_MAX };
    memset(piece, 'x', sizeof piece - 1);
    router_scene s;
    listener l[N + 1] = {0};
    tl_ask ask = router_scene_question("m");
    ask.streaming = false;
    router_scene_init(&s);
    (void)router_scene_peer(&s, 2, "m");
    for (int i = 0; i <= N; i++) {
        router_scene_ask_full(&s, &l[i], &ask);
        provider_head_of(router_scene_at(&s, 2), 200, "application/json");
        provider_body(router_scene_at(&s, 2), i < N ? piece : "y");
        assert_int_equal(l[i].calls[ON_BODY], i == N); /* it goes on as it comes */
    }
    provider_end(&s.providers[0]);
    assert_int_equal(l[0].body.len, TL_ANSWER_HELD_MAX);
    listener_cancel(&l[1]);
    listener later = {0}; /* there is room again */
    router_scene_ask_full(&s, &later, &ask);
    provider_head_of(router_scene_at(&s, 2), 200, "application/json");
    provider_body(router_scene_at(&s, 2), "z");
    assert_true(listener_heard_nothing(&later));
    router_scene_clear(&s);
    for (int i = 0; i <= N; i++)
        listener_clear(&l[i]);
    listener_clear(&later);
}

static void pause_it(listener *l)
{
    listener_pause(l, true);
}

static void a_paused_sink_gets_what_was_held_when_it_resumes(void **state)
{
    (void)state;
    for (int refused = 0; refused < 2; refused++)
        for (int inside = 0; inside < 2; inside++) {
            router_scene s;
            listener l;
            begin(&s, &l, false, 1);
            provider *p = router_scene_at(&s, 2);
            provider_head_of(p, refused ? 404 : 200, "application/json");
            provider_body(p, "{}");
            if (inside)
                l.inside[ON_HEAD] = pause_it;
            else
                listener_pause(&l, true);
            provider_end(p);
            assert_int_equal(l.calls[ON_HEAD], 1);
            assert_int_equal(l.calls[ON_BODY] + l.calls[ON_END], 0);
            listener_pause(&l, false);
            tl_router_run(s.router);
            assert_int_equal(l.calls[ON_BODY], 1);
            assert_int_equal(l.calls[ON_END], 1);
            finish(&s, &l);
        }
}

static void cancel_it(listener *l)
{
    listener_cancel(l);
}

static void a_sink_may_cancel_while_it_is_told_what_was_held(void **state)
{
    (void)state;
    for (int refused = 0; refused < 2; refused++)
        for (int call = ON_HEAD; call <= ON_BODY; call++) {
            router_scene s;
            listener l;
            begin(&s, &l, false, 1);
            l.inside[call] = cancel_it;
            provider *p = router_scene_at(&s, 2);
            provider_head_of(p, refused ? 429 : 200, "application/json");
            provider_body(p, "{}");
            provider_end(p);
            assert_int_equal(l.calls[ON_END] + l.calls[ON_FAIL], 0);
            assert_int_equal(tl_router_running(s.router), 0);
            finish(&s, &l);
        }
}

static void a_refusal_is_told_in_the_words_of_its_server(void **state)
{
    (void)state;
    static const struct {
        const char *body, *message;
    } rows[] = {
        {"{\"error\":\"model 'x' not found\"}", "W answers with status 404: model 'x' not found"},
        {"{\"message\":\"m\"}", "W answers with status 404: m"},
        {"{\"detail\":\"d\"}", "W answers with status 404: d"},
        {"{\"error\":{\"code\":5}}", "W answers with status 404"},
        {"[1]", "W answers with status 404"},
        {"<html>", "W answers with status 404"},
        {"", "W answers with status 404"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tl_buf out = {0};
        json_t *root = NULL;
        assert_int_equal(tl_refusal_write(tl_slice_str(rows[i].body), 404, "W", &out), TL_OK);
        assert_int_equal(tl_json_parse(tl_buf_slice(&out), 8, &root, NULL), TL_OK);
        assert_string_equal(tl_json_string(json_object_get(root, "error"), "message", ""),
                            rows[i].message);
        json_decref(root);
        tl_buf_clear(&out);
    }
}

static void a_false_duplicate_is_a_fault_and_the_next_provider_answers(void **state)
{
    (void)state;
    for (unsigned peers = 1; peers <= 2; peers++) {
        router_scene s;
        listener l;
        tl_ask ask = router_scene_question("m");
        ask.named = true;
        router_scene_init(&s);
        s.relay_hopeless = "off";
        for (unsigned who = 2; who < 2 + peers; who++)
            (void)router_scene_peer(&s, who, "m");
        l = (listener){0};
        router_scene_ask_full(&s, &l, &ask);
        provider_fail(router_scene_at(&s, 2), TL_FAIL_DUPLICATE, "known");
        if (peers == 1) { /* nobody is left: no duplicate, so that the name is free again */
            assert_int_equal(l.calls[ON_FAIL], 1);
            assert_int_equal(l.fail, TL_FAIL_PEER_FAILED);
        } else {
            provider *p = router_scene_at(&s, 3);
            provider_head(p);
            provider_body(p, "yes");
            provider_end(p);
            assert_true(listener_body_is(&l, "yes"));
            listener next = {0}; /* it is blamed */
            router_scene_ask(&s, &next, "m");
            (void)router_scene_at(&s, 3);
            listener_clear(&next);
        }
        finish(&s, &l);
    }
}

static void a_peer_whose_connection_broke_may_say_that_it_has_the_question(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    tl_ask ask = router_scene_question("m");
    ask.named = true;
    router_scene_init(&s);
    s.relay_hopeless = "off";
    (void)router_scene_peer(&s, 2, "m");
    router_scene_ask_full(&s, &l, &ask);
    provider_fail(router_scene_at(&s, 2), TL_FAIL_PEER_FAILED, "broken");
    provider_fail(router_scene_at(&s, 2), TL_FAIL_DUPLICATE, "known");
    assert_int_equal(l.calls[ON_FAIL], 1);
    assert_int_equal(l.fail, TL_FAIL_DUPLICATE);
    finish(&s, &l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_of_a_model_server_is_followed_by_another_provider),
        cmocka_unit_test(the_last_refusal_is_shown_when_nobody_else_is_left_and_says_whose_it_is),
        cmocka_unit_test(a_refusal_of_ones_own_server_passes_as_it_is),
        cmocka_unit_test(what_fails_says_whose_it_is_by_the_owners_word_first),
        cmocka_unit_test(what_a_peer_calls_this_node_is_that_peer),
        cmocka_unit_test(of_a_refusal_and_a_failure_the_later_is_shown),
        cmocka_unit_test(an_answer_that_is_not_live_may_break_off_unseen),
        cmocka_unit_test(what_is_too_long_to_hold_goes_on),
        cmocka_unit_test(all_that_is_held_has_a_limit_in_sum),
        cmocka_unit_test(a_paused_sink_gets_what_was_held_when_it_resumes),
        cmocka_unit_test(a_sink_may_cancel_while_it_is_told_what_was_held),
        cmocka_unit_test(a_refusal_is_told_in_the_words_of_its_server),
        cmocka_unit_test(a_false_duplicate_is_a_fault_and_the_next_provider_answers),
        cmocka_unit_test(a_peer_whose_connection_broke_may_say_that_it_has_the_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
