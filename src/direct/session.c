/* One session: its checks, and what follows from what they tell. */
#include "direct/state.h"

#include "base/log.h"

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
    tl_check_username(session, s->username);
    HASH_FIND(hh_name, d->by_name, s->username, TL_CHECK_USERNAME, same);
    if (same) { /* by chance never: somebody plays */
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

static void close_search(tl_session *s, tl_sock but)
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
    close_search(s, 0);
    free(s->search);
    HASH_DELETE(hh, d->by_tag, s);
    HASH_DELETE(hh_name, d->by_name, s);
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

void tl_direct_take(tl_direct_peer *p, tl_session *s)
{
    if (p->now && tl_session_carries(p->now)) {
        tl_session_free(p->old);
        p->old = p->now;
        p->now = NULL;
    }
    tl_session_free(p->now);
    p->now = s;
}

/* --- what the checks tell --- */

static int nat_index(const char *type)
{
    static const char *const names[TL_NAT_TYPES] = {"fullCone", "restrictedCone", "portRestricted",
                                                    "symmetric", "unknown"};
    for (int i = 0; i < TL_NAT_TYPES; i++)
        if (strcmp(names[i], type) == 0)
            return i;
    return TL_NAT_TYPES - 1;
}

static void count(tl_direct_peer *p, const tl_session *s, bool success)
{
    int ours = nat_index(p->our_nat), theirs = nat_index(p->peer_nat);
    int initiator = s->ours ? ours : theirs, target = s->ours ? theirs : ours;
    uint64_t(*table)[TL_NAT_TYPES] =
        success ? p->direct->punches.successes : p->direct->punches.attempts;
    table[initiator][target]++;
}

void tl_session_start(tl_session *s)
{
    tl_direct_peer *p = s->peer;
    tl_direct *d = p->direct;
    tl_direct_note(p, "checks start", NULL);
    s->started = true;
    s->answer_by = TL_NEVER;
    p->state = TL_DIRECT_CHECKING;
    d->counters.attempts++;
    count(p, s, false);
    bool open = strcmp(p->our_nat, "symmetric") == 0 && strcmp(p->peer_nat, "portRestricted") == 0;
    bool guess = strcmp(p->peer_nat, "symmetric") == 0 && strcmp(p->our_nat, "portRestricted") == 0;
    if ((open || guess) && s->reflexive.family == TL_ADDR_V4) {
        s->search_at = tl_direct_now(d) + TL_DIRECT_SEARCH_AFTER;
        tl_direct_due(d, s->search_at);
    }
    tl_checks_start(s->checks, tl_direct_now(d));
    tl_session_pump(s);
}

/* A peer says whose address is searched, and may lie: what all of them together can have us send is
 * bounded, however many names somebody has. What we began ourselves is not in question. */
static bool may_search(const tl_session *s)
{
    const tl_direct_peer *p, *next;
    size_t n = 0;
    HASH_ITER (hh, s->peer->direct->peers, p, next)
        n += p->state == TL_DIRECT_SEARCHING && p->now && !p->now->ours;
    return s->ours || n < TL_DIRECT_SEARCHES_MAX;
}

void tl_session_search(tl_session *s)
{
    tl_direct_peer *p = s->peer;
    tl_direct *d = p->direct;
    tl_time now = tl_direct_now(d);
    if (!may_search(s) && now < s->began + TL_DIRECT_SEARCH_WAIT) {
        s->search_at = now + TL_DIRECT_SEARCH_AFTER;
        tl_direct_due(d, s->search_at);
        return;
    }
    if (!may_search(s)) {
        s->search_at = TL_NEVER;
        d->counters.failed++;
        tl_direct_give_up(p, TL_DIRECT_FAILED);
        return;
    }
    tl_direct_note(p, "the birthday search starts towards", &s->reflexive);
    s->search_at = TL_NEVER;
    s->searching = true;
    if (strcmp(p->our_nat, "symmetric") == 0) {
        s->search = calloc(TL_BIRTHDAY_SOCKETS, sizeof *s->search);
        s->n_search =
            s->search ? d->world.open_sockets(d->user, s->search, TL_BIRTHDAY_SOCKETS) : 0;
        if (s->n_search == 0) { /* nothing more will come of the checks, which may be over */
            d->counters.failed++;
            tl_direct_give_up(p, TL_DIRECT_FAILED);
            return;
        }
        tl_checks_search_open(s->checks, &s->reflexive, s->search, s->n_search, now);
    } else {
        tl_checks_search_guess(s->checks, &s->reflexive, now);
    }
    p->state = TL_DIRECT_SEARCHING;
    tl_session_pump(s);
}

static void on_valid(tl_session *s, uint16_t id)
{
    tl_direct_peer *p = s->peer;
    tl_direct *d = p->direct;
    tl_time now = tl_direct_now(d);
    const tl_pair *pair = tl_checks_pair(s->checks, id);
    tl_way_entry *way = pair ? tl_way_get(s, pair) : NULL;
    if (!way)
        return;
    tl_direct_note(p, "valid:", &pair->remote);
    DL_FOREACH (p->ways, way)
        if (way->session == s && way->pair == id && !way->up) {
            way->up = true;
            way->since = now;
        }
    if (!s->first_valid) {
        s->first_valid = now;
        d->counters.succeeded++;
        count(p, s, true);
    }
    s->search_at = TL_NEVER;
    p->state = TL_DIRECT_STANDS;
    p->moved = false;
    p->again_at = TL_NEVER;
    p->pause = TL_DIRECT_AGAIN_FIRST;
    tl_ways_pace(p);
    tl_direct_changed(p);
}

static bool any_way(const tl_direct_peer *p)
{
    const tl_way_entry *way;
    DL_FOREACH (p->ways, way)
        if (way->up)
            return true;
    return false;
}

void tl_direct_again_if_moved(tl_direct_peer *p)
{
    if (!p->moved || !p->wanted || any_way(p) || p->state == TL_DIRECT_OFFERED)
        return;
    p->pause = TL_DIRECT_AGAIN_FIRST;
    tl_direct_offer(p);
    p->moved = p->state == TL_DIRECT_NEVER;
}

static void on_lost(tl_session *s, uint16_t id)
{
    tl_direct_peer *p = s->peer;
    tl_direct *d = p->direct;
    bool used = false;
    tl_way_entry *way;
    const tl_pair *pair = tl_checks_pair(s->checks, id);
    tl_direct_note(p, "lost:", pair ? &pair->remote : NULL);
    DL_FOREACH (p->ways, way)
        if (way->session == s && way->pair == id && way->up) {
            way->up = false;
            way->losses++;
            used |= way->path == p->used;
        }
    d->counters.lost++;
    if (!any_way(p) && p->state == TL_DIRECT_STANDS) {
        p->state = TL_DIRECT_LOST;
        /* Not from here: an offer may free this very session. The timer makes it, at once. */
        p->again_at = tl_direct_now(d) + (p->moved && p->wanted ? 0 : p->pause);
        tl_direct_due(d, p->again_at);
    }
    tl_ways_pace(p);
    tl_direct_changed(p);
    if (used)
        d->world.on_silent(d->user, &p->id);
}

static void on_done(tl_session *s)
{
    tl_direct_peer *p = s->peer;
    if (s != p->now || any_way(p) || p->state == TL_DIRECT_FAILED)
        return;
    if (s->search_at != TL_NEVER && !s->searching) {
        tl_session_search(s);
        return;
    }
    p->direct->counters.failed++;
    tl_direct_give_up(p, TL_DIRECT_FAILED);
}

static void on_event(tl_session *s, const tl_checks_event *ev)
{
    switch (ev->type) {
    case TL_CHECKS_VALID: on_valid(s, ev->pair); break;
    case TL_CHECKS_SILENT:
        s->peer->direct->world.on_silent(s->peer->direct->user, &s->peer->id);
        break;
    case TL_CHECKS_LOST: on_lost(s, ev->pair); break;
    case TL_CHECKS_DONE: on_done(s); break;
    case TL_CHECKS_SOCKETS_DONE: {
        const tl_pair *pair = ev->pair ? tl_checks_pair(s->checks, ev->pair) : NULL;
        close_search(s, pair ? pair->sock : 0);
        break;
    }
    }
}

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
    tl_checks_event ev;
    bool more = true;
    while (more) {
        more = false;
        while (tl_checks_next_output(s->checks, tl_direct_now(d), &o))
            if (may_send(s, &o) && d->world.send(d->user, o.sock, &o.to, o.bytes, o.n, o.n))
                continue; /* lost, as on any network: it is asked again */
        while (tl_checks_next_event(s->checks, &ev)) {
            on_event(s, &ev);
            more = true;
        }
    }
    tl_direct_due(d, tl_checks_expiry(s->checks));
}

