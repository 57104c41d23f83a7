/* Strangers, whose identities cost nothing: what they leave in memory and on the disk is bounded, and takes
 * nothing from members and from those with whom something is owed. */
#include "pair.h"

#include <time.h>

#define AT_ONCE 32 /* questions under way */

static tl_node_id stranger(uint32_t i)
{
    tl_node_id id = {{99}};
    memcpy(id.key + 4, &i, sizeof i);
    return id;
}

/* So many strangers have accounts of these sums at b. */
static void fill(pair *p, uint32_t n, const tl_ledger_sums *sums, unsigned unsigned_n)
{
    for (uint32_t i = 0; i < n; i++) {
        tl_node_id id = stranger(i);
        tl_credit_on_loaded_peer(p->b.credit, &id, sums, unsigned_n, 0);
    }
}

static size_t rows_at(party *b)
{
    json_t *h = report(b, TL_REPORT_HISTORY);
    size_t n = json_array_size(json_object_get(h, "entries"));
    json_decref(h);
    return n;
}

/* A free question of a to b, answered; the stores and the messages are still to do their part. */
static void give(pair *p, const char *request)
{
    tl_credit_question q = question_to(&p->a, request, 0);
    char order[TL_ORDER_MAX];
    tl_credit_asked *asked;
    tl_credit_served *served;
    tl_why why;
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
    q.peer = p->a.self.id;
    q.order = order;
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &served, &why), TL_OK);
    tl_credit_charge(served, (tl_tokens){1, 1});
    tl_credit_over(asked, TL_CREDIT_ANSWERED, (tl_tokens){1, 1}, 0);
}

/* --- on the disk --- */

static void three_thousand_free_questions_leave_a_thousand_rows_on_both_sides(void **state)
{
    pair *p = *state;
    char request[16];
    tl_credit_served *s;
    assert_true(trade(p, "paid", 10, 20));
    for (int i = 0; i < 3000; i++) {
        snprintf(request, sizeof request, "free%d", i);
        give(p, request);
        if (i % AT_ONCE == 0)
            settle_down(p);
    }
    settle_down(p);
    /* the paid one, and what came since they were last forgotten */
    size_t most = TL_BOOK_SPARE_OF + 1 + TL_CREDIT_PRUNE_EVERY + AT_ONCE;
    assert_in_range(rows_at(&p->a), TL_BOOK_SPARE_OF + 1, most);
    assert_in_range(rows_at(&p->b), TL_BOOK_SPARE_OF + 1, most);
    assert_int_equal(unsigned_at(&p->b), 0);
    assert_even(p, 30);
    /* what was forgotten is still worked once a day */
    assert_int_equal(serve(p, "free0", 0, 1, &s), TL_ERR_EXISTS);
    assert_int_equal(serve(p, "another", 0, 1, &s), TL_OK);
    tl_credit_waive(s);
    settle_down(p);
}

static void free_claims_that_were_forgotten_do_not_count_as_unsigned(void **state)
{
    pair *p = *state;
    char request[16];
    tl_credit_served *s;
    p->a.is_silent = true;
    for (int i = 0; i < TL_CREDIT_UNSIGNED_MAX + 10; i++) {
        snprintf(request, sizeof request, "q%d", i);
        give(p, request);
    }
    settle_down(p);
    pass_time(p, TL_CREDIT_SIGN_WITHIN + 1);
    assert_int_equal(serve(p, "late", 0, 1, &s), TL_ERR_FORBIDDEN);
    /* another peer asks, a day later */
    p->wall += TL_BOOK_DAY + 1;
    for (int i = 0; i <= TL_CREDIT_PRUNE_EVERY; i++) {
        tl_credit_question q = question_to(&p->b, request, 0);
        tl_why why;
        snprintf(request, sizeof request, "other%d", i);
        q.peer = stranger(1);
        assert_int_equal(tl_credit_serve(p->b.credit, &q, &s, &why), TL_OK);
        tl_credit_waive(s);
        settle_down(p);
    }
    assert_int_equal(unsigned_at(&p->b), 0);
    assert_int_equal(serve(p, "late", 0, 1, &s), TL_OK);
    tl_credit_waive(s);
    settle_down(p);
}

/* --- what strangers paid for, or owe --- */

static void settled(void *user, tl_settle_result r, int64_t balance_after)
{
    (void)user;
    assert_int_equal(r, TL_SETTLE_SETTLED);
    assert_int_equal(balance_after, 0);
}

