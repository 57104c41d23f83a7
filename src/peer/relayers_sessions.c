/* The relay sessions at nodes that relay: how they are asked for, and what keeps them. */
#include "peer/relayers_state.h"

#include "quic/quic.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define TOKEN_EVERY   (15 * TL_SEC) /* a token alone keeps NATs and the session open */
#define MIGRATE_EVERY (500 * TL_MS)
#define MIGRATE_TRIES 5
#define LIFE_MAX      (24 * 3600) /* seconds that an offer may promise; more is as good as no end */
#define PAST_FOR      (TL_CONTROL_NONCE_KEPT * TL_SEC)
#define NAMES_MAX     (TL_RELAYED_BY_MAX + TL_RELAYERS_ATTACHED)

tl_relayer_session *tl_relayers_find(const tl_relayers *r, tl_path_id path)
{
    tl_relayer_session *s;
    HASH_FIND(hh, r->sessions, &path, sizeof path, s);
    return s;
}

static tl_relayer_session *find_open(const tl_relayers *r, tl_path_id path)
{
    tl_relayer_session *s = tl_relayers_find(r, path);
    return s && s->state == TL_SESSION_OPEN ? s : NULL;
}

/* The OPEN session of this name there. */
static tl_relayer_session *find_named(const tl_relayers *r, const tl_relayer *at, const char *id)
{
    tl_relayer_session *s, *next;
    HASH_ITER (hh, r->sessions, s, next)
        if (s->state == TL_SESSION_OPEN && s->at == at && strcmp(s->id, id) == 0)
            return s;
    return NULL;
}

/* --- whom to ask --- */

/* Is the node there one that may relay between the peer and us? Never the peer itself. */
static bool may_relay(const tl_relayers *r, const tl_relayer_name *name, const tl_node_id *peer,
                      const tl_addr *but)
{
    return !tl_node_id_eq(&name->id, peer) && !tl_addr_eq(&name->addr, but) &&
           tl_relayer_may_ask(r, name);
}

/* Those to which the peer says that it is attached, the ones that we know first. With `guess` also our own:
 * the peer may be attached there, too. Those that passed nothing on lately are the last. */
static size_t names_for(const tl_relayers *r, const tl_node_id *peer, bool guess,
                        const tl_addr *but, tl_relayer_name ret[NAMES_MAX])
{
    const tl_peer *p = tl_peer_table_find(r->config.table, peer);
    tl_relayer_facts own[TL_RELAYERS_ATTACHED];
    size_t n = 0, n_own = tl_relayers_attached(r, own);
    for (int known = 1; p && known >= 0; known--)
        for (size_t i = 0; i < p->relaying.n_by; i++) {
            bool ours = false;
            for (size_t k = 0; k < n_own; k++)
                ours = ours || tl_node_id_eq(&own[k].name.id, &p->relaying.by[i].id);
            if (ours == (known == 1) && may_relay(r, &p->relaying.by[i], peer, but))
                ret[n++] = p->relaying.by[i];
        }
    for (size_t k = 0; guess && k < n_own; k++) {
        bool listed = false;
        for (size_t i = 0; i < n; i++)
            listed = listed || tl_node_id_eq(&ret[i].id, &own[k].name.id);
        if (!listed && may_relay(r, &own[k].name, peer, but))
            ret[n++] = own[k].name;
    }
    for (size_t i = 0, first = 0; i < n; i++) {
        tl_relayer_name name = ret[i];
        if (tl_relayers_is_mute(r, &name.id, peer))
            continue;
        memmove(&ret[first + 1], &ret[first], (i - first) * sizeof *ret);
        ret[first++] = name;
    }
    return n;
}

static tl_addr addr_of(const tl_relayers *r, tl_path_id path)
{
    const tl_relayer_session *s = path ? find_open(r, path) : NULL;
    return s ? s->at->name.addr : (tl_addr){.family = TL_ADDR_NONE};
}

bool tl_relayers_can_open(const tl_relayers *r, const tl_node_id *peer, bool guess, tl_path_id but)
{
    tl_relayer_name names[NAMES_MAX];
    tl_addr avoid = addr_of(r, but);
    return r->events.on_ready && names_for(r, peer, guess, &avoid, names) > 0;
}

tl_time tl_relayers_rtt(const tl_relayers *r, const tl_node_id *peer)
{
    const tl_peer *p = tl_peer_table_find(r->config.table, peer);
    tl_relayer_facts own[TL_RELAYERS_ATTACHED];
    size_t n = tl_relayers_attached(r, own);
    for (size_t i = 0; p && i < p->relaying.n_by; i++)
        for (size_t k = 0; k < n; k++)
            if (own[k].rtt && tl_node_id_eq(&own[k].name.id, &p->relaying.by[i].id))
                return p->relayer_rtt ? p->relayer_rtt : 2 * own[k].rtt;
    return 0;
}

