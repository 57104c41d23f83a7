#include "relay/fed_state.h"
#include "relay/state.h"

#include <stdio.h>
#include <utlist.h>

/* relayOpens that wait for one node's answer: of one other node, and of all. Nodes open one or two. */
#define ASKED_OF_ONE_MAX  16
#define ASKED_MAX         256
/* Bytes of signalling from one node to another: an attempt at a direct path takes 4 KiB, a relayOpen
 * 300 bytes. All strangers of one address together may send four times as much to one node. */
#define SIGNALS_PER_SEC   (16u << 10)
#define SIGNALS_BURST     (64u << 10)
#define STRANGERS_FACTOR  4
#define STRANGER_LINE_MAX (64u << 10) /* bytes that may wait of one address's strangers */
#define CLOSE_MAX         1024        /* bytes of a relayClose; one needs 250 */

/* --- sessions --- */

/* In which line the member's messages wait at the other one. */
static tl_relay_whose line_of(const tl_relay_member *m)
{
    const tl_relay_session *s = m->session;
    bool asks = s->state == TL_RELAY_OPENING && m == &s->side[0];
    return asks ? tl_relay_stranger_line_of(m->node) : tl_relay_line_of(m->node);
}

/* A text as it came, and where it lies. */
typedef struct {
    tl_signal_type type;
    tl_slice session;
    uint8_t *payload;
    size_t n;
    bool in_place;
} routed;

/* To the node's socket, or to its relay. TL_ERR_NOMEM; TL_ERR_BUSY: its relay cannot be reached. */
static tl_err deliver(tl_relay *r, const tl_relay_node *from, tl_relay_node *to,
                      tl_relay_whose whose, const routed *t, tl_relay_line **ret_line)
{
    *ret_line = NULL;
    if (!to->conn)
        return tl_fed_forward(r, t->type, from, to, t->session, tl_slice_of(t->payload, t->n));
    return tl_relay_pass(r, to->conn, whose, TL_WS_TEXT, t->payload, t->n, t->in_place, ret_line);
}

static void refuse(tl_relay *r, tl_relay_node *from, tl_signal_code code, const char *words,
                   const tl_signal *s)
{
    if (from->conn)
        tl_relay_refuse(r, from->conn, code, words, s);
    else
        tl_fed_refuse(r, from, code, words, s->type, s->session);
}

/* Comes behind what the other member sent. `reason` NULL: none is told. */
static void tell_close(tl_relay *r, tl_relay_member *m, const char *reason)
{
    tl_buf json = {0};
    tl_relay_line *line;
    tl_relay_member *other = tl_relay_member_other(m);
    tl_err e = reason ? tl_signal_write_close(&json, other->node->hex, m->node->hex, m->session->id,
                                              reason)
                      : tl_signal_write_session(&json, TL_SIGNAL_RELAY_CLOSE, other->node->hex,
                                                m->node->hex, m->session->id);
    routed t = {TL_SIGNAL_RELAY_CLOSE, tl_slice_of(m->session->id, m->session->id_n),
                tl_buf_begin(&json), json.len, false};
    if (!e)
        e = deliver(r, other->node, m->node, line_of(other), &t, &line);
    if (e && m->node->conn)
        tl_relay_send_error(r, m->node->conn, TL_SIGNAL_BUSY, "out of memory",
                            TL_SLICE_LIT("relayClose"));
    tl_buf_clear(&json);
}

uint64_t tl_relay_counts_here(const tl_relay_session *s)
{
    const tl_relay_node *opener = s->side[0].node;
    return !opener->away || !opener->away->peer->near;
}

static void answered(tl_relay *r, tl_relay_session *s)
{
    s->side[0].node->opening_count--;
    s->side[1].node->asked_count--;
    r->counters.sessions_opening -= tl_relay_counts_here(s);
}

