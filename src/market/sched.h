/* sched.h - which waiting question the model server gets next: weighted fair queuing between private
 * networks and the public, and within a network between its members. Decides only; it has no clock,
 * no connection and no model server.
 *
 * Service is counted in units as it is delivered: a prompt token is 1, a generated one 2 (the cost of
 * the Virtual Token Counter: Sheng et al., OSDI 2024). A class, network or member is a *flow*; v is
 * its service over its weight. A slot goes to the flow with the least v + r T / w, where r is the
 * number of its questions that run, and T what a running question typically gets in all: E[u^2] / E[u]
 * of the units u of the last answers, since a long one is met more often than a short one. T is the same
 * for all, so that who has slots already leaves the next one to others, whatever its answers are like. A
 * flow that was idle begins at the least v of those that were not: idleness banks nothing, and a time
 * alone is never paid back.
 *
 * The bound. n is the number of slots, w the weights, J the most units of one question (with what was
 * charged and taken back in the end), or TL_SCHED_FIRST where that is more. While two
 * flows of one parent both have questions waiting,
 *
 *     | S_a / w_a  -  S_b / w_b |  <=  n J / min(w_a, w_b)
 *
 * where S is their service since both began to wait, plus what their v differed by then. For: when a
 * last got a slot, v_a <= v_b + k T / w_b, with k running questions of b, and T <= J. Since then a can
 * have got no more than its own at most n - k running questions give, (n - k) J / w_a; and v_b only
 * grew. tests/unit/market/test_sched.c tests it.
 *
 * The public. The highest bid goes first, and of those that bid alike each peer in turn with its oldest
 * question. A maximum may cost nothing, so a turn passes no one for ever: a peer has its turn behind those
 * that waited when it came, or was served. The one whose turn is first is passed by TL_SCHED_PASSED_MAX
 * times in a row at most, and a peer's oldest question by so many of its own. So with
 * K = TL_SCHED_PASSED_MAX + 1 the peer at turn i gets one of the next K i slots that the public gets, and
 * the oldest question of each peer one of the next K^2 P, where P is the number of peers that wait at
 * once, at most queue_max. */
#ifndef TL_MARKET_SCHED_H
#define TL_MARKET_SCHED_H

#include "base/time.h"
#include "crypto/identity.h"

#define TL_SCHED_PROMPT         1 /* units a token */
#define TL_SCHED_GENERATED      2
#define TL_SCHED_FIRST          1024 /* units: T before any answer was seen */
#define TL_SCHED_PRIVATE_WEIGHT 70   /* seed 002: "70% of scheduling weight" */
#define TL_SCHED_PUBLIC_WEIGHT  30
/* Seven of eight slots follow the bids alone, whatever is bid. */
#define TL_SCHED_PASSED_MAX     7
/* Members and networks that wait no more and were served beyond their share; the one that owes the
 * least is forgotten first. */
#define TL_SCHED_DEBTORS_MAX    1024

typedef enum { TL_SCHED_PRIVATE, TL_SCHED_PUBLIC, TL_SCHED_CLASSES } tl_sched_class;

typedef struct tl_sched tl_sched;
typedef struct tl_job tl_job;

typedef struct {
    unsigned slots;     /* questions that run at once; the owner's are not counted */
    unsigned queue_max; /* that wait, of each class */
} tl_sched_config;

/* TL_ERR_NOMEM. */
TL_CHECK tl_err tl_sched_new(const tl_sched_config *config, tl_sched **ret_sched);
/* Every job must be done before. */
void tl_sched_free(tl_sched *s);
/* Takes effect with the next choice and the next question; what runs and what waits goes on. */
void tl_sched_set_config(tl_sched *s, const tl_sched_config *config);
/* A paused scheduler gives no slot; questions still wait. */
void tl_sched_pause(tl_sched *s, bool paused);

/* What a question says of itself. */
typedef struct {
    tl_sched_class class;
    tl_node_id network; /* PRIVATE */
    tl_node_id member;
    int64_t bid; /* PUBLIC: micro-credits for 1000 tokens, from 0; the highest goes first */
    void *user;
} tl_job_wish;

/* Waits. TL_ERR_BUSY: the class has queue_max waiting. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_sched_add(tl_sched *s, const tl_job_wish *wish, tl_time now, tl_job **ret_job);
/* The queue of the wish's class is full: the question that makes room for it, which the caller then gives
 * up; NULL: none. It is the last one of who has the most waiting, where that is at least two more than
 * the wish's own: among networks, else among the members of one; of the public among its peers. So a
 * queue that everybody wants is shared alike, and one that a single peer wants is all its own. Where nobody
 * of the public has so many more, the last question of the lowest bid gives way to a higher bid; the
 * peer whose turn is first keeps its place. So keys that cost nothing do not hold the queue against who
 * pays. */
tl_job *tl_sched_yields(const tl_sched *s, const tl_job_wish *wish);
/* The next question to run, which now has a slot; NULL: none waits, or no slot is free. */
tl_job *tl_sched_next(tl_sched *s, tl_time now);
/* What was delivered since the last call. */
void tl_sched_charge(tl_job *job, uint64_t prompt, uint64_t generated);
/* What it got in all, as it is known in the end: corrects what was charged. Before tl_sched_done. */
void tl_sched_settle(tl_job *job, uint64_t prompt, uint64_t generated);
/* It ended, or was given up, running or not; frees it. */
void tl_sched_done(tl_job *job, tl_time now);

void *tl_job_user(const tl_job *job);
bool tl_job_is_running(const tl_job *job);
tl_time tl_job_waiting_since(const tl_job *job);
/* The place in its class, from 1, as far as it can be told now: a later question of somebody who
 * was served less may come before. 0: it runs. */
unsigned tl_job_place(const tl_job *job);
/* Seconds, from 1 to 3600: until a question at `place` of the class gets a slot, by what the last
 * ones took. For Retry-After, take the place behind the last. */
unsigned tl_sched_wait_seconds(const tl_sched *s, tl_sched_class class, unsigned place);

unsigned tl_sched_waiting(const tl_sched *s, tl_sched_class class);
unsigned tl_sched_running(const tl_sched *s);
/* Units delivered to the class so far. */
uint64_t tl_sched_served(const tl_sched *s, tl_sched_class class);

#endif
