/* reciprocity.h - who helps whom: what each node did for this node and for fellow members of its networks,
 * and the one rule that says whether a node is reciprocal. Touches no clock, store or connection.
 *
 * Of each node there are three counts: bytes relayed, tokens served, fragments held. They have two
 * sources alone:
 *   own        what this node saw itself: receipts that it signed as the consumer, bytes that came to it
 *              through the node as a relay, fragments that the node holds for it
 *   statement  what a node that is a fellow member now, at the moment of use, has signed of what was
 *              done for it (market/deeds.h)
 * What a node says of itself, and what nodes sign that share no network with this one, counts nothing.
 *
 * The rule. At the time `now`:
 *
 *   count = sum of c * 2^-((now - t) / HALF_LIFE)        over each deed c of the time t
 *   worth = relayed / BYTES + served / TOKENS + held / FRAGMENTS,   own and of fellow members
 *   a node is reciprocal where worth >= 1
 *
 * A deed halves in 30 days: a node that its owner takes along on a holiday is known after it, and of a
 * deed of last year 1/4000 is left. There is no day on which all falls at once, and the order of deeds
 * does not matter. */
#ifndef TL_MARKET_RECIPROCITY_H
#define TL_MARKET_RECIPROCITY_H

#include "market/deeds.h"

#define TL_RECIPROCITY_HALF_LIFE (30 * 24 * 3600)
/* Each of these alone makes a node reciprocal; so do parts of them that add up to one. */
#define TL_RECIPROCITY_BYTES     (64 << 20) /* four minutes at the 256 KB/s that it then gets */
#define TL_RECIPROCITY_TOKENS    10000      /* some twenty answers */
#define TL_RECIPROCITY_FRAGMENTS 16

/* Less than this is not told to others, and not taken from them: it decides nothing. */
#define TL_RECIPROCITY_LEAST     0.01
/* A statement of ours is told again as it is, for so long. */
#define TL_RECIPROCITY_FRESH     600 /* seconds */
/* A signer's clock may be so much ahead: laptops are an hour off after a change of time zone. */
#define TL_RECIPROCITY_AHEAD     7200
/* Nodes that did something for us. The least worth makes room: what many did once never pushes out
 * who did much. 100 bytes each. */
#define TL_RECIPROCITY_OWN_MAX   16384
/* Statements of one signer: its oldest makes room. Of one node: the least worth makes room, so that no
 * flood of empty ones hides the others; a look costs that many look-ups of members. And in all: the
 * signer that has most loses its oldest; 6 MB. */
#define TL_RECIPROCITY_OF_SIGNER 256
#define TL_RECIPROCITY_OF_NODE   32
#define TL_RECIPROCITY_ALL       16384

typedef struct tl_reciprocity tl_reciprocity;

typedef struct {
    /* Is the node a fellow member of a network of ours now? Must not call back. */
    bool (*is_member)(void *user, const tl_node_id *node, tl_unix now);
    /* tl_reciprocity_sweep: the signer is no fellow member any more, and what it signed is forgotten. */
    void (*on_forgotten)(void *user, const tl_node_id *signer);
} tl_reciprocity_world;

/* `world` is borrowed for life. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_reciprocity_new(const tl_node_id *self, const tl_reciprocity_world *world,
                                   void *user, tl_reciprocity **ret_table);
void tl_reciprocity_free(tl_reciprocity *t);

/* --- the rule --- */

/* A look-up of members for each statement on the node, a few microseconds: for sessions, not packets. */
bool tl_reciprocity_is(const tl_reciprocity *t, const tl_node_id *node, tl_unix now);

/* The same with its figures. */
typedef struct {
    bool is;
    double worth;                                    /* 1 is enough */
    int64_t own[TL_DEED_KINDS], told[TL_DEED_KINDS]; /* as they have fallen; in whole numbers */
    size_t tellers;  /* fellow members whose statements are in `told` */
    char words[400]; /* for a person: the figures, and what is missing; no full stop at its end */
} tl_reciprocity_account;
void tl_reciprocity_explain(const tl_reciprocity *t, const tl_node_id *node, tl_unix now,
                            tl_reciprocity_account *ret_account);

