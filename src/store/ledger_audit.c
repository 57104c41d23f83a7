/* The audit: every sum of the ledger is made anew, every signature is checked, and whatever is wrong
 * is named. */
#include "store/ledger_state.h"

#include <stdio.h>
#include <stdlib.h>

#define PIECE        "200" /* transfers that one job checks: their signatures take some 20 ms */
#define PROBLEMS_MAX 16    /* named; the first is what a person needs */

static tl_err problem(tl_report *r, const char *text)
{
    json_t *problems = json_object_get(r->result, "problems");
    if (json_array_size(problems) >= PROBLEMS_MAX)
        return TL_OK;
    return json_array_append_new(problems, json_string(text)) ? TL_ERR_NOMEM : TL_OK;
}

/* --- sums --- */

/* Each row of `sql` is one thing that is wrong, in words. */
static tl_err wrong_rows(tl_db *db, tl_report *r, const char *sql)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(db, sql, TL_DB_WITHOUT, &row);
    for (; !e; e = tl_db_next(db, row)) {
        char text[256];
        if ((e = tl_db_take_text(row, 0, text, sizeof text)) || (e = problem(r, text)))
            return e;
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err check_sums(tl_db *db, tl_report *r)
{
    /* Every transfer has the entries of its state, and no others. */
    tl_err e = wrong_rows(
        db, r,
        "SELECT 'request ' || t.request || ' with ' || substr(lower(hex(t.peer)), 1, 8) || "
        "': its entries do not fit its state, ' || t.state FROM transfers t LEFT JOIN ("
        " SELECT transfer, sum(phase = 'hold') h, sum(phase = 'release') l, sum(phase = 'post') p,"
        "  total(amount) FILTER (WHERE phase = 'hold') ha,"
        "  total(amount) FILTER (WHERE phase = 'release') la,"
        "  total(amount) FILTER (WHERE phase = 'post') pa FROM entries GROUP BY transfer) s"
        " ON s.transfer = t.id WHERE NOT CASE t.state"
        " WHEN 'held' THEN coalesce(h, 0) = 1 AND l = 0 AND p = 0 AND ha = t.held"
        " WHEN 'voided' THEN coalesce(h, 0) = 1 AND l = 1 AND p = 0 AND ha = t.held AND la = ha"
        " ELSE coalesce(p, 0) = 1 AND h = l AND ha = la AND pa = t.amount END LIMIT 16");
    /* Every entry names the accounts of its transfer's peer that its phase moves, in that direction. */
    if (!e)
        e = wrong_rows(
            db, r,
            "SELECT 'request ' || t.request || ' with ' || substr(lower(hex(t.peer)), 1, 8) || "
            "': an entry (' || e.phase || ') names a wrong account'"
            " FROM entries e JOIN transfers t ON t.id = e.transfer"
            " LEFT JOIN accounts d ON d.id = e.debit LEFT JOIN accounts c ON c.id = e.credit"
            " WHERE d.peer IS NOT t.peer OR c.peer IS NOT t.peer"
            " OR d.network IS NOT iif(d.kind IN ('earned', 'spent'), t.network, x'')"
            " OR c.network IS NOT iif(c.kind IN ('earned', 'spent'), t.network, x'')"
            " OR d.kind || ' <- ' || c.kind IS NOT CASE"
            " WHEN e.phase = 'post' THEN CASE t.kind || ' ' || t.role"
            "  WHEN 'question served' THEN 'owed <- earned'"
            "  WHEN 'question asked' THEN 'spent <- owed'"
            "  WHEN 'settlement served' THEN 'settled <- owed' ELSE 'owed <- settled' END"
            " WHEN (e.phase = 'hold') = (t.role = 'served') THEN 'held <- holds'"
            " ELSE 'holds <- held' END LIMIT 16");
    /* Every account carries the sum of its entries, and of those that were forgotten. */
    if (!e)
        e = wrong_rows(
            db, r,
            "SELECT 'account ' || a.kind || ' of ' || substr(lower(hex(a.peer)), 1, 8) || "
            "': its sums are not those of its entries' FROM accounts a LEFT JOIN"
            " (SELECT debit, sum(amount) n FROM entries GROUP BY debit) d ON d.debit = a.id"
            " LEFT JOIN (SELECT credit, sum(amount) n FROM entries GROUP BY credit) c"
            " ON c.credit = a.id LEFT JOIN carried f ON f.account = a.id"
            " WHERE a.debits != coalesce(d.n, 0) + coalesce(f.debits, 0)"
            " OR a.credits != coalesce(c.n, 0) + coalesce(f.credits, 0) LIMIT 16");
    /* What was forgotten was settled: the peer has paid that much. */
    if (!e)
        e = wrong_rows(db, r,
                       "SELECT 'account ' || a.kind || ' of ' || substr(lower(hex(a.peer)), 1, 8)"
                       " || ': more was forgotten than was settled' FROM carried f"
                       " JOIN accounts a ON a.id = f.account WHERE NOT CASE a.kind"
                       " WHEN 'owed' THEN f.credits = 0 AND f.debits <= a.credits"
                       " ELSE a.kind = 'earned' AND a.network = x'' AND f.debits = 0 END LIMIT 16");
    /* And all debits are all credits. */
    if (!e)
        e = wrong_rows(db, r,
                       "SELECT 'the debits of all accounts are not their credits' WHERE "
                       "(SELECT total(debits) != total(credits) FROM accounts)");
    return e;
}

/* --- signatures --- */

/* What is wrong with the transfer; NULL: nothing. */
static const char *judge_question(const tl_ledger_entry *e)
{
    int64_t most;
    const tl_receipt *r = &e->receipt;
    tl_receipt own = *r, peers = *r;
    bool served = e->role == TL_LEDGER_SERVED;
    if (tl_ledger_amount(e->tokens.in, e->tokens.out, e->price, &most) || e->amount > most)
        return "the amount is more than tokens and price make";
    *(served ? &own.by_consumer : &own.by_provider) = false;
    *(served ? &peers.by_provider : &peers.by_consumer) = false;
    if (tl_receipt_verify(&own))
        return "this node's signature is wrong";
    if ((served ? r->by_consumer : r->by_provider) && tl_receipt_verify(&peers))
        return served ? "the consumer's signature is wrong" : "the provider's signature is wrong";
    return NULL;
}

static const char *judge(const tl_ledger_entry *e)
{
    if (e->state != TL_LEDGER_POSTED)
        return NULL;
    if (e->kind == TL_LEDGER_QUESTION)
        return judge_question(e);
    return e->settlement.by_creditor && e->settlement.by_debtor &&
                   !tl_settlement_verify(&e->settlement)
               ? NULL
               : "a signature of the settlement is wrong";
}

static tl_err check_one(tl_report *r, const tl_ledger_entry *e)
{
    char text[256], peer[TL_NODE_ID_HEX + 1];
    const char *wrong = judge(e);
    bool posted = e->kind == TL_LEDGER_QUESTION && e->state == TL_LEDGER_POSTED;
    r->transactions++;
    r->receipts += posted;
    r->unsigned_n += posted && !(e->receipt.by_consumer && e->receipt.by_provider);
    if (!wrong)
        return TL_OK;
    tl_node_id_write(peer, &e->peer);
    snprintf(text, sizeof text, "request %s with %.8s: %s", e->request, peer, wrong);
    return problem(r, text);
}

static tl_err check_piece(tl_db *db, tl_report *r)
{
    sqlite3_stmt *row;
    int n = 0;
    tl_err e = tl_db_find(
        db, "SELECT" TL_LEDGER_COLUMNS "FROM transfers WHERE id > ? ORDER BY id LIMIT " PIECE,
        TL_DB_WITH(tl_db_int(r->last_id)), &row);
    for (; !e; e = tl_db_next(db, row)) {
        tl_ledger_entry entry;
        if ((e = tl_ledger_take_entry(row, &r->self, &entry)) || (e = check_one(r, &entry)))
            return e;
        r->last_id = sqlite3_column_int64(row, 0);
        n++;
    }
    r->more = n == (int)strtol(PIECE, NULL, 10);
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

tl_err tl_ledger_report_audit(tl_db *db, tl_report *r)
{
    tl_err e = TL_OK;
    if (!r->result) {
        r->result = json_pack("{s:b, s:i, s:i, s:i, s:[]}", "ok", 1, "transactions", 0, "receipts",
                              0, "unsigned", 0, "problems");
        e = r->result ? check_sums(db, r) : TL_ERR_NOMEM;
    }
    if (!e)
        e = check_piece(db, r);
    if (e || r->more)
        return e;
    bool ok = json_array_size(json_object_get(r->result, "problems")) == 0;
    if (json_object_set_new(r->result, "ok", json_boolean(ok)) ||
        json_object_set_new(r->result, "transactions", json_integer(r->transactions)) ||
        json_object_set_new(r->result, "receipts", json_integer(r->receipts)) ||
        json_object_set_new(r->result, "unsigned", json_integer(r->unsigned_n)))
        return TL_ERR_NOMEM;
    return TL_OK;
}
