#include "relay/state.h"

#include <assert.h>

tl_err tl_relay_on_told(tl_relay *r, tl_relay_conn *c, const tl_addr *client, tl_time now)
{
    tl_relay_address *to, *from = c->address;
    r->now = now;
    if (c->state != TL_RELAY_CONN_ACCEPTED)
        return TL_OK; /* it was cut in the meantime */
    assert(c->untold);
    tl_err e = tl_relay_address_add(&r->addresses, client, &r->config, now, &to);
    if (e) {
        r->counters.conns_refused++;
        return e;
    }
    c->untold = false;
    c->remote = tl_addr_normal(*client);
    tl_relay_account_move(r, c, to);
    tl_relay_address_drop(&r->addresses, from, false, now);
    tl_relay_charge_begin(r, c);
    return TL_OK;
}

void tl_relay_count_told(tl_relay *r, tl_relay_told told)
{
    r->counters.told[told]++;
}

tl_addr tl_relay_conn_remote(const tl_relay_conn *c)
{
    return c->remote;
}
