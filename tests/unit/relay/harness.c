#include "harness.h"

#include "crypto/sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tl_addr address(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

void world_init(world *w, const tl_relay_config *config)
{
    memset(w, 0, sizeof *w);
    assert_int_equal(tl_crypto_init(), TL_OK);
    w->config = config ? *config : tl_relay_config_default();
    w->rand = tl_rand_seeded(1);
    w->now = 1000 * TL_SEC;
    w->local = address("192.0.2.1:8080");
    w->remote = address("198.51.100.7:40000");
    assert_int_equal(tl_relay_new(&w->config, &w->rand, &w->relay), TL_OK);
    tl_relay_set_wall(w->relay, 1700000000, w->now);
}

static void gone(peer *p)
{
    if (p->conn)
        tl_relay_on_gone(p->w->relay, p->conn, p->w->now);
    p->conn = NULL;
}

static void obey(const tl_relay_output *o)
{
    peer *p = o->user;
    assert_non_null(p->conn);
    switch (o->kind) {
    case TL_RELAY_SEND:
    case TL_RELAY_CLOSE: assert_int_equal(tl_buf_append(&p->waiting, o->bytes), TL_OK); break;
    case TL_RELAY_CUT:
        p->cut = true;
        gone(p);
        break;
    case TL_RELAY_PAUSE:
        assert_false(p->paused);
        p->paused = true;
        break;
    case TL_RELAY_RESUME:
        assert_true(p->paused);
        p->paused = false;
        break;
    }
    tl_relay_chunk_unref(o->shared);
}

static void keep_datagrams(world *w)
{
    const tl_bursts *b = tl_relay_bursts(w->relay);
    for (size_t i = 0; i < b->n; i++) {
        struct iovec iov[TL_BURST_SEGMENTS_MAX];
        size_t n = tl_bursts_gather(b, &b->items[i], iov);
        for (size_t k = 0; k < n; k++) {
            world_datagram d = {.to = b->items[i].way.remote, .n = iov[k].iov_len};
            assert_true(d.n <= sizeof d.bytes);
            memcpy(d.bytes, iov[k].iov_base, d.n);
            assert_int_equal(tl_buf_append(&w->sent, tl_slice_of(&d, sizeof d)), TL_OK);
        }
    }
    tl_relay_bursts_sent(w->relay);
}

bool world_take_datagram(world *w, world_datagram *ret)
{
    if (!w->sent.len)
        return false;
    memcpy(ret, tl_buf_begin(&w->sent), sizeof *ret);
    tl_buf_consume(&w->sent, sizeof *ret);
    return true;
}

static bool drain(world *w)
{
    tl_relay_output o;
    bool any = false;
    while (tl_relay_next_output(w->relay, &o)) {
        obey(&o);
        any = true;
    }
    keep_datagrams(w);
    return any;
}

static void deliver(peer *p)
{
    size_t n = p->reads ? p->waiting.len : 0;
    if (!p->conn || !p->waiting.len)
        return;
    if (n)
        assert_int_equal(tl_buf_append(&p->received, tl_buf_slice(&p->waiting)), TL_OK);
    tl_buf_consume(&p->waiting, n);
    tl_relay_on_written(p->w->relay, p->conn, n, p->w->now);
}

/* Hands over what it sent, and keeps what the relay does not take. */
static void offer_kept(peer *p)
{
    size_t n = p->kept.len, used, need;
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    if (n)
        memcpy(copy, tl_buf_begin(&p->kept), n);
    tl_relay_on_bytes(p->w->relay, p->conn, copy, n, p->w->now, &used, &need);
    drain(p->w); /* what lies in the buffer is copied here */
    free(copy);
    if (p->conn)
        tl_buf_consume(&p->kept, used);
}

static void pump(world *w)
{
    do {
        while (drain(w))
            for (size_t i = 0; i < w->n; i++)
                deliver(w->peers[i]);
        for (size_t i = 0; i < w->n; i++)
            if (w->peers[i]->conn && !w->peers[i]->paused && w->peers[i]->kept.len)
                offer_kept(w->peers[i]);
    } while (drain(w));
}

void world_datagrams(world *w, const char *from, const void *bytes, size_t n, size_t segment)
{
    tl_burst_way way = {.remote = address(from), .local = w->config.tokens.sockets[0]};
    uint8_t *copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    tl_relay_on_datagrams(w->relay, &way, copy, n, segment, w->now);
    while (drain(w)) {
    }
    memset(copy, 0xEE, n);
    free(copy);
    for (size_t i = 0; i < w->n; i++)
        deliver(w->peers[i]);
    pump(w);
}

