#include "store/fragments.h"

#include "base/table.h"
#include "store/fragment_files.h"

#include <stdio.h>
#include <stdlib.h>

#define MAY_WAIT_MS 1000

static void name_of(char ret_name[TL_FRAGMENT_NAME_MAX], const tl_fragment_row *r)
{
    tl_fragment_name(ret_name, &r->owner, r->id);
}

static tl_db_value id_value(const uint8_t id[TL_STORE_FRAGMENT_ID])
{
    return tl_db_bytes(id, TL_STORE_FRAGMENT_ID);
}

/* --- jobs with bytes --- */

static void fragment_done(tl_store_job *j, tl_err e)
{
    tl_fragment_job *f = (tl_fragment_job *)j;
    f->done(f, e);
}

static tl_err work_put(tl_store_job *j, tl_db *db)
{
    const tl_fragment_job *f = (tl_fragment_job *)j;
    const tl_fragment_row *r = &f->row;
    char name[TL_FRAGMENT_NAME_MAX];
    name_of(name, r);
    tl_err e = tl_fragment_write(f->folder, name, tl_buf_slice(&f->content));
    return e ? e
             : tl_db_run(db, "INSERT OR REPLACE INTO fragments VALUES (?, ?, ?, ?, ?, ?)",
                         TL_DB_WITH(tl_db_id(&r->owner), id_value(r->id), tl_db_int(r->size),
                                    tl_db_id(&r->recovery), tl_db_int(r->placed_at),
                                    tl_db_int(r->stranger)));
}

static tl_err work_get(tl_store_job *j, tl_db *db)
{
    tl_fragment_job *f = (tl_fragment_job *)j;
    char name[TL_FRAGMENT_NAME_MAX];
    (void)db;
    name_of(name, &f->row);
    return tl_fragment_read(f->folder, name, TL_STORE_CONTENT_MAX, &f->content);
}

void tl_store_put_fragment(tl_store *s, tl_fragment_job *j)
{
    j->job = (tl_store_job){.work = work_put, .done = fragment_done};
    tl_store_submit(s, &j->job);
}

void tl_store_get_fragment(tl_store *s, tl_fragment_job *j)
{
    j->job = (tl_store_job){.work = work_get, .done = fragment_done, .reads = true};
    tl_store_submit(s, &j->job);
}

/* --- jobs for which nobody waits --- */

typedef struct {
    tl_store_job job; /* first */
    char folder[1024];
    tl_fragment_row row;
    tl_unix at;
    uint8_t item[TL_STORE_POINTER_MAX];
    size_t item_n;
} row_job;

static void row_done(tl_store_job *j, tl_err e)
{
    (void)e; /* the store tells of a disk that fails (tl_store_state) */
    free(j);
}

static tl_err submit(tl_store *s, const row_job *job, tl_err (*work)(tl_store_job *j, tl_db *db))
{
    row_job *copy = malloc(sizeof *copy);
    if (!copy)
        return TL_ERR_NOMEM;
    *copy = *job;
    copy->job = (tl_store_job){.work = work, .done = row_done, .may_wait_ms = MAY_WAIT_MS};
    tl_store_submit(s, &copy->job);
    return TL_OK;
}

/* The file goes although the row may stay where the commit fails: then it is one that the disk has lost. */
static tl_err work_drop(tl_store_job *j, tl_db *db)
{
    const row_job *r = (row_job *)j;
    char name[TL_FRAGMENT_NAME_MAX];
    tl_err e = tl_db_run(db, "DELETE FROM fragments WHERE owner = ? AND id = ?",
                         TL_DB_WITH(tl_db_id(&r->row.owner), id_value(r->row.id)));
    name_of(name, &r->row);
    if (!e)
        tl_fragment_remove(r->folder, name);
    return e;
}

tl_err tl_store_drop_fragment(tl_store *s, const char *folder, const tl_node_id *owner,
                              const uint8_t id[TL_STORE_FRAGMENT_ID])
{
    row_job job = {.row.owner = *owner};
    memcpy(job.row.id, id, TL_STORE_FRAGMENT_ID);
    snprintf(job.folder, sizeof job.folder, "%s", folder);
    return submit(s, &job, work_drop);
}

