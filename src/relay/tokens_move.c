#include "relay/tokens_state.h"

#include "relay/reach.h"
#include "relay/signed.h"

#include <assert.h>
#include <sodium.h>

static void set_move(tl_relay_tokens *t, tl_tokens_side *s, move_state state, tl_time next)
{
    assert(state == MOVE_ASKED || s->move.state == MOVE_ASKED);
    s->move.state = state;
    tl_relay_timer_set(&t->timers, &s->move.timer, next);
}

void tl_tokens_stop_move(tl_relay_tokens *t, tl_tokens_side *s)
{
    if (s->move.state == MOVE_ASKED)
        set_move(t, s, MOVE_STILL, TL_NEVER);
}

static bool refuse(tl_relay_tokens *t)
{
    t->counters.refused++;
    return false;
}

static bool drop(tl_relay_tokens *t)
{
    t->counters.dropped[TL_TOKENS_DROP_CONTROL]++;
    return false;
}

/* --- which addresses a side may move to --- */

static bool is_own(const tl_relay_tokens *t, const tl_addr *a, const tl_addr *asked)
{
    for (size_t i = 0; i < t->config.socket_count; i++)
        if (tl_addr_eq(a, &t->config.sockets[i]))
            return true;
    return asked && tl_addr_same_ip(a, asked) && a->port == asked->port;
}

/* From where the relay would send to `to`: from the socket that was asked if it has this family,
 * else from the first that has. False: from none, or never to there. */
static bool find_way(const tl_relay_tokens *t, const tl_burst_way *asked, const tl_addr *to,
                     tl_burst_way *ret)
{
    size_t i = 0;
    tl_burst_way way = {.remote = *to};
    if (asked && asked->remote.family == to->family) {
        way.local = asked->local;
        i = asked->socket;
    } else {
        while (i < t->config.socket_count && t->config.sockets[i].family != to->family)
            i++;
    }
    if (i >= t->config.socket_count || is_own(t, to, asked ? &asked->local : NULL))
        return false;
    way.socket = (uint8_t)i;
    const tl_addr *from = &t->config.sockets[i];
    bool good = tl_addr_is_unspecified(from) ? to->port && tl_reach_of(to) == TL_REACH_OTHER
                                             : tl_reach_is_allowed(to, from);
    if (good)
        *ret = way;
    return good;
}

/* --- what the relay sends --- */

static void reply_to(const tl_burst_way *way, const tl_control *c, tl_tokens_reply *ret)
{
    uint8_t bytes[TL_CONTROL_MAX];
    ret->way = *way;
    ret->n = tl_control_write(c, bytes);
    assert(ret->n <= sizeof ret->bytes);
    memcpy(ret->bytes, bytes, ret->n);
}

static void send_path(tl_relay_tokens *t, tl_tokens_side *s, tl_time now, tl_tokens_reply *ret)
{
    tl_control c = {.type = TL_CONTROL_RELAY_PATH, .sequence = s->move.sequence};
    memcpy(c.nonce, s->move.nonce, sizeof c.nonce);
    s->move.tries++;
    set_move(t, s, MOVE_ASKED, now + TL_TOKENS_TRY_EVERY);
    reply_to(&s->move.way, &c, ret);
}

static void send_migrated(const tl_tokens_side *s, tl_tokens_reply *ret)
{
    tl_control c = {.type = TL_CONTROL_RELAY_MIGRATED, .sequence = s->move.done};
    reply_to(&s->way, &c, ret);
}

/* --- input --- */

/* Cheap tests come first, the signature last. */
static bool on_migrate(tl_relay_tokens *t, const tl_burst_way *way, const tl_control *c,
                       tl_time now, tl_unix wall, tl_tokens_reply *ret)
{
    tl_burst_way to;
    tl_tokens_side *s = tl_tokens_find(t, c->token);
    if (!s)
        return drop(t);
    if (!tl_control_is_fresh(c, wall) || c->sequence <= s->move.sequence ||
        !find_way(t, way, &c->addr, &to) || !tl_ratelimit_take(&s->move.proofs, 1, now) ||
        !tl_ratelimit_take(&t->proofs, 1, now) || tl_control_verify(c, s->node))
        return refuse(t);
    if (s->move.state == MOVE_ASKED)
        t->counters.unanswered++; /* the newer one takes its place */
    s->move.sequence = c->sequence;
    s->move.tries = 0;
    s->move.way = to;
    tl_rand_bytes(t->rand, s->move.nonce, sizeof s->move.nonce);
    send_path(t, s, now, ret);
    return true;
}

static bool on_path_reply(tl_relay_tokens *t, const tl_burst_way *way, const tl_control *c,
                          tl_tokens_reply *ret)
{
    tl_tokens_side *s = way ? tl_tokens_find(t, c->token) : NULL;
    if (!s || !s->move.sequence ||
        sodium_memcmp(c->nonce, s->move.nonce, sizeof s->move.nonce) != 0)
        return drop(t);
    if (s->move.state == MOVE_ASKED && tl_addr_eq(&way->remote, &s->move.way.remote)) {
        set_move(t, s, MOVE_STILL, TL_NEVER);
        s->move.done = s->move.sequence;
        tl_tokens_bind(t, s, way);
        t->counters.moved++;
    } else if (s->move.done != s->move.sequence || !tl_addr_eq(&way->remote, &s->way.remote)) {
        return drop(t);
    } /* else the RelayMigrated was lost */
    send_migrated(s, ret);
    return true;
}

bool tl_tokens_on_control(tl_relay_tokens *t, const tl_burst_way *way, tl_slice datagram,
                          tl_time now, tl_unix wall, tl_tokens_reply *ret_reply)
{
    tl_control c;
    tl_control_type type = tl_control_peek(datagram);
    if ((type != TL_CONTROL_RELAY_MIGRATE && type != TL_CONTROL_RELAY_PATH_REPLY) ||
        tl_control_parse(datagram, &c))
        return drop(t);
    return type == TL_CONTROL_RELAY_MIGRATE ? on_migrate(t, way, &c, now, wall, ret_reply)
                                            : on_path_reply(t, way, &c, ret_reply);
}

bool tl_tokens_on_timer(tl_relay_tokens *t, tl_time now, tl_tokens_reply *ret_reply)
{
    tl_relay_timer *due;
    while ((due = tl_relay_timers_due(&t->timers, now))) {
        side_move *move = (side_move *)((char *)due - offsetof(side_move, timer));
        tl_tokens_side *s = (tl_tokens_side *)((char *)move - offsetof(tl_tokens_side, move));
        if (move->tries < TL_TOKENS_TRIES) {
            send_path(t, s, now, ret_reply);
            return true;
        }
        set_move(t, s, MOVE_STILL, TL_NEVER);
        t->counters.unanswered++;
    }
    return false;
}

tl_time tl_tokens_expiry(const tl_relay_tokens *t)
{
    return tl_relay_timers_expiry(&t->timers);
}
