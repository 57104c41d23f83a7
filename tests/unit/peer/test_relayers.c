/* To which nodes that relay a node attaches. (What comes of it: tests/sim/test_relaying_nodes.c.) */
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
    (void)user;
    (void)hostport;
    (void)ret_addrs;
    return 0;
}

static tl_err send_datagram(void *user, tl_sock sock, const tl_addr *to, tl_slice prefix,
                            const uint8_t *data, size_t n, size_t segment)
{
    (void)user;
    (void)sock;
    (void)prefix;
    (void)segment;
    for (size_t i = 0; i < NODES; i++)
        if (tl_addr_eq(to, &nodes[i].addr)) {
            assert_int_equal(tl_control_parse(tl_slice_of(data, n), &waits[i]), TL_OK);
            assert_int_equal(waits[i].type, TL_CONTROL_ATTACH);
            assert_int_equal(tl_control_verify(&waits[i], &own.id), TL_OK);
            assert_memory_equal(waits[i].introducer, nodes[i].identity.id.key, 32);
            nodes[i].asked++;
            answer_at[i] = nodes[i].silent ? TL_NEVER : now_at + 2 * nodes[i].away;
        }
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
    (void)user;
    (void)addr;
    return false;
}

static void on_attached(void *user)
{
    (void)user;
    told++;
}

static void on_relayed(void *user, const tl_node_id *node, uint64_t bytes)
{
    (void)user;
    (void)node;
    (void)bytes;
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
    told = 0;
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
    assert_int_equal(tl_relayers_new(&config, &relayers), TL_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_relayers_free(relayers);
    tl_peer_table_clear(&table);
    return 0;
}

/* The relay lists the node; `extra` more of what it says of relaying. */
static void list(size_t i, bool networks, int free)
{
    char addr[TL_ADDR_TEXT_MAX];
    tl_peer *p = tl_peer_table_get(&table, &nodes[i].identity.id);
    tl_addr_write(addr, &nodes[i].addr);
    json_t *c = json_pack("{s:{s:[s], s:s, s:i}}", "relay", "addresses", addr, "for",
                          networks ? "networks" : "any", "free", free);
    assert_non_null(p);
    (void)tl_peer_describe(p, "r", c);
    json_decref(c);
    tl_relayers_look(relayers);
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
            tl_control c = {.type = TL_CONTROL_ATTACHED, .addr = addr_of("203.0.113.9:7000")};
            uint8_t bytes[TL_CONTROL_MAX];
            memcpy(c.nonce, waits[i].nonce, sizeof c.nonce);
            answer_at[i] = TL_NEVER;
            size_t n = tl_control_write(&c, bytes);
            assert_true(tl_relayers_on_control(relayers, &nodes[i].addr, tl_slice_of(bytes, n)));
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
    assert_int_equal(nodes[0].asked, 1);
    tl_control c = {.type = TL_CONTROL_ATTACHED, .addr = addr_of("203.0.113.9:7000")};
    uint8_t bytes[TL_CONTROL_MAX];
    tl_rand_bytes(&rng, c.nonce, sizeof c.nonce);
    size_t n = tl_control_write(&c, bytes);
    (void)tl_relayers_on_control(relayers, &nodes[0].addr, tl_slice_of(bytes, n));
    assert_false(is_attached(0));
    memcpy(c.nonce, waits[0].nonce, sizeof c.nonce);
    n = tl_control_write(&c, bytes);
    (void)tl_relayers_on_control(relayers, &nodes[0].addr, tl_slice_of(bytes, n));
    assert_true(is_attached(0));
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
    };
    return tl_crypto_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
