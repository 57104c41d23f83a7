#include "backup/backup_state.h"

#include "backup/code.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define GATHER     (2 * TL_SEC) /* changes that come one after the other are told as one */
#define GATHER_MAX (10 * TL_SEC)

tl_err tl_backup_new(const tl_backup_config *config, tl_backup **ret_backup)
{
    tl_backup *b = calloc(1, sizeof *b);
    if (!b)
        return TL_ERR_NOMEM;
    b->config = *config;
    b->mean = config->challenge_mean ? config->challenge_mean : TL_BACKUP_CHALLENGE_MEAN;
    b->gone_after = config->gone_after ? config->gone_after : TL_BACKUP_GONE_AFTER;
    b->map_at = b->map_by = b->look_at = TL_NEVER;
    *ret_backup = b;
    return TL_OK;
}

void tl_backup_free(tl_backup *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->deals_n; i++)
        tl_deal_cancel(&b->deals[i]);
    tl_buf_clear(&b->blob);
    free(b);
}

/* --- places --- */

bool tl_place_is_held(const tl_backup_place *p)
{
    return p->state == TL_PLACE_HELD || p->state == TL_PLACE_SILENT;
}

unsigned tl_backup_held_by(const tl_backup *b, const tl_node_id *holder)
{
    unsigned n = 0;
    for (unsigned i = 0; i < b->kept.n; i++)
        n += tl_place_is_held(&b->kept.place[i]) && tl_node_id_eq(&b->kept.place[i].holder, holder);
    return n;
}

unsigned tl_backup_count(const tl_backup *b, tl_place_state s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < b->kept.n; i++)
        n += b->kept.place[i].state == s;
    return n;
}

void tl_backup_changed(tl_backup *b)
{
    tl_time now = tl_backup_now(b);
    b->dirty = true;
    if (b->map_at == TL_NEVER)
        b->map_by = now + GATHER_MAX;
    b->map_at = tl_time_min(now + GATHER, b->map_by);
    tl_env_wake(&b->config.env);
}

/* --- old fragments --- */

static void forget_old(tl_backup *b, unsigned i)
{
    tl_backup_kept *k = &b->kept;
    k->old_n--;
    memmove(&k->old[i], &k->old[i + 1], (k->old_n - i) * sizeof k->old[0]);
    memmove(&b->old_from[i], &b->old_from[i + 1], (k->old_n - i) * sizeof b->old_from[0]);
}

void tl_backup_add_old(tl_backup *b, const tl_fragment_id *id, const tl_node_id *holder,
                       tl_time from)
{
    tl_backup_kept *k = &b->kept;
    tl_backup_drop_old(b, id, holder);
    if (!tl_deal_with(b, holder))
        return; /* the holder forgets it by itself, in time */
    if (k->old_n == TL_BACKUP_OLD_MAX)
        forget_old(b, 0);
    k->old[k->old_n] = (tl_backup_old){*id, *holder};
    b->old_from[k->old_n++] = from;
    b->dirty = true;
}

void tl_backup_drop_old(tl_backup *b, const tl_fragment_id *id, const tl_node_id *holder)
{
    for (unsigned i = b->kept.old_n; i-- > 0;)
        if (tl_fragment_id_eq(&b->kept.old[i].id, id) &&
            tl_node_id_eq(&b->kept.old[i].holder, holder)) {
            forget_old(b, i);
            b->dirty = true;
        }
}

/* Every place of the present backup is to be deleted, when it is time. */
static void let_go(tl_backup *b, tl_time from)
{
    for (size_t i = 0; i < b->deals_n; i++) {
        tl_deal *d = &b->deals[i];
        if (d->kind == TL_DEAL_PUT) /* it may be there by now */
            tl_backup_add_old(b, &b->kept.place[d->place].id, &d->id, from);
        if (d->kind == TL_DEAL_PUT || d->kind == TL_DEAL_PROVE)
            tl_deal_cancel(d);
    }
    for (unsigned i = 0; i < b->kept.n; i++)
        if (tl_place_is_held(&b->kept.place[i]))
            tl_backup_add_old(b, &b->kept.place[i].id, &b->kept.place[i].holder, from);
}

/* --- a new backup --- */

