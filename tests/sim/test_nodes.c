/* Whole nodes and a real relay under the virtual clock: who connects to whom, and what happens to
 * questions when relays and peers come and go. */
#include "relayed_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A round trip to the relay. That to a peer is twice as long. */
#define TO_RELAY (2 * DELAY)

/* `cold`: round trips to the relay until the first byte comes from a peer without a connection. */
static void ask_cold_and_warm(bool old_provider, int cold)
{
    scene s = scene_new(1, 3);
    question_record q = {0};
    s.nodes[1]->no_first = old_provider;
    whole_node_serve(s.nodes[1], "m");
    sim_run_for(s.sim, 1 * TL_SEC);
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    assert_true(tl_slice_eq(tl_buf_slice(&q.answer), TL_SLICE_LIT("{\"model\":\"m\"}")));
    assert_true(tl_node_id_eq(&q.head.peer, &s.nodes[1]->identity.id));
    assert_int_equal(q.head.via, TL_VIA_RELAYED);
    assert_in_range(q.first_byte_at - q.asked_at, cold * TO_RELAY, cold * TO_RELAY + 5 * TL_MS);
    question_clear(&q);
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    assert_true(q.first_byte_at - q.asked_at <= 2 * 2 * DELAY + 5 * TL_MS);
    assert_int_equal(s.nodes[0]->joined, 1);
    question_clear(&q);
    scene_free(&s);
}

/* Discovery is one round trip to the relay. The session and the handshake together are one round trip
 * to the peer, and the question is another. Nothing else is waited for. */
static void a_question_finds_its_provider_and_the_answer_comes_back(void **state)
{
    (void)state;
    ask_cold_and_warm(false, 5);
}

/* A node from before the handshake rode along waits for the session first. */
static void a_provider_that_reads_no_first_datagram_is_asked_one_round_trip_later(void **state)
{
    (void)state;
    ask_cold_and_warm(true, 7);
}

