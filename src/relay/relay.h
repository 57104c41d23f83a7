/* relay.h - every decision of the relay (docs/protocol.md "Relay signalling"): which nodes are
 * registered, which node may send what to which other, how fast and how much. Sans-IO: bytes of
 * WebSocket connections go in; frames to send, and connections to pause or close, come out. Never
 * touches a socket, clock or thread.
 *
 * How a driver uses it, for each loop (a tl_relay belongs to one; several loops would each have
 * one):
 *
 *   accept(2)              tl_relay_accept            TL_ERR_BUSY: close it, or answer 503
 *   of a trusted proxy     tl_relay_accept_untold, then tl_relay_on_told before the upgrade
 *   GET /ws upgraded       tl_relay_on_upgraded       the 101 and the first output in one write
 *   bytes read             tl_relay_on_bytes          frames are unmasked and re-headed in place
 *   wrote, or would block  tl_relay_on_written        always, with 0 when the socket took nothing
 *   end of stream, error   tl_relay_on_gone           the handle is invalid afterwards
 *   UDP datagrams          tl_relay_on_datagrams      those that tl_relay_takes
 *   tl_relay_expiry        tl_relay_on_timer
 *
 * After each of these calls the driver drains tl_relay_next_output until false, and then writes
 * what it gathered with one writev for each connection. It also sends tl_relay_bursts by UDP. Bytes
 * that lie in the driver's own buffer (`shared` NULL; all bursts) must be written or copied before
 * that buffer is used again. */
#ifndef TL_RELAY_RELAY_H
#define TL_RELAY_RELAY_H

#include "relay/tokens.h"

/* Bytes of a message between nodes that is not relayData. Our longest offer has 3 KiB; an SDP would
 * have 8. */
#define TL_RELAY_SIGNAL_MAX (16u << 10)
#define TL_RELAY_NAMES_MAX  8 /* each name costs one signature check in a failed registration */

/* What nodes may have of a relay whose owner shares little of it. KB is 1024 bytes. */
typedef struct {
    bool on; /* false: none of these holds */
    uint32_t max_sessions;
    uint32_t reciprocal_kbps, bootstrap_kbps; /* KB/s that one node may send, over all its sessions:
                                                 of those in `reciprocal`, and of others */
    tl_time burst;                            /* so much of that may come at once */
    tl_time idle_timeout; /* a session in which nothing was sent for so long ends */
    tl_time session_max;  /* sessions of two nodes of which neither is in `reciprocal` end, */
    tl_time session_warn; /* so long after a warning; */
    tl_time pause;        /* and they may have none for so long */
    /* Several relays of one process share max_sessions: a session takes its place (false: there is
     * none) when it begins, and gives it back. NULL: max_sessions is of this relay alone. */
    bool (*take)(void *shared);
    void (*give)(void *shared);
    void *shared;
    const tl_node_id *reciprocal; /* borrowed for life */
    size_t reciprocal_count;
} tl_relay_limits;
/* The defaults (docs/relay.md), off. */
tl_relay_limits tl_relay_limits_default(void);

