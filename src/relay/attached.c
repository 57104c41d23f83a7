/* Who may attach, and what a signed datagram must be before its signature is looked at. */
#include "relay/attached_state.h"

#include "crypto/blake2s.h"
#include "relay/reach.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

const char *tl_asked_name(tl_asked asked)
{
    static const char *const names[TL_ASKED_RESULTS] = {
        [TL_ASKED_TAKEN] = "taken",         [TL_ASKED_AGAIN] = "again",
        [TL_ASKED_MALFORMED] = "malformed", [TL_ASKED_ADDRESS] = "address",
        [TL_ASKED_ELSEWHERE] = "elsewhere", [TL_ASKED_LATE] = "late",
        [TL_ASKED_LOOP] = "loop",           [TL_ASKED_REPLAYED] = "replayed",
        [TL_ASKED_POLICY] = "policy",       [TL_ASKED_ABSENT] = "absent",
        [TL_ASKED_FULL] = "full",           [TL_ASKED_PAUSED] = "paused",
        [TL_ASKED_RATE] = "rate",           [TL_ASKED_FORGED] = "forged",
        [TL_ASKED_UNPROVEN] = "unproven",   [TL_ASKED_MEMORY] = "memory"};
    return names[asked];
}

/* --- life --- */

tl_err tl_attached_new(const tl_identity *identity, const tl_attached_world *world, void *user,
                       tl_rand *rand, tl_time now, tl_attached **ret_attached)
{
    tl_attached *t = calloc(1, sizeof *t);
    if (!t)
        return TL_ERR_NOMEM;
    t->identity = identity;
    t->world = world;
    t->user = user;
    t->rand = rand;
    tl_ratelimit strangers =
        tl_ratelimit_make(TL_ATTACHED_STRANGERS_PER_SEC, TL_ATTACHED_STRANGERS_BURST, now);
    tl_ratelimit asks = tl_ratelimit_make(TL_ATTACHED_ASKED_PER_SEC, TL_ATTACHED_ASKED_BURST, now);
    t->attach_proofs[TL_ATTACH_STRANGER] = t->ask_proofs[TL_ATTACH_STRANGER] = strangers;
    t->attach_proofs[TL_ATTACH_PROVEN] =
        tl_ratelimit_make(TL_ATTACHED_PROVEN_PER_SEC, TL_ATTACHED_PROVEN_BURST, now);
    t->ask_proofs[TL_ATTACH_HERE] = t->ask_proofs[TL_ATTACH_PROVEN] = asks;
    t->told = tl_ratelimit_make(TL_ATTACHED_ALL_TOLD_PER_SEC, TL_ATTACHED_ALL_TOLD_PER_SEC, now);
    t->nonces.max = TL_ATTACHED_NONCES_MAX;
    tl_rand_bytes(rand, t->secret, sizeof t->secret);
    t->secret_until = now + TL_ATTACH_MARK_KEPT / 2;
    *ret_attached = t;
    return TL_OK;
}

void tl_attached_free(tl_attached *t)
{
    if (!t)
        return;
    tl_attached_clear(t);
    free(t);
}

void tl_attached_set_address(tl_attached *t, const tl_addr *v4, const tl_addr *v6)
{
    t->address4 = *v4;
    t->address6 = *v6;
}

const tl_addr *tl_attached_address(const tl_attached *t, tl_addr_family family)
{
    return family == TL_ADDR_V6 ? &t->address6 : &t->address4;
}

bool tl_attached_serves(const tl_attached *t, tl_addr_family family)
{
    return tl_attached_address(t, family)->family != TL_ADDR_NONE;
}

void tl_attached_review(tl_attached *t, tl_time now)
{
    tl_attached_node *a, *next;
    DL_FOREACH_SAFE (t->first, a, next)
        if (!t->world->admits(t->user, &a->id))
            tl_attached_drop(t, a, now);
}

void tl_attached_leave(tl_attached *t)
{
    t->leaving = true;
}

const tl_attached_counters *tl_attached_counters_of(const tl_attached *t)
{
    return &t->counters;
}

void tl_attached_on_timer(tl_attached *t, tl_time now)
{
    tl_attached_sweep(t, now);
}

tl_time tl_attached_expiry(const tl_attached *t)
{
    return t->first ? t->first->until : TL_NEVER;
}

/* --- who is where --- */

bool tl_attached_where(const tl_attached *t, const tl_node_id *node, tl_burst_way *ret_way)
{
    const tl_attached_node *a = tl_attached_node_of(t, node);
    if (a)
        *ret_way = a->way;
    return a != NULL;
}

bool tl_attached_find(const tl_attached *t, const tl_node_id *node, tl_burst_way *ret_way)
{
    return tl_attached_where(t, node, ret_way) || t->world->find(t->user, node, ret_way);
}

