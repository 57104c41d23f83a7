#include "store/store.h"

#include "base/log.h"
#include "store/db_state.h"
#include "store/file.h"
#include "store/migrations.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BUSY_MS        5000 /* a backup program that reads the file at our start is waited for */
/* Above it indexes are not compared with their tables at each start: that is a second for 64 MiB, and
 * a minute for what a busy provider has after years. */
#define FULL_CHECK_MAX (64 << 20)
#define BATCH_MAX      256 /* jobs of one transaction: so the first does not wait long for the last */
#define WAIT_MAX_MS    100 /* what a crash may take of jobs that wait for others */
#define SHARERS_MAX    64  /* so many jobs share a commit well enough: they wait for no more */
/* Five steps below the thread of the loop: it yields to that one, and still gets a quarter of a processor
 * that both want. */
#define NICE           5

typedef struct {
    tl_store_job *first, **last;
    size_t n;
} line;

struct tl_store {
    tl_store_config config;
    char path[1024];
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t more;  /* for the store's thread: a job came, or it shall end */
    pthread_cond_t less;  /* for the owner: a job ended, or the file is open */
    line queue, readers, ended;
    int64_t due;    /* milliseconds: the queue waits until then; INT64_MAX: it is empty */
    size_t running; /* jobs of the batch that runs */
    bool closing;   /* no further jobs */
    bool opened;    /* the file was opened, or refused: `open_error` */
    tl_err open_error;
    tl_why open_why;
    tl_store_state state;
    bool stopped;      /* the owner's: the thread has ended */
    bool failing_told; /* the owner's: the log says so */

    /* the store's thread's own, without the lock */
    tl_db db;
    tl_store_file file;
    bool wrote,
        failed; /* of this batch: something is on the disk; something is not, by its fault */
};

tl_store_config tl_store_config_default(void)
{
    return (tl_store_config){.busy_ms = BUSY_MS,
                             .wait_max_ms = WAIT_MAX_MS,
                             .full_check_max = FULL_CHECK_MAX,
                             .steps = tl_store_steps,
                             .steps_n = tl_store_steps_n};
}

/* --- lines of jobs --- */

static void line_init(line *l)
{
    *l = (line){.last = &l->first};
}

static void put(line *l, tl_store_job *j)
{
    j->next = NULL;
    *l->last = j;
    l->last = &j->next;
    l->n++;
}

static tl_store_job *take(line *l)
{
    tl_store_job *j = l->first;
    if (!j)
        return NULL;
    l->first = j->next;
    if (!l->first)
        l->last = &l->first;
    l->n--;
    return j;
}

/* --- one transaction, on the store's thread --- */

static tl_err run_job(tl_db *db, tl_store_job *j)
{
    tl_err e = tl_db_run(db, "SAVEPOINT job", TL_DB_WITHOUT);
    if (e)
        return e;
    e = j->work(j, db);
    tl_db_reset_all(db);
    if (sqlite3_get_autocommit(db->sqlite)) /* SQLite gave the whole transaction up */
        return e ? e : TL_ERR_IO;
    tl_err back = TL_OK;
    if (e)
        back = tl_db_run(db, "ROLLBACK TO job", TL_DB_WITHOUT);
    if (!back)
        back = tl_db_run(db, "RELEASE job", TL_DB_WITHOUT);
    return e ? e : back;
}

/* The job's transaction is lost. Whatever the job found, it may have found it in rows that are not on the
 * disk: the answer "exists already" would be about one of them. */
static void lose(tl_store_job *j, const tl_why *why)
{
    if (j->result == TL_ERR_IO)
        return; /* it has said why itself */
    j->result = TL_ERR_IO;
    j->why = *why;
}

/* Ends the transaction; true: what it wrote is on the disk. */
static bool commit(tl_store *s, bool wrote)
{
    tl_err e = TL_OK;
    if (wrote)
        e = tl_db_run(&s->db, "UPDATE store SET commits = commits + 1", TL_DB_WITHOUT);
    if (!e)
        e = tl_db_run(&s->db, "COMMIT", TL_DB_WITHOUT);
    if (e) {
        if (!sqlite3_get_autocommit(s->db.sqlite))
            (void)sqlite3_exec(s->db.sqlite, "ROLLBACK", NULL, NULL, NULL);
        return false;
    }
    if (wrote) {
        s->wrote = true;
        s->file.mark.commits++;
        /* Where it fails the mark is behind, which does no harm: what is older is still refused. */
        (void)!tl_mark_write(s->file.mark_fd, &s->file.mark);
    }
    return true;
}

/* Runs `jobs` up to the end, or up to the one at which SQLite gave the transaction up: this one and all
 * before it end with TL_ERR_IO. Returns what is left. */
