/* relaying.h - does this node relay for others, at which address, and if not: why, and what helps?
 * Facts in, words out. Touches nothing. */
#ifndef TL_TELL_RELAYING_H
#define TL_TELL_RELAYING_H

#include "nat/behaviour.h"

typedef enum {
    TL_RELAYING_OFF,      /* nat.relay_enabled is false */
    TL_RELAYING_ASKING,   /* what the NAT does is not known yet */
    TL_RELAYING_UNPROVEN, /* nobody has shown that strangers reach this node, or that they do not */
    TL_RELAYING_CLOSED,   /* strangers do not reach it */
    TL_RELAYING_SERVING,
    TL_RELAYING_LEAVING, /* this node is shutting down */
} tl_relaying_state;
/* "off", "asking", ... */
const char *tl_relaying_state_name(tl_relaying_state state);

typedef struct {
    bool enabled, wan_enabled, direct_on, leaving;
    const char *network_error; /* why there is no UDP port; NULL: there is one, or none is wanted */
    uint16_t port;             /* 0: none */
    const tl_nat_facts *nat;
    bool mapped; /* the router has a port mapping for us */
} tl_relaying_facts;

typedef struct {
    tl_relaying_state state;
    tl_addr address;  /* where it serves; else of the family NONE */
    char reason[256]; /* why it does not serve, or nobody can use it; "" where it does, or is off */
    char remedy[256];
} tl_relaying;

/* A node serves at a public address of its own machine, unless a STUN server has found that a firewall
 * keeps strangers out. Behind a router it serves where a STUN server saw it, if an answer of that server
 * from an address that was never written to came through: what is true of that stranger is true of
 * others. */
void tl_relaying_judge(const tl_relaying_facts *f, tl_relaying *ret_relaying);
/* It is for members of this node's networks alone, and this node is in none. Of a node that serves it is
 * the reason. */
void tl_relaying_for_nobody(tl_relaying *r);

#endif
