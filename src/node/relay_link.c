#include "node/relay_link.h"

#include "base/addr.h"
#include "base/base64.h"
#include "crypto/sign.h"
#include "node/exchange.h"
#include "node/relay_sessions.h"
#include "wire/signalread.h"
#include "wire/signalwrite.h"

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
    if (text.n)
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

static tl_err send_session(tl_relay_link *l, tl_signal_type type, const char *to,
                           const char *session)
{
    tl_buf out = {0};
    return send_buf(l, &out, tl_signal_write_session(&out, type, l->hex, to, session));
}

/* Both signatures: the public network's, which replays, and ours over the challenge. */
static tl_err sign_registration(tl_relay_link *l, char bare_hex[], char proof_hex[])
{
    tl_signature bare, proof;
    char body[sizeof l->nonce + sizeof l->authority + sizeof l->hex + 2];
    tl_err e = tl_sign_bare(l->identity, tl_slice_str(l->hex), &bare);
    if (e)
        return e;
    tl_signature_write(bare_hex, &bare);
    if (!l->nonce[0])
        return TL_OK;
    snprintf(body, sizeof body, "%s:%s:%s", l->nonce, l->authority, l->hex);
    e = tl_sign(l->identity, TL_SIGN_REGISTER, tl_slice_str(body), &proof);
    if (!e)
        tl_signature_write(proof_hex, &proof);
    return e;
}

static tl_err send_register(tl_relay_link *l)
{
    char bare[2 * TL_SIGNATURE_SIZE + 1], proof[2 * TL_SIGNATURE_SIZE + 1], wg[65];
    tl_buf capabilities = {0}, out = {0};
    tl_err e = sign_registration(l, bare, proof);
    if (!e && l->capabilities)
        e = tl_json_write(&capabilities, l->capabilities);
    else if (!e)
        e = tl_buf_append_str(&capabilities, "{}");
    tl_hex_write(wg, l->identity->noise_public, 32);
    tl_signal_registration r = {.node_id = l->hex,
                                .wg_public = wg,
                                .display_name = l->display_name,
                                .capabilities = tl_buf_slice(&capabilities),
                                .signature = bare,
                                .challenge_signature = l->nonce[0] ? proof : NULL,
                                .quiet = true};
    if (!e)
        e = tl_signal_write_register(&out, &r);
    e = send_buf(l, &out, e);
    tl_buf_clear(&capabilities);
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
    tl_err e = tl_signal_write_discover(&out, l->hex, l->queries[0][0] ? l->queries[0] : NULL, 0, 0,
                                        NULL, TL_RELAY_PAGE, cursor);
    return send_buf(l, &out, e);
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
        tl_err e = more ? send_query(l, NULL, now) : TL_OK;
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
    tl_err e = send_query(l, NULL, now);
    if (e) {
        l->n_queries = 0;
        l->query_deadline = TL_NEVER;
    }
    return e;
}

/* A node whose keys do not belong together was tampered with: it is not there. */
static tl_err read_peer(const tl_signal *s, size_t i, tl_relay_peer *ret)
{
    tl_signal_peer p;
    uint8_t image[32];
    char image_hex[65];
    tl_err e = tl_signal_read_peer(s, i, &p);
    if (!e)
        e = tl_node_id_parse(tl_slice_str(p.node_id), &ret->id);
    if (!e)
        e = tl_node_id_noise_public(&ret->id, image);
    if (e)
        return e;
    tl_hex_write(image_hex, image, 32);
    if (!p.wg_public || strcmp(p.wg_public, image_hex) != 0 ||
        (p.public_key && strcmp(p.public_key, p.node_id) != 0))
        return TL_ERR_AUTH;
    ret->name = p.display_name ? p.display_name : "";
    ret->nat_type = p.nat_type ? p.nat_type : "unknown";
    ret->capabilities = p.capabilities;
    return TL_OK;
}

