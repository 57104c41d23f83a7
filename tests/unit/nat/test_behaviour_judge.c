#include "nat/behaviour_judge.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static tl_addr addr(const char *text)
{
    tl_addr a = {.family = TL_ADDR_NONE};
    if (*text)
        assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

/* "SERVER sees US", up to the first NULL. */
typedef struct {
    const char *to, *mapped;
} line;

static size_t voices(const line *lines, tl_voice ret[8])
{
    size_t n = 0;
    for (; lines[n].to; n++)
        ret[n] = (tl_voice){.to = addr(lines[n].to), .mapped = addr(lines[n].mapped)};
    return n;
}

#define S1  "192.0.2.1:3478"
#define S1P "192.0.2.1:3479"
#define S2  "192.0.2.2:3478"
#define S3  "192.0.2.3:3478"
#define S4  "192.0.2.4:3478"
#define ME  "203.0.113.7:1000"
#define ME2 "203.0.113.7:2000"
#define ME3 "203.0.113.7:3000"
#define YOU "198.51.100.9:1000"

static void the_mapping_follows_the_majority_of_server_ips(void **state)
{
    (void)state;
    static const struct {
        line lines[6];
        tl_nat_mapping settled, early;
    } cases[] = {
        {{{0}}, TL_MAPPING_UNKNOWN, TL_MAPPING_UNKNOWN},
        {{{S1, ME}}, TL_MAPPING_UNKNOWN, TL_MAPPING_UNKNOWN},
        {{{S1, ME}, {S1P, ME}}, TL_MAPPING_UNKNOWN, TL_MAPPING_UNKNOWN},
        {{{S1, ME}, {S1P, ME2}}, TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, TL_MAPPING_UNKNOWN},
        {{{S1, ME}, {S2, ME}}, TL_MAPPING_ENDPOINT_INDEPENDENT, TL_MAPPING_ENDPOINT_INDEPENDENT},
        {{{S1, ME}, {S2, ME2}}, TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, TL_MAPPING_UNKNOWN},
        {{{S1, ME}, {S1P, ME}, {S2, ME2}}, TL_MAPPING_ADDRESS_DEPENDENT, TL_MAPPING_UNKNOWN},
        {{{S1, ME}, {S2, ME2}, {S1P, ME3}},
         TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
         TL_MAPPING_UNKNOWN},
        {{{S1, YOU}, {S2, ME}, {S3, ME}},
         TL_MAPPING_ENDPOINT_INDEPENDENT,
         TL_MAPPING_ENDPOINT_INDEPENDENT},
        {{{S1, ME}, {S2, ME}, {S3, ME2}, {S4, ME3}}, /* half is no majority */
         TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
         TL_MAPPING_UNKNOWN},
        {{{S1, ME}, {S2, ME}, {S3, ME}, {S4, ME3}},
         TL_MAPPING_ENDPOINT_INDEPENDENT,
         TL_MAPPING_ENDPOINT_INDEPENDENT},
        {{{S1, ME}, {S1P, ME}, {S2, ME2}, {S3, ME3}}, /* an IP speaks once */
         TL_MAPPING_ADDRESS_DEPENDENT,
         TL_MAPPING_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_voice v[8];
        size_t n = voices(cases[i].lines, v);
        if (tl_judge_mapping(v, n, true) != cases[i].settled)
            print_error("case %zu\n", i);
        assert_int_equal(tl_judge_mapping(v, n, true), cases[i].settled);
        assert_int_equal(tl_judge_mapping(v, n, false), cases[i].early);
    }
}

static void our_address_is_what_most_say_and_doubt_keeps_the_present_one(void **state)
{
    (void)state;
    static const struct {
        line lines[6];
        const char *present, *settled, *early;
    } cases[] = {
        {{{0}}, ME, "", ""},
        {{{S1, ME}}, "", ME, ME},
        {{{S1, YOU}}, ME, YOU, ME},  /* one voice waits for others */
        {{{S1, ME2}}, ME, ME2, ME2}, /* of the IP there is no doubt */
        {{{S1, ME}, {S2, YOU}}, "", ME, ME},
        {{{S1, ME}, {S2, YOU}}, YOU, YOU, YOU},
        {{{S1, YOU}, {S2, ME}, {S3, ME}}, YOU, ME, ME},
        {{{S1, ME}, {S2, ME2}, {S3, YOU}}, YOU, ME, ME},
        {{{S1, ME}, {S2, ME2}, {S3, ME3}}, ME2, ME2, ME2},
        {{{S1, ME}, {S2, ME2}, {S3, ME2}}, ME, ME2, ME2},
        {{{S1, "10.0.0.1:5"}, {S2, ME}}, "", ME, ME}, /* a global one is likelier */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_voice v[8];
        size_t n = voices(cases[i].lines, v);
        tl_addr present = addr(cases[i].present), settled = addr(cases[i].settled);
        tl_addr early = n ? addr(cases[i].early) : settled;
        tl_addr found = tl_judge_public(v, n, &present, true);
        if (!tl_addr_eq(&found, &settled))
            print_error("case %zu\n", i);
        assert_true(tl_addr_eq(&found, &settled));
        found = tl_judge_public(v, n, &present, false);
        assert_true(tl_addr_eq(&found, &early));
    }
}

static void a_pair_is_one_ip_on_two_ports(void **state)
{
    (void)state;
    tl_voice v[8];
    assert_false(tl_judge_has_pair(v, voices((line[]){{S1, ME}, {S2, ME}, {0}}, v)));
    assert_true(tl_judge_has_pair(v, voices((line[]){{S2, ME}, {S1, ME}, {S1P, ME}, {0}}, v)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mapping_follows_the_majority_of_server_ips),
        cmocka_unit_test(our_address_is_what_most_say_and_doubt_keeps_the_present_one),
        cmocka_unit_test(a_pair_is_one_ip_on_two_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
