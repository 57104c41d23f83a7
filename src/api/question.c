#include "api/question.h"

#include "wire/jsonscan.h"

/* True if the key, without its escapes, is `name`. False if an escape cannot be read. */
static bool key_is(tl_slice key, const char *name)
{
    char text[16];
    size_t n;
    return tl_jsonscan_string(key, text, sizeof text, &n) == TL_OK && strcmp(text, name) == 0;
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

tl_err tl_question_parse(tl_slice body, tl_question *ret_question, const char **ret_param,
                         tl_why *why)
{
    tl_question q = {0};
    bool has_model = false, has_stream = false, done = false;
    tl_jsonscan scan;
    *ret_param = NULL;
    tl_err e = tl_jsonscan_begin(&scan, body, TL_QUESTION_DEPTH);
    while (!e) {
        tl_json_member m;
        e = tl_jsonscan_next(&scan, &m, &done);
        if (e || done)
            break;
        bool is_model = key_is(m.key, "model"), is_stream = !is_model && key_is(m.key, "stream");
        if (!is_model && !is_stream)
            continue;
        *ret_param = is_model ? "model" : "stream";
        bool *seen = is_model ? &has_model : &has_stream;
        if (*seen)
            return tl_why_set(why, TL_ERR_INVALID, "'%s' is given twice", *ret_param);
        *seen = true;
        tl_err field = is_model ? on_model(&m, &q, why) : on_stream(&m, &q, why);
        if (field)
            return field;
        *ret_param = NULL;
    }
    if (e)
        return tl_why_set(why, TL_ERR_PROTO, "the body is not one valid JSON object");
    if (!has_model) {
        *ret_param = "model";
        return tl_why_set(why, TL_ERR_NOT_FOUND,
                          "you must name a 'model' ('teale-auto' takes any)");
    }
    *ret_question = q;
    return TL_OK;
}
