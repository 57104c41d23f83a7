/* Whole nodes behind NATs: every pairing of mapping and filtering on both sides, and the shapes
 * that networks have beside. Direct exactly where physics allows, the answer whole in any case. */
#include "nats_world.h"

#include <stdio.h>
#include <stdlib.h>

/* Offer and answer are a round trip over the relay, 80 ms here; then two of checks (60 ms each),
 * and the connection's own handshake goes on meanwhile. */
#define DIRECT_WITHIN (1 * TL_SEC)

static unsigned searches, found; /* of birthday searches */

static void run_pair(uint64_t seed, const sim_nat_kind *a, const sim_nat_kind *b,
                     const sim_faults *core, tl_time within)
{
    nats_world w;
    nats_pair(&w, seed, a, b, core);
    nats_settle(&w);
    bool meet = nats_meet(a, b), search = nats_search(a, b);
    nats_ask(&w, search ? 20 * TL_SEC : 4 * TL_SEC);
    if (meet) {
        sim_expect(nats_until_direct(&w, within));
    } else if (search) {
        searches++;
        found += nats_until_direct(&w, 18 * TL_SEC);
    } else if (!a->preserve_ports && !b->preserve_ports) {
        sim_expect(!nats_until_direct(&w, 4 * TL_SEC));
    }
    nats_check(&w);
    if (meet && !core) /* on a bad line it may be over the relay for a second now and then */
        sim_expect(nats_via(&w) == TL_VIA_DIRECT);
    nats_end(&w);
}

/* One pairing a seed, all 81 in as many. */
static void a_pair_of_nats(uint64_t seed)
{
    sim_nat_kind a = nats_kind((unsigned)(seed % NATS_KINDS)),
                 b = nats_kind((unsigned)(seed / NATS_KINDS % NATS_KINDS));
    a.preserve_ports = seed / 81 % 2;
    b.preserve_ports = seed / 162 % 2;
    run_pair(seed, &a, &b, NULL, DIRECT_WITHIN);
}

static void a_pair_of_nats_on_a_bad_core(uint64_t seed)
{
    static const sim_faults bad = {.delay = NATS_ONE_WAY,
                                   .jitter = 20 * TL_MS,
                                   .loss = 0.05,
                                   .duplicate = 0.05,
                                   .alter = 0.01,
                                   .replay = 0.05};
    sim_nat_kind a = nats_kind((unsigned)(seed % NATS_KINDS)),
                 b = nats_kind((unsigned)(seed / NATS_KINDS % NATS_KINDS));
    if (!nats_search(&a, &b))
        run_pair(seed, &a, &b, &bad, 4 * TL_SEC);
}

/* --- other shapes --- */

static const sim_nat_kind cone = {.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                                  .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};
static const sim_nat_kind symmetric = {.mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                       .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};

static void expect_via(nats_world *w, tl_via via)
{
    nats_settle(w);
    nats_ask(w, 4 * TL_SEC);
    if (via != TL_VIA_RELAYED)
        sim_expect(nats_until_direct(w, DIRECT_WITHIN));
    nats_check(w);
    if (nats_via(w) != via)
        fprintf(stderr, "it goes by %d, not %d\n", nats_via(w), via);
    sim_expect(nats_via(w) == via);
    nats_end(w);
}

static void two_in_the_public_network(uint64_t seed)
{
    nats_world w;
    nats_pair(&w, seed, NULL, NULL, NULL);
    expect_via(&w, TL_VIA_DIRECT);
}

static void one_in_the_public_network_meets_any(uint64_t seed)
{
    for (unsigned k = 0; k < NATS_KINDS; k++) {
        nats_world w;
        sim_nat_kind kind = nats_kind(k);
        nats_pair(&w, seed, seed % 2 ? &kind : NULL, seed % 2 ? NULL : &kind, NULL);
        expect_via(&w, TL_VIA_DIRECT);
    }
}

static void two_on_one_lan_need_no_nat(uint64_t seed)
{
    nats_world w;
    nats_begin(&w, seed, NULL);
    sim_site *home = sim_inet_site(w.in, NULL, seed % 2 ? &symmetric : &cone, "203.0.113.1");
    nats_add(&w, 0, home, "192.168.1.10");
    nats_add(&w, 1, home, "192.168.1.11");
    expect_via(&w, TL_VIA_LAN);
}

/* The address that the peer calls its own is, here, another's: who does not answer. */
static void a_host_of_the_same_address_is_not_taken_for_the_peer(uint64_t seed)
{
    nats_world w;
    nats_begin(&w, seed, NULL);
    sim_site *a = sim_inet_site(w.in, NULL, &cone, "203.0.113.1"),
             *b = sim_inet_site(w.in, NULL, &cone, "203.0.113.129");
    nats_add(&w, 0, a, "192.168.1.10");
    nats_add(&w, 1, b, "192.168.1.20");
    whole_node *bystander = whole_node_new(w.sim, w.relay, NATS_ONE_WAY);
    sim_faults line = {.delay = NATS_ONE_WAY};
    whole_net_join(&bystander->net, w.in, WHOLE_NET_PATH, a, "192.168.1.20", 24, &line);
    bystander->net.port = w.node[1]->net.port;
    expect_via(&w, TL_VIA_DIRECT);
    whole_node_free(bystander);
}

