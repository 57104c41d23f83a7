#include "peer/reconnect.h"

#include <stddef.h>
#include <stdlib.h>

/* A peer that is looked for: what its connection was, and the wish for another one. */
typedef struct {
    tl_reconnect *reconnect;
    tl_peers_mark mark;
    tl_phases_rank rank;
    bool stood;   /* the connection, at the time of the change */
    bool carries; /* told to the phases */
    tl_peer_wish wish;
} seeker;

struct tl_reconnect {
    tl_peers *peers;
    tl_env env;
    tl_reconnect_world world;
    void *user;
    tl_phases phases;
    tl_time look_at, call_at;
    bool settled; /* what came before the change is read: what comes now is new */
    bool bootstrapping;
    size_t n;
    seeker seekers[TL_PHASES_PEERS_MAX];
    bool running; /* inside run() */
    tl_reconnect_counters counters;
};

static tl_time now_of(const tl_reconnect *r)
{
    return tl_env_now(&r->env);
}

static seeker *find(tl_reconnect *r, const tl_node_id *peer)
{
    for (size_t i = 0; i < r->n; i++)
        if (tl_node_id_eq(&r->seekers[i].mark.peer, peer))
            return &r->seekers[i];
    return NULL;
}

/* --- steps --- */

static void on_connected(tl_peer_wish *w, tl_quic_stream *s)
{
    (void)s;
    seeker *k = (seeker *)((char *)w - offsetof(seeker, wish));
    k->reconnect->look_at = 0; /* the look finds the connection */
    tl_env_wake(&k->reconnect->env);
}

static void on_failed(tl_peer_wish *w, tl_err e, const char *why)
{
    (void)e, (void)why;
    seeker *k = (seeker *)((char *)w - offsetof(seeker, wish));
    tl_phases_on_failed(&k->reconnect->phases, &k->mark.peer, now_of(k->reconnect));
    k->reconnect->look_at = 0;
    tl_env_wake(&k->reconnect->env);
}

static void renew(tl_reconnect *r, const tl_node_id *peer)
{
    seeker *k = find(r, peer);
    if (!k)
        return;
    tl_peers_renew(r->peers, peer);
    if (k->wish.contact)
        return;
    k->wish = (tl_peer_wish){
        .peer = *peer, .connection_only = true, .on_stream = on_connected, .on_failed = on_failed};
    /* A connection that is kept for its answers serves the wish at once, which says nothing. */
    if (tl_peers_wish(r->peers, &k->wish))
        tl_phases_on_failed(&r->phases, peer, now_of(r));
}

static void bootstrap(tl_reconnect *r)
{
    r->bootstrapping = r->world.bootstrap(r->user);
    if (!r->bootstrapping)
        tl_phases_no_bootstrap(&r->phases, now_of(r));
}

static void tell(tl_reconnect *r, const tl_step *step)
{
    if (step->state == TL_PHASE_DONE)
        r->counters.done[step->phase]++;
    if (step->state == TL_PHASE_FAILED)
        r->counters.failed[step->phase]++;
    r->world.on_phase(r->user, step);
}

static void run(tl_reconnect *r)
{
    tl_step step;
    if (r->running)
        return;
    r->running = true;
    while (tl_phases_next(&r->phases, now_of(r), &step))
        switch (step.type) {
        case TL_STEP_TELL: tell(r, &step); break;
        case TL_STEP_ANNOUNCE: r->world.announce(r->user); break;
        case TL_STEP_BOOTSTRAP: bootstrap(r); break;
        case TL_STEP_RENEW: renew(r, &step.peer); break;
        }
    r->running = false;
    tl_env_wake(&r->env);
}

/* --- a change --- */

static void forget(tl_reconnect *r)
{
    for (size_t i = 0; i < r->n; i++)
        tl_peers_unwish(r->peers, &r->seekers[i].wish);
    r->n = 0;
    r->bootstrapping = false;
}

static tl_phases_rank rank_of(const tl_reconnect *r, const tl_peers_mark *m)
{
    bool member = r->world.is_member(r->user, &m->peer);
    if (m->asked || (m->streams && member))
        return TL_RANK_ANSWER;
    if (r->world.holds_ours(r->user, &m->peer))
        return TL_RANK_HOLDER;
    if (r->world.we_hold(r->user, &m->peer))
        return TL_RANK_OWNER;
    if (m->dialled || member)
        return TL_RANK_OTHER;
    return m->streams ? TL_RANK_ASKING : TL_RANK_GUEST;
}

/* Who matters more takes the place of the last of those who matter least. */
static seeker *place_for(tl_reconnect *r, tl_phases_rank rank)
{
    seeker *last = &r->seekers[0];
    if (r->n < TL_PHASES_PEERS_MAX)
        return &r->seekers[r->n++];
    for (size_t i = 0; i < r->n; i++)
        if (r->seekers[i].rank >= last->rank)
            last = &r->seekers[i];
    return last->rank > rank ? last : NULL;
}

