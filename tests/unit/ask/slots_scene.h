/* slots_scene.h - slots in front of a model server that the test plays, in virtual time: every question
 * that reaches it streams server-sent events, one content delta for each token, and ends with `usage`
 * where it is told to. */
#ifndef TESTS_UNIT_ASK_SLOTS_SCENE_H
#define TESTS_UNIT_ASK_SLOTS_SCENE_H

#include "ask/slots.h"
#include "fake_env.h"
#include "listener.h"

/* A question that the model server has. */
typedef struct served served;
struct served {
    tl_exchange exchange; /* first: the handle */
    struct slots_scene *scene;
    tl_exchange_sink sink;
    void *user;
    tl_ask ask; /* its body is gone: */
    tl_buf body;
    unsigned prompt, left; /* tokens: of the prompt, and still to come */
    unsigned streamed;
    bool headed, paused;
    served *prev, *next;
};

typedef struct slots_scene {
    fake_env env;
    tl_slots *slots;
    served *running; /* the oldest first */
    unsigned n_running, n_started;
    bool tells_usage;
    tl_err refuses; /* the next questions; TL_OK: it takes them */
} slots_scene;

void slots_scene_init(slots_scene *s, unsigned slots, unsigned queue_max, tl_time wait_max);
/* Every question must be over. */
void slots_scene_clear(slots_scene *s);

/* What is asked: so many tokens of prompt, told by `usage`, and so many generated. */
typedef struct {
    bool private;
    unsigned network, member; /* of no meaning for the model server */
    int64_t bid;              /* public; -1: no maximum is given */
    int64_t price;            /* that was agreed on */
    unsigned prompt, generated;
    const char *body;
} slots_question;
/* The question is the listener's. */
void slots_scene_ask(slots_scene *s, const slots_question *q, listener *l);
tl_err slots_scene_try(slots_scene *s, const slots_question *q, listener *l);

/* Time passes, then what is due is done. */
void slots_scene_pass(slots_scene *s, tl_time time);
/* The same, and after it every running answer streams `tokens` more; those that are at their end end. */
void slots_scene_stream(slots_scene *s, tl_time time, unsigned tokens);
/* The running question of this listener. */
served *slots_scene_served(slots_scene *s, const listener *l);
void served_head(served *v, int status);
/* Content deltas, in one piece. */
void served_tokens(served *v, unsigned n);
void served_end(served *v);
void served_fail(served *v, tl_fail fail);

#endif
