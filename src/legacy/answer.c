#include "legacy/answer.h"

#include <stdio.h>
#include <stdlib.h>

void tl_legacy_answer_clear(tl_legacy_answer *a)
{
    for (size_t i = 0; i < TL_LEGACY_CHOICES_MAX; i++) {
        tl_legacy_choice *c = &a->choices[i];
        for (size_t k = 0; k < c->n_calls; k++)
            tl_buf_clear(&c->calls[k].arguments);
        free(c->calls);
        tl_buf_clear(&c->content);
        tl_buf_clear(&c->reasoning);
    }
    *a = (tl_legacy_answer){0};
}

/* --- adding --- */

/* A short text, the first time that it is told. */
static void take_name(const json_t *o, const char *key, char *ret, size_t cap)
{
    const char *s = tl_json_string(o, key, "");
    if (!ret[0] && strlen(s) < cap)
        snprintf(ret, cap, "%s", s);
}

static tl_err add_text(tl_legacy_answer *a, const json_t *o, const char *key, tl_buf *to)
{
    const json_t *v = json_object_get(o, key);
    size_t n = json_is_string(v) ? json_string_length(v) : 0;
    if (!n)
        return TL_OK;
    a->bytes += n;
    if (a->bytes > TL_LEGACY_ANSWER_MAX)
        return TL_ERR_TOO_LARGE;
    return tl_buf_append(to, tl_slice_of(json_string_value(v), n));
}

/* NULL with TL_OK: one too many. */
static tl_err call_at(tl_legacy_choice *c, double index, tl_legacy_call **ret)
{
    *ret = NULL;
    if (!(index >= 0 && index < TL_LEGACY_CALLS_MAX))
        return TL_OK;
    size_t i = (size_t)index;
    if (i >= c->n_calls) {
        tl_legacy_call *calls = realloc(c->calls, (i + 1) * sizeof *calls);
        if (!calls)
            return TL_ERR_NOMEM;
        memset(calls + c->n_calls, 0, (i + 1 - c->n_calls) * sizeof *calls);
        c->calls = calls;
        c->n_calls = i + 1;
    }
    *ret = &c->calls[i];
    return TL_OK;
}

static tl_err add_calls(tl_legacy_answer *a, tl_legacy_choice *c, const json_t *list)
{
    size_t i;
    json_t *v;
    json_array_foreach (list, i, v) {
        tl_legacy_call *call;
        tl_err e = call_at(c, tl_json_number(v, "index", (double)i), &call);
        const json_t *function = json_object_get(v, "function");
        if (!e && call) {
            take_name(v, "id", call->id, sizeof call->id);
            take_name(function, "name", call->name, sizeof call->name);
            e = add_text(a, function, "arguments", &call->arguments);
        }
        if (e)
            return e;
    }
    return TL_OK;
}

static tl_err add_choice(tl_legacy_answer *a, const json_t *choice, size_t place)
{
    double index = tl_json_number(choice, "index", (double)place);
    if (!json_is_object(choice) || !(index >= 0 && index < TL_LEGACY_CHOICES_MAX))
        return TL_OK;
    tl_legacy_choice *c = &a->choices[(size_t)index];
    const json_t *delta = json_object_get(choice, "delta");
    c->seen = true;
    take_name(choice, "finish_reason", c->finish, sizeof c->finish);
    tl_err e = add_text(a, delta, "content", &c->content);
    if (!e)
        e = add_text(a, delta, "reasoning_content", &c->reasoning);
    if (!e)
        e = add_calls(a, c, json_object_get(delta, "tool_calls"));
    return e;
}

static bool is_text(const json_t *v)
{
    return json_is_string(v) && json_string_length(v) > 0;
}

static bool delta_says(json_t *delta)
{
    const char *key;
    json_t *v;
    size_t i;
    json_object_foreach (delta, key, v)
        if (is_text(v) && strcmp(key, "role") != 0)
            return true;
    json_array_foreach (json_object_get(delta, "tool_calls"), i, v) {
        const json_t *function = json_object_get(v, "function");
        if (is_text(json_object_get(function, "name")) ||
            is_text(json_object_get(function, "arguments")))
            return true;
    }
    return false;
}

bool tl_legacy_chunk_says(const json_t *chunk)
{
    size_t i;
    json_t *choice;
    json_array_foreach (json_object_get(chunk, "choices"), i, choice)
        if (delta_says(json_object_get(choice, "delta")))
            return true;
    return false;
}

static uint64_t count_of(const json_t *usage, const char *key)
{
    double d = tl_json_number(usage, key, 0);
    return d >= 1 && d <= UINT32_MAX ? (uint64_t)d : 0;
}