/* The store has so many paid questions of a stranger. */
static void load_paid(pair *p, uint32_t i, unsigned paid_n)
{
    tl_ledger_sums owing = {.earned = 1};
    tl_node_id id = stranger(i);
    tl_credit_on_loaded_peer(p->b.credit, &id, &owing, 0, paid_n);
}

static tl_err serve_stranger(pair *p, uint32_t i, int64_t price, tl_why *why)
{
    tl_credit_served *s;
    tl_credit_question q = question_to(&p->b, "q", price);
    q.peer = stranger(i);
    tl_err e = tl_credit_serve(p->b.credit, &q, &s, why);
    if (!e)
        tl_credit_waive(s);
    settle_down(p);
    return e;
}

static void a_stranger_with_too_many_paid_questions_is_refused_before_it_is_served(void **state)
{
    pair *p = *state;
    tl_why why;
    load_paid(p, 1, TL_BOOK_PAID_OF - 1);
    load_paid(p, 2, TL_BOOK_PAID_OF);
    assert_int_equal(serve_stranger(p, 1, 1000, &why), TL_OK);
    assert_int_equal(serve_stranger(p, 2, 1000, &why), TL_ERR_BUSY);
    assert_non_null(strstr(why.text, "paid questions of this asker"));
    assert_non_null(strstr(why.text, "settle what is owed"));
    assert_int_equal(serve_stranger(p, 2, 0, &why), TL_OK); /* what is free leaves no such row */
    assert_int_equal(serve_stranger(p, 3, 1000, &why), TL_OK);
}

static void where_strangers_have_too_many_paid_questions_members_are_served_still(void **state)
{
    pair *p = *state;
    tl_why why;
    tl_credit_served *s;
    for (uint32_t i = 0; i < TL_BOOK_PAID_MAX / (TL_BOOK_PAID_OF - 1) + 1; i++)
        load_paid(p, 10 + i, TL_BOOK_PAID_OF - 1);
    assert_int_equal(serve_stranger(p, 3, 1000, &why), TL_ERR_BUSY);
    assert_non_null(strstr(why.text, "paid questions of strangers"));
    assert_int_equal(serve_stranger(p, 3, 0, &why), TL_OK);
    tl_credit_question q = question_to(&p->b, "q", 1000); /* for a network */
    q.peer = p->a.self.id;
    q.has_network = true;
    p->b.is_member = true;
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &s, &why), TL_OK);
    tl_credit_waive(s);
    settle_down(p);
}

static void what_is_settled_makes_room_for_strangers_again(void **state)
{
    pair *p = *state;
    tl_why why;
    unsigned left = TL_BOOK_PAID_MAX - 3; /* and the three below */
    for (uint32_t i = 10; left; i++) {
        unsigned n = left < TL_BOOK_PAID_OF ? left : TL_BOOK_PAID_OF - 1;
        load_paid(p, i, n);
        left -= n;
    }
    for (int i = 0; i < 3; i++) {
        char request[16];
        snprintf(request, sizeof request, "paid%d", i);
        assert_true(trade(p, request, 10, 20));
    }
    assert_int_equal(serve_stranger(p, 3, 1000, &why), TL_ERR_BUSY);
    p->wall += TL_BOOK_DAY + 1;
    for (int i = 0; i < 2 * TL_CREDIT_PRUNE_EVERY; i++) /* owed: nothing of it goes */
        assert_int_equal(serve_stranger(p, 3, 1000, &why), TL_ERR_BUSY);
    assert_int_equal(rows_at(&p->b), 3);
    tl_credit_settle(p->b.credit, &p->a.self.id, 90, settled, NULL);
    settle_down(p);
    for (int i = 0; i < 2 * TL_CREDIT_PRUNE_EVERY; i++)
        (void)!serve_stranger(p, 3, 1000, &why);
    assert_int_equal(serve_stranger(p, 3, 1000, &why), TL_OK);
    assert_even(p, 0);
    restart(
        &p->b); /* which counts anew: of those here the settlement is left, and what came to nothing */
    connect_pair(p);
    assert_even(p, 0);
    assert_true(trade(p, "later", 1, 1));
    assert_even(p, 2);
}

/* --- in memory --- */

