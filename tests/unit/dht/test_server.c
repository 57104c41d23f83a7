#include "server_scene.h"

static void a_ping_is_answered_with_our_id_and_nat(void **state)
{
    (void)state;
    tl_krpc q = query_of(TL_KRPC_PING), a = answered(&q);
    assert_int_equal(a.kind, TL_KRPC_RESPONSE);
    assert_true(a.has_nat && a.nat == TL_CONTROL_NAT_UNKNOWN && a.id[0] == 4);
    tl_dht_server_set_nat(server, TL_CONTROL_NAT_CONE);
    a = answered(&q);
    assert_int_equal(a.nat, TL_CONTROL_NAT_CONE);
    asker = addr("[2001:db8::1]:6881");
    a = answered(&q);
    assert_int_equal(a.id[0], 6);
}

static void
only_a_node_that_introduces_tells_its_node_id_and_in_answers_to_pings_alone(void **state)
{
    (void)state;
    tl_krpc ping = query_of(TL_KRPC_PING), find = query_of(TL_KRPC_FIND_NODE);
    assert_null(answered(&ping).key);
    tl_dht_server_set_key(server, identity.id.key);
    tl_krpc a = answered(&ping);
    assert_non_null(a.key);
    assert_memory_equal(a.key, identity.id.key, TL_KRPC_KEY_SIZE);
    assert_true(answer_n + 28 <= TL_DHT_SERVER_FACTOR * (query_n + 28));
    assert_null(answered(&find).key);
    tl_dht_server_set_key(server, NULL);
    assert_null(answered(&ping).key);
}

static void nodes_are_of_the_family_of_the_asker_unless_he_wants_others(void **state)
{
    (void)state;
    tl_krpc q = query_of(TL_KRPC_FIND_NODE), a = answered(&q);
    assert_int_equal(a.nodes.n, 8 * TL_KRPC_NODE4);
    assert_null(a.nodes6.p);
    q.want = TL_KRPC_WANT6;
    a = answered(&q);
    assert_null(a.nodes.p);
    assert_true(a.nodes6.n > 0);
    asker = addr("[2001:db8::1]:6881");
    q.want = 0;
    a = answered(&q);
    assert_null(a.nodes.p);
    assert_true(a.nodes6.n > 0);
}

static void an_answer_without_any_node_says_so(void **state)
{
    (void)state;
    known = 0;
    tl_krpc q = query_of(TL_KRPC_FIND_NODE), a = answered(&q);
    assert_non_null(a.nodes.p);
    assert_int_equal(a.nodes.n, 0);
}

static void get_peers_gives_nodes_and_no_token(void **state)
{
    (void)state;
    tl_krpc q = query_of(TL_KRPC_GET_PEERS), a = answered(&q);
    assert_int_equal(a.nodes.n, 8 * TL_KRPC_NODE4);
    assert_int_equal(a.token.n, 0);
    q = query_of(TL_KRPC_ANNOUNCE_PEER);
    expect_error(&q, TL_KRPC_E_METHOD);
}

static void unknown_methods_and_malformed_arguments_are_told_apart(void **state)
{
    (void)state;
    tl_krpc a;
    assert_true(ask_bytes(TL_SLICE_LIT("d1:ad2:id20:" ID "6:target20:" TARGET
                                       "e1:q17:sample_infohashes1:t2:aa1:y1:qe"),
                          &a));
    assert_int_equal(a.code, TL_KRPC_E_METHOD);
    assert_true(ask_bytes(TL_SLICE_LIT("d1:ad2:id20:" ID "e1:q9:find_node1:t2:aa1:y1:qe"), &a));
    assert_int_equal(a.code, TL_KRPC_E_PROTOCOL);
}

/* --- items --- */

static void an_item_is_put_with_a_token_and_got(void **state)
{
    (void)state;
    tl_dht_item item = item_of(7), back;
    tl_dht_id target = tl_dht_item_target(&item);
    tl_krpc a = got(&item), put;
    assert_int_equal(a.value.n, 0);
    put = put_of(&item, token());
    expect_taken(&put);
    a = got(&item);
    assert_int_equal(tl_dht_item_from_answer(&a, &target, SALT, &back), TL_OK);
    assert_int_equal(back.seq, 7);
    assert_true(a.nodes.n > 0 && a.token.n > 0);
    assert_int_equal(tl_dht_server_stored(server), 1);
    assert_true(tl_dht_server_find(server, &target, now, &back));
}

static void an_immutable_item_is_put_and_got(void **state)
{
    (void)state;
    tl_dht_item item, back;
    assert_int_equal(tl_dht_item_of_value(VALUE, &item), TL_OK);
    tl_dht_id target = tl_dht_item_target(&item);
    tl_krpc put = put_of(&item, token());
    expect_taken(&put);
    tl_krpc a = got(&item);
    assert_false(a.seq.given || a.key || a.sig);
    assert_int_equal(tl_dht_item_from_answer(&a, &target, (tl_slice){0}, &back), TL_OK);
}

