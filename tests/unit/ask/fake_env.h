/* fake_env.h - a tl_env whose time the test sets. */
#ifndef TESTS_UNIT_ASK_FAKE_ENV_H
#define TESTS_UNIT_ASK_FAKE_ENV_H

#include "base/env.h"

#define FAKE_ENV_WALL 1700000000

typedef struct {
    tl_time now;
    unsigned wakes;
    tl_unix later; /* so many seconds, by the wall clock, than at the beginning */
} fake_env;

tl_env fake_env_of(fake_env *e);

#endif
