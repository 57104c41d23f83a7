/* slots_load.h - a long load on slots, in virtual time: clients that ask again as soon as they may, and
 * what each question got and waited. Deterministic: the same seed, the same load. */
#ifndef TESTS_UNIT_ASK_SLOTS_LOAD_H
#define TESTS_UNIT_ASK_SLOTS_LOAD_H

#include "slots_scene.h"

#include "base/rand.h"

#define LOAD_CLIENTS_MAX 8
#define LOAD_AT_ONCE_MAX 8
#define LOAD_PROMPT_MAX  2000
#define LOAD_TOKENS      20            /* of every running answer, in one piece */
#define LOAD_TICK        (400 * TL_MS) /* in which they come: 50 tokens a second */

typedef struct {
    bool private;
    unsigned network, member;
    unsigned at_once;           /* questions that it always has under way; 0: it is away */
    unsigned prompt_max;        /* tokens of a prompt: 0 to this */
    unsigned shortest, longest; /* tokens of an answer */
} load_client;

/* A question that ended. */
typedef struct {
    tl_time at, waited;
    bool private, answered;
    uint64_t served[TL_SCHED_CLASSES]; /* units of each class until then */
} load_mark;

typedef struct {
    struct slots_load *load;
    unsigned client;
    tl_time asked_at, waited;
    bool waits;
    listener l;
} load_question;

typedef struct slots_load {
    slots_scene s;
    tl_rand rand;
    load_client clients[LOAD_CLIENTS_MAX];
    size_t n_clients;
    load_question questions[LOAD_CLIENTS_MAX][LOAD_AT_ONCE_MAX];
    uint64_t units[LOAD_CLIENTS_MAX]; /* that each client got, as they came */
    load_mark *marks;                 /* the caller's; the first n_marks are written */
    size_t n_marks, marks_max;
} slots_load;

void slots_load_init(slots_load *w, uint64_t seed, unsigned slots, tl_time wait_max);
void slots_load_clear(slots_load *w);
/* One LOAD_TICK: asks what is missing, and streams. */
void slots_load_tick(slots_load *w);
bool slots_load_is_full(const slots_load *w);
/* The client has a question in the queue now. */
bool slots_load_waits(const slots_load *w, unsigned client);

/* The largest distance of the private share from 70%, in percent, over any `n` marks in a row. */
double slots_load_worst(const load_mark *marks, size_t count, size_t n);

#endif
