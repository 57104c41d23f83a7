#include "relayd/behind.h"
#include "relayd/http.h"
#include "relayd/hub.h"
#include "relayd/quote.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_ROUNDS_MAX 4 /* reads of one connection before the others get their turn */
/* Frames of one connection before the others get their turn. A read takes about so many: how long the
 * frames will be is guessed by those of the read before it. The least holds some 700 of the shortest
 * frames, and a connection begins with it. */
#define TURN_FRAMES     1000
#define READ_MIN        (4u << 10)
/* Bytes that the kernel holds and has not sent. They have their order, and the relay can choose no
 * more what goes first (relay/lines.h). What is under way does not count, so this is enough for any
 * speed. */
#define UNSENT_MAX      (128 << 10)

void tl_relayd_conn_mark(tl_relayd_conn *c)
{
    if (c->is_dirty)
        return;
    c->is_dirty = true;
    c->next_dirty = c->hub->dirty;
    c->hub->dirty = c;
}

void tl_relayd_conn_doom(tl_relayd_conn *c)
{
    if (c->is_doomed)
        return;
    c->is_doomed = true;
    c->next_doomed = c->hub->doomed;
    c->hub->doomed = c;
}

void tl_relayd_conn_resume(tl_relayd_conn *c)
{
    if (c->is_resumed)
        return;
    c->is_resumed = true;
    c->next_resumed = c->hub->resumed;
    c->hub->resumed = c;
}

static void forget_resumed(tl_relayd_conn *c)
{
    tl_relayd_conn **at = &c->hub->resumed;
    while (c->is_resumed && *at != c)
        at = &(*at)->next_resumed;
    if (c->is_resumed)
        *at = c->next_resumed;
}

void tl_relayd_conn_end(tl_relayd_conn *c)
{
    forget_resumed(c);
    tl_relayd_hub *hub = c->hub;
    tl_relay_on_gone(hub->relay, c->relay, tl_loop_now(hub->loop));
    tl_stream_free(c->stream);
    tl_relayd_door_free(c->door);
    tl_outqueue_clear(&c->queue);
    tl_buf_clear(&c->in);
    if (c->prev)
        c->prev->next = c->next;
    else
        hub->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    if (hub->reading == c)
        hub->reading = NULL;
    if (c->ask)
        *c->ask = NULL;
    hub->conn_count--;
    free(c);
}

/* --- what comes in --- */

void tl_relayd_hub_see(const tl_relayd_hub *hub, tl_relayd_view *v)
{
    tl_relayd_view_add(v, hub->relay, hub->udp ? tl_relayd_udp_stun(hub->udp) : NULL,
                       tl_loop_now(hub->loop));
}

/* Queues an HTTP response. False: there is no memory for it. */
static bool answer(tl_relayd_conn *c, const tl_http1_head *head, const tl_relayd_view *view,
                   int refusal)
{
    tl_relayd_hub *hub = c->hub;
    tl_buf out = {0};
    bool upgraded = false;
    tl_time now = tl_loop_now(hub->loop);
    tl_err e = refusal ? tl_relayd_http_refuse(refusal, &out)
                       : tl_relayd_http_answer(head, view, hub->token, &out, &upgraded);
    if (!e)
        e = tl_outqueue_add(&c->queue, tl_buf_slice(&out));
    c->own += out.len;
    tl_buf_clear(&out);
    if (e)
        return false;
    c->phase = upgraded ? TL_RELAYD_FRAMES : TL_RELAYD_ENDING;
    c->is_ws = upgraded;
    tl_relayd_conn_mark(c);
    if (upgraded)
        tl_relay_on_upgraded(hub->relay, c->relay, now);
    return true;
}

/* Reads an HTTP head. Returns how many of the bytes were used. */
static size_t take_head(tl_relayd_conn *c, const uint8_t *bytes, size_t n)
{
    tl_http1_head head;
    int refusal = 0;
    tl_err e = tl_http1_request_parse(tl_slice_of(bytes, n), &c->scanned, &head, &refusal);
    if (e == TL_ERR_SHORT)
        return 0;
    if (e)
        tl_relayd_behind_refused(c, tl_slice_of(bytes, n));
    else
        refusal = tl_relayd_behind_request(c, &head);
    tl_relayd_http_needs needs = refusal ? TL_RELAYD_NEEDS_ONE : tl_relayd_http_look(&head);
    if (needs != TL_RELAYD_NEEDS_ONE && c->hub->ask_all) {
        c->phase = TL_RELAYD_ASKING;
        if (!c->hub->ask_all(c->hub->fed_user, c, tl_slice_of(bytes, head.head_n),
                             needs == TL_RELAYD_NEEDS_PEERS))
            tl_relayd_conn_doom(c);
        return n;
    }
    tl_relayd_view view = {.leaving = tl_relay_is_leaving(c->hub->relay),
                           .wants_peers = needs == TL_RELAYD_NEEDS_PEERS};
    if (needs != TL_RELAYD_NEEDS_ONE)
        tl_relayd_hub_see(c->hub, &view);
    if (!answer(c, &head, &view, refusal))
        tl_relayd_conn_doom(c);
    tl_relayd_view_clear(&view);
    return e ? n : head.head_n;
}