void world_run(world *w, tl_time span)
{
    tl_time end = w->now + span, at;
    pump(w);
    while ((at = tl_relay_expiry(w->relay)) <= end) {
        if (at > w->now)
            w->now = at;
        tl_relay_on_timer(w->relay, w->now);
        pump(w);
        for (size_t i = 0; i < w->n; i++)
            deliver(w->peers[i]); /* a window may have opened since */
        pump(w);
    }
    w->now = end;
}

static void peer_free(peer *p)
{
    peer_disconnect(p);
    if (p->has_signal)
        tl_signal_clear(&p->signal);
    free(p->frame);
    tl_buf_clear(&p->kept);
    tl_buf_clear(&p->waiting);
    tl_buf_clear(&p->received);
    tl_ws_reader_clear(&p->reader);
    free(p);
}

void world_drop_last(world *w)
{
    peer_free(w->peers[--w->n]);
}

void world_clear(world *w)
{
    while (w->n)
        peer_free(w->peers[--w->n]);
    assert_int_equal(tl_relay_counters_of(w->relay)->conns_open, 0);
    assert_int_equal(tl_relay_counters_of(w->relay)->nodes_registered, 0);
    assert_int_equal(tl_relay_counters_of(w->relay)->sessions_active, 0);
    assert_int_equal(tl_relay_counters_of(w->relay)->sessions_opening, 0);
    assert_int_equal(tl_relay_counters_of(w->relay)->queue_bytes, 0);
    tl_relay_free(w->relay);
    tl_buf_clear(&w->sent);
}

peer *peer_connect(world *w, uint8_t seed)
{
    peer *p = calloc(1, sizeof *p);
    tl_signal_challenge c;
    uint8_t bytes[32];
    assert_non_null(p);
    assert_true(w->n < PEERS_MAX);
    memset(bytes, seed, sizeof bytes);
    memcpy(bytes, &w->n, seed ? 0 : sizeof w->n); /* seed 0: a key of its own */
    p->w = w;
    p->reads = true;
    assert_int_equal(tl_identity_from_seed(bytes, &p->identity), TL_OK);
    tl_node_id_write(p->node, &p->identity.id);
    tl_ws_reader_init(&p->reader, false, 8u << 20);
    assert_int_equal(tl_relay_accept(w->relay, &w->remote, &w->local, false, p, w->now, &p->conn),
                     TL_OK);
    w->peers[w->n++] = p;
    tl_relay_on_upgraded(w->relay, p->conn, w->now);
    pump(w);
    peer_expect(p, TL_SIGNAL_CHALLENGE);
    assert_int_equal(tl_signal_read_challenge(&p->signal, &c), TL_OK);
    snprintf(p->nonce, sizeof p->nonce, "%s", c.nonce);
    return p;
}

peer *peer_join(world *w, uint8_t seed, const char *extra)
{
    peer *p = peer_connect(w, seed);
    peer_register_as(p, NULL, NULL, NULL, extra);
    peer_expect(p, TL_SIGNAL_REGISTER_ACK);
    return p;
}

void peer_disconnect(peer *p)
{
    gone(p);
    pump(p->w);
}

void peer_register_as(peer *p, const char *authority, const char *nonce, const char *capabilities,
                      const char *extra)
{
    char body[400], hex[2 * TL_SIGNATURE_SIZE + 1];
    tl_signature signature;
    int n = snprintf(body, sizeof body, "%s:%s:%s", nonce ? nonce : p->nonce,
                     authority ? authority : "192.0.2.1:8080", p->node);
    assert_int_equal(
        tl_sign(&p->identity, TL_SIGN_REGISTER, tl_slice_of(body, (size_t)n), &signature), TL_OK);
    tl_signature_write(hex, &signature);
    peer_send(p,
              "{\"register\":{\"nodeID\":\"%s\",\"publicKey\":\"%s\",\"displayName\":\"n%02x\","
              "\"capabilities\":%s,\"challengeSignature\":\"%s\"%s}}",
              p->node, p->node, p->identity.seed[31], capabilities ? capabilities : "{}", hex,
              extra ? extra : "");
}

void peer_send_bytes(peer *p, const void *bytes, size_t n)
{
    assert_non_null(p->conn);
    assert_int_equal(tl_buf_append(&p->kept, tl_slice_of(bytes, n)), TL_OK);
    offer_kept(p);
    assert_true(p->paused || p->kept.len == 0);
    for (size_t i = 0; i < p->w->n; i++)
        deliver(p->w->peers[i]);
    pump(p->w);
}

