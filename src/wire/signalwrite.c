#include "wire/signalwrite.h"

#include "base/base64.h"

#include <inttypes.h>
#include <math.h>

/* Appends pieces until one fails; `finish` then undoes them all. */
typedef struct {
    tl_buf *out;
    size_t before;
    tl_err e;
} writer;

static writer begin(tl_buf *out)
{
    return (writer){.out = out, .before = out->len};
}

static tl_err finish(writer *w)
{
    if (w->e)
        w->out->len = w->before;
    return w->e;
}

static void put(writer *w, const char *text)
{
    if (!w->e)
        w->e = tl_buf_append_str(w->out, text);
}

static void put_slice(writer *w, tl_slice s)
{
    if (!w->e)
        w->e = tl_buf_append(w->out, s);
}

static void put_string(writer *w, const char *text)
{
    if (!w->e)
        w->e = tl_json_append_string(w->out, tl_slice_str(text));
}

/* `"key":"text"` with `before` (a comma or a brace) in front; the key needs no escapes. */
static void put_field(writer *w, const char *before, const char *key, const char *text)
{
    put(w, before);
    put(w, "\"");
    put(w, key);
    put(w, "\":");
    if (text)
        put_string(w, text);
    else
        put(w, "null");
}

static void put_number(writer *w, const char *before_and_key, double number)
{
    put(w, before_and_key);
    if (!w->e)
        w->e = tl_buf_printf(w->out, "%.17g", isfinite(number) ? number : 0);
}

static void put_date(writer *w, const char *before_and_key, double seconds)
{
    put(w, before_and_key);
    if (!w->e)
        w->e = tl_buf_printf(w->out, "%.3f", isfinite(seconds) ? seconds : 0);
}

static void put_type(writer *w, tl_signal_type type)
{
    put(w, "{\"");
    put(w, tl_signal_type_name(type));
    put(w, "\":");
}

static void put_features(writer *w, tl_signal_features f)
{
    const char *names[] = {f.quiet ? "\"quiet\"" : NULL, f.relay_token ? "\"relay-token\"" : NULL,
                           f.goodbye ? "\"goodbye\"" : NULL,
                           f.peers_changed ? "\"peers-changed\"" : NULL};
    const char *comma = "";
    put(w, ",\"features\":[");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!names[i])
            continue;
        put(w, comma);
        put(w, names[i]);
        comma = ",";
    }
    put(w, "]");
}

tl_err tl_signal_write_challenge(tl_buf *out, const char *nonce, tl_signal_features features)
{
    writer w = begin(out);
    put_type(&w, TL_SIGNAL_CHALLENGE);
    put_field(&w, "{", "nonce", nonce);
    put_features(&w, features);
    put(&w, "}}");
    return finish(&w);
}

tl_err tl_signal_write_ack(tl_buf *out, const char *node_id, double registered_at,
                           unsigned ttl_seconds, const char *udp, const char *observed,
                           int models_kept)
{
    writer w = begin(out);
    put_type(&w, TL_SIGNAL_REGISTER_ACK);
    put_field(&w, "{", "nodeID", node_id);
    put_date(&w, ",\"registeredAt\":", registered_at);
    put_number(&w, ",\"ttlSeconds\":", ttl_seconds);
    if (*udp)
        put_field(&w, ",", "udp", udp);
    if (*observed)
        put_field(&w, ",", "observed", observed);
    if (models_kept >= 0)
        put_number(&w, ",\"modelsKept\":", models_kept);
    put(&w, "}}");
    return finish(&w);
}

tl_err tl_signal_write_presence(tl_buf *out, tl_signal_type type, const char *node_id,
                                const char *display_name)
{
    writer w = begin(out);
    put_type(&w, type);
    put_field(&w, "{", "nodeID", node_id);
    put_field(&w, ",", "displayName", display_name);
    put(&w, "}}");
    return finish(&w);
}

