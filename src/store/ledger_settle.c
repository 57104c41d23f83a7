/* Settlements: proposed by one side, posted when both have signed, told until the peer has them. */
#include "store/ledger_state.h"

#include <assert.h>
#include <stdlib.h>

/* Of this node: in what role it is in the settlement, with whom. */
typedef struct {
    const char *role;
    const tl_node_id *peer;
    tl_db_value own, peers; /* signatures, or NULL */
} side;

static tl_db_value signature_value(bool there, const tl_signature *s)
{
    return there ? tl_db_bytes(s->bytes, sizeof s->bytes) : tl_db_null();
}

static side side_of(const tl_settlement *s, const tl_node_id *self)
{
    tl_db_value creditors = signature_value(s->by_creditor, &s->creditor_signature);
    tl_db_value debtors = signature_value(s->by_debtor, &s->debtor_signature);
    if (tl_node_id_eq(&s->creditor, self))
        return (side){"served", &s->debtor, creditors, debtors};
    return (side){"asked", &s->creditor, debtors, creditors};
}

static bool is_creditor(const side *w)
{
    return strcmp(w->role, "served") == 0;
}

#define UNSIGNED_OTHERS "peer = ? AND (request != ? OR state = 'voided') AND " TL_LEDGER_PROPOSED

/* A peer proposes as often as it likes, so what this node never signed leaves nothing behind. */
static tl_err forget_proposed(tl_db *db, const tl_settlement *s, const side *w)
{
    const tl_db_value peer = tl_db_bytes(w->peer->key, sizeof w->peer->key);
    tl_err e = tl_db_run(db,
                         "DELETE FROM entries WHERE transfer IN "
                         "(SELECT id FROM transfers WHERE " UNSIGNED_OTHERS ")",
                         TL_DB_WITH(peer, tl_db_text(s->id)));
    return e ? e
             : tl_db_run(db, "DELETE FROM transfers WHERE " UNSIGNED_OTHERS,
                         TL_DB_WITH(peer, tl_db_text(s->id)));
}

/* A proposal that this peer and this node had, and that is another one. */
static tl_err void_others(tl_db *db, const tl_settlement *s, const side *w)
{
    tl_err e = forget_proposed(db, s, w);
    return e ? e
             : tl_db_run(
                   db,
                   "UPDATE transfers SET state = 'voided' WHERE peer = ? AND kind = 'settlement' "
                   "AND state = 'held' AND request != ?",
                   TL_DB_WITH(tl_db_bytes(w->peer->key, sizeof w->peer->key), tl_db_text(s->id)));
}

static tl_err insert(tl_db *db, const tl_settlement *s, const side *w, const char *state,
                     bool confirmed)
{
    return tl_db_run(
        db,
        "INSERT INTO transfers (kind, role, state, request, peer, network, model, at, price, held, "
        "cap_in, cap_out, consumer_order, amount, signed_at, own_signature, peer_signature, "
        "confirmed) VALUES ('settlement', ?, ?, ?, ?, x'', '', ?, 0, 0, 0, 0, '', ?, ?, ?, ?, ?)",
        TL_DB_WITH(tl_db_text(w->role), tl_db_text(state), tl_db_text(s->id),
                   tl_db_bytes(w->peer->key, sizeof w->peer->key), tl_db_int(s->at),
                   tl_db_int(s->amount), tl_db_int(s->at), w->own, w->peers, tl_db_int(confirmed)));
}

tl_err tl_ledger_propose(tl_db *db, tl_book_op *op)
{
    const tl_settlement *s = &op->entry.settlement;
    side w = side_of(s, &op->identity->id);
    tl_err e = tl_settlement_verify(s);
    if (!e)
        e = void_others(db, s, &w);
    /* What a peer proposed has nothing to tell it; what the creditor has signed its person tells again. */
    return e ? e : insert(db, s, &w, "held", w.own.kind == TL_DB_NULL || is_creditor(&w));
}

/* The settlement of this name with this peer. */
static tl_err find(tl_db *db, const tl_node_id *self, const tl_node_id *peer, const char *id,
                   int64_t *ret_row, tl_ledger_entry *ret_entry)
{
    sqlite3_stmt *row;
    tl_err e =
        tl_db_find(db,
                   "SELECT" TL_LEDGER_COLUMNS "FROM transfers WHERE peer = ? AND request = ? "
                   "AND kind = 'settlement' AND state != 'voided'",
                   TL_DB_WITH(tl_db_bytes(peer->key, sizeof peer->key), tl_db_text(id)), &row);
    if (e)
        return e;
    *ret_row = sqlite3_column_int64(row, 0);
    e = tl_ledger_take_entry(row, self, ret_entry);
    sqlite3_reset(row);
    return e;
}

