#include "ptn/ptn.h"
#include "scene.h"

static tl_ptn *network_new(void)
{
    tl_ptn *n;
    assert_int_equal(tl_ptn_new(&authority.id, &n), TL_OK);
    return n;
}

static tl_ptn_verdict take(tl_ptn *n, json_t *list, bool *ret_stale)
{
    bool stale;
    tl_ptn_verdict v = tl_ptn_take_revocations(n, list, NOW, ret_stale ? ret_stale : &stale);
    json_decref(list);
    return v;
}

static tl_cert cert_of(json_t *value)
{
    tl_cert cert;
    assert_int_equal(tl_cert_read(value, &cert), TL_PTN_OK);
    json_decref(value);
    return cert;
}

static void a_member_is_one_until_it_is_revoked(void **state)
{
    (void)state;
    tl_ptn *n = network_new();
    tl_cert cert = cert_of(by_authority(&member, TL_ROLE_PROVIDER));
    assert_int_equal(tl_ptn_judge(n, &cert, &member.id, NOW), TL_PTN_OK);
    assert_int_equal(take(n, list_of(1, &authority, 1, (const tl_identity *[]){&outsider}), NULL),
                     TL_PTN_OK);
    assert_int_equal(tl_ptn_judge(n, &cert, &member.id, NOW), TL_PTN_OK);
    assert_int_equal(
        take(n, list_of(2, &authority, 2, (const tl_identity *[]){&outsider, &member}), NULL),
        TL_PTN_OK);
    assert_int_equal(tl_ptn_judge(n, &cert, &member.id, NOW), TL_PTN_REVOKED);
    /* a new certificate does not help */
    tl_cert again = cert_of(by_admin(&member, TL_ROLE_PROVIDER));
    assert_int_equal(tl_ptn_judge(n, &again, &member.id, NOW), TL_PTN_REVOKED);
    tl_ptn_free(n);
}

static void a_certificate_holds_for_its_node_and_network_alone(void **state)
{
    (void)state;
    tl_ptn *n = network_new(), *other;
    assert_int_equal(tl_ptn_new(&other_authority.id, &other), TL_OK);
    tl_cert cert = cert_of(by_authority(&member, TL_ROLE_PROVIDER));
    assert_int_equal(tl_ptn_judge(n, &cert, &outsider.id, NOW), TL_PTN_FOREIGN);
    assert_int_equal(tl_ptn_judge(other, &cert, &member.id, NOW), TL_PTN_FOREIGN);
    assert_int_equal(tl_ptn_judge(n, &cert, &member.id, NOW), TL_PTN_OK);
    tl_ptn_free(n);
    tl_ptn_free(other);
}

/* A revoked admin could set back its clock, and sign what it likes. */
static void what_a_revoked_admin_signed_holds_no_more(void **state)
{
    (void)state;
    tl_ptn *n = network_new();
    tl_cert delegated = cert_of(by_admin(&member, TL_ROLE_CONSUMER));
    tl_cert own = cert_of(by_authority(&outsider, TL_ROLE_CONSUMER));
    assert_int_equal(tl_ptn_judge(n, &delegated, &member.id, NOW), TL_PTN_OK);
    assert_int_equal(take(n, list_of(1, &authority, 1, (const tl_identity *[]){&admin}), NULL),
                     TL_PTN_OK);
    assert_int_equal(tl_ptn_judge(n, &delegated, &member.id, NOW), TL_PTN_REVOKED);
    assert_int_equal(tl_ptn_judge(n, &own, &outsider.id, NOW), TL_PTN_OK);
    assert_int_equal(take(n, list_of(9, &admin, 1, (const tl_identity *[]){&outsider}), NULL),
                     TL_PTN_REVOKED);
    assert_false(tl_ptn_is_revoked(n, &outsider.id));
    tl_ptn_free(n);
}

