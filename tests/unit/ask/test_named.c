/* A question that its client named: it goes out when the name is stored, and never twice. */
#include "ask/named.h"

#include "listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    tl_exchange exchange; /* first: of the one who answers */
    tl_named_world world;
    tl_err name_err; /* of the next name */
    void (*on_named)(void *q, tl_err e);
    void *naming_q;
    unsigned asked, unnamed, forgotten, cancelled;
    bool paused, was_asked;
    tl_err ask_err;
    tl_exchange_sink sink;
    void *sink_user;
    char body[32];
} scene;

static tl_err name(void *user, const tl_ask *a, void (*on_named)(void *q, tl_err e), void *q,
                   void **ret_naming)
{
    scene *s = user;
    assert_string_equal(a->id, "mine");
    if (s->name_err)
        return s->name_err;
    s->on_named = on_named;
    s->naming_q = q;
    *ret_naming = s;
    return TL_OK;
}

static void forget(void *naming)
{
    scene *s = naming;
    s->forgotten++;
    s->on_named = NULL;
}

static void unname(void *user, const char *id)
{
    assert_string_equal(id, "mine");
    ((scene *)user)->unnamed++;
}

static void inner_cancel(tl_exchange *x)
{
    ((scene *)x)->cancelled++;
}

static void inner_set_paused(tl_exchange *x, bool on)
{
    ((scene *)x)->paused = on;
}

static tl_err ask(void *user, const tl_ask *a, const tl_exchange_sink *sink, void *sink_user,
                  tl_exchange **ret_exchange)
{
    scene *s = user;
    if (s->ask_err)
        return s->ask_err;
    s->asked++;
    s->sink = *sink;
    s->sink_user = sink_user;
    memcpy(s->body, a->body.p, a->body.n);
    s->exchange = (tl_exchange){.cancel = inner_cancel, .set_paused = inner_set_paused};
    *ret_exchange = &s->exchange;
    return TL_OK;
}

static bool was_asked(const tl_exchange *x)
{
    return ((const scene *)x)->was_asked;
}

static tl_err begin(scene *s, listener *l)
{
    char body[] = "{}";
    tl_ask a = {.id = "mine", .named = true, .body = tl_slice_of(body, 2)};
    s->world = (tl_named_world){name, forget, unname, ask, was_asked, s};
    tl_err e = tl_named_ask(&s->world, &a, &listener_sink, l, &l->exchange);
    memset(body, 'x', sizeof body); /* it was copied */
    return e;
}

static void it_is_asked_when_its_name_is_stored_and_not_before(void **state)
{
    (void)state;
    scene s = {.asked = 0};
    listener l = {0};
    assert_int_equal(begin(&s, &l), TL_OK);
    assert_int_equal(s.asked, 0);
    s.on_named(s.naming_q, TL_OK);
    assert_int_equal(s.asked, 1);
    assert_string_equal(s.body, "{}");
    s.sink.on_head(s.sink_user, &(tl_answer_head){.status = 200});
    s.sink.on_body(s.sink_user, TL_SLICE_LIT("answer"));
    s.sink.on_end(s.sink_user, &(tl_answer_end){.tokens_in = 1, .tokens_out = 2});
    assert_int_equal(l.calls[ON_END], 1);
    assert_int_equal(l.calls[ON_FAIL], 0);
    assert_int_equal(s.unnamed, 0); /* the name stays given */
    listener_clear(&l);
}

static void a_name_that_was_given_before_is_refused_at_once(void **state)
{
    (void)state;
    scene s = {.name_err = TL_ERR_EXISTS};
    listener l = {0};
    assert_int_equal(begin(&s, &l), TL_ERR_EXISTS);
    assert_int_equal(s.asked, 0);
    assert_true(listener_heard_nothing(&l));
}

static void what_the_store_says_later_ends_it_without_a_question(void **state)
{
    (void)state;
    static const struct {
        tl_err e;
        tl_fail fail;
        unsigned unnamed;
    } v[] = {{TL_ERR_EXISTS, TL_FAIL_DUPLICATE, 0}, {TL_ERR_IO, TL_FAIL_UNAVAILABLE, 1}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        scene s = {.asked = 0};
        listener l = {0};
        assert_int_equal(begin(&s, &l), TL_OK);
        s.on_named(s.naming_q, v[i].e);
        assert_int_equal(l.calls[ON_FAIL], 1);
        assert_int_equal(l.fail, v[i].fail);
        assert_int_equal(s.asked, 0);
        assert_int_equal(s.unnamed, v[i].unnamed);
        listener_clear(&l);
    }
}

static void a_question_that_failed_may_be_made_again(void **state)
{
    (void)state;
    for (int twice = 0; twice < 2; twice++) {
        scene s = {.asked = 0};
        listener l = {0};
        assert_int_equal(begin(&s, &l), TL_OK);
        s.on_named(s.naming_q, TL_OK);
        s.sink.on_fail(s.sink_user,
                       &(tl_failure){.fail = twice ? TL_FAIL_DUPLICATE : TL_FAIL_NO_PROVIDER,
                                     .message = "none"});
        assert_int_equal(l.calls[ON_FAIL], 1);
        /* but not where a provider has it already */
        assert_int_equal(s.unnamed, twice ? 0 : 1);
        listener_clear(&l);
    }
    scene s = {.ask_err = TL_ERR_NOMEM};
    listener l = {0};
    assert_int_equal(begin(&s, &l), TL_OK);
    s.on_named(s.naming_q, TL_OK);
    assert_int_equal(l.fail, TL_FAIL_UNAVAILABLE);
    assert_int_equal(s.unnamed, 1);
    listener_clear(&l);
}

static void a_question_that_is_given_up_may_be_made_again_if_nobody_had_it(void **state)
{
    (void)state;
    for (int had = 0; had < 2; had++) {
        scene s = {.was_asked = had};
        listener l = {0};
        assert_int_equal(begin(&s, &l), TL_OK);
        s.on_named(s.naming_q, TL_OK);
        tl_exchange_cancel(l.exchange);
        assert_int_equal(s.cancelled, 1);
        assert_int_equal(s.unnamed, !had);
    }
}

static void a_client_that_goes_or_pauses_does_so_at_any_time(void **state)
{
    (void)state;
    scene s = {.asked = 0};
    listener l = {0};
    assert_int_equal(begin(&s, &l), TL_OK);
    tl_exchange_cancel(l.exchange);
    assert_int_equal(s.forgotten, 1);
    assert_int_equal(begin(&s, &l), TL_OK);
    tl_exchange_set_paused(l.exchange, true);
    s.on_named(s.naming_q, TL_OK);
    assert_true(s.paused);
    tl_exchange_set_paused(l.exchange, false);
    assert_false(s.paused);
    assert_int_equal(tl_exchange_progress(l.exchange).position, 0);
    tl_exchange_cancel(l.exchange);
    assert_int_equal(s.cancelled, 1);
    assert_true(listener_heard_nothing(&l));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_asked_when_its_name_is_stored_and_not_before),
        cmocka_unit_test(a_name_that_was_given_before_is_refused_at_once),
        cmocka_unit_test(what_the_store_says_later_ends_it_without_a_question),
        cmocka_unit_test(a_question_that_failed_may_be_made_again),
        cmocka_unit_test(a_question_that_is_given_up_may_be_made_again_if_nobody_had_it),
        cmocka_unit_test(a_client_that_goes_or_pauses_does_so_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
