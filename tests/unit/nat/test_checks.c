/* One session's checks: who is asked, when, how often, and what comes of it. */
#include "checks_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- keys and names --- */

/* Made by a few lines of Python: RFC 7748's ladder, hmac and hashlib. */
static void the_keys_are_those_of_the_description(void **state)
{
    (void)state;
    static const char ab[] = "86ae32285bde9902f236962f6e581fb98d3454b95f04e108a09ee791c7bec54b";
    static const char ba[] = "57ae4271617fe396d44226304431202029d908f01221362a60e284bb601187e2";
    uint8_t seed_a[32], seed_b[32], send[32], receive[32];
    char hex[65];
    memset(seed_a, 1, sizeof seed_a);
    memset(seed_b, 2, sizeof seed_b);
    tl_identity a, b;
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_from_seed(seed_a, &a), TL_OK);
    assert_int_equal(tl_identity_from_seed(seed_b, &b), TL_OK);
    assert_int_equal(tl_check_keys(&a, &b.id, SESSION, send, receive), TL_OK);
    tl_hex_write(hex, send, sizeof send);
    assert_string_equal(hex, ab);
    tl_hex_write(hex, receive, sizeof receive);
    assert_string_equal(hex, ba);
    assert_int_equal(tl_check_keys(&b, &a.id, SESSION, send, receive), TL_OK);
    tl_hex_write(hex, send, sizeof send);
    assert_string_equal(hex, ba);
    tl_hex_write(hex, receive, sizeof receive);
    assert_string_equal(hex, ab);
    /* another session, other keys */
    assert_int_equal(tl_check_keys(&a, &b.id, SESSION "x", send, receive), TL_OK);
    tl_hex_write(hex, send, sizeof send);
    assert_string_not_equal(hex, ab);
    /* with oneself, none */
    assert_int_equal(tl_check_keys(&a, &a.id, SESSION, send, receive), TL_ERR_AUTH);
}

static void the_username_is_the_begin_of_the_session(void **state)
{
    (void)state;
    char name[TL_CHECK_USERNAME + 1];
    tl_check_username(SESSION, name);
    assert_string_equal(name, "3f2504e04f8941d3");
    tl_check_username("0f8fad5b-d9cb-469f", name);
    assert_string_equal(name, "0f8fad5bd9cb469f");
    tl_check_username("short", name);
    assert_string_equal(name, "6be6c146a474c3a7");
    tl_check_username("", name);
    assert_int_equal(strlen(name), TL_CHECK_USERNAME);
}

/* --- an attempt --- */

static void a_check_carries_what_the_description_says(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_output o = a_check(&s);
    tl_stun stun;
    uint8_t send[32], receive[32];
    assert_int_equal(o.sock, SOCK4);
    assert_true(tl_addr_eq(&o.to, &s.at_b));
    tl_slice bytes = tl_slice_of(o.bytes, o.n);
    assert_int_equal(tl_stun_read(bytes, &stun), TL_OK);
    assert_int_equal(stun.class, TL_STUN_REQUEST);
    assert_true(tl_slice_eq(stun.username, TL_SLICE_LIT("3f2504e04f8941d3")));
    assert_true(stun.has_priority && stun.fingerprint);
    assert_int_equal(tl_checks_tag_of(&stun), 0xA0A1A2A3);
    assert_memory_equal(stun.id.bytes, "\xA0\xA1\xA2\xA3", 4);
    assert_int_equal(tl_check_keys(&s.a_identity, &s.b_identity.id, SESSION, send, receive), TL_OK);
    assert_int_equal(tl_stun_verify(bytes, &stun, tl_slice_of(send, 32)), TL_OK);
    assert_int_equal(tl_stun_verify(bytes, &stun, tl_slice_of(receive, 32)), TL_ERR_AUTH);
    scene_clear(&s);
}

