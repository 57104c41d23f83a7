/* http.h - what the relay answers to one HTTP request: the upgrade at /ws, /health, /metrics and
 * /peers; no request here has a body. Decides and writes; never touches a socket. */
#ifndef TL_RELAYD_HTTP_H
#define TL_RELAYD_HTTP_H

#include "relay/relay.h"
#include "relay/stunserver.h"
#include "wire/http1.h"

/* Appends the whole response to `head`, for which `token` ("" = none configured) opens /peers.
 * `stun` may be NULL.
 * *ret_upgraded: it is a 101, WebSocket frames follow; otherwise the connection ends behind it.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_http_answer(const tl_http1_head *head, const tl_relay *relay,
                                      const tl_stunserver *stun, const char *token, tl_time now,
                                      tl_buf *out, bool *ret_upgraded);

/* Appends a response to what tl_http1_request_parse refused with `status`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_http_refuse(int status, tl_buf *out);

#endif
