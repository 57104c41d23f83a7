#include "net/relay_urls.h"

#include <stdlib.h>

static const char *environment(const char *name)
{
    return getenv(name);
}

static tl_err read_one(const tl_relay_client_config *config, size_t i, tl_relay_url *ret,
                       tl_why *why)
{
    memcpy(ret->text, config->urls[i], sizeof ret->text);
    tl_err e = tl_wsurl_parse(ret->text, &ret->url, why);
    if (e)
        return e;
    if (!ret->url.tls && !ret->url.loopback && !config->allow_insecure)
        return tl_why_set(why, TL_ERR_INVALID,
                          "%s is not encrypted: use wss://, or set wan_allow_insecure_relay = true",
                          ret->text);
    e = tl_proxy_choose(config->proxy, environment, &ret->url, &ret->proxy, &ret->proxy_source,
                        why);
    if (!e)
        tl_proxy_show(ret->shown, &ret->proxy);
    return e;
}

tl_err tl_relay_urls_read(const tl_relay_client_config *config, tl_relay_urls *ret_urls,
                          tl_why *why)
{
    tl_relay_urls u = {.n = config->n_urls};
    if (u.n == 0 || u.n > TL_RELAY_URLS_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "wan_relay_url names no relay");
    for (size_t i = 0; i < u.n; i++) {
        tl_err e = read_one(config, i, &u.url[i], why);
        if (e)
            return e;
        u.tls |= u.url[i].url.tls;
    }
    *ret_urls = u;
    return TL_OK;
}
