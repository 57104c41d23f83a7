/* relays.h - the relays at which a node is registered, as one: which of them a session is opened at,
 * by which a signal goes, who is at any of them. Sans-IO: it stands on one tl_relay_link for each relay,
 * and has the functions of a link; never touches a socket or a clock.
 *
 * A peer's session is opened at the relay with the smallest round trip to the peer, among the relays that
 * both are at. It is the round trip that was measured over that relay, end to end; where there is none,
 * twice our own to the relay. A relay that is leaving is taken if there is no other. Where the relay does
 * not know the peer, or is lost meanwhile, the session is opened at another one, under the same path id;
 * only when no relay is left, on_ended tells. */
#ifndef TL_PEER_RELAYS_H
#define TL_PEER_RELAYS_H

#include "peer/peer_table.h"
#include "peer/relay_link.h"

typedef struct tl_relays tl_relays;

/* Makes TL_RELAYS_MAX links. Borrows `identity`, `rand` and `table` for life. The events are those of a
 * link, with these differences: on_presence tells of a node that left only when it is at no relay any
 * more; on_discovered comes when all relays that were asked have answered; on_ended as above. Inside an
 * event, tl_relays_telling says which relay it is of. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relays_new(const tl_identity *identity, tl_rand *rand, tl_peer_table *table,
                              const char *display_name, const tl_relay_link_events *events,
                              void *user, tl_relays **ret_relays);
void tl_relays_free(tl_relays *r);
/* The link for the i-th relay; its owner tells it of connections and messages. */
tl_relay_link *tl_relays_link(const tl_relays *r, size_t i);
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
/* The relay of a session. False: there is no such session. */
bool tl_relays_of(const tl_relays *r, tl_path_id path, size_t *ret_i);
/* The relay at which a session with the peer would be opened now. False: none is connected. */
bool tl_relays_best(const tl_relays *r, const tl_node_id *peer, size_t *ret_i);
/* Is there a relay to which the session's connection could move: connected, not leaving, and one that the
 * peer is at (`peer` NULL: that is not known)? */
bool tl_relays_has_other(const tl_relays *r, const tl_node_id *peer, tl_path_id path);

/* As the functions of a link. `but`: not at the relay of that path; 0: at any. */
TL_CHECK tl_err tl_relays_open(tl_relays *r, const tl_node_id *peer, tl_path_id path,
                               tl_path_id but);
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
/* Of all links together. */
tl_relay_link_counters tl_relays_counters(const tl_relays *r);

#endif
