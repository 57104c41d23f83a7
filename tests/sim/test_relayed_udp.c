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
    uint64_t udp = token_host_by_udp(w.tokens);
    nats_run(&w, 2 * TL_SEC);
    sim_expect(tl_relay_link_counters_of(w.node[1]->link)->datagrams_out == texts);
    sim_expect(token_host_by_udp(w.tokens) > udp + 100);
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
    sim_expect(token_host_counters(w.tokens)->moved >= 1);
    end(&w, 1200 * TL_MS);
}

static void a_relay_that_restarts_gives_new_tokens(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 40 * TL_SEC);
    for (int i = 0; i < 2; i++)
        whole_node_disconnect(w.node[i]);
    relay_host_restart(w.relay);
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

/* --- beside direct ways --- */

static const sim_nat_kind cone = {.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                                  .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};

/* Only what goes to or comes from servers in the public network passes. */
static bool between_them(void *user, sim_host *to, const tl_addr *from, const tl_addr *at,
                         tl_slice payload)
{
    const nats_world *w = user;
    tl_addr relay = w->tokens->site.addr[0];
    (void)at;
    (void)payload;
    return to == w->tokens->host || to == w->stun[0]->host || to == w->stun[1]->host ||
           tl_addr_same_ip(from, &relay) || from->bytes[0] != 203;
}

static void a_direct_way_is_taken_and_udp_carries_on_when_it_dies(uint64_t seed)
{
    nats_world w;
    nats_pair(&w, seed, &cone, &cone, NULL);
    nats_give_tokens(&w);
    nats_settle(&w);
    nats_ask(&w, 90 * TL_SEC);
    sim_expect(nats_until_direct(&w, 1 * TL_SEC));
    nats_run(&w, 30 * TL_SEC + below(&w, 10000) * TL_MS);
    sim_expect(nats_via(&w) == TL_VIA_DIRECT);
    sim_expect(w.q.longest_gap <= 200 * TL_MS);
    sim_inet_set_tap(w.in, between_them, &w);
    sim_expect(sim_run_while(w.sim, by_udp, &w, 2 * TL_SEC)); /* it was kept warm */
    nats_run(&w, 5 * TL_SEC);
    sim_expect(by_udp(&w));
    sim_inet_set_tap(w.in, NULL, NULL);
    sim_expect(nats_until_direct(&w, 40 * TL_SEC));
    end(&w, 1200 * TL_MS);
}

/* The relayed way by UDP dies with the direct one, and neither side has used it for long. */
static void udp_that_is_blocked_under_a_direct_answer_is_an_outage_of_a_second(uint64_t seed)
{
    nats_world w;
    nats_pair(&w, seed, &cone, &cone, NULL);
    nats_give_tokens(&w);
    nats_settle(&w);
    nats_ask(&w, 90 * TL_SEC);
    sim_expect(nats_until_direct(&w, 1 * TL_SEC));
    nats_run(&w, 10 * TL_SEC + below(&w, 20000) * TL_MS);
    sim_expect(nats_via(&w) == TL_VIA_DIRECT);
    w.q.longest_gap = 0;
    int side = (int)below(&w, 2);
    nats_block_udp(&w, side, true);
    nats_run(&w, 20 * TL_SEC);
    sim_expect(by_websocket(&w));
    sim_expect(tl_peers_counters_of(w.node[0]->peers)->udp_upgrades == 0);
    nats_block_udp(&w, side, false);
    sim_expect(nats_until_direct(&w, 60 * TL_SEC));
    end(&w, 1200 * TL_MS);
}

/* --- nodes and relays that know no tokens --- */

static void an_old_node_is_sent_texts(uint64_t seed)
{
    nats_world w;
    nats_pair(&w, seed, &symmetric, &symmetric, NULL);
    nats_give_tokens(&w);
    nats_settle(&w);
    whole_node *old = w.node[below(&w, 2)];
    old->no_tokens = true;
    whole_node_restart(old);
    nats_run(&w, 1 * TL_SEC);
    nats_ask(&w, 5 * TL_SEC);
    nats_run(&w, 4 * TL_SEC);
    sim_expect(by_websocket(&w));
    for (int i = 0; i < 2; i++) {
        sim_expect(tl_relay_link_counters_of(w.node[i]->link)->datagrams_out > 10);
        sim_expect(tl_relay_link_counters_of(w.node[i]->link)->packets_out == 0);
    }
    end(&w, 200 * TL_MS);
}

