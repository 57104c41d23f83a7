/* relay_flood.h - floods that a load generator makes from a process of its own, so that what is measured
 * beside them is measured by another one. */
#ifndef TEALE_BENCH_RELAY_FLOOD_H
#define TEALE_BENCH_RELAY_FLOOD_H

#include "relay_node.h"

#include <sys/types.h>

typedef enum {
    LOAD_FLOOD_DATA,     /* one node sends to another as fast as the relay takes it */
    LOAD_FLOOD_FRAMES,   /* one node sends frames without content */
    LOAD_FLOOD_DISCOVER, /* one node asks for the list, again and again */
    LOAD_FLOOD_SLOW,     /* eight nodes send to eight that do not read */
    LOAD_FLOODS
} load_flood;
extern const char *const load_flood_names[LOAD_FLOODS];

/* Returns when the flood has begun. */
pid_t load_flood_begin(load_flood kind, const load_relay *at);
void load_flood_end(pid_t flood);

#endif
