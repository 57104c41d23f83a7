/* The statements that others have signed, and what this node says itself. */
#include "market/reciprocity_state.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <utlist.h>

/* --- the tables --- */

void tl_said_add(double sum[TL_DEED_KINDS], const tl_deeds *d, tl_unix now)
{
    for (int i = 0; i < TL_DEED_KINDS; i++)
        sum[i] += tl_deed_fallen((double)d->count[i], d->issued_at, now);
}

static double said_worth(const tl_deeds *d, tl_unix now)
{
    double sum[TL_DEED_KINDS] = {0};
    tl_said_add(sum, d, now);
    return tl_deeds_worth(sum);
}

static tl_deeds_signer *find_signer(const tl_reciprocity *t, const tl_node_id *id)
{
    tl_deeds_signer *g;
    HASH_FIND(hh, t->signers, id, sizeof *id, g);
    return g;
}

static tl_deeds_signer *get_signer(tl_reciprocity *t, const tl_node_id *id)
{
    tl_deeds_signer *g = find_signer(t, id);
    if (g || !(g = calloc(1, sizeof *g)))
        return g;
    g->id = *id;
    if (TL_TABLE_ADD(hh, t->signers, id, sizeof g->id, g))
        return g;
    free(g);
    return NULL;
}

static bool is_ours(const tl_reciprocity *t, const tl_said *s)
{
    return tl_node_id_eq(&s->d.by, &t->self);
}

static tl_said *find_said(const tl_known *k, const tl_node_id *by)
{
    tl_said *s;
    if (k)
        DL_FOREACH (k->said, s)
            if (tl_node_id_eq(&s->d.by, by))
                return s;
    return NULL;
}

/* Its signer and its node may go with it. */
void tl_said_drop(tl_reciprocity *t, tl_said *s)
{
    tl_known *k = s->on;
    tl_deeds_signer *g = s->of;
    k->n -= !is_ours(t, s);
    DL_DELETE(k->said, s);
    DL_DELETE2(g->said, s, sprev, snext);
    t->n_said--;
    if (--g->n == 0) {
        HASH_DELETE(hh, t->signers, g);
        free(g);
    }
    free(s);
    tl_known_drop_if_empty(t, k);
}

/* Does the statement count now? Ours is of deeds that are counted already. */
bool tl_said_counts(const tl_reciprocity *t, const tl_said *s, tl_unix now)
{
    return !is_ours(t, s) && s->d.expires_at > now && t->world->is_member(t->user, &s->d.by, now);
}

/* --- what is taken --- */

const char *tl_deeds_verdict_words(tl_deeds_verdict v)
{
    switch (v) {
    case TL_DEEDS_TAKEN: return "taken";
    case TL_DEEDS_OURS: return "of this node itself";
    case TL_DEEDS_STRANGER: return "its signer is no fellow member";
    case TL_DEEDS_EARLY: return "of the future: a clock is wrong";
    case TL_DEEDS_EXPIRED: return "expired";
    case TL_DEEDS_OLD: return "a newer one is known";
    case TL_DEEDS_NOTHING: return "it is worth nothing";
    case TL_DEEDS_FULL: return "no room";
    case TL_DEEDS_FORGED: return "signature wrong";
    case TL_DEEDS_VERDICTS: break;
    }
    assert(!"a verdict of the list");
    return "";
}

/* Of those of others; NULL: none. */
static tl_said *least_said(const tl_reciprocity *t, const tl_known *k, tl_unix now)
{
    tl_said *s, *least = NULL;
    double least_worth = INFINITY;
    DL_FOREACH (k->said, s) {
        double worth = is_ours(t, s)           ? INFINITY
                       : s->d.expires_at > now ? said_worth(&s->d, now)
                                               : 0;
        if (worth < least_worth) {
            least = s;
            least_worth = worth;
        }
    }
    return least;
}

tl_deeds_verdict tl_reciprocity_judge(const tl_reciprocity *t, const tl_deeds *d, tl_unix now)
{
    if (tl_node_id_eq(&d->by, &t->self) || tl_node_id_eq(&d->node, &t->self))
        return TL_DEEDS_OURS;
    if (tl_node_id_eq(&d->by, &d->node) || !t->world->is_member(t->user, &d->by, now))
        return TL_DEEDS_STRANGER; /* its own word is nobody's */
    if (d->issued_at - TL_RECIPROCITY_AHEAD > now)
        return TL_DEEDS_EARLY;
    if (d->expires_at <= now)
        return TL_DEEDS_EXPIRED;
    const tl_known *k = tl_known_find(t, &d->node);
    const tl_said *before = find_said(k, &d->by);
    if (before)
        return d->sequence <= before->d.sequence ? TL_DEEDS_OLD : TL_DEEDS_TAKEN;
    double worth = said_worth(d, now);
    if (worth < TL_RECIPROCITY_LEAST)
        return TL_DEEDS_NOTHING;
    if (k && k->n >= TL_RECIPROCITY_OF_NODE) {
        const tl_said *least = least_said(t, k, now);
        if (least->d.expires_at > now && said_worth(&least->d, now) >= worth)
            return TL_DEEDS_FULL;
    }
    return TL_DEEDS_TAKEN;
}

static tl_deeds_signer *greatest_signer(const tl_reciprocity *t)
{
    tl_deeds_signer *g, *next, *greatest = t->signers;
    HASH_ITER (hh, t->signers, g, next)
        if (g->n > greatest->n)
            greatest = g;
    return greatest;
}

