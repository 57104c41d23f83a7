/* credit_state.h - what the files of this room share: a peer's account and the calls between them.
 * credit.c owns peers, time and messages, credit_say.c what waits to be told, credit_serve.c what we answer, credit_ask.c what we ask,
 * credit_settle.c settlements, credit_names.c names, credit_prune.c what
 * is forgotten. */
#ifndef TL_CREDIT_CREDIT_STATE_H
#define TL_CREDIT_CREDIT_STATE_H

#include "base/json.h"
#include "base/table.h"
#include "credit/credit.h"

/* One peer with which something passed, or passes now. */
typedef struct tl_account {
    tl_node_id id; /* the key */
    tl_ledger_sums sums;
    unsigned unsigned_n;  /* claims of ours that it has not signed */
    tl_time signed_at;    /* when it last signed; or when the oldest that it has not signed began */
    bool graced;          /* since it last signed, a hello gave it time once */
    size_t at_once;       /* messages of it that the store works at */
    bool resending;       /* claims are read, or told and not answered yet */
    size_t resent;        /* told, and not answered yet */
    int64_t resent_after; /* the number up to which they were read */
    bool reading;         /* the store is at it */
    tl_time again_at; /* in `awaiting`: claims were told, and are told again then; 0: not there */
    tl_time again_in; /* from the next time on; 0: TL_CREDIT_AGAIN_FIRST */
    /* In `offering`: charges were offered, and are offered again then; 0: not there. */
    tl_time offer_at;
    tl_time offer_in;     /* as again_in */
    json_t *saying;       /* receipts that wait to be told; NULL: none */
    json_t *refusing;     /* the same of refusals */
    tl_time say_at;       /* not before */
    bool waits_to_say;    /* in `talkers` */
    bool behind;          /* claims were left out: they are read from the store */
    bool loaded;          /* the store knew it at the start */
    unsigned adopted;     /* charges that it offered since */
    bool regaining;       /* it is asked for what both have signed */
    int64_t regain_next;  /* its number of the next page; 0: that was the last */
    int64_t regain_after; /* the number of the page that it was asked for */
    /* In `regainers`: it has not answered, and is asked again then; 0: not there. */
    tl_time regain_at;
    unsigned regain_tries;
    bool giving;    /* the store reads what it wants so */
    unsigned given; /* pages, since: */
    tl_time given_from;
    unsigned unpruned;   /* questions with it since a TL_BOOK_PRUNE was of it */
    unsigned paid_n;     /* paid questions of it in public that the store has */
    bool known;          /* it has signed, or we have, so that it knows us */
    tl_time proposed_at; /* when it last proposed a settlement; 0: never */
    size_t open;         /* handles and operations that name it: it stays */
    tl_time used_at;
    tl_credit *credit;
    UT_hash_handle hh;
    struct tl_account *prev, *next; /* by used_at, the oldest first */
    struct tl_account *say_prev, *say_next;
    struct tl_account *again_prev, *again_next;
    struct tl_account *offer_prev, *offer_next;
    struct tl_account *regain_prev, *regain_following;
} tl_account;

/* The key of what is known by peer and request. */
typedef struct {
    tl_node_id peer;
    char request[TL_REQUEST_ID_MAX];
} tl_request_key;

struct tl_credit_served {
    tl_request_key key; /* of `serving`, or of `served` */
    tl_credit *credit;
    tl_account *account;
    tl_ledger_entry entry;
    tl_tokens cap; /* no more is charged, since the consumer signs no more */
    int64_t held;  /* now; entry.held is what the store has */
    bool begun;    /* the store has told of it, or it costs nothing */
    void (*on_begun)(void *user);
    void *user;       /* of on_begun */
    bool is_known;    /* the store has a charge for this already: it is not charged again */
    bool is_unsure;   /* the store could not say */
    bool is_entered;  /* TL_BOOK_BEGIN was submitted: a hold may be on the disk */
    bool over;        /* the handle is gone */
    size_t pending;   /* operations that name it */
    tl_time retry_at; /* in `retries`; 0: not there */
    tl_receipt claim;
    UT_hash_handle hh;
    tl_credit_served *prev, *next; /* retries */
};

/* A question of the last day that is charged. */
typedef struct tl_recent {
    tl_request_key key;
    tl_unix at;
    UT_hash_handle hh;
    struct tl_recent *prev, *next; /* the oldest first */
} tl_recent;

struct tl_credit_asked {
    tl_request_key key; /* of `asking` */
    tl_credit *credit;
    tl_account *account;
    tl_ledger_entry entry;
    int64_t prompt; /* its measure, before anyone has counted it */
    bool has_claim; /* it came before the answer's end was read */
    tl_receipt claim;
    char claim_order[TL_ORDER_MAX];
    UT_hash_handle hh;
};

