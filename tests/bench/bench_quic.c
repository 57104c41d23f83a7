/* bench_quic aes|chacha [SECONDS]: one stream of a Noise-QUIC connection over plain UDP on
 * loopback, the sender on one core and the receiver on another. Prints what the receiver consumed.
 */
#include "io/udp.h"
#include "quic/quic.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PATH          1
#define SOCKET_BUFFER (8 * 1024 * 1024)
#define SPIN          (60 * TL_US) /* nearer deadlines are spun for: the kernel's timers are no finer */
#define WARM_UP       (500 * TL_MS)

static atomic_bool stop;

typedef struct {
    const char *name;
    int core;
    tl_udp *udp;
    tl_addr peer;
    tl_rand rand;
    tl_identity identity;
    tl_quic *quic;
    tl_quic_conn *conn;
    tl_quic_stream *stream;
    bool connected;
    uint64_t received;
    tl_time first, last; /* of what was received after warming up */
    uint64_t from;
    uint64_t refused; /* sends the socket had no room for */
    double cpu;       /* seconds this thread computed */
} side;

static tl_time clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (tl_time)ts.tv_sec * TL_SEC + (tl_time)ts.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_quic: %s\n", what);
    exit(1);
}

static void side_init(side *s, const char *name, int core, uint32_t suites)
{
    tl_addr local = {.family = TL_ADDR_V4, .bytes = {127, 0, 0, 1}};
    tl_why why;
    *s = (side){.name = name, .core = core, .rand = tl_rand_system()};
    if (tl_udp_open(&local, SOCKET_BUFFER, &s->udp, &why))
        die(why.text);
    if (tl_identity_new(&s->rand, &s->identity))
        die("no identity");
    tl_quic_config config = tl_quic_config_default(&s->identity, &s->rand);
    config.suites = suites;
    if (tl_quic_new(&config, &s->quic))
        die("no memory");
}

static void side_clear(side *s)
{
    tl_quic_free(s->quic);
    tl_udp_close(s->udp);
}

/* Keeps the send buffer full. */
static void write_all(side *s)
{
    static const uint8_t zeros[64 * 1024];
    size_t n;
    while (tl_quic_stream_write(s->stream, tl_slice_of(zeros, sizeof zeros), false, &n) == TL_OK &&
           n == sizeof zeros)
        ;
}

static void read_all(side *s, tl_quic_stream *stream, tl_time now)
{
    bool fin;
    tl_slice bytes;
    while ((bytes = tl_quic_stream_peek(stream, &fin)).n) {
        s->received += bytes.n;
        tl_quic_stream_consume(stream, bytes.n);
    }
    if (!s->first)
        s->first = now;
    if (!s->from && now - s->first > WARM_UP) {
        s->from = s->received;
        s->first = now;
    }
    s->last = now;
}

static void drain_events(side *s, tl_time now)
{
    tl_quic_event e;
    while (tl_quic_next_event(s->quic, &e)) {
        if (e.type == TL_QUIC_CONNECTED && tl_quic_conn_is_client(e.conn)) {
            if (tl_quic_stream_open(e.conn, &s->stream))
                die("no stream");
            write_all(s);
        } else if (e.type == TL_QUIC_STREAM_WRITABLE) {
            write_all(s);
        } else if (e.type == TL_QUIC_STREAM_READABLE) {
            read_all(s, e.stream, now);
        } else if (e.type == TL_QUIC_CLOSED) {
            die(e.why);
        }
    }
}

static bool receive(side *s, tl_time now)
{
    tl_udp_train trains[TL_UDP_TRAINS_MAX];
    size_t n;
    if (tl_udp_receive(s->udp, trains, &n))
        return false;
    for (size_t i = 0; i < n; i++)
        for (size_t at = 0; at < trains[i].n; at += trains[i].segment) {
            size_t k = trains[i].n - at;
            tl_quic_on_datagram(s->quic, PATH, trains[i].data + at,
                                k < trains[i].segment ? k : trains[i].segment, now, time(NULL));
        }
    return true;
}

