#include "net/portal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static tl_loop *loop;
static tl_listener *listener;
static tl_timer guard;
static tl_portal *asking;
static const char *answer; /* NULL: closes without one */
static char login[TL_PORTAL_URL_MAX];
static bool done, found;

static void timed_out(void *user)
{
    (void)user;
    fail_msg("nothing happened for 10 s");
}

static void on_accept(void *user, int fd, const tl_addr *remote)
{
    (void)user, (void)remote;
    if (answer)
        assert_int_equal(send(fd, answer, strlen(answer), 0), strlen(answer));
    shutdown(fd, SHUT_WR);
    char drain[2048];
    while (recv(fd, drain, sizeof drain, MSG_DONTWAIT) > 0)
        ;
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    tl_addr any;
    tl_why why;
    done = found = false;
    if (tl_loop_new(&loop) || tl_addr_parse_ip(TL_SLICE_LIT("127.0.0.1"), &any) ||
        tl_listen(loop, &any, 4, on_accept, NULL, &listener, &why))
        return -1;
    tl_timer_init(&guard, loop, timed_out, NULL);
    tl_timer_set(&guard, tl_loop_now(loop) + 10 * TL_SEC);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_listener_free(listener);
    tl_timer_stop(&guard);
    tl_loop_free(loop);
    return 0;
}

static void on_done(void *user, const char *at)
{
    (void)user;
    done = true;
    found = at;
    snprintf(login, sizeof login, "%s", at ? at : "");
    tl_portal_free(asking);
    asking = NULL;
    tl_loop_stop(loop);
}

static void ask(bool strange)
{
    char text[64];
    tl_wsurl url;
    tl_why why;
    tl_rand rng = tl_rand_seeded(1);
    snprintf(text, sizeof text, "ws://127.0.0.1:%u/ws", tl_listener_addr(listener).port);
    assert_int_equal(tl_wsurl_parse(text, &url, &why), TL_OK);
    assert_int_equal(tl_portal_start(loop, &rng, &url, strange, on_done, NULL, &asking), TL_OK);
}

static void a_portals_answer_names_the_login(void **state)
{
    (void)state;
    answer = "HTTP/1.1 302 x\r\nLocation: http://login.example/\r\n\r\n<html>";
    ask(false);
    tl_loop_run(loop);
    assert_true(done && found);
    assert_string_equal(login, "http://login.example/");
}

static void another_answer_or_none_is_no_portal(void **state)
{
    (void)state;
    static const char *const answers[] = {"HTTP/1.1 404 x\r\n\r\n", "SSH-2.0-x\r\n", NULL};
    for (size_t i = 0; i < 3; i++) {
        answer = answers[i];
        done = false;
        ask(true);
        tl_loop_run(loop);
        assert_true(done);
        assert_false(found);
    }
}

static void a_question_may_be_given_up(void **state)
{
    (void)state;
    answer = NULL;
    ask(true);
    tl_portal_free(asking);
    asking = NULL;
    assert_false(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_portals_answer_names_the_login, setup, teardown),
        cmocka_unit_test_setup_teardown(another_answer_or_none_is_no_portal, setup, teardown),
        cmocka_unit_test_setup_teardown(a_question_may_be_given_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
