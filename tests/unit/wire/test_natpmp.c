#include "wire/natpmp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static size_t from_hex(const char *hex, uint8_t *ret)
{
    size_t n = strlen(hex) / 2;
    assert_int_equal(tl_hex_parse(tl_slice_str(hex), false, ret, n), TL_OK);
    return n;
}

/* From a copy of exactly that size, so that the sanitizer sees a read beyond. */
static tl_err parse(const uint8_t *bytes, size_t n, tl_natpmp_answer *ret)
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    tl_err e = tl_natpmp_answer_parse(tl_slice_of(copy, n), ret);
    free(copy);
    return e;
}

/* What libnatpmp 20150609 sends for the same. */
static void requests_are_the_bytes_libnatpmp_sends(void **state)
{
    (void)state;
    uint8_t pkt[TL_NATPMP_MAP_SIZE];
    char hex[2 * sizeof pkt + 1];
    tl_natpmp_map_write(pkt, 5000, 5001, 600);
    tl_hex_write(hex, pkt, sizeof pkt);
    assert_string_equal(hex, "000100001388138900000258");
    tl_natpmp_address_write(pkt);
    tl_hex_write(hex, pkt, TL_NATPMP_ADDRESS_SIZE);
    assert_string_equal(hex, "0000");
}

/* Answers of miniupnpd 2.3.1. */
static void answers_of_a_gateway_are_read(void **state)
{
    (void)state;
    uint8_t pkt[64];
    tl_natpmp_answer a;
    size_t n = from_hex("00800000000000072d0d0102", pkt);
    char text[TL_ADDR_TEXT_MAX];
    assert_int_equal(parse(pkt, n, &a), TL_OK);
    assert_int_equal(a.op, TL_NATPMP_ADDRESS);
    assert_int_equal(a.epoch_s, 7);
    tl_addr_write_ip(text, &a.address);
    assert_string_equal(text, "45.13.1.2");

    n = from_hex("00810000000000001388138900000258", pkt);
    assert_int_equal(parse(pkt, n, &a), TL_OK);
    assert_int_equal(a.op, TL_NATPMP_MAP_UDP);
    assert_int_equal(a.internal_port, 5000);
    assert_int_equal(a.external_port, 5001);
    assert_int_equal(a.lifetime_s, 600);
}

static void every_truncation_and_any_addition_is_refused(void **state)
{
    (void)state;
    static const char *const answers[] = {"00800000000000072d0d0102",
                                          "00810000000000001388138900000258"};
    for (int i = 0; i < 2; i++) {
        uint8_t pkt[64] = {0};
        tl_natpmp_answer a;
        size_t n = from_hex(answers[i], pkt);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(parse(pkt, k, &a), TL_ERR_SHORT);
        assert_int_equal(parse(pkt, n, &a), TL_OK);
        assert_int_equal(parse(pkt, n + 1, &a), TL_ERR_PROTO);
    }
}

static void an_error_may_carry_anything_behind_it(void **state)
{
    (void)state;
    uint8_t pkt[1101] = {0};
    tl_natpmp_answer a;
    from_hex("0081000100000009", pkt); /* to a PCP question */
    assert_int_equal(parse(pkt, 7, &a), TL_ERR_SHORT);
    assert_int_equal(parse(pkt, 8, &a), TL_OK);
    assert_int_equal(a.result, TL_NATPMP_UNSUPP_VERSION);
    assert_int_equal(a.external_port, 0);
    assert_int_equal(parse(pkt, 1100, &a), TL_OK);
    assert_int_equal(parse(pkt, 1101, &a), TL_ERR_PROTO);
}

static void questions_other_versions_and_tcp_are_refused(void **state)
{
    (void)state;
    uint8_t pkt[64];
    tl_natpmp_answer a;
    size_t n = from_hex("00810000000000001388138900000258", pkt);
    assert_true(tl_natpmp_is(tl_slice_of(pkt, n)));
    pkt[0] = 2;
    assert_false(tl_natpmp_is(tl_slice_of(pkt, n)));
    assert_int_equal(parse(pkt, n, &a), TL_ERR_PROTO);
    pkt[0] = 0;
    pkt[1] = 0x01;
    assert_false(tl_natpmp_is(tl_slice_of(pkt, n)));
    assert_int_equal(parse(pkt, n, &a), TL_ERR_PROTO);
    pkt[1] = 0x82;
    assert_int_equal(parse(pkt, n, &a), TL_ERR_PROTO);
}

static void every_result_has_words(void **state)
{
    (void)state;
    assert_string_equal(tl_natpmp_result_text(TL_NATPMP_NOT_AUTHORIZED), "not authorized");
    for (unsigned i = 0; i < 300; i++)
        assert_true(strlen(tl_natpmp_result_text(i)) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_the_bytes_libnatpmp_sends),
        cmocka_unit_test(answers_of_a_gateway_are_read),
        cmocka_unit_test(every_truncation_and_any_addition_is_refused),
        cmocka_unit_test(an_error_may_carry_anything_behind_it),
        cmocka_unit_test(questions_other_versions_and_tcp_are_refused),
        cmocka_unit_test(every_result_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
