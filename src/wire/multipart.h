/* multipart.h - reads a multipart/form-data body (RFC 7578) in place, without heap or copies. It
 * serves uploads that are handed on untouched: we need a field or two of them. So it is strict: what
 * two readers could take for two different forms is refused. Pure codec; knows no field.
 *
 *     --boundary CRLF
 *     Content-Disposition: form-data; name="model" CRLF
 *     CRLF
 *     value
 *     CRLF --boundary CRLF   ...   CRLF --boundary-- [CRLF]
 */
#ifndef TL_WIRE_MULTIPART_H
#define TL_WIRE_MULTIPART_H

#include "base/slice.h"

#define TL_MULTIPART_BOUNDARY_MAX 70   /* RFC 2046 5.1.1 */
#define TL_MULTIPART_HEAD_MAX     4096 /* a part's headers; clients write about 150 bytes */

typedef struct {
    tl_slice name;  /* the field's; of printable ASCII or UTF-8, without escapes */
    tl_slice value; /* the content as it stands */
    bool is_file;   /* there is a file name */
} tl_multipart_part;

/* Walks the parts of one body. */
typedef struct {
    const uint8_t *p, *end;                   /* behind a delimiter */
    char mark[TL_MULTIPART_BOUNDARY_MAX + 4]; /* LF, "--", the boundary, NUL */
    size_t mark_n;
} tl_multipart;

/* Is this the Content-Type of a form with parts? Says nothing of its parameters. */
bool tl_multipart_is(const char *content_type);

/* The type with its boundary and nothing else, in one spelling. TL_ERR_PROTO: it has not exactly one.
 * TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_multipart_type(const char *content_type, char *ret_type, size_t cap);
/* The slices borrow from `body`. TL_ERR_PROTO: the type has not exactly one boundary, or the body
 * does not begin with it. */
TL_CHECK tl_err tl_multipart_begin(tl_multipart *m, const char *content_type, tl_slice body);
/* The next part; *ret_done after the last, behind which only an end of line may follow. */
TL_CHECK tl_err tl_multipart_next(tl_multipart *m, tl_multipart_part *ret_part, bool *ret_done);

#endif
