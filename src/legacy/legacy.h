/* legacy.h - speaks the old protocol of the public network with nodes that know no other: chat
 * requests and their answers as JSON messages in relayData, in clear, as asker and as provider.
 * Where the setting is off, it declines what comes. Sans-IO: sessions at the relay are opened, closed
 * and written through functions that it is given; never touches QUIC.
 *
 * Everything here can be read, changed and invented by the relay. Nothing that comes proves who sent
 * it: each peer has a stranger's share of the places (ask/places.h). */
#ifndef TL_LEGACY_LEGACY_H
#define TL_LEGACY_LEGACY_H

#include "ask/places.h"
#include "ask/server.h"
#include "base/env.h"
#include "base/json.h"
#include "path/via.h"

/* Sessions in all, 300 bytes each and what waits in them. The one that is idle for longest makes room;
 * of one peer the node takes no more than TL_PATHS_OF_PEER_MAX (peer/state.h). */
#define TL_LEGACY_SESSIONS_MAX     256
/* A session without a question: ours is closed then; that of a peer after silence (Macs send a
 * heartbeat every 15 s). */
#define TL_LEGACY_IDLE             (30 * TL_SEC)
#define TL_LEGACY_SILENT           (90 * TL_SEC)
/* How often a peer that has our question and says nothing is asked for a sign of life. */
#define TL_LEGACY_BEAT_AFTER       (2 * TL_SEC)
/* Of an answer that a client of this machine does not read so much is kept: the old protocol cannot
 * hold a provider back. Then the question fails. */
#define TL_LEGACY_HELD_MAX         (4u << 20)
/* The same of all answers together, and of those that are put together. */
#define TL_LEGACY_HELD_SUM         (32u << 20)
/* hello and heartbeat of a peer are answered so often: a second, and at once. */
#define TL_LEGACY_GREETINGS        1
#define TL_LEGACY_GREETINGS_MAX    5
/* Bytes that are read a second, and at once: of one stranger (at once: one message of the greatest
 * length), of all, and over a session on which a question of ours is. A message costs so many more.
 * Reading takes up to 0.15 s a MB: strangers cost this node a seventh of its time at most. */
#define TL_LEGACY_BYTES            (256u << 10)
#define TL_LEGACY_BYTES_MAX        (4u << 20)
#define TL_LEGACY_SUM_BYTES        (1u << 20)
#define TL_LEGACY_SUM_BYTES_MAX    (8u << 20)
#define TL_LEGACY_ANSWERS          (2u << 20)
#define TL_LEGACY_ANSWERS_MAX      (8u << 20)
#define TL_LEGACY_MESSAGE_COST     256
/* Who is declined is told so often: a second, and at once; one peer, and all. */
#define TL_LEGACY_DECLINES         1
#define TL_LEGACY_DECLINES_MAX     5
#define TL_LEGACY_SUM_DECLINES     16
#define TL_LEGACY_SUM_DECLINES_MAX 64
/* Strangers whose shares are remembered; who comes with more names has the sum's bound alone. */
#define TL_LEGACY_ALLOWANCES       64
/* Nodes whose declined questions are told in the log; of more, only that there are more. */
#define TL_LEGACY_TOLD_MAX         16

typedef struct tl_legacy tl_legacy;

typedef struct {
    /* Opens a session to the peer; tl_legacy_on_ready or tl_legacy_on_ended follows, never from
     * inside. TL_ERR_CLOSED: the relay is not connected. */
    tl_err (*open)(void *user, const tl_node_id *peer, tl_path_id *ret_path);
    /* Ends a session, and tells the peer. tl_legacy_on_ended does not follow. */
    void (*close)(void *user, tl_path_id path);
    /* TL_ERR_BUSY: the connection to the relay is full; tl_legacy_run tries again. */
    tl_err (*send)(void *user, tl_path_id path, tl_slice text);
    /* The names of the models that are shared now, and this machine's hardware; new references.
     * NULL: out of memory. */
    json_t *(*models)(void *user);
    json_t *(*hardware)(void *user);
    /* As in tl_server_backend. */
    tl_server_backend backend;
} tl_legacy_world;

typedef struct {
    tl_node_id own;
    char name[64];
    tl_env env;
    const tl_access *access; /* borrowed for life, as `places` */
    tl_places *places;
} tl_legacy_config;

typedef struct {
    tl_time connect, first_byte, silence; /* as for questions over Noise */
} tl_legacy_times;

typedef struct {
    uint64_t asked, answered, failed;                  /* our questions */
    uint64_t served, serve_failed, refused, cancelled; /* questions of others */
    uint64_t declined;                                 /* where the setting is off */
    uint64_t tokens_in, tokens_out;                    /* served */
    uint64_t ignored; /* messages that nobody waited for, or that are no messages */
} tl_legacy_counters;

TL_CHECK tl_err tl_legacy_new(const tl_legacy_config *config, const tl_legacy_times *times,
                              const tl_legacy_world *world, void *user, tl_legacy **ret_legacy);
/* Questions in both directions are given up without a word. Before the places and the backend. */
void tl_legacy_free(tl_legacy *l);
void tl_legacy_set_times(tl_legacy *l, const tl_legacy_times *times);
/* The setting was switched off: ends every session. */
void tl_legacy_stop(tl_legacy *l);

/* As tl_ask_fn: asks ask->peer, for "/v1/chat/completions" alone. ask->body is borrowed until this
 * returns. TL_ERR_NOMEM, TL_ERR_BUSY. */
TL_CHECK tl_err tl_legacy_ask(tl_legacy *l, const tl_ask *ask, const tl_exchange_sink *sink,
                              void *user, tl_exchange **ret_exchange);

/* Does it begin as a message of the old protocol does? Costs the same for a text of any length. */
bool tl_legacy_is_message(tl_slice text);
/* A session that `peer` opened, and over which it speaks the old protocol, is ours from now on. */
void tl_legacy_accept(tl_legacy *l, tl_path_id path, const tl_node_id *peer);
void tl_legacy_on_ready(tl_legacy *l, tl_path_id path);
void tl_legacy_on_text(tl_legacy *l, tl_path_id path, tl_slice text);
void tl_legacy_on_ended(tl_legacy *l, tl_path_id path, const char *why);

void tl_legacy_run(tl_legacy *l);
void tl_legacy_on_timer(tl_legacy *l);
tl_time tl_legacy_expiry(const tl_legacy *l);
/* No question of others is being answered. */
bool tl_legacy_is_idle(const tl_legacy *l);
const tl_legacy_counters *tl_legacy_counters_of(const tl_legacy *l);

#endif