/* The provider is another process. It is listed anew, and connected to before anybody asks. */
static void a_provider_that_served_stands_by_and_is_asked_in_one_round_trip(void **state)
{
    (void)state;
    scene s = scene_new(21, 3);
    question_record q = {0};
    whole_node *asker = s.nodes[0];
    whole_node_serve(s.nodes[1], "m");
    whole_node_serve(s.nodes[2], "other"); /* a stranger: nobody connects to it */
    whole_node_ask(asker, &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    question_clear(&q);
    tl_peers_prove(asker->peers, &s.nodes[1]->identity.id); /* as the node does after an answer */
    whole_node_restart(s.nodes[1]);
    sim_run_for(s.sim, 120 * TL_SEC);
    assert_int_equal(asker->left, 1);
    assert_int_equal(tl_peers_warm(asker->peers), 0);
    assert_int_equal(tl_relay_link_discover(asker->link, "", sim_now(s.sim)), TL_OK);
    sim_run_for(s.sim, TO_RELAY + 5 * TL_MS);
    tl_router_on_listed(asker->router);
    sim_run_for(s.sim, TL_SEC);
    assert_int_equal(tl_peers_warm(asker->peers), 1);
    assert_int_equal(s.nodes[2]->joined, 0);
    whole_node_ask(asker, &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    assert_true(q.first_byte_at - q.asked_at <= 2 * TO_RELAY + 5 * TL_MS);
    question_clear(&q);
    scene_free(&s);
}

/* A local client says what it will ask, and asks later. */
static void a_stranger_that_will_be_asked_is_connected_to_before(void **state)
{
    (void)state;
    scene s = scene_new(22, 2);
    question_record q = {0};
    tl_ask ask = {.model = "m", .path = "/v1/chat/completions"};
    whole_node_serve(s.nodes[1], "m");
    sim_run_for(s.sim, 1 * TL_SEC);
    tl_router_prepare(s.nodes[0]->router, &ask); /* nobody is known: the relay is asked */
    sim_run_for(s.sim, 1 * TL_SEC);
    tl_router_prepare(s.nodes[0]->router, &ask);
    sim_run_for(s.sim, 1 * TL_SEC);
    assert_int_equal(s.nodes[1]->joined, 1);
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    assert_true(q.first_byte_at - q.asked_at <= 2 * TO_RELAY + 5 * TL_MS);
    question_clear(&q);
    scene_free(&s);
}

static void auto_takes_any_model_and_changes_the_name_alone(void **state)
{
    (void)state;
    scene s = scene_new(2, 2);
    question_record q = {0};
    whole_node_serve(s.nodes[1], "only");
    sim_run_for(s.sim, 1 * TL_SEC);
    whole_node_ask(s.nodes[0], &q, TL_MODEL_AUTO, "{ \"model\":\"teale-auto\",\"a\":[1.0] }");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    assert_true(
        tl_slice_eq(tl_buf_slice(&q.answer), TL_SLICE_LIT("{ \"model\":\"only\",\"a\":[1.0] }")));
    question_clear(&q);
    scene_free(&s);
}

static void a_model_that_nobody_serves_is_told_after_one_look(void **state)
{
    (void)state;
    scene s = scene_new(3, 2);
    question_record q = {0};
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_failed(s.sim, &q, TL_FAIL_MODEL_NOT_LOADED, 1 * TL_SEC);
    question_clear(&q);
    whole_node_ask(s.nodes[0], &q, TL_MODEL_AUTO, "{\"model\":\"teale-auto\"}");
    assert_failed(s.sim, &q, TL_FAIL_NO_PROVIDER, 1 * TL_SEC);
    question_clear(&q);
    scene_free(&s);
}

static void two_nodes_that_dial_at_once_end_with_one_connection(void **state)
{
    (void)state;
    for (uint64_t seed = 10; seed < 20; seed++) {
        scene s = scene_new(seed, 2);
        question_record a = {0}, b = {0};
        whole_node_serve(s.nodes[0], "zero");
        whole_node_serve(s.nodes[1], "one");
        sim_run_for(s.sim, 1 * TL_SEC);
        whole_node_ask(s.nodes[0], &a, "one", "{\"model\":\"one\"}");
        sim_run_for(s.sim, tl_rand_below(sim_rand(s.sim), 10 * DELAY));
        whole_node_ask(s.nodes[1], &b, "zero", "{\"model\":\"zero\"}");
        assert_answered(s.sim, &a, 5 * TL_SEC);
        assert_answered(s.sim, &b, 5 * TL_SEC);
        sim_run_for(s.sim, 10 * TL_SEC);
        assert_int_equal(tl_relay_counters_of(s.relay->relay)->sessions_active, 1);
        question_clear(&a);
        whole_node_ask(s.nodes[0], &a, "one", "{\"model\":\"one\"}");
        assert_answered(s.sim, &a, 5 * TL_SEC);
        assert_true(a.first_byte_at - a.asked_at <= 2 * 2 * DELAY + 5 * TL_MS);
        assert_int_equal(s.nodes[0]->left + s.nodes[1]->left, 0);
        question_clear(&a);
        question_clear(&b);
        scene_free(&s);
    }
}

/* The provider's model writes every `piece_every`, and is given up `at` that time. Nothing may wait for
 * the next packet or timer: 1 ms is for rounding, the rest is the way through the relay. */
static void assert_cancelled_at_once(tl_time piece_every, tl_time at)
{
    scene s = scene_new(4, 2);
    question_record q = {0};
    s.nodes[1]->pieces = 1000000;
    s.nodes[1]->piece_every = piece_every;
    whole_node_serve(s.nodes[1], "m");
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    sim_run_for(s.sim, at);
    assert_int_equal(whole_node_jobs(s.nodes[1]), 1);
    assert_true(q.bytes > 0);
    tl_exchange_cancel(q.exchange);
    sim_run_for(s.sim, 2 * DELAY + 1 * TL_MS);
    assert_int_equal(whole_node_jobs(s.nodes[1]), 0);
    assert_int_equal(s.nodes[1]->cancelled, 1);
    uint64_t bytes = q.bytes;
    sim_run_for(s.sim, 2 * TL_SEC);
    assert_int_equal(q.bytes, bytes);
    assert_false(question_is_over(&q));
    assert_int_equal(tl_server_running(s.nodes[1]->server), 0);
    question_clear(&q);
    scene_free(&s);
}

static void cancelling_reaches_the_model_server_as_fast_as_the_network_is(void **state)
{
    (void)state;
    for (tl_time after = 0; after < 10 * TL_MS; after += 500 * TL_US)
        assert_cancelled_at_once(10 * TL_MS, 2 * TL_SEC + after);
    assert_cancelled_at_once(100 * TL_SEC, 102 * TL_SEC); /* it thinks, and nothing passes */
}

static void a_paused_answer_stops_the_model_server_and_goes_on_when_resumed(void **state)
{
    (void)state;
    scene s = scene_new(5, 2);
    question_record q = {0};
    s.nodes[1]->pieces = 4000;
    s.nodes[1]->piece_size = 10000; /* 40 MB in all */
    whole_node_serve(s.nodes[1], "m");
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    while (!q.bytes)
        sim_run_for(s.sim, 10 * TL_MS);
    tl_exchange_set_paused(q.exchange, true);
    sim_run_for(s.sim, 20 * TL_SEC);
    uint64_t at_pause = q.bytes, produced = s.nodes[1]->produced;
    assert_true(produced < at_pause + (8u << 20)); /* a stream's window, and what buffers hold */
    sim_run_for(s.sim, 30 * TL_SEC);               /* less than a minute in all */
    assert_int_equal(q.bytes, at_pause);
    assert_int_equal(s.nodes[1]->produced, produced);
    tl_exchange_set_paused(q.exchange, false);
    assert_answered(s.sim, &q, 300 * TL_SEC);
    assert_int_equal(q.bytes, 40000000);
    question_clear(&q);
    scene_free(&s);
}

static void answers_that_nobody_reads_pin_the_model_server_for_a_minute(void **state)
{
    (void)state;
    scene s = scene_new(6, 2);
    question_record q[6] = {{0}};
    s.nodes[1]->pieces = 4000;
    s.nodes[1]->piece_size = 10000;
    whole_node_serve(s.nodes[1], "m");
    for (size_t i = 0; i < 6; i++)
        whole_node_ask(s.nodes[0], &q[i], "m", "{\"model\":\"m\"}");
    sim_run_for(s.sim, 1 * TL_SEC);
    for (size_t i = 0; i < 6; i++)
        if (q[i].exchange)
            tl_exchange_set_paused(q[i].exchange, true);
    assert_int_equal(s.nodes[1]->cancelled, 0);
    sim_run_for(s.sim, 65 * TL_SEC);
    assert_null(s.nodes[1]->jobs);
    assert_int_equal(tl_server_running(s.nodes[1]->server), 0);
    for (size_t i = 0; i < 6; i++) {
        if (q[i].exchange)
            tl_exchange_set_paused(q[i].exchange, false);
        sim_run_for(s.sim, 5 * TL_SEC);
        assert_true(q[i].failed || q[i].ended);
        question_clear(&q[i]);
    }
    scene_free(&s);
}

static void a_peer_that_died_without_a_word_is_given_up_and_found_again(void **state)
{
    (void)state;
    scene s = scene_new(7, 2);
    question_record q = {0};
    s.nodes[1]->pieces = 100000;
    s.nodes[1]->piece_every = 25 * TL_MS;
    whole_node_serve(s.nodes[1], "m");
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    sim_run_for(s.sim, 2 * TL_SEC);
    whole_node_restart(s.nodes[1]);
    assert_failed(s.sim, &q, TL_FAIL_PEER_FAILED, 11 * TL_SEC);
    question_clear(&q);
    s.nodes[1]->pieces = 1;
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 10 * TL_SEC);
    question_clear(&q);
    scene_free(&s);
}

static void another_provider_answers_when_the_first_fails_before_it_began(void **state)
{
    (void)state;
    scene s = scene_new(8, 3);
    question_record q = {0};
    whole_node_serve(s.nodes[1], "m");
    whole_node_serve(s.nodes[2], "m");
    s.nodes[1]->fail_with = TL_FAIL_BACKEND_UNREACHABLE;
    sim_run_for(s.sim, 1 * TL_SEC);
    for (int i = 0; i < 4; i++) {
        whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
        assert_answered(s.sim, &q, 10 * TL_SEC);
        assert_true(tl_node_id_eq(&q.head.peer, &s.nodes[2]->identity.id));
        question_clear(&q);
    }
    s.nodes[2]->fail_with = TL_FAIL_BACKEND_AUTH;
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_true(sim_run_while(s.sim, question_is_over, &q, 10 * TL_SEC));
    assert_true(q.failed &&
                (q.fail == TL_FAIL_BACKEND_AUTH || q.fail == TL_FAIL_BACKEND_UNREACHABLE));
    question_clear(&q);
    scene_free(&s);
}

/* The asker waits a minute for a sign of life. The provider's model server may think as long as it
 * likes, since the provider says every two seconds that it does. */
static void a_provider_that_thinks_for_five_minutes_is_waited_for(void **state)
{
    (void)state;
    scene s = scene_new(21, 2);
    question_record q = {0};
    static const tl_asker_times times = {TL_MIN, 30 * TL_SEC};
    tl_asker_set_times(s.nodes[0]->asker, &times);
    whole_node_serve(s.nodes[1], "m");
    s.nodes[1]->thinks = 5 * TL_MIN;
    sim_run_for(s.sim, 1 * TL_SEC);
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    sim_run_for(s.sim, 5 * TL_MIN);
    assert_false(question_is_over(&q));
    assert_answered(s.sim, &q, 5 * TL_SEC);
    assert_true(q.first_byte_at - q.asked_at >= 5 * TL_MIN);
    assert_int_equal(tl_router_counters_of(s.nodes[0]->router)->retried, 0);
    question_clear(&q);
    scene_free(&s);
}

/* The same question under one policy after the other; the twin passes. */
static void a_provider_refuses_by_its_policy(void **state)
{
    (void)state;
    static const struct {
        tl_server_policy policy;
        bool public, leaving;
        tl_fail fail;
    } cases[] = {
        {{1024, 30 * TL_SEC}, true, false, TL_FAIL_COUNT},
        {{1024, 30 * TL_SEC}, false, false, TL_FAIL_FORBIDDEN},
        {{0, 30 * TL_SEC}, true, false, TL_FAIL_QUEUE_FULL},
        {{1024, 30 * TL_SEC}, true, true, TL_FAIL_UNAVAILABLE},
    };
    scene s = scene_new(9, 2);
    whole_node_serve(s.nodes[1], "m");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        question_record q = {0};
        tl_server_set_policy(s.nodes[1]->server, &cases[i].policy);
        s.nodes[1]->access.share_public = cases[i].public;
        s.nodes[1]->access.running = !cases[i].leaving;
        whole_node_ask_peer(s.nodes[0], &q, s.nodes[1], "m");
        if (cases[i].fail == TL_FAIL_COUNT)
            assert_answered(s.sim, &q, 5 * TL_SEC);
        else
            assert_failed(s.sim, &q, cases[i].fail, 5 * TL_SEC);
        question_clear(&q);
    }
    scene_free(&s);
}

