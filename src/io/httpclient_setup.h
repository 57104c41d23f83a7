/* httpclient_setup.h - checks what a caller of httpclient wants and puts it as libcurl wants it:
 * the URL's rules and the header lines. Of httpclient.c alone; reads the proxy variables of the
 * environment and touches nothing else. */
#ifndef TL_IO_HTTPCLIENT_SETUP_H
#define TL_IO_HTTPCLIENT_SETUP_H

#include "base/addr.h"
#include "io/httpclient.h"

#include <curl/curl.h>

typedef struct {
    char look_up[TL_HOST_MAX]; /* the name whose address we have to find; "" = none */
    uint16_t port;
    bool direct; /* no proxy may come between: loopback, or a Unix socket */
} tl_http_target;

/* TL_ERR_INVALID with `why`: no http or https URL, or one with a user in it. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_http_target_parse(const tl_http_ask *ask, tl_http_target *ret_target,
                                     tl_why *why);
/* The caller's, to curl_slist_free_all. TL_ERR_INVALID with `why`: a field. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_http_lines(const tl_http_ask *ask, struct curl_slist **ret_lines, tl_why *why);

#endif
