/* Two to five relays that act as one, while Redis is slow, loses, doubles and reorders, while
 * relays are cut off, stopped, killed and started, and nodes move from one to the next. Afterwards
 * every relay knows every node, at the same place, and any two nodes can talk. */
#include "cluster.h"

#include "relay/fed_state.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define NODES 10

typedef struct {
    cluster *c;
    size_t relays;
    peer *nodes[NODES]; /* the newest connection of each; NULL: none */
    size_t at[NODES];
    tl_time parted_until[CLUSTER_MAX], stopped_until[CLUSTER_MAX], dead_until[CLUSTER_MAX];
    unsigned session;
} scene;

static uint64_t below(scene *s, uint64_t n)
{
    return tl_rand_below(cluster_rand(s->c), n);
}

static bool can_use(const scene *s, size_t i)
{
    return cluster_lives(s->c, i) && !cluster_is_stopped(s->c, i);
}

static void clean(scene *s, size_t k)
{
    peer *p = s->nodes[k];
    if (!p || !can_use(s, s->at[k]))
        return;
    peer_drop_all(p);
    if (p->closed || p->cut || !p->conn) {
        peer_disconnect(p);
        s->nodes[k] = NULL;
    }
}

/* Anywhere; its older connection stays until the relay ends it. */
static void connect_node(scene *s, size_t k, size_t i)
{
    if (!can_use(s, i) || cluster_relay(s->c, i)->n > PEERS_MAX - 10)
        return;
    s->nodes[k] = cluster_node_begin(s->c, i, (uint8_t)(k + 1));
    s->at[k] = i;
}

static void talk(scene *s)
{
    size_t a = below(s, NODES), b = below(s, NODES);
    char id[24];
    clean(s, a);
    clean(s, b);
    if (a == b || !s->nodes[a] || !s->nodes[b] || !can_use(s, s->at[a]) || s->nodes[a]->paused)
        return;
    snprintf(id, sizeof id, "s%u", below(s, 3) ? ++s->session : s->session);
    const char *types[] = {"relayOpen", "relayReady", "relayData", "relayClose"};
    size_t what = below(s, 4);
    cluster_relay(s->c, s->at[a])->now = cluster_now(s->c);
    peer_send_session(s->nodes[a], types[what], s->nodes[b], id, what == 2 ? "AAAA" : NULL);
}

static void forget_nodes_of(scene *s, size_t i)
{
    for (size_t k = 0; k < NODES; k++)
        if (s->nodes[k] && s->at[k] == i)
            s->nodes[k] = NULL;
}

static void trouble(scene *s)
{
    size_t i = below(s, s->relays);
    tl_time until = cluster_now(s->c) + below(s, 40 * TL_SEC);
    if (s->parted_until[i] || s->stopped_until[i] || s->dead_until[i])
        return;
    switch (below(s, 4)) {
    case 0:
        s->parted_until[i] = until;
        cluster_part(s->c, i, below(s, 2) ? TL_NEVER : below(s, 5 * TL_SEC));
        break;
    case 1:
        s->stopped_until[i] = until;
        cluster_stop(s->c, i);
        break;
    case 2:
        s->dead_until[i] = until;
        forget_nodes_of(s, i);
        cluster_kill(s->c, i);
        break;
    case 3: cluster_flush(s->c); break;
    }
}

static void heal(scene *s, bool all)
{
    for (size_t i = 0; i < s->relays; i++) {
        tl_time now = all ? TL_NEVER : cluster_now(s->c);
        if (s->stopped_until[i] && s->stopped_until[i] <= now) {
            cluster_go_on(s->c, i);
            s->stopped_until[i] = 0;
        }
        if (s->parted_until[i] && s->parted_until[i] <= now) {
            cluster_join(s->c, i);
            s->parted_until[i] = 0;
        }
        if (s->dead_until[i] && s->dead_until[i] <= now) {
            cluster_start(s->c, i);
            s->dead_until[i] = 0;
        }
    }
}

/* Each node is at one relay, and all others know it there with the same epoch. */
static void expect_agreement(scene *s)
{
    for (size_t k = 0; k < NODES; k++) {
        size_t here = 0, away = 0;
        uint64_t epoch = 0;
        if (!s->nodes[k])
            continue;
        for (size_t i = 0; i < s->relays; i++) {
            const tl_relay *r = cluster_relay(s->c, i)->relay;
            const tl_relay_node *n =
                tl_relay_registry_find(&r->registry, &s->nodes[k]->identity.id);
            sim_expect(n != NULL);
            sim_expect(!epoch || n->epoch == epoch);
            sim_expect(!n->claim);
            epoch = n->epoch;
            here += n->conn != NULL;
            away += n->away != NULL;
        }
        sim_expect(here == 1);
        sim_expect(away == s->relays - 1);
    }
}

