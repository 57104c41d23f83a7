#include "relayd/clusteroptions.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define TTL_DEFAULT   10
#define TTL_MIN       2
#define TTL_MAX       300
#define SENTINEL_PORT 26379

tl_relayd_cluster_options tl_relayd_cluster_default(void)
{
    return (tl_relayd_cluster_options){.ttl_secs = TTL_DEFAULT};
}

tl_err tl_relayd_file_set(char **field, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return TL_ERR_NOMEM;
    free(*field);
    *field = copy;
    return TL_OK;
}

static tl_err set_sentinel(tl_relayd_cluster_options *o, const char *text, tl_why *why)
{
    tl_redis_server *s = &o->sentinel[o->sentinel_count];
    if (o->sentinel_count == TL_RELAYD_SENTINELS_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "redis-sentinel: more than %d",
                          TL_RELAYD_SENTINELS_MAX);
    *s = (tl_redis_server){0};
    if (tl_hostport_parse(tl_slice_str(text), SENTINEL_PORT, s->host, &s->port))
        return tl_why_set(why, TL_ERR_INVALID, "redis-sentinel: %s is not HOST or HOST:PORT",
                          tl_log_safe(tl_slice_str(text)).text);
    o->sentinel_count++;
    return TL_OK;
}

static tl_err set_master(tl_relayd_cluster_options *o, const char *text, tl_why *why)
{
    if (!*text || strlen(text) >= sizeof o->master)
        return tl_why_set(why, TL_ERR_INVALID, "redis-master: not a name of 1 to %zu characters",
                          sizeof o->master - 1);
    snprintf(o->master, sizeof o->master, "%s", text);
    return TL_OK;
}

/* Room for the number of a loop behind it. */
static tl_err set_id(tl_relayd_cluster_options *o, const char *text, tl_why *why)
{
    if (!tl_fed_id_is(tl_slice_str(text)) || strlen(text) > TL_FED_ID_MAX - 4)
        return tl_why_set(why, TL_ERR_INVALID,
                          "relay-id: %s is not 1 to %d letters, digits, dots, dashes or underlines",
                          tl_log_safe(tl_slice_str(text)).text, TL_FED_ID_MAX - 4);
    snprintf(o->id, sizeof o->id, "%s", text);
    return TL_OK;
}

static tl_err set_ttl(tl_relayd_cluster_options *o, const char *text, tl_why *why)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n < TTL_MIN || n > TTL_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "cluster-ttl-secs: %s is not from %d to %d",
                          tl_log_safe(tl_slice_str(text)).text, TTL_MIN, TTL_MAX);
    o->ttl_secs = (unsigned)n;
    return TL_OK;
}

tl_err tl_relayd_cluster_set(tl_relayd_cluster_options *o, tl_relayd_cluster_setting what,
                             const char *text, tl_why *why)
{
    switch (what) {
    case TL_RELAYD_CLUSTER_REDIS: o->on = true; return tl_redis_server_parse(text, &o->server, why);
    case TL_RELAYD_CLUSTER_PASSWORD_FILE: return tl_relayd_file_set(&o->password_file, text);
    case TL_RELAYD_CLUSTER_CA_FILE: return tl_relayd_file_set(&o->ca_file, text);
    case TL_RELAYD_CLUSTER_SENTINEL: return set_sentinel(o, text, why);
    case TL_RELAYD_CLUSTER_MASTER: return set_master(o, text, why);
    case TL_RELAYD_CLUSTER_RELAY_ID: return set_id(o, text, why);
    case TL_RELAYD_CLUSTER_TTL: return set_ttl(o, text, why);
    }
    return TL_ERR_INVALID;
}

tl_err tl_relayd_cluster_finish(tl_relayd_cluster_options *o, tl_why *why)
{
    if (!o->sentinel_count != !o->master[0])
        return tl_why_set(why, TL_ERR_INVALID,
                          "%s is missing: to ask Sentinels takes redis-sentinel and redis-master",
                          o->master[0] ? "redis-sentinel" : "redis-master");
    if (!o->on && o->sentinel_count)
        return tl_why_set(
            why, TL_ERR_INVALID,
            "redis is missing: with Sentinels it says how to speak to the server they "
            "name, as in redis://sentinel");
    if (!o->on && (o->password_file || o->ca_file))
        return tl_why_set(why, TL_ERR_INVALID,
                          "%s is for a Redis server, and redis, which names it, is missing",
                          o->password_file ? "redis-password-file" : "redis-ca-file");
    if (o->ca_file && !o->server.tls)
        return tl_why_set(why, TL_ERR_INVALID,
                          "redis-ca-file: the connection has no TLS; use rediss://");
    for (size_t i = 0; i < o->sentinel_count; i++)
        o->sentinel[i].tls = o->server.tls;
    return TL_OK;
}

void tl_relayd_cluster_clear(tl_relayd_cluster_options *o)
{
    free(o->password_file);
    free(o->ca_file);
    o->password_file = o->ca_file = NULL;
}