static void
a_stranger_beyond_the_most_is_refused_and_a_member_and_a_known_peer_are_not(void **state)
{
    pair *p = *state;
    tl_ledger_sums owing = {.earned = 1}; /* such an account stays */
    tl_credit_question q = question_to(&p->b, "q", 1000);
    tl_credit_served *last, *s;
    tl_why why;
    fill(p, TL_CREDIT_STRANGERS_MAX - 1, &owing, 0);
    q.peer = stranger(TL_CREDIT_STRANGERS_MAX); /* the last place */
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &last, &why), TL_OK);
    assert_int_equal(serve(p, "p", 0, 1, &s), TL_ERR_BUSY);
    q.peer = stranger(7);
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &s, &why), TL_OK);
    tl_credit_waive(s);
    p->b.is_member = true;
    assert_int_equal(serve(p, "p", 0, 1, &s), TL_OK);
    tl_credit_waive(s);
    tl_credit_waive(last);
    settle_down(p);
}

/* Each of so many strangers asks for something. Returns how many have a question under way then. */
static size_t ask_all(pair *p, uint32_t n, tl_credit_served **ret)
{
    size_t open = 0;
    for (uint32_t i = 0; i < n; i++) {
        tl_credit_question q = question_to(&p->b, "q", 0);
        tl_why why;
        q.peer = stranger(i);
        open += !tl_credit_serve(p->b.credit, &q, &ret[open], &why);
    }
    return open;
}

static void assert_members_have_places(pair *p)
{
    tl_credit_question q = question_to(&p->b, "own", 1000);
    char order[TL_ORDER_MAX];
    tl_credit_asked *asked;
    tl_credit_served *s;
    assert_int_equal(serve(p, "member", 0, 1, &s), TL_ERR_BUSY); /* as a stranger it has none */
    p->b.is_member = true;
    assert_int_equal(serve(p, "member", 0, 1, &s), TL_OK);
    tl_credit_waive(s);
    assert_int_equal(tl_credit_ask(p->b.credit, &q, order, &asked), TL_OK);
    tl_credit_over(asked, TL_CREDIT_FAILED, (tl_tokens){0, 0}, 0);
}

static void strangers_that_first_tell_something_get_no_more_places_than_others(void **state)
{
    pair *p = *state;
    tl_credit_served **open = calloc(TL_CREDIT_PEERS_MAX, sizeof(tl_credit_served *));
    json_t *nothing = json_pack("{s:[]}", "receipts");
    for (uint32_t i = 0; i < TL_CREDIT_PEERS_MAX; i++) {
        tl_node_id id = stranger(i);
        tl_credit_on_told(p->b.credit, &id, "receipts", nothing);
    }
    size_t n = ask_all(p, TL_CREDIT_PEERS_MAX, open);
    assert_int_equal(n, TL_CREDIT_STRANGERS_MAX);
    assert_members_have_places(p);
    while (n)
        tl_credit_waive(open[--n]);
    json_decref(nothing);
    free(open);
    settle_down(p);
}

/* Of those that the store knew, and that owe nothing. */
static void strangers_of_before_a_start_get_no_more_places_than_others(void **state)
{
    pair *p = *state;
    tl_ledger_sums none = {0};
    tl_credit_served **open = calloc(TL_CREDIT_PEERS_MAX, sizeof(tl_credit_served *));
    fill(p, TL_CREDIT_PEERS_MAX, &none, 0);
    size_t n = ask_all(p, TL_CREDIT_PEERS_MAX, open);
    assert_int_equal(n, TL_CREDIT_STRANGERS_MAX);
    assert_members_have_places(p);
    while (n)
        tl_credit_waive(open[--n]);
    free(open);
    settle_down(p);
}

/* A walk over all accounts for each of these takes more than a second. */
static void a_thousand_strangers_without_a_place_cost_nothing_to_speak_of(void **state)
{
    pair *p = *state;
    tl_ledger_sums owing = {.earned = 1};
    tl_credit_question q = question_to(&p->b, "q", 0);
    tl_credit_served *s;
    tl_why why;
    fill(p, TL_CREDIT_PEERS_MAX, &owing, 0);
    clock_t before = clock();
    for (uint32_t i = 0; i < 1000; i++) {
        q.peer = stranger((1u << 20) + i);
        assert_int_equal(tl_credit_serve(p->b.credit, &q, &s, &why), TL_ERR_BUSY);
    }
    assert_true(clock() - before < CLOCKS_PER_SEC / 4);
}

