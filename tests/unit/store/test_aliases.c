/* What the owner calls other nodes, as the store keeps it. */
#include "home.h"
#include "store/aliases.h"

#include <stdio.h>

#define ONE ((tl_node_id){{1}})
#define TWO ((tl_node_id){{2}})

static void on_told(void *user, tl_err e, const char *why)
{
    (void)why;
    *(tl_err *)user = e;
}

static tl_err put(tl_store *s, tl_node_id node, const char *alias)
{
    tl_err e = TL_ERR_CLOSED;
    row_job last = {.job.work = read_row};
    assert_int_equal(tl_store_put_alias(s, &node, alias, on_told, &e), TL_OK);
    assert_int_equal(tl_store_do(s, &last.job), TL_OK);
    tl_store_collect(s);
    return e;
}

static tl_err add(void *user, const tl_node_id *node, const char *alias)
{
    char *text = user;
    snprintf(text + strlen(text), 256 - strlen(text), "%d:%s ", node->key[0], alias);
    return TL_OK;
}

static void assert_aliases(tl_store *s, const char *want)
{
    char text[256] = "";
    tl_why why;
    assert_int_equal(tl_store_each_alias(s, add, text, &why), TL_OK);
    assert_string_equal(text, want);
}

static void an_alias_is_kept_also_after_a_restart(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    assert_aliases(s, "");
    assert_int_equal(put(s, ONE, "mum"), TL_OK);
    assert_int_equal(put(s, TWO, "gpu"), TL_OK);
    tl_store_close(s);
    s = open_at(h->db);
    assert_aliases(s, "2:gpu 1:mum ");
    assert_int_equal(put(s, ONE, "anna"), TL_OK); /* in place of the one before */
    assert_aliases(s, "1:anna 2:gpu ");
    assert_int_equal(put(s, TWO, "anna"), TL_OK); /* of two changes at once the last one counts */
    assert_aliases(s, "2:anna ");
    assert_int_equal(put(s, TWO, NULL), TL_OK);
    assert_int_equal(put(s, ONE, NULL), TL_OK); /* had none */
    assert_aliases(s, "");
    tl_store_close(s);
}

static tl_err refuse(void *user, const tl_node_id *node, const char *alias)
{
    (void)node, (void)alias;
    ++*(int *)user;
    return TL_ERR_NOMEM;
}

static void what_the_visitor_refuses_ends_the_visit(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    int calls = 0;
    tl_why why;
    assert_int_equal(put(s, ONE, "mum"), TL_OK);
    assert_int_equal(put(s, TWO, "gpu"), TL_OK);
    assert_int_equal(tl_store_each_alias(s, refuse, &calls, &why), TL_ERR_NOMEM);
    assert_int_equal(calls, 1);
    tl_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(an_alias_is_kept_also_after_a_restart),
        IN_HOME(what_the_visitor_refuses_ends_the_visit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
