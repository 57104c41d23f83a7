#include "store/migrations.h"

#include "store/ledger_schema.h"
#include "store/ledger_triggers.h"

/* 1: the store itself, and private networks. Times are Unix seconds; keys are raw bytes. */
static const char networks[] =
    "CREATE TABLE store ("
    "  only INTEGER PRIMARY KEY CHECK (only = 1),"
    "  id BLOB NOT NULL CHECK (length(id) = 16),"     /* random: which database this is */
    "  commits INTEGER NOT NULL CHECK (commits >= 0)" /* transactions so far (mark.h) */
    ") STRICT;"
    "INSERT INTO store VALUES (1, randomblob(16), 0);"

    "CREATE TABLE networks ("
    "  network BLOB PRIMARY KEY CHECK (length(network) = 32),"
    "  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64)," /* as this node calls it */
    "  certificate TEXT,"                          /* ours, as signed, with its chain */
    "  ca_seed BLOB CHECK (length(ca_seed) = 32)," /* where the authority is here */
    "  api_key TEXT UNIQUE CHECK (length(api_key) BETWEEN 1 AND 128),"
    "  has_left INTEGER NOT NULL CHECK (has_left IN (0, 1)),"
    "  at INTEGER NOT NULL," /* of the last change */
    "  CHECK (has_left = 0 OR (certificate IS NULL AND ca_seed IS NULL AND api_key IS NULL))"
    ") STRICT, WITHOUT ROWID;"

    /* What a network's admins signed for all members, each kind as a JSON array. It outlives the
     * network's own row: who comes back must not forget who is revoked. */
    "CREATE TABLE objects ("
    "  network BLOB NOT NULL CHECK (length(network) = 32),"
    "  kind TEXT NOT NULL CHECK (kind IN ('revocations', 'price', 'key')),"
    "  objects TEXT NOT NULL,"
    "  PRIMARY KEY (network, kind)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE members ("
    "  network BLOB NOT NULL REFERENCES networks ON DELETE CASCADE,"
    "  node BLOB NOT NULL CHECK (length(node) = 32),"
    "  certificate TEXT NOT NULL,"
    "  name TEXT NOT NULL CHECK (length(name) <= 256)," /* '': not known */
    "  last_seen INTEGER NOT NULL,"                     /* 0: never */
    "  PRIMARY KEY (network, node)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE invites ("
    "  network BLOB NOT NULL REFERENCES networks ON DELETE CASCADE,"
    "  nonce BLOB NOT NULL CHECK (length(nonce) = 16),"
    "  role TEXT NOT NULL CHECK (role IN ('consumer', 'provider', 'admin')),"
    "  expires_at INTEGER NOT NULL,"
    "  valid_seconds INTEGER NOT NULL CHECK (valid_seconds >= 0)," /* of the certificate; 0: no end */
    "  bound_to BLOB CHECK (length(bound_to) = 32),"
    "  state TEXT NOT NULL CHECK (state IN ('open', 'used', 'withdrawn')),"
    "  used_by BLOB CHECK (length(used_by) = 32),"
    "  CHECK ((state = 'used') = (used_by IS NOT NULL)),"
    "  PRIMARY KEY (network, nonce)"
    ") STRICT, WITHOUT ROWID;"

    /* What this node tries to join. */
    "CREATE TABLE joins ("
    "  network BLOB PRIMARY KEY CHECK (length(network) = 32),"
    "  invite TEXT NOT NULL,"
    "  name TEXT NOT NULL CHECK (length(name) <= 64)," /* as this node shall call it; '': as invited */
    "  at INTEGER NOT NULL CHECK (at >= 0)"
    ") STRICT, WITHOUT ROWID;";

/* 4: who left a network, so that no certificate that was not issued later brings a node back. */
static const char departed[] = "CREATE TABLE departed ("
                               "  network BLOB NOT NULL REFERENCES networks ON DELETE CASCADE,"
                               "  node BLOB NOT NULL CHECK (length(node) = 32),"
                               "  issued_at INTEGER NOT NULL," /* of the certificate that it had */
                               "  at INTEGER NOT NULL,"        /* when it left */
                               "  PRIMARY KEY (network, node)"
                               ") STRICT, WITHOUT ROWID;";

/* 5: what members leave behind at no price is forgotten, too: the newest of it stays. What may be
 * deleted is what is of no network or of one, and came to nothing. */
