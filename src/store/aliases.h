/* aliases.h - what the store keeps of the words by which the owner calls other nodes. Keeps and gives back what
 * it is handed; judges no alias. */
#ifndef TL_STORE_ALIASES_H
#define TL_STORE_ALIASES_H

#include "store/networks.h"
#include "store/store.h"

/* In place of the one before; NULL: the node has none any more. on_done as in store/networks.h. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_store_put_alias(tl_store *s, const tl_node_id *node, const char *alias,
                                   tl_store_told on_done, void *user);
/* At the start; waits. `visit` is called on the store's thread, and borrows. TL_ERR_PROTO: a row that no version
 * of this program wrote; else the errors of the store, and those of `visit`. */
TL_CHECK tl_err tl_store_each_alias(tl_store *s,
                                    tl_err (*visit)(void *user, const tl_node_id *node,
                                                    const char *alias),
                                    void *user, tl_why *why);

#endif
