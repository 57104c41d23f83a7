#include "natmodel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define A "198.51.100.1:3478"
#define B "198.51.100.2:3479" /* A's other address */
#define C "192.0.2.30:19302"
#define D "192.0.2.40:3478"
#define E "192.0.2.50:3478"

static const tl_nat_facts *facts(model *m)
{
    return tl_behaviour_facts(model_client(m));
}

static const tl_behaviour_counters *counters(model *m)
{
    return tl_behaviour_counters_of(model_client(m));
}

static bool is_truth(model *m)
{
    return tl_addr_same_ip(&facts(m)->public4, &model_nat_of(m)->ip) &&
           (facts(m)->mapping != TL_MAPPING_ENDPOINT_INDEPENDENT ||
            facts(m)->public4.port == MODEL_PORT);
}

/* Three plain servers before a NAT that preserves our port; the first to answer has this manner. */
static model *with_first(uint64_t seed, model_manner manner, tl_nat_mapping mapping)
{
    model *m = model_new(seed);
    model_nat_of(m)->mapping = mapping;
    model_nat_of(m)->preserves_port = true;
    model_add(m, C, NULL)->manner = manner;
    (void)model_add(m, D, NULL);
    (void)model_add(m, E, NULL);
    return m;
}

static void one_liar_of_three_does_not_turn_the_facts(void **state)
{
    (void)state;
    static const model_manner lies[] = {SAYS_OTHER_IP, SAYS_OTHER_PORT};
    for (size_t i = 0; i < 2; i++) {
        model *m = with_first(i, lies[i], TL_MAPPING_ENDPOINT_INDEPENDENT);
        model_begin(m);
        (void)model_round(m);
        assert_true(is_truth(m));
        assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_PORT_RESTRICTED);
        assert_int_equal(counters(m)->outvoted, 1);
        tl_stun_report r[TL_STUN_SERVERS_MAX];
        assert_int_equal(tl_behaviour_reports(model_client(m), r), 3);
        assert_true(r[0].outvoted && !r[1].outvoted && !r[2].outvoted);
        model_free(m);
    }
}

/* The same liar must not look like a change of network every time it is the first to answer. */
static void a_liar_that_answers_first_turns_nothing_in_later_rounds(void **state)
{
    (void)state;
    model *m = with_first(1, SAYS_OTHER_IP, TL_MAPPING_ENDPOINT_INDEPENDENT);
    model_begin(m);
    (void)model_round(m);
    for (int round = 0; round < 5; round++) {
        model_begin(m);
        while (tl_behaviour_busy(model_client(m))) {
            model_run(m, TL_MS);
            assert_true(is_truth(m));
        }
    }
    unsigned told = model_told(m);
    model_run(m, 10 * TL_MIN); /* nor when the mapping is kept fresh */
    assert_true(is_truth(m));
    assert_int_equal(model_told(m), told);
    model_free(m);
}

static void a_symmetric_nat_keeps_its_ip_beside_a_liar(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        model *m = with_first(seed, SAYS_OTHER_IP, TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT);
        model_nat_of(m)->preserves_port = false;
        model_begin(m);
        (void)model_round(m);
        assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_SYMMETRIC);
        assert_true(tl_addr_same_ip(&facts(m)->public4, &model_nat_of(m)->ip));
        model_free(m);
    }
}

static void an_address_nobody_can_be_seen_at_is_refused_and_counted(void **state)
{
    (void)state;
    model *m = with_first(1, SAYS_LOOPBACK, TL_MAPPING_ENDPOINT_INDEPENDENT);
    model_begin(m);
    (void)model_round(m);
    assert_true(is_truth(m));
    assert_int_equal(facts(m)->answered, 2);
    assert_int_equal(counters(m)->refused, 1);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_PORT_RESTRICTED);
    model_free(m);

    m = with_first(1, HONEST, TL_MAPPING_ENDPOINT_INDEPENDENT); /* the twin */
    model_begin(m);
    (void)model_round(m);
    assert_int_equal(facts(m)->answered, 3);
    assert_int_equal(counters(m)->refused, 0);
    model_free(m);
}

static void liars_alone_mean_that_nothing_is_known_but_udp_passes(void **state)
{
    (void)state;
    model *m = model_new(1);
    model_add(m, C, NULL)->manner = SAYS_LOOPBACK;
    model_add(m, D, NULL)->manner = SAYS_NOTHING;
    model_add(m, E, NULL)->manner = SAYS_ERROR;
    model_begin(m);
    assert_true(model_round(m) < 100 * TL_MS); /* an error is an answer: it is not asked again */
    assert_false(facts(m)->udp_blocked);
    assert_int_equal(facts(m)->answered, 0);
    assert_int_equal(facts(m)->public4.family, TL_ADDR_NONE);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_UNKNOWN);
    assert_int_equal(counters(m)->failures, 3);
    model_free(m);
}

