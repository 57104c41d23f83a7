/* portal.h - is this network's captive portal between us and a relay? A question in clear, for a path
 * that no server has, and the judgement of its answer. Pure; never touches a socket.
 *
 * A portal answers for every host, so it answers for a made-up path, too: with a page, or a redirect to
 * itself (RFC 8952 2.2), or with status 511 (RFC 6585 6). The relay's own server has no such path. */
#ifndef TL_WIRE_PORTAL_H
#define TL_WIRE_PORTAL_H

#include "base/rand.h"
#include "wire/http1.h"

#define TL_PORTAL_URL_MAX 201 /* a login's address that is longer is not shown: the host's is */

/* Appends a GET for a path that nobody has. `host` is a name or an IP, IPv6 without brackets.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_portal_ask(tl_buf *out, tl_rand *rand, const char *host, uint16_t port);

/* Does the answer come from a portal? If so, ret_url is where a browser logs in: what a redirect names,
 * else http://HOST/, which the portal redirects. `strange`: something that is not the relay answered
 * at the relay's port, too. Without it a page alone proves nothing. */
bool tl_portal_answered(const tl_http1_head *answer, const char *host, uint16_t port, bool strange,
                        char ret_url[TL_PORTAL_URL_MAX]);

#endif
