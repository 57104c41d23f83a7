#include "relay/relay.h"
#include "wire/signal.h"

tl_relay_limits tl_relay_limits_default(void)
{
    return (tl_relay_limits){.max_sessions = 50,
                             .reciprocal_kbps = 256,
                             .bootstrap_kbps = 64,
                             .idle_timeout = 60 * TL_SEC,
                             .session_max = 600 * TL_SEC,
                             .session_warn = 30 * TL_SEC,
                             .pause = 60 * TL_SEC,
                             .burst = 500 * TL_MS};
}

tl_relay_config tl_relay_config_default(void)
{
    return (tl_relay_config){.message_max = 4u << 20,
                             .queue_max = 4u << 20,
                             .memory_max = 256u << 20,
                             .conns_max = 65536,
                             .conns_per_address_max = 1000,
                             .unregistered_per_address_max = 100,
                             .unregistered_per_site_max = 400,
                             .unregistered_max = 16384,
                             .sessions_max = 262144,
                             .sessions_per_node_max = 4096,
                             .opening_per_node_max = 256,
                             .control_per_sec = 200,
                             .control_burst = 1000,
                             .discover_per_sec = 20,
                             .discover_burst = 200,
                             .upgrade_within = 10 * TL_SEC,
                             .register_within = 10 * TL_SEC,
                             .ttl = TL_SIGNAL_TTL_SECONDS * TL_SEC,
                             .open_within = 30 * TL_SEC,
                             .paused_max = 2 * TL_SEC,
                             .stalled_max = 5 * TL_SEC,
                             .slow_within = 30 * TL_SEC,
                             .slow_bytes = 240u << 10,
                             .message_within = 30 * TL_SEC,
                             .presence_tick = 10 * TL_MS,
                             .limits = tl_relay_limits_default()};
}

tl_err tl_relay_config_add_name(tl_relay_config *config, const char *authority)
{
    char host[TL_HOST_MAX];
    uint16_t port;
    if (config->name_count == TL_RELAY_NAMES_MAX)
        return TL_ERR_BUSY;
    char *name = config->names[config->name_count];
    if (tl_hostport_parse(tl_slice_str(authority), 0, host, &port) ||
        strlen(authority) >= sizeof config->names[0])
        return TL_ERR_PROTO;
    size_t n = strlen(authority);
    for (size_t i = 0; i <= n; i++)
        name[i] =
            authority[i] >= 'A' && authority[i] <= 'Z' ? (char)(authority[i] | 0x20) : authority[i];
    config->name_count++;
    return TL_OK;
}
