#include "relay/fed_state.h"

#include <stdio.h>
#include <utlist.h>

/* When so much waits in the carrier, every sender has been stopped, and each had one read under way. */
#define WAITING_MAX (64u << 20)
#define WORDS_MAX   128

/* --- what goes out --- */

static tl_err send_between(tl_relay *r, const tl_relay_node *from, const tl_relay_node *to,
                           tl_fed_message *m)
{
    tl_fed *f = r->fed;
    const tl_fed_peer *p = to->away->peer;
    if (!tl_fed_reaches(r, from, to) || f->waiting[p->near] >= WAITING_MAX)
        return TL_ERR_BUSY;
    m->from = from->id;
    m->from_epoch = from->epoch;
    m->to = to->id;
    m->to_epoch = to->epoch;
    if (!tl_fed_send(r, p, m))
        return TL_ERR_NOMEM;
    f->counters.forwarded_out += !p->near;
    return TL_OK;
}

bool tl_fed_reaches(const tl_relay *r, const tl_relay_node *from, const tl_relay_node *to)
{
    const tl_fed_peer *p = to->away->peer;
    return tl_fed_may_send(r, p) && (p->near || !from->claim);
}

tl_err tl_fed_forward(tl_relay *r, tl_signal_type type, const tl_relay_node *from,
                      const tl_relay_node *to, tl_slice session, tl_slice text)
{
    tl_fed_message m = {.kind = TL_FED_FORWARD, .type = type, .session = session, .bytes = text};
    return send_between(r, from, to, &m);
}

tl_err tl_fed_packet(tl_relay *r, const tl_relay_node *from, const tl_relay_node *to,
                     tl_slice session, tl_slice payload)
{
    tl_fed_message m = {.kind = TL_FED_PACKET, .session = session, .bytes = payload};
    return send_between(r, from, to, &m);
}

void tl_fed_refuse(tl_relay *r, const tl_relay_node *to, tl_signal_code code, const char *words,
                   tl_signal_type about, tl_slice session)
{
    tl_fed_message m = {.kind = TL_FED_REFUSAL,
                        .type = about,
                        .code = code,
                        .to = to->id,
                        .to_epoch = to->epoch,
                        .session = session,
                        .bytes = tl_slice_str(words)};
    if (tl_fed_may_send(r, to->away->peer))
        (void)tl_fed_send(r, to->away->peer, &m);
}

void tl_fed_hold(tl_relay *r, const tl_relay_member *sender, bool on)
{
    const tl_relay_session *s = sender->session;
    const tl_relay_node *other = s->side[sender == &s->side[0]].node;
    tl_fed_message m = {.kind = on ? TL_FED_HOLD : TL_FED_GO,
                        .from = other->id,
                        .from_epoch = other->epoch,
                        .to = sender->node->id,
                        .to_epoch = sender->node->epoch,
                        .session = tl_slice_of(s->id, s->id_n)};
    if (tl_fed_may_send(r, sender->node->away->peer))
        (void)tl_fed_send(r, sender->node->away->peer, &m);
}

/* --- who waits for the carrier --- */

void tl_fed_stall(tl_relay *r, tl_relay_member *sender)
{
    if (sender->held & TL_FED_HELD_HERE)
        return;
    DL_APPEND2(r->fed->stalled, sender, prev_blocked, next_blocked);
    tl_relay_set_held(r, sender, sender->held | TL_FED_HELD_HERE);
}

void tl_fed_unstall(tl_relay *r, tl_relay_member *m)
{
    if (!(m->held & TL_FED_HELD_HERE))
        return;
    DL_DELETE2(r->fed->stalled, m, prev_blocked, next_blocked);
    tl_relay_set_held(r, m, m->held & (uint8_t)~TL_FED_HELD_HERE);
}

void tl_fed_release(tl_relay *r, bool near)
{
    tl_relay_member *m, *next;
    for (m = r->fed->stalled; m; m = next) {
        next = m->next_blocked;
        const tl_relay_node *to = tl_relay_member_other(m)->node;
        if (to->away && to->away->peer->near == near)
            tl_fed_unstall(r, m);
    }
}

/* --- what comes in --- */

/* To the relay `p`, about a message from a node of which this relay does not know that it is there. */
static void refuse_unknown(tl_relay *r, const tl_fed_peer *p, const tl_fed_message *of,
                           tl_signal_code code, const char *words)
{
    tl_fed_message m = {.kind = TL_FED_REFUSAL,
                        .type = of->type,
                        .code = code,
                        .to = of->from,
                        .to_epoch = of->from_epoch,
                        .session = of->session,
                        .bytes = tl_slice_str(words)};
    if (of->kind == TL_FED_FORWARD && of->type != TL_SIGNAL_RELAY_CLOSE && tl_fed_may_send(r, p))
        (void)tl_fed_send(r, p, &m);
}

static void refuse_absent(tl_relay *r, const tl_fed_peer *p, const tl_fed_message *m)
{
    char hex[TL_NODE_ID_HEX + 1], words[WORDS_MAX];
    tl_node_id_write(hex, &m->to);
    snprintf(words, sizeof words, "Peer %s is not connected", hex);
    refuse_unknown(r, p, m, TL_SIGNAL_PEER_NOT_FOUND, words);
}

