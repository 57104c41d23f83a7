/* Two ends find each other through NATs of every kind, and keep what they found. */
#include "checks_world.h"

#include <stdlib.h>

#define ONE_WAY                                                                                    \
    (20 * TL_MS) /* of each line; end to end twice that, and four times there and back */
#define RTT   (4 * ONE_WAY)
#define SEEDS 400

static const sim_faults plain = {.delay = ONE_WAY};

static const tl_nat_mapping mappings[] = {TL_MAPPING_ENDPOINT_INDEPENDENT,
                                          TL_MAPPING_ADDRESS_DEPENDENT,
                                          TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT};
static const tl_nat_filtering filterings[] = {TL_FILTERING_ENDPOINT_INDEPENDENT,
                                              TL_FILTERING_ADDRESS_DEPENDENT,
                                              TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};
#define KINDS 9

static sim_nat_kind kind_of(unsigned k, bool preserve)
{
    return (sim_nat_kind){.mapping = mappings[k / 3],
                          .filtering = filterings[k % 3],
                          .preserve_ports = preserve,
                          .hairpin = true};
}

/* Can a peer know the address by which this NAT will let it in? */
static bool is_symmetric(const sim_nat_kind *k)
{
    return k->mapping != TL_MAPPING_ENDPOINT_INDEPENDENT;
}

/* What physics says. One whose port nobody knows needs another that lets in any port; two of them
 * need one that lets in anyone, even at the port that only the STUN server was asked from, and one
 * that settles on a port. */
static bool opens(const sim_nat_kind *a, const sim_nat_kind *b)
{
    bool strict_a = a->filtering == TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
    bool strict_b = b->filtering == TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
    if (is_symmetric(a) && is_symmetric(b))
        return (a->mapping == TL_MAPPING_ADDRESS_DEPENDENT ||
                b->mapping == TL_MAPPING_ADDRESS_DEPENDENT) &&
               !strict_a && !strict_b &&
               (a->filtering == TL_FILTERING_ENDPOINT_INDEPENDENT ||
                b->filtering == TL_FILTERING_ENDPOINT_INDEPENDENT);
    return !(is_symmetric(a) && strict_b) && !(is_symmetric(b) && strict_a);
}

static void expect_budgets(const end *e)
{
    size_t n;
    const tl_pair *pairs = tl_checks_pairs(e->checks, &n);
    unsigned unheard = 0;
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].answered || pairs[i].asked_by_peer)
            continue;
        sim_expect(pairs[i].sent <= TL_CHECKS_UNHEARD_MAX);
        unheard += pairs[i].sent;
    }
    sim_expect(unheard <= TL_CHECKS_ATTEMPT_MAX);
}

static void run_pair(uint64_t seed, unsigned ka, unsigned kb, bool preserve,
                     const sim_faults *faults, tl_time within)
{
    sim_nat_kind a = kind_of(ka, preserve), b = kind_of(kb, preserve);
    checks_world w;
    checks_world_init(&w, seed, &a, &b, faults);
    checks_tell(&w, &w.a, &w.b);
    checks_tell(&w, &w.b, &w.a);
    end_start(&w, &w.a);
    end_start(&w, &w.b);
    tl_time began = sim_now(w.s);
    if (opens(&a, &b)) {
        sim_expect(sim_run_while(w.s, both_valid, &w, within));
        tl_time left = began + 4 * TL_SEC > sim_now(w.s) ? began + 4 * TL_SEC - sim_now(w.s) : 0;
        sim_run_for(w.s, left);
        sim_expect(!w.a.done && !w.b.done);
    } else if (!preserve) {
        sim_run_for(w.s, 4 * TL_SEC);
        sim_expect(!end_valid(&w.a) && !end_valid(&w.b));
        sim_expect(w.a.done == 1 && w.b.done == 1);
    }
    expect_budgets(&w.a);
    expect_budgets(&w.b);
    checks_world_clear(&w);
}

/* One and a half round trips where both addresses are known; half a one more where one is only
 * learned from a check, and the other side's answer to the first went to the wrong port. */
static void every_pair_that_can_open_opens_in_two_round_trips(uint64_t seed)
{
    for (unsigned ka = 0; ka < KINDS; ka++)
        for (unsigned kb = 0; kb < KINDS; kb++)
            run_pair(seed, ka, kb, seed % 2, &plain,
                     (ka < 3 && kb < 3 ? 3 : 4) * RTT / 2 + 15 * TL_MS);
}

