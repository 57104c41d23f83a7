/* paths.h - virtual path ids as the fake IPv4 addresses that libngtcp2 is shown (QUIC.md "Paths
 * below QUIC"). No real address ever comes near.
 *
 * The id is the whole address, so that ids map one to one. A client carries it in its local address
 * (an active migration is a change of the local address); a server in the remote one (a change of
 * the address, not only the port, makes it reset congestion control and validate). *
 * A server's port tells one use of a path from the next: it grows with every connection ID the
 * client puts to use. libngtcp2 0.12 aborts when a client comes back to the path that is still its
 * fallback; so, to it, nobody ever comes back. */
#ifndef TL_QUIC_PATHS_H
#define TL_QUIC_PATHS_H

#include "quic/quic.h"
#include "quic/quic_compat.h"

/* `use` is 0 at a client and in a handshake. */
void tl_quic_path_set(ngtcp2_path_storage *ret_ps, bool client, tl_path_id id, uint16_t use);
tl_path_id tl_quic_path_get(const ngtcp2_path *path, bool client);

#endif
