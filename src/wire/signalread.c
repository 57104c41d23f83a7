#include "wire/signalread.h"

#include "wire/jsonscan.h"

#include <limits.h>

bool tl_signal_is_hex64(const char *text)
{
    uint8_t bytes[32];
    return text && tl_hex_parse(tl_slice_str(text), false, bytes, sizeof bytes) == TL_OK;
}

/* A string without NUL in it; absent and null leave *ret alone. */
static bool optional_string(const json_t *o, const char *key, const char **ret)
{
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v))
        return true;
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
        return false;
    *ret = json_string_value(v);
    return true;
}

static bool string(const json_t *o, const char *key, const char **ret)
{
    *ret = NULL;
    return optional_string(o, key, ret) && *ret;
}

static bool optional_number(const json_t *o, const char *key, double *ret)
{
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v))
        return true;
    if (!json_is_number(v))
        return false;
    *ret = json_number_value(v);
    return true;
}

static bool optional_integer(const json_t *o, const char *key, int low, int high, int *ret)
{
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v))
        return true;
    if (!json_is_integer(v) || json_integer_value(v) < low || json_integer_value(v) > high)
        return false;
    *ret = (int)json_integer_value(v);
    return true;
}

/* An integer from 0 to `high`; absent and null leave *ret alone. */
static bool optional_count(const json_t *o, const char *key, int64_t high, int64_t *ret)
{
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v))
        return true;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > high)
        return false;
    *ret = json_integer_value(v);
    return true;
}

static bool session(const json_t *o, const char **ret)
{
    return string(o, "sessionID", ret) && tl_signal_session_is(tl_slice_str(*ret));
}

static bool optional_strings(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key), *item;
    size_t i;
    if (!v || json_is_null(v))
        return true;
    if (!json_is_array(v))
        return false;
    json_array_foreach (v, i, item)
        if (!json_is_string(item))
            return false;
    return true;
}

static bool lists(const json_t *o, const char *key, const char *text)
{
    const json_t *item;
    size_t i;
    json_array_foreach (json_object_get(o, key), i, item)
        if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
            return true;
    return false;
}

static tl_signal_features features_of(const json_t *o)
{
    return (tl_signal_features){.quiet = lists(o, "features", "quiet"),
                                .relay_token = lists(o, "features", "relay-token"),
                                .goodbye = lists(o, "features", "goodbye"),
                                .peers_changed = lists(o, "features", "peers-changed")};
}

tl_err tl_signal_read_challenge(const tl_signal *s, tl_signal_challenge *ret)
{
    tl_signal_challenge c;
    if (!string(s->object, "nonce", &c.nonce) || !tl_signal_is_hex64(c.nonce))
        return TL_ERR_INVALID;
    c.features = features_of(s->object);
    *ret = c;
    return TL_OK;
}

/* The text of `capabilities` inside the payload's. */
static bool find_capabilities(tl_slice payload, tl_slice *ret)
{
    tl_jsonscan s;
    tl_json_member m;
    bool done = false;
    if (tl_jsonscan_begin(&s, payload, 0))
        return false;
    while (!tl_jsonscan_next(&s, &m, &done) && !done) {
        if (tl_slice_eq(m.key, TL_SLICE_LIT("capabilities"))) {
            *ret = m.value;
            return true;
        }
    }
    return false;
}

tl_err tl_signal_read_register(const tl_signal *s, tl_signal_register *ret)
{
    const json_t *o = s->object;
    const char *public_key;
    tl_signal_register r = {.node_id = NULL};
    r.capabilities_object = json_object_get(o, "capabilities");
    bool good =
        string(o, "nodeID", &r.node_id) && tl_signal_is_hex64(r.node_id) &&
        string(o, "publicKey", &public_key) && strcmp(public_key, r.node_id) == 0 &&
        optional_string(o, "wgPublicKey", &r.wg_public) &&
        (!r.wg_public || tl_signal_is_hex64(r.wg_public)) &&
        string(o, "displayName", &r.display_name) && strlen(r.display_name) <= TL_SIGNAL_NAME_MAX &&
        json_is_object(r.capabilities_object) && find_capabilities(s->payload, &r.capabilities) &&
        optional_string(o, "signature", &r.signature) &&
        optional_string(o, "challengeSignature", &r.challenge_signature) &&
        optional_strings(o, "features");
    if (!good)
        return TL_ERR_INVALID;
    r.features = features_of(o);
    *ret = r;
    return TL_OK;
}

tl_err tl_signal_read_discover(const tl_signal *s, tl_signal_discover *ret)
{
    const json_t *o = s->object, *f = json_object_get(o, "filter");
    tl_signal_discover d = {.limit = TL_SIGNAL_LIMIT_DEFAULT};
    int limit = TL_SIGNAL_LIMIT_DEFAULT;
    if (f && !json_is_object(f) && !json_is_null(f))
        return TL_ERR_INVALID;
    bool good = string(o, "requestingNodeID", &d.requesting_node_id) &&
                optional_string(f, "modelID", &d.model_id) &&
                optional_number(f, "minRAMGB", &d.min_ram_gb) &&
                optional_integer(f, "minTier", 1, 255, &d.min_tier) &&
                optional_string(f, "ptnID", &d.ptn_id) &&
                optional_integer(o, "limit", 1, TL_SIGNAL_LIMIT_MAX, &limit) &&
                optional_string(o, "cursor", &d.cursor);
    if (!good)
        return TL_ERR_INVALID;
    d.limit = (unsigned)limit;
    *ret = d;
    return TL_OK;
}

