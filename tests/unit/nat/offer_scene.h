/* offer_scene.h - three nodes whose offers and candidates are made, altered, signed again and read:
 * for the tests of nat/offer. */
#ifndef TL_TESTS_OFFER_SCENE_H
#define TL_TESTS_OFFER_SCENE_H

#include "nat/offer.h"

#include <stdio.h>

#define WALL    INT64_C(1700000000)
#define SESSION "0f8fad5b-d9cb-469f-a165-70867728950e"

/* Alice writes, Bob reads. */
typedef struct {
    tl_identity alice, bob, carol;
    tl_rand rand;
    tl_nonces nonces;
    tl_offer got;
} scene;

scene *scene_new(void);
void scene_free(scene *s);
tl_connection_info an_info(void);
tl_candidate a_candidate(void);

/* A payload of any of the three types, from Alice to Bob at WALL. */
json_t *made(scene *s, tl_offer_type type);
/* What Bob says of it; the result is in s->got. */
tl_offer_verdict read_at(scene *s, tl_offer_type type, const json_t *payload, tl_unix wall);
/* At WALL, as a newcomer without memory. */
tl_offer_verdict read_fresh(scene *s, tl_offer_type type, const json_t *payload);
/* Puts right signatures of `signer` on whatever the payload says now. */
void sign_again(json_t *payload, tl_offer_type type, const tl_identity *signer);
/* "a" or "a.b": the object that holds the last key, which is returned. */
const char *holder(json_t *payload, const char *path, json_t **ret_object);
/* What Bob says of a payload of Alice's in which `path` is `value` (JSON text; NULL: left out),
 * signed rightly all the same. */
tl_offer_verdict with(scene *s, tl_offer_type type, const char *path, const char *value);
void assert_addr(const tl_addr *a, const char *text);

#endif
