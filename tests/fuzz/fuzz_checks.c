/* A session of connectivity checks in hostile hands. The input is a script: a genuine peer's
 * datagrams are delivered, diverted, altered, repeated and held back, time jumps, the owner does
 * whatever an owner may; after each step the session must be in order. */
#include "nat/checks.h"

#include <stdlib.h>

#define T0      (1000 * TL_SEC)
#define KEPT    16 /* datagrams of the peer's that may be repeated */
#define IDS_MAX 4096
#define SEARCH  100 /* the first socket of a search */

typedef struct {
    const uint8_t *p;
    size_t n;
} script;

typedef struct {
    tl_rand rand;
    tl_checks *peer, *own; /* `own` is under test */
    tl_time now;
    tl_checks_output kept[KEPT];
    size_t n_kept;
    uint64_t restarts;
    bool valid[IDS_MAX];
} hands;

static tl_identity id_peer, id_own;

static void must(bool ok)
{
    if (!ok)
        abort();
}

static uint8_t next(script *s)
{
    if (!s->n)
        return 0;
    s->n--;
    return *s->p++;
}

/* Sixteen addresses of four machines, two of them IPv6. */
static tl_addr place(uint8_t k)
{
    tl_addr a = {.family = k & 8 ? TL_ADDR_V6 : TL_ADDR_V4, .port = (uint16_t)(4000 + (k & 3))};
    static const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8};
    memcpy(a.bytes, v6, k & 8 ? 16 : 0);
    if (k & 8) {
        a.bytes[15] = k & 4;
    } else {
        a.bytes[0] = 203;
        a.bytes[2] = 113;
        a.bytes[3] = 1 + (k & 4);
    }
    return a;
}

static tl_checks *session(hands *h, const tl_identity *self, const tl_identity *peer)
{
    tl_checks_config config = {.rand = &h->rand,
                               .self = self,
                               .peer = &peer->id,
                               .session = "0f8fad5b-d9cb-469f-a165-70867728950e",
                               .tag = 7,
                               .sock4 = 1,
                               .sock6 = 2,
                               .keepalive = 25 * TL_SEC};
    tl_checks *c = NULL;
    must(tl_checks_new(&config, &c) == TL_OK);
    return c;
}

static void keep(hands *h, const tl_checks_output *o)
{
    h->kept[h->n_kept++ % KEPT] = *o;
}

static void give(hands *h, tl_checks *c, tl_sock sock, uint8_t from, tl_slice bytes)
{
    tl_addr a = place(from);
    tl_stun stun;
    if (tl_stun_is(bytes) && tl_stun_read(bytes, &stun) == TL_OK)
        tl_checks_on_stun(c, sock, &a, bytes, &stun, h->now);
}

/* What the peer writes is kept for the script; what we write goes to the peer now and then. */
static void drain(hands *h, uint8_t deliver)
{
    tl_checks_output o;
    for (size_t n = 0; tl_checks_next_output(h->own, h->now, &o); n++) {
        must(n < 500 && o.n <= TL_STUN_MAX && o.sock);
        must(tl_addr_kind_of(&o.to) != TL_ADDR_FORBIDDEN);
        if (deliver & 1)
            give(h, h->peer, 1, deliver >> 4, tl_slice_of(o.bytes, o.n));
    }
    while (tl_checks_next_output(h->peer, h->now, &o))
        keep(h, &o);
}

static void check_events(hands *h)
{
    tl_checks_event e;
    while (tl_checks_next_event(h->own, &e)) {
        must(e.pair < IDS_MAX);
        if (e.type == TL_CHECKS_VALID) {
            must(!h->valid[e.pair]);
            h->valid[e.pair] = true;
        } else if (e.type == TL_CHECKS_LOST) {
            must(h->valid[e.pair]);
            h->valid[e.pair] = false;
        }
    }
    while (tl_checks_next_event(h->peer, &e))
        ;
}

static void check_pairs(const hands *h)
{
    size_t n, learned = 0;
    uint64_t budgets = 1 + h->restarts + (h->now - T0) / (10 * TL_SEC);
    const tl_pair *p = tl_checks_pairs(h->own, &n);
    must(n <= TL_CHECKS_PAIRS_MAX);
    for (size_t i = 0; i < n; i++) {
        learned += p[i].kind == TL_CANDIDATE_PEER_REFLEXIVE;
        must(p[i].id && tl_checks_pair(h->own, p[i].id) == &p[i]);
        must(tl_checks_find(h->own, p[i].sock, &p[i].remote) == &p[i]);
        must(p[i].state != TL_PAIR_VALID || (p[i].answered && p[i].rtt && p[i].sock));
        must((p[i].state == TL_PAIR_VALID) == (p[i].id < IDS_MAX && h->valid[p[i].id]));
        if (!p[i].answered)
            must(p[i].sent <= TL_CHECKS_UNHEARD_MAX * budgets + 2 * p[i].asked_by_peer);
    }
    must(n - learned <= TL_CANDIDATES_MAX);
}

