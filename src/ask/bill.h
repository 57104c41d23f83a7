/* bill.h - what a question of ours costs, as the asker sees it: follows one answer as it passes, and
 * tells what came of it (ask/pay.h). Keeps no account. */
#ifndef TL_ASK_BILL_H
#define TL_ASK_BILL_H

#include "ask/pay.h"
#include "ask/usage.h"

typedef struct {
    const tl_pay *pay;
    void *handle;   /* NULL: not opened, or ended */
    bool charged;   /* the head is that of an answer which costs */
    bool refused;   /* the head is that of one which costs nothing */
    uint64_t asked; /* bytes of the request's body */
    tl_usage usage;
} tl_bill;

/* The question is to go out now, with `model`; *ret_order goes with it, "" for none. `pay` NULL: nobody
 * keeps accounts. TL_FAIL_COUNT; else the books do not take it, and it must not go out: `why` says more. */
tl_fail tl_bill_open(tl_bill *b, const tl_pay *pay, const tl_ask *ask, const char *model,
                     char ret_order[TL_PAY_ORDER_MAX], tl_why *why);
void tl_bill_head(tl_bill *b, int status, const char *content_type);
void tl_bill_body(tl_bill *b, tl_slice bytes);
/* Once; more calls do nothing. `silent`: of LOST, as in tl_pay. Without a head, what was given up or
 * lost is UNSEEN. */
void tl_bill_end(tl_bill *b, tl_pay_end how, tl_time silent);
/* The peer said that it failed. Where our credit there ended, what came before counts. */
void tl_bill_fail(tl_bill *b, tl_fail fail);

#endif