tl_err tl_signal_read_ack(const tl_signal *s, tl_signal_ack *ret)
{
    const json_t *o = s->object;
    tl_signal_ack a = {.node_id = NULL, .models_kept = -1};
    int ttl = TL_SIGNAL_TTL_SECONDS;
    bool good = string(o, "nodeID", &a.node_id) && tl_signal_is_hex64(a.node_id) &&
                optional_number(o, "registeredAt", &a.registered_at) &&
                optional_integer(o, "ttlSeconds", 1, 86400, &ttl) &&
                optional_integer(o, "modelsKept", 0, INT_MAX, &a.models_kept) &&
                optional_string(o, "udp", &a.udp) && optional_string(o, "observed", &a.observed);
    if (!good)
        return TL_ERR_INVALID;
    a.ttl_seconds = (unsigned)ttl;
    *ret = a;
    return TL_OK;
}

static tl_err read_peer(const json_t *o, tl_signal_peer *ret)
{
    tl_signal_peer p = {.node_id = NULL};
    p.capabilities = json_object_get(o, "capabilities");
    bool good = string(o, "nodeID", &p.node_id) && tl_signal_is_hex64(p.node_id) &&
                optional_string(o, "publicKey", &p.public_key) &&
                optional_string(o, "wgPublicKey", &p.wg_public) &&
                optional_string(o, "displayName", &p.display_name) &&
                optional_string(o, "natType", &p.nat_type) &&
                optional_number(o, "lastSeen", &p.last_seen) &&
                (!p.capabilities || json_is_object(p.capabilities));
    if (!good)
        return TL_ERR_INVALID;
    *ret = p;
    return TL_OK;
}

tl_err tl_signal_read_presence(const tl_signal *s, tl_signal_peer *ret)
{
    return read_peer(s->object, ret);
}

size_t tl_signal_peer_count(const tl_signal *s)
{
    return json_array_size(json_object_get(s->object, "peers"));
}

tl_err tl_signal_read_peer(const tl_signal *s, size_t i, tl_signal_peer *ret)
{
    return read_peer(json_array_get(json_object_get(s->object, "peers"), i), ret);
}

const char *tl_signal_next_cursor(const tl_signal *s)
{
    return tl_json_string(s->object, "cursor", NULL);
}

tl_err tl_signal_read_error(const tl_signal *s, tl_signal_error *ret)
{
    tl_signal_error e = {.code = TL_SIGNAL_CODES};
    if (!string(s->object, "code", &e.code_text) ||
        !optional_string(s->object, "message", &e.message) ||
        !optional_string(s->object, "about", &e.about) ||
        !optional_string(s->object, "sessionID", &e.session))
        return TL_ERR_INVALID;
    e.code = tl_signal_code_parse(tl_slice_str(e.code_text));
    *ret = e;
    return TL_OK;
}

tl_err tl_signal_read_relay_offer(const tl_signal *s, tl_signal_relay_offer *ret)
{
    const json_t *o = s->object;
    const char *token;
    int64_t limit = 0, expires_at = 0;
    tl_signal_relay_offer r = {.session = NULL};
    if (!session(o, &r.session) || !string(o, "token", &token) ||
        tl_hex_parse(tl_slice_str(token), false, r.token, sizeof r.token) ||
        !optional_string(o, "udp", &r.udp) ||
        !optional_count(o, "expiresAt", INT64_MAX, &expires_at) ||
        !optional_count(o, "limitBytesPerSecond", INT64_MAX, &limit))
        return TL_ERR_INVALID;
    r.expires_at = expires_at;
    r.limit_bytes_per_second = (uint64_t)limit;
    *ret = r;
    return TL_OK;
}

tl_err tl_signal_read_relay_warning(const tl_signal *s, tl_signal_relay_warning *ret)
{
    tl_signal_relay_warning w = {.session = NULL};
    if (!session(s->object, &w.session) || !string(s->object, "reason", &w.reason) ||
        !optional_count(s->object, "endsAt", INT64_MAX, &w.ends_at))
        return TL_ERR_INVALID;
    *ret = w;
    return TL_OK;
}

tl_err tl_signal_read_goodbye(const tl_signal *s, tl_signal_goodbye *ret)
{
    int seconds = 0;
    tl_signal_goodbye g = {.reason = NULL};
    if (!string(s->object, "reason", &g.reason) ||
        !optional_integer(s->object, "inSeconds", 0, 86400, &seconds))
        return TL_ERR_INVALID;
    g.in_seconds = (unsigned)seconds;
    *ret = g;
    return TL_OK;
}
