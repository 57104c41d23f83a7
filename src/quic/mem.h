/* mem.h - how many bytes the peers make us hold: meters, and the allocator handed to libngtcp2,
 * which counts on one of them. It wipes what it frees, because libngtcp2 keeps key update secrets
 * in plain heap blocks and does not wipe them. Limits nothing: that is budget.h.
 *
 *   what libngtcp2 holds for a connection -> all that the connection holds -> all connections */
#ifndef TL_QUIC_MEM_H
#define TL_QUIC_MEM_H

#include <ngtcp2/ngtcp2.h>

/* A sum of bytes, which is a part of another sum. */
typedef struct tl_meter {
    struct tl_meter *whole; /* borrows for life; NULL: this meter is the whole */
    size_t n;
} tl_meter;
/* Both also change every whole above. A NULL meter counts nothing. */
void tl_meter_add(tl_meter *m, size_t n);
void tl_meter_subtract(tl_meter *m, size_t n);

/* Borrows `m` until all that was allocated is freed. */
ngtcp2_mem tl_quic_mem(tl_meter *m);

#endif