static void every_pair_that_can_open_opens_on_a_bad_line(uint64_t seed)
{
    /* 19% of round trips get nowhere */
    static const sim_faults bad = {.delay = 20 * TL_MS,
                                   .jitter = 30 * TL_MS,
                                   .loss = 0.1,
                                   .duplicate = 0.1,
                                   .alter = 0.01,
                                   .replay = 0.1};
    unsigned ka = (unsigned)(seed % KINDS), kb = (unsigned)(seed / KINDS % KINDS);
    run_pair(seed, ka, kb, false, &bad, 3 * TL_SEC);
}

/* --- sides that are not in step --- */

static void two_sides_a_second_apart_meet(uint64_t seed)
{
    sim_nat_kind a = kind_of((unsigned)(seed % KINDS), false);
    sim_nat_kind b = kind_of((unsigned)(seed / KINDS % KINDS), false);
    checks_world w;
    if (!opens(&a, &b))
        return;
    checks_world_init(&w, seed, &a, &b, &plain);
    end *first = seed % 2 ? &w.a : &w.b, *second = seed % 2 ? &w.b : &w.a;
    checks_tell(&w, second, first);
    second->deaf = true; /* it has no such session yet */
    end_start(&w, first);
    sim_run_for(w.s, tl_rand_below(sim_rand(w.s), 1200 * TL_MS));
    second->deaf = false;
    checks_tell(&w, first, second);
    end_start(&w, second);
    /* what the first sent before is lost: its next check may have to be waited for */
    sim_expect(sim_run_while(w.s, both_valid, &w, TL_SEC));
    checks_world_clear(&w);
}

/* --- places --- */

static const sim_nat_kind restricted = {.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                                        .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};

static void start_both(checks_world *w)
{
    end_start(w, &w->a);
    end_start(w, &w->b);
}

/* Behind one NAT that turns nothing round. */
static void one_local_network_needs_no_nat(uint64_t seed)
{
    checks_world w;
    checks_world_empty(&w, seed, &plain);
    sim_site *home = sim_inet_site(w.in, NULL, &restricted, "203.0.113.1");
    checks_world_place(&w, &w.a, home, "10.0.0.2", "2001:db8:a::2");
    checks_world_place(&w, &w.b, home, "10.0.0.3", "2001:db8:a::3");
    checks_world_begin(&w);
    checks_tell(&w, &w.a, &w.b);
    checks_tell(&w, &w.b, &w.a);
    start_both(&w);
    sim_expect(sim_run_while(w.s, both_valid, &w, 10 * TL_MS));
    sim_run_for(w.s, 3 * TL_SEC);
    const tl_pair *p = end_valid(&w.a);
    tl_addr host = end_host(&w.b);
    sim_expect(tl_addr_eq(&p->remote, &host) && p->rtt == 4 * TL_MS);
    tl_addr reflexive = end_reflexive(&w, &w.b);
    p = tl_checks_find(w.a.checks, END_SOCK4, &reflexive);
    sim_expect(p->state == TL_PAIR_FAILED && p->sent == TL_CHECKS_UNHEARD_MAX);
    checks_world_clear(&w);
}

/* A stranger, or a node of the same user with another key, has the private address that the peer
 * has at its own home. */
static void in_overlapping_ranges_the_right_host_answers_or_none(uint64_t seed)
{
    checks_world w, other;
    checks_world_init(&w, seed, &restricted, &restricted, &plain);
    checks_world_init(&other, seed + 1, &restricted, &restricted, &plain);
    sim *own = w.s;
    tl_addr host = end_host(&w.b);
    checks_tell(&w, &w.a, &w.b);
    checks_tell(&w, &w.b, &w.a);
    start_both(&w);
    /* what a sends to b's private address comes to another node, and its answers back */
    tl_checks_output o;
    bool seen = false;
    while (tl_checks_next_output(w.a.checks, sim_now(own), &o)) {
        tl_stun stun;
        tl_slice bytes = tl_slice_of(o.bytes, o.n);
        sim_expect(tl_stun_read(bytes, &stun) == TL_OK);
        if (!tl_addr_eq(&o.to, &host))
            continue;
        seen = true;
        tl_addr from = end_host(&w.a);
        tl_checks_on_stun(other.b.checks, END_SOCK4, &from, bytes, &stun, sim_now(other.s));
        sim_expect(!tl_checks_next_output(other.b.checks, sim_now(other.s), &o));
        sim_expect(tl_checks_counters_of(other.b.checks)->forged == 1);
    }
    sim_expect(seen);
    checks_world_clear(&other);
    checks_world_clear(&w);
}