#define NOTHING_OF(of) of "kind = 'question' AND " TL_LEDGER_NOTHING_OF(of)
static const char members_spare[] =
    "CREATE INDEX transfers_free ON transfers (at) WHERE " TL_LEDGER_FREE ";"
    "DROP TRIGGER transfers_kept;"
    "CREATE TRIGGER transfers_kept BEFORE DELETE ON transfers"
    "  WHEN NOT (" NOTHING_OF(
        "OLD.") ")"
                "  BEGIN SELECT RAISE(ABORT, 'a transfer is not deleted'); END;"
                "DROP TRIGGER entries_kept;"
                "CREATE TRIGGER entries_kept BEFORE DELETE ON entries"
                "  WHEN NOT EXISTS (SELECT 1 FROM transfers WHERE id = OLD.transfer "
                "AND " NOTHING_OF(
                    "") ")"
                        "  BEGIN SELECT RAISE(ABORT, 'an entry is not deleted'); END;";

/* 6: what this node asked at a price is not among what others push out. A debtor's proposals that this node
 * has not signed are not kept: what came of them before goes now. */
#define GOES     "(" NOTHING_OF("") " OR " TL_LEDGER_PROPOSED_OF("") ")"
#define OLD_GOES "(" NOTHING_OF("OLD.") " OR " TL_LEDGER_PROPOSED_OF("OLD.") ")"
#define VOID_ONE "state = 'voided' AND " TL_LEDGER_PROPOSED
static const char own_questions[] =
    "DROP INDEX transfers_spare;"
    "DROP INDEX transfers_spare_of;"
    "DROP INDEX transfers_free;"
    "CREATE INDEX transfers_spare ON transfers (id)"
    "  WHERE " TL_LEDGER_SPARE TL_LEDGER_OF_OTHERS ";"
    "CREATE INDEX transfers_spare_of ON transfers (peer, id)"
    "  WHERE " TL_LEDGER_SPARE TL_LEDGER_OF_OTHERS ";"
    "CREATE INDEX transfers_free ON transfers (at)"
    "  WHERE " TL_LEDGER_FREE TL_LEDGER_OF_OTHERS ";"
    "CREATE INDEX transfers_own ON transfers (at) WHERE " TL_LEDGER_OWN ";"
    "CREATE INDEX transfers_proposed ON transfers (peer) WHERE " TL_LEDGER_PROPOSED ";"
    "DROP TRIGGER transfers_kept;"
    "CREATE TRIGGER transfers_kept BEFORE DELETE ON transfers WHEN NOT " OLD_GOES
    "  BEGIN SELECT RAISE(ABORT, 'a transfer is not deleted'); END;"
    "DROP TRIGGER entries_kept;"
    "CREATE TRIGGER entries_kept BEFORE DELETE ON entries"
    "  WHEN NOT EXISTS (SELECT 1 FROM transfers WHERE id = OLD.transfer AND " GOES ")"
    "  BEGIN SELECT RAISE(ABORT, 'an entry is not deleted'); END;"
    "DELETE FROM entries WHERE transfer IN (SELECT id FROM transfers WHERE " VOID_ONE ");"
    "DELETE FROM transfers WHERE " VOID_ONE ";";

/* 7: what this node called a network before, the oldest first. And paid questions of strangers that settlements
 * cover may be forgotten, the oldest of a peer first. Their amounts stay in the accounts: `carried` has the
 * sums of what was forgotten. */
#define PAID     "(" TL_LEDGER_PAID_OF("") " AND peer_signature IS NOT NULL)"
#define OLD_PAID "(" TL_LEDGER_PAID_OF("OLD.") " AND OLD.peer_signature IS NOT NULL)"
#define OLD_OWED                                                                                   \
    "coalesce((SELECT debits FROM carried WHERE account = OLD.debit), 0) + OLD.amount > "          \
    "(SELECT credits FROM accounts WHERE id = OLD.debit)"
