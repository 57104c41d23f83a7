/* The pairs of a session, one function at a time: the table, the budgets, and when each pair is
 * asked, judged and given up. */
#include "pairs_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- the table --- */

static void a_pair_is_found_while_it_is_in_the_table(void **state)
{
    (void)state;
    tl_addr one = at_port(1), two = at_port(2), none = at_port(3);
    size_t first = add(TL_CANDIDATE_HOST, 1), second = add(TL_CANDIDATE_HOST, 2);
    assert_int_equal(tl_check_pair_find(c, SOCK, &one), first);
    assert_int_equal(tl_check_pair_find(c, SOCK, &two), second);
    assert_int_equal(tl_check_pair_find(c, SOCK, &none), CHECK_NO_PAIR);
    assert_int_equal(tl_check_pair_find(c, SOCK + 1, &one), CHECK_NO_PAIR);
    assert_int_equal(tl_check_pair_by_id(c, 1), first);
    assert_int_equal(tl_check_pair_by_id(c, 2), second);
    assert_int_equal(tl_check_pair_by_id(c, 3), CHECK_NO_PAIR);
    tl_check_forget(c, second); /* its memory is not cleared */
    assert_int_equal(tl_check_pair_find(c, SOCK, &two), CHECK_NO_PAIR);
    assert_int_equal(tl_check_pair_by_id(c, 2), CHECK_NO_PAIR);
}

#define AT(local) (SOCK | UINT32_C(local) << TL_SOCK_LOCAL_SHIFT)

static void a_pair_settles_for_one_of_our_addresses_until_it_is_lost(void **state)
{
    (void)state;
    tl_addr one = at_port(1);
    size_t open = add_valid(TL_CANDIDATE_HOST, 1, 10 * TL_MS);
    assert_int_equal(tl_check_pair_find(c, AT(1), &one), open);
    assert_int_equal(tl_check_pair_find(c, AT(2), &one), open);
    tl_check_pair_settle(c, open, SOCK); /* that names none */
    assert_int_equal(c->pairs[open].sock, SOCK);
    tl_check_pair_settle(c, open, AT(2));
    assert_int_equal(c->pairs[open].sock, AT(2));
    assert_int_equal(tl_check_pair_find(c, AT(2), &one), open);
    assert_int_equal(tl_check_pair_find(c, SOCK, &one), open); /* whichever it is */
    assert_int_equal(tl_check_pair_find(c, AT(1), &one), CHECK_NO_PAIR);
    assert_int_equal(tl_check_pair_find(c, AT(2) + 1, &one), CHECK_NO_PAIR);

    size_t other = tl_check_pair_add(c, SOCK, &one, TL_CANDIDATE_PEER_REFLEXIVE, T0);
    tl_check_pair_settle(c, other, AT(2)); /* another pair has it */
    assert_int_equal(c->pairs[other].sock, SOCK);
    tl_check_pair_settle(c, other, AT(1));
    assert_int_equal(tl_check_pair_find(c, AT(1), &one), other);
    assert_int_equal(tl_check_pair_find(c, AT(2), &one), open);
    assert_int_equal(tl_check_pair_find(c, AT(3), &one), CHECK_NO_PAIR);

    lose(open, T0 + 10 * TL_SEC);
    assert_int_equal(c->pairs[open].sock, SOCK);
    assert_int_equal(tl_check_pair_find(c, AT(2), &one), open);
}

static void any_valid_pair_counts_and_a_forgotten_one_does_not(void **state)
{
    (void)state;
    assert_false(tl_check_any_valid(c));
    size_t first = add(TL_CANDIDATE_HOST, 1);
    assert_false(tl_check_any_valid(c));
    size_t second = add_valid(TL_CANDIDATE_HOST, 2, TL_MS);
    assert_true(tl_check_any_valid(c));
    tl_check_forget(c, second);
    assert_false(tl_check_any_valid(c));
    ask(first, 1, T0);
    answer(first, T0, T0 + 1);
    assert_true(tl_check_any_valid(c));
}

