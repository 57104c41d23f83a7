/* rank.h - in which order providers are asked, from what is known of each, and why. Pure: knows no
 * peer, no connection and no clock, and two calls with the same facts give the same order.
 *
 * The rules, each deciding only between those that all before it leave equal:
 *   1. who may not be asked stands behind all others;
 *   2. a node of the old protocol, which is asked in clear, comes after all others;
 *   3. those that have not failed a moment ago, then those whose penalty ends first;
 *   4. members of our networks before the public;
 *   5. those that list the model's name itself, then those that list it with ":latest";
 *   6. the lower price;
 *   7. the shorter wait;
 *   8. those of our networks, and those that served whole answers, before strangers;
 *   9. the faster by measured tokens a second, in steps of a quarter;
 *  10. those that are connected;  11. the nearer ones;  12. the better machines;
 *  13. the one that was known first.
 * For the model TL_MODEL_AUTO the names are different models: 1 to 4, 6, then a free slot, 8, 10, 12,
 * 7, 11, 13.
 *
 * The wait, in questions that must end there before ours begins, plus the reading that only others save:
 *
 *     wait = max(0, load + 1 - slots) / slots + unread / TL_RANK_QUESTION
 *
 * load: questions that run or wait there; a stranger counts as if it had TL_RANK_STRANGER more, and a
 * node that does not tell its slots as if it had one. unread: prompt tokens of this conversation that
 * the node must read, while another has them in its cache. So a conversation goes back to where it was
 * while that node is not busier by more than that saves.
 *
 * A node that tells no price is asked at none: where something costs there, it refuses before it works, and
 * tells the price. So no price counts as 0. An unknown speed decides nothing: it counts as the
 * highest. */
#ifndef TL_ASK_RANK_H
#define TL_ASK_RANK_H

#include "ask/modelname.h"
#include "base/time.h"
#include "market/bid.h"

/* A stranger is asked when a node that served us well is so much busier. So strangers come to be
 * known, too, where there is work for more than one node. */
#define TL_RANK_STRANGER 2
/* Prompt tokens whose reading takes as long as a usual question: one of 512 tokens that generates 768,
 * each of which costs as much as two that are read (market/sched.h). */
#define TL_RANK_QUESTION 2048

typedef enum {
    TL_RANK_MAY,
    TL_RANK_NO_MEMBER, /* of the network that is asked */
    TL_RANK_PRIVATE,   /* it serves, or we ask, members alone, and it is none */
    TL_RANK_CLEAR,     /* in clear, which this node or this question does not do */
    TL_RANK_CLOSED,    /* it takes no questions now */
    TL_RANK_PAUSED,    /* for its owner has paused it */
    TL_RANK_TRIED,     /* it has had this question */
    TL_RANK_TOO_DEAR,  /* its price is above the maximum */
} tl_rank_may;

typedef struct {
    tl_rank_may may;
    bool in_clear;
    tl_time behind_until; /* 0: it has not failed a moment ago */
    bool member;          /* it would be asked as a member of a network of ours */
    tl_model_fit fit;
    tl_maybe price; /* micro-credits for 1000 tokens; absent: not known */
    uint32_t slots; /* 0: not known, and the two below neither */
    uint32_t slots_free, queued;
    uint64_t load;
    uint64_t unread;
    bool stranger;
    uint64_t speed; /* tokens in 1000 s; 0: not measured */
    bool connected;
    tl_time rtt; /* 0: not known */
    int tier;
    size_t known; /* its place among those that are known */
} tl_rank_facts;

/* What the candidates are measured against: those of them that may be asked. */
typedef struct {
    bool any_model;   /* TL_MODEL_AUTO is asked for */
    tl_maybe maximum; /* of the price */
    uint64_t fastest;
} tl_rank_field;

tl_rank_field tl_rank_begin(bool any_model, tl_maybe maximum);
/* Each candidate is shown once before any two are compared. One that is too dear is found so. */
void tl_rank_see(tl_rank_field *field, tl_rank_facts *facts);
/* What the rules look at, the first rule first; the smaller one is better. */
#define TL_RANK_RULES 13
typedef struct {
    uint64_t by[TL_RANK_RULES];
} tl_rank_key;
tl_rank_key tl_rank_key_of(const tl_rank_field *field, const tl_rank_facts *facts);
/* Is the node of `a` asked before that of `b`? A total order where no two have one `known`. */
bool tl_rank_before(const tl_rank_key *a, const tl_rank_key *b);
/* The best first: places in `facts`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_rank_sort(const tl_rank_field *field, const tl_rank_facts *facts, size_t n,
                             size_t *ret_order);

/* Why the candidate stands where it does, for a person: why it may not be asked, else what sets it
 * apart from the one before it, else, of the first, from the one after it. Either may be NULL. */
#define TL_RANK_REASON_MAX 160
void tl_rank_reason(const tl_rank_field *field, const tl_rank_facts *facts,
                    const tl_rank_facts *before, const tl_rank_facts *after,
                    char ret_text[TL_RANK_REASON_MAX]);

#endif
