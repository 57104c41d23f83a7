/* What was found is kept: blackholes are noticed, rebinding is absorbed, silence is not mistaken
 * for loss, and what returns is taken back. */
#include "checks_world.h"

#include <stdlib.h>

static const sim_faults plain = {.delay = 20 * TL_MS, .jitter = 5 * TL_MS};
static const sim_nat_kind cone = {.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                                  .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};
static const sim_nat_kind hasty = {.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                                   .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                   .lifetime = 30 * TL_SEC};

static void pace(checks_world *w, end *e, tl_pair_pace p)
{
    tl_checks_set_pace(e->checks, end_valid(e)->id, p, sim_now(w->s));
    sim_wake(e->host);
}

static void begin(checks_world *w, uint64_t seed, const sim_nat_kind *kind, const sim_faults *core)
{
    checks_world_init(w, seed, kind, kind, core);
    checks_tell(w, &w->a, &w->b);
    checks_tell(w, &w->b, &w->a);
    end_start(w, &w->a);
    end_start(w, &w->b);
    sim_expect(sim_run_while(w->s, both_valid, w, 3 * TL_SEC));
    sim_run_for(w->s, 5 * TL_SEC);
}

static bool a_lost(void *world)
{
    checks_world *w = world;
    return w->a.lost > 0;
}

static void a_blackhole_under_traffic_is_noticed_within_800_ms(uint64_t seed)
{
    checks_world w;
    begin(&w, seed, &cone, &plain);
    pace(&w, &w.a, TL_PACE_ACTIVE);
    sim_run_for(w.s, 2 * TL_SEC + tl_rand_below(sim_rand(w.s), TL_SEC));
    sim_link_set_down(sim_inet_core(w.in), true);
    tl_time began = sim_now(w.s);
    sim_expect(sim_run_while(w.s, a_lost, &w, 5 * TL_SEC));
    tl_time took = sim_now(w.s) - began;
    sim_expect(took >= 400 * TL_MS && took <= 800 * TL_MS);
    sim_expect(w.a.silent == 1);
    sim_expect(!w.b.lost && !w.b.silent); /* it does not ask */

    /* The blockade ends: found again within 5 s, and told once. */
    sim_run_for(w.s, tl_rand_below(sim_rand(w.s), 50 * TL_SEC));
    sim_link_set_down(sim_inet_core(w.in), false);
    unsigned before = w.a.valid;
    sim_run_for(w.s, 5 * TL_SEC + 200 * TL_MS);
    sim_expect(end_valid(&w.a) && w.a.valid == before + 1);
    sim_expect(end_valid(&w.a)->pace == TL_PACE_KEEP);
    checks_world_clear(&w);
}

static void a_slow_path_is_lost_after_two_seconds_at_most(uint64_t seed)
{
    static const sim_faults slow = {.delay = 600 * TL_MS};
    checks_world w;
    begin(&w, seed, &cone, &slow);
    pace(&w, &w.a, TL_PACE_ACTIVE);
    sim_run_for(w.s, 20 * TL_SEC);
    sim_expect(!w.a.lost); /* slow is not dead */
    sim_link_set_down(sim_inet_core(w.in), true);
    tl_time began = sim_now(w.s);
    sim_expect(sim_run_while(w.s, a_lost, &w, 5 * TL_SEC));
    /* what was asked before the blackhole may still be answered for half a round trip */
    sim_expect(sim_now(w.s) - began <= TL_CHECKS_CONSENT_MAX + 400 * TL_MS);
    checks_world_clear(&w);
}

static void an_active_path_is_asked_four_times_a_second(uint64_t seed)
{
    checks_world w;
    begin(&w, seed, &cone, &plain);
    pace(&w, &w.a, TL_PACE_ACTIVE);
    uint64_t sent = tl_checks_counters_of(w.a.checks)->sent;
    sim_run_for(w.s, 10 * TL_SEC);
    sent = tl_checks_counters_of(w.a.checks)->sent - sent;
    sim_expect(sent >= 39 && sent <= 42 && !w.a.silent);
    const tl_pair *p = end_valid(&w.a);
    sim_expect(p->rtt >= 44 * TL_MS && p->rtt <= 54 * TL_MS);
    tl_addr reflexive = end_reflexive(&w, &w.a);
    sim_expect(tl_addr_eq(&p->seen_as, &reflexive));
    checks_world_clear(&w);
}

static void a_lossy_path_is_not_taken_for_dead(uint64_t seed)
{
    static const sim_faults lossy = {.delay = 20 * TL_MS, .jitter = 20 * TL_MS, .loss = 0.1};
    checks_world w;
    begin(&w, seed, &cone, &lossy);
    pace(&w, &w.a, TL_PACE_ACTIVE);
    pace(&w, &w.b, TL_PACE_ACTIVE);
    sim_run_for(w.s, TL_MIN);
    sim_expect(!w.a.lost && !w.b.lost);
    checks_world_clear(&w);
}

