/* lantcp_state.h - what the sources of net/lantcp share (lantcp.c who is let in, lanpipe.c one pipe). Not for other
 * modules. */
#ifndef TL_NET_LANTCP_STATE_H
#define TL_NET_LANTCP_STATE_H

#include "base/origin.h"
#include "base/ratelimit.h"
#include "base/table.h"
#include "io/dial.h"
#include "io/sendqueue.h"
#include "io/stream.h"
#include "net/lantcp.h"
#include "wire/rfc4571.h"

#define TL_LANTCP_SCRATCH 65536 /* what one read takes; shared by all pipes */

/* Whose places a pipe takes (net/lantcp.h). Compared as bytes. */
typedef struct {
    uint8_t bytes[sizeof(tl_origin) + sizeof(uint32_t)];
} tl_lan_origin;

typedef struct tl_lan_pipe tl_lan_pipe;

struct tl_lan_pipe {
    tl_lantcp *lan;
    tl_sock sock;
    tl_addr remote, local;
    tl_lan_origin origin; /* of one that was accepted */
    tl_node_id node;      /* whom we dialled, or who it has proven to be */
    bool dialled, open, proven, wants_write;
    /* It may make room, also if it is proven; as it was when all places were taken last. */
    bool strange;
    bool over; /* its node has too many; it is closed in the next turn of the loop */
    tl_dial *dial;
    tl_stream *stream;
    tl_sendqueue out;
    tl_time made, heard;
    tl_time part_since; /* when the unfinished frame began; 0: there is none */
    size_t part_n;
    uint8_t part[TL_RFC4571_HEAD + TL_RFC4571_FRAME_MAX];
    uint64_t bytes; /* that came */
    unsigned unknown;
    tl_lan_pipe *prev, *next; /* the oldest first */
    UT_hash_handle hh;
};

struct tl_lantcp {
    tl_loop *loop;
    tl_lantcp_events events;
    void *user;
    tl_listener *listener[2];
    uint16_t port;
    tl_lan_pipe *pipes, *by_sock;
    tl_sock next_sock;
    tl_origin_budgets accepts, fresh;
    tl_ratelimit accepts_sum, fresh_sum, expected_sum;
    tl_timer look;
    /* The pipe whose bytes are being handed out; NULL: it was closed meanwhile. */
    tl_lan_pipe *reading;
    tl_lantcp_counters counters;
    uint8_t scratch[TL_LANTCP_SCRATCH];
};

/* --- lanpipe.c --- */
/* NULL: there is none. */
tl_lan_pipe *tl_lan_pipe_find(const tl_lantcp *l, tl_sock sock);
void tl_lan_pipe_free(tl_lan_pipe *p);
/* Frees it, counts why, and tells. */
void tl_lan_pipe_end(tl_lan_pipe *p, tl_lantcp_end why);
/* Did we dial it, or has its far end proven its key? */
bool tl_lan_pipe_is_known(const tl_lan_pipe *p);
/* Takes over the connected `fd`, also when it fails. */
TL_CHECK tl_err tl_lan_pipe_take_over(tl_lan_pipe *p, int fd);

#endif
