/* quote.h - text as a value of the relay's log: a line is `event=NAME key=value ...`, and a value
 * that may hold blanks stands in double quotes. Writes to nothing. */
#ifndef TL_RELAYD_QUOTE_H
#define TL_RELAYD_QUOTE_H

#include "base/log.h"

/* Half of it is text, and all of that may be quotes. A path and a reason fit into a line together. */
#define TL_RELAYD_QUOTED_MAX 768

typedef struct {
    char text[TL_RELAYD_QUOTED_MAX + 8];
} tl_relayd_quoted;

/* In quotes, on one line, with \" in it; longer text ends with "...". Use as
 * tl_relayd_quote(s).text. */
tl_relayd_quoted tl_relayd_quote(const char *text);

#endif
