#include "market/reciprocity_state.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

static const double marks[TL_DEED_KINDS] = {TL_RECIPROCITY_BYTES, TL_RECIPROCITY_TOKENS,
                                            TL_RECIPROCITY_FRAGMENTS};

/* --- the measure --- */

double tl_deed_fallen(double count, tl_unix at, tl_unix now)
{
    return now > at ? count * exp2(-(double)(now - at) / TL_RECIPROCITY_HALF_LIFE) : count;
}

double tl_deeds_worth(const double count[TL_DEED_KINDS])
{
    double worth = 0;
    for (int i = 0; i < TL_DEED_KINDS; i++)
        worth += count[i] / marks[i];
    return worth;
}

static void add_fallen(double sum[TL_DEED_KINDS], const double count[TL_DEED_KINDS], tl_unix at,
                       tl_unix now)
{
    for (int i = 0; i < TL_DEED_KINDS; i++)
        sum[i] += tl_deed_fallen(count[i], at, now);
}

double tl_known_worth(const tl_known *k, tl_unix now)
{
    double sum[TL_DEED_KINDS] = {0};
    add_fallen(sum, k->own, k->at, now);
    return tl_deeds_worth(sum);
}

/* --- the tables --- */

tl_known *tl_known_find(const tl_reciprocity *t, const tl_node_id *node)
{
    tl_known *k;
    HASH_FIND(hh, t->nodes, node, sizeof *node, k);
    return k;
}

tl_known *tl_known_get(tl_reciprocity *t, const tl_node_id *node)
{
    tl_known *k = tl_known_find(t, node);
    if (k || !(k = calloc(1, sizeof *k)))
        return k;
    k->id = *node;
    if (TL_TABLE_ADD(hh, t->nodes, id, sizeof k->id, k))
        return k;
    free(k);
    return NULL;
}

static void note_changed(tl_reciprocity *t, tl_known *k, bool changed)
{
    if (changed && !k->changed)
        DL_APPEND2(t->changed, k, cprev, cnext);
    if (!changed && k->changed)
        DL_DELETE2(t->changed, k, cprev, cnext);
    k->changed = changed;
}

void tl_known_drop_if_empty(tl_reciprocity *t, tl_known *k)
{
    if (k->has_own || k->said)
        return;
    note_changed(t, k, false);
    HASH_DELETE(hh, t->nodes, k);
    free(k);
}

tl_err tl_reciprocity_new(const tl_node_id *self, const tl_reciprocity_world *world, void *user,
                          tl_reciprocity **ret_table)
{
    tl_reciprocity *t = calloc(1, sizeof *t);
    if (!t)
        return TL_ERR_NOMEM;
    *t = (tl_reciprocity){.self = *self, .world = world, .user = user};
    *ret_table = t;
    return TL_OK;
}

void tl_reciprocity_free(tl_reciprocity *t)
{
    tl_known *k, *next;
    if (!t)
        return;
    while (t->signers)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        tl_said_drop(t, t->signers->said);
    HASH_ITER (hh, t->nodes, k, next) {
        k->has_own = false;
        tl_known_drop_if_empty(t, k);
    }
    assert(!t->nodes && !t->changed && t->n_said == 0);
    free(t);
}

size_t tl_reciprocity_count(const tl_reciprocity *t)
{
    return t->n_said;
}

/* --- the rule --- */

typedef struct {
    double own[TL_DEED_KINDS], told[TL_DEED_KINDS];
    size_t tellers;
    double worth;
} sums;

static sums sums_of(const tl_reciprocity *t, const tl_node_id *node, tl_unix now)
{
    sums all = {{0}, {0}, 0, 0};
    const tl_known *k = tl_known_find(t, node);
    const tl_said *s;
    if (!k)
        return all;
    if (k->has_own)
        add_fallen(all.own, k->own, k->at, now);
    DL_FOREACH (k->said, s) {
        if (!tl_said_counts(t, s, now))
            continue;
        tl_said_add(all.told, &s->d, now);
        all.tellers++;
    }
    all.worth = tl_deeds_worth(all.own) + tl_deeds_worth(all.told);
    return all;
}

bool tl_reciprocity_is(const tl_reciprocity *t, const tl_node_id *node, tl_unix now)
{
    return sums_of(t, node, now).worth >= 1;
}

int64_t tl_deed_whole(tl_deed_kind kind, double count)
{
    const double of_a_day = exp2(86400.0 / TL_RECIPROCITY_HALF_LIFE);
    return (int64_t)fmin(kind == TL_DEED_HELD ? count * of_a_day : count, TL_NUMBER_EXACT_MAX);
}

static void write_counts(char *ret, size_t size, const double count[TL_DEED_KINDS])
{
    snprintf(ret, size, "%.1f MiB relayed, %.0f tokens served, %.0f fragments held",
             count[TL_DEED_RELAYED] / (1 << 20), floor(count[TL_DEED_SERVED]),
             (double)tl_deed_whole(TL_DEED_HELD, count[TL_DEED_HELD]));
}

