/* Answers between two nodes that only the relay joins, and whose relay gives tokens: UDP carries them
 * where it passes, the WebSocket where it does not, and what happens in between is not felt. */
#include "nats_world.h"

#include "base/log.h"

#include <stdio.h>

/* No two of these meet directly. */
static const sim_nat_kind symmetric = {.mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                       .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};

static uint64_t below(nats_world *w, uint64_t n)
{
    return tl_rand_below(sim_rand(w->sim), n);
}

static bool by_udp(void *user)
{
    const nats_world *w = user;
    tl_peer_facts f[2];
    return nats_facts(w, 0, &f[0]) && nats_facts(w, 1, &f[1]) && f[0].by_udp && f[1].by_udp;
}

static bool by_websocket(void *user)
{
    const nats_world *w = user;
    tl_peer_facts f[2];
    return nats_facts(w, 0, &f[0]) && nats_facts(w, 1, &f[1]) && !f[0].by_udp && !f[1].by_udp;
}

static void pair(nats_world *w, uint64_t seed, const sim_faults *core)
{
    nats_pair(w, seed, &symmetric, &symmetric, core);
    nats_give_tokens(w);
    nats_settle(w);
}

/* Into an answer that goes by UDP. */
static void begin(nats_world *w, uint64_t seed, tl_time lasts)
{
    pair(w, seed, NULL);
    nats_ask(w, lasts);
    sim_expect(sim_run_while(w->sim, by_udp, w, 1 * TL_SEC));
    nats_run(w, 2 * TL_SEC + below(w, 4000) * TL_MS);
    sim_expect(by_udp(w));
    sim_expect(w->q.longest_gap <= 200 * TL_MS); /* the move is not felt */
    w->q.longest_gap = 0;
}

static tl_time worst; /* of the longest silences of all seeds */

static void end(nats_world *w, tl_time gap)
{
    nats_check(w);
    if (w->q.longest_gap > gap)
        fprintf(stderr, "nothing came for %lu ms\n", (unsigned long)(w->q.longest_gap / TL_MS));
    sim_expect(w->q.longest_gap <= gap);
    if (w->q.longest_gap > worst)
        worst = w->q.longest_gap;
    nats_end(w);
}

static void an_answer_goes_by_udp_within_a_second(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 10 * TL_SEC);
    uint64_t texts = tl_relay_link_counters_of(w.node[1]->link)->datagrams_out;
    uint64_t udp = w.tokens->by_udp;
    nats_run(&w, 2 * TL_SEC);
    sim_expect(tl_relay_link_counters_of(w.node[1]->link)->datagrams_out == texts);
    sim_expect(w.tokens->by_udp > udp + 100);
    end(&w, 200 * TL_MS);
}

static void udp_that_is_blocked_in_mid_answer_is_an_outage_of_a_second(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 60 * TL_SEC);
    int side = (int)below(&w, 2);
    nats_block_udp(&w, side, true);
    sim_expect(sim_run_while(w.sim, by_websocket, &w, 3 * TL_SEC));
    nats_run(&w, 4 * TL_SEC);
    sim_expect(by_websocket(&w));
    /* and what goes now is no text */
    uint64_t packets = tl_relay_link_counters_of(w.node[1]->link)->packets_out;
    nats_run(&w, 4 * TL_SEC);
    sim_expect(tl_relay_link_counters_of(w.node[1]->link)->packets_out > packets + 100);
    nats_block_udp(&w, side, false);
    sim_expect(sim_run_while(w.sim, by_udp, &w, 30 * TL_SEC));
    end(&w, 1200 * TL_MS);
}

static void where_udp_never_passes_packets_go_by_the_websocket(uint64_t seed)
{
    nats_world w;
    pair(&w, seed, NULL);
    nats_block_udp(&w, (int)below(&w, 2), true);
    nats_ask(&w, 20 * TL_SEC);
    nats_run(&w, 8 * TL_SEC);
    sim_expect(by_websocket(&w));
    uint64_t packets = tl_relay_link_counters_of(w.node[1]->link)->packets_out;
    nats_run(&w, 4 * TL_SEC);
    sim_expect(by_websocket(&w));
    sim_expect(tl_relay_link_counters_of(w.node[1]->link)->packets_out > packets + 100);
    end(&w, 300 * TL_MS);
}

static void a_nat_that_reboots_is_told_to_the_relay(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 40 * TL_SEC);
    sim_nat_reboot(sim_site_nat(w.site[below(&w, 2)]));
    nats_run(&w, 3 * TL_SEC);
    sim_expect(sim_run_while(w.sim, by_udp, &w, 10 * TL_SEC));
    nats_run(&w, 2 * TL_SEC);
    sim_expect(w.tokens->migrated >= 1);
    end(&w, 1200 * TL_MS);
}

static void a_relay_that_restarts_gives_new_tokens(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 40 * TL_SEC);
    for (int i = 0; i < 2; i++)
        whole_node_disconnect(w.node[i]);
    relay_host_restart(w.relay);
    for (size_t i = 0; i < w.tokens->n; i++)
        w.tokens->sessions[i].live = false;
    nats_run(&w, 100 * TL_MS + below(&w, 500) * TL_MS);
    for (int i = 0; i < 2; i++)
        whole_node_connect(w.node[i]);
    nats_run(&w, 2 * TL_SEC);
    sim_expect(sim_run_while(w.sim, by_udp, &w, 5 * TL_SEC));
    end(&w, 3 * TL_SEC);
}

static void packets_that_are_lost_cost_no_byte(uint64_t seed)
{
    nats_world w;
    sim_faults bad = {.delay = NATS_ONE_WAY, .jitter = 10 * TL_MS, .duplicate = 0.02};
    pair(&w, seed, NULL);
    bad.loss = 0.005 * (double)below(&w, 11);
    sim_link_set_faults(sim_inet_core(w.in), &bad);
    nats_ask(&w, 20 * TL_SEC);
    sim_expect(sim_run_while(w.sim, by_udp, &w, 5 * TL_SEC));
    end(&w, 4 * TL_SEC);
}

static void a_relay_whose_udp_dies_and_comes_back_is_used_again(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 60 * TL_SEC);
    w.tokens->silent = true;
    sim_expect(sim_run_while(w.sim, by_websocket, &w, 3 * TL_SEC));
    nats_run(&w, 1 * TL_SEC + below(&w, 10000) * TL_MS);
    sim_expect(by_websocket(&w));
    w.tokens->silent = false;
    sim_expect(sim_run_while(w.sim, by_udp, &w, 30 * TL_SEC));
    end(&w, 1200 * TL_MS);
}

static void each_seed(const char *name, uint64_t count, void (*run)(uint64_t seed))
{
    worst = 0;
    sim_each_seed(name, 1, count, run);
    printf("    the longest silence: %lu ms\n", (unsigned long)(worst / TL_MS));
}

int main(void)
{
    if (tl_crypto_init())
        return 1;
#define S(name, count) each_seed(#name, count, name)
    S(an_answer_goes_by_udp_within_a_second, 100);
    S(udp_that_is_blocked_in_mid_answer_is_an_outage_of_a_second, 200);
    S(where_udp_never_passes_packets_go_by_the_websocket, 100);
    S(a_nat_that_reboots_is_told_to_the_relay, 200);
    S(a_relay_that_restarts_gives_new_tokens, 100);
    S(packets_that_are_lost_cost_no_byte, 200);
    S(a_relay_whose_udp_dies_and_comes_back_is_used_again, 100);
    return sim_result();
}
