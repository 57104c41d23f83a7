/* err.h - the one error type. An error is returned or logged, never both.
 *
 * Three classes: the peer's fault (drop and count), a resource's (retry and report), our own bug
 * (assert; it has no code here). A function that can say more than a code takes a `tl_why *`. */
#ifndef TL_BASE_ERR_H
#define TL_BASE_ERR_H

#define TL_CHECK             __attribute__((warn_unused_result))
#define TL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

typedef enum {
    TL_OK = 0,
    /* the fault of the peer, or of the input */
    TL_ERR_SHORT = -1,     /* truncated: more bytes would be needed */
    TL_ERR_PROTO = -2,     /* malformed, or not allowed at this point of the protocol */
    TL_ERR_TOO_LARGE = -3, /* over a stated limit */
    TL_ERR_AUTH = -4,      /* a signature, tag or key did not verify */
    TL_ERR_FORBIDDEN = -5, /* authentic, and not allowed */
    TL_ERR_REPLAY = -6,    /* seen before, or too old */
    TL_ERR_INVALID = -7,   /* a value out of its range */
    /* a resource's */
    TL_ERR_NOMEM = -20,
    TL_ERR_IO = -21,    /* errno tells, or the tl_why */
    TL_ERR_AGAIN = -22, /* would block: call again later */
    TL_ERR_BUSY = -23,  /* a bound of ours is reached */
    TL_ERR_TIMEOUT = -24,
    TL_ERR_UNREACHABLE = -25, /* refused, no route, name not found */
    TL_ERR_CLOSED = -26,
    /* plain answers */
    TL_ERR_NOT_FOUND = -40,
    TL_ERR_EXISTS = -41,
    TL_ERR_CANCELLED = -42,
} tl_err;

/* A short lower-case name ("truncated", "not found"); static storage. */
const char *tl_err_name(tl_err e);

/* The words for a person: what failed, the evidence, what to do. */
typedef struct {
    char text[512];
} tl_why;

/* Formats into `why` (nothing when it is NULL) and returns `e`, so that a failing function can end
 * with `return tl_why_set(...)`. Too long a text is cut. why->text may be an argument. */
tl_err tl_why_set(tl_why *why, tl_err e, const char *fmt, ...) TL_PRINTF(3, 4);

/* Says that `what` ("write", "make the directory") failed at a file: its path, the cause, and what
 * to do where the disk is full, read-only or closed to this user. `error` is errno's value. Returns
 * TL_ERR_IO. */
tl_err tl_why_file(tl_why *why, const char *what, const char *path, int error);

#endif
