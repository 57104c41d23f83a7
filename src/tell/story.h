/* story.h - says why the path to a peer is what it is, and what would change it: one cause, from
 * what was tried and what came back. A pure function of plain facts: never asks a peer, chooses no
 * path. */
#ifndef TL_TELL_STORY_H
#define TL_TELL_STORY_H

#include "ask/exchange.h"
#include "direct/direct.h"
#include "peer/peers.h"

/* All pointers are borrowed for the call. */
typedef struct {
    bool self;      /* the peer is this node */
    bool connected; /* if true, `via` says how */
    tl_via via;
    const char *rule; /* the rule that chose the path in use; NULL: not known */

    bool wan_enabled, relay_connected;
    bool lan_on, near; /* the local network is looked at; the peer is announced there */
    bool by_tcp;       /* the connection goes by TCP there */
    bool no_relay;     /* the settings name none */
    bool by_nodes;     /* a node that relays may reach the peer */
    bool listed;       /* the relay names the peer as present */
    /* The peer speaks the old protocol alone, in clear; and this node speaks it, too. */
    bool old, speaks_old;

    bool relayed_by_option;         /* --relayed set nat.direct to false */
    bool clock_known;               /* the relay has told its time, and clock_ahead is set */
    double clock_ahead;             /* seconds that our clock is ahead of the relay's */
    bool direct_on;                 /* nat.direct */
    const tl_nat_facts *nat;        /* NULL: no UDP socket */
    const char *mapped_by;          /* our port mapping; NULL: none */
    const char *network_error;      /* why there is no socket; NULL: there is one */
    tl_nat_type listed_nat;         /* the peer's NAT, as the relay lists it */
    const tl_direct_report *report; /* NULL: no attempt was ever made */
    tl_time now;
} tl_story_facts;

typedef struct {
    const char *reason; /* stable, for scripts: one of the names in story.c */
    char because[480];
    char remedy[320]; /* "" when nothing would make the path better */
} tl_story;

/* Of a relayed connection: what carries it to the relay, and why that. A literal; its first word is
 * tl_relay_carrier_name. */
const char *tl_story_carrier(bool has_port, bool by_udp, tl_udp_state udp, tl_leg_state leg);
/* The same where a node relays it. */
const char *tl_story_carrier_by_node(void);

void tl_story_tell(const tl_story_facts *f, tl_story *ret_story);

/* The peer's NAT: what the peer told us, else what the relay lists. */
tl_nat_type tl_story_peer_nat(const tl_story_facts *f);

#endif