static void a_place_that_becomes_free_is_found_within_a_second(void **state)
{
    pair *p = *state;
    tl_ledger_sums owing = {.earned = 1};
    tl_credit_question q = question_to(&p->b, "q", 0);
    tl_credit_served *last, *s;
    tl_why why;
    fill(p, TL_CREDIT_STRANGERS_MAX - 1, &owing, 0);
    q.peer = stranger(TL_CREDIT_STRANGERS_MAX);
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &last, &why), TL_OK);
    assert_int_equal(serve(p, "p", 0, 1, &s), TL_ERR_BUSY);
    tl_credit_waive(last);
    settle_down(p);
    pass_time(p, TL_SEC);
    assert_int_equal(serve(p, "p", 0, 1, &s), TL_OK);
    tl_credit_waive(s);
    settle_down(p);
}

static void this_node_still_asks_whom_it_likes_when_strangers_have_all_their_places(void **state)
{
    pair *p = *state;
    tl_ledger_sums owing = {.earned = 1};
    tl_credit_question q = question_to(&p->b, "q", 1000);
    char order[TL_ORDER_MAX];
    tl_credit_asked *asked;
    tl_credit_served *s;
    fill(p, TL_CREDIT_STRANGERS_MAX, &owing, 0);
    assert_int_equal(serve(p, "q", 0, 1, &s), TL_ERR_BUSY);
    assert_int_equal(tl_credit_ask(p->b.credit, &q, order, &asked), TL_OK);
    tl_credit_over(asked, TL_CREDIT_FAILED, (tl_tokens){0, 0}, 0);
    settle_down(p);
}

static void strangers_push_out_who_owes_nothing_and_never_who_owes_or_is_owed(void **state)
{
    pair *p = *state;
    tl_ledger_sums none = {0}, owing = {.earned = 5}, owed = {.spent = 7};
    tl_node_id debtor = {{1}}, creditor = {{2}};
    tl_credit_on_loaded_peer(p->b.credit, &debtor, &owing, 0, 0); /* the oldest of all */
    tl_credit_on_loaded_peer(p->b.credit, &creditor, &owed, 0, 0);
    fill(p, TL_CREDIT_STRANGERS_MAX, &none, 3); /* free questions, never signed for */
    for (uint32_t i = 0; i < 1000; i++) {
        tl_credit_question q = question_to(&p->b, "q", 0);
        tl_credit_served *s;
        tl_why why;
        q.peer = stranger((1u << 20) + i);
        assert_int_equal(tl_credit_serve(p->b.credit, &q, &s, &why), TL_OK);
        tl_credit_waive(s);
        if (i % 256 == 0)
            settle_down(p);
    }
    settle_down(p);
    assert_int_equal(tl_credit_sums_of(p->b.credit, &debtor).earned, 5);
    assert_int_equal(tl_credit_sums_of(p->b.credit, &creditor).spent, 7);
}

static void a_debt_is_known_after_a_start_however_many_owe(void **state)
{
    pair *p = *state;
    tl_ledger_sums owing = {.earned = 1}, none = {0};
    tl_node_id last = {{3}}, nobody = {{4}};
    fill(p, TL_CREDIT_PEERS_MAX, &owing, 0);
    tl_credit_on_loaded_peer(p->b.credit, &nobody, &none, 0, 0);
    tl_credit_on_loaded_peer(p->b.credit, &last, &owing, 0, 0);
    assert_int_equal(tl_credit_sums_of(p->b.credit, &last).earned, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(three_thousand_free_questions_leave_a_thousand_rows_on_both_sides),
        WITH_PAIR(free_claims_that_were_forgotten_do_not_count_as_unsigned),
        WITH_PAIR(a_stranger_with_too_many_paid_questions_is_refused_before_it_is_served),
        WITH_PAIR(where_strangers_have_too_many_paid_questions_members_are_served_still),
        WITH_PAIR(what_is_settled_makes_room_for_strangers_again),
        WITH_PAIR(a_stranger_beyond_the_most_is_refused_and_a_member_and_a_known_peer_are_not),
        WITH_PAIR(strangers_that_first_tell_something_get_no_more_places_than_others),
        WITH_PAIR(strangers_of_before_a_start_get_no_more_places_than_others),
        WITH_PAIR(a_thousand_strangers_without_a_place_cost_nothing_to_speak_of),
        WITH_PAIR(a_place_that_becomes_free_is_found_within_a_second),
        WITH_PAIR(this_node_still_asks_whom_it_likes_when_strangers_have_all_their_places),
        WITH_PAIR(strangers_push_out_who_owes_nothing_and_never_who_owes_or_is_owed),
        WITH_PAIR(a_debt_is_known_after_a_start_however_many_owe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
