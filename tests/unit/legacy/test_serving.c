/* Questions of nodes of the old protocol: answered, bounded, or declined where the setting is off. */
#include "legacy_scene.h"

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define EVENT "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n"

static legacy_scene s;
static unsigned logged;

static void keep_line(void *user, tl_log_level level, const char *line)
{
    (void)user, (void)level, (void)line;
    logged++;
}

static int setup(void **state)
{
    (void)state;
    legacy_scene_init(&s);
    logged = 0;
    tl_log_set_sink(keep_line, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_log_set_sink(NULL, NULL);
    legacy_scene_clear(&s);
    return 0;
}

static void a_question_has_a_place_and_its_answer_is_chunks(void **state)
{
    (void)state;
    tl_path_id path = legacy_accept(&s, 2);
    legacy_hear_request(&s, path, ID_A);
    assert_int_equal(s.places.running, 1);
    legacy_job *j = &s.jobs[0];
    assert_string_equal(j->body, "{\"model\":\"m\",\"messages\":[],\"stream\":true}");
    assert_string_equal(j->ask.id, "00112233445566778899aabbccddeeff");
    assert_true(j->ask.from_peer && j->ask.streaming && j->ask.requester.key[0] == 2);
    assert_string_equal(j->ask.path, "/v1/chat/completions");
    legacy_job_head(j, "text/event-stream");
    legacy_job_body(j, EVENT);
    legacy_run(&s);
    assert_true(legacy_last(&s)->message.type == TL_LEGACY_CHUNK);
    assert_string_equal(legacy_last(&s)->message.id, ID_A);
    legacy_job_body(j, "data: [DONE]\n\n");
    legacy_job_end(j);
    legacy_run(&s);
    assert_true(legacy_last(&s)->message.type == TL_LEGACY_COMPLETE);
    assert_int_equal(legacy_last(&s)->message.tokens_out, 1);
    assert_int_equal(s.places.running, 0);
    assert_true(s.dones == 1 && s.done == TL_FAIL_COUNT);
    assert_int_equal(s.n_closed, 0);
}

static void failures_have_the_codes_that_old_programs_know(void **state)
{
    (void)state;
    static const struct {
        tl_fail fail;
        const char *code;
    } rows[] = {{TL_FAIL_TIMEOUT, "timeout"},
                {TL_FAIL_FORBIDDEN, "unavailable"},
                {TL_FAIL_BACKEND_UNREACHABLE, "unavailable"},
                {TL_FAIL_BACKEND_ERROR, "internal_error"},
                {TL_FAIL_BACKEND_AUTH, "internal_error"}};
    tl_path_id path = legacy_accept(&s, 2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        legacy_hear_request(&s, path, ID_A);
        legacy_job_fail(&s.jobs[i], rows[i].fail, "words");
        legacy_run(&s);
        assert_string_equal(legacy_last(&s)->message.code, rows[i].code);
        assert_string_equal(legacy_last(&s)->message.words, "words");
        assert_int_equal(s.places.running, 0);
    }
    s.ask_err = TL_ERR_NOMEM;
    legacy_hear_request(&s, path, ID_A);
    assert_string_equal(legacy_last(&s)->message.code, "unavailable");
}

static void who_cannot_agree_on_a_price_is_served_what_is_free(void **state)
{
    (void)state;
    tl_path_id path = legacy_accept(&s, 2);
    s.price = 1;
    legacy_hear_request(&s, path, ID_A);
    assert_int_equal(s.n_jobs, 0);
    assert_string_equal(legacy_last(&s)->message.code, "unavailable");
    assert_string_equal(legacy_last(&s)->message.words,
                        "this node asks a price, on which nobody can agree by the old protocol");
    assert_int_equal(s.places.running, 0);
    s.price = 0;
    legacy_hear_request(&s, path, ID_A);
    assert_int_equal(s.n_jobs, 1);
}

static void nonsense_of_the_model_server_ends_the_question(void **state)
{
    (void)state;
    tl_path_id path = legacy_accept(&s, 2);
    legacy_hear_request(&s, path, ID_A);
    legacy_job_head(&s.jobs[0], "text/event-stream");
    legacy_job_body(&s.jobs[0], "data: {nonsense\n\n");
    legacy_run(&s);
    assert_true(s.jobs[0].cancelled);
    assert_string_equal(legacy_last(&s)->message.code, "internal_error");
    assert_int_equal(s.done, TL_FAIL_BACKEND_ERROR);
}

static void who_closes_the_session_cancels_all_that_is_on_it(void **state)
{
    (void)state;
    tl_path_id path = legacy_accept(&s, 2);
    legacy_hear_request(&s, path, "a");
    legacy_hear_request(&s, path, "b");
    tl_legacy_on_ended(s.legacy, path, "");
    assert_true(s.jobs[0].cancelled && s.jobs[1].cancelled);
    legacy_run(&s);
    assert_int_equal(s.places.running, 0);
    assert_int_equal(tl_legacy_counters_of(s.legacy)->cancelled, 2);
    legacy_hear_request(&s, path, "c"); /* the session is gone */
    assert_int_equal(s.n_jobs, 2);
}

static void a_peer_has_a_strangers_share_and_leaves_the_others_theirs(void **state)
{
    (void)state;
    tl_path_id first = legacy_accept(&s, 2), second = legacy_accept(&s, 3);
    for (int i = 0; i < 10; i++)
        legacy_hear_request(&s, first, "x");
    assert_int_equal(s.n_jobs, 4); /* of 16 places */
    assert_int_equal(legacy_said(&s, TL_LEGACY_ERROR), 6);
    assert_string_equal(legacy_last(&s)->message.code, "queue_full");
    legacy_hear_request(&s, second, "x");
    assert_int_equal(s.n_jobs, 5);
    /* Over Noise the node of that ID has its own. */
    tl_node_id same = legacy_peer(2);
    tl_question_of who = {.peer = &same, .path = "/v1/chat/completions", .served = true};
    tl_guest *guest;
    const char *why;
    assert_int_equal(tl_places_enter(&s.places, &who, s.env.now, &guest, &why), TL_FAIL_COUNT);
    tl_places_leave(&s.places, guest, false);
}

/* How many of 200 questions, all at one instant, got to the model server. */
static size_t let_in(int status, tl_path_id path)
{
    size_t first = s.n_jobs;
    for (int i = 0; i < 200; i++) {
        size_t n = s.n_jobs;
        legacy_hear_request(&s, path, "x");
        if (s.n_jobs == n)
            continue;
        legacy_job *j = &s.jobs[n];
        legacy_job_status(j, status, status == 200 ? "text/event-stream" : "application/json");
        legacy_job_body(j, status == 200 ? EVENT : "{\"error\":{\"message\":\"no\"}}");
        legacy_job_end(j);
        legacy_run(&s);
    }
    return s.n_jobs - first;
}

static void what_the_model_server_refuses_opens_no_door(void **state)
{
    (void)state;
    assert_in_range(let_in(400, legacy_accept(&s, 2)), 1, TL_GUEST_BURST);
    assert_int_equal(let_in(200, legacy_accept(&s, 3)), 200);
}

static void
a_relay_that_takes_nothing_holds_the_model_server_back_for_a_minute_at_most(void **state)
{
    (void)state;
    tl_path_id path = legacy_accept(&s, 2);
    legacy_hear_request(&s, path, ID_A);
    legacy_job *j = &s.jobs[0];
    char *line = malloc(70000);
    assert_non_null(line);
    int n = sprintf(line, "data: {\"choices\":[],\"x\":\"");
    memset(line + n, 'x', 60000);
    strcpy(line + n + 60000, "\"}\n\n");
    legacy_job_head(j, "text/event-stream");
    s.full = true;
    unsigned lines = 0;
    for (; !j->paused && lines < 100; lines++) {
        legacy_job_body(j, line);
        legacy_run(&s);
    }
    assert_true(j->paused);
    assert_in_range(s.places.pending, TL_SERVER_PENDING_MAX, TL_SERVER_PENDING_MAX + 70000);
    s.full = false; /* the twin */
    legacy_run(&s);
    assert_false(j->paused);
    assert_int_equal(s.places.pending, 0);
    assert_int_equal(legacy_said(&s, TL_LEGACY_CHUNK), lines);
    s.full = true;
    while (!j->paused)
        legacy_job_body(j, line);
    legacy_run(&s);
    legacy_pass(&s, TL_SERVER_STALL_MAX - 1);
    assert_false(j->cancelled);
    legacy_pass(&s, 1);
    assert_true(j->cancelled);
    assert_true(legacy_is_closed(&s, path));
    free(line);
}

static void greetings_have_a_rate(void **state)
{
    (void)state;
    tl_path_id path = legacy_accept(&s, 2);
    for (int i = 0; i < 10; i++)
        legacy_hear(&s, path, i % 2 ? "{\"hello\":{\"_0\":{}}}" : "{\"heartbeat\":{}}");
    assert_int_equal(legacy_said(&s, TL_LEGACY_HELLO_ACK) +
                         legacy_said(&s, TL_LEGACY_HEARTBEAT_ACK),
                     TL_LEGACY_GREETINGS_MAX);
    legacy_pass(&s, 2 * TL_SEC);
    legacy_hear(&s, path, "{\"hello\":{\"_0\":{}}}");
    assert_int_equal(legacy_last(&s)->message.type, TL_LEGACY_HELLO_ACK);
}

static void the_idlest_session_makes_room_and_one_with_a_question_does_not(void **state)
{
    (void)state;
    s.places.running_max = 4096;
    tl_path_id first = 0, second = 0;
    for (unsigned i = 0; i < TL_LEGACY_SESSIONS_MAX; i++) {
        tl_path_id path = legacy_accept(&s, 10 + i);
        first = i == 0 ? path : first;
        second = i == 1 ? path : second;
        s.env.now += 1;
    }
    legacy_hear_request(&s, first, "x");
    assert_int_equal(s.n_closed, 0);
    (void)legacy_accept(&s, 2);
    assert_int_equal(s.n_closed, 1);
    assert_true(legacy_is_closed(&s, second));
    legacy_run(&s);
    /* With a question on each there is no room. */
    for (tl_path_id path = first; path < s.next_path; path++)
        if (path != first && path != second)
            legacy_hear_request(&s, path, "x");
    tl_path_id refused = legacy_accept(&s, 3);
    assert_int_equal(s.places.running, TL_LEGACY_SESSIONS_MAX);
    assert_true(legacy_is_closed(&s, refused));
}

static void sessions_that_nobody_needs_end(void **state)
{
    (void)state;
    tl_path_id silent = legacy_accept(&s, 2), alive = legacy_accept(&s, 3);
    for (int i = 0; i < 9; i++) {
        legacy_pass(&s, 15 * TL_SEC);
        legacy_hear(&s, alive, "{\"heartbeat\":{}}");
    }
    assert_true(legacy_is_closed(&s, silent));
    assert_false(legacy_is_closed(&s, alive));
}

static void where_the_setting_is_off_everything_is_declined_and_told_once_a_peer(void **state)
{
    (void)state;
    s.access.in_clear = false;
    for (int i = 0; i < 3; i++) {
        tl_path_id path = legacy_accept(&s, 2);
        legacy_hear_request(&s, path, ID_A);
        assert_true(legacy_last(&s)->path == path);
        assert_string_equal(legacy_last(&s)->message.code, "unavailable");
        assert_string_equal(legacy_last(&s)->message.id, ID_A);
        assert_true(legacy_is_closed(&s, path));
    }
    assert_int_equal(logged, 1);
    size_t before = s.n_said;
    tl_path_id path = legacy_accept(&s, 3);
    legacy_hear(&s, path, "{\"hello\":{\"_0\":{}}}");
    assert_true(legacy_is_closed(&s, path));
    assert_int_equal(s.n_said, before);
    assert_int_equal(logged, 2);
    for (unsigned i = 0; i < 100; i++)
        legacy_hear_request(&s, legacy_accept(&s, 100 + i), ID_A);
    assert_int_equal(logged, TL_LEGACY_TOLD_MAX + 1);
    assert_int_equal(s.n_jobs, 0);
}

/* A text of 2.9 MB costs no more than its front: what follows it is not even JSON here. */
static void what_is_declined_is_read_by_its_front_alone_and_told_at_a_rate(void **state)
{
    (void)state;
    static const char front[] =
        "{\"inferenceRequest\":{\"_0\":{\"requestID\":\"" ID_A "\",\"request\":{\"a\":[";
    size_t n = 2900000;
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, ']', n);
    memcpy(text, front, sizeof front - 1);
    text[n - 1] = '}';
    text[n] = 0;
    s.access.in_clear = false;
    for (unsigned i = 0; i < TL_LEGACY_DECLINES_MAX + 3; i++) {
        assert_true(tl_legacy_is_message(tl_slice_str(text)));
        tl_path_id path = legacy_accept(&s, 2);
        legacy_hear(&s, path, text);
        assert_true(legacy_is_closed(&s, path));
    }
    assert_int_equal(s.n_said, TL_LEGACY_DECLINES_MAX);
    assert_int_equal(tl_legacy_counters_of(s.legacy)->declined, TL_LEGACY_DECLINES_MAX + 3);
    legacy_hear(&s, legacy_accept(&s, 3), text); /* another peer */
    assert_int_equal(s.n_said, TL_LEGACY_DECLINES_MAX + 1);
    legacy_pass(&s, TL_SEC);
    legacy_hear(&s, legacy_accept(&s, 2), text); /* and this one, later */
    assert_int_equal(s.n_said, TL_LEGACY_DECLINES_MAX + 2);
    for (unsigned i = 0; i < 200; i++)
        legacy_hear(&s, legacy_accept(&s, 100 + i), text);
    assert_in_range(s.n_said, TL_LEGACY_SUM_DECLINES_MAX, TL_LEGACY_SUM_DECLINES_MAX + 16);
    free(text);
}

