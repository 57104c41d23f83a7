/* items.h - the items that a node of the DHT keeps for others (BEP 44). Sans-IO, and without a look
 * at signatures: its caller verifies what it hands in.
 *
 * Bounded in number and in bytes: in sum, and for each address, network and block that put them
 *
 *                     items   bytes
 *   in sum             4096   2 MiB
 *   block    /16, /32   512   256 KiB   (IPv4, IPv6)
 *   network  /24, /48   128    64 KiB
 *   address  /32, /64    32    32 KiB
 *
 * When there is no room, an item of a block that has more than the new one's block goes, or a young one that is
 * farther from our ID than the new one: of these, one of the block, network and address with most, young before
 * old, and the farthest. Young is what has been here for less than TL_DHT_ITEM_SETTLED. So who has one network,
 * or comes for an hour with many, puts nobody's item out that stays. An item that grows puts none out. */
#ifndef TL_DHT_ITEMS_H
#define TL_DHT_ITEMS_H

#include "dht/item.h"
#include "dht/sources.h"

#define TL_DHT_ITEMS_MAX         4096
#define TL_DHT_ITEM_BYTES_MAX    (2 * 1024 * 1024) /* of all values and salts */
#define TL_DHT_ITEMS_PER_ADDRESS 32 /* a node puts its own, and those of some friends */
#define TL_DHT_ITEMS_PER_NETWORK 128
#define TL_DHT_ITEMS_PER_BLOCK   512
#define TL_DHT_BYTES_PER_ADDRESS (32 * 1024)
#define TL_DHT_BYTES_PER_NETWORK (64 * 1024)
#define TL_DHT_BYTES_PER_BLOCK   (256 * 1024)
#define TL_DHT_ITEM_KEPT         (120 * TL_MIN) /* BEP 44: since it was last put */
#define TL_DHT_ITEM_SETTLED      (60 * TL_MIN) /* since it was first put: somebody keeps it alive */

typedef struct tl_dht_stored tl_dht_stored;
typedef struct tl_dht_share tl_dht_share;

/* Members are private, but for the numbers. */
typedef struct {
    tl_dht_stored *table, *order; /* by when they were last put; the first is the oldest */
    tl_dht_share *shares;         /* by origin */
    size_t n, bytes;
} tl_dht_items;

/* Zero-initialise to begin. */
void tl_dht_items_clear(tl_dht_items *s);

/* Looks an item up. Copies. */
bool tl_dht_items_find(const tl_dht_items *s, const tl_dht_id *target, tl_time now,
                       tl_dht_item *ret_item);

typedef enum {
    TL_DHT_PUT_NEW,
    TL_DHT_PUT_AGAIN, /* it is kept already: for two hours more */
    TL_DHT_PUT_NEWER, /* it takes the place of an older one */
    /* refused */
    TL_DHT_PUT_CAS,  /* the kept one has another sequence than `cas` */
    TL_DHT_PUT_SEQ,  /* the kept one has a higher sequence, or the same with another value */
    TL_DHT_PUT_FULL, /* no room, or none for more of this address, network or block */
    TL_DHT_PUT_NOMEM,
} tl_dht_put_result;

/* What tl_dht_items_put would say, but for FULL and NOMEM. Costs less than a signature. */
tl_dht_put_result tl_dht_items_look(const tl_dht_items *s, const tl_dht_item *item, tl_maybe cas,
                                    tl_time now);
/* Keeps an item that `from` put; NULL: this node itself, to which the shares do not apply. Copies.
 * `own`: our ID. */
tl_dht_put_result tl_dht_items_put(tl_dht_items *s, const tl_dht_item *item, tl_maybe cas,
                                   const tl_addr *from, const tl_dht_id *own, tl_time now,
                                   size_t *ret_pushed_out);
/* Forgets those that nobody put for TL_DHT_ITEM_KEPT. Returns how many. */
size_t tl_dht_items_prune(tl_dht_items *s, tl_time now);
/* When the next one will be too old; TL_NEVER: none is kept. */
tl_time tl_dht_items_expiry(const tl_dht_items *s);

#endif
