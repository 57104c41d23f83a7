#include "store/migrations.h"

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
    "  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),"
    "  state TEXT NOT NULL CHECK (state IN ('joining', 'member', 'left', 'revoked')),"
    "  since INTEGER NOT NULL,"                        /* when the state began */
    "  certificate TEXT,"                              /* ours, as signed, with its chain */
    "  invite TEXT,"                                   /* what we join by */
    "  ca_seed BLOB CHECK (length(ca_seed) = 32),"     /* where the authority is here */
    "  group_key BLOB CHECK (length(group_key) = 32)," /* for ptn.hide */
    "  group_key_before BLOB CHECK (length(group_key_before) = 32),"
    "  api_key TEXT CHECK (length(api_key) BETWEEN 1 AND 128),"
    "  CHECK (state != 'joining' OR invite IS NOT NULL),"
    "  CHECK (state != 'member' OR certificate IS NOT NULL)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE UNIQUE INDEX networks_api_key ON networks (api_key) WHERE api_key IS NOT NULL;"

    "CREATE TABLE members ("
    "  network BLOB NOT NULL REFERENCES networks ON DELETE CASCADE,"
    "  node BLOB NOT NULL CHECK (length(node) = 32),"
    "  certificate TEXT NOT NULL,"
    "  name TEXT NOT NULL CHECK (length(name) <= 128),"
    "  last_seen INTEGER NOT NULL," /* 0: never */
    "  has_left INTEGER NOT NULL CHECK (has_left IN (0, 1)),"
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

    /* What is revoked is the union of a network's lists, which survives the network's own row: who
     * comes back must not forget it. */
    "CREATE TABLE lists ("
    "  id INTEGER PRIMARY KEY,"
    "  network BLOB NOT NULL CHECK (length(network) = 32),"
    "  sequence INTEGER NOT NULL CHECK (sequence >= 1),"
    "  list TEXT NOT NULL,"
    "  UNIQUE (network, list)"
    ") STRICT;"

    "CREATE TABLE prices ("
    "  network BLOB PRIMARY KEY CHECK (length(network) = 32),"
    "  version INTEGER NOT NULL CHECK (version >= 1),"
    "  price TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;";

const char *const tl_store_steps[] = {networks};
const size_t tl_store_steps_n = sizeof tl_store_steps / sizeof *tl_store_steps;

const char tl_store_restored_sql[] = "UPDATE invites SET state = 'withdrawn' WHERE state = 'open';";
