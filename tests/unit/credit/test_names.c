/* test_names.c - the names that clients give to their requests: each once a day, and no scope takes all. */
#include "pair.h"

static void note_named(void *user, tl_err e)
{
    *(tl_err *)user = e;
}

static tl_err name_in(pair *p, uint8_t network, const char *request)
{
    tl_node_id scope = {{network}};
    tl_credit_naming *naming;
    tl_err came = TL_ERR_AGAIN;
    tl_err e = tl_credit_name(p->a.credit, request, &scope, note_named, &came, &naming);
    if (e)
        return e;
    assert_int_equal(came, TL_ERR_AGAIN); /* not before the commit */
    settle_down(p);
    return came;
}

static tl_err name(pair *p, const char *request)
{
    return name_in(p, 0, request);
}

static void a_name_that_nobody_waits_for_is_free_again(void **state)
{
    pair *p = *state;
    static const tl_node_id none;
    tl_credit_naming *naming;
    tl_err came = TL_ERR_AGAIN;
    for (int again = 0; again < 2; again++) {
        assert_int_equal(tl_credit_name(p->a.credit, "hasty", &none, note_named, &came, &naming),
                         TL_OK);
        tl_credit_name_forget(naming);
        settle_down(p);
    }
    assert_int_equal(came, TL_ERR_AGAIN);
    assert_int_equal(name(p, "hasty"), TL_OK);
    assert_int_equal(name(p, "hasty"), TL_ERR_EXISTS);
}

static void one_scope_has_half_of_the_names_and_others_the_rest(void **state)
{
    pair *p = *state;
    tl_credit_naming *naming;
    tl_err came;
    tl_node_id greedy = {{7}};
    char request[16];
    for (unsigned i = 0; i < TL_BOOK_RECENT_MAX / 2; i++) {
        snprintf(request, sizeof request, "g%u", i);
        assert_int_equal(tl_credit_name(p->a.credit, request, &greedy, note_named, &came, &naming),
                         TL_OK);
        if (i % 512 == 0)
            settle_down(p);
    }
    settle_down(p);
    assert_int_equal(name_in(p, 7, "more"), TL_ERR_BUSY);
    assert_int_equal(name(p, "mine"), TL_OK); /* the twins */
    assert_int_equal(name_in(p, 8, "theirs"), TL_OK);
    tl_credit_unname(p->a.credit, "g5");
    assert_int_equal(name_in(p, 7, "more"), TL_OK);
    assert_int_equal(name_in(p, 7, "again"), TL_ERR_BUSY);
    pass_time(p, 3600 * TL_SEC);
    assert_int_equal(name_in(p, 7, "again"), TL_OK); /* in the place of its own oldest */
    /* The oldest one the store alone knows now: a question of this name that is given up frees nothing. */
    tl_credit_unname(p->a.credit, "g6");
    assert_int_equal(tl_credit_name(p->a.credit, "g0", &greedy, note_named, &came, &naming), TL_OK);
    tl_credit_name_forget(naming);
    settle_down(p);
    assert_int_equal(name_in(p, 7, "g0"), TL_ERR_EXISTS);
}

static void a_name_is_given_once_a_day_also_over_restarts(void **state)
{
    pair *p = *state;
    assert_int_equal(name(p, "mine"), TL_OK);
    assert_int_equal(name(p, "mine"), TL_ERR_EXISTS);
    assert_int_equal(name(p, "yours"), TL_OK);
    restart(&p->a);
    assert_int_equal(name(p, "mine"), TL_ERR_EXISTS);
    tl_credit_unname(p->a.credit, "mine"); /* nothing came of it */
    assert_int_equal(name(p, "mine"), TL_OK);
    pass_time(p, (TL_BOOK_DAY - 1) * TL_SEC);
    assert_int_equal(name(p, "mine"), TL_ERR_EXISTS);
    pass_time(p, TL_SEC);
    assert_int_equal(name(p, "mine"), TL_OK);
    p->a.disk_fails = true;
    assert_int_equal(name(p, "other"), TL_ERR_IO);
    p->a.disk_fails = false;
    assert_int_equal(name(p, "other"), TL_OK);
}

static void
names_that_fill_the_table_keep_others_out_for_an_hour_and_are_known_for_a_day(void **state)
{
    pair *p = *state;
    char request[16];
    assert_int_equal(name(p, "mine"), TL_OK);
    for (unsigned i = 1; i < TL_BOOK_RECENT_MAX; i++) {
        snprintf(request, sizeof request, "n%u", i);
        tl_credit_on_loaded_name(p->a.credit, request, p->wall);
    }
    assert_int_equal(name(p, "late"), TL_ERR_BUSY);
    pass_time(p, 3600 * TL_SEC - TL_SEC);
    assert_int_equal(name(p, "late"), TL_ERR_BUSY);
    pass_time(p, TL_SEC);
    assert_int_equal(name(p, "late"), TL_OK); /* in the place of "mine" */
    assert_int_equal(name(p, "late"), TL_ERR_EXISTS);
    assert_int_equal(name(p, "mine"), TL_ERR_EXISTS); /* says the store */
    tl_credit_unname(p->a.credit, "mine");
    assert_int_equal(name(p, "mine"), TL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(a_name_that_nobody_waits_for_is_free_again),
        WITH_PAIR(one_scope_has_half_of_the_names_and_others_the_rest),
        WITH_PAIR(a_name_is_given_once_a_day_also_over_restarts),
        WITH_PAIR(names_that_fill_the_table_keep_others_out_for_an_hour_and_are_known_for_a_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
