#include "relay/peerrelay_state.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#define SOCKETS        2    /* number 0 of IPv4, number 1 of IPv6 */
#define IDLE_PAIRS_MIN 4096 /* pairs that are remembered after their last session */

/* --- life --- */

tl_err tl_peerrelay_new(const tl_peerrelay_config *config, const tl_peerrelay_world *world,
                        void *user, tl_rand *rand, tl_time now, tl_peerrelay **ret_relay)
{
    const tl_relay_limits *l = &config->limits;
    tl_tokens_config tokens = {.socket_count = SOCKETS, .udp_alone = true};
    if (config->port4)
        tokens.sockets[0] = (tl_addr){.family = TL_ADDR_V4, .port = config->port4};
    if (config->port6)
        tokens.sockets[1] = (tl_addr){.family = TL_ADDR_V6, .port = config->port6};
    tl_peerrelay *r = calloc(1, sizeof *r);
    if (!r)
        return TL_ERR_NOMEM;
    r->config = *config;
    r->world = world;
    r->user = user;
    r->rand = rand;
    size_t idle = 2 * (size_t)l->max_sessions;
    r->pairs = (tl_relay_pairs){.session_max = l->session_max,
                                .pause = l->pause,
                                .idle_max = idle < IDLE_PAIRS_MIN ? IDLE_PAIRS_MIN : idle};
    tl_err e = tl_relay_timers_reserve(&r->timers, l->max_sessions);
    if (!e)
        e = tl_tokens_new(&tokens, rand, now, &r->tokens);
    if (e) {
        tl_relay_timers_clear(&r->timers);
        free(r);
        return e;
    }
    *ret_relay = r;
    return TL_OK;
}

void tl_peerrelay_free(tl_peerrelay *r)
{
    if (!r)
        return;
    while (r->sessions_first)
        tl_pr_close(r, r->sessions_first, 0);
    tl_relay_pairs_clear(&r->pairs);
    tl_pr_clear(r);
    tl_tokens_free(r->tokens);
    tl_relay_timers_clear(&r->timers);
    tl_peerrelay_sent(r);
    tl_bursts_clear(&r->bursts);
    free(r);
}

void tl_peerrelay_set_address(tl_peerrelay *r, const tl_addr *v4, const tl_addr *v6)
{
    r->address4 = *v4;
    r->address6 = *v6;
}

const tl_peerrelay_counters *tl_peerrelay_counters_of(const tl_peerrelay *r)
{
    return &r->counters;
}

const tl_tokens_counters *tl_peerrelay_tokens(const tl_peerrelay *r)
{
    return tl_tokens_counters_of(r->tokens);
}

/* --- what goes out --- */

static pr_copy *copy_of(tl_slice bytes)
{
    pr_copy *c = malloc(sizeof *c + bytes.n);
    if (!c)
        return NULL;
    c->next = NULL;
    c->n = bytes.n;
    memcpy(c->bytes, bytes.p, bytes.n);
    return c;
}

/* Takes the copy. If there is no room it is lost, as on its way. */
static void send_copy(tl_peerrelay *r, const tl_burst_way *way, pr_copy *c)
{
    c->next = r->copies;
    r->copies = c;
    if (!tl_bursts_add(&r->bursts, way, tl_slice_of(c->bytes, c->n)))
        r->counters.bytes_out += c->n;
}

void tl_pr_send(tl_peerrelay *r, const tl_burst_way *way, tl_slice bytes)
{
    pr_copy *c = copy_of(bytes);
    if (c)
        send_copy(r, way, c);
}

const tl_bursts *tl_peerrelay_bursts(const tl_peerrelay *r)
{
    return &r->bursts;
}

void tl_peerrelay_sent(tl_peerrelay *r)
{
    pr_copy *next;
    for (pr_copy *c = r->copies; c; c = next) {
        next = c->next;
        free(c);
    }
    r->copies = NULL;
    tl_bursts_reset(&r->bursts);
}

/* --- sessions --- */

static void pair_key(const tl_node_id *a, const tl_node_id *b, uint8_t ret_key[64])
{
    bool first = tl_node_id_cmp(a, b) < 0;
    memcpy(ret_key, first ? a : b, 32);
    memcpy(ret_key + 32, first ? b : a, 32);
}

pr_session *tl_pr_session_find(const tl_peerrelay *r, const tl_node_id *a, const tl_node_id *b)
{
    uint8_t key[64];
    pr_session *s;
    pair_key(a, b, key);
    HASH_FIND(hh, r->sessions, key, sizeof key, s);
    return s;
}

