/* till.h - hands what server and asker tell of a question's cost (ask/pay.h) to the accounts with its
 * peer (credit/credit.h). Knows no node. */
#ifndef TL_NODE_TILL_H
#define TL_NODE_TILL_H

#include "ask/pay.h"
#include "credit/credit.h"

/* `credit` is borrowed for the life of *ret_pay. */
void tl_till_init(tl_pay *ret_pay, tl_credit *credit);

#endif
