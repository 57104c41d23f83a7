/* What the doctor says of a node without a relay, and of the DHT. */
#include "tell/doctor_state.h"

void tl_doctor_examine_without(tl_findings *l, const tl_doctor_facts *f)
{
    if (!f->direct_on) {
        tl_finding_add(l, "relay", TL_FINDING_PROBLEM,
                       "no relay is set (wan_relay_url is empty), and nat.direct is false: no peer "
                       "can be reached");
        tl_finding_remedy(l, "teale config set nat.direct true");
    } else if (!f->dht_enabled) {
        tl_finding_add(
            l, "relay", TL_FINDING_WARNING,
            "no relay is set (wan_relay_url is empty), and dht.enabled is false: no peer "
            "can be found, but they may find this node");
        tl_finding_remedy(l, "teale config set dht.enabled true");
    } else {
        tl_finding_add(l, "relay", TL_FINDING_OK,
                       "no relay is set (wan_relay_url is empty): peers are found through the DHT");
    }
}

static void examine_ready(tl_findings *l, const tl_doctor_facts *f)
{
    if (f->nat && !f->n_interfaces) {
        tl_finding_add(
            l, "dht", f->no_relay ? TL_FINDING_PROBLEM : TL_FINDING_WARNING,
            "%zu nodes of the DHT were known, and none can be asked: this machine has no "
            "network",
            f->dht.nodes);
        tl_finding_remedy(l, "Connect this machine to a network; the node notices by itself.");
    } else if (f->dht.publishes && !f->dht.holders) {
        tl_finding_add(l, "dht", f->no_relay ? TL_FINDING_WARNING : TL_FINDING_OK,
                       "%zu nodes of the DHT are known; how this node is reached stands at none of "
                       "them yet",
                       f->dht.nodes);
        if (f->no_relay)
            tl_finding_remedy(l, "Wait a few seconds. If it lasts, see whether this machine is "
                                 "online and outgoing UDP is allowed.");
    } else if (!f->dht.publishes)
        tl_finding_add(l, "dht", TL_FINDING_OK,
                       "%zu nodes of the DHT are known; nothing is published", f->dht.nodes);
    else
        tl_finding_add(
            l, "dht", TL_FINDING_OK,
            "%zu nodes of the DHT are known; how this node is reached stands at %u of them",
            f->dht.nodes, f->dht.holders);
}

void tl_doctor_examine_dht(tl_findings *l, const tl_doctor_facts *f)
{
    if (!f->dht.on)
        return;
    if (f->dht.ready) {
        examine_ready(l, f);
        return;
    }
    /* With a relay nobody needs it. */
    tl_finding_add(l, "dht", f->no_relay ? TL_FINDING_WARNING : TL_FINDING_OK,
                   f->dht.nodes ? "the DHT is being entered: %zu nodes are known"
                                : "no node of the DHT has answered yet",
                   f->dht.nodes);
    if (f->no_relay && !f->dht.doors)
        tl_finding_remedy(l,
                          "dht.bootstrap is empty, so this node waits for others. Name some node "
                          "of the DHT there: HOST:PORT");
    else if (f->no_relay)
        tl_finding_remedy(l,
                          "Wait a few seconds. If it lasts, allow outgoing UDP in the firewall, or "
                          "name other nodes in dht.bootstrap");
}
