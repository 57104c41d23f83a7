/* ledger_schema.h - step 2 of the database: the ledger. SQL text only; migrations.c alone includes it.
 *
 * Double entry. An entry names the account that it debits and the one that it credits, and one
 * amount: so debits equal credits in each, whoever writes it. Entries are written by the triggers of
 * `transfers` alone, as a transfer changes its state; an entry that does not fit its transfer is
 * refused. Nothing is ever changed or deleted but what is spare (TL_LEDGER_SPARE), and a state, along
 *
 *     held -> posted, held -> voided, voided -> posted (asked: the receipt came late)
 *
 * Entries of one transfer, each once at most:
 *     hold, release    held <-> holds    what may come to be owed
 *     post             served: owed <- earned       asked: spent <- owed
 *                      paid by the peer: settled <- owed   paid by us: owed <- settled
 * (left: debited, right: credited). The balance with a peer is the debits of `owed` less its credits.
 * `accounts` carries the sums; triggers keep them, the audit proves them. Step 3 writes some of the
 * triggers anew (ledger_triggers.h), steps 5 and 6 those that say what is spare. */
#ifndef TL_STORE_LEDGER_SCHEMA_H
#define TL_STORE_LEDGER_SCHEMA_H

#include "store/ledger_state.h"

#define TL_MONEY " BETWEEN 0 AND 9007199254740991"

/* The account of this transfer's peer, of one kind. Earned and spent are kept by network, too. */
#define TL_ACCOUNT(kind)                                                                           \
    "(SELECT id FROM accounts WHERE kind = '" kind "' AND peer = NEW.peer AND network = x'')"
#define TL_ACCOUNT_OF_NETWORK(kind)                                                                \
    "(SELECT id FROM accounts WHERE kind = '" kind "' AND peer = NEW.peer "                        \
    "AND network = NEW.network)"

/* clang-format off */
/* Statements of a trigger's body. */
#define TL_ENTER_HOLD \
    "INSERT INTO entries SELECT NEW.id, 'hold', " TL_ACCOUNT("held") ", " TL_ACCOUNT("holds") ", NEW.held" \
    " WHERE NEW.role = 'served';" \
    "INSERT INTO entries SELECT NEW.id, 'hold', " TL_ACCOUNT("holds") ", " TL_ACCOUNT("held") ", NEW.held" \
    " WHERE NEW.role = 'asked';"
#define TL_ENTER_RELEASE \
    "INSERT INTO entries SELECT NEW.id, 'release', credit, debit, amount FROM entries" \
    " WHERE transfer = NEW.id AND phase = 'hold';"
#define TL_ENTER_POST \
    "INSERT INTO entries SELECT NEW.id, 'post', " TL_ACCOUNT("owed") ", " TL_ACCOUNT_OF_NETWORK("earned") \
    ", NEW.amount WHERE NEW.kind = 'question' AND NEW.role = 'served';" \
    "INSERT INTO entries SELECT NEW.id, 'post', " TL_ACCOUNT_OF_NETWORK("spent") ", " TL_ACCOUNT("owed") \
    ", NEW.amount WHERE NEW.kind = 'question' AND NEW.role = 'asked';" \
    "INSERT INTO entries SELECT NEW.id, 'post', " TL_ACCOUNT("settled") ", " TL_ACCOUNT("owed") \
    ", NEW.amount WHERE NEW.kind = 'settlement' AND NEW.role = 'served';" \
    "INSERT INTO entries SELECT NEW.id, 'post', " TL_ACCOUNT("owed") ", " TL_ACCOUNT("settled") \
    ", NEW.amount WHERE NEW.kind = 'settlement' AND NEW.role = 'asked';"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings" /* ISO C promises 4095 bytes alone; gcc has no limit */
