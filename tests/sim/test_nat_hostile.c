/* Offers, candidates, STUN servers and datagrams of those who mean ill, between two whole nodes:
 * the answer is whole, nothing goes where nothing may go, and once the mischief ends the way is
 * direct. */
#include "nats_world.h"

#include "nat/checks_state.h"

#include <stdio.h>
#include <stdlib.h>

static const sim_nat_kind cone = {.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                                  .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};
static const sim_nat_kind symmetric = {.mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                       .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};
static const sim_faults line = {.delay = NATS_ONE_WAY};

static uint64_t below(nats_world *w, uint64_t n)
{
    return tl_rand_below(sim_rand(w->sim), n);
}

static uint64_t refused(const nats_world *w, int i, tl_offer_verdict v)
{
    return tl_direct_counters_of(w->node[i]->direct)->offers_refused[v];
}

static uint64_t refused_in_all(const nats_world *w)
{
    uint64_t n = 0;
    for (int i = 0; i < 2; i++)
        for (int v = TL_OFFER_OK; v < TL_OFFER_VERDICTS; v++)
            n += refused(w, i, (tl_offer_verdict)v);
    return n;
}

/* The way is direct some time after the mischief ended: the next attempt is at most a minute away.
 */
static void expect_direct_again(nats_world *w)
{
    question_clear(&w->q);
    nats_ask(w, 2 * TL_SEC);
    nats_check(w);
    sim_expect(nats_until_direct(w, 60 * TL_SEC));
}

/* --- a hostile relay --- */

/* Where in a frame an offer, answer or candidate begins; NULL: it is something else. */
static uint8_t *signal_in(uint8_t *frame, size_t n)
{
    static const char *const types[] = {"{\"offer\":", "{\"answer\":", "{\"iceCandidate\":"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        uint8_t *at = memmem(frame, n, types[i], strlen(types[i]));
        if (at)
            return at + strlen(types[i]);
    }
    return NULL;
}

/* One letter or digit becomes another. */
static void alter(void *user, uint8_t *frame, size_t *n, size_t cap)
{
    nats_world *w = user;
    uint8_t *from = signal_in(frame, *n);
    (void)cap;
    if (!from)
        return;
    for (;;) {
        uint8_t *c = from + below(w, (uint64_t)(frame + *n - from));
        if (*c >= '0' && *c <= '9') {
            *c = (uint8_t)('0' + (*c - '0' + 1 + below(w, 8)) % 10);
            return;
        }
        if (*c >= 'a' && *c <= 'e') {
            *c = *c + 1;
            return;
        }
    }
}

static void a_relay_that_alters_what_it_carries_keeps_them_relayed(uint64_t seed)
{
    nats_world w;
    nats_pair(&w, seed, &cone, &cone, NULL);
    nats_settle(&w);
    w.relay->tamper = alter;
    w.relay->tamper_user = &w;
    nats_ask(&w, 4 * TL_SEC);
    nats_check(&w);
    sim_expect(nats_via(&w) == TL_VIA_RELAYED);
    w.relay->tamper = NULL;
    expect_direct_again(&w);
    nats_end(&w);
}

#define KEPT_MAX 64
typedef struct {
    nats_world *w;
    size_t n;
    tl_buf frames[KEPT_MAX];
    int to[KEPT_MAX];
    bool swallow;
} keeper;

static int addressee(const nats_world *w, const uint8_t *frame, size_t n)
{
    char field[sizeof "\"toNodeID\":\"" + TL_NODE_ID_HEX] = "\"toNodeID\":\"";
    tl_node_id_write(field + strlen(field), &w->node[0]->identity.id);
    return memmem(frame, n, field, strlen(field)) ? 0 : 1;
}

static void keep(void *user, uint8_t *frame, size_t *n, size_t cap)
{
    keeper *k = user;
    (void)cap;
    if (!signal_in(frame, *n) || k->n == KEPT_MAX)
        return;
    sim_expect(tl_buf_append(&k->frames[k->n], tl_slice_of(frame, *n)) == TL_OK);
    k->to[k->n++] = addressee(k->w, frame, *n);
    if (k->swallow)
        *n = 0;
}

static void say(keeper *k, size_t i)
{
    relay_host_say(k->w->node[k->to[i]]->uplink, tl_buf_slice(&k->frames[i]));
}

