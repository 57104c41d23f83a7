/* attached_state.h - what attached.c and attached_tables.c share. No other source includes it. */
#ifndef TL_RELAY_ATTACHED_STATE_H
#define TL_RELAY_ATTACHED_STATE_H

#include "base/ratelimit.h"
#include "base/table.h"
#include "relay/attached.h"

/* An IPv4 address, or an IPv6 /64. One without attached nodes is kept until it may have as many
 * signatures checked as one that never came. So those of strangers are at most as many as their
 * signatures in 8 s: 2000. */
typedef struct tl_attach_source {
    uint8_t key[9];
    uint32_t attached;
    tl_ratelimit proofs, intros;
    tl_time used;
    struct tl_attach_source *prev,
        *next; /* utlist of those without attached nodes, the oldest use first */
    UT_hash_handle hh;
} tl_attach_source;

typedef struct tl_seen_nonce {
    uint8_t key[TL_CONTROL_ID_SIZE + TL_CONTROL_NONCE_SIZE]; /* the signer, and its nonce */
    tl_time until;
    struct tl_seen_nonce *next; /* of the list, the oldest first */
    UT_hash_handle hh;
} tl_seen_nonce;

typedef struct tl_attached_node {
    tl_node_id id;
    tl_burst_way way;
    tl_attach_source *source;
    bool proven; /* it reads what is sent to its address */
    tl_ratelimit sought;
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
    tl_ratelimit known_proofs, stranger_proofs;
    tl_seen_nonce *nonces, *nonces_first, *nonces_last;
    tl_attached_node *nodes, *first;
    tl_attached_counters counters;
};

/* --- attached_tables.c --- */

/* Forgets what is over. */
void tl_attached_sweep(tl_attached *t, tl_time now);
void tl_attached_clear(tl_attached *t);
/* May a signature of this source be checked? `proven`: its address is. Makes an entry; `ret_source` may be
 * used until the next sweep. TL_ASKED_TAKEN: yes. TL_ASKED_UNPROVEN: if its address were proven. */
tl_asked tl_attached_may_prove(tl_attached *t, const tl_addr *from, bool proven, tl_time now,
                               tl_attach_source **ret_source);
/* NULL: nothing is known of it. */
tl_attach_source *tl_attached_source(const tl_attached *t, const tl_addr *addr);
/* False: there is no room. */
bool tl_attached_keep_nonce(tl_attached *t, const uint8_t *signer, const uint8_t *nonce,
                            tl_time now);
tl_attached_node *tl_attached_node_of(const tl_attached *t, const tl_node_id *id);
/* Puts the node there, or moves it. TL_ASKED_TAKEN, _AGAIN, _MEMORY. */
tl_asked tl_attached_put(tl_attached *t, const tl_node_id *id, const tl_burst_way *way,
                         tl_attach_source *source, bool proven, uint64_t timestamp, tl_time now);
void tl_attached_drop(tl_attached *t, tl_attached_node *a, tl_time now);

#endif
