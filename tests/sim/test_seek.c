/* A node looks for peers of which it knows nothing but the ID, in a DHT of three hundred nodes with lossy links: whatever
 * opens or not, the tiers come in their order, and each look ends once. */
#include "dht_world.h"
#include "sim.h"

#include "peer/seek.h"

#include <stdio.h>

#define NODES  300
#define PEERS  60
#define LOOKS  400
#define WITHIN (12 * TL_SEC) /* a look is over by then, whatever happens */

typedef struct {
    tl_identity identity;
    tl_dht_record record;
    bool published;
} peer;

/* What becomes of a look at one peer is thrown before it begins. */
typedef struct {
    bool on;
    size_t peer;
    tl_time began, known_at, relay_at, nodes_at;
    tl_time opens_after; /* the NATs, after they are tried; TL_NEVER: they do not */
    bool relay_stands, node_stands;
    tl_dht_request request;
} look;

static struct {
    dht_world *w;
    size_t node;
    tl_seek *seek;
    tl_control_nat nat;
    peer peers[PEERS];
    look look;
    uint64_t straight, relayed, by_node, over, unknown;
} s;

static tl_time now(void)
{
    return dht_world_now(s.w);
}

static bool chance(unsigned percent)
{
    return tl_rand_below(dht_world_rand(s.w), 100) < percent;
}

/* --- the world of seek --- */

static void on_done(void *user, tl_dht_request request, const tl_dht_item *item,
                    const tl_dht_result *result)
{
    tl_dht_record record;
    (void)user, (void)request, (void)result;
    sim_expect(s.look.on);
    s.look.request = 0;
    bool right = item && !tl_dht_record_parse(tl_dht_item_value(item), &record);
    tl_seek_on_record(s.seek, &s.peers[s.look.peer].identity.id, right ? &record : NULL, "none",
                      now());
}

static bool on_look(void *user, const tl_node_id *id)
{
    tl_dht_ask ask = {.on_done = on_done};
    (void)user;
    tl_err e = tl_dht_get(dht_world_dht(s.w, s.node), id->key, TL_DHT_RECORD_SALT, 2, &ask, now(),
                          &s.look.request);
    dht_world_touch(s.w, s.node);
    return !e;
}

static void on_unlook(void *user, const tl_node_id *id)
{
    (void)user, (void)id;
    tl_dht_cancel(dht_world_dht(s.w, s.node), s.look.request);
}

static bool may_send(void *user, const tl_addr *addr)
{
    (void)user;
    return tl_addr_kind_of(addr) == TL_ADDR_GLOBAL;
}

static tl_control_nat own_nat(void *user)
{
    (void)user;
    return s.nat;
}

static void on_know(void *user, const tl_node_id *id, const tl_whereabouts *where)
{
    const tl_dht_record *r = &s.peers[s.look.peer].record;
    (void)user;
    sim_expect(tl_node_id_eq(id, &s.peers[s.look.peer].identity.id));
    sim_expect(where->nat == r->nat && where->n_addrs == r->n_addresses &&
               where->n_introducers == r->n_introducers);
    sim_expect(!s.look.known_at);
    s.look.known_at = now();
}

static bool waits(const tl_dht_record *r)
{
    return (r->n_addresses || r->n_introducers) && s.nat != TL_CONTROL_NAT_UNKNOWN &&
           r->nat != TL_CONTROL_NAT_UNKNOWN &&
           !(s.nat == TL_CONTROL_NAT_SYMMETRIC && r->nat == TL_CONTROL_NAT_SYMMETRIC);
}

static tl_seek_visit on_relay(void *user, const tl_node_id *id, const char *url)
{
    const tl_dht_record *r = &s.peers[s.look.peer].record;
    (void)user, (void)id;
    sim_expect(!strcmp(url, r->relays[0]) && !s.look.relay_at && !s.look.nodes_at);
    if (waits(r))
        sim_expect(s.look.known_at && now() >= s.look.known_at + TL_SEEK_RELAY_AFTER);
    s.look.relay_at = now();
    return TL_SEEK_VISITS;
}

static void on_nodes(void *user, const tl_node_id *id, const tl_relayer_name *names, size_t n)
{
    const tl_dht_record *r = &s.peers[s.look.peer].record;
    (void)user, (void)id, (void)names;
    sim_expect(n == r->n_introducers && n && !s.look.nodes_at);
    sim_expect(!r->n_relays || s.look.relay_at); /* a relay of the peer comes before */
    if (s.look.relay_at)
        sim_expect(now() >= s.look.relay_at + TL_SEEK_RELAY_FOR);
    s.look.nodes_at = now();
}

static void on_over(void *user, const tl_node_id *id, const tl_whereabouts *where, const char *why)
{
    const peer *p = &s.peers[s.look.peer];
    (void)user, (void)id;
    sim_expect(s.look.on && (where || why));
    if (!p->published)
        s.unknown++;
    else
        s.over++;
    sim_expect(p->published || !where);
    s.look.on = false;
}

/* --- the scene --- */

