/* What the asker tells of a question's cost: the order that goes out, and how the answer ended. */
#include "asker_scene.h"
#include "till.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD_OF(status)                                                                            \
    "{\"inferenceResponse\":{\"requestID\":\"r1\",\"status\":" status                              \
    ",\"contentType\":\"text/event-stream\"}}"
#define DELTA "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n"

typedef struct {
    asker_scene s;
    listener l;
    till till;
    tl_quic_stream *stream;
} bought;

static void begin(bought *x)
{
    *x = (bought){.l = {0}};
    asker_scene_init(&x->s);
    till_init(&x->till);
    tl_asker_set_pay(x->s.asker, &x->till.pay);
    x->stream = asker_scene_asked(&x->s, &x->l);
}

static void head(bought *x, const char *text)
{
    fake_lay_text(x->stream, TL_FRAME_MESSAGE, text);
    fake_arrives(x->stream);
}

/* Two words of the answer. */
static void two_words(bought *x)
{
    fake_lay_text(x->stream, TL_FRAME_BODY, DELTA DELTA);
    fake_arrives(x->stream);
}

static void assert_over(bought *x, tl_pay_end end, uint64_t in, uint64_t out)
{
    assert_int_equal(x->till.overs, 1);
    assert_int_equal(x->till.over, end);
    assert_int_equal(x->till.seen.tokens_in, in);
    assert_int_equal(x->till.seen.tokens_out, out);
    asker_scene_clear(&x->s);
    assert_int_equal(x->till.overs, 1);
    fake_stream_free(x->stream);
    listener_clear(&x->l);
}

#define PROMPT ((sizeof QUESTION - 1 + 3) / 4)

static void the_order_goes_out_with_the_question(void **state)
{
    (void)state;
    bought x;
    begin(&x);
    size_t at = 0;
    tl_cluster_message m;
    fake_next_message(x.stream, &at, TL_CLUSTER_REQUEST, &m);
    assert_string_equal(m.u.request.order, "1.2.3.4.ab");
    assert_int_equal(x.till.opened, 1);
    assert_string_equal(x.till.model, "m");
    assert_int_equal(x.till.body_bytes, sizeof QUESTION - 1);
    listener_cancel(&x.l);
    assert_over(&x, TL_PAY_UNSEEN, 0, 0);
}

static void a_question_that_never_got_a_stream_has_no_bill(void **state)
{
    (void)state;
    bought x = {.l = {0}};
    asker_scene_init(&x.s);
    till_init(&x.till);
    tl_asker_set_pay(x.s.asker, &x.till.pay);
    asker_scene_ask(&x.s, &x.l);
    asker_scene_refuse(&x.s, "no way to it");
    assert_int_equal(x.till.opened, 0);
    asker_scene_clear(&x.s);
    listener_clear(&x.l);
}

static void a_question_that_the_books_do_not_take_does_not_go_out(void **state)
{
    (void)state;
    bought x = {.l = {0}};
    size_t at = 0;
    tl_frame_kind kind;
    tl_slice bytes;
    asker_scene_init(&x.s);
    till_init(&x.till);
    x.till.refuse_to_ask = TL_FAIL_UNAVAILABLE;
    tl_asker_set_pay(x.s.asker, &x.till.pay);
    x.stream = asker_scene_asked(&x.s, &x.l);
    assert_false(fake_next_said(x.stream, &at, &kind, &bytes));
    assert_int_equal(x.l.fail, TL_FAIL_UNAVAILABLE);
    assert_string_equal(x.l.message, "the books are closed");
    assert_int_equal(x.till.overs, 0);
    asker_scene_clear(&x.s);
    fake_stream_free(x.stream);
    listener_clear(&x.l);
}

static void a_whole_answer_is_owed_as_it_was_seen_whatever_the_peer_says(void **state)
{
    (void)state;
    bought x;
    begin(&x);
    head(&x, HEAD_OF("200"));
    two_words(&x);
    fake_lay_text(x.stream, TL_FRAME_MESSAGE,
                  "{\"inferenceComplete\":{\"requestID\":\"r1\",\"tokens_in\":999,"
                  "\"tokens_out\":999}}");
    fake_ends(x.stream);
    assert_over(&x, TL_PAY_ANSWERED, PROMPT, 2);
}

static void a_refusal_of_the_model_server_costs_nothing(void **state)
{
    (void)state;
    bought x;
    begin(&x);
    head(&x, HEAD_OF("404"));
    two_words(&x);
    fake_lay_text(x.stream, TL_FRAME_MESSAGE, COMPLETE("r1"));
    fake_ends(x.stream);
    assert_over(&x, TL_PAY_FAILED, 0, 0);
}

