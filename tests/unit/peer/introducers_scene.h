/* introducers_scene.h - nodes that introduce, and peer/introducers of one that uses them. Each answers its Attaches a
 * moment later, unless it is silent. No socket, virtual time. */
#ifndef TL_TESTS_INTRODUCERS_SCENE_H
#define TL_TESTS_INTRODUCERS_SCENE_H

#include "peer/attach.h"
#include "peer/introducers.h"
#include "relay/signed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NODES 12
#define WALL  1750000000

/* A node that introduces, which answers or not. */
typedef struct {
    tl_identity identity;
    tl_addr addr;
    bool silent, asks_for_proof, asks_unsigned;
    unsigned attaches, intros;
    tl_control last_intro, last_attach;
} introducer;

extern tl_rand rng;
extern tl_identity own;
extern tl_peer_table table;
extern tl_introducers *it;
extern introducer nodes[NODES];
extern tl_time now_at;
extern unsigned changed, strays;
extern tl_direct_self self;
extern tl_nat_facts facts;
extern tl_addr relay_addr, seen_as;
extern const uint8_t scene_mark[TL_CONTROL_NONCE_SIZE]; /* told by nodes that ask for a proof */

extern int trusted; /* index of the one that this node has a reason to trust; -1: none */

void run_for(tl_time span);
tl_addr addr_of(const char *text);
tl_relayer_name name_of(int i);
int introducers_setup(void **state);
int introducers_teardown(void **state);
/* To how many is this node attached? */
size_t attached(void);
/* The setting: `count` nodes from there. */
void give(int from, int count);
/* What a peer says of itself over its connection. */
tl_peer *peer_says(int i, const char *capabilities);

#define TEST(f) cmocka_unit_test_setup_teardown(f, introducers_setup, introducers_teardown)

#endif
