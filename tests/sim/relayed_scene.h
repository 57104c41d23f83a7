/* relayed_scene.h - nodes that are registered at one relay, each a fixed delay away from it. */
#ifndef TEALE_SIM_RELAYED_SCENE_H
#define TEALE_SIM_RELAYED_SCENE_H

#include "whole_node.h"

#define DELAY (20 * TL_MS) /* one way to the relay: a round trip of 40 ms */

typedef struct {
    sim *sim;
    relay_host *relay;
    size_t n;
    whole_node *nodes[12];
} scene;

/* `n` nodes, at most 12, a second after they began: all are registered. */
scene scene_new(uint64_t seed, size_t n);
void scene_free(scene *s);

/* The question ends as it should within `limit`. */
void assert_answered(sim *s, question_record *q, tl_time limit);
void assert_failed(sim *s, question_record *q, tl_fail fail, tl_time limit);

#endif
