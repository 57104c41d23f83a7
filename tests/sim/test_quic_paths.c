/* A connection moves from path to path, and paths carry more or less than it thought. */
#include "quic_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void the_client_moves_to_another_path_without_losing_a_byte(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    sim_faults f = {.delay = 3 * DELAY};
    sim_link_new(w.s, w.a->host, 100, w.b->host, 200, &f);
    world_connect(&w);
    quic_node_send(w.a, quic_node_conn(w.a), 20000000);
    sim_run_for(w.s, 200 * TL_MS);
    sim_link_set_down(w.link, true); /* the old path is dead: no more than a round trip is lost */
    assert_int_equal(tl_quic_conn_migrate(quic_node_conn(w.a), 100, sim_now(w.s)), TL_OK);
    sim_wake(w.a->host);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
    assert_int_equal(tl_quic_conn_path(quic_node_conn(w.a)), 100);
    assert_int_equal(tl_quic_conn_path(quic_node_conn(w.b)), 200);
    assert_int_equal(w.b->path_changes, 1);
    assert_int_equal(w.a->path_changes, 0);
    assert_int_equal(w.a->connected, 1);
    world_free(&w);
}

static void many_moves_back_and_forth_are_survived(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    sim_faults f = {.delay = DELAY};
    sim_link_new(w.s, w.a->host, 100, w.b->host, 200, &f);
    world_connect(&w);
    quic_node_send(w.a, quic_node_conn(w.a), 60000000);
    unsigned moved = 0;
    for (int i = 0; i < 20; i++) {
        sim_run_for(w.s, 300 * TL_MS);
        tl_path_id to = tl_quic_conn_path(quic_node_conn(w.a)) == 100 ? PATH_A : 100;
        tl_err e = tl_quic_conn_migrate(quic_node_conn(w.a), to, sim_now(w.s));
        assert_true(e == TL_OK || e == TL_ERR_AGAIN);
        moved += e == TL_OK;
        sim_wake(w.a->host);
    }
    assert_true(moved >= 15);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
    assert_int_equal(w.a->closed + w.b->closed, 0);
    world_free(&w);
}

/* libngtcp2 aborts when a client comes back to the path it has just left; it must never see that.
 */
static void coming_back_at_once_harms_nobody(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 60; round++) {
        tl_quic_config c = quic_node_config();
        c.pmtud = round % 2;
        world w = world_new(&c, &c);
        sim_faults f = {.delay = DELAY};
        sim_link_new(w.s, w.a->host, 100, w.b->host, 200, &f);
        world_connect(&w);
        sim_run_for(w.s, 100 * TL_MS);
        for (int i = 0; i < 3; i++) {
            quic_node_send(w.a, quic_node_conn(w.a), 50 + 20000 * (round % 3));
            tl_path_id to = tl_quic_conn_path(quic_node_conn(w.a)) == 100 ? PATH_A : 100;
            tl_err e = tl_quic_conn_migrate(quic_node_conn(w.a), to, sim_now(w.s));
            assert_true(e == TL_OK || e == TL_ERR_AGAIN);
            sim_wake(w.a->host);
            sim_run_for(w.s, round * TL_MS);
        }
        assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
        assert_int_equal(w.a->closed + w.b->closed, 0);
        world_free(&w);
    }
}

/* Loses the client's first two large datagrams and all of the server's. */
static void swallow_large(void *user, sim_link *l, bool from_a, uint8_t *data, size_t *n,
                          size_t cap)
{
    unsigned *seen = user;
    (void)l, (void)data, (void)cap;
    if (*n >= 1200 && (!from_a || (*seen)++ < 2))
        *n = 0;
}

/* If the client's look at a new path is lost and a small packet arrives, the server has too little
 * credit there for a large look of its own, and takes a second one. On a bad line that is lost, too:
 * libngtcp2 0.12 would end the connection then. */
static void a_server_whose_look_at_a_path_was_lost_waits_for_its_client_to_leave(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        world w = world_new(NULL, NULL);
        sim_faults f = {.delay = DELAY};
        sim_link *other = sim_link_new(w.s, w.a->host, 100, w.b->host, 200, &f);
        world_connect(&w);
        sim_run_for(w.s, 100 * TL_MS);
        unsigned seen = 0;
        if (lost)
            sim_link_set_tap(other, swallow_large, &seen);
        assert_int_equal(tl_quic_conn_migrate(quic_node_conn(w.a), 100, sim_now(w.s)), TL_OK);
        sim_wake(w.a->host);
        for (int i = 0; i < 100; i++) {
            quic_node_send(w.a, quic_node_conn(w.a), 20);
            sim_run_for(w.s, 100 * TL_MS);
        }
        assert_int_equal(w.a->closed + w.b->closed, 0);
        assert_int_equal(tl_quic_conn_path(quic_node_conn(w.b)), 200);
        uint64_t before = sim_timer_count(w.b->host);
        sim_run_for(w.s, TL_SEC);
        assert_true(sim_timer_count(w.b->host) - before < 100);
        assert_int_equal(tl_quic_conn_migrate(quic_node_conn(w.a), PATH_A, sim_now(w.s)), TL_OK);
        quic_node_send(w.a, quic_node_conn(w.a), 100000);
        assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 10 * TL_SEC));
        assert_int_equal(w.a->closed + w.b->closed, 0);
        world_free(&w);
    }
}

