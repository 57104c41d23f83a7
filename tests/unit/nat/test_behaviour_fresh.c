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

static tl_time keepalive(model *m)
{
    return tl_behaviour_keepalive(model_client(m));
}

/* Everything found out about a port-restricted NAT by three servers. */
static model *settled(model_server *ret_servers[3])
{
    model *m = model_new(1);
    ret_servers[0] = model_add(m, A, B);
    ret_servers[1] = model_add(m, C, NULL);
    ret_servers[2] = model_add(m, D, NULL);
    model_begin(m);
    (void)model_round(m);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_PORT_RESTRICTED);
    return m;
}

static void a_quiet_network_costs_one_question_every_keepalive(void **state)
{
    (void)state;
    model_server *s[3];
    model *m = settled(s);
    unsigned heard = s[0]->heard, others = s[1]->heard + s[2]->heard, told = model_told(m);
    tl_addr before = facts(m)->public4;
    model_run(m, 10 * TL_MIN);
    assert_in_range(s[0]->heard - heard, 23, 24);
    assert_int_equal(s[1]->heard + s[2]->heard, others);
    assert_int_equal(model_told(m), told);
    assert_true(tl_addr_eq(&facts(m)->public4, &before)); /* the mapping lived on */
    assert_int_equal(keepalive(m), TL_BEHAVIOUR_FRESH);
    model_free(m);
}

static void a_mapping_that_dies_is_asked_about_more_often(void **state)
{
    (void)state;
    model_server *s[3];
    model *m = settled(s);
    model_nat_of(m)->lifetime = 15 * TL_SEC;
    model_run(m, 5 * TL_MIN);
    assert_true(keepalive(m) < 15 * TL_SEC);
    assert_true(keepalive(m) >= 5 * TL_SEC);
    tl_addr now = facts(m)->public4;
    unsigned told = model_told(m);
    model_run(m, 10 * TL_MIN);
    assert_true(tl_addr_eq(&facts(m)->public4, &now)); /* often enough */
    assert_int_equal(model_told(m), told);
    model_nat_of(m)->lifetime = TL_SEC; /* no keepalive is worth that */
    model_run(m, 5 * TL_MIN);
    assert_int_equal(keepalive(m), 5 * TL_SEC);
    model_free(m);
}

static void a_new_public_address_is_seen_within_a_keepalive(void **state)
{
    (void)state;
    model_server *s[3];
    model *m = settled(s);
    model_reboot(m);
    model_nat_of(m)->ip = model_addr("203.0.113.99:1");
    model_run(m, 27 * TL_SEC);
    assert_true(tl_addr_same_ip(&facts(m)->public4, &model_nat_of(m)->ip));
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_PORT_RESTRICTED);
    assert_int_equal(keepalive(m), TL_BEHAVIOUR_FRESH); /* no mapping died of age */
    model_free(m);
}

static void a_look_sees_a_moved_address_at_once_and_costs_two_questions(void **state)
{
    (void)state;
    model_server *s[3];
    model *m = settled(s);
    unsigned heard = s[0]->heard + s[1]->heard + s[2]->heard, told = model_told(m);
    tl_behaviour_look(model_client(m), model_now(m));
    model_run(m, TL_SEC);
    assert_int_equal(s[0]->heard + s[1]->heard + s[2]->heard, heard + 2);
    assert_int_equal(model_told(m), told);

    model_reboot(m);
    model_nat_of(m)->ip = model_addr("203.0.113.99:1");
    tl_behaviour_look(model_client(m), model_now(m));
    model_run(m, 30 * TL_MS); /* a look's round trip, and a round's */
    assert_true(tl_addr_same_ip(&facts(m)->public4, &model_nat_of(m)->ip));
    assert_true(model_told(m) > told);
    model_free(m);
}

static void a_look_with_one_server_down_is_no_blocked_udp(void **state)
{
    (void)state;
    model_server *s[3];
    model *m = settled(s);
    unsigned told = model_told(m);
    for (int i = 0; i < 2; i++) {
        s[0]->manner = i ? SAYS_ERROR : DEAD; /* the nearest */
        tl_behaviour_look(model_client(m), model_now(m));
        model_run(m, 2 * TL_SEC);
        assert_int_equal(model_told(m), told);
        assert_false(facts(m)->udp_blocked);
    }
    model_free(m);
}

