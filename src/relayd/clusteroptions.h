/* clusteroptions.h - what an operator may set about the cluster (docs/relay.md): Redis, Sentinels and
 * this relay's place among the others. Touches no socket and no file. */
#ifndef TL_RELAYD_CLUSTEROPTIONS_H
#define TL_RELAYD_CLUSTEROPTIONS_H

#include "relay/fedwire.h"
#include "relayd/redis.h"

#define TL_RELAYD_SENTINELS_MAX 8

typedef struct {
    bool on; /* --redis was given */
    tl_redis_server server;
    char *password_file, *ca_file; /* NULL: none */
    size_t sentinel_count;
    tl_redis_server sentinel[TL_RELAYD_SENTINELS_MAX];
    char master[64];            /* what the Sentinels call the server; "": they are not asked */
    char id[TL_FED_ID_MAX + 1]; /* "": a random one */
    unsigned ttl_secs;
} tl_relayd_cluster_options;

typedef enum {
    TL_RELAYD_CLUSTER_REDIS,
    TL_RELAYD_CLUSTER_PASSWORD_FILE,
    TL_RELAYD_CLUSTER_CA_FILE,
    TL_RELAYD_CLUSTER_SENTINEL, /* may be repeated */
    TL_RELAYD_CLUSTER_MASTER,
    TL_RELAYD_CLUSTER_RELAY_ID,
    TL_RELAYD_CLUSTER_TTL,
} tl_relayd_cluster_setting;

tl_relayd_cluster_options tl_relayd_cluster_default(void);
/* TL_ERR_INVALID with `why`; TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_cluster_set(tl_relayd_cluster_options *o, tl_relayd_cluster_setting what,
                                      const char *text, tl_why *why);
/* What can be told only when all settings are known. TL_ERR_INVALID with `why`. */
TL_CHECK tl_err tl_relayd_cluster_finish(tl_relayd_cluster_options *o, tl_why *why);
void tl_relayd_cluster_clear(tl_relayd_cluster_options *o);
/* Puts a copy of `text` in the place of a file's name (relayd/options does it, too). TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_file_set(char **field, const char *text);

#endif
