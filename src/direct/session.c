/* One session and its checks. The events of the checks wait in direct's list. Nothing here acts on
 * them, makes an offer, or frees a session that is being driven. */
#include "direct/state.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

tl_session *tl_session_new_for(tl_direct_peer *p, const char *session, bool ours)
{
    tl_direct *d = p->direct;
    tl_session *s = calloc(1, sizeof *s), *same;
    if (!s)
        return NULL;
    s->peer = p;
    s->ours = ours;
    s->began = tl_direct_now(d);
    s->answer_by = s->search_at = TL_NEVER;
    s->our_nat = tl_control_nat_named(tl_nat_tesseras_type(d->world.self(d->user)->facts));
    s->peer_nat = TL_CONTROL_NAT_UNKNOWN;
    tl_check_username(session, s->username);
    HASH_FIND(hh_name, d->by_name, s->username, TL_CHECK_USERNAME, same);
    if (same) { /* never by chance: somebody chose the name on purpose */
        free(s);
        return NULL;
    }
    do {
        tl_rand_bytes(d->rand, (uint8_t *)&s->tag, sizeof s->tag);
        HASH_FIND(hh, d->by_tag, &s->tag, sizeof s->tag, same);
    } while (same);
    const tl_direct_self *self = d->world.self(d->user);
    tl_checks_config config = {.rand = d->rand,
                               .self = d->identity,
                               .peer = &p->id,
                               .session = session,
                               .tag = s->tag,
                               .sock4 = self->sock4,
                               .sock6 = self->sock6,
                               .keepalive = self->keepalive};
    if (tl_checks_new(&config, &s->checks)) {
        free(s);
        return NULL;
    }
    if (!TL_TABLE_ADD(hh, d->by_tag, tag, sizeof s->tag, s))
        goto no_memory;
    if (!TL_TABLE_ADD(hh_name, d->by_name, username, TL_CHECK_USERNAME, s)) {
        HASH_DELETE(hh, d->by_tag, s);
        goto no_memory;
    }
    return s;

no_memory:
    tl_checks_free(s->checks);
    free(s);
    return NULL;
}

void tl_session_close_search(tl_session *s, tl_sock but)
{
    tl_direct *d = s->peer->direct;
    for (size_t i = 0; i < s->n_search; i++)
        if (s->search[i] != but)
            d->world.close_socket(d->user, s->search[i]);
    s->n_search = 0;
    if (but && s->search)
        s->search[s->n_search++] = but;
}

void tl_session_free(tl_session *s)
{
    if (!s)
        return;
    tl_direct *d = s->peer->direct;
    tl_ways_of_session_free(s);
    tl_session_close_search(s, 0);
    free(s->search);
    HASH_DELETE(hh, d->by_tag, s);
    HASH_DELETE(hh_name, d->by_name, s);
    if (s->pending)
        DL_DELETE(d->pending, s);
    if (s->peer->now == s)
        s->peer->now = NULL;
    if (s->peer->old == s)
        s->peer->old = NULL;
    tl_checks_free(s->checks);
    free(s);
}

bool tl_session_carries(const tl_session *s)
{
    const tl_way_entry *way;
    DL_FOREACH (s->peer->ways, way)
        if (way->session == s && (way->up || way->path == s->peer->used))
            return true;
    return false;
}

void tl_session_take(tl_direct_peer *p, tl_session *s)
{
    assert(s != p->now && s != p->old && s->peer == p);
    if (p->now && tl_session_carries(p->now)) {
        tl_session_free(p->old);
        p->old = p->now;
        p->now = NULL;
    }
    tl_session_free(p->now);
    p->now = s;
}

/* --- the state --- */

/* The picture above tl_session_state. */
static bool may_become(tl_session_state from, tl_session_state to)
{
    switch (to) {
    case TL_SESSION_NEW: return false;
    case TL_SESSION_OFFERED: return from == TL_SESSION_NEW;
    case TL_SESSION_CHECKING: return true;
    case TL_SESSION_SEARCHING: return from == TL_SESSION_CHECKING;
    case TL_SESSION_SETTLED: break;
    }
    return from != TL_SESSION_NEW;
}

