/* chunked.h - the body of a request in chunks (RFC 9112 section 7.1), read strictly and piece by
 * piece. Never copies and never looks ahead. Extensions and trailers are checked and dropped.
 *
 *   size-in-hex [ ";" extension ] CRLF  data CRLF  ...  "0" CRLF  [ trailer CRLF ]...  CRLF
 *
 * Stricter than the RFC where two readers could disagree: a bare CR or LF, white space around the
 * size, a sign, and control characters anywhere outside the data are refused. */
#ifndef TL_WIRE_CHUNKED_H
#define TL_WIRE_CHUNKED_H

#include "base/slice.h"

#define TL_CHUNKED_DIGITS_MAX 8    /* 4 GiB in one chunk: beyond every limit of ours */
#define TL_CHUNKED_EXTRA_MAX  4096 /* extensions and trailers of one body: nobody needs them */

typedef enum {
    TL_CHUNKED_SIZE,      /* before or among the digits of a size */
    TL_CHUNKED_EXTENSION, /* behind its semicolon */
    TL_CHUNKED_SIZE_LF,
    TL_CHUNKED_DATA,
    TL_CHUNKED_DATA_CR,
    TL_CHUNKED_DATA_LF,
    TL_CHUNKED_TRAILER,    /* at the beginning of a line behind the last chunk */
    TL_CHUNKED_TRAILER_IN, /* inside a trailer's line */
    TL_CHUNKED_TRAILER_LF,
    TL_CHUNKED_END_LF,
    TL_CHUNKED_DONE,
} tl_chunked_state;

/* Zero-initialise to begin a body. */
typedef struct {
    tl_chunked_state state;
    uint64_t left;   /* bytes of the chunk's data to come; in SIZE, the size so far */
    unsigned digits; /* digits of the size so far */
    size_t extra;    /* bytes of extensions and trailers so far */
} tl_chunked;

/* Goes on with `in`. *ret_used bytes of it are done with; *ret_data (a part of `in`, possibly
 * empty) is data of the body. Call again with the rest while *ret_used > 0; 0 means that more bytes
 * are needed. In the state TL_CHUNKED_DONE, the rest of `in` is the next request. TL_ERR_PROTO:
 * malformed. TL_ERR_TOO_LARGE: a size over TL_CHUNKED_DIGITS_MAX digits, or extras over
 * TL_CHUNKED_EXTRA_MAX. */
TL_CHECK tl_err tl_chunked_next(tl_chunked *c, tl_slice in, size_t *ret_used, tl_slice *ret_data);

#endif