typedef struct {
    size_t name_count; /* 0: nodes may sign only the socket's own IP address, or localhost */
    char names[TL_RELAY_NAMES_MAX][TL_HOST_MAX + 6]; /* authorities: host[:port], lower case */
    bool legacy_clients;       /* admit nodes without a challengeSignature by their `signature` */
    char udp[TL_HOST_MAX + 6]; /* what registerAck and relayOffer announce: STUN and relayed
                                  datagrams; "" = none */
    tl_relay_limits limits;
    tl_tokens_config tokens; /* the UDP sockets, and which loop this is */

    size_t message_max; /* bytes of one message; default 4 MiB */
    size_t queue_max;   /* bytes that may wait for a node. A sender is paused when a quarter of it
                           waits of him alone; default 4 MiB */
    size_t memory_max;  /* bytes that all connections together may take; default 256 MiB */
    uint32_t conns_max; /* default 65536 */
    uint32_t conns_per_address_max;        /* default 1000; an IPv6 /64 counts as one address */
    uint32_t unregistered_per_address_max; /* default 100 */
    uint32_t unregistered_per_site_max;    /* of one IPv6 /48; default 400 */
    uint32_t unregistered_max;      /* in all. Beyond it the oldest is ended; default 16384 */
    uint32_t sessions_max;          /* default 262144 */
    uint32_t sessions_per_node_max; /* default 4096 */
    uint32_t opening_per_node_max;  /* relayOpens of one node that are unanswered at once; default
                                      256 */
    uint32_t control_per_sec;       /* messages of a node other than relayData; default 200, */
    uint32_t control_burst;         /* burst default 1000 */
    uint32_t discover_per_sec;      /* default 20, */
    uint32_t discover_burst;        /* burst default 200 */
    tl_time upgrade_within;         /* default 10 s, including TLS */
    tl_time register_within;        /* default 10 s after the upgrade */
    tl_time ttl;                    /* default 300 s without any frame */
    tl_time open_within;            /* from relayOpen to relayReady; default 30 s */
    tl_time paused_max;             /* after this a paused session ends; default 2 s */
    tl_time stalled_max;            /* after this a connection whose queue does not shrink is cut;
                                      default 5 s */
    tl_time slow_within;            /* in each such time, a queue that never gets empty must shed
                                      slow_bytes */
    size_t slow_bytes;              /* default 240 KiB in 30 s */
    tl_time message_within;         /* after this a message whose rest does not come ends the
                                      connection; default 30 s */
    tl_time presence_tick; /* joins and leaves are told once a tick; default 10 ms, and 10 us for
                              each node */
} tl_relay_config;
tl_relay_config tl_relay_config_default(void);
/* Copies the name in lower case. Nodes must sign exactly this name (without the port if it is the
 * default of their URL). TL_ERR_PROTO: not host[:port]. TL_ERR_BUSY: there are TL_RELAY_NAMES_MAX
 * already. */
TL_CHECK tl_err tl_relay_config_add_name(tl_relay_config *config, const char *authority);

typedef struct tl_relay tl_relay;
typedef struct tl_relay_conn tl_relay_conn;
typedef struct tl_relay_node tl_relay_node;

/* Copies the configuration; `rand` is borrowed for life. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_new(const tl_relay_config *config, tl_rand *rand, tl_relay **ret_relay);
/* All connections must be gone before. */
void tl_relay_free(tl_relay *r);
/* Tells what wall time belongs to the monotonic time `now`, for the dates in messages. To be called
 * at the start, and from time to time. */
void tl_relay_set_wall(tl_relay *r, tl_unix wall, tl_time now);

/* --- input --- */
/* A connection was accepted. `user` comes back in every output about it. `local` is the address on
 * which it was accepted. TL_ERR_BUSY: a limit is reached (this is counted). TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_accept(tl_relay *r, const tl_addr *remote, const tl_addr *local, bool tls,
                                void *user, tl_time now, tl_relay_conn **ret_conn);
/* The same of a connection from a trusted proxy, which will tell whose it is. Until then it counts
 * among all, and no limit of one address holds it. */
TL_CHECK tl_err tl_relay_accept_untold(tl_relay *r, const tl_addr *proxy, const tl_addr *local,
                                       bool tls, void *user, tl_time now, tl_relay_conn **ret_conn);
/* The connection is this client's, as its proxy told, or the proxy's own: from now on it counts at
 * that address. TL_ERR_BUSY: a limit of it is reached (this is counted); TL_ERR_NOMEM. Then it counts
 * as before, and the driver ends it. */
