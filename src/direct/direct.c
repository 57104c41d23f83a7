#include "direct/state.h"

#include "base/log.h"

#include <stdlib.h>
#include <utlist.h>

#define BARREN_LOSSES                                                                              \
    3 /* a barren way counts as lost 3 times: it may be blocked for good, and a try costs 1 s */

/* --- life --- */

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
    tl_introbudget_init(&d->intros, now);
    d->nonces_of_intros.max = TL_INTROBUDGET_NONCES_MAX;
    tl_strangers_init(&d->strangers, false, now);
    tl_strangers_init(&d->neighbours, true, now);
    d->unheard = tl_ratelimit_make(TL_DIRECT_UNHEARD_SECOND, TL_DIRECT_UNHEARD_BURST, now);
    *ret_direct = d;
    return TL_OK;
}

void tl_direct_free(tl_direct *d)
{
    if (!d)
        return;
    tl_direct_peers_free(d);
    tl_nonces_clear(&d->nonces);
    tl_seen_nonces_clear(&d->nonces_of_intros);
    free(d);
}

/* --- what the owner wants --- */

void tl_direct_want(tl_direct *d, const tl_node_id *peer)
{
    tl_direct_peer *p = tl_direct_peer_get(d, peer);
    if (!p)
        return;
    p->wanted = true;
    tl_direct_peer_known(p);
    if (!d->enabled)
        tl_attempt_is(p, TL_DIRECT_OFF);
    else if (tl_attempt_is_on(p))
        return;
    else if (p->again_at == TL_NEVER || tl_direct_now(d) >= p->again_at || tl_near_is(d, peer))
        tl_direct_offer(p); /* a neighbour each time: that costs nobody else anything */
    else                    /* the timer did not look at again_at while nobody wanted the peer */
        tl_direct_due(d, p->again_at);
    tl_attempt_check(p);
}

void tl_direct_again(tl_direct *d, const tl_node_id *peer)
{
    tl_direct_peer *p = tl_direct_peer_find(d, peer);
    if (!p || !d->enabled)
        return;
    p->again_at = TL_NEVER;
    if (p->state == TL_DIRECT_OFFERED)
        tl_direct_offer(p);
    tl_direct_want(d, peer);
}

void tl_direct_hurry(tl_direct *d, const tl_node_id *peer)
{
    tl_direct_peer *p = tl_direct_peer_find(d, peer);
    if (!p || !d->enabled || tl_attempt_is_on(p))
        return;
    p->introductions = 0;
    p->hurried = true;
    (void)tl_direct_introduce(p);
    tl_attempt_check(p);
}

void tl_direct_found(tl_direct *d, const tl_node_id *peer)
{
    tl_direct_peer *p = tl_direct_peer_find(d, peer);
    if (!p || !d->enabled)
        return;
    if (p->state != TL_DIRECT_OFFERED || !p->now->introduced) {
        tl_direct_hurry(d, peer);
        return;
    }
    p->introductions = 0;
    (void)tl_direct_introduce(p);
    tl_attempt_check(p);
}

bool tl_direct_is_on(const tl_direct *d, const tl_node_id *peer)
{
    const tl_direct_peer *p = tl_direct_peer_find(d, peer);
    return p && tl_attempt_is_on(p);
}

static void close_all(tl_direct_peer *p, tl_direct_state state)
{
    tl_session_free(p->now);
    tl_session_free(p->old);
    tl_attempt_is(p, state);
    tl_attempt_check(p);
}

void tl_direct_drop(tl_direct *d, const tl_node_id *peer)
{
    tl_direct_peer *p = tl_direct_peer_find(d, peer);
    if (!p)
        return;
    p->wanted = p->active = false;
    p->used = 0;
    close_all(p, TL_DIRECT_NEVER);
}

void tl_direct_set_enabled(tl_direct *d, bool enabled)
{
    tl_direct_peer *p, *next;
    d->enabled = enabled;
    HASH_ITER (hh, d->peers, p, next) {
        if (!enabled) {
            close_all(p, TL_DIRECT_OFF);
            tl_attempt_tell(p, TL_DIRECT_WAYS);
        } else if (p->wanted) {
            p->again_at = TL_NEVER;
            tl_direct_want(d, &p->id);
        }
    }
}

