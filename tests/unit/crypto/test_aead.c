#include "crypto/aead.h"
#include "crypto/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct {
    uint8_t p[512];
    size_t n;
} bytes;

static bytes hex(const char *text)
{
    bytes b;
    b.n = strlen(text) / 2;
    assert_true(b.n <= sizeof b.p);
    assert_int_equal(tl_hex_parse(tl_slice_str(text), true, b.p, b.n), TL_OK);
    return b;
}

static void expect_hex(const uint8_t *p, size_t n, const char *text)
{
    bytes b = hex(text);
    assert_int_equal(n, b.n);
    assert_memory_equal(p, b.p, n);
}

/* --- RFC 9001 appendix A.1: keys from the client's connection ID 0x8394c8f03e515708 --- */

static void initial_secrets_are_those_of_rfc_9001(void **state)
{
    (void)state;
    bytes salt = hex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a");
    bytes dcid = hex("8394c8f03e515708");
    uint8_t prk[32], client[32], server[32], out[32];
    tl_hkdf_extract(tl_slice_of(salt.p, salt.n), tl_slice_of(dcid.p, dcid.n), prk);
    expect_hex(prk, 32, "7db5df06e7a69e432496adedb00851923595221596ae2ae9fb8115c1e9ed0a44");
    tl_hkdf_expand_label(prk, "tls13 ", "client in", client, sizeof client);
    expect_hex(client, 32, "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea");
    tl_hkdf_expand_label(client, "tls13 ", "quic key", out, 16);
    expect_hex(out, 16, "1f369613dd76d5467730efcbe3b1a22d");
    tl_hkdf_expand_label(client, "tls13 ", "quic iv", out, 12);
    expect_hex(out, 12, "fa044b2f42a3fd3b46fb255c");
    tl_hkdf_expand_label(client, "tls13 ", "quic hp", out, 16);
    expect_hex(out, 16, "9f50449e04a0e810283a1e9933adedd2");
    tl_hkdf_expand_label(prk, "tls13 ", "server in", server, sizeof server);
    expect_hex(server, 32, "3c199828fd139efd216c155ad844cc81fb82fa8d7446fa7d78be803acdda951b");
    tl_hkdf_expand_label(server, "tls13 ", "quic key", out, 16);
    expect_hex(out, 16, "cf3a5331653c364c88f0f379b6067e37");
    tl_hkdf_expand_label(server, "tls13 ", "quic hp", out, 16);
    expect_hex(out, 16, "c206b8d9b9f0f37644430b490eeaa314");
}

/* --- A.3: the server's Initial --- */

static void the_servers_initial_packet_of_rfc_9001_comes_out_to_the_byte(void **state)
{
    (void)state;
    bytes key = hex("cf3a5331653c364c88f0f379b6067e37");
    bytes nonce = hex("0ac1493ca1905853b0bba03f"); /* iv 0ac1493ca1905853b0bba03e, packet 1 */
    bytes hp_key = hex("c206b8d9b9f0f37644430b490eeaa314");
    bytes head = hex("c1000000010008f067a5502a4262b50040750001");
    bytes plain = hex("02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825"
                      "df566dc5430b9a045a1200130100002e00330024001d00209d3c940d89690b84d08a60993c"
                      "144eca684d1081287c834d5311bcf32bb9da1a002b00020304");
    bytes wire = hex("cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100"
                     "f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3"
                     "548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f"
                     "58891850abbdca3d20398c276456cbc42158407dd074ee");
    uint8_t packet[512], mask[5];
    tl_aead *a;
    tl_hp *hp;
    assert_int_equal(tl_aead_new(TL_AEAD_AES_128_GCM, TL_AEAD_SEAL, key.p, &a), TL_OK);
    memcpy(packet, head.p, head.n);
    assert_int_equal(tl_aead_seal(a, nonce.p, tl_slice_of(head.p, head.n),
                                  tl_slice_of(plain.p, plain.n), packet + head.n),
                     TL_OK);
    tl_aead_free(a);
    assert_int_equal(tl_hp_new(TL_AEAD_AES_128_GCM, hp_key.p, &hp), TL_OK);
    assert_int_equal(tl_hp_mask(hp, packet + 18 + 4, mask), TL_OK); /* the number is at 18 */
    tl_hp_free(hp);
    expect_hex(mask, 5, "2ec0d8356a");
    packet[0] ^= mask[0] & 0x0f;
    packet[18] ^= mask[1];
    packet[19] ^= mask[2];
    assert_int_equal(head.n + plain.n + TL_AEAD_TAG_SIZE, wire.n);
    assert_memory_equal(packet, wire.p, wire.n);
}