static void who_has_that_sequence_is_told_it_alone(void **state)
{
    (void)state;
    tl_dht_item item = item_of(7);
    tl_krpc put = put_of(&item, token()), q = query_of(TL_KRPC_GET);
    tl_dht_id target = tl_dht_item_target(&item);
    memcpy(q.target, target.b, sizeof target.b);
    expect_taken(&put);
    q.seq = tl_maybe_of(6);
    assert_true(answered(&q).value.n > 0);
    q.seq = tl_maybe_of(7);
    tl_krpc a = answered(&q);
    assert_true(a.value.n == 0 && !a.key && !a.sig && a.seq.given && a.seq.value == 7);
}

static void a_wrong_token_puts_nothing(void **state)
{
    (void)state;
    tl_dht_item item = item_of(7);
    tl_slice right = token();
    tl_krpc put = put_of(&item, TL_SLICE_LIT("12345678"));
    expect_error(&put, TL_KRPC_E_PROTOCOL);
    put.token = tl_slice_of(right.p, right.n - 1);
    expect_error(&put, TL_KRPC_E_PROTOCOL);
    /* the token of another address */
    put.token = right;
    asker = addr("198.18.0.2:6881");
    expect_error(&put, TL_KRPC_E_PROTOCOL);
    assert_int_equal(tl_dht_server_stored(server), 0);
    /* another port of the same address is right */
    asker = addr("198.18.0.1:6882");
    expect_taken(&put);
}

static void a_token_is_good_for_5_to_10_minutes(void **state)
{
    (void)state;
    tl_dht_item item = item_of(7);
    tl_krpc put = put_of(&item, token());
    now += 5 * TL_MIN;
    expect_taken(&put);
    now += 5 * TL_MIN - 1;
    expect_taken(&put);
    now += 1;
    expect_error(&put, TL_KRPC_E_PROTOCOL);
    put.token = token();
    expect_taken(&put);
    now += 24 * 60 * TL_MIN; /* nothing came for a day */
    expect_error(&put, TL_KRPC_E_PROTOCOL);
    put.token = token();
    now += 5 * TL_MIN - 1;
    expect_taken(&put);
}

static void a_wrong_signature_puts_nothing(void **state)
{
    (void)state;
    tl_dht_item item = item_of(7);
    tl_slice with = token();
    tl_krpc put = put_of(&item, with);
    put.seq = tl_maybe_of(8);
    expect_error(&put, TL_KRPC_E_SIG);
    put = put_of(&item, with);
    put.salt = TL_SLICE_LIT("teal");
    expect_error(&put, TL_KRPC_E_SIG);
    put = put_of(&item, with);
    put.value = TL_SLICE_LIT("12:Hello world!");
    expect_error(&put, TL_KRPC_E_SIG);
    assert_int_equal(tl_dht_server_stored(server), 0);
    put = put_of(&item, with);
    expect_taken(&put);
    assert_int_equal(tl_dht_server_counters_of(server)->refused, 3);
}

static void what_is_too_long_is_refused_with_its_own_code(void **state)
{
    (void)state;
    static uint8_t value[1001], salt[65];
    tl_dht_item item = item_of(7), whole;
    memset(value, 'x', sizeof value);
    memcpy(value, "997:", 4);
    tl_krpc put = put_of(&item, token());
    put.value = tl_slice_of(value, sizeof value);
    expect_error(&put, TL_KRPC_E_VALUE);
    put = put_of(&item, token());
    put.salt = tl_slice_of(salt, sizeof salt);
    expect_error(&put, TL_KRPC_E_SALT);
    put = put_of(&item, token());
    put.value = TL_SLICE_LIT("d1:bi1e1:ai1ee");
    expect_error(&put, TL_KRPC_E_PROTOCOL);
    put = put_of(&item, token());
    put.seq = tl_maybe_of(-1);
    expect_error(&put, TL_KRPC_E_PROTOCOL);

    memcpy(value, "996:", 4);
    assert_int_equal(tl_dht_item_sign(&identity, tl_slice_of(salt, 64), INT64_MAX,
                                      tl_slice_of(value, 1000), &whole),
                     TL_OK);
    put = put_of(&whole, token());
    expect_taken(&put);
}

