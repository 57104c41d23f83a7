/* proof.h - finds out whether the present direct way of one connection carries QUIC. Pure: the
 * caller tells it the time and how many packets came; it never touches a connection, a clock or a
 * socket.
 *
 * Connectivity checks show that small STUN packets pass. Some networks drop every protocol that
 * they do not know, so only QUIC packets can show that QUIC passes. While the way is needed, we
 * look every TL_PROOF_EVERY whether packets came, and as often we ask the peer for a sign of life.
 *
 *   RESTING --begin--> LOOKING --looks in vain--> BARREN
 *      ^                  ^---a packet comes---------/ |
 *      \-----------end, from either state-------------/
 *
 * With E = TL_PROOF_EVERY, and looks that come in time:
 *   - When packets stop on a way, it is BARREN at most
 *     (TL_PROOF_QUIET + floor(round trip / E) + 1) * E after its last packet.
 *   - A way by which a packet comes between any two looks is never BARREN. */
#ifndef TL_PEER_PROOF_H
#define TL_PEER_PROOF_H

#include "base/time.h"

#include <stdbool.h>

#define TL_PROOF_EVERY (400 * TL_MS) /* a person notices an answer that stops for two of these */
#define TL_PROOF_QUIET 3             /* looks in vain, beyond those that fit into a round trip */

typedef enum {
    TL_PROOF_RESTING, /* nothing needs the way, or it is not a direct one: no looks */
    TL_PROOF_LOOKING, /* the way has not failed so far */
    TL_PROOF_BARREN,  /* the way carries nothing: any other way is better. Looks go on. */
} tl_proof_state;

typedef struct {
    tl_proof_state state;
    tl_time look_at; /* TL_NEVER: RESTING */
    uint64_t heard;  /* packets that came by this way until the last look */
    unsigned quiet;  /* looks in vain, one after the other */
} tl_proof;

tl_proof tl_proof_new(void);
/* The way is needed from now on. `heard` counts the packets that came by it. No effect unless
 * RESTING. */
void tl_proof_begin(tl_proof *f, uint64_t heard, tl_time now);
/* The way is not needed any more, or the connection has left it. */
void tl_proof_end(tl_proof *f);
/* Is a look due? Then the caller either ends the proof or calls tl_proof_look. */
bool tl_proof_is_due(const tl_proof *f, tl_time now);
/* One look. `unanswered`: the peer acknowledges nothing that we send, even if packets come. `rtt`:
 * the way's round trip. True: this look found that the way carries nothing. The same number of
 * further looks in vain returns true again. Looks are counted, not time: a process that was stopped
 * for long reads what came before it decides. */
bool tl_proof_look(tl_proof *f, uint64_t heard, bool unanswered, tl_time rtt, tl_time now);
/* When the next look is due; TL_NEVER: none. */
tl_time tl_proof_expiry(const tl_proof *f);

#endif
