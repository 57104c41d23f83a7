/* The pointer in the DHT: who holds what, for who has the words. */
#include "backup/pointer.h"

#include "dht/item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static tl_recovery keys, others;
static tl_rand rand_;

static tl_pointer example(uint8_t n)
{
    tl_pointer p = {.instance = "instance", .made_at = 1795000000, .relays_n = 1};
    p.map.size = 123456;
    p.map.k = n > 1 ? n / 2 : 1;
    p.map.n = p.map.holders_n = n;
    tl_rand_bytes(&rand_, p.map.blob.bytes, sizeof p.map.blob.bytes);
    for (uint8_t i = 0; i < n; i++) {
        tl_identity holder;
        assert_int_equal(tl_identity_new(&rand_, &holder), TL_OK);
        p.map.holder[i] = holder.id;
        tl_rand_bytes(&rand_, p.map.fragment[i].tag, TL_FRAGMENT_TAG);
        p.map.fragment[i].holder = i;
    }
    snprintf(p.relays[0], sizeof p.relays[0], "wss://relay.example.org/ws");
    return p;
}

static void seal(const tl_pointer *p, int64_t sequence, uint8_t ret[TL_POINTER_VALUE])
{
    assert_int_equal(tl_pointer_seal(p, &keys, sequence, &rand_, ret), TL_OK);
}

static tl_err open_it(const uint8_t *value, size_t n, const tl_recovery *with, int64_t sequence)
{
    tl_pointer back;
    return tl_pointer_open(tl_slice_of(value, n), with, sequence, &back);
}

static void what_was_sealed_comes_back_for_any_number_of_holders(void **state)
{
    (void)state;
    for (uint8_t n = 1; n <= TL_FRAGMENTS_MAX; n++) {
        tl_pointer p = example(n), back = {.made_at = 0};
        uint8_t value[TL_POINTER_VALUE];
        if (n > 2)
            p.map.fragment[1].holder = TL_FRAGMENT_NOWHERE;
        seal(&p, 77, value);
        assert_int_equal(tl_pointer_open(tl_slice_of(value, sizeof value), &keys, 77, &back),
                         TL_OK);
        assert_memory_equal(&back.map, &p.map, sizeof p.map);
        assert_memory_equal(back.instance, p.instance, sizeof p.instance);
        assert_int_equal(back.made_at, p.made_at);
        assert_int_equal(back.relays_n, 1);
        assert_string_equal(back.relays[0], p.relays[0]);
    }
}

static void it_is_a_value_that_the_dht_takes_and_its_size_tells_nothing(void **state)
{
    (void)state;
    tl_pointer one = example(1), many = example(TL_FRAGMENTS_MAX);
    uint8_t value[TL_POINTER_VALUE];
    tl_dht_item item;
    seal(&one, 5, value);
    assert_int_equal(tl_dht_item_sign(&keys.identity, tl_slice_str(TL_RECOVERY_SALT), 5,
                                      tl_slice_of(value, sizeof value), &item),
                     TL_OK);
    assert_int_equal(tl_dht_item_verify(&item), TL_OK);
    assert_int_equal(item.n_value, TL_POINTER_VALUE);
    seal(&many, 6, value);
    assert_int_equal(tl_dht_item_sign(&keys.identity, tl_slice_str(TL_RECOVERY_SALT), 6,
                                      tl_slice_of(value, sizeof value), &item),
                     TL_OK);
    assert_null(memmem(value, sizeof value, many.map.holder[0].key, 8));
    assert_null(memmem(value, sizeof value, "wss", 3));
}

static void relays_for_which_there_is_no_room_are_left_out(void **state)
{
    (void)state;
    tl_pointer p = example(TL_FRAGMENTS_MAX), back = {.made_at = 0};
    uint8_t value[TL_POINTER_VALUE];
    p.relays_n = TL_POINTER_RELAYS_MAX;
    for (size_t i = 0; i < p.relays_n; i++)
        snprintf(p.relays[i], sizeof p.relays[i], "wss://%zu.a-relay-with-a-long-name.example", i);
    seal(&p, 1, value);
    assert_int_equal(tl_pointer_open(tl_slice_of(value, sizeof value), &keys, 1, &back), TL_OK);
    assert_int_equal(back.relays_n, 2);
    assert_string_equal(back.relays[1], p.relays[1]);
}

static void other_words_another_sequence_and_any_altered_bit_are_refused(void **state)
{
    (void)state;
    tl_pointer p = example(6);
    uint8_t value[TL_POINTER_VALUE];
    seal(&p, 9, value);
    assert_int_equal(open_it(value, sizeof value, &keys, 9), TL_OK);
    assert_int_equal(open_it(value, sizeof value, &keys, 10), TL_ERR_AUTH);
    assert_int_equal(open_it(value, sizeof value, &others, 9), TL_ERR_AUTH);
    for (size_t i = 0; i < 8 * sizeof value; i += 3) {
        value[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(open_it(value, sizeof value, &keys, 9), TL_ERR_AUTH);
        value[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t n = 0; n < sizeof value; n++)
        assert_int_equal(open_it(value, n, &keys, 9), TL_ERR_AUTH);
    assert_int_equal(open_it(value, sizeof value, &keys, 9), TL_OK);
}

static void a_map_that_is_none_is_not_sealed(void **state)
{
    (void)state;
    tl_pointer p = example(4);
    uint8_t value[TL_POINTER_VALUE];
    p.map.k = 5;
    assert_int_equal(tl_pointer_seal(&p, &keys, 1, &rand_, value), TL_ERR_INVALID);
    p.map.k = 4;
    assert_int_equal(tl_pointer_seal(&p, &keys, 1, &rand_, value), TL_OK);
}

static void a_notice_points_at_nothing_and_looks_like_any_other(void **state)
{
    (void)state;
    tl_pointer p = {.instance = "instance", .made_at = 1795000000}, back;
    uint8_t value[TL_POINTER_VALUE];
    seal(&p, 3, value);
    assert_int_equal(tl_pointer_open(tl_slice_of(value, sizeof value), &keys, 3, &back), TL_OK);
    assert_true(tl_pointer_is_notice(&back));
    assert_int_equal(back.made_at, p.made_at);
    assert_memory_equal(back.instance, p.instance, sizeof p.instance);
    p.map.size = 1; /* half of a map */
    assert_int_equal(tl_pointer_seal(&p, &keys, 3, &rand_, value), TL_ERR_INVALID);
    p = example(1);
    assert_false(tl_pointer_is_notice(&p));
}

static int make_keys(void **state)
{
    (void)state;
    uint8_t root[TL_RECOVERY_KEY] = {1};
    rand_ = tl_rand_seeded(4);
    assert_int_equal(tl_recovery_of(root, &keys), TL_OK);
    root[31] = 1;
    return tl_recovery_of(root, &others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_comes_back_for_any_number_of_holders),
        cmocka_unit_test(it_is_a_value_that_the_dht_takes_and_its_size_tells_nothing),
        cmocka_unit_test(relays_for_which_there_is_no_room_are_left_out),
        cmocka_unit_test(other_words_another_sequence_and_any_altered_bit_are_refused),
        cmocka_unit_test(a_map_that_is_none_is_not_sealed),
        cmocka_unit_test(a_notice_points_at_nothing_and_looks_like_any_other),
    };
    return tl_crypto_init() ? 1 : cmocka_run_group_tests(tests, make_keys, NULL);
}
