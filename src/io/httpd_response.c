/* Writes the answers of the HTTP server. */
#include "io/httpd_state.h"

#include <assert.h>
#include <stdio.h>

#define IOV_MAX_PIECES                                                                             \
    6 /* the queue, a head, a chunk's size, its data, its end, and one to spare */

/* A piece of this size is worth a system call more than a copy. */
#define GATHER_BELOW (32u << 10)

/* --- the queue --- */

void tl_httpd_break(tl_httpd_req *r)
{
    r->broken = true;
    tl_buf_clear(&r->out);
    tl_httpd_conn_later(r);
}

static void blocked_set(tl_httpd_req *r, bool on)
{
    if (r->blocked == on)
        return;
    r->blocked = on;
    tl_stream_want_write(r->stream, on);
}

/* Writes as much as the kernel takes; 0 when it takes nothing. False: the connection is broken. */
static bool kernel_takes(tl_httpd_req *r, const struct iovec *iov, int n, size_t *ret_n)
{
    tl_err e = tl_stream_writev(r->stream, iov, n, ret_n);
    if (e == TL_ERR_AGAIN)
        *ret_n = 0;
    else if (e) {
        tl_httpd_break(r);
        return false;
    }
    r->h->stats.bytes_out += *ret_n;
    return true;
}

/* Queues what is left of `iov` after its first `skip` bytes. */
static void queue_rest(tl_httpd_req *r, const struct iovec *iov, int n, size_t skip)
{
    for (int i = 0; i < n; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        tl_slice rest = tl_slice_of((const uint8_t *)iov[i].iov_base + skip, iov[i].iov_len - skip);
        skip = 0;
        if (tl_buf_append(&r->out, rest)) {
            tl_httpd_break(r);
            return;
        }
    }
}

void tl_httpd_send(tl_httpd_req *r, const struct iovec *iov, int n)
{
    if (r->broken || r->dead)
        return;
    size_t queued = r->out.len, total = queued, taken = 0;
    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    if (!r->blocked) {
        struct iovec all[IOV_MAX_PIECES];
        int k = 0;
        assert(n < IOV_MAX_PIECES);
        if (queued)
            all[k++] = (struct iovec){tl_buf_begin(&r->out), queued};
        for (int i = 0; i < n; i++)
            all[k++] = iov[i];
        if (!kernel_takes(r, all, k, &taken))
            return;
    }
    if (taken || !queued)
        r->since = tl_loop_now(r->h->loop);
    tl_buf_consume(&r->out, taken < queued ? taken : queued);
    queue_rest(r, iov, n, taken < queued ? 0 : taken - queued);
    if (r->broken)
        return;
    blocked_set(r, taken < total);
    tl_httpd_conn_arm(r);
}

void tl_httpd_flush(tl_httpd_req *r)
{
    if (r->broken || r->dead)
        return;
    size_t taken = 0;
    struct iovec iov = {tl_buf_begin(&r->out), r->out.len};
    if (r->out.len && !kernel_takes(r, &iov, 1, &taken))
        return;
    if (taken)
        r->since = tl_loop_now(r->h->loop);
    tl_buf_consume(&r->out, taken);
    blocked_set(r, r->out.len > 0);
    tl_httpd_conn_arm(r);
    if (r->ended) {
        if (r->out.len == 0)
            tl_httpd_flushed(r);
    } else if (r->over && r->out.len < TL_HTTPD_SEND_MAX / 2) {
        r->over = false;
        if (r->watch && r->watch->on_drained)
            r->watch->on_drained(r->watch_user);
    }
}

/* --- heads --- */

/* A header's value is visible ASCII and spaces (RFC 9110 5.5 without obs-text). */
static tl_err append_value(tl_buf *out, const char *value)
{
    size_t n = strlen(value);
    uint8_t *room;
    tl_err e = tl_buf_reserve(out, n, &room);
    if (e)
        return e;
    for (size_t i = 0; i < n; i++)
        room[i] = value[i] < 0x20 || value[i] > 0x7E ? '?' : (uint8_t)value[i];
    tl_buf_added(out, n);
    return TL_OK;
}

static tl_err append_header(tl_buf *out, const char *name, const char *value)
{
    tl_err e = tl_buf_printf(out, "%s: ", name);
    if (!e)
        e = append_value(out, value);
    return e ? e : tl_buf_append_str(out, "\r\n");
}

void tl_httpd_header(tl_httpd_req *r, const char *name, const char *value)
{
    assert(!r->begun);
    if (append_header(&r->headers, name, value))
        tl_httpd_break(r);
}

void tl_httpd_close_after(tl_httpd_req *r)
{
    r->close_after = true;
}

