/* state.h - what the sources of the relay share: its state, and the few functions that write to a
 * connection, close it and forget it. No other room includes it.
 *
 *   relay.c     connections: limits, frames, deadlines, shutdown
 *   told.c      connections that a trusted proxy passes on
 *   charge.c    what connections and frames cost their address, and who rests for it
 *   emit.c      what goes out to one connection
 *   queue.c     what waits for a connection that does not keep up
 *   memory.c    what each connection and address holds, and which connections are doomed for it
 *   register.c  which node a connection is, discover
 *   presence.c  tells all nodes who joined and left
 *   route.c     messages from node to node, sessions
 *   hold.c      senders that wait for a slow reader
 *   tiers.c     what nodes may have where there are limits: bytes, time, sessions
 *   datagrams.c relayed datagrams: from tokens (tokens.h) to connections and back
 *   federation.c, fedpresence.c, fedroute.c   the other relays of its cluster (fed_state.h)
 *   leave.c     the relay is about to end
 *   report.c    what operators see */
#ifndef TL_RELAY_STATE_H
#define TL_RELAY_STATE_H

#include "base/ratelimit.h"
#include "relay/addresses.h"
#include "relay/output.h"
#include "relay/registry.h"
#include "relay/sessions.h"
#include "relay/spending.h"
#include "wire/signalwrite.h"
#include "wire/ws.h"

/* tl_relay_set_state alone assigns it, and asserts what is drawn here:
 *
 *   ACCEPTED --upgraded--> GREETED --register--> MEMBER
 *      |                      |                     |
 *      | expired              | close, refused,     | close, expired,
 *      |                      | expired             | replaced
 *      v                      v                     |
 *     CUT <------2 s------ CLOSING <----------------/
 *
 *   any state --stalled, overflow, the driver lost it--> CUT */
typedef enum {
    TL_RELAY_CONN_ACCEPTED, /* TLS or HTTP is under way */
    TL_RELAY_CONN_GREETED,  /* the challenge was sent; the node has not registered yet */
    TL_RELAY_CONN_MEMBER,   /* registered as `node` */
    TL_RELAY_CONN_CLOSING,  /* our close frame was sent; what the peer sends is discarded */
    TL_RELAY_CONN_CUT,      /* the driver was told to cut it */
} tl_relay_conn_state;

struct tl_relay_conn {
    uint64_t number;      /* no other connection had it or will have it */
    tl_relay_timer timer; /* fires at or before the real deadline (deadline_of in relay.c) */
    void *user;
    tl_relay_node *node;      /* of a MEMBER */
    tl_relay_session *recent; /* the session in which it last sent data, to save the look-up; or
                                 NULL */
    size_t queued;            /* bytes that were output and are not yet written */
    tl_relay_lines lines;     /* what waits behind them, by sender; only of a MEMBER */
    size_t queue_cost;        /* about the memory that they take */
    size_t held;              /* bytes of an unfinished frame that the driver keeps */
    size_t memory;            /* bytes that count for it (memory.c) */
    tl_time unfinished;       /* when the message under way began; TL_NEVER: none is */
    tl_time began;            /* when it entered its present state */
    tl_time heard;            /* when the last frame came */
    bool congested;           /* its socket took less than it was given, and more waits */
    tl_time progress;         /* when the queue began to fill, or last shrank */
    tl_time window;           /* since then `window_bytes` of the queue were written */
    size_t window_bytes;
    tl_relay_conn_state state;
    uint32_t paused_by;   /* in how many sessions it waits for a reader, and 1 more if it rests */
    tl_time rests_until;  /* not read until then, because its address is in debt; TL_NEVER: it is
                            read */
    tl_time limited_told; /* when it was told last that it sends too many messages; 0: never */
    bool doomed;      /* the next timer cuts it: its queue overflowed, or memory ran out for it */
    bool written_off; /* no memory counts for it any more: it ends at once */
    bool is_new;      /* it stands in the list of those that are not registered */
    bool tls;
    bool untold; /* a trusted proxy passes it on and has not told yet whose it is: ACCEPTED alone */
    bool counted_registered; /* its address counts it as registered */
    tl_ws_reader reader;
    tl_addr remote, local;
    tl_relay_address *address;
    char nonce[TL_SIGNAL_NONCE_HEX + 1];
    tl_ratelimit control, discover;
    tl_ratelimit changes;       /* registrations again, of which other relays or loops hear, too */
    tl_ratelimit worthless;     /* frames without a message, and messages that were refused */
    bool eager;                 /* it sent too many of those since its last rest */
    tl_relay_conn *prev, *next; /* utlist of all connections */
    tl_relay_conn *prev_there, *next_there; /* utlist of its address */
    tl_relay_conn *prev_new, *next_new;     /* utlist of those that are not registered */
};

