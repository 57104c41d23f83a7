#include "node/till.h"

#include "base/log.h"

static tl_credit_question question_of(const tl_pay_question *q, const tl_node_id *peer)
{
    const tl_ask *ask = q->ask;
    return (tl_credit_question){.request = ask->id,
                                .peer = *peer,
                                .has_network = ask->has_network,
                                .network = ask->network,
                                .model = q->model,
                                .price = ask->price.given ? ask->price.value : 0,
                                .body_bytes = q->body_bytes,
                                .max_tokens = q->max_tokens,
                                .order = q->order,
                                .on_begun = q->on_begun,
                                .user = q->user};
}

static tl_tokens tokens_of(const tl_answer_end *end)
{
    uint64_t max = (uint64_t)TL_MONEY_MAX;
    return (tl_tokens){(int64_t)(end->tokens_in < max ? end->tokens_in : max),
                       (int64_t)(end->tokens_out < max ? end->tokens_out : max)};
}

static tl_fail pay_serve(void *user, const tl_pay_question *asked, void **ret_bill, tl_why *why)
{
    tl_credit *credit = user;
    tl_credit_question q = question_of(asked, &asked->ask->requester);
    tl_credit_served *served = NULL;
    tl_err e = tl_credit_serve(credit, &q, &served, why);
    switch (e) {
    case TL_OK: *ret_bill = served; return TL_FAIL_COUNT;
    case TL_ERR_FORBIDDEN: return TL_FAIL_PAYMENT_REQUIRED;
    case TL_ERR_EXISTS: return TL_FAIL_DUPLICATE;
    default: return TL_FAIL_UNAVAILABLE;
    }
}

static bool pay_begun(const void *bill)
{
    return tl_credit_begun(bill);
}

static tl_fail pay_delivered(void *bill, const tl_answer_end *so_far, tl_why *why)
{
    if (tl_credit_delivered(bill, tokens_of(so_far)))
        return TL_FAIL_COUNT;
    bool known = tl_credit_is_known(bill);
    if (tl_credit_is_unsure(bill)) {
        (void)tl_why_set(why, TL_ERR_BUSY,
                         "this node's database does not keep up: ask again later");
        return TL_FAIL_UNAVAILABLE;
    }
    (void)tl_why_set(why, TL_ERR_FORBIDDEN,
                     known ? "this node has answered this request before"
                           : "the asker's credit at this node is used up: settle what is owed");
    return known ? TL_FAIL_DUPLICATE : TL_FAIL_PAYMENT_REQUIRED;
}

static void pay_charge(void *bill, const tl_answer_end *end)
{
    tl_credit_charge(bill, tokens_of(end));
}

static void pay_waive(void *bill)
{
    tl_credit_waive(bill);
}

static tl_fail pay_ask(void *user, const tl_pay_question *asking, void **ret_bill,
                       char ret_order[TL_PAY_ORDER_MAX], tl_why *why)
{
    tl_credit *credit = user;
    tl_credit_question q = question_of(asking, &asking->ask->peer);
    tl_credit_asked *asked = NULL;
    ret_order[0] = 0;
    tl_err e = tl_credit_ask(credit, &q, ret_order, &asked);
    *ret_bill = asked;
    if (!e)
        return TL_FAIL_COUNT;
    tl_log(TL_LOG_DEBUG, "credit: question %s is not in the books: %s", q.request, tl_err_name(e));
    if (!q.price)
        return TL_FAIL_COUNT;
    (void)tl_why_set(
        why, e, "%s",
        e == TL_ERR_IO ? "the disk of this node takes nothing: until it does, this node "
                         "asks nothing at a price"
        : e == TL_ERR_BUSY
            ? "the ledger of this node takes no more questions at a price now: ask again"
            : "this node is out of memory");
    return TL_FAIL_UNAVAILABLE;
}

static void pay_over(void *bill, tl_pay_end end, const tl_answer_end *seen, tl_time silent)
{
    static const tl_credit_end ends[] = {[TL_PAY_ANSWERED] = TL_CREDIT_ANSWERED,
                                         [TL_PAY_FAILED] = TL_CREDIT_FAILED,
                                         [TL_PAY_UNSEEN] = TL_CREDIT_UNSEEN,
                                         [TL_PAY_GIVEN_UP] = TL_CREDIT_GIVEN_UP,
                                         [TL_PAY_LOST] = TL_CREDIT_LOST};
    tl_credit_over(bill, ends[end], tokens_of(seen), silent);
}

void tl_till_init(tl_pay *ret_pay, tl_credit *credit)
{
    *ret_pay = (tl_pay){pay_serve, pay_begun, pay_delivered, pay_charge,
                        pay_waive, pay_ask,   pay_over,      credit};
}
