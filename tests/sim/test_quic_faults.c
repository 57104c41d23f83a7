/* Thousands of small worlds: two nodes, a bad link between them, some streams; every byte must come
 * back right, whatever the link does. */
#include "quic_node.h"

#include <stdlib.h>

static double up_to(sim *s, double most)
{
    return most * (double)tl_rand_below(sim_rand(s), 1000) / 1000;
}

static sim_faults random_faults(sim *s)
{
    sim_faults f = {.delay = tl_rand_below(sim_rand(s), 60 * TL_MS)};
    switch (tl_rand_below(sim_rand(s), 4)) {
    case 0: break; /* a good link */
    case 1: f.loss = up_to(s, 0.1); break;
    case 2:
        f.jitter = 1 + tl_rand_below(sim_rand(s), 20 * TL_MS);
        f.duplicate = up_to(s, 0.2);
        break;
    default:
        f.loss = up_to(s, 0.1);
        f.jitter = 1 + tl_rand_below(sim_rand(s), 20 * TL_MS);
        f.duplicate = up_to(s, 0.1);
        f.alter = up_to(s, 0.1);
        f.replay = up_to(s, 0.2);
    }
    return f;
}

static void streams_survive_a_bad_link(uint64_t seed)
{
    sim *s = sim_new(seed);
    tl_quic_config config = quic_node_config();
    config.handshake_timeout = 60 * TL_SEC;
    if (tl_rand_below(sim_rand(s), 2))
        config.suites = 1u << TL_SUITE_CHACHA20_POLY1305;
    quic_node *a = quic_node_new(s, &config), *b = quic_node_new(s, &config);
    sim_faults f = random_faults(s);
    sim_link_new(s, a->host, 3, b->host, 9, &f);

    sim_expect(quic_node_dial(a, b, 3) != NULL);
    sim_expect(sim_run_while(s, quic_node_is_connected, a, 60 * TL_SEC));
    unsigned streams = 1 + (unsigned)tl_rand_below(sim_rand(s), 6);
    for (unsigned i = 0; i < streams; i++)
        sim_expect(quic_node_send(a, quic_node_conn(a), tl_rand_below(sim_rand(s), 30000)));
    sim_expect(sim_run_while(s, quic_node_all_done, a, 300 * TL_SEC));
    sim_expect(a->connected == 1 && b->connected == 1 && a->closed == 0 && b->closed == 0);
    sim_expect(tl_node_id_eq(&b->connected_peer, &a->identity.id));

    quic_node_free(a);
    quic_node_free(b);
    sim_free(s);
}

int main(void)
{
    sim_each_seed("streams survive a bad link", 1, 2000, streams_survive_a_bad_link);
    return sim_result();
}
