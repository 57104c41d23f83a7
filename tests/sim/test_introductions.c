/* Two nodes behind NATs that know no relay, and two public nodes that introduce: one of them dies while it is asked. What
 * is lost, comes twice, or overtakes (up to a fifth) costs time, and no connection; no datagram of an introduction
 * makes another one longer, and none goes where nothing may. */
#include "nats_world.h"
#include "whole_introducing.h"

#include <stdio.h>
#include <string.h>

#define LASTS  (2 * TL_SEC)
#define CHECKS 5             /* at an address that does not answer (nat/checks.h) */
#define WITHIN (15 * TL_SEC) /* all is over by then, also where a fifth is lost */

static const sim_nat_kind cone = {.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                                  .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};

typedef struct {
    nats_world w;
    whole_node *by[2];
    sim_link *line[2];
    sim_faults core;
    tl_time began;
} scene;

static unsigned asked, met, met_later;
static tl_time longest;

static void add_introducer(scene *s, int i)
{
    static const sim_faults line = {.delay = NATS_ONE_WAY};
    whole_node *n = s->by[i] = whole_node_new(s->w.sim, s->w.relay, NATS_ONE_WAY);
    n->no_relay = true;
    s->line[i] = whole_net_join(&n->net, s->w.in, WHOLE_NET_PATH, NULL,
                                i ? "198.51.100.91" : "198.51.100.90", 24, &line);
    whole_introducing_start(n);
}

static bool is_attached(void *user)
{
    const scene *s = user;
    return whole_introducing_is_attached(s->w.node[1], s->by[0]) &&
           whole_introducing_is_attached(s->w.node[1], s->by[1]);
}

/* The second node is attached to both; the first knows what the second has published. */
static void begin(scene *s, uint64_t seed, double bad)
{
    *s = (scene){.core = {.delay = NATS_ONE_WAY,
                          .jitter = bad > 0 ? 3 * NATS_ONE_WAY : 0,
                          .loss = bad,
                          .duplicate = bad}};
    nats_pair(&s->w, seed, &cone, &cone, NULL);
    s->began = sim_now(s->w.sim);
    for (int i = 0; i < 2; i++)
        add_introducer(s, i);
    sim_run_for(s->w.sim, 3 * TL_SEC); /* what the NATs do is known */
    tl_relayer_name names[2] = {whole_introducing_name(s->by[0]), whole_introducing_name(s->by[1])};
    for (int i = 0; i < 2; i++)
        s->w.node[i]->no_relay = true;
    tl_introducers_give(tl_peers_introducers(s->w.node[1]->peers), names, 2);
    sim_link_set_faults(sim_inet_core(s->w.in), &s->core);
    sim_expect(sim_run_while(s->w.sim, is_attached, s, 60 * TL_SEC));
    tl_whereabouts where = {.nat = TL_CONTROL_NAT_CONE, .n_introducers = 2};
    where.introducers[0] = names[0];
    where.introducers[1] = names[1];
    tl_introducers_know(tl_peers_introducers(s->w.node[0]->peers), &s->w.node[1]->identity.id,
                        &where);
    whole_node_serve(s->w.node[1], "m");
}

static void end(scene *s)
{
    for (int i = 0; i < 2; i++)
        whole_node_free(s->by[i]);
    nats_end(&s->w);
}

static bool is_answered(void *user)
{
    const scene *s = user;
    return s->w.q.ended || s->w.q.failed;
}

/* The formulas of peer/introducers.h; and to an address from which nothing came goes what checks may cost, for each
 * introduction (nat/checks.h). */
static void check_sending(const scene *s, int i)
{
    const whole_net *net = &s->w.node[i]->net;
    const tl_introducers_counters *c =
        tl_introducers_counters_of(tl_peers_introducers(s->w.node[i]->peers));
    uint64_t tries = tl_direct_counters_of(s->w.node[0]->direct)->intros_out;
    sim_expect(net->forbidden == 0);
    sim_expect(c->intros <= TL_INTRODUCTION_ASKED * tries);
    sim_expect(c->intros + c->attaches <= 32 + 16 * (sim_now(s->w.sim) - s->began) / TL_SEC);
    for (size_t k = 0; k < net->n_tallies; k++) {
        const whole_net_tally *t = &net->tallies[k];
        if (!tl_addr_eq(&t->to, &s->by[0]->introducing->addr) &&
            !tl_addr_eq(&t->to, &s->by[1]->introducing->addr))
            sim_expect(t->unheard <= TL_CHECKS_UNHEARD_MAX * tries);
    }
}

