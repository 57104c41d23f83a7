/* Introductions (docs/protocol.md "Introducers"): sessions that begin with a PunchIntro and its PunchReady, and
 * not with an offer and its answer. The session's ID is the nonce, in hex. */
#include "direct/state.h"

#include "base/log.h"
#include "relay/signed.h"

#define NONCE_HEX (2 * TL_CONTROL_NONCE_SIZE)

const char *tl_direct_intro_name(tl_direct_intro_result r)
{
    static const char *const names[TL_DIRECT_INTRO_RESULTS] = {
        [TL_DIRECT_INTRO_TAKEN] = "taken",       [TL_DIRECT_INTRO_MALFORMED] = "malformed",
        [TL_DIRECT_INTRO_FOREIGN] = "foreign",   [TL_DIRECT_INTRO_LATE] = "late",
        [TL_DIRECT_INTRO_REPLAYED] = "replayed", [TL_DIRECT_INTRO_UNWELCOME] = "unwelcome",
        [TL_DIRECT_INTRO_FORGED] = "forged",     [TL_DIRECT_INTRO_ADDRESS] = "address",
        [TL_DIRECT_INTRO_USELESS] = "useless",   [TL_DIRECT_INTRO_AGAIN] = "again",
    };
    return names[r];
}

static tl_unix wall_of(const tl_direct *d)
{
    return d->env.wall(d->env.user);
}

static tl_control_nat our_nat(const tl_direct_self *self)
{
    return tl_control_nat_named(tl_nat_tesseras_type(self->facts));
}

/* "Cone" may be any of three: the one that lets in least decides whether a search is worth it. */
static tl_nat_type nat_of(tl_control_nat nat)
{
    static const tl_nat_type types[TL_CONTROL_NATS] = {
        [TL_CONTROL_NAT_PUBLIC] = TL_NAT_FULL_CONE,
        [TL_CONTROL_NAT_CONE] = TL_NAT_PORT_RESTRICTED,
        [TL_CONTROL_NAT_SYMMETRIC] = TL_NAT_SYMMETRIC,
        [TL_CONTROL_NAT_UNKNOWN] = TL_NAT_UNKNOWN,
    };
    return types[nat];
}

/* --- our own --- */

/* How long the nth PunchIntro of an attempt waits for its answer: longer than any round trip; the last ones twice
 * as long. */
static tl_time patience(unsigned nth)
{
    return nth < 2 ? TL_SEC : 2 * TL_SEC;
}

/* A neighbour's answer takes a millisecond, on a busy Wi-Fi some hundred. */
#define GREETING_PATIENCE (500 * TL_MS)

/* Greets the peer where it is near, and has it introduced: at the first try only where it is not. `ret_greeted`: only
 * the former. False: nobody can be asked. */
static bool ask(const tl_direct_peer *p, const uint8_t *nonce, bool *ret_greeted)
{
    const tl_direct *d = p->direct;
    bool greeted = d->world.greet && d->world.greet(d->user, &p->id, nonce);
    *ret_greeted = greeted && p->introductions == 0;
    if (*ret_greeted || !d->world.introduce)
        return greeted;
    return d->world.introduce(d->user, &p->id, nonce, p->introductions) || greeted;
}