/* --- A.4: Retry's integrity tag, a sealed nothing --- */

static void the_retry_tag_of_rfc_9001_comes_out(void **state)
{
    (void)state;
    bytes key = hex("be0c690b9f66575a1d766b54e368c84e"), nonce = hex("461599d35d632bf2239825bb");
    bytes pseudo = hex("088394c8f03e515708ff000000010008f067a5502a4262b5746f6b656e");
    uint8_t tag[16];
    tl_aead *a;
    assert_int_equal(tl_aead_new(TL_AEAD_AES_128_GCM, TL_AEAD_SEAL, key.p, &a), TL_OK);
    assert_int_equal(
        tl_aead_seal(a, nonce.p, tl_slice_of(pseudo.p, pseudo.n), (tl_slice){NULL, 0}, tag), TL_OK);
    tl_aead_free(a);
    expect_hex(tag, 16, "04a265ba2eff4d829058fb3f0f2496ba");
}

/* --- A.5: a short header packet with ChaCha20-Poly1305 --- */

static void the_chacha_packet_of_rfc_9001_comes_out_to_the_byte(void **state)
{
    (void)state;
    bytes secret = hex("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b");
    uint8_t key[32], iv[12], hp_key[32], next[32], packet[64] = {0x42, 0x00, 0xbf, 0xf4}, mask[5];
    tl_hkdf_expand_label(secret.p, "tls13 ", "quic key", key, 32);
    tl_hkdf_expand_label(secret.p, "tls13 ", "quic iv", iv, 12);
    tl_hkdf_expand_label(secret.p, "tls13 ", "quic hp", hp_key, 32);
    tl_hkdf_expand_label(secret.p, "tls13 ", "quic ku", next, 32);
    expect_hex(key, 32, "c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8");
    expect_hex(iv, 12, "e0459b3474bdd0e44a41c144");
    expect_hex(hp_key, 32, "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4");
    expect_hex(next, 32, "1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9");
    bytes nonce = hex("e0459b3474bdd0e46d417eb0");
    tl_aead *a;
    tl_hp *hp;
    assert_int_equal(tl_aead_new(TL_AEAD_CHACHA20_POLY1305, TL_AEAD_SEAL, key, &a), TL_OK);
    assert_int_equal(
        tl_aead_seal(a, nonce.p, tl_slice_of(packet, 4), TL_SLICE_LIT("\x01"), packet + 4), TL_OK);
    tl_aead_free(a);
    assert_int_equal(tl_hp_new(TL_AEAD_CHACHA20_POLY1305, hp_key, &hp), TL_OK);
    assert_int_equal(tl_hp_mask(hp, packet + 5, mask), TL_OK);
    tl_hp_free(hp);
    expect_hex(mask, 5, "aefefe7d03");
    packet[0] ^= mask[0] & 0x1f;
    for (int i = 0; i < 3; i++)
        packet[1 + i] ^= mask[1 + i];
    expect_hex(packet, 21, "4cfe4189655e5cd55c41f69080575d7999c25a5bfb");
}

/* --- RFC 8439 section 2.8.2 --- */