static void act(hands *h, script *s, uint8_t what)
{
    uint8_t k = next(s);
    tl_addr a = place(k);
    tl_sock socks[16];
    tl_candidate candidate = {TL_CANDIDATE_HOST, a, k};
    switch (what) {
    case 0: tl_checks_add_remote(h->own, &candidate, h->now); break;
    case 1: tl_checks_start(h->own, h->now); break;
    case 2:
        tl_checks_restart(h->own, k & 1 ? 1 + (k >> 4) : 0, k & 2 ? 20 + (k >> 4) : 0, h->now);
        h->restarts++;
        break;
    case 3:
        for (size_t i = 0; i < 16; i++)
            socks[i] = SEARCH + (tl_sock)i;
        tl_checks_search_open(h->own, &a, socks, k >> 4, h->now);
        break;
    case 4: tl_checks_search_guess(h->own, &a, h->now); break;
    case 5: tl_checks_set_pace(h->own, k >> 2, k % 3, h->now); break;
    case 6: tl_checks_suspect(h->own, k, h->now); break;
    case 7: tl_checks_probe(h->own, 1 + (k >> 6), &a, h->now); break;
    case 8: tl_checks_set_keepalive(h->own, k * TL_SEC); break;
    case 9: tl_checks_add_remote(h->peer, &candidate, h->now); break;
    case 10: tl_checks_start(h->peer, h->now); break;
    default: tl_checks_restart(h->peer, 1, 2, h->now); break;
    }
}

static void deliver(hands *h, script *s, bool altered)
{
    uint8_t which = next(s), from = next(s);
    tl_checks_output o = h->kept[which % KEPT];
    tl_sock sock = from & 0x80 ? SEARCH + (from >> 4 & 7) : (from & 8 ? 2 : 1);
    if (altered) {
        uint8_t at = next(s);
        o.bytes[at] ^= next(s);
    }
    give(h, h->own, sock, from & 15, tl_slice_of(o.bytes, o.n));
}

static void step(hands *h, script *s)
{
    uint8_t op = next(s);
    switch (op >> 4) {
    case 0: { /* whatever bytes */
        size_t n = next(s);
        n = n < s->n ? n : s->n;
        give(h, h->own, 1, op & 15, tl_slice_of(s->p, n));
        s->p += n;
        s->n -= n;
        break;
    }
    case 1:
    case 2:
    case 3: deliver(h, s, false); break;
    case 4: deliver(h, s, true); break;
    case 5: /* time passes in good order */
    case 6:
    case 7:
        h->now += (1 + next(s)) * (op & 1 ? TL_MS : 40 * TL_MS);
        tl_checks_on_timer(h->own, h->now);
        tl_checks_on_timer(h->peer, h->now);
        drain(h, op);
        if (tl_checks_expiry(h->own) <= h->now) { /* the last check made a silence long enough */
            tl_checks_on_timer(h->own, h->now);
            drain(h, op);
        }
        must(tl_checks_expiry(h->own) > h->now); /* or the owner's loop would spin */
        break;
    case 8: h->now += next(s) * TL_SEC; break; /* stands still */
    default: act(h, s, op & 15); break;
    }
    check_events(h);
    check_pairs(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t seed_peer[32] = {1}, seed_own[32] = {2};
    static bool ready;
    if (!ready) {
        must(!tl_crypto_init() && !tl_identity_from_seed(seed_peer, &id_peer) &&
             !tl_identity_from_seed(seed_own, &id_own));
        ready = true;
    }
    hands *h = calloc(1, sizeof *h);
    must(h != NULL);
    h->rand = tl_rand_seeded(n);
    h->now = T0;
    h->peer = session(h, &id_peer, &id_own);
    h->own = session(h, &id_own, &id_peer);
    script s = {data, n};
    while (s.n)
        step(h, &s);
    tl_checks_free(h->peer);
    tl_checks_free(h->own);
    free(h);
    return 0;
}
