#include "scene.h"

static tl_ptn_verdict read_and_free(json_t *cert, tl_cert *ret)
{
    tl_cert unused;
    tl_ptn_verdict v = tl_cert_read(cert, ret ? ret : &unused);
    json_decref(cert);
    return v;
}

static bool accepts(const json_t *value)
{
    tl_cert cert;
    return tl_cert_read(value, &cert) == TL_PTN_OK;
}

static void a_certificate_of_the_authority_says_what_was_signed(void **state)
{
    (void)state;
    tl_cert cert;
    assert_int_equal(read_and_free(by_authority(&member, TL_ROLE_PROVIDER), &cert), TL_PTN_OK);
    assert_true(tl_node_id_eq(&cert.network, &authority.id));
    assert_true(tl_node_id_eq(&cert.node, &member.id));
    assert_true(tl_node_id_eq(&cert.issuer, &root.id));
    assert_int_equal(cert.role, TL_ROLE_PROVIDER);
    assert_int_equal(cert.issued_at, NOW);
    assert_true(cert.expires_at == TL_PTN_NO_END);
    assert_false(cert.delegated);
}

static void an_admin_signs_for_members_with_its_certificate(void **state)
{
    (void)state;
    tl_cert cert;
    assert_int_equal(read_and_free(by_admin(&member, TL_ROLE_CONSUMER), &cert), TL_PTN_OK);
    assert_true(cert.delegated);
    assert_true(tl_node_id_eq(&cert.issuer, &admin.id));
}

static void no_altered_certificate_is_accepted(void **state)
{
    (void)state;
    json_t *cert = by_authority(&member, TL_ROLE_PROVIDER);
    no_change_is_accepted(cert, accepts);
    json_decref(cert);
    cert = by_admin(&member, TL_ROLE_CONSUMER);
    no_change_is_accepted(cert, accepts);
    json_decref(cert);
}

static void what_must_not_be_signed_is_not(void **state)
{
    (void)state;
    json_t *cert = NULL, *chain = admin_certificate();
    json_t *members = by_authority(&member, TL_ROLE_PROVIDER);
    tl_cert w = wish_of(&member, TL_ROLE_ADMIN, &admin);
    assert_int_equal(tl_cert_make(&w, &admin, chain, &cert),
                     TL_ERR_FORBIDDEN); /* no admin by an admin */
    w = wish_of(&outsider, TL_ROLE_CONSUMER, &member);
    assert_int_equal(tl_cert_make(&w, &member, members, &cert), TL_ERR_FORBIDDEN); /* a provider */
    assert_int_equal(tl_cert_make(&w, &member, chain, &cert),
                     TL_ERR_FORBIDDEN); /* another's chain */
    assert_int_equal(tl_cert_make(&w, &other_authority, NULL, &cert), TL_ERR_FORBIDDEN);
    w = wish_of(&member, TL_ROLE_CONSUMER, &admin);
    assert_int_equal(tl_cert_make(&w, &admin, NULL, &cert), TL_ERR_FORBIDDEN);
    w.expires_at = NOW - 1;
    assert_int_equal(tl_cert_make(&w, &admin, chain, &cert), TL_ERR_INVALID);
    assert_null(cert);
    w.expires_at = NOW;
    assert_int_equal(tl_cert_make(&w, &admin, chain, &cert), TL_OK); /* the twin */
    json_decref(cert);
    json_decref(chain);
    json_decref(members);
}

static void no_certificate_outlives_the_admin_that_signed_it(void **state)
{
    (void)state;
    json_t *cert, *chain;
    tl_cert w = wish_of(&admin, TL_ROLE_ADMIN, &root), read;
    w.expires_at = NOW + 100;
    assert_int_equal(tl_cert_make(&w, &authority, NULL, &chain), TL_OK);
    w = wish_of(&member, TL_ROLE_CONSUMER, &admin);
    assert_int_equal(tl_cert_make(&w, &admin, chain, &cert), TL_ERR_INVALID); /* no end */
    w.expires_at = NOW + 101;
    assert_int_equal(tl_cert_make(&w, &admin, chain, &cert), TL_ERR_INVALID);
    w.expires_at = NOW + 100;
    assert_int_equal(tl_cert_make(&w, &admin, chain, &cert), TL_OK);
    assert_int_equal(read_and_free(cert, &read), TL_PTN_OK);
    assert_int_equal(tl_cert_at(&read, NOW + 100), TL_PTN_OK);
    assert_int_equal(tl_cert_at(&read, NOW + 101), TL_PTN_EXPIRED);
    json_decref(chain);
}

/* What `admin` can put together without the authority's key. */
static void an_admins_own_admins_are_refused(void **state)
{
    (void)state;
    json_t *cert = by_admin(&member, TL_ROLE_CONSUMER),
           *of_member = by_admin(&outsider, TL_ROLE_CONSUMER);
    /* a chain of a member; of two links; of three */
    json_t *members = by_authority(&member, TL_ROLE_PROVIDER);
    json_object_set_new(of_member, "chain", json_pack("[O]", members));
    assert_false(accepts(of_member));
    json_t *own = json_incref(json_object_get(cert, "chain"));
    json_object_set_new(cert, "chain",
                        json_pack("[O,O]", json_array_get(own, 0), json_array_get(own, 0)));
    assert_false(accepts(cert));
    json_object_set_new(cert, "chain", json_array());
    assert_false(accepts(cert));
    json_object_set(cert, "chain", own);
    assert_true(accepts(cert));
    json_object_set_new(json_array_get(own, 0), "chain", json_array());
    tl_cert read;
    assert_int_equal(tl_cert_read(cert, &read), TL_PTN_CHAIN);
    json_decref(own);
    json_decref(members);
    json_decref(of_member);
    json_decref(cert);
}

