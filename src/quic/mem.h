/* mem.h - the allocator handed to libngtcp2: wipes what it frees, since that library keeps key
 * update secrets in plain heap blocks and does not. */
#ifndef TL_QUIC_MEM_H
#define TL_QUIC_MEM_H

#include <ngtcp2/ngtcp2.h>

const ngtcp2_mem *tl_quic_mem(void);

#endif
