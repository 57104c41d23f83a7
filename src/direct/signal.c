/* Signalling through the relay: offers, answers, candidates. */
#include "direct/state.h"

#include "base/log.h"

/* --- ours --- */

static void remember_told(tl_session *s, const tl_candidate *c)
{
    if (s->n_told == sizeof s->told / sizeof *s->told) { /* the oldest may be told again */
        memmove(s->told, s->told + 1, (s->n_told - 1) * sizeof *s->told);
        s->n_told--;
    }
    s->told[s->n_told++] = *c;
}

static bool was_told(const tl_session *s, const tl_addr *a)
{
    for (size_t i = 0; i < s->n_told; i++)
        if (tl_addr_eq(&s->told[i].addr, a))
            return true;
    return false;
}

/* False: the message could not be made, or the relay is not connected. */
static bool signal(tl_direct *d, tl_signal_type type, tl_err made, json_t *payload)
{
    tl_err e = made ? made : d->world.signal(d->user, type, payload);
    if (!made)
        json_decref(payload);
    return !e;
}

void tl_session_tell_candidates(tl_session *s)
{
    tl_direct *d = s->peer->direct;
    const tl_direct_self *self = d->world.self(d->user);
    if (s->introduced) /* the peer may be at no relay */
        return;
    for (size_t i = 0; i < self->n_candidates; i++) {
        const tl_candidate *c = &self->candidates[i];
        json_t *payload = NULL;
        if (was_told(s, &c->addr))
            continue;
        tl_err e = tl_candidate_make(d->identity, &s->peer->id, tl_checks_session(s->checks), c,
                                     d->rand, d->env.wall(d->env.user), &payload);
        if (!signal(d, TL_SIGNAL_ICE_CANDIDATE, e, payload))
            return;
        remember_told(s, c);
    }
}

/* Our own address to name beside the public one. Where there is no NAT, both are one (nat_of below). */
static const tl_candidate *local_of(const tl_direct_self *self, const tl_addr *public_addr)
{
    const tl_candidate *first[2] = {NULL, NULL}; /* IPv6, IPv4 */
    for (size_t i = self->n_candidates; i-- > 0;) {
        const tl_candidate *c = &self->candidates[i];
        if (c->kind != TL_CANDIDATE_HOST)
            continue;
        if (tl_addr_eq(&c->addr, public_addr))
            return c;
        first[c->addr.family == TL_ADDR_V4] = c;
    }
    return first[1] ? first[1] : first[0];
}

/* connectionInfo has room for one public and one local address. The others go as iceCandidates. */
static tl_connection_info connection_info(tl_session *s)
{
    tl_direct_peer *p = s->peer;
    const tl_direct_self *self = p->direct->world.self(p->direct->user);
    tl_connection_info info = {0};
    if (self->facts->public4.family) /* the NAT's own address, even where a port mapping exists */
        info.public_addr = self->facts->public4;
    else if (self->facts->public6.family)
        info.public_addr = self->facts->public6;
    const tl_candidate *local = local_of(self, &info.public_addr);
    if (local)
        info.local_addr = local->addr;
    p->our_nat = info.nat_type = tl_nat_type_of(self->facts);
    if (info.public_addr.family)
        remember_told(s, &(tl_candidate){.addr = info.public_addr});
    if (local && !was_told(s, &local->addr))
        remember_told(s, local);
    return info;
}

static bool tell(tl_session *s, tl_offer_type type)
{
    tl_direct *d = s->peer->direct;
    json_t *payload = NULL;
    tl_connection_info info = connection_info(s);
    tl_err e = tl_offer_make(type, d->identity, &s->peer->id, tl_checks_session(s->checks), &info,
                             d->rand, d->env.wall(d->env.user), &payload);
    if (!signal(d, type == TL_OFFER_OFFER ? TL_SIGNAL_OFFER : TL_SIGNAL_ANSWER, e, payload))
        return false;
    tl_attempt_note(s->peer, type == TL_OFFER_OFFER ? "offered:" : "answered:", &info.local_addr);
    tl_session_tell_candidates(s);
    return true;
}

bool tl_direct_offer_by_relay(tl_direct_peer *p)
{
    tl_direct *d = p->direct;
    char id[TL_SESSION_TEXT + 1];
    tl_session_new(d->rand, id);
    tl_session *s = tl_session_new_for(p, id, true);
    if (!s) {
        tl_attempt_give_up(p, TL_DIRECT_FAILED);
        return true;
    }
    if (!tell(s, TL_OFFER_OFFER)) {
        tl_session_free(s);
        return false;
    }
    tl_session_take(p, s);
    tl_session_offered(s);
    tl_attempt_is(p, TL_DIRECT_OFFERED);
    tl_attempt_tell(p, TL_DIRECT_WAYS); /* the ways of an older session may be gone */
    p->attempts++;
    d->counters.offers_out++;
    return true;
}

