#include "api/state.h"

#include "ask/paths.h"

static const tl_api_route routes[] = {
    {"/v1/models", .methods = TL_API_GET, .id = TL_ROUTE_MODELS, .on_request = tl_api_on_models},
    {"/v1/models/", .prefix = true, .methods = TL_API_GET, .id = TL_ROUTE_MODELS,
     .on_request = tl_api_on_model},
    {"/v1/app", .methods = TL_API_GET, .id = TL_ROUTE_APP, .on_request = tl_api_on_app},
    {"/v1/events", .methods = TL_API_GET, .id = TL_ROUTE_EVENTS, .on_request = tl_api_on_events},
    {"/health", .open = true, .methods = TL_API_GET, .id = TL_ROUTE_HEALTH,
     .on_request = tl_api_on_health},
    {"/metrics", .methods = TL_API_GET, .id = TL_ROUTE_METRICS, .on_request = tl_api_on_metrics},
    {"/", .open = true, .methods = TL_API_GET, .id = TL_ROUTE_DASHBOARD,
     .on_request = tl_api_on_dashboard},
    {"/dashboard.js", .open = true, .methods = TL_API_GET, .id = TL_ROUTE_DASHBOARD,
     .on_request = tl_api_on_dashboard},
    {"/dashboard.css", .open = true, .methods = TL_API_GET, .id = TL_ROUTE_DASHBOARD,
     .on_request = tl_api_on_dashboard},
    {"/control/status", .unix_only = true, .methods = TL_API_GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_status},
    {"/control/peers", .unix_only = true, .methods = TL_API_GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_peers},
    {"/control/models", .unix_only = true, .methods = TL_API_GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_control_models},
    {"/control/env", .unix_only = true, .methods = TL_API_GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_env},
    {"/control/netcheck", .unix_only = true, .methods = TL_API_GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_netcheck},
    {"/control/doctor", .unix_only = true, .methods = TL_API_GET, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_doctor},
    {"/control/why/", .prefix = true, .unix_only = true, .methods = TL_API_GET,
     .id = TL_ROUTE_CONTROL, .on_request = tl_api_on_why},
    {"/control/ping/", .prefix = true, .unix_only = true, .methods = TL_API_GET,
     .id = TL_ROUTE_CONTROL, .on_request = tl_api_on_ping},
    {"/control/setting", .unix_only = true, .methods = TL_API_POST, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_setting},
    {"/control/do", .unix_only = true, .methods = TL_API_POST, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_do},
    {"/control/stop", .unix_only = true, .methods = TL_API_POST, .id = TL_ROUTE_CONTROL,
     .on_request = tl_api_on_stop},
};

/* What is passed on to a model server (ask/paths.h). */
#define ASKED(route)                                                                               \
    {                                                                                              \
        .methods = TL_API_POST, .id = (route), .on_request = tl_api_on_ask                         \
    }
static const tl_api_route asked[] = {
    [TL_ASK_PATHS_CHAT] = ASKED(TL_ROUTE_CHAT),
    [TL_ASK_PATHS_COMPLETIONS] = ASKED(TL_ROUTE_COMPLETIONS),
    [TL_ASK_PATHS_EMBEDDINGS] = ASKED(TL_ROUTE_EMBEDDINGS),
    [TL_ASK_PATHS_RESPONSES] = ASKED(TL_ROUTE_RESPONSES),
    [TL_ASK_PATHS_AUDIO] = ASKED(TL_ROUTE_AUDIO),
    [TL_ASK_PATHS_IMAGES] = ASKED(TL_ROUTE_IMAGES),
    [TL_ASK_PATHS_RERANK] = ASKED(TL_ROUTE_RERANK),
};

const tl_api_route *tl_api_route_find(const tl_httpd_req *r)
{
    tl_slice path = tl_httpd_path(r);
    const tl_ask_path *passed = tl_ask_path_find(path);
    if (passed)
        return &asked[passed->group];
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const tl_api_route *t = &routes[i];
        size_t n = strlen(t->path);
        bool fits = t->prefix ? path.n > n : path.n == n;
        if (t->unix_only && tl_httpd_tag(r) != TL_API_DOOR_UNIX)
            continue;
        if (fits && memcmp(path.p, t->path, n) == 0)
            return t;
    }
    return NULL;
}

tl_err tl_api_path_rest(const tl_httpd_req *r, const char *prefix, char *ret, size_t cap)
{
    tl_slice path = tl_httpd_path(r);
    size_t at = strlen(prefix), n = 0;
    while (at < path.n) {
        uint8_t c = path.p[at++];
        if (c == '%') { /* http1 has checked that two hex digits follow */
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
