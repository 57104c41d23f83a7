/* pay.h - what is owed for a question is kept by somebody else: the calls by which server and asker
 * tell what happens to it. A table of functions alone. */
#ifndef TL_ASK_PAY_H
#define TL_ASK_PAY_H

#include "ask/exchange.h"

#define TL_PAY_ORDER_MAX 128 /* of the text that goes with the question, with its NUL */

/* How a question that this node asked of a peer ended. */
typedef enum {
    TL_PAY_ANSWERED, /* whole, or as far as the peer's credit for us went */
    TL_PAY_FAILED,   /* nothing was delivered */
    TL_PAY_UNSEEN,   /* no head came, and it may have been on its way */
    TL_PAY_GIVEN_UP, /* after the head: by us while we read it, or by the peer */
    TL_PAY_LOST,     /* after the head: the connection broke, or we did not read on */
} tl_pay_end;

typedef struct {
    const tl_ask *ask;
    const char *model;   /* as it goes over the wire */
    uint64_t body_bytes; /* the same */
    uint64_t max_tokens; /* 0: the question names no limit */
    const char *order;   /* that came with it; "": none */
    /* `serve`: the bill is in the books, or is in them already; see `begun`. Called once at most, on the
     * loop's thread, while the bill is open; never from inside a call. */
    void (*on_begun)(void *user);
    void *user;
} tl_pay_question;

/* A bill is a handle; NULL where nobody keeps accounts. */
typedef struct {
    /* A peer's question: may work begin? TL_FAIL_COUNT: yes, and *ret_bill is to be ended by `charge`
     * or `waive`. */
    tl_fail (*serve)(void *user, const tl_pay_question *q, void **ret_bill, tl_why *why);
    /* The books have told whether this question was charged before, or it costs nothing: its answer may
     * be told. Else on_begun comes. */
    bool (*begun)(const void *bill);
    /* So much was delivered. TL_FAIL_COUNT: the answer may go on; else it must end so. */
    tl_fail (*delivered)(void *bill, const tl_answer_end *so_far, tl_why *why);
    void (*charge)(void *bill, const tl_answer_end *end);
    void (*waive)(void *bill);
    /* May a question to q->ask->peer go out? TL_FAIL_COUNT: yes, with `ret_order` ("": none). At a price
     * it may not where the books cannot take it; at none it goes without a bill. */
    tl_fail (*ask)(void *user, const tl_pay_question *q, void **ret_bill,
                   char ret_order[TL_PAY_ORDER_MAX], tl_why *why);
    /* Ends the bill. `seen`: what came here of the answer. LOST: for so long nothing had come. */
    void (*over)(void *bill, tl_pay_end end, const tl_answer_end *seen, tl_time silent);
    void *user;
} tl_pay;

#endif
