/* quic.h - every QUIC connection of one node, secured by Noise, over virtual path ids. Sans-IO: no
 * socket, clock or real address comes in here. Only the endpoint knows what a path id means.
 *
 * Datagrams in: tl_quic_on_datagram. Datagrams out: tl_quic_next_output until false. What happened:
 * tl_quic_next_event until false. When to come back: tl_quic_expiry. After any call that can
 * produce output or events, drain both. Handles stay valid until the event that ends them has been
 * drained and the next call into this module is made. */
#ifndef TL_QUIC_QUIC_H
#define TL_QUIC_QUIC_H

#include "base/time.h"
#include "crypto/identity.h"
#include "path/via.h"

typedef struct tl_quic tl_quic;
typedef struct tl_quic_conn tl_quic_conn;
typedef struct tl_quic_stream tl_quic_stream;

/* The AEAD of a connection, by its number in the handshake. */
typedef enum { TL_SUITE_AES_128_GCM = 1, TL_SUITE_CHACHA20_POLY1305 = 2 } tl_suite;

typedef struct {
    const tl_identity *identity;   /* borrows for life */
    tl_rand *rand;                 /* borrows for life */
    uint32_t suites;               /* bit mask of 1 << tl_suite; default: those fast on this CPU */
    tl_time handshake_timeout;     /* default 10 s */
    tl_time idle_timeout;          /* default 60 s */
    tl_time keepalive;             /* default 25 s; 0 = none */
    uint64_t stream_window;        /* received and unread bytes per stream; default 16 MiB */
    uint64_t conn_window;          /* bytes under way to us per connection; default 16 MiB */
    uint64_t unread_max;           /* received and unread bytes per connection; default 64 MiB */
    uint32_t streams_max;          /* bidirectional streams a peer may hold open; default 4096 */
    uint32_t stranger_streams_max; /* the same, while the peer is not known; default 128 */
    uint64_t stranger_window;      /* conn_window while the peer is not known, and a quarter of
                                      its unread_max; default 2 MiB */
    uint64_t send_max;             /* bytes in send buffers per connection; default 32 MiB */
    uint64_t send_memory_max;      /* the same in all; default 128 MiB, half of it for strangers */
    uint64_t memory_max;           /* bytes held for peers in all, of what we send only libngtcp2's
                                    notes; default 256 MiB */
    uint32_t half_open_max; /* unfinished server handshakes; above a quarter, Retry; default 1024 */
    uint32_t conns_max;     /* default 4096 */
    uint64_t key_update_packets; /* a new key after this many; default 2^22 (RFC 9001 6.6) */
    bool pmtud;                  /* default true: probe above 1200 bytes */
} tl_quic_config;

tl_quic_config tl_quic_config_default(const tl_identity *identity, tl_rand *rand);

/* What the API layer shows as metrics. */
typedef struct {
    uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
    uint64_t dropped_short, dropped_unknown, dropped_auth, dropped_replay, dropped_limit;
    uint64_t packets_opened; /* their seal was right: a peer made them; replayed ones count too */
    uint64_t handshakes_done, handshakes_failed, retries_sent, key_updates;
    uint64_t closed_holes;  /* connections closed: the peer sent too much out of order */
    uint64_t closed_memory; /* connections closed: all together held more than memory_max */
    uint64_t black_holes;   /* times that a path stopped carrying large packets */
} tl_quic_counters;

TL_CHECK tl_err tl_quic_new(const tl_quic_config *config, tl_quic **ret_quic);
void tl_quic_free(tl_quic *q);
const tl_quic_counters *tl_quic_counters_of(const tl_quic *q);
/* How many bytes are held for peers, as memory_max counts them. */
uint64_t tl_quic_held(const tl_quic *q);

/* `knows` says which peers are known: nodes that were served well before, nodes of our networks,
 * and our own nodes. A stranger is granted less. It is asked when a handshake tells which node the
 * peer is, and must not call into this module. NULL: no peer is known. */
void tl_quic_set_known(tl_quic *q, bool (*knows)(void *user, const tl_node_id *peer), void *user);

/* Which paths share the places for connections from outside (door.h): those of one peer, as the
 * relay or a check names it. Must not call into this module. NULL: each path is a group. */
void tl_quic_set_groups(tl_quic *q, uint64_t (*group_of)(void *user, tl_path_id path), void *user);

