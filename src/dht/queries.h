/* queries.h - our queries under way: which datagram answers which of them, and which were not answered
 * in time. Knows what a round trip takes, and who was silent lately. Sends nothing; pure bookkeeping.
 *
 *   free --add--> waiting --soft time--> late --hard time--> silent, free
 *                    \------------answer--------\----> free
 *
 * An answer counts only from the address that was asked, with the 32 random bits of its `t`. A late query
 * makes room for another one, but its answer still counts. */
#ifndef TL_DHT_QUERIES_H
#define TL_DHT_QUERIES_H

#include "base/addr.h"
#include "base/rand.h"
#include "base/time.h"
#include "dht/id.h"

#define TL_QUERIES_MAX        256
#define TL_QUERIES_TID        4            /* bytes */
#define TL_QUERIES_SOFT_FIRST (1 * TL_SEC) /* while no round trip is known */
#define TL_QUERIES_SOFT_MIN   (150 * TL_MS)
#define TL_QUERIES_SOFT_MAX   (2 * TL_SEC)
#define TL_QUERIES_HARD       (5 * TL_SEC) /* slower nodes are of no use to anybody */
/* An address and port that was silent twice in a row is left alone for this long. The port counts: else who
 * names wrong ports of a node, or forges them, would have us leave the node itself alone. */
#define TL_QUERIES_SILENT_FOR (10 * TL_MIN)
#define TL_QUERIES_SILENT_MAX 128 /* the oldest makes room */
/* Pings to one network (/24, /48) on the word of others, at most so many in so long: what a victim gets that
 * liars name, or whose address is forged. */
#define TL_QUERIES_PINGS      2
#define TL_QUERIES_PINGS_FOR  (10 * TL_MIN)
#define TL_QUERIES_PINGS_UNIT (8 * TL_SEC) /* in which their time is kept */
#define TL_QUERIES_PINGED     1024 /* networks that are remembered; two of one place share its pings */

/* What the asker wants to know when the query ends. */
typedef struct {
    uint64_t owner; /* of the request; 0 none */
    uint8_t kind;   /* the owner's own numbers */
    bool has_id;
    tl_dht_id id; /* the ID that the node should have */
} tl_query_for;

typedef struct {
    uint32_t tid; /* 0: free. The low 8 bits are the place */
    bool is_late;
    tl_addr to;
    tl_time sent, soft, hard;
    tl_query_for what;
} tl_query;

typedef struct {
    uint64_t place; /* hash of IP and port */
    tl_time until;  /* not asked before; 0: it was silent once */
} tl_query_silent;

typedef struct {
    uint16_t since : 14; /* of the first of `n`; goes round in 36 hours */
    uint16_t n : 2;
} tl_query_pinged;

typedef struct {
    tl_query *all; /* `cap` of them */
    size_t cap, n;
    tl_time srtt, rttvar; /* RFC 6298; 0: nothing is known */
    tl_query_silent silent[TL_QUERIES_SILENT_MAX];
    unsigned next_silent;
    tl_query_pinged pinged[TL_QUERIES_PINGED];
    tl_time answered; /* when the last answer came */
} tl_queries;

void tl_queries_init(tl_queries *q);
void tl_queries_clear(tl_queries *q);

/* Begins one. TL_ERR_BUSY: TL_QUERIES_MAX. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_queries_add(tl_queries *q, const tl_addr *to, const tl_query_for *what,
                               tl_rand *rand, tl_time now, uint8_t ret_tid[TL_QUERIES_TID]);
/* Is one under way to this address? */
bool tl_queries_asks(const tl_queries *q, const tl_addr *to);
/* An answer came: ends its query. False: there is none. */
bool tl_queries_answer(tl_queries *q, const tl_addr *from, tl_slice tid, tl_time now,
                       tl_query *ret_query);

typedef enum { TL_QUERY_LATE, TL_QUERY_SILENT } tl_query_event;
/* The next query that became late, or was given up. Drain until false. */
bool tl_queries_next_event(tl_queries *q, tl_time now, tl_query_event *ret_event,
                           tl_query *ret_query);
/* Does it tell something of the node that it did not answer? Not while nobody answers: then it is our own
 * network that is away. */
static inline bool tl_queries_tells(const tl_queries *q, const tl_query *query)
{
    return q->answered > query->sent;
}
tl_time tl_queries_expiry(const tl_queries *q);
/* Forgets all that are under way. */
void tl_queries_drop(tl_queries *q);

/* May this address be pinged because somebody named it? Counts it. */
bool tl_queries_may_ping(tl_queries *q, const tl_addr *addr, tl_time now);
/* Was this address and port silent lately, so that it is not asked? */
bool tl_queries_is_silent(const tl_queries *q, const tl_addr *addr, tl_time now);
/* One IP; where it is of a local network, one IP and port. */
uint64_t tl_queries_host(const tl_addr *addr);

#endif
