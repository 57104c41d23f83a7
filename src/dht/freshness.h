/* freshness.h - is a record (dht/record.h) new enough to be followed? Who answers a lookup may give an old one that
 * the node truly signed: its addresses are somebody else's by now, or name no way to it. Pure: sends nothing.
 *
 * A record says no time but its `seq`, which its node makes from its clock, max(Unix seconds, the last one + 1), and
 * renews at least each TL_DHT_RECORD_RENEW. So
 *
 *   OLD          seq < wall - TL_DHT_RECORD_AGE_MAX
 *   ROLLED_BACK  seq < the highest one that this node has followed, of the last TL_FRESHNESS_PEERS that it looked for
 *
 * Clocks are wrong at some. One that is off by its time zone changes nothing. Where one of the two is off by more:
 *   - the reader's clock is ahead, or the node's is behind: OLD; the reader is told that it may be a clock;
 *   - the reader's clock is behind, or the node's is ahead: older ones than TL_DHT_RECORD_AGE_MAX are taken, too. A
 *     `seq` that lies ahead is never refused: its node could not go below it any more. */
#ifndef TL_DHT_FRESHNESS_H
#define TL_DHT_FRESHNESS_H

#include "base/time.h"
#include "crypto/identity.h"

#define TL_DHT_RECORD_RENEW (45 * 60) /* seconds; the time in which all holders get it again */
#define TL_DHT_RECORD_AGE_MAX                                                                      \
    (24 * 60 * 60) /* 14 h of a time zone, 2 h for which holders keep it, and the rest */
#define TL_FRESHNESS_PEERS 512 /* the one that was not looked for for longest makes room */

typedef enum { TL_FRESH, TL_FRESH_OLD, TL_FRESH_ROLLED_BACK } tl_freshness_verdict;

/* Zero at first. */
typedef struct {
    size_t n;
    uint64_t turn;
    struct {
        tl_node_id peer;
        int64_t seq; /* the highest that was followed */
        uint64_t used;
    } seen[TL_FRESHNESS_PEERS];
} tl_freshness;

/* May the record of `peer` with this `seq` be followed? Then its `seq` is remembered. */
tl_freshness_verdict tl_freshness_of(tl_freshness *f, const tl_node_id *peer, int64_t seq,
                                     tl_unix wall);

#endif
