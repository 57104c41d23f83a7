/* What nodes ask by control datagrams: Attach, RelayRequest, and the moves of sides. */
#include "relay/peerrelay_state.h"

#include "relay/reach.h"

#include <assert.h>

/* --- what this node says --- */

static const tl_addr *address_for(const tl_peerrelay *r, const tl_addr *remote)
{
    const tl_addr *a = remote->family == TL_ADDR_V6 ? &r->address6 : &r->address4;
    return a->family == TL_ADDR_NONE ? NULL : a;
}

/* Nothing is sent if there is no memory to sign it: as if it were lost on its way. */
static void send_signed(tl_peerrelay *r, const tl_burst_way *way, tl_control *c)
{
    uint8_t bytes[TL_CONTROL_MAX];
    if (tl_control_sign(c, r->config.identity))
        return;
    size_t n = tl_control_write(c, bytes);
    assert(n <= TL_PEERRELAY_OFFER_MAX);
    tl_pr_send(r, way, tl_slice_of(bytes, n));
}

static void send_offer(tl_peerrelay *r, const pr_session *s, int i, tl_unix wall)
{
    const pr_member *m = &s->side[i];
    tl_control c = {.type = TL_CONTROL_RELAY_OFFER,
                    .addr = *address_for(r, &m->way.remote),
                    .expires_at = s->pair ? (uint64_t)s->ends_unix : 0,
                    .limit = m->payer->rate,
                    .timestamp = (uint64_t)wall};
    memcpy(c.nonce, s->nonce, sizeof c.nonce);
    memcpy(c.peer, s->side[!i].payer->id.key, sizeof c.peer);
    memcpy(c.to, m->payer->id.key, sizeof c.to);
    memcpy(c.relay, r->config.identity->id.key, sizeof c.relay);
    memcpy(c.session, s->id, sizeof c.session);
    memcpy(c.token, tl_tokens_token(s->tokens.side[i]), sizeof c.token);
    send_signed(r, &m->way, &c);
}

void tl_pr_warn(tl_peerrelay *r, pr_session *s)
{
    tl_control c = {.type = TL_CONTROL_RELAY_WARNING, .ends_at = (uint64_t)s->warn_ends};
    memcpy(c.nonce, s->nonce, sizeof c.nonce);
    memcpy(c.relay, r->config.identity->id.key, sizeof c.relay);
    memcpy(c.session, s->id, sizeof c.session);
    for (int i = 0; i < 2; i++) {
        const tl_burst_way *way = tl_tokens_way(s->tokens.side[i]);
        if (!way)
            continue; /* nothing has come from there */
        r->counters.warnings++;
        send_signed(r, way, &c);
    }
}

/* --- what is asked --- */

/* The IDs are compared, and looked up, before it is known that they are usable keys. */
static tl_node_id raw_id(const uint8_t *key)
{
    tl_node_id id;
    memcpy(id.key, key, sizeof id.key);
    return id;
}

/* Can RelayOffers and packets go there? */
static bool is_good_way(const tl_peerrelay *r, const tl_burst_way *way)
{
    return address_for(r, &way->remote) && tl_attached_may_send(r->config.attached, way);
}

/* Are the sides where they were? One that has not sent its first packet yet may be anywhere. */
static bool is_where_it_was(const pr_session *s, const tl_node_id *node, const tl_burst_way *way)
{
    int i = !tl_node_id_eq(&s->side[0].payer->id, node);
    const tl_burst_way *bound = tl_tokens_way(s->tokens.side[i]);
    return !bound || tl_addr_eq(&bound->remote, &way->remote);
}

/* The relay session of the two: the one that they have, if both are still there, or a new one. */
static tl_asked session_for(tl_peerrelay *r, const tl_node_id ids[2], const tl_burst_way ways[2],
                            tl_time now, tl_unix wall, pr_session **ret_session)
{
    pr_session *s = tl_pr_session_find(r, &ids[0], &ids[1]);
    if (s && !tl_ratelimit_take(&s->offers, 1, now))
        return TL_ASKED_RATE;
    if (s && is_where_it_was(s, &ids[0], &ways[0]) && is_where_it_was(s, &ids[1], &ways[1])) {
        for (int i = 0; i < 2; i++)
            s->side[i].way = ways[!tl_node_id_eq(&s->side[i].payer->id, &ids[0])];
        *ret_session = s;
        return TL_ASKED_AGAIN;
    }
    if (s) {
        tl_ratelimit offers = s->offers;
        tl_pr_close(r, s, now);
        r->counters.ended_moved++;
        tl_asked result = tl_pr_open(r, ids, ways, now, wall, ret_session);
        if (result == TL_ASKED_TAKEN)
            (*ret_session)->offers = offers;
        return result;
    }
    tl_asked result = tl_pr_open(r, ids, ways, now, wall, ret_session);
    if (result == TL_ASKED_TAKEN)
        (void)tl_ratelimit_take(&(*ret_session)->offers, 1, now);
    return result;
}

