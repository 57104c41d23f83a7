#include "till.h"

#include <stdio.h>
#include <string.h>

static void note(till *t, const tl_pay_question *q)
{
    snprintf(t->model, sizeof t->model, "%s", q->model);
    snprintf(t->order, sizeof t->order, "%s", q->order);
    t->body_bytes = q->body_bytes;
    t->max_tokens = q->max_tokens;
}

static tl_fail serve(void *user, const tl_pay_question *q, void **ret_bill, tl_why *why)
{
    till *t = user;
    note(t, q);
    if (t->refuse != TL_FAIL_COUNT) {
        (void)tl_why_set(why, TL_ERR_FORBIDDEN, "pay first");
        return t->refuse;
    }
    t->opened++;
    t->on_begun = q->on_begun;
    t->user = q->user;
    *ret_bill = t;
    return TL_FAIL_COUNT;
}

static bool begun(const void *bill)
{
    return !((const till *)bill)->slow;
}

void till_begins(till *t)
{
    t->slow = false;
    t->on_begun(t->user);
}

static tl_fail delivered(void *bill, const tl_answer_end *so_far, tl_why *why)
{
    const till *t = bill;
    if (t->again) {
        (void)tl_why_set(why, TL_ERR_EXISTS, "answered before");
        return TL_FAIL_DUPLICATE;
    }
    if (!t->end_at || so_far->tokens_out < t->end_at)
        return TL_FAIL_COUNT;
    (void)tl_why_set(why, TL_ERR_FORBIDDEN, "no credit is left");
    return TL_FAIL_PAYMENT_REQUIRED;
}

static void charge(void *bill, const tl_answer_end *end)
{
    till *t = bill;
    t->charged++;
    t->charge = *end;
}

static void waive(void *bill)
{
    ((till *)bill)->waived++;
}

static tl_fail ask(void *user, const tl_pay_question *q, void **ret_bill,
                   char ret_order[TL_PAY_ORDER_MAX], tl_why *why)
{
    till *t = user;
    note(t, q);
    if (t->refuse_to_ask != TL_FAIL_COUNT) {
        (void)tl_why_set(why, TL_ERR_IO, "the books are closed");
        return t->refuse_to_ask;
    }
    t->opened++;
    snprintf(ret_order, TL_PAY_ORDER_MAX, "1.2.3.4.ab");
    *ret_bill = t;
    return TL_FAIL_COUNT;
}

static void over(void *bill, tl_pay_end end, const tl_answer_end *seen, tl_time silent)
{
    till *t = bill;
    t->overs++;
    t->over = end;
    t->seen = *seen;
    t->silent = silent;
}

void till_init(till *t)
{
    *t = (till){.refuse = TL_FAIL_COUNT, .refuse_to_ask = TL_FAIL_COUNT};
    t->pay = (tl_pay){serve, begun, delivered, charge, waive, ask, over, t};
}
