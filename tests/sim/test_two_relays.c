/* Two nodes that are both at two relays. What happens to one of these under a running answer costs the
 * answer no byte, and at most GAP of silence. */
#include "whole_node.h"

#include <stdio.h>
#include <string.h>

#define GAP          (3 * TL_SEC)
#define PIECES       1500 /* of an answer, 4 ms each: 6 s */
/* What two nodes may have of a relay that has limits here: for such an answer they must move more than
 * once. */
#define SESSION_MAX  (5 * TL_SEC)
#define SESSION_WARN (3 * TL_SEC)

typedef struct {
    sim *sim;
    relay_host *relay[2];
    whole_node *node[2]; /* asker, provider */
    unsigned pieces;
    question_record q;
} world;

static void set_limits(relay_host *r)
{
    r->limits = tl_relay_limits_default();
    r->limits.on = true;
    r->limits.bootstrap_kbps = 100000; /* time alone is short */
    r->limits.session_max = SESSION_MAX;
    r->limits.session_warn = SESSION_WARN;
    r->limits.pause = 1 * TL_SEC;
    relay_host_restart(r);
}

static void begin_with(world *w, uint64_t seed, bool limits, unsigned pieces)
{
    *w = (world){.sim = sim_new(seed), .pieces = pieces};
    for (int i = 0; i < 2; i++)
        w->relay[i] = relay_host_new(w->sim);
    for (int i = 0; limits && i < 2; i++)
        set_limits(w->relay[i]);
    for (int i = 0; i < 2; i++) {
        tl_time near = 2 + tl_rand_below(sim_rand(w->sim), 40);
        w->node[i] = whole_node_new(w->sim, w->relay[0], near * TL_MS);
        whole_second_join(w->node[i], w->relay[1],
                          (2 + tl_rand_below(sim_rand(w->sim), 40)) * TL_MS);
        whole_node_connect(w->node[i]);
        whole_second_connect(w->node[i]);
    }
    whole_node *provider = w->node[1];
    provider->pieces = pieces;
    provider->piece_size = 400;
    provider->piece_every = 4 * TL_MS;
    whole_node_serve(provider, "m");
    sim_run_for(w->sim, 1 * TL_SEC);
    w->q.patterned = true;
    whole_node_ask(w->node[0], &w->q, "m", "{\"model\":\"m\"}");
    sim_run_for(w->sim, 500 * TL_MS + tl_rand_below(sim_rand(w->sim), 3000) * TL_MS);
    sim_expect(w->q.bytes > 0 && !question_is_over(&w->q));
}

static void begin(world *w, uint64_t seed)
{
    begin_with(w, seed, false, PIECES);
}

/* The relay that carries the answer. */
static size_t carries(const world *w)
{
    tl_peer_facts facts;
    const tl_peer *p = tl_peer_table_find(&w->node[0]->table, &w->node[1]->identity.id);
    sim_expect(p && tl_peers_facts(w->node[0]->peers, p, &facts) && facts.relay < 2);
    return facts.relay;
}

static tl_time longest;

static void end(world *w, tl_time gap, bool answered)
{
    sim_expect(sim_run_while(w->sim, question_is_over, &w->q, 60 * TL_SEC));
    if (answered) {
        if (!w->q.ended)
            printf("%s: %s\n", tl_fail_name(w->q.fail), w->q.why);
        sim_expect(w->q.ended && !w->q.altered);
        sim_expect(w->q.bytes == (uint64_t)w->pieces * 400);
        sim_expect(w->q.longest_gap <= gap);
        longest = tl_time_max(longest, w->q.longest_gap);
    } else {
        sim_expect(w->q.failed);
    }
    question_clear(&w->q);
    for (int i = 0; i < 2; i++)
        whole_node_free(w->node[i]);
    for (int i = 0; i < 2; i++)
        relay_host_free(w->relay[i]);
    sim_free(w->sim);
}

/* The connection of a node to a relay ends, as when the relay's process dies. */
static void disconnect(world *w, int node, size_t relay)
{
    if (relay)
        whole_second_disconnect(w->node[node]);
    else
        whole_node_disconnect(w->node[node]);
}

static void connect_again(world *w, int node, size_t relay)
{
    if (relay)
        whole_second_connect(w->node[node]);
    else
        whole_node_connect(w->node[node]);
}

/* Nothing passes between a node and a relay any more, and nobody is told. */
static void cut(world *w, int node, size_t relay)
{
    relay_host_conn *c = relay ? w->node[node]->second->conn : w->node[node]->uplink;
    sim_link_set_down(c->link, true);
}

static void a_relay_that_dies_is_left(uint64_t seed)
{
    world w;
    begin(&w, seed);
    size_t victim = carries(&w);
    for (int i = 0; i < 2; i++)
        disconnect(&w, i, victim);
    sim_run_for(w.sim, GAP);
    sim_expect(carries(&w) == 1 - victim);
    end(&w, GAP, true);
}

