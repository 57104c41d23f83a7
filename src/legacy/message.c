#include "legacy/message.h"

#include "wire/cluster.h"
#include "wire/jsonscan.h"

#include <strings.h>

#define REFERENCE_DATE 978307200 /* 2001-01-01T00:00:00Z: dates on the wire count from it */

static const char *const type_names[TL_LEGACY_OTHER] = {
    [TL_LEGACY_HELLO] = "hello",
    [TL_LEGACY_HELLO_ACK] = "helloAck",
    [TL_LEGACY_HEARTBEAT] = "heartbeat",
    [TL_LEGACY_HEARTBEAT_ACK] = "heartbeatAck",
    [TL_LEGACY_REQUEST] = "inferenceRequest",
    [TL_LEGACY_CHUNK] = "inferenceChunk",
    [TL_LEGACY_COMPLETE] = "inferenceComplete",
    [TL_LEGACY_ERROR] = "inferenceError",
};

static tl_legacy_type type_of(const char *name)
{
    for (int t = 0; t < TL_LEGACY_OTHER; t++)
        if (strcmp(name, type_names[t]) == 0)
            return (tl_legacy_type)t;
    return TL_LEGACY_OTHER;
}

void tl_legacy_uuid_write(char ret[TL_LEGACY_UUID], const uint8_t bytes[16])
{
    char hex[33];
    tl_hex_write(hex, bytes, 16);
    size_t from = 0;
    for (size_t i = 0; i < TL_LEGACY_UUID - 1; i++)
        ret[i] = i == 8 || i == 13 || i == 18 || i == 23 ? '-' : hex[from++];
    ret[TL_LEGACY_UUID - 1] = 0;
}

