#include "peer/phases.h"

#include <assert.h>
#include <string.h>

const char *tl_phase_name(tl_phase p)
{
    static const char *const names[] = {[TL_PHASE_RESTING] = "resting",
                                        [TL_PHASE_MIGRATION] = "migration",
                                        [TL_PHASE_STUN] = "stun",
                                        [TL_PHASE_REESTABLISH] = "reestablish"};
    return names[p];
}

const char *tl_phase_state_name(tl_phase_state s)
{
    static const char *const names[] = {
        [TL_PHASE_BEGINS] = "begins", [TL_PHASE_DONE] = "done", [TL_PHASE_FAILED] = "failed"};
    return names[s];
}

void tl_phases_init(tl_phases *p)
{
    *p = (tl_phases){.phase = TL_PHASE_RESTING};
}

/* --- what is told --- */

static tl_phases_counts count(const tl_phases *p)
{
    tl_phases_counts c = {.address = p->address};
    for (size_t i = 0; i < p->n; i++) {
        const tl_phases_peer *peer = &p->peers[i];
        bool carries = peer->state == TL_PHASES_CARRIES;
        /* whether there are bootstrap nodes shows when they are to be asked */
        bool wanted = peer->tried || (!carries && peer->rank != TL_RANK_BOOTSTRAP);
        c.connections += peer->stood;
        c.carry += peer->stood && carries;
        c.answers += peer->rank == TL_RANK_ANSWER || peer->rank == TL_RANK_ASKING;
        c.wanted += wanted;
        c.back += wanted && carries;
    }
    return c;
}

static void tell(tl_phases *p, tl_phase_state state, tl_time now)
{
    assert(p->n_told < TL_PHASES_TOLD_MAX);
    p->told[p->n_told++] = (tl_step){.type = TL_STEP_TELL,
                                     .phase = p->phase,
                                     .state = state,
                                     .after = now - p->began,
                                     .counts = count(p)};
}

/* --- the phases --- */

static tl_time ends_at(const tl_phases *p)
{
    switch (p->phase) {
    case TL_PHASE_MIGRATION: return p->began + TL_PHASES_MIGRATION_WITHIN;
    case TL_PHASE_STUN: return p->began + TL_PHASES_STUN_WITHIN;
    case TL_PHASE_REESTABLISH: return p->began + TL_PHASES_REESTABLISH_WITHIN;
    case TL_PHASE_RESTING: break;
    }
    return TL_NEVER;
}

/* Nothing is left to do in this phase. */
static bool is_done(const tl_phases *p)
{
    bool migration = p->phase == TL_PHASE_MIGRATION;
    if (p->phase == TL_PHASE_STUN)
        return p->address || p->no_address;
    for (size_t i = 0; i < p->n; i++) {
        const tl_phases_peer *peer = &p->peers[i];
        bool open = peer->state == TL_PHASES_WAITS || peer->state == TL_PHASES_TRYING;
        if (open && (peer->stood || !migration))
            return false;
    }
    return true;
}

static bool has_failed(const tl_phases *p)
{
    tl_phases_counts c = count(p);
    switch (p->phase) {
    case TL_PHASE_MIGRATION: return c.carry < c.connections;
    case TL_PHASE_STUN: return !p->address;
    case TL_PHASE_REESTABLISH: return c.back < c.wanted;
    case TL_PHASE_RESTING: break;
    }
    return false;
}

static void set_phase(tl_phases *p, tl_phase phase, tl_time now)
{
    assert(phase == TL_PHASE_MIGRATION ||
           phase == (p->phase == TL_PHASE_REESTABLISH ? TL_PHASE_RESTING : p->phase + 1));
    p->phase = phase;
    if (phase != TL_PHASE_RESTING)
        tell(p, TL_PHASE_BEGINS, now);
}

static void advance(tl_phases *p, tl_time now)
{
    while (p->phase != TL_PHASE_RESTING && (is_done(p) || now >= ends_at(p))) {
        tell(p, has_failed(p) ? TL_PHASE_FAILED : TL_PHASE_DONE, now);
        if (p->phase == TL_PHASE_STUN)
            p->announce = true; /* even where no server answered: what else we publish holds */
        set_phase(p, p->phase == TL_PHASE_REESTABLISH ? TL_PHASE_RESTING : p->phase + 1, now);
    }
}

void tl_phases_begin(tl_phases *p, tl_time now)
{
    tl_phases_init(p);
    p->began = now;
}

void tl_phases_add(tl_phases *p, const tl_node_id *id, tl_phases_rank rank, bool stood)
{
    assert(p->phase == TL_PHASE_RESTING);
    bool bootstrap = rank == TL_RANK_BOOTSTRAP;
    size_t last = TL_PHASES_PEERS_MAX + bootstrap;
    if (p->n >= last)
        return;
    p->peers[p->n] = (tl_phases_peer){.rank = rank, .stood = stood && !bootstrap};
    if (!bootstrap)
        p->peers[p->n].id = *id;
    p->n++;
}

