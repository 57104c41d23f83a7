#include "api/strain.h"

#include <string.h>

static const char mark[] = "\xEF\xBB\xBF"; /* readers pass over it at the stream's start */
static const char *const names[] = {"event: error", "event:error"};

static bool is_begin_of(const tl_strain *s, const char *text)
{
    return s->n <= strlen(text) && !memcmp(s->held, text, s->n);
}

static bool is_whole(const tl_strain *s, const char *text)
{
    return s->n == strlen(text) && is_begin_of(s, text);
}

static bool is_error(const tl_strain *s)
{
    return is_whole(s, names[0]) || is_whole(s, names[1]);
}

/* The line goes on, with what is held of it. */
static tl_err pass_line(tl_strain *s, tl_buf *out)
{
    tl_err e = tl_buf_append(out, tl_slice_of(s->held, s->n));
    s->line = TL_STRAIN_PASS;
    s->in_event = true;
    s->n = 0;
    return e;
}

/* A byte of a line of which it is not known yet whether it goes on. */
static tl_err begin_line(tl_strain *s, uint8_t c, tl_buf *out)
{
    /* a NUL ends the name for a reader in C */
    if ((c == ':' && s->n == 0) || (c == 0 && is_error(s))) {
        s->line = TL_STRAIN_DROP;
        s->n = 0;
        return TL_OK;
    }
    if (s->n < sizeof s->held) {
        s->held[s->n++] = (char)c;
        if (!s->begun && is_begin_of(s, mark)) {
            s->begun = is_whole(s, mark);
            s->n = s->begun ? 0 : s->n;
            return TL_OK;
        }
        s->begun = true;
        return is_begin_of(s, names[0]) || is_begin_of(s, names[1]) ? TL_OK : pass_line(s, out);
    }
    tl_err e = pass_line(s, out);
    return e ? e : tl_buf_append(out, tl_slice_of(&c, 1));
}

/* A CR, or an LF by itself. */
static tl_err end_line(tl_strain *s, uint8_t c, tl_buf *out)
{
    bool open = s->line == TL_STRAIN_START, empty = open && s->n == 0;
    bool goes = s->line == TL_STRAIN_PASS;
    tl_err e = TL_OK;
    if (empty)
        goes = s->in_event;
    else if (open)
        goes = !is_error(s);
    if (open && !empty && goes)
        e = pass_line(s, out);
    if (!e && goes)
        e = tl_buf_append(out, tl_slice_of(&c, 1));
    if (empty)
        s->in_event = false;
    s->line = TL_STRAIN_START;
    s->n = 0;
    s->begun = true;
    s->after_cr = c == '\r';
    s->cr_went = goes;
    return e;
}

/* The bytes at the head of `bytes` that end no line. */
static size_t run_of(tl_slice bytes)
{
    size_t n = 0;
    while (n < bytes.n && bytes.p[n] != '\n' && bytes.p[n] != '\r')
        n++;
    return n;
}

tl_err tl_strain_feed(tl_strain *s, tl_slice bytes, tl_buf *out)
{
    tl_err e = TL_OK;
    while (!e && bytes.n) {
        uint8_t c = bytes.p[0];
        size_t n = 1;
        bool of_cr = s->after_cr && c == '\n';
        s->after_cr = s->after_cr && of_cr;
        if (of_cr) {
            e = s->cr_went ? tl_buf_append(out, tl_slice_of(&c, 1)) : TL_OK;
            s->after_cr = false;
        } else if (c == '\n' || c == '\r') {
            e = end_line(s, c, out);
        } else if (s->line == TL_STRAIN_START) {
            e = begin_line(s, c, out);
        } else {
            n = run_of(bytes);
            if (s->line == TL_STRAIN_PASS)
                e = tl_buf_append(out, tl_slice_of(bytes.p, n));
        }
        bytes = tl_slice_of(bytes.p + n, bytes.n - n);
    }
    return e;
}
