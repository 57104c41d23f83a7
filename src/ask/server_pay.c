/* What a request costs: the bill is opened before work begins, and ended with the answer. */
#include "ask/limit.h"
#include "ask/server_state.h"

#include <assert.h>
#include <stdio.h>

void tl_server_set_pay(tl_server *s, const tl_pay *pay)
{
    s->pay = pay;
}

void tl_request_note_pay(tl_request *r, const tl_cluster_request *q)
{
    memcpy(r->pay.model, q->model, sizeof r->pay.model);
    snprintf(r->pay.order, sizeof r->pay.order, "%s", q->order);
}

/* False: the answer has ended here, with the reason sent. */
static bool is_to_go_on(tl_request *r)
{
    const tl_pay *pay = r->server->pay;
    tl_why why = {""};
    tl_answer_end so_far = {0};
    if (r->pay.charged)
        so_far = tl_request_delivered(r);
    tl_fail fail = pay->delivered(r->pay.bill, &so_far, &why);
    if (fail == TL_FAIL_COUNT)
        return true;
    tl_exchange_cancel(r->exchange);
    r->exchange = NULL;
    r->server->counters.failed++;
    r->server->backend.on_done(r->server->backend_user, &r->ask, fail, &so_far);
    tl_request_close_bill(r, true);
    tl_request_send_error(r, TL_REQUEST_ENDING, &(tl_failure){.fail = fail, .message = why.text});
    return false;
}

static void on_begun(void *user)
{
    tl_request *r = user;
    if (!r->pay.awaits)
        return;
    assert(r->state == TL_REQUEST_RUNNING);
    r->pay.awaits = false;
    if (is_to_go_on(r))
        (void)!tl_request_tell_head(r, &r->pay.head);
}

bool tl_request_await_bill(tl_request *r, const tl_answer_head *head)
{
    if (!r->pay.bill || r->server->pay->begun(r->pay.bill))
        return false;
    r->pay.awaits = r->paused = true;
    r->pay.head = *head;
    tl_request_set_deadline(r);
    tl_exchange_set_paused(r->exchange, true);
    return true;
}

bool tl_request_open_bill(tl_request *r)
{
    const tl_pay *pay = r->server->pay;
    tl_slice body = tl_buf_slice(&r->body);
    tl_why why = {""};
    if (!pay)
        return true;
    tl_pay_question q = {.ask = &r->ask,
                         .model = r->pay.model,
                         .body_bytes = r->pay.asked,
                         .max_tokens = tl_ask_limit(r->ask.content_type, body),
                         .order = r->pay.order,
                         .on_begun = on_begun,
                         .user = r};
    tl_fail fail = pay->serve(pay->user, &q, &r->pay.bill, &why);
    if (fail == TL_FAIL_COUNT)
        return true;
    r->server->counters.refused++;
    tl_request_send_error(r, TL_REQUEST_REFUSED, &(tl_failure){.fail = fail, .message = why.text});
    return false;
}

tl_answer_end tl_request_delivered(const tl_request *r)
{
    return tl_usage_delivered(&r->usage, r->pay.asked);
}

bool tl_request_may_go_on(tl_request *r)
{
    return !r->pay.bill || !r->pay.charged || is_to_go_on(r);
}

void tl_request_close_bill(tl_request *r, bool charge)
{
    const tl_pay *pay = r->server->pay;
    void *bill = r->pay.bill;
    r->pay.bill = NULL;
    r->pay.awaits = false;
    if (!bill)
        return;
    if (charge && r->pay.charged) {
        tl_answer_end end = tl_request_delivered(r);
        pay->charge(bill, &end);
    } else {
        pay->waive(bill);
    }
}
