#include "ptn/groupkey.h"

#include "ptn/state.h"

tl_err tl_ptn_groupkey_make(const tl_ptn_groupkey *key, const tl_identity *signer,
                            const json_t *chain, json_t **ret_object)
{
    char hex[2 * TL_HIDE_KEY + 1];
    tl_hex_write(hex, key->key, sizeof key->key);
    json_t *object = json_pack("{s:s}", "key", hex);
    sodium_memzero(hex, sizeof hex);
    return tl_numbered_make(&key->head, object, signer, TL_SIGN_GROUP_KEY, chain, ret_object);
}

tl_ptn_verdict tl_ptn_groupkey_read(const json_t *value, tl_ptn_groupkey *ret_key)
{
    tl_fields f = tl_fields_of(value);
    tl_ptn_groupkey key = {.key = {0}};
    const char *hex = "";
    tl_field_text(&f, "key", 2 * sizeof key.key, &hex);
    if (tl_hex_parse(tl_slice_str(hex), false, key.key, sizeof key.key))
        return TL_PTN_MALFORMED;
    tl_ptn_verdict v = tl_numbered_read(&f, TL_SIGN_GROUP_KEY, &key.head);
    if (!v)
        *ret_key = key;
    return v;
}
