#include "whole_model.h"

#include <stdlib.h>
#include <utlist.h>

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static void must_ok(tl_err e)
{
    if (e)
        abort();
}

static void job_free(model_job *j)
{
    DL_DELETE2(j->node->jobs, j, prev, next_job);
    tl_buf_clear(&j->body);
    free(j);
}

static void job_cancel(tl_exchange *x)
{
    model_job *j = (model_job *)x;
    j->node->cancelled++;
    job_free(j);
}

static void job_pause(tl_exchange *x, bool on)
{
    ((model_job *)x)->paused = on;
}

tl_err whole_model_ask(void *user, const tl_ask *ask, const tl_exchange_sink *sink, void *sink_user,
                       tl_exchange **ret_exchange)
{
    whole_node *n = user;
    model_job *j = must(calloc(1, sizeof *j));
    j->exchange = (tl_exchange){job_cancel, job_pause};
    j->node = n;
    j->sink = *sink;
    j->user = sink_user;
    j->ask = *ask;
    j->left = n->pieces;
    j->next = sim_now(n->sim) + n->thinks;
    must_ok(tl_buf_append(&j->body, ask->body));
    DL_APPEND2(n->jobs, j, prev, next_job);
    *ret_exchange = &j->exchange;
    tl_env_wake(&n->env);
    return TL_OK;
}

static void job_over(model_job *j, tl_fail fail)
{
    tl_exchange_sink sink = j->sink;
    void *user = j->user;
    whole_node *n = j->node;
    tl_answer_end end = {0};
    job_free(j);
    n->answered++;
    if (fail == TL_FAIL_COUNT)
        sink.on_end(user, &end);
    else
        sink.on_fail(user, &(tl_failure){.fail = fail, .message = "scripted"});
}

/* One step of one job that is due; false when none is. The sink may free any job. */
static bool job_step(whole_node *n)
{
    static uint8_t piece[65536];
    model_job *j;
    tl_time now = sim_now(n->sim);
    for (j = n->jobs; j && (j->paused || j->next > now); j = j->next_job)
        ;
    if (!j)
        return false;
    if (n->fail_with != TL_FAIL_COUNT) {
        job_over(j, n->fail_with);
    } else if (!j->head_sent) {
        tl_answer_head head = {.status = 200, .content_type = "text/event-stream"};
        j->head_sent = true;
        j->sink.on_head(j->user, &head);
    } else if (j->left) {
        for (size_t i = 0; i < n->piece_size; i++)
            piece[i] = whole_node_pattern(j->at + i);
        tl_slice bytes = n->piece_size ? tl_slice_of(piece, n->piece_size) : tl_buf_slice(&j->body);
        j->at += bytes.n;
        j->left--;
        j->next = now + n->piece_every;
        n->produced += bytes.n;
        j->sink.on_body(j->user, bytes);
    } else {
        job_over(j, TL_FAIL_COUNT);
    }
    return true;
}

tl_time whole_model_expiry(const whole_node *n)
{
    tl_time at = TL_NEVER;
    for (const model_job *j = n->jobs; j; j = j->next_job)
        if (!j->paused)
            at = tl_time_min(at, j->next);
    return at;
}

void whole_model_run(whole_node *n)
{
    while (job_step(n))
        ;
}

void whole_model_stop(whole_node *n)
{
    while (n->jobs)
        job_free(n->jobs);
}
