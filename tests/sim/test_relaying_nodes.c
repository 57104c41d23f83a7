/* Answers between two nodes behind symmetric NATs, which a third node relays: where the relay is gone, or far.
 * What happens to the relay, to the third node or to a NAT under a running answer costs it no byte and at most
 * GAP of silence. */
#include "nats_world.h"
#include "relay/signed.h"
#include "whole_relaying.h"

#include <stdio.h>
#include <string.h>

#define GAP (3 * TL_SEC)

/* No two of these meet directly. */
static const sim_nat_kind symmetric = {.mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                       .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};

typedef struct {
    nats_world w;
    whole_node *third[2]; /* those that relay */
    sim_link *line[2];
    tl_time longest;
} scene;

static tl_time worst;

static uint64_t below(scene *s, uint64_t n)
{
    return tl_rand_below(sim_rand(s->w.sim), n);
}

static void add_third(scene *s, int i, const char *ip, const tl_relay_limits *limits)
{
    static const sim_faults line = {.delay = NATS_ONE_WAY};
    whole_node *n = s->third[i] = whole_node_new(s->w.sim, s->w.relay, 2 * NATS_ONE_WAY);
    for (int k = 0; k < 2; k++) {
        tl_addr server = stun_host_addr(s->w.stun[k]);
        whole_net_ask_server(&n->net, &server);
    }
    s->line[i] = whole_net_join(&n->net, s->w.in, WHOLE_NET_PATH, NULL, ip, 24, &line);
    whole_relaying_start(n, limits);
    whole_node_connect(n);
}

static bool are_attached(void *user)
{
    const scene *s = user;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++)
            if (s->third[k] && !whole_relaying_is_attached(s->w.node[i], s->third[k]))
                return false;
    return true;
}

static void begin_limited(scene *s, uint64_t seed, int thirds, const tl_relay_limits *limits)
{
    *s = (scene){.longest = 0};
    nats_pair(&s->w, seed, &symmetric, &symmetric, NULL);
    for (int i = 0; i < thirds; i++)
        add_third(s, i, i ? "198.51.100.91" : "198.51.100.90", limits);
    sim_run_for(s->w.sim, 1 * TL_SEC);
    nats_settle(&s->w);
    for (int i = 0; i < 2; i++)
        sim_expect(!tl_relays_discover(s->w.node[i]->relays, "", sim_now(s->w.sim)));
    sim_expect(sim_run_while(s->w.sim, are_attached, s, 5 * TL_SEC));
    sim_run_for(s->w.sim, 1 * TL_SEC);
    for (int i = 0; i < 2; i++) /* they hear by whom the other is relayed */
        sim_expect(!tl_relays_discover(s->w.node[i]->relays, "", sim_now(s->w.sim)));
    sim_run_for(s->w.sim, 1 * TL_SEC);
}

static void begin(scene *s, uint64_t seed, int thirds)
{
    begin_limited(s, seed, thirds, NULL);
}

/* The relay's process dies. */
static void kill_relay(scene *s)
{
    for (int i = 0; i < 2; i++) {
        whole_node_disconnect(s->w.node[i]);
        if (s->third[i])
            whole_node_disconnect(s->third[i]);
    }
    relay_host_restart(s->w.relay);
}

static void relay_is_back(scene *s)
{
    for (int i = 0; i < 2; i++) {
        whole_node_connect(s->w.node[i]);
        if (s->third[i])
            whole_node_connect(s->third[i]);
    }
}

/* Which of the third nodes relays the connection, at both ends; -1: none. */
static int relayed_by(const scene *s)
{
    tl_peer_facts f[2];
    for (int i = 0; i < 2; i++)
        if (!nats_facts(&s->w, i, &f[i]) || !f[i].by_node || !f[i].by_udp || f[i].lost)
            return -1;
    if (!tl_node_id_eq(&f[0].node.id, &f[1].node.id))
        return -1;
    for (int k = 0; k < 2; k++)
        if (s->third[k] && tl_node_id_eq(&f[0].node.id, &s->third[k]->identity.id))
            return k;
    return -1;
}

static bool by_a_node(void *user)
{
    return relayed_by(user) >= 0;
}