static void an_answer_that_comes_twice_counts_once(void **state)
{
    (void)state;
    model *m = with_first(1, ANSWERS_TWICE, TL_MAPPING_ENDPOINT_INDEPENDENT);
    model_begin(m);
    (void)model_round(m);
    assert_int_equal(counters(m)->strays, 1);
    assert_int_equal(facts(m)->answered, 3);
    assert_true(is_truth(m));
    model_free(m);
}

static void an_answer_from_elsewhere_or_with_another_id_does_not_count(void **state)
{
    (void)state;
    model *m = with_first(1, ANSWERS_FROM_ELSEWHERE, TL_MAPPING_ENDPOINT_INDEPENDENT);
    model_nat_of(m)->filtering = TL_FILTERING_ENDPOINT_INDEPENDENT;
    model_begin(m);
    assert_int_equal(model_round(m), 4500 * TL_MS);
    assert_int_equal(facts(m)->answered, 2);
    assert_int_equal(counters(m)->strays, TL_STUN_TRIES);
    model_free(m);

    m = with_first(1, ANSWERS_OTHER_ID, TL_MAPPING_ENDPOINT_INDEPENDENT);
    model_begin(m);
    (void)model_round(m);
    assert_int_equal(facts(m)->answered, 2);
    assert_int_equal(counters(m)->strays, 0); /* may be meant for somebody else: not used up */
    model_free(m);
}

static void a_late_answer_changes_nothing(void **state)
{
    (void)state;
    model *m = with_first(1, SAYS_OTHER_IP, TL_MAPPING_ENDPOINT_INDEPENDENT);
    model_server *late = model_add(m, A, NULL);
    late->delay = 6 * TL_SEC;
    late->manner = SAYS_OTHER_IP;
    model_begin(m);
    (void)model_round(m);
    unsigned told = model_told(m);
    model_run(m, 10 * TL_SEC);
    assert_int_equal(counters(m)->strays, TL_STUN_TRIES);
    assert_int_equal(model_told(m), told);
    assert_true(is_truth(m));
    model_free(m);
}

/* --- OTHER-ADDRESS --- */

/* What a server names is sent to, so it must not point us at somebody. */
static void other_addresses_that_point_inside_are_not_believed(void **state)
{
    (void)state;
    static const struct {
        const char *other;
        bool believed;
    } cases[] = {
        {"198.51.100.9:4000", true}, {"127.0.0.1:4000", false},    {"10.0.0.1:4000", false},
        {"192.168.1.1:80", false},   {"100.64.0.1:4000", false},   {"169.254.169.254:80", false},
        {"224.0.0.1:4000", false},   {"255.255.255.255:9", false}, {"198.51.100.1:3478", false},
        {"0.0.0.0:4000", false},     {"198.51.100.9:0", false},    {"[2a00:1450::9]:4000", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model *m = model_new(1);
        model_server *s = model_add(m, A, NULL);
        s->names_other = model_addr(cases[i].other);
        model_begin(m);
        (void)model_round(m);
        tl_stun_report r[TL_STUN_SERVERS_MAX];
        (void)tl_behaviour_reports(model_client(m), r);
        if (cases[i].believed != (model_astray(m) > 0))
            print_error("%s\n", cases[i].other);
        assert_int_equal(model_astray(m) > 0, cases[i].believed);
        assert_true(model_astray(m) <= 9); /* three questions, three times each */
        model_free(m);
    }
}

static void a_server_that_ignores_change_requests_measures_no_filtering(void **state)
{
    (void)state;
    model *m = model_new(1);
    model_nat_of(m)->filtering = TL_FILTERING_ENDPOINT_INDEPENDENT;
    model_add(m, A, B)->deaf = true;
    (void)model_add(m, C, NULL);
    model_begin(m);
    (void)model_round(m);
    assert_int_equal(facts(m)->filtering, TL_FILTERING_UNKNOWN);
    assert_int_equal(facts(m)->mapping, TL_MAPPING_ENDPOINT_INDEPENDENT);
    tl_stun_report r[TL_STUN_SERVERS_MAX];
    assert_int_equal(tl_behaviour_reports(model_client(m), r), 2);
    assert_false(r[0].behaviour);
    model_free(m);
}

/* Of two that claim to know RFC 5780 one is silent: what the other got through is proof. */
static void silence_of_one_server_does_not_outweigh_what_came_through(void **state)
{
    (void)state;
    model *m = model_new(1);
    model_nat_of(m)->filtering = TL_FILTERING_ENDPOINT_INDEPENDENT;
    model_add(m, C, "192.0.2.31:5000")->mute = true;
    (void)model_add(m, A, B);
    model_begin(m);
    (void)model_round(m);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_FULL_CONE);
    model_free(m);
}

