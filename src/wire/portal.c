#include "wire/portal.h"

#include "base/addr.h"

#include <stdio.h>
#include <strings.h>

/* HOST or HOST:PORT, as it stands in a URL. */
static void write_authority(char ret[TL_HOST_MAX + 9], const char *host, uint16_t port)
{
    const char *open = strchr(host, ':') ? "[" : "", *shut = *open ? "]" : "";
    int n = snprintf(ret, TL_HOST_MAX + 9, "%s%s%s", open, host, shut);
    if (port != 80)
        snprintf(ret + n, TL_HOST_MAX + 9 - (size_t)n, ":%u", port);
}

tl_err tl_portal_ask(tl_buf *out, tl_rand *rand, const char *host, uint16_t port)
{
    char authority[TL_HOST_MAX + 9], hex[17];
    uint8_t noise[8];
    tl_rand_bytes(rand, noise, sizeof noise);
    tl_hex_write(hex, noise, sizeof noise);
    write_authority(authority, host, port);
    return tl_buf_printf(out,
                         "GET /.well-known/teale-%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
                         "Accept: */*\r\n\r\n",
                         hex, authority);
}

static bool is_page(const tl_http1_head *answer)
{
    tl_slice type = tl_http1_header_find(answer, "content-type", NULL);
    return type.n >= 9 && tl_http1_equals_ignoring_case(tl_slice_of(type.p, 9), "text/html");
}

/* Is it a URL that may be shown to a person, who opens it in a browser? */
static bool is_showable(tl_slice url)
{
    if (url.n >= TL_PORTAL_URL_MAX)
        return false;
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= 0x20 || url.p[i] >= 0x7F || strchr("\"'<>\\^`{|}", url.p[i]))
            return false;
    return true;
}

/* The host of an absolute http or https URL. False: it is none. */
static bool host_of(tl_slice url, char ret_host[TL_HOST_MAX], bool *ret_tls)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]), end = n;
        uint16_t port;
        if (url.n <= n || strncasecmp((const char *)url.p, schemes[i], n) != 0)
            continue;
        while (end < url.n && !strchr("/?#", url.p[end]))
            end++;
        *ret_tls = i;
        return !tl_hostport_parse(tl_slice_of(url.p + n, end - n), 80, ret_host, &port);
    }
    return false;
}

/* The last two labels of a name: what most servers of one owner share. */
static const char *site_of(const char *host)
{
    const char *at = host + strlen(host);
    for (int dots = 0; at > host; at--)
        if (at[-1] == '.' && ++dots == 2)
            break;
    return at;
}

static bool is_same_site(const char *a, const char *b)
{
    tl_addr ip;
    if (!tl_addr_parse_ip(tl_slice_str(a), &ip) || !tl_addr_parse_ip(tl_slice_str(b), &ip))
        return strcasecmp(a, b) == 0;
    return strcasecmp(site_of(a), site_of(b)) == 0;
}

/* A redirect to another site is a portal's. To the same site, or by a path alone, it is one if
 * something stood in the relay's place, and it does not lead to TLS, as a real server's would. A
 * permanent redirect is what servers that have moved send: a portal does not want it remembered. */
static bool redirects_to_login(const tl_http1_head *answer, const char *host, bool strange)
{
    char to[TL_HOST_MAX];
    bool tls = false, absolute;
    tl_slice location = tl_http1_header_find(answer, "location", NULL);
    bool lasting = answer->status == 301 || answer->status == 308;
    if (answer->status < 301 || answer->status > 308 || !location.n)
        return false;
    absolute = host_of(location, to, &tls);
    if (absolute && !is_same_site(to, host))
        return strange || !lasting;
    return strange && !tls && (absolute || location.p[0] == '/');
}

bool tl_portal_answered(const tl_http1_head *answer, const char *host, uint16_t port, bool strange,
                        char ret_url[TL_PORTAL_URL_MAX])
{
    char authority[TL_HOST_MAX + 9], to[TL_HOST_MAX];
    bool tls;
    tl_slice location = tl_http1_header_find(answer, "location", NULL);
    bool redirect = redirects_to_login(answer, host, strange);
    if (!redirect && answer->status != 511 &&
        !(answer->status == 200 && strange && is_page(answer)))
        return false;
    write_authority(authority, host, port);
    if ((redirect || answer->status == 511) && host_of(location, to, &tls) && is_showable(location))
        snprintf(ret_url, TL_PORTAL_URL_MAX, "%.*s", (int)location.n, (const char *)location.p);
    else if (snprintf(ret_url, TL_PORTAL_URL_MAX, "http://%s/", authority) >= TL_PORTAL_URL_MAX)
        snprintf(ret_url, TL_PORTAL_URL_MAX, "http://example.com/");
    return true;
}
