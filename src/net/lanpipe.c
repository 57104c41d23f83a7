/* One pipe: frames in and out, and its end. */
#include "base/log.h"
#include "net/lantcp_state.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <utlist.h>

#define READS_MAX   4 /* in one turn of the loop; then the others get their turn */
/* What the kernel holds and has not sent: the rest waits here, where QUIC is told of it. */
#define NOTSENT_MAX (64 * 1024)
#define DEAD_MS     5000 /* the kernel gives up a connection whose bytes nobody confirms */

const char *tl_lantcp_end_name(tl_lantcp_end e)
{
    static const char *const names[TL_LANTCP_ENDS] = {
        [TL_LANTCP_ENDED] = "ended",     [TL_LANTCP_BROKEN] = "broken",
        [TL_LANTCP_FOREIGN] = "foreign", [TL_LANTCP_CROWDED] = "crowded",
        [TL_LANTCP_UNKNOWN] = "unknown", [TL_LANTCP_SLOW] = "slow",
        [TL_LANTCP_SILENT] = "silent",   [TL_LANTCP_MALFORMED] = "malformed",
    };
    return names[e];
}

tl_lan_pipe *tl_lan_pipe_find(const tl_lantcp *l, tl_sock sock)
{
    tl_lan_pipe *p;
    HASH_FIND(hh, l->by_sock, &sock, sizeof sock, p);
    return p;
}

/* --- ending --- */

void tl_lan_pipe_free(tl_lan_pipe *p)
{
    tl_lantcp *l = p->lan;
    if (l->reading == p)
        l->reading = NULL;
    HASH_DELETE(hh, l->by_sock, p);
    DL_DELETE(l->pipes, p);
    tl_dial_free(p->dial);
    tl_stream_free(p->stream);
    tl_sendqueue_clear(&p->out);
    free(p);
}

void tl_lan_pipe_end(tl_lan_pipe *p, tl_lantcp_end why)
{
    tl_lantcp *l = p->lan;
    tl_sock sock = p->sock;
    char at[TL_ADDR_TEXT_MAX];
    tl_addr_write(at, &p->remote);
    tl_log(TL_LOG_DEBUG, "lan: the TCP connection %s %s is closed: %s", p->dialled ? "to" : "from",
           at, tl_lantcp_end_name(why));
    l->counters.ends[why]++;
    tl_lan_pipe_free(p);
    l->events.on_closed(l->user, sock);
}

/* --- what came --- */

bool tl_lan_pipe_is_known(const tl_lan_pipe *p)
{
    return p->proven || p->dialled;
}

/* Hands out the frames of `n` bytes of the scratch, and keeps what is left of them. False: the pipe is closed. */
static bool hand_out(tl_lan_pipe *p, size_t n)
{
    tl_lantcp *l = p->lan;
    size_t at = 0, len;
    uint8_t *frame;
    tl_err e;
    l->reading = p;
    while (!(e = tl_rfc4571_next(l->scratch, n, &at, &frame, &len))) {
        l->counters.frames_in++;
        p->heard = tl_loop_now(l->loop);
        if (!l->events.on_datagram(l->user, p->sock, &p->remote, frame, len)) {
            l->counters.unknown++;
            if (l->reading && ++p->unknown >= TL_LANTCP_GARBAGE)
                e = TL_ERR_PROTO;
        }
        if (!l->reading)
            return false;
        if (e)
            break;
    }
    l->reading = NULL;
    if (e != TL_ERR_SHORT) {
        tl_lan_pipe_end(p, TL_LANTCP_MALFORMED);
        return false;
    }
    if (n == at)
        p->part_since = 0;
    else if (at || !p->part_since)
        p->part_since = tl_loop_now(l->loop);
    p->part_n = n - at;
    memcpy(p->part, l->scratch + at, p->part_n);
    return true;
}

/* False: the pipe is closed, or nothing is left to read. */
static bool read_some(tl_lan_pipe *p)
{
    tl_lantcp *l = p->lan;
    size_t n;
    memcpy(l->scratch, p->part, p->part_n);
    tl_err e = tl_stream_read(p->stream, l->scratch + p->part_n, TL_LANTCP_SCRATCH - p->part_n, &n);
    if (e == TL_ERR_AGAIN)
        return false;
    if (e) {
        tl_lan_pipe_end(p, e == TL_ERR_CLOSED ? TL_LANTCP_ENDED : TL_LANTCP_BROKEN);
        return false;
    }
    l->counters.bytes_in += n;
    p->bytes += n;
    if (!tl_lan_pipe_is_known(p) && p->bytes > TL_LANTCP_UNPROVEN_BYTES) {
        tl_lan_pipe_end(p, TL_LANTCP_UNKNOWN);
        return false;
    }
    return hand_out(p, p->part_n + n);
}

