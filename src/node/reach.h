/* reach.h - how nodes find one another and get through: the DHT, introductions, relaying for others and by others, and
 * what brings back peers that are known. No other room includes it.
 *
 *   node_dht.c        the DHT; node_dht_publish.c says there how this node is reached, node_dht_seek.c looks
 *                     there for peers, node_dht_report.c tells of it
 *   node_introduce.c  introductions: for others, and by others
 *   node_relay.c      relays for others; node_relay_report.c tells of it
 *   node_relayed.c    the nodes that relay for this one
 *   node_again.c      comes back to peers that are known, without a relay */
#ifndef TL_NODE_REACH_H
#define TL_NODE_REACH_H

#include "node/state.h"

/* node_dht.c */
typedef struct tl_node_dht tl_node_dht;
/* Enters the DHT anew, or leaves it, as the settings say and where there is a UDP port. */
void tl_node_apply_dht(tl_node *n);
/* Before the network. */
void tl_node_free_dht(tl_node *n);
/* What is remembered of it goes to the disk. */
void tl_node_save_dht(tl_node *n);
/* As tl_network_events.on_krpc. */
bool tl_node_dht_datagram(tl_node *n, const tl_addr *from, tl_slice datagram);
/* A node of Teale, which is in the DHT mostly, is at this address. */
void tl_node_dht_met(tl_node *n, const tl_addr *addr);
/* The whole DHT is on this machine, as in a test: addresses on loopback count as public ones. */
bool tl_node_dht_on_loopback(const tl_node *n);
/* More is known of the network, or it is another one. */
void tl_node_dht_network_changed(tl_node *n);
/* Our address is another one, or known again: says so in the DHT at once. */
void tl_node_dht_announce(tl_node *n);
/* What is published is to name others now: it is made anew soon, and never from inside this call. */
void tl_node_dht_stale(tl_node *n);
/* Asks the bootstrap nodes and those of the table anew. False: there is nobody to ask. */
bool tl_node_dht_rejoin(tl_node *n);
/* Has a node of the DHT answered since then? */
bool tl_node_dht_joined(const tl_node *n);
void tl_node_dht_on_timer(tl_node *n);
tl_time tl_node_dht_expiry(const tl_node *n);
/* For others' items (dht/dht.h). It is another one after tl_node_apply_dht: requests under way end without a
 * call, and what was held must be held anew. NULL: this node is not in the DHT. */
struct tl_dht *tl_node_dht_core(const tl_node *n);
/* node_dht_publish.c */
bool tl_node_dht_publishes(const tl_node *n);
/* node_dht.c. Has it been entered? */
bool tl_node_dht_is_ready(const tl_node *n);
/* As tl_peers_events.is_door. */
bool tl_node_is_door(void *user, const tl_addr *addr);
/* node_dht_seek.c. As tl_peers_events.on_sought. */
bool tl_node_on_sought(void *user, const tl_node_id *peer);
/* A connection to the peer stands. */
void tl_node_dht_reached(tl_node *n, const tl_peer *peer);
/* node_dht_report.c: `dht` of the status; NULL: out of memory. */
json_t *tl_node_dht_json(const tl_node *n);
void tl_node_do_dht_get(tl_node *n, const json_t *args, tl_call *call);
/* node_introduce.c */
typedef struct tl_attached tl_attached;
/* Puts nat.introduce and nat.introducers into force, and makes the table of attached nodes, where there is a UDP
 * port; before tl_node_apply_relaying. */
void tl_node_apply_introducing(tl_node *n);
/* After tl_node_free_relaying, before the network. */
void tl_node_free_introducing(tl_node *n);
/* Where this node relays has changed: nodes may attach there from now on, or no more. */
void tl_node_follow_relaying(const tl_node *n);
/* The table of the nodes that are attached to this one. n->introducing is not NULL. */
tl_attached *tl_node_attached(const tl_node *n);
/* An address of this node, or of a relay that it uses: nothing is sent there because a stranger said so. (As
 * tl_attached_world has it; `user` is the node.) */
bool tl_node_is_ours(void *user, const tl_addr *addr);
/* A control datagram that no part for us takes. False: it is nothing for a node that introduces. */
bool tl_node_introduce_control(tl_node *n, tl_sock sock, const tl_addr *from, tl_slice datagram);
/* As tl_direct_world has them. */
bool tl_node_ask_introduction(void *user, const tl_node_id *peer,
                              const uint8_t nonce[TL_CONTROL_NONCE_SIZE], unsigned nth);
bool tl_node_is_introducer(void *user, const tl_node_id *node, const tl_addr *from,
                           tl_addr *ret_seen);
