/* env.h - what the machines of this room need of the world: the time, and to be called again. The
 * daemon gives them its loop's, the simulator its own. */
#ifndef TL_BASE_ENV_H
#define TL_BASE_ENV_H

#include "base/time.h"

typedef struct {
    tl_time (*now)(void *user);
    tl_unix (*wall)(void *user);
    /* Something waits for tl_peers_run: call it soon, never from inside. */
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