uint64_t tl_pr_rate_of(const tl_peerrelay *r, const tl_node_id *id, bool *ret_reciprocal)
{
    const tl_relay_limits *l = &r->config.limits;
    *ret_reciprocal = r->world->is_reciprocal(r->user, id);
    return (*ret_reciprocal ? l->reciprocal_kbps : l->bootstrap_kbps) * UINT64_C(1024);
}

static bool is_reciprocal(const pr_session *s)
{
    return s->side[0].reciprocal || s->side[1].reciprocal;
}

static void set_timer(tl_peerrelay *r, pr_session *s)
{
    tl_time heard = tl_time_max(s->since, tl_tokens_heard(&s->tokens));
    tl_time at = tl_time_min(heard + r->config.limits.idle_timeout, s->ends_at);
    tl_relay_timer_set(&r->timers, &s->timer, tl_time_min(at, s->warn_at));
}

static void drop_held(tl_peerrelay *r, pr_member *m)
{
    while (m->n_held) {
        pr_copy *c = m->held[--m->n_held];
        tl_tokens_was_dropped(r->tokens, TL_TOKENS_BY_UDP, TL_TOKENS_BY_UDP, c->n);
        free(c);
    }
}

/* Gives back all that a session, whole or not, has. */
static void undo(tl_peerrelay *r, pr_session *s, tl_time now)
{
    tl_tokens_close(r->tokens, &s->tokens);
    if (s->pair)
        tl_relay_pairs_end(&r->pairs, s->pair, now);
    for (int i = 0; i < 2; i++) {
        if (s->side[i].payer)
            tl_pr_payer_put(r, s->side[i].payer, now);
        drop_held(r, &s->side[i]);
    }
    free(s);
}

void tl_pr_close(tl_peerrelay *r, pr_session *s, tl_time now)
{
    tl_relay_timer_set(&r->timers, &s->timer, TL_NEVER);
    HASH_DELETE(hh, r->sessions, s);
    DL_DELETE(r->sessions_first, s);
    r->counters.sessions--;
    r->counters.reciprocal -= is_reciprocal(s);
    undo(r, s, now);
}

/* From now on it ends by time. */
static tl_err limit_time(tl_peerrelay *r, pr_session *s, const tl_node_id *a, const tl_node_id *b,
                         tl_time now, tl_unix wall)
{
    const tl_relay_limits *l = &r->config.limits;
    tl_err e = tl_relay_pairs_begin(&r->pairs, a, b, now, &s->pair);
    if (e)
        return e;
    s->ends_at = s->pair->since + l->session_max;
    s->ends_unix = s->warn_ends = wall + (tl_unix)((s->ends_at - now) / TL_SEC);
    s->warn_at = s->ends_at > now + l->session_warn ? s->ends_at - l->session_warn : now;
    return TL_OK;
}

/* Sides, rates, and how long they may. */
static tl_asked equip(tl_peerrelay *r, pr_session *s, const tl_node_id ids[2],
                      const tl_burst_way ways[2], tl_time now, tl_unix wall)
{
    tl_tokens_member members[2];
    for (int i = 0; i < 2; i++) {
        pr_member *m = &s->side[i];
        uint64_t rate = tl_pr_rate_of(r, &ids[i], &m->reciprocal);
        m->session = s;
        m->way = ways[i];
        m->payer = tl_pr_payer_get(r, &ids[i], rate, now);
        if (!m->payer)
            return TL_ASKED_MEMORY;
        members[i] =
            (tl_tokens_member){.node = &m->payer->id, .user = m, .limit = &m->payer->limit};
    }
    if (!is_reciprocal(s)) {
        tl_err e = limit_time(r, s, &ids[0], &ids[1], now, wall);
        if (e)
            return e == TL_ERR_BUSY ? TL_ASKED_PAUSED : TL_ASKED_MEMORY;
    }
    return tl_tokens_open(r->tokens, members, now, &s->tokens) ? TL_ASKED_MEMORY : TL_ASKED_TAKEN;
}

/* False: there is none. */
static bool make_room(tl_peerrelay *r, tl_time now)
{
    if (r->counters.sessions < r->config.limits.max_sessions)
        return true;
    pr_session *s = r->sessions_first;
    while (s && tl_tokens_way(s->tokens.side[0]) && tl_tokens_way(s->tokens.side[1]))
        s = s->next;
    if (!s || now < s->since + TL_PEERRELAY_COME_WITHIN)
        return false; /* those behind it are younger */
    r->counters.ended_idle++;
    tl_pr_close(r, s, now);
    return true;
}

