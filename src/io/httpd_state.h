/* httpd_state.h - what the three sources of the HTTP server share: the server's and a connection's
 * memory. No other module may include it.
 *
 *   httpd.c           listeners, limits, draining, counters
 *   httpd_conn.c      a connection's life: reading, timers, who is gone
 *   httpd_response.c  answers and the queue towards the client */
#ifndef TL_IO_HTTPD_STATE_H
#define TL_IO_HTTPD_STATE_H

#include "io/httpd.h"
#include "io/stream.h"
#include "wire/chunked.h"

/*   IDLE --> HEAD --> BODY --> BUSY --> FLUSH --> IDLE        keep-alive
 *              \--------\---------------> FLUSH --> LINGER    the answer ends the connection
 *   any --> gone (freed)                                                                       */
typedef enum {
    TL_HTTPD_IDLE,   /* between requests; no byte of the next one is here */
    TL_HTTPD_HEAD,   /* inside a head */
    TL_HTTPD_BODY,   /* inside a body */
    TL_HTTPD_BUSY,   /* the handler has the request */
    TL_HTTPD_FLUSH,  /* the answer is complete, but bytes of it are still queued */
    TL_HTTPD_LINGER, /* our sending side is closed; bytes that still come are thrown away, so that
                        no reset overtakes the answer (RFC 9112 9.6) */
} tl_httpd_state;

typedef struct {
    tl_httpd *h;
    tl_listener *listener;
    int tag;
    bool tcp;
} tl_httpd_door;

struct tl_httpd_req {
    tl_httpd *h;
    tl_httpd_req *next, *prev;
    tl_stream *stream;
    tl_timer timer;
    tl_defer defer; /* work that must wait for the end of a callback: `broken`, a head to flush */
    tl_httpd_state state;
    tl_time since; /* in IDLE: when IDLE began; with bytes queued: when bytes last went out */
    int tag;
    bool tcp;     /* came by TCP; else by the Unix socket */
    bool dead;    /* closed; stays in `h->dead` until the turn ends, because callers may still
                     look */
    bool broken;  /* the stream failed or memory ran out: `defer` tells the handler */
    bool blocked; /* the kernel takes no more: waits for on_writable */
    bool reading;
    bool close_after;
    bool peer_ended; /* the client will send nothing more */

    tl_buf in;      /* bytes read and not yet parsed */
    size_t scanned; /* bytes of `in` in which no end of a head was found */

    /* the request */
    tl_buf head_bytes; /* the bytes from which `head` borrows */
    tl_http1_head *head;
    tl_chunked chunks;
    int note;                     /* the handler's number */
    char name[TL_HTTPD_NAME_MAX]; /* and name */
    tl_buf body;
    size_t body_counted; /* its part of the server's bodies_n */
    size_t body_came;    /* bytes of it since its time limit began anew */

    /* its answer */
    const tl_httpd_watch_events *watch;
    void *watch_user;
    tl_buf headers; /* header lines that the handler asked for */
    bool is_head_method, begun, ended, chunked, no_body, over;
    tl_buf out; /* queued for the client */
};

struct tl_httpd {
    tl_loop *loop;
    tl_httpd_config config;
    const tl_httpd_events *events;
    void *user;
    size_t door_n;
    tl_httpd_door doors[TL_HTTPD_LISTENERS_MAX];
    tl_httpd_req *first; /* list of all connections */
    tl_httpd_req *dead;  /* list of those that `bury` frees when the turn ends */
    tl_defer bury;
    size_t taken[2]; /* connections by the Unix sockets, and by TCP */
    size_t bodies_n; /* bytes in the bodies of all connections */
    tl_httpd_stats stats;
    bool draining, freed;
    void (*on_drain_done)(void *user);
    void *drain_user;
    tl_defer drain_defer;
    tl_unix date_at; /* the second that `date` shows */
    char date[32];
    uint8_t *scratch; /* buffer for reads; TL_HTTPD_READ_SIZE bytes */
};

#define TL_HTTPD_READ_SIZE    (64u << 10) /* one read: as much as loopback delivers at once */
/* Bytes read ahead while a request runs. Few are needed: clients do not pipeline behind a POST (RFC
 * 9112 9.3.2). */
#define TL_HTTPD_PIPELINE_MAX (64u << 10)
#define TL_HTTPD_LINGER_NS    (2 * TL_SEC) /* a client on the same machine reads within this */

/* httpd.c */
/* Takes the connection out of the list, and frees its memory when this turn of the loop ends. */
void tl_httpd_conn_unlink(tl_httpd_req *r);
const char *tl_httpd_date(tl_httpd *h);

/* httpd_conn.c */
/* Takes `fd` over, also when the call fails. */
TL_CHECK tl_err tl_httpd_conn_new(tl_httpd_door *door, int fd);
/* Ends the connection now; a handler that watches is told. */
void tl_httpd_conn_gone(tl_httpd_req *r);
void tl_httpd_conn_free(tl_httpd_req *r);
/* Asks for a look at the connection at the end of this turn: it is broken, has a head to send, or
 * has bytes to go on with. */
void tl_httpd_conn_later(tl_httpd_req *r);
/* Sets the timer that fits the state and the queue. */
void tl_httpd_conn_arm(tl_httpd_req *r);
/* The server itself refuses: answers `status` and ends the connection after the answer. */
void tl_httpd_conn_refuse(tl_httpd_req *r, int status, const char *message);

/* httpd_response.c */
/* The answer is complete and the queue is empty: goes on to the next request, or ends the
 * connection. */
void tl_httpd_flushed(tl_httpd_req *r);
/* Sends as much of the queue as the kernel takes. */
void tl_httpd_flush(tl_httpd_req *r);
/* Sends, and queues the rest. Drops everything when the stream is broken. */
void tl_httpd_send(tl_httpd_req *r, const struct iovec *iov, int n);
/* Marks the stream as broken; the handler is told from the loop. */
void tl_httpd_break(tl_httpd_req *r);

#endif
