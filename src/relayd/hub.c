#include "relayd/hub.h"
#include "relayd/quote.h"

#include <malloc.h>
#include <stdlib.h>

/* What a handshake needs for a moment lies between what stays, and nothing of it goes back to the
 * kernel by itself: 1 KiB for each connection by TLS. So it is given back some time after so many. */
#define TRIM_EACH   256
#define TRIM_BEHIND (5 * TL_SEC)

/* --- pieces --- */

static bool grow(tl_relayd_hub *hub)
{
    size_t cap = hub->piece_cap ? 2 * hub->piece_cap : 1024;
    tl_relayd_piece *p = realloc(hub->pieces, cap * sizeof *p);
    if (!p)
        return false;
    hub->pieces = p;
    hub->piece_cap = cap;
    return true;
}

static void add_piece(tl_relayd_hub *hub, tl_relayd_conn *c, const tl_relay_output *out)
{
    if (c->is_doomed || (hub->piece_count == hub->piece_cap && !grow(hub))) {
        if (out->shared)
            tl_relay_chunk_unref(out->shared);
        tl_relayd_conn_doom(c); /* a gap in the bytes would be worse than the end */
        return;
    }
    hub->pieces[hub->piece_count++] = (tl_relayd_piece){.bytes = out->bytes, .shared = out->shared};
    uint32_t index = (uint32_t)hub->piece_count;
    if (c->piece_last)
        hub->pieces[c->piece_last - 1].next = index;
    else
        c->piece_first = index;
    c->piece_last = index;
    tl_relayd_conn_mark(c);
}

static void drop_pieces(tl_relayd_conn *c)
{
    const tl_relayd_piece *p;
    for (uint32_t i = c->piece_first; i; i = p->next) {
        p = &c->hub->pieces[i - 1];
        if (p->shared)
            tl_relay_chunk_unref(p->shared);
    }
    c->piece_first = c->piece_last = 0;
}

/* --- flushing one destination --- */

/* The first `n` bytes of the pieces were written: takes them out. */
static void advance(tl_relayd_conn *c, size_t n)
{
    while (c->piece_first) {
        tl_relayd_piece *p = &c->hub->pieces[c->piece_first - 1];
        if (n < p->bytes.n) {
            p->bytes.p += n;
            p->bytes.n -= n;
            return;
        }
        n -= p->bytes.n;
        if (p->shared)
            tl_relay_chunk_unref(p->shared);
        c->piece_first = p->next;
    }
    c->piece_last = 0;
}

/* Moves the rest of the pieces into the queue. False: memory ran out, and they are dropped. */
static bool spill(tl_relayd_conn *c)
{
    tl_err e = TL_OK;
    const tl_relayd_piece *p;
    for (uint32_t i = c->piece_first; i; i = p->next) {
        p = &c->hub->pieces[i - 1];
        if (e && p->shared)
            tl_relay_chunk_unref(p->shared);
        else if (p->shared)
            e = tl_outqueue_add_shared(&c->queue, p->bytes, p->shared);
        else if (!e)
            e = tl_outqueue_add(&c->queue, p->bytes);
    }
    c->piece_first = c->piece_last = 0;
    return !e;
}

/* Gathers the front of the queue, and, if this is the whole queue, the pieces of this round behind
 * it; *ret_bytes is their sum. */
static int gather(tl_relayd_conn *c, size_t *ret_bytes)
{
    struct iovec *iov = c->hub->iov;
    int n = tl_outqueue_peek(&c->queue, iov, TL_RELAYD_IOV_MAX);
    size_t bytes = 0;
    for (int i = 0; i < n; i++)
        bytes += iov[i].iov_len;
    const tl_relayd_piece *p;
    for (uint32_t i = bytes == c->queue.bytes ? c->piece_first : 0; i && n < TL_RELAYD_IOV_MAX;
         i = p->next) {
        p = &c->hub->pieces[i - 1];
        iov[n++] = (struct iovec){(void *)(uintptr_t)p->bytes.p, p->bytes.n};
        bytes += p->bytes.n;
    }
    *ret_bytes = bytes;
    return n;
}

/* Tells the machine how many of its bytes were written; the HTTP bytes in front of them are
 * ours. */
static void tell_written(tl_relayd_conn *c, size_t n)
{
    size_t own = n < c->own ? n : c->own;
    c->own -= own;
    if (c->is_ws)
        tl_relay_on_written(c->hub->relay, c->relay, n - own, tl_loop_now(c->hub->loop));
}

