/* What of the ledger is forgotten: entries that change no sum. Otherwise whoever asks for nothing could
 * fill the disk. */
#include "store/ledger_state.h"

#include <stdlib.h>

/* Of one operation, by each rule: a few milliseconds. More than come to be between two of them. */
#define CHUNK 128

typedef struct {
    int64_t id;
    tl_node_id peer;
    bool is_unsigned; /* a claim of this node */
} spare;

/* Fills in at most CHUNK. */
static tl_err read(tl_db *db, const char *sql, const tl_db_value *values, size_t values_n,
                   spare *ret, size_t *ret_n)
{
    sqlite3_stmt *row;
    size_t n = 0;
    tl_err e = tl_db_find(db, sql, values, values_n, &row);
    for (; !e && n < CHUNK; e = tl_db_next(db, row)) {
        ret[n].id = sqlite3_column_int64(row, 0);
        if ((e = tl_db_take_bytes(row, 1, ret[n].peer.key, sizeof ret[n].peer.key)))
            break;
        ret[n].is_unsigned = sqlite3_column_int64(row, 2) != 0;
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

/* What `sql` finds, and tells in op->entries whose claims were among it. */
static tl_err forget_these(tl_db *db, tl_book_op *op, const char *sql, const tl_db_value *values,
                           size_t values_n)
{
    spare s[CHUNK];
    size_t n = 0;
    tl_err e = read(db, sql, values, values_n, s, &n);
    for (size_t i = 0; !e && i < n; i++) {
        if (!(e = forget(db, &s[i])) && s[i].is_unsigned)
            op->entries[op->n++].peer = s[i].peer;
    }
    if (n == CHUNK)
        op->more = true;
    return e;
}

#define FIND  "SELECT id, peer, state = 'posted' AND peer_signature IS NULL FROM transfers WHERE "
#define SPARE TL_LEDGER_SPARE TL_LEDGER_OF_OTHERS
#define FREE  TL_LEDGER_FREE TL_LEDGER_OF_OTHERS

/* Of the public. */
static tl_err forget_spare(tl_db *db, tl_book_op *op, tl_unix old)
{
    const tl_db_value peer = tl_db_bytes(op->entry.peer.key, sizeof op->entry.peer.key);
    tl_err e = forget_these(db, op,
                            FIND SPARE
                            " AND peer = ? AND id <= (SELECT id FROM transfers WHERE peer = ? "
                            "AND " SPARE " ORDER BY id DESC LIMIT 1 OFFSET ?) ORDER BY id LIMIT ?",
                            TL_DB_WITH(peer, peer, tl_db_int(TL_BOOK_SPARE_OF), tl_db_int(CHUNK)));
    if (!e)
        e = forget_these(db, op,
                         FIND SPARE " AND id <= (SELECT id FROM transfers WHERE " SPARE
                                    " ORDER BY id DESC LIMIT 1 OFFSET ?) ORDER BY id LIMIT ?",
                         TL_DB_WITH(tl_db_int(TL_BOOK_SPARE_MAX), tl_db_int(CHUNK)));
    if (!e)
        e = forget_these(db, op,
                         FIND SPARE " AND state = 'posted' AND peer_signature IS NULL AND at < ? "
                                    "ORDER BY id LIMIT ?",
                         TL_DB_WITH(tl_db_int(op->entry.at - TL_BOOK_DAY), tl_db_int(CHUNK)));
    return e ? e
             : forget_these(db, op, FIND SPARE " AND at < ? ORDER BY id LIMIT ?",
                            TL_DB_WITH(tl_db_int(old), tl_db_int(CHUNK)));
}

/* Of private networks. */
static tl_err forget_free(tl_db *db, tl_book_op *op, tl_unix old)
{
    tl_err e = forget_these(db, op, FIND FREE " AND at < ? ORDER BY at LIMIT ?",
                            TL_DB_WITH(tl_db_int(old), tl_db_int(CHUNK)));
    return e ? e
             : forget_these(db, op,
                            FIND FREE " AND at < (SELECT at FROM transfers WHERE " FREE
                                      " ORDER BY at DESC LIMIT 1 OFFSET ?) ORDER BY at LIMIT ?",
                            TL_DB_WITH(tl_db_int(TL_BOOK_FREE_MAX - 1), tl_db_int(CHUNK)));
}

tl_err tl_ledger_prune(tl_db *db, tl_book_op *op)
{
    tl_unix old = op->entry.at - TL_BOOK_SPARE_DAYS * TL_BOOK_DAY;
    op->entries = calloc(7 * CHUNK, sizeof *op->entries); /* CHUNK of each rule */
    if (!op->entries)
        return TL_ERR_NOMEM;
    tl_err e = forget_spare(db, op, old);
    if (!e)
        e = forget_free(db, op, old);
    return e ? e
             : forget_these(db, op, FIND TL_LEDGER_OWN " AND at < ? ORDER BY at LIMIT ?",
                            TL_DB_WITH(tl_db_int(old), tl_db_int(CHUNK)));
}
