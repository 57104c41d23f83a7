/* state.h - what the relay's parts share: its state, and the few ways in which a connection is
 * written to, closed and forgotten. Included by this room alone.
 *
 *   relay.c     connections: limits, frames, deadlines, shutdown
 *   emit.c      what goes out to one connection, and its queue
 *   memory.c    what each connection and address holds, and who is given up for it
 *   register.c  who a connection is, joins and leaves, discover
 *   route.c     messages from node to node, sessions, slow readers
 *   report.c    what operators see                                                        */
#ifndef TL_RELAY_STATE_H
#define TL_RELAY_STATE_H

#include "base/ratelimit.h"
#include "relay/addresses.h"
#include "relay/output.h"
#include "relay/registry.h"
#include "relay/sessions.h"
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
    TL_RELAY_CONN_GREETED,  /* has its challenge, has not registered */
    TL_RELAY_CONN_MEMBER,   /* is node `node` */
    TL_RELAY_CONN_CLOSING,  /* our close frame is out; what it sends is discarded */
    TL_RELAY_CONN_CUT,      /* the driver was told to drop it */
} tl_relay_conn_state;

struct tl_relay_conn {
    tl_relay_timer timer; /* fires at or before the real deadline, see deadline_of in relay.c */
    void *user;
    tl_relay_node *node;      /* of a MEMBER */
    tl_relay_session *recent; /* the session it last sent data in, to save the look-up; or NULL */
    size_t queued;            /* bytes output and not yet written */
    size_t queue_cost;        /* the memory that they take, about */
    size_t held;              /* bytes of an unfinished frame that the driver keeps */
    size_t memory;            /* what it is charged, see memory.c */
    tl_time unfinished;       /* when the message under way began; TL_NEVER: none is */
    tl_time began;            /* when it entered its state */
    tl_time heard;            /* when the last frame came */
    tl_time progress;         /* when the queue began to fill, or last shrank */
    tl_time window;           /* since when `window_bytes` of the queue were written */
    size_t window_bytes;
    tl_relay_conn_state state;
    uint32_t paused_by; /* sessions in which it waits for a reader */
    bool doomed; /* to be cut at the next timer: its queue overflowed, or memory ran out for it */
    bool written_off; /* charged nothing more: it ends at once */
    bool tls;
    bool counted_registered; /* its address counts it as registered */
    tl_ws_reader reader;
    tl_addr remote, local;
    tl_relay_address *address;
    char nonce[TL_SIGNAL_NONCE_HEX + 1];
    tl_ratelimit control, discover;
    tl_relay_conn *prev, *next;             /* utlist, of all */
    tl_relay_conn *prev_there, *next_there; /* utlist, of its address */
};

struct tl_relay {
    tl_relay_config config;
    tl_rand *rand;
    tl_time now;        /* of the running call */
    double wall_offset; /* seconds since 2001 at monotonic 0 */
    bool closing;
    bool shedding;       /* memory.c is at work */
    size_t memory;       /* what all connections are charged */
    size_t memory_share; /* the most that one address may be */
    tl_relay_conn *conns;
    tl_relay_addresses addresses;
    tl_relay_registry registry;
    tl_relay_table sessions;
    tl_relay_timers conn_timers, session_timers;
    tl_relay_timer tick; /* of the join log */
    tl_relay_outputs outputs;
    tl_buf join_log; /* frames of joins and leaves since the last tick */
    tl_relay_counters counters;
};

/* Seconds since 2001. */
double tl_relay_date(const tl_relay *r, tl_time at);

/* --- emit.c --- */
/* Neither closing nor given up. */
bool tl_relay_is_open(const tl_relay_conn *c);
/* It is cut at the next timer, which is due now: safe while walking a list. */
void tl_relay_doom(tl_relay *r, tl_relay_conn *c);
/* Any output, also to a connection that is closing. Takes `shared`. */
void tl_relay_push(tl_relay *r, tl_relay_output_kind kind, tl_relay_conn *c, tl_slice bytes,
                   tl_relay_chunk *shared);
/* Everything that goes out passes here, and nothing but that happens here: safe while walking a
 * list. Takes `shared`; the bytes lie inside it or inside the driver's buffer. A connection that is
 * closing or doomed gets nothing more. */
void tl_relay_emit(tl_relay *r, tl_relay_conn *c, tl_slice bytes, tl_relay_chunk *shared);
/* A text frame around `json`, copied. */
void tl_relay_send_text(tl_relay *r, tl_relay_conn *c, tl_slice json);
void tl_relay_send_error(tl_relay *r, tl_relay_conn *c, tl_signal_code code, const char *message,
                         tl_slice about);
/* The same about a message between nodes: names its session. */
void tl_relay_refuse(tl_relay *r, tl_relay_conn *c, tl_signal_code code, const char *message,
                     const tl_signal *s);
void tl_relay_set_paused(tl_relay *r, tl_relay_conn *c, bool on);

/* --- memory.c --- */
/* Bytes of a chunk beside its content, and of the driver's record for it. */
#define TL_RELAY_CHUNK_COST 128
void tl_relay_memory_init(tl_relay *r);
/* Behind whatever changes what the connection holds. Over the budget, or over the share of its
 * address, connections are doomed: this one, or larger ones. */
void tl_relay_account(tl_relay *r, tl_relay_conn *c);
/* Once it has an address; before it loses it. */
void tl_relay_account_begin(tl_relay *r, tl_relay_conn *c);
void tl_relay_account_end(tl_relay *r, tl_relay_conn *c);

/* --- relay.c --- */
/* Its time in the state begins now. A MEMBER has its node, all others but CUT have none. */
void tl_relay_set_state(const tl_relay *r, tl_relay_conn *c, tl_relay_conn_state state);
/* Ends its membership, sends a close frame, reads no more. */
void tl_relay_close(tl_relay *r, tl_relay_conn *c, uint16_t code, const char *reason);
void tl_relay_set_conn_timer(tl_relay *r, tl_relay_conn *c);

/* --- register.c --- */
void tl_relay_on_register(tl_relay *r, tl_relay_conn *c, const tl_signal *s);
void tl_relay_on_discover(tl_relay *r, tl_relay_conn *c, const tl_signal *s);
/* Its sessions end, the others hear of it. */
void tl_relay_leave(tl_relay *r, tl_relay_conn *c);
/* Sends the join log to all that have not seen it. */
void tl_relay_tell_joins(tl_relay *r);

/* --- route.c --- */
/* `payload` is the message's text; `in_place`: it lies behind its masked header in the driver's
 * buffer, and may be sent on from there. */
void tl_relay_route(tl_relay *r, tl_relay_conn *c, const tl_signal *s, uint8_t *payload, size_t n,
                    bool in_place);
void tl_relay_end_sessions(tl_relay *r, tl_relay_node *n);
/* The node's queue has room again. */
void tl_relay_unblock(tl_relay *r, tl_relay_node *n);
void tl_relay_on_session_timer(tl_relay *r, tl_relay_session *s);

#endif
