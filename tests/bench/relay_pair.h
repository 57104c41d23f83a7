/* relay_pair.h - two nodes of a load generator with a relay session, of which one sends to the other, by
 * one of four carriers. Every byte that arrives is compared. Ends the program where anything fails. */
#ifndef TEALE_BENCH_RELAY_PAIR_H
#define TEALE_BENCH_RELAY_PAIR_H

#include "relay_node.h"

#define LOAD_SEQUENCE  12 /* digits at the front of each message's data */
#define LOAD_TRAIN_MAX 60 /* datagrams that leave in one call; the kernel takes 64 */
#define LOAD_WAYS      2000

typedef enum {
    LOAD_BY_JSON,
    LOAD_BY_BINARY,
    LOAD_BY_UDP,
    LOAD_BY_TRAINS,
    LOAD_CARRIERS
} load_carrier;
extern const char *const load_carrier_names[LOAD_CARRIERS];

extern double load_rate; /* messages a second that a pair sends at most; 0: as many as go */

typedef struct {
    load_node from, to;
    load_carrier by;
    uint8_t *frame, *plain; /* one message as it is sent (masked), and as it arrives */
    size_t header_n, n, sequence_at;
    uint64_t sent, next, arrived, lost; /* `next`: the sequence that should come */
    double heard, began;
    tl_buf out;
    int udp_from, udp_to;
} load_pair;

/* Opens a session between the two nodes, which the caller has made, for messages of `size` bytes. */
void load_pair_begin(load_pair *p, load_carrier by, size_t size, int number);
void load_pair_end(load_pair *p);
/* Sends and receives, with at most `window` messages under way in each pair, until `until`, or until
 * the first pair has received `count`. */
void load_pump(load_pair *pairs, int n, unsigned window, double until, uint64_t count);
/* Sends messages one by one, one each `every` seconds or as fast as they arrive. Fills `ret_us` with
 * how long each was on its way, the shortest first. */
void load_ways(load_pair *p, double every, double ret_us[LOAD_WAYS]);

#endif
