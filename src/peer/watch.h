/* watch.h - finds out whether the peer at the other end of one connection is alive. Pure: the
 * caller tells it the time and how many packets came; it never touches a connection, a clock or a
 * socket.
 *
 * It holds two small machines.
 *
 * The first looks for packets while questions are under way: a relay may stop carrying datagrams
 * without telling us.
 *
 *   RESTING --begin--> LOOKING --no question any more--> RESTING
 *                         \--TL_WATCH_QUIET looks without a packet--> SILENT
 *
 * The second waits for a sign of life that the peer was asked for, after a doubt:
 *
 *   TRUSTED --doubt--> DOUBTED --a sign of life, or an excuse--> TRUSTED
 *                         \--its time is over--> SILENT
 *
 * The owner closes a connection whose peer is SILENT.
 *
 * With E = TL_WATCH_EVERY, and looks that come in time:
 *   - While questions are under way, a peer that falls silent is found SILENT at most
 *     (TL_WATCH_QUIET + 1) * E after its last packet.
 *   - A peer that is asked for a sign of life and gives none is SILENT `within` after the first
 *     time it was asked. Asking again may shorten that time, and never lengthens it; an excuse
 *     ends it. */
#ifndef TL_PEER_WATCH_H
#define TL_PEER_WATCH_H

#include "base/time.h"

#include <stdbool.h>

#define TL_WATCH_EVERY (2 * TL_SEC) /* after this much silence the peer is asked for a packet */
#define TL_WATCH_QUIET 5            /* looks: in sum 10 s, as for a path that is lost */

typedef enum {
    TL_WATCH_RESTING, /* no question is under way: silence is natural */
    TL_WATCH_LOOKING, /* the peer is asked for packets, and every look expects some */
    TL_WATCH_SILENT,  /* no packet came, or no sign of life: the peer is gone */
} tl_watch_state;

typedef struct {
    tl_watch_state state;
    tl_time look_at;      /* TL_NEVER unless LOOKING */
    uint64_t heard;       /* packets until the last look */
    unsigned quiet;       /* looks without a packet, one after the other */
    tl_time doubt_at;     /* DOUBTED: no sign of life until then means SILENT; TL_NEVER: TRUSTED */
    uint64_t doubt_heard; /* DOUBTED: packets until the peer was last asked */
    tl_time sign_at;      /* the last sign of life */
} tl_watch;

/* The peer has just been heard. */
tl_watch tl_watch_new(tl_time now);
/* A question is under way from now on. `heard` counts the packets that were decrypted. No effect
 * unless RESTING. Returns true if it was RESTING. */
bool tl_watch_begin(tl_watch *w, uint64_t heard, tl_time now);
/* Is there a doubt whether the peer lives? */
bool tl_watch_doubts(const tl_watch *w);
/* The peer is asked for a sign of life, which must come within that time. A packet more than the
 * `heard` until now is one, too: no other process can make it. False: the peer has been
 * asked already, and has less time. */
bool tl_watch_doubt(tl_watch *w, tl_time within, uint64_t heard, tl_time now);
/* The peer said something on a stream. */
void tl_watch_sign(tl_watch *w, tl_time now);
/* The connection has no path, so no sign of life can come: ends the doubt. The owner asks anew when
 * there is a path. */
void tl_watch_excuse(tl_watch *w);
/* Takes a look, if one is due. `busy`: questions are under way. `excused`: the connection has no
 * path, so silence says nothing of the peer. Looks are counted, not time: a process that was
 * stopped for long reads what came before it decides. */
tl_watch_state tl_watch_on_timer(tl_watch *w, uint64_t heard, bool busy, bool excused, tl_time now);
/* When to call tl_watch_on_timer; TL_NEVER: nothing is awaited. */
tl_time tl_watch_expiry(const tl_watch *w);

#endif