/* --- own deeds --- */

/* Of nodes but ourselves, whose deeds count nothing. Where memory runs out, or no room is to be had, a
 * deed is forgotten. */
/* Tokens for which this node, as the consumer, has signed a receipt to `node`. `at`: when, by our clock. */
void tl_reciprocity_add_served(tl_reciprocity *t, const tl_node_id *node, int64_t tokens,
                               tl_unix at);
/* Bytes that came to us through `node` as a relay, in a connection that their sender secured. What we
 * sent is none: it may never have been handed on. */
void tl_reciprocity_add_relayed(tl_reciprocity *t, const tl_node_id *node, int64_t bytes,
                                tl_unix at);
/* `node` was seen to hold so many fragments of ours, at `at`. Replaces what was known of them. */
void tl_reciprocity_set_held(tl_reciprocity *t, const tl_node_id *node, int64_t fragments,
                             tl_unix at);

/* What the caller should keep over a restart: bytes relayed and fragments held. (Tokens are in the
 * ledger.) Values at the time `at`. */
typedef struct {
    tl_node_id node;
    double relayed, held;
    tl_unix at;
} tl_reciprocity_kept;
/* The next that has changed since it was taken here; false: none has. */
bool tl_reciprocity_next_changed(tl_reciprocity *t, tl_reciprocity_kept *ret_kept);
void tl_reciprocity_load_kept(tl_reciprocity *t, const tl_reciprocity_kept *kept);

/* --- statements --- */

typedef enum {
    TL_DEEDS_TAKEN,
    TL_DEEDS_OURS,     /* of us, or by us: it tells nothing new */
    TL_DEEDS_STRANGER, /* its signer is no fellow member */
    TL_DEEDS_EARLY,    /* issued further ahead than a clock may be wrong */
    TL_DEEDS_EXPIRED,
    TL_DEEDS_OLD,     /* one with this sequence, or a higher one, is known */
    TL_DEEDS_NOTHING, /* worth less than TL_RECIPROCITY_LEAST, and replaces none */
    TL_DEEDS_FULL,    /* others on this node are worth more, or there is no memory */
    TL_DEEDS_FORGED,  /* the signature is wrong */
    TL_DEEDS_VERDICTS
} tl_deeds_verdict;
/* For a log: "from a stranger"; static storage. */
const char *tl_deeds_verdict_words(tl_deeds_verdict v);

/* What tl_reciprocity_take would say, without a look at the signature: cheap. */
tl_deeds_verdict tl_reciprocity_judge(const tl_reciprocity *t, const tl_deeds *d, tl_unix now);
/* Copies. Checks the signature last, which costs 60 to 80 us. */
tl_deeds_verdict tl_reciprocity_take(tl_reciprocity *t, const tl_deeds *d, tl_unix now);
/* One whose signature was checked before: the store's. Our own ones, too: their numbers go on. */
tl_deeds_verdict tl_reciprocity_load(tl_reciprocity *t, const tl_deeds *d, tl_unix now);

/* What we say of `node`: a statement that is fresh, or a new one (`*ret_new`), signed with `key`, which
 * is ours, and kept here. TL_ERR_NOT_FOUND: it did nothing for us that is worth telling. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_reciprocity_tell(tl_reciprocity *t, const tl_node_id *node,
                                    const tl_identity *key, tl_unix now, tl_deeds *ret_deeds,
                                    bool *ret_new);
/* Those of others on `node` whose signers are members now. `visit` must not change the table. */
void tl_reciprocity_each(const tl_reciprocity *t, const tl_node_id *node, tl_unix now,
                         void (*visit)(void *user, const tl_deeds *d), void *user);

/* Memberships have changed, or some time has passed: forgets statements that ended, and all of signers
 * that are no fellow members now. */
void tl_reciprocity_sweep(tl_reciprocity *t, tl_unix now);
size_t tl_reciprocity_count(const tl_reciprocity *t); /* of statements */

#endif
