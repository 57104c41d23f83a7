#include "ask/modelname.h"

#include "base/suggest.h"

#include "base/json.h"
#include "wire/fieldname.h"
#include "wire/jsonscan.h"
#include "wire/multipart.h"

#include <stdio.h>

static const char latest[] = ":latest";

static tl_err find_in_json(tl_slice body, tl_slice *ret_value)
{
    tl_jsonscan s;
    tl_json_member m;
    bool done = false;
    tl_slice found = {NULL, 0};
    tl_err e = tl_jsonscan_begin_body(&s, body, 0);
    while (!e && !(e = tl_jsonscan_next(&s, &m, &done)) && !done) {
        tl_field field = tl_field_is_key(m.key, "model");
        if (field == TL_FIELD_OTHER)
            continue;
        if (field == TL_FIELD_ALIKE || found.p || m.kind != TL_JSON_STRING)
            return TL_ERR_PROTO;
        found = m.value;
    }
    if (e || !found.p)
        return TL_ERR_PROTO;
    *ret_value = found;
    return TL_OK;
}

static tl_err find_in_form(const char *content_type, tl_slice body, tl_slice *ret_value)
{
    tl_multipart form;
    tl_multipart_part part;
    bool done = false;
    tl_slice found = {NULL, 0};
    tl_err e = tl_multipart_begin(&form, content_type, body);
    while (!e && !(e = tl_multipart_next(&form, &part, &done)) && !done) {
        tl_field field = tl_field_is(part.name, "model");
        if (field == TL_FIELD_OTHER)
            continue;
        if (field == TL_FIELD_ALIKE || found.p || part.is_file)
            return TL_ERR_PROTO;
        found = part.value;
    }
    if (e || !found.p)
        return TL_ERR_PROTO;
    *ret_value = found;
    return TL_OK;
}

/* The value as it stands in the body: of JSON, with its quotes. */
static tl_err find_model(const char *content_type, tl_slice body, bool *ret_form,
                         tl_slice *ret_value)
{
    *ret_form = tl_multipart_is(content_type);
    return *ret_form ? find_in_form(content_type, body, ret_value) : find_in_json(body, ret_value);
}

tl_err tl_model_replace(const char *content_type, tl_slice body, const char *name, tl_buf *out)
{
    tl_slice old;
    bool form;
    tl_err e = find_model(content_type, body, &form, &old);
    if (e)
        return e;
    if (form && strpbrk(name, "\r\n")) /* a name that a peer lists must not end its part */
        return TL_ERR_PROTO;
    size_t before = out->len, head_n = (size_t)(old.p - body.p), tail_at = head_n + old.n;
    e = tl_buf_append(out, tl_slice_of(body.p, head_n));
    if (!e)
        e = form ? tl_buf_append_str(out, name) : tl_json_append_string(out, tl_slice_str(name));
    if (!e)
        e = tl_buf_append(out, tl_slice_of(body.p + tail_at, body.n - tail_at));
    if (e)
        out->len = before;
    return e;
}

tl_err tl_model_compare(const char *content_type, tl_slice body, const char *name, bool *ret_same)
{
    tl_slice value;
    bool form;
    char text[512]; /* longer than any name: the rest does not matter */
    size_t n;
    tl_err e = find_model(content_type, body, &form, &value);
    if (e)
        return e;
    if (form)
        *ret_same = tl_slice_eq(value, tl_slice_str(name));
    else
        *ret_same = !tl_jsonscan_string(value, text, sizeof text, &n) && strcmp(text, name) == 0;
    return TL_OK;
}

bool tl_model_latest(const char *asked, char *ret_name, size_t cap)
{
    const char *slash = strrchr(asked, '/'); /* before it a colon may be a registry's port */
    if (!asked[0] || strchr(slash ? slash : asked, ':') || strlen(asked) + sizeof latest > cap)
        return false;
    snprintf(ret_name, cap, "%s%s", asked, latest);
    return true;
}

tl_model_fit tl_model_fits(const char *asked, const char *listed)
{
    char name[512];
    if (strcmp(asked, listed) == 0)
        return TL_MODEL_SAME;
    return tl_model_latest(asked, name, sizeof name) && strcmp(name, listed) == 0 ? TL_MODEL_LATEST
                                                                                  : TL_MODEL_OTHER;
}

const char *tl_model_meant(const json_t *list, const char *asked)
{
    tl_suggest s = tl_suggest_begin(asked);
    size_t i;
    const json_t *m;
    json_array_foreach (json_object_get(list, "models"), i, m) {
        const char *id = tl_json_string(m, "id", "");
        char bare[TL_SUGGEST_WORD_MAX + 1];
        size_t n = strcspn(id, ":");
        tl_suggest_offer(&s, id);
        if (id[n] && n < sizeof bare) { /* "qwen3" for "qwen3:8b" */
            snprintf(bare, sizeof bare, "%.*s", (int)n, id);
            tl_suggest_offer_as(&s, bare, id);
        }
    }
    return s.best;
}
