#include "store/deeds.h"

#include <stdlib.h>

#define MAY_WAIT_MS 1000
#define MILLI       1000 /* fragments held fall, and the database has whole numbers */
/* Of a deed that is older, 1/1024 is left. */
#define SERVED_DAYS 300
/* Questions of ours that are looked at, at the start: the newest. Half a second of work. */
#define SERVED_MAX  200000

typedef struct {
    tl_store_job job; /* first */
    tl_reciprocity_kept kept;
    tl_deeds d;
    tl_unix now;
} deeds_job;

static void done(tl_store_job *j, tl_err e)
{
    (void)e; /* the store tells of a disk that fails (tl_store_state) */
    free(j);
}

static tl_err submit(tl_store *s, const deeds_job *job, tl_err (*work)(tl_store_job *j, tl_db *db))
{
    deeds_job *copy = malloc(sizeof *copy);
    if (!copy)
        return TL_ERR_NOMEM;
    *copy = *job;
    copy->job = (tl_store_job){.work = work, .done = done, .may_wait_ms = MAY_WAIT_MS};
    tl_store_submit(s, &copy->job);
    return TL_OK;
}

/* --- own deeds --- */

static tl_err put_kept(tl_store_job *j, tl_db *db)
{
    const tl_reciprocity_kept *k = &((deeds_job *)j)->kept;
    tl_err e = tl_db_run(db,
                         "INSERT INTO deeds VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                         "relayed = excluded.relayed, held_milli = excluded.held_milli, "
                         "at = excluded.at",
                         TL_DB_WITH(tl_db_id(&k->node), tl_db_int((int64_t)k->relayed),
                                    tl_db_int((int64_t)(k->held * MILLI)), tl_db_int(k->at)));
    return e ? e
             : tl_db_run(db,
                         "DELETE FROM deeds WHERE node IN (SELECT node FROM deeds "
                         "ORDER BY at DESC LIMIT -1 OFFSET ?)",
                         TL_DB_WITH(tl_db_int(TL_RECIPROCITY_OWN_MAX)));
}

tl_err tl_store_put_kept(tl_store *s, const tl_reciprocity_kept *kept)
{
    const deeds_job job = {.kept = *kept};
    return submit(s, &job, put_kept);
}

/* --- statements --- */

static tl_err make_room(tl_db *db, const deeds_job *job)
{
    tl_err e = tl_db_run(db, "DELETE FROM statements WHERE expires_at <= ?",
                         TL_DB_WITH(tl_db_int(job->now)));
    if (!e)
        e = tl_db_run(db,
                      "DELETE FROM statements WHERE signer = ?1 AND node IN (SELECT node FROM "
                      "statements WHERE signer = ?1 ORDER BY issued_at DESC LIMIT -1 OFFSET ?2)",
                      TL_DB_WITH(tl_db_id(&job->d.by), tl_db_int(TL_RECIPROCITY_OF_SIGNER)));
    return e ? e
             : tl_db_run(db,
                         "DELETE FROM statements WHERE (signer, node) IN (SELECT signer, node FROM "
                         "statements ORDER BY issued_at DESC LIMIT -1 OFFSET ?)",
                         TL_DB_WITH(tl_db_int(TL_RECIPROCITY_ALL)));
}

static tl_err put_deeds(tl_store_job *j, tl_db *db)
{
    const deeds_job *job = (deeds_job *)j;
    const tl_deeds *d = &job->d;
    tl_err e = tl_db_run(
        db,
        "INSERT INTO statements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET relayed = excluded.relayed, served = excluded.served, "
        "held = excluded.held, sequence = excluded.sequence, "
        "issued_at = excluded.issued_at, expires_at = excluded.expires_at, "
        "signature = excluded.signature WHERE excluded.sequence > sequence",
        TL_DB_WITH(tl_db_id(&d->by), tl_db_id(&d->node), tl_db_int(d->count[TL_DEED_RELAYED]),
                   tl_db_int(d->count[TL_DEED_SERVED]), tl_db_int(d->count[TL_DEED_HELD]),
                   tl_db_int(d->sequence), tl_db_int(d->issued_at), tl_db_int(d->expires_at),
                   tl_db_bytes(d->signature.bytes, sizeof d->signature.bytes)));
    return e ? e : make_room(db, job);
}

