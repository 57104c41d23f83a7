#include "base/base64.h"
#include "base/log.h"
#include "peer/peer_table.h"
#include "peer/relay_link_state.h"
#include "wire/signalread.h"
#include "wire/signalwrite.h"

#include <stdio.h>
#include <stdlib.h>

static void set_state(tl_relay_link *l, tl_relay_link_state state, tl_time deadline)
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
                         .page_at = TL_NEVER,
                         .again_at = TL_NEVER,
                         .query_deadline = TL_NEVER};
    tl_node_id_write(l->hex, &identity->id);
    snprintf(l->display_name, sizeof l->display_name, "%s", display_name);
    *ret_link = l;
    return TL_OK;
}

static void drop_sessions(tl_relay_link *l)
{
    tl_link_session *s;
    while ((s = tl_link_sessions_any(&l->sessions)))
        tl_link_sessions_remove(&l->sessions, s);
}

void tl_relay_link_free(tl_relay_link *l)
{
    if (!l)
        return;
    drop_sessions(l);
    tl_signal_clear(&l->page);
    tl_checked_clear(&l->checked);
    json_decref(l->capabilities);
    free(l);
}

const tl_relay_link_counters *tl_relay_link_counters_of(const tl_relay_link *l)
{
    return &l->counters;
}

bool tl_relay_link_is_registered(const tl_relay_link *l)
{
    return l->state == TL_LINK_REGISTERED;
}

unsigned tl_relay_link_ttl(const tl_relay_link *l)
{
    return l->ttl;
}

const char *tl_relay_link_udp(const tl_relay_link *l)
{
    return l->udp;
}

double tl_relay_link_date(const tl_relay_link *l)
{
    return l->date;
}

const char *tl_relay_link_observed(const tl_relay_link *l)
{
    return l->observed;
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

tl_err tl_relay_link_send_buf(tl_relay_link *l, tl_buf *out, tl_err e)
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
    return tl_relay_link_send_buf(l, &out,
                                  tl_signal_write_session(&out, type, l->hex, to, session));
}

static void begin_registering(tl_relay_link *l, tl_time now)
{
    set_state(l, TL_LINK_REGISTERING, now + TL_RELAY_REGISTER_WITHIN);
    if (tl_relay_link_register(l))
        l->events.on_refused(l->user, "internal", "the registration could not be written");
}

/* --- sessions --- */

tl_err tl_relay_link_open_with(tl_relay_link *l, const tl_node_id *peer, tl_path_id path,
                               tl_slice first)
{
    if (l->state != TL_LINK_REGISTERED)
        return TL_ERR_CLOSED;
    if (tl_link_sessions_count(&l->sessions) >= TL_RELAY_SESSIONS_MAX)
        return TL_ERR_BUSY;
    uint8_t random[16];
    char id[33];
    tl_rand_bytes(l->rand, random, sizeof random);
    tl_hex_write(id, random, sizeof random);
    tl_link_session *s;
    tl_err e = tl_link_sessions_add(&l->sessions, l->hex, tl_slice_str(id), path, peer, &s);
    if (e)
        return e;
    tl_buf out = {0};
    e = first.n ? tl_signal_write_open(&out, l->hex, s->peer_hex, s->id, first)
                : tl_signal_write_session(&out, TL_SIGNAL_RELAY_OPEN, l->hex, s->peer_hex, s->id);
    e = tl_relay_link_send_buf(l, &out, e);
    if (e)
        tl_link_sessions_remove(&l->sessions, s);
    else
        l->counters.datagrams_out += first.n > 0;
    return e;
}

void tl_relay_link_close(tl_relay_link *l, tl_path_id path)
{
    tl_link_session *s = tl_link_sessions_by_path(&l->sessions, path);
    if (!s)
        return;
    /* A relay that does not get this message ends the session after it was idle for long. */
    if (l->state == TL_LINK_REGISTERED &&
        send_session(l, TL_SIGNAL_RELAY_CLOSE, s->peer_hex, s->id))
        l->counters.ignored++;
    tl_link_sessions_remove(&l->sessions, s);
}

static void end_session(tl_relay_link *l, tl_link_session *s, const char *why)
{
    tl_path_id path = s->path;
    tl_link_sessions_remove(&l->sessions, s);
    l->events.on_ended(l->user, path, why);
}

