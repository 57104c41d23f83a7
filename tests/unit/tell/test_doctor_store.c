#include "tell/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const tl_finding *find_store(const tl_doctor_facts *of)
{
    static tl_finding found[TL_FINDINGS_MAX];
    tl_doctor_facts f = *of;
    f.relay = f.relay_error = f.share = f.backend_url = f.backend_error = "";
    size_t n = tl_doctor_examine(&f, found);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(found[i].id, "store"))
            return &found[i];
    return NULL;
}

static void a_store_that_works_is_in_order(void **state)
{
    (void)state;
    const tl_finding *f = find_store(&(tl_doctor_facts){.store = "/home/a/teale.db"});
    assert_int_equal(f->state, TL_FINDING_OK);
    assert_string_equal(f->evidence, "/home/a/teale.db");
    assert_null(find_store(&(tl_doctor_facts){.store = NULL}));
}

static void a_store_that_cannot_write_is_a_problem_and_says_what_stops(void **state)
{
    (void)state;
    const tl_finding *f = find_store(&(tl_doctor_facts){
        .store = "/home/a/teale.db", .store_error = "the disk is full", .store_restored = true});
    assert_int_equal(f->state, TL_FINDING_PROBLEM);
    assert_string_equal(f->evidence, "/home/a/teale.db: the disk is full");
    assert_non_null(strstr(f->remedy, "Free space"));
}

static void an_older_copy_is_a_warning_and_asks_for_new_invites(void **state)
{
    (void)state;
    const tl_finding *f =
        find_store(&(tl_doctor_facts){.store = "/home/a/teale.db", .store_restored = true});
    assert_int_equal(f->state, TL_FINDING_WARNING);
    assert_non_null(strstr(f->evidence, "older copy"));
    assert_non_null(strstr(f->remedy, "new invites"));
}

static void the_longest_texts_fit(void **state)
{
    (void)state;
    char path[1024], cause[256];
    memset(path, 'p', sizeof path);
    memset(cause, 'c', sizeof cause);
    path[sizeof path - 1] = cause[sizeof cause - 1] = 0;
    tl_doctor_facts f = {.store = path, .store_error = cause};
    for (int i = 0; i < 3; i++) {
        const tl_finding *found = find_store(&f);
        assert_true(strlen(found->evidence) < sizeof found->evidence - 1);
        assert_true(strlen(found->remedy) < sizeof found->remedy - 1);
        f.store_restored = f.store_error != NULL;
        f.store_error = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_works_is_in_order),
        cmocka_unit_test(a_store_that_cannot_write_is_a_problem_and_says_what_stops),
        cmocka_unit_test(an_older_copy_is_a_warning_and_asks_for_new_invites),
        cmocka_unit_test(the_longest_texts_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
