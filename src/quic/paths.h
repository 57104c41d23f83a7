/* paths.h - virtual path ids as the fake IPv6 addresses that libngtcp2 is shown. Never sees a real
 * address.
 *
 * The id is in the address, so that no two ids have the same one. A client carries the id in
 * its local address, because an active migration is a change of the local address. A server carries
 * the id in the remote address, because a change of that address, not only of its port, makes
 * libngtcp2 reset congestion control and validate the path.
 *
 * A server's port tells one use of a path from the next: it grows with every connection ID that the
 * client puts to use. libngtcp2 0.12 aborts when a client comes back to the path that is still its
 * fallback. With a new port each time, libngtcp2 never sees a client come back.
 *
 * A client may move to a way that is the same path here, because it was the server's address that changed. If
 * the client has acknowledged nothing for a probe timeout by then, all that is under way is lost, and fills the
 * congestion window: libngtcp2 would send nothing, not even the answer to PATH_CHALLENGE, before its next probe
 * timeout, which doubles each time. Then `fresh` grows, too. It is part of the address, so libngtcp2 begins anew
 * at once. */
#ifndef TL_QUIC_PATHS_H
#define TL_QUIC_PATHS_H

#include "quic/quic.h"
#include "quic/quic_compat.h"
#include "quic/state.h"

/* `use` and `fresh` are 0 at a client and in a handshake. */
void tl_quic_path_set(ngtcp2_path_storage *ret_ps, bool client, const tl_quic_where *where);
tl_path_id tl_quic_path_get(const ngtcp2_path *path, bool client);

#endif
