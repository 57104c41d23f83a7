#include "relayd/options.h"

#include "base/suggest.h"
#include "relayd/limitoptions.h"
#include "relayd/quote.h"
#include "relayd/settings.h"
#include "wire/stun.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define DEFAULT_PORT 8080

/* Each setting is an option of the command line, with dashes, and a key of the file, with
 * underscores. */
typedef enum {
    SET_LISTEN = 256,
    SET_UDP,
    SET_UDP_ANNOUNCE,
    SET_NAME,
    SET_TLS_CERT,
    SET_TLS_KEY,
    SET_LEGACY_CLIENTS,
    SET_ADMIN_TOKEN_FILE,
    SET_MAX_MESSAGE,
    SET_MAX_MEMORY,
    SET_LOG_LEVEL,
    SET_TRUSTED_PROXY,
    SET_PROXY_PROTOCOL,
    SET_REDIS, /* these in the order of tl_relayd_cluster_setting */
    SET_REDIS_PASSWORD_FILE,
    SET_REDIS_CA_FILE,
    SET_REDIS_SENTINEL,
    SET_REDIS_MASTER,
    SET_RELAY_ID,
    SET_CLUSTER_TTL_SECS,
    SET_DRAIN_SECS,
    SET_THREADS,
    SET_LIMITS, /* these in the order of tl_relayd_limit_setting */
    SET_RELAY_MAX_SESSIONS,
    SET_RELAY_RECIPROCAL_KBPS,
    SET_RELAY_BOOTSTRAP_KBPS,
    SET_RELAY_IDLE_TIMEOUT_SECS,
    SET_RELAY_SESSION_MAX_SECS,
    SET_RELAY_SESSION_WARN_SECS,
    SET_RELAY_PAUSE_SECS,
    SET_RELAY_BURST_MS,
    SET_RECIPROCAL,
    OPT_CONFIG, /* from here on only on the command line */
    OPT_HELP,
    OPT_VERSION,
} setting;