tl_asked tl_pr_open(tl_peerrelay *r, const tl_node_id ids[2], const tl_burst_way ways[2],
                    tl_time now, tl_unix wall, pr_session **ret_session)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[TL_CONTROL_SESSION_MAX / 2];
    if (!make_room(r, now))
        return TL_ASKED_FULL;
    pr_session *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ASKED_MEMORY;
    pair_key(&ids[0], &ids[1], s->key);
    s->since = now;
    s->ends_at = s->warn_at = TL_NEVER;
    s->offers = tl_ratelimit_make(TL_PEERRELAY_OFFERS_PER_SEC, TL_PEERRELAY_OFFERS_BURST, now);
    tl_asked result = equip(r, s, ids, ways, now, wall);
    if (result == TL_ASKED_TAKEN && !TL_TABLE_ADD(hh, r->sessions, key, sizeof s->key, s))
        result = TL_ASKED_MEMORY;
    if (result != TL_ASKED_TAKEN) {
        undo(r, s, now);
        return result;
    }
    tl_rand_bytes(r->rand, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        s->id[2 * i] = digits[random[i] >> 4];
        s->id[2 * i + 1] = digits[random[i] & 15];
    }
    DL_APPEND(r->sessions_first, s);
    r->counters.sessions++;
    r->counters.reciprocal += is_reciprocal(s);
    set_timer(r, s);
    *ret_session = s;
    return TL_ASKED_TAKEN;
}

size_t tl_peerrelay_list(const tl_peerrelay *r, tl_peerrelay_session *ret_list, size_t max)
{
    size_t n = 0;
    for (const pr_session *s = r->sessions_first; s && n < max; s = s->next) {
        tl_peerrelay_session *out = &ret_list[n++];
        *out = (tl_peerrelay_session){.since = s->since,
                                      .ends_at = s->ends_at,
                                      .heard = tl_tokens_heard(&s->tokens),
                                      .bytes = s->bytes};
        for (int i = 0; i < 2; i++) {
            out->node[i] = s->side[i].payer->id;
            out->reciprocal[i] = s->side[i].reciprocal;
        }
    }
    return n;
}

/* --- packets --- */

/* What goes to a side that has not come yet waits for it. */
static void hold(tl_peerrelay *r, pr_member *to, tl_slice payload, tl_time now)
{
    if (to->n_held && now >= to->held_at + TL_PEERRELAY_HELD_FOR)
        drop_held(r, to);
    pr_copy *c = to->n_held < TL_PEERRELAY_HELD_MAX && payload.n <= TL_PEERRELAY_HELD_BYTES
                     ? copy_of(payload)
                     : NULL;
    if (!c) {
        tl_tokens_was_dropped(r->tokens, TL_TOKENS_BY_UDP, TL_TOKENS_BY_UDP, payload.n);
        return;
    }
    if (!to->n_held)
        to->held_at = now;
    to->held[to->n_held++] = c;
}

void tl_pr_release(tl_peerrelay *r, const tl_tokens_side *side, tl_time now)
{
    pr_member *m = tl_tokens_user(side);
    if (now >= m->held_at + TL_PEERRELAY_HELD_FOR)
        drop_held(r, m);
    for (size_t i = 0; i < m->n_held; i++)
        send_copy(r, tl_tokens_way(side), m->held[i]);
    m->n_held = 0;
}

/* What would be taken there for a word of this node, or for a packet to another relay session. */
static bool is_ours_to_say(tl_slice payload)
{
    return payload.n && (tl_control_is(payload) || tl_token_is_first(payload.p[0]));
}

static void on_packet(tl_peerrelay *r, const tl_burst_way *way, tl_slice packet, tl_time now)
{
    const tl_burst_way *to_way;
    tl_tokens_side *to;
    uint64_t bound = tl_tokens_counters_of(r->tokens)->udp_sides;
    r->counters.bytes_in += packet.n;
    tl_tokens_verdict v = tl_tokens_on_datagram(r->tokens, way, packet, now, &to_way, &to);
    if (tl_tokens_counters_of(r->tokens)->udp_sides != bound)
        tl_pr_release(r, tl_tokens_find(r->tokens, packet.p), now);
    if (v == TL_TOKENS_DONE)
        return;
    pr_member *m = tl_tokens_user(to);
    tl_slice payload = tl_slice_of(packet.p + TL_TOKEN_SIZE, packet.n - TL_TOKEN_SIZE);
    if (is_ours_to_say(payload)) {
        tl_tokens_was_dropped(r->tokens, TL_TOKENS_BY_UDP, TL_TOKENS_BY_UDP, payload.n);
        return;
    }
    m->session->bytes += payload.n;
    if (v == TL_TOKENS_TO_STREAM)
        hold(r, m, payload, now);
    else if (tl_bursts_add(&r->bursts, to_way, payload))
        tl_tokens_was_dropped(r->tokens, TL_TOKENS_BY_UDP, TL_TOKENS_BY_UDP, payload.n);
    else
        r->counters.bytes_out += payload.n;
}