bool tl_direct_introduce(tl_direct_peer *p)
{
    tl_direct *d = p->direct;
    uint8_t nonce[TL_CONTROL_NONCE_SIZE];
    char id[NONCE_HEX + 1];
    if (p->introductions >= TL_DIRECT_INTRODUCTIONS)
        return false;
    tl_rand_bytes(d->rand, nonce, sizeof nonce);
    tl_hex_write(id, nonce, sizeof nonce);
    tl_session *s = tl_session_new_for(p, id, true);
    if (!s)
        return false;
    s->introduced = true;
    bool greeted;
    if (!ask(p, nonce, &greeted)) {
        tl_session_free(s);
        return false;
    }
    p->our_nat = tl_nat_type_of(d->world.self(d->user)->facts);
    tl_session_take(p, s);
    tl_session_offered(s);
    s->answer_by = tl_direct_now(d) + (greeted ? GREETING_PATIENCE : patience(p->introductions));
    p->introductions++;
    tl_direct_due(d, s->answer_by);
    tl_attempt_is(p, TL_DIRECT_OFFERED);
    tl_attempt_tell(p, TL_DIRECT_WAYS); /* the ways of an older session may be gone */
    tl_attempt_note(p, greeted ? "greeted on the local network" : "asked to be introduced", NULL);
    if (p->introductions == 1)
        p->attempts++;
    d->counters.intros_out++;
    return true;
}

/* --- the peer's --- */

static bool is_self(const tl_direct *d, const uint8_t *key)
{
    return memcmp(key, d->identity->id.key, TL_CONTROL_ID_SIZE) == 0;
}

/* Whoever sends it says truly where it is. A link-local address has its link only here; and through a pipe, the port
 * is that of its UDP. */
static bool is_from(const tl_control *c, tl_sock sock, const tl_addr *from)
{
    tl_addr at = *from;
    at.scope = 0;
    if (tl_sock_is_pipe(sock))
        at.port = c->addr.port;
    return tl_addr_eq(&c->addr, &at);
}

/* Is it for us, and from where it may come? `ret_seen`: our address, as it is seen there. */
static bool is_for_us(const tl_direct *d, const tl_control *c, tl_sock sock, const tl_addr *from,
                      tl_addr *ret_seen)
{
    tl_node_id introducer;
    if (!is_self(d, c->target) || is_self(d, c->initiator))
        return false;
    if (c->type == TL_CONTROL_PUNCH_INTRO) /* this node is its own introducer */
        return is_self(d, c->introducer) && is_from(c, sock, from);
    return !tl_sock_is_pipe(sock) && !is_self(d, c->introducer) && d->world.is_introducer &&
           !tl_node_id_from_bytes(c->introducer, &introducer) &&
           d->world.is_introducer(d->user, &introducer, from, ret_seen);
}

static const tl_addr *own_address(const tl_direct_self *self, tl_addr_family family)
{
    const tl_addr *a = family == TL_ADDR_V6 ? &self->facts->public6 : &self->facts->public4;
    for (size_t i = 0; a->family == TL_ADDR_NONE && i < self->n_candidates; i++)
        if (self->candidates[i].addr.family == family)
            a = &self->candidates[i].addr;
    return a;
}

/* The PunchReady: to the initiator, if `straight`, and back where the request came from. */
static void say_ready(tl_session *s, const tl_control *request, const tl_addr *seen, tl_sock sock,
                      const tl_addr *from, bool straight)
{
    tl_direct *d = s->peer->direct;
    const tl_direct_self *self = d->world.self(d->user);
    tl_control c = *request;
    uint8_t bytes[TL_CONTROL_MAX];
    const tl_addr *own = own_address(self, request->addr.family);
    tl_sock base = request->addr.family == TL_ADDR_V6 ? self->sock6 : self->sock4;
    c.type = TL_CONTROL_PUNCH_READY;
    c.addr = own->family == TL_ADDR_NONE ? *seen : *own;
    c.addr.scope = 0;
    c.nat = our_nat(self);
    c.timestamp = (uint64_t)wall_of(d);
    if (!c.addr.port || tl_control_sign(&c, d->identity))
        return; /* the checks may open a way all the same: the initiator's NAT may let them in */
    size_t n = tl_control_write(&c, bytes);
    bool told = straight && base && tl_checks_may_tell(s->checks, &request->addr);
    s->via[s->n_via++] = *from;
    if (told)
        (void)!d->world.send(d->user, base, &request->addr, bytes, n, n);
    bool same =
        told && tl_addr_eq(from, &request->addr); /* the introducer wants a way for itself */
    if (request->type == TL_CONTROL_PUNCH_REQUEST && !same)
        (void)!d->world.send(d->user, sock, from, bytes, n, n);
}

