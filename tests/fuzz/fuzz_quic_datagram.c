/* Arbitrary datagrams into a node: the first byte says as what it is met (0 a server, 1 a client
 * that just dialled, 2 a server with a half-open connection), then each datagram has two bytes of
 * length. Everything is seeded, so that a recorded message 1 or answer in the corpus is a real one.
 */
#include "quic/quic.h"

#include <stdlib.h>

#define NOW  (1000 * TL_SEC)
#define WALL 1750000000

static tl_quic *node(uint64_t seed, tl_rand *rand, tl_identity *identity)
{
    tl_quic *q;
    *rand = tl_rand_seeded(seed);
    if (tl_crypto_init() || tl_identity_new(rand, identity))
        abort();
    tl_quic_config config = tl_quic_config_default(identity, rand);
    config.suites = 1u << TL_SUITE_CHACHA20_POLY1305; /* the same on every machine */
    config.conns_max = 8;
    config.half_open_max = 4;
    if (tl_quic_new(&config, &q))
        abort();
    return q;
}

static size_t drain(tl_quic *q, tl_time now, uint8_t *buf)
{
    tl_quic_event e;
    tl_quic_output out;
    size_t first = 0;
    while (tl_quic_next_event(q, &e))
        ;
    while (tl_quic_next_output(q, buf, now, &out))
        if (!first)
            first = out.n;
    while (tl_quic_next_event(q, &e))
        ;
    return first;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t buf[TL_QUIC_OUTPUT_MAX], dial[2048];
    tl_rand rand_a, rand_b;
    tl_identity a, b;
    if (n == 0)
        return 0;
    tl_quic *client = node(1, &rand_a, &a), *server = node(2, &rand_b, &b);
    tl_quic *target = data[0] % 3 == 1 ? client : server;
    tl_quic_conn *c;
    tl_time now = NOW;
    if (data[0] % 3) {
        if (tl_quic_dial(client, &b.id, 1, now, WALL, &c))
            abort();
        size_t dial_n = drain(client, now, buf);
        memcpy(dial, buf, dial_n);
        if (data[0] % 3 == 2)
            tl_quic_on_datagram(server, 1, dial, dial_n, now, WALL);
        (void)drain(server, now, buf);
    }
    for (size_t at = 1; n - at >= 2;) {
        size_t k = (size_t)data[at] << 8 | data[at + 1];
        at += 2;
        if (k > n - at)
            k = n - at;
        uint8_t *datagram = malloc(k ? k : 1);
        memcpy(datagram, data + at, k);
        tl_quic_on_datagram(target, 1, datagram, k, now, WALL);
        free(datagram);
        (void)drain(target, now, buf);
        at += k;
        now += 10 * TL_MS;
    }
    for (int i = 0; i < 3; i++) {
        now += 5 * TL_SEC;
        if (tl_quic_expiry(target) <= now)
            tl_quic_on_timer(target, now);
        (void)drain(target, now, buf);
    }
    tl_quic_free(client);
    tl_quic_free(server);
    return 0;
}
