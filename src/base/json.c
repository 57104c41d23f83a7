#include "base/json.h"

#include "base/number.h"
#include "base/when.h"

#include <assert.h>

/* jansson (2.14) does not tell when memory ran out: its lexer drops the byte for which it had no
 * room and goes on, and its parser calls it a syntax error. So we watch its allocations, and take
 * no result from a call in which one failed. */
static json_malloc_t inner_malloc;
static _Thread_local bool ran_out;

static void *watched_malloc(size_t n)
{
    void *p = inner_malloc(n);
    if (!p)
        ran_out = true;
    return p;
}

__attribute__((constructor)) static void watch_allocations(void)
{
    json_free_t inner_free;
    json_get_alloc_funcs(&inner_malloc, &inner_free);
    json_set_alloc_funcs(watched_malloc, inner_free);
}

typedef struct {
    unsigned depth; /* how deep the brackets outside strings nest */
    size_t values;  /* at most */
} measures;

/* Enough to refuse a text that is too deep or has too many values, before parsing. */
static measures measure(tl_slice text)
{
    measures m = {0, 1};
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            m.values++;
            if (++depth > m.depth)
                m.depth = depth;
        } else if (c == ',') {
            m.values++;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return m;
}

size_t tl_json_count(tl_slice text)
{
    return measure(text).values;
}

tl_err tl_json_parse(tl_slice text, unsigned max_depth, json_t **ret, tl_why *why)
{
    return tl_json_parse_bounded(text, max_depth, SIZE_MAX, ret, why);
}

tl_err tl_json_parse_bounded(tl_slice text, unsigned max_depth, size_t max_values, json_t **ret,
                             tl_why *why)
{
    if (text.n == 0)
        return tl_why_set(why, TL_ERR_PROTO, "no JSON: the text is empty");
    if (memchr(text.p, 0, text.n)) /* jansson 2.14 swallows a NUL after a number or a word */
        return tl_why_set(why, TL_ERR_PROTO, "a zero byte is no JSON");
    measures m = measure(text);
    if (m.depth > max_depth)
        return tl_why_set(why, TL_ERR_PROTO, "JSON nested deeper than %u", max_depth);
    if (m.values > max_values)
        return tl_why_set(why, TL_ERR_PROTO, "JSON of more than %zu values", max_values);
    json_error_t error;
    ran_out = false;
    json_t *value = json_loadb((const char *)text.p, text.n,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (ran_out) {
        json_decref(value);
        return tl_why_set(why, TL_ERR_NOMEM, "%s", tl_err_name(TL_ERR_NOMEM));
    }
    if (!value)
        return tl_why_set(why, TL_ERR_PROTO, "JSON line %d column %d: %s", error.line, error.column,
                          error.text);
    *ret = value;
    return TL_OK;
}

const char *tl_json_string(const json_t *object, const char *key, const char *fallback)
{
    const json_t *v = json_object_get(object, key);
    return json_is_string(v) ? json_string_value(v) : fallback;
}

double tl_json_number(const json_t *object, const char *key, double fallback)
{
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) ? json_number_value(v) : fallback;
}