/* The numbers of `spec`, or what follows where they are 0. */
static bool settle_numbers(tl_backup *b, tl_backup_spec *spec)
{
    if (b->kept.strangers && !spec->strangers)
        b->seen_n = 0; /* there are strangers among them */
    size_t there = tl_backup_see_candidates(b, spec->strangers), known = tl_backup_known(b);
    if (!spec->n)
        spec->n = (uint8_t)(known > TL_BACKUP_N_MAX ? TL_BACKUP_N_MAX : known ? known : 1);
    if (!spec->k) { /* so that those who are there now can bring it back */
        size_t of = there && there < spec->n ? there : spec->n;
        spec->k = (uint8_t)(of > 1 ? of / 2 : 1);
    }
    return tl_code_fits(spec->blob.n, spec->k, spec->n);
}

static bool is_the_same(const tl_backup_kept *k, const tl_backup_spec *spec,
                        const tl_fragment_id *blob)
{
    return k->any && tl_fragment_id_eq(&k->blob, blob) && k->k == spec->k && k->n == spec->n &&
           tl_node_id_eq(&k->recovery, &spec->recovery);
}

bool tl_backup_is_named(const tl_backup *b)
{
    return b->kept.any && b->was_told && tl_fragment_id_eq(&b->told.blob, &b->kept.blob);
}

/* What stays until a newer copy with these words is as safe. */
static tl_backup_before before_of(const tl_backup *b, const tl_node_id *recovery)
{
    tl_backup_status s;
    if (!b->kept.any || !tl_node_id_eq(&b->kept.recovery, recovery))
        return (tl_backup_before){0};
    if (!tl_backup_is_named(b))
        return b->kept.before;
    tl_backup_status_of(b, &s);
    if (s.may_lose < 0)
        return (tl_backup_before){0};
    return (tl_backup_before){.since = b->config.env.wall(b->config.env.user),
                              .made_at = b->kept.made_at,
                              .may_lose = s.may_lose};
}

/* The addresses of all fragments. */
static tl_err address(tl_slice blob, tl_backup_kept *k)
{
    tl_buf fragment = {0};
    tl_err e = TL_OK;
    for (unsigned i = 0; !e && i < k->n; i++) {
        e = tl_code_make(blob, k->k, k->n, i, &fragment);
        if (!e)
            tl_fragment_id_of(tl_buf_slice(&fragment), &k->place[i].id);
        tl_buf_consume(&fragment, fragment.len);
    }
    tl_buf_clear(&fragment);
    return e;
}

tl_err tl_backup_set(tl_backup *b, const tl_backup_spec *wanted)
{
    tl_backup_spec spec = *wanted;
    tl_buf blob = {0};
    tl_backup_kept k = {.any = true};
    if (!settle_numbers(b, &spec))
        return TL_ERR_INVALID;
    tl_fragment_id_of(spec.blob, &k.blob);
    if (is_the_same(&b->kept, &spec, &k.blob)) {
        b->kept.strangers = spec.strangers;
        return TL_OK;
    }
    k.made_at = b->config.env.wall(b->config.env.user);
    k.size = (uint32_t)spec.blob.n;
    k.fragment_size = (uint32_t)tl_code_fragment_size(spec.blob.n, spec.k);
    k.k = spec.k;
    k.n = spec.n;
    k.strangers = spec.strangers;
    k.recovery = spec.recovery;
    tl_err e = tl_buf_append(&blob, spec.blob);
    if (!e)
        e = address(spec.blob, &k);
    if (e) {
        tl_buf_clear(&blob);
        return e;
    }
    k.before = before_of(b, &spec.recovery);
    /* No pointer ever named what was not told of. */
    let_go(b, tl_backup_is_named(b) ? TL_NEVER : tl_backup_now(b));
    k.old_n = b->kept.old_n;
    memcpy(k.old, b->kept.old, sizeof k.old);
    tl_buf_clear(&b->blob);
    b->blob = blob;
    b->blob_is_new = true;
    b->kept = k;
    b->pointer_n = 0;
    b->look_at = tl_backup_now(b);
    for (size_t i = 0; i < b->deals_n; i++)
        b->deals[i].refused_until = 0;
    tl_backup_changed(b);
    return TL_OK;
}

