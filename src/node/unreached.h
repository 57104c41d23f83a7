/* unreached.h - why other nodes cannot be reached, in words for a person who asked for one, with what to do. Reads the
 * settings and what the node knows; changes nothing. All words are literals or the node's own, borrowed until it runs
 * again. */
#ifndef TL_NODE_UNREACHED_H
#define TL_NODE_UNREACHED_H

#include "node/state.h"

/* Has this machine no network? No interface has an address but loopback, and nobody was reached all the same. Not known,
 * and so false, where no port is open. */
bool tl_unreached_offline(const tl_node *n);
/* Do the settings leave no way to any other node? NULL: they leave one. */
const char *tl_unreached_by_settings(const tl_node *n);
/* Why no relay can be asked for a provider; NULL: one can, or may come. */
const char *tl_unreached_relay(const tl_node *n);
/* Why a peer is not reached that is not known to be near; NULL: a relay may come. */
const char *tl_unreached_peer(const tl_node *n);

#endif
