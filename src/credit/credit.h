/* credit.h - what this node and its peers come to owe each other: holds, charges, receipts that both
 * sign, settlements, and who is trusted for how much. Sans-IO: the store is a function that carries
 * out operations of market/book.h, peers are told by another one. Never asks or answers a question
 * itself. An answer waits for the word that its question is new, and for no write to the disk.
 *
 * A question that this node answers (the provider):
 *   tl_credit_serve    holds what it may cost; refuses where that is more than the peer may owe
 *   tl_credit_delivered   the answer outgrows the hold: holds more, as long as there is credit
 *   tl_credit_charge   posts what was delivered; after the commit `receipt` goes to the consumer
 *   tl_credit_waive    nothing was delivered: the hold is voided
 * A question that this node asks (the consumer):
 *   tl_credit_ask      writes down what may be claimed at most
 *   tl_credit_over     what was seen of the answer: no claim beyond it is signed
 *
 * Control messages (docs/protocol.md "Receipts and credit"):
 *   receipts         provider -> consumer, signed by the provider; back, signed by both. Or, after a
 *                    hello, consumer -> provider, signed by the consumer: for a whole answer that the
 *                    provider has not charged, since it died before its commit
 *   receiptsRefused  consumer -> provider: these claims are not signed, and why
 *   settle          a settlement, signed by one or by both
 *   settleDone      the settlement is on the disk here, too
 *   settleRefused   it is not signed
 *   settleWithdrawn its creditor wants another amount: the peer tells it where it has posted it, or
 *                   refuses it
 *   receiptsWanted  the books here are an older copy: the peer hands over what both have signed since
 * What is not answered is said again after the next hello, claims and offers also while the connection
 * stands. To one peer receipts go at a pace that its control stream takes (peer/state.h), many in a
 * message. */
#ifndef TL_CREDIT_CREDIT_H
#define TL_CREDIT_CREDIT_H

#include "base/env.h"
#include "base/rand.h"
#include "market/book.h"
#include "market/order.h"

#include <jansson.h>

/* Peers whose sums are kept. One that owes nothing makes room for a new one. */
#define TL_CREDIT_PEERS_MAX      (64u << 10)
/* Claims that a peer has left unsigned: beyond this number it gets no work any more, once it had
 * this long to sign the oldest; beyond the second number not at all. A peer that never signs may
 * deny what it owes, so the loss stays small. */
#define TL_CREDIT_UNSIGNED_MAX   64
#define TL_CREDIT_SIGN_WITHIN    (10 * TL_SEC)
#define TL_CREDIT_UNSIGNED_EVER  4096
/* Receipts of one peer that the store works at; it says the others again after its next hello. */
#define TL_CREDIT_AT_ONCE        256
/* In one message; what more waits is read from the store again. */
#define TL_CREDIT_SAY_MAX        64
/* Between two messages with receipts to one peer, and bytes a second: of those that a control stream
 * carries from a stranger and from a known peer (TL_CONTROL_RATE, TL_CONTROL_BYTES_RATE) half and
 * three quarters, so that there is room for other words. */
#define TL_CREDIT_SAY_EVERY      (100 * TL_MS)
#define TL_CREDIT_SAY_RATE       (48u << 10)
#define TL_CREDIT_SAY_KNOWN      (480u << 10)
#define TL_CREDIT_SAY_BYTES      1024 /* of one receipt with its order, at most */
/* Charges that a peer offers, and that this node may have lost in a crash: after a start, of a peer that
 * was known before. */
#define TL_CREDIT_ADOPT_MAX      64
/* After a restore peers are asked for so long, at each hello, for what both have signed since the copy. */
#define TL_CREDIT_REGAIN_DAYS    90
/* What a peer wants so is read a page at a time (TL_BOOK_READ_MAX), and so many pages a minute. */
#define TL_CREDIT_PAGES_A_MINUTE 64
/* A peer that has not answered claims or offers for so long is told them again, and then after twice as long each
 * time: the store's work of both sides takes less, and a connection that ended has an heir by then. */
#define TL_CREDIT_AGAIN_FIRST    (5 * TL_SEC)
#define TL_CREDIT_AGAIN_MAX      (5 * TL_MIN)
/* A question whose answer is over is not held any longer for a claim that does not come. The claim is
 * signed all the same when it comes. */
#define TL_CREDIT_CLAIM_WITHIN   (10 * TL_MIN)
/* Questions that wait so; the oldest makes room. And as many whose end the store does not have yet: then
 * none is asked at a price. */
#define TL_CREDIT_WAITING_MAX    4096
/* The disk was full: so often it is tried to post what was delivered, and to write how questions ended;
 * so many charges at most. */
