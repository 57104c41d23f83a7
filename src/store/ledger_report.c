/* Reports of the ledger: the wallet's sums, and its history. */
#include "store/ledger_state.h"

#include "base/when.h"
#include "crypto/idjson.h"

#include <stdlib.h>

#define PIECE 2000 /* rows of the history that one job reads: some milliseconds */

static tl_err append(json_t *list, json_t *item)
{
    return json_array_append_new(list, item) ? TL_ERR_NOMEM : TL_OK; /* takes NULL for an error */
}

/* --- the wallet --- */

typedef struct {
    tl_node_id peer;
    int64_t earned, spent, settled, held, unsigned_n;
} peer_sums;

static json_t *peer_json(const peer_sums *p)
{
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "node_id", tl_node_id_json(&p->peer),
                     "balance_micro", (json_int_t)(p->earned - p->spent - p->settled),
                     "earned_micro", (json_int_t)p->earned, "spent_micro", (json_int_t)p->spent,
                     "held_micro", (json_int_t)p->held, "settled_micro", (json_int_t)p->settled,
                     "unsigned", (json_int_t)p->unsigned_n);
}

/* What is more than can be told exactly is told as the most that can. */
static void add(int64_t *sum, int64_t n)
{
    int64_t s;
    if (__builtin_add_overflow(*sum, n, &s) || s > TL_MONEY_MAX)
        s = n < 0 ? -TL_MONEY_MAX : TL_MONEY_MAX;
    *sum = s < -TL_MONEY_MAX ? -TL_MONEY_MAX : s;
}

static tl_err wallet_peers(tl_db *db, json_t *peers, peer_sums *total)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(
        db,
        "SELECT peer, sum(credits) FILTER (WHERE kind = 'earned'),"
        " sum(debits) FILTER (WHERE kind = 'spent'),"
        " sum(debits - credits) FILTER (WHERE kind = 'settled'),"
        " coalesce((SELECT sum(held) FROM transfers t WHERE t.peer = a.peer AND t.state = 'held'),"
        "  0),"
        " (SELECT count(*) FROM transfers t WHERE t.peer = a.peer AND t.state = 'posted'"
        "  AND t.peer_signature IS NULL)"
        " FROM accounts a GROUP BY peer ORDER BY peer",
        TL_DB_WITHOUT, &row);
    for (; !e; e = tl_db_next(db, row)) {
        peer_sums p = {.earned = sqlite3_column_int64(row, 1),
                       .spent = sqlite3_column_int64(row, 2),
                       .settled = sqlite3_column_int64(row, 3),
                       .held = sqlite3_column_int64(row, 4),
                       .unsigned_n = sqlite3_column_int64(row, 5)};
        if ((e = tl_db_take_bytes(row, 0, p.peer.key, sizeof p.peer.key)))
            return e;
        add(&total->earned, p.earned);
        add(&total->spent, p.spent);
        add(&total->settled, p.settled);
        add(&total->held, p.held);
        if ((e = append(peers, peer_json(&p))))
            return e;
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err wallet_networks(tl_db *db, json_t *networks)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(
        db,
        "SELECT network,"
        " cast(min(total(credits) FILTER (WHERE kind = 'earned'), 9007199254740991) AS INTEGER),"
        " cast(min(total(debits) FILTER (WHERE kind = 'spent'), 9007199254740991) AS INTEGER)"
        " FROM accounts"
        " WHERE network != x'' GROUP BY network ORDER BY network",
        TL_DB_WITHOUT, &row);
    for (; !e; e = tl_db_next(db, row)) {
        tl_node_id network;
        if ((e = tl_db_take_bytes(row, 0, network.key, sizeof network.key)))
            return e;
        e = append(networks, json_pack("{s:o, s:I, s:I}", "ptn_id", tl_node_id_json(&network),
                                       "earned_micro", (json_int_t)sqlite3_column_int64(row, 1),
                                       "spent_micro", (json_int_t)sqlite3_column_int64(row, 2)));
        if (e)
            return e;
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

tl_err tl_ledger_report_wallet(tl_db *db, tl_report *r)
{
    peer_sums total = {.earned = 0};
    json_t *peers = json_array(), *networks = json_array();
    tl_err e = peers && networks ? wallet_peers(db, peers, &total) : TL_ERR_NOMEM;
    if (!e)
        e = wallet_networks(db, networks);
    if (e) {
        json_decref(peers);
        json_decref(networks);
        return e;
    }
    r->result = json_pack("{s:I, s:I, s:I, s:I, s:o, s:o}", "balance_micro",
                          (json_int_t)(total.earned - total.spent - total.settled), "earned_micro",
                          (json_int_t)total.earned, "spent_micro", (json_int_t)total.spent,
                          "held_micro", (json_int_t)total.held, "peers", peers, "ptns", networks);
    return r->result ? TL_OK : TL_ERR_NOMEM;
}

/* --- the history --- */

static json_t *number_or_null(bool is, int64_t n)
{
    return is ? json_integer(n) : json_null();
}

/* The signed object; null where nobody has signed. */
static json_t *signed_json(const tl_ledger_entry *e)
{
    json_t *object = NULL;
    tl_err err;
    if (e->kind == TL_LEDGER_SETTLEMENT)
        err = tl_settlement_write(&e->settlement, &object);
    else if (e->has_receipt)
        err = tl_receipt_write(&e->receipt, &object);
    else
        return json_null();
    return err == TL_ERR_NOMEM ? NULL : err ? json_null() : object;
}

static json_t *entry_json(const tl_ledger_entry *e)
{
    char at[TL_WHEN_TEXT_MAX];
    bool question = e->kind == TL_LEDGER_QUESTION, posted = e->state == TL_LEDGER_POSTED;
    /* of a settlement what one side signed, also where it came to nothing: `state` says so */
    int64_t amount = posted || !question ? e->amount : e->state == TL_LEDGER_HELD ? e->held : 0;
    tl_when_write(at, e->at);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:s, s:o}", "at", at,
                     "request", e->request, "kind", tl_ledger_kind_name(e->kind), "role",
                     tl_ledger_role_name(e->role), "peer", tl_node_id_json(&e->peer), "ptn_id",
                     e->has_network ? tl_node_id_json(&e->network) : json_null(), "model",
                     question ? json_string(e->model) : json_null(), "tokens_in",
                     number_or_null(question && posted, e->tokens.in), "tokens_out",
                     number_or_null(question && posted, e->tokens.out), "price_micro",
                     number_or_null(question, e->price), "amount_micro", (json_int_t)amount,
                     "state", tl_ledger_state_name(e->state), "receipt", signed_json(e));
}