tl_err tl_backup_load(tl_backup *b, const tl_backup_kept *kept, tl_slice blob)
{
    tl_backup_kept k = *kept;
    tl_fragment_id id;
    tl_buf copy = {0};
    if (k.old_n > TL_BACKUP_OLD_MAX)
        return TL_ERR_PROTO;
    if (k.any) {
        tl_fragment_id_of(blob, &id);
        if (!tl_code_fits(blob.n, k.k, k.n) || !tl_fragment_id_eq(&id, &k.blob))
            return TL_ERR_PROTO;
        k.size = (uint32_t)blob.n;
        k.fragment_size = (uint32_t)tl_code_fragment_size(blob.n, k.k);
        tl_err e = tl_buf_append(&copy, blob);
        if (!e)
            e = address(blob, &k);
        if (e) {
            tl_buf_clear(&copy);
            return e;
        }
    }
    tl_buf_clear(&b->blob);
    b->blob = copy;
    b->kept = k;
    b->kept.old_n = 0;
    for (unsigned i = 0; i < k.old_n; i++)
        tl_backup_add_old(b, &k.old[i].id, &k.old[i].holder, k.any ? TL_NEVER : 0);
    b->dirty = false;
    for (unsigned i = 0; i < k.n; i++) {
        tl_backup_place *p = &b->kept.place[i];
        tl_deal *d = tl_place_is_held(p) ? tl_deal_with(b, &p->holder) : NULL;
        if (!d)
            p->state = TL_PLACE_WANTED;
        else /* some of the silence was ours */
            d->prove_at =
                tl_backup_now(b) + tl_rand_below(b->config.rand, b->mean / 8 ? b->mean / 8 : 1);
    }
    tl_backup_see_holders(b);
    b->was_told = !k.before.since && tl_backup_map_of(b, &b->told) &&
                  tl_backup_count(b, TL_PLACE_HELD) >= k.k;
    if (k.any && !b->was_told)
        tl_backup_changed(b);
    b->look_at = k.any ? tl_backup_now(b) : TL_NEVER;
    tl_env_wake(&b->config.env);
    return TL_OK;
}

bool tl_backup_kept_of(const tl_backup_map *map, const tl_node_id *recovery, tl_unix made_at,
                       tl_backup_kept *ret_kept)
{
    tl_backup_kept k = {.any = true,
                        .blob = map->blob,
                        .made_at = made_at,
                        .size = map->size,
                        .k = map->k,
                        .n = map->n,
                        .recovery = *recovery};
    if (!tl_backup_map_is(map))
        return false;
    for (unsigned i = 0; i < map->n; i++)
        if (map->fragment[i].holder != TL_FRAGMENT_NOWHERE)
            k.place[i] = (tl_backup_place){.state = TL_PLACE_HELD,
                                           .holder = map->holder[map->fragment[i].holder],
                                           .placed_at = made_at,
                                           .proven_at = made_at};
    *ret_kept = k;
    return true;
}

void tl_backup_drop(tl_backup *b)
{
    tl_backup_kept k = {0};
    let_go(b, 0);
    k.old_n = b->kept.old_n;
    memcpy(k.old, b->kept.old, sizeof k.old);
    b->kept = k;
    memset(b->old_from, 0, sizeof b->old_from);
    tl_buf_clear(&b->blob);
    b->blob_is_new = true;
    b->pointer_n = 0;
    b->was_told = false;
    b->look_at = TL_NEVER;
    tl_backup_changed(b);
}

tl_err tl_backup_set_pointer(tl_backup *b, tl_slice item)
{
    tl_time now = tl_backup_now(b);
    if (item.n > TL_POINTER_MAX)
        return TL_ERR_TOO_LARGE;
    if (!tl_backup_is_named(b))
        return TL_OK; /* it names the copy before, whose holders have it */
    b->dirty |= b->kept.before.since != 0;
    b->kept.before = (tl_backup_before){0};
    memcpy(b->pointer, item.p, item.n);
    b->pointer_n = item.n;
    for (size_t i = 0; i < b->deals_n; i++)
        b->deals[i].point_at = now;
    /* Some nodes of the DHT answer with the pointer before for a while. */
    for (unsigned i = 0; i < b->kept.old_n; i++)
        if (b->old_from[i] == TL_NEVER)
            b->old_from[i] = now + b->mean / 4;
    tl_env_wake(&b->config.env);
    return TL_OK;
}

void tl_backup_repair(tl_backup *b)
{
    tl_time now = tl_backup_now(b);
    for (size_t i = 0; i < b->deals_n; i++) {
        tl_deal *d = &b->deals[i];
        d->refused_until = 0;
        d->delete_at = now;
        if (tl_backup_held_by(b, &d->id))
            d->prove_at = now;
    }
    if (b->kept.any)
        b->look_at = now;
    tl_env_wake(&b->config.env);
}

