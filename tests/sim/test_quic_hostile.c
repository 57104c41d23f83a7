/* What somebody on the way, or somebody who knows only the address, can do: delay, and never
 * deceive; and no more than bounded work is done for them. */
#include "initial.h"
#include "quic_world.h"

#include "quic/handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <utlist.h>

static uint64_t dropped(const quic_node *n)
{
    const tl_quic_counters *c = counters(n);
    return c->dropped_short + c->dropped_unknown + c->dropped_auth + c->dropped_replay +
           c->dropped_limit;
}

static void deliver(world *w, const uint8_t *data, size_t n)
{
    uint8_t copy[2048];
    memcpy(copy, data, n);
    tl_quic_on_datagram(w->b->quic, PATH_B, copy, n, sim_now(w->s), sim_wall(w->s));
    sim_wake(w->b->host);
}

/* --- recording --- */

typedef struct {
    uint8_t data[2048];
    size_t n;
    bool block; /* keeps what it recorded */
} recording;

static void record_first_of_a(void *user, sim_link *l, bool from_a, uint8_t *data, size_t *n,
                              size_t cap)
{
    (void)l, (void)cap;
    recording *r = user;
    if (from_a && r->n == 0) {
        memcpy(r->data, data, *n);
        r->n = *n;
    }
    if (from_a && r->block)
        *n = 0;
}

/* A message 1 that b has not seen. */
static recording fresh_message(world *w)
{
    recording r = {.block = true};
    sim_link_set_tap(w->link, record_first_of_a, &r);
    tl_quic_conn *c = quic_node_dial(w->a, w->b, PATH_A);
    assert_non_null(c);
    sim_run_for(w->s, TL_MS);
    tl_quic_conn_close(c, 0, "", sim_now(w->s)); /* or it would send the same again */
    sim_wake(w->a->host);
    sim_run_for(w->s, TL_MS);
    sim_link_set_tap(w->link, NULL, NULL);
    w->a->closed = 0;
    assert_true(r.n >= 1200);
    return r;
}

static tl_slice key_dcid(const recording *r)
{
    return tl_slice_of(r->data + 6, r->data[5]);
}

/* --- garbage --- */

static void garbage_is_dropped_counted_and_never_answered(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    uint8_t data[1600];
    for (int i = 0; i < 20000; i++) {
        size_t n = tl_rand_below(sim_rand(w.s), sizeof data);
        tl_rand_bytes(sim_rand(w.s), data, n);
        if (n > 5 && i % 2) { /* half of it looks like ours */
            data[0] = (uint8_t)(0xC0 | (data[0] & 0x3F));
            memcpy(data + 1, "\x54\x45\x00\x01", 4);
        }
        deliver(&w, data, n);
    }
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(counters(w.b)->datagrams_out, 0);
    assert_int_equal(dropped(w.b), 20000);
    assert_int_equal(tl_quic_expiry(w.b->quic), TL_NEVER); /* nothing was kept */
    world_connect(&w);
    world_free(&w);
}

static void a_first_message_cut_anywhere_is_dropped(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    recording r = fresh_message(&w);
    for (size_t n = 0; n < r.n; n++)
        deliver(&w, r.data, n);
    sim_run_for(w.s, 20 * TL_MS);
    assert_int_equal(counters(w.b)->datagrams_out, 0);
    assert_int_equal(dropped(w.b), r.n);
    deliver(&w, r.data, r.n); /* whole, it is answered */
    sim_run_for(w.s, 20 * TL_MS);
    assert_true(counters(w.b)->datagrams_out > 0);
    world_free(&w);
}

static void an_empty_datagram_is_dropped_in_the_middle_of_a_connection_too(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    uint64_t before = counters(w.b)->dropped_short;
    deliver(&w, (const uint8_t *)"", 0);
    assert_int_equal(counters(w.b)->dropped_short, before + 1);
    quic_node_send(w.a, quic_node_conn(w.a), 1000);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, TL_SEC));
    world_free(&w);
}

/* --- message 1 --- */