static void a_list_only_adds(void **state)
{
    (void)state;
    tl_ptn *n = network_new();
    bool stale;
    assert_int_equal(
        take(n, list_of(5, &authority, 2, (const tl_identity *[]){&member, &outsider}), &stale),
        TL_PTN_OK);
    assert_false(stale);
    assert_int_equal(tl_ptn_sequence(n), 5);
    /* older, and the same again */
    assert_int_equal(take(n, list_of(4, &authority, 1, (const tl_identity *[]){&member}), &stale),
                     TL_PTN_OLD);
    assert_true(stale);
    assert_int_equal(
        take(n, list_of(5, &authority, 2, (const tl_identity *[]){&member, &outsider}), &stale),
        TL_PTN_OLD);
    assert_false(stale);
    /* newer, but it lost one: the node stays revoked, and the holder is told */
    assert_int_equal(take(n, list_of(6, &authority, 1, (const tl_identity *[]){&outsider}), &stale),
                     TL_PTN_OK);
    assert_true(stale);
    assert_true(tl_ptn_is_revoked(n, &member.id));
    assert_int_equal(tl_ptn_sequence(n), 6);
    tl_ptn_free(n);
}

static void two_admins_that_revoke_at_once_both_count(void **state)
{
    (void)state;
    tl_ptn *n = network_new();
    bool stale;
    assert_int_equal(take(n, list_of(1, &authority, 1, (const tl_identity *[]){&member}), &stale),
                     TL_PTN_OK);
    assert_int_equal(take(n, list_of(1, &admin, 1, (const tl_identity *[]){&outsider}), &stale),
                     TL_PTN_OK);
    assert_true(stale); /* each lacks the other's */
    assert_true(tl_ptn_is_revoked(n, &member.id));
    assert_true(tl_ptn_is_revoked(n, &outsider.id));
    tl_revocations next = {0};
    assert_int_equal(tl_ptn_next_list(n, NULL, false, NOW, &next), TL_OK);
    assert_int_equal(next.sequence, 2);
    assert_int_equal(next.n, 2);
    tl_revocations_clear(&next);
    tl_ptn_free(n);
}

static void the_next_list_holds_all_and_one_more(void **state)
{
    (void)state;
    tl_ptn *n = network_new();
    tl_revocations next = {0};
    json_t *list;
    assert_null(tl_ptn_list(n));
    assert_int_equal(tl_ptn_next_list(n, &member.id, false, NOW, &next), TL_OK);
    assert_int_equal(next.sequence, 1);
    next.issuer = root.id;
    assert_int_equal(tl_revocations_make(&next, &authority, NULL, &list), TL_OK);
    tl_revocations_clear(&next);
    assert_int_equal(take(n, list, NULL), TL_PTN_OK);
    assert_non_null(tl_ptn_list(n));
    assert_int_equal(tl_ptn_next_list(n, &member.id, false, NOW, &next), TL_ERR_EXISTS);
    assert_int_equal(tl_ptn_next_list(n, &outsider.id, false, NOW, &next), TL_OK);
    assert_int_equal(next.n, 2);
    assert_non_null(tl_revocations_find(&next, &member.id));
    tl_revocations_clear(&next);
    tl_ptn_free(n);
}

static void a_list_of_another_network_changes_nothing(void **state)
{
    (void)state;
    tl_ptn *n = network_new();
    tl_revocation one = {member.id, NOW};
    tl_revocations list = {.network = other_authority.id,
                           .issuer = root.id,
                           .sequence = 1,
                           .issued_at = NOW,
                           .n = 1,
                           .entries = &one};
    json_t *value;
    assert_int_equal(tl_revocations_make(&list, &other_authority, NULL, &value), TL_OK);
    assert_int_equal(take(n, value, NULL), TL_PTN_FOREIGN);
    list.network = authority.id;
    assert_false(tl_ptn_is_revoked(n, &member.id));
    list.network = authority.id;
    assert_int_equal(tl_revocations_make(&list, &authority, NULL, &value), TL_OK);
    assert_int_equal(take(n, value, NULL), TL_PTN_OK);
    assert_true(tl_ptn_is_revoked(n, &member.id));
    tl_ptn_free(n);
}

