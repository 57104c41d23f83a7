/* pausefile.h - the file that keeps "others are not served" over restarts: until when the owner of this
 * machine has taken it back. It is there while the pause holds. Knows no node. */
#ifndef TL_NODE_PAUSEFILE_H
#define TL_NODE_PAUSEFILE_H

#include "base/err.h"
#include "base/time.h"

#include <stdbool.h>

#define TL_PAUSE_NO_END   0 /* until the owner resumes */
#define TL_PAUSE_MAX_SECS (INT64_C(3650) * 86400)

/* False: there is no pause. A file that cannot be read as one counts as a pause without end: who took
 * the machine back keeps it. */
bool tl_pausefile_read(const char *path, tl_unix *ret_until);
/* TL_ERR_IO with `why`. */
TL_CHECK tl_err tl_pausefile_write(const char *path, tl_unix until, tl_why *why);
/* No effect where there is none. TL_ERR_IO with `why`. */
TL_CHECK tl_err tl_pausefile_remove(const char *path, tl_why *why);

#endif
