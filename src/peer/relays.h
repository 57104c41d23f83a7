/* relays.h - the relays at which a node is registered, and the nodes that relay for it, as one: which of them
 * a session is opened at, by which a signal goes, who is at any of them. Sans-IO: it stands on one
 * tl_relay_link for each relay and on tl_relayers, and has the functions of a link; never touches a socket or
 * a clock.
 *
 * A peer's session is opened at the relay with the smallest round trip to the peer, among the relays that
 * both are at. It is the round trip that was measured over that relay, end to end; where there is none,
 * twice our own to the relay. A relay that is leaving is taken if there is no other. Where the relay does
 * not know the peer, or is lost meanwhile, the session is opened at another one, under the same path id;
 * only when no relay is left, on_ended tells.
 *
 * A node that relays is asked where a session at a relay is not to be had, where the only relay is leaving, or
 * where the round trip over it is known to be less than half of the relay's and 30 ms shorter. */
#ifndef TL_PEER_RELAYS_H
#define TL_PEER_RELAYS_H

#include "peer/peer_table.h"
#include "peer/relay_link.h"
#include "peer/relayers.h"

typedef struct tl_relays tl_relays;

/* Makes TL_RELAYS_MAX links. Borrows `identity`, `rand` and `table` for life. The events are those of a
 * link, with these differences: on_presence tells of a node that left only when it is at no relay any
 * more; on_discovered comes when all relays that were asked have answered; on_ended as above. Inside an
 * event, tl_relays_telling says which relay it is of. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relays_new(const tl_identity *identity, tl_rand *rand, tl_peer_table *table,
                              const char *display_name, const tl_relay_link_events *events,
                              void *user, tl_relays **ret_relays);
void tl_relays_free(tl_relays *r);
/* The nodes that relay for this node; NULL: none do any more. Sets their events. Borrowed until then. */
void tl_relays_join_nodes(tl_relays *r, tl_relayers *nodes);
/* The link for the i-th relay; its owner tells it of connections and messages. */
tl_relay_link *tl_relays_link(const tl_relays *r, size_t i);
/* TL_RELAYS_MAX: a node that relays. */
size_t tl_relays_telling(const tl_relays *r);

/* Our own round trip to the i-th relay; 0: not known. */
void tl_relays_set_rtt(tl_relays *r, size_t i, tl_time rtt);
/* The i-th relay will end soon: no session is opened there while another relay is at hand. Over when its
 * connection ends. */
void tl_relays_set_leaving(tl_relays *r, size_t i);
bool tl_relays_is_leaving(const tl_relays *r, size_t i);
/* The round trip to the session's peer over its relay was measured, end to end. */
void tl_relays_measured(tl_relays *r, const tl_node_id *peer, tl_path_id path, tl_time rtt);

/* Is any relay connected? */
bool tl_relays_is_registered(const tl_relays *r);
/* Can a session with the peer be asked for: is a relay connected, or is there a node that may relay? */
bool tl_relays_can_open(const tl_relays *r, const tl_node_id *peer);
/* The relay of a session. False: there is no such session, or a node relays it. */
bool tl_relays_of(const tl_relays *r, tl_path_id path, size_t *ret_i);
/* The node that relays a session. False: there is no such session, or it is at a relay. */
bool tl_relays_node_of(const tl_relays *r, tl_path_id path, tl_relayer_name *ret_name);
/* The relay at which a session with the peer would be opened now. False: none is connected. */
bool tl_relays_best(const tl_relays *r, const tl_node_id *peer, size_t *ret_i);
/* Is there a relay to which the session's connection could move: connected, not leaving, and one that the
 * peer is at (`anywhere`: that does not matter)? Or a node that relays? */
bool tl_relays_has_other(const tl_relays *r, const tl_node_id *peer, tl_path_id path,
                         bool anywhere);

/* As the functions of a link. `but`: not at the relay of that path; 0: at any. */
TL_CHECK tl_err tl_relays_open(tl_relays *r, const tl_node_id *peer, tl_path_id path,
                               tl_path_id but);
/* At a relay, and nowhere else: what is carried is for the relay to read. */
TL_CHECK tl_err tl_relays_open_at_relay(tl_relays *r, const tl_node_id *peer, tl_path_id path);
/* With a datagram that rides in relayOpen: at most TL_RELAY_FIRST_MAX bytes. */
TL_CHECK tl_err tl_relays_open_with(tl_relays *r, const tl_node_id *peer, tl_path_id path,
                                    tl_slice first);
void tl_relays_close(tl_relays *r, tl_path_id path);
TL_CHECK tl_err tl_relays_send(tl_relays *r, tl_path_id path, tl_slice datagram);
TL_CHECK tl_err tl_relays_send_packet(tl_relays *r, tl_path_id path, tl_slice datagram);
/* By the relay that a session with the payload's toNodeID would be opened at. */
TL_CHECK tl_err tl_relays_signal(tl_relays *r, tl_signal_type type, const json_t *payload);
/* Asks every relay. TL_OK: one at least was asked. */
TL_CHECK tl_err tl_relays_discover(tl_relays *r, const char *model, tl_time now);
TL_CHECK tl_err tl_relays_discover_network(tl_relays *r, const tl_node_id *network, tl_time now);
/* Takes the reference. */
void tl_relays_set_capabilities(tl_relays *r, json_t *capabilities);
/* A node was described, by itself or by the relay: does it relay? */
void tl_relays_described(tl_relays *r, const tl_node_id *node);
/* Of all links together. */
tl_relay_link_counters tl_relays_counters(const tl_relays *r);

#endif
