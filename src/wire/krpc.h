/* krpc.h - the datagrams of the mainline DHT: queries, responses and errors (BEP 5), over IPv6 (BEP
 * 32), with addresses as seen (BEP 42), from nodes that only read (BEP 43), and about items (BEP
 * 44). Pure codec: no heap, clock or socket. Verifies no signature; dht/item does.
 *
 *   d 1:a d ... e   1:q 4:ping   1:t 2:xx   1:v 4:TL..   1:y 1:q e    a query with its arguments
 *   d 2:ip 6:....   1:r d ... e   1:t 2:xx   1:v 4:TL..   1:y 1:r e   a response
 *   d 1:e l i203e 5:words e   1:t 2:xx   1:y 1:e e                    an error
 *
 * A response to a ping may have `nat` in `r`: the type of the NAT that its sender is behind. */
#ifndef TL_WIRE_KRPC_H
#define TL_WIRE_KRPC_H

#include "base/addr.h"
#include "base/number.h"
#include "wire/control.h"

#define TL_KRPC_ID_SIZE   20
#define TL_KRPC_TID_MAX   16 /* `t` of others is of 2 to 8 bytes */
#define TL_KRPC_TOKEN_MAX 64 /* tokens of others are of 4 to 20 bytes */
#define TL_KRPC_KEY_SIZE  32
#define TL_KRPC_SIG_SIZE  64
#define TL_KRPC_READ_MAX  1500 /* bytes of a datagram that is read: libtorrent sends up to these */
#define TL_KRPC_MAX       1440 /* bytes of a datagram that is written: any `put`, with IPv6 in 1500 */
#define TL_KRPC_NODE4     26   /* bytes of ID, address and port in `nodes` */
#define TL_KRPC_NODE6     38   /* in `nodes6` */
#define TL_KRPC_CLIENT    TL_SLICE_LIT("TL\0\1") /* `v`: the program, its version for this protocol */

typedef enum { TL_KRPC_QUERY, TL_KRPC_RESPONSE, TL_KRPC_ERROR } tl_krpc_kind;

typedef enum {
    TL_KRPC_PING,
    TL_KRPC_FIND_NODE,
    TL_KRPC_GET_PEERS,
    TL_KRPC_ANNOUNCE_PEER,
    TL_KRPC_GET,
    TL_KRPC_PUT,
    TL_KRPC_OTHER, /* a method that we do not know */
    TL_KRPC_METHODS,
} tl_krpc_method;

/* What errors say (BEP 5, BEP 44). */
typedef enum {
    TL_KRPC_E_GENERIC = 201,
    TL_KRPC_E_SERVER = 202,   /* no room */
    TL_KRPC_E_PROTOCOL = 203, /* malformed arguments, or a wrong token */
    TL_KRPC_E_METHOD = 204,
    TL_KRPC_E_VALUE = 205, /* `v` is longer than 1000 bytes */
    TL_KRPC_E_SIG = 206,
    TL_KRPC_E_SALT = 207, /* longer than 64 bytes */
    TL_KRPC_E_CAS = 301,
    TL_KRPC_E_SEQ = 302, /* lower than the stored one */
} tl_krpc_code;

#define TL_KRPC_WANT4 1u
#define TL_KRPC_WANT6 2u

/* One datagram. Which members count depends on kind and method; all others are zero in what was
 * read, and are not looked at in what is written. Slices borrow from the datagram. */
typedef struct {
    tl_krpc_kind kind;
    tl_slice tid;    /* `t`: 1 to TL_KRPC_TID_MAX bytes that the answer repeats */
    tl_slice client; /* `v` beside `y`: the sender's program. Not written: ours is */
    tl_addr ip;      /* the receiver, as the sender sees it. NONE: not told */

    /* --- query --- */
    tl_krpc_method method;
    bool read_only;     /* `ro`: the sender answers no queries (BEP 43) */
    bool bad_arguments; /* something is missing or malformed: the answer is E_PROTOCOL */
    bool has_target;
    uint8_t target[TL_KRPC_ID_SIZE]; /* `target`, or `info_hash` */
    unsigned want;                   /* of TL_KRPC_WANT4 and WANT6; 0: not told */
    tl_maybe cas;
    tl_slice salt; /* of any length */

    /* --- query and response --- */
    bool has_id;
    uint8_t id[TL_KRPC_ID_SIZE]; /* of the sender */
    tl_slice token;
    const uint8_t *key, *sig; /* `k`, 32 bytes, and `sig`, 64. NULL: not there */
    tl_maybe seq;
    tl_slice value; /* `v`: the encoding of a value, well formed, of any length. Empty: none */

    /* --- response --- */
    /* Compact, a multiple of TL_KRPC_NODE4 or NODE6. `p` NULL: not there, which is not the same as
     * empty: some programs do not read an answer to find_node without `nodes`. */
    tl_slice nodes, nodes6;
    bool has_nat;
    tl_control_nat nat;

    /* --- error --- */
    int64_t code; /* of a tl_krpc_code, or any other */
    tl_slice words;
} tl_krpc;

/* Can `datagram` be KRPC? It begins with `d` and a digit, and ends with `e`. No QUIC packet to a
 * connection ID of ours does. Says nothing of the rest. Cheap enough for demux. */
static inline bool tl_krpc_is(tl_slice datagram)
{
    return datagram.n >= 3 && datagram.p[0] == 'd' && datagram.p[1] >= '0' &&
           datagram.p[1] <= '9' && datagram.p[datagram.n - 1] == 'e';
}

/* Reads a whole datagram. A query is read even where its arguments are wrong (`bad_arguments`), so
 * that it can be answered. Keys that this codec does not know are passed over. TL_ERR_PROTO,
 * TL_ERR_SHORT, TL_ERR_TOO_LARGE: it is to be dropped. */
TL_CHECK tl_err tl_krpc_parse(tl_slice datagram, tl_krpc *ret_message);
/* Writes a datagram of at most `max` bytes, itself at most TL_KRPC_MAX. TL_ERR_TOO_LARGE. A query
 * needs `method`, which is not OTHER, and `id`. */
TL_CHECK tl_err tl_krpc_write(const tl_krpc *m, size_t max, uint8_t ret_datagram[TL_KRPC_MAX],
                              size_t *ret_n);
/* "find_node"; static storage. */
const char *tl_krpc_method_name(tl_krpc_method method);

/* --- compact addresses and nodes: the bytes of the IP, then the port, high byte first --- */

#define TL_KRPC_COMPACT_MAX 18
/* 6 or 18 bytes. Returns how many; `a` has a family. */
size_t tl_krpc_addr_write(const tl_addr *a, uint8_t ret_bytes[TL_KRPC_COMPACT_MAX]);
/* TL_ERR_PROTO: neither 6 nor 18 bytes. Port 0 and mapped IPv4 are read as they are. */
TL_CHECK tl_err tl_krpc_addr_parse(tl_slice bytes, tl_addr *ret_addr);
/* TL_KRPC_NODE4 or NODE6 bytes; returns how many. */
size_t tl_krpc_node_write(const uint8_t id[TL_KRPC_ID_SIZE], const tl_addr *a,
                          uint8_t ret_bytes[TL_KRPC_NODE6]);
/* Takes the next node of `nodes` (V4) or `nodes6` (V6). False: there is no more. `ret_id` borrows. */
bool tl_krpc_next_node(tl_slice *nodes, tl_addr_family family, const uint8_t **ret_id,
                       tl_addr *ret_addr);

#endif
