#include "legacy/feed.h"

#include <stdio.h>
#include <strings.h>

#define DEPTH 64 /* of one event; a model server's answers nest a handful deep */

tl_legacy_feed tl_legacy_feed_new(int status, const char *content_type, const char *model,
                                  tl_unix now)
{
    return (tl_legacy_feed){.sse = strncasecmp(content_type, "text/event-stream", 17) == 0,
                            .status = status,
                            .model = model,
                            .now = now};
}

void tl_legacy_feed_clear(tl_legacy_feed *f)
{
    tl_buf_clear(&f->text);
}

tl_err tl_legacy_feed_put(tl_legacy_feed *f, tl_slice bytes)
{
    if (f->status >= 300 && f->text.len + bytes.n > TL_LEGACY_EVENT_MAX)
        return TL_OK; /* a refusal's words are short; this page is not read to its end */
    if (f->text.len + bytes.n > (f->sse ? 2 * TL_LEGACY_EVENT_MAX : TL_LEGACY_WHOLE_MAX))
        return TL_ERR_TOO_LARGE;
    return tl_buf_append(&f->text, bytes);
}

/* {"error":{"message":"..."}}, {"error":"..."} or {"message":"..."}: as servers write it. */
static void take_words(tl_legacy_feed *f, const json_t *o)
{
    const json_t *error = json_object_get(o, "error");
    const char *words = tl_json_string(error, "message", tl_json_string(o, "message", ""));
    if (json_is_string(error))
        words = json_string_value(error);
    size_t n = strlen(words);
    if (n >= sizeof f->words) {
        n = sizeof f->words - 1;
        while (n && ((uint8_t)words[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(f->words, words, n);
    f->words[n] = 0;
}

static int set_default(json_t *o, const char *key, json_t *value)
{
    if (json_object_get(o, key)) {
        json_decref(value);
        return 0;
    }
    return json_object_set_new(o, key, value);
}

/* A whole answer's choice says "message" where a chunk's says "delta". */
static int make_delta(json_t *choice, size_t i)
{
    json_t *message = json_object_get(choice, "message");
    int bad = message ? json_object_set(choice, "delta", message) : 0;
    if (message)
        (void)json_object_del(choice, "message");
    bad |= set_default(choice, "delta", json_object());
    return bad | set_default(choice, "index", json_integer((json_int_t)i));
}

/* Swift refuses a chunk, and with it the answer, that has not all of these. */
static tl_err complete_chunk(const tl_legacy_feed *f, json_t *chunk)
{
    size_t i;
    json_t *choice;
    int bad = json_object_set_new(chunk, "object", json_string("chat.completion.chunk"));
    bad |= set_default(chunk, "id", json_string("chatcmpl-0"));
    bad |= set_default(chunk, "created", json_integer((json_int_t)f->now));
    bad |= set_default(chunk, "model", json_string(f->model));
    bad |= set_default(chunk, "choices", json_array());
    json_array_foreach (json_object_get(chunk, "choices"), i, choice) {
        if (!json_is_object(choice))
            return TL_ERR_PROTO;
        bad |= make_delta(choice, i);
    }
    return bad ? TL_ERR_NOMEM : TL_OK;
}

static tl_err chunk_of(tl_legacy_feed *f, tl_slice text, json_t **ret_chunk)
{
    json_t *o = NULL;
    tl_err e = tl_json_parse(text, DEPTH, &o, NULL);
    if (e)
        return e;
    if (!json_is_object(o))
        e = TL_ERR_PROTO;
    if (!e && json_object_get(o, "error") && !json_is_null(json_object_get(o, "error"))) {
        take_words(f, o);
        e = TL_ERR_CLOSED;
    }
    if (!e && !f->sse && !json_is_array(json_object_get(o, "choices")))
        e = TL_ERR_PROTO;
    if (!e)
        e = complete_chunk(f, o);
    if (e)
        json_decref(o);
    else
        *ret_chunk = o;
    return e;
}

/* The value of a `data:` line; empty for every other line. */
static tl_slice data_of(tl_slice line)
{
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n < 5 || memcmp(line.p, "data:", 5) != 0)
        return tl_slice_of(NULL, 0);
    line = tl_slice_of(line.p + 5, line.n - 5);
    if (line.n && line.p[0] == ' ')
        line = tl_slice_of(line.p + 1, line.n - 1);
    return tl_slice_eq(line, TL_SLICE_LIT("[DONE]")) ? tl_slice_of(NULL, 0) : line;
}

static tl_err next_event(tl_legacy_feed *f, bool end, json_t **ret_chunk)
{
    while (f->text.len) {
        const uint8_t *p = tl_buf_begin(&f->text);
        const uint8_t *lf = memchr(p + f->scanned, '\n', f->text.len - f->scanned);
        f->scanned = lf ? 0 : f->text.len;
        if (!lf && f->text.len > TL_LEGACY_EVENT_MAX)
            return TL_ERR_TOO_LARGE;
        if (!lf && !end)
            return TL_ERR_SHORT;
        size_t n = lf ? (size_t)(lf - p) : f->text.len;
        tl_slice data = data_of(tl_slice_of(p, n));
        tl_err e = data.n ? chunk_of(f, data, ret_chunk) : TL_ERR_SHORT;
        tl_buf_consume(&f->text, lf ? n + 1 : n);
        f->scanned = 0;
        if (e != TL_ERR_SHORT)
            return e;
    }
    return TL_ERR_SHORT;
}

tl_err tl_legacy_feed_next(tl_legacy_feed *f, bool end, json_t **ret_chunk)
{
    if (f->status >= 300) {
        json_t *o = NULL;
        if (!end)
            return TL_ERR_SHORT;
        if (f->text.len && !tl_json_parse(tl_buf_slice(&f->text), DEPTH, &o, NULL))
            take_words(f, o);
        json_decref(o);
        return TL_ERR_CLOSED;
    }
    if (f->sse)
        return next_event(f, end, ret_chunk);
    if (!end || !f->text.len)
        return TL_ERR_SHORT;
    tl_err e = chunk_of(f, tl_buf_slice(&f->text), ret_chunk);
    tl_buf_clear(&f->text);
    return e;
}
