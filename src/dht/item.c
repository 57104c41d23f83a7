#include "dht/item.h"

#include "wire/bencode.h"

#include <assert.h>
#include <openssl/sha.h>

#define SIGNED_MAX (TL_DHT_VALUE_MAX + TL_DHT_SALT_MAX + 64) /* and keys, lengths and the number */

_Static_assert(TL_DHT_ID_SIZE == SHA_DIGEST_LENGTH, "targets are SHA-1");
_Static_assert(TL_KRPC_ID_SIZE == TL_DHT_ID_SIZE, "the ID of KRPC");

/* --- targets --- */

tl_dht_id tl_dht_target_of_key(const uint8_t key[32], tl_slice salt)
{
    uint8_t both[TL_KRPC_KEY_SIZE + TL_DHT_SALT_MAX];
    tl_dht_id target;
    assert(salt.n <= TL_DHT_SALT_MAX);
    memcpy(both, key, TL_KRPC_KEY_SIZE);
    if (salt.n)
        memcpy(both + TL_KRPC_KEY_SIZE, salt.p, salt.n);
    SHA1(both, TL_KRPC_KEY_SIZE + salt.n, target.b);
    return target;
}

tl_dht_id tl_dht_target_of_value(tl_slice value)
{
    tl_dht_id target;
    SHA1(value.p, value.n, target.b);
    return target;
}

tl_dht_id tl_dht_item_target(const tl_dht_item *item)
{
    if (item->is_mutable)
        return tl_dht_target_of_key(item->key, tl_dht_item_salt(item));
    return tl_dht_target_of_value(tl_dht_item_value(item));
}

/* --- signatures --- */

static size_t write_signed(const tl_dht_item *item, uint8_t ret_bytes[SIGNED_MAX])
{
    tl_ben_writer w = {.p = ret_bytes, .max = SIGNED_MAX};
    if (item->n_salt)
        tl_ben_put_pair_text(&w, "salt", tl_dht_item_salt(item));
    tl_ben_put_pair_number(&w, "seq", item->seq);
    tl_ben_put_key(&w, "v");
    tl_ben_put_raw(&w, tl_dht_item_value(item));
    assert(!w.full);
    return w.n;
}

static bool form_is_right(const tl_dht_item *item)
{
    return item->n_value <= TL_DHT_VALUE_MAX && tl_ben_is_canonical(tl_dht_item_value(item)) &&
           (!item->is_mutable || (item->n_salt <= TL_DHT_SALT_MAX && item->seq >= 0));
}

tl_err tl_dht_item_verify(const tl_dht_item *item)
{
    uint8_t bytes[SIGNED_MAX];
    tl_node_id id;
    tl_signature sig;
    if (!form_is_right(item))
        return TL_ERR_INVALID;
    if (!item->is_mutable)
        return TL_OK;
    memcpy(sig.bytes, item->sig, sizeof sig.bytes);
    if (tl_node_id_from_bytes(item->key, &id))
        return TL_ERR_AUTH;
    return tl_sign_bare_verify(&id, tl_slice_of(bytes, write_signed(item, bytes)), &sig);
}

/* --- made and taken --- */

static tl_err set_value(tl_dht_item *item, tl_slice value)
{
    if (value.n > TL_DHT_VALUE_MAX)
        return TL_ERR_TOO_LARGE;
    memcpy(item->value, value.p, value.n);
    item->n_value = (uint16_t)value.n;
    return TL_OK;
}

static tl_err set_salt(tl_dht_item *item, tl_slice salt)
{
    if (salt.n > TL_DHT_SALT_MAX)
        return TL_ERR_INVALID;
    if (salt.n)
        memcpy(item->salt, salt.p, salt.n);
    item->n_salt = (uint8_t)salt.n;
    return TL_OK;
}

tl_err tl_dht_item_of_value(tl_slice value, tl_dht_item *ret_item)
{
    tl_dht_item item = {0};
    if (!value.n || set_value(&item, value) || !form_is_right(&item))
        return TL_ERR_INVALID;
    *ret_item = item;
    return TL_OK;
}

tl_err tl_dht_item_sign(const tl_identity *identity, tl_slice salt, int64_t seq, tl_slice value,
                        tl_dht_item *ret_item)
{
    uint8_t bytes[SIGNED_MAX];
    tl_signature sig;
    tl_dht_item item = {.is_mutable = true, .seq = seq};
    memcpy(item.key, identity->id.key, sizeof item.key);
    if (!value.n || set_value(&item, value) || set_salt(&item, salt) || !form_is_right(&item))
        return TL_ERR_INVALID;
    tl_err e = tl_sign_bare(identity, tl_slice_of(bytes, write_signed(&item, bytes)), &sig);
    if (e)
        return e;
    memcpy(item.sig, sig.bytes, sizeof item.sig);
    *ret_item = item;
    return TL_OK;
}

/* Key, signature and sequence come together or not at all. */
static tl_err set_signature(tl_dht_item *item, const tl_krpc *m)
{
    item->is_mutable = m->key != NULL;
    if (!m->key != !m->sig || !m->key != !m->seq.given || m->seq.value < 0)
        return TL_ERR_INVALID;
    if (!m->key)
        return TL_OK;
    memcpy(item->key, m->key, sizeof item->key);
    memcpy(item->sig, m->sig, sizeof item->sig);
    item->seq = m->seq.value;
    return TL_OK;
}

tl_err tl_dht_item_from_answer(const tl_krpc *answer, const tl_dht_id *target, tl_slice salt,
                               tl_dht_item *ret_item)
{
    tl_dht_item item = {0};
    tl_slice value = answer->value;
    if (!value.n)
        return TL_ERR_NOT_FOUND;
    if (set_value(&item, value) || (answer->key && set_salt(&item, salt)))
        return TL_ERR_INVALID;
    /* An immutable item has no sequence; some programs send one all the same. */
    if (answer->key && set_signature(&item, answer))
        return TL_ERR_INVALID;
    tl_dht_id own = tl_dht_item_target(&item);
    if (!tl_dht_id_eq(&own, target))
        return TL_ERR_AUTH;
    tl_err e = tl_dht_item_verify(&item);
    if (e)
        return e;
    *ret_item = item;
    return TL_OK;
}

tl_err tl_dht_item_from_put(const tl_krpc *query, tl_dht_item *ret_item)
{
    tl_dht_item item = {0};
    tl_err e = query->value.n ? set_value(&item, query->value) : TL_ERR_INVALID;
    if (!e)
        e = set_signature(&item, query);
    if (!e && item.is_mutable)
        e = set_salt(&item, query->salt);
    if (!e && !form_is_right(&item))
        e = TL_ERR_INVALID;
    if (e)
        return e;
    *ret_item = item;
    return TL_OK;
}

void tl_dht_item_into_put(const tl_dht_item *item, tl_krpc *query)
{
    tl_dht_id target = tl_dht_item_target(item);
    memcpy(query->target, target.b, sizeof target.b);
    query->has_target = true;
    query->value = tl_dht_item_value(item);
    if (!item->is_mutable)
        return;
    query->key = item->key;
    query->sig = item->sig;
    query->salt = tl_dht_item_salt(item);
    query->seq = tl_maybe_of(item->seq);
}