/* --- from state to state --- */

static void release(tl_relayers *r, tl_relayer *at)
{
    if (!at)
        return;
    at->sessions--;
    tl_relayer_tidy(r, at);
}

static void hold(tl_relayer_session *s, tl_relayer *at)
{
    at->sessions++;
    s->at = at;
}

static void release_asked(tl_relayers *r, tl_relayer_session *s)
{
    for (size_t i = 0; i < TL_RELAYER_TRIES; i++) {
        release(r, s->asked[i].at);
        s->asked[i].at = NULL;
    }
}

static void session_free(tl_relayers *r, tl_relayer_session *s)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
    HASH_DEL(r->sessions, s);
    r->n_sessions--;
    if (s->state == TL_SESSION_OPEN && !s->heard && s->tries > 1) /* the peer was told twice */
        tl_relayers_note_mute(r, s);
    release_asked(r, s);
    release(r, s->at);
    free(s);
}

static void end(tl_relayers *r, tl_relayer_session *s, const char *why)
{
    tl_path_id path = s->path;
    session_free(r, s);
    r->events.on_ended(r->user, path, why);
    tl_env_wake(&r->config.env);
}

static tl_relayer_session *session_new(tl_relayers *r, const tl_node_id *peer, tl_path_id path)
{
    tl_relayer_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *s = (tl_relayer_session){.path = path,
                              .peer = *peer,
                              .state = TL_SESSION_ASKING,
                              .move_at = TL_NEVER,
                              .ends_at = TL_NEVER};
    if (!TL_TABLE_ADD(hh, r->sessions, path, sizeof s->path, s)) {
        free(s);
        return NULL;
    }
    r->n_sessions++;
    return s;
}

static void say_request(tl_relayers *r, tl_relayer_session *s, tl_relayer *at,
                        uint8_t ret_nonce[TL_CONTROL_NONCE_SIZE])
{
    tl_control c = {.type = TL_CONTROL_RELAY_REQUEST, .pad_n = TL_CONTROL_PAD};
    memcpy(c.initiator, r->config.identity->id.key, sizeof c.initiator);
    memcpy(c.relay, at->name.id.key, sizeof c.relay);
    memcpy(c.target, s->peer.key, sizeof c.target);
    tl_rand_bytes(r->config.rand, c.nonce, sizeof c.nonce);
    memcpy(ret_nonce, c.nonce, sizeof c.nonce);
    r->counters.requests++;
    tl_relayer_say(r, at, &c);
}

static void request(tl_relayers *r, tl_relayer_session *s, tl_time now)
{
    tl_relayer_name names[NAMES_MAX];
    size_t n = names_for(r, &s->peer, s->guess, &s->but, names);
    unsigned nth = s->tries++;
    tl_relayer *at = n ? tl_relayer_get(r, &names[nth % n]) : NULL;
    s->try_at = now + TL_RELAYER_TRY_EVERY;
    tl_relayers_due(r, s->try_at);
    if (!at)
        return;
    /* One long datagram is enough for an address where nobody answers; Attaches are short. */
    bool silent = at->requested && at->leg.state != TL_LEG_OPEN;
    if (silent || !tl_ratelimit_take(&r->requests, 1, now)) {
        tl_relayer_tidy(r, at);
        return;
    }
    at->requested = true;
    s->asked[nth].at = at;
    at->sessions++;
    tl_leg_want(&at->leg, now); /* its answer says where we are seen, and that it is there */
    tl_relayer_ask(r, at, now);
    say_request(r, s, at, s->asked[nth].nonce);
}

/* The peer is told once more of the session that stands here. */
static void request_again(tl_relayers *r, tl_relayer_session *s, tl_time now)
{
    uint8_t nonce[TL_CONTROL_NONCE_SIZE];
    s->tries++;
    s->try_at = now + TL_RELAYER_TRY_EVERY;
    if (tl_ratelimit_take(&r->requests, 1, now))
        say_request(r, s, s->at, nonce);
}

