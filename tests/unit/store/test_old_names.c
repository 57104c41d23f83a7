/* What this node called its networks before, as the store keeps it. */
#include "home.h"
#include "store/networks.h"

#include <stdio.h>

#define LAB   ((tl_node_id){{1}})
#define OTHER ((tl_node_id){{2}})

static void on_told(void *user, tl_err e, const char *why)
{
    (void)why;
    *(tl_err *)user = e;
}

static void put(tl_store *s, tl_node_id network, const char *name)
{
    tl_err e = TL_ERR_CLOSED;
    row_job last = {.job.work = read_row};
    tl_network_row row = {.network = network, .certificate = "{}", .at = 10};
    snprintf(row.name, sizeof row.name, "%s", name);
    assert_int_equal(tl_store_put_network(s, &row, on_told, &e), TL_OK);
    assert_int_equal(tl_store_do(s, &last.job), TL_OK);
    tl_store_collect(s);
    assert_int_equal(e, TL_OK);
}

static tl_err add(void *user, const tl_old_name_row *r)
{
    char *text = user;
    snprintf(text + strlen(text), 256 - strlen(text), "%d:%s ", r->network.key[0], r->name);
    return TL_OK;
}

static void assert_old_names(tl_store *s, const char *want)
{
    char text[256] = "";
    const tl_store_visitor v = {.old_name = add, .user = text};
    tl_why why;
    assert_int_equal(tl_store_each(s, &v, &why), TL_OK);
    assert_string_equal(text, want);
}

static void a_name_of_before_is_kept_also_after_a_restart(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    put(s, LAB, "lab");
    put(s, OTHER, "other");
    put(s, LAB, "lab"); /* as where a certificate was renewed */
    assert_old_names(s, "");
    put(s, LAB, "a");
    put(s, LAB, "b");
    put(s, OTHER, "lab");
    tl_store_close(s);
    s = open_at(h->db);
    assert_old_names(s, "1:lab 1:a 2:other ");
    put(s, LAB, "a"); /* again: it is no old one any more, and b is the newest of those */
    assert_old_names(s, "1:lab 2:other 1:b ");
    tl_store_close(s);
}

static void of_old_names_the_newest_eight_stay_and_go_with_their_network(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    char name[16];
    put(s, OTHER, "other");
    put(s, OTHER, "b");
    for (int i = 0; i < TL_NETWORK_OLD_NAMES + 2; i++) {
        snprintf(name, sizeof name, "n%d", i);
        put(s, LAB, name);
    }
    assert_old_names(s, "2:other 1:n1 1:n2 1:n3 1:n4 1:n5 1:n6 1:n7 1:n8 ");
    tl_node_id lab = LAB;
    assert_int_equal(tl_store_drop_network(s, &lab, NULL, NULL), TL_OK);
    assert_old_names(s, "2:other ");
    tl_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(a_name_of_before_is_kept_also_after_a_restart),
        IN_HOME(of_old_names_the_newest_eight_stay_and_go_with_their_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
