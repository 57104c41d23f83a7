#include "market/order.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static tl_order_key key, other_key;

static int set_up(void **state)
{
    (void)state;
    uint8_t seed[32] = {1};
    tl_identity identity;
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_from_seed(seed, &identity), TL_OK);
    tl_order_key_of(&identity, &key);
    seed[0] = 2;
    assert_int_equal(tl_identity_from_seed(seed, &identity), TL_OK);
    tl_order_key_of(&identity, &other_key);
    return 0;
}

static tl_order usual(void)
{
    return (tl_order){.request = "q-1",
                      .provider = {{7}},
                      .has_network = true,
                      .network = {{8}},
                      .model = "llama",
                      .price = 1500,
                      .cap_in = 10,
                      .cap_out = TL_MONEY_MAX,
                      .at = 1800000000};
}

static void a_consumer_knows_its_own_order_again(void **state)
{
    (void)state;
    char text[TL_ORDER_MAX];
    tl_order o = usual(), read = usual();
    tl_order_write(&o, &key, text);
    assert_true(tl_order_is(text));
    read.price = read.cap_in = read.cap_out = read.at = 0;
    assert_int_equal(tl_order_read(text, &key, &read), TL_OK);
    assert_int_equal(read.price, 1500);
    assert_int_equal(read.cap_in, 10);
    assert_int_equal(read.cap_out, TL_MONEY_MAX);
    assert_int_equal(read.at, 1800000000);
    assert_int_equal(tl_order_read(text, &other_key, &read), TL_ERR_AUTH);
}

static void an_order_belongs_to_its_question_alone(void **state)
{
    (void)state;
    char text[TL_ORDER_MAX];
    tl_order o = usual(), read = usual();
    tl_order_write(&o, &key, text);
    read.request = "q-2";
    assert_int_equal(tl_order_read(text, &key, &read), TL_ERR_AUTH);
    read = usual();
    read.provider.key[0]++;
    assert_int_equal(tl_order_read(text, &key, &read), TL_ERR_AUTH);
    read = usual();
    read.has_network = false;
    assert_int_equal(tl_order_read(text, &key, &read), TL_ERR_AUTH);
    read = usual();
    read.model = "llama2";
    assert_int_equal(tl_order_read(text, &key, &read), TL_ERR_AUTH);
    read = usual();
    assert_int_equal(tl_order_read(text, &key, &read), TL_OK);
}

static void no_character_of_an_order_can_be_altered(void **state)
{
    (void)state;
    char text[TL_ORDER_MAX];
    tl_order o = usual(), read = usual();
    tl_order_write(&o, &key, text);
    for (size_t i = 0; text[i]; i++) {
        static const char others[] = "019af.-x";
        char was = text[i];
        for (size_t k = 0; others[k]; k++) {
            text[i] = others[k];
            if (others[k] != was)
                assert_int_not_equal(tl_order_read(text, &key, &read), TL_OK);
        }
        text[i] = 0; /* cut */
        assert_int_equal(tl_order_read(text, &key, &read), TL_ERR_PROTO);
        text[i] = was;
    }
    assert_int_equal(tl_order_read(text, &key, &read), TL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_consumer_knows_its_own_order_again),
        cmocka_unit_test(an_order_belongs_to_its_question_alone),
        cmocka_unit_test(no_character_of_an_order_can_be_altered),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
