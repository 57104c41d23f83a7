/* The table of nodes that relay, and what comes from them. */
#include "peer/relayers_state.h"

#include <stdlib.h>

/* Requests for sessions, of 800 bytes each, to addresses that peers named. */
#define REQUESTS_PER_SEC 8
#define REQUESTS_BURST   16
/* Signatures of offers and warnings that are checked: anybody may write a relaying node's address as the
 * source of a datagram. 50 of them cost half a hundredth of a processor. */
#define PROOFS_PER_SEC   50
#define PROOFS_BURST     100

/* Moves of connections to other nodes, each with a request: two nodes that warn of each session at once would
 * send them to and fro. A node that shuts down warns of at most 50 sessions, three times each. */
#define WARNINGS_PER_SEC 2
#define WARNINGS_BURST   32

#define MUTE_FOR (120 * TL_SEC) /* then such a node has another chance */

#define TOLD_EVERY (1 << 20) /* bytes that came through one node, between two words of it */

tl_err tl_relayers_new(const tl_relayers_config *config, tl_relayers **ret_relayers)
{
    tl_relayers *r = calloc(1, sizeof *r);
    if (!r)
        return TL_ERR_NOMEM;
    r->config = *config;
    tl_time now = tl_relayers_now(r);
    r->requests = tl_ratelimit_make(REQUESTS_PER_SEC, REQUESTS_BURST, now);
    r->proofs = tl_ratelimit_make(PROOFS_PER_SEC, PROOFS_BURST, now);
    r->warnings = tl_ratelimit_make(WARNINGS_PER_SEC, WARNINGS_BURST, now);
    r->trials = tl_ratelimit_make(1, TL_RELAYERS_TRIALS, now);
    /* Above what an earlier run of this process said for the same token, and nothing that others guess. */
    r->sequence = ((uint64_t)tl_relayers_wall(r) << 28) + tl_rand_below(r->config.rand, 1u << 28);
    r->due = r->look_at = now;
    *ret_relayers = r;
    return TL_OK;
}

void tl_relayers_free(tl_relayers *r)
{
    tl_relayer_session *s, *next;
    if (!r)
        return;
    HASH_ITER (hh, r->sessions, s, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a walk has the next before this one goes */
        HASH_DEL(r->sessions, s);
        free(s);
    }
    free(r);
}

void tl_relayers_set_events(tl_relayers *r, const tl_relayers_events *events, void *user)
{
    r->events = *events;
    r->user = user;
}

const tl_relayers_counters *tl_relayers_counters_of(const tl_relayers *r)
{
    return &r->counters;
}

size_t tl_relayers_sessions(const tl_relayers *r)
{
    return r->n_sessions;
}

/* --- the table --- */

tl_relayer *tl_relayer_at(tl_relayers *r, const tl_addr *addr)
{
    for (size_t i = 0; i < TL_RELAYERS_MAX; i++)
        if (r->all[i].taken && tl_addr_eq(&r->all[i].name.addr, addr))
            return &r->all[i];
    return NULL;
}

static tl_sock sock_of(const tl_relayers *r, const tl_addr *addr)
{
    const tl_direct_self *self = r->config.udp->self(r->config.udp_user);
    return addr->family == TL_ADDR_V6 ? self->sock6 : self->sock4;
}

/* Never through ourselves, never where only a relay passes datagrams on, and at no private address: no node
 * relays there (tell/relaying), and what peers name there may be anything in our home. */
bool tl_relayer_may_ask(const tl_relayers *r, const tl_relayer_name *name)
{
    const tl_direct_self *self = r->config.udp->self(r->config.udp_user);
    return !tl_node_id_eq(&name->id, &r->config.identity->id) &&
           !r->config.is_relay(r->config.user, &name->addr) && sock_of(r, &name->addr) &&
           tl_addr_kind_of(&name->addr) == TL_ADDR_GLOBAL &&
           tl_candidate_allowed(&name->addr, self->interfaces, self->n_interfaces, self->port) &&
           !tl_addr_eq(&name->addr, &self->facts->public4) &&
           !tl_addr_eq(&name->addr, &self->facts->public6);
}

