#include "wire/wsurl.h"

#include "base/log.h"

#include <stdio.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool starts_with(const char *text, const char *scheme)
{
    for (; *scheme; text++, scheme++)
        if (lower(*text) != *scheme)
            return false;
    return true;
}

static tl_err parse_path(const char *p, char ret[256])
{
    size_t n = strlen(p);
    if (n >= 256)
        return TL_ERR_TOO_LARGE;
    if (*p && *p != '/')
        return TL_ERR_PROTO; /* "host?query" is legal, but no relay has such an address */
    for (size_t i = 0; i < n; i++)
        if (p[i] <= 0x20 || p[i] >= 0x7f || strchr("#\"<>\\^`{|}", p[i]))
            return TL_ERR_PROTO;
    memcpy(ret, n ? p : "/", (n ? n : 1) + 1);
    return TL_OK;
}

static void write_authority(tl_wsurl *u)
{
    bool literal6 = strchr(u->host, ':') != NULL;
    int n = snprintf(u->authority, sizeof u->authority, literal6 ? "[%s]" : "%s", u->host);
    if (u->port != (u->tls ? 443 : 80))
        snprintf(u->authority + n, sizeof u->authority - (size_t)n, ":%u", u->port);
}

tl_err tl_wsurl_parse(const char *text, tl_wsurl *ret_url, tl_why *why)
{
    tl_wsurl u = {0};
    tl_safe safe = tl_log_safe(tl_slice_str(text));
    const char *shown = safe.text;
    if (starts_with(text, "wss://"))
        u.tls = true;
    else if (!starts_with(text, "ws://"))
        return tl_why_set(why, TL_ERR_INVALID, "%s: a relay's URL begins with wss:// or ws://",
                          shown);
    const char *rest = text + (u.tls ? 6 : 5);
    size_t host_n = strcspn(rest, "/?#");
    tl_err e = tl_hostport_parse(tl_slice_of(rest, host_n), u.tls ? 443 : 80, u.host, &u.port);
    if (e || u.port == 0)
        return tl_why_set(why, TL_ERR_INVALID, "%s: expected HOST or HOST:PORT after the scheme",
                          shown);
    if (parse_path(rest + host_n, u.path))
        return tl_why_set(why, TL_ERR_INVALID,
                          "%s: the path has characters a URL may not have, or is too long", shown);
    for (char *p = u.host; *p; p++)
        *p = lower(*p);
    write_authority(&u);
    tl_addr a;
    u.loopback = strcmp(u.host, "localhost") == 0 ||
                 (!tl_addr_parse_ip(tl_slice_str(u.host), &a) && tl_addr_is_loopback(&a));
    *ret_url = u;
    return TL_OK;
}