/* The PunchReady to a neighbour: back where its greeting came from. */
static void say_ready_near(tl_session *s, const tl_control *request, tl_sock sock,
                           const tl_addr *from)
{
    tl_direct *d = s->peer->direct;
    tl_control c = *request;
    uint8_t bytes[TL_CONTROL_MAX];
    c.type = TL_CONTROL_PUNCH_READY;
    c.nat = our_nat(d->world.self(d->user));
    c.timestamp = (uint64_t)wall_of(d);
    if (!tl_near_own(d, from, &c.addr) || tl_control_sign(&c, d->identity))
        return;
    size_t n = tl_control_write(&c, bytes);
    if (tl_sock_is_pipe(sock) || tl_checks_may_tell(s->checks, from))
        (void)!d->world.send(d->user, sock, from, bytes, n, n);
}

/* The session knows where the initiator is. False: no datagram is ever sent there. */
static bool place(tl_session *s, const tl_control *c, tl_sock sock, const tl_addr *from)
{
    return tl_near_came(s->peer->direct, sock, from)
               ? tl_near_add(s, sock, from, c->addr.port)
               : tl_session_add_remote(
                     s, TL_CANDIDATE_SERVER_REFLEXIVE, &c->addr,
                     tl_candidate_priority(TL_CANDIDATE_SERVER_REFLEXIVE, &c->addr, 0));
}

/* Its signature is right. */
static tl_direct_intro_result answer(tl_direct_peer *p, const tl_control *c, const tl_addr *seen,
                                     tl_sock sock, const tl_addr *from)
{
    tl_direct *d = p->direct;
    char id[NONCE_HEX + 1];
    /* Both sides asked at once: the introduction of the smaller node ID stays, unless it was not answered for
     * a while. */
    if (p->now && p->now->state == TL_SESSION_OFFERED && p->introductions <= 1 &&
        tl_node_id_cmp(&d->identity->id, &p->id) < 0)
        return TL_DIRECT_INTRO_USELESS;
    tl_hex_write(id, c->nonce, sizeof c->nonce);
    tl_session *s = tl_session_new_for(p, id, false);
    if (!s)
        return TL_DIRECT_INTRO_USELESS;
    s->introduced = true;
    if (!place(s, c, sock, from)) {
        tl_session_free(s);
        return TL_DIRECT_INTRO_ADDRESS;
    }
    tl_session_take(p, s);
    tl_attempt_tell(p, TL_DIRECT_WAYS); /* the ways of an older session may be gone */
    p->our_nat = tl_nat_type_of(d->world.self(d->user)->facts);
    p->peer_nat = nat_of(c->nat);
    s->peer_nat = c->nat;
    s->reflexive = c->addr;
    if (tl_near_came(d, sock, from))
        say_ready_near(s, c, sock, from);
    else
        say_ready(s, c, seen, sock, from, true);
    tl_session_begin(s);
    return TL_DIRECT_INTRO_TAKEN;
}

/* `stranger`: nobody here knows the initiator. */
static bool may_verify(tl_direct *d, const tl_control *c, const tl_node_id *initiator, tl_sock sock,
                       const tl_addr *from, bool stranger)
{
    tl_time now = tl_direct_now(d);
    if (stranger && tl_near_came(d, sock, from))
        return tl_strangers_may_ask(&d->neighbours, from, now);
    if (stranger && (!d->world.greets || !d->world.greets(d->user)))
        return false;
    if (d->world.vouches && d->world.vouches(d->user, initiator, from))
        return true;
    if (stranger)
        return tl_strangers_may_ask(&d->strangers, &c->addr, now);
    bool known = d->world.knows && d->world.knows(d->user, initiator);
    return tl_introbudget_take(&d->intros, known ? initiator : NULL,
                               c->type == TL_CONTROL_PUNCH_REQUEST, from, now);
}

