/* sources.h - how much each address and each network of the DHT asked lately and was sent, so that
 * nobody can have all of us, and nobody can have others flooded by us. Pure arithmetic on the time
 * it is handed.
 *
 * For each address, and with TL_DHT_QUERIES_NET_FACTOR for each network, in any t seconds
 *
 *     queries ≤ TL_DHT_QUERIES_BURST + TL_DHT_QUERIES_RATE × t
 *
 * For each address and each network
 *
 *     bytes sent ≤ TL_DHT_BYTES_BURST + TL_DHT_BYTES_RATE × t
 *
 * and for all together  bytes sent ≤ TL_DHT_SUM_BURST + TL_DHT_SUM_RATE × t. Half of this sum is kept for those
 * who have proven their address, and an eighth for pings: a flood from forged addresses takes neither. What an address
 * and a network are, base/origin.h says. */
#ifndef TL_DHT_SOURCES_H
#define TL_DHT_SOURCES_H

#include "base/origin.h"
#include "base/ratelimit.h"

#define TL_DHT_QUERIES_RATE       25 /* a second; also those without an answer: each costs a look */
#define TL_DHT_QUERIES_BURST      100
#define TL_DHT_QUERIES_NET_FACTOR 4
#define TL_DHT_BYTES_RATE         (8 * 1024) /* about 25 answers with 8 nodes */
#define TL_DHT_BYTES_BURST        (16 * 1024)
#define TL_DHT_SUM_RATE           (64 * 1024) /* what a home's line can spare */
#define TL_DHT_SUM_BURST          (256 * 1024)
#define TL_DHT_SOURCES_MAX        4096 /* less than 1 MB; only those of the last seconds are kept */
#define TL_DHT_SOURCE_KEPT        (4 * TL_SEC) /* a source is as a new one after that: all is full */

/* Members are private. */
typedef struct {
    struct tl_dht_source *table, *order; /* by the last use; the first is the oldest */
    size_t n;
    tl_ratelimit sum[3]; /* by tl_dht_sender */
} tl_dht_sources;

/* For what the bytes are. */
typedef enum {
    TL_DHT_SENDER_ANY,
    TL_DHT_SENDER_PING,   /* an answer to a ping: it may take of ANY's, too */
    TL_DHT_SENDER_PROVEN, /* to an address that somebody is at: it may take of ANY's, too */
} tl_dht_sender;

void tl_dht_sources_init(tl_dht_sources *s, tl_time now);
void tl_dht_sources_clear(tl_dht_sources *s);

typedef enum {
    TL_DHT_SOURCE_OK,
    TL_DHT_SOURCE_OVER, /* this address or network has had its share */
    TL_DHT_SOURCE_SUM,  /* all together have */
    TL_DHT_SOURCE_NOMEM,
} tl_dht_verdict;

/* A query came from `from`. OK: look at it. */
tl_dht_verdict tl_dht_sources_on_query(tl_dht_sources *s, const tl_addr *from, tl_time now);
/* Could `n` bytes be sent now, as far as the sum goes? Cheap, before they are made. */
bool tl_dht_sources_has_room(tl_dht_sources *s, tl_dht_sender sender, size_t n, tl_time now);
/* `n` bytes are to be sent to `to`, headers counted; at most TL_DHT_BYTES_BURST. OK: they count as
 * sent. */
tl_dht_verdict tl_dht_sources_send(tl_dht_sources *s, const tl_addr *to, tl_dht_sender sender,
                                   size_t n, tl_time now);

/* Forgets those whose shares are full again. */
void tl_dht_sources_prune(tl_dht_sources *s, tl_time now);

#endif
