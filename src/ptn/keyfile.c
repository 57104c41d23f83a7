#include "ptn/keyfile.h"

#include "base/json.h"

#include <assert.h>
#include <sodium.h>

#define VERSION    1
#define SALT       crypto_pwhash_SALTBYTES
#define HEADER     crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define KEY        crypto_secretstream_xchacha20poly1305_KEYBYTES
#define OVERHEAD   crypto_secretstream_xchacha20poly1305_ABYTES
#define CHECKSUM   32
#define LISTS_DEEP 16 /* levels of JSON: a list with its chain has four */

static const char magic[] = "teale CA key\n";

enum {
    AT_VERSION = sizeof magic - 1,
    AT_TOTAL = AT_VERSION + 1,
    AT_PASSES = AT_TOTAL + 4,
    AT_KIB = AT_PASSES + 4,
    AT_SALT = AT_KIB + 4,
    AT_HEADER = AT_SALT + SALT,
    AT_MESSAGE = AT_HEADER + HEADER,
    BODY_MIN = 32 + 1 + 1, /* seed, length, one letter */
    WHOLE_MIN = AT_MESSAGE + BODY_MIN + OVERHEAD + CHECKSUM,
};

void tl_keyfile_clear(tl_keyfile *k)
{
    json_decref(k->revocations);
    json_decref(k->price);
    sodium_memzero(k, sizeof *k);
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool cost_fits(tl_keyfile_cost c)
{
    return c.passes >= crypto_pwhash_argon2id_OPSLIMIT_MIN && c.passes <= TL_KEYFILE_PASSES_MAX &&
           c.kib >= crypto_pwhash_argon2id_MEMLIMIT_MIN / 1024 && c.kib <= TL_KEYFILE_KIB_MAX;
}

static tl_err derive(tl_slice passphrase, tl_keyfile_cost cost, const uint8_t salt[SALT],
                     uint8_t ret_key[KEY], tl_why *why)
{
    const char *words = passphrase.n ? (const char *)passphrase.p : "";
    if (crypto_pwhash(ret_key, KEY, words, passphrase.n, salt, cost.passes, (size_t)cost.kib * 1024,
                      crypto_pwhash_ALG_ARGON2ID13) == 0)
        return TL_OK;
    return tl_why_set(why, TL_ERR_NOMEM,
                      "there is no memory to try the passphrase: it takes %u MiB", cost.kib >> 10);
}

/* --- making --- */

/* Appends {"revocations": …, "price": …}, each where there is one. */
static tl_err write_lists(tl_buf *out, const tl_keyfile *k)
{
    json_t *lists = json_object();
    bool bad = !lists;
    if (k->revocations)
        bad |= json_object_set(lists, "revocations", k->revocations) != 0;
    if (k->price)
        bad |= json_object_set(lists, "price", k->price) != 0;
    tl_err e = bad ? TL_ERR_NOMEM : tl_json_write(out, lists);
    json_decref(lists);
    return e;
}

/* Encrypts `body` into the file's bytes at `p`, which have room for it. */
static tl_err seal(uint8_t *p, size_t total, const tl_keyfile *k, tl_slice lists,
                   tl_slice passphrase, tl_keyfile_cost cost, tl_why *why)
{
    uint8_t key[KEY];
    crypto_secretstream_xchacha20poly1305_state stream;
    size_t name_n = strlen(k->name), body_n = 32 + 1 + name_n + lists.n;
    memcpy(p, magic, AT_VERSION);
    p[AT_VERSION] = VERSION;
    put_u32(p + AT_TOTAL, (uint32_t)total);
    put_u32(p + AT_PASSES, cost.passes);
    put_u32(p + AT_KIB, cost.kib);
    randombytes_buf(p + AT_SALT, SALT);
    tl_err e = derive(passphrase, cost, p + AT_SALT, key, why);
    if (e)
        return e;
    uint8_t *body = sodium_malloc(body_n); /* wiped when it is freed */
    if (!body) {
        sodium_memzero(key, sizeof key);
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    }
    memcpy(body, k->seed, 32);
    body[32] = (uint8_t)name_n;
    memcpy(body + 33, k->name, name_n);
    memcpy(body + 33 + name_n, lists.p, lists.n);
    crypto_secretstream_xchacha20poly1305_init_push(&stream, p + AT_HEADER, key);
    crypto_secretstream_xchacha20poly1305_push(&stream, p + AT_MESSAGE, NULL, body, body_n, p,
                                               AT_HEADER,
                                               crypto_secretstream_xchacha20poly1305_TAG_FINAL);
    crypto_generichash(p + total - CHECKSUM, CHECKSUM, p, total - CHECKSUM, NULL, 0);
    sodium_free(body);
    sodium_memzero(key, sizeof key);
    sodium_memzero(&stream, sizeof stream);
    return TL_OK;
}

tl_err tl_keyfile_write(tl_buf *out, const tl_keyfile *k, tl_slice passphrase, tl_keyfile_cost cost,
                        tl_why *why)
{
    tl_buf lists = {0};
    uint8_t *p;
    if (!passphrase.n)
        return tl_why_set(why, TL_ERR_INVALID, "the passphrase is empty: type one");
    if (!k->name[0] || !cost_fits(cost))
        return tl_why_set(why, TL_ERR_INVALID, "the network's name or the cost is out of range");
    tl_err e = write_lists(&lists, k);
    size_t total = AT_MESSAGE + 32 + 1 + strlen(k->name) + lists.len + OVERHEAD + CHECKSUM;
    if (!e && total > TL_KEYFILE_MAX)
        e = tl_why_set(why, TL_ERR_TOO_LARGE, "the network's lists are too long to export");
    else if (e || (e = tl_buf_reserve(out, total, &p)))
        (void)tl_why_set(why, e, "out of memory");
    else if (!(e = seal(p, total, k, tl_buf_slice(&lists), passphrase, cost, why)))
        tl_buf_added(out, total);
    tl_buf_clear(&lists);
    return e;
}

/* --- reading --- */

/* The head, the length and the checksum. */
static tl_err check_form(tl_slice file, tl_keyfile_cost *ret_cost, tl_why *why)
{
    uint8_t sum[CHECKSUM];
    if (file.n <= AT_VERSION ? memcmp(file.p ? file.p : (const uint8_t *)"", magic, file.n) != 0
                             : memcmp(file.p, magic, AT_VERSION) != 0)
        return tl_why_set(why, TL_ERR_PROTO,
                          "this is no key of a network: give the file that `teale ptn "
                          "export-ca-key` wrote");
    if (file.n > AT_VERSION && file.p[AT_VERSION] != VERSION)
        return tl_why_set(why, TL_ERR_INVALID,
                          "the file is of version %u, and this program reads version %u: use the "
                          "teale that wrote it, or a newer one",
                          file.p[AT_VERSION], VERSION);
    if (file.n < WHOLE_MIN || file.n < get_u32(file.p + AT_TOTAL))
        return tl_why_set(why, TL_ERR_SHORT,
                          "the file is cut off after %zu bytes: take another copy of it", file.n);
    crypto_generichash(sum, sizeof sum, file.p, file.n - CHECKSUM, NULL, 0);
    if (file.n != get_u32(file.p + AT_TOTAL) ||
        sodium_memcmp(sum, file.p + file.n - CHECKSUM, CHECKSUM) != 0)
        return tl_why_set(why, TL_ERR_PROTO,
                          "the file is damaged or was altered: take another copy of it");
    *ret_cost = (tl_keyfile_cost){get_u32(file.p + AT_PASSES), get_u32(file.p + AT_KIB)};
    if (!cost_fits(*ret_cost))
        return tl_why_set(why, TL_ERR_INVALID,
                          "the file wants %u passes over %u MiB to try a passphrase, more than "
                          "teale ever writes: do not trust it",
                          ret_cost->passes, ret_cost->kib >> 10);
    return TL_OK;
}

static tl_err decrypt(tl_slice file, tl_keyfile_cost cost, tl_slice passphrase, uint8_t *body,
                      tl_why *why)
{
    uint8_t key[KEY], tag = 0;
    crypto_secretstream_xchacha20poly1305_state stream;
    tl_err e = derive(passphrase, cost, file.p + AT_SALT, key, why);
    if (e)
        return e;
    size_t n = file.n - CHECKSUM - AT_MESSAGE;
    if (crypto_secretstream_xchacha20poly1305_init_pull(&stream, file.p + AT_HEADER, key) ||
        crypto_secretstream_xchacha20poly1305_pull(&stream, body, NULL, &tag, file.p + AT_MESSAGE,
                                                   n, file.p, AT_HEADER) ||
        tag != crypto_secretstream_xchacha20poly1305_TAG_FINAL)
        e = tl_why_set(why, TL_ERR_AUTH, "the passphrase is not the one of this file");
    sodium_memzero(key, sizeof key);
    sodium_memzero(&stream, sizeof stream);
    return e;
}

/* What was written by somebody who knew the passphrase. */
static tl_err take_body(tl_slice body, tl_keyfile *k, tl_why *why)
{
    json_t *lists = NULL;
    size_t name_n = body.p[32];
    tl_slice name = tl_slice_of(body.p + 33, name_n);
    if (!name_n || name_n > TL_PTN_NAME_MAX || 33 + name_n > body.n || !tl_utf8_is(name) ||
        memchr(name.p, 0, name.n))
        return tl_why_set(why, TL_ERR_PROTO, "the file holds no name of a network");
    tl_slice text = tl_slice_of(body.p + 33 + name_n, body.n - 33 - name_n);
    tl_err e = tl_json_parse_bounded(text, LISTS_DEEP, TL_JSON_VALUES_MAX, &lists, NULL);
    if (e == TL_ERR_NOMEM)
        return tl_why_set(why, e, "out of memory");
    if (e || !json_is_object(lists)) {
        json_decref(lists);
        return tl_why_set(why, TL_ERR_PROTO, "the file holds no lists of a network");
    }
    memcpy(k->seed, body.p, 32);
    memcpy(k->name, name.p, name.n);
    k->name[name.n] = 0;
    k->revocations = json_incref(json_object_get(lists, "revocations"));
    k->price = json_incref(json_object_get(lists, "price"));
    json_decref(lists);
    return TL_OK;
}

tl_err tl_keyfile_read(tl_slice file, tl_slice passphrase, tl_keyfile *ret, tl_why *why)
{
    tl_keyfile_cost cost = {0};
    if (file.n > TL_KEYFILE_MAX)
        return tl_why_set(why, TL_ERR_PROTO, "the file is too long to be the key of a network");
    tl_err e = check_form(file, &cost, why);
    if (e)
        return e;
    size_t n = file.n - CHECKSUM - AT_MESSAGE - OVERHEAD;
    uint8_t *body = sodium_malloc(n);
    if (!body)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    tl_keyfile k = {0};
    e = decrypt(file, cost, passphrase, body, why);
    if (!e)
        e = take_body(tl_slice_of(body, n), &k, why);
    sodium_free(body);
    if (!e)
        *ret = k;
    return e;
}
