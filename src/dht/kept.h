/* kept.h - the items that this node keeps alive in the DHT: its own, and those it holds for others; and
 * when each of them is to be looked after. Sends nothing; pure schedule and memory.
 *
 * Nodes come and go, so the holders of an item do. To look after an item is to search for its target and to
 * store it at those of the nearest nodes that do not have it. How many lacked it tells how fast they change:
 *
 *   more than a third: half the time to the next look, at least TL_KEPT_MIN
 *   fewer:             twice the time, at most `republish` seconds (BEP 44: an hour)
 *
 * So a node in a calm network looks once an hour, and one in a stormy network every few minutes. A fifth of
 * liars, who take it and forget it, changes little. */
#ifndef TL_DHT_KEPT_H
#define TL_DHT_KEPT_H

#include "base/time.h"
#include "dht/item.h"

#define TL_KEPT_MIN       (1 * TL_MIN)
#define TL_KEPT_FIRST     (20 * TL_SEC) /* after it was stored for the first time, perhaps at liars */
#define TL_KEPT_RETRY     (10 * TL_SEC) /* nobody took it; doubles to TL_KEPT_RETRY_MAX */
#define TL_KEPT_RETRY_MAX (5 * TL_MIN)
#define TL_KEPT_LACKED    3 /* one of so many is too many */

typedef struct {
    const tl_identity
        *identity;    /* borrowed; NULL: another one's item, which cannot be signed anew */
    tl_dht_item item; /* its `seq` 0: not signed yet */
    bool changed;     /* the value is not the signed one */
    tl_dht_id target;
    int64_t last_seq; /* the highest that is known, ours or found */
    uint64_t request; /* the search under way; 0 none */
    tl_time next, interval;
    tl_time stored; /* when it was last stored; 0 never */
    tl_time whole;  /* when it was last stored at all the nearest, also those that had it */
    unsigned holders, failed;
    bool cannot_sign;
    unsigned
        outdone; /* later ones of our own key that were found: another machine may sign with it */
} tl_kept;

typedef struct {
    tl_kept **all; /* owned */
    size_t n, cap;
    tl_time republish;
} tl_kept_list;

void tl_kept_clear(tl_kept_list *list);
tl_kept *tl_kept_find(const tl_kept_list *list, const tl_dht_id *target);
/* TL_ERR_INVALID, TL_ERR_BUSY, TL_ERR_NOMEM, as tl_dht_publish. */
TL_CHECK tl_err tl_kept_publish(tl_kept_list *list, const tl_identity *identity, tl_slice salt,
                                tl_slice value, int64_t last_seq, tl_time now);
/* TL_ERR_REPLAY, TL_ERR_BUSY, TL_ERR_NOMEM, as tl_dht_hold. The item is verified. */
TL_CHECK tl_err tl_kept_hold(tl_kept_list *list, const tl_dht_item *item, tl_time now);
void tl_kept_drop(tl_kept_list *list, const tl_dht_id *target);

/* The next item that is to be looked after now. NULL: none. */
tl_kept *tl_kept_due(const tl_kept_list *list, tl_time now);
tl_time tl_kept_expiry(const tl_kept_list *list);
/* All are to be looked after at once. */
void tl_kept_hurry(tl_kept_list *list, tl_time now);

/* Is it to be stored also where it is already? Holders forget it after two hours. */
bool tl_kept_is_whole_due(const tl_kept_list *list, const tl_kept *kept, tl_time now);
/* A newer item of this target was found, and verified. One of ours must be of a time that may be. */
void tl_kept_found(tl_kept *kept, const tl_dht_item *newer, tl_unix wall);
/* Signs what has to be, above every `seq` that is known and may be: what changed, and what is of
 * TL_DHT_RECORD_RENEW ago (dht/freshness.h). False: it cannot be signed. */
bool tl_kept_sign(tl_kept *kept, tl_unix wall);
/* What a search and the storing after it came to, in nodes. */
typedef struct {
    unsigned asked;  /* that should have the item */
    unsigned had;    /* had it before */
    unsigned took;   /* took it now */
    unsigned stayed; /* had it, and answered with an error when it was refreshed */
    bool whole;      /* it was stored also where it was */
} tl_kept_stored;

/* A node that refuses a refresh has the item still. (bittorrent-dht does: error 302 for what is not newer.) It
 * will forget it as if nobody had asked. So where many refuse, an item of ours is signed anew: a later `seq`
 * they take. One held for others waits until they have forgotten it, and is stored then. */
void tl_kept_on_stored(tl_kept_list *list, tl_kept *kept, const tl_kept_stored *s, tl_time now);

#endif
