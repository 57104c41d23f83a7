/* door.h - which connections from outside a server keeps: shares of unfinished handshakes and of
 * strangers for each group of paths, so that one group cannot keep the others out. Judges no packet
 * and sends nothing.
 *
 * A group is what one sender can make many of at no cost: the owner says which paths belong
 * together (all of one peer, as the relay or a check names it).
 *
 *   first messages of a group looked at <= 16 + 8 x seconds
 *   unfinished handshakes of a group    <= 8,  of all <= half_open_max
 *   strangers' connections of a group   <= 16
 *   strangers' connections of all, with their unfinished handshakes <= 3/4 of conns_max
 *
 * A newcomer is let in and the oldest unfinished handshake makes room, of its own group if that is
 * at its share, else of the largest group: an honest handshake is done in a round trip, a flood's
 * never is. Strangers make room before known peers. */
#ifndef TL_QUIC_DOOR_H
#define TL_QUIC_DOOR_H

#include "quic/state.h"

/* A first message came by `path`. False: its group has sent too many; it is not looked at. */
bool tl_door_may_knock(tl_quic *q, tl_path_id path, tl_time now);
/* The first message of `c` is genuine and tells who the peer is. False: there is no room. */
bool tl_door_enter(tl_quic_conn *c, tl_time now);
/* The handshake is done. False: the group, or all of them, have too many strangers. */
bool tl_door_pass(tl_quic_conn *c);
/* The peer of `c` is no stranger any more. */
void tl_door_on_known(tl_quic_conn *c);
/* The connection to close when memory is short: the one that holds most, of the group whose
 * strangers hold most together. NULL: there is no stranger. */
tl_quic_conn *tl_door_heaviest(tl_quic *q);
/* The connection is over. */
void tl_door_leave(tl_quic_conn *c);
/* When `q` is freed. */
void tl_door_clear(tl_quic *q);

#endif
