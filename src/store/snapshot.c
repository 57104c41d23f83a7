#include "store/snapshot.h"

#include "store/db_state.h"
#include "store/ledger_state.h"

#include <sodium.h>

/* Bytes 18 and 19 of the file say how it is written: 2 a log beside it, 1 no log
 * (https://sqlite.org/fileformat2.html). */
#define HOW_WRITTEN 18
#define HEAD_SIZE   100

/* Where each table is there: older databases have none of them. */
static const char *const of_backups[] = {"fragments", "fragment_owners", "backup_places",
                                         "backup_kept"};

#define LEAN "kind = 'question' AND " TL_LEDGER_NOTHING_OF("")

static int empty(sqlite3 *copy, const char *table)
{
    char sql[160];
    sqlite3_stmt *found = NULL;
    snprintf(sql, sizeof sql, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '%s'",
             table);
    int rc = sqlite3_prepare_v2(copy, sql, -1, &found, NULL);
    bool there = !rc && sqlite3_step(found) == SQLITE_ROW;
    sqlite3_finalize(found);
    snprintf(sql, sizeof sql, "DELETE FROM %s", table);
    return rc || !there ? rc : sqlite3_exec(copy, sql, NULL, NULL, NULL);
}

/* Takes out what is not for a backup. */
static int strip(sqlite3 *copy, bool lean)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; !rc && i < sizeof of_backups / sizeof *of_backups; i++)
        rc = empty(copy, of_backups[i]);
    if (!rc && lean)
        rc = sqlite3_exec(
            copy,
            "DELETE FROM entries WHERE transfer IN (SELECT id FROM transfers WHERE " LEAN ");"
            "DELETE FROM transfers WHERE " LEAN,
            NULL, NULL, NULL);
    if (!rc)
        rc = sqlite3_exec(copy, "VACUUM", NULL, NULL, NULL);
    return rc;
}

/* Loads the bytes, which SQLite frees in any case, into a database in memory. */
static int load(unsigned char *bytes, sqlite3_int64 n, sqlite3 **ret)
{
    bytes[HOW_WRITTEN] = bytes[HOW_WRITTEN + 1] = 1;
    int rc = sqlite3_open_v2(":memory:", ret,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY |
                                 SQLITE_OPEN_NOMUTEX,
                             NULL);
    if (rc) {
        sqlite3_free(bytes);
        return rc;
    }
    return sqlite3_deserialize(*ret, "main", bytes, n, n,
                               SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE);
}

tl_err tl_snapshot_take(tl_db *db, bool lean, tl_buf *out)
{
    sqlite3 *copy = NULL;
    sqlite3_int64 n = 0;
    unsigned char *bytes = sqlite3_serialize(db->sqlite, "main", &n, 0);
    if (!bytes || n < HEAD_SIZE) {
        sqlite3_free(bytes);
        return TL_ERR_NOMEM;
    }
    int rc = load(bytes, n, &copy);
    if (!rc)
        rc = strip(copy, lean);
    bytes = rc ? NULL : sqlite3_serialize(copy, "main", &n, 0);
    tl_err e = bytes                      ? tl_buf_append(out, tl_slice_of(bytes, (size_t)n))
               : rc && rc != SQLITE_NOMEM ? TL_ERR_IO
                                          : TL_ERR_NOMEM;
    if (e == TL_ERR_IO)
        (void)tl_why_set(&db->why, e, "the database could not be copied: %s",
                         copy ? sqlite3_errmsg(copy) : sqlite3_errstr(rc));
    if (bytes)
        sodium_memzero(bytes, (size_t)n);
    sqlite3_free(bytes);
    (void)sqlite3_close(copy);
    return e;
}
