#include "node/relay_words.h"

#include "base/base64.h"
#include "wire/cluster.h"
#include "wire/jsonscan.h"

#define DEPTH 16 /* PROTOCOL, first paragraph */

static const char *const names[TL_WORD_OTHER] = {
    [TL_WORD_CHALLENGE] = "challenge",
    [TL_WORD_REGISTER_ACK] = "registerAck",
    [TL_WORD_DISCOVER_RESPONSE] = "discoverResponse",
    [TL_WORD_ERROR] = "error",
    [TL_WORD_RELAY_OPEN] = "relayOpen",
    [TL_WORD_RELAY_READY] = "relayReady",
    [TL_WORD_RELAY_DATA] = "relayData",
    [TL_WORD_RELAY_CLOSE] = "relayClose",
};

static tl_err copy(tl_slice raw, char *ret, size_t cap)
{
    size_t n;
    if (ret[0] || tl_jsonscan_string(raw, ret, cap, &n)) /* twice is once too many */
        return TL_ERR_PROTO;
    return TL_OK;
}

/* Notes the members that a message between nodes has. */
static tl_err routed_member(tl_word *w, tl_slice key, tl_slice value, tl_json_kind kind)
{
    bool from = tl_slice_eq(key, TL_SLICE_LIT("fromNodeID"));
    bool to = tl_slice_eq(key, TL_SLICE_LIT("toNodeID"));
    bool session = tl_slice_eq(key, TL_SLICE_LIT("sessionID"));
    bool data = tl_slice_eq(key, TL_SLICE_LIT("data"));
    if (!from && !to && !session && !data)
        return TL_OK;
    if (kind != TL_JSON_STRING)
        return TL_ERR_PROTO;
    if (from)
        return copy(value, w->from, sizeof w->from);
    if (to)
        return copy(value, w->to, sizeof w->to);
    if (session)
        return copy(value, w->session, sizeof w->session);
    if (w->data.p)
        return TL_ERR_PROTO;
    w->data = tl_slice_of(value.p + 1, value.n - 2);
    return TL_OK;
}

static tl_err routed_complete(const tl_word *w)
{
    bool ok = w->from[0] && w->to[0] && tl_cluster_id_is(w->session) &&
              (w->type != TL_WORD_RELAY_DATA || w->data.p);
    return ok ? TL_OK : TL_ERR_PROTO;
}

/* The members of the payload, or of the object that the Swift clients wrap it in. */
static tl_err scan_payload(tl_word *w, tl_jsonscan *outer, bool may_wrap)
{
    tl_jsonscan inner;
    tl_err e = tl_jsonscan_enter(outer, &inner);
    tl_slice key, value;
    tl_json_kind kind;
    bool done = false;
    while (!e && !(e = tl_jsonscan_key(&inner, &key, &done)) && !done) {
        if (may_wrap && tl_slice_eq(key, TL_SLICE_LIT("_0"))) {
            e = scan_payload(w, &inner, false);
            continue;
        }
        e = tl_jsonscan_value(&inner, &value, &kind);
        if (!e)
            e = routed_member(w, key, value, kind);
    }
    if (!e)
        tl_jsonscan_leave(outer, &inner);
    return e;
}

static tl_err parse_payload(tl_slice text, tl_word *w)
{
    json_t *root = NULL;
    tl_err e = tl_json_parse(text, DEPTH, &root, NULL);
    if (e)
        return e;
    json_t *payload = json_object_iter_value(json_object_iter(root));
    json_t *wrapped = json_object_get(payload, "_0");
    if (wrapped)
        payload = wrapped;
    if (json_is_object(payload))
        w->payload = json_incref(payload);
    else
        e = TL_ERR_PROTO;
    json_decref(root);
    return e;
}

static tl_word_type type_of(tl_slice key)
{
    for (int t = 0; t < TL_WORD_OTHER; t++)
        if (tl_slice_eq(key, tl_slice_str(names[t])))
            return (tl_word_type)t;
    return TL_WORD_OTHER;
}

tl_err tl_word_read(tl_slice text, tl_word *ret_word)
{
    tl_jsonscan s;
    tl_slice key, value;
    tl_json_kind kind;
    bool done = false;
    tl_word w = {0};
    tl_err e = tl_jsonscan_begin(&s, text, DEPTH);
    if (!e)
        e = tl_jsonscan_key(&s, &key, &done);
    if (e || done)
        return TL_ERR_PROTO;
    w.type = type_of(key);
    bool routed = w.type >= TL_WORD_RELAY_OPEN && w.type < TL_WORD_OTHER;
    e = routed ? scan_payload(&w, &s, true) : tl_jsonscan_value(&s, &value, &kind);
    if (!e)
        e = tl_jsonscan_key(&s, &key, &done);
    if (e || !done)
        return TL_ERR_PROTO;
    if (routed)
        e = routed_complete(&w);
    else if (w.type != TL_WORD_OTHER)
        e = parse_payload(text, &w);
    if (!e)
        *ret_word = w;
    return e;
}

void tl_word_clear(tl_word *w)
{
    json_decref(w->payload);
    w->payload = NULL;
}

tl_err tl_word_data(uint8_t *text, size_t n, size_t *ret_n)
{
    /* Some encoders write every '/' as "\/"; no other escape can stand for a base64 character that
     * has a plainer form, and none of ours does. */
    if (n && memchr(text, '\\', n)) {
        size_t to = 0;
        for (size_t i = 0; i < n; i++) {
            if (text[i] == '\\' && (i + 1 == n || text[++i] != '/'))
                return TL_ERR_PROTO;
            text[to++] = text[i];
        }
        n = to;
    }
    return tl_base64_parse(tl_slice_of(text, n), text, ret_n);
}

/* --- writing. IDs and session IDs are hex, digits and dashes: nothing to escape. --- */

tl_err tl_word_write_session(tl_buf *out, tl_word_type type, const char *from, const char *to,
                             const char *session)
{
    return tl_buf_printf(
        out, "{\"%s\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"%s\"}}",
        names[type], from, to, session);
}

tl_err tl_word_write_data_head(tl_buf *out, const char *from, const char *to, const char *session)
{
    return tl_buf_printf(out,
                         "{\"relayData\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":"
                         "\"%s\",\"data\":\"",
                         from, to, session);
}

tl_err tl_word_write_discover(tl_buf *out, const char *own_id, const char *model, unsigned limit,
                              const char *cursor)
{
    json_t *filter = json_object();
    json_t *discover = json_pack("{s:s, s:o, s:i}", "requestingNodeID", own_id, "filter", filter,
                                 "limit", (int)limit);
    json_t *root = json_pack("{s:o}", "discover", discover);
    tl_err e = root ? TL_OK : TL_ERR_NOMEM;
    if (!e && model[0] && json_object_set_new(filter, "modelID", json_string(model)))
        e = TL_ERR_NOMEM;
    if (!e && cursor[0] && json_object_set_new(discover, "cursor", json_string(cursor)))
        e = TL_ERR_NOMEM;
    if (!e)
        e = tl_json_write(out, root);
    json_decref(root);
    return e;
}
