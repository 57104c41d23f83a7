#include "store/ledger.h"

#include "store/ledger_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static tl_db_value id_value(const tl_node_id *id)
{
    return tl_db_bytes(id->key, sizeof id->key);
}

static tl_db_value network_value(const tl_ledger_entry *e)
{
    return tl_db_bytes(e->network.key, e->has_network ? sizeof e->network.key : 0);
}

/* --- a row --- */

static tl_err take_network(sqlite3_stmt *row, int column, tl_ledger_entry *e)
{
    e->has_network = sqlite3_column_bytes(row, column) > 0;
    return e->has_network ? tl_db_take_bytes(row, column, e->network.key, sizeof e->network.key)
                          : TL_OK;
}

/* The signatures of the row's provider, or creditor, and of its consumer, or debtor. */
static tl_err take_signatures(sqlite3_stmt *row, bool served, bool *ret_by[2],
                              tl_signature *ret_signature[2])
{
    tl_err e = TL_OK;
    for (int i = 0; !e && i < 2; i++) {
        int column = served == (i == 0) ? 18 : 19; /* this node's own, or the peer's */
        *ret_by[i] = sqlite3_column_type(row, column) != SQLITE_NULL;
        if (*ret_by[i])
            e = tl_db_take_bytes(row, column, ret_signature[i]->bytes, TL_SIGNATURE_SIZE);
    }
    return e;
}

/* The signed object that the columns tell. */
static tl_err take_signed(sqlite3_stmt *row, const tl_node_id *self, tl_ledger_entry *e)
{
    bool served = e->role == TL_LEDGER_SERVED;
    const tl_node_id *giver = served ? self : &e->peer, *taker = served ? &e->peer : self;
    if (e->kind == TL_LEDGER_SETTLEMENT) {
        tl_settlement *s = &e->settlement;
        snprintf(s->id, sizeof s->id, "%s", e->request);
        s->creditor = *giver;
        s->debtor = *taker;
        s->amount = e->amount;
        s->at = sqlite3_column_int64(row, 17);
        return take_signatures(row, served, (bool *[]){&s->by_creditor, &s->by_debtor},
                               (tl_signature *[]){&s->creditor_signature, &s->debtor_signature});
    }
    e->has_receipt = sqlite3_column_type(row, 18) != SQLITE_NULL;
    tl_receipt *r = &e->receipt;
    snprintf(r->request, sizeof r->request, "%s", e->request);
    r->provider = *giver;
    r->consumer = *taker;
    r->has_network = e->has_network;
    r->network = e->network;
    snprintf(r->model, sizeof r->model, "%s", e->model);
    r->tokens_in = e->tokens.in;
    r->tokens_out = e->tokens.out;
    r->amount = e->amount;
    r->at = sqlite3_column_int64(row, 17);
    return take_signatures(row, served, (bool *[]){&r->by_provider, &r->by_consumer},
                           (tl_signature *[]){&r->provider_signature, &r->consumer_signature});
}

tl_err tl_ledger_take_entry(sqlite3_stmt *row, const tl_node_id *self, tl_ledger_entry *ret_entry)
{
    tl_ledger_entry e = {0};
    char kind[16], role[16], state[16];
    tl_err err = tl_db_take_text(row, 1, kind, sizeof kind);
    if (!err)
        err = tl_db_take_text(row, 2, role, sizeof role);
    if (!err)
        err = tl_db_take_text(row, 3, state, sizeof state);
    if (!err)
        err = tl_db_take_text(row, 4, e.request, sizeof e.request);
    if (!err)
        err = tl_db_take_bytes(row, 5, e.peer.key, sizeof e.peer.key);
    if (!err)
        err = take_network(row, 6, &e);
    if (!err)
        err = tl_db_take_text(row, 7, e.model, sizeof e.model);
    if (!err)
        err = tl_db_take_text(row, 13, e.order, sizeof e.order);
    if (err)
        return err;
    e.kind = strcmp(kind, "question") == 0 ? TL_LEDGER_QUESTION : TL_LEDGER_SETTLEMENT;
    e.role = strcmp(role, "asked") == 0 ? TL_LEDGER_ASKED : TL_LEDGER_SERVED;
    e.state = strcmp(state, "held") == 0     ? TL_LEDGER_HELD
              : strcmp(state, "posted") == 0 ? TL_LEDGER_POSTED
                                             : TL_LEDGER_VOIDED;
    e.at = sqlite3_column_int64(row, 8);
    e.price = sqlite3_column_int64(row, 9);
    e.held = sqlite3_column_int64(row, 10);
    e.cap = (tl_tokens){sqlite3_column_int64(row, 11), sqlite3_column_int64(row, 12)};
    e.tokens = (tl_tokens){sqlite3_column_int64(row, 14), sqlite3_column_int64(row, 15)};
    e.amount = sqlite3_column_int64(row, 16);
    err = take_signed(row, self, &e);
    if (!err)
        *ret_entry = e;
    return err;
}