static bool by_the_relay(void *user)
{
    const scene *s = user;
    tl_peer_facts f[2];
    return nats_facts(&s->w, 0, &f[0]) && nats_facts(&s->w, 1, &f[1]) && f[0].relay == 0 &&
           f[1].relay == 0 && !f[0].lost && !f[1].lost;
}

static void ask(scene *s, tl_time lasts)
{
    nats_ask(&s->w, lasts);
    sim_run_for(s->w.sim, 2 * TL_SEC + below(s, 3000) * TL_MS);
    sim_expect(s->w.q.bytes > 0 && !question_is_over(&s->w.q));
}

static void check_answer(scene *s, tl_time gap)
{
    sim_expect(sim_run_while(s->w.sim, question_is_over, &s->w.q,
                             s->w.pieces * NATS_PIECE_EACH * 2 + 60 * TL_SEC));
    if (s->w.q.failed || s->w.q.longest_gap > gap)
        fprintf(stderr, "%s %s, %lu ms of silence\n", s->w.q.failed ? "failed:" : "", s->w.q.why,
                (unsigned long)(s->w.q.longest_gap / TL_MS));
    sim_expect(s->w.q.ended && !s->w.q.altered);
    sim_expect(s->w.q.bytes == s->w.pieces * NATS_PIECE);
    sim_expect(s->w.q.longest_gap <= gap);
    worst = tl_time_max(worst, s->w.q.longest_gap);
}

static void end(scene *s)
{
    for (int i = 0; i < 2; i++) {
        sim_expect(s->w.node[i]->net.forbidden == 0);
        if (s->third[i])
            whole_node_free(s->third[i]);
    }
    nats_end(&s->w);
}

/* --- the relay goes --- */

static void the_relay_dies_under_an_answer_and_a_node_relays_it(uint64_t seed)
{
    scene s;
    begin(&s, seed, 1);
    ask(&s, 30 * TL_SEC);
    sim_expect(by_the_relay(&s));
    kill_relay(&s);
    sim_expect(sim_run_while(s.w.sim, by_a_node, &s, GAP));
    check_answer(&s, GAP);
    sim_expect(relayed_by(&s) == 0);
    for (int i = 0; i < 2; i++) {
        sim_expect(s.w.node[i]->joined == 1 && s.w.node[i]->left == 0);
        nats_check_sending(&s.w, i);
    }
    end(&s);
}

/* As where a node that relays has no place left for this address. */
static bool all_but_attached(void *user, sim_host *to, const tl_addr *from, const tl_addr *at,
                             tl_slice payload)
{
    (void)user;
    (void)to;
    (void)from;
    (void)at;
    return tl_control_peek(payload) != TL_CONTROL_ATTACHED;
}

static void an_answer_goes_on_at_a_node_that_attaches_us_no_more(uint64_t seed)
{
    scene s;
    begin(&s, seed, 1);
    ask(&s, 100 * TL_SEC);
    kill_relay(&s);
    sim_expect(sim_run_while(s.w.sim, by_a_node, &s, GAP));
    sim_run_for(s.w.sim, 1 * TL_SEC);
    s.w.q.longest_gap = 0;
    sim_inet_set_tap(s.w.in, all_but_attached, NULL);
    check_answer(&s, 200 * TL_MS);
    sim_expect(relayed_by(&s) == 0);
    end(&s);
}

static void a_question_after_the_relay_died_is_answered(uint64_t seed)
{
    scene s;
    begin(&s, seed, 1);
    kill_relay(&s);
    sim_run_for(s.w.sim, below(&s, 60000) * TL_MS);
    nats_ask(&s.w, 5 * TL_SEC);
    sim_expect(sim_run_while(s.w.sim, by_a_node, &s, 1 * TL_SEC));
    check_answer(&s, 500 * TL_MS);
    sim_expect(s.w.q.first_byte_at - s.w.q.asked_at <= 1 * TL_SEC);
    end(&s);
}

static void the_relay_comes_back_and_is_used_again(uint64_t seed)
{
    scene s;
    begin(&s, seed, 1);
    kill_relay(&s);
    ask(&s, 90 * TL_SEC);
    sim_expect(relayed_by(&s) == 0);
    relay_is_back(&s);
    sim_expect(sim_run_while(s.w.sim, by_the_relay, &s, 40 * TL_SEC));
    check_answer(&s, 500 * TL_MS);
    end(&s);
}

