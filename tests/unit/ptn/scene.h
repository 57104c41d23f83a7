/* scene.h - a network, its people, and documents that tests alter. */
#ifndef TEALE_TEST_PTN_SCENE_H
#define TEALE_TEST_PTN_SCENE_H

#include "base/json.h"
#include "ptn/cert.h"
#include "ptn/revocations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1800000000

/* An authority and its node; an admin; two members; another authority. */
extern tl_identity authority, root, admin, member, outsider, other_authority;

int scene_set_up(void **state); /* cmocka's group setup */

/* A wish of the network: from NOW on, without end. */
tl_cert wish_of(const tl_identity *node, tl_role role, const tl_identity *issuer);
/* Signed by the authority, for the issuer `root`; the caller frees it. */
json_t *by_authority(const tl_identity *node, tl_role role);
/* Signed by `admin`, with its certificate. */
json_t *by_admin(const tl_identity *node, tl_role role);
json_t *admin_certificate(void);
/* Signed for the network by the authority, or by the admin. Sequence, and the nodes in it. */
json_t *list_of(int64_t sequence, const tl_identity *key, size_t n,
                const tl_identity *const *nodes);

json_t *parsed(const char *text);
/* Every single change of a string, number or key inside `value` (not below `chain` unless asked)
 * is tried: `judge` must not accept any. */
void no_change_is_accepted(const json_t *value, bool (*accepts)(const json_t *value));

#endif
