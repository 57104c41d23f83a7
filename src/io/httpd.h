/* httpd.h - an HTTP/1.1 server on TCP addresses and Unix sockets: it takes strict heads
 * (wire/http1) and whole bodies up to a limit, and answers at once or as a stream. Knows no routes
 * and looks into no body.
 *
 * A connection has one request at a time; further requests that a client pipelines wait. The
 * connection is watched while a request is being answered. A client is gone if it closes, resets,
 * or takes none of the queued bytes for `stalled`; then the handler is told. (A client that closes
 * only its sending half counts as gone too: TCP does not show the difference.) */
#ifndef TL_IO_HTTPD_H
#define TL_IO_HTTPD_H

#include "io/loop.h"
#include "wire/http1.h"

typedef struct tl_httpd tl_httpd;
typedef struct tl_httpd_req tl_httpd_req;

#define TL_HTTPD_LISTENERS_MAX 8
#define TL_HTTPD_GATHER_MAX    (256u << 10) /* gathered for one system call */
#define TL_HTTPD_SEND_MAX      (1u << 20)   /* queued for one client; above it the handler pauses */

typedef struct {
    tl_time head;    /* 10 s, from a head's first byte to its last */
    tl_time body;    /* 30 s in which less than 16 KiB of a body came, and not its end */
    tl_time idle;    /* 60 s between requests */
    tl_time stalled; /* 60 s in which the client takes no queued byte */
    size_t body_max; /* 16 MiB; above it 413, before any of the body is read */
    /* The Unix socket is its owner's door: whoever fills the TCP doors must not shut it. So each of
     * the two kinds of door has connections_max places of its own, and one body more than bodies_max
     * fits if it comes by the Unix socket. */
    size_t bodies_max;      /* 512 MiB for all connections together; above it 503 */
    size_t connections_max; /* 2048; above it the oldest that asks nothing is closed, else 503 */
} tl_httpd_config;
tl_httpd_config tl_httpd_config_default(void);

typedef struct {
    /* The head is complete and well-formed. False: the handler has answered with a refusal; the
     * body is not read, and the connection ends after the answer. True: the server reads on, and
     * on_request follows. The handler must keep nothing for the request here: if the body never
     * comes, the handler is not told. */
    bool (*on_head)(void *user, tl_httpd_req *r);
    /* The request is complete: the handler answers it, now or later. */
    void (*on_request)(void *user, tl_httpd_req *r);
    /* The server itself refuses: the handler fills `out` with a body of `refusal_type`. It may stay
     * empty. It may add headers, and read what it keeps with the request; there may be no head. */
    void (*on_refusal)(void *user, tl_httpd_req *r, int status, const char *message, tl_buf *out);
    const char *refusal_type;
} tl_httpd_events;

TL_CHECK tl_err tl_httpd_new(tl_loop *loop, const tl_httpd_config *config,
                             const tl_httpd_events *events, void *user, tl_httpd **ret_httpd);
/* Closes every connection at once; handlers that watch a request are told. */
void tl_httpd_free(tl_httpd *h);

/* Every request that arrives there carries `tag`. *ret_addr has the real port. Errors as tl_listen
 * and tl_listen_unix; TL_ERR_BUSY: more than TL_HTTPD_LISTENERS_MAX. */
TL_CHECK tl_err tl_httpd_listen(tl_httpd *h, const tl_addr *addr, int tag, tl_addr *ret_addr,
                                tl_why *why);
TL_CHECK tl_err tl_httpd_listen_unix(tl_httpd *h, const char *path, int tag, tl_why *why);

/* Stops listening, closes idle connections, lets the running answers finish, and then calls on_done
 * (never from inside this call). */
void tl_httpd_drain(tl_httpd *h, void (*on_done)(void *user), void *user);