static void ask(scene *s, tl_time dies)
{
    question_clear(&s->w.q);
    s->w.q = (question_record){.exchange = NULL};
    nats_ask(&s->w, LASTS);
    if (dies) {
        sim_run_for(s->w.sim, dies);
        sim_link_set_down(s->line[0], true);
    }
    (void)sim_run_while(s->w.sim, is_answered, s, WITHIN + LASTS);
}

/* Asks, and kills the first introducer after `dies`; 0: nobody dies. Where datagrams are lost, all four tries of
 * an attempt may be: then the question fails with that reason, and the next one has an attempt of its own. */
static void meet(scene *s, tl_time dies)
{
    tl_time began = sim_now(s->w.sim);
    ask(s, dies);
    tl_time took = sim_now(s->w.sim) - began - LASTS;
    asked++;
    met += s->w.q.ended;
    for (int i = 0; i < 3 && s->w.q.failed && s->core.loss > 0; i++) {
        sim_expect(s->w.q.fail == TL_FAIL_PEER_FAILED && strstr(s->w.q.why, "no direct path"));
        sim_run_for(s->w.sim, TL_DIRECT_AGAIN_FIRST << i);
        ask(s, 0);
        met_later += s->w.q.ended;
    }
    if (!s->w.q.ended)
        printf("%s; ", s->w.q.failed ? s->w.q.why : "no answer in time");
    sim_expect(s->w.q.ended && !s->w.q.altered);
    longest = tl_time_max(longest, took);
    for (int i = 0; i < 2; i++) {
        check_sending(s, i);
        sim_expect(nats_via(&s->w) != TL_VIA_RELAYED);
    }
    const tl_direct_report r = nats_report(&s->w, 0);
    sim_expect(r.introduced);
}

static void without_faults_they_meet_in_one_and_a_half_round_trips(uint64_t seed)
{
    scene s;
    begin(&s, seed, 0);
    nats_ask(&s.w, LASTS);
    tl_time began = sim_now(s.w.sim);
    sim_expect(nats_until_direct(&s.w, WITHIN));
    /* A to I to B and back to A: of four lines and two cores each way; the checks follow. */
    tl_time rtt = 2 * 3 * NATS_ONE_WAY;
    sim_expect(sim_now(s.w.sim) - began <= 5 * rtt);
    end(&s);
}

static void faults_of_up_to_a_fifth_cost_time_and_no_connection(uint64_t seed)
{
    scene s;
    begin(&s, seed, (double)(seed % 5) * 0.05);
    meet(&s, 0);
    end(&s);
}

static void an_introducer_that_dies_midway_is_replaced_by_the_other(uint64_t seed)
{
    scene s;
    begin(&s, seed, (double)(seed % 5) * 0.05);
    meet(&s, 1 + tl_rand_below(sim_rand(s.w.sim), 10 * NATS_ONE_WAY));
    end(&s);
}

static void one_that_is_dead_from_the_beginning_costs_a_second_try(uint64_t seed)
{
    scene s;
    begin(&s, seed, (double)(seed % 5) * 0.05);
    sim_link_set_down(s.line[0], true);
    meet(&s, 0);
    end(&s);
}

int main(void)
{
    if (tl_crypto_init())
        return 1;
    sim_each_seed("without faults they meet in one and a half round trips", 1, 1,
                  without_faults_they_meet_in_one_and_a_half_round_trips);
    sim_each_seed("faults of up to a fifth cost time and no connection", 1, 40,
                  faults_of_up_to_a_fifth_cost_time_and_no_connection);
    sim_each_seed("an introducer that dies midway is replaced by the other", 1, 40,
                  an_introducer_that_dies_midway_is_replaced_by_the_other);
    sim_each_seed("one that is dead from the beginning costs a second try", 1, 20,
                  one_that_is_dead_from_the_beginning_costs_a_second_try);
    printf("of %u %u met at once, %u at a later question; the slowest of an attempt took %.1f s\n",
           asked, met, met_later, (double)longest / (double)TL_SEC);
    sim_expect(met + met_later == asked && met >= asked - asked / 8);
    return sim_result();
}
