#include "quic/quiet.h"

#define TIMEOUTS_MAX 16 /* no caller tells more of them apart */

static uint64_t under_way(const tl_quic_conn *c)
{
    tl_ngtcp2_info info;
    tl_ngtcp2_get_info(c->ng, &info);
    return info.bytes_in_flight;
}

void tl_quiet_on_sent(tl_quic_conn *c)
{
    if (c->under_way == 0)
        c->quiet_since = c->now;
    c->under_way = under_way(c);
}

bool tl_quiet_on_read(tl_quic_conn *c)
{
    uint64_t was = c->under_way;
    if (was == 0)
        return false; /* reading puts nothing under way */
    c->under_way = under_way(c);
    if (c->under_way < was)
        c->quiet_since = c->now;
    return c->under_way < was;
}

void tl_quiet_on_path(tl_quic_conn *c)
{
    c->under_way = under_way(c);
    c->quiet_since = c->now;
}

size_t tl_quiet_timeouts(const tl_quic_conn *c)
{
    tl_time pto = ngtcp2_conn_get_pto(c->ng);
    size_t n = 0;
    if (c->under_way == 0)
        return 0;
    while (n < TIMEOUTS_MAX && c->now - c->quiet_since >= pto * ((2u << n) - 1))
        n++;
    return n;
}
