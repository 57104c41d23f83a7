#include "relay/fed_state.h"
#include "relay/state.h"

#include <stdlib.h>

/* Pairs that are remembered after their last session: as many sessions as there may be can end in
 * each of some pauses. */
#define IDLE_PAIRS_MAX 65536
#define LOOK_MAX       64 /* bytes of a message that tell its type */

void tl_relay_tiers_init(tl_relay *r)
{
    const tl_relay_limits *l = &r->config.limits;
    r->pairs = (tl_relay_pairs){
        .session_max = l->session_max, .pause = l->pause, .idle_max = IDLE_PAIRS_MAX};
}

static bool is_reciprocal(const tl_relay *r, const tl_relay_node *n)
{
    const tl_relay_limits *l = &r->config.limits;
    for (size_t i = 0; i < l->reciprocal_count; i++)
        if (tl_node_id_eq(&l->reciprocal[i], &n->id))
            return true;
    return false;
}

static uint64_t rate_of(const tl_relay *r, const tl_relay_node *n)
{
    const tl_relay_limits *l = &r->config.limits;
    return (is_reciprocal(r, n) ? l->reciprocal_kbps : l->bootstrap_kbps) * UINT64_C(1024);
}

void tl_relay_tiers_enter(tl_relay *r, tl_relay_node *n)
{
    if (!r->config.limits.on)
        return;
    n->limit = tl_limit_make(rate_of(r, n), r->config.limits.burst, r->now);
    tl_limit_empty(&n->limit);
}

tl_limit *tl_relay_limit_of(tl_relay *r, tl_relay_node *n)
{
    return r->config.limits.on && n->conn ? &n->limit : NULL;
}

/* --- bytes of messages --- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Can the whole message in this frame be relayData? Its beginning is unmasked for a look. A message
 * with more blanks in front than anybody writes counts as one. */
static bool may_be_data(const tl_ws_frame *f, const uint8_t *payload)
{
    static const char key[] = "\"relayData\"";
    uint8_t head[LOOK_MAX];
    size_t n = f->n < LOOK_MAX ? (size_t)f->n : LOOK_MAX, at = 0;
    memcpy(head, payload, n);
    tl_ws_mask(head, n, f->mask, 0);
    while (at < n && is_blank(head[at]))
        at++;
    if (at < n && head[at] != '{')
        return false;
    at++;
    while (at < n && is_blank(head[at]))
        at++;
    return at + sizeof key - 1 > n || memcmp(head + at, key, sizeof key - 1) == 0;
}

tl_time tl_relay_wait_for_limit(tl_relay *r, const tl_relay_conn *c, const uint8_t *bytes, size_t n)
{
    tl_ws_frame f;
    uint16_t close;
    tl_limit *l = c->node ? tl_relay_limit_of(r, c->node) : NULL;
    if (!l || tl_ws_frame_parse(tl_slice_of(bytes, n), true, c->reader.message_max, &f, &close) ||
        f.header_n + f.n > n)
        return r->now; /* it is not whole, or will be refused */
    bool is_data = f.opcode == TL_WS_TEXT && (!f.fin || may_be_data(&f, bytes + f.header_n));
    if (!is_data && (f.opcode != TL_WS_CONTINUATION || c->reader.opcode != TL_WS_TEXT))
        return r->now;
    /* base64 makes four of three: no relayData of this length carries more */
    return tl_limit_when(l, (c->reader.parts.len + f.n) / 4 * 3, r->now);
}

void tl_relay_charge_data(tl_relay *r, tl_relay_node *from, size_t n)
{
    tl_limit *l = tl_relay_limit_of(r, from);
    if (l)
        (void)!tl_limit_take_message(l, n, r->now); /* tl_relay_wait_for_limit made sure of it */
}

/* --- sessions --- */

/* Whether one more of that opener would be too many. Where the bound is shared, the place is not kept
 * yet: tl_relay_tiers_begin takes it. */
static bool is_full(const tl_relay *r, const tl_relay_node *opener)
{
    const tl_relay_limits *l = &r->config.limits;
    if (!l->take)
        return r->counters.sessions_active >= l->max_sessions;
    if (opener->away && opener->away->peer->near)
        return false; /* the opener's loop counts it */
    if (!l->take(l->shared))
        return true;
    l->give(l->shared);
    return false;
}

