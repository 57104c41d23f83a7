#include "ptn/groupkey.h"

#include "ptn/state.h"

tl_err tl_ptn_groupkey_make(const tl_ptn_groupkey *key, const tl_identity *signer,
                            const json_t *chain, json_t **ret_object)
{
    if (key->version < 1 || key->version > TL_PTN_TIME_MAX || key->issued_at < 0 ||
        key->issued_at > TL_PTN_TIME_MAX)
        return TL_ERR_INVALID;
    char hex[2 * TL_HIDE_KEY + 1];
    tl_hex_write(hex, key->key, sizeof key->key);
    json_t *object = json_pack("{s:I, s:I, s:s}", "version", (json_int_t)key->version, "issuedAt",
                               (json_int_t)key->issued_at, "key", hex);
    sodium_memzero(hex, sizeof hex);
    tl_err e = object ? tl_signer_author(object, &key->network, &key->issuer, signer,
                                         TL_SIGN_GROUP_KEY, chain)
                      : TL_ERR_NOMEM;
    if (e) {
        json_decref(object);
        return e;
    }
    *ret_object = object;
    return TL_OK;
}

tl_ptn_verdict tl_ptn_groupkey_read(const json_t *value, tl_ptn_groupkey *ret_key)
{
    tl_fields f = tl_fields_of(value);
    tl_ptn_groupkey key = {0};
    tl_signer signer = {0};
    const char *hex = "";
    tl_signer_take(&f, &signer);
    tl_field_count(&f, "version", &key.version);
    tl_field_count(&f, "issuedAt", &key.issued_at);
    tl_field_text(&f, "key", 2 * sizeof key.key, &hex);
    if (!tl_fields_end(&f) || key.version < 1 ||
        (signer.chain && key.version > TL_PTN_ADMIN_NUMBER_MAX) ||
        tl_hex_parse(tl_slice_str(hex), false, key.key, sizeof key.key))
        return TL_PTN_MALFORMED;
    tl_cert admin;
    tl_ptn_verdict v = tl_signer_check_object(&signer, TL_SIGN_GROUP_KEY, value, &admin);
    if (v)
        return v;
    key.network = signer.network;
    key.issuer = signer.issuer;
    key.delegated = signer.chain != NULL;
    key.issuer_expires_at = key.delegated ? admin.expires_at : TL_PTN_NO_END;
    *ret_key = key;
    return TL_PTN_OK;
}
