#include "natmodel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define A "198.51.100.1:3478"
#define B "198.51.100.2:3479" /* A's other address */
#define C "192.0.2.30:19302"
#define D "192.0.2.40:3478"

static const tl_nat_facts *facts(model *m)
{
    return tl_behaviour_facts(model_client(m));
}

static const tl_behaviour_counters *counters(model *m)
{
    return tl_behaviour_counters_of(model_client(m));
}

static model *behind(uint64_t seed, tl_nat_mapping mapping, tl_nat_filtering filtering)
{
    model *m = model_new(seed);
    model_nat_of(m)->mapping = mapping;
    model_nat_of(m)->filtering = filtering;
    return m;
}

/* --- every NAT --- */

typedef enum { RELAY_ALONE, RELAY_AND_OTHERS, STRICT_RELAY, SCENES } scene;

static void add_servers(model *m, scene s)
{
    model_add(m, A, B)->strict = s == STRICT_RELAY;
    if (s != RELAY_AND_OTHERS)
        return;
    (void)model_add(m, C, NULL);
    (void)model_add(m, D, NULL);
}

static void judge_one(uint64_t seed, tl_nat_mapping mapping, tl_nat_filtering filtering,
                      unsigned ways, scene s)
{
    model *m = behind(seed, mapping, filtering);
    model_nat *nat = model_nat_of(m);
    nat->preserves_port = ways & 1;
    nat->hairpin = ways & 2;
    add_servers(m, s);
    model_begin(m);
    tl_time took = model_round(m);
    const tl_nat_facts *f = facts(m);
    bool dependent = mapping != TL_MAPPING_NONE && mapping != TL_MAPPING_ENDPOINT_INDEPENDENT;
    /* a server without mixed addresses cannot tell these two apart */
    if (s == STRICT_RELAY && dependent)
        mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
    if (f->mapping != mapping || (s != STRICT_RELAY && f->filtering != filtering))
        print_error("seed %llu scene %d ways %u: %s, %s\n", (unsigned long long)seed, (int)s, ways,
                    tl_nat_mapping_name(f->mapping), tl_nat_filtering_name(f->filtering));
    assert_int_equal(f->mapping, mapping);
    if (s != STRICT_RELAY)
        assert_int_equal(f->filtering, filtering);
    assert_true(tl_addr_same_ip(&f->public4, &nat->ip));
    assert_int_equal(f->port_preserved, mapping == TL_MAPPING_NONE || nat->preserves_port);
    /* our own packet at a mapping for somebody else: it comes back only where any may */
    if (mapping == TL_MAPPING_ENDPOINT_INDEPENDENT)
        assert_int_equal(f->hairpin, nat->hairpin ? TL_HAIRPIN_YES : TL_HAIRPIN_NO);
    else if (mapping == TL_MAPPING_NONE)
        assert_int_equal(f->hairpin, TL_HAIRPIN_UNKNOWN);
    assert_false(f->udp_blocked);
    assert_int_equal(f->asked, s == RELAY_AND_OTHERS ? 3 : 1);
    assert_int_equal(f->answered, f->asked);
    assert_true(took < (s == STRICT_RELAY ? 2 : 1) * TL_SEC);
    model_free(m);
}

static void every_mapping_and_filtering_is_found(void **state)
{
    (void)state;
    static const tl_nat_mapping mappings[] = {TL_MAPPING_NONE, TL_MAPPING_ENDPOINT_INDEPENDENT,
                                              TL_MAPPING_ADDRESS_DEPENDENT,
                                              TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT};
    for (uint64_t seed = 1; seed <= 20; seed++)
        for (size_t i = 0; i < 4; i++)
            for (tl_nat_filtering f = TL_FILTERING_ENDPOINT_INDEPENDENT;
                 f <= TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT; f++)
                for (unsigned ways = 0; ways < 4; ways++)
                    for (scene s = 0; s < SCENES; s++)
                        judge_one(seed, mappings[i], f, ways, s);
}

/* Lost packets may make a NAT look stricter than it is, never more open; and the mapping stands on
 * questions that are repeated long enough. */
static void loss_makes_nothing_look_more_open_than_it_is(void **state)
{
    (void)state;
    unsigned wrong = 0, rounds = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        tl_nat_filtering filtering = (tl_nat_filtering)(1 + seed % 3);
        model *m = behind(seed, TL_MAPPING_ENDPOINT_INDEPENDENT, filtering);
        model_nat_of(m)->loss_percent = 5;
        add_servers(m, RELAY_AND_OTHERS);
        model_begin(m);
        (void)model_round(m);
        if (facts(m)->mapping != TL_MAPPING_ENDPOINT_INDEPENDENT)
            print_error("seed %llu: mapping %s\n", (unsigned long long)seed,
                        tl_nat_mapping_name(facts(m)->mapping));
        assert_int_equal(facts(m)->mapping, TL_MAPPING_ENDPOINT_INDEPENDENT);
        assert_true(facts(m)->filtering >= filtering || !facts(m)->filtering);
        wrong += facts(m)->filtering != filtering;
        rounds++;
        model_free(m);
    }
    assert_true(wrong * 50 < rounds); /* one in a thousand by arithmetic: 3 tries, 10% each */
}