static void keeping_outlives_the_mapping(uint64_t seed)
{
    checks_world w;
    begin(&w, seed, &hasty, &plain);
    uint64_t wrote = w.a.wrote;
    sim_run_for(w.s, 10 * TL_MIN);
    sim_expect(both_valid(&w) && !w.a.lost && !w.b.lost);
    /* a question every 25 s, an answer to the other's, and little more */
    sim_expect(w.a.wrote - wrote <= 2 * 600 / 22 + 4);
    checks_world_clear(&w);
}

static void a_resting_path_is_not_asked_until_it_is_suspected(uint64_t seed)
{
    checks_world w;
    begin(&w, seed, &cone, &plain);
    pace(&w, &w.a, TL_PACE_REST);
    uint64_t sent = tl_checks_counters_of(w.a.checks)->sent;
    uint16_t id = end_valid(&w.a)->id;
    sim_run_for(w.s, TL_MIN);
    sim_expect(tl_checks_counters_of(w.a.checks)->sent == sent && end_valid(&w.a));

    tl_checks_suspect(w.a.checks, id, sim_now(w.s));
    sim_wake(w.a.host);
    sim_run_for(w.s, TL_SEC);
    sim_expect(tl_checks_counters_of(w.a.checks)->sent == sent + 1 && !w.a.lost);

    sim_link_set_down(sim_inet_core(w.in), true);
    tl_checks_suspect(w.a.checks, id, sim_now(w.s));
    sim_wake(w.a.host);
    sim_run_for(w.s, 900 * TL_MS);
    sim_expect(w.a.lost == 1);
    checks_world_clear(&w);
}

/* The peer's NAT reboots or gets another address under traffic: its next check shows where it is.
 */
static void rebinding_is_absorbed_within_half_a_second(uint64_t seed)
{
    checks_world w;
    begin(&w, seed, &cone, &plain);
    pace(&w, &w.a, TL_PACE_ACTIVE);
    pace(&w, &w.b, TL_PACE_ACTIVE);
    sim_run_for(w.s, TL_SEC + tl_rand_below(sim_rand(w.s), TL_SEC));
    tl_addr old = end_valid(&w.b)->remote;
    /* a's NAT forgets; b's stays, and lets in any port of a's address that b has asked */
    if (seed % 2) {
        tl_addr moved = sim_addr("203.0.113.200", 0);
        sim_nat_move(sim_site_nat(w.a.site), &moved);
    } else {
        sim_nat_reboot(sim_site_nat(w.a.site));
    }
    /* b filters by address and port: only what it asks gets in. What carried the traffic, and not a
     * check, tells b of the new address in life; here it is told. */
    tl_addr now_at = end_reflexive(&w, &w.a);
    sim_expect(!tl_addr_eq(&old, &now_at));
    tl_checks_probe(w.b.checks, END_SOCK4, &now_at, sim_now(w.s));
    sim_wake(w.b.host);
    sim_run_for(w.s, 500 * TL_MS);
    const tl_pair *p = tl_checks_find(w.b.checks, END_SOCK4, &now_at);
    sim_expect(p && p->state == TL_PAIR_VALID && p->kind == TL_CANDIDATE_PEER_REFLEXIVE);
    sim_expect(end_valid(&w.a)); /* to a, b is where it was */
    sim_run_for(w.s, 3 * TL_SEC);
    sim_expect(!w.a.lost && w.b.lost == 1); /* the old address */
    sim_expect(end_valid(&w.a) && end_valid(&w.b));
    checks_world_clear(&w);
}

static void a_process_that_stood_still_loses_nothing(uint64_t seed)
{
    checks_world w;
    begin(&w, seed, &cone, &plain);
    pace(&w, &w.a, TL_PACE_ACTIVE);
    sim_run_for(w.s, TL_SEC + tl_rand_below(sim_rand(w.s), TL_SEC));
    end_freeze(&w.a);
    sim_run_for(w.s, 110 * TL_SEC); /* netfilter's mapping of a flow with answers lives 120 s */
    end_thaw(&w, &w.a);
    sim_run_for(w.s, 3 * TL_SEC);
    sim_expect(!w.a.lost && end_valid(&w.a));
    sim_expect(end_valid(&w.a)->heard + TL_SEC > sim_now(w.s));

    /* ... and what is truly dead is noticed after the awakening, no later than ever. */
    end_freeze(&w.a);
    sim_link_set_down(sim_inet_core(w.in), true);
    sim_run_for(w.s, 30 * TL_SEC);
    end_thaw(&w, &w.a);
    uint64_t sent = tl_checks_counters_of(w.a.checks)->sent;
    sim_run_for(w.s, 100 * TL_MS);
    sim_expect(!w.a.lost);
    sim_expect(sim_run_while(w.s, a_lost, &w, TL_SEC));
    sim_expect(tl_checks_counters_of(w.a.checks)->sent >= sent + 3);
    checks_world_clear(&w);
}

