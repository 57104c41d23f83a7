/* passed.h - what of an answer's head goes on to a client: which status, which Content-Type, which
 * Retry-After. Whoever answers may be a stranger, and a client may be a browser: nothing passes that
 * is not listed here. Pure. */
#ifndef TL_API_PASSED_H
#define TL_API_PASSED_H

#include <stdbool.h>

#define TL_PASSED_TYPE_MAX 128

/* The type, if it is JSON, events, plain text, subtitles, sound, a picture or bytes, else
 * application/octet-stream: never one that a browser would run or show as a page. */
const char *tl_passed_type(const char *type);
/* Whole seconds, at most a day; else "". */
const char *tl_passed_retry_after(const char *value);

#endif
