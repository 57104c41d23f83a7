#include "relay/fed_state.h"
#include "relay/state.h"

/* Bytes of datagrams that may wait for one node's connection of one sender, before the next are
 * dropped: their sender by UDP cannot be told to wait. A quarter of a second at 8 Mbit/s. */
#define LINE_MAX (256u << 10)

const tl_tokens_counters *tl_relay_datagrams_of(const tl_relay *r)
{
    return tl_tokens_counters_of(r->tokens);
}

void tl_relay_lost_datagram(tl_relay *r)
{
    tl_tokens_lost(r->tokens);
}

/* --- offers --- */

static void offer(tl_relay *r, tl_relay_session *s, int side)
{
    tl_buf json = {0};
    tl_relay_conn *c = s->side[side].node->conn;
    tl_signal_offered o = {.session = s->id, .udp = r->config.udp};
    if (!c)
        return; /* its own relay tells it */
    const tl_limit *limit = tl_relay_limit_of(r, s->side[side].node);
    o.limit_bytes_per_second = limit ? limit->bucket.per_sec : 0;
    o.expires_at = s->ends_unix;
    memcpy(o.token, tl_tokens_token(s->tokens.side[side]), sizeof o.token);
    if (tl_signal_write_relay_offer(&json, &o)) {
        r->counters.cut_memory++;
        tl_relay_doom(r, c);
    } else {
        tl_relay_send_text(r, c, tl_buf_slice(&json));
    }
    tl_buf_clear(&json);
}

void tl_relay_offer_tokens(tl_relay *r, tl_relay_session *s)
{
    tl_tokens_member members[2];
    for (int i = 0; i < 2; i++) {
        tl_relay_node *n = s->side[i].node;
        if (!n->features.relay_token)
            return;
        members[i] = (tl_tokens_member){
            .node = &n->id, .user = &s->side[i], .stream = n, .limit = tl_relay_limit_of(r, n)};
    }
    if (tl_tokens_open(r->tokens, members, r->now, &s->tokens))
        return; /* out of memory: relayData still flows */
    for (int i = 0; i < 2; i++)
        offer(r, s, i);
}

/* --- what goes on --- */

/* A payload, and how it came. */
typedef struct {
    tl_relay_member *from;
    tl_tokens_carrier by;
    uint8_t *bytes;
    size_t n;
    bool in_place; /* it lies in the driver's buffer, with room for a header before it */
    bool may_wait; /* its sender's connection can be made to wait */
} payload;

static void was_dropped(tl_relay *r, const payload *p, tl_tokens_carrier to)
{
    tl_tokens_was_dropped(r->tokens, p->by, to, p->n);
}

/* Is there too little room for it in the line of its sender? */
static bool is_full(const tl_relay *r, const tl_relay_conn *to, tl_relay_whose whose,
                    const payload *p)
{
    if (!to->congested)
        return false;
    const tl_relay_line *line = tl_relay_lines_find(&to->lines, whose.group, whose.sender);
    return tl_relay_waiting(to) + p->n > tl_relay_waiting_max(r) ||
           (!p->may_wait && line && line->bytes >= LINE_MAX);
}

/* Into the node's WebSocket, here or at its relay. */
static void to_stream(tl_relay *r, tl_relay_node *to, const payload *p)
{
    const tl_relay_session *s = p->from->session;
    tl_relay_node *sender = p->from->node;
    tl_relay_whose whose = tl_relay_line_of(sender);
    tl_relay_line *line = NULL;
    tl_err e;
    if (!to->conn)
        e = tl_fed_packet(r, sender, to, tl_slice_of(s->id, s->id_n), tl_slice_of(p->bytes, p->n));
    else if (is_full(r, to->conn, whose, p))
        e = TL_ERR_BUSY;
    else
        e = tl_relay_pass(r, to->conn, whose, TL_WS_BINARY, p->bytes, p->n, p->in_place, &line);
    if (e)
        was_dropped(r, p, TL_TOKENS_BY_STREAM);
    else if (p->may_wait && line && line->bytes >= tl_relay_line_max(r) && !p->from->blocked_in)
        tl_relay_block(r, p->from, line);
}

static void to_udp(tl_relay *r, const tl_burst_way *way, const payload *p)
{
    tl_slice bytes = tl_slice_of(p->bytes, p->n);
    if (!p->in_place) {
        tl_relay_chunk *copy = tl_relay_chunk_new(bytes, tl_slice_of(NULL, 0));
        if (!copy) {
            was_dropped(r, p, TL_TOKENS_BY_UDP);
            return;
        }
        copy->next = r->burst_chunks;
        r->burst_chunks = copy;
        bytes = tl_slice_of(copy->bytes, copy->n);
    }
    if (tl_bursts_add(&r->bursts, way, bytes))
        was_dropped(r, p, TL_TOKENS_BY_UDP);
}