/* For one more, by a signer that has none on this node. */
static void make_room(tl_reciprocity *t, const tl_deeds *d, tl_unix now)
{
    const tl_known *k = tl_known_find(t, &d->node);
    if (k && k->n >= TL_RECIPROCITY_OF_NODE && !tl_node_id_eq(&d->by, &t->self))
        tl_said_drop(t, least_said(t, k, now));
    const tl_deeds_signer *g = find_signer(t, &d->by);
    if (g && g->n >= TL_RECIPROCITY_OF_SIGNER)
        tl_said_drop(t, g->said);
    if (t->n_said >= TL_RECIPROCITY_ALL)
        tl_said_drop(t, greatest_signer(t)->said);
}

static tl_said *new_said(tl_reciprocity *t, const tl_deeds *d)
{
    tl_known *k = tl_known_get(t, &d->node);
    tl_deeds_signer *g = k ? get_signer(t, &d->by) : NULL;
    tl_said *s = g ? calloc(1, sizeof *s) : NULL;
    if (s) {
        s->on = k;
        s->of = g;
        DL_APPEND(k->said, s);
        DL_APPEND2(g->said, s, sprev, snext);
        g->n++;
        k->n += !tl_node_id_eq(&d->by, &t->self);
        t->n_said++;
        return s;
    }
    if (g && g->n == 0) {
        HASH_DELETE(hh, t->signers, g);
        free(g);
    }
    if (k)
        tl_known_drop_if_empty(t, k);
    return NULL;
}

static tl_deeds_verdict place(tl_reciprocity *t, const tl_deeds *d, tl_unix now)
{
    tl_said *s = find_said(tl_known_find(t, &d->node), &d->by);
    if (s) { /* it is the newest of its tl_deeds_signer */
        DL_DELETE2(s->of->said, s, sprev, snext);
        DL_APPEND2(s->of->said, s, sprev, snext);
    } else {
        make_room(t, d, now);
        s = new_said(t, d);
    }
    if (!s)
        return TL_DEEDS_FULL;
    s->d = *d;
    return TL_DEEDS_TAKEN;
}

tl_deeds_verdict tl_reciprocity_take(tl_reciprocity *t, const tl_deeds *d, tl_unix now)
{
    tl_deeds_verdict v = tl_reciprocity_judge(t, d, now);
    if (v)
        return v;
    switch (tl_deeds_verify(d)) {
    case TL_OK: return place(t, d, now);
    case TL_ERR_NOMEM: return TL_DEEDS_FULL;
    default: return TL_DEEDS_FORGED;
    }
}

tl_deeds_verdict tl_reciprocity_load(tl_reciprocity *t, const tl_deeds *d, tl_unix now)
{
    bool ours = tl_node_id_eq(&d->by, &t->self);
    if (ours && d->expires_at <= now)
        return TL_DEEDS_EXPIRED;
    tl_deeds_verdict v = ours ? TL_DEEDS_TAKEN : tl_reciprocity_judge(t, d, now);
    return v ? v : place(t, d, now);
}

/* What was said a moment ago is as good, unless more was done since. */
static bool is_fresh(const tl_deeds *before, double worth, tl_unix now)
{
    return now >= before->issued_at && now - before->issued_at < TL_RECIPROCITY_FRESH &&
           worth <= said_worth(before, now) * 1.1;
}

tl_err tl_reciprocity_tell(tl_reciprocity *t, const tl_node_id *node, const tl_identity *key,
                           tl_unix now, tl_deeds *ret_deeds, bool *ret_new)
{
    const tl_known *k = tl_known_find(t, node);
    if (!k || !k->has_own)
        return TL_ERR_NOT_FOUND;
    assert(tl_node_id_eq(&key->id, &t->self));
    const tl_said *before = find_said(k, &t->self);
    tl_deeds d = {.by = t->self,
                  .node = *node,
                  .sequence = before && before->d.sequence >= now ? before->d.sequence + 1 : now,
                  .issued_at = now,
                  .expires_at = now + TL_DEEDS_LIFE};
    for (int i = 0; i < TL_DEED_KINDS; i++)
        d.count[i] = tl_deed_whole((tl_deed_kind)i, tl_deed_fallen(k->own[i], k->at, now));
    double worth = said_worth(&d, now); /* in whole numbers, as others read it */
    if (worth < TL_RECIPROCITY_LEAST)
        return TL_ERR_NOT_FOUND;
    bool is_new = !before || !is_fresh(&before->d, worth, now);
    if (is_new) {
        tl_err e = tl_deeds_sign(&d, key);
        if (!e && place(t, &d, now))
            e = TL_ERR_NOMEM;
        if (e)
            return e;
    } else {
        d = before->d;
    }
    *ret_deeds = d;
    *ret_new = is_new;
    return TL_OK;
}

void tl_reciprocity_each(const tl_reciprocity *t, const tl_node_id *node, tl_unix now,
                         void (*visit)(void *user, const tl_deeds *d), void *user)
{
    const tl_known *k = tl_known_find(t, node);
    const tl_said *s;
    if (k)
        DL_FOREACH (k->said, s)
            if (tl_said_counts(t, s, now))
                visit(user, &s->d);
}

/* All of a signer, or those that have ended. The last one takes the signer with it. */
static void drop_of_signer(tl_reciprocity *t, tl_deeds_signer *g, bool all, tl_unix now)
{
    for (tl_said *s = g->said, *next; s; s = next) {
        next = s->snext;
        if (all || s->d.expires_at <= now)
            tl_said_drop(t, s);
    }
}

void tl_reciprocity_sweep(tl_reciprocity *t, tl_unix now)
{
    tl_deeds_signer *g, *next;
    HASH_ITER (hh, t->signers, g, next) {
        tl_node_id id = g->id;
        bool out = !tl_node_id_eq(&id, &t->self) && !t->world->is_member(t->user, &id, now);
        drop_of_signer(t, g, out, now);
        if (out)
            t->world->on_forgotten(t->user, &id);
    }
}