static void what_the_peer_says_has_failed_costs_nothing_but_where_our_credit_ended(void **state)
{
    (void)state;
    bought x;
    begin(&x);
    head(&x, HEAD_OF("200"));
    two_words(&x);
    head(&x, ERROR("r1", "internal_error", ""));
    assert_over(&x, TL_PAY_FAILED, PROMPT, 2);
    begin(&x);
    head(&x, HEAD_OF("200"));
    two_words(&x);
    head(&x, ERROR("r1", "payment_required", ""));
    assert_over(&x, TL_PAY_ANSWERED, PROMPT, 2);
    begin(&x);
    head(&x, ERROR("r1", "payment_required", "")); /* before any work */
    assert_over(&x, TL_PAY_FAILED, 0, 0);
}

static void a_broken_connection_and_an_answer_given_up_are_told_apart(void **state)
{
    (void)state;
    bought x;
    begin(&x);
    head(&x, HEAD_OF("200"));
    two_words(&x);
    asker_scene_pass(&x.s, SILENCE / 2);
    fake_closes(x.stream, "nothing passed for too long");
    assert_int_equal(x.till.silent, SILENCE / 2);
    assert_over(&x, TL_PAY_LOST, PROMPT, 2);
    begin(&x);
    head(&x, HEAD_OF("200"));
    asker_scene_pass(&x.s, SILENCE / 4);
    two_words(&x);
    fake_closes(x.stream, "the peer closed the connection");
    assert_int_equal(x.till.silent, 0); /* from the last word on */
    assert_over(&x, TL_PAY_LOST, PROMPT, 2);
    begin(&x);
    head(&x, HEAD_OF("200"));
    two_words(&x);
    fake_ends(x.stream);
    assert_over(&x, TL_PAY_GIVEN_UP, PROMPT, 2); /* all that it sent is here */
    begin(&x);
    head(&x, HEAD_OF("200"));
    two_words(&x);
    listener_cancel(&x.l);
    assert_over(&x, TL_PAY_GIVEN_UP, PROMPT, 2);
    begin(&x);
    head(&x, HEAD_OF("200"));
    two_words(&x);
    listener_pause(&x.l, true); /* what came meanwhile is not read */
    asker_scene_pass(&x.s, 3 * TL_SEC);
    listener_cancel(&x.l);
    assert_int_equal(x.till.silent, 3 * TL_SEC);
    assert_over(&x, TL_PAY_LOST, PROMPT, 2);
    begin(&x);
    head(&x, HEAD_OF("404"));
    two_words(&x);
    fake_closes(x.stream, "nothing passed for too long"); /* what was refused costs nothing */
    assert_over(&x, TL_PAY_FAILED, 0, 0);
    begin(&x);
    head(&x, HEAD_OF("200"));
    asker_scene_pass(&x.s, SILENCE); /* silent for too long: we give it up */
    assert_over(&x, TL_PAY_GIVEN_UP, PROMPT, 0);
}

static void a_peer_that_gives_up_before_its_head_is_owed_nothing(void **state)
{
    (void)state;
    bought x;
    for (int with_head = 0; with_head < 2; with_head++) {
        tl_pay_end end = with_head ? TL_PAY_GIVEN_UP : TL_PAY_FAILED;
        uint64_t in = with_head ? PROMPT : 0, out = with_head ? 2 : 0;
        for (int how = 0; how < 3; how++) {
            begin(&x);
            if (with_head) {
                head(&x, HEAD_OF("200"));
                two_words(&x);
            }
            if (how == 0)
                fake_resets(x.stream);
            else if (how == 1)
                fake_ends(x.stream);
            else
                head(&x, "{}"); /* nonsense */
            assert_over(&x, end, in, out);
        }
    }
    begin(&x); /* a broken connection: the head may have been on its way */
    fake_closes(x.stream, "nothing passed for too long");
    assert_over(&x, TL_PAY_UNSEEN, 0, 0);
    begin(&x);
    asker_scene_pass(&x.s, FIRST_BYTE);
    assert_over(&x, TL_PAY_FAILED, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_goes_out_with_the_question),
        cmocka_unit_test(a_question_that_never_got_a_stream_has_no_bill),
        cmocka_unit_test(a_question_that_the_books_do_not_take_does_not_go_out),
        cmocka_unit_test(a_whole_answer_is_owed_as_it_was_seen_whatever_the_peer_says),
        cmocka_unit_test(a_refusal_of_the_model_server_costs_nothing),
        cmocka_unit_test(what_the_peer_says_has_failed_costs_nothing_but_where_our_credit_ended),
        cmocka_unit_test(a_broken_connection_and_an_answer_given_up_are_told_apart),
        cmocka_unit_test(a_peer_that_gives_up_before_its_head_is_owed_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