/* Ends the session and tells its members, but not the member `knows` (NULL: tells both). */
static void end_for(tl_relay *r, tl_relay_session *s, const tl_relay_node *knows, bool other_knows,
                    const char *reason)
{
    tl_tokens_close(r->tokens, &s->tokens);
    tl_relay_tiers_end(r, s);
    for (int i = 0; i < 2; i++) {
        tl_relay_member *m = &s->side[i];
        tl_relay_unblock(r, m);
        tl_fed_unstall(r, m);
        tl_relay_set_held(r, m, 0);
        if (m->node->conn && m->node->conn->recent == s)
            m->node->conn->recent = NULL;
        if (m->node != knows && !other_knows)
            tell_close(r, m, reason);
    }
    if (s->state == TL_RELAY_OPENING)
        answered(r, s);
    else
        r->counters.sessions_active -= tl_relay_counts_here(s);
    tl_relay_timer_set(&r->session_timers, &s->timer, TL_NEVER);
    tl_relay_conn *members[2] = {s->side[0].node->conn, s->side[1].node->conn};
    tl_relay_table_remove(&r->sessions, s);
    for (int i = 0; i < 2; i++)
        if (members[i])
            tl_relay_account(r, members[i]);
}

static void end_session(tl_relay *r, tl_relay_session *s, const tl_relay_node *knows,
                        bool other_knows)
{
    end_for(r, s, knows, other_knows, NULL);
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
    const char *words = "the other node does not read";
    if (sender->node->conn)
        tl_relay_send_error(r, sender->node->conn, TL_SIGNAL_BUSY, words,
                            TL_SLICE_LIT("relayData"));
    else
        tl_fed_refuse(r, sender->node, TL_SIGNAL_BUSY, words, TL_SIGNAL_RELAY_DATA,
                      tl_slice_of(sender->session->id, sender->session->id_n));
    end_session(r, sender->session, NULL, false);
}

void tl_relay_drop_session(tl_relay *r, tl_relay_session *s, const tl_relay_node *knows,
                           bool other_knows)
{
    end_session(r, s, knows, other_knows);
}

void tl_relay_on_session_timer(tl_relay *r, tl_relay_session *s)
{
    if (s->state == TL_RELAY_OPENING) {
        r->counters.sessions_unanswered++;
        end_session(r, s, NULL, false);
        return;
    }
    for (int i = 0; i < 2; i++) {
        tl_relay_member *m = &s->side[i];
        if ((m->blocked_in || m->held) && m->blocked_at + tl_relay_patience(r, m) <= r->now) {
            end_busy(r, m);
            return;
        }
    }
    const char *reason = tl_relay_tiers_due(r, s);
    if (reason)
        end_for(r, s, NULL, false, reason);
    else
        tl_relay_set_session_timer(r, s);
}

/* --- messages --- */

/* Sends the text on unchanged. As `deliver`. */
static tl_err forward(tl_relay *r, const tl_relay_node *from, tl_relay_node *to,
                      tl_relay_whose whose, const routed *t, tl_relay_line **ret_line)
{
    tl_err e = deliver(r, from, to, whose, t, ret_line);
    r->counters.messages_forwarded += !e;
    return e;
}

static bool is_hex_of(tl_slice text, const tl_relay_node *n)
{
    return text.n == TL_NODE_ID_HEX && memcmp(text.p, n->hex, TL_NODE_ID_HEX) == 0;
}

/* The gateway of the public network reads the node ID out of these very words. */
static void refuse_absent(tl_relay *r, tl_relay_node *from, const tl_signal *s)
{
    char words[sizeof "Peer  is not connected" + TL_NODE_ID_HEX] = "no such node is connected";
    if (s->to.n == TL_NODE_ID_HEX && tl_utf8_is(s->to))
        snprintf(words, sizeof words, "Peer %.*s is not connected", (int)s->to.n,
                 (const char *)s->to.p);
    refuse(r, from, TL_SIGNAL_PEER_NOT_FOUND, words, s);
}

void tl_relay_refuse_gone(tl_relay *r, tl_relay_node *from, const tl_node_id *to,
                          tl_signal_type about, tl_slice session)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, to);
    tl_signal s = {.type = about,
                   .type_name = tl_slice_str(tl_signal_type_name(about)),
                   .to = tl_slice_str(hex),
                   .session = session};
    refuse_absent(r, from, &s);
    tl_relay_session *opening = tl_relay_table_find(&r->sessions, session);
    if (opening && about == TL_SIGNAL_RELAY_OPEN && tl_relay_session_side(opening, from))
        end_session(r, opening, NULL, true);
}