void tl_relayd_conn_asks(tl_relayd_conn *c, tl_relayd_conn **asker)
{
    c->ask = asker;
}

void tl_relayd_conn_answer(tl_relayd_conn *c, tl_slice request, const tl_relayd_view *view)
{
    tl_http1_head head;
    size_t scanned = 0;
    int refusal = 0;
    c->ask = NULL;
    if (tl_http1_request_parse(request, &scanned, &head, &refusal) ||
        !answer(c, &head, view, refusal))
        tl_relayd_conn_doom(c);
    tl_relayd_hub_pump(c->hub);
}

static size_t take(tl_relayd_conn *c, uint8_t *bytes, size_t n)
{
    size_t used = 0;
    c->need = 0;
    if (c->phase == TL_RELAYD_HEAD)
        used = take_head(c, bytes, n);
    if (c->phase == TL_RELAYD_ASKING || (c->phase == TL_RELAYD_ENDING && !c->is_ws))
        return n;
    if (c->phase != TL_RELAYD_HEAD && used < n) {
        size_t of_frames = 0;
        tl_relay_on_bytes(c->hub->relay, c->relay, bytes + used, n - used,
                          tl_loop_now(c->hub->loop), &of_frames, &c->need);
        used += of_frames;
    }
    return used;
}

/* To call after each change of `in`. */
static void count_held(tl_relayd_conn *c)
{
    tl_relay_on_held(c->hub->relay, c->relay, c->in.cap + c->tls_held, tl_loop_now(c->hub->loop));
}

void tl_relayd_conn_count_held(tl_relayd_conn *c)
{
    c->tls_held = tl_stream_held(c->stream);
    count_held(c);
}

/* Keeps the bytes that `take` left until the rest of their head or frame comes. */
static tl_err keep(tl_relayd_conn *c, const uint8_t *rest, size_t n)
{
    tl_err e = n ? tl_buf_append(&c->in, tl_slice_of(rest, n)) : TL_OK;
    count_held(c);
    return e;
}

static uint64_t frames_so_far(const tl_relayd_conn *c)
{
    return tl_relay_counters_of(c->hub->relay)->frames_in;
}

/* `n` bytes held so many frames. What it may read grows only twofold at a time, so long frames gain
 * no room for a flood of short ones. */
static void size_next_read(tl_relayd_conn *c, size_t n, uint64_t frames)
{
    uint64_t fit = frames ? (uint64_t)n * TURN_FRAMES / frames : TL_RELAYD_READ_SIZE;
    if (fit > 2 * c->read_max)
        fit = 2 * c->read_max;
    if (fit > TL_RELAYD_READ_SIZE)
        fit = TL_RELAYD_READ_SIZE;
    c->read_max = fit < READ_MIN ? READ_MIN : (size_t)fit;
}

/* Reads into the hub's buffer, behind the bytes that were kept. */
static tl_err read_shared(tl_relayd_conn *c, bool *ret_more)
{
    tl_relayd_hub *hub = c->hub;
    size_t kept = c->in.len, n;
    size_t room = TL_RELAYD_READ_SIZE - kept, want = room < c->read_max ? room : c->read_max;
    tl_err e = tl_stream_read(c->stream, hub->buffer + kept, want, &n);
    if (e)
        return e;
    *ret_more = n == want;
    if (kept)
        memcpy(hub->buffer, tl_buf_begin(&c->in), kept);
    tl_buf_clear(&c->in);
    n += kept;
    uint64_t frames = frames_so_far(c);
    size_t used = take(c, hub->buffer, n);
    size_next_read(c, n, frames_so_far(c) - frames);
    e = keep(c, hub->buffer + used, n - used);
    tl_relayd_hub_pump(hub);
    return e;
}

/* A frame longer than the hub's buffer gets a buffer of its own. That buffer grows only as the
 * bytes come, so it costs us nothing when a peer announces a long frame. */
static tl_err read_own(tl_relayd_conn *c, bool *ret_more)
{
    tl_relayd_hub *hub = c->hub;
    size_t want = c->need - c->in.len, n;
    if (want > TL_RELAYD_READ_SIZE)
        want = TL_RELAYD_READ_SIZE;
    uint8_t *room;
    tl_err e = tl_buf_reserve(&c->in, want, &room);
    if (!e)
        e = tl_stream_read(c->stream, room, want, &n);
    count_held(c);
    if (e == TL_ERR_AGAIN)
        tl_relayd_hub_pump(hub); /* the buffer grew: somebody may have to go */
    if (e)
        return e;
    *ret_more = n == want;
    tl_buf_added(&c->in, n);
    size_t used = take(c, tl_buf_begin(&c->in), c->in.len);
    tl_buf_consume(&c->in, used); /* its memory stays: what was taken may wait to be written */
    tl_relayd_hub_pump(hub);
    if (hub->reading != c)
        return TL_OK;
    if (c->in.len == 0)
        tl_buf_clear(&c->in);
    count_held(c);
    return TL_OK;
}

