/* sharing.h - a test's backend: its loop, a scripted model server, and what each question was told.
 */
#ifndef SHARING_H
#define SHARING_H

#include "backend/backend.h"
#include "scripted.h"

/* What the scripted server answers; may be changed while it runs, between the client's requests. */
typedef struct {
    const char *list;               /* the JSON of /v1/models; NULL: 404 */
    int list_status;                /* of that answer; 0: 200 */
    const char *key;                /* asked for; NULL: none */
    const char *extra_path, *extra; /* one more route and its JSON */
    const char *answer;             /* the bytes that answer a question */
    bool hold; /* after the answer, wait until the client is gone; else close if `close` */
    bool close;
    void (*instead)(scripted *s, parrot_conn *c, const parrot_request *r); /* of the answer */
    atomic_int looks, refused_keys;
    char path[64], content_type[128]; /* of the last question */
} model_server;

void serve_models(scripted *s, parrot_conn *c);

typedef struct {
    tl_loop *loop;
    tl_backend *backend;
    int changes, running;
    tl_timer guard;
} share;

typedef struct told {
    share *k;
    tl_exchange *exchange;
    int heads, bodies, ends, fails;
    tl_answer_head head;
    tl_answer_end end;
    tl_fail fail;
    char message[512];
    tl_buf body;
    size_t body_n;
    bool drop_body;
    void (*in_head)(struct told *t);
    void (*in_body)(struct told *t);
    void (*in_end)(struct told *t); /* and in a failure */
    void *user;                     /* of these */
} told;

#define LIST_ONE                                                                                   \
    "{\"object\":\"list\",\"data\":[{\"id\":\"m1\",\"object\":\"model\",\"owned_by\":\"me\"}]}"
#define LIST_ONE_VLLM "{\"object\":\"list\",\"data\":[{\"id\":\"m1\",\"owned_by\":\"vllm\"}]}"
#define LIST_TWO      "{\"object\":\"list\",\"data\":[{\"id\":\"m1\"},{\"id\":\"m2\"}]}"

/* With short times: a look every 20 ms. */
tl_backend_config share_config(const char *url);
void share_init(share *k, const tl_backend_config *config);
void share_clear(share *k);
/* Until the state is so; fails after 10 s. */
void share_await(share *k, tl_backend_state state);
void share_ask(share *k, told *t, const char *body);
void share_ask_full(share *k, told *t, const tl_ask *ask);
tl_ask share_question(const char *body);
/* Until no question runs. */
void share_run(share *k);
void share_run_for(share *k, tl_time time);
void share_cancel(told *t);
const char *told_text(told *t);

#endif
