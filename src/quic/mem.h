/* mem.h - the allocator handed to libngtcp2. It wipes what it frees, because libngtcp2 keeps key
 * update secrets in plain heap blocks and does not wipe them. Limits nothing. */
#ifndef TL_QUIC_MEM_H
#define TL_QUIC_MEM_H

#include <ngtcp2/ngtcp2.h>

const ngtcp2_mem *tl_quic_mem(void);

#endif
