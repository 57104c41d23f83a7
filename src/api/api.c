#include "api/state.h"

#include "api/guard.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

/* --- routes --- */

enum { GET = 1, POST = 2 };

typedef struct {
    const char *path;
    bool prefix; /* what follows `path` belongs to the handler */
    bool open;   /* without key: says nothing of this node or its owner */
    bool unix_only;
    int methods; /* HEAD goes where GET does */
    tl_api_route_id id;
    void (*on_request)(tl_api *api, tl_httpd_req *r);
} route;

static const route routes[] = {
    {"/v1/chat/completions", .methods = POST, .id = TL_ROUTE_CHAT, .on_request = tl_api_on_ask},
    {"/v1/completions", .methods = POST, .id = TL_ROUTE_COMPLETIONS, .on_request = tl_api_on_ask},
    {"/v1/embeddings", .methods = POST, .id = TL_ROUTE_EMBEDDINGS, .on_request = tl_api_on_ask},
    {"/v1/models", .methods = GET, .id = TL_ROUTE_MODELS, .on_request = tl_api_on_models},
    {"/v1/models/", .prefix = true, .methods = GET, .id = TL_ROUTE_MODELS,
     .on_request = tl_api_on_model},
    {"/v1/app", .methods = GET, .id = TL_ROUTE_APP, .on_request = tl_api_on_app},
    {"/v1/events", .methods = GET, .id = TL_ROUTE_EVENTS, .on_request = tl_api_on_events},
    {"/health", .open = true, .methods = GET, .id = TL_ROUTE_HEALTH,
     .on_request = tl_api_on_health},
    {"/metrics", .methods = GET, .id = TL_ROUTE_METRICS, .on_request = tl_api_on_metrics},
    {"/", .open = true, .methods = GET, .id = TL_ROUTE_DASHBOARD,
     .on_request = tl_api_on_dashboard},
    {"/dashboard.js", .open = true, .methods = GET, .id = TL_ROUTE_DASHBOARD,
     .on_request = tl_api_on_dashboard},
    {"/dashboard.css", .open = true, .methods = GET, .id = TL_ROUTE_DASHBOARD,
     .on_request = tl_api_on_dashboard},
    {"/control/status", .unix_only = true, .methods = GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_status},
    {"/control/peers", .unix_only = true, .methods = GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_peers},
    {"/control/models", .unix_only = true, .methods = GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_control_models},
    {"/control/env", .unix_only = true, .methods = GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_env},
    {"/control/netcheck", .unix_only = true, .methods = GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_netcheck},
    {"/control/doctor", .unix_only = true, .methods = GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_doctor},
    {"/control/why/", .prefix = true, .unix_only = true, .methods = GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_why},
    {"/control/ping/", .prefix = true, .unix_only = true, .methods = GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_ping},
    {"/control/setting", .unix_only = true, .methods = POST, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_setting},
    {"/control/stop", .unix_only = true, .methods = POST, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_stop},
};

static const route *route_find(const tl_httpd_req *r)
{
    tl_slice path = tl_httpd_path(r);
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const route *t = &routes[i];
        size_t n = strlen(t->path);
        bool fits = t->prefix ? path.n > n : path.n == n;
        if (t->unix_only && tl_httpd_tag(r) != TL_API_DOOR_UNIX)
            continue;
        if (fits && memcmp(path.p, t->path, n) == 0)
            return t;
    }
    return NULL;
}

tl_api_route_id tl_api_route_of(const tl_httpd_req *r)
{
    const route *t = tl_httpd_head(r) ? route_find(r) : NULL;
    return t ? t->id : TL_ROUTE_NONE;
}

