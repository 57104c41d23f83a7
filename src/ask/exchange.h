/* exchange.h - one question and its answer, whoever answers it: the shape that the backend, a peer
 * and the router share, so that the API does not know which of them it talks to. No code of its own
 * but the names of failures. Everything happens on the loop's thread. */
#ifndef TL_ASK_EXCHANGE_H
#define TL_ASK_EXCHANGE_H

#include "base/number.h"
#include "base/time.h"
#include "crypto/identity.h"
#include "path/via.h"
#include "wire/codes.h"

/* A request's body; a larger one is answered with 413. OpenAI takes sound of 25 MB; the rest of a form
 * fits into the MiB beside it. */
#define TL_BODY_MAX (26u << 20)

typedef struct {
    /* 1 to 64 of [A-Za-z0-9._-], unique: 32 hex digits, or what the client says; requestID on the
     * wire, X-Teale-Request */
    char id[65];
    char model[TL_MODEL_MAX];
    bool streaming;
    char path[64]; /* "/v1/chat/completions" */
    char content_type[128];
    tl_slice body; /* the client's bytes; borrowed until the ask function returns */
    bool named;    /* the client gave the id: the same one again is not worked at */
    bool has_peer; /* ask exactly this peer */
    tl_node_id peer;
    bool from_peer; /* came from another node (`requester`), not from this machine */
    tl_node_id requester;
    /* The private network that the question belongs to. Asking: of `network` alone, where `scoped`.
     * Serving: what the requester claims, until ask/access has judged it. */
    bool scoped, has_network;
    tl_node_id network;
    /* Micro-credits for 1000 tokens: what the asker pays at most, and what was agreed on, of which
     * version of the bid or of the network's price. */
    tl_maybe max_price, price, price_version;
} tl_ask;

/* Why a question failed. The first eight are on the wire under these names (docs/protocol.md);
 * the others travel as `internal_error` or `unavailable` with the name in a field `detail`. */
typedef enum {
    TL_FAIL_MODEL_NOT_LOADED,
    TL_FAIL_QUEUE_FULL,
    TL_FAIL_UNAVAILABLE,
    TL_FAIL_INTERNAL,
    TL_FAIL_TIMEOUT,
    TL_FAIL_CANCELLED,
    TL_FAIL_FORBIDDEN,
    TL_FAIL_PAYMENT_REQUIRED,
    TL_FAIL_NO_PROVIDER,         /* nobody known serves this model now */
    TL_FAIL_PEER_FAILED,         /* the peer's connection broke or it spoke nonsense */
    TL_FAIL_BACKEND_UNREACHABLE, /* the model server does not answer */
    TL_FAIL_BACKEND_AUTH,        /* it wants another key */
    TL_FAIL_BACKEND_ERROR,       /* it failed: 5xx, garbage, closed mid-answer */
    TL_FAIL_DUPLICATE,           /* this very request was made before */
    TL_FAIL_COUNT
} tl_fail;
const char *tl_fail_name(tl_fail f);
/* TL_ERR_NOT_FOUND for a name that is none. */
TL_CHECK tl_err tl_fail_parse(tl_slice name, tl_fail *ret_fail);

typedef struct {
    int status; /* HTTP, one that passes; everything else is a tl_fail */
    char content_type[128];
    char retry_after[32]; /* "" = none */
    tl_node_id peer;      /* who answers; one's own id for local */
    tl_via via;
    bool has_network; /* it was answered as a question of `network` */
    tl_node_id network;
    tl_maybe price; /* micro-credits for 1000 tokens */
} tl_answer_head;

typedef struct {
    uint64_t tokens_in, tokens_out; /* 0 when unknown */
    tl_time streamed; /* from the first byte to the end, while nobody held it up; 0: unknown */
    bool refused;     /* served: the model server's answer was no 2xx */
} tl_answer_end;

#define TL_WAIT_SECONDS_MAX 3600 /* a longer wait is told as this */

/* What is told with a failure. */
typedef struct {
    tl_fail fail;
    const char *message;  /* for a person; "" = none */
    unsigned retry_after; /* QUEUE_FULL: seconds until a place is likely, 1 to 3600; 0: unknown */
    tl_maybe price, price_version; /* PAYMENT_REQUIRED: what the question would cost now */
} tl_failure;