static void make_record(tl_dht_record *r)
{
    tl_rand *rand = dht_world_rand(s.w);
    tl_identity other;
    *r = (tl_dht_record){.nat = (tl_control_nat)tl_rand_below(rand, TL_CONTROL_NATS)};
    if (r->nat == TL_CONTROL_NAT_PUBLIC || chance(10))
        r->addresses[r->n_addresses++] =
            (tl_addr){.family = TL_ADDR_V4, .port = 4000, .bytes = {198, 18, 1, 1}};
    for (size_t i = tl_rand_below(rand, 3); i > 0; i--) {
        sim_expect(tl_identity_new(rand, &other) == TL_OK);
        memcpy(r->introducers[r->n_introducers].id, other.id.key, 32);
        r->introducers[r->n_introducers++].addr =
            (tl_addr){.family = TL_ADDR_V4, .port = 4001, .bytes = {198, 18, 2, (uint8_t)i}};
    }
    if (chance(40))
        snprintf(r->relays[r->n_relays++], sizeof r->relays[0], "wss://relay%u.example.org/ws",
                 (unsigned)tl_rand_below(rand, 9));
}

static void publish(peer *p)
{
    uint8_t value[TL_DHT_RECORD_MAX];
    size_t node = dht_world_any(s.w, DHT_HONEST);
    size_t n = tl_dht_record_write(&p->record, value);
    p->published = true;
    sim_expect(tl_dht_publish(dht_world_dht(s.w, node), &p->identity, TL_DHT_RECORD_SALT,
                              tl_slice_of(value, n), 0, now()) == TL_OK);
    dht_world_touch(s.w, node);
}

static void reached(uint64_t *count)
{
    ++*count;
    s.look.on = false;
    tl_seek_end(s.seek, &s.peers[s.look.peer].identity.id);
}

static void look_once(void)
{
    tl_rand *rand = dht_world_rand(s.w);
    look *l = &s.look;
    *l = (look){.on = true, .peer = (size_t)tl_rand_below(rand, PEERS), .began = now()};
    l->opens_after = chance(50) ? tl_rand_below(rand, 3 * TL_SEC) : TL_NEVER;
    l->relay_stands = chance(50);
    l->node_stands = chance(50);
    s.nat = (tl_control_nat)tl_rand_below(rand, TL_CONTROL_NATS);
    s.node = dht_world_any(s.w, DHT_HONEST);
    sim_expect(tl_seek_start(s.seek, &s.peers[l->peer].identity.id));
    while (l->on) {
        dht_world_run_for(s.w, 10 * TL_MS);
        tl_seek_on_timer(s.seek, now());
        if (!l->on)
            break;
        if (l->known_at && l->opens_after != TL_NEVER && now() >= l->known_at + l->opens_after)
            reached(&s.straight);
        else if (l->relay_at && l->relay_stands && now() >= l->relay_at + 300 * TL_MS)
            reached(&s.relayed);
        else if (l->nodes_at && l->node_stands && now() >= l->nodes_at + 100 * TL_MS)
            reached(&s.by_node);
        sim_expect(now() < l->began + WITHIN + 3 * TL_SEC);
    }
    sim_expect(!tl_seek_is_on(s.seek, &s.peers[l->peer].identity.id));
    sim_expect(tl_seek_expiry(s.seek) == TL_NEVER);
}

static void tiers_come_in_order_and_each_look_ends_once(uint64_t seed)
{
    static const tl_seek_world world = {on_look, on_unlook, may_send, own_nat,
                                        on_know, on_relay,  on_nodes, on_over};
    dht_world_config config = {
        .most = NODES, .delay_min = 5 * TL_MS, .delay_max = 40 * TL_MS, .loss = 0.02};
    tl_identity own;
    memset(&s, 0, sizeof s);
    s.w = dht_world_new(seed, &config);
    for (unsigned i = 0; i < NODES; i++) {
        dht_world_add(s.w, DHT_HONEST, 3);
        dht_world_run_for(s.w, 20 * TL_MS);
    }
    dht_world_run_for(s.w, 60 * TL_SEC);
    sim_expect(tl_identity_new(dht_world_rand(s.w), &own) == TL_OK);
    sim_expect(tl_seek_new(&own.id, &world, NULL, &s.seek) == TL_OK);
    for (size_t i = 0; i < PEERS; i++) {
        sim_expect(tl_identity_new(dht_world_rand(s.w), &s.peers[i].identity) == TL_OK);
        make_record(&s.peers[i].record);
        if (i >= 5) /* the first ones tell nothing */
            publish(&s.peers[i]);
    }
    dht_world_run_for(s.w, 20 * TL_SEC);
    for (unsigned i = 0; i < LOOKS; i++)
        look_once();
    const tl_seek_counters *c = tl_seek_counters_of(s.seek);
    printf("%llu straight, %llu by a relay, %llu by a node, %llu over, %llu unknown: ",
           (unsigned long long)s.straight, (unsigned long long)s.relayed,
           (unsigned long long)s.by_node, (unsigned long long)s.over,
           (unsigned long long)s.unknown);
    sim_expect(s.straight + s.relayed + s.by_node + s.over + s.unknown == LOOKS);
    sim_expect(c->started == LOOKS && c->found + c->not_found == LOOKS);
    sim_expect(s.unknown == c->not_found); /* who published is found, whatever is lost on the way */
    sim_expect(s.straight && s.relayed && s.by_node && s.over && s.unknown);
    tl_seek_free(s.seek);
    dht_world_free(s.w);
}

int main(void)
{
    if (tl_crypto_init())
        return 1;
    sim_each_seed("tiers come in order and each look ends once", 1, 3,
                  tiers_come_in_order_and_each_look_ends_once);
    return sim_result();
}
