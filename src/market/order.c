#include "market/order.h"

#include "crypto/blake2s.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#define MAC_SIZE 16

void tl_order_key_of(const tl_identity *identity, tl_order_key *ret_key)
{
    tl_hmac_blake2s(identity->seed, tl_slice_str("teale/v1/order"), tl_slice_of(NULL, 0),
                    ret_key->bytes);
}

/* Each part ends with a NUL, which none of them holds: no two orders have the same bytes. */
static void mac_of(const tl_order *o, const char *numbers, const tl_order_key *key,
                   uint8_t ret_mac[MAC_SIZE])
{
    char hex[TL_NODE_ID_HEX + 1], network[TL_NODE_ID_HEX + 1] = "";
    uint8_t text[TL_REQUEST_ID_MAX + sizeof hex + sizeof network + TL_MODEL_MAX], mac[32];
    tl_node_id_write(hex, &o->provider);
    if (o->has_network)
        tl_node_id_write(network, &o->network);
    const char *parts[] = {o->request, hex, network, o->model};
    size_t n = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t len = strlen(parts[i]) + 1;
        assert(n + len <= sizeof text);
        memcpy(text + n, parts[i], len);
        n += len;
    }
    tl_hmac_blake2s(key->bytes, tl_slice_of(text, n), tl_slice_str(numbers), mac);
    memcpy(ret_mac, mac, MAC_SIZE);
}

void tl_order_write(const tl_order *o, const tl_order_key *key, char ret_text[TL_ORDER_MAX])
{
    uint8_t mac[MAC_SIZE];
    char hex[2 * MAC_SIZE + 1], numbers[TL_ORDER_MAX - sizeof hex];
    snprintf(numbers, sizeof numbers, "%" PRId64 ".%" PRId64 ".%" PRId64 ".%" PRId64, o->price,
             o->cap_in, o->cap_out, (int64_t)o->at);
    mac_of(o, numbers, key, mac);
    tl_hex_write(hex, mac, sizeof mac);
    snprintf(ret_text, TL_ORDER_MAX, "%s.%s", numbers, hex);
}

bool tl_order_is(const char *text)
{
    size_t n = strlen(text);
    return n >= 1 && n < TL_ORDER_MAX && strspn(text, "0123456789abcdef.") == n;
}

/* A whole number from 0 to TL_MONEY_MAX, then `end`. NULL: none is there. */
static const char *number(const char *p, char end, int64_t *ret)
{
    int64_t n = 0;
    if (*p < '0' || *p > '9')
        return NULL;
    for (; *p >= '0' && *p <= '9'; p++)
        if ((n = n * 10 + (*p - '0')) > TL_MONEY_MAX)
            return NULL;
    *ret = n;
    return *p == end ? p + 1 : NULL;
}

tl_err tl_order_read(const char *text, const tl_order_key *key, tl_order *o)
{
    int64_t price, cap_in, cap_out, at;
    uint8_t told[MAC_SIZE], mac[MAC_SIZE];
    char numbers[TL_ORDER_MAX];
    const char *p = tl_order_is(text) ? text : NULL;
    if (!p || !(p = number(p, '.', &price)) || !(p = number(p, '.', &cap_in)) ||
        !(p = number(p, '.', &cap_out)) || !(p = number(p, '.', &at)) ||
        tl_hex_parse(tl_slice_str(p), false, told, sizeof told))
        return TL_ERR_PROTO;
    snprintf(numbers, sizeof numbers, "%.*s", (int)(p - text) - 1, text);
    mac_of(o, numbers, key, mac);
    if (sodium_memcmp(mac, told, sizeof mac) != 0)
        return TL_ERR_AUTH;
    o->price = price;
    o->cap_in = cap_in;
    o->cap_out = cap_out;
    o->at = at;
    return TL_OK;
}
