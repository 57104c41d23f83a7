/* story.h - why the path to a peer is what it is, and what would change it: one cause out of what
 * was tried and what came back. A pure function over plain facts; asks nobody, chooses no path. */
#ifndef TL_TELL_STORY_H
#define TL_TELL_STORY_H

#include "ask/exchange.h"
#include "direct/direct.h"

/* Everything borrowed for the call. */
typedef struct {
    bool self;      /* the peer is this node */
    bool connected; /* then `via` tells how */
    tl_via via;
    const char *rule; /* by which the path in use was chosen; NULL: not known */

    bool wan_enabled, relay_connected;
    bool listed; /* the relay names the peer as present */

    bool direct_on;                 /* nat.direct */
    const tl_nat_facts *nat;        /* NULL: no UDP socket */
    const char *mapped_by;          /* our port mapping; NULL: none */
    const char *network_error;      /* why there is no socket; NULL: there is one */
    tl_nat_type listed_nat;         /* the peer's, as the relay lists it */
    const tl_direct_report *report; /* NULL: no attempt was ever made */
    tl_time now;
} tl_story_facts;

typedef struct {
    const char *reason; /* stable, for scripts: the names in story.c */
    char because[480];
    char remedy[320]; /* "" when nothing would change it for the better */
} tl_story;

void tl_story_tell(const tl_story_facts *f, tl_story *ret_story);

/* The peer's NAT, the best that is known: what it told us, else what the relay lists. */
tl_nat_type tl_story_peer_nat(const tl_story_facts *f);

#endif