bool tl_attached_has(const tl_attached *t, const tl_node_id *node, tl_time *ret_until)
{
    const tl_attached_node *a = tl_attached_node_of(t, node);
    if (a)
        *ret_until = a->until;
    return a != NULL;
}

bool tl_attached_is_at(const tl_attached *t, const tl_node_id *node, const tl_addr *from)
{
    tl_burst_way way;
    return tl_attached_find(t, node, &way) && tl_addr_eq(&way.remote, from);
}

/* --- what both ask of a datagram --- */

/* Of a direct way the address of ours is not known; such ways lead to no loopback. */
bool tl_attached_may_send(const tl_attached *t, const tl_burst_way *way)
{
    bool reached = way->local.family == TL_ADDR_NONE
                       ? way->remote.port && tl_reach_of(&way->remote) == TL_REACH_OTHER
                       : tl_reach_is_allowed(&way->remote, &way->local);
    return reached && tl_reach_of(&way->remote) != TL_REACH_LINK && !way->remote.scope &&
           !t->world->is_ours(t->user, &way->remote);
}

tl_asked tl_attached_look(const tl_attached *t, const tl_burst_way *way, const tl_control *c,
                          const uint8_t *named, tl_unix wall)
{
    if (!tl_attached_may_send(t, way))
        return TL_ASKED_ADDRESS;
    if (memcmp(named, t->identity->id.key, TL_CONTROL_ID_SIZE) != 0)
        return TL_ASKED_ELSEWHERE;
    return tl_control_is_fresh(c, wall) ? TL_ASKED_TAKEN : TL_ASKED_LATE;
}

bool tl_attached_knows_nonce(const tl_attached *t, const uint8_t *signer, const uint8_t *nonce)
{
    return tl_seen_nonces_has(&t->nonces, signer, nonce);
}

static tl_asked check(tl_attached *t, const tl_control *c, const uint8_t *signer, tl_time now)
{
    tl_node_id id;
    if (tl_node_id_from_bytes(signer, &id) || tl_control_verify(c, &id))
        return TL_ASKED_FORGED;
    return tl_seen_nonces_keep(&t->nonces, signer, c->nonce, now) ? TL_ASKED_TAKEN : TL_ASKED_FULL;
}

/* The node, if it is attached there. The key may be unusable. */
static tl_attached_node *node_at(const tl_attached *t, const uint8_t *key, const tl_addr *from)
{
    tl_node_id id;
    memcpy(id.key, key, sizeof id.key);
    return tl_attached_node_at(t, &id, from);
}

tl_asked tl_attached_prove(tl_attached *t, const tl_burst_way *way, const tl_control *c,
                           const uint8_t *signer, tl_time now)
{
    tl_attached_sweep(t, now);
    tl_asked result = tl_attached_may_ask(t, node_at(t, signer, &way->remote), &way->remote, now);
    return result == TL_ASKED_TAKEN ? check(t, c, signer, now) : result;
}

bool tl_attached_vouches(tl_attached *t, const tl_node_id *node, const tl_addr *from, tl_time now)
{
    tl_attached_node *a = tl_attached_node_at(t, node, from);
    return a && a->proven && tl_attached_pays(t, a, from, now);
}

static bool is_proven(const tl_attached *t, const uint8_t *node, const tl_addr *from)
{
    const tl_attached_node *a = node_at(t, node, from);
    return a && a->proven;
}

bool tl_attached_may_intro(tl_attached *t, const uint8_t *initiator, const tl_addr *from,
                           tl_time now)
{
    bool proven = is_proven(t, initiator, from);
    tl_attach_place p = tl_attached_place_of(t, from);
    return (!p.address || tl_ratelimit_take(&p.address->intros[proven], 1, now)) &&
           (!p.network || tl_ratelimit_take(&p.network->intros[proven], 1, now));
}

bool tl_attached_may_seek(tl_attached *t, const tl_node_id *node, const uint8_t *initiator,
                          const tl_addr *from, tl_time now)
{
    bool proven = !from || is_proven(t, initiator, from);
    tl_attached_node *a = tl_attached_node_of(t, node);
    return !a || tl_ratelimit_take(&a->sought[proven], 1, now);
}

/* --- marks --- */

static void turn_secrets(tl_attached *t, tl_time now)
{
    if (now < t->secret_until)
        return;
    if (now < t->secret_until + TL_ATTACH_MARK_KEPT / 2)
        memcpy(t->secret[1], t->secret[0], sizeof t->secret[1]);
    else /* nobody has attached for long */
        tl_rand_bytes(t->rand, t->secret[1], sizeof t->secret[1]);
    tl_rand_bytes(t->rand, t->secret[0], sizeof t->secret[0]);
    t->secret_until = now + TL_ATTACH_MARK_KEPT / 2;
}