static void a_stranger_is_read_up_to_its_share_and_all_up_to_a_sum(void **state)
{
    (void)state;
    char *text = malloc(1u << 20);
    assert_non_null(text);
    int n = sprintf(text, "{\"heartbeat\":{\"_0\":{\"x\":\"");
    memset(text + n, 'x', 1000000);
    strcpy(text + n + 1000000, "\"}}}");
    tl_path_id path = legacy_accept(&s, 2);
    for (int i = 0; i < 4; i++)
        legacy_hear(&s, path, text);
    assert_int_equal(legacy_said(&s, TL_LEGACY_HEARTBEAT_ACK), 4);
    legacy_hear(&s, path, text);
    legacy_hear(&s, legacy_accept(&s, 2), text); /* by another session, too */
    assert_int_equal(legacy_said(&s, TL_LEGACY_HEARTBEAT_ACK), 4);
    assert_int_equal(tl_legacy_counters_of(s.legacy)->ignored, 2);
    for (unsigned i = 0; i < 10; i++)
        legacy_hear(&s, legacy_accept(&s, 10 + i), text);
    assert_int_equal(legacy_said(&s, TL_LEGACY_HEARTBEAT_ACK), 8);
    legacy_pass(&s, 4 * TL_SEC);
    legacy_hear(&s, path, text);
    assert_int_equal(legacy_said(&s, TL_LEGACY_HEARTBEAT_ACK), 9);
    free(text);
}

