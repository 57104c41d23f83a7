/* store.h - what this node must not forget, in one SQLite file: opens and checks it, and runs jobs
 * on it in order. One thread of the store's own touches SQLite; the thread that owns the store never
 * does. Knows no event loop.
 *
 * What is acknowledged is on the disk. All jobs that wait go into one transaction, each in a
 * savepoint of its own; after its commit (synchronous=FULL) each job's `done` says so. A job that
 * fails leaves nothing behind, and does not touch the others. Where the commit fails, each job of it
 * ends with TL_ERR_IO, whatever it found. A job for which nobody waits says how long it may wait for
 * others to share its commit with; one that is in haste takes along all before it.
 *
 * The store's thread has a lower priority than the others: what it does is for later, and on a machine
 * whose processors are busy it must not hold up an answer.
 *
 * A file that is corrupt, of a newer version, or set back behind what was committed is refused, and
 * not one byte of it changes (file.h, mark.h). */
#ifndef TL_STORE_STORE_H
#define TL_STORE_STORE_H

#include "base/slice.h"
#include "store/db.h"

typedef struct tl_store tl_store;

/* One piece of work, in the caller's memory, which stays until `done` is called. */
typedef struct tl_store_job {
    /* Called on the store's thread, inside a transaction. It touches the job's own memory and `db`
     * only. An error takes back what this job wrote. */
    tl_err (*work)(struct tl_store_job *j, tl_db *db);
    /* Called by tl_store_collect, or by tl_store_stop, on the owner's thread. TL_OK: what the job
     * wrote is on the disk. Else nothing of it is, and `why` may have words. It may free the job,
     * and submit others. */
    void (*done)(struct tl_store_job *j, tl_err e);
    int may_wait_ms; /* for others; 0: it does not wait */
    /* It writes nothing, and need not see what is queued: it goes before all that, and waits for no
     * commit. */
    bool reads;
    tl_why why;
    /* private */
    struct tl_store_job *next;
    tl_err result;
    bool waited; /* tl_store_do waits for it: `done` is not called */
    bool ended;
} tl_store_job;

typedef struct {
    /* Called on the store's thread when jobs have ended: have the owner's thread call
     * tl_store_collect soon. NULL: the owner calls it anyway. */
    void (*wake)(void *user);
    void *user;
    int busy_ms;     /* how long to wait for another program that reads the file */
    int wait_max_ms; /* no job waits longer for others, whatever it says */
    long long
        full_check_max; /* bytes: the indexes of a larger file are not compared at the start */
    const char *const *steps; /* the migrations (migrations.h) */
    size_t steps_n;
} tl_store_config;
tl_store_config tl_store_config_default(void);

/* Opens the file at `path`, which is made where it is not there, and brings it to the newest
 * version. Checks it first. The text of `why` begins with its code where the file is at fault:
 * TL_ERR_PROTO E_STORE_CORRUPT, TL_ERR_FORBIDDEN E_STORE_NEWER, TL_ERR_REPLAY E_STORE_SET_BACK,
 * TL_ERR_BUSY E_STORE_LOCKED (another process has it). TL_ERR_IO, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_store_open(const char *path, const tl_store_config *config, tl_store **ret_store,
                              tl_why *why);
/* Never waits. Jobs run in the order in which they were submitted, those that read before the others. At most TL_STORE_QUEUE_MAX wait;
 * further ones end with TL_ERR_BUSY, and while the store stops with TL_ERR_CLOSED. */
#define TL_STORE_QUEUE_MAX 8192 /* seconds of work; beyond it the disk does not keep up */
void tl_store_submit(tl_store *s, tl_store_job *j);
/* Calls `done` of every job that has ended. Not from inside a `done`. */
void tl_store_collect(tl_store *s);
/* Runs one job, and waits for it: at start, and in tests. `done` may be NULL; it is not called. */
TL_CHECK tl_err tl_store_do(tl_store *s, tl_store_job *j);
/* True when no job waits, runs, or has a `done` to come. */
bool tl_store_is_idle(const tl_store *s);
/* Finishes what is queued, calls every `done`, and closes the file. A job that is submitted after
 * this ends with TL_ERR_CLOSED inside tl_store_submit. */
void tl_store_stop(tl_store *s);
/* Stops it where it was not stopped, and frees it. NULL is allowed. */
void tl_store_close(tl_store *s);

/* What the file and its use are like; for doctor and metrics. */
typedef struct {
    char path[1024];
    bool restored; /* it came without its mark: it was taken as a copy (mark.h) */
    bool created;
    uint64_t commits;  /* of this file, ever */
    uint64_t jobs;     /* since the start */
    uint64_t failures; /* jobs that failed for the disk's fault, since the start */
    bool failing;      /* what was last to be written is not on the disk */
    char cause[256];   /* why; "" where it did not */
} tl_store_state;
void tl_store_state_of(tl_store *s, tl_store_state *ret);

#endif
