/* peerrelay_state.h - what the sources of relay/peerrelay share. No other module includes it. */
#ifndef TL_RELAY_PEERRELAY_STATE_H
#define TL_RELAY_PEERRELAY_STATE_H

#include "base/table.h"
#include "relay/pairs.h"
#include "relay/peerrelay.h"
#include "relay/signed.h"

/* A node that has, or just had, relay sessions: its bytes are counted over all of them. One without
 * sessions is kept until its bucket is full again, so that nobody gets a full one by coming back. */
typedef struct pr_payer {
    tl_node_id id;
    tl_limit limit;
    uint64_t rate; /* bytes a second */
    uint32_t sessions;
    tl_time left;                 /* its last session ended */
    struct pr_payer *prev, *next; /* utlist of those without sessions, the oldest first */
    UT_hash_handle hh;
} pr_payer;

typedef struct pr_copy {
    struct pr_copy *next;
    size_t n;
    uint8_t bytes[];
} pr_copy;

typedef struct pr_session pr_session;

typedef struct {
    pr_session *session;
    pr_payer *payer;
    tl_burst_way way; /* its RelayOffer went there */
    bool reciprocal;
    pr_copy *held[TL_PEERRELAY_HELD_MAX]; /* for it, until its first packet comes */
    size_t n_held;
    tl_time held_at;
} pr_member;

struct pr_session {
    uint8_t key[64];   /* both nodes, the smaller ID first */
    pr_member side[2]; /* the initiator, the target */
    char id[TL_CONTROL_SESSION_MAX + 1];
    uint8_t nonce[TL_CONTROL_NONCE_SIZE]; /* of the last RelayRequest */
    tl_tokens_pair tokens;
    tl_relay_pair *pair; /* NULL: it does not end by time */
    tl_ratelimit offers;
    tl_time since, ends_at;
    tl_unix ends_unix;
    unsigned warnings; /* that were sent */
    tl_time warn_at;   /* the next one; TL_NEVER: no more */
    tl_unix warn_ends; /* when it ends, as they say */
    uint64_t bytes;
    tl_relay_timer timer;
    pr_session *prev, *next; /* utlist of all, the oldest first */
    UT_hash_handle hh;
};

struct tl_peerrelay {
    tl_peerrelay_config config;
    const tl_peerrelay_world *world;
    void *user;
    tl_rand *rand;
    tl_relay_tokens *tokens;
    tl_addr address4, address6;
    bool leaving;

    pr_payer *payers, *payers_idle;
    pr_session *sessions, *sessions_first;
    tl_relay_pairs pairs;
    tl_relay_timers timers;

    tl_bursts bursts;
    pr_copy *copies; /* what the bursts borrow */
    tl_peerrelay_counters counters;
};

/* --- peerrelay_tables.c --- */

/* Forgets what is over. */
void tl_pr_sweep(tl_peerrelay *r, tl_time now);
void tl_pr_clear(tl_peerrelay *r);
/* One more session of this node, which may send `rate` bytes a second. NULL: out of memory. */
pr_payer *tl_pr_payer_get(tl_peerrelay *r, const tl_node_id *id, uint64_t rate, tl_time now);
void tl_pr_payer_set_rate(tl_peerrelay *r, pr_payer *p, uint64_t rate, tl_time now);
void tl_pr_payer_put(tl_peerrelay *r, pr_payer *p, tl_time now);

/* --- peerrelay.c --- */

/* A new session; all but its tokens and its offers is decided. */
tl_asked tl_pr_open(tl_peerrelay *r, const tl_node_id ids[2], const tl_burst_way ways[2],
                    tl_time now, tl_unix wall, pr_session **ret_session);
void tl_pr_close(tl_peerrelay *r, pr_session *s, tl_time now);
pr_session *tl_pr_session_find(const tl_peerrelay *r, const tl_node_id *a, const tl_node_id *b);
/* The side has just come: what was held for it goes there. */
void tl_pr_release(tl_peerrelay *r, const tl_tokens_side *side, tl_time now);
/* Sends a copy of the bytes. */
void tl_pr_send(tl_peerrelay *r, const tl_burst_way *way, tl_slice bytes);
uint64_t tl_pr_rate_of(const tl_peerrelay *r, const tl_node_id *id, bool *ret_reciprocal);

/* --- peerrelay_ask.c --- */

void tl_pr_warn(tl_peerrelay *r, pr_session *s);

#endif
