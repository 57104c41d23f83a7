/* disk.h - bytes that shall be on the disk, whatever happens next: writes all of them, makes a file that nobody else can
 * read, syncs a directory. On failure errno tells why; the caller says what it was about. */
#ifndef TL_IO_DISK_H
#define TL_IO_DISK_H

#include "base/slice.h"

#include <stdbool.h>

/* Writes all of them to `fd`, however many calls that takes. Syncs nothing. */
TL_CHECK bool tl_disk_write(int fd, tl_slice bytes);

/* Makes the file `name`, of mode 0600, in the directory `dir` (AT_FDCWD: as of openat). It is whole and on the disk
 * then, but its name is not yet. Replaces nothing: EEXIST. After a failure in the middle the file is removed. */
TL_CHECK bool tl_disk_make(int dir, const char *name, tl_slice bytes);

/* Makes what was done in the directory last: names that came, changed or went. True, too, where the file system
 * knows no such thing. */
TL_CHECK bool tl_disk_sync(const char *dir);
/* The same of the directory in which `path` is. */
TL_CHECK bool tl_disk_sync_above(const char *path);

#endif