/* The node for which a message is. NULL: the sender was told why it cannot be sent. */
static tl_relay_node *find_target(tl_relay *r, tl_relay_node *from, const tl_signal *s)
{
    tl_relay_node *to = tl_relay_registry_find_hex(&r->registry, s->to);
    if (!to || (!to->conn && !from->conn)) /* another relay's word never goes on to a third */
        refuse_absent(r, from, s);
    else if (to == from)
        refuse(r, from, TL_SIGNAL_FORBIDDEN, "the target is the sender itself", s);
    else if (!to->conn && !tl_fed_reaches(r, from, to))
        refuse(r, from, TL_SIGNAL_BUSY, "the relay of that node cannot be reached now", s);
    else
        return to;
    return NULL;
}

/* --- signalling: offers, answers, candidates, and questions for sessions --- */

/* The processor time is the sender's address's; a sender at another relay was charged there. */
static void worked(tl_relay *r, const tl_relay_node *from, tl_time spent)
{
    if (from->conn)
        tl_relay_address_worked(from->conn->address, spent, r->now);
}

/* Has the other agreed to a session with this node? */
static bool is_accepted(tl_relay *r, const tl_relay_node *from, const tl_relay_node *to)
{
    const tl_relay_node *few = from->session_count < to->session_count ? from : to;
    tl_relay_member *m;
    worked(r, from, few->session_count / 32 * TL_US);
    DL_FOREACH (few->sessions, m)
        if (m->session->state == TL_RELAY_OPEN &&
            tl_relay_member_other(m)->node == (few == from ? to : from))
            return true;
    return false;
}

/* Do as many bytes of signalling as this go to that node too often? */
static bool signals_too_much(tl_relay *r, const tl_relay_node *from, const tl_relay_node *to,
                             size_t n, bool is_stranger)
{
    tl_relay_whose at = tl_relay_line_of(to), whose = tl_relay_line_of(from);
    tl_relay_spender one = {.to = at.sender, .from = whose.sender};
    tl_relay_spender all = {.to = at.sender, .from = whose.group, .of_address = 1};
    return !tl_relay_spending_take(&r->spending, &one, n, SIGNALS_PER_SEC, SIGNALS_BURST, r->now) ||
           (is_stranger &&
            !tl_relay_spending_take(&r->spending, &all, n, STRANGERS_FACTOR * SIGNALS_PER_SEC,
                                    STRANGERS_FACTOR * SIGNALS_BURST, r->now));
}

/* Is there room for `n` bytes in a line of signalling at `to`? A stranger of whose address nothing
 * waits finds room also when others have filled the room of strangers. */
static bool has_room(const tl_relay *r, const tl_relay_conn *to, tl_relay_whose whose, size_t n)
{
    const tl_relay_line *line = tl_relay_lines_find(&to->lines, whose.group, whose.sender);
    if (!line)
        return tl_relay_waiting(to) + n <= tl_relay_waiting_max(r);
    if (whose.group != TL_RELAY_STRANGERS)
        return line->bytes < tl_relay_line_max(r);
    return line->bytes + n <= STRANGER_LINE_MAX &&
           line->group->bytes + n <= r->config.queue_max / 2;
}

/* Where a message of signalling is to wait. False: it may not be sent, and the sender was told. */
static bool may_signal(tl_relay *r, tl_relay_node *from, const tl_signal *s,
                       const tl_relay_node *to, size_t n, tl_relay_whose *ret_whose)
{
    bool is_stranger = s->type == TL_SIGNAL_RELAY_OPEN || !is_accepted(r, from, to);
    tl_relay_whose whose = is_stranger ? tl_relay_stranger_line_of(from) : tl_relay_line_of(from);
    if (signals_too_much(r, from, to, n, is_stranger))
        refuse(r, from, TL_SIGNAL_RATE_LIMITED, "too many bytes for one node", s);
    else if (to->conn ? !has_room(r, to->conn, whose, n) : tl_fed_is_congested(r, to))
        refuse(r, from, TL_SIGNAL_BUSY, "the other node does not read", s);
    else
        return *ret_whose = whose, true;
    return false;
}

static void on_offer(tl_relay *r, tl_relay_node *from, const tl_signal *s, const routed *t)
{
    tl_relay_whose whose;
    tl_relay_line *line;
    tl_relay_node *to = find_target(r, from, s);
    if (to && may_signal(r, from, s, to, t->n, &whose) && forward(r, from, to, whose, t, &line))
        refuse(r, from, TL_SIGNAL_BUSY, "out of memory", s);
}

