/* Lists of revoked nodes, and prices: what is signed once for all members. */
#include "ptn/price.h"
#include "scene.h"

static bool accepts_list(const json_t *value)
{
    tl_revocations list = {0};
    bool ok = tl_revocations_read(value, &list) == TL_PTN_OK;
    tl_revocations_clear(&list);
    return ok;
}

static bool accepts_price(const json_t *value)
{
    tl_ptn_price price;
    return tl_ptn_price_read(value, &price) == TL_PTN_OK;
}

static void no_altered_list_is_accepted(void **state)
{
    (void)state;
    const tl_identity *const keys[] = {&authority, &admin};
    for (size_t i = 0; i < 2; i++) {
        json_t *list = list_of(3, keys[i], 2, (const tl_identity *[]){&member, &outsider});
        no_change_is_accepted(list, accepts_list);
        json_decref(list);
    }
}

static void a_list_reads_back(void **state)
{
    (void)state;
    json_t *value = list_of(3, &admin, 2, (const tl_identity *[]){&member, &outsider});
    tl_revocations list = {0};
    assert_int_equal(tl_revocations_read(value, &list), TL_PTN_OK);
    assert_int_equal(list.sequence, 3);
    assert_int_equal(list.n, 2);
    assert_true(list.delegated);
    assert_int_equal(tl_revocations_find(&list, &member.id)->at, NOW);
    assert_null(tl_revocations_find(&list, &root.id));
    tl_revocations_clear(&list);
    json_decref(value);
    value = list_of(1, &authority, 0, NULL); /* an empty list is one */
    assert_true(accepts_list(value));
    json_decref(value);
}

static void a_list_by_no_admin_or_with_a_node_twice_is_not_made(void **state)
{
    (void)state;
    tl_revocation twice[] = {{member.id, NOW}, {member.id, NOW}};
    tl_revocations list = {.network = authority.id,
                           .issuer = root.id,
                           .sequence = 1,
                           .issued_at = NOW,
                           .n = 2,
                           .entries = twice};
    json_t *value, *members = by_authority(&member, TL_ROLE_PROVIDER);
    assert_int_equal(tl_revocations_make(&list, &authority, NULL, &value), TL_ERR_INVALID);
    list.n = 1;
    list.sequence = 0;
    assert_int_equal(tl_revocations_make(&list, &authority, NULL, &value), TL_ERR_INVALID);
    list.sequence = 1;
    list.issuer = member.id;
    assert_int_equal(tl_revocations_make(&list, &member, members, &value), TL_ERR_FORBIDDEN);
    assert_int_equal(tl_revocations_make(&list, &authority, NULL, &value), TL_OK);
    json_decref(value);
    json_decref(members);
}

static void no_altered_price_is_accepted(void **state)
{
    (void)state;
    tl_ptn_price p = {.head.network = authority.id,
                      .head.issuer = admin.id,
                      .head.version = 2,
                      .head.issued_at = NOW,
                      .micro_per_ktoken = 1500};
    json_t *value, *chain = admin_certificate();
    assert_int_equal(tl_ptn_price_make(&p, &admin, chain, &value), TL_OK);
    no_change_is_accepted(value, accepts_price);
    tl_ptn_price read;
    assert_int_equal(tl_ptn_price_read(value, &read), TL_PTN_OK);
    assert_int_equal(read.micro_per_ktoken, 1500);
    assert_int_equal(read.head.version, 2);
    json_decref(value);
    p.micro_per_ktoken = -1;
    assert_int_equal(tl_ptn_price_make(&p, &admin, chain, &value), TL_ERR_INVALID);
    p.micro_per_ktoken = TL_PTN_TIME_MAX + 1;
    assert_int_equal(tl_ptn_price_make(&p, &admin, chain, &value), TL_ERR_INVALID);
    p.micro_per_ktoken = TL_PTN_TIME_MAX;
    assert_int_equal(tl_ptn_price_make(&p, &admin, chain, &value), TL_OK);
    json_decref(value);
    json_decref(chain);
}

/* A signature over one purpose is worth nothing for another. */
static void a_price_is_no_list(void **state)
{
    (void)state;
    json_t *list = list_of(1, &authority, 0, NULL);
    json_object_del(list, "sequence");
    json_object_del(list, "entries");
    json_object_set_new(list, "version", json_integer(1));
    json_object_set_new(list, "microPerKToken", json_integer(0));
    tl_ptn_price price;
    assert_int_equal(tl_ptn_price_read(list, &price), TL_PTN_SIGNATURE);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_altered_list_is_accepted),
        cmocka_unit_test(a_list_reads_back),
        cmocka_unit_test(a_list_by_no_admin_or_with_a_node_twice_is_not_made),
        cmocka_unit_test(no_altered_price_is_accepted),
        cmocka_unit_test(a_price_is_no_list),
    };
    return cmocka_run_group_tests(tests, scene_set_up, NULL);
}