void tl_direct_on_stun(tl_direct *d, tl_sock sock, const tl_addr *from, tl_slice datagram,
                       const tl_stun *stun)
{
    tl_session *s = NULL;
    if (stun->class == TL_STUN_REQUEST && stun->username.n == TL_CHECK_USERNAME)
        HASH_FIND(hh_name, d->by_name, stun->username.p, TL_CHECK_USERNAME, s);
    else if (stun->class == TL_STUN_SUCCESS) {
        uint32_t tag = tl_checks_tag_of(stun);
        HASH_FIND(hh, d->by_tag, &tag, sizeof tag, s);
    }
    if (!s) {
        d->counters.strays++;
        return;
    }
    tl_checks_on_stun(s->checks, sock, from, datagram, stun, tl_direct_now(d));
    /* What a peer sends from an address that it asked us from is let in at once: QUIC knows who it
     * is, and our own check of the address may still be under way. */
    const tl_pair *pair = tl_checks_find(s->checks, sock, from);
    if (pair && (pair->asked_by_peer || pair->state == TL_PAIR_VALID) &&
        !tl_way_of_pair(s->peer, s, pair->id) && !tl_way_get(s, pair))
        tl_log(TL_LOG_DEBUG, "direct: no memory for a way to a peer");
    tl_session_pump(s);
}
