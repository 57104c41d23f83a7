/* To which nodes that relay a node attaches, and which it asks for relay sessions. (What comes of it: tests/sim/test_relaying_nodes.c.) */
#include "peer/relayers.h"
#include "relay/signed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODES 6

/* A node that relays, which answers or not. */
typedef struct {
    tl_identity identity;
    tl_addr addr;
    tl_time away; /* one way */
    bool silent, fellow;
    unsigned asked;
} relayer;

static tl_rand rng;
static tl_identity own;
static tl_peer_table table;
static tl_relayers *relayers;
static relayer nodes[NODES];
static tl_time now_at;
static unsigned told;
static tl_direct_self self;
static tl_nat_facts facts;
static unsigned strays; /* datagrams to anybody else */
static unsigned requests[NODES];
static tl_control request; /* the last one */
static unsigned ready, ended, warned;
/* the last Attach to each, waiting for its answer */
static tl_control waits[NODES];
static tl_time answer_at[NODES];

static tl_time env_now(void *user)
{
    (void)user;
    return now_at;
}

static tl_unix env_wall(void *user)
{
    (void)user;
    return 1750000000 + (tl_unix)(now_at / TL_SEC);
}

static void env_wake(void *user)
{
    (void)user;
}

static const tl_direct_self *get_self(void *user)
{
    (void)user;
    return &self;
}

static size_t find(void *user, const char *hostport, tl_addr ret_addrs[2])
{
    (void)user, (void)hostport, (void)ret_addrs;
    return 0;
}

static tl_err send_datagram(void *user, tl_sock sock, const tl_addr *to, tl_slice prefix,
                            const uint8_t *data, size_t n, size_t segment)
{
    (void)user, (void)sock, (void)prefix, (void)segment;
    for (size_t i = 0; i < NODES; i++)
        if (tl_addr_eq(to, &nodes[i].addr)) {
            if (tl_control_peek(tl_slice_of(data, n)) == TL_CONTROL_RELAY_REQUEST) {
                assert_int_equal(tl_control_parse(tl_slice_of(data, n), &request), TL_OK);
                requests[i]++;
                return TL_OK;
            }
            if (!tl_control_is(tl_slice_of(data, n))) /* a token */
                return TL_OK;
            assert_int_equal(tl_control_parse(tl_slice_of(data, n), &waits[i]), TL_OK);
            assert_int_equal(waits[i].type, TL_CONTROL_ATTACH);
            assert_int_equal(tl_control_verify(&waits[i], &own.id), TL_OK);
            assert_memory_equal(waits[i].introducer, nodes[i].identity.id.key, 32);
            assert_true(tl_addr_eq(&waits[i].addr, to));
            nodes[i].asked++;
            answer_at[i] = nodes[i].silent ? TL_NEVER : now_at + 2 * nodes[i].away;
            return TL_OK;
        }
    strays++;
    return TL_OK;
}

static bool is_fellow(void *user, const tl_node_id *node)
{
    (void)user;
    for (size_t i = 0; i < NODES; i++)
        if (tl_node_id_eq(node, &nodes[i].identity.id))
            return nodes[i].fellow;
    return false;
}

static bool is_relay(void *user, const tl_addr *addr)
{
    (void)user, (void)addr;
    return false;
}

static void on_attached(void *user)
{
    (void)user;
    told++;
}

static void on_relayed(void *user, const tl_node_id *node, uint64_t bytes)
{
    (void)user, (void)node, (void)bytes;
}

static tl_path_id on_asked(void *user, const tl_node_id *from)
{
    (void)user, (void)from;
    return 99;
}

static void on_ready(void *user, tl_path_id path)
{
    (void)user, (void)path;
    ready++;
}

static void on_ended(void *user, tl_path_id path, const char *why)
{
    (void)user, (void)path, (void)why;
    ended++;
}

static void on_warning(void *user, tl_path_id path, tl_unix ends_at)
{
    (void)user, (void)path, (void)ends_at;
    warned++;
}

