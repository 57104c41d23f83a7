#include "ask/modelname.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void becomes(const char *body, const char *name, const char *expected)
{
    tl_buf out = {0};
    assert_int_equal(tl_model_replace("application/json", tl_slice_str(body), name, &out), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&out), tl_slice_str(expected)));
    tl_buf_clear(&out);
}

static void is_refused(const char *body)
{
    tl_buf out = {0};
    assert_int_equal(tl_model_replace("application/json", tl_slice_str(body), "m", &out),
                     TL_ERR_PROTO);
    assert_int_equal(out.len, 0);
    tl_buf_clear(&out);
}

static void only_the_top_level_name_changes_and_every_other_byte_stays(void **state)
{
    (void)state;
    becomes(" {\"a\" :[1.50,{\"model\":\"x\"}], \"model\" : \"teale-auto\" ,\"b\":\"\\u00e4\"}\n",
            "qwen3:8b",
            " {\"a\" :[1.50,{\"model\":\"x\"}], \"model\" : \"qwen3:8b\" ,\"b\":\"\\u00e4\"}\n");
    becomes("{\"model\":\"teale-auto\"}", "a\"b\\", "{\"model\":\"a\\\"b\\\\\"}");
    becomes("{\"\\u006dodel\":\"teale-auto\"}", "m", "{\"\\u006dodel\":\"m\"}");
}

static void a_body_without_exactly_one_name_is_refused(void **state)
{
    (void)state;
    is_refused("{\"models\":\"x\"}");
    is_refused("{\"model\":1}");
    is_refused("{\"model\":\"x\",\"model\":\"y\"}");
    is_refused("{\"model\":\"x\",\"mo\\u0064el\":\"y\"}");
    is_refused("{\"model\":\"x\"");
    is_refused("{\"model\":\"x\",\"Model\":\"y\"}"); /* Go takes the last one */
    is_refused("{\"MODEL\":\"y\",\"model\":\"x\"}");
    is_refused("{\"model\":\"x\",\"m\\u004fdel\":\"y\"}");
    is_refused("{\"model\":\"x\",\"model\\u0000\":\"y\"}");
    is_refused("{\"Model\":\"x\"}");
    becomes("{\"Models\":1,\"model\":\"x\",\"a\":{\"Model\":1}}", "m",
            "{\"Models\":1,\"model\":\"m\",\"a\":{\"Model\":1}}");
    is_refused("[\"model\"]");
    is_refused("");
}

#define FORM "multipart/form-data; boundary=xYz"
#define PART(name, value)                                                                          \
    "--xYz\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define UPLOAD                                                                                     \
    "--xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\\"b.wav\"\r\n"          \
    "Content-Type: audio/wav\r\n\r\nRIFF\r\n--xY\r\n"

static void in_a_form_only_the_name_changes_and_files_stay(void **state)
{
    (void)state;
    static const char body[] = UPLOAD PART("model", "whisper") PART("x", "model") "--xYz--\r\n";
    static const char then[] = UPLOAD PART("model", "a\"b:1") PART("x", "model") "--xYz--\r\n";
    tl_buf out = {0};
    bool same;
    assert_int_equal(tl_model_replace(FORM, tl_slice_str(body), "a\"b:1", &out), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&out), tl_slice_str(then)));
    assert_int_equal(tl_model_compare(FORM, tl_buf_slice(&out), "a\"b:1", &same), TL_OK);
    assert_true(same);
    assert_int_equal(tl_model_compare(FORM, tl_slice_str(body), "whispe", &same), TL_OK);
    assert_false(same);
    tl_buf_clear(&out);
}

static void a_form_with_two_names_or_none_or_a_file_for_one_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        UPLOAD "--xYz--\r\n",
        PART("model", "a") PART("model", "a") "--xYz--",
        "--xYz\r\nContent-Disposition: form-data; name=model; filename=m\r\n\r\na\r\n--xYz--",
        PART("model", "a") PART("Model", "b") "--xYz--",
        PART("MODEL", "a") "--xYz--",
        PART("model", "a"),
        "{\"model\":\"a\"}",
    };
    tl_buf out = {0};
    bool same;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        assert_int_equal(tl_model_replace(FORM, tl_slice_str(bodies[i]), "m", &out), TL_ERR_PROTO);
        assert_int_equal(tl_model_compare(FORM, tl_slice_str(bodies[i]), "a", &same), TL_ERR_PROTO);
    }
    assert_int_equal(out.len, 0);
    tl_slice fits = TL_SLICE_LIT(PART("model", "a") "--xYz--");
    assert_int_equal(tl_model_replace(FORM, fits, "a\r\n--xYz", &out), TL_ERR_PROTO);
    assert_int_equal(tl_model_compare(FORM, fits, "a", &same), TL_OK);
    assert_true(same);
}

static void a_name_is_compared_without_its_escapes(void **state)
{
    (void)state;
    bool same = false;
    assert_int_equal(
        tl_model_compare("application/json", TL_SLICE_LIT("{\"model\":\"\\u006d1\"}"), "m1", &same),
        TL_OK);
    assert_true(same);
    assert_int_equal(tl_model_compare("", TL_SLICE_LIT("{\"model\":\"m12\"}"), "m1", &same), TL_OK);
    assert_false(same);
}

static void a_name_without_a_tag_means_the_latest_too(void **state)
{
    (void)state;
    static const struct {
        const char *asked, *listed;
        tl_model_fit fit;
    } rows[] = {
        {"llama3.2", "llama3.2", TL_MODEL_SAME},
        {"llama3.2", "llama3.2:latest", TL_MODEL_LATEST},
        {"llama3.2:latest", "llama3.2:latest", TL_MODEL_SAME},
        {"llama3.2", "llama3.2:1b", TL_MODEL_OTHER},
        {"llama3.2:1b", "llama3.2:latest", TL_MODEL_OTHER},
        {"llama3.2:latest", "llama3.2", TL_MODEL_OTHER},
        {"llama3.2:1b", "llama3.2:1b:latest", TL_MODEL_OTHER},
        {"reg:5000/x", "reg:5000/x:latest", TL_MODEL_LATEST},
        {"reg/x:1", "reg/x:1:latest", TL_MODEL_OTHER},
        {"", ":latest", TL_MODEL_OTHER},
        {"Llama3.2", "llama3.2:latest", TL_MODEL_OTHER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(tl_model_fits(rows[i].asked, rows[i].listed), rows[i].fit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_top_level_name_changes_and_every_other_byte_stays),
        cmocka_unit_test(a_body_without_exactly_one_name_is_refused),
        cmocka_unit_test(in_a_form_only_the_name_changes_and_files_stay),
        cmocka_unit_test(a_form_with_two_names_or_none_or_a_file_for_one_is_refused),
        cmocka_unit_test(a_name_is_compared_without_its_escapes),
        cmocka_unit_test(a_name_without_a_tag_means_the_latest_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
