/* reciprocity_state.h - what the sources of reciprocity.h share: reciprocity.c has the rule and own deeds,
 * reciprocity_said.c the statements. Nothing else includes it. */
#ifndef TL_MARKET_RECIPROCITY_STATE_H
#define TL_MARKET_RECIPROCITY_STATE_H

#include "base/table.h"
#include "market/reciprocity.h"

typedef struct tl_said {
    tl_deeds d;
    struct tl_known *on;
    struct tl_deeds_signer *of;
    struct tl_said *prev, *next;   /* of one node */
    struct tl_said *sprev, *snext; /* of one signer, the oldest first */
} tl_said;

typedef struct tl_deeds_signer {
    tl_node_id id; /* the key */
    tl_said *said;
    size_t n;
    UT_hash_handle hh;
} tl_deeds_signer;

/* A node that did something for somebody. */
typedef struct tl_known {
    tl_node_id id; /* the key */
    bool has_own;
    double own[TL_DEED_KINDS]; /* as of `at` */
    tl_unix at;
    tl_said *said;
    size_t n;     /* of others; ours is not counted */
    bool changed; /* it is in the list of changed ones */
    struct tl_known *cprev, *cnext;
    UT_hash_handle hh;
} tl_known;

struct tl_reciprocity {
    tl_node_id self;
    const tl_reciprocity_world *world;
    void *user;
    tl_known *nodes, *changed;
    tl_deeds_signer *signers;
    size_t n_own, n_said;
};

/* reciprocity.c */
double tl_deed_fallen(double count, tl_unix at, tl_unix now);
/* The count as a whole number, rounded down; but a fragment that was proven within the last day is a whole
 * one, or a node that holds one would be said to hold none. */
int64_t tl_deed_whole(tl_deed_kind kind, double count);
double tl_deeds_worth(const double count[TL_DEED_KINDS]);
double tl_known_worth(const tl_known *k, tl_unix now); /* of own deeds */
/* NULL: nothing is known of it. */
tl_known *tl_known_find(const tl_reciprocity *t, const tl_node_id *node);
/* NULL: out of memory. */
tl_known *tl_known_get(tl_reciprocity *t, const tl_node_id *node);
void tl_known_drop_if_empty(tl_reciprocity *t, tl_known *k);

/* reciprocity_said.c */
/* Does the statement count now? Ours is of deeds that are counted already. */
bool tl_said_counts(const tl_reciprocity *t, const tl_said *s, tl_unix now);
void tl_said_add(double sum[TL_DEED_KINDS], const tl_deeds *d, tl_unix now);
/* Its signer and its node may go with it. */
void tl_said_drop(tl_reciprocity *t, tl_said *s);

#endif
