#include "store/recovery.h"

#include <sodium.h>
#include <stdlib.h>

typedef struct {
    tl_store_job job; /* first */
    tl_recovery_row row;
    tl_store_told on_done;
    void *user;
} recovery_job;

static void done(tl_store_job *j, tl_err e)
{
    recovery_job *r = (recovery_job *)j;
    if (r->on_done)
        r->on_done(r->user, e, j->why.text);
    sodium_memzero(r, sizeof *r);
    free(r);
}

static tl_err submit(tl_store *s, const recovery_job *job,
                     tl_err (*work)(tl_store_job *j, tl_db *db))
{
    recovery_job *copy = malloc(sizeof *copy);
    if (!copy)
        return TL_ERR_NOMEM;
    *copy = *job;
    copy->job = (tl_store_job){.work = work, .done = done};
    tl_store_submit(s, &copy->job);
    return TL_OK;
}

static tl_err put(tl_store_job *j, tl_db *db)
{
    const tl_recovery_row *r = &((recovery_job *)j)->row;
    return tl_db_run(
        db, "INSERT OR REPLACE INTO recovery VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        TL_DB_WITH(tl_db_bytes(r->root, sizeof r->root),
                   tl_db_bytes(r->instance, sizeof r->instance), tl_db_int(r->sequence),
                   tl_db_int(r->made_at), tl_db_int(r->holders), tl_db_int(r->strangers),
                   tl_db_int(r->elsewhere), tl_db_int(r->stage), tl_db_int(r->unshown)));
}

tl_err tl_store_put_recovery(tl_store *s, const tl_recovery_row *row, tl_store_told on_done,
                             void *user)
{
    const recovery_job job = {.row = *row, .on_done = on_done, .user = user};
    return submit(s, &job, put);
}

static tl_err drop(tl_store_job *j, tl_db *db)
{
    (void)j;
    return tl_db_run(db, "DELETE FROM recovery", TL_DB_WITHOUT);
}

tl_err tl_store_drop_recovery(tl_store *s, tl_store_told on_done, void *user)
{
    const recovery_job job = {.on_done = on_done, .user = user};
    return submit(s, &job, drop);
}

static tl_err load(tl_store_job *j, tl_db *db)
{
    tl_recovery_row *r = &((recovery_job *)j)->row;
    sqlite3_stmt *row;
    tl_err e =
        tl_db_find(db,
                   "SELECT root, instance, sequence, made_at, holders, strangers, elsewhere, "
                   "stage, unshown FROM recovery",
                   TL_DB_WITHOUT, &row);
    if (!e)
        e = tl_db_take_bytes(row, 0, r->root, sizeof r->root);
    if (!e)
        e = tl_db_take_bytes(row, 1, r->instance, sizeof r->instance);
    if (e)
        return e;
    r->sequence = sqlite3_column_int64(row, 2);
    r->made_at = sqlite3_column_int64(row, 3);
    r->holders = (uint8_t)sqlite3_column_int64(row, 4);
    r->strangers = sqlite3_column_int64(row, 5) != 0;
    r->elsewhere = sqlite3_column_int64(row, 6) != 0;
    r->stage = (tl_recovery_stage)sqlite3_column_int64(row, 7);
    r->unshown = sqlite3_column_int64(row, 8) != 0;
    return TL_OK;
}

tl_err tl_store_load_recovery(tl_store *s, tl_recovery_row *ret_row)
{
    recovery_job r = {.job = {.work = load, .reads = true}};
    tl_err e = tl_store_do(s, &r.job);
    if (!e)
        *ret_row = r.row;
    sodium_memzero(&r, sizeof r);
    return e;
}