static void renew_ways(tl_direct_peer *p)
{
    tl_way_entry *up[TL_WAYS_OF_PEER_MAX], *way;
    size_t n = 0;
    DL_FOREACH (p->ways, way)
        if (way->up)
            up[n++] = way;
    for (size_t i = 0; i < n; i++)
        tl_way_renew(up[i]);
    if (n)
        tl_attempt_tell(p, TL_DIRECT_WAYS);
    tl_attempt_check(p);
}

void tl_direct_renew(tl_direct *d)
{
    tl_direct_peer *p, *next;
    HASH_ITER (hh, d->peers, p, next)
        if (p->wanted)
            renew_ways(p);
    tl_direct_settle(d);
}

/* A stranger to whom no way stands learns nothing of where we are now. */
static void tell_change(tl_direct_peer *p, bool moved)
{
    tl_direct *d = p->direct;
    bool introduced = p->now && p->now->introduced;
    if (moved && tl_direct_peer_is_strange(p)) {
        tl_direct_peer_forget(p);
        return;
    }
    if (p->now) {
        tl_checks_set_keepalive(p->now->checks, d->world.self(d->user)->keepalive);
        tl_session_tell_candidates(p->now);
        if (moved && tl_session_started(p->now)) {
            tl_session_restart(p->now);
            tl_attempt_is(p, TL_DIRECT_CHECKING);
        }
        tl_session_pump(p->now);
    }
    /* Where no relay carries the connection meanwhile, nobody waits until the old way is lost for certain. */
    if (moved && introduced && (p->wanted || p->used)) {
        p->introductions = 0;
        (void)tl_direct_introduce(p);
    }
    if (moved && p->wanted) {
        p->moved = true;
        tl_direct_again_if_moved(p);
    }
    tl_attempt_check(p);
}

void tl_direct_on_change(tl_direct *d, bool moved)
{
    tl_direct_peer *p, *next;
    for (int serving_us = 1; serving_us >= 0; serving_us--) /* first the peers that we dialled */
        HASH_ITER (hh, d->peers, p, next)
            if (p->wanted == serving_us)
                tell_change(p, moved);
    tl_direct_settle(d);
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
        else if (p->wanted && p->state == TL_DIRECT_OFFERED &&
                 !p->now->introduced) /* the answer may have been lost */
            tl_direct_offer(p);
        tl_attempt_check(p);
    }
}

/* --- what comes in --- */

/* The peer does not answer the offer: it is away, or does not want to. Or it is at no relay of ours, and others
 * can introduce us. */
static void unanswered(tl_session *s)
{
    tl_direct_peer *p = s->peer;
    bool alone = s == p->now && !tl_session_carries(s);
    bool greeted = s->introduced && p->introductions == 1 && tl_near_is(p->direct, &p->id);
    if (alone && ((greeted && tl_direct_offer_by_relay(p)) || tl_direct_introduce(p)))
        return;
    if (tl_session_carries(s)) { /* but the peer answered checks */
        tl_session_settle(s);
        return;
    }
    tl_session_free(s);
    tl_attempt_give_up(p, TL_DIRECT_UNANSWERED);
}

void tl_direct_on_signal(tl_direct *d, tl_signal_type type, const tl_node_id *from,
                         tl_slice payload)
{
    if (!d->enabled)
        return;
    tl_direct_signalled(d, type, from, payload);
    tl_direct_settle(d);
    const tl_direct_peer *p = tl_direct_peer_find(d, from);
    if (p)
        tl_attempt_check(p);
}

void tl_direct_on_signal_failed(tl_direct *d, const char *session)
{
    char name[TL_CHECK_USERNAME + 1];
    tl_session *s;
    tl_check_username(session, name);
    HASH_FIND(hh_name, d->by_name, name, TL_CHECK_USERNAME, s);
    if (s && s->state == TL_SESSION_OFFERED && s == s->peer->now && !s->introduced)
        unanswered(s);
}

/* The session that a STUN message belongs to; NULL: none. */
static tl_session *session_of(const tl_direct *d, const tl_stun *stun)
{
    tl_session *s = NULL;
    if (stun->class == TL_STUN_REQUEST && stun->username.n == TL_CHECK_USERNAME)
        HASH_FIND(hh_name, d->by_name, stun->username.p, TL_CHECK_USERNAME, s);
    else if (stun->class == TL_STUN_SUCCESS) {
        uint32_t tag = tl_checks_tag_of(stun);
        HASH_FIND(hh, d->by_tag, &tag, sizeof tag, s);
    }
    return s;
}

