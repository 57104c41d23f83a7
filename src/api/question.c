#include "api/question.h"

#include "wire/fieldname.h"
#include "wire/jsonscan.h"
#include "wire/multipart.h"

#include <jansson.h>

#define EXPLAINED_MAX (1u << 20) /* of a longer body that is wrong, the place is not looked for */

typedef struct {
    bool model, stream;
} fields_seen;

static tl_err note_field(tl_field model, tl_field stream, fields_seen *seen, const char **ret_param,
                         tl_why *why)
{
    const char *name = model ? "model" : "stream";
    bool *before = model ? &seen->model : &seen->stream;
    *ret_param = name;
    if (model == TL_FIELD_ALIKE || stream == TL_FIELD_ALIKE)
        return tl_why_set(why, TL_ERR_INVALID,
                          "a name in the body is written like '%s', but not exactly so; some model "
                          "servers would take it for '%s'",
                          name, name);
    if (*before)
        return tl_why_set(why, TL_ERR_INVALID, "'%s' is given twice", name);
    *before = true;
    return TL_OK;
}

static tl_err on_model(const tl_json_member *m, tl_question *q, tl_why *why)
{
    size_t n;
    if (m->kind != TL_JSON_STRING)
        return tl_why_set(why, TL_ERR_INVALID, "'model' must be a string");
    if (tl_jsonscan_string(m->value, q->model, sizeof q->model, &n))
        return tl_why_set(why, TL_ERR_INVALID, "'model' is longer than %d bytes", TL_MODEL_MAX - 1);
    if (n == 0)
        return tl_why_set(why, TL_ERR_INVALID, "'model' is empty");
    return TL_OK;
}

static tl_err on_stream(const tl_json_member *m, tl_question *q, tl_why *why)
{
    if (m->kind != TL_JSON_TRUE && m->kind != TL_JSON_FALSE && m->kind != TL_JSON_NULL)
        return tl_why_set(why, TL_ERR_INVALID, "'stream' must be true or false");
    q->streaming = m->kind == TL_JSON_TRUE;
    return TL_OK;
}

/* jansson stops at half a surrogate pair and at numbers beyond its own, which we take: then the
 * fault lies behind. */
static bool knows_the_place(const json_error_t *wrong)
{
    return json_error_code(wrong) != json_error_numeric_overflow &&
           !strstr(wrong->text, "invalid Unicode");
}

/* Why the body, which was refused, is not taken. Only for the message: another parser looks. */
static tl_err explain(tl_slice body, tl_why *why)
{
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};
    json_error_t wrong;
    if (body.n >= sizeof mark && memcmp(body.p, mark, sizeof mark) == 0)
        body = tl_slice_of(body.p + sizeof mark, body.n - sizeof mark);
    if (body.n == 0)
        return tl_why_set(why, TL_ERR_PROTO, "the request has no body; it must be a JSON object");
    if (body.n > EXPLAINED_MAX)
        return tl_why_set(why, TL_ERR_PROTO, "the body is not one valid JSON object");
    json_t *read = json_loadb((const char *)body.p, body.n, JSON_ALLOW_NUL, &wrong);
    bool is_json = read && !json_is_object(read);
    json_decref(read);
    if (is_json)
        return tl_why_set(why, TL_ERR_PROTO, "the body is not a JSON object");
    if (!knows_the_place(&wrong))
        return tl_why_set(why, TL_ERR_PROTO, "the body is not one valid JSON object");
    return tl_why_set(why, TL_ERR_PROTO,
                      "the body is not one valid JSON object: line %d, column %d", wrong.line,
                      wrong.column);
}