static void the_aead_example_of_rfc_8439_comes_out_and_opens(void **state)
{
    (void)state;
    bytes key = hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    bytes nonce = hex("070000004041424344454647"), ad = hex("50515253c0c1c2c3c4c5c6c7");
    tl_slice plain =
        TL_SLICE_LIT("Ladies and Gentlemen of the class of '99: If I could offer you only one tip "
                     "for the future, sunscreen would be it.");
    bytes sealed =
        hex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9"
            "671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee3"
            "28091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116"
            "1ae10b594f09e26a7e902ecbd0600691");
    uint8_t out[200];
    tl_aead *seal, *open;
    assert_int_equal(tl_aead_new(TL_AEAD_CHACHA20_POLY1305, TL_AEAD_SEAL, key.p, &seal), TL_OK);
    assert_int_equal(tl_aead_new(TL_AEAD_CHACHA20_POLY1305, TL_AEAD_OPEN, key.p, &open), TL_OK);
    assert_int_equal(tl_aead_seal(seal, nonce.p, tl_slice_of(ad.p, ad.n), plain, out), TL_OK);
    assert_memory_equal(out, sealed.p, sealed.n);
    assert_int_equal(
        tl_aead_open(open, nonce.p, tl_slice_of(ad.p, ad.n), tl_slice_of(sealed.p, sealed.n), out),
        TL_OK);
    assert_memory_equal(out, plain.p, plain.n);
    tl_aead_free(seal);
    tl_aead_free(open);
}

/* --- what does not open --- */

static void nothing_changed_or_cut_opens(tl_aead_alg alg)
{
    uint8_t key[32] = {1}, nonce[12] = {2}, ad[5] = {3}, plain[40] = {4}, sealed[56], out[56];
    tl_aead *seal, *open;
    assert_int_equal(tl_aead_new(alg, TL_AEAD_SEAL, key, &seal), TL_OK);
    assert_int_equal(tl_aead_new(alg, TL_AEAD_OPEN, key, &open), TL_OK);
    assert_int_equal(tl_aead_seal(seal, nonce, tl_slice_of(ad, 5), tl_slice_of(plain, 40), sealed),
                     TL_OK);
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(
            tl_aead_open(open, nonce, tl_slice_of(ad, 5), tl_slice_of(sealed, 56), out),
            TL_ERR_AUTH);
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t n = 0; n < sizeof sealed; n++)
        assert_int_equal(tl_aead_open(open, nonce, tl_slice_of(ad, 5), tl_slice_of(sealed, n), out),
                         TL_ERR_AUTH);
    assert_int_equal(tl_aead_open(open, nonce, tl_slice_of(ad, 4), tl_slice_of(sealed, 56), out),
                     TL_ERR_AUTH);
    nonce[0]++;
    assert_int_equal(tl_aead_open(open, nonce, tl_slice_of(ad, 5), tl_slice_of(sealed, 56), out),
                     TL_ERR_AUTH);
    nonce[0]--; /* and after all these failures the same context still opens what is right, in place
                 */
    assert_int_equal(tl_aead_open(open, nonce, tl_slice_of(ad, 5), tl_slice_of(sealed, 56), sealed),
                     TL_OK);
    assert_memory_equal(sealed, plain, sizeof plain);
    tl_aead_free(seal);
    tl_aead_free(open);
}

static void a_sealed_packet_opens_only_unchanged(void **state)
{
    (void)state;
    nothing_changed_or_cut_opens(TL_AEAD_AES_128_GCM);
    nothing_changed_or_cut_opens(TL_AEAD_CHACHA20_POLY1305);
}

static void every_length_opens_again_with_one_context_per_key(void **state)
{
    (void)state;
    for (int alg = TL_AEAD_AES_128_GCM; alg <= TL_AEAD_CHACHA20_POLY1305; alg++) {
        uint8_t key[32] = {9}, nonce[12] = {0}, plain[300], out[316];
        tl_aead *seal, *open;
        assert_int_equal(tl_aead_new((tl_aead_alg)alg, TL_AEAD_SEAL, key, &seal), TL_OK);
        assert_int_equal(tl_aead_new((tl_aead_alg)alg, TL_AEAD_OPEN, key, &open), TL_OK);
        for (size_t n = 0; n <= sizeof plain; n++) {
            memset(plain, (int)n, sizeof plain);
            nonce[0] = (uint8_t)n;
            tl_slice ad = tl_slice_of(plain, n % 40);
            assert_int_equal(tl_aead_seal(seal, nonce, ad, tl_slice_of(plain, n), out), TL_OK);
            assert_int_equal(tl_aead_open(open, nonce, ad, tl_slice_of(out, n + 16), out), TL_OK);
            assert_memory_equal(out, plain, n);
        }
        tl_aead_free(seal);
        tl_aead_free(open);
    }
}

