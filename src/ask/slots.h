/* slots.h - the queue before the model server: an exchange in front of the backend's. A question waits
 * until the model server has a free slot and market/sched says that it is its turn; then it runs, and
 * is charged what was delivered as its answer passes. Sans-IO; knows neither the backend (it is handed
 * a function) nor who may ask. The questions of this machine's owner do not come here.
 *
 * What is charged. With the first byte of the answer the prompt, as far as it is known; while it streams,
 * a generated token for each content delta (ask/usage); in the end what tl_usage_delivered says. A question that got no answer, or one that is
 * no success (a status above 299), is charged nothing; one that was cut short, what was delivered. A
 * prompt whose tokens nobody counted is at most TL_SLOTS_PROMPT_MAX: a larger body holds pictures or
 * sound.
 *
 * No question waits for longer than wait_max; at most queue_max of each class wait at once. */
#ifndef TL_ASK_SLOTS_H
#define TL_ASK_SLOTS_H

#include "ask/exchange.h"
#include "base/env.h"
#include "market/sched.h"

#define TL_SLOTS_MAX        1024 /* slots; no model server answers more at once */
#define TL_SLOTS_QUEUE_MAX  4096 /* questions of a class that wait; each keeps its body */
#define TL_SLOTS_PROMPT_MAX 32768

typedef struct tl_slots tl_slots;

typedef struct {
    unsigned slots; /* questions of others that the model server has at once, 1 to TL_SLOTS_MAX */
    unsigned queue_max; /* 0 to TL_SLOTS_QUEUE_MAX, of each class */
    tl_time wait_max;   /* a question that waited so long fails with QUEUE_FULL */
} tl_slots_config;

/* TL_ERR_NOMEM. `ask` is how the model server is asked; TL_ERR_NOT_FOUND from it: it does not have the
 * model any more; any other error: not now. */
TL_CHECK tl_err tl_slots_new(const tl_env *env, const tl_slots_config *config, tl_ask_fn ask,
                             void *ask_user, tl_slots **ret_slots);
/* What is left ends without a call. Before the backend. */
void tl_slots_free(tl_slots *s);
/* Takes effect at once; what runs goes on, also where it is more than `slots`. */
void tl_slots_set_config(tl_slots *s, const tl_slots_config *config);

/* A tl_ask_fn; `slots` is the tl_slots. The class of the question is private where ask->has_network,
 * which ask/access has judged by then. Copies the body where the question waits. Returns no other
 * error than TL_ERR_NOMEM: a full queue comes as on_fail. */
TL_CHECK tl_err tl_slots_ask(void *slots, const tl_ask *ask, const tl_exchange_sink *sink,
                             void *user, tl_exchange **ret_exchange);

/* No question is taken from now on: those that wait, and with `running` those that run, fail with
 * UNAVAILABLE and these words, a literal, so that their askers go on elsewhere. */
void tl_slots_close(tl_slots *s, const char *why, bool running);
void tl_slots_open(tl_slots *s);
/* The words of tl_slots_close; NULL while it is open. */
const char *tl_slots_closed(const tl_slots *s);

/* Gives free slots away, and tells of what has failed. */
void tl_slots_run(tl_slots *s);
void tl_slots_on_timer(tl_slots *s);
tl_time tl_slots_expiry(const tl_slots *s);

typedef struct {
    unsigned slots, running;
    unsigned queued[TL_SCHED_CLASSES];
    /* For so many seconds a question that came now would wait; 0: it would run at once. */
    unsigned wait_seconds[TL_SCHED_CLASSES];
    /* Tokens of answers that are over. */
    uint64_t prompt[TL_SCHED_CLASSES], generated[TL_SCHED_CLASSES];
    uint64_t streamed; /* generated tokens as they came, also of answers that are not over */
    uint64_t began[TL_SCHED_CLASSES];    /* questions that got a slot */
    tl_time waited[TL_SCHED_CLASSES];    /* by them, in sum */
    tl_time waited_max;                  /* by any of them */
    uint64_t turned_away, gave_up, late; /* by a full queue; by their askers; after wait_max */
} tl_slots_facts;
void tl_slots_facts_of(const tl_slots *s, tl_slots_facts *ret_facts);

/* One question that runs or waits. */
typedef struct {
    const tl_ask *ask;           /* borrowed; it has no body */
    bool running;                /* the model server has it; else `progress` tells its place */
    bool answering;              /* the first byte of its answer is here */
    tl_time asked, began, first; /* when; the last two only where `running`, `answering` */
    uint64_t generated;          /* tokens so far */
    tl_progress progress;
} tl_slots_question;
/* Tells of each, until `each` returns false: those that run first, then those that wait, each the
 * oldest first. From inside `each` nothing of the slots is called. */
void tl_slots_each(const tl_slots *s, bool (*each)(void *user, const tl_slots_question *q),
                   void *user);
/* Units delivered to the class so far (market/sched.h). */
uint64_t tl_slots_served(const tl_slots *s, tl_sched_class class);

#endif
