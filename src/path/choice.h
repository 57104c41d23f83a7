/* choice.h - which of the ways to a peer its connection should use. A pure function over what is
 * known of them, with hysteresis; sends nothing, keeps nothing. */
#ifndef TL_PATH_CHOICE_H
#define TL_PATH_CHOICE_H

#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum { TL_WAY_RELAYED, TL_WAY_DIRECT, TL_WAY_LAN } tl_way_kind;

typedef struct {
    uint32_t id; /* the caller's; not 0 */
    tl_way_kind kind;
    bool usable;
    tl_time rtt; /* 0: not measured */
    tl_time usable_since;
    unsigned losses; /* times it was lost after being usable, lately */
} tl_way;

#define TL_SWITCH_APART (2 * TL_SEC) /* at most one switch for a gain under a fifth */
#define TL_RETURN_AFTER (1 * TL_SEC) /* a lost way must first hold this long; doubles, up to 60 s */

typedef struct {
    uint32_t present;    /* the way in use; 0: none */
    tl_time switched_at; /* 0: never */
    tl_time pto;         /* of the connection: no two switches within three of them, unless the
                            present way is dead */
} tl_choice_state;

typedef struct {
    uint32_t id;      /* the way to use; 0: none is usable */
    tl_time again_at; /* look again then; TL_NEVER: when something changes */
    const char *why;  /* the rule that chose, for people; a literal */
} tl_choice;

tl_choice tl_choose(const tl_way *ways, size_t n, const tl_choice_state *state, tl_time now);

#endif
