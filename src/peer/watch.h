/* watch.h - is the peer at the other end of one connection alive? Pure: it is told of the time and
 * of what was heard, and never touches a connection, a clock or a socket.
 *
 * Two questions, each with its own small machine.
 *
 * While questions are under way, silence is looked at. A relay may stop carrying without a word.
 *
 *   RESTING --begin--> LOOKING --no question any more--> RESTING
 *                         \--TL_WATCH_QUIET looks without a packet--> SILENT
 *
 * And when there is a doubt, the peer is asked for a sign of life:
 *
 *   TRUSTED --doubt--> DOUBTED --a sign of life--> TRUSTED
 *                         \--its time is over--> SILENT
 *
 * The owner closes a connection that is SILENT.
 *
 * With E = TL_WATCH_EVERY, and looks that come in time:
 *   - While questions are under way, a peer that falls silent is found SILENT at most
 *     (TL_WATCH_QUIET + 1) * E after its last packet.
 *   - A peer that is asked for a sign of life and gives none is SILENT `within` after the first
 *     time it was asked. To ask again may shorten that time, and never lengthens it. */
#ifndef TL_PEER_WATCH_H
#define TL_PEER_WATCH_H

#include "base/time.h"

#include <stdbool.h>

#define TL_WATCH_EVERY (2 * TL_SEC) /* the peer is asked for a packet after as much silence */
#define TL_WATCH_QUIET 5            /* looks: as long as a lost path is looked for */

typedef enum {
    TL_WATCH_RESTING, /* no question is under way: silence is natural */
    TL_WATCH_LOOKING, /* the peer is asked for packets, and they are looked for */
    TL_WATCH_SILENT,  /* none came, or no sign of life: the peer is gone */
} tl_watch_state;

typedef struct {
    tl_watch_state state;
    tl_time look_at;  /* TL_NEVER unless LOOKING */
    uint64_t heard;   /* packets until the last look */
    unsigned quiet;   /* looks without a packet, one after the other */
    tl_time doubt_at; /* DOUBTED: no sign of life until then means SILENT; TL_NEVER: TRUSTED */
    tl_time sign_at;  /* the last sign of life */
} tl_watch;

/* The peer has just been heard. */
tl_watch tl_watch_new(tl_time now);
/* A question is under way from now on. `heard` counts the packets that opened. No effect unless
 * RESTING; true: it had one. */
bool tl_watch_begin(tl_watch *w, uint64_t heard, tl_time now);
/* Is there a doubt whether the peer lives? */
bool tl_watch_doubts(const tl_watch *w);
/* The peer is asked for a sign of life, to come within that time. False: it has been asked already,
 * with less time. */
bool tl_watch_doubt(tl_watch *w, tl_time within, tl_time now);
/* The peer said something on a stream. */
void tl_watch_sign(tl_watch *w, tl_time now);
/* A look, if one is due. `busy`: questions are under way. `excused`: silence has another reason, the
 * connection has no path. Looks are counted, not time: a process that was stopped for long hears
 * before it judges. */
tl_watch_state tl_watch_on_timer(tl_watch *w, uint64_t heard, bool busy, bool excused, tl_time now);
/* When to call tl_watch_on_timer; TL_NEVER: nothing is awaited. */
tl_time tl_watch_expiry(const tl_watch *w);

#endif