static void a_look_into_silence_says_blocked_within_a_second(void **state)
{
    (void)state;
    model_server *s[3];
    model *m = settled(s);
    model_nat_of(m)->loss_percent = 100;
    unsigned told = model_told(m);
    tl_behaviour_look(model_client(m), model_now(m));
    model_run(m, 999 * TL_MS);
    assert_false(facts(m)->udp_blocked);
    model_run(m, TL_MS);
    assert_true(facts(m)->udp_blocked);
    assert_int_equal(model_told(m), told + 1);
    assert_int_equal(facts(m)->public4.family, TL_ADDR_V4); /* until a round found nothing */
    model_run(m, 5 * TL_SEC);
    assert_int_equal(facts(m)->public4.family, TL_ADDR_NONE);
    assert_true(facts(m)->udp_blocked);
    model_nat_of(m)->loss_percent = 0; /* the cable is in again */
    model_run(m, 8 * TL_SEC);
    assert_false(facts(m)->udp_blocked);
    assert_true(tl_addr_same_ip(&facts(m)->public4, &model_nat_of(m)->ip));
    model_free(m);
}

static void a_server_that_dies_is_replaced_by_another(void **state)
{
    (void)state;
    model_server *s[3];
    model *m = settled(s);
    s[0]->manner = DEAD;
    model_run(m, 40 * TL_SEC);
    assert_false(tl_behaviour_busy(model_client(m)));
    assert_int_equal(facts(m)->answered, 2);
    unsigned heard = s[1]->heard;
    model_run(m, 60 * TL_SEC);
    assert_in_range(s[1]->heard - heard, 2, 3);
    model_free(m);
}

static void a_round_anew_forgets_the_one_under_way(void **state)
{
    (void)state;
    model_server *s[3];
    model *m = settled(s);
    for (int i = 0; i < 50; i++) {
        model_begin(m);
        model_run(m, (tl_time)i * TL_MS);
    }
    (void)model_round(m);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_PORT_RESTRICTED);
    assert_int_equal(facts(m)->answered, 3);
    model_free(m);
}

static void another_network_forgets_what_was_sent_on_the_last(void **state)
{
    (void)state;
    model *m = model_new(1);
    (void)model_add(m, A, B); /* alone: its other address is asked for the mapping */
    model_begin(m);
    (void)model_round(m);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_PORT_RESTRICTED);
    model_reboot(m);
    *model_nat_of(m) = (model_nat){.mapping = TL_MAPPING_NONE,
                                   .filtering = TL_FILTERING_ENDPOINT_INDEPENDENT,
                                   .lifetime = TL_MIN,
                                   .ip = model_addr("203.0.113.50:1")};
    model_begin(m); /* with another address of our own */
    (void)model_round(m);
    assert_int_equal(facts(m)->mapping, TL_MAPPING_NONE);
    assert_int_equal(facts(m)->filtering, TL_FILTERING_ENDPOINT_INDEPENDENT);
    model_free(m);
}

/* The NAT is the same, and still open for what we sent it before the cable was out. */
static void a_cable_out_and_in_again_is_the_same_network(void **state)
{
    (void)state;
    for (tl_nat_filtering f = TL_FILTERING_ENDPOINT_INDEPENDENT;
         f <= TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT; f++) {
        model *m = model_new(1);
        model_nat_of(m)->filtering = f;
        (void)model_add(m, A, B);
        model_begin(m);
        (void)model_round(m);
        assert_int_equal(facts(m)->filtering, f);
        model_nat_of(m)->loss_percent = 100;
        tl_behaviour_set_sockets(model_client(m), 1, 2, MODEL_PORT, MODEL_PORT, NULL, 0);
        tl_behaviour_begin(model_client(m), model_now(m));
        (void)model_round(m);
        assert_true(facts(m)->udp_blocked);
        model_nat_of(m)->loss_percent = 0;
        model_begin(m);
        (void)model_round(m);
        assert_int_equal(facts(m)->filtering, f);
        model_free(m);
    }
}

