#include "peer/seek.h"

#include <assert.h>
#include <stdlib.h>

typedef enum { FREE, LOOKING, TRYING, WAITING, RELAY, NODES } state;

typedef struct {
    state state;
    tl_node_id peer;
    tl_time due; /* of TRYING and the later ones: then the next is tried */
    tl_whereabouts where;
    tl_time waits_until; /* of WAITING */
    bool visited, busy;  /* one of its relays was; some could not be, for another peer's was */
    size_t n_relays;
    char relays[TL_DHT_RECORD_RELAYS_MAX][TL_DHT_RECORD_URL_MAX + 1];
} look;

struct tl_seek {
    tl_node_id own;
    tl_seek_world world;
    void *user;
    look looks[TL_SEEKS_MAX];
    tl_seek_counters counters;
};

static look *find(const tl_seek *s, const tl_node_id *peer)
{
    for (size_t i = 0; i < TL_SEEKS_MAX; i++)
        if (s->looks[i].state != FREE && tl_node_id_eq(&s->looks[i].peer, peer))
            return (look *)(uintptr_t)&s->looks[i];
    return NULL;
}

static void set_state(look *l, state to, tl_time due)
{
    assert(to == FREE || to > l->state || (to == WAITING && l->state == WAITING));
    l->state = to;
    l->due = due;
}

/* --- what a record names --- */

/* Who writes a record names whom he likes: a victim, at one port after the other. */
static bool is_once_too_often(const tl_whereabouts *where, const tl_addr *addr)
{
    unsigned there = 0;
    for (size_t i = 0; i < where->n_addrs; i++)
        there += tl_addr_same_ip(&where->addrs[i], addr);
    for (size_t i = 0; i < where->n_introducers; i++)
        there += tl_addr_same_ip(&where->introducers[i].addr, addr);
    return there >= TL_SEEK_PER_IP;
}

static size_t take_addresses(tl_seek *s, const tl_dht_record *r, tl_whereabouts *where)
{
    for (size_t i = 0; i < r->n_addresses && where->n_addrs < TL_WHEREABOUTS_ADDRS_MAX; i++)
        if (s->world.may_send(s->user, &r->addresses[i]) &&
            !is_once_too_often(where, &r->addresses[i]))
            where->addrs[where->n_addrs++] = r->addresses[i];
        else
            s->counters.addrs_refused++;
    return where->n_addrs;
}

static size_t take_introducers(tl_seek *s, const look *l, const tl_dht_record *r,
                               tl_whereabouts *where)
{
    for (size_t i = 0;
         i < r->n_introducers && where->n_introducers < TL_WHEREABOUTS_INTRODUCERS_MAX; i++) {
        tl_relayer_name name = {.addr = r->introducers[i].addr};
        if (tl_node_id_from_bytes(r->introducers[i].id, &name.id) ||
            tl_node_id_eq(&name.id, &s->own) || tl_node_id_eq(&name.id, &l->peer) ||
            !s->world.may_send(s->user, &name.addr) || is_once_too_often(where, &name.addr))
            s->counters.addrs_refused++;
        else
            where->introducers[where->n_introducers++] = name;
    }
    return where->n_introducers;
}

/* Is the peer attached to this node, which then is its own introducer? */
static bool names_us(const tl_seek *s, const tl_dht_record *r)
{
    for (size_t i = 0; i < r->n_introducers; i++)
        if (memcmp(r->introducers[i].id, s->own.key, sizeof s->own.key) == 0)
            return true;
    return false;
}

/* Is the relay worth waiting for, while the NATs are tried? */
static bool is_worth_a_wait(tl_control_nat ours, tl_control_nat theirs)
{
    bool both_symmetric = ours == TL_CONTROL_NAT_SYMMETRIC && theirs == TL_CONTROL_NAT_SYMMETRIC;
    return !both_symmetric && ours != TL_CONTROL_NAT_UNKNOWN && theirs != TL_CONTROL_NAT_UNKNOWN;
}

/* --- the tiers --- */

static void end(tl_seek *s, look *l, const char *why)
{
    tl_whereabouts where = l->where;
    tl_node_id peer = l->peer;
    set_state(l, FREE, TL_NEVER);
    s->world.over(s->user, &peer, why ? NULL : &where, why);
}

/* Nobody is left to ask. */
static const char *why_no_relay(const look *l)
{
    if (l->visited)
        return "no direct path to the peer could be opened, and no relay of its could be reached";
    if (l->busy)
        return "no direct path to the peer could be opened, and its relay was not tried: this node "
               "is at the relay of another peer now";
    return "no direct path to the peer could be opened, and this node visits none of the relays "
           "that it names";
}

static void ask_nodes(tl_seek *s, look *l, tl_time now)
{
    if (!l->where.n_introducers) {
        end(s, l, why_no_relay(l));
        return;
    }
    s->counters.nodes++;
    set_state(l, NODES, now + TL_SEEK_NODES_FOR);
    s->world.nodes(s->user, &l->peer, l->where.introducers, l->where.n_introducers);
}

/* The first of its relays that is visited is the one. */
static tl_seek_visit visit(tl_seek *s, look *l)
{
    tl_seek_visit most = TL_SEEK_REFUSES;
    for (size_t i = 0; i < l->n_relays && most != TL_SEEK_VISITS; i++) {
        tl_seek_visit v = s->world.relay(s->user, &l->peer, l->relays[i]);
        most = v > most ? v : most;
    }
    return most;
}

