/* backend_exchange.h - carries one question to the model server and its answer back. Decides which
 * answers of the server pass, and which become a failure (docs/http-api.md "Errors"). Only
 * backend.c uses it; knows nothing of peers. */
#ifndef TL_BACKEND_BACKEND_EXCHANGE_H
#define TL_BACKEND_BACKEND_EXCHANGE_H

#include "ask/exchange.h"
#include "io/httpclient.h"

typedef struct tl_backend_exchange tl_backend_exchange;
struct tl_backend_exchange {
    tl_exchange exchange;             /* first: the handle */
    tl_backend_exchange *prev, *next; /* in the owner's list */
    /* The exchange is over: it ended or was cancelled (`fail` NULL), or it failed. Called before
     * the sink's last call. The owner unlinks the exchange; this module frees it. */
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

/* Copies everything; does not call the sink from inside. A question that cannot be asked (a path
 * that is not served, a strange content type) ends with on_fail. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_backend_exchange_start(const tl_backend_route *route, const tl_ask *ask,
                                          const tl_exchange_sink *sink, void *user,
                                          tl_backend_exchange **ret_x);
/* Makes an exchange that only fails, soon but not from inside this call. `message` is static.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_backend_exchange_refuse(tl_loop *loop, tl_fail fail, const char *message,
                                           const tl_exchange_sink *sink, void *user,
                                           tl_backend_exchange **ret_x);
/* Ends the exchange, closes its connection, and tells the sink. */
void tl_backend_exchange_fail(tl_backend_exchange *x, tl_fail fail, const char *message);

#endif
