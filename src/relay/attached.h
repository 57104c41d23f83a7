/* attached.h - the nodes that are attached to this one, so that others reach them through it: relay/peerrelay
 * and relay/introducer share one table of them. Also what both ask of a signed datagram before they believe
 * it: is it for this node, fresh, new, and is there time to check its signature? Sans-IO; sends nothing itself.
 *
 *   Attach    0x0C 11 {addr introducer node nonce sig timestamp}   every 25 s; the node is kept for 60 s
 *   Attached  0x0C 12 {addr node nonce sig}                        shorter than the Attach
 *
 * The addr of an Attach is where it was sent to, that of an Attached where it came from. An Attach that was sent
 * elsewhere is not taken: whoever hands it on would be where others look for the node. The Attached is signed, so
 * nobody else tells the node where it is seen.
 *
 * Keys are free, and a source address may be false. So what somebody proved has places and budgets of its own, which
 * nobody else can use up (docs/adr/0025-introducers.md). The proof is a mark, made of a secret, the node and its address:
 * the last three bytes of each Attached's nonce are not the Attach's but the mark. An Attach whose nonce ends with it
 * proves that its sender reads what is sent there. A source is an IPv4 address or an IPv6 /64, a network a /24 or a
 * /48, and a "proven" node one that bore the mark when it attached where it is now.
 *
 *   nodes          proven  <= 3072, of one source <= 128, of one network <= 256
 *                  others  <= 1024, of one source <= 32, of one network <= 64          none is pushed out
 *   signatures     of Attaches of one attached node, from where it is: <= 4 + seconds / 15 with the mark, and
 *                  as many without it. Of all others with the mark <= 1024 + 200 x seconds; without it
 *                  <= 400 + 200 x seconds; of one source <= 128 + 16 x seconds each, of one network four times that.
 *                  Of RelayRequests and PunchIntros: of proven nodes, and of other attached ones, from where they are,
 *                  <= 200 + 100 x seconds each, of one node <= 10 + 2 x seconds; of strangers <= 400 + 200 x seconds;
 *                  of one source and one network as above
 *   PunchIntros    of one source <= 20 + 10 x seconds from proven nodes, and as many from others; of one network
 *                  four times that. To one attached node <= 50 + 25 x seconds from proven nodes, and as many from others
 *   Attacheds      whose Attach was not verified: <= 16 + 8 x seconds to one source, four times that to one network,
 *                  2000 x seconds to all                                                                    */
#ifndef TL_RELAY_ATTACHED_H
#define TL_RELAY_ATTACHED_H

#include "base/rand.h"
#include "relay/bursts.h"
#include "relay/signed.h"

#define TL_ATTACHED_PROVEN_MAX           3072 /* nodes; beyond it a new one is refused */
#define TL_ATTACHED_UNPROVEN_MAX         1024
#define TL_ATTACHED_PER_SOURCE           128 /* a carrier's NAT has many nodes behind one address */
#define TL_ATTACHED_UNPROVEN_PER_SOURCE  32
#define TL_ATTACHED_PER_NETWORK          256 /* a customer with a /24 has a twelfth of the places */
#define TL_ATTACHED_UNPROVEN_PER_NETWORK 64
#define TL_ATTACHED_KEPT                 (60 * TL_SEC) /* two Attaches may be lost */
/* Signatures that are checked for one source: a hundred nodes may come at once, and again. */
#define TL_ATTACHED_PROOFS_PER_SEC       16
#define TL_ATTACHED_PROOFS_BURST         128
#define TL_ATTACHED_NETWORK_TIMES        4 /* so much more one network has than one source */
/* And for all sources: those that bear the mark, of which 4096 may come at once when this node has begun anew; and
 * strangers, whose flood may take two hundredths of a processor. */
#define TL_ATTACHED_PROVEN_PER_SEC       200
#define TL_ATTACHED_PROVEN_BURST         1024
#define TL_ATTACHED_STRANGERS_PER_SEC    200
#define TL_ATTACHED_STRANGERS_BURST      400
/* An attached node comes every 25 s, and once more after each mark that is new. What is more pays as others do. */
#define TL_ATTACHED_AGAIN_EVERY          15 /* seconds */
#define TL_ATTACHED_AGAIN_BURST          4
/* RelayRequests and PunchIntros of attached nodes: of one, and of all. */
#define TL_ATTACHED_ASKS_PER_SEC         2
#define TL_ATTACHED_ASKS_BURST           10
#define TL_ATTACHED_ASKED_PER_SEC        100
#define TL_ATTACHED_ASKED_BURST          200
/* Above what those rates make in 61 s: at most 90000. */
#define TL_ATTACHED_NONCES_MAX           98304
/* PunchIntros of one source, and such as are handed on to one attached node. */
#define TL_ATTACHED_INTROS_PER_SEC       10
#define TL_ATTACHED_INTROS_BURST         20
#define TL_ATTACHED_SOUGHT_PER_SEC       25
#define TL_ATTACHED_SOUGHT_BURST         50
/* Attacheds that tell the mark to who is not known to have signed: to one source, and to all. */
#define TL_ATTACHED_TOLD_PER_SEC         8
#define TL_ATTACHED_TOLD_BURST           16
#define TL_ATTACHED_ALL_TOLD_PER_SEC     2000
#define TL_ATTACHED_REPLY_MAX            192
#define TL_ATTACH_MARK                   3              /* bytes at the end of a nonce */
#define TL_ATTACH_MARK_KEPT              (120 * TL_SEC) /* so long a mark holds, at least half of it */

typedef struct tl_attached tl_attached;

