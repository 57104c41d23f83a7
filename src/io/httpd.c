#include "io/httpd_state.h"

#include "io/owner.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SLOW_BODY (2 * TL_SEC) /* since its last 16 KiB: then it may make room for others */

tl_httpd_config tl_httpd_config_default(void)
{
    return (tl_httpd_config){
        .head = 10 * TL_SEC,
        .body = 30 * TL_SEC,
        .idle = 60 * TL_SEC,
        .stalled = 60 * TL_SEC,
        .body_max = 16u << 20,
        .bodies_max = 512u << 20,
        .connections_max = 2048,
    };
}

tl_err tl_httpd_new(tl_loop *loop, const tl_httpd_config *config, const tl_httpd_events *events,
                    void *user, tl_httpd **ret_httpd)
{
    tl_httpd *h = calloc(1, sizeof *h);
    if (!h)
        return TL_ERR_NOMEM;
    h->scratch = malloc(TL_HTTPD_READ_SIZE);
    if (!h->scratch) {
        free(h);
        return TL_ERR_NOMEM;
    }
    h->loop = loop;
    h->config = *config;
    h->events = events;
    h->user = user;
    *ret_httpd = h;
    return TL_OK;
}

static void close_doors(tl_httpd *h)
{
    for (size_t i = 0; i < h->door_n; i++)
        tl_listener_free(h->doors[i].listener);
    h->door_n = 0;
}

static void bury(void *user)
{
    tl_httpd *h = user;
    tl_httpd_req *next;
    for (tl_httpd_req *r = h->dead; r; r = next) {
        next = r->next;
        free(r);
    }
    h->dead = NULL;
}

void tl_httpd_free(tl_httpd *h)
{
    if (!h)
        return;
    close_doors(h);
    h->freed = true;
    while (h->first)
        tl_httpd_conn_gone(h->first);
    tl_defer_cancel(h->loop, &h->drain_defer);
    tl_defer_cancel(h->loop, &h->bury);
    bury(h);
    free(h->scratch);
    free(h);
}

/* --- draining --- */

static void drain_done(void *user)
{
    tl_httpd *h = user;
    if (h->on_drain_done)
        h->on_drain_done(h->drain_user);
}

static void drain_check(tl_httpd *h)
{
    if (h->draining && !h->freed && !h->first)
        tl_loop_defer(h->loop, &h->drain_defer, drain_done, h);
}

void tl_httpd_drain(tl_httpd *h, void (*on_done)(void *user), void *user)
{
    close_doors(h);
    h->draining = true;
    h->on_drain_done = on_done;
    h->drain_user = user;
    tl_httpd_req *next;
    for (tl_httpd_req *r = h->first; r; r = next) {
        next = r->next;
        if (r->state == TL_HTTPD_IDLE || r->state == TL_HTTPD_HEAD || r->state == TL_HTTPD_LINGER)
            tl_httpd_conn_gone(r);
        else
            r->close_after = true;
    }
    drain_check(h);
}

/* --- connections --- */

void tl_httpd_conn_unlink(tl_httpd_req *r)
{
    tl_httpd *h = r->h;
    if (r->prev)
        r->prev->next = r->next;
    else
        h->first = r->next;
    if (r->next)
        r->next->prev = r->prev;
    r->prev = NULL;
    r->next = h->dead;
    h->dead = r;
    tl_loop_defer(h->loop, &h->bury, bury, h);
    h->stats.connections--;
    h->taken[r->tcp]--;
    drain_check(h);
}

static bool may_make_room(const tl_httpd_req *r)
{
    if (r->state == TL_HTTPD_BODY)
        return r->since + SLOW_BODY <= tl_loop_now(r->h->loop);
    return r->state == TL_HTTPD_IDLE || r->state == TL_HTTPD_HEAD;
}

/* Closes the oldest of the connections that ask nothing or have not finished asking, and whose
 * bodies come slowly. So a client that fills the table with silent connections loses these first. */
static bool make_room(tl_httpd *h, bool tcp)
{
    tl_httpd_req *oldest = NULL;
    for (tl_httpd_req *r = h->first; r; r = r->next)
        if (r->tcp == tcp && may_make_room(r) && (!oldest || r->since < oldest->since))
            oldest = r;
    if (oldest)
        tl_httpd_conn_gone(oldest);
    return oldest != NULL;
}

/* Keeps the kernel's send buffer small, so that "1 MiB queued" means about 1 MiB. Also turns on
 * TCP's probes, so that we notice a client whose machine vanished while we only wait. */
