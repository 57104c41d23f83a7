#include "node/sharing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A server that is up and shared with anyone over a relay; every test changes what it is about. */
static tl_sharing_facts good(void)
{
    return (tl_sharing_facts){.share = "http://127.0.0.1:11434",
                              .key_file = "",
                              .backend = TL_BACKEND_UP,
                              .url = "http://127.0.0.1:11434",
                              .locked = "",
                              .error = "",
                              .models = 2,
                              .models_shared = 2,
                              .a_model = "m1",
                              .missing = "",
                              .wan_enabled = true};
}

static tl_sharing judged(const tl_sharing_facts *f)
{
    tl_sharing s;
    tl_sharing_judge(f, &s);
    return s;
}

static void expect(const tl_sharing_facts *f, tl_sharing_state state, const char *reason,
                   const char *cause, const char *remedy)
{
    tl_sharing s = judged(f);
    assert_int_equal(s.state, state);
    assert_string_equal(s.reason, reason);
    if (!strstr(s.cause, cause) || !strstr(s.remedy, remedy))
        fail_msg("%s. %s", s.cause, s.remedy);
}

static void what_works_needs_no_words(void **state)
{
    (void)state;
    tl_sharing_facts f = good();
    tl_sharing s = judged(&f);
    assert_int_equal(s.state, TL_SHARING_ON);
    assert_string_equal(s.cause, "");
    assert_string_equal(s.remedy, "");
    f.missing = "m3"; /* one of several */
    assert_int_equal(judged(&f).state, TL_SHARING_ON);
    f.share = "";
    assert_int_equal(judged(&f).state, TL_SHARING_OFF);
}

static void each_trouble_of_the_server_has_its_own_remedy(void **state)
{
    (void)state;
    static const struct {
        tl_backend_trouble trouble;
        const char *reason, *remedy;
    } cases[] = {
        {TL_BACKEND_SILENT, "silent", "Start the model server"},
        {TL_BACKEND_WANTS_KEY, "wants_key", "--share-key-file FILE"},
        {TL_BACKEND_KEY_REFUSED, "key_refused", "into /etc/key;"},
        {TL_BACKEND_NOT_ONE, "no_model_server", "speaks the OpenAI API"},
        {TL_BACKEND_NONE_FOUND, "none_found", "Start one (Ollama"},
        {TL_BACKEND_FOUND_LOCKED, "found_locked", "--share http://127.0.0.1:8000 --share-key-file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_sharing_facts f = good();
        f.backend = TL_BACKEND_TRYING;
        f.trouble = cases[i].trouble;
        f.error = "the evidence";
        f.key_file = "/etc/key";
        f.locked = "http://127.0.0.1:8000";
        expect(&f, TL_SHARING_NOTHING, cases[i].reason, "the evidence", cases[i].remedy);
    }
}

static void before_the_first_look_has_ended_nothing_is_wrong_yet(void **state)
{
    (void)state;
    tl_sharing_facts f = good();
    f.backend = TL_BACKEND_TRYING;
    tl_sharing s = judged(&f);
    assert_int_equal(s.state, TL_SHARING_STARTING);
    assert_string_equal(s.cause, "");
    assert_string_equal(s.reason, "");
}

static void a_server_without_the_models_shares_nothing(void **state)
{
    (void)state;
    tl_sharing_facts f = good();
    f.models_shared = 0;
    f.missing = "no\033pe";
    expect(&f, TL_SHARING_NOTHING, "model_missing", "does not serve \"no\\x1bpe\"",
           "\"m1\" and others");
    f.models = 1;
    expect(&f, TL_SHARING_NOTHING, "model_missing", "does not serve", "\"m1\". Correct --model");
    f.models = 0;
    expect(&f, TL_SHARING_NOTHING, "no_model", "has no model", "ollama pull");
}

static void models_that_nobody_else_can_ask_are_shared_with_nobody(void **state)
{
    (void)state;
    tl_sharing_facts f = good();
    f.members_only = true;
    expect(&f, TL_SHARING_NOBODY, "no_network", "it is in none", "--private");
    expect(&f, TL_SHARING_NOBODY, "no_network", "it is in none", "teale ptn create family");
    f.in_network = true;
    expect(&f, TL_SHARING_NOBODY, "consumer", "serves nobody", "--role provider");
    f.serves = true;
    assert_int_equal(judged(&f).state, TL_SHARING_ON);
    f.wan_enabled = false;
    expect(&f, TL_SHARING_NOBODY, "no_relay", "no relay", "--relay URL");
    f.models_shared = 0; /* the worse comes first */
    assert_int_equal(judged(&f).state, TL_SHARING_NOTHING);
}

static void every_state_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(tl_sharing_state_name(TL_SHARING_OFF), "off");
    assert_string_equal(tl_sharing_state_name(TL_SHARING_STARTING), "starting");
    assert_string_equal(tl_sharing_state_name(TL_SHARING_ON), "on");
    assert_string_equal(tl_sharing_state_name(TL_SHARING_NOBODY), "nobody");
    assert_string_equal(tl_sharing_state_name(TL_SHARING_NOTHING), "nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_works_needs_no_words),
        cmocka_unit_test(each_trouble_of_the_server_has_its_own_remedy),
        cmocka_unit_test(before_the_first_look_has_ended_nothing_is_wrong_yet),
        cmocka_unit_test(a_server_without_the_models_shares_nothing),
        cmocka_unit_test(models_that_nobody_else_can_ask_are_shared_with_nobody),
        cmocka_unit_test(every_state_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
