#include "failalloc.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SWEEP_MAX 100000 /* far more allocations than any step here makes: a stuck sweep ends */

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);

static bool armed, failed;
static size_t left; /* allocations that still succeed */

static bool fails(void)
{
    if (!armed || left-- > 0)
        return false;
    armed = false; /* one failure: what comes after it has memory again, as under real pressure */
    failed = true;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return fails() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

/* Before base/json puts its watch around jansson's allocations, which then sees ours fail. */
__attribute__((constructor(101))) static void serve_jansson(void)
{
    json_set_alloc_funcs(__wrap_malloc, free);
}

bool failalloc_failed(void)
{
    return failed;
}

size_t failalloc_sweep(tl_err (*step)(void *user), void *user)
{
    for (size_t runs = 0; runs < SWEEP_MAX; runs++) {
        left = runs;
        failed = false;
        armed = true;
        tl_err e = step(user);
        armed = false;
        assert_int_equal(e, failed ? TL_ERR_NOMEM : TL_OK);
        if (!failed)
            return runs;
    }
    fail_msg("no end to the allocations");
    return 0;
}