/* `framing` is the line that tells the body's length, or "". */
static tl_err append_head(tl_httpd_req *r, int status, const char *type, const char *framing,
                          tl_buf *out)
{
    tl_err e = tl_buf_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, tl_http1_phrase(status),
                             tl_httpd_date(r->h));
    if (!e && type)
        e = append_header(out, "Content-Type", type);
    if (!e)
        e = tl_buf_append(out, tl_buf_slice(&r->headers));
    if (!e)
        e = tl_buf_append_str(out, framing);
    if (!e && r->close_after)
        e = tl_buf_append_str(out, "Connection: close\r\n");
    return e ? e : tl_buf_append_str(out, "\r\n");
}

/* --- answers --- */

/* RFC 9110 15.3.5, 15.4.5 */
static bool has_body(int status)
{
    return status != 204 && status != 304;
}

static void finish(tl_httpd_req *r)
{
    r->ended = true;
    r->watch = NULL;
    if (r->broken)
        return;
    if (r->out.len == 0) {
        tl_httpd_flushed(r);
        return;
    }
    r->state = TL_HTTPD_FLUSH;
    tl_httpd_conn_arm(r);
    if (!r->blocked)
        tl_httpd_conn_later(r);
}

void tl_httpd_respond(tl_httpd_req *r, int status, const char *type, tl_slice body)
{
    assert(!r->begun);
    r->begun = true;
    char framing[64] = "";
    tl_buf head = {0};
    if (has_body(status))
        snprintf(framing, sizeof framing, "Content-Length: %zu\r\n", body.n);
    if (append_head(r, status, type, framing, &head)) {
        tl_httpd_break(r);
    } else {
        struct iovec iov[2] = {{tl_buf_begin(&head), head.len},
                               {(void *)(uintptr_t)body.p, body.n}};
        tl_httpd_send(r, iov, r->is_head_method || !has_body(status) || body.n == 0 ? 1 : 2);
    }
    tl_buf_clear(&head);
    finish(r);
}

void tl_httpd_begin(tl_httpd_req *r, int status, const char *type)
{
    assert(!r->begun);
    r->begun = true;
    r->no_body = r->is_head_method || !has_body(status);
    r->chunked = r->head->minor == 1 && has_body(status);
    if (append_head(r, status, type, r->chunked ? "Transfer-Encoding: chunked\r\n" : "", &r->out)) {
        tl_httpd_break(r);
        return;
    }
    r->since = tl_loop_now(r->h->loop);
    tl_httpd_conn_arm(r);
    tl_httpd_conn_later(r);
}

/* What waits for the end of the turn, when the connection takes it with one system call. */
static void gather(tl_httpd_req *r, const struct iovec *iov, int n)
{
    if (r->broken || r->dead)
        return;
    if (!r->out.len)
        r->since = tl_loop_now(r->h->loop);
    queue_rest(r, iov, n, 0);
    if (r->broken)
        return;
    tl_httpd_conn_arm(r);
    if (r->blocked)
        return;
    if (r->out.len < TL_HTTPD_GATHER_MAX)
        tl_httpd_conn_later(r);
    else
        tl_httpd_send(r, NULL, 0);
}

bool tl_httpd_write(tl_httpd_req *r, tl_slice bytes)
{
    assert(r->begun && !r->ended);
    if (bytes.n == 0 || r->no_body)
        return !r->over;
    char size[24];
    static char crlf[] = "\r\n";
    struct iovec iov[3];
    int n = 0;
    if (r->chunked) {
        int digits = snprintf(size, sizeof size, "%zx\r\n", bytes.n);
        iov[n++] = (struct iovec){size, (size_t)digits};
    }
    iov[n++] = (struct iovec){(void *)(uintptr_t)bytes.p, bytes.n};
    if (r->chunked)
        iov[n++] = (struct iovec){crlf, 2};
    if (bytes.n < GATHER_BELOW)
        gather(r, iov, n);
    else
        tl_httpd_send(r, iov, n);
    if (r->out.len > TL_HTTPD_SEND_MAX)
        r->over = true;
    return !r->over;
}

bool tl_httpd_has_begun(const tl_httpd_req *r)
{
    return r->begun;
}

void tl_httpd_end(tl_httpd_req *r)
{
    assert(r->begun && !r->ended);
    static char last[] = "0\r\n\r\n";
    if (r->chunked && !r->no_body)
        tl_httpd_send(r, &(struct iovec){last, 5}, 1);
    finish(r);
}

void tl_httpd_abort(tl_httpd_req *r)
{
    assert(!r->ended);
    r->close_after = true;
    finish(r);
}
