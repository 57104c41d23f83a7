/* claims.h - which of our networks a node says that it is in: by the ptnIDs of its capabilities, or
 * by the tags in their place that only members recognise (ptn/hide.h); and what this node says
 * itself. Pure. A claim proves nothing: it only says whom to show our certificate to, and whose to
 * wait for. */
#ifndef TL_PEER_CLAIMS_H
#define TL_PEER_CLAIMS_H

#include "peer/peer_table.h"
#include "ptn/networks.h"

/* HMACs of one turn of the loop, and one for each node: about 5 ms. A relay can list 4096 nodes with
 * 64 tags each, and a node can be in 64 networks with some keys each: in one piece that is seconds. */
#define TL_CLAIMS_PER_TURN 2048

/* Does the peer claim to be in this network; NULL: in any of ours? Where this node hides, its tag by
 * the newest group key alone is a claim. A revoked member knows the ptnID and the older keys: it could
 * show them at a node that nobody knows, and see which nodes connect to it. What was found is kept with the
 * peer until the peer, the book or the hour changes. When the turn's looks are spent, what was known
 * of the peer before the hour or a key changed counts, and a peer that was never looked at claims
 * nothing yet: table->looks.behind says so, and tl_claims_go_on must follow in the next turn. */
bool tl_claims_has(const tl_networks *book, tl_peer *p, const tl_node_id *network, tl_unix now);

/* The same by its tag alone, which none but a holder of the group key makes. A node that hides names
 * a network only to such peers, and to those that have shown a certificate of it: anybody who knows a
 * ptnID can list it. */
bool tl_claims_by_tag(const tl_networks *book, tl_peer *p, const tl_node_id *network, tl_unix now);

/* A turn of the loop begins: its looks begin anew, and nodes that were left out are looked at, as
 * many as a turn may. True: none is left out any more, and some were: ask for claims again. */
bool tl_claims_go_on(const tl_networks *book, tl_peer_table *t, tl_unix now);

/* Our own `ptnIDs`: of each network in which our certificate holds, its ID, or with `hide` our tag.
 * A network without a group key is then left out. *ret_until: when it must be made anew at the
 * latest, TL_PTN_NO_END: when the book changes. NULL: out of memory. */
json_t *tl_claims_own(const tl_networks *book, const tl_node_id *self, bool hide, tl_unix now,
                      tl_unix *ret_until);

#endif