#define OF_WHOM " AND (? IS NULL OR peer = ?) AND (? IS NULL OR network = ?)"
/* The plus keeps `since` from being the bound in the index: the other one is nearer. */
static const char oldest_first[] =
    "SELECT" TL_LEDGER_COLUMNS "FROM transfers WHERE (at, id) > (?, ?) AND +at >= ?" OF_WHOM
    " ORDER BY at, id LIMIT ?";
static const char newest_first[] =
    "SELECT" TL_LEDGER_COLUMNS "FROM transfers WHERE (at, id) < (?, ?) AND at >= ?" OF_WHOM
    " ORDER BY at DESC, id DESC LIMIT ?";

/* Before the first entry, in the report's order. */
static void begin_history(tl_report *r)
{
    r->last_at = r->after_id ? r->after_at : r->newest ? INT64_MAX : r->since - 1;
    r->last_id = r->after_id ? r->after_id : INT64_MAX;
}

tl_err tl_ledger_report_history(tl_db *db, tl_report *r)
{
    sqlite3_stmt *row;
    if (!r->result && !(r->result = json_pack("{s:[]}", "entries")))
        return TL_ERR_NOMEM;
    if (!r->last_id)
        begin_history(r);
    json_t *entries = json_object_get(r->result, "entries");
    size_t before = json_array_size(entries), piece = PIECE;
    if (r->limit && r->limit - before < piece)
        piece = r->limit - before;
    const void *peer = r->has_peer ? r->peer.key : NULL;
    const void *network = r->has_network ? r->network.key : NULL;
    tl_err e = tl_db_find(
        db, r->newest ? newest_first : oldest_first,
        TL_DB_WITH(tl_db_int(r->last_at), tl_db_int(r->last_id), tl_db_int(r->since),
                   tl_db_bytes(peer, sizeof r->peer.key), tl_db_bytes(peer, sizeof r->peer.key),
                   tl_db_bytes(network, sizeof r->network.key),
                   tl_db_bytes(network, sizeof r->network.key), tl_db_int((int64_t)piece)),
        &row);
    for (; !e; e = tl_db_next(db, row)) {
        tl_ledger_entry entry;
        if ((e = tl_ledger_take_entry(row, &r->self, &entry)) ||
            (e = append(entries, entry_json(&entry))))
            return e;
        r->last_at = entry.at;
        r->last_id = sqlite3_column_int64(row, 0);
    }
    if (e != TL_ERR_NOT_FOUND)
        return e;
    bool full = json_array_size(entries) - before == piece;
    bool enough = r->limit && json_array_size(entries) >= r->limit;
    r->more = full && !enough;
    if (!full || !enough)
        return TL_OK;
    return json_object_set_new(
               r->result, "next",
               json_pack("{s:I, s:I}", "at", (json_int_t)r->last_at, "id", (json_int_t)r->last_id))
               ? TL_ERR_NOMEM
               : TL_OK;
}

/* --- as jobs --- */

static tl_err work(tl_store_job *j, tl_db *db)
{
    tl_report *r = (tl_report *)j;
    r->more = false;
    switch (r->what) {
    case TL_REPORT_WALLET: return tl_ledger_report_wallet(db, r);
    case TL_REPORT_HISTORY: return tl_ledger_report_history(db, r);
    case TL_REPORT_AUDIT: break;
    }
    return tl_ledger_report_audit(db, r);
}

static void done(tl_store_job *j, tl_err e)
{
    tl_report *r = (tl_report *)j;
    if (!e && r->more)
        tl_store_submit(r->store, &r->job);
    else
        r->done(r, e);
}

void tl_report_submit(tl_store *s, tl_report *r)
{
    r->job.work = work;
    r->job.done = done;
    r->store = s;
    tl_store_submit(s, &r->job);
}