/* --- connections --- */
/* Dials `peer` over `path`. An answer from another node is refused. TL_ERR_BUSY: conns_max. */
TL_CHECK tl_err tl_quic_dial(tl_quic *q, const tl_node_id *peer, tl_path_id path, tl_time now,
                             tl_unix wall, tl_quic_conn **ret_conn);
/* The same over a path that others share, so that the peer cannot tell by which it came: the first
 * datagrams bear a mark (tl_quic_is_marked), made of bytes that both ends of the path know. */
TL_CHECK tl_err tl_quic_dial_marked(tl_quic *q, const tl_node_id *peer, tl_path_id path,
                                    tl_slice mark, tl_time now, tl_unix wall,
                                    tl_quic_conn **ret_conn);
bool tl_quic_is_marked(tl_slice datagram, tl_slice mark);
/* Sends CONNECTION_CLOSE with an application code and a short reason; TL_QUIC_CLOSED follows. */
void tl_quic_conn_close(tl_quic_conn *c, uint64_t code, const char *reason, tl_time now);
/* At a client: moves to another path at once (fresh connection ID, congestion window, RTT, PMTU).
 * The client of a connection chooses its path; the server answers on the path that its client used
 * last. TL_ERR_INVALID at a server, TL_ERR_AGAIN when no spare connection ID is there yet. */
TL_CHECK tl_err tl_quic_conn_migrate(tl_quic_conn *c, tl_path_id path, tl_time now);
const tl_node_id *tl_quic_conn_peer(const tl_quic_conn *c);
tl_path_id tl_quic_conn_path(const tl_quic_conn *c);
bool tl_quic_conn_is_client(const tl_quic_conn *c);
tl_suite tl_quic_conn_suite(const tl_quic_conn *c);
tl_time tl_quic_conn_rtt(const tl_quic_conn *c); /* smoothed; 0 before the first sample */
/* How many of the peer's packets opened. The peer is there while this number grows. A replayed
 * packet counts too. */
uint64_t tl_quic_conn_heard(const tl_quic_conn *c);
/* When the last one came; before the first: when the connection was made. */
tl_time tl_quic_conn_heard_at(const tl_quic_conn *c);
/* How many of them came by the present path since the connection moved to it. */
uint64_t tl_quic_conn_heard_here(const tl_quic_conn *c);
/* Bytes of its datagrams: of those in which a packet opened, and of those that were written. */
uint64_t tl_quic_conn_bytes_in(const tl_quic_conn *c);
uint64_t tl_quic_conn_bytes_out(const tl_quic_conn *c);
/* Probe timeouts (RFC 9002 6.2) since the peer last acknowledged any of the bytes under way to
 * it. */
size_t tl_quic_conn_timeouts(const tl_quic_conn *c);
/* A peer that is silent for `every` is asked for a sign of life; 0: as configured. */
void tl_quic_conn_set_keepalive(tl_quic_conn *c, tl_time every);
/* The peer is known from now on, for the life of the connection. */
void tl_quic_conn_know(tl_quic_conn *c);
void tl_quic_conn_set_user(tl_quic_conn *c, void *user);
void *tl_quic_conn_user(const tl_quic_conn *c);

/* --- streams (bidirectional) --- */
/* TL_ERR_AGAIN: the peer allows no more streams now; TL_QUIC_STREAMS_AVAILABLE follows when it
 * does. */
TL_CHECK tl_err tl_quic_stream_open(tl_quic_conn *c, tl_quic_stream **ret_stream);
/* Copies what fits into the send buffer, whose size follows what the path takes (room.h); `fin`
 * counts only when all of `data` was taken. *ret_n < data.n: TL_QUIC_STREAM_WRITABLE follows when
 * there is room. TL_ERR_CLOSED: the peer stopped reading, or fin was given. */
TL_CHECK tl_err tl_quic_stream_write(tl_quic_stream *s, tl_slice data, bool fin, size_t *ret_n);
/* The next unread bytes that lie together in memory; more may follow after they are consumed.
 * *ret_fin: they are the last. Borrowed until the next call for this stream. */
tl_slice tl_quic_stream_peek(const tl_quic_stream *s, bool *ret_fin);
/* Frees `n` bytes and lets the peer send that many more. A caller that does not consume slows the
 * peer down. */