tl_err tl_relayers_open(tl_relayers *r, const tl_node_id *peer, tl_path_id path, bool guess,
                        tl_path_id but)
{
    if (!tl_relayers_can_open(r, peer, guess, but))
        return TL_ERR_CLOSED;
    if (r->n_sessions >= TL_RELAYER_SESSIONS_MAX)
        return TL_ERR_BUSY;
    tl_relayer_session *s = session_new(r, peer, path);
    if (!s)
        return TL_ERR_NOMEM;
    s->ours = true;
    s->guess = guess;
    s->but = addr_of(r, but);
    request(r, s, tl_relayers_now(r));
    return TL_OK;
}

void tl_relayers_close(tl_relayers *r, tl_path_id path)
{
    tl_relayer_session *s = tl_relayers_find(r, path);
    if (s)
        session_free(r, s);
}

void tl_relayers_blame(tl_relayers *r, tl_path_id path)
{
    const tl_relayer_session *s = find_open(r, path);
    if (s)
        tl_relayers_note_mute(r, s);
}

bool tl_relayers_has(const tl_relayers *r, tl_path_id path)
{
    return tl_relayers_find(r, path);
}

bool tl_relayers_of(const tl_relayers *r, tl_path_id path, tl_relayer_name *ret_name)
{
    const tl_relayer_session *s = find_open(r, path);
    if (s)
        *ret_name = s->at->name;
    return s;
}

tl_slice tl_relayers_mark(const tl_relayers *r, tl_path_id path)
{
    const tl_relayer_session *s = find_open(r, path);
    return s ? tl_slice_str(s->id) : tl_slice_of(NULL, 0);
}

tl_err tl_relayers_send(tl_relayers *r, tl_path_id path, const uint8_t *data, size_t n,
                        size_t segment)
{
    tl_relayer_session *s = find_open(r, path);
    if (!s)
        return TL_ERR_NOT_FOUND;
    if (!s->at->asked_at) {
        s->at->asked_at = tl_relayers_now(r);
        tl_relayers_due(r, s->at->asked_at + TL_RELAYER_QUIET);
    }
    return tl_relayer_send(r, s->at, tl_slice_of(s->token, sizeof s->token), data, n, segment);
}

/* --- which session a datagram is of --- */

bool tl_relayers_is_at(const tl_relayers *r, tl_path_id path, const tl_addr *from)
{
    const tl_relayer_session *s = find_open(r, path);
    return s && tl_addr_eq(&s->at->name.addr, from);
}

tl_path_id tl_relayers_with(const tl_relayers *r, const tl_addr *from, const tl_node_id *peer)
{
    tl_relayer_session *s, *next;
    tl_path_id newest = 0; /* an older one may be over there, which nobody tells */
    HASH_ITER (hh, r->sessions, s, next)
        if (s->state == TL_SESSION_OPEN && tl_addr_eq(&s->at->name.addr, from) &&
            tl_node_id_eq(&s->peer, peer))
            newest = s->path;
    return newest;
}

tl_path_id tl_relayers_marked(const tl_relayers *r, const tl_addr *from, tl_slice datagram)
{
    tl_relayer_session *s, *next;
    HASH_ITER (hh, r->sessions, s, next)
        if (s->state == TL_SESSION_OPEN && tl_addr_eq(&s->at->name.addr, from) &&
            tl_quic_is_marked(datagram, tl_slice_str(s->id)))
            return s->path;
    return 0;
}

/* --- tokens and moves --- */

/* The token alone: from here this side is bound. */
static void send_token(tl_relayers *r, tl_relayer_session *s, tl_time now)
{
    s->token_at = now + TOKEN_EVERY;
    (void)!tl_relayer_send(r, s->at, tl_slice_of(NULL, 0), s->token, sizeof s->token,
                           sizeof s->token);
    tl_relayers_due(r, s->token_at);
}

static void send_migrate(tl_relayers *r, tl_relayer_session *s, tl_time now)
{
    tl_control c = {
        .type = TL_CONTROL_RELAY_MIGRATE, .addr = s->at->leg.seen, .sequence = ++r->sequence};
    memcpy(c.token, s->token, sizeof c.token);
    s->sequence = c.sequence;
    s->moves++;
    s->move_at = now + MIGRATE_EVERY;
    tl_relayers_due(r, s->move_at);
    tl_relayer_say(r, s->at, &c);
}

void tl_relayers_move(tl_relayers *r, tl_relayer *at, tl_time now)
{
    tl_relayer_session *s, *next;
    HASH_ITER (hh, r->sessions, s, next) {
        if (s->state != TL_SESSION_OPEN || s->at != at || tl_addr_eq(&s->bound_as, &at->leg.seen))
            continue;
        if (s->bound_as.family == TL_ADDR_NONE) {
            s->bound_as = at->leg.seen; /* the first time that we are told */
            continue;
        }
        s->moves = 0;
        send_migrate(r, s, now);
    }
}

