#include "crypto/noise.h"

#include "base/json.h"
#include "crypto/identity.h"

#include <endian.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define PROTOCOL "Noise_IK_25519_ChaChaPoly_BLAKE2s"

/* --- third-party vectors --- */

static tl_slice hex_field(const json_t *object, const char *key, uint8_t *room, size_t cap)
{
    const char *hex = tl_json_string(object, key, NULL);
    assert_non_null(hex);
    size_t n = strlen(hex) / 2;
    assert_true(n <= cap);
    assert_int_equal(tl_hex_parse(tl_slice_str(hex), false, room, n), TL_OK);
    return tl_slice_of(room, n);
}

static void public_of(const uint8_t secret[32], uint8_t ret_public[32])
{
    assert_int_equal(crypto_scalarmult_curve25519_base(ret_public, secret), 0);
}

static void check_transport(const uint8_t key[32], uint64_t counter, tl_slice plain,
                            tl_slice cipher)
{
    uint8_t nonce[12] = {0}, out[1024];
    unsigned long long n;
    uint64_t le = htole64(counter);
    memcpy(nonce + 4, &le, sizeof le);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, &n, plain.p, plain.n, NULL, 0, NULL, nonce, key);
    assert_true(tl_slice_eq(tl_slice_of(out, n), cipher));
}

static void handshake_message(tl_noise *from, tl_noise *to, const uint8_t ephemeral[32],
                              tl_slice payload, tl_slice expected)
{
    uint8_t message[1024], got[1024];
    size_t n;
    assert_int_equal(
        tl_noise_write_with_ephemeral(from, ephemeral, payload, message, sizeof message, &n),
        TL_OK);
    assert_true(tl_slice_eq(tl_slice_of(message, n), expected));
    assert_int_equal(tl_noise_read(to, expected, got, &n), TL_OK);
    assert_true(tl_slice_eq(tl_slice_of(got, n), payload));
}

static void run_vector(const json_t *v)
{
    uint8_t room[8][256], is_pub[32], rs_pub[32], k1[32], k2[32];
    tl_slice i_prologue = hex_field(v, "init_prologue", room[0], 256);
    tl_slice r_prologue = hex_field(v, "resp_prologue", room[1], 256);
    tl_slice i_static = hex_field(v, "init_static", room[2], 32);
    tl_slice r_static = hex_field(v, "resp_static", room[3], 32);
    tl_slice i_ephemeral = hex_field(v, "init_ephemeral", room[4], 32);
    tl_slice r_ephemeral = hex_field(v, "resp_ephemeral", room[5], 32);
    tl_slice i_remote = hex_field(v, "init_remote_static", room[6], 32);
    public_of(i_static.p, is_pub);
    public_of(r_static.p, rs_pub);
    assert_memory_equal(rs_pub, i_remote.p, 32);

    tl_noise initiator, responder;
    tl_noise_init_initiator(&initiator, i_prologue, i_static.p, is_pub, i_remote.p);
    tl_noise_init_responder(&responder, r_prologue, r_static.p, rs_pub);
    const json_t *messages = json_object_get(v, "messages");
    assert_true(json_array_size(messages) > 2);
    for (size_t i = 0; i < json_array_size(messages); i++) {
        uint8_t p[512], c[512];
        const json_t *m = json_array_get(messages, i);
        tl_slice plain = hex_field(m, "payload", p, sizeof p);
        tl_slice cipher = hex_field(m, "ciphertext", c, sizeof c);
        if (i == 0) {
            handshake_message(&initiator, &responder, i_ephemeral.p, plain, cipher);
            assert_memory_equal(responder.rs_public, is_pub, 32);
        } else if (i == 1) {
            handshake_message(&responder, &initiator, r_ephemeral.p, plain, cipher);
            assert_memory_equal(initiator.h, responder.h, 32);
            tl_noise_split(&initiator, k1, k2);
        } else {
            check_transport(i % 2 ? k2 : k1, (i - 2) / 2, plain, cipher);
        }
    }
}

static void every_vector_of_our_pattern_is_met_to_the_byte(void **state)
{
    (void)state;
    json_error_t error;
    json_t *file = json_load_file(TL_TEST_DATA "/noise-cacophony.json", 0, &error);
    assert_non_null(file);
    const json_t *vectors = json_object_get(file, "vectors");
    size_t ran = 0;
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        const json_t *v = json_array_get(vectors, i);
        const char *name = tl_json_string(v, "name", "");
        if (strcmp(name, PROTOCOL) != 0) {
            print_message("skipped, another protocol: %s\n", name);
            continue;
        }
        run_vector(v);
        ran++;
    }
    json_decref(file);
    assert_true(ran >= 1);
}

