/* backend_exchange.h - one question on its way to the model server and its answer on the way back:
 * what of the server's answers passes, and what becomes a failure (UX.md, HTTP API). Of backend.c.
 */
#ifndef TL_BACKEND_BACKEND_EXCHANGE_H
#define TL_BACKEND_BACKEND_EXCHANGE_H

#include "ask/exchange.h"
#include "io/httpclient.h"

typedef struct tl_backend_exchange tl_backend_exchange;
struct tl_backend_exchange {
    tl_exchange exchange;             /* first: the handle */
    tl_backend_exchange *prev, *next; /* the owner's list */
    /* It is over: ended or cancelled (`fail` NULL), or failed. Called before the sink's last call;
     * unlink it, the rest is freed here. */
    void (*on_over)(void *owner, tl_backend_exchange *x, const tl_fail *fail);
    void *owner;
    struct tl_backend_exchange_inside *inside;
};

typedef struct {
    tl_loop *loop;
    tl_http *http;
    const char *base; /* "http://127.0.0.1:11434" */
    const char *key;  /* "" = none */
    tl_time first_byte, silence;
} tl_backend_route;

/* Copies everything; no sink call from inside. What cannot be asked at all (a path that is not
 * served, a strange content type) is answered by on_fail. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_backend_exchange_start(const tl_backend_route *route, const tl_ask *ask,
                                          const tl_exchange_sink *sink, void *user,
                                          tl_backend_exchange **ret_x);
/* An exchange that only fails, in a moment. `message` is static. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_backend_exchange_refuse(tl_loop *loop, tl_fail fail, const char *message,
                                           const tl_exchange_sink *sink, void *user,
                                           tl_backend_exchange **ret_x);
/* Hangs up and tells the sink. */
void tl_backend_exchange_fail(tl_backend_exchange *x, tl_fail fail, const char *message);

#endif
