#include "api/state.h"

#include "ask/paths.h"

static const tl_api_route routes[] = {
    {"/v1/models", .methods = TL_API_GET, .id = TL_ROUTE_MODELS, .on_request = tl_api_on_models},
    {"/v1/models/", .prefix = true, .methods = TL_API_GET, .id = TL_ROUTE_MODELS,
     .on_request = tl_api_on_model},
    {"/v1/app", .methods = TL_API_GET, .id = TL_ROUTE_APP, .on_request = tl_api_on_app},
#define APP(where, how, handler)                                                                   \
    {                                                                                              \
        (where), .methods = (how), .id = TL_ROUTE_APP, .on_request = (handler)                     \
    }
    APP("/v1/app/aliases", TL_API_GET, tl_api_on_aliases),
    APP("/v1/app/aliases/*", TL_API_PUT | TL_API_DELETE, tl_api_on_alias),
    APP("/v1/app/ptn", TL_API_GET | TL_API_POST, tl_api_on_ptns),
    APP("/v1/app/sharing", TL_API_GET, tl_api_on_sharing),
    APP("/v1/app/pause", TL_API_POST, tl_api_on_pause),
    APP("/v1/app/resume", TL_API_POST, tl_api_on_resume),
    APP("/v1/app/qr", TL_API_POST, tl_api_on_qr),
    APP("/v1/app/qr/draw", TL_API_POST, tl_api_on_qr_draw),
    APP("/v1/app/ptn/join", TL_API_POST, tl_api_on_ptn_join),
    APP("/v1/app/ptn/join/preview", TL_API_POST, tl_api_on_ptn_preview),
    APP("/v1/app/ptn/*", TL_API_GET | TL_API_DELETE, tl_api_on_ptn),
    APP("/v1/app/ptn/*/name", TL_API_PUT, tl_api_on_ptn_name),
    APP("/v1/app/ptn/*/members", TL_API_GET, tl_api_on_ptn_members),
    APP("/v1/app/ptn/*/invites", TL_API_GET | TL_API_POST, tl_api_on_ptn_invites),
    APP("/v1/app/ptn/*/invites/*", TL_API_DELETE, tl_api_on_ptn_invite),
    APP("/v1/app/ptn/*/revocations", TL_API_POST, tl_api_on_ptn_revocations),
    APP("/v1/app/ptn/*/renewals", TL_API_POST, tl_api_on_ptn_renewals),
    APP("/v1/app/ptn/*/admins", TL_API_POST, tl_api_on_ptn_admins),
    APP("/v1/app/ptn/*/key", TL_API_POST, tl_api_on_ptn_key),
    APP("/v1/app/ptn/*/price", TL_API_GET | TL_API_PUT, tl_api_on_ptn_price),
    APP("/v1/app/settings", TL_API_GET | TL_API_PUT, tl_api_on_settings),
    APP("/v1/app/doctor", TL_API_GET, tl_api_on_doctor),
    APP("/v1/app/traffic", TL_API_GET, tl_api_on_traffic),
    APP("/v1/app/peers/*/why", TL_API_GET, tl_api_on_app_why),
    APP("/v1/app/peers/*/ping", TL_API_POST, tl_api_on_app_ping),
    APP("/v1/app/wallet", TL_API_GET, tl_api_on_wallet),
    APP("/v1/app/wallet/history", TL_API_GET, tl_api_on_wallet_history),
    APP("/v1/app/wallet/audit", TL_API_GET, tl_api_on_wallet_audit),
    APP("/v1/app/wallet/settlements", TL_API_POST, tl_api_on_settlements),
    {"/v1/events", .methods = TL_API_GET, .id = TL_ROUTE_EVENTS, .on_request = tl_api_on_events},
    {"/health", .open = true, .methods = TL_API_GET, .id = TL_ROUTE_HEALTH,
     .on_request = tl_api_on_health},
    {"/metrics", .methods = TL_API_GET, .id = TL_ROUTE_METRICS, .on_request = tl_api_on_metrics},
#define PAGE(where, whole)                                                                         \
    {                                                                                              \
        (where), .prefix = !(whole), .open = true, .methods = TL_API_GET, .id = TL_ROUTE_PAGE,     \
                 .on_request = tl_api_on_page                                                      \
    }
    PAGE("/", true),
    PAGE("/icon.svg", true),
    PAGE("/manifest.json", true),
    PAGE("/css/", false),
    PAGE("/js/", false),
    PAGE("/vendor/", false),
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

/* Bytes up to the next slash. */
static size_t segment(tl_slice path)
{
    const uint8_t *slash = path.n ? memchr(path.p, '/', path.n) : NULL;
    return slash ? (size_t)(slash - path.p) : path.n;
}

static bool fits(const tl_api_route *t, tl_slice path)
{
    for (const char *p = t->path; *p; p++) {
        size_t taken = *p == '*' ? segment(path) : 1;
        if (!taken || taken > path.n || (*p != '*' && path.p[0] != (uint8_t)*p))
            return false;
        path = tl_slice_of(path.p + taken, path.n - taken);
    }
    return t->prefix ? path.n > 0 : path.n == 0;
}

const tl_api_route *tl_api_route_find(const tl_httpd_req *r)
{
    tl_slice path = tl_httpd_path(r);
    const tl_ask_path *passed = tl_ask_path_find(path);
    if (passed)
        return &asked[passed->group];
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const tl_api_route *t = &routes[i];
        if (t->unix_only && tl_httpd_tag(r) != TL_API_DOOR_UNIX)
            continue;
        if (fits(t, path))
            return t;
    }
    return NULL;
}

