/* portfile.h - the file that keeps the node's UDP port over restarts, so that a firewall's rule or
 * a router's forwarding stays right. The file holds one number; the rest of it is ignored. Opens no
 * socket. */
#ifndef TL_NET_PORTFILE_H
#define TL_NET_PORTFILE_H

#include "base/err.h"

#include <stdint.h>

/* 0: there is no file, or it does not hold a port that we may use (1024 to 65535). */
uint16_t tl_portfile_read(const char *path);
/* Writes a new file beside the old one and renames it over the old one. Does nothing if the file
 * holds this port already. TL_ERR_IO with `why`. */
TL_CHECK tl_err tl_portfile_write(const char *path, uint16_t port, tl_why *why);

#endif