static void behind_a_carriers_nat(uint64_t seed, bool hairpin, tl_via via)
{
    sim_nat_kind carrier = cone;
    nats_world w;
    carrier.hairpin = hairpin;
    nats_begin(&w, seed, NULL);
    sim_site *cgn = sim_inet_site(w.in, NULL, &carrier, "203.0.113.1"),
             *a = sim_inet_site(w.in, cgn, &cone, "100.64.0.2"),
             *b = sim_inet_site(w.in, cgn, &cone, "100.64.0.3");
    nats_add(&w, 0, a, "192.168.1.10");
    nats_add(&w, 1, b, "192.168.1.10");
    expect_via(&w, via);
}

static void two_behind_one_carriers_nat_meet_where_it_hairpins(uint64_t seed)
{
    behind_a_carriers_nat(seed, true, TL_VIA_DIRECT);
}

static void two_behind_one_carriers_nat_stay_relayed_where_it_does_not(uint64_t seed)
{
    behind_a_carriers_nat(seed, false, TL_VIA_RELAYED);
}

static void two_nats_in_a_row_are_as_the_stricter(uint64_t seed)
{
    nats_world w;
    nats_begin(&w, seed, NULL);
    sim_nat_kind open = nats_kind(1); /* address-dependent filtering */
    sim_site *cgn = sim_inet_site(w.in, NULL, seed % 2 ? &symmetric : &cone, "203.0.113.1"),
             *a = sim_inet_site(w.in, cgn, &cone, "100.64.0.2"),
             *b = sim_inet_site(w.in, NULL, seed % 2 ? &open : &cone, "203.0.113.129");
    nats_add(&w, 0, a, "192.168.1.10");
    nats_add(&w, 1, b, "192.168.1.10");
    expect_via(&w, TL_VIA_DIRECT);
}

static void ipv6_leads_past_symmetric_nats(uint64_t seed)
{
    nats_world w;
    sim_faults line = {.delay = NATS_ONE_WAY};
    nats_pair(&w, seed, &symmetric, &symmetric, NULL);
    for (int i = 0; i < 2; i++)
        whole_net_join(&w.node[i]->net, w.in, WHOLE_NET_PATH, w.site[i],
                       i ? "2001:db8:b::2" : "2001:db8:a::2", 64, &line);
    expect_via(&w, TL_VIA_DIRECT);
}

static void a_port_mapping_opens_a_symmetric_nat_to_any(uint64_t seed)
{
    nats_world w;
    nats_pair(&w, seed, &symmetric, &symmetric, NULL);
    int i = (int)(seed % 2);
    sim_expect(whole_net_map(&w.node[i]->net, sim_site_nat(w.site[i])));
    expect_via(&w, TL_VIA_DIRECT);
}

static void without_a_stun_server_a_public_peer_is_met(uint64_t seed)
{
    nats_world w;
    nats_pair(&w, seed, &symmetric, NULL, NULL);
    w.stun[0]->silent = w.stun[1]->silent = true;
    expect_via(&w, TL_VIA_DIRECT);
}

static void where_udp_is_blocked_everything_is_relayed(uint64_t seed)
{
    nats_world w;
    nats_pair(&w, seed, &cone, &cone, NULL);
    nats_block_udp(&w, (int)(seed % 2), true);
    expect_via(&w, TL_VIA_RELAYED);
}

int main(void)
{
    if (tl_crypto_init())
        return 1;
    sim_each_seed("two in the public network", 1, 3, two_in_the_public_network);
    sim_each_seed("one in the public network meets any", 1, 2, one_in_the_public_network_meets_any);
    sim_each_seed("two on one LAN need no NAT", 1, 4, two_on_one_lan_need_no_nat);
    sim_each_seed("a host of the same address is not taken for the peer", 1, 3,
                  a_host_of_the_same_address_is_not_taken_for_the_peer);
    sim_each_seed("two behind one carrier's NAT meet where it hairpins", 1, 3,
                  two_behind_one_carriers_nat_meet_where_it_hairpins);
    sim_each_seed("two behind one carrier's NAT stay relayed where it does not", 1, 3,
                  two_behind_one_carriers_nat_stay_relayed_where_it_does_not);
    sim_each_seed("two NATs in a row are as the stricter", 1, 4,
                  two_nats_in_a_row_are_as_the_stricter);
    sim_each_seed("IPv6 leads past symmetric NATs", 1, 3, ipv6_leads_past_symmetric_nats);
    sim_each_seed("a port mapping opens a symmetric NAT to any", 1, 4,
                  a_port_mapping_opens_a_symmetric_nat_to_any);
    sim_each_seed("without a STUN server a public peer is met", 1, 3,
                  without_a_stun_server_a_public_peer_is_met);
    sim_each_seed("where UDP is blocked everything is relayed", 1, 4,
                  where_udp_is_blocked_everything_is_relayed);
    sim_each_seed("a pair of NATs", 0, 162, a_pair_of_nats);
    sim_each_seed("a pair of NATs on a bad core", 0, 81, a_pair_of_nats_on_a_bad_core);
    printf("birthday searches: %u of %u found a way\n", found, searches);
    sim_expect(searches < 20 || found * 10 >= searches * 8);
    return sim_result();
}
