#include "parrot_http.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

const char *parrot_server = "parrot";

bool parrot_send(parrot_conn *c, const void *p, size_t n)
{
    const char *at = p;
    while (n) {
        ssize_t sent = send(c->fd, at, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        n -= (size_t)sent;
    }
    return true;
}

bool parrot_send_text(parrot_conn *c, const char *text)
{
    return parrot_send(c, text, strlen(text));
}

bool parrot_send_chunk(parrot_conn *c, const void *p, size_t n)
{
    char size[24];
    int size_n = snprintf(size, sizeof size, "%zx\r\n", n);
    tl_buf out = {0};
    bool ok = tl_buf_append(&out, tl_slice_of(size, (size_t)size_n)) == TL_OK &&
              tl_buf_append(&out, tl_slice_of(p, n)) == TL_OK &&
              tl_buf_append_str(&out, "\r\n") == TL_OK &&
              parrot_send(c, tl_buf_begin(&out), out.len);
    tl_buf_clear(&out);
    return ok;
}

static const char *reason_of(int status)
{
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    }
    return "Status";
}

bool parrot_answer(parrot_conn *c, int status, const char *headers, const char *type,
                   const char *body)
{
    tl_buf out = {0};
    bool ok = tl_buf_printf(&out,
                            "HTTP/1.1 %d %s\r\nServer: %s\r\n%sContent-Type: %s\r\n"
                            "Content-Length: %zu\r\n\r\n%s",
                            status, reason_of(status), parrot_server, headers, type, strlen(body),
                            body) == TL_OK &&
              parrot_send(c, tl_buf_begin(&out), out.len);
    tl_buf_clear(&out);
    return ok;
}

bool parrot_answer_error(parrot_conn *c, int status, const char *headers, const char *code)
{
    char body[256];
    snprintf(body, sizeof body,
             "{\"error\":{\"message\":\"parrot says %s\",\"type\":\"parrot_error\",\"param\":null,"
             "\"code\":\"%s\"}}",
             code, code);
    return parrot_answer(c, status, headers, "application/json", body);
}

static int64_t clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool parrot_wait(parrot_conn *c, int ms)
{
    int64_t until = clock_ms() + ms;
    for (;;) {
        int64_t left = ms < 0 ? -1 : until - clock_ms();
        if (ms >= 0 && left < 0)
            left = 0;
        /* POLLIN is not asked for: a pipelined request must not wake us. */
        struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
        int n = poll(&p, 1, (int)left);
        if (n < 0 && errno == EINTR)
            continue;
        return n == 0;
    }
}

/* More input; false at the end or an error. */
static bool fill(parrot_conn *c, size_t want)
{
    uint8_t *room;
    if (tl_buf_reserve(&c->in, want, &room) != TL_OK)
        return false;
    ssize_t n;
    do
        n = recv(c->fd, room, want, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    tl_buf_added(&c->in, (size_t)n);
    return true;
}

static void copy_text(char *ret, size_t cap, const char *p, size_t n)
{
    n = n < cap - 1 ? n : cap - 1;
    memcpy(ret, p, n);
    ret[n] = 0;
}

typedef struct {
    bool has_length, expects;
    size_t length;
} body_plan;

/* One header line without its CRLF. Returns 0, or the status to refuse with. */
static int take_header(parrot_request *r, body_plan *plan, const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);
    if (!colon || colon == line)
        return 400;
    size_t name_n = (size_t)(colon - line);
    const char *value = colon + 1, *end = line + n;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    size_t value_n = (size_t)(end - value);
#define IS(name) (name_n == sizeof(name) - 1 && strncasecmp(line, name, name_n) == 0)
    if (IS("content-length")) {
        if (plan->has_length || value_n == 0 || value_n > 10)
            return 400;
        for (size_t i = 0; i < value_n; i++) {
            if (value[i] < '0' || value[i] > '9')
                return 400;
            plan->length = plan->length * 10 + (size_t)(value[i] - '0');
        }
        plan->has_length = true;
    } else if (IS("transfer-encoding")) {
        return 411;
    } else if (IS("content-type")) {
        copy_text(r->content_type, sizeof r->content_type, value, value_n);
    } else if (IS("authorization")) {
        copy_text(r->authorization, sizeof r->authorization, value, value_n);
    } else if (IS("connection")) {
        r->keep_alive = !(value_n == 5 && strncasecmp(value, "close", 5) == 0);
    } else if (IS("expect")) {
        plan->expects = true;
    }
#undef IS
    return 0;
}

/* The head ends with CRLF CRLF at `n`; a bare LF anywhere in it is refused. */
static int parse_head(const char *head, size_t n, parrot_request *r, body_plan *plan)
{
    for (size_t i = 0; i < n; i++)
        if ((head[i] == '\n') != (i && head[i - 1] == '\r') || head[i] == 0)
            return 400;
    const char *end = memmem(head, n, "\r\n", 2);
    const char *sp1 = memchr(head, ' ', (size_t)(end - head));
    const char *sp2 = sp1 ? memchr(sp1 + 1, ' ', (size_t)(end - sp1 - 1)) : NULL;
    if (!sp2 || end - sp2 != 9 || memcmp(sp2, " HTTP/1.", 8) != 0)
        return 400;
    copy_text(r->method, sizeof r->method, head, (size_t)(sp1 - head));
    copy_text(r->path, sizeof r->path, sp1 + 1, (size_t)(sp2 - sp1 - 1));
    r->path[strcspn(r->path, "?")] = 0;
    r->keep_alive = end[-1] == '1';
    for (const char *line = end + 2; line < head + n - 2; line = end + 2) {
        end = memmem(line, (size_t)(head + n - line), "\r\n", 2);
        int bad = take_header(r, plan, line, (size_t)(end - line));
        if (bad)
            return bad;
    }
    return plan->length > PARROT_BODY_MAX ? 413 : 0;
}

parrot_got parrot_read(parrot_conn *c, parrot_request *r)
{
    memset(r, 0, sizeof *r);
    const char *end;
    while (!c->in.len || !(end = memmem(tl_buf_begin(&c->in), c->in.len, "\r\n\r\n", 4))) {
        if (c->in.len > PARROT_HEAD_MAX)
            return parrot_answer_error(c, 400, "Connection: close\r\n", "head_too_large"),
                   PARROT_BAD;
        if (!fill(c, 16 << 10))
            return PARROT_GONE;
    }
    body_plan plan = {0};
    size_t head_n = (size_t)(end + 4 - (const char *)tl_buf_begin(&c->in));
    int bad = parse_head((const char *)tl_buf_begin(&c->in), head_n, r, &plan);
    if (bad)
        return parrot_answer_error(c, bad, "Connection: close\r\n", "bad_request"), PARROT_BAD;
    tl_buf_consume(&c->in, head_n);
    if (plan.expects && !parrot_send_text(c, "HTTP/1.1 100 Continue\r\n\r\n"))
        return PARROT_GONE;
    while (c->in.len < plan.length)
        if (!fill(c, plan.length - c->in.len < (1 << 20) ? plan.length - c->in.len : 1 << 20))
            return PARROT_GONE;
    if (tl_buf_append(&r->body, tl_slice_of(c->in.data + c->in.head, plan.length)) != TL_OK)
        return PARROT_GONE;
    tl_buf_consume(&c->in, plan.length);
    return PARROT_REQUEST;
}
