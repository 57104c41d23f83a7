/* cluster.h - several relay cores under one virtual clock, and between them what a cluster has: a
 * Redis that decides epochs and passes messages on, with delay, loss, duplicates, reordering and
 * partitions, or mailboxes without faults. The nodes are those of the relay's unit tests. */
#ifndef TEALE_SIM_CLUSTER_H
#define TEALE_SIM_CLUSTER_H

#include "../unit/relay/harness.h"
#include "relay/federation.h"

#define CLUSTER_MAX 5
#define CLUSTER_TTL (10 * TL_SEC)

typedef struct cluster cluster;

typedef struct {
    tl_time delay,
        jitter; /* one way; more jitter than the gap between two messages reorders them */
    double loss, duplicate; /* of what one relay publishes, for each other relay */
} cluster_faults;

/* `near`: mailboxes; else a Redis, and no relay knows another yet: run it for a second. */
cluster *cluster_new(size_t n, bool near, uint64_t seed);
void cluster_free(cluster *c);
void cluster_set_faults(cluster *c, cluster_faults f);
world *cluster_relay(cluster *c, size_t i);
tl_time cluster_now(const cluster *c);
tl_rand *cluster_rand(cluster *c);
/* All relays and messages go on for so long. */
void cluster_run(cluster *c, tl_time span);

/* Redis cannot be reached from this relay, which sees that after `seen` (TL_NEVER: it does not). */
void cluster_part(cluster *c, size_t i, tl_time seen);
void cluster_join(cluster *c, size_t i);
/* As SIGSTOP and SIGCONT: what was sent to it waits. */
void cluster_stop(cluster *c, size_t i);
void cluster_go_on(cluster *c, size_t i);
bool cluster_is_stopped(const cluster *c, size_t i);
/* As kill -9, and a new process: its nodes are gone from the harness. */
void cluster_kill(cluster *c, size_t i);
void cluster_start(cluster *c, size_t i);
bool cluster_lives(const cluster *c, size_t i);
/* Redis loses all that it holds. */
void cluster_flush(cluster *c);

/* A node registers at relay `i`, and has its ack. */
peer *cluster_node(cluster *c, size_t i, uint8_t seed);
/* The same without waiting for the ack. */
peer *cluster_node_begin(cluster *c, size_t i, uint8_t seed);

#endif