static void double_nat_and_carriers_open(uint64_t seed)
{
    checks_world w;
    checks_world_empty(&w, seed, &plain);
    sim_site *carrier = sim_inet_site(w.in, NULL, &restricted, "203.0.113.1");
    sim_site *home_a = sim_inet_site(w.in, carrier, &restricted, "100.64.0.2");
    sim_site *home_b = sim_inet_site(w.in, NULL, &restricted, "198.51.100.1");
    checks_world_place(&w, &w.a, home_a, "10.0.0.2", "2001:db8:a::2");
    checks_world_place(&w, &w.b, home_b, "10.0.0.3", "2001:db8:b::2");
    checks_world_begin(&w);
    checks_tell(&w, &w.a, &w.b);
    checks_tell(&w, &w.b, &w.a);
    start_both(&w);
    sim_expect(sim_run_while(w.s, both_valid, &w, 3 * RTT / 2 + 15 * TL_MS));
    checks_world_clear(&w);
}

/* Two homes of one carrier, whose NAT turns round what is for itself, or does not. */
static void one_carrier_opens_if_it_hairpins(uint64_t seed)
{
    checks_world w;
    sim_nat_kind kind = restricted;
    kind.hairpin = seed % 2;
    checks_world_empty(&w, seed, &plain);
    sim_site *carrier = sim_inet_site(w.in, NULL, &kind, "203.0.113.1");
    sim_site *home_a = sim_inet_site(w.in, carrier, &restricted, "100.64.0.2");
    sim_site *home_b = sim_inet_site(w.in, carrier, &restricted, "100.64.0.3");
    checks_world_place(&w, &w.a, home_a, "10.0.0.2", "2001:db8:a::2");
    checks_world_place(&w, &w.b, home_b, "10.0.0.3", "2001:db8:b::2");
    checks_world_begin(&w);
    checks_tell(&w, &w.a, &w.b);
    checks_tell(&w, &w.b, &w.a);
    start_both(&w);
    sim_run_for(w.s, 4 * TL_SEC);
    sim_expect(both_valid(&w) == kind.hairpin);
    sim_expect(w.a.done == !kind.hairpin);
    checks_world_clear(&w);
}

static void firewalls_of_ipv6_open(uint64_t seed)
{
    static const sim_nat_kind hopeless = {.mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                          .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};
    checks_world w;
    checks_world_init(&w, seed, &hopeless, &hopeless, &plain);
    checks_tell(&w, &w.a, &w.b);
    checks_tell(&w, &w.b, &w.a);
    tl_addr a = end_host6(&w.a), b = end_host6(&w.b);
    checks_tell_one(&w, &w.a, TL_CANDIDATE_HOST, &b);
    checks_tell_one(&w, &w.b, TL_CANDIDATE_HOST, &a);
    start_both(&w);
    sim_expect(sim_run_while(w.s, both_valid, &w, 3 * RTT / 2 + 15 * TL_MS));
    sim_expect(end_valid(&w.a)->sock == END_SOCK6);
    checks_world_clear(&w);
}

static void a_public_host_is_reached_from_behind_any_nat(uint64_t seed)
{
    sim_nat_kind b = kind_of((unsigned)(seed % KINDS), false);
    checks_world w;
    checks_world_init(&w, seed, NULL, &b, &plain);
    checks_tell(&w, &w.a, &w.b);
    checks_tell(&w, &w.b, &w.a);
    start_both(&w);
    sim_expect(sim_run_while(w.s, both_valid, &w, 3 * RTT / 2 + 15 * TL_MS));
    checks_world_clear(&w);
}

int main(void)
{
    sim_each_seed("every pair that can open opens in two round trips", 1, 40,
                  every_pair_that_can_open_opens_in_two_round_trips);
    sim_each_seed("every pair that can open opens on a bad line", 1, 1500,
                  every_pair_that_can_open_opens_on_a_bad_line);
    sim_each_seed("two sides a second apart", 1, 400, two_sides_a_second_apart_meet);
    sim_each_seed("one local network", 1, 20, one_local_network_needs_no_nat);
    sim_each_seed("overlapping ranges", 1, 10,
                  in_overlapping_ranges_the_right_host_answers_or_none);
    sim_each_seed("double NAT", 1, 20, double_nat_and_carriers_open);
    sim_each_seed("one carrier", 1, 20, one_carrier_opens_if_it_hairpins);
    sim_each_seed("firewalls of IPv6", 1, 20, firewalls_of_ipv6_open);
    sim_each_seed("a public host", 1, 36, a_public_host_is_reached_from_behind_any_nat);
    return sim_result();
}