static void mark_of(const tl_attached *t, int secret, const uint8_t *node, const tl_addr *at,
                    uint8_t ret_mark[TL_ATTACH_MARK])
{
    uint8_t text[19] = {(uint8_t)at->family, (uint8_t)(at->port >> 8), (uint8_t)at->port};
    uint8_t mac[TL_BLAKE2S_SIZE];
    memcpy(text + 3, at->bytes, sizeof at->bytes);
    tl_hmac_blake2s(t->secret[secret], tl_slice_of(node, TL_CONTROL_ID_SIZE),
                    tl_slice_of(text, sizeof text), mac);
    memcpy(ret_mark, mac, TL_ATTACH_MARK);
}

static uint8_t *mark_in(tl_control *c)
{
    return c->nonce + sizeof c->nonce - TL_ATTACH_MARK;
}

/* Does the sender read what is sent to its address? */
static bool bears_mark(tl_attached *t, tl_control *c, const tl_addr *from, tl_time now)
{
    uint8_t mark[TL_ATTACH_MARK];
    turn_secrets(t, now);
    for (int i = 0; i < 2; i++) {
        mark_of(t, i, c->node, from, mark);
        if (memcmp(mark, mark_in(c), sizeof mark) == 0)
            return true;
    }
    return false;
}

/* --- Attach --- */

/* Is that where this node is? Else somebody hands on what was sent to him, and would stand between. */
static bool is_here(const tl_attached *t, const tl_burst_way *way, const tl_addr *addr)
{
    return tl_addr_eq(addr, tl_attached_address(t, way->remote.family)) ||
           tl_addr_eq(addr, &way->local);
}

static tl_asked take(tl_attached *t, const tl_burst_way *way, tl_control *c, tl_time now,
                     tl_unix wall)
{
    tl_attach_place place;
    tl_node_id node;
    bool proven;
    tl_asked result = tl_attached_look(t, way, c, c->introducer, wall);
    if (result != TL_ASKED_TAKEN)
        return result;
    if (!tl_attached_serves(t, way->remote.family) || !is_here(t, way, &c->addr))
        return TL_ASKED_ADDRESS;
    memcpy(node.key, c->node, sizeof node.key); /* not yet known to be a usable key */
    const tl_attached_node *a = tl_attached_node_of(t, &node);
    if (tl_node_id_eq(&node, &t->identity->id))
        return TL_ASKED_LOOP;
    if (tl_attached_knows_nonce(t, c->node, c->nonce))
        return TL_ASKED_REPLAYED;
    if (a && c->timestamp < a->timestamp)
        return TL_ASKED_LATE; /* one that was held back does not move it to where it was */
    if (t->leaving || !t->world->admits(t->user, &node))
        return TL_ASKED_POLICY;
    bool marked = bears_mark(t, c, &way->remote, now);
    result = tl_attached_room(t, a, &way->remote, marked, &proven);
    if (result == TL_ASKED_TAKEN)
        result = tl_attached_may_attach(t, tl_attached_node_at(t, &node, &way->remote),
                                        &way->remote, marked, now, &place);
    if (result == TL_ASKED_TAKEN)
        result = check(t, c, c->node, now);
    return result == TL_ASKED_TAKEN
               ? tl_attached_put(t, &node, way, place, proven, c->timestamp, now)
               : result;
}

size_t tl_attached_on_attach(tl_attached *t, const tl_burst_way *way, tl_slice datagram,
                             tl_time now, tl_unix wall, uint8_t ret_reply[TL_ATTACHED_REPLY_MAX],
                             tl_asked *ret_asked)
{
    tl_control c, reply = {.type = TL_CONTROL_ATTACHED, .addr = way->remote};
    uint8_t bytes[TL_CONTROL_MAX];
    tl_attached_sweep(t, now);
    tl_asked asked = TL_ASKED_MALFORMED;
    if (tl_control_peek(datagram) == TL_CONTROL_ATTACH && !tl_control_parse(datagram, &c))
        asked = take(t, way, &c, now, wall);
    if (asked == TL_ASKED_UNPROVEN && !tl_attached_may_tell(t, &way->remote, now))
        asked = TL_ASKED_RATE;
    t->counters.attaches[asked]++;
    *ret_asked = asked;
    if (asked != TL_ASKED_TAKEN && asked != TL_ASKED_AGAIN && asked != TL_ASKED_UNPROVEN)
        return 0;
    memcpy(reply.nonce, c.nonce, sizeof reply.nonce);
    memcpy(reply.node, c.node, sizeof reply.node);
    mark_of(t, 0, c.node, &way->remote, mark_in(&reply));
    /* What nobody is known to have signed is worth no signature: that answer says the mark alone. */
    if (asked != TL_ASKED_UNPROVEN && tl_control_sign(&reply, t->identity))
        return 0;
    size_t n = tl_control_write(&reply, bytes);
    assert(n <= TL_ATTACHED_REPLY_MAX && n <= datagram.n);
    memcpy(ret_reply, bytes, n);
    return n;
}