static void the_largest_item_is_given_in_full(void **state)
{
    (void)state;
    static uint8_t value[1000];
    tl_dht_item item, back;
    memset(value, 'x', sizeof value);
    memcpy(value, "996:", 4);
    assert_int_equal(
        tl_dht_item_sign(&identity, (tl_slice){0}, INT64_MAX, tl_slice_of(value, 1000), &item),
        TL_OK);
    asker = addr("[2001:db8::1]:6881");
    tl_krpc put = put_of(&item, token());
    expect_taken(&put);
    tl_krpc q = query_of(TL_KRPC_GET);
    tl_dht_id target = tl_dht_item_target(&item);
    memcpy(q.target, target.b, sizeof target.b);
    q.tid = TL_SLICE_LIT("0123456789abcdef");
    q.want = TL_KRPC_WANT4 | TL_KRPC_WANT6;
    tl_krpc a = answered(&q);
    assert_int_equal(tl_dht_item_from_answer(&a, &target, (tl_slice){0}, &back), TL_OK);
}

static void old_sequences_and_conflicts_are_refused(void **state)
{
    (void)state;
    tl_dht_item old = item_of(6), item = item_of(7), next = item_of(8);
    tl_slice with = token();
    tl_krpc put = put_of(&item, with);
    expect_taken(&put);
    put = put_of(&old, with);
    expect_error(&put, TL_KRPC_E_SEQ);
    put = put_of(&next, with);
    put.cas = tl_maybe_of(6);
    expect_error(&put, TL_KRPC_E_CAS);
    put.cas = tl_maybe_of(7);
    expect_taken(&put);
    put.cas = (tl_maybe){0};
    expect_taken(&put);
    const tl_dht_server_counters *c = tl_dht_server_counters_of(server);
    assert_true(c->stored == 1 && c->replaced == 1 && c->refreshed == 1 && c->refused == 2);
}

static void an_address_that_put_enough_is_told_so(void **state)
{
    (void)state;
    tl_slice with = token();
    for (int i = 0; i <= TL_DHT_ITEMS_PER_ADDRESS; i++) {
        tl_dht_item item;
        char text[16];
        int n = sprintf(text, "i%de", i);
        assert_int_equal(tl_dht_item_of_value(tl_slice_of(text, (size_t)n), &item), TL_OK);
        tl_krpc put = put_of(&item, with);
        now += TL_SEC;
        if (i < TL_DHT_ITEMS_PER_ADDRESS)
            expect_taken(&put);
        else
            expect_error(&put, TL_KRPC_E_SERVER);
    }
}

static void items_are_forgotten_by_the_timer(void **state)
{
    (void)state;
    assert_int_equal(tl_dht_server_expiry(server), TL_NEVER);
    tl_dht_item item = item_of(7);
    tl_krpc put = put_of(&item, token());
    expect_taken(&put);
    while (tl_dht_server_expiry(server) != TL_NEVER) {
        now = tl_dht_server_expiry(server);
        assert_true(now <= START + TL_DHT_ITEM_KEPT + 2 * TL_MIN);
        assert_int_equal(tl_dht_server_stored(server), 1);
        tl_dht_server_on_timer(server, now);
    }
    assert_int_equal(tl_dht_server_stored(server), 0);
    assert_int_equal(tl_dht_server_counters_of(server)->expired, 1);
}

static void an_item_of_ours_is_kept_unless_a_newer_one_is(void **state)
{
    (void)state;
    tl_dht_item item = item_of(7), old = item_of(6), back;
    assert_int_equal(tl_dht_server_keep(server, &item, now), TL_OK);
    assert_int_equal(tl_dht_server_keep(server, &item, now), TL_OK);
    assert_int_equal(tl_dht_server_keep(server, &old, now), TL_ERR_REPLAY);
    tl_krpc a = got(&item);
    tl_dht_id target = tl_dht_item_target(&item);
    assert_int_equal(tl_dht_item_from_answer(&a, &target, SALT, &back), TL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_server(a_ping_is_answered_with_our_id_and_nat),
        with_server(only_a_node_that_introduces_tells_its_node_id_and_in_answers_to_pings_alone),
        with_server(nodes_are_of_the_family_of_the_asker_unless_he_wants_others),
        with_server(an_answer_without_any_node_says_so),
        with_server(get_peers_gives_nodes_and_no_token),
        with_server(unknown_methods_and_malformed_arguments_are_told_apart),
        with_server(an_item_is_put_with_a_token_and_got),
        with_server(an_immutable_item_is_put_and_got),
        with_server(who_has_that_sequence_is_told_it_alone),
        with_server(a_wrong_token_puts_nothing),
        with_server(a_token_is_good_for_5_to_10_minutes),
        with_server(a_wrong_signature_puts_nothing),
        with_server(what_is_too_long_is_refused_with_its_own_code),
        with_server(the_largest_item_is_given_in_full),
        with_server(old_sequences_and_conflicts_are_refused),
        with_server(an_address_that_put_enough_is_told_so),
        with_server(items_are_forgotten_by_the_timer),
        with_server(an_item_of_ours_is_kept_unless_a_newer_one_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