/* The last run of this program sent to the relay's other address from the same port. */
static void an_opening_of_an_earlier_run_misleads_for_minutes_only(void **state)
{
    (void)state;
    model *m = model_new(1);
    model_nat_of(m)->filtering = TL_FILTERING_ADDRESS_DEPENDENT;
    (void)model_add(m, A, B);
    model_begin(m);
    (void)model_round(m);
    model_restart(m);
    model_begin(m);
    (void)model_round(m);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_FULL_CONE); /* nobody could tell */
    model_run(m, 6 * TL_MIN);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_RESTRICTED_CONE);
    unsigned told = model_told(m);
    model_run(m, 20 * TL_MIN); /* and that is that */
    assert_int_equal(model_told(m), told);
    model_free(m);
}

/* What a test could not say because of our own openings is asked again when they have closed. */
static void a_spoiled_test_is_made_good_later(void **state)
{
    (void)state;
    model *m = model_new(1);
    model_nat_of(m)->filtering = TL_FILTERING_ENDPOINT_INDEPENDENT;
    (void)model_add(m, A, B);
    model_begin(m);
    (void)model_round(m);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_FULL_CONE);
    model_reboot(m); /* another of the kind takes over, and all we see of it is the address */
    model_nat_of(m)->ip = model_addr("203.0.113.99:1");
    model_run(m, 28 * TL_SEC);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_RESTRICTED_CONE); /* at least that */
    model_run(m, 6 * TL_MIN);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_FULL_CONE);
    model_free(m);
}

static void what_was_known_of_one_nat_is_not_said_of_another(void **state)
{
    (void)state;
    model_server *s[3];
    model *m = settled(s);
    model_nat_of(m)->hairpin = true;
    model_begin(m);
    (void)model_round(m);
    assert_int_equal(facts(m)->hairpin, TL_HAIRPIN_YES);
    model_begin(m);
    model_run(m, 12 * TL_MS); /* the first answer: the same address */
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_PORT_RESTRICTED);
    assert_int_equal(facts(m)->hairpin, TL_HAIRPIN_YES);
    (void)model_round(m);
    model_reboot(m);
    model_nat_of(m)->ip = model_addr("203.0.113.99:1");
    model_begin(m);
    model_run(m, 13 * TL_MS); /* the second answer confirms another address */
    assert_true(tl_addr_same_ip(&facts(m)->public4, &model_nat_of(m)->ip));
    assert_int_equal(facts(m)->hairpin, TL_HAIRPIN_UNKNOWN);
    assert_int_equal(facts(m)->filtering, TL_FILTERING_UNKNOWN);
    model_free(m);
}

static void an_only_server_that_sees_another_nat_starts_from_nothing(void **state)
{
    (void)state;
    model *m = model_new(1);
    (void)model_add(m, A, B);
    model_begin(m);
    (void)model_round(m);
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_PORT_RESTRICTED);
    model_reboot(m);
    model_nat_of(m)->ip = model_addr("203.0.113.99:1");
    model_begin(m);
    model_run(m, 12 * TL_MS);
    assert_true(tl_addr_same_ip(&facts(m)->public4, &model_nat_of(m)->ip));
    assert_int_equal(tl_nat_type_of(facts(m)), TL_NAT_UNKNOWN);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_network_costs_one_question_every_keepalive),
        cmocka_unit_test(a_mapping_that_dies_is_asked_about_more_often),
        cmocka_unit_test(a_new_public_address_is_seen_within_a_keepalive),
        cmocka_unit_test(a_look_sees_a_moved_address_at_once_and_costs_two_questions),
        cmocka_unit_test(a_look_with_one_server_down_is_no_blocked_udp),
        cmocka_unit_test(a_look_into_silence_says_blocked_within_a_second),
        cmocka_unit_test(a_server_that_dies_is_replaced_by_another),
        cmocka_unit_test(a_round_anew_forgets_the_one_under_way),
        cmocka_unit_test(another_network_forgets_what_was_sent_on_the_last),
        cmocka_unit_test(a_cable_out_and_in_again_is_the_same_network),
        cmocka_unit_test(an_opening_of_an_earlier_run_misleads_for_minutes_only),
        cmocka_unit_test(a_spoiled_test_is_made_good_later),
        cmocka_unit_test(what_was_known_of_one_nat_is_not_said_of_another),
        cmocka_unit_test(an_only_server_that_sees_another_nat_starts_from_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
