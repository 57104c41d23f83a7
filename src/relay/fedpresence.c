#include "relay/fed_state.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define SYNC_NODES 64           /* of a list that go at once, */
#define SYNC_BYTES (256u << 10) /* and the bytes after which no more go */
/* A node hears that it is registered when the relays have agreed, or after this. What it sends to a
 * node of another relay before they have is `busy`. */
#define ACK_WITHIN TL_SEC
#define MISMATCHES 2 /* in turn; one may be a message that is under way */

/* --- claims: nodes of ours whose epoch is not agreed --- */

/* Epochs are times, so that they grow also when everybody has forgotten them. */
static uint64_t next_epoch(tl_relay *r, const tl_relay_node *n)
{
    tl_fed *f = r->fed;
    double unix_now = tl_relay_date(r, r->now) + (double)TL_UNIX_TO_SIGNAL_DATE;
    uint64_t epoch = unix_now > 0 ? (uint64_t)(unix_now * 1e6) : 0;
    if (epoch <= f->last_epoch)
        epoch = f->last_epoch + 1;
    if (epoch <= n->epoch)
        epoch = n->epoch + 1;
    f->last_epoch = epoch;
    return epoch;
}

/* The capabilities as the node wrote them, or as they were cut. */
static tl_err write_capabilities(const tl_relay_profile *p, tl_buf *out)
{
    tl_err e = tl_buf_append(out, p->head);
    if (!e)
        e = tl_buf_append(out, p->ptns[p->reads]);
    return e ? e : tl_buf_append(out, p->tail);
}

static tl_relay_chunk *chunk_of(tl_relay *r, const tl_relay_node *n)
{
    tl_buf capabilities = {0};
    tl_relay_chunk *chunk = NULL;
    tl_fed_message m = {.kind = TL_FED_UP,
                        .epoch = n->epoch,
                        .node = n->id,
                        .relay_token = n->features.relay_token,
                        .group = tl_relay_line_of(n).group,
                        .name = tl_slice_str(tl_relay_node_name(n)),
                        .wg = tl_slice_str(n->wg_hex)};
    if (write_capabilities(&n->profile, &capabilities) == TL_OK) {
        m.capabilities = tl_buf_slice(&capabilities);
        chunk = tl_fed_chunk(r, &m);
    }
    tl_buf_clear(&capabilities);
    return chunk;
}

static void tell_up(tl_relay *r, const tl_relay_node *n, tl_fed_output_kind kind)
{
    tl_fed_output out = {.kind = kind, .chunk = chunk_of(r, n)};
    if (out.chunk)
        (void)tl_fed_push(r, &out, NULL);
}

static void end_claim(tl_relay *r, tl_fed_claim *claim)
{
    tl_relay_node *n = claim->node;
    n->claim = NULL;
    DL_DELETE(r->fed->claims, claim);
    if (claim->ack_by != TL_NEVER)
        tl_relay_send_ack(r, n->conn);
    free(claim);
}

static void ask_for(tl_relay *r, tl_fed_claim *claim)
{
    tl_relay_node *n = claim->node;
    tl_fed_output out = {.kind = TL_FED_CLAIM, .node = n->id, .epoch = n->epoch};
    out.chunk = chunk_of(r, n);
    if (!out.chunk)
        return; /* the next list of all nodes asks again */
    out.ticket = ++r->fed->last_ticket;
    if (tl_fed_push(r, &out, NULL))
        claim->ticket = out.ticket;
}

/* False: the node is doomed, because memory ran out. */
static bool begin_claim(tl_relay *r, tl_relay_node *n)
{
    tl_fed *f = r->fed;
    tl_fed_claim *claim = calloc(1, sizeof *claim);
    if (!claim) {
        r->counters.cut_memory++;
        tl_relay_doom(r, n->conn);
        return false;
    }
    claim->node = n;
    claim->ack_by = f->far_there ? r->now + ACK_WITHIN : TL_NEVER;
    n->claim = claim;
    if (f->far_there)
        ask_for(r, claim);
    if (claim->ack_by == TL_NEVER) {
        DL_APPEND(f->claims, claim);
    } else {
        /* those that wait stand in front, the oldest first */
        tl_fed_claim *at = f->claims;
        while (at && at->ack_by != TL_NEVER)
            at = at->next;
        if (at)
            DL_PREPEND_ELEM(f->claims, at, claim);
        else
            DL_APPEND(f->claims, claim);
        tl_fed_wake(r, f->claims->ack_by);
    }
    return true;
}