void tl_direct_on_stun(tl_direct *d, tl_sock sock, const tl_addr *from, tl_slice datagram,
                       const tl_stun *stun)
{
    tl_session *s = session_of(d, stun);
    if (!s) {
        d->counters.strays++;
        return;
    }
    tl_checks_on_stun(s->checks, sock, from, datagram, stun, tl_direct_now(d));
    /* The peer sent an authenticated check from this address. Its datagrams from there are let in
     * at once, although our own check of the address may still be under way: QUIC authenticates
     * them. */
    const tl_pair *pair = tl_checks_find(s->checks, sock, from);
    if (pair && (pair->asked_by_peer || pair->state == TL_PAIR_VALID)) {
        const tl_way_entry *way = tl_way_of_pair(s, pair->id);
        if (way && way->waits)
            tl_direct_on_valid(s, pair->id);
        else if ((!way || !tl_way_hears(way, pair)) && !tl_way_get(s, pair))
            tl_log(TL_LOG_DEBUG,
                   "direct: no way for a peer's address (another peer's, or no room)");
    }
    tl_session_pump(s);
    tl_direct_settle(d);
}

/* A connection ID that is at home on `at_home` comes from the address of `way`, another way to the
 * same peer. Either a NAT between us has changed its mapping, or somebody repeats packets and
 * checks that he saw. So `at_home` follows only to an address that has answered a check of ours. */
static void follow(tl_way_entry *at_home, const tl_way_entry *way)
{
    tl_direct_peer *p = way->peer;
    const tl_pair *pair = tl_way_pair(way);
    bool other = at_home->session != way->session || at_home->pair != way->pair;
    if (!other || !pair || pair->state != TL_PAIR_VALID)
        return;
    tl_way_rebind(at_home, way);
    p->direct->counters.rebinds++;
    tl_attempt_tell(p, TL_DIRECT_WAYS);
}

tl_path_id tl_direct_path_of(tl_direct *d, tl_sock sock, const tl_addr *from, tl_path_id known,
                             bool client)
{
    tl_way_entry *way = tl_way_of_source(d, sock, from), *at_home = NULL;
    if (known)
        at_home = tl_way_find(d, known);
    if (!way) {
        d->counters.strays++;
        if (at_home) {
            tl_checks_probe(at_home->session->checks, sock, from, tl_direct_now(d));
            tl_session_pump(at_home->session);
            tl_direct_settle(d);
        }
        return 0;
    }
    if (!known || known == way->path)
        return way->path;
    if (!at_home)
        return known;
    if (at_home->peer != way->peer)
        return 0;
    const tl_pair *pair = tl_way_pair(at_home);
    if (!client) {
        follow(at_home, way);
    } else if (pair && !tl_addr_eq(&pair->remote, from)) {
        tl_checks_suspect(at_home->session->checks, at_home->pair, tl_direct_now(d));
        tl_session_pump(at_home->session);
        tl_direct_settle(d);
    }
    return known;
}

/* --- what goes out --- */

tl_err tl_direct_send(tl_direct *d, tl_path_id path, const uint8_t *data, size_t n, size_t segment)
{
    const tl_way_entry *way = tl_way_find(d, path);
    const tl_pair *pair = way ? tl_way_pair(way) : NULL;
    if (!pair)
        return TL_ERR_NOT_FOUND;
    return d->world.send(d->user, pair->sock, &pair->remote, data, n, segment);
}

void tl_direct_on_barren(tl_direct *d, tl_path_id path)
{
    tl_way_entry *way = tl_way_find(d, path);
    if (!way)
        return;
    const tl_pair *pair = tl_way_pair(way);
    tl_attempt_note(way->peer, "carries nothing:", pair ? &pair->remote : NULL);
    way->since = tl_direct_now(d);
    way->losses += BARREN_LOSSES;
    d->counters.lost++;
    tl_attempt_tell(way->peer, TL_DIRECT_WAYS);
}

