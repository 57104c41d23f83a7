/* Gateways that lie, and others that pretend to be the gateway. */
#include "fake_gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const tl_mapper_report *report(const fake_gateway *g)
{
    return &g->m.report;
}

static const uint8_t forbidden[][4] = {
    {0, 0, 0, 0},         {127, 0, 0, 1}, {169, 254, 169, 254}, {224, 0, 0, 1},
    {255, 255, 255, 255}, {240, 0, 0, 1}, {0, 1, 2, 3},
};

static void a_forbidden_external_address_is_refused_by_every_protocol(void **state)
{
    (void)state;
    for (int by = 0; by < 3; by++) {
        for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
            fake_gateway g;
            fake_init(&g);
            g.pcp = by == 0;
            g.natpmp = g.natpmp_answers_pcp = by == 1;
            g.upnp = by == 2;
            memcpy(g.external, forbidden[i], 4);
            fake_start(&g, 10 * TL_SEC);
            assert_int_equal(report(&g)->state, TL_MAPPER_FAILED);
            assert_int_equal(g.mapping.external, 0); /* and taken back */
            if (by == 2 && i == 0) /* UPnP has no other way to say that there is none */
                assert_non_null(strstr(report(&g)->reason, "no external address"));
            else
                assert_non_null(strstr(report(&g)->reason, "not to be believed"));
            assert_int_equal(report(&g)->lies, by != 2 || i != 0);
            fake_clear(&g);
        }
    }
}

static void absurd_lifetimes_are_refused_and_the_longest_allowed_is_not(void **state)
{
    (void)state;
    static const struct {
        uint32_t lifetime_s;
        bool absurd, ok;
    } cases[] = {{0, true, false},
                 {UINT32_MAX, false, false},
                 {TL_MAPPER_LIFETIME_MAX_S + 1, false, false},
                 {TL_MAPPER_LIFETIME_MAX_S, false, true},
                 {1, false, true}};
    for (int natpmp = 0; natpmp < 2; natpmp++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            fake_gateway g;
            fake_init(&g);
            g.pcp = !natpmp;
            g.natpmp = g.natpmp_answers_pcp = natpmp;
            g.lifetime_s = cases[i].lifetime_s;
            g.absurd = cases[i].absurd;
            fake_start(&g, 100 * TL_MS);
            fake_run(&g, cases[i].ok ? 0 : 10 * TL_SEC);
            assert_int_equal(report(&g)->state, cases[i].ok ? TL_MAPPER_MAPPED : TL_MAPPER_FAILED);
            assert_int_equal(report(&g)->lies > 0, !cases[i].ok);
            assert_int_equal(g.mapping.external, cases[i].ok ? 41820 : 0);
            fake_clear(&g);
        }
    }
}

static void a_renewal_that_lies_ends_the_mapping(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.pcp = true;
    fake_start(&g, TL_SEC);
    assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
    memcpy(g.external, forbidden[1], 4);
    fake_run(&g, 3 * TL_MIN);
    assert_int_equal(report(&g)->state, TL_MAPPER_FAILED);
    assert_true(report(&g)->lies > 0);
    fake_clear(&g);
}

static void a_wrong_nonce_counts_for_nothing(void **state)
{
    (void)state;
    fake_gateway g;
    fake_init(&g);
    g.pcp = g.wrong_nonce = true;
    fake_start(&g, 100 * TL_MS);
    assert_int_equal(report(&g)->state, TL_MAPPER_SEARCHING);
    assert_int_equal(report(&g)->lies, 1);
    g.wrong_nonce = false;
    fake_run(&g, 300 * TL_MS);
    assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
    fake_clear(&g);
}

