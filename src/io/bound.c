#include "io/bound.h"

#include <errno.h>

tl_err tl_bound_failed(const char *what, const char *ss, const tl_addr *addr, int error,
                       tl_why *why)
{
    char text[TL_ADDR_TEXT_MAX];
    tl_addr_write(text, addr);
    switch (error) {
    case EADDRINUSE:
        return tl_why_set(why, TL_ERR_EXISTS,
                          "cannot %s %s: another program uses that port; see which one with "
                          "`ss %s 'sport = :%u'`, or choose another (port 0 = any free one)",
                          what, text, ss, addr->port);
    case EADDRNOTAVAIL:
        return tl_why_set(why, TL_ERR_IO, "cannot %s %s: this machine does not have that address",
                          what, text);
    case EACCES:
        return tl_why_set(why, TL_ERR_IO,
                          "cannot %s %s: ports below 1024 need the capability "
                          "CAP_NET_BIND_SERVICE; choose another or grant it",
                          what, text);
    case EAFNOSUPPORT:
        return tl_why_set(why, TL_ERR_IO, "cannot %s %s: this machine has no IPv%d", what, text,
                          addr->family == TL_ADDR_V6 ? 6 : 4);
    default: return tl_why_set(why, TL_ERR_IO, "cannot %s %s: %s", what, text, strerror(error));
    }
}
