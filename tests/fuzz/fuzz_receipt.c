/* Receipts and settlements: the text as it came, and (so that what lies behind the signatures is reached)
 * the same between two nodes whose keys are known, signed by both. */
#include "base/json.h"
#include "market/receipt.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static tl_identity consumer, provider; /* of the seeds 01..01 and 02..02 */

static void make_people(void)
{
    uint8_t seed[32];
    if (consumer.seed[0])
        return;
    memset(seed, 1, sizeof seed);
    if (tl_crypto_init() || tl_identity_from_seed(seed, &consumer))
        abort();
    memset(seed, 2, sizeof seed);
    if (tl_identity_from_seed(seed, &provider))
        abort();
}

static void must(bool so)
{
    if (!so)
        abort();
}

/* What is read is written as it came, and its numbers keep their bounds. */
static void try_receipt(const json_t *value)
{
    tl_receipt r, again;
    json_t *written;
    if (tl_receipt_read(value, &r))
        return;
    must(tl_request_id_is(r.request) && !tl_node_id_eq(&r.consumer, &r.provider));
    must(r.amount >= 0 && r.amount <= TL_MONEY_MAX && r.tokens_in >= 0 && r.tokens_out >= 0);
    must(!tl_receipt_write(&r, &written));
    must(json_equal(written, value));
    must(!tl_receipt_read(written, &again) && tl_receipt_eq(&r, &again));
    json_decref(written);
    r.consumer = consumer.id;
    r.provider = provider.id;
    r.by_consumer = r.by_provider = false;
    must(tl_receipt_verify(&r));
    must(!tl_receipt_sign(&r, &consumer) && !tl_receipt_verify(&r));
    must(!tl_receipt_sign(&r, &provider) && !tl_receipt_verify(&r));
    r.amount ^= 1;
    must(tl_receipt_verify(&r));
}

static void try_settlement(const json_t *value)
{
    tl_settlement s, again;
    json_t *written;
    if (tl_settlement_read(value, &s))
        return;
    must(tl_request_id_is(s.id) && !tl_node_id_eq(&s.creditor, &s.debtor));
    must(s.amount >= 1 && s.amount <= TL_MONEY_MAX);
    must(!tl_settlement_write(&s, &written));
    must(json_equal(written, value));
    must(!tl_settlement_read(written, &again) && tl_settlement_eq(&s, &again));
    json_decref(written);
    s.creditor = provider.id;
    s.debtor = consumer.id;
    s.by_creditor = s.by_debtor = false;
    must(tl_settlement_verify(&s));
    must(!tl_settlement_sign(&s, &provider) && !tl_settlement_sign(&s, &consumer));
    must(!tl_settlement_verify(&s));
    s.at ^= 1;
    must(tl_settlement_verify(&s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    json_t *value;
    make_people();
    if (tl_json_parse(tl_slice_of(data, n), 16, &value, NULL))
        return 0;
    try_receipt(value);
    try_settlement(value);
    json_decref(value);
    return 0;
}