static void swap_key(void *user, uint8_t *text, size_t *n, size_t cap)
{
    (void)cap;
    static const char field[] = "\"wgPublicKey\":\"";
    uint8_t *at = memmem(text, *n, field, sizeof field - 1);
    if (at && memmem(text, *n, "discoverResponse", 16)) {
        memcpy(at + sizeof field - 1, user, 64);
    }
}

static void a_relay_that_swaps_a_peers_key_can_only_hide_it(void **state)
{
    (void)state;
    scene s = scene_new(11, 2);
    question_record q = {0};
    char mine[65];
    tl_hex_write(mine, s.nodes[0]->identity.noise_public, 32);
    whole_node_serve(s.nodes[1], "m");
    sim_run_for(s.sim, 1 * TL_SEC);
    s.relay->tamper = swap_key;
    s.relay->tamper_user = mine;
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_failed(s.sim, &q, TL_FAIL_MODEL_NOT_LOADED, 5 * TL_SEC);
    assert_int_equal(tl_relay_link_counters_of(s.nodes[0]->link)->peers_in_clear, 1);
    s.relay->tamper = NULL;
    question_clear(&q);
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    question_clear(&q);
    scene_free(&s);
}

static void a_stranger_holds_few_sessions_and_keeps_nobody_out(void **state)
{
    (void)state;
    scene s = scene_new(19, 3);
    question_record q = {0};
    whole_node *stranger = s.nodes[2];
    whole_node_serve(s.nodes[1], "m");
    for (tl_path_id path = 1000; path < 1000 + 5000; path++) {
        assert_int_equal(tl_relay_link_open(stranger->link, &s.nodes[1]->identity.id, path), TL_OK);
        sim_run_for(s.sim, 5 * TL_MS); /* as fast as a relay lets it */
    }
    assert_true(tl_relay_counters_of(s.relay->relay)->sessions_active <= 16);
    /* The node's own refusals: the relay turns back what is more than a stranger's share. */
    assert_true(tl_relay_link_counters_of(s.nodes[1]->link)->refused > 1000);
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    question_clear(&q);
    scene_free(&s);
}

