/* listener.h - a sink that writes down what it is told and holds the implementer to the contract of
 * ask/exchange.h: no call from inside ours, none inside another, none after the end. */
#ifndef TESTS_UNIT_ASK_LISTENER_H
#define TESTS_UNIT_ASK_LISTENER_H

#include "ask/exchange.h"

typedef enum { ON_HEAD, ON_BODY, ON_END, ON_FAIL, ON_PROGRESS, ON_COUNT } listener_call;

typedef struct listener listener;
struct listener {
    tl_exchange *exchange; /* NULL when it is over */
    unsigned calls[ON_COUNT];
    tl_answer_head head;
    tl_answer_end end;
    tl_fail fail;
    unsigned retry_after;
    tl_maybe price, price_version; /* of the failure */
    char message[512];
    tl_progress progress; /* the last */
    tl_buf body;
    bool paused;
    /* Done inside the call, last: it may free the listener. */
    void (*inside[ON_COUNT])(listener *l);
    void *user; /* of `inside` */
};

extern const tl_exchange_sink listener_sink;
/* Inside a call of ours: the implementer must not call a sink. */
extern bool listener_quiet;

void listener_cancel(listener *l);
void listener_pause(listener *l, bool on);
bool listener_heard_nothing(const listener *l);
bool listener_body_is(const listener *l, const char *text);
void listener_clear(listener *l);

#endif
