#include "relayd/loops.h"

#include "relayd/mailbox.h"
#include "relayd/server.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    tl_relayd_loops *loops;
    tl_loop *loop;
    tl_mailbox *box; /* NULL: it is the only loop */
    tl_relayd_server *server;
    pthread_t thread;
    bool has_thread;
    atomic_bool asked; /* whether it turns, and it has not answered yet */
    atomic_bool ended;
} relayd_seat;

struct tl_relayd_loops {
    size_t count;
    atomic_uint sessions; /* of all loops that --limits bounds */
    unsigned sessions_max;
    char process[TL_FED_ID_MAX + 1];
    relayd_seat seats[];
};

/* --- letters --- */

static void on_letter(void *user, tl_slice bytes)
{
    relayd_seat *seat = user;
    tl_relayd_server_on_near(seat->server, bytes);
}

static void on_read(void *user)
{
    relayd_seat *seat = user;
    if (seat->server)
        tl_relayd_server_pump(seat->server);
}

size_t tl_relayd_loops_count(const tl_relayd_loops *l)
{
    return l->count;
}

size_t tl_relayd_loops_post(tl_relayd_loops *l, size_t from, const tl_fed_output *out)
{
    size_t most = 0, first = 0, end = l->count;
    if (out->kind == TL_FED_SEND) { /* the ID ends with the number of the loop */
        const char *dot = strrchr(out->to, '.');
        first = dot ? (size_t)strtoul(dot + 1, NULL, 10) : l->count;
        end = first + 1;
    }
    for (size_t i = first; i < end && i < l->count; i++) {
        if (i == from || tl_mailbox_put(l->seats[i].box, out->bytes))
            continue;
        size_t n = tl_mailbox_bytes(l->seats[i].box);
        most = n > most ? n : most;
    }
    return most;
}

size_t tl_relayd_loops_waiting(const tl_relayd_loops *l)
{
    size_t most = 0;
    for (size_t i = 0; i < l->count; i++) {
        size_t n = tl_mailbox_bytes(l->seats[i].box);
        most = n > most ? n : most;
    }
    return most;
}

/* --- what they have together --- */

static bool take_session(void *shared)
{
    tl_relayd_loops *l = shared;
    if (atomic_fetch_add(&l->sessions, 1) < l->sessions_max)
        return true;
    atomic_fetch_sub(&l->sessions, 1);
    return false;
}

static void give_session(void *shared)
{
    tl_relayd_loops *l = shared;
    atomic_fetch_sub(&l->sessions, 1);
}

void tl_relayd_loops_share(tl_relayd_loops *l, tl_relay_limits *limits)
{
    l->sessions_max = limits->max_sessions;
    limits->take = take_session;
    limits->give = give_session;
    limits->shared = l;
}

static void answer_turn(void *arg)
{
    relayd_seat *seat = arg;
    atomic_store(&seat->asked, false);
}

bool tl_relayd_loops_turn(tl_relayd_loops *l)
{
    bool all = true;
    for (size_t i = 1; i < l->count; i++) {
        relayd_seat *seat = &l->seats[i];
        if (atomic_load(&seat->ended))
            continue;
        if (atomic_exchange(&seat->asked, true))
            all = false; /* the question is still in its mailbox */
        else if (tl_mailbox_call(seat->box, answer_turn, NULL, seat))
            atomic_store(&seat->asked, false); /* out of memory: that says nothing of the loop */
    }
    return all;
}

/* --- a question to all loops: it goes round, so that no two of them touch it --- */

typedef struct {
    tl_relayd_loops *loops;
    size_t from, at;
    tl_relayd_conn *conn; /* NULL: it has ended; only the loop `from` looks at it */
    tl_relayd_view view;
    tl_buf request;
} relayd_ask;

static void drop_ask(void *arg)
{
    relayd_ask *a = arg;
    tl_relayd_view_clear(&a->view);
    tl_buf_clear(&a->request);
    free(a);
}

static void go_round(void *arg)
{
    relayd_ask *a = arg;
    tl_relayd_loops *l = a->loops;
    if (a->view.loops == l->count) {
        if (a->conn)
            tl_relayd_conn_answer(a->conn, tl_buf_slice(&a->request), &a->view);
        drop_ask(a);
        return;
    }
    tl_relayd_server_see(l->seats[a->at].server, &a->view);
    a->at = (a->at + 1) % l->count;
    /* Out of memory: its connection ends when nothing comes. Until then the connection points to this
     * question, and only its own loop may touch the connection: so nothing is freed. */
    (void)!tl_mailbox_call(l->seats[a->at].box, go_round, drop_ask, a);
}

bool tl_relayd_loops_ask(tl_relayd_loops *l, size_t from, tl_relayd_conn *c, tl_slice request,
                         bool with_peers)
{
    relayd_ask *a = calloc(1, sizeof *a);
    if (!a)
        return false;
    *a = (relayd_ask){.loops = l, .from = from, .at = from, .conn = c};
    a->view.wants_peers = with_peers;
    if (tl_buf_append(&a->request, request) ||
        tl_mailbox_call(l->seats[from].box, go_round, drop_ask, a)) {
        drop_ask(a);
        return false;
    }
    tl_relayd_conn_asks(c, &a->conn);
    return true;
}

/* --- datagrams that came to the wrong loop --- */

typedef struct {
    tl_relayd_server *server;
    tl_burst_way way;
    size_t n;
    uint8_t bytes[];
} relayd_datagram;

