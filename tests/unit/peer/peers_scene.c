#include "peers_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE 4096
#define STEP  (5 * TL_MS) /* one way, over the relay and over UDP */

typedef struct {
    node *to;
    const tl_addr *from; /* NULL: a text of the relay's */
    uint8_t *bytes;
    size_t n;
} parcel;

node nodes[2];
tl_time now;
bool relay_mute, udp_cut, quic_cut;
bool reads_first;
static parcel queue[QUEUE];
static size_t queued;
static tl_nat_facts facts = {.mapping = TL_MAPPING_NONE};

static node *other_of(const node *n)
{
    return &nodes[n == &nodes[0]];
}

static void post(node *to, const tl_addr *from, const void *bytes, size_t n)
{
    assert_true(queued < QUEUE);
    uint8_t *copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    queue[queued++] = (parcel){to, from, copy, n};
}

/* --- the world --- */

static tl_time env_now(void *user)
{
    (void)user;
    return now;
}

static tl_unix env_wall(void *user)
{
    (void)user;
    return 1800000000 + (tl_unix)(now / TL_SEC);
}

static void env_wake(void *user)
{
    (void)user;
}

/* --- the relay: it registers everybody and passes the rest on --- */

static tl_err wire_begin(void *user, size_t n, uint8_t **ret_room)
{
    node *x = user;
    tl_buf_clear(&x->room);
    x->room_n = n;
    return tl_buf_reserve(&x->room, n, ret_room);
}

static void wire_commit(void *user)
{
    node *x = user;
    char text[512], hex[TL_NODE_ID_HEX + 1];
    tl_buf_added(&x->room, x->room_n);
    tl_slice said = tl_buf_slice(&x->room);
    if (said.n > 11 && memcmp(said.p, "{\"register\"", 11) == 0) {
        tl_node_id_write(hex, &x->identity.id);
        snprintf(text, sizeof text,
                 "{\"registerAck\":{\"nodeID\":\"%s\",\"registeredAt\":1.5,\"ttlSeconds\":300}}",
                 hex);
        post(x, NULL, text, strlen(text));
    } else if (!relay_mute) {
        post(other_of(x), NULL, said.p, said.n);
    }
}

void relay_up(node *n)
{
    static const tl_relay_wire wire = {wire_begin, wire_commit};
    static const char challenge[] =
        "{\"challenge\":{\"nonce\":\"00112233445566778899aabbccddeeff0011"
        "2233445566778899aabbccddeeff\",\"features\":[]}}";
    n->up = true;
    tl_relay_link_on_open(n->link, "relay.example", &wire, n, now);
    post(n, NULL, challenge, sizeof challenge - 1);
}

void relay_down(node *n)
{
    n->up = false;
    tl_relay_link_on_closed(n->link);
}

static void link_registered(void *user)
{
    node *n = user;
    if (n->direct)
        tl_direct_on_registered(n->direct);
    tl_peers_on_registered(n->peers);
}

static void link_refused(void *user, const char *code, const char *message)
{
    (void)user;
    (void)message;
    fail_msg("refused: %s", code);
}

static void link_peer(void *user, const tl_relay_peer *peer)
{
    (void)user;
    (void)peer;
}

static void link_discovered(void *user, const char *model, bool ok)
{
    (void)user;
    (void)model;
    (void)ok;
}

static tl_path_id link_asked(void *user, const tl_node_id *from)
{
    return tl_peers_on_asked(((node *)user)->peers, from);
}

static void link_ready(void *user, tl_path_id path)
{
    tl_peers_on_ready(((node *)user)->peers, path);
}

static void link_ended(void *user, tl_path_id path, const char *why)
{
    tl_peers_on_ended(((node *)user)->peers, path, why);
}

static void link_datagram(void *user, tl_path_id path, uint8_t *data, size_t n)
{
    tl_peers_on_datagram(((node *)user)->peers, path, data, n);
}

static void link_signal(void *user, tl_signal_type type, const tl_node_id *from, tl_slice payload)
{
    node *n = user;
    if (n->direct)
        tl_direct_on_signal(n->direct, type, from, payload);
}

