/* What a peer can do that has a key of its own, finished the handshake, and keeps to no other rule:
 * end its own connection, and nothing else. */
#include "quic_world.h"
#include "raw_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define RAW_PATH 50

/* An honest client is served all the while. */
static void expect_alive(world *w)
{
    if (!quic_node_conn(w->a))
        world_connect(w);
    quic_job *j = quic_node_send(w->a, quic_node_conn(w->a), 3000);
    sim_run_for(w->s, TL_SEC);
    assert_true(quic_job_done(j));
}

static void a_client_made_by_hand_is_served(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    raw_peer p;
    raw_peer_connect(&p, w.b, RAW_PATH);
    assert_true(tl_node_id_eq(&w.b->connected_peer, &p.identity.id));
    raw_peer_send(&p, RAW_PATH, NULL, TL_SLICE_LIT("\x0b\x00\x05hello")); /* STREAM 0, with fin */
    sim_run_for(w.s, TL_MS);
    assert_int_equal(only_job(w.b)->received, 5);
    assert_true(p.server_cids_n > 0);
    expect_alive(&w);
    world_free(&w);
}

static void retired_ids_announced_again_and_again_abort_nothing(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    raw_peer p;
    raw_peer_connect(&p, w.b, RAW_PATH);
    /* seq, retire_prior_to, 8 bytes of ID, 16 of token */
    uint8_t frame[28] = {0x18, 20, 20, 8, 'n', 'e', 'w', 'e', 's', 't', 'i', 'd'};
    raw_peer_send(&p, RAW_PATH, NULL, tl_slice_of(frame, sizeof frame));
    for (uint8_t i = 0; i < 60; i++) {
        frame[1] = (uint8_t)(1 + i % 3); /* older than what was retired, each several times */
        frame[2] = 0;
        frame[4] = i;
        raw_peer_send(&p, RAW_PATH, NULL, tl_slice_of(frame, sizeof frame));
    }
    sim_run_for(w.s, TL_SEC);
    expect_alive(&w);
    world_free(&w);
}

/* A fresh ID of ours for the server to use, and the one it gave us before last retired. */
static size_t keep_moving_frames(uint8_t i, uint8_t ret[32])
{
    memcpy(ret, "\x18\0\0\x08.movesid.sixteen bytes.", 28);
    ret[1] = i;
    ret[4] = ret[12] = i;
    ret[28] = 0x19;
    ret[29] = (uint8_t)(i - 1);
    ret[30] = 0x01;
    return 31;
}

static void moving_on_and_on_without_acknowledging_aborts_nothing(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    raw_peer p;
    raw_peer_connect(&p, w.b, RAW_PATH);
    unsigned moves = 0;
    for (uint8_t i = 1; i < 60; i++) {
        uint8_t frames[32];
        size_t n = keep_moving_frames(i, frames);
        if (i < p.server_cids_n) {
            p.challenged = false;
            raw_peer_send(&p, RAW_PATH + i, p.server_cids[i], tl_slice_of(frames, n));
            frames[0] = 0x1b; /* PATH_RESPONSE */
            memcpy(frames + 1, p.challenge, 8);
            if (p.challenged)
                raw_peer_send(&p, RAW_PATH + i, p.server_cids[i], tl_slice_of(frames, 9));
        }
        moves = w.b->path_changes;
        sim_run_for(w.s, 300 * TL_MS);
        raw_peer_send(&p, RAW_PATH + i, i < p.server_cids_n ? p.server_cids[i] : NULL,
                      TL_SLICE_LIT("\x01\x01\x01\x01"));
    }
    assert_true(moves >= 5); /* it did move the server about */
    sim_run_for(w.s, 10 * TL_SEC);
    expect_alive(&w);
    world_free(&w);
}

/* --- at random --- */

static size_t random_frame(tl_rand *rand, uint8_t *ret)
{
    static const uint8_t types[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
                                    0x0a, 0x0b, 0x0c, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13,
                                    0x14, 0x15, 0x16, 0x17, 0x18, 0x18, 0x18, 0x19, 0x19,
                                    0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x30, 0x31, 0x3f};
    uint8_t type = types[tl_rand_below(rand, sizeof types)];
    size_t at = 0;
    ret[at++] = type;
    if (type == 0x18) { /* mostly well-formed: it goes deepest */
        at += raw_varint(ret + at, tl_rand_below(rand, 30));
        at += raw_varint(ret + at, tl_rand_below(rand, 4) ? 0 : tl_rand_below(rand, 30));
        ret[at++] = 8;
        tl_rand_bytes(rand, ret + at, 24);
        return at + 24;
    }
    size_t fields = 1 + tl_rand_below(rand, 4);
    for (size_t i = 0; i < fields; i++) {
        uint64_t bits = tl_rand_below(rand, 8) ? 6 : tl_rand_below(rand, 62);
        at += raw_varint(ret + at, tl_rand_u64(rand) & (((uint64_t)1 << bits) - 1));
    }
    size_t tail = tl_rand_below(rand, 24);
    tl_rand_bytes(rand, ret + at, tail);
    return at + tail;
}

static void whatever_a_peer_sends_the_others_are_served(uint64_t seed)
{
    world w = world_new(NULL, NULL);
    tl_rand rand = tl_rand_seeded(seed);
    raw_peer p;
    raw_peer_connect(&p, w.b, RAW_PATH);
    for (int i = 0; i < 40 && w.b->closed == 0; i++) {
        uint8_t frames[400];
        size_t n = 0, count = 1 + tl_rand_below(&rand, 4);
        while (count--)
            n += random_frame(&rand, frames + n);
        while (n < 4)
            frames[n++] = 0;
        bool move = p.server_cids_n > 1 && tl_rand_below(&rand, 6) == 0;
        tl_path_id path = RAW_PATH + (move ? (tl_path_id)tl_rand_below(&rand, 3) : 0);
        raw_peer_send(&p, path,
                      move ? p.server_cids[1 + tl_rand_below(&rand, p.server_cids_n - 1)] : NULL,
                      tl_slice_of(frames, n));
        if (tl_rand_below(&rand, 4) == 0)
            sim_run_for(w.s, tl_rand_below(&rand, 500 * TL_MS));
    }
    sim_run_for(w.s, TL_SEC);
    world_connect(&w);
    quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 3000);
    sim_run_for(w.s, TL_SEC);
    sim_expect(quic_job_done(j));
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_made_by_hand_is_served),
        cmocka_unit_test(retired_ids_announced_again_and_again_abort_nothing),
        cmocka_unit_test(moving_on_and_on_without_acknowledging_aborts_nothing),
    };
    sim_each_test(tests);
    sim_each_seed("whatever a peer sends, the others are served", 1, 1000,
                  whatever_a_peer_sends_the_others_are_served);
    return sim_result();
}
