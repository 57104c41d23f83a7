/* logfile.h - the log of a daemon without a terminal: lines with the time in front, in a private
 * file that is moved to NAME.1 when it is full. Also takes what is written to stderr. */
#ifndef TL_CLI_LOGFILE_H
#define TL_CLI_LOGFILE_H

#include "base/err.h"

#define TL_LOGFILE_MAX (10L << 20) /* two of them are the most disk a daemon's log ever takes */

/* Opens for appending, mode 0600; refuses a symbolic link. The descriptor is the caller's.
 * TL_ERR_IO. */
TL_CHECK tl_err tl_logfile_open(const char *path, int *ret_fd, tl_why *why);
/* Sends tl_log and stderr of this process there from now on. */
TL_CHECK tl_err tl_logfile_use(const char *path, tl_why *why);

#endif
