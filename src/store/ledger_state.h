/* ledger_state.h - what the ledger's files share: a transfer's row. Only this room includes it. */
#ifndef TL_STORE_LEDGER_STATE_H
#define TL_STORE_LEDGER_STATE_H

#include "store/ledger.h"

/* The columns that tl_ledger_take_entry reads, in its order. */
#define TL_LEDGER_COLUMNS                                                                          \
    " id, kind, role, state, request, peer, network, model, at, price, held, cap_in, cap_out,"     \
    " consumer_order, tokens_in, tokens_out, amount, signed_at, own_signature, peer_signature "

/* What the public leaves behind at no price, and what came to nothing: it changes no sum, and strangers
 * could fill the disk with it. The oldest of it is forgotten (TL_BOOK_PRUNE). `of`: "" or "OLD.". A
 * whole answer at a price that its provider has not charged is no such thing. */
#define TL_LEDGER_SPARE_OF(of)                                                                     \
    of "kind = 'question' AND " of "network = x'' AND " TL_LEDGER_NOTHING_OF(of)
#define TL_LEDGER_NOTHING_OF(of)                                                                   \
    "((" of "state = 'posted' AND " of "amount = 0) OR (" of "state = 'voided' AND (" of           \
    "answered = 0 OR " of "price = 0)))"
#define TL_LEDGER_SPARE TL_LEDGER_SPARE_OF("")

/* The same of private networks, whose members are trusted with more of it (TL_BOOK_FREE_MAX). */
#define TL_LEDGER_FREE "kind = 'question' AND network != x'' AND " TL_LEDGER_NOTHING_OF("")

/* Of the two: what others may make more of. What this node asked at a price is pushed out by nothing, since
 * whoever has its order could charge it anew. It goes after TL_BOOK_SPARE_DAYS, when no order holds. */
#define TL_LEDGER_OF_OTHERS " AND (role = 'served' OR price = 0)"
#define TL_LEDGER_OWN                                                                              \
    "kind = 'question' AND role = 'asked' AND price > 0 AND " TL_LEDGER_NOTHING_OF("")

/* What a stranger owes this node, or has paid. Rows that both signed, and that what the peer paid covers with
 * all that was forgotten of it before, are forgotten where there are too many of them. */
#define TL_LEDGER_PAID_OF(of)                                                                      \
    of "kind = 'question' AND " of "role = 'served' AND " of "network = x'' AND " of               \
       "state = 'posted' AND " of "amount > 0"
#define TL_LEDGER_PAID TL_LEDGER_PAID_OF("")

/* A settlement that the peer proposed, and that this node has not signed. */
#define TL_LEDGER_PROPOSED_OF(of)                                                                  \
    of "kind = 'settlement' AND " of "state != 'posted' AND " of "own_signature IS NULL"
#define TL_LEDGER_PROPOSED TL_LEDGER_PROPOSED_OF("")

/* `self`: this node. `has_receipt`, or the settlement's signatures, where they are there.
 * TL_ERR_PROTO: a column is not what the schema allows. */
TL_CHECK tl_err tl_ledger_take_entry(sqlite3_stmt *row, const tl_node_id *self,
                                     tl_ledger_entry *ret_entry);

#define TL_LEDGER_READ_TEXT "64" /* TL_BOOK_READ_MAX */

/* Operations of settlements (ledger_settle.c). */
TL_CHECK tl_err tl_ledger_propose(tl_db *db, tl_book_op *op);
TL_CHECK tl_err tl_ledger_settle(tl_db *db, tl_book_op *op);
TL_CHECK tl_err tl_ledger_confirmed(tl_db *db, tl_book_op *op);
TL_CHECK tl_err tl_ledger_declined(tl_db *db, tl_book_op *op);
TL_CHECK tl_err tl_ledger_unconfirmed(tl_db *db, tl_book_op *op);
TL_CHECK tl_err tl_ledger_proposed(tl_db *db, tl_book_op *op);

/* ledger_prune.c */
TL_CHECK tl_err tl_ledger_prune(tl_db *db, tl_book_op *op);

TL_CHECK tl_err tl_ledger_report_wallet(tl_db *db, tl_report *r);
TL_CHECK tl_err tl_ledger_report_history(tl_db *db, tl_report *r);
TL_CHECK tl_err tl_ledger_report_audit(tl_db *db, tl_report *r);

#endif