/* --- sessions that begin --- */

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
    worked(r, from, from->session_count / 32 * TL_US);
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
    if (from->conn)
        tl_relay_account(r, from->conn);
    if (to->conn)
        tl_relay_account(r, to->conn);
    from->opening_count++;
    to->asked_count++;
    r->counters.sessions_opening += tl_relay_counts_here(session);
    tl_relay_timer_set(&r->session_timers, &session->timer, r->now + limits->open_within);
    return TL_OK;
}

static void on_open(tl_relay *r, tl_relay_node *from, const tl_signal *s, const routed *t)
{
    tl_relay_whose whose;
    tl_relay_line *line;
    tl_relay_node *to = find_target(r, from, s);
    if (!to)
        return;
    if (tl_relay_table_find(&r->sessions, s->session)) {
        refuse(r, from, TL_SIGNAL_FORBIDDEN, "the sessionID is in use", s);
        return;
    }
    tl_signal_code code = tl_relay_may_open(r, from, to);
    if (code != TL_SIGNAL_CODES) {
        refuse(r, from, code, tl_relay_why_not_open(code), s);
        return;
    }
    if (!may_signal(r, from, s, to, t->n, &whose))
        return;
    if (open_session(r, from, to, s->session)) {
        refuse(r, from, TL_SIGNAL_BUSY, "too many sessions", s);
        return;
    }
    if (forward(r, from, to, whose, t, &line))
        end_session(r, tl_relay_table_find(&r->sessions, s->session), to, false);
}

/* The sender's side of the session that the message names. NULL: the sender was told why there is
 * none. */
static tl_relay_member *find_member(tl_relay *r, tl_relay_node *from, const tl_signal *s)
{
    tl_relay_session *session = from->conn ? from->conn->recent : NULL;
    if (!session || !tl_relay_session_is(session, s->session))
        session = tl_relay_table_find(&r->sessions, s->session);
    if (!session) {
        refuse(r, from, TL_SIGNAL_SESSION_NOT_FOUND, "no such session", s);
        return NULL;
    }
    tl_relay_member *m = tl_relay_session_side(session, from);
    if (!m || !is_hex_of(s->to, tl_relay_member_other(m)->node)) {
        refuse(r, from, TL_SIGNAL_FORBIDDEN, "a session of others", s);
        return NULL;
    }
    return m;
}

static void give_back_token(tl_relay_node *from)
{
    if (from->conn)
        tl_ratelimit_give_back(&from->conn->control);
}

/* More were asked for than there may be. False: the session has ended; its opener is told why. */
static bool may_be_opened(tl_relay *r, tl_relay_session *s)
{
    tl_relay_node *opener = s->side[0].node;
    tl_signal_code code = tl_relay_may_open(r, opener, s->side[1].node);
    if (code == TL_SIGNAL_CODES && tl_relay_tiers_begin(r, s))
        code = TL_SIGNAL_BUSY;
    if (code == TL_SIGNAL_CODES)
        return true;
    tl_signal open = {.type = TL_SIGNAL_RELAY_OPEN,
                      .type_name = TL_SLICE_LIT("relayOpen"),
                      .session = tl_slice_of(s->id, s->id_n)};
    refuse(r, opener, code, tl_relay_why_not_open(code), &open);
    end_session(r, s, NULL, false);
    return false;
}

static void on_ready(tl_relay *r, tl_relay_node *from, const tl_signal *s, const routed *t)
{
    tl_relay_line *line;
    tl_relay_member *m = find_member(r, from, s);
    if (!m)
        return;
    tl_relay_session *session = m->session;
    if (m != &session->side[1] || session->state != TL_RELAY_OPENING) {
        refuse(r, from, TL_SIGNAL_FORBIDDEN, "not a session that waits for this node", s);
        return;
    }
    give_back_token(from); /* others' questions must not use up a node's rate */
    if (!may_be_opened(r, session))
        return;
    tl_relay_session_open(session);
    answered(r, session);
    r->counters.sessions_active += tl_relay_counts_here(session);
    r->counters.sessions_opened += tl_relay_counts_here(session);
    tl_relay_set_session_timer(r, session);
    if (forward(r, from, session->side[0].node, tl_relay_first, t, &line))
        end_session(r, session, NULL, false);
    else
        tl_relay_offer_tokens(r, session);
}

