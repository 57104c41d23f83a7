#include "relay/introducer.h"

#include "base/table.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

/* A PunchIntro that was handed on. */
typedef struct tl_introduction {
    uint8_t key[TL_CONTROL_ID_SIZE + TL_CONTROL_NONCE_SIZE]; /* the initiator, and its nonce */
    tl_node_id target;
    tl_burst_way way; /* to the initiator */
    unsigned tries;   /* PunchReadys whose signature was checked in vain */
    tl_time until;
    struct tl_introduction *prev, *next; /* utlist, the oldest first */
    UT_hash_handle hh;
} tl_introduction;

struct tl_introducer {
    const tl_identity *identity;
    tl_attached *attached;
    bool serving;
    tl_introduction *all, *first;
    tl_introducer_counters counters;
};

tl_err tl_introducer_new(const tl_identity *identity, tl_attached *attached,
                         tl_introducer **ret_introducer)
{
    tl_introducer *i = calloc(1, sizeof *i);
    if (!i)
        return TL_ERR_NOMEM;
    i->identity = identity;
    i->attached = attached;
    *ret_introducer = i;
    return TL_OK;
}

static void forget(tl_introducer *i, tl_introduction *x)
{
    DL_DELETE(i->first, x);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, i->all, x);
    free(x);
    i->counters.pending--;
}

void tl_introducer_free(tl_introducer *i)
{
    if (!i)
        return;
    while (i->first)
        forget(i, i->first);
    free(i);
}

void tl_introducer_set_serving(tl_introducer *i, bool serving)
{
    i->serving = serving;
    while (!serving && i->first)
        forget(i, i->first);
}

const tl_introducer_counters *tl_introducer_counters_of(const tl_introducer *i)
{
    return &i->counters;
}

void tl_introducer_on_timer(tl_introducer *i, tl_time now)
{
    while (i->first && now >= i->first->until)
        forget(i, i->first);
    tl_attached_on_timer(i->attached, now);
}

tl_time tl_introducer_expiry(const tl_introducer *i)
{
    tl_time at = tl_attached_expiry(i->attached);
    return i->first ? tl_time_min(at, i->first->until) : at;
}

/* --- introductions --- */

static void key_of(const tl_control *c, uint8_t *ret_key)
{
    memcpy(ret_key, c->initiator, TL_CONTROL_ID_SIZE);
    memcpy(ret_key + TL_CONTROL_ID_SIZE, c->nonce, TL_CONTROL_NONCE_SIZE);
}

static tl_introduction *find(const tl_introducer *i, const tl_control *c)
{
    uint8_t key[TL_CONTROL_ID_SIZE + TL_CONTROL_NONCE_SIZE];
    tl_introduction *x;
    key_of(c, key);
    HASH_FIND(hh, i->all, key, sizeof key, x);
    return x;
}

/* False: out of memory. The nonce is a new one. */
static bool remember(tl_introducer *i, const tl_control *c, const tl_burst_way *way, tl_time now)
{
    if (i->counters.pending >= TL_INTRODUCTIONS_MAX)
        forget(i, i->first);
    assert(!find(i, c));
    tl_introduction *x = calloc(1, sizeof *x);
    if (!x)
        return false;
    key_of(c, x->key);
    memcpy(x->target.key, c->target, sizeof x->target.key);
    x->way = *way;
    x->until = now + TL_INTRODUCTION_KEPT;
    if (!TL_TABLE_ADD(hh, i->all, key, sizeof x->key, x)) {
        free(x);
        return false;
    }
    DL_APPEND(i->first, x);
    i->counters.pending++;
    return true;
}

/* --- what comes --- */

static bool is_self(const tl_introducer *i, const uint8_t *key)
{
    return memcmp(key, i->identity->id.key, TL_CONTROL_ID_SIZE) == 0;
}

static tl_asked introduce(tl_introducer *i, const tl_burst_way *way, const tl_control *c,
                          tl_time now, tl_unix wall, tl_burst_way *ret_way)
{
    tl_node_id target;
    memcpy(target.key, c->target, sizeof target.key); /* not yet known to be a usable key */
    tl_asked result = tl_attached_look(i->attached, way, c, c->introducer, wall);
    if (result != TL_ASKED_TAKEN)
        return result;
    if (!tl_attached_serves(i->attached, way->remote.family) || !tl_addr_eq(&c->addr, &way->remote))
        return TL_ASKED_ADDRESS;
    if (is_self(i, c->initiator) || memcmp(c->initiator, c->target, TL_CONTROL_ID_SIZE) == 0)
        return TL_ASKED_LOOP;
    if (tl_attached_knows_nonce(i->attached, c->initiator, c->nonce))
        return TL_ASKED_REPLAYED;
    if (!i->serving)
        return TL_ASKED_POLICY;
    if (!tl_attached_find(i->attached, &target, ret_way))
        return TL_ASKED_ABSENT;
    if (!tl_attached_may_send(i->attached, ret_way))
        return TL_ASKED_ADDRESS;
    if (!tl_attached_may_intro(i->attached, c->initiator, &way->remote, now))
        return TL_ASKED_RATE;
    result = tl_attached_prove(i->attached, way, c, c->initiator, now);
    if (result != TL_ASKED_TAKEN)
        return result;
    if (!tl_attached_may_seek(i->attached, &target, c->initiator, &way->remote, now))
        return TL_ASKED_RATE;
    return remember(i, c, way, now) ? TL_ASKED_TAKEN : TL_ASKED_MEMORY;
}

