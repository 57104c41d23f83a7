/* Two whole nodes on one local network, under the virtual clock: which way their connection takes, and what happens to an
 * answer when UDP, TCP or both go. TCP is an ordered pipe without loss (whole_lan). */
#include "relayed_scene.h"
#include "whole_lan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct {
    scene s;
    sim_inet *in;
    sim_site *site;
    sim_link *udp[2];
    whole_lan lan;
    question_record q;
} world;

static void udp_passes(world *w, bool passes)
{
    for (size_t i = 0; i < 2; i++)
        sim_link_set_down(w->udp[i], !passes);
}

static void world_new(world *w, uint64_t seed, bool udp)
{
    static const sim_faults far = {.delay = 20 * TL_MS}, near = {.delay = TL_MS};
    static const char *const at[] = {"192.168.1.2", "192.168.1.3"};
    sim_nat_kind kind = {0};
    *w = (world){.s = scene_new(seed, 2)};
    w->in = sim_inet_new(w->s.sim, &far);
    w->site = sim_inet_site(w->in, NULL, &kind, "45.13.1.1");
    for (size_t i = 0; i < 2; i++)
        w->udp[i] =
            whole_net_join(&w->s.nodes[i]->net, w->in, WHOLE_NET_PATH, w->site, at[i], 24, &near);
    udp_passes(w, udp);
    whole_lan_join(&w->lan, w->s.nodes[0], w->s.nodes[1], TL_MS);
    w->s.nodes[1]->pieces = 4000;
    w->s.nodes[1]->piece_every = 5 * TL_MS;
    w->s.nodes[1]->piece_size = 1000;
    whole_node_serve(w->s.nodes[1], "m");
    sim_run_for(w->s.sim, TL_SEC);
}

static void world_free(world *w)
{
    question_clear(&w->q);
    scene_free(&w->s);
    sim_inet_free(w->in);
}

/* "lan tcp", "lan udp", "relayed" ... */
static const char *way_of(world *w, size_t i)
{
    tl_peer_facts f;
    whole_node *n = w->s.nodes[i];
    const tl_peer *p = tl_peer_table_find(&n->table, &w->s.nodes[!i]->identity.id);
    if (!p || !tl_peers_facts(n->peers, p, &f))
        return "none";
    return f.via != TL_VIA_LAN ? tl_via_name(f.via) : f.by_tcp ? "lan tcp" : "lan udp";
}

static void ask(world *w)
{
    w->q.patterned = true;
    whole_node_ask(w->s.nodes[0], &w->q, "m", "{\"model\":\"m\"}");
    sim_run_for(w->s.sim, TL_SEC);
    assert_true(w->q.bytes > 0);
}

static void finish(world *w, tl_time longest)
{
    assert_answered(w->s.sim, &w->q, 60 * TL_SEC);
    assert_int_equal(w->q.bytes, 4000 * 1000);
    assert_false(w->q.altered);
    if (w->q.longest_gap > longest)
        fail_msg("silent for %llu ms", (unsigned long long)(w->q.longest_gap / TL_MS));
}

static void udp_is_taken_where_both_pass(void **state)
{
    world w;
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        world_new(&w, seed, true);
        ask(&w);
        assert_string_equal(way_of(&w, 0), "lan udp");
        finish(&w, 500 * TL_MS);
        world_free(&w);
    }
}

static void tcp_is_taken_where_only_it_passes_and_the_relay_is_passed_by(void **state)
{
    world w;
    (void)state;
    for (uint64_t seed = 11; seed <= 15; seed++) {
        world_new(&w, seed, false);
        ask(&w);
        assert_string_equal(way_of(&w, 0), "lan tcp");
        finish(&w, 500 * TL_MS);
        world_free(&w);
    }
}

