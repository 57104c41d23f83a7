#include "node/relay_link.h"

#include "base/addr.h"
#include "base/base64.h"
#include "crypto/sign.h"
#include "node/exchange.h"
#include "node/relay_sessions.h"

#include <stdio.h>
#include <stdlib.h>

typedef enum {
    OFFLINE,     /* no connection */
    GREETING,    /* connected; the challenge may come */
    REGISTERING, /* register is sent */
    REGISTERED,
} link_state;

struct tl_relay_link {
    const tl_identity *identity;
    tl_rand *rand;
    char hex[TL_NODE_ID_HEX + 1];
    char display_name[64];
    json_t *capabilities;
    tl_relay_link_events events;
    void *user;
    tl_relay_link_counters counters;

    link_state state;
    tl_relay_wire wire;
    void *wire_user;
    char authority[TL_HOST_MAX + 9];
    char nonce[65]; /* of the challenge; "" = the relay sent none */
    unsigned ttl;
    tl_time deadline; /* of the state, TL_NEVER in REGISTERED and OFFLINE */

    tl_relay_sessions sessions;
    /* Discoveries: the first is under way. */
    size_t n_queries;
    char queries[TL_RELAY_QUERIES_MAX][TL_MODEL_MAX];
    unsigned pages;
    tl_time query_deadline;
};

static void set_state(tl_relay_link *l, link_state state, tl_time deadline)
{
    l->state = state;
    l->deadline = deadline;
}

tl_err tl_relay_link_new(const tl_identity *identity, tl_rand *rand, const char *display_name,
                         const tl_relay_link_events *events, void *user, tl_relay_link **ret_link)
{
    tl_relay_link *l = calloc(1, sizeof *l);
    if (!l)
        return TL_ERR_NOMEM;
    *l = (tl_relay_link){.identity = identity,
                         .rand = rand,
                         .events = *events,
                         .user = user,
                         .deadline = TL_NEVER,
                         .query_deadline = TL_NEVER};
    tl_node_id_write(l->hex, &identity->id);
    snprintf(l->display_name, sizeof l->display_name, "%s", display_name);
    *ret_link = l;
    return TL_OK;
}

static void drop_sessions(tl_relay_link *l)
{
    tl_relay_session *s;
    while ((s = tl_relay_sessions_any(&l->sessions)))
        tl_relay_sessions_remove(&l->sessions, s);
}

void tl_relay_link_free(tl_relay_link *l)
{
    if (!l)
        return;
    drop_sessions(l);
    json_decref(l->capabilities);
    free(l);
}

const tl_relay_link_counters *tl_relay_link_counters_of(const tl_relay_link *l)
{
    return &l->counters;
}

bool tl_relay_link_is_registered(const tl_relay_link *l)
{
    return l->state == REGISTERED;
}

unsigned tl_relay_link_ttl(const tl_relay_link *l)
{
    return l->ttl;
}

/* --- out --- */

static tl_err send_text(tl_relay_link *l, tl_slice text)
{
    uint8_t *room;
    tl_err e = l->wire.begin(l->wire_user, text.n, &room);
    if (e)
        return e;
    memcpy(room, text.p, text.n);
    l->wire.commit(l->wire_user);
    l->counters.messages_out++;
    return TL_OK;
}

/* Sends what was written to `out`, unless writing failed (`e`); frees it. */
static tl_err send_buf(tl_relay_link *l, tl_buf *out, tl_err e)
{
    if (!e)
        e = send_text(l, tl_buf_slice(out));
    tl_buf_clear(out);
    return e;
}

static tl_err send_session(tl_relay_link *l, tl_word_type type, const char *to, const char *session)
{
    tl_buf out = {0};
    return send_buf(l, &out, tl_word_write_session(&out, type, l->hex, to, session));
}

