/* The scanner and jansson must agree on what JSON is, but for what only jansson can tell (numbers
 * out of range, U+0000 in a key) and what it overlooks (a zero byte after a number or a word). */
#include "wire/jsonscan.h"

#include <jansson.h>
#include <stdlib.h>

#define DEPTH 64

static void walk(tl_slice text)
{
    tl_jsonscan s;
    tl_json_member m;
    bool done = false;
    tl_json_kind kind;
    char decoded[64];
    size_t n;
    if (tl_jsonscan_begin(&s, text, DEPTH))
        return;
    while (!tl_jsonscan_next(&s, &m, &done) && !done) {
        if (m.key.p < text.p || m.value.p + m.value.n > text.p + text.n)
            abort();
        if (tl_jsonscan_check(m.value, 0, &kind) || kind != m.kind)
            abort(); /* what was a value inside must be one alone */
        if (!tl_jsonscan_string(m.key, decoded, sizeof decoded, &n) && strlen(decoded) != n)
            abort();
    }
    if (done != (tl_jsonscan_check(text, DEPTH, &kind) == TL_OK))
        abort(); /* whole object and whole value are the same thing */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    tl_json_kind kind;
    json_error_t error;
    tl_slice text = tl_slice_of(data, n);
    walk(text);
    if (n == 0)
        return 0;
    bool ours = tl_jsonscan_check(text, 0, &kind) == TL_OK;
    if (memchr(data, 0, n)) {
        if (ours)
            abort();
        return 0;
    }
    json_t *v = json_loadb((const char *)data, n,
                           JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    enum json_error_code code = v ? json_error_unknown : json_error_code(&error);
    if (v && !ours)
        abort();
    if (ours && !v && code != json_error_numeric_overflow && code != json_error_null_byte_in_key &&
        code != json_error_stack_overflow)
        abort();
    json_decref(v);
    return 0;
}
