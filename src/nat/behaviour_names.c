#include "nat/behaviour.h"

/* From mapping and filtering to the names that other programs know. */
tl_nat_type tl_nat_type_of(const tl_nat_facts *f)
{
    switch (f->mapping) {
    case TL_MAPPING_NONE: return TL_NAT_FULL_CONE;
    case TL_MAPPING_ENDPOINT_INDEPENDENT:
        return f->filtering == TL_FILTERING_ENDPOINT_INDEPENDENT ? TL_NAT_FULL_CONE
               : f->filtering == TL_FILTERING_ADDRESS_DEPENDENT  ? TL_NAT_RESTRICTED_CONE
                                                                 : TL_NAT_PORT_RESTRICTED;
    case TL_MAPPING_ADDRESS_DEPENDENT:
    case TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT: return TL_NAT_SYMMETRIC;
    case TL_MAPPING_UNKNOWN: break;
    }
    return TL_NAT_UNKNOWN;
}

const char *tl_nat_tesseras_type(const tl_nat_facts *f)
{
    switch (f->mapping) {
    case TL_MAPPING_NONE: return "Public";
    case TL_MAPPING_ENDPOINT_INDEPENDENT: return "Cone";
    case TL_MAPPING_ADDRESS_DEPENDENT:
    case TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT: return "Symmetric";
    case TL_MAPPING_UNKNOWN: break;
    }
    return "Unknown";
}

const char *tl_nat_mapping_name(tl_nat_mapping m)
{
    switch (m) {
    case TL_MAPPING_NONE: return "none";
    case TL_MAPPING_ENDPOINT_INDEPENDENT: return "endpoint-independent";
    case TL_MAPPING_ADDRESS_DEPENDENT: return "address-dependent";
    case TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT: return "address-and-port-dependent";
    case TL_MAPPING_UNKNOWN: break;
    }
    return "unknown";
}

const char *tl_nat_filtering_name(tl_nat_filtering f)
{
    switch (f) {
    case TL_FILTERING_ENDPOINT_INDEPENDENT: return "endpoint-independent";
    case TL_FILTERING_ADDRESS_DEPENDENT: return "address-dependent";
    case TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT: return "address-and-port-dependent";
    case TL_FILTERING_UNKNOWN: break;
    }
    return "unknown";
}
