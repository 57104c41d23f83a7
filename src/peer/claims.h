/* claims.h - which of our networks a node says that it is in: by the ptnIDs of its capabilities, or
 * by the tags in their place that only members recognise (ptn/hide.h); and what this node says
 * itself. Pure. A claim proves nothing: it only says whom to show our certificate to, and whose to
 * wait for. */
#ifndef TL_PEER_CLAIMS_H
#define TL_PEER_CLAIMS_H

#include "peer/peer_table.h"
#include "ptn/networks.h"

/* Does the peer claim to be in this network; NULL: in any of ours? What was found is kept with the
 * peer until the peer, the book or the hour changes. */
bool tl_claims_has(const tl_networks *book, tl_peer *p, const tl_node_id *network, tl_unix now);

/* The same by its tag alone, which none but a holder of the group key makes. A node that hides names
 * a network only to such peers, and to those that have shown a certificate of it: anybody who knows a
 * ptnID can list it. */
bool tl_claims_by_tag(const tl_networks *book, tl_peer *p, const tl_node_id *network, tl_unix now);

/* Our own `ptnIDs`: of each network in which our certificate holds, its ID, or with `hide` our tag.
 * A network without a group key is then left out. *ret_until: when it must be made anew at the
 * latest, TL_PTN_NO_END: when the book changes. NULL: out of memory. */
json_t *tl_claims_own(const tl_networks *book, const tl_node_id *self, bool hide, tl_unix now,
                      tl_unix *ret_until);

#endif