/* Both signatures: the public network's, which replays, and ours over the challenge. */
static tl_err write_register(tl_relay_link *l, json_t **ret)
{
    tl_signature bare, proof;
    char bare_hex[2 * TL_SIGNATURE_SIZE + 1], proof_hex[2 * TL_SIGNATURE_SIZE + 1], wg[65];
    tl_hex_write(wg, l->identity->noise_public, 32);
    tl_err e = tl_sign_bare(l->identity, tl_slice_str(l->hex), &bare);
    if (e)
        return e;
    tl_signature_write(bare_hex, &bare);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:O, s:s, s:[s]}", "nodeID", l->hex, "publicKey",
                          l->hex, "wgPublicKey", wg, "displayName", l->display_name, "capabilities",
                          l->capabilities, "signature", bare_hex, "features", "quiet");
    if (!o)
        return TL_ERR_NOMEM;
    if (l->nonce[0]) {
        char body[sizeof l->nonce + sizeof l->authority + sizeof l->hex + 2];
        snprintf(body, sizeof body, "%s:%s:%s", l->nonce, l->authority, l->hex);
        e = tl_sign(l->identity, TL_SIGN_REGISTER, tl_slice_str(body), &proof);
        if (!e)
            tl_signature_write(proof_hex, &proof);
        if (!e && json_object_set_new(o, "challengeSignature", json_string(proof_hex)))
            e = TL_ERR_NOMEM;
    }
    if (e)
        json_decref(o);
    else
        *ret = o;
    return e;
}

static tl_err send_register(tl_relay_link *l)
{
    json_t *payload = NULL;
    tl_err e = write_register(l, &payload);
    if (e)
        return e;
    json_t *root = json_pack("{s:o}", "register", payload);
    tl_buf out = {0};
    e = send_buf(l, &out, root ? tl_json_write(&out, root) : TL_ERR_NOMEM);
    json_decref(root);
    return e;
}

static void begin_registering(tl_relay_link *l, tl_time now)
{
    set_state(l, REGISTERING, now + TL_RELAY_REGISTER_WITHIN);
    if (send_register(l))
        l->events.on_refused(l->user, "internal", "the registration could not be written");
}

void tl_relay_link_set_capabilities(tl_relay_link *l, json_t *capabilities)
{
    bool same = l->capabilities && json_equal(l->capabilities, capabilities);
    json_decref(l->capabilities);
    l->capabilities = capabilities;
    /* Should the wire be full, the next change or connection tells it. */
    if (!same && l->state >= REGISTERING && send_register(l))
        l->counters.ignored++;
}

/* --- discovery --- */

static tl_err send_query(tl_relay_link *l, const char *cursor, tl_time now)
{
    tl_buf out = {0};
    l->query_deadline = now + TL_RELAY_DISCOVER_WITHIN;
    return send_buf(l, &out,
                    tl_word_write_discover(&out, l->hex, l->queries[0], TL_RELAY_PAGE, cursor));
}

/* The query under way is over; the next one begins. */
static void end_query(tl_relay_link *l, bool ok, tl_time now)
{
    char model[TL_MODEL_MAX];
    while (l->n_queries) {
        memcpy(model, l->queries[0], sizeof model);
        l->n_queries--;
        memmove(l->queries[0], l->queries[1], l->n_queries * sizeof l->queries[0]);
        l->pages = 0;
        l->query_deadline = TL_NEVER;
        bool more = l->n_queries > 0;
        tl_err e = more ? send_query(l, "", now) : TL_OK;
        l->events.on_discovered(l->user, model, ok);
        if (!e)
            return;
        ok = false;
    }
}

tl_err tl_relay_link_discover(tl_relay_link *l, const char *model, tl_time now)
{
    if (l->state != REGISTERED)
        return TL_ERR_CLOSED;
    for (size_t i = 0; i < l->n_queries; i++)
        if (strcmp(l->queries[i], model) == 0)
            return TL_OK;
    if (l->n_queries == TL_RELAY_QUERIES_MAX)
        return TL_ERR_BUSY;
    snprintf(l->queries[l->n_queries++], sizeof l->queries[0], "%s", model);
    if (l->n_queries > 1)
        return TL_OK;
    tl_err e = send_query(l, "", now);
    if (e) {
        l->n_queries = 0;
        l->query_deadline = TL_NEVER;
    }
    return e;
}

