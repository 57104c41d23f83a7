#include "whole_second.h"

#include "whole_node.h"

#include <stdlib.h>

#define SECOND 0x7FFF0002 /* the link to the second relay; interfaces have small numbers */

static tl_relay_link *link_of(const whole_second *w)
{
    return tl_relays_link(w->node->relays, 1);
}

static tl_err begin_as(whole_second *w, tl_ws_opcode as, size_t n, uint8_t **ret_room)
{
    tl_buf_clear(&w->outgoing);
    if (tl_buf_reserve(&w->outgoing, n, ret_room))
        abort();
    w->begun = n;
    w->as = as;
    return TL_OK;
}

static tl_err wire_begin(void *wire, size_t n, uint8_t **ret_room)
{
    return begin_as(wire, TL_WS_TEXT, n, ret_room);
}

static tl_err wire_begin_binary(void *wire, size_t n, uint8_t **ret_room)
{
    return begin_as(wire, TL_WS_BINARY, n, ret_room);
}

static void wire_commit(void *wire)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    whole_second *w = wire;
    tl_buf frame = {0};
    tl_buf_added(&w->outgoing, w->begun);
    if (tl_buf_append(&frame, tl_slice_of(&w->conn->epoch, 1)) ||
        tl_ws_append(&frame, w->as, tl_buf_slice(&w->outgoing), mask))
        abort();
    sim_send(w->node->host, SECOND, tl_buf_begin(&frame), frame.len);
    tl_buf_clear(&frame);
}

static const tl_relay_wire wire = {wire_begin, wire_commit, wire_begin_binary};

void whole_second_join(whole_node *n, relay_host *r, tl_time delay)
{
    n->second = calloc(1, sizeof *n->second);
    if (!n->second)
        abort();
    n->second->node = n;
    n->second->conn = relay_host_plug_as(r, n->host, SECOND, delay);
}

void whole_second_connect(whole_node *n)
{
    whole_second *w = n->second;
    relay_host_connect(w->conn);
    tl_ws_reader_init(&w->reader, false, 4 << 20);
    w->connected = true;
    tl_relay_link_on_open(link_of(w), RELAY_HOST_NAME, &wire, w, sim_now(n->sim));
    sim_wake(n->host);
}

void whole_second_disconnect(whole_node *n)
{
    whole_second *w = n->second;
    if (!w || !w->connected)
        return;
    w->connected = false;
    relay_host_disconnect(w->conn);
    tl_relay_link_on_closed(link_of(w));
    tl_ws_reader_clear(&w->reader);
    n->awake = true;
    sim_wake(n->host);
}

void whole_second_free(whole_node *n)
{
    if (!n->second)
        return;
    tl_buf_clear(&n->second->outgoing);
    tl_ws_reader_clear(&n->second->reader);
    free(n->second);
    n->second = NULL;
}

bool whole_second_on_datagram(whole_node *n, uint32_t path, uint8_t *data, size_t len)
{
    whole_second *w = n->second;
    if (!w || path != SECOND)
        return false;
    if (!w->connected || len < 1 || data[0] != w->conn->epoch)
        return true;
    for (size_t at = 1; at < len && w->connected;) {
        tl_ws_event ev;
        tl_ws_reader_next(&w->reader, data + at, len - at, &ev);
        if (ev.kind == TL_WS_EVENT_MORE || ev.kind == TL_WS_EVENT_FAIL)
            abort();
        at += ev.used;
        if (ev.kind == TL_WS_EVENT_MESSAGE && ev.opcode == TL_WS_TEXT)
            tl_relay_link_on_text(link_of(w), ev.payload, ev.n, sim_now(n->sim));
        else if (ev.kind == TL_WS_EVENT_MESSAGE)
            tl_relay_link_on_binary(link_of(w), ev.payload, ev.n);
        if (ev.kind == TL_WS_EVENT_CLOSE)
            whole_second_disconnect(n);
    }
    return true;
}

void whole_second_on_goodbye(void *node, unsigned in_seconds)
{
    whole_node *n = node;
    (void)in_seconds;
    n->goodbyes++;
    tl_peers_on_relay_leaving(n->peers, tl_relays_telling(n->relays));
}

void whole_second_on_doubt(void *node, size_t relay)
{
    (void)relay;
    ((whole_node *)node)->doubts++;
}

void whole_second_on_timer(whole_node *n)
{
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        tl_relay_link_on_timer(tl_relays_link(n->relays, i), sim_now(n->sim));
}

tl_time whole_second_expiry(const whole_node *n)
{
    tl_time at = TL_NEVER;
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        at = tl_time_min(at, tl_relay_link_expiry(tl_relays_link(n->relays, i)));
    return at;
}
