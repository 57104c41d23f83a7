#include "wire/pcp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* A question of ours, and what miniupnpd 2.3.1 answered it with. */
static const char question[] = "020100000000025800000000000000000000ffffc0a80102"
                               "000102030405060708090a0b110000001389138900000000000000000000ffff"
                               "00000000";
static const char granted[] = "028100000000025800000002000000000000000000000000"
                              "000102030405060708090a0b110000001389138900000000000000000000ffff"
                              "2d0d0102";
static const char announced[] = "028000000000000000000000000000000000000000000000";

static size_t from_hex(const char *hex, uint8_t *ret)
{
    size_t n = strlen(hex) / 2;
    assert_int_equal(tl_hex_parse(tl_slice_str(hex), false, ret, n), TL_OK);
    return n;
}

/* From a copy of exactly that size, so that the sanitizer sees a read beyond. */
static tl_err parse(const uint8_t *bytes, size_t n, tl_pcp_answer *ret)
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    tl_err e = tl_pcp_answer_parse(tl_slice_of(copy, n), ret);
    free(copy);
    return e;
}

static void a_request_is_the_bytes_of_rfc_6887(void **state)
{
    (void)state;
    tl_pcp_map map = {.client = {.family = TL_ADDR_V4, .bytes = {192, 168, 1, 2}},
                      .lifetime_s = 600,
                      .internal_port = 5001,
                      .external = {.port = 5001}};
    uint8_t pkt[TL_PCP_MAP_SIZE];
    char hex[2 * TL_PCP_MAP_SIZE + 1];
    for (uint8_t i = 0; i < TL_PCP_NONCE_SIZE; i++)
        map.nonce[i] = i;
    tl_pcp_map_write(pkt, &map);
    tl_hex_write(hex, pkt, sizeof pkt);
    assert_string_equal(hex, question);

    map.external = (tl_addr){.family = TL_ADDR_V4, .port = 7, .bytes = {45, 13, 1, 2}};
    tl_pcp_map_write(pkt, &map);
    assert_int_equal(pkt[43], 7);
    assert_memory_equal(pkt + 54, "\xff\xff\x2d\x0d\x01\x02", 6);
}

static void what_a_gateway_granted_is_read(void **state)
{
    (void)state;
    uint8_t pkt[TL_PCP_MAX];
    tl_pcp_answer a;
    size_t n = from_hex(granted, pkt);
    assert_int_equal(parse(pkt, n, &a), TL_OK);
    assert_int_equal(a.opcode, TL_PCP_MAP);
    assert_int_equal(a.result, TL_PCP_SUCCESS);
    assert_int_equal(a.lifetime_s, 600);
    assert_int_equal(a.epoch_s, 2);
    assert_true(a.has_map);
    assert_int_equal(a.protocol, 17);
    assert_int_equal(a.internal_port, 5001);
    char text[TL_ADDR_TEXT_MAX];
    tl_addr_write(text, &a.external);
    assert_string_equal(text, "45.13.1.2:5001");
    for (uint8_t i = 0; i < TL_PCP_NONCE_SIZE; i++)
        assert_int_equal(a.nonce[i], i);
    n = from_hex(announced, pkt);
    assert_int_equal(parse(pkt, n, &a), TL_OK);
    assert_int_equal(a.opcode, TL_PCP_ANNOUNCE);
    assert_false(a.has_map);
}

static void every_truncation_of_an_answer_is_refused(void **state)
{
    (void)state;
    uint8_t pkt[TL_PCP_MAX];
    tl_pcp_answer a;
    size_t n = from_hex(granted, pkt);
    for (size_t k = 0; k < n; k++)
        assert_int_equal(parse(pkt, k, &a), TL_ERR_SHORT);
    n = from_hex(announced, pkt);
    for (size_t k = 0; k < n; k++)
        assert_int_equal(parse(pkt, k, &a), TL_ERR_SHORT);
}

static void an_error_needs_no_map_but_a_success_does(void **state)
{
    (void)state;
    uint8_t pkt[TL_PCP_MAX];
    tl_pcp_answer a;
    from_hex(granted, pkt);
    assert_int_equal(parse(pkt, 24, &a), TL_ERR_SHORT);
    pkt[3] = TL_PCP_NOT_AUTHORIZED;
    assert_int_equal(parse(pkt, 24, &a), TL_OK);
    assert_false(a.has_map);
    assert_int_equal(a.result, TL_PCP_NOT_AUTHORIZED);
}

static void what_is_not_an_answer_of_version_two_is_refused(void **state)
{
    (void)state;
    uint8_t pkt[TL_PCP_MAX];
    tl_pcp_answer a;
    size_t n = from_hex(granted, pkt);
    assert_int_equal(parse(pkt, n, &a), TL_OK);
    pkt[0] = 1;
    assert_int_equal(parse(pkt, n, &a), TL_ERR_PROTO);
    pkt[0] = 2;
    pkt[1] = 0x01; /* a question */
    assert_int_equal(parse(pkt, n, &a), TL_ERR_PROTO);
    n = from_hex(question, pkt);
    assert_int_equal(parse(pkt, n, &a), TL_ERR_PROTO);
}

static void options_are_passed_over_unless_they_overrun(void **state)
{
    (void)state;
    uint8_t pkt[TL_PCP_MAX + 4] = {0};
    tl_pcp_answer a;
    size_t n = from_hex(granted, pkt);
    pkt[n] = 3; /* FILTER, 5 bytes padded to 8 */
    pkt[n + 3] = 5;
    assert_int_equal(parse(pkt, n + 12, &a), TL_OK);
    assert_int_equal(a.internal_port, 5001);
    assert_int_equal(parse(pkt, n + 8, &a), TL_ERR_PROTO);
    assert_int_equal(parse(pkt, n + 11, &a), TL_ERR_PROTO);
    pkt[n + 3] = 9;
    assert_int_equal(parse(pkt, n + 12, &a), TL_ERR_PROTO);
}

static void a_packet_has_at_most_1100_bytes(void **state)
{
    (void)state;
    uint8_t pkt[TL_PCP_MAX + 4] = {0};
    tl_pcp_answer a;
    from_hex(granted, pkt); /* behind it: options of code 0 and length 0 */
    assert_int_equal(parse(pkt, TL_PCP_MAX, &a), TL_OK);
    assert_int_equal(parse(pkt, TL_PCP_MAX + 4, &a), TL_ERR_TOO_LARGE);
}

static void every_result_has_words(void **state)
{
    (void)state;
    assert_string_equal(tl_pcp_result_text(TL_PCP_NOT_AUTHORIZED), "not authorized");
    for (unsigned i = 0; i < 300; i++)
        assert_true(strlen(tl_pcp_result_text(i)) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_the_bytes_of_rfc_6887),
        cmocka_unit_test(what_a_gateway_granted_is_read),
        cmocka_unit_test(every_truncation_of_an_answer_is_refused),
        cmocka_unit_test(an_error_needs_no_map_but_a_success_does),
        cmocka_unit_test(what_is_not_an_answer_of_version_two_is_refused),
        cmocka_unit_test(options_are_passed_over_unless_they_overrun),
        cmocka_unit_test(a_packet_has_at_most_1100_bytes),
        cmocka_unit_test(every_result_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
