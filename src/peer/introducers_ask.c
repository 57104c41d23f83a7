/* Where peers are, and who is asked to introduce this node to one. */
#include "peer/introducers_state.h"

#include <stdlib.h>

#define SOME_MAX 32 /* that could be asked for one peer */
#define PER_IP                                                                                     \
    2 /* at one IP address: its NAT's port and a mapped one. A record may name a victim's */

/* --- where peers are --- */

static tl_known *known_of(const tl_introducers *r, const tl_node_id *peer)
{
    tl_known *k;
    HASH_FIND(hh, r->known, peer, sizeof *peer, k);
    return k;
}

static void forget(tl_introducers *r, tl_known *k)
{
    DL_DELETE(r->first, k);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, r->known, k);
    free(k);
}

void tl_introducers_forget(tl_introducers *r)
{
    while (r->first)
        forget(r, r->first);
}

void tl_introducers_know(tl_introducers *r, const tl_node_id *peer, const tl_whereabouts *where)
{
    tl_known *k = known_of(r, peer);
    if (k)
        forget(r, k);
    else if (HASH_COUNT(r->known) >= TL_INTRODUCERS_KNOWN_MAX)
        forget(r, r->first);
    k = calloc(1, sizeof *k);
    if (!k)
        return;
    k->peer = *peer;
    k->where = *where;
    if (!TL_TABLE_ADD(hh, r->known, peer, sizeof k->peer, k)) {
        free(k);
        return;
    }
    DL_APPEND(r->first, k);
}

/* --- whom to ask --- */

typedef struct {
    size_t n;
    tl_relayer_name at[SOME_MAX];
} some;

static void add(const tl_introducers *r, some *s, const tl_node_id *id, const tl_addr *addr)
{
    tl_relayer_name name = {*id, *addr};
    size_t there = 0;
    if (s->n == SOME_MAX || !tl_introducers_may_send(r, &name))
        return;
    for (size_t i = 0; i < s->n; i++) {
        there += tl_addr_same_ip(&s->at[i].addr, addr);
        if (there == PER_IP ||
            (tl_addr_eq(&s->at[i].addr, addr) && tl_node_id_eq(&s->at[i].id, id)))
            return;
    }
    s->at[s->n++] = name;
}

/* The peer itself, where strangers reach it; then those that it names; then those to which we are attached: it
 * may be, too. What the peer said over its own connection is newer than what somebody found. */
static void collect(const tl_introducers *r, const tl_node_id *peer, some *ret_some)
{
    tl_introducer_facts own[TL_INTRODUCERS_MAX];
    const tl_peer *p = tl_peer_table_find(r->config.table, peer);
    const tl_known *k = known_of(r, peer);
    const tl_whereabouts *w = k ? &k->where : NULL;
    ret_some->n = 0;
    for (size_t i = 0; p && i < p->introducing.n_addrs; i++)
        add(r, ret_some, peer, &p->introducing.addrs[i]);
    for (size_t i = 0; p && i < p->relaying.n_addrs; i++)
        add(r, ret_some, peer, &p->relaying.addrs[i]);
    for (size_t i = 0; w && i < w->n_addrs; i++)
        add(r, ret_some, peer, &w->addrs[i]);
    for (size_t i = 0; p && i < p->introducing.n_by; i++)
        add(r, ret_some, &p->introducing.by[i].id, &p->introducing.by[i].addr);
    for (size_t i = 0; p && i < p->relaying.n_by; i++)
        add(r, ret_some, &p->relaying.by[i].id, &p->relaying.by[i].addr);
    for (size_t i = 0; w && i < w->n_introducers; i++)
        add(r, ret_some, &w->introducers[i].id, &w->introducers[i].addr);
    size_t n = tl_introducers_attached(r, own);
    for (size_t i = 0; i < n; i++)
        add(r, ret_some, &own[i].name.id, &own[i].name.addr);
}

bool tl_introducers_can_ask(const tl_introducers *r, const tl_node_id *peer)
{
    some s;
    collect(r, peer, &s);
    return s.n;
}

/* --- asking --- */

