/* Books that are an older copy: peers hand over what both have signed since, which proves itself. */
#include "credit/credit_state.h"

#include <utlist.h>

/* Until an answer comes; a program that knows no such question gives none. */
#define TRIES 6

void tl_credit_on_loaded_restored(tl_credit *c, tl_unix at, tl_unix from)
{
    c->restored_at = at;
    c->lacks_from = from;
}

/* --- who asks --- */

void tl_credit_regain_no_more(tl_account *a)
{
    if (a->regain_at)
        DL_DELETE2(a->credit->regainers, a, regain_prev, regain_following);
    a->regain_at = 0;
}

/* The message, or its answer, may go with a connection that another one replaces: it is asked again. */
static void want(tl_account *a, int64_t after)
{
    tl_credit *c = a->credit;
    tl_credit_regain_no_more(a);
    a->regain_after = after;
    a->regain_next = 0;
    (void)!tl_credit_tell(
        c, &a->id, "receiptsWanted",
        json_pack("{s:I, s:I}", "since", (json_int_t)c->lacks_from, "after", (json_int_t)after));
    if (a->regain_tries >= TRIES)
        return;
    a->regain_at = tl_env_now(&c->env) + (TL_CREDIT_AGAIN_FIRST << a->regain_tries++);
    tl_credit_due(c, a->regain_at);
    DL_APPEND2(c->regainers, a, regain_prev, regain_following);
}

void tl_credit_regain_again(tl_credit *c, tl_time now)
{
    tl_account *a, *next;
    for (a = c->regainers; a; a = next) {
        next = a->regain_following;
        if (now >= a->regain_at)
            want(a, a->regain_after);
        else
            tl_credit_due(c, a->regain_at);
    }
}

void tl_credit_regain(tl_credit *c, const tl_node_id *peer)
{
    tl_unix until = c->restored_at + (tl_unix)TL_CREDIT_REGAIN_DAYS * TL_BOOK_DAY;
    if (!c->restored_at || c->env.wall(c->env.user) >= until)
        return;
    tl_account *a = tl_account_get(c, peer, tl_credit_places_for(c, peer));
    if (!a)
        return;
    a->regaining = true;
    a->regain_tries = 0;
    want(a, 0);
}

static void next_page(tl_account *a)
{
    if (a->regain_next && !a->at_once)
        want(a, a->regain_next);
}

static void count(tl_account *a, const tl_receipt *r, bool served)
{
    tl_credit *c = a->credit;
    c->counters.regained++;
    (void)!tl_ledger_count(&a->sums, TL_LEDGER_QUESTION,
                           served ? TL_LEDGER_SERVED : TL_LEDGER_ASKED, r->amount);
    if (served && !r->has_network)
        tl_credit_count_paid(a);
    if (served)
        tl_credit_remember(c, &a->id, r->request, r->at);
    else if (c->world.on_served)
        c->world.on_served(c->user, &a->id, r->tokens_in + r->tokens_out, r->at);
}

static void regain_done(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    const tl_receipt *r = &op->entry.receipt;
    bool served = tl_node_id_eq(&r->provider, &a->credit->identity->id);
    a->at_once--;
    a->open--;
    if (!e && op->entered)
        count(a, r, served);
    else if (!e && a->unsigned_n) /* its signature was missing */
        a->unsigned_n--;
    a->credit->counters.malformed += e == TL_ERR_AUTH;
    a->known |= !e;
    tl_book_op_free(op);
    next_page(a);
}

bool tl_credit_on_whole(tl_credit *c, tl_account *a, const tl_receipt *r)
{
    if (!a->regaining || r->at < c->lacks_from)
        return false;
    tl_book_op *op = tl_book_op_new(TL_BOOK_REGAIN);
    if (op)
        op->entry.receipt = *r;
    if (tl_credit_submit(c, op, regain_done, a)) {
        a->at_once++;
        a->open++;
    }
    return true;
}

void tl_credit_on_page(tl_account *a, int64_t next)
{
    if (!a->regaining || next < 0)
        return;
    tl_credit_regain_no_more(a);
    a->regain_tries = 0;
    a->regain_next = next;
    next_page(a);
}

/* --- who gives --- */

static void tell_settlement(tl_account *a, const tl_settlement *s)
{
    json_t *o;
    if (!tl_settlement_write(s, &o))
        (void)!tl_credit_tell(a->credit, &a->id, "settle", json_pack("{s:o}", "settlement", o));
}

static void whole_done(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    json_t *list = json_array(), *o;
    a->open--;
    a->giving = false;
    for (size_t i = 0; !e && i < op->n; i++)
        if (op->entries[i].kind == TL_LEDGER_SETTLEMENT)
            tell_settlement(a, &op->entries[i].settlement);
        else if (!tl_receipt_write(&op->entries[i].receipt, &o))
            json_array_append_new(list, json_pack("{s:o}", "receipt", o));
    if (!e)
        (void)!tl_credit_tell(a->credit, &a->id, "receipts",
                              json_pack("{s:O, s:I}", "receipts", list, "next",
                                        (json_int_t)(op->n == TL_BOOK_READ_MAX ? op->after : 0)));
    json_decref(list);
    tl_book_op_free(op);
}

void tl_credit_on_wanted(tl_credit *c, tl_account *a, int64_t since, int64_t after)
{
    tl_time now = tl_env_now(&c->env);
    if (!a->given_from || now >= a->given_from + TL_MIN) {
        a->given_from = now;
        a->given = 0;
    }
    if (since < 0 || after < 0) {
        c->counters.malformed++;
        return;
    }
    if (a->giving || a->given >= TL_CREDIT_PAGES_A_MINUTE)
        return; /* it asks again after its next hello */
    tl_book_op *op = tl_book_op_new(TL_BOOK_WHOLE);
    if (op) {
        op->entry.peer = a->id;
        op->entry.at = since;
        op->after = after;
    }
    a->giving = tl_credit_submit(c, op, whole_done, a);
    a->given += a->giving;
    a->open += a->giving;
}
