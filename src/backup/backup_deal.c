#include "backup/backup_state.h"

#include "backup/code.h"

#include <math.h>
#include <stdio.h>

/* Until a node that refused is given a fragment again. One that lost a fragment it had signed for, or
 * signed for another, may have forgotten that by then. */
#define AGAIN_UNREACHED (5 * TL_MIN)
#define AGAIN_BUSY      TL_MIN
#define AGAIN_FULL      (60 * TL_MIN)
#define AGAIN_LIAR      (24 * 60 * TL_MIN)
#define DELETE_AGAIN    (10 * TL_MIN) /* doubles with each silence, 7 times */
#define POINT_AGAIN     (5 * TL_MIN)
#define RECEIPT_LEAST   (24 * 3600) /* seconds: who keeps it for less keeps no backup */

/* A holder that has no room for the pointer holds the fragments all the same: it is asked again. */
static void on_point(tl_deal *d, tl_err e, const char *why)
{
    bool full = e == TL_ERR_BUSY;
    snprintf(d->point_why, sizeof d->point_why, "%s", full ? why : "");
    if (full || e == TL_ERR_UNREACHABLE || e == TL_ERR_TIMEOUT || e == TL_ERR_AGAIN ||
        e == TL_ERR_NOMEM)
        d->point_at = tl_backup_now(d->backup) + (full ? AGAIN_FULL : POINT_AGAIN);
}

static void on_answer(tl_fragment_call *c, tl_err e, const tl_talk *answer, tl_slice body,
                      const char *why);

/* Nothing is asked of it, and it holds nothing. */
static bool is_spare(const tl_backup *b, const tl_deal *d)
{
    if (d->kind != TL_DEAL_IDLE || tl_backup_held_by(b, &d->id))
        return false;
    for (unsigned i = 0; i < b->kept.old_n; i++)
        if (tl_node_id_eq(&b->kept.old[i].holder, &d->id))
            return false;
    return true;
}

tl_deal *tl_deal_with(tl_backup *b, const tl_node_id *id)
{
    tl_deal *spare = NULL;
    for (size_t i = 0; i < b->deals_n; i++) {
        tl_deal *d = &b->deals[i];
        if (tl_node_id_eq(&d->id, id))
            return d;
        if (is_spare(b, d) && (!spare || d->asked_at < spare->asked_at))
            spare = d;
    }
    if (b->deals_n < TL_DEALS_MAX)
        spare = &b->deals[b->deals_n++];
    if (spare)
        *spare = (tl_deal){.call.on_answer = on_answer,
                           .backup = b,
                           .id = *id,
                           .prove_at = TL_NEVER,
                           .point_at = TL_NEVER};
    return spare;
}

void tl_deal_prove_later(tl_deal *d)
{
    tl_backup *b = d->backup;
    /* Above 0, and at most 1: so the wait ends. */
    double part = ((double)(tl_rand_u64(b->config.rand) >> 11) + 1) / 9007199254740992.0;
    d->prove_at = tl_backup_now(b) + (tl_time)((double)b->mean * -log(part));
}

/* --- requests --- */

static void end_call(tl_deal *d)
{
    if (d->kind == TL_DEAL_PUT && d->backup->kept.place[d->place].state == TL_PLACE_ASKED)
        d->backup->kept.place[d->place].state = TL_PLACE_WANTED;
    d->kind = TL_DEAL_IDLE;
    tl_buf_clear(&d->body);
}

void tl_deal_cancel(tl_deal *d)
{
    if (d->kind == TL_DEAL_IDLE)
        return;
    tl_exchanges_cancel(d->backup->config.exchanges, &d->call);
    end_call(d);
}

static void ask(tl_deal *d, tl_deal_kind kind, const tl_talk *m)
{
    d->kind = kind;
    d->asked_at = tl_backup_now(d->backup);
    tl_err e =
        tl_exchanges_ask(d->backup->config.exchanges, &d->call, &d->id, m, tl_buf_slice(&d->body));
    if (e)
        on_answer(&d->call, e, NULL, tl_slice_of(NULL, 0), tl_err_name(e));
}

void tl_deal_put(tl_deal *d, unsigned place)
{
    tl_backup *b = d->backup;
    tl_backup_place *p = &b->kept.place[place];
    tl_talk m = {
        .type = TL_TALK_PUT,
        .u.put = {.fragment = p->id, .size = b->kept.fragment_size, .recovery = b->kept.recovery}};
    if (tl_code_make(tl_buf_slice(&b->blob), b->kept.k, b->kept.n, place, &d->body)) {
        d->refused_until = tl_backup_now(b) + AGAIN_BUSY; /* out of memory */
        return;
    }
    d->place = place;
    if (p->state == TL_PLACE_WANTED) {
        p->state = TL_PLACE_ASKED;
        p->holder = d->id;
    }
    ask(d, TL_DEAL_PUT, &m);
}