static void everything_that_is_remembered_serves_a_start_without_a_relay(uint64_t seed)
{
    scene s;
    begin(&s, seed, 1);
    kill_relay(&s);
    whole_node *asker = s.w.node[0];
    tl_peer *p = tl_peer_table_find(&asker->table, &s.w.node[1]->identity.id);
    tl_peer_relaying known = p->relaying;
    tl_relayer_name name = {s.third[0]->identity.id, s.third[0]->relaying->addr};
    whole_node_restart(asker);
    whole_node_disconnect(asker);
    p = tl_peer_table_get(&asker->table, &s.w.node[1]->identity.id);
    p->relaying = known;
    p->available = true;
    tl_relayers_remember(tl_peers_relayers(asker->peers), &name);
    nats_ask(&s.w, 5 * TL_SEC);
    sim_expect(sim_run_while(s.w.sim, by_a_node, &s, 1 * TL_SEC));
    sim_expect(whole_relaying_is_attached(asker, s.third[0]));
    check_answer(&s, 500 * TL_MS);
    end(&s);
}

/* --- the node that relays goes --- */

static void a_node_that_relays_dies_and_the_relay_carries_on(uint64_t seed)
{
    scene s;
    begin(&s, seed, 1);
    for (int i = 0; i < 2; i++) /* a relay so far away that the node is preferred */
        tl_relays_set_rtt(s.w.node[i]->relays, 0, 200 * TL_MS);
    ask(&s, 30 * TL_SEC);
    sim_expect(relayed_by(&s) == 0);
    sim_link_set_down(s.line[0], true);
    sim_expect(sim_run_while(s.w.sim, by_the_relay, &s, GAP));
    check_answer(&s, GAP);
    end(&s);
}

static void a_second_node_carries_on_where_the_first_dies(uint64_t seed)
{
    scene s;
    begin(&s, seed, 2);
    kill_relay(&s);
    ask(&s, 30 * TL_SEC);
    int first = relayed_by(&s);
    sim_expect(first >= 0);
    sim_link_set_down(s.line[first], true);
    check_answer(&s, GAP + 1 * TL_SEC);
    sim_expect(relayed_by(&s) == 1 - first);
    end(&s);
}

static void the_time_at_a_node_is_over_and_the_answer_goes_on_elsewhere(uint64_t seed)
{
    scene s;
    tl_relay_limits limits = tl_relay_limits_default();
    limits.session_max = 20 * TL_SEC;
    limits.session_warn = 5 * TL_SEC;
    begin_limited(&s, seed, 1, &limits);
    for (int i = 0; i < 2; i++)
        tl_relays_set_rtt(s.w.node[i]->relays, 0, 200 * TL_MS);
    ask(&s, 40 * TL_SEC);
    sim_expect(relayed_by(&s) == 0);
    sim_expect(sim_run_while(s.w.sim, by_the_relay, &s, 20 * TL_SEC));
    check_answer(&s, 500 * TL_MS); /* the move came before the end */
    end(&s);
}

/* --- in between --- */

static void a_nat_that_reboots_is_told_to_the_node(uint64_t seed)
{
    scene s;
    begin(&s, seed, 1);
    kill_relay(&s);
    ask(&s, 30 * TL_SEC);
    int side = (int)below(&s, 2);
    sim_nat_reboot(sim_site_nat(s.w.site[side]));
    sim_run_for(s.w.sim, 4 * TL_SEC);
    sim_expect(relayed_by(&s) == 0);
    sim_expect(tl_relayers_counters_of(tl_peers_relayers(s.w.node[side]->peers))->migrations >= 1);
    check_answer(&s, GAP);
    end(&s);
}

static void packets_that_are_lost_cost_no_byte(uint64_t seed)
{
    scene s;
    sim_faults bad = {.delay = NATS_ONE_WAY, .jitter = 10 * TL_MS, .duplicate = 0.02};
    begin(&s, seed, 1);
    kill_relay(&s);
    bad.loss = 0.005 * (double)below(&s, 11);
    sim_link_set_faults(sim_inet_core(s.w.in), &bad);
    nats_ask(&s.w, 20 * TL_SEC);
    check_answer(&s, 4 * TL_SEC);
    end(&s);
}

