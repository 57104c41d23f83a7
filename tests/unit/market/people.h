/* people.h - a table of reciprocity, its owner, and others of whom some are fellow members. */
#ifndef TEALE_TEST_MARKET_PEOPLE_H
#define TEALE_TEST_MARKET_PEOPLE_H

#include "market/reciprocity.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW    1800000000
#define DAY    (24 * 3600)
#define ENOUGH TL_RECIPROCITY_TOKENS

/* US has the table; ANNA and BEN are fellow members at first. */
enum { US, ANNA, BEN, CARL, HELPER, OTHER, PEOPLE };

extern tl_identity people[PEOPLE];
extern bool members[PEOPLE];
extern size_t forgotten; /* signers, by a sweep */
extern tl_node_id last_forgotten;
extern tl_reciprocity *table;
extern const tl_reciprocity_world world;

int begin(void **state);
int end(void **state);
/* Both that the rule says so, and that its explanation does. */
bool is_at(int node, tl_unix now);
bool is(int node);
/* A statement with the number 5, signed where there are two. */
tl_deeds praise(int by, int node, int64_t tokens);
/* By tl_reciprocity_take; what is judged without the signature is the same. */
tl_deeds_verdict take(tl_deeds d);

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

#endif
