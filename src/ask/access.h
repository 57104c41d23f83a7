/* access.h - who may ask this node, and whom this node may ask. Every door of the node asks here
 * and nowhere else: the server, the router, the answer to an offer, what the node tells of itself.
 * Pure; knows no connection and no model. */
#ifndef TL_ASK_ACCESS_H
#define TL_ASK_ACCESS_H

#include "crypto/identity.h"

typedef struct {
    bool share_public; /* anyone may ask us; else only members of our networks */
    bool ask_any;      /* we may ask anyone; else only members of our networks */
    bool sharing;      /* a model server is shared */
    bool in_clear;     /* the old protocol is spoken, readable for the relay */
    bool running;      /* started, and not shutting down */
    /* Is the peer a member of a network of ours? NULL: this node is in no network. */
    bool (*is_member)(void *user, const tl_node_id *peer);
    void *user;
} tl_access;

typedef enum {
    TL_ACCESS_OK,
    TL_ACCESS_NOT_SHARED, /* no model server is shared */
    TL_ACCESS_LEAVING,    /* this node is shutting down, or has not started */
    TL_ACCESS_NO_MEMBER,  /* members only, and the peer is none */
    TL_ACCESS_ENCRYPTED,  /* the old protocol is not spoken */
} tl_access_verdict;

bool tl_access_is_member(const tl_access *a, const tl_node_id *peer);
/* May `peer` ask this node? */
tl_access_verdict tl_access_for_peer(const tl_access *a, const tl_node_id *peer);
/* May a node that nobody knows ask this node? */
tl_access_verdict tl_access_for_strangers(const tl_access *a);
/* May this node ask `peer`? */
tl_access_verdict tl_access_to_peer(const tl_access *a, const tl_node_id *peer);
/* The same for nodes that speak the old protocol alone. Nothing proves who they are, so each is a
 * stranger. May they ask this node? May this node ask them? */
tl_access_verdict tl_access_for_old(const tl_access *a);
tl_access_verdict tl_access_to_old(const tl_access *a, const tl_node_id *peer);
/* Is there any node that this node may ask? */
bool tl_access_asks_others(const tl_access *a);
/* For a person at the other node; "" for TL_ACCESS_OK. */
const char *tl_access_words(tl_access_verdict v);

#endif
