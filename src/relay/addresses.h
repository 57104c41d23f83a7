/* addresses.h - counts what each address takes of the relay: connections, memory, and processor
 * time. An IPv6 /64 counts as one address, because one customer gets a whole /64. Sends nothing.
 *
 * A /64 is the least that one customer gets. Many providers give a /56, and some (and those of
 * tunnels) a /48 to everyone who asks: 65536 such addresses. So a /48 is counted too, as a site. Its
 * limit is wider than an address's, because a mobile network gives the /64s of one /48 to thousands
 * of customers. It holds only for connections that have not registered: to register takes a moment,
 * and who is registered pays for a signature and is seen by the operator. Of IPv4, the site is the
 * address. */
#ifndef TL_RELAY_ADDRESSES_H
#define TL_RELAY_ADDRESSES_H

#include "base/table.h"
#include "relay/relay.h"

/* An address gets an eighth of the processor's time, and may take 2 s of it at once. 600 nodes of
 * one office need about 2 s to register again after a restart. */
#define TL_RELAY_WORK_SHARE 8
#define TL_RELAY_WORK_BURST (2 * TL_SEC)
/* A node that was told of by name and leaves costs its address this time, and of 200 at once. Until
 * that is paid, all nodes are told of no join of this address. Those that come and stay cost nothing:
 * after a restart a whole office joins. */
#define TL_RELAY_TOLD_EVERY (500 * TL_MS)
#define TL_RELAY_TOLD_BURST (100 * TL_SEC)

#define TL_RELAY_UNTOLD 0x80

typedef struct tl_relay_site {
    uint8_t key[9]; /* as of an address, with the last 2 bytes of IPv6 zero */
    uint32_t addresses, unregistered;
    UT_hash_handle hh;
} tl_relay_site;

typedef struct tl_relay_address {
    uint8_t key[9]; /* the family (TL_RELAY_UNTOLD with it where clients are not told yet), then 4
                       bytes of IPv4 or the first 8 of IPv6 */
    uint32_t conns, unregistered;
    tl_relay_site *site;
    size_t memory;        /* of all its connections */
    unsigned rank;        /* by memory; relay/memory.c keeps it */
    tl_time busy_until;   /* when its share will have paid for the work done for it, */
    tl_time told_until;   /* and for the nodes that were told of and left */
    tl_relay_conn *first; /* list of its connections, kept by relay/memory.c */
    UT_hash_handle hh;
    struct tl_relay_address *prev_there, *next_there; /* utlist of its rank */
    struct tl_relay_address *prev, *next; /* utlist of entries without connections that are still in
                                             debt */
} tl_relay_address;

typedef struct {
    tl_relay_address *table, *indebted;
    tl_relay_site *sites;
} tl_relay_addresses;

/* Counts one more connection, which is not registered yet. TL_ERR_BUSY: one of the limits is
 * reached, or the address took more than its share of work. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_address_add(tl_relay_addresses *t, const tl_addr *addr,
                                     const tl_relay_config *limits, tl_time now,
                                     tl_relay_address **ret_address);
/* The same for a connection that a trusted proxy passes on: it stands here until its client's address
 * is told (relay/told.c), and no limit of one address holds it. `proxy` is the proxy's address. */
TL_CHECK tl_err tl_relay_address_add_untold(tl_relay_addresses *t, const tl_addr *proxy,
                                            tl_time now, tl_relay_address **ret_address);
/* One of its connections is registered now. */
static inline void tl_relay_address_registered(tl_relay_address *a)
{
    a->unregistered--;
    a->site->unregistered--;
}
/* One connection of this address is gone. Frees the entry when it was the last. But an entry that
 * has work to pay for is kept, so that an address cannot lose its debt by coming back. */
void tl_relay_address_drop(tl_relay_addresses *t, tl_relay_address *a, bool was_registered,
                           tl_time now);
/* Frees the entries that are kept without connections. */
void tl_relay_addresses_clear(tl_relay_addresses *t);

/* Tells addresses apart. */
static inline uint64_t tl_relay_address_number(const tl_relay_address *a)
{
    uint64_t n = 0;
    for (size_t i = 1; i < (a->key[0] == TL_ADDR_V4 ? 5u : sizeof a->key); i++)
        n = n << 8 | a->key[i];
    return n; /* no IPv6 address begins with 32 zeros and an IPv4 address */
}

/* How long until the address may cause costly work again. 0: it took no more than its share
 * lately. */
static inline tl_time tl_relay_address_debt(const tl_relay_address *a, tl_time now)
{
    tl_time may = now + TL_RELAY_WORK_BURST * TL_RELAY_WORK_SHARE;
    return a->busy_until > may ? a->busy_until - may : 0;
}
/* A little later than its messages its connections are refused, so that one neighbour's messages do
 * not keep others from connecting. */
static inline bool tl_relay_address_may_connect(const tl_relay_address *a, tl_time now)
{
    return a->busy_until <= now + TL_RELAY_WORK_BURST * TL_RELAY_WORK_SHARE * 5 / 4;
}
static inline bool tl_relay_address_may_tell(const tl_relay_address *a, tl_time now)
{
    return a->told_until <= now + TL_RELAY_TOLD_BURST;
}
static inline void tl_relay_address_told(tl_relay_address *a, tl_time now)
{
    a->told_until = (a->told_until > now ? a->told_until : now) + TL_RELAY_TOLD_EVERY;
}
/* `spent` is about the processor time that a message took. */
static inline void tl_relay_address_worked(tl_relay_address *a, tl_time spent, tl_time now)
{
    a->busy_until = (a->busy_until > now ? a->busy_until : now) + spent * TL_RELAY_WORK_SHARE;
}

#endif
