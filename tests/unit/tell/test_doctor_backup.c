/* What the doctor says of this node's backup. */
#include "tell/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const tl_finding *find_backup(const char *state)
{
    static tl_finding found[TL_FINDINGS_MAX];
    tl_doctor_facts f = {.backup = state, .backup_may_lose = 3};
    f.relay = f.relay_error = f.share = f.backend_url = f.backend_error = "";
    size_t n = tl_doctor_examine(&f, found);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(found[i].id, "backup"))
            return &found[i];
    return NULL;
}

static void no_backup_is_no_finding(void **state)
{
    (void)state;
    assert_null(find_backup(NULL));
    assert_null(find_backup("none"));
    assert_null(find_backup("making"));
}

static void one_that_can_be_restored_tells_how_many_may_be_lost(void **state)
{
    (void)state;
    const tl_finding *f = find_backup("kept");
    assert_int_equal(f->state, TL_FINDING_OK);
    assert_non_null(strstr(f->evidence, "3 of the nodes"));
}

static void each_trouble_has_its_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *state, *remedy;
        tl_finding_state finding;
    } troubles[] = {{"unshown", "teale backup create", TL_FINDING_PROBLEM},
                    {"unlisted", "DHT", TL_FINDING_WARNING},
                    {"at_risk", "--strangers", TL_FINDING_WARNING},
                    {"lost", "teale backup status", TL_FINDING_PROBLEM},
                    {"elsewhere", "teale backup takeover", TL_FINDING_PROBLEM}};
    for (int i = 0; i < 5; i++) {
        const tl_finding *f = find_backup(troubles[i].state);
        assert_int_equal(f->state, troubles[i].finding);
        assert_non_null(strstr(f->remedy, troubles[i].remedy));
    }
}

static void another_machine_that_stands_aside_is_told_of_with_its_time(void **state)
{
    (void)state;
    static tl_finding found[TL_FINDINGS_MAX];
    tl_doctor_facts f = {.backup = "kept", .backup_other_at = 1795000000};
    f.relay = f.relay_error = f.share = f.backend_url = f.backend_error = "";
    size_t n = tl_doctor_examine(&f, found), at = 0;
    while (at < n && strcmp(found[at].id, "backup") != 0)
        at++;
    assert_true(at < n);
    assert_int_equal(found[at].state, TL_FINDING_WARNING);
    assert_non_null(strstr(found[at].evidence, "2026-11-18T"));
    assert_non_null(strstr(found[at].remedy, "Erase this node there"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_backup_is_no_finding),
        cmocka_unit_test(another_machine_that_stands_aside_is_told_of_with_its_time),
        cmocka_unit_test(one_that_can_be_restored_tells_how_many_may_be_lost),
        cmocka_unit_test(each_trouble_has_its_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