/* Its answer is over, and no claim has come, or the store does not have its end yet. */
typedef struct tl_waiting {
    tl_request_key key; /* of `waiting` */
    bool is_free;       /* at no price: the store does not know it */
    tl_tokens cap;      /* what a claim may say, whatever the store has */
    tl_book_op *over; /* in `unwritten`: it tells the store of the end; NULL: in `waiting_by_age` */
    tl_time retry_at; /* `over` was refused, and is submitted again then; 0: the store has it */
    tl_time until;    /* in `waiting_by_age` */
    UT_hash_handle hh;
    struct tl_waiting *prev, *next; /* the oldest first */
} tl_waiting;

/* Whose names are counted together: the questions of one network, or those of none. */
typedef struct {
    tl_node_id id; /* the network; zero: of none */
    size_t n;
    struct tl_name *by_age;
    UT_hash_handle hh;
} tl_name_scope;

typedef struct tl_name {
    char request[TL_REQUEST_ID_MAX]; /* the key, filled with NULs */
    tl_unix at;
    tl_name_scope *scope; /* NULL: it is from before this start, and it is not known whose it is */
    UT_hash_handle hh;
    struct tl_name *prev, *next;             /* the oldest first */
    struct tl_name *scope_prev, *scope_next; /* the same, in its scope */
} tl_name;

/*  NEW --tl_credit_run--> LOOKING (creditor) --none of this amount is there--> HOLDING
 *  HOLDING --our signed one is on the disk--> TOLD --signed by both--> WRITING
 *  LOOKING --we have signed the same before--> TOLD
 *  LOOKING --we have signed another amount before--> CLOSING --the peer has not posted it--> HOLDING
 *  LOOKING --the peer has proposed the same--> WRITING
 *  NEW --(debtor)--> WRITING
 *  any of them --its end is told--> freed */
typedef enum {
    TL_SETTLING_NEW,
    TL_SETTLING_LOOKING, /* has the peer proposed it, or have we signed it before? */
    TL_SETTLING_CLOSING, /* an earlier one is withdrawn: has the peer posted it? */
    TL_SETTLING_HOLDING, /* the store writes down what we have signed, before anybody is told */
    TL_SETTLING_TOLD,    /* the peer's signature is awaited */
    TL_SETTLING_WRITING, /* the store posts it, or writes the proposal */
} tl_settling_state;

typedef struct tl_settling {
    tl_credit *credit;
    tl_account *account;
    tl_settling_state state;
    tl_settlement settlement;
    tl_settlement earlier; /* CLOSING */
    bool proposes;         /* we are the debtor */
    bool away;             /* no connection can be made */
    tl_time deadline;
    void (*on_settled)(void *user, tl_settle_result r, int64_t balance);
    void *user;
    struct tl_settling *prev, *next;
} tl_settling;

struct tl_credit {
    tl_env env;
    tl_rand *rand;
    const tl_identity *identity;
    tl_order_key order_key;
    tl_credit_world world;
    void *user;
    tl_credit_limits limits;
    tl_account *accounts, *accounts_by_use, *talkers, *awaiting, *offering, *regainers;
    tl_credit_served *serving; /* under way, or not posted yet */
    tl_credit_served *retries;
    size_t retries_n;
    tl_recent *recent, *recent_by_age;
    tl_credit_asked *asking;
    tl_waiting *waiting, *waiting_by_age, *unwritten;
    size_t unwritten_n;
    tl_name *names, *names_by_age;
    tl_name_scope *name_scopes;
    tl_settling *settling;
    size_t settling_n;
    unsigned unpruned; /* questions since the last TL_BOOK_PRUNE */
    bool pruning;
    size_t paid_n;                   /* paid questions of all in public that the store has */
    tl_unix restored_at, lacks_from; /* 0: the books are no copy */
    tl_node_id paid_cursor;          /* up to this peer they were looked at */
    bool disk_fails; /* the last operation that writes failed for the disk's fault */
    /* Where disk_fails: something is written then, to see whether it still does. */
    tl_time probe_at;
    tl_time full_until; /* all accounts were in use: none is looked for before this */
    tl_time due;        /* may be too early */
    tl_credit_counters counters;
};

/* --- credit.c --- */
void tl_request_key_set(tl_request_key *key, const tl_node_id *peer, const char *request);
bool tl_credit_is_member(const tl_credit *c, const tl_node_id *peer);
/* The `max` of tl_account_get for a peer that comes by itself. */
size_t tl_credit_places_for(const tl_credit *c, const tl_node_id *peer);
/* A new one where there are fewer than `max`, or in the place of one that is spare. NULL: no memory, or
 * all are in use, or were so within the last second. */
