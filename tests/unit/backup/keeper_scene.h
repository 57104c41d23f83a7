/* keeper_scene.h - a node's keeper, whose disk and DHT the test answers for. */
#ifndef TL_TEST_KEEPER_SCENE_H
#define TL_TEST_KEEPER_SCENE_H

#include "backup/keeper.h"

#define WALL 1795000000

typedef struct {
    tl_env env;
    tl_rand rand;
    tl_keeper *k;
    tl_time now;
    tl_unix wall_ahead;
    unsigned copies, saves, looks, published, withdrawn;
    bool copying, saving, looking;
    tl_recovery_row saved;
    tl_dht_item item;
} node;

extern const uint8_t root[TL_RECOVERY_KEY];

node *node_new(uint64_t seed);
void node_free(node *n);
tl_unix wall_of(void *user);
void run_for(node *n, tl_time span);
void answer_save(node *n);
void answer_look(node *n, const tl_dht_item *found);
void answer_copy(node *n);
/* The fragments are at one node, which `seed` makes. */
void place(node *n, uint8_t seed);
/* Answers all that is asked, with `found` for the DHT. */
void answer_all(node *n, const tl_dht_item *found);
/* A node whose backup is made and placed. */
node *kept_node(uint64_t seed);

#endif