void tl_deal_prove(tl_deal *d)
{
    tl_backup *b = d->backup;
    tl_talk m = {.type = TL_TALK_PROVE};
    tl_rand_bytes(b->config.rand, m.u.prove.nonce, sizeof m.u.prove.nonce);
    for (unsigned i = 0; i < b->kept.n; i++)
        if (tl_place_is_held(&b->kept.place[i]) && tl_node_id_eq(&b->kept.place[i].holder, &d->id))
            m.u.prove.fragment[m.u.prove.n++] = b->kept.place[i].id;
    d->prove_at = TL_NEVER;
    if (!m.u.prove.n)
        return;
    d->asked = m;
    ask(d, TL_DEAL_PROVE, &m);
}

void tl_deal_point(tl_deal *d)
{
    tl_backup *b = d->backup;
    tl_talk m = {.type = TL_TALK_POINTER,
                 .u.pointer = {.recovery = b->kept.recovery, .n = b->pointer_n}};
    memcpy(m.u.pointer.item, b->pointer, b->pointer_n);
    d->point_at = TL_NEVER;
    ask(d, TL_DEAL_POINT, &m);
}

void tl_deal_delete(tl_deal *d)
{
    tl_backup *b = d->backup;
    tl_time now = tl_backup_now(b);
    tl_talk m = {.type = TL_TALK_DELETE};
    for (unsigned i = 0; i < b->kept.old_n && m.u.prove.n < TL_FRAGMENTS_MAX; i++)
        if (b->old_from[i] <= now && tl_node_id_eq(&b->kept.old[i].holder, &d->id))
            m.u.prove.fragment[m.u.prove.n++] = b->kept.old[i].id;
    d->asked = m;
    d->delete_at = now + (DELETE_AGAIN << (d->silent_times < 7 ? d->silent_times : 7));
    ask(d, TL_DEAL_DELETE, &m);
}

/* --- answers --- */

static void refused(tl_deal *d, tl_time again, const char *why)
{
    d->backup->counters.refused++;
    d->refused_until = tl_backup_now(d->backup) + again;
    snprintf(d->why, sizeof d->why, "%s", why);
    d->backup->look_at = tl_backup_now(d->backup); /* another one may take it */
}

/* It was not reached, or had too much to do. */
static void on_silence(tl_deal *d)
{
    tl_backup *b = d->backup;
    tl_time now = tl_backup_now(b), wait = b->mean / 48;
    b->counters.unreached++;
    if (!d->silent_since)
        d->silent_since = now;
    for (unsigned i = 0; i < d->silent_times && wait < b->mean / 4; i++)
        wait *= 2;
    d->silent_times++;
    if (!tl_backup_held_by(b, &d->id))
        return;
    d->prove_at = now + wait;
    for (unsigned i = 0; i < b->kept.n; i++)
        if (b->kept.place[i].state == TL_PLACE_HELD &&
            tl_node_id_eq(&b->kept.place[i].holder, &d->id)) {
            b->kept.place[i].state = TL_PLACE_SILENT;
            b->dirty = true;
        }
    b->look_at = now;
}

static void tell_held(tl_deal *d)
{
    tl_backup *b = d->backup;
    b->config.world->on_held(b->config.user, &d->id, tl_backup_held_by(b, &d->id),
                             b->config.env.wall(b->config.env.user));
}

static bool is_right_receipt(const tl_deal *d, const tl_talk *answer)
{
    const tl_backup *b = d->backup;
    const tl_fragment_receipt *r = &answer->u.receipt;
    return answer->type == TL_TALK_RECEIPT &&
           tl_fragment_id_eq(&r->fragment, &b->kept.place[d->place].id) &&
           r->size == b->kept.fragment_size && tl_node_id_eq(&r->owner, &b->config.identity->id) &&
           tl_node_id_eq(&r->holder, &d->id) &&
           r->expires_at >= b->config.env.wall(b->config.env.user) + RECEIPT_LEAST &&
           !tl_fragment_receipt_verify(r);
}

static void on_placed(tl_deal *d, unsigned place, const tl_fragment_receipt *r)
{
    tl_backup *b = d->backup;
    tl_backup_place *p = &b->kept.place[place];
    tl_unix wall = b->config.env.wall(b->config.env.user);
    if (tl_place_is_held(p)) { /* the node before was not reached for too long */
        tl_backup_add_old(b, &p->id, &p->holder, 0);
        b->counters.repaired++;
    } else if (p->placed_at) {
        b->counters.repaired++;
    }
    *p = (tl_backup_place){.state = TL_PLACE_HELD,
                           .id = p->id,
                           .holder = d->id,
                           .placed_at = wall,
                           .proven_at = wall,
                           .expires_at = r->expires_at};
    tl_backup_drop_old(b, &p->id, &d->id);
    b->counters.placed++;
    tl_backup_see(b, &d->id, wall);
    d->why[0] = 0;
    tl_deal_prove_later(d);
    if (b->pointer_n)
        d->point_at = tl_backup_now(b);
    b->look_at = tl_backup_now(b); /* for the next fragment */
    tl_backup_changed(b);
    tell_held(d);
}

