/* Who left a network, as the store keeps it. */
#include "home.h"
#include "store/networks.h"

#include <stdio.h>

#define LAB ((tl_node_id){{1}})

static void on_told(void *user, tl_err e, const char *why)
{
    (void)why;
    *(tl_err *)user = e;
}

/* Waits until all that was submitted is done, and has it told. */
static void settle(tl_store *s)
{
    row_job last = {.job.work = read_row};
    assert_int_equal(tl_store_do(s, &last.job), TL_OK);
    tl_store_collect(s);
}

static void put_lab(tl_store *s)
{
    tl_err e = TL_ERR_CLOSED;
    const tl_network_row row = {.network = LAB, .name = "lab", .certificate = "{}", .at = 10};
    assert_int_equal(tl_store_put_network(s, &row, on_told, &e), TL_OK);
    settle(s);
    assert_int_equal(e, TL_OK);
}

static void leaves(tl_store *s, uint8_t node, tl_unix issued_at, tl_unix now)
{
    tl_err e = TL_ERR_CLOSED;
    const tl_departed_row left = {LAB, {{node}}, issued_at};
    assert_int_equal(tl_store_drop_member(s, &left, now, on_told, &e), TL_OK);
    settle(s);
    assert_int_equal(e, TL_OK);
}

static void who_left_is_kept_in_a_bounded_list_until_it_comes_back(void **state)
{
    const home *h = *state;
    tl_err e = TL_ERR_CLOSED;
    char sql[240];
    tl_store *s = open_at(h->db);
    put_lab(s);
    tl_store_close(s);
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
             "INSERT INTO departed SELECT network, randomblob(32), 1, i FROM n, networks",
             TL_STORE_MEMBERS_MAX);
    alter(h->db, sql);
    s = open_at(h->db);
    leaves(s, 3, 70, 10000);
    tl_store_close(s); /* it has the file for itself */
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM departed"), TL_STORE_MEMBERS_MAX);
    assert_int_equal(number_in(h->db, "SELECT min(at) FROM departed"), 2);
    s = open_at(h->db);
    leaves(s, 3, 60, 10001); /* what is known of a later certificate stays */
    tl_store_close(s);
    assert_int_equal(number_in(h->db, "SELECT issued_at FROM departed WHERE at = 10001"), 70);
    s = open_at(h->db);
    const tl_member_row back = {LAB, {{3}}, "{\"c\":4}", "", 10002};
    assert_int_equal(tl_store_put_member(s, &back, on_told, &e), TL_OK);
    settle(s);
    assert_int_equal(e, TL_OK);
    tl_store_close(s);
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM departed WHERE at > 5000"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(who_left_is_kept_in_a_bounded_list_until_it_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
