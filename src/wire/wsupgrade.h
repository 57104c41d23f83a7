/* wsupgrade.h - the HTTP exchange that opens a WebSocket (RFC 6455 section 4), both sides, on heads
 * that wire/http1 parsed. No subprotocols, no extensions. Never touches a connection. */
#ifndef TL_WIRE_WSUPGRADE_H
#define TL_WIRE_WSUPGRADE_H

#include "base/rand.h"
#include "wire/http1.h"
#include "wire/ws.h"

#define TL_WS_KEY_SIZE 25 /* 24 characters of base64, NUL */

/* True if the request asks for a WebSocket at all (then the next function says how well). */
bool tl_ws_upgrade_is(const tl_http1_head *request);
/* 0: fine, and ret_accept is what to answer. Otherwise the HTTP status to answer: 400, 405 (not
 * GET), or 426 (send `Sec-WebSocket-Version: 13` with it). */
int tl_ws_upgrade_check(const tl_http1_head *request, char ret_accept[TL_WS_ACCEPT_SIZE]);
/* Appends the 101. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_ws_upgrade_answer(tl_buf *out, const char *accept);

/* Client: appends the request for `target` at `authority` (host[:port], as for the Host header).
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_ws_upgrade_ask(tl_buf *out, tl_rand *rand, const char *authority,
                                  const char *target, char ret_key[TL_WS_KEY_SIZE]);
/* TL_ERR_PROTO: the answer is no 101 to this key (response->status tells more). */
TL_CHECK tl_err tl_ws_upgrade_confirm(const tl_http1_head *response, const char *key);

#endif
