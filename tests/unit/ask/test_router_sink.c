/* What a sink may do to a router's exchanges, from outside and from inside each call: the contract
 * of ask/exchange.h. */
#include "router_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned asking(router_scene *s)
{
    tl_node_id id = router_scene_id(2);
    return tl_peer_table_find(&s->table, &id)->asking;
}

static void a_pause_holds_for_whichever_provider_comes(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    router_scene_ask(&s, &l, "m");
    listener_pause(&l, true); /* none yet */
    (void)router_scene_peer(&s, 2, "m");
    (void)router_scene_peer(&s, 3, "m");
    router_scene_discovered(&s, "m");
    assert_true(router_scene_at(&s, 2)->paused);
    provider_fail(router_scene_at(&s, 2), TL_FAIL_QUEUE_FULL, "busy");
    provider *p = router_scene_at(&s, 3);
    assert_true(p->paused);
    listener_pause(&l, false);
    assert_false(p->paused);
    listener_pause(&l, true);
    assert_true(p->paused);
    router_scene_clear(&s);
}

static void cancelling_reaches_the_provider_and_no_call_follows(void **state)
{
    (void)state;
    enum { ASKED, WAITING, TRYING, ANSWERING, LOCAL, STATES };
    for (int when = 0; when < STATES; when++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        tl_peer *peer = when == WAITING ? NULL : router_scene_peer(&s, 2, "m");
        s.models[0] = when == LOCAL ? "m" : NULL;
        if (when == ASKED) {
            tl_ask ask = router_scene_question("m");
            assert_int_equal(tl_router_ask(s.router, &ask, &listener_sink, &l, &l.exchange), TL_OK);
        } else {
            router_scene_ask(&s, &l, "m");
        }
        if (when == ANSWERING)
            provider_head(router_scene_at(&s, 2));
        unsigned heads = l.calls[ON_HEAD];
        listener_cancel(&l);
        assert_asked(&s, when >= TRYING);
        if (when >= TRYING)
            assert_true(s.providers[0].cancelled);
        assert_int_equal(peer ? peer->asking : 0, 0);
        assert_int_equal(tl_router_running(s.router), 0);
        router_scene_discovered(&s, "m");
        router_scene_pass(&s, 20 * TL_SEC);
        assert_int_equal(l.calls[ON_HEAD], heads);
        assert_int_equal(l.calls[ON_FAIL], 0);
        assert_asked(&s, when >= TRYING);
        router_scene_clear(&s);
    }
}

static void freeing_the_router_ends_its_questions_without_a_call(void **state)
{
    (void)state;
    router_scene s;
    listener l[3] = {0};
    router_scene_init(&s);
    router_scene_ask(&s, &l[0], "m");
    (void)router_scene_peer(&s, 2, "m");
    router_scene_ask(&s, &l[1], "m");
    router_scene_ask(&s, &l[2], "m");
    provider_head(router_scene_at(&s, 2));
    listener_quiet = true;
    router_scene_clear(&s); /* every provider is over */
    listener_quiet = false;
    assert_true(s.providers[0].cancelled && s.providers[1].cancelled);
    tl_router_free(NULL);
}

/* --- from inside --- */

/* As a sink that is gone before the call returns. */
static void cancel_and_free(listener *l)
{
    listener_cancel(l);
    listener_clear(l);
    free(l);
}

static void a_sink_may_cancel_and_vanish_inside_head_and_body(void **state)
{
    (void)state;
    for (int call = ON_HEAD; call <= ON_BODY; call++)
        for (int local = 0; local < 2; local++) {
            router_scene s;
            listener *l = calloc(1, sizeof *l);
            assert_non_null(l);
            l->inside[call] = cancel_and_free;
            router_scene_init(&s);
            s.models[0] = local ? "m" : NULL;
            (void)router_scene_peer(&s, 2, "m");
            router_scene_ask(&s, l, "m");
            provider *p = router_scene_at(&s, local ? OWN : 2);
            provider_head(p);
            if (call == ON_BODY)
                provider_body(p, "x");
            assert_true(p->cancelled);
            assert_int_equal(asking(&s), 0);
            assert_int_equal(tl_router_running(s.router), 0);
            router_scene_clear(&s);
        }
}

typedef struct {
    router_scene *s;
    listener *other, *fresh;
} mischief;

/* What a sink may do inside any call: cancel another, ask anew, and forget itself where its own
 * exchange is over. */
static void do_mischief(listener *l)
{
    mischief *m = l->user;
    tl_ask ask = router_scene_question("n"); /* nobody serves it */
    listener_cancel(m->other);
    listener_quiet = true;
    assert_int_equal(
        tl_router_ask(m->s->router, &ask, &listener_sink, m->fresh, &m->fresh->exchange), TL_OK);
    listener_quiet = false;
    if (!l->exchange)
        free(l);
}

/* The ways to on_fail: by a provider, by the router as it looks for one, and by its timer. */
enum { BY_PROVIDER, BY_LOOKING, BY_TIME, WAYS };

static void come_to(router_scene *s, listener_call call, int way)
{
    if (call == ON_FAIL && way == BY_LOOKING) {
        tl_router_on_discovered(s->router, "m", true);
        tl_router_run(s->router);
        return;
    }
    if (call == ON_FAIL && way == BY_TIME) {
        router_scene_pass(s, TL_ROUTE_FIND_WITHIN);
        return;
    }
    provider *p = &s->providers[0];
    if (call == ON_FAIL) {
        provider_fail(p, TL_FAIL_TIMEOUT, "slow");
        return;
    }
    provider_head(p);
    if (call == ON_BODY)
        provider_body(p, "x");
    if (call == ON_END)
        provider_end(p);
}

static void a_sink_may_cancel_others_and_ask_anew_inside_every_call(void **state)
{
    (void)state;
    for (int call = ON_HEAD; call < ON_PROGRESS; call++)
        for (int way = 0; way < (call == ON_FAIL ? WAYS : 1); way++) {
            router_scene s;
            listener *l = calloc(1, sizeof *l), other = {0}, fresh = {0};
            mischief m = {&s, &other, &fresh};
            assert_non_null(l);
            l->inside[call] = do_mischief;
            l->user = &m;
            router_scene_init(&s);
            if (way == BY_PROVIDER)
                (void)router_scene_peer(&s, 2, "m");
            router_scene_ask(&s, l, "m");
            router_scene_ask(&s, &other, "m"); /* in the same state as the first */
            come_to(&s, call, way);
            assert_true(listener_heard_nothing(&other));
            assert_non_null(fresh.exchange);
            tl_router_run(s.router);
            assert_string_equal(s.discovered, "n");
            assert_int_equal(tl_router_running(s.router),
                             call == ON_HEAD || call == ON_BODY ? 2 : 1);
            router_scene_clear(&s);
            if (call == ON_HEAD || call == ON_BODY) {
                listener_clear(l);
                free(l);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pause_holds_for_whichever_provider_comes),
        cmocka_unit_test(cancelling_reaches_the_provider_and_no_call_follows),
        cmocka_unit_test(freeing_the_router_ends_its_questions_without_a_call),
        cmocka_unit_test(a_sink_may_cancel_and_vanish_inside_head_and_body),
        cmocka_unit_test(a_sink_may_cancel_others_and_ask_anew_inside_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