static void set_state(tl_session *s, tl_session_state state)
{
    tl_direct *d = s->peer->direct;
    assert(s->state == state || may_become(s->state, state));
    s->state = state;
    s->answer_by = s->search_at = TL_NEVER;
    if (state == TL_SESSION_OFFERED)
        tl_direct_due(d, s->answer_by = tl_direct_now(d) + TL_DIRECT_ANSWER_WITHIN);
}

void tl_session_offered(tl_session *s)
{
    assert(s->ours);
    set_state(s, TL_SESSION_OFFERED);
}

/* Is one side behind a symmetric NAT and the other behind a port-restricted one? */
static bool wants_search(const tl_session *s)
{
    const tl_direct_peer *p = s->peer;
    bool open = p->our_nat == TL_NAT_SYMMETRIC && p->peer_nat == TL_NAT_PORT_RESTRICTED;
    bool guess = p->peer_nat == TL_NAT_SYMMETRIC && p->our_nat == TL_NAT_PORT_RESTRICTED;
    return (open || guess) && s->reflexive.family == TL_ADDR_V4;
}

void tl_session_start(tl_session *s)
{
    tl_direct *d = s->peer->direct;
    set_state(s, TL_SESSION_CHECKING);
    if (wants_search(s))
        tl_session_search_later(s);
    tl_checks_start(s->checks, tl_direct_now(d));
    tl_session_pump(s);
}

void tl_session_restart(tl_session *s)
{
    tl_direct *d = s->peer->direct;
    const tl_direct_self *self = d->world.self(d->user);
    tl_time search_at = s->search_at;
    assert(tl_session_started(s));
    tl_checks_restart(s->checks, self->sock4, self->sock6, tl_direct_now(d));
    set_state(s, TL_SESSION_CHECKING);
    s->search_at = search_at;
}

void tl_session_search_later(tl_session *s)
{
    tl_direct *d = s->peer->direct;
    assert(s->state == TL_SESSION_CHECKING);
    s->search_at = tl_direct_now(d) + TL_DIRECT_SEARCH_AFTER;
    tl_direct_due(d, s->search_at);
}

bool tl_session_search(tl_session *s)
{
    tl_direct *d = s->peer->direct;
    tl_time now = tl_direct_now(d);
    set_state(s, TL_SESSION_SEARCHING);
    if (s->peer->our_nat == TL_NAT_SYMMETRIC) {
        s->search = calloc(TL_BIRTHDAY_SOCKETS, sizeof *s->search);
        s->n_search =
            s->search ? d->world.open_sockets(d->user, s->search, TL_BIRTHDAY_SOCKETS) : 0;
        if (s->n_search == 0)
            return false;
        tl_checks_search_open(s->checks, &s->reflexive, s->search, s->n_search, now);
    } else {
        tl_checks_search_guess(s->checks, &s->reflexive, now);
    }
    tl_session_pump(s);
    return true;
}

void tl_session_settle(tl_session *s)
{
    set_state(s, TL_SESSION_SETTLED);
}

/* --- driving --- */

static bool may_send(const tl_session *s, const tl_checks_output *o)
{
    tl_direct *d = s->peer->direct;
    const tl_pair *pair = tl_checks_find(s->checks, o->sock, &o->to);
    if (s->ours || (pair && pair->answered) || tl_ratelimit_take(&d->unheard, 1, tl_direct_now(d)))
        return true;
    d->counters.rate_limited++;
    return false;
}

void tl_session_pump(tl_session *s)
{
    tl_direct *d = s->peer->direct;
    tl_checks_output o;
    while (tl_checks_next_output(s->checks, tl_direct_now(d), &o))
        if (may_send(s, &o) && d->world.send(d->user, o.sock, &o.to, o.bytes, o.n, o.n))
            continue; /* lost, as on any network: the check is sent again */
    if (!s->pending && tl_checks_has_event(s->checks)) {
        s->pending = true;
        DL_APPEND(d->pending, s);
    }
    tl_direct_due(d, tl_checks_expiry(s->checks));
}

tl_time tl_session_on_timer(tl_session *s, tl_time now)
{
    if (now >= tl_checks_expiry(s->checks))
        tl_checks_on_timer(s->checks, now);
    tl_session_pump(s);
    return tl_time_min(tl_time_min(s->answer_by, s->search_at), tl_checks_expiry(s->checks));
}