static void note(tl_reconnect *r, const tl_peers_mark *m, bool stood)
{
    tl_phases_rank rank = rank_of(r, m);
    seeker *k = find(r, &m->peer) ? NULL : place_for(r, rank);
    if (k)
        *k = (seeker){.reconnect = r, .mark = *m, .rank = rank, .stood = stood};
}

/* What a stopped process finds in its socket was sent before: it shows nothing of the network of now.
 * The marks count from here. */
static void settle(tl_reconnect *r)
{
    tl_peers_mark mark;
    for (size_t i = 0; i < r->n; i++) {
        seeker *k = &r->seekers[i];
        if (tl_peers_mark_of(r->peers, &k->mark.peer, &mark) &&
            k->mark.connected_at == mark.connected_at)
            k->mark.heard = mark.heard;
    }
    r->settled = true;
}

/* Both ends may have backed off for long by now, and what was sent first may have been lost on the way
 * that is gone: says something again until something comes. */
static void call(tl_reconnect *r, tl_time now)
{
    for (size_t i = 0; i < r->n; i++)
        if (!r->seekers[i].carries)
            tl_peers_call(r->peers, &r->seekers[i].mark.peer);
    r->call_at = now + TL_RECONNECT_CALL;
}

static void on_mark(void *user, const tl_peers_mark *m)
{
    note(user, m, true);
}

static void begin(tl_reconnect *r)
{
    tl_peers_mark lost[TL_PEERS_LOST_MAX];
    tl_time now = now_of(r);
    forget(r);
    tl_phases_begin(&r->phases, now);
    tl_peers_mark_each(r->peers, on_mark, r);
    call(r, now);
    size_t n = tl_peers_lost(r->peers, lost);
    for (size_t i = 0; i < n; i++)
        note(r, &lost[i], false);
    for (size_t i = 0; i < r->n; i++)
        tl_phases_add(&r->phases, &r->seekers[i].mark.peer, r->seekers[i].rank,
                      r->seekers[i].stood);
    tl_phases_add(&r->phases, NULL, TL_RANK_BOOTSTRAP, false);
    tl_phases_start(&r->phases, now);
    r->look_at = now + TL_RECONNECT_LOOK;
    r->settled = false;
}

void tl_reconnect_on_moved(tl_reconnect *r)
{
    begin(r);
    run(r);
}

void tl_reconnect_on_address(tl_reconnect *r)
{
    if (r->phases.phase == TL_PHASE_RESTING)
        begin(r);
    tl_phases_on_address(&r->phases, now_of(r));
    run(r);
}

/* --- driving --- */

static void look(tl_reconnect *r, tl_time now)
{
    if (!r->settled) {
        settle(r);
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        seeker *k = &r->seekers[i];
        if (k->carries || !tl_peers_heard_since(r->peers, &k->mark))
            continue;
        k->carries = true;
        tl_phases_on_carries(&r->phases, &k->mark.peer, now);
    }
    if (r->bootstrapping && r->world.joined(r->user)) {
        r->bootstrapping = false;
        tl_phases_on_bootstrap(&r->phases, now);
    }
    if (r->phases.address || r->phases.no_address)
        return;
    tl_reconnect_address address = r->world.address(r->user);
    if (address == TL_RECONNECT_KNOWN)
        tl_phases_on_address(&r->phases, now);
    else if (address == TL_RECONNECT_NOBODY)
        tl_phases_no_address(&r->phases, now);
}

void tl_reconnect_on_timer(tl_reconnect *r)
{
    tl_time now = now_of(r);
    if (r->phases.phase == TL_PHASE_RESTING || now < tl_reconnect_expiry(r))
        return;
    if (now >= r->look_at) {
        look(r, now);
        r->look_at = now + TL_RECONNECT_LOOK;
        if (now >= r->call_at)
            call(r, now);
    }
    tl_phases_on_timer(&r->phases, now);
    run(r);
}

tl_time tl_reconnect_expiry(const tl_reconnect *r)
{
    if (r->phases.phase == TL_PHASE_RESTING)
        return TL_NEVER;
    return tl_time_min(r->look_at, tl_phases_expiry(&r->phases));
}

tl_phase tl_reconnect_phase(const tl_reconnect *r)
{
    return r->phases.phase;
}

const tl_reconnect_counters *tl_reconnect_counters_of(const tl_reconnect *r)
{
    return &r->counters;
}

/* --- life --- */

tl_err tl_reconnect_new(tl_peers *peers, const tl_env *env, const tl_reconnect_world *world,
                        void *user, tl_reconnect **ret_reconnect)
{
    tl_reconnect *r = calloc(1, sizeof *r);
    if (!r)
        return TL_ERR_NOMEM;
    r->peers = peers;
    r->env = *env;
    r->world = *world;
    r->user = user;
    tl_phases_init(&r->phases);
    *ret_reconnect = r;
    return TL_OK;
}

void tl_reconnect_free(tl_reconnect *r)
{
    if (!r)
        return;
    forget(r);
    free(r);
}
