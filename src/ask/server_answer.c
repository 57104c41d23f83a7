/* What a request is told: the backend's answer, that it works, or an error. */
#include "ask/server_state.h"

#include <assert.h>
#include <stdio.h>

/* All answers together keep too much, and this one a part of it. */
static bool is_over_the_sum(const tl_request *r)
{
    return r->out.pending.len && r->server->places.pending > TL_SERVER_PENDING_SUM;
}

/* The backend was held back, and half of what is kept at most is left: it goes on. */
static void go_on_if_there_is_room(tl_request *r)
{
    if (r->state != TL_REQUEST_RUNNING || !r->paused || r->pay.awaits ||
        r->out.pending.len > TL_SERVER_PENDING_MAX / 2 || is_over_the_sum(r))
        return;
    r->paused = false;
    tl_request_set_deadline(r);
    tl_exchange_set_paused(r->exchange, false);
}

void tl_request_flush(tl_request *r)
{
    size_t n;
    if (tl_outbox_flush(&r->out, &n)) {
        tl_request_give_up(r, TL_CODE_CANCELLED);
        return;
    }
    r->taken += n;
    if (r->state == TL_REQUEST_ENDING && r->taken >= TL_SERVER_TAKES)
        tl_request_set_deadline(r);
    go_on_if_there_is_room(r);
    if (!r->out.pending.len &&
        (r->state == TL_REQUEST_ENDING || r->state == TL_REQUEST_REFUSED)) /* again: no harm */
        (void)!tl_quic_stream_write(r->stream, tl_slice_of(NULL, 0), true, &n);
}

static tl_err put_message(tl_request *r, const tl_cluster_message *m)
{
    tl_env_wake(&r->server->env);
    return tl_outbox_put_message(&r->out, m);
}

/* On the wire there are eight codes; the others travel in `detail` (ask/exchange.h). */
void tl_request_send_error(tl_request *r, tl_request_state next, const tl_failure *failure)
{
    tl_cluster_message m = {.type = TL_CLUSTER_ERROR, .u.error.retry_after = failure->retry_after};
    tl_fail fail = failure->fail, code = fail;
    if (fail > TL_FAIL_PAYMENT_REQUIRED) {
        code = fail == TL_FAIL_BACKEND_UNREACHABLE || fail == TL_FAIL_NO_PROVIDER
                   ? TL_FAIL_UNAVAILABLE
                   : TL_FAIL_INTERNAL;
        snprintf(m.u.error.detail, sizeof m.u.error.detail, "%s", tl_fail_name(fail));
    }
    memcpy(m.u.error.id, r->id, sizeof r->id);
    m.u.error.price = failure->price;
    m.u.error.price_version = failure->price_version;
    snprintf(m.u.error.code, sizeof m.u.error.code, "%s", tl_fail_name(code));
    snprintf(m.u.error.message, sizeof m.u.error.message, "%s", failure->message);
    tl_request_set_state(r, next);
    tl_request_drop_body(r);
    tl_request_set_deadline(r);
    if (put_message(r, &m))
        tl_request_give_up(r, TL_CODE_CANCELLED);
    else
        tl_request_flush(r);
}

/* --- the backend's answer --- */

bool tl_request_tell_head(tl_request *r, const tl_answer_head *head)
{
    assert(r->state == TL_REQUEST_RUNNING);
    tl_cluster_message m = {.type = TL_CLUSTER_RESPONSE, .u.response = {.status = head->status}};
    memcpy(m.u.response.id, r->id, sizeof r->id);
    m.u.response.price = r->ask.price;
    if (r->ask.has_network)
        tl_node_id_write(m.u.response.ptn_id, &r->ask.network);
    snprintf(m.u.response.content_type, sizeof m.u.response.content_type, "%s", head->content_type);
    snprintf(m.u.response.retry_after, sizeof m.u.response.retry_after, "%s", head->retry_after);
    tl_usage_init(&r->usage, head->content_type);
    r->pay.charged = head->status >= 200 && head->status < 300;
    if (put_message(r, &m)) {
        tl_request_give_up(r, TL_CODE_CANCELLED);
        return false;
    }
    go_on_if_there_is_room(r);
    return true;
}

static void on_head(void *user, const tl_answer_head *head)
{
    tl_request *r = user;
    if (!tl_request_await_bill(r, head))
        (void)!tl_request_tell_head(r, head);
}