#define TL_RELAY_RANKS 432 /* eight for each power of two from 4 KiB on */

struct tl_relay {
    tl_relay_config config;
    tl_rand *rand;
    tl_time now;        /* the time of the running call */
    double wall_offset; /* seconds since 2001 at monotonic 0 */
    bool closing;
    tl_time leaves_at;   /* as the goodbye said; 0: none was said */
    bool shedding;       /* memory.c is at work */
    size_t memory;       /* bytes that count for all connections */
    size_t memory_share; /* the most bytes that may count for one address */
    tl_relay_conn *conns, *oldest_new;
    uint32_t new_count;
    size_t new_memory;                       /* of those that are not registered */
    tl_relay_address *ranks[TL_RELAY_RANKS]; /* addresses by the memory they take (memory.c) */
    tl_relay_addresses addresses;
    tl_relay_registry registry;
    tl_relay_table sessions;
    tl_relay_spending spending;
    uint64_t last_number; /* of a connection */
    tl_relay_timers conn_timers, session_timers;
    tl_relay_timer tick; /* tells of joins and leaves */
    tl_relay_outputs outputs;
    tl_relay_tokens *tokens;
    tl_relay_pairs pairs;
    tl_bursts bursts;             /* what goes out by UDP, */
    tl_relay_chunk *burst_chunks; /* and copies that it borrows from */
    tl_buf leaves;                /* frames of leaves that are not told yet */
    tl_relay_node *news;          /* utlist of the nodes whose joins are not told yet */
    tl_time told_events,
        told_bytes;          /* when the rates will have paid for what was told (presence.c) */
    uint32_t presence_fresh; /* joins and leaves since the last tick */
    struct tl_fed *fed;      /* the other relays of its cluster; NULL: it stands alone */
    tl_relay_counters counters;
    tl_relay_refused refused; /* the last; family NONE: there was none */
};

/* Unix seconds. */
tl_unix tl_relay_unix(const tl_relay *r, tl_time at);
/* Seconds since 2001. */
double tl_relay_date(const tl_relay *r, tl_time at);

/* --- emit.c --- */
/* True: it is neither closing nor doomed. */
bool tl_relay_is_open(const tl_relay_conn *c);
/* The next timer, which is due now, cuts the connection. So this call is safe while a list is
 * walked. */
void tl_relay_doom(tl_relay *r, tl_relay_conn *c);
/* Appends any output, also for a connection that is closing. Takes over `shared`. */
void tl_relay_push(tl_relay *r, tl_relay_output_kind kind, tl_relay_conn *c, tl_slice bytes,
                   tl_relay_chunk *shared);
/* Everything that goes out passes through here. It only appends an output, so it is safe while a
 * list is walked. Takes over `shared`; the bytes lie inside it or inside the driver's buffer. A
 * connection that is closing or doomed gets nothing more. */
void tl_relay_emit(tl_relay *r, tl_relay_conn *c, tl_slice bytes, tl_relay_chunk *shared);
/* Sends a text frame with a copy of `json`. */
void tl_relay_send_text(tl_relay *r, tl_relay_conn *c, tl_slice json);
void tl_relay_send_error(tl_relay *r, tl_relay_conn *c, tl_signal_code code, const char *message,
                         tl_slice about);
/* Sends an error about a message between nodes; it names the session. */
void tl_relay_refuse(tl_relay *r, tl_relay_conn *c, tl_signal_code code, const char *message,
                     const tl_signal *s);
void tl_relay_set_paused(tl_relay *r, tl_relay_conn *c, bool on);

/* --- charge.c --- */
/* The connection is of that address. */
void tl_relay_charge_begin(tl_relay *r, tl_relay_conn *c);
/* A frame that carries no whole message came. */
void tl_relay_charge_frame(tl_relay *r, tl_relay_conn *c);
/* A message of `n` bytes was refused. */
void tl_relay_charge_refusal(tl_relay *r, tl_relay_conn *c, size_t n);
/* To call after what was read is handled: pauses who sent too much of both if its address is in
 * debt. */