/* --- questions --- */

static tl_err begin(tl_db *db, const tl_ledger_entry *e)
{
    return tl_db_run(
        db,
        "INSERT INTO transfers (kind, role, state, request, peer, network, model, at, price, held, "
        "cap_in, cap_out, consumer_order) VALUES ('question', ?, 'held', ?, ?, ?, ?, ?, ?, ?, ?, "
        "?, "
        "?)",
        TL_DB_WITH(tl_db_text(tl_ledger_role_name(e->role)), tl_db_text(e->request),
                   id_value(&e->peer), network_value(e), tl_db_text(e->model), tl_db_int(e->at),
                   tl_db_int(e->price), tl_db_int(e->held), tl_db_int(e->cap.in),
                   tl_db_int(e->cap.out), tl_db_text(e->order)));
}

static tl_err known(tl_db *db, const tl_ledger_entry *e)
{
    int64_t n;
    tl_err err = tl_db_number(db,
                              "SELECT count(*) FROM transfers WHERE peer = ? AND request = ? AND "
                              "role = ? AND kind = 'question' AND state = 'posted'",
                              TL_DB_WITH(id_value(&e->peer), tl_db_text(e->request),
                                         tl_db_text(tl_ledger_role_name(e->role))),
                              0, &n);
    return err ? err : n ? TL_ERR_EXISTS : TL_OK;
}

static tl_err end_held(tl_db *db, const tl_ledger_entry *e, bool answered)
{
    bool nothing = e->cap.in == 0 && e->cap.out == 0;
    return tl_db_change(
        db,
        "UPDATE transfers SET cap_in = ?, cap_out = ?, state = ?, answered = ? WHERE "
        "peer = ? AND request = ? AND role = 'asked' AND kind = 'question' AND state = 'held'",
        TL_DB_WITH(tl_db_int(e->cap.in), tl_db_int(e->cap.out),
                   tl_db_text(nothing ? "voided" : "held"), tl_db_int(answered), id_value(&e->peer),
                   tl_db_text(e->request)));
}

/* The question is over: nothing more can be claimed than what was seen. A question whose start the store
 * refused gets its row here. */
static tl_err over(tl_db *db, const tl_ledger_entry *e, bool answered)
{
    tl_err err = end_held(db, e, answered);
    if (err == TL_ERR_NOT_FOUND && !(err = begin(db, e)))
        err = end_held(db, e, answered);
    return err;
}

/* Of a role: what is held is not any more. */
static tl_err void_it(tl_db *db, const tl_ledger_entry *e, tl_ledger_role role)
{
    return tl_db_run(db,
                     "UPDATE transfers SET state = 'voided' WHERE peer = ? AND request = ? AND "
                     "role = ? AND kind = 'question' AND state = 'held'",
                     TL_DB_WITH(id_value(&e->peer), tl_db_text(e->request),
                                tl_db_text(tl_ledger_role_name(role))));
}

static tl_err insert_posted(tl_db *db, const tl_ledger_entry *e)
{
    const tl_receipt *r = &e->receipt;
    bool served = e->role == TL_LEDGER_SERVED;
    const tl_signature *own = served ? &r->provider_signature : &r->consumer_signature;
    const tl_signature *peers = served ? &r->consumer_signature : &r->provider_signature;
    return tl_db_run(
        db,
        "INSERT INTO transfers (kind, role, state, request, peer, network, model, at, price, held, "
        "cap_in, cap_out, consumer_order, tokens_in, tokens_out, amount, signed_at, own_signature, "
        "peer_signature) VALUES ('question', ?, 'posted', ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, "
        "?, "
        "?, ?)",
        TL_DB_WITH(tl_db_text(tl_ledger_role_name(e->role)), tl_db_text(e->request),
                   id_value(&e->peer), network_value(e), tl_db_text(e->model), tl_db_int(e->at),
                   tl_db_int(e->price), tl_db_int(e->cap.in), tl_db_int(e->cap.out),
                   tl_db_text(e->order), tl_db_int(r->tokens_in), tl_db_int(r->tokens_out),
                   tl_db_int(r->amount), tl_db_int(r->at),
                   tl_db_bytes(own->bytes, sizeof own->bytes),
                   served && !r->by_consumer ? tl_db_null()
                                             : tl_db_bytes(peers->bytes, sizeof peers->bytes)));
}

