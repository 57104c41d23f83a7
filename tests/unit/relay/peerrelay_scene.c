#include "peerrelay_scene.h"

static bool serves(void *user, const tl_node_id *a, const tl_node_id *b)
{
    const scene *s = user;
    return !s->refused || (!tl_node_id_eq(a, s->refused) && !tl_node_id_eq(b, s->refused));
}

static bool admits(void *user, const tl_node_id *node)
{
    return serves(user, node, node);
}

static bool is_reciprocal(void *user, const tl_node_id *node)
{
    const scene *s = user;
    return s->reciprocal && tl_node_id_eq(s->reciprocal, node);
}

static bool is_ours(void *user, const tl_addr *addr)
{
    const scene *s = user;
    tl_addr self = addr_of("198.18.0.1:4433");
    return tl_addr_eq(addr, &s->ours) || tl_addr_eq(addr, &self);
}

static bool find(void *user, const tl_node_id *node, tl_burst_way *ret_way)
{
    const scene *s = user;
    if (!s->direct || !tl_node_id_eq(node, s->direct))
        return false;
    *ret_way = way_from(&s->direct_at);
    if (s->direct_local_unknown)
        ret_way->local = (tl_addr){0};
    return true;
}

tl_addr addr_of(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

tl_burst_way way_from(const tl_addr *remote)
{
    bool v6 = remote->family == TL_ADDR_V6;
    return (tl_burst_way){.remote = *remote,
                          .local = addr_of(v6 ? "[2001:db8::1]:4433" : "198.18.0.1:4433"),
                          .socket = v6};
}

tl_unix wall(const scene *s)
{
    return WALL + (tl_unix)(s->now / TL_SEC);
}

static tl_peerrelay_world world = {serves, is_reciprocal, is_ours};
static tl_attached_world attached_world = {admits, is_ours, find};

void begin_with(scene *s)
{
    tl_addr v4 = addr_of("198.18.0.1:4433"), none = {0};
    s->rand = tl_rand_seeded(11);
    s->now = 1000 * TL_SEC;
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_new(&s->rand, &s->self), TL_OK);
    for (int i = 0; i < NODES; i++) {
        char text[32];
        assert_int_equal(tl_identity_new(&s->rand, &s->id[i]), TL_OK);
        snprintf(text, sizeof text, "198.18.1.%d:%d", i + 1, 5000 + i);
        s->at[i] = addr_of(text);
    }
    s->config.identity = &s->self;
    s->config.port4 = 4433;
    assert_int_equal(
        tl_attached_new(&s->self, &attached_world, s, &s->rand, s->now, &s->config.attached),
        TL_OK);
    tl_attached_set_address(s->config.attached, &v4, &none);
    assert_int_equal(tl_peerrelay_new(&s->config, &world, s, &s->rand, s->now, &s->r), TL_OK);
    tl_peerrelay_set_address(s->r, &v4, &none);
}

void begin(scene *s)
{
    *s = (scene){.config.limits = tl_relay_limits_default()};
    begin_with(s);
}

void end(scene *s)
{
    tl_peerrelay_free(s->r);
    tl_attached_free(s->config.attached);
}

static void take(scene *s)
{
    const tl_bursts *bursts = tl_peerrelay_bursts(s->r);
    struct iovec iov[TL_BURST_SEGMENTS_MAX];
    s->n_sent = 0;
    s->bytes_sent = 0;
    for (size_t i = 0; i < bursts->n; i++) {
        size_t n = tl_bursts_gather(bursts, &bursts->items[i], iov);
        for (size_t k = 0; k < n; k++) {
            s->bytes_sent += iov[k].iov_len;
            if (s->n_sent == SENT || iov[k].iov_len > sizeof s->sent[0].bytes)
                continue;
            sent_datagram *d = &s->sent[s->n_sent++];
            d->to = bursts->items[i].way.remote;
            d->n = iov[k].iov_len;
            memcpy(d->bytes, iov[k].iov_base, d->n);
        }
    }
    tl_peerrelay_sent(s->r);
}

void write_control(scene *s, const tl_addr *from, tl_slice datagram)
{
    tl_burst_way way = way_from(from);
    assert_true(tl_peerrelay_on_control(s->r, &way, datagram, s->now, wall(s)));
    take(s);
}

void write_raw(scene *s, const tl_addr *from, const uint8_t *bytes, size_t n, size_t segment)
{
    static uint8_t buffer[128 * 1024];
    tl_burst_way way = way_from(from);
    assert_true(n <= sizeof buffer);
    memcpy(buffer, bytes, n);
    tl_peerrelay_on_datagrams(s->r, &way, buffer, n, segment, s->now);
    take(s);
}

