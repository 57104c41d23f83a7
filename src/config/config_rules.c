#include "config/config_rules.h"

#include "base/addr.h"
#include "crypto/identity.h"
#include "wire/proxyurl.h"

#include <stdio.h>

const char *const tl_choices_boolean[] = {"true", "false", NULL};
const char *const tl_choices_share_with[] = {"public", "networks", NULL};
const char *const tl_choices_nat_relay_for[] = {"any", "networks", NULL};
const char *const tl_choices_ask[] = {"any", "networks", NULL};
const char *const tl_choices_nat_introduce[] = {"auto", "on", "off", NULL};
const char *const tl_choices_dht_publish[] = {"auto", "on", "off", NULL};
const char *const tl_choices_dht_serve[] = {"auto", "on", "off", NULL};
const char *const tl_choices_key_store[] = {"auto", "keychain", "file", NULL};
const char *const tl_choices_log_level[] = {"error", "warn", "info", "debug", NULL};

static bool is_one_of(const char *text, const char *const *choices)
{
    for (; *choices; choices++)
        if (!strcmp(text, *choices))
            return true;
    return false;
}

static bool is_hostport(const char *p, size_t n)
{
    char host[TL_HOST_MAX];
    uint16_t port;
    return n && !tl_hostport_parse(tl_slice_of(p, n), 1, host, &port) && host[0];
}

/* The part of `text` behind one of two schemes; NULL if it has neither. */
static const char *behind_scheme(const char *text, const char *plain, const char *tls)
{
    if (!strncmp(text, tls, strlen(tls)))
        return text + strlen(tls);
    return strncmp(text, plain, strlen(plain)) ? NULL : text + strlen(plain);
}

/* Is it HOST[:PORT][/PATH] in printable ASCII, without a user, a fragment or quotes? */
static bool is_place(const char *p)
{
    if (!p || !is_hostport(p, strcspn(p, "/?")))
        return false;
    for (; *p; p++)
        if (*p <= ' ' || *p >= 0x7F || strchr("@#\"\\<>", *p))
            return false;
    return true;
}

const char *tl_rule_any(const char *text)
{
    (void)text;
    return NULL;
}

const char *tl_rule_relay_url(const char *text)
{
    return is_place(behind_scheme(text, "ws://", "wss://"))
               ? NULL
               : "a relay's URL such as \"wss://relay.example.org/ws\"";
}

const char *tl_rule_proxy(const char *text)
{
    tl_proxy proxy;
    tl_why why;
    bool right = !*text || !strcmp(text, "none") ||
                 (strstr(text, "://") && !tl_proxy_parse(text, &proxy, &why));
    return right ? NULL
                 : "a proxy's URL such as \"http://proxy.example.org:3128\" or "
                   "\"socks5h://USER:PASSWORD@127.0.0.1:1080\", \"none\", or \"\"";
}

const char *tl_rule_share(const char *text)
{
    if (!*text || !strcmp(text, "auto") || is_place(behind_scheme(text, "http://", "https://")))
        return NULL;
    return "a model server's URL such as \"http://127.0.0.1:11434\", \"auto\", or \"\"";
}

const char *tl_rule_share_with(const char *text)
{
    return is_one_of(text, tl_choices_share_with) ? NULL : "\"public\" or \"networks\"";
}

const char *tl_rule_ask(const char *text)
{
    return is_one_of(text, tl_choices_ask) ? NULL : "\"any\" or \"networks\"";
}

const char *tl_rule_relay_for(const char *text)
{
    return tl_rule_ask(text);
}

const char *tl_rule_switch(const char *text)
{
    return is_one_of(text, tl_choices_dht_publish) ? NULL : "\"auto\", \"on\" or \"off\"";
}

const char *tl_rule_introducer(const char *text)
{
    tl_node_id id;
    tl_addr addr;
    size_t n = strcspn(text, "@");
    bool right = text[n] && !tl_node_id_parse(tl_slice_of(text, n), &id) &&
                 !tl_addr_parse(tl_slice_str(text + n + 1), &addr) && addr.port;
    return right ? NULL : "NODE_ID@ADDRESS:PORT, with all 64 digits of the ID";
}

const char *tl_rule_key_store(const char *text)
{
    return is_one_of(text, tl_choices_key_store) ? NULL : "\"auto\", \"keychain\" or \"file\"";
}

const char *tl_rule_log_level(const char *text)
{
    return is_one_of(text, tl_choices_log_level) ? NULL
                                                 : "\"error\", \"warn\", \"info\" or \"debug\"";
}

const char *tl_rule_file(const char *text)
{
    return !*text || *text == '/' ? NULL : "a whole path beginning with \"/\", or \"\"";
}

const char *tl_rule_listen(const char *text)
{
    char host[TL_HOST_MAX];
    uint16_t port;
    /* A port is required. A text without one would take the default port, so two default ports give
     * two answers. */
    uint16_t again;
    tl_slice s = tl_slice_str(text);
    bool ok = !tl_hostport_parse(s, 1, host, &port) && host[0] &&
              !tl_hostport_parse(s, 2, host, &again) && port == again;
    return ok ? NULL : "HOST:PORT such as \"127.0.0.1:11435\" (port 0 takes any)";
}

const char *tl_rule_host(const char *text)
{
    return is_hostport(text, strlen(text)) ? NULL : "HOST or HOST:PORT";
}

/* What browsers, browser extensions and desktop apps send as Origin: a scheme (RFC 3986 3.1) and a
 * host. */
const char *tl_rule_origin(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.");
    const char *p = text + n;
    bool scheme = *text >= 'a' && *text <= 'z' && strncmp(p, "://", 3) == 0;
    return scheme && is_place(p + 3) && !p[3 + strcspn(p + 3, "/?")]
               ? NULL
               : "an origin such as \"https://app.example.org\" or \"app://name\"";
}

const char *tl_rule_model(const char *text)
{
    return *text ? NULL : "a model's name";
}

bool tl_rule_meant(const char *(*rule)(const char *text), const char *text, char *ret, size_t size)
{
    const char *at = strstr(text, "://"), *rest = at ? at + 3 : text, *scheme, *path = "";
    bool tls = !strncmp(text, "https:", 6) || !strncmp(text, "wss:", 4);
    bool plain = !strncmp(text, "http:", 5) || !strncmp(text, "ws:", 3);
    if (rule == tl_rule_relay_url) {
        bool here = !strncmp(rest, "localhost", 9) || !strncmp(rest, "127.", 4) ||
                    !strncmp(rest, "[::1]", 5);
        scheme = plain || (here && !tls) ? "ws" : "wss";
        path = strpbrk(rest, "/?") ? "" : "/ws";
    } else if (rule == tl_rule_share || rule == tl_rule_origin) {
        scheme = tls ? "https" : "http";
    } else {
        return false;
    }
    if (*scheme == 'h' && rule == tl_rule_origin && at)
        return false; /* it has a scheme: something else is wrong */
    int n = snprintf(ret, size, "%s://%s%s", scheme, rest, path);
    return n > 0 && (size_t)n < size && !rule(ret);
}
