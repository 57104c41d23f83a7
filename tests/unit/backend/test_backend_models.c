#include "backend/backend_models.h"

#include "ask/exchange.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static tl_err parse(const char *json, const char *server, tl_backend_models *m, const char **kind)
{
    tl_why why = {0};
    *kind = "untouched";
    tl_err e = tl_backend_models_parse(tl_slice_str(json), server, m, kind, &why);
    assert_true((e == TL_OK) == (why.text[0] == 0));
    return e;
}

/* Answers of the servers themselves, to GET /v1/models. */
static const struct {
    const char *kind, *server, *json, *first;
} real[] = {
    {"Ollama", NULL,
     "{\"object\":\"list\",\"data\":[{\"id\":\"qwen3:8b\",\"object\":\"model\",\"created\":"
     "1730000000,"
     "\"owned_by\":\"library\"}]}\n",
     "qwen3:8b"},
    {"llama-server", "llama.cpp",
     "{\"object\":\"list\",\"data\":[{\"id\":\"/models/m.gguf\",\"object\":\"model\",\"created\":1,"
     "\"owned_by\":\"llamacpp\",\"meta\":{\"vocab_type\":1,\"n_params\":1}}]}",
     "/models/m.gguf"},
    {"vLLM", "uvicorn",
     "{\"object\":\"list\",\"data\":[{\"id\":\"facebook/"
     "opt-125m\",\"object\":\"model\",\"created\":1,"
     "\"owned_by\":\"vllm\",\"root\":\"facebook/opt-125m\",\"parent\":null,\"max_model_len\":2048,"
     "\"permission\":[{\"id\":\"modelperm-1\",\"object\":\"model_permission\",\"allow_view\":true}]"
     "}]}",
     "facebook/opt-125m"},
    {"LM Studio", NULL,
     "{\"data\":[{\"id\":\"llama-3.2-1b\",\"object\":\"model\",\"owned_by\":\"organization_owner\"}"
     "],"
     "\"object\":\"list\"}",
     "llama-3.2-1b"},
    {"llama-cpp-python", "uvicorn",
     "{\"object\":\"list\",\"data\":[{\"id\":\"gemma3-270m\",\"object\":\"model\",\"owned_by\":"
     "\"me\","
     "\"permissions\":[]}]}",
     "gemma3-270m"},
};

static void the_lists_of_real_servers_give_models_and_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++) {
        tl_backend_models m;
        const char *kind;
        assert_int_equal(parse(real[i].json, real[i].server, &m, &kind), TL_OK);
        assert_int_equal(m.n, 1);
        assert_string_equal(m.id[0], real[i].first);
        if (real[i].kind)
            assert_string_equal(kind, real[i].kind);
        else
            assert_null(kind);
        tl_backend_models_clear(&m);
    }
}