tl_err tl_api_path_rest(const tl_httpd_req *r, const char *prefix, char *ret, size_t cap)
{
    tl_slice path = tl_httpd_path(r);
    size_t at = strlen(prefix), n = 0;
    while (at < path.n) {
        uint8_t c = path.p[at++];
        if (c == '%') { /* http1 made sure of two hex digits */
            if (tl_hex_parse(tl_slice_of(path.p + at, 2), true, &c, 1))
                return TL_ERR_PROTO;
            at += 2;
        }
        if (c == 0)
            return TL_ERR_PROTO;
        if (n + 1 >= cap)
            return TL_ERR_TOO_LARGE;
        ret[n++] = (char)c;
    }
    ret[n] = 0;
    return tl_utf8_is(tl_slice_of(ret, n)) ? TL_OK : TL_ERR_PROTO;
}

/* --- the gate --- */

static bool method_is(const tl_httpd_req *r, const char *method)
{
    return tl_slice_eq(tl_httpd_head(r)->method, tl_slice_str(method));
}

static bool method_fits(const tl_httpd_req *r, int methods)
{
    if (methods & GET && (method_is(r, "GET") || method_is(r, "HEAD")))
        return true;
    return methods & POST && method_is(r, "POST");
}

static const char *allow_text(int methods)
{
    return methods & GET ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
}

static void copy_text(char *ret, size_t cap, tl_slice s)
{
    size_t n = s.n < cap ? s.n : cap - 1;
    memcpy(ret, s.p, n);
    ret[n] = 0;
}

/* Tells a browser that this allowed page may read the answer. */
static void cors_headers(tl_httpd_req *r)
{
    char origin[300];
    copy_text(origin, sizeof origin, tl_http1_header_find(tl_httpd_head(r), "origin", NULL));
    tl_httpd_header(r, "Access-Control-Allow-Origin", origin);
    tl_httpd_header(r, "Access-Control-Expose-Headers",
                    "X-Teale-Peer, X-Teale-Path, X-Teale-Request, Retry-After");
    tl_httpd_header(r, "Vary", "Origin");
}

/* OPTIONS: a browser asks before it sends (an allowed page's question), or somebody asks for Allow.
 */
static void answer_options(tl_api *api, tl_httpd_req *r, const route *t, bool cors)
{
    const tl_http1_head *head = tl_httpd_head(r);
    const char *allow = t ? allow_text(t->methods) : "GET, HEAD, POST, OPTIONS";
    tl_httpd_header(r, "Allow", allow);
    if (cors) {
        char wanted[1024];
        copy_text(wanted, sizeof wanted,
                  tl_http1_header_find(head, "access-control-request-headers", NULL));
        tl_httpd_header(r, "Access-Control-Allow-Methods", allow);
        if (*wanted)
            tl_httpd_header(r, "Access-Control-Allow-Headers", wanted);
        if (tl_http1_header_lists(head, "access-control-request-private-network", "true"))
            tl_httpd_header(r, "Access-Control-Allow-Private-Network", "true");
        tl_httpd_header(r, "Access-Control-Max-Age", "600");
    }
    tl_api_count(api, r, 204);
    tl_httpd_respond(r, 204, NULL, (tl_slice){NULL, 0});
}

/* Host and Origin. True: pass. */
static bool pass_guard(tl_api *api, tl_httpd_req *r, bool *ret_cors)
{
    tl_guard guard = {
        .allowed_hosts = &api->config.allowed_hosts,
        .allowed_origins = &api->config.allowed_origins,
        .listen = api->config.listen,
        .listen_n = api->config.listen_n,
    };
    *ret_cors = false;
    switch (tl_guard_check(&guard, tl_httpd_head(r))) {
    case TL_GUARD_PASS: return true;
    case TL_GUARD_PASS_CORS: *ret_cors = true; return true;
    case TL_GUARD_HOST:
        api->counters.refused_host++;
        tl_api_error(api, r, 403, "host_not_allowed", NULL,
                     "this Host is not one of this node's names; add it to api_allowed_hosts if "
                     "it is meant to be");
        return false;
    case TL_GUARD_ORIGIN:
        api->counters.refused_origin++;
        tl_api_error(api, r, 403, "origin_not_allowed", NULL,
                     "web pages of other origins may not use this node; add the origin to "
                     "api_allowed_origins if this one may");
        return false;
    }
    return false;
}