static tl_addr addr_of(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static int setup(void **state)
{
    static const tl_peers_udp udp = {get_self, find, send_datagram};
    tl_relayers_config config = {.identity = &own,
                                 .rand = &rng,
                                 .table = &table,
                                 .udp = &udp,
                                 .env = {env_now, env_wall, env_wake, NULL},
                                 .is_fellow = is_fellow,
                                 .is_relay = is_relay,
                                 .on_attached = on_attached,
                                 .on_relayed = on_relayed};
    (void)state;
    rng = tl_rand_seeded(3);
    now_at = 100 * TL_SEC;
    told = strays = ready = ended = warned = 0;
    memset(requests, 0, sizeof requests);
    facts = (tl_nat_facts){.mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT};
    self = (tl_direct_self){.sock4 = 1, .port = 5000, .facts = &facts};
    assert_int_equal(tl_identity_new(&rng, &own), TL_OK);
    for (size_t i = 0; i < NODES; i++) {
        char text[32];
        nodes[i] = (relayer){.away = (tl_time)(i + 1) * 5 * TL_MS};
        assert_int_equal(tl_identity_new(&rng, &nodes[i].identity), TL_OK);
        snprintf(text, sizeof text, "198.51.100.%zu:4433", i + 1);
        nodes[i].addr = addr_of(text);
        answer_at[i] = TL_NEVER;
    }
    static const tl_relayers_events events = {on_asked, on_ready, on_ended, on_warning};
    assert_int_equal(tl_relayers_new(&config, &relayers), TL_OK);
    tl_relayers_set_events(relayers, &events, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_relayers_free(relayers);
    tl_peer_table_clear(&table);
    return 0;
}

/* The relay lists a node that says that it relays there. */
static void list_at(const tl_node_id *id, const char *addr, bool networks, int free)
{
    tl_peer *p = tl_peer_table_get(&table, id);
    json_t *c = json_pack("{s:{s:[s], s:s, s:i}}", "relay", "addresses", addr, "for",
                          networks ? "networks" : "any", "free", free);
    assert_non_null(p);
    (void)tl_peer_describe(p, "r", c);
    json_decref(c);
    tl_relayers_look(relayers);
}

static void list(size_t i, bool networks, int free)
{
    char addr[TL_ADDR_TEXT_MAX];
    tl_addr_write(addr, &nodes[i].addr);
    list_at(&nodes[i].identity.id, addr, networks, free);
}

/* False: it is not taken. */
static bool hand(size_t i, const tl_control *c)
{
    uint8_t bytes[TL_CONTROL_MAX];
    size_t n = tl_control_write(c, bytes);
    return tl_relayers_on_control(relayers, &nodes[i].addr, tl_slice_of(bytes, n));
}

static void answer(size_t i, const uint8_t *nonce)
{
    tl_control c = {.type = TL_CONTROL_ATTACHED, .addr = addr_of("203.0.113.9:7000")};
    memcpy(c.node, own.id.key, sizeof c.node);
    memcpy(c.nonce, nonce, sizeof c.nonce);
    assert_int_equal(tl_control_sign(&c, &nodes[i].identity), TL_OK);
    (void)hand(i, &c); /* not taken where the last relay session there has ended meanwhile */
}

static void run_for(tl_time span)
{
    tl_time end = now_at + span;
    for (;;) {
        tl_time at = tl_relayers_expiry(relayers);
        for (size_t i = 0; i < NODES; i++)
            at = tl_time_min(at, answer_at[i]);
        if (at > end)
            break;
        now_at = tl_time_max(at, now_at);
        for (size_t i = 0; i < NODES; i++) {
            if (now_at < answer_at[i])
                continue;
            answer_at[i] = TL_NEVER;
            answer(i, waits[i].nonce);
        }
        tl_relayers_on_timer(relayers);
    }
    now_at = end;
}

static bool is_attached(size_t i)
{
    tl_relayer_facts by[TL_RELAYERS_ATTACHED];
    for (size_t k = 0, n = tl_relayers_attached(relayers, by); k < n; k++)
        if (tl_node_id_eq(&by[k].name.id, &nodes[i].identity.id))
            return true;
    return false;
}

static size_t attached(void)
{
    size_t n = 0;
    for (size_t i = 0; i < NODES; i++)
        n += is_attached(i);
    return n;
}

static void the_nearest_two_of_those_that_were_tried_are_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        list(i, false, 9);
    run_for(1 * TL_SEC);
    assert_true(is_attached(0) && is_attached(1));
    assert_int_equal(attached(), TL_RELAYERS_ATTACHED);
    assert_true(told > 0);
}

static void those_of_our_networks_come_first(void **state)
{
    (void)state;
    nodes[4].fellow = nodes[5].fellow = true;
    for (size_t i = 0; i < NODES; i++)
        list(i, i >= 4, 9);
    run_for(1 * TL_SEC);
    assert_true(is_attached(4) && is_attached(5));
    assert_int_equal(attached(), TL_RELAYERS_ATTACHED);
}

static void one_that_relays_for_networks_of_others_is_not_asked(void **state)
{
    (void)state;
    list(0, true, 9);
    run_for(60 * TL_SEC);
    assert_int_equal(nodes[0].asked, 0);
    nodes[0].fellow = true; /* the accepted twin */
    tl_relayers_look(relayers);
    run_for(1 * TL_SEC);
    assert_true(is_attached(0));
}

static void one_without_room_is_not_asked(void **state)
{
    (void)state;
    list(0, false, 0);
    run_for(60 * TL_SEC);
    assert_int_equal(nodes[0].asked, 0);
    list(0, false, 1);
    run_for(1 * TL_SEC);
    assert_true(is_attached(0));
}

static void one_that_falls_silent_is_left_for_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        list(i, false, 9);
    run_for(1 * TL_SEC);
    assert_true(is_attached(0) && is_attached(1));
    nodes[0].silent = true;
    run_for(30 * TL_SEC);
    assert_false(is_attached(0));
    assert_true(is_attached(1));
    run_for(330 * TL_SEC); /* the third was passed over for being slower */
    tl_relayers_look(relayers);
    run_for(1 * TL_SEC);
    assert_true(is_attached(1) && is_attached(2));
}