static const char tl_store_ledger_step[] =
    "CREATE TABLE accounts ("
    "  id INTEGER PRIMARY KEY,"
    "  kind TEXT NOT NULL"
    "    CHECK (kind IN ('owed', 'earned', 'spent', 'settled', 'held', 'holds')),"
    "  peer BLOB NOT NULL CHECK (length(peer) = 32),"
    "  network BLOB NOT NULL CHECK (length(network) IN (0, 32)),"
    "  debits INTEGER NOT NULL DEFAULT 0 CHECK (debits" TL_MONEY "),"
    "  credits INTEGER NOT NULL DEFAULT 0 CHECK (credits" TL_MONEY "),"
    "  UNIQUE (peer, kind, network)"
    ") STRICT;"

    "CREATE TABLE transfers ("
    "  id INTEGER PRIMARY KEY,"
    "  kind TEXT NOT NULL CHECK (kind IN ('question', 'settlement')),"
    "  role TEXT NOT NULL CHECK (role IN ('asked', 'served')),"
    "  state TEXT NOT NULL CHECK (state IN ('held', 'posted', 'voided')),"
    "  request TEXT NOT NULL CHECK (length(request) BETWEEN 1 AND 64),"
    "  peer BLOB NOT NULL CHECK (length(peer) = 32),"
    "  network BLOB NOT NULL CHECK (length(network) IN (0, 32)),"
    "  model TEXT NOT NULL,"
    "  at INTEGER NOT NULL CHECK (at" TL_MONEY "),"
    "  price INTEGER NOT NULL CHECK (price" TL_MONEY "),"
    "  held INTEGER NOT NULL CHECK (held" TL_MONEY "),"
    "  cap_in INTEGER NOT NULL CHECK (cap_in" TL_MONEY "),"     /* asked: what a receipt may say */
    "  cap_out INTEGER NOT NULL CHECK (cap_out" TL_MONEY "),"
    "  consumer_order TEXT NOT NULL,"                           /* served: what came with it */
    "  tokens_in INTEGER CHECK (tokens_in" TL_MONEY "),"
    "  tokens_out INTEGER CHECK (tokens_out" TL_MONEY "),"
    "  amount INTEGER CHECK (amount" TL_MONEY "),"
    "  signed_at INTEGER CHECK (signed_at" TL_MONEY "),"        /* `at` of what is signed */
    "  own_signature BLOB CHECK (length(own_signature) = 64),"
    "  peer_signature BLOB CHECK (length(peer_signature) = 64),"
    "  confirmed INTEGER NOT NULL DEFAULT 0 CHECK (confirmed IN (0, 1)),"
    "  refused TEXT,"                          /* served: why the consumer does not sign */
    "  answered INTEGER NOT NULL DEFAULT 0 CHECK (answered IN (0, 1)),"  /* asked: whole */
    "  CHECK (state != 'posted' OR (amount IS NOT NULL AND signed_at IS NOT NULL"
    "    AND own_signature IS NOT NULL)),"
    "  CHECK (state != 'posted' OR kind != 'question'"
    "    OR (tokens_in IS NOT NULL AND tokens_out IS NOT NULL)),"
    /* a consumer owes nothing that its provider did not sign, a settlement is signed by both */
    "  CHECK (state != 'posted' OR peer_signature IS NOT NULL"
    "    OR (kind = 'question' AND role = 'served'))"
    ") STRICT;"
    /* one charge for each consumer, provider and request: this node is one of the two */
    "CREATE UNIQUE INDEX transfers_once ON transfers (peer, request, role, kind)"
    "  WHERE state != 'voided';"
    "CREATE INDEX transfers_request ON transfers (peer, request);"
    "CREATE INDEX transfers_at ON transfers (at);"
    "CREATE INDEX transfers_held ON transfers (peer) WHERE state = 'held';"
    "CREATE INDEX transfers_unsigned ON transfers (peer)"
    "  WHERE state = 'posted' AND peer_signature IS NULL;"
    "CREATE INDEX transfers_spare ON transfers (id) WHERE " TL_LEDGER_SPARE ";"
    "CREATE INDEX transfers_spare_of ON transfers (peer, id) WHERE " TL_LEDGER_SPARE ";"
    "CREATE INDEX transfers_owed ON transfers (peer)"
    "  WHERE role = 'asked' AND answered = 1 AND state != 'posted';"
    "CREATE INDEX transfers_unconfirmed ON transfers (peer)"
    "  WHERE kind = 'settlement' AND state != 'voided' AND confirmed = 0;"

    "CREATE TABLE entries ("
    "  transfer INTEGER NOT NULL REFERENCES transfers,"
    "  phase TEXT NOT NULL CHECK (phase IN ('hold', 'release', 'post')),"
    "  debit INTEGER NOT NULL REFERENCES accounts,"
    "  credit INTEGER NOT NULL REFERENCES accounts,"
    "  amount INTEGER NOT NULL CHECK (amount" TL_MONEY "),"
    "  CHECK (debit != credit),"
    "  PRIMARY KEY (transfer, phase)"
    ") STRICT, WITHOUT ROWID;"

    /* names that clients gave to their requests (X-Teale-Request), kept for a day */
    "CREATE TABLE named ("
    "  request TEXT PRIMARY KEY CHECK (length(request) BETWEEN 1 AND 64),"
    "  at INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX named_at ON named (at);"

    "CREATE TRIGGER transfers_begin BEFORE INSERT ON transfers BEGIN"
    "  INSERT OR IGNORE INTO accounts (kind, peer, network) VALUES"
    "    ('owed', NEW.peer, x''), ('settled', NEW.peer, x''), ('held', NEW.peer, x''),"
    "    ('holds', NEW.peer, x''), ('earned', NEW.peer, NEW.network),"
    "    ('spent', NEW.peer, NEW.network);"
    "END;"
    "CREATE TRIGGER transfers_begin_held AFTER INSERT ON transfers"
    "  WHEN NEW.state = 'held' BEGIN " TL_ENTER_HOLD " END;"
    "CREATE TRIGGER transfers_begin_posted AFTER INSERT ON transfers"
    "  WHEN NEW.state = 'posted' BEGIN " TL_ENTER_POST " END;"
    "CREATE TRIGGER transfers_leave_held AFTER UPDATE OF state ON transfers"
    "  WHEN OLD.state = 'held' AND NEW.state != 'held' BEGIN " TL_ENTER_RELEASE " END;"
    "CREATE TRIGGER transfers_post AFTER UPDATE OF state ON transfers"
    "  WHEN OLD.state != 'posted' AND NEW.state = 'posted' BEGIN " TL_ENTER_POST " END;"

    "CREATE TRIGGER transfers_states BEFORE UPDATE OF state ON transfers"
    "  WHEN OLD.state != NEW.state AND NOT (OLD.state = 'held'"
    "    OR (OLD.state = 'voided' AND NEW.state = 'posted'"
    "      AND OLD.kind = 'question' AND OLD.role = 'asked'))"
    "  BEGIN SELECT RAISE(ABORT, 'a transfer does not change so'); END;"
    "CREATE TRIGGER transfers_fixed BEFORE UPDATE OF id, kind, role, request, peer, network, model,"
    "    at, price, held, consumer_order ON transfers"
    "  BEGIN SELECT RAISE(ABORT, 'what a transfer is stays'); END;"
    "CREATE TRIGGER transfers_posted BEFORE UPDATE OF tokens_in, tokens_out, amount, signed_at,"
    "    own_signature, cap_in, cap_out ON transfers WHEN OLD.state = 'posted'"
    "  BEGIN SELECT RAISE(ABORT, 'what was posted stays'); END;"
    "CREATE TRIGGER transfers_signed BEFORE UPDATE OF peer_signature ON transfers"
    "  WHEN OLD.state = 'posted' AND OLD.peer_signature IS NOT NULL"
    "  BEGIN SELECT RAISE(ABORT, 'what was signed stays'); END;"
    "CREATE TRIGGER transfers_kept BEFORE DELETE ON transfers"
    "  WHEN NOT (" TL_LEDGER_SPARE_OF("OLD.") ")"
    "  BEGIN SELECT RAISE(ABORT, 'a transfer is not deleted'); END;"

    "CREATE TRIGGER entries_fit BEFORE INSERT ON entries"
    "  WHEN NOT EXISTS (SELECT 1 FROM transfers t"
    "    JOIN accounts d ON d.id = NEW.debit JOIN accounts c ON c.id = NEW.credit"
    "    WHERE t.id = NEW.transfer AND d.peer = t.peer AND c.peer = t.peer AND CASE NEW.phase"
    "      WHEN 'hold' THEN t.state = 'held' AND NEW.amount = t.held"
    "        AND d.kind IN ('held', 'holds') AND c.kind IN ('held', 'holds')"
    "      WHEN 'release' THEN t.state != 'held' AND NEW.amount = t.held"
    "        AND d.kind IN ('held', 'holds') AND c.kind IN ('held', 'holds')"
    "      ELSE t.state = 'posted' AND NEW.amount = t.amount"
    "        AND d.kind NOT IN ('held', 'holds') AND c.kind NOT IN ('held', 'holds')"
    "        AND 'owed' IN (d.kind, c.kind) END)"
    "  BEGIN SELECT RAISE(ABORT, 'an entry fits its transfer'); END;"
    "CREATE TRIGGER entries_count AFTER INSERT ON entries BEGIN"
    "  UPDATE accounts SET debits = debits + NEW.amount WHERE id = NEW.debit;"
    "  UPDATE accounts SET credits = credits + NEW.amount WHERE id = NEW.credit;"
    "END;"
    "CREATE TRIGGER entries_stay BEFORE UPDATE ON entries"
    "  BEGIN SELECT RAISE(ABORT, 'an entry stays'); END;"
    "CREATE TRIGGER entries_kept BEFORE DELETE ON entries"
    "  WHEN NOT EXISTS (SELECT 1 FROM transfers WHERE id = OLD.transfer AND " TL_LEDGER_SPARE ")"
    "  BEGIN SELECT RAISE(ABORT, 'an entry is not deleted'); END;"
    "CREATE TRIGGER entries_uncount AFTER DELETE ON entries BEGIN"
    "  UPDATE accounts SET debits = debits - OLD.amount WHERE id = OLD.debit;"
    "  UPDATE accounts SET credits = credits - OLD.amount WHERE id = OLD.credit;"
    "END;"
    "CREATE TRIGGER accounts_grow BEFORE UPDATE ON accounts"
    "  WHEN ((NEW.debits < OLD.debits OR NEW.credits < OLD.credits)"
    "      AND OLD.kind NOT IN ('held', 'holds')) OR NEW.id != OLD.id"
    "    OR NEW.kind != OLD.kind OR NEW.peer != OLD.peer OR NEW.network != OLD.network"
    "  BEGIN SELECT RAISE(ABORT, 'an account only grows'); END;"
    "CREATE TRIGGER accounts_kept BEFORE DELETE ON accounts WHEN OLD.debits != 0"
    "    OR OLD.credits != 0 OR EXISTS (SELECT 1 FROM transfers WHERE peer = OLD.peer)"
    "  BEGIN SELECT RAISE(ABORT, 'an account is not deleted'); END;"

    /* what one who reads the file by hand wants first */
    "CREATE VIEW balances AS SELECT hex(peer) AS peer, sum(debits - credits) AS balance_micro"
    "  FROM accounts WHERE kind = 'owed' GROUP BY peer;";
#pragma GCC diagnostic pop
/* clang-format on */

#undef TL_MONEY
#undef TL_ACCOUNT
#undef TL_ACCOUNT_OF_NETWORK
#undef TL_ENTER_HOLD
#undef TL_ENTER_RELEASE
#undef TL_ENTER_POST

#endif
