/* server.h - answers the requests of other nodes: reads a request's stream, decides whether this
 * node takes it, has the backend answer, and streams the answer back as it comes. Sans-IO; knows
 * neither the backend (it is handed a function) nor how the peer is reached. */
#ifndef TL_ASK_SERVER_H
#define TL_ASK_SERVER_H

#include "ask/access.h"
#include "ask/exchange.h"
#include "ask/pay.h"
#include "ask/places.h"
#include "base/env.h"
#include "peer/peers.h"
#include "wire/cluster.h"

/* An inferenceRequest that comes in pieces: its fields fill a few KiB at most. */
#define TL_SERVER_REQUEST_MAX    (16u << 10)
/* Frames of a request, beside those that are worth their handling (wire/streamframe.h): askers fill
 * frames of 256 KiB. */
#define TL_SERVER_FRAMES         1024
/* A whole request: 26 MiB at 45 KiB/s, less than the slowest relay gives. */
#define TL_SERVER_READ_WITHIN    (10 * TL_MIN)
/* From a stream's beginning to its inferenceRequest, which is the first thing on it. */
#define TL_SERVER_HEAD_WITHIN    (15 * TL_SEC)
/* From a request for a private network, of whose certificate the peer has shown none, to its refusal. The
 * certificate goes by another stream, and one lost packet lets the request overtake it. It is the same
 * for every network, ours or not: the wait must not tell which. */
#define TL_SERVER_PROOF_WITHIN   (2 * TL_SEC)
/* From a refusal until the peer has taken it and ended its stream. */
#define TL_SERVER_REFUSED_WITHIN (10 * TL_SEC)
/* Of an answer that the peer does not read so much is kept, like the local API does for a client, and
 * so much of all answers. Then the model server is held back, and for no longer than this: a peer
 * that does not read must not pin it. */
#define TL_SERVER_PENDING_MAX    (1u << 20)
#define TL_SERVER_PENDING_SUM    (128u << 20)
#define TL_SERVER_STALL_MAX      TL_MIN
/* When the model server is done, the peer has TL_SERVER_STALL_MAX for each piece of this size. */
#define TL_SERVER_TAKES          (64u << 10)

/* How often an asker that wants it is told that the backend works at its question. Askers turn to
 * another node after a little more than this (ask/router.h). */
#define TL_SERVER_PROGRESS_EVERY (2 * TL_SEC)

typedef struct tl_server tl_server;

typedef struct {
    uint32_t running_max; /* requests admitted at once, being read or answered */
    tl_time body_idle;    /* between pieces of a request's body */
} tl_server_policy;

typedef struct {
    /* The name under which the model server has the model, if it is served to others now; borrowed
     * until the call's end. NULL: it is not. */
    const char *(*serves)(void *user, const char *model);
    tl_ask_fn ask;
    /* The backend is done with a request: `fail` TL_FAIL_COUNT = answered. Not told of one that
     * the peer gave up. */
    void (*on_done)(void *user, const tl_ask *ask, tl_fail fail, const tl_answer_end *end);
    /* What the question costs now: micro-credits for 1000 tokens, and the version of that price.
     * NULL: nothing, ever. */
    int64_t (*price)(void *user, const tl_ask *ask, int64_t *ret_version);
} tl_server_backend;

/* Streams that begin with another message than a question's. */
typedef struct {
    bool (*takes)(void *user, const char *name);
    /* The stream is the callee's now, with what of it was read: the message, borrowed, and the reader, whose
     * memory it takes. */
    void (*on_stream)(void *user, const tl_node_id *peer, tl_quic_stream *stream,
                      const tl_cluster_other *m, tl_frame_reader *reader);
} tl_server_others;

typedef struct {
    uint64_t served, failed, cancelled, refused, malformed, tokens_in, tokens_out;
    uint64_t refused_claims; /* of `refused`: named a network whose members may not ask us so */
} tl_server_counters;

/* `access` is borrowed for life. */
TL_CHECK tl_err tl_server_new(const tl_env *env, const tl_access *access,
                              const tl_server_policy *policy, const tl_server_backend *backend,
                              void *backend_user, tl_server **ret_server);
/* Streams and exchanges of requests under way are given up. Before tl_peers_free. */
void tl_server_free(tl_server *s);
void tl_server_set_policy(tl_server *s, const tl_server_policy *policy);
/* Borrowed for life; before the first request. */
void tl_server_set_pay(tl_server *s, const tl_pay *pay);
/* `others` is borrowed for life. */
void tl_server_set_others(tl_server *s, const tl_server_others *others, void *user);

/* Takes over a stream that `peer` opened. */
void tl_server_on_stream(tl_server *s, const tl_node_id *peer, tl_quic_stream *stream);
/* The book of networks has changed, or time has passed: ends what a certificate no longer allows. */
void tl_server_on_book(tl_server *s);
void tl_server_on_timer(tl_server *s);
tl_time tl_server_expiry(const tl_server *s);
/* The places for questions of others: the doors of other protocols share them. Borrowed for life. */
tl_places *tl_server_places(tl_server *s);
/* Requests admitted and not over, whatever door they came by. */
size_t tl_server_running(const tl_server *s);
/* No stream of a peer's is left, admitted or not. */
bool tl_server_is_idle(const tl_server *s);
const tl_server_counters *tl_server_counters_of(const tl_server *s);

#endif
