/* id.h - the 160-bit IDs of the DHT: the distance between two, and which of them may stand for an
 * address (BEP 42). Pure functions. */
#ifndef TL_DHT_ID_H
#define TL_DHT_ID_H

#include "base/addr.h"
#include "base/rand.h"

#define TL_DHT_ID_SIZE 20
#define TL_DHT_ID_BITS 160

typedef struct {
    uint8_t b[TL_DHT_ID_SIZE];
} tl_dht_id;

/* A node of the DHT as others tell of it. */
typedef struct {
    tl_dht_id id;
    tl_addr addr;
} tl_dht_node;

static inline bool tl_dht_id_eq(const tl_dht_id *a, const tl_dht_id *b)
{
    return memcmp(a->b, b->b, TL_DHT_ID_SIZE) == 0;
}
/* Below 0 where `a` is nearer to `target` than `b` by XOR, above 0 where it is farther. */
int tl_dht_id_cmp(const tl_dht_id *target, const tl_dht_id *a, const tl_dht_id *b);
/* How many leading bits both have in common: 0 to 160. */
unsigned tl_dht_id_common(const tl_dht_id *a, const tl_dht_id *b);
tl_dht_id tl_dht_id_random(tl_rand *rand);
/* A random ID with the first `common` (at most 159) bits of `of`, and another bit behind them. */
tl_dht_id tl_dht_id_beside(const tl_dht_id *of, unsigned common, tl_rand *rand);

/* BEP 42: the first 21 bits and the last byte depend on the IP. */
tl_dht_id tl_dht_id_for(const tl_addr *addr, tl_rand *rand);
/* May a node at `addr` have this ID? Addresses of local networks may have any (BEP 42). */
bool tl_dht_id_fits(const tl_dht_id *id, const tl_addr *addr);
/* Is it of the ranges that BEP 42 leaves out: private, link-local, loopback? */
bool tl_dht_addr_is_local(const tl_addr *addr);

/* What counts as one network when nodes are to be of several: the /24 of an IPv4 address, the /48 of an
 * IPv6 address. Equal keys: one network. Addresses of local networks have one each, with the port. */
uint64_t tl_dht_addr_network(const tl_addr *addr);

#endif
