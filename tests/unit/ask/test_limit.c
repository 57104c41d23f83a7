#include "ask/limit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void limits(const char *body, uint64_t expected)
{
    assert_int_equal(tl_ask_limit("application/json", tl_slice_str(body)), expected);
}

static void the_largest_number_that_bounds_the_answer_is_found(void **state)
{
    (void)state;
    limits("{\"model\":\"m\",\"max_tokens\":16}", 16);
    limits("{\"max_completion_tokens\": 900 ,\"max_tokens\":16}", 900);
    limits("{\"max_output_tokens\":10000000}", 10000000);
    limits("{\"n_predict\":7}", 7);
}

static void a_question_that_wants_several_answers_allows_each_so_much(void **state)
{
    (void)state;
    limits("{\"n\":4,\"max_tokens\":16}", 64);
    limits("{\"max_tokens\":16,\"n\":2,\"best_of\":3}", 48);
    limits("{\"max_tokens\":16,\"n\":0}", 16);
    limits("{\"max_tokens\":10000000,\"n\":3}", 10000000);
    limits("{\"n\":4}", 0);
}

static void what_is_no_bound_says_nothing(void **state)
{
    (void)state;
    limits("{\"model\":\"m\"}", 0);
    limits("{\"max_tokens\":null}", 0);
    limits("{\"max_tokens\":\"16\"}", 0);
    limits("{\"max_tokens\":-1}", 0);
    limits("{\"max_tokens\":16.5}", 0);
    limits("{\"max_tokens\":1e3}", 0);
    limits("{\"max_tokens\":10000001}", 0);
    limits("{\"max_tokens\":99999999999999999999999999}", 0);
    limits("{\"options\":{\"max_tokens\":16}}", 0);
    limits("nonsense", 0);
    assert_int_equal(
        tl_ask_limit("multipart/form-data; boundary=x", TL_SLICE_LIT("{\"max_tokens\":16}")), 0);
}

static void a_body_that_breaks_off_has_the_bounds_before_its_end(void **state)
{
    (void)state;
    limits("{\"max_tokens\":16,\"messages\":[", 16);
    limits("{\"max_tok", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_number_that_bounds_the_answer_is_found),
        cmocka_unit_test(a_question_that_wants_several_answers_allows_each_so_much),
        cmocka_unit_test(what_is_no_bound_says_nothing),
        cmocka_unit_test(a_body_that_breaks_off_has_the_bounds_before_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
