/* ledger.h - the rules of money between two nodes: what a question costs, how much is held for it,
 * who may still owe what, and which claims this node signs. Whole numbers alone; knows no store, no
 * clock and no connection.
 *
 *   amount   = ceil((tokens_in + tokens_out) * price / 1000)      micro-credits
 *   balance  = earned - spent - (received - paid)                  above 0: the peer owes us
 *   room     = limit - balance - held                              what the peer may still owe
 *
 * All amounts, counts and prices are from 0 to TL_MONEY_MAX; what would be more is TL_ERR_INVALID,
 * and changes nothing. */
#ifndef TL_MARKET_LEDGER_H
#define TL_MARKET_LEDGER_H

#include "market/receipt.h"

#define TL_LEDGER_ANSWER_TOKENS 1024 /* held for an answer, where the question names no limit */
/* No answer costs more generated tokens, where the question names no limit: the longest answers of
 * today's models. */
#define TL_LEDGER_UNSEEN_TOKENS 65536
/* What may have been on the way when the consumer gave an answer up: the provider has delivered it,
 * and the consumer has not seen it. Half a second of a fast model over a slow path. */
#define TL_LEDGER_IN_FLIGHT     256
/* Where the connection broke, or the consumer read no further, the model wrote on until its node found
 * out: a second of a model on a machine of one's own, and as many seconds as a connection stays silent
 * at most (tl_quic_config.idle_timeout). */
#define TL_LEDGER_PER_SECOND    256
#define TL_LEDGER_SILENCE_MAX   60

/* --- what a question costs --- */

TL_CHECK tl_err tl_ledger_amount(int64_t tokens_in, int64_t tokens_out, int64_t price,
                                 int64_t *ret_amount);
/* The measure of a prompt before anyone has counted it: a quarter of its bytes, rounded up. */
int64_t tl_ledger_prompt_tokens(uint64_t body_bytes);
/* The most that a prompt costs: half a token for each byte, rounded up. Text has a quarter, and numbers
 * and rare scripts have more; a request's body is not text alone. */
int64_t tl_ledger_prompt_most(uint64_t body_bytes);
/* The most that a question is expected to generate. `max_tokens` 0: it names no limit. */
int64_t tl_ledger_answer_tokens(uint64_t max_tokens);
/* The most that it pays for. */
int64_t tl_ledger_cap_tokens(uint64_t max_tokens);
/* The most that was on the way where nothing came for `silent` seconds before the answer broke off:
 *
 *   IN_FLIGHT + PER_SECOND * min(silent, SILENCE_MAX)        at most 15,616 tokens
 *
 * Until the silence began, what the model wrote came within IN_FLIGHT. */
int64_t tl_ledger_on_way(uint64_t silent);

typedef struct {
    int64_t in, out;
} tl_tokens;

/* Of each the smaller number. */
static inline tl_tokens tl_ledger_least(tl_tokens a, tl_tokens b)
{
    return (tl_tokens){a.in < b.in ? a.in : b.in, a.out < b.out ? a.out : b.out};
}

/* --- entries --- */

typedef enum { TL_LEDGER_QUESTION, TL_LEDGER_SETTLEMENT } tl_ledger_kind;
/* Of a settlement: who pays has ASKED, who is paid has SERVED. */
typedef enum { TL_LEDGER_ASKED, TL_LEDGER_SERVED } tl_ledger_role;

/*  --a question starts, a settlement is proposed--> HELD
 *  HELD --delivered, or signed by both--> POSTED
 *  HELD --failed, withdrawn, or left by a crash--> VOIDED
 *  VOIDED --a receipt within the caps came (ASKED alone)--> POSTED */
typedef enum {
    TL_LEDGER_HELD,   /* it may be owed */
    TL_LEDGER_POSTED, /* it is owed, for good */
    TL_LEDGER_VOIDED, /* nothing is owed */
} tl_ledger_state;

const char *tl_ledger_kind_name(tl_ledger_kind k);
const char *tl_ledger_role_name(tl_ledger_role r);
const char *tl_ledger_state_name(tl_ledger_state s);

/* One question or settlement, with one peer. */
typedef struct {
    tl_ledger_kind kind;
    tl_ledger_role role;
    tl_ledger_state state;
    char request[TL_REQUEST_ID_MAX];
    tl_node_id peer;
    bool has_network;
    tl_node_id network;
    char model[TL_MODEL_MAX]; /* "" of a settlement */
    tl_unix at;               /* when it began */
    int64_t price;            /* micro-credits for 1000 tokens */
    int64_t held;             /* at its start */
    tl_tokens cap;            /* ASKED: no receipt may say more */
    char order[128]; /* SERVED: what the consumer sent with the question (market/order.h) */
    /* POSTED */
    tl_tokens tokens;
    int64_t amount;
    bool has_receipt;
    tl_receipt receipt; /* of a question */
    tl_settlement settlement;
} tl_ledger_entry;

/* What a consumer says of a provider's claim. */
typedef enum {
    TL_CLAIM_OK,      /* it signs */
    TL_CLAIM_AGAIN,   /* it has signed this very claim before: its signature is sent again */
    TL_CLAIM_OPEN,    /* the question is not over yet: the claim waits */
    TL_CLAIM_UNKNOWN, /* it never asked that of this provider */
    TL_CLAIM_COUNTS,  /* more tokens than it saw */
    TL_CLAIM_AMOUNT,  /* another amount than tokens and price make */
    TL_CLAIM_OTHER,   /* another claim for this question is signed already, or the fields differ */
    TL_CLAIM_NOTHING, /* it saw the question fail */
} tl_claim;
/* One word for the wire; static storage. */
const char *tl_claim_name(tl_claim c);

/* `entry`: of the question that `claim` names, with the claim's provider; role ASKED. A claim for
 * fewer tokens, or for less money than they cost, is signed: it is a gift. */
tl_claim tl_ledger_judge(const tl_ledger_entry *entry, const tl_receipt *claim);

/* --- what a peer may owe --- */

/* Sums of what is posted and held. All from 0. */
typedef struct {
    int64_t earned, spent;  /* for answers: by us, by the peer */
    int64_t received, paid; /* settlements: by the peer, by us */
    int64_t held;           /* for answers that we are giving */
} tl_ledger_sums;

int64_t tl_ledger_balance(const tl_ledger_sums *s);
/* Holds `amount` more, if the peer may owe that beside all else. TL_ERR_FORBIDDEN: it may not. Nothing
 * may always be held. */
TL_CHECK tl_err tl_ledger_hold(tl_ledger_sums *s, int64_t amount, int64_t limit);
/* Of what is held, `amount` is not any more. */
void tl_ledger_release(tl_ledger_sums *s, int64_t amount);
/* Counts a posted entry. TL_ERR_INVALID: a sum would pass TL_MONEY_MAX; nothing changes. */
TL_CHECK tl_err tl_ledger_count(tl_ledger_sums *s, tl_ledger_kind kind, tl_ledger_role role,
                                int64_t amount);
/* What may be settled now: by the side that is owed (SERVED), or that owes (ASKED). TL_ERR_INVALID:
 * `amount` is not from 1 to what is owed. */
TL_CHECK tl_err tl_ledger_may_settle(const tl_ledger_sums *s, int64_t amount,
                                     tl_ledger_role *ret_role);

#endif
