/* Whole answers that their provider has not charged: offered to it until it has, while a connection stands, and
 * after each hello. */
#include "credit/credit_state.h"

#include <utlist.h>

void tl_credit_offer_no_more(tl_account *a)
{
    if (a->offer_at)
        DL_DELETE2(a->credit->offering, a, offer_prev, offer_next);
    a->offer_at = 0;
}

/* Whatever becomes of the offers, they are made again unless the charges are here by then. */
static void offer_later(tl_account *a)
{
    tl_credit *c = a->credit;
    if (a->offer_at)
        return;
    if (!a->offer_in)
        a->offer_in = TL_CREDIT_AGAIN_FIRST;
    a->offer_at = tl_env_now(&c->env) + a->offer_in;
    a->offer_in = tl_time_min(2 * a->offer_in, TL_CREDIT_AGAIN_MAX);
    tl_credit_due(c, a->offer_at);
    DL_APPEND2(c->offering, a, offer_prev, offer_next);
}

static void owed_done(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    json_t *receipt;
    a->open--;
    if (!e && op->n)
        offer_later(a);
    for (size_t i = 0; !e && i < op->n; i++)
        if (!tl_receipt_write(&op->entries[i].receipt, &receipt))
            (void)!tl_credit_say_receipt(a, json_pack("{s:o}", "receipt", receipt));
    tl_book_op_free(op);
}

void tl_credit_offer(tl_credit *c, tl_account *a)
{
    tl_credit_offer_no_more(a);
    tl_book_op *op = tl_book_op_new(TL_BOOK_OWED);
    if (op) {
        op->entry.peer = a->id;
        op->entry.at = c->env.wall(c->env.user);
    }
    if (tl_credit_submit(c, op, owed_done, a))
        a->open++;
}

void tl_credit_offer_again(tl_credit *c, tl_time now)
{
    tl_account *a, *next;
    for (a = c->offering; a; a = next) {
        next = a->offer_next;
        if (now >= a->offer_at)
            tl_credit_offer(c, a);
        else
            tl_credit_due(c, a->offer_at);
    }
}
