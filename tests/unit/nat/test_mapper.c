#include "fake_gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define HOUR (60 * TL_MIN)

static const tl_mapper_report *report(const fake_gateway *g)
{
    return &g->m.report;
}

static void assert_mapped(const fake_gateway *g, tl_mapper_method by, const char *external)
{
    assert_string_equal(tl_mapper_state_name(report(g)->state), "mapped");
    assert_string_equal(tl_mapper_method_name(report(g)->method), tl_mapper_method_name(by));
    assert_string_equal(fake_external(g), external);
}

static void assert_failed(const fake_gateway *g, const char *reason)
{
    assert_string_equal(tl_mapper_state_name(report(g)->state), "failed");
    assert_int_equal(report(g)->method, TL_MAPPER_BY_NONE);
    assert_int_equal(report(g)->external.family, TL_ADDR_NONE);
    assert_string_equal(report(g)->reason, reason);
}

static void a_gateway_that_speaks_everything_is_asked_by_pcp(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.pcp = g.natpmp = g.upnp = true;
    fake_start(&g, 0);
    assert_mapped(&g, TL_MAPPER_BY_PCP, "203.0.113.7:41820");
    assert_int_equal(report(&g)->lifetime_s, TL_MAPPER_LIFETIME_S);
    assert_string_equal(report(&g)->reason, "");
    assert_false(report(&g)->second_nat);
    assert_int_equal(g.last_pcp.internal_port, 41820);
    fake_run(&g, 10 * TL_SEC);
    assert_int_equal(g.pcp_asked, 1);
    assert_int_equal(g.natpmp_maps + g.http_asked, 0);
    fake_clear(&g);
}

static void a_gateway_with_natpmp_alone_is_asked_by_it_at_once_or_after_its_silence(void **state)
{
    (void)state;
    for (int silent = 0; silent < 2; silent++) {
        fake_gateway g;
        fake_init(&g);
        g.natpmp = g.upnp = true;
        g.natpmp_answers_pcp = !silent;
        fake_start(&g, silent ? 300 * TL_MS : 0);
        assert_mapped(&g, TL_MAPPER_BY_NATPMP, "203.0.113.7:41820");
        assert_int_equal(g.http_asked, 0);
        fake_clear(&g);
    }
}

static void upnp_has_its_turn_after_the_others_silence_or_at_once_when_nobody_is_there(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.upnp = true;
    fake_start(&g, 1700 * TL_MS);
    assert_int_equal(report(&g)->state, TL_MAPPER_SEARCHING);
    assert_int_equal(g.http_asked, 0);
    fake_run(&g, 100 * TL_MS);
    assert_mapped(&g, TL_MAPPER_BY_UPNP, "203.0.113.7:41820");
    fake_clear(&g);

    fake_init(&g);
    g.upnp = g.unreachable = true;
    fake_start(&g, 0);
    assert_mapped(&g, TL_MAPPER_BY_UPNP, "203.0.113.7:41820");
    fake_clear(&g);
}

static void lost_datagrams_are_sent_again(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.pcp = true;
    g.drop = 2;
    fake_start(&g, 260 * TL_MS);
    assert_int_equal(report(&g)->state, TL_MAPPER_SEARCHING);
    fake_run(&g, 500 * TL_MS);
    assert_mapped(&g, TL_MAPPER_BY_PCP, "203.0.113.7:41820");
    fake_clear(&g);
}

static void nobody_answering_is_said_and_asked_again_ever_more_rarely(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    fake_start(&g, 5 * TL_SEC);
    assert_failed(&g, "the gateway 192.168.1.1 answered neither PCP, NAT-PMP nor UPnP");
    assert_true(tl_mapper_take_change(&g.m));
    fake_run(&g, 24 * HOUR);
    assert_in_range(g.searches, 80 * 6, 100 * 6); /* each 3 rounds of 2, every 16 minutes */
    assert_false(tl_mapper_take_change(&g.m));    /* asking again is no news */
    g.pcp = true;
    fake_run(&g, 17 * TL_MIN);
    assert_mapped(&g, TL_MAPPER_BY_PCP, "203.0.113.7:41820");
    fake_clear(&g);
}