static void ask_relay(tl_seek *s, look *l, tl_time now)
{
    if (l->state == TRYING)
        l->waits_until = now + TL_SEEK_RELAY_WAIT;
    tl_seek_visit v = visit(s, l);
    if (v == TL_SEEK_VISITS) {
        l->visited = true;
        s->counters.relays++;
        set_state(l, RELAY, now + TL_SEEK_RELAY_FOR);
        return;
    }
    l->busy |= v == TL_SEEK_BUSY;
    if (v == TL_SEEK_BUSY && now < l->waits_until) {
        set_state(l, WAITING, tl_time_min(now + TL_SEEK_RELAY_AGAIN, l->waits_until));
        return;
    }
    ask_nodes(s, l, now);
}

static void go_on(tl_seek *s, look *l, tl_time now)
{
    switch (l->state) {
    case FREE:
    case LOOKING: break;
    case TRYING:
    case WAITING: ask_relay(s, l, now); break;
    case RELAY: ask_nodes(s, l, now); break;
    case NODES:
        end(s, l, "no direct path to the peer could be opened, and nobody would relay for it");
        break;
    }
}

/* --- in --- */

bool tl_seek_start(tl_seek *s, const tl_node_id *peer)
{
    look *l = find(s, peer);
    if (l)
        return true;
    for (size_t i = 0; i < TL_SEEKS_MAX && !l; i++)
        if (s->looks[i].state == FREE)
            l = &s->looks[i];
    if (!l || tl_node_id_eq(peer, &s->own) || !s->world.look(s->user, peer)) {
        s->counters.refused++;
        return false;
    }
    *l = (look){.state = FREE, .peer = *peer};
    set_state(l, LOOKING, TL_NEVER);
    s->counters.started++;
    return true;
}

void tl_seek_on_record(tl_seek *s, const tl_node_id *peer, const tl_dht_record *record,
                       const char *why, tl_time now)
{
    look *l = find(s, peer);
    if (!l || l->state != LOOKING)
        return;
    if (!record) {
        s->counters.not_found++;
        end(s, l, why);
        return;
    }
    s->counters.found++;
    l->where.nat = record->nat;
    bool straight = take_addresses(s, record, &l->where) > 0;
    bool introduced = take_introducers(s, l, record, &l->where) > 0;
    l->n_relays = record->n_relays;
    memcpy(l->relays, record->relays, sizeof l->relays);
    bool here = names_us(s, record);
    if (!straight && !introduced && !here && !l->n_relays) {
        end(s, l,
            "its record in the DHT names no way to reach it: it needs an introducer or a relay");
        return;
    }
    if (straight || introduced)
        s->world.know(s->user, &l->peer, &l->where);
    bool waits =
        (straight || introduced || here) && is_worth_a_wait(s->world.own_nat(s->user), record->nat);
    set_state(l, TRYING, waits ? now + TL_SEEK_RELAY_AFTER : now);
    if (!introduced &&
        !l->n_relays) /* nothing comes after this: whoever tries it says how it ends */
        end(s, l, NULL);
    else if (!waits)
        go_on(s, l, now);
}

void tl_seek_end(tl_seek *s, const tl_node_id *peer)
{
    look *l = find(s, peer);
    if (!l)
        return;
    if (l->state == LOOKING)
        s->world.unlook(s->user, peer);
    set_state(l, FREE, TL_NEVER);
}

void tl_seek_end_all(tl_seek *s, const char *why)
{
    for (size_t i = 0; i < TL_SEEKS_MAX; i++)
        if (s->looks[i].state != FREE)
            end(s, &s->looks[i], why);
}

bool tl_seek_is_on(const tl_seek *s, const tl_node_id *peer)
{
    return find(s, peer);
}

bool tl_seek_where(const tl_seek *s, const tl_node_id *peer, tl_whereabouts *ret_where)
{
    const look *l = find(s, peer);
    if (!l || l->state == LOOKING)
        return false;
    *ret_where = l->where;
    return true;
}

/* --- time --- */

void tl_seek_on_timer(tl_seek *s, tl_time now)
{
    for (size_t i = 0; i < TL_SEEKS_MAX; i++)
        if (s->looks[i].state > LOOKING && now >= s->looks[i].due)
            go_on(s, &s->looks[i], now);
}

tl_time tl_seek_expiry(const tl_seek *s)
{
    tl_time at = TL_NEVER;
    for (size_t i = 0; i < TL_SEEKS_MAX; i++)
        if (s->looks[i].state > LOOKING)
            at = tl_time_min(at, s->looks[i].due);
    return at;
}

/* --- life --- */

tl_err tl_seek_new(const tl_node_id *own, const tl_seek_world *world, void *user,
                   tl_seek **ret_seek)
{
    tl_seek *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    s->own = *own;
    s->world = *world;
    s->user = user;
    *ret_seek = s;
    return TL_OK;
}

void tl_seek_free(tl_seek *s)
{
    free(s);
}

const tl_seek_counters *tl_seek_counters_of(const tl_seek *s)
{
    return &s->counters;
}