/* The peer asked several introducers with one nonce. The first may keep our answer to itself; so each of them gets it.
 * NULL: it is a replay. */
static tl_session *asked_through_another(const tl_direct *d, const tl_node_id *initiator,
                                         const tl_control *c, const tl_addr *from)
{
    char id[NONCE_HEX + 1];
    const tl_direct_peer *p = tl_direct_peer_find(d, initiator);
    tl_session *s = p ? p->now : NULL;
    tl_hex_write(id, c->nonce, sizeof c->nonce);
    if (!s || s->ours || !s->introduced || s->n_via == TL_DIRECT_INTROS_VIA ||
        c->type != TL_CONTROL_PUNCH_REQUEST || strcmp(tl_checks_session(s->checks), id) != 0)
        return NULL;
    for (size_t i = 0; i < s->n_via; i++)
        if (tl_addr_eq(&s->via[i], from))
            return NULL;
    return s;
}

/* Where no internet is, clocks go wrong. Who greets us through a pipe is there now; and a greeting that was recorded is
 * older than the node's last one. */
static bool is_later(const tl_direct *d, const tl_control *c, const tl_node_id *initiator,
                     tl_sock sock)
{
    const tl_direct_peer *p = tl_direct_peer_find(d, initiator);
    return tl_sock_is_pipe(sock) && (!p || c->timestamp > p->greeted_at);
}

static tl_direct_intro_result on_request(tl_direct *d, tl_sock sock, const tl_addr *from,
                                         const tl_control *c)
{
    tl_node_id initiator;
    tl_addr seen = {0};
    tl_unix wall = wall_of(d);
    if (!is_for_us(d, c, sock, from, &seen))
        return TL_DIRECT_INTRO_FOREIGN;
    if (tl_node_id_from_bytes(c->initiator, &initiator))
        return TL_DIRECT_INTRO_FORGED;
    if (!tl_control_is_fresh(c, wall) && !is_later(d, c, &initiator, sock))
        return TL_DIRECT_INTRO_LATE;
    tl_seen_nonces_sweep(&d->nonces_of_intros, tl_direct_now(d));
    bool seen_before = tl_seen_nonces_has(&d->nonces_of_intros, c->initiator, c->nonce);
    tl_session *s = seen_before ? asked_through_another(d, &initiator, c, from) : NULL;
    if (seen_before && !s)
        return TL_DIRECT_INTRO_REPLAYED;
    bool stranger = !d->world.welcome(d->user, &initiator);
    if (!may_verify(d, c, &initiator, sock, from, stranger))
        return TL_DIRECT_INTRO_UNWELCOME;
    if (tl_control_verify(c, &initiator))
        return TL_DIRECT_INTRO_FORGED;
    if (s) {
        say_ready(s, c, &seen, sock, from, false);
        return TL_DIRECT_INTRO_AGAIN;
    }
    bool neighbour = tl_near_came(d, sock, from);
    if (stranger && !tl_strangers_take(neighbour ? &d->neighbours : &d->strangers,
                                       neighbour ? from : &c->addr, tl_direct_now(d)))
        return TL_DIRECT_INTRO_UNWELCOME;
    if (!tl_seen_nonces_keep(&d->nonces_of_intros, c->initiator, c->nonce, tl_direct_now(d)))
        return TL_DIRECT_INTRO_USELESS;
    tl_direct_peer *p = tl_direct_may_answer(d, &initiator);
    if (p && tl_sock_is_pipe(sock) && c->timestamp > p->greeted_at)
        p->greeted_at = c->timestamp;
    tl_direct_intro_result result = p ? answer(p, c, &seen, sock, from) : TL_DIRECT_INTRO_UNWELCOME;
    d->counters.strangers += stranger && result == TL_DIRECT_INTRO_TAKEN;
    return result;
}

