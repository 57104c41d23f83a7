/* files.h - whole files of the user: reads one up to a limit, and makes a new private one. Never
 * replaces or changes a file that is there. And the paths of files as a person types them. */
#ifndef TL_CLI_FILES_H
#define TL_CLI_FILES_H

#include "base/slice.h"

#include <limits.h>

/* Appends the file's bytes to `out`, and never more than `max`. "-" is no special name. TL_ERR_TOO_LARGE: it is
 * longer. TL_ERR_NOT_FOUND, TL_ERR_INVALID: no regular file and no pipe, or a pipe into which nobody writes for 5 s, or
 * which does not end within 30 s. TL_ERR_IO, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_file_read(const char *path, size_t max, tl_buf *out, tl_why *why);

/* Makes the file, mode 0600, and syncs it. TL_ERR_EXISTS: there is something of that name; it stays
 * as it is. TL_ERR_IO: nothing of the file is left. */
TL_CHECK tl_err tl_file_create(const char *path, tl_slice bytes, tl_why *why);

/* With the home directory in place of `~` before a slash, as a shell has it. False: too long, or empty. */
bool tl_path_expand(tl_slice typed, char ret_path[PATH_MAX]);

#endif