static void send_reply(tl_relay *r, const tl_tokens_reply *reply)
{
    tl_relay_chunk *chunk =
        tl_relay_chunk_new(tl_slice_of(reply->bytes, reply->n), tl_slice_of(NULL, 0));
    if (!chunk)
        return; /* as if it were lost on its way */
    chunk->next = r->burst_chunks;
    r->burst_chunks = chunk;
    (void)!tl_bursts_add(&r->bursts, &reply->way, tl_slice_of(chunk->bytes, chunk->n));
}

/* --- what comes in --- */

static void on_control(tl_relay *r, const tl_burst_way *way, tl_slice datagram)
{
    tl_tokens_reply reply;
    if (tl_tokens_on_control(r->tokens, way, datagram, r->now, tl_relay_unix(r, r->now), &reply))
        send_reply(r, &reply);
}

/* A packet of p->from is to go on. */
static void pass(tl_relay *r, tl_tokens_verdict v, const tl_burst_way *way,
                 const tl_tokens_side *to, payload *p)
{
    const tl_relay_member *m;
    if (v == TL_TOKENS_DONE)
        return;
    m = tl_tokens_user(to);
    p->from = tl_tokens_user(tl_tokens_other(to));
    if (v == TL_TOKENS_TO_UDP)
        to_udp(r, way, p);
    else
        to_stream(r, m->node, p);
}

static void on_datagram(tl_relay *r, const tl_burst_way *way, uint8_t *bytes, size_t n)
{
    tl_tokens_side *to;
    const tl_burst_way *to_way;
    if (bytes[0] == TL_CONTROL_FIRST_BYTE) {
        on_control(r, way, tl_slice_of(bytes, n));
        return;
    }
    tl_tokens_verdict v =
        tl_tokens_on_datagram(r->tokens, way, tl_slice_of(bytes, n), r->now, &to_way, &to);
    payload p = {.by = TL_TOKENS_BY_UDP,
                 .bytes = bytes + TL_TOKEN_SIZE,
                 .n = n - TL_TOKEN_SIZE,
                 .in_place = true};
    pass(r, v, to_way, to, &p);
}

void tl_relay_on_datagrams(tl_relay *r, const tl_burst_way *way, uint8_t *bytes, size_t n,
                           size_t segment, tl_time now)
{
    r->now = now;
    for (size_t at = 0; at < n; at += segment)
        on_datagram(r, way, bytes + at, n - at < segment ? n - at : segment);
}

void tl_relay_on_binary(tl_relay *r, tl_relay_conn *c, uint8_t *bytes, size_t n, bool in_place)
{
    tl_tokens_side *to;
    const tl_burst_way *way;
    tl_slice packet = tl_slice_of(bytes, n);
    if (tl_control_is(packet)) {
        tl_relay_charge_frame(r, c);
        on_control(r, NULL, packet);
        return;
    }
    tl_tokens_verdict v = tl_tokens_on_message(r->tokens, c->node, packet, r->now, &way, &to);
    if (v == TL_TOKENS_DONE)
        tl_relay_charge_frame(r, c); /* no node's work is to drop what it sends */
    payload p = {.by = TL_TOKENS_BY_STREAM,
                 .bytes = bytes + TL_TOKEN_SIZE,
                 .n = n - TL_TOKEN_SIZE,
                 .in_place = in_place,
                 .may_wait = true};
    pass(r, v, way, to, &p);
}

void tl_relay_on_payload(tl_relay *r, tl_relay_member *from, uint8_t *bytes, size_t n)
{
    tl_tokens_side *to;
    const tl_burst_way *way;
    tl_tokens_side *side = from->session->tokens.side[from == &from->session->side[1]];
    if (!side)
        return;
    tl_tokens_verdict v = tl_tokens_on_payload(r->tokens, side, n, r->now, &way, &to);
    payload p = {.by = TL_TOKENS_BY_STREAM, .bytes = bytes, .n = n};
    pass(r, v, way, to, &p);
}

/* --- what goes out --- */

const tl_bursts *tl_relay_bursts(const tl_relay *r)
{
    return &r->bursts;
}

void tl_relay_bursts_sent(tl_relay *r)
{
    tl_relay_chunk *next;
    for (tl_relay_chunk *c = r->burst_chunks; c; c = next) {
        next = c->next;
        tl_relay_chunk_unref(c);
    }
    r->burst_chunks = NULL;
    tl_bursts_reset(&r->bursts);
}

void tl_relay_move_sides(tl_relay *r)
{
    tl_tokens_reply reply;
    while (tl_tokens_on_timer(r->tokens, r->now, &reply))
        send_reply(r, &reply);
}