static void keeper_clear(keeper *k)
{
    k->w->relay->tamper = NULL;
    for (size_t i = 0; i < k->n; i++)
        tl_buf_clear(&k->frames[i]);
}

static void a_relay_that_says_everything_again_begins_nothing(uint64_t seed)
{
    nats_world w;
    keeper k = {.w = &w};
    nats_pair(&w, seed, &cone, &cone, NULL);
    nats_settle(&w);
    w.relay->tamper = keep;
    w.relay->tamper_user = &k;
    nats_ask(&w, 60 * TL_SEC);
    sim_expect(nats_until_direct(&w, 1 * TL_SEC));
    sim_expect(k.n >= 2);
    w.relay->tamper = NULL;
    uint64_t attempts[2];
    for (int i = 0; i < 2; i++)
        attempts[i] = tl_direct_counters_of(w.node[i]->direct)->attempts;
    for (int times = 0; times < 100; times++) { /* until long after they are stale */
        say(&k, below(&w, k.n));
        nats_run(&w, below(&w, 900) * TL_MS);
    }
    for (int i = 0; i < 2; i++) {
        sim_expect(tl_direct_counters_of(w.node[i]->direct)->attempts == attempts[i]);
        sim_expect(tl_direct_counters_of(w.node[i]->direct)->lost == 0);
    }
    sim_expect(refused_in_all(&w) > 0);
    sim_expect(nats_via(&w) == TL_VIA_DIRECT);
    nats_check(&w);
    keeper_clear(&k);
    nats_end(&w);
}

/* Each is told once, after any time, in any order. */
static void a_relay_that_delays_and_reorders_only_delays(uint64_t seed)
{
    nats_world w;
    keeper k = {.w = &w, .swallow = true};
    nats_pair(&w, seed, &cone, &cone, NULL);
    nats_settle(&w);
    w.relay->tamper = keep;
    w.relay->tamper_user = &k;
    nats_ask(&w, 50 * TL_SEC);
    size_t said = 0;
    while (!question_is_over(&w.q)) {
        nats_run(&w, below(&w, 3000) * TL_MS);
        if (said == k.n)
            continue;
        size_t i = said + below(&w, k.n - said); /* swaps it with the first not yet said */
        tl_buf frame = k.frames[i];
        int to = k.to[i];
        k.frames[i] = k.frames[said];
        k.to[i] = k.to[said];
        k.frames[said] = frame;
        k.to[said] = to;
        say(&k, said++);
    }
    nats_check(&w);
    keeper_clear(&k);
    expect_direct_again(&w);
    nats_end(&w);
}

static void clocks_may_differ_by_half_a_minute(uint64_t seed)
{
    static const struct {
        tl_unix off;
        bool direct;
    } cases[] = {{29, true}, {-29, true}, {32, false}, {-32, false}, {86400 * 365, false}};
    nats_world w;
    size_t c = seed % 5;
    nats_pair(&w, seed, &cone, &cone, NULL);
    w.node[seed / 5 % 2]->clock_off = cases[c].off;
    nats_settle(&w);
    nats_ask(&w, 8 * TL_SEC);
    sim_expect(nats_until_direct(&w, 7 * TL_SEC) == cases[c].direct);
    if (!cases[c].direct) {
        sim_expect(refused(&w, 1, TL_OFFER_LATE) > 0);
        sim_expect(nats_report(&w, 0).state == TL_DIRECT_UNANSWERED);
    }
    nats_check(&w);
    nats_end(&w);
}

/* --- a hostile peer --- */

static const char *const forbidden[] = {"127.0.0.1",
                                        "127.255.255.254",
                                        "0.0.0.0",
                                        "0.1.2.3",
                                        "169.254.169.254",
                                        "169.254.1.1",
                                        "224.0.0.1",
                                        "239.255.255.250",
                                        "240.0.0.1",
                                        "255.255.255.255",
                                        "100.100.100.200",
                                        "168.63.129.16",
                                        "192.168.1.255",
                                        "192.168.1.0",
                                        "::",
                                        "::1",
                                        "fe80::1",
                                        "ff02::1",
                                        "::ffff:127.0.0.1",
                                        "::ffff:169.254.169.254",
                                        "::ffff:192.168.1.255",
                                        "::127.0.0.1",
                                        "2002:7f00:1::1",
                                        "64:ff9b::127.0.0.1",
                                        "2001:0:102:304::80ff:fffe",
                                        "fd00:ec2::254"};
