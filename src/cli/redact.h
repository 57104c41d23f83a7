/* redact.h - makes text ready to be shown to strangers: takes out keys, addresses and whole node
 * IDs. Works on text in memory; never touches a file. */
#ifndef TL_CLI_REDACT_H
#define TL_CLI_REDACT_H

#include "base/slice.h"

/* Appends `text` to `out` with
 *
 *   203.0.113.7:41820, 2001:db8::5     as  203.0.x.x:41820, 2001:x   (loopback stays)
 *   32 hex digits and more             as  their first 8 and "..."   (node IDs, keys)
 *   tl-0123456789abcdef0123456789ab    as  tl-...
 *   user:password@                     as  (hidden)@
 *
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_redact(tl_buf *out, tl_slice text);

#endif
