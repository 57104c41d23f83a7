/* exchange.h - one request to another node about fragments, and its answer. An interface: over a stream
 * between nodes, in tests it is a function. Knows nothing of what a fragment is for. */
#ifndef TL_BACKUP_EXCHANGE_H
#define TL_BACKUP_EXCHANGE_H

#include "backup/talk.h"

typedef struct tl_exchanges tl_exchanges;
typedef struct tl_fragment_call tl_fragment_call;

/* In the caller's memory from tl_exchanges_ask until on_answer or tl_exchanges_cancel. */
struct tl_fragment_call {
    /* Once, never from inside tl_exchanges_ask. TL_OK: `answer` is a message that answers the request
     * (not an error), and `body` what came with it; both borrowed for the call. Else `answer` is NULL
     * and `why` is for a person. TL_ERR_UNREACHABLE: no connection, or it broke off. TL_ERR_NOT_FOUND,
     * TL_ERR_FORBIDDEN, TL_ERR_BUSY (no room there), TL_ERR_AGAIN (not now): the peer says so. TL_ERR_PROTO: it is no answer.
     * TL_ERR_TIMEOUT, TL_ERR_NOMEM. */
    void (*on_answer)(tl_fragment_call *c, tl_err e, const tl_talk *answer, tl_slice body,
                      const char *why);
    void *user;
    /* the implementation's */
    void *impl;
};

typedef struct {
    /* `m` is copied. `body` is borrowed until the call is over. */
    tl_err (*ask)(void *user, tl_fragment_call *c, const tl_node_id *peer, const tl_talk *m,
                  tl_slice body);
    void (*cancel)(void *user, tl_fragment_call *c);
} tl_exchanges_calls;

struct tl_exchanges {
    const tl_exchanges_calls *calls;
    void *user;
};

static inline tl_err tl_exchanges_ask(tl_exchanges *x, tl_fragment_call *c, const tl_node_id *peer,
                                      const tl_talk *m, tl_slice body)
{
    return x->calls->ask(x->user, c, peer, m, body);
}
static inline void tl_exchanges_cancel(tl_exchanges *x, tl_fragment_call *c)
{
    x->calls->cancel(x->user, c);
}

#endif
