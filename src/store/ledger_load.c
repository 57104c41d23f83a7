/* What the node must know of the ledger from its start on. */
#include "store/ledger_state.h"

#include <stdio.h>

typedef struct {
    tl_store_job job; /* first */
    tl_unix now;
    const tl_ledger_loaded *calls;
    void *user;
} load_job;

/* One row a peer and kind; the sums of one peer follow each other. */
static void add(tl_ledger_sums *sums, const char *kind, int64_t debits, int64_t credits)
{
    if (strcmp(kind, "earned") == 0)
        sums->earned += credits;
    else if (strcmp(kind, "spent") == 0)
        sums->spent += debits;
    else if (strcmp(kind, "settled") == 0) {
        sums->received += debits;
        sums->paid += credits;
    }
}

static tl_err tell_peer(tl_db *db, load_job *l, const tl_node_id *peer, const tl_ledger_sums *sums)
{
    int64_t unsigned_n, paid_n;
    tl_db_value id = tl_db_bytes(peer->key, sizeof peer->key);
    tl_err e = tl_db_number(db,
                            "SELECT count(*) FROM transfers WHERE peer = ? AND state = 'posted' "
                            "AND peer_signature IS NULL",
                            TL_DB_WITH(id), 0, &unsigned_n);
    if (!e)
        e = tl_db_number(db, "SELECT count(*) FROM transfers WHERE peer = ? AND " TL_LEDGER_PAID,
                         TL_DB_WITH(id), 0, &paid_n);
    if (!e)
        l->calls->on_peer(l->user, peer, sums, (unsigned)unsigned_n, (unsigned)paid_n);
    return e;
}

static tl_err load_peers(tl_db *db, load_job *l)
{
    sqlite3_stmt *row;
    tl_node_id peer = {{0}};
    tl_ledger_sums sums = {0};
    bool any = false;
    tl_err e = tl_db_find(db,
                          "SELECT peer, kind, sum(debits), sum(credits) FROM accounts "
                          "GROUP BY peer, kind ORDER BY peer",
                          TL_DB_WITHOUT, &row);
    for (; !e; e = tl_db_next(db, row)) {
        tl_node_id next;
        char kind[16];
        if ((e = tl_db_take_bytes(row, 0, next.key, sizeof next.key)) ||
            (e = tl_db_take_text(row, 1, kind, sizeof kind)))
            return e;
        if (any && !tl_node_id_eq(&next, &peer)) {
            if ((e = tell_peer(db, l, &peer, &sums)))
                return e;
            sums = (tl_ledger_sums){0};
        }
        peer = next;
        any = true;
        add(&sums, kind, sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 3));
    }
    if (e != TL_ERR_NOT_FOUND)
        return e;
    return any ? tell_peer(db, l, &peer, &sums) : TL_OK;
}

static tl_err load_served(tl_db *db, load_job *l)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(
        db,
        "SELECT peer, request, at FROM transfers WHERE at > ? AND "
        "role = 'served' AND kind = 'question' AND state = 'posted' "
        "ORDER BY at DESC LIMIT ?",
        TL_DB_WITH(tl_db_int(l->now - TL_BOOK_DAY), tl_db_int(TL_BOOK_RECENT_MAX)), &row);
    for (; !e; e = tl_db_next(db, row)) {
        tl_node_id peer;
        char request[TL_REQUEST_ID_MAX];
        if ((e = tl_db_take_bytes(row, 0, peer.key, sizeof peer.key)) ||
            (e = tl_db_take_text(row, 1, request, sizeof request)))
            return e;
        l->calls->on_served(l->user, &peer, request, sqlite3_column_int64(row, 2));
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err load_named(tl_db *db, load_job *l)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(
        db, "SELECT request, at FROM named WHERE at > ? ORDER BY at DESC LIMIT ?",
        TL_DB_WITH(tl_db_int(l->now - TL_BOOK_DAY), tl_db_int(TL_BOOK_RECENT_MAX)), &row);
    for (; !e; e = tl_db_next(db, row)) {
        char request[TL_REQUEST_ID_MAX];
        if ((e = tl_db_take_text(row, 0, request, sizeof request)))
            return e;
        l->calls->on_named(l->user, request, sqlite3_column_int64(row, 1));
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err load_restored(tl_db *db, load_job *l)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(db, "SELECT restored_at, lacks_from FROM store WHERE restored_at > 0",
                          TL_DB_WITHOUT, &row);
    if (e)
        return e == TL_ERR_NOT_FOUND ? TL_OK : e;
    if (l->calls->on_restored)
        l->calls->on_restored(l->user, sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1));
    sqlite3_reset(row);
    return TL_OK;
}

static tl_err work(tl_store_job *j, tl_db *db)
{
    load_job *l = (load_job *)j;
    /* What a consumer may be asked to pay for such a question stays in its caps. */
    tl_err e = tl_db_run(db,
                         "UPDATE transfers SET state = 'voided' WHERE state = 'held' AND "
                         "kind = 'question'",
                         TL_DB_WITHOUT);
    if (!e)
        e = load_peers(db, l);
    if (!e)
        e = load_served(db, l);
    if (!e)
        e = load_named(db, l);
    return e ? e : load_restored(db, l);
}

tl_err tl_ledger_load(tl_store *s, tl_unix now, const tl_ledger_loaded *calls, void *user)
{
    load_job l = {.job = {.work = work}, .now = now, .calls = calls, .user = user};
    return tl_store_do(s, &l.job);
}