static void link_signal_failed(void *user, const char *session)
{
    (void)user;
    (void)session;
}

/* --- direct's world --- */

static const tl_direct_self *direct_self(void *user)
{
    return &((node *)user)->self;
}

static tl_err direct_signal(void *user, tl_signal_type type, const json_t *payload)
{
    return tl_relay_link_signal(((node *)user)->link, type, payload);
}

static tl_err direct_send(void *user, tl_sock sock, const tl_addr *to, const uint8_t *data,
                          size_t n, size_t segment)
{
    node *x = user, *other = other_of(x);
    (void)sock;
    if (udp_cut || !tl_addr_eq(to, &other->addr))
        return TL_OK;
    for (size_t at = 0; at < n; at += segment) {
        size_t len = n - at < segment ? n - at : segment;
        if (!quic_cut || tl_stun_is(tl_slice_of(data + at, len)))
            post(other, &x->addr, data + at, len);
    }
    return TL_OK;
}

static size_t direct_open(void *user, tl_sock *ret_socks, size_t n)
{
    (void)user;
    (void)ret_socks;
    (void)n;
    return 0;
}

static void direct_close(void *user, tl_sock sock)
{
    (void)user;
    (void)sock;
}

static bool direct_welcome(void *user, const tl_node_id *peer)
{
    (void)user;
    (void)peer;
    return true;
}

static tl_path_id direct_path(void *user, const tl_node_id *peer)
{
    return tl_peers_new_path(((node *)user)->peers, peer);
}

static void direct_path_gone(void *user, tl_path_id path)
{
    tl_peers_free_path(((node *)user)->peers, path);
}

/* --- peers' events --- */

/* Reads all there is; true: the other side is done. */
static bool read_all(tl_quic_stream *s)
{
    bool fin = false;
    tl_slice in;
    while ((in = tl_quic_stream_peek(s, &fin)).n)
        tl_quic_stream_consume(s, in.n);
    return fin;
}

static void stream_readable(tl_stream_owner *o)
{
    node *n = (node *)((char *)o - offsetof(node, owner));
    size_t taken;
    n->readable++;
    if (n->stream && read_all(n->stream))
        assert_int_equal(tl_quic_stream_write(n->stream, tl_slice_of("", 0), true, &taken), TL_OK);
}

static void stream_writable(tl_stream_owner *o)
{
    (void)o;
}

static void stream_closed(tl_stream_owner *o, const char *why)
{
    node *n = (node *)((char *)o - offsetof(node, owner));
    (void)why;
    n->closed++;
    n->stream = NULL;
}

static void peers_stream(void *user, const tl_node_id *peer, tl_quic_stream *s)
{
    node *n = user;
    assert_true(tl_node_id_eq(peer, &other_of(n)->identity.id));
    n->streams++;
    n->stream = s;
    n->owner = (tl_stream_owner){stream_readable, stream_writable, stream_readable, stream_closed};
    tl_quic_stream_set_user(s, &n->owner);
}

static void peers_joined(void *user, const tl_peer *p)
{
    (void)p;
    ((node *)user)->joined++;
}

static void peers_left(void *user, const tl_peer *p, const char *why)
{
    node *n = user;
    (void)p;
    n->left++;
    snprintf(n->why, sizeof n->why, "%s", why);
}

static void peers_path(void *user, const tl_peer *p)
{
    (void)p;
    ((node *)user)->paths++;
}

static const char *relay_wanted(void *user)
{
    node *n = user;
    n->wanted++;
    return n->hopeless;
}

static bool may_send(void *user, size_t relay)
{
    (void)relay;
    return !((node *)user)->full;
}

static uint32_t running(void *user)
{
    return user == &nodes[1] ? 3 : 1;
}

/* --- time --- */