/* Our clock may be behind. But the list makes nothing newer than our clock says. */
static void a_list_of_the_future_revokes(void **state)
{
    (void)state;
    tl_ptn *n = network_new();
    tl_revocation one = {member.id, NOW};
    tl_revocations list = {.network = authority.id,
                           .issuer = root.id,
                           .sequence = 1,
                           .issued_at = NOW + TL_PTN_AHEAD_MAX + 1,
                           .n = 1,
                           .entries = &one};
    json_t *value;
    assert_int_equal(tl_revocations_make(&list, &authority, NULL, &value), TL_OK);
    assert_int_equal(take(n, value, NULL), TL_PTN_OK);
    assert_true(tl_ptn_is_revoked(n, &member.id));
    assert_int_equal(tl_ptn_listed_at(n), NOW);
    list.sequence = 2;
    list.issued_at = NOW - 5;
    assert_int_equal(tl_revocations_make(&list, &authority, NULL, &value), TL_OK);
    assert_int_equal(take(n, value, NULL), TL_PTN_OK);
    assert_int_equal(tl_ptn_listed_at(n), NOW - 5);
    tl_ptn_free(n);
}

/* The admin's list came first, then one of the authority with a lower sequence that revokes the
 * admin. What was stored is loaded in any order. */
static void a_restart_brings_nobody_back_whom_an_admin_revoked_that_is_revoked_since(void **state)
{
    (void)state;
    json_t *by_the_admin = list_of(6, &admin, 1, (const tl_identity *[]){&member}),
           *of_the_admin = list_of(5, &authority, 1, (const tl_identity *[]){&admin});
    tl_ptn *n = network_new();
    bool stale;
    assert_int_equal(tl_ptn_take_revocations(n, by_the_admin, NOW, &stale), TL_PTN_OK);
    assert_int_equal(tl_ptn_take_revocations(n, of_the_admin, NOW, &stale), TL_PTN_OK);
    assert_int_equal(tl_ptn_list_count(n), 2);
    for (int turned = 0; turned < 2; turned++) {
        tl_ptn *again = network_new();
        for (int i = 0; i < 2; i++)
            assert_int_equal(
                tl_ptn_load_revocations(again, tl_ptn_list_at(n, (size_t)(i ^ turned)), NOW),
                TL_PTN_OK);
        assert_true(tl_ptn_is_revoked(again, &member.id));
        assert_true(tl_ptn_is_revoked(again, &admin.id));
        assert_int_equal(tl_ptn_list_count(again), 2);
        assert_int_equal(tl_ptn_sequence(again), 6);
        tl_ptn_free(again);
    }
    /* what was not stored is judged by who is revoked now, and an altered list counts nowhere */
    tl_ptn *other = network_new();
    assert_int_equal(take(other, of_the_admin, NULL), TL_PTN_OK);
    assert_int_equal(tl_ptn_take_revocations(other, by_the_admin, NOW, &stale), TL_PTN_REVOKED);
    json_object_set_new(by_the_admin, "sequence", json_integer(7));
    assert_int_equal(tl_ptn_load_revocations(other, by_the_admin, NOW), TL_PTN_SIGNATURE);
    assert_false(tl_ptn_is_revoked(other, &member.id));
    json_decref(by_the_admin);
    tl_ptn_free(other);
    tl_ptn_free(n);
}

static tl_ptn_verdict take_price(tl_ptn *n, int64_t version, int64_t micro, const tl_identity *key)
{
    tl_ptn_price p = {.head.network = authority.id,
                      .head.issuer = key == &authority ? root.id : key->id,
                      .head.version = version,
                      .head.issued_at = NOW,
                      .micro_per_ktoken = micro};
    json_t *value, *chain = admin_certificate();
    assert_int_equal(tl_ptn_price_make(&p, key, chain, &value), TL_OK);
    tl_ptn_verdict v = tl_ptn_take_price(n, value, NOW);
    json_decref(value);
    json_decref(chain);
    return v;
}

