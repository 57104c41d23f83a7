/* bound.h - the words for a socket that cannot be bound to an address of this machine: the cause, and what
 * to do. Touches no socket. */
#ifndef TL_IO_BOUND_H
#define TL_IO_BOUND_H

#include "base/addr.h"

/* "cannot WHAT ADDRESS: ...". `error` is errno; `ss` are the options with which ss(8) shows who has the
 * port. TL_ERR_EXISTS: the port is in use. Else TL_ERR_IO. */
tl_err tl_bound_failed(const char *what, const char *ss, const tl_addr *addr, int error,
                       tl_why *why);

#endif