static tl_err work_heard(tl_store_job *j, tl_db *db)
{
    const row_job *r = (row_job *)j;
    return tl_db_run(db,
                     "INSERT INTO fragment_owners VALUES (?, ?, NULL) "
                     "ON CONFLICT DO UPDATE SET heard_at = excluded.heard_at",
                     TL_DB_WITH(tl_db_id(&r->row.owner), tl_db_int(r->at)));
}

tl_err tl_store_put_fragment_owner(tl_store *s, const tl_node_id *owner, tl_unix heard_at)
{
    const row_job job = {.row.owner = *owner, .at = heard_at};
    return submit(s, &job, work_heard);
}

static tl_err work_pointer(tl_store_job *j, tl_db *db)
{
    const row_job *r = (row_job *)j;
    return tl_db_run(db, "UPDATE fragment_owners SET pointer = ? WHERE owner = ?",
                     TL_DB_WITH(r->item_n ? tl_db_bytes(r->item, r->item_n) : tl_db_null(),
                                tl_db_id(&r->row.owner)));
}

tl_err tl_store_put_fragment_pointer(tl_store *s, const tl_node_id *owner, tl_slice item)
{
    row_job job = {.row.owner = *owner, .item_n = item.n};
    if (item.n > sizeof job.item)
        return TL_ERR_TOO_LARGE;
    if (item.n)
        memcpy(job.item, item.p, item.n);
    return submit(s, &job, work_pointer);
}

static tl_err work_forget(tl_store_job *j, tl_db *db)
{
    return tl_db_run(db, "DELETE FROM fragment_owners WHERE owner = ?",
                     TL_DB_WITH(tl_db_id(&((row_job *)j)->row.owner)));
}

tl_err tl_store_drop_fragment_owner(tl_store *s, const tl_node_id *owner)
{
    const row_job job = {.row.owner = *owner};
    return submit(s, &job, work_forget);
}

/* --- our own backup --- */

typedef struct {
    tl_store_job job; /* first */
    char folder[1024];
    tl_backup_row row;
    bool blob_is_new;
    tl_buf blob;
    uint8_t before[TL_STORE_FRAGMENT_ID]; /* the blob that is not needed once this is committed */
    bool had_before;
} backup_job;

static void backup_done(tl_store_job *j, tl_err e)
{
    backup_job *b = (backup_job *)j;
    (void)e; /* as row_done */
    tl_buf_clear(&b->blob);
    free(b);
}

static tl_err put_place(tl_db *db, const tl_backup_place_row *p, int64_t place)
{
    return tl_db_run(db, "INSERT INTO backup_places VALUES (?, ?, ?, ?, ?, ?)",
                     TL_DB_WITH(place < 0 ? tl_db_null() : tl_db_int(place), id_value(p->id),
                                tl_db_id(&p->holder), tl_db_int(p->placed_at),
                                tl_db_int(p->proven_at), tl_db_int(p->expires_at)));
}

static tl_err put_rows(tl_db *db, const tl_backup_row *r)
{
    tl_err e = tl_db_run(db, "DELETE FROM backup_kept", TL_DB_WITHOUT);
    if (!e)
        e = tl_db_run(db, "DELETE FROM backup_places", TL_DB_WITHOUT);
    if (!e && r->any)
        e = tl_db_run(db, "INSERT INTO backup_kept VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                      TL_DB_WITH(id_value(r->blob), tl_db_int(r->made_at), tl_db_int(r->k),
                                 tl_db_int(r->n), tl_db_int(r->strangers), tl_db_id(&r->recovery),
                                 tl_db_int(r->before_since), tl_db_int(r->before_at),
                                 tl_db_int(r->before_lose)));
    for (unsigned i = 0; !e && r->any && i < r->n; i++)
        if (r->place[i].held)
            e = put_place(db, &r->place[i], i);
    for (size_t i = 0; !e && i < r->old_n; i++)
        e = put_place(db, &r->old[i], -1);
    return e;
}

