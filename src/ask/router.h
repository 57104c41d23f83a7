/* router.h - decides who answers a question: the local model server if it has the model, else a
 * peer that lists it, asking the relay for one where none is known. Until the first byte of an
 * answer has come, nothing is lost: another provider is asked when one fails, and beside one that
 * is silent. Keeps what it was like to ask each node. Sans-IO.
 *
 * Who is asked first, of the peers that serve a named model, is ask/rank.h's affair.
 *
 * A question that is scoped to a private network goes to members alone that have shown a valid
 * certificate (ask/access.h); those that only claim to be members are met first (ask/meet.h). Any
 * other question goes to a member for that member's network, and to others in public.
 *
 * A question that waits in a provider's queue is not silent, but after 2.5 s another provider is asked
 * beside it (ask/router_queue.c).
 *
 * A node of the old protocol, which is asked in clear, comes after all others: the relay is asked for a
 * better one first, and those that have the question must have been silent for long. */
#ifndef TL_ASK_ROUTER_H
#define TL_ASK_ROUTER_H

#include "ask/access.h"
#include "ask/asker.h"
#include "ask/pace.h"
#include "ask/rank.h"
#include "ask/server.h"
#include "base/env.h"
#include "peer/peers.h"

#define TL_MODEL_AUTO          "teale-auto" /* takes the best route */
#define TL_ROUTE_TRIES_MAX     8            /* providers asked for one question */
#define TL_ROUTE_TRIES_AT_ONCE 2 /* of them at one time: a question costs no more than twice */
/* Of all answers that are not live so much is held until they are whole; a further one goes on as it
 * comes. */
#define TL_ROUTE_HELD_SUM      (16u << 20)
#define TL_ROUTE_FIND_WITHIN                                                                       \
    (10 * TL_SEC) /* to learn of a provider; after that the question fails */
#define TL_ROUTE_REACH_WITHIN                                                                      \
    (12 * TL_SEC) /* to connect to a peer that was named: a dial lasts 10 s */
/* To find the nodes of the local network, to connect to those that nobody knows, and to hear what they serve. */
#define TL_ROUTE_NEAR_WITHIN (4 * TL_SEC)

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
    /* Asks a node that speaks the old protocol alone, in clear. NULL: none is ever asked. */
    tl_ask_fn ask_old;
    /* The local network; all NULL: there is none. Connects to its nodes of which nobody knows what they serve. True:
     * tl_router_on_near_over follows, and tl_router_on_hello before it. Is that peer there? Are nodes found there at all? */
    bool (*look_near)(void *user);
    bool (*is_near)(void *user, const tl_node_id *peer);
    bool (*has_near)(void *user);
    /* What the owner of this node calls that one; NULL: nothing, or nobody is asked. */
    const char *(*alias_of)(void *user, const tl_node_id *peer);
} tl_router_world;

typedef struct {
    /* retried: after one failed. overtaken: beside one that was silent. repriced: refused for a price
     * that was another one than the bid that was known. too_dear: failed since all cost more than the
     * maximum. */
    uint64_t asked, answered, failed, retried, overtaken, local, repriced, too_dear;
} tl_router_counters;

/* `access` is borrowed for life. */
TL_CHECK tl_err tl_router_new(const tl_node_id *own, const tl_env *env, const tl_access *access,
                              tl_peer_table *table, tl_peers *peers, tl_asker *asker,
                              const tl_router_world *world, void *user, tl_router **ret_router);
void tl_router_free(tl_router *r);
/* From now on questions fail with `unavailable`. */
void tl_router_drain(tl_router *r);

/* Micro-credits for 1000 tokens that a question pays at most, where it does not say itself. */
void tl_router_set_price_max(tl_router *r, tl_maybe most);
/* How fast nodes were, also this one. Borrowed for life. */
tl_paces *tl_router_paces(tl_router *r);

/* As tl_node_ask. */
TL_CHECK tl_err tl_router_ask(tl_router *r, const tl_ask *ask, const tl_exchange_sink *sink,
                              void *user, tl_exchange **ret_exchange);
/* Was anybody asked this question, also this node's own model server? */
bool tl_router_was_asked(const tl_exchange *route);
void tl_router_on_discovered(tl_router *r, const char *model, bool ok);
/* The relay is connected, or has become hopeless; or this node serves other models than before. */
void tl_router_on_relay(tl_router *r);
/* A full list of the nodes at the relay has come: those that claim to be members are met. */
void tl_router_on_listed(tl_router *r);
/* A peer's first hello has come: what it serves is known. */
void tl_router_on_hello(tl_router *r, const tl_node_id *peer);
/* Of nobody on the local network is it unknown any more what it serves. */
void tl_router_on_near_over(tl_router *r);
/* The last connection to a peer is gone: another may stand by. */
void tl_router_on_left(tl_router *r);
/* A local client will ask this soon (its model, peer and scope count): connects to who would be asked. */
void tl_router_prepare(tl_router *r, const tl_ask *ask);
/* The book of networks has changed: looks again, and ends what a certificate no longer allows. */
void tl_router_on_book(tl_router *r);
/* Time has passed: ends what a certificate no longer allows. */
void tl_router_end_lapsed(tl_router *r);
/* Begins what was asked since. */
void tl_router_run(tl_router *r);
void tl_router_on_timer(tl_router *r);
tl_time tl_router_expiry(const tl_router *r);

/* One that lists a model, in the order in which they would be asked. */
typedef struct {
    const tl_peer
        *peer; /* borrowed until the table changes; NULL: this machine's own model server */
    bool may;  /* it may be asked now */
    tl_rank_facts facts; /* of a peer */
    bool has_network;    /* it would be asked for `network` */
    tl_node_id network;
    char reason[TL_RANK_REASON_MAX];
} tl_ranked;
/* Who would be asked a question like this one, of which model, scope and maximum count; the best first.
 * The caller frees the list. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_router_rank(tl_router *r, const tl_ask *ask, tl_ranked **ret_list,
                               size_t *ret_n);
size_t tl_router_running(const tl_router *r);
const tl_router_counters *tl_router_counters_of(const tl_router *r);

#endif