TL_CHECK tl_err tl_relay_on_told(tl_relay *r, tl_relay_conn *c, const tl_addr *client, tl_time now);
/* What a proxy, or who would like to be one, told of its client's address. */
typedef enum {
    TL_RELAY_TOLD_CLIENT,    /* it was taken */
    TL_RELAY_TOLD_NOTHING,   /* the connection is the proxy's own */
    TL_RELAY_TOLD_MALFORMED, /* a trusted proxy told no address */
    TL_RELAY_TOLD_UNTRUSTED, /* the teller is not trusted: it was not taken */
    TL_RELAY_TOLDS,
} tl_relay_told;
void tl_relay_count_told(tl_relay *r, tl_relay_told told);
/* The client's, as far as it is known. */
tl_addr tl_relay_conn_remote(const tl_relay_conn *c);
/* The WebSocket handshake of the connection succeeded: outputs the challenge. */
void tl_relay_on_upgraded(tl_relay *r, tl_relay_conn *c, tl_time now);
/* Takes bytes after the handshake; they begin with the first byte of a frame. Consumes whole frames
 * and overwrites them; *ret_used tells how many bytes. The rest is the beginning of a frame: call
 * again with this rest and more bytes behind it. *ret_need (at least 2) is the length of that
 * frame, as far as its header tells, and at most message_max + 14. The driver's buffer must have
 * room for this. */
void tl_relay_on_bytes(tl_relay *r, tl_relay_conn *c, uint8_t *bytes, size_t n, tl_time now,
                       size_t *ret_used, size_t *ret_need);
/* The socket took `n` bytes of what was output for it; 0: the socket would block. */
void tl_relay_on_written(tl_relay *r, tl_relay_conn *c, size_t n, tl_time now);
/* The driver holds `n` bytes of memory: the beginning of a frame whose rest has not come, and records of
 * TLS that are under way. It calls this after each change, because these bytes count in memory_max. */
void tl_relay_on_held(tl_relay *r, tl_relay_conn *c, size_t n, tl_time now);
/* Can a datagram that begins with this byte be for tl_relay_on_datagrams? */
static inline bool tl_relay_takes(uint8_t first)
{
    return tl_token_is_first(first) || first == TL_CONTROL_FIRST_BYTE;
}
/* A datagram for another loop could not be handed to it: it counts as dropped (`slow`). */
void tl_relay_lost_datagram(tl_relay *r);
/* Datagrams of `segment` bytes came from way->remote to our address way->local, back to back; only
 * the last may be shorter. The bytes before the payload of each may be overwritten. */
void tl_relay_on_datagrams(tl_relay *r, const tl_burst_way *way, uint8_t *bytes, size_t n,
                           size_t segment, tl_time now);
/* The connection ended. Frees the handle. The driver drops the outputs that it has already drained
 * for it. */
void tl_relay_on_gone(tl_relay *r, tl_relay_conn *c, tl_time now);
void tl_relay_on_timer(tl_relay *r, tl_time now);
/* When to call tl_relay_on_timer; TL_NEVER: no deadline is set. */
tl_time tl_relay_expiry(const tl_relay *r);
/* Closes every connection with 1001, which tells every node; refuses later connections. */
void tl_relay_shutdown(tl_relay *r, tl_time now);

/* --- output --- */
/* Bytes that several connections may wait to send. */
typedef struct tl_relay_chunk tl_relay_chunk;
void tl_relay_chunk_unref(tl_relay_chunk *chunk);

typedef enum {
    TL_RELAY_SEND,   /* append `bytes` (whole frames) to the queue of the connection */
    TL_RELAY_CLOSE,  /* append `bytes` (a close frame). When all is written, shut down for writing,
                        and go on reading until the connection ends (tl_relay_on_bytes discards what
                        is read) */
    TL_RELAY_CUT,    /* close at once, drop the queue, then call tl_relay_on_gone */
    TL_RELAY_PAUSE,  /* stop reading from the connection */
    TL_RELAY_RESUME, /* read from the connection again */
} tl_relay_output_kind;

typedef struct {
    tl_relay_output_kind kind;
    tl_relay_conn *conn;
    void *user;             /* as given to tl_relay_accept */
    tl_slice bytes;         /* SEND, CLOSE */
    tl_relay_chunk *shared; /* holds the bytes. The driver owns one reference, and drops it with
                               tl_relay_chunk_unref when the bytes are written. NULL: the bytes lie
                               in the buffer that was handed to tl_relay_on_bytes */
} tl_relay_output;

/* False: no output is left. The outputs of one connection come in the order in which they must be
 * sent. */
bool tl_relay_next_output(tl_relay *r, tl_relay_output *ret_output);

/* Datagrams to send by UDP. */
const tl_bursts *tl_relay_bursts(const tl_relay *r);
/* They were sent; whatever was not is lost. */
void tl_relay_bursts_sent(tl_relay *r);

