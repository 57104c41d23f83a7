#include "io/mdns_mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static tl_loop *loop;
static tl_waker *waker;
static tl_mdns_mail *mail;

static void on_wake(void *user)
{
    (void)user;
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    assert_int_equal(tl_waker_new(loop, on_wake, NULL, &waker), TL_OK);
    return tl_mdns_mail_new(waker, &mail);
}

static int teardown(void **state)
{
    (void)state;
    if (mail)
        tl_mdns_mail_free(mail);
    tl_waker_free(waker);
    tl_loop_free(loop);
    return 0;
}

static tl_node_id node(uint64_t seed)
{
    tl_rand r = tl_rand_seeded(seed);
    tl_node_id id;
    tl_rand_bytes(&r, id.key, sizeof id.key);
    return id;
}

static bool told(uint64_t seed, uint16_t port)
{
    tl_node_id id = node(seed);
    tl_addr a = {.family = TL_ADDR_V4, .port = port, .bytes = {192, 168, 1, 7}};
    return tl_mdns_mail_tell(mail, &id, &a, port > 0);
}

static void the_last_word_of_each_node_is_read_once(void **state)
{
    (void)state;
    tl_mdns_news news;
    assert_false(tl_mdns_mail_next(mail, &news));
    assert_true(told(1, 5000));
    assert_true(told(2, 5000));
    assert_true(told(1, 5001)); /* before the first was read */
    assert_true(tl_mdns_mail_next(mail, &news));
    assert_int_equal(news.addrs[0].port, 5001);
    assert_true(tl_mdns_mail_next(mail, &news));
    tl_node_id two = node(2);
    assert_true(tl_node_id_eq(&news.node, &two));
    assert_false(tl_mdns_mail_next(mail, &news));
    assert_true(told(1, 5001)); /* nothing new */
    assert_false(tl_mdns_mail_next(mail, &news));
    tl_mdns_mail_freshen(mail); /* all once more */
    assert_true(tl_mdns_mail_next(mail, &news));
    assert_true(tl_mdns_mail_next(mail, &news));
    assert_false(tl_mdns_mail_next(mail, &news));
    assert_true(told(1, 0));
    assert_true(tl_mdns_mail_next(mail, &news));
    assert_int_equal(news.n, 0);
    assert_true(told(1, 0));
    assert_false(tl_mdns_mail_next(mail, &news));
}

static void a_node_that_comes_and_goes_unread_leaves_nothing(void **state)
{
    (void)state;
    tl_mdns_news news;
    for (uint64_t i = 0; i < 10 * TL_MDNS_MAIL_MAX; i++) {
        assert_true(told(i, 5000));
        assert_true(told(i, 0));
    }
    assert_false(tl_mdns_mail_next(mail, &news));
}

static void the_box_is_bounded_and_takes_goodbyes_when_it_is_full(void **state)
{
    (void)state;
    tl_mdns_news news;
    for (uint64_t i = 0; i < TL_MDNS_MAIL_MAX; i++)
        assert_true(told(i, 5000));
    assert_false(told(TL_MDNS_MAIL_MAX, 5000));
    assert_true(told(TL_MDNS_MAIL_MAX, 0)); /* nobody has heard of it */
    assert_true(tl_mdns_mail_next(mail, &news));
    assert_true(told(0, 0));
    assert_true(told(1, 0));
    assert_true(told(TL_MDNS_MAIL_MAX, 5000));
}

static void the_state_is_told_when_it_changes(void **state)
{
    (void)state;
    tl_mdns_report r = {.state = TL_MDNS_STARTING}, got;
    tl_mdns_mail_report(mail, &r);
    assert_false(tl_mdns_mail_take_state(mail, &got));
    r.state = TL_MDNS_EMBEDDED;
    tl_mdns_mail_report(mail, &r);
    tl_mdns_mail_report(mail, &r);
    assert_true(tl_mdns_mail_take_state(mail, &got));
    assert_int_equal(got.state, TL_MDNS_EMBEDDED);
    assert_false(tl_mdns_mail_take_state(mail, &got));
    assert_true(told(1, 5000));
    assert_true(told(2, 5000));
    assert_true(told(2, 0));
    r.malformed = 7;
    tl_mdns_mail_report(mail, &r);
    tl_mdns_mail_read_report(mail, &got);
    assert_int_equal(got.nodes, 1);
    assert_int_equal(got.malformed, 7);
}

static void a_thread_that_does_not_end_is_not_waited_for(void **state)
{
    (void)state;
    assert_false(tl_mdns_mail_stopped(mail));
    assert_false(tl_mdns_mail_stop(mail, 20 * TL_MS)); /* no thread ever ends it */
    assert_true(tl_mdns_mail_stopped(mail));
    assert_true(told(1, 5000));          /* it goes on, and wakes nobody */
    assert_true(tl_mdns_mail_end(mail)); /* so the mail is the thread's */
    tl_mdns_mail_free(mail);
    assert_int_equal(tl_mdns_mail_new(waker, &mail), TL_OK);
    assert_false(tl_mdns_mail_end(mail));
    assert_true(tl_mdns_mail_stop(mail, 0));
}

static void the_newest_wish_counts(void **state)
{
    (void)state;
    size_t n;
    tl_node_id ids[2] = {node(1), node(2)};
    assert_null(tl_mdns_mail_take_preferred(mail, &n));
    tl_mdns_mail_prefer(mail, ids, 2);
    tl_mdns_mail_prefer(mail, ids + 1, 1);
    tl_node_id *taken = tl_mdns_mail_take_preferred(mail, &n);
    assert_int_equal(n, 1);
    assert_true(tl_node_id_eq(taken, &ids[1]));
    free(taken);
    assert_null(tl_mdns_mail_take_preferred(mail, &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(the_last_word_of_each_node_is_read_once),
        T(a_node_that_comes_and_goes_unread_leaves_nothing),
        T(the_box_is_bounded_and_takes_goodbyes_when_it_is_full),
        T(the_state_is_told_when_it_changes),
        T(a_thread_that_does_not_end_is_not_waited_for),
        T(the_newest_wish_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
