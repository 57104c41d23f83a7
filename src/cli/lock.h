/* lock.h - one daemon to a data directory: a lock on a file that the kernel gives back when the
 * process ends, however it ends. */
#ifndef TL_CLI_LOCK_H
#define TL_CLI_LOCK_H

#include "base/err.h"

#include <stdbool.h>

/* Takes the lock and writes the process's number into the file; close(*ret_fd) gives it back.
 * TL_ERR_EXISTS: another process has it, `why` says which. TL_ERR_IO. */
TL_CHECK tl_err tl_lock_take(const char *path, int *ret_fd, tl_why *why);
/* True while a process has it. */
bool tl_lock_is_taken(const char *path);

#endif
