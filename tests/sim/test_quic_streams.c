/* Streams of a connection: bytes, limits, back-pressure, ends and resets, on an orderly network
 * under a virtual clock. */
#include "quic/quic_compat.h"
#include "quic_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <utlist.h>

static void a_stream_carries_bytes_both_ways_and_ends(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 1000, 1170, 100000, 3000000};
    world w = world_new(NULL, NULL);
    world_connect(&w);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), sizes[i]);
        assert_non_null(j);
        assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 10 * TL_SEC));
        assert_true(quic_job_done(j));
    }
    assert_int_equal(w.b->opened, sizeof sizes / sizeof *sizes);
    sim_run_for(w.s, TL_SEC);
    const quic_job *j;
    LL_FOREACH (w.b->jobs, j)
        assert_true(j->closed);
    world_free(&w);
}

static void the_server_may_open_streams_too(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    quic_node_send(w.b, quic_node_conn(w.b), 50000);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.b, 10 * TL_SEC));
    assert_int_equal(w.a->opened, 1);
    world_free(&w);
}

static void a_reader_that_rests_stops_the_writer_and_loses_nothing(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.stream_window = 64 * 1024;
    c.conn_window = 256 * 1024;
    world w = world_new(NULL, &c);
    world_connect(&w);
    w.b->hold_reading = true;
    quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 5000000);
    sim_run_for(w.s, 5 * TL_SEC);
    /* What was taken is in the send buffer; what left it, in the reader's window. */
    assert_in_range(j->sent, 1024 * 1024, 1024 * 1024 + 64 * 1024);
    uint64_t bytes = counters(w.a)->bytes_out;
    sim_run_for(w.s, 5 * TL_SEC);
    assert_true(counters(w.a)->bytes_out - bytes < 10000);
    assert_in_range(bytes, 64 * 1024, 90 * 1024);

    quic_node_resume_reading(w.b);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
    world_free(&w);
}

static void one_stream_nobody_reads_does_not_stop_the_others(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.stream_window = 64 * 1024;
    world w = world_new(NULL, &c);
    world_connect(&w);
    w.b->hold_reading = true;
    quic_node_send(w.a, quic_node_conn(w.a), 1000000);
    sim_run_for(w.s, 2 * TL_SEC);
    w.b->hold_reading = false; /* for streams from now on; the first stays full */
    quic_job *second = quic_node_send(w.a, quic_node_conn(w.a), 300000);
    sim_run_for(w.s, 2 * TL_SEC);
    assert_true(quic_job_done(second));
    world_free(&w);
}

static void a_hundred_stalled_readers_do_not_stop_a_new_stream(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    w.b->hold_reading = true;
    for (int i = 0; i < 200; i++)
        assert_non_null(quic_node_send(w.a, quic_node_conn(w.a), 5000000));
    sim_run_for(w.s, 10 * TL_SEC);
    assert_true(counters(w.b)->bytes_in > 16 * 1024 * 1024); /* more than conn_window */
    w.b->hold_reading = false;                               /* for streams from now on */
    quic_job *next = quic_node_send(w.a, quic_node_conn(w.a), 300000);
    sim_run_for(w.s, TL_SEC);
    assert_true(quic_job_done(next));
    world_free(&w);
}

/* Windows that grew while all was well are what a stall fills. */
static void readers_that_stall_in_full_flight_leave_room_for_a_new_stream(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.stream_window = 512 * 1024;
    c.conn_window = 1024 * 1024;
    c.unread_max = 5 * 1024 * 1024;
    world w = world_new(NULL, &c);
    sim_link_set_faults(w.link, &(sim_faults){.delay = DELAY, .bytes_per_sec = 40000000});
    world_connect(&w);
    for (int i = 0; i < 16; i++) /* 8 MiB, would all of them grow */
        assert_non_null(quic_node_send(w.a, quic_node_conn(w.a), 2000000));
    sim_run_for(w.s, 200 * TL_MS);
    w.b->hold_reading = true;
    sim_run_for(w.s, 5 * TL_SEC);
    uint64_t in = counters(w.b)->bytes_in;
    sim_run_for(w.s, 2 * TL_SEC);
    assert_true(counters(w.b)->bytes_in - in < 20000); /* all of them are full */
    w.b->hold_reading = false;
    quic_job *next = quic_node_send(w.a, quic_node_conn(w.a), 300000);
    sim_run_for(w.s, TL_SEC);
    assert_true(quic_job_done(next));
    quic_node_resume_reading(w.b);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 600 * TL_SEC));
    world_free(&w);
}