static void on_put(tl_deal *d, tl_err e, const tl_talk *answer, const char *why)
{
    bool right = !e && is_right_receipt(d, answer);
    unsigned place = d->place;
    end_call(d);
    if (e == TL_ERR_UNREACHABLE || e == TL_ERR_TIMEOUT) /* it may be there all the same */
        tl_backup_add_old(d->backup, &d->backup->kept.place[place].id, &d->id, 0);
    if (right)
        on_placed(d, place, &answer->u.receipt);
    else if (!e)
        refused(d, AGAIN_LIAR, "its receipt is not right");
    else if (e == TL_ERR_BUSY)
        refused(d, AGAIN_FULL, why);
    else if (e == TL_ERR_AGAIN)
        refused(d, AGAIN_BUSY, why);
    else if (e == TL_ERR_UNREACHABLE || e == TL_ERR_TIMEOUT || e == TL_ERR_NOMEM)
        refused(d, AGAIN_UNREACHED, why);
    else
        refused(d, AGAIN_LIAR, why);
    if (e == TL_ERR_UNREACHABLE || e == TL_ERR_TIMEOUT)
        on_silence(d);
}

static bool is_proven(const tl_deal *d, unsigned place, const tl_talk *answer, size_t i)
{
    const tl_backup *b = d->backup;
    uint8_t right[TL_TALK_PROOF_SIZE];
    tl_buf fragment = {0};
    if (!answer->u.proof.has[i] ||
        tl_code_make(tl_buf_slice(&b->blob), b->kept.k, b->kept.n, place, &fragment))
        return false;
    tl_talk_proof_of(d->asked.u.prove.nonce, &d->id, tl_buf_slice(&fragment), right);
    tl_buf_clear(&fragment);
    return memcmp(right, answer->u.proof.proof[i], sizeof right) == 0;
}

/* `answer` NULL: it has none of them. */
static void judge(tl_deal *d, const tl_talk *answer)
{
    tl_backup *b = d->backup;
    bool lost = false;
    for (unsigned place = 0; place < b->kept.n; place++) {
        tl_backup_place *p = &b->kept.place[place];
        size_t i = 0;
        while (i < d->asked.u.prove.n && !tl_fragment_id_eq(&d->asked.u.prove.fragment[i], &p->id))
            i++;
        if (i == d->asked.u.prove.n || !tl_place_is_held(p) || !tl_node_id_eq(&p->holder, &d->id))
            continue;
        bool proven = answer && is_proven(d, place, answer, i);
        b->counters.challenges_passed += proven;
        b->counters.challenges_failed += !proven;
        lost |= !proven;
        p->state = proven ? TL_PLACE_HELD : TL_PLACE_WANTED;
        if (proven) {
            p->proven_at = b->config.env.wall(b->config.env.user);
            tl_backup_see(b, &d->id, p->proven_at);
            b->dirty = true;
        }
    }
    if (lost) {
        refused(d, AGAIN_LIAR, "it has lost a fragment for which it had signed");
        tl_backup_changed(b);
    }
    tl_deal_prove_later(d);
    tell_held(d);
}

static void on_proof(tl_deal *d, tl_err e, const tl_talk *answer, const char *why)
{
    end_call(d);
    bool fits = !e && answer->type == TL_TALK_PROOF && answer->u.proof.n == d->asked.u.prove.n;
    if (fits)
        judge(d, answer);
    else if (!e || e == TL_ERR_NOT_FOUND || e == TL_ERR_FORBIDDEN || e == TL_ERR_PROTO)
        judge(d, NULL);
    else
        on_silence(d);
    (void)why;
}

static void on_answer(tl_fragment_call *c, tl_err e, const tl_talk *answer, tl_slice body,
                      const char *why)
{
    tl_deal *d = (tl_deal *)c;
    tl_backup *b = d->backup;
    tl_deal_kind kind = d->kind;
    bool silent = e == TL_ERR_UNREACHABLE || e == TL_ERR_TIMEOUT;
    (void)body;
    if (!silent) {
        d->silent_since = 0;
        d->silent_times = 0;
    }
    if (kind == TL_DEAL_PUT)
        on_put(d, e, answer, why);
    else if (kind == TL_DEAL_PROVE)
        on_proof(d, e, answer, why);
    else
        end_call(d);
    if (kind == TL_DEAL_DELETE && !e)
        for (size_t i = 0; i < d->asked.u.prove.n; i++)
            tl_backup_drop_old(b, &d->asked.u.prove.fragment[i], &d->id);
    if (kind == TL_DEAL_DELETE && !e)
        d->delete_at = 0;
    if (kind == TL_DEAL_DELETE && b->look_at != TL_NEVER)
        b->look_at = tl_backup_now(b); /* it may take a fragment now */
    if (kind == TL_DEAL_POINT)
        on_point(d, e, why);
    tl_env_wake(&b->config.env);
}
