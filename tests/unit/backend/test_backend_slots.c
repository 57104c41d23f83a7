#include "backend/backend_slots.h"

#include "sharing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned slots_of(const char *kind, const char *json)
{
    return tl_backend_slots_parse(kind, tl_slice_str(json));
}

static void each_kind_tells_its_slots_where_it_tells_them(void **state)
{
    (void)state;
    assert_int_equal(slots_of("llama-server", "{\"total_slots\":3,\"chat_template\":\"x\"}"), 3);
    assert_int_equal(
        slots_of("vLLM", "{\"vllm_config\":{\"scheduler_config\":{\"max_num_seqs\":256}}}"), 256);
    assert_int_equal(slots_of("Ollama", "{\"total_slots\":3}"), 0);
    assert_true(tl_backend_slots_askable("llama-server"));
    assert_true(tl_backend_slots_askable("vLLM"));
    assert_false(tl_backend_slots_askable("Ollama"));
    assert_false(tl_backend_slots_askable("OpenAI-compatible"));
}

static void nonsense_tells_nothing_and_too_many_are_the_most(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "nonsense",
                                      "[]",
                                      "{}",
                                      "{\"total_slots\":0}",
                                      "{\"total_slots\":-4}",
                                      "{\"total_slots\":\"4\"}",
                                      "{\"total_slots\":4.5}",
                                      "{\"total_slots\":null}",
                                      "{\"total_slots\":[4]}",
                                      "{\"total_slots\":1e400}",
                                      "{\"x\":{\"total_slots\":4}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(slots_of("llama-server", bad[i]), 0);
    assert_int_equal(slots_of("vLLM", "{\"vllm_config\":\"text\"}"), 0);
    assert_int_equal(slots_of("llama-server", "{\"total_slots\":1}"), 1);
    assert_int_equal(slots_of("llama-server", "{\"total_slots\":1024}"), 1024);
    assert_int_equal(slots_of("llama-server", "{\"total_slots\":1025}"), TL_BACKEND_SLOTS_MAX);
    assert_int_equal(slots_of("llama-server", "{\"total_slots\":9000000000000000000}"),
                     TL_BACKEND_SLOTS_MAX);
}

#define LLAMA "{\"object\":\"list\",\"data\":[{\"id\":\"m1\",\"owned_by\":\"llamacpp\"}]}"

static void await_slots(share *k, unsigned slots)
{
    for (int i = 0; i < 5000 && tl_backend_slots(k->backend) != slots; i++)
        share_run_for(k, TL_MS);
    assert_int_equal(tl_backend_slots(k->backend), slots);
}

static void a_server_that_is_up_is_asked_and_one_that_comes_back_is_asked_again(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {
        .list = LLAMA, .key = "k", .extra_path = "/props", .extra = "{\"total_slots\":3}"};
    char key_file[] = "/tmp/teale-key-XXXXXX";
    int fd = mkstemp(key_file);
    assert_true(fd >= 0 && dprintf(fd, "k\n") > 0);
    close(fd);
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    snprintf(config.key_file, sizeof config.key_file, "%s", key_file);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    assert_string_equal(tl_backend_kind(k.backend), "llama-server");
    await_slots(&k, 3);
    m.list = "[]"; /* it goes, and comes back with another number */
    share_await(&k, TL_BACKEND_DOWN);
    m.extra = "{\"total_slots\":5}";
    m.list = LLAMA;
    await_slots(&k, 5);
    m.list = "[]";
    share_await(&k, TL_BACKEND_DOWN);
    m.extra = "{\"total_slots\":-1}"; /* nonsense harms nothing */
    m.list = LLAMA;
    await_slots(&k, 0);
    assert_int_equal(tl_backend_state_of(k.backend), TL_BACKEND_UP);
    share_clear(&k);
    scripted_stop(&s);
    unlink(key_file);
}

static void a_server_that_does_not_know_the_question_tells_nothing(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE_VLLM};
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    share_run_for(&k, 60 * TL_MS);
    assert_int_equal(tl_backend_slots(k.backend), 0);
    assert_int_equal(tl_backend_state_of(k.backend), TL_BACKEND_UP);
    share_clear(&k);
    scripted_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_tells_its_slots_where_it_tells_them),
        cmocka_unit_test(nonsense_tells_nothing_and_too_many_are_the_most),
        cmocka_unit_test(a_server_that_is_up_is_asked_and_one_that_comes_back_is_asked_again),
        cmocka_unit_test(a_server_that_does_not_know_the_question_tells_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
