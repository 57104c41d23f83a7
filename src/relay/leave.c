#include "relay/state.h"

void tl_relay_tell_goodbye(tl_relay *r, tl_relay_conn *c)
{
    tl_buf json = {0};
    if (!r->leaves_at || !c->node || !c->node->features.goodbye)
        return;
    tl_time left = r->leaves_at > r->now ? r->leaves_at - r->now : 0;
    if (tl_signal_write_goodbye(&json, "restart", (unsigned)((left + TL_SEC - 1) / TL_SEC)) ==
        TL_OK)
        tl_relay_send_text(r, c, tl_buf_slice(&json));
    tl_buf_clear(&json);
}

void tl_relay_say_goodbye(tl_relay *r, unsigned in_seconds, tl_time now)
{
    r->now = now;
    r->leaves_at = now + in_seconds * TL_SEC;
    for (tl_relay_node *n = r->registry.table; n; n = n->hh.next)
        if (n->conn)
            tl_relay_tell_goodbye(r, n->conn);
}

bool tl_relay_is_leaving(const tl_relay *r)
{
    return r->closing || r->leaves_at;
}

bool tl_relay_is_needed(const tl_relay *r)
{
    if (r->counters.sessions_active || r->counters.sessions_opening)
        return true;
    for (const tl_relay_node *n = r->registry.table; n; n = n->hh.next)
        if (n->conn && n->features.goodbye)
            return true;
    return false;
}