static bool send_all(side *s, tl_time now)
{
    static _Thread_local uint8_t buf[TL_QUIC_OUTPUT_MAX];
    tl_quic_output out;
    bool any = false;
    while (tl_quic_next_output(s->quic, buf, now, &out)) {
        tl_err e = tl_udp_send(s->udp, &s->peer, buf, out.n, out.segment);
        if (e == TL_ERR_IO)
            die("send");
        s->refused += e == TL_ERR_AGAIN;
        any = true;
    }
    return any;
}

static void wait_for_more(side *s)
{
    tl_time now = clock_now(), expiry = tl_quic_expiry(s->quic);
    tl_time left = expiry > now ? expiry - now : 0;
    if (left < SPIN)
        return;
    if (left > 100 * TL_MS)
        left = 100 * TL_MS;
    left -= SPIN;
    struct timespec ts = {(time_t)(left / TL_SEC), (long)(left % TL_SEC)};
    struct pollfd p = {tl_udp_fd(s->udp), POLLIN, 0};
    ppoll(&p, 1, &ts, NULL);
}

static void *run(void *arg)
{
    side *s = arg;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(s->core, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    (void)pthread_setname_np(pthread_self(), s->name);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        tl_time now = clock_now();
        bool busy = receive(s, now);
        if (tl_quic_expiry(s->quic) <= now)
            tl_quic_on_timer(s->quic, now);
        drain_events(s, now);
        busy = send_all(s, now) || busy;
        if (!busy)
            wait_for_more(s);
    }
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    s->cpu = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
    return NULL;
}

int main(int argc, char **argv)
{
    bool chacha = argc > 1 && strcmp(argv[1], "chacha") == 0;
    double seconds = argc > 2 ? atof(argv[2]) : 3;
    if (argc < 2 || (!chacha && strcmp(argv[1], "aes") != 0) || !(seconds > 0)) {
        fprintf(stderr, "usage: bench_quic aes|chacha [SECONDS]\n");
        return 2;
    }
    uint32_t suites = 1u << (chacha ? TL_SUITE_CHACHA20_POLY1305 : TL_SUITE_AES_128_GCM);
    static side sender, receiver;
    if (tl_crypto_init())
        die("libsodium");
    side_init(&sender, "sender", 0, suites);
    side_init(&receiver, "receiver", 1, suites);
    sender.peer = tl_udp_local(receiver.udp);
    receiver.peer = tl_udp_local(sender.udp);
    if (tl_quic_dial(sender.quic, &receiver.identity.id, PATH, clock_now(), time(NULL),
                     &sender.conn))
        die("dial");

    pthread_t threads[2];
    pthread_create(&threads[0], NULL, run, &sender);
    pthread_create(&threads[1], NULL, run, &receiver);
    struct timespec ts = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&ts, NULL);
    atomic_store(&stop, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);

    if (!receiver.from || receiver.last <= receiver.first)
        die("nothing arrived");
    double rate = (double)(receiver.received - receiver.from) /
                  ((double)(receiver.last - receiver.first) / (double)TL_SEC);
    const tl_quic_counters *c = tl_quic_counters_of(sender.quic);
    double mega = (double)receiver.received / 1e6;
    printf("%s: %.0f MB/s\n", argv[1], rate / 1e6);
    printf(
        "  %.0f MB per second of the sender's CPU, %.0f of the receiver's; %llu datagrams of %.0f "
        "bytes, %llu refused by the socket\n",
        mega / sender.cpu, mega / receiver.cpu, (unsigned long long)c->datagrams_out,
        (double)c->bytes_out / (double)c->datagrams_out, (unsigned long long)sender.refused);
    side_clear(&sender);
    side_clear(&receiver);
    return 0;
}