static const struct option long_options[] = {
    {"listen", required_argument, NULL, SET_LISTEN},
    {"udp", required_argument, NULL, SET_UDP},
    {"udp-announce", required_argument, NULL, SET_UDP_ANNOUNCE},
    {"name", required_argument, NULL, SET_NAME},
    {"tls-cert", required_argument, NULL, SET_TLS_CERT},
    {"tls-key", required_argument, NULL, SET_TLS_KEY},
    {"legacy-clients", no_argument, NULL, SET_LEGACY_CLIENTS},
    {"admin-token-file", required_argument, NULL, SET_ADMIN_TOKEN_FILE},
    {"max-message", required_argument, NULL, SET_MAX_MESSAGE},
    {"max-memory", required_argument, NULL, SET_MAX_MEMORY},
    {"log-level", required_argument, NULL, SET_LOG_LEVEL},
    {"trusted-proxy", required_argument, NULL, SET_TRUSTED_PROXY},
    {"proxy-protocol", no_argument, NULL, SET_PROXY_PROTOCOL},
    {"redis", required_argument, NULL, SET_REDIS},
    {"redis-password-file", required_argument, NULL, SET_REDIS_PASSWORD_FILE},
    {"redis-ca-file", required_argument, NULL, SET_REDIS_CA_FILE},
    {"redis-sentinel", required_argument, NULL, SET_REDIS_SENTINEL},
    {"redis-master", required_argument, NULL, SET_REDIS_MASTER},
    {"relay-id", required_argument, NULL, SET_RELAY_ID},
    {"cluster-ttl-secs", required_argument, NULL, SET_CLUSTER_TTL_SECS},
    {"drain-secs", required_argument, NULL, SET_DRAIN_SECS},
    {"threads", required_argument, NULL, SET_THREADS},
    {"limits", no_argument, NULL, SET_LIMITS},
    {"relay-max-sessions", required_argument, NULL, SET_RELAY_MAX_SESSIONS},
    {"relay-reciprocal-kbps", required_argument, NULL, SET_RELAY_RECIPROCAL_KBPS},
    {"relay-bootstrap-kbps", required_argument, NULL, SET_RELAY_BOOTSTRAP_KBPS},
    {"relay-idle-timeout-secs", required_argument, NULL, SET_RELAY_IDLE_TIMEOUT_SECS},
    {"relay-session-max-secs", required_argument, NULL, SET_RELAY_SESSION_MAX_SECS},
    {"relay-session-warn-secs", required_argument, NULL, SET_RELAY_SESSION_WARN_SECS},
    {"relay-pause-secs", required_argument, NULL, SET_RELAY_PAUSE_SECS},
    {"relay-burst-ms", required_argument, NULL, SET_RELAY_BURST_MS},
    {"reciprocal", required_argument, NULL, SET_RECIPROCAL},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

typedef struct {
    tl_relayd_options *o;
    const char *config;
    bool given[OPT_CONFIG - SET_LISTEN]; /* given on the command line, so the file's is ignored */
} parsing;

/* --- values --- */

static tl_err set_listen(tl_relayd_options *o, const char *text, tl_why *why)
{
    if (o->listen_count == TL_RELAYD_LISTEN_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "listen: more than %d addresses",
                          TL_RELAYD_LISTEN_MAX);
    tl_relayd_endpoint *at = &o->listen[o->listen_count];
    const char *rest = text;
    bool ws = strncmp(text, "ws://", 5) == 0, wss = strncmp(text, "wss://", 6) == 0;
    rest += ws ? 5 : wss ? 6 : 0;
    if (tl_hostport_parse(tl_slice_str(rest), DEFAULT_PORT, at->host, &at->port))
        return tl_why_set(
            why, TL_ERR_INVALID,
            "listen: %s is not [ws://|wss://]HOST:PORT, as in 127.0.0.1:8080 or [::1]:0",
            tl_log_safe(tl_slice_str(text)).text);
    /* A bare address may be ws or wss. `finish` decides this, when all options are known. */
    at->tls = !ws;
    if (!ws && !wss)
        o->bare |= 1u << o->listen_count;
    o->listen_count++;
    return TL_OK;
}

/* Checks whether `a` may be the second address of its family. */
static tl_err check_second_udp(const tl_relayd_options *o, const tl_addr *a, tl_why *why)
{
    size_t same = 0;
    const tl_addr *first = NULL;
    for (size_t i = 0; i < o->udp_count; i++) {
        if (o->udp[i].family != a->family)
            continue;
        same++;
        first = &o->udp[i];
    }
    if (same == 2)
        return tl_why_set(why, TL_ERR_INVALID, "udp: more than two IPv%d addresses",
                          a->family == TL_ADDR_V6 ? 6 : 4);
    if (same == 0)
        return TL_OK;
    if (tl_addr_is_unspecified(first) || tl_addr_is_unspecified(a))
        return tl_why_set(
            why, TL_ERR_INVALID,
            "udp: %s is every address, so nodes could not ask two of them apart; give "
            "both addresses, or the wildcard alone",
            a->family == TL_ADDR_V6 ? "[::]" : "0.0.0.0");
    if (tl_addr_same_ip(first, a))
        return tl_why_set(why, TL_ERR_INVALID,
                          "udp: the second must be another IP address of this machine (a second "
                          "port on each is opened by itself)");
    if (first->port == UINT16_MAX && a->port == UINT16_MAX)
        return tl_why_set(why, TL_ERR_INVALID,
                          "udp: with two addresses the port after %u is needed too; choose another",
                          UINT16_MAX);
    return TL_OK;
}

static tl_err set_udp(tl_relayd_options *o, const char *text, tl_why *why)
{
    char host[TL_HOST_MAX];
    uint16_t port;
    tl_addr a;
    if (tl_hostport_parse(tl_slice_str(text), TL_STUN_PORT, host, &port) ||
        tl_addr_parse_ip(tl_slice_str(host), &a))
        return tl_why_set(why, TL_ERR_INVALID,
                          "udp: %s is not ADDRESS[:PORT] with an IP address, as in 192.0.2.1 or "
                          "[2001:db8::1]:3478",
                          tl_log_safe(tl_slice_str(text)).text);
    a = tl_addr_normal(a);
    a.port = port;
    if (a.bytes[0] == 0xFF || (a.family == TL_ADDR_V4 && a.bytes[0] >= 224))
        return tl_why_set(why, TL_ERR_INVALID, "udp: %s is not the address of one machine",
                          tl_log_safe(tl_slice_str(text)).text);
    tl_err e = check_second_udp(o, &a, why);
    if (!e)
        o->udp[o->udp_count++] = a;
    return e;
}

static tl_err set_udp_announce(tl_relayd_options *o, const char *text, tl_why *why)
{
    char host[TL_HOST_MAX];
    uint16_t port;
    tl_addr a;
    bool good = tl_hostport_parse(tl_slice_str(text), 1, host, &port) == TL_OK && port != 0;
    if (good && tl_addr_parse_ip(tl_slice_str(host), &a) == TL_OK && tl_addr_is_unspecified(&a))
        good = false;
    if (!good || strlen(text) >= sizeof o->udp_announce)
        return tl_why_set(why, TL_ERR_INVALID,
                          "udp-announce: %s is not HOST[:PORT] that nodes could ask, as in "
                          "relay.example.org:3478",
                          tl_log_safe(tl_slice_str(text)).text);
    memcpy(o->udp_announce, text, strlen(text) + 1);
    return TL_OK;
}

static tl_err set_name(tl_relayd_options *o, const char *text, tl_why *why)
{
    tl_err e = tl_relay_config_add_name(&o->relay, text);
    if (e == TL_ERR_BUSY)
        return tl_why_set(why, TL_ERR_INVALID, "name: more than %d names", TL_RELAY_NAMES_MAX);
    if (e)
        return tl_why_set(why, TL_ERR_INVALID, "name: %s is not HOST or HOST:PORT",
                          tl_log_safe(tl_slice_str(text)).text);
    return TL_OK;
}

/* A number of bytes: 4194304, 4096K, 4M. */
static tl_err set_bytes(const char *name, const char *text, unsigned long long min,
                        unsigned long long max, size_t *ret_n, tl_why *why)
{
    static const char units[] = "KMG";
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    bool good = *text >= '0' && *text <= '9' && !errno && (!*end || (unit && !end[1]));
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (!good || n > max >> shift || n << shift < min)
        return tl_why_set(why, TL_ERR_INVALID, "%s: %s is not a number of bytes from %llu to %llu",
                          name, tl_log_safe(tl_slice_str(text)).text, min, max);
    *ret_n = (size_t)(n << shift);
    return TL_OK;
}

static tl_err set_log_level(tl_relayd_options *o, const char *text, tl_why *why)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            o->log_level = (tl_log_level)i;
            return TL_OK;
        }
    }
    return tl_why_set(why, TL_ERR_INVALID, "log-level: %s is not error, warn, info or debug",
                      tl_log_safe(tl_slice_str(text)).text);
}

