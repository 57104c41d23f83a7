#include "wire/mdns.h"

#include <strings.h>

static const char prefix[] = "teale-";
#define PREFIX_N (sizeof prefix - 1)
_Static_assert(TL_MDNS_NAME_SIZE == PREFIX_N + 2 * TL_MDNS_HINT + 1, "the name's parts");

void tl_mdns_name_write(char ret_name[TL_MDNS_NAME_SIZE], const uint8_t id[32])
{
    memcpy(ret_name, prefix, PREFIX_N);
    tl_hex_write(ret_name + PREFIX_N, id, TL_MDNS_HINT);
}

tl_err tl_mdns_name_hint(tl_slice name, uint8_t ret_hint[TL_MDNS_HINT])
{
    if (name.n < TL_MDNS_NAME_SIZE - 1 || memcmp(name.p, prefix, PREFIX_N) != 0)
        return TL_ERR_PROTO;
    return tl_hex_parse(tl_slice_of(name.p + PREFIX_N, 2 * (size_t)TL_MDNS_HINT), false, ret_hint,
                        TL_MDNS_HINT);
}

tl_err tl_mdns_name_own(tl_slice name, uint8_t ret_hint[TL_MDNS_HINT])
{
    size_t n = TL_MDNS_NAME_SIZE - 1;
    _Static_assert(TL_MDNS_NAMES_MAX <= 9, "the number is one digit");
    bool numbered = name.n == n + 3 && !memcmp(name.p + n, " #", 2) && name.p[n + 2] >= '2' &&
                    name.p[n + 2] <= '0' + TL_MDNS_NAMES_MAX;
    return name.n == n || numbered ? tl_mdns_name_hint(name, ret_hint) : TL_ERR_PROTO;
}

void tl_mdns_txt_write(char ret_txt[TL_MDNS_TXT_SIZE], const uint8_t id[32])
{
    ret_txt[0] = 'i';
    ret_txt[1] = 'd';
    ret_txt[2] = '=';
    tl_hex_write(ret_txt + 3, id, 32);
}

void tl_mdns_txt_add(tl_mdns_txt *t, tl_slice string)
{
    if (t->has_id || t->strings == TL_MDNS_TXT_MAX)
        return;
    t->strings++;
    if (string.n < 2 || strncasecmp((const char *)string.p, "id", 2) != 0 ||
        (string.n > 2 && string.p[2] != '='))
        return;
    t->has_id = true;
    t->valid = string.n > 3 && tl_hex_parse(tl_slice_of(string.p + 3, string.n - 3), false, t->id,
                                            sizeof t->id) == TL_OK;
}
