#include "quic_world.h"

#include <stdio.h>
#include <stdlib.h>

world world_new(const tl_quic_config *config_a, const tl_quic_config *config_b)
{
    world w = {.s = sim_new(sim_seed(1))};
    sim_faults f = {.delay = DELAY};
    w.a = quic_node_new(w.s, config_a);
    w.b = quic_node_new(w.s, config_b);
    w.link = sim_link_new(w.s, w.a->host, PATH_A, w.b->host, PATH_B, &f);
    return w;
}

void world_free(world *w)
{
    quic_node_free(w->a);
    quic_node_free(w->b);
    sim_free(w->s);
}

void world_connect(world *w)
{
    unsigned before = w->b->connected;
    /* where packets are lost, the handshake may need its second and third probe */
    tl_time end = sim_now(w->s) + 10 * TL_SEC;
    bool going = quic_node_dial(w->a, w->b, PATH_A) != NULL;
    while (going && w->b->connected == before)
        going = sim_step(w->s) && sim_now(w->s) < end;
    if (!going) {
        fprintf(stderr, "world_connect: no connection\n");
        abort();
    }
}

const tl_quic_counters *counters(const quic_node *n)
{
    return tl_quic_counters_of(n->quic);
}

quic_job *only_job(const quic_node *n)
{
    if (!n->jobs || n->jobs->next) {
        fprintf(stderr, "only_job: none, or several\n");
        abort();
    }
    return n->jobs;
}
