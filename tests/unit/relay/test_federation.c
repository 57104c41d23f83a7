/* Relays that act as one: what nodes of different relays see, and who answers for a node. */
#include "../../sim/cluster.h"

#include "relay/fed_state.h"

#include <stdio.h>
#include <stdlib.h>

static cluster *begin(size_t n, bool near)
{
    cluster *c = cluster_new(n, near, 7);
    cluster_run(c, TL_SEC);
    return c;
}

/* Ends the test: nothing may be left. */
static void end(cluster *c)
{
    cluster_free(c);
}

static void send_session(cluster *c, peer *from, const char *type, const peer *to, const char *data)
{
    peer_send_session(from, type, to, "s1", data);
    cluster_run(c, 20 * TL_MS);
}

static void open_session(cluster *c, peer *a, peer *b)
{
    peer_drop_all(a);
    peer_drop_all(b);
    send_session(c, a, "relayOpen", b, NULL);
    peer_expect(b, TL_SIGNAL_RELAY_OPEN);
    send_session(c, b, "relayReady", a, NULL);
    peer_expect(a, TL_SIGNAL_RELAY_READY);
}

static void expect_data(peer *p, const char *data)
{
    peer_expect(p, TL_SIGNAL_RELAY_DATA);
    assert_memory_equal(p->signal.data.p, data, strlen(data));
}

static size_t listed(peer *p)
{
    peer_drop_all(p);
    peer_send(p, "{\"discover\":{\"requestingNodeID\":\"%s\",\"filter\":{}}}", p->node);
    peer_expect(p, TL_SIGNAL_DISCOVER_RESPONSE);
    return tl_signal_peer_count(&p->signal);
}

static const tl_fed_counters *counters(cluster *c, size_t i)
{
    return tl_fed_counters_of(cluster_relay(c, i)->relay);
}

static void nodes_of_two_relays_see_each_other(void **state)
{
    for (int near = 0; near < 2; near++) {
        cluster *c = begin(2, near);
        peer *a = cluster_node(c, 0, 1), *b = cluster_node(c, 1, 2);
        cluster_run(c, TL_SEC);
        peer_expect(a, TL_SIGNAL_PEER_JOINED);
        assert_int_equal(listed(a), 1);
        assert_int_equal(listed(b), 1);
        peer_disconnect(b);
        cluster_run(c, TL_SEC);
        peer_expect(a, TL_SIGNAL_PEER_LEFT);
        assert_int_equal(listed(a), 0);
        end(c);
    }
    (void)state;
}

static void a_session_across_relays_is_as_a_local_one(void **state)
{
    for (int near = 0; near < 2; near++) {
        cluster *c = begin(3, near);
        peer *a = cluster_node(c, 0, 1), *b = cluster_node(c, 2, 2);
        open_session(c, a, b);
        send_session(c, a, "relayData", b, "aGVsbG8=");
        expect_data(b, "aGVsbG8=");
        send_session(c, b, "relayData", a, "d29ybGQ=");
        expect_data(a, "d29ybGQ=");
        send_session(c, b, "relayClose", a, NULL);
        peer_expect(a, TL_SIGNAL_RELAY_CLOSE);
        send_session(c, a, "relayData", b, "aGVsbG8=");
        peer_expect_error(a, TL_SIGNAL_SESSION_NOT_FOUND);
        end(c);
    }
    (void)state;
}

static void an_offer_reaches_a_node_of_another_relay(void **state)
{
    cluster *c = begin(2, false);
    peer *a = cluster_node(c, 0, 1), *b = cluster_node(c, 1, 2);
    cluster_run(c, TL_SEC);
    peer_drop_all(b);
    peer_send(a,
              "{\"offer\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"x\","
              "\"connectionInfo\":{},\"signature\":\"00\"}}",
              a->node, b->node);
    cluster_run(c, 20 * TL_MS);
    peer_expect(b, TL_SIGNAL_OFFER);
    end(c);
    (void)state;
}

static void a_node_that_registers_elsewhere_is_replaced_where_it_was(void **state)
{
    for (int near = 0; near < 2; near++) {
        cluster *c = begin(2, near);
        peer *other = cluster_node(c, 0, 1), *old = cluster_node(c, 0, 2);
        open_session(c, other, old);
        peer_drop_all(old);
        cluster_run(c, TL_SEC);
        peer *new = cluster_node(c, 1, 2);
        peer_expect(other, TL_SIGNAL_RELAY_CLOSE);
        peer_expect_nothing(other); /* for the others the node has been there all the time */
        peer_drop_all(old);
        assert_int_equal(old->closed, 1012);
        assert_int_equal(listed(other), 1);
        open_session(c, other, new);
        assert_int_equal(counters(c, 0)->moved, 1);
        end(c);
    }
    (void)state;
}

