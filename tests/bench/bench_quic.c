/* bench_quic aes|chacha [SECONDS [FROM TO]]: one stream of a Noise-QUIC connection over plain UDP,
 * the sender on one core and the receiver on another; on loopback, or between the places that
 * side.h understands. Prints what the receiver consumed. */
#include "side.h"

#include <stdio.h>
#include <stdlib.h>

#define WARM_UP (500 * TL_MS)

static tl_quic_stream *stream; /* the sender's */

static struct {
    uint64_t received, from;
    tl_time first, last; /* of what was received after warming up */
} seen;                  /* the receiver's */

/* Keeps the send buffer full. */
static void write_all(void)
{
    static const uint8_t zeros[64 * 1024];
    size_t n;
    while (tl_quic_stream_write(stream, tl_slice_of(zeros, sizeof zeros), false, &n) == TL_OK &&
           n == sizeof zeros)
        ;
}

static void on_sender(side *s, const tl_quic_event *e, tl_time now)
{
    (void)s, (void)now;
    if (e->type == TL_QUIC_CONNECTED) {
        if (tl_quic_stream_open(e->conn, &stream))
            side_die("no stream");
        write_all();
    } else if (e->type == TL_QUIC_STREAM_WRITABLE) {
        write_all();
    }
}

static void on_receiver(side *s, const tl_quic_event *e, tl_time now)
{
    (void)s;
    if (e->type != TL_QUIC_STREAM_READABLE)
        return;
    bool fin;
    tl_slice bytes;
    while ((bytes = tl_quic_stream_peek(e->stream, &fin)).n) {
        seen.received += bytes.n;
        tl_quic_stream_consume(e->stream, bytes.n);
    }
    if (!seen.first)
        seen.first = now;
    if (!seen.from && now - seen.first > WARM_UP) {
        seen.from = seen.received;
        seen.first = now;
    }
    seen.last = now;
}

int main(int argc, char **argv)
{
    bool chacha = argc > 1 && strcmp(argv[1], "chacha") == 0;
    double seconds = argc > 2 ? atof(argv[2]) : 3;
    if ((argc != 2 && argc != 3 && argc != 5) || (!chacha && strcmp(argv[1], "aes") != 0) ||
        !(seconds > 0)) {
        fprintf(stderr, "usage: bench_quic aes|chacha [SECONDS [FROM TO]]\n");
        return 2;
    }
    uint32_t suites = 1u << (chacha ? TL_SUITE_CHACHA20_POLY1305 : TL_SUITE_AES_128_GCM);
    static side sender, receiver;
    if (tl_crypto_init())
        side_die("libsodium");
    side_init(&sender, "sender", 0, argc == 5 ? argv[3] : NULL, suites);
    side_init(&receiver, "receiver", 1, argc == 5 ? argv[4] : NULL, suites);
    sender.on_event = on_sender;
    receiver.on_event = on_receiver;
    side_join(&sender, &receiver);
    side_run_both(&sender, &receiver, seconds);

    if (!seen.from || seen.last <= seen.first)
        side_die("nothing arrived");
    double rate =
        (double)(seen.received - seen.from) / ((double)(seen.last - seen.first) / (double)TL_SEC);
    const tl_quic_counters *c = tl_quic_counters_of(sender.quic);
    double mega = (double)seen.received / 1e6;
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
