/* replay.h - which first messages were seen, so that a recorded message does nothing a second time.
 * Keeps no connection; time is handed in.
 *
 * It keeps for each client static key the newest timestamp, and the ephemeral keys seen in that
 * second. A message older than the newest is a replay, or an original that came very late (then the
 * client dials again). An entry is forgotten an hour after its last use, or when the table is full.
 * The hour bounds how long a client whose clock jumped back is kept out. A replay of a forgotten
 * message costs one half-open slot and reaches nothing, because its sender cannot send
 * `finished`. */
#ifndef TL_QUIC_REPLAY_H
#define TL_QUIC_REPLAY_H

#include "base/slice.h"
#include "base/time.h"

#define TL_REPLAY_CLIENTS_MAX 8192 /* about 2 MiB; twice the connections a node may have */
#define TL_REPLAY_DIALS_MAX   8    /* dials of one client within one second; more are refused */
#define TL_REPLAY_MEMORY      (60 * TL_MIN)

typedef struct tl_replay_client tl_replay_client;
typedef struct {
    tl_replay_client *clients; /* uthash: least recently used first */
} tl_replay;

/* Notes the message. TL_ERR_REPLAY: it was seen before, or is older than the newest from this key.
 * TL_ERR_BUSY: too many dials in a second. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_replay_check(tl_replay *r, const uint8_t client_public[32],
                                const uint8_t ephemeral[32], uint64_t timestamp, tl_time now);
void tl_replay_clear(tl_replay *r);

#endif
