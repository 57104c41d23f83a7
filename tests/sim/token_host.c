#include "token_host.h"

#include "relay/signed.h"
#include "wire/ws.h"

#include <stdio.h>
#include <stdlib.h>

static void must_ok(tl_err e)
{
    if (e)
        abort();
}

/* --- sending --- */

static void say(const token_side *to, tl_ws_opcode opcode, tl_slice payload)
{
    tl_buf frame = {0};
    if (!to->conn->conn || to->conn->epoch != to->epoch)
        return;
    must_ok(tl_ws_append(&frame, opcode, payload, NULL));
    relay_host_say(to->conn, tl_buf_slice(&frame));
    tl_buf_clear(&frame);
}

static void send_udp(token_host *h, const tl_addr *to, const uint8_t *data, size_t n)
{
    if (!h->silent)
        sim_inet_send(h->host, 1, &h->site.addr[0], to, data, n);
}

static void pass_on(token_host *h, const token_side *from_side, const token_session *s,
                    tl_slice payload)
{
    const token_side *to = &s->side[from_side == &s->side[0]];
    if (!payload.n)
        return;
    if (to->by_udp) {
        h->by_udp++;
        send_udp(h, &to->at, payload.p, payload.n);
    } else {
        h->by_websocket++;
        say(to, TL_WS_BINARY, payload);
    }
}

static token_side *side_of(token_host *h, const uint8_t token[16], token_session **ret_session)
{
    for (size_t i = 0; i < h->n; i++)
        for (int k = 0; k < 2; k++)
            if (h->sessions[i].live && memcmp(h->sessions[i].side[k].token, token, 16) == 0) {
                *ret_session = &h->sessions[i];
                return &h->sessions[i].side[k];
            }
    return NULL;
}

/* --- control datagrams --- */

static void on_migrate(token_host *h, const tl_control *c)
{
    token_session *s;
    token_side *side = side_of(h, c->token, &s);
    uint8_t bytes[TL_CONTROL_MAX];
    if (!side || !tl_control_is_fresh(c, sim_wall(h->sim)) || tl_control_verify(c, &side->node) ||
        c->sequence <= side->sequence || c->sequence <= side->pending)
        return;
    side->pending = c->sequence;
    side->pending_at = c->addr;
    tl_rand_bytes(sim_rand(h->sim), side->nonce, sizeof side->nonce);
    tl_control path = {.type = TL_CONTROL_RELAY_PATH, .sequence = c->sequence};
    memcpy(path.nonce, side->nonce, sizeof path.nonce);
    size_t n = tl_control_write(&path, bytes);
    send_udp(h, &c->addr, bytes, n);
}

static void on_reply(token_host *h, const tl_control *c, const tl_addr *from)
{
    token_session *s;
    token_side *side = side_of(h, c->token, &s);
    uint8_t bytes[TL_CONTROL_MAX];
    if (!side || !side->pending || !tl_addr_eq(from, &side->pending_at) ||
        memcmp(side->nonce, c->nonce, sizeof side->nonce) != 0)
        return;
    tl_control done = {.type = TL_CONTROL_RELAY_MIGRATED, .sequence = side->pending};
    side->bound = true;
    side->at = *from;
    side->sequence = side->pending;
    side->pending = 0;
    h->migrated++;
    size_t n = tl_control_write(&done, bytes);
    send_udp(h, from, bytes, n);
}

/* --- what comes --- */

static void on_packet(token_host *h, const tl_addr *from, relay_host_conn *conn, tl_slice packet)
{
    token_session *s;
    if (packet.n < 16) {
        h->dropped_short++;
        return;
    }
    token_side *side = side_of(h, packet.p, &s);
    if (!side) {
        h->dropped_token++;
        return;
    }
    bool own = conn ? side->conn == conn && side->epoch == conn->epoch
                    : !side->bound || tl_addr_eq(&side->at, from);
    if (!own) {
        h->dropped_source++;
        return;
    }
    side->by_udp = !conn;
    if (!conn) {
        side->bound = true;
        side->at = *from;
    }
    pass_on(h, side, s, tl_slice_of(packet.p + 16, packet.n - 16));
}

static void on_datagram(void *user, uint32_t path, uint8_t *data, size_t n)
{
    token_host *h = user;
    tl_addr from, to;
    tl_slice payload;
    tl_control c;
    tl_stun_answer answer;
    (void)path;
    if (h->silent || !sim_inet_read(data, n, &from, &to, &payload))
        return;
    if (tl_control_is(payload)) {
        if (tl_control_parse(payload, &c))
            return;
        if (c.type == TL_CONTROL_RELAY_MIGRATE)
            on_migrate(h, &c);
        else if (c.type == TL_CONTROL_RELAY_PATH_REPLY)
            on_reply(h, &c, &from);
    } else if (tl_stun_is(payload)) {
        if (tl_stunserver_on_datagram(h->stun, &h->site, 0, &from, &to, payload, sim_now(h->sim),
                                      &answer))
            send_udp(h, &from, answer.message.bytes, answer.message.n);
    } else {
        on_packet(h, &from, NULL, payload);
    }
}

