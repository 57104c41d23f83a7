#include "api/state.h"

#include "api/guard.h"
#include "api/scope.h"
#include "base/log.h"

#include <stdio.h>

static bool method_is(const tl_httpd_req *r, const char *method)
{
    return tl_slice_eq(tl_httpd_head(r)->method, tl_slice_str(method));
}

static bool method_fits(const tl_httpd_req *r, int methods)
{
    if (methods & TL_API_GET && (method_is(r, "GET") || method_is(r, "HEAD")))
        return true;
    return (methods & TL_API_POST && method_is(r, "POST")) ||
           (methods & TL_API_PUT && method_is(r, "PUT")) ||
           (methods & TL_API_DELETE && method_is(r, "DELETE"));
}

#define ALLOW_MAX 64

static const char *allow_text(int methods, char ret[ALLOW_MAX])
{
    snprintf(ret, ALLOW_MAX, "%s%s%s%sOPTIONS", methods & TL_API_GET ? "GET, HEAD, " : "",
             methods & TL_API_POST ? "POST, " : "", methods & TL_API_PUT ? "PUT, " : "",
             methods & TL_API_DELETE ? "DELETE, " : "");
    return ret;
}

static void copy_text(char *ret, size_t cap, tl_slice s)
{
    size_t n = s.n < cap ? s.n : cap - 1;
    if (n) /* of nothing the pointer may be NULL */
        memcpy(ret, s.p, n);
    ret[n] = 0;
}

/* Tells the browser that this page, whose origin is allowed, may read the answer. */
static void cors_headers(tl_httpd_req *r)
{
    char origin[300];
    copy_text(origin, sizeof origin, tl_http1_header_find(tl_httpd_head(r), "origin", NULL));
    tl_httpd_header(r, "Access-Control-Allow-Origin", origin);
    tl_httpd_header(r, "Access-Control-Expose-Headers",
                    "X-Teale-Peer, X-Teale-Path, X-Teale-PTN, X-Teale-Price, X-Teale-Request, "
                    "X-Request-Id, Retry-After");
    tl_httpd_header(r, "Vary", "Origin");
}

/* Answers OPTIONS. A browser sends it before a page's request to another origin; any client may
 * send it to read Allow. */