static tl_store_job *run_transaction(tl_store *s, tl_store_job *jobs)
{
    tl_store_job *j = jobs, *end = NULL;
    sqlite3 *sqlite = s->db.sqlite;
    bool good = !tl_db_run(&s->db, "BEGIN IMMEDIATE", TL_DB_WITHOUT);
    int before = sqlite3_total_changes(sqlite);
    for (; good && j; j = j->next) {
        s->db.why.text[0] = 0;
        j->result = run_job(&s->db, j);
        if (j->result && !j->why.text[0])
            j->why = s->db.why;
        if (sqlite3_get_autocommit(sqlite)) {
            good = false;
            end = j->next;
        }
    }
    if (good)
        good = commit(s, sqlite3_total_changes(sqlite) != before);
    if (!good)
        for (j = jobs; j != end; j = j->next)
            lose(j, &s->db.why);
    return end;
}

static void run_batch(tl_store *s, tl_store_job *jobs)
{
    s->wrote = s->failed = false;
    for (tl_store_job *j = jobs; j; j = j->next)
        j->result = TL_OK;
    for (tl_store_job *left = jobs; left;)
        left = run_transaction(s, left);
    for (tl_store_job *j = jobs; j; j = j->next)
        s->failed = s->failed || j->result == TL_ERR_IO;
}

/* --- the store's thread --- */

static tl_err open_file(tl_store *s, tl_why *why)
{
    tl_store_place place = {.path = s->path,
                            .steps = s->config.steps,
                            .steps_n = s->config.steps_n,
                            .busy_ms = s->config.busy_ms,
                            .full_check_max = s->config.full_check_max};
    tl_err e = tl_store_file_open(&place, &s->file, why);
    if (!e) {
        s->db.sqlite = s->file.sqlite;
        s->db.thread = pthread_self();
    }
    return e;
}