/* --- two sessions at one node --- */

static void two_askers_reach_one_provider_through_one_node(uint64_t seed)
{
    static const sim_faults line = {.delay = NATS_ONE_WAY};
    scene s;
    question_record other = {.patterned = true};
    tl_relay_limits limits = tl_relay_limits_default();
    limits.bootstrap_kbps = 256; /* the provider sends both answers by one node */
    begin_limited(&s, seed, 1, &limits);
    sim_site *site = sim_inet_site(s.w.in, NULL, &symmetric, "203.0.113.65");
    whole_node *second = whole_node_new(s.w.sim, s.w.relay, 2 * NATS_ONE_WAY);
    (void)whole_net_join(&second->net, s.w.in, WHOLE_NET_PATH, site, "192.168.1.10", 24, &line);
    whole_node_connect(second);
    sim_run_for(s.w.sim, 1 * TL_SEC);
    sim_expect(!tl_relays_discover(second->relays, "", sim_now(s.w.sim)));
    sim_run_for(s.w.sim, 2 * TL_SEC);
    kill_relay(&s);
    whole_node_disconnect(second);
    sim_run_for(s.w.sim, below(&s, 1000) * TL_MS);
    nats_ask(&s.w, 5 * TL_SEC);
    whole_node_ask_peer(second, &other, s.w.node[1], "m");
    sim_expect(sim_run_while(s.w.sim, question_is_over, &other, 60 * TL_SEC));
    if (!other.ended)
        fprintf(stderr, "%s\n", other.why);
    sim_expect(other.ended && !other.altered && other.bytes == s.w.pieces * NATS_PIECE);
    sim_expect(other.first_byte_at - other.asked_at <= 1 * TL_SEC);
    check_answer(&s, 500 * TL_MS);
    sim_expect(tl_relayers_counters_of(tl_peers_relayers(s.w.node[1]->peers))->asked == 2);
    question_clear(&other);
    whole_node_free(second);
    end(&s);
}

/* --- hostile --- */

static void offer_of(scene *s, const tl_identity *signer, tl_control *ret)
{
    whole_node *victim = s->w.node[1];
    *ret = (tl_control){.type = TL_CONTROL_RELAY_OFFER,
                        .addr = s->third[0]->relaying->addr,
                        .timestamp = (uint64_t)sim_wall(s->w.sim),
                        .expires_at = (uint64_t)sim_wall(s->w.sim) + 600,
                        .session = "forged"};
    memcpy(ret->relay, s->third[0]->identity.id.key, sizeof ret->relay);
    memcpy(ret->to, victim->identity.id.key, sizeof ret->to);
    memcpy(ret->peer, s->w.node[0]->identity.id.key, sizeof ret->peer);
    tl_rand_bytes(sim_rand(s->w.sim), ret->nonce, sizeof ret->nonce);
    tl_rand_bytes(sim_rand(s->w.sim), ret->token, sizeof ret->token);
    ret->token[0] = 0x90;
    sim_expect(!tl_control_sign(ret, signer));
}

/* Hands the victim a control datagram as if it came from `from`; true: it opened a session. */
static bool takes(scene *s, const tl_control *c, const tl_addr *from)
{
    whole_node *victim = s->w.node[1];
    const tl_relayers *r = tl_peers_relayers(victim->peers);
    size_t before = tl_relayers_sessions(r);
    uint8_t bytes[TL_CONTROL_MAX];
    size_t n = tl_control_write(c, bytes);
    (void)tl_peers_on_control(victim->peers, from, tl_slice_of(bytes, n));
    return tl_relayers_sessions(r) > before;
}