static void an_attach_is_repeated_within_25_seconds(void **state)
{
    (void)state;
    list(0, false, 9);
    run_for(1 * TL_SEC);
    unsigned before = nodes[0].asked;
    run_for(100 * TL_SEC);
    assert_in_range(nodes[0].asked - before, 3, 5);
}

static void a_silent_address_gets_few_attaches(void **state)
{
    (void)state;
    nodes[0].silent = true;
    list(0, false, 9);
    run_for(200 * TL_SEC);
    assert_in_range(nodes[0].asked, 1, 4);
}

static void a_node_that_others_reach_attaches_to_nobody(void **state)
{
    (void)state;
    facts.mapping = TL_MAPPING_NONE;
    facts.filtering = TL_FILTERING_ENDPOINT_INDEPENDENT;
    list(0, false, 9);
    run_for(60 * TL_SEC);
    assert_int_equal(nodes[0].asked, 0);
}

static void a_node_that_relays_itself_attaches_to_nobody(void **state)
{
    (void)state;
    list(0, false, 9);
    run_for(1 * TL_SEC);
    assert_true(is_attached(0));
    tl_relayers_set_relaying(relayers, true);
    run_for(1 * TL_SEC);
    assert_false(is_attached(0));
    assert_int_equal(tl_relayers_attached(relayers, (tl_relayer_facts[TL_RELAYERS_ATTACHED]){0}),
                     0);
}

static void an_answer_to_another_question_attaches_nobody(void **state)
{
    (void)state;
    nodes[0].silent = true;
    list(0, false, 9);
    run_for(100 * TL_MS);
    answer(0, (uint8_t[TL_CONTROL_NONCE_SIZE]){1});
    assert_false(is_attached(0));
    answer(0, waits[0].nonce);
    assert_true(is_attached(0));
}

static tl_node_id invented(void)
{
    tl_identity id;
    assert_int_equal(tl_identity_new(&rng, &id), TL_OK);
    return id.id;
}

static void a_hundred_invented_nodes_turn_few_datagrams_on_their_victim(void **state)
{
    (void)state;
    tl_node_id ids[100];
    char addr[64];
    for (size_t i = 0; i < 100; i++)
        ids[i] = invented();
    for (int second = 0; second < 600; second++) { /* and they say it anew each second */
        for (size_t i = 0; i < 100; i++) {
            snprintf(addr, sizeof addr, "203.0.113.200:%zu", 1000 + (i + (size_t)second) % 100);
            list_at(&ids[i], addr, false, 9);
        }
        run_for(1 * TL_SEC);
    }
    assert_in_range(strays, 4 * 8, 4 * (8 + 10)); /* 8 at once, then one a minute, 4 each */
    nodes[0].fellow = true;                       /* one of our networks waits a minute at most */
    list(0, true, 9);
    run_for(61 * TL_SEC);
    assert_true(is_attached(0));
}

