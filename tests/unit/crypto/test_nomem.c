#include "support/failalloc.h"

#include "base/json.h"
#include "crypto/canonical.h"
#include "crypto/sign.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LONG_STRING "a string that is long enough to need room of its own, and then more"
#define DOCUMENT                                                                                   \
    "{\"b\":[1,2.5,\"" LONG_STRING "\"],"                                                          \
    "\"a\":{\"z\":null,\"y\":{},\"x\":\"\\u0001\\\"\"},\"list\":[[],[{}],true,false]}"

/* Runs `write` on a buffer that holds something; a failure must leave just that. */
static tl_err behind_content(tl_err (*write)(tl_buf *out, const void *what), const void *what)
{
    tl_buf out = {0};
    tl_err e = tl_buf_append_str(&out, "before");
    if (e) {
        assert_int_equal(out.len, 0);
        return e;
    }
    e = write(&out, what);
    if (e)
        assert_true(tl_slice_eq(tl_buf_slice(&out), TL_SLICE_LIT("before")));
    else
        assert_true(out.len > strlen("before"));
    tl_buf_clear(&out);
    return e;
}

static json_t *document(void)
{
    json_t *value;
    assert_int_equal(tl_json_parse(TL_SLICE_LIT(DOCUMENT), 16, &value, NULL), TL_OK);
    return value;
}

static tl_err write_canonical(tl_buf *out, const void *value)
{
    return tl_canonical_write(out, value);
}

static tl_err write_json(tl_buf *out, const void *value)
{
    return tl_json_write(out, value);
}

static tl_err write_string(tl_buf *out, const void *text)
{
    return tl_json_append_string(out, *(const tl_slice *)text);
}

static tl_err write_formatted(tl_buf *out, const void *text)
{
    tl_slice s = *(const tl_slice *)text;
    return tl_buf_printf(out, "%.*s", (int)s.n, (const char *)s.p);
}

static tl_err step_canonical(void *value)
{
    return behind_content(write_canonical, value);
}

static tl_err step_json(void *value)
{
    return behind_content(write_json, value);
}

static tl_err step_string(void *text)
{
    return behind_content(write_string, text);
}

static tl_err step_formatted(void *text)
{
    return behind_content(write_formatted, text);
}

static tl_err step_parse(void *user)
{
    (void)user;
    json_t *value = NULL;
    tl_err e = tl_json_parse(TL_SLICE_LIT(DOCUMENT), 16, &value, NULL);
    assert_true((value == NULL) == (e != TL_OK));
    if (value) { /* whole: jansson alone would have dropped characters */
        assert_int_equal(json_object_size(value), 3);
        json_t *list = json_object_get(value, "b");
        assert_string_equal(json_string_value(json_array_get(list, 2)), LONG_STRING);
    }
    json_decref(value);
    return e;
}

static tl_err step_sign(void *identity)
{
    tl_identity *id = identity;
    tl_signature s;
    tl_err e = tl_sign(id, TL_SIGN_OFFER, TL_SLICE_LIT(DOCUMENT), &s);
    return e ? e : tl_sign_verify(&id->id, TL_SIGN_OFFER, TL_SLICE_LIT(DOCUMENT), &s);
}

static void writing_json_without_memory_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    json_t *value = document();
    assert_true(failalloc_sweep(step_canonical, value) > 3);
    assert_true(failalloc_sweep(step_json, value) > 1);
    json_decref(value);
}

static void writing_text_without_memory_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    tl_slice text = TL_SLICE_LIT(DOCUMENT "\n\xFF" DOCUMENT);
    assert_true(failalloc_sweep(step_string, &text) > 2);
    assert_true(failalloc_sweep(step_formatted, &text) > 1);
}

static void parsing_without_memory_says_so_and_leaks_nothing(void **state)
{
    (void)state;
    assert_true(failalloc_sweep(step_parse, NULL) > 10);
}

static void signing_without_memory_says_so(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(1);
    tl_identity id;
    assert_int_equal(tl_identity_new(&rand, &id), TL_OK);
    assert_true(failalloc_sweep(step_sign, &id) > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_json_without_memory_leaves_the_buffer_as_it_was),
        cmocka_unit_test(writing_text_without_memory_leaves_the_buffer_as_it_was),
        cmocka_unit_test(parsing_without_memory_says_so_and_leaks_nothing),
        cmocka_unit_test(signing_without_memory_says_so),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
