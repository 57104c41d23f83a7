/* book.h - what the store is asked to do with the ledger: one operation, what it needs and what comes
 * of it. A struct alone; whoever has the store carries it out (store/ledger.h). */
#ifndef TL_MARKET_BOOK_H
#define TL_MARKET_BOOK_H

#include "market/ledger.h"

/* Most entries that one operation reads; the next reads on. */
#define TL_BOOK_READ_MAX   64
/* Questions of a day that a provider knows without asking the store. What more come in a day are
 * charged once all the same, by the store's key. 24 MiB. */
#define TL_BOOK_RECENT_MAX (128u << 10)
#define TL_BOOK_DAY        (24 * 3600) /* seconds */
/* Entries that change no sum, of a peer and of all: at 1 to 2 KiB each some 2 MB, and 100 MB, however
 * many strangers ask for nothing, and as often as they like. Questions of this node at a price are not
 * among them: it alone makes those. */
#define TL_BOOK_SPARE_OF   1000
#define TL_BOOK_SPARE_MAX  50000
#define TL_BOOK_FREE_MAX   200000 /* of members: so much of it, 150 MB, for as many days */
#define TL_BOOK_SPARE_DAYS 90     /* and no longer: a quarter is over by then */
/* Paid questions of strangers, some 1 KiB each: 400 MB in all, and of one stranger a twentieth. From half of
 * that on those that are settled, and older than a day, are forgotten. Nothing that is owed is: a stranger
 * that would make more is refused (credit/credit.h). */
#define TL_BOOK_PAID_OF    20000
#define TL_BOOK_PAID_MAX   400000
#define TL_BOOK_OWED_DAYS  30 /* a provider that is away for longer has its own books */
/* An order with a price tells of a question that the consumer's disk does not have, and no longer. It must
 * end before such a question is forgotten: its row alone says that it failed. */
#define TL_BOOK_ORDER_DAYS 30

