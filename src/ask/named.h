/* named.h - a question whose client gave it a name (X-Teale-Request): it goes out once the name is
 * stored, so that the same name again is never worked at, not even after a crash. An exchange before
 * another one's; knows neither the store nor who answers. */
#ifndef TL_ASK_NAMED_H
#define TL_ASK_NAMED_H

#include "ask/exchange.h"

typedef struct {
    /* Stores the name: on_named follows, not from inside this call, with TL_OK after the commit,
     * TL_ERR_EXISTS where the name was given before, or another error where it is not stored.
     * Returns TL_ERR_EXISTS where that is known at once; TL_ERR_BUSY, TL_ERR_NOMEM. */
    tl_err (*name)(void *user, const tl_ask *ask, void (*on_named)(void *q, tl_err e), void *q,
                   void **ret_naming);
    /* on_named is not wanted any more, and the name is free again. */
    void (*forget)(void *naming);
    /* Nothing came of the question: its name may be given again. */
    void (*unname)(void *user, const char *id);
    tl_ask_fn ask; /* who answers */
    /* Has anybody had the question? */
    bool (*was_asked)(const tl_exchange *inner);
    void *user;
} tl_named_world;

/* `world` is borrowed until the exchange is over. Copies the body. TL_ERR_EXISTS: the name was given
 * before; nothing is asked. TL_ERR_BUSY, TL_ERR_NOMEM. Later it may end with TL_FAIL_DUPLICATE, or with
 * UNAVAILABLE where the name cannot be stored. */
TL_CHECK tl_err tl_named_ask(const tl_named_world *world, const tl_ask *ask,
                             const tl_exchange_sink *sink, void *user, tl_exchange **ret_exchange);

#endif