void tl_relay_rest_if_indebted(tl_relay *r, tl_relay_conn *c);
void tl_relay_end_rest(tl_relay *r, tl_relay_conn *c);
/* It is not read until then. */
void tl_relay_rest(tl_relay *r, tl_relay_conn *c, tl_time until);
/* Every message but relayData costs its sender a token, and costs its address the time to read it.
 * False: too little was left. The sender is told, but not more than once a second that it has no
 * token. */
bool tl_relay_is_within_rate(tl_relay *r, tl_relay_conn *c, const tl_signal *s, tl_slice text);

/* --- queue.c --- */
/* Whose line at a connection: see lines.h. */
typedef struct {
    uint64_t group, sender;
} tl_relay_whose;
/* Waits in no line: what a node asked for goes first. */
static const tl_relay_whose tl_relay_first = {0, 0};
/* What a node sends to others that agreed to a session with it, and what it sends to others. */
tl_relay_whose tl_relay_line_of(const tl_relay_node *from);
tl_relay_whose tl_relay_stranger_line_of(const tl_relay_node *from);
/* Sends a text or binary frame with the payload, or lets it wait in that line if `to` does not keep up. Then
 * *ret_line is the line; else it is NULL. `in_place`: the payload lies behind its masked header in
 * the driver's buffer, and may be sent from there. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_pass(tl_relay *r, tl_relay_conn *to, tl_relay_whose whose,
                              tl_ws_opcode opcode, uint8_t *payload, size_t n, bool in_place,
                              tl_relay_line **ret_line);
/* The socket of `c` took something: outputs more of what waits. */
void tl_relay_refill(tl_relay *r, tl_relay_conn *c);
/* Drops what waits for it; nobody may be blocked there. */
void tl_relay_drop_lines(tl_relay *r, tl_relay_conn *c);
/* The same for one line. */
void tl_relay_drop_line(tl_relay *r, tl_relay_conn *c, tl_relay_line *line);
/* All that was taken for it and is not yet written. */
static inline size_t tl_relay_waiting(const tl_relay_conn *c)
{
    return c->queued + c->lines.bytes;
}
/* The most that may wait of one sender. Beyond it he is paused, or told `busy`. */
static inline size_t tl_relay_line_max(const tl_relay *r)
{
    return r->config.queue_max / 4;
}
/* The most that may wait for one connection: a full queue and one message. */
static inline size_t tl_relay_waiting_max(const tl_relay *r)
{
    return r->config.queue_max + r->config.message_max;
}

/* --- memory.c --- */
/* Bytes that a chunk takes beside its content, with the driver's record for it. */
#define TL_RELAY_CHUNK_COST 128
void tl_relay_memory_init(tl_relay *r);
/* To call after every change of what the connection holds. If the budget or the share of its
 * address is exceeded, connections are doomed: this one, or larger ones. */
void tl_relay_account(tl_relay *r, tl_relay_conn *c);
/* To call after a connection got its address, and before it loses it. */
void tl_relay_account_begin(tl_relay *r, tl_relay_conn *c);
void tl_relay_account_end(tl_relay *r, tl_relay_conn *c);
/* It belongs to address `to` from now on. */
void tl_relay_account_move(tl_relay *r, tl_relay_conn *c, tl_relay_address *to);

/* --- relay.c --- */
/* The time in the new state begins now. A MEMBER has its node; in all other states but CUT there is
 * none. */
void tl_relay_set_state(const tl_relay *r, tl_relay_conn *c, tl_relay_conn_state state);
/* Ends the node's registration, sends a close frame, and discards what still comes. */
void tl_relay_close(tl_relay *r, tl_relay_conn *c, uint16_t code, const char *reason);
void tl_relay_set_conn_timer(tl_relay *r, tl_relay_conn *c);
/* It registered, or is as good as gone. */
void tl_relay_not_new(tl_relay *r, tl_relay_conn *c);

/* --- leave.c --- */
/* Tells this node, if it understands that, that the relay is about to end. */
void tl_relay_tell_goodbye(tl_relay *r, tl_relay_conn *c);

/* --- register.c --- */
/* Counts a registration that was refused. */
void tl_relay_count_refused(tl_relay *r, const tl_relay_conn *c, tl_relay_refusal reason);
void tl_relay_on_register(tl_relay *r, tl_relay_conn *c, const tl_signal *s);
void tl_relay_on_discover(tl_relay *r, tl_relay_conn *c, const tl_signal *s);
void tl_relay_send_ack(tl_relay *r, tl_relay_conn *c);
/* The socket is no node's any more: it is told that the node is on another one, and closed. */
void tl_relay_replace(tl_relay *r, tl_relay_node *n);
/* The node leaves: its sessions end, and the other nodes are told. */
void tl_relay_leave(tl_relay *r, tl_relay_conn *c);