void tl_quic_stream_consume(tl_quic_stream *s, size_t n);
/* Ends both directions at once (RESET_STREAM and STOP_SENDING). This is how a request is cancelled.
 * The only event that follows for the stream is TL_QUIC_STREAM_CLOSED. */
void tl_quic_stream_reset(tl_quic_stream *s, uint64_t code);
uint64_t tl_quic_stream_id(const tl_quic_stream *s);
tl_quic_conn *tl_quic_stream_conn(const tl_quic_stream *s);
void tl_quic_stream_set_user(tl_quic_stream *s, void *user);
void *tl_quic_stream_user(const tl_quic_stream *s);

/* --- driving --- */
/* One datagram that came by `path`. Bytes are decrypted in place, hence not const. Garbage,
 * strangers and replays are dropped and counted. May create a server connection. */
void tl_quic_on_datagram(tl_quic *q, tl_path_id path, uint8_t *data, size_t n, tl_time now,
                         tl_unix wall);
void tl_quic_on_timer(tl_quic *q, tl_time now);
tl_time tl_quic_expiry(const tl_quic *q);

/* The path to which a datagram's connection ID belongs: at a client the present path of its
 * connection, at a server the path on which this ID is in use. 0: nobody's ID, or not in use yet.
 * This tells a peer whose address changed below QUIC (its NAT rebound) from a peer that moves to
 * another path: a peer that moves takes a fresh ID. */
tl_path_id tl_quic_path_of(tl_quic *q, tl_slice datagram, bool *ret_client);

/* The connection of a datagram's connection ID, also of one that is not in use yet; NULL: none. */
tl_quic_conn *tl_quic_conn_of(tl_quic *q, tl_slice datagram);

/* Datagrams for one path, back to back. Each is `segment` bytes long; only the last may be shorter.
 * This is the form that UDP_SEGMENT wants. */
typedef struct {
    tl_path_id path;
    size_t n;       /* bytes in the buffer */
    size_t segment; /* bytes of each datagram */
} tl_quic_output;
#define TL_QUIC_OUTPUT_MAX 65536
/* tl_quic_next_output passes over connections whose path is held now (its queue to the network is
 * full), and their pacing clocks stand still. NULL: no path is ever held. */
void tl_quic_set_held(tl_quic *q, bool (*held)(void *user, tl_path_id path), void *user);
/* Fills `buf` (TL_QUIC_OUTPUT_MAX bytes). False: nothing to send now. Connections take turns. */
bool tl_quic_next_output(tl_quic *q, uint8_t *buf, tl_time now, tl_quic_output *ret_output);

typedef enum {
    TL_QUIC_CONNECTED,         /* the handshake is done, at either side */
    TL_QUIC_STREAM_OPENED,     /* by the peer */
    TL_QUIC_STREAM_READABLE,   /* bytes or the fin are there to peek at */
    TL_QUIC_STREAM_WRITABLE,   /* there is room again after a short write */
    TL_QUIC_STREAM_RESET,      /* the peer gave the stream up (`code`): no more bytes in either
                                  direction */
    TL_QUIC_STREAM_CLOSED,     /* the stream is over; the handle ends here */
    TL_QUIC_STREAMS_AVAILABLE, /* tl_quic_stream_open may work again */
    TL_QUIC_PATH_CHANGED,      /* server: the client moved; tl_quic_conn_path tells */
    TL_QUIC_CLOSED, /* the connection is over (`error`, `code`, `why`); the handle ends here. Each
                       of its streams gets TL_QUIC_STREAM_CLOSED before. At a server it comes
                       without TL_QUIC_CONNECTED when there was no place for the peer (door.h) */
} tl_quic_event_type;

typedef struct {
    tl_quic_event_type type;
    tl_quic_conn *conn;
    tl_quic_stream *stream; /* NULL where the event is not of a stream */
    uint64_t code;          /* the peer's application code, of RESET and CLOSED */
    /* Of CLOSED: TL_OK if either side closed orderly, else TL_ERR_TIMEOUT, TL_ERR_AUTH or
     * TL_ERR_PROTO. */
    tl_err error;
    char why[96]; /* CLOSED: for a person; the peer's words are made safe to show */
} tl_quic_event;
bool tl_quic_next_event(tl_quic *q, tl_quic_event *ret_event);

#endif
