/* fragments_state.h - what the sources of node/ about fragments of backups share: node_fragments.c makes the
 * parts and hands them events, node_holding.c is the world of the holder, node_pointers.c keeps pointers of
 * others in the DHT. Nothing else includes it. */
#ifndef TL_NODE_FRAGMENTS_STATE_H
#define TL_NODE_FRAGMENTS_STATE_H

#include "backup/ask.h"
#include "backup/backup.h"
#include "backup/holder.h"
#include "backup/serve.h"
#include "dht/item.h"
#include "node/state.h"

#define TL_NODE_FRAGMENTS_FOLDER 1024

/* Pointers that are kept in the DHT for their owners: 1.4 kB each. Of strangers a third at most. */
#define TL_POINTERS_MAX 192

typedef struct tl_node_pointer {
    tl_node_id owner;
    bool stranger;
    tl_dht_item item;
    UT_hash_handle hh;
} tl_node_pointer;

struct tl_node_fragments {
    tl_node *node;
    char folder[TL_NODE_FRAGMENTS_FOLDER];
    tl_fragment_asker *asker;
    tl_holder *holder; /* NULL, like the two below: there is no store */
    tl_fragment_server *server;
    tl_backup *backup;
    void (*on_map)(tl_node *n, const tl_backup_map *map); /* NULL: nobody makes a pointer */
    tl_node_pointer *pointers;
    tl_time pointers_at; /* when the DHT is next seen to have them */
};

/* node_fragments.c */
/* Is the node a member of a network of ours, now? */
bool tl_node_is_fellow(const tl_node *n, const tl_node_id *peer);

/* node_holding.c */
extern const tl_holder_world tl_node_holder_world; /* its user is the tl_node_fragments */

/* node_pointers.c */
bool tl_node_is_pointer(const tl_node_id *recovery, tl_slice packed, tl_dht_item *ret_item);
/* Keeps it in place of an older one of that owner. False: the one that is kept is newer, or there is no
 * room. */
bool tl_node_keep_pointer(tl_node_fragments *f, const tl_node_id *owner, const tl_dht_item *item,
                          bool stranger);
void tl_node_drop_pointer(tl_node_fragments *f, const tl_node_id *owner);
void tl_node_clear_pointers(tl_node_fragments *f);
/* Those that the DHT does not have any more, since it began anew, are given to it. */
void tl_node_follow_pointers(tl_node_fragments *f, tl_time now);

#endif