static tl_err parse_json(tl_slice body, tl_question *ret_question, bool *ret_has_model,
                         const char **ret_param, tl_why *why)
{
    tl_question q = {0};
    fields_seen seen = {0};
    bool done = false;
    tl_jsonscan scan;
    tl_err e = tl_jsonscan_begin_body(&scan, body, TL_QUESTION_DEPTH);
    while (!e) {
        tl_json_member m;
        e = tl_jsonscan_next(&scan, &m, &done);
        if (e || done)
            break;
        tl_field model = tl_field_is_key(m.key, "model"), stream = tl_field_is_key(m.key, "stream");
        if (!model && !stream)
            continue;
        tl_err field = note_field(model, stream, &seen, ret_param, why);
        if (!field)
            field = model ? on_model(&m, &q, why) : on_stream(&m, &q, why);
        if (field)
            return field;
        *ret_param = NULL;
    }
    if (e && scan.too_deep)
        return tl_why_set(why, TL_ERR_TOO_LARGE, "the body is nested deeper than %d levels",
                          TL_QUESTION_DEPTH);
    if (e)
        return explain(body, why);
    *ret_has_model = seen.model;
    *ret_question = q;
    return TL_OK;
}

/* --- a form --- */

static tl_err on_form_model(tl_slice value, tl_question *q, tl_why *why)
{
    if (value.n >= sizeof q->model)
        return tl_why_set(why, TL_ERR_INVALID, "'model' is longer than %d bytes", TL_MODEL_MAX - 1);
    if (value.n == 0)
        return tl_why_set(why, TL_ERR_INVALID, "'model' is empty");
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < 0x20 || value.p[i] == 0x7f)
            return tl_why_set(why, TL_ERR_INVALID, "'model' must be one line of text");
    if (!tl_utf8_is(value))
        return tl_why_set(why, TL_ERR_INVALID, "'model' is not UTF-8");
    memcpy(q->model, value.p, value.n);
    q->model[value.n] = 0;
    return TL_OK;
}

static tl_err on_form_field(const tl_multipart_part *part, bool is_model, tl_question *q,
                            tl_why *why)
{
    if (part->is_file)
        return tl_why_set(why, TL_ERR_INVALID, "'%s' must be a value, not a file",
                          is_model ? "model" : "stream");
    if (is_model)
        return on_form_model(part->value, q, why);
    /* The model server reads it in its own way; it must only not be held back when it streams. */
    q->streaming = part->value.n && !tl_slice_eq(part->value, TL_SLICE_LIT("false"));
    return TL_OK;
}

static tl_err parse_form(const char *content_type, tl_slice body, tl_question *ret_question,
                         bool *ret_has_model, const char **ret_param, tl_why *why)
{
    tl_question q = {0};
    fields_seen seen = {0};
    bool done = false;
    tl_multipart form;
    tl_err e = tl_multipart_begin(&form, content_type, body);
    while (!e) {
        tl_multipart_part part;
        e = tl_multipart_next(&form, &part, &done);
        if (e || done)
            break;
        tl_field model = tl_field_is(part.name, "model"), stream = tl_field_is(part.name, "stream");
        if (!model && !stream)
            continue;
        tl_err field = note_field(model, stream, &seen, ret_param, why);
        if (!field)
            field = on_form_field(&part, model, &q, why);
        if (field)
            return field;
        *ret_param = NULL;
    }
    if (e)
        return tl_why_set(why, TL_ERR_PROTO, "the body is not well-formed multipart/form-data");
    *ret_has_model = seen.model;
    *ret_question = q;
    return TL_OK;
}

tl_err tl_question_parse(const char *content_type, tl_slice body, tl_question *ret_question,
                         const char **ret_param, tl_why *why)
{
    tl_question q = {0};
    bool has_model = false;
    *ret_param = NULL;
    tl_err e = tl_multipart_is(content_type)
                   ? parse_form(content_type, body, &q, &has_model, ret_param, why)
                   : parse_json(body, &q, &has_model, ret_param, why);
    if (e)
        return e;
    if (!has_model) {
        *ret_param = "model";
        return tl_why_set(why, TL_ERR_NOT_FOUND,
                          "you must name a 'model' ('teale-auto' takes any)");
    }
    *ret_question = q;
    return TL_OK;
}