static void send_on(const tl_burst_way *way, tl_slice datagram, tl_control_type type,
                    tl_introducer_output *ret_output)
{
    assert(datagram.n <= sizeof ret_output->bytes);
    ret_output->way = *way;
    ret_output->n = datagram.n;
    memcpy(ret_output->bytes, datagram.p, datagram.n);
    ret_output->bytes[1] = (uint8_t)type;
}

/* False: it is for this node, which is the target. */
static bool on_intro(tl_introducer *i, const tl_burst_way *way, tl_slice datagram, tl_time now,
                     tl_unix wall, tl_introducer_output *ret_output)
{
    tl_control c;
    tl_burst_way to;
    tl_asked result = TL_ASKED_MALFORMED;
    if (!tl_control_parse(datagram, &c)) {
        if (is_self(i, c.target))
            return false;
        result = introduce(i, way, &c, now, wall, &to);
    }
    i->counters.intros[result]++;
    if (result == TL_ASKED_TAKEN)
        send_on(&to, datagram, TL_CONTROL_PUNCH_REQUEST, ret_output);
    return true;
}

bool tl_introducer_call(tl_introducer *i, const tl_node_id *target,
                        const uint8_t nonce[TL_CONTROL_NONCE_SIZE], tl_control_nat nat, tl_time now,
                        tl_unix wall, tl_introducer_output *ret_output)
{
    tl_burst_way way;
    tl_control c = {.type = TL_CONTROL_PUNCH_REQUEST,
                    .pad_n = TL_CONTROL_INTRO_PAD,
                    .nat = nat,
                    .timestamp = (uint64_t)wall};
    tl_introducer_on_timer(i, now);
    if (!tl_attached_where(i->attached, target, &way) ||
        !tl_attached_serves(i->attached, way.remote.family) ||
        !tl_attached_may_send(i->attached, &way) ||
        !tl_attached_may_seek(i->attached, target, NULL, NULL, now))
        return false;
    c.addr = *tl_attached_address(i->attached, way.remote.family);
    memcpy(c.initiator, i->identity->id.key, sizeof c.initiator);
    memcpy(c.introducer, i->identity->id.key, sizeof c.introducer);
    memcpy(c.target, target->key, sizeof c.target);
    memcpy(c.nonce, nonce, sizeof c.nonce);
    if (tl_control_sign(&c, i->identity))
        return false;
    ret_output->way = way;
    ret_output->n = tl_control_write(&c, ret_output->bytes);
    i->counters.calls++;
    return true;
}

/* Is it the target's answer, from where the target is? */
static bool is_answer(tl_introducer *i, tl_introduction *x, const tl_burst_way *way,
                      const tl_control *c, tl_unix wall)
{
    if (memcmp(c->target, x->target.key, TL_CONTROL_ID_SIZE) != 0 ||
        !tl_attached_is_at(i->attached, &x->target, &way->remote) ||
        !tl_control_is_fresh(c, wall) || x->tries >= TL_INTRODUCTION_TRIES)
        return false;
    x->tries++;
    return !tl_control_verify(c, &x->target);
}

/* False: it is for this node, which is the initiator, or for nobody. */
static bool on_ready(tl_introducer *i, const tl_burst_way *way, tl_slice datagram, tl_time now,
                     tl_unix wall, tl_introducer_output *ret_output)
{
    tl_control c;
    if (tl_control_parse(datagram, &c) || is_self(i, c.initiator))
        return false;
    tl_introduction *x = is_self(i, c.introducer) ? find(i, &c) : NULL;
    if (!x || now >= x->until || !is_answer(i, x, way, &c, wall)) {
        i->counters.readies_refused++;
        return true;
    }
    i->counters.answered++;
    send_on(&x->way, datagram, TL_CONTROL_PUNCH_READY, ret_output);
    forget(i, x);
    return true;
}

bool tl_introducer_on_control(tl_introducer *i, const tl_burst_way *way, tl_slice datagram,
                              tl_time now, tl_unix wall, tl_introducer_output *ret_output)
{
    tl_asked asked;
    ret_output->n = 0;
    tl_introducer_on_timer(i, now);
    switch (tl_control_peek(datagram)) {
    case TL_CONTROL_PUNCH_INTRO: return on_intro(i, way, datagram, now, wall, ret_output);
    case TL_CONTROL_PUNCH_READY: return on_ready(i, way, datagram, now, wall, ret_output);
    case TL_CONTROL_ATTACH: {
        uint8_t reply[TL_ATTACHED_REPLY_MAX];
        size_t n = tl_attached_on_attach(i->attached, way, datagram, now, wall, reply, &asked);
        if (n)
            send_on(way, tl_slice_of(reply, n), TL_CONTROL_ATTACHED, ret_output);
        return true;
    }
    default: return false;
    }
}