static void one_that_names_the_address_of_another_keeps_nobody_away(void **state)
{
    (void)state;
    char addr[TL_ADDR_TEXT_MAX];
    list(0, false, 9);
    run_for(1 * TL_SEC);
    assert_true(is_attached(0));
    tl_addr_write(addr, &nodes[0].addr);
    for (int i = 0; i < 50; i++) {
        tl_node_id id = invented();
        list_at(&id, addr, false, 9);
    }
    list(1, false, 9);
    run_for(1 * TL_SEC);
    assert_true(is_attached(0) && is_attached(1));
}

static void nobody_is_looked_for_at_a_private_address(void **state)
{
    (void)state;
    static const char *const addrs[] = {"192.168.1.1:4433", "10.0.0.1:53", "172.16.0.9:4433",
                                        "100.64.0.1:4433", "127.0.0.1:4433"};
    for (size_t i = 0; i < sizeof addrs / sizeof *addrs; i++) {
        tl_node_id id = invented();
        list_at(&id, addrs[i], false, 9);
        run_for(2 * TL_SEC);
    }
    assert_int_equal(strays, 0);
    tl_node_id id = invented();
    list_at(&id, "203.0.113.200:4433", false, 9); /* the accepted twin */
    run_for(2 * TL_SEC);
    assert_true(strays > 0);
}

/* A peer that is reached through the first two nodes. */
static tl_node_id relayed_peer(void)
{
    tl_node_id id = invented();
    tl_peer *p = tl_peer_table_get(&table, &id);
    for (size_t i = 0; i < 2; i++)
        p->relaying.by[i] = (tl_relayer_name){nodes[i].identity.id, nodes[i].addr};
    p->relaying.n_by = 2;
    return id;
}

/* The node answers the last request; `forged`: somebody else signs. */
static void offer(size_t i, const tl_node_id *peer, bool forged)
{
    static unsigned n_offers;
    tl_control c = {.type = TL_CONTROL_RELAY_OFFER,
                    .addr = nodes[i].addr,
                    .timestamp = (uint64_t)env_wall(NULL)};
    snprintf(c.session, sizeof c.session, "s%u", n_offers++);
    memcpy(c.relay, nodes[i].identity.id.key, sizeof c.relay);
    memcpy(c.to, own.id.key, sizeof c.to);
    memcpy(c.peer, peer->key, sizeof c.peer);
    if (forged)
        tl_rand_bytes(&rng, c.nonce, sizeof c.nonce);
    else
        memcpy(c.nonce, request.nonce, sizeof c.nonce);
    c.token[0] = 0x90;
    assert_int_equal(tl_control_sign(&c, forged ? &own : &nodes[i].identity), TL_OK);
    (void)hand(i, &c);
}

static void a_node_that_offers_and_passes_nothing_on_is_left_for_the_next(void **state)
{
    (void)state;
    tl_node_id peer = relayed_peer();
    assert_int_equal(tl_relayers_open(relayers, &peer, 1, false, 0), TL_OK);
    assert_int_equal(requests[0], 1);
    offer(0, &peer, false);
    assert_int_equal(ready, 1);
    run_for(5 * TL_SEC); /* the peer is told four times */
    assert_int_equal(ended, 1);
    assert_false(tl_relayers_has(relayers, 1));
    assert_int_equal(tl_relayers_open(relayers, &peer, 2, false, 0), TL_OK);
    assert_int_equal(requests[1], 1);
    offer(1, &peer, false);
    tl_relayers_arrived(relayers, 2, 1200); /* this one passes on, */
    run_for(60 * TL_SEC);
    assert_int_equal(ended, 1); /* and its relay session stays */
    tl_relayers_close(relayers, 2);
    unsigned before = requests[1];
    assert_int_equal(tl_relayers_open(relayers, &peer, 3, false, 0), TL_OK);
    assert_int_equal(requests[1], before + 1);
    tl_relayers_close(relayers, 3);
    run_for(120 * TL_SEC); /* it has another chance */
    before = requests[0];
    assert_int_equal(tl_relayers_open(relayers, &peer, 4, false, 0), TL_OK);
    assert_int_equal(requests[0], before + 1);
}

