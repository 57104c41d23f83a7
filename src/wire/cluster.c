#include "wire/cluster.h"

#include <math.h>
#include <stdio.h>

static const char *const type_names[TL_CLUSTER_OTHER] = {
    [TL_CLUSTER_HELLO] = "hello",
    [TL_CLUSTER_HELLO_ACK] = "helloAck",
    [TL_CLUSTER_HEARTBEAT] = "heartbeat",
    [TL_CLUSTER_HEARTBEAT_ACK] = "heartbeatAck",
    [TL_CLUSTER_GOODBYE] = "goodbye",
    [TL_CLUSTER_REQUEST] = "inferenceRequest",
    [TL_CLUSTER_PROGRESS] = "inferenceProgress",
    [TL_CLUSTER_RESPONSE] = "inferenceResponse",
    [TL_CLUSTER_COMPLETE] = "inferenceComplete",
    [TL_CLUSTER_ERROR] = "inferenceError",
};

bool tl_cluster_id_is(const char *id)
{
    size_t n = strlen(id);
    if (n < 1 || n >= TL_CLUSTER_ID_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = id[i];
        bool ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.' || c == '_';
        if (!ok)
            return false;
    }
    return true;
}

/* --- reading fields. Each returns TL_ERR_PROTO for a missing field or one of another type. --- */

/* A string without U+0000 that fits `cap` with its NUL. */
static tl_err get_text(const json_t *o, const char *key, char *ret, size_t cap)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_string(v))
        return TL_ERR_PROTO;
    size_t n = json_string_length(v);
    if (n >= cap || memchr(json_string_value(v), 0, n))
        return TL_ERR_PROTO;
    memcpy(ret, json_string_value(v), n + 1);
    return TL_OK;
}

/* As get_text, "" when absent or null. */
static tl_err get_optional(const json_t *o, const char *key, char *ret, size_t cap)
{
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v)) {
        ret[0] = 0;
        return TL_OK;
    }
    return get_text(o, key, ret, cap);
}