#define TL_CREDIT_RETRY_EVERY    (5 * TL_SEC)
#define TL_CREDIT_RETRIES_MAX    4096
#define TL_CREDIT_SETTLE_WITHIN  (10 * TL_SEC) /* the peer's node answers by itself */
#define TL_CREDIT_SETTLING_MAX   16            /* by hand, at one time */
#define TL_CREDIT_PROPOSED_EVERY (10 * TL_SEC) /* a peer proposes so often at most */
#define TL_CREDIT_GROW           256 /* tokens: an answer that outgrows its hold holds so many more */

/* A stranger that is new gets no work where so many peers have an account that cannot be forgotten,
 * for what is owed or under way. Identities cost nothing, and what each may owe stays on the disk. The
 * places between this number and TL_CREDIT_PEERS_MAX are for members, and for whom this node asks. */
#define TL_CREDIT_STRANGERS_MAX 20000
/* So many questions of one peer, or of all, between two operations that forget what is spare. */
#define TL_CREDIT_PRUNE_EVERY   64

typedef struct tl_credit tl_credit;
typedef struct tl_credit_served tl_credit_served;
typedef struct tl_credit_asked tl_credit_asked;

typedef struct {
    int64_t stranger, member; /* micro-credits that a peer may owe */
} tl_credit_limits;

typedef struct {
    /* Carries the operation out; op->done comes later, never from inside this call. Operations are
     * carried out in order. An error: it will not come, and the operation stays the caller's. */
    tl_err (*submit)(void *user, tl_book_op *op);
    /* As tl_peers_tell. `payload` is borrowed. */
    tl_err (*tell)(void *user, const tl_node_id *peer, const char *name, json_t *payload);
    /* Is the peer a member of this network of ours; NULL: of any? */
    bool (*is_member)(void *user, const tl_node_id *peer, const tl_node_id *network);
    /* This node has signed, as the consumer, and written down that `peer` served it so many tokens, of the
     * prompt and of the answer. Once for each question, `at` by our clock. NULL: not wanted. */
    void (*on_served)(void *user, const tl_node_id *peer, int64_t tokens, tl_unix at);
} tl_credit_world;

typedef struct {
    uint64_t charged, waived, refused, duplicates; /* questions of others */
    uint64_t signed_in, signed_out;                /* receipts: by peers, by us */
    uint64_t not_signed;                           /* claims of others that we refused */
    uint64_t malformed; /* messages that are none, forged ones with them */
    uint64_t adopted;   /* charges that a crash had lost */
    uint64_t regained;  /* receipts that an older copy of the books lacked */
    uint64_t lost;      /* charges that the disk never took */
} tl_credit_counters;

/* `identity` is borrowed for life. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_credit_new(const tl_env *env, tl_rand *rand, const tl_identity *identity,
                              const tl_credit_world *world, void *user, tl_credit **ret_credit);
/* Every operation must be done before: the store is closed first. What is open is forgotten, and
 * voided at the next start. */
void tl_credit_free(tl_credit *c);
void tl_credit_set_limits(tl_credit *c, const tl_credit_limits *limits);
int64_t tl_credit_limit_of(const tl_credit *c, const tl_node_id *peer);
const tl_credit_counters *tl_credit_counters_of(const tl_credit *c);

/* What the store knows, at the start (store/ledger.h). */
void tl_credit_on_loaded_peer(tl_credit *c, const tl_node_id *peer, const tl_ledger_sums *sums,
                              unsigned unsigned_n, unsigned paid_n);
void tl_credit_on_loaded_served(tl_credit *c, const tl_node_id *peer, const char *request,
                                tl_unix at);
void tl_credit_on_loaded_name(tl_credit *c, const char *request, tl_unix at);
/* The books are an older copy, taken at `at`, and may lack what was signed from `from` on: peers are asked for it. */
void tl_credit_on_loaded_restored(tl_credit *c, tl_unix at, tl_unix from);

/* --- questions --- */

typedef struct {
    const char *request; /* borrowed, like `model` and `order` */
    tl_node_id peer;
    bool has_network;
    tl_node_id network;
    const char *model;
    int64_t price;       /* micro-credits for 1000 tokens */
    uint64_t body_bytes; /* of the request, as it goes over the wire */
    uint64_t max_tokens; /* 0: it names no limit */
    const char *order;   /* that came with it; "" none */
    /* Serving, may be NULL: the store has told of the question (tl_credit_begun). While the handle is
     * there, once at most, never from inside a call. */
    void (*on_begun)(void *user);
    void *user;
} tl_credit_question;

