/* http1.h - the head of an HTTP/1.1 message (RFC 9112), read so strictly that nothing behind us can
 * read a request differently. Takes any bytes. Never touches a socket or a body, and knows no
 * routes.
 *
 * Refused: a bare LF or CR, folded lines, white space before a colon, more than one Host or
 * Content-Length, Content-Length beside Transfer-Encoding, any coding but `chunked`, targets
 * neither in origin form nor in absolute form, control bytes anywhere. */
#ifndef TL_WIRE_HTTP1_H
#define TL_WIRE_HTTP1_H

#include "base/slice.h"

#define TL_HTTP1_HEAD_MAX    (16u << 10) /* what nginx and Apache take in all */
#define TL_HTTP1_HEADERS_MAX 64          /* browsers send about 20 */

typedef struct {
    tl_slice name, value; /* the value without white space around it */
} tl_http1_header;

/* Every slice borrows from the bytes parsed, or from a constant. */
typedef struct {
    size_t head_n;           /* bytes of the head with its empty line; the body begins there */
    uint8_t minor;           /* HTTP/1.0 or 1.1 */
    tl_slice method, target; /* of a request; the target begins with '/' */
    int status;              /* of a response */
    tl_slice host; /* of a request, from Host or an absolute target: "" only in HTTP/1.0 */
    bool chunked;  /* the body is chunked; then has_content_length is false */
    bool has_content_length;
    uint64_t content_length;
    bool expect_continue; /* waits for 100 before it sends the body */
    bool keep_alive;      /* as version and Connection say */
    size_t header_count;
    tl_http1_header headers[TL_HTTP1_HEADERS_MAX];
} tl_http1_head;

/* Parses from the beginning of `bytes`. TL_ERR_SHORT: the head is not complete; call again with the
 * same bytes and more behind them. *scanned (0 at first) remembers how far was looked, so that a
 * slow sender costs nothing. After another error *ret_status is the HTTP status to answer before
 * closing: 400, 417, 501 or 505 with TL_ERR_PROTO, 431 with TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_http1_request_parse(tl_slice bytes, size_t *scanned, tl_http1_head *ret_head,
                                       int *ret_status);
/* The same of a response; ret_head->status is its code (100 to 599). */
TL_CHECK tl_err tl_http1_response_parse(tl_slice bytes, size_t *scanned, tl_http1_head *ret_head);

/* The first value of that name (any case), {NULL, 0} if none; *ret_count (may be NULL) tells how
 * many headers bear it. */
tl_slice tl_http1_header_find(const tl_http1_head *head, const char *name, size_t *ret_count);
/* True if a header of that name lists `token` (any case) between its commas. */
bool tl_http1_header_lists(const tl_http1_head *head, const char *name, const char *token);
/* What the status line says beside the number. */
const char *tl_http1_phrase(int status);
/* ASCII only. */
bool tl_http1_equals_ignoring_case(tl_slice a, const char *b);

#endif