static tl_err set_trusted_proxy(tl_relayd_options *o, const char *text, tl_why *why)
{
    tl_why of_text;
    tl_err e = tl_proxies_add(&o->proxies, text, &of_text);
    return e ? tl_why_set(why, e, "trusted-proxy: %s", of_text.text) : TL_OK;
}

static tl_err set_drain(tl_relayd_options *o, const char *text, tl_why *why)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n > TL_RELAYD_DRAIN_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "drain-secs: %s is not from 0 to %d",
                          tl_log_safe(tl_slice_str(text)).text, TL_RELAYD_DRAIN_MAX);
    o->drain_secs = (unsigned)n;
    return TL_OK;
}

static tl_err set_threads(tl_relayd_options *o, const char *text, tl_why *why)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (strcmp(text, "auto") == 0) {
        cpu_set_t mine; /* those that this process may use */
        n = sched_getaffinity(0, sizeof mine, &mine) == 0 ? (unsigned long)CPU_COUNT(&mine) : 1;
        o->threads = (unsigned)(n < TL_RELAYD_THREADS_MAX ? n : TL_RELAYD_THREADS_MAX);
        return TL_OK;
    }
    if (*text < '0' || *text > '9' || *end || n < 1 || n > TL_RELAYD_THREADS_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "threads: %s is not auto, nor from 1 to %d",
                          tl_log_safe(tl_slice_str(text)).text, TL_RELAYD_THREADS_MAX);
    o->threads = (unsigned)n;
    return TL_OK;
}

