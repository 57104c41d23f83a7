#include "legacy/question.h"

#include "wire/jsonscan.h"

static bool is_key(tl_slice key, const char *name)
{
    char text[8];
    size_t n;
    return !tl_jsonscan_string(key, text, sizeof text, &n) && strcmp(text, name) == 0;
}

/* Copies up to the member's value, then what stands in its place; `*at` goes behind the value. */
static tl_err replace(tl_buf *out, const uint8_t **at, tl_slice value, const char *before,
                      bool keep, const char *after)
{
    tl_err e = tl_buf_append(out, tl_slice_of(*at, (size_t)(value.p - *at)));
    if (!e)
        e = tl_buf_append_str(out, before);
    if (!e && keep)
        e = tl_buf_append(out, value);
    if (!e)
        e = tl_buf_append_str(out, after);
    *at = value.p + value.n;
    return e;
}

static tl_err write_members(tl_buf *out, tl_slice body, bool *ret_streams)
{
    tl_jsonscan s;
    tl_json_member m;
    bool done = false, stop = false, stream = false;
    const uint8_t *at = body.p;
    tl_err e = tl_jsonscan_begin(&s, body, 0);
    while (!e && !(e = tl_jsonscan_next(&s, &m, &done)) && !done) {
        if (is_key(m.key, "stop")) {
            if (stop)
                return TL_ERR_PROTO;
            stop = true;
            if (m.kind == TL_JSON_STRING)
                e = replace(out, &at, m.value, "[", true, "]");
        } else if (is_key(m.key, "stream")) {
            if (stream)
                return TL_ERR_PROTO;
            stream = true;
            e = replace(out, &at, m.value, "true", false, "");
        }
    }
    if (!e)
        e = tl_buf_append(out, tl_slice_of(at, (size_t)(body.p + body.n - at)));
    *ret_streams = stream;
    return e;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Of an object, with its bracket in front. */
static bool has_members(tl_slice object)
{
    size_t at = 1;
    while (at < object.n && is_space(object.p[at]))
        at++;
    return at < object.n && object.p[at] != '}';
}

tl_err tl_legacy_question_write(tl_buf *out, tl_slice body)
{
    size_t before = out->len;
    bool streams = false;
    while (body.n && is_space(body.p[0]))
        body = tl_slice_of(body.p + 1, body.n - 1);
    tl_err e = write_members(out, body, &streams);
    if (!e && !streams) {
        static const char member[] = "\"stream\":true,";
        size_t n = sizeof member - 1 - !has_members(body);
        uint8_t *room, *first;
        if (!(e = tl_buf_reserve(out, n, &room))) {
            first = tl_buf_begin(out) + before + 1;
            memmove(first + n, first, out->len - before - 1);
            memcpy(first, member, n);
            tl_buf_added(out, n);
        }
    }
    if (e)
        out->len = before;
    return e;
}
