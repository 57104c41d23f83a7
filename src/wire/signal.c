#include "wire/signal.h"

#include "wire/jsonscan.h"

static const char *const type_names[TL_SIGNAL_TYPES] = {
    [TL_SIGNAL_UNKNOWN] = "",
    [TL_SIGNAL_CHALLENGE] = "challenge",
    [TL_SIGNAL_REGISTER] = "register",
    [TL_SIGNAL_REGISTER_ACK] = "registerAck",
    [TL_SIGNAL_DISCOVER] = "discover",
    [TL_SIGNAL_DISCOVER_RESPONSE] = "discoverResponse",
    [TL_SIGNAL_PEER_JOINED] = "peerJoined",
    [TL_SIGNAL_PEER_LEFT] = "peerLeft",
    [TL_SIGNAL_PEERS_CHANGED] = "peersChanged",
    [TL_SIGNAL_ERROR] = "error",
    [TL_SIGNAL_RELAY_OFFER] = "relayOffer",
    [TL_SIGNAL_RELAY_WARNING] = "relayWarning",
    [TL_SIGNAL_GOODBYE] = "goodbye",
    [TL_SIGNAL_OFFER] = "offer",
    [TL_SIGNAL_ANSWER] = "answer",
    [TL_SIGNAL_ICE_CANDIDATE] = "iceCandidate",
    [TL_SIGNAL_RELAY_OPEN] = "relayOpen",
    [TL_SIGNAL_RELAY_READY] = "relayReady",
    [TL_SIGNAL_RELAY_DATA] = "relayData",
    [TL_SIGNAL_RELAY_CLOSE] = "relayClose",
};

static const char *const code_names[TL_SIGNAL_CODES + 1] = {
    "invalid_json",      "invalid_message", "unsupported_message", "invalid_register",
    "unauthorized",      "forbidden",       "not_registered",      "peer_not_found",
    "session_not_found", "rate_limited",    "too_large",           "busy",
    "replaced",          "unknown",
};

const char *tl_signal_type_name(tl_signal_type t)
{
    return type_names[t];
}

const char *tl_signal_code_name(tl_signal_code c)
{
    return code_names[c];
}

tl_signal_code tl_signal_code_parse(tl_slice name)
{
    int c = 0;
    while (c < TL_SIGNAL_CODES && !tl_slice_eq(name, tl_slice_str(code_names[c])))
        c++;
    return (tl_signal_code)c;
}

bool tl_signal_session_is(tl_slice id)
{
    if (id.n == 0 || id.n > TL_SIGNAL_SESSION_MAX)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        uint8_t c = id.p[i], l = c | 0x20;
        if (!(c >= '0' && c <= '9') && !(l >= 'a' && l <= 'z') && c != '-')
            return false;
    }
    return true;
}

static bool is_received_at(tl_signal_type t, tl_signal_side side)
{
    if (tl_signal_is_routed(t))
        return true;
    bool to_relay = t == TL_SIGNAL_REGISTER || t == TL_SIGNAL_DISCOVER;
    return to_relay == (side == TL_SIGNAL_AT_RELAY);
}

static tl_signal_type type_of(tl_slice name, tl_signal_side side)
{
    for (int t = TL_SIGNAL_TYPES - 1; t > TL_SIGNAL_UNKNOWN; t--)
        if (tl_slice_eq(name, tl_slice_str(type_names[t])))
            return is_received_at((tl_signal_type)t, side) ? (tl_signal_type)t : TL_SIGNAL_UNKNOWN;
    return TL_SIGNAL_UNKNOWN;
}

/* The most bytes that a message of this type may have. */
static size_t size_max(tl_signal_type t)
{
    switch (t) {
    case TL_SIGNAL_DISCOVER_RESPONSE: return TL_SIGNAL_PAGE_MAX;
    case TL_SIGNAL_RELAY_DATA: return SIZE_MAX; /* as many as the connection takes */
    case TL_SIGNAL_REGISTER: return TL_SIGNAL_REGISTER_MAX;
    default: return TL_SIGNAL_SMALL_MAX;
    }
}

/* A page that no relay writes is refused before a tree is made of it. */
static bool is_huge(tl_signal_type t, tl_slice value)
{
    return t == TL_SIGNAL_DISCOVER_RESPONSE &&
           (value.n > TL_SIGNAL_PAGE_MAX || tl_json_count(value) > TL_SIGNAL_PAGE_VALUES);
}

