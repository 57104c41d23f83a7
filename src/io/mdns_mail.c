#include "io/mdns_mail.h"

#include "base/table.h"

#include <stdlib.h>
#include <time.h>

struct tl_mdns_letter {
    tl_mdns_news news;
    bool fresh;                           /* the loop has not read this */
    bool known;                           /* the loop has read an earlier one */
    TAILQ_ENTRY(tl_mdns_letter) in_order; /* of the fresh ones */
    UT_hash_handle hh;
};

tl_err tl_mdns_mail_new(tl_waker *waker, tl_mdns_mail **ret_mail)
{
    tl_mdns_mail *m = calloc(1, sizeof *m);
    if (!m)
        return TL_ERR_NOMEM;
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&m->ended_cond, &clock);
    pthread_condattr_destroy(&clock);
    TAILQ_INIT(&m->fresh);
    m->waker = waker;
    *ret_mail = m;
    return TL_OK;
}

static void drop(tl_mdns_mail *m, tl_mdns_letter *l)
{
    if (l->fresh)
        TAILQ_REMOVE(&m->fresh, l, in_order);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
    HASH_DELETE(hh, m->letters, l);
    free(l);
}

void tl_mdns_mail_free(tl_mdns_mail *m)
{
    tl_mdns_letter *l, *next;
    HASH_ITER (hh, m->letters, l, next)
        drop(m, l);
    pthread_cond_destroy(&m->ended_cond);
    pthread_mutex_destroy(&m->lock);
    free(m->preferred);
    free(m);
}

/* With the lock. */
static void wake_loop(tl_mdns_mail *m)
{
    if (m->waker)
        tl_waker_wake(m->waker);
}

/* --- the thread --- */

/* With the lock. NULL: no room. */
static tl_mdns_letter *letter_of(tl_mdns_mail *m, const tl_node_id *node, bool add)
{
    tl_mdns_letter *l;
    HASH_FIND(hh, m->letters, node->key, sizeof node->key, l);
    if (l || !add || HASH_COUNT(m->letters) >= TL_MDNS_MAIL_MAX || !(l = calloc(1, sizeof *l)))
        return l;
    l->news.node = *node;
    if (!TL_TABLE_ADD(hh, m->letters, news.node.key, sizeof l->news.node.key, l)) {
        free(l);
        return NULL;
    }
    return l;
}

/* With the lock. */
static bool write_letter(tl_mdns_mail *m, const tl_node_id *node, const tl_addr *addrs, size_t n)
{
    tl_mdns_letter *l = letter_of(m, node, n > 0);
    if (!l)
        return n == 0;
    if (n == 0 && !l->known) {
        drop(m, l);
        return true;
    }
    if (l->news.n == n && n > 0 && !memcmp(l->news.addrs, addrs, n * sizeof addrs[0]))
        return true;
    if (n > 0)
        memcpy(l->news.addrs, addrs, n * sizeof addrs[0]);
    l->news.n = n;
    if (!l->fresh) {
        TAILQ_INSERT_TAIL(&m->fresh, l, in_order);
        wake_loop(m);
    }
    l->fresh = true;
    return true;
}

bool tl_mdns_mail_tell(tl_mdns_mail *m, const tl_node_id *node, const tl_addr *addrs, size_t n)
{
    pthread_mutex_lock(&m->lock);
    bool told = write_letter(m, node, addrs, n);
    pthread_mutex_unlock(&m->lock);
    return told;
}

void tl_mdns_mail_report(tl_mdns_mail *m, const tl_mdns_report *report)
{
    tl_mdns_letter *l, *next;
    pthread_mutex_lock(&m->lock);
    if (report->state != m->report.state || strcmp(report->why, m->report.why) != 0) {
        m->state_changed = true;
        wake_loop(m);
    }
    m->report = *report;
    m->report.nodes = 0;
    HASH_ITER (hh, m->letters, l, next)
        m->report.nodes += l->news.n > 0;
    pthread_mutex_unlock(&m->lock);
}

tl_node_id *tl_mdns_mail_take_preferred(tl_mdns_mail *m, size_t *ret_n)
{
    pthread_mutex_lock(&m->lock);
    tl_node_id *nodes = m->preferred;
    m->preferred = NULL;
    *ret_n = m->n_preferred;
    pthread_mutex_unlock(&m->lock);
    return nodes;
}