static tl_asked on_request(tl_peerrelay *r, const tl_burst_way *way, const tl_control *c,
                           tl_time now, tl_unix wall)
{
    tl_node_id ids[2] = {raw_id(c->initiator), raw_id(c->target)};
    tl_burst_way ways[2] = {*way};
    const tl_node_id *self = &r->config.identity->id;
    pr_session *s = NULL;
    tl_asked result = address_for(r, &way->remote)
                          ? tl_attached_look(r->config.attached, way, c, c->relay, wall)
                          : TL_ASKED_ADDRESS;
    if (result != TL_ASKED_TAKEN)
        return result;
    if (tl_node_id_eq(&ids[0], self) || tl_node_id_eq(&ids[1], self) ||
        tl_node_id_eq(&ids[0], &ids[1]))
        return TL_ASKED_LOOP;
    if (tl_attached_knows_nonce(r->config.attached, c->initiator, c->nonce))
        return TL_ASKED_REPLAYED;
    if (r->leaving || !r->world->serves(r->user, &ids[0], &ids[1]))
        return TL_ASKED_POLICY;
    if (!tl_attached_find(r->config.attached, &ids[1], &ways[1]))
        return TL_ASKED_ABSENT;
    if (!is_good_way(r, &ways[1]))
        return TL_ASKED_ADDRESS;
    result = tl_attached_prove(r->config.attached, way, c, c->initiator, now);
    if (result == TL_ASKED_TAKEN)
        result = session_for(r, ids, ways, now, wall, &s);
    if (!s)
        return result;
    memcpy(s->nonce, c->nonce, sizeof s->nonce);
    send_offer(r, s, 1,
               wall); /* the target of a new session first: it is to come before the payload */
    send_offer(r, s, 0, wall);
    return result;
}

/* --- all --- */

/* The moves of sides are the business of the table of tokens. */
static void on_move(tl_peerrelay *r, const tl_burst_way *way, tl_slice datagram, tl_time now,
                    tl_unix wall)
{
    tl_tokens_reply reply;
    tl_control c;
    uint64_t bound = tl_peerrelay_tokens(r)->udp_sides;
    if (r->world->is_ours(r->user, &way->remote)) {
        r->counters.packets_loop++;
        return;
    }
    if (tl_tokens_on_control(r->tokens, way, datagram, now, wall, &reply))
        tl_pr_send(r, &reply.way, tl_slice_of(reply.bytes, reply.n));
    if (tl_peerrelay_tokens(r)->udp_sides != bound && !tl_control_parse(datagram, &c))
        tl_pr_release(r, tl_tokens_find(r->tokens, c.token), now);
}

static void on_attach(tl_peerrelay *r, const tl_burst_way *way, tl_slice datagram, tl_time now,
                      tl_unix wall)
{
    uint8_t reply[TL_ATTACHED_REPLY_MAX];
    tl_asked asked;
    tl_control c;
    size_t n = tl_attached_on_attach(r->config.attached, way, datagram, now, wall, reply, &asked);
    if (n)
        tl_pr_send(r, way, tl_slice_of(reply, n));
    if ((asked == TL_ASKED_TAKEN || asked == TL_ASKED_AGAIN) && !tl_control_parse(datagram, &c)) {
        tl_node_id node = raw_id(c.node);
        (void)r->world->is_reciprocal(r->user, &node); /* early: the answer may take a moment */
    }
}

bool tl_peerrelay_on_control(tl_peerrelay *r, const tl_burst_way *way, tl_slice datagram,
                             tl_time now, tl_unix wall)
{
    tl_control c;
    tl_asked result = TL_ASKED_MALFORMED;
    tl_control_type type = tl_control_peek(datagram);
    switch (type) {
    case TL_CONTROL_RELAY_MIGRATE:
    case TL_CONTROL_RELAY_PATH_REPLY:
        r->counters.bytes_in += datagram.n;
        on_move(r, way, datagram, now, wall);
        return true;
    case TL_CONTROL_ATTACH:
        r->counters.bytes_in += datagram.n;
        on_attach(r, way, datagram, now, wall);
        return true;
    case TL_CONTROL_RELAY_REQUEST:
        r->counters.bytes_in += datagram.n;
        tl_attached_on_timer(r->config.attached, now);
        tl_pr_sweep(r, now);
        if (!tl_control_parse(datagram, &c))
            result = on_request(r, way, &c, now, wall);
        r->counters.requests[result]++;
        return true;
    default: return false;
    }
}