/* Notes the blob that is there now, if it is another one. */
static tl_err note_before(tl_db *db, backup_job *b)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(db, "SELECT blob FROM backup_kept", TL_DB_WITHOUT, &row);
    if (!e)
        e = tl_db_take_bytes(row, 0, b->before, sizeof b->before);
    b->had_before = !e && (!b->row.any || memcmp(b->before, b->row.blob, sizeof b->before) != 0);
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err work_backup(tl_store_job *j, tl_db *db)
{
    backup_job *b = (backup_job *)j;
    char name[TL_FRAGMENT_NAME_MAX];
    tl_err e = note_before(db, b);
    if (!e && b->blob_is_new && b->row.any) {
        tl_fragment_name(name, NULL, b->row.blob);
        e = tl_fragment_write(b->folder, name, tl_buf_slice(&b->blob));
    }
    if (!e)
        e = put_rows(db, &b->row);
    if (!e && b->had_before) { /* where the commit fails, the next backup is made anew */
        tl_fragment_name(name, NULL, b->before);
        tl_fragment_remove(b->folder, name);
    }
    return e;
}

tl_err tl_store_put_backup(tl_store *s, const char *folder, const tl_backup_row *row,
                           const tl_slice *blob)
{
    backup_job *b = calloc(1, sizeof *b);
    if (!b)
        return TL_ERR_NOMEM;
    b->row = *row;
    b->blob_is_new = blob != NULL;
    snprintf(b->folder, sizeof b->folder, "%s", folder);
    if (blob && tl_buf_append(&b->blob, *blob)) {
        free(b);
        return TL_ERR_NOMEM;
    }
    b->job = (tl_store_job){
        .work = work_backup, .done = backup_done, .may_wait_ms = blob ? 0 : MAY_WAIT_MS};
    tl_store_submit(s, &b->job);
    return TL_OK;
}

/* --- at the start --- */

typedef struct known {
    char name[TL_FRAGMENT_NAME_MAX];
    UT_hash_handle hh;
} known;

typedef struct {
    tl_store_job job; /* first */
    const char *folder;
    const tl_fragments_loaded *calls;
    void *user;
    known *names; /* of files that have rows */
} load_job;

static tl_err know(load_job *l, const tl_node_id *owner, const uint8_t id[TL_STORE_FRAGMENT_ID])
{
    known *k = calloc(1, sizeof *k);
    if (!k)
        return TL_ERR_NOMEM;
    tl_fragment_name(k->name, owner, id);
    if (TL_TABLE_ADD(hh, l->names, name[0], strlen(k->name), k))
        return TL_OK;
    free(k);
    return TL_ERR_NOMEM;
}

static bool is_known(void *user, const char *name)
{
    const load_job *l = user;
    known *k;
    HASH_FIND(hh, l->names, name, strlen(name), k);
    return k;
}