typedef enum {
    /* A question starts: `entry`, HELD. TL_ERR_EXISTS: it is held or posted already. */
    TL_BOOK_BEGIN,
    /* Is such a question posted on the disk? TL_ERR_EXISTS: it is. Reads alone, and before all that waits
     * to be written: a hold that it sees may be one that is about to be voided. */
    TL_BOOK_KNOWN,
    /* The consumer saw its answer end, or fail: entry.cap is what a receipt may say from now on.
     * Nothing: VOIDED. `answered`: it came whole, and the cap is what it costs. `entry` is the whole
     * question, since BEGIN may have been refused. TL_ERR_EXISTS: its claim is posted already. */
    TL_BOOK_OVER,
    /* Whole answers of the last days that entry.peer has not charged: entries[n], whose receipts the
     * consumer has signed here, as of entry.at. */
    TL_BOOK_OWED,
    /* The provider lost the charge in a crash, and the consumer offers it: entry.receipt, which it has
     * signed. Signed and posted. `claim` AGAIN: that is so already, and the receipt is what both have
     * signed. TL_ERR_AUTH; TL_ERR_EXISTS: the question is held, or charged and claimed. */
    TL_BOOK_ADOPT,
    /* No claim has come for the consumer's question: VOIDED, and signed all the same if one comes. */
    TL_BOOK_LAPSE,
    /* The provider has nothing to charge. */
    TL_BOOK_VOID,
    /* The provider charges entry.receipt, which is signed here with `identity`. Also where the hold
     * never reached the disk. TL_ERR_EXISTS: this question is charged already. */
    TL_BOOK_POST,
    /* The consumer judges a provider's claim, entry.receipt, and where it is right signs and posts
     * it. `claim` says what came of it; OK and AGAIN fill in the receipt with both signatures. A public
     * claim of nothing makes no entry where there is none and none `waits`: it may be forgotten. The same
     * of ADOPT.
     * `entry`: the question as its order tells it, where has_order; else only peer and request. The
     * caller takes no order with a price that is older than TL_BOOK_ORDER_DAYS.
     * TL_ERR_AUTH: the provider's signature is wrong. */
    TL_BOOK_CLAIM,
    /* The consumer has signed entry.receipt. TL_ERR_AUTH: it has not. TL_ERR_NOT_FOUND: this is not
     * what was claimed. TL_ERR_EXISTS: that signature is here already. */
    TL_BOOK_SIGN,
    /* Receipts of entry.peer with an amount that both have signed, of entry.at and later, after the number
     * `after`: entries[n]; and of settlements that this node signed as the creditor the same. */
    TL_BOOK_WHOLE,
    /* This file is an older copy, and lacks entry.receipt, which both have signed: posted. What is here and lacks
     * the consumer's signature gets it; else `entered`. TL_ERR_AUTH; TL_ERR_EXISTS: it is here, or held. */
    TL_BOOK_REGAIN,
    /* The consumer refuses to sign: entry.peer, entry.request, `why`. Asked for no more. */
    TL_BOOK_REFUSED,
    /* Claims that entry.peer has not signed, oldest first, after the number `after`: entries[n].
     * The last number is `after` then. */
    TL_BOOK_UNSIGNED,
    /* entry.settlement, signed by one side: it replaces what was proposed before with this peer; of
     * that, what this node has not signed is forgotten.
     * A creditor does so with its own before anybody is told of it. TL_ERR_AUTH: that signature is
     * wrong. TL_ERR_EXISTS: it is here already. */
    TL_BOOK_PROPOSE,
    /* entry.settlement, signed by both: TL_ERR_AUTH where one did not. `confirmed`: the peer has it,
     * too. TL_ERR_EXISTS: it is posted already. TL_ERR_FORBIDDEN: the creditor is this node, and has it
     * not as HELD; or the debtor is, adds its signature now, and does not owe that much. */
    TL_BOOK_SETTLE,
    /* The peer has entry.request, a settlement. TL_ERR_NOT_FOUND. */
    TL_BOOK_CONFIRMED,
    /* The peer does not sign, or does not take, entry.request, a settlement: it is told no more, and
     * VOIDED where this node is its creditor. TL_ERR_NOT_FOUND. */
    TL_BOOK_DECLINED,
    /* Settlements that entry.peer may not have: entries[n]. */
    TL_BOOK_UNCONFIRMED,
    /* Of this node as creditor what entry.peer proposed, or what this node signed and the peer has not:
     * entry.settlement. TL_ERR_NOT_FOUND. */
    TL_BOOK_PROPOSED,
    /* Forgets the oldest of what is spare: public entries of nothing, and voided ones. Of entry.peer
     * TL_BOOK_SPARE_OF stay, of all TL_BOOK_SPARE_MAX; claims that nobody signed in a day, and
     * what is older than TL_BOOK_SPARE_DAYS, go in any case, as of entry.at.
     * And of the paid questions of strangers that both signed, that are older than a day, and that are
     * covered by what the peer has paid: `paid_of` of entry.peer at most, and `paid_all` of all. For these it
     * looks at some peers at a time, from `cursor` on, and moves it.
     * entries[n]: one for each claim that went unsigned (amount 0), and for each paid question (its amount),
     * with its peer. Some at a time, `more` where there may be others; no sum changes. */
    TL_BOOK_PRUNE,
    /* A client gave its request the name entry.request, at entry.at. TL_ERR_EXISTS: it did so within
     * a day. */
    TL_BOOK_NAME,
    /* The name is free again: nothing came of the request. */
    TL_BOOK_UNNAME,
} tl_book_what;

typedef struct tl_book_op {
    tl_book_what what;
    tl_ledger_entry entry;
    const tl_identity *identity; /* borrowed: POST and CLAIM sign with it */
    bool has_order, answered;
    /* CLAIM: the consumer waits for it, so it is not one that was forgotten. It saw no more of the answer
     * than entry.cap, whatever the row says. */
    bool waits;
    tl_claim claim;
    /* CLAIM, where it is OK: the entry is made or changed. A claim of nothing that is signed without one may
     * come any number of times. */
    bool entered;
    char why[32];
    bool confirmed, more;
    int may_wait_ms; /* for others that share its commit; 0: it does not wait */
    int64_t after;
    size_t paid_of, paid_all; /* PRUNE */
    tl_node_id cursor; /* PRUNE: the peer that was looked at last; zeros: begin with the first */
    int64_t held;      /* ADOPT: what the caller holds for it meanwhile */
    size_t n;
    tl_ledger_entry *entries; /* the operation's own */
    /* Called on the loop's thread after the commit. It frees the operation (tl_book_op_free). */
    void (*done)(struct tl_book_op *op, tl_err e);
    void *user;
} tl_book_op;

/* NULL: no memory. */
tl_book_op *tl_book_op_new(tl_book_what what);
void tl_book_op_free(tl_book_op *op);

#endif