bool tl_mdns_mail_stopped(tl_mdns_mail *m)
{
    pthread_mutex_lock(&m->lock);
    bool stop = m->stop;
    pthread_mutex_unlock(&m->lock);
    return stop;
}

void tl_mdns_mail_listen(tl_mdns_mail *m, void (*wake)(void *thread), void *thread)
{
    pthread_mutex_lock(&m->lock);
    m->wake_thread = wake;
    m->thread = thread;
    pthread_mutex_unlock(&m->lock);
}

bool tl_mdns_mail_end(tl_mdns_mail *m)
{
    pthread_mutex_lock(&m->lock);
    m->ended = true;
    m->wake_thread = NULL;
    bool alone = m->abandoned;
    pthread_cond_signal(&m->ended_cond);
    pthread_mutex_unlock(&m->lock);
    return alone;
}

/* --- the loop --- */

bool tl_mdns_mail_next(tl_mdns_mail *m, tl_mdns_news *ret_news)
{
    pthread_mutex_lock(&m->lock);
    tl_mdns_letter *l = TAILQ_FIRST(&m->fresh);
    if (l) {
        *ret_news = l->news;
        TAILQ_REMOVE(&m->fresh, l, in_order);
        l->fresh = false;
        l->known = true;
        if (l->news.n == 0)
            drop(m, l);
    }
    pthread_mutex_unlock(&m->lock);
    return l;
}

bool tl_mdns_mail_take_state(tl_mdns_mail *m, tl_mdns_report *ret_report)
{
    pthread_mutex_lock(&m->lock);
    bool changed = m->state_changed;
    m->state_changed = false;
    *ret_report = m->report;
    pthread_mutex_unlock(&m->lock);
    return changed;
}

void tl_mdns_mail_read_report(tl_mdns_mail *m, tl_mdns_report *ret_report)
{
    pthread_mutex_lock(&m->lock);
    *ret_report = m->report;
    pthread_mutex_unlock(&m->lock);
}

/* With the lock. */
static void wake_thread(tl_mdns_mail *m)
{
    if (m->wake_thread)
        m->wake_thread(m->thread);
}

void tl_mdns_mail_prefer(tl_mdns_mail *m, const tl_node_id *nodes, size_t n)
{
    if (n > TL_MDNS_PREFERRED_MAX)
        n = TL_MDNS_PREFERRED_MAX;
    tl_node_id *copy = calloc(n + 1, sizeof *copy);
    if (!copy)
        return; /* who is preferred stays as it was: that costs nothing but in a flood */
    if (n > 0)
        memcpy(copy, nodes, n * sizeof *copy);
    pthread_mutex_lock(&m->lock);
    free(m->preferred);
    m->preferred = copy;
    m->n_preferred = n;
    wake_thread(m);
    pthread_mutex_unlock(&m->lock);
}

void tl_mdns_mail_freshen(tl_mdns_mail *m)
{
    tl_mdns_letter *l, *next;
    pthread_mutex_lock(&m->lock);
    HASH_ITER (hh, m->letters, l, next)
        if (!l->fresh) {
            TAILQ_INSERT_TAIL(&m->fresh, l, in_order);
            l->fresh = true;
        }
    if (!TAILQ_EMPTY(&m->fresh))
        wake_loop(m);
    pthread_mutex_unlock(&m->lock);
}

static struct timespec clock_in(tl_time wait)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    tl_time at = (tl_time)t.tv_sec * TL_SEC + (tl_time)t.tv_nsec + wait;
    return (struct timespec){(time_t)(at / TL_SEC), (long)(at % TL_SEC)};
}

bool tl_mdns_mail_stop(tl_mdns_mail *m, tl_time wait)
{
    struct timespec until = clock_in(wait);
    pthread_mutex_lock(&m->lock);
    m->waker = NULL;
    m->stop = true;
    wake_thread(m);
    while (!m->ended)
        if (pthread_cond_timedwait(&m->ended_cond, &m->lock, &until))
            break;
    bool ended = m->ended;
    m->abandoned = !ended;
    pthread_mutex_unlock(&m->lock);
    return ended;
}