static void a_key_that_differs_from_model_by_its_case_alone_reaches_no_model_server(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        unsigned jobs;
    } rows[] = {{"\"model\":\"m\",\"Model\":\"private\"", 0},
                {"\"MODEL\":\"private\"", 0},
                {"\"model\":\"m\",\"m\\u004fdel\":\"private\"", 0},
                {"\"model\":\"m\",\"Stream\":false", 0},
                {"\"model\":\"m\",\"stream\":false,\"models\":[],\"x\":{\"Model\":1}", 1}};
    tl_path_id path = legacy_accept(&s, 2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "{\"inferenceRequest\":{\"_0\":{\"requestID\":\"" ID_A
                 "\",\"streaming\":true,\"request\":{%s}}}}",
                 rows[i].members);
        legacy_hear(&s, path, text);
        assert_int_equal(s.n_jobs, rows[i].jobs);
        assert_int_equal(legacy_said(&s, TL_LEGACY_ERROR), rows[i].jobs ? i : i + 1);
    }
}

static void members_only_is_an_error_and_says_so(void **state)
{
    (void)state;
    s.access.share_public = false;
    tl_path_id path = legacy_accept(&s, 2);
    legacy_hear_request(&s, path, ID_A);
    assert_string_equal(legacy_last(&s)->message.code, "unavailable");
    assert_non_null(strstr(legacy_last(&s)->message.words, "members"));
    assert_int_equal(s.n_jobs, 0);
    s.access.share_public = true;
    legacy_hear_request(&s, path, ID_A);
    assert_int_equal(s.n_jobs, 1);
}

