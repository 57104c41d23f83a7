#include "relay/state.h"

#include <utlist.h>

/* relayOpens that wait for one node's answer: of one other node, and of all. Nodes open one or two. */
#define ASKED_OF_ONE_MAX 16
#define ASKED_MAX        256

/* --- sessions --- */

static void set_session_timer(tl_relay *r, tl_relay_session *s)
{
    tl_time at = TL_NEVER;
    for (int i = 0; i < 2; i++)
        if (s->side[i].blocked)
            at = tl_time_min(at, s->side[i].blocked_at + r->config.paused_max);
    tl_relay_timer_set(&r->session_timers, &s->timer, at);
}

static void block(tl_relay *r, tl_relay_member *sender)
{
    tl_relay_conn *c = sender->node->conn;
    sender->blocked = true;
    sender->blocked_at = r->now;
    tl_relay_member_other(sender)->node->blocking++;
    if (c->paused_by++ == 0) {
        r->counters.pauses++;
        tl_relay_set_paused(r, c, true);
    }
    set_session_timer(r, sender->session);
}

static void unblock(tl_relay *r, tl_relay_member *sender)
{
    tl_relay_conn *c = sender->node->conn;
    if (!sender->blocked)
        return;
    sender->blocked = false;
    tl_relay_member_other(sender)->node->blocking--;
    if (--c->paused_by == 0)
        tl_relay_set_paused(r, c, false);
    set_session_timer(r, sender->session);
}

void tl_relay_unblock(tl_relay *r, tl_relay_node *n)
{
    tl_relay_member *m;
    DL_FOREACH (n->sessions, m) {
        if (!n->blocking)
            break;
        unblock(r, tl_relay_member_other(m));
    }
}

static void tell_close(tl_relay *r, tl_relay_member *m)
{
    tl_buf json = {0};
    if (tl_signal_write_session(&json, TL_SIGNAL_RELAY_CLOSE, tl_relay_member_other(m)->node->hex,
                                m->node->hex, m->session->id))
        tl_relay_send_error(r, m->node->conn, TL_SIGNAL_BUSY, "out of memory",
                            TL_SLICE_LIT("relayClose"));
    else
        tl_relay_send_text(r, m->node->conn, tl_buf_slice(&json));
    tl_buf_clear(&json);
}

static void answered(tl_relay *r, tl_relay_session *s)
{
    s->side[0].node->opening_count--;
    s->side[1].node->asked_count--;
    r->counters.sessions_opening--;
}

/* Ends the session and tells its members, but not the member `knows` (NULL: tells both). */
static void end_session(tl_relay *r, tl_relay_session *s, const tl_relay_node *knows,
                        bool other_knows)
{
    for (int i = 0; i < 2; i++) {
        tl_relay_member *m = &s->side[i];
        unblock(r, m);
        if (m->node->conn->recent == s)
            m->node->conn->recent = NULL;
        if (m->node != knows && !other_knows)
            tell_close(r, m);
    }
    if (s->state == TL_RELAY_OPENING)
        answered(r, s);
    else
        r->counters.sessions_active--;
    tl_relay_timer_set(&r->session_timers, &s->timer, TL_NEVER);
    tl_relay_conn *members[2] = {s->side[0].node->conn, s->side[1].node->conn};
    tl_relay_table_remove(&r->sessions, s);
    tl_relay_account(r, members[0]);
    tl_relay_account(r, members[1]);
}

void tl_relay_end_sessions(tl_relay *r, tl_relay_node *n)
{
    while (n->sessions)
        end_session(r, n->sessions->session, n, false);
}

/* Ends a session because its reader took too long. */
static void end_busy(tl_relay *r, tl_relay_member *sender)
{
    r->counters.sessions_busy++;
    tl_relay_send_error(r, sender->node->conn, TL_SIGNAL_BUSY, "the other node does not read",
                        TL_SLICE_LIT("relayData"));
    end_session(r, sender->session, NULL, false);
}

void tl_relay_on_session_timer(tl_relay *r, tl_relay_session *s)
{
    if (s->state == TL_RELAY_OPENING) {
        r->counters.sessions_unanswered++;
        end_session(r, s, NULL, false);
        return;
    }
    bool first = s->side[0].blocked && s->side[0].blocked_at + r->config.paused_max <= r->now;
    end_busy(r, &s->side[first ? 0 : 1]);
}

/* --- messages --- */

