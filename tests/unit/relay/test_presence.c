#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_presence(peer *p, tl_signal_type type, const peer *who)
{
    tl_signal_peer shown;
    peer_expect(p, type);
    assert_int_equal(tl_signal_read_presence(&p->signal, &shown), TL_OK);
    assert_string_equal(shown.node_id, who->node);
    assert_non_null(shown.display_name);
}

static void joins_and_leaves_reach_all_others_but_the_quiet(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, NULL), *quiet = peer_join(&w, 2, ",\"features\":[\"quiet\"]");
    world_run(&w, TL_SEC);
    expect_presence(a, TL_SIGNAL_PEER_JOINED, quiet);
    peer *c = peer_join(&w, 3, NULL);
    world_run(&w, TL_SEC);
    expect_presence(a, TL_SIGNAL_PEER_JOINED, c);
    peer_disconnect(c);
    world_run(&w, TL_SEC);
    expect_presence(a, TL_SIGNAL_PEER_LEFT, c);
    peer_expect_nothing(a);
    peer_expect_nothing(quiet);
    peer_expect_nothing(c); /* not of itself, and not of those before it */
    world_clear(&w);
}

static void a_node_learns_only_what_happens_after_it_joined(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *p[10];
    for (int i = 0; i < 10; i++)
        p[i] = peer_join(&w, (uint8_t)(i + 1), NULL); /* all within one tick */
    world_run(&w, TL_SEC);
    for (int i = 0; i < 10; i++) {
        for (int k = i + 1; k < 10; k++)
            expect_presence(p[i], TL_SIGNAL_PEER_JOINED, p[k]);
        peer_expect_nothing(p[i]);
    }
    world_clear(&w);
}

static void one_tick_is_one_output_for_each_node(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, NULL);
    for (int i = 0; i < 50; i++)
        peer_join(&w, 0, ",\"features\":[\"quiet\"]");
    w.now += TL_SEC;
    tl_relay_on_timer(w.relay, w.now);
    tl_relay_output o;
    assert_true(tl_relay_next_output(w.relay, &o));
    assert_ptr_equal(o.user, a);
    assert_non_null(o.shared);
    assert_true(o.bytes.n > 50 * 100);
    tl_relay_on_written(w.relay, o.conn, o.bytes.n, w.now);
    tl_relay_chunk_unref(o.shared);
    assert_false(tl_relay_next_output(w.relay, &o));
    world_clear(&w);
}

static void presence_waits_no_longer_than_a_tick(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, NULL), *b = peer_join(&w, 2, NULL);
    world_run(&w, w.config.presence_tick - 1);
    peer_expect_nothing(a);
    world_run(&w, TL_MS);
    expect_presence(a, TL_SIGNAL_PEER_JOINED, b);
    world_clear(&w);
}

/* --- those who come and go --- */

static size_t count_of(peer *p, tl_signal_type type)
{
    size_t n = 0;
    for (const tl_signal *s; (s = peer_take(p));)
        n += s->type == type;
    return n;
}

/* `together` nodes, of that address and the next ones, join, stay for `stay`, and leave; again and
 * again for `span`. */
static void churn(world *w, uint8_t at, int together, tl_time stay, tl_time span)
{
    size_t n = w->n;
    for (tl_time end = w->now + span; w->now < end;) {
        for (int i = 0; i < together; i++) {
            w->remote.bytes[3] = (uint8_t)(at + i);
            peer_join(w, 0, ",\"features\":[\"quiet\"]");
        }
        world_run(w, stay);
        while (w->n > n) {
            peer_disconnect(w->peers[w->n - 1]);
            world_drop_last(w);
        }
    }
}

static void who_leaves_before_its_join_is_told_is_not_told_of(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, NULL);
    world_run(&w, TL_SEC);
    churn(&w, 9, 1, TL_MS, 100 * TL_MS);
    world_run(&w, TL_SEC);
    size_t told = count_of(a, TL_SIGNAL_PEER_JOINED);
    assert_true(told <= 10); /* one at each tick is there */
    assert_int_equal(tl_relay_counters_of(w.relay)->presence_withdrawn, 100 - told);
    peer *b = peer_join(&w, 2, NULL); /* one that stays is */
    world_run(&w, TL_SEC);
    expect_presence(a, TL_SIGNAL_PEER_JOINED, b);
    peer_disconnect(b);
    world_run(&w, TL_SEC);
    expect_presence(a, TL_SIGNAL_PEER_LEFT, b);
    world_clear(&w);
}