static void forgetting_a_pair_moves_the_others_and_nothing_else(void **state)
{
    (void)state;
    for (unsigned port = 0; port < TL_CHECKS_PAIRS_MAX; port++) {
        size_t i = add(TL_CANDIDATE_HOST, port + 1);
        c->sides[i].priority = port;
    }
    for (size_t k = 0; k < CHECK_SEEN; k++)
        c->seen[k] = k + 1;
    tl_check_forget(c, 1);
    assert_int_equal(c->n, TL_CHECKS_PAIRS_MAX - 1);
    for (size_t i = 0; i < c->n; i++) {
        unsigned port = (unsigned)(i < 1 ? i : i + 1);
        assert_int_equal(c->pairs[i].remote.port, port + 1);
        assert_int_equal(c->sides[i].priority, port);
    }
    for (size_t k = 0; k < CHECK_SEEN; k++)
        assert_int_equal(c->seen[k], k + 1);
}

static void a_new_pair_waits_and_has_its_priority_and_budget(void **state)
{
    (void)state;
    tl_addr a = at_port(1);
    size_t i = add(TL_CANDIDATE_HOST, 1), k = add(TL_CANDIDATE_PEER_REFLEXIVE, 2);
    assert_int_equal(state_of(i), TL_PAIR_WAITING);
    assert_int_equal(c->pairs[i].id, 1);
    assert_int_equal(c->sides[i].priority, tl_candidate_priority(TL_CANDIDATE_HOST, &a, 0));
    assert_int_equal(c->sides[i].allow, TL_CHECKS_UNHEARD_MAX);
    assert_int_equal(c->sides[i].next_at, TL_NEVER);
    assert_int_equal(c->sides[k].allow, CHECK_UNHEARD_LEARNED);
}

static void the_table_and_the_ids_have_an_end(void **state)
{
    (void)state;
    tl_addr more = at_port(1000);
    for (unsigned port = 1; port <= TL_CHECKS_PAIRS_MAX; port++)
        add(TL_CANDIDATE_HOST, port);
    assert_int_equal(tl_check_pair_add(c, SOCK, &more, TL_CANDIDATE_HOST, T0), CHECK_NO_PAIR);
    tl_check_forget(c, 0);
    c->last_id = UINT16_MAX - 1;
    size_t i = add(TL_CANDIDATE_HOST, 1000);
    assert_int_equal(c->pairs[i].id, UINT16_MAX);
    tl_check_forget(c, i);
    assert_int_equal(tl_check_pair_add(c, SOCK, &more, TL_CANDIDATE_HOST, T0), CHECK_NO_PAIR);
}

/* --- whose place a new pair takes --- */

#define LEARNED_MAX (TL_CHECKS_PAIRS_MAX - TL_CANDIDATES_MAX)

/* As many learned pairs as there may be, all on their way. */
static void fill_with_learned(void)
{
    for (unsigned port = 1; port <= LEARNED_MAX; port++) {
        size_t i = add(TL_CANDIDATE_PEER_REFLEXIVE, port);
        ask(i, port, T0);
    }
}

static void fail_asked_at(size_t i, tl_time asked_at)
{
    c->sides[i].asked_at = asked_at;
    tl_check_give_up(c, i);
}

static bool port_exists(unsigned port)
{
    tl_addr a = at_port(port);
    return tl_check_pair_find(c, SOCK, &a) != CHECK_NO_PAIR;
}

static bool finds_room(tl_time now)
{
    tl_addr a = at_port(1000);
    return tl_check_pair_add(c, SOCK, &a, TL_CANDIDATE_PEER_REFLEXIVE, now) != CHECK_NO_PAIR;
}

