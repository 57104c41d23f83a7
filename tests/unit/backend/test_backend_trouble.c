/* Why a model server is not up: what it answers, what it wants, and that it mends itself. */
#include "backend/backend.h"

#include "sharing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>

static void what_is_no_model_server_is_told_why(void **state)
{
    (void)state;
    static const struct {
        const char *list, *key, *why;
        tl_backend_state state;
        tl_backend_trouble trouble;
    } cases[] = {
        {LIST_ONE, NULL, NULL, TL_BACKEND_UP, TL_BACKEND_NO_TROUBLE},
        {NULL, NULL, "it answers /v1/models with status 404", TL_BACKEND_TRYING,
         TL_BACKEND_NOT_ONE},
        {"{\"status\":\"ok\"}", NULL, "not a list of models", TL_BACKEND_TRYING,
         TL_BACKEND_NOT_ONE},
        {LIST_ONE, "secret", "wants a key", TL_BACKEND_REFUSED, TL_BACKEND_WANTS_KEY},
        {"{\"object\":\"list\",\"data\":[{\"id\":\"teale-auto\",\"owned_by\":\"teale\"}]}", NULL,
         "it is a Teale node", TL_BACKEND_TRYING, TL_BACKEND_NOT_ONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        share k;
        scripted s;
        model_server m = {.list = cases[i].list, .key = cases[i].key};
        scripted_start(&s, 0, serve_models, &m);
        tl_backend_config config = share_config(s.url);
        share_init(&k, &config);
        for (int turn = 0; turn < 2000 && !tl_backend_error(k.backend)[0] &&
                           tl_backend_state_of(k.backend) != TL_BACKEND_UP;
             turn++)
            share_run_for(&k, TL_MS);
        assert_int_equal(tl_backend_state_of(k.backend), cases[i].state);
        assert_int_equal(tl_backend_trouble_of(k.backend), cases[i].trouble);
        if (cases[i].why && !strstr(tl_backend_error(k.backend), cases[i].why))
            fail_msg("%s", tl_backend_error(k.backend));
        share_clear(&k);
        scripted_stop(&s);
    }
}

static void while_searching_a_server_that_wants_a_key_is_remembered_and_named(void **state)
{
    (void)state;
    share k;
    scripted locked, other, open;
    model_server wants = {.list = LIST_ONE, .key = "secret"}, none = {.list = NULL};
    model_server m = {.list = LIST_ONE};
    scripted_start(&open, 0, serve_models, &m);
    scripted_stop(&open);
    scripted_start(&locked, 0, serve_models, &wants);
    scripted_start(&other, 0, serve_models, &none);
    tl_backend_config config = share_config("");
    uint16_t ports[] = {locked.port, other.port, open.port};
    memcpy(config.search_ports, ports, sizeof ports);
    share_init(&k, &config);
    for (int turn = 0; turn < 2000 && !tl_backend_error(k.backend)[0]; turn++)
        share_run_for(&k, TL_MS);
    assert_int_equal(tl_backend_state_of(k.backend), TL_BACKEND_NONE);
    assert_int_equal(tl_backend_trouble_of(k.backend), TL_BACKEND_FOUND_LOCKED);
    assert_string_equal(tl_backend_locked(k.backend), locked.url);
    assert_string_equal(tl_backend_url(k.backend), "");

    scripted_start(&open, open.port, serve_models, &m); /* an open one is taken all the same */
    share_await(&k, TL_BACKEND_UP);
    assert_string_equal(tl_backend_url(k.backend), open.url);
    assert_int_equal(tl_backend_trouble_of(k.backend), TL_BACKEND_NO_TROUBLE);
    share_clear(&k);
    scripted_stop(&open);
    scripted_stop(&locked);
    scripted_stop(&other);
}

static void a_server_that_begins_to_want_a_key_is_refused_and_then_down_when_it_goes(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE};
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    scripted_stop(&s);
    m.key = "secret";
    scripted_start(&s, s.port, serve_models, &m);
    share_await(&k, TL_BACKEND_REFUSED);
    assert_int_equal(tl_backend_model_count(k.backend), 0);
    scripted_stop(&s);
    share_await(&k, TL_BACKEND_DOWN);
    assert_int_equal(tl_backend_trouble_of(k.backend), TL_BACKEND_SILENT);
    m.key = NULL;
    scripted_start(&s, s.port, serve_models, &m);
    share_await(&k, TL_BACKEND_UP);
    share_clear(&k);
    scripted_stop(&s);
}

static void what_says_not_now_may_be_a_model_server_that_loads(void **state)
{
    (void)state;
    static const int statuses[] = {429, 500, 503, 400, 302};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        share k;
        scripted s;
        model_server m = {.list = LIST_ONE, .list_status = statuses[i]};
        scripted_start(&s, 0, serve_models, &m);
        tl_backend_config config = share_config(s.url);
        share_init(&k, &config);
        for (int turn = 0; turn < 2000 && !tl_backend_error(k.backend)[0]; turn++)
            share_run_for(&k, TL_MS);
        assert_int_equal(tl_backend_trouble_of(k.backend),
                         i < 3 ? TL_BACKEND_SILENT : TL_BACKEND_NOT_ONE);
        share_clear(&k);
        scripted_stop(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_model_server_is_told_why),
        cmocka_unit_test(while_searching_a_server_that_wants_a_key_is_remembered_and_named),
        cmocka_unit_test(a_server_that_begins_to_want_a_key_is_refused_and_then_down_when_it_goes),
        cmocka_unit_test(what_says_not_now_may_be_a_model_server_that_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
