/* guests.h - how much of this node each peer that asks it may take: requests at once, new ones a
 * second, and memory for their bodies. A node of our networks, or one that was served a whole answer, may have more than a
 * stranger. Pure memory and arithmetic: knows no request and no connection.
 *
 * With M = the requests that the node takes at once, or the bytes that it keeps of their bodies:
 *   - a stranger has at most M/8, all strangers together at most M - M/4;
 *   - another peer has at most M/2;
 *   - of requests all peers outside our networks, served or not, have at most M - M/4, and the last
 *     M/8 of these are for peers that have none here;
 *   - but of requests each peer may have min(M, 4);
 *   - in any time t a stranger is let in at most TL_GUEST_BURST + t * TL_GUEST_RATE times, and all
 *     strangers together 4 times as often. A whole answer does not count. */
#ifndef TL_ASK_GUESTS_H
#define TL_ASK_GUESTS_H

#include "base/ratelimit.h"
#include "base/table.h"
#include "crypto/identity.h"

#define TL_GUESTS_MAX  4096 /* peers remembered, 200 bytes each */
#define TL_GUEST_RATE  8    /* a second; no person asks as often, and few programs */
#define TL_GUEST_BURST 128 /* as many as a stranger may have streams (quic/quic.h): a batch waits */
#define TL_GUEST_SUM   4   /* all strangers together: so many times as often */
#define TL_GUEST_KNOWN 32  /* another peer: so many times as often */

/* Who asks. In clear nothing proves that it is the node of this ID: it is somebody else. */
typedef struct {
    tl_node_id id;
    uint8_t in_clear; /* 0 or 1; no gap in the struct: it is the key of a table */
} tl_guest_key;
_Static_assert(sizeof(tl_guest_key) == sizeof(tl_node_id) + 1, "a key of a table has no gaps");

typedef struct {
    tl_guest_key who;
    bool served;   /* a whole answer, and not in clear */
    bool stranger; /* as counted in tl_guests.strangers_running */
    bool outsider; /* of no network of ours; as counted in tl_guests.outsiders_running */
    unsigned running;
    size_t bytes; /* of bodies */
    tl_ratelimit rate;
    UT_hash_handle hh;
} tl_guest;

typedef struct {
    tl_guest *peers; /* the one that came longest ago first */
    unsigned strangers_running, outsiders_running;
    size_t strangers_bytes;
    tl_ratelimit strangers; /* all of them */
} tl_guests;

tl_guests tl_guests_new(tl_time now);
void tl_guests_clear(tl_guests *g);
/* One more request of the peer. NULL: refused, and *ret_why says why; it is a literal. Else a handle
 * until tl_guests_leave. `member`: of a network of ours. */
tl_guest *tl_guests_enter(tl_guests *g, const tl_guest_key *who, bool member, unsigned at_once,
                          tl_time now, const char **ret_why);
/* `n` more bytes of the guest's bodies are kept, of `max` in all. False: they are not, and *ret_why
 * says why. Returned before tl_guests_leave. */
bool tl_guests_take(tl_guests *g, tl_guest *guest, size_t n, size_t max, const char **ret_why);
void tl_guests_return(tl_guests *g, tl_guest *guest, size_t n);
/* The request is over. `whole`: it was answered whole. */
void tl_guests_leave(tl_guests *g, tl_guest *guest, bool whole);

#endif