static void joins_of_one_address_have_a_rate_and_others_do_not_wait_for_it(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, NULL);
    churn(&w, 9, 1, 50 * TL_MS, 60 * TL_SEC);
    size_t told = count_of(a, TL_SIGNAL_PEER_JOINED);
    assert_true(told > 200 && told <= 200 + 2 * 60 + 1); /* of 1200 */
    churn(&w, 9, 1, 50 * TL_MS, 10 * TL_SEC);
    assert_true(count_of(a, TL_SIGNAL_PEER_JOINED) <= 21);
    w.remote.bytes[3] = 10;
    world_run(&w, TL_SEC);
    peer_drop_all(a);
    peer *b = peer_join(&w, 2, NULL);
    world_run(&w, 50 * TL_MS);
    expect_presence(a, TL_SIGNAL_PEER_JOINED, b);
    w.remote.bytes[3] = 9; /* at the busy address a node that stays is told of, too */
    peer *c = peer_join(&w, 3, NULL);
    world_run(&w, 2 * TL_SEC);
    expect_presence(a, TL_SIGNAL_PEER_JOINED, c);
    world_clear(&w);
}

static void all_that_come_from_one_address_and_stay_are_told(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, NULL);
    w.remote.bytes[3] = 9;
    for (int i = 0; i < 900; i++)
        peer_join(&w, 0, ",\"features\":[\"quiet\"]");
    world_run(&w, TL_SEC);
    assert_int_equal(count_of(a, TL_SIGNAL_PEER_JOINED), 900);
    world_clear(&w);
}

/* A thousand nodes that want to know, and joins from 200 addresses. */
static void what_all_are_told_has_a_rate_in_bytes(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.conns_per_address_max = 2000;
    world w;
    size_t bytes = 0;
    world_init(&w, &config);
    for (int i = 0; i < 1000; i++) {
        w.remote.bytes[3] = (uint8_t)i;
        peer_join(&w, 0, NULL);
    }
    world_run(&w, 100 * TL_SEC);
    for (size_t i = 0; i < w.n; i++)
        peer_drop_all(w.peers[i]);
    for (int i = 0; i < 400; i++) {
        churn(&w, (uint8_t)i, 4, 50 * TL_MS, 50 * TL_MS);
        for (size_t k = 0; k < w.n; k++) {
            bytes += w.peers[k]->received.len;
            peer_drop_all(w.peers[k]);
        }
    }
    /* 113 bytes for each of 3200 events and 1000 nodes are 361 MB in these 20 s; 128 MiB may come at
     * once, and 8 MiB a second */
    assert_true(bytes > (128u << 20) + 10 * (8u << 20) && bytes < (130u << 20) + 20 * (8u << 20));
    world_clear(&w);
}

static void more_than_a_round_is_told_in_the_next_ones(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.conns_per_address_max = 2000;
    world w;
    world_init(&w, &config);
    peer *a = peer_join(&w, 1, NULL), *p[900];
    for (int i = 0; i < 900; i++) {
        w.remote.bytes[3] = (uint8_t)(1 + i / 150);
        p[i] = peer_join(&w, 0, ",\"features\":[\"quiet\"]");
    }
    world_run(&w, 10 * TL_MS);
    assert_int_equal(count_of(a, TL_SIGNAL_PEER_JOINED), 0);
    world_run(&w, 10 * TL_MS);
    size_t first = count_of(a, TL_SIGNAL_PEER_JOINED);
    assert_true(first > 300 && first < 600);
    world_run(&w, 10 * TL_SEC);
    assert_int_equal(first + count_of(a, TL_SIGNAL_PEER_JOINED), 900);
    for (int i = 0; i < 900; i++)
        peer_disconnect(p[i]);
    world_run(&w, 10 * TL_SEC);
    assert_int_equal(count_of(a, TL_SIGNAL_PEER_LEFT), 900);
    assert_int_equal(tl_relay_counters_of(w.relay)->presence_lost, 0);
    world_clear(&w);
}

/* --- many at once --- */

#define CAN ",\"features\":[\"peers-changed\"]"

static void discover(peer *p, const char *rest)
{
    peer_send(p, "{\"discover\":{\"requestingNodeID\":\"%s\"%s}}", p->node, rest);
    peer_expect(p, TL_SIGNAL_DISCOVER_RESPONSE);
}

