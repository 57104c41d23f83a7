#include "relay/state.h"

#include <utlist.h>

/* One join is told to all: of 150 bytes in a room of 10 000 nodes that is 1.5 MB, and when all of
 * those come at once, 15 GB. So a node with the feature peers-changed is told by name only while few
 * come or go. Where more do, it hears once that its list is old, and no more of who joins until it asks
 * by discover. What is told by name has a rate, of bytes and of events, and each address has one. What
 * comes faster waits, and a node that leaves while its join waits is not told of by name. */
#define FEW            4u            /* events of a tick that are told by name to all */
#define ROUND_MAX      (64u << 10)   /* bytes that one node is told at once */
#define LEAVES_MAX     (1u << 20)    /* bytes of leaves that wait; more are lost, and counted */
#define BYTES_PER_SEC  (8u << 20)    /* to all nodes together, */
#define BYTES_BURST    (16 * TL_SEC) /* and so much more at once: 1000 nodes hear of 1000 */
#define PAUSE_AN_EVENT (5 * TL_MS)   /* so a node is told 200 events a second at most: 30 KB, */
#define EVENTS_BURST   (5 * TL_SEC)  /* and 1000 at once */
#define TICK_PER_NODE  (10 * TL_US)  /* about twice the time of one write to one socket */

/* The tick is longer with more nodes to tell, so that telling takes at most half of the time. */
static void set_tick(tl_relay *r, tl_time at_least)
{
    tl_time at = r->now + r->config.presence_tick + r->counters.nodes_registered * TICK_PER_NODE;
    if (at < at_least)
        at = at_least;
    tl_relay_timer_set(&r->conn_timers, &r->tick, at);
}

/* When the next round may be told. */
static tl_time rounds_resume(const tl_relay *r)
{
    tl_time by_events = r->told_events > EVENTS_BURST ? r->told_events - EVENTS_BURST : 0;
    tl_time by_bytes = r->told_bytes > BYTES_BURST ? r->told_bytes - BYTES_BURST : 0;
    return tl_time_max(by_events, by_bytes);
}

static void wake(tl_relay *r)
{
    r->presence_fresh++;
    if (!r->tick.place)
        set_tick(r, rounds_resume(r));
}

static tl_err append(tl_signal_type type, const tl_relay_node *n, tl_buf *out)
{
    tl_buf json = {0};
    tl_err e = tl_signal_write_presence(&json, type, n->hex, tl_relay_node_name(n));
    if (!e)
        e = tl_ws_append(out, TL_WS_TEXT, tl_buf_slice(&json), NULL);
    tl_buf_clear(&json);
    return e;
}

void tl_relay_joined(tl_relay *r, tl_relay_node *n)
{
    n->is_news = true;
    n->leaves_from = (uint32_t)r->leaves.len;
    DL_APPEND2(r->news, n, prev_news, next_news);
    wake(r);
}

void tl_relay_left(tl_relay *r, tl_relay_node *n)
{
    if (n->is_news) {
        DL_DELETE2(r->news, n, prev_news, next_news);
        r->counters.presence_withdrawn++;
    }
    if (r->closing)
        return;
    wake(r); /* also of one whose join was not told by name: a list may have it */
    if (!n->is_announced)
        return;
    if (n->conn) /* where it is, its relay counts it */
        tl_relay_address_told(n->conn->address, r->now);
    if (r->leaves.len > LEAVES_MAX || append(TL_SIGNAL_PEER_LEFT, n, &r->leaves))
        r->counters.presence_lost++;
    else
        r->counters.presence_events++;
}

/* --- a tick --- */

/* Length of the frames at the front that fit into a round; *ret_events tells how many. */
static size_t leaves_of_round(const tl_relay *r, size_t *ret_events)
{
    tl_slice all = tl_buf_slice(&r->leaves);
    size_t n = 0, events = 0;
    while (n < all.n) {
        tl_ws_frame f;
        uint16_t code;
        tl_err e = tl_ws_frame_parse(tl_slice_of(all.p + n, all.n - n), false, all.n, &f, &code);
        if (e || n + f.header_n + f.n > ROUND_MAX)
            break;
        n += f.header_n + (size_t)f.n;
        events++;
    }
    *ret_events = events;
    return n;
}

