/* dht_world.h - thousands of nodes of our own DHT under a virtual clock: they join, leave and lie. Every
 * node is a whole tl_dht; the network between them delays and loses datagrams. Everything follows from one
 * seed.
 *
 * Memory is the world's. Running out of memory aborts. */
#ifndef TEALE_DHT_WORLD_H
#define TEALE_DHT_WORLD_H

#include "dht/dht.h"

typedef struct dht_world dht_world;

typedef struct {
    size_t most;                  /* nodes that are ever made */
    tl_time delay_min, delay_max; /* one way; of each pair of nodes, always the same */
    double loss;                  /* probability, per datagram */
} dht_world_config;

typedef enum {
    DHT_HONEST,
    DHT_READER, /* behind a NAT: read-only */
    /* Those below answer pings, say yes to every put, and lie in all else: */
    DHT_LIAR, /* each answer another lie: names nodes that are not there, or other liars alone; denies an
                  * item, alters it, or hands out an old one; is silent */
    DHT_ECLIPSE, /* names only others of its kind, and denies every item */
} dht_kind;

dht_world *dht_world_new(uint64_t seed, const dht_world_config *config);
void dht_world_free(dht_world *w);
tl_time dht_world_now(const dht_world *w);
tl_unix dht_world_wall(const dht_world *w);
tl_rand *dht_world_rand(dht_world *w);

/* A new node, in a /24 of its own, that knows `seeds` random nodes which are there. Returns its number. */
size_t dht_world_add(dht_world *w, dht_kind kind, unsigned seeds);
/* One with this ID, whether it fits or not. */
size_t dht_world_add_id(dht_world *w, dht_kind kind, unsigned seeds, const tl_dht_id *id);
/* One of a single /24, in which all that are made this way live: 254 addresses, and as many ports as it
 * takes. */
size_t dht_world_add_sybil(dht_world *w, dht_kind kind, unsigned seeds);
/* An address for which an ID exists with so many bits in common with `target`; the node with both. */
size_t dht_world_add_near(dht_world *w, dht_kind kind, unsigned seeds, const tl_dht_id *target,
                          unsigned bits);
void dht_world_kill(dht_world *w, size_t node);

bool dht_world_lives(const dht_world *w, size_t node);
size_t dht_world_made(const dht_world *w);
tl_dht *dht_world_dht(dht_world *w, size_t node);
tl_addr dht_world_addr(const dht_world *w, size_t node);
dht_kind dht_world_kind(const dht_world *w, size_t node);
/* A random node of this kind that lives. */
size_t dht_world_any(dht_world *w, dht_kind kind);
/* Something was done to a node from outside; it is looked at next. */
void dht_world_touch(dht_world *w, size_t node);

/* A datagram from an address that the sender chose. */
void dht_world_forge(dht_world *w, const tl_addr *from, const tl_addr *to, tl_slice datagram);
/* Nobody lives at `addr`. Datagrams to it are counted from now on. */
void dht_world_watch(dht_world *w, const tl_addr *addr);
uint64_t dht_world_watched(const dht_world *w);

void dht_world_run_for(dht_world *w, tl_time span);

typedef struct {
    uint64_t datagrams, bytes; /* sent, with 28 bytes of headers each */
} dht_world_traffic;
/* Of all nodes together since the world began. */
dht_world_traffic dht_world_traffic_of(const dht_world *w);

#endif