/* Of the row `id`. */
static tl_err update_posted(tl_db *db, int64_t id, const tl_ledger_entry *e)
{
    const tl_receipt *r = &e->receipt;
    bool served = e->role == TL_LEDGER_SERVED;
    const tl_signature *own = served ? &r->provider_signature : &r->consumer_signature;
    const tl_signature *peers = served ? &r->consumer_signature : &r->provider_signature;
    return tl_db_change(
        db,
        "UPDATE transfers SET state = 'posted', tokens_in = ?, tokens_out = ?, amount = ?, "
        "signed_at = ?, own_signature = ?, peer_signature = ? WHERE id = ?",
        TL_DB_WITH(tl_db_int(r->tokens_in), tl_db_int(r->tokens_out), tl_db_int(r->amount),
                   tl_db_int(r->at), tl_db_bytes(own->bytes, sizeof own->bytes),
                   served ? tl_db_null() : tl_db_bytes(peers->bytes, sizeof peers->bytes),
                   tl_db_int(id)));
}

/* The question's row: the one that is held or posted; else, of those voided, the one for which most
 * may be claimed. */
static tl_err find(tl_db *db, const tl_node_id *self, tl_ledger_role role, const tl_node_id *peer,
                   const char *request, int64_t *ret_id, tl_ledger_entry *ret_entry)
{
    sqlite3_stmt *row;
    tl_err e = tl_db_find(
        db,
        "SELECT" TL_LEDGER_COLUMNS "FROM transfers WHERE peer = ? AND request = ? "
        "AND role = ? AND kind = 'question' "
        "ORDER BY state = 'voided', cap_in + cap_out DESC, id DESC LIMIT 1",
        TL_DB_WITH(id_value(peer), tl_db_text(request), tl_db_text(tl_ledger_role_name(role))),
        &row);
    if (e)
        return e;
    *ret_id = sqlite3_column_int64(row, 0);
    e = tl_ledger_take_entry(row, self, ret_entry);
    sqlite3_reset(row);
    return e;
}

static tl_err post(tl_db *db, tl_book_op *op)
{
    tl_ledger_entry there;
    int64_t id;
    tl_err e = tl_receipt_sign(&op->entry.receipt, op->identity);
    if (!e)
        e = find(db, &op->identity->id, TL_LEDGER_SERVED, &op->entry.peer, op->entry.request, &id,
                 &there);
    if (e == TL_ERR_NOT_FOUND || (!e && there.state == TL_LEDGER_VOIDED))
        return insert_posted(db, &op->entry);
    if (!e && there.state == TL_LEDGER_POSTED)
        return TL_ERR_EXISTS;
    return e ? e : update_posted(db, id, &op->entry);
}

/* A claim of nothing for a question that is not here any more: its entry may have been forgotten, and
 * does not come again. What is signed all the same ends the other side's claim. */
static bool is_nothing(const tl_receipt *r)
{
    return r->amount == 0 && !r->has_network;
}

static tl_err claim(tl_db *db, tl_book_op *op)
{
    tl_ledger_entry entry;
    int64_t id = 0;
    tl_receipt *r = &op->entry.receipt;
    op->claim = TL_CLAIM_UNKNOWN;
    if (!r->by_provider)
        return TL_ERR_AUTH;
    tl_err e = tl_receipt_verify(r);
    if (!e)
        e = find(db, &op->identity->id, TL_LEDGER_ASKED, &r->provider, r->request, &id, &entry);
    if (e == TL_ERR_NOT_FOUND && op->has_order) {
        entry = op->entry;
        entry.state = TL_LEDGER_VOIDED;
        e = TL_OK;
    } else if (e == TL_ERR_NOT_FOUND) {
        return TL_OK;
    } else if (!e && op->waits) {
        entry.cap = tl_ledger_least(entry.cap, op->entry.cap);
    }
    if (e)
        return e;
    op->claim = tl_ledger_judge(&entry, r);
    if (op->claim == TL_CLAIM_AGAIN)
        *r = entry.receipt;
    if (op->claim != TL_CLAIM_OK)
        return TL_OK;
    e = tl_receipt_sign(r, op->identity);
    entry.receipt = *r;
    op->entered = id || op->waits || !is_nothing(r);
    if (!e && id)
        e = update_posted(db, id, &entry);
    else if (!e && op->entered)
        e = insert_posted(db, &entry);
    return e;
}

