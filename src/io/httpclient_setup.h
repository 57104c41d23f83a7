/* httpclient_setup.h - checks the request of a caller of httpclient, and puts it into libcurl's
 * form: the URL and the header lines. Only httpclient.c uses it. Reads the proxy variables of the
 * environment; opens no connection. */
#ifndef TL_IO_HTTPCLIENT_SETUP_H
#define TL_IO_HTTPCLIENT_SETUP_H

#include "base/addr.h"
#include "io/httpclient.h"

#include <curl/curl.h>

typedef struct {
    char look_up[TL_HOST_MAX]; /* the name whose address we must find; "" = none */
    uint16_t port;
    bool direct; /* no proxy may be used: loopback, or a Unix socket */
} tl_http_target;

/* TL_ERR_INVALID with `why`: not an http or https URL, or a URL with a user in it. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_http_target_parse(const tl_http_ask *ask, tl_http_target *ret_target,
                                     tl_why *why);
/* The caller frees the list with curl_slist_free_all. TL_ERR_INVALID with `why`: a field is not
 * allowed. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_http_lines(const tl_http_ask *ask, struct curl_slist **ret_lines, tl_why *why);

#endif
