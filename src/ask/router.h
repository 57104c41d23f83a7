/* router.h - decides who answers a question: the local model server if it has the model, else a
 * peer that lists it, asking the relay for one where none is known; another if the first fails
 * before its answer began. Carries no bytes itself but the question's body. Sans-IO. */
#ifndef TL_ASK_ROUTER_H
#define TL_ASK_ROUTER_H

#include "ask/access.h"
#include "ask/asker.h"
#include "ask/server.h"
#include "base/env.h"
#include "peer/peers.h"

#define TL_MODEL_AUTO      "teale-auto" /* takes the best route */
#define TL_ROUTE_TRIES_MAX 4            /* providers asked for one question */
#define TL_ROUTE_FIND_WITHIN                                                                       \
    (10 * TL_SEC) /* to learn of a provider; after that the question fails */

typedef struct tl_router tl_router;

/* This machine's own model server, and the way to ask the relay who serves a model. */
typedef struct {
    size_t (*local_count)(void *user); /* models it serves now */
    const char *(*local_model)(void *user, size_t i);
    tl_ask_fn local_ask;
    /* Why there is no local model server; "" when there is one, or none is wanted. */
    const char *(*local_error)(void *user);
    /* As tl_relay_link_discover; tl_router_on_discovered follows a TL_OK. */
    tl_err (*discover)(void *user, const char *model);
    /* NULL: the relay may still come. Else why it will not. */
    const char *(*relay_hopeless)(void *user);
    /* The same for a person while it may still come: "connecting to ..." */
    const char *(*relay_error)(void *user);
    /* A question is over: `fail` TL_FAIL_COUNT = answered. */
    void (*on_done)(void *user, const tl_ask *ask, const tl_answer_head *head, tl_fail fail);
} tl_router_world;

typedef struct {
    uint64_t asked, answered, failed, retried, local;
} tl_router_counters;

/* `access` is borrowed for life. */
TL_CHECK tl_err tl_router_new(const tl_node_id *own, const tl_env *env, const tl_access *access,
                              tl_peer_table *table, tl_peers *peers, tl_asker *asker,
                              const tl_router_world *world, void *user, tl_router **ret_router);
void tl_router_free(tl_router *r);
/* From now on questions fail with `unavailable`. */
void tl_router_drain(tl_router *r);

/* As tl_node_ask. */
TL_CHECK tl_err tl_router_ask(tl_router *r, const tl_ask *ask, const tl_exchange_sink *sink,
                              void *user, tl_exchange **ret_exchange);
void tl_router_on_discovered(tl_router *r, const char *model, bool ok);
/* The relay is connected, or has become hopeless; or this node serves other models than before. */
void tl_router_on_relay(tl_router *r);
/* Begins what was asked since. */
void tl_router_run(tl_router *r);
void tl_router_on_timer(tl_router *r);
tl_time tl_router_expiry(const tl_router *r);
size_t tl_router_running(const tl_router *r);
const tl_router_counters *tl_router_counters_of(const tl_router *r);

#endif