/* A key in use for long may change to another implementation; nobody can tell. */
static void a_busy_key_makes_the_bytes_of_a_fresh_one(tl_aead_alg alg)
{
    enum { PACKETS = 700 };
    static uint8_t plain[1500], mine[1516], fresh[1516], opened[1500];
    uint8_t key[32], nonce[12] = {0}, ad[20];
    tl_rand rand = tl_rand_seeded(alg);
    tl_rand_bytes(&rand, key, sizeof key);
    tl_aead *busy, *opener, *one;
    assert_int_equal(tl_aead_new(alg, TL_AEAD_SEAL, key, &busy), TL_OK);
    assert_int_equal(tl_aead_new(alg, TL_AEAD_OPEN, key, &opener), TL_OK);
    for (unsigned i = 0; i < PACKETS; i++) {
        size_t n = tl_rand_below(&rand, sizeof plain + 1),
               ad_n = tl_rand_below(&rand, sizeof ad + 1);
        tl_rand_bytes(&rand, plain, n);
        tl_rand_bytes(&rand, ad, ad_n);
        tl_rand_bytes(&rand, nonce, sizeof nonce);
        tl_slice a = tl_slice_of(ad, ad_n);
        assert_int_equal(tl_aead_new(alg, TL_AEAD_SEAL, key, &one), TL_OK);
        assert_int_equal(tl_aead_seal(one, nonce, a, tl_slice_of(plain, n), fresh), TL_OK);
        tl_aead_free(one);
        memcpy(mine, plain, n);
        assert_int_equal(tl_aead_seal(busy, nonce, a, tl_slice_of(mine, n), mine), TL_OK);
        assert_memory_equal(mine, fresh, n + 16);

        size_t bit = tl_rand_below(&rand, 8 * (n + 16));
        mine[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(tl_aead_open(opener, nonce, a, tl_slice_of(mine, n + 16), opened),
                         TL_ERR_AUTH);
        assert_int_equal(tl_aead_open(opener, nonce, a, tl_slice_of(fresh, 15), opened),
                         TL_ERR_AUTH);
        assert_int_equal(tl_aead_open(opener, nonce, a, tl_slice_of(fresh, n + 16), fresh), TL_OK);
        assert_memory_equal(fresh, plain, n);
    }
    tl_aead_free(busy);
    tl_aead_free(opener);
}

static void a_busy_key_is_not_to_be_told_from_a_fresh_one(void **state)
{
    (void)state;
    a_busy_key_makes_the_bytes_of_a_fresh_one(TL_AEAD_AES_128_GCM);
    a_busy_key_makes_the_bytes_of_a_fresh_one(TL_AEAD_CHACHA20_POLY1305);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initial_secrets_are_those_of_rfc_9001),
        cmocka_unit_test(the_servers_initial_packet_of_rfc_9001_comes_out_to_the_byte),
        cmocka_unit_test(the_retry_tag_of_rfc_9001_comes_out),
        cmocka_unit_test(the_chacha_packet_of_rfc_9001_comes_out_to_the_byte),
        cmocka_unit_test(the_aead_example_of_rfc_8439_comes_out_and_opens),
        cmocka_unit_test(a_sealed_packet_opens_only_unchanged),
        cmocka_unit_test(every_length_opens_again_with_one_context_per_key),
        cmocka_unit_test(a_busy_key_is_not_to_be_told_from_a_fresh_one),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
