/* Nodes whose relay, connections and processes come and go at random while they ask each other:
 * every question ends, nothing is left over, and afterwards everything works. */
#include "whole_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES     4
#define QUESTIONS 60

typedef struct {
    sim *sim;
    relay_host *relay;
    whole_node *nodes[NODES];
    question_record questions[QUESTIONS];
    whole_node *askers[QUESTIONS];
    size_t n;
} scene;

static uint64_t below(scene *s, uint64_t n)
{
    return tl_rand_below(sim_rand(s->sim), n);
}

static void ask_something(scene *s)
{
    if (s->n == QUESTIONS)
        return;
    size_t i = s->n++;
    s->askers[i] = s->nodes[below(s, NODES)];
    whole_node_ask(s->askers[i], &s->questions[i], below(s, 4) ? "m" : TL_MODEL_AUTO,
                   "{\"model\":\"teale-auto\"}");
}

static void meddle_with_a_question(scene *s)
{
    if (!s->n)
        return;
    question_record *q = &s->questions[below(s, s->n)];
    if (!q->exchange)
        return;
    switch (below(s, 3)) {
    case 0:
        tl_exchange_cancel(q->exchange);
        q->exchange = NULL;
        q->ended = true; /* by us */
        break;
    case 1: tl_exchange_set_paused(q->exchange, true); break;
    case 2: tl_exchange_set_paused(q->exchange, false); break;
    }
}

/* A node's own questions die with its process. */
static void restart(scene *s, whole_node *n)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->askers[i] == n && s->questions[i].exchange) {
            tl_exchange_cancel(s->questions[i].exchange);
            s->questions[i].exchange = NULL;
            s->questions[i].ended = true;
        }
    whole_node_restart(n);
}

static void restart_relay(scene *s)
{
    relay_host_restart(s->relay);
    for (size_t i = 0; i < NODES; i++)
        whole_node_disconnect(s->nodes[i]);
}

static void something_happens(scene *s)
{
    whole_node *n = s->nodes[below(s, NODES)];
    switch (below(s, 12)) {
    case 0: restart_relay(s); break;
    case 1: restart(s, n); break;
    case 2:
    case 3: whole_node_disconnect(n); break;
    case 4:
    case 5:
    case 6:
        if (!n->connected)
            whole_node_connect(n);
        break;
    case 7: n->fail_with = below(s, 2) ? TL_FAIL_COUNT : TL_FAIL_BACKEND_ERROR; break;
    case 8:
        n->hold = !n->hold;
        sim_wake(n->host);
        break;
    case 9: meddle_with_a_question(s); break;
    default: ask_something(s); break;
    }
}

static void settle(scene *s)
{
    for (size_t i = 0; i < NODES; i++) {
        whole_node *n = s->nodes[i];
        n->fail_with = TL_FAIL_COUNT;
        n->hold = false;
        if (!n->connected)
            whole_node_connect(n);
    }
    for (size_t i = 0; i < s->n; i++)
        if (s->questions[i].exchange)
            tl_exchange_set_paused(s->questions[i].exchange, false);
    for (int i = 0; i < 4; i++) { /* longer than any time limit */
        sim_run_for(s->sim, 100 * TL_SEC);
        for (size_t k = 0; k < NODES; k++)
            whole_node_ping(s->nodes[k]);
    }
}

static void check_everything(scene *s)
{
    for (size_t i = 0; i < s->n; i++)
        sim_expect(question_is_over(&s->questions[i]));
    for (size_t i = 0; i < NODES; i++) {
        sim_expect(whole_node_jobs(s->nodes[i]) == 0);
        sim_expect(tl_server_running(s->nodes[i]->server) == 0);
        sim_expect(tl_router_running(s->nodes[i]->router) == 0);
    }
    /* One connection a pair, hence one session a pair; none half open. */
    const tl_relay_counters *c = tl_relay_counters_of(s->relay->relay);
    sim_expect(c->sessions_active <= NODES * (NODES - 1) / 2);
    sim_expect(c->sessions_opening == 0);
    for (size_t i = 0; i < NODES; i++) {
        question_record q = {0};
        whole_node *peer = s->nodes[(i + 1) % NODES];
        whole_node_ask_peer(s->nodes[i], &q, peer, "m");
        /* an answer alone may take 200 pieces of 99 ms */
        sim_expect(sim_run_while(s->sim, question_is_over, &q, 40 * TL_SEC));
        if (q.failed)
            fprintf(stderr, "node %zu: %s: %s\n", i, tl_fail_name(q.fail), q.why);
        sim_expect(q.ended);
        sim_expect(q.bytes > 0);
        question_clear(&q);
    }
}

static void run(uint64_t seed)
{
    static scene s;
    memset(&s, 0, sizeof s);
    s.sim = sim_new(seed);
    s.relay = relay_host_new(s.sim);
    for (size_t i = 0; i < NODES; i++) {
        s.nodes[i] = whole_node_new(s.sim, s.relay, (1 + below(&s, 60)) * TL_MS);
        s.nodes[i]->pieces = 1 + below(&s, 200);
        s.nodes[i]->piece_size = 1 + below(&s, 20000);
        s.nodes[i]->piece_every = below(&s, 100) * TL_MS;
        whole_node_connect(s.nodes[i]);
        whole_node_serve(s.nodes[i], "m");
    }
    for (int i = 0; i < 150; i++) {
        sim_run_for(s.sim, below(&s, 1500) * TL_MS);
        something_happens(&s);
    }
    settle(&s);
    check_everything(&s);
    for (size_t i = 0; i < s.n; i++)
        question_clear(&s.questions[i]);
    for (size_t i = 0; i < NODES; i++)
        whole_node_free(s.nodes[i]);
    relay_host_free(s.relay);
    sim_free(s.sim);
}

int main(void)
{
    if (tl_crypto_init())
        return 1;
    sim_each_seed("whole nodes in chaos", 1, 12, run);
    return sim_result();
}
