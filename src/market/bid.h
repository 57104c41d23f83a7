/* bid.h - what a provider asks for: the standing bid for each model, and what the bids of one node
 * look like in a heartbeat. Arithmetic and a codec; it has no clock and no connection.
 *
 *     cost = kwh_micro * watts / (3600 * tokens a second)     micro-credits for 1000 tokens
 *     bid  = max(floor, cost) * (1 + running / slots)
 *
 * Both are rounded up, and neither passes TL_PRICE_MAX. A model whose speed was not measured yet has
 * no cost: its bid is the floor's. */
#ifndef TL_MARKET_BID_H
#define TL_MARKET_BID_H

#include "base/json.h"
#include "base/number.h"

#define TL_PRICE_MAX  TL_NUMBER_EXACT_MAX
/* Of one node: a heartbeat has some 10 KiB of them at most, so that many heartbeats pass. */
#define TL_BIDS_MAX   64
#define TL_BIDS_NAMES (4u << 10) /* bytes of all their models' names */

typedef struct {
    int64_t floor_micro; /* for 1000 tokens, 0 to TL_PRICE_MAX; so is the result */
    int64_t kwh_micro;   /* what a kilowatt-hour costs, 0 to TL_PRICE_MAX */
    uint64_t watts;      /* that the machine draws while it answers */
    uint64_t speed;      /* tokens in 1000 s that it generates of this model; 0: not measured */
    uint32_t running;    /* questions of others under way */
    uint32_t slots;      /* that can run at once; 0 counts as 1 */
} tl_bid_facts;

/* Micro-credits for 1000 tokens, 0 to TL_PRICE_MAX. */
int64_t tl_bid_cost(const tl_bid_facts *f);
int64_t tl_bid_price(const tl_bid_facts *f);

/* Before any work: the price now, and what the asker has said. */
typedef enum {
    TL_PRICE_AGREED, /* work begins, at the price now, which is no higher than what was seen */
    TL_PRICE_RISEN,  /* it is above what the asker has seen: the asker is told, and decides */
    TL_PRICE_ABOVE,  /* it is above the asker's maximum */
} tl_price_verdict;
/* An asker that has seen no price agrees to 0. */
tl_price_verdict tl_price_agree(int64_t now, tl_maybe seen, tl_maybe maximum);

/* One standing bid. */
typedef struct {
    char *model;
    int64_t price;
    int64_t version; /* from 1; grows when the price changes, and never comes twice from one node */
    bool has_slots;  /* the three below are known */
    uint32_t slots, slots_free, queued;
} tl_bid;

/* Of one node, at most TL_BIDS_MAX. Zero-initialise to begin. */
typedef struct {
    size_t n;
    tl_bid *bid;
} tl_bids;

void tl_bids_clear(tl_bids *b);
/* NULL: none. */
tl_bid *tl_bids_find(const tl_bids *b, const char *model);
/* The bid for `model`, added with price and version 0 where there is none. NULL: out of memory, or
 * TL_BIDS_MAX are there. */
tl_bid *tl_bids_get(tl_bids *b, const char *model);

/* The array of a heartbeat. A stranger wrote it: entries that are no bids, a second one for a model,
 * and what is beyond the bounds are passed over. TL_ERR_NOMEM: `ret_bids` untouched; else its old
 * bids are gone. */
TL_CHECK tl_err tl_bids_read(const json_t *list, tl_bids *ret_bids);
/* NULL: out of memory. Bids beyond TL_BIDS_NAMES are left out. */
json_t *tl_bids_json(const tl_bids *b);

#endif
