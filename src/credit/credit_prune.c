/* What of the ledger is forgotten, when the store is asked to, and how many paid questions of strangers it
 * has. */
#include "credit/credit_state.h"

void tl_credit_count_paid(tl_account *a)
{
    a->paid_n++;
    a->credit->paid_n++;
}

bool tl_credit_has_room(const tl_credit *c, const tl_account *a)
{
    return a->paid_n < TL_BOOK_PAID_OF && c->paid_n < TL_BOOK_PAID_MAX;
}

static void forgotten(tl_credit *c, const tl_ledger_entry *e)
{
    tl_account *a = tl_account_find(c, &e->peer);
    if (e->amount && c->paid_n)
        c->paid_n--;
    if (!a) /* an account that made room and came again knows of no such rows, either */
        return;
    if (e->amount && a->paid_n)
        a->paid_n--;
    if (!e->amount && a->unsigned_n)
        a->unsigned_n--; /* nothing is owed for it, and nothing is left to sign */
}

static void prune_done(tl_book_op *op, tl_err e)
{
    tl_credit *c = op->user;
    c->pruning = false;
    for (size_t i = 0; !e && i < op->n; i++)
        forgotten(c, &op->entries[i]);
    if (!e)
        c->paid_cursor = op->cursor;
    if (!e && op->more)
        c->unpruned = TL_CREDIT_PRUNE_EVERY; /* with the next question */
    tl_book_op_free(op);
}

static size_t beyond(size_t n, size_t most)
{
    return n > most ? n - most : 0;
}

void tl_credit_prune(tl_credit *c, tl_account *a)
{
    c->unpruned++;
    a->unpruned++;
    if (c->pruning || (c->unpruned < TL_CREDIT_PRUNE_EVERY && a->unpruned < TL_CREDIT_PRUNE_EVERY))
        return;
    tl_book_op *op = tl_book_op_new(TL_BOOK_PRUNE);
    if (op) {
        op->entry.peer = a->id;
        op->entry.at = c->env.wall(c->env.user);
        op->paid_of = beyond(a->paid_n, TL_BOOK_PAID_OF / 2);
        op->paid_all = beyond(c->paid_n, TL_BOOK_PAID_MAX / 2);
        op->cursor = c->paid_cursor;
    }
    c->pruning = tl_credit_submit(c, op, prune_done, c);
    c->unpruned = a->unpruned = 0;
}
