/* httpclient.h - makes HTTP/1.1 requests with libcurl on our loop: to the model server, and from
 * the command line to the daemon's Unix socket. Hands bytes on at the moment they arrive, and
 * buffers no body. Asks for bodies without a coding, and undoes one (gzip, say) that comes anyway.
 * Never follows a redirect, never speaks other protocols than http and https, never uses a proxy
 * for loopback. */
#ifndef TL_IO_HTTPCLIENT_H
#define TL_IO_HTTPCLIENT_H

#include "base/slice.h"
#include "io/loop.h"

#define TL_HTTP_HEAD_MAX                                                                           \
    (64u << 10)               /* the whole head of an answer; model servers send under 1 KiB */
#define TL_HTTP_FIELDS_MAX 16 /* request headers given by the caller */

typedef struct tl_http tl_http;
typedef struct tl_http_request tl_http_request;
typedef struct tl_http_head tl_http_head;

typedef struct {
    const char *name, *value;
} tl_http_field;

typedef struct {
    const char *method; /* "GET", "POST", ... */
    const char *url;    /* http:// or https://, without user or password */
    const char
        *unix_path; /* NULL: TCP to the URL's host; else a Unix socket, and the host is only a
                       name */
    tl_http_field
        fields[TL_HTTP_FIELDS_MAX]; /* ends at the first without a name; CR and LF are refused */
    tl_slice body;
    bool no_proxy;      /* ignores the environment: for servers that only this network can reach */
    bool borrow_body;   /* the caller keeps the body valid until the request is over; else it is
                           copied */
    tl_time connect;    /* for look-up, connection and TLS; TL_NEVER: no limit (here and in the next
                           two) */
    tl_time first_byte; /* from the connection to the whole head of the answer */
    tl_time silence;    /* between two pieces of the body; does not count while paused */
} tl_http_ask;
/* A GET without a URL; connect 10 s, no other limit. */
tl_http_ask tl_http_ask_default(void);

/* Slices and the head are borrowed for the call. Each callback may cancel this or another request,
 * and may start new ones. on_done is the last call; the handle is invalid by then.
 *
 * on_done's error: TL_OK: the answer is complete as the server framed it. TL_ERR_UNREACHABLE: there
 * was no connection (refused, no such name, TLS failed, not in time). TL_ERR_AUTH: the server's
 * certificate cannot be trusted. TL_ERR_TIMEOUT: first_byte or silence ran out. TL_ERR_CLOSED: the
 * answer broke off. TL_ERR_PROTO: it is not HTTP. TL_ERR_TOO_LARGE: its head is too large.
 * TL_ERR_NOMEM. `why` is for a person. */
typedef struct {
    void (*on_head)(void *user, int status, const tl_http_head *head); /* once; never 1xx */
    void (*on_body)(void *user, tl_slice bytes);
    void (*on_done)(void *user, tl_err e, const char *why);
} tl_http_events;

/* The program must ignore SIGPIPE: OpenSSL's writes would raise it. */
TL_CHECK tl_err tl_http_new(tl_loop *loop, tl_http **ret_http);
/* Ends every request and makes no callback. Not allowed inside a callback. */
void tl_http_free(tl_http *h);

/* Sends now what was started; without it, it goes at the end of this turn of the loop. Makes callbacks;
 * does nothing inside one. */
void tl_http_go(tl_http *h);

/* Copies everything but a borrowed body. Makes no callback from inside. TL_ERR_INVALID: the URL or
 * a field, see `why`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_http_start(tl_http *h, const tl_http_ask *ask, const tl_http_events *events,
                              void *user, tl_http_request **ret_request, tl_why *why);
/* Closes the connection at once unless the answer was complete. No callback follows. */
void tl_http_cancel(tl_http_request *r);
/* While paused, on_body is not called and the socket is not read. */
void tl_http_set_paused(tl_http_request *r, bool on);
/* Sets, from now on, another limit on the silence between two pieces of the body. */
void tl_http_set_silence(tl_http_request *r, tl_time silence);

/* The value of the answer's first field with that name; NULL when there is none. */
const char *tl_http_head_field(const tl_http_head *head, const char *name);

#endif