static void of_many_a_node_hears_once_that_its_list_is_old(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, CAN), *old = peer_join(&w, 2, NULL);
    world_run(&w, TL_SEC);
    expect_presence(a, TL_SIGNAL_PEER_JOINED, old); /* of few it hears by name */
    size_t n = w.n;
    for (int i = 0; i < 50; i++)
        peer_join(&w, 0, CAN);
    world_run(&w, TL_SEC);
    peer_expect(a, TL_SIGNAL_PEERS_CHANGED);
    peer_expect_nothing(a);
    assert_int_equal(count_of(old, TL_SIGNAL_PEER_JOINED), 50);
    peer *late = peer_join(&w, 3, CAN); /* it knows that its list is old */
    world_run(&w, TL_SEC);
    peer_expect_nothing(a);
    peer_disconnect(late); /* but of who leaves it hears */
    world_run(&w, TL_SEC);
    expect_presence(a, TL_SIGNAL_PEER_LEFT, late);
    discover(a, "");
    for (size_t i = n; i < n + 20; i++)
        peer_disconnect(w.peers[i]);
    world_run(&w, TL_SEC);
    peer_expect(a, TL_SIGNAL_PEERS_CHANGED); /* it has asked, and is told anew */
    peer_expect_nothing(a);
    peer *last = peer_join(&w, 4, CAN);
    discover(a, "");
    world_run(&w, TL_SEC);
    expect_presence(a, TL_SIGNAL_PEER_JOINED, last);
    world_clear(&w);
}

/* A thousand join within a second at a relay where all understand it: each hears one short text. */
static void a_storm_of_joins_costs_each_node_one_text(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.conns_per_address_max = 2000;
    world w;
    size_t bytes = 0, told = 0;
    world_init(&w, &config);
    for (int i = 0; i < 1000; i++) {
        w.remote.bytes[3] = (uint8_t)(i / 250);
        peer_join(&w, 0, CAN);
        world_run(&w, TL_MS);
    }
    world_run(&w, 10 * TL_SEC);
    for (size_t i = 0; i < w.n; i++) {
        bytes += w.peers[i]->received.len;
        told += count_of(w.peers[i], TL_SIGNAL_PEERS_CHANGED);
    }
    assert_true(told >= 990 && told <= 1000);
    assert_true(bytes < 1000 * 4 * 150); /* by name it would be 56 MB */
    world_clear(&w);
}

/* Its join was not told by name, but lists have it. */
static void who_is_in_lists_and_leaves_before_it_is_told_makes_them_old(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, CAN), *b = peer_join(&w, 2, ",\"features\":[\"quiet\"]");
    discover(a, "");
    peer_disconnect(b);
    world_run(&w, TL_SEC);
    peer_expect(a, TL_SIGNAL_PEERS_CHANGED);
    peer_expect_nothing(a);
    world_clear(&w);
}

/* --- discover --- */

#define NODES 1000

static void a_thousand_nodes_are_listed_in_pages_each_once(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.conns_per_address_max = 2000;
    world w;
    world_init(&w, &config);
    static bool seen[PEERS_MAX];
    char rest[100] = ",\"limit\":150";
    size_t found = 0, pages = 0;
    for (int i = 0; i < NODES; i++)
        peer_join(&w, 0, ",\"features\":[\"quiet\"]");
    peer *asker = w.peers[500];
    memset(seen, 0, sizeof seen);
    for (const char *cursor = ""; cursor; pages++) {
        discover(asker, rest);
        size_t n = tl_signal_peer_count(&asker->signal);
        for (size_t i = 0; i < n; i++) {
            tl_signal_peer shown;
            size_t k = 0;
            assert_int_equal(tl_signal_read_peer(&asker->signal, i, &shown), TL_OK);
            while (strcmp(w.peers[k]->node, shown.node_id) != 0)
                k++;
            assert_false(seen[k]);
            assert_ptr_not_equal(w.peers[k], asker);
            seen[k] = true;
            found++;
        }
        cursor = tl_signal_next_cursor(&asker->signal);
        assert_int_equal(n, cursor ? 150 : (NODES - 1) % 150);
        if (cursor)
            snprintf(rest, sizeof rest, ",\"limit\":150,\"cursor\":\"%s\"", cursor);
        if (pages == 2)
            peer_disconnect(w.peers[449]); /* the last of a page goes; the place stays */
    }
    assert_int_equal(found, NODES - 1);
    assert_int_equal(pages, 7);
    discover(asker, "");
    assert_int_equal(tl_signal_peer_count(&asker->signal), 100);
    world_clear(&w);
}

