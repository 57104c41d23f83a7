/* deeds.h - what the store keeps of reciprocity (market/reciprocity.h): own deeds that the ledger does not
 * tell of, and statements. Keeps and gives back what it is handed; judges no signature and no signer.
 *
 * Every call copies its arguments and submits one job that may wait for others. Nobody waits for it: what
 * a crash takes is a minute of own deeds, and statements that are asked for again. TL_ERR_NOMEM: it was
 * not submitted. */
#ifndef TL_STORE_DEEDS_H
#define TL_STORE_DEEDS_H

#include "market/reciprocity.h"
#include "store/store.h"

/* Of TL_RECIPROCITY_OWN_MAX rows the oldest makes room. */
TL_CHECK tl_err tl_store_put_kept(tl_store *s, const tl_reciprocity_kept *kept);
/* In place of one of the same signer and node with a lower number. What has ended at `now` goes, and the
 * oldest of more than TL_RECIPROCITY_OF_SIGNER of the signer, and of TL_RECIPROCITY_ALL. */
TL_CHECK tl_err tl_store_put_deeds(tl_store *s, const tl_deeds *d, tl_unix now);
/* All that this signer has signed. */
TL_CHECK tl_err tl_store_drop_deeds(tl_store *s, const tl_node_id *by);

/* Called on the store's thread, while the caller waits. */
typedef struct {
    /* Tokens of receipts that this node signed as the consumer, by days; from the ledger. */
    void (*on_served)(void *user, const tl_node_id *node, int64_t tokens, tl_unix at);
    void (*on_kept)(void *user, const tl_reciprocity_kept *kept);
    void (*on_deeds)(void *user, const tl_deeds *d);
} tl_deeds_loaded;
/* At the start; waits. TL_ERR_PROTO: a row that no version of this program wrote. */
TL_CHECK tl_err tl_store_load_deeds(tl_store *s, tl_unix now, const tl_deeds_loaded *calls,
                                    void *user);

#endif
