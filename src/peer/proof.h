/* proof.h - does the present direct way of one connection carry QUIC? Pure: it is told of the time
 * and of what was heard, and never touches a connection, a clock or a socket.
 *
 * Connectivity checks say that a way's small STUN packets pass. Some networks drop what they do not
 * know, so only QUIC itself can say whether its packets do. While somebody needs the way, it is
 * looked at every TL_PROOF_EVERY, and the peer is asked for a sign of life as often.
 *
 *   RESTING --begin--> LOOKING --looks in vain--> BARREN
 *      ^                  ^---a packet comes---------/ |
 *      \-----------end, from either state-------------/
 *
 * With E = TL_PROOF_EVERY, and looks that come in time:
 *   - A way by which no packet comes any more is BARREN at most
 *     (TL_PROOF_QUIET + floor(round trip / E) + 1) * E after its last packet.
 *   - A way by which a packet comes between any two looks is never BARREN. */
#ifndef TL_PEER_PROOF_H
#define TL_PEER_PROOF_H

#include "base/time.h"

#include <stdbool.h>

#define TL_PROOF_EVERY (400 * TL_MS) /* an answer that stops for two of them is felt by a person */
#define TL_PROOF_QUIET 3             /* looks in vain, beyond those that fit into a round trip */

typedef enum {
    TL_PROOF_RESTING, /* nobody needs the way, or it is no direct one: no looks */
    TL_PROOF_LOOKING, /* nothing speaks against the way so far */
    TL_PROOF_BARREN,  /* the way carries nothing: any other is better. Looks go on. */
} tl_proof_state;

typedef struct {
    tl_proof_state state;
    tl_time look_at; /* TL_NEVER: RESTING */
    uint64_t heard;  /* packets that came by this way until the last look */
    unsigned quiet;  /* looks in vain, one after the other */
} tl_proof;

tl_proof tl_proof_new(void);
/* Somebody needs the way from now on. `heard` counts the packets that came by it. No effect unless
 * RESTING. */
void tl_proof_begin(tl_proof *f, uint64_t heard, tl_time now);
/* Nobody needs it any more, or the connection is on another way. */
void tl_proof_end(tl_proof *f);
/* Is a look due? Then the caller either ends the proof or calls tl_proof_look. */
bool tl_proof_is_due(const tl_proof *f, tl_time now);
/* One look. `unanswered`: nothing that we sent is acknowledged, whatever comes. `rtt`: the way's
 * round trip. True: the way has just been found to carry nothing; so it is said again after as many
 * looks more in vain. Looks are counted, not time: a process that was stopped for long hears before
 * it judges. */
bool tl_proof_look(tl_proof *f, uint64_t heard, bool unanswered, tl_time rtt, tl_time now);
/* When the next look is due; TL_NEVER: none. */
tl_time tl_proof_expiry(const tl_proof *f);

#endif
