#include "listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

bool listener_quiet;

static void begin(listener *l, listener_call call)
{
    assert_false(listener_quiet);
    assert_non_null(l->exchange);
    l->calls[call]++;
    if (call == ON_END || call == ON_FAIL)
        l->exchange = NULL;
}

static void do_inside(listener *l, listener_call call)
{
    if (l->inside[call])
        l->inside[call](l);
}

static void on_head(void *user, const tl_answer_head *head)
{
    listener *l = user;
    begin(l, ON_HEAD);
    assert_int_equal(l->calls[ON_HEAD], 1);
    l->head = *head;
    do_inside(l, ON_HEAD);
}

static void on_body(void *user, tl_slice bytes)
{
    listener *l = user;
    begin(l, ON_BODY);
    assert_int_equal(l->calls[ON_HEAD], 1);
    assert_false(l->paused);
    assert_true(bytes.n > 0);
    assert_int_equal(tl_buf_append(&l->body, bytes), TL_OK);
    do_inside(l, ON_BODY);
}

static void on_end(void *user, const tl_answer_end *end)
{
    listener *l = user;
    begin(l, ON_END);
    assert_int_equal(l->calls[ON_HEAD], 1);
    l->end = *end;
    do_inside(l, ON_END);
}

static void on_fail(void *user, const tl_failure *failure)
{
    listener *l = user;
    begin(l, ON_FAIL);
    l->fail = failure->fail;
    l->retry_after = failure->retry_after;
    l->price = failure->price;
    l->price_version = failure->price_version;
    snprintf(l->message, sizeof l->message, "%s", failure->message);
    do_inside(l, ON_FAIL);
}

static void on_progress(void *user, const tl_progress *progress)
{
    listener *l = user;
    l->progress = *progress;
    begin(l, ON_PROGRESS);
    assert_int_equal(l->calls[ON_BODY], 0);
    do_inside(l, ON_PROGRESS);
}

const tl_exchange_sink listener_sink = {on_head, on_body, on_end, on_fail, on_progress};

void listener_cancel(listener *l)
{
    tl_exchange *x = l->exchange;
    bool before = listener_quiet;
    l->exchange = NULL;
    listener_quiet = true;
    tl_exchange_cancel(x);
    listener_quiet = before;
}

void listener_pause(listener *l, bool on)
{
    bool before = listener_quiet;
    l->paused = on;
    listener_quiet = true;
    tl_exchange_set_paused(l->exchange, on);
    listener_quiet = before;
}

bool listener_heard_nothing(const listener *l)
{
    return !l->calls[ON_HEAD] && !l->calls[ON_BODY] && !l->calls[ON_END] && !l->calls[ON_FAIL];
}

bool listener_body_is(const listener *l, const char *text)
{
    return tl_slice_eq(tl_buf_slice(&l->body), tl_slice_str(text));
}

void listener_clear(listener *l)
{
    tl_buf_clear(&l->body);
}
