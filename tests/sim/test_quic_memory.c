/* What peers can make a node hold: holes in streams, many streams, many connections. Each attack
 * has an honest twin that is never closed. */
#include "quic_world.h"
#include "raw_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <utlist.h>

#define RAW_PATH 50
#define MIB      (1024.0 * 1024.0)

/* --- holes --- */

/* Sends one byte in every second place of its streams: as many holes in each as libngtcp2 0.12
 * bears (1000). */
typedef struct {
    raw_peer peer;
    uint64_t stream, offset, sent;
} puncher;

#define STREAM_END 1900

/* One packet of holes. */
static void punch(puncher *p, tl_path_id path)
{
    uint8_t frames[1300];
    size_t n = 0;
    while (n + 20 < sizeof frames) {
        frames[n++] = 0x0e; /* STREAM with offset and length */
        n += raw_varint(frames + n, 4 * p->stream);
        n += raw_varint(frames + n, p->offset + 1);
        frames[n++] = 1;
        frames[n++] = 'x';
        p->offset += 2;
        if (p->offset + 2 >= STREAM_END) {
            p->offset = 0;
            p->stream++;
        }
    }
    p->sent += n;
    raw_peer_send(&p->peer, path, NULL, tl_slice_of(frames, n));
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Punches by three connections, until `bytes` were sent by each or it was closed. Returns the most
 * that was held. */
static uint64_t punch_by_three(world *w, uint64_t bytes)
{
    puncher p[3] = {0};
    uint64_t most = 0;
    for (tl_path_id i = 0; i < 3; i++) {
        raw_peer_connect(&p[i].peer, w->b, RAW_PATH + 100 * i);
        unsigned closed = w->b->closed;
        while (p[i].sent < bytes && w->b->closed == closed) {
            punch(&p[i], RAW_PATH + 100 * i);
            most = larger(most, tl_quic_held(w->b->quic));
            sim_run_for(w->s, TL_US);
        }
    }
    printf("three connections sent %.1f MB: at most %.1f MiB were held\n",
           (double)(p[0].sent + p[1].sent + p[2].sent) / 1e6, (double)most / MIB);
    return most;
}

static void a_stranger_that_sends_holes_is_closed_before_it_fills_memory(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    w.b->strangers = true;
    uint64_t most = punch_by_three(&w, 6000000);
    assert_int_equal(counters(w.b)->closed_holes, 3);
    assert_int_equal(w.b->close_error, TL_ERR_BUSY);
    assert_string_equal(w.b->close_why, "too many holes in its streams");
    assert_true(most < 8 * 1024 * 1024);
    sim_run_for(w.s, TL_SEC);
    assert_true(tl_quic_held(w.b->quic) < 1024); /* all is given back */
    world_free(&w);
}

static void a_known_peer_that_sends_holes_is_closed_too(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    uint64_t most = punch_by_three(&w, 60000000);
    assert_int_equal(counters(w.b)->closed_holes, 3);
    assert_true(most <
                51 * 1024 * 1024); /* 49 in libngtcp2 for the one that is open, and our lists */
    world_free(&w);
}

/* Bad links lose and reorder packets, so each stream has holes all the time. */
static uint64_t transfer_over_a_bad_link(bool stranger, int streams, uint64_t each)
{
    world w = world_new(NULL, NULL);
    w.b->strangers = stranger;
    sim_link_set_faults(w.link, &(sim_faults){.delay = 50 * TL_MS,
                                              .jitter = 20 * TL_MS,
                                              .loss = 0.03,
                                              .duplicate = 0.02,
                                              .bytes_per_sec = 100000000});
    world_connect(&w);
    for (int i = 0; i < streams; i++)
        assert_non_null(quic_node_send(w.a, quic_node_conn(w.a), each));
    uint64_t most = 0;
    /* BBR of libngtcp2 1.11 needs 1000 s where that of 0.12 needs 14 (ADR 11). */
    tl_time end = sim_now(w.s) + 1500 * TL_SEC;
    while (!quic_node_all_done(w.a) && sim_now(w.s) < end) {
        sim_run_for(w.s, TL_MS);
        most = larger(most, tl_quic_held(w.b->quic));
    }
    assert_true(quic_node_all_done(w.a));
    assert_int_equal(counters(w.b)->closed_holes + counters(w.b)->closed_memory, 0);
    assert_int_equal(counters(w.a)->closed_holes + counters(w.a)->closed_memory, 0);
    assert_int_equal(w.a->closed + w.b->closed, 0);
    world_free(&w);
    printf("%d streams of %.1f MB over a bad link: at most %.1f MiB were held\n", streams,
           (double)each / 1e6, (double)most / MIB);
    return most;
}

static void an_honest_transfer_over_a_bad_link_is_never_closed(void **state)
{
    (void)state;
    /* 7 MiB of libngtcp2's, 8 unread, 4 in send buffers: a stranger's bounds (budget.h). Most of it
     * was libngtcp2's 0.62 of its bound on 0.12, and what waits to be read on 1.11. */
    assert_true(transfer_over_a_bad_link(true, 128, 400000) < 19 * 1024 * 1024);
    (void)transfer_over_a_bad_link(false, 1000, 20000);
    (void)transfer_over_a_bad_link(false, 8, 2000000);
}

/* Three packets of ten are lost from a window of megabytes: a hole each. libngtcp2 would end the
 * connection at 1000 (1.x: 5000) in one stream. How full the window is changes while the rate is
 * looked for, so the line is bad three times. */
static void a_window_full_of_losses_is_mended(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    sim_faults f = {.delay = 50 * TL_MS, .bytes_per_sec = 400000000, .queue_bytes = 5000000};
    sim_link_set_faults(w.link, &f);
    world_connect(&w);
    quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 40000000);
    tl_time end = sim_now(w.s) + 60 * TL_SEC;
    for (uint64_t from = 4000000; from <= 10000000; from += 3000000) {
        while (j->received < from && sim_now(w.s) < end)
            sim_run_for(w.s, TL_MS);
        f.loss = 0.3;
        sim_link_set_faults(w.link, &f);
        sim_run_for(w.s, 200 * TL_MS); /* two round trips */
        f.loss = 0;
        sim_link_set_faults(w.link, &f);
    }
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
    assert_true(counters(w.b)->dropped_limit > 0); /* more holes than the library bears */
    assert_int_equal(w.a->closed + w.b->closed, 0);
    world_free(&w);
}

