#include "wire/proxyurl.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char *const schemes[] = {[TL_PROXY_HTTP] = "http://",
                                      [TL_PROXY_SOCKS5] = "socks5://",
                                      [TL_PROXY_SOCKS5H] = "socks5h://"};

static bool starts_with(const char *text, const char *scheme)
{
    return strncasecmp(text, scheme, strlen(scheme)) == 0;
}

static tl_err read_scheme(const char *text, tl_proxy_kind *ret_kind, const char **ret_rest,
                          tl_why *why)
{
    *ret_kind = TL_PROXY_HTTP;
    *ret_rest = text;
    for (int i = TL_PROXY_HTTP; i <= TL_PROXY_SOCKS5H; i++)
        if (starts_with(text, schemes[i])) {
            *ret_kind = (tl_proxy_kind)i;
            *ret_rest = text + strlen(schemes[i]);
            return TL_OK;
        }
    if (starts_with(text, "https://"))
        return tl_why_set(why, TL_ERR_INVALID,
                          "a proxy that wants TLS itself (https://) is not supported; the relay's "
                          "TLS goes through an http:// or socks5h:// proxy all the same");
    if (starts_with(text, "socks4") || starts_with(text, "socks://"))
        return tl_why_set(why, TL_ERR_INVALID, "SOCKS4 is not supported; use socks5h://");
    if (strstr(text, "://"))
        return tl_why_set(why, TL_ERR_INVALID,
                          "a proxy's URL begins with http://, socks5:// or socks5h://");
    return TL_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes one half of the login. */
static tl_err decode(tl_slice s, char ret[TL_PROXY_LOGIN_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int c = s.p[i];
        if (c == '%') {
            int high = i + 2 < s.n ? hex_digit((char)s.p[i + 1]) : -1;
            int low = i + 2 < s.n ? hex_digit((char)s.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return TL_ERR_PROTO;
            c = high << 4 | low;
            i += 2;
        }
        if (c < 0x20 || c == 0x7F || n == TL_PROXY_LOGIN_MAX)
            return TL_ERR_PROTO;
        ret[n++] = (char)c;
    }
    ret[n] = 0;
    return TL_OK;
}

static tl_err read_login(tl_slice login, tl_proxy *p, tl_why *why)
{
    const uint8_t *colon = memchr(login.p, ':', login.n);
    size_t user_n = colon ? (size_t)(colon - login.p) : login.n;
    tl_slice password = colon ? tl_slice_of(colon + 1, login.n - user_n - 1) : tl_slice_of("", 0);
    p->has_login = true;
    if (decode(tl_slice_of(login.p, user_n), p->user) || decode(password, p->password))
        return tl_why_set(
            why, TL_ERR_INVALID,
            "the proxy's user or password has a control character, a wrong %% or more "
            "than 255 bytes");
    if (p->kind == TL_PROXY_HTTP && strchr(p->user, ':'))
        return tl_why_set(why, TL_ERR_INVALID, "the user of an HTTP proxy may have no colon");
    if (p->kind != TL_PROXY_HTTP && (!p->user[0] || !p->password[0]))
        return tl_why_set(why, TL_ERR_INVALID, "a SOCKS5 login has a user and a password");
    return TL_OK;
}

tl_err tl_proxy_parse(const char *text, tl_proxy *ret_proxy, tl_why *why)
{
    tl_proxy p = {.kind = TL_PROXY_NONE};
    const char *rest;
    tl_err e = read_scheme(text, &p.kind, &rest, why);
    if (e)
        return e;
    size_t n = strcspn(rest, "/?#");
    if (rest[n] && strcmp(rest + n, "/") != 0)
        return tl_why_set(why, TL_ERR_INVALID, "a proxy's URL ends after its port");
    size_t host_at = n;
    while (host_at && rest[host_at - 1] != '@')
        host_at--;
    if (host_at) {
        e = read_login(tl_slice_of(rest, host_at - 1), &p, why);
        if (e)
            return e;
    }
    tl_slice hostport = tl_slice_of(rest + host_at, n - host_at);
    if (!hostport.n || tl_hostport_parse(hostport, TL_PROXY_PORT, p.host, &p.port) || !p.port ||
        !p.host[0])
        return tl_why_set(why, TL_ERR_INVALID,
                          "expected HOST:PORT of the proxy, such as http://proxy.example.org:3128");
    *ret_proxy = p;
    return TL_OK;
}

void tl_proxy_show(char ret_text[TL_PROXY_SHOWN_MAX], const tl_proxy *p)
{
    if (p->kind == TL_PROXY_NONE)
        ret_text[0] = 0;
    else
        snprintf(ret_text, TL_PROXY_SHOWN_MAX, strchr(p->host, ':') ? "%s[%s]:%u" : "%s%s:%u",
                 schemes[p->kind], p->host, p->port);
}

void tl_proxy_show_text(char ret_text[TL_PROXY_SHOWN_MAX], const char *text)
{
    tl_proxy p;
    tl_why ignored;
    if (!*text || !strcmp(text, "none"))
        snprintf(ret_text, TL_PROXY_SHOWN_MAX, "%s", text);
    else if (tl_proxy_parse(text, &p, &ignored))
        snprintf(ret_text, TL_PROXY_SHOWN_MAX, "(not a proxy)");
    else
        tl_proxy_show(ret_text, &p);
}

/* --- no_proxy --- */

static bool matches_address(const tl_addr *host, tl_slice entry)
{
    if (entry.n >= 2 && entry.p[0] == '[' && entry.p[entry.n - 1] == ']')
        entry = tl_slice_of(entry.p + 1, entry.n - 2);
    const uint8_t *slash = memchr(entry.p, '/', entry.n);
    size_t ip_n = slash ? (size_t)(slash - entry.p) : entry.n;
    tl_addr net;
    if (tl_addr_parse_ip(tl_slice_of(entry.p, ip_n), &net) || net.family != host->family)
        return false;
    unsigned width = net.family == TL_ADDR_V4 ? 32 : 128, bits = slash ? 0 : width;
    for (size_t i = ip_n + 1; i < entry.n; i++) {
        if (entry.p[i] < '0' || entry.p[i] > '9' || bits > width)
            return false;
        bits = bits * 10 + entry.p[i] - '0';
    }
    if (bits > width || (slash && ip_n + 1 == entry.n))
        return false;
    size_t whole = bits / 8;
    uint8_t mask = (uint8_t)(0xFF00 >> bits % 8);
    return memcmp(net.bytes, host->bytes, whole) == 0 &&
           (bits % 8 == 0 || (net.bytes[whole] & mask) == (host->bytes[whole] & mask));
}

static bool matches_name(tl_slice host, tl_slice entry)
{
    if (entry.n && entry.p[entry.n - 1] == '.')
        entry.n--;
    if (entry.n && entry.p[0] == '.')
        entry = tl_slice_of(entry.p + 1, entry.n - 1);
    if (!entry.n || entry.n > host.n)
        return false;
    const uint8_t *tail = host.p + host.n - entry.n;
    return strncasecmp((const char *)tail, (const char *)entry.p, entry.n) == 0 &&
           (entry.n == host.n || tail[-1] == '.');
}

bool tl_proxy_exempt(const char *list, const char *host)
{
    static const char between[] = ", \t";
    tl_addr ip;
    tl_slice name = tl_slice_str(host);
    bool literal = tl_addr_parse_ip(name, &ip) == TL_OK;
    if (!strcmp(list, "*"))
        return true;
    if (name.n && host[name.n - 1] == '.')
        name.n--;
    for (list += strspn(list, between); *list; list += strspn(list, between)) {
        tl_slice entry = tl_slice_of(list, strcspn(list, between));
        if (literal ? matches_address(&ip, entry) : matches_name(name, entry))
            return true;
        list += entry.n;
    }
    return false;
}

/* --- the choice --- */

/* The first of these variables that is set to something; NULL: none. */
static const char *first_set(const char *(*get)(const char *name), const char *const *names,
                             const char **ret_name)
{
    for (; *names; names++) {
        const char *value = get(*names);
        if (value && *value) {
            *ret_name = *names;
            return value;
        }
    }
    return NULL;
}

tl_err tl_proxy_choose(const char *setting, const char *(*get)(const char *name),
                       const tl_wsurl *url, tl_proxy *ret_proxy, const char **ret_source,
                       tl_why *why)
{
    static const char *const tls[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
    /* HTTP_PROXY is not among them: a web server sets it from a request's header "Proxy". */
    static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
    static const char *const exempt[] = {"no_proxy", "NO_PROXY", NULL};
    const char *source = "wan_proxy", *ignored, *text = setting;
    tl_proxy p = {.kind = TL_PROXY_NONE};
    if (!*setting)
        text = url->loopback ? NULL : first_set(get, url->tls ? tls : plain, &source);
    const char *list = first_set(get, exempt, &ignored);
    if (!text || !strcmp(text, "none") || (list && tl_proxy_exempt(list, url->host))) {
        *ret_proxy = p;
        *ret_source = "";
        return TL_OK;
    }
    tl_why wrong;
    tl_err e = tl_proxy_parse(text, &p, &wrong);
    if (e)
        return tl_why_set(why, e, "%s: %s", source, wrong.text);
    *ret_proxy = p;
    *ret_source = source;
    return TL_OK;
}
