/* checks_scene.h - two tl_checks of one session and a hand that carries (or alters, keeps, repeats)
 * what they write: for the tests of nat/checks. */
#ifndef TL_TESTS_CHECKS_SCENE_H
#define TL_TESTS_CHECKS_SCENE_H

#include "nat/checks.h"

#define SESSION "3F2504E0-4F89-41D3-9A0C-0305E82C3301"
#define T0      (1000 * TL_SEC)
#define SOCK4   7
#define SOCK6   8

typedef struct {
    tl_identity a_identity, b_identity;
    tl_rand rand;
    tl_checks *a, *b;
    tl_addr at_a, at_b; /* where they are */
    tl_time now;
} scene;

void scene_init(scene *s);
void scene_clear(scene *s);
tl_addr addr(const char *ip, uint16_t port);
/* Another session between the same two (`peer` NULL), or with another. */
tl_checks *scene_checks(scene *s, const tl_identity *self, const tl_identity *peer,
                        const char *session, uint32_t tag);

void add(scene *s, tl_checks *c, tl_candidate_kind kind, const tl_addr *a);
/* Feeds a datagram, if it is STUN at all. */
void give(scene *s, tl_checks *c, tl_sock sock, const tl_addr *from, const tl_checks_output *o);
void give_bytes(scene *s, tl_checks *c, tl_sock sock, const tl_addr *from, tl_slice bytes);
/* The next datagram `c` writes at s->now; fails the test if there is none. */
tl_checks_output take(scene *s, tl_checks *c);
void expect_silent(scene *s, tl_checks *c);
size_t drain(scene *s, tl_checks *c);
/* Time passes, timers run, what `c` writes is counted and thrown away. */
size_t pass(scene *s, tl_checks *c, tl_time span);
bool is_request(const tl_checks_output *o);
/* How many events of this type wait; all are taken. */
unsigned events_of(tl_checks *c, tl_checks_event_type type);
/* a has a valid pair to b; what b wrote beside its answer is thrown away. */
void make_valid(scene *s);
/* A genuine check of a's, not given to anyone. `a` knows b already. */
tl_checks_output a_check(scene *s);

#endif