bool tl_json_bool(const json_t *object, const char *key, bool fallback)
{
    const json_t *v = json_object_get(object, key);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

static tl_err append_escaped(tl_buf *out, uint8_t c)
{
    switch (c) {
    case '"': return tl_buf_append_str(out, "\\\"");
    case '\\': return tl_buf_append_str(out, "\\\\");
    case '\n': return tl_buf_append_str(out, "\\n");
    case '\r': return tl_buf_append_str(out, "\\r");
    case '\t': return tl_buf_append_str(out, "\\t");
    default: return tl_buf_printf(out, "\\u%04x", c);
    }
}

/* How many bytes at the front of `s` can stand in a string as they are. */
static size_t plain_run(tl_slice s)
{
    size_t i = 0;
    while (i < s.n) {
        uint8_t c = s.p[i];
        size_t k = c >= 0x80 ? tl_utf8_next(tl_slice_of(s.p + i, s.n - i)) : 1;
        if (k == 0 || c < 0x20 || c == '"' || c == '\\' || c == 0x7F)
            break;
        i += k;
    }
    return i;
}

tl_err tl_json_append_string(tl_buf *out, tl_slice text)
{
    size_t before = out->len, i = 0;
    tl_err e = tl_buf_append_str(out, "\"");
    while (!e && i < text.n) {
        size_t run = plain_run(tl_slice_of(text.p + i, text.n - i));
        e = tl_buf_append(out, tl_slice_of(text.p + i, run));
        i += run;
        if (e || i == text.n)
            break;
        uint8_t c = text.p[i++];
        e = c < 0x80 ? append_escaped(out, c) : tl_buf_append_str(out, "\xEF\xBF\xBD");
    }
    if (!e)
        e = tl_buf_append_str(out, "\"");
    if (e)
        out->len = before;
    return e;
}

/* --- writing: jansson's goes on after a failure, and shows 0.1 as 0.10000000000000001 --- */

#define WRITE_DEPTH_MAX 1000 /* what is read is far shallower; deeper can only be a cycle */

static tl_err write_value(tl_buf *out, const json_t *value, unsigned depth);

static tl_err write_array(tl_buf *out, const json_t *array, unsigned depth)
{
    tl_err e = tl_buf_append_str(out, "[");
    for (size_t i = 0; !e && i < json_array_size(array); i++) {
        if (i)
            e = tl_buf_append_str(out, ",");
        if (!e)
            e = write_value(out, json_array_get(array, i), depth + 1);
    }
    return e ? e : tl_buf_append_str(out, "]");
}

static tl_err write_object(tl_buf *out, const json_t *object, unsigned depth)
{
    union {
        const json_t *in;
        json_t *out;
    } unconst = {object}; /* the iterator's type asks for it; nothing is changed */
    const char *key, *comma = "";
    size_t key_n;
    json_t *value;
    tl_err e = tl_buf_append_str(out, "{");
    json_object_keylen_foreach (unconst.out, key, key_n, value) {
        if (!e)
            e = tl_buf_append_str(out, comma);
        if (!e)
            e = tl_json_append_string(out, tl_slice_of(key, key_n));
        if (!e)
            e = tl_buf_append_str(out, ":");
        if (!e)
            e = write_value(out, value, depth + 1);
        comma = ",";
    }
    return e ? e : tl_buf_append_str(out, "}");
}

/* A real stays one when read again: a whole number gets ".0". */
static tl_err write_real(tl_buf *out, double value)
{
    char text[TL_NUMBER_TEXT_MAX];
    tl_number_write(text, value);
    return tl_buf_printf(out, strpbrk(text, ".e") ? "%s" : "%s.0", text);
}

static tl_err write_value(tl_buf *out, const json_t *value, unsigned depth)
{
    assert(depth <= WRITE_DEPTH_MAX);
    switch (json_typeof(value)) {
    case JSON_OBJECT: return write_object(out, value, depth);
    case JSON_ARRAY: return write_array(out, value, depth);
    case JSON_STRING:
        return tl_json_append_string(
            out, tl_slice_of(json_string_value(value), json_string_length(value)));
    case JSON_INTEGER: return tl_buf_printf(out, "%lld", (long long)json_integer_value(value));
    case JSON_REAL: return write_real(out, json_real_value(value));
    case JSON_TRUE: return tl_buf_append_str(out, "true");
    case JSON_FALSE: return tl_buf_append_str(out, "false");
    case JSON_NULL: break;
    }
    return tl_buf_append_str(out, "null");
}

tl_err tl_json_write(tl_buf *out, const json_t *value)
{
    size_t before = out->len;
    tl_err e = write_value(out, value, 1);
    if (e)
        out->len = before;
    return e;
}

json_t *tl_json_time(tl_unix at)
{
    char text[TL_WHEN_TEXT_MAX];
    tl_when_write(text, at);
    return json_string(text);
}

json_t *tl_json_append(json_t *list, json_t *value)
{
    if (!json_array_append_new(list, value)) /* it takes the value also where it fails */
        return list;
    json_decref(list);
    return NULL;
}