static void a_check_is_answered_and_asked_back_at_once(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_output check = a_check(&s);
    give(&s, s.b, SOCK4, &s.at_a, &check); /* b knows no candidate, and has not even started */
    tl_checks_output answer = take(&s, s.b), back = take(&s, s.b);
    expect_silent(&s, s.b);
    assert_false(is_request(&answer));
    assert_true(is_request(&back));
    assert_true(tl_addr_eq(&answer.to, &s.at_a) && tl_addr_eq(&back.to, &s.at_a));

    s.now += 30 * TL_MS;
    give(&s, s.a, SOCK4, &s.at_b, &answer);
    give(&s, s.a, SOCK4, &s.at_b, &back);
    const tl_pair *p = tl_checks_find(s.a, SOCK4, &s.at_b);
    assert_int_equal(p->state, TL_PAIR_VALID);
    assert_int_equal(p->rtt, 30 * TL_MS);
    assert_int_equal(p->valid_since, s.now);
    assert_int_equal(p->heard, s.now);
    assert_true(tl_addr_eq(&p->seen_as, &s.at_a));
    assert_int_equal(p->pace, TL_PACE_KEEP);
    tl_checks_output answer2 = take(&s, s.a);
    s.now += 30 * TL_MS;
    give(&s, s.b, SOCK4, &s.at_a, &answer2);
    p = tl_checks_find(s.b, SOCK4, &s.at_a);
    assert_int_equal(p->state, TL_PAIR_VALID);
    assert_int_equal(p->kind, TL_CANDIDATE_PEER_REFLEXIVE);
    assert_int_equal(events_of(s.a, TL_CHECKS_VALID), 1);
    assert_int_equal(events_of(s.b, TL_CHECKS_VALID), 1);
    scene_clear(&s);
}

#define AT(local) (SOCK4 | UINT32_C(local) << TL_SOCK_LOCAL_SHIFT)

/* b has two addresses. a asks the second; b asks a from the one that its kernel chooses, the first. */
static void a_check_is_answered_and_asked_back_from_the_address_it_came_to(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    add(&s, s.b, TL_CANDIDATE_HOST, &s.at_a);
    tl_checks_start(s.b, s.now);
    tl_checks_output own = take(&s, s.b); /* leaves from AT(1) */
    assert_int_equal(own.sock, SOCK4);
    tl_checks_output check = a_check(&s);
    s.now += TL_SEC / 5;
    give(&s, s.b, AT(2), &s.at_a, &check);
    tl_checks_output answer = take(&s, s.b), back = take(&s, s.b);
    assert_false(is_request(&answer));
    assert_true(is_request(&back));
    assert_int_equal(answer.sock, AT(2));
    assert_int_equal(back.sock, AT(2));

    /* a hears b's first check from an address that it does not know, and asks it */
    tl_addr first = addr("203.0.113.77", s.at_b.port);
    give(&s, s.a, SOCK4, &first, &own);
    tl_checks_output yes = take(&s, s.a), too = take(&s, s.a);
    if (is_request(&yes)) {
        tl_checks_output swap = yes;
        yes = too;
        too = swap;
    }
    assert_true(tl_addr_eq(&yes.to, &first) && tl_addr_eq(&too.to, &first));
    give(&s, s.b, AT(1), &s.at_a, &too);
    answer = take(&s, s.b);
    assert_int_equal(answer.sock, AT(1));
    const tl_pair *p1 = tl_checks_find(s.b, AT(1), &s.at_a);
    const tl_pair *p2 = tl_checks_find(s.b, AT(2), &s.at_a);
    assert_non_null(p1);
    assert_non_null(p2);
    assert_int_not_equal(p1->id, p2->id);
    scene_clear(&s);
}

static void an_answer_at_another_of_our_addresses_settles_which_it_is(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_output check = a_check(&s);
    assert_int_equal(check.sock, SOCK4);
    give(&s, s.b, SOCK4, &s.at_a, &check);
    tl_checks_output answer = take(&s, s.b);
    give(&s, s.a, AT(3), &s.at_b, &answer);
    const tl_pair *p = tl_checks_find(s.a, AT(3), &s.at_b);
    assert_non_null(p);
    assert_int_equal(p->state, TL_PAIR_VALID);
    assert_int_equal(p->sock, AT(3));
    s.now += TL_SEC;
    tl_checks_on_timer(s.a, s.now);
    assert_int_equal(take(&s, s.a).sock, AT(3));
    /* the network moved: the kernel chooses again */
    tl_checks_restart(s.a, SOCK4, SOCK6, s.now);
    assert_int_equal(tl_checks_find(s.a, AT(3), &s.at_b)->sock, SOCK4);
    scene_clear(&s);
}

