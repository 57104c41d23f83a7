#include "backup/backup_state.h"

#define LOOK_AGAIN TL_MIN /* for candidates, while fragments are wanted */

/* --- where fragments go --- */

/* The place wants a node: none has it, or the one that has it has been silent for too long. So long as
 * nobody was heard lately, the silence may be our own. */
static bool is_wanted(const tl_backup *b, const tl_backup_place *p)
{
    tl_unix wall = b->config.env.wall(b->config.env.user);
    if (p->state != TL_PLACE_SILENT || wall < p->proven_at + b->gone_after)
        return p->state == TL_PLACE_WANTED;
    for (size_t i = 0; i < b->deals_n; i++) {
        const tl_deal *d = &b->deals[i];
        if (tl_node_id_eq(&d->id, &p->holder))
            return d->silent_since &&
                   tl_backup_now(b) >= d->silent_since + (tl_time)b->gone_after * TL_SEC / 168;
    }
    return true;
}

static bool is_on_its_way(const tl_backup *b, unsigned place)
{
    for (size_t i = 0; i < b->deals_n; i++)
        if (b->deals[i].kind == TL_DEAL_PUT && b->deals[i].place == place)
            return true;
    return false;
}

/* May the node be given a fragment now? One of each backup is the most for a node: what it loses is lost
 * at once. */
static bool may_take(const tl_backup *b, const tl_deal *d, tl_time now)
{
    return d->kind == TL_DEAL_IDLE && d->refused_until <= now && !tl_backup_held_by(b, &d->id);
}

static tl_deal *next_taker(tl_backup *b, const tl_node_id *candidate, size_t n, tl_time now)
{
    for (size_t i = 0; i < n; i++) {
        tl_deal *d = tl_deal_with(b, &candidate[i]);
        if (d && may_take(b, d, now))
            return d;
    }
    return NULL;
}

static void place_some(tl_backup *b, tl_time now)
{
    tl_node_id candidate[TL_BACKUP_CANDIDATES_MAX];
    size_t n = 0, under_way = 0;
    bool looked = false;
    b->look_at = TL_NEVER;
    for (size_t i = 0; i < b->deals_n; i++)
        under_way += b->deals[i].kind == TL_DEAL_PUT;
    for (unsigned i = 0; i < b->kept.n; i++) {
        if (!is_wanted(b, &b->kept.place[i]) || is_on_its_way(b, i))
            continue;
        if (!looked)
            n = b->config.world->candidates(b->config.user, b->kept.strangers, candidate,
                                            TL_BACKUP_CANDIDATES_MAX);
        looked = true;
        tl_deal *d = under_way < TL_BACKUP_AT_ONCE ? next_taker(b, candidate, n, now) : NULL;
        if (d)
            tl_deal_put(d, i);
        if (d && d->kind == TL_DEAL_PUT)
            under_way++;
        else if (d)
            b->look_at = now; /* it could not even be asked: another one may take it */
    }
    if (b->look_at == TL_NEVER)
        b->look_at = now + LOOK_AGAIN;
}

/* --- what is due at the nodes that we deal with --- */

static tl_time old_due(const tl_backup *b, const tl_deal *d)
{
    tl_time at = TL_NEVER;
    for (unsigned i = 0; i < b->kept.old_n; i++)
        if (tl_node_id_eq(&b->kept.old[i].holder, &d->id))
            at = tl_time_min(at, b->old_from[i]);
    return at == TL_NEVER ? TL_NEVER : tl_time_max(at, d->delete_at);
}

static tl_time prove_due(const tl_backup *b, const tl_deal *d)
{
    return tl_backup_held_by(b, &d->id) ? d->prove_at : TL_NEVER;
}

static tl_time point_due(const tl_backup *b, const tl_deal *d)
{
    return b->pointer_n && tl_backup_held_by(b, &d->id) ? d->point_at : TL_NEVER;
}

static tl_time deal_due(const tl_backup *b, const tl_deal *d)
{
    if (d->kind != TL_DEAL_IDLE)
        return TL_NEVER;
    return tl_time_min(tl_time_min(prove_due(b, d), point_due(b, d)), old_due(b, d));
}

static void run_deal(tl_backup *b, tl_deal *d, tl_time now)
{
    if (prove_due(b, d) <= now)
        tl_deal_prove(d);
    else if (point_due(b, d) <= now)
        tl_deal_point(d);
    else
        tl_deal_delete(d);
}

/* No padding is compared. */
static bool is_the_map(const tl_backup_map *a, const tl_backup_map *b)
{
    return memcmp(a, b, offsetof(tl_backup_map, fragment) + sizeof a->fragment) == 0;
}

static void tell_map(tl_backup *b)
{
    tl_backup_map m;
    b->map_at = TL_NEVER;
    if (!tl_backup_map_of(b, &m))
        return;
    unsigned held = tl_backup_count(b, TL_PLACE_HELD) + tl_backup_count(b, TL_PLACE_SILENT);
    if (held < m.k || (b->was_told && is_the_map(&m, &b->told)))
        return;
    if (!tl_backup_is_as_safe(b)) {
        b->map_at = tl_backup_now(b) + LOOK_AGAIN; /* patience ends, too */
        return;
    }
    b->told = m;
    b->was_told = true;
    b->config.world->on_map(b->config.user, &m);
}

static void save(tl_backup *b)
{
    tl_slice blob = tl_buf_slice(&b->blob);
    bool is_new = b->blob_is_new;
    b->dirty = b->blob_is_new = false;
    b->config.world->save(b->config.user, &b->kept, is_new ? &blob : NULL);
}

void tl_backup_go_on(tl_backup *b)
{
    tl_time now = tl_backup_now(b);
    for (size_t i = 0; i < b->deals_n; i++)
        if (deal_due(b, &b->deals[i]) <= now)
            run_deal(b, &b->deals[i], now);
    if (b->look_at <= now)
        place_some(b, now);
    if (b->map_at <= now)
        tell_map(b);
    if (b->dirty || b->blob_is_new)
        save(b);
}

void tl_backup_on_timer(tl_backup *b)
{
    if (tl_backup_expiry(b) <= tl_backup_now(b))
        tl_backup_go_on(b);
}

tl_time tl_backup_expiry(const tl_backup *b)
{
    tl_time at = tl_time_min(b->map_at, b->look_at);
    if (b->dirty || b->blob_is_new)
        return 0;
    for (size_t i = 0; i < b->deals_n; i++)
        at = tl_time_min(at, deal_due(b, &b->deals[i]));
    return at;
}