static void udp_that_passes_after_all_takes_over_from_tcp(void **state)
{
    world w;
    (void)state;
    for (uint64_t seed = 51; seed <= 55; seed++) {
        world_new(&w, seed, false);
        ask(&w);
        assert_string_equal(way_of(&w, 0), "lan tcp");
        sim_run_for(w.s.sim, 4 * TL_SEC); /* its packets are spent */
        udp_passes(&w, true);
        sim_run_for(w.s.sim, 12 * TL_SEC); /* nobody tells of it */
        assert_string_equal(way_of(&w, 0), "lan tcp");
        finish(&w, 500 * TL_MS);
        sim_run_for(w.s.sim, 15 * TL_SEC);
        assert_string_equal(way_of(&w, 0), "lan udp");
        assert_string_equal(way_of(&w, 1), "lan udp");
        world_free(&w);
    }
}

static void an_answer_goes_from_udp_to_tcp_and_on_to_the_relay(void **state)
{
    world w;
    (void)state;
    for (uint64_t seed = 21; seed <= 25; seed++) {
        world_new(&w, seed, true);
        ask(&w);
        assert_string_equal(way_of(&w, 0), "lan udp");
        udp_passes(&w, false);
        sim_run_for(w.s.sim, 3 * TL_SEC);
        assert_string_equal(way_of(&w, 0), "lan tcp");
        whole_lan_cut(&w.lan, true);
        sim_run_for(w.s.sim, 3 * TL_SEC);
        assert_string_equal(way_of(&w, 0), "relayed");
        finish(&w, 3 * TL_SEC);
        world_free(&w);
    }
}

static void a_closed_connection_is_left_at_once(void **state)
{
    world w;
    (void)state;
    for (uint64_t seed = 31; seed <= 35; seed++) {
        world_new(&w, seed, false);
        ask(&w);
        sim_run_for(w.s.sim, TL_SEC); /* a session at the relay is kept warm by now */
        whole_lan_close(&w.lan);
        sim_run_for(w.s.sim, 500 * TL_MS);
        assert_string_equal(way_of(&w, 0), "relayed");
        finish(&w, TL_SEC);
        world_free(&w);
    }
}

static void an_answer_comes_back_from_the_relay_when_the_local_network_is_there(void **state)
{
    world w;
    (void)state;
    for (uint64_t seed = 41; seed <= 45; seed++) {
        world_new(&w, seed, false);
        w.lan.announced = false;
        ask(&w);
        assert_string_equal(way_of(&w, 0), "relayed");
        w.lan.announced = true;
        tl_direct_on_near(w.s.nodes[0]->direct, &w.s.nodes[1]->identity.id);
        sim_wake(w.s.nodes[0]->host);
        sim_run_for(w.s.sim, 2 * TL_SEC);
        if (!strcmp(way_of(&w, 0), "relayed")) { /* the pipe was made: it is told of now */
            uint8_t nonce[TL_CONTROL_NONCE_SIZE];
            tl_direct_pipe pipe[TL_DIRECT_PIPES_MAX];
            assert_int_equal(whole_lan_pipes(w.s.nodes[0], &w.s.nodes[1]->identity.id, pipe), 1);
            (void)tl_direct_on_pipe(w.s.nodes[0]->direct, &w.s.nodes[1]->identity.id, pipe, nonce);
            sim_wake(w.s.nodes[0]->host);
            sim_run_for(w.s.sim, 2 * TL_SEC);
        }
        assert_string_equal(way_of(&w, 0), "lan tcp");
        finish(&w, TL_SEC);
        world_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_is_taken_where_both_pass),
        cmocka_unit_test(tcp_is_taken_where_only_it_passes_and_the_relay_is_passed_by),
        cmocka_unit_test(udp_that_passes_after_all_takes_over_from_tcp),
        cmocka_unit_test(an_answer_goes_from_udp_to_tcp_and_on_to_the_relay),
        cmocka_unit_test(a_closed_connection_is_left_at_once),
        cmocka_unit_test(an_answer_comes_back_from_the_relay_when_the_local_network_is_there),
    };
    sim_each_test(tests);
    return sim_result();
}