/* The machine stopped before the end of what it was offered, and takes more now. */
void tl_relayd_conn_take_kept(tl_relayd_conn *c)
{
    tl_relayd_hub *hub = c->hub;
    size_t n = c->in.len;
    if (!n || c->phase != TL_RELAYD_FRAMES)
        return;
    if (n > TL_RELAYD_READ_SIZE) {
        tl_buf_consume(&c->in, take(c, tl_buf_begin(&c->in), n));
        count_held(c);
        return;
    }
    memcpy(hub->buffer, tl_buf_begin(&c->in), n);
    tl_buf_clear(&c->in);
    size_t used = take(c, hub->buffer, n);
    if (keep(c, hub->buffer + used, n - used))
        tl_relayd_conn_doom(c);
}

static void on_ended(tl_relayd_conn *c)
{
    c->read_ended = true;
    if (c->phase == TL_RELAYD_ASKING)
        tl_stream_want_read(c->stream, false); /* it still gets its answer */
    else if (c->phase != TL_RELAYD_ENDING || !c->blocked)
        tl_relayd_conn_doom(c); /* otherwise the queue is sent first */
    tl_relayd_hub_pump(c->hub);
}

static void on_readable(void *user)
{
    tl_relayd_conn *c = user;
    tl_relayd_hub *hub = c->hub;
    hub->reading = c;
    bool more = true;
    uint64_t end = frames_so_far(c) + TURN_FRAMES;
    for (int round = 0; more && round < READ_ROUNDS_MAX && hub->reading == c; round++) {
        if (frames_so_far(c) >= end || c->paused)
            break;
        bool own = c->need > TL_RELAYD_READ_SIZE;
        tl_err e = own ? read_own(c, &more) : read_shared(c, &more);
        if (e && e != TL_ERR_AGAIN && hub->reading == c)
            on_ended(c);
        if (e)
            break;
    }
    if (hub->reading == c && c->tls_held != tl_stream_held(c->stream)) {
        tl_relayd_conn_count_held(c);
        tl_relayd_hub_pump(hub); /* it may be too much */
    }
    hub->reading = NULL;
}

static void on_error(void *user, tl_err e, const char *why)
{
    tl_relayd_conn *c = user;
    if (tl_log_wants(TL_LOG_DEBUG)) {
        char remote[TL_ADDR_TEXT_MAX];
        tl_addr a = tl_relay_conn_remote(c->relay);
        tl_addr_write(remote, &a);
        tl_log(TL_LOG_DEBUG, "event=connection_failed from=%s why=%s error=%s", remote,
               tl_relayd_quote(why).text, tl_err_name(e));
    }
    tl_relayd_conn_doom(c);
    tl_relayd_hub_pump(c->hub);
}

void tl_relayd_conn_on_writable(void *user)
{
    tl_relayd_conn *c = user;
    c->blocked = false;
    tl_relayd_conn_mark(c);
    tl_relayd_hub_pump(c->hub);
}

/* --- beginning --- */

static const tl_stream_events events = {
    .on_readable = on_readable, .on_writable = tl_relayd_conn_on_writable, .on_error = on_error};

static tl_addr local_address(int fd)
{
    struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof ss;
    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        ss.ss_family = AF_UNSPEC;
    return tl_addr_normal(tl_addr_from_sockaddr((struct sockaddr *)&ss));
}

static void set_unsent_max(int fd)
{
    int n = UNSENT_MAX;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &n, sizeof n);
}

tl_err tl_relayd_conn_begin(tl_relayd_conn *c, int fd, tl_tls *tls)
{
    c->phase = TL_RELAYD_HEAD;
    tl_relay_on_held(c->hub->relay, c->relay, 0, tl_loop_now(c->hub->loop));
    return tl_stream_accepted(c->hub->loop, fd, tls, &events, c, &c->stream);
}

tl_relayd_conn *tl_relayd_conn_new(tl_relayd_hub *hub, int fd, const tl_addr *remote, tl_tls *tls)
{
    tl_time now = tl_loop_now(hub->loop);
    tl_addr local = local_address(fd);
    bool proxied = hub->proxies && tl_proxies_has(hub->proxies, remote);
    tl_relayd_conn *c = calloc(1, sizeof *c);
    /* Asks the machine before anything is spent on the connection. The machine counts the
     * connections that it refuses. */
    if (!c ||
        (proxied
             ? tl_relay_accept_untold(hub->relay, remote, &local, tls != NULL, c, now, &c->relay)
             : tl_relay_accept(hub->relay, remote, &local, tls != NULL, c, now, &c->relay))) {
        close(fd);
        free(c);
        return NULL;
    }
    c->hub = hub;
    c->read_max = READ_MIN;
    c->peer = *remote;
    c->untold = proxied;
    set_unsent_max(fd);
    tl_err e = TL_OK;
    if (!proxied || !hub->proxy_protocol)
        e = tl_relayd_conn_begin(c, fd, tls);
    else if ((e = tl_relayd_door_new(c, fd, tls)) != TL_OK)
        close(fd);
    if (e) {
        tl_relay_on_gone(hub->relay, c->relay, now);
        free(c);
        return NULL;
    }
    return c;
}