static void pages_end_early_where_capabilities_are_large(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    char *capabilities = malloc(40000);
    assert_non_null(capabilities);
    int n = snprintf(capabilities, 40000, "{\"x\":\"%030000d\"}", 0);
    assert_true(n > 30000);
    for (int i = 0; i < 40; i++) {
        peer *p = peer_connect(&w, 0);
        peer_register_as(p, NULL, NULL, capabilities, ",\"features\":[\"quiet\"]");
        peer_expect(p, TL_SIGNAL_REGISTER_ACK);
    }
    free(capabilities);
    discover(w.peers[0], "");
    size_t first = tl_signal_peer_count(&w.peers[0]->signal);
    assert_true(first >= 30 && first < 36);
    char rest[100];
    snprintf(rest, sizeof rest, ",\"cursor\":\"%s\"", tl_signal_next_cursor(&w.peers[0]->signal));
    discover(w.peers[0], rest);
    assert_int_equal(tl_signal_peer_count(&w.peers[0]->signal), 39 - first);
    world_clear(&w);
}

static void filters_choose_by_model_memory_tier_and_network(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    static const char *const capabilities[] = {
        "{\"hardware\":{\"totalRAMGB\":64.5,\"tier\":1},\"loadedModels\":[\"a\",\"\",\"b\"],"
        "\"ptnIDs\":[\"p\"]}",
        "{\"hardware\":{\"totalRAMGB\":32,\"tier\":2},\"loadedModels\":[\"b\"],\"swappableModels\":"
        "[\"c\"],\"ptnIDs\":[\"p\",\"q\"]}",
        "{\"hardware\":{\"totalRAMGB\":8,\"tier\":4},\"loadedModels\":[]}",
        "{}",
    };
    peer *asker = peer_join(&w, 9, ",\"features\":[\"quiet\"]");
    for (int i = 0; i < 4; i++) {
        peer *p = peer_connect(&w, (uint8_t)(i + 1));
        peer_register_as(p, NULL, NULL, capabilities[i], NULL);
    }
    static const struct {
        const char *filter, *wanted; /* digits: which of the four */
    } cases[] = {
        {"{}", "0123"},
        {"{\"modelID\":\"a\"}", "0"},
        {"{\"modelID\":\"b\"}", "01"},
        {"{\"modelID\":\"c\"}", "1"}, /* can be swapped in */
        {"{\"modelID\":\"p\"}", ""},  /* a network is no model */
        {"{\"modelID\":\"\"}", ""},
        {"{\"minRAMGB\":32}", "01"},
        {"{\"minRAMGB\":64.5}", "0"},
        {"{\"minTier\":1}", "0"}, /* 1 is the most capable */
        {"{\"minTier\":2}", "01"},
        {"{\"minTier\":4}", "012"},
        {"{\"ptnID\":\"p\"}", "01"},
        {"{\"ptnID\":\"q\"}", "1"},
        {"{\"ptnID\":\"a\"}", ""},
        {"{\"modelID\":\"b\",\"minTier\":1,\"ptnID\":\"p\",\"minRAMGB\":1}", "0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char rest[200], got[8] = "";
        snprintf(rest, sizeof rest, ",\"filter\":%s", cases[i].filter);
        discover(asker, rest);
        for (size_t k = 0; k < tl_signal_peer_count(&asker->signal); k++) {
            tl_signal_peer shown;
            assert_int_equal(tl_signal_read_peer(&asker->signal, k, &shown), TL_OK);
            for (int which = 0; which < 4; which++)
                if (strcmp(w.peers[which + 1]->node, shown.node_id) == 0)
                    got[strlen(got)] = (char)('0' + which);
        }
        assert_string_equal(got, cases[i].wanted);
    }
    world_clear(&w);
}

static void a_listed_peer_is_as_it_registered_last(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, ",\"features\":[\"quiet\"]"), *b = peer_join(&w, 2, NULL);
    char wg[100];
    snprintf(wg, sizeof wg, ",\"wgPublicKey\":\"%s\"", a->node);
    peer_register_as(b, NULL, NULL, "{\"a\" : [1.0, \"\\u00e9\"]}", wg);
    world_run(&w, 10 * TL_SEC);
    discover(a, "");
    tl_signal_peer shown;
    assert_int_equal(tl_signal_read_peer(&a->signal, 0, &shown), TL_OK);
    assert_string_equal(shown.node_id, b->node);
    assert_string_equal(shown.public_key, b->node);
    assert_string_equal(shown.wg_public, a->node);
    assert_string_equal(shown.nat_type, "unknown");
    assert_true(shown.last_seen == 1700000000.0 - 978307200.0);
    assert_non_null(strstr((char *)a->frame, "\"capabilities\":{\"a\" : [1.0, \"\\u00e9\"]}"));
    world_clear(&w);
}

