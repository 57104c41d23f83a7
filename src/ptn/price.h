/* price.h - the signed, versioned price of a network: makes and checks it. */
#ifndef TL_PTN_PRICE_H
#define TL_PTN_PRICE_H

#include "ptn/cert.h"

typedef struct {
    tl_numbered head;
    int64_t micro_per_ktoken; /* micro-credits for 1000 tokens, prompt and generated alike */
} tl_ptn_price;

/* As tl_cert_make. TL_ERR_INVALID: a number out of its range, 0 to 2^53 - 1. */
TL_CHECK tl_err tl_ptn_price_make(const tl_ptn_price *price, const tl_identity *key,
                                  const json_t *chain, json_t **ret_price);
tl_ptn_verdict tl_ptn_price_read(const json_t *value, tl_ptn_price *ret_price);

#endif