static void a_silent_address_is_asked_five_times_in_one_and_a_half_seconds(void **state)
{
    (void)state;
    static const unsigned at_ms[] = {0, 100, 300, 700, 1500};
    scene s;
    scene_init(&s);
    add(&s, s.a, TL_CANDIDATE_HOST, &s.at_b);
    expect_silent(&s, s.a); /* not before the start */
    assert_int_equal(tl_checks_expiry(s.a), TL_NEVER);
    tl_checks_start(s.a, s.now);
    for (size_t i = 0; i < 5; i++) {
        s.now = tl_checks_expiry(s.a) > s.now ? tl_checks_expiry(s.a) : s.now;
        uint64_t off = (s.now - T0) / TL_MS;
        assert_true(off >= at_ms[i] * 9 / 10 && off <= at_ms[i] * 11 / 10 + 1);
        tl_checks_on_timer(s.a, s.now);
        take(&s, s.a);
        expect_silent(&s, s.a);
        assert_int_equal(tl_checks_find(s.a, SOCK4, &s.at_b)->state, TL_PAIR_PROBING);
    }
    assert_int_equal(pass(&s, s.a, T0 + 3 * TL_SEC - TL_MS - s.now), 0);
    assert_int_equal(events_of(s.a, TL_CHECKS_DONE), 0);
    assert_int_equal(tl_checks_find(s.a, SOCK4, &s.at_b)->state, TL_PAIR_FAILED);
    assert_int_equal(pass(&s, s.a, TL_MIN), 0);
    assert_int_equal(events_of(s.a, TL_CHECKS_DONE), 1);
    assert_int_equal(tl_checks_expiry(s.a), TL_NEVER);
    scene_clear(&s);
}

static void new_probes_go_by_priority_and_five_milliseconds_apart(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_addr host = addr("192.168.1.2", 1), six = addr("2001:db8::2", 2);
    add(&s, s.a, TL_CANDIDATE_SERVER_REFLEXIVE, &s.at_b);
    add(&s, s.a, TL_CANDIDATE_HOST, &host);
    add(&s, s.a, TL_CANDIDATE_HOST, &six);
    tl_checks_start(s.a, s.now);
    const tl_addr *order[] = {&six, &host, &s.at_b};
    for (size_t i = 0; i < 3; i++) {
        tl_checks_output o = take(&s, s.a);
        assert_true(tl_addr_eq(&o.to, order[i]));
        assert_int_equal(o.sock, i == 0 ? SOCK6 : SOCK4);
        expect_silent(&s, s.a);
        if (i < 2)
            assert_int_equal(tl_checks_expiry(s.a), s.now + 5 * TL_MS);
        s.now += 5 * TL_MS;
    }
    scene_clear(&s);
}

static void a_candidate_without_a_socket_fails_at_once(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_restart(s.a, SOCK4, 0, s.now);
    tl_addr six = addr("2001:db8::2", 2);
    add(&s, s.a, TL_CANDIDATE_HOST, &six);
    assert_int_equal(tl_checks_find(s.a, 0, &six)->state, TL_PAIR_FAILED);
    assert_int_equal(pass(&s, s.a, 2 * TL_SEC), 0);
    /* with a socket it has its chance */
    tl_checks_restart(s.a, SOCK4, SOCK6, s.now);
    tl_checks_output o = take(&s, s.a);
    assert_true(tl_addr_eq(&o.to, &six) && o.sock == SOCK6);
    scene_clear(&s);
}

static void a_late_candidate_has_its_time(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_start(s.a, s.now);
    pass(&s, s.a, 2900 * TL_MS);
    add(&s, s.a, TL_CANDIDATE_HOST, &s.at_b);
    assert_int_equal(pass(&s, s.a, 2 * TL_SEC), 5);
    assert_int_equal(events_of(s.a, TL_CHECKS_DONE), 0);
    pass(&s, s.a, TL_SEC);
    assert_int_equal(events_of(s.a, TL_CHECKS_DONE), 1);
    /* and after the end, too, but nothing is told twice */
    tl_addr later = addr("203.0.113.9", 9);
    add(&s, s.a, TL_CANDIDATE_HOST, &later);
    assert_int_equal(pass(&s, s.a, TL_MIN), 5);
    assert_int_equal(events_of(s.a, TL_CHECKS_DONE), 0);
    scene_clear(&s);
}

static void candidates_that_trickle_do_not_put_off_the_end_for_ever(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_start(s.a, s.now);
    for (uint16_t i = 0; i < 16; i++) {
        tl_addr a = addr("203.0.113.9", (uint16_t)(100 + i));
        add(&s, s.a, TL_CANDIDATE_HOST, &a);
        pass(&s, s.a, 500 * TL_MS);
    }
    assert_int_equal(events_of(s.a, TL_CHECKS_DONE), 1);
    scene_clear(&s);
}

/* --- the table --- */