static void a_learned_pair_makes_room_when_it_has_failed_for_long_enough(void **state)
{
    (void)state;
    static const size_t places[] = {0, 5, LEARNED_MAX - 1};
    for (size_t k = 0; k < 3; k++) {
        memset(c->pairs, 0, sizeof c->pairs);
        c->n = c->last_id = 0;
        fill_with_learned();
        assert_false(finds_room(T0 + TL_MIN)); /* all are on their way */
        fail_asked_at(places[k], T0 + TL_SEC);
        assert_false(finds_room(T0 + TL_SEC + CHECK_FORGIVE - 1));
        assert_true(finds_room(T0 + TL_SEC + CHECK_FORGIVE));
        assert_false(port_exists((unsigned)places[k] + 1));
        assert_int_equal(c->n, LEARNED_MAX);
    }
}

static void the_oldest_failed_pair_makes_room_first_and_a_lost_one_last(void **state)
{
    (void)state;
    tl_time later = T0 + TL_MIN;
    fill_with_learned();
    answer(2, T0, T0 + 1);
    lose(2, T0 + 5 * TL_SEC); /* the longest of no use, but it was of use once */
    answer(9, T0, T0 + 1);
    lose(9, T0 + 4 * TL_SEC);
    fail_asked_at(4, T0 + 8 * TL_SEC);
    fail_asked_at(6, T0 + 7 * TL_SEC);
    fail_asked_at(8, T0 + 9 * TL_SEC);
    static const unsigned order[] = {7, 5, 9, 10, 3}; /* ports: one more than the place */
    for (size_t k = 0; k < 5; k++) {
        assert_true(port_exists(order[k]));
        assert_true(finds_room(later));
        assert_false(port_exists(order[k]));
        for (size_t other = k + 1; other < 5; other++)
            assert_true(port_exists(order[other]));
    }
    assert_false(finds_room(later));
}

static void a_candidate_never_makes_room_for_a_learned_pair(void **state)
{
    (void)state;
    for (unsigned port = 1; port <= TL_CHECKS_PAIRS_MAX; port++)
        fail_asked_at(add(TL_CANDIDATE_HOST, port), T0);
    assert_false(finds_room(T0 + TL_MIN));
}

static void of_two_that_failed_together_the_first_makes_room(void **state)
{
    (void)state;
    fill_with_learned();
    fail_asked_at(3, T0);
    fail_asked_at(6, T0);
    assert_true(finds_room(T0 + TL_MIN));
    assert_false(port_exists(4));
    assert_true(port_exists(7));
}

/* A pair beyond the end of the table looks like one that failed long ago. */
static void only_the_pairs_of_the_table_make_room(void **state)
{
    (void)state;
    fill_with_learned();
    c->pairs[c->n] = c->pairs[0];
    c->pairs[c->n].state = TL_PAIR_FAILED;
    c->sides[c->n].asked_at = T0;
    assert_false(finds_room(T0 + TL_MIN));
    assert_int_equal(c->n, LEARNED_MAX);
}

/* --- budgets --- */

static void packets_to_strangers_count_against_pair_and_attempt(void **state)
{
    (void)state;
    static const struct {
        tl_candidate_kind kind;
        unsigned asked_by_peer;
        bool of_attempt;
    } rows[] = {
        {TL_CANDIDATE_HOST, 0, true},
        {TL_CANDIDATE_HOST, 1, false}, /* signed by the peer, and it asked from there */
        {TL_CANDIDATE_PEER_REFLEXIVE, 0, true},
        {TL_CANDIDATE_PEER_REFLEXIVE, 1, true}, /* a check can be diverted there */
    };
    for (unsigned k = 0; k < 4; k++) {
        size_t i = add(rows[k].kind, k + 1);
        unsigned allow = c->sides[i].allow;
        c->pairs[i].asked_by_peer = rows[k].asked_by_peer;
        c->attempt_left = 1;
        assert_true(tl_check_may_send(c, i));
        tl_check_spend(c, i);
        assert_int_equal(c->sides[i].allow, allow - 1);
        assert_int_equal(c->attempt_left, rows[k].of_attempt ? 0 : 1);
        assert_int_equal(tl_check_may_send(c, i), !rows[k].of_attempt);
        c->attempt_left = 1;
        c->sides[i].allow = 0;
        assert_false(tl_check_may_send(c, i));
    }
}