static void the_newest_price_counts_and_of_two_the_lower(void **state)
{
    (void)state;
    tl_ptn *n = network_new();
    int64_t version;
    assert_int_equal(tl_ptn_price_of(n, &version), 0);
    assert_int_equal(version, 0);
    assert_int_equal(take_price(n, 1, 500, &authority), TL_PTN_OK);
    assert_int_equal(take_price(n, 3, 700, &admin), TL_PTN_OK);
    assert_int_equal(take_price(n, 2, 1, &authority), TL_PTN_OLD);
    assert_int_equal(take_price(n, 3, 800, &authority), TL_PTN_OLD);
    assert_int_equal(take_price(n, 3, 600, &authority), TL_PTN_OK);
    assert_int_equal(tl_ptn_price_of(n, &version), 600);
    assert_int_equal(version, 3);
    assert_int_equal(take(n, list_of(1, &authority, 1, (const tl_identity *[]){&admin}), NULL),
                     TL_PTN_OK);
    assert_int_equal(take_price(n, 4, 1, &admin), TL_PTN_REVOKED);
    tl_ptn_free(n);
}

static bool knows(const tl_ptn *a, const tl_ptn *b)
{
    tl_ptn_digest da = tl_ptn_revoked_digest(a), db = tl_ptn_revoked_digest(b);
    return memcmp(&da, &db, sizeof da) == 0;
}

/* Each signs the same sequence, each revokes another node: nobody may forget either. */
static void two_admins_that_revoke_at_once_are_both_heard(void **state)
{
    (void)state;
    tl_ptn *n = network_new(), *restarted = network_new();
    assert_int_equal(take(n, list_of(1, &authority, 1, (const tl_identity *[]){&outsider}), NULL),
                     TL_PTN_OK);
    assert_int_equal(tl_ptn_list_count(n), 1);
    assert_false(knows(n, restarted));
    assert_int_equal(take(n, list_of(1, &admin, 1, (const tl_identity *[]){&member}), NULL),
                     TL_PTN_OK);
    assert_int_equal(tl_ptn_list_count(n), 2);
    for (size_t i = 0; i < tl_ptn_list_count(n); i++) /* what is stored tells all */
        assert_int_equal(take(restarted, json_deep_copy(tl_ptn_list_at(n, i)), NULL), TL_PTN_OK);
    assert_true(tl_ptn_is_revoked(restarted, &member.id));
    assert_true(tl_ptn_is_revoked(restarted, &outsider.id));
    assert_true(knows(n, restarted));
    /* the next list of an admin holds all: it alone is kept */
    assert_int_equal(
        take(n, list_of(2, &admin, 2, (const tl_identity *[]){&member, &outsider}), NULL),
        TL_PTN_OK);
    assert_int_equal(tl_ptn_list_count(n), 1);
    assert_true(knows(n, restarted));
    tl_ptn_free(n);
    tl_ptn_free(restarted);
}

static void a_newest_list_that_lacks_a_node_keeps_the_older_one_beside_it(void **state)
{
    (void)state;
    tl_ptn *n = network_new();
    assert_int_equal(take(n, list_of(5, &authority, 1, (const tl_identity *[]){&outsider}), NULL),
                     TL_PTN_OK);
    assert_int_equal(take(n, list_of(6, &admin, 1, (const tl_identity *[]){&member}), NULL),
                     TL_PTN_OK);
    assert_int_equal(tl_ptn_list_count(n), 2);
    assert_int_equal(tl_ptn_sequence(n), 6);
    assert_true(tl_ptn_is_revoked(n, &outsider.id));
    tl_ptn_free(n);
}

