#include "ask/named.h"

#include "base/slice.h"

#include <assert.h>
#include <stdlib.h>

/*  NAMING --stored--> ASKED --its end--> freed
 *  NAMING --not stored--> freed
 *  either of them --cancelled--> freed */
typedef enum {
    NAMING, /* the name is on its way to the disk */
    ASKED,  /* `inner` is under way */
} named_state;

typedef struct {
    tl_exchange exchange; /* first: the handle */
    const tl_named_world *world;
    tl_exchange_sink sink;
    void *user;
    named_state state;
    tl_ask ask; /* its body is `body` */
    tl_buf body;
    void *naming; /* NAMING */
    tl_exchange *inner;
    bool paused;
} named;

static void free_named(named *q)
{
    tl_buf_clear(&q->body);
    free(q);
}

/* --- what the one who answers tells --- */

static void on_head(void *user, const tl_answer_head *head)
{
    named *q = user;
    q->sink.on_head(q->user, head);
}

static void on_body(void *user, tl_slice bytes)
{
    named *q = user;
    q->sink.on_body(q->user, bytes);
}

static void on_progress(void *user, const tl_progress *progress)
{
    named *q = user;
    if (q->sink.on_progress)
        q->sink.on_progress(q->user, progress);
}

static void on_end(void *user, const tl_answer_end *end)
{
    named *q = user;
    tl_exchange_sink sink = q->sink;
    void *sink_user = q->user;
    free_named(q);
    sink.on_end(sink_user, end);
}

static void fail(named *q, const tl_failure *failure)
{
    tl_exchange_sink sink = q->sink;
    void *sink_user = q->user;
    free_named(q);
    sink.on_fail(sink_user, failure);
}

static void on_fail(void *user, const tl_failure *failure)
{
    named *q = user;
    /* a provider that has it already has charged it, or works at it */
    if (failure->fail != TL_FAIL_DUPLICATE)
        q->world->unname(q->world->user, q->ask.id);
    fail(q, failure);
}

/* --- the handle --- */

static void cancel(tl_exchange *x)
{
    named *q = (named *)x;
    if (q->state == NAMING) {
        q->world->forget(q->naming);
    } else {
        if (!q->world->was_asked(q->inner))
            q->world->unname(q->world->user, q->ask.id);
        tl_exchange_cancel(q->inner);
    }
    free_named(q);
}

static void set_paused(tl_exchange *x, bool on)
{
    named *q = (named *)x;
    q->paused = on;
    if (q->state == ASKED)
        tl_exchange_set_paused(q->inner, on);
}

static tl_progress progress_of(const tl_exchange *x)
{
    const named *q = (const named *)x;
    return q->state == ASKED ? tl_exchange_progress(q->inner) : (tl_progress){0};
}

/* --- naming --- */

static void on_named(void *user, tl_err e)
{
    static const tl_exchange_sink own = {on_head, on_body, on_end, on_fail, on_progress};
    named *q = user;
    assert(q->state == NAMING);
    q->naming = NULL;
    if (e == TL_ERR_EXISTS) {
        fail(q,
             &(tl_failure){.fail = TL_FAIL_DUPLICATE,
                           .message = "a request with this X-Teale-Request was made within a day"});
        return;
    }
    if (!e)
        e = q->world->ask(q->world->user, &q->ask, &own, q, &q->inner);
    else
        e = TL_ERR_IO;
    if (e) {
        q->world->unname(q->world->user, q->ask.id);
        fail(q, &(tl_failure){.fail = TL_FAIL_UNAVAILABLE,
                              .message = e == TL_ERR_IO
                                             ? "this node's disk does not take the request's ID "
                                               "now: teale doctor says why"
                                             : "this node is out of memory"});
        return;
    }
    tl_buf_clear(&q->body); /* who answers has a copy */
    q->state = ASKED;
    if (q->paused)
        tl_exchange_set_paused(q->inner, true);
}

tl_err tl_named_ask(const tl_named_world *world, const tl_ask *ask, const tl_exchange_sink *sink,
                    void *user, tl_exchange **ret_exchange)
{
    named *q = calloc(1, sizeof *q);
    if (!q)
        return TL_ERR_NOMEM;
    *q = (named){.exchange = {cancel, set_paused, progress_of},
                 .world = world,
                 .sink = *sink,
                 .user = user,
                 .ask = *ask};
    tl_err e = tl_buf_append(&q->body, ask->body);
    q->ask.body = tl_buf_slice(&q->body);
    if (!e)
        e = world->name(world->user, &q->ask, on_named, q, &q->naming);
    if (e) {
        free_named(q);
        return e;
    }
    *ret_exchange = &q->exchange;
    return TL_OK;
}
