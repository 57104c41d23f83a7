#include "whole_networks.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static void must_ok(tl_err e)
{
    if (e)
        abort();
}

static whole_node *node_of_record; /* whose clock the records are written by: all share one */

static void record_head(void *user, const tl_answer_head *head)
{
    question_record *q = user;
    q->head_seen = true;
    q->head = *head;
}

uint8_t whole_node_pattern(uint64_t at)
{
    return (uint8_t)(at * 0x9E3779B97F4A7C15u >> 40);
}

static void record_body(void *user, tl_slice bytes)
{
    question_record *q = user;
    tl_time now = sim_now(node_of_record->sim);
    if (!q->bytes)
        q->first_byte_at = q->last_byte_at = now;
    if (now - q->last_byte_at > q->longest_gap)
        q->longest_gap = now - q->last_byte_at;
    q->last_byte_at = now;
    for (size_t i = 0; q->patterned && i < bytes.n; i++)
        q->altered |= bytes.p[i] != whole_node_pattern(q->bytes + i);
    q->bytes += bytes.n;
    if (q->answer.len < 65536)
        must_ok(tl_buf_append(&q->answer, bytes));
}

static void record_end(void *user, const tl_answer_end *end)
{
    question_record *q = user;
    (void)end;
    q->exchange = NULL;
    q->ended = true;
    q->over_at = sim_now(node_of_record->sim);
}

static void record_fail(void *user, const tl_failure *failure)
{
    question_record *q = user;
    q->exchange = NULL;
    q->failed = true;
    q->fail = failure->fail;
    q->over_at = sim_now(node_of_record->sim);
    snprintf(q->why, sizeof q->why, "%s", failure->message);
    tl_log(TL_LOG_DEBUG, "sim: the question failed: %s: %s", tl_fail_name(failure->fail),
           failure->message);
}

static const tl_exchange_sink sink = {record_head, record_body, record_end, record_fail};

static void ask(whole_node *n, question_record *q, tl_ask *a, const char *model, const char *body)
{
    uint8_t id[16];
    node_of_record = n;
    tl_rand_bytes(&n->rand, id, sizeof id);
    tl_hex_write(a->id, id, sizeof id);
    snprintf(a->model, sizeof a->model, "%s", model);
    snprintf(a->path, sizeof a->path, "/v1/chat/completions");
    snprintf(a->content_type, sizeof a->content_type, "application/json");
    a->body = tl_slice_str(body);
    q->asked_at = sim_now(n->sim);
    must_ok(tl_router_ask(n->router, a, &sink, q, &q->exchange));
    sim_wake(n->host);
}

void whole_node_ask(whole_node *n, question_record *q, const char *model, const char *body)
{
    tl_ask a = {.streaming = true};
    ask(n, q, &a, model, body);
}

void whole_node_ask_within(whole_node *n, question_record *q, const char *model, int64_t maximum)
{
    tl_ask a = {.streaming = true, .max_price = tl_maybe_of(maximum)};
    ask(n, q, &a, model, "{\"model\":\"m\"}");
}

void whole_node_ask_peer(whole_node *n, question_record *q, const whole_node *peer,
                         const char *model)
{
    tl_ask a = {.streaming = true, .has_peer = true, .peer = peer->identity.id};
    ask(n, q, &a, model, "{\"model\":\"x\"}");
}

void whole_node_ask_for(whole_node *n, question_record *q, const tl_node_id *network,
                        const char *model)
{
    tl_ask a = {.streaming = true, .scoped = true, .has_network = true, .network = *network};
    ask(n, q, &a, model, "{\"model\":\"x\"}");
}

void whole_node_claim(whole_node *n, question_record *q, const tl_node_id *network,
                      const whole_node *peer, const char *model)
{
    tl_ask a = {.id = "a-liars",
                .path = "/v1/chat/completions",
                .content_type = "application/json",
                .body = TL_SLICE_LIT("{\"model\":\"x\"}"),
                .has_peer = true,
                .peer = peer->identity.id,
                .has_network = true,
                .network = *network};
    node_of_record = n;
    q->asked_at = sim_now(n->sim);
    must_ok(tl_asker_ask(n->asker, &a, model, &sink, q, &q->exchange));
    sim_wake(n->host);
}

int64_t whole_node_price(void *user, const tl_ask *a, int64_t *ret_version)
{
    const whole_node *n = user;
    (void)a;
    *ret_version = n->price_version;
    return n->price;
}

json_t *whole_node_bids(void *user)
{
    const whole_node *n = user;
    tl_bids bids = {0};
    for (size_t i = 0; n->price_version && i < n->n_models; i++) {
        tl_bid *bid = tl_bids_get(&bids, n->models[i]);
        if (!bid)
            abort();
        bid->price = n->price;
        bid->version = n->price_version;
    }
    json_t *list = bids.n ? tl_bids_json(&bids) : NULL;
    tl_bids_clear(&bids);
    return list;
}

void question_clear(question_record *q)
{
    tl_buf_clear(&q->answer);
    *q = (question_record){0};
}

bool question_is_over(void *q)
{
    return ((question_record *)q)->ended || ((question_record *)q)->failed;
}

size_t whole_node_jobs(const whole_node *n)
{
    size_t count = 0;
    for (const model_job *j = n->jobs; j; j = j->next_job)
        count++;
    return count;
}