static void take_datagram(void *arg)
{
    relayd_datagram *d = arg;
    tl_relayd_server_on_datagram(d->server, &d->way, d->bytes, d->n);
}

bool tl_relayd_loops_pass(tl_relayd_loops *l, size_t to, const tl_burst_way *way, tl_slice bytes)
{
    relayd_datagram *d = malloc(sizeof *d + bytes.n);
    if (!d)
        return false;
    *d = (relayd_datagram){.server = l->seats[to].server, .way = *way, .n = bytes.n};
    memcpy(d->bytes, bytes.p, bytes.n);
    if (tl_mailbox_lend(l->seats[to].box, take_datagram, free, d, sizeof *d + bytes.n)) {
        free(d);
        return false;
    }
    return true;
}

/* --- what all of them are told --- */

static void reload(void *arg)
{
    tl_relayd_server_reload(arg);
}

static void drain(void *arg)
{
    tl_relayd_server_drain(arg);
}

static void shut_down(void *arg)
{
    tl_relayd_server_shutdown(arg);
}

static void stop(void *arg)
{
    tl_loop_stop(arg);
}

static void tell_all(tl_relayd_loops *l, void (*fn)(void *arg))
{
    for (size_t i = 1; i < l->count; i++)
        (void)!tl_mailbox_call(l->seats[i].box, fn, NULL, l->seats[i].server);
    fn(l->seats[0].server);
}

void tl_relayd_loops_reload(tl_relayd_loops *l)
{
    tell_all(l, reload);
}

void tl_relayd_loops_drain(tl_relayd_loops *l)
{
    tell_all(l, drain);
}

void tl_relayd_loops_shutdown(tl_relayd_loops *l)
{
    tell_all(l, shut_down);
}

void tl_relayd_loops_stop(tl_relayd_loops *l)
{
    for (size_t i = 1; i < l->count; i++)
        (void)!tl_mailbox_call(l->seats[i].box, stop, NULL, l->seats[i].loop);
    tl_loop_stop(l->seats[0].loop);
}

/* --- life --- */

tl_err tl_relayd_loops_new(tl_loop *loop, const tl_relayd_options *options,
                           tl_relayd_loops **ret_loops, tl_why *why)
{
    size_t n = options->threads;
    tl_relayd_options own = *options;
    tl_relayd_loops *l = calloc(1, sizeof *l + n * sizeof l->seats[0]);
    if (!l)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    l->count = n;
    tl_rand rand = tl_rand_system();
    uint8_t random[8];
    tl_rand_bytes(&rand, random, sizeof random);
    tl_hex_write(l->process, random, sizeof random);
    if (options->cluster.id[0])
        snprintf(l->process, sizeof l->process, "%s", options->cluster.id);
    l->seats[0].loop = loop;
    tl_err e = TL_OK;
    for (size_t i = 0; !e && i < n; i++) {
        relayd_seat *seat = &l->seats[i];
        seat->loops = l;
        if (i)
            e = tl_loop_new(&seat->loop);
        if (!e && n > 1)
            e = tl_mailbox_new(seat->loop, on_letter, on_read, seat, &seat->box);
        if (e)
            (void)tl_why_set(why, e, "out of memory");
    }
    for (size_t i = 0; !e && i < n; i++) {
        tl_relayd_place place = {.loops = n > 1 ? l : NULL, .index = i, .process = l->process};
        e = tl_relayd_server_new(l->seats[i].loop, &own, &place, &l->seats[i].server, why);
        if (!e && i == 0 && n > 1)
            tl_relayd_server_fix_ports(l->seats[0].server, &own);
    }
    if (e) {
        tl_relayd_loops_free(l);
        return e;
    }
    *ret_loops = l;
    return TL_OK;
}

tl_err tl_relayd_loops_write_ready(const tl_relayd_loops *l, tl_buf *out)
{
    return tl_relayd_server_write_ready(l->seats[0].server, out);
}

static void *run(void *arg)
{
    relayd_seat *seat = arg;
    tl_loop_run(seat->loop);
    atomic_store(&seat->ended, true);
    return NULL;
}

/* Signals are the first loop's. */
static tl_err start_threads(tl_relayd_loops *l, tl_why *why)
{
    sigset_t all, before;
    tl_err e = TL_OK;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 1; !e && i < l->count; i++) {
        int error = pthread_create(&l->seats[i].thread, NULL, run, &l->seats[i]);
        if (error)
            e = tl_why_set(why, TL_ERR_IO, "cannot start a thread: %s", strerror(error));
        else
            l->seats[i].has_thread = true;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e;
}

tl_err tl_relayd_loops_run(tl_relayd_loops *l, tl_why *why)
{
    tl_err e = start_threads(l, why);
    if (e)
        tl_relayd_loops_stop(l);
    else
        tl_loop_run(l->seats[0].loop);
    for (size_t i = 1; i < l->count; i++)
        if (l->seats[i].has_thread)
            pthread_join(l->seats[i].thread, NULL);
    return e;
}

void tl_relayd_loops_free(tl_relayd_loops *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        tl_relayd_server_free(l->seats[i].server);
    for (size_t i = 0; i < l->count; i++)
        tl_mailbox_free(l->seats[i].box);
    for (size_t i = 1; i < l->count; i++)
        if (l->seats[i].loop)
            tl_loop_free(l->seats[i].loop);
    free(l);
}
