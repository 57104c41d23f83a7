/* keeping_state.h - what the sources of this node's own backup share: node_keeping.c (the world of
 * backup/keeper.h) and node_backup_verbs.c (what a person asks of it). Nothing else includes it. */
#ifndef TL_NODE_KEEPING_STATE_H
#define TL_NODE_KEEPING_STATE_H

#include "backup/backup.h"
#include "backup/keeper.h"
#include "dht/dht.h"
#include "node/state.h"

struct tl_backup_call;
struct tl_drop_call;

struct tl_node_keeping {
    tl_node *node;
    tl_keeper *keeper;
    char settings_file[1024]; /* "": it is not backed up */
    uint64_t book_seen; /* the version of the networks that the last copy holds, or the next will */
    bool begun, copying;
    char copy_error[512]; /* why the last copy could not be made or kept; "" where it could */
    char save_error[256]; /* why the row is not on the disk; "" where it is */
    bool save_failed, look_failed; /* at once: the keeper hears of it in the next turn */
    tl_dht *core;            /* where the look is under way, and the pointer is held; may be gone */
    tl_dht_request looking;  /* 0: none */
    tl_dht_request noticing; /* for the notice of a machine that stands aside; 0: none */
    const tl_dht *notice_at; /* where ours is kept alive; may be gone; NULL: nowhere */
    struct tl_backup_call *call; /* `backup create` that is not answered yet; one at a time */
    struct tl_drop_call *drop;   /* the same of `backup drop` */
};

/* node_backup_verbs.c: each turn. */
void tl_backup_call_run(tl_node *n);
tl_time tl_backup_call_expiry(const tl_node *n);
/* Nobody is told. */
void tl_backup_call_drop(tl_node *n);
/* `pointer` of a status: null where none was published since the start. */
json_t *tl_backup_pointer_json(const tl_node *n);
/* Does any node of the DHT know, as far as this one does, who holds the fragments? */
bool tl_backup_is_in_dht(const tl_node *n);
json_t *tl_backup_status_json(const tl_node *n);
json_t *tl_backup_time_json(tl_unix at);

/* node_backup_drop.c: each turn. Ends what was withdrawn when nothing is left of it, too. */
void tl_drop_call_run(tl_node *n);
tl_time tl_drop_call_expiry(const tl_node *n);
void tl_drop_call_free(tl_node *n);
/* The nodes that have fragments which are to be deleted. */
json_t *tl_backup_left_json(const tl_node *n);

#endif