static const char old_names[] =
    "CREATE TABLE old_names ("
    "  id INTEGER PRIMARY KEY,"
    "  network BLOB NOT NULL REFERENCES networks ON DELETE CASCADE,"
    "  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),"
    "  UNIQUE (network, name)"
    ") STRICT;"
    "CREATE TABLE carried ("
    "  account INTEGER PRIMARY KEY REFERENCES accounts,"
    "  debits INTEGER NOT NULL CHECK (debits >= 0),"
    "  credits INTEGER NOT NULL CHECK (credits >= 0)"
    ") STRICT;"
    "CREATE TRIGGER carried_grow BEFORE UPDATE ON carried WHEN NEW.account != OLD.account"
    "    OR NEW.debits < OLD.debits OR NEW.credits < OLD.credits"
    "  BEGIN SELECT RAISE(ABORT, 'what was carried only grows'); END;"
    "CREATE TRIGGER carried_kept BEFORE DELETE ON carried"
    "  BEGIN SELECT RAISE(ABORT, 'what was carried stays'); END;"
    "CREATE INDEX transfers_paid ON transfers (peer, id) WHERE " TL_LEDGER_PAID ";"
    "DROP TRIGGER transfers_kept;"
    "CREATE TRIGGER transfers_kept BEFORE DELETE ON transfers WHEN NOT (" OLD_GOES " OR (" OLD_PAID
    "    AND NOT EXISTS (SELECT 1 FROM entries WHERE transfer = OLD.id)))"
    "  BEGIN SELECT RAISE(ABORT, 'a transfer is not deleted'); END;"
    "DROP TRIGGER entries_kept;"
    "CREATE TRIGGER entries_kept BEFORE DELETE ON entries"
    "  WHEN (OLD.phase = 'post' AND OLD.amount != 0 AND " OLD_OWED ") OR NOT EXISTS (SELECT 1"
    "    FROM transfers WHERE id = OLD.transfer AND (" GOES " OR " PAID "))"
    "  BEGIN SELECT RAISE(ABORT, 'an entry is not deleted'); END;"
    "DROP TRIGGER entries_uncount;"
    "CREATE TRIGGER entries_uncount AFTER DELETE ON entries WHEN OLD.phase != 'post' BEGIN"
    "  UPDATE accounts SET debits = debits - OLD.amount WHERE id = OLD.debit;"
    "  UPDATE accounts SET credits = credits - OLD.amount WHERE id = OLD.credit;"
    " END;"
    "CREATE TRIGGER entries_carry AFTER DELETE ON entries"
    "  WHEN OLD.phase = 'post' AND OLD.amount != 0 BEGIN"
    "  INSERT INTO carried VALUES (OLD.debit, OLD.amount, 0)"
    "    ON CONFLICT (account) DO UPDATE SET debits = debits + excluded.debits;"
    "  INSERT INTO carried VALUES (OLD.credit, 0, OLD.amount)"
    "    ON CONFLICT (account) DO UPDATE SET credits = credits + excluded.credits;"
    " END;";

/* 8: who helps whom (deeds.h). Own deeds that the ledger does not tell of, as they had fallen at `at`; and
 * what this node and fellow members have signed of deeds. */
static const char reciprocity[] =
    "CREATE TABLE deeds ("
    "  node BLOB PRIMARY KEY CHECK (length(node) = 32),"
    "  relayed INTEGER NOT NULL CHECK (relayed >= 0),"       /* bytes */
    "  held_milli INTEGER NOT NULL CHECK (held_milli >= 0)," /* thousandths of fragments */
    "  at INTEGER NOT NULL CHECK (at >= 0)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX deeds_at ON deeds (at);"
    "CREATE TABLE statements ("
    "  signer BLOB NOT NULL CHECK (length(signer) = 32),"
    "  node BLOB NOT NULL CHECK (length(node) = 32 AND node != signer),"
    "  relayed INTEGER NOT NULL CHECK (relayed >= 0),"
    "  served INTEGER NOT NULL CHECK (served >= 0),"
    "  held INTEGER NOT NULL CHECK (held >= 0),"
    "  sequence INTEGER NOT NULL CHECK (sequence >= 1),"
    "  issued_at INTEGER NOT NULL CHECK (issued_at >= 0),"
    "  expires_at INTEGER NOT NULL CHECK (expires_at > issued_at),"
    "  signature BLOB NOT NULL CHECK (length(signature) = 64),"
    "  PRIMARY KEY (signer, node)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX statements_issued ON statements (issued_at);"
    "CREATE INDEX statements_end ON statements (expires_at);";

/* 9: fragments of backups (fragments.h): those held for others, and the places of our own. `place` of NULL:
 * one that is to be deleted at its holder. */
static const char fragments[] = "CREATE TABLE fragments ("
                                "  owner BLOB NOT NULL CHECK (length(owner) = 32),"
                                "  id BLOB NOT NULL CHECK (length(id) = 32),"
                                "  size INTEGER NOT NULL CHECK (size BETWEEN 1 AND 8388608),"
                                "  recovery BLOB NOT NULL CHECK (length(recovery) = 32),"
                                "  placed_at INTEGER NOT NULL CHECK (placed_at >= 0),"
                                "  stranger INTEGER NOT NULL CHECK (stranger IN (0, 1)),"
                                "  PRIMARY KEY (owner, id)"
                                ") STRICT, WITHOUT ROWID;"
                                "CREATE TABLE fragment_owners ("
                                "  owner BLOB PRIMARY KEY CHECK (length(owner) = 32),"
                                "  heard_at INTEGER NOT NULL CHECK (heard_at >= 0),"
                                "  pointer BLOB CHECK (length(pointer) <= 1400)"
                                ") STRICT, WITHOUT ROWID;"
                                "CREATE TABLE backup_kept ("
                                "  only INTEGER PRIMARY KEY CHECK (only = 1),"
                                "  blob BLOB NOT NULL CHECK (length(blob) = 32),"
                                "  made_at INTEGER NOT NULL CHECK (made_at >= 0),"
                                "  k INTEGER NOT NULL CHECK (k BETWEEN 1 AND n),"
                                "  n INTEGER NOT NULL CHECK (n BETWEEN 1 AND 16),"
                                "  strangers INTEGER NOT NULL CHECK (strangers IN (0, 1)),"
                                "  recovery BLOB NOT NULL CHECK (length(recovery) = 32)"
                                ") STRICT;"
                                "CREATE TABLE backup_places ("
                                "  place INTEGER UNIQUE CHECK (place BETWEEN 0 AND 15),"
                                "  id BLOB NOT NULL CHECK (length(id) = 32),"
                                "  holder BLOB NOT NULL CHECK (length(holder) = 32),"
                                "  placed_at INTEGER NOT NULL CHECK (placed_at >= 0),"
                                "  proven_at INTEGER NOT NULL CHECK (proven_at >= 0),"
                                "  expires_at INTEGER NOT NULL CHECK (expires_at >= 0)"
                                ") STRICT;";

