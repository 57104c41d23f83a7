#include "cli/sse.h"

#include <stdio.h>

/* The value after `name:` and one space. False: the line is another field. */
static bool field(tl_slice line, const char *name, tl_slice *ret)
{
    size_t n = strlen(name);
    if (line.n < n + 1 || memcmp(line.p, name, n) != 0 || line.p[n] != ':')
        return false;
    n++;
    if (line.n > n && line.p[n] == ' ')
        n++;
    *ret = tl_slice_of(line.p + n, line.n - n);
    return true;
}

static tl_err take_line(tl_sse *s, tl_slice line,
                        void (*on_event)(void *user, const char *name, tl_slice data), void *user)
{
    tl_slice value;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0) {
        if (s->data.len)
            on_event(user, s->event, tl_buf_slice(&s->data));
        tl_buf_consume(&s->data, s->data.len);
        s->event[0] = 0;
        return TL_OK;
    }
    if (field(line, "event", &value)) {
        snprintf(s->event, sizeof s->event, "%.*s", (int)value.n, (const char *)value.p);
        return TL_OK;
    }
    if (s->comments && field(line, "", &value))
        on_event(user, ":", value);
    if (!field(line, "data", &value))
        return TL_OK; /* a comment, or a field that means nothing here */
    if (s->data.len + value.n > TL_SSE_EVENT_MAX)
        return TL_ERR_TOO_LARGE;
    tl_err e = s->data.len ? tl_buf_append_str(&s->data, "\n") : TL_OK;
    return e ? e : tl_buf_append(&s->data, value);
}

tl_err tl_sse_feed(tl_sse *s, tl_slice bytes,
                   void (*on_event)(void *user, const char *name, tl_slice data), void *user)
{
    while (bytes.n) {
        const uint8_t *newline = memchr(bytes.p, '\n', bytes.n);
        size_t n = newline ? (size_t)(newline - bytes.p) : bytes.n;
        if (s->line.len + n > TL_SSE_EVENT_MAX)
            return TL_ERR_TOO_LARGE;
        tl_err e = tl_buf_append(&s->line, tl_slice_of(bytes.p, n));
        if (!e && newline) {
            e = take_line(s, tl_buf_slice(&s->line), on_event, user);
            tl_buf_consume(&s->line, s->line.len);
        }
        if (e)
            return e;
        n += newline != NULL;
        bytes = tl_slice_of(bytes.p + n, bytes.n - n);
    }
    return TL_OK;
}

void tl_sse_clear(tl_sse *s)
{
    tl_buf_clear(&s->line);
    tl_buf_clear(&s->data);
}