tl_account *tl_account_get(tl_credit *c, const tl_node_id *peer, size_t max);
tl_account *tl_account_find(const tl_credit *c, const tl_node_id *peer);
/* Of a new operation that belongs to the account: submits it. False: it is freed, and will not be. */
bool tl_credit_submit(tl_credit *c, tl_book_op *op, void (*done)(tl_book_op *op, tl_err e),
                      void *user);
/* Notes whether the disk takes what is written. */
void tl_credit_note_disk(tl_credit *c, tl_err e);
void tl_credit_due(tl_credit *c, tl_time at);
/* Takes the reference to `payload`; NULL: out of memory. What is not told now is told after the next
 * hello. */
tl_err tl_credit_tell(tl_credit *c, const tl_node_id *peer, const char *name, json_t *payload);

/* --- credit_say.c --- */
/* Takes the reference to an element of `receipts`; NULL: out of memory. False: too many wait. */
bool tl_credit_say_receipt(tl_account *a, json_t *one);
bool tl_credit_say_refusal(tl_account *a, const char *request, const char *reason);
/* What waits is forgotten: the connection is new. */
void tl_credit_say_nothing(tl_account *a);
void tl_credit_say_on(tl_credit *c, tl_time now);
/* The account goes: nothing of it is told any more. */
void tl_credit_forget_said(tl_account *a);
/* A claim that was posted now. */
void tl_credit_say_new_claim(tl_account *a, const tl_ledger_entry *e);
/* Claims that the peer has not answered, from the store; unless that is under way. */
void tl_credit_resend(tl_credit *c, tl_account *a);
/* The peer signs: what it has not signed yet is told again soon. */
void tl_credit_on_signed(tl_account *a);
/* The peer has answered a claim: after the last that was told, the next are read. */
void tl_credit_on_answered(tl_account *a);
void tl_credit_say_again(tl_credit *c, tl_time now);

/* --- credit_serve.c --- */
void tl_credit_on_signature(tl_credit *c, tl_account *a, const tl_receipt *r);
void tl_credit_on_refusal(tl_credit *c, tl_account *a, const char *request, const char *why);
void tl_credit_retry(tl_credit *c, tl_time now);
void tl_credit_clear_served(tl_credit *c);

void tl_credit_on_offer(tl_credit *c, tl_account *a, const tl_receipt *r);

/* --- credit_prune.c --- */
/* A public question at a price was posted. */
void tl_credit_count_paid(tl_account *a);
/* May the stranger make one more? */
bool tl_credit_has_room(const tl_credit *c, const tl_account *a);
/* After a question between this account's peer and us. */
void tl_credit_prune(tl_credit *c, tl_account *a);

/* --- credit_ask.c --- */
/* Offers the peer what it has not charged. */
void tl_credit_offer(tl_credit *c, tl_account *a);
void tl_credit_offer_no_more(tl_account *a);
void tl_credit_offer_again(tl_credit *c, tl_time now);
void tl_credit_on_claim(tl_credit *c, tl_account *a, const tl_receipt *r, const char *order);
void tl_credit_end_waiting(tl_credit *c, tl_time now);
/* Ends that the store refused are submitted again. */
void tl_credit_write_ends(tl_credit *c, tl_time now);
void tl_credit_clear_asked(tl_credit *c);

/* --- credit_settle.c --- */
void tl_credit_on_settlement(tl_credit *c, tl_account *a, const tl_settlement *s);
void tl_credit_on_settle_done(tl_credit *c, tl_account *a, const char *id);
void tl_credit_on_settle_withdrawn(tl_credit *c, tl_account *a, const char *id);
void tl_credit_on_settle_refused(tl_credit *c, tl_account *a, const char *id);
void tl_credit_resend_settlements(tl_credit *c, tl_account *a);
void tl_credit_end_settling(tl_credit *c, tl_time now);
void tl_credit_run_settling(tl_credit *c);
void tl_credit_clear_settling(tl_credit *c);

/* --- credit_regain.c --- */
/* The peer is asked, where the books are a copy. */
void tl_credit_regain(tl_credit *c, const tl_node_id *peer);
void tl_credit_regain_no_more(tl_account *a);
void tl_credit_regain_again(tl_credit *c, tl_time now);
/* Does it belong to what the peer hands over so? Then it is taken. */
bool tl_credit_on_whole(tl_credit *c, tl_account *a, const tl_receipt *r);
/* After a list of receipts: the peer's `next`. */
void tl_credit_on_page(tl_account *a, int64_t next);
void tl_credit_on_wanted(tl_credit *c, tl_account *a, int64_t since, int64_t after);
/* Of a question of the last day that is charged now, outside of credit_serve.c. */
void tl_credit_remember(tl_credit *c, const tl_node_id *peer, const char *request, tl_unix at);

/* --- credit_names.c --- */
void tl_credit_clear_names(tl_credit *c);

#endif
