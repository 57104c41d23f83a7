#include "relay/federation.h"

#include "relay/fed_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define SYNC_EVERY     (5 * TL_MS)   /* between two parts of a list of all nodes */
#define SYNC_JITTER    (200 * TL_MS) /* relays that come back together do not send theirs together */
#define ASK_EVERY      TL_SEC        /* between two questions to one relay for its list */
/* What may wait in a carrier before its senders wait, too; when they go on; fedroute.c
 * says when messages are refused. */
#define CONGESTED_AT   (8u << 20)
#define RELEASED_AT    (4u << 20)
#define KEEP_ITEMS_MAX 1024 /* as of relay/output.c */

/* --- output --- */

bool tl_fed_push(tl_relay *r, const tl_fed_output *out, const char *to)
{
    tl_fed *f = r->fed;
    if (f->n == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 64;
        tl_fed_item *items = realloc(f->items, cap * sizeof *items);
        if (!items) {
            tl_relay_chunk_unref(out->chunk);
            return false;
        }
        f->items = items;
        f->cap = cap;
    }
    tl_fed_item *item = &f->items[f->n++];
    item->out = *out;
    item->out.bytes = out->chunk ? tl_slice_of(out->chunk->bytes, out->chunk->n) : (tl_slice){0};
    snprintf(item->to, sizeof item->to, "%s", to ? to : "");
    return true;
}

bool tl_fed_next_output(tl_relay *r, tl_fed_output *ret_output)
{
    tl_fed *f = r->fed;
    if (!f)
        return false;
    if (f->head < f->n) {
        tl_fed_item *item = &f->items[f->head++];
        *ret_output = item->out;
        ret_output->to = item->to;
        return true;
    }
    f->head = f->n = 0;
    if (f->cap > KEEP_ITEMS_MAX) {
        free(f->items);
        f->items = NULL;
        f->cap = 0;
    }
    return false;
}

tl_relay_chunk *tl_fed_chunk(tl_relay *r, tl_fed_message *m)
{
    tl_buf head = {0};
    tl_relay_chunk *chunk = NULL;
    m->relay = tl_slice_str(r->fed->id);
    m->incarnation = r->fed->incarnation;
    tl_slice rest = m->kind == TL_FED_UP ? m->capabilities : m->bytes;
    if (tl_fed_write_head(&head, m) == TL_OK)
        chunk = tl_relay_chunk_new(tl_buf_slice(&head), rest);
    tl_buf_clear(&head);
    return chunk;
}

bool tl_fed_send(tl_relay *r, const tl_fed_peer *to, tl_fed_message *m)
{
    tl_fed_output out = {.kind = TL_FED_SEND, .near = to->near, .chunk = tl_fed_chunk(r, m)};
    if (!out.chunk)
        return false;
    r->fed->waiting[to->near] += out.chunk->n;
    return tl_fed_push(r, &out, to->id);
}

/* What is lost for want of memory the digest shows (tl_fed_on_alive). */
void tl_fed_tell(tl_relay *r, tl_fed_output_kind kind, tl_fed_message *m)
{
    tl_fed_output out = {.kind = kind, .chunk = tl_fed_chunk(r, m)};
    if (out.chunk)
        (void)tl_fed_push(r, &out, NULL);
}

/* --- life --- */

tl_err tl_relay_federate(tl_relay *r, const tl_fed_config *config, tl_time now)
{
    tl_slice id = tl_slice_str(config->id);
    if (!tl_fed_id_is(id))
        return TL_ERR_INVALID;
    tl_err e = tl_relay_timers_reserve(&r->conn_timers, r->counters.conns_open + 3);
    tl_fed *f = e ? NULL : calloc(1, sizeof *f);
    if (!f)
        return TL_ERR_NOMEM;
    memcpy(f->id, id.p, id.n);
    do
        f->incarnation = tl_rand_u64(r->rand);
    while (!f->incarnation);
    f->ttl = config->ttl;
    f->far = config->far;
    r->fed = f;
    r->now = now;
    f->alive_at = now + f->ttl / 4;
    f->sync_at = TL_NEVER;
    if (!f->far)
        tl_fed_tell(r, TL_FED_TO_NEAR, &(tl_fed_message){.kind = TL_FED_HELLO});
    tl_fed_wake(r, f->alive_at);
    return TL_OK;
}

void tl_fed_free(tl_relay *r)
{
    tl_fed *f = r->fed;
    tl_fed_output out;
    if (!f)
        return;
    tl_fed_peer *p, *next;
    HASH_ITER (hh, f->peers, p, next)
        tl_fed_drop_peer(r, p);
    while (tl_fed_next_output(r, &out))
        tl_relay_chunk_unref(out.chunk);
    tl_relay_timer_set(&r->conn_timers, &r->tick, TL_NEVER);
    tl_relay_timer_set(&r->conn_timers, &f->timer, TL_NEVER);
    free(f->items);
    free(f);
    r->fed = NULL;
}

