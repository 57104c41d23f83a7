/* relay.h - every decision of the relay (docs/protocol.md "Relay signalling"): who is registered,
 * who may send what to whom, in what time and measure. Sans-IO: bytes of WebSocket connections go
 * in, frames to send and connections to pause or close come out; never touches a socket, clock or
 * thread.
 *
 * How a driver uses it, for each loop (a tl_relay belongs to one; several loops would each have
 * one):
 *
 *   accept(2)              tl_relay_accept            TL_ERR_BUSY: close it, or answer 503
 *   GET /ws upgraded       tl_relay_on_upgraded       the 101 and the first output in one write
 *   bytes read             tl_relay_on_bytes          frames are unmasked and re-headed in place
 *   wrote, or would block  tl_relay_on_written        always, with 0 when the socket took nothing
 *   end of stream, error   tl_relay_on_gone           the handle is invalid afterwards
 *   tl_relay_expiry        tl_relay_on_timer
 *
 * After each of these calls drain tl_relay_next_output until false, then flush what was gathered
 * with one writev per connection. Bytes that lie in the driver's own buffer (`shared` NULL) must be
 * written or copied before that buffer is used again. */
#ifndef TL_RELAY_RELAY_H
#define TL_RELAY_RELAY_H

#include "base/addr.h"
#include "base/rand.h"
#include "base/time.h"

#define TL_RELAY_NAMES_MAX 8 /* each costs one signature check per failed registration */

typedef struct {
    size_t name_count; /* 0: only an IP literal equal to the socket's local address, or localhost */
    char names[TL_RELAY_NAMES_MAX][TL_HOST_MAX + 6]; /* authorities: host[:port], lower case */
    bool legacy_clients;       /* admit nodes without challengeSignature, by their `signature` */
    char udp[TL_HOST_MAX + 6]; /* announced in registerAck; "" = none */

    size_t message_max; /* bytes of one message; default 4 MiB */
    size_t queue_max;  /* bytes waiting for one node before its senders are paused; default 4 MiB */
    size_t memory_max; /* bytes that all connections together may take; default 256 MiB */
    uint32_t conns_max;                    /* default 65536 */
    uint32_t conns_per_address_max;        /* default 1000; an IPv6 /64 counts as one address */
    uint32_t unregistered_per_address_max; /* default 100 */
    uint32_t sessions_max;                 /* default 262144 */
    uint32_t sessions_per_node_max;        /* default 4096 */
    uint32_t opening_per_node_max; /* relayOpens of one node unanswered at once; default 256 */
    uint32_t control_per_sec;      /* messages but relayData per node; default 200, */
    uint32_t control_burst;        /* burst default 1000 */
    uint32_t discover_per_sec;     /* default 20, */
    uint32_t discover_burst;       /* burst default 200 */
    tl_time upgrade_within;        /* default 10 s, TLS included */
    tl_time register_within;       /* default 10 s after the upgrade */
    tl_time ttl;                   /* default 300 s without any frame */
    tl_time open_within;           /* relayOpen to relayReady; default 30 s */
    tl_time paused_max;            /* a paused session ends after this; default 2 s */
    tl_time stalled_max;           /* a queue without progress is cut after this; default 5 s */
    tl_time slow_within;           /* of a queue that never gets empty, in every such time */
    size_t slow_bytes;             /* so many bytes must go; default 240 KiB in 30 s */
    tl_time message_within;        /* a message whose rest does not come; default 30 s */
    tl_time presence_tick; /* joins and leaves are told together; default 10 ms, and 10 us a node */
} tl_relay_config;
tl_relay_config tl_relay_config_default(void);
/* Copies, in lower case; nodes must sign exactly this (the default port of their URL left out).
 * TL_ERR_PROTO: not host[:port]. TL_ERR_BUSY: TL_RELAY_NAMES_MAX reached. */
TL_CHECK tl_err tl_relay_config_add_name(tl_relay_config *config, const char *authority);

typedef struct tl_relay tl_relay;
typedef struct tl_relay_conn tl_relay_conn;
typedef struct tl_relay_node tl_relay_node;

/* Copies the configuration; `rand` is borrowed for life. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_new(const tl_relay_config *config, tl_rand *rand, tl_relay **ret_relay);
/* All connections must be gone. */
void tl_relay_free(tl_relay *r);
/* Ties monotonic to wall time for the dates in messages; call at start, and now and then. */
void tl_relay_set_wall(tl_relay *r, tl_unix wall, tl_time now);

