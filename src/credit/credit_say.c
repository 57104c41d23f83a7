/* Receipts on their way to a peer: at a pace that its control stream takes, many in a message; and claims
 * again, until they are answered. */
#include "credit/credit_state.h"

#include <utlist.h>

static void leave(tl_credit *c, tl_account *a)
{
    if (a->waits_to_say)
        DL_DELETE2(c->talkers, a, say_prev, say_next);
    a->waits_to_say = false;
}

static void drop(json_t **list)
{
    json_decref(*list);
    *list = NULL;
}

void tl_credit_say_nothing(tl_account *a)
{
    leave(a->credit, a);
    drop(&a->saying);
    drop(&a->refusing);
    a->behind = false;
}

/* Claims were told: whatever becomes of the message, they are told again unless an answer comes. A
 * connection may end with it, and the peer's next hello have passed already. */
static void await_answer(tl_account *a, tl_time now)
{
    tl_credit *c = a->credit;
    if (a->unsigned_n == 0 || a->again_at)
        return;
    if (!a->again_in)
        a->again_in = TL_CREDIT_AGAIN_FIRST;
    a->again_at = now + a->again_in;
    tl_credit_due(c, a->again_at);
    DL_APPEND2(c->awaiting, a, again_prev, again_next);
}

static void await_no_more(tl_account *a)
{
    if (a->again_at)
        DL_DELETE2(a->credit->awaiting, a, again_prev, again_next);
    a->again_at = 0;
}

void tl_credit_forget_said(tl_account *a)
{
    tl_credit_say_nothing(a);
    await_no_more(a);
    tl_credit_offer_no_more(a);
    tl_credit_regain_no_more(a);
}

/* One message of each kind that there is something for. */
static void say_now(tl_account *a, tl_time now)
{
    tl_credit *c = a->credit;
    size_t n = json_array_size(a->saying) + json_array_size(a->refusing);
    uint64_t rate = a->known ? TL_CREDIT_SAY_KNOWN : TL_CREDIT_SAY_RATE;
    tl_time takes = n * TL_CREDIT_SAY_BYTES * TL_SEC / rate;
    tl_time messages = (a->saying != NULL) + (a->refusing != NULL);
    bool behind = a->behind;
    /* Where no connection stands, the rest is told after the next hello. */
    tl_err e = TL_OK;
    if (a->saying)
        e = tl_credit_tell(c, &a->id, "receipts", json_pack("{s:O}", "receipts", a->saying));
    if (a->refusing)
        (void)!tl_credit_tell(c, &a->id, "receiptsRefused",
                              json_pack("{s:O}", "refused", a->refusing));
    tl_credit_say_nothing(a);
    if (e == TL_ERR_NOT_FOUND) {
        await_no_more(a);
        tl_credit_offer_no_more(a);
    } else {
        await_answer(a, now);
    }
    a->say_at = now + tl_time_max(takes, messages * TL_CREDIT_SAY_EVERY);
    a->behind = behind && a->resending; /* then after what is read now */
    if (behind && !a->resending)
        tl_credit_resend(c, a);
}

static void say_soon(tl_account *a)
{
    tl_credit *c = a->credit;
    tl_time now = tl_env_now(&c->env);
    if (now >= a->say_at) {
        say_now(a, now);
        return;
    }
    tl_credit_due(c, a->say_at);
    if (a->waits_to_say)
        return;
    a->waits_to_say = true;
    DL_APPEND2(c->talkers, a, say_prev, say_next);
}

static bool add(tl_account *a, json_t **list, json_t *one)
{
    if (!*list)
        *list = json_array();
    bool ok = one && *list && json_array_size(*list) < TL_CREDIT_AT_ONCE + TL_CREDIT_SAY_MAX &&
              !json_array_append(*list, one);
    json_decref(one);
    if (ok)
        say_soon(a);
    return ok;
}

bool tl_credit_say_receipt(tl_account *a, json_t *one)
{
    return add(a, &a->saying, one);
}

bool tl_credit_say_refusal(tl_account *a, const char *request, const char *reason)
{
    return add(a, &a->refusing, json_pack("{s:s, s:s}", "requestID", request, "reason", reason));
}

void tl_credit_say_on(tl_credit *c, tl_time now)
{
    tl_account *a, *next;
    for (a = c->talkers; a; a = next) {
        next = a->say_next;
        if (now >= a->say_at)
            say_now(a, now);
        else
            tl_credit_due(c, a->say_at);
    }
}

/* --- claims --- */

/* False: out of memory, or too many wait to be told. */
static bool say_claim(tl_account *a, const tl_ledger_entry *e)
{
    json_t *receipt;
    if (tl_receipt_write(&e->receipt, &receipt))
        return false;
    json_t *one = json_pack("{s:o}", "receipt", receipt);
    if (one && e->order[0] && json_object_set_new(one, "order", json_string(e->order))) {
        json_decref(one);
        return false;
    }
    return tl_credit_say_receipt(a, one);
}

void tl_credit_say_new_claim(tl_account *a, const tl_ledger_entry *e)
{
    if (json_array_size(a->saying) >= TL_CREDIT_SAY_MAX || !say_claim(a, e))
        a->behind = true; /* it is read from the store when there is room */
}

static void unsigned_done(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    a->open--;
    a->reading = false;
    a->resent = 0;
    a->resent_after = op->after;
    for (size_t i = 0; !e && i < op->n; i++)
        a->resent += say_claim(a, &op->entries[i]);
    a->resending = a->resent > 0;
    tl_book_op_free(op);
    if (e)
        await_answer(a, tl_env_now(&a->credit->env));
    if (a->behind && !a->resending) {
        a->behind = false;
        tl_credit_resend(a->credit, a);
    }
}

static void read_unsigned(tl_account *a)
{
    tl_book_op *op = tl_book_op_new(TL_BOOK_UNSIGNED);
    if (op) {
        op->entry.peer = a->id;
        op->after = a->resent_after;
    }
    a->reading = a->resending = tl_credit_submit(a->credit, op, unsigned_done, a);
    a->resent = 0;
    a->open += a->resending;
    if (!a->reading)
        await_answer(a, tl_env_now(&a->credit->env));
}

void tl_credit_resend(tl_credit *c, tl_account *a)
{
    (void)c;
    if (a->unsigned_n == 0 || a->resending)
        return;
    a->resent_after = 0;
    read_unsigned(a);
}

void tl_credit_on_signed(tl_account *a)
{
    tl_time soon = tl_env_now(&a->credit->env) + TL_CREDIT_AGAIN_FIRST;
    a->again_in = TL_CREDIT_AGAIN_FIRST;
    if (a->unsigned_n == 0)
        await_no_more(a);
    else if (a->again_at > soon)
        a->again_at = soon;
    tl_credit_due(a->credit, a->again_at ? a->again_at : TL_NEVER);
}

void tl_credit_on_answered(tl_account *a)
{
    if (a->resending && a->resent > 0 && --a->resent == 0)
        read_unsigned(a);
}

/* Twice as late each time: a peer that does not answer, or never signs, costs little. */
void tl_credit_say_again(tl_credit *c, tl_time now)
{
    tl_account *a, *next;
    for (a = c->awaiting; a; a = next) {
        next = a->again_next;
        if (now < a->again_at) {
            tl_credit_due(c, a->again_at);
            continue;
        }
        await_no_more(a);
        a->again_in = tl_time_min(2 * a->again_in, TL_CREDIT_AGAIN_MAX);
        if (a->reading)
            continue; /* what is read is told, and awaited then */
        a->resending = false;
        tl_credit_resend(c, a);
    }
}