static void more_lists_than_have_room_lose_no_node(void **state)
{
    (void)state;
    tl_ptn *n = network_new();
    tl_identity nodes[TL_PTN_LISTS_MAX + 3];
    for (size_t i = 0; i < TL_PTN_LISTS_MAX + 3; i++) {
        uint8_t seed[32];
        memset(seed, (int)i + 100, sizeof seed);
        assert_int_equal(tl_identity_from_seed(seed, &nodes[i]), TL_OK);
        assert_int_equal(
            take(n, list_of(1, &authority, 1, (const tl_identity *[]){&nodes[i]}), NULL),
            TL_PTN_OK);
        assert_true(tl_ptn_list_count(n) <= TL_PTN_LISTS_MAX);
    }
    for (size_t i = 0; i < TL_PTN_LISTS_MAX + 3; i++)
        assert_true(tl_ptn_is_revoked(n, &nodes[i].id));
    tl_ptn_free(n);
}

static json_t *group_key(int64_t version, uint8_t byte)
{
    json_t *object, *chain = admin_certificate();
    tl_ptn_groupkey k = {.head.network = authority.id,
                         .head.issuer = admin.id,
                         .head.version = version,
                         .head.issued_at = NOW};
    memset(k.key, byte, sizeof k.key);
    assert_int_equal(tl_ptn_groupkey_make(&k, &admin, chain, &object), TL_OK);
    json_decref(chain);
    return object;
}

static bool accepts_key(const json_t *value)
{
    tl_ptn_groupkey k;
    return tl_ptn_groupkey_read(value, &k) == TL_PTN_OK;
}

static tl_ptn_verdict take_key(tl_ptn *n, int64_t version, uint8_t byte)
{
    json_t *object = group_key(version, byte);
    tl_ptn_verdict v = tl_ptn_take_groupkey(n, object, NOW);
    json_decref(object);
    return v;
}

static void group_keys_are_signed_and_of_two_with_one_version_all_take_the_same(void **state)
{
    (void)state;
    json_t *object = group_key(1, 7);
    no_change_is_accepted(object, accepts_key);
    json_decref(object);
    tl_ptn *n = network_new(), *other = network_new();
    assert_int_equal(take_key(n, 1, 7), TL_PTN_OK);
    assert_int_equal(take_key(n, 1, 8), TL_PTN_OLD);
    assert_int_equal(take_key(other, 1, 8), TL_PTN_OK);
    assert_int_equal(take_key(other, 1, 7), TL_PTN_OK);
    assert_true(json_equal(tl_ptn_groupkey_object(n), tl_ptn_groupkey_object(other)));
    assert_int_equal(take_key(n, 2, 9), TL_PTN_OK);
    assert_int_equal(take_key(n, 1, 0), TL_PTN_OLD);
    assert_int_equal(take(n, list_of(1, &authority, 1, (const tl_identity *[]){&admin}), NULL),
                     TL_PTN_OK);
    assert_int_equal(take_key(n, 3, 1), TL_PTN_REVOKED);
    tl_ptn_free(n);
    tl_ptn_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_admins_that_revoke_at_once_are_both_heard),
        cmocka_unit_test(a_newest_list_that_lacks_a_node_keeps_the_older_one_beside_it),
        cmocka_unit_test(more_lists_than_have_room_lose_no_node),
        cmocka_unit_test(group_keys_are_signed_and_of_two_with_one_version_all_take_the_same),
        cmocka_unit_test(a_member_is_one_until_it_is_revoked),
        cmocka_unit_test(a_certificate_holds_for_its_node_and_network_alone),
        cmocka_unit_test(what_a_revoked_admin_signed_holds_no_more),
        cmocka_unit_test(a_list_only_adds),
        cmocka_unit_test(two_admins_that_revoke_at_once_both_count),
        cmocka_unit_test(the_next_list_holds_all_and_one_more),
        cmocka_unit_test(a_list_of_another_network_changes_nothing),
        cmocka_unit_test(a_list_of_the_future_revokes),
        cmocka_unit_test(a_restart_brings_nobody_back_whom_an_admin_revoked_that_is_revoked_since),
        cmocka_unit_test(the_newest_price_counts_and_of_two_the_lower),
    };
    return cmocka_run_group_tests(tests, scene_set_up, NULL);
}