static void packets_to_a_proven_pair_cost_nothing_until_it_is_given_up(void **state)
{
    (void)state;
    size_t i = add_valid(TL_CANDIDATE_PEER_REFLEXIVE, 1, TL_MS);
    c->sides[i].allow = c->attempt_left = 0;
    assert_true(tl_check_may_send(c, i));
    tl_check_spend(c, i);
    lose(i, T0 + TL_SEC);
    assert_true(tl_check_may_send(c, i));
    tl_check_spend(c, i);
    assert_int_equal(c->sides[i].allow, 0);
    assert_int_equal(c->attempt_left, 0);
    tl_check_judge(c, i, T0 + TL_SEC + CHECK_GIVE_UP);
    assert_int_equal(state_of(i), TL_PAIR_FAILED);
    assert_false(tl_check_may_send(c, i));
    c->sides[i].allow = 1;
    assert_false(tl_check_may_send(c, i)); /* the attempt's is spent */
    c->attempt_left = 1;
    assert_true(tl_check_may_send(c, i));
}

static void each_request_of_the_peer_allows_two_packets_up_to_seven(void **state)
{
    (void)state;
    size_t i = add_learned();
    c->sides[i].allow = 0;
    for (unsigned n = 1; n <= 6; n++) {
        tl_check_on_asked(c, i, T0 + n * TL_SEC);
        assert_int_equal(c->pairs[i].asked_by_peer, n);
        assert_int_equal(c->pairs[i].heard, T0 + n * TL_SEC);
        unsigned allow = 2 * n < 7 ? 2 * n : 7;
        assert_int_equal(c->sides[i].allow, allow);
    }
}

/* --- being asked, and hints --- */

static void a_request_asks_back_at_once_but_not_twice_in_fifty_milliseconds(void **state)
{
    (void)state;
    size_t i = add_candidate();
    check_side *x = &c->sides[i];
    x->tries = 3;
    tl_check_on_asked(c, i, T0);
    assert_int_equal(x->tries, 0);
    assert_int_equal(x->next_at, T0);
    assert_true(x->at_once);
    ask(i, 1, T0);
    tl_time planned = x->next_at;
    tl_check_on_asked(c, i, T0 + CHECK_RTO_MIN - 1);
    assert_int_equal(x->next_at, planned);
    assert_false(x->at_once);
    tl_check_on_asked(c, i, T0 + CHECK_RTO_MIN);
    assert_int_equal(x->next_at, T0 + CHECK_RTO_MIN);
    assert_true(x->at_once);
}

static void a_valid_pair_is_not_asked_because_the_peer_asks(void **state)
{
    (void)state;
    size_t i = add_valid(TL_CANDIDATE_HOST, 1, TL_MS);
    tl_time planned = c->sides[i].next_at;
    tl_check_on_asked(c, i, T0 + TL_SEC);
    tl_check_on_hint(c, i, T0 + TL_SEC);
    assert_int_equal(c->sides[i].next_at, planned);
    assert_false(c->sides[i].at_once);
}

static void a_hint_asks_at_once_but_not_twice_in_fifty_milliseconds(void **state)
{
    (void)state;
    size_t i = add_learned();
    check_side *x = &c->sides[i];
    tl_check_on_hint(c, i, 1); /* it was never asked, whatever the clock says */
    assert_int_equal(x->next_at, 1);
    assert_true(x->at_once);
    ask(i, 1, T0);
    tl_time planned = x->next_at;
    tl_check_on_hint(c, i, T0 + CHECK_RTO_MIN - 1);
    assert_int_equal(x->next_at, planned);
    assert_false(x->at_once);
    tl_check_on_hint(c, i, T0 + CHECK_RTO_MIN);
    assert_int_equal(x->next_at, T0 + CHECK_RTO_MIN);
    assert_true(x->at_once);
}

