#include "io/mdns.h"

#include "base/log.h"
#include "io/mdns_state.h"

#include <signal.h>
#include <stdlib.h>

#define NEWS_A_TURN 32
#define NEWS_EVERY  (50 * TL_MS) /* however fast a flood changes what is found */

struct tl_mdns {
    tl_loop *loop;
    tl_mdns_events events;
    void *user;
    tl_waker *waker;
    tl_timer next;
    tl_time last; /* when news were last read */
    tl_mdns_mail *mail;
    pthread_t thread;
};

const char *tl_mdns_state_name(tl_mdns_state s)
{
    static const char *const names[] = {"starting", "avahi-daemon", "embedded", "failed"};
    return names[s];
}

/* --- from the thread --- */

static void read_mail(void *user)
{
    tl_mdns *m = user;
    tl_mdns_report report;
    tl_mdns_news news;
    m->last = tl_loop_now(m->loop);
    if (tl_mdns_mail_take_state(m->mail, &report) && m->events.on_state)
        m->events.on_state(m->user, report.state, report.why);
    size_t n = 0;
    while (n < NEWS_A_TURN && tl_mdns_mail_next(m->mail, &news)) {
        n++;
        m->events.on_found(m->user, &news.node, news.addrs, news.n);
    }
    if (n == NEWS_A_TURN)
        tl_timer_set(&m->next, m->last + NEWS_EVERY);
}

static void on_wake(void *user)
{
    tl_mdns *m = user;
    tl_time next = m->last + NEWS_EVERY;
    if (tl_loop_now(m->loop) >= next)
        read_mail(m);
    else
        tl_timer_set(&m->next, next);
}

/* --- the owner's --- */

static tl_mdns_worker *new_worker(tl_mdns *m, tl_rand *rand, const tl_node_id *us, uint16_t port)
{
    tl_mdns_worker *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->mail = m->mail;
    w->us = *us;
    w->port = port;
    w->rand = tl_rand_seeded(tl_rand_u64(rand)); /* it draws lots, and no secrets */
    tl_mdns_name_write(w->first_name, us->key);
    memcpy(w->name, w->first_name, sizeof w->first_name);
    tl_mdns_txt_write(w->txt, us->key);
    return w;
}

/* Signals are for the thread of the loop. */
static int start_thread(tl_mdns *m, tl_mdns_worker *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&m->thread, NULL, tl_mdns_worker_run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static void free_without_thread(tl_mdns *m)
{
    if (m->mail)
        tl_mdns_mail_free(m->mail);
    tl_waker_free(m->waker);
    free(m);
}

tl_err tl_mdns_start(tl_loop *loop, tl_rand *rand, const tl_node_id *us, uint16_t port,
                     const tl_mdns_events *events, void *user, tl_mdns **ret_mdns)
{
    tl_mdns *m = calloc(1, sizeof *m);
    if (!m)
        return TL_ERR_NOMEM;
    m->loop = loop;
    m->events = *events;
    m->user = user;
    tl_timer_init(&m->next, loop, read_mail, m);
    tl_err e = tl_waker_new(loop, on_wake, m, &m->waker);
    if (!e)
        e = tl_mdns_mail_new(m->waker, &m->mail);
    tl_mdns_worker *w = e ? NULL : new_worker(m, rand, us, port);
    if (!e && !w)
        e = TL_ERR_NOMEM;
    if (!e && start_thread(m, w)) {
        free(w);
        e = TL_ERR_IO;
    }
    if (e) {
        free_without_thread(m);
        return e;
    }
    *ret_mdns = m;
    return TL_OK;
}

void tl_mdns_free(tl_mdns *m)
{
    if (!m)
        return;
    tl_timer_stop(&m->next);
    if (tl_mdns_mail_stop(m->mail, TL_MDNS_GOODBYE_NS)) {
        pthread_join(m->thread, NULL);
    } else {
        /* D-Bus holds it; it ends when that is over, or with the process. */
        pthread_detach(m->thread);
        m->mail = NULL;
    }
    free_without_thread(m);
}

void tl_mdns_prefer(tl_mdns *m, const tl_node_id *nodes, size_t n)
{
    tl_mdns_mail_prefer(m->mail, nodes, n);
}

void tl_mdns_tell_again(tl_mdns *m)
{
    tl_mdns_mail_freshen(m->mail); /* which wakes the loop */
}

void tl_mdns_report_get(tl_mdns *m, tl_mdns_report *ret_report)
{
    tl_mdns_mail_read_report(m->mail, ret_report);
}
