/* What of the ledger is forgotten: entries that change no sum. Otherwise whoever asks for nothing could
 * fill the disk. */
#include "store/ledger_state.h"

#include <assert.h>
#include <stdlib.h>

/* Of one operation: a few milliseconds. More than come to be between two of them. */
#define CHUNK 256

typedef struct {
    int64_t id;
    tl_node_id peer;
} spare;

/* Fills in at most `max`. */
static tl_err read(tl_db *db, const char *sql, const tl_db_value *values, size_t values_n,
                   spare *ret, size_t max, size_t *ret_n)
{
    sqlite3_stmt *row;
    size_t n = 0;
    tl_err e = tl_db_find(db, sql, values, values_n, &row);
    for (; !e && n < max; e = tl_db_next(db, row)) {
        ret[n].id = sqlite3_column_int64(row, 0);
        if ((e = tl_db_take_bytes(row, 1, ret[n].peer.key, sizeof ret[n].peer.key)))
            break;
        n++;
    }
    if (!e)
        sqlite3_reset(row);
    *ret_n = n;
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

/* With the accounts of a peer of whom nothing is left. */
static tl_err forget(tl_db *db, const spare *s)
{
    tl_err e =
        tl_db_run(db, "DELETE FROM entries WHERE transfer = ?", TL_DB_WITH(tl_db_int(s->id)));
    if (!e)
        e = tl_db_run(db, "DELETE FROM transfers WHERE id = ?", TL_DB_WITH(tl_db_int(s->id)));
    if (!e)
        e = tl_db_run(db,
                      "DELETE FROM accounts WHERE peer = ? AND NOT EXISTS "
                      "(SELECT 1 FROM transfers t WHERE t.peer = accounts.peer)",
                      TL_DB_WITH(tl_db_bytes(s->peer.key, sizeof s->peer.key)));
    return e;
}

static tl_err forget_all(tl_db *db, const spare *s, size_t n)
{
    tl_err e = TL_OK;
    for (size_t i = 0; !e && i < n; i++)
        e = forget(db, &s[i]);
    return e;
}

#define SIGNED " AND (state = 'voided' OR peer_signature IS NOT NULL) "

tl_err tl_ledger_prune(tl_db *db, tl_book_op *op)
{
    const tl_db_value peer = tl_db_bytes(op->entry.peer.key, sizeof op->entry.peer.key);
    spare *s = calloc(CHUNK, sizeof *s);
    size_t n = 0;
    op->entries = calloc(TL_BOOK_READ_MAX, sizeof *op->entries);
    tl_err e = s && op->entries ? TL_OK : TL_ERR_NOMEM;
    if (!e)
        e = read(db,
                 "SELECT id, peer FROM transfers WHERE peer = ? AND " TL_LEDGER_SPARE SIGNED
                 "AND id <= (SELECT id FROM transfers WHERE peer = ? AND " TL_LEDGER_SPARE
                 " ORDER BY id DESC LIMIT 1 OFFSET ?) ORDER BY id LIMIT ?",
                 TL_DB_WITH(peer, peer, tl_db_int(TL_BOOK_SPARE_OF), tl_db_int(CHUNK)), s, CHUNK,
                 &n);
    if (!e)
        e = forget_all(db, s, n);
    if (!e)
        e = read(db,
                 "SELECT id, peer FROM transfers WHERE " TL_LEDGER_SPARE SIGNED
                 "AND id <= (SELECT id FROM transfers WHERE " TL_LEDGER_SPARE
                 " ORDER BY id DESC LIMIT 1 OFFSET ?) ORDER BY id LIMIT ?",
                 TL_DB_WITH(tl_db_int(TL_BOOK_SPARE_MAX), tl_db_int(CHUNK)), s, CHUNK, &n);
    if (!e)
        e = forget_all(db, s, n);
    if (!e)
        e = read(db,
                 "SELECT id, peer FROM transfers WHERE " TL_LEDGER_SPARE
                 " AND state = 'posted' AND peer_signature IS NULL AND at < ? ORDER BY id LIMIT ?",
                 TL_DB_WITH(tl_db_int(op->entry.at - TL_BOOK_DAY), tl_db_int(TL_BOOK_READ_MAX)), s,
                 TL_BOOK_READ_MAX, &n);
    if (!e)
        e = forget_all(db, s, n);
    for (size_t i = 0; !e && i < n; i++)
        op->entries[op->n++].peer = s[i].peer;
    free(s);
    return e;
}