static void a_hint_without_a_budget_is_counted(void **state)
{
    (void)state;
    size_t i = add_learned();
    c->sides[i].allow = 0;
    tl_check_on_hint(c, i, T0);
    assert_int_equal(c->counters.over_budget, 1);
    assert_int_equal(c->sides[i].next_at, TL_NEVER);
    c->sides[i].allow = 1;
    tl_check_on_hint(c, i, T0);
    assert_int_equal(c->counters.over_budget, 1);
    assert_int_equal(c->sides[i].next_at, T0);
}

static void a_failed_address_is_forgiven_after_ten_seconds_and_no_other(void **state)
{
    (void)state;
    size_t i = add_learned();
    ask(i, 1, T0);
    c->sides[i].allow = 0;
    tl_check_on_hint(c, i, T0 + CHECK_FORGIVE); /* it is still being asked */
    assert_int_equal(c->sides[i].allow, 0);
    tl_check_give_up(c, i);
    tl_check_on_hint(c, i, T0 + CHECK_FORGIVE - 1);
    assert_int_equal(c->sides[i].allow, 0);
    tl_check_on_hint(c, i, T0 + CHECK_FORGIVE);
    assert_int_equal(c->sides[i].allow, CHECK_UNHEARD_LEARNED);
    c->sides[i].allow = 0;
    tl_check_on_asked(c, i, T0 + CHECK_FORGIVE);
    assert_int_equal(c->sides[i].allow, CHECK_UNHEARD_LEARNED + CHECK_PER_REQUEST);
}

/* --- restarts --- */

static void a_restart_puts_each_state_back_where_it_belongs(void **state)
{
    (void)state;
    size_t waiting = add(TL_CANDIDATE_HOST, 1), probing = add(TL_CANDIDATE_HOST, 2),
           failed = add(TL_CANDIDATE_HOST, 3), valid = add_valid(TL_CANDIDATE_HOST, 4, TL_MS),
           lost = add_valid(TL_CANDIDATE_HOST, 5, TL_MS);
    ask(probing, 1, T0);
    ask(failed, 1, T0);
    tl_check_give_up(c, failed);
    lose(lost, T0 + TL_SEC);
    for (size_t i = 0; i < c->n; i++) {
        c->sides[i].tries = 3;
        tl_check_renew(c, i, SOCK, T0 + 9 * TL_SEC);
        assert_int_equal(c->sides[i].tries, 0);
        assert_int_equal(c->sides[i].next_at, T0 + 9 * TL_SEC);
    }
    assert_int_equal(state_of(waiting), TL_PAIR_WAITING);
    assert_int_equal(state_of(probing), TL_PAIR_WAITING);
    assert_int_equal(state_of(failed), TL_PAIR_WAITING);
    assert_int_equal(state_of(valid), TL_PAIR_VALID);
    assert_int_equal(state_of(lost), TL_PAIR_LOST);
}