static void without_a_udp_port_at_the_relay_packets_go_by_the_websocket(uint64_t seed)
{
    nats_world w;
    nats_pair(&w, seed, &symmetric, &symmetric, NULL);
    nats_settle(&w);
    nats_ask(&w, 5 * TL_SEC);
    nats_run(&w, 4 * TL_SEC);
    sim_expect(by_websocket(&w));
    for (int i = 0; i < 2; i++) /* all but the handshake */
        sim_expect(tl_relay_link_counters_of(w.node[i]->link)->packets_out > 10);
    end(&w, 200 * TL_MS);
}

/* --- a hostile sender --- */

/* Anybody may write the relay's address as his own. */
static void what_pretends_to_be_from_the_relay_harms_nothing(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 20 * TL_SEC);
    tl_addr relay = w.tokens->site.addr[0];
    for (int n = 0; n < 3000; n++) {
        uint8_t junk[64];
        size_t len = 1 + below(&w, sizeof junk - 1);
        static const uint8_t firsts[] = {0x00, 0x01, 0x0C, 0x40, 0x5f, 0x80, 0xC3, 0x64};
        tl_rand_bytes(sim_rand(w.sim), junk, len);
        junk[0] = firsts[below(&w, sizeof firsts)];
        if (junk[0] == 0x0C && len > 1)
            junk[1] = (uint8_t)below(&w, 14);
        tl_addr inside = sim_addr("192.168.1.10", w.node[0]->net.port);
        tl_addr at = sim_site_out(w.in, w.site[0], &inside, &relay);
        sim_inet_send(w.tokens->host, 1, &relay, &at, junk, len);
        if (n % 100 == 0)
            nats_run(&w, 50 * TL_MS);
    }
    sim_expect(tl_peers_counters_of(w.node[0]->peers)->relay_strays > 500);
    sim_expect(by_udp(&w));
    end(&w, 300 * TL_MS);
}

/* --- rest --- */

static void an_idle_connection_by_udp_wakes_seldom(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 8 * TL_SEC);
    nats_check(&w);
    nats_run(&w, 60 * TL_SEC);
    sim_expect(by_udp(&w));
    uint64_t before = sim_timer_count(w.node[0]->host), sent = token_host_by_udp(w.tokens);
    nats_run(&w, 300 * TL_SEC);
    uint64_t wakes = sim_timer_count(w.node[0]->host) - before;
    /* each 15 s the leg and the token, each 25 s a check and a heartbeat, each with its answers, and STUN */
    if (wakes > 300)
        fprintf(stderr, "%lu wake-ups in 300 s\n", (unsigned long)wakes);
    sim_expect(wakes <= 300);
    sim_expect(token_host_by_udp(w.tokens) - sent <= 300);
    sim_expect(by_udp(&w));
    nats_end(&w);
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
    S(an_answer_goes_by_udp_within_a_second, 30);
    S(udp_that_is_blocked_in_mid_answer_is_an_outage_of_a_second, 60);
    S(where_udp_never_passes_packets_go_by_the_websocket, 30);
    S(a_nat_that_reboots_is_told_to_the_relay, 60);
    S(a_relay_that_restarts_gives_new_tokens, 30);
    S(packets_that_are_lost_cost_no_byte, 60);
    S(a_relay_whose_udp_dies_and_comes_back_is_used_again, 30);
    S(a_direct_way_is_taken_and_udp_carries_on_when_it_dies, 30);
    S(udp_that_is_blocked_under_a_direct_answer_is_an_outage_of_a_second, 60);
    S(an_old_node_is_sent_texts, 10);
    S(without_a_udp_port_at_the_relay_packets_go_by_the_websocket, 10);
    S(what_pretends_to_be_from_the_relay_harms_nothing, 20);
    S(an_idle_connection_by_udp_wakes_seldom, 5);
    return sim_result();
}
