/* recovery.h - what the store keeps of this node's own backup: the root of its keys, and how far its
 * pointer in the DHT has come. Keeps and gives back what it is handed. */
#ifndef TL_STORE_RECOVERY_H
#define TL_STORE_RECOVERY_H

#include "store/networks.h"
#include "store/store.h"

#define TL_RECOVERY_ROW_KEY      32
#define TL_RECOVERY_ROW_INSTANCE 8

typedef enum {
    TL_RECOVERY_USUAL,
    TL_RECOVERY_WITHDRAWN,  /* by its owner: holders are being told; `made_at` is since when */
    TL_RECOVERY_TAKES_OVER, /* no pointer of this life is written yet; others are of earlier ones */
} tl_recovery_stage;

/* One at most. */
typedef struct {
    uint8_t root[TL_RECOVERY_ROW_KEY];          /* backup/recovery.h */
    uint8_t instance[TL_RECOVERY_ROW_INSTANCE]; /* backup/pointer.h */
    int64_t sequence; /* of the newest pointer that this node has signed or seen */
    tl_unix made_at;  /* of the database that the last backup holds; 0: none yet */
    uint8_t holders;  /* as was asked for; 0: the node decides */
    bool strangers;
    bool elsewhere; /* another machine has restored it, and writes it now */
    tl_recovery_stage stage;
    bool unshown; /* its words were made, and no person has been shown them */
} tl_recovery_row;

/* In place of the one before. on_done as in store/networks.h. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_store_put_recovery(tl_store *s, const tl_recovery_row *row,
                                      tl_store_told on_done, void *user);
TL_CHECK tl_err tl_store_drop_recovery(tl_store *s, tl_store_told on_done, void *user);
/* At the start; waits. TL_ERR_NOT_FOUND: there is none. TL_ERR_PROTO: a row that no version of this
 * program wrote. */
TL_CHECK tl_err tl_store_load_recovery(tl_store *s, tl_recovery_row *ret_row);

#endif