tl_signal_code tl_relay_may_open(tl_relay *r, const tl_relay_node *a, const tl_relay_node *b)
{
    const tl_relay_limits *l = &r->config.limits;
    if (!l->on)
        return TL_SIGNAL_CODES;
    if (is_full(r, a))
        return TL_SIGNAL_BUSY;
    bool may = is_reciprocal(r, a) || is_reciprocal(r, b) ||
               tl_relay_pairs_may(&r->pairs, &a->id, &b->id, r->now);
    return may ? TL_SIGNAL_CODES : TL_SIGNAL_RATE_LIMITED;
}

const char *tl_relay_why_not_open(tl_signal_code code)
{
    return code == TL_SIGNAL_BUSY ? "this relay has as many sessions as it may have"
                                  : "these two nodes have had their time at this relay; use "
                                    "another way, or come back later";
}

tl_err tl_relay_tiers_begin(tl_relay *r, tl_relay_session *s)
{
    const tl_relay_node *a = s->side[0].node, *b = s->side[1].node;
    const tl_relay_limits *l = &r->config.limits;
    s->heard = r->now;
    s->ends_at = TL_NEVER;
    if (l->on && l->take && tl_relay_counts_here(s)) {
        if (!l->take(l->shared))
            return TL_ERR_BUSY;
        s->has_place = true; /* tl_relay_tiers_end gives it back, whatever follows here */
    }
    if (!l->on || is_reciprocal(r, a) || is_reciprocal(r, b))
        return TL_OK;
    tl_err e = tl_relay_pairs_begin(&r->pairs, &a->id, &b->id, r->now, &s->pair);
    if (e)
        return e;
    s->ends_at = s->pair->since + r->config.limits.session_max;
    s->ends_unix = tl_relay_unix(r, s->ends_at);
    return TL_OK;
}

void tl_relay_tiers_end(tl_relay *r, tl_relay_session *s)
{
    if (s->has_place)
        r->config.limits.give(r->config.limits.shared);
    s->has_place = false;
    if (s->pair)
        tl_relay_pairs_end(&r->pairs, s->pair, r->now);
    s->pair = NULL;
}

static tl_time idle_at(const tl_relay *r, const tl_relay_session *s)
{
    tl_time heard = s->heard;
    if (s->tokens.side[0])
        heard = tl_time_max(heard, tl_tokens_heard(&s->tokens));
    return heard + r->config.limits.idle_timeout;
}

static tl_time warn_at(const tl_relay *r, const tl_relay_session *s)
{
    if (s->warned || s->ends_at == TL_NEVER)
        return TL_NEVER;
    return s->ends_at - r->config.limits.session_warn;
}

tl_time tl_relay_tiers_expiry(const tl_relay *r, const tl_relay_session *s)
{
    if (!r->config.limits.on || s->state != TL_RELAY_OPEN)
        return TL_NEVER;
    return tl_time_min(idle_at(r, s), tl_time_min(s->ends_at, warn_at(r, s)));
}

static void warn(tl_relay *r, tl_relay_session *s)
{
    tl_buf json = {0};
    s->warned = true;
    if (tl_signal_write_relay_warning(&json, s->id, "session_max", s->ends_unix))
        return; /* out of memory: its end will be told */
    for (int i = 0; i < 2; i++) {
        const tl_relay_node *n = s->side[i].node;
        if (n->conn && n->features.relay_token)
            tl_relay_send_text(r, n->conn, tl_buf_slice(&json));
    }
    tl_buf_clear(&json);
}

const char *tl_relay_tiers_due(tl_relay *r, tl_relay_session *s)
{
    if (!r->config.limits.on)
        return NULL;
    if (s->ends_at <= r->now) {
        r->counters.sessions_timed_out++;
        return "session_max";
    }
    if (idle_at(r, s) <= r->now) {
        r->counters.sessions_idle++;
        return "idle";
    }
    if (warn_at(r, s) <= r->now)
        warn(r, s);
    return NULL;
}
