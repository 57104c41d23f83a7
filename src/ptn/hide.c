#include "ptn/hide.h"

void tl_hide_prepare(tl_hide_key *ret_key, const uint8_t group[TL_HIDE_KEY])
{
    crypto_auth_hmacsha256_init(&ret_key->state, group, TL_HIDE_KEY);
}

void tl_hide_clear(tl_hide_key *key)
{
    sodium_memzero(key, sizeof *key);
}

/* Before 1970 there is no hour: the first one counts. */
static uint64_t hour_of(tl_unix now)
{
    return now < 0 ? 0 : (uint64_t)now / TL_HIDE_HOUR;
}

static void make(const tl_hide_key *key, const tl_node_id *node, uint64_t hour,
                 uint8_t ret_tag[TL_HIDE_TAG])
{
    crypto_auth_hmacsha256_state state = key->state;
    uint8_t big_endian[8];
    for (int i = 0; i < 8; i++)
        big_endian[i] = (uint8_t)(hour >> (56 - 8 * i));
    crypto_auth_hmacsha256_update(&state, node->key, sizeof node->key);
    crypto_auth_hmacsha256_update(&state, big_endian, sizeof big_endian);
    crypto_auth_hmacsha256_final(&state, ret_tag); /* wipes the state */
}

void tl_hide_tag(const tl_hide_key *key, const tl_node_id *node, tl_unix now,
                 uint8_t ret_tag[TL_HIDE_TAG])
{
    make(key, node, hour_of(now), ret_tag);
}

tl_unix tl_hide_until(tl_unix now)
{
    return (tl_unix)(hour_of(now) + 1) * TL_HIDE_HOUR;
}

bool tl_hide_recognises(const tl_hide_key *key, const tl_node_id *node, tl_unix now,
                        const uint8_t (*tags)[TL_HIDE_TAG], size_t n)
{
    uint64_t hour = hour_of(now);
    uint64_t from = hour < TL_HIDE_HOURS_BY ? 0 : hour - TL_HIDE_HOURS_BY;
    for (uint64_t h = from; n && h <= hour + TL_HIDE_HOURS_BY; h++) {
        uint8_t tag[TL_HIDE_TAG];
        make(key, node, h, tag);
        for (size_t i = 0; i < n; i++) /* what is shown is public: an early end tells nothing */
            if (memcmp(tag, tags[i], 8) == 0 && memcmp(tag, tags[i], sizeof tag) == 0)
                return true;
    }
    return false;
}
