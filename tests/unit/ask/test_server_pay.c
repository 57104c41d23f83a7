/* What a request costs: when its bill is opened, and how it ends. */
#include "server_scene.h"
#include "till.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DELTA "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n"
#define USAGE "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n"

typedef struct {
    server_scene s;
    till till;
    tl_quic_stream *stream;
    job *job;
} sold;

static void set_up(sold *x)
{
    server_scene_init(&x->s);
    till_init(&x->till);
    tl_server_set_pay(x->s.server, &x->till.pay);
}

/* A request whose answer's head has come. */
static void begin(sold *x)
{
    set_up(x);
    x->stream = server_scene_running(&x->s, &x->job);
    job_head(x->job);
}

static void assert_charged(const sold *x, uint64_t in, uint64_t out)
{
    assert_int_equal(x->till.charged, 1);
    assert_int_equal(x->till.waived, 0);
    assert_int_equal(x->till.charge.tokens_in, in);
    assert_int_equal(x->till.charge.tokens_out, out);
}

static void the_bill_is_opened_before_work_with_what_the_peer_wrote(void **state)
{
    (void)state;
    sold x;
    set_up(&x);
    static const char body[] = "{\"model\":\"l\",\"max_tokens\":7}";
    tl_quic_stream *stream = server_scene_open(&x.s);
    fake_lay_text(stream, TL_FRAME_MESSAGE,
                  "{\"inferenceRequest\":{\"requestID\":\"r1\",\"model\":\"l\",\"streaming\":true,"
                  "\"path\":\"/v1/chat/completions\",\"contentType\":\"application/json\","
                  "\"order\":\"12.ab\"}}");
    fake_lay_text(stream, TL_FRAME_BODY, body);
    fake_arrives(stream);
    assert_int_equal(x.till.opened, 0);
    fake_ends(stream);
    assert_int_equal(x.till.opened, 1);
    assert_int_equal(x.s.n_jobs, 1);
    assert_string_equal(x.till.model, "l"); /* not "l:latest", which the asker does not know */
    assert_string_equal(x.till.order, "12.ab");
    assert_int_equal(x.till.body_bytes,
                     sizeof body - 1); /* the name that was filled in is longer */
    assert_int_equal(x.till.max_tokens, 7);
    server_scene_clear(&x.s);
    assert_int_equal(x.till.waived, 1);
}

static void who_may_not_owe_it_is_refused_before_any_work(void **state)
{
    (void)state;
    static const struct {
        tl_fail fail;
        const char *code, *detail;
    } v[] = {{TL_FAIL_PAYMENT_REQUIRED, "payment_required", ""},
             {TL_FAIL_DUPLICATE, "internal_error", "duplicate_request"},
             {TL_FAIL_UNAVAILABLE, "unavailable", ""}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        sold x;
        set_up(&x);
        x.till.refuse = v[i].fail;
        tl_quic_stream *stream = server_scene_ask(&x.s, QUESTION, true);
        server_scene_check_error(stream, v[i].code, v[i].detail);
        assert_int_equal(x.s.n_jobs, 0);
        assert_int_equal(tl_server_counters_of(x.s.server)->refused, 1);
        server_scene_clear(&x.s);
        assert_int_equal(x.till.charged + x.till.waived, 0);
    }
}

static void a_whole_answer_is_charged_by_its_usage(void **state)
{
    (void)state;
    sold x;
    begin(&x);
    job_body(x.job, TL_SLICE_LIT(DELTA DELTA DELTA USAGE));
    assert_int_equal(x.till.charged, 0);
    job_end(x.job, (tl_answer_end){5, 2, 0});
    assert_charged(&x, 5, 2);
    server_scene_clear(&x.s);
    assert_int_equal(x.till.charged, 1);
}