static void discover_is_for_oneself_within_limits(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.discover_burst = 2;
    config.discover_per_sec = 1;
    world w;
    world_init(&w, &config);
    peer *a = peer_join(&w, 1, ",\"features\":[\"quiet\"]"), *b = peer_join(&w, 2, NULL);
    peer_send(a, "{\"discover\":{\"requestingNodeID\":\"%s\"}}", b->node);
    peer_expect_error(a, TL_SIGNAL_FORBIDDEN);
    peer_send(a, "{\"discover\":{\"requestingNodeID\":\"%s\",\"limit\":501}}", a->node);
    peer_expect_error(a, TL_SIGNAL_INVALID_MESSAGE);
    discover(a, ",\"limit\":500");
    peer_send(a, "{\"discover\":{\"requestingNodeID\":\"%s\",\"cursor\":\"nonsense\"}}", a->node);
    peer_expect_error(a, TL_SIGNAL_INVALID_MESSAGE);
    peer_send(a, "{\"discover\":{\"requestingNodeID\":\"%s\"}}", a->node);
    peer_expect_error(a, TL_SIGNAL_RATE_LIMITED);
    world_run(&w, TL_SEC);
    discover(a, "");
    world_clear(&w);
}

static void operators_see_counters_and_each_node_once(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    tl_relay_node_report shown;
    assert_null(tl_relay_node_after(w.relay, NULL, w.now, &shown));
    peer *a = peer_join(&w, 1, NULL), *b = peer_join(&w, 2, NULL);
    peers_open(a, b, "s");
    assert_int_equal(tl_relay_counters_of(w.relay)->nodes_registered, 2);
    assert_int_equal(tl_relay_counters_of(w.relay)->sessions_active, 1);
    const tl_relay_node *at = tl_relay_node_after(w.relay, NULL, w.now + TL_SEC, &shown);
    assert_string_equal(shown.node_id, a->node);
    assert_int_equal(shown.idle, TL_SEC);
    assert_true(tl_addr_eq(&shown.observed, &w.remote));
    at = tl_relay_node_after(w.relay, at, w.now, &shown);
    assert_string_equal(shown.node_id, b->node);
    assert_null(tl_relay_node_after(w.relay, at, w.now, &shown));
    assert_false(tl_relay_is_closing(w.relay));
    tl_relay_shutdown(w.relay, w.now);
    assert_true(tl_relay_is_closing(w.relay));
    world_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_and_leaves_reach_all_others_but_the_quiet),
        cmocka_unit_test(a_node_learns_only_what_happens_after_it_joined),
        cmocka_unit_test(one_tick_is_one_output_for_each_node),
        cmocka_unit_test(presence_waits_no_longer_than_a_tick),
        cmocka_unit_test(who_leaves_before_its_join_is_told_is_not_told_of),
        cmocka_unit_test(joins_of_one_address_have_a_rate_and_others_do_not_wait_for_it),
        cmocka_unit_test(all_that_come_from_one_address_and_stay_are_told),
        cmocka_unit_test(what_all_are_told_has_a_rate_in_bytes),
        cmocka_unit_test(more_than_a_round_is_told_in_the_next_ones),
        cmocka_unit_test(of_many_a_node_hears_once_that_its_list_is_old),
        cmocka_unit_test(a_storm_of_joins_costs_each_node_one_text),
        cmocka_unit_test(who_is_in_lists_and_leaves_before_it_is_told_makes_them_old),
        cmocka_unit_test(a_thousand_nodes_are_listed_in_pages_each_once),
        cmocka_unit_test(pages_end_early_where_capabilities_are_large),
        cmocka_unit_test(filters_choose_by_model_memory_tier_and_network),
        cmocka_unit_test(a_listed_peer_is_as_it_registered_last),
        cmocka_unit_test(discover_is_for_oneself_within_limits),
        cmocka_unit_test(operators_see_counters_and_each_node_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