static void a_candidate_learned_from_a_check_keeps_its_pair(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_output check = a_check(&s);
    give(&s, s.b, SOCK4, &s.at_a, &check);
    uint16_t id = tl_checks_find(s.b, SOCK4, &s.at_a)->id;
    size_t n;
    add(&s, s.b, TL_CANDIDATE_SERVER_REFLEXIVE, &s.at_a);
    tl_checks_pairs(s.b, &n);
    assert_int_equal(n, 1);
    assert_int_equal(tl_checks_find(s.b, SOCK4, &s.at_a)->id, id);
    assert_int_equal(tl_checks_pair(s.b, id)->kind, TL_CANDIDATE_SERVER_REFLEXIVE);
    add(&s, s.b, TL_CANDIDATE_SERVER_REFLEXIVE, &s.at_a);
    tl_checks_pairs(s.b, &n);
    assert_int_equal(n, 1);
    assert_null(tl_checks_pair(s.b, 77));
    scene_clear(&s);
}

static void an_address_learned_in_vain_has_the_rest_of_its_budget_as_a_candidate(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    make_valid(&s);
    tl_addr moved = addr("203.0.113.2", 5005);
    tl_checks_probe(s.a, SOCK4, &moved, s.now);
    pass(&s, s.a, 3 * TL_SEC);
    assert_int_equal(tl_checks_find(s.a, SOCK4, &moved)->state, TL_PAIR_FAILED);
    assert_int_equal(tl_checks_find(s.a, SOCK4, &moved)->sent, 3);
    add(&s, s.a, TL_CANDIDATE_HOST, &moved);
    pass(&s, s.a, 3 * TL_SEC);
    assert_int_equal(tl_checks_find(s.a, SOCK4, &moved)->sent, TL_CHECKS_UNHEARD_MAX);
    scene_clear(&s);
}

static void two_hundred_candidates_cost_eighty_packets(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    for (uint16_t i = 0; i < 200; i++) {
        tl_addr a = addr("203.0.113.9", (uint16_t)(1 + i));
        add(&s, s.a, TL_CANDIDATE_HOST, &a);
    }
    tl_checks_start(s.a, s.now);
    assert_int_equal(pass(&s, s.a, TL_MIN), TL_CANDIDATES_MAX * TL_CHECKS_UNHEARD_MAX);
    assert_int_equal(tl_checks_counters_of(s.a)->candidates_ignored, 200 - TL_CANDIDATES_MAX);
    scene_clear(&s);
}

static void after_a_restart_new_candidates_take_the_place_of_old(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    make_valid(&s); /* one that must stay */
    for (uint16_t i = 0; i < 15; i++) {
        tl_addr a = addr("203.0.113.9", (uint16_t)(1 + i));
        add(&s, s.a, TL_CANDIDATE_HOST, &a);
    }
    tl_checks_restart(s.a, SOCK4, SOCK6, s.now);
    for (uint16_t i = 0; i < 16; i++) {
        tl_addr a = addr("203.0.113.10", (uint16_t)(1 + i));
        add(&s, s.a, TL_CANDIDATE_HOST, &a);
    }
    tl_addr last = addr("203.0.113.10", 15), one_more = addr("203.0.113.10", 16);
    assert_non_null(tl_checks_find(s.a, SOCK4, &last));
    assert_null(tl_checks_find(s.a, SOCK4, &one_more));
    assert_non_null(tl_checks_find(s.a, SOCK4, &s.at_b));
    assert_int_equal(tl_checks_counters_of(s.a)->candidates_ignored, 1);
    scene_clear(&s);
}

static void a_relay_or_no_address_is_no_candidate(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_addr none = {.family = TL_ADDR_NONE};
    add(&s, s.a, TL_CANDIDATE_RELAYED, &s.at_b);
    add(&s, s.a, TL_CANDIDATE_HOST, &none);
    size_t n;
    tl_checks_pairs(s.a, &n);
    assert_int_equal(n, 0);
    assert_int_equal(tl_checks_counters_of(s.a)->candidates_ignored, 2);
    add(&s, s.a, TL_CANDIDATE_HOST, &s.at_b);
    tl_checks_pairs(s.a, &n);
    assert_int_equal(n, 1);
    scene_clear(&s);
}

/* --- hints --- */