static void deliver(void)
{
    static parcel due[QUEUE];
    size_t n = queued;
    memcpy(due, queue, n * sizeof *queue);
    queued = 0;
    for (size_t i = 0; i < n; i++) {
        const parcel *p = &due[i];
        tl_stun stun;
        tl_slice bytes = tl_slice_of(p->bytes, p->n);
        if (!p->from) {
            if (p->to->up)
                tl_relay_link_on_text(p->to->link, p->bytes, p->n, now);
        } else if (tl_stun_is(bytes)) {
            if (!tl_stun_read(bytes, &stun))
                tl_direct_on_stun(p->to->direct, 1, p->from, bytes, &stun);
        } else {
            tl_peers_on_train(p->to->peers, 1, p->from, p->bytes, p->n, p->n);
        }
        free(p->bytes);
    }
}

static void drain_direct(node *n)
{
    tl_direct_event ev;
    while (n->direct && tl_direct_next_event(n->direct, &ev))
        if (ev.type == TL_DIRECT_WAYS)
            tl_peers_on_ways(n->peers, &ev.peer);
        else
            tl_peers_on_silent(n->peers, &ev.peer);
}

void run_for(tl_time span)
{
    for (tl_time until = now + span; now < until; now += STEP) {
        deliver();
        for (int i = 0; i < 2; i++) {
            node *n = &nodes[i];
            tl_relay_link_on_timer(n->link, now);
            if (n->direct)
                tl_direct_on_timer(n->direct);
            drain_direct(n);
            if (now >= tl_peers_expiry(n->peers))
                tl_peers_on_timer(n->peers);
            tl_peers_run(n->peers);
            drain_direct(n);
            tl_peers_run(n->peers);
        }
    }
}

/* --- beginning and ending --- */

static bool keeps(void *user, const tl_node_id *peer)
{
    const node *n = user;
    assert_true(tl_node_id_eq(peer, &other_of((node *)(uintptr_t)n)->identity.id));
    return !n->useless;
}

static void node_begin(node *n, int i, bool direct)
{
    static const tl_relay_link_events link_events = {
        link_registered, link_refused, link_peer,     link_discovered, link_asked,
        link_ready,      link_ended,   link_datagram, link_signal,     link_signal_failed};
    static const tl_peers_events events = {peers_stream, peers_joined, peers_left, peers_path,
                                           relay_wanted, may_send,     running,    .keeps = keeps};
    static const tl_direct_world world = {direct_self, direct_signal,   direct_send,
                                          direct_open, direct_close,    direct_welcome,
                                          direct_path, direct_path_gone};
    tl_env env = {env_now, env_wall, env_wake, n};
    char text[32];
    snprintf(text, sizeof text, "45.13.%d.2:4000", i + 1);
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &n->addr), TL_OK);
    n->candidate = (tl_candidate){TL_CANDIDATE_HOST, n->addr, 100};
    n->self = (tl_direct_self){.sock4 = 1,
                               .port = 4000,
                               .candidates = &n->candidate,
                               .n_candidates = 1,
                               .facts = &facts,
                               .keepalive = 25 * TL_SEC};
    if (direct)
        assert_int_equal(tl_direct_new(&n->identity, &n->rand, &env, &world, n, &n->direct), TL_OK);
    assert_int_equal(
        tl_relays_new(&n->identity, &n->rand, &n->table, "n", &link_events, n, &n->relays), TL_OK);
    n->link = tl_relays_link(n->relays, 0);
    tl_peers_config config = {.identity = &n->identity,
                              .rand = &n->rand,
                              .table = &n->table,
                              .relays = n->relays,
                              .direct = n->direct,
                              .env = env,
                              .display_name = "node",
                              .connect_within = 10 * TL_SEC};
    assert_int_equal(tl_peers_new(&config, &events, n, &n->peers), TL_OK);
}

void scene_begin(bool direct)
{
    assert_int_equal(tl_crypto_init(), TL_OK);
    now = 100 * TL_SEC;
    relay_mute = udp_cut = quic_cut = false;
    memset(nodes, 0, sizeof nodes);
    for (int i = 0; i < 2; i++) {
        nodes[i].rand = tl_rand_seeded((uint64_t)i + 1);
        assert_int_equal(tl_identity_new(&nodes[i].rand, &nodes[i].identity), TL_OK);
    }
    if (tl_node_id_cmp(&nodes[0].identity.id, &nodes[1].identity.id) > 0) {
        tl_identity swap = nodes[0].identity;
        nodes[0].identity = nodes[1].identity;
        nodes[1].identity = swap;
    }
    for (int i = 0; i < 2; i++)
        node_begin(&nodes[i], i, direct);
}