/* Parses JSON whose grammar and depth were checked. Two things can still be wrong: a key twice, or
 * a number out of range. */
static tl_err load(tl_slice text, size_t max, json_t **ret)
{
    json_error_t error;
    if (text.n > max)
        return TL_ERR_TOO_LARGE;
    *ret = json_loadb((const char *)text.p, text.n,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (*ret)
        return TL_OK;
    switch (json_error_code(&error)) {
    case json_error_numeric_overflow: return TL_ERR_INVALID;
    case json_error_out_of_memory: return TL_ERR_NOMEM;
    default: return TL_ERR_PROTO;
    }
}

/* What to answer to a text that is not shaped like a message: invalid_json if it is not strict JSON
 * either. */
static tl_err misshaped(tl_slice text)
{
    tl_json_kind kind;
    json_t *value = NULL;
    if (tl_jsonscan_check(text, TL_SIGNAL_DEPTH_MAX, &kind))
        return TL_ERR_PROTO;
    tl_err e = load(text, TL_SIGNAL_SMALL_MAX, &value);
    json_decref(value);
    return e ? e : TL_ERR_INVALID;
}

/* --- routed messages --- */

#define KEYS_MAX 16 /* more keys than our senders write; beyond it, jansson looks for duplicates */
enum { FROM, TO, SESSION, DATA, REASON, FIELDS };
static const struct {
    const char *name;
    size_t n;
} fields[FIELDS] = {
    {"fromNodeID", 10}, {"toNodeID", 8}, {"sessionID", 9}, {"data", 4}, {"reason", 6}};

typedef struct {
    tl_slice value[FIELDS]; /* with quotes; p is NULL while not seen */
    tl_slice keys[KEYS_MAX];
    size_t key_count;
    bool wrong_type;
    bool wrapped; /* the fields were in "_0" */
    bool odd;     /* jansson must look again: nested values, numbers, escaped or many keys */
} routed;

/* TL_ERR_PROTO: seen before. */
static tl_err note_key(routed *r, tl_slice key)
{
    if (r->key_count == KEYS_MAX || memchr(key.p, '\\', key.n)) {
        r->odd = true;
        return TL_OK;
    }
    for (size_t i = 0; i < r->key_count; i++)
        if (tl_slice_eq(r->keys[i], key))
            return TL_ERR_PROTO;
    r->keys[r->key_count++] = key;
    return TL_OK;
}

static tl_err take_member(routed *r, tl_jsonscan *s, tl_slice key)
{
    tl_slice value;
    tl_json_kind kind;
    tl_err e = note_key(r, key);
    if (!e)
        e = tl_jsonscan_value(s, &value, &kind);
    if (e)
        return e;
    if (kind == TL_JSON_OBJECT || kind == TL_JSON_ARRAY || kind == TL_JSON_NUMBER)
        r->odd = true;
    for (int f = 0; f < FIELDS; f++) {
        if (key.n != fields[f].n || memcmp(key.p, fields[f].name, key.n) != 0)
            continue;
        if (kind == TL_JSON_STRING)
            r->value[f] = value;
        else if (f != REASON) /* nobody needs it, so any other value is an unknown field's */
            r->wrong_type = true;
    }
    return TL_OK;
}

/* Reads the payload at which `outer` stands into `r`. If "_0" is its first key, reads the object in
 * it. */
static tl_err walk_payload(tl_jsonscan *outer, bool may_wrap, routed *r, tl_slice *ret_payload)
{
    tl_jsonscan s;
    const uint8_t *start = outer->p;
    bool wrapped = false;
    tl_err e = tl_jsonscan_enter(outer, &s);
    for (bool done = false; !e;) {
        tl_slice key;
        e = tl_jsonscan_key(&s, &key, &done);
        if (e || done)
            break;
        if (may_wrap && tl_slice_eq(key, TL_SLICE_LIT("_0"))) {
            tl_json_kind kind;
            if (s.p == s.end || tl_jsonscan_peek(&s, &kind))
                return TL_ERR_PROTO;
            if (kind != TL_JSON_OBJECT || r->key_count || wrapped)
                return TL_ERR_INVALID;
            wrapped = r->wrapped = true;
            e = walk_payload(&s, false, r, ret_payload);
        } else if (wrapped) {
            return TL_ERR_INVALID;
        } else {
            e = take_member(r, &s, key);
        }
    }
    if (e)
        return e;
    if (!wrapped)
        *ret_payload = tl_slice_of(start, (size_t)(s.p - start));
    tl_jsonscan_leave(outer, &s);
    return TL_OK;
}

/* The payload with an empty string in place of its `data`, which may be 4 MiB. */
static tl_err load_without_data(tl_slice payload, tl_slice data, json_t **ret)
{
    if (!data.p || data.p[0] != '"')
        return load(payload, TL_SIGNAL_SMALL_MAX, ret);
    tl_buf b = {0};
    size_t before = (size_t)(data.p - payload.p);
    tl_slice rest = tl_slice_of(data.p + data.n, payload.n - before - data.n);
    tl_err e = TL_ERR_TOO_LARGE;
    if (before + rest.n > TL_SIGNAL_SMALL_MAX)
        goto out;
    e = tl_buf_append(&b, tl_slice_of(payload.p, before));
    if (!e)
        e = tl_buf_append_str(&b, "\"\"");
    if (!e)
        e = tl_buf_append(&b, rest);
    if (!e)
        e = load(tl_buf_slice(&b), SIZE_MAX, ret);
out:
    tl_buf_clear(&b);
    return e;
}

static bool is_kind_or_absent(const json_t *object, const char *key, json_type type)
{
    const json_t *v = json_object_get(object, key);
    return !v || json_typeof(v) == type;
}

/* Are the fields right that a type needs besides the ids? */
static bool extras_are_right(tl_signal_type type, const json_t *o)
{
    switch (type) {
    case TL_SIGNAL_OFFER:
    case TL_SIGNAL_ANSWER:
        return json_is_object(json_object_get(o, "connectionInfo")) &&
               is_kind_or_absent(o, "signature", JSON_STRING);
    case TL_SIGNAL_ICE_CANDIDATE:
        return json_is_object(json_object_get(o, "candidate")) &&
               is_kind_or_absent(o, "signature", JSON_STRING);
    case TL_SIGNAL_RELAY_DATA: return json_is_string(json_object_get(o, "data"));
    default: return true;
    }
}

static tl_err copy_id(tl_signal *s, int f, tl_slice text, tl_slice *ret)
{
    if (text.n > TL_SIGNAL_SESSION_MAX)
        return TL_ERR_INVALID; /* longer than any id */
    memcpy(s->text[f], text.p, text.n);
    *ret = tl_slice_of(s->text[f], text.n);
    return TL_OK;
}

/* The second look: parses strictly, and takes the fields from the result. */
static tl_err take_odd(tl_signal *s, const routed *r)
{
    json_t *o = NULL;
    tl_slice *ret[DATA] = {&s->from, &s->to, &s->session};
    tl_err e = load_without_data(s->payload, r->value[DATA], &o);
    if (!e && (r->wrong_type || !extras_are_right(s->type, o)))
        e = TL_ERR_INVALID;
    /* A "_0" spelled with escapes: we would take the fields beside it, other readers those in
     * it. */
    if (!e && !r->wrapped && json_object_get(o, "_0"))
        e = TL_ERR_INVALID;
    for (int f = 0; !e && f < DATA; f++) {
        const json_t *v = json_object_get(o, fields[f].name);
        e = TL_ERR_INVALID;
        if (json_is_string(v))
            e = copy_id(s, f, tl_slice_of(json_string_value(v), json_string_length(v)), ret[f]);
    }
    json_decref(o);
    return e;
}

static tl_err take_plain(tl_signal *s, const routed *r)
{
    tl_slice *ret[DATA] = {&s->from, &s->to, &s->session};
    if (r->wrong_type || (s->type == TL_SIGNAL_RELAY_DATA && !r->value[DATA].p))
        return TL_ERR_INVALID;
    if (s->type < TL_SIGNAL_RELAY_OPEN)
        return TL_ERR_INVALID; /* nothing nested was there, hence no connectionInfo or candidate */
    for (int f = 0; f < DATA; f++) {
        tl_slice v = r->value[f];
        if (!v.p)
            return TL_ERR_INVALID;
        *ret[f] = tl_slice_of(v.p + 1, v.n - 2);
        if (memchr(v.p, '\\', v.n)) {
            size_t n;
            if (tl_jsonscan_string(v, s->text[f], sizeof s->text[f], &n))
                return TL_ERR_INVALID;
            *ret[f] = tl_slice_of(s->text[f], n);
        }
    }
    return TL_OK;
}

static tl_err scan_routed(tl_slice text, tl_jsonscan *outer, tl_signal *s)
{
    routed r = {.key_count = 0};
    bool done;
    tl_slice key;
    tl_err e = walk_payload(outer, true, &r, &s->payload);
    if (!e)
        e = tl_jsonscan_key(outer, &key, &done);
    if (!e && !done)
        e = TL_ERR_INVALID;
    if (e)
        return e == TL_ERR_INVALID ? misshaped(text) : e;
    e = r.odd ? take_odd(s, &r) : take_plain(s, &r);
    if (e)
        return e;
    if (r.value[DATA].p)
        s->data = tl_slice_of(r.value[DATA].p + 1, r.value[DATA].n - 2);
    else if (s->type == TL_SIGNAL_RELAY_DATA)
        return TL_ERR_INVALID; /* its name has escapes: no sender does that */
    if (r.value[REASON].p)
        s->reason = tl_slice_of(r.value[REASON].p + 1, r.value[REASON].n - 2);
    return tl_signal_session_is(s->session) ? TL_OK : TL_ERR_INVALID;
}

/* --- the others --- */

/* Finds "_0" in the text, where the parsed object has it. */
static tl_err unwrap(tl_signal *s)
{
    json_t *inner = json_object_get(s->object, "_0");
    tl_jsonscan scan;
    tl_json_member m;
    bool done;
    if (!inner)
        return TL_OK;
    if (!json_is_object(inner) || json_object_size(s->object) != 1 ||
        tl_jsonscan_begin(&scan, s->payload, 0) || tl_jsonscan_next(&scan, &m, &done) || done)
        return TL_ERR_INVALID;
    json_incref(inner);
    json_decref(s->object);
    s->object = inner;
    s->payload = m.value;
    return TL_OK;
}

static tl_err scan_other(tl_slice text, tl_jsonscan *outer, tl_signal *s)
{
    tl_json_kind kind;
    tl_slice value, key;
    bool done;
    tl_err e = tl_jsonscan_value(outer, &value, &kind);
    if (!e)
        e = tl_jsonscan_key(outer, &key, &done);
    if (e)
        return e;
    if (!done)
        return misshaped(text);
    s->payload = value;
    if (kind != TL_JSON_OBJECT && s->type != TL_SIGNAL_UNKNOWN)
        return misshaped(text);
    if (is_huge(s->type, value))
        return TL_ERR_TOO_LARGE;
    e = load(value, size_max(s->type), &s->object);
    if (e)
        return e;
    return s->type == TL_SIGNAL_UNKNOWN ? TL_OK : unwrap(s);
}

/* Reads the outer object up to its key's end. */
static tl_err scan_type(tl_slice text, tl_signal_side side, tl_jsonscan *outer, tl_signal *s,
                        bool *ret_done)
{
    tl_slice key;
    *s = (tl_signal){.type = TL_SIGNAL_UNKNOWN};
    tl_err e = tl_jsonscan_begin(outer, text, TL_SIGNAL_DEPTH_MAX);
    if (!e)
        e = tl_jsonscan_key(outer, &key, ret_done);
    if (!e && !*ret_done) {
        s->type_name = key;
        s->type = type_of(key, side);
    }
    return e;
}

void tl_signal_peek(tl_slice text, tl_signal_side side, tl_signal *ret_signal)
{
    tl_jsonscan outer;
    bool done;
    (void)!scan_type(text, side, &outer, ret_signal, &done);
}

tl_err tl_signal_scan(tl_slice text, tl_signal_side side, tl_signal *ret_signal)
{
    tl_jsonscan outer;
    bool done = false;
    tl_err e = scan_type(text, side, &outer, ret_signal, &done);
    if (text.n > size_max(ret_signal->type))
        return TL_ERR_TOO_LARGE;
    if (e || done)
        return misshaped(text);
    tl_json_kind kind;
    if (!tl_signal_is_routed(ret_signal->type))
        e = scan_other(text, &outer, ret_signal);
    else if (tl_jsonscan_peek(&outer, &kind))
        e = TL_ERR_PROTO;
    else
        e = kind == TL_JSON_OBJECT ? scan_routed(text, &outer, ret_signal) : misshaped(text);
    if (e)
        tl_signal_clear(ret_signal);
    return e;
}

void tl_signal_clear(tl_signal *s)
{
    json_decref(s->object);
    s->object = NULL;
}