static void on_discover_response(tl_relay_link *l, const tl_signal *s, tl_time now)
{
    if (!l->n_queries) {
        l->counters.ignored++;
        return;
    }
    size_t n = tl_signal_peer_count(s);
    for (size_t i = 0; i < n && i < TL_RELAY_LIST_MAX; i++) {
        tl_relay_peer peer;
        if (read_peer(s, i, &peer))
            l->counters.peers_refused++;
        else if (!tl_node_id_eq(&peer.id, &l->identity->id))
            l->events.on_peer(l->user, &peer);
    }
    const char *cursor = tl_signal_next_cursor(s);
    if (cursor && ++l->pages < TL_RELAY_PAGES_MAX && !send_query(l, cursor, now))
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
    tl_err e = tl_relay_sessions_add(&l->sessions, l->hex, tl_slice_str(id), path, peer, &s);
    if (e)
        return e;
    e = send_session(l, TL_SIGNAL_RELAY_OPEN, s->peer_hex, s->id);
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
    if (l->state == REGISTERED && send_session(l, TL_SIGNAL_RELAY_CLOSE, s->peer_hex, s->id))
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
    size_t tail_n = sizeof TL_RELAY_DATA_END - 1, text_n = tl_base64_size(datagram.n);
    uint8_t *room;
    if (!e)
        e = l->wire.begin(l->wire_user, s->head.len + text_n + tail_n, &room);
    if (e) {
        l->counters.datagrams_dropped++;
        return e;
    }
    memcpy(room, tl_buf_begin(&s->head), s->head.len);
    tl_base64_write(room + s->head.len, datagram);
    memcpy(room + s->head.len + text_n, TL_RELAY_DATA_END, tail_n);
    l->wire.commit(l->wire_user);
    l->counters.messages_out++;
    l->counters.datagrams_out++;
    return TL_OK;
}

/* So that the peer need not wait to find out. */
static void refuse_session(tl_relay_link *l, const tl_signal *m, const tl_node_id *from)
{
    char hex[TL_NODE_ID_HEX + 1], id[TL_SIGNAL_SESSION_MAX + 1];
    tl_node_id_write(hex, from);
    memcpy(id, m->session.p, m->session.n);
    id[m->session.n] = 0;
    l->counters.refused++;
    if (send_session(l, TL_SIGNAL_RELAY_CLOSE, hex, id))
        l->counters.ignored++;
}

static void on_relay_open(tl_relay_link *l, const tl_signal *m)
{
    tl_node_id from;
    tl_relay_session *s;
    if (tl_relay_sessions_by_id(&l->sessions, m->session) || tl_node_id_parse(m->from, &from)) {
        l->counters.ignored++;
        return;
    }
    bool room = tl_relay_sessions_count(&l->sessions) < TL_RELAY_SESSIONS_MAX;
    tl_path_id path = room ? l->events.on_asked(l->user, &from) : 0;
    if (!path || tl_relay_sessions_add(&l->sessions, l->hex, m->session, path, &from, &s)) {
        refuse_session(l, m, &from);
        return;
    }
    s->ready = true;
    if (send_session(l, TL_SIGNAL_RELAY_READY, s->peer_hex, s->id))
        end_session(l, s, "the connection to the relay is full");
}