/* What became of an Attach, a RelayRequest or a PunchIntro. */
typedef enum {
    TL_ASKED_TAKEN,     /* a node is attached, a relay session is offered, a node is introduced */
    TL_ASKED_AGAIN,     /* it was already */
    TL_ASKED_MALFORMED, /* not exactly what its type has */
    TL_ASKED_ADDRESS, /* from ourselves, a relay, or where nobody is; of a family not served; or not from
                           where it says */
    TL_ASKED_ELSEWHERE, /* it names another node */
    TL_ASKED_LATE,      /* not within 30 s of our clock, or older than what we have */
    TL_ASKED_LOOP,      /* one side is this node, or both are one */
    TL_ASKED_REPLAYED,  /* its nonce was here */
    TL_ASKED_POLICY,    /* this node does not serve them */
    TL_ASKED_ABSENT,    /* the target is not attached */
    TL_ASKED_FULL,      /* as many nodes or sessions as there may be */
    TL_ASKED_PAUSED,    /* these two have had their time */
    TL_ASKED_RATE,      /* more signatures, or requests, than may be */
    TL_ASKED_FORGED,    /* the signature is not that node's */
    TL_ASKED_UNPROVEN,  /* its sender is to prove its address first, and was told the mark */
    TL_ASKED_MEMORY,
    TL_ASKED_RESULTS,
} tl_asked;
/* "taken", "again", ... */
const char *tl_asked_name(tl_asked asked);

/* What this node knows. Called from inside the functions below; must not call back. */
typedef struct {
    bool (*admits)(void *user, const tl_node_id *node); /* may it attach? */
    /* Is it an address of this node, or of a relay of ours? Nothing from there is taken, and nothing
     * goes there. */
    bool (*is_ours)(void *user, const tl_addr *addr);
    /* Where a node is that has a direct way to us; the address of ours may be left out (family NONE).
     * False: it has none. */
    bool (*find)(void *user, const tl_node_id *node, tl_burst_way *ret_way);
} tl_attached_world;

/* All pointers are borrowed for life. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_attached_new(const tl_identity *identity, const tl_attached_world *world,
                                void *user, tl_rand *rand, tl_time now, tl_attached **ret_attached);
void tl_attached_free(tl_attached *t);

/* Where others reach us; of the family NONE: nowhere. Nodes attach only by a family that has an address.
 * Those that are there stay. */
void tl_attached_set_address(tl_attached *t, const tl_addr *v4, const tl_addr *v6);
bool tl_attached_serves(const tl_attached *t, tl_addr_family family);
/* That address, of this family; of the family NONE: there is none. */
const tl_addr *tl_attached_address(const tl_attached *t, tl_addr_family family);
/* What `admits` says may have changed. */
void tl_attached_review(tl_attached *t, tl_time now);
/* This node shuts down: nobody new is taken. */
void tl_attached_leave(tl_attached *t);

/* An Attach. Returns the bytes of the Attached, which is to be sent back the same way; 0: none. */
size_t tl_attached_on_attach(tl_attached *t, const tl_burst_way *way, tl_slice datagram,
                             tl_time now, tl_unix wall, uint8_t ret_reply[TL_ATTACHED_REPLY_MAX],
                             tl_asked *ret_asked);
/* Where the node is: attached, or at the other end of a direct way. False: nobody knows. */
bool tl_attached_find(const tl_attached *t, const tl_node_id *node, tl_burst_way *ret_way);
/* The same of the attached alone. */
bool tl_attached_where(const tl_attached *t, const tl_node_id *node, tl_burst_way *ret_way);
/* Is it attached, and until when? */
bool tl_attached_has(const tl_attached *t, const tl_node_id *node, tl_time *ret_until);
/* Is it attached at just this address? */
bool tl_attached_is_at(const tl_attached *t, const tl_node_id *node, const tl_addr *from);

/* Can something be sent there, and is it for nobody of ours? */
bool tl_attached_may_send(const tl_attached *t, const tl_burst_way *way);
/* Cheap tests, which need no table: is the way one where we may answer, does the datagram name this node
 * (`named`, one of its keys), and is it fresh? TL_ASKED_TAKEN: all that. */
tl_asked tl_attached_look(const tl_attached *t, const tl_burst_way *way, const tl_control *c,
                          const uint8_t *named, tl_unix wall);
bool tl_attached_knows_nonce(const tl_attached *t, const uint8_t *signer, const uint8_t *nonce);
/* The signature, which is costly, comes last. Keeps the nonce. TL_ASKED_TAKEN: the signer signed it. */
tl_asked tl_attached_prove(tl_attached *t, const tl_burst_way *way, const tl_control *c,
                           const uint8_t *signer, tl_time now);

/* May this source have one more PunchIntro of that node checked? Of a source that is not known yet: yes. */
bool tl_attached_may_intro(tl_attached *t, const uint8_t *initiator, const tl_addr *from,
                           tl_time now);
/* May one more be handed on to the node, of the initiator from there? `from` NULL: of this node. */
bool tl_attached_may_seek(tl_attached *t, const tl_node_id *node, const uint8_t *initiator,
                          const tl_addr *from, tl_time now);
/* Is the node attached at just this address, which it has proven, and may one more signature of it be checked? */
bool tl_attached_vouches(tl_attached *t, const tl_node_id *node, const tl_addr *from, tl_time now);

/* Forgets what is over. */
void tl_attached_on_timer(tl_attached *t, tl_time now);
tl_time tl_attached_expiry(const tl_attached *t);

typedef struct {
    uint64_t attaches[TL_ASKED_RESULTS];
    size_t attached, unproven; /* now; unproven of the attached */
} tl_attached_counters;
const tl_attached_counters *tl_attached_counters_of(const tl_attached *t);

#endif