static void unread_bytes_of_a_connection_have_a_bound(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.conn_window = 512 * 1024;
    c.unread_max = 2 * 1024 * 1024;
    world w = world_new(NULL, &c);
    world_connect(&w);
    w.b->hold_reading = true;
    for (int i = 0; i < 60; i++) /* 7.5 MiB of first windows */
        assert_non_null(quic_node_send(w.a, quic_node_conn(w.a), 1000000));
    sim_run_for(w.s, 10 * TL_SEC);
    assert_in_range(counters(w.b)->bytes_in, 1536 * 1024, 2 * 1024 * 1024 * 11 / 10);
    quic_node_resume_reading(w.b);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
    world_free(&w);
}

/* 10 Mbyte/s over 200 ms there and back need 2 MB under way; the first window alone gives 0.6, half
 * a minute. */
static void a_long_way_is_filled_by_a_window_that_grows(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    sim_link_set_faults(w.link, &(sim_faults){.delay = 100 * TL_MS, .bytes_per_sec = 10000000});
    world_connect(&w);
    tl_time start = sim_now(w.s);
    quic_node_send(w.a, quic_node_conn(w.a), 20000000);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
    assert_in_range(sim_now(w.s) - start, 2 * TL_SEC, 7 * TL_SEC);
    world_free(&w);
}

/* Reads what came on the only stream, and gives nothing back. Returns how much it was. */
static uint64_t read_all(world *w)
{
    uint64_t n = 0;
    bool fin;
    tl_slice in;
    if (!w->b->jobs || !w->b->jobs->stream)
        return 0;
    for (; (in = tl_quic_stream_peek(w->b->jobs->stream, &fin)).n; n += in.n)
        tl_quic_stream_consume(w->b->jobs->stream, in.n);
    sim_wake(w->b->host);
    return n;
}

/* Mbyte/s of 40 MB one way, over 200 Mbyte/s with a queue of 4 MB. */
static double speed_over(tl_time round_trip)
{
    world w = world_new(NULL, NULL);
    uint64_t got = 0, amount = 40000000;
    sim_link_set_faults(
        w.link,
        &(sim_faults){.delay = round_trip / 2, .bytes_per_sec = 200000000, .queue_bytes = 4000000});
    world_connect(&w);
    w.b->mute = true;
    tl_time start = sim_now(w.s);
    quic_node_send(w.a, quic_node_conn(w.a), amount);
    while (got < amount && sim_now(w.s) < start + 60 * TL_SEC) {
        sim_run_for(w.s, 200 * TL_US);
        got += read_all(&w);
    }
    double speed = (double)got / 1e6 / ((double)(sim_now(w.s) - start) / (double)TL_SEC);
    printf("one stream over %.0f ms there and back: %.0f MB/s\n",
           (double)round_trip / (double)TL_MS, speed);
    world_free(&w);
    return speed;
}

/* A send buffer of 1 MiB allows 194, 39 and 8 at most. */
static void one_stream_goes_as_fast_as_a_long_way_takes_it(void **state)
{
    (void)state;
    assert_true(speed_over(TL_MS) > 180);
    assert_true(speed_over(20 * TL_MS) > 70);
    assert_true(speed_over(100 * TL_MS) > 20);
}

static uint64_t taken(const quic_node *n)
{
    uint64_t sum = 0;
    const quic_job *j;
    LL_FOREACH (n->jobs, j)
        sum += j->sent;
    return sum;
}

static void writers_to_readers_that_rest_are_held_back_in_sum(void **state)
{
    (void)state;
    enum { STREAMS = 100 };
    for (int strangers = 0; strangers < 2; strangers++) {
        tl_quic_config c = quic_node_config();
        c.send_max = 8 * 1024 * 1024;
        uint64_t bound = strangers ? 4 * 1024 * 1024 : c.send_max;
        world w = world_new(&c, NULL);
        w.a->strangers = strangers;
        world_connect(&w);
        w.b->hold_reading = true;
        for (int i = 0; i < STREAMS; i++)
            assert_non_null(quic_node_send(w.a, quic_node_conn(w.a), 600000));
        sim_run_for(w.s, 10 * TL_SEC);
        uint64_t kept = taken(w.a) - STREAMS * 128 * 1024; /* what b has in its windows */
        assert_in_range(kept, bound / 2, bound + STREAMS * 16 * 1024);
        quic_node_resume_reading(w.b);
        assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 600 * TL_SEC)); /* none is stuck */
        world_free(&w);
    }
}