/* base64 in place. Some encoders write every '/' as "\/"; no other escape has a place in it. */
static tl_err decode_data(uint8_t *text, size_t n, size_t *ret_n)
{
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

/* `text` is what the message was read from, and may be changed. */
static void on_relay_data(tl_relay_link *l, tl_relay_session *s, const tl_signal *m, uint8_t *text)
{
    uint8_t *data = text + (m->data.p - text);
    size_t n;
    if (!s->ready || decode_data(data, m->data.n, &n)) {
        l->counters.malformed++;
        return;
    }
    l->counters.datagrams_in++;
    l->events.on_datagram(l->user, s->path, data, n);
}

static void on_routed(tl_relay_link *l, const tl_signal *m, uint8_t *text)
{
    if (!tl_slice_eq(m->to, tl_slice_str(l->hex))) {
        l->counters.ignored++;
        return;
    }
    if (m->type == TL_SIGNAL_RELAY_OPEN) {
        on_relay_open(l, m);
        return;
    }
    tl_relay_session *s = tl_relay_sessions_by_id(&l->sessions, m->session);
    if (!s || !tl_slice_eq(m->from, tl_slice_str(s->peer_hex))) {
        l->counters.ignored++; /* of a session that is over, or a stranger's */
        return;
    }
    if (m->type == TL_SIGNAL_RELAY_DATA) {
        on_relay_data(l, s, m, text);
    } else if (m->type == TL_SIGNAL_RELAY_CLOSE) {
        end_session(l, s, "closed by the relay or the peer");
    } else if (m->type == TL_SIGNAL_RELAY_READY && !s->ready) {
        s->ready = true;
        l->events.on_ready(l->user, s->path);
    }
}

/* --- in --- */

static void on_challenge(tl_relay_link *l, const tl_signal *m, tl_time now)
{
    tl_signal_challenge c;
    if (l->state != GREETING || tl_signal_read_challenge(m, &c)) {
        l->counters.ignored++;
        return;
    }
    memcpy(l->nonce, c.nonce, sizeof l->nonce);
    begin_registering(l, now);
}

static void on_register_ack(tl_relay_link *l, const tl_signal *m)
{
    tl_signal_ack ack;
    if (l->state < REGISTERING || tl_signal_read_ack(m, &ack) || strcmp(ack.node_id, l->hex) != 0) {
        l->counters.ignored++;
        return;
    }
    l->ttl = ack.ttl_seconds;
    bool first = l->state == REGISTERING;
    set_state(l, REGISTERED, TL_NEVER);
    if (first)
        l->events.on_registered(l->user);
}

/* Our relay names the session; another's error can only mean the one that waits. */
static void on_session_error(tl_relay_link *l, const tl_signal_error *err)
{
    tl_relay_session *s = err->session
                              ? tl_relay_sessions_by_id(&l->sessions, tl_slice_str(err->session))
                              : tl_relay_sessions_only_opening(&l->sessions);
    if (s && (err->session || strcmp(err->about, "relayOpen") == 0))
        end_session(l, s,
                    err->code == TL_SIGNAL_PEER_NOT_FOUND ? "the peer is not at the relay"
                                                          : tl_signal_code_name(err->code));
}

static void on_error(tl_relay_link *l, const tl_signal *m, tl_time now)
{
    tl_signal_error err;
    l->counters.errors++;
    if (tl_signal_read_error(m, &err)) {
        l->counters.malformed++;
        return;
    }
    const char *about = err.about ? err.about : "";
    err.about = about;
    if (strcmp(about, "discover") == 0 && l->n_queries)
        end_query(l, false, now);
    else if (strncmp(about, "relay", 5) == 0)
        on_session_error(l, &err);
    else if (l->state < REGISTERED || strcmp(about, "register") == 0 ||
             err.code == TL_SIGNAL_REPLACED || err.code == TL_SIGNAL_NOT_REGISTERED)
        l->events.on_refused(l->user, err.code_text, err.message ? err.message : "");
}

void tl_relay_link_on_text(tl_relay_link *l, uint8_t *text, size_t n, tl_time now)
{
    tl_signal m;
    if (l->state == OFFLINE)
        return;
    l->counters.messages_in++;
    if (tl_signal_scan(tl_slice_of(text, n), TL_SIGNAL_AT_NODE, &m)) {
        l->counters.malformed++;
        return;
    }
    switch (m.type) {
    case TL_SIGNAL_CHALLENGE: on_challenge(l, &m, now); break;
    case TL_SIGNAL_REGISTER_ACK: on_register_ack(l, &m); break;
    case TL_SIGNAL_DISCOVER_RESPONSE: on_discover_response(l, &m, now); break;
    case TL_SIGNAL_ERROR: on_error(l, &m, now); break;
    case TL_SIGNAL_RELAY_OPEN:
    case TL_SIGNAL_RELAY_READY:
    case TL_SIGNAL_RELAY_DATA:
    case TL_SIGNAL_RELAY_CLOSE:
        if (l->state == REGISTERED)
            on_routed(l, &m, text);
        break;
    default: l->counters.ignored++; break;
    }
    tl_signal_clear(&m);
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