void tl_phases_start(tl_phases *p, tl_time now)
{
    set_phase(p, TL_PHASE_MIGRATION, now);
    advance(p, now);
}

void tl_phases_on_timer(tl_phases *p, tl_time now)
{
    advance(p, now);
}

tl_time tl_phases_expiry(const tl_phases *p)
{
    tl_time at = ends_at(p), place = TL_NEVER;
    bool waits = false;
    if (p->phase != TL_PHASE_REESTABLISH)
        return at;
    for (size_t i = 0; i < p->n; i++) {
        waits |= p->peers[i].state == TL_PHASES_WAITS;
        if (p->peers[i].state == TL_PHASES_TRYING)
            place = tl_time_min(place, p->peers[i].place_until);
    }
    return waits ? tl_time_min(at, place) : at;
}

/* --- what became of whom --- */

static tl_phases_peer *find(tl_phases *p, const tl_node_id *id)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->peers[i].rank != TL_RANK_BOOTSTRAP && tl_node_id_eq(&p->peers[i].id, id))
            return &p->peers[i];
    return NULL;
}

void tl_phases_on_carries(tl_phases *p, const tl_node_id *id, tl_time now)
{
    tl_phases_peer *peer = find(p, id);
    if (!peer || p->phase == TL_PHASE_RESTING)
        return;
    peer->state = TL_PHASES_CARRIES;
    advance(p, now);
}

void tl_phases_on_failed(tl_phases *p, const tl_node_id *id, tl_time now)
{
    tl_phases_peer *peer = find(p, id);
    if (!peer || peer->state != TL_PHASES_TRYING)
        return;
    peer->state = TL_PHASES_FAILED;
    advance(p, now);
}

static tl_phases_peer *find_bootstrap(tl_phases *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->peers[i].rank == TL_RANK_BOOTSTRAP)
            return &p->peers[i];
    return NULL;
}

void tl_phases_on_bootstrap(tl_phases *p, tl_time now)
{
    tl_phases_peer *nodes = find_bootstrap(p);
    if (!nodes || p->phase == TL_PHASE_RESTING)
        return;
    nodes->state = TL_PHASES_CARRIES;
    advance(p, now);
}

void tl_phases_no_bootstrap(tl_phases *p, tl_time now)
{
    tl_phases_peer *nodes = find_bootstrap(p);
    if (nodes)
        nodes->tried = false; /* so it is not counted */
    tl_phases_on_bootstrap(p, now);
}

void tl_phases_on_address(tl_phases *p, tl_time now)
{
    p->announce |= p->phase == TL_PHASE_REESTABLISH;
    p->address = true;
    advance(p, now);
}

void tl_phases_no_address(tl_phases *p, tl_time now)
{
    p->no_address = true;
    advance(p, now);
}

/* --- what is to be done --- */

/* Guests are free to come in any number. */
static bool is_guest(const tl_phases_peer *peer)
{
    return peer->rank >= TL_RANK_ASKING;
}

static bool needs_place(const tl_phases_peer *peer)
{
    return peer->rank != TL_RANK_BOOTSTRAP;
}

static bool holds_place(const tl_phases_peer *peer, tl_time now)
{
    return needs_place(peer) && peer->state == TL_PHASES_TRYING && now < peer->place_until;
}

/* The next peer to be tried; NULL: none waits, or no place is free. */
static tl_phases_peer *next_peer(tl_phases *p, tl_time now)
{
    tl_phases_peer *first = NULL, *beside = NULL;
    unsigned taken = 0, guests = 0;
    for (size_t i = 0; i < p->n; i++) {
        tl_phases_peer *peer = &p->peers[i];
        taken += holds_place(peer, now);
        guests += holds_place(peer, now) && is_guest(peer);
        if (peer->state != TL_PHASES_WAITS)
            continue;
        if (!needs_place(peer))
            beside = peer;
        if (!first || peer->rank < first->rank)
            first = peer;
    }
    bool full = taken >= TL_PHASES_AT_ONCE;
    if (first && is_guest(first))
        full |= guests > 0;
    return full ? beside : first;
}

bool tl_phases_next(tl_phases *p, tl_time now, tl_step *ret_step)
{
    if (p->n_told) {
        *ret_step = p->told[0];
        memmove(&p->told[0], &p->told[1], --p->n_told * sizeof p->told[0]);
        return true;
    }
    if (p->announce) {
        p->announce = false;
        *ret_step = (tl_step){.type = TL_STEP_ANNOUNCE};
        return true;
    }
    tl_phases_peer *peer = p->phase == TL_PHASE_REESTABLISH ? next_peer(p, now) : NULL;
    if (!peer)
        return false;
    bool bootstrap = peer->rank == TL_RANK_BOOTSTRAP;
    peer->state = TL_PHASES_TRYING;
    peer->tried = true;
    peer->place_until = now + TL_PHASES_TRY;
    *ret_step = (tl_step){.type = bootstrap ? TL_STEP_BOOTSTRAP : TL_STEP_RENEW, .peer = peer->id};
    return true;
}