static void a_message_1_changed_in_any_byte_is_met_with_silence(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    recording r = fresh_message(&w);
    initial in;
    uint8_t *crypto, out[1500];
    size_t n;
    assert_true(initial_open(r.data, r.n, key_dcid(&r), true, &in));
    assert_true(initial_crypto(&in, &crypto, &n));
    for (size_t i = 0; i < n; i++) {
        crypto[i] ^= (uint8_t)(1u << (i % 8));
        in.dcid[0]++; /* each as a new connection */
        size_t out_n = initial_seal(&in, tl_slice_of(in.dcid, in.dcid_n), true, out, sizeof out);
        crypto[i] ^= (uint8_t)(1u << (i % 8));
        deliver(&w, out, out_n);
        sim_run_for(w.s, 150 * TL_MS); /* a path may knock 8 times a second */
    }
    assert_int_equal(counters(w.b)->datagrams_out, 0);
    assert_int_equal(dropped(w.b), n);
    assert_int_equal(counters(w.b)->dropped_limit, 0);
    in.dcid[0]++;
    size_t out_n = initial_seal(&in, tl_slice_of(in.dcid, in.dcid_n), true, out, sizeof out);
    deliver(&w, out, out_n); /* unchanged, it is answered */
    sim_run_for(w.s, 20 * TL_MS);
    assert_true(counters(w.b)->datagrams_out > 0);
    world_free(&w);
}

static void a_replayed_message_1_does_nothing(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    recording r = {0};
    sim_link_set_tap(w.link, record_first_of_a, &r);
    world_connect(&w);
    sim_run_for(w.s, TL_SEC);
    uint64_t sent = counters(w.b)->datagrams_out;

    initial in; /* as it was, and as the beginning of another connection */
    uint8_t out[1500];
    assert_true(initial_open(r.data, r.n, key_dcid(&r), true, &in));
    in.dcid[0]++;
    size_t out_n = initial_seal(&in, tl_slice_of(in.dcid, in.dcid_n), true, out, sizeof out);
    for (int i = 0; i < 10; i++) {
        deliver(&w, r.data, r.n);
        deliver(&w, out, out_n);
    }
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(counters(w.b)->datagrams_out, sent);
    assert_int_equal(counters(w.b)->dropped_replay, 10);

    tl_quic_conn_close(quic_node_conn(w.a), 0, "", sim_now(w.s));
    sim_wake(w.a->host);
    sim_run_for(w.s, 10 * TL_SEC);
    sent = counters(w.b)->datagrams_out;
    deliver(&w, r.data, r.n); /* its connection is long gone */
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(counters(w.b)->datagrams_out, sent);
    assert_int_equal(counters(w.b)->dropped_replay, 11);
    assert_int_equal(w.b->connected, 1);

    w.b->connected = 0;
    world_connect(&w); /* a new one of the same node is welcome */
    world_free(&w);
}

static void an_older_message_1_is_dropped_after_a_newer_one(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    recording old = fresh_message(&w);
    sim_run_for(w.s, 2 * TL_SEC);
    world_connect(&w);
    sim_run_for(w.s, TL_SEC);
    uint64_t sent = counters(w.b)->datagrams_out;
    deliver(&w, old.data, old.n);
    sim_run_for(w.s, TL_MS);
    assert_int_equal(counters(w.b)->dropped_replay, 1);
    assert_int_equal(counters(w.b)->datagrams_out, sent);
    world_free(&w);
}

/* --- message 2 --- */

typedef struct {
    const recording *first; /* of the client: has the key */
    recording own;
    size_t flip; /* byte of the CRYPTO data to change; SIZE_MAX: none */
    size_t crypto_n;
    const uint8_t *instead; /* other CRYPTO data */
    size_t instead_n;
    uint8_t seen[512]; /* the CRYPTO data that came */
    bool done;
} middle;

/* Opens the server's first Initial, changes message 2, seals it again. */
static void change_message_2(void *user, sim_link *l, bool from_a, uint8_t *data, size_t *n,
                             size_t cap)
{
    middle *m = user;
    initial in;
    uint8_t *crypto, out[1500];
    if (from_a) {
        record_first_of_a(&m->own, l, from_a, data, n, cap);
        return;
    }
    if (m->done || !initial_open(data, *n, key_dcid(&m->own), false, &in) ||
        !initial_crypto(&in, &crypto, &m->crypto_n))
        return;
    m->done = true;
    memcpy(m->seen, crypto, m->crypto_n);
    if (m->flip < m->crypto_n)
        crypto[m->flip] ^= 0x10;
    if (m->instead)
        memcpy(crypto, m->instead, m->instead_n);
    size_t out_n = initial_seal(&in, key_dcid(&m->own), false, out, sizeof out);
    /* The rest of the datagram, its Handshake packet, follows by itself. */
    sim_inject(l, false, out, out_n, DELAY);
    sim_inject(l, false, data + in.packet_n, *n - in.packet_n, DELAY);
    *n = 0;
}

