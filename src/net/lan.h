/* lan.h - the nodes that announce themselves on the local network, as far as we believe it: their IDs and where they
 * listen. A bounded table; who is connected, and when, is for others to say. Opens no socket, reads no clock.
 *
 * An announcement is a claim of whoever shares our network. It is worth an attempt at a connection, in which the node
 * has to prove its key. So that a false claim costs others nothing, only addresses on a subnet of the interface that heard
 * the claim are kept: who speaks on one of our networks has nobody knocked at in another, which it may not even reach.
 * Never a tunnel's, and only ports at which a node may listen (1024 and above). So that it costs us little:
 *
 *     strangers <= TL_LAN_STRANGERS_MAX        all nodes <= TL_LAN_NODES_MAX
 *     new strangers in t seconds <= TL_LAN_NEW_BURST + TL_LAN_NEW_PER_SEC x t
 *     strangers at one address and port <= TL_LAN_STRANGERS_AT: one node listens there, whatever is claimed      */
#ifndef TL_NET_LAN_H
#define TL_NET_LAN_H

#include "base/ratelimit.h"
#include "crypto/identity.h"
#include "nat/candidate.h"

#define TL_LAN_NODES_MAX     256
#define TL_LAN_STRANGERS_MAX 128 /* the rest of the room is for nodes that we know */
#define TL_LAN_STRANGERS_AT  4
#define TL_LAN_ADDRS_MAX     8 /* of one node */
#define TL_LAN_NEW_PER_SEC   4
#define TL_LAN_NEW_BURST     TL_LAN_STRANGERS_MAX

typedef struct {
    tl_node_id id;
    bool known; /* a member of our networks, or a peer that we know already */
    /* With port, and scope where link-local; the link-local ones last. */
    tl_addr addrs[TL_LAN_ADDRS_MAX];
    size_t n_addrs; /* at least 1 */
    tl_time since;  /* when it was first found */
} tl_lan_node;

typedef struct {
    uint64_t found, gone; /* nodes */
    /* Addresses at which we may not knock: not of the link that told them, a low port. */
    uint64_t off_link;
    uint64_t own; /* addresses at which we listen ourselves, and announcements of our own ID */
    /* Strangers for whom there was no room, who came too fast, or where others claim to be. */
    uint64_t refused;
} tl_lan_counters;

typedef struct tl_lan tl_lan;

/* TL_ERR_NOMEM. */
TL_CHECK tl_err tl_lan_new(const tl_node_id *us, tl_rand *rand, tl_time now, tl_lan **ret_lan);
void tl_lan_free(tl_lan *l);

/* What io/mdns tells: each address has as its scope the interface that heard it. `own`: our interfaces, with `own_port`,
 * our own TCP port. `known` as above. Returns true if the table changed for this node: look it up. */
bool tl_lan_on_found(tl_lan *l, const tl_node_id *node, bool known, const tl_addr *addrs,
                     size_t n_addrs, const tl_interface *own, size_t n_own, uint16_t own_port,
                     tl_time now);
/* We know the node by now, or no more. */
void tl_lan_set_known(tl_lan *l, const tl_node_id *node, bool known);
/* Would one more stranger find room? */
bool tl_lan_has_room(const tl_lan *l);
/* Nobody is found any more: the discovery was switched off. */
void tl_lan_forget_all(tl_lan *l);

/* NULL: it is not announced. Borrowed until the next call that changes the table. */
const tl_lan_node *tl_lan_find(const tl_lan *l, const tl_node_id *node);
/* Is a node that we know announced at this address, whatever the port? */
bool tl_lan_knows_at(const tl_lan *l, const tl_addr *addr);
/* All nodes, in no order; `i` < tl_lan_count. Borrowed as above. */
const tl_lan_node *tl_lan_at(const tl_lan *l, size_t i);
size_t tl_lan_count(const tl_lan *l);
const tl_lan_counters *tl_lan_counted(const tl_lan *l);

#endif
