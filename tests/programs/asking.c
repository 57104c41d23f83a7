#include "asking.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

static void guard_due(void *user)
{
    (void)user;
    fail_msg("nothing ended within 30 s");
}

void client_init(client *k)
{
    *k = (client){0};
    assert_int_equal(tl_loop_new(&k->loop), TL_OK);
    assert_int_equal(tl_http_new(k->loop, &k->http), TL_OK);
    tl_timer_init(&k->guard, k->loop, guard_due, NULL);
}

void client_clear(client *k)
{
    tl_timer_stop(&k->guard);
    tl_http_free(k->http);
    tl_loop_free(k->loop);
}

static void on_head(void *user, int status, const tl_http_head *head)
{
    got *g = user;
    const char *type = tl_http_head_field(head, "content-type");
    g->heads++;
    g->status = status;
    snprintf(g->type, sizeof g->type, "%s", type ? type : "");
    if (g->in_head)
        g->in_head(g);
}

static void on_body(void *user, tl_slice bytes)
{
    got *g = user;
    assert_int_equal(g->heads, 1);
    assert_int_equal(g->dones, 0);
    g->bodies++;
    g->body_n += bytes.n;
    if (!g->drop_body)
        assert_int_equal(tl_buf_append(&g->body, bytes), TL_OK);
    if (g->in_body)
        g->in_body(g);
}

static void one_less(client *k)
{
    if (--k->running == 0)
        tl_loop_stop(k->loop);
}

static void on_done(void *user, tl_err e, const char *why)
{
    got *g = user;
    g->dones++;
    g->err = e;
    snprintf(g->why, sizeof g->why, "%s", why);
    if (g->in_done)
        g->in_done(g);
    one_less(g->k);
}

const tl_http_events got_events = {on_head, on_body, on_done};

void start(client *k, got *g, const tl_http_ask *ask)
{
    tl_why why = {0};
    g->k = k;
    if (tl_http_start(k->http, ask, &got_events, g, &g->request, &why) != TL_OK)
        fail_msg("%s", why.text);
    k->running++;
    assert_int_equal(g->dones + g->heads, 0); /* nothing from inside */
}

void start_url(client *k, got *g, const char *url)
{
    tl_http_ask ask = tl_http_ask_default();
    ask.url = url;
    start(k, g, &ask);
}

void run(client *k)
{
    tl_timer_set(&k->guard, tl_loop_clock(k->loop) + 30 * TL_SEC);
    if (k->running)
        tl_loop_run(k->loop);
}

void cancel(got *g)
{
    tl_http_cancel(g->request);
    one_less(g->k);
}

const char *body_text(got *g)
{
    assert_int_equal(tl_buf_append(&g->body, tl_slice_of("", 1)), TL_OK);
    return (const char *)tl_buf_begin(&g->body);
}

/* Runs the loop for a while, whatever happens on it. */
static void stop_loop(void *user)
{
    tl_loop_stop(user);
}

void run_till(client *k, const int *count, int n)
{
    tl_time late = tl_loop_clock(k->loop) + 30 * TL_SEC;
    while (*count < n && tl_loop_clock(k->loop) < late)
        run_for(k, TL_MS);
}

void run_for(client *k, tl_time t)
{
    tl_timer timer;
    tl_timer_init(&timer, k->loop, stop_loop, k->loop);
    tl_timer_set(&timer, tl_loop_clock(k->loop) + t);
    tl_loop_run(k->loop);
    tl_timer_stop(&timer);
}