static bool connected(const whole_node *n, const whole_node *to)
{
    tl_peer_facts facts;
    const tl_peer *peer = tl_peer_table_find(&n->table, &to->identity.id);
    return peer && tl_peers_facts(n->peers, peer, &facts);
}

/* An asker keeps connections for its next question: as many as TL_PEERS_WARM_MAX that are idle. */
static void of_idle_connections_the_last_used_are_kept_warm(void **state)
{
    (void)state;
    enum { PROVIDERS = TL_PEERS_WARM_MAX + 3 };
    scene s = scene_new(23, PROVIDERS + 1);
    question_record q = {0}, busy = {0};
    for (size_t i = 1; i <= PROVIDERS; i++)
        whole_node_serve(s.nodes[i], "m");
    s.nodes[1]->pieces = 100000; /* the first answers all the time */
    s.nodes[1]->piece_every = 100 * TL_MS;
    whole_node_ask_peer(s.nodes[0], &busy, s.nodes[1], "m");
    for (size_t i = 2; i <= PROVIDERS; i++) {
        whole_node_ask_peer(s.nodes[0], &q, s.nodes[i], "m");
        assert_answered(s.sim, &q, 10 * TL_SEC);
        question_clear(&q);
        q = (question_record){0};
        sim_run_for(s.sim, 100 * TL_MS);
    }
    for (size_t i = 1; i <= PROVIDERS; i++)
        assert_true(connected(s.nodes[0], s.nodes[i])); /* the look comes with a heartbeat */
    sim_run_for(s.sim, 2 * TL_PEERS_HEARTBEAT);
    assert_true(connected(s.nodes[0], s.nodes[1])); /* it is in use */
    size_t cold = PROVIDERS - 1 - TL_PEERS_WARM_MAX;
    for (size_t i = 2; i <= PROVIDERS; i++)
        assert_int_equal(connected(s.nodes[0], s.nodes[i]), i >= 2 + cold);
    sim_run_for(s.sim, 300 * TL_SEC); /* and those stay */
    for (size_t i = 2 + cold; i <= PROVIDERS; i++)
        assert_true(connected(s.nodes[0], s.nodes[i]));
    question_clear(&busy);
    scene_free(&s);
}

