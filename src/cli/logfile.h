/* logfile.h - the log of a daemon without a terminal: lines that begin with the time, in a private
 * file, which is moved to NAME.1 when it is full. Takes stderr, too; never touches stdout. */
#ifndef TL_CLI_LOGFILE_H
#define TL_CLI_LOGFILE_H

#include "base/err.h"

#define TL_LOGFILE_MAX (10L << 20) /* a daemon's log takes at most two of these on disk */

/* Opens for appending, mode 0600; refuses a symbolic link. The descriptor is the caller's.
 * TL_ERR_IO. */
TL_CHECK tl_err tl_logfile_open(const char *path, int *ret_fd, tl_why *why);
/* From now on, writes tl_log and stderr of this process to that file. */
TL_CHECK tl_err tl_logfile_use(const char *path, tl_why *why);

#endif
