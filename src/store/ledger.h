/* ledger.h - the ledger in the store: carries out the operations of market/book.h, reads all at the
 * start, reports and audits. Decides nothing: the rules are market/ledger.h's and the schema's. */
#ifndef TL_STORE_LEDGER_H
#define TL_STORE_LEDGER_H

#include "market/book.h"
#include "store/store.h"

#include <jansson.h>

/* Submits the operation; op->done is called after the commit. TL_ERR_NOMEM: it was not submitted. */
TL_CHECK tl_err tl_ledger_submit(tl_store *s, tl_book_op *op);
/* The same, inside a job's work. */
TL_CHECK tl_err tl_ledger_run(tl_db *db, tl_book_op *op);

/* What the node must know from its start on. Called on the store's thread, while the caller waits. */
typedef struct {
    /* `paid_n`: paid questions of this node as a provider, in public. */
    void (*on_peer)(void *user, const tl_node_id *peer, const tl_ledger_sums *sums,
                    unsigned unsigned_n, unsigned paid_n);
    void (*on_served)(void *user, const tl_node_id *peer, const char *request, tl_unix at);
    void (*on_named)(void *user, const char *request, tl_unix at);
    /* NULL: not wanted. The file is a copy, taken at `at`; it may lack what was signed from `from` on. */
    void (*on_restored)(void *user, tl_unix at, tl_unix from);
} tl_ledger_loaded;
/* At the start: voids the holds that a crash left, then tells all. Waits. */
TL_CHECK tl_err tl_ledger_load(tl_store *s, tl_unix now, const tl_ledger_loaded *calls, void *user);

typedef enum {
    TL_REPORT_WALLET,  /* {balance_micro, …, peers: [{node_id, …}], ptns: [{ptn_id, …}]} */
    TL_REPORT_HISTORY, /* {entries: […], next?: {at, id}}: there may be more after `next` */
    TL_REPORT_AUDIT,   /* {ok, transactions, receipts, unsigned, problems: […]} */
} tl_report_what;

/* One report, read on the store's thread, a piece a job, so that what is written meanwhile need not
 * wait for long. The JSON is that of `teale wallet --json`, without names and limits, which the store
 * does not know. Zero-initialise; fill in the first part. */
typedef struct tl_report {
    tl_store_job job; /* first */
    tl_report_what what;
    tl_node_id self;
    bool has_peer, has_network;
    tl_node_id peer, network;
    tl_unix since; /* 0: from the beginning */
    /* HISTORY: so many entries at most, 0: all; after the entry that `next` of a result before this
     * named, 0: from `since` on. `newest`: the newest first, down to `since`. */
    bool newest;
    size_t limit;
    int64_t after_at, after_id;
    /* Called once, on the owner's thread. */
    void (*done)(struct tl_report *r, tl_err e);
    void *user;
    json_t *result; /* the receiver's to free, whatever `done` says; may be NULL */
    /* private */
    bool more;
    int64_t last_at, last_id; /* read up to here */
    int64_t transactions, receipts, unsigned_n;
    tl_store *store;
} tl_report;
/* Never waits; `r` stays until `done`. */
void tl_report_submit(tl_store *s, tl_report *r);

#endif
