/* signal.h - relay signalling (docs/protocol.md): which message a text is, and the fields by which
 * it is routed, found without parsing the rest. wire/signalread reads the other messages,
 * wire/signalwrite writes them all. Never touches a connection, and keeps no state.
 *
 *   {"relayData":{"fromNodeID":"…","toNodeID":"…","sessionID":"…","data":"…"}}
 *   {"relayData":{"_0":{ the same }}}                as the Swift clients write it
 */
#ifndef TL_WIRE_SIGNAL_H
#define TL_WIRE_SIGNAL_H

#include "base/json.h"
#include "base/time.h"

#define TL_SIGNAL_DEPTH_MAX    16          /* docs/protocol.md: the outer object is 1 */
#define TL_SIGNAL_SMALL_MAX    (64u << 10) /* bytes of all but relayData, discoverResponse, register */
/* Bytes of register, to the relay: a node with a long list of models is told which part of it was
 * kept, not sent away. */
#define TL_SIGNAL_REGISTER_MAX (256u << 10)
/* Of discoverResponse, at a node: a relay ends a page before 1 MiB (relay/registry.h). So many values
 * are 128 for each kilobyte: a list of the shortest names. */
#define TL_SIGNAL_PAGE_MAX     ((1u << 20) + (64u << 10))
#define TL_SIGNAL_PAGE_VALUES  (128u << 10)
#define TL_SIGNAL_SESSION_MAX  64 /* characters of a sessionID */
#define TL_SIGNAL_TTL_SECONDS  300

typedef enum {
    TL_SIGNAL_UNKNOWN, /* well-formed, of a type that this side does not receive */
    TL_SIGNAL_CHALLENGE,
    TL_SIGNAL_REGISTER,
    TL_SIGNAL_REGISTER_ACK,
    TL_SIGNAL_DISCOVER,
    TL_SIGNAL_DISCOVER_RESPONSE,
    TL_SIGNAL_PEER_JOINED,
    TL_SIGNAL_PEER_LEFT,
    TL_SIGNAL_PEERS_CHANGED,
    TL_SIGNAL_ERROR,
    TL_SIGNAL_RELAY_OFFER,
    TL_SIGNAL_RELAY_WARNING,
    TL_SIGNAL_GOODBYE,
    TL_SIGNAL_OFFER, /* from here on: routed from node to node */
    TL_SIGNAL_ANSWER,
    TL_SIGNAL_ICE_CANDIDATE,
    TL_SIGNAL_RELAY_OPEN,
    TL_SIGNAL_RELAY_READY,
    TL_SIGNAL_RELAY_DATA,
    TL_SIGNAL_RELAY_CLOSE,
    TL_SIGNAL_TYPES
} tl_signal_type;
/* As on the wire; "" for UNKNOWN. */
const char *tl_signal_type_name(tl_signal_type t);
static inline bool tl_signal_is_routed(tl_signal_type t)
{
    return t >= TL_SIGNAL_OFFER;
}

typedef enum {
    TL_SIGNAL_INVALID_JSON,
    TL_SIGNAL_INVALID_MESSAGE,
    TL_SIGNAL_UNSUPPORTED_MESSAGE,
    TL_SIGNAL_INVALID_REGISTER,
    TL_SIGNAL_UNAUTHORIZED,
    TL_SIGNAL_FORBIDDEN,
    TL_SIGNAL_NOT_REGISTERED,
    TL_SIGNAL_PEER_NOT_FOUND,
    TL_SIGNAL_SESSION_NOT_FOUND,
    TL_SIGNAL_RATE_LIMITED,
    TL_SIGNAL_TOO_LARGE,
    TL_SIGNAL_BUSY,
    TL_SIGNAL_REPLACED,
    TL_SIGNAL_CODES /* also: a code we do not know */
} tl_signal_code;
const char *tl_signal_code_name(tl_signal_code c);
tl_signal_code tl_signal_code_parse(tl_slice name);

/* What a node tells in `register`, and a relay in `challenge`, that it can do. A name that we do not
 * know counts for nothing. */
typedef struct {
    bool quiet; /* "quiet": this node wants no peerJoined and peerLeft */
    /* "relay-token": it understands relayOffer, relayWarning and binary messages. */
    bool relay_token;
    bool goodbye;       /* "goodbye": it understands goodbye */
    bool peers_changed; /* "peers-changed": it understands peersChanged */
} tl_signal_features;

typedef enum { TL_SIGNAL_AT_RELAY, TL_SIGNAL_AT_NODE } tl_signal_side;

/* What one text holds. Slices borrow from the text or, where escapes had to be undone, from the
 * envelope itself: do not copy it. */
typedef struct {
    tl_signal_type type;
    tl_slice type_name; /* as it stands, for messages about it; at most the text's */
    tl_slice payload;   /* the payload's text, without "_0"; not of UNKNOWN */
    json_t *object;     /* the payload parsed; only of types that are not routed */
    /* of routed types */
    tl_slice from, to, session;
    tl_slice data;   /* of relayData: base64 as it stands, between its quotes. Of relayOpen and
                      * relayReady: the same if they have it, else empty */
    tl_slice reason; /* a text of this name, as it stands between its quotes; else empty */
    char text[3][TL_SIGNAL_SESSION_MAX + 2];
} tl_signal;

/* Classifies a whole message received at `side`. Afterwards tl_signal_clear.
 *
 * - TL_ERR_PROTO, invalid_json: not strict JSON, a key twice in any object, nested too deep.
 * - TL_ERR_INVALID, invalid_message: not one key, a field missing or of a wrong type, a number out
 *   of range, a session id that is none, other keys beside "_0".
 * - TL_ERR_TOO_LARGE, too_large: a page over TL_SIGNAL_PAGE_MAX or TL_SIGNAL_PAGE_VALUES; over TL_SIGNAL_SMALL_MAX, for the types it holds for; register over
 *   TL_SIGNAL_REGISTER_MAX.
 * - TL_ERR_NOMEM.
 *
 * ret_signal->type, type_name and (of types that are not routed) payload are set on failure too, as
 * far as they were recognised. */
TL_CHECK tl_err tl_signal_scan(tl_slice text, tl_signal_side side, tl_signal *ret_signal);
/* Sets `type` and `type_name` alone, as tl_signal_scan would, and looks at nothing behind them:
 * whether the text is worth the whole scan is the caller's to decide. */
void tl_signal_peek(tl_slice text, tl_signal_side side, tl_signal *ret_signal);
void tl_signal_clear(tl_signal *s);

/* 1 to 64 of [A-Za-z0-9-]. */
bool tl_signal_session_is(tl_slice id);

#endif
