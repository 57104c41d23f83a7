/* guard.h - who may talk to the local API: decides by Host, Origin, Sec-Fetch-Site and the bearer
 * key of a request's head. Pure decisions: never answers a request, and knows no routes.
 *
 * A web page in the user's browser counts as hostile (docs/security.md). It can make the browser
 * send requests to the API (CSRF), or point a name of its own at 127.0.0.1 and read the answers
 * (DNS rebinding). A browser always tells the truth in the three headers above. A program that is
 * not a browser can lie in them, and gains nothing by it. */
#ifndef TL_API_GUARD_H
#define TL_API_GUARD_H

#include "config/config.h"
#include "wire/http1.h"

#include "base/addr.h"

typedef enum {
    TL_GUARD_PASS,      /* no Origin (not a browser's script), or our own */
    TL_GUARD_PASS_CORS, /* another origin, which the settings allow: tell the browser so. It asks
                           and reads, and changes nothing of the node without the key */
    TL_GUARD_HOST,      /* 403 host_not_allowed */
    TL_GUARD_ORIGIN,    /* 403 origin_not_allowed */
} tl_guard_verdict;

typedef struct {
    const tl_string_list *allowed_hosts; /* names or addresses, with or without port */
    const tl_string_list *allowed_origins;
    const tl_addr *listen; /* where the API listens: these addresses are hosts of ours; all
                              addresses are, if one of them means "all" */
    size_t listen_n;
} tl_guard;

/* Host is checked first. */
tl_guard_verdict tl_guard_check(const tl_guard *g, const tl_http1_head *head);

/* True if it came through a proxy or a tunnel, as far as it says so: by a field that those add, or by a
 * Host that only the settings allow. Then the connection is the proxy's, and the client anybody. */
bool tl_guard_is_passed_on(const tl_guard *g, const tl_http1_head *head);

/* True when the one Authorization header is `Bearer` and `key`. */
bool tl_guard_has_key(const tl_http1_head *head, const char *key);

#endif