static void take_usage(tl_legacy_answer *a, const json_t *usage)
{
    if (!json_is_object(usage))
        return;
    a->has_usage = true;
    a->usage_in = count_of(usage, "prompt_tokens");
    a->usage_out = count_of(usage, "completion_tokens");
    a->usage_sum = count_of(usage, "total_tokens");
}

tl_err tl_legacy_answer_add(tl_legacy_answer *a, const json_t *chunk)
{
    size_t i, before = a->bytes;
    json_t *choice;
    take_name(chunk, "id", a->id, sizeof a->id);
    take_name(chunk, "model", a->model, sizeof a->model);
    double created = tl_json_number(chunk, "created", 0);
    if (!a->created && created >= 1 && created < 1e11)
        a->created = (tl_unix)created;
    take_usage(a, json_object_get(chunk, "usage"));
    json_array_foreach (json_object_get(chunk, "choices"), i, choice) {
        tl_err e = add_choice(a, choice, i);
        if (e)
            return e;
    }
    a->deltas += a->bytes > before;
    return TL_OK;
}

/* --- writing: the first error stays, and what follows it writes nothing --- */

typedef struct {
    tl_buf *out;
    tl_err e;
} writer;

static void put(writer *w, const char *text)
{
    if (!w->e)
        w->e = tl_buf_append_str(w->out, text);
}

static void put_string(writer *w, tl_slice text)
{
    if (!w->e)
        w->e = tl_json_append_string(w->out, text);
}

static void put_number(writer *w, const char *before, uint64_t n)
{
    if (!w->e)
        w->e = tl_buf_printf(w->out, "%s%llu", before, (unsigned long long)n);
}

static void put_call(writer *w, const tl_legacy_call *c)
{
    put(w, "{\"id\":");
    put_string(w, tl_slice_str(c->id));
    put(w, ",\"type\":\"function\",\"function\":{\"name\":");
    put_string(w, tl_slice_str(c->name));
    put(w, ",\"arguments\":");
    put_string(w, tl_buf_slice(&c->arguments));
    put(w, "}}");
}

static void put_choice(writer *w, const tl_legacy_choice *c, size_t index)
{
    put_number(w, "{\"index\":", index);
    put(w, ",\"message\":{\"role\":\"assistant\",\"content\":");
    if (c->n_calls && !c->content.len)
        put(w, "null");
    else
        put_string(w, tl_buf_slice(&c->content));
    if (c->reasoning.len) {
        put(w, ",\"reasoning_content\":");
        put_string(w, tl_buf_slice(&c->reasoning));
    }
    for (size_t i = 0; i < c->n_calls; i++) {
        put(w, i ? "," : ",\"tool_calls\":[");
        put_call(w, &c->calls[i]);
    }
    put(w, c->n_calls ? "]},\"finish_reason\":" : "},\"finish_reason\":");
    put_string(w, tl_slice_str(c->finish[0] ? c->finish : "stop"));
    put(w, "}");
}

static void put_usage(writer *w, const tl_legacy_answer *a, uint64_t in, uint64_t out)
{
    in = a->has_usage ? a->usage_in : in;
    out = a->has_usage ? a->usage_out : out ? out : a->deltas;
    put_number(w, ",\"usage\":{\"prompt_tokens\":", in);
    put_number(w, ",\"completion_tokens\":", out);
    put_number(w, ",\"total_tokens\":", a->usage_sum ? a->usage_sum : in + out);
    put(w, "}");
}

tl_err tl_legacy_answer_write(tl_legacy_answer *a, uint64_t tokens_in, uint64_t tokens_out,
                              tl_unix now, tl_buf *out)
{
    writer w = {out, TL_OK};
    bool any = false;
    put(&w, "{\"id\":");
    put_string(&w, tl_slice_str(a->id));
    put_number(&w, ",\"object\":\"chat.completion\",\"created\":",
               (uint64_t)(a->created > 0 ? a->created : now));
    put(&w, ",\"model\":");
    put_string(&w, tl_slice_str(a->model));
    put(&w, ",\"choices\":[");
    a->choices[0].seen = true; /* an answer without a word has one empty choice */
    for (size_t i = 0; i < TL_LEGACY_CHOICES_MAX; i++) {
        if (!a->choices[i].seen)
            continue;
        put(&w, any ? "," : "");
        put_choice(&w, &a->choices[i], i);
        any = true;
    }
    put(&w, "]");
    put_usage(&w, a, tokens_in, tokens_out);
    put(&w, "}");
    return w.e;
}