static void answer_options(tl_api *api, tl_httpd_req *r, const tl_api_route *t, bool cors)
{
    const tl_http1_head *head = tl_httpd_head(r);
    char text[ALLOW_MAX];
    const char *allow = allow_text(t ? t->methods : TL_API_GET | TL_API_POST, text);
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

static tl_guard guard_of(const tl_api *api)
{
    return (tl_guard){
        .allowed_hosts = &api->config.allowed_hosts,
        .allowed_origins = &api->config.allowed_origins,
        .listen = api->config.listen,
        .listen_n = api->config.listen_n,
    };
}

/* Checks Host and Origin. True: the request may pass. */
static bool pass_guard(tl_api *api, tl_httpd_req *r, bool *ret_cors)
{
    tl_guard guard = guard_of(api);
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

/* A network's key opens what its members may do: ask, and see whom. */
static bool opens(tl_api *api, tl_httpd_req *r, const tl_api_route *t)
{
    return t && t->id >= TL_ROUTE_CHAT && t->id <= TL_ROUTE_MODELS &&
           tl_scope_has_network_key(tl_node_networks(api->node), tl_httpd_head(r));
}

/* Does it change this node, or have it do something? Then neither any program on loopback nor the key that
 * programs ask with is enough: it must be its owner's. */
static bool is_for_owner(const tl_httpd_req *r, const tl_api_route *t)
{
    return t && t->id == TL_ROUTE_APP && !method_is(r, "GET") && !method_is(r, "HEAD");
}

bool tl_api_is_owners(const tl_api *api, const tl_httpd_req *r)
{
    const tl_http1_head *head = tl_httpd_head(r);
    tl_guard guard = guard_of(api);
    if (tl_httpd_tag(r) == TL_API_DOOR_UNIX || tl_guard_has_key(head, api->config.key))
        return true;
    return tl_httpd_tag(r) == TL_API_DOOR_LOOPBACK &&
           tl_guard_check(&guard, head) == TL_GUARD_PASS && !tl_guard_is_passed_on(&guard, head) &&
           tl_httpd_is_ours(r);
}

/* Why it does not count as the owner's. */
static const char *not_owners(const tl_api *api, const tl_httpd_req *r, bool foreign)
{
    tl_guard guard = guard_of(api);
    if (tl_guard_has_key(tl_httpd_head(r), api->config.client_key))
        return "the key of `teale env` asks and reads, and changes nothing: ";
    if (foreign)
        return "a page of another origin changes nothing of this node by itself: ";
    if (tl_guard_is_passed_on(&guard, tl_httpd_head(r)))
        return "what a proxy or a tunnel passes on may be anybody's: ";
    return "this client is not known as the owner's of this node: ";
}

/* `foreign`: it is of a page of an allowed origin. The browser is the owner's; the page is not. It
 * may ask and read, and changes nothing. */
static bool pass_key(tl_api *api, tl_httpd_req *r, const tl_api_route *t, bool foreign)
{
    bool change = is_for_owner(r, t), loopback = tl_httpd_tag(r) == TL_API_DOOR_LOOPBACK;
    if ((t && t->open) || (loopback && !change) || tl_api_is_owners(api, r))
        return true;
    if (!change && (tl_guard_has_key(tl_httpd_head(r), api->config.client_key) || opens(api, r, t)))
        return true;
    api->counters.refused_key++;
    tl_httpd_header(r, "WWW-Authenticate", "Bearer");
    if (change)
        tl_api_error(
            api, r, 401, "invalid_api_key", NULL,
            "%ssend the owner's key (`teale env --owner` shows it) as Authorization: Bearer",
            not_owners(api, r, foreign));
    else
        tl_api_error(api, r, 401, "invalid_api_key", NULL,
                     "send this node's key (`teale env` shows it) as Authorization: Bearer");
    return false;
}

/* May it stand in our answer, and in a log? UUIDs, and the names that proxies make, may. */
static bool is_request_id(tl_slice id)
{
    for (size_t i = 0; i < id.n; i++) {
        uint8_t c = id.p[i];
        bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                  (c && strchr("-_.:/+=", c));
        if (!ok)
            return false;
    }
    return id.n > 0 && id.n < TL_HTTPD_NAME_MAX;
}

/* X-Request-Id: the client's own, or a new one. */
static void name_request(tl_api *api, tl_httpd_req *r, tl_slice own)
{
    char name[TL_HTTPD_NAME_MAX];
    uint8_t random[16];
    if (is_request_id(own)) {
        copy_text(name, sizeof name, own);
    } else {
        tl_rand_bytes(&api->rand, random, sizeof random);
        tl_hex_write(name, random, sizeof random);
    }
    tl_httpd_set_name(r, name);
    tl_httpd_header(r, "X-Request-Id", name);
}

bool tl_api_on_head(void *user, tl_httpd_req *r)
{
    tl_api *api = user;
    const tl_api_route *t = tl_api_route_find(r);
    bool cors = false;
    tl_httpd_set_note(r, t ? t->id : TL_ROUTE_NONE);
    size_t ids;
    tl_slice id = tl_http1_header_find(tl_httpd_head(r), "x-request-id", &ids);
    name_request(api, r, ids == 1 ? id : tl_slice_of(NULL, 0));
    tl_httpd_header(r, "X-Content-Type-Options", "nosniff");
    bool worker = method_is(r, "GET") && tl_api_is_for_worker(r);
    if (!worker && (!t || t->id != TL_ROUTE_PAGE)) {
        tl_httpd_header(r, "Cache-Control", "no-store");
        /* a model's answer may be anything; no browser must run it as a page of ours */
        tl_httpd_header(r, "Content-Security-Policy",
                        "default-src 'none'; sandbox; frame-ancestors 'none'");
    }
    if (tl_httpd_tag(r) != TL_API_DOOR_UNIX && !pass_guard(api, r, &cors))
        return false;
    if (cors)
        cors_headers(r);
    if (method_is(r, "OPTIONS")) {
        answer_options(api, r, t, cors);
        return false;
    }
    if (worker) { /* also at a path that is none of ours */
        tl_api_answer_worker(api, r);
        return false;
    }
    if (!pass_key(api, r, t, cors))
        return false;
    char path[128];
    copy_text(path, sizeof path, tl_httpd_path(r));
    if (!t) {
        tl_api_error(api, r, 404, "not_found", NULL, "there is nothing at %s", path);
        return false;
    }
    if (!method_fits(r, t->methods)) {
        char allow[ALLOW_MAX];
        tl_httpd_header(r, "Allow", allow_text(t->methods, allow));
        tl_api_error(api, r, 405, "method_not_allowed", NULL, "%s takes %s", path, allow);
        return false;
    }
    return true;
}

void tl_api_on_request(void *user, tl_httpd_req *r)
{
    tl_api *api = user;
    const tl_api_route *t = tl_api_route_find(r);
    t->on_request(api, r);
}

void tl_api_on_refusal(void *user, tl_httpd_req *r, int status, const char *message, tl_buf *out)
{
    tl_api *api = user;
    static const char *const codes[] = {[0] = "invalid_request",
                                        [1] = "request_timeout",
                                        [2] = "request_too_large",
                                        [3] = "overloaded"};
    int i = status == 408 ? 1 : status == 413 || status == 431 ? 2 : status == 503 ? 3 : 0;
    api->counters.answers[TL_ROUTE_NONE][status / 100]++;
    if (!tl_httpd_name(r)[0]) /* it has no head, or a wrong one */
        name_request(api, r, tl_slice_of(NULL, 0));
    if (status == 503)
        tl_httpd_header(r, "Retry-After", TL_API_RETRY_AFTER);
    tl_log(TL_LOG_DEBUG, "api: request %s: %d %s: %s", tl_httpd_name(r), status, codes[i], message);
    if (tl_api_error_text(out, status, codes[i], NULL, message))
        tl_buf_clear(out);
}