static void a_model_that_thinks_for_minutes_is_waited_for(void **state)
{
    (void)state;
    scene s = scene_new(17, 2);
    question_record q = {0};
    s.nodes[1]->pieces = 3;
    s.nodes[1]->piece_every = 100 * TL_SEC;
    whole_node_serve(s.nodes[1], "m");
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 301 * TL_SEC);
    assert_true(q.over_at - q.asked_at > 200 * TL_SEC);
    assert_int_equal(s.nodes[0]->left, 0);
    question_clear(&q);
    scene_free(&s);
}

/* Two providers: the first to be asked thinks for a minute, or dies without a word. */
static void one_that_thinks_is_not_overtaken_and_one_that_died_is_within_three_seconds(void **state)
{
    (void)state;
    for (int dies = 0; dies < 2; dies++) {
        scene s = scene_new(19, 3);
        question_record q = {0}, first = {0};
        whole_node_serve(s.nodes[1], "m");
        whole_node_ask(s.nodes[0], &first, "m", "{\"model\":\"m\"}");
        assert_answered(s.sim, &first, 10 * TL_SEC); /* the better known one from now on */
        question_clear(&first);
        whole_node_serve(s.nodes[2], "m");
        s.nodes[1]->thinks = TL_MIN;
        sim_run_for(s.sim, 2 * TL_SEC);
        if (dies)
            s.nodes[1]->hold = true; /* nothing of it leaves any more */
        whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
        assert_answered(s.sim, &q, 90 * TL_SEC);
        assert_true(tl_node_id_eq(&q.head.peer, &s.nodes[dies ? 2 : 1]->identity.id));
        tl_time took = q.first_byte_at - q.asked_at;
        assert_true(dies ? took < 3 * TL_SEC : took >= TL_MIN);
        assert_int_equal(s.nodes[2]->answered, dies);
        question_clear(&q);
        scene_free(&s);
    }
}

