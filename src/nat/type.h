/* type.h - the five types of NAT that nodes tell each other, and their names as offers, relays and
 * reports write them. Pure functions. */
#ifndef TL_NAT_TYPE_H
#define TL_NAT_TYPE_H

#include "base/slice.h"

#include <stdbool.h>

typedef enum {
    TL_NAT_UNKNOWN, /* not measured, or not told */
    TL_NAT_FULL_CONE,
    TL_NAT_RESTRICTED_CONE,
    TL_NAT_PORT_RESTRICTED,
    TL_NAT_SYMMETRIC,
    TL_NAT_TYPES, /* how many there are */
} tl_nat_type;

/* "unknown", "fullCone", "restrictedCone", "portRestricted", "symmetric". */
const char *tl_nat_type_name(tl_nat_type type);
/* False: none of these names. */
bool tl_nat_type_parse(tl_slice name, tl_nat_type *ret_type);

#endif