/* A node whose keys do not belong together was tampered with: it is not there. */
static tl_err read_peer(const json_t *o, tl_relay_peer *ret)
{
    const char *hex = tl_json_string(o, "nodeID", ""), *key = tl_json_string(o, "publicKey", hex);
    uint8_t image[32];
    char image_hex[65];
    tl_err e = tl_node_id_parse(tl_slice_str(hex), &ret->id);
    if (!e)
        e = tl_node_id_noise_public(&ret->id, image);
    if (e)
        return e;
    tl_hex_write(image_hex, image, 32);
    if (strcmp(key, hex) != 0 || strcmp(tl_json_string(o, "wgPublicKey", ""), image_hex) != 0)
        return TL_ERR_AUTH;
    ret->name = tl_json_string(o, "displayName", "");
    ret->nat_type = tl_json_string(o, "natType", "unknown");
    ret->capabilities = json_object_get(o, "capabilities");
    return TL_OK;
}

static void on_discover_response(tl_relay_link *l, const json_t *payload, tl_time now)
{
    if (!l->n_queries) {
        l->counters.ignored++;
        return;
    }
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(payload, "peers"), i, entry)
    {
        tl_relay_peer peer;
        if (i >=
            TL_RELAY_PAGE * 5) /* a relay without paging lists them all: a bound all the same */
            break;
        if (read_peer(entry, &peer))
            l->counters.peers_refused++;
        else if (!tl_node_id_eq(&peer.id, &l->identity->id))
            l->events.on_peer(l->user, &peer);
    }
    const char *cursor = tl_json_string(payload, "cursor", "");
    if (cursor[0] && strlen(cursor) <= 256 && ++l->pages < TL_RELAY_PAGES_MAX &&
        !send_query(l, cursor, now))
        return;
    end_query(l, true, now);
}

/* --- sessions --- */

tl_err tl_relay_link_open(tl_relay_link *l, const tl_node_id *peer, tl_path_id path)
{
    if (l->state != REGISTERED)
        return TL_ERR_CLOSED;
    if (tl_relay_sessions_count(&l->sessions) >= TL_RELAY_SESSIONS_MAX)
        return TL_ERR_BUSY;
    uint8_t random[16];
    char id[33];
    tl_rand_bytes(l->rand, random, sizeof random);
    tl_hex_write(id, random, sizeof random);
    tl_relay_session *s;
    tl_err e = tl_relay_sessions_add(&l->sessions, l->hex, id, path, peer, &s);
    if (e)
        return e;
    e = send_session(l, TL_WORD_RELAY_OPEN, s->peer_hex, s->id);
    if (e)
        tl_relay_sessions_remove(&l->sessions, s);
    return e;
}

void tl_relay_link_close(tl_relay_link *l, tl_path_id path)
{
    tl_relay_session *s = tl_relay_sessions_by_path(&l->sessions, path);
    if (!s)
        return;
    /* A relay that does not hear it ends the session when it is idle. */
    if (l->state == REGISTERED && send_session(l, TL_WORD_RELAY_CLOSE, s->peer_hex, s->id))
        l->counters.ignored++;
    tl_relay_sessions_remove(&l->sessions, s);
}

static void end_session(tl_relay_link *l, tl_relay_session *s, const char *why)
{
    tl_path_id path = s->path;
    tl_relay_sessions_remove(&l->sessions, s);
    l->events.on_ended(l->user, path, why);
}