static bool pass_key(tl_api *api, tl_httpd_req *r, const route *t)
{
    if (tl_httpd_tag(r) != TL_API_DOOR_OTHER || (t && t->open) ||
        tl_guard_has_key(tl_httpd_head(r), api->config.key))
        return true;
    api->counters.refused_key++;
    tl_httpd_header(r, "WWW-Authenticate", "Bearer");
    tl_api_error(api, r, 401, "invalid_api_key", NULL,
                 "send this node's key (`teale env` shows it) as Authorization: Bearer");
    return false;
}

static bool on_head(void *user, tl_httpd_req *r)
{
    tl_api *api = user;
    const route *t = route_find(r);
    bool cors = false;
    tl_httpd_header(r, "X-Content-Type-Options", "nosniff");
    if (tl_httpd_tag(r) != TL_API_DOOR_UNIX && !pass_guard(api, r, &cors))
        return false;
    if (cors)
        cors_headers(r);
    if (method_is(r, "OPTIONS")) {
        answer_options(api, r, t, cors);
        return false;
    }
    if (!pass_key(api, r, t))
        return false;
    if (!t) {
        char path[128];
        copy_text(path, sizeof path, tl_httpd_path(r));
        tl_api_error(api, r, 404, "not_found", NULL, "there is nothing at %s", path);
        return false;
    }
    if (!method_fits(r, t->methods)) {
        tl_httpd_header(r, "Allow", allow_text(t->methods));
        tl_api_error(api, r, 405, "method_not_allowed", NULL, "%s takes %s", t->path,
                     allow_text(t->methods));
        return false;
    }
    return true;
}