/* Sends the text on unchanged. TL_ERR_NOMEM. */
static tl_err forward(tl_relay *r, tl_relay_node *to, uint8_t *payload, size_t n, bool in_place)
{
    uint8_t header[TL_WS_HEADER_MAX];
    size_t header_n = tl_ws_header_write(header, TL_WS_TEXT, true, n, NULL);
    if (in_place) { /* the new header fits, because the masked header in front was longer */
        uint8_t *start = payload - header_n;
        memcpy(start, header, header_n);
        tl_relay_emit(r, to->conn, tl_slice_of(start, header_n + n), NULL);
    } else {
        tl_relay_chunk *chunk =
            tl_relay_chunk_new(tl_slice_of(header, header_n), tl_slice_of(payload, n));
        if (!chunk)
            return TL_ERR_NOMEM;
        tl_relay_emit(r, to->conn, tl_slice_of(chunk->bytes, chunk->n), chunk);
    }
    r->counters.messages_forwarded++;
    return TL_OK;
}

static bool is_hex_of(tl_slice text, const tl_relay_node *n)
{
    return text.n == TL_NODE_ID_HEX && memcmp(text.p, n->hex, TL_NODE_ID_HEX) == 0;
}

/* The node for which a message is. NULL: the sender was told why it cannot be sent. */
static tl_relay_node *find_target(tl_relay *r, tl_relay_conn *c, const tl_signal *s)
{
    tl_relay_node *to = tl_relay_registry_find_hex(&r->registry, s->to);
    if (!to)
        tl_relay_refuse(r, c, TL_SIGNAL_PEER_NOT_FOUND, "no such node is connected", s);
    else if (to == c->node)
        tl_relay_refuse(r, c, TL_SIGNAL_FORBIDDEN, "the target is the sender itself", s);
    else if (to->conn->queued >= r->config.queue_max)
        tl_relay_refuse(r, c, TL_SIGNAL_BUSY, "the other node does not read", s);
    else
        return to;
    return NULL;
}

/* Does one node ask another again and again without waiting for answers? Who asks few is not
 * looked at. */
static bool asks_too_much(tl_relay *r, const tl_relay_node *from, const tl_relay_node *to)
{
    size_t n = 0;
    const tl_relay_member *m;
    if (from->opening_count < ASKED_OF_ONE_MAX)
        return false;
    DL_FOREACH (from->sessions, m)
        n += m == &m->session->side[0] && m->session->state == TL_RELAY_OPENING &&
             m->session->side[1].node == to;
    tl_relay_address_worked(from->conn->address, from->session_count / 32 * TL_US, r->now);
    return n >= ASKED_OF_ONE_MAX;
}

/* The opening that has waited longest for this node's answer ends: an honest one is answered in a
 * round trip, those of a flood wait. */
static void end_oldest_asked(tl_relay *r, const tl_relay_node *to)
{
    for (tl_relay_member *m = to->sessions->prev;; m = m->prev)
        if (m == &m->session->side[1] && m->session->state == TL_RELAY_OPENING) {
            r->counters.sessions_unanswered++;
            end_session(r, m->session, NULL, false);
            return;
        }
}

static tl_err open_session(tl_relay *r, tl_relay_node *from, tl_relay_node *to, tl_slice id)
{
    tl_relay_session *session;
    const tl_relay_config *limits = &r->config;
    if (asks_too_much(r, from, to))
        return TL_ERR_BUSY;
    if (to->asked_count >= ASKED_MAX)
        end_oldest_asked(r, to);
    if (r->sessions.count >= limits->sessions_max ||
        from->session_count >= limits->sessions_per_node_max ||
        to->session_count >= limits->sessions_per_node_max ||
        from->opening_count >= limits->opening_per_node_max)
        return TL_ERR_BUSY;
    tl_err e = tl_relay_timers_reserve(&r->session_timers, r->sessions.count + 1);
    if (!e)
        e = tl_relay_table_add(&r->sessions, id, from, to, &session);
    if (e)
        return e;
    tl_relay_account(r, from->conn);
    tl_relay_account(r, to->conn);
    from->opening_count++;
    to->asked_count++;
    r->counters.sessions_opening++;
    tl_relay_timer_set(&r->session_timers, &session->timer, r->now + limits->open_within);
    return TL_OK;
}

static void on_open(tl_relay *r, tl_relay_conn *c, const tl_signal *s, uint8_t *payload, size_t n,
                    bool in_place)
{
    tl_relay_node *to = find_target(r, c, s);
    if (!to)
        return;
    if (tl_relay_table_find(&r->sessions, s->session)) {
        tl_relay_refuse(r, c, TL_SIGNAL_FORBIDDEN, "this sessionID is in use", s);
        return;
    }
    if (open_session(r, c->node, to, s->session)) {
        tl_relay_refuse(r, c, TL_SIGNAL_BUSY, "too many sessions", s);
        return;
    }
    if (forward(r, to, payload, n, in_place))
        end_session(r, tl_relay_table_find(&r->sessions, s->session), to, false);
}

