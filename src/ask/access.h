/* access.h - who may ask this node, and whom this node may ask, for which private network. Every
 * door of the node asks here and nowhere else: the server, the router, the answer to an offer, the
 * old protocol, what the node tells of itself. Pure; knows no connection and no model.
 *
 * A question belongs to one network or to none (it is public). Only a certificate that the book of
 * networks has verified makes a peer a member. What a peer or a relay claims changes nothing. */
#ifndef TL_ASK_ACCESS_H
#define TL_ASK_ACCESS_H

#include "base/env.h"
#include "crypto/identity.h"
#include "ptn/networks.h"

typedef struct {
    bool share_public;       /* anyone may ask us; else only members of our networks */
    bool ask_any;            /* we may ask anyone; else only members of our networks */
    bool sharing;            /* a model server is shared */
    bool in_clear;           /* the old protocol is spoken, readable for the relay */
    bool running;            /* started, and not shutting down */
    const tl_networks *book; /* borrowed for life. NULL: this node is in no network */
    const tl_env *env;       /* borrowed for life: whose clock judges. NULL where `book` is */
} tl_access;

typedef enum {
    TL_ACCESS_OK,
    TL_ACCESS_NOT_SHARED, /* no model server is shared */
    TL_ACCESS_LEAVING,    /* this node is shutting down, or has not started */
    TL_ACCESS_NO_MEMBER,  /* members only, and the question belongs to no network */
    TL_ACCESS_ENCRYPTED,  /* the old protocol is not spoken */
    /* The peer has shown no certificate of the network. Whether this node is in it, is not told. */
    TL_ACCESS_UNPROVEN,
    TL_ACCESS_NETWORK, /* the book's judgement: this + a tl_may */
} tl_access_verdict;

/* --- who may ask us --- */

/* May `peer` ask this node a question of `network`? NULL: a public one. */
tl_access_verdict tl_access_for_peer(const tl_access *a, const tl_node_id *peer,
                                     const tl_node_id *network);
/* May it ask anything: publicly, or for some network? */
bool tl_access_welcomes(const tl_access *a, const tl_node_id *peer);
/* May a node that nobody knows ask this node? */
tl_access_verdict tl_access_for_strangers(const tl_access *a);
/* Do we serve in this network: does our certificate hold, and is our role one that serves? */
bool tl_access_serves(const tl_access *a, const tl_node_id *network);
/* Do we serve the members of some network, or the public? */
bool tl_access_serves_others(const tl_access *a);
/* For a person at the other node; "" for TL_ACCESS_OK. */
const char *tl_access_words(tl_access_verdict v);

/* --- whom we may ask --- */

/* May this node ask `peer` a question of `network`? NULL: a public one. */
tl_access_verdict tl_access_to_peer(const tl_access *a, const tl_node_id *peer,
                                    const tl_node_id *network);
/* A network for which this node may ask `peer`: where it costs least, and of equals the one that
 * was joined first. False: there is none. */
bool tl_access_network_to(const tl_access *a, const tl_node_id *peer, tl_node_id *ret_network);
/* May this node ask it anything: publicly, or for some network? */
bool tl_access_may_try(const tl_access *a, const tl_node_id *peer);
/* Is there any node that this node may ask? */
bool tl_access_asks_others(const tl_access *a);
/* Are we in the network, now? TL_MAY_OK, or what is wrong with us. */
tl_may tl_access_in(const tl_access *a, const tl_node_id *network);
/* What this node calls the network; "" where it never was in it. */
const char *tl_access_name_of(const tl_access *a, const tl_node_id *network);

/* --- both --- */

/* Are both members of some network? */
bool tl_access_is_member(const tl_access *a, const tl_node_id *peer);
/* Of this one? */
bool tl_access_is_member_of(const tl_access *a, const tl_node_id *peer, const tl_node_id *network);
/* Is a connection to it worth keeping: may one of us ask the other, or are both of one network? */
bool tl_access_keeps(const tl_access *a, const tl_node_id *peer);
/* Is this node in any network, now? */
bool tl_access_in_network(const tl_access *a);
/* The same for nodes that speak the old protocol alone. Nothing proves who they are, so each is a
 * stranger, and no question of a network goes to them or comes from them. May they ask this node?
 * May this node ask them? */
tl_access_verdict tl_access_for_old(const tl_access *a);
tl_access_verdict tl_access_to_old(const tl_access *a, const tl_node_id *peer);

#endif
