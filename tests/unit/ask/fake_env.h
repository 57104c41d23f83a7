/* fake_env.h - a tl_env whose time the test sets. */
#ifndef TESTS_UNIT_ASK_FAKE_ENV_H
#define TESTS_UNIT_ASK_FAKE_ENV_H

#include "base/env.h"

typedef struct {
    tl_time now;
    unsigned wakes;
} fake_env;

tl_env fake_env_of(fake_env *e);

#endif