static void on_readable(void *user)
{
    tl_lan_pipe *p = user;
    for (int i = 0; i < READS_MAX && read_some(p); i++)
        ;
}

/* --- what goes out --- */

/* False: the pipe is closed. */
static bool flush(tl_lan_pipe *p)
{
    struct iovec iov[TL_SENDQUEUE_IOV];
    while (p->out.bytes) {
        size_t n;
        int count = tl_sendqueue_peek(&p->out, iov);
        tl_err e = tl_stream_writev(p->stream, iov, count, &n);
        if (e == TL_ERR_AGAIN)
            break;
        if (e) {
            tl_lan_pipe_end(p, TL_LANTCP_BROKEN);
            return false;
        }
        p->lan->counters.bytes_out += n;
        tl_sendqueue_consume(&p->out, n);
    }
    bool waits = p->out.bytes > 0;
    if (waits != p->wants_write)
        tl_stream_want_write(p->stream, waits);
    p->wants_write = waits;
    return true;
}

static void on_writable(void *user)
{
    tl_lan_pipe *p = user;
    tl_lantcp *l = p->lan;
    bool full = p->out.bytes >= TL_LANTCP_FULL;
    if (flush(p) && full && p->out.bytes < TL_LANTCP_FULL)
        l->events.on_writable(l->user);
}

static tl_err put(tl_lan_pipe *p, const uint8_t *data, size_t n)
{
    uint8_t *room;
    if (n == 0 || n > TL_RFC4571_FRAME_MAX)
        return TL_ERR_TOO_LARGE;
    if (p->out.bytes + n > TL_LANTCP_OUT_MAX ||
        tl_sendqueue_reserve(&p->out, TL_RFC4571_HEAD + n, &room))
        return TL_ERR_AGAIN;
    tl_rfc4571_head_write(room, n);
    memcpy(room + TL_RFC4571_HEAD, data, n);
    tl_sendqueue_commit(&p->out, TL_RFC4571_HEAD + n);
    p->lan->counters.frames_out++;
    return TL_OK;
}

/* A write that fails is found out by the next event of the stream: nobody's call ends a pipe under him. */
static void push(tl_lan_pipe *p)
{
    struct iovec iov[TL_SENDQUEUE_IOV];
    size_t n;
    if (p->wants_write || !p->out.bytes)
        return;
    int count = tl_sendqueue_peek(&p->out, iov);
    if (!tl_stream_writev(p->stream, iov, count, &n)) {
        p->lan->counters.bytes_out += n;
        tl_sendqueue_consume(&p->out, n);
    }
    if (p->out.bytes) {
        tl_stream_want_write(p->stream, true);
        p->wants_write = true;
    }
}

tl_err tl_lantcp_send(tl_lantcp *l, tl_sock sock, const uint8_t *data, size_t n, size_t segment)
{
    tl_lan_pipe *p = tl_lan_pipe_find(l, sock);
    tl_err e = TL_OK;
    if (!p || !p->open)
        return TL_ERR_NOT_FOUND;
    for (size_t at = 0; at < n; at += segment) {
        tl_err one = put(p, data + at, n - at < segment ? n - at : segment);
        l->counters.dropped += one != TL_OK;
        e = e ? e : one;
    }
    push(p);
    return e;
}

bool tl_lantcp_is_full(const tl_lantcp *l, tl_sock sock)
{
    const tl_lan_pipe *p = tl_lan_pipe_find(l, sock);
    return p && p->out.bytes >= TL_LANTCP_FULL;
}

/* --- beginning --- */

static void on_open(void *user)
{
    tl_lan_pipe *p = user;
    tl_lantcp *l = p->lan;
    if (p->open)
        return;
    p->open = true;
    p->made = p->heard = tl_loop_now(l->loop);
    p->local = tl_addr_normal(tl_stream_local(p->stream));
    if (p->dialled)
        l->events.on_open(l->user, p->sock, &p->node, &p->remote);
}

static void on_error(void *user, tl_err e, const char *why)
{
    (void)e, (void)why;
    tl_lan_pipe_end(user, TL_LANTCP_BROKEN);
}

static void set_options(int fd)
{
    int on = 1, notsent = NOTSENT_MAX;
    unsigned dead = DEAD_MS;
    /* Where the kernel has no such option, it only takes longer to notice. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent, sizeof notsent);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead, sizeof dead);
}

tl_err tl_lan_pipe_take_over(tl_lan_pipe *p, int fd)
{
    static const tl_stream_events events = {on_open, on_readable, on_writable, on_error};
    set_options(fd);
    return tl_stream_accepted(p->lan->loop, fd, NULL, &events, p, &p->stream);
}