/* TL_ERR_FORBIDDEN: the peer may not owe that, or has left too much unsigned. TL_ERR_EXISTS: it has
 * asked this before, and that is charged or under way. TL_ERR_BUSY, TL_ERR_IO: no more can be held
 * now, too many strangers have accounts, or the disk takes nothing. `why` has words for the peer. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_credit_serve(tl_credit *c, const tl_credit_question *q,
                                tl_credit_served **ret_served, tl_why *why);
/* The question costs nothing, or the store has told whether it is charged already. Until then nothing of
 * its answer should be told: an ID that is older than what is remembered would have it for nothing. */
bool tl_credit_begun(const tl_credit_served *s);
/* So much was delivered so far. False: there is no credit for more, and the answer must end. Also
 * where it turned out that the question is charged already, or the store could not say whether it is:
 * then it is not charged. */
bool tl_credit_delivered(tl_credit_served *s, tl_tokens tokens);
bool tl_credit_is_known(const tl_credit_served *s);
bool tl_credit_is_unsure(const tl_credit_served *s);
/* Each ends the handle. */
void tl_credit_charge(tl_credit_served *s, tl_tokens tokens);
void tl_credit_waive(tl_credit_served *s);

/* How a question of ours ended. */
typedef enum {
    TL_CREDIT_ANSWERED, /* with inferenceComplete, or where the provider's credit for us ended */
    TL_CREDIT_FAILED,   /* nothing is owed */
    TL_CREDIT_UNSEEN,   /* given up, or the connection broke, before a head came */
    TL_CREDIT_GIVEN_UP, /* after the head, by us while we read it, or by the provider */
    TL_CREDIT_LOST,     /* after the head: the connection broke, or we did not read on */
} tl_credit_end;

/* The question goes to q->peer now. `ret_order` goes with it. TL_ERR_BUSY: this question is under way there already, no account has a
 * place, or the disk does not take how questions end. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_credit_ask(tl_credit *c, const tl_credit_question *q,
                              char ret_order[TL_ORDER_MAX], tl_credit_asked **ret_asked);
/* Ends the handle. What a claim may say is remembered until the store has it. `seen`: what of the answer came here. LOST: for so long before the end nothing came. */
void tl_credit_over(tl_credit_asked *a, tl_credit_end end, tl_tokens seen, tl_time silent);

/* --- names that clients give to their requests --- */

typedef struct tl_credit_naming tl_credit_naming;
/* TL_ERR_EXISTS: this name was given within a day. Else on_named follows after the commit (TL_OK), or
 * says why not; not from inside this call. Without it the request must not be worked at. `scope`: the
 * network that it is asked of, or zero: each may have half of the names that are kept. TL_ERR_BUSY,
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_credit_name(tl_credit *c, const char *request, const tl_node_id *scope,
                               void (*on_named)(void *user, tl_err e), void *user,
                               tl_credit_naming **ret_naming);
/* Before on_named, which is not called any more: the request is not made, so the name is free again once
 * it was stored. */
void tl_credit_name_forget(tl_credit_naming *n);
/* Nothing came of the request: the name may be given again. */
void tl_credit_unname(tl_credit *c, const char *request);

/* --- peers --- */

void tl_credit_on_hello(tl_credit *c, const tl_node_id *peer);
/* `name` begins with "receipt" or "settle". */
void tl_credit_on_told(tl_credit *c, const tl_node_id *peer, const char *name,
                       const json_t *payload);
void tl_credit_on_timer(tl_credit *c);
tl_time tl_credit_expiry(const tl_credit *c);

typedef enum {
    TL_SETTLE_SETTLED,
    TL_SETTLE_PROPOSED,
    TL_SETTLE_EARLIER, /* one tried before was posted by the peer, and is now here, too; this is not */
    TL_SETTLE_TOO_MUCH, /* more than is owed, here or by the peer's books */
    TL_SETTLE_AWAY,     /* the peer's node is not connected, or did not answer */
    TL_SETTLE_BUSY,
    TL_SETTLE_STORE, /* the disk did not take it */
} tl_settle_result;
/* This node's person says that the debt was paid, or (a debtor's) proposes it. Never from inside this
 * call: on_settled, with the balance after it. */
void tl_credit_settle(tl_credit *c, const tl_node_id *peer, int64_t amount,
                      void (*on_settled)(void *user, tl_settle_result r, int64_t balance),
                      void *user);
/* No connection to the peer can be made: settlements that wait for its signature end. */
void tl_credit_settle_away(tl_credit *c, const tl_node_id *peer);
/* Starts what may not happen from inside calls. */
void tl_credit_run(tl_credit *c);

/* The sums with a peer; zeros where nothing passed. */
tl_ledger_sums tl_credit_sums_of(const tl_credit *c, const tl_node_id *peer);

#endif
