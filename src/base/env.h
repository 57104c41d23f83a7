/* env.h - what the machines of ask, direct and peer need of the world: the time, and to be called
 * again. The daemon gives them its loop's, the simulator its own. Reads no clock itself. */
#ifndef TL_BASE_ENV_H
#define TL_BASE_ENV_H

#include "base/time.h"

typedef struct {
    tl_time (*now)(void *user);
    tl_unix (*wall)(void *user);
    /* The machine has work to do: run it soon, but never from inside this call. */
    void (*wake)(void *user);
    void *user;
} tl_env;

static inline tl_time tl_env_now(const tl_env *e)
{
    return e->now(e->user);
}
static inline void tl_env_wake(const tl_env *e)
{
    e->wake(e->user);
}

#endif