static void a_node_comes_back_to_the_relay_where_it_was_first(void **state)
{
    cluster *c = begin(2, false);
    peer *other = cluster_node(c, 0, 1);
    (void)cluster_node(c, 0, 2);
    (void)cluster_node(c, 1, 2);
    peer *back = cluster_node(c, 0, 2);
    open_session(c, other, back);
    assert_int_equal(counters(c, 0)->away, 0);
    assert_int_equal(counters(c, 1)->away, 2);
    end(c);
    (void)state;
}

static void a_relay_that_is_killed_is_forgotten_and_its_sessions_end(void **state)
{
    cluster *c = begin(2, false);
    peer *a = cluster_node(c, 0, 1), *b = cluster_node(c, 1, 2);
    open_session(c, a, b);
    cluster_kill(c, 1);
    cluster_run(c, 2 * CLUSTER_TTL);
    peer_expect(a, TL_SIGNAL_RELAY_CLOSE);
    assert_int_equal(counters(c, 0)->away, 0);
    assert_int_equal(listed(a), 0);
    end(c);
    (void)state;
}

static void what_is_sent_to_a_killed_relay_is_peer_not_found_at_once(void **state)
{
    cluster *c = begin(2, false);
    char hex[65];
    peer *a = cluster_node(c, 0, 1), *b = cluster_node(c, 1, 2);
    snprintf(hex, sizeof hex, "%s", b->node);
    cluster_run(c, TL_SEC);
    peer_drop_all(a);
    cluster_kill(c, 1);
    peer_send(a, "{\"relayOpen\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"s\"}}",
              a->node, hex);
    cluster_run(c, 20 * TL_MS);
    peer_expect_error(a, TL_SIGNAL_PEER_NOT_FOUND);
    assert_int_equal(tl_relay_counters_of(cluster_relay(c, 0)->relay)->sessions_opening, 0);
    end(c);
    (void)state;
}

static void without_redis_local_nodes_go_on_and_others_are_busy(void **state)
{
    cluster *c = begin(2, false);
    peer *a = cluster_node(c, 0, 1), *b = cluster_node(c, 0, 2), *far = cluster_node(c, 1, 3);
    cluster_part(c, 0, 0);
    cluster_part(c, 1, 0);
    cluster_run(c, 20 * CLUSTER_TTL);
    peer_drop_all(a);
    send_session(c, a, "relayOpen", far, NULL);
    peer_expect_error(a, TL_SIGNAL_BUSY);
    open_session(c, a, b);
    peer *late = cluster_node(c, 0, 4); /* is told that it is registered, at once */
    cluster_join(c, 0);
    cluster_join(c, 1);
    peer_disconnect(a); /* the session of that name ends */
    cluster_run(c, 2 * TL_SEC);
    peer_drop_all(far);
    send_session(c, far, "relayOpen", late, NULL);
    peer_drop_all(far);
    send_session(c, late, "relayReady", far, NULL);
    peer_expect(far, TL_SIGNAL_RELAY_READY);
    end(c);
    (void)state;
}

static void a_relay_that_was_stopped_cannot_answer_for_a_node_that_moved(void **state)
{
    cluster *c = begin(3, false);
    peer *other = cluster_node(c, 0, 1), *old = cluster_node(c, 1, 2);
    peer *staying = cluster_node(c, 1, 3);
    cluster_run(c, TL_SEC);
    cluster_stop(c, 1);
    cluster_run(c, TL_SEC);
    peer *new = cluster_node(c, 2, 2);
    cluster_run(c, 3 * CLUSTER_TTL);
    peer_drop_all(other);
    cluster_go_on(c, 1);
    cluster_relay(c, 1)->now = cluster_now(c);
    /* the first that the stopped relay hears is its node */
    send_session(c, old, "relayOpen", other, NULL);
    peer_expect_nothing(other);
    cluster_run(c, 2 * TL_SEC);
    peer_drop_all(old);
    assert_int_equal(old->closed, 1012);
    open_session(c, other, new);
    peer_send_session(other, "relayClose", new, "s1", NULL);
    cluster_run(c, TL_SEC);
    open_session(c, other, staying); /* the accepted twin: what did not move is there again */
    end(c);
    (void)state;
}