/* --- when things are known --- */

static void the_public_address_is_there_after_one_round_trip(void **state)
{
    (void)state;
    model *m = behind(1, TL_MAPPING_ENDPOINT_INDEPENDENT, TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    add_servers(m, RELAY_AND_OTHERS);
    (void)model_add(m, "192.0.2.50:3478", NULL);
    model_begin(m);
    model_run(m, 11 * TL_MS); /* the nearest is 12 ms away */
    assert_int_equal(facts(m)->public4.family, TL_ADDR_NONE);
    model_run(m, TL_MS);
    assert_true(tl_addr_same_ip(&facts(m)->public4, &model_nat_of(m)->ip));
    assert_int_equal(facts(m)->mapping, TL_MAPPING_UNKNOWN);
    assert_int_equal(model_told(m), 1);
    model_run(m, TL_MS); /* the second */
    assert_int_equal(facts(m)->mapping, TL_MAPPING_ENDPOINT_INDEPENDENT);
    assert_int_equal(model_told(m), 2);
    model_free(m);
}

static void a_full_round_at_open_nats_takes_two_round_trips(void **state)
{
    (void)state;
    model *m = behind(1, TL_MAPPING_ENDPOINT_INDEPENDENT, TL_FILTERING_ENDPOINT_INDEPENDENT);
    model_nat_of(m)->hairpin = true;
    add_servers(m, RELAY_AND_OTHERS);
    model_begin(m);
    tl_time open = model_round(m);
    assert_true(open <= 600 * TL_MS);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_FULL_CONE);
    model_free(m);
}

static void a_server_that_is_down_delays_no_fact(void **state)
{
    (void)state;
    model *m = behind(1, TL_MAPPING_ENDPOINT_INDEPENDENT, TL_FILTERING_ADDRESS_DEPENDENT);
    add_servers(m, RELAY_AND_OTHERS);
    model_server *down = model_add(m, "192.0.2.50:3478", NULL);
    down->manner = DEAD;
    model_begin(m);
    model_run(m, 700 * TL_MS);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_RESTRICTED_CONE);
    assert_true(tl_behaviour_busy(model_client(m)));
    model_run(m, 3799 * TL_MS);
    assert_true(tl_behaviour_busy(model_client(m)));
    model_run(m, TL_MS); /* 0.5 + 1 + 2 + 1 s */
    assert_false(tl_behaviour_busy(model_client(m)));
    assert_int_equal(down->heard, TL_STUN_TRIES);
    assert_int_equal(facts(m)->asked, 4);
    assert_int_equal(facts(m)->answered, 3);
    assert_int_equal(counters(m)->failures, 1);
    tl_stun_report r[TL_STUN_SERVERS_MAX];
    assert_int_equal(tl_behaviour_reports(model_client(m), r), 4);
    assert_true(r[0].answered && r[0].behaviour && r[0].sent == 1 && r[0].rtt == 12 * TL_MS);
    assert_true(r[1].answered && !r[1].behaviour);
    assert_true(!r[3].answered && r[3].sent == TL_STUN_TRIES && r[3].rtt == 0);
    model_free(m);
}

static void without_any_answer_udp_is_blocked_and_tried_again(void **state)
{
    (void)state;
    model *m = behind(1, TL_MAPPING_ENDPOINT_INDEPENDENT, TL_FILTERING_ADDRESS_DEPENDENT);
    model_server *s = model_add(m, A, B);
    s->manner = DEAD;
    model_begin(m);
    assert_int_equal(model_round(m), 4500 * TL_MS);
    assert_true(facts(m)->udp_blocked);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_UNKNOWN);
    assert_string_equal(tl_nat_tesseras_type(facts(m)), "Unknown");
    model_run(m, 10 * TL_MIN);
    assert_in_range(s->heard, 20, 100); /* neither given up nor hammered */
    s->manner = HONEST;
    model_run(m, 40 * TL_SEC);
    assert_false(facts(m)->udp_blocked);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_RESTRICTED_CONE);
    model_free(m);
}

