/* hub.h - between the relay machine and the sockets of one loop: hands bytes read to the machine,
 * and writes what it answers, one writev a destination and read. Decides nothing. */
#ifndef TL_RELAYD_HUB_H
#define TL_RELAYD_HUB_H

#include "io/stream.h"
#include "relay/stunserver.h"
#include "relayd/options.h"
#include "relayd/outqueue.h"

/* What one read takes at most, and the longest frame that is read without a buffer of its own: fits
 * the second-level cache, and gathers hundreds of small messages into one write. */
#define TL_RELAYD_READ_SIZE (256u << 10)
/* Beginnings of frames longer than that, of all connections together: whoever would exceed it is
 * ended. 64 nodes may be half-way through the largest message at once. */
#define TL_RELAYD_HELD_MAX  (256u << 20)
#define TL_RELAYD_IOV_MAX   1024 /* the kernel's limit */

typedef struct tl_relayd_hub tl_relayd_hub;
typedef struct tl_relayd_conn tl_relayd_conn;

/* Bytes on their way to a destination within one round; `next` strings one destination's
 * together. */
typedef struct {
    tl_slice bytes;
    tl_relay_chunk *shared;
    uint32_t next; /* index + 1; 0: the last */
} tl_relayd_piece;

struct tl_relayd_hub {
    tl_loop *loop;
    tl_relay *relay;
    const tl_stunserver *stun; /* for /metrics; NULL: there is none */
    tl_timer timer;
    uint8_t *buffer; /* what is being read; nothing of it outlives tl_relayd_hub_pump */
    char token[TL_RELAYD_TOKEN_MAX];
    tl_relayd_piece *pieces;
    size_t piece_count, piece_cap;
    tl_relayd_conn *conns, *dirty, *doomed;
    tl_relayd_conn *reading; /* whose bytes are in `buffer`; NULL once it ended */
    size_t conn_count;
    size_t held;                      /* bytes of memory in the connections' `in` */
    tl_time held_told;                /* when the log last said that it was too much */
    void (*on_last_conn)(void *user); /* told when the last connection ended; may be NULL */
    void *user;
    struct iovec iov[TL_RELAYD_IOV_MAX];
};

/*  HEAD --101--> FRAMES --CLOSE--> ENDING
 *     \-----any other answer---------^
 *
 * ENDING: what is queued goes out, then a half-close; what comes in is thrown away. */
typedef enum {
    TL_RELAYD_HEAD,   /* an HTTP request comes in */
    TL_RELAYD_FRAMES, /* WebSocket */
    TL_RELAYD_ENDING,
} tl_relayd_phase;

/* An idle one holds no buffers. */
struct tl_relayd_conn {
    tl_relayd_hub *hub;
    tl_stream *stream;
    tl_relay_conn *relay;
    tl_relayd_conn *prev, *next;
    tl_relayd_conn *next_dirty, *next_doomed;
    tl_outqueue queue;
    tl_buf in;      /* the beginning of a head or frame whose rest has not come */
    size_t held;    /* its part of the hub's */
    size_t need;    /* FRAMES: how long that frame is, as far as known */
    size_t scanned; /* HEAD: how much of it was looked at */
    size_t own;     /* bytes at the queue's front that are HTTP, not the machine's */
    uint32_t piece_first, piece_last; /* index + 1; 0: none */
    tl_relayd_phase phase;
    bool is_ws; /* ENDING: after FRAMES, not after HEAD */
    bool is_dirty, is_doomed;
    bool blocked; /* the socket took no more; on_writable will come */
    bool shut;    /* half-closed */
    bool read_ended;
};

/* Borrows `loop` and `relay`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_hub_init(tl_relayd_hub *hub, tl_loop *loop, tl_relay *relay);
/* Ends every connection. */
void tl_relayd_hub_clear(tl_relayd_hub *hub);
/* Takes `fd`; `tls` may be NULL. */
void tl_relayd_hub_accept(tl_relayd_hub *hub, int fd, const tl_addr *remote, tl_tls *tls);
/* After each input to the machine: carries out what it answers. */
void tl_relayd_hub_pump(tl_relayd_hub *hub);

/* --- between hub.c and conn.c --- */
/* NULL when the machine or memory refuses; `fd` is closed then. */
tl_relayd_conn *tl_relayd_conn_new(tl_relayd_hub *hub, int fd, const tl_addr *remote, tl_tls *tls);
/* Tells the machine, closes, frees. */
void tl_relayd_conn_end(tl_relayd_conn *c);
/* To be flushed, or ended, by the next pump. */
void tl_relayd_conn_mark(tl_relayd_conn *c);
void tl_relayd_conn_doom(tl_relayd_conn *c);
void tl_relayd_conn_on_writable(void *user);

#endif
