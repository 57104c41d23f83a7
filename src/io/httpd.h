/* httpd.h - an HTTP/1.1 server on TCP addresses and Unix sockets: strict heads (wire/http1), whole
 * bodies up to a limit, answers at once or streamed. Knows no routes and looks into no body.
 *
 * A connection has one request at a time; what a client pipelines behind it waits. While a request
 * is being answered the connection is watched: a client that closes, resets, or takes nothing of
 * what is queued for `stalled` is gone, and the handler is told. (A client that only closes its
 * sending half counts as gone: TCP cannot tell it from one that closed.) */
#ifndef TL_IO_HTTPD_H
#define TL_IO_HTTPD_H

#include "io/loop.h"
#include "wire/http1.h"

typedef struct tl_httpd tl_httpd;
typedef struct tl_httpd_req tl_httpd_req;

#define TL_HTTPD_LISTENERS_MAX 8
#define TL_HTTPD_SEND_MAX                                                                          \
    (1u << 20) /* queued towards one client; above it the handler pauses (UX.md) */

typedef struct {
    tl_time head;           /* 10 s, from a head's first byte to its last */
    tl_time body;           /* 30 s of silence inside a body */
    tl_time idle;           /* 60 s between requests */
    tl_time stalled;        /* 60 s without progress while something is queued */
    size_t body_max;        /* 16 MiB; above it 413, before anything of it is read */
    size_t bodies_max;      /* 512 MiB, of all connections together; above it 503 */
    size_t connections_max; /* 2048; above it the oldest that asks nothing makes room, else 503 */
} tl_httpd_config;
tl_httpd_config tl_httpd_config_default(void);

typedef struct {
    /* The head is complete and well-formed. False: the handler has answered (a refusal); the body
     * is not read and the connection ends with the answer. True: read on, on_request follows. Leave
     * nothing behind: if the body never comes, nobody is told. */
    bool (*on_head)(void *user, tl_httpd_req *r);
    /* The request is complete: answer it, now or later. */
    void (*on_request)(void *user, tl_httpd_req *r);
    /* The server itself refuses: fill `out` with a body of `refusal_type`. Empty is allowed. */
    void (*on_refusal)(void *user, int status, const char *message, tl_buf *out);
    const char *refusal_type;
} tl_httpd_events;

TL_CHECK tl_err tl_httpd_new(tl_loop *loop, const tl_httpd_config *config,
                             const tl_httpd_events *events, void *user, tl_httpd **ret_httpd);
/* Cuts every connection; handlers that watch a request are told. */
void tl_httpd_free(tl_httpd *h);

/* `tag` comes back with every request that arrives there. *ret_addr has the real port. Errors as
 * tl_listen and tl_listen_unix; TL_ERR_BUSY: over TL_HTTPD_LISTENERS_MAX. */
TL_CHECK tl_err tl_httpd_listen(tl_httpd *h, const tl_addr *addr, int tag, tl_addr *ret_addr,
                                tl_why *why);
TL_CHECK tl_err tl_httpd_listen_unix(tl_httpd *h, const char *path, int tag, tl_why *why);

/* Listens no more, closes idle connections, lets what is being answered finish, then calls on_done
 * (never from inside this call). */
void tl_httpd_drain(tl_httpd *h, void (*on_done)(void *user), void *user);

typedef struct {
    uint64_t connections; /* open now */
    uint64_t accepted, requests;
    uint64_t malformed;  /* heads and bodies refused by the server itself */
    uint64_t timed_out;  /* in a head or a body */
    uint64_t gone;       /* clients that left before their answer was complete */
    uint64_t stalled;    /* cut for taking nothing */
    uint64_t overloaded; /* 503 for connections_max or bodies_max */
    uint64_t bytes_in, bytes_out;
} tl_httpd_stats;
tl_httpd_stats tl_httpd_stats_of(const tl_httpd *h);

/* --- a request: valid from on_head until its answer ends or its client is gone --- */
int tl_httpd_tag(const tl_httpd_req *r);
/* A number that the handler keeps with the request; 0 before it is set. */
void tl_httpd_set_note(tl_httpd_req *r, int note);
int tl_httpd_note(const tl_httpd_req *r);
/* Slices are valid as long as the request. */
const tl_http1_head *tl_httpd_head(const tl_httpd_req *r);
tl_slice tl_httpd_path(const tl_httpd_req *r);  /* the target up to '?', as it was sent */
tl_slice tl_httpd_query(const tl_httpd_req *r); /* behind '?' */
tl_slice tl_httpd_body(const tl_httpd_req *r);
/* The body's memory goes before the answer ends: for long answers to long questions. */
void tl_httpd_drop_body(tl_httpd_req *r);

typedef struct {
    /* The request is over without its answer being complete; `r` is invalid. */
    void (*on_gone)(void *user);
    /* After tl_httpd_write said false: less than half of TL_HTTPD_SEND_MAX is queued. */
    void (*on_drained)(void *user);
} tl_httpd_watch_events;
/* For an answer that comes later. Not told once the answer has ended. NULL: nobody is told. */
void tl_httpd_watch(tl_httpd_req *r, const tl_httpd_watch_events *events, void *user);

/* --- its answer: headers, then respond, or begin - write... - end. Never fails: when memory or the
 * connection gives out, the rest is dropped and on_gone follows, from the loop. --- */
/* A header of the answer to come. `value` is untrusted: bytes that a header cannot bear become '?'.
 */
void tl_httpd_header(tl_httpd_req *r, const char *name, const char *value);
/* After this answer the connection ends. */
void tl_httpd_close_after(tl_httpd_req *r);
/* The whole answer; ends it. `type` NULL: no Content-Type. To HEAD the body's length alone is told.
 */
void tl_httpd_respond(tl_httpd_req *r, int status, const char *type, tl_slice body);
/* The head of a streamed answer: chunked, or until the close in HTTP/1.0. Goes out together with
 * the first write, at the latest when the present turn of the loop ends. */
void tl_httpd_begin(tl_httpd_req *r, int status, const char *type);
/* Goes out at once. Copies what the kernel does not take. False: more than TL_HTTPD_SEND_MAX is
 * queued; write no more until on_drained. */
bool tl_httpd_write(tl_httpd_req *r, tl_slice bytes);
bool tl_httpd_has_begun(const tl_httpd_req *r);
/* The answer is complete. */
void tl_httpd_end(tl_httpd_req *r);
/* The answer breaks off: what is queued goes out, then the connection closes without the end mark,
 * so that the client cannot take it for whole. */
void tl_httpd_abort(tl_httpd_req *r);

#endif
