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
            provider_body(p, "x"); /* the head is told with it */
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
        router_scene_discovered(s, "m");
        return;
    }
    if (call == ON_FAIL && way == BY_TIME) {
        router_scene_pass(s, TL_ROUTE_FIND_WITHIN);
        return;
    }
    provider *p = &s->providers[0];
    if (call == ON_FAIL) {
        s->relay_hopeless = "off"; /* nobody else can be found */
        provider_fail(p, TL_FAIL_PAYMENT_REQUIRED, "pay");
        s->relay_hopeless = NULL;
        return;
    }
    provider_head(p);
    if (call != ON_END)
        provider_body(p, "x");
    else
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

/* --- a pause inside the head: the first bytes are in the same call --- */

static void pause_inside(listener *l)
{
    listener_pause(l, true);
}

static void cancel_inside(listener *l)
{
    listener_cancel(l);
}

static provider *with_held_bytes(router_scene *s, listener *l)
{
    *l = (listener){.inside[ON_HEAD] = pause_inside};
    router_scene_init(s);
    (void)router_scene_peer(s, 2, "m");
    router_scene_ask(s, l, "m");
    provider *p = router_scene_at(s, 2);
    provider_head(p);
    provider_body(p, "held ");
    assert_true(p->paused);
    assert_int_equal(l->calls[ON_HEAD], 1);
    assert_int_equal(l->calls[ON_BODY], 0);
    return p;
}

static void bytes_held_by_a_pause_come_first_and_not_from_inside(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    provider *p = with_held_bytes(&s, &l);
    tl_router_run(s.router);
    assert_int_equal(l.calls[ON_BODY], 0);
    listener_pause(&l, false);
    assert_true(p->paused); /* until they are through */
    listener_pause(&l, true);
    tl_router_run(s.router); /* it has changed its mind */
    assert_int_equal(l.calls[ON_BODY], 0);
    listener_pause(&l, false);
    tl_router_run(s.router);
    assert_true(listener_body_is(&l, "held "));
    assert_false(p->paused);
    provider_body(p, "and more");
    provider_end(p);
    assert_true(listener_body_is(&l, "held and more"));
    assert_int_equal(l.calls[ON_END], 1);
    listener_clear(&l);
    router_scene_clear(&s);
}

static void an_end_waits_behind_the_held_bytes_and_a_failure_does_not(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        router_scene s;
        listener l;
        provider *p = with_held_bytes(&s, &l);
        if (fails) {
            provider_fail(p, TL_FAIL_PEER_FAILED, "broken");
            assert_int_equal(l.calls[ON_FAIL], 1);
            assert_int_equal(l.calls[ON_BODY], 0);
        } else {
            provider_end(p);
            assert_int_equal(l.calls[ON_END], 0);
            assert_int_equal(s.dones, 0);
            router_scene_pass(&s, TL_MIN);
            listener_pause(&l, false);
            tl_router_run(s.router);
            assert_int_equal(l.calls[ON_END], 1);
            assert_int_equal(l.end.tokens_out, 6);
            assert_true(listener_body_is(&l, "held "));
        }
        assert_int_equal(s.dones, 1);
        assert_int_equal(tl_router_running(s.router), 0);
        listener_clear(&l);
        router_scene_clear(&s);
    }
}

static void a_sink_may_pause_again_or_cancel_at_the_held_bytes(void **state)
{
    (void)state;
    for (int ended = 0; ended < 2; ended++)
        for (int cancels = 0; cancels < 2; cancels++) {
            router_scene s;
            listener l;
            provider *p = with_held_bytes(&s, &l);
            if (ended)
                provider_end(p);
            l.inside[ON_BODY] = cancels ? cancel_inside : pause_inside;
            listener_pause(&l, false);
            tl_router_run(s.router);
            assert_int_equal(l.calls[ON_BODY], 1);
            assert_int_equal(l.calls[ON_END], ended && !cancels);
            assert_int_equal(p->cancelled, !ended && cancels);
            if (!ended && !cancels)
                assert_true(p->paused);
            listener_clear(&l);
            router_scene_clear(&s);
        }
}

static void what_is_held_goes_with_the_question(void **state)
{
    (void)state;
    for (int ended = 0; ended < 2; ended++) {
        router_scene s;
        listener l;
        provider *p = with_held_bytes(&s, &l);
        if (ended)
            provider_end(p);
        listener_pause(&l, false); /* a call is due */
        listener_cancel(&l);
        tl_router_run(s.router);
        assert_int_equal(l.calls[ON_BODY], 0);
        router_scene_clear(&s);
    }
}

static void a_pause_reaches_both_that_have_the_question(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    (void)router_scene_peer(&s, 2, "m");
    (void)router_scene_peer(&s, 3, "m");
    router_scene_ask(&s, &l, "m");
    router_scene_pass(&s, 2500 * TL_MS);
    assert_asked(&s, 2);
    listener_pause(&l, true);
    assert_true(s.providers[0].paused && s.providers[1].paused);
    listener_pause(&l, false);
    assert_false(s.providers[0].paused || s.providers[1].paused);
    listener_cancel(&l);
    assert_true(s.providers[0].cancelled && s.providers[1].cancelled);
    router_scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pause_holds_for_whichever_provider_comes),
        cmocka_unit_test(cancelling_reaches_the_provider_and_no_call_follows),
        cmocka_unit_test(freeing_the_router_ends_its_questions_without_a_call),
        cmocka_unit_test(a_sink_may_cancel_and_vanish_inside_head_and_body),
        cmocka_unit_test(a_sink_may_cancel_others_and_ask_anew_inside_every_call),
        cmocka_unit_test(bytes_held_by_a_pause_come_first_and_not_from_inside),
        cmocka_unit_test(an_end_waits_behind_the_held_bytes_and_a_failure_does_not),
        cmocka_unit_test(a_sink_may_pause_again_or_cancel_at_the_held_bytes),
        cmocka_unit_test(what_is_held_goes_with_the_question),
        cmocka_unit_test(a_pause_reaches_both_that_have_the_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
