/* fragments_state.h - what the sources of node/ about fragments of backups share: node_fragments.c makes the
 * parts and hands them events, node_holding.c is the world of the holder, node_pointers.c keeps pointers of
 * others in the DHT. Nothing else includes it. */
#ifndef TL_NODE_FRAGMENTS_STATE_H
#define TL_NODE_FRAGMENTS_STATE_H

#include "backup/ask.h"
#include "backup/backup.h"
#include "backup/holder.h"
#include "backup/pointers.h"
#include "backup/serve.h"
#include "node/state.h"

#define TL_NODE_FRAGMENTS_FOLDER 1024

struct tl_node_fragments {
    tl_node *node;
    char folder[TL_NODE_FRAGMENTS_FOLDER];
    tl_fragment_asker *asker;
    tl_holder *holder; /* NULL, like the two below: there is no store */
    tl_fragment_server *server;
    tl_backup *backup;
    void (*on_map)(tl_node *n, const tl_backup_map *map); /* NULL: nobody makes a pointer */
    tl_pointers *pointers;
    tl_time pointers_at; /* when the DHT is next seen to have them */
};

/* node_fragments.c */
/* Is the node a member of a network of ours, now? */
bool tl_node_is_fellow(const tl_node *n, const tl_node_id *peer);

/* node_holding.c */
extern const tl_holder_world tl_node_holder_world; /* its user is the tl_node_fragments */

/* node_pointers.c */
bool tl_node_is_pointer(const tl_node_id *recovery, tl_slice packed, tl_dht_item *ret_item);
extern const tl_pointers_world tl_node_pointers_world; /* its user is the tl_node_fragments */
/* As tl_pointers_keep. */
TL_CHECK tl_err tl_node_keep_pointer(tl_node_fragments *f, const tl_node_id *owner, tl_slice packed,
                                     const tl_dht_item *item);
/* What an earlier run kept. */
void tl_node_load_pointer(tl_node_fragments *f, const tl_node_id *owner, tl_slice packed);
/* Those that the DHT does not have any more, since it began anew, are given to it. */
void tl_node_follow_pointers(tl_node_fragments *f, tl_time now);

#endif