void peer_send_frame(peer *p, tl_ws_opcode opcode, bool fin, const void *payload, size_t n)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    uint8_t header[TL_WS_HEADER_MAX];
    tl_buf b = {0};
    size_t header_n = tl_ws_header_write(header, opcode, fin, n, mask);
    assert_int_equal(tl_buf_append(&b, tl_slice_of(header, header_n)), TL_OK);
    assert_int_equal(tl_buf_append(&b, tl_slice_of(payload, n)), TL_OK);
    tl_ws_mask(tl_buf_begin(&b) + header_n, n, mask, 0);
    peer_send_bytes(p, tl_buf_begin(&b), b.len);
    tl_buf_clear(&b);
}

void peer_send(peer *p, const char *fmt, ...)
{
    char *text;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    assert_true(n >= 0);
    peer_send_frame(p, TL_WS_TEXT, true, text, (size_t)n);
    free(text);
}

void peer_send_session(peer *p, const char *type, const peer *to, const char *session,
                       const char *data)
{
    peer_send(p, "{\"%s\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"%s\"%s%s%s}}",
              type, p->node, to->node, session, data ? ",\"data\":\"" : "", data ? data : "",
              data ? "\"" : "");
}

/* The next message, copied into `frame`. False: there is none. */
static bool next_message(peer *p, tl_ws_event *ret_ev)
{
    tl_ws_event ev;
    for (;;) {
        tl_ws_reader_next(&p->reader, tl_buf_begin(&p->received), p->received.len, &ev);
        assert_int_not_equal(ev.kind, TL_WS_EVENT_FAIL);
        if (ev.kind == TL_WS_EVENT_MORE)
            return false;
        if (ev.kind == TL_WS_EVENT_CLOSE)
            p->closed = ev.close_code;
        free(p->frame);
        p->frame = malloc(ev.n + 1);
        assert_non_null(p->frame);
        if (ev.n)
            memcpy(p->frame, ev.payload, ev.n);
        p->frame[ev.n] = 0;
        tl_buf_consume(&p->received, ev.used);
        if (ev.kind == TL_WS_EVENT_MESSAGE)
            break;
    }
    *ret_ev = ev;
    return true;
}

tl_slice peer_take_binary(peer *p)
{
    tl_ws_event ev;
    if (!next_message(p, &ev))
        return tl_slice_of(NULL, 0);
    if (ev.opcode != TL_WS_BINARY)
        fail_msg("expected a binary message, got %s", (char *)p->frame);
    return tl_slice_of(p->frame, ev.n);
}

const tl_signal *peer_take(peer *p)
{
    tl_ws_event ev;
    if (p->has_signal)
        tl_signal_clear(&p->signal);
    p->has_signal = false;
    if (!next_message(p, &ev))
        return NULL;
    assert_int_equal(ev.opcode, TL_WS_TEXT);
    assert_int_equal(tl_signal_scan(tl_slice_of(p->frame, ev.n), TL_SIGNAL_AT_NODE, &p->signal),
                     TL_OK);
    p->has_signal = true;
    return &p->signal;
}

void peer_expect(peer *p, tl_signal_type type)
{
    const tl_signal *s = peer_take(p);
    if (!s || s->type != type)
        fail_msg("expected %s, got %s", tl_signal_type_name(type),
                 s ? (char *)p->frame : "nothing");
}

void peer_expect_error(peer *p, tl_signal_code code)
{
    tl_signal_error e;
    peer_expect(p, TL_SIGNAL_ERROR);
    assert_int_equal(tl_signal_read_error(&p->signal, &e), TL_OK);
    if (e.code != code)
        fail_msg("expected %s, got %s", tl_signal_code_name(code), (char *)p->frame);
}

void peer_expect_nothing(peer *p)
{
    if (peer_take(p))
        fail_msg("expected nothing, got %s", (char *)p->frame);
}

void peer_drop_all(peer *p)
{
    while (peer_take(p)) {
    }
}

void peers_open(peer *a, peer *b, const char *session)
{
    peer_send_session(a, "relayOpen", b, session, NULL);
    peer_expect(b, TL_SIGNAL_RELAY_OPEN);
    peer_send_session(b, "relayReady", a, session, NULL);
    peer_expect(a, TL_SIGNAL_RELAY_READY);
}
