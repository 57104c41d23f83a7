#include "quic/handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define AES    (1u << 1)
#define CHACHA (1u << 2)

typedef struct {
    tl_rand rand;
    tl_identity client_id, server_id;
    tl_handshake client, server;
    uint8_t msg1[TL_HANDSHAKE_MESSAGE_MAX], msg2[TL_HANDSHAKE_MESSAGE_MAX];
    size_t msg1_n, msg2_n;
    uint8_t params[TL_HANDSHAKE_MESSAGE_MAX];
    size_t params_n;
} fixture;

static fixture make(uint32_t client_suites, uint32_t server_suites)
{
    fixture f = {.rand = tl_rand_seeded(11)};
    assert_int_equal(tl_identity_new(&f.rand, &f.client_id), TL_OK);
    assert_int_equal(tl_identity_new(&f.rand, &f.server_id), TL_OK);
    /* The structs hold pointers to identities: set in begin(), once f has its place. */
    f.client.suites = client_suites;
    f.server.suites = server_suites;
    return f;
}

static void begin(fixture *f)
{
    assert_int_equal(
        tl_handshake_init_client(&f->client, &f->client_id, &f->server_id.id, f->client.suites),
        TL_OK);
    tl_handshake_init_server(&f->server, &f->server_id, f->server.suites);
    assert_int_equal(tl_handshake_write_msg1(&f->client, &f->rand, 1750000000,
                                             TL_SLICE_LIT("parameters"), f->msg1, &f->msg1_n),
                     TL_OK);
}

/* Without the u16 in front. */
static tl_slice body(const uint8_t *framed, size_t n)
{
    assert_int_equal((size_t)framed[0] << 8 | framed[1], n - 2);
    return tl_slice_of(framed + 2, n - 2);
}

static tl_err serve(fixture *f, tl_slice message)
{
    return tl_handshake_on_msg1(&f->server, message, f->params, &f->params_n);
}

static void both_sides_come_to_the_same_secrets(void **state)
{
    (void)state;
    fixture f = make(AES | CHACHA, AES | CHACHA);
    begin(&f);
    assert_true(f.msg1_n < 400); /* a third of an Initial packet */
    assert_int_equal(serve(&f, body(f.msg1, f.msg1_n)), TL_OK);
    assert_true(tl_slice_eq(tl_slice_of(f.params, f.params_n), TL_SLICE_LIT("parameters")));
    assert_true(tl_node_id_eq(&f.server.peer, &f.client_id.id));
    assert_int_equal(f.server.timestamp, 1750000000);
    assert_int_equal(tl_handshake_write_msg2(&f.server, &f.rand, f.msg2, &f.msg2_n), TL_OK);
    assert_int_equal(tl_handshake_on_msg2(&f.client, body(f.msg2, f.msg2_n)), TL_OK);
    assert_int_equal(f.client.suite, 1);
    assert_int_equal(f.server.suite, 1);
    uint8_t secrets[4][32], other[32];
    for (int i = 0; i < 4; i++) {
        tl_handshake_secret(&f.client, (tl_handshake_secret_id)i, secrets[i]);
        tl_handshake_secret(&f.server, (tl_handshake_secret_id)i, other);
        assert_memory_equal(secrets[i], other, 32);
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(secrets[i], secrets[k], 32);
    }
    uint8_t finished[TL_HANDSHAKE_FINISHED_SIZE];
    tl_handshake_write_finished(&f.client, finished);
    finished[31] ^= 1;
    assert_int_equal(tl_handshake_check_finished(&f.server, tl_slice_of(finished, 32)),
                     TL_ERR_AUTH);
    assert_int_equal(f.server.state, TL_HANDSHAKE_KEYED);
    finished[31] ^= 1;
    assert_int_equal(tl_handshake_check_finished(&f.server, tl_slice_of(finished, 31)),
                     TL_ERR_AUTH);
    assert_int_equal(tl_handshake_check_finished(&f.server, tl_slice_of(finished, 32)), TL_OK);
    assert_int_equal(f.server.state, TL_HANDSHAKE_DONE);
    tl_handshake_clear(&f.client);
    tl_handshake_clear(&f.server);
}