/* As tl_peers_events has it. */
void tl_node_on_introducible(void *user);
/* Where this node introduces others, or why it does not; of the state OFF where it is not to. */
void tl_node_introducing_of(const tl_node *n, tl_relaying *ret_introducing);
/* `introduces` and `introducedBy` of the capabilities: new references. NULL: it does not, none do. */
json_t *tl_node_introduces_capability(const tl_node *n);
json_t *tl_node_introduced_capability(const tl_node *n);
/* `introducing` of the status; NULL: out of memory. */
json_t *tl_node_introducing_json(const tl_node *n);
/* Sets `introducers`. */
void tl_node_doctor_introducers(const tl_node *n, tl_doctor_facts *facts);
void tl_node_run_introducing(tl_node *n);
void tl_node_introducing_on_timer(tl_node *n);
tl_time tl_node_introducing_expiry(const tl_node *n);

/* node_relay.c */
typedef struct tl_node_relaying tl_node_relaying;
/* Does it relay for that node, so that it may attach? */
bool tl_node_relays_for(const tl_node *n, const tl_node_id *node);
/* Begins, or ends, to relay for others, as the settings say and where there is a UDP port. */
void tl_node_apply_relaying(tl_node *n);
/* Before the network, and after nothing of it is used. */
void tl_node_free_relaying(tl_node *n);
/* The node shuts down: those for whom it relays are told, and have a moment. */
void tl_node_leave_relaying(tl_node *n);
bool tl_node_relaying_is_over(const tl_node *n);
/* A control datagram that no part for us takes. False: it is nothing for a node that relays. */
bool tl_node_relay_control(tl_node *n, tl_sock sock, const tl_addr *from, tl_slice datagram);
/* As tl_network_events has them. */
bool tl_node_relay_tokens(void *user, const tl_burst_way *way, uint8_t *data, size_t len,
                          size_t segment);
void tl_node_relay_read(void *user);
void tl_node_run_relaying(tl_node *n);
void tl_node_relaying_on_timer(tl_node *n);
tl_time tl_node_relaying_expiry(const tl_node *n);
/* `relay` of the capabilities: a new reference. NULL: it does not serve. */
json_t *tl_node_relaying_capability(const tl_node *n);
/* Where this node relays for others, or why it does not; of the state OFF where it is not to. */
void tl_node_relaying_of(const tl_node *n, tl_relaying *ret_relaying);
/* node_relay_report.c: `relaying` of the status, and the verb relay.status. NULL: out of memory. */
json_t *tl_node_relaying_json(const tl_node *n);
void tl_node_do_relay_status(tl_node *n, const json_t *args, tl_call *call);
/* node_relayed.c */
#define TL_RELAY_NAME (5 + TL_NODE_ID_HEX + 1)
/* What relays the peer's connection, or is kept for it: the relay's URL (borrowed), or "node:" and the ID of a
 * node that relays, in `ret`. */
const char *tl_node_relay_name(const tl_node *n, const tl_peer_facts *f, char ret[TL_RELAY_NAME]);
/* `relayedBy` of the capabilities; NULL: nobody relays for us, or out of memory. */
json_t *tl_node_relayed_capability(const tl_node *n);
/* `relayed_by` of the status; NULL: out of memory. */
json_t *tl_node_relayed_json(const tl_node *n);
/* As tl_peers_events.on_attached and on_relayed. */
void tl_node_on_attached(void *user);
void tl_node_on_relayed(void *user, const tl_node_id *node, uint64_t bytes);
/* What is remembered of an earlier run. After tl_node_apply_network. */
void tl_node_read_relayed(tl_node *n);
/* In each turn: tells and keeps what has changed. */
void tl_node_follow_relayed(tl_node *n);
tl_time tl_node_relayed_expiry(const tl_node *n);
/* A connection to a peer stands: it is to be remembered. */
void tl_node_relayed_dealt(tl_node *n);
void tl_node_save_relayed(tl_node *n);

/* node_again.c. After the peers, and before the book is read. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_node_wire_again(tl_node *n);
/* Before tl_peers_free. */
void tl_node_free_again(tl_node *n);
/* The members of our networks are to be found, those that were seen last first. */
void tl_node_again_members(tl_node *n);
/* The peer is remembered from an earlier run. */
void tl_node_again_known(tl_node *n, const tl_node_id *peer);
/* Its first hello has come. */
void tl_node_again_hello(tl_node *n, const tl_node_id *peer);
/* Its last connection is gone. */
void tl_node_again_left(tl_node *n, const tl_node_id *peer);
/* Our network has changed. */
void tl_node_again_hurry(tl_node *n);
void tl_node_again_on_timer(tl_node *n);
tl_time tl_node_again_expiry(const tl_node *n);

#endif
