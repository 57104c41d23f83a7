#include "io/httpclient_setup.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static bool is_loopback_name(const char *host, bool *ret_is_literal)
{
    size_t n = strlen(host);
    bool bracketed = n > 2 && host[0] == '[';
    tl_addr a;
    *ret_is_literal =
        tl_addr_parse_ip(tl_slice_of(host + bracketed, n - 2 * bracketed), &a) == TL_OK;
    if (*ret_is_literal)
        return tl_addr_is_loopback(&a);
    *ret_is_literal = strcasecmp(host, "localhost") == 0; /* libcurl knows this name without a
                                                             look-up */
    return *ret_is_literal;
}

/* Does the environment name a proxy for this scheme? Then the proxy or libcurl looks the name
 * up. */
static bool may_use_proxy(bool https)
{
    static const char *const names[][4] = {
        {"http_proxy", "all_proxy", "ALL_PROXY", NULL},
        {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"},
    };
    for (int i = 0; i < 4 && names[https][i]; i++) {
        const char *value = getenv(names[https][i]);
        if (value && value[0])
            return true;
    }
    return false;
}

tl_err tl_http_target_parse(const tl_http_ask *ask, tl_http_target *ret_target, tl_why *why)
{
    tl_err e = TL_ERR_INVALID;
    char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL, *password = NULL;
    bool literal = true;
    CURLU *u = curl_url();
    if (!u)
        return TL_ERR_NOMEM;
    if (!ask->url ||
        curl_url_set(u, CURLUPART_URL, ask->url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        tl_why_set(why, e, "not a URL with a host: it should look like http://127.0.0.1:11434");
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        tl_why_set(why, e, "a URL must begin with http:// or https://");
    else if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK ||
             curl_url_get(u, CURLUPART_PASSWORD, &password, 0) == CURLUE_OK)
        tl_why_set(why, e, "a URL must not hold a user or password");
    else if (strlen(host) >= TL_HOST_MAX)
        tl_why_set(why, e, "the URL's host name is too long");
    else
        e = TL_OK;
    if (e == TL_OK) {
        tl_http_target t = {.port = (uint16_t)strtoul(port, NULL, 10)};
        t.direct = is_loopback_name(host, &literal) || ask->unix_path || ask->no_proxy;
        if (!literal && !ask->unix_path &&
            (t.direct || !may_use_proxy(strcmp(scheme, "https") == 0)))
            snprintf(t.look_up, sizeof t.look_up, "%s", host);
        *ret_target = t;
    }
    curl_free(scheme), curl_free(host), curl_free(port), curl_free(user), curl_free(password);
    curl_url_cleanup(u);
    return e;
}

static bool add_line(struct curl_slist **lines, const char *line)
{
    struct curl_slist *grown = curl_slist_append(*lines, line);
    if (grown)
        *lines = grown;
    return grown;
}

tl_err tl_http_lines(const tl_http_ask *ask, struct curl_slist **ret_lines, tl_why *why)
{
    struct curl_slist *lines = NULL;
    tl_err e = TL_ERR_NOMEM;
    bool typed = false;
    if (!add_line(&lines, "Expect:")) /* else libcurl would send Expect and wait a second for
                                         nothing */
        goto out;
    for (size_t i = 0; i < TL_HTTP_FIELDS_MAX && ask->fields[i].name; i++) {
        const tl_http_field *f = &ask->fields[i];
        if (strpbrk(f->name, "\r\n:; ") || strpbrk(f->value, "\r\n") || !f->name[0]) {
            e = tl_why_set(why, TL_ERR_INVALID, "not a value for the request header %s",
                           tl_log_safe(tl_slice_str(f->name)).text);
            goto out;
        }
        typed |= strcasecmp(f->name, "content-type") == 0;
        char *line = NULL;
        bool ok = asprintf(&line, f->value[0] ? "%s: %s" : "%s;", f->name, f->value) >= 0 &&
                  add_line(&lines, line);
        free(line);
        if (!ok)
            goto out;
    }
    if (!typed && !add_line(&lines, "Content-Type:")) /* else libcurl would say that the body is a
                                                         form */
        goto out;
    e = TL_OK;
out:
    if (e == TL_OK)
        *ret_lines = lines;
    else
        curl_slist_free_all(lines);
    return e;
}
