#include "direct/state.h"

#include "base/log.h"

#include <stdlib.h>
#include <utlist.h>

const char *tl_direct_state_name(tl_direct_state s)
{
    static const char *const names[] = {
        [TL_DIRECT_NEVER] = "never tried", [TL_DIRECT_OFFERED] = "offered",
        [TL_DIRECT_CHECKING] = "checking", [TL_DIRECT_SEARCHING] = "searching",
        [TL_DIRECT_STANDS] = "stands",     [TL_DIRECT_UNANSWERED] = "not answered",
        [TL_DIRECT_FAILED] = "failed",     [TL_DIRECT_LOST] = "lost",
        [TL_DIRECT_OFF] = "off",
    };
    return names[s];
}

tl_err tl_direct_new(const tl_identity *identity, tl_rand *rand, const tl_env *env,
                     const tl_direct_world *world, void *user, tl_direct **ret_direct)
{
    tl_direct *d = calloc(1, sizeof *d);
    if (!d)
        return TL_ERR_NOMEM;
    d->identity = identity;
    d->rand = rand;
    d->env = *env;
    d->world = *world;
    d->user = user;
    d->enabled = true;
    d->due = TL_NEVER;
    tl_time now = tl_direct_now(d);
    d->offers = tl_ratelimit_make(TL_DIRECT_OFFERS_SECOND, TL_DIRECT_OFFERS_SECOND, now);
    d->candidates =
        tl_ratelimit_make(TL_DIRECT_CANDIDATES_SECOND, TL_DIRECT_CANDIDATES_SECOND, now);
    d->unheard = tl_ratelimit_make(TL_DIRECT_UNHEARD_SECOND, TL_DIRECT_UNHEARD_BURST, now);
    *ret_direct = d;
    return TL_OK;
}

const tl_direct_counters *tl_direct_counters_of(const tl_direct *d)
{
    return &d->counters;
}

const tl_punch_counters *tl_direct_punches(const tl_direct *d)
{
    return &d->punches;
}

/* --- peers --- */

tl_direct_peer *tl_direct_peer_find(const tl_direct *d, const tl_node_id *id)
{
    tl_direct_peer *p;
    HASH_FIND(hh, d->peers, id, sizeof *id, p);
    return p;
}

static void peer_free(tl_direct_peer *p)
{
    tl_session_free(p->now);
    tl_session_free(p->old);
    HASH_DEL(p->direct->peers, p);
    free(p);
}

/* One that nothing is between us and, to make room. */
static void forget_somebody(tl_direct *d)
{
    tl_direct_peer *p, *next;
    HASH_ITER (hh, d->peers, p, next)
        if (!p->wanted && !p->used) {
            peer_free(p);
            return;
        }
}

tl_direct_peer *tl_direct_peer_get(tl_direct *d, const tl_node_id *id)
{
    tl_direct_peer *p = tl_direct_peer_find(d, id);
    if (p)
        return p;
    if (HASH_COUNT(d->peers) >= TL_DIRECT_PEERS_MAX)
        forget_somebody(d);
    if (HASH_COUNT(d->peers) >= TL_DIRECT_PEERS_MAX)
        return NULL;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->direct = d;
    p->id = *id;
    p->again_at = TL_NEVER;
    p->pause = TL_DIRECT_AGAIN_FIRST;
    if (!TL_TABLE_ADD(hh, d->peers, id, sizeof p->id, p)) {
        free(p);
        return NULL;
    }
    return p;
}

/* For who debugs: a step of an attempt. */
void tl_direct_note(const tl_direct_peer *p, const char *what, const tl_addr *a)
{
    char hex[TL_NODE_ID_HEX + 1], address[TL_ADDR_TEXT_MAX] = "";
    if (!tl_log_wants(TL_LOG_DEBUG))
        return;
    tl_node_id_write(hex, &p->id);
    if (a)
        tl_addr_write(address, a);
    tl_log(TL_LOG_DEBUG, "direct: %.8s: %s%s%s", hex, what, a ? " " : "", address);
}

void tl_direct_changed(tl_direct_peer *p)
{
    p->changed = p->direct->any_changed = true;
    tl_env_wake(&p->direct->env);
}

void tl_direct_give_up(tl_direct_peer *p, tl_direct_state state)
{
    p->state = state;
    tl_direct_note(p, tl_direct_state_name(state), NULL);
    p->again_at = tl_direct_now(p->direct) + p->pause;
    p->pause = tl_time_min(2 * p->pause, TL_DIRECT_AGAIN_MAX);
    tl_direct_due(p->direct, p->again_at);
    tl_direct_changed(p);
}

/* --- what the node wants --- */

void tl_direct_want(tl_direct *d, const tl_node_id *peer)
{
    tl_direct_peer *p = tl_direct_peer_get(d, peer);
    if (!p)
        return;
    p->wanted = true;
    if (!d->enabled) {
        p->state = TL_DIRECT_OFF;
        return;
    }
    bool under_way = p->state == TL_DIRECT_OFFERED || p->state == TL_DIRECT_CHECKING ||
                     p->state == TL_DIRECT_SEARCHING || p->state == TL_DIRECT_STANDS;
    if (!under_way && (p->again_at == TL_NEVER || tl_direct_now(d) >= p->again_at))
        tl_direct_offer(p);
    else if (!under_way) /* nobody waited for it while nobody wanted it */
        tl_direct_due(d, p->again_at);
}

