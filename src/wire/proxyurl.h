/* proxyurl.h - the address of a proxy, which proxy a connection to a relay takes, and which relays
 * are reached without one. Reads text alone: the environment comes in as a function. */
#ifndef TL_WIRE_PROXYURL_H
#define TL_WIRE_PROXYURL_H

#include "wire/wsurl.h"

typedef enum {
    TL_PROXY_NONE,    /* no proxy: straight to the relay */
    TL_PROXY_HTTP,    /* HTTP CONNECT (RFC 9110 9.3.6) */
    TL_PROXY_SOCKS5,  /* RFC 1928; this machine looks the name up */
    TL_PROXY_SOCKS5H, /* RFC 1928; the proxy looks the name up */
} tl_proxy_kind;

#define TL_PROXY_LOGIN_MAX 255  /* bytes of a user or a password, RFC 1929 section 2 */
#define TL_PROXY_PORT      1080 /* where a URL names no port: as curl has it */

typedef struct {
    tl_proxy_kind kind;
    char host[TL_HOST_MAX]; /* IPv6 without brackets */
    uint16_t port;
    bool has_login;
    char user[TL_PROXY_LOGIN_MAX + 1], password[TL_PROXY_LOGIN_MAX + 1];
} tl_proxy;

/* `http://`, `socks5://` or `socks5h://`, then [USER[:PASSWORD]@]HOST[:PORT] and at most a slash. User
 * and password may be percent-encoded. Without a scheme it is http, as curl has it.
 * TL_ERR_INVALID: `why` says what is wrong, and never repeats the text, which may hold a password. */
TL_CHECK tl_err tl_proxy_parse(const char *text, tl_proxy *ret_proxy, tl_why *why);

#define TL_PROXY_SHOWN_MAX (TL_HOST_MAX + 24)
/* The URL without user and password: all that a person or a log is ever shown. "" for none. */
void tl_proxy_show(char ret_text[TL_PROXY_SHOWN_MAX], const tl_proxy *proxy);
/* The same of any text that should be a proxy's URL; what is none becomes "(not a proxy)". "" and
 * "none" stay. */
void tl_proxy_show_text(char ret_text[TL_PROXY_SHOWN_MAX], const char *text);

/* Is `host` (IPv6 without brackets) in this list of no_proxy? The rules are curl's: names apart by
 * commas or spaces; a name stands for itself and all below it, with a dot in front or without; an
 * address stands for itself, with /BITS for its network; "*" alone stands for all. */
bool tl_proxy_exempt(const char *list, const char *host);

/* Which proxy a connection to `url` takes. `setting` is wan_proxy: a URL, "none", or "" for the
 * environment's: https_proxy, HTTPS_PROXY (for ws:// http_proxy), then all_proxy, ALL_PROXY; relays
 * on this machine take none of these. no_proxy or NO_PROXY holds for both. `get` is as getenv.
 * *ret_source tells what named the proxy: a variable, or "wan_proxy". TL_ERR_INVALID with `why`. */
TL_CHECK tl_err tl_proxy_choose(const char *setting, const char *(*get)(const char *name),
                                const tl_wsurl *url, tl_proxy *ret_proxy, const char **ret_source,
                                tl_why *why);

#endif
