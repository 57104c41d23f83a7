#include "dht/record.h"
#include "wire/bencode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static tl_addr addr(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static tl_dht_record small(void)
{
    tl_dht_record r = {
        .nat = TL_CONTROL_NAT_CONE, .n_addresses = 2, .n_introducers = 1, .n_relays = 1};
    r.addresses[0] = addr("198.18.0.1:41820");
    r.addresses[1] = addr("[2001:db8::1]:41821");
    memset(r.introducers[0].id, 'k', sizeof r.introducers[0].id);
    r.introducers[0].addr = addr("198.18.0.9:5");
    strcpy(r.relays[0], "wss://relay.example/ws");
    return r;
}

#define INTRODUCER "38:kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\xC6\x12\0\x09\0\x05"
#define ADDRESS4   "6:\xC6\x12\0\x01\xA3\x5C"
#define ADDRESS6   "18:\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\xA3\x5D"
#define RELAY      "22:wss://relay.example/ws"

/* What is said of a value that has this dictionary as its text. */
static tl_err error_of(tl_slice dict)
{
    static uint8_t value[3000];
    tl_dht_record r;
    tl_ben_writer w = {.p = value, .max = sizeof value};
    tl_ben_put_text(&w, dict);
    assert_false(w.full);
    return tl_dht_record_parse(tl_slice_of(value, w.n), &r);
}
#define ERROR_OF(text) error_of(TL_SLICE_LIT(text))

static void expect_same(const tl_dht_record *a, const tl_dht_record *b)
{
    assert_int_equal(a->nat, b->nat);
    assert_int_equal(a->n_addresses, b->n_addresses);
    assert_int_equal(a->n_introducers, b->n_introducers);
    assert_int_equal(a->n_relays, b->n_relays);
    for (size_t i = 0; i < a->n_addresses; i++)
        assert_true(tl_addr_eq(&a->addresses[i], &b->addresses[i]));
    for (size_t i = 0; i < a->n_introducers; i++) {
        assert_true(tl_addr_eq(&a->introducers[i].addr, &b->introducers[i].addr));
        assert_memory_equal(a->introducers[i].id, b->introducers[i].id, 32);
    }
    for (size_t i = 0; i < a->n_relays; i++)
        assert_string_equal(a->relays[i], b->relays[i]);
}

static void expect_written(const tl_dht_record *r, tl_slice expected)
{
    tl_dht_record again;
    uint8_t value[TL_DHT_RECORD_MAX];
    size_t n = tl_dht_record_write(r, value);
    assert_true(tl_slice_eq(tl_slice_of(value, n), expected));
    assert_int_equal(tl_dht_record_parse(tl_slice_of(value, n), &again), TL_OK);
    expect_same(r, &again);
}

static void a_record_is_written_as_the_picture_says(void **state)
{
    (void)state;
    tl_dht_record r = small();
    expect_written(&r, TL_SLICE_LIT("127:d1:il" INTRODUCER "e1:n4:Cone1:pl" ADDRESS4 ADDRESS6
                                    "e1:rl" RELAY "e1:vi1ee"));
}

static void an_empty_record_has_all_five_keys(void **state)
{
    (void)state;
    tl_dht_record r = {.nat = TL_CONTROL_NAT_UNKNOWN};
    expect_written(&r, TL_SLICE_LIT("35:d1:ile1:n7:Unknown1:ple1:rle1:vi1ee"));
}

static void the_largest_record_fits_with_fewer_relays(void **state)
{
    (void)state;
    tl_dht_record r = {
        .nat = TL_CONTROL_NAT_SYMMETRIC, .n_addresses = 8, .n_introducers = 8, .n_relays = 4};
    tl_dht_record again;
    uint8_t value[TL_DHT_RECORD_MAX];
    for (int i = 0; i < 8; i++)
        r.addresses[i] = r.introducers[i].addr = addr("[2001:db8:1:2:3:4:5:6]:65535");
    for (int i = 0; i < 4; i++)
        sprintf(r.relays[i], "wss://relay.example/%0232d", i);
    size_t n = tl_dht_record_write(&r, value);
    assert_true(n <= TL_DHT_RECORD_MAX);
    assert_int_equal(tl_dht_record_parse(tl_slice_of(value, n), &again), TL_OK);
    r.n_relays = 1; /* each of 252 bytes; 594 are taken */
    expect_same(&r, &again);

    for (int i = 0; i < 4; i++)
        sprintf(r.relays[i], "wss://relay%d.example/ws", i);
    r.n_relays = 4;
    n = tl_dht_record_write(&r, value);
    assert_int_equal(tl_dht_record_parse(tl_slice_of(value, n), &again), TL_OK);
    expect_same(&r, &again);
}

static void what_is_cut_anywhere_is_refused(void **state)
{
    (void)state;
    tl_dht_record r = small();
    uint8_t value[TL_DHT_RECORD_MAX];
    size_t n = tl_dht_record_write(&r, value), head = 4;
    assert_int_equal(error_of(tl_slice_of(value + head, n - head)), TL_OK);
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_equal(tl_dht_record_parse(tl_slice_of(value, cut), &r), TL_ERR_PROTO);
        if (cut < n - head)
            assert_int_equal(error_of(tl_slice_of(value + head, cut)), TL_ERR_PROTO);
    }
}

static void the_value_is_a_text(void **state)
{
    (void)state;
    tl_dht_record r;
    tl_slice text = TL_SLICE_LIT("34:d1:ile1:n6:Public1:ple1:rle1:vi1ee");
    assert_int_equal(tl_dht_record_parse(text, &r), TL_OK);
    assert_int_equal(tl_dht_record_parse(tl_slice_of(text.p + 3, text.n - 3), &r), TL_ERR_PROTO);
    assert_int_equal(
        tl_dht_record_parse(TL_SLICE_LIT("37:34:d1:ile1:n6:Public1:ple1:rle1:vi1ee"), &r),
        TL_ERR_PROTO);
}