void tl_peerrelay_on_datagrams(tl_peerrelay *r, const tl_burst_way *way, uint8_t *bytes, size_t n,
                               size_t segment, tl_time now)
{
    bool loop = r->world->is_ours(r->user, &way->remote);
    for (size_t at = 0; at < n; at += segment) {
        if (loop)
            r->counters.packets_loop++;
        else
            on_packet(r, way, tl_slice_of(bytes + at, n - at < segment ? n - at : segment), now);
    }
}

/* --- time, and what this node decides --- */

static void session_due(tl_peerrelay *r, pr_session *s, tl_time now)
{
    if (s->ends_at <= now) {
        r->counters.ended_max++;
        tl_pr_close(r, s, now);
        return;
    }
    if (tl_time_max(s->since, tl_tokens_heard(&s->tokens)) + r->config.limits.idle_timeout <= now) {
        r->counters.ended_idle++;
        tl_pr_close(r, s, now);
        return;
    }
    if (s->warn_at <= now) {
        tl_pr_warn(r, s);
        s->warn_at =
            ++s->warnings < TL_PEERRELAY_WARNINGS ? now + TL_PEERRELAY_WARN_EVERY : TL_NEVER;
    }
    set_timer(r, s);
}

void tl_peerrelay_on_timer(tl_peerrelay *r, tl_time now)
{
    tl_relay_timer *due;
    tl_tokens_reply reply;
    while ((due = tl_relay_timers_due(&r->timers, now)))
        session_due(r, (pr_session *)((char *)due - offsetof(pr_session, timer)), now);
    while (tl_tokens_on_timer(r->tokens, now, &reply))
        tl_pr_send(r, &reply.way, tl_slice_of(reply.bytes, reply.n));
    tl_attached_on_timer(r->config.attached, now);
    tl_pr_sweep(r, now);
}

tl_time tl_peerrelay_expiry(const tl_peerrelay *r)
{
    tl_time at = tl_time_min(tl_relay_timers_expiry(&r->timers), tl_tokens_expiry(r->tokens));
    return tl_time_min(at, tl_attached_expiry(r->config.attached));
}

/* A session that began with a reciprocal node has no end; if nobody in it is one any more (who vouched
 * for the node was revoked), the two get the time that all others have. */
static void review_time(tl_peerrelay *r, pr_session *s, tl_time now, tl_unix wall)
{
    if (is_reciprocal(s) || s->pair || r->leaving)
        return;
    tl_err e = limit_time(r, s, &s->side[0].payer->id, &s->side[1].payer->id, now, wall);
    if (e == TL_ERR_BUSY) { /* they have had it */
        r->counters.ended_max++;
        tl_pr_close(r, s, now);
    } else if (!e) {
        set_timer(r, s);
    } /* else out of memory: the next review tries again */
}

void tl_peerrelay_review(tl_peerrelay *r, tl_time now, tl_unix wall)
{
    pr_session *s, *next_s;
    DL_FOREACH_SAFE (r->sessions_first, s, next_s) {
        if (!r->world->serves(r->user, &s->side[0].payer->id, &s->side[1].payer->id)) {
            r->counters.ended_policy++;
            tl_pr_close(r, s, now);
            continue;
        }
        r->counters.reciprocal -= is_reciprocal(s);
        for (int i = 0; i < 2; i++) {
            pr_member *m = &s->side[i];
            uint64_t rate = tl_pr_rate_of(r, &m->payer->id, &m->reciprocal);
            tl_pr_payer_set_rate(r, m->payer, rate, now);
        }
        r->counters.reciprocal += is_reciprocal(s);
        review_time(r, s, now, wall);
    }
}

void tl_peerrelay_leave(tl_peerrelay *r, tl_time now, tl_unix ends)
{
    r->leaving = true;
    tl_attached_leave(r->config.attached);
    for (pr_session *s = r->sessions_first; s; s = s->next) {
        s->warnings = 0;
        s->warn_at = now;
        s->warn_ends = ends;
        set_timer(r, s);
    }
    tl_peerrelay_on_timer(r, now);
}
