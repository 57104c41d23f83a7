/* holes.h - which bytes of a stream have come out of order. libngtcp2 keeps the bytes and a hole
 * before each range of them, and ends the connection when a stream has 1000 holes (1.x: 5000). A
 * window full of losses has more than that. So this module keeps the same ranges, and says which
 * packet must not reach the library: it then is a lost packet, and is sent again. Keeps no bytes.
 *
 *   ranges of a stream <= TL_HOLES_MAX + the STREAM frames of one packet
 *
 * The caller notes every packet, also the one that opens the stream. */
#ifndef TL_QUIC_HOLES_H
#define TL_QUIC_HOLES_H

#include "base/slice.h"
#include "quic/mem.h"

#define TL_HOLES_MAX 900 /* of 1000; the rest is for the frames of one packet */

typedef struct {
    uint64_t begin, end;
} tl_hole_range;

/* To begin, set `meter` and zero the rest. The bytes before `front` are there; `v` holds the ranges
 * behind it in order, with a hole before each. */
typedef struct {
    tl_meter *meter; /* borrows for life: counts the ranges; NULL: none */
    uint64_t front;
    tl_hole_range *v;
    size_t n, cap;
} tl_holes;

/* May these bytes come now? False: they would make one hole more, and there are TL_HOLES_MAX. */
bool tl_holes_may_come(const tl_holes *h, uint64_t begin, uint64_t end);
/* They have come. TL_ERR_NOMEM: they are not noted. */
TL_CHECK tl_err tl_holes_add(tl_holes *h, uint64_t begin, uint64_t end);
void tl_holes_clear(tl_holes *h);

#endif