/* Whoever relays can write to us as the peer, in bytes that are nothing. */
static void a_node_over_which_no_connection_came_about_is_left_for_the_next(void **state)
{
    (void)state;
    tl_node_id peer = relayed_peer();
    for (tl_path_id path = 1; path <= 2; path++) {
        assert_int_equal(tl_relayers_open(relayers, &peer, path, false, 0), TL_OK);
        assert_int_equal(requests[0], path);
        offer(0, &peer, false);
        tl_relayers_arrived(relayers, path, 1200);
        run_for(10 * TL_SEC);
        assert_true(tl_relayers_has(relayers, path));
        if (path == 2)
            tl_relayers_blame(relayers, path);
        tl_relayers_close(relayers, path);
    }
    tl_relayers_blame(relayers, 77); /* no session of ours */
    assert_int_equal(tl_relayers_open(relayers, &peer, 3, false, 0), TL_OK);
    assert_int_equal(requests[0], 2);
    assert_int_equal(requests[1], 1);
}

static void forged_offers_do_not_hide_the_answer(void **state)
{
    (void)state;
    tl_node_id peer = relayed_peer();
    assert_int_equal(tl_relayers_open(relayers, &peer, 1, false, 0), TL_OK);
    for (int i = 0; i < 500; i++)
        offer(0, &peer, true);
    assert_int_equal(ready, 0);
    assert_int_equal(tl_relayers_counters_of(relayers)->offers_refused, 500);
    offer(0, &peer, false);
    assert_int_equal(ready, 1);
}

static void an_address_that_does_not_answer_gets_one_long_datagram_for_a_wish(void **state)
{
    (void)state;
    tl_node_id peer = relayed_peer();
    nodes[0].silent = true;
    assert_int_equal(tl_relayers_open(relayers, &peer, 1, false, 0), TL_OK);
    run_for(10 * TL_SEC);
    assert_int_equal(ended, 1);
    assert_int_equal(requests[0], 1);
    assert_int_equal(requests[1], 2); /* the twin, which answers Attaches */
}

static void a_node_that_warns_all_the_time_moves_few_connections(void **state)
{
    (void)state;
    tl_node_id peer = relayed_peer();
    tl_control c = {.type = TL_CONTROL_RELAY_WARNING, .ends_at = UINT64_C(1) << 40};
    memcpy(c.relay, nodes[0].identity.id.key, sizeof c.relay);
    for (tl_path_id path = 1; path <= 100; path++) {
        assert_int_equal(tl_relayers_open(relayers, &peer, path, false, 0), TL_OK);
        offer(0, &peer, false);
        tl_relayers_arrived(relayers, path, 100);
        snprintf(c.session, sizeof c.session, "%.*s", (int)tl_relayers_mark(relayers, path).n,
                 (const char *)tl_relayers_mark(relayers, path).p);
        assert_int_equal(tl_control_sign(&c, &nodes[0].identity), TL_OK);
        for (int again = 0; again < 2; again++) /* replayed, too */
            (void)hand(0, &c);
        if (path == 1)
            assert_int_equal(warned, 1);
        tl_relayers_close(relayers, path);
        run_for(200 * TL_MS);
    }
    assert_in_range(warned, 32, 32 + 40 + 1); /* of 100 in 20 s */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_nearest_two_of_those_that_were_tried_are_kept),
        T(those_of_our_networks_come_first),
        T(one_that_relays_for_networks_of_others_is_not_asked),
        T(one_without_room_is_not_asked),
        T(one_that_falls_silent_is_left_for_another),
        T(an_attach_is_repeated_within_25_seconds),
        T(a_silent_address_gets_few_attaches),
        T(a_node_that_others_reach_attaches_to_nobody),
        T(a_node_that_relays_itself_attaches_to_nobody),
        T(an_answer_to_another_question_attaches_nobody),
        T(a_hundred_invented_nodes_turn_few_datagrams_on_their_victim),
        T(one_that_names_the_address_of_another_keeps_nobody_away),
        T(nobody_is_looked_for_at_a_private_address),
        T(a_node_that_offers_and_passes_nothing_on_is_left_for_the_next),
        T(a_node_over_which_no_connection_came_about_is_left_for_the_next),
        T(forged_offers_do_not_hide_the_answer),
        T(an_address_that_does_not_answer_gets_one_long_datagram_for_a_wish),
        T(a_node_that_warns_all_the_time_moves_few_connections),
    };
    return tl_crypto_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
