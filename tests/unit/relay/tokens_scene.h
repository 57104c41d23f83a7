/* tokens_scene.h - a table of tokens with one socket and one pair of sides, for the tests of
 * relay/tokens. */
#ifndef TL_TESTS_TOKENS_SCENE_H
#define TL_TESTS_TOKENS_SCENE_H

#include "relay/signed.h"
#include "relay/tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WALL 1790000000

/* A table with one socket, a pair of sides, and the users A and B of their streams. */
typedef struct {
    tl_relay_tokens *t;
    tl_rand rand;
    tl_tokens_pair pair;
    tl_identity id[2];
    int users[2];
    tl_limit limits[2];
    tl_time now;
} scene;

enum { A, B };

#define PA "198.18.0.10:1000"
#define PB "198.18.0.11:2000"
#define PX "198.18.0.66:6666"

tl_addr addr_of(const char *text);
tl_burst_way from(const char *remote);
void begin_with(scene *s, const tl_tokens_config *config, bool limited);
const tl_tokens_config *one_socket(void);
void begin(scene *s);
void end(scene *s);
uint64_t dropped(const scene *s, tl_tokens_drop why);
tl_slice packet(const scene *s, int side, size_t n);
tl_tokens_verdict by_udp(scene *s, const char *remote, tl_slice p, const char *ret_to[1]);
tl_tokens_verdict by_stream(scene *s, int user, tl_slice p);

#endif
