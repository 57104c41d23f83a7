#include "market/book.h"

#include <stdlib.h>

tl_book_op *tl_book_op_new(tl_book_what what)
{
    tl_book_op *op = calloc(1, sizeof *op);
    if (op)
        op->what = what;
    return op;
}

void tl_book_op_free(tl_book_op *op)
{
    if (!op)
        return;
    free(op->entries);
    free(op);
}