static tl_err load_owners(tl_db *db, const load_job *l)
{
    sqlite3_stmt *row;
    tl_err e =
        tl_db_find(db, "SELECT owner, heard_at, pointer FROM fragment_owners", TL_DB_WITHOUT, &row);
    for (; !e; e = tl_db_next(db, row)) {
        tl_node_id owner;
        if ((e = tl_db_take_bytes(row, 0, owner.key, sizeof owner.key)))
            return e;
        l->calls->on_owner(
            l->user, &owner, sqlite3_column_int64(row, 1),
            tl_slice_of(sqlite3_column_blob(row, 2), (size_t)sqlite3_column_bytes(row, 2)));
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err load_fragments(tl_db *db, load_job *l)
{
    sqlite3_stmt *row;
    tl_err e =
        tl_db_find(db, "SELECT owner, id, size, recovery, placed_at, stranger FROM fragments",
                   TL_DB_WITHOUT, &row);
    for (; !e; e = tl_db_next(db, row)) {
        tl_fragment_row r = {.size = (uint32_t)sqlite3_column_int64(row, 2),
                             .placed_at = sqlite3_column_int64(row, 4),
                             .stranger = sqlite3_column_int64(row, 5) != 0};
        if ((e = tl_db_take_bytes(row, 0, r.owner.key, sizeof r.owner.key)) ||
            (e = tl_db_take_bytes(row, 1, r.id, sizeof r.id)) ||
            (e = tl_db_take_bytes(row, 3, r.recovery.key, sizeof r.recovery.key)) ||
            (e = know(l, &r.owner, r.id)))
            return e;
        l->calls->on_fragment(l->user, &r);
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err load_places(tl_db *db, tl_backup_row *r)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(db,
                          "SELECT place, id, holder, placed_at, proven_at, expires_at "
                          "FROM backup_places",
                          TL_DB_WITHOUT, &row);
    for (; !e; e = tl_db_next(db, row)) {
        bool old = sqlite3_column_type(row, 0) == SQLITE_NULL;
        int64_t at = old ? (int64_t)r->old_n : sqlite3_column_int64(row, 0);
        if (at < 0 || at >= (old ? TL_STORE_OLD_MAX : TL_STORE_PLACES_MAX))
            return TL_ERR_PROTO;
        tl_backup_place_row *p = old ? &r->old[at] : &r->place[at];
        *p = (tl_backup_place_row){.held = true,
                                   .placed_at = sqlite3_column_int64(row, 3),
                                   .proven_at = sqlite3_column_int64(row, 4),
                                   .expires_at = sqlite3_column_int64(row, 5)};
        r->old_n += old;
        if ((e = tl_db_take_bytes(row, 1, p->id, sizeof p->id)) ||
            (e = tl_db_take_bytes(row, 2, p->holder.key, sizeof p->holder.key)))
            return e;
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err load_kept(tl_db *db, tl_backup_row *r)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(db,
                          "SELECT blob, made_at, k, n, strangers, recovery, before_since, "
                          "before_at, before_lose FROM backup_kept",
                          TL_DB_WITHOUT, &row);
    if (e)
        return e == TL_ERR_NOT_FOUND ? TL_OK : e;
    r->any = true;
    r->made_at = sqlite3_column_int64(row, 1);
    r->k = (uint8_t)sqlite3_column_int64(row, 2);
    r->n = (uint8_t)sqlite3_column_int64(row, 3);
    r->strangers = sqlite3_column_int64(row, 4) != 0;
    r->before_since = sqlite3_column_int64(row, 6);
    r->before_at = sqlite3_column_int64(row, 7);
    r->before_lose = (int)sqlite3_column_int64(row, 8);
    e = tl_db_take_bytes(row, 0, r->blob, sizeof r->blob);
    return e ? e : tl_db_take_bytes(row, 5, r->recovery.key, sizeof r->recovery.key);
}

static tl_err load_backup(tl_db *db, load_job *l)
{
    tl_backup_row r = {0};
    tl_buf blob = {0};
    char name[TL_FRAGMENT_NAME_MAX];
    tl_err e = load_kept(db, &r);
    if (!e)
        e = load_places(db, &r);
    if (!e && r.any) {
        tl_fragment_name(name, NULL, r.blob);
        e = know(l, NULL, r.blob);
        if (!e && tl_fragment_read(l->folder, name, TL_STORE_CONTENT_MAX, &blob) == TL_ERR_NOMEM)
            e = TL_ERR_NOMEM;
    }
    if (!e && (r.any || r.old_n))
        l->calls->on_backup(l->user, &r, tl_buf_slice(&blob));
    tl_buf_clear(&blob);
    return e;
}

static tl_err work_load(tl_store_job *j, tl_db *db)
{
    load_job *l = (load_job *)j;
    known *k, *next;
    tl_err e = tl_fragment_folder(l->folder);
    if (!e)
        e = load_owners(db, l);
    if (!e)
        e = load_fragments(db, l);
    if (!e)
        e = load_backup(db, l);
    if (!e)
        tl_fragment_sweep(l->folder, is_known, l);
    HASH_ITER (hh, l->names, k, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
        HASH_DELETE(hh, l->names, k);
        free(k);
    }
    return e;
}

tl_err tl_store_load_fragments(tl_store *s, const char *folder, const tl_fragments_loaded *calls,
                               void *user)
{
    load_job l = {.job.work = work_load, .folder = folder, .calls = calls, .user = user};
    return tl_store_do(s, &l.job);
}