#define FORBIDDEN (sizeof forbidden / sizeof *forbidden)

/* Whatever his node would say by itself, this is signed by the peer's own key. */
static void say_candidate(nats_world *w, const tl_addr *a)
{
    whole_node *peer = w->node[1];
    tl_direct_report r = nats_report(w, 0);
    tl_candidate c = {TL_CANDIDATE_HOST, *a, (uint32_t)tl_rand_u64(sim_rand(w->sim))};
    json_t *payload;
    sim_expect(tl_candidate_make(&peer->identity, &w->node[0]->identity.id, r.session, &c,
                                 &peer->rand, sim_wall(w->sim), &payload) == TL_OK);
    sim_expect(tl_relay_link_signal(peer->link, TL_SIGNAL_ICE_CANDIDATE, payload) == TL_OK);
    json_decref(payload);
}

static bool is_checking(void *user)
{
    return nats_report(user, 0).state == TL_DIRECT_CHECKING;
}

static void two_hundred_candidates_are_asked_sixteen_at_most(uint64_t seed)
{
    nats_world w;
    nats_pair(&w, seed, &symmetric, &symmetric, NULL);
    nats_settle(&w);
    nats_ask(&w, 10 * TL_SEC);
    sim_expect(sim_run_while(w.sim, is_checking, &w, 1 * TL_SEC));
    for (unsigned i = 0; i < 200; i++) {
        tl_addr a;
        if (below(&w, 2)) {
            a = sim_addr(forbidden[below(&w, FORBIDDEN)], (uint16_t)(1 + below(&w, 65535)));
        } else {
            a = sim_addr("198.18.1.1", below(&w, 20) ? (uint16_t)(1 + below(&w, 65535)) : 0);
            a.bytes[3] = (uint8_t)below(&w, 256);
        }
        say_candidate(&w, &a);
        nats_run(&w, below(&w, 20) * TL_MS);
    }
    nats_check(&w);
    const whole_net *net = &w.node[0]->net;
    const tl_direct_counters *c = tl_direct_counters_of(w.node[0]->direct);
    unsigned silent = 0;
    for (size_t i = 0; i < net->n_tallies; i++)
        silent += !net->tallies[i].heard_at;
    sim_expect(silent <= TL_CANDIDATES_MAX * c->attempts);
    sim_expect(c->candidates_refused > 0);
    nats_end(&w);
}

static void forbidden_addresses_are_sent_nothing(uint64_t seed)
{
    nats_world w;
    nats_pair(&w, seed, &cone, &cone, NULL);
    nats_settle(&w);
    nats_ask(&w, 6 * TL_SEC);
    sim_expect(sim_run_while(w.sim, is_checking, &w, 1 * TL_SEC));
    for (size_t i = 0; i < FORBIDDEN; i++) {
        tl_addr a = sim_addr(forbidden[i], w.node[1]->net.port);
        say_candidate(&w, &a);
    }
    nats_check(&w);
    sim_expect(tl_direct_counters_of(w.node[0]->direct)->candidates_refused == FORBIDDEN);
    sim_expect(nats_via(&w) == TL_VIA_DIRECT);
    nats_end(&w);
}

/* --- hostile STUN servers --- */

static void servers_that_lie_direct_nothing_at_anybody(uint64_t seed)
{
    static const char *const lies[] = {"127.0.0.1", "198.18.5.5", "255.255.255.255", "10.1.1.1",
                                       "169.254.169.254"};
    nats_world w;
    nats_pair(&w, seed, &cone, seed % 2 ? &cone : NULL, NULL);
    for (int i = 0; i < 2; i++) {
        w.stun[i]->lies = true;
        w.stun[i]->lie = sim_addr(lies[seed % 5], 7);
    }
    nats_settle(&w);
    nats_ask(&w, 5 * TL_SEC);
    nats_check(&w);
    sim_expect((nats_via(&w) == TL_VIA_DIRECT) == (seed % 2 == 0)); /* one is public: it is met */
    nats_end(&w);
}

/* --- somebody on the way --- */

typedef struct {
    nats_world *w;
    sim_host *host;
    tl_addr at;
    uint64_t copies;
    uint64_t only[2]; /* checks that this node has from the observer alone */
} observer;

static const char observer_ip[] = "198.18.66.6";