void tl_relayers_on_move(tl_relayers *r, tl_relayer *at, const tl_control *c)
{
    tl_relayer_session *s, *next;
    HASH_ITER (hh, r->sessions, s, next)
        if (s->state == TL_SESSION_OPEN && s->at == at && s->move_at != TL_NEVER &&
            s->sequence == c->sequence)
            break;
    if (!s)
        return;
    if (c->type == TL_CONTROL_RELAY_PATH) {
        tl_control reply = {.type = TL_CONTROL_RELAY_PATH_REPLY};
        memcpy(reply.nonce, c->nonce, sizeof reply.nonce);
        memcpy(reply.token, s->token, sizeof reply.token);
        tl_relayer_say(r, at, &reply);
        return;
    }
    s->move_at = TL_NEVER;
    s->bound_as = at->leg.seen;
    r->counters.migrations++;
    send_token(r, s, tl_relayers_now(r));
}

/* --- offers --- */

/* False: it was taken before. */
static bool is_new(tl_relayers *r, const tl_control *c, tl_time now)
{
    for (size_t i = 0; i < TL_RELAYERS_PAST; i++)
        if (now < r->past[i].until && memcmp(r->past[i].nonce, c->nonce, sizeof c->nonce) == 0)
            return false;
    memcpy(r->past[r->past_next].nonce, c->nonce, sizeof c->nonce);
    r->past[r->past_next].until = now + PAST_FOR;
    r->past_next = (r->past_next + 1) % TL_RELAYERS_PAST;
    return true;
}

/* Our own session that waits for this offer: its answer, or the one to the peer's request, which came at
 * the same time. */
static tl_relayer_session *waits_for(const tl_relayers *r, const tl_relayer *at,
                                     const tl_node_id *peer, const uint8_t *nonce)
{
    tl_relayer_session *s, *next;
    HASH_ITER (hh, r->sessions, s, next)
        for (size_t i = 0; s->state == TL_SESSION_ASKING && i < TL_RELAYER_TRIES; i++)
            if (s->asked[i].at == at && tl_node_id_eq(&s->peer, peer) &&
                (!nonce || memcmp(s->asked[i].nonce, nonce, TL_CONTROL_NONCE_SIZE) == 0))
                return s;
    return NULL;
}

bool tl_relayers_is_answer(const tl_relayers *r, const tl_relayer *at, const tl_control *c)
{
    tl_node_id peer; /* not known to be a usable key yet */
    memcpy(peer.key, c->peer, sizeof peer.key);
    return waits_for(r, at, &peer, c->nonce);
}

static void fill(tl_relayers *r, tl_relayer_session *s, const tl_control *c, tl_time now)
{
    uint64_t wall = (uint64_t)tl_relayers_wall(r);
    snprintf(s->id, sizeof s->id, "%s", c->session);
    memcpy(s->token, c->token, sizeof s->token);
    s->ends_at = TL_NEVER;
    if (c->expires_at && c->expires_at - wall <= LIFE_MAX)
        s->ends_at = now + (tl_time)(c->expires_at - wall) * TL_SEC;
    tl_relayers_due(r, s->ends_at);
}

static void open_now(tl_relayers *r, tl_relayer_session *s, tl_relayer *at, const tl_control *c,
                     tl_time now)
{
    assert(s->state == TL_SESSION_ASKING);
    hold(s, at);
    release_asked(r, s);
    s->state = TL_SESSION_OPEN;
    s->heard = !s->ours;
    s->try_at = now + TL_RELAYER_TRY_EVERY;
    s->bound_as = at->leg.seen;
    tl_relayers_due(r, s->try_at);
    fill(r, s, c, now);
    send_token(r, s, now);
}

/* A session that a peer asked for. */
static void take_asked(tl_relayers *r, tl_relayer *at, const tl_node_id *peer, const tl_control *c,
                       tl_time now)
{
    size_t here = 0;
    tl_relayer_session *s, *next;
    HASH_ITER (hh, r->sessions, s, next)
        here += !s->ours && s->at == at;
    bool room = here < TL_RELAYER_SESSIONS_EACH && r->n_sessions < TL_RELAYER_SESSIONS_MAX;
    tl_path_id path = room && tl_relayer_may_open(r, at) ? r->events.on_asked(r->user, peer) : 0;
    if (!path) {
        r->counters.offers_refused++;
        return;
    }
    s = session_new(r, peer, path);
    if (!s) {
        r->events.on_ended(r->user, path, "out of memory");
        return;
    }
    r->counters.offers++;
    r->counters.asked++;
    open_now(r, s, at, c, now);
}

