#include "relay_client_scene.h"

#include "net/portal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a loop that stands still --- */

tl_loop loop;

tl_time tl_loop_now(const tl_loop *l)
{
    return l->now;
}

tl_time tl_loop_clock(tl_loop *l)
{
    return l->now;
}

void tl_timer_init(tl_timer *t, tl_loop *l, void (*on_due)(void *user), void *user)
{
    *t = (tl_timer){.loop = l, .on_due = on_due, .user = user, .at = TL_NEVER};
    assert_true(l->n < sizeof l->timers / sizeof *l->timers);
    l->timers[l->n++] = t;
}

void tl_timer_set(tl_timer *t, tl_time at)
{
    t->at = at;
}

void tl_timer_stop(tl_timer *t)
{
    t->at = TL_NEVER;
}

tl_timer *next_timer(void)
{
    tl_timer *next = loop.timers[0];
    for (size_t i = 1; i < loop.n; i++)
        if (loop.timers[i]->at < next->at)
            next = loop.timers[i];
    return next;
}

void run_for(tl_time span)
{
    tl_time until = loop.now + span;
    tl_timer *t;
    unsigned turns = 0;
    while ((t = next_timer())->at <= until) {
        loop.now = t->at > loop.now ? t->at : loop.now;
        t->at = TL_NEVER;
        t->on_due(t->user);
        assert_true(++turns < 10000);
    }
    loop.now = until;
}

/* --- a WebSocket to nowhere --- */

struct fake_net net;

tl_err tl_wsclient_connect(tl_loop *l, const tl_wsurl *url, const tl_proxy *proxy, tl_tls *tls,
                           tl_rand *rand, const tl_wsclient_events *events, void *user,
                           tl_wsclient **ret_ws)
{
    (void)rand;
    net.proxy = *proxy;
    assert_null(net.ws); /* one at a time */
    assert_int_equal(tls != NULL, url->tls);
    net.dials++;
    net.dialled_at = l->now;
    snprintf(net.authority, sizeof net.authority, "%s", url->authority);
    if (net.no_memory)
        return TL_ERR_NOMEM;
    net.ws = calloc(1, sizeof *net.ws);
    assert_non_null(net.ws);
    net.ws->events = events;
    net.ws->user = user;
    *ret_ws = net.ws;
    return TL_OK;
}

bool tl_wsclient_is_authentic(const tl_wsclient *ws)
{
    assert_ptr_equal(ws, net.ws);
    return net.authentic;
}

/* --- a question for a portal that the test answers --- */

tl_err tl_portal_start(tl_loop *l, tl_rand *rand, const tl_wsurl *url, bool strange,
                       void (*on_done)(void *user, const char *login), void *user,
                       tl_portal **ret_portal)
{
    (void)l, (void)rand;
    assert_null(net.on_portal);
    net.portals++;
    net.strange = strange;
    snprintf(net.portal_host, sizeof net.portal_host, "%s", url->host);
    net.on_portal = on_done;
    net.portal_user = user;
    *ret_portal = (tl_portal *)&net;
    return TL_OK;
}

void tl_portal_free(tl_portal *p)
{
    if (p)
        net.on_portal = NULL;
}

void portal(const char *login)
{
    assert_non_null(net.on_portal);
    net.on_portal(net.portal_user, login);
}

void tl_wsclient_free(tl_wsclient *ws)
{
    if (!ws)
        return;
    assert_ptr_equal(ws, net.ws);
    tl_buf_clear(&ws->room);
    free(ws);
    net.ws = NULL;
    net.freed++;
}

tl_err tl_wsclient_begin(tl_wsclient *ws, tl_ws_opcode opcode, size_t n, uint8_t **ret_room)
{
    assert_int_equal(opcode, TL_WS_TEXT);
    if (net.stuck)
        return TL_ERR_BUSY;
    tl_buf_clear(&ws->room);
    ws->room_n = n;
    return tl_buf_reserve(&ws->room, n, ret_room);
}

void tl_wsclient_commit(tl_wsclient *ws)
{
    tl_buf_added(&ws->room, ws->room_n);
    snprintf(net.said, sizeof net.said, "%.*s", (int)ws->room.len,
             (const char *)tl_buf_begin(&ws->room));
    net.texts++;
}

tl_err tl_wsclient_send(tl_wsclient *ws, tl_ws_opcode opcode, tl_slice payload)
{
    (void)payload;
    assert_ptr_equal(ws, net.ws);
    assert_int_equal(opcode, TL_WS_PING);
    if (net.stuck)
        return TL_ERR_BUSY;
    net.pings++;
    return TL_OK;
}

