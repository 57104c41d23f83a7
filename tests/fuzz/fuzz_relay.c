/* A relay and eight connections, driven by a script of bytes: who connects, registers, opens,
 * sends, stops reading, leaves, and what time it is. Whatever happens, the frames that come out
 * must be legal, concern connections that exist, and in the end nothing may be left. */
#include "crypto/sign.h"
#include "relay/relay.h"
#include "wire/signal.h"
#include "wire/ws.h"

#include <stdio.h>
#include <stdlib.h>

#define CONNS      8
#define KEYS       4 /* so that some connections are the same node */
#define REQUIRE(x) ((x) ? (void)0 : abort())

typedef struct {
    tl_relay_conn *conn;
    int key;
    char nonce[65];
    bool reads;
    tl_buf waiting, received;
    tl_ws_reader reader;
} vconn;

typedef struct {
    tl_relay *relay;
    tl_rand rand;
    tl_time now;
    tl_addr addr;
    vconn v[CONNS];
    const uint8_t *p, *end;
} script;

static tl_identity keys[KEYS];
static char hex[KEYS][65];

static uint8_t next(script *s)
{
    return s->p < s->end ? *s->p++ : 0;
}

static void gone(script *s, vconn *v)
{
    if (!v->conn)
        return;
    tl_relay_on_gone(s->relay, v->conn, s->now);
    v->conn = NULL;
    tl_buf_clear(&v->waiting);
    tl_buf_clear(&v->received);
    tl_ws_reader_clear(&v->reader);
}

static void drain(script *s)
{
    tl_relay_output o;
    while (tl_relay_next_output(s->relay, &o)) {
        vconn *v = o.user;
        REQUIRE(v->conn && v->conn == o.conn);
        if (o.bytes.n)
            REQUIRE(!tl_buf_append(&v->waiting, o.bytes));
        tl_relay_chunk_unref(o.shared);
        if (o.kind == TL_RELAY_CUT)
            gone(s, v);
    }
}

/* What comes out are legal frames, and legal messages in them. */
static void look(vconn *v)
{
    tl_ws_event ev;
    for (;;) {
        tl_ws_reader_next(&v->reader, tl_buf_begin(&v->received), v->received.len, &ev);
        REQUIRE(ev.kind != TL_WS_EVENT_FAIL && ev.kind != TL_WS_EVENT_PART);
        if (ev.kind == TL_WS_EVENT_MORE)
            return;
        if (ev.kind == TL_WS_EVENT_MESSAGE) {
            tl_signal m;
            REQUIRE(ev.opcode == TL_WS_TEXT);
            REQUIRE(!tl_signal_scan(tl_slice_of(ev.payload, ev.n), TL_SIGNAL_AT_NODE, &m));
            if (m.type == TL_SIGNAL_CHALLENGE)
                snprintf(v->nonce, sizeof v->nonce, "%s", tl_json_string(m.object, "nonce", ""));
            tl_signal_clear(&m);
        }
        tl_buf_consume(&v->received, ev.used);
    }
}

static void flush(script *s)
{
    drain(s);
    for (int i = 0; i < CONNS; i++) {
        vconn *v = &s->v[i];
        size_t n = v->reads ? v->waiting.len : 0;
        if (!v->conn || !v->waiting.len)
            continue;
        if (n)
            REQUIRE(!tl_buf_append(&v->received, tl_buf_slice(&v->waiting)));
        tl_buf_consume(&v->waiting, n);
        tl_relay_on_written(s->relay, v->conn, n, s->now);
        drain(s);
        if (v->conn)
            look(v);
    }
}

static void feed(script *s, vconn *v, uint8_t *bytes, size_t n)
{
    size_t used, need;
    if (v->conn) {
        tl_relay_on_bytes(s->relay, v->conn, bytes, n, s->now, &used, &need);
        REQUIRE(used <= n && need >= 2);
        drain(s);
    }
}

static void send_text(script *s, vconn *v, const char *text, size_t n)
{
    static const uint8_t mask[4] = {7, 6, 5, 4};
    tl_buf b = {0};
    REQUIRE(!tl_ws_append(&b, TL_WS_TEXT, tl_slice_of(text, n), mask));
    feed(s, v, tl_buf_begin(&b), b.len);
    tl_buf_clear(&b);
}

static void come(script *s, vconn *v)
{
    if (v->conn || tl_relay_accept(s->relay, &s->addr, &s->addr, false, v, s->now, &v->conn))
        return;
    v->reads = true;
    v->key = next(s) % KEYS;
    tl_ws_reader_init(&v->reader, false, 1 << 20);
    tl_relay_on_upgraded(s->relay, v->conn, s->now);
}

