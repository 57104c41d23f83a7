/* callbacks.h - what libngtcp2 calls back: the handshake's steps, stream data, connection IDs,
 * keys. Each callback finds its tl_quic_conn in user_data. No callback writes packets or ends the
 * connection. */
#ifndef TL_QUIC_CALLBACKS_H
#define TL_QUIC_CALLBACKS_H

#include "quic/state.h"

void tl_quic_callbacks_init(ngtcp2_callbacks *ret_callbacks);
/* The randomness that ngtcp2 asks for through `rand_ctx`, whose native_handle is a tl_rand. */
void tl_quic_callback_rand(uint8_t *dest, size_t n, const ngtcp2_rand_ctx *rand_ctx);

#endif