void tl_fed_end(tl_relay *r)
{
    tl_fed *f = r->fed;
    if (!f || f->ended)
        return;
    tl_fed_message m = {.kind = TL_FED_BYE};
    tl_fed_tell(r, TL_FED_TO_NEAR, &m);
    if (f->far_there)
        tl_fed_tell(r, TL_FED_TO_FAR, &m);
    f->ended = true;
}

/* --- other relays --- */

tl_fed_peer *tl_fed_find_peer(const tl_fed *f, tl_slice id)
{
    tl_fed_peer *p;
    HASH_FIND(hh, f->peers, id.p, id.n, p);
    return p;
}

static tl_fed_peer *add_peer(tl_relay *r, const tl_fed_message *m, bool near)
{
    tl_fed *f = r->fed;
    if (HASH_COUNT(f->peers) >= TL_FED_PEERS_MAX)
        return NULL;
    tl_fed_peer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    memcpy(p->id, m->relay.p, m->relay.n);
    p->incarnation = m->incarnation;
    p->near = near;
    for (int i = 0; i < TL_FED_SCOPES; i++)
        p->list[i].since = TL_NEVER;
    if (!TL_TABLE_ADD(hh, f->peers, id, m->relay.n, p)) {
        free(p);
        return NULL;
    }
    f->counters.relays += !near;
    return p;
}

void tl_fed_drop_peer(tl_relay *r, tl_fed_peer *p)
{
    p->gone = true;
    tl_fed_clear_peer(r, p);
    HASH_DELETE(hh, r->fed->peers, p);
    r->fed->counters.relays -= !p->near;
    free(p);
}

void tl_fed_ask(tl_relay *r, tl_fed_peer *p)
{
    if (p->asked && r->now < p->asked + ASK_EVERY)
        return;
    p->asked = r->now;
    p->mismatches = 0;
    r->fed->counters.resyncs++;
    (void)tl_fed_send(r, p, &(tl_fed_message){.kind = TL_FED_HELLO});
}

/* A relay that starts anew, or that was forgotten, has none of the nodes that it had. */
static tl_fed_peer *peer_of(tl_relay *r, const tl_fed_message *m, bool near)
{
    tl_fed_peer *p = tl_fed_find_peer(r->fed, m->relay);
    bool is_new = !p;
    if (p && p->incarnation != m->incarnation) {
        tl_fed_clear_peer(r, p);
        p->incarnation = m->incarnation;
        is_new = true;
    } else if (!p && m->kind != TL_FED_BYE) {
        p = add_peer(r, m, near);
    }
    if (!p)
        return NULL;
    p->heard = r->now;
    if (is_new && m->kind != TL_FED_HELLO && !(m->kind == TL_FED_SYNC_BEGIN))
        tl_fed_ask(r, p);
    return p;
}

static void begin_sync(tl_relay *r, tl_fed_sync *s)
{
    *s = (tl_fed_sync){.active = true};
    if (r->fed->sync_at == TL_NEVER)
        r->fed->sync_at = r->now + (r->fed->far ? tl_rand_below(r->rand, SYNC_JITTER) : 0);
    tl_fed_wake(r, r->fed->sync_at);
}

void tl_fed_on_message(tl_relay *r, tl_slice bytes, bool near, tl_time now)
{
    tl_fed *f = r->fed;
    tl_fed_message m;
    r->now = now;
    if (!f || f->ended)
        return;
    if (tl_fed_read(bytes, &m)) {
        f->counters.malformed++;
        return;
    }
    if (tl_slice_eq(m.relay, tl_slice_str(f->id)))
        return; /* our own words come back by way of Redis */
    tl_fed_peer *p = peer_of(r, &m, near);
    if (!p || p->near != near)
        return;
    switch (m.kind) {
    case TL_FED_HELLO:
        if (p->near || !f->all.active || f->all.cursor)
            begin_sync(r, &p->sync);
        break;
    case TL_FED_ALIVE: tl_fed_on_alive(r, p, &m); break;
    case TL_FED_BYE: tl_fed_drop_peer(r, p); break;
    case TL_FED_SYNC_BEGIN:
    case TL_FED_SYNC_END: tl_fed_on_list(r, p, &m); break;
    case TL_FED_UP: tl_fed_on_up(r, p, &m, near); break;
    case TL_FED_DOWN: tl_fed_on_down(r, p, &m); break;
    default: tl_fed_on_between(r, p, &m);
    }
}