static void each_relay_may_die_in_turn(uint64_t seed)
{
    world w;
    begin(&w, seed);
    for (int turn = 0; turn < 2; turn++) {
        size_t victim = carries(&w);
        for (int i = 0; i < 2; i++)
            disconnect(&w, i, victim);
        sim_run_for(w.sim, 600 * TL_MS);
        sim_expect(carries(&w) == 1 - victim);
        for (int i = 0; i < 2; i++)
            connect_again(&w, i, victim);
        sim_run_for(w.sim, 400 * TL_MS);
    }
    end(&w, GAP, true);
}

static void a_relay_that_falls_silent_is_left(uint64_t seed)
{
    world w;
    begin(&w, seed);
    size_t victim = carries(&w);
    int who = (int)tl_rand_below(sim_rand(w.sim), 3); /* of the asker, of the provider, of both */
    for (int i = 0; i < 2; i++)
        if (who == i || who == 2)
            cut(&w, i, victim);
    sim_run_for(w.sim, GAP);
    sim_expect(carries(&w) == 1 - victim);
    sim_expect(w.node[0]->doubts > 0);
    end(&w, GAP, true);
}

static void a_relay_that_is_slow_is_no_dead_one(uint64_t seed)
{
    world w;
    begin(&w, seed);
    size_t slow = carries(&w);
    for (int i = 0; i < 2; i++) {
        relay_host_conn *c = slow ? w.node[i]->second->conn : w.node[i]->uplink;
        sim_faults faults = {.delay = 300 * TL_MS};
        sim_link_set_faults(c->link, &faults);
    }
    sim_run_for(w.sim, GAP);
    sim_expect(w.node[0]->doubts == 0 && carries(&w) == slow);
    end(&w, GAP, true);
}

static void who_says_goodbye_is_left_before_it_goes(uint64_t seed)
{
    world w;
    begin(&w, seed);
    size_t leaving = carries(&w);
    tl_relay_say_goodbye(w.relay[leaving]->relay, 2, sim_now(w.sim));
    sim_wake(w.relay[leaving]->host);
    sim_run_for(w.sim, 500 * TL_MS);
    sim_expect(w.node[0]->goodbyes == 1 && w.node[1]->goodbyes == 1);
    sim_expect(carries(&w) == 1 - leaving);
    sim_run_for(w.sim, 2500 * TL_MS); /* nothing is kept there: the relay may go */
    for (int i = 0; i < 2; i++)
        sim_expect(tl_relay_link_sessions(tl_relays_link(w.node[i]->relays, leaving)) == 0);
    for (int i = 0; i < 2; i++)
        disconnect(&w, i, leaving);
    end(&w, 200 * TL_MS, true);
}

static uint64_t timed_out(const world *w)
{
    return tl_relay_counters_of(w->relay[0]->relay)->sessions_timed_out +
           tl_relay_counters_of(w->relay[1]->relay)->sessions_timed_out;
}

static uint64_t moves(const world *w)
{
    return tl_peers_counters_of(w->node[0]->peers)->relays_changed;
}

static void who_warns_that_a_session_ends_is_left_before_it_does(uint64_t seed)
{
    world w;
    begin_with(&w, seed, true, PIECES);
    sim_expect(sim_run_while(w.sim, question_is_over, &w.q, 60 * TL_SEC));
    sim_expect(moves(&w) >= 2);
    sim_expect(timed_out(&w) == 0); /* nothing was kept there until its end */
    sim_expect(w.node[0]->doubts == 0);
    end(&w, 200 * TL_MS, true);
}

/* The twin: with one relay the session ends under the answer. */
static void without_another_relay_the_session_ends_under_the_answer(uint64_t seed)
{
    world w;
    begin_with(&w, seed, true, 2 * PIECES);
    size_t other = 1 - carries(&w);
    uint64_t before = moves(&w); /* the first warning may have come already */
    for (int i = 0; i < 2; i++)
        disconnect(&w, i, other);
    sim_expect(sim_run_while(w.sim, question_is_over, &w.q, 60 * TL_SEC));
    sim_expect(moves(&w) == before);
    sim_expect(timed_out(&w) > 0);
    end(&w, 60 * TL_SEC, w.q.ended);
}

/* The twin: what no second relay can help. */
static void without_any_relay_the_answer_fails(uint64_t seed)
{
    world w;
    begin(&w, seed);
    for (int i = 0; i < 2; i++)
        for (size_t relay = 0; relay < 2; relay++)
            disconnect(&w, i, relay);
    end(&w, GAP, false);
}

static void run(const char *name, unsigned count, void (*each)(uint64_t seed))
{
    longest = 0;
    sim_each_seed(name, 1, count, each);
    printf("    the longest silence: %u ms\n", (unsigned)(longest / TL_MS));
}
#define RUN(f, count) run(#f, count, f)

int main(void)
{
    if (tl_crypto_init())
        return 1;
    RUN(a_relay_that_dies_is_left, 100);
    RUN(each_relay_may_die_in_turn, 100);
    RUN(a_relay_that_falls_silent_is_left, 200);
    RUN(a_relay_that_is_slow_is_no_dead_one, 100);
    RUN(who_says_goodbye_is_left_before_it_goes, 200);
    RUN(who_warns_that_a_session_ends_is_left_before_it_does, 200);
    RUN(without_another_relay_the_session_ends_under_the_answer, 20);
    RUN(without_any_relay_the_answer_fails, 20);
    return sim_result();
}