static void on_request(void *user, tl_httpd_req *r)
{
    tl_api *api = user;
    const route *t = route_find(r);
    if (t->id != TL_ROUTE_DASHBOARD) {
        tl_httpd_header(r, "Cache-Control", "no-store");
        /* a model's answer may be anything; no browser is to run it as a page of ours */
        tl_httpd_header(r, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    }
    t->on_request(api, r);
}

static void on_refusal(void *user, int status, const char *message, tl_buf *out)
{
    tl_api *api = user;
    static const char *const codes[] = {[0] = "invalid_request",
                                        [1] = "request_timeout",
                                        [2] = "request_too_large",
                                        [3] = "overloaded"};
    int i = status == 408 ? 1 : status == 413 || status == 431 ? 2 : status == 503 ? 3 : 0;
    api->counters.answers[TL_ROUTE_NONE][status / 100]++;
    if (tl_api_error_text(out, status, codes[i], NULL, message))
        tl_buf_clear(out);
}

/* --- making --- */

tl_api_config tl_api_config_default(void)
{
    tl_httpd_config httpd = tl_httpd_config_default();
    return (tl_api_config){
        .head_timeout = httpd.head,
        .body_timeout = httpd.body,
        .idle_timeout = httpd.idle,
        .stalled_timeout = httpd.stalled,
        .heartbeat = 25 * TL_SEC,
        .connections_max = httpd.connections_max,
    };
}

static void base_url_set(tl_api *api, const tl_addr *real)
{
    static const uint8_t any[16];
    tl_addr shown = *real;
    char text[TL_ADDR_TEXT_MAX];
    if (memcmp(shown.bytes, any, sizeof any) == 0) {
        static const uint8_t loopback4[4] = {127, 0, 0, 1};
        bool v4 = shown.family == TL_ADDR_V4;
        memcpy(shown.bytes, v4 ? loopback4 : any, 4);
        if (!v4)
            shown.bytes[15] = 1;
    }
    tl_addr_write(text, &shown);
    snprintf(api->base_url, sizeof api->base_url, "http://%s/v1", text);
    api->port = real->port;
}

static tl_err listen_all(tl_api *api, tl_why *why)
{
    for (size_t i = 0; i < api->config.listen_n; i++) {
        tl_addr *a = &api->config.listen[i], real;
        bool loopback = tl_addr_is_loopback(a);
        if (!loopback && !api->config.key[0])
            return tl_why_set(why, TL_ERR_INVALID, "listening beyond loopback needs an API key");
        tl_err e = tl_httpd_listen(api->httpd, a,
                                   loopback ? TL_API_DOOR_LOOPBACK : TL_API_DOOR_OTHER, &real, why);
        if (e)
            return e;
        char text[TL_ADDR_TEXT_MAX];
        tl_addr_write(text, &real);
        if (!loopback)
            tl_log(TL_LOG_WARN,
                   "api: %s is reachable beyond this machine; the API key is asked for there, and "
                   "nothing is encrypted: prefer a tunnel",
                   text);
        if (i == 0)
            base_url_set(api, &real);
    }
    if (api->unix_path)
        return tl_httpd_listen_unix(api->httpd, api->unix_path, TL_API_DOOR_UNIX, why);
    return TL_OK;
}

static void on_deadline(void *user)
{
    tl_api *api = user;
    if (api->drained)
        return;
    api->drained = true;
    api->on_drained(api->drained_user);
}

tl_err tl_api_new(tl_loop *loop, tl_node *node, const tl_api_config *config, tl_api **ret_api,
                  tl_why *why)
{
    static const tl_httpd_events events = {
        .on_head = on_head,
        .on_request = on_request,
        .on_refusal = on_refusal,
        .refusal_type = "application/json",
    };
    tl_httpd_config httpd = tl_httpd_config_default();
    httpd.head = config->head_timeout;
    httpd.body = config->body_timeout;
    httpd.idle = config->idle_timeout;
    httpd.stalled = config->stalled_timeout;
    httpd.connections_max = config->connections_max;
    tl_api *api = calloc(1, sizeof *api);
    if (!api)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    api->loop = loop;
    api->node = node;
    api->config = *config;
    api->started = tl_loop_unix();
    api->rand = tl_rand_system();
    tl_timer_init(&api->deadline, loop, on_deadline, api);
    tl_api_events_init(api);
    tl_err e = tl_httpd_new(loop, &httpd, &events, api, &api->httpd);
    if (!e && config->unix_path && !(api->unix_path = strdup(config->unix_path)))
        e = tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    if (!e)
        e = listen_all(api, why);
    if (e) {
        tl_api_free(api);
        return e;
    }
    *ret_api = api;
    return TL_OK;
}

void tl_api_free(tl_api *api)
{
    if (!api)
        return;
    api->drained = true;
    tl_timer_stop(&api->deadline);
    tl_httpd_free(api->httpd);
    tl_api_events_clear(api);
    free(api->unix_path);
    free(api);
}

uint16_t tl_api_port(const tl_api *api)
{
    return api->port;
}

const char *tl_api_base_url(const tl_api *api)
{
    return api->base_url;
}

void tl_api_set_allowed(tl_api *api, const tl_string_list *hosts, const tl_string_list *origins)
{
    api->config.allowed_hosts = *hosts;
    api->config.allowed_origins = *origins;
}

/* --- draining --- */

static void on_httpd_drained(void *user)
{
    tl_api *api = user;
    tl_timer_set(&api->deadline, TL_NEVER);
    on_deadline(api);
}

void tl_api_drain(tl_api *api, tl_time deadline, void (*on_done)(void *user), void *user)
{
    api->draining = true;
    api->on_drained = on_done;
    api->drained_user = user;
    tl_api_events_end(api);
    tl_timer_set(&api->deadline, deadline);
    tl_httpd_drain(api->httpd, on_httpd_drained, api);
}