static void false_offers_open_nothing(uint64_t seed)
{
    scene s;
    tl_control c, sent;
    begin(&s, seed, 1);
    const tl_identity *relay = &s.third[0]->identity;
    tl_addr at = s.third[0]->relaying->addr, elsewhere = at;
    elsewhere.port++;
    offer_of(&s, relay, &sent);
    c = sent; /* a signature of the peer in place of the node's */
    sim_expect(!tl_control_sign(&c, &s.w.node[0]->identity));
    sim_expect(!takes(&s, &c, &at));
    c = sent; /* for somebody else */
    memcpy(c.to, s.w.node[0]->identity.id.key, sizeof c.to);
    sim_expect(!tl_control_sign(&c, relay));
    sim_expect(!takes(&s, &c, &at));
    c = sent; /* altered */
    c.token[5] ^= 1;
    sim_expect(!takes(&s, &c, &at));
    c = sent; /* old */
    c.timestamp -= TL_CONTROL_WINDOW + 1;
    sim_expect(!tl_control_sign(&c, relay));
    sim_expect(!takes(&s, &c, &at));
    c = sent; /* over already */
    c.expires_at = c.timestamp;
    sim_expect(!tl_control_sign(&c, relay));
    sim_expect(!takes(&s, &c, &at));
    c = sent; /* a node to which the victim is not attached */
    memcpy(c.relay, s.w.node[0]->identity.id.key, sizeof c.relay);
    sim_expect(!tl_control_sign(&c, &s.w.node[0]->identity));
    sim_expect(!takes(&s, &c, &at));
    c = sent; /* it sends the victim elsewhere */
    c.addr = elsewhere;
    sim_expect(!tl_control_sign(&c, relay));
    sim_expect(!takes(&s, &c, &at));
    c = sent; /* loops: the node itself, or the victim, as the peer */
    memcpy(c.peer, relay->id.key, sizeof c.peer);
    sim_expect(!tl_control_sign(&c, relay));
    sim_expect(!takes(&s, &c, &at));
    memcpy(c.peer, c.to, sizeof c.peer);
    sim_expect(!tl_control_sign(&c, relay));
    sim_expect(!takes(&s, &c, &at));
    sim_expect(!takes(&s, &sent, &elsewhere)); /* from another address */
    sim_expect(takes(&s, &sent, &at));         /* and the accepted twin */
    sim_expect(!takes(&s, &sent, &at));        /* replayed */
    sim_run_for(s.w.sim, 60 * TL_SEC);         /* over it nobody came */
    sim_expect(tl_relayers_sessions(tl_peers_relayers(s.w.node[1]->peers)) == 0);
    sim_expect(!takes(&s, &sent, &at)); /* replayed after its end */
    end(&s);
}

static void a_node_that_relays_cannot_open_sessions_without_end(uint64_t seed)
{
    scene s;
    begin(&s, seed, 1);
    const tl_relayers *r = tl_peers_relayers(s.w.node[1]->peers);
    for (int i = 0; i < 90; i++) {
        tl_control c;
        tl_identity peer;
        offer_of(&s, &s.third[0]->identity, &c);
        sim_expect(!tl_identity_new(sim_rand(s.w.sim), &peer));
        memcpy(c.peer, peer.id.key, sizeof c.peer);
        snprintf(c.session, sizeof c.session, "s%d", i);
        sim_expect(!tl_control_sign(&c, &s.third[0]->identity));
        (void)takes(&s, &c, &s.third[0]->relaying->addr);
    }
    sim_expect(tl_relayers_sessions(r) == TL_RELAYER_SESSIONS_EACH);
    sim_run_for(s.w.sim, 40 * TL_SEC);
    sim_expect(tl_relayers_sessions(r) == 0);
    ask(&s, 5 * TL_SEC);
    check_answer(&s, 500 * TL_MS);
    end(&s);
}

