/* restore.h - gets a backup back from the nodes that hold it, with nothing but the keys of the words: looks
 * for the pointer in the DHT, connects to the holders, and opens what they give. Runs in a node whose
 * identity is the recovery identity, and which has no store; writes no file.
 *
 *   LOOKING --the pointer--> FETCHING --k fragments--> opened: on_done
 *      \-------------------------\--------> on_done with an error */
#ifndef TL_NODE_RESTORE_H
#define TL_NODE_RESTORE_H

#include "backup/payload.h"
#include "node/node.h"

/* Beside the database: what tl_restored.kept was. */
#define TL_RESTORED_FILE "restored.backup"

#define TL_RESTORE_LOOK                                                                            \
    (45 * TL_SEC) /* entering the DHT takes seconds; the newest pointer is wanted */
#define TL_RESTORE_FETCH (60 * TL_SEC) /* holders may be behind NATs, and are tried again */

typedef enum { TL_RESTORE_LOOKING, TL_RESTORE_FETCHING } tl_restore_phase;

typedef struct {
    tl_restore_phase phase;
    unsigned nodes;       /* of the DHT that were heard */
    int64_t sequence;     /* FETCHING: of the pointer */
    tl_unix made_at;      /* FETCHING: of the backup */
    unsigned got, needed; /* FETCHING: fragments */
    unsigned holders;     /* FETCHING: that the pointer names */
} tl_restore_progress;

/* What was got back; all is borrowed. */
typedef struct {
    const tl_payload *payload;
    tl_slice kept; /* pointer and blob: the restored node knows by them who holds its backup */
} tl_restored;

typedef struct {
    /* At each change. */
    void (*on_progress)(void *user, const tl_restore_progress *p);
    /* Once, and last; it must not free the restore. TL_OK: `r` is borrowed for the call. Else `why` is for
     * a person. TL_ERR_UNREACHABLE: no node of the DHT answered. TL_ERR_NOT_FOUND: the DHT has no such
     * backup, or too few fragments are to be had. TL_ERR_REPLAY: all that was found is older than `seen`.
     * TL_ERR_AUTH: what was found was altered. TL_ERR_INVALID: it is of a newer teale. */
    void (*on_done)(void *user, tl_err e, const tl_restored *r, const char *why);
} tl_restore_events;

typedef struct tl_restore tl_restore;

/* After tl_node_start. `seen`: the highest sequence that was seen for these words; 0: none. Copies `keys`.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_restore_new(tl_node *n, const tl_recovery *keys, int64_t seen,
                               const tl_restore_events *events, void *user,
                               tl_restore **ret_restore);
/* Before the node. NULL is allowed. */
void tl_restore_free(tl_restore *r);

#endif
