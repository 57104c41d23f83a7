/* lantcp.h - TCP between nodes of one local network: a listener, and pipes, each of which carries datagrams in RFC
 * 4571 frames in both directions, in order and without loss. A pipe is to the parts above what a UDP socket is: it
 * has a tl_sock, and reaches one address. Interprets no datagram, and decides not who is let in: whoever is at the
 * far end of a pipe proves that by what it says there (nat/checks, Noise).
 *
 * Only neighbours are answered (the event is_near); whoever else connects is closed at once, and counted.
 *
 * What comes is counted by origin: an IPv4 address, or an IPv6 /64 on its link, since one machine has as many addresses
 * of it as it likes. A node that a machine makes up costs it nothing, so proven ones count for their origin, too. An
 * origin at its bound takes its own places. Where all unproven ones together are at theirs, the oldest of the origin that
 * holds most of them makes room. Where all places are taken, the origin does that holds most, with a proven pipe, too, if
 * it holds more than the newcomer's would; for a newcomer that is expected, also where it holds as many. A pipe that we
 * dialled, or whose node we know (the event is_known), never makes room.
 *
 *   accepted pipes of an origin  <= TL_LANTCP_OF_ORIGIN, unproven ones <= TL_LANTCP_UNPROVEN_OF_ORIGIN
 *   accepted pipes of all        <= TL_LANTCP_ACCEPTED, unproven ones <= TL_LANTCP_UNPROVEN
 *   accepted of an origin in t s <= TL_LANTCP_ACCEPT_BURST + TL_LANTCP_ACCEPT_RATE x t
 *   accepted of all in t s       <= TL_LANTCP_ACCEPT_SUM_BURST + TL_LANTCP_ACCEPT_SUM_RATE x t, half of it for the first
 *                                   TL_LANTCP_FRESH_BURST + TL_LANTCP_FRESH_RATE x t of each origin
 *   expected ones, beyond that   <= TL_LANTCP_EXPECTED_BURST + TL_LANTCP_EXPECTED_RATE x t
 *   what an unproven one takes   <= TL_LANTCP_PROVE_WITHIN, TL_LANTCP_UNPROVEN_BYTES, TL_LANTCP_GARBAGE frames of no kind
 *   pipes of one node            <= TL_LANTCP_OF_NODE; of all together, dialled ones too, <= TL_LANTCP_MAX
 *   memory of a pipe             <= TL_LANTCP_OUT_MAX to be sent, and one unfinished frame
 *
 * So in any flood an unproven pipe has at least 1.6 s once the bursts are spent (places / rates), and a handshake between
 * neighbours takes milliseconds. A flood of up to 16 addresses leaves room for one that comes seldom. */
#ifndef TL_NET_LANTCP_H
#define TL_NET_LANTCP_H

#include "crypto/identity.h"
#include "io/loop.h"
#include "nat/candidate.h"

#define TL_LANTCP_MAX                192
#define TL_LANTCP_ACCEPTED           160 /* the rest is for those that we dial */
#define TL_LANTCP_OF_ORIGIN          40 /* the addresses of one machine are of about three origins */
#define TL_LANTCP_UNPROVEN           64
#define TL_LANTCP_UNPROVEN_OF_ORIGIN 16 /* a network of IPv6 alone is one origin */
#define TL_LANTCP_OF_NODE            6
#define TL_LANTCP_ACCEPT_RATE        8
#define TL_LANTCP_ACCEPT_BURST       32
#define TL_LANTCP_ACCEPT_SUM_RATE    32
#define TL_LANTCP_ACCEPT_SUM_BURST   128
#define TL_LANTCP_FRESH_RATE         1
#define TL_LANTCP_FRESH_BURST        2
#define TL_LANTCP_EXPECTED_RATE      8
#define TL_LANTCP_EXPECTED_BURST     32
#define TL_LANTCP_PROVE_WITHIN       (5 * TL_SEC)
#define TL_LANTCP_UNPROVEN_BYTES     (32 * 1024) /* a handshake and its checks take a few */
#define TL_LANTCP_GARBAGE            4
#define TL_LANTCP_DIAL_WITHIN        (3 * TL_SEC)
#define TL_LANTCP_FRAME_WITHIN       (5 * TL_SEC)  /* a frame that has begun is whole by then */
#define TL_LANTCP_SILENT_MAX         (90 * TL_SEC) /* three keepalives of a way that is kept */
#define TL_LANTCP_FULL               (192 * 1024)  /* to be sent: from here on QUIC waits */
#define TL_LANTCP_OUT_MAX            (384 * 1024)  /* beyond this, datagrams are dropped */

