#include "ask/bill.h"

#include "ask/limit.h"

tl_fail tl_bill_open(tl_bill *b, const tl_pay *pay, const tl_ask *ask, const char *model,
                     char ret_order[TL_PAY_ORDER_MAX], tl_why *why)
{
    tl_pay_question q = {.ask = ask,
                         .model = model,
                         .body_bytes = ask->body.n,
                         .max_tokens = tl_ask_limit(ask->content_type, ask->body),
                         .order = ""};
    *b = (tl_bill){.pay = pay, .asked = ask->body.n};
    ret_order[0] = 0;
    return pay ? pay->ask(pay->user, &q, &b->handle, ret_order, why) : TL_FAIL_COUNT;
}

void tl_bill_head(tl_bill *b, int status, const char *content_type)
{
    tl_usage_init(&b->usage, content_type);
    b->charged = status >= 200 && status < 300;
    b->refused = !b->charged;
}

void tl_bill_body(tl_bill *b, tl_slice bytes)
{
    if (b->handle)
        tl_usage_observe(&b->usage, bytes);
}

void tl_bill_end(tl_bill *b, tl_pay_end how, tl_time silent)
{
    tl_answer_end seen = {0};
    void *handle = b->handle;
    b->handle = NULL;
    if (!handle)
        return;
    if (b->charged)
        seen = tl_usage_delivered(&b->usage, b->asked);
    else if (how == TL_PAY_ANSWERED || b->refused)
        how = TL_PAY_FAILED; /* it was no answer but the model server's refusal */
    else if (how == TL_PAY_GIVEN_UP || how == TL_PAY_LOST)
        how = TL_PAY_UNSEEN;
    b->pay->over(handle, how, &seen, silent);
}

void tl_bill_fail(tl_bill *b, tl_fail fail)
{
    tl_bill_end(b, fail == TL_FAIL_PAYMENT_REQUIRED ? TL_PAY_ANSWERED : TL_PAY_FAILED, 0);
}
