#include "api/guard.h"

#include "api/key.h"

#include <stdio.h>
#include <strings.h>

static bool equals(tl_slice a, const char *b)
{
    return tl_http1_equals_ignoring_case(a, b);
}

/* --- Host --- */

static bool means_all(const tl_addr *a)
{
    static const uint8_t any[16];
    return memcmp(a->bytes, any, sizeof any) == 0;
}

/* An address as Host is the one that the request was sent to: no name was looked up that could lead
 * elsewhere. The address that means "all" is none: a browser turns it into this machine. */
static bool listens_at(const tl_guard *g, const tl_addr *ip)
{
    tl_addr named = tl_addr_normal(*ip);
    for (size_t i = 0; i < g->listen_n && !means_all(&named); i++) {
        tl_addr own = tl_addr_normal(g->listen[i]);
        if (means_all(&own) || tl_addr_same_ip(&own, &named))
            return true;
    }
    return false;
}

typedef enum {
    HOST_FOREIGN,
    HOST_ALLOWED, /* by the settings alone */
    HOST_OWN,     /* loopback's names, and where the API listens */
} host_kind;

static host_kind judge_host(const tl_guard *g, tl_slice value)
{
    char host[TL_HOST_MAX];
    uint16_t port;
    if (tl_hostport_parse(value, 80, host, &port))
        return HOST_FOREIGN;
    tl_slice name = tl_slice_str(host);
    tl_addr ip;
    if (tl_addr_parse_ip(name, &ip) == TL_OK) {
        ip = tl_addr_normal(ip);
        if (tl_addr_is_loopback(&ip) || listens_at(g, &ip))
            return HOST_OWN;
    } else if (equals(name, "localhost")) {
        return HOST_OWN;
    }
    for (size_t i = 0; i < g->allowed_hosts->n; i++)
        if (equals(name, g->allowed_hosts->item[i]) || equals(value, g->allowed_hosts->item[i]))
            return HOST_ALLOWED;
    return HOST_FOREIGN;
}

/* --- Origin --- */

/* True if the page came from the same authority as the request goes to: from this API, directly or
 * through a proxy. */
static bool origin_is_own(tl_slice origin, tl_slice host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);
        char own[TL_HOST_MAX + 8];
        if (origin.n <= n || host.n >= TL_HOST_MAX || !equals(tl_slice_of(origin.p, n), schemes[i]))
            continue;
        memcpy(own, host.p, host.n);
        own[host.n] = 0;
        if (equals(tl_slice_of(origin.p + n, origin.n - n), own))
            return true;
    }
    return false;
}

static bool origin_is_allowed(const tl_guard *g, tl_slice origin)
{
    for (size_t i = 0; i < g->allowed_origins->n; i++)
        if (equals(origin, g->allowed_origins->item[i]))
            return true;
    return false;
}

static tl_guard_verdict check_origin(const tl_guard *g, const tl_http1_head *head)
{
    size_t origins;
    tl_slice origin = tl_http1_header_find(head, "origin", &origins);
    if (origins > 1)
        return TL_GUARD_ORIGIN;
    /* Without Origin a page may still load us as an image, script or frame. */
    bool own = (origins == 0 || origin_is_own(origin, head->host)) &&
               !tl_http1_header_lists(head, "sec-fetch-site", "cross-site");
    if (own) /* also where the settings name it: it is more than an allowed one */
        return TL_GUARD_PASS;
    return origins == 1 && origin_is_allowed(g, origin) ? TL_GUARD_PASS_CORS : TL_GUARD_ORIGIN;
}

tl_guard_verdict tl_guard_check(const tl_guard *g, const tl_http1_head *head)
{
    return judge_host(g, head->host) ? check_origin(g, head) : TL_GUARD_HOST;
}

/* --- proxies and tunnels --- */

bool tl_guard_is_passed_on(const tl_guard *g, const tl_http1_head *head)
{
    /* RFC 7239, RFC 9110 7.6.3, and what Caddy, nginx, cloudflared and Tailscale add. A "*" at the end
     * stands for whatever follows. */
    static const char *const added[] = {"forwarded", "x-forwarded-*", "x-real-ip",
                                        "via",       "tailscale-*",   "cf-*"};
    for (size_t i = 0; i < head->header_count; i++)
        for (size_t k = 0; k < sizeof added / sizeof *added; k++) {
            tl_slice name = head->headers[i].name;
            size_t n = strcspn(added[k], "*");
            bool fits = added[k][n] ? name.n >= n : name.n == n;
            if (fits && strncasecmp((const char *)name.p, added[k], n) == 0)
                return true;
        }
    return judge_host(g, head->host) != HOST_OWN;
}

/* --- the key --- */

bool tl_guard_has_key(const tl_http1_head *head, const char *key)
{
    size_t n;
    tl_slice value = tl_http1_header_find(head, "authorization", &n);
    if (n != 1 || value.n <= 7 || !equals(tl_slice_of(value.p, 7), "Bearer "))
        return false;
    return tl_api_key_is(key, tl_slice_of(value.p + 7, value.n - 7));
}