static void a_hint_asks_once_in_fifty_milliseconds_and_three_times_in_all(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    make_valid(&s);
    tl_addr moved = addr("203.0.113.2", 5005);
    size_t n = 0, first = 0;
    for (int i = 0; i < 100; i++) {
        tl_checks_probe(s.a, SOCK4, &moved, s.now);
        tl_checks_output o;
        while (tl_checks_next_output(s.a, s.now, &o))
            n += tl_addr_eq(&o.to, &moved);
        if (i == 4)
            first = n;
        s.now += 10 * TL_MS;
    }
    assert_int_equal(first, 1);
    assert_int_equal(n, 3);
    /* not over a socket that is not ours, nor to an address that nobody may name */
    tl_addr loopback = addr("127.0.0.1", 5005), other = addr("203.0.113.2", 6006);
    tl_checks_probe(s.a, 99, &other, s.now);
    tl_checks_probe(s.a, SOCK4, &loopback, s.now);
    assert_null(tl_checks_find(s.a, SOCK4, &loopback));
    assert_null(tl_checks_find(s.a, 99, &other));
    tl_checks_probe(s.a, SOCK4, &other, s.now);
    assert_non_null(tl_checks_find(s.a, SOCK4, &other));
    scene_clear(&s);
}

static void a_keepalive_that_is_shortened_holds_at_once(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    make_valid(&s);
    s.now += 10 * TL_SEC; /* the confirming checks, unanswered, would lose it: */
    tl_checks_free(s.b);
    s.b = scene_checks(&s, &s.b_identity, &s.a_identity, SESSION, 0xB0B1B2B3);
    tl_checks_output o = take(&s, s.a);
    give(&s, s.b, SOCK4, &s.at_a, &o);
    o = take(&s, s.b);
    give(&s, s.a, SOCK4, &s.at_b, &o);
    tl_checks_set_keepalive(s.a, 5 * TL_SEC);
    assert_true(tl_checks_expiry(s.a) <= s.now + 5 * TL_SEC);
    tl_checks_set_keepalive(s.a, 0); /* nonsense: a second, then */
    assert_true(tl_checks_expiry(s.a) >= s.now + 100 * TL_MS);
    scene_clear(&s);
}

/* Of an address that a check taught us, and that is lost for so long that it is given up. What was
 * once there may be somebody else's now. */
static void an_address_given_up_has_its_few_packets_after_a_restart_and_no_more(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_output check = a_check(&s);
    give(&s, s.b, SOCK4, &s.at_a, &check);
    take(&s, s.b); /* its answer, and then its question */
    tl_checks_output back = take(&s, s.b);
    give(&s, s.a, SOCK4, &s.at_b, &back);
    tl_checks_output answer = take(&s, s.a);
    give(&s, s.b, SOCK4, &s.at_a, &answer);
    assert_int_equal(tl_checks_find(s.b, SOCK4, &s.at_a)->state, TL_PAIR_VALID);
    pass(&s, s.b, 12 * TL_MIN);
    assert_int_equal(tl_checks_find(s.b, SOCK4, &s.at_a)->state, TL_PAIR_FAILED);
    assert_int_equal(pass(&s, s.b, TL_MIN), 0);
    tl_checks_restart(s.b, SOCK4, SOCK6, s.now);
    size_t n = pass(&s, s.b, 10 * TL_MIN);
    assert_in_range(n, 1, TL_CHECKS_UNHEARD_MAX);
    assert_int_equal(tl_checks_find(s.b, SOCK4, &s.at_a)->state, TL_PAIR_FAILED);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_keys_are_those_of_the_description),
        cmocka_unit_test(the_username_is_the_begin_of_the_session),
        cmocka_unit_test(a_check_carries_what_the_description_says),
        cmocka_unit_test(a_check_is_answered_and_asked_back_at_once),
        cmocka_unit_test(a_check_is_answered_and_asked_back_from_the_address_it_came_to),
        cmocka_unit_test(an_answer_at_another_of_our_addresses_settles_which_it_is),
        cmocka_unit_test(a_silent_address_is_asked_five_times_in_one_and_a_half_seconds),
        cmocka_unit_test(new_probes_go_by_priority_and_five_milliseconds_apart),
        cmocka_unit_test(a_candidate_without_a_socket_fails_at_once),
        cmocka_unit_test(a_late_candidate_has_its_time),
        cmocka_unit_test(candidates_that_trickle_do_not_put_off_the_end_for_ever),
        cmocka_unit_test(a_candidate_learned_from_a_check_keeps_its_pair),
        cmocka_unit_test(an_address_learned_in_vain_has_the_rest_of_its_budget_as_a_candidate),
        cmocka_unit_test(two_hundred_candidates_cost_eighty_packets),
        cmocka_unit_test(after_a_restart_new_candidates_take_the_place_of_old),
        cmocka_unit_test(a_relay_or_no_address_is_no_candidate),
        cmocka_unit_test(a_hint_asks_once_in_fifty_milliseconds_and_three_times_in_all),
        cmocka_unit_test(a_keepalive_that_is_shortened_holds_at_once),
        cmocka_unit_test(an_address_given_up_has_its_few_packets_after_a_restart_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
