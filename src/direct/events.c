/* What follows from the events of the checks: a pair answers or is lost, or the attempt is over.
 * Changes ways, sessions and attempts. Touches no socket: what is sent goes out by session.c. */
#include "direct/state.h"

#include <utlist.h>

/* The peer names the address that is searched, and the peer may lie. So the searches that peers'
 * offers began are bounded for all peers together. Searches of our own offers are not bounded
 * here. */
static bool may_search(const tl_session *s)
{
    const tl_direct_peer *p, *next;
    size_t n = 0;
    if (s->ours)
        return true;
    HASH_ITER (hh, s->peer->direct->peers, p, next) {
        const tl_session *of[] = {p->now, p->old};
        for (int i = 0; i < 2; i++)
            n += of[i] && of[i]->state == TL_SESSION_SEARCHING && !of[i]->ours;
    }
    return n < TL_DIRECT_SEARCHES_MAX;
}

/* The session found no way that can be used. The attempt is over, unless another session has
 * one. */
static void fail(tl_session *s)
{
    tl_direct_peer *p = s->peer;
    tl_session_settle(s);
    if (s != p->now || tl_ways_any(p))
        return;
    /* One that found a way and lost it with its network has succeeded. */
    p->direct->counters.failed += !s->first_valid && !s->failed;
    s->failed = true;
    tl_attempt_give_up(p, TL_DIRECT_FAILED);
}

void tl_direct_search(tl_session *s)
{
    tl_direct_peer *p = s->peer;
    if (may_search(s)) {
        tl_attempt_note(p, "the birthday search starts towards", &s->reflexive);
        bool begun = tl_session_search(s);
        if (s == p->now)
            tl_attempt_is(p, TL_DIRECT_SEARCHING);
        if (!begun)
            fail(s);
    } else if (tl_direct_now(p->direct) < s->began + TL_DIRECT_SEARCH_WAIT) {
        tl_session_search_later(s);
    } else {
        fail(s);
    }
}

void tl_direct_again_if_moved(tl_direct_peer *p)
{
    if (!p->moved || !p->wanted || tl_ways_any(p) || p->state == TL_DIRECT_OFFERED)
        return;
    p->pause = TL_DIRECT_AGAIN_FIRST;
    tl_direct_offer(p);
    p->moved = p->state == TL_DIRECT_NEVER;
}

void tl_direct_on_valid(tl_session *s, uint16_t id)
{
    tl_direct_peer *p = s->peer;
    tl_direct *d = p->direct;
    const tl_pair *pair = tl_checks_pair(s->checks, id);
    tl_way_entry *way = pair ? tl_way_get(s, pair) : NULL;
    if (!way) {
        if (tl_session_started(s))
            fail(s);
        return;
    }
    way->waits = !tl_way_hears(way, pair);
    tl_attempt_note(p, way->waits ? "valid, but another peer's:" : "valid:", &pair->remote);
    if (way->waits) {
        tl_ways_pace(p);
        return;
    }
    DL_FOREACH (p->ways, way) /* a way made for another address may lead to this pair, too */
        if (way->session == s && way->pair == id && !way->up) {
            way->up = true;
            way->since = tl_direct_now(d);
        }
    if (!s->first_valid) {
        s->first_valid = tl_direct_now(d);
        d->counters.succeeded++;
        tl_attempt_count(s, true);
        if (p->stranger)
            tl_direct_due(d, s->first_valid + TL_DIRECT_IDLE_STRANGER);
    }
    if (tl_session_started(s))
        tl_session_settle(s);
    p->moved = false;
    tl_attempt_look(p);
    tl_ways_pace(p);
    tl_attempt_tell(p, TL_DIRECT_WAYS);
}

/* The addresses of a way that stands no more go to the pairs of other peers that answer there. */
static void hand_over(tl_direct *d, const tl_way_entry *lost)
{
    tl_way_entry *way;
    while ((way = tl_way_waiting(d, lost))) {
        way->waits = false;
        tl_direct_on_valid(way->session, way->pair);
    }
}

static tl_way_entry *freed(const tl_direct *d)
{
    tl_way_entry *way, *next;
    HASH_ITER (hh, d->ways, way, next)
        if (way->freed)
            return way;
    return NULL;
}

/* The same for those that waited for a way that was freed. */
static void hand_over_freed(tl_direct *d)
{
    tl_way_entry *way;
    if (!d->any_freed)
        return;
    d->any_freed = false;
    while ((way = freed(d))) {
        const tl_pair *pair = tl_way_pair(way);
        way->freed = false;
        if (pair && pair->state == TL_PAIR_VALID)
            tl_direct_on_valid(way->session, way->pair);
    }
}

static bool any_waits(const tl_session *s)
{
    const tl_way_entry *way;
    DL_FOREACH (s->peer->ways, way)
        if (way->session == s && way->waits)
            return true;
    return false;
}

static void on_lost(tl_session *s, uint16_t id)
{
    tl_direct_peer *p = s->peer;
    bool waited = any_waits(s);
    tl_way_entry *way;
    const tl_pair *pair = tl_checks_pair(s->checks, id);
    tl_attempt_note(p, "lost:", pair ? &pair->remote : NULL);
    DL_FOREACH (p->ways, way)
        if (way->session == s && way->pair == id) {
            way->waits = false;
            if (!way->up)
                continue;
            way->up = false;
            way->losses++;
            if (way->path == p->used)
                tl_attempt_tell(p, TL_DIRECT_SILENT);
            hand_over(p->direct, way);
        }
    p->direct->counters.lost++;
    /* The checks say no DONE of an attempt in which a pair answered. */
    if (waited && !any_waits(s) && s->state != TL_SESSION_SETTLED)
        fail(s);
    tl_attempt_look(p);
    tl_ways_pace(p);
    tl_attempt_tell(p, TL_DIRECT_WAYS);
    tl_direct_again_if_moved(p); /* may free `s` */
}

static void on_done(tl_session *s)
{
    bool needed = s == s->peer->now && !tl_ways_any(s->peer);
    if (needed && s->state == TL_SESSION_CHECKING && s->search_at != TL_NEVER)
        tl_direct_search(s);
    else if (s->state == TL_SESSION_SETTLED && s->peer->state == TL_DIRECT_FAILED)
        return; /* the owner was told already */
    else if (tl_session_started(s))
        fail(s);
}

/* May free the session. */
static void on_event(tl_session *s, const tl_checks_event *ev)
{
    const tl_pair *pair = ev->pair ? tl_checks_pair(s->checks, ev->pair) : NULL;
    switch (ev->type) {
    case TL_CHECKS_VALID: tl_direct_on_valid(s, ev->pair); break;
    case TL_CHECKS_SILENT: tl_attempt_tell(s->peer, TL_DIRECT_SILENT); break;
    case TL_CHECKS_LOST: on_lost(s, ev->pair); break;
    case TL_CHECKS_DONE: on_done(s); break;
    case TL_CHECKS_SOCKETS_DONE: tl_session_close_search(s, pair ? pair->sock : 0); break;
    }
}

void tl_direct_settle(tl_direct *d)
{
    tl_session *s;
    tl_checks_event ev;
    hand_over_freed(d);
    while ((s = d->pending)) {
        const tl_direct_peer *p = s->peer;
        if (tl_checks_next_event(s->checks, &ev)) {
            on_event(s, &ev);
        } else {
            DL_DELETE(d->pending, s);
            s->pending = false;
            tl_session_pump(s); /* handling the events may have left something to send */
        }
        tl_attempt_check(p);
        hand_over_freed(d); /* a session and its ways may have been freed */
    }
}
