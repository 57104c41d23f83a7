/* order.h - the text by which a consumer knows a question of its own again. The consumer sends it
 * with the question, the provider keeps it and shows it with the receipt. So a consumer that died
 * before its disk had the question still pays for it, and for nothing that it never asked. Knows no
 * ledger, no store and no clock.
 *
 * The text is `PRICE.IN.OUT.AT.MAC`: four whole numbers, and 32 hex digits of HMAC-BLAKE2s, under a
 * key that only the consumer has, over the numbers and all that they belong to. */
#ifndef TL_MARKET_ORDER_H
#define TL_MARKET_ORDER_H

#include "market/receipt.h"

#define TL_ORDER_MAX 128 /* of the text, with its NUL */

typedef struct {
    uint8_t bytes[32];
} tl_order_key;

/* The same after each start: made of the node's own secret. */
void tl_order_key_of(const tl_identity *identity, tl_order_key *ret_key);

typedef struct {
    const char *request; /* borrowed, like `model` */
    tl_node_id provider;
    bool has_network;
    tl_node_id network;
    const char *model;
    int64_t price;           /* micro-credits for 1000 tokens, from 0 */
    int64_t cap_in, cap_out; /* tokens: no receipt may say more */
    tl_unix at;
} tl_order;

void tl_order_write(const tl_order *o, const tl_order_key *key, char ret_text[TL_ORDER_MAX]);
/* Fills in the four numbers of `o`, whose other fields say what the text must belong to.
 * TL_ERR_PROTO: no order. TL_ERR_AUTH: not ours, or of another question. */
TL_CHECK tl_err tl_order_read(const char *text, const tl_order_key *key, tl_order *o);
/* Digits, points and lower-case hex, 1 to TL_ORDER_MAX - 1 of them: what a provider keeps. */
bool tl_order_is(const char *text);

#endif