static void do_register(script *s, vconn *v)
{
    char body[300], sig[129], text[1200];
    tl_signature signature;
    uint8_t how = next(s);
    int n = snprintf(body, sizeof body, "%s:%s:%s", v->nonce,
                     how & 1 ? "elsewhere" : "192.0.2.1:80", hex[v->key]);
    REQUIRE(!tl_sign(&keys[v->key], TL_SIGN_REGISTER, tl_slice_of(body, (size_t)n), &signature));
    tl_signature_write(sig, &signature);
    n = snprintf(text, sizeof text,
                 "{\"register\":{\"nodeID\":\"%s\",\"publicKey\":\"%s\",\"displayName\":\"x\","
                 "\"capabilities\":{},"
                 "\"challengeSignature\":\"%s\"%s}}",
                 hex[v->key], hex[v->key], sig, how & 2 ? ",\"features\":[\"quiet\"]" : "");
    if (!(how & 4)) /* mostly right */
        send_text(s, v, text, (size_t)n);
}

static void do_route(script *s, vconn *v, const char *type)
{
    static char text[40000];
    uint8_t who = next(s), session = next(s) % 4;
    size_t size = next(s) * 100u;
    int n = snprintf(
        text, 1000,
        "{\"%s\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"s%d\",\"data\":\"",
        type, hex[(who & 0x80 ? who : (uint8_t)v->key) % KEYS], hex[who % KEYS], session);
    memset(text + n, 'A', size);
    memcpy(text + n + size, "\"}}", 3);
    send_text(s, v, text, (size_t)n + size + 3);
}

static void do_bytes(script *s, vconn *v)
{
    size_t n = next(s);
    if (n > (size_t)(s->end - s->p))
        n = (size_t)(s->end - s->p);
    uint8_t *copy = malloc(n ? n : 1);
    REQUIRE(copy);
    memcpy(copy, s->p, n);
    s->p += n;
    if (n & 1)
        send_text(s, v, (const char *)copy, n);
    else
        feed(s, v, copy, n);
    free(copy);
}

static void step(script *s)
{
    static const char *const types[] = {"relayOpen", "relayReady", "relayData", "relayClose"};
    uint8_t op = next(s);
    vconn *v = &s->v[op % CONNS];
    switch (op / CONNS % 12) {
    case 0: come(s, v); break;
    case 1: do_register(s, v); break;
    case 2:
    case 3:
    case 4:
    case 5: do_route(s, v, types[op / CONNS % 12 - 2]); break;
    case 6: do_bytes(s, v); break;
    case 7: v->reads = !v->reads; break;
    case 8: gone(s, v); break;
    case 9: s->now += next(s) * 10 * TL_MS; break;
    case 10: s->now += next(s) * TL_SEC; break;
    default:
        if (next(s) == 0xFF)
            tl_relay_shutdown(s->relay, s->now);
        break;
    }
    flush(s);
    if (tl_relay_expiry(s->relay) <= s->now) {
        tl_relay_on_timer(s->relay, s->now);
        REQUIRE(tl_relay_expiry(s->relay) > s->now);
        flush(s);
    }
}

static void make_keys(void)
{
    REQUIRE(!tl_crypto_init());
    for (uint8_t i = 0; i < KEYS; i++) {
        uint8_t seed[32] = {i, 1};
        REQUIRE(!tl_identity_from_seed(seed, &keys[i]));
        tl_node_id_write(hex[i], &keys[i].id);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    script s = {.rand = tl_rand_seeded(1), .now = TL_SEC, .p = data, .end = data + n};
    tl_relay_config config = tl_relay_config_default();
    const tl_relay_counters *c;
    if (!hex[0][0])
        make_keys();
    config.queue_max = 50000;
    config.message_max = 30000;
    config.sessions_per_node_max = 3;
    REQUIRE(!tl_addr_parse(TL_SLICE_LIT("192.0.2.1:80"), &s.addr));
    REQUIRE(!tl_relay_config_add_name(&config, "192.0.2.1:80"));
    REQUIRE(!tl_relay_new(&config, &s.rand, &s.relay));
    for (int i = 0; i < 300 && s.p < s.end; i++)
        step(&s);
    for (int i = 0; i < CONNS; i++)
        gone(&s, &s.v[i]);
    c = tl_relay_counters_of(s.relay);
    REQUIRE(!c->conns_open && !c->nodes_registered && !c->sessions_active && !c->sessions_opening &&
            !c->queue_bytes);
    tl_relay_free(s.relay);
    return 0;
}
