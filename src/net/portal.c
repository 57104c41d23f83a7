#include "net/portal.h"

#include <assert.h>
#include <stdlib.h>

#define READ_SIZE 4096

struct tl_portal {
    tl_loop *loop;
    void (*on_done)(void *user, const char *login);
    void *user;
    char host[TL_HOST_MAX];
    uint16_t port;
    bool strange;
    tl_stream *stream;
    tl_timer deadline;
    tl_buf out, in; /* `in` holds at most TL_HTTP1_HEAD_MAX bytes and one reading */
    size_t scanned;
    bool over; /* on_done was called */
};

/* The last thing that is done in a callback: the owner may free `p`. */
static void finish(tl_portal *p, const char *login)
{
    assert(!p->over);
    p->over = true;
    tl_timer_stop(&p->deadline);
    tl_stream_free(p->stream);
    p->stream = NULL;
    p->on_done(p->user, login);
}

static void on_deadline(void *user)
{
    finish(user, NULL);
}

static void on_error(void *user, tl_err e, const char *why)
{
    (void)e, (void)why;
    finish(user, NULL);
}

static void on_writable(void *user)
{
    tl_portal *p = user;
    struct iovec iov = {tl_buf_begin(&p->out), p->out.len};
    size_t n = 0;
    tl_err e = tl_stream_writev(p->stream, &iov, 1, &n);
    if (e && e != TL_ERR_AGAIN) {
        finish(p, NULL);
        return;
    }
    tl_buf_consume(&p->out, n);
    tl_stream_want_write(p->stream, p->out.len > 0);
}

static void on_readable(void *user)
{
    tl_portal *p = user;
    tl_http1_head head;
    char login[TL_PORTAL_URL_MAX];
    uint8_t *room;
    size_t n = 0;
    tl_err e = tl_buf_reserve(&p->in, READ_SIZE, &room);
    if (!e)
        e = tl_stream_read(p->stream, room, READ_SIZE, &n);
    if (e == TL_ERR_AGAIN)
        return;
    if (!e) {
        tl_buf_added(&p->in, n);
        e = tl_http1_response_parse(tl_buf_slice(&p->in), &p->scanned, &head);
        if (e == TL_ERR_SHORT)
            return;
    }
    bool portal = !e && tl_portal_answered(&head, p->host, p->port, p->strange, login);
    finish(p, portal ? login : NULL);
}

static const tl_stream_events events = {.on_open = on_writable,
                                        .on_readable = on_readable,
                                        .on_writable = on_writable,
                                        .on_error = on_error};

tl_err tl_portal_start(tl_loop *loop, tl_rand *rand, const tl_wsurl *url, bool strange,
                       void (*on_done)(void *user, const char *login), void *user,
                       tl_portal **ret_portal)
{
    tl_portal *p = calloc(1, sizeof *p);
    if (!p)
        return TL_ERR_NOMEM;
    *p = (tl_portal){.loop = loop,
                     .on_done = on_done,
                     .user = user,
                     .port = url->tls ? 80 : url->port,
                     .strange = strange};
    memcpy(p->host, url->host, sizeof p->host);
    tl_err e = tl_portal_ask(&p->out, rand, p->host, p->port);
    if (!e)
        e = tl_stream_connect(loop, p->host, p->port, NULL, &events, p, &p->stream);
    if (e) {
        tl_buf_clear(&p->out);
        free(p);
        return e;
    }
    tl_timer_init(&p->deadline, loop, on_deadline, p);
    tl_timer_set(&p->deadline, tl_loop_now(loop) + TL_PORTAL_WITHIN);
    *ret_portal = p;
    return TL_OK;
}

void tl_portal_free(tl_portal *p)
{
    if (!p)
        return;
    if (!p->over)
        tl_timer_stop(&p->deadline);
    tl_stream_free(p->stream);
    tl_buf_clear(&p->out);
    tl_buf_clear(&p->in);
    free(p);
}