/* Applies one setting. `text` is "" for a switch that is on. */
static tl_err apply(tl_relayd_options *o, setting what, const char *text, tl_why *why)
{
    switch (what) {
    case SET_LISTEN: return set_listen(o, text, why);
    case SET_UDP: return set_udp(o, text, why);
    case SET_UDP_ANNOUNCE: return set_udp_announce(o, text, why);
    case SET_NAME: return set_name(o, text, why);
    case SET_TLS_CERT: return tl_relayd_file_set(&o->tls_cert, text);
    case SET_TLS_KEY: return tl_relayd_file_set(&o->tls_key, text);
    case SET_LEGACY_CLIENTS: o->relay.legacy_clients = true; return TL_OK;
    case SET_ADMIN_TOKEN_FILE: return tl_relayd_file_set(&o->admin_token_file, text);
    case SET_MAX_MESSAGE:
        return set_bytes("max-message", text, TL_RELAYD_MESSAGE_MIN, TL_RELAYD_MESSAGE_MAX,
                         &o->relay.message_max, why);
    case SET_MAX_MEMORY:
        return set_bytes("max-memory", text, TL_RELAYD_MEMORY_MIN, TL_RELAYD_MEMORY_MAX,
                         &o->relay.memory_max, why);
    case SET_LOG_LEVEL: return set_log_level(o, text, why);
    case SET_THREADS: return set_threads(o, text, why);
    case SET_TRUSTED_PROXY: return set_trusted_proxy(o, text, why);
    case SET_PROXY_PROTOCOL: o->proxy_protocol = true; return TL_OK;
    case SET_DRAIN_SECS: return set_drain(o, text, why);
    case SET_REDIS:
    case SET_REDIS_PASSWORD_FILE:
    case SET_REDIS_CA_FILE:
    case SET_REDIS_SENTINEL:
    case SET_REDIS_MASTER:
    case SET_RELAY_ID:
    case SET_CLUSTER_TTL_SECS:
        return tl_relayd_cluster_set(&o->cluster, (tl_relayd_cluster_setting)(what - SET_REDIS),
                                     text, why);
    default: break;
    }
    o->limits_given |= what != SET_LIMITS;
    return tl_relayd_limits_set(&o->relay.limits, (tl_relayd_limit_setting)(what - SET_LIMITS),
                                text, why);
}

/* --- the file --- */

/* With dashes or underscores. A list has a name of its own. */
static const char *key_of(const struct option *l)
{
    return l->val == SET_TRUSTED_PROXY ? "trusted_proxies" : l->name;
}

static tl_err unknown_key(const char *key, tl_why *why)
{
    tl_suggest near = tl_suggest_begin(key);
    for (const struct option *l = long_options; l->val < OPT_CONFIG; l++)
        tl_suggest_offer(&near, key_of(l));
    char name[TL_SUGGEST_WORD_MAX];
    snprintf(name, sizeof name, "%s", near.best ? near.best : "");
    for (char *c = name; *c; c++)
        if (*c == '-')
            *c = '_';
    return tl_why_set(why, TL_ERR_INVALID, "unknown key %s; %s%s%s",
                      tl_log_safe(tl_slice_str(key)).text, near.best ? "did you mean " : "",
                      near.best ? name : "see teale-relay --help for all of them",
                      near.best ? "?" : "");
}

static const struct option *find_key(const char *key)
{
    for (const struct option *l = long_options; l->val < OPT_CONFIG; l++) {
        size_t i = 0;
        const char *name = key_of(l);
        while (key[i] && (key[i] == name[i] || (key[i] == '_' && name[i] == '-')))
            i++;
        if (!key[i] && !name[i])
            return l;
    }
    return NULL;
}