/* What we sent to the other address opened the NAT for it: a test through that opening would say
 * that anybody gets in. */
static void a_test_through_an_opening_of_our_own_is_left_out(void **state)
{
    (void)state;
    static const char *const asked_at_once[] = {B, "198.51.100.1:3479"}; /* configured themselves */
    for (size_t i = 0; i < 2; i++) {
        model *m = model_new(1);
        model_nat_of(m)->filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
        (void)model_add(m, A, B);
        (void)model_add(m, asked_at_once[i], NULL);
        (void)model_add(m, D, NULL);
        model_begin(m);
        (void)model_round(m);
        assert_int_not_equal(facts(m)->filtering, TL_FILTERING_ENDPOINT_INDEPENDENT);
        assert_int_not_equal(facts(m)->filtering, TL_FILTERING_ADDRESS_DEPENDENT);
        assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_PORT_RESTRICTED);
        model_free(m);
    }
}

static void a_second_round_does_not_mistake_the_firsts_openings(void **state)
{
    (void)state;
    for (tl_nat_filtering f = TL_FILTERING_ENDPOINT_INDEPENDENT;
         f <= TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT; f++) {
        model *m = model_new(f);
        model_nat_of(m)->filtering = f;
        model_nat_of(m)->preserves_port = true;
        (void)model_add(m, A, B); /* alone: its other address is asked for the mapping */
        for (int round = 0; round < 4; round++) {
            model_begin(m);
            while (tl_behaviour_busy(model_client(m))) {
                model_run(m, TL_MS);
                assert_true(round == 0 || facts(m)->filtering == f);
            }
            assert_int_equal(facts(m)->filtering, f);
        }
        model_free(m);
    }
}

/* --- other people's datagrams --- */

static void requests_and_unknown_answers_are_left_to_others(void **state)
{
    (void)state;
    model *m = with_first(1, HONEST, TL_MAPPING_ENDPOINT_INDEPENDENT);
    model_begin(m);
    (void)model_round(m);
    uint64_t before = counters(m)->strays;
    tl_addr from = model_addr(C);
    for (tl_stun_class class = TL_STUN_REQUEST; class <= TL_STUN_ERROR; class ++) {
        tl_stun_writer w;
        tl_stun_id id = {{0}};
        tl_stun_begin(&w, class, &id);
        tl_stun_finish(&w);
        assert_false(model_inject(m, &from, tl_slice_of(w.bytes, w.n)));
    }
    assert_int_equal(counters(m)->strays, before);
    model_free(m);
}

/* Our own question, sent back by somebody it did not go to, is no hairpin. */
static void a_request_reflected_from_elsewhere_is_no_hairpin(void **state)
{
    (void)state;
    model *m = with_first(1, HONEST, TL_MAPPING_ENDPOINT_INDEPENDENT);
    model_begin(m);
    tl_addr to;
    tl_slice sent;
    do {
        model_run(m, TL_MS);
        sent = model_last(m, &to);
    } while (!tl_addr_same_ip(&to, &model_nat_of(m)->ip));
    tl_addr stranger = model_addr("192.0.2.99:41820"), outside = to;
    assert_false(model_inject(m, &stranger, sent));
    assert_int_equal(facts(m)->hairpin, TL_HAIRPIN_UNKNOWN);
    assert_true(model_inject(m, &outside, sent)); /* the twin, from our own outside */
    assert_int_equal(facts(m)->hairpin, TL_HAIRPIN_YES);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_liar_of_three_does_not_turn_the_facts),
        cmocka_unit_test(a_liar_that_answers_first_turns_nothing_in_later_rounds),
        cmocka_unit_test(a_symmetric_nat_keeps_its_ip_beside_a_liar),
        cmocka_unit_test(an_address_nobody_can_be_seen_at_is_refused_and_counted),
        cmocka_unit_test(liars_alone_mean_that_nothing_is_known_but_udp_passes),
        cmocka_unit_test(an_answer_that_comes_twice_counts_once),
        cmocka_unit_test(an_answer_from_elsewhere_or_with_another_id_does_not_count),
        cmocka_unit_test(a_late_answer_changes_nothing),
        cmocka_unit_test(other_addresses_that_point_inside_are_not_believed),
        cmocka_unit_test(a_server_that_ignores_change_requests_measures_no_filtering),
        cmocka_unit_test(silence_of_one_server_does_not_outweigh_what_came_through),
        cmocka_unit_test(a_test_through_an_opening_of_our_own_is_left_out),
        cmocka_unit_test(a_second_round_does_not_mistake_the_firsts_openings),
        cmocka_unit_test(requests_and_unknown_answers_are_left_to_others),
        cmocka_unit_test(a_request_reflected_from_elsewhere_is_no_hairpin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