tl_err tl_signal_write_error(tl_buf *out, tl_signal_code code, const char *message, tl_slice about,
                             tl_slice session)
{
    writer w = begin(out);
    put_type(&w, TL_SIGNAL_ERROR);
    put_field(&w, "{", "code", tl_signal_code_name(code));
    put_field(&w, ",", "message", message);
    if (about.n) {
        put(&w, ",\"about\":");
        if (!w.e)
            w.e = tl_json_append_string(out, about);
    }
    if (session.n) {
        put(&w, ",\"sessionID\":");
        if (!w.e)
            w.e = tl_json_append_string(out, session);
    }
    put(&w, "}}");
    return finish(&w);
}

static void put_integer(writer *w, const char *before_and_key, int64_t number)
{
    put(w, before_and_key);
    if (!w->e)
        w->e = tl_buf_printf(w->out, "%" PRId64, number);
}

tl_err tl_signal_write_relay_offer(tl_buf *out, const tl_signal_offered *offer)
{
    writer w = begin(out);
    char token[2 * sizeof offer->token + 1];
    tl_hex_write(token, offer->token, sizeof offer->token);
    put_type(&w, TL_SIGNAL_RELAY_OFFER);
    put_field(&w, "{", "sessionID", offer->session);
    put_field(&w, ",", "token", token);
    if (*offer->udp)
        put_field(&w, ",", "udp", offer->udp);
    put_integer(&w, ",\"expiresAt\":", offer->expires_at);
    if (offer->limit_bytes_per_second)
        put_integer(&w, ",\"limitBytesPerSecond\":", (int64_t)offer->limit_bytes_per_second);
    put(&w, "}}");
    return finish(&w);
}

tl_err tl_signal_write_relay_warning(tl_buf *out, const char *session, const char *reason,
                                     tl_unix ends_at)
{
    writer w = begin(out);
    put_type(&w, TL_SIGNAL_RELAY_WARNING);
    put_field(&w, "{", "sessionID", session);
    put_field(&w, ",", "reason", reason);
    put_integer(&w, ",\"endsAt\":", ends_at);
    put(&w, "}}");
    return finish(&w);
}

tl_err tl_signal_write_goodbye(tl_buf *out, const char *reason, unsigned in_seconds)
{
    writer w = begin(out);
    put_type(&w, TL_SIGNAL_GOODBYE);
    put_field(&w, "{", "reason", reason);
    put_integer(&w, ",\"inSeconds\":", in_seconds);
    put(&w, "}}");
    return finish(&w);
}

tl_err tl_signal_write_peers_changed(tl_buf *out)
{
    writer w = begin(out);
    put_type(&w, TL_SIGNAL_PEERS_CHANGED);
    put(&w, "{}}");
    return finish(&w);
}

tl_err tl_signal_write_peers_begin(tl_buf *out)
{
    writer w = begin(out);
    put_type(&w, TL_SIGNAL_DISCOVER_RESPONSE);
    put(&w, "{\"peers\":[");
    return finish(&w);
}

tl_err tl_signal_write_peer(tl_buf *out, bool first, const tl_signal_listed *peer)
{
    writer w = begin(out);
    put_field(&w, first ? "{" : ",{", "nodeID", peer->node_id);
    put_field(&w, ",", "publicKey", peer->node_id);
    put_field(&w, ",", "wgPublicKey", peer->wg_public);
    put_field(&w, ",", "displayName", peer->display_name);
    put(&w, ",\"capabilities\":");
    for (int i = 0; i < 3; i++)
        put_slice(&w, peer->capabilities[i]);
    put_date(&w, ",\"lastSeen\":", peer->last_seen);
    put(&w, ",\"natType\":\"unknown\",\"endpoints\":[]}");
    return finish(&w);
}

tl_err tl_signal_write_peers_end(tl_buf *out, const char *cursor)
{
    writer w = begin(out);
    put(&w, "]");
    if (cursor)
        put_field(&w, ",", "cursor", cursor);
    put(&w, "}}");
    return finish(&w);
}