/* The provider says that it is relayed by itself, by the asker, or by what is no node at all. */
static void loops_are_refused(uint64_t seed)
{
    scene s;
    char hex[2][TL_NODE_ID_HEX + 1], third[TL_NODE_ID_HEX + 1];
    begin(&s, seed, 1);
    whole_node *asker = s.w.node[0], *provider = s.w.node[1];
    for (int i = 0; i < 2; i++)
        tl_node_id_write(hex[i], &s.w.node[i]->identity.id);
    tl_node_id_write(third, &s.third[0]->identity.id);
    const tl_relayers *r = tl_peers_relayers(asker->peers);
    const struct {
        const char *id, *address;
    } lies[] = {
        {hex[1], "198.51.100.77:4433"}, /* the provider itself */
        {hex[0], "198.51.100.77:4433"}, /* the asker */
        {third, "127.0.0.1:4433"},      /* an address to which no peer may send us */
        {third, "0.0.0.0:1"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        tl_peer *p = tl_peer_table_find(&asker->table, &provider->identity.id);
        json_t *told = json_pack("{s:[{s:s, s:s}]}", "relayedBy", "nodeID", lies[i].id, "address",
                                 lies[i].address);
        (void)tl_peer_describe(p, NULL, told);
        json_decref(told);
        sim_expect(p->relaying.n_by == 1);
        sim_expect(!tl_relayers_can_open(r, &provider->identity.id, false, 0));
    }
    uint64_t asked = tl_relayers_counters_of(r)->requests;
    kill_relay(&s); /* only the asker's own node is left, and it serves */
    nats_ask(&s.w, 2 * TL_SEC);
    check_answer(&s, 500 * TL_MS);
    sim_expect(tl_relayers_counters_of(r)->requests == asked + 1);
    end(&s);
}

/* A node that is relayed to a peer must not be asked to relay: the third is asked by nobody else. */
static void a_silent_node_is_asked_four_times_and_left(uint64_t seed)
{
    scene s;
    begin(&s, seed, 1);
    sim_link_set_down(s.line[0], true);
    kill_relay(&s);
    nats_ask(&s.w, 2 * TL_SEC);
    sim_expect(sim_run_while(s.w.sim, question_is_over, &s.w.q, 60 * TL_SEC));
    sim_expect(s.w.q.failed);
    const tl_relayers *r = tl_peers_relayers(s.w.node[0]->peers);
    sim_expect(tl_relayers_counters_of(r)->requests <= 2 * TL_RELAYER_TRIES);
    sim_run_for(s.w.sim, 60 * TL_SEC);
    sim_expect(!whole_relaying_is_attached(s.w.node[0], s.third[0]));
    end(&s);
}

static void an_idle_node_that_is_attached_wakes_seldom(uint64_t seed)
{
    scene s;
    begin(&s, seed, 2);
    sim_run_for(s.w.sim, 10 * TL_SEC);
    uint64_t before = sim_timer_count(s.w.node[0]->host);
    sim_run_for(s.w.sim, 300 * TL_SEC);
    uint64_t wakes = sim_timer_count(s.w.node[0]->host) - before;
    if (wakes > 120)
        fprintf(stderr, "%lu wake-ups in 300 s\n", (unsigned long)wakes);
    sim_expect(wakes <= 120); /* two Attaches each 25 s, STUN, the relay */
    sim_expect(are_attached(&s));
    end(&s);
}

static void each_seed(const char *name, uint64_t count, void (*run)(uint64_t seed))
{
    worst = 0;
    sim_each_seed(name, 1, count, run);
    printf("    the longest silence: %lu ms\n", (unsigned long)(worst / TL_MS));
}

int main(void)
{
    if (tl_crypto_init())
        return 1;
#define S(name, count) each_seed(#name, count, name)
    S(the_relay_dies_under_an_answer_and_a_node_relays_it, 60);
    S(an_answer_goes_on_at_a_node_that_attaches_us_no_more, 30);
    S(a_question_after_the_relay_died_is_answered, 60);
    S(the_relay_comes_back_and_is_used_again, 30);
    S(everything_that_is_remembered_serves_a_start_without_a_relay, 30);
    S(a_node_that_relays_dies_and_the_relay_carries_on, 60);
    S(a_second_node_carries_on_where_the_first_dies, 60);
    S(the_time_at_a_node_is_over_and_the_answer_goes_on_elsewhere, 20);
    S(a_nat_that_reboots_is_told_to_the_node, 60);
    S(packets_that_are_lost_cost_no_byte, 60);
    S(two_askers_reach_one_provider_through_one_node, 60);
    S(false_offers_open_nothing, 20);
    S(a_node_that_relays_cannot_open_sessions_without_end, 10);
    S(loops_are_refused, 20);
    S(a_silent_node_is_asked_four_times_and_left, 20);
    S(an_idle_node_that_is_attached_wakes_seldom, 5);
    return sim_result();
}
