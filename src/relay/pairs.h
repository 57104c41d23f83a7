/* pairs.h - for how long two nodes have had sessions with each other, so that neither many sessions
 * nor closing one and opening the next makes the time longer. Sends nothing.
 *
 * All sessions of a pair end `session_max` after the first of them began. Who opens none for `pause`
 * may begin anew. So in any time of session_max + pause, a pair has sessions for at most
 * session_max. */
#ifndef TL_RELAY_PAIRS_H
#define TL_RELAY_PAIRS_H

#include "base/table.h"
#include "base/time.h"
#include "crypto/identity.h"

typedef struct tl_relay_pair {
    uint8_t key[64]; /* both node IDs, the smaller first */
    tl_time since;   /* the first session began then */
    tl_time left;    /* the last one ended; it counts while there is none */
    uint32_t sessions;
    struct tl_relay_pair *prev, *next; /* utlist of those without a session, the oldest first */
    UT_hash_handle hh;
} tl_relay_pair;

typedef struct {
    tl_time session_max, pause;
    size_t idle_max; /* pairs without a session that are remembered; beyond it the oldest goes */
    size_t idle_count;
    tl_relay_pair *table, *idle;
} tl_relay_pairs;

/* May the two have a session now? */
bool tl_relay_pairs_may(tl_relay_pairs *p, const tl_node_id *a, const tl_node_id *b, tl_time now);
/* They have one more. TL_ERR_BUSY: they may not. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_pairs_begin(tl_relay_pairs *p, const tl_node_id *a, const tl_node_id *b,
                                     tl_time now, tl_relay_pair **ret_pair);
void tl_relay_pairs_end(tl_relay_pairs *p, tl_relay_pair *pair, tl_time now);
/* All sessions must have ended. */
void tl_relay_pairs_clear(tl_relay_pairs *p);

#endif
