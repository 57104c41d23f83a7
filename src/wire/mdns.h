/* mdns.h - what a node says of itself in DNS-SD (RFC 6763) on the local network, and how it is read. Pure codec: no
 * heap, no socket. DNS messages are read and written by avahi.
 *
 *   teale-<16 hex>._teale._tcp.local   PTR of _teale._tcp.local; the first digits of the node's ID (" #2" and so on behind
 *                                      them, where somebody has this name already: the name proves nothing)
 *     SRV  host, port                  the port of TCP at which the node listens
 *     TXT  id=<64 hex>                 the node's ID; nothing else of the node is told                              */
#ifndef TL_WIRE_MDNS_H
#define TL_WIRE_MDNS_H

#include "base/slice.h"

#define TL_MDNS_SERVICE   "_teale._tcp"
#define TL_MDNS_NAME_MAX  64                         /* a label of DNS: 63 bytes, and NUL */
#define TL_MDNS_HINT      8                          /* bytes of the ID that the name shows */
#define TL_MDNS_NAME_SIZE (6 + 2 * TL_MDNS_HINT + 1) /* "teale-", the digits, NUL */
#define TL_MDNS_NAMES_MAX 9                          /* of one node: up to " #9" */
#define TL_MDNS_TXT_SIZE  (3 + 64 + 1)               /* "id=", the digits, NUL */
#define TL_MDNS_TXT_MAX   16 /* strings of a TXT record that are looked at */

void tl_mdns_name_write(char ret_name[TL_MDNS_NAME_SIZE], const uint8_t id[32]);
/* The first bytes of the ID that such a name shows, whatever follows it ("teale-0123456789abcdef #2"). TL_ERR_PROTO:
 * the name shows none. */
TL_CHECK tl_err tl_mdns_name_hint(tl_slice name, uint8_t ret_hint[TL_MDNS_HINT]);

/* The same of a name that a node gives itself: the digits alone, or " #2" to " #9" behind them. So a flood under the digits
 * of one node has few names. */
TL_CHECK tl_err tl_mdns_name_own(tl_slice name, uint8_t ret_hint[TL_MDNS_HINT]);

void tl_mdns_txt_write(char ret_txt[TL_MDNS_TXT_SIZE], const uint8_t id[32]);

/* A TXT record that is read string by string. Zero-initialise. */
typedef struct {
    unsigned strings;
    bool has_id; /* the key was there, with a value of the right form or not */
    bool valid;
    uint8_t id[32];
} tl_mdns_txt;
/* One string of the record, in their order. As RFC 6763 section 6.4 says: the case of the key does not matter, the first
 * of several counts, keys that mean nothing to us are passed over. */
void tl_mdns_txt_add(tl_mdns_txt *t, tl_slice string);

#endif
