#include "backup/pointer.h"

#include <sodium.h>

#define VERSION 1
#define NONCE   crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG     crypto_aead_xchacha20poly1305_ietf_ABYTES
#define LENGTH  "996:"
#define PREFIX  (sizeof LENGTH - 1)
#define PLAIN   (TL_POINTER_VALUE - PREFIX - NONCE - TAG)
#define PURPOSE "teale pointer 1"

_Static_assert(PREFIX + 996 == TL_POINTER_VALUE, "the length that stands before the box");
_Static_assert(1 + 8 + 8 + 32 + 4 + 3 + TL_FRAGMENTS_MAX * (32 + TL_FRAGMENT_TAG + 1) + 1 + 64 <=
                   PLAIN,
               "a full map leaves room for a relay");

/* What is authenticated beside the box. */
static void make_label(int64_t sequence, uint8_t ret[sizeof PURPOSE - 1 + 8])
{
    memcpy(ret, PURPOSE, sizeof PURPOSE - 1);
    for (int i = 0; i < 8; i++)
        ret[sizeof PURPOSE - 1 + (size_t)i] = (uint8_t)((uint64_t)sequence >> (56 - 8 * i));
}

/* Zeros, to the last byte: what is written has one form. */
static bool is_empty(const tl_backup_map *m)
{
    return !m->size && !m->k && !m->n && !m->holders_n &&
           sodium_is_zero(m->blob.bytes, sizeof m->blob.bytes);
}

bool tl_pointer_is_notice(const tl_pointer *p)
{
    return is_empty(&p->map);
}

/* --- making --- */

static uint8_t *put(uint8_t *at, const void *bytes, size_t n)
{
    memcpy(at, bytes, n);
    return at + n;
}

static uint8_t *put_number(uint8_t *at, uint64_t v, int n)
{
    while (n--)
        *at++ = (uint8_t)(v >> 8 * n);
    return at;
}

static void write_plain(const tl_pointer *p, uint8_t ret[PLAIN])
{
    const tl_backup_map *m = &p->map;
    uint8_t *at = ret, *end = ret + PLAIN, *count;
    memset(ret, 0, PLAIN);
    *at++ = VERSION;
    at = put(at, p->instance, sizeof p->instance);
    at = put_number(at, (uint64_t)p->made_at, 8);
    at = put(at, m->blob.bytes, sizeof m->blob.bytes);
    at = put_number(at, m->size, 4);
    *at++ = m->k;
    *at++ = m->n;
    *at++ = m->holders_n;
    for (size_t i = 0; i < m->holders_n; i++)
        at = put(at, m->holder[i].key, sizeof m->holder[i].key);
    for (size_t i = 0; i < m->n; i++) {
        at = put(at, m->fragment[i].tag, TL_FRAGMENT_TAG);
        *at++ = m->fragment[i].holder;
    }
    count = at++;
    for (size_t i = 0; i < p->relays_n && i < TL_POINTER_RELAYS_MAX; i++) {
        size_t n = strlen(p->relays[i]);
        if (!n || 1 + n > (size_t)(end - at))
            continue;
        *at++ = (uint8_t)n;
        at = put(at, p->relays[i], n);
        ++*count;
    }
}

tl_err tl_pointer_seal(const tl_pointer *p, const tl_recovery *keys, int64_t sequence,
                       tl_rand *rand, uint8_t ret_value[TL_POINTER_VALUE])
{
    uint8_t plain[PLAIN], label[sizeof PURPOSE - 1 + 8], *nonce = ret_value + PREFIX;
    if ((!is_empty(&p->map) && !tl_backup_map_is(&p->map)) || p->made_at < 0)
        return TL_ERR_INVALID;
    write_plain(p, plain);
    make_label(sequence, label);
    memcpy(ret_value, LENGTH, PREFIX);
    tl_rand_bytes(rand, nonce, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + NONCE, NULL, plain, PLAIN, label,
                                               sizeof label, NULL, nonce, keys->pointer_key);
    sodium_memzero(plain, sizeof plain);
    return TL_OK;
}

/* --- reading --- */

typedef struct {
    const uint8_t *at;
    size_t left;
    bool bad;
} reader;

static const uint8_t *take(reader *r, size_t n)
{
    static const uint8_t nothing[TL_POINTER_VALUE];
    if (n > r->left) {
        r->bad = true;
        return nothing;
    }
    const uint8_t *p = r->at;
    r->at += n;
    r->left -= n;
    return p;
}