/* An offer that names another place than where it came from, or itself or us as the peer, is a loop. */
static bool is_sound(const tl_relayers *r, const tl_relayer *at, const tl_control *c,
                     tl_node_id *ret_peer)
{
    bool ends = !c->expires_at || c->expires_at > (uint64_t)tl_relayers_wall(r);
    return r->events.on_asked && ends &&
           memcmp(c->to, r->config.identity->id.key, sizeof c->to) == 0 &&
           tl_addr_eq(&c->addr, &at->name.addr) && !tl_node_id_from_bytes(c->peer, ret_peer) &&
           !tl_node_id_eq(ret_peer, &r->config.identity->id) &&
           !tl_node_id_eq(ret_peer, &at->name.id);
}

void tl_relayers_on_offer(tl_relayers *r, tl_relayer *at, const tl_control *c)
{
    tl_time now = tl_relayers_now(r);
    tl_node_id peer;
    if (!is_sound(r, at, c, &peer) || !is_new(r, c, now)) {
        r->counters.offers_refused++;
        return;
    }
    tl_relayer_session *s = waits_for(r, at, &peer, c->nonce);
    tl_relayer_session *same = find_named(r, at, c->session);
    if (!s && !same && tl_relayer_is_attached(at))
        s = waits_for(r, at, &peer, NULL);
    if (!s && !same) {
        take_asked(r, at, &peer, c, now);
        return;
    }
    if (same && !tl_node_id_eq(&same->peer, &peer)) {
        r->counters.offers_refused++;
        return;
    }
    r->counters.offers++;
    if (!s) { /* the peer asked again, and is given the session that stands */
        fill(r, same, c, now);
        return;
    }
    tl_path_id before = same ? same->path : 0;
    at->sessions++;
    if (same)
        session_free(r, same);
    at->sessions--;
    open_now(r, s, at, c, now);
    r->events.on_ready(r->user, s->path);
    if (before)
        r->events.on_ended(r->user, before, "replaced");
}

void tl_relayers_on_warning(tl_relayers *r, tl_relayer *at, const tl_control *c)
{
    tl_relayer_session *s = find_named(r, at, c->session);
    if (!s || s->warned || !tl_ratelimit_take(&r->warnings, 1, tl_relayers_now(r)))
        return;
    s->warned = true;
    r->events.on_warning(r->user, s->path, (tl_unix)c->ends_at);
}

/* --- time --- */

void tl_relayers_lose(tl_relayers *r, tl_relayer *at)
{
    tl_relayer_session *s, *next;
    do {
        HASH_ITER (hh, r->sessions, s, next)
            if (s->state == TL_SESSION_OPEN && s->at == at)
                break;
        if (!s)
            return;
        r->counters.lost++;
        end(r, s, "the node that relays does not answer any more");
    } while (true);
}

/* Why the session is over; NULL: it goes on. */
static const char *look_after(tl_relayers *r, tl_relayer_session *s, tl_time now)
{
    if (s->state == TL_SESSION_ASKING) {
        if (now < s->try_at)
            return NULL;
        if (s->tries == TL_RELAYER_TRIES)
            return "no node that relays offered a relay session";
        request(r, s, now);
        return NULL;
    }
    if (now >= s->ends_at)
        return "the time of the relay session is over";
    if (now >= s->move_at) {
        if (s->moves == MIGRATE_TRIES)
            return "the node that relays does not follow to our new address";
        send_migrate(r, s, now);
    }
    if (now >= s->token_at)
        send_token(r, s, now);
    if (s->heard) {
        s->try_at = TL_NEVER;
    } else if (now >= s->try_at) {
        if (s->tries == TL_RELAYER_TRIES)
            return "nothing comes over the relay session";
        request_again(r, s, now);
    }
    return NULL;
}

tl_time tl_relayers_sessions_on_timer(tl_relayers *r, tl_time now)
{
    tl_relayer_session *s, *next;
    tl_time due;
    const char *why;
    do { /* what follows from an end may change the table */
        why = NULL;
        due = TL_NEVER;
        HASH_ITER (hh, r->sessions, s, next) {
            why = look_after(r, s, now);
            if (why)
                break;
            due = tl_time_min(due, s->state == TL_SESSION_OPEN ? s->token_at : TL_NEVER);
            due = tl_time_min(due, tl_time_min(s->try_at, tl_time_min(s->move_at, s->ends_at)));
        }
        if (why)
            end(r, s, why);
    } while (why);
    return due;
}