static tl_err write_some(tl_relayd_conn *c)
{
    size_t bytes, written = 0;
    int n = gather(c, &bytes);
    tl_err e = n ? tl_stream_writev(c->stream, c->hub->iov, n, &written) : TL_OK;
    if (e && e != TL_ERR_AGAIN)
        return e;
    c->blocked = written < bytes;
    tell_written(c, written);
    size_t of_queue = written < c->queue.bytes ? written : c->queue.bytes;
    tl_outqueue_consume(&c->queue, of_queue);
    advance(c, written - of_queue);
    return TL_OK;
}

static void after_flush(tl_relayd_conn *c)
{
    if (c->tls_held != tl_stream_held(c->stream))
        tl_relayd_conn_count_held(c);
    tl_stream_want_write(c->stream, c->blocked);
    if (c->blocked || c->phase != TL_RELAYD_ENDING || c->shut)
        return;
    c->shut = true;
    tl_stream_shutdown(c->stream);
    if (c->read_ended)
        tl_relayd_conn_doom(c);
}

static void flush(tl_relayd_conn *c)
{
    tl_err e = TL_OK;
    if (c->is_doomed) {
        drop_pieces(c);
        return;
    }
    if (c->blocked)
        tell_written(c, 0);
    while (!e && !c->blocked && (c->queue.bytes || c->piece_first))
        e = write_some(c);
    if (e) {
        drop_pieces(c);
        tl_relayd_conn_doom(c);
    } else if (spill(c)) {
        after_flush(c);
    } else {
        tl_relayd_conn_doom(c);
    }
}

/* --- the machine's answers --- */

static void obey(tl_relayd_hub *hub, const tl_relay_output *out)
{
    tl_relayd_conn *c = out->user;
    switch (out->kind) {
    case TL_RELAY_SEND: add_piece(hub, c, out); break;
    case TL_RELAY_CLOSE:
        add_piece(hub, c, out);
        if (c->phase <= TL_RELAYD_HEAD) { /* the peer would not understand a frame yet */
            tl_relayd_conn_doom(c);
            break;
        }
        c->paused = false;
        c->phase = TL_RELAYD_ENDING;
        tl_stream_want_read(c->stream, true); /* it may have been paused; now we only wait for its
                                                 end */
        break;
    case TL_RELAY_CUT: tl_relayd_conn_doom(c); break;
    case TL_RELAY_PAUSE:
        c->paused = true;
        tl_stream_want_read(c->stream, false);
        break;
    case TL_RELAY_RESUME:
        c->paused = false;
        tl_stream_want_read(c->stream, true);
        tl_relayd_conn_resume(c);
        break;
    }
}

/* Who runs a node sees its own log; who runs the relay must see here why nobody gets in. Once a
 * minute at most. */
static void tell_refused(tl_relayd_hub *hub)
{
    static const char *const why[TL_RELAY_REFUSED_REASONS] = {
        [TL_RELAY_REFUSED_INVALID] = "it was no valid registration",
        [TL_RELAY_REFUSED_PROOF] =
            "no proof of its key for this relay (nodes must dial one of its names: --name)",
        [TL_RELAY_REFUSED_IDENTITY] = "its connection belongs to another node",
        [TL_RELAY_REFUSED_RATE] = "too much work for one address, or too many changes of one node",
        [TL_RELAY_REFUSED_MEMORY] = "out of memory",
    };
    const tl_relay_counters *counters = tl_relay_counters_of(hub->relay);
    tl_relay_refused last;
    uint64_t sum = 0;
    char remote[TL_ADDR_TEXT_MAX];
    tl_time now = tl_loop_now(hub->loop);
    for (int i = 0; i < TL_RELAY_REFUSED_REASONS; i++)
        sum += counters->registrations_refused[i];
    if (sum == hub->refused || (hub->refused_told && now < hub->refused_told + TL_MIN) ||
        !tl_relay_last_refused(hub->relay, &last))
        return;
    tl_addr_write(remote, &last.remote);
    tl_log(TL_LOG_WARN, "event=registrations_refused count=%llu last_from=%s why=%s",
           (unsigned long long)(sum - hub->refused), remote,
           tl_relayd_quote(why[last.reason]).text);
    hub->refused = sum;
    hub->refused_told = now;
}

/* Once a minute at most. */
static void tell_given_up(tl_relayd_hub *hub)
{
    const tl_relay_counters *counters = tl_relay_counters_of(hub->relay);
    tl_time now = tl_loop_now(hub->loop);
    if (counters->cut_budget == hub->given_up ||
        (hub->given_up_told && now < hub->given_up_told + TL_MIN))
        return;
    tl_log(TL_LOG_WARN,
           "event=memory_exceeded ended=%llu max_mib=%llu max_mib_of_one_address=%llu "
           "remedy=\"a larger --max-memory, if the machine has it\"",
           (unsigned long long)(counters->cut_budget - hub->given_up),
           (unsigned long long)(counters->memory_max >> 20),
           (unsigned long long)(counters->memory_share >> 20));
    hub->given_up = counters->cut_budget;
    hub->given_up_told = now;
}

