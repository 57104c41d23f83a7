/* state.h - the structs behind quic.h, for this room's modules alone. Declarations only. */
#ifndef TL_QUIC_STATE_H
#define TL_QUIC_STATE_H

#include "base/ratelimit.h"
#include "base/table.h"
#include "quic/chunks.h"
#include "quic/handshake.h"
#include "quic/holes.h"
#include "quic/keys.h"
#include "quic/quic.h"
#include "quic/quic_compat.h"
#include "quic/replay.h"
#include "quic/retry.h"

#define TL_QUIC_PACKET_MAX 1500 /* PMTU discovery stops at 1444 */

/* What a peer is granted (budget.h). */
typedef struct {
    uint32_t streams;     /* that it may hold open */
    uint64_t conn_window; /* bytes under way to us */
    uint64_t unread_max;  /* bytes received and not read */
    uint64_t send_max;    /* bytes that we keep for it in send buffers */
} tl_budget_grant;

/* What has events to tell: a stream, or a connection (then `stream` is NULL). */
typedef struct tl_quic_source {
    struct tl_quic_source *prev, *next; /* in the queue of sources with events */
    tl_quic_conn *conn;
    tl_quic_stream *stream;
    uint32_t pending; /* bit 1 << tl_quic_event_type */
    bool queued;
} tl_quic_source;

struct tl_quic_stream {
    tl_quic_source source;
    int64_t id;
    UT_hash_handle hh; /* by id */
    tl_holes holes;    /* what came out of order */
    void *user;
    tl_quic_stream *prev, *next;           /* in the connection's list */
    tl_quic_stream *send_prev, *send_next; /* in the list of streams with something to send */
    tl_chunks tx;                          /* bytes to send, kept until acknowledged */
    tl_chunks rx;                          /* received bytes, kept until consumed */
    uint64_t code;                         /* that came with the peer's reset */
    uint64_t window;                       /* unread bytes and credit (window.h) */
    uint64_t owed;                         /* bytes by which the window shrank and that are not yet
                                              withheld from the peer */
    uint64_t give;                         /* credit that the peer has not been told of yet */
    uint64_t round_n;                      /* bytes read since round_at */
    tl_time round_at;                      /* when this round of window.h began */
    tl_time acked_at;                      /* when bytes were last acknowledged, or when those under
                                              way were first sent */
    bool sendable;                         /* in the list of streams with something to send
                                              (send_prev) */
    bool write_short;                      /* a write did not fit: the stream tells when there is
                                              room */
    bool fin_queued, fin_sent;
    bool rx_fin;
    bool reset_here, reset_there;
    bool finished; /* libngtcp2 has forgotten it */
};

/* HANDSHAKING --handshake done--> OPEN --close, error, timeout--> ENDED
 *      \-----------------close, error, timeout---------------------^      */
typedef enum {
    TL_QUIC_HANDSHAKING, /* at a server it is not shown to the layers above */
    TL_QUIC_OPEN,
    TL_QUIC_ENDED, /* the ngtcp2 connection is gone; its last events wait to be drained */
} tl_quic_conn_state;

typedef struct tl_quic_cid_entry tl_quic_cid_entry;

/* The place that a server gives a connection (door.h draws the transitions). */
typedef enum {
    TL_DOOR_OUTSIDE, /* a client's; or its first message is being looked at, or it is over */
    TL_DOOR_WAITING, /* its handshake is not done */
    TL_DOOR_INSIDE,  /* its handshake is done */
} tl_door_place;

typedef struct tl_door_group tl_door_group;

/* One use of a path: by one of our connection IDs (paths.h). */
typedef struct {
    tl_path_id path;
    uint16_t use;
    uint16_t fresh;
} tl_quic_where;

/* How many connection IDs a client may put to use before all that was sent to it is acknowledged.
 * Each of them makes libngtcp2 retire up to two of the client's IDs, and libngtcp2 aborts when 17
 * of these are not acknowledged. */
#define TL_QUIC_MOVES_MAX    7
/* From this many on, streams wait until all that was sent is acknowledged (a round trip). Without
 * this, the moment would never come for an answer that never pauses. */
#define TL_QUIC_MOVES_SETTLE 4

