#include "side.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PATH          1
#define SOCKET_BUFFER (2 * 1024 * 1024) /* as a node's; the kernel gives at most rmem_max */
#define SPIN          (60 * TL_US) /* nearer deadlines are spun for: the kernel's timers are no finer */

atomic_bool side_stop;

tl_time side_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (tl_time)ts.tv_sec * TL_SEC + (tl_time)ts.tv_nsec;
}

void side_die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

/* Enters a namespace; returns the one it came from, for leave. */
static int enter(const char *namespace)
{
    char path[256];
    int back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/run/netns/%s", namespace);
    int to = open(path, O_RDONLY | O_CLOEXEC);
    if (back < 0 || to < 0 || setns(to, CLONE_NEWNET))
        side_die("cannot enter the network namespace");
    close(to);
    return back;
}

static void leave(int back)
{
    if (setns(back, CLONE_NEWNET))
        side_die("cannot leave the network namespace");
    close(back);
}

static void open_socket(side *s, const char *where)
{
    tl_addr local;
    tl_why why;
    char namespace[128] = "";
    const char *slash = strchr(where, '/');
    if (slash) {
        snprintf(namespace, sizeof namespace, "%.*s", (int)(slash - where), where);
        where = slash + 1;
    }
    if (tl_addr_parse_ip(tl_slice_str(where), &local))
        side_die("not an address");
    int back = *namespace ? enter(namespace) : -1;
    if (tl_udp_open(&local, SOCKET_BUFFER, &s->udp, &why))
        side_die(why.text);
    if (back >= 0)
        leave(back);
}

/* Bulk is measured between peers that know each other. */
static bool knows(void *user, const tl_node_id *peer)
{
    (void)user, (void)peer;
    return true;
}

void side_init(side *s, const char *name, int core, const char *where, uint32_t suites)
{
    *s = (side){.name = name, .core = core, .rand = tl_rand_system(), .wake = TL_NEVER};
    open_socket(s, where ? where : "127.0.0.1");
    if (tl_identity_new(&s->rand, &s->identity))
        side_die("no identity");
    tl_quic_config config = tl_quic_config_default(&s->identity, &s->rand);
    config.suites = suites;
    if (tl_quic_new(&config, &s->quic))
        side_die("no memory");
    tl_quic_set_known(s->quic, knows, NULL);
}

void side_clear(side *s)
{
    tl_quic_free(s->quic);
    tl_udp_close(s->udp);
}

void side_join(side *a, side *b)
{
    a->peer = tl_udp_local(b->udp);
    b->peer = tl_udp_local(a->udp);
    if (tl_quic_dial(a->quic, &b->identity.id, PATH, side_now(), time(NULL), &a->conn))
        side_die("dial");
}

static bool receive(side *s, tl_time now)
{
    tl_udp_train trains[TL_UDP_TRAINS_MAX];
    size_t n;
    if (tl_udp_receive(s->udp, trains, &n))
        return false;
    for (size_t i = 0; i < n; i++)
        for (size_t at = 0; at < trains[i].n; at += trains[i].segment) {
            size_t k = trains[i].n - at;
            tl_quic_on_datagram(s->quic, PATH, trains[i].data + at,
                                k < trains[i].segment ? k : trains[i].segment, now, time(NULL));
        }
    return true;
}

static bool send_all(side *s, tl_time now)
{
    static _Thread_local uint8_t buf[TL_QUIC_OUTPUT_MAX];
    tl_quic_output out;
    bool any = false;
    while (tl_quic_next_output(s->quic, buf, now, &out)) {
        tl_err e = tl_udp_send(s->udp, &s->peer, buf, out.n, out.segment);
        if (e == TL_ERR_IO)
            side_die("send");
        s->refused += e == TL_ERR_AGAIN;
        any = true;
    }
    return any;
}

static void drain_events(side *s, tl_time now)
{
    tl_quic_event e;
    while (tl_quic_next_event(s->quic, &e)) {
        if (e.type == TL_QUIC_CLOSED)
            side_die(e.why);
        s->on_event(s, &e, now);
    }
}

static void wait_for_more(side *s)
{
    tl_time now = side_now(), until = tl_time_min(tl_quic_expiry(s->quic), s->wake);
    tl_time left = until > now ? until - now : 0;
    if (left < SPIN)
        return;
    if (left > 100 * TL_MS)
        left = 100 * TL_MS;
    left -= SPIN;
    struct timespec ts = {(time_t)(left / TL_SEC), (long)(left % TL_SEC)};
    struct pollfd p = {tl_udp_fd(s->udp), POLLIN, 0};
    ppoll(&p, 1, &ts, NULL);
}

void side_pin(const char *name, int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    (void)pthread_setname_np(pthread_self(), name);
}

void *side_run(void *arg)
{
    side *s = arg;
    side_pin(s->name, s->core);
    while (!atomic_load_explicit(&side_stop, memory_order_relaxed)) {
        tl_time now = side_now();
        bool busy = receive(s, now);
        if (tl_quic_expiry(s->quic) <= now)
            tl_quic_on_timer(s->quic, now);
        drain_events(s, now);
        if (s->at_rest)
            s->at_rest(s, now);
        busy = send_all(s, now) || busy;
        if (!busy)
            wait_for_more(s);
    }
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    s->cpu = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
    return NULL;
}

void side_run_both(side *a, side *b, double seconds)
{
    pthread_t threads[2];
    if (pthread_create(&threads[0], NULL, side_run, a) ||
        pthread_create(&threads[1], NULL, side_run, b))
        side_die("no thread");
    struct timespec ts = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&ts, NULL);
    atomic_store(&side_stop, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
}
