/* What of the ledger is forgotten: entries that change no sum, and paid ones that are settled. Otherwise
 * strangers could fill the disk. */
#include "store/ledger_state.h"

#include <stdlib.h>

/* Of one operation, by each rule: a few milliseconds. More than come to be between two of them. */
#define CHUNK 128
/* Peers of one operation whose paid questions it looks at: to find that nothing of a peer is settled takes
 * some 10 us. */
#define PEERS 64

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

/* What the peer has paid beyond what was forgotten of it. */
static tl_err room_of(tl_db *db, const tl_node_id *peer, int64_t *ret_room)
{
    return tl_db_number(db,
                        "SELECT credits - coalesce((SELECT debits FROM carried c WHERE "
                        "c.account = a.id), 0) FROM accounts a WHERE kind = 'owed' AND peer = ? "
                        "AND network = x''",
                        TL_DB_WITH(tl_db_bytes(peer->key, sizeof peer->key)), 0, ret_room);
}

typedef struct {
    int64_t id, amount;
} paid;

/* The oldest of the peer that may go: CHUNK, or `most`, at most. */
static tl_err read_paid(tl_db *db, const tl_node_id *peer, tl_unix before, size_t most,
                        paid ret[CHUNK], size_t *ret_n)
{
    sqlite3_stmt *row;
    int64_t room = 0;
    size_t n = 0, limit = most < CHUNK ? most : CHUNK;
    tl_err e = room_of(db, peer, &room);
    *ret_n = 0;
    if (e || room <= 0)
        return e;
    e = tl_db_find(db,
                   "SELECT id, amount, at, peer_signature IS NULL FROM transfers WHERE "
                   "peer = ? AND " TL_LEDGER_PAID " ORDER BY id LIMIT ?",
                   TL_DB_WITH(tl_db_bytes(peer->key, sizeof peer->key), tl_db_int(2 * CHUNK)),
                   &row);
    for (; !e && n < limit; e = tl_db_next(db, row)) {
        int64_t amount = sqlite3_column_int64(row, 1);
        if (amount > room || sqlite3_column_int64(row, 2) >= before)
            break;
        if (sqlite3_column_int64(row, 3))
            continue; /* a claim that is still open */
        room -= amount;
        ret[n++] = (paid){sqlite3_column_int64(row, 0), amount};
    }
    if (!e)
        sqlite3_reset(row);
    *ret_n = n;
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err forget_paid_of(tl_db *db, tl_book_op *op, const tl_node_id *peer, size_t most,
                             size_t *ret_n)
{
    paid rows[CHUNK];
    size_t n;
    tl_err e = read_paid(db, peer, op->entry.at - TL_BOOK_DAY, most, rows, &n);
    for (size_t i = 0; !e && i < n; i++) {
        const spare s = {.id = rows[i].id, .peer = *peer};
        tl_ledger_entry *told = &op->entries[op->n];
        if ((e = forget(db, &s)))
            break;
        told->peer = *peer;
        told->amount = rows[i].amount;
        op->n++;
    }
    *ret_n = n;
    return e;
}

/* The next peer with such rows. TL_ERR_NOT_FOUND: none comes after the cursor. */
static tl_err next_peer(tl_db *db, const tl_node_id *cursor, tl_node_id *ret)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(db,
                          "SELECT peer FROM transfers WHERE peer > ? AND " TL_LEDGER_PAID
                          " ORDER BY peer LIMIT 1",
                          TL_DB_WITH(tl_db_bytes(cursor->key, sizeof cursor->key)), &row);
    if (e)
        return e;
    e = tl_db_take_bytes(row, 0, ret->key, sizeof ret->key);
    sqlite3_reset(row);
    return e;
}

static tl_err forget_paid(tl_db *db, tl_book_op *op)
{
    size_t n = 0, all = 0;
    tl_err e = op->paid_of ? forget_paid_of(db, op, &op->entry.peer, op->paid_of, &n) : TL_OK;
    op->more = op->more || n == CHUNK;
    size_t most = op->paid_all < CHUNK ? op->paid_all : CHUNK;
    for (int i = 0; !e && i < PEERS && all < most; i++) {
        tl_node_id peer;
        e = next_peer(db, &op->cursor, &peer);
        if (e)
            break;
        if ((e = forget_paid_of(db, op, &peer, most - all, &n)))
            return e;
        all += n;
        if (all < most)
            op->cursor = peer; /* nothing more of it may go now */
    }
    if (e == TL_ERR_NOT_FOUND) {
        op->cursor = (tl_node_id){{0}};
        return TL_OK;
    }
    op->more = op->more || (!e && op->paid_all > all);
    return e;
}

tl_err tl_ledger_prune(tl_db *db, tl_book_op *op)
{
    tl_unix old = op->entry.at - TL_BOOK_SPARE_DAYS * TL_BOOK_DAY;
    op->entries = calloc(9 * CHUNK, sizeof *op->entries); /* CHUNK of each rule */
    if (!op->entries)
        return TL_ERR_NOMEM;
    tl_err e = forget_spare(db, op, old);
    if (!e)
        e = forget_free(db, op, old);
    if (!e)
        e = forget_these(db, op, FIND TL_LEDGER_OWN " AND at < ? ORDER BY at LIMIT ?",
                         TL_DB_WITH(tl_db_int(old), tl_db_int(CHUNK)));
    return e ? e : forget_paid(db, op);
}
