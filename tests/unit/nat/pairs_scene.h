/* pairs_scene.h - the pairs of one session without the session: no messages, each function called by
 * the test itself. For the tests of nat/checks_pairs. */
#ifndef TL_TESTS_PAIRS_SCENE_H
#define TL_TESTS_PAIRS_SCENE_H

#include "nat/checks_state.h"

#define T0   (1000 * TL_SEC)
#define SOCK 7

extern tl_checks *c;

int pairs_setup(void **state);
int pairs_teardown(void **state);

tl_addr at_port(unsigned port);
size_t add(tl_candidate_kind kind, unsigned port);
size_t add_candidate(void);
size_t add_learned(void);
void ask(size_t i, uint64_t id, tl_time now);
void answer(size_t i, tl_time asked_at, tl_time now);
/* Asked at T0 and answered; no confirming check is to come. */
size_t add_valid(tl_candidate_kind kind, unsigned port, tl_time rtt);
tl_pair_state state_of(size_t i);
/* A valid pair, silent since T0, is found lost. */
void lose(size_t i, tl_time at);

#endif