static void a_chain_of_another_network_is_refused(void **state)
{
    (void)state;
    json_t *chain, *cert = by_admin(&member, TL_ROLE_CONSUMER);
    tl_cert w = wish_of(&admin, TL_ROLE_ADMIN, &root), read;
    w.network = other_authority.id;
    assert_int_equal(tl_cert_make(&w, &other_authority, NULL, &chain), TL_OK);
    json_object_set_new(cert, "chain", json_pack("[o]", chain));
    assert_int_equal(read_and_free(cert, &read), TL_PTN_CHAIN);
}

static void times_count_to_the_second(void **state)
{
    (void)state;
    json_t *cert;
    tl_cert w = wish_of(&member, TL_ROLE_CONSUMER, &root), read;
    w.expires_at = NOW + 60;
    assert_int_equal(tl_cert_make(&w, &authority, NULL, &cert), TL_OK);
    assert_int_equal(read_and_free(cert, &read), TL_PTN_OK);
    assert_int_equal(tl_cert_at(&read, NOW), TL_PTN_OK);
    assert_int_equal(tl_cert_at(&read, NOW + 60), TL_PTN_OK);
    assert_int_equal(tl_cert_at(&read, NOW + 61), TL_PTN_EXPIRED);
    assert_int_equal(tl_cert_at(&read, NOW - TL_PTN_AHEAD_MAX), TL_PTN_OK);
    assert_int_equal(tl_cert_at(&read, NOW - TL_PTN_AHEAD_MAX - 1), TL_PTN_EARLY);
}

/* As a Mac wrote and signed it; by independent code. */
#define MAC_PAYLOAD                                                                                \
    "\"payload\":{\"ptnID\":\"ba3b611e2882c1b6aa4b2ae3ec78ea0736e3ad99238353450171507a4b9f15b5\"," \
    "\"nodeID\":\"466627d52773c9d5cda6c8fd28ea31ec7b94e68aa8d42e2ad31a75dc8d24ed07\","             \
    "\"role\":\"provider\",\"issuedAt\":1776200000.123456,\"expiresAt\":1807736000.5,"             \
    "\"issuerNodeID\":\"c286554ac7959b2df1a97768b8c146a76d1fc528c34a14e648784a4ebc27ecef\"}"
#define MAC_SIGNATURE                                                                              \
    "\"signature\":\"1f8715ea5ea6abe491f8187c4bef05140775251d84ec30feacc66d82998d10b2"             \
    "fe6a2334f9fdd5dcf6849afc8c0e3339a34159edfa167801ecd51eab1f56e103\""

static void a_certificate_of_the_original_program_verifies(void **state)
{
    (void)state;
    tl_cert cert;
    assert_int_equal(read_and_free(parsed("{" MAC_PAYLOAD "," MAC_SIGNATURE "}"), &cert),
                     TL_PTN_OK);
    assert_int_equal(cert.role, TL_ROLE_PROVIDER);
    assert_int_equal(cert.issued_at, 1776200000);
    assert_int_equal(cert.expires_at, 1807736000);
    /* order and spaces are not signed */
    assert_int_equal(read_and_free(parsed("{ " MAC_SIGNATURE " ,\n " MAC_PAYLOAD "}"), NULL),
                     TL_PTN_OK);
}

/* One meaning, one form. */
static void a_whole_second_is_an_integer(void **state)
{
    (void)state;
    json_t *cert = by_authority(&member, TL_ROLE_CONSUMER);
    json_t *payload = json_object_get(cert, "payload");
    json_object_set_new(payload, "issuedAt", json_real((double)NOW)); /* 1800000000.0 */
    assert_int_equal(read_and_free(cert, NULL), TL_PTN_MALFORMED);
}

static void roles_do_what_the_seed_says(void **state)
{
    (void)state;
    static const struct {
        tl_role role;
        bool invites, serves;
    } table[] = {{TL_ROLE_ADMIN, true, true},
                 {TL_ROLE_PROVIDER, false, true},
                 {TL_ROLE_CONSUMER, false, false}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        tl_role role;
        assert_true(tl_role_parse(tl_role_name(table[i].role), &role));
        assert_int_equal(role, table[i].role);
        assert_int_equal(tl_role_may_invite(role), table[i].invites);
        assert_int_equal(tl_role_may_serve(role), table[i].serves);
    }
    tl_role role;
    assert_false(tl_role_parse("Admin", &role));
    assert_false(tl_role_parse("", &role));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_of_the_authority_says_what_was_signed),
        cmocka_unit_test(an_admin_signs_for_members_with_its_certificate),
        cmocka_unit_test(no_altered_certificate_is_accepted),
        cmocka_unit_test(what_must_not_be_signed_is_not),
        cmocka_unit_test(no_certificate_outlives_the_admin_that_signed_it),
        cmocka_unit_test(an_admins_own_admins_are_refused),
        cmocka_unit_test(a_chain_of_another_network_is_refused),
        cmocka_unit_test(times_count_to_the_second),
        cmocka_unit_test(a_certificate_of_the_original_program_verifies),
        cmocka_unit_test(a_whole_second_is_an_integer),
        cmocka_unit_test(roles_do_what_the_seed_says),
    };
    return cmocka_run_group_tests(tests, scene_set_up, NULL);
}
