/* addr.h - an IP address and port, and the text around them. Never resolves a name. */
#ifndef TL_BASE_ADDR_H
#define TL_BASE_ADDR_H

#include "base/slice.h"

#include <netinet/in.h>
#include <sys/socket.h>

typedef enum { TL_ADDR_NONE, TL_ADDR_V4, TL_ADDR_V6 } tl_addr_family;

typedef struct {
    tl_addr_family family;
    uint16_t port;     /* host order */
    uint32_t scope;    /* IPv6 zone, 0 if none */
    uint8_t bytes[16]; /* 4 used for IPv4, the rest 0 */
} tl_addr;

#define TL_ADDR_TEXT_MAX 64 /* "[" 45 characters "%" 10 digits "]:65535" NUL */

bool tl_addr_eq(const tl_addr *a, const tl_addr *b);
/* Same IP, whatever the port. */
bool tl_addr_same_ip(const tl_addr *a, const tl_addr *b);
/* IPv4-mapped IPv6 (::ffff:a.b.c.d) becomes IPv4. */
tl_addr tl_addr_normal(tl_addr a);
bool tl_addr_is_loopback(const tl_addr *a);
/* 0.0.0.0 or ::, the wildcards of a socket. */
bool tl_addr_is_unspecified(const tl_addr *a);

tl_addr tl_addr_from_sockaddr(const struct sockaddr *sa);
/* Returns the length used; 0, which no system call accepts, when the family is NONE. */
socklen_t tl_addr_to_sockaddr(const tl_addr *a, struct sockaddr_storage *ret_ss);

/* "192.0.2.1:80", "[2001:db8::1]:80". */
void tl_addr_write(char ret_text[TL_ADDR_TEXT_MAX], const tl_addr *a);
/* The IP alone, without brackets. */
void tl_addr_write_ip(char ret_text[TL_ADDR_TEXT_MAX], const tl_addr *a);
/* An IP literal (inet_pton's strictness, no brackets), port 0. TL_ERR_PROTO. */
TL_CHECK tl_err tl_addr_parse_ip(tl_slice text, tl_addr *ret_addr);
/* "IP:PORT" with an IP literal, IPv6 in brackets; the port without leading zeros. TL_ERR_PROTO. */
TL_CHECK tl_err tl_addr_parse(tl_slice text, tl_addr *ret_addr);

#define TL_HOST_MAX 254 /* RFC 1035: 253 characters, and NUL */
/* "HOST:PORT", or "HOST" (then the port is `default_port`). HOST is a name or an IP literal. IPv6,
 * and nothing else, stands in brackets; ret_host is without them. Of a name only the characters and
 * the length are checked. TL_ERR_PROTO. */
TL_CHECK tl_err tl_hostport_parse(tl_slice text, uint16_t default_port, char ret_host[TL_HOST_MAX],
                                  uint16_t *ret_port);

#endif