static void without_servers_a_round_ends_at_once_and_says_nothing(void **state)
{
    (void)state;
    model *m = model_new(1);
    model_begin(m);
    assert_int_equal(tl_behaviour_expiry(model_client(m)), model_now(m)); /* due, and not unset */
    assert_int_equal(model_round(m), 0);
    assert_false(facts(m)->udp_blocked);
    assert_int_equal(facts(m)->mapping, TL_MAPPING_UNKNOWN);
    assert_int_equal(facts(m)->at, model_now(m));
    assert_int_equal(tl_behaviour_expiry(model_client(m)), TL_NEVER);
    model_free(m);
}

static void a_round_whose_sockets_are_taken_away_ends_at_once(void **state)
{
    (void)state;
    model *m = model_new(1);
    (void)model_add(m, A, B);
    model_begin(m);
    assert_true(tl_behaviour_busy(model_client(m)));
    tl_behaviour_set_sockets(model_client(m), 0, 0, 0, 0, NULL, 0);
    assert_true(tl_behaviour_expiry(model_client(m)) <= model_now(m));
    assert_int_equal(model_round(m), 0);
    assert_false(tl_behaviour_busy(model_client(m)));
    model_free(m);
}

static void ipv6_is_asked_beside_ipv4(void **state)
{
    (void)state;
    model *m = model_new(1);
    (void)model_add(m, A, B);
    (void)model_add(m, "[2a00:1450::99]:3478", NULL);
    model_begin(m);
    (void)model_round(m);
    tl_addr six = model_addr(MODEL_IP6);
    assert_true(tl_addr_eq(&facts(m)->public6, &six));
    assert_true(tl_addr_same_ip(&facts(m)->public4, &model_nat_of(m)->ip));
    model_free(m);
}

static void what_cannot_be_sent_is_not_waited_for(void **state)
{
    (void)state;
    model *m = model_new(1);
    (void)model_add(m, "[2a00:1450::99]:3478", NULL);
    model_begin(m);
    tl_stun_output out;
    assert_true(tl_behaviour_next_output(model_client(m), model_now(m), &out));
    tl_behaviour_on_unsent(model_client(m), &out, model_now(m));
    assert_int_equal(model_round(m), 0);
    assert_true(facts(m)->udp_blocked);
    model_free(m);
}

/* --- names --- */

static void the_seeds_names_follow_from_the_two_facts(void **state)
{
    (void)state;
    static const struct {
        tl_nat_mapping mapping;
        tl_nat_filtering filtering;
        const char *teale, *tesseras;
    } rows[] = {
        {TL_MAPPING_NONE, TL_FILTERING_UNKNOWN, "fullCone", "Public"},
        {TL_MAPPING_NONE, TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT, "fullCone", "Public"},
        {TL_MAPPING_ENDPOINT_INDEPENDENT, TL_FILTERING_ENDPOINT_INDEPENDENT, "fullCone", "Cone"},
        {TL_MAPPING_ENDPOINT_INDEPENDENT, TL_FILTERING_ADDRESS_DEPENDENT, "restrictedCone", "Cone"},
        {TL_MAPPING_ENDPOINT_INDEPENDENT, TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT, "portRestricted",
         "Cone"},
        {TL_MAPPING_ENDPOINT_INDEPENDENT, TL_FILTERING_UNKNOWN, "portRestricted", "Cone"},
        {TL_MAPPING_ADDRESS_DEPENDENT, TL_FILTERING_ENDPOINT_INDEPENDENT, "symmetric", "Symmetric"},
        {TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, TL_FILTERING_UNKNOWN, "symmetric", "Symmetric"},
        {TL_MAPPING_UNKNOWN, TL_FILTERING_ENDPOINT_INDEPENDENT, "unknown", "Unknown"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tl_nat_facts f = {.mapping = rows[i].mapping, .filtering = rows[i].filtering};
        assert_string_equal(tl_nat_type_name(tl_nat_type_of(&f)), rows[i].teale);
        assert_string_equal(tl_nat_tesseras_type(&f), rows[i].tesseras);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mapping_and_filtering_is_found),
        cmocka_unit_test(loss_makes_nothing_look_more_open_than_it_is),
        cmocka_unit_test(the_public_address_is_there_after_one_round_trip),
        cmocka_unit_test(a_full_round_at_open_nats_takes_two_round_trips),
        cmocka_unit_test(a_server_that_is_down_delays_no_fact),
        cmocka_unit_test(without_any_answer_udp_is_blocked_and_tried_again),
        cmocka_unit_test(without_servers_a_round_ends_at_once_and_says_nothing),
        cmocka_unit_test(a_round_whose_sockets_are_taken_away_ends_at_once),
        cmocka_unit_test(ipv6_is_asked_beside_ipv4),
        cmocka_unit_test(what_cannot_be_sent_is_not_waited_for),
        cmocka_unit_test(the_seeds_names_follow_from_the_two_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