bool tl_wsclient_is_full(const tl_wsclient *ws)
{
    assert_ptr_equal(ws, net.ws);
    return net.full;
}

void tl_wsclient_close(tl_wsclient *ws, uint16_t code, const char *reason)
{
    assert_ptr_equal(ws, net.ws);
    net.closes++;
    net.code = code;
    snprintf(net.reason, sizeof net.reason, "%s", reason);
}

/* --- the client under test --- */

static tl_rand rng;
static tl_identity identity;
static tl_relay_link *link_;
tl_relay_client *client;
tl_relay_client_config config;
unsigned states, writable;

static void on_state(void *user)
{
    (void)user;
    states++;
}

static void on_writable(void *user)
{
    (void)user;
    writable++;
}

static void link_registered(void *user)
{
    (void)user;
    tl_relay_client_registered(client);
}

static void link_refused(void *user, const char *code, const char *message)
{
    (void)user;
    tl_relay_client_refused(client, code, message);
}

void begin(uint64_t seed)
{
    static const tl_relay_link_events link_events = {.on_registered = link_registered,
                                                     .on_refused = link_refused};
    static const tl_relay_client_events events = {on_state, on_writable};
    memset(&net, 0, sizeof net);
    loop = (tl_loop){.now = 1000 * TL_SEC};
    rng = tl_rand_seeded(seed);
    states = writable = 0;
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_new(&rng, &identity), TL_OK);
    assert_int_equal(tl_relay_link_new(&identity, &rng, "n", &link_events, NULL, &link_), TL_OK);
    assert_int_equal(tl_relay_client_new(&loop, &rng, link_, &events, NULL, &client), TL_OK);
    memset(&config, 0, sizeof config);
}

void end(void)
{
    tl_relay_client_free(client);
    tl_relay_link_free(link_);
    assert_null(net.ws);
}

int setup(void **state)
{
    (void)state;
    begin(1);
    return 0;
}

int teardown(void **state)
{
    (void)state;
    end();
    return 0;
}

void name(const char *url)
{
    snprintf(config.urls[config.n_urls++], sizeof config.urls[0], "%s", url);
}

tl_err try_start(tl_why *ret_why)
{
    return tl_relay_client_start(client, &config, ret_why);
}

void start(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char url[64];
        snprintf(url, sizeof url, "ws://127.0.0.1:%u/ws", 8001 + i);
        name(url);
    }
    assert_int_equal(try_start(NULL), TL_OK);
    run_for(0);
    assert_int_equal(net.dials, 1);
}

void hear(const char *text)
{
    char copy[4096];
    assert_non_null(net.ws);
    snprintf(copy, sizeof copy, "%s", text);
    net.ws->events->on_message(net.ws->user, TL_WS_TEXT, (uint8_t *)copy, strlen(copy));
}

void opened(void)
{
    assert_non_null(net.ws);
    net.ws->events->on_open(net.ws->user);
}

void challenge(void)
{
    hear(
        "{\"challenge\":{\"nonce\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddee"
        "ff\",\"features\":[]}}");
}

void ack(unsigned ttl)
{
    char text[256], hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &identity.id);
    snprintf(text, sizeof text,
             "{\"registerAck\":{\"nodeID\":\"%s\",\"registeredAt\":1.5,\"ttlSeconds\":%u}}", hex,
             ttl);
    hear(text);
}

void pong(void)
{
    assert_non_null(net.ws);
    net.ws->events->on_pong(net.ws->user, tl_slice_of("t", 1));
}

void welcome(void)
{
    opened();
    challenge();
    ack(300);
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTED);
    run_for(0);
    run_for(30 * TL_MS);
    pong();
}

void closed(const char *why)
{
    assert_non_null(net.ws);
    net.ws->events->on_closed(net.ws->user, TL_ERR_CLOSED, 0, why);
}

void hold(tl_time span)
{
    for (tl_time until = loop.now + span; loop.now < until;) {
        unsigned pings = net.pings;
        run_for(until - loop.now < TL_SEC ? until - loop.now : TL_SEC);
        if (net.pings > pings)
            pong();
    }
}

tl_time next_dial(void)
{
    unsigned dials = net.dials;
    tl_time from = loop.now;
    while (net.dials == dials) {
        assert_int_not_equal(next_timer()->at, TL_NEVER);
        run_for(next_timer()->at > loop.now ? next_timer()->at - loop.now : 0);
    }
    return net.dialled_at - from;
}
