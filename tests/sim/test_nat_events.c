/* What happens to an answer under way when the networks under it change: NATs reboot and move, UDP
 * is blocked and comes back, hosts change networks, relays go. The answer is whole, over the same
 * connection, and the outage is short. */
#include "nats_world.h"

#include "base/log.h"

#include <stdio.h>

#define ACCESS 3 /* the host's second link to the internet */

static const sim_nat_kind cone = {.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                                  .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};
static const sim_faults line = {.delay = NATS_ONE_WAY};

static uint64_t below(nats_world *w, uint64_t n)
{
    return tl_rand_below(sim_rand(w->sim), n);
}

/* Two behind cone NATs, some time into an answer that goes direct. */
static void begin(nats_world *w, uint64_t seed, tl_time lasts)
{
    nats_pair(w, seed, &cone, &cone, NULL);
    nats_settle(w);
    nats_ask(w, lasts);
    sim_expect(nats_until_direct(w, 1 * TL_SEC));
    nats_run(w, 2 * TL_SEC + below(w, 4000) * TL_MS);
    sim_expect(nats_via(w) == TL_VIA_DIRECT);
    sim_expect(w->q.longest_gap <= 200 * TL_MS); /* going direct is not felt */
    w->q.longest_gap = 0;
}

static tl_time worst; /* of the longest silences of all seeds */

static void each_seed(const char *name, uint64_t count, void (*run)(uint64_t seed))
{
    worst = 0;
    sim_each_seed(name, 1, count, run);
    printf("    the longest silence: %lu ms\n", (unsigned long)(worst / TL_MS));
}

/* The answer goes on, direct in the end. */
static void end(nats_world *w, tl_time gap)
{
    nats_run(w, 5 * TL_SEC);
    sim_expect(nats_until_direct(w, 20 * TL_SEC));
    nats_check(w);
    if (w->q.longest_gap > gap)
        fprintf(stderr, "nothing came for %lu ms\n", (unsigned long)(w->q.longest_gap / TL_MS));
    sim_expect(w->q.longest_gap <= gap);
    if (w->q.longest_gap > worst)
        worst = w->q.longest_gap;
    nats_end(w);
}

static void a_nat_that_reboots_is_an_outage_of_a_second(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 40 * TL_SEC);
    sim_nat_reboot(sim_site_nat(w.site[seed % 2]));
    end(&w, 1200 * TL_MS);
}

static void both_nats_that_reboot_are_no_more(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 40 * TL_SEC);
    for (int i = 0; i < 2; i++)
        sim_nat_reboot(sim_site_nat(w.site[i]));
    end(&w, 1500 * TL_MS);
}

static void a_nat_whose_address_changes_is_an_outage_of_a_second(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 40 * TL_SEC);
    tl_addr other = sim_addr("198.51.100.200", 0);
    sim_nat_move(sim_site_nat(w.site[seed % 2]), &other);
    end(&w, 1200 * TL_MS);
}

static void blocked_udp_falls_back_to_the_relay_and_comes_back(uint64_t seed)
{
    nats_world w;
    int i = (int)(seed % 2);
    begin(&w, seed, 60 * TL_SEC);
    nats_block_udp(&w, i, true);
    sim_expect(nats_until_relayed(&w, 3 * TL_SEC));
    nats_run(&w, 1 * TL_SEC + below(&w, 8000) * TL_MS);
    sim_expect(nats_via(&w) == TL_VIA_RELAYED);
    nats_block_udp(&w, i, false);
    sim_expect(nats_until_direct(&w, 20 * TL_SEC));
    end(&w, 3 * TL_SEC);
}

static void a_relay_that_goes_is_not_felt_by_a_direct_answer(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 40 * TL_SEC);
    if (seed % 3 == 0)
        relay_host_restart(w.relay);
    for (int i = 0; i < 2; i++)
        if (seed % 3 == 0 || (int)(seed % 3) == i + 1)
            whole_node_disconnect(w.node[i]);
    nats_run(&w, 15 * TL_SEC);
    sim_expect(nats_via(&w) == TL_VIA_DIRECT);
    for (int i = 0; i < 2; i++)
        if (!w.node[i]->connected)
            whole_node_connect(w.node[i]);
    end(&w, 100 * TL_MS);
}

/* From one network to another, as from Wi-Fi to cable: the old is gone at once, or stays a while.
 */
static void a_host_that_changes_networks_keeps_its_connection(uint64_t seed)
{
    nats_world w;
    int i = (int)(seed % 2);
    bool overlap = seed / 2 % 2, relay_too = seed / 4 % 2;
    begin(&w, seed, 40 * TL_SEC);
    sim_site *other = sim_inet_site(w.in, NULL, &cone, "198.51.100.200");
    whole_net *net = &w.node[i]->net;
    if (!overlap)
        whole_net_leave(net, "192.168.1.10");
    whole_net_join(net, w.in, ACCESS, other, "10.7.0.3", 24, &line);
    if (overlap)
        whole_net_leave(net, "192.168.1.10");
    if (relay_too) { /* a TCP connection does not survive it; the next one takes a while */
        whole_node_disconnect(w.node[i]);
        nats_run(&w, 300 * TL_MS);
        whole_node_connect(w.node[i]);
    }
    end(&w, 1200 * TL_MS);
}

/* A host without any network for a while. */
static void an_interface_that_vanishes_and_returns_is_found_again(uint64_t seed)
{
    nats_world w;
    int i = (int)(seed % 2);
    begin(&w, seed, 60 * TL_SEC);
    whole_net_leave(&w.node[i]->net, "192.168.1.10");
    nats_run(&w, below(&w, 7000) * TL_MS);
    whole_net_join(&w.node[i]->net, w.in, WHOLE_NET_PATH, w.site[i], "192.168.1.10", 24, &line);
    sim_expect(nats_until_direct(&w, 20 * TL_SEC));
    end(&w, 3 * TL_SEC);
}