static tl_err apply_json(parsing *p, const struct option *l, const json_t *value, tl_why *why)
{
    char number[32];
    if (l->has_arg == no_argument) {
        if (!json_is_boolean(value))
            return tl_why_set(why, TL_ERR_INVALID, "%s: neither true nor false", key_of(l));
        return json_is_true(value) ? apply(p->o, l->val, "", why) : TL_OK;
    }
    bool is_size = l->val == SET_MAX_MESSAGE || l->val == SET_MAX_MEMORY ||
                   l->val == SET_CLUSTER_TTL_SECS || l->val == SET_DRAIN_SECS ||
                   l->val == SET_THREADS || (l->val > SET_LIMITS && l->val < SET_RECIPROCAL);
    if (json_is_integer(value) && is_size) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        return apply(p->o, l->val, number, why);
    }
    if (!json_is_string(value))
        return tl_why_set(why, TL_ERR_INVALID, "%s: not a %s", key_of(l),
                          is_size ? "whole number" : "text in quotes");
    return apply(p->o, l->val, json_string_value(value), why);
}

static tl_err on_setting(void *user, const char *key, const json_t *value, tl_why *why)
{
    parsing *p = user;
    const struct option *l = find_key(key);
    if (!l)
        return unknown_key(key, why);
    if (p->given[l->val - SET_LISTEN])
        return TL_OK;
    bool may_be_list = l->val == SET_LISTEN || l->val == SET_NAME || l->val == SET_UDP ||
                       l->val == SET_TRUSTED_PROXY || l->val == SET_REDIS_SENTINEL ||
                       l->val == SET_RECIPROCAL;
    if (!may_be_list || !json_is_array(value))
        return apply_json(p, l, value, why);
    tl_err e = TL_OK;
    for (size_t i = 0; !e && i < json_array_size(value); i++)
        e = apply_json(p, l, json_array_get(value, i), why);
    return e;
}

/* --- the whole --- */

static tl_err parse_arguments(int argc, char **argv, parsing *p, tl_why *why)
{
    optind = 0; /* makes getopt begin anew, also in a second call */
    opterr = 0;
    int c;
    while ((c = getopt_long(argc, argv, "+:h", long_options, NULL)) != -1) {
        tl_err e = TL_OK;
        switch (c) {
        case 'h':
        case OPT_HELP: p->o->action = TL_RELAYD_HELP; return TL_OK;
        case OPT_VERSION: p->o->action = TL_RELAYD_VERSION; return TL_OK;
        case OPT_CONFIG: p->config = optarg; break;
        case ':':
            return tl_why_set(why, TL_ERR_INVALID, "%s needs a value",
                              tl_log_safe(tl_slice_str(argv[optind - 1])).text);
        case '?':
            return tl_why_set(why, TL_ERR_INVALID, "unknown option %s",
                              tl_log_safe(tl_slice_str(argv[optind - 1])).text);
        default:
            p->given[c - SET_LISTEN] = true;
            e = apply(p->o, (setting)c, optarg ? optarg : "", why);
        }
        if (e)
            return e;
    }
    if (optind < argc)
        return tl_why_set(why, TL_ERR_INVALID, "unexpected argument %s",
                          tl_log_safe(tl_slice_str(argv[optind])).text);
    return TL_OK;
}

