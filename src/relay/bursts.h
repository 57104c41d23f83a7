/* bursts.h - datagrams that are to be sent, gathered so that those for one place leave in one call:
 * a burst is datagrams of one size, of which the last may be shorter, as UDP_SEGMENT takes them.
 * Copies no datagram, and decides nothing.
 *
 * The datagrams for one place leave in the order in which they were added. */
#ifndef TL_RELAY_BURSTS_H
#define TL_RELAY_BURSTS_H

#include "base/addr.h"

#include <sys/uio.h>

#define TL_BURST_SEGMENTS_MAX   64    /* Linux UDP_MAX_SEGMENTS of old kernels */
#define TL_BURST_BYTES_MAX      65000 /* with its headers it is below 64 KiB */
/* Datagrams that may wait for the next drain: what one round of a socket brings, 16 trains of 128,
 * and some to spare. More are dropped. */
#define TL_BURSTS_DATAGRAMS_MAX 8192

/* Where a datagram goes, and how it leaves. */
typedef struct {
    tl_addr remote;
    tl_addr local;  /* the address of ours to send from; family NONE: the kernel chooses */
    uint8_t socket; /* number of the socket, as its owner counts them */
} tl_burst_way;

typedef struct {
    tl_burst_way way;
    size_t size;                 /* of each datagram but the last */
    size_t bytes;                /* of all */
    uint32_t count, first, last; /* first, last: index + 1 in `pieces` */
    bool closed;                 /* the last datagram is shorter: none may follow */
} tl_burst;

typedef struct {
    tl_slice bytes;
    uint32_t next; /* index + 1; 0: the last of its burst */
} tl_burst_piece;

/* Begins zero-initialised. */
typedef struct {
    tl_burst *items;
    tl_burst_piece *pieces;
    size_t n, cap, piece_n, piece_cap;
} tl_bursts;

/* Borrows the bytes (at least 1) until tl_bursts_reset. Grows the memory at first, and keeps it.
 * TL_ERR_BUSY, TL_ERR_NOMEM: this datagram is dropped. */
TL_CHECK tl_err tl_bursts_add(tl_bursts *b, const tl_burst_way *way, tl_slice bytes);
/* The datagrams of a burst, one each. Returns their number. */
size_t tl_bursts_gather(const tl_bursts *b, const tl_burst *burst,
                        struct iovec ret_iov[TL_BURST_SEGMENTS_MAX]);
/* All were sent. */
void tl_bursts_reset(tl_bursts *b);
void tl_bursts_clear(tl_bursts *b);

#endif