/* --- two nodes --- */

typedef struct {
    tl_identity a, b;
    tl_noise initiator, responder;
    tl_rand rand;
} pair;

#define PROLOGUE TL_SLICE_LIT("teale/v1 test")
#define HELLO    TL_SLICE_LIT("hello, responder")
#define REPLY    TL_SLICE_LIT("hello, initiator")

static pair pair_make(uint64_t seed)
{
    pair p = {.rand = tl_rand_seeded(seed)};
    assert_int_equal(tl_identity_new(&p.rand, &p.a), TL_OK);
    assert_int_equal(tl_identity_new(&p.rand, &p.b), TL_OK);
    tl_noise_init_initiator(&p.initiator, PROLOGUE, p.a.noise_key, p.a.noise_public,
                            p.b.noise_public);
    tl_noise_init_responder(&p.responder, PROLOGUE, p.b.noise_key, p.b.noise_public);
    return p;
}

static size_t send(pair *p, tl_noise *from, tl_slice payload, uint8_t *message)
{
    size_t n;
    assert_int_equal(tl_noise_write(from, &p->rand, payload, message, 1024, &n), TL_OK);
    return n;
}

static void receive(tl_noise *to, tl_slice message, tl_slice expected)
{
    uint8_t payload[1024];
    size_t n;
    assert_int_equal(tl_noise_read(to, message, payload, &n), TL_OK);
    assert_true(tl_slice_eq(tl_slice_of(payload, n), expected));
}

/* Refuses with `expected`, and the state and the count stay as they were. */
static void assert_refused(tl_noise *to, tl_slice message, tl_err expected)
{
    uint8_t payload[1024];
    size_t n = 4711;
    tl_noise before;
    memcpy(&before, to, sizeof before);
    assert_int_equal(tl_noise_read(to, message, payload, &n), expected);
    assert_int_equal(n, 4711);
    assert_memory_equal(to, &before, sizeof before);
}

static void two_nodes_agree_on_every_secret(void **state)
{
    (void)state;
    pair p = pair_make(1);
    uint8_t m[1024], k[4][32], x[4][32];
    size_t n = send(&p, &p.initiator, HELLO, m);
    assert_int_equal(n, HELLO.n + TL_NOISE_MSG1_OVERHEAD);
    receive(&p.responder, tl_slice_of(m, n), HELLO);
    assert_memory_equal(p.responder.rs_public, p.a.noise_public, 32);
    n = send(&p, &p.responder, REPLY, m);
    assert_int_equal(n, REPLY.n + TL_NOISE_MSG2_OVERHEAD);
    receive(&p.initiator, tl_slice_of(m, n), REPLY);

    tl_noise_split(&p.initiator, k[0], k[1]);
    tl_noise_split(&p.responder, k[2], k[3]);
    assert_memory_equal(k[0], k[2], 32);
    assert_memory_equal(k[1], k[3], 32);
    assert_memory_not_equal(k[0], k[1], 32);
    tl_noise_export(&p.initiator, TL_SLICE_LIT("one"), x[0]);
    tl_noise_export(&p.responder, TL_SLICE_LIT("one"), x[1]);
    tl_noise_export(&p.initiator, TL_SLICE_LIT("two"), x[2]);
    assert_memory_equal(x[0], x[1], 32);
    assert_memory_not_equal(x[0], x[2], 32);
    tl_hmac_blake2s(p.initiator.ck, TL_SLICE_LIT("one"), tl_slice_of(p.initiator.h, 32), x[3]);
    assert_memory_equal(x[0], x[3], 32);
    tl_noise_clear(&p.initiator);
    assert_true(sodium_is_zero((const uint8_t *)&p.initiator, sizeof p.initiator));
}

static void a_message_cut_anywhere_is_refused_and_the_whole_one_still_read(void **state)
{
    (void)state;
    pair p = pair_make(2);
    uint8_t m[1024];
    size_t n = send(&p, &p.initiator, HELLO, m);
    for (size_t k = 0; k < n; k++)
        assert_refused(&p.responder, tl_slice_of(m, k),
                       k < TL_NOISE_MSG1_OVERHEAD ? TL_ERR_SHORT : TL_ERR_AUTH);
    m[n] = 0;
    assert_refused(&p.responder, tl_slice_of(m, n + 1), TL_ERR_AUTH);
    receive(&p.responder, tl_slice_of(m, n), HELLO);

    n = send(&p, &p.responder, REPLY, m);
    for (size_t k = 0; k < n; k++)
        assert_refused(&p.initiator, tl_slice_of(m, k),
                       k < TL_NOISE_MSG2_OVERHEAD ? TL_ERR_SHORT : TL_ERR_AUTH);
    m[n] = 0;
    assert_refused(&p.initiator, tl_slice_of(m, n + 1), TL_ERR_AUTH);
    receive(&p.initiator, tl_slice_of(m, n), REPLY);
}

