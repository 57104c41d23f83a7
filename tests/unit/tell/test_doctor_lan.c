#include "tell/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static tl_finding found[TL_FINDINGS_MAX];
static tl_doctor_facts facts;

static const tl_finding *found_by(const char *id)
{
    size_t n = tl_doctor_examine(&facts, found);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(found[i].id, id))
            return &found[i];
    return NULL;
}

static const tl_finding *lan(void)
{
    return found_by("lan");
}

static int setup(void **state)
{
    (void)state;
    facts = (tl_doctor_facts){.relay = "",
                              .relay_error = "",
                              .share = "",
                              .backend_url = "",
                              .backend_error = "",
                              .own_id = "",
                              .n_interfaces = 1,
                              .lan = {.enabled = true,
                                      .by = "avahi-daemon",
                                      .error = "",
                                      .name = "teale-0123456789abcdef",
                                      .nodes = 3}};
    return 0;
}

static void a_network_that_is_looked_at_is_told_with_what_was_found(void **state)
{
    (void)state;
    const tl_finding *f = lan();
    assert_non_null(f);
    assert_int_equal(f->state, TL_FINDING_OK);
    assert_string_equal(f->evidence, "nodes found on the local network (by avahi-daemon): 3; this "
                                     "one is announced as teale-0123456789abcdef");
    facts.lan.name = "";
    assert_non_null(strstr(lan()->evidence, "not announced yet"));
}

static void what_keeps_it_from_working_is_named_with_a_remedy(void **state)
{
    (void)state;
    facts.lan.by = NULL;
    facts.lan.error = "avahi's core: Failed to create network socket";
    const tl_finding *f = lan();
    assert_int_equal(f->state, TL_FINDING_WARNING);
    assert_non_null(strstr(f->evidence, facts.lan.error));
    assert_non_null(strstr(f->remedy, "5353"));
    facts.lan.by = "embedded";
    facts.lan.flooded = true;
    f = lan();
    assert_int_equal(f->state, TL_FINDING_WARNING);
    assert_non_null(strstr(f->remedy, "avahi-browse"));
}

static void a_machine_without_any_network_is_told_once(void **state)
{
    tl_nat_facts nat = {0};
    (void)state;
    facts.lan.name = "";
    facts.n_interfaces = 0;
    const tl_finding *f = lan();
    assert_int_equal(f->state, TL_FINDING_PROBLEM);
    assert_non_null(strstr(f->evidence, "has no network"));
    assert_non_null(strstr(f->remedy, "Connect this machine"));
    facts.nat = &nat;
    assert_null(lan());
    assert_non_null(strstr(found_by("udp")->evidence, "has no network"));
}

static void a_node_without_the_internet_is_no_problem_where_neighbours_are_found(void **state)
{
    (void)state;
    size_t n = tl_doctor_examine(&facts, found);
    assert_true(n > 0);
    assert_string_equal(found[0].id, "wan");
    assert_int_equal(found[0].state, TL_FINDING_OK);
    facts.lan.by = NULL;
    (void)tl_doctor_examine(&facts, found);
    assert_int_equal(found[0].state, TL_FINDING_PROBLEM);
}

static void nothing_is_said_where_it_is_off(void **state)
{
    (void)state;
    facts.lan.enabled = false;
    assert_null(lan());
    facts.lan.enabled = true;
    facts.network_error = "in use"; /* the finding udp_port tells it */
    assert_null(lan());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_network_that_is_looked_at_is_told_with_what_was_found, setup),
        cmocka_unit_test_setup(what_keeps_it_from_working_is_named_with_a_remedy, setup),
        cmocka_unit_test_setup(a_machine_without_any_network_is_told_once, setup),
        cmocka_unit_test_setup(a_node_without_the_internet_is_no_problem_where_neighbours_are_found,
                               setup),
        cmocka_unit_test_setup(nothing_is_said_where_it_is_off, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