static void clients_that_do_not_read_and_fill_the_connection_do_not_end_it(void **state)
{
    (void)state;
    scene s = scene_new(18, 2);
    question_record q[6] = {{0}}; /* 4 MiB each may wait: more than the connection's 16 */
    s.nodes[1]->pieces = 1000;
    s.nodes[1]->piece_size = 10000;
    whole_node_serve(s.nodes[1], "m");
    for (size_t i = 0; i < 6; i++)
        whole_node_ask(s.nodes[0], &q[i], "m", "{\"model\":\"m\"}");
    while (!q[5].bytes)
        sim_run_for(s.sim, 10 * TL_MS);
    for (size_t i = 0; i < 6; i++)
        tl_exchange_set_paused(q[i].exchange, true);
    sim_run_for(s.sim, 50 * TL_SEC);
    for (size_t i = 0; i < 6; i++)
        tl_exchange_set_paused(q[i].exchange, false);
    for (size_t i = 0; i < 6; i++) {
        assert_answered(s.sim, &q[i], 100 * TL_SEC);
        assert_int_equal(q[i].bytes, 10000000);
        question_clear(&q[i]);
    }
    assert_int_equal(s.nodes[0]->left, 0);
    scene_free(&s);
}

static void capabilities_that_change_are_known_over_the_connection_at_once(void **state)
{
    (void)state;
    scene s = scene_new(13, 2);
    question_record q = {0};
    whole_node_serve(s.nodes[1], "m");
    sim_run_for(s.sim, 1 * TL_SEC);
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    whole_node_serve(s.nodes[1], "new");
    sim_run_for(s.sim, 2 * DELAY + 5 * TL_MS);
    const tl_peer *p = tl_peer_table_find(&s.nodes[0]->table, &s.nodes[1]->identity.id);
    assert_true(tl_peer_serves(p, "new"));
    question_clear(&q);
    scene_free(&s);
}

