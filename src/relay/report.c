#include "relay/state.h"

size_t tl_relay_message_max(const tl_relay *r)
{
    return r->config.message_max;
}

bool tl_relay_is_closing(const tl_relay *r)
{
    return r->closing;
}

const tl_relay_node *tl_relay_node_after(const tl_relay *r, const tl_relay_node *at, tl_time now,
                                         tl_relay_node_report *ret_report)
{
    const tl_relay_node *n = at ? at->hh.next : r->registry.table;
    while (n && !n->conn)
        n = n->hh.next;
    if (n)
        *ret_report = (tl_relay_node_report){.node_id = n->hex,
                                             .name = tl_relay_node_name(n),
                                             .connected_at = tl_relay_date(r, n->conn->began),
                                             .idle = now - n->conn->heard,
                                             .observed = n->conn->remote};
    return n;
}