static void all_send_buffers_together_have_a_bound_and_each_stream_goes_on(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.send_memory_max = 2 * 1024 * 1024;
    world w = world_new(&c, NULL);
    world_connect(&w);
    w.b->hold_reading = true;
    for (int i = 0; i < 40; i++)
        quic_node_send(w.a, quic_node_conn(w.a), 5000000);
    sim_run_for(w.s, 5 * TL_SEC);
    assert_true(taken(w.a) <= 40 * 128 * 1024 + c.send_memory_max + 40 * 16 * 1024);
    w.b->hold_reading = false; /* for streams from now on */
    quic_job *next = quic_node_send(w.a, quic_node_conn(w.a), 300000);
    sim_run_for(w.s, 5 * TL_SEC);
    assert_true(quic_job_done(next)); /* by 16 KiB a round trip */
    world_free(&w);
}

/* As on radio. Measured here at 3%: 4.6 Mbyte/s with BBR, 0.3 with CUBIC, 0.2 with Reno. */
static void loss_that_is_no_congestion_costs_little_of_the_rate(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    sim_link_set_faults(w.link, &(sim_faults){.delay = 20 * TL_MS,
                                              .loss = 0.03,
                                              .bytes_per_sec = 10000000,
                                              .queue_bytes = 300000});
    world_connect(&w);
    tl_time start = sim_now(w.s);
    quic_node_send(w.a, quic_node_conn(w.a), 10000000);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
    assert_in_range(sim_now(w.s) - start, TL_SEC, 4 * TL_SEC);
    world_free(&w);
}

static void a_thousand_streams_run_at_once(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    for (int i = 0; i < 1500; i++)
        assert_non_null(quic_node_send(w.a, quic_node_conn(w.a), 2000 + (uint64_t)i));
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
    assert_int_equal(w.b->opened, 1500);
    world_free(&w);
}

static void short_streams_one_after_another_cost_few_datagrams(void **state)
{
    (void)state;
    /* libngtcp2 1.x does not put the question's acknowledgement into the answer's packet. */
    enum { COUNT = 100, EACH = NGTCP2_VERSION_NUM < 0x010000 ? 3 : 4 };
    world w = world_new(NULL, NULL);
    world_connect(&w);
    sim_run_for(w.s, 2 * TL_SEC);
    uint64_t before = counters(w.a)->datagrams_out + counters(w.b)->datagrams_out;
    for (int i = 0; i < COUNT; i++) {
        quic_node_send(w.a, quic_node_conn(w.a), 200);
        assert_true(sim_run_while(w.s, quic_node_all_done, w.a, TL_SEC));
        sim_run_for(w.s, 100 * TL_MS);
    }
    uint64_t datagrams = counters(w.a)->datagrams_out + counters(w.b)->datagrams_out - before;
    assert_in_range(datagrams, 2 * COUNT, EACH * COUNT + 10);
    world_free(&w);
}

static void opening_waits_when_the_peer_allows_no_more(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.streams_max = 3;
    world w = world_new(NULL, &c);
    world_connect(&w);
    w.b->hold_reading = true;
    for (int i = 0; i < 3; i++)
        assert_non_null(quic_node_send(w.a, quic_node_conn(w.a), 100));
    assert_null(quic_node_send(w.a, quic_node_conn(w.a), 100));
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(w.a->streams_available, 0);
    quic_node_resume_reading(w.b);
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(w.a->streams_available, 1);
    assert_non_null(quic_node_send(w.a, quic_node_conn(w.a), 100));
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, TL_SEC));
    world_free(&w);
}

static void thousands_of_streams_one_after_another_leave_nothing_behind(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.streams_max = 10;
    world w = world_new(NULL, &c);
    world_connect(&w);
    for (int i = 0; i < 3000; i++) {
        quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 300);
        while (!j) {
            assert_true(sim_step(w.s));
            j = quic_node_send(w.a, quic_node_conn(w.a), 300);
        }
    }
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
    assert_int_equal(w.b->opened, 3000);
    world_free(&w);
}