static void without_a_gateway_nothing_is_sent(void **state)
{
    (void)state;
    fake_gateway g;
    tl_mapper_datagram d;
    tl_addr none = {.family = TL_ADDR_NONE};
    fake_init(&g);
    tl_mapper_start(&g.m, 41820, g.now);
    assert_failed(&g, "this machine has no IPv4 gateway");
    assert_false(tl_mapper_next_datagram(&g.m, &d));
    assert_true(tl_mapper_expiry(&g.m) == TL_NEVER);
    g.pcp = true;
    tl_mapper_set_network(&g.m, &g.ip, &g.own, g.now);
    fake_carry(&g);
    assert_mapped(&g, TL_MAPPER_BY_PCP, "203.0.113.7:41820");
    tl_mapper_set_network(&g.m, &none, &none, g.now);
    assert_failed(&g, "this machine has no IPv4 gateway");
    tl_mapper_set_network(&g.m, &none, &g.own, g.now);
    assert_failed(&g, "the way to the internet leads through no router here (a VPN?)");
    fake_clear(&g);
}

static void a_refusal_is_told_with_its_reason(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.pcp = true;
    g.pcp_result = TL_PCP_NOT_AUTHORIZED;
    fake_start(&g, 10 * TL_SEC);
    assert_failed(&g, "the gateway refused: not authorized (PCP)");
    assert_int_equal(report(&g)->refusals, 1);
    fake_clear(&g);

    fake_init(&g);
    g.natpmp = g.natpmp_answers_pcp = true;
    g.natpmp_result = 2;
    fake_start(&g, 10 * TL_SEC);
    assert_failed(&g, "the gateway refused: not authorized (NAT-PMP)");
    fake_clear(&g);
}

static void a_refusal_that_comes_late_is_still_told(void **state)
{
    (void)state;
    fake_gateway g;
    uint8_t answer[TL_PCP_MAP_SIZE];
    fake_init(&g);
    fake_start(&g, 10 * TL_SEC);
    assert_failed(&g, "the gateway 192.168.1.1 answered neither PCP, NAT-PMP nor UPnP");
    (void)tl_mapper_take_change(&g.m);
    tl_pcp_map map = {.internal_port = 41820};
    memcpy(map.nonce, g.m.nonce, sizeof map.nonce);
    tl_addr from = g.ip;
    from.port = TL_PCP_PORT;
    fake_pcp_answer(&g, &map, answer);
    answer[3] = TL_PCP_NO_RESOURCES;
    fake_hand_in(&g, &from, answer, sizeof answer);
    fake_hand_in(&g, &from, answer, sizeof answer);
    assert_failed(&g, "the gateway refused: it has no resources left (PCP)");
    assert_true(tl_mapper_take_change(&g.m));
    fake_clear(&g);
}

static void what_pcp_refuses_natpmp_may_grant(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.pcp = g.natpmp = true;
    g.pcp_result = TL_PCP_NOT_AUTHORIZED;
    fake_start(&g, 0);
    assert_mapped(&g, TL_MAPPER_BY_NATPMP, "203.0.113.7:41820");
    assert_string_equal(report(&g)->reason, "");
    fake_clear(&g);
}

static void another_external_port_than_wished_is_taken_and_wished_from_then_on(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.pcp = true;
    g.external_port = 7777;
    fake_start(&g, 0);
    assert_mapped(&g, TL_MAPPER_BY_PCP, "203.0.113.7:7777");
    g.external_port = 0;
    fake_run(&g, 3 * TL_MIN);
    assert_mapped(&g, TL_MAPPER_BY_PCP, "203.0.113.7:7777");
    assert_int_equal(g.last_pcp.external.port, 7777);
    fake_clear(&g);
}

