#include "fake_env.h"

static tl_time now(void *user)
{
    return ((fake_env *)user)->now;
}

static tl_unix wall(void *user)
{
    return FAKE_ENV_WALL + ((fake_env *)user)->later;
}

static void wake(void *user)
{
    ((fake_env *)user)->wakes++;
}

tl_env fake_env_of(fake_env *e)
{
    return (tl_env){now, wall, wake, e};
}