static void flip_each_byte(tl_noise *to, uint8_t *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit += 7) { /* the top bit of a key is one that X25519 ignores */
            m[i] ^= (uint8_t)(1 << bit);
            assert_refused(to, tl_slice_of(m, n), TL_ERR_AUTH);
            m[i] ^= (uint8_t)(1 << bit);
        }
}

static void a_flipped_bit_in_any_byte_is_refused_and_the_right_message_still_read(void **state)
{
    (void)state;
    pair p = pair_make(3);
    uint8_t m[1024];
    size_t n = send(&p, &p.initiator, HELLO, m);
    flip_each_byte(&p.responder, m, n);
    receive(&p.responder, tl_slice_of(m, n), HELLO);
    n = send(&p, &p.responder, REPLY, m);
    flip_each_byte(&p.initiator, m, n);
    receive(&p.initiator, tl_slice_of(m, n), REPLY);
}

static void a_call_meant_for_another_key_or_prologue_is_refused(void **state)
{
    (void)state;
    pair p = pair_make(4), q = pair_make(5);
    uint8_t m[1024];
    size_t n = send(&p, &p.initiator, HELLO, m);
    assert_refused(&q.responder, tl_slice_of(m, n), TL_ERR_AUTH);
    tl_noise other;
    tl_noise_init_responder(&other, TL_SLICE_LIT("teale/v2 test"), p.b.noise_key, p.b.noise_public);
    assert_refused(&other, tl_slice_of(m, n), TL_ERR_AUTH);
    tl_noise_init_responder(&other, (tl_slice){NULL, 0}, p.b.noise_key, p.b.noise_public);
    assert_refused(&other, tl_slice_of(m, n), TL_ERR_AUTH);
    receive(&p.responder, tl_slice_of(m, n), HELLO);
}

/* Who answers without the private key of the node that was called gets nowhere. */
static void an_answer_by_another_key_is_refused(void **state)
{
    (void)state;
    pair p = pair_make(6);
    uint8_t m[1024], m2[1024];
    size_t n = send(&p, &p.initiator, HELLO, m);
    receive(&p.responder, tl_slice_of(m, n), HELLO);
    tl_noise impostor = p.responder;
    impostor.e[0] = 0;
    memcpy(impostor.rs_public, p.b.noise_public, 32); /* its idea of who called */
    size_t n2 = send(&p, &impostor, REPLY, m2);
    assert_refused(&p.initiator, tl_slice_of(m2, n2), TL_ERR_AUTH);
    n2 = send(&p, &p.responder, REPLY, m2);
    receive(&p.initiator, tl_slice_of(m2, n2), REPLY);
}

static void a_caller_cannot_use_a_static_key_it_does_not_hold(void **state)
{
    (void)state;
    pair p = pair_make(7);
    uint8_t m[1024];
    tl_noise liar; /* says it is b, with a's private key */
    tl_noise_init_initiator(&liar, PROLOGUE, p.a.noise_key, p.b.noise_public, p.b.noise_public);
    size_t n = send(&p, &liar, HELLO, m);
    assert_refused(&p.responder, tl_slice_of(m, n), TL_ERR_AUTH);
}

/* Every u of small order below 2^255: 0, 1, the two of order 8, p - 1, p and p + 1. */
static const char *const small_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static void small_order_keys_are_refused_wherever_they_enter(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof small_order / sizeof *small_order; i++) {
        pair p = pair_make(8);
        uint8_t bad[32], m[1024] = {0};
        size_t n = 4711;
        assert_int_equal(tl_hex_parse(tl_slice_str(small_order[i / 2]), false, bad, 32), TL_OK);
        bad[31] |= i % 2 ? 0x80 : 0; /* a bit that X25519 ignores */

        /* the key that is called */
        tl_noise caller, before;
        tl_noise_init_initiator(&caller, PROLOGUE, p.a.noise_key, p.a.noise_public, bad);
        memcpy(&before, &caller, sizeof before);
        assert_int_equal(tl_noise_write(&caller, &p.rand, HELLO, m, sizeof m, &n), TL_ERR_AUTH);
        assert_int_equal(n, 4711);
        assert_memory_equal(&caller, &before, sizeof before);
        /* the caller's static key, properly encrypted */
        tl_noise_init_initiator(&caller, PROLOGUE, p.a.noise_key, bad, p.b.noise_public);
        n = send(&p, &caller, HELLO, m);
        assert_refused(&p.responder, tl_slice_of(m, n), TL_ERR_AUTH);
        /* the ephemeral keys */
        n = send(&p, &p.initiator, HELLO, m);
        uint8_t right[32];
        memcpy(right, m, 32);
        memcpy(m, bad, 32);
        assert_refused(&p.responder, tl_slice_of(m, n), TL_ERR_AUTH);
        memcpy(m, right, 32);
        receive(&p.responder, tl_slice_of(m, n), HELLO);
        n = send(&p, &p.responder, REPLY, m);
        memcpy(m, bad, 32);
        assert_refused(&p.initiator, tl_slice_of(m, n), TL_ERR_AUTH);
    }
}