tl_err tl_store_put_deeds(tl_store *s, const tl_deeds *d, tl_unix now)
{
    const deeds_job job = {.d = *d, .now = now};
    return submit(s, &job, put_deeds);
}

static tl_err drop_deeds(tl_store_job *j, tl_db *db)
{
    return tl_db_run(db, "DELETE FROM statements WHERE signer = ?",
                     TL_DB_WITH(tl_db_id(&((deeds_job *)j)->d.by)));
}

tl_err tl_store_drop_deeds(tl_store *s, const tl_node_id *by)
{
    const deeds_job job = {.d = {.by = *by}};
    return submit(s, &job, drop_deeds);
}

/* --- at start --- */

typedef struct {
    tl_store_job job; /* first */
    tl_unix now;
    const tl_deeds_loaded *calls;
    void *user;
} load_job;

/* A posted question of ours has a receipt that this node signed: the schema sees to that. Its time is of
 * our own clock. */
static tl_err load_served(tl_db *db, const load_job *l)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(
        db,
        "SELECT peer, max(at), total(tokens_in + tokens_out) FROM (SELECT peer, at, tokens_in, "
        "tokens_out FROM transfers WHERE at > ?1 AND at <= ?2 AND role = 'asked' AND "
        "kind = 'question' AND state = 'posted' ORDER BY at DESC LIMIT ?3) "
        "GROUP BY peer, at / 86400",
        TL_DB_WITH(tl_db_int(l->now - SERVED_DAYS * 86400), tl_db_int(l->now),
                   tl_db_int(SERVED_MAX)),
        &row);
    for (; !e; e = tl_db_next(db, row)) {
        tl_node_id node;
        if ((e = tl_db_take_bytes(row, 0, node.key, sizeof node.key)))
            return e;
        double tokens = sqlite3_column_double(row, 2);
        l->calls->on_served(l->user, &node,
                            tokens < (double)TL_NUMBER_EXACT_MAX ? (int64_t)tokens
                                                                 : TL_NUMBER_EXACT_MAX,
                            sqlite3_column_int64(row, 1));
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err load_kept(tl_db *db, const load_job *l)
{
    sqlite3_stmt *row;
    tl_err e =
        tl_db_find(db, "SELECT node, relayed, held_milli, at FROM deeds", TL_DB_WITHOUT, &row);
    for (; !e; e = tl_db_next(db, row)) {
        tl_reciprocity_kept k = {.relayed = (double)sqlite3_column_int64(row, 1),
                                 .held = (double)sqlite3_column_int64(row, 2) / MILLI,
                                 .at = sqlite3_column_int64(row, 3)};
        if ((e = tl_db_take_bytes(row, 0, k.node.key, sizeof k.node.key)))
            return e;
        l->calls->on_kept(l->user, &k);
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

/* The oldest first: so the table's bounds drop what the store's would. */
static tl_err load_statements(tl_db *db, const load_job *l)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(db,
                          "SELECT signer, node, relayed, served, held, sequence, issued_at, "
                          "expires_at, signature FROM statements ORDER BY issued_at",
                          TL_DB_WITHOUT, &row);
    for (; !e; e = tl_db_next(db, row)) {
        tl_deeds d = {.sequence = sqlite3_column_int64(row, 5),
                      .issued_at = sqlite3_column_int64(row, 6),
                      .expires_at = sqlite3_column_int64(row, 7)};
        for (int i = 0; i < TL_DEED_KINDS; i++)
            d.count[i] = sqlite3_column_int64(row, 2 + i);
        if ((e = tl_db_take_bytes(row, 0, d.by.key, sizeof d.by.key)) ||
            (e = tl_db_take_bytes(row, 1, d.node.key, sizeof d.node.key)) ||
            (e = tl_db_take_bytes(row, 8, d.signature.bytes, sizeof d.signature.bytes)))
            return e;
        l->calls->on_deeds(l->user, &d);
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err load(tl_store_job *j, tl_db *db)
{
    const load_job *l = (load_job *)j;
    tl_err e = load_served(db, l);
    if (!e)
        e = load_kept(db, l);
    return e ? e : load_statements(db, l);
}

tl_err tl_store_load_deeds(tl_store *s, tl_unix now, const tl_deeds_loaded *calls, void *user)
{
    load_job l = {.job.work = load, .now = now, .calls = calls, .user = user};
    return tl_store_do(s, &l.job);
}
