/* In a network namespace of its own, which has no gateway: what asks one is tried in the lab. */
#include "io/gateway.h"
#include "io/portmap.h"
#include "ownnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
    tl_loop *loop;
    tl_rand rand;
    tl_portmap *portmap;
    int changes, stopped;
    bool stop_on_change, free_when_stopped;
} scene;

static void on_stopped(void *user)
{
    scene *s = user;
    s->stopped++;
    assert_int_equal(tl_portmap_report(s->portmap)->state, TL_MAPPER_IDLE);
    if (s->free_when_stopped) {
        tl_portmap_free(s->portmap);
        s->portmap = NULL;
    }
}

static void on_change(void *user)
{
    scene *s = user;
    s->changes++;
    if (s->stop_on_change && tl_portmap_report(s->portmap)->state == TL_MAPPER_FAILED)
        tl_portmap_stop(s->portmap, on_stopped, s);
}

static int enter_namespace(void **state)
{
    (void)state;
    if (own_network())
        return 0;
    print_message("skipped: no network namespace can be made\n");
    _exit(77);
}

static void begin(scene *s)
{
    static const tl_portmap_events events = {.on_change = on_change};
    *s = (scene){.rand = tl_rand_system()};
    assert_int_equal(tl_loop_new(&s->loop), TL_OK);
    assert_int_equal(tl_portmap_new(s->loop, &s->rand, &events, s, &s->portmap), TL_OK);
}

static void end(scene *s)
{
    tl_portmap_free(s->portmap);
    tl_loop_free(s->loop);
}

static void without_a_network_there_is_no_gateway(void **state)
{
    (void)state;
    tl_addr gateway = {.port = 7}, own = {.port = 8};
    assert_int_equal(tl_gateway_find(&gateway, &own), TL_ERR_UNREACHABLE);
    assert_int_equal(gateway.port, 7);
    assert_int_equal(own.port, 8);
}

static void the_owner_is_told_from_the_loop_and_may_stop_and_free_there(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    s.stop_on_change = s.free_when_stopped = true;
    tl_portmap_start(s.portmap, 41820);
    assert_int_equal(s.changes, 0); /* not from inside our own call */
    assert_string_equal(tl_portmap_report(s.portmap)->reason, "this machine has no IPv4 gateway");
    tl_loop_run(s.loop);
    assert_int_equal(s.changes, 2); /* failed, idle */
    assert_int_equal(s.stopped, 1);
    assert_null(s.portmap);
    end(&s);
}

static void stopping_what_was_never_started_is_told_once(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    tl_portmap_restart(s.portmap); /* while idle: nothing */
    tl_portmap_stop(s.portmap, on_stopped, &s);
    assert_int_equal(s.stopped, 0);
    tl_loop_run(s.loop);
    assert_int_equal(s.stopped, 1);
    assert_int_equal(s.changes, 0);
    end(&s);
}

static void it_can_be_freed_at_any_time(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    tl_portmap_start(s.portmap, 41820);
    tl_portmap_restart(s.portmap);
    tl_portmap_stop(s.portmap, on_stopped, &s);
    end(&s);
    assert_int_equal(s.changes + s.stopped, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_network_there_is_no_gateway),
        cmocka_unit_test(the_owner_is_told_from_the_loop_and_may_stop_and_free_there),
        cmocka_unit_test(stopping_what_was_never_started_is_told_once),
        cmocka_unit_test(it_can_be_freed_at_any_time),
    };
    return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