/* --- all connections --- */

static void all_connections_hold_no_more_than_the_budget_and_the_honest_stay(void **state)
{
    (void)state;
    enum { PEERS = 12 };
    tl_quic_config c = quic_node_config();
    c.memory_max = 4 * 1024 * 1024;
    world w = world_new(NULL, &c);
    w.b->strangers = true;
    world_connect(&w);
    quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 3000000);
    static puncher p[PEERS];
    for (tl_path_id i = 0; i < PEERS; i++) {
        p[i] = (puncher){0};
        raw_peer_connect(&p[i].peer, w.b, RAW_PATH + 100 * i);
    }
    for (int round = 0; round < 60; round++) /* each stays well below its own bound */
        for (tl_path_id i = 0; i < PEERS; i++) {
            punch(&p[i], RAW_PATH + 100 * i);
            assert_true(tl_quic_held(w.b->quic) <= c.memory_max);
            sim_run_for(w.s, TL_US);
        }
    assert_int_equal(counters(w.b)->closed_holes, 0);
    assert_in_range(counters(w.b)->closed_memory, 1, PEERS);
    sim_run_for(w.s, 10 * TL_SEC);
    assert_true(quic_job_done(j));
    assert_int_equal(w.a->closed, 0);
    world_free(&w);
}

/* Each stranger holds less than the peer that we know and that has much under way. */
static void many_small_strangers_close_no_peer_that_we_know(void **state)
{
    (void)state;
    enum { PEERS = 40 };
    tl_quic_config c = quic_node_config();
    c.memory_max = 3 * 1024 * 1024;
    world w = world_new(NULL, &c);
    w.b->strangers = true;
    world_connect(&w);
    tl_quic_conn_know(w.b->conns[0]);
    w.b->hold_reading = true;
    quic_node_send(w.a, quic_node_conn(w.a), 1000000);
    sim_run_for(w.s, TL_SEC);
    static puncher p[PEERS];
    for (tl_path_id i = 0; i < PEERS; i++) {
        p[i] = (puncher){0};
        raw_peer_connect(&p[i].peer, w.b, RAW_PATH + 100 * i);
        for (int round = 0; round < 3; round++)
            punch(&p[i], RAW_PATH + 100 * i);
        sim_run_for(w.s, TL_US);
        assert_true(tl_quic_held(w.b->quic) <= c.memory_max);
    }
    assert_in_range(counters(w.b)->closed_memory, 1, PEERS);
    assert_int_equal(counters(w.b)->closed_holes, 0);
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(w.a->closed, 0);
    world_free(&w);
}

static void bytes_that_the_layer_above_does_not_read_count_too(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.memory_max = 1024 * 1024;
    world w = world_new(NULL, &c);
    world_connect(&w);
    w.b->hold_reading = true;
    quic_node_send(w.a, quic_node_conn(w.a), 100000);
    sim_run_for(w.s, 2 * TL_SEC);
    assert_int_equal(w.b->closed, 0);
    for (int i = 0; i < 8; i++)
        quic_node_send(w.a, quic_node_conn(w.a), 200000);
    sim_run_for(w.s, 2 * TL_SEC);
    assert_int_equal(counters(w.b)->closed_memory, 1);
    assert_int_equal(w.a->closed, 1);
    assert_string_equal(w.a->close_why,
                        "the peer reports QUIC error 0x1: out of memory for connections");
    world_free(&w);
}