static tl_err sign(tl_db *db, tl_book_op *op)
{
    tl_ledger_entry there;
    int64_t id;
    const tl_receipt *r = &op->entry.receipt;
    if (!r->by_consumer)
        return TL_ERR_AUTH;
    tl_err e = find(db, &op->identity->id, TL_LEDGER_SERVED, &r->consumer, r->request, &id, &there);
    if (e)
        return e;
    if (there.state != TL_LEDGER_POSTED || !tl_receipt_eq(&there.receipt, r))
        return TL_ERR_NOT_FOUND;
    if (there.receipt.by_consumer)
        return TL_ERR_EXISTS;
    tl_receipt theirs = *r;
    theirs.by_provider = false; /* ours is the one that is stored, whatever came back */
    if ((e = tl_receipt_verify(&theirs)))
        return e;
    return tl_db_change(
        db, "UPDATE transfers SET peer_signature = ?, refused = NULL WHERE id = ?",
        TL_DB_WITH(tl_db_bytes(r->consumer_signature.bytes, TL_SIGNATURE_SIZE), tl_db_int(id)));
}

static tl_err refused(tl_db *db, const tl_book_op *op)
{
    return tl_db_change(
        db,
        "UPDATE transfers SET refused = ? WHERE peer = ? AND request = ? AND "
        "role = 'served' AND kind = 'question' AND state = 'posted' AND "
        "peer_signature IS NULL",
        TL_DB_WITH(tl_db_text(op->why), id_value(&op->entry.peer), tl_db_text(op->entry.request)));
}