/* Its own silence is not that of others: what they said meanwhile waits for it. */
static void a_relay_that_stood_still_still_knows_the_nodes_of_others(void **state)
{
    cluster *c = begin(2, false);
    peer *there = cluster_node(c, 0, 1), *here = cluster_node(c, 1, 2);
    cluster_run(c, TL_SEC);
    cluster_stop(c, 1);
    cluster_run(c, 3 * CLUSTER_TTL);
    cluster_go_on(c, 1);
    cluster_relay(c, 1)->now = cluster_now(c);
    tl_relay_on_timer(cluster_relay(c, 1)->relay,
                      cluster_now(c)); /* time comes before any message */
    assert_int_equal(counters(c, 1)->lost, 0);
    assert_int_equal(listed(here), 1);
    cluster_run(c, TL_SEC);
    open_session(c, there, here);
    cluster_kill(c, 0); /* who is silent while we hear is forgotten all the same */
    cluster_run(c, 3 * CLUSTER_TTL);
    assert_int_equal(counters(c, 1)->lost, 1);
    end(c);
    (void)state;
}

static void a_message_with_an_older_epoch_is_dropped(void **state)
{
    cluster *c = begin(2, false);
    peer *a = cluster_node(c, 0, 1), *b = cluster_node(c, 1, 2);
    tl_relay *r = cluster_relay(c, 1)->relay;
    const tl_relay_node *from = tl_relay_registry_find(&r->registry, &a->identity.id);
    const tl_relay_node *to = tl_relay_registry_find(&r->registry, &b->identity.id);
    char text[400];
    int n = snprintf(text, sizeof text,
                     "{\"relayOpen\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":"
                     "\"s\"}}",
                     a->node, b->node);
    cluster_run(c, TL_SEC);
    for (int i = 0; i < 3; i++) {
        tl_buf bytes = {0};
        tl_fed_message m = {.kind = TL_FED_FORWARD,
                            .relay = tl_slice_str("relay0"),
                            .incarnation = from->away->peer->incarnation,
                            .type = TL_SIGNAL_RELAY_OPEN,
                            .from = from->id,
                            .to = to->id,
                            .from_epoch = from->epoch - (i == 0),
                            .to_epoch = to->epoch - (i == 1),
                            .session = tl_slice_str("s"),
                            .bytes = tl_slice_of(text, (size_t)n)};
        peer_drop_all(b);
        assert_int_equal(tl_fed_write(&bytes, &m), TL_OK);
        tl_fed_on_message(r, tl_buf_slice(&bytes), false, cluster_now(c));
        cluster_run(c, TL_MS);
        tl_buf_clear(&bytes);
        if (i < 2)
            peer_expect_nothing(b);
        else
            peer_expect(b, TL_SIGNAL_RELAY_OPEN); /* the accepted twin */
    }
    assert_int_equal(counters(c, 1)->stale, 2);
    end(c);
    (void)state;
}

static void a_slow_reader_at_another_relay_stops_its_sender(void **state)
{
    enum { SIZE = 256 << 10 };
    cluster *c = begin(2, false);
    peer *a = cluster_node(c, 0, 1), *b = cluster_node(c, 1, 2);
    char *data = malloc(SIZE + 1);
    memset(data, 'A', SIZE);
    data[SIZE] = 0;
    open_session(c, a, b);
    b->reads = false;
    int sent = 0;
    for (; !a->paused && sent < 40; sent++) {
        peer_send_session(a, "relayData", b, "s1", data);
        cluster_run(c, 5 * TL_MS);
    }
    assert_in_range(sent, 4, 12);
    b->reads = true;
    peer_send_frame(b, TL_WS_PONG, true, NULL, 0); /* the harness looks at its window */
    cluster_run(c, 100 * TL_MS);
    assert_false(a->paused);
    for (int i = 0; i < sent; i++)
        peer_expect(b, TL_SIGNAL_RELAY_DATA);
    /* one that never reads ends the session, and the sender is told why */
    b->reads = false;
    while (!a->paused) {
        peer_send_session(a, "relayData", b, "s1", data);
        cluster_run(c, 5 * TL_MS);
    }
    cluster_run(c, 3 * TL_SEC);
    peer_expect_error(a, TL_SIGNAL_BUSY);
    peer_expect(a, TL_SIGNAL_RELAY_CLOSE);
    assert_false(a->paused);
    free(data);
    end(c);
    (void)state;
}

