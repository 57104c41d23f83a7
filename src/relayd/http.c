#include "relayd/http.h"

#include "relayd/report.h"
#include "wire/wsupgrade.h"

#include <sodium.h>

/* Appends a response. `extra` holds further header lines, each with its CRLF. */
static tl_err respond(tl_buf *out, int status, const char *extra, const char *type, tl_slice body)
{
    tl_err e = tl_buf_printf(out,
                             "HTTP/1.1 %d %s\r\n"
                             "Content-Type: %s\r\n"
                             "Content-Length: %zu\r\n"
                             "Cache-Control: no-store\r\n"
                             "X-Content-Type-Options: nosniff\r\n"
                             "%s"
                             "Connection: close\r\n\r\n",
                             status, tl_http1_phrase(status), type, body.n, extra);
    return e ? e : tl_buf_append(out, body);
}

static tl_err refuse(tl_buf *out, int status, const char *extra, const char *text)
{
    return respond(out, status, extra, "text/plain; charset=utf-8", tl_slice_str(text));
}

tl_err tl_relayd_http_refuse(int status, tl_buf *out)
{
    if (status == 503)
        return refuse(out, 503, "Retry-After: 10\r\n", "Too much comes from this address now.\n");
    return refuse(out, status, "", "The relay does not understand this request.\n");
}

/* --- the upgrade --- */

static tl_err upgrade(const tl_http1_head *head, tl_buf *out, bool *ret_upgraded)
{
    char accept[TL_WS_ACCEPT_SIZE];
    int refusal = tl_ws_upgrade_is(head) ? tl_ws_upgrade_check(head, accept) : 426;
    if (refusal == 426)
        return refuse(out, 426, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                      "WebSocket clients (RFC 6455, version 13) connect here.\n");
    if (refusal || head->chunked || head->content_length)
        return refuse(out, refusal ? refusal : 400, "",
                      "The upgrade needs one Sec-WebSocket-Key and no body.\n");
    *ret_upgraded = true;
    return tl_ws_upgrade_answer(out, accept);
}

/* --- what operators see --- */

/* Compares digests, so that the time taken shows neither the content nor the length of the
 * token. */
static bool is_token(tl_slice given, const char *token)
{
    uint8_t a[crypto_generichash_BYTES], b[crypto_generichash_BYTES];
    crypto_generichash(a, sizeof a, given.p, given.n, NULL, 0);
    crypto_generichash(b, sizeof b, (const uint8_t *)token, strlen(token), NULL, 0);
    return sodium_memcmp(a, b, sizeof a) == 0;
}

static tl_err peers(const tl_http1_head *head, const tl_relayd_view *v, const char *token,
                    tl_buf *out)
{
    if (!*token)
        return refuse(out, 404, "", "No admin token is configured, so there is no /peers.\n");
    size_t count;
    tl_slice auth = tl_http1_header_find(head, "Authorization", &count);
    if (count == 0)
        return refuse(out, 401, "WWW-Authenticate: Bearer\r\n",
                      "The operator's token is needed.\n");
    static const char scheme[] = "bearer ";
    size_t n = sizeof scheme - 1;
    if (count != 1 || auth.n < n || !tl_http1_equals_ignoring_case((tl_slice){auth.p, n}, scheme) ||
        !is_token((tl_slice){auth.p + n, auth.n - n}, token))
        return refuse(out, 403, "", "That is not the operator's token.\n");
    tl_buf body = {0};
    tl_err e = v->failed ? TL_ERR_NOMEM : tl_buf_append_str(&body, "{\"peers\":[");
    if (!e)
        e = tl_buf_append(&body, tl_buf_slice(&v->peers));
    if (!e)
        e = tl_buf_append_str(&body, "]}");
    if (!e)
        e = respond(out, 200, "", "application/json", tl_buf_slice(&body));
    tl_buf_clear(&body);
    return e;
}

static tl_err health(const tl_relayd_view *v, tl_buf *out)
{
    tl_buf body = {0};
    tl_err e = tl_relayd_write_health(v, &body);
    if (!e)
        e = respond(out, v->leaving ? 503 : 200, "", "application/json", tl_buf_slice(&body));
    tl_buf_clear(&body);
    return e;
}

static tl_err metrics(const tl_relayd_view *v, tl_buf *out)
{
    tl_buf body = {0};
    tl_err e =
        tl_relayd_write_metrics(&v->relay, &v->datagrams, v->has_stun ? &v->stun : NULL, &body);
    if (!e)
        e = tl_relayd_write_cluster(v, &body);
    if (!e)
        e = respond(out, 200, "", "text/plain; version=0.0.4; charset=utf-8", tl_buf_slice(&body));
    tl_buf_clear(&body);
    return e;
}

typedef enum { AT_NOTHING, AT_WS, AT_HEALTH, AT_METRICS, AT_PEERS } place;

static place place_of(const tl_http1_head *head)
{
    tl_slice path = head->target;
    const uint8_t *query =
        memchr(path.p, '?', path.n); /* clients send /ws?node=...; the query is ignored */
    if (query)
        path.n = (size_t)(query - path.p);
    if (tl_slice_eq(path, TL_SLICE_LIT("/ws")))
        return AT_WS;
    if (tl_slice_eq(path, TL_SLICE_LIT("/health")))
        return AT_HEALTH;
    if (tl_slice_eq(path, TL_SLICE_LIT("/metrics")))
        return AT_METRICS;
    return tl_slice_eq(path, TL_SLICE_LIT("/peers")) ? AT_PEERS : AT_NOTHING;
}

tl_relayd_http_needs tl_relayd_http_look(const tl_http1_head *head)
{
    place at = place_of(head);
    if (at < AT_HEALTH)
        return TL_RELAYD_NEEDS_ONE;
    return at == AT_PEERS ? TL_RELAYD_NEEDS_PEERS : TL_RELAYD_NEEDS_ALL;
}

tl_err tl_relayd_http_answer(const tl_http1_head *head, const tl_relayd_view *view,
                             const char *token, tl_buf *out, bool *ret_upgraded)
{
    *ret_upgraded = false;
    place at = place_of(head);
    if (at == AT_NOTHING)
        return refuse(out, 404, "", "Here are /ws, /health and /metrics.\n");
    if (!tl_slice_eq(head->method, TL_SLICE_LIT("GET")))
        return refuse(out, 405, "Allow: GET\r\n", "Only GET is answered here.\n");
    if (at == AT_WS && view->leaving)
        return refuse(out, 503, "Retry-After: 1\r\n", "This relay ends; use another.\n");
    if (at == AT_WS)
        return upgrade(head, out, ret_upgraded);
    if (at == AT_HEALTH)
        return health(view, out);
    return at == AT_METRICS ? metrics(view, out) : peers(head, view, token, out);
}
