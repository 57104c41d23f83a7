/* introduced_scene.h - introductions at direct/direct: two machines face to face, and an introducer between them
 * that is two lines of introduced_scene.c. What is sent reaches the other after a while, unless the wire is cut. No
 * socket, virtual time. */
#ifndef TL_TESTS_INTRODUCED_SCENE_H
#define TL_TESTS_INTRODUCED_SCENE_H

#include "direct/direct.h"
#include "relay/signed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define QUEUE_N 256

enum { A, B, ENDS };

typedef struct {
    int to; /* ENDS: the introducer */
    uint8_t bytes[1500];
    size_t n;
    tl_addr source;
} parcel;

typedef struct {
    tl_identity identity;
    tl_rand rand;
    tl_direct *direct;
    tl_addr addr;
    tl_direct_self self;
    tl_nat_facts facts;
    unsigned asked;  /* how often it asked to be introduced */
    bool alone;      /* nobody can be asked */
    bool introduces; /* the other is attached to it */
    tl_path_id next_path;
} end;

extern end ends[ENDS];
extern tl_identity introducer;
extern tl_identity introducer2;
extern tl_addr dave;          /* where a second introducer is */
extern tl_addr carol, victim; /* where the introducer is; nobody */
extern parcel queue[QUEUE_N]; /* on its way */
extern size_t queued, to_victim, bytes_to_victim, to_dave;
extern tl_time now;
extern bool wire_cut, carol_gone, refuse, greet;
extern const tl_node_id *known; /* a node that each knows; NULL: none */
extern const tl_addr *proven;   /* who is there has proven it; NULL: nobody */
extern tl_control last_intro;   /* that passed the introducer */

int introduced_setup(void **state);
int introduced_teardown(void **state);
tl_addr addr_of(const char *text);
tl_unix env_wall(void *user);

/* Everything that is on its way arrives. */
void deliver(void);
void run_for(tl_time span);
void want(int i);
size_t ways(int i);
tl_direct_state state_of(int i);
/* What became of PunchRequests and PunchReadys at that end. */
uint64_t requests(int i, tl_direct_intro_result result);
uint64_t readies(int i, tl_direct_intro_result result);

void sign(tl_control *c, const tl_identity *signer);
tl_control intro_of(const end *from, const uint8_t *introducer_key, const tl_node_id *target,
                    const uint8_t *nonce);
/* A new PunchRequest of A for B. */
tl_control request(void);
/* Given to that end, as from there. Returns what became of it. */
tl_direct_intro_result give(int to, const tl_addr *from, const tl_control *c);

#endif