void write_packet(scene *s, const tl_addr *from, const uint8_t token[16], size_t payload)
{
    static uint8_t bytes[TL_TOKEN_SIZE + 65536];
    memcpy(bytes, token, TL_TOKEN_SIZE);
    write_raw(s, from, bytes, TL_TOKEN_SIZE + payload, TL_TOKEN_SIZE + payload);
}

void tick(scene *s, tl_time by)
{
    s->now += by;
    tl_peerrelay_on_timer(s->r, s->now);
    take(s);
}

tl_control attach_of(scene *s, int node)
{
    tl_control c = {.type = TL_CONTROL_ATTACH,
                    .addr = addr_of("198.18.0.1:4433"),
                    .timestamp = (uint64_t)wall(s)};
    memcpy(c.introducer, s->self.id.key, sizeof c.introducer);
    memcpy(c.node, s->id[node].id.key, sizeof c.node);
    tl_rand_bytes(&s->rand, c.nonce, sizeof c.nonce);
    sign_as(&c, &s->id[node]);
    return c;
}

tl_control request_of(scene *s, int initiator, int target)
{
    tl_control c = {
        .type = TL_CONTROL_RELAY_REQUEST, .timestamp = (uint64_t)wall(s), .pad_n = TL_CONTROL_PAD};
    memcpy(c.relay, s->self.id.key, sizeof c.relay);
    memcpy(c.initiator, s->id[initiator].id.key, sizeof c.initiator);
    memcpy(c.target, s->id[target].id.key, sizeof c.target);
    tl_rand_bytes(&s->rand, c.nonce, sizeof c.nonce);
    sign_as(&c, &s->id[initiator]);
    return c;
}

void sign_as(tl_control *c, const tl_identity *signer)
{
    assert_int_equal(tl_control_sign(c, signer), TL_OK);
}

void write_signed(scene *s, const tl_addr *from, const tl_control *c)
{
    uint8_t bytes[TL_CONTROL_MAX];
    size_t n = tl_control_write(c, bytes);
    write_control(s, from, tl_slice_of(bytes, n));
}

const tl_control *sent_to(const scene *s, int node, tl_control_type type)
{
    static tl_control c[NODES];
    for (size_t i = 0; i < s->n_sent; i++)
        if (tl_addr_eq(&s->sent[i].to, &s->at[node]) &&
            !tl_control_parse(tl_slice_of(s->sent[i].bytes, s->sent[i].n), &c[node]) &&
            c[node].type == type)
            return &c[node];
    return NULL;
}

void attach(scene *s, int node)
{
    tl_control c = attach_of(s, node);
    write_signed(s, &s->at[node], &c);
    assert_int_equal(s->n_sent, 1);
    const tl_control *reply = sent_to(s, node, TL_CONTROL_ATTACHED);
    assert_non_null(reply);
    assert_true(tl_addr_eq(&reply->addr, &s->at[node]));
    assert_memory_equal(reply->nonce, c.nonce, sizeof c.nonce - TL_ATTACH_MARK);
    assert_memory_equal(reply->node, c.node, sizeof c.node);
    assert_int_equal(tl_control_verify(reply, &s->self.id), TL_OK);
}

void request(scene *s, int initiator, int target, tl_control ret_offers[2])
{
    tl_control c = request_of(s, initiator, target);
    write_signed(s, &s->at[initiator], &c);
    assert_int_equal(s->n_sent, 2);
    const tl_control *a = sent_to(s, initiator, TL_CONTROL_RELAY_OFFER);
    const tl_control *b = sent_to(s, target, TL_CONTROL_RELAY_OFFER);
    assert_non_null(a);
    assert_non_null(b);
    ret_offers[0] = *a;
    ret_offers[1] = *b;
}

void join(scene *s, int a, int b, tl_control ret_offers[2])
{
    attach(s, b);
    request(s, a, b, ret_offers);
    write_packet(s, &s->at[b], ret_offers[1].token, 0);
    write_packet(s, &s->at[a], ret_offers[0].token, 0);
    assert_int_equal(s->n_sent, 0);
}

uint64_t requests(const scene *s, tl_asked result)
{
    return tl_peerrelay_counters_of(s->r)->requests[result];
}

uint64_t attaches(const scene *s, tl_asked result)
{
    return tl_attached_counters_of(s->config.attached)->attaches[result];
}

uint64_t dropped(const scene *s, tl_tokens_drop why)
{
    return tl_peerrelay_tokens(s->r)->dropped[why];
}

void refused_attach(scene *s, const tl_addr *from, const tl_control *c, tl_asked why)
{
    uint64_t before = attaches(s, why);
    write_signed(s, from, c);
    assert_int_equal(s->n_sent, 0);
    assert_int_equal(attaches(s, why), before + 1);
}
