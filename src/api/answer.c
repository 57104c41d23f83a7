#include "api/state.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    int status;
    const char *code;
} fails[TL_FAIL_COUNT] = {
    [TL_FAIL_MODEL_NOT_LOADED] = {404, "model_not_found"},
    [TL_FAIL_QUEUE_FULL] = {429, "queue_full"},
    [TL_FAIL_UNAVAILABLE] = {503, "unavailable"},
    [TL_FAIL_INTERNAL] = {502, "peer_failed"},
    [TL_FAIL_TIMEOUT] = {504, "timeout"},
    [TL_FAIL_CANCELLED] = {502, "peer_failed"}, /* the other side cancelled it */
    [TL_FAIL_FORBIDDEN] = {403, "forbidden"},
    [TL_FAIL_PAYMENT_REQUIRED] = {402, "payment_required"},
    [TL_FAIL_NO_PROVIDER] = {503, "no_provider"},
    [TL_FAIL_PEER_FAILED] = {502, "peer_failed"},
    [TL_FAIL_BACKEND_UNREACHABLE] = {503, "backend_unreachable"},
    [TL_FAIL_BACKEND_AUTH] = {502, "backend_auth"},
    [TL_FAIL_BACKEND_ERROR] = {502, "backend_error"},
    [TL_FAIL_DUPLICATE] = {409, "duplicate_request"},
};

int tl_api_fail_status(tl_fail fail)
{
    return fails[fail].status;
}

const char *tl_api_fail_code(tl_fail fail)
{
    return fails[fail].code;
}

/* The error types of OpenAI's own API. */
static const char *error_type(int status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 402: return "insufficient_quota";
    case 403: return "permission_error";
    case 429: return "rate_limit_error";
    default: return status < 500 ? "invalid_request_error" : "server_error";
    }
}

void tl_api_count(tl_api *api, const tl_httpd_req *r, int status)
{
    if (status >= 100 && status < 600)
        api->counters.answers[tl_httpd_note(r)][status / 100]++;
}

tl_err tl_api_error_text(tl_buf *out, int status, const char *code, const char *param,
                         const char *message)
{
    tl_err e = tl_buf_append_str(out, "{\"error\":{\"message\":");
    if (!e)
        e = tl_json_append_string(out, tl_slice_str(message));
    if (!e)
        e = tl_buf_printf(out, ",\"type\":\"%s\",\"param\":", error_type(status));
    if (!e)
        e = param ? tl_json_append_string(out, tl_slice_str(param))
                  : tl_buf_append_str(out, "null");
    if (!e)
        e = tl_buf_printf(out, ",\"code\":\"%s\"}}", code);
    return e;
}

void tl_api_error(tl_api *api, tl_httpd_req *r, int status, const char *code, const char *param,
                  const char *fmt, ...)
{
    char message[768];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    tl_api_error_after(api, r, status, code, param, 0, message);
}

void tl_api_error_after(tl_api *api, tl_httpd_req *r, int status, const char *code,
                        const char *param, unsigned retry_after, const char *message)
{
    char seconds[16] = TL_API_RETRY_AFTER;
    if (retry_after)
        snprintf(seconds, sizeof seconds, "%u", retry_after);
    tl_buf body = {0};
    tl_err e = tl_api_error_text(&body, status, code, param, message);
    tl_api_count(api, r, status);
    tl_log(status >= 500 ? TL_LOG_INFO : TL_LOG_DEBUG, "api: request %s: %d %s: %s",
           tl_httpd_name(r), status, code, tl_log_safe(tl_slice_str(message)).text);
    if (status == 429 || status == 503)
        tl_httpd_header(r, "Retry-After", seconds);
    tl_httpd_respond(r, status, "application/json", e ? TL_SLICE_LIT("{}") : tl_buf_slice(&body));
    tl_buf_clear(&body);
}

void tl_api_json(tl_api *api, tl_httpd_req *r, int status, json_t *value)
{
    tl_buf body = {0};
    tl_err e = value ? tl_json_write(&body, value) : TL_ERR_NOMEM;
    if (!e)
        e = tl_buf_append_str(&body, "\n");
    if (e) {
        tl_api_error(api, r, 500, "internal_error", NULL, "out of memory");
    } else {
        tl_api_count(api, r, status);
        tl_httpd_respond(r, status, "application/json", tl_buf_slice(&body));
    }
    json_decref(value);
    tl_buf_clear(&body);
}

/* What came of a search for the node that a client means. False: none, and this is answered. */
static bool is_found(tl_api *api, tl_httpd_req *r, tl_err e, const tl_why *why)
{
    switch (e) {
    case TL_OK: return true;
    case TL_ERR_FORBIDDEN: tl_api_error(api, r, 400, "own_node", NULL, "%s", why->text); break;
    case TL_ERR_NOT_FOUND:
        tl_api_error(api, r, 404, "peer_not_found", NULL, "%s", why->text);
        break;
    case TL_ERR_EXISTS: tl_api_error(api, r, 400, "ambiguous_peer", NULL, "%s", why->text); break;
    case TL_ERR_INVALID: tl_api_error(api, r, 400, "invalid_node_id", NULL, "%s", why->text); break;
    default: tl_api_error(api, r, 500, "internal_error", NULL, "out of memory"); break;
    }
    return false;
}

bool tl_api_find_peer(tl_api *api, tl_httpd_req *r, tl_slice text, tl_node_id *ret_peer)
{
    tl_why why = {""};
    tl_err e = tl_node_find_peer(api->node, text, ret_peer, &why);
    return is_found(api, r, e, &why);
}

bool tl_api_find_other(tl_api *api, tl_httpd_req *r, tl_slice text, tl_node_id *ret_peer)
{
    tl_why why = {""};
    tl_err e = tl_node_find_other(api->node, text, ret_peer, &why);
    return is_found(api, r, e, &why);
}