tl_err tl_relay_link_send(tl_relay_link *l, tl_path_id path, tl_slice datagram)
{
    tl_relay_session *s = tl_relay_sessions_by_path(&l->sessions, path);
    tl_err e = s && s->ready && l->state == REGISTERED ? TL_OK : TL_ERR_NOT_FOUND;
    size_t tail_n = sizeof TL_WORD_DATA_END - 1, text_n = tl_base64_size(datagram.n);
    uint8_t *room;
    if (!e)
        e = l->wire.begin(l->wire_user, s->head.len + text_n + tail_n, &room);
    if (e) {
        l->counters.datagrams_dropped++;
        return e;
    }
    memcpy(room, tl_buf_begin(&s->head), s->head.len);
    tl_base64_write(room + s->head.len, datagram);
    memcpy(room + s->head.len + text_n, TL_WORD_DATA_END, tail_n);
    l->wire.commit(l->wire_user);
    l->counters.messages_out++;
    l->counters.datagrams_out++;
    return TL_OK;
}

static void on_relay_open(tl_relay_link *l, const tl_word *w)
{
    tl_node_id from;
    tl_relay_session *s;
    if (tl_relay_sessions_by_id(&l->sessions, w->session) ||
        tl_relay_sessions_count(&l->sessions) >= TL_RELAY_SESSIONS_MAX ||
        tl_node_id_parse(tl_slice_str(w->from), &from)) {
        l->counters.ignored++;
        return;
    }
    tl_path_id path = l->events.on_asked(l->user, &from);
    if (!path || tl_relay_sessions_add(&l->sessions, l->hex, w->session, path, &from, &s)) {
        l->counters.ignored++;
        return;
    }
    s->ready = true;
    if (send_session(l, TL_WORD_RELAY_READY, s->peer_hex, s->id))
        end_session(l, s, "the connection to the relay is full");
}

static void on_relay_data(tl_relay_link *l, tl_relay_session *s, const tl_word *w, uint8_t *text)
{
    uint8_t *data = text + (w->data.p - text);
    size_t n;
    if (!s->ready || tl_word_data(data, w->data.n, &n)) {
        l->counters.malformed++;
        return;
    }
    l->counters.datagrams_in++;
    l->events.on_datagram(l->user, s->path, data, n);
}

/* `text` is where the word was read from. */
static void on_routed(tl_relay_link *l, const tl_word *w, uint8_t *text)
{
    if (strcmp(w->to, l->hex) != 0) {
        l->counters.ignored++;
        return;
    }
    if (w->type == TL_WORD_RELAY_OPEN) {
        on_relay_open(l, w);
        return;
    }
    tl_relay_session *s = tl_relay_sessions_by_id(&l->sessions, w->session);
    if (!s || strcmp(w->from, s->peer_hex) != 0) {
        l->counters.ignored++; /* of a session that is over, or a stranger's */
        return;
    }
    if (w->type == TL_WORD_RELAY_DATA) {
        on_relay_data(l, s, w, text);
    } else if (w->type == TL_WORD_RELAY_CLOSE) {
        end_session(l, s, "closed by the relay or the peer");
    } else if (!s->ready) {
        s->ready = true;
        l->events.on_ready(l->user, s->path);
    }
}

/* --- in --- */

static void on_challenge(tl_relay_link *l, const json_t *payload, tl_time now)
{
    const char *nonce = tl_json_string(payload, "nonce", "");
    uint8_t bytes[32];
    if (l->state != GREETING || tl_hex_parse(tl_slice_str(nonce), true, bytes, sizeof bytes)) {
        l->counters.ignored++;
        return;
    }
    memcpy(l->nonce, nonce, sizeof l->nonce);
    begin_registering(l, now);
}

static void on_register_ack(tl_relay_link *l, const json_t *payload)
{
    if (l->state < REGISTERING || strcmp(tl_json_string(payload, "nodeID", ""), l->hex) != 0) {
        l->counters.ignored++;
        return;
    }
    double ttl = tl_json_number(payload, "ttlSeconds", 300);
    l->ttl = ttl >= 1 && ttl <= 86400 ? (unsigned)ttl : 300;
    bool first = l->state == REGISTERING;
    set_state(l, REGISTERED, TL_NEVER);
    if (first)
        l->events.on_registered(l->user);
}