/* --- input --- */
/* A connection was accepted; `user` comes back in every output about it. `local` is the address it
 * was accepted on. TL_ERR_BUSY: over a limit (counted). TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_accept(tl_relay *r, const tl_addr *remote, const tl_addr *local, bool tls,
                                void *user, tl_time now, tl_relay_conn **ret_conn);
/* Its WebSocket handshake succeeded: outputs the challenge. */
void tl_relay_on_upgraded(tl_relay *r, tl_relay_conn *c, tl_time now);
/* Bytes after the handshake, beginning at a frame's first byte. Consumes whole frames and
 * overwrites them; *ret_used tells how many bytes. The rest is the beginning of a frame: call again
 * with it and more behind. *ret_need (at least 2) is how long that frame is as far as its header
 * tells, never above message_max + 14: the size the driver's buffer must reach. */
void tl_relay_on_bytes(tl_relay *r, tl_relay_conn *c, uint8_t *bytes, size_t n, tl_time now,
                       size_t *ret_used, size_t *ret_need);
/* The socket took `n` bytes of what was output for it; 0: it would block. */
void tl_relay_on_written(tl_relay *r, tl_relay_conn *c, size_t n, tl_time now);
/* The driver keeps `n` bytes of memory for the beginning of a frame whose rest has not come: to be
 * told after each change, since they count in memory_max. */
void tl_relay_on_held(tl_relay *r, tl_relay_conn *c, size_t n, tl_time now);
/* The connection ended. Frees the handle; outputs already drained for it are the driver's to drop.
 */
void tl_relay_on_gone(tl_relay *r, tl_relay_conn *c, tl_time now);
void tl_relay_on_timer(tl_relay *r, tl_time now);
/* When to call tl_relay_on_timer; TL_NEVER: nothing pending. */
tl_time tl_relay_expiry(const tl_relay *r);
/* Tells every node and closes all with 1001; later connections are refused. */
void tl_relay_shutdown(tl_relay *r, tl_time now);

/* --- output --- */
/* Bytes that several connections may wait to send. */
typedef struct tl_relay_chunk tl_relay_chunk;
void tl_relay_chunk_unref(tl_relay_chunk *chunk);

typedef enum {
    TL_RELAY_SEND,   /* append `bytes` (whole frames) to what waits for the connection */
    TL_RELAY_CLOSE,  /* append `bytes` (a close frame); when all is written, shut down for writing,
                        and go on reading (into tl_relay_on_bytes, which discards) until it ends */
    TL_RELAY_CUT,    /* close at once, drop what waits, then call tl_relay_on_gone */
    TL_RELAY_PAUSE,  /* stop reading from the connection */
    TL_RELAY_RESUME, /* read again */
} tl_relay_output_kind;

typedef struct {
    tl_relay_output_kind kind;
    tl_relay_conn *conn;
    void *user;             /* as given to tl_relay_accept */
    tl_slice bytes;         /* SEND, CLOSE */
    tl_relay_chunk *shared; /* holds the bytes: the driver owns one reference, and drops it with
                               tl_relay_chunk_unref when they are written; NULL: they lie in the
                               buffer that was handed to tl_relay_on_bytes */
} tl_relay_output;

/* False when there is none left. Outputs of one connection are in the order to be sent. */
bool tl_relay_next_output(tl_relay *r, tl_relay_output *ret_output);

/* --- what operators see --- */
typedef struct {
    uint64_t conns_open, nodes_registered, sessions_active, sessions_opening; /* now */
    uint64_t queue_bytes, memory_bytes;                                       /* now, of all */
    uint64_t memory_max;                                                      /* as configured */
    uint64_t conns_accepted, conns_refused;
    uint64_t registrations, registrations_refused, replaced;
    uint64_t messages_in, messages_forwarded, bytes_forwarded; /* bytes of relayData payloads */
    uint64_t sessions_opened, sessions_busy, sessions_unanswered;
    uint64_t presence_events, presence_lost;
    uint64_t pauses, cut_stalled, cut_overflow, expired_upgrade, expired_register, expired_ttl;
    uint64_t cut_memory;      /* connections given up because memory ran out, */
    uint64_t cut_budget;      /* because of memory_max, or of their address's share, */
    uint64_t cut_slow;        /* because they read hardly anything, */
    uint64_t cut_unfinished;  /* because a message had no end */
    uint64_t lists_cut;       /* registrations of which not all names were kept */
    uint64_t closed_protocol; /* illegal frames: 1002, 1003, 1007, 1009 */
    uint64_t errors[16];      /* error messages sent, by tl_signal_code */
} tl_relay_counters;
const tl_relay_counters *tl_relay_counters_of(const tl_relay *r);
/* It was told to shut down. */
bool tl_relay_is_closing(const tl_relay *r);

/* A registered node, for the operator alone. Borrowed until the next input. */
typedef struct {
    const char *node_id, *name;
    double connected_at; /* seconds since 1970 */
    tl_time idle;        /* since its last frame */
    tl_addr observed;
} tl_relay_node_report;
/* Goes from node to node: `at` NULL asks for the first. NULL: there is none left. */
const tl_relay_node *tl_relay_node_after(const tl_relay *r, const tl_relay_node *at, tl_time now,
                                         tl_relay_node_report *ret_report);

#endif