static void without_a_socket_a_valid_pair_is_lost_and_every_other_fails(void **state)
{
    (void)state;
    size_t waiting = add(TL_CANDIDATE_HOST, 1), probing = add(TL_CANDIDATE_HOST, 2),
           valid = add_valid(TL_CANDIDATE_HOST, 3, TL_MS),
           lost = add_valid(TL_CANDIDATE_HOST, 4, TL_MS);
    ask(probing, 1, T0);
    lose(lost, T0 + TL_SEC);
    for (size_t i = 0; i < c->n; i++) {
        tl_check_renew(c, i, 0, T0 + 9 * TL_SEC);
        assert_int_equal(c->sides[i].next_at, TL_NEVER);
    }
    assert_int_equal(state_of(waiting), TL_PAIR_FAILED);
    assert_int_equal(state_of(probing), TL_PAIR_FAILED);
    assert_int_equal(state_of(valid), TL_PAIR_LOST);
    assert_int_equal(state_of(lost), TL_PAIR_LOST);
    for (size_t i = 0; i < c->n; i++) /* and back */
        tl_check_renew(c, i, SOCK, T0 + 10 * TL_SEC);
    assert_int_equal(state_of(waiting), TL_PAIR_WAITING);
    assert_int_equal(state_of(valid), TL_PAIR_LOST);
    assert_int_equal(c->sides[valid].next_at, T0 + 10 * TL_SEC);
}

static void a_restart_gives_a_fresh_budget_of_its_kind(void **state)
{
    (void)state;
    size_t candidate = add(TL_CANDIDATE_HOST, 1), learned = add(TL_CANDIDATE_PEER_REFLEXIVE, 2);
    c->sides[candidate].allow = c->sides[learned].allow = 0;
    tl_check_renew(c, candidate, SOCK, T0);
    tl_check_renew(c, learned, SOCK, T0);
    assert_int_equal(c->sides[candidate].allow, TL_CHECKS_UNHEARD_MAX);
    assert_int_equal(c->sides[learned].allow, CHECK_UNHEARD_LEARNED);
}

static void over_another_socket_nothing_is_under_way(void **state)
{
    (void)state;
    size_t i = add_valid(TL_CANDIDATE_HOST, 1, TL_MS);
    ask(i, 5, T0 + TL_SEC);
    tl_check_renew(c, i, SOCK, T0 + TL_SEC); /* the same */
    assert_int_equal(c->sides[i].unanswered, 1);
    tl_check_renew(c, i, SOCK + 1, T0 + TL_SEC);
    assert_int_equal(c->pairs[i].sock, SOCK + 1);
    assert_int_equal(c->sides[i].unanswered, 0);
    for (size_t t = 0; t < CHECK_TXNS; t++)
        assert_int_equal(c->sides[i].txns[t].id, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, pairs_setup, pairs_teardown)
    const struct CMUnitTest tests[] = {
        T(a_pair_is_found_while_it_is_in_the_table),
        T(a_pair_settles_for_one_of_our_addresses_until_it_is_lost),
        T(any_valid_pair_counts_and_a_forgotten_one_does_not),
        T(forgetting_a_pair_moves_the_others_and_nothing_else),
        T(a_new_pair_waits_and_has_its_priority_and_budget),
        T(the_table_and_the_ids_have_an_end),
        T(a_learned_pair_makes_room_when_it_has_failed_for_long_enough),
        T(the_oldest_failed_pair_makes_room_first_and_a_lost_one_last),
        T(a_candidate_never_makes_room_for_a_learned_pair),
        T(of_two_that_failed_together_the_first_makes_room),
        T(only_the_pairs_of_the_table_make_room),
        T(packets_to_strangers_count_against_pair_and_attempt),
        T(packets_to_a_proven_pair_cost_nothing_until_it_is_given_up),
        T(each_request_of_the_peer_allows_two_packets_up_to_seven),
        T(a_request_asks_back_at_once_but_not_twice_in_fifty_milliseconds),
        T(a_valid_pair_is_not_asked_because_the_peer_asks),
        T(a_hint_asks_at_once_but_not_twice_in_fifty_milliseconds),
        T(a_hint_without_a_budget_is_counted),
        T(a_failed_address_is_forgiven_after_ten_seconds_and_no_other),
        T(a_restart_puts_each_state_back_where_it_belongs),
        T(without_a_socket_a_valid_pair_is_lost_and_every_other_fails),
        T(a_restart_gives_a_fresh_budget_of_its_kind),
        T(over_another_socket_nothing_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
