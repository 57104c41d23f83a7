/* control.h - control datagrams (docs/protocol.md "Control datagrams"): how nodes, introducers and
 * relays ask each other for ways by UDP. Pure codec: no heap, clock, socket or key. relay/signed
 * makes and checks the signatures.
 *
 *    0               1               2
 *   +---------------+---------------+------------------------------
 *   | 0x0C          | type, 1 to 12 | MessagePack map ...
 *   +---------------+---------------+------------------------------
 *
 * The map is canonical: exactly the keys of its type, in the order of their bytes, each with the
 * shortest encoding, and nothing behind it. So what was read, written again, is the same bytes, and
 * a signature over it needs no copy of them. */
#ifndef TL_WIRE_CONTROL_H
#define TL_WIRE_CONTROL_H

#include "base/addr.h"
#include "base/time.h"

#define TL_CONTROL_FIRST_BYTE  0x0C
#define TL_CONTROL_MAX         1200 /* bytes of a datagram: it passes every path that QUIC passes */
/* A RelayRequest has two answers, one to each side. It is longer than both together, so that nobody
 * can flood another through a relay. */
#define TL_CONTROL_REQUEST_MIN 800
#define TL_CONTROL_PAD         600 /* the `pad_n` that makes a RelayRequest long enough */
/* A PunchIntro makes its target send to an address that may be false. It is longer than all that goes there
 * before something came from there: two PunchReadys and four checks. */
#define TL_CONTROL_INTRO_MIN   1100
#define TL_CONTROL_INTRO_PAD                                                                       \
    840 /* the `pad_n` that makes a PunchIntro long enough, and not too long */
#define TL_CONTROL_SESSION_MAX 32
#define TL_CONTROL_ID_SIZE     32
#define TL_CONTROL_NONCE_SIZE  16
#define TL_CONTROL_TOKEN_SIZE  16
#define TL_CONTROL_SIG_SIZE    64
#define TL_CONTROL_WINDOW      30 /* seconds that `timestamp` may differ from the receiver's time */
/* Seconds that a receiver remembers a nonce of a signer: twice the window, and one for rounding. */
#define TL_CONTROL_NONCE_KEPT  61

typedef enum {
    TL_CONTROL_PUNCH_INTRO = 1,  /* initiator to introducer */
    TL_CONTROL_PUNCH_REQUEST,    /* introducer to target: the map of the PunchIntro */
    TL_CONTROL_PUNCH_READY,      /* target to initiator, and through the introducer */
    TL_CONTROL_RELAY_REQUEST,    /* initiator to relay */
    TL_CONTROL_RELAY_OFFER,      /* relay to either side */
    TL_CONTROL_RELAY_MIGRATE,    /* a side to its relay: send to this address from now on */
    TL_CONTROL_RELAY_PATH,       /* relay to that address: is this side there? */
    TL_CONTROL_RELAY_PATH_REPLY, /* from that address */
    TL_CONTROL_RELAY_MIGRATED,   /* relay to that address: done */
    TL_CONTROL_RELAY_WARNING,    /* relay to either side: their relay session ends soon */
    TL_CONTROL_ATTACH,           /* node to introducer: here I am */
    TL_CONTROL_ATTACHED,         /* introducer to node: from here I see you */
    TL_CONTROL_TYPES,
} tl_control_type;

/* The type of NAT, as the seeds' DHT and introducers name it. */
typedef enum {
    TL_CONTROL_NAT_PUBLIC,
    TL_CONTROL_NAT_CONE,
    TL_CONTROL_NAT_SYMMETRIC,
    TL_CONTROL_NAT_UNKNOWN,
    TL_CONTROL_NATS,
} tl_control_nat;
/* "Public", "Cone", "Symmetric", "Unknown". */
const char *tl_control_nat_name(tl_control_nat nat);
/* The type of that name; for any other TL_CONTROL_NAT_UNKNOWN. */
tl_control_nat tl_control_nat_named(const char *name);

/* One datagram of any type. Which members count depends on the type (the table in control.c); the
 * others are zero in what was read, and are not looked at in what is written. */
typedef struct {
    tl_control_type type;
    tl_addr addr; /* `addr`; of a RelayMigrate `newAddr`. Never port 0, a zone or mapped IPv4 */
    tl_control_nat nat;
    uint64_t timestamp, expires_at, ends_at; /* Unix seconds, below 2^63; expires_at 0: no limit */
    uint64_t limit;                          /* bytes a second; 0: no limit */
    uint64_t sequence;
    size_t pad_n; /* zero bytes of `pad` */
    /* Ed25519 keys as they came: not yet known to be usable (tl_node_id_from_bytes) */
    uint8_t initiator[TL_CONTROL_ID_SIZE], introducer[TL_CONTROL_ID_SIZE], node[TL_CONTROL_ID_SIZE],
        peer[TL_CONTROL_ID_SIZE], relay[TL_CONTROL_ID_SIZE], target[TL_CONTROL_ID_SIZE],
        to[TL_CONTROL_ID_SIZE];
    uint8_t nonce[TL_CONTROL_NONCE_SIZE], token[TL_CONTROL_TOKEN_SIZE];
    uint8_t sig[TL_CONTROL_SIG_SIZE];
    char session[TL_CONTROL_SESSION_MAX + 1]; /* 1 to 32 of [A-Za-z0-9-] */
} tl_control;

static inline bool tl_control_is(tl_slice datagram)
{
    return datagram.n > 0 && datagram.p[0] == TL_CONTROL_FIRST_BYTE;
}
/* What the type byte says, before anything behind it is looked at. 0: no type of ours. */
tl_control_type tl_control_peek(tl_slice datagram);
/* "RelayMigrate"; static storage. */
const char *tl_control_type_name(tl_control_type type);
bool tl_control_is_signed(tl_control_type type);

/* Reads a whole datagram. Copies; borrows nothing. Verifies no signature. TL_ERR_PROTO: it is not
 * exactly what tl_control_write would write. TL_ERR_TOO_LARGE: longer than TL_CONTROL_MAX. */
TL_CHECK tl_err tl_control_parse(tl_slice datagram, tl_control *ret_control);
/* Writes a datagram, and returns its length. Every member that counts must be in its range. */
size_t tl_control_write(const tl_control *c, uint8_t ret_datagram[TL_CONTROL_MAX]);
/* Writes the bytes that `sig` signs: the map without `sig`. Returns their length. */
size_t tl_control_write_body(const tl_control *c, uint8_t ret_body[TL_CONTROL_MAX]);

/* Is `timestamp` within the window of the wall clock? */
bool tl_control_is_fresh(const tl_control *c, tl_unix now);

#endif
