/* bench_rtt [FROM TO]: the round trip of 64 bytes on an idle path, on a stream of a Noise-QUIC
 * connection and in a plain datagram, in turn; both ends sleep in between. Medians in
 * microseconds. Places as side.h understands them. */
#include "side.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT 400
#define PAUSE                                                                                      \
    (3 *                                                                                           \
     TL_MS) /* longer than anybody spins, and than libngtcp2's delayed ack pesters             \
                 */
#define SIZE 64

static const uint8_t message[SIZE] = "sixty-four bytes";

/* --- over QUIC --- */

static struct {
    tl_quic_stream *stream;
    size_t n; /* round trips made */
    size_t back;
    tl_time sent_at; /* 0: resting */
    double took[COUNT];
} ping;

static void on_client(side *s, const tl_quic_event *e, tl_time now)
{
    bool fin;
    if (e->type == TL_QUIC_CONNECTED) {
        if (tl_quic_stream_open(e->conn, &ping.stream))
            side_die("no stream");
        s->wake = now + 100 * TL_MS;
    } else if (e->type == TL_QUIC_STREAM_READABLE) {
        size_t n = tl_quic_stream_peek(e->stream, &fin).n;
        tl_quic_stream_consume(e->stream, n);
        ping.back += n;
        if (ping.back < SIZE)
            return;
        ping.back = 0;
        ping.took[ping.n++] = (double)(side_now() - ping.sent_at) / (double)TL_US;
        if (ping.n == COUNT)
            atomic_store(&side_stop, true);
        s->wake = now + PAUSE;
    }
}

static void on_client_rest(side *s, tl_time now)
{
    size_t n;
    if (!ping.stream || now < s->wake)
        return;
    s->wake = TL_NEVER;
    ping.sent_at = side_now();
    if (tl_quic_stream_write(ping.stream, tl_slice_of(message, SIZE), false, &n) || n != SIZE)
        side_die("write");
}

static void on_server(side *s, const tl_quic_event *e, tl_time now)
{
    (void)s, (void)now;
    if (e->type != TL_QUIC_STREAM_READABLE)
        return;
    bool fin;
    size_t n;
    tl_slice bytes = tl_quic_stream_peek(e->stream, &fin);
    if (tl_quic_stream_write(e->stream, bytes, false, &n) || n != bytes.n)
        side_die("write");
    tl_quic_stream_consume(e->stream, n);
}

/* --- over plain UDP, with the same socket calls --- */

static bool wait_and_receive(side *s, tl_udp_train *ret_train)
{
    tl_udp_train trains[TL_UDP_TRAINS_MAX];
    size_t n;
    struct pollfd p = {tl_udp_fd(s->udp), POLLIN, 0};
    poll(&p, 1, 100);
    if (tl_udp_receive(s->udp, trains, &n))
        return false;
    *ret_train = trains[0];
    return true;
}

static void *echo_plain(void *arg)
{
    side *s = arg;
    tl_udp_train t;
    side_pin(s->name, s->core);
    while (!atomic_load(&side_stop))
        if (wait_and_receive(s, &t) && tl_udp_send(s->udp, &t.from, t.data, t.n, SIZE))
            side_die("send");
    return NULL;
}

static void *ping_plain(void *arg)
{
    static double *took;
    side *s = arg;
    tl_udp_train t;
    took = s->user;
    side_pin(s->name, s->core);
    for (int i = 0; i < COUNT; i++) {
        struct pollfd none = {-1, 0, 0};
        poll(&none, 1, (int)(PAUSE / TL_MS));
        tl_time start = side_now();
        if (tl_udp_send(s->udp, &s->peer, message, SIZE, SIZE))
            side_die("send");
        while (!wait_and_receive(s, &t))
            ;
        took[i] = (double)(side_now() - start) / (double)TL_US;
    }
    atomic_store(&side_stop, true);
    return NULL;
}

/* --- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *took)
{
    qsort(took, COUNT, sizeof *took, by_value);
    return took[COUNT / 2];
}

static double measure(bool quic, const char *from, const char *to)
{
    static side a, b;
    static double plain[COUNT];
    uint32_t suites = 1u << TL_SUITE_AES_128_GCM | 1u << TL_SUITE_CHACHA20_POLY1305;
    pthread_t threads[2];
    atomic_store(&side_stop, false);
    memset(&ping, 0, sizeof ping);
    side_init(&a, "client", 0, from, suites);
    side_init(&b, "server", 1, to, suites);
    a.on_event = on_client;
    a.at_rest = on_client_rest;
    b.on_event = on_server;
    a.user = plain;
    if (quic)
        side_join(&a, &b);
    else
        a.peer = tl_udp_local(b.udp);
    if (pthread_create(&threads[0], NULL, quic ? side_run : ping_plain, &a) ||
        pthread_create(&threads[1], NULL, quic ? side_run : echo_plain, &b))
        side_die("no thread");
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    side_clear(&a);
    side_clear(&b);
    return median(quic ? ping.took : plain);
}

int main(int argc, char **argv)
{
    if (argc != 1 && argc != 3) {
        fprintf(stderr, "usage: bench_rtt [FROM TO]\n");
        return 2;
    }
    if (tl_crypto_init())
        side_die("libsodium");
    const char *from = argc == 3 ? argv[1] : NULL, *to = argc == 3 ? argv[2] : NULL;
    double plain[2], quic[2];
    for (int i = 0; i < 2; i++) {
        plain[i] = measure(false, from, to);
        quic[i] = measure(true, from, to);
    }
    printf("plain UDP %.0f us, Noise-QUIC %.0f us (and %.0f, %.0f)\n", plain[0], quic[0], plain[1],
           quic[1]);
    return 0;
}
