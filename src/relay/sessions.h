/* sessions.h - the table of relay sessions: which nodes may send data to each other, and which
 * sender waits for a reader. Sends nothing, and decides nothing about time.
 *
 *   relayOpen -> OPENING --relayReady--> OPEN --relayClose, socket gone, busy--> freed
 *                    \----30 s, relayClose, socket gone----> freed */
#ifndef TL_RELAY_SESSIONS_H
#define TL_RELAY_SESSIONS_H

#include "relay/lines.h"
#include "relay/pairs.h"
#include "relay/registry.h"
#include "relay/timers.h"
#include "relay/tokens.h"

typedef enum {
    TL_RELAY_OPENING, /* relayOpen was passed on; relayReady has not come yet */
    TL_RELAY_OPEN,    /* data may flow in both directions */
} tl_relay_session_state;

typedef struct tl_relay_session tl_relay_session;

/* One side of a session, in the list of its node. */
typedef struct tl_relay_member {
    tl_relay_session *session;
    tl_relay_node *node;
    tl_relay_line *blocked_in; /* this side's socket is not read, because its line at the other
                                  side is full; NULL: it is not blocked */
    tl_time blocked_at;        /* or held since then */
    uint8_t
        held; /* this side's socket is not read, because its data waits between the relays, or at
                     the other one: bits of tl_fed_held (fed_state.h) */
    struct tl_relay_member *prev, *next;                 /* utlist of the node's */
    struct tl_relay_member *prev_blocked, *next_blocked; /* utlist of the line's */
} tl_relay_member;

struct tl_relay_session {
    char id[TL_SIGNAL_SESSION_MAX + 1];
    uint8_t id_n;
    tl_relay_session_state state;
    tl_relay_timer timer;
    tl_relay_member side[2]; /* side 0 opened the session */
    tl_tokens_pair tokens;   /* zeros: its members have no tokens */
    tl_time heard;           /* the last relayData */
    tl_time ends_at;         /* by the limits (tiers.c); TL_NEVER: not at all */
    tl_unix ends_unix;       /* the same in Unix seconds, as it was told; 0: not at all */
    tl_relay_pair *pair;     /* NULL: its time does not count */
    bool has_place;          /* among those of all relays of this process (tl_relay_limits.take) */
    bool warned;             /* its members were told of ends_at */
    UT_hash_handle hh;
};

typedef struct {
    size_t count;
    tl_relay_session *table;
} tl_relay_table;

tl_relay_session *tl_relay_table_find(const tl_relay_table *t, tl_slice id);
static inline bool tl_relay_session_is(const tl_relay_session *s, tl_slice id)
{
    return s->id_n == id.n && memcmp(s->id, id.p, id.n) == 0;
}
/* The id must not be in the table. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_table_add(tl_relay_table *t, tl_slice id, tl_relay_node *opener,
                                   tl_relay_node *target, tl_relay_session **ret_session);
/* relayReady came: an OPENING session becomes OPEN. */
void tl_relay_session_open(tl_relay_session *s);
/* Takes the session out and frees it; no side may be blocked. */
void tl_relay_table_remove(tl_relay_table *t, tl_relay_session *s);

/* The side of node `n`; NULL if it is not a member. */
tl_relay_member *tl_relay_session_side(tl_relay_session *s, const tl_relay_node *n);
static inline tl_relay_member *tl_relay_member_other(tl_relay_member *m)
{
    return &m->session->side[m == &m->session->side[0]];
}

#endif
