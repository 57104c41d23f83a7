#include "peer/relay_link_state.h"
#include "wire/signalread.h"
#include "wire/signalwrite.h"

#include <stdio.h>

static tl_err send_query(tl_relay_link *l, const char *cursor, tl_time now)
{
    tl_buf out = {0};
    l->query_deadline = now + TL_RELAY_DISCOVER_WITHIN;
    const tl_relay_query *q = &l->queries[0];
    tl_err e = tl_signal_write_discover(&out, l->hex, q->model[0] ? q->model : NULL, 0, 0,
                                        q->ptn[0] ? q->ptn : NULL, TL_RELAY_PAGE, cursor);
    return tl_relay_link_send_buf(l, &out, e);
}

void tl_relay_link_end_query(tl_relay_link *l, bool ok, tl_time now)
{
    while (l->n_queries) {
        tl_relay_query ended = l->queries[0];
        l->n_queries--;
        memmove(&l->queries[0], &l->queries[1], l->n_queries * sizeof l->queries[0]);
        l->pages = 0;
        l->query_deadline = TL_NEVER;
        bool more = l->n_queries > 0;
        tl_err e = more ? send_query(l, NULL, now) : TL_OK;
        tl_relay_link_tell_discovered(l, &ended, ok);
        if (!e)
            return;
        ok = false;
    }
}

void tl_relay_link_tell_discovered(tl_relay_link *l, const tl_relay_query *q, bool ok)
{
    if (!q->ptn[0])
        l->events.on_discovered(l->user, q->model, ok);
}

static tl_err discover(tl_relay_link *l, const tl_relay_query *q, tl_time now)
{
    if (l->state != TL_LINK_REGISTERED)
        return TL_ERR_CLOSED;
    for (size_t i = 0; i < l->n_queries; i++)
        if (strcmp(l->queries[i].model, q->model) == 0 && strcmp(l->queries[i].ptn, q->ptn) == 0)
            return TL_OK;
    if (l->n_queries == TL_RELAY_QUERIES_MAX)
        return TL_ERR_BUSY;
    l->queries[l->n_queries++] = *q;
    if (l->n_queries > 1)
        return TL_OK;
    tl_err e = send_query(l, NULL, now);
    if (e) {
        l->n_queries = 0;
        l->query_deadline = TL_NEVER;
    }
    return e;
}

tl_err tl_relay_link_discover(tl_relay_link *l, const char *model, tl_time now)
{
    tl_relay_query q = {.ptn = ""};
    snprintf(q.model, sizeof q.model, "%s", model);
    return discover(l, &q, now);
}

tl_err tl_relay_link_discover_network(tl_relay_link *l, const tl_node_id *network, tl_time now)
{
    tl_relay_query q = {.model = ""};
    tl_node_id_write(q.ptn, network);
    return discover(l, &q, now);
}

/* An error: the entry is malformed. The caller skips such a node. */
static tl_err read_peer(const tl_signal *s, size_t i, tl_relay_peer *ret)
{
    tl_signal_peer p;
    uint8_t image[32];
    char image_hex[65];
    tl_err e = tl_signal_read_peer(s, i, &p);
    if (!e)
        e = tl_node_id_parse(tl_slice_str(p.node_id), &ret->id);
    if (!e)
        e = tl_node_id_noise_public(&ret->id, image);
    if (e)
        return e;
    tl_hex_write(image_hex, image, 32);
    if (p.public_key && strcmp(p.public_key, p.node_id) != 0)
        return TL_ERR_AUTH;
    /* Old nodes have none, or the image of another key made from the same seed. */
    ret->in_clear = !p.wg_public || strcmp(p.wg_public, image_hex) != 0;
    ret->name = p.display_name ? p.display_name : "";
    ret->nat_type = TL_NAT_UNKNOWN;
    if (p.nat_type)
        (void)tl_nat_type_parse(tl_slice_str(p.nat_type), &ret->nat_type);
    ret->capabilities = p.capabilities;
    return TL_OK;
}

void tl_relay_link_on_discover_response(tl_relay_link *l, const tl_signal *s, tl_time now)
{
    if (!l->n_queries) {
        l->counters.ignored++;
        return;
    }
    size_t n = tl_signal_peer_count(s);
    for (size_t i = 0; i < n && i < TL_RELAY_LIST_MAX; i++) {
        tl_relay_peer peer;
        if (read_peer(s, i, &peer)) {
            l->counters.peers_refused++;
            continue;
        }
        l->counters.peers_in_clear += peer.in_clear;
        if (!tl_node_id_eq(&peer.id, &l->identity->id))
            l->events.on_peer(l->user, &peer);
    }
    const char *cursor = tl_signal_next_cursor(s);
    if (cursor && ++l->pages < TL_RELAY_PAGES_MAX && !send_query(l, cursor, now))
        return;
    tl_relay_link_end_query(l, true, now);
}
