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
 * Whoever writes false source addresses can attach many nodes from many addresses. So only half of the places
 * are for nodes that have not proven their address, and only a part of all signature checks. Where these are
 * used up, the last three bytes of the Attached's nonce are not the Attach's but a mark, made of a secret, the
 * node and its address. An Attach whose nonce ends with the mark proves that its sender reads what is sent
 * there, and has all places and checks (docs/adr/0025-introducers.md).
 *
 *   nodes            <= TL_ATTACHED_MAX; without a proof <= TL_ATTACHED_UNPROVEN_MAX;
 *                       of one IPv4 address or IPv6 /64 <= TL_ATTACHED_PER_SOURCE. None is pushed out.
 *   signatures       <= burst + rate x seconds, for each source, for strangers, and for those that are known */
#ifndef TL_RELAY_ATTACHED_H
#define TL_RELAY_ATTACHED_H

#include "base/rand.h"
#include "relay/bursts.h"
#include "relay/signed.h"

#define TL_ATTACHED_MAX               4096 /* nodes; beyond it a new one is refused */
#define TL_ATTACHED_UNPROVEN_MAX      2048
#define TL_ATTACHED_PER_SOURCE        64            /* of one IPv4 address, or one IPv6 /64 */
#define TL_ATTACHED_KEPT              (60 * TL_SEC) /* two Attaches may be lost */
/* Signatures that are checked for one source: all its 64 nodes may come at once, and again. */
#define TL_ATTACHED_PROOFS_PER_SEC    16
#define TL_ATTACHED_PROOFS_BURST      128
/* And for all sources: of those with attached nodes, which are at most 4096 and come every 25 s, and those that
 * have proven their address; and of strangers, whose flood may take a hundredth of a processor and must not
 * keep the others out. */
#define TL_ATTACHED_KNOWN_PER_SEC     400
#define TL_ATTACHED_KNOWN_BURST       4096
#define TL_ATTACHED_STRANGERS_PER_SEC 200
#define TL_ATTACHED_STRANGERS_BURST   400
#define TL_ATTACHED_NONCES_MAX        65536 /* above what those rates make in 61 s */
/* PunchIntros of one source, and such as are handed on to one attached node. */
#define TL_ATTACHED_INTROS_PER_SEC    10
#define TL_ATTACHED_INTROS_BURST      20
#define TL_ATTACHED_SOUGHT_PER_SEC    50
#define TL_ATTACHED_SOUGHT_BURST      100
#define TL_ATTACHED_REPLY_MAX         192
#define TL_ATTACH_MARK                3              /* bytes at the end of a nonce */
#define TL_ATTACH_MARK_KEPT           (120 * TL_SEC) /* so long a mark holds, at least half of it */

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

/* May this source have one more PunchIntro looked at? Of a source that is not known yet the answer is yes. */
bool tl_attached_may_intro(tl_attached *t, const tl_addr *from, tl_time now);
/* May one more be handed on to the node? */
bool tl_attached_may_seek(tl_attached *t, const tl_node_id *node, tl_time now);

/* Forgets what is over. */
void tl_attached_on_timer(tl_attached *t, tl_time now);
tl_time tl_attached_expiry(const tl_attached *t);

typedef struct {
    uint64_t attaches[TL_ASKED_RESULTS];
    size_t attached, unproven; /* now; unproven of the attached */
} tl_attached_counters;
const tl_attached_counters *tl_attached_counters_of(const tl_attached *t);

#endif