/* The nodes of the message, `from` at the relay that sent it and `to` here. False: it is dropped. */
static bool find_both(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m,
                      tl_relay_node **ret_from, tl_relay_node **ret_to)
{
    tl_relay_node *to = tl_relay_registry_find(&r->registry, &m->to);
    tl_relay_node *from = tl_relay_registry_find(&r->registry, &m->from);
    if (!p->near && !tl_fed_has_lease(r)) {
        refuse_unknown(r, p, m, TL_SIGNAL_BUSY, "the relay of that node is not ready");
    } else if ((to && to->conn && m->to_epoch < to->epoch) ||
               (from && m->from_epoch < from->epoch)) {
        r->fed->counters.stale++;
    } else if (!to || !to->conn) {
        refuse_absent(r, p, m);
    } else if (!from || !from->away || from->away->peer != p || from->epoch != m->from_epoch) {
        refuse_unknown(r, p, m, TL_SIGNAL_BUSY, "the relay of that node does not know you yet");
    } else {
        *ret_from = from;
        *ret_to = to;
        return true;
    }
    return false;
}

static void on_forward(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m)
{
    tl_relay_node *from, *to;
    if (!find_both(r, p, m, &from, &to))
        return;
    r->fed->counters.forwarded_in += !p->near;
    tl_signal s = {.type = m->type,
                   .type_name = tl_slice_str(tl_signal_type_name(m->type)),
                   .from = tl_slice_of(from->hex, TL_NODE_ID_HEX),
                   .to = tl_slice_of(to->hex, TL_NODE_ID_HEX),
                   .session = m->session};
    /* not in place, so the text is only read */
    tl_relay_route(r, from, &s, (uint8_t *)(uintptr_t)m->bytes.p, m->bytes.n, false);
}

static void on_refusal(tl_relay *r, const tl_fed_message *m)
{
    char words[WORDS_MAX];
    tl_relay_node *to = tl_relay_registry_find(&r->registry, &m->to);
    if (!to || !to->conn || to->epoch != m->to_epoch)
        return;
    size_t n = m->bytes.n < sizeof words - 1 ? m->bytes.n : 0;
    if (n)
        memcpy(words, m->bytes.p, n);
    words[n] = 0;
    tl_signal s = {.type = m->type,
                   .type_name = tl_slice_str(tl_signal_type_name(m->type)),
                   .session = m->session};
    tl_relay_refuse(r, to->conn, m->code, words, &s);
    tl_relay_session *session = tl_relay_table_find(&r->sessions, m->session);
    tl_relay_member *mine = session ? tl_relay_session_side(session, to) : NULL;
    if (!mine || tl_relay_member_other(mine)->node->conn)
        return;
    if (m->type == TL_SIGNAL_RELAY_OPEN && session->state == TL_RELAY_OPENING)
        tl_relay_drop_session(r, session, NULL, true);
    else if (m->code == TL_SIGNAL_SESSION_NOT_FOUND)
        tl_relay_drop_session(r, session, tl_relay_member_other(mine)->node, false);
}

static void on_packet(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m)
{
    tl_relay_node *from, *to;
    if (!find_both(r, p, m, &from, &to))
        return;
    tl_relay_session *session = tl_relay_table_find(&r->sessions, m->session);
    tl_relay_member *sender = session ? tl_relay_session_side(session, from) : NULL;
    if (!sender || tl_relay_member_other(sender)->node != to)
        return; /* it ended in the meantime: a datagram is lost */
    r->fed->counters.forwarded_in += !p->near;
    tl_relay_on_payload(r, sender, (uint8_t *)(uintptr_t)m->bytes.p, m->bytes.n);
}

/* `to` is the node of ours whose data waits at the other relay. */
static void on_hold(tl_relay *r, const tl_fed_message *m)
{
    tl_relay_node *to = tl_relay_registry_find(&r->registry, &m->to);
    tl_relay_session *session = tl_relay_table_find(&r->sessions, m->session);
    tl_relay_member *mine = session && to && to->conn ? tl_relay_session_side(session, to) : NULL;
    if (!mine || to->epoch != m->to_epoch || tl_relay_member_other(mine)->node->conn)
        return;
    uint8_t held = mine->held & (uint8_t)~TL_FED_HELD_THERE;
    if (m->kind == TL_FED_HOLD)
        held |= TL_FED_HELD_THERE;
    tl_relay_set_held(r, mine, held);
}

void tl_fed_on_between(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m)
{
    switch (m->kind) {
    case TL_FED_FORWARD: on_forward(r, p, m); break;
    case TL_FED_REFUSAL: on_refusal(r, m); break;
    case TL_FED_PACKET: on_packet(r, p, m); break;
    case TL_FED_HOLD:
    case TL_FED_GO: on_hold(r, m); break;
    default: r->fed->counters.malformed++;
    }
}

/* What was sent is told as not sent; then all nodes of that relay are gone. */
void tl_fed_on_unheard(tl_relay *r, const char *relay, tl_slice bytes, tl_time now)
{
    tl_fed *f = r->fed;
    tl_fed_message m;
    r->now = now;
    tl_fed_peer *p = f ? tl_fed_find_peer(f, tl_slice_str(relay)) : NULL;
    if (!f)
        return;
    if (tl_fed_read(bytes, &m) == TL_OK && m.kind == TL_FED_FORWARD &&
        m.type != TL_SIGNAL_RELAY_DATA && m.type != TL_SIGNAL_RELAY_CLOSE) {
        tl_relay_node *from = tl_relay_registry_find(&r->registry, &m.from);
        if (from && from->conn && from->epoch == m.from_epoch)
            tl_relay_refuse_gone(r, from, &m.to, m.type, m.session);
    }
    if (!p)
        return;
    f->counters.lost++;
    tl_fed_drop_peer(r, p);
}
