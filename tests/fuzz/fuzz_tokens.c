/* Packets and control datagrams for one pair of sides, by UDP from two addresses and by streams. Each
 * step of the input is: what (1 byte), how long (1 byte), the bytes. */
#include "relay/tokens.h"

#include <stdlib.h>

static void check(bool holds)
{
    if (!holds)
        abort();
}

static tl_addr address(uint8_t last)
{
    return (tl_addr){.family = TL_ADDR_V4, .port = 1000, .bytes = {198, 18, 0, last}};
}

typedef struct {
    tl_relay_tokens *t;
    tl_tokens_pair pair;
    tl_time now;
    uint64_t in, out; /* bytes of control datagrams, and of what answered them */
} scene;

static uint64_t sum_of(const tl_tokens_counters *c)
{
    uint64_t sum = 0;
    for (int i = 0; i < TL_TOKENS_DROPS; i++)
        sum += c->dropped[i];
    return sum + c->packets[0][0] + c->packets[0][1] + c->packets[1][0] + c->packets[1][1];
}

static void on_packet(scene *s, uint8_t what, tl_slice packet)
{
    const tl_burst_way *to_way = NULL;
    tl_tokens_side *to = NULL;
    tl_burst_way way = {.remote = address((uint8_t)(10 + (what >> 3 & 1))), .local = address(1)};
    uint64_t before = sum_of(tl_tokens_counters_of(s->t));
    tl_tokens_verdict v =
        what & 1
            ? tl_tokens_on_message(s->t, &s->pair.side[what >> 3 & 1], packet, s->now, &to_way, &to)
            : tl_tokens_on_datagram(s->t, &way, packet, s->now, &to_way, &to);
    uint64_t counted = sum_of(tl_tokens_counters_of(s->t)) - before;
    if (v == TL_TOKENS_DONE) {
        check(counted == 1 || (counted == 0 && packet.n == TL_TOKEN_SIZE));
        return;
    }
    check(counted == 1 && packet.n > TL_TOKEN_SIZE);
    check(to == s->pair.side[0] || to == s->pair.side[1]);
    if (v == TL_TOKENS_TO_UDP)
        check(to_way->remote.family == TL_ADDR_V4);
}

static void on_control(scene *s, uint8_t what, tl_slice datagram)
{
    tl_tokens_reply reply;
    tl_burst_way way = {.remote = address((uint8_t)(10 + (what >> 3 & 1))), .local = address(1)};
    s->in += datagram.n;
    if (tl_tokens_on_control(s->t, what & 1 ? NULL : &way, datagram, s->now, 1790000000, &reply)) {
        check(reply.n <= TL_TOKENS_REPLY_MAX);
        s->out += reply.n;
    }
    check(s->out <= s->in);
}

static void step(scene *s, uint8_t what, uint8_t *bytes, size_t n)
{
    tl_tokens_reply reply;
    if (what & 2 && n >= TL_TOKEN_SIZE)
        memcpy(bytes, tl_tokens_token(s->pair.side[what >> 2 & 1]), TL_TOKEN_SIZE);
    if (n && bytes[0] == TL_CONTROL_FIRST_BYTE)
        on_control(s, what, tl_slice_of(bytes, n));
    else
        on_packet(s, what, tl_slice_of(bytes, n));
    s->now += (tl_time)(what >> 4) * 50 * TL_MS;
    while (tl_tokens_on_timer(s->t, s->now, &reply))
        s->out += reply.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    scene s = {.now = TL_SEC};
    tl_rand rand = tl_rand_seeded(1);
    tl_identity id[2];
    uint8_t bytes[256];
    tl_tokens_config config = {.socket_count = 1, .sockets = {address(1)}};
    config.sockets[0].port = 3478;
    check(tl_crypto_init() == TL_OK && tl_identity_new(&rand, &id[0]) == TL_OK &&
          tl_identity_new(&rand, &id[1]) == TL_OK);
    check(tl_tokens_new(&config, &rand, s.now, &s.t) == TL_OK);
    tl_tokens_member members[2] = {{.node = &id[0].id, .stream = &s.pair.side[0]},
                                   {.node = &id[1].id, .stream = &s.pair.side[1]}};
    check(tl_tokens_open(s.t, members, s.now, &s.pair) == TL_OK);
    while (n >= 2) {
        size_t k = data[1] < n - 2 ? data[1] : n - 2;
        memcpy(bytes, data + 2, k);
        step(&s, data[0], bytes, k);
        data += 2 + k;
        n -= 2 + k;
    }
    tl_tokens_close(s.t, &s.pair);
    check(tl_tokens_counters_of(s.t)->udp_sides == 0 && tl_tokens_expiry(s.t) == TL_NEVER);
    tl_tokens_free(s.t);
    return 0;
}