static void each_key_is_needed_and_of_its_kind(void **state)
{
    (void)state;
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:ple1:rle1:vi1ee"), TL_OK);
    assert_int_equal(ERROR_OF("d1:n6:Public1:ple1:rle1:vi1ee"), TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:ile1:ple1:rle1:vi1ee"), TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:rle1:vi1ee"), TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:ple1:vi1ee"), TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:ple1:rlee"), TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:i0:1:n6:Public1:ple1:rle1:vi1ee"), TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:ile1:n6:public1:ple1:rle1:vi1ee"), TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:plleee1:rle1:vi1ee"), TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:ple1:rle1:v1:1e"), TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("l1:ae"), TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("4:spam"), TL_ERR_PROTO);
}

static void a_later_version_is_told_from_a_wrong_record(void **state)
{
    (void)state;
    assert_int_equal(ERROR_OF("d1:vi2ee"), TL_ERR_INVALID);
    assert_int_equal(ERROR_OF("d1:vi1ee"), TL_ERR_PROTO);
    /* a key more does not make it one */
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:ple1:rle1:vi1e1:xi3ee"), TL_OK);
    /* what is not canonical is wrong in any version */
    assert_int_equal(ERROR_OF("d1:vi2e1:ai1ee"), TL_ERR_PROTO);
}

static void addresses_are_such_that_something_can_be_there(void **state)
{
    (void)state;
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:pl6:\xC6\x12\0\x01\0\x01"
                              "e1:rle1:vi1ee"),
                     TL_OK);
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:pl6:\xC6\x12\0\x01\0\0"
                              "e1:rle1:vi1ee"),
                     TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:pl5:\xC6\x12\0\x01\x01"
                              "e1:rle1:vi1ee"),
                     TL_ERR_PROTO);
    assert_int_equal(
        ERROR_OF("d1:ile1:n6:Public1:pl18:\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC6\x12\0\x01\0\x01"
                 "e1:rle1:vi1ee"),
        TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:il" INTRODUCER "e1:n6:Public1:ple1:rle1:vi1ee"), TL_OK);
    assert_int_equal(
        ERROR_OF("d1:il32:kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkke1:n6:Public1:ple1:rle1:vi1ee"),
        TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:il0:e1:n6:Public1:ple1:rle1:vi1ee"), TL_ERR_PROTO);
}

static void relays_are_urls_of_websockets(void **state)
{
    (void)state;
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:ple1:rl12:ws://a.org/we1:vi1ee"), TL_OK);
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:ple1:rl14:http://a.org/we1:vi1ee"), TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:ple1:rl12:ws://a.org/\ne1:vi1ee"), TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:ple1:rl14:ws://a.org/w\0xe1:vi1ee"),
                     TL_ERR_PROTO);
    assert_int_equal(ERROR_OF("d1:ile1:n6:Public1:ple1:rl0:e1:vi1ee"), TL_ERR_PROTO);
}

/* A list of `n` times `one`, between what stands before and behind it. */
static tl_err error_of_list(const char *before, tl_slice one, int n, const char *behind)
{
    static uint8_t value[2000];
    size_t at = strlen(before);
    memcpy(value, before, at);
    for (int i = 0; i < n; i++, at += one.n)
        memcpy(value + at, one.p, one.n);
    memcpy(value + at, behind, strlen(behind));
    return error_of(tl_slice_of(value, at + strlen(behind)));
}

static void lists_are_bounded(void **state)
{
    (void)state;
    const char *p = "d1:ile1:n6:Public1:pl", *behind_p = "e1:rle1:vi1ee";
    const char *i = "d1:il", *behind_i = "e1:n6:Public1:ple1:rle1:vi1ee";
    const char *r = "d1:ile1:n6:Public1:ple1:rl", *behind_r = "e1:vi1ee";
    assert_int_equal(error_of_list(p, TL_SLICE_LIT(ADDRESS4), 8, behind_p), TL_OK);
    assert_int_equal(error_of_list(p, TL_SLICE_LIT(ADDRESS4), 9, behind_p), TL_ERR_PROTO);
    assert_int_equal(error_of_list(i, TL_SLICE_LIT(INTRODUCER), 8, behind_i), TL_OK);
    assert_int_equal(error_of_list(i, TL_SLICE_LIT(INTRODUCER), 9, behind_i), TL_ERR_PROTO);
    assert_int_equal(error_of_list(r, TL_SLICE_LIT(RELAY), 4, behind_r), TL_OK);
    assert_int_equal(error_of_list(r, TL_SLICE_LIT(RELAY), 5, behind_r), TL_ERR_PROTO);
}

static void a_record_has_its_target(void **state)
{
    (void)state;
    tl_node_id id;
    memset(id.key, 7, sizeof id.key);
    tl_dht_id a = tl_dht_record_target(&id),
              b = tl_dht_target_of_key(id.key, TL_SLICE_LIT("teale"));
    assert_true(tl_dht_id_eq(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_written_as_the_picture_says),
        cmocka_unit_test(an_empty_record_has_all_five_keys),
        cmocka_unit_test(the_largest_record_fits_with_fewer_relays),
        cmocka_unit_test(what_is_cut_anywhere_is_refused),
        cmocka_unit_test(the_value_is_a_text),
        cmocka_unit_test(each_key_is_needed_and_of_its_kind),
        cmocka_unit_test(a_later_version_is_told_from_a_wrong_record),
        cmocka_unit_test(addresses_are_such_that_something_can_be_there),
        cmocka_unit_test(relays_are_urls_of_websockets),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(a_record_has_its_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