static void message_1_changed_in_any_bit_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    fixture f = make(AES, AES);
    begin(&f);
    for (size_t bit = 16; bit < 8 * f.msg1_n; bit++) {
        f.msg1[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(serve(&f, body(f.msg1, f.msg1_n)), TL_ERR_AUTH);
        f.msg1[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(f.server.state, TL_HANDSHAKE_NEW);
    }
    assert_int_equal(serve(&f, body(f.msg1, f.msg1_n)), TL_OK);
}

static void message_1_cut_anywhere_is_refused(void **state)
{
    (void)state;
    fixture f = make(AES, AES);
    begin(&f);
    for (size_t n = 0; n < f.msg1_n - 2; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        memcpy(copy, f.msg1 + 2, n);
        tl_err e = serve(&f, tl_slice_of(copy, n));
        assert_true(e == TL_ERR_SHORT || e == TL_ERR_AUTH);
        free(copy);
    }
    assert_int_equal(serve(&f, body(f.msg1, f.msg1_n)), TL_OK);
}

static void message_1_for_another_node_is_refused_by_its_mac_alone(void **state)
{
    (void)state;
    fixture f = make(AES, AES);
    begin(&f);
    tl_identity other;
    assert_int_equal(tl_identity_new(&f.rand, &other), TL_OK);
    tl_handshake_init_server(&f.server, &other, AES);
    assert_int_equal(serve(&f, body(f.msg1, f.msg1_n)), TL_ERR_AUTH);
    assert_int_equal(f.server.noise.messages, 0);
}

static void a_node_id_that_is_not_the_static_keys_is_refused(void **state)
{
    (void)state;
    fixture f = make(AES, AES);
    tl_identity other, mixed;
    assert_int_equal(tl_identity_new(&f.rand, &other), TL_OK);
    for (int honest = 0; honest < 2; honest++) {
        mixed = f.client_id;
        if (!honest)
            mixed.id = other.id; /* claims to be somebody else */
        assert_int_equal(tl_handshake_init_client(&f.client, &mixed, &f.server_id.id, AES), TL_OK);
        tl_handshake_init_server(&f.server, &f.server_id, AES);
        assert_int_equal(
            tl_handshake_write_msg1(&f.client, &f.rand, 1, TL_SLICE_LIT("p"), f.msg1, &f.msg1_n),
            TL_OK);
        assert_int_equal(serve(&f, body(f.msg1, f.msg1_n)), honest ? TL_OK : TL_ERR_AUTH);
    }
}

static void message_2_changed_cut_or_of_another_handshake_is_refused(void **state)
{
    (void)state;
    fixture f = make(AES | CHACHA, AES | CHACHA), g = make(AES | CHACHA, AES | CHACHA);
    begin(&f);
    assert_int_equal(serve(&f, body(f.msg1, f.msg1_n)), TL_OK);
    assert_int_equal(tl_handshake_write_msg2(&f.server, &f.rand, f.msg2, &f.msg2_n), TL_OK);
    for (size_t bit = 16; bit < 8 * f.msg2_n; bit++) {
        f.msg2[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(tl_handshake_on_msg2(&f.client, body(f.msg2, f.msg2_n)), TL_ERR_AUTH);
        f.msg2[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t n = 0; n < f.msg2_n - 2; n++) {
        tl_err e = tl_handshake_on_msg2(&f.client, tl_slice_of(f.msg2 + 2, n));
        assert_true(e == TL_ERR_SHORT || e == TL_ERR_AUTH);
    }
    g.rand = tl_rand_seeded(12); /* other ephemeral keys */
    g.client_id = f.client_id;
    g.server_id = f.server_id;
    begin(&g);
    assert_int_equal(tl_handshake_on_msg2(&g.client, body(f.msg2, f.msg2_n)), TL_ERR_AUTH);
    assert_int_equal(tl_handshake_on_msg2(&f.client, body(f.msg2, f.msg2_n)), TL_OK);
}

static void a_suite_that_was_not_offered_is_refused_by_the_client(void **state)
{
    (void)state;
    fixture f = make(CHACHA, AES | CHACHA);
    for (uint8_t answer = 0; answer < 12; answer++) {
        begin(&f);
        assert_int_equal(serve(&f, body(f.msg1, f.msg1_n)), TL_OK);
        f.server.suite = answer; /* a server that does not play by the rules */
        assert_int_equal(tl_handshake_write_msg2(&f.server, &f.rand, f.msg2, &f.msg2_n), TL_OK);
        assert_int_equal(tl_handshake_on_msg2(&f.client, body(f.msg2, f.msg2_n)),
                         answer == 2 ? TL_OK : TL_ERR_PROTO);
        f.client.suites = CHACHA;
        f.server.suites = AES | CHACHA;
    }
}

/* A message 1 with any payload, from a peer that holds a key but breaks the rules. */
static tl_err serve_payload(fixture *f, tl_slice payload)
{
    uint8_t message[1200];
    size_t n;
    assert_int_equal(tl_handshake_init_client(&f->client, &f->client_id, &f->server_id.id, AES),
                     TL_OK);
    tl_handshake_init_server(&f->server, &f->server_id, AES | CHACHA);
    assert_int_equal(tl_noise_write(&f->client.noise, &f->rand, payload,
                                    message + TL_HANDSHAKE_MAC1_SIZE,
                                    sizeof message - TL_HANDSHAKE_MAC1_SIZE, &n),
                     TL_OK);
    uint8_t mac[32];
    tl_hmac_blake2s(f->server_id.noise_public, TL_SLICE_LIT("teale/v1 mac1"),
                    tl_slice_of(message + TL_HANDSHAKE_MAC1_SIZE, n), mac);
    memcpy(message, mac, TL_HANDSHAKE_MAC1_SIZE);
    return serve(f, tl_slice_of(message, TL_HANDSHAKE_MAC1_SIZE + n));
}

static void payloads_of_message_1_are_checked_field_by_field(void **state)
{
    (void)state;
    fixture f = make(AES, AES);
    uint8_t p[32 + 8 + 1 + 2 + 600] = {0};
    memcpy(p, f.client_id.id.key, 32);
    p[40] = 2; /* suites: one from the future, and ours */
    p[41] = 200;
    p[42] = 2;
    assert_int_equal(serve_payload(&f, tl_slice_of(p, 43)),
                     TL_OK); /* no parameters: ngtcp2's affair */
    assert_int_equal(f.server.suite, 2);
    assert_int_equal(f.params_n, 0);
    for (size_t n = 0; n < 43; n++)
        assert_int_equal(serve_payload(&f, tl_slice_of(p, n)), TL_ERR_SHORT);
    assert_int_equal(serve_payload(&f, tl_slice_of(p, 43 + TL_HANDSHAKE_PARAMS_MAX)), TL_OK);
    assert_int_equal(serve_payload(&f, tl_slice_of(p, 43 + TL_HANDSHAKE_PARAMS_MAX + 1)),
                     TL_ERR_TOO_LARGE);
    p[40] = 0;
    assert_int_equal(serve_payload(&f, tl_slice_of(p, 43)), TL_ERR_PROTO);
    p[40] = TL_HANDSHAKE_SUITES_MAX + 1;
    assert_int_equal(serve_payload(&f, tl_slice_of(p, 100)), TL_ERR_PROTO);
    p[40] = 1; /* only the unknown one */
    assert_int_equal(serve_payload(&f, tl_slice_of(p, 43)), TL_ERR_PROTO);
    p[40] = 2;
    memset(p, 0, 32); /* a key of small order */
    assert_int_equal(serve_payload(&f, tl_slice_of(p, 43)), TL_ERR_AUTH);
}

static void an_inbox_gives_a_message_when_it_is_whole_however_it_was_cut(void **state)
{
    (void)state;
    uint8_t framed[TL_HANDSHAKE_MESSAGE_MAX];
    size_t n;
    tl_slice m;
    assert_int_equal(tl_handshake_frame(TL_SLICE_LIT("a message"), framed, &n), TL_OK);
    for (size_t step = 1; step <= n; step++) {
        tl_handshake_inbox in = {.n = 0};
        for (size_t at = 0; at < n; at += step) {
            assert_int_equal(tl_handshake_inbox_message(&in, &m), TL_ERR_AGAIN);
            size_t k = n - at < step ? n - at : step;
            assert_int_equal(tl_handshake_inbox_add(&in, tl_slice_of(framed + at, k)), TL_OK);
        }
        assert_int_equal(tl_handshake_inbox_message(&in, &m), TL_OK);
        assert_true(tl_slice_eq(m, TL_SLICE_LIT("a message")));
        assert_int_equal(tl_handshake_inbox_add(&in, TL_SLICE_LIT("x")), TL_OK);
        assert_int_equal(tl_handshake_inbox_message(&in, &m), TL_ERR_PROTO);
    }
}

static void an_inbox_is_bounded(void **state)
{
    (void)state;
    static const uint8_t zeros[TL_HANDSHAKE_MESSAGE_MAX + 1];
    tl_handshake_inbox in = {.n = 0};
    tl_slice m;
    assert_int_equal(tl_handshake_inbox_add(&in, tl_slice_of(zeros, sizeof zeros)),
                     TL_ERR_TOO_LARGE);
    assert_int_equal(tl_handshake_inbox_add(&in, TL_SLICE_LIT("\xff\xff")), TL_OK);
    assert_int_equal(tl_handshake_inbox_message(&in, &m), TL_ERR_TOO_LARGE);
    assert_int_equal(tl_handshake_inbox_add(&in, tl_slice_of(zeros, sizeof zeros - 2)),
                     TL_ERR_TOO_LARGE);
    assert_int_equal(tl_handshake_inbox_add(&in, tl_slice_of(zeros, sizeof zeros - 3)), TL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_come_to_the_same_secrets),
        cmocka_unit_test(message_1_changed_in_any_bit_is_refused_and_changes_nothing),
        cmocka_unit_test(message_1_cut_anywhere_is_refused),
        cmocka_unit_test(message_1_for_another_node_is_refused_by_its_mac_alone),
        cmocka_unit_test(a_node_id_that_is_not_the_static_keys_is_refused),
        cmocka_unit_test(message_2_changed_cut_or_of_another_handshake_is_refused),
        cmocka_unit_test(a_suite_that_was_not_offered_is_refused_by_the_client),
        cmocka_unit_test(payloads_of_message_1_are_checked_field_by_field),
        cmocka_unit_test(an_inbox_gives_a_message_when_it_is_whole_however_it_was_cut),
        cmocka_unit_test(an_inbox_is_bounded),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
