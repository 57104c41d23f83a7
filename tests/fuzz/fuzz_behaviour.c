/* What STUN servers may answer to nat/behaviour. The input is a script of steps: a byte that says
 * who answers what, and for an answer its length and its bytes, which get the header and the
 * transaction ID of the question asked last of that server. */
#include "nat/behaviour.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define SERVERS   4
#define QUESTIONS 64
#define STEPS     512

typedef struct {
    tl_behaviour *b;
    tl_time now;
    size_t n;
    tl_stun_output asked[QUESTIONS]; /* the last ones, round and round */
} scene;

static tl_addr server_at(size_t i)
{
    return (tl_addr){.family = TL_ADDR_V4,
                     .port = (uint16_t)(3478 + i),
                     .bytes = {198, 51, 100, (uint8_t)(1 + i / 2)}};
}

/* Public servers were asked: nothing they say makes us send anywhere but to public addresses. */
static void drain(scene *s)
{
    tl_stun_output out;
    for (int i = 0; tl_behaviour_next_output(s->b, s->now, &out); i++) {
        if (i > 64 || tl_addr_kind_of(&out.to) == TL_ADDR_FORBIDDEN || out.n > sizeof out.bytes)
            abort();
        s->asked[s->n++ % QUESTIONS] = out;
    }
}

static void pass_time(scene *s, tl_time how_long)
{
    tl_time until = s->now + how_long;
    drain(s);
    for (int i = 0; tl_behaviour_expiry(s->b) <= until; i++) {
        if (i > 100000)
            abort(); /* a timer that is always due */
        tl_time at = tl_behaviour_expiry(s->b);
        s->now = at > s->now ? at : s->now;
        tl_behaviour_on_timer(s->b, s->now);
        drain(s);
    }
    s->now = until;
}

/* `op`: bits 0 to 5 choose the question, bit 6 whether it comes from elsewhere. */
static void answer(scene *s, uint8_t op, const uint8_t *bytes, size_t n)
{
    uint8_t datagram[20 + 256] = {0};
    tl_stun stun;
    if (s->n == 0)
        return;
    const tl_stun_output *q = &s->asked[(s->n - 1 - (op & 63) % s->n) % QUESTIONS];
    tl_addr from = q->to;
    from.port = (uint16_t)(from.port + (op >> 6 & 1));
    datagram[0] = n && bytes[0] & 0x80 ? 0x00 : 0x01;
    datagram[1] = n && bytes[0] & 0x40 ? 0x11 : 0x01;
    datagram[2] = (uint8_t)(n >> 8);
    datagram[3] = (uint8_t)n;
    memcpy(datagram + 4, q->bytes + 4, 16);
    memcpy(datagram + 20, bytes, n);
    tl_slice whole = tl_slice_of(datagram, 20 + n);
    if (tl_stun_read(whole, &stun) == TL_OK)
        (void)tl_behaviour_on_stun(s->b, q->sock, &from, whole, &stun, s->now);
}

static void play(scene *s, const uint8_t *data, size_t n)
{
    size_t at = 0;
    for (int step = 0; at < n && step < STEPS; step++) {
        uint8_t op = data[at++];
        if (op >= 0xF0) {
            static const tl_time spans[] = {TL_MS,      20 * TL_MS,  500 * TL_MS,
                                            5 * TL_SEC, 30 * TL_SEC, 400 * TL_SEC};
            if (op < 0xF6)
                pass_time(s, spans[op - 0xF0]);
            else if (op < 0xF9)
                tl_behaviour_look(s->b, s->now);
            else
                tl_behaviour_begin(s->b, s->now);
            drain(s);
            continue;
        }
        size_t len = at < n ? data[at++] : 0;
        len = len < n - at ? len : n - at;
        answer(s, op, data + at, len);
        at += len;
        drain(s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const tl_behaviour_events events = {.on_facts = NULL};
    tl_rand rand = tl_rand_seeded(7);
    tl_stun_server servers[SERVERS];
    tl_interface own = {.addr = {.family = TL_ADDR_V4, .bytes = {192, 168, 1, 2}}, .prefix = 24};
    scene s = {.now = TL_SEC};
    if (tl_behaviour_new(&rand, &events, NULL, &s.b))
        return 0;
    memset(servers, 0, sizeof servers);
    for (size_t i = 0; i < SERVERS; i++)
        servers[i].addr = server_at(i);
    tl_behaviour_set_sockets(s.b, 1, 2, 41820, 41820, &own, 1);
    tl_behaviour_set_servers(s.b, servers, SERVERS);
    tl_behaviour_begin(s.b, s.now);
    drain(&s);
    play(&s, data, n);
    pass_time(&s, 10 * TL_SEC);
    tl_stun_report reports[TL_STUN_SERVERS_MAX];
    if (tl_behaviour_reports(s.b, reports) != SERVERS ||
        tl_nat_type_of(tl_behaviour_facts(s.b)) >= TL_NAT_TYPES ||
        tl_behaviour_keepalive(s.b) < 5 * TL_SEC)
        abort();
    tl_behaviour_free(s.b);
    return 0;
}
