#include "relay_host.h"

#include "wire/ws.h"

#include <stdlib.h>

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static void send_frames(relay_host *r, relay_host_conn *c, tl_slice frames)
{
    size_t cap = 1 + frames.n + 256;
    uint8_t *copy = must(malloc(cap));
    copy[0] = c->epoch;
    memcpy(copy + 1, frames.p, frames.n);
    size_t n = frames.n;
    if (r->tamper)
        r->tamper(r->tamper_user, copy + 1, &n, cap - 1);
    sim_send(r->host, c->path, copy, 1 + n);
    free(copy);
}

void relay_host_say(relay_host_conn *c, tl_slice frame)
{
    uint8_t *copy = must(malloc(1 + frame.n));
    copy[0] = c->epoch;
    memcpy(copy + 1, frame.p, frame.n);
    if (c->conn)
        sim_send(c->host->host, c->path, copy, 1 + frame.n);
    free(copy);
}

/* One cut connection is gone when its handle was told so; others may follow from it. */
void relay_host_drain(relay_host *r)
{
    tl_relay_output o;
    while (tl_relay_next_output(r->relay, &o)) {
        relay_host_conn *c = o.user;
        bool live = c->conn == o.conn;
        if (live && (o.kind == TL_RELAY_SEND || o.kind == TL_RELAY_CLOSE)) {
            send_frames(r, c, o.bytes);
            tl_relay_on_written(r->relay, o.conn, o.bytes.n, sim_now(r->sim));
        }
        if (o.shared)
            tl_relay_chunk_unref(o.shared);
        if (live && o.kind == TL_RELAY_CUT)
            relay_host_disconnect(c);
    }
    if (r->send_bursts)
        r->send_bursts(r->bursts_user, tl_relay_bursts(r->relay));
    tl_relay_bursts_sent(r->relay);
}

static void on_datagram(void *user, uint32_t path, uint8_t *data, size_t n)
{
    relay_host *r = user;
    relay_host_conn *c = &r->conns[path - 1];
    size_t used, need;
    if (!c->conn || n < 1 || data[0] != c->epoch)
        return;
    tl_relay_on_bytes(r->relay, c->conn, data + 1, n - 1, sim_now(r->sim), &used, &need);
    relay_host_drain(r);
}

static void on_timer(void *user)
{
    relay_host *r = user;
    tl_relay_on_timer(r->relay, sim_now(r->sim));
    relay_host_drain(r);
}

static tl_time expiry(void *user)
{
    return tl_relay_expiry(((relay_host *)user)->relay);
}

static void flush(void *user)
{
    relay_host_drain(user);
}

static void start(relay_host *r)
{
    tl_relay_config config = tl_relay_config_default();
    if (r->limits.on)
        config.limits = r->limits;
    if (r->udp.family) {
        tl_addr_write(config.udp, &r->udp);
        config.tokens.socket_count = 1;
        config.tokens.sockets[0] = r->udp;
    }
    if (tl_relay_config_add_name(&config, RELAY_HOST_NAME) ||
        tl_relay_new(&config, sim_rand(r->sim), &r->relay))
        abort();
    tl_relay_set_wall(r->relay, sim_wall(r->sim), sim_now(r->sim));
}

relay_host *relay_host_new(sim *s)
{
    static const sim_host_ops ops = {on_datagram, on_timer, expiry, flush};
    relay_host *r = must(calloc(1, sizeof *r));
    r->sim = s;
    start(r);
    r->host = sim_host_new(s, &ops, r);
    return r;
}

relay_host_conn *relay_host_plug(relay_host *r, sim_host *node, tl_time delay)
{
    return relay_host_plug_as(r, node, 1, delay);
}

relay_host_conn *relay_host_plug_as(relay_host *r, sim_host *node, uint32_t path, tl_time delay)
{
    if (r->n == RELAY_HOST_CONNS)
        abort();
    relay_host_conn *c = &r->conns[r->n++];
    sim_faults faults = {.delay = delay};
    *c = (relay_host_conn){.host = r, .path = (uint32_t)r->n};
    c->link = sim_link_new(r->sim, node, path, r->host, c->path, &faults);
    return c;
}

void relay_host_connect(relay_host_conn *c)
{
    relay_host *r = c->host;
    tl_addr remote = {
        .family = TL_ADDR_V4, .port = (uint16_t)(1000 + c->path), .bytes = {192, 0, 2, 1}};
    tl_addr local = {.family = TL_ADDR_V4, .port = 80, .bytes = {192, 0, 2, 2}};
    c->epoch++;
    if (tl_relay_accept(r->relay, &remote, &local, true, c, sim_now(r->sim), &c->conn))
        abort();
    tl_relay_on_upgraded(r->relay, c->conn, sim_now(r->sim));
    sim_wake(r->host);
}

void relay_host_disconnect(relay_host_conn *c)
{
    relay_host *r = c->host;
    tl_relay_conn *conn = c->conn;
    if (!conn)
        return;
    c->conn = NULL;
    tl_relay_on_gone(r->relay, conn, sim_now(r->sim));
    relay_host_drain(r);
}

void relay_host_restart(relay_host *r)
{
    for (size_t i = 0; i < r->n; i++)
        relay_host_disconnect(&r->conns[i]);
    tl_relay_free(r->relay);
    start(r);
}

void relay_host_free(relay_host *r)
{
    for (size_t i = 0; i < r->n; i++)
        relay_host_disconnect(&r->conns[i]);
    tl_relay_free(r->relay);
    free(r);
}
