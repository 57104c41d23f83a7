#include "io/waker.h"

#include "io/loop_uv.h"

#include <stdlib.h>

struct tl_waker {
    uv_async_t uv;
    tl_loop *loop;
    void (*on_wake)(void *user);
    void *user;
};

static void on_async(uv_async_t *handle)
{
    tl_waker *w = handle->data;
    tl_loop_woke(w->loop);
    w->on_wake(w->user);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

tl_err tl_waker_new(tl_loop *loop, void (*on_wake)(void *user), void *user, tl_waker **ret_waker)
{
    tl_waker *w = calloc(1, sizeof *w);
    if (!w)
        return TL_ERR_NOMEM;
    *w = (tl_waker){.loop = loop, .on_wake = on_wake, .user = user};
    if (uv_async_init(tl_loop_uv(loop), &w->uv, on_async)) {
        free(w);
        return TL_ERR_IO;
    }
    w->uv.data = w;
    *ret_waker = w;
    return TL_OK;
}

void tl_waker_wake(tl_waker *w)
{
    (void)uv_async_send(&w->uv); /* fails only for a handle of another kind */
}

void tl_waker_free(tl_waker *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->uv, on_closed);
}
