/* node_store.c - the database of the node: opens it, has its thread wake the loop, closes it. */
#include "base/log.h"
#include "node/state.h"

#include <assert.h>

static void wake(void *user)
{
    tl_waker_wake(user);
}

static void on_wake(void *user)
{
    tl_node *n = user;
    tl_store_collect(n->store);
    tl_node_wake(n);
}

tl_err tl_node_open_store(tl_node *n, const char *path, tl_why *why)
{
    tl_store_config config = tl_store_config_default();
    tl_store_state state;
    tl_err e = tl_waker_new(n->loop, on_wake, n, &n->store_waker);
    if (e)
        return tl_why_set(why, e, "the node could not be set up: %s", tl_err_name(e));
    config.wake = wake;
    config.user = n->store_waker;
    e = tl_store_open(path, &config, &n->store, why);
    if (e)
        return e;
    tl_store_state_of(n->store, &state);
    if (state.restored)
        tl_log(TL_LOG_WARN,
               "%s came without its mark, and was taken as an older copy: its open invites are "
               "withdrawn, and what was earned or spent since is not in it",
               path);
    return TL_OK;
}

bool tl_node_store_is_idle(const tl_node *n)
{
    return !n->store || tl_store_is_idle(n->store);
}

void tl_node_stop_store(tl_node *n)
{
    if (n->store)
        tl_store_stop(n->store);
}

void tl_node_free_store(tl_node *n)
{
    tl_store_close(n->store);
    n->store = NULL;
    tl_waker_free(n->store_waker);
    n->store_waker = NULL;
}

void tl_node_store_facts(const tl_node *n, tl_store_state *ret_state, tl_doctor_facts *f)
{
    if (!n->store)
        return;
    tl_store_state_of(n->store, ret_state);
    f->store = ret_state->path;
    f->store_restored = ret_state->restored;
    f->store_error = ret_state->failing ? ret_state->cause : NULL;
}
