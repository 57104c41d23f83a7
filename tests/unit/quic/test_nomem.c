#include "support/failalloc.h"

#include "quic/quic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define QUESTION  60000 /* bytes: several chunks */
#define STEPS_MAX 4000  /* turns of the pump: minutes of virtual time */

/* Two nodes joined by a wire without delay; the first asks, the second reads. */
typedef struct {
    tl_rand rand;
    tl_identity identity;
    tl_quic *quic;
    size_t received;
    bool fin, closed; /* closed, or refused at once */
} side;

static uint8_t question[QUESTION];

static void on_connected(side *s, tl_quic_conn *c)
{
    tl_quic_stream *stream;
    size_t n;
    if (!tl_quic_conn_is_client(c))
        return;
    if (tl_quic_stream_open(c, &stream))
        s->closed = true;
    else if (tl_quic_stream_write(stream, tl_slice_of(question, sizeof question), true, &n)) {
        tl_quic_stream_reset(stream, 1);
        s->closed = true;
    }
}

static void read_all(side *s, tl_quic_stream *stream)
{
    bool fin;
    tl_slice bytes;
    while ((bytes = tl_quic_stream_peek(stream, &fin)).n) {
        assert_memory_equal(bytes.p, question + s->received, bytes.n);
        s->received += bytes.n;
        s->fin = fin;
        tl_quic_stream_consume(stream, bytes.n);
    }
}

static void drain_events(side *s)
{
    tl_quic_event e;
    while (tl_quic_next_event(s->quic, &e)) {
        if (e.type == TL_QUIC_CONNECTED)
            on_connected(s, e.conn);
        else if (e.type == TL_QUIC_STREAM_READABLE)
            read_all(s, e.stream);
        else if (e.type == TL_QUIC_CLOSED)
            s->closed = true;
    }
}

static bool pass(side *from, side *to, tl_time now)
{
    static uint8_t buf[TL_QUIC_OUTPUT_MAX];
    tl_quic_output out;
    bool any = false;
    drain_events(from);
    while (tl_quic_next_output(from->quic, buf, now, &out)) {
        for (size_t at = 0; at < out.n; at += out.segment)
            tl_quic_on_datagram(to->quic, 1, buf + at,
                                out.n - at < out.segment ? out.n - at : out.segment, now, 1);
        any = true;
    }
    drain_events(from);
    return any;
}

/* Until the question has arrived, or the asker's connection is over. */
static void pump(side *a, side *b)
{
    tl_time now = TL_SEC;
    for (int i = 0; i < STEPS_MAX && !b->fin && !a->closed; i++) {
        bool any = pass(a, b, now);
        any = pass(b, a, now) || any;
        if (any)
            continue;
        tl_time next = tl_time_min(tl_quic_expiry(a->quic), tl_quic_expiry(b->quic));
        if (next == TL_NEVER)
            return;
        now = next > now ? next : now;
        tl_quic_on_timer(a->quic, now);
        tl_quic_on_timer(b->quic, now);
    }
}

static tl_err make(side *s, uint64_t seed)
{
    *s = (side){.rand = tl_rand_seeded(seed)};
    if (tl_identity_new(&s->rand, &s->identity))
        return TL_ERR_INVALID;
    tl_quic_config config = tl_quic_config_default(&s->identity, &s->rand);
    return tl_quic_new(&config, &s->quic);
}

static tl_err a_question(void *user)
{
    (void)user;
    side a, b = {.quic = NULL};
    tl_quic_conn *c;
    tl_err e = make(&a, 1);
    if (!e)
        e = make(&b, 2);
    if (!e)
        e = tl_quic_dial(a.quic, &b.identity.id, 1, TL_SEC, 1, &c);
    if (!e) {
        pump(&a, &b);
        /* Arrived whole, or somebody was told; and without a failure it arrives. */
        assert_true(b.fin ? b.received == QUESTION : a.closed);
        assert_true(b.fin || failalloc_failed());
    }
    tl_quic_free(a.quic);
    tl_quic_free(b.quic);
    return failalloc_failed() ? TL_ERR_NOMEM : TL_OK;
}

static void a_question_survives_or_fails_cleanly_wherever_memory_runs_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof question; i++)
        question[i] = (uint8_t)(i * 7 + i / 256);
    assert_int_equal(a_question(NULL), TL_OK);
    assert_true(failalloc_sweep(a_question, NULL) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_survives_or_fails_cleanly_wherever_memory_runs_out),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
