/* hub.h - connects the relay machine (relay/relay) with the sockets of one loop: hands the bytes
 * read to the machine, and writes the machine's answers, with one writev for each destination after
 * each read. Decides nothing. */
#ifndef TL_RELAYD_HUB_H
#define TL_RELAYD_HUB_H

#include "io/stream.h"
#include "relay/federation.h"
#include "relayd/options.h"
#include "relayd/outqueue.h"
#include "relayd/udp.h"
#include "relayd/view.h"
#include "wire/forwarded.h"

/* The most bytes of one read, and the longest frame that is read without a buffer of its own. It
 * fits the second-level cache, and gathers hundreds of small messages into one write. */
#define TL_RELAYD_READ_SIZE (256u << 10)
#define TL_RELAYD_IOV_MAX   1024 /* the kernel's limit */

typedef struct tl_relayd_hub tl_relayd_hub;
typedef struct tl_relayd_conn tl_relayd_conn;
typedef struct tl_relayd_door tl_relayd_door; /* relayd/behind.h */

/* Bytes for one destination, within one round. `next` links the pieces of the same destination. */
typedef struct {
    tl_slice bytes;
    tl_relay_chunk *shared;
    uint32_t next; /* index + 1; 0: the last */
} tl_relayd_piece;

struct tl_relayd_hub {
    tl_loop *loop;
    tl_relay *relay;
    tl_relayd_udp *udp; /* NULL: there is none */
    tl_timer timer;
    tl_timer trim;      /* then what was freed goes back to the kernel */
    unsigned untrimmed; /* connections that were accepted since */
    uint8_t *buffer;    /* bytes being read; no part of it is used after tl_relayd_hub_pump */
    char token[TL_RELAYD_TOKEN_MAX];
    tl_relayd_piece *pieces;
    size_t piece_count, piece_cap;
    tl_relayd_conn *conns, *dirty, *doomed;
    tl_relayd_conn *resumed; /* they are read again: what is kept of them comes first */
    tl_relayd_conn *reading; /* the connection whose bytes are in `buffer`; NULL when it has
                                ended */
    size_t conn_count;
    const tl_proxies *proxies; /* that are trusted; NULL: none */
    bool proxy_protocol;       /* what they send begins with a PROXY header */
    tl_time behind_told;       /* when the log told of a proxy that tells no address; 0: never */
    uint64_t given_up;         /* connections ended for memory, as the log last told */
    tl_time given_up_told;     /* when it told that */
    uint64_t refused;          /* registrations, as the log last told */
    tl_time refused_told;
    void (*on_fed)(void *user, tl_fed_output out); /* carries it, and takes over its chunk; NULL:
                                                      the relay stands alone */
    void *fed_user;
    /* Hands a datagram to another loop; NULL: there is one loop. */
    void (*pass)(void *fed_user, size_t loop, const tl_burst_way *way, tl_slice bytes);
    /* Asks all loops what operators see, and then calls tl_relayd_conn_answer; false: no memory. NULL as
     * above. */
    bool (*ask_all)(void *fed_user, tl_relayd_conn *c, tl_slice request, bool with_peers);
    void (*on_last_conn)(void *user); /* called when the last connection has ended; may be NULL */
    void *user;
    struct iovec iov[TL_RELAYD_IOV_MAX];
};

/*  DOOR --PROXY header--> HEAD: only of trusted proxies, where it is switched on
 *
 *  HEAD --101--> FRAMES --CLOSE--> ENDING
 *     \-----any other answer---------^
 *      \--> ASKING --all answered-----/
 *
 * ENDING: what is queued goes out, then a half-close; what comes in is thrown away. */
typedef enum {
    TL_RELAYD_DOOR,   /* waits for the PROXY header; there is no stream yet */
    TL_RELAYD_HEAD,   /* reads an HTTP request */
    TL_RELAYD_ASKING, /* the other loops are asked for its answer */
    TL_RELAYD_FRAMES, /* reads WebSocket frames */
    TL_RELAYD_ENDING,
} tl_relayd_phase;