/* --- presence.c --- */
/* All others are to be told, at a later tick. */
void tl_relay_joined(tl_relay *r, tl_relay_node *n);
void tl_relay_left(tl_relay *r, tl_relay_node *n);
/* The tick. */
void tl_relay_tell_presence(tl_relay *r);

/* --- route.c --- */
/* `payload` is the text of the message. `in_place`: the text lies behind its masked header in the
 * driver's buffer, and may be sent on from there. `from` may be at another relay. */
void tl_relay_route(tl_relay *r, tl_relay_node *from, const tl_signal *s, uint8_t *payload,
                    size_t n, bool in_place);
/* What `from` sent reached nobody: its target is gone. A session that it was opening ends. */
void tl_relay_refuse_gone(tl_relay *r, tl_relay_node *from, const tl_node_id *to,
                          tl_signal_type about, tl_slice session);
/* A session between two loops of this process is counted by that of its opener alone: 1 or 0. */
uint64_t tl_relay_counts_here(const tl_relay_session *s);
/* Ends it, and tells its members but `knows`; none if `other_knows`. */
void tl_relay_drop_session(tl_relay *r, tl_relay_session *s, const tl_relay_node *knows,
                           bool other_knows);
void tl_relay_end_sessions(tl_relay *r, tl_relay_node *n);
void tl_relay_on_session_timer(tl_relay *r, tl_relay_session *s);

/* --- hold.c --- */
/* Whether the sender's socket waits for another relay; 0: for none. */
void tl_relay_set_held(tl_relay *r, tl_relay_member *sender, uint8_t held);
/* The sender's line is full: its socket is not read until there is room. */
void tl_relay_block(tl_relay *r, tl_relay_member *sender, tl_relay_line *line);
void tl_relay_unblock(tl_relay *r, tl_relay_member *sender);
/* The line has room again: its sender may go on. */
void tl_relay_unblock_line(tl_relay *r, tl_relay_line *line);
/* How long a sender may wait. */
tl_time tl_relay_patience(const tl_relay *r, const tl_relay_member *m);
/* Sets the timer of an open session anew. */
void tl_relay_set_session_timer(tl_relay *r, tl_relay_session *s);

/* --- tiers.c; all may be called where there are no limits --- */
void tl_relay_tiers_init(tl_relay *r);
/* The node registered here: what it may send begins now, with nothing. */
void tl_relay_tiers_enter(tl_relay *r, tl_relay_node *n);
/* NULL: it may send without limit, or another relay counts what it sends. */
tl_limit *tl_relay_limit_of(tl_relay *r, tl_relay_node *n);
/* When the frame at the front may be taken; r->now: at once. */
tl_time tl_relay_wait_for_limit(tl_relay *r, const tl_relay_conn *c, const uint8_t *bytes,
                                size_t n);
/* The node sent relayData with `n` bytes. */
void tl_relay_charge_data(tl_relay *r, tl_relay_node *from, size_t n);
/* TL_SIGNAL_CODES: they may open a session. Else the error. */
tl_signal_code tl_relay_may_open(tl_relay *r, const tl_relay_node *a, const tl_relay_node *b);
const char *tl_relay_why_not_open(tl_signal_code code);
/* The session was opened, and ended. TL_ERR_BUSY: it may not be. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_tiers_begin(tl_relay *r, tl_relay_session *s);
void tl_relay_tiers_end(tl_relay *r, tl_relay_session *s);
/* When the limits want something of an open session. */
tl_time tl_relay_tiers_expiry(const tl_relay *r, const tl_relay_session *s);
/* Warns its members if it is time to. Returns why it is to end; NULL: it goes on. */
const char *tl_relay_tiers_due(tl_relay *r, tl_relay_session *s);

/* --- datagrams.c --- */
/* The session is open: makes its tokens and tells those members that are here, if both members
 * understand it. */
void tl_relay_offer_tokens(tl_relay *r, tl_relay_session *s);
/* A binary message came from a node. */
void tl_relay_on_binary(tl_relay *r, tl_relay_conn *c, uint8_t *bytes, size_t n, bool in_place);
/* The payload of a packet of that member came from its relay. */
void tl_relay_on_payload(tl_relay *r, tl_relay_member *from, uint8_t *payload, size_t n);
void tl_relay_move_sides(tl_relay *r);

#endif
