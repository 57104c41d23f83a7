/* forwarded.h - which proxies are trusted, and whose request it is that came through them, by its
 * X-Forwarded-For. Reads text alone; never touches a socket. RFC 7239's Forwarded is not read: none
 * of nginx, HAProxy and Caddy sends it by itself. */
#ifndef TL_WIRE_FORWARDED_H
#define TL_WIRE_FORWARDED_H

#include "base/addr.h"
#include "wire/http1.h"

#define TL_FORWARDED_HEADER "X-Forwarded-For"
#define TL_PROXIES_MAX      256 /* a large content network has some 200 networks */
#define TL_FORWARDED_HOPS   32  /* proxies in a row; each costs a look at all that are trusted */

/* The addresses that agree with `net` in their first `bits`. */
typedef struct {
    tl_addr net; /* port 0 */
    uint8_t bits;
} tl_cidr;

typedef struct {
    size_t count;
    tl_cidr list[TL_PROXIES_MAX];
} tl_proxies;

/* ADDRESS or ADDRESS/BITS, and no bit beyond those is set. Networks of mapped IPv4 are those of IPv4.
 * TL_ERR_INVALID with `why`: it is no such thing, or everybody (/0); TL_PROXIES_MAX are there
 * already. */
TL_CHECK tl_err tl_proxies_add(tl_proxies *p, const char *text, tl_why *why);
bool tl_proxies_has(const tl_proxies *p, const tl_addr *a);

/* Whose request it is that a trusted proxy sent: X-Forwarded-For, all of its lines in a row, names
 * on its right who spoke with that proxy, left of it who spoke with that one, and so on. The client
 * is the rightmost that is not trusted, else the leftmost. What is left of the client, the client may
 * have made up: it is not read. A port behind an address is taken, and forgotten.
 * TL_ERR_NOT_FOUND: there is none, or it is empty. TL_ERR_PROTO: what had to be read is no address.
 * TL_ERR_TOO_LARGE: more than TL_FORWARDED_HOPS had to be read. */
TL_CHECK tl_err tl_forwarded_client(const tl_http1_head *head, const tl_proxies *trusted,
                                    tl_addr *ret_client);

#endif
