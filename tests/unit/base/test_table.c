#include "../support/failalloc.h"
#include "base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N 2000 /* enough for several expansions of the table */

typedef struct {
    uint32_t key;
    char name[8];
    bool added;
    UT_hash_handle by_key, by_name;
} element;

static element elements[N];

static element *find(element *table, uint32_t key)
{
    element *found;
    HASH_FIND(by_key, table, &key, sizeof key, found);
    return found;
}

/* Every element goes into both tables or into neither. */
static tl_err fill(void *user)
{
    element *by_key = NULL, *by_name = NULL;
    size_t n = 0;
    (void)user;
    for (uint32_t i = 0; i < N; i++) {
        element *e = &elements[i];
        *e = (element){.key = i};
        snprintf(e->name, sizeof e->name, "%u", i);
        if (!TL_TABLE_ADD(by_key, by_key, key, sizeof e->key, e))
            continue;
        if (!TL_TABLE_ADD_KEYPTR(by_name, by_name, e->name, strlen(e->name), e)) {
            HASH_DELETE(by_key, by_key, e);
            continue;
        }
        e->added = true;
        n++;
    }
    assert_int_equal(n, failalloc_failed() ? N - 1 : N);
    assert_int_equal(HASH_CNT(by_key, by_key), n);
    assert_int_equal(HASH_CNT(by_name, by_name), n);
    for (uint32_t i = 0; i < N; i++) {
        element *named;
        HASH_FIND(by_name, by_name, elements[i].name, strlen(elements[i].name), named);
        assert_ptr_equal(find(by_key, i), elements[i].added ? &elements[i] : NULL);
        assert_ptr_equal(named, elements[i].added ? &elements[i] : NULL);
    }
    HASH_CLEAR(by_key, by_key);
    HASH_CLEAR(by_name, by_name);
    return n == N ? TL_OK : TL_ERR_NOMEM;
}

static void an_add_that_fails_is_told_and_leaves_the_rest_in_the_table(void **state)
{
    (void)state;
    /* two tables: the head, the buckets, and at least one expansion each */
    assert_in_range(failalloc_sweep(fill, NULL), 6, 100);
}

static void the_hash_is_keyed_once(void **state)
{
    static const uint8_t first[TL_TABLE_KEY_SIZE] = {1}, second[TL_TABLE_KEY_SIZE] = {2};
    static const char bytes[] = "bytes";
    element *table = NULL, *e = &elements[0];
    (void)state;
    unsigned unkeyed = tl_table_hash(bytes, sizeof bytes);
    assert_int_equal(tl_table_hash(bytes, sizeof bytes), unkeyed);
    tl_table_start(first);
    unsigned keyed = tl_table_hash(bytes, sizeof bytes);
    assert_int_not_equal(keyed, unkeyed);
    *e = (element){.key = 7};
    assert_true(TL_TABLE_ADD(by_key, table, key, sizeof e->key, e));
    assert_int_equal(e->by_key.hashv, tl_table_hash(&e->key, sizeof e->key));
    tl_table_start(second);
    assert_int_equal(tl_table_hash(bytes, sizeof bytes), keyed);
    assert_ptr_equal(find(table, 7), e);
    HASH_CLEAR(by_key, table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_add_that_fails_is_told_and_leaves_the_rest_in_the_table),
        cmocka_unit_test(the_hash_is_keyed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
