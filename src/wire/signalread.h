/* signalread.h - the fields of those signalling messages that are not routed (docs/protocol.md),
 * out of a scanned tl_signal. Checks types and ranges, and verifies nothing: no signature, no
 * key. */
#ifndef TL_WIRE_SIGNALREAD_H
#define TL_WIRE_SIGNALREAD_H

#include "wire/signal.h"

#define TL_SIGNAL_NAME_MAX      256 /* bytes of a display name */
#define TL_SIGNAL_LIMIT_MAX     500
#define TL_SIGNAL_LIMIT_DEFAULT 100
#define TL_SIGNAL_NONCE_HEX     64

/* Every pointer borrows from the tl_signal, and is NULL where the field is absent or null. */

typedef struct {
    const char *nonce; /* 64 hex digits */
    tl_signal_features features;
} tl_signal_challenge;

typedef struct {
    const char *node_id;      /* 64 lower-case hex digits; not yet known to be a key */
    const char *wg_public;    /* 64 hex digits */
    const char *display_name; /* valid UTF-8, no NUL, at most TL_SIGNAL_NAME_MAX bytes */
    /* The object as the node wrote it, and parsed. Nothing in it is checked: other programs write
     * fields that we cannot read, and they are registered all the same. */
    tl_slice capabilities;
    const json_t *capabilities_object;
    const char *signature;
    const char *challenge_signature;
    tl_signal_features features;
} tl_signal_register;

typedef struct {
    const char *requesting_node_id;
    const char *model_id; /* filter */
    double min_ram_gb;    /* filter; 0 = none */
    int min_tier;         /* filter; 0 = none */
    const char *ptn_id;   /* filter */
    unsigned limit;       /* 1 to TL_SIGNAL_LIMIT_MAX */
    const char *cursor;
} tl_signal_discover;

typedef struct {
    const char *node_id;
    double registered_at; /* seconds since 2001 */
    unsigned ttl_seconds;
    const char *udp, *observed;
    int models_kept; /* the relay passes on that many of our names, and no more; -1: all */
} tl_signal_ack;

/* One of discoverResponse.peers, or the payload of peerJoined and peerLeft (then only the node ID
 * and the display name). */
typedef struct {
    const char *node_id; /* 64 hex digits */
    const char *public_key, *wg_public, *display_name, *nat_type;
    const json_t *capabilities; /* an object */
    double last_seen;
} tl_signal_peer;

typedef struct {
    tl_signal_code code; /* TL_SIGNAL_CODES: `code_text` is none of ours */
    const char *code_text, *message, *about, *session;
} tl_signal_error;

/* Datagrams of the relay session may go as `token || datagram`. */
typedef struct {
    const char *session;             /* 1 to 64 of [A-Za-z0-9-] */
    uint8_t token[16];               /* the receiver's own */
    const char *udp;                 /* HOST:PORT; NULL: only by WebSocket */
    tl_unix expires_at;              /* Unix seconds; 0: no limit */
    uint64_t limit_bytes_per_second; /* 0: no limit */
} tl_signal_relay_offer;

typedef struct {
    const char *session;
    const char *reason; /* "session_max" */
    tl_unix ends_at;    /* Unix seconds */
} tl_signal_relay_warning;

typedef struct {
    const char *reason;  /* "restart" */
    unsigned in_seconds; /* at most 86400 */
} tl_signal_goodbye;

/* All: TL_ERR_INVALID where a field is missing, of a wrong type or out of range. */
TL_CHECK tl_err tl_signal_read_challenge(const tl_signal *s, tl_signal_challenge *ret);
TL_CHECK tl_err tl_signal_read_register(const tl_signal *s, tl_signal_register *ret);
TL_CHECK tl_err tl_signal_read_discover(const tl_signal *s, tl_signal_discover *ret);
TL_CHECK tl_err tl_signal_read_ack(const tl_signal *s, tl_signal_ack *ret);
TL_CHECK tl_err tl_signal_read_presence(const tl_signal *s, tl_signal_peer *ret);
TL_CHECK tl_err tl_signal_read_error(const tl_signal *s, tl_signal_error *ret);
TL_CHECK tl_err tl_signal_read_relay_offer(const tl_signal *s, tl_signal_relay_offer *ret);
TL_CHECK tl_err tl_signal_read_relay_warning(const tl_signal *s, tl_signal_relay_warning *ret);
TL_CHECK tl_err tl_signal_read_goodbye(const tl_signal *s, tl_signal_goodbye *ret);

/* discoverResponse: how many peers, the i-th of them, and the cursor for more (NULL: there are no
 * more). TL_ERR_INVALID of one peer spoils that peer alone. */
size_t tl_signal_peer_count(const tl_signal *s);
TL_CHECK tl_err tl_signal_read_peer(const tl_signal *s, size_t i, tl_signal_peer *ret);
const char *tl_signal_next_cursor(const tl_signal *s);

/* 64 hex digits, lower case. */
bool tl_signal_is_hex64(const char *text);

#endif
