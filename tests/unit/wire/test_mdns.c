#include "wire/mdns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char hex[] = "ee0f1d36fe61e9a0d86b092119e1bace30c9ab6b827fce2f1ba4be4db7c41801";
static uint8_t id[32];

static int setup(void **state)
{
    (void)state;
    return tl_hex_parse(tl_slice_str(hex), false, id, sizeof id);
}

static tl_mdns_txt read_all(const char *const *strings, size_t n)
{
    tl_mdns_txt t = {0};
    for (size_t i = 0; i < n; i++)
        tl_mdns_txt_add(&t, tl_slice_str(strings[i]));
    return t;
}

static void a_record_says_the_id_and_nothing_else(void **state)
{
    (void)state;
    char txt[TL_MDNS_TXT_SIZE], name[TL_MDNS_NAME_SIZE], expected[80];
    tl_mdns_txt_write(txt, id);
    snprintf(expected, sizeof expected, "id=%s", hex);
    assert_string_equal(txt, expected);
    tl_mdns_name_write(name, id);
    assert_string_equal(name, "teale-ee0f1d36fe61e9a0");
    tl_mdns_txt t = read_all((const char *[]){txt}, 1);
    assert_true(t.valid);
    assert_memory_equal(t.id, id, sizeof id);
}

static void a_node_gives_itself_few_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool shows, own;
    } rows[] = {
        {"teale-ee0f1d36fe61e9a0", true, true},
        {"teale-ee0f1d36fe61e9a0 #2", true, true},
        {"teale-ee0f1d36fe61e9a0 #9", true, true},
        {"teale-ee0f1d36fe61e9a0 #1", true, false},
        {"teale-ee0f1d36fe61e9a0 #10", true, false},
        {"teale-ee0f1d36fe61e9a0 #", true, false},
        {"teale-ee0f1d36fe61e9a0-2", true, false},
        {"teale-ee0f1d36fe61e9a0 #2 ", true, false},
        {"teale-ee0f1d36fe61e9a", false, false},
        {"ee0f1d36fe61e9a0", false, false},
        {"", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t hint[TL_MDNS_HINT] = {0};
        tl_slice name = tl_slice_str(rows[i].name);
        assert_int_equal(tl_mdns_name_hint(name, hint) == TL_OK, rows[i].shows);
        assert_int_equal(tl_mdns_name_own(name, hint) == TL_OK, rows[i].own);
        if (rows[i].shows)
            assert_memory_equal(hint, id, sizeof hint);
    }
}

static void a_record_that_is_cut_anywhere_is_not_taken(void **state)
{
    (void)state;
    char txt[TL_MDNS_TXT_SIZE];
    tl_mdns_txt_write(txt, id);
    for (size_t n = 0; n < strlen(txt); n++) {
        tl_mdns_txt t = {0};
        tl_mdns_txt_add(&t, tl_slice_of(txt, n));
        assert_false(t.valid);
    }
}

/* RFC 6763, 6.4: the case of a key does not matter, the first counts, what is unknown is passed over. */
static void keys_are_read_as_the_rfc_says(void **state)
{
    (void)state;
    char upper[80], good[80], capital[80], longer[80];
    snprintf(upper, sizeof upper, "ID=%s", hex);
    snprintf(good, sizeof good, "id=%s", hex);
    snprintf(longer, sizeof longer, "id=%s0", hex);
    snprintf(capital, sizeof capital, "id=E%s", hex + 1);
    assert_true(read_all((const char *[]){upper}, 1).valid);
    assert_true(read_all((const char *[]){"", "a=b", "idx=1", "i", "=x", good}, 6).valid);
    assert_false(read_all((const char *[]){"id", good}, 2).valid);
    assert_false(read_all((const char *[]){"id=", good}, 2).valid);
    assert_false(read_all((const char *[]){"id=zz", good}, 2).valid);
    assert_true(read_all((const char *[]){good, "id=zz"}, 2).valid);
    assert_false(read_all((const char *[]){capital}, 1).valid);
    assert_false(read_all((const char *[]){longer}, 1).valid);
    assert_false(read_all(NULL, 0).valid);
}

static void of_a_long_record_only_the_begin_is_read(void **state)
{
    (void)state;
    char good[80];
    snprintf(good, sizeof good, "id=%s", hex);
    for (size_t before = TL_MDNS_TXT_MAX - 1; before <= TL_MDNS_TXT_MAX; before++) {
        tl_mdns_txt t = {0};
        for (size_t i = 0; i < before; i++)
            tl_mdns_txt_add(&t, TL_SLICE_LIT("a=b"));
        tl_mdns_txt_add(&t, tl_slice_str(good));
        assert_int_equal(t.valid, before < TL_MDNS_TXT_MAX);
    }
}

static void a_name_shows_the_first_digits_whatever_follows(void **state)
{
    (void)state;
    uint8_t hint[TL_MDNS_HINT];
    const char *const good[] = {"teale-ee0f1d36fe61e9a0", "teale-ee0f1d36fe61e9a0 #2"};
    const char *const bad[] = {"",
                               "teale-",
                               "teale-ee0f1d36fe61e9a",
                               "teale-ee0f1d36fe61e9aX",
                               "teale-EE0F1D36FE61E9A0",
                               "Teale-ee0f1d36fe61e9a0",
                               "ee0f1d36fe61e9a0ee0f1d36"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(tl_mdns_name_hint(tl_slice_str(good[i]), hint), TL_OK);
        assert_memory_equal(hint, id, sizeof hint);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(tl_mdns_name_hint(tl_slice_str(bad[i]), hint), TL_ERR_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_record_says_the_id_and_nothing_else, setup),
        cmocka_unit_test_setup(a_node_gives_itself_few_names, setup),
        cmocka_unit_test_setup(a_record_that_is_cut_anywhere_is_not_taken, setup),
        cmocka_unit_test_setup(keys_are_read_as_the_rfc_says, setup),
        cmocka_unit_test_setup(of_a_long_record_only_the_begin_is_read, setup),
        cmocka_unit_test_setup(a_name_shows_the_first_digits_whatever_follows, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
