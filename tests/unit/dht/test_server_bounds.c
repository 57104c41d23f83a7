#include "server_scene.h"

static void a_node_that_only_reads_answers_pings_alone(void **state)
{
    (void)state;
    tl_krpc a, q;
    tl_dht_server_set_serving(server, false);
    for (int m = 0; m < TL_KRPC_OTHER; m++) {
        tl_dht_item item = item_of(1);
        q = query_of((tl_krpc_method)m);
        if (m == TL_KRPC_PUT)
            q = put_of(&item, TL_SLICE_LIT("12345678"));
        assert_int_equal(ask(&q, &a), m == TL_KRPC_PING);
        tl_dht_server_set_serving(server, true);
        assert_true(ask(&q, &a));
        tl_dht_server_set_serving(server, false);
    }
    assert_false(ask_bytes(TL_SLICE_LIT("d1:ad2:id20:" ID "e1:q3:foo1:t2:aa1:y1:qe"), &a));
    assert_int_equal(dropped(TL_DHT_SERVER_DROP_READ_ONLY), TL_KRPC_OTHER);
}

static void port_0_gets_no_answer(void **state)
{
    (void)state;
    tl_krpc a, q = query_of(TL_KRPC_PING);
    asker.port = 0;
    assert_false(ask(&q, &a));
    assert_int_equal(dropped(TL_DHT_SERVER_DROP_ADDRESS), 1);
    asker.port = 1;
    assert_true(ask(&q, &a));
}

static void expect_bounded(bool silent)
{
    tl_krpc a, q;
    size_t headers = asker.family == TL_ADDR_V4 ? 28 : 48;
    for (int m = 0; m < TL_KRPC_OTHER; m++)
        for (unsigned want = 0; want < 4; want++)
            for (int tid = 1; tid <= TL_KRPC_TID_MAX; tid += 5) {
                tl_dht_item item = item_of(1);
                q = query_of((tl_krpc_method)m);
                if (m == TL_KRPC_PUT)
                    q = put_of(&item, TL_SLICE_LIT("1"));
                q.tid = tl_slice_of("0123456789abcdef", (size_t)tid);
                q.want = m == TL_KRPC_PUT || m == TL_KRPC_PING ? 0 : want;
                now += TL_SEC;
                assert_true(ask(&q, &a) || silent);
                assert_true(headers + answer_n <= 3 * (headers + query_n));
            }
    const char *shortest[] = {"d1:q0:1:t1:a1:y1:qe", "d1:q4:ping1:t1:a1:y1:qe",
                              "d1:q3:put1:t1:a1:y1:qe",
                              "d1:ad2:id20:" ID "e1:q4:ping1:t1:a1:y1:qe"};
    for (size_t i = 0; i < sizeof shortest / sizeof *shortest; i++) {
        now += TL_SEC;
        assert_true(ask_bytes(tl_slice_str(shortest[i]), &a) || silent);
        assert_true(headers + answer_n <= 3 * (headers + query_n));
    }
}

static void no_answer_without_an_item_is_longer_than_three_queries(void **state)
{
    (void)state;
    expect_bounded(false);
    asker = addr("[2001:db8::1]:6881");
    expect_bounded(false);
}

static void of_both_families_those_of_ipv6_are_cut_first(void **state)
{
    (void)state;
    tl_krpc q = query_of(TL_KRPC_FIND_NODE);
    q.want = TL_KRPC_WANT4 | TL_KRPC_WANT6;
    tl_krpc a = answered(&q);
    assert_int_equal(a.nodes.n, 8 * TL_KRPC_NODE4);
    assert_true(a.nodes6.n < 8 * TL_KRPC_NODE6);
}

/* Answers with an item of 1000 bytes, asked for a hundred times a second by queries of 92. */
static void a_victim_gets_at_most_what_the_formula_says(void **state)
{
    (void)state;
    static uint8_t value[1000];
    tl_dht_item item;
    tl_krpc a, q = query_of(TL_KRPC_GET);
    memset(value, 'x', sizeof value);
    memcpy(value, "996:", 4);
    assert_int_equal(tl_dht_item_of_value(tl_slice_of(value, sizeof value), &item), TL_OK);
    assert_int_equal(tl_dht_server_keep(server, &item, now), TL_OK);
    tl_dht_id target = tl_dht_item_target(&item);
    memcpy(q.target, target.b, sizeof target.b);
    size_t sent = 0;
    for (int i = 0; i < 1000; i++) {
        now = START + (tl_time)i * 10 * TL_MS;
        asker.port = (uint16_t)(1 + i); /* no port makes a difference */
        if (ask(&q, &a))
            sent += 28 + answer_n;
    }
    assert_true(sent <= TL_DHT_BYTES_BURST + 10 * TL_DHT_BYTES_RATE);
    assert_true(sent >= TL_DHT_BYTES_BURST + 8 * TL_DHT_BYTES_RATE);
    assert_true(dropped(TL_DHT_SERVER_DROP_BYTES) > 0);
    /* its neighbour in the same /24 had its share, too; another network has its own */
    asker = addr("198.18.0.200:6881");
    assert_false(ask(&q, &a));
    asker = addr("198.18.1.1:6881");
    assert_true(ask(&q, &a));
}

static void who_asks_too_often_gets_silence(void **state)
{
    (void)state;
    tl_krpc a, q = query_of(TL_KRPC_PING);
    int answers = 0;
    for (int i = 0; i < 1000; i++)
        answers += ask(&q, &a);
    assert_true(answers <= TL_DHT_QUERIES_BURST);
    assert_int_equal(dropped(TL_DHT_SERVER_DROP_QUERIES), 1000 - TL_DHT_QUERIES_BURST);
    now += 10 * TL_SEC;
    assert_true(ask(&q, &a));
}

static void everybody_together_gets_a_bounded_share_of_our_line(void **state)
{
    (void)state;
    tl_krpc a, q = query_of(TL_KRPC_FIND_NODE);
    size_t sent = 0;
    for (int i = 0; i < 3000; i++) {
        asker = (tl_addr){
            .family = TL_ADDR_V4, .port = 9, .bytes = {198, 18, (uint8_t)i, (uint8_t)(i / 256)}};
        if (ask(&q, &a))
            sent += 28 + answer_n;
    }
    /* The rest is kept for pings and for those who have proven their address. */
    assert_true(sent <= TL_DHT_SUM_BURST / 8 * 3);
    assert_true(sent > TL_DHT_SUM_BURST / 8 * 3 - 1000);
    assert_true(dropped(TL_DHT_SERVER_DROP_SUM) > 0);
    q = query_of(TL_KRPC_PING);
    assert_true(ask(&q, &a));
}

static void every_drop_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < TL_DHT_SERVER_DROPS; i++)
        assert_true(strlen(tl_dht_server_drop_name((tl_dht_server_drop)i)) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_server(a_node_that_only_reads_answers_pings_alone),
        with_server(port_0_gets_no_answer),
        with_server(no_answer_without_an_item_is_longer_than_three_queries),
        with_server(of_both_families_those_of_ipv6_are_cut_first),
        with_server(a_victim_gets_at_most_what_the_formula_says),
        with_server(who_asks_too_often_gets_silence),
        with_server(everybody_together_gets_a_bounded_share_of_our_line),
        with_server(every_drop_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
