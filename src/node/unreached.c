#include "node/unreached.h"

#include "node/lan_state.h"
#include "node/reach.h"

static const char offline[] = "this machine has no network: no interface has an address";

/* Whom the settings name may be on this machine, as in tests. */
static bool is_reached(const tl_node *n)
{
    return tl_relay_pair_state(n->client) == TL_RELAY_CONNECTED || tl_node_dht_on_loopback(n) ||
           tl_node_dht_is_ready(n);
}

bool tl_unreached_offline(const tl_node *n)
{
    size_t n_interfaces = 0;
    if (n->network)
        (void)tl_network_interfaces(n->network, &n_interfaces);
    return n->network && !n_interfaces && !is_reached(n);
}

const char *tl_unreached_by_settings(const tl_node *n)
{
    const tl_settings *s = &n->settings;
    if (s->wan_enabled)
        return tl_node_wants_no_relay(n) && !s->nat_direct
                   ? "no relay is set, and nat.direct is false: no peer can be reached (teale "
                     "config set nat.direct true)"
                   : NULL;
    if (!s->lan_enabled)
        return "lan_enabled and wan_enabled are false (for the local network: teale config set "
               "lan_enabled true; for others: teale config set wan_enabled true)";
    return s->nat_direct
               ? NULL
               : "nat.direct and wan_enabled are false (for the local network: teale config set "
                 "nat.direct true; for others: teale config set wan_enabled true)";
}

const char *tl_unreached_relay(const tl_node *n)
{
    const char *settings = tl_unreached_by_settings(n);
    bool wan = n->settings.wan_enabled;
    if (settings && !wan)
        return settings;
    if (!wan)
        return tl_unreached_offline(n) ? offline
                                       : "wan_enabled is false (teale config set wan_enabled true)";
    if (n->aside.state == TL_ASIDE_LOOKING)
        return NULL;
    if (n->aside.state == TL_ASIDE_TWIN)
        return tl_node_aside_words;
    if (tl_node_wants_no_relay(n))
        return "no relay is set (wan_relay_url is empty)";
    if (n->wan_error[0])
        return n->wan_error;
    return tl_relay_pair_state(n->client) == TL_RELAY_OFF ? tl_relay_pair_error(n->client) : NULL;
}

const char *tl_unreached_peer(const tl_node *n)
{
    const char *settings = tl_unreached_by_settings(n);
    if (settings)
        return settings;
    if (tl_node_wants_no_relay(n) && !n->settings.dht_enabled)
        return "no relay is set, and dht.enabled is false: the peer cannot be looked for (teale "
               "config set dht.enabled true)";
    if (tl_node_wants_no_relay(n))
        return "no relay is set, and the DHT cannot be asked for the peer now (see: teale doctor)";
    if (!n->settings.wan_enabled && tl_node_lan_is_on(n) && !tl_unreached_offline(n))
        return "it is not announced on the local network, and nothing else is looked through: "
               "wan_enabled is false (teale config set wan_enabled true)";
    return tl_unreached_relay(n);
}