static void on_body(void *user, tl_slice bytes)
{
    tl_request *r = user;
    assert(r->state == TL_REQUEST_RUNNING && !r->paused);
    tl_usage_observe(&r->usage, bytes);
    r->progress_at = TL_NEVER;
    r->body_at = r->body_at ? r->body_at : tl_env_now(&r->server->env);
    while (bytes.n) {
        tl_slice now =
            tl_slice_of(bytes.p, bytes.n < TL_FRAME_MESSAGE_MAX ? bytes.n : TL_FRAME_MESSAGE_MAX);
        if (tl_outbox_put_frame(&r->out, TL_FRAME_BODY, now)) {
            tl_request_give_up(r, TL_CODE_CANCELLED);
            return;
        }
        bytes = tl_slice_of(bytes.p + now.n, bytes.n - now.n);
    }
    if (!tl_request_may_go_on(r))
        return;
    if (r->out.pending.len > TL_SERVER_PENDING_MAX || is_over_the_sum(r)) {
        r->paused = r->held_up = true;
        tl_request_set_deadline(r);
        tl_exchange_set_paused(r->exchange, true);
    }
    tl_env_wake(&r->server->env);
}

static void on_end(void *user, const tl_answer_end *end)
{
    tl_request *r = user;
    r->exchange = NULL;
    if (r->pay.awaits) { /* an answer without a word: nobody has anything of it */
        r->pay.awaits = r->paused = false;
        if (!tl_request_tell_head(r, &r->pay.head))
            return;
    }
    tl_answer_end seen = tl_usage_end(&r->usage);
    tl_cluster_message m = {
        .type = TL_CLUSTER_COMPLETE,
        .u.complete = {.tokens_in = end->tokens_in ? end->tokens_in : seen.tokens_in,
                       .tokens_out = end->tokens_out ? end->tokens_out : seen.tokens_out}};
    memcpy(m.u.complete.id, r->id, sizeof r->id);
    tl_request_drop_body(r);
    r->whole = r->pay.charged; /* what the model server refuses opens no door */
    r->server->counters.served++;
    r->server->counters.tokens_in += m.u.complete.tokens_in;
    r->server->counters.tokens_out += m.u.complete.tokens_out;
    tl_request_set_state(r, TL_REQUEST_ENDING);
    tl_request_set_deadline(r);
    tl_answer_end told = {.tokens_in = m.u.complete.tokens_in,
                          .tokens_out = m.u.complete.tokens_out,
                          .refused = !r->whole};
    if (r->ask.streaming && r->body_at && !r->held_up)
        told.streamed = tl_env_now(&r->server->env) - r->body_at;
    r->server->backend.on_done(r->server->backend_user, &r->ask, TL_FAIL_COUNT, &told);
    tl_request_close_bill(r, true);
    if (put_message(r, &m))
        tl_request_give_up(r, TL_CODE_CANCELLED);
    else
        tl_request_flush(r);
}

static void on_fail(void *user, const tl_failure *failure)
{
    tl_request *r = user;
    r->exchange = NULL;
    tl_answer_end seen = tl_usage_end(&r->usage);
    r->server->counters.failed++;
    r->server->backend.on_done(r->server->backend_user, &r->ask, failure->fail, &seen);
    tl_request_close_bill(r, false);
    tl_request_send_error(r, TL_REQUEST_ENDING, failure);
}

const tl_exchange_sink tl_request_sink = {on_head, on_body, on_end, on_fail};

void tl_request_tell_progress(tl_request *r)
{
    tl_server *s = r->server;
    tl_cluster_message m = {.type = TL_CLUSTER_PROGRESS};
    assert(r->state == TL_REQUEST_RUNNING);
    r->progress_at = tl_env_now(&s->env) + TL_SERVER_PROGRESS_EVERY;
    s->due = tl_time_min(s->due, r->progress_at);
    if (r->out.pending.len)
        return;
    tl_progress progress = tl_exchange_progress(r->exchange);
    m.u.progress.queue_position = progress.position;
    m.u.progress.wait_seconds = progress.wait_seconds;
    memcpy(m.u.progress.id, r->id, sizeof r->id);
    if (put_message(r, &m))
        tl_request_give_up(r, TL_CODE_CANCELLED);
}
