/* till.h - whoever keeps the accounts, played by the test: writes down what server and asker tell. */
#ifndef TESTS_UNIT_ASK_TILL_H
#define TESTS_UNIT_ASK_TILL_H

#include "ask/pay.h"

typedef struct {
    tl_pay pay;
    tl_fail refuse;        /* of the next question; TL_FAIL_COUNT: none */
    tl_fail refuse_to_ask; /* the same of our own */
    bool slow;             /* the books have not told yet whether the bill is new */
    bool again;            /* it is not: `delivered` says so */
    void (*on_begun)(void *user);
    void *user;      /* of on_begun */
    uint64_t end_at; /* generated tokens; 0: there is credit for all */
    unsigned opened, charged, waived, overs;
    char model[TL_MODEL_MAX], order[TL_PAY_ORDER_MAX];
    uint64_t body_bytes, max_tokens;
    tl_answer_end charge; /* the last one */
    tl_pay_end over;
    tl_answer_end seen;
    tl_time silent;
} till;

void till_init(till *t);
/* The books tell. */
void till_begins(till *t);

#endif