static void a_carrier_that_does_not_keep_up_stops_the_senders(void **state)
{
    cluster *c = begin(2, false);
    tl_relay *r = cluster_relay(c, 0)->relay;
    peer *a = cluster_node(c, 0, 1), *b = cluster_node(c, 1, 2);
    open_session(c, a, b);
    tl_fed_on_waiting(r, false, 9u << 20, cluster_now(c));
    send_session(c, a, "relayData", b, "aGVsbG8=");
    expect_data(b, "aGVsbG8=");
    assert_true(a->paused);
    tl_fed_on_waiting(r, false, 5u << 20, cluster_now(c));
    cluster_run(c, TL_MS);
    assert_true(a->paused);
    tl_fed_on_waiting(r, false, 1u << 20, cluster_now(c));
    cluster_run(c, TL_MS);
    assert_false(a->paused);
    end(c);
    (void)state;
}

static void redis_that_forgets_everything_loses_no_node(void **state)
{
    cluster *c = begin(3, false);
    peer *a = cluster_node(c, 0, 1), *b = cluster_node(c, 1, 2);
    cluster_flush(c);
    cluster_run(c, 2 * CLUSTER_TTL);
    open_session(c, a, b);
    (void)cluster_node(c, 2, 2); /* still gets a higher epoch */
    peer_drop_all(b);
    assert_int_equal(b->closed, 1012);
    end(c);
    (void)state;
}

static void a_lost_announcement_heals(void **state)
{
    cluster *c = begin(2, false);
    cluster_set_faults(c, (cluster_faults){.delay = TL_MS / 2, .loss = 1});
    peer *a = cluster_node(c, 0, 1);
    cluster_set_faults(c, (cluster_faults){.delay = TL_MS / 2});
    peer *b = cluster_node(c, 1, 2);
    assert_int_equal(counters(c, 1)->away, 0);
    cluster_run(c, CLUSTER_TTL);
    assert_int_equal(counters(c, 1)->away, 1);
    open_session(c, a, b);
    end(c);
    (void)state;
}

static void a_relay_that_ends_tells_it(void **state)
{
    cluster *c = begin(2, false);
    peer *a = cluster_node(c, 0, 1);
    (void)cluster_node(c, 1, 2);
    assert_int_equal(listed(a), 1);
    tl_relay_shutdown(cluster_relay(c, 1)->relay, cluster_now(c));
    cluster_run(c, 10 * TL_MS);
    assert_int_equal(listed(a), 0);
    end(c);
    (void)state;
}

static void register_again(peer *p, int models)
{
    char capabilities[80];
    snprintf(capabilities, sizeof capabilities, "{\"loadedModels\":[\"m%d\"]}", models);
    peer_register_as(p, NULL, NULL, capabilities, NULL);
}

static void a_node_tells_all_relays_of_a_change_each_second_and_of_ten_at_once(void **state)
{
    cluster *c = begin(2, false);
    peer *a = cluster_node(c, 0, 1), *b = cluster_node(c, 1, 2);
    cluster_run(c, TL_SEC);
    peer_drop_all(a);
    for (int i = 0; i < TL_FED_CHANGES_BURST; i++) {
        register_again(a, i);
        peer_expect(a, TL_SIGNAL_REGISTER_ACK);
    }
    register_again(a, 98);
    peer_expect_error(a, TL_SIGNAL_RATE_LIMITED);
    open_session(c, a, b); /* it stays registered */
    cluster_run(c, TL_SEC);
    peer_drop_all(a);
    register_again(a, 99);
    peer_expect(a, TL_SIGNAL_REGISTER_ACK);
    cluster_run(c, TL_SEC);
    peer_drop_all(b);
    peer_send(b, "{\"discover\":{\"requestingNodeID\":\"%s\",\"filter\":{\"modelID\":\"m99\"}}}",
              b->node);
    peer_expect(b, TL_SIGNAL_DISCOVER_RESPONSE);
    assert_int_equal(tl_signal_peer_count(&b->signal), 1);
    end(c);
    (void)state;
}

/* --- the messages as bytes --- */