/* Text without its percent signs: at most `cap` - 1 bytes. */
static tl_err decode(tl_slice from, char *ret, size_t cap)
{
    size_t at = 0, n = 0;
    while (at < from.n) {
        uint8_t c = from.p[at++];
        if (c == '%') { /* http1 has checked that two hex digits follow */
            if (at + 2 > from.n || tl_hex_parse(tl_slice_of(from.p + at, 2), true, &c, 1))
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

tl_err tl_api_path_rest(const tl_httpd_req *r, const char *prefix, char *ret, size_t cap)
{
    tl_slice path = tl_httpd_path(r);
    size_t n = strlen(prefix);
    return decode(tl_slice_of(path.p + n, path.n - n), ret, cap);
}

tl_err tl_api_path_star(const tl_httpd_req *r, size_t n, char *ret, size_t cap)
{
    const tl_api_route *t = tl_api_route_find(r);
    tl_slice path = tl_httpd_path(r);
    for (const char *p = t->path; *p; p++) {
        size_t taken = *p == '*' ? segment(path) : 1;
        if (*p == '*' && n-- == 0)
            return decode(tl_slice_of(path.p, taken), ret, cap);
        path = tl_slice_of(path.p + taken, path.n - taken);
    }
    return TL_ERR_NOT_FOUND;
}

tl_err tl_api_query_field(const tl_httpd_req *r, const char *name, char *ret, size_t cap)
{
    tl_slice q = tl_httpd_query(r);
    size_t n = strlen(name);
    while (q.n) {
        const uint8_t *end = memchr(q.p, '&', q.n);
        size_t length = end ? (size_t)(end - q.p) : q.n;
        if (length > n && q.p[n] == '=' && memcmp(q.p, name, n) == 0)
            return decode(tl_slice_of(q.p + n + 1, length - n - 1), ret, cap);
        length += end != NULL;
        q = tl_slice_of(q.p + length, q.n - length);
    }
    return TL_ERR_NOT_FOUND;
}

bool tl_api_number(const char *text, int64_t most, int64_t *ret)
{
    int64_t n = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || n > most / 10)
            return false;
        n = n * 10 + (*p - '0');
    }
    *ret = n;
    return n >= 1 && n <= most;
}