static void expect_talk(scene *s)
{
    for (size_t a = 0; a < NODES; a++) {
        size_t b = (a + 1) % NODES;
        char id[24];
        peer *pa = s->nodes[a], *pb = s->nodes[b];
        if (!pa || !pb)
            continue;
        snprintf(id, sizeof id, "last%zu", a);
        peer_drop_all(pa);
        peer_drop_all(pb);
        peer_send_session(pa, "relayOpen", pb, id, NULL);
        cluster_run(s->c, 20 * TL_MS);
        peer_send_session(pb, "relayReady", pa, id, NULL);
        cluster_run(s->c, 20 * TL_MS);
        peer_send_session(pa, "relayData", pb, id, "aGVsbG8=");
        cluster_run(s->c, 20 * TL_MS);
        const tl_signal *got, *last = NULL;
        while ((got = peer_take(pb)) && got->type != TL_SIGNAL_RELAY_DATA) {
        }
        last = got;
        sim_expect(last != NULL);
    }
}

static void settle(scene *s)
{
    heal(s, true);
    cluster_set_faults(s->c, (cluster_faults){.delay = TL_MS / 2});
    cluster_run(s->c, 4 * CLUSTER_TTL);
    for (size_t k = 0; k < NODES; k++) {
        clean(s, k);
        if (!s->nodes[k])
            connect_node(s, k, below(s, s->relays));
    }
    cluster_run(s->c, CLUSTER_TTL);
}

static void weather(uint64_t seed, cluster_faults faults)
{
    scene s = {.relays = 2 + seed % 4};
    s.c = cluster_new(s.relays, false, seed);
    cluster_set_faults(s.c, faults);
    for (int step = 0; step < 300; step++) {
        size_t k = below(&s, NODES);
        cluster_run(s.c, below(&s, TL_SEC));
        heal(&s, false);
        clean(&s, k);
        switch (below(&s, 8)) {
        case 0: connect_node(&s, k, below(&s, s.relays)); break;
        case 1:
            if (s.nodes[k] && can_use(&s, s.at[k])) {
                peer_disconnect(s.nodes[k]);
                s.nodes[k] = NULL;
            }
            break;
        case 2:
            if (!below(&s, 4))
                trouble(&s);
            break;
        default: talk(&s);
        }
    }
    settle(&s);
    expect_agreement(&s);
    expect_talk(&s);
    cluster_free(s.c);
}

static void fair_weather(uint64_t seed)
{
    weather(seed, (cluster_faults){.delay = TL_MS / 2});
}

static void rain(uint64_t seed)
{
    weather(seed, (cluster_faults){.delay = 2 * TL_MS, .jitter = 20 * TL_MS, .duplicate = 0.05});
}

static void storm(uint64_t seed)
{
    weather(seed, (cluster_faults){
                      .delay = 2 * TL_MS, .jitter = 200 * TL_MS, .loss = 0.1, .duplicate = 0.1});
}

/* A relay that was stopped, and whose node moved, says nothing in its name. */
static void fenced(uint64_t seed)
{
    cluster *c = cluster_new(3, false, seed);
    cluster_run(c, TL_SEC);
    peer *other = cluster_node(c, 0, 1), *old = cluster_node(c, 1, 2);
    cluster_run(c, tl_rand_below(cluster_rand(c), 5 * TL_SEC));
    cluster_stop(c, 1);
    cluster_run(c, CLUSTER_TTL + tl_rand_below(cluster_rand(c), 30 * TL_SEC));
    peer *new = cluster_node(c, 2, 2);
    cluster_run(c, TL_SEC);
    peer_drop_all(other);
    cluster_go_on(c, 1);
    cluster_relay(c, 1)->now = cluster_now(c);
    for (int i = 0; i < 20; i++) {
        if (old->conn && !old->closed)
            peer_send_session(old, "relayOpen", other, "s", NULL);
        cluster_run(c, tl_rand_below(cluster_rand(c), 2 * TL_MS));
        peer_drop_all(old);
        const tl_signal *got;
        while ((got = peer_take(other)))
            sim_expect(got->type != TL_SIGNAL_RELAY_OPEN);
    }
    sim_expect(old->closed == 1012);
    peer_send_session(new, "relayOpen", other, "t", NULL); /* the accepted twin */
    cluster_run(c, 50 * TL_MS);
    bool came = false;
    const tl_signal *got;
    while ((got = peer_take(other)))
        came |= got->type == TL_SIGNAL_RELAY_OPEN;
    sim_expect(came);
    cluster_free(c);
}

int main(void)
{
    sim_each_seed("relays and Redis in fair weather", 1, 20, fair_weather);
    sim_each_seed("messages come late and in another order", 1, 20, rain);
    sim_each_seed("a tenth of all messages is lost", 1, 20, storm);
    sim_each_seed("a stopped relay is fenced", 1, 20, fenced);
    return sim_result();
}
