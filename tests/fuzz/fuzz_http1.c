/* A head in one piece and the same dripping in must get the same verdict, and an accepted one must
 * hold what the header promises. */
#include "wire/http1.h"
#include "wire/portal.h"
#include "wire/wsupgrade.h"

#include <stdlib.h>
#include <strings.h>

static void check_inside(tl_slice s, const uint8_t *data, size_t n)
{
    if (s.n && (s.p < data || s.p + s.n > data + n))
        abort();
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0)
            abort();
}

static void check_head(const tl_http1_head *h, const uint8_t *data, bool request)
{
    size_t hosts;
    tl_http1_header_find(h, "host", &hosts);
    if (h->head_n > TL_HTTP1_HEAD_MAX || memcmp(data + h->head_n - 4, "\r\n\r\n", 4) != 0)
        abort();
    if (h->chunked && h->has_content_length)
        abort();
    if (request && ((h->minor == 1 && hosts != 1) || hosts > 1 || h->target.p[0] != '/'))
        abort();
    check_inside(h->method, data, h->head_n);
    if (!tl_slice_eq(h->target, TL_SLICE_LIT("/"))) /* that of `http://host` is not in it */
        check_inside(h->target, data, h->head_n);
    for (size_t i = 0; i < h->header_count; i++) {
        check_inside(h->headers[i].name, data, h->head_n);
        check_inside(h->headers[i].value, data, h->head_n);
        if (h->headers[i].name.n == 0 || memchr(h->headers[i].name.p, ' ', h->headers[i].name.n))
            abort();
    }
}

/* What is told to a person as an address must be one. */
static void check_portal(const tl_http1_head *h, bool strange)
{
    char login[TL_PORTAL_URL_MAX];
    if (!tl_portal_answered(h, "relay.example.org", 80, strange, login))
        return;
    if (strncasecmp(login, "http", 4) != 0 || strpbrk(login, " \t\r\n\"<>\\\x1b"))
        abort();
}

static void try_request(const uint8_t *data, size_t n)
{
    tl_http1_head whole, drip;
    int status = 0, drip_status = 0;
    size_t scanned = 0;
    char accept[TL_WS_ACCEPT_SIZE];
    tl_err e = tl_http1_request_parse(tl_slice_of(data, n), &scanned, &whole, &status),
           d = TL_ERR_SHORT;
    scanned = 0;
    for (size_t have = 0; d == TL_ERR_SHORT && have <= n; have++)
        d = tl_http1_request_parse(tl_slice_of(data, have), &scanned, &drip, &drip_status);
    if (e != d || status != drip_status)
        abort();
    if (e && e != TL_ERR_SHORT && (status < 400 || status > 505))
        abort();
    if (e)
        return;
    check_head(&whole, data, true);
    (void)tl_ws_upgrade_check(&whole, accept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    tl_http1_head h;
    size_t scanned = 0;
    try_request(data, n);
    if (!tl_http1_response_parse(tl_slice_of(data, n), &scanned, &h)) {
        check_head(&h, data, false);
        check_portal(&h, false);
        check_portal(&h, true);
    }
    return 0;
}