/* The server's address changed: its client reaches it by another way, and for the server all is the same
 * path. What was under way is lost and fills its window, and its next probe may be a second off. */
static void a_server_that_was_silent_goes_on_as_soon_as_its_client_has_moved(void **state)
{
    (void)state;
    sim_faults f = {.delay = DELAY, .bytes_per_sec = 10000000, .queue_bytes = 1000000};
    for (tl_time away = 200 * TL_MS; away < 1500 * TL_MS; away += 100 * TL_MS) {
        world w = world_new(NULL, NULL);
        sim_link_new(w.s, w.a->host, 100, w.b->host, PATH_B, &f);
        sim_link_set_faults(w.link, &f);
        world_connect(&w);
        quic_node_send(w.b, quic_node_conn(w.b), 30000000);
        sim_run_for(w.s, 300 * TL_MS);
        sim_link_set_down(w.link, true);
        sim_run_for(w.s, away);
        const quic_job *job = only_job(w.a);
        uint64_t before = job->received;
        sim_link_set_down(w.link, false);
        assert_int_equal(tl_quic_conn_migrate(quic_node_conn(w.a), 100, sim_now(w.s)), TL_OK);
        quic_node_send(w.a, quic_node_conn(w.a), 20); /* as a node that moved says that it lives */
        sim_wake(w.a->host);
        sim_run_for(w.s, 6 * 2 * DELAY);
        assert_true(job->received > before);
        assert_true(sim_run_while(w.s, quic_node_all_done, w.b, 60 * TL_SEC));
        assert_int_equal(w.a->closed + w.b->closed, 0);
        world_free(&w);
    }
}

static void a_server_does_not_choose_the_path(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    assert_int_equal(tl_quic_conn_migrate(quic_node_conn(w.b), 100, sim_now(w.s)), TL_ERR_INVALID);
    assert_int_equal(tl_quic_conn_migrate(quic_node_conn(w.a), 0, sim_now(w.s)), TL_ERR_INVALID);
    assert_int_equal(tl_quic_conn_migrate(quic_node_conn(w.a), PATH_A, sim_now(w.s)), TL_OK);
    world_free(&w);
}

static void large_packets_are_used_where_the_path_carries_them(void **state)
{
    (void)state;
    for (int pmtud = 0; pmtud < 2; pmtud++) {
        tl_quic_config c = quic_node_config();
        c.pmtud = pmtud;
        world w = world_new(&c, &c);
        world_connect(&w);
        sim_run_for(w.s, 10 * TL_SEC);
        uint64_t datagrams = counters(w.a)->datagrams_out, bytes = counters(w.a)->bytes_out;
        w.b->mute = true; /* one way: acknowledgements are small */
        quic_node_send(w.a, quic_node_conn(w.a), 1000000);
        sim_run_for(w.s, 20 * TL_SEC);
        double mean = (double)(counters(w.a)->bytes_out - bytes) /
                      (double)(counters(w.a)->datagrams_out - datagrams);
        if (pmtud)
            assert_true(mean > 1210);
        else
            assert_true(mean <= 1200);
        world_free(&w);
    }
}

static void note_largest(void *user, sim_link *l, bool from_a, uint8_t *data, size_t *n, size_t cap)
{
    (void)l, (void)data, (void)cap;
    size_t *largest = user;
    if (from_a && *n > *largest)
        *largest = *n;
}

/* Of a's datagrams while it sends much. */
static size_t largest_of(world *w)
{
    size_t largest = 0;
    sim_link_set_tap(w->link, note_largest, &largest);
    quic_node_send(w->a, quic_node_conn(w->a), 500000);
    assert_true(sim_run_while(w->s, quic_node_all_done, w->a, 20 * TL_SEC));
    sim_link_set_tap(w->link, NULL, NULL);
    return largest;
}

