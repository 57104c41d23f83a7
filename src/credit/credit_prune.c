/* What is forgotten of questions that change no sum: when the store is asked to. */
#include "credit/credit_state.h"

static void prune_done(tl_book_op *op, tl_err e)
{
    tl_credit *c = op->user;
    c->pruning = false;
    for (size_t i = 0; !e && i < op->n; i++) {
        tl_account *a = tl_account_find(c, &op->entries[i].peer);
        if (a && a->unsigned_n)
            a->unsigned_n--; /* nothing is owed for it, and nothing is left to sign */
    }
    if (!e && op->more)
        c->unpruned = TL_CREDIT_PRUNE_EVERY; /* with the next question */
    tl_book_op_free(op);
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
    }
    c->pruning = tl_credit_submit(c, op, prune_done, c);
    c->unpruned = a->unpruned = 0;
}