tl_err tl_relay_link_send(tl_relay_link *l, tl_path_id path, tl_slice datagram)
{
    tl_link_session *s = tl_link_sessions_by_path(&l->sessions, path);
    tl_err e = s && s->ready && l->state == TL_LINK_REGISTERED ? TL_OK : TL_ERR_NOT_FOUND;
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

/* Declines a session at once, so that the peer does not wait for an answer. */
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

static bool on_relay_open(tl_relay_link *l, const tl_signal *m)
{
    tl_node_id from;
    tl_link_session *s;
    if (tl_link_sessions_by_id(&l->sessions, m->session) || tl_node_id_parse(m->from, &from)) {
        l->counters.ignored++;
        return false;
    }
    bool room = tl_link_sessions_count(&l->sessions) < TL_RELAY_SESSIONS_MAX;
    tl_path_id path = room ? l->events.on_asked(l->user, &from) : 0;
    if (!path || tl_link_sessions_add(&l->sessions, l->hex, m->session, path, &from, &s)) {
        refuse_session(l, m, &from);
        return false;
    }
    s->ready = true;
    if (!send_session(l, TL_SIGNAL_RELAY_READY, s->peer_hex, s->id))
        return true;
    end_session(l, s, "the connection to the relay is full");
    return false;
}

/* Decodes base64 in place. Some JSON encoders write '/' as "\/"; any other escape is an error. */
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

/* `text` holds the message's bytes. This function changes them. */
static void on_relay_data(tl_relay_link *l, tl_link_session *s, const tl_signal *m, uint8_t *text)
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

/* A datagram that rides in relayOpen or relayReady, behind which the session stands. */
static void on_first(tl_relay_link *l, const tl_signal *m, uint8_t *text)
{
    tl_link_session *s = m->data.n ? tl_link_sessions_by_id(&l->sessions, m->session) : NULL;
    if (!s)
        return;
    if (m->data.n > tl_base64_size(TL_RELAY_FIRST_MAX))
        l->counters.malformed++;
    else
        on_relay_data(l, s, m, text);
}

static void on_routed(tl_relay_link *l, const tl_signal *m, uint8_t *text)
{
    if (!tl_slice_eq(m->to, tl_slice_str(l->hex))) {
        l->counters.ignored++;
        return;
    }
    if (m->type == TL_SIGNAL_RELAY_OPEN) {
        if (on_relay_open(l, m))
            on_first(l, m, text);
        return;
    }
    tl_link_session *s = tl_link_sessions_by_id(&l->sessions, m->session);
    if (!s || !tl_slice_eq(m->from, tl_slice_str(s->peer_hex))) {
        l->counters.ignored++; /* the session is over, or belongs to another node */
        return;
    }
    if (m->type == TL_SIGNAL_RELAY_DATA) {
        on_relay_data(l, s, m, text);
    } else if (m->type == TL_SIGNAL_RELAY_CLOSE) {
        end_session(l, s, "closed by the relay or the peer");
    } else if (m->type == TL_SIGNAL_RELAY_READY && !s->ready) {
        s->ready = true;
        l->events.on_ready(l->user, s->path);
        on_first(l, m, text);
    }
}

/* --- offers, answers, candidates --- */

tl_err tl_relay_link_signal(tl_relay_link *l, tl_signal_type type, const json_t *payload)
{
    tl_buf out = {0};
    if (l->state != TL_LINK_REGISTERED)
        return TL_ERR_CLOSED;
    return tl_relay_link_send_buf(l, &out, tl_signal_write_object(&out, type, payload));
}

static void on_signal(tl_relay_link *l, const tl_signal *m)
{
    tl_node_id from;
    if (!tl_slice_eq(m->to, tl_slice_str(l->hex)) || tl_node_id_parse(m->from, &from)) {
        l->counters.ignored++;
        return;
    }
    l->counters.signals_in++;
    l->events.on_signal(l->user, m->type, &from, m->payload);
}

static bool is_about_signal(const char *about)
{
    return strcmp(about, tl_signal_type_name(TL_SIGNAL_OFFER)) == 0 ||
           strcmp(about, tl_signal_type_name(TL_SIGNAL_ANSWER)) == 0 ||
           strcmp(about, tl_signal_type_name(TL_SIGNAL_ICE_CANDIDATE)) == 0;
}

/* --- in --- */

static void on_challenge(tl_relay_link *l, const tl_signal *m, tl_time now)
{
    tl_signal_challenge c;
    if (l->state != TL_LINK_GREETING || tl_signal_read_challenge(m, &c)) {
        l->counters.ignored++;
        return;
    }
    memcpy(l->nonce, c.nonce, sizeof l->nonce);
    begin_registering(l, now);
}

/* Keeps those addresses from the relay that are well formed. */
static void keep_addresses(tl_relay_link *l, const tl_signal_ack *ack)
{
    char host[TL_HOST_MAX];
    uint16_t port;
    tl_addr observed;
    const char *udp = ack->udp ? ack->udp : "", *seen = ack->observed ? ack->observed : "";
    bool udp_ok = tl_hostport_parse(tl_slice_str(udp), 0, host, &port) == TL_OK && port != 0;
    bool seen_ok = tl_addr_parse(tl_slice_str(seen), &observed) == TL_OK;
    snprintf(l->udp, sizeof l->udp, "%s", udp_ok ? udp : "");
    snprintf(l->observed, sizeof l->observed, "%s", seen_ok ? seen : "");
}

/* Once for each number, since each change of the capabilities is registered anew. */
static void tell_cut(tl_relay_link *l, const tl_signal_ack *ack)
{
    size_t all = json_array_size(json_object_get(l->capabilities, "loadedModels"));
    size_t shown = l->models_sent;
    if (ack->models_kept >= 0 && (size_t)ack->models_kept < shown)
        shown = (size_t)ack->models_kept;
    size_t cut_to = shown < all ? shown + 1 : 0;
    if (cut_to && cut_to != l->cut_told)
        tl_log(
            TL_LOG_WARN,
            "relay: other nodes see the first %zu of our %zu models; share fewer to choose which",
            shown, all);
    l->cut_told = cut_to;
}

static void on_register_ack(tl_relay_link *l, const tl_signal *m)
{
    tl_signal_ack ack;
    if (l->state < TL_LINK_REGISTERING || tl_signal_read_ack(m, &ack) ||
        strcmp(ack.node_id, l->hex) != 0) {
        l->counters.ignored++;
        return;
    }
    l->ttl = ack.ttl_seconds;
    l->date = ack.registered_at;
    keep_addresses(l, &ack);
    tell_cut(l, &ack);
    bool first = l->state == TL_LINK_REGISTERING;
    set_state(l, TL_LINK_REGISTERED, TL_NEVER);
    if (first)
        l->events.on_registered(l->user);
}

/* teale-relay names the session in its error. Other relays do not: then the error is taken for the
 * one session that waits for its relayReady. */
static void on_session_error(tl_relay_link *l, const tl_signal_error *err)
{
    tl_link_session *s = err->session
                             ? tl_link_sessions_by_id(&l->sessions, tl_slice_str(err->session))
                             : tl_link_sessions_only_opening(&l->sessions);
    if (s && (err->session || strcmp(err->about, "relayOpen") == 0))
        end_session(l, s,
                    err->code == TL_SIGNAL_PEER_NOT_FOUND ? "the peer is not at the relay"
                                                          : tl_signal_code_name(err->code));
}

/* The public network's relay names neither the message nor the session, but the peer. */
static void on_absent(tl_relay_link *l, const char *message)
{
    static const char before[] = "Peer ", after[] = " is not connected";
    size_t n = sizeof before - 1;
    if (strncmp(message, before, n) != 0 ||
        strlen(message) != n + TL_NODE_ID_HEX + sizeof after - 1 ||
        strcmp(message + n + TL_NODE_ID_HEX, after) != 0)
        return;
    tl_link_session *s;
    while ((s = tl_link_sessions_with(&l->sessions, tl_slice_of(message + n, TL_NODE_ID_HEX))))
        end_session(l, s, "the peer is not at the relay");
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
    if (strcmp(about, "discover") == 0)
        tl_relay_link_discover_failed(l, now);
    else if (strncmp(about, "relay", 5) == 0)
        on_session_error(l, &err);
    else if (!about[0] && err.code == TL_SIGNAL_PEER_NOT_FOUND)
        on_absent(l, err.message ? err.message : "");
    else if (l->state == TL_LINK_REGISTERED && is_about_signal(about) && err.session)
        l->events.on_signal_failed(l->user, err.session);
    else if (l->state == TL_LINK_REGISTERED && err.code == TL_SIGNAL_RATE_LIMITED &&
             strcmp(about, "register") == 0)
        tl_relay_link_register_later(l, now);
    else if (l->state < TL_LINK_REGISTERED || strcmp(about, "register") == 0 ||
             err.code == TL_SIGNAL_REPLACED || err.code == TL_SIGNAL_NOT_REGISTERED)
        l->events.on_refused(l->user, err.code_text, err.message ? err.message : "");
}

void tl_relay_link_on_text(tl_relay_link *l, uint8_t *text, size_t n, tl_time now)
{
    tl_signal m;
    if (l->state == TL_LINK_OFFLINE)
        return;
    l->counters.messages_in++;
    if (tl_signal_scan(tl_slice_of(text, n), TL_SIGNAL_AT_NODE, &m)) {
        l->counters.malformed++;
        return;
    }
    switch (m.type) {
    case TL_SIGNAL_CHALLENGE: on_challenge(l, &m, now); break;
    case TL_SIGNAL_REGISTER_ACK: on_register_ack(l, &m); break;
    case TL_SIGNAL_DISCOVER_RESPONSE: tl_relay_link_on_discover_response(l, &m, now); break;
    case TL_SIGNAL_ERROR: on_error(l, &m, now); break;
    case TL_SIGNAL_RELAY_OFFER: tl_relay_link_on_relay_offer(l, &m); break;
    case TL_SIGNAL_RELAY_WARNING: tl_relay_link_on_relay_warning(l, &m); break;
    case TL_SIGNAL_RELAY_OPEN:
    case TL_SIGNAL_RELAY_READY:
    case TL_SIGNAL_RELAY_DATA:
    case TL_SIGNAL_RELAY_CLOSE:
        if (l->state == TL_LINK_REGISTERED)
            on_routed(l, &m, text);
        break;
    case TL_SIGNAL_OFFER:
    case TL_SIGNAL_ANSWER:
    case TL_SIGNAL_ICE_CANDIDATE:
        if (l->state == TL_LINK_REGISTERED)
            on_signal(l, &m);
        break;
    case TL_SIGNAL_GOODBYE:
        if (l->state == TL_LINK_REGISTERED)
            tl_relay_link_on_goodbye(l, &m);
        break;
    case TL_SIGNAL_PEER_JOINED:
    case TL_SIGNAL_PEER_LEFT:
    case TL_SIGNAL_PEERS_CHANGED:
        if (l->state == TL_LINK_REGISTERED)
            tl_relay_link_on_presence(l, &m);
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
    set_state(l, TL_LINK_GREETING, now + TL_RELAY_GREETING_WITHIN);
}

void tl_relay_link_on_closed(tl_relay_link *l)
{
    set_state(l, TL_LINK_OFFLINE, TL_NEVER);
    l->ttl = 0;
    l->udp[0] = l->observed[0] = 0;
    l->date = 0;
    l->again_at = TL_NEVER;
    tl_link_session *s;
    while ((s = tl_link_sessions_any(&l->sessions)))
        end_session(l, s, "the connection to the relay was lost");
    tl_relay_link_discover_on_closed(l);
    if (l->events.on_lost)
        l->events.on_lost(l->user);
}

void tl_relay_link_on_timer(tl_relay_link *l, tl_time now)
{
    if (l->state == TL_LINK_GREETING && now >= l->deadline) {
        begin_registering(l, now); /* a relay that sends no challenge */
    } else if (l->state == TL_LINK_REGISTERING && now >= l->deadline) {
        l->deadline = TL_NEVER; /* said once; the owner closes the connection */
        l->events.on_refused(l->user, "timeout", "the relay did not answer the registration");
    }
    tl_relay_link_register_on_timer(l, now);
    tl_relay_link_discover_on_timer(l, now);
}

tl_time tl_relay_link_expiry(const tl_relay_link *l)
{
    return tl_time_min(tl_time_min(l->deadline, l->again_at),
                       tl_time_min(l->query_deadline, l->page_at));
}
