/* failalloc.h - memory that runs out on demand: for tests that show what a failed allocation leaves
 * behind. Works on allocations by our own code (the linker's --wrap) and by jansson. */
#ifndef TL_TESTS_FAILALLOC_H
#define TL_TESTS_FAILALLOC_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Runs `step` again and again, with its first, second, third ... allocation failing, until it gets
 * through without a failure. Every failed run must return TL_ERR_NOMEM, every other TL_OK. Returns
 * how many runs failed. */
size_t failalloc_sweep(tl_err (*step)(void *user), void *user);
/* Whether this run's allocation has failed already: for a step that lives on after it. */
bool failalloc_failed(void);

#endif
