/* introducers.h - nodes that introduce, as one who uses them sees them (docs/protocol.md "Introducers"): to
 * which of them this node is attached, so that others find it; and whom it asks to be introduced to a peer.
 * Sans-IO: datagrams go out through the functions it is given; never touches a socket or a clock. Makes no
 * direct way: direct/ does, with what is said here.
 *
 *   this node                     introducer                     peer
 *       | ------ Attach ------------> |                            |   every 25 s
 *       | <----- Attached ----------- |                            |
 *       | ------ PunchIntro --------> | ----- PunchRequest ------> |
 *       | <----- PunchReady --------- | <---- PunchReady --------- |
 *       | <----------------- PunchReady, then checks ------------- |
 *
 * A peer with a public address is its own introducer: the PunchIntro goes to it.
 *
 *   what goes out for one wish   <= TL_INTRODUCTION_ASKED x TL_DIRECT_INTRODUCTIONS PunchIntros, and as many
 *                                   Attaches, where our address is not known
 *   for all together             <= 32 + 16 x seconds datagrams                                            */
#ifndef TL_PEER_INTRODUCERS_H
#define TL_PEER_INTRODUCERS_H

#include "base/env.h"
#include "direct/direct.h"
#include "peer/peer_table.h"
#include "wire/control.h"

#define TL_INTRODUCERS_GIVEN_MAX                                                                   \
    8 /* by the setting nat.introducers: this node attaches to all of them */
#define TL_INTRODUCERS_FOUND                                                                       \
    2 /* of those found elsewhere; when one dies, others find us through the second */
#define TL_INTRODUCERS_MAX (TL_INTRODUCERS_GIVEN_MAX + 4)
#define TL_INTRODUCERS_KNOWN_MAX                                                                   \
    512 /* peers of which it is remembered where they are; the oldest makes room */
#define TL_INTRODUCTION_ASKED    4 /* nodes that are asked at once for one wish */
#define TL_REACH_ADDRS_MAX       8
#define TL_REACH_INTRODUCERS_MAX 8

typedef struct tl_introducers tl_introducers;

/* Where a peer is, as it said itself: its item in the DHT. */
typedef struct {
    tl_control_nat nat;
    size_t n_addrs, n_introducers;
    tl_addr addrs[TL_REACH_ADDRS_MAX]; /* public ones */
    tl_relayer_name introducers[TL_REACH_INTRODUCERS_MAX];
} tl_reach;

/* One to which this node is attached now. */
typedef struct {
    tl_relayer_name name;
    tl_time rtt;  /* 0: not measured */
    tl_addr seen; /* our address, as it sees us */
    bool given;   /* by the setting */
} tl_introducer_facts;

/* Those of the setting nat.introducers. Copies. More than TL_INTRODUCERS_GIVEN_MAX are left out. */
void tl_introducers_give(tl_introducers *r, const tl_relayer_name *names, size_t n);
/* "NODEID@IP:PORT". TL_ERR_PROTO: it is not that. */
TL_CHECK tl_err tl_introducer_parse(tl_slice text, tl_relayer_name *ret_name);
/* A node that introduces was found: in the DHT item of a peer, say. It is tried when this node is attached to
 * fewer than TL_INTRODUCERS_FOUND. */
void tl_introducers_found(tl_introducers *r, const tl_relayer_name *name);
/* Where the peer is: remembered for the attempts at it. Its introducers are not attached to. */
void tl_introducers_know(tl_introducers *r, const tl_node_id *peer, const tl_reach *reach);
/* Those to which this node is attached now, nodes that relay for it among them: what its own item in the DHT
 * names. */
size_t tl_introducers_attached(const tl_introducers *r,
                               tl_introducer_facts ret[TL_INTRODUCERS_MAX]);

#endif
