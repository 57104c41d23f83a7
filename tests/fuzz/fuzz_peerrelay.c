/* A node that relays, and four nodes and strangers that write to it. Each step of the input is: what (1
 * byte), who (1 byte), how long (1 byte), the bytes. */
#include "relay/peerrelay.h"
#include "relay/signed.h"

#include <stdlib.h>

#define WALL  1790000000
#define NODES 4

typedef struct {
    tl_peerrelay *r;
    tl_rand rand;
    tl_identity self, id[NODES];
    tl_time now;
    uint64_t in, out;
    uint8_t token[2 * NODES][TL_TOKEN_SIZE]; /* of the last offers */
    size_t n_tokens;
} scene;

static void check(bool holds)
{
    if (!holds)
        abort();
}

static tl_addr address(uint8_t who)
{
    return (tl_addr){
        .family = TL_ADDR_V4, .port = 1000, .bytes = {198, 18, 0, (uint8_t)(10 + who % 8)}};
}

static bool serves(void *user, const tl_node_id *a, const tl_node_id *b)
{
    (void)user, (void)a;
    return a->key[0] != b->key[0];
}

static bool admits(void *user, const tl_node_id *node)
{
    (void)user, (void)node;
    return true;
}

static bool is_reciprocal(void *user, const tl_node_id *node)
{
    (void)user;
    return node->key[1] & 1;
}

static bool is_ours(void *user, const tl_addr *addr)
{
    (void)user;
    return addr->bytes[3] == 17; /* the last of them is a relay of ours */
}

static bool find(void *user, const tl_node_id *node, tl_burst_way *ret_way)
{
    scene *s = user;
    ret_way->remote = address(3);
    ret_way->local = (tl_addr){0};
    ret_way->socket = 0;
    return tl_node_id_eq(node, &s->id[3].id);
}

/* What was sent goes to who wrote, and tokens in it are learnt. */
static void take(scene *s)
{
    const tl_bursts *bursts = tl_peerrelay_bursts(s->r);
    struct iovec iov[TL_BURST_SEGMENTS_MAX];
    for (size_t i = 0; i < bursts->n; i++) {
        size_t n = tl_bursts_gather(bursts, &bursts->items[i], iov);
        check(bursts->items[i].way.remote.bytes[3] != 17);
        for (size_t k = 0; k < n; k++) {
            tl_control c;
            tl_slice bytes = tl_slice_of(iov[k].iov_base, iov[k].iov_len);
            s->out += bytes.n;
            if (bytes.p[0] != TL_CONTROL_FIRST_BYTE || tl_control_parse(bytes, &c))
                continue;
            check(c.type != TL_CONTROL_RELAY_OFFER || bytes.n <= TL_PEERRELAY_OFFER_MAX);
            if (c.type == TL_CONTROL_RELAY_OFFER)
                memcpy(s->token[s->n_tokens++ % (2 * NODES)], c.token, TL_TOKEN_SIZE);
        }
    }
    tl_peerrelay_sent(s->r);
}

static void write_control(scene *s, uint8_t who, const uint8_t *bytes, size_t n)
{
    tl_burst_way way = {.remote = address(who), .local = address(0)};
    s->in += n;
    (void)tl_peerrelay_on_control(s->r, &way, tl_slice_of(bytes, n), s->now,
                                  WALL + (tl_unix)(s->now / TL_SEC));
    take(s);
}

/* A good Attach or RelayRequest; `flip`: with this bit of it changed. */
static void write_good(scene *s, uint8_t what, uint8_t who, const uint8_t *more, size_t n)
{
    uint8_t bytes[TL_CONTROL_MAX];
    const tl_identity *a = &s->id[who % NODES], *b = &s->id[who / NODES % NODES];
    tl_control c = {.timestamp = (uint64_t)(WALL + (tl_unix)(s->now / TL_SEC))};
    if (what & 4) {
        c.type = TL_CONTROL_RELAY_REQUEST;
        c.pad_n = TL_CONTROL_PAD;
        memcpy(c.relay, s->self.id.key, sizeof c.relay);
        memcpy(c.initiator, a->id.key, sizeof c.initiator);
        memcpy(c.target, b->id.key, sizeof c.target);
    } else {
        c.type = TL_CONTROL_ATTACH;
        c.addr = (tl_addr){.family = TL_ADDR_V4, .bytes = {198, 18, 0, 1}, .port = 4433};
        memcpy(c.introducer, s->self.id.key, sizeof c.introducer);
        memcpy(c.node, a->id.key, sizeof c.node);
    }
    tl_rand_bytes(&s->rand, c.nonce, sizeof c.nonce);
    check(tl_control_sign(&c, a) == TL_OK);
    size_t size = tl_control_write(&c, bytes);
    for (size_t i = 0; i + 1 < n; i += 2) /* where, and what to do there */
        bytes[((size_t)more[i] * 5) % size] ^= more[i + 1];
    write_control(s, who & 7, bytes, size);
}