bool tl_legacy_id_eq(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

/* --- reading --- */

/* Words for a person: cut at the end of a character. */
static void take_words(const json_t *v, char *ret, size_t cap)
{
    const char *s = json_is_string(v) ? json_string_value(v) : "";
    size_t n = strlen(s);
    if (n >= cap) {
        n = cap - 1;
        while (n && ((uint8_t)s[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(ret, s, n);
    ret[n] = 0;
}

static tl_err take_id(const json_t *o, char ret[TL_LEGACY_ID_MAX])
{
    const char *id = tl_json_string(o, "requestID", "");
    if (!tl_cluster_id_is(id))
        return TL_ERR_PROTO;
    memcpy(ret, id, strlen(id) + 1);
    return TL_OK;
}

static tl_err take_object(const json_t *o, const char *key, json_t **ret)
{
    json_t *v = json_object_get(o, key);
    if (!json_is_object(v))
        return TL_ERR_PROTO;
    *ret = json_incref(v);
    return TL_OK;
}

/* Optional, and of little weight: nonsense counts as absent. */
static uint64_t take_count(const json_t *o, const char *key)
{
    double d = tl_json_number(o, key, 0);
    return d >= 1 && d <= UINT32_MAX ? (uint64_t)d : 0;
}

static tl_err take_payload(const json_t *o, tl_legacy_message *m)
{
    tl_err e = TL_OK;
    if (m->type >= TL_LEGACY_REQUEST && m->type <= TL_LEGACY_ERROR)
        e = take_id(o, m->id);
    if (e)
        return e;
    switch (m->type) {
    case TL_LEGACY_REQUEST: return take_object(o, "request", &m->body);
    case TL_LEGACY_CHUNK: return take_object(o, "chunk", &m->body);
    case TL_LEGACY_COMPLETE:
        m->tokens_in = take_count(o, "tokensIn");
        m->tokens_out = take_count(o, "tokensOut");
        return TL_OK;
    case TL_LEGACY_ERROR:
        take_words(json_object_get(o, "code"), m->code, sizeof m->code);
        take_words(json_object_get(o, "errorMessage"), m->words, sizeof m->words);
        return TL_OK;
    default: return TL_OK;
    }
}

tl_err tl_legacy_parse(tl_slice text, tl_legacy_message *ret_message)
{
    json_t *root = NULL;
    tl_err e = tl_json_parse_bounded(text, TL_LEGACY_DEPTH, TL_JSON_VALUES_MAX, &root, NULL);
    if (e)
        return e;
    tl_legacy_message m = {.type = TL_LEGACY_OTHER};
    void *only = json_object_iter(root);
    const json_t *payload = only ? json_object_iter_value(only) : NULL, *inner;
    if (json_object_size(root) != 1 || !json_is_object(payload)) {
        json_decref(root);
        return TL_ERR_PROTO;
    }
    inner = json_object_get(payload, "_0");
    if (json_is_object(inner))
        payload = inner;
    m.type = type_of(json_object_iter_key(only));
    if (take_payload(payload, &m)) {
        tl_legacy_message_clear(&m);
        m.type = TL_LEGACY_OTHER;
    }
    json_decref(root);
    *ret_message = m;
    return TL_OK;
}

/* --- reading the front alone --- */

static void peek_id(tl_jsonscan *payload, char ret[TL_LEGACY_ID_MAX])
{
    tl_jsonscan inner, *s = payload;
    tl_slice key, value;
    tl_json_kind kind;
    bool done = false;
    size_t n;
    while (!tl_jsonscan_key(s, &key, &done) && !done) {
        bool wraps = s == payload && tl_slice_eq(key, TL_SLICE_LIT("_0"));
        if (wraps && !tl_jsonscan_peek(s, &kind) && kind == TL_JSON_OBJECT) {
            if (tl_jsonscan_enter(s, &inner))
                return;
            s = &inner;
            continue;
        }
        if (tl_jsonscan_value(s, &value, &kind))
            return;
        if (kind == TL_JSON_STRING && tl_slice_eq(key, TL_SLICE_LIT("requestID"))) {
            if (tl_jsonscan_string(value, ret, TL_LEGACY_ID_MAX, &n) || !tl_cluster_id_is(ret))
                ret[0] = 0;
            return;
        }
    }
}

tl_err tl_legacy_peek(tl_slice text, tl_legacy_front *ret_front)
{
    tl_legacy_front front = {.type = TL_LEGACY_OTHER};
    tl_jsonscan s, payload;
    tl_slice key;
    char name[32];
    size_t n;
    bool done = false;
    if (!tl_legacy_may_be(text))
        return TL_ERR_PROTO;
    if (text.n > TL_LEGACY_FRONT)
        text.n = TL_LEGACY_FRONT;
    tl_err e = tl_jsonscan_begin(&s, text, 0);
    if (!e)
        e = tl_jsonscan_key(&s, &key, &done);
    if (!e)
        e = done ? TL_ERR_PROTO : tl_jsonscan_enter(&s, &payload);
    if (e)
        return e;
    if (!tl_jsonscan_string(key, name, sizeof name, &n))
        front.type = type_of(name);
    peek_id(&payload, front.id);
    *ret_front = front;
    return TL_OK;
}

void tl_legacy_message_clear(tl_legacy_message *m)
{
    json_decref(m->body);
    m->body = NULL;
}

/* --- writing. Every function takes over what it is given, and NULL stands for no memory. --- */

static tl_err write_message(tl_buf *out, tl_legacy_type type, json_t *payload)
{
    json_t *root = payload ? json_pack("{s:{s:o}}", type_names[type], "_0", payload) : NULL;
    if (!root)
        return TL_ERR_NOMEM;
    tl_err e = tl_json_write(out, root);
    json_decref(root);
    return e;
}

static double reference_date(tl_unix now)
{
    return (double)now - REFERENCE_DATE;
}

tl_err tl_legacy_write_hello(tl_buf *out, tl_legacy_type type, const tl_legacy_self *self)
{
    char uuid[TL_LEGACY_UUID];
    tl_legacy_uuid_write(uuid, self->id->key);
    double at = reference_date(self->now);
    json_t *hardware = json_deep_copy(self->hardware), *models = json_deep_copy(self->models),
           *again = json_deep_copy(self->models);
    if (!hardware || !models || !again) {
        json_decref(hardware);
        json_decref(models);
        json_decref(again);
        return TL_ERR_NOMEM;
    }
    return write_message(out, type,
                         json_pack("{s:{s:s, s:s, s:o, s:f, s:f, s:b, s:o}, s:i, s:o}",
                                   "deviceInfo", "id", uuid, "name", self->name, "hardware",
                                   hardware, "registeredAt", at, "lastSeenAt", at,
                                   "isCurrentDevice", 1, "loadedModels", models, "protocolVersion",
                                   1, "loadedModels", again));
}

tl_err tl_legacy_write_heartbeat(tl_buf *out, tl_legacy_type type, const tl_legacy_self *self)
{
    char uuid[TL_LEGACY_UUID];
    tl_legacy_uuid_write(uuid, self->id->key);
    json_t *models = json_deep_copy(self->models);
    if (!models)
        return TL_ERR_NOMEM;
    return write_message(out, type,
                         json_pack("{s:s, s:f, s:s, s:i, s:o, s:b, s:I}", "deviceID", uuid,
                                   "timestamp", reference_date(self->now), "thermalLevel",
                                   "nominal", "throttleLevel", 100, "loadedModels", models,
                                   "isGenerating", self->running > 0, "queueDepth",
                                   (json_int_t)self->running));
}

tl_err tl_legacy_write_request(tl_buf *out, const char *id, tl_slice request)
{
    size_t before = out->len;
    tl_err e = tl_buf_printf(
        out,
        "{\"inferenceRequest\":{\"_0\":{\"requestID\":\"%s\",\"streaming\":true,\"request\":", id);
    if (!e)
        e = tl_buf_append(out, request);
    if (!e)
        e = tl_buf_append_str(out, "}}}");
    if (e)
        out->len = before;
    return e;
}

tl_err tl_legacy_write_chunk(tl_buf *out, const char *id, const json_t *chunk)
{
    json_t *copy = json_incref((json_t *)(uintptr_t)chunk);
    return write_message(out, TL_LEGACY_CHUNK,
                         json_pack("{s:s, s:o}", "requestID", id, "chunk", copy));
}

/* What the old programs read is a number of 32 bits. */
static json_t *count_json(uint64_t n)
{
    return json_integer(n < UINT32_MAX ? (json_int_t)n : UINT32_MAX);
}

tl_err tl_legacy_write_complete(tl_buf *out, const char *id, uint64_t tokens_in,
                                uint64_t tokens_out)
{
    json_t *o = json_pack("{s:s}", "requestID", id);
    if (o && tokens_in && json_object_set_new(o, "tokensIn", count_json(tokens_in)))
        goto failed;
    if (o && tokens_out && json_object_set_new(o, "tokensOut", count_json(tokens_out)))
        goto failed;
    return write_message(out, TL_LEGACY_COMPLETE, o);
failed:
    json_decref(o);
    return TL_ERR_NOMEM;
}

tl_err tl_legacy_write_error(tl_buf *out, const char *id, const char *code, const char *words)
{
    /* A model server's words may be anything. */
    const char *said = tl_utf8_is(tl_slice_str(words)) ? words : "the model server failed";
    return write_message(
        out, TL_LEGACY_ERROR,
        json_pack("{s:s, s:s, s:s}", "requestID", id, "errorMessage", said, "code", code));
}
