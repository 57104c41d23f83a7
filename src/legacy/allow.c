/* How much peers may send. */
#include "legacy/state.h"

void tl_old_allow_init(tl_legacy *l)
{
    tl_time now = tl_legacy_now(l);
    l->bytes = tl_ratelimit_make(TL_LEGACY_SUM_BYTES, TL_LEGACY_SUM_BYTES_MAX, now);
    l->declines = tl_ratelimit_make(TL_LEGACY_SUM_DECLINES, TL_LEGACY_SUM_DECLINES_MAX, now);
}

/* The peer's; a new one takes the place of the one that was used longest ago. */
static tl_old_allowance *allowance_of(tl_legacy *l, const tl_node_id *peer, tl_time now)
{
    tl_old_allowance *oldest = &l->allowances[0];
    for (size_t i = 0; i < l->n_allowances; i++) {
        tl_old_allowance *a = &l->allowances[i];
        if (tl_node_id_eq(&a->peer, peer))
            return a;
        if (a->used_at < oldest->used_at)
            oldest = a;
    }
    if (l->n_allowances < TL_LEGACY_ALLOWANCES)
        oldest = &l->allowances[l->n_allowances++];
    *oldest = (tl_old_allowance){
        .peer = *peer,
        .bytes = tl_ratelimit_make(TL_LEGACY_BYTES, TL_LEGACY_BYTES_MAX, now),
        .declines = tl_ratelimit_make(TL_LEGACY_DECLINES, TL_LEGACY_DECLINES_MAX, now)};
    return oldest;
}

bool tl_old_may_say(tl_old_session *s, size_t n)
{
    tl_legacy *l = s->legacy;
    tl_time now = tl_legacy_now(l);
    uint64_t cost = n + TL_LEGACY_MESSAGE_COST;
    if (s->questions) /* we chose this peer: strangers cannot use up what it may send */
        return tl_ratelimit_take(&s->answers, cost, now);
    tl_old_allowance *a = allowance_of(l, &s->peer, now);
    a->used_at = now;
    return tl_ratelimit_take(&a->bytes, cost, now) && tl_ratelimit_take(&l->bytes, cost, now);
}

bool tl_old_may_be_told(tl_legacy *l, const tl_node_id *peer)
{
    tl_time now = tl_legacy_now(l);
    tl_old_allowance *a = allowance_of(l, peer, now);
    a->used_at = now;
    return tl_ratelimit_take(&a->declines, 1, now) && tl_ratelimit_take(&l->declines, 1, now);
}