/* 10: this node's own backup (recovery.h). */
static const char recovery[] =
    "CREATE TABLE recovery ("
    "  only INTEGER PRIMARY KEY CHECK (only = 1),"
    "  root BLOB NOT NULL CHECK (length(root) = 32),"
    "  instance BLOB NOT NULL CHECK (length(instance) = 8),"
    "  sequence INTEGER NOT NULL CHECK (sequence >= 0),"
    "  made_at INTEGER NOT NULL CHECK (made_at >= 0),"             /* 0: none yet */
    "  holders INTEGER NOT NULL CHECK (holders BETWEEN 0 AND 16)," /* as asked for; 0: any number */
    "  strangers INTEGER NOT NULL CHECK (strangers IN (0, 1)),"
    "  elsewhere INTEGER NOT NULL CHECK (elsewhere IN (0, 1))"
    ") STRICT;";

/* 11: one that its owner withdrew, and one that a restored node has not made its own yet. */
static const char recovery_stage[] =
    "ALTER TABLE recovery ADD COLUMN stage INTEGER NOT NULL DEFAULT 0 "
    "CHECK (stage BETWEEN 0 AND 2);";

/* 12: the copy that the pointer still names, and whether a person was shown the words. */
static const char backup_before[] =
    "ALTER TABLE backup_kept ADD COLUMN before_since INTEGER NOT NULL DEFAULT 0 "
    "CHECK (before_since >= 0);"
    "ALTER TABLE backup_kept ADD COLUMN before_at INTEGER NOT NULL DEFAULT 0 "
    "CHECK (before_at >= 0);"
    "ALTER TABLE backup_kept ADD COLUMN before_lose INTEGER NOT NULL DEFAULT 0 "
    "CHECK (before_lose BETWEEN 0 AND 16);"
    "ALTER TABLE recovery ADD COLUMN unshown INTEGER NOT NULL DEFAULT 0 "
    "CHECK (unshown IN (0, 1));";

/* 13: when a copy was taken for this file, and of when its receipts may be missing. */
static const char restored[] =
    "ALTER TABLE store ADD COLUMN restored_at INTEGER NOT NULL DEFAULT 0 CHECK (restored_at >= 0);"
    "ALTER TABLE store ADD COLUMN lacks_from INTEGER NOT NULL DEFAULT 0 CHECK (lacks_from >= 0);";

/* 14: what the owner calls other nodes (aliases.h). */
static const char aliases[] = "CREATE TABLE aliases ("
                              "  node BLOB PRIMARY KEY CHECK (length(node) = 32),"
                              "  alias TEXT NOT NULL UNIQUE CHECK (length(alias) BETWEEN 1 AND 64)"
                              ") STRICT, WITHOUT ROWID;";

const char *const tl_store_steps[] = {networks,
                                      tl_store_ledger_step,
                                      tl_store_triggers_step,
                                      departed,
                                      members_spare,
                                      own_questions,
                                      old_names,
                                      reciprocity,
                                      fragments,
                                      recovery,
                                      recovery_stage,
                                      backup_before,
                                      restored,
                                      aliases};
const size_t tl_store_steps_n = sizeof tl_store_steps / sizeof *tl_store_steps;

/* Also: of this life no pointer is written yet, and it is another life. */
const char tl_store_restored_sql[] =
    "UPDATE invites SET state = 'withdrawn' WHERE state = 'open';"
    /* What it knows of a backup is of the one before: the copy is not older than that. */
    "UPDATE store SET restored_at = CAST(strftime('%s', 'now') AS INTEGER),"
    "  lacks_from = coalesce((SELECT made_at FROM recovery), 0);"
    "UPDATE recovery SET stage = 2, elsewhere = 0, unshown = 0, instance = randomblob(8);";