bool tl_fed_registered(tl_relay *r, tl_relay_node *n, bool is_new)
{
    tl_fed *f = r->fed;
    if (!f || f->ended)
        return false;
    if (!is_new) {
        tell_up(r, n, TL_FED_TO_NEAR);
        if (!n->claim && f->far_there)
            tell_up(r, n, TL_FED_TO_FAR);
        return false;
    }
    if (n->claim)
        end_claim(r, n->claim); /* of an older socket; its answer comes for nothing */
    n->epoch = next_epoch(r, n);
    tell_up(r, n, TL_FED_TO_NEAR);
    return f->far && begin_claim(r, n) && f->far_there;
}

void tl_fed_ack_all(tl_relay *r, tl_time by)
{
    tl_fed *f = r->fed;
    tl_fed_claim *claim;
    while ((claim = f->claims) && claim->ack_by != TL_NEVER && claim->ack_by <= by) {
        claim->ack_by = TL_NEVER;
        DL_DELETE(f->claims, claim);
        DL_APPEND(f->claims, claim);
        tl_relay_send_ack(r, claim->node->conn);
    }
}

static void forget_seat(tl_relay *r, tl_relay_node *n)
{
    tl_fed *f = r->fed;
    tl_fed_seat *seat = n->away;
    DL_DELETE(seat->peer->seats, seat);
    seat->peer->count--;
    f->away--;
    f->counters.away -= !seat->peer->near;
    f->memory -= tl_relay_node_memory(n);
    n->away = NULL;
    free(seat);
}

void tl_fed_came(tl_relay *r, tl_relay_node *n)
{
    tl_relay_end_sessions(r, n);
    forget_seat(r, n);
}

void tl_fed_left(tl_relay *r, tl_relay_node *n)
{
    tl_fed *f = r->fed;
    if (!f)
        return;
    if (n->claim) {
        n->claim->ack_by = TL_NEVER; /* its socket is gone */
        end_claim(r, n->claim);
    } else if (f->far_there) {
        tl_fed_output out = {.kind = TL_FED_RELEASE, .node = n->id, .epoch = n->epoch};
        if (!f->ended)
            out.chunk = tl_fed_chunk(
                r, &(tl_fed_message){.kind = TL_FED_DOWN, .epoch = n->epoch, .node = n->id});
        (void)tl_fed_push(r, &out, NULL);
    }
    if (!f->ended)
        tl_fed_tell(r, TL_FED_TO_NEAR,
                    &(tl_fed_message){.kind = TL_FED_DOWN, .epoch = n->epoch, .node = n->id});
}

/* The node is at another relay now. The others here are told nothing: it is still there for them. */
static void leave_socket(tl_relay *r, tl_relay_node *n)
{
    tl_relay_conn *c = n->conn;
    if (n->claim) {
        n->claim->ack_by = TL_NEVER;
        end_claim(r, n->claim);
    }
    r->fed->counters.moved++;
    r->counters.nodes_registered--;
    tl_relay_replace(r, n);
    n->conn = NULL;
    tl_relay_account(r, c);
}

static void lose(tl_relay *r, tl_relay_node *n)
{
    leave_socket(r, n);
    tl_relay_left(r, n);
    tl_relay_registry_remove(&r->registry, n);
}

void tl_fed_on_claimed(tl_relay *r, const tl_node_id *node, uint64_t ticket, uint64_t epoch,
                       tl_time now)
{
    tl_fed *f = r->fed;
    r->now = now;
    if (!f)
        return;
    tl_relay_node *n = tl_relay_registry_find(&r->registry, node);
    tl_fed_claim *claim = n ? n->claim : NULL;
    if (epoch > f->last_epoch)
        f->last_epoch = epoch;
    if (!claim || claim->ticket != ticket) { /* its socket is gone, or there is a newer one */
        tl_fed_output out = {.kind = TL_FED_RELEASE, .node = *node, .epoch = epoch};
        out.chunk =
            tl_fed_chunk(r, &(tl_fed_message){.kind = TL_FED_DOWN, .epoch = epoch, .node = *node});
        (void)tl_fed_push(r, &out, NULL);
        return;
    }
    if (claim->rival > epoch) {
        lose(r, n);
        return;
    }
    bool differs = n->epoch != epoch;
    n->epoch = epoch;
    end_claim(r, claim);
    if (differs)
        tell_up(r, n, TL_FED_TO_NEAR);
}

void tl_fed_on_lost(tl_relay *r, const tl_node_id *node, uint64_t epoch, tl_time now)
{
    r->now = now;
    tl_relay_node *n = tl_relay_registry_find(&r->registry, node);
    if (r->fed && n && n->conn && !n->claim && n->epoch == epoch)
        lose(r, n);
}

/* --- nodes of others --- */

