#include "ptn/price.h"

#include "ptn/state.h"

tl_err tl_ptn_price_make(const tl_ptn_price *price, const tl_identity *key, const json_t *chain,
                         json_t **ret_price)
{
    if (price->version < 1 || price->version > TL_PTN_TIME_MAX || price->micro_per_ktoken < 0 ||
        price->micro_per_ktoken > TL_PTN_TIME_MAX || price->issued_at < 0 ||
        price->issued_at > TL_PTN_TIME_MAX)
        return TL_ERR_INVALID;
    json_t *object = json_pack("{s:I, s:I, s:I}", "version", (json_int_t)price->version, "issuedAt",
                               (json_int_t)price->issued_at, "microPerKToken",
                               (json_int_t)price->micro_per_ktoken);
    tl_err e = object ? tl_signer_author(object, &price->network, &price->issuer, key,
                                         TL_SIGN_PRICE, chain)
                      : TL_ERR_NOMEM;
    if (e) {
        json_decref(object);
        return e;
    }
    *ret_price = object;
    return TL_OK;
}

tl_ptn_verdict tl_ptn_price_read(const json_t *value, tl_ptn_price *ret_price)
{
    tl_fields f = tl_fields_of(value);
    tl_ptn_price price = {0};
    tl_signer signer = {0};
    tl_signer_take(&f, &signer);
    tl_field_count(&f, "version", &price.version);
    tl_field_count(&f, "issuedAt", &price.issued_at);
    tl_field_count(&f, "microPerKToken", &price.micro_per_ktoken);
    if (!tl_fields_end(&f) || price.version < 1 ||
        (signer.chain && price.version > TL_PTN_ADMIN_NUMBER_MAX))
        return TL_PTN_MALFORMED;
    tl_cert admin;
    tl_ptn_verdict v = tl_signer_check_object(&signer, TL_SIGN_PRICE, value, &admin);
    if (v)
        return v;
    price.network = signer.network;
    price.issuer = signer.issuer;
    price.delegated = signer.chain != NULL;
    price.issuer_expires_at = price.delegated ? admin.expires_at : TL_PTN_NO_END;
    *ret_price = price;
    return TL_PTN_OK;
}
