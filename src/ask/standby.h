/* standby.h - keeps connections to a few providers that this node would ask, so that a question to one of
 * them costs a round trip less: to members of its networks first, then to nodes that served it. Others
 * are connected to only when a person is about to ask (tl_standby_want). Sans-IO; makes connections by
 * tl_peers_wish, closes none.
 *
 * When a relay starts again, ten thousand nodes are back within a minute, and each would connect to its
 * eight at once. So a node makes one connection at a time, each after a pause that is drawn anew:
 *
 *     pause = random * (TL_STANDBY_SPREAD + TL_STANDBY_SPREAD_NODE * nodes that are known)
 *
 * Two nodes wait an eighth of a second on the average. Where 4096 and more are known it is 10 s, and ten
 * thousand nodes begin a thousand connections a second. */
#ifndef TL_ASK_STANDBY_H
#define TL_ASK_STANDBY_H

#include "ask/access.h"
#include "ask/merit.h"
#include "peer/peers.h"

#define TL_STANDBY_MAX         TL_PEERS_WARM_MAX /* connections; more are closed when they are idle */
#define TL_STANDBY_SPREAD      (250 * TL_MS)
#define TL_STANDBY_SPREAD_NODE (5 * TL_MS)
/* The same node again, whatever came of it: after a minute, and twice as long each time it failed. */
#define TL_STANDBY_AGAIN       (60 * TL_SEC)
#define TL_STANDBY_DOUBLINGS   4
#define TL_STANDBY_TRIED_MAX   64 /* nodes remembered for that, 60 bytes each */
/* Connections that a local client had made by saying what it will ask. */
#define TL_STANDBY_WANTS       4    /* at once, and one more a second */
#define TL_STANDBY_LOOK        1024 /* nodes looked at in one turn of the loop: 0.4 ms */

typedef struct tl_standby tl_standby;

/* All pointers are borrowed for life. `own` also gives the pauses: they differ from node to node. */
TL_CHECK tl_err tl_standby_new(const tl_node_id *own, const tl_env *env, const tl_access *access,
                               const tl_merits *merits, tl_peer_table *table, tl_peers *peers,
                               tl_standby **ret_standby);
void tl_standby_free(tl_standby *s);

/* Nodes were listed, a certificate came, or a connection ended: looks who is missing, after a pause. */
void tl_standby_look(tl_standby *s);
/* This node will be asked soon: connects to it now, if that was not wanted too often. */
void tl_standby_want(tl_standby *s, const tl_node_id *peer);
void tl_standby_on_timer(tl_standby *s);
tl_time tl_standby_expiry(const tl_standby *s);

#endif