/* How many of `n` questions of one stranger, all at one instant, got to the model server. */
static unsigned let_in(int status, unsigned n)
{
    server_scene s;
    unsigned in = 0;
    server_scene_init(&s);
    for (unsigned i = 0; i < n; i++) {
        tl_quic_stream *stream = server_scene_ask(&s, QUESTION, true);
        if (s.n_jobs) {
            job *j = &s.jobs[s.n_jobs - 1];
            tl_answer_head head = {.status = status, .content_type = "application/json"};
            in++;
            j->sink.on_head(j->user, &head);
            j->sink.on_body(j->user, TL_SLICE_LIT("{}"));
            job_end(j, (tl_answer_end){0});
        }
        server_scene_over(stream);
        server_scene_forget(&s);
    }
    server_scene_clear(&s);
    return in;
}

static void what_the_model_server_refuses_opens_no_door_for_a_stranger(void **state)
{
    (void)state;
    assert_in_range(let_in(400, 300), 1, TL_GUEST_BURST);
    assert_int_equal(let_in(200, 300), 300);
}

static void without_usage_a_quarter_of_the_request_and_each_delta_is_charged(void **state)
{
    (void)state;
    sold x;
    begin(&x);
    job_body(x.job, TL_SLICE_LIT(DELTA DELTA DELTA));
    job_end(x.job, (tl_answer_end){0});
    assert_charged(&x, (sizeof QUESTION - 1 + 3) / 4, 3);
    server_scene_clear(&x.s);
}

static void an_answer_that_the_peer_gives_up_is_charged_as_delivered(void **state)
{
    (void)state;
    for (int closes = 0; closes < 2; closes++) {
        sold x;
        begin(&x);
        job_body(x.job, TL_SLICE_LIT(DELTA DELTA));
        if (closes) {
            fake_closes(x.stream, "the connection broke");
            x.stream->user = NULL; /* the handle is gone */
        } else {
            fake_resets(x.stream);
        }
        assert_true(x.job->cancelled);
        assert_charged(&x, (sizeof QUESTION - 1 + 3) / 4, 2);
        server_scene_clear(&x.s);
    }
}

static void what_gave_no_answer_is_not_charged(void **state)
{
    (void)state;
    sold x;
    set_up(&x); /* given up before the head */
    x.stream = server_scene_running(&x.s, &x.job);
    fake_resets(x.stream);
    assert_int_equal(x.till.waived, 1);
    server_scene_clear(&x.s);
    begin(&x); /* the model server failed */
    job_body(x.job, TL_SLICE_LIT(DELTA));
    job_fail(x.job, TL_FAIL_BACKEND_ERROR, "it broke");
    assert_int_equal(x.till.waived, 1);
    server_scene_clear(&x.s);
    set_up(&x); /* the model server refused it */
    x.stream = server_scene_running(&x.s, &x.job);
    tl_answer_head head = {.status = 400, .content_type = "application/json"};
    x.job->sink.on_head(x.job->user, &head);
    job_body(x.job, TL_SLICE_LIT("{\"error\":\"no\"}"));
    job_end(x.job, (tl_answer_end){0});
    assert_int_equal(x.till.waived, 1);
    assert_int_equal(x.till.charged, 0);
    server_scene_clear(&x.s);
}

static void an_answer_ends_where_credit_ends(void **state)
{
    (void)state;
    sold x;
    begin(&x);
    x.till.end_at = 3;
    job_body(x.job, TL_SLICE_LIT(DELTA DELTA));
    assert_false(x.job->cancelled);
    job_body(x.job, TL_SLICE_LIT(DELTA));
    assert_true(x.job->cancelled);
    assert_charged(&x, (sizeof QUESTION - 1 + 3) / 4, 3);
    assert_int_equal(x.s.done, TL_FAIL_PAYMENT_REQUIRED);
    size_t at = 0;
    tl_cluster_message m;
    tl_frame_kind kind;
    tl_slice bytes;
    fake_next_message(x.stream, &at, TL_CLUSTER_RESPONSE, &m);
    assert_true(fake_next_said(x.stream, &at, &kind, &bytes) && kind == TL_FRAME_BODY);
    assert_true(fake_next_said(x.stream, &at, &kind, &bytes) && kind == TL_FRAME_BODY);
    fake_next_message(x.stream, &at, TL_CLUSTER_ERROR, &m);
    assert_string_equal(m.u.error.code, "payment_required");
    server_scene_clear(&x.s);
    assert_int_equal(x.till.charged, 1);
}