/* One page of entries, and in `after` the number of the last. */
static tl_err read_page(tl_db *db, tl_book_op *op, const char *sql, const tl_db_value *values,
                        size_t n)
{
    sqlite3_stmt *row;
    op->entries = calloc(TL_BOOK_READ_MAX, sizeof *op->entries);
    if (!op->entries)
        return TL_ERR_NOMEM;
    tl_err e = tl_db_find(db, sql, values, n, &row);
    while (!e) {
        assert(op->n < TL_BOOK_READ_MAX);
        if ((e = tl_ledger_take_entry(row, &op->identity->id, &op->entries[op->n])))
            break;
        op->after = sqlite3_column_int64(row, 0);
        op->n++;
        e = tl_db_next(db, row);
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err read_unsigned(tl_db *db, tl_book_op *op)
{
    return read_page(db, op,
                     "SELECT" TL_LEDGER_COLUMNS
                     "FROM transfers WHERE peer = ? AND state = 'posted' AND "
                     "peer_signature IS NULL AND refused IS NULL AND id > ? ORDER BY id "
                     "LIMIT " TL_LEDGER_READ_TEXT,
                     TL_DB_WITH(id_value(&op->entry.peer), tl_db_int(op->after)));
}

/* --- what a provider lost in a crash --- */

/* The receipt that the provider would have made. */
static tl_err sign_for(tl_ledger_entry *e, const tl_identity *identity, tl_unix at)
{
    tl_receipt *r = &e->receipt;
    *r = (tl_receipt){.consumer = identity->id,
                      .provider = e->peer,
                      .has_network = e->has_network,
                      .network = e->network,
                      .tokens_in = e->cap.in,
                      .tokens_out = e->cap.out,
                      .at = at};
    memcpy(r->request, e->request, sizeof r->request);
    memcpy(r->model, e->model, sizeof r->model);
    tl_err err = tl_ledger_amount(r->tokens_in, r->tokens_out, e->price, &r->amount);
    return err ? err : tl_receipt_sign(r, identity);
}

static tl_err read_owed(tl_db *db, tl_book_op *op)
{
    sqlite3_stmt *row;
    tl_unix now = op->entry.at;
    op->entries = calloc(TL_BOOK_READ_MAX, sizeof *op->entries);
    if (!op->entries)
        return TL_ERR_NOMEM;
    tl_err e = tl_db_find(
        db,
        "SELECT" TL_LEDGER_COLUMNS
        "FROM transfers WHERE peer = ? AND role = 'asked' AND answered = 1 AND "
        "state != 'posted' AND at > ? ORDER BY id LIMIT " TL_LEDGER_READ_TEXT,
        TL_DB_WITH(id_value(&op->entry.peer), tl_db_int(now - TL_BOOK_OWED_DAYS * TL_BOOK_DAY)),
        &row);
    while (!e) {
        tl_ledger_entry *entry = &op->entries[op->n];
        if ((e = tl_ledger_take_entry(row, &op->identity->id, entry)) ||
            (e = sign_for(entry, op->identity, now)))
            break;
        op->n++;
        e = tl_db_next(db, row);
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

/* A price that makes the amount of the tokens; of none there is none. */
static int64_t price_of(const tl_receipt *r)
{
    int64_t tokens = r->tokens_in + r->tokens_out;
    if (tokens == 0 || r->amount == 0)
        return 0;
    return r->amount / tokens * 1000 + r->amount % tokens * 1000 / tokens + 1;
}

static tl_err adopt(tl_db *db, tl_book_op *op)
{
    tl_ledger_entry there, *e = &op->entry;
    tl_receipt told = e->receipt, *r = &told;
    int64_t id, most;
    tl_err err = r->by_consumer ? tl_receipt_verify(r) : TL_ERR_AUTH;
    if (!err)
        err = find(db, &op->identity->id, TL_LEDGER_SERVED, &r->consumer, r->request, &id, &there);
    if (!err && there.state == TL_LEDGER_POSTED && there.receipt.by_consumer) {
        op->claim = TL_CLAIM_AGAIN; /* it did not hear of it */
        e->receipt = there.receipt;
        return TL_OK;
    }
    if (!err && there.state != TL_LEDGER_VOIDED)
        return TL_ERR_EXISTS;
    if (err && err != TL_ERR_NOT_FOUND)
        return err;
    bool is_gone = err == TL_ERR_NOT_FOUND;
    int64_t price = is_gone ? price_of(r) : there.price;
    *e = (tl_ledger_entry){.role = TL_LEDGER_SERVED,
                           .peer = r->consumer,
                           .has_network = r->has_network,
                           .network = r->network,
                           .at = r->at,
                           .price = price,
                           .receipt = told};
    memcpy(e->request, r->request, sizeof e->request);
    memcpy(e->model, r->model, sizeof e->model);
    if (tl_ledger_amount(r->tokens_in, r->tokens_out, e->price, &most) || most < r->amount)
        return TL_ERR_INVALID; /* money for no tokens */
    err = tl_receipt_sign(&e->receipt, op->identity);
    return err || (is_gone && is_nothing(r)) ? err : insert_posted(db, e);
}

/* --- what a copy lacks --- */

static tl_err read_whole(tl_db *db, tl_book_op *op)
{
    return read_page(
        db, op,
        "SELECT" TL_LEDGER_COLUMNS
        "FROM transfers WHERE peer = ? AND state = 'posted' AND amount > 0 AND "
        "own_signature IS NOT NULL AND peer_signature IS NOT NULL AND signed_at >= ? AND id > ? "
        "AND (kind = 'question' OR role = 'served') ORDER BY id LIMIT " TL_LEDGER_READ_TEXT,
        TL_DB_WITH(id_value(&op->entry.peer), tl_db_int(op->entry.at), tl_db_int(op->after)));
}

/* Nobody can have made it but the two: this node's own signature is under it. */
static tl_err regain(tl_db *db, tl_book_op *op)
{
    tl_ledger_entry there, *e = &op->entry;
    tl_receipt told = e->receipt, *r = &told;
    int64_t id = 0;
    bool served = tl_node_id_eq(&r->provider, &op->identity->id);
    tl_ledger_role role = served ? TL_LEDGER_SERVED : TL_LEDGER_ASKED;
    const tl_node_id *peer = served ? &r->consumer : &r->provider;
    tl_err err = r->by_consumer && r->by_provider ? tl_receipt_verify(r) : TL_ERR_AUTH;
    if (!err)
        err = find(db, &op->identity->id, role, peer, r->request, &id, &there);
    if (!err && served && there.state == TL_LEDGER_POSTED && !there.receipt.by_consumer)
        return sign(db, op);
    if (!err && there.state != TL_LEDGER_VOIDED)
        return TL_ERR_EXISTS;
    if (err && err != TL_ERR_NOT_FOUND)
        return err;
    *e = (tl_ledger_entry){.role = role,
                           .peer = *peer,
                           .has_network = r->has_network,
                           .network = r->network,
                           .at = r->at,
                           .price = price_of(r),
                           .cap = {r->tokens_in, r->tokens_out},
                           .receipt = told};
    memcpy(e->request, r->request, sizeof e->request);
    memcpy(e->model, r->model, sizeof e->model);
    op->entered = true;
    return id && !served ? update_posted(db, id, e) : insert_posted(db, e);
}

/* --- names --- */

static tl_err name(tl_db *db, const tl_ledger_entry *e)
{
    tl_err err = tl_db_run(db, "DELETE FROM named WHERE at <= ?",
                           TL_DB_WITH(tl_db_int(e->at - TL_BOOK_DAY)));
    return err ? err
               : tl_db_run(db, "INSERT INTO named VALUES (?, ?)",
                           TL_DB_WITH(tl_db_text(e->request), tl_db_int(e->at)));
}

static tl_err unname(tl_db *db, const tl_ledger_entry *e)
{
    return tl_db_run(db, "DELETE FROM named WHERE request = ?", TL_DB_WITH(tl_db_text(e->request)));
}

tl_err tl_ledger_run(tl_db *db, tl_book_op *op)
{
    switch (op->what) {
    case TL_BOOK_BEGIN: return begin(db, &op->entry);
    case TL_BOOK_KNOWN: return known(db, &op->entry);
    case TL_BOOK_OVER: return over(db, &op->entry, op->answered);
    case TL_BOOK_OWED: return read_owed(db, op);
    case TL_BOOK_ADOPT: return adopt(db, op);
    case TL_BOOK_LAPSE: return void_it(db, &op->entry, TL_LEDGER_ASKED);
    case TL_BOOK_VOID: return void_it(db, &op->entry, TL_LEDGER_SERVED);
    case TL_BOOK_POST: return post(db, op);
    case TL_BOOK_CLAIM: return claim(db, op);
    case TL_BOOK_SIGN: return sign(db, op);
    case TL_BOOK_WHOLE: return read_whole(db, op);
    case TL_BOOK_REGAIN: return regain(db, op);
    case TL_BOOK_REFUSED: return refused(db, op);
    case TL_BOOK_UNSIGNED: return read_unsigned(db, op);
    case TL_BOOK_PROPOSE: return tl_ledger_propose(db, op);
    case TL_BOOK_SETTLE: return tl_ledger_settle(db, op);
    case TL_BOOK_CONFIRMED: return tl_ledger_confirmed(db, op);
    case TL_BOOK_DECLINED: return tl_ledger_declined(db, op);
    case TL_BOOK_UNCONFIRMED: return tl_ledger_unconfirmed(db, op);
    case TL_BOOK_PROPOSED: return tl_ledger_proposed(db, op);
    case TL_BOOK_PRUNE: return tl_ledger_prune(db, op);
    case TL_BOOK_NAME: return name(db, &op->entry);
    case TL_BOOK_UNNAME: return unname(db, &op->entry);
    }
    assert(!"an operation of the list");
    return TL_ERR_INVALID;
}

/* --- as a job --- */

typedef struct {
    tl_store_job job;
    tl_book_op *op;
} op_job;

static tl_err op_work(tl_store_job *j, tl_db *db)
{
    return tl_ledger_run(db, ((op_job *)j)->op);
}

static void op_done(tl_store_job *j, tl_err e)
{
    tl_book_op *op = ((op_job *)j)->op;
    free(j);
    op->done(op, e);
}

tl_err tl_ledger_submit(tl_store *s, tl_book_op *op)
{
    op_job *j = calloc(1, sizeof *j);
    if (!j)
        return TL_ERR_NOMEM;
    j->job.work = op_work;
    j->job.done = op_done;
    j->job.may_wait_ms = op->may_wait_ms;
    j->job.reads = op->what == TL_BOOK_KNOWN;
    j->op = op;
    tl_store_submit(s, &j->job);
    return TL_OK;
}
