#include "relayd/mailbox.h"

#include "io/waker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LETTERS_MAX 4096 /* handed out at once; then the sockets of the loop get their turn */

typedef struct letter {
    struct letter *next;
    void (*fn)(void *arg); /* NULL: bytes follow */
    void (*drop)(void *arg);
    void *arg;
    bool is_lent;
    size_t n; /* of the letter, or lent */
    uint8_t bytes[];
} letter;

struct tl_mailbox {
    tl_waker *waker;
    void (*on_letter)(void *user, tl_slice bytes);
    void (*on_read)(void *user);
    void *user;
    letter *mine; /* taken out, and not handed out yet; of the loop alone */
    atomic_size_t bytes, lent;
    pthread_mutex_t lock;
    letter *first, *last; /* under the lock */
    bool is_woken;        /* under the lock: the loop knows that something waits */
};

static void take_all(tl_mailbox *b)
{
    if (b->mine)
        return;
    pthread_mutex_lock(&b->lock);
    b->mine = b->first;
    b->first = b->last = NULL;
    b->is_woken = false;
    pthread_mutex_unlock(&b->lock);
}

/* What came while older letters were left woke nobody. */
static bool has_more(tl_mailbox *b)
{
    pthread_mutex_lock(&b->lock);
    bool more = b->mine || b->first;
    pthread_mutex_unlock(&b->lock);
    return more;
}

static atomic_size_t *count_of(tl_mailbox *b, const letter *l)
{
    return l->is_lent ? &b->lent : &b->bytes;
}

static void free_all(letter *l)
{
    letter *next;
    for (; l; l = next) {
        next = l->next;
        if (l->drop)
            l->drop(l->arg);
        free(l);
    }
}

static void on_wake(void *user)
{
    tl_mailbox *b = user;
    letter *read = NULL;
    size_t n = 0;
    take_all(b);
    for (letter *l; (l = b->mine) && n < LETTERS_MAX; n++) {
        b->mine = l->next;
        if (l->fn)
            l->fn(l->arg);
        else
            b->on_letter(b->user, tl_slice_of(l->bytes, l->n));
        atomic_fetch_sub_explicit(count_of(b, l), l->n, memory_order_relaxed);
        if (!l->is_lent)
            l->drop = NULL; /* what was called has it */
        l->next = read;
        read = l;
    }
    b->on_read(b->user);
    free_all(read);
    if (has_more(b))
        tl_waker_wake(b->waker);
}

tl_err tl_mailbox_new(tl_loop *loop, void (*on_letter)(void *user, tl_slice bytes),
                      void (*on_read)(void *user), void *user, tl_mailbox **ret_box)
{
    tl_mailbox *b = calloc(1, sizeof *b);
    if (!b)
        return TL_ERR_NOMEM;
    b->on_letter = on_letter;
    b->on_read = on_read;
    b->user = user;
    tl_err e = tl_waker_new(loop, on_wake, b, &b->waker);
    if (e) {
        free(b);
        return e;
    }
    pthread_mutex_init(&b->lock, NULL);
    *ret_box = b;
    return TL_OK;
}

void tl_mailbox_free(tl_mailbox *b)
{
    if (!b)
        return;
    free_all(b->mine);
    free_all(b->first);
    tl_waker_free(b->waker);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static void put(tl_mailbox *b, letter *l)
{
    l->next = NULL;
    atomic_fetch_add_explicit(count_of(b, l), l->n, memory_order_relaxed);
    pthread_mutex_lock(&b->lock);
    if (b->last)
        b->last->next = l;
    else
        b->first = l;
    b->last = l;
    bool wakes = !b->is_woken;
    b->is_woken = true;
    pthread_mutex_unlock(&b->lock);
    if (wakes)
        tl_waker_wake(b->waker);
}

tl_err tl_mailbox_put(tl_mailbox *b, tl_slice bytes)
{
    letter *l = malloc(sizeof *l + bytes.n);
    if (!l)
        return TL_ERR_NOMEM;
    *l = (letter){.n = bytes.n};
    if (bytes.n)
        memcpy(l->bytes, bytes.p, bytes.n);
    put(b, l);
    return TL_OK;
}

tl_err tl_mailbox_call(tl_mailbox *b, void (*fn)(void *arg), void (*drop)(void *arg), void *arg)
{
    letter *l = malloc(sizeof *l);
    if (!l)
        return TL_ERR_NOMEM;
    *l = (letter){.fn = fn, .drop = drop, .arg = arg};
    put(b, l);
    return TL_OK;
}

tl_err tl_mailbox_lend(tl_mailbox *b, void (*fn)(void *arg), void (*release)(void *arg), void *arg,
                       size_t n)
{
    if (n > TL_MAILBOX_LENT_MAX ||
        atomic_load_explicit(&b->lent, memory_order_relaxed) > TL_MAILBOX_LENT_MAX - n)
        return TL_ERR_BUSY;
    letter *l = malloc(sizeof *l);
    if (!l)
        return TL_ERR_NOMEM;
    *l = (letter){.fn = fn, .drop = release, .arg = arg, .is_lent = true, .n = n};
    put(b, l);
    return TL_OK;
}

size_t tl_mailbox_bytes(const tl_mailbox *b)
{
    return atomic_load_explicit(&b->bytes, memory_order_relaxed);
}