static void stopping_ends_every_session(void **state)
{
    (void)state;
    tl_path_id path = legacy_accept(&s, 2);
    legacy_hear_request(&s, path, ID_A);
    assert_false(tl_legacy_is_idle(s.legacy));
    tl_legacy_stop(s.legacy);
    assert_true(s.jobs[0].cancelled);
    assert_true(legacy_is_closed(&s, path));
    assert_true(tl_legacy_is_idle(s.legacy));
    legacy_run(&s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_question_has_a_place_and_its_answer_is_chunks),
        TEST(failures_have_the_codes_that_old_programs_know),
        TEST(who_cannot_agree_on_a_price_is_served_what_is_free),
        TEST(nonsense_of_the_model_server_ends_the_question),
        TEST(who_closes_the_session_cancels_all_that_is_on_it),
        TEST(a_peer_has_a_strangers_share_and_leaves_the_others_theirs),
        TEST(what_the_model_server_refuses_opens_no_door),
        TEST(a_relay_that_takes_nothing_holds_the_model_server_back_for_a_minute_at_most),
        TEST(greetings_have_a_rate),
        TEST(the_idlest_session_makes_room_and_one_with_a_question_does_not),
        TEST(sessions_that_nobody_needs_end),
        TEST(where_the_setting_is_off_everything_is_declined_and_told_once_a_peer),
        TEST(what_is_declined_is_read_by_its_front_alone_and_told_at_a_rate),
        TEST(a_stranger_is_read_up_to_its_share_and_all_up_to_a_sum),
        TEST(a_key_that_differs_from_model_by_its_case_alone_reaches_no_model_server),
        TEST(members_only_is_an_error_and_says_so),
        TEST(stopping_ends_every_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