static void write_words(const sums *all, bool is, char *ret, size_t size)
{
    char own[96], told[96], record[256], more[128] = "";
    double lacks = 1 - all->worth;
    write_counts(own, sizeof own, all->own);
    write_counts(told, sizeof told, all->told);
    if (all->worth <= 0)
        snprintf(record, sizeof record, "neither this node nor a fellow member has seen it help");
    else if (all->tellers)
        snprintf(record, sizeof record, "for this node %s; for %zu fellow member%s %s", own,
                 all->tellers, all->tellers == 1 ? "" : "s", told);
    else
        snprintf(record, sizeof record, "for this node %s", own);
    if (!is)
        snprintf(more, sizeof more,
                 "; still needed: %.1f MiB relayed, %.0f tokens served or %.0f fragments held",
                 lacks * TL_RECIPROCITY_BYTES / (1 << 20), ceil(lacks * TL_RECIPROCITY_TOKENS),
                 ceil(lacks * TL_RECIPROCITY_FRAGMENTS));
    /* Rounded down, so that nothing below 1 looks like it. */
    snprintf(ret, size, "%s: %.2f of 1: %s%s", is ? "reciprocal" : "not reciprocal",
             floor(all->worth * 100) / 100, record, more);
}

void tl_reciprocity_explain(const tl_reciprocity *t, const tl_node_id *node, tl_unix now,
                            tl_reciprocity_account *ret_account)
{
    sums all = sums_of(t, node, now);
    tl_reciprocity_account a = {.is = all.worth >= 1, .worth = all.worth, .tellers = all.tellers};
    for (int i = 0; i < TL_DEED_KINDS; i++) {
        a.own[i] = tl_deed_whole((tl_deed_kind)i, all.own[i]);
        a.told[i] = tl_deed_whole((tl_deed_kind)i, all.told[i]);
    }
    write_words(&all, a.is, a.words, sizeof a.words);
    *ret_account = a;
}

/* --- own deeds --- */

/* False: what is there is worth as much. */
static bool make_own_room(tl_reciprocity *t, double worth, tl_unix now)
{
    tl_known *k, *next, *least = NULL;
    double least_worth = worth;
    if (t->n_own < TL_RECIPROCITY_OWN_MAX)
        return true;
    HASH_ITER (hh, t->nodes, k, next) {
        double w = k->has_own ? tl_known_worth(k, now) : worth;
        if (w >= least_worth)
            continue;
        least = k;
        least_worth = w;
    }
    if (!least)
        return false;
    least->has_own = false;
    t->n_own--;
    note_changed(t, least, false);
    tl_known_drop_if_empty(t, least);
    return true;
}

/* The node's own counts, as of `at` or later. NULL: there is no room. */
static tl_known *own_at(tl_reciprocity *t, const tl_node_id *node, double worth, tl_unix at)
{
    tl_known *k = tl_known_find(t, node);
    if (tl_node_id_eq(node, &t->self) || (!(k && k->has_own) && !make_own_room(t, worth, at)))
        return NULL;
    k = tl_known_get(t, node);
    if (!k)
        return NULL;
    if (!k->has_own) {
        memset(k->own, 0, sizeof k->own);
        k->has_own = true;
        k->at = at;
        t->n_own++;
    } else if (at > k->at) {
        for (int i = 0; i < TL_DEED_KINDS; i++)
            k->own[i] = tl_deed_fallen(k->own[i], k->at, at);
        k->at = at;
    }
    return k;
}

static tl_known *add(tl_reciprocity *t, const tl_node_id *node, tl_deed_kind kind, double count,
                     tl_unix at)
{
    tl_known *k = count > 0 ? own_at(t, node, count / marks[kind], at) : NULL;
    if (k)
        k->own[kind] = fmin(k->own[kind] + tl_deed_fallen(count, at, k->at), TL_NUMBER_EXACT_MAX);
    return k;
}

void tl_reciprocity_add_served(tl_reciprocity *t, const tl_node_id *node, int64_t tokens,
                               tl_unix at)
{
    (void)add(t, node, TL_DEED_SERVED, (double)tokens, at);
}

void tl_reciprocity_add_relayed(tl_reciprocity *t, const tl_node_id *node, int64_t bytes,
                                tl_unix at)
{
    tl_known *k = add(t, node, TL_DEED_RELAYED, (double)bytes, at);
    if (k)
        note_changed(t, k, true);
}

void tl_reciprocity_set_held(tl_reciprocity *t, const tl_node_id *node, int64_t fragments,
                             tl_unix at)
{
    double count = fragments > 0 ? fmin((double)fragments, TL_NUMBER_EXACT_MAX) : 0;
    tl_known *k = count > 0 || tl_known_find(t, node)
                      ? own_at(t, node, count / marks[TL_DEED_HELD], at)
                      : NULL;
    if (!k)
        return;
    k->own[TL_DEED_HELD] = tl_deed_fallen(count, at, k->at);
    note_changed(t, k, true);
}

bool tl_reciprocity_next_changed(tl_reciprocity *t, tl_reciprocity_kept *ret_kept)
{
    tl_known *k = t->changed;
    if (!k)
        return false;
    *ret_kept = (tl_reciprocity_kept){k->id, k->own[TL_DEED_RELAYED], k->own[TL_DEED_HELD], k->at};
    note_changed(t, k, false);
    return true;
}

void tl_reciprocity_load_kept(tl_reciprocity *t, const tl_reciprocity_kept *kept)
{
    (void)add(t, &kept->node, TL_DEED_RELAYED, kept->relayed, kept->at);
    (void)add(t, &kept->node, TL_DEED_HELD, kept->held, kept->at);
}