/* --- what operators see --- */
typedef enum {
    TL_RELAY_REFUSED_INVALID,  /* the message is no registration, or the key is none */
    TL_RELAY_REFUSED_PROOF,    /* no proof of this key for this relay */
    TL_RELAY_REFUSED_IDENTITY, /* the connection belongs to another node */
    TL_RELAY_REFUSED_RATE,     /* its address took too much work, or it changed too often */
    TL_RELAY_REFUSED_MEMORY,
    TL_RELAY_REFUSED_REASONS,
} tl_relay_refusal;

typedef struct {
    uint64_t conns_open, nodes_registered, sessions_active, sessions_opening; /* now */
    uint64_t queue_bytes, memory_bytes;                                       /* now, in all */
    uint64_t memory_max, memory_share; /* as configured; the part that one address may have */
    uint64_t conns_accepted, conns_refused;
    uint64_t registrations, replaced;
    uint64_t registrations_refused[TL_RELAY_REFUSED_REASONS];
    uint64_t frames_in, messages_in, messages_forwarded,
        bytes_forwarded; /* bytes of relayData payloads */
    uint64_t sessions_opened, sessions_busy, sessions_unanswered;
    uint64_t sessions_idle, sessions_timed_out; /* ended by tl_relay_limits */
    uint64_t waits;                             /* pauses of senders that had sent their rate */
    uint64_t presence_events, presence_lost;
    uint64_t presence_withdrawn; /* joins that were not told, because the node had left again */
    uint64_t presence_summed;    /* nodes that were told of many at once, without names */
    uint64_t rests; /* pauses of connections whose address took more than its share of work */
    uint64_t pauses, cut_stalled, cut_overflow, expired_upgrade, expired_register, expired_ttl;
    uint64_t cut_memory;       /* connections cut because memory ran out, */
    uint64_t cut_budget;       /* because of memory_max or their address's share, */
    uint64_t cut_slow;         /* because they read too slowly, */
    uint64_t cut_unfinished;   /* because a message was not finished */
    uint64_t cut_unregistered; /* because too many others had not registered either */
    uint64_t lists_cut;        /* registrations whose lists of names were cut */
    uint64_t closed_protocol;  /* connections closed for illegal frames: 1002, 1003, 1007, 1009 */
    uint64_t errors[16];       /* error messages sent, by tl_signal_code */
    uint64_t told[TL_RELAY_TOLDS]; /* addresses of clients, by tl_relay_told */
} tl_relay_counters;
const tl_relay_counters *tl_relay_counters_of(const tl_relay *r);
const tl_tokens_counters *tl_relay_datagrams_of(const tl_relay *r);
/* The registration that was refused last. False: none was. */
typedef struct {
    tl_addr remote;
    tl_relay_refusal reason;
} tl_relay_refused;
bool tl_relay_last_refused(const tl_relay *r, tl_relay_refused *ret_refused);
/* As configured. */
size_t tl_relay_message_max(const tl_relay *r);
/* Tells every node that understands it to move: the relay ends in so many seconds. New connections
 * are to be refused; sessions go on. */
void tl_relay_say_goodbye(tl_relay *r, unsigned in_seconds, tl_time now);
/* True: goodbye was said, or the relay was told to shut down. */
bool tl_relay_is_leaving(const tl_relay *r);
/* True: a node that was told has not moved yet, or a session goes on. */
bool tl_relay_is_needed(const tl_relay *r);
/* True: the relay was told to shut down. */
bool tl_relay_is_closing(const tl_relay *r);

/* What only the operator may see of a registered node. Borrowed until the next input. */
typedef struct {
    const char *node_id, *name;
    double connected_at; /* seconds since 1970 */
    tl_time idle;        /* since its last frame */
    tl_addr observed;
} tl_relay_node_report;
/* Gives the node after `at`; NULL as `at` asks for the first. Returns NULL if no node is left. */
const tl_relay_node *tl_relay_node_after(const tl_relay *r, const tl_relay_node *at, tl_time now,
                                         tl_relay_node_report *ret_report);

#endif
