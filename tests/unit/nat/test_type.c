#include "nat/type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void every_type_is_read_back_by_its_name(void **state)
{
    static const char *const seeds[] = {"unknown", "fullCone", "restrictedCone", "portRestricted",
                                        "symmetric"};
    (void)state;
    assert_int_equal(TL_NAT_TYPES, 5);
    for (int i = 0; i < TL_NAT_TYPES; i++) {
        tl_nat_type type = TL_NAT_TYPES;
        assert_string_equal(tl_nat_type_name((tl_nat_type)i), seeds[i]);
        assert_true(tl_nat_type_parse(tl_slice_str(seeds[i]), &type));
        assert_int_equal(type, i);
    }
}

static void any_other_name_is_refused_and_changes_nothing(void **state)
{
    static const char *const others[] = {"", "Symmetric", "symmetri", "symmetric ", "Cone"};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        tl_nat_type type = TL_NAT_FULL_CONE;
        assert_false(tl_nat_type_parse(tl_slice_str(others[i]), &type));
        assert_int_equal(type, TL_NAT_FULL_CONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read_back_by_its_name),
        cmocka_unit_test(any_other_name_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