void scene_end(void)
{
    for (int i = 0; i < 2; i++) {
        node *n = &nodes[i];
        tl_direct_free(n->direct);
        tl_peers_free(n->peers);
        tl_relays_free(n->relays);
        tl_peer_table_clear(&n->table);
        tl_buf_clear(&n->room);
    }
    while (queued)
        free(queue[--queued].bytes);
}

static void begin_registered(bool direct)
{
    scene_begin(direct);
    for (int i = 0; reads_first && i < 2; i++)
        tl_peer_table_get(&nodes[i].table, &nodes[1 - i].identity.id)->reads_first = true;
    relay_up(&nodes[0]);
    relay_up(&nodes[1]);
    run_for(50 * TL_MS);
    assert_true(tl_relay_link_is_registered(nodes[0].link));
}

int scene_setup(void **state)
{
    (void)state;
    begin_registered(false);
    return 0;
}

int scene_setup_direct(void **state)
{
    (void)state;
    begin_registered(true);
    return 0;
}

int scene_teardown(void **state)
{
    (void)state;
    scene_end();
    return 0;
}

/* --- wishes --- */

static void wisher_reads(tl_stream_owner *o)
{
    wisher *w = (wisher *)((char *)o - offsetof(wisher, owner));
    (void)read_all(w->stream);
}

static void wisher_ignores(tl_stream_owner *o)
{
    (void)o;
}

static void wisher_closed(tl_stream_owner *o, const char *why)
{
    wisher *w = (wisher *)((char *)o - offsetof(wisher, owner));
    w->closed++;
    w->stream = NULL;
    snprintf(w->why, sizeof w->why, "%s", why);
}

static void wish_served(tl_peer_wish *w, tl_quic_stream *s)
{
    wisher *x = (wisher *)w;
    x->served++;
    x->stream = s;
    x->owner = (tl_stream_owner){wisher_reads, wisher_ignores, wisher_ignores, wisher_closed};
    if (s)
        tl_quic_stream_set_user(s, &x->owner);
}

static void wish_failed(tl_peer_wish *w, tl_err e, const char *why)
{
    wisher *x = (wisher *)w;
    x->failed++;
    x->error = e;
    snprintf(x->why, sizeof x->why, "%s", why);
}

void wish(wisher *w, int from)
{
    bool only = w->wish.connection_only;
    *w = (wisher){.wish = {.peer = nodes[!from].identity.id,
                           .connection_only = only,
                           .on_stream = wish_served,
                           .on_failed = wish_failed}};
    assert_int_equal(tl_peers_wish(nodes[from].peers, &w->wish), TL_OK);
}

void connect_from(wisher *w, int from)
{
    wish(w, from);
    run_for(500 * TL_MS);
    assert_int_equal(w->served, 1);
    assert_int_equal(w->failed, 0);
}

void say(wisher *w)
{
    size_t n;
    assert_non_null(w->stream);
    assert_int_equal(tl_quic_stream_write(w->stream, TL_SLICE_LIT("x"), false, &n), TL_OK);
    assert_int_equal(n, 1);
}

void finish(wisher *w)
{
    size_t n;
    assert_int_equal(tl_quic_stream_write(w->stream, tl_slice_of("", 0), true, &n), TL_OK);
    run_for(100 * TL_MS);
    assert_int_equal(w->closed, 1);
}

tl_contact *contact_of(int i)
{
    return tl_contact_find(nodes[i].peers, &nodes[!i].identity.id);
}

tl_peer_conn *conn_of(int i)
{
    tl_contact *c = contact_of(i);
    return c ? tl_contact_best(c) : NULL;
}

tl_via via_of(int i)
{
    assert_non_null(conn_of(i));
    return tl_conn_via(conn_of(i));
}

size_t sessions_of(int i)
{
    return nodes[i].peers->n_sessions;
}