static void a_private_external_address_is_kept_and_told_as_a_second_nat(void **state)
{
    (void)state;
    static const struct {
        uint8_t ip[4];
        const char *reason;
    } cases[] = {
        {{100, 64, 0, 7},
         "the external address 100.64.0.7 is private: a second NAT (the carrier's, CGN)"},
        {{192, 168, 9, 9}, "the external address 192.168.9.9 is private: a second NAT"},
        {{10, 0, 0, 1}, "the external address 10.0.0.1 is private: a second NAT"},
        {{100, 128, 0, 7}, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_gateway g;
        fake_init(&g);
        g.pcp = true;
        memcpy(g.external, cases[i].ip, 4);
        fake_start(&g, 0);
        assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
        assert_memory_equal(report(&g)->external.bytes, cases[i].ip, 4);
        assert_string_equal(report(&g)->reason, cases[i].reason);
        assert_int_equal(report(&g)->second_nat, cases[i].reason[0] != 0);
        fake_clear(&g);
    }
}

/* --- keeping --- */

static void a_mapping_is_renewed_at_half_its_life_and_at_least_every_two_minutes(void **state)
{
    (void)state;
    for (int natpmp = 0; natpmp < 2; natpmp++) {
        fake_gateway g;
        fake_init(&g);
        g.pcp = !natpmp;
        g.natpmp = g.natpmp_answers_pcp = natpmp;
        g.lifetime_s = 60;
        fake_start(&g, 29 * TL_SEC);
        assert_int_equal(report(&g)->renewals, 0);
        fake_run(&g, 2 * TL_SEC);
        assert_int_equal(report(&g)->renewals, 1);
        g.lifetime_s = 86400;
        fake_run(&g, 29 * TL_SEC + 10 * TL_MIN);
        assert_in_range(report(&g)->renewals, 6, 7);
        assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
        fake_clear(&g);
    }
}

static void the_nonce_stays_the_same_as_long_as_the_mapping(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.pcp = true;
    fake_start(&g, 0);
    uint8_t first[TL_PCP_NONCE_SIZE];
    memcpy(first, g.last_pcp.nonce, sizeof first);
    fake_run(&g, 10 * TL_MIN);
    assert_in_range(g.pcp_asked, 5, 7);
    assert_memory_equal(g.last_pcp.nonce, first, sizeof first);
    tl_mapper_stop(&g.m, g.now);
    fake_carry(&g);
    assert_memory_equal(g.last_pcp.nonce, first, sizeof first);
    tl_mapper_start(&g.m, 41820, g.now);
    fake_carry(&g);
    assert_memory_not_equal(g.last_pcp.nonce, first, sizeof first);
    fake_clear(&g);
}

static void a_gateway_that_restarted_is_noticed_and_has_mapped_anew(void **state)
{
    (void)state;
    for (int natpmp = 0; natpmp < 2; natpmp++) {
        fake_gateway g;
        fake_init(&g);
        g.pcp = !natpmp;
        g.natpmp = g.natpmp_answers_pcp = natpmp;
        fake_start(&g, 10 * TL_MIN);
        assert_int_equal(report(&g)->gateway_restarts, 0);
        g.booted = g.now; /* and what it had mapped is gone */
        g.mapping = (fake_mapping){0};
        fake_run(&g, 2 * TL_MIN + TL_SEC);
        assert_int_equal(report(&g)->gateway_restarts, 1);
        assert_int_equal(g.mapping.external, 41820);
        fake_run(&g, 10 * TL_MIN);
        assert_int_equal(report(&g)->gateway_restarts, 1);
        fake_clear(&g);
    }
}

static void an_announcement_has_the_mapping_renewed_within_a_second(void **state)
{
    (void)state;
    static const uint8_t pcp[24] = {2, 0x80};
    static const uint8_t natpmp[12] = {0, 0x80, [8] = 203, 0, 113, 7};
    const tl_slice announcements[] = {{pcp, sizeof pcp}, {natpmp, sizeof natpmp}};
    for (int i = 0; i < 2; i++) {
        fake_gateway g;
        fake_init(&g);
        g.pcp = true;
        fake_start(&g, TL_SEC);
        tl_addr elsewhere = g.ip;
        elsewhere.bytes[3] = 254;
        tl_mapper_on_announcement(&g.m, &elsewhere, announcements[i], g.now);
        fake_run(&g, 2 * TL_SEC);
        assert_int_equal(report(&g)->renewals, 0);
        for (int flood = 0; flood < 1000; flood++)
            tl_mapper_on_announcement(&g.m, &g.ip, announcements[i], g.now);
        fake_run(&g, 2 * TL_SEC);
        assert_int_equal(report(&g)->renewals, 1);
        tl_mapper_on_announcement(&g.m, &g.ip, TL_SLICE_LIT("hello"), g.now + 10 * TL_SEC);
        assert_int_equal(report(&g)->lies, 1);
        fake_clear(&g);
    }
}

static void a_changed_external_address_is_told(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.pcp = true;
    fake_start(&g, TL_SEC);
    assert_true(tl_mapper_take_change(&g.m));
    fake_run(&g, 5 * TL_MIN);
    assert_false(tl_mapper_take_change(&g.m));
    g.external[3] = 8;
    fake_run(&g, 3 * TL_MIN);
    assert_true(tl_mapper_take_change(&g.m));
    assert_mapped(&g, TL_MAPPER_BY_PCP, "203.0.113.8:41820");
    fake_clear(&g);
}

static void a_silent_gateway_loses_the_mapping_only_when_its_life_is_over(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.pcp = true;
    fake_start(&g, TL_SEC);
    g.pcp = false;
    fake_run(&g, (TL_MAPPER_LIFETIME_S - 60) * TL_SEC);
    assert_mapped(&g, TL_MAPPER_BY_PCP, "203.0.113.7:41820");
    fake_run(&g, 2 * TL_MIN);
    assert_failed(&g, "the gateway 192.168.1.1 answered neither PCP, NAT-PMP nor UPnP");
    fake_clear(&g);
}

static void a_gateway_without_its_service_loses_the_mapping_at_the_next_renewal(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.pcp = true;
    fake_start(&g, TL_SEC);
    g.unreachable = true;
    fake_run(&g, 2 * TL_MIN + 5 * TL_SEC);
    assert_failed(&g, "the gateway 192.168.1.1 answered neither PCP, NAT-PMP nor UPnP");
    fake_clear(&g);
}

/* --- ending --- */

static void stopping_removes_the_mapping(void **state)
{
    (void)state;
    for (int by = 0; by < 3; by++) {
        fake_gateway g;
        fake_init(&g);
        g.pcp = by == 0;
        g.natpmp = g.natpmp_answers_pcp = by == 1;
        g.upnp = by == 2;
        fake_start(&g, 5 * TL_SEC);
        assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
        assert_int_equal(g.mapping.external, 41820);
        tl_mapper_stop(&g.m, g.now);
        fake_carry(&g);
        assert_int_equal(report(&g)->state, TL_MAPPER_IDLE);
        assert_int_equal(g.mapping.external, 0);
        assert_int_equal(g.removed, 1);
        assert_true(tl_mapper_expiry(&g.m) == TL_NEVER);
        fake_clear(&g);
    }
}

static void a_silent_gateway_delays_the_end_by_no_more_than_its_bound(void **state)
{
    (void)state;
    for (int by = 0; by < 3; by++) {
        fake_gateway g;
        tl_igd_request r;
        fake_init(&g);
        g.pcp = by == 0;
        g.natpmp = g.natpmp_answers_pcp = by == 1;
        g.upnp = by == 2;
        fake_start(&g, 5 * TL_SEC);
        assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
        g.pcp = g.natpmp = false;
        tl_mapper_stop(&g.m, g.now);
        assert_int_equal(report(&g)->state, TL_MAPPER_STOPPING);
        if (by == 2) { /* the request goes out, no answer comes */
            assert_true(tl_mapper_wants(&g.m, &r));
            tl_mapper_on_timer(&g.m, g.now + TL_MAPPER_STOP_NS);
        } else {
            fake_run(&g, TL_MAPPER_STOP_NS);
        }
        assert_int_equal(report(&g)->state, TL_MAPPER_IDLE);
        fake_clear(&g);
    }
}

static void what_may_have_been_granted_unseen_is_taken_back_without_waiting(void **state)
{
    (void)state;
    fake_gateway g;
    tl_mapper_datagram d;
    fake_init(&g);
    fake_start(&g, 0);
    tl_mapper_stop(&g.m, g.now);
    assert_int_equal(report(&g)->state, TL_MAPPER_IDLE);
    assert_true(tl_mapper_next_datagram(&g.m, &d));
    assert_int_equal(d.n, TL_PCP_MAP_SIZE);
    assert_memory_equal(d.bytes + 4, "\0\0\0\0", 4); /* lifetime 0 */
    fake_clear(&g);
}

static void another_port_gives_the_old_one_up_first(void **state)
{
    (void)state;
    for (int by = 0; by < 3; by++) {
        fake_gateway g;
        fake_init(&g);
        g.pcp = by == 0;
        g.natpmp = g.natpmp_answers_pcp = by == 1;
        g.upnp = by == 2;
        fake_start(&g, 5 * TL_SEC);
        tl_mapper_start(&g.m, 41820, g.now); /* the same: nothing */
        assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
        tl_mapper_start(&g.m, 5000, g.now);
        fake_run(&g, 5 * TL_SEC);
        assert_int_equal(g.removed, 1);
        assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
        assert_string_equal(fake_external(&g), "203.0.113.7:5000");
        assert_int_equal(g.mapping.internal, 5000);
        fake_clear(&g);
    }
}

/* --- the network changes --- */

static void the_same_network_confirms_and_another_begins_anew(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.pcp = true;
    fake_start(&g, TL_SEC);
    tl_mapper_set_network(&g.m, &g.ip, &g.own, g.now);
    fake_carry(&g);
    assert_int_equal(report(&g)->renewals, 1);
    assert_mapped(&g, TL_MAPPER_BY_PCP, "203.0.113.7:41820");

    g.own.bytes[3] = 77;
    tl_mapper_set_network(&g.m, &g.ip, &g.own, g.now);
    assert_int_equal(report(&g)->state, TL_MAPPER_SEARCHING);
    assert_int_equal(report(&g)->external.family, TL_ADDR_NONE);
    g.ip.bytes[3] = 254;
    tl_mapper_set_network(&g.m, &g.ip, &g.own, g.now);
    fake_carry(&g);
    assert_mapped(&g, TL_MAPPER_BY_PCP, "203.0.113.7:41820");
    assert_int_equal(report(&g)->gateway_restarts, 0);
    fake_clear(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateway_that_speaks_everything_is_asked_by_pcp),
        cmocka_unit_test(a_gateway_with_natpmp_alone_is_asked_by_it_at_once_or_after_its_silence),
        cmocka_unit_test(
            upnp_has_its_turn_after_the_others_silence_or_at_once_when_nobody_is_there),
        cmocka_unit_test(lost_datagrams_are_sent_again),
        cmocka_unit_test(nobody_answering_is_said_and_asked_again_ever_more_rarely),
        cmocka_unit_test(without_a_gateway_nothing_is_sent),
        cmocka_unit_test(a_refusal_is_told_with_its_reason),
        cmocka_unit_test(a_refusal_that_comes_late_is_still_told),
        cmocka_unit_test(what_pcp_refuses_natpmp_may_grant),
        cmocka_unit_test(another_external_port_than_wished_is_taken_and_wished_from_then_on),
        cmocka_unit_test(a_private_external_address_is_kept_and_told_as_a_second_nat),
        cmocka_unit_test(a_mapping_is_renewed_at_half_its_life_and_at_least_every_two_minutes),
        cmocka_unit_test(the_nonce_stays_the_same_as_long_as_the_mapping),
        cmocka_unit_test(a_gateway_that_restarted_is_noticed_and_has_mapped_anew),
        cmocka_unit_test(an_announcement_has_the_mapping_renewed_within_a_second),
        cmocka_unit_test(a_changed_external_address_is_told),
        cmocka_unit_test(a_silent_gateway_loses_the_mapping_only_when_its_life_is_over),
        cmocka_unit_test(a_gateway_without_its_service_loses_the_mapping_at_the_next_renewal),
        cmocka_unit_test(stopping_removes_the_mapping),
        cmocka_unit_test(a_silent_gateway_delays_the_end_by_no_more_than_its_bound),
        cmocka_unit_test(what_may_have_been_granted_unseen_is_taken_back_without_waiting),
        cmocka_unit_test(another_port_gives_the_old_one_up_first),
        cmocka_unit_test(the_same_network_confirms_and_another_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