static void remove_away(tl_relay *r, tl_relay_node *n)
{
    tl_relay_end_sessions(r, n);
    tl_relay_left(r, n);
    forget_seat(r, n);
    tl_relay_registry_remove(&r->registry, n);
}

void tl_fed_clear_peer(tl_relay *r, tl_fed_peer *p)
{
    bool was_gone = p->gone;
    p->gone = true; /* so that the ends of its sessions are not told to it */
    while (p->seats)
        remove_away(r, p->seats->node);
    p->gone = was_gone;
}

static tl_err put_profile(tl_relay *r, const tl_fed_message *m, tl_relay_node **ret_node,
                          bool *ret_joined)
{
    char hex[TL_NODE_ID_HEX + 1], name[TL_FED_NAME_MAX + 1], wg[TL_NODE_ID_HEX + 1];
    json_error_t at;
    json_t *object = json_loadb((const char *)m->capabilities.p, m->capabilities.n, 0, &at);
    if (!json_is_object(object)) {
        json_decref(object);
        return TL_ERR_PROTO;
    }
    tl_node_id_write(hex, &m->node);
    snprintf(name, sizeof name, "%.*s", (int)m->name.n, m->name.n ? (const char *)m->name.p : "");
    snprintf(wg, sizeof wg, "%.*s", (int)m->wg.n, m->wg.n ? (const char *)m->wg.p : "");
    tl_signal_register registration = {.node_id = hex,
                                       .wg_public = m->wg.n ? wg : NULL,
                                       .display_name = name,
                                       .capabilities = m->capabilities,
                                       .capabilities_object = object,
                                       .features = {.quiet = true, .relay_token = m->relay_token}};
    tl_err e = tl_relay_registry_put(&r->registry, &m->node, &registration, ret_node, ret_joined);
    json_decref(object);
    return e;
}

static bool have_room(const tl_relay *r, const tl_relay_node *known)
{
    const tl_fed *f = r->fed;
    return known || (f->away < TL_FED_AWAY_MAX && f->memory < r->config.memory_max / 2);
}

static tl_fed_seat *take_seat(tl_relay *r, tl_fed_peer *p, tl_relay_node *n,
                              const tl_fed_message *m)
{
    tl_fed_seat *seat = calloc(1, sizeof *seat);
    if (!seat)
        return NULL;
    *seat = (tl_fed_seat){.node = n, .peer = p, .group = m->group, .number = ++r->last_number};
    DL_APPEND(p->seats, seat);
    p->count++;
    r->fed->away++;
    r->fed->counters.away += !p->near;
    return seat;
}

/* The node is at `p`. It was unknown, or at another relay, or here. */
static void settle(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m)
{
    tl_fed *f = r->fed;
    bool joined;
    tl_relay_node *n = tl_relay_registry_find(&r->registry, &m->node);
    size_t before = n && n->away ? tl_relay_node_memory(n) : 0;
    if (!have_room(r, n) || put_profile(r, m, &n, &joined)) {
        f->counters.refused++;
        return;
    }
    f->memory += tl_relay_node_memory(n) - before;
    if (n->conn)
        leave_socket(r, n);
    if (n->away && (n->away->peer != p || n->epoch != m->epoch)) {
        tl_relay_end_sessions(r, n);
        forget_seat(r, n);
        f->memory += tl_relay_node_memory(n);
    }
    if (!n->away)
        n->away = take_seat(r, p, n, m);
    if (!n->away) {
        f->counters.refused++;
        f->memory -= tl_relay_node_memory(n);
        if (!joined)
            tl_relay_left(r, n);
        tl_relay_registry_remove(&r->registry, n);
        return;
    }
    n->epoch = m->epoch;
    n->away->seen = r->now;
    if (joined)
        tl_relay_joined(r, n);
}

void tl_fed_on_up(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m, bool near)
{
    for (int i = 0; i < TL_FED_SCOPES; i++)
        p->list[i].ups++;
    tl_relay_node *n = tl_relay_registry_find(&r->registry, &m->node);
    if (n && (m->epoch < n->epoch || (m->epoch == n->epoch && (n->conn || n->away->peer != p)))) {
        r->fed->counters.stale++;
        return;
    }
    if (n && n->claim && !near) {
        if (m->epoch > n->claim->rival)
            n->claim->rival = m->epoch;
        return;
    }
    settle(r, p, m);
}

void tl_fed_on_down(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m)
{
    tl_relay_node *n = tl_relay_registry_find(&r->registry, &m->node);
    if (n && n->away && n->away->peer == p && n->epoch == m->epoch)
        remove_away(r, n);
}

/* --- lists of all nodes --- */

