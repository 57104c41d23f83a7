#include "nat/type.h"

#include <assert.h>

static const char *const names[TL_NAT_TYPES] = {
    [TL_NAT_UNKNOWN] = "unknown",
    [TL_NAT_FULL_CONE] = "fullCone",
    [TL_NAT_RESTRICTED_CONE] = "restrictedCone",
    [TL_NAT_PORT_RESTRICTED] = "portRestricted",
    [TL_NAT_SYMMETRIC] = "symmetric",
};

const char *tl_nat_type_name(tl_nat_type type)
{
    assert(type < TL_NAT_TYPES);
    return names[type];
}

bool tl_nat_type_parse(tl_slice name, tl_nat_type *ret_type)
{
    for (int i = 0; i < TL_NAT_TYPES; i++)
        if (tl_slice_eq(name, tl_slice_str(names[i]))) {
            *ret_type = (tl_nat_type)i;
            return true;
        }
    return false;
}
