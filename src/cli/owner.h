/* owner.h - root works on another user's node as that user, so that its files stay that user's, and a link in that user's
 * directory leads root nowhere. */
#ifndef TL_CLI_OWNER_H
#define TL_CLI_OWNER_H

#include "base/err.h"

/* Where this process is root and `dir` belongs to another user: becomes that user for good. TL_ERR_IO. */
TL_CHECK tl_err tl_owner_become(const char *dir, tl_why *why);

#endif
