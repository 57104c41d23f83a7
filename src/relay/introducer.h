/* introducer.h - a public node introduces two others to each other (docs/protocol.md "Introducers"): hands the
 * PunchIntro of one to the other, which is attached here, and its PunchReady back. Sans-IO: at most one datagram
 * goes out for one that comes in, and it is never longer. Knows no QUIC, and makes no way itself.
 *
 *   initiator                     this node                     target
 *       |                             | <------- Attach --------- |   relay/attached
 *       | ------- PunchIntro -------> |                           |
 *       |                             | ----- PunchRequest -----> |   the same map
 *       |                             | <----- PunchReady ------- |
 *       | <------ PunchReady -------- |                           |   once, within 30 s
 *
 * It also says what this node itself sends to an attached one, which it wants a way to (tl_introducer_call).
 *
 *   PunchIntros of one source <= 20 + 10 x seconds; to one attached node <= 100 + 50 x seconds */
#ifndef TL_RELAY_INTRODUCER_H
#define TL_RELAY_INTRODUCER_H

#include "relay/attached.h"

#define TL_INTRODUCTIONS_MAX 4096 /* the oldest makes room: it is over after two round trips */
#define TL_INTRODUCTION_KEPT (TL_CONTROL_WINDOW * TL_SEC)
#define TL_INTRODUCTION_TRIES                                                                      \
    3 /* signatures of PunchReadys that are checked for one introduction */

typedef struct tl_introducer tl_introducer;

/* All pointers are borrowed for life. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_introducer_new(const tl_identity *identity, tl_attached *attached,
                                  tl_introducer **ret_introducer);
void tl_introducer_free(tl_introducer *i);

/* Does it introduce? Where it does not, only Attaches are taken, for relay/peerrelay. It begins with false. */
void tl_introducer_set_serving(tl_introducer *i, bool serving);

/* What is to be sent. */
typedef struct {
    tl_burst_way way;
    size_t n; /* bytes; 0: nothing */
    uint8_t bytes[TL_CONTROL_MAX];
} tl_introducer_output;

/* A control datagram. False: it is of a type that says nothing here, or it is for this node as a side of an
 * introduction; it is not counted. */
bool tl_introducer_on_control(tl_introducer *i, const tl_burst_way *way, tl_slice datagram,
                              tl_time now, tl_unix wall, tl_introducer_output *ret_output);

/* This node wants a way to one that is attached here. So it is initiator and introducer in one, and its
 * PunchRequest, with this nonce, goes to where that node is. The PunchReady comes back as to any initiator.
 * Nothing is kept, and it does not matter whether this node introduces others. False: that node is not attached,
 * or is sought too often; nothing is to be sent. */
bool tl_introducer_call(tl_introducer *i, const tl_node_id *target,
                        const uint8_t nonce[TL_CONTROL_NONCE_SIZE], tl_control_nat nat, tl_time now,
                        tl_unix wall, tl_introducer_output *ret_output);
void tl_introducer_on_timer(tl_introducer *i, tl_time now);
tl_time tl_introducer_expiry(const tl_introducer *i);

typedef struct {
    uint64_t intros[TL_ASKED_RESULTS]; /* PunchIntros, by what became of them */
    uint64_t answered;                 /* PunchReadys that were handed on */
    uint64_t readies_refused;          /* forged, foreign, late, or the second one */
    uint64_t calls;                    /* PunchRequests of this node's own */
    size_t pending;                    /* introductions that are not answered, now */
} tl_introducer_counters;
const tl_introducer_counters *tl_introducer_counters_of(const tl_introducer *i);

#endif
