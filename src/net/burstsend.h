/* burstsend.h - sends bursts (relay/bursts) by the sockets that their ways name. Keeps no state, and
 * watches no socket. */
#ifndef TL_NET_BURSTSEND_H
#define TL_NET_BURSTSEND_H

#include "io/udp.h"
#include "relay/bursts.h"

/* `udp` by number; NULL: there is no such socket. What the kernel does not take, and what no socket
 * can send, is lost. Returns the bytes of all bursts that had a socket; adds their datagrams. */
uint64_t tl_burstsend(tl_udp *const *udp, size_t n_udp, const tl_bursts *bursts,
                      uint64_t *datagrams);

#endif
