/* nattext.h - what the daemon knows of the NAT, as one line for a person. Reads JSON; never prints,
 * and never asks the daemon. */
#ifndef TL_CLI_NATTEXT_H
#define TL_CLI_NATTEXT_H

#include "base/json.h"

#define TL_NATTEXT_MAX 320

/* The line of `teale up`: "portRestricted NAT, 203.0.113.7:41820; PCP mapping yes; IPv6 no". `nat`
 * is the status's `nat`. */
void tl_nattext_step(const json_t *nat, char ret_text[TL_NATTEXT_MAX]);
/* The line of `teale status`: "portRestricted, mapping endpoint-independent, filtering ..., public
 * ...". */
void tl_nattext_status(const json_t *nat, char ret_text[TL_NATTEXT_MAX]);
/* The NAT's type, or "no NAT"; borrowed from `nat`. */
const char *tl_nattext_type(const json_t *nat);
/* True when waiting longer brings nothing: the STUN servers have answered, or will not. */
bool tl_nattext_is_settled(const json_t *nat);

#endif