/* Each makes the provider give up connection IDs, of which there is no end either. */
static void an_answer_without_a_pause_survives_many_switches(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 500 * TL_SEC);
    for (int k = 0; k < 7; k++) {
        nats_block_udp(&w, (int)(seed % 2), true);
        sim_expect(nats_until_relayed(&w, 3 * TL_SEC));
        nats_run(&w, 500 * TL_MS);
        nats_block_udp(&w, (int)(seed % 2), false);
        sim_expect(nats_until_direct(&w, 80 * TL_SEC)); /* later each time, at most a minute */
        nats_run(&w, 500 * TL_MS);
    }
    const tl_peers_counters *c = tl_peers_counters_of(w.node[0]->peers);
    sim_expect(c->fallbacks >= 7 && c->upgrades >= 8);
    end(&w, 1200 * TL_MS);
}

/* --- all of it, at random --- */

#define RELAY_FOUND_WITHIN (1500 * TL_MS) /* TL_REOPEN_LOST_MAX, and half a second */

static void something_happens(nats_world *w)
{
    int i = (int)below(w, 2);
    whole_node *n = w->node[i];
    char ip[32];
    uint64_t what = below(w, 8);
    static const char *const names[] = {
        "its NAT reboots",    "its NAT moves",     "UDP is blocked",    "UDP is open",
        "the relay drops it", "the relay is back", "the relay is back", "its line loses some"};
    tl_log(TL_LOG_DEBUG, "sim: node %d: %s", i, names[what]);
    switch (what) {
    case 0: sim_nat_reboot(sim_site_nat(w->site[i])); break;
    case 1: {
        snprintf(ip, sizeof ip, "198.51.100.%u", (unsigned)(60 + below(w, 150)));
        tl_addr other = sim_addr(ip, 0);
        if (!tl_addr_same_ip(sim_nat_ip(sim_site_nat(w->site[1 - i])), &other))
            sim_nat_move(sim_site_nat(w->site[i]), &other);
        break;
    }
    case 2: nats_block_udp(w, i, true); break;
    case 3: nats_block_udp(w, i, false); break;
    case 4: whole_node_disconnect(n); break;
    case 5:
    case 6:
        if (!n->connected)
            whole_node_connect(n);
        break;
    default: {
        sim_faults bad = {.delay = NATS_ONE_WAY, .loss = (double)below(w, 8) / 100};
        sim_link_set_faults(w->line[i], &bad);
    }
    }
}

/* Whatever happens, as long as one way is left for most of the time. */
static void whatever_happens_the_answer_is_whole(uint64_t seed)
{
    nats_world w;
    sim_nat_kind a = nats_kind((unsigned)(seed % NATS_KINDS)),
                 b = nats_kind((unsigned)(seed / NATS_KINDS % NATS_KINDS));
    nats_pair(&w, seed, &a, &b, NULL);
    w.may_search = true; /* a NAT that moves while it is looked at may be taken for another */
    nats_settle(&w);
    nats_ask(&w, 90 * TL_SEC);
    nats_run(&w, 2 * TL_SEC);
    for (int k = 0; k < 20; k++) {
        something_happens(&w);
        nats_run(&w, below(&w, 4000) * TL_MS);
        /* Without relay and direct way for ten seconds, an answer fails, and rightly so. A relay that is back is found
         * within the longest pause between two tries, and some round trips: it stays for as long. */
        bool back = false;
        for (int i = 0; i < 2; i++)
            if (!w.node[i]->connected) {
                whole_node_connect(w.node[i]);
                back = true;
            }
        if (back)
            nats_run(&w, RELAY_FOUND_WITHIN);
    }
    for (int i = 0; i < 2; i++) {
        nats_block_udp(&w, i, false);
        sim_link_set_faults(w.line[i], &line);
    }
    nats_check(&w);
    if (nats_meet(&a, &b)) {
        question_clear(&w.q);
        nats_ask(&w, 1 * TL_SEC); /* whoever failed often waits up to five minutes */
        sim_expect(nats_until_direct(&w, 320 * TL_SEC));
        nats_check(&w);
    }
    nats_end(&w);
}

int main(void)
{
    if (tl_crypto_init())
        return 1;
    each_seed("a NAT that reboots is an outage of a second", 20,
              a_nat_that_reboots_is_an_outage_of_a_second);
    each_seed("both NATs that reboot are no more", 10, both_nats_that_reboot_are_no_more);
    each_seed("a NAT whose address changes is an outage of a second", 20,
              a_nat_whose_address_changes_is_an_outage_of_a_second);
    each_seed("blocked UDP falls back to the relay and comes back", 20,
              blocked_udp_falls_back_to_the_relay_and_comes_back);
    each_seed("a relay that goes is not felt by a direct answer", 9,
              a_relay_that_goes_is_not_felt_by_a_direct_answer);
    each_seed("a host that changes networks keeps its connection", 24,
              a_host_that_changes_networks_keeps_its_connection);
    each_seed("an interface that vanishes and returns is found again", 10,
              an_interface_that_vanishes_and_returns_is_found_again);
    each_seed("an answer without a pause survives many switches", 4,
              an_answer_without_a_pause_survives_many_switches);
    sim_each_seed("whatever happens the answer is whole", 1, 60,
                  whatever_happens_the_answer_is_whole);
    return sim_result();
}