static bool is_check(tl_slice payload)
{
    tl_stun stun;
    return tl_stun_is(payload) && tl_stun_read(payload, &stun) == TL_OK &&
           stun.class == TL_STUN_REQUEST;
}

/* Sends what it saw once more, from its own address; sometimes instead of the original. */
static bool copy(void *user, sim_host *to, const tl_addr *from, const tl_addr *at, tl_slice payload)
{
    observer *o = user;
    bool of_ours = to == o->w->node[0]->host || to == o->w->node[1]->host;
    if (!of_ours || tl_addr_same_ip(from, &o->at) || payload.n == 0 || below(o->w, 4))
        return true;
    o->copies++;
    sim_inet_send(o->host, 1, &o->at, at, payload.p, payload.n);
    bool passes = below(o->w, 20) != 0;
    if (!passes && is_check(payload))
        o->only[to == o->w->node[1]->host]++;
    return passes;
}

/* What a node may send to an address that only repeats. A check that came from there and from
 * nowhere else is genuine: the peer may be there now. It earns an answer and a check back, so no
 * fixed number holds for a session: an observer that takes checks out of the way gets two packets
 * for each. Beside those, an address that is only guessed at gets three packets, and three more
 * when ten seconds have passed since it was given up. A copy that comes after its original earns
 * nothing. */
static uint64_t bound(const observer *o, int i, tl_time span)
{
    return CHECK_UNHEARD_LEARNED * (1 + span / CHECK_FORGIVE) + CHECK_PER_REQUEST * o->only[i];
}

static void nothing(void *user)
{
    (void)user;
}

static void hears(void *user, uint32_t path, uint8_t *data, size_t n)
{
    (void)user, (void)path, (void)data, (void)n;
}

static tl_time never(void *user)
{
    (void)user;
    return TL_NEVER;
}

static void an_observer_who_repeats_from_elsewhere_moves_nothing(uint64_t seed)
{
    static const sim_host_ops ops = {hears, nothing, never, nothing};
    nats_world w;
    observer o = {.w = &w, .at = sim_addr(observer_ip, 4444)};
    nats_pair(&w, seed, NULL, NULL, NULL);
    o.host = sim_host_new(w.sim, &ops, &o);
    sim_inet_join(w.in, o.host, 1, NULL, observer_ip, &line);
    nats_settle(&w);
    sim_inet_set_tap(w.in, copy, &o);
    nats_ask(&w, 20 * TL_SEC);
    tl_time began = sim_now(w.sim);
    sim_expect(nats_until_direct(&w, 2 * TL_SEC));
    nats_check(&w);
    sim_expect(o.copies > 100);
    tl_time span = sim_now(w.sim) - began;
    for (int i = 0; i < 2; i++) {
        const whole_net *net = &w.node[i]->net;
        const tl_direct_counters *c = tl_direct_counters_of(w.node[i]->direct);
        sim_expect(c->rebinds == 0);
        sim_expect(c->attempts == 1); /* what is said in bound() is of one attempt */
        for (size_t k = 0; k < net->n_tallies; k++)
            if (tl_addr_same_ip(&net->tallies[k].to, &o.at))
                sim_expect(net->tallies[k].sent <= bound(&o, i, span));
    }
    nats_end(&w);
}

int main(void)
{
    if (tl_crypto_init())
        return 1;
    sim_each_seed("a relay that alters what it carries keeps them relayed", 1, 30,
                  a_relay_that_alters_what_it_carries_keeps_them_relayed);
    sim_each_seed("a relay that says everything again begins nothing", 1, 20,
                  a_relay_that_says_everything_again_begins_nothing);
    sim_each_seed("a relay that delays and reorders only delays", 1, 30,
                  a_relay_that_delays_and_reorders_only_delays);
    sim_each_seed("clocks may differ by half a minute", 0, 10, clocks_may_differ_by_half_a_minute);
    sim_each_seed("two hundred candidates are asked sixteen at most", 1, 10,
                  two_hundred_candidates_are_asked_sixteen_at_most);
    sim_each_seed("forbidden addresses are sent nothing", 1, 10,
                  forbidden_addresses_are_sent_nothing);
    sim_each_seed("servers that lie direct nothing at anybody", 0, 10,
                  servers_that_lie_direct_nothing_at_anybody);
    sim_each_seed("an observer who repeats from elsewhere moves nothing", 1, 10,
                  an_observer_who_repeats_from_elsewhere_moves_nothing);
    return sim_result();
}
