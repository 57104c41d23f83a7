/* cluster.h - the other relays of a cluster, by way of Redis: keeps the connections to it, and
 * carries what relay/federation wants told, decided and asked. Decides nothing about nodes. */
#ifndef TL_RELAYD_CLUSTER_H
#define TL_RELAYD_CLUSTER_H

#include "relay/federation.h"
#include "relayd/clusteroptions.h"

typedef struct tl_relayd_cluster tl_relayd_cluster;

/* `relay` has been federated as `id`, with far ones. `process` is the part of its ID that all loops
 * of this process share ("" with one loop): what they say comes by another way. `on_input` is called
 * after every input to the relay. Tries to connect by itself, for ever. TL_ERR_INVALID and
 * TL_ERR_IO with `why`: the password or CA file cannot be read. */
TL_CHECK tl_err tl_relayd_cluster_new(tl_loop *loop, const tl_relayd_cluster_options *options,
                                      const char *id, const char *process, tl_relay *relay,
                                      void (*on_input)(void *user), void *user,
                                      tl_relayd_cluster **ret_cluster, tl_why *why);
void tl_relayd_cluster_free(tl_relayd_cluster *c);

/* Takes over the chunk. */
void tl_relayd_cluster_output(tl_relayd_cluster *c, tl_fed_output out);
/* Redis answers, and messages come from it. */
bool tl_relayd_cluster_is_up(const tl_relayd_cluster *c);
/* Nothing that was asked waits for its answer. */
bool tl_relayd_cluster_is_idle(const tl_relayd_cluster *c);

/* Reads the first line of a password file. TL_ERR_IO, TL_ERR_INVALID, with `why`. */
TL_CHECK tl_err tl_relayd_cluster_password(const tl_relayd_cluster_options *options,
                                           tl_redis_server *ret_server, tl_why *why);

#endif