/* Gives the jobs of a batch back. With the lock. */
static void end_batch(tl_store *s, tl_store_job *jobs)
{
    s->running = 0;
    s->state.commits = s->file.mark.commits;
    if (s->failed || s->wrote) /* reading tells nothing of the disk's room */
        s->state.failing = s->failed;
    for (tl_store_job *j = jobs, *next; j; j = next) {
        next = j->next;
        s->state.jobs++;
        if (j->result == TL_ERR_IO) {
            s->state.failures++;
            snprintf(s->state.cause, sizeof s->state.cause, "%.*s", (int)sizeof s->state.cause - 1,
                     j->why.text);
        }
        j->ended = true;
        if (!j->waited)
            put(&s->ended, j);
    }
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* NULL: nothing is queued, or what is there waits for others. With the lock. */
static tl_store_job *take_batch(tl_store *s)
{
    line batch;
    line_init(&batch);
    while (batch.n < BATCH_MAX && s->readers.n)
        put(&batch, take(&s->readers));
    s->running = batch.n;
    if (batch.n)
        return batch.first;
    if (!s->closing && s->queue.n < SHARERS_MAX && now_ms() < s->due)
        return NULL;
    while (batch.n < BATCH_MAX && s->queue.n)
        put(&batch, take(&s->queue));
    if (!s->queue.n)
        s->due = INT64_MAX;
    s->running = batch.n;
    return batch.first;
}

/* With the lock: until something is to be done, or longer. */
static void wait_for_more(tl_store *s)
{
    struct timespec until = {s->due / 1000, s->due % 1000 * 1000000};
    if (s->due == INT64_MAX)
        pthread_cond_wait(&s->more, &s->lock);
    else
        (void)pthread_cond_timedwait(&s->more, &s->lock, &until);
}

static void *run_thread(void *user)
{
    tl_store *s = user;
    tl_why why = {""};
    tl_err e = open_file(s, &why);
    /* Of this thread alone. Where that is forbidden it goes on as before. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + NICE);
    pthread_mutex_lock(&s->lock);
    s->opened = true;
    s->open_error = e;
    s->open_why = why;
    s->state.created = s->file.created;
    s->state.restored = s->file.restored;
    s->state.commits = s->file.mark.commits;
    pthread_cond_broadcast(&s->less);
    while (!e) {
        tl_store_job *jobs = take_batch(s);
        if (!jobs && s->closing)
            break;
        if (!jobs) {
            wait_for_more(s);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        run_batch(s, jobs);
        pthread_mutex_lock(&s->lock);
        bool wake = s->ended.n == 0;
        end_batch(s, jobs);
        wake = wake && s->ended.n > 0;
        pthread_cond_broadcast(&s->less);
        if (wake && s->config.wake) {
            pthread_mutex_unlock(&s->lock);
            s->config.wake(s->config.user);
            pthread_mutex_lock(&s->lock);
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (!e) {
        tl_db_finalize_all(&s->db);
        tl_store_file_close(&s->file);
    }
    return NULL;
}

/* Signals are for the thread of the loop. */
static int start_thread(tl_store *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&s->thread, NULL, run_thread, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* --- the owner's side --- */

static void free_store(tl_store *s)
{
    pthread_cond_destroy(&s->less);
    pthread_cond_destroy(&s->more);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

tl_err tl_store_open(const char *path, const tl_store_config *config, tl_store **ret_store,
                     tl_why *why)
{
    if (strlen(path) >= sizeof((tl_store *)NULL)->path)
        return tl_why_set(why, TL_ERR_INVALID, "the path %.64s... is too long", path);
    tl_store *s = calloc(1, sizeof *s);
    if (!s)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    s->config = *config;
    snprintf(s->path, sizeof s->path, "%s", path);
    snprintf(s->state.path, sizeof s->state.path, "%s", path);
    line_init(&s->queue);
    line_init(&s->readers);
    line_init(&s->ended);
    s->due = INT64_MAX;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&s->more, &clock);
    pthread_condattr_destroy(&clock);
    pthread_cond_init(&s->less, NULL);
    int error = start_thread(s);
    if (error) {
        free_store(s);
        return tl_why_set(why, TL_ERR_IO, "cannot start the store's thread: %s", strerror(error));
    }
    pthread_mutex_lock(&s->lock);
    while (!s->opened)
        pthread_cond_wait(&s->less, &s->lock);
    pthread_mutex_unlock(&s->lock);
    if (s->open_error) {
        tl_err e = s->open_error;
        pthread_join(s->thread, NULL);
        if (why)
            *why = s->open_why;
        free_store(s);
        return e;
    }
    *ret_store = s;
    return TL_OK;
}

/* With the lock. True: the thread is to be woken. */
TL_CHECK static bool enqueue(tl_store *s, tl_store_job *j)
{
    j->ended = false;
    if (s->closing || s->queue.n + s->readers.n >= TL_STORE_QUEUE_MAX) {
        j->result = s->closing ? TL_ERR_CLOSED : TL_ERR_BUSY;
        tl_why_set(&j->why, j->result, "%s",
                   s->closing ? "the node is stopping"
                              : "the disk does not keep up: too much waits to be stored");
        j->ended = true;
        if (!j->waited)
            put(&s->ended, j);
        return false;
    }
    if (j->reads) {
        put(&s->readers, j);
        return true;
    }
    int wait = j->may_wait_ms < s->config.wait_max_ms ? j->may_wait_ms : s->config.wait_max_ms;
    int64_t due = wait > 0 ? now_ms() + wait : 0;
    put(&s->queue, j);
    /* A thread that sleeps until an earlier time is left asleep. */
    bool earlier = due < s->due;
    if (earlier)
        s->due = due;
    return earlier || s->queue.n == SHARERS_MAX;
}

void tl_store_submit(tl_store *s, tl_store_job *j)
{
    j->waited = false;
    j->why.text[0] = 0;
    pthread_mutex_lock(&s->lock);
    bool first = s->ended.n == 0;
    bool more = enqueue(s, j);
    bool wake = first && j->ended;
    pthread_mutex_unlock(&s->lock);
    if (more) /* without the lock, so that the thread does not wake only to wait for it */
        pthread_cond_signal(&s->more);
    if (wake && s->stopped)
        tl_store_collect(s);
    else if (wake && s->config.wake)
        s->config.wake(s->config.user);
}

tl_err tl_store_do(tl_store *s, tl_store_job *j)
{
    j->waited = true;
    j->why.text[0] = 0;
    pthread_mutex_lock(&s->lock);
    if (enqueue(s, j))
        pthread_cond_signal(&s->more);
    while (!j->ended)
        pthread_cond_wait(&s->less, &s->lock);
    pthread_mutex_unlock(&s->lock);
    return j->result;
}

/* Once for each run of failures. */
static void tell_failures(tl_store *s, const tl_store_state *state)
{
    if (state->failing && !s->failing_told)
        tl_log(TL_LOG_ERROR, "%s: %s", s->path, state->cause);
    else if (!state->failing && s->failing_told)
        tl_log(TL_LOG_INFO, "%s: what comes is stored again", s->path);
    s->failing_told = state->failing;
}

void tl_store_collect(tl_store *s)
{
    pthread_mutex_lock(&s->lock);
    tl_store_job *jobs = s->ended.first;
    tl_store_state state = s->state;
    line_init(&s->ended);
    pthread_mutex_unlock(&s->lock);
    tell_failures(s, &state);
    for (tl_store_job *j = jobs, *next; j; j = next) {
        next = j->next; /* `done` may free the job */
        if (j->done)
            j->done(j, j->result);
    }
}

bool tl_store_is_idle(const tl_store *store)
{
    tl_store *s = (tl_store *)(uintptr_t)store; /* only its lock changes */
    pthread_mutex_lock(&s->lock);
    bool idle = !s->queue.n && !s->readers.n && !s->running && !s->ended.n;
    pthread_mutex_unlock(&s->lock);
    return idle;
}

void tl_store_state_of(tl_store *s, tl_store_state *ret)
{
    pthread_mutex_lock(&s->lock);
    *ret = s->state;
    if (!ret->failing)
        ret->cause[0] = 0;
    pthread_mutex_unlock(&s->lock);
}

void tl_store_stop(tl_store *s)
{
    if (s->stopped)
        return;
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    while (s->ended.n) /* a `done` may submit jobs, which end at once */
        tl_store_collect(s);
    s->stopped = true;
}

void tl_store_close(tl_store *s)
{
    if (!s)
        return;
    tl_store_stop(s);
    free_store(s);
}
