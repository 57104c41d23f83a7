/* lock.h - allows one daemon for each data directory, by a lock on a file. Never leaves a stale
 * lock: the kernel releases it when the process ends in any way. */
#ifndef TL_CLI_LOCK_H
#define TL_CLI_LOCK_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Takes the lock and writes the process's number into the file. close(*ret_fd) releases the lock.
 * TL_ERR_EXISTS: another process has the lock, and `why` says which. TL_ERR_IO. */
TL_CHECK tl_err tl_lock_take(const char *path, int *ret_fd, tl_why *why);
/* Says in the file why the process that has the lock does nothing yet; "" takes that back. */
void tl_lock_note(int fd, const char *why);
/* What it said, or "": it said nothing, or no process has the lock. */
void tl_lock_why(const char *path, char *ret, size_t size);
/* True while a process has the lock. */
bool tl_lock_is_taken(const char *path);
/* The number of the process that has the lock; 0: none has it, or it wrote no number. */
long tl_lock_holder(const char *path);
/* The same, though that process may have given the lock back or ended. */
long tl_lock_last_holder(const char *path);

#endif
