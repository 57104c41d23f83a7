/* Floods of handshakes against a server, and who gets in beside them. */
#include "quic_world.h"
#include "raw_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define RAW_PATH 1000
#define HONEST   6

/* --- a flood of first messages, beside which honest clients dial for the first time --- */

typedef struct {
    sim *s;
    quic_node *server;
    unsigned per_sec, sessions; /* fresh identities; over how many paths in turn */
    tl_time at;
    unsigned sent;
} flood;

static void run(flood *f, tl_time span)
{
    tl_time end = sim_now(f->s) + span;
    while (sim_now(f->s) < end) {
        raw_peer_knock(f->server, RAW_PATH + f->sent++ % f->sessions);
        sim_run_for(f->s, TL_SEC / f->per_sec);
    }
}

/* Seconds until an honest client is connected, one after another; a tenth of a minute at most. */
static double slowest_first_connection(flood *f, quic_node *ret_clients[HONEST])
{
    double slowest = 0;
    sim_faults faults = {.delay = 20 * TL_MS};
    for (uint32_t i = 0; i < HONEST; i++) {
        quic_node *client = ret_clients[i] = quic_node_new(f->s, NULL);
        sim_link_new(f->s, client->host, 1, f->server->host, 100 + i, &faults);
        tl_time start = sim_now(f->s);
        assert_non_null(quic_node_dial(client, f->server, 1));
        while (!quic_node_is_connected(client) && sim_now(f->s) < start + 6 * TL_SEC)
            run(f, 10 * TL_MS);
        double took = (double)(sim_now(f->s) - start) / (double)TL_SEC;
        slowest = took > slowest ? took : slowest;
    }
    return slowest;
}

static double flooded(unsigned per_sec, unsigned sessions, tl_time before)
{
    sim *s = sim_new(sim_seed(1));
    quic_node *server = quic_node_new(s, NULL);
    server->strangers = true;
    flood f = {.s = s, .server = server, .per_sec = per_sec, .sessions = sessions};
    run(&f, before);
    quic_node *clients[HONEST];
    double slowest = slowest_first_connection(&f, clients);
    printf("%u first messages a second over %u sessions: %.1f MiB held, the slowest honest first "
           "connection took %.2f s\n",
           per_sec, sessions, (double)tl_quic_held(server->quic) / 1024 / 1024, slowest);
    for (int i = 0; i < HONEST; i++)
        quic_node_free(clients[i]);
    quic_node_free(server);
    sim_free(s);
    return slowest;
}

static void a_flood_through_one_session_keeps_nobody_else_out(void **state)
{
    (void)state;
    assert_true(flooded(600, 1, 5 * TL_SEC) < 0.1); /* a round trip is 40 ms */
}

static void a_flood_through_more_sessions_than_places_keeps_nobody_out(void **state)
{
    (void)state;
    assert_true(flooded(600, 1500, 5 * TL_SEC) < 0.5); /* by way of a Retry */
}

/* --- shares --- */

static void a_session_holds_eight_unfinished_handshakes(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    w.b->strangers = true;
    uint64_t one;
    raw_peer_knock(w.b, RAW_PATH);
    one = tl_quic_held(w.b->quic);
    for (int i = 0; i < 100; i++) {
        raw_peer_knock(w.b, RAW_PATH);
        sim_run_for(w.s, 100 * TL_MS);
        assert_true(tl_quic_held(w.b->quic) <= 9 * one);
    }
    assert_true(tl_quic_held(w.b->quic) >= 7 * one);
    world_connect(&w); /* by another path */
    world_free(&w);
}

static uint64_t all_one(void *user, tl_path_id path)
{
    (void)user, (void)path;
    return 1;
}

