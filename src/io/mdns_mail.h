/* mdns_mail.h - what the thread of io/mdns and the loop tell each other: which nodes are found where (the last word of
 * each alone, so that it is bounded however often it changes), how it goes, and the loop's wishes. The one thing that
 * both sides touch, under a lock that nobody holds for long. */
#ifndef TL_IO_MDNS_MAIL_H
#define TL_IO_MDNS_MAIL_H

#include "io/mdns.h"
#include "io/mdns_services.h"
#include "io/waker.h"

#include <pthread.h>
#include <sys/queue.h>

/* Those that are announced, and as many again whose end the loop has not heard of yet. */
#define TL_MDNS_MAIL_MAX (2 * TL_MDNS_FOUND_MAX)

typedef struct {
    tl_node_id node;
    tl_addr addrs[TL_MDNS_ADDRS_MAX];
    size_t n;
} tl_mdns_news;

typedef struct tl_mdns_letter tl_mdns_letter;

typedef struct {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t ended_cond;
    tl_waker *waker;                   /* NULL: the loop's side has gone */
    void (*wake_thread)(void *thread); /* NULL: the thread has ended, or does not listen yet */
    void *thread;
    bool stop, ended;
    bool abandoned;          /* the loop's side waits no longer: the mail is the thread's to free */
    tl_mdns_letter *letters; /* by node */
    TAILQ_HEAD(, tl_mdns_letter) fresh;
    tl_mdns_report report;
    bool state_changed;
    tl_node_id *preferred; /* NULL: nothing new */
    size_t n_preferred;
} tl_mdns_mail;

TL_CHECK tl_err tl_mdns_mail_new(tl_waker *waker, tl_mdns_mail **ret_mail);
/* Both sides must have gone. */
void tl_mdns_mail_free(tl_mdns_mail *m);

/* --- the thread --- */

/* False: no room, or no memory. Never false where n is 0. */
bool tl_mdns_mail_tell(tl_mdns_mail *m, const tl_node_id *node, const tl_addr *addrs, size_t n);
/* `nodes` of the report is counted here. */
void tl_mdns_mail_report(tl_mdns_mail *m, const tl_mdns_report *report);
/* Who is preferred from now on; the caller frees it. NULL: as before. */
tl_node_id *tl_mdns_mail_take_preferred(tl_mdns_mail *m, size_t *ret_n);
bool tl_mdns_mail_stopped(tl_mdns_mail *m);
/* `wake` is called by the loop's side with the lock. NULL: no more. */
void tl_mdns_mail_listen(tl_mdns_mail *m, void (*wake)(void *thread), void *thread);
/* The last word of the thread. True: the loop's side did not wait for it, so the mail is the thread's to free. */
TL_CHECK bool tl_mdns_mail_end(tl_mdns_mail *m);

/* --- the loop --- */

/* The next node of which something is new. False: none. */
bool tl_mdns_mail_next(tl_mdns_mail *m, tl_mdns_news *ret_news);
/* True: the state or its reason changed since the last call. */
bool tl_mdns_mail_take_state(tl_mdns_mail *m, tl_mdns_report *ret_report);
void tl_mdns_mail_read_report(tl_mdns_mail *m, tl_mdns_report *ret_report);
void tl_mdns_mail_prefer(tl_mdns_mail *m, const tl_node_id *nodes, size_t n);
/* Each node that is announced counts as new, and the loop is woken. */
void tl_mdns_mail_freshen(tl_mdns_mail *m);
/* Has the thread end, and waits for it at most `wait`. The waker is not used any more. True: it has ended, and the mail
 * is the caller's to free. False: the thread frees it, whenever it ends. */
TL_CHECK bool tl_mdns_mail_stop(tl_mdns_mail *m, tl_time wait);

#endif