/* The session that the PunchReady answers; NULL: none is open. */
static tl_session *session_of(const tl_direct *d, const tl_control *c)
{
    tl_node_id target;
    char id[NONCE_HEX + 1];
    memcpy(target.key, c->target, sizeof target.key); /* not yet known to be a usable key */
    tl_hex_write(id, c->nonce, sizeof c->nonce);
    const tl_direct_peer *p = tl_direct_peer_find(d, &target);
    bool open = p && p->now && p->now->introduced && p->now->state == TL_SESSION_OFFERED &&
                strcmp(tl_checks_session(p->now->checks), id) == 0;
    return open && is_self(d, c->initiator) ? p->now : NULL;
}

/* The session knows where the target is. False: no datagram is ever sent there. */
static bool place_target(tl_session *s, const tl_control *c, tl_sock sock, const tl_addr *from,
                         bool straight)
{
    if (straight && tl_near_came(s->peer->direct, sock, from))
        return tl_near_add(s, sock, from, c->addr.port);
    bool any =
        tl_session_add_remote(s, TL_CANDIDATE_SERVER_REFLEXIVE, &c->addr,
                              tl_candidate_priority(TL_CANDIDATE_SERVER_REFLEXIVE, &c->addr, 0));
    if (straight && !tl_addr_eq(&c->addr, from)) /* where we asked it, it is reached */
        any |= tl_session_add_remote(s, TL_CANDIDATE_HOST, from,
                                     tl_candidate_priority(TL_CANDIDATE_HOST, from, 0));
    return any;
}

static tl_direct_intro_result on_ready(tl_direct *d, tl_sock sock, const tl_addr *from,
                                       const tl_control *c)
{
    tl_session *s = session_of(d, c);
    if (!s)
        return TL_DIRECT_INTRO_FOREIGN;
    if (!tl_control_is_fresh(c, wall_of(d)) && !tl_sock_is_pipe(sock))
        return TL_DIRECT_INTRO_LATE;
    /* Only who was asked, or stands on the way there, knows the nonce. */
    if (s->readies >= TL_DIRECT_READIES)
        return TL_DIRECT_INTRO_UNWELCOME;
    tl_direct_peer *p = s->peer;
    if (tl_control_verify(c, &p->id)) {
        s->readies++;
        return TL_DIRECT_INTRO_FORGED;
    }
    /* Nobody stands between: the target is its own introducer, or this node is. */
    bool straight =
        memcmp(c->introducer, c->target, sizeof c->target) == 0 || is_self(d, c->introducer);
    if (!place_target(s, c, sock, from, straight))
        return TL_DIRECT_INTRO_ADDRESS;
    p->peer_nat = nat_of(c->nat);
    s->peer_nat = c->nat;
    s->reflexive = c->addr;
    tl_session_begin(s);
    return TL_DIRECT_INTRO_TAKEN;
}

bool tl_direct_on_control(tl_direct *d, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    tl_control c;
    tl_control_type type = tl_control_peek(datagram);
    bool ready = type == TL_CONTROL_PUNCH_READY;
    if (!ready && type != TL_CONTROL_PUNCH_REQUEST && type != TL_CONTROL_PUNCH_INTRO)
        return false;
    tl_direct_intro_result result = TL_DIRECT_INTRO_MALFORMED;
    if (!d->enabled)
        result = TL_DIRECT_INTRO_USELESS;
    else if (!tl_control_parse(datagram, &c))
        result = ready ? on_ready(d, sock, from, &c) : on_request(d, sock, from, &c);
    (ready ? d->counters.readies_in : d->counters.intros_in)[result]++;
    if (result != TL_DIRECT_INTRO_TAKEN && result != TL_DIRECT_INTRO_AGAIN)
        tl_log(TL_LOG_DEBUG, "direct: a %s is refused: %s", tl_control_type_name(type),
               tl_direct_intro_name(result));
    tl_direct_settle(d);
    return true;
}