/* A neighbour is asked at its own door first: that needs nobody else, and takes a millisecond. */
static bool greet(tl_direct_peer *p)
{
    return tl_near_is(p->direct, &p->id) && tl_direct_introduce(p);
}

void tl_direct_offer(tl_direct_peer *p)
{
    const tl_direct_self *self = p->direct->world.self(p->direct->user);
    p->again_at = TL_NEVER;
    p->introductions = 0;
    p->hurried = false;
    if (!self->sock4 && !self->sock6)
        tl_attempt_is(p, TL_DIRECT_OFF);
    else if (!greet(p) && !tl_direct_offer_by_relay(p) && !tl_direct_introduce(p))
        tl_attempt_is(p, TL_DIRECT_NEVER); /* tl_direct_on_registered offers again */
}

/* --- theirs --- */

bool tl_session_add_remote(tl_session *s, tl_candidate_kind kind, const tl_addr *addr,
                           uint32_t priority)
{
    tl_direct *d = s->peer->direct;
    const tl_direct_self *self = d->world.self(d->user);
    tl_candidate c = {kind, tl_addr_normal(*addr), priority};
    if (c.addr.family == TL_ADDR_NONE)
        return false;
    if (!tl_candidate_allowed(&c.addr, self->interfaces, self->n_interfaces, self->port)) {
        tl_attempt_note(s->peer, "never sends to", &c.addr);
        s->refused++;
        d->counters.candidates_refused++;
        return false;
    }
    tl_attempt_note(s->peer, tl_candidate_kind_name(kind), &c.addr);
    tl_checks_add_remote(s->checks, &c, tl_direct_now(d));
    return true;
}

/* An offer has no word for a node without a NAT: its type is that of a cone that lets everybody in, and it
 * names one address as both its public and its own. */
static tl_control_nat nat_of(const tl_connection_info *info)
{
    if (info->nat_type == TL_NAT_UNKNOWN)
        return TL_CONTROL_NAT_UNKNOWN;
    if (info->nat_type == TL_NAT_SYMMETRIC)
        return TL_CONTROL_NAT_SYMMETRIC;
    bool same = info->public_addr.family && tl_addr_eq(&info->public_addr, &info->local_addr);
    return same ? TL_CONTROL_NAT_PUBLIC : TL_CONTROL_NAT_CONE;
}

static void take_info(tl_session *s, const tl_connection_info *info)
{
    tl_direct_peer *p = s->peer;
    p->peer_nat = info->nat_type;
    s->peer_nat = nat_of(info);
    s->reflexive = tl_addr_normal(info->public_addr);
    (void)tl_session_add_remote(s, TL_CANDIDATE_HOST, &info->local_addr,
                                tl_candidate_priority(TL_CANDIDATE_HOST, &info->local_addr, 0));
    (void)tl_session_add_remote(
        s, TL_CANDIDATE_SERVER_REFLEXIVE, &info->public_addr,
        tl_candidate_priority(TL_CANDIDATE_SERVER_REFLEXIVE, &info->public_addr, 0));
    const tl_direct_self *self = p->direct->world.self(p->direct->user);
    if (!tl_candidate_allowed(&s->reflexive, self->interfaces, self->n_interfaces, self->port))
        s->reflexive = (tl_addr){0};
}

void tl_session_begin(tl_session *s)
{
    tl_direct_peer *p = s->peer;
    tl_attempt_note(p, "checks start", NULL);
    p->direct->counters.attempts++;
    tl_attempt_count(s, false);
    tl_session_start(s);
    if (s->ours)
        tl_near_join(s);
    tl_attempt_is(p, TL_DIRECT_CHECKING);
}

tl_direct_peer *tl_direct_may_answer(tl_direct *d, const tl_node_id *from)
{
    tl_time now = tl_direct_now(d);
    tl_direct_peer *p = tl_direct_peer_asking(d, from);
    if (!p) {
        d->counters.rate_limited++;
        return NULL;
    }
    if (p->answers == 0 || now - p->answers_since >= 10 * TL_SEC) {
        p->answers = 0;
        p->answers_since = now;
    }
    if (p->answers >= TL_DIRECT_ANSWERS) {
        d->counters.rate_limited++;
        return NULL;
    }
    p->answers++;
    return p;
}