static void nothing(void *user)
{
    (void)user;
}

static tl_time never(void *user)
{
    (void)user;
    return TL_NEVER;
}

/* --- the WebSockets --- */

/* The text of `key` in a message that our own code wrote. */
static bool field(tl_slice text, const char *key, char *ret, size_t cap)
{
    const char *at = memmem(text.p, text.n, key, strlen(key));
    if (!at)
        return false;
    at += strlen(key);
    size_t n = strcspn(at, "\"");
    if (n >= cap)
        return false;
    memcpy(ret, at, n);
    ret[n] = 0;
    return true;
}

static void offer(token_host *h, const token_session *s, token_side *side)
{
    char text[512], token[33], udp[TL_ADDR_TEXT_MAX];
    tl_hex_write(token, side->token, sizeof side->token);
    tl_addr_write(udp, &h->site.addr[0]);
    int n = snprintf(text, sizeof text,
                     "{\"relayOffer\":{\"sessionID\":\"%s\",\"token\":\"%s\",\"udp\":\"%s\","
                     "\"expiresAt\":0}}",
                     s->id, token, udp);
    say(side, TL_WS_TEXT, tl_slice_of(text, (size_t)n));
}

static void open_session(token_host *h, tl_slice text, relay_host_conn *opener)
{
    char hex[2][65];
    token_session *s = &h->sessions[h->n % TOKEN_HOST_SESSIONS];
    if (h->n < TOKEN_HOST_SESSIONS)
        h->n++;
    else
        for (size_t i = 0; i < TOKEN_HOST_SESSIONS; i++)
            if (!h->sessions[i].live)
                s = &h->sessions[i];
    *s = (token_session){.live = true};
    if (!field(text, "\"sessionID\":\"", s->id, sizeof s->id) ||
        !field(text, "\"fromNodeID\":\"", hex[0], sizeof hex[0]) ||
        !field(text, "\"toNodeID\":\"", hex[1], sizeof hex[1]))
        abort();
    for (int k = 0; k < 2; k++) {
        token_side *side = &s->side[k];
        side->conn = k ? opener : h->answering;
        side->epoch = side->conn->epoch;
        must_ok(tl_node_id_parse(tl_slice_str(hex[k]), &side->node));
        tl_rand_bytes(sim_rand(h->sim), side->token, sizeof side->token);
        side->token[0] = (uint8_t)(0x80 | (side->token[0] & 0x3f));
        offer(h, s, side);
    }
}

static void on_close(token_host *h, tl_slice text)
{
    char id[65];
    if (!field(text, "\"sessionID\":\"", id, sizeof id))
        return;
    for (size_t i = 0; i < h->n; i++)
        if (strcmp(h->sessions[i].id, id) == 0)
            h->sessions[i].live = false;
}

static bool has(tl_slice text, const char *what)
{
    return memmem(text.p, text.n < 40 ? text.n : 40, what, strlen(what)) != NULL;
}

static bool from_node(void *user, relay_host_conn *c, tl_ws_opcode opcode, tl_slice message)
{
    token_host *h = user;
    if (opcode == TL_WS_BINARY) {
        on_packet(h, NULL, c, message);
        return true;
    }
    if (has(message, "{\"relayReady\""))
        h->answering = c;
    if (has(message, "{\"relayClose\""))
        on_close(h, message);
    return false;
}

static void to_node(void *user, relay_host_conn *c, tl_slice frames)
{
    token_host *h = user;
    if (h->offers && has(frames, "{\"relayReady\""))
        open_session(h, frames, c);
    if (has(frames, "{\"relayClose\""))
        on_close(h, frames);
}

token_host *token_host_new(sim *s, sim_inet *in, relay_host *r, const char *ip, tl_time delay)
{
    static const sim_host_ops ops = {on_datagram, nothing, never, nothing};
    token_host *h = calloc(1, sizeof *h);
    sim_faults faults = {.delay = delay};
    if (!h || tl_stunserver_new(&h->stun))
        abort();
    h->sim = s;
    h->relay = r;
    h->offers = true;
    h->host = sim_host_new(s, &ops, h);
    sim_inet_join(in, h->host, 1, NULL, ip, &faults);
    h->site.addr[h->site.n++] = sim_addr(ip, TL_STUN_PORT);
    r->from_node = from_node;
    r->to_node = to_node;
    r->watch_user = h;
    return h;
}

void token_host_free(token_host *h)
{
    tl_stunserver_free(h->stun);
    free(h);
}

tl_addr token_host_addr(const token_host *h)
{
    return h->site.addr[0];
}

void token_host_warn(token_host *h, tl_unix ends_at)
{
    char text[256];
    for (size_t i = 0; i < h->n; i++) {
        int n = snprintf(text, sizeof text,
                         "{\"relayWarning\":{\"sessionID\":\"%s\",\"reason\":\"session_max\","
                         "\"endsAt\":%lld}}",
                         h->sessions[i].id, (long long)ends_at);
        for (int k = 0; k < 2; k++)
            if (h->sessions[i].live)
                say(&h->sessions[i].side[k], TL_WS_TEXT, tl_slice_of(text, (size_t)n));
    }
}
