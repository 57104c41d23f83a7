/* netmon.h - watches this machine's interfaces, addresses and default routes through rtnetlink, and
 * says when they changed. If netlink is denied, it looks every 30 s instead. Changes nothing and
 * sends nothing. */
#ifndef TL_IO_NETMON_H
#define TL_IO_NETMON_H

#include "io/loop.h"
#include "nat/candidate.h"

#define TL_NETMON_QUIET      (100 * TL_MS) /* a change is told when no more came for this time, */
#define TL_NETMON_AT_LATEST  (500 * TL_MS) /* or at the latest this long after its first sign */
#define TL_NETMON_LOOK_EVERY (30 * TL_SEC) /* without netlink */

typedef struct tl_netmon tl_netmon;

/* on_change is called from the loop when addresses, a default route, or a link with addresses of
 * ours have changed. It may call anything here but tl_netmon_free. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_netmon_new(tl_loop *loop, void (*on_change)(void *user), void *user,
                              tl_netmon **ret_netmon);
void tl_netmon_free(tl_netmon *m);

/* Addresses of the interfaces that are up, without loopback. The addresses from which the system
 * sends come first. Borrowed until the next on_change. */
const tl_interface *tl_netmon_interfaces(const tl_netmon *m, size_t *ret_n);

#endif