static void a_message_2_changed_in_any_byte_is_refused_by_the_client(void **state)
{
    (void)state;
    size_t n = 1;
    for (size_t i = 0; i <= n; i++) {
        world w = world_new(NULL, NULL);
        middle m = {.flip = i};
        sim_link_set_tap(w.link, change_message_2, &m);
        assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
        sim_run_for(w.s, 30 * TL_SEC);
        assert_true(m.done);
        n = m.crypto_n;
        if (i < n) {
            assert_int_equal(w.a->connected, 0);
            assert_int_equal(w.b->connected, 0);
            assert_int_equal(w.a->closed, 1);
            if (i >= 2) /* a wrong length only makes it wait */
                assert_int_equal(w.a->close_error, TL_ERR_AUTH);
        } else { /* only sealed anew, it is taken */
            assert_int_equal(w.a->connected, 1);
            assert_int_equal(w.b->connected, 1);
        }
        world_free(&w);
    }
}

static void the_answer_of_an_earlier_handshake_is_refused(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    middle first = {.flip = SIZE_MAX};
    sim_link_set_tap(w.link, change_message_2, &first);
    world_connect(&w);
    middle second = {.flip = SIZE_MAX, .instead = first.seen, .instead_n = first.crypto_n};
    sim_link_set_tap(w.link, change_message_2, &second);
    assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
    sim_run_for(w.s, 5 * TL_SEC);
    assert_true(second.done);
    assert_int_equal(w.a->connected, 1); /* the first one */
    assert_int_equal(w.a->closed, 1);
    assert_int_equal(w.a->close_error, TL_ERR_AUTH);
    world_free(&w);
}

/* --- CONNECTION_CLOSE by a stranger --- */

typedef struct {
    recording own;
    bool done;
} closer;

static void forge_close(void *user, sim_link *l, bool from_a, uint8_t *data, size_t *n, size_t cap)
{
    closer *c = user;
    initial in;
    uint8_t out[1500];
    if (from_a) {
        record_first_of_a(&c->own, l, from_a, data, n, cap);
        return;
    }
    if (c->done || !initial_open(data, *n, key_dcid(&c->own), false, &in))
        return;
    static const uint8_t frame[] = "\x1c\x00\x00\x0bpay me 1 BTC"; /* transport close, NO_ERROR */
    memcpy(in.plain, frame, sizeof frame - 1);
    in.plain[3] = 12;
    in.plain_n = sizeof frame - 1;
    size_t out_n = initial_seal(&in, key_dcid(&c->own), false, out, sizeof out);
    sim_inject(l, false, out, out_n, 0);
    c->done = true;
}

static void words_of_the_unproven_are_not_shown(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    closer c = {0};
    sim_link_set_tap(w.link, forge_close, &c);
    assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
    sim_run_for(w.s, TL_SEC);
    assert_true(c.done);
    assert_int_equal(w.a->closed, 1);
    assert_int_equal(w.a->close_error, TL_ERR_PROTO);
    assert_null(strstr(w.a->close_why, "BTC"));
    world_free(&w);
}

/* --- load --- */

static void first_only(void *user, sim_link *l, bool from_a, uint8_t *data, size_t *n, size_t cap)
{
    (void)l, (void)data, (void)cap;
    unsigned *passed = user;
    if (from_a && (*passed)++ > 0)
        *n = 0;
}

enum { FLOOD = 60 };

