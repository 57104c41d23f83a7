#include "relayd/quote.h"

tl_relayd_quoted tl_relayd_quote(const char *text)
{
    char safe[TL_RELAYD_QUOTED_MAX / 2]; /* all of it may be quotes */
    tl_relayd_quoted q;
    size_t n = 0;
    tl_log_safe_write(tl_slice_str(text), safe, sizeof safe); /* a backslash is \x5c there */
    q.text[n++] = '"';
    for (const char *c = safe; *c; c++) {
        if (*c == '"')
            q.text[n++] = '\\';
        q.text[n++] = *c;
    }
    q.text[n++] = '"';
    q.text[n] = 0;
    return q;
}