/* May this node's offer be read now? Returns its peer, or NULL. Cheap: makes no signature check,
 * and keeps memory only for nodes that are welcome. */
static tl_direct_peer *admit(tl_direct *d, const tl_node_id *from)
{
    if (!d->world.welcome(d->user, from)) {
        tl_log(TL_LOG_DEBUG, "direct: an offer of somebody who may not ask us");
        d->counters.unwelcome++;
        return NULL;
    }
    if (!tl_ratelimit_take(&d->offers, 1, tl_direct_now(d))) {
        d->counters.rate_limited++;
        return NULL;
    }
    return tl_direct_may_answer(d, from);
}

static bool read_offer(tl_direct *d, tl_offer_type type, tl_slice payload, tl_offer *ret_offer)
{
    tl_offer_verdict v =
        tl_offer_read(type, payload, d->identity, &d->nonces, d->env.wall(d->env.user), ret_offer);
    if (v == TL_OFFER_OK)
        return true;
    d->counters.offers_refused[v]++;
    tl_log(TL_LOG_DEBUG, "direct: an offer, answer or candidate is refused: %s",
           tl_offer_verdict_name(v));
    return false;
}

static void on_offer(tl_direct *d, const tl_node_id *from, tl_slice payload)
{
    tl_offer o;
    tl_direct_peer *p = admit(d, from);
    if (!p || !read_offer(d, TL_OFFER_OFFER, payload, &o) || !tl_node_id_eq(&o.from, from))
        return;
    d->counters.offers_in++;
    /* Both sides offered at once: the offer of the smaller node ID stays. */
    if (p->now && p->now->state == TL_SESSION_OFFERED && tl_node_id_cmp(&d->identity->id, from) < 0)
        return;
    tl_session *s = tl_session_new_for(p, o.session, false);
    if (!s)
        return;
    tl_session_take(p, s);
    tl_attempt_tell(p, TL_DIRECT_WAYS); /* the ways of an older session may be gone */
    take_info(s, &o.info);
    if (tell(s, TL_OFFER_ANSWER)) {
        tl_session_begin(s);
        return;
    }
    tl_session_free(s);
    p->again_at = TL_NEVER;
    tl_attempt_is(p, TL_DIRECT_NEVER); /* tl_direct_on_registered offers */
}

/* The peer's session of that name; NULL: there is none. */
static tl_session *session_of(tl_direct *d, const tl_node_id *from, const char *session)
{
    tl_direct_peer *p = tl_direct_peer_find(d, from);
    if (p && p->now && strcmp(tl_checks_session(p->now->checks), session) == 0)
        return p->now;
    if (p && p->old && strcmp(tl_checks_session(p->old->checks), session) == 0)
        return p->old;
    return NULL;
}

static void on_answer(tl_direct *d, const tl_node_id *from, tl_slice payload)
{
    tl_offer o;
    tl_direct_peer *p = tl_direct_peer_find(d, from);
    if (!p || !p->now || p->now->state != TL_SESSION_OFFERED ||
        !read_offer(d, TL_OFFER_ANSWER, payload, &o) || !tl_node_id_eq(&o.from, from))
        return;
    tl_session *s = session_of(d, from, o.session);
    if (!s || s != p->now)
        return;
    take_info(s, &o.info);
    tl_session_begin(s);
}

static void on_candidate(tl_direct *d, const tl_node_id *from, tl_slice payload)
{
    tl_offer o;
    tl_direct_peer *p = tl_direct_peer_find(d, from);
    if (!p || (!p->now && !p->old))
        return;
    if (!tl_ratelimit_take(&d->candidates, 1, tl_direct_now(d))) {
        d->counters.rate_limited++;
        return;
    }
    if (!read_offer(d, TL_OFFER_CANDIDATE, payload, &o) || !tl_node_id_eq(&o.from, from))
        return;
    tl_session *s = session_of(d, from, o.session);
    if (!s)
        return;
    (void)tl_session_add_remote(s, o.candidate.kind, &o.candidate.addr, o.candidate.priority);
    tl_session_pump(s);
}

void tl_direct_signalled(tl_direct *d, tl_signal_type type, const tl_node_id *from,
                         tl_slice payload)
{
    switch (type) {
    case TL_SIGNAL_OFFER: on_offer(d, from, payload); break;
    case TL_SIGNAL_ANSWER: on_answer(d, from, payload); break;
    case TL_SIGNAL_ICE_CANDIDATE: on_candidate(d, from, payload); break;
    default: break;
    }
}
