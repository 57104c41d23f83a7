/* portfile.h - the file that keeps the node's UDP port over restarts, so that a rule in a firewall
 * or a forwarding in a router goes on being right. Holds one number; what else is in it is ignored.
 */
#ifndef TL_NET_PORTFILE_H
#define TL_NET_PORTFILE_H

#include "base/err.h"

#include <stdint.h>

/* 0: there is none, or nothing that could be a port of ours (1024 to 65535). */
uint16_t tl_portfile_read(const char *path);
/* Written beside and renamed over; left alone when it says so already. TL_ERR_IO with `why`. */
TL_CHECK tl_err tl_portfile_write(const char *path, uint16_t port, tl_why *why);

#endif
