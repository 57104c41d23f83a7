#include "base/json.h"

/* jansson (2.14) does not tell when memory ran out: its lexer drops the byte it had no room for and
 * goes on, its parser calls it a syntax error. So we watch its allocations, and take nothing from a
 * call during which one failed. */
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

/* Nesting of the text as brackets outside strings show it: enough to refuse depth before parsing.
 */
static unsigned nesting(tl_slice text)
{
    unsigned depth = 0, deepest = 0;
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
            if (++depth > deepest)
                deepest = depth;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return deepest;
}

tl_err tl_json_parse(tl_slice text, unsigned max_depth, json_t **ret, tl_why *why)
{
    if (text.n == 0)
        return tl_why_set(why, TL_ERR_PROTO, "no JSON: the text is empty");
    if (nesting(text) > max_depth)
        return tl_why_set(why, TL_ERR_PROTO, "JSON nested deeper than %u", max_depth);
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

typedef struct {
    tl_buf *out;
    tl_err e;
} sink;

static int append_chunk(const char *p, size_t n, void *user)
{
    sink *s = user;
    if (!s->e) /* after a failed key jansson goes on */
        s->e = tl_buf_append(s->out, tl_slice_of(p, n));
    return s->e ? -1 : 0;
}

tl_err tl_json_write(tl_buf *out, const json_t *value)
{
    size_t before = out->len;
    sink s = {.out = out};
    if (json_dump_callback(value, append_chunk, &s, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) || s.e) {
        out->len = before;
        return TL_ERR_NOMEM;
    }
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

tl_err tl_json_append_string(tl_buf *out, tl_slice text)
{
    size_t before = out->len;
    tl_err e = tl_buf_append_str(out, "\"");
    for (size_t i = 0; !e && i < text.n;) {
        uint8_t c = text.p[i];
        size_t k = 1;
        while (k <= 4 && i + k <= text.n && !tl_utf8_is(tl_slice_of(text.p + i, k)))
            k++;
        if (k > 4 || i + k > text.n) {
            e = tl_buf_append_str(out, "\xEF\xBF\xBD");
            k = 1;
        } else if (c == '"' || c == '\\') {
            e = tl_buf_printf(out, "\\%c", c);
        } else if (c < 0x20 || c == 0x7F) {
            e = tl_buf_printf(out, "\\u%04x", c);
        } else {
            e = tl_buf_append(out, tl_slice_of(text.p + i, k));
        }
        i += k;
    }
    if (!e)
        e = tl_buf_append_str(out, "\"");
    if (e)
        out->len = before;
    return e;
}