void tl_direct_drop(tl_direct *d, const tl_node_id *peer)
{
    tl_direct_peer *p = tl_direct_peer_find(d, peer);
    if (!p)
        return;
    tl_session_free(p->now);
    tl_session_free(p->old);
    p->wanted = p->active = false;
    p->used = 0;
    p->state = TL_DIRECT_NEVER;
    /* again_at and pause stay: who asks anew at once is not to hammer a peer that cannot. */
}

void tl_direct_set_enabled(tl_direct *d, bool enabled)
{
    tl_direct_peer *p, *next;
    d->enabled = enabled;
    HASH_ITER (hh, d->peers, p, next) {
        if (!enabled) {
            tl_session_free(p->now);
            tl_session_free(p->old);
            p->state = TL_DIRECT_OFF;
            tl_direct_changed(p);
        } else if (p->wanted) {
            p->again_at = TL_NEVER;
            tl_direct_want(d, &p->id);
        }
    }
}

static void tell_change(tl_direct_peer *p, bool moved)
{
    tl_direct *d = p->direct;
    const tl_direct_self *self = d->world.self(d->user);
    if (p->now) {
        tl_checks_set_keepalive(p->now->checks, self->keepalive);
        tl_session_tell_candidates(p->now);
        if (moved && p->now->started)
            tl_checks_restart(p->now->checks, self->sock4, self->sock6, tl_direct_now(d));
        tl_session_pump(p->now);
    }
    if (moved && p->wanted) {
        p->moved = true;
        tl_direct_again_if_moved(p);
    }
}

void tl_direct_on_change(tl_direct *d, bool moved)
{
    tl_direct_peer *p, *next;
    for (int serving_us = 1; serving_us >= 0; serving_us--) /* those we dialled, then the others */
        HASH_ITER (hh, d->peers, p, next)
            if (p->wanted == serving_us)
                tell_change(p, moved);
}

void tl_direct_on_registered(tl_direct *d)
{
    tl_direct_peer *p, *next;
    HASH_ITER (hh, d->peers, p, next) {
        if (p->now)
            tl_session_tell_candidates(p->now);
        tl_direct_again_if_moved(p);
        if (p->wanted && p->state == TL_DIRECT_NEVER)
            tl_direct_want(d, &p->id);
    }
}

/* --- time --- */

void tl_direct_run(tl_direct *d)
{
    tl_direct_peer *p, *next;
    if (!d->any_changed)
        return;
    d->any_changed = false;
    HASH_ITER (hh, d->peers, p, next)
        if (p->changed) {
            p->changed = false;
            d->world.on_ways(d->user, &p->id);
        }
}

/* Returns when to come back. */
static tl_time session_on_timer(tl_session *s, tl_time now)
{
    tl_direct_peer *p = s->peer;
    if (now >= s->answer_by) {
        tl_session_free(s);
        tl_direct_give_up(p, TL_DIRECT_UNANSWERED);
        return TL_NEVER;
    }
    if (now >= s->search_at)
        tl_session_search(s);
    if (now >= tl_checks_expiry(s->checks))
        tl_checks_on_timer(s->checks, now);
    tl_session_pump(s);
    return tl_time_min(tl_time_min(s->answer_by, s->search_at), tl_checks_expiry(s->checks));
}

void tl_direct_on_timer(tl_direct *d)
{
    tl_time now = tl_direct_now(d);
    if (now < d->due)
        return;
    d->due = TL_NEVER;
    tl_direct_peer *p, *next;
    HASH_ITER (hh, d->peers, p, next) {
        if (p->old && !tl_session_carries(p->old))
            tl_session_free(p->old);
        if (p->old)
            tl_direct_due(d, session_on_timer(p->old, now));
        if (p->now)
            tl_direct_due(d, session_on_timer(p->now, now));
        if (p->again_at == TL_NEVER || !p->wanted || !d->enabled)
            continue; /* being wanted or enabled again looks at again_at anew */
        if (now >= p->again_at)
            tl_direct_offer(p);
        else
            tl_direct_due(d, p->again_at);
    }
}

tl_time tl_direct_expiry(const tl_direct *d)
{
    return d->due;
}

/* --- what is told --- */

bool tl_direct_report_of(const tl_direct *d, const tl_node_id *peer, tl_direct_report *ret_report)
{
    const tl_direct_peer *p = tl_direct_peer_find(d, peer);
    if (!p)
        return false;
    const tl_session *s = p->now;
    *ret_report = (tl_direct_report){
        .state = p->state, .again_at = p->wanted ? p->again_at : TL_NEVER, .attempts = p->attempts};
    memcpy(ret_report->our_nat, p->our_nat, sizeof p->our_nat);
    memcpy(ret_report->peer_nat, p->peer_nat, sizeof p->peer_nat);
    if (!s)
        return true;
    snprintf(ret_report->session, sizeof ret_report->session, "%s", tl_checks_session(s->checks));
    ret_report->ours = s->ours;
    ret_report->began = s->began;
    ret_report->first_valid = s->first_valid;
    ret_report->pairs = tl_checks_pairs(s->checks, &ret_report->n_pairs);
    ret_report->refused = s->refused;
    ret_report->search_sockets = (unsigned)s->n_search;
    ret_report->search_sent = (unsigned)tl_checks_counters_of(s->checks)->birthday_sent;
    const tl_way_entry *way;
    DL_FOREACH (p->ways, way)
        if (way->path == p->used && way->session == s)
            ret_report->used = way->pair;
    return true;
}

void tl_direct_free(tl_direct *d)
{
    if (!d)
        return;
    tl_direct_peer *p, *next;
    HASH_ITER (hh, d->peers, p, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        peer_free(p);
    }
    tl_nonces_clear(&d->nonces);
    free(d);
}
