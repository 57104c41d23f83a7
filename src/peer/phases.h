/* phases.h - what a node does after its network has changed, in which order, and for how long: the
 * three phases of seed 004, "Mobile reconnection". Pure: knows peers by their IDs, and is told what
 * became of each. Never touches a connection, a clock or a socket.
 *
 *   RESTING --the network changed--> MIGRATION
 *   MIGRATION --every connection carries again, or its time is over--> STUN
 *   STUN --our public address is known, or its time is over--> REESTABLISH
 *   REESTABLISH --each peer was tried, or its time is over--> RESTING
 *   any state --the network changed--> MIGRATION
 *
 * A phase ends as soon as nothing is left to do in it. So with B = the time of the change:
 *   - MIGRATION is over at B + 2 s, STUN at B + 5 s, REESTABLISH at B + 10 s, at the latest.
 *   - A peer is tried only when no peer of a rank before its own waits, and at most
 *     TL_PHASES_AT_ONCE hold a place at once. The bootstrap nodes need no place, and wait for none:
 *     they cost a datagram each. Of guests one holds a place at a time, so that many of them take
 *     nothing from the others. A try that takes longer than TL_PHASES_TRY goes on,
 *     and gives its place to the next peer.
 *   - No peer is tried twice for one change, and none whose connection carries. */
#ifndef TL_PEER_PHASES_H
#define TL_PEER_PHASES_H

#include "base/time.h"
#include "crypto/identity.h"

#define TL_PHASES_PEERS_MAX 64 /* in the order of their ranks; QUIC and the relay find the others */
#define TL_PHASES_AT_ONCE   4  /* so that the first are not slowed down by the last */
#define TL_PHASES_TRY       (1500 * TL_MS)

#define TL_PHASES_MIGRATION_WITHIN   (2 * TL_SEC) /* seed 004 */
#define TL_PHASES_STUN_WITHIN        (5 * TL_SEC)
#define TL_PHASES_REESTABLISH_WITHIN (10 * TL_SEC)

typedef enum {
    TL_PHASE_RESTING,     /* the network did not change, or all is done */
    TL_PHASE_MIGRATION,   /* QUIC moves the connections to the new address */
    TL_PHASE_STUN,        /* which public address do we have now? The DHT is told of it */
    TL_PHASE_REESTABLISH, /* peers whose connection does not carry are connected anew */
} tl_phase;
/* "migration", "stun", "reestablish"; "resting". */
const char *tl_phase_name(tl_phase p);

typedef enum { TL_PHASE_BEGINS, TL_PHASE_DONE, TL_PHASE_FAILED } tl_phase_state;
/* "begins", "done", "failed": its time was over before it was done. */
const char *tl_phase_state_name(tl_phase_state s);

/* Who is tried first: the order of the seed, and before it those who are in an answer for us. */
typedef enum {
    TL_RANK_ANSWER,    /* an answer is under way: to us, or to one of our networks */
    TL_RANK_BOOTSTRAP, /* the nodes by which this one finds others: one entry for all of them */
    TL_RANK_HOLDER,    /* holds fragments of ours */
    TL_RANK_OWNER,     /* we hold its fragments */
    TL_RANK_OTHER,
    TL_RANK_ASKING, /* a guest, who asks us something now */
    TL_RANK_GUEST,  /* connected to us by himself, and is of no network of ours */
} tl_phases_rank;

typedef enum {
    TL_PHASES_WAITS,   /* its connection has not carried anything since the change */
    TL_PHASES_CARRIES, /* it has */
    TL_PHASES_TRYING,  /* it is being connected anew */
    TL_PHASES_FAILED,  /* in vain */
} tl_phases_peer_state;

typedef struct {
    tl_node_id id; /* of TL_RANK_BOOTSTRAP: zero */
    tl_phases_rank rank;
    tl_phases_peer_state state;
    bool tried;
    bool stood;          /* there was a connection at the time of the change */
    tl_time place_until; /* TRYING: its place is free from then on */
} tl_phases_peer;

typedef struct {
    unsigned connections; /* that stood when the network changed */
    unsigned carry;       /* that have carried something since then */
    unsigned answers;     /* peers with answers under way at that time */
    unsigned wanted;      /* REESTABLISH: entries that are, or were, to be tried */
    unsigned back;        /* of them: those that carry now */
    bool address;         /* our public address is known since the change */
} tl_phases_counts;

/* What the owner is to do, or to tell. */
typedef enum {
    TL_STEP_TELL,      /* a phase begins or ends */
    TL_STEP_ANNOUNCE,  /* tell the DHT where we are now */
    TL_STEP_BOOTSTRAP, /* ask the bootstrap nodes; then tl_phases_on_ or no_bootstrap */
    TL_STEP_RENEW, /* connect that peer anew; then tl_phases_on_carries or tl_phases_on_failed */
} tl_step_type;
typedef struct {
    tl_step_type type;
    tl_phase phase; /* TELL */
    tl_phase_state state;
    tl_time after; /* TELL: since the change */
    tl_phases_counts counts;
    tl_node_id peer; /* RENEW */
} tl_step;

#define TL_PHASES_TOLD_MAX 6 /* begins and ends of all three, when nothing is left to do in any */

typedef struct {
    tl_phase phase;
    tl_time began;
    bool address, no_address, announce;
    size_t n;
    tl_phases_peer peers[TL_PHASES_PEERS_MAX + 1]; /* and the bootstrap nodes */
    size_t n_told;
    tl_step told[TL_PHASES_TOLD_MAX];
} tl_phases;

void tl_phases_init(tl_phases *p);

/* The network has changed. What was under way is forgotten. The owner adds the peers next, and then
 * calls tl_phases_start. */
void tl_phases_begin(tl_phases *p, tl_time now);
/* A peer with whom a connection stood (`stood`), or was lost a short while ago. Each peer once; of
 * more than TL_PHASES_PEERS_MAX the last ones are left out. TL_RANK_BOOTSTRAP: `id` is not looked
 * at. */
void tl_phases_add(tl_phases *p, const tl_node_id *id, tl_phases_rank rank, bool stood);
void tl_phases_start(tl_phases *p, tl_time now);
/* The peer sent something since the change, over whatever way. Peers that were not added are
 * nothing. */
void tl_phases_on_carries(tl_phases *p, const tl_node_id *id, tl_time now);
void tl_phases_on_failed(tl_phases *p, const tl_node_id *id, tl_time now);
/* One of them answered. Or there is none of them to ask, and there never was anything to do. */
void tl_phases_on_bootstrap(tl_phases *p, tl_time now);
void tl_phases_no_bootstrap(tl_phases *p, tl_time now);
/* Our public address is known: found, or confirmed, since the change. A call after STUN asks for
 * another announcement. */
void tl_phases_on_address(tl_phases *p, tl_time now);
/* Nobody can be asked for it. */
void tl_phases_no_address(tl_phases *p, tl_time now);
void tl_phases_on_timer(tl_phases *p, tl_time now);
/* When to call it; TL_NEVER: RESTING. */
tl_time tl_phases_expiry(const tl_phases *p);
/* Call until it returns false, after each of the functions above. */
bool tl_phases_next(tl_phases *p, tl_time now, tl_step *ret_step);

#endif
