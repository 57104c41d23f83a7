/* relay_urls.h - the relays that the settings name, each with the proxy on the way to it. Reads the
 * environment, and nothing else of the world. */
#ifndef TL_NET_RELAY_URLS_H
#define TL_NET_RELAY_URLS_H

#include "wire/proxyurl.h"

#define TL_RELAY_URLS_MAX 16

typedef struct {
    size_t n_urls;
    char urls[TL_RELAY_URLS_MAX][256]; /* tried in order */
    bool allow_insecure;               /* allow plain ws:// to other machines than this one */
    char ca_file[512];                 /* a private CA to trust besides the system's; "" = none */
    char proxy[512];                   /* wan_proxy: a URL, "none", or "" = the environment's */
} tl_relay_client_config;

typedef struct {
    tl_wsurl url;
    char text[256];                 /* as the settings have it */
    tl_proxy proxy;                 /* on the way to it */
    const char *proxy_source;       /* what named the proxy; static */
    char shown[TL_PROXY_SHOWN_MAX]; /* the proxy, without its login; "": none */
} tl_relay_url;

typedef struct {
    size_t n;
    bool tls; /* one of them is wss:// */
    tl_relay_url url[TL_RELAY_URLS_MAX];
} tl_relay_urls;

/* TL_ERR_INVALID with the reason: there is none, one is wrong, or plain and not allowed, or what names a
 * proxy is no URL of one. */
TL_CHECK tl_err tl_relay_urls_read(const tl_relay_client_config *config, tl_relay_urls *ret_urls,
                                   tl_why *why);

#endif
