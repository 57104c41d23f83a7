/* paths.h - virtual path ids as the fake IPv4 addresses that libngtcp2 is shown (QUIC.md "Paths
 * below QUIC"). No real address ever comes near.
 *
 * The id is the whole address, so that ids map one to one. A client carries it in its local address
 * (an active migration is a change of the local address); a server in the remote one (a change of
 * the address, not only the port, makes it reset congestion control and validate). */
#ifndef TL_QUIC_PATHS_H
#define TL_QUIC_PATHS_H

#include "quic/quic.h"
#include "quic/quic_compat.h"

void tl_quic_path_set(ngtcp2_path_storage *ret_ps, bool client, tl_path_id id);
tl_path_id tl_quic_path_get(const ngtcp2_path *path, bool client);

#endif