static void send_intro(tl_introducers *r, const tl_relayer_name *at, const tl_addr *seen,
                       const tl_node_id *peer, const uint8_t *nonce)
{
    const tl_direct_self *self = r->config.udp->self(r->config.udp_user);
    tl_control c = {.type = TL_CONTROL_PUNCH_INTRO,
                    .pad_n = TL_CONTROL_INTRO_PAD,
                    .addr = tl_addr_normal(*seen),
                    .nat = tl_control_nat_named(tl_nat_tesseras_type(self->facts))};
    memcpy(c.initiator, r->config.identity->id.key, sizeof c.initiator);
    memcpy(c.introducer, at->id.key, sizeof c.introducer);
    memcpy(c.target, peer->key, sizeof c.target);
    memcpy(c.nonce, nonce, sizeof c.nonce);
    c.addr.scope = 0;
    tl_introducers_say(r, &at->addr, &c);
}

/* How does that node see us? False: it is to be asked first. At a NAT that shows each its own address only the
 * node itself can tell; and if what STUN servers saw was not true there, the first try was in vain. */
static bool seen_by(tl_introducers *r, const tl_relayer_name *at, unsigned nth, tl_addr *ret_seen)
{
    const tl_nat_facts *f = r->config.udp->self(r->config.udp_user)->facts;
    const tl_introducer_place *place = tl_introducers_at(r, at);
    bool same = f->mapping == TL_MAPPING_NONE || f->mapping == TL_MAPPING_ENDPOINT_INDEPENDENT;
    if (tl_introducers_is(r, &at->id, &at->addr, ret_seen))
        return true;
    if (place && place->leg.state == TL_LEG_OPEN)
        *ret_seen = place->leg.seen;
    else if (nth == 0 && same)
        *ret_seen = at->addr.family == TL_ADDR_V6 ? f->public6 : f->public4;
    else
        return false;
    return ret_seen->family != TL_ADDR_NONE;
}

static bool wait_for(tl_introducers *r, const tl_relayer_name *at, const tl_node_id *peer,
                     const uint8_t *nonce)
{
    tl_time now = tl_introducers_now(r);
    tl_waiting_intro *w = NULL;
    for (size_t i = 0; i < TL_INTRODUCERS_WAITING && !w; i++)
        if (now >= r->waiting[i].until)
            w = &r->waiting[i];
    if (!w || !tl_introducers_borrow(r, at, now + TL_INTRODUCERS_WAIT))
        return false;
    *w = (tl_waiting_intro){.until = now + TL_INTRODUCERS_WAIT, .at = *at, .peer = *peer};
    memcpy(w->nonce, nonce, sizeof w->nonce);
    return true;
}

void tl_introducers_ask_waiting(tl_introducers *r, const tl_relayer_name *at, const tl_addr *seen)
{
    tl_time now = tl_introducers_now(r);
    for (size_t i = 0; i < TL_INTRODUCERS_WAITING; i++) {
        tl_waiting_intro *w = &r->waiting[i];
        if (now >= w->until || !tl_node_id_eq(&w->at.id, &at->id) ||
            !tl_addr_eq(&w->at.addr, &at->addr))
            continue;
        w->until = 0;
        send_intro(r, at, seen, &w->peer, w->nonce);
    }
}

/* The first try asks the peer itself and those that it names first; the next one goes on where the one before
 * ended. */
bool tl_introducers_ask(tl_introducers *r, const tl_node_id *peer,
                        const uint8_t nonce[TL_CONTROL_NONCE_SIZE], unsigned nth)
{
    some s;
    size_t asked = 0;
    collect(r, peer, &s);
    for (size_t i = 0; i < s.n && i < TL_INTRODUCTION_ASKED; i++) {
        const tl_relayer_name *at = &s.at[(nth * TL_INTRODUCTION_ASKED + i) % s.n];
        tl_addr seen;
        if (seen_by(r, at, nth, &seen))
            send_intro(r, at, &seen, peer, nonce);
        else if (!wait_for(r, at, peer, nonce))
            continue;
        asked++;
    }
    return asked;
}