static void write_packet(scene *s, uint8_t what, uint8_t who, const uint8_t *more, size_t n)
{
    uint8_t bytes[4 * 300];
    size_t size = TL_TOKEN_SIZE + n, count = what & 4 ? 3 : 1;
    tl_burst_way way = {.remote = address(who), .local = address(0)};
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + i * size, s->token[(who >> 3) % (2 * NODES)], TL_TOKEN_SIZE);
        memcpy(bytes + i * size + TL_TOKEN_SIZE, more, n);
    }
    size_t all = count * size - (what & 8 ? size / 2 : 0);
    s->in += all;
    tl_peerrelay_on_datagrams(s->r, &way, bytes, all, size, s->now);
    take(s);
}

static void step(scene *s, uint8_t what, uint8_t who, const uint8_t *bytes, size_t n)
{
    uint8_t copy[256];
    switch (what & 3) {
    case 0:
        memcpy(copy, bytes, n);
        if (n > 1)
            copy[0] = TL_CONTROL_FIRST_BYTE;
        write_control(s, who, copy, n);
        break;
    case 1: write_good(s, what, who, bytes, n); break;
    case 2: write_packet(s, what, who, bytes, n); break;
    default:
        s->now += (tl_time)who * (what & 4 ? 10 * TL_SEC : 10 * TL_MS);
        tl_peerrelay_on_timer(s->r, s->now);
        take(s);
        if (what & 8)
            tl_peerrelay_review(s->r, s->now, WALL + (tl_unix)(s->now / TL_SEC));
        break;
    }
    const tl_peerrelay_counters *c = tl_peerrelay_counters_of(s->r);
    check(c->sessions <= 3 && c->reciprocal <= c->sessions);
    check(s->out <= s->in + c->warnings * TL_PEERRELAY_OFFER_MAX); /* warnings go to who has come */
    check(tl_peerrelay_expiry(s->r) > s->now || (what & 3) != 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const tl_peerrelay_world world = {serves, is_reciprocal, is_ours};
    static const tl_attached_world attached_world = {admits, is_ours, find};
    scene s = {.rand = tl_rand_seeded(3), .now = 1000 * TL_SEC};
    tl_addr v4 = address(0), none = {0};
    check(tl_crypto_init() == TL_OK && tl_identity_new(&s.rand, &s.self) == TL_OK);
    for (int i = 0; i < NODES; i++)
        check(tl_identity_new(&s.rand, &s.id[i]) == TL_OK);
    tl_peerrelay_config config = {
        .identity = &s.self, .limits = tl_relay_limits_default(), .port4 = 4433};
    config.limits.max_sessions = 3;
    check(tl_attached_new(&s.self, &attached_world, &s, &s.rand, s.now, &config.attached) == TL_OK);
    tl_attached_set_address(config.attached, &v4, &none);
    check(tl_peerrelay_new(&config, &world, &s, &s.rand, s.now, &s.r) == TL_OK);
    tl_peerrelay_set_address(s.r, &v4, &none);
    while (n >= 3) {
        size_t k = data[2] < n - 3 ? data[2] : n - 3;
        step(&s, data[0], data[1], data + 3, k);
        data += 3 + k;
        n -= 3 + k;
    }
    tl_peerrelay_leave(s.r, s.now, WALL);
    take(&s);
    tl_peerrelay_free(s.r);
    tl_attached_free(config.attached);
    return 0;
}