/* The very answer that would be believed, changed in one thing each time. */
static void an_answer_must_be_the_gateways_to_our_question(void **state)
{
    (void)state;
    fake_gateway g;
    uint8_t answer[TL_PCP_MAP_SIZE];
    fake_init(&g);
    fake_start(&g, 0);
    tl_pcp_map map = {.internal_port = 41820, .lifetime_s = 600, .external = {.port = 41820}};
    memcpy(map.nonce, g.m.nonce, sizeof map.nonce);
    tl_addr from = g.ip, wrong;
    from.port = TL_PCP_PORT;
    fake_pcp_answer(&g, &map, answer);

    wrong = from, wrong.bytes[3] = 9;
    fake_hand_in(&g, &wrong, answer, sizeof answer);
    wrong = from, wrong.port++;
    fake_hand_in(&g, &wrong, answer, sizeof answer);
    assert_int_equal(report(&g)->lies, 2);
    for (size_t n = 0; n < sizeof answer; n++)
        fake_hand_in(&g, &from, answer, n);
    assert_int_equal(report(&g)->lies, 2 + sizeof answer);
    answer[41] ^= 1; /* of another port of ours */
    fake_hand_in(&g, &from, answer, sizeof answer);
    assert_int_equal(report(&g)->lies, 3 + sizeof answer);
    assert_int_equal(report(&g)->state, TL_MAPPER_SEARCHING);
    fake_pcp_answer(&g, &map, answer);
    fake_hand_in(&g, &from, answer, sizeof answer);
    assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
    assert_int_equal(report(&g)->lies, 3 + sizeof answer);
    fake_clear(&g);
}

static void external_port_zero_is_refused(void **state)
{
    (void)state;
    fake_gateway g;
    uint8_t answer[TL_PCP_MAP_SIZE];
    fake_init(&g);
    fake_start(&g, 0);
    tl_pcp_map map = {.internal_port = 41820, .lifetime_s = 600};
    memcpy(map.nonce, g.m.nonce, sizeof map.nonce);
    tl_addr from = g.ip;
    from.port = TL_PCP_PORT;
    fake_pcp_answer(&g, &map, answer);
    fake_hand_in(&g, &from, answer, sizeof answer);
    assert_int_equal(report(&g)->state, TL_MAPPER_SEARCHING);
    assert_int_equal(report(&g)->lies, 1);
    fake_clear(&g);
}

static void a_flood_changes_nothing_but_a_counter(void **state)
{
    (void)state;
    fake_gateway g;
    tl_mapper_datagram d;
    fake_init(&g);
    g.pcp = true;
    fake_start(&g, TL_SEC);
    (void)tl_mapper_take_change(&g.m);
    tl_addr from = g.ip;
    from.port = TL_PCP_PORT;
    tl_rand rand = tl_rand_seeded(1);
    for (int i = 0; i < 20000; i++) {
        uint8_t noise[64];
        tl_rand_bytes(&rand, noise, sizeof noise);
        noise[0] = noise[0] & 1 ? 2 : 0;
        noise[1] = (uint8_t)(0x80 | (noise[1] & 1));
        fake_hand_in(&g, &from, noise, noise[2] % 65);
        tl_mapper_on_ssdp(&g.m, &g.ip, tl_slice_of(noise, noise[3] % 65), g.now);
        assert_false(tl_mapper_next_datagram(&g.m, &d));
    }
    assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
    assert_false(tl_mapper_take_change(&g.m));
    assert_true(report(&g)->lies > 20000);
    fake_clear(&g);
}

static void late_and_repeated_answers_change_nothing(void **state)
{
    (void)state;
    fake_gateway g;
    uint8_t answer[TL_PCP_MAP_SIZE];
    fake_init(&g);
    g.pcp = true;
    fake_start(&g, 0);
    tl_pcp_map map = {.internal_port = 41820, .lifetime_s = 600, .external = {.port = 9}};
    memcpy(map.nonce, g.m.nonce, sizeof map.nonce);
    tl_addr from = g.ip;
    from.port = TL_PCP_PORT;
    fake_pcp_answer(&g, &map, answer);
    fake_hand_in(&g, &from, answer, sizeof answer);
    assert_string_equal(fake_external(&g), "203.0.113.7:41820");
    answer[3] = TL_PCP_NOT_AUTHORIZED;
    fake_hand_in(&g, &from, answer, sizeof answer);
    assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
    assert_int_equal(report(&g)->lies, 0);
    fake_clear(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forbidden_external_address_is_refused_by_every_protocol),
        cmocka_unit_test(absurd_lifetimes_are_refused_and_the_longest_allowed_is_not),
        cmocka_unit_test(a_renewal_that_lies_ends_the_mapping),
        cmocka_unit_test(a_wrong_nonce_counts_for_nothing),
        cmocka_unit_test(an_answer_must_be_the_gateways_to_our_question),
        cmocka_unit_test(external_port_zero_is_refused),
        cmocka_unit_test(a_flood_changes_nothing_but_a_counter),
        cmocka_unit_test(late_and_repeated_answers_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