typedef struct {
    uint64_t connections; /* open now */
    uint64_t accepted, requests;
    uint64_t malformed;  /* heads and bodies that the server itself refused */
    uint64_t timed_out;  /* requests whose head or body took too long */
    uint64_t gone;       /* clients that left before their answer was complete */
    uint64_t stalled;    /* clients cut off because they took nothing */
    uint64_t overloaded; /* answered 503, for connections_max or bodies_max */
    uint64_t bytes_in, bytes_out;
} tl_httpd_stats;
tl_httpd_stats tl_httpd_stats_of(const tl_httpd *h);

/* --- A request: valid from on_head until its answer ends or its client is gone --- */
int tl_httpd_tag(const tl_httpd_req *r);
/* True if it came from a program of this user, or of root, which still holds its end open
 * (io/owner.h). */
bool tl_httpd_is_ours(const tl_httpd_req *r);
/* A number that the handler keeps with the request; 0 before it is set. */
void tl_httpd_set_note(tl_httpd_req *r, int note);
int tl_httpd_note(const tl_httpd_req *r);
/* A name that the handler keeps with the request, cut to its room; "" before it is set. */
#define TL_HTTPD_NAME_MAX 129
void tl_httpd_set_name(tl_httpd_req *r, const char *name);
const char *tl_httpd_name(const tl_httpd_req *r);
/* Slices are valid while the request is. */
const tl_http1_head *tl_httpd_head(const tl_httpd_req *r);
tl_slice tl_httpd_path(const tl_httpd_req *r);  /* the target up to '?', as it was sent */
tl_slice tl_httpd_query(const tl_httpd_req *r); /* behind '?' */
tl_slice tl_httpd_body(const tl_httpd_req *r);
/* Frees the body before the answer ends: for long answers to long questions. */
void tl_httpd_drop_body(tl_httpd_req *r);

typedef struct {
    /* The request is over before its answer was complete; `r` is invalid. */
    void (*on_gone)(void *user);
    /* tl_httpd_write had returned false, and now less than half of TL_HTTPD_SEND_MAX is queued. */
    void (*on_drained)(void *user);
} tl_httpd_watch_events;
/* Watches a request whose answer comes later. No event comes after the answer has ended. NULL:
 * nobody is told. */
void tl_httpd_watch(tl_httpd_req *r, const tl_httpd_watch_events *events, void *user);

/* --- Its answer: headers, then respond, or begin - write... - end. These calls never fail. If
 * memory runs out or the connection breaks, the rest is dropped and on_gone follows, from the loop.
 * --- */
/* Adds a header to the answer. `value` is untrusted: bytes that a header may not hold become
 * '?'. */
void tl_httpd_header(tl_httpd_req *r, const char *name, const char *value);
/* Ends the connection after this answer. */
void tl_httpd_close_after(tl_httpd_req *r);
/* Sends the whole answer and ends it. `type` NULL: no Content-Type. The answer to HEAD tells only
 * the body's length. */
void tl_httpd_respond(tl_httpd_req *r, int status, const char *type, tl_slice body);
/* Begins a streamed answer: chunked, or ended by the close in HTTP/1.0. The head goes out together
 * with the first write, at the latest when the present turn of the loop ends. */
void tl_httpd_begin(tl_httpd_req *r, int status, const char *type);
/* Small pieces go out together when the present turn of the loop ends, or when they are
 * TL_HTTPD_GATHER_MAX bytes; large ones at once. Copies what the kernel does not take. False: more than
 * TL_HTTPD_SEND_MAX is queued; the handler must not write until on_drained. */
bool tl_httpd_write(tl_httpd_req *r, tl_slice bytes);
bool tl_httpd_has_begun(const tl_httpd_req *r);
/* The answer is complete. */
void tl_httpd_end(tl_httpd_req *r);
/* Breaks the answer off. What is queued goes out, then the connection closes without the end mark,
 * so that the client cannot take the answer for complete. */
void tl_httpd_abort(tl_httpd_req *r);

#endif
