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

/* A text of this user's own: a directory, a name. */
typedef struct {
    const char *text;    /* not "" */
    const char *instead; /* what is shown for it */
    bool anywhere; /* also in the middle of a word; else only where no letter, digit, '_' or '-'
                            stands before it or behind it */
} tl_redact_own;
/* Appends `text` to `out` with each of `own` replaced; where two begin at one place, the first in the
 * list. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_redact_texts(tl_buf *out, tl_slice text, const tl_redact_own *own, size_t n);

#endif