tl_relayer *tl_relayer_get(tl_relayers *r, const tl_relayer_name *name)
{
    if (!tl_relayer_may_ask(r, name)) {
        r->counters.loops++;
        return NULL;
    }
    tl_relayer *at = tl_relayer_at(r, &name->addr);
    if (at) /* two nodes at one address: the first counts, until it does not answer */
        return tl_node_id_eq(&at->name.id, &name->id) ? at : NULL;
    for (size_t i = 0; i < TL_RELAYERS_MAX; i++) {
        if (r->all[i].taken)
            continue;
        at = &r->all[i];
        *at = (tl_relayer){.taken = true, .name = *name, .leg = tl_leg_new(&name->addr)};
        at->leg.every = TL_RELAYER_ATTACH_EVERY;
        return at;
    }
    return NULL;
}

void tl_relayer_tidy(tl_relayers *r, tl_relayer *at)
{
    if (at->attach || at->sessions)
        return;
    tl_relayer_tell_arrived(r, at);
    at->taken = false;
}

bool tl_relayer_is_attached(const tl_relayer *at)
{
    return at->taken && at->attach && at->leg.state == TL_LEG_OPEN;
}

bool tl_relayer_may_open(const tl_relayers *r, const tl_relayer *at)
{
    return tl_relayer_is_attached(at) ||
           (r->config.introduces &&
            r->config.introduces(r->config.user, &at->name.id, &at->name.addr));
}

size_t tl_relayers_attached(const tl_relayers *r, tl_relayer_facts ret[TL_RELAYERS_ATTACHED])
{
    size_t n = 0;
    for (size_t i = 0; i < TL_RELAYERS_MAX && n < TL_RELAYERS_ATTACHED; i++) {
        const tl_relayer *at = &r->all[i];
        if (tl_relayer_is_attached(at))
            ret[n++] = (tl_relayer_facts){at->name, at->leg.rtt, at->leg.seen};
    }
    return n;
}

/* --- out --- */

tl_err tl_relayer_send(tl_relayers *r, tl_relayer *at, tl_slice prefix, const uint8_t *data,
                       size_t n, size_t segment)
{
    tl_sock sock = sock_of(r, &at->name.addr);
    if (!sock)
        return TL_ERR_UNREACHABLE;
    return r->config.udp->send(r->config.udp_user, sock, &at->name.addr, prefix, data, n, segment);
}

void tl_relayer_say(tl_relayers *r, tl_relayer *at, tl_control *c)
{
    uint8_t bytes[TL_CONTROL_MAX];
    c->timestamp = (uint64_t)tl_relayers_wall(r);
    if (tl_control_is_signed(c->type) && tl_control_sign(c, r->config.identity))
        return;
    size_t n = tl_control_write(c, bytes);
    (void)!tl_relayer_send(r, at, tl_slice_of(NULL, 0), bytes, n, n);
}

/* --- nodes that pass nothing on --- */

bool tl_relayers_is_mute(const tl_relayers *r, const tl_node_id *node, const tl_node_id *peer)
{
    tl_time now = tl_relayers_now(r);
    for (size_t i = 0; i < TL_RELAYERS_MUTE; i++)
        if (now < r->mute[i].until && tl_node_id_eq(&r->mute[i].node, node) &&
            tl_node_id_eq(&r->mute[i].peer, peer))
            return true;
    return false;
}

void tl_relayers_note_mute(tl_relayers *r, const tl_relayer_session *s)
{
    if (tl_relayers_is_mute(r, &s->at->name.id, &s->peer))
        return;
    r->mute[r->mute_next].node = s->at->name.id;
    r->mute[r->mute_next].peer = s->peer;
    r->mute[r->mute_next].until = tl_relayers_now(r) + MUTE_FOR;
    r->mute_next = (r->mute_next + 1) % TL_RELAYERS_MUTE;
}

/* --- in --- */

void tl_relayer_tell_arrived(tl_relayers *r, tl_relayer *at)
{
    uint64_t n = at->arrived;
    at->arrived = 0;
    if (n)
        r->config.on_relayed(r->config.user, &at->name.id, n);
}

void tl_relayers_arrived(tl_relayers *r, tl_path_id path, size_t n)
{
    tl_relayer_session *s = tl_relayers_find(r, path);
    if (!s || !s->at)
        return;
    tl_relayer *at = s->at;
    s->heard = true;
    at->arrived += n;
    if (at->arrived >= TOLD_EVERY)
        tl_relayer_tell_arrived(r, at);
}

bool tl_relayers_heard(tl_relayers *r, const tl_addr *from)
{
    tl_relayer *at = tl_relayer_at(r, from);
    if (at) {
        at->asked_at = 0;
        at->heard_at = tl_relayers_now(r);
    }
    return at;
}

