/* relay_joins.h - nodes of a load generator that join a relay all at once, and once more after it has
 * ended. */
#ifndef TEALE_BENCH_RELAY_JOINS_H
#define TEALE_BENCH_RELAY_JOINS_H

#include "relay_node.h"

typedef struct load_joins load_joins;

typedef struct {
    double took, most_took; /* seconds until all were registered, and 99 of 100 */
    double told;            /* until the last text that others came */
    int told_count;         /* nodes that such a text reached */
    unsigned tries_failed;  /* connections that were refused or ended, and tried again */
} load_joined;

/* Makes the keys, which is not the relay's work. */
load_joins *load_joins_new(const load_relay *at, tl_rand *rand, int count);
void load_joins_free(load_joins *j);
/* All nodes connect and register, and wait until no more texts come. A node whose connection fails
 * tries again after half a second to one, then twice that, as a real one does. */
load_joined load_joins_run(load_joins *j);
/* Waits until the connections have ended, or for `seconds`. Returns how many have; the clock of the
 * next load_joins_run begins with the first. */
int load_joins_await_end(load_joins *j, double seconds);
/* One node reads the whole list. Returns how many nodes it has. */
size_t load_joins_list(load_joins *j, size_t *ret_pages, double *ret_took);

#endif