/* --- the far carrier --- */

bool tl_fed_has_lease(const tl_relay *r)
{
    return r->fed->far_there && r->now < r->fed->lease_until;
}

bool tl_fed_is_up(const tl_relay *r, tl_time now)
{
    return r->fed && r->fed->far_there && now < r->fed->lease_until;
}

bool tl_fed_may_send(const tl_relay *r, const tl_fed_peer *to)
{
    return !to->gone && !r->fed->ended && (to->near || tl_fed_has_lease(r));
}

static void refresh(tl_relay *r)
{
    (void)tl_fed_push(r, &(tl_fed_output){.kind = TL_FED_REFRESH}, NULL);
}

void tl_fed_on_far(tl_relay *r, bool there, tl_time now)
{
    tl_fed *f = r->fed;
    r->now = now;
    if (!f || f->far_there == there)
        return;
    f->far_there = there;
    f->far_since = now;
    f->lease_until = 0;
    f->waiting[0] = 0;
    if (!there) {
        f->all.active = false;
        tl_fed_ack_all(r, TL_NEVER);
        return;
    }
    f->congested[0] = false;
    tl_fed_release(r, false);
    tl_fed_claim_all(r);
    refresh(r);
    tl_fed_tell(r, TL_FED_TO_FAR, &(tl_fed_message){.kind = TL_FED_HELLO});
    begin_sync(r, &f->all);
}

void tl_fed_on_refreshed(tl_relay *r, tl_time since, tl_time now)
{
    r->now = now;
    if (r->fed && r->fed->far_there)
        r->fed->lease_until = tl_time_max(r->fed->lease_until, since + r->fed->ttl);
}

void tl_fed_on_waiting(tl_relay *r, bool near, size_t bytes, tl_time now)
{
    tl_fed *f = r->fed;
    r->now = now;
    if (!f)
        return;
    f->waiting[near] = bytes;
    if (bytes >= CONGESTED_AT) {
        f->congested[near] = true;
    } else if (f->congested[near] && bytes <= RELEASED_AT) {
        f->congested[near] = false;
        tl_fed_release(r, near);
    }
}

bool tl_fed_is_congested(const tl_relay *r, const tl_relay_node *to)
{
    bool near = to->away->peer->near;
    return r->fed->congested[near] || r->fed->waiting[near] >= CONGESTED_AT;
}

/* --- time --- */

void tl_fed_wake(tl_relay *r, tl_time at)
{
    if (!r->fed->timer.place || at < r->fed->timer.at)
        tl_relay_timer_set(&r->conn_timers, &r->fed->timer, at);
}

/* Half a lease later than its own lease ended. */
static void forget_silent(tl_relay *r)
{
    tl_fed *f = r->fed;
    tl_fed_peer *p, *next;
    if (!f->far_there)
        return;
    HASH_ITER (hh, f->peers, p, next) {
        tl_time since = tl_time_max(tl_time_max(p->heard, f->far_since), f->awake_since);
        if (!p->near && r->now >= since + f->ttl * 3 / 2) {
            f->counters.lost++;
            tl_fed_drop_peer(r, p);
        }
    }
}

static void tell_alive(tl_relay *r)
{
    tl_fed *f = r->fed;
    tl_fed_message m = {.kind = TL_FED_ALIVE};
    f->alive_at = r->now + f->ttl / 4;
    tl_fed_fill_alive(r, true, &m);
    tl_fed_tell(r, TL_FED_TO_NEAR, &m);
    if (!f->far_there)
        return;
    refresh(r);
    tl_fed_fill_alive(r, false, &m);
    tl_fed_tell(r, TL_FED_TO_FAR, &m);
}

void tl_fed_on_timer(tl_relay *r)
{
    tl_fed *f = r->fed;
    if (f->ended)
        return;
    if (r->now >= f->alive_at) {
        if (r->now - f->alive_at > f->ttl / 4)
            f->awake_since = r->now; /* what others said meanwhile waits, and is read next */
        tell_alive(r);
        forget_silent(r);
    }
    tl_fed_ack_all(r, r->now);
    if (r->now >= f->sync_at)
        f->sync_at = tl_fed_sync_some(r) ? r->now + SYNC_EVERY : TL_NEVER;
    tl_fed_wake(r, tl_time_min(f->alive_at, f->sync_at));
    if (f->claims && f->claims->ack_by != TL_NEVER)
        tl_fed_wake(r, f->claims->ack_by);
}

/* --- what operators see --- */

bool tl_fed_has_far(const tl_relay *r)
{
    return r->fed && r->fed->far;
}

const tl_fed_counters *tl_fed_counters_of(const tl_relay *r)
{
    return r->fed ? &r->fed->counters : NULL;
}
