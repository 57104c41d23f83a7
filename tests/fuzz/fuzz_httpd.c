/* The HTTP server over a real socket pair: the first byte chooses how the handler answers and in
 * what pieces the rest is sent. Whatever comes, nothing may be left behind when the client has
 * closed, and no body may be longer than the limit. */
#include "io/httpd_state.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_MAX 4096

static struct {
    tl_loop *loop;
    tl_httpd *httpd;
    tl_httpd_door door;
    tl_timer timer;
    uint8_t mode;
    tl_httpd_req *held; /* a request whose answer comes later, or never */
} f;

static void must(bool ok)
{
    if (!ok)
        abort();
}

static bool on_head(void *user, tl_httpd_req *r)
{
    (void)user;
    must(tl_httpd_head(r)->method.n > 0 && tl_httpd_path(r).n > 0);
    if (f.mode & 1 && tl_httpd_query(r).n) {
        tl_httpd_respond(r, 403, "text/plain", TL_SLICE_LIT("no"));
        return false;
    }
    return true;
}

static void on_gone(void *user)
{
    must(f.held == user);
    f.held = NULL;
}

static void on_request(void *user, tl_httpd_req *r)
{
    static const tl_httpd_watch_events watch = {.on_gone = on_gone};
    (void)user;
    must(tl_httpd_body(r).n <= BODY_MAX);
    must(!f.held);
    switch (f.mode >> 1 & 3) {
    case 0: tl_httpd_respond(r, 200, "text/plain", tl_httpd_body(r)); break;
    case 1:
        tl_httpd_begin(r, 200, "text/plain");
        (void)tl_httpd_write(r, tl_httpd_body(r));
        tl_httpd_end(r);
        break;
    case 2:
        tl_httpd_begin(r, 200, "text/plain");
        (void)tl_httpd_write(r, TL_SLICE_LIT("half"));
        tl_httpd_abort(r);
        break;
    default: f.held = r; tl_httpd_watch(r, &watch, r);
    }
}

static void on_refusal(void *user, tl_httpd_req *r, int status, const char *message, tl_buf *out)
{
    (void)r;
    (void)user;
    must(status >= 400 && status < 600);
    if (tl_buf_append_str(out, message))
        abort();
}

static void on_due(void *user)
{
    tl_loop_stop(user);
}

static void start(void)
{
    static const tl_httpd_events events = {on_head, on_request, on_refusal, "text/plain"};
    tl_httpd_config config = tl_httpd_config_default();
    config.body_max = BODY_MAX;
    must(tl_loop_new(&f.loop) == TL_OK);
    must(tl_httpd_new(f.loop, &config, &events, NULL, &f.httpd) == TL_OK);
    f.door = (tl_httpd_door){.h = f.httpd};
    tl_timer_init(&f.timer, f.loop, on_due, f.loop);
}

/* A few turns of the loop, and what was answered thrown away. */
static void turn(int fd)
{
    uint8_t sink[4096];
    for (int i = 0; i < 3; i++) {
        tl_timer_set(&f.timer, tl_loop_now(f.loop));
        tl_loop_run(f.loop);
        while (fd >= 0 && recv(fd, sink, sizeof sink, MSG_DONTWAIT) > 0)
            continue;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int fd[2];
    if (n == 0)
        return 0;
    if (!f.loop)
        start();
    f.mode = data[0];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
    must(tl_httpd_conn_new(&f.door, fd[0]) == TL_OK);
    turn(fd[1]);
    size_t step = f.mode & 8 ? 1u + (f.mode >> 4) : n;
    size_t steps = n / step > 64 ? n / 64 : step; /* at most 64 pieces */
    for (size_t at = 1; at < n; at += steps) {
        size_t k = n - at < steps ? n - at : steps;
        if (send(fd[1], data + at, k, MSG_NOSIGNAL) < 0)
            break;
        turn(fd[1]);
    }
    close(fd[1]);
    for (int i = 0; i < 8 && f.httpd->stats.connections; i++)
        turn(-1);
    must(f.httpd->stats.connections == 0 && f.httpd->bodies_n == 0 && !f.held);
    return 0;
}