static void a_second_process_with_the_same_key_is_told_of_to_the_first(void **state)
{
    (void)state;
    scene s = scene_new(14, 1);
    whole_node *twin = whole_node_new_as(s.sim, s.relay, DELAY, &s.nodes[0]->identity);
    s.nodes[s.n++] = twin;
    whole_node_connect(twin);
    sim_run_for(s.sim, 1 * TL_SEC);
    assert_true(tl_relay_link_is_registered(twin->link));
    assert_int_equal(twin->refused, 0);
    assert_int_equal(s.nodes[0]->refused, 1);
    assert_string_equal(s.nodes[0]->refused_code, "replaced");
    scene_free(&s);
}

static void idle_connected_nodes_wake_for_their_heartbeats_alone(void **state)
{
    (void)state;
    scene s = scene_new(15, 2);
    question_record q = {0};
    whole_node_serve(s.nodes[1], "m");
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    sim_run_for(s.sim, 60 * TL_SEC);
    uint64_t before = sim_timer_count(s.nodes[0]->host) + sim_timer_count(s.nodes[1]->host);
    sim_run_for(s.sim, 200 * TL_SEC); /* eight heartbeats */
    uint64_t wakes = sim_timer_count(s.nodes[0]->host) + sim_timer_count(s.nodes[1]->host) - before;
    print_message("%lu timer wake-ups in 200 s at two nodes\n", (unsigned long)wakes);
    assert_true(wakes <= 8 * 6);
    assert_int_equal(s.nodes[0]->left, 0);
    question_clear(&q);
    scene_free(&s);
}

int main(void)
{
    if (tl_crypto_init())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_finds_its_provider_and_the_answer_comes_back),
        cmocka_unit_test(a_provider_that_reads_no_first_datagram_is_asked_one_round_trip_later),
        cmocka_unit_test(a_provider_that_served_stands_by_and_is_asked_in_one_round_trip),
        cmocka_unit_test(a_stranger_that_will_be_asked_is_connected_to_before),
        cmocka_unit_test(auto_takes_any_model_and_changes_the_name_alone),
        cmocka_unit_test(a_model_that_nobody_serves_is_told_after_one_look),
        cmocka_unit_test(two_nodes_that_dial_at_once_end_with_one_connection),
        cmocka_unit_test(cancelling_reaches_the_model_server_as_fast_as_the_network_is),
        cmocka_unit_test(a_paused_answer_stops_the_model_server_and_goes_on_when_resumed),
        cmocka_unit_test(answers_that_nobody_reads_pin_the_model_server_for_a_minute),
        cmocka_unit_test(a_peer_that_died_without_a_word_is_given_up_and_found_again),
        cmocka_unit_test(another_provider_answers_when_the_first_fails_before_it_began),
        cmocka_unit_test(a_provider_that_thinks_for_five_minutes_is_waited_for),
        cmocka_unit_test(a_provider_refuses_by_its_policy),
        cmocka_unit_test(a_relay_that_swaps_a_peers_key_can_only_hide_it),
        cmocka_unit_test(a_stranger_holds_few_sessions_and_keeps_nobody_out),
        cmocka_unit_test(of_idle_connections_the_last_used_are_kept_warm),
        cmocka_unit_test(a_model_that_thinks_for_minutes_is_waited_for),
        cmocka_unit_test(
            one_that_thinks_is_not_overtaken_and_one_that_died_is_within_three_seconds),
        cmocka_unit_test(clients_that_do_not_read_and_fill_the_connection_do_not_end_it),
        cmocka_unit_test(capabilities_that_change_are_known_over_the_connection_at_once),
        cmocka_unit_test(a_second_process_with_the_same_key_is_told_of_to_the_first),
        cmocka_unit_test(idle_connected_nodes_wake_for_their_heartbeats_alone),
    };
    sim_each_test(tests);
    return sim_result();
}