/* Which session an error is about: the one it names, else the only one it can mean. */
static tl_relay_session *session_of_error(tl_relay_link *l, const json_t *payload,
                                          const char *about)
{
    const char *id = tl_json_string(payload, "sessionID", "");
    if (id[0])
        return tl_relay_sessions_by_id(&l->sessions, id);
    return strcmp(about, "relayOpen") == 0 ? tl_relay_sessions_only_opening(&l->sessions) : NULL;
}

static void on_error(tl_relay_link *l, const json_t *payload, tl_time now)
{
    const char *code = tl_json_string(payload, "code", "");
    const char *message = tl_json_string(payload, "message", "");
    const char *about = tl_json_string(payload, "about", "");
    l->counters.errors++;
    if (strcmp(about, "discover") == 0 && l->n_queries) {
        end_query(l, false, now);
    } else if (strncmp(about, "relay", 5) == 0) {
        tl_relay_session *s = session_of_error(l, payload, about);
        char why[128];
        snprintf(why, sizeof why, "%s",
                 strcmp(code, "peer_not_found") == 0 ? "the peer is not at the relay" : code);
        if (s)
            end_session(l, s, why);
    } else if (l->state < REGISTERED || strcmp(about, "register") == 0 ||
               strcmp(code, "replaced") == 0 || strcmp(code, "not_registered") == 0 ||
               strcmp(code, "unauthorized") == 0) {
        l->events.on_refused(l->user, code, message);
    }
}

void tl_relay_link_on_text(tl_relay_link *l, uint8_t *text, size_t n, tl_time now)
{
    tl_word w;
    if (l->state == OFFLINE)
        return;
    l->counters.messages_in++;
    if (tl_word_read(tl_slice_of(text, n), &w)) {
        l->counters.malformed++;
        return;
    }
    switch (w.type) {
    case TL_WORD_CHALLENGE: on_challenge(l, w.payload, now); break;
    case TL_WORD_REGISTER_ACK: on_register_ack(l, w.payload); break;
    case TL_WORD_DISCOVER_RESPONSE: on_discover_response(l, w.payload, now); break;
    case TL_WORD_ERROR: on_error(l, w.payload, now); break;
    case TL_WORD_RELAY_OPEN:
    case TL_WORD_RELAY_READY:
    case TL_WORD_RELAY_DATA:
    case TL_WORD_RELAY_CLOSE:
        if (l->state == REGISTERED)
            on_routed(l, &w, text);
        break;
    case TL_WORD_OTHER: l->counters.ignored++; break;
    }
    tl_word_clear(&w);
}

/* --- the connection --- */

void tl_relay_link_on_open(tl_relay_link *l, const char *authority, const tl_relay_wire *wire,
                           void *wire_user, tl_time now)
{
    l->wire = *wire;
    l->wire_user = wire_user;
    l->nonce[0] = 0;
    snprintf(l->authority, sizeof l->authority, "%s", authority);
    set_state(l, GREETING, now + TL_RELAY_GREETING_WITHIN);
}

void tl_relay_link_on_closed(tl_relay_link *l)
{
    set_state(l, OFFLINE, TL_NEVER);
    l->ttl = 0;
    tl_relay_session *s;
    while ((s = tl_relay_sessions_any(&l->sessions)))
        end_session(l, s, "the connection to the relay was lost");
    l->query_deadline = TL_NEVER;
    while (l->n_queries) {
        char model[TL_MODEL_MAX];
        memcpy(model, l->queries[--l->n_queries], sizeof model);
        l->events.on_discovered(l->user, model, false);
    }
}

void tl_relay_link_on_timer(tl_relay_link *l, tl_time now)
{
    if (l->state == GREETING && now >= l->deadline)
        begin_registering(l, now); /* a relay that sends no challenge */
    else if (l->state == REGISTERING && now >= l->deadline)
        l->events.on_refused(l->user, "timeout", "the relay did not answer the registration");
    if (now >= l->query_deadline)
        end_query(l, false, now);
}

tl_time tl_relay_link_expiry(const tl_relay_link *l)
{
    return tl_time_min(l->deadline, l->query_deadline);
}
