/* quic_world.h - the smallest world: a dials b over one link, which calls itself PATH_A and PATH_B.
 */
#ifndef TEALE_SIM_QUIC_WORLD_H
#define TEALE_SIM_QUIC_WORLD_H

#include "quic_node.h"

#define DELAY  (10 * TL_MS) /* one way */
#define PATH_A 1
#define PATH_B 7

typedef struct {
    sim *s;
    quic_node *a, *b;
    sim_link *link;
} world;

/* NULL: the default configuration. */
world world_new(const tl_quic_config *config_a, const tl_quic_config *config_b);
void world_free(world *w);
/* Both ends connected; aborts when that takes a second. */
void world_connect(world *w);
const tl_quic_counters *counters(const quic_node *n);
/* The one stream there was; aborts when there was another number. */
quic_job *only_job(const quic_node *n);

#endif