/* What a question waits for that stands in no queue; in the middle of an answer, for its next bytes. */
typedef enum {
    TL_WAITS_UNKNOWN,
    TL_WAITS_PEER,   /* nobody has it yet: a provider is looked for, or connected to */
    TL_WAITS_ANSWER, /* a provider has it, and has said nothing */
    TL_WAITS_MODEL,  /* a model server works at it, or loads the model first */
    TL_WAITS_PATH, /* nothing comes from the provider's node any more: its path is being looked at */
} tl_waits_for;

/* How far a question is that has no answer yet, or no end of one: then only `waits_for` counts. */
typedef struct {
    unsigned position;      /* in the queue of whoever has the question, from 1; 0: it is in none */
    unsigned wait_seconds;  /* for so long it is likely to wait; 0: unknown */
    tl_waits_for waits_for; /* position 0; as far as this side knows */
} tl_progress;
/* "peer", "answer", "model", "path", of one in a queue "queue"; "unknown". */
const char *tl_progress_waits_for(const tl_progress *p);

/* 2xx, 400, 404, 413, 422, 429: what the model server itself says of the question. Any other status
 * is a failure of whoever answers. */
bool tl_answer_status_passes(int status);
bool tl_answer_is_events(const char *content_type);
/* The answer is worth having before its end: events, sound, or what was asked for as a stream. Any
 * other is held until it is whole, as far as it is held at all (TL_ANSWER_HELD_MAX): a provider that
 * dies in its middle has then spoilt nothing. */
bool tl_answer_is_live(bool streaming, const tl_answer_head *head);
#define TL_ANSWER_HELD_MAX (1u << 20)

/* What becomes of a question, told by calls: on_head, on_body any number of times, then on_end or
 * on_fail; on_fail may come at any point. The contract, for every implementer and every sink:
 *
 *  - No call comes from inside the function that asks, tl_exchange_cancel or
 *    tl_exchange_set_paused. So two calls of one exchange never nest.
 *  - From inside any call the sink may pause and resume this exchange, pause, resume and cancel
 *    others, and ask new questions. From inside on_head and on_body it may cancel this one, too.
 *  - After on_end, on_fail and tl_exchange_cancel the exchange is over: no call follows, and the
 *    handle is invalid. It is so already inside on_end and on_fail. The sink may free its `user`
 *    from then on, also before the call returns in which it cancelled.
 *  - What a call is handed is borrowed until it returns, or cancels this exchange.
 *  - While an exchange is paused no on_body comes; the others may.
 *  - on_progress may be NULL. It comes any number of times before the first on_body, and says that
 *    whoever has the question works at it, or keeps it in a queue. Inside it the sink may do what it
 *    may inside on_head.
 *  - From inside a call the sink does not free the implementer (tl_asker_free, tl_router_free,
 *    tl_backend_free). When these are called, a backend's exchanges fail; an asker's and a router's
 *    end without a call. */
typedef struct {
    void (*on_head)(void *user, const tl_answer_head *head);
    void (*on_body)(void *user, tl_slice bytes);
    void (*on_end)(void *user, const tl_answer_end *end);
    void (*on_fail)(void *user, const tl_failure *failure);
    void (*on_progress)(void *user, const tl_progress *progress);
} tl_exchange_sink;

/* The handle. Whoever implements exchanges embeds it as first member. */
typedef struct tl_exchange tl_exchange;
struct tl_exchange {
    void (*cancel)(tl_exchange *x);
    void (*set_paused)(tl_exchange *x, bool on);
    tl_progress (*progress)(const tl_exchange *x); /* NULL: nothing is known */
};

/* Whatever answers. `ask` and its body are borrowed until this returns. */
typedef tl_err (*tl_ask_fn)(void *user, const tl_ask *ask, const tl_exchange_sink *sink,
                            void *sink_user, tl_exchange **ret_exchange);

/* Ends the exchange; nobody is told. */
static inline void tl_exchange_cancel(tl_exchange *x)
{
    x->cancel(x);
}
/* How far the question is, as far as this side knows. */
static inline tl_progress tl_exchange_progress(const tl_exchange *x)
{
    return x->progress ? x->progress(x) : (tl_progress){0};
}
/* Back-pressure: while on, no on_body comes. Said twice, it counts once. */
static inline void tl_exchange_set_paused(tl_exchange *x, bool on)
{
    x->set_paused(x, on);
}

#endif
