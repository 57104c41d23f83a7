#include "ask/modelname.h"

#include "base/json.h"
#include "wire/jsonscan.h"

/* Keys may be written with escapes; what counts is the text they stand for. */
static bool is_model_key(tl_slice key)
{
    char text[8];
    size_t n;
    return !tl_jsonscan_string(key, text, sizeof text, &n) && strcmp(text, "model") == 0;
}

static tl_err find_model(tl_slice body, tl_slice *ret_value)
{
    tl_jsonscan s;
    tl_json_member m;
    bool done = false;
    tl_slice found = {NULL, 0};
    tl_err e = tl_jsonscan_begin_body(&s, body, 0);
    while (!e && !(e = tl_jsonscan_next(&s, &m, &done)) && !done) {
        if (!is_model_key(m.key))
            continue;
        if (found.p || m.kind != TL_JSON_STRING)
            return TL_ERR_PROTO;
        found = m.value;
    }
    if (e || !found.p)
        return TL_ERR_PROTO;
    *ret_value = found;
    return TL_OK;
}

tl_err tl_model_replace(tl_slice body, const char *name, tl_buf *out)
{
    tl_slice old;
    tl_err e = find_model(body, &old);
    if (e)
        return e;
    size_t before = out->len, head_n = (size_t)(old.p - body.p), tail_at = head_n + old.n;
    e = tl_buf_append(out, tl_slice_of(body.p, head_n));
    if (!e)
        e = tl_json_append_string(out, tl_slice_str(name));
    if (!e)
        e = tl_buf_append(out, tl_slice_of(body.p + tail_at, body.n - tail_at));
    if (e)
        out->len = before;
    return e;
}