tl_err tl_signal_write_register(tl_buf *out, const tl_signal_registration *r)
{
    writer w = begin(out);
    put_type(&w, TL_SIGNAL_REGISTER);
    put_field(&w, "{", "nodeID", r->node_id);
    put_field(&w, ",", "publicKey", r->node_id);
    put_field(&w, ",", "wgPublicKey", r->wg_public);
    put_field(&w, ",", "displayName", r->display_name);
    put(&w, ",\"capabilities\":");
    put_slice(&w, r->capabilities);
    put_field(&w, ",", "signature", r->signature);
    if (r->challenge_signature)
        put_field(&w, ",", "challengeSignature", r->challenge_signature);
    if (r->features.quiet || r->features.relay_token || r->features.goodbye ||
        r->features.peers_changed)
        put_features(&w, r->features);
    put(&w, "}}");
    return finish(&w);
}

tl_err tl_signal_write_discover(tl_buf *out, const char *node_id, const char *model_id,
                                double min_ram_gb, int min_tier, const char *ptn_id, unsigned limit,
                                const char *cursor)
{
    writer w = begin(out);
    const char *comma = "";
    put_type(&w, TL_SIGNAL_DISCOVER);
    put_field(&w, "{", "requestingNodeID", node_id);
    put(&w, ",\"filter\":{");
    if (model_id) {
        put_field(&w, comma, "modelID", model_id);
        comma = ",";
    }
    if (min_ram_gb > 0) {
        put(&w, comma);
        put_number(&w, "\"minRAMGB\":", min_ram_gb);
        comma = ",";
    }
    if (min_tier > 0) {
        put(&w, comma);
        put_number(&w, "\"minTier\":", min_tier);
        comma = ",";
    }
    if (ptn_id)
        put_field(&w, comma, "ptnID", ptn_id);
    put(&w, "}");
    if (limit)
        put_number(&w, ",\"limit\":", limit);
    if (cursor)
        put_field(&w, ",", "cursor", cursor);
    put(&w, "}}");
    return finish(&w);
}

static void put_session(writer *w, tl_signal_type type, const char *from, const char *to,
                        const char *session)
{
    put_type(w, type);
    put_field(w, "{", "fromNodeID", from);
    put_field(w, ",", "toNodeID", to);
    put_field(w, ",", "sessionID", session);
}

tl_err tl_signal_write_session(tl_buf *out, tl_signal_type type, const char *from, const char *to,
                               const char *session)
{
    writer w = begin(out);
    put_session(&w, type, from, to, session);
    put(&w, "}}");
    return finish(&w);
}

tl_err tl_signal_write_close(tl_buf *out, const char *from, const char *to, const char *session,
                             const char *reason)
{
    writer w = begin(out);
    put_session(&w, TL_SIGNAL_RELAY_CLOSE, from, to, session);
    put_field(&w, ",", "reason", reason);
    put(&w, "}}");
    return finish(&w);
}

static tl_err write_with_data(tl_buf *out, tl_signal_type type, const char *from, const char *to,
                              const char *session, tl_slice data)
{
    writer w = begin(out);
    uint8_t *room;
    put_session(&w, type, from, to, session);
    put(&w, ",\"data\":\"");
    if (!w.e)
        w.e = tl_buf_reserve(out, tl_base64_size(data.n), &room);
    if (!w.e) {
        tl_base64_write(room, data);
        tl_buf_added(out, tl_base64_size(data.n));
    }
    put(&w, "\"}}");
    return finish(&w);
}

tl_err tl_signal_write_data(tl_buf *out, const char *from, const char *to, const char *session,
                            tl_slice data)
{
    return write_with_data(out, TL_SIGNAL_RELAY_DATA, from, to, session, data);
}

tl_err tl_signal_write_open(tl_buf *out, const char *from, const char *to, const char *session,
                            tl_slice data)
{
    return write_with_data(out, TL_SIGNAL_RELAY_OPEN, from, to, session, data);
}

tl_err tl_signal_write_object(tl_buf *out, tl_signal_type type, const json_t *payload)
{
    writer w = begin(out);
    put_type(&w, type);
    if (!w.e)
        w.e = tl_json_write(out, payload);
    put(&w, "}");
    return finish(&w);
}
