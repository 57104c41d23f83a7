#include "backup/backup_state.h"

static tl_unix wall_of(const tl_backup *b)
{
    return b->config.env.wall(b->config.env.user);
}

void tl_backup_see(tl_backup *b, const tl_node_id *id, tl_unix at)
{
    tl_seen *oldest = b->seen;
    for (size_t i = 0; i < b->seen_n; i++) {
        tl_seen *s = &b->seen[i];
        if (tl_node_id_eq(&s->id, id)) {
            s->at = s->at > at ? s->at : at;
            return;
        }
        if (s->at < oldest->at)
            oldest = s;
    }
    if (b->seen_n < TL_BACKUP_CANDIDATES_MAX)
        oldest = &b->seen[b->seen_n++];
    *oldest = (tl_seen){*id, at};
}

size_t tl_backup_see_candidates(tl_backup *b, bool strangers)
{
    tl_node_id candidate[TL_BACKUP_CANDIDATES_MAX];
    size_t n =
        b->config.world->candidates(b->config.user, strangers, candidate, TL_BACKUP_CANDIDATES_MAX);
    for (size_t i = 0; i < n; i++)
        tl_backup_see(b, &candidate[i], wall_of(b));
    return n;
}

/* Of an earlier run: those that held something when they were last heard of. */
void tl_backup_see_holders(tl_backup *b)
{
    const tl_backup_kept *k = &b->kept;
    for (unsigned i = 0; i < k->n; i++)
        if (tl_place_is_held(&k->place[i]))
            tl_backup_see(b, &k->place[i].holder, k->place[i].proven_at);
    for (unsigned i = 0; k->before.since && i < k->old_n; i++)
        tl_backup_see(b, &k->old[i].holder, k->before.made_at);
}

size_t tl_backup_known(const tl_backup *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->seen_n; i++)
        n += wall_of(b) < b->seen[i].at + b->gone_after;
    return n;
}

bool tl_backup_could_grow(const tl_backup *b)
{
    return b->kept.any && b->kept.n < TL_BACKUP_N_MAX && tl_backup_known(b) > b->kept.n;
}

bool tl_backup_is_as_safe(const tl_backup *b)
{
    const tl_backup_kept *k = &b->kept;
    int most = k->n - k->k, least = k->before.may_lose < most ? k->before.may_lose : most;
    int lose =
        (int)(tl_backup_count(b, TL_PLACE_HELD) + tl_backup_count(b, TL_PLACE_SILENT)) - k->k;
    tl_unix waited = wall_of(b) - k->before.since;
    if (!k->before.since || waited >= b->gone_after)
        least = 0;
    else if (waited >= TL_BACKUP_PATIENCE)
        least = (least + 1) / 2;
    return lose >= least;
}
