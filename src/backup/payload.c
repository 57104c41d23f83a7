#include "backup/payload.h"

#include <limits.h>
#include <sodium.h>
#include <zlib.h>

#define VERSION 1
#define NONCE   crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG     crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEAD    (1 + 8 + 32)
#define SECTION (1 + 4)
#define PURPOSE "teale backup 1"

enum { DATABASE = 1, SETTINGS = 2 };

static void put_number(uint8_t *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static uint64_t get_number(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* Memory in which keys have been. */
static void wipe(tl_buf *b)
{
    if (b->data)
        sodium_memzero(b->data, b->cap);
    tl_buf_clear(b);
}

void tl_payload_clear(tl_buf *plain, tl_payload *p)
{
    wipe(plain);
    sodium_memzero(p, sizeof *p);
}

/* --- making --- */

static size_t put_section(uint8_t *p, uint8_t kind, tl_slice bytes)
{
    if (!bytes.n)
        return 0;
    p[0] = kind;
    put_number(p + 1, bytes.n, 4);
    memcpy(p + SECTION, bytes.p, bytes.n);
    return SECTION + bytes.n;
}

static tl_err write_plain(const tl_payload *p, tl_buf *out)
{
    uint8_t *at;
    if (!p->database.n || p->made_at < 0)
        return TL_ERR_INVALID;
    if (p->database.n > TL_PAYLOAD_MAX || p->settings.n > TL_PAYLOAD_SETTINGS_MAX)
        return TL_ERR_TOO_LARGE;
    size_t room = HEAD + 2 * (size_t)SECTION + p->database.n + p->settings.n;
    tl_err e = tl_buf_reserve(out, room, &at);
    if (e)
        return e;
    at[0] = VERSION;
    put_number(at + 1, (uint64_t)p->made_at, 8);
    memcpy(at + 9, p->seed, sizeof p->seed);
    size_t n = HEAD;
    n += put_section(at + n, DATABASE, p->database);
    n += put_section(at + n, SETTINGS, p->settings);
    tl_buf_added(out, n);
    return TL_OK;
}

/* Length and zlib stream. */
static tl_err compress_plain(tl_slice plain, tl_buf *out)
{
    uint8_t *at;
    uLongf n = compressBound(plain.n);
    tl_err e = tl_buf_reserve(out, 4 + n, &at);
    if (e)
        return e;
    put_number(at, plain.n, 4);
    if (compress2(at + 4, &n, plain.p, plain.n, Z_BEST_COMPRESSION) != Z_OK)
        return TL_ERR_NOMEM;
    tl_buf_added(out, 4 + n);
    return TL_OK;
}

tl_err tl_payload_seal(const tl_payload *p, const uint8_t blob_key[TL_RECOVERY_KEY], tl_rand *rand,
                       size_t blob_max, tl_buf *out)
{
    tl_buf plain = {0}, packed = {0};
    uint8_t *at;
    tl_err e = write_plain(p, &plain);
    if (!e)
        e = compress_plain(tl_buf_slice(&plain), &packed);
    if (!e && NONCE + packed.len + TAG > blob_max)
        e = TL_ERR_TOO_LARGE;
    if (!e)
        e = tl_buf_reserve(out, NONCE + packed.len + TAG, &at);
    if (!e) {
        tl_rand_bytes(rand, at, NONCE);
        crypto_aead_xchacha20poly1305_ietf_encrypt(at + NONCE, NULL, tl_buf_begin(&packed),
                                                   packed.len, (const uint8_t *)PURPOSE,
                                                   sizeof PURPOSE - 1, NULL, at, blob_key);
        tl_buf_added(out, NONCE + packed.len + TAG);
    }
    wipe(&plain);
    wipe(&packed);
    return e;
}

/* --- reading --- */

static tl_err decrypt(tl_slice blob, const uint8_t blob_key[TL_RECOVERY_KEY], tl_buf *out)
{
    uint8_t *at;
    if (blob.n < NONCE + TAG + 4)
        return TL_ERR_AUTH;
    tl_err e = tl_buf_reserve(out, blob.n - NONCE - TAG, &at);
    if (e)
        return e;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(at, NULL, NULL, blob.p + NONCE, blob.n - NONCE,
                                                   (const uint8_t *)PURPOSE, sizeof PURPOSE - 1,
                                                   blob.p, blob_key))
        return TL_ERR_AUTH;
    tl_buf_added(out, blob.n - NONCE - TAG);
    return TL_OK;
}

static tl_err expand(tl_slice packed, tl_buf *out)
{
    uint8_t *at;
    if (packed.n < 4)
        return TL_ERR_PROTO;
    uLongf n = (uLongf)get_number(packed.p, 4);
    if (n < HEAD || n > TL_PAYLOAD_MAX + TL_PAYLOAD_SETTINGS_MAX + HEAD + 2 * SECTION)
        return n < HEAD ? TL_ERR_PROTO : TL_ERR_TOO_LARGE;
    tl_err e = tl_buf_reserve(out, n, &at);
    if (e)
        return e;
    uLongf want = n;
    int rc = uncompress(at, &n, packed.p + 4, packed.n - 4);
    if (rc != Z_OK || n != want)
        return rc == Z_MEM_ERROR ? TL_ERR_NOMEM : TL_ERR_PROTO;
    tl_buf_added(out, n);
    return TL_OK;
}

static tl_err read_plain(tl_slice plain, tl_payload *ret)
{
    tl_payload p = {0};
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): `expand` gave HEAD bytes at least */
    if (plain.p[0] != VERSION)
        return TL_ERR_INVALID;
    uint64_t made_at = get_number(plain.p + 1, 8);
    memcpy(p.seed, plain.p + 9, sizeof p.seed);
    tl_slice rest = tl_slice_of(plain.p + HEAD, plain.n - HEAD);
    bool bad = made_at > INT64_MAX;
    while (!bad && rest.n) {
        size_t n = rest.n < SECTION ? SIZE_MAX : (size_t)get_number(rest.p + 1, 4);
        if (n > rest.n - SECTION || rest.n < SECTION) {
            bad = true;
            break;
        }
        tl_slice *to = rest.p[0] == DATABASE   ? &p.database
                       : rest.p[0] == SETTINGS ? &p.settings
                                               : NULL;
        bad = to && to->n;
        if (to)
            *to = tl_slice_of(rest.p + SECTION, n);
        rest = tl_slice_of(rest.p + SECTION + n, rest.n - SECTION - n);
    }
    bad |= !p.database.n || p.settings.n > TL_PAYLOAD_SETTINGS_MAX;
    p.made_at = (tl_unix)made_at;
    if (!bad)
        *ret = p;
    sodium_memzero(p.seed, sizeof p.seed);
    return bad ? TL_ERR_PROTO : TL_OK;
}

tl_err tl_payload_open(tl_slice blob, const uint8_t blob_key[TL_RECOVERY_KEY], tl_buf *ret_plain,
                       tl_payload *ret)
{
    tl_buf packed = {0}, plain = {0};
    tl_err e = decrypt(blob, blob_key, &packed);
    if (!e)
        e = expand(tl_buf_slice(&packed), &plain);
    if (!e)
        e = read_plain(tl_buf_slice(&plain), ret);
    wipe(&packed);
    if (e)
        wipe(&plain);
    else
        *ret_plain = plain;
    return e;
}
