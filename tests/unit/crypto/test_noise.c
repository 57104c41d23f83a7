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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_of_our_pattern_is_met_to_the_byte),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
