/* attached_state.h - what attached.c, attached_sources.c and attached_tables.c share. No other source includes it. */
#ifndef TL_RELAY_ATTACHED_STATE_H
#define TL_RELAY_ATTACHED_STATE_H

#include "base/origin.h"
#include "base/ratelimit.h"
#include "base/table.h"
#include "relay/attached.h"
#include "relay/nonces.h"

/* How much is believed of who asks. Each has budgets of its own. */
typedef enum {
    TL_ATTACH_STRANGER, /* its source may be false */
    TL_ATTACH_HERE,     /* attached at just this address */
    TL_ATTACH_PROVEN, /* of an Attach: it bears the mark; of others: attached at this address by such a one */
    TL_ATTACH_TRUSTS,
} tl_attach_trust;

/* An address, or a network (base/origin). One without attached nodes is kept until it may have as many
 * signatures checked as one that never came. It is made after a signature was paid for from the budget of all, so
 * those are at most twice as many as such signatures in 8 s: 8000. */
typedef struct tl_attach_source {
    tl_origin key;
    uint32_t attached[2]; /* nodes: without a proof, and with one */
    tl_ratelimit proofs[2], intros[2];
    tl_time used;
    struct tl_attach_source *prev,
        *next; /* utlist of those without attached nodes, the oldest use first */
    UT_hash_handle hh;
} tl_attach_source;

/* Where a node is, as far as budgets go. */
typedef struct {
    tl_attach_source *address, *network;
} tl_attach_place;

typedef struct tl_attached_node {
    tl_node_id id;
    tl_burst_way way;
    tl_attach_place place;
    bool proven;            /* it reads what is sent to its address */
    tl_ratelimit again[2];  /* Attaches from its address: without the mark, and with it */
    tl_ratelimit asks;      /* whatever else is signed by it, from its address */
    tl_ratelimit sought[2]; /* by strangers, and by those that are proven */
    tl_time until;
    uint64_t timestamp;                   /* of its last Attach */
    struct tl_attached_node *prev, *next; /* utlist, the first to expire first */
    UT_hash_handle hh;
} tl_attached_node;

struct tl_attached {
    const tl_identity *identity;
    const tl_attached_world *world;
    void *user;
    tl_rand *rand;
    tl_addr address4, address6;
    bool leaving;
    uint8_t secret[2][32]; /* of the marks: this time's, and the one before */
    tl_time secret_until;
    tl_attach_source *sources, *strangers; /* table; list of those without attached nodes */
    tl_ratelimit attach_proofs[TL_ATTACH_TRUSTS], ask_proofs[TL_ATTACH_TRUSTS]; /* of all */
    /* Attacheds that nobody is known to have signed for. */
    tl_origin_budgets told_address, told_network;
    tl_ratelimit told;
    tl_seen_nonces nonces;
    tl_attached_node *nodes, *first;
    tl_attached_counters counters;
};

/* --- attached_sources.c --- */

/* NULL: nothing is known of it. */
tl_attach_source *tl_attached_source(const tl_attached *t, const tl_origin *key);
tl_attach_place tl_attached_place_of(const tl_attached *t, const tl_addr *addr);
/* May the signature of an Attach (of an `ask`: a RelayRequest or PunchIntro) be checked? `a`: the node that it names,
 * if that is attached at just this address; else NULL. `marked`: it bears the mark. TL_ASKED_TAKEN: yes; then
 * `ret_place` may be used until the next sweep. TL_ASKED_UNPROVEN: if it bore the mark. TL_ASKED_RATE, _MEMORY. */
tl_asked tl_attached_may_attach(tl_attached *t, tl_attached_node *a, const tl_addr *from,
                                bool marked, tl_time now, tl_attach_place *ret_place);
tl_asked tl_attached_may_ask(tl_attached *t, tl_attached_node *a, const tl_addr *from, tl_time now);
/* The same of `a` alone, which is not NULL, and its own budgets. */
bool tl_attached_pays(tl_attached *t, tl_attached_node *a, const tl_addr *from, tl_time now);
/* May an Attached go there, although nobody is known to have signed for it? */
bool tl_attached_may_tell(tl_attached *t, const tl_addr *to, tl_time now);
/* A node comes to that place, or leaves it. */
void tl_attached_enter(tl_attached *t, tl_attach_place place, bool proven);
void tl_attached_leave_place(tl_attached *t, tl_attach_place place, bool proven, tl_time now);
void tl_attached_sweep_sources(tl_attached *t, tl_time now);
void tl_attached_clear_sources(tl_attached *t);

/* --- attached_tables.c --- */

/* Forgets what is over. */
void tl_attached_sweep(tl_attached *t, tl_time now);
void tl_attached_clear(tl_attached *t);
tl_attached_node *tl_attached_node_of(const tl_attached *t, const tl_node_id *id);
/* The node, if it is attached at just this address; else NULL. */
tl_attached_node *tl_attached_node_at(const tl_attached *t, const tl_node_id *id,
                                      const tl_addr *from);
/* Is there a place for the node (`a`: where it is; or NULL) at that address? `ret_proven`: its place is among those of
 * the proven. TL_ASKED_TAKEN; TL_ASKED_UNPROVEN: if it bore the mark; TL_ASKED_FULL. */
tl_asked tl_attached_room(const tl_attached *t, const tl_attached_node *a, const tl_addr *at,
                          bool marked, bool *ret_proven);
/* Puts the node there, or moves it. TL_ASKED_TAKEN, _AGAIN, _MEMORY. */
tl_asked tl_attached_put(tl_attached *t, const tl_node_id *id, const tl_burst_way *way,
                         tl_attach_place place, bool proven, uint64_t timestamp, tl_time now);
void tl_attached_drop(tl_attached *t, tl_attached_node *a, tl_time now);

#endif
