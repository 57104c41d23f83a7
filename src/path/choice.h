/* choice.h - which of the ways to a peer its connection should use. A pure function over what is
 * known of them, with hysteresis; sends nothing, keeps nothing. */
#ifndef TL_PATH_CHOICE_H
#define TL_PATH_CHOICE_H

#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    TL_WAY_RELAYED,     /* a session at the relay, over our WebSocket */
    TL_WAY_RELAYED_UDP, /* the same session, by UDP to the relay */
    TL_WAY_DIRECT,
    TL_WAY_LAN_TCP, /* of the local network, by TCP */
    TL_WAY_LAN,
} tl_way_kind;

typedef struct {
    uint32_t id; /* the caller's; not 0 */
    tl_way_kind kind;
    bool usable;
    /* 0: not measured. Of a direct way the shortest, for a load is no property of it. */
    tl_time rtt;
    tl_time usable_since;
    unsigned losses; /* times it was lost after being usable, lately */
} tl_way;

#define TL_SWITCH_APART (2 * TL_SEC) /* at most one switch for a gain under a fifth */
#define TL_RETURN_AFTER (1 * TL_SEC) /* a lost way must first hold this long; doubles, up to 60 s */

/* A way that is not of the local network is clearly faster than one that is, if its round trip is
 * at most two thirds and this much shorter. A quarter of a millisecond is what a scheduler adds. */
#define TL_CLEARLY_FASTER (250 * TL_US)

/* A switch from a direct way that stands to another is for a gain. Round trips under load, and ways
 * that share a cable, can make each look faster in turn. So after the first such switch the next
 * waits 2 s, then 4 s, 8 s, at last a minute. After five minutes without one the pauses begin anew.
 *
 *   switches for a gain in a time t <= 6 + t / 60 s */
#define TL_GAIN_APART_MAX (60 * TL_SEC)
#define TL_GAIN_CALM      (300 * TL_SEC)

typedef struct {
    uint32_t present;    /* the way in use; 0: none */
    tl_time switched_at; /* 0: never */
    tl_time pto;         /* of the connection: no two switches within three of them, unless the
                            present way is dead */
    tl_time gained_at;   /* when it last switched for a gain; 0: never */
    unsigned gains;      /* such switches lately */
    uint32_t slower;     /* the way that was left for a clearly faster one; 0: none */
} tl_choice_state;

typedef struct {
    uint32_t id;      /* the way to use; 0: none is usable */
    tl_time again_at; /* look again then; TL_NEVER: when something changes */
    const char *why;  /* the rule that chose, for people; a literal */
    bool gain;        /* the present way stands, and this one is only faster */
} tl_choice;

/* Leaves `present` and `pto` of the state to the caller. */
tl_choice tl_choose(const tl_way *ways, size_t n, const tl_choice_state *state, tl_time now);
/* The connection has moved as `choice` said. */
void tl_choice_made(tl_choice_state *state, const tl_choice *choice, tl_time now);

#endif
