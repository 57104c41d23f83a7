/* The price of a request: agreed on before any work, or refused with the price as it is now. */
#include "server_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The refusal that was sent, with the price now. */
static void check_refused(tl_quic_stream *stream, int64_t price, int64_t version, const char *words)
{
    size_t at = 0;
    tl_cluster_message m;
    fake_next_message(stream, &at, TL_CLUSTER_ERROR, &m);
    assert_string_equal(m.u.error.code, "payment_required");
    assert_true(m.u.error.price.given && m.u.error.price_version.given);
    assert_int_equal(m.u.error.price.value, price);
    assert_int_equal(m.u.error.price_version.value, version);
    assert_string_equal(m.u.error.message, words);
    assert_int_equal(at, stream->out.len);
    assert_true(stream->out_fin);
}

static void a_price_that_was_seen_is_agreed_on_and_told_with_the_answer(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int64_t price;
        bool agreed;
    } rows[] = {
        {"", 0, true},
        {"", 1, false},
        {",\"pricePerKToken\":100,\"priceVersion\":7", 100, true},
        {",\"pricePerKToken\":100,\"priceVersion\":7", 99, true}, /* it has fallen */
        {",\"pricePerKToken\":100,\"priceVersion\":7", 101, false},
        {",\"priceVersion\":7", 100, true}, /* the version stands for its price */
        {",\"priceVersion\":6", 100, false},
        {",\"priceVersion\":8", 100, false},
        {",\"pricePerKToken\":100,\"maxPricePerKToken\":100", 100, true},
        {",\"pricePerKToken\":0,\"maxPricePerKToken\":0", 0, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        server_scene s;
        server_scene_init(&s);
        s.price = rows[i].price;
        s.version = 7;
        tl_quic_stream *stream = server_scene_ask_with(&s, rows[i].fields);
        assert_int_equal(s.n_jobs, rows[i].agreed);
        assert_int_equal(tl_server_counters_of(s.server)->refused, !rows[i].agreed);
        if (rows[i].agreed) {
            job *j = &s.jobs[0];
            size_t at = 0;
            tl_cluster_message m;
            assert_true(j->ask.price.given && j->ask.price_version.given);
            assert_int_equal(j->ask.price.value, rows[i].price);
            assert_int_equal(j->ask.price_version.value, 7);
            job_head(j);
            fake_next_message(stream, &at, TL_CLUSTER_RESPONSE, &m);
            assert_true(m.u.response.price.given);
            assert_int_equal(m.u.response.price.value, rows[i].price);
            job_end(j, (tl_answer_end){0});
            server_scene_over(stream);
        } else {
            char words[128];
            snprintf(words, sizeof words, "the price is %d micro-credits for 1000 tokens now",
                     (int)rows[i].price);
            check_refused(stream, rows[i].price, 7, words);
        }
        assert_int_equal(tl_server_running(s.server), 0); /* and no place is kept */
        server_scene_clear(&s);
    }
}

static void a_price_above_the_maximum_is_refused_before_any_work(void **state)
{
    (void)state;
    for (int above = 0; above < 2; above++) {
        server_scene s;
        server_scene_init(&s);
        s.price = 100 + above;
        s.version = 7;
        tl_quic_stream *stream =
            server_scene_ask_with(&s, ",\"maxPricePerKToken\":100,\"pricePerKToken\":1000");
        assert_int_equal(s.n_jobs, !above);
        if (above)
            check_refused(
                stream, 101, 7,
                "the price is 101 micro-credits for 1000 tokens, above your maximum of 100");
        server_scene_clear(&s);
    }
}

static void what_an_asker_may_pay_reaches_the_backend_for_its_queue(void **state)
{
    (void)state;
    server_scene s;
    server_scene_init(&s);
    (void)server_scene_ask_with(&s, ",\"maxPricePerKToken\":300");
    assert_int_equal(s.n_jobs, 1);
    assert_true(s.jobs[0].ask.max_price.given);
    assert_int_equal(s.jobs[0].ask.max_price.value, 300);
    server_scene_clear(&s);
}

/* --- how fast it was --- */

static void the_time_of_a_stream_that_nobody_held_up_is_told(void **state)
{
    (void)state;
    for (int what = 0; what < 4; what++) {
        server_scene s;
        job *j;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_running(&s, &j);
        j->ask.streaming = what != 1;
        job_head(j);
        server_scene_pass(&s, 3 * TL_SEC); /* the prompt is read */
        if (what != 2)
            job_body(j, TL_SLICE_LIT("x"));
        if (what == 3) {
            stream->room = 0;
            job_body_until_paused(j);
            fake_makes_room(stream, 64 << 20);
        }
        server_scene_pass(&s, 2 * TL_SEC);
        job_end(j, (tl_answer_end){5, 6, 0});
        assert_int_equal(s.done_end.streamed, what >= 2 ? 0 : 2 * TL_SEC);
        server_scene_clear(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_price_that_was_seen_is_agreed_on_and_told_with_the_answer),
        cmocka_unit_test(a_price_above_the_maximum_is_refused_before_any_work),
        cmocka_unit_test(what_an_asker_may_pay_reaches_the_backend_for_its_queue),
        cmocka_unit_test(the_time_of_a_stream_that_nobody_held_up_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