/* The same point in another encoding passes X25519, and would be a second name for one key. */
static void a_static_key_in_another_encoding_is_refused(void **state)
{
    (void)state;
    pair p = pair_make(9);
    uint8_t m[1024], twin[32];
    memcpy(twin, p.a.noise_public, 32);
    twin[31] |= 0x80;
    tl_noise caller;
    tl_noise_init_initiator(&caller, PROLOGUE, p.a.noise_key, twin, p.b.noise_public);
    size_t n = send(&p, &caller, HELLO, m);
    assert_refused(&p.responder, tl_slice_of(m, n), TL_ERR_AUTH);
    twin[31] ^= 0x80;
    tl_noise_init_initiator(&caller, PROLOGUE, p.a.noise_key, twin, p.b.noise_public);
    n = send(&p, &caller, HELLO, m);
    receive(&p.responder, tl_slice_of(m, n), HELLO);
}

static void a_message_that_does_not_fit_is_not_written(void **state)
{
    (void)state;
    pair p = pair_make(10);
    static uint8_t m[70000], payload[70000];
    size_t n = 4711, most = TL_NOISE_MESSAGE_MAX - TL_NOISE_MSG1_OVERHEAD;
    tl_noise before;
    memcpy(&before, &p.initiator, sizeof before);
    static const size_t caps[] = {0, 31, TL_NOISE_MSG1_OVERHEAD - 1, TL_NOISE_MSG1_OVERHEAD + 9};
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
        assert_int_equal(
            tl_noise_write(&p.initiator, &p.rand, tl_slice_of(payload, 10), m, caps[i], &n),
            TL_ERR_TOO_LARGE);
    assert_int_equal(
        tl_noise_write(&p.initiator, &p.rand, tl_slice_of(payload, most + 1), m, sizeof m, &n),
        TL_ERR_TOO_LARGE);
    assert_memory_equal(&p.initiator, &before, sizeof before);
    assert_int_equal(n, 4711);
    tl_noise exact = p.initiator;
    assert_int_equal(tl_noise_write(&exact, &p.rand, tl_slice_of(payload, 10), m,
                                    TL_NOISE_MSG1_OVERHEAD + 10, &n),
                     TL_OK);
    assert_int_equal(
        tl_noise_write(&p.initiator, &p.rand, tl_slice_of(payload, most), m, sizeof m, &n), TL_OK);
    assert_int_equal(n, TL_NOISE_MESSAGE_MAX);
    static uint8_t got[70000];
    assert_int_equal(tl_noise_read(&p.responder, tl_slice_of(m, n + 1), got, &n), TL_ERR_TOO_LARGE);
    assert_int_equal(tl_noise_read(&p.responder, tl_slice_of(m, n), got, &n), TL_OK);
    assert_int_equal(n, most);
}

static void every_handshake_is_fresh(void **state)
{
    (void)state;
    pair p = pair_make(11);
    tl_noise again = p.initiator;
    uint8_t m[2][1024];
    size_t n = send(&p, &p.initiator, HELLO, m[0]);
    assert_int_equal(send(&p, &again, HELLO, m[1]), n);
    assert_memory_not_equal(m[0], m[1], 32);
    assert_memory_not_equal(m[0] + 32, m[1] + 32, 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_of_our_pattern_is_met_to_the_byte),
        cmocka_unit_test(two_nodes_agree_on_every_secret),
        cmocka_unit_test(a_message_cut_anywhere_is_refused_and_the_whole_one_still_read),
        cmocka_unit_test(a_flipped_bit_in_any_byte_is_refused_and_the_right_message_still_read),
        cmocka_unit_test(a_call_meant_for_another_key_or_prologue_is_refused),
        cmocka_unit_test(an_answer_by_another_key_is_refused),
        cmocka_unit_test(a_caller_cannot_use_a_static_key_it_does_not_hold),
        cmocka_unit_test(small_order_keys_are_refused_wherever_they_enter),
        cmocka_unit_test(a_static_key_in_another_encoding_is_refused),
        cmocka_unit_test(a_message_that_does_not_fit_is_not_written),
        cmocka_unit_test(every_handshake_is_fresh),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