/* --- data --- */

/* Ends the sessions of a line's sender with `to`, and drops what waits in the line. */
static void end_line(tl_relay *r, tl_relay_node *to, tl_relay_line *line)
{
    tl_relay_member *m, *next;
    uint64_t sender = line->sender;
    tl_relay_unblock_line(r, line);
    tl_relay_drop_line(r, to->conn, line);
    DL_FOREACH_SAFE (to->sessions, m, next)
        if (m->session->state == TL_RELAY_OPEN &&
            tl_relay_line_of(tl_relay_member_other(m)->node).sender == sender)
            end_busy(r, tl_relay_member_other(m));
}

/* So much waits for `to` that something must go: the longest line, if it is not the sender's own.
 * False: it is. */
static bool make_room(tl_relay *r, const tl_relay_node *from, tl_relay_node *to, size_t n)
{
    worked(r, from, to->session_count / 32 * TL_US);
    while (tl_relay_waiting(to->conn) + n > tl_relay_waiting_max(r)) {
        tl_relay_line *longest = tl_relay_lines_longest(&to->conn->lines);
        if (!longest || longest->sender == tl_relay_line_of(from).sender)
            return false;
        end_line(r, to, longest);
    }
    return true;
}

static void on_data(tl_relay *r, tl_relay_node *from, const tl_signal *s, const routed *t)
{
    tl_relay_line *line;
    tl_relay_member *m = find_member(r, from, s);
    if (!m)
        return;
    if (m->session->state != TL_RELAY_OPEN) {
        refuse(r, from, TL_SIGNAL_SESSION_NOT_FOUND, "the session is not open yet", s);
        return;
    }
    tl_relay_node *to = tl_relay_member_other(m)->node;
    bool is_full = to->conn && to->conn->congested &&
                   tl_relay_waiting(to->conn) + t->n > tl_relay_waiting_max(r);
    if ((is_full && !make_room(r, from, to, t->n)) ||
        forward(r, from, to, tl_relay_line_of(from), t, &line)) {
        end_busy(r, m);
        return;
    }
    if (from->conn)
        from->conn->recent = m->session;
    if (!to->conn && tl_fed_is_congested(r, to))
        tl_fed_stall(r, m);
    m->session->heard = r->now;
    tl_relay_charge_data(r, from, s->data.n / 4 * 3);
    r->counters.bytes_forwarded += s->data.n / 4 * 3;
    if (line && line->bytes >= tl_relay_line_max(r) && !m->blocked_in)
        tl_relay_block(r, m, line);
}

/* --- sessions that end --- */

static void on_close(tl_relay *r, tl_relay_node *from, const tl_signal *s, const routed *t)
{
    tl_relay_line *line;
    tl_relay_member *m = find_member(r, from, s);
    if (!m)
        return;
    if (m == &m->session->side[1] && m->session->state == TL_RELAY_OPENING)
        give_back_token(from); /* as in on_ready */
    /* No rate and no full line stops a relayClose, so a long one is not passed on as it is. */
    bool told = t->n <= CLOSE_MAX &&
                !forward(r, from, tl_relay_member_other(m)->node, line_of(m), t, &line);
    end_session(r, m->session, from, told);
}

void tl_relay_route(tl_relay *r, tl_relay_node *from, const tl_signal *s, uint8_t *payload,
                    size_t n, bool in_place)
{
    if (!is_hex_of(s->from, from)) {
        refuse(r, from, TL_SIGNAL_FORBIDDEN, "fromNodeID names another node", s);
        return;
    }
    if (s->type != TL_SIGNAL_RELAY_DATA && n > TL_RELAY_SIGNAL_MAX) {
        refuse(r, from, TL_SIGNAL_TOO_LARGE, "longer than a message between nodes may be", s);
        return;
    }
    routed t = {s->type, s->session, payload, n, in_place};
    switch (s->type) {
    case TL_SIGNAL_RELAY_DATA: on_data(r, from, s, &t); break;
    case TL_SIGNAL_RELAY_OPEN: on_open(r, from, s, &t); break;
    case TL_SIGNAL_RELAY_READY: on_ready(r, from, s, &t); break;
    case TL_SIGNAL_RELAY_CLOSE: on_close(r, from, s, &t); break;
    default: on_offer(r, from, s, &t);
    }
}