typedef struct tl_lantcp tl_lantcp;

/* Called from the loop, and on_closed from inside tl_lantcp_on_change, too; none from inside any other call. They may
 * call anything here but tl_lantcp_free. */
typedef struct {
    /* Is this an address of our local network? */
    bool (*is_near)(void *user, const tl_addr *addr);
    /* Is a node that we know announced at this address? (Anybody may announce it.) */
    bool (*is_expected)(void *user, const tl_addr *addr);
    /* Of one that has proven its key. */
    bool (*is_known)(void *user, const tl_node_id *node);
    /* A pipe that was dialled stands. */
    void (*on_open)(void *user, tl_sock sock, const tl_node_id *node, const tl_addr *remote);
    /* One datagram; it may be changed during the call. False: it is of no kind that is known. */
    bool (*on_datagram)(void *user, tl_sock sock, const tl_addr *remote, uint8_t *data, size_t n);
    /* The pipe is gone, or was not made. `sock` means nothing any more. */
    void (*on_closed)(void *user, tl_sock sock);
    /* A pipe that was full takes more. */
    void (*on_writable)(void *user);
} tl_lantcp_events;

typedef enum {
    TL_LANTCP_ENDED,   /* by the other side, or by us, in good order */
    TL_LANTCP_BROKEN,  /* the connection broke, or could not be made */
    TL_LANTCP_FOREIGN, /* from outside the local network */
    TL_LANTCP_CROWDED, /* too many of one origin, of one node, or in all */
    TL_LANTCP_UNKNOWN, /* it did not prove in time who it is */
    TL_LANTCP_SLOW,    /* a frame was not finished in time */
    TL_LANTCP_SILENT,
    TL_LANTCP_MALFORMED, /* a frame over the largest size, or frames of no kind that is known */
    TL_LANTCP_ENDS,
} tl_lantcp_end;
/* "ended", "broken", ... */
const char *tl_lantcp_end_name(tl_lantcp_end e);

typedef struct {
    uint64_t dialled, accepted, ends[TL_LANTCP_ENDS];
    uint64_t frames_in, frames_out, bytes_in, bytes_out;
    uint64_t unknown; /* frames of no kind that is known */
    uint64_t dropped; /* datagrams for which there was no room */
} tl_lantcp_counters;

/* Listens on all addresses, at `port` if it is free for TCP, else at any. TL_ERR_IO with `why`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_lantcp_new(tl_loop *loop, uint16_t port, const tl_lantcp_events *events,
                              void *user, tl_lantcp **ret_lantcp, tl_why *why);
/* on_closed is not called. NULL is allowed. */
void tl_lantcp_free(tl_lantcp *l);
uint16_t tl_lantcp_port(const tl_lantcp *l);

/* Begins to connect to where the node is said to be; on_open or on_closed follows. No effect where a pipe leads
 * there for that node, or is being made. TL_ERR_BUSY: TL_LANTCP_MAX, or TL_LANTCP_OF_NODE. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_lantcp_dial(tl_lantcp *l, const tl_node_id *node, const tl_addr *addr);
/* Who is at the far end has been proven. */
void tl_lantcp_prove(tl_lantcp *l, tl_sock sock, const tl_node_id *node);
/* Datagrams of `segment` bytes, as tl_udp_send has them. TL_ERR_NOT_FOUND: there is no such pipe. TL_ERR_AGAIN: there
 * is no room; the rest is lost. */
TL_CHECK tl_err tl_lantcp_send(tl_lantcp *l, tl_sock sock, const uint8_t *data, size_t n,
                               size_t segment);
bool tl_lantcp_is_full(const tl_lantcp *l, tl_sock sock);
/* Our end of the pipe, with its port. False: there is no such pipe, or it does not stand yet. */
bool tl_lantcp_local(const tl_lantcp *l, tl_sock sock, tl_addr *ret_local);

typedef struct {
    tl_sock sock;
    tl_addr remote;
} tl_lantcp_pipe;
/* The pipes to the node that stand and that this side dialled. Returns how many. */
size_t tl_lantcp_pipes(const tl_lantcp *l, const tl_node_id *node,
                       tl_lantcp_pipe ret_pipes[TL_LANTCP_OF_NODE]);
/* Our interfaces are others now: pipes from an address that we do not have any more are closed. */
void tl_lantcp_on_change(tl_lantcp *l, const tl_interface *own, size_t n_own);

/* Pipes that stand, and those of them whose far end is proven. */
size_t tl_lantcp_count(const tl_lantcp *l, size_t *ret_proven);
const tl_lantcp_counters *tl_lantcp_counted(const tl_lantcp *l);

#endif