static void a_reset_cancels_a_stream_at_the_other_end_within_a_one_way_trip(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    w.b->mute = true;
    tl_quic_stream *s;
    size_t n;
    assert_int_equal(tl_quic_stream_open(quic_node_conn(w.a), &s), TL_OK);
    assert_int_equal(tl_quic_stream_write(s, TL_SLICE_LIT("question"), false, &n), TL_OK);
    sim_wake(w.a->host);
    sim_run_for(w.s, TL_SEC);
    tl_quic_stream_set_user(s, calloc(1, sizeof(quic_job)));
    quic_job *mine = tl_quic_stream_user(s);
    tl_quic_stream_reset(s, 42);
    sim_wake(w.a->host);
    sim_run_for(w.s, DELAY);
    assert_true(only_job(w.b)->reset);
    assert_int_equal(only_job(w.b)->reset_code, 42);
    sim_run_for(w.s, TL_SEC);
    assert_true(only_job(w.b)->closed);
    assert_true(mine->closed);
    assert_false(mine->reset); /* one's own reset is not told back */
    free(mine);
    world_free(&w);
}

static void a_cancel_after_the_whole_question_was_sent_arrives_as_fast(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    w.b->mute = true;
    quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 3000); /* with fin, acknowledged */
    sim_run_for(w.s, TL_SEC);
    tl_quic_stream_reset(j->stream, 42);
    sim_wake(w.a->host);
    sim_run_for(w.s, DELAY);
    assert_true(only_job(w.b)->reset);
    sim_run_for(w.s, TL_SEC);
    assert_true(only_job(w.b)->closed);
    assert_true(j->closed);
    world_free(&w);
}

static void the_answering_side_may_reset_as_well(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    w.b->mute = true;
    quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 3000);
    sim_run_for(w.s, TL_SEC);
    tl_quic_stream_reset(only_job(w.b)->stream, 7);
    sim_wake(w.b->host);
    sim_run_for(w.s, DELAY);
    assert_true(j->reset);
    assert_int_equal(j->reset_code, 7);
    sim_run_for(w.s, TL_SEC);
    assert_true(j->closed);
    assert_true(only_job(w.b)->closed);
    world_free(&w);
}

static void resets_give_the_connections_window_back(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.conn_window = 128 * 1024;
    c.stream_window = 64 * 1024;
    world w = world_new(NULL, &c);
    world_connect(&w);
    w.b->mute = true;
    for (int i = 0; i < 20; i++) { /* ten times the window, never read */
        quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 64 * 1024);
        sim_run_for(w.s, TL_SEC);
        if (i % 2)
            tl_quic_stream_reset(j->stream, 1);
        else
            tl_quic_stream_reset(w.b->jobs->stream, 1);
        sim_wake(w.a->host);
        sim_wake(w.b->host);
        sim_run_for(w.s, TL_SEC);
    }
    w.b->mute = false;
    quic_job *last = quic_node_send(w.a, quic_node_conn(w.a), 500000);
    sim_run_for(w.s, 10 * TL_SEC);
    assert_true(quic_job_done(last));
    world_free(&w);
}

/* Pacing must not hold back what an answer trickles: alone, after rest, after a burst. */
static void small_messages_leave_at_once(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    for (int phase = 0; phase < 3; phase++) {
        if (phase == 1)
            sim_run_for(w.s, 40 * TL_SEC);
        if (phase == 2) {
            quic_node_send(w.a, quic_node_conn(w.a), 5000000);
            assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
            sim_run_for(w.s, TL_SEC);
        }
        w.b->mute = true; /* only listens */
        tl_quic_stream *s;
        assert_int_equal(tl_quic_stream_open(quic_node_conn(w.a), &s), TL_OK);
        for (int i = 0; i < 200; i++) {
            size_t n;
            tl_time start = sim_now(w.s);
            assert_int_equal(tl_quic_stream_write(s, TL_SLICE_LIT("a token"), false, &n), TL_OK);
            sim_wake(w.a->host);
            sim_run_for(w.s, 15 * TL_MS);
            assert_in_range(w.b->readable_at - start, DELAY, DELAY + TL_MS);
        }
        w.b->mute = false;
    }
    world_free(&w);
}