/* No ICMP comes; a datagram that is too long is dropped in silence. */
static void a_path_that_comes_to_carry_less_stalls_for_a_moment_only(void **state)
{
    (void)state;
    sim_faults f = {.delay = DELAY, .bytes_per_sec = 5000000};
    world w = world_new(NULL, NULL);
    sim_link_set_faults(w.link, &f);
    world_connect(&w);
    largest_of(&w);
    assert_true(largest_of(&w) > 1300);
    assert_int_equal(counters(w.a)->black_holes + counters(w.b)->black_holes, 0);

    quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 10000000);
    sim_run_for(w.s, 500 * TL_MS);
    f.mtu = 1300;
    sim_link_set_faults(w.link, &f);
    tl_time moved_at = sim_now(w.s), longest = 0;
    for (uint64_t had = j->received; !quic_job_done(j); sim_run_for(w.s, 5 * TL_MS)) {
        if (j->received > had) {
            longest = sim_now(w.s) - moved_at > longest ? sim_now(w.s) - moved_at : longest;
            moved_at = sim_now(w.s);
            had = j->received;
        }
        assert_true(sim_now(w.s) - moved_at < 5 * TL_SEC);
    }
    assert_in_range(longest, 20 * TL_MS, 900 * TL_MS);
    assert_int_equal(counters(w.a)->black_holes, 0); /* once may be chance */
    assert_true(largest_of(&w) <= 1200);
    sim_run_for(w.s, 10 * TL_SEC);
    largest_of(&w);
    assert_int_equal(counters(w.a)->black_holes, 1);
    for (int i = 0; i < 5; i++) {
        assert_true(largest_of(&w) <= 1200);
        sim_run_for(w.s, 60 * TL_SEC);
    }
    assert_int_equal(counters(w.a)->black_holes, 1);

    f.mtu = 0; /* it was a passing thing: found out, later */
    sim_link_set_faults(w.link, &f);
    sim_run_for(w.s, 700 * TL_SEC);
    assert_true(largest_of(&w) > 1300);
    world_free(&w);
}

/* Also one that ends at any moment of the first seconds, when the first small packets are sent. */
static void an_outage_is_not_taken_for_a_path_that_carries_less(void **state)
{
    (void)state;
    static const tl_time lengths[] = {50, 100, 200, 300, 400, 600, 900, 1500, 3000, 5000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        sim_faults f = {.delay = DELAY, .bytes_per_sec = 5000000};
        world w = world_new(NULL, NULL);
        sim_link_set_faults(w.link, &f);
        world_connect(&w);
        largest_of(&w);
        quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 5000000);
        sim_run_for(w.s, 300 * TL_MS);
        f.loss = 1;
        sim_link_set_faults(w.link, &f);
        sim_run_for(w.s, lengths[i] * TL_MS);
        f.loss = 0;
        sim_link_set_faults(w.link, &f);
        for (int t = 0; t < 60 && !quic_job_done(j); t++)
            sim_run_for(w.s, TL_SEC);
        assert_true(quic_job_done(j));
        sim_run_for(w.s, 10 * TL_SEC);
        assert_true(largest_of(&w) > 1300);
        sim_run_for(w.s, 30 * TL_SEC);
        assert_int_equal(counters(w.a)->black_holes + counters(w.b)->black_holes, 0);
        world_free(&w);
    }
}

/* Small packets that arrive all the while must not hide that large ones do not. */
static void a_trickle_does_not_hide_that_large_packets_vanish(void **state)
{
    (void)state;
    sim_faults f = {.delay = 45 * TL_MS, .bytes_per_sec = 5000000};
    world w = world_new(NULL, NULL);
    sim_link_set_faults(w.link, &f);
    world_connect(&w);
    largest_of(&w);
    quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 2000000);
    sim_run_for(w.s, 100 * TL_MS);
    f.mtu = 1300;
    sim_link_set_faults(w.link, &f);
    tl_time start = sim_now(w.s);
    while (!quic_job_done(j)) {
        assert_non_null(quic_node_send(w.a, quic_node_conn(w.a), 20));
        sim_run_for(w.s, 5 * TL_MS);
        assert_true(sim_now(w.s) - start < 5 * TL_SEC);
    }
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_moves_to_another_path_without_losing_a_byte),
        cmocka_unit_test(many_moves_back_and_forth_are_survived),
        cmocka_unit_test(coming_back_at_once_harms_nobody),
        cmocka_unit_test(a_server_whose_look_at_a_path_was_lost_waits_for_its_client_to_leave),
        cmocka_unit_test(a_server_that_was_silent_goes_on_as_soon_as_its_client_has_moved),
        cmocka_unit_test(a_server_does_not_choose_the_path),
        cmocka_unit_test(large_packets_are_used_where_the_path_carries_them),
        cmocka_unit_test(a_path_that_comes_to_carry_less_stalls_for_a_moment_only),
        cmocka_unit_test(an_outage_is_not_taken_for_a_path_that_carries_less),
        cmocka_unit_test(a_trickle_does_not_hide_that_large_packets_vanish),
    };
    sim_each_test(tests);
    return sim_result();
}