/* Of a settlement that is not here: a creditor has written down what it signed before anybody was told,
 * so it is void; and a debtor that adds its signature must owe that much. */
static tl_err may_post(tl_db *db, const tl_settlement *s, const side *w, bool confirmed)
{
    int64_t owed;
    if (is_creditor(w))
        return TL_ERR_FORBIDDEN;
    if (confirmed)
        return TL_OK;
    tl_err e =
        tl_db_number(db, "SELECT credits - debits FROM accounts WHERE kind = 'owed' AND peer = ?",
                     TL_DB_WITH(tl_db_bytes(w->peer->key, sizeof w->peer->key)), 0, &owed);
    return e ? e : owed < s->amount ? TL_ERR_FORBIDDEN : TL_OK;
}

tl_err tl_ledger_settle(tl_db *db, tl_book_op *op)
{
    const tl_settlement *s = &op->entry.settlement;
    side w = side_of(s, &op->identity->id);
    tl_ledger_entry there;
    int64_t row;
    tl_err e = s->by_creditor && s->by_debtor ? tl_settlement_verify(s) : TL_ERR_AUTH;
    if (e)
        return e;
    e = find(db, &op->identity->id, w.peer, s->id, &row, &there);
    if (!e && !tl_settlement_eq(&there.settlement, s))
        return TL_ERR_INVALID;
    if (!e && there.state == TL_LEDGER_POSTED)
        return TL_ERR_EXISTS;
    if (e && e != TL_ERR_NOT_FOUND)
        return e;
    tl_err may = e ? may_post(db, s, &w, op->confirmed) : TL_OK;
    if (may)
        return may;
    tl_err others = void_others(db, s, &w);
    if (others)
        return others;
    if (e == TL_ERR_NOT_FOUND)
        return insert(db, s, &w, "posted", op->confirmed);
    return tl_db_change(db,
                        "UPDATE transfers SET state = 'posted', own_signature = ?, "
                        "peer_signature = ?, confirmed = ? WHERE id = ?",
                        TL_DB_WITH(w.own, w.peers, tl_db_int(op->confirmed), tl_db_int(row)));
}

tl_err tl_ledger_confirmed(tl_db *db, tl_book_op *op)
{
    return tl_db_change(db,
                        "UPDATE transfers SET confirmed = 1 WHERE peer = ? AND request = ? AND "
                        "kind = 'settlement' AND state != 'voided'",
                        TL_DB_WITH(tl_db_bytes(op->entry.peer.key, sizeof op->entry.peer.key),
                                   tl_db_text(op->entry.request)));
}

tl_err tl_ledger_declined(tl_db *db, tl_book_op *op)
{
    return tl_db_change(db,
                        "UPDATE transfers SET confirmed = 1, state = CASE WHEN role = 'served' AND "
                        "state = 'held' THEN 'voided' ELSE state END WHERE peer = ? AND "
                        "request = ? AND kind = 'settlement' AND state != 'voided'",
                        TL_DB_WITH(tl_db_bytes(op->entry.peer.key, sizeof op->entry.peer.key),
                                   tl_db_text(op->entry.request)));
}

tl_err tl_ledger_unconfirmed(tl_db *db, tl_book_op *op)
{
    sqlite3_stmt *row;
    op->entries = calloc(TL_BOOK_READ_MAX, sizeof *op->entries);
    if (!op->entries)
        return TL_ERR_NOMEM;
    tl_err e = tl_db_find(
        db,
        "SELECT" TL_LEDGER_COLUMNS "FROM transfers WHERE peer = ? AND kind = 'settlement' AND "
        "state != 'voided' AND confirmed = 0 ORDER BY id LIMIT " TL_LEDGER_READ_TEXT,
        TL_DB_WITH(tl_db_bytes(op->entry.peer.key, sizeof op->entry.peer.key)), &row);
    while (!e) {
        assert(op->n < TL_BOOK_READ_MAX);
        if ((e = tl_ledger_take_entry(row, &op->identity->id, &op->entries[op->n])))
            break;
        op->n++;
        e = tl_db_next(db, row);
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

tl_err tl_ledger_proposed(tl_db *db, tl_book_op *op)
{
    sqlite3_stmt *row;
    tl_ledger_entry entry;
    tl_err e =
        tl_db_find(db,
                   "SELECT" TL_LEDGER_COLUMNS "FROM transfers WHERE peer = ? AND "
                   "kind = 'settlement' AND role = 'served' AND state = 'held'",
                   TL_DB_WITH(tl_db_bytes(op->entry.peer.key, sizeof op->entry.peer.key)), &row);
    if (e)
        return e;
    e = tl_ledger_take_entry(row, &op->identity->id, &entry);
    sqlite3_reset(row);
    if (!e)
        op->entry.settlement = entry.settlement;
    return e;
}