static void under_a_flood_state_is_bounded_and_an_honest_client_gets_in(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.half_open_max = 16;
    world w = world_new(NULL, &c);
    quic_node *flooder[FLOOD];
    unsigned passed[FLOOD] = {0};
    sim_faults f = {.delay = DELAY};
    for (uint32_t i = 0; i < FLOOD; i++) {
        flooder[i] = quic_node_new(w.s, NULL);
        sim_link *l = sim_link_new(w.s, flooder[i]->host, 1, w.b->host, 100 + i, &f);
        sim_link_set_tap(l, first_only, &passed[i]);
        assert_non_null(quic_node_dial(flooder[i], w.b, 1));
    }
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(counters(w.b)->retries_sent, FLOOD - 4); /* a quarter of 16, then Retry */
    assert_int_equal(counters(w.b)->handshakes_done, 0);

    world_connect(&w); /* by way of a Retry */
    assert_int_equal(counters(w.b)->retries_sent, FLOOD - 3);
    quic_node_send(w.a, quic_node_conn(w.a), 10000);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, TL_SEC));

    sim_run_for(w.s, 20 * TL_SEC);
    assert_int_equal(counters(w.b)->handshakes_failed, 4);
    for (uint32_t i = 0; i < FLOOD; i++)
        quic_node_free(flooder[i]);
    world_free(&w);
}

/* Takes the datagram that carries the token away from its owner. */
static void record_second_of_a(void *user, sim_link *l, bool from_a, uint8_t *data, size_t *n,
                               size_t cap)
{
    (void)l, (void)cap;
    recording *r = user;
    if (!from_a)
        return;
    if (r->block) {
        memcpy(r->data, data, *n);
        r->n = *n;
        *n = 0;
    }
    r->block = true;
}

static void a_token_is_good_only_on_its_path_and_for_a_while(void **state)
{
    (void)state;
    for (int variant = 0; variant < 3; variant++) {
        tl_quic_config c = quic_node_config();
        c.half_open_max = 4;
        world w = world_new(NULL, &c);
        quic_node *other = quic_node_new(w.s, NULL);
        unsigned passed = 0;
        sim_faults f = {.delay = DELAY};
        sim_link *l = sim_link_new(w.s, other->host, 1, w.b->host, 100, &f);
        sim_link_set_tap(l, first_only, &passed);
        assert_non_null(quic_node_dial(other, w.b, 1)); /* from now on, Retry */
        sim_run_for(w.s, 100 * TL_MS);

        recording r = {0};
        sim_link_set_tap(w.link, record_second_of_a, &r);
        assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
        sim_run_for(w.s, 100 * TL_MS);
        assert_true(r.n >= 1200);
        sim_link_set_down(w.link, true);
        if (variant == 1)
            sim_run_for(w.s, 11 * TL_SEC);
        uint64_t before = counters(w.b)->dropped_auth, sent = counters(w.b)->datagrams_out;
        tl_quic_on_datagram(w.b->quic, variant == 2 ? PATH_B + 1 : PATH_B, r.data, r.n,
                            sim_now(w.s), sim_wall(w.s));
        sim_wake(w.b->host);
        sim_run_for(w.s, TL_MS);
        assert_int_equal(counters(w.b)->dropped_auth - before, variant ? 1 : 0);
        assert_int_equal(counters(w.b)->datagrams_out - sent > 0, variant == 0);
        quic_node_free(other);
        world_free(&w);
    }
}

/* --- a hostile relay between three nodes, at random --- */

typedef struct {
    sim_link *links[2];
    recording kept[32];
    unsigned kept_n;
    sim *s;
    bool rest;
} relay;

static void meddle(void *user, sim_link *l, bool from_a, uint8_t *data, size_t *n, size_t cap)
{
    (void)cap;
    relay *r = user;
    if (r->rest)
        return;
    recording *slot = &r->kept[r->kept_n++ % 32];
    memcpy(slot->data, data, *n);
    slot->n = *n;
    uint64_t have = r->kept_n < 32 ? r->kept_n : 32;
    const recording *old = &r->kept[tl_rand_below(sim_rand(r->s), have)];
    tl_time later = tl_rand_below(sim_rand(r->s), 200 * TL_MS);
    switch (tl_rand_below(sim_rand(r->s), 12)) {
    case 0: *n = 0; break;                                          /* drop */
    case 1: sim_inject(l, !from_a, data, *n, later); break;         /* reflect */
    case 2: sim_inject(l, from_a, old->data, old->n, later); break; /* replay, of any direction */
    case 3:                                                         /* into another's session */
        sim_inject(r->links[l == r->links[0]], from_a, data, *n, later);
        break;
    case 4: data[tl_rand_below(sim_rand(r->s), *n)] ^= 1; break; /* alter */
    case 5: /* cut */ *n = 1 + tl_rand_below(sim_rand(r->s), *n); break;
    case 6: /* delay */
        sim_inject(l, from_a, data, *n, later);
        *n = 0;
        break;
    default: break;
    }
}

