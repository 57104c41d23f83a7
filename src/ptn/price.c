#include "ptn/price.h"

#include "ptn/state.h"

tl_err tl_ptn_price_make(const tl_ptn_price *price, const tl_identity *key, const json_t *chain,
                         json_t **ret_price)
{
    if (price->micro_per_ktoken < 0 || price->micro_per_ktoken > TL_PTN_TIME_MAX)
        return TL_ERR_INVALID;
    json_t *object = json_pack("{s:I}", "microPerKToken", (json_int_t)price->micro_per_ktoken);
    return tl_numbered_make(&price->head, object, key, TL_SIGN_PRICE, chain, ret_price);
}

tl_ptn_verdict tl_ptn_price_read(const json_t *value, tl_ptn_price *ret_price)
{
    tl_fields f = tl_fields_of(value);
    tl_ptn_price price = {.micro_per_ktoken = 0};
    tl_field_count(&f, "microPerKToken", &price.micro_per_ktoken);
    tl_ptn_verdict v = tl_numbered_read(&f, TL_SIGN_PRICE, &price.head);
    if (!v)
        *ret_price = price;
    return v;
}
