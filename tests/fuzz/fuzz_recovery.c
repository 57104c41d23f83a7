/* What a restore reads: words that a person typed, and the plain forms of pointer and backup, which are
 * sealed here with a key that is known. The first byte says which. What is read, reads the same again. */
#include "backup/payload.h"
#include "backup/pointer.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define PLAIN  956
#define NONCE  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG    crypto_aead_xchacha20poly1305_ietf_ABYTES
#define BLOB   "teale backup 1"
#define BOX    "teale pointer 1\0\0\0\0\0\0\0\5"
#define LENGTH "996:"

static tl_recovery keys;
static tl_rand rand_;

static void must(bool so)
{
    if (!so)
        abort();
}

static void words(tl_slice text)
{
    uint8_t entropy[TL_PHRASE_ENTROPY], again[TL_PHRASE_ENTROPY];
    char written[TL_PHRASE_TEXT];
    if (tl_phrase_parse(text, entropy, NULL))
        return;
    tl_phrase_write(entropy, written);
    must(!tl_phrase_parse(tl_slice_str(written), again, NULL) && !memcmp(entropy, again, 32));
}

static void pointer(tl_slice plain)
{
    uint8_t whole[PLAIN] = {0}, value[TL_POINTER_VALUE] = LENGTH;
    uint8_t *nonce = value + sizeof LENGTH - 1;
    tl_pointer p, again;
    memcpy(whole, plain.p, plain.n < PLAIN ? plain.n : PLAIN);
    memset(nonce, 7, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + NONCE, NULL, whole, PLAIN,
                                               (const uint8_t *)BOX, sizeof BOX - 1, NULL, nonce,
                                               keys.pointer_key);
    if (tl_pointer_open(tl_slice_of(value, sizeof value), &keys, 5, &p))
        return;
    must(!tl_pointer_seal(&p, &keys, 5, &rand_, value));
    must(!tl_pointer_open(tl_slice_of(value, sizeof value), &keys, 5, &again));
    must(!memcmp(&p.map, &again.map, sizeof p.map) && p.made_at == again.made_at);
}

static void payload(tl_slice plain)
{
    uLongf packed = compressBound(plain.n);
    size_t size = NONCE + 4 + packed + TAG;
    uint8_t *blob = calloc(1, size), *body = malloc(4 + packed);
    tl_buf out = {0};
    tl_payload p = {0};
    must(blob && body && compress2(body + 4, &packed, plain.p, plain.n, 1) == Z_OK);
    for (int i = 0; i < 4; i++)
        body[i] = (uint8_t)(plain.n >> (24 - 8 * i));
    crypto_aead_xchacha20poly1305_ietf_encrypt(blob + NONCE, NULL, body, 4 + packed,
                                               (const uint8_t *)BLOB, sizeof BLOB - 1, NULL, blob,
                                               keys.blob_key);
    if (!tl_payload_open(tl_slice_of(blob, NONCE + 4 + packed + TAG), keys.blob_key, &out, &p)) {
        must(p.database.n && p.database.n < plain.n);
        tl_payload_clear(&out, &p);
    }
    free(blob);
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool ready;
    if (!ready) {
        const uint8_t root[TL_RECOVERY_KEY] = {1};
        must(!tl_crypto_init() && !tl_recovery_of(root, &keys));
        rand_ = tl_rand_seeded(1);
        ready = true;
    }
    if (!n)
        return 0;
    tl_slice rest = tl_slice_of(data + 1, n - 1);
    if (data[0] == 'w')
        words(rest);
    else if (data[0] == 'p')
        pointer(rest);
    else if (rest.n && rest.n < 100000)
        payload(rest);
    return 0;
}
