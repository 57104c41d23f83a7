#include "node/state.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[96];
static tl_loop *loop;
static tl_identity identity;
static tl_settings settings;
static tl_timer guard;

static void timed_out(void *user)
{
    (void)user;
    fail_msg("nothing happened for 15 s");
}

static int setup(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {7};
    snprintf(dir, sizeof dir, "/tmp/teale-node-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/teale.db", dir);
    settings = tl_settings_default();
    settings.lan_enabled = false;
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_from_seed(seed, &identity), TL_OK);
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    tl_timer_init(&guard, loop, timed_out, NULL);
    tl_timer_set(&guard, tl_loop_now(loop) + 15 * TL_SEC);
    return 0;
}

static int remove_one(const char *name, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(name);
}

static int teardown(void **state)
{
    (void)state;
    tl_timer_stop(&guard);
    tl_loop_free(loop);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static tl_node *open_node(void)
{
    tl_node *n;
    tl_why why = {""};
    if (tl_node_new(loop, &settings, &identity, NULL, path, &n, &why))
        fail_msg("%s", why.text);
    return n;
}

typedef struct {
    tl_store_job job;
    int came;
    tl_err told;
} write_job;

static tl_err work(tl_store_job *j, tl_db *db)
{
    (void)j;
    return tl_db_run(db, "INSERT INTO joins VALUES (randomblob(32), 'x', '', 0)", TL_DB_WITHOUT);
}

static void done(tl_store_job *j, tl_err e)
{
    write_job *w = (write_job *)j;
    w->came++;
    w->told = e;
    tl_loop_stop(loop);
}

static void what_the_stores_thread_has_stored_is_told_on_the_loop(void **state)
{
    (void)state;
    tl_node *n = open_node();
    write_job w = {.job = {.work = work, .done = done}};
    tl_store_submit(n->store, &w.job);
    tl_loop_run(loop);
    assert_int_equal(w.came, 1);
    assert_int_equal(w.told, TL_OK);
    assert_true(tl_node_store_is_idle(n));
    tl_node_free(n);
}

static void a_node_that_is_freed_stores_what_waits_and_then_takes_no_more(void **state)
{
    (void)state;
    tl_node *n = open_node();
    write_job before = {.job = {.work = work, .done = done}}, after = before;
    tl_store_submit(n->store, &before.job);
    tl_node_stop_store(n);
    assert_int_equal(before.came, 1);
    assert_int_equal(before.told, TL_OK);
    tl_store_submit(n->store, &after.job);
    assert_int_equal(after.came, 1);
    assert_int_equal(after.told, TL_ERR_CLOSED);
    tl_node_free(n);
}

static void on_drained(void *user)
{
    *(bool *)user = true;
    tl_loop_stop(loop);
}

/* One after another, each from the end of the one before: when the node is drained, all are told. */
typedef struct {
    write_job job;
    tl_node *node;
    int left;
} chain;

static void next_of_chain(tl_store_job *j, tl_err e)
{
    chain *c = (chain *)j;
    assert_int_equal(e, TL_OK);
    c->job.came++;
    if (--c->left)
        tl_store_submit(c->node->store, &c->job.job);
}

static void a_node_is_drained_when_its_store_is_idle(void **state)
{
    (void)state;
    tl_node *n = open_node();
    tl_why why;
    bool drained = false;
    chain c = {.job.job = {.work = work, .done = next_of_chain}, .node = n, .left = 20};
    assert_int_equal(tl_node_start(n, &why), TL_OK);
    tl_store_submit(n->store, &c.job.job);
    tl_node_drain(n, tl_loop_now(loop) + 10 * TL_SEC, on_drained, &drained);
    while (!drained)
        tl_loop_run(loop);
    assert_int_equal(c.job.came, 20);
    tl_node_free(n);
}

static const char *doctor_of(tl_node *n, char ret[16])
{
    json_t *all = tl_node_doctor(n), *one;
    size_t i;
    *ret = 0;
    json_array_foreach (json_object_get(all, "checks"), i, one)
        if (!strcmp(tl_json_string(one, "id", ""), "store"))
            snprintf(ret, 16, "%s", tl_json_string(one, "state", ""));
    json_decref(all);
    return ret;
}

static void the_doctor_tells_of_the_store(void **state)
{
    (void)state;
    char found[16], mark[128];
    tl_node *n = open_node();
    assert_string_equal(doctor_of(n, found), "ok");
    tl_node_free(n);
    snprintf(mark, sizeof mark, "%s.mark", path);
    assert_int_equal(remove(mark), 0);
    n = open_node();
    assert_string_equal(doctor_of(n, found), "warning");
    tl_node_free(n);
    tl_why why;
    assert_int_equal(tl_node_new(loop, &settings, &identity, NULL, NULL, &n, &why), TL_OK);
    assert_string_equal(doctor_of(n, found), "");
    tl_node_free(n);
}

static void a_store_that_is_refused_is_a_node_that_does_not_start(void **state)
{
    (void)state;
    tl_node *n = NULL;
    tl_why why;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("this is no database at all, whoever wrote it, and it is longer than a head of one is: "
          "it has a hundred bytes",
          f);
    fclose(f);
    assert_int_equal(tl_node_new(loop, &settings, &identity, NULL, path, &n, &why), TL_ERR_PROTO);
    assert_null(n);
    assert_memory_equal(why.text, "E_STORE_CORRUPT: ", 17);
    assert_int_equal(remove(path), 0);
    tl_node_free(open_node());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_the_stores_thread_has_stored_is_told_on_the_loop),
        TEST(a_node_that_is_freed_stores_what_waits_and_then_takes_no_more),
        TEST(a_node_is_drained_when_its_store_is_idle),
        TEST(the_doctor_tells_of_the_store),
        TEST(a_store_that_is_refused_is_a_node_that_does_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