static void the_answer_to_a_bill_that_is_not_in_the_books_yet_waits_for_them(void **state)
{
    (void)state;
    sold x;
    size_t at = 0;
    tl_cluster_message m;
    tl_frame_kind kind;
    tl_slice bytes;
    set_up(&x);
    x.till.slow = true;
    x.stream = server_scene_running(&x.s, &x.job);
    job_head(x.job);
    assert_true(x.job->paused); /* so no byte of the body comes */
    assert_false(fake_next_said(x.stream, &at, &kind, &bytes));
    till_begins(&x.till);
    fake_next_message(x.stream, &at, TL_CLUSTER_RESPONSE, &m);
    assert_false(x.job->paused);
    job_body(x.job, TL_SLICE_LIT(DELTA DELTA));
    job_end(x.job, (tl_answer_end){0});
    assert_charged(&x, (sizeof QUESTION - 1 + 3) / 4, 2);
    server_scene_clear(&x.s);
    begin(&x); /* the books are quick: nothing waits */
    assert_false(x.job->paused);
    at = 0;
    fake_next_message(x.stream, &at, TL_CLUSTER_RESPONSE, &m);
    server_scene_clear(&x.s);
}

static void a_request_that_the_books_know_gets_no_byte_of_its_answer(void **state)
{
    (void)state;
    sold x;
    set_up(&x);
    x.till.slow = true;
    x.stream = server_scene_running(&x.s, &x.job);
    job_head(x.job);
    x.till.again = true;
    till_begins(&x.till);
    assert_true(x.job->cancelled);
    server_scene_check_error(x.stream, "internal_error", "duplicate_request");
    assert_int_equal(x.till.charged, 0);
    assert_int_equal(x.till.waived, 1);
    server_scene_clear(&x.s);
}

static void what_ends_while_its_bill_is_awaited_is_not_charged_and_told_once(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        sold x;
        size_t at = 0;
        tl_cluster_message m;
        set_up(&x);
        x.till.slow = true;
        x.stream = server_scene_running(&x.s, &x.job);
        job_head(x.job);
        if (how == 0)
            fake_resets(x.stream);
        else if (how == 1)
            job_fail(x.job, TL_FAIL_BACKEND_ERROR, "it broke");
        else if (how == 2)
            server_scene_pass(&x.s, TL_SERVER_STALL_MAX); /* the disk never tells */
        else
            job_end(x.job, (tl_answer_end){0}); /* no byte of a body */
        assert_int_equal(x.till.waived, how < 3);
        assert_int_equal(x.till.charged, how == 3);
        if (how == 1)
            server_scene_check_error(x.stream, "internal_error", "backend_error");
        if (how == 3) {
            fake_next_message(x.stream, &at, TL_CLUSTER_RESPONSE, &m);
            fake_next_message(x.stream, &at, TL_CLUSTER_COMPLETE, &m);
        }
        server_scene_clear(&x.s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bill_is_opened_before_work_with_what_the_peer_wrote),
        cmocka_unit_test(who_may_not_owe_it_is_refused_before_any_work),
        cmocka_unit_test(a_whole_answer_is_charged_by_its_usage),
        cmocka_unit_test(what_the_model_server_refuses_opens_no_door_for_a_stranger),
        cmocka_unit_test(without_usage_a_quarter_of_the_request_and_each_delta_is_charged),
        cmocka_unit_test(an_answer_that_the_peer_gives_up_is_charged_as_delivered),
        cmocka_unit_test(what_gave_no_answer_is_not_charged),
        cmocka_unit_test(an_answer_ends_where_credit_ends),
        cmocka_unit_test(the_answer_to_a_bill_that_is_not_in_the_books_yet_waits_for_them),
        cmocka_unit_test(a_request_that_the_books_know_gets_no_byte_of_its_answer),
        cmocka_unit_test(what_ends_while_its_bill_is_awaited_is_not_charged_and_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