/* A restart keeps the valid, and asks them; with new sockets, over these. */
static void a_restart_asks_everything_again(uint64_t seed)
{
    checks_world w;
    begin(&w, seed, &cone, &plain);
    const tl_pair *p = end_valid(&w.a);
    uint16_t id = p->id;
    unsigned answered = p->answered, valid = w.a.valid;
    tl_checks_restart(w.a.checks, END_SOCK4, END_SOCK6, sim_now(w.s));
    sim_wake(w.a.host);
    sim_run_for(w.s, 4 * TL_SEC);
    p = tl_checks_pair(w.a.checks, id);
    sim_expect(p->state == TL_PAIR_VALID && p->answered > answered);
    sim_expect(w.a.valid == valid && !w.a.lost && !w.a.done);

    sim_link_set_down(sim_inet_core(w.in), true);
    tl_checks_restart(w.a.checks, END_SOCK4, END_SOCK6, sim_now(w.s));
    sim_wake(w.a.host);
    sim_run_for(w.s, 4 * TL_SEC);
    sim_expect(w.a.lost == 1 && w.a.done == 1 && !end_valid(&w.a));
    checks_world_clear(&w);
}

static void a_restart_without_the_socket_loses_its_pairs(uint64_t seed)
{
    checks_world w;
    begin(&w, seed, &cone, &plain);
    tl_checks_restart(w.a.checks, 0, END_SOCK6, sim_now(w.s));
    sim_wake(w.a.host);
    uint64_t wrote = w.a.wrote;
    sim_run_for(w.s, 40 * TL_SEC);
    sim_expect(w.a.lost == 1 && w.a.done == 1 && w.a.wrote == wrote);
    tl_checks_restart(w.a.checks, END_SOCK4, END_SOCK6, sim_now(w.s));
    sim_wake(w.a.host);
    sim_run_for(w.s, TL_SEC);
    sim_expect(end_valid(&w.a) != NULL);
    checks_world_clear(&w);
}

/* It is asked every 5 s for a minute, then every 25 s. */
static void a_lost_path_is_asked_now_and_then(uint64_t seed)
{
    checks_world w;
    begin(&w, seed, &cone, &plain);
    pace(&w, &w.a, TL_PACE_ACTIVE);
    sim_link_set_down(sim_inet_core(w.in), true);
    sim_expect(sim_run_while(w.s, a_lost, &w, 5 * TL_SEC));
    uint64_t sent = tl_checks_counters_of(w.a.checks)->sent;
    sim_run_for(w.s, TL_MIN);
    uint64_t minute = tl_checks_counters_of(w.a.checks)->sent;
    sim_expect(minute - sent >= 11 && minute - sent <= 13);
    sim_run_for(w.s, 5 * TL_MIN);
    uint64_t later = tl_checks_counters_of(w.a.checks)->sent;
    sim_expect(later - minute >= 11 && later - minute <= 13);
    sim_expect(w.a.lost == 1);
    checks_world_clear(&w);
}

int main(void)
{
    sim_each_seed("a blackhole is noticed", 1, 200,
                  a_blackhole_under_traffic_is_noticed_within_800_ms);
    sim_each_seed("a slow path", 1, 50, a_slow_path_is_lost_after_two_seconds_at_most);
    sim_each_seed("four times a second", 1, 50, an_active_path_is_asked_four_times_a_second);
    sim_each_seed("a lossy path", 1, 100, a_lossy_path_is_not_taken_for_dead);
    sim_each_seed("keeping", 1, 50, keeping_outlives_the_mapping);
    sim_each_seed("resting", 1, 50, a_resting_path_is_not_asked_until_it_is_suspected);
    sim_each_seed("rebinding", 1, 200, rebinding_is_absorbed_within_half_a_second);
    sim_each_seed("standing still", 1, 100, a_process_that_stood_still_loses_nothing);
    sim_each_seed("restart", 1, 50, a_restart_asks_everything_again);
    sim_each_seed("restart without a socket", 1, 10, a_restart_without_the_socket_loses_its_pairs);
    sim_each_seed("a lost path", 1, 20, a_lost_path_is_asked_now_and_then);
    return sim_result();
}
