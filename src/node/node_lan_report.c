/* What is told of the local network. */
#include "node/facts.h"
#include "node/lan_state.h"
#include "node/names.h"

void tl_node_lan_counts_of(const tl_node *n, tl_lan_counts *ret_counts)
{
    const struct tl_node_lan *l = n->lan;
    *ret_counts = (tl_lan_counts){.on = l && l->mdns};
    if (!l)
        return;
    ret_counts->nodes = tl_lan_count(l->table);
    ret_counts->found = *tl_lan_counted(l->table);
    ret_counts->tried = *tl_neighbours_counters_of(l->core);
    if (l->mdns)
        tl_mdns_report_get(l->mdns, &ret_counts->discovery);
    if (l->tcp) {
        ret_counts->port = tl_lantcp_port(l->tcp);
        ret_counts->pipes = tl_lantcp_count(l->tcp, &ret_counts->pipes_proven);
        ret_counts->tcp = *tl_lantcp_counted(l->tcp);
    }
}

json_t *tl_node_lan_json(const tl_node *n)
{
    tl_lan_counts c;
    tl_node_lan_counts_of(n, &c);
    const char *why = c.on ? c.discovery.why : n->lan ? n->lan->error : "";
    return json_pack("{s:b, s:s, s:s?, s:s?, s:i, s:I}", "enabled", n->settings.lan_enabled,
                     "discovery", c.on ? tl_mdns_state_name(c.discovery.state) : "off", "error",
                     why[0] ? why : NULL, "name", c.discovery.name[0] ? c.discovery.name : NULL,
                     "tcp_port", (int)c.port, "nodes", (json_int_t)c.nodes);
}

json_t *tl_node_lan_announced(const tl_node *n,
                              bool (*is_listed)(const tl_node *n, const tl_node_id *id))
{
    json_t *list = json_array();
    size_t count = tl_node_lan_count(n);
    for (size_t i = 0; list && i < count; i++) {
        const tl_lan_node *node = tl_lan_at(n->lan->table, i);
        char hex[TL_NODE_ID_HEX + 1], at[TL_ADDR_TEXT_MAX];
        if (is_listed(n, &node->id))
            continue;
        tl_node_id_write(hex, &node->id);
        tl_addr_write(at, &node->addrs[0]);
        list = tl_json_append(list, json_pack("{s:s, s:s, s:s}", "node_id", hex, "name",
                                              tl_node_called(n, &node->id), "address", at));
    }
    return list;
}
