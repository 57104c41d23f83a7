/* beside.h - small files beside the one that keeps the UDP port: what a node remembers over a restart, and
 * may lose. A file that is lost or torn costs what is remembered and nothing else, so nobody waits for the
 * disk. */
#ifndef TL_NODE_BESIDE_H
#define TL_NODE_BESIDE_H

#include "base/slice.h"

#define TL_BESIDE_PATH_MAX 1040

/* The path of the file `name` in the directory of `port_file`. False: nothing is kept (`port_file` is ""), or
 * the path is too long. */
bool tl_beside_path(const char *port_file, const char *name, char ret_path[TL_BESIDE_PATH_MAX]);
/* Replaces the whole file, with mode 0600. What cannot be written is logged, at debug level. */
void tl_beside_write(const char *path, tl_slice bytes);
/* The bytes of a regular file, at most `max`, in memory that the caller frees. TL_ERR_NOT_FOUND: there is
 * none, it is empty, or it cannot be read. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_beside_read(const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_n);

#endif