/* `epoch` of the two: which list, and at its end how many nodes it had. */
void tl_fed_on_list(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m)
{
    tl_fed_scope scope = m->epoch & 1 ? TL_FED_TO_ONE : TL_FED_TO_ALL;
    if (m->kind == TL_FED_SYNC_BEGIN) {
        p->list[scope].since = r->now;
        p->list[scope].ups = 0;
        return;
    }
    tl_time since = p->list[scope].since;
    p->list[scope].since = TL_NEVER;
    if (since == TL_NEVER || p->list[scope].ups < m->epoch >> 1)
        return; /* parts of it were lost, so it does not tell who is gone */
    tl_fed_seat *seat, *next;
    DL_FOREACH_SAFE (p->seats, seat, next)
        if (seat->seen < since)
            remove_away(r, seat->node);
}

static void tell_list(tl_relay *r, tl_fed_peer *to, tl_fed_kind kind, uint32_t count)
{
    tl_fed_message m = {.kind = kind, .epoch = (uint64_t)count << 1 | (to != NULL)};
    if (to)
        (void)tl_fed_send(r, to, &m);
    else
        tl_fed_tell(r, TL_FED_TO_FAR, &m);
}

/* The next part of one list. `to` NULL: the one for all far relays. */
static void sync_part(tl_relay *r, tl_fed_sync *s, tl_fed_peer *to)
{
    size_t sent = 0, bytes = 0;
    const tl_relay_node *n = r->registry.table;
    if (!s->cursor)
        tell_list(r, to, TL_FED_SYNC_BEGIN, 0);
    for (; n && sent < SYNC_NODES && bytes < SYNC_BYTES; n = n->hh.next) {
        if (n->sequence <= s->cursor || !n->conn)
            continue;
        s->cursor = n->sequence;
        sent++;
        if (n->claim && !(to && to->near)) {
            if (!n->claim->ticket)
                ask_for(r, n->claim);
            continue;
        }
        tl_fed_output out = {.kind = to ? TL_FED_SEND : TL_FED_TO_FAR, .chunk = chunk_of(r, n)};
        if (!out.chunk)
            continue;
        out.near = to && to->near;
        bytes += out.chunk->n;
        s->count += tl_fed_push(r, &out, to ? to->id : NULL);
    }
    if (n)
        return;
    tell_list(r, to, TL_FED_SYNC_END, s->count);
    s->active = false;
}

bool tl_fed_sync_some(tl_relay *r)
{
    tl_fed *f = r->fed;
    tl_fed_peer *p, *next;
    bool more = false;
    if (f->all.active && f->far_there)
        sync_part(r, &f->all, NULL);
    more |= f->all.active && f->far_there;
    HASH_ITER (hh, f->peers, p, next) {
        if (p->sync.active && (p->near || f->far_there))
            sync_part(r, &p->sync, p);
        else
            p->sync.active = false;
        more |= p->sync.active;
    }
    return more;
}

/* The carrier is back, and forgot what it was asked. */
void tl_fed_claim_all(tl_relay *r)
{
    tl_fed_claim *claim;
    DL_FOREACH (r->fed->claims, claim)
        claim->ticket = 0;
}

/* --- does the other relay know what we told it? --- */

static uint64_t digest_of(const tl_node_id *id, uint64_t epoch)
{
    uint64_t x;
    memcpy(&x, id->key, sizeof x);
    x ^= epoch * UINT64_C(0x9E3779B97F4A7C15);
    return x * UINT64_C(0xD6E8FEB86659FD93) ^ x >> 32;
}

void tl_fed_fill_alive(const tl_relay *r, bool near, tl_fed_message *m)
{
    m->count = 0;
    m->digest = 0;
    for (const tl_relay_node *n = r->registry.table; n; n = n->hh.next) {
        if (!n->conn || (n->claim && !near))
            continue;
        m->count++;
        m->digest += digest_of(&n->id, n->epoch);
    }
}

void tl_fed_on_alive(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m)
{
    uint64_t digest = 0;
    const tl_fed_seat *seat;
    DL_FOREACH (p->seats, seat)
        digest += digest_of(&seat->node->id, seat->node->epoch);
    if (p->count == m->count && digest == m->digest)
        p->mismatches = 0;
    else if (++p->mismatches >= MISMATCHES)
        tl_fed_ask(r, p);
}

const tl_relay_node *tl_fed_node_after(const tl_relay *r, const tl_relay_node *at,
                                       tl_node_id *ret_node, uint64_t *ret_epoch)
{
    const tl_relay_node *n = at ? at->hh.next : r->registry.table;
    while (n && (!n->conn || n->claim))
        n = n->hh.next;
    if (n) {
        *ret_node = n->id;
        *ret_epoch = n->epoch;
    }
    return n;
}