/* An idle connection holds no buffers. */
struct tl_relayd_conn {
    tl_relayd_hub *hub;
    tl_stream *stream;    /* NULL: in DOOR */
    tl_relayd_door *door; /* in DOOR */
    tl_addr peer;         /* who spoke to us, or to the proxy that said so last */
    bool untold;          /* a trusted proxy passed it on, and has not told yet whose it is */
    tl_relay_conn *relay;
    tl_relayd_conn *prev, *next;
    tl_relayd_conn *next_dirty, *next_doomed, *next_resumed;
    tl_outqueue queue;
    tl_buf in;       /* the beginning of a head or frame; its rest has not come yet */
    size_t read_max; /* bytes of the next read: about a turn's frames, by those of the last one */
    size_t need;     /* FRAMES: how long the frame in `in` is, as far as known */
    size_t scanned;  /* HEAD: how many bytes of the head were looked at */
    size_t tls_held; /* what its stream held when that was looked at last */
    size_t own;      /* bytes at the front of the queue that are HTTP and not the machine's */
    uint32_t piece_first, piece_last; /* index + 1; 0: none */
    tl_relayd_conn **ask; /* ASKING: who answers it knows it by this; set to NULL when it ends */
    tl_relayd_phase phase;
    bool is_ws; /* in ENDING: it came from FRAMES, not from HEAD */
    bool is_dirty, is_doomed, is_resumed;
    bool blocked; /* the socket takes no more; on_writable will come */
    bool paused;  /* the machine wants nothing of it now */
    bool shut;    /* half-closed */
    bool read_ended;
};

/* Borrows `loop` and `relay`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_hub_init(tl_relayd_hub *hub, tl_loop *loop, tl_relay *relay);
/* Ends every connection. */
void tl_relayd_hub_clear(tl_relayd_hub *hub);
/* Takes over `fd`; `tls` may be NULL. */
void tl_relayd_hub_accept(tl_relayd_hub *hub, int fd, const tl_addr *remote, tl_tls *tls);
/* To call after each input to the machine: carries out its answers. */
void tl_relayd_hub_pump(tl_relayd_hub *hub);

/* Adds what this loop has. */
void tl_relayd_hub_see(const tl_relayd_hub *hub, tl_relayd_view *v);
/* ask_all took the question; *asker is set to NULL when the connection ends before the answer. */
void tl_relayd_conn_asks(tl_relayd_conn *c, tl_relayd_conn **asker);
/* The answer that ask_all was asked for. */
void tl_relayd_conn_answer(tl_relayd_conn *c, tl_slice request, const tl_relayd_view *view);

/* --- between hub.c and conn.c --- */
/* NULL if the machine refuses or memory runs out; `fd` is closed then. */
tl_relayd_conn *tl_relayd_conn_new(tl_relayd_hub *hub, int fd, const tl_addr *remote, tl_tls *tls);
/* Makes its stream, which takes over `fd`, and goes on to HEAD. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_conn_begin(tl_relayd_conn *c, int fd, tl_tls *tls);
/* Tells the machine, closes the connection and frees it. */
void tl_relayd_conn_end(tl_relayd_conn *c);
/* The next pump flushes a marked connection, and ends a doomed one. */
void tl_relayd_conn_mark(tl_relayd_conn *c);
void tl_relayd_conn_doom(tl_relayd_conn *c);
/* It is read again; the next pump hands what is kept of it to the machine first. */
void tl_relayd_conn_resume(tl_relayd_conn *c);
void tl_relayd_conn_take_kept(tl_relayd_conn *c);
void tl_relayd_conn_on_writable(void *user);
/* Tells the machine what the connection holds: after reading and after writing. */
void tl_relayd_conn_count_held(tl_relayd_conn *c);

#endif
