/* pointers.h - the pointers of those whose fragments this node holds: which are kept, and alive in the DHT. So
 * a laptop that is lost is found again without its owner. Who is a stranger is asked whenever it matters. Keeps
 * nothing over a restart: that, the DHT and the networks are the world's. Sans-IO, and without a clock. */
#ifndef TL_BACKUP_POINTERS_H
#define TL_BACKUP_POINTERS_H

#include "dht/item.h"

/* 1.4 kB each; of strangers a third at most, and these make room for a member's. */
#define TL_POINTERS_MAX       192
#define TL_POINTERS_STRANGERS (TL_POINTERS_MAX / 3)

typedef struct tl_pointers tl_pointers;

/* None may call back. */
typedef struct {
    bool (*is_member)(void *user, const tl_node_id *owner);
    bool (*is_held)(void *user, const tl_dht_id *target);
    /* Keep it alive in the DHT; a newer one that is there stays. */
    void (*hold)(void *user, const tl_dht_item *item);
    void (*release)(void *user, const tl_dht_id *target);
    /* It made room for a member's, and is not to come back after a restart. */
    void (*evicted)(void *user, const tl_node_id *owner);
} tl_pointers_world;

/* `world` and `user` are borrowed for life. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_pointers_new(const tl_pointers_world *world, void *user,
                                tl_pointers **ret_pointers);
/* The DHT is told nothing. NULL is allowed. */
void tl_pointers_free(tl_pointers *p);
/* In place of an older one of that owner. `item` verifies. TL_ERR_REPLAY: the one that is kept is newer.
 * TL_ERR_BUSY: there is no room. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_pointers_keep(tl_pointers *p, const tl_node_id *owner, const tl_dht_item *item);
/* The same of what an earlier run kept. Those who were members then may be strangers now: they keep their
 * places, and no stranger gets a new one. */
TL_CHECK tl_err tl_pointers_load(tl_pointers *p, const tl_node_id *owner, const tl_dht_item *item);
void tl_pointers_drop(tl_pointers *p, const tl_node_id *owner);
/* The DHT gets those that it does not have, since it began anew. */
void tl_pointers_hold_all(tl_pointers *p);
size_t tl_pointers_count(const tl_pointers *p);
/* NULL: none is kept of this owner. */
const tl_dht_item *tl_pointers_find(const tl_pointers *p, const tl_node_id *owner);

#endif
