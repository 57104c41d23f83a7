#include "crypto/canonical.h"

#include "base/number.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define DEPTH_MAX 64 /* far beyond any document we sign; bounds the recursion below */

static tl_err write_real(tl_buf *out, double value)
{
    char text[TL_NUMBER_TEXT_MAX];
    assert(isfinite(value)); /* jansson takes no other */
    return tl_buf_append(out, tl_slice_of(text, tl_number_write(text, value)));
}

/* Beyond 2^53 only some integers are doubles: RFC 7493 section 2.2. */
static tl_err write_integer(tl_buf *out, json_int_t value)
{
    double real = (double)value;
    /* the largest integers round to 2^63, which is too large itself */
    if (real >= 9223372036854775808.0 || (json_int_t)real != value)
        return TL_ERR_INVALID;
    /* up to here the shortest digits are all of them, as ECMAScript writes them below 10^21 */
    if (value >= -(INT64_C(1) << 53) && value <= INT64_C(1) << 53)
        return tl_buf_printf(out, "%lld", (long long)value);
    return write_real(out, real);
}

/* --- strings and structure --- */

static tl_err write_string(tl_buf *out, tl_slice s)
{
    static const char short_form[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (!tl_utf8_is(s))
        return TL_ERR_INVALID;
    tl_err e = tl_buf_append_str(out, "\"");
    size_t plain = 0; /* where the run that needs no escape began */
    for (size_t i = 0; !e && i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        e = tl_buf_append(out, tl_slice_of(s.p + plain, i - plain));
        plain = i + 1;
        if (e)
            break;
        if (c >= 0x20)
            e = tl_buf_printf(out, "\\%c", c);
        else if (short_form[c])
            e = tl_buf_printf(out, "\\%c", short_form[c]);
        else
            e = tl_buf_printf(out, "\\u%04x", c);
    }
    if (!e)
        e = tl_buf_append(out, tl_slice_of(s.p + plain, s.n - plain));
    return e ? e : tl_buf_append_str(out, "\"");
}

typedef struct {
    tl_slice key;
    const json_t *value;
} member;

/* UTF-16 order of UTF-8 strings. It differs from byte order in one place: U+E000 to U+FFFF (lead
 * bytes EE and EF) come after the surrogates that stand for U+10000 and up (F0 to F4). */
static int by_utf16(const void *left, const void *right)
{
    tl_slice a = ((const member *)left)->key, b = ((const member *)right)->key;
    size_t n = a.n < b.n ? a.n : b.n, i = 0;
    while (i < n && a.p[i] == b.p[i])
        i++;
    if (i == n)
        return (a.n > b.n) - (a.n < b.n);
    uint8_t x = a.p[i], y = b.p[i];
    if (x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0))
        return x >= 0xF0 ? -1 : 1;
    return x < y ? -1 : 1;
}

static tl_err write_value(tl_buf *out, const json_t *value, unsigned depth);

static tl_err write_members(tl_buf *out, member *members, size_t n, unsigned depth)
{
    tl_err e = tl_buf_append_str(out, "{");
    for (size_t i = 0; !e && i < n; i++) {
        if (i)
            e = tl_buf_append_str(out, ",");
        if (!e)
            e = write_string(out, members[i].key);
        if (!e)
            e = tl_buf_append_str(out, ":");
        if (!e)
            e = write_value(out, members[i].value, depth + 1);
    }
    return e ? e : tl_buf_append_str(out, "}");
}

static tl_err write_object(tl_buf *out, const json_t *object, unsigned depth)
{
    size_t n = json_object_size(object), i = 0;
    member *members = calloc(n ? n : 1, sizeof *members);
    if (!members)
        return TL_ERR_NOMEM;
    const char *key;
    json_t *value;
    size_t key_n;
    /* jansson's iterators take no const, and change nothing */
    union {
        const json_t *in;
        json_t *out;
    } unconst = {object};
    json_object_keylen_foreach (unconst.out, key, key_n, value) {
        members[i].key = tl_slice_of(key, key_n);
        members[i++].value = value;
    }
    qsort(members, n, sizeof *members, by_utf16);
    tl_err e = write_members(out, members, n, depth);
    free(members);
    return e;
}

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

static tl_err write_value(tl_buf *out, const json_t *value, unsigned depth)
{
    if (depth > DEPTH_MAX)
        return TL_ERR_INVALID;
    switch (json_typeof(value)) {
    case JSON_OBJECT: return write_object(out, value, depth);
    case JSON_ARRAY: return write_array(out, value, depth);
    case JSON_STRING:
        return write_string(out, tl_slice_of(json_string_value(value), json_string_length(value)));
    case JSON_INTEGER: return write_integer(out, json_integer_value(value));
    case JSON_REAL: return write_real(out, json_real_value(value));
    case JSON_TRUE: return tl_buf_append_str(out, "true");
    case JSON_FALSE: return tl_buf_append_str(out, "false");
    case JSON_NULL: return tl_buf_append_str(out, "null");
    }
    return TL_ERR_INVALID;
}

tl_err tl_canonical_write(tl_buf *out, const json_t *value)
{
    size_t before = out->len;
    tl_err e = write_value(out, value, 1);
    if (e)
        out->len = before;
    return e;
}