static void messages_between_relays_read_as_they_were_written(void **state)
{
    tl_fed_message up = {.kind = TL_FED_UP,
                         .epoch = 0x0102030405060708,
                         .relay = tl_slice_str("a.b-c_1"),
                         .incarnation = 9,
                         .group = 77,
                         .relay_token = true,
                         .name = tl_slice_str("n\xc3\xa4me"),
                         .capabilities = tl_slice_str("{}")},
                   m;
    tl_buf b = {0};
    memset(up.node.key, 0xAB, sizeof up.node.key);
    assert_int_equal(tl_fed_write(&b, &up), TL_OK);
    assert_int_equal(tl_buf_begin(&b)[TL_FED_EPOCH_AT], 1);
    assert_int_equal(tl_buf_begin(&b)[TL_FED_EPOCH_AT + 7], 8);
    assert_int_equal(tl_fed_read(tl_buf_slice(&b), &m), TL_OK);
    assert_true(tl_slice_eq(m.name, up.name) && tl_slice_eq(m.capabilities, up.capabilities));
    assert_true(m.group == 77 && m.relay_token && m.epoch == up.epoch && m.incarnation == 9);
    for (size_t n = 0; n < b.len - 2; n++) /* every shorter one is refused */
        assert_int_equal(tl_fed_read(tl_slice_of(tl_buf_begin(&b), n), &m), TL_ERR_PROTO);
    tl_buf_begin(&b)[0] = 2; /* another version */
    assert_int_equal(tl_fed_read(tl_buf_slice(&b), &m), TL_ERR_PROTO);
    tl_buf_clear(&b);
    (void)state;
}

static void relay_ids_are_short_and_plain(void **state)
{
    char longest[66];
    memset(longest, 'a', sizeof longest);
    assert_true(tl_fed_id_is(tl_slice_str("relay-1.example_org")));
    assert_true(tl_fed_id_is(tl_slice_of(longest, TL_FED_ID_MAX)));
    assert_false(tl_fed_id_is(tl_slice_of(longest, TL_FED_ID_MAX + 1)));
    assert_false(tl_fed_id_is(tl_slice_str("")));
    assert_false(tl_fed_id_is(tl_slice_str("a b")));
    assert_false(tl_fed_id_is(tl_slice_str("a\r\nb")));
    (void)state;
}

static void garbage_from_another_relay_is_dropped_and_counted(void **state)
{
    cluster *c = begin(2, false);
    tl_rand rand = tl_rand_seeded(3);
    uint8_t bytes[600];
    peer *a = cluster_node(c, 0, 1), *b = cluster_node(c, 1, 2);
    for (int i = 0; i < 20000; i++) {
        size_t n = tl_rand_below(&rand, sizeof bytes);
        tl_rand_bytes(&rand, bytes, n);
        if (n > 20) {
            bytes[0] = 1;
            bytes[1] = (uint8_t)(1 + i % 14);
            bytes[10] = 4;
            memcpy(bytes + 11, "evil", 4);
        }
        tl_fed_on_message(cluster_relay(c, 0)->relay, tl_slice_of(bytes, n), false, cluster_now(c));
    }
    assert_true(counters(c, 0)->malformed > 10000);
    cluster_run(c, TL_SEC);
    open_session(c, a, b);
    end(c);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_of_two_relays_see_each_other),
        cmocka_unit_test(a_session_across_relays_is_as_a_local_one),
        cmocka_unit_test(an_offer_reaches_a_node_of_another_relay),
        cmocka_unit_test(a_node_that_registers_elsewhere_is_replaced_where_it_was),
        cmocka_unit_test(a_node_comes_back_to_the_relay_where_it_was_first),
        cmocka_unit_test(a_relay_that_is_killed_is_forgotten_and_its_sessions_end),
        cmocka_unit_test(what_is_sent_to_a_killed_relay_is_peer_not_found_at_once),
        cmocka_unit_test(without_redis_local_nodes_go_on_and_others_are_busy),
        cmocka_unit_test(a_relay_that_was_stopped_cannot_answer_for_a_node_that_moved),
        cmocka_unit_test(a_relay_that_stood_still_still_knows_the_nodes_of_others),
        cmocka_unit_test(a_message_with_an_older_epoch_is_dropped),
        cmocka_unit_test(a_slow_reader_at_another_relay_stops_its_sender),
        cmocka_unit_test(a_carrier_that_does_not_keep_up_stops_the_senders),
        cmocka_unit_test(redis_that_forgets_everything_loses_no_node),
        cmocka_unit_test(a_lost_announcement_heals),
        cmocka_unit_test(a_relay_that_ends_tells_it),
        cmocka_unit_test(a_node_tells_all_relays_of_a_change_each_second_and_of_ten_at_once),
        cmocka_unit_test(messages_between_relays_read_as_they_were_written),
        cmocka_unit_test(relay_ids_are_short_and_plain),
        cmocka_unit_test(garbage_from_another_relay_is_dropped_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
