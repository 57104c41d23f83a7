#include "cli/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const tl_option own[] = {{"model", 'm', "MODEL", ""},
                                {"long", 'l', NULL, ""},
                                {"count", 'c', "N", ""},
                                {NULL, 0, NULL, NULL}};
static const tl_option common[] = {{"home", 0, "DIR", ""}, {NULL, 0, NULL, NULL}};
static const tl_option *const tables[] = {own, common, NULL};

static tl_args args;
static tl_why why;

/* NULL ends the words. */
static tl_err parse(const char *first, ...)
{
    static char *argv[400];
    int n = 0;
    va_list ap;
    va_start(ap, first);
    for (const char *w = first; w; w = va_arg(ap, const char *))
        argv[n++] = (char *)(uintptr_t)w;
    va_end(ap);
    why.text[0] = 0;
    return tl_args_parse(n, argv, tables, &args, &why);
}

static void values_come_in_every_gnu_form(void **state)
{
    (void)state;
    assert_int_equal(parse("--model=a", "--home", "/h", "-mb", "-m", "c", NULL), TL_OK);
    assert_int_equal(args.option_n, 4);
    assert_string_equal(args.value[0], "a");
    assert_string_equal(args.value[2], "b");
    assert_string_equal(tl_args_value(&args, "model"), "c");
    assert_string_equal(tl_args_value(&args, "home"), "/h");
    assert_null(tl_args_value(&args, "count"));
    assert_int_equal(parse("--model=", "--count=-1=2", NULL), TL_OK);
    assert_string_equal(args.value[0], "");
    assert_string_equal(args.value[1], "-1=2");
}

static void options_may_stand_anywhere_before_two_dashes(void **state)
{
    (void)state;
    assert_int_equal(parse("one", "-l", "-", "--", "--model", "-x", NULL), TL_OK);
    assert_true(tl_args_has(&args, "long"));
    assert_false(tl_args_has(&args, "model"));
    assert_int_equal(args.operand_n, 4);
    assert_string_equal(args.operand[1], "-");
    assert_string_equal(args.operand[3], "-x");
}

static void letters_join(void **state)
{
    (void)state;
    assert_int_equal(parse("-llc5", NULL), TL_OK);
    assert_int_equal(args.option_n, 3);
    assert_string_equal(tl_args_value(&args, "count"), "5");
}

static void a_negative_number_is_a_word(void **state)
{
    (void)state;
    assert_int_equal(parse("key", "-1", "-l", NULL), TL_OK);
    assert_int_equal(args.operand_n, 2);
    assert_string_equal(args.operand[1], "-1");
    assert_true(tl_args_has(&args, "long"));
    assert_int_equal(parse("key", "-l1", NULL), TL_ERR_INVALID);
}

static void a_wrong_option_is_named_with_the_one_meant(void **state)
{
    (void)state;
    assert_int_equal(parse("--modle", "x", NULL), TL_ERR_INVALID);
    assert_string_equal(why.text, "unknown option --modle; did you mean --model?");
    assert_int_equal(parse("--mod", "x", NULL), TL_ERR_INVALID);
    assert_int_equal(parse("-z", NULL), TL_ERR_INVALID);
    assert_string_equal(why.text,
                        "unknown option -z (what begins with - and is no option goes behind --)");
    assert_int_equal(parse("--", "-z", NULL), TL_OK);
    assert_int_equal(parse("--long=1", NULL), TL_ERR_INVALID);
    assert_string_equal(why.text, "option --long takes no value");
    assert_int_equal(parse("--long", NULL), TL_OK);
    assert_int_equal(parse("--model", NULL), TL_ERR_INVALID);
    assert_string_equal(why.text, "option --model wants a value: --model MODEL");
    assert_int_equal(parse("-lm", NULL), TL_ERR_INVALID);
    assert_int_equal(parse("-lm", "x", NULL), TL_OK);
    assert_int_equal(parse("--\x1b[31m", NULL), TL_ERR_INVALID);
    assert_null(strchr(why.text, '\x1b'));
}

static void too_many_words_are_refused(void **state)
{
    (void)state;
    static char *argv[TL_ARGS_MAX + 1];
    static char word[] = "w", flag[] = "-l";
    for (int i = 0; i <= TL_ARGS_MAX; i++)
        argv[i] = word;
    assert_int_equal(tl_args_parse(TL_ARGS_MAX, argv, tables, &args, &why), TL_OK);
    assert_int_equal(tl_args_parse(TL_ARGS_MAX + 1, argv, tables, &args, &why), TL_ERR_INVALID);
    for (int i = 0; i <= TL_ARGS_MAX; i++)
        argv[i] = flag;
    assert_int_equal(tl_args_parse(TL_ARGS_MAX, argv, tables, &args, &why), TL_OK);
    assert_int_equal(tl_args_parse(TL_ARGS_MAX + 1, argv, tables, &args, &why), TL_ERR_INVALID);
}

static void numbers_are_whole_and_in_range(void **state)
{
    (void)state;
    static const char *const bad[] = {"",   "0",  "101", "1.5", " 5",
                                      "+5", "-5", "5x",  "0x5", "99999999999999999999"};
    long n = 0;
    assert_int_equal(parse("-c", "100", NULL), TL_OK);
    assert_int_equal(tl_args_number(&args, "count", 4, 1, 100, &n, &why), TL_OK);
    assert_int_equal(n, 100);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse("-c", bad[i], NULL), TL_OK);
        assert_int_equal(tl_args_number(&args, "count", 4, 1, 100, &n, &why), TL_ERR_INVALID);
        assert_int_equal(n, 100);
    }
    assert_int_equal(parse("x", NULL), TL_OK);
    assert_int_equal(tl_args_number(&args, "count", 4, 1, 100, &n, &why), TL_OK);
    assert_int_equal(n, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_in_every_gnu_form),
        cmocka_unit_test(options_may_stand_anywhere_before_two_dashes),
        cmocka_unit_test(letters_join),
        cmocka_unit_test(a_negative_number_is_a_word),
        cmocka_unit_test(a_wrong_option_is_named_with_the_one_meant),
        cmocka_unit_test(too_many_words_are_refused),
        cmocka_unit_test(numbers_are_whole_and_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