static uint64_t take_number(reader *r, int n)
{
    uint64_t v = 0;
    const uint8_t *p = take(r, (size_t)n);
    for (int i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static void read_map(reader *r, tl_backup_map *m)
{
    memcpy(m->blob.bytes, take(r, sizeof m->blob.bytes), sizeof m->blob.bytes);
    m->size = (uint32_t)take_number(r, 4);
    m->k = (uint8_t)take_number(r, 1);
    m->n = (uint8_t)take_number(r, 1);
    m->holders_n = (uint8_t)take_number(r, 1);
    r->bad |= m->n > TL_FRAGMENTS_MAX || m->holders_n > TL_FRAGMENTS_MAX;
    for (size_t i = 0; !r->bad && i < m->holders_n; i++) {
        tl_node_id id;
        const uint8_t *key = take(r, sizeof id.key);
        if (!r->bad && !tl_node_id_from_bytes(key, &id))
            m->holder[i] = id;
        else
            r->bad = true;
    }
    for (size_t i = 0; !r->bad && i < m->n; i++) {
        memcpy(m->fragment[i].tag, take(r, TL_FRAGMENT_TAG), TL_FRAGMENT_TAG);
        m->fragment[i].holder = (uint8_t)take_number(r, 1);
    }
    r->bad = r->bad || (!is_empty(m) && !tl_backup_map_is(m));
}

static void read_relays(reader *r, tl_pointer *p)
{
    size_t count = (size_t)take_number(r, 1);
    r->bad |= count > TL_POINTER_RELAYS_MAX;
    for (size_t i = 0; !r->bad && i < count; i++) {
        size_t n = (size_t)take_number(r, 1);
        tl_slice url = tl_slice_of(take(r, n), n);
        r->bad |= !n || r->bad || !tl_utf8_is(url) || memchr(url.p, 0, url.n);
        if (!r->bad) {
            memcpy(p->relays[i], url.p, url.n);
            p->relays_n++;
        }
    }
    for (size_t i = 0; i < r->left; i++)
        r->bad |= r->at[i] != 0;
}

tl_err tl_pointer_open(tl_slice value, const tl_recovery *keys, int64_t sequence, tl_pointer *ret)
{
    uint8_t plain[PLAIN], label[sizeof PURPOSE - 1 + 8];
    tl_pointer p = {.made_at = 0};
    const uint8_t *nonce = value.p + PREFIX;
    if (value.n != TL_POINTER_VALUE || memcmp(value.p, LENGTH, PREFIX) != 0)
        return TL_ERR_AUTH;
    make_label(sequence, label);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, nonce + NONCE, PLAIN + TAG,
                                                   label, sizeof label, nonce, keys->pointer_key))
        return TL_ERR_AUTH;
    reader r = {plain, PLAIN, false};
    uint64_t version = take_number(&r, 1);
    memcpy(p.instance, take(&r, sizeof p.instance), sizeof p.instance);
    uint64_t made_at = take_number(&r, 8);
    r.bad |= made_at > INT64_MAX;
    p.made_at = (tl_unix)made_at;
    read_map(&r, &p.map);
    if (!r.bad)
        read_relays(&r, &p);
    sodium_memzero(plain, sizeof plain);
    if (version != VERSION)
        return TL_ERR_INVALID;
    if (r.bad)
        return TL_ERR_PROTO;
    *ret = p;
    return TL_OK;
}

/* --- the signed item --- */

void tl_pointer_pack(const tl_dht_item *item, uint8_t ret[TL_POINTER_PACKED])
{
    uint8_t *at = put(ret, item->key, sizeof item->key);
    at = put_number(at, (uint64_t)item->seq, 8);
    at = put(at, item->sig, sizeof item->sig);
    put(at, item->value, TL_POINTER_VALUE);
}

tl_err tl_pointer_unpack(tl_slice packed, tl_dht_item *ret_item)
{
    tl_dht_item item = {.is_mutable = true,
                        .n_salt = sizeof TL_RECOVERY_SALT - 1,
                        .salt = TL_RECOVERY_SALT,
                        .n_value = TL_POINTER_VALUE};
    reader r = {packed.p, packed.n, packed.n != TL_POINTER_PACKED};
    if (r.bad)
        return TL_ERR_PROTO;
    memcpy(item.key, take(&r, sizeof item.key), sizeof item.key);
    uint64_t sequence = take_number(&r, 8);
    memcpy(item.sig, take(&r, sizeof item.sig), sizeof item.sig);
    memcpy(item.value, take(&r, TL_POINTER_VALUE), TL_POINTER_VALUE);
    if (sequence > INT64_MAX || memcmp(item.value, LENGTH, PREFIX) != 0)
        return TL_ERR_PROTO;
    item.seq = (int64_t)sequence;
    tl_err e = tl_dht_item_verify(&item);
    if (e)
        return e == TL_ERR_INVALID ? TL_ERR_PROTO : e;
    *ret_item = item;
    return TL_OK;
}