static void tune(int fd, bool tcp)
{
    int size = 256 << 10, on = 1, idle_s = 30, interval_s = 5, count = 3;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (!tcp)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static void on_accept(void *user, int fd, const tl_addr *remote)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                               "Content-Length: 0\r\nConnection: close\r\n\r\n";
    tl_httpd_door *door = user;
    tl_httpd *h = door->h;
    (void)remote;
    h->stats.accepted++;
    if (h->taken[door->tcp] >= h->config.connections_max && !make_room(h, door->tcp)) {
        h->stats.overloaded++;
        (void)!write(fd, busy, sizeof busy - 1);
        close(fd);
        return;
    }
    tune(fd, door->tcp);
    if (tl_httpd_conn_new(door, fd))
        h->stats.overloaded++;
}

tl_err tl_httpd_listen(tl_httpd *h, const tl_addr *addr, int tag, tl_addr *ret_addr, tl_why *why)
{
    if (h->door_n == TL_HTTPD_LISTENERS_MAX)
        return tl_why_set(why, TL_ERR_BUSY, "more than %d addresses", TL_HTTPD_LISTENERS_MAX);
    tl_httpd_door *door = &h->doors[h->door_n];
    *door = (tl_httpd_door){.h = h, .tag = tag, .tcp = true};
    tl_err e = tl_listen(h->loop, addr, 1024, on_accept, door, &door->listener, why);
    if (e)
        return e;
    h->door_n++;
    *ret_addr = tl_listener_addr(door->listener);
    return TL_OK;
}

tl_err tl_httpd_listen_unix(tl_httpd *h, const char *path, int tag, tl_why *why)
{
    if (h->door_n == TL_HTTPD_LISTENERS_MAX)
        return tl_why_set(why, TL_ERR_BUSY, "more than %d addresses", TL_HTTPD_LISTENERS_MAX);
    tl_httpd_door *door = &h->doors[h->door_n];
    *door = (tl_httpd_door){.h = h, .tag = tag};
    tl_err e = tl_listen_unix(h->loop, path, 128, on_accept, door, &door->listener, why);
    if (!e)
        h->door_n++;
    return e;
}

/* --- small things --- */

tl_httpd_stats tl_httpd_stats_of(const tl_httpd *h)
{
    return h->stats;
}

const char *tl_httpd_date(tl_httpd *h)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    tl_unix now = tl_loop_unix();
    if (now != h->date_at || !h->date[0]) {
        time_t t = (time_t)now;
        struct tm tm;
        gmtime_r(&t, &tm);
        snprintf(h->date, sizeof h->date, "%s, %02u %s %04u %02u:%02u:%02u GMT",
                 days[tm.tm_wday % 7], (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
                 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
        h->date_at = now;
    }
    return h->date;
}

bool tl_httpd_is_ours(const tl_httpd_req *r)
{
    return !r->tcp || tl_owner_is_us(tl_stream_fd(r->stream));
}

int tl_httpd_tag(const tl_httpd_req *r)
{
    return r->tag;
}

void tl_httpd_set_note(tl_httpd_req *r, int note)
{
    r->note = note;
}

int tl_httpd_note(const tl_httpd_req *r)
{
    return r->note;
}

void tl_httpd_set_name(tl_httpd_req *r, const char *name)
{
    snprintf(r->name, sizeof r->name, "%s", name);
}

const char *tl_httpd_name(const tl_httpd_req *r)
{
    return r->name;
}

const tl_http1_head *tl_httpd_head(const tl_httpd_req *r)
{
    return r->head;
}

static size_t path_length(tl_slice target)
{
    const uint8_t *mark = memchr(target.p, '?', target.n);
    return mark ? (size_t)(mark - target.p) : target.n;
}

tl_slice tl_httpd_path(const tl_httpd_req *r)
{
    return tl_slice_of(r->head->target.p, path_length(r->head->target));
}

tl_slice tl_httpd_query(const tl_httpd_req *r)
{
    tl_slice target = r->head->target;
    size_t n = path_length(target);
    return n == target.n ? (tl_slice){NULL, 0} : tl_slice_of(target.p + n + 1, target.n - n - 1);
}

tl_slice tl_httpd_body(const tl_httpd_req *r)
{
    return tl_buf_slice(&r->body);
}

void tl_httpd_drop_body(tl_httpd_req *r)
{
    tl_buf_clear(&r->body);
    r->h->bodies_n -= r->body_counted;
    r->body_counted = 0;
}

void tl_httpd_watch(tl_httpd_req *r, const tl_httpd_watch_events *events, void *user)
{
    r->watch = events;
    r->watch_user = user;
}