static void a_list_cut_anywhere_is_no_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++) {
        size_t n = strlen(real[i].json);
        while (n && real[i].json[n - 1] != '}')
            n--;
        for (size_t cut = 0; cut < n; cut++) {
            tl_backend_models m = {.n = 77};
            const char *kind = "untouched";
            tl_err e =
                tl_backend_models_parse(tl_slice_of(real[i].json, cut), NULL, &m, &kind, NULL);
            assert_int_equal(e, TL_ERR_PROTO);
            assert_int_equal(m.n, 77);
            assert_string_equal(kind, "untouched");
        }
    }
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        tl_err want;
        size_t n;
    } cases[] = {
        {"{\"data\":[{\"id\":\"a\"}]}", TL_OK, 1},
        {"{\"object\":\"list\",\"data\":null}", TL_OK, 0}, /* Ollama without models */
        {"{\"data\":[]}", TL_OK, 0},
        {"{\"data\":null}", TL_ERR_PROTO, 0},
        {"{\"data\":{\"id\":\"a\"}}", TL_ERR_PROTO, 0},
        {"{\"data\":\"a\"}", TL_ERR_PROTO, 0},
        {"[{\"id\":\"a\"}]", TL_ERR_PROTO, 0},
        {"{\"status\":\"ok\"}", TL_ERR_PROTO, 0},
        {"{\"data\":[{\"id\":\"a\"}],\"data\":[]}", TL_ERR_PROTO, 0},
        {"{\"data\":[{\"id\":\"a\"}]}x", TL_ERR_PROTO, 0},
        {"<!DOCTYPE html>", TL_ERR_PROTO, 0},
        {"null", TL_ERR_PROTO, 0},
        {"{\"data\":[{\"id\":\"a\",\"owned_by\":\"teal\"}]}", TL_OK, 1},
        {"{\"data\":[{\"id\":\"a\",\"owned_by\":\"teale\"}]}", TL_ERR_PROTO, 0}, /* our own kind */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tl_backend_models m = {0};
        const char *kind;
        tl_err e = parse(cases[i].json, NULL, &m, &kind);
        if (e != cases[i].want)
            fail_msg("case %zu: %s", i, tl_err_name(e));
        assert_int_equal(m.n, cases[i].n);
        tl_backend_models_clear(&m);
    }
}

static void unusable_names_are_left_out(void **state)
{
    (void)state;
    char json[2048], longest[TL_MODEL_MAX], too_long[TL_MODEL_MAX + 1];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    memset(too_long, 'y', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = 0;
    snprintf(json, sizeof json,
             "{\"data\":[{\"id\":\"a\"},{\"id\":\"\"},{\"id\":3},{},7,null,{\"id\":\"a\\nb\"},"
             "{\"id\":\"a\"},{\"id\":\"%s\"},{\"id\":\"%s\"},{\"id\":\"\xc3\xa4\"}]}",
             longest, too_long);
    tl_backend_models m;
    const char *kind;
    assert_int_equal(parse(json, NULL, &m, &kind), TL_OK);
    assert_int_equal(m.n, 3);
    assert_string_equal(m.id[0], "a");
    assert_string_equal(m.id[1], longest);
    assert_string_equal(m.id[2], "\xc3\xa4");
    tl_backend_models_clear(&m);
}

static void a_list_without_end_is_cut(void **state)
{
    (void)state;
    tl_buf json = {0};
    tl_backend_models m;
    const char *kind;
    assert_int_equal(tl_buf_append_str(&json, "{\"data\":["), TL_OK);
    for (unsigned i = 0; i < TL_BACKEND_MODELS_MAX + 9; i++)
        assert_int_equal(tl_buf_printf(&json, "%s{\"id\":\"m%u\"}", i ? "," : "", i), TL_OK);
    assert_int_equal(tl_buf_append_str(&json, "]}"), TL_OK);
    assert_int_equal(tl_backend_models_parse(tl_buf_slice(&json), NULL, &m, &kind, NULL), TL_OK);
    assert_int_equal(m.n, TL_BACKEND_MODELS_MAX);
    tl_backend_models_clear(&m);
    tl_buf_clear(&json);
}

static void lists_are_equal_by_name_and_order(void **state)
{
    (void)state;
    char a[] = "a", b[] = "b", *ab[] = {a, b}, *ba[] = {b, a}, *ab2[] = {a, b};
    tl_backend_models x = {2, ab}, y = {2, ab2}, z = {2, ba}, shorter = {1, ab}, none = {0};
    assert_true(tl_backend_models_eq(&x, &y));
    assert_false(tl_backend_models_eq(&x, &z));
    assert_false(tl_backend_models_eq(&x, &shorter));
    assert_true(tl_backend_models_eq(&none, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lists_of_real_servers_give_models_and_kind),
        cmocka_unit_test(a_list_cut_anywhere_is_no_list),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(unusable_names_are_left_out),
        cmocka_unit_test(a_list_without_end_is_cut),
        cmocka_unit_test(lists_are_equal_by_name_and_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
