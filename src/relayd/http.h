/* http.h - the relay's answer to one HTTP request: the upgrade at /ws, /health, /metrics and
 * /peers. No request here has a body. Decides and writes; never touches a socket. */
#ifndef TL_RELAYD_HTTP_H
#define TL_RELAYD_HTTP_H

#include "relayd/view.h"
#include "wire/http1.h"

/* What the answer takes: `leaving` of the loop alone (ONE), a view over all loops, or such a view with
 * the peers. */
typedef enum {
    TL_RELAYD_NEEDS_ONE,
    TL_RELAYD_NEEDS_ALL,
    TL_RELAYD_NEEDS_PEERS,
} tl_relayd_http_needs;
tl_relayd_http_needs tl_relayd_http_look(const tl_http1_head *head);

/* Appends the whole response to the request `head`. A request with `token` may see /peers ("" = no
 * token is configured). *ret_upgraded: the response is a 101, and WebSocket
 * frames follow; otherwise the connection ends after the response. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_http_answer(const tl_http1_head *head, const tl_relayd_view *view,
                                      const char *token, tl_buf *out, bool *ret_upgraded);

/* Appends the response to a request that tl_http1_request_parse refused with `status`, or, with 503,
 * whose address may have no more.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_http_refuse(int status, tl_buf *out);

#endif