struct tl_quic_conn {
    tl_quic_source source;
    tl_quic *quic;
    tl_quic_conn *prev, *next;             /* in the node's list */
    tl_quic_conn *ready_prev, *ready_next; /* in the list of connections that may have something to
                                              send */
    bool ready;
    bool client;
    tl_quic_conn_state state;
    ngtcp2_conn *ng;
    tl_meter memory;     /* all that is held for the peer (budget.h) */
    tl_meter lib_memory; /* the part of it that libngtcp2 holds */
    ngtcp2_mem mem;      /* libngtcp2 keeps a pointer here */
    bool known;          /* the layer above knows the peer */
    tl_budget_grant granted;
    tl_path_id path;
    tl_node_id peer;
    tl_suite suite;
    void *user;
    tl_handshake *handshake;   /* NULL once the handshake is done */
    tl_handshake_inbox *inbox; /* two: Initial, Handshake; NULL likewise */
    tl_quic_cid_entry *cids;   /* our IDs, by which datagrams find the connection */
    tl_door_place place;
    tl_door_group *group;                /* OUTSIDE: NULL */
    tl_quic_conn *door_prev, *door_next; /* WAITING: in the node's list */
    tl_quic_stream *streams;
    tl_quic_stream *by_id; /* a table of the same */
    tl_keys_owner keys_owner;
    tl_frames_streams
        opening; /* what the packet that is being read brings of streams to be opened */
    tl_quic_stream *sendable;
    tl_quic_stream *probe; /* where the search for stopped streams goes on */
    uint64_t credit;       /* bytes the peer may still send (window.h) */
    uint64_t unread;       /* received and not read, of all streams */
    uint64_t sending;      /* in the send buffers of all streams */
    uint64_t grown;        /* by how much all windows together are larger than they began */
    tl_time now;           /* the time of the last call; never goes back (timed.h) */
    tl_unix wall;
    tl_time expiry;
    uint64_t heard;      /* packets that opened */
    tl_time heard_at;    /* when one last did; at first: when the connection began */
    uint64_t bytes_in;   /* of datagrams in which one did */
    uint64_t bytes_out;  /* of datagrams that were written */
    uint64_t heard_here; /* those of them that came by the present path since the last move */
    tl_time expired_at;  /* when libngtcp2's timers were last told the time */
    tl_time data_at;     /* when bytes of a stream last came (acks.h) */
    bool ack_may_wait;   /* the acknowledgement of those bytes */
    bool data_came;      /* the datagram that is being read brought bytes of a stream, */
    bool end_came;       /* and the end of one */
    size_t heap_i;
    size_t burst;              /* bytes sent at `now` that pacing does not know of yet (timed.h) */
    uint64_t under_way;        /* bytes sent and not acknowledged (quiet.h) */
    tl_time quiet_since;       /* since when none of them was acknowledged */
    tl_time small_until;       /* until then packets stay small: larger ones vanish on this path
                                (size.h) */
    tl_time small_since;       /* when they became small, until the first answer after it; else 0 */
    bool hole_suspected;       /* large packets vanished once */
    uint16_t moves;            /* server: how many connection IDs were put to use on a path, ever */
    uint16_t fresh;            /* server: how many of them began anew (paths.h) */
    uint8_t moves_unsettled;   /* the same, since all that was sent was last acknowledged */
    uint32_t streams_over;     /* streams of the peer that are over, and for which it was not yet
                                allowed new ones */
    tl_ratelimit streams_rate; /* of a stranger: streams that it may be allowed */
    bool barred;               /* server: libngtcp2 holds the path for useless, and nothing is sent
                                until a packet came; maybe its client has moved */
    bool want_streams;         /* an open failed because of the peer's limit */
    bool first_keys_made;      /* ngtcp2 has prepared the next keys for the first time */
    tl_err failure;            /* why a callback failed */
    tl_err *refusal;           /* where to write why the first packet was refused, or NULL */
    tl_err error;              /* of the CLOSED event */
    uint64_t code;
    char why[sizeof((tl_quic_event *)0)->why];
};

/* What is left of a connection that we closed: for a while it answers late packets with its
 * CONNECTION_CLOSE. */
typedef struct tl_quic_tomb {
    struct tl_quic_tomb *prev, *next;
    tl_quic_cid_entry *cids;
    tl_time until;
    uint32_t datagrams; /* that came; those numbered 1, 2, 4, 8 … are answered (RFC 9000 10.2.1) */
    tl_path_id path;
    size_t n;
    uint8_t packet[TL_QUIC_PACKET_MAX];
} tl_quic_tomb;

/* A datagram that belongs to no living connection. */
typedef struct tl_quic_loose {
    struct tl_quic_loose *next;
    tl_path_id path;
    size_t n;
    uint8_t packet[TL_QUIC_PACKET_MAX];
} tl_quic_loose;

#define TL_QUIC_LOOSE_MAX 64           /* Retry and close packets not yet sent; more are dropped */
#define TL_QUIC_TOMBS_MAX 1024         /* 1.6 MiB; with more, a close is told only once */
#define TL_QUIC_TOMB_TIME (3 * TL_SEC) /* 3 PTO at a round trip of 300 ms and more */

struct tl_quic {
    tl_quic_config config;
    tl_quic_counters counters;
    ngtcp2_callbacks callbacks;
    tl_quic_cid_entry *table;  /* uthash by connection ID */
    tl_quic_cid_entry *recent; /* the entry found last */
    tl_quic_conn *conns;
    size_t conns_n, half_open_n;
    size_t strangers_n, strangers_waiting_n; /* inside, and at the door */
    tl_quic_conn *waiting;                   /* at the door, oldest first */
    tl_door_group *groups;                   /* a table by key (door.h) */
    tl_time tidied_at;
    uint64_t (*group_of)(void *user, tl_path_id path); /* NULL: each path is a group */
    void *group_user;
    uint64_t sending;                                  /* in the send buffers of all connections */
    tl_meter memory;                                   /* held for all peers */
    bool (*knows)(void *user, const tl_node_id *peer); /* NULL: nobody is known */
    void *knows_user;
    tl_quic_conn *ready;
    tl_quic_source *events;
    tl_quic_stream *dead_stream; /* its CLOSED was drained last: the next call frees it */
    tl_quic_conn *dead_conn;
    tl_quic_conn **heap; /* by expiry; room for conns_max */
    size_t heap_n;
    tl_quic_tomb *tombs; /* oldest first */
    size_t tombs_n;
    tl_quic_loose *loose, *loose_last;
    size_t loose_n;
    tl_quic_loose held; /* a packet that did not fit its batch and goes first next time; n 0:
                           none */
    bool (*path_held)(void *user, tl_path_id path); /* NULL: no path is held */
    void *held_user;
    tl_chunk_pool chunks;
    tl_replay replay;
    tl_retry_key retry_key;
    ngtcp2_crypto_aead retry_aead;
    ngtcp2_crypto_aead_ctx retry_ctx;
};

#endif