/* Datagrams that the listening side sends while `count` tokens come, one each `every`. */
static uint64_t answers_to_tokens(world *w, tl_quic_stream *s, int count, tl_time every)
{
    uint64_t before = counters(w->b)->datagrams_out;
    for (int i = 0; i < count; i++) {
        size_t n;
        assert_int_equal(tl_quic_stream_write(s, TL_SLICE_LIT("a token"), false, &n), TL_OK);
        sim_wake(w->a->host);
        sim_run_for(w->s, every);
    }
    return counters(w->b)->datagrams_out - before;
}

static void tokens_of_one_stream_are_acknowledged_two_at_a_time(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    sim_run_for(w.s, TL_SEC);
    w.b->mute = true;
    tl_quic_stream *s;
    assert_int_equal(tl_quic_stream_open(quic_node_conn(w.a), &s), TL_OK);
    answers_to_tokens(&w, s, 20, 20 * TL_MS);
    assert_in_range(answers_to_tokens(&w, s, 100, 20 * TL_MS), 50, 70); /* 66 on libngtcp2 1.11 */
    /* one that is followed by none is not kept waiting for long */
    sim_run_for(w.s, TL_SEC);
    answers_to_tokens(&w, s, 3, 20 * TL_MS); /* of which the first came after a pause */
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(tl_quic_conn_timeouts(quic_node_conn(w.a)), 0);
    /* tokens that are farther apart do not wait for each other */
    assert_in_range(answers_to_tokens(&w, s, 100, 60 * TL_MS), 98, 102);
    world_free(&w);
}

static void writing_after_the_end_is_refused(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    tl_quic_stream *s;
    size_t n;
    assert_int_equal(tl_quic_stream_open(quic_node_conn(w.a), &s), TL_OK);
    assert_int_equal(tl_quic_stream_write(s, TL_SLICE_LIT("x"), true, &n), TL_OK);
    assert_int_equal(tl_quic_stream_write(s, TL_SLICE_LIT("x"), true, &n), TL_ERR_CLOSED);
    assert_int_equal(tl_quic_stream_open(quic_node_conn(w.a), &s), TL_OK);
    tl_quic_stream_reset(s, 0);
    assert_int_equal(tl_quic_stream_write(s, TL_SLICE_LIT("x"), true, &n), TL_ERR_CLOSED);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_carries_bytes_both_ways_and_ends),
        cmocka_unit_test(the_server_may_open_streams_too),
        cmocka_unit_test(a_reader_that_rests_stops_the_writer_and_loses_nothing),
        cmocka_unit_test(one_stream_nobody_reads_does_not_stop_the_others),
        cmocka_unit_test(a_hundred_stalled_readers_do_not_stop_a_new_stream),
        cmocka_unit_test(readers_that_stall_in_full_flight_leave_room_for_a_new_stream),
        cmocka_unit_test(unread_bytes_of_a_connection_have_a_bound),
        cmocka_unit_test(a_long_way_is_filled_by_a_window_that_grows),
        cmocka_unit_test(one_stream_goes_as_fast_as_a_long_way_takes_it),
        cmocka_unit_test(writers_to_readers_that_rest_are_held_back_in_sum),
        cmocka_unit_test(all_send_buffers_together_have_a_bound_and_each_stream_goes_on),
        cmocka_unit_test(loss_that_is_no_congestion_costs_little_of_the_rate),
        cmocka_unit_test(a_thousand_streams_run_at_once),
        cmocka_unit_test(short_streams_one_after_another_cost_few_datagrams),
        cmocka_unit_test(opening_waits_when_the_peer_allows_no_more),
        cmocka_unit_test(thousands_of_streams_one_after_another_leave_nothing_behind),
        cmocka_unit_test(a_reset_cancels_a_stream_at_the_other_end_within_a_one_way_trip),
        cmocka_unit_test(a_cancel_after_the_whole_question_was_sent_arrives_as_fast),
        cmocka_unit_test(the_answering_side_may_reset_as_well),
        cmocka_unit_test(resets_give_the_connections_window_back),
        cmocka_unit_test(small_messages_leave_at_once),
        cmocka_unit_test(tokens_of_one_stream_are_acknowledged_two_at_a_time),
        cmocka_unit_test(writing_after_the_end_is_refused),
    };
    sim_each_test(tests);
    return sim_result();
}
