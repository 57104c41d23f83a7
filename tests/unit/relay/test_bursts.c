#include "relay/bursts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint8_t bytes[TL_BURST_BYTES_MAX];

static tl_burst_way to_port(uint16_t port)
{
    return (tl_burst_way){.remote = {.family = TL_ADDR_V4, .port = port, .bytes = {192, 0, 2, 1}}};
}

static void add(tl_bursts *b, uint16_t port, size_t n)
{
    tl_burst_way way = to_port(port);
    assert_int_equal(tl_bursts_add(b, &way, tl_slice_of(bytes, n)), TL_OK);
}

static void datagrams_of_one_size_to_one_place_are_one_burst(void **state)
{
    (void)state;
    tl_bursts b = {0};
    struct iovec iov[TL_BURST_SEGMENTS_MAX];
    for (int i = 0; i < 5; i++)
        add(&b, 1, 100);
    add(&b, 1, 60); /* the last may be shorter, */
    assert_int_equal(b.n, 1);
    assert_int_equal(b.items[0].size, 100);
    assert_int_equal(b.items[0].bytes, 560);
    assert_int_equal(tl_bursts_gather(&b, &b.items[0], iov), 6);
    assert_int_equal(iov[4].iov_len, 100);
    assert_int_equal(iov[5].iov_len, 60);
    add(&b, 1, 60);  /* and none follows it */
    add(&b, 1, 100); /* nor a longer one */
    assert_int_equal(b.n, 3);
    tl_bursts_reset(&b);
    add(&b, 1, 7);
    assert_int_equal(b.n, 1);
    tl_bursts_clear(&b);
}

static void datagrams_of_some_pairs_that_come_mixed_are_a_burst_each(void **state)
{
    (void)state;
    tl_bursts b = {0};
    for (int i = 0; i < 20; i++)
        for (uint16_t port = 1; port <= 4; port++)
            add(&b, port, 200);
    assert_int_equal(b.n, 4);
    for (size_t i = 0; i < b.n; i++)
        assert_int_equal(b.items[i].count, 20);
    tl_bursts_clear(&b);
}

static void the_order_towards_one_place_is_kept(void **state)
{
    (void)state;
    tl_bursts b = {0};
    add(&b, 1, 10);
    add(&b, 1, 20); /* longer: a new burst */
    add(&b, 2, 10);
    add(&b, 1, 10); /* fits behind the 20, not behind the 10 before it */
    assert_int_equal(b.n, 3);
    assert_int_equal(b.items[0].count, 1);
    assert_int_equal(b.items[1].count, 2);
    tl_bursts_clear(&b);
}

static void another_socket_or_address_of_ours_is_another_burst(void **state)
{
    (void)state;
    tl_bursts b = {0};
    tl_burst_way way = to_port(1);
    add(&b, 1, 10);
    way.socket = 1;
    assert_int_equal(tl_bursts_add(&b, &way, tl_slice_of(bytes, 10)), TL_OK);
    way = to_port(1);
    way.local.family = TL_ADDR_V4;
    assert_int_equal(tl_bursts_add(&b, &way, tl_slice_of(bytes, 10)), TL_OK);
    assert_int_equal(b.n, 3);
    tl_bursts_clear(&b);
}

static void a_burst_ends_where_one_call_of_the_kernel_does(void **state)
{
    (void)state;
    tl_bursts b = {0};
    for (int i = 0; i < TL_BURST_SEGMENTS_MAX + 1; i++)
        add(&b, 1, 20);
    assert_int_equal(b.n, 2);
    assert_int_equal(b.items[0].count, TL_BURST_SEGMENTS_MAX);
    tl_bursts_reset(&b);
    for (int i = 0; i < 60; i++)
        add(&b, 1, 1200);
    assert_int_equal(b.n, 2);
    assert_true(b.items[0].bytes <= TL_BURST_BYTES_MAX &&
                b.items[0].bytes + 1200 > TL_BURST_BYTES_MAX);
    tl_bursts_reset(&b);
    add(&b, 1, TL_BURST_BYTES_MAX);
    add(&b, 1, TL_BURST_BYTES_MAX);
    assert_int_equal(b.n, 2);
    tl_bursts_clear(&b);
}

static void more_than_the_bound_is_dropped(void **state)
{
    (void)state;
    tl_bursts b = {0};
    tl_burst_way way = to_port(1);
    for (int i = 0; i < TL_BURSTS_DATAGRAMS_MAX; i++)
        add(&b, (uint16_t)(i % 3), 20);
    assert_int_equal(tl_bursts_add(&b, &way, tl_slice_of(bytes, 20)), TL_ERR_BUSY);
    tl_bursts_reset(&b);
    add(&b, 1, 20);
    tl_bursts_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_of_one_size_to_one_place_are_one_burst),
        cmocka_unit_test(datagrams_of_some_pairs_that_come_mixed_are_a_burst_each),
        cmocka_unit_test(the_order_towards_one_place_is_kept),
        cmocka_unit_test(another_socket_or_address_of_ours_is_another_burst),
        cmocka_unit_test(a_burst_ends_where_one_call_of_the_kernel_does),
        cmocka_unit_test(more_than_the_bound_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
