/* paths.h - virtual path ids as the fake IPv4 addresses that libngtcp2 is shown. Never sees a real
 * address.
 *
 * The id is the whole address, so that each id has exactly one address. A client carries the id in
 * its local address, because an active migration is a change of the local address. A server carries
 * the id in the remote address, because a change of that address, not only of its port, makes
 * libngtcp2 reset congestion control and validate the path.
 *
 * A server's port tells one use of a path from the next: it grows with every connection ID that the
 * client puts to use. libngtcp2 0.12 aborts when a client comes back to the path that is still its
 * fallback. With a new port each time, libngtcp2 never sees a client come back. */
#ifndef TL_QUIC_PATHS_H
#define TL_QUIC_PATHS_H

#include "quic/quic.h"
#include "quic/quic_compat.h"

/* `use` is 0 at a client and in a handshake. */
void tl_quic_path_set(ngtcp2_path_storage *ret_ps, bool client, tl_path_id id, uint16_t use);
tl_path_id tl_quic_path_get(const ngtcp2_path *path, bool client);

#endif
