/* backend.h - the model server that this machine shares; it may be any server that speaks the
 * OpenAI API. Finds it, watches its health, reads its models, and carries exchanges to it. Knows
 * nothing of peers. */
#ifndef TL_BACKEND_BACKEND_H
#define TL_BACKEND_BACKEND_H

#include "ask/exchange.h"
#include "io/loop.h"

typedef struct tl_backend tl_backend;

#define TL_BACKEND_SEARCH_MAX 8

typedef struct {
    char url[512];      /* base URL with or without /v1; "" = look for a server on the default
                           ports */
    char key_file[512]; /* file with the bearer key for the model server; "" = none */
    tl_time first_byte; /* default 300 s */
    tl_time silence;    /* between two pieces of the answer; default 120 s */
    /* While the server is up, also while it answers: default 10 s, and 25 s after a minute without a question (at
     * multiples of 25 s). While it is not up: from 1 s, rising to 30 s. */
    tl_time health_interval;
    tl_time look_limit;   /* how long a look at its health may take; default 5 s */
    uint32_t running_max; /* exchanges at once; default 1024; more fail with
                                TL_FAIL_QUEUE_FULL */
    uint16_t search_ports[TL_BACKEND_SEARCH_MAX]; /* tried on 127.0.0.1 when url is ""; a 0 ends
                                                     them */
} tl_backend_config;
tl_backend_config tl_backend_config_default(void);

typedef enum {
    TL_BACKEND_NONE,   /* no server is configured, and none was found */
    TL_BACKEND_TRYING, /* the server has not answered yet */
    TL_BACKEND_UP,
    TL_BACKEND_DOWN,    /* the server answered before, but does not now */
    TL_BACKEND_REFUSED, /* the server answers, but wants a key, or another key */
} tl_backend_state;

/* Why the server is not up. */
typedef enum {
    TL_BACKEND_NO_TROUBLE,   /* it is up, or no look has ended yet */
    TL_BACKEND_SILENT,       /* no connection, no answer in time, or it says "not now" (429, 5xx) */
    TL_BACKEND_WANTS_KEY,    /* and no key is configured */
    TL_BACKEND_KEY_REFUSED,  /* it wants another key */
    TL_BACKEND_NOT_ONE,      /* what answers there is no model server that can be shared */
    TL_BACKEND_NONE_FOUND,   /* no URL was given, and no usual port has a server */
    TL_BACKEND_FOUND_LOCKED, /* as before; but one usual port has a server that wants a key */
} tl_backend_trouble;

typedef struct {
    /* The state, the list of models or the number of slots changed. */
    void (*on_change)(void *user);
} tl_backend_events;

TL_CHECK tl_err tl_backend_new(tl_loop *loop, const tl_backend_config *config,
                               const tl_backend_events *events, void *user,
                               tl_backend **ret_backend, tl_why *why);
/* Exchanges that still run fail with TL_FAIL_UNAVAILABLE. Not allowed inside a call of a sink. */
void tl_backend_free(tl_backend *b);

/* Requests that were started leave now, not at the end of this turn of the loop. Not allowed inside a call of
 * a sink. */
void tl_backend_go(tl_backend *b);

tl_backend_state tl_backend_state_of(const tl_backend *b);
tl_backend_trouble tl_backend_trouble_of(const tl_backend *b);
const char *tl_backend_url(const tl_backend *b);    /* "" while there is none */
const char *tl_backend_locked(const tl_backend *b); /* the server of TL_BACKEND_FOUND_LOCKED */
const char *tl_backend_kind(const tl_backend *b);  /* "Ollama", "llama-server", "vLLM", "LM Studio",
                                                      "llama-cpp-python" or "OpenAI-compatible" */
const char *tl_backend_error(const tl_backend *b); /* why the server is not up; "" when it is */
size_t tl_backend_model_count(const tl_backend *b);          /* 0 unless the server is up */
const char *tl_backend_model(const tl_backend *b, size_t i); /* borrowed until the next on_change */

/* Sends the question. The answer comes through `sink`, never from inside this call. Copies the
 * body, and sends ask->body byte for byte. Returns no other error than TL_ERR_NOMEM: other failures
 * come as on_fail. */
TL_CHECK tl_err tl_backend_ask(tl_backend *b, const tl_ask *ask, const tl_exchange_sink *sink,
                               void *user, tl_exchange **ret_exchange);
size_t tl_backend_running(const tl_backend *b);
/* How many questions the server answers at once, as it tells; 0: it does not. */
unsigned tl_backend_slots(const tl_backend *b);

#endif