static void paths_of_one_group_share_its_places(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    w.b->strangers = true;
    tl_quic_set_groups(w.b->quic, all_one, NULL);
    raw_peer_knock(w.b, RAW_PATH);
    uint64_t one = tl_quic_held(w.b->quic);
    for (tl_path_id i = 1; i < 100; i++) {
        raw_peer_knock(w.b, RAW_PATH + i);
        sim_run_for(w.s, 200 * TL_MS);
        assert_true(tl_quic_held(w.b->quic) <= 9 * one);
    }
    world_connect(&w); /* even of that group: the newcomer is let in */
    world_free(&w);
}

static void strangers_hold_sixteen_connections_by_one_session_and_the_next_is_told(void **state)
{
    (void)state;
    enum { MANY = 18 };
    world w = world_new(NULL, NULL);
    quic_node *more[MANY];
    sim_faults faults = {.delay = DELAY};
    w.b->strangers = true;
    tl_quic_set_groups(w.b->quic, all_one, NULL);
    for (uint32_t i = 0; i < MANY; i++) {
        if (i == MANY - 1)
            tl_quic_conn_know(w.b->conns[0]); /* it takes no stranger's place from now on */
        more[i] = quic_node_new(w.s, NULL);
        sim_link_new(w.s, more[i]->host, 1, w.b->host, 200 + i, &faults);
        assert_non_null(quic_node_dial(more[i], w.b, 1));
        sim_run_for(w.s, TL_SEC);
        assert_int_equal(more[i]->connected, 1);
        assert_int_equal(more[i]->closed, i == 16);
        assert_int_equal(w.b->conns_n, i < 16 ? i + 1 : i);
    }
    for (uint32_t i = 0; i < MANY; i++)
        quic_node_free(more[i]);
    world_free(&w);
}

static void a_known_peer_gets_in_when_strangers_hold_all_their_places(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.conns_max = 16; /* 12 of them for strangers */
    world w = world_new(NULL, &c);
    w.b->strangers = true;
    static raw_peer p[12];
    for (tl_path_id i = 0; i < 12; i++)
        raw_peer_connect(&p[i], w.b, RAW_PATH + 100 * i);
    assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(w.b->conns_n, 12);
    w.b->strangers = false;
    world_connect(&w);
    assert_int_equal(w.b->conns_n, 13);
    world_free(&w);
}

/* Strangers have all their places, and others begin handshakes again and again: the rest of the
 * places is for those we know, and for our own connections. */
static void a_known_peer_gets_in_when_strangers_press_at_the_door_as_well(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.conns_max = 16;
    c.half_open_max = 4;
    world w = world_new(NULL, &c);
    w.b->strangers = true;
    static raw_peer p[12];
    for (tl_path_id i = 0; i < 12; i++)
        raw_peer_connect(&p[i], w.b, RAW_PATH + 100 * i);
    for (int i = 0; i < 30; i++) {
        for (tl_path_id k = 0; k < 4; k++)
            raw_peer_knock(w.b, RAW_PATH + 5000 + 100 * k);
        sim_run_for(w.s, 100 * TL_MS);
    }
    w.b->strangers = false;
    assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
    for (int i = 0; i < 30 && w.b->conns_n < 13; i++) {
        w.b->strangers = true;
        for (tl_path_id k = 0; k < 4; k++)
            raw_peer_knock(w.b, RAW_PATH + 5000 + 100 * k);
        w.b->strangers = false;
        sim_run_for(w.s, 100 * TL_MS);
    }
    assert_int_equal(w.b->conns_n, 13);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_through_one_session_keeps_nobody_else_out),
        cmocka_unit_test(a_flood_through_more_sessions_than_places_keeps_nobody_out),
        cmocka_unit_test(a_session_holds_eight_unfinished_handshakes),
        cmocka_unit_test(paths_of_one_group_share_its_places),
        cmocka_unit_test(strangers_hold_sixteen_connections_by_one_session_and_the_next_is_told),
        cmocka_unit_test(a_known_peer_gets_in_when_strangers_hold_all_their_places),
        cmocka_unit_test(a_known_peer_gets_in_when_strangers_press_at_the_door_as_well),
    };
    sim_each_test(tests);
    return sim_result();
}