bool tl_relayers_is(const tl_relayers *r, const tl_node_id *node, const tl_addr *from)
{
    for (size_t i = 0; i < TL_RELAYERS_MAX; i++)
        if (r->all[i].taken && tl_addr_eq(&r->all[i].name.addr, from))
            return tl_node_id_eq(&r->all[i].name.id, node);
    return false;
}

/* Did the node `at` sign it? However many forged ones come, an answer to ours is looked at. */
static bool is_genuine(tl_relayers *r, const tl_relayer *at, const tl_control *c)
{
    bool answer = c->type == TL_CONTROL_RELAY_OFFER && tl_relayers_is_answer(r, at, c);
    return memcmp(c->relay, at->name.id.key, sizeof c->relay) == 0 &&
           (answer || tl_ratelimit_take(&r->proofs, 1, tl_relayers_now(r))) &&
           !tl_control_verify(c, &at->name.id);
}

/* The node that introduces us and sent this offer; NULL: it is from another one. */
static tl_relayer *introducer_of(tl_relayers *r, const tl_addr *from, tl_slice datagram)
{
    tl_relayer_name name = {.addr = *from};
    tl_control c;
    if (!r->config.introduces || tl_control_parse(datagram, &c))
        return NULL;
    memcpy(name.id.key, c.relay,
           sizeof name.id.key); /* compared with those we know: need be no usable key */
    return r->config.introduces(r->config.user, &name.id, from) ? tl_relayer_get(r, &name) : NULL;
}

bool tl_relayers_on_control(tl_relayers *r, const tl_addr *from, tl_slice datagram)
{
    tl_relayer *at = tl_relayer_at(r, from);
    tl_control_type type = tl_control_peek(datagram);
    tl_control c;
    if (!at && type == TL_CONTROL_RELAY_OFFER)
        at = introducer_of(r, from, datagram);
    if (!at || (type != TL_CONTROL_RELAY_OFFER && type != TL_CONTROL_RELAY_WARNING &&
                type != TL_CONTROL_ATTACHED && type != TL_CONTROL_RELAY_PATH &&
                type != TL_CONTROL_RELAY_MIGRATED))
        return false;
    at->asked_at = 0;
    if (tl_control_parse(datagram, &c)) {
        r->counters.offers_refused += type == TL_CONTROL_RELAY_OFFER;
    } else if (type == TL_CONTROL_ATTACHED) {
        tl_relayers_on_attached(r, at, &c);
    } else if (type == TL_CONTROL_RELAY_OFFER) {
        if (tl_control_is_fresh(&c, tl_relayers_wall(r)) && is_genuine(r, at, &c))
            tl_relayers_on_offer(r, at, &c);
        else
            r->counters.offers_refused++;
    } else if (type == TL_CONTROL_RELAY_WARNING) {
        if (is_genuine(r, at, &c))
            tl_relayers_on_warning(r, at, &c);
    } else {
        tl_relayers_on_move(r, at, &c);
    }
    tl_relayer_tidy(r, at);
    tl_env_wake(&r->config.env);
    return true;
}

/* --- time --- */

void tl_relayers_on_moved(tl_relayers *r)
{
    r->look_at = tl_relayers_now(r);
    tl_relayers_due(r, r->look_at);
    for (size_t i = 0; i < TL_RELAYERS_MAX; i++)
        if (r->all[i].taken)
            tl_relayer_doubt(r, &r->all[i], tl_relayers_now(r));
}

void tl_relayers_doubt(tl_relayers *r)
{
    tl_time now = tl_relayers_now(r);
    for (size_t i = 0; i < TL_RELAYERS_MAX; i++)
        if (tl_relayer_is_attached(&r->all[i]) && now >= r->all[i].leg.asked_at + TL_SEC)
            tl_relayer_doubt(r, &r->all[i], now);
    tl_env_wake(&r->config.env);
}

void tl_relayers_on_timer(tl_relayers *r)
{
    tl_time now = tl_relayers_now(r);
    if (now < r->due)
        return;
    r->due = TL_NEVER;
    tl_relayers_due(r, tl_relayers_attach_on_timer(r, now));
    tl_relayers_due(r, tl_relayers_sessions_on_timer(r, now));
}

tl_time tl_relayers_expiry(const tl_relayers *r)
{
    return r->due;
}
