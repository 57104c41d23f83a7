#include "nat/candidate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PORT 4000

static tl_addr addr_of(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static bool is_near(const char *text, uint32_t scope, const char *own, uint8_t prefix)
{
    tl_addr a = addr_of(text);
    tl_interface at = {.addr = addr_of(own), .prefix = prefix};
    a.scope = scope;
    at.addr.scope = a.family == TL_ADDR_V6 && at.addr.bytes[0] == 0xFE ? 3 : 0;
    return tl_addr_is_near(&a, &at, 1, PORT);
}

static void a_neighbour_is_on_a_subnet_of_ours_and_on_its_link(void **state)
{
    (void)state;
    assert_true(is_near("[fe80::2]:4000", 3, "[fe80::1]:1", 64));
    assert_false(is_near("[fe80::2]:4000", 4, "[fe80::1]:1", 64)); /* another link */
    assert_false(is_near("[fe80::1]:4000", 3, "[fe80::1]:1", 64)); /* ourselves */
    assert_true(is_near("10.0.0.2:4000", 0, "10.0.0.1:1", 24));
    assert_false(is_near("10.0.1.2:4000", 0, "10.0.0.1:1", 24));
    assert_false(is_near("10.0.0.255:4000", 0, "10.0.0.1:1", 24));
    assert_true(is_near("169.254.7.9:4000", 0, "169.254.1.1:1", 16)); /* no DHCP server */
    assert_false(is_near("169.254.169.254:4000", 0, "169.254.1.1:1", 16));
    assert_false(is_near("169.254.255.255:4000", 0, "169.254.1.1:1", 16));
}

static void our_own_address_beside_a_neighbour_is_that_of_its_link(void **state)
{
    tl_interface own[] = {{.addr = addr_of("10.0.0.1:1"), .prefix = 24},
                          {.addr = addr_of("[fe80::1]:1"), .prefix = 64},
                          {.addr = addr_of("[fe80::9]:1"), .prefix = 64}};
    tl_addr beside, a = addr_of("[fe80::7]:4000");
    (void)state;
    own[1].addr.scope = 2;
    own[2].addr.scope = a.scope = 3;
    assert_true(tl_addr_beside(&a, own, 3, &beside));
    assert_int_equal(beside.bytes[15], 9);
    assert_int_equal(beside.port, 0);
    a = addr_of("10.0.0.200:4000");
    assert_true(tl_addr_beside(&a, own, 3, &beside));
    assert_int_equal(beside.bytes[3], 1);
    a = addr_of("10.0.1.200:4000");
    assert_false(tl_addr_beside(&a, own, 3, &beside));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_neighbour_is_on_a_subnet_of_ours_and_on_its_link),
        cmocka_unit_test(our_own_address_beside_a_neighbour_is_that_of_its_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