/* Writes the joins that may be told now. Those for which there was no memory are lost. */
static size_t write_joins(tl_relay *r, size_t room, tl_buf *out)
{
    size_t events = 0;
    tl_relay_node *n, *next, *last = r->news ? r->news->prev_news : NULL;
    for (n = r->news; n && out->len < room; n = next) {
        next = n == last ? NULL : n->next_news;
        DL_DELETE2(r->news, n, prev_news, next_news);
        tl_relay_address *address = n->conn ? n->conn->address : NULL;
        if (address && !tl_relay_address_may_tell(address, r->now)) {
            DL_APPEND2(r->news, n, prev_news, next_news); /* its turn comes again */
            continue;
        }
        n->is_news = false;
        if (append(TL_SIGNAL_PEER_JOINED, n, out)) {
            r->counters.presence_lost++;
            continue;
        }
        n->is_announced = true;
        n->joins_from = (uint32_t)out->len; /* neither its own join nor those before it */
        r->counters.presence_events++;
        events++;
    }
    return events;
}

static size_t emit_part(tl_relay *r, tl_relay_node *n, tl_relay_chunk *chunk, size_t from,
                        size_t to)
{
    if (from >= to)
        return 0;
    tl_relay_emit(r, n->conn, tl_slice_of(chunk->bytes + from, to - from),
                  tl_relay_chunk_ref(chunk));
    return to - from;
}

/* Tells the node, once until it asks, that its list is old. */
static void tell_changed(tl_relay *r, tl_relay_node *n)
{
    if (n->knows_changed)
        return;
    tl_buf json = {0};
    if (!tl_signal_write_peers_changed(&json)) {
        tl_relay_send_text(r, n->conn, tl_buf_slice(&json));
        n->knows_changed = true;
        r->counters.presence_summed++;
    }
    tl_buf_clear(&json);
}

/* Sends to each node what it does not know: of the chunk's leaves, then its joins. `few`: they are
 * all that happened, and few. Returns how many bytes that were. */
static size_t emit_news(tl_relay *r, tl_relay_chunk *chunk, size_t leaves, bool few)
{
    size_t sent = 0;
    for (tl_relay_node *n = r->registry.table; n; n = n->hh.next) {
        size_t from = n->leaves_from < leaves ? n->leaves_from : leaves;
        if (n->features.quiet || !n->conn) {
        } else if (n->features.peers_changed && !few) {
            if (r->presence_fresh)
                tell_changed(r, n);
        } else if (n->knows_changed) {
            sent += emit_part(r, n, chunk, from, leaves);
        } else if (!n->joins_from) {
            sent += emit_part(r, n, chunk, from, chunk->n);
        } else {
            sent += emit_part(r, n, chunk, from, leaves);
            sent += emit_part(r, n, chunk, leaves + n->joins_from, chunk->n);
        }
        n->leaves_from -= (uint32_t)from;
        n->joins_from = 0;
    }
    return sent;
}

void tl_relay_tell_presence(tl_relay *r)
{
    tl_buf joins = {0};
    size_t left_events, leaves = leaves_of_round(r, &left_events);
    size_t events = left_events + write_joins(r, ROUND_MAX - leaves, &joins);
    tl_relay_chunk *chunk = tl_relay_chunk_new(
        (tl_slice){r->leaves.len ? tl_buf_begin(&r->leaves) : NULL, leaves}, tl_buf_slice(&joins));
    bool few = events <= FEW && events == r->presence_fresh;
    if (chunk) {
        size_t sent = emit_news(r, chunk, leaves, few);
        tl_relay_chunk_unref(chunk);
        if (sent) {
            r->told_events = tl_time_max(r->told_events, r->now) + events * PAUSE_AN_EVENT;
            r->told_bytes = tl_time_max(r->told_bytes, r->now) + sent * TL_SEC / BYTES_PER_SEC;
        }
    } else {
        r->counters.presence_lost += events;
    }
    r->presence_fresh = 0;
    tl_buf_consume(&r->leaves, leaves);
    if (!r->leaves.len)
        tl_buf_clear(&r->leaves);
    tl_buf_clear(&joins);
    tl_relay_timer_set(&r->conn_timers, &r->tick, TL_NEVER);
    if (r->leaves.len || r->news)
        set_tick(r, events ? rounds_resume(r) : r->now + TL_RELAY_TOLD_EVERY);
}
