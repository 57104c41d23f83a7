/* What a request costs: the bill is opened before work begins, and ended with the answer. */
#include "ask/limit.h"
#include "ask/server_state.h"

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
                         .order = r->pay.order};
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
    const tl_pay *pay = r->server->pay;
    tl_why why = {""};
    if (!r->pay.bill || !r->pay.charged)
        return true;
    tl_answer_end so_far = tl_request_delivered(r);
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

void tl_request_close_bill(tl_request *r, bool charge)
{
    const tl_pay *pay = r->server->pay;
    void *bill = r->pay.bill;
    r->pay.bill = NULL;
    if (!bill)
        return;
    if (charge && r->pay.charged) {
        tl_answer_end end = tl_request_delivered(r);
        pay->charge(bill, &end);
    } else {
        pay->waive(bill);
    }
}
