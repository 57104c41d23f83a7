/* nattext.h - what the daemon knows of the NAT, as one line for a person. Reads JSON, touches
 * nothing. */
#ifndef TL_CLI_NATTEXT_H
#define TL_CLI_NATTEXT_H

#include "base/json.h"

#define TL_NATTEXT_MAX 320

/* Of `up`: "portRestricted NAT, 203.0.113.7:41820; PCP mapping yes; IPv6 no". `nat` is that of the
 * status. */
void tl_nattext_step(const json_t *nat, char ret_text[TL_NATTEXT_MAX]);
/* Of `status`: "portRestricted, mapping endpoint-independent, filtering ..., public ...". */
void tl_nattext_status(const json_t *nat, char ret_text[TL_NATTEXT_MAX]);
/* True when there is no more to wait for: the STUN servers have answered, or will not. */
bool tl_nattext_is_settled(const json_t *nat);

#endif