/* --- what a caller sees --- */

/* Nodes that refused, with their reasons. */
/* Adds to `ret` what one node says, after what is there. */
static void add_words(char *ret, size_t size, const tl_deal *d, const char *what, const char *why)
{
    char hex[TL_NODE_ID_HEX + 1];
    size_t n = strlen(ret);
    tl_node_id_write(hex, &d->id);
    snprintf(ret + n, size - n, "%snode %.8s%s: %s", n ? "; " : "", hex, what, why);
}

static void explain(const tl_backup *b, char *ret, size_t size)
{
    unsigned wanted =
        b->kept.n - tl_backup_count(b, TL_PLACE_HELD) - tl_backup_count(b, TL_PLACE_SILENT);
    if (wanted)
        snprintf(ret, size, "%u of %u fragments are with no node", wanted, b->kept.n);
    for (size_t i = 0; i < b->deals_n; i++) {
        const tl_deal *d = &b->deals[i];
        bool holds = tl_backup_held_by(b, &d->id);
        if (wanted && d->why[0] && !holds)
            add_words(ret, size, d, "", d->why);
        if (d->point_why[0] && holds)
            add_words(ret, size, d, " does not keep the pointer", d->point_why);
    }
}

void tl_backup_status_of(const tl_backup *b, tl_backup_status *ret_status)
{
    *ret_status = (tl_backup_status){.kept = b->kept,
                                     .held = tl_backup_count(b, TL_PLACE_HELD),
                                     .silent = tl_backup_count(b, TL_PLACE_SILENT)};
    ret_status->may_lose = (int)(ret_status->held + ret_status->silent) - b->kept.k;
    explain(b, ret_status->words, sizeof ret_status->words);
}

static uint8_t holder_index(tl_backup_map *m, const tl_node_id *holder)
{
    uint8_t i = 0;
    while (i < m->holders_n && !tl_node_id_eq(&m->holder[i], holder))
        i++;
    if (i == m->holders_n)
        m->holder[m->holders_n++] = *holder;
    return i;
}

bool tl_backup_map_of(const tl_backup *b, tl_backup_map *ret_map)
{
    const tl_backup_kept *k = &b->kept;
    tl_backup_map m = {.blob = k->blob, .size = k->size, .k = k->k, .n = k->n};
    if (!k->any)
        return false;
    for (unsigned i = 0; i < k->n; i++) {
        memcpy(m.fragment[i].tag, k->place[i].id.bytes, TL_FRAGMENT_TAG);
        m.fragment[i].holder = tl_place_is_held(&k->place[i])
                                   ? holder_index(&m, &k->place[i].holder)
                                   : TL_FRAGMENT_NOWHERE;
    }
    *ret_map = m;
    return true;
}

bool tl_backup_named_map(const tl_backup *b, tl_backup_map *ret_map)
{
    return tl_backup_is_named(b) && tl_backup_map_of(b, ret_map);
}

tl_slice tl_backup_blob(const tl_backup *b)
{
    return tl_buf_slice(&b->blob);
}

size_t tl_backup_holders(const tl_backup *b, tl_node_id *ret, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < b->deals_n && n < max; i++)
        if (tl_backup_held_by(b, &b->deals[i].id))
            ret[n++] = b->deals[i].id;
    return n;
}

const tl_backup_counters *tl_backup_counters_of(const tl_backup *b)
{
    return &b->counters;
}

void tl_backup_on_peer(tl_backup *b, const tl_node_id *peer)
{
    tl_time now = tl_backup_now(b);
    for (size_t i = 0; i < b->deals_n; i++) {
        tl_deal *d = &b->deals[i];
        if (!tl_node_id_eq(&d->id, peer) || !d->silent_since || d->kind != TL_DEAL_IDLE)
            continue;
        d->silent_since = 0;
        d->silent_times = 0;
        d->refused_until = 0;
        d->delete_at = now;
        if (tl_backup_held_by(b, &d->id))
            d->prove_at = now;
        if (d->point_at != TL_NEVER)
            d->point_at = now;
        tl_env_wake(&b->config.env);
    }
}

void tl_backup_on_candidates(tl_backup *b)
{
    (void)tl_backup_see_candidates(b, b->kept.strangers);
    if (b->look_at == TL_NEVER)
        return;
    b->look_at = tl_backup_now(b);
    tl_env_wake(&b->config.env);
}