/* Everything is written, so the buffer is free. False: nothing was kept of any. */
static bool take_kept(tl_relayd_hub *hub)
{
    tl_relayd_conn *c = hub->resumed;
    if (!c)
        return false;
    hub->resumed = c->next_resumed;
    c->is_resumed = false;
    if (!c->is_doomed)
        tl_relayd_conn_take_kept(c);
    return true;
}

static void send_bursts(tl_relayd_hub *hub)
{
    const tl_bursts *bursts = tl_relay_bursts(hub->relay);
    if (!bursts->n)
        return;
    if (hub->udp)
        tl_relayd_udp_send(hub->udp, bursts);
    tl_relay_bursts_sent(hub->relay);
}

void tl_relayd_hub_pump(tl_relayd_hub *hub)
{
    for (;;) {
        tl_relay_output out;
        tl_fed_output fed;
        while (tl_relay_next_output(hub->relay, &out))
            obey(hub, &out);
        while (hub->on_fed && tl_fed_next_output(hub->relay, &fed))
            hub->on_fed(hub->fed_user, fed);
        send_bursts(hub);
        if (!hub->dirty && !hub->doomed && take_kept(hub))
            continue;
        if (!hub->dirty && !hub->doomed) {
            /* Connections that the machine has just given up end now, with what they hold, and not
             * after all others that can be read: those could fill the memory again. */
            tl_time now = tl_loop_now(hub->loop);
            if (tl_relay_expiry(hub->relay) > now)
                break;
            tl_relay_on_timer(hub->relay, now);
            continue;
        }
        tl_relayd_conn *dirty = hub->dirty, *c;
        hub->dirty = NULL;
        while ((c = dirty)) {
            dirty = c->next_dirty;
            c->is_dirty = false;
            flush(c);
        }
        hub->piece_count = 0;
        while ((c = hub->doomed)) {
            hub->doomed = c->next_doomed;
            tl_relayd_conn_end(c);
            if (!hub->conns && hub->on_last_conn)
                hub->on_last_conn(hub->user);
        }
    }
    tell_given_up(hub);
    tell_refused(hub);
    tl_timer_set(&hub->timer, tl_relay_expiry(hub->relay));
}

static void on_timer(void *user)
{
    tl_relayd_hub *hub = user;
    tl_time now = tl_loop_now(hub->loop);
    tl_relay_set_wall(hub->relay, tl_loop_unix(), now);
    tl_relay_on_timer(hub->relay, now);
    tl_relayd_hub_pump(hub);
}

static void on_trim(void *user)
{
    ((tl_relayd_hub *)user)->untrimmed = 0;
    (void)malloc_trim(0); /* a millisecond with 10 000 connections by TLS */
}

/* --- life --- */

tl_err tl_relayd_hub_init(tl_relayd_hub *hub, tl_loop *loop, tl_relay *relay)
{
    memset(hub, 0, sizeof *hub);
    hub->buffer = malloc(TL_RELAYD_READ_SIZE);
    if (!hub->buffer)
        return TL_ERR_NOMEM;
    hub->loop = loop;
    hub->relay = relay;
    tl_timer_init(&hub->timer, loop, on_timer, hub);
    tl_timer_init(&hub->trim, loop, on_trim, hub);
    tl_relay_set_wall(relay, tl_loop_unix(), tl_loop_now(loop));
    return TL_OK;
}

void tl_relayd_hub_clear(tl_relayd_hub *hub)
{
    if (!hub->buffer)
        return;
    for (tl_relayd_conn *c = hub->conns; c; c = c->next)
        tl_relayd_conn_doom(c);
    tl_relayd_hub_pump(hub);
    tl_timer_stop(&hub->timer);
    tl_timer_stop(&hub->trim);
    free(hub->pieces);
    free(hub->buffer);
    hub->buffer = NULL;
}

void tl_relayd_hub_accept(tl_relayd_hub *hub, int fd, const tl_addr *remote, tl_tls *tls)
{
    tl_relayd_conn *c = tl_relayd_conn_new(hub, fd, remote, tls);
    if (!c)
        return;
    c->next = hub->conns;
    if (c->next)
        c->next->prev = c;
    hub->conns = c;
    hub->conn_count++;
    if (++hub->untrimmed == TRIM_EACH)
        tl_timer_set(&hub->trim, tl_loop_now(hub->loop) + TRIM_BEHIND);
    tl_relayd_hub_pump(hub);
}
