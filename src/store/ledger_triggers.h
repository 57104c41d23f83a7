/* ledger_triggers.h - step 3 of the database: the ledger's triggers, written so that a transfer costs less.
 * SQL text only; migrations.c alone includes it.
 *
 * What they say is what step 2 says (ledger_schema.h), of the same names: here each entry is one row of
 * VALUES, which needs no table of its own on its way; accounts are made where one is missing; and an
 * entry of nothing writes no account. */
#ifndef TL_STORE_LEDGER_TRIGGERS_H
#define TL_STORE_LEDGER_TRIGGERS_H

/* clang-format off */
#define TL_ACCOUNT(kind, network) \
    "(SELECT id FROM accounts WHERE kind = '" kind "' AND peer = NEW.peer AND network = " network ")"

#define TL_ENTER_HOLD \
    " INSERT INTO entries VALUES (NEW.id, 'hold'," \
    "  CASE NEW.role WHEN 'served' THEN " TL_ACCOUNT("held", "x''") " ELSE " TL_ACCOUNT("holds", "x''") " END," \
    "  CASE NEW.role WHEN 'served' THEN " TL_ACCOUNT("holds", "x''") " ELSE " TL_ACCOUNT("held", "x''") " END," \
    "  NEW.held);"
/* The hold the other way round. */
#define TL_ENTER_RELEASE \
    " INSERT INTO entries VALUES (NEW.id, 'release'," \
    "  (SELECT credit FROM entries WHERE transfer = NEW.id AND phase = 'hold')," \
    "  (SELECT debit FROM entries WHERE transfer = NEW.id AND phase = 'hold')," \
    "  (SELECT amount FROM entries WHERE transfer = NEW.id AND phase = 'hold'));"
#define TL_ENTER_POST \
    " INSERT INTO entries VALUES (NEW.id, 'post'," \
    "  CASE NEW.kind || NEW.role WHEN 'questionserved' THEN " TL_ACCOUNT("owed", "x''") \
    "   WHEN 'questionasked' THEN " TL_ACCOUNT("spent", "NEW.network") \
    "   WHEN 'settlementserved' THEN " TL_ACCOUNT("settled", "x''") \
    "   ELSE " TL_ACCOUNT("owed", "x''") " END," \
    "  CASE NEW.kind || NEW.role WHEN 'questionserved' THEN " TL_ACCOUNT("earned", "NEW.network") \
    "   WHEN 'questionasked' THEN " TL_ACCOUNT("owed", "x''") \
    "   WHEN 'settlementserved' THEN " TL_ACCOUNT("owed", "x''") \
    "   ELSE " TL_ACCOUNT("settled", "x''") " END," \
    "  NEW.amount);"

static const char tl_store_triggers_step[] =
    "DROP TRIGGER transfers_begin;"
    "DROP TRIGGER transfers_begin_held;"
    "DROP TRIGGER transfers_begin_posted;"
    "DROP TRIGGER transfers_leave_held;"
    "DROP TRIGGER transfers_post;"
    "DROP TRIGGER entries_count;"
    /* All of a peer and a network are made at once, and go at once. */
    "CREATE TRIGGER transfers_begin BEFORE INSERT ON transfers"
    "  WHEN NOT EXISTS (SELECT 1 FROM accounts WHERE peer = NEW.peer AND kind = 'spent'"
    "    AND network = NEW.network) BEGIN"
    "  INSERT OR IGNORE INTO accounts (kind, peer, network) VALUES"
    "    ('owed', NEW.peer, x''), ('settled', NEW.peer, x''), ('held', NEW.peer, x''),"
    "    ('holds', NEW.peer, x''), ('earned', NEW.peer, NEW.network),"
    "    ('spent', NEW.peer, NEW.network);"
    " END;"
    "CREATE TRIGGER transfers_begin_held AFTER INSERT ON transfers"
    "  WHEN NEW.state = 'held' BEGIN" TL_ENTER_HOLD " END;"
    "CREATE TRIGGER transfers_begin_posted AFTER INSERT ON transfers"
    "  WHEN NEW.state = 'posted' BEGIN" TL_ENTER_POST " END;"
    "CREATE TRIGGER transfers_leave_held AFTER UPDATE OF state ON transfers"
    "  WHEN OLD.state = 'held' AND NEW.state != 'held' BEGIN" TL_ENTER_RELEASE " END;"
    "CREATE TRIGGER transfers_post AFTER UPDATE OF state ON transfers"
    "  WHEN OLD.state != 'posted' AND NEW.state = 'posted' BEGIN" TL_ENTER_POST " END;"
    "CREATE TRIGGER entries_count AFTER INSERT ON entries WHEN NEW.amount != 0 BEGIN"
    "  UPDATE accounts SET debits = debits + NEW.amount WHERE id = NEW.debit;"
    "  UPDATE accounts SET credits = credits + NEW.amount WHERE id = NEW.credit;"
    " END;";
/* clang-format on */

#undef TL_ACCOUNT
#undef TL_ENTER_HOLD
#undef TL_ENTER_RELEASE
#undef TL_ENTER_POST

#endif