/* Checks what can be told only when all options are known. */
static tl_err finish(tl_relayd_options *o, tl_why *why)
{
    if (!o->tls_cert != !o->tls_key)
        return tl_why_set(why, TL_ERR_INVALID, "%s is missing: TLS needs both tls-cert and tls-key",
                          o->tls_cert ? "tls-key" : "tls-cert");
    tl_err of_limits = tl_relayd_limits_finish(&o->relay.limits, why);
    if (of_limits)
        return of_limits;
    tl_err of_cluster = tl_relayd_cluster_finish(&o->cluster, why);
    if (of_cluster)
        return of_cluster;
    if (o->proxy_protocol && !o->proxies.count)
        return tl_why_set(why, TL_ERR_INVALID,
                          "proxy-protocol: nobody is trusted to send it; give trusted-proxy with "
                          "the address of the proxy");
    if (o->udp_announce[0] && o->udp_count == 0)
        return tl_why_set(why, TL_ERR_INVALID, "udp-announce: there is no udp to announce");
    if (o->udp_count && tl_addr_is_unspecified(&o->udp[0]) && !o->udp_announce[0] &&
        !o->relay.name_count)
        return tl_why_set(why, TL_ERR_INVALID,
                          "udp: nodes cannot ask %s: say with udp-announce, or with name, what "
                          "they can",
                          o->udp[0].family == TL_ADDR_V6 ? "[::]" : "0.0.0.0");
    if (o->listen_count == 0) {
        tl_err e = set_listen(o, "127.0.0.1:8080", why);
        if (e)
            return e;
    }
    for (size_t i = 0; i < o->listen_count; i++) {
        if (o->bare >> i & 1)
            o->listen[i].tls = o->tls_cert != NULL;
        if (o->listen[i].tls && !o->tls_cert)
            return tl_why_set(why, TL_ERR_INVALID,
                              "wss://%s:%u needs a certificate: tls-cert and tls-key",
                              o->listen[i].host, o->listen[i].port);
    }
    return TL_OK;
}

tl_err tl_relayd_options_parse(int argc, char **argv, tl_relayd_options *ret_options, tl_why *why)
{
    tl_relayd_options *o = calloc(1, sizeof *o);
    if (!o)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    *o = (tl_relayd_options){.relay = tl_relay_config_default(),
                             .cluster = tl_relayd_cluster_default(),
                             .drain_secs = 30,
                             .threads = 1,
                             .log_level = TL_LOG_INFO};
    o->relay.memory_max = 0; /* not said: the server asks the machine */
    parsing p = {.o = o};
    if (argc > 1 && strcmp(argv[1], "check") == 0) {
        o->action = TL_RELAYD_CHECK;
        argc--;
        argv++;
    }
    tl_err e = parse_arguments(argc, argv, &p, why);
    if (!e && (o->action == TL_RELAYD_RUN || o->action == TL_RELAYD_CHECK)) {
        if (p.config)
            e = tl_relayd_settings_read(p.config, on_setting, &p, why);
        if (!e)
            e = finish(o, why);
    }
    if (e)
        tl_relayd_options_clear(o);
    else
        *ret_options = *o;
    free(o);
    return e;
}

void tl_relayd_options_clear(tl_relayd_options *o)
{
    free(o->tls_cert);
    free(o->tls_key);
    free(o->admin_token_file);
    o->tls_cert = o->tls_key = o->admin_token_file = NULL;
    tl_relayd_cluster_clear(&o->cluster);
    tl_relayd_limits_clear(&o->relay.limits);
}

tl_err tl_relayd_token_read(const char *file, char ret_token[TL_RELAYD_TOKEN_MAX], tl_why *why)
{
    char line[TL_RELAYD_TOKEN_MAX + 2] = "";
    FILE *f = fopen(file, "re");
    if (!f)
        return tl_why_set(why, TL_ERR_IO, "cannot read the token file %s: %s", file,
                          strerror(errno));
    struct stat st;
    if (fstat(fileno(f), &st) == 0 && st.st_mode & 07)
        tl_log(TL_LOG_WARN, "event=file_open_to_all file=%s remedy=\"chmod 600\"",
               tl_relayd_quote(file).text);
    bool got = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    size_t n = strcspn(line, "\r\n");
    line[n] = 0;
    bool good = got && n > 0 && n < TL_RELAYD_TOKEN_MAX;
    for (size_t i = 0; i < n; i++)
        good &= line[i] > ' ' && line[i] < 0x7F;
    if (!good)
        return tl_why_set(
            why, TL_ERR_INVALID,
            "the first line of %s is not a token: 1 to %d printable characters, no spaces "
            "(make one with `openssl rand -hex 32`)",
            file, TL_RELAYD_TOKEN_MAX - 1);
    memcpy(ret_token, line, n + 1);
    return TL_OK;
}