/* Dials and asks until one question is answered whole; a relay in the way may cost some tries. */
static void get_through(sim *s, quic_node *client, const quic_node *b, unsigned *asked)
{
    quic_job *j = NULL;
    for (int tries = 0; tries < 40; tries++) {
        if (!client->conns_n) {
            client->connected = client->closed = 0;
            sim_expect(quic_node_dial(client, b, 1) != NULL);
            (void)sim_run_while(s, quic_node_is_connected, client, 5 * TL_SEC);
            j = NULL;
        }
        if (client->conns_n && !j) {
            sim_expect(tl_node_id_eq(&client->connected_peer, &b->identity.id));
            j = quic_node_send(client, quic_node_conn(client), tl_rand_below(sim_rand(s), 50000));
            *asked += 1;
        }
        sim_run_for(s, 5 * TL_SEC);
        if (j && quic_job_done(j))
            return;
    }
    sim_expect(!"forty tries");
}

static void a_hostile_relay_delays_and_never_deceives(uint64_t seed)
{
    sim *s = sim_new(seed);
    quic_node *b = quic_node_new(s, NULL), *client[2];
    relay r = {.s = s};
    sim_faults f = {.delay = DELAY};
    unsigned asked = 0, arrived = 0;
    const quic_job *j;
    for (uint32_t i = 0; i < 2; i++) {
        client[i] = quic_node_new(s, NULL);
        r.links[i] = sim_link_new(s, client[i]->host, 1, b->host, 10 + i, &f);
        sim_link_set_tap(r.links[i], meddle, &r);
    }
    for (int i = 0; i < 2; i++)
        sim_expect(quic_node_dial(client[i], b, 1) != NULL);
    sim_run_for(s, 2 * TL_SEC);
    for (int i = 0; i < 2; i++)
        if (client[i]->conns_n) {
            (void)quic_node_send(client[i], quic_node_conn(client[i]),
                                 tl_rand_below(sim_rand(s), 50000));
            asked++;
        }
    sim_run_for(s, 2 * TL_SEC);
    r.rest = true;
    for (int i = 0; i < 2; i++) {
        get_through(s, client[i], b, &asked);
        sim_expect(client[i]->opened == 0);
        LL_FOREACH (client[i]->jobs, j)
            sim_expect(!j->wrong);
    }
    LL_FOREACH (b->jobs, j)
        arrived++;
    sim_expect(arrived <= asked);
    for (unsigned i = 0; i < b->conns_n; i++)
        sim_expect(tl_node_id_eq(tl_quic_conn_peer(b->conns[i]), &client[0]->identity.id) ||
                   tl_node_id_eq(tl_quic_conn_peer(b->conns[i]), &client[1]->identity.id));
    quic_node_free(client[0]);
    quic_node_free(client[1]);
    quic_node_free(b);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage_is_dropped_counted_and_never_answered),
        cmocka_unit_test(a_first_message_cut_anywhere_is_dropped),
        cmocka_unit_test(an_empty_datagram_is_dropped_in_the_middle_of_a_connection_too),
        cmocka_unit_test(a_message_1_changed_in_any_byte_is_met_with_silence),
        cmocka_unit_test(a_replayed_message_1_does_nothing),
        cmocka_unit_test(an_older_message_1_is_dropped_after_a_newer_one),
        cmocka_unit_test(a_message_2_changed_in_any_byte_is_refused_by_the_client),
        cmocka_unit_test(the_answer_of_an_earlier_handshake_is_refused),
        cmocka_unit_test(words_of_the_unproven_are_not_shown),
        cmocka_unit_test(under_a_flood_state_is_bounded_and_an_honest_client_gets_in),
        cmocka_unit_test(a_token_is_good_only_on_its_path_and_for_a_while),
    };
    sim_each_test(tests);
    sim_each_seed("a hostile relay delays and never deceives", 1, 1000,
                  a_hostile_relay_delays_and_never_deceives);
    return sim_result();
}