/* --- streams --- */

static unsigned open_all(world *w)
{
    unsigned n = 0;
    while (quic_node_send(w->a, quic_node_conn(w->a), 10))
        n++;
    return n;
}

static void a_stranger_holds_128_streams_and_a_known_peer_4096(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    w.b->strangers = true;
    w.b->mute = true;
    world_connect(&w);
    assert_int_equal(open_all(&w), 128);
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(open_all(&w), 0);
    tl_quic_conn_know(w.b->conns[0]); /* it was served well */
    tl_quic_conn_know(w.b->conns[0]); /* told twice is told once */
    sim_wake(w.b->host);
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(w.a->streams_available, 1);
    assert_int_equal(open_all(&w), 4096 - 128);
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(w.b->opened, 4096);
    world_free(&w);
}

static void a_peer_known_before_it_comes_is_granted_all_at_once(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    w.b->mute = true;
    world_connect(&w);
    assert_int_equal(open_all(&w), 4096);
    world_free(&w);
}

static void a_peer_that_becomes_known_sends_as_fast_as_one_known_before(void **state)
{
    (void)state;
    tl_time took[2];
    for (int before = 0; before < 2; before++) {
        world w = world_new(NULL, NULL);
        w.b->strangers = !before;
        sim_link_set_faults(w.link, &(sim_faults){.delay = 50 * TL_MS, .bytes_per_sec = 50000000});
        world_connect(&w);
        tl_quic_conn_know(w.b->conns[0]);
        sim_wake(w.b->host);
        tl_time start = sim_now(w.s);
        for (int i = 0; i < 20; i++)
            quic_node_send(w.a, quic_node_conn(w.a), 5000000);
        assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
        took[before] = sim_now(w.s) - start;
        world_free(&w);
    }
    /* 1.07 times as long on libngtcp2 0.12, 0.87 to 1.37 on 1.11, by how its BBR begins; twice and more if it
     * stayed a stranger */
    assert_in_range(took[0], took[1] * 2 / 3, took[1] * 3 / 2);
}

/* Opens streams and resets them at once, as fast as it may, for ten seconds. */
static unsigned open_and_reset(bool stranger)
{
    world w = world_new(NULL, NULL);
    w.b->strangers = stranger;
    w.b->mute = true;
    world_connect(&w);
    tl_time end = sim_now(w.s) + 10 * TL_SEC;
    while (sim_now(w.s) < end) {
        quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 10);
        sim_run_for(w.s, TL_MS); /* the question is on its way */
        if (j)
            tl_quic_stream_reset(j->stream, 1);
    }
    unsigned opened = w.b->opened;
    if (stranger) { /* what was withheld comes in time, and all at once when it is known */
        tl_quic_conn_know(w.b->conns[0]);
        sim_wake(w.b->host);
        sim_run_for(w.s, TL_SEC);
        assert_in_range(open_all(&w), 4096 - 256, 4096);
    }
    world_free(&w);
    printf("a stream opened and reset each millisecond by a %s: %u came in 10 s\n",
           stranger ? "stranger" : "known peer", opened);
    return opened;
}

static void a_stranger_opens_streams_at_a_rate(void **state)
{
    (void)state;
    assert_in_range(open_and_reset(true), 128 + 32 * 8, 2 * 128 + 32 * 10);
    assert_true(open_and_reset(false) > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_that_sends_holes_is_closed_before_it_fills_memory),
        cmocka_unit_test(a_known_peer_that_sends_holes_is_closed_too),
        cmocka_unit_test(an_honest_transfer_over_a_bad_link_is_never_closed),
        cmocka_unit_test(a_window_full_of_losses_is_mended),
        cmocka_unit_test(all_connections_hold_no_more_than_the_budget_and_the_honest_stay),
        cmocka_unit_test(many_small_strangers_close_no_peer_that_we_know),
        cmocka_unit_test(bytes_that_the_layer_above_does_not_read_count_too),
        cmocka_unit_test(a_stranger_holds_128_streams_and_a_known_peer_4096),
        cmocka_unit_test(a_stranger_opens_streams_at_a_rate),
        cmocka_unit_test(a_peer_known_before_it_comes_is_granted_all_at_once),
        cmocka_unit_test(a_peer_that_becomes_known_sends_as_fast_as_one_known_before),
    };
    sim_each_test(tests);
    return sim_result();
}
