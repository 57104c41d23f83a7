/* state.h - the structs behind quic.h, for this room's modules alone. Declarations only. */
#ifndef TL_QUIC_STATE_H
#define TL_QUIC_STATE_H

#include "quic/chunks.h"
#include "quic/handshake.h"
#include "quic/quic.h"
#include "quic/quic_compat.h"
#include "quic/replay.h"
#include "quic/retry.h"

#define TL_QUIC_SEND_BUFFER_MAX (1024 * 1024) /* quic.h: per stream */
#define TL_QUIC_PACKET_MAX      1500          /* PMTU discovery stops at 1444 */

/* Whoever has events to tell: a stream, or (stream NULL) a connection. */
typedef struct tl_quic_source {
    struct tl_quic_source *prev, *next; /* in the queue of those with events */
    tl_quic_conn *conn;
    tl_quic_stream *stream;
    uint32_t pending; /* bit 1 << tl_quic_event_type */
    bool queued;
} tl_quic_source;

struct tl_quic_stream {
    tl_quic_source source;
    int64_t id;
    void *user;
    tl_quic_stream *prev, *next;           /* of the connection */
    tl_quic_stream *send_prev, *send_next; /* those with something to send */
    tl_chunks tx;                          /* until acknowledged */
    tl_chunks rx;                          /* until consumed */
    uint64_t code;                         /* the peer's, with its reset */
    uint64_t window;                       /* unread bytes and credit (window.h) */
    uint64_t owed;                         /* the window shrank by what is not yet withheld */
    uint64_t round_n;                      /* bytes read since */
    tl_time round_at;                      /* this round of window.h began */
    tl_time acked_at;                      /* last, or when what is under way first was */
    bool sendable;                         /* in the list of those */
    bool write_short;                      /* a write did not fit: tell when there is room */
    bool fin_queued, fin_sent;
    bool rx_fin;
    bool reset_here, reset_there;
    bool finished; /* libngtcp2 has forgotten it */
};

/* HANDSHAKING --handshake done--> OPEN --close, error, timeout--> CLOSED
 *      \-----------------close, error, timeout---------------------^      */
typedef enum {
    TL_QUIC_HANDSHAKING, /* a server's is not shown to the layers above */
    TL_QUIC_OPEN,
    TL_QUIC_ENDED, /* no ngtcp2 connection any more; waits for its last events to be drained */
} tl_quic_conn_state;

typedef struct tl_quic_cid_entry tl_quic_cid_entry;

/* A path as one connection ID of ours is used on it (paths.h). */
typedef struct {
    tl_path_id path;
    uint16_t use;
} tl_quic_where;

/* Connection IDs a client may put to use before all that was sent to it is acknowledged. Each makes
 * libngtcp2 retire up to two of the client's, and it aborts at 17 not acknowledged. */
#define TL_QUIC_MOVES_MAX    7
/* From so many on streams wait until all that was sent is acknowledged (a round trip), or an answer
 * that never pauses would never see that moment. */
#define TL_QUIC_MOVES_SETTLE 4

struct tl_quic_conn {
    tl_quic_source source;
    tl_quic *quic;
    tl_quic_conn *prev, *next;             /* of the node */
    tl_quic_conn *ready_prev, *ready_next; /* those that may have something to send */
    bool ready;
    bool client;
    tl_quic_conn_state state;
    ngtcp2_conn *ng;
    tl_path_id path;
    tl_node_id peer;
    tl_suite suite;
    void *user;
    tl_handshake *handshake;   /* NULL once it is done */
    tl_handshake_inbox *inbox; /* two: Initial, Handshake; NULL likewise */
    tl_quic_cid_entry *cids;   /* ours, by which datagrams find it */
    tl_quic_stream *streams;
    tl_quic_stream *sendable;
    tl_quic_stream *probe; /* where the look for stopped streams goes on */
    uint64_t credit;       /* bytes the peer may still send (window.h) */
    uint64_t unread;       /* received and not read, of all streams */
    uint64_t grown;        /* of all windows, beyond what they began with */
    tl_time now;           /* of the last call, never before another's (timed.h) */
    tl_unix wall;
    tl_time expiry;
    uint64_t heard;      /* packets that opened, */
    uint64_t heard_here; /* and came by the present path since it is that */
    tl_time expired_at;  /* when libngtcp2's timers were last told the time */
    size_t heap_i;
    size_t burst;            /* bytes sent at `now` that pacing was not told of (timed.h) */
    uint64_t under_way;      /* bytes sent and not acknowledged (quiet.h) */
    tl_time quiet_since;     /* none of them was acknowledged since */
    tl_time small_until;     /* larger packets vanish on this path (size.h) */
    uint16_t moves;          /* server: connection IDs put to use on a path, ever */
    uint8_t moves_unsettled; /* and since all that was sent was acknowledged */
    uint32_t streams_over;   /* the peer's, and it was not told yet that it may open others */
    bool want_streams;       /* an open failed for the peer's limit */
    bool first_keys_made;    /* ngtcp2 prepares the next keys ahead */
    tl_err failure;          /* why a callback failed */
    tl_err *refusal;         /* where to leave it when the first packet is refused, or NULL */
    tl_err error;            /* of the CLOSED event */
    uint64_t code;
    char why[sizeof((tl_quic_event *)0)->why];
};

/* A connection that we closed: answers late packets with its CONNECTION_CLOSE for a while. */
typedef struct tl_quic_tomb {
    struct tl_quic_tomb *prev, *next;
    tl_quic_cid_entry *cids;
    tl_time until;
    uint32_t datagrams; /* that came; answered at 1, 2, 4, 8 … (RFC 9000 10.2.1) */
    tl_path_id path;
    size_t n;
    uint8_t packet[TL_QUIC_PACKET_MAX];
} tl_quic_tomb;

/* A datagram outside any connection's flow. */
typedef struct tl_quic_loose {
    struct tl_quic_loose *next;
    tl_path_id path;
    size_t n;
    uint8_t packet[TL_QUIC_PACKET_MAX];
} tl_quic_loose;

#define TL_QUIC_LOOSE_MAX 64   /* Retry and close packets not yet sent; more are lost on us */
#define TL_QUIC_TOMBS_MAX 1024 /* 1.6 MiB; a close is then told once only */
#define TL_QUIC_TOMB_TIME (3 * TL_SEC) /* 3 PTO at a round trip of 300 ms and more */

struct tl_quic {
    tl_quic_config config;
    tl_quic_counters counters;
    ngtcp2_callbacks callbacks;
    tl_quic_cid_entry *table;  /* uthash by connection ID */
    tl_quic_cid_entry *recent; /* found last */
    tl_quic_conn *conns;
    size_t conns_n, half_open_n;
    tl_quic_conn *ready;
    tl_quic_source *events;
    tl_quic_stream *dead_stream; /* told CLOSED last: freed by the next call */
    tl_quic_conn *dead_conn;
    tl_quic_conn **heap; /* by expiry; room for conns_max */
    size_t heap_n;
    tl_quic_tomb *tombs; /* oldest first */
    size_t tombs_n;
    tl_quic_loose *loose, *loose_last;
    size_t loose_n;
    tl_quic_loose held; /* a packet that did not fit the batch it was written for; n 0: none */
    bool (*path_held)(void *user, tl_path_id path); /* NULL: none is */
    void *held_user;
    tl_chunk_pool chunks;
    tl_replay replay;
    tl_retry_key retry_key;
    ngtcp2_crypto_aead retry_aead;
    ngtcp2_crypto_aead_ctx retry_ctx;
};

#endif
