/* Discovery: asks the relay which nodes there are, reads its pages, and takes its news of nodes. */
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

static void drop_page(tl_relay_link *l)
{
    tl_signal_clear(&l->page);
    l->page = (tl_signal){.type = TL_SIGNAL_UNKNOWN};
    l->page_at = TL_NEVER;
}

static void tell_discovered(tl_relay_link *l, const tl_relay_query *q, bool ok)
{
    if (!q->ptn[0])
        l->events.on_discovered(l->user, q->model, ok);
}

static void end_query(tl_relay_link *l, bool ok, tl_time now)
{
    drop_page(l);
    while (l->n_queries) {
        tl_relay_query ended = l->queries[0];
        l->n_queries--;
        memmove(&l->queries[0], &l->queries[1], l->n_queries * sizeof l->queries[0]);
        l->pages = 0;
        l->query_deadline = TL_NEVER;
        bool more = l->n_queries > 0;
        tl_err e = more ? send_query(l, NULL, now) : TL_OK;
        tell_discovered(l, &ended, ok);
        if (!e)
            return;
        ok = false;
    }
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

/* The ID and its image. *ret_checked: the key was checked for it now. */
static tl_err check_key(tl_relay_link *l, const char *text, tl_node_id *ret_id,
                        uint8_t ret_image[32], bool *ret_checked)
{
    tl_err e = tl_node_id_parse_form(tl_slice_str(text), ret_id);
    const uint8_t *known = e ? NULL : tl_checked_image(&l->checked, ret_id);
    *ret_checked = !e && !known;
    if (known)
        memcpy(ret_image, known, 32);
    if (e || known)
        return e;
    e = tl_node_id_parse(tl_slice_str(text), ret_id);
    if (!e)
        e = tl_node_id_noise_public(ret_id, ret_image);
    if (!e)
        tl_checked_add(&l->checked, ret_id, ret_image);
    return e;
}

/* An error: the entry is malformed. The caller skips such a node. */
static tl_err read_peer(tl_relay_link *l, size_t i, tl_relay_peer *ret, bool *ret_checked)
{
    tl_signal_peer p;
    uint8_t image[32];
    char image_hex[65];
    *ret_checked = false;
    tl_err e = tl_signal_read_peer(&l->page, i, &p);
    if (!e)
        e = check_key(l, p.node_id, &ret->id, image, ret_checked);
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

/* The page is read: asks for the next one, or ends the discovery. */
static void end_page(tl_relay_link *l, tl_time now)
{
    const char *cursor = tl_signal_next_cursor(&l->page);
    bool more = cursor && ++l->pages < TL_RELAY_PAGES_MAX && !send_query(l, cursor, now);
    drop_page(l);
    if (!more)
        end_query(l, true, now);
}

/* `work`: what this turn has done already. */
static void read_page(tl_relay_link *l, size_t work, tl_time now)
{
    size_t n = tl_signal_peer_count(&l->page);
    n = n < TL_RELAY_LIST_MAX ? n : TL_RELAY_LIST_MAX;
    while (l->page_next < n && work < TL_RELAY_WORK_MAX) {
        tl_relay_peer peer;
        bool checked;
        tl_err e = read_peer(l, l->page_next++, &peer, &checked);
        work += checked ? TL_RELAY_WORK_CHECK : 1;
        if (e) {
            l->counters.peers_refused++;
            continue;
        }
        l->counters.peers_in_clear += peer.in_clear;
        if (!tl_node_id_eq(&peer.id, &l->identity->id))
            l->events.on_peer(l->user, &peer);
    }
    if (l->page_next < n)
        l->page_at = now; /* the others in the next turn of the loop */
    else
        end_page(l, now);
}

void tl_relay_link_on_discover_response(tl_relay_link *l, const tl_signal *s, tl_time now)
{
    if (!l->n_queries || l->page.object) {
        l->counters.ignored++;
        return;
    }
    l->page = (tl_signal){.type = s->type, .object = json_incref(s->object)};
    l->page_next = 0;
    l->query_deadline = TL_NEVER;               /* the relay has answered */
    read_page(l, tl_signal_peer_count(s), now); /* its text was parsed in this turn */
}

void tl_relay_link_discover_failed(tl_relay_link *l, tl_time now)
{
    if (l->n_queries)
        end_query(l, false, now);
}

void tl_relay_link_discover_on_timer(tl_relay_link *l, tl_time now)
{
    if (now >= l->page_at)
        read_page(l, 0, now);
    if (now >= l->query_deadline)
        end_query(l, false, now);
}

void tl_relay_link_discover_on_closed(tl_relay_link *l)
{
    drop_page(l);
    l->query_deadline = TL_NEVER;
    while (l->n_queries) {
        tl_relay_query ended = l->queries[--l->n_queries];
        tell_discovered(l, &ended, false);
    }
}

void tl_relay_link_on_presence(tl_relay_link *l, const tl_signal *m)
{
    tl_signal_peer peer;
    tl_node_id id;
    if (l->events.on_presence && m->type == TL_SIGNAL_PEERS_CHANGED) {
        l->events.on_presence(l->user, NULL, true);
        return;
    }
    if (!l->events.on_presence || tl_signal_read_presence(m, &peer) ||
        tl_node_id_parse(tl_slice_str(peer.node_id), &id) || tl_node_id_eq(&id, &l->identity->id)) {
        l->counters.ignored++;
        return;
    }
    l->events.on_presence(l->user, &id, m->type == TL_SIGNAL_PEER_JOINED);
}
