/* budget.h - how much a peer may make us hold: its streams, its windows, what libngtcp2 keeps for
 * it, and one budget for all connections. Closes a connection that holds too much. Counts nothing
 * itself: mem.h does.
 *
 * A peer is a stranger until the layer above says that it is known: keys are free, so a stranger
 * gets little.
 *
 *   bytes of libngtcp2 for a connection <= 1 MiB + 3 x conn_window + what we send on it
 *   bytes of all connections <= memory_max, after each datagram
 *
 * libngtcp2 keeps what came out of order, and a node in a tree for each hole before it. No window
 * of QUIC counts these nodes: one byte in every second place costs some 100 bytes for each byte
 * sent. Honest peers stay below the bound: what they have under way to us is at most conn_window,
 * libngtcp2 keeps it in pieces of 8 KiB, so for each stream with a hole one piece more, and a lost
 * packet leaves one hole. */
#ifndef TL_QUIC_BUDGET_H
#define TL_QUIC_BUDGET_H

#include "quic/state.h"

#define TL_BUDGET_SEND   2 /* send buffers of a stranger: at most this many of its windows */
#define TL_BUDGET_UNREAD 4 /* windows that a stranger may leave unread; known peers too */

/* A new connection: its peer is a stranger. */
void tl_budget_conn_init(tl_quic_conn *c);
/* The handshake has told which node the peer is, and our transport parameters are not sent yet.
 * True: the peer is known. */
bool tl_budget_look_up(tl_quic_conn *c);
/* Writes what the peer is granted. */
void tl_budget_fill(const tl_quic_conn *c, ngtcp2_transport_params *params);
/* The peer is known from now on: it is granted the rest. */
void tl_budget_on_known(tl_quic_conn *c);
/* A stream that the peer opened is over on both sides, so the peer may open another. The peer is told
 * of new streams when they are a 16th of all that it may have. A stranger waits for its rate besides.
 *
 *   streams that a stranger opens by one connection <= 2 x granted.streams + 32 x seconds */
void tl_budget_on_stream_over(tl_quic_conn *c);
/* When it is to be called again for streams that are withheld; TL_NEVER: none are. */
tl_time tl_budget_expiry(tl_quic_conn *c);
void tl_budget_on_timer(tl_quic_conn *c);

/* `c` read a datagram (NULL: it ended by that). Closes `c` if it holds too much. While all
 * connections together hold too much, closes strangers' connections, those of the group that holds
 * most first (tl_door_heaviest), and peers' that we know only when there is no stranger. */
void tl_budget_enforce(tl_quic *q, tl_quic_conn *c, tl_time now);

#endif