void tl_direct_using(tl_direct *d, const tl_node_id *peer, tl_path_id path, bool active)
{
    tl_direct_peer *p = tl_direct_peer_find(d, peer);
    if (!p || (p->used == path && p->active == active))
        return;
    const tl_way_entry *way = path ? tl_way_find(d, path) : NULL;
    p->used = way && way->peer == p ? path : 0;
    if (p->used)
        tl_direct_peer_known(p);
    p->active = active;
    tl_ways_pace(p);
    tl_env_wake(&d->env);
}

/* --- time --- */

/* Returns when to call again. */
static tl_time session_on_timer(tl_session *s, tl_time now)
{
    if (now >= s->answer_by) {
        unanswered(s);
        return TL_NEVER;
    }
    if (now >= s->search_at)
        tl_direct_search(s);
    return tl_session_on_timer(s, now);
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
        if (p->again_at != TL_NEVER && p->wanted && d->enabled) {
            /* otherwise tl_direct_want looks at again_at when it is called again */
            if (now >= p->again_at)
                tl_direct_offer(p);
            else
                tl_direct_due(d, p->again_at);
        }
        tl_attempt_check(p);
        tl_direct_due(d, tl_direct_peer_tidy(p, now));
    }
    tl_direct_settle(d);
}

tl_time tl_direct_expiry(const tl_direct *d)
{
    return d->due;
}

/* --- what the owner sees --- */

bool tl_direct_next_event(tl_direct *d, tl_direct_event *ret_event)
{
    tl_direct_peer *p = d->telling;
    if (!p)
        return false;
    *ret_event = (tl_direct_event){p->tell_silent ? TL_DIRECT_SILENT : TL_DIRECT_WAYS, p->id};
    if (p->tell_silent)
        p->tell_silent = false;
    else
        p->tell_ways = false;
    if (!p->tell_ways)
        DL_DELETE(d->telling, p);
    return true;
}

static tl_direct_way describe(const tl_direct *d, const tl_way_entry *way, const tl_pair *pair)
{
    const tl_direct_self *self = d->world.self(d->user);
    bool tcp = tl_sock_is_pipe(pair->sock);
    return (tl_direct_way){
        .path = way->path,
        .lan = tcp || tl_addr_on_link(&pair->remote, self->interfaces, self->n_interfaces),
        .tcp = tcp,
        .rtt = pair->rtt,
        .least = pair->least,
        .since = way->since,
        .losses = way->losses,
        .remote = pair->remote};
}

size_t tl_direct_ways(const tl_direct *d, const tl_node_id *peer,
                      tl_direct_way ret_ways[TL_DIRECT_WAYS_MAX])
{
    const tl_direct_peer *p = tl_direct_peer_find(d, peer);
    size_t n = 0;
    const tl_way_entry *way;
    if (!p)
        return 0;
    DL_FOREACH (p->ways, way)
        if (way->up && tl_way_pair(way) && n < TL_DIRECT_WAYS_MAX)
            ret_ways[n++] = describe(d, way, tl_way_pair(way));
    return n;
}

bool tl_direct_way_of(const tl_direct *d, tl_path_id path, tl_direct_way *ret_way)
{
    const tl_way_entry *way = tl_way_find(d, path);
    const tl_pair *pair = way ? tl_way_pair(way) : NULL;
    if (!pair)
        return false;
    *ret_way = describe(d, way, pair);
    return true;
}

bool tl_direct_report_of(const tl_direct *d, const tl_node_id *peer, tl_direct_report *ret_report)
{
    const tl_direct_peer *p = tl_direct_peer_find(d, peer);
    if (!p)
        return false;
    const tl_session *s = p->now;
    *ret_report = (tl_direct_report){
        .state = p->state, .again_at = p->wanted ? p->again_at : TL_NEVER, .attempts = p->attempts};
    ret_report->our_nat = p->our_nat;
    ret_report->peer_nat = p->peer_nat;
    if (!s)
        return true;
    snprintf(ret_report->session, sizeof ret_report->session, "%s", tl_checks_session(s->checks));
    ret_report->ours = s->ours;
    ret_report->introduced = s->introduced;
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

const tl_direct_counters *tl_direct_counters_of(const tl_direct *d)
{
    return &d->counters;
}

const tl_punch_counters *tl_direct_punches(const tl_direct *d)
{
    return &d->punches;
}