/* The sender's side of the session that the message names. NULL: the sender was told why there is
 * none. */
static tl_relay_member *find_member(tl_relay *r, tl_relay_conn *c, const tl_signal *s)
{
    tl_relay_session *session = c->recent;
    if (!session || !tl_relay_session_is(session, s->session))
        session = tl_relay_table_find(&r->sessions, s->session);
    if (!session) {
        tl_relay_refuse(r, c, TL_SIGNAL_SESSION_NOT_FOUND, "no such session", s);
        return NULL;
    }
    tl_relay_member *m = tl_relay_session_side(session, c->node);
    if (!m || !is_hex_of(s->to, tl_relay_member_other(m)->node)) {
        tl_relay_refuse(r, c, TL_SIGNAL_FORBIDDEN, "a session of others", s);
        return NULL;
    }
    return m;
}

static void on_ready(tl_relay *r, tl_relay_conn *c, const tl_signal *s, uint8_t *payload, size_t n,
                     bool in_place)
{
    tl_relay_member *m = find_member(r, c, s);
    if (!m)
        return;
    tl_relay_session *session = m->session;
    if (m != &session->side[1] || session->state != TL_RELAY_OPENING) {
        tl_relay_refuse(r, c, TL_SIGNAL_FORBIDDEN, "not a session that waits for this node", s);
        return;
    }
    tl_relay_session_open(session);
    answered(r, session);
    tl_ratelimit_give_back(&c->control); /* others' questions must not use up a node's rate */
    r->counters.sessions_active++;
    r->counters.sessions_opened++;
    set_session_timer(r, session);
    if (forward(r, session->side[0].node, payload, n, in_place))
        end_session(r, session, NULL, false);
}

static void on_data(tl_relay *r, tl_relay_conn *c, const tl_signal *s, uint8_t *payload, size_t n,
                    bool in_place)
{
    tl_relay_member *m = find_member(r, c, s);
    if (!m)
        return;
    if (m->session->state != TL_RELAY_OPEN) {
        tl_relay_refuse(r, c, TL_SIGNAL_SESSION_NOT_FOUND, "the session is not open yet", s);
        return;
    }
    tl_relay_node *to = tl_relay_member_other(m)->node;
    /* At twice queue_max a session ends: not even data that many senders had under way is kept. */
    if (to->conn->queued >= 2 * r->config.queue_max || forward(r, to, payload, n, in_place)) {
        end_busy(r, m);
        return;
    }
    c->recent = m->session;
    r->counters.bytes_forwarded += s->data.n / 4 * 3;
    if (to->conn->queued >= r->config.queue_max && !m->blocked)
        block(r, m);
}

static void on_close(tl_relay *r, tl_relay_conn *c, const tl_signal *s, uint8_t *payload, size_t n,
                     bool in_place)
{
    tl_relay_member *m = find_member(r, c, s);
    if (!m)
        return;
    if (m == &m->session->side[1] && m->session->state == TL_RELAY_OPENING)
        tl_ratelimit_give_back(&c->control); /* as in on_ready */
    bool told = !forward(r, tl_relay_member_other(m)->node, payload, n, in_place);
    end_session(r, m->session, c->node, told);
}

void tl_relay_route(tl_relay *r, tl_relay_conn *c, const tl_signal *s, uint8_t *payload, size_t n,
                    bool in_place)
{
    if (!is_hex_of(s->from, c->node)) {
        tl_relay_refuse(r, c, TL_SIGNAL_FORBIDDEN, "fromNodeID names another node", s);
        return;
    }
    switch (s->type) {
    case TL_SIGNAL_RELAY_DATA: on_data(r, c, s, payload, n, in_place); break;
    case TL_SIGNAL_RELAY_OPEN: on_open(r, c, s, payload, n, in_place); break;
    case TL_SIGNAL_RELAY_READY: on_ready(r, c, s, payload, n, in_place); break;
    case TL_SIGNAL_RELAY_CLOSE: on_close(r, c, s, payload, n, in_place); break;
    default: {
        tl_relay_node *to = find_target(r, c, s);
        if (to && forward(r, to, payload, n, in_place))
            tl_relay_refuse(r, c, TL_SIGNAL_BUSY, "out of memory", s);
    }
    }
}