/* Words for a person: cut at the end of a character. */
static tl_err get_words(const json_t *o, const char *key, char *ret, size_t cap)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_string(v))
        return TL_ERR_PROTO;
    const char *s = json_string_value(v);
    size_t n = strlen(s);
    if (n >= cap) {
        n = cap - 1;
        while (n && ((uint8_t)s[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(ret, s, n);
    ret[n] = 0;
    return TL_OK;
}

/* A value that becomes an HTTP header: it cannot end that header. */
static tl_err get_header(const json_t *o, const char *key, char *ret, size_t cap)
{
    tl_err e = get_optional(o, key, ret, cap);
    for (const char *p = ret; !e && *p; p++)
        if ((uint8_t)*p < 0x20 || (uint8_t)*p > 0x7e)
            e = TL_ERR_PROTO;
    return e;
}

static tl_err get_id(const json_t *o, char ret[TL_CLUSTER_ID_MAX])
{
    tl_err e = get_text(o, "requestID", ret, TL_CLUSTER_ID_MAX);
    return e ? e : tl_cluster_id_is(ret) ? TL_OK : TL_ERR_PROTO;
}

/* A whole number from 0 to `max`, also when written as 3.0 or 1e3. */
static tl_err get_count(const json_t *o, const char *key, uint64_t max, uint64_t *ret)
{
    const json_t *v = json_object_get(o, key);
    if (json_is_integer(v)) {
        json_int_t i = json_integer_value(v);
        if (i < 0 || (uint64_t)i > max)
            return TL_ERR_PROTO;
        *ret = (uint64_t)i;
        return TL_OK;
    }
    if (!json_is_real(v))
        return TL_ERR_PROTO;
    double d = json_real_value(v);
    if (!(d >= 0 && d <= 9007199254740992.0) || d != floor(d) || (uint64_t)d > max)
        return TL_ERR_PROTO;
    *ret = (uint64_t)d;
    return TL_OK;
}

/* Absent or null: not given. */
static tl_err get_maybe(const json_t *o, const char *key, tl_maybe *ret)
{
    const json_t *v = json_object_get(o, key);
    uint64_t value;
    if (!v || json_is_null(v))
        return TL_OK;
    tl_err e = get_count(o, key, TL_NUMBER_EXACT_MAX, &value);
    if (!e)
        *ret = tl_maybe_of((int64_t)value);
    return e;
}

/* The same up to `max`; 0 when absent or null. */
static tl_err get_small(const json_t *o, const char *key, uint32_t max, uint32_t *ret)
{
    const json_t *v = json_object_get(o, key);
    uint64_t value = 0;
    tl_err e = v && !json_is_null(v) ? get_count(o, key, max, &value) : TL_OK;
    if (!e)
        *ret = (uint32_t)value;
    return e;
}

/* 64 hex digits; "" when absent or null. */
static tl_err get_network(const json_t *o, char ret[65])
{
    uint8_t key[32];
    tl_err e = get_optional(o, "ptnID", ret, 65);
    if (e || !ret[0])
        return e;
    return tl_hex_parse(tl_slice_str(ret), false, key, sizeof key);
}

static tl_err get_bool(const json_t *o, const char *key, bool *ret)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_boolean(v))
        return TL_ERR_PROTO;
    *ret = json_is_true(v);
    return TL_OK;
}

/* --- one function a type --- */

static tl_err parse_hello(const json_t *o, tl_cluster_hello *h)
{
    tl_err e = get_words(o, "agent", h->agent, sizeof h->agent);
    if (!e)
        e = get_words(o, "displayName", h->display_name, sizeof h->display_name);
    json_t *capabilities = json_object_get(o, "capabilities");
    if (!e && !json_is_object(capabilities))
        e = TL_ERR_PROTO;
    if (!e)
        h->capabilities = json_incref(capabilities);
    return e;
}

static tl_err parse_heartbeat(const json_t *o, tl_cluster_heartbeat *h)
{
    uint64_t running = 0;
    tl_err e = get_count(o, "sequence", INT64_MAX, &h->sequence);
    if (!e)
        e = get_count(o, "running", UINT32_MAX, &running);
    if (!e)
        e = get_bool(o, "available", &h->available);
    h->running = (uint32_t)running;
    json_t *bids = json_object_get(o, "bids");
    if (!e && bids && !json_is_null(bids) && !json_is_array(bids))
        e = TL_ERR_PROTO;
    if (!e && json_is_array(bids))
        h->bids = json_incref(bids);
    return e;
}

static tl_err parse_request(const json_t *o, tl_cluster_request *r)
{
    tl_err e = get_id(o, r->id);
    if (!e)
        e = get_text(o, "model", r->model, sizeof r->model);
    if (!e)
        e = get_bool(o, "streaming", &r->streaming);
    if (!e && json_object_get(o, "progress"))
        e = get_bool(o, "progress", &r->progress);
    if (!e)
        e = get_header(o, "path", r->path, sizeof r->path);
    if (!e && r->path[0] != '/')
        e = TL_ERR_PROTO;
    if (!e)
        e = get_header(o, "contentType", r->content_type, sizeof r->content_type);
    if (!e)
        e = get_network(o, r->ptn_id);
    if (!e)
        e = get_maybe(o, "maxPricePerKToken", &r->max_price);
    if (!e)
        e = get_maybe(o, "pricePerKToken", &r->price);
    if (!e)
        e = get_maybe(o, "priceVersion", &r->price_version);
    if (!e)
        e = get_optional(o, "order", r->order, sizeof r->order);
    return e;
}

static tl_err parse_response(const json_t *o, tl_cluster_response *r)
{
    uint64_t status = 0;
    tl_err e = get_id(o, r->id);
    if (!e)
        e = get_count(o, "status", 599, &status);
    if (!e && status < 200)
        e = TL_ERR_PROTO;
    if (!e)
        e = get_header(o, "contentType", r->content_type, sizeof r->content_type);
    if (!e)
        e = get_header(o, "retryAfter", r->retry_after, sizeof r->retry_after);
    if (!e)
        e = get_network(o, r->ptn_id);
    if (!e)
        e = get_maybe(o, "pricePerKToken", &r->price);
    r->status = (int)status;
    return e;
}

static tl_err parse_complete(const json_t *o, tl_cluster_complete *c)
{
    tl_err e = get_id(o, c->id);
    if (!e)
        e = get_count(o, "tokens_in", INT64_MAX, &c->tokens_in);
    if (!e)
        e = get_count(o, "tokens_out", INT64_MAX, &c->tokens_out);
    return e;
}

static tl_err parse_progress(const json_t *o, tl_cluster_progress *r)
{
    tl_err e = get_id(o, r->id);
    if (!e)
        e = get_small(o, "queuePosition", UINT32_MAX, &r->queue_position);
    if (!e)
        e = get_small(o, "waitSeconds", TL_CLUSTER_WAIT_MAX, &r->wait_seconds);
    return e;
}

static tl_err parse_error(const json_t *o, tl_cluster_error *r)
{
    tl_err e = get_id(o, r->id);
    if (!e)
        e = get_words(o, "errorMessage", r->message, sizeof r->message);
    if (!e)
        e = get_text(o, "code", r->code, sizeof r->code);
    if (!e)
        e = get_optional(o, "detail", r->detail, sizeof r->detail);
    if (!e)
        e = get_maybe(o, "pricePerKToken", &r->price);
    if (!e)
        e = get_maybe(o, "priceVersion", &r->price_version);
    if (!e)
        e = get_small(o, "retryAfter", TL_CLUSTER_WAIT_MAX, &r->retry_after);
    return e;
}

static tl_err parse_other(const char *name, json_t *payload, tl_cluster_other *other)
{
    snprintf(other->name, sizeof other->name, "%s", name);
    other->payload = json_incref(payload);
    return TL_OK;
}

static tl_err parse_payload(const char *name, json_t *o, tl_cluster_message *m)
{
    switch (m->type) {
    case TL_CLUSTER_HELLO:
    case TL_CLUSTER_HELLO_ACK: return parse_hello(o, &m->u.hello);
    case TL_CLUSTER_HEARTBEAT:
    case TL_CLUSTER_HEARTBEAT_ACK: return parse_heartbeat(o, &m->u.heartbeat);
    case TL_CLUSTER_GOODBYE: return get_words(o, "reason", m->u.goodbye, sizeof m->u.goodbye);
    case TL_CLUSTER_REQUEST: return parse_request(o, &m->u.request);
    case TL_CLUSTER_PROGRESS: return parse_progress(o, &m->u.progress);
    case TL_CLUSTER_RESPONSE: return parse_response(o, &m->u.response);
    case TL_CLUSTER_COMPLETE: return parse_complete(o, &m->u.complete);
    case TL_CLUSTER_ERROR: return parse_error(o, &m->u.error);
    case TL_CLUSTER_OTHER: return parse_other(name, o, &m->u.other);
    }
    return TL_ERR_PROTO;
}

tl_err tl_cluster_parse(tl_slice text, tl_cluster_message *ret_message)
{
    json_t *root = NULL;
    tl_err e = tl_json_parse_bounded(text, TL_CLUSTER_DEPTH, TL_JSON_VALUES_MAX, &root, NULL);
    if (e)
        return e;
    tl_cluster_message m = {.type = TL_CLUSTER_OTHER};
    e = TL_ERR_PROTO;
    void *only = json_object_iter(root);
    if (!only || json_object_size(root) != 1)
        goto out;
    json_t *payload = json_object_iter_value(only);
    if (!json_is_object(payload))
        goto out;
    for (int t = 0; t < TL_CLUSTER_OTHER; t++)
        if (strcmp(json_object_iter_key(only), type_names[t]) == 0)
            m.type = (tl_cluster_type)t;
    e = parse_payload(json_object_iter_key(only), payload, &m);
    if (!e)
        *ret_message = m;
out:
    json_decref(root);
    return e;
}

void tl_cluster_message_clear(tl_cluster_message *m)
{
    json_t **held = NULL;
    if (m->type == TL_CLUSTER_HELLO || m->type == TL_CLUSTER_HELLO_ACK)
        held = &m->u.hello.capabilities;
    else if (m->type == TL_CLUSTER_HEARTBEAT || m->type == TL_CLUSTER_HEARTBEAT_ACK)
        held = &m->u.heartbeat.bids;
    else if (m->type == TL_CLUSTER_OTHER)
        held = &m->u.other.payload;
    if (!held)
        return;
    json_decref(*held);
    *held = NULL;
}

/* --- writing --- */

/* Each adds one field that may be absent. False: out of memory. */
static bool put_text(json_t *o, const char *key, const char *text)
{
    return !text[0] || !json_object_set_new(o, key, json_string(text));
}

static bool put_maybe(json_t *o, const char *key, tl_maybe m)
{
    return !m.given || !json_object_set_new(o, key, json_integer(m.value));
}

static bool put_small(json_t *o, const char *key, uint32_t n)
{
    return !n || !json_object_set_new(o, key, json_integer(n));
}

/* Takes the reference; NULL where a field is missing. */
static json_t *whole(json_t *o, bool done)
{
    if (o && done)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *write_request(const tl_cluster_request *r)
{
    json_t *o =
        json_pack("{s:s, s:s, s:b, s:s, s:s}", "requestID", r->id, "model", r->model, "streaming",
                  r->streaming, "path", r->path, "contentType", r->content_type);
    return whole(
        o, o && (!r->progress || !json_object_set_new(o, "progress", json_true())) &&
               put_text(o, "ptnID", r->ptn_id) && put_maybe(o, "maxPricePerKToken", r->max_price) &&
               put_maybe(o, "pricePerKToken", r->price) &&
               put_maybe(o, "priceVersion", r->price_version) && put_text(o, "order", r->order));
}

static json_t *write_response(const tl_cluster_response *r)
{
    json_t *o = json_pack("{s:s, s:i, s:s}", "requestID", r->id, "status", r->status, "contentType",
                          r->content_type);
    return whole(o, o && put_text(o, "retryAfter", r->retry_after) &&
                        put_text(o, "ptnID", r->ptn_id) &&
                        put_maybe(o, "pricePerKToken", r->price));
}

static json_t *write_heartbeat(const tl_cluster_heartbeat *h)
{
    json_t *o = json_pack("{s:I, s:I, s:b}", "sequence", (json_int_t)h->sequence, "running",
                          (json_int_t)h->running, "available", h->available);
    return whole(o, o && (!h->bids || !json_object_set(o, "bids", h->bids)));
}

/* Words that are not UTF-8 (a model server's, or cut in mid-character) lose all but ASCII. */
static json_t *words(const char *text)
{
    if (tl_utf8_is(tl_slice_str(text)))
        return json_string(text);
    char ascii[TL_CLUSTER_REASON_MAX];
    size_t n = 0;
    for (; text[n] && n < sizeof ascii - 1; n++)
        ascii[n] = (uint8_t)text[n] < 0x80 ? text[n] : '?';
    return json_stringn(ascii, n);
}

static json_t *write_error(const tl_cluster_error *r)
{
    json_t *o = json_pack("{s:s, s:o, s:s}", "requestID", r->id, "errorMessage", words(r->message),
                          "code", r->code);
    return whole(o, o && put_text(o, "detail", r->detail) &&
                        put_maybe(o, "pricePerKToken", r->price) &&
                        put_maybe(o, "priceVersion", r->price_version) &&
                        put_small(o, "retryAfter", r->retry_after));
}

static json_t *write_progress(const tl_cluster_progress *r)
{
    json_t *o = json_pack("{s:s}", "requestID", r->id);
    return whole(o, o && put_small(o, "queuePosition", r->queue_position) &&
                        put_small(o, "waitSeconds", r->wait_seconds));
}

static json_t *write_payload(const tl_cluster_message *m)
{
    switch (m->type) {
    case TL_CLUSTER_HELLO:
    case TL_CLUSTER_HELLO_ACK:
        return json_pack("{s:s, s:s, s:O}", "agent", m->u.hello.agent, "displayName",
                         m->u.hello.display_name, "capabilities", m->u.hello.capabilities);
    case TL_CLUSTER_HEARTBEAT:
    case TL_CLUSTER_HEARTBEAT_ACK: return write_heartbeat(&m->u.heartbeat);
    case TL_CLUSTER_GOODBYE: return json_pack("{s:o}", "reason", words(m->u.goodbye));
    case TL_CLUSTER_REQUEST: return write_request(&m->u.request);
    case TL_CLUSTER_PROGRESS: return write_progress(&m->u.progress);
    case TL_CLUSTER_RESPONSE: return write_response(&m->u.response);
    case TL_CLUSTER_COMPLETE:
        /* The receipt follows on the control stream, when it is stored: null. */
        return json_pack("{s:s, s:I, s:I, s:n}", "requestID", m->u.complete.id, "tokens_in",
                         (json_int_t)m->u.complete.tokens_in, "tokens_out",
                         (json_int_t)m->u.complete.tokens_out, "receipt");
    case TL_CLUSTER_ERROR: return write_error(&m->u.error);
    case TL_CLUSTER_OTHER: return json_incref(m->u.other.payload);
    }
    return NULL;
}

tl_err tl_cluster_write(tl_buf *out, const tl_cluster_message *m)
{
    json_t *payload = write_payload(m);
    if (!payload)
        return TL_ERR_NOMEM;
    bool other = m->type == TL_CLUSTER_OTHER;
    json_t *root = json_pack("{s:o}", other ? m->u.other.name : type_names[m->type], payload);
    if (!root)
        return TL_ERR_NOMEM;
    tl_err e = tl_json_write(out, root);
    json_decref(root);
    return e;
}
