/* members.h - a book with one network, the test's own, and whom it lets in. */
#ifndef TESTS_UNIT_ASK_MEMBERS_H
#define TESTS_UNIT_ASK_MEMBERS_H

#include "ptn/networks.h"

typedef struct {
    tl_identity self, authority;
    tl_networks *book;
    tl_membership *lab; /* the network */
} members;

/* This node has the role in the network "lab", from 1970 on and without end. */
void members_init(members *m, tl_role ours);
void members_clear(members *m);
/* The peer has shown a certificate, which holds until `expires_at`. */
void members_add(members *m, const tl_node_id *peer, tl_role role, tl_unix expires_at);
/* Each ID of one byte and zeros. */
void members_add_all(members *m, tl_role role);
/* Another network of this node's, of which it is a provider. */
tl_membership *members_also(members *m, unsigned nth, const char *name);
void members_add_to(members *m, const tl_membership *n, const tl_node_id *peer, tl_role role);
void members_revoke(members *m, const tl_node_id *peer);
/* Sets the price of one of the networks that are made here. */
void members_price(members *m, tl_membership *n, int64_t price);

#endif
