/* What an admin decides. `root` holds the authority's key, `admin` only its certificate. */
#include "ptn/authority.h"
#include "scene.h"

#include <stdio.h>

static tl_rand rng;

static tl_networks *book_at(const tl_identity *self, json_t *own, const tl_identity *ca,
                            tl_membership **ret)
{
    tl_networks *b;
    assert_int_equal(tl_networks_new(&self->id, &b), TL_OK);
    assert_int_equal(tl_networks_add(b, &authority.id, "lab", ret), TL_OK);
    assert_int_equal(tl_networks_set_certificate(b, *ret, own), TL_PTN_OK);
    json_decref(own);
    if (ca)
        assert_int_equal(tl_networks_set_ca(b, *ret, ca), TL_OK);
    return b;
}

static tl_networks *at_root(tl_membership **ret)
{
    return book_at(&root, by_authority(&root, TL_ROLE_ADMIN), &authority, ret);
}

static tl_networks *at_admin(tl_membership **ret)
{
    return book_at(&admin, admin_certificate(), NULL, ret);
}

static tl_invite invite_for(tl_role role)
{
    tl_invite i = {.role = role, .expires_at = NOW + 3600};
    snprintf(i.name, sizeof i.name, "lab");
    return i;
}

/* The request of `node` with an invite that `self` makes; NULL: it is refused. */
static json_t *request(const tl_networks *b, const tl_membership *n, const tl_identity *self,
                       tl_invite invite, const tl_identity *node, tl_refusal *ret)
{
    tl_buf text = {0};
    json_t *join = NULL;
    *ret = tl_authority_invite(b, n, self, &rng, NOW, &invite, &text);
    if (!*ret) {
        assert_int_equal(tl_buf_append(&text, tl_slice_of("", 1)), TL_OK);
        assert_int_equal(tl_authority_write_join(node, (char *)tl_buf_begin(&text), &join), TL_OK);
    }
    tl_buf_clear(&text);
    return join;
}

static tl_refusal judge(const tl_networks *b, const tl_identity *self, const tl_identity *peer,
                        json_t *join, tl_unix now)
{
    tl_membership *n;
    tl_invite invite;
    tl_refusal r = tl_authority_judge_join(b, self, &peer->id, join, now, &n, &invite);
    json_decref(join);
    return r;
}

static void the_founder_is_an_admin_whom_the_authority_signed(void **state)
{
    (void)state;
    tl_identity ca;
    json_t *own;
    tl_cert cert;
    assert_int_equal(tl_authority_found(&root, &rng, NOW, &ca, &own), TL_OK);
    assert_int_equal(tl_cert_read(own, &cert), TL_PTN_OK);
    assert_true(tl_node_id_eq(&cert.network, &ca.id));
    assert_true(tl_node_id_eq(&cert.node, &root.id));
    assert_int_equal(cert.role, TL_ROLE_ADMIN);
    assert_false(cert.delegated);
    json_decref(own);
}

static void an_invite_admits_the_node_that_shows_it(void **state)
{
    (void)state;
    tl_refusal r;
    for (int with_ca = 0; with_ca < 2; with_ca++) {
        tl_membership *n, *found;
        tl_invite invite;
        const tl_identity *self = with_ca ? &root : &admin;
        tl_networks *b = with_ca ? at_root(&n) : at_admin(&n);
        json_t *join = request(b, n, self, invite_for(TL_ROLE_PROVIDER), &member, &r);
        assert_int_equal(tl_authority_judge_join(b, self, &member.id, join, NOW, &found, &invite),
                         0);
        assert_ptr_equal(found, n);
        assert_int_equal(invite.role, TL_ROLE_PROVIDER);
        json_t *certificate;
        tl_cert cert;
        assert_int_equal(
            tl_authority_certify(b, n, self, &member.id, invite.role, 60, NOW, &certificate), 0);
        assert_int_equal(tl_cert_read(certificate, &cert), TL_PTN_OK);
        assert_int_equal(cert.delegated, !with_ca);
        assert_int_equal(tl_authority_lifetime(&cert), 60);
        json_decref(certificate);
        json_decref(join);
        tl_networks_free(b);
    }
}

static void a_request_of_another_node_is_refused(void **state)
{
    (void)state;
    tl_refusal r;
    tl_membership *n;
    tl_networks *b = at_admin(&n);
    json_t *join = request(b, n, &admin, invite_for(TL_ROLE_CONSUMER), &member, &r);
    /* somebody who saw it sends it over a connection of its own */
    assert_int_equal(judge(b, &admin, &outsider, json_incref(join), NOW),
                     TL_REFUSAL_INVITE_ALTERED);
    assert_int_equal(judge(b, &admin, &member, join, NOW), 0);
    tl_networks_free(b);
}

static tl_networks *altered_book;

static bool join_is_accepted(const json_t *join)
{
    tl_membership *n;
    tl_invite invite;
    return !tl_authority_judge_join(altered_book, &admin, &member.id, join, NOW, &n, &invite);
}

static void no_altered_request_is_accepted(void **state)
{
    (void)state;
    tl_refusal r;
    tl_membership *n;
    altered_book = at_admin(&n);
    json_t *join = request(altered_book, n, &admin, invite_for(TL_ROLE_CONSUMER), &member, &r);
    no_change_is_accepted(join, join_is_accepted);
    json_decref(join);
    tl_networks_free(altered_book);
}

static void an_invite_ends_to_the_second_and_keeps_to_its_node(void **state)
{
    (void)state;
    tl_refusal r;
    tl_membership *n;
    tl_networks *b = at_admin(&n);
    json_t *join = request(b, n, &admin, invite_for(TL_ROLE_CONSUMER), &member, &r);
    assert_int_equal(judge(b, &admin, &member, json_incref(join), NOW + 3600), 0);
    assert_int_equal(judge(b, &admin, &member, join, NOW + 3601), TL_REFUSAL_INVITE_EXPIRED);
    tl_invite bound = invite_for(TL_ROLE_CONSUMER);
    bound.bound = true;
    bound.node = member.id;
    assert_int_equal(judge(b, &admin, &outsider, request(b, n, &admin, bound, &outsider, &r), NOW),
                     TL_REFUSAL_INVITE_OTHER_NODE);
    assert_int_equal(judge(b, &admin, &member, request(b, n, &admin, bound, &member, &r), NOW), 0);
    tl_networks_free(b);
}

/* Invites that were made by hand: what this node's own rules would not make. */
static json_t *by_hand(const tl_identity *maker, const tl_node_id *network, tl_role role)
{
    tl_invite invite = invite_for(role);
    tl_buf text = {0};
    json_t *join;
    invite.inviter = maker->id;
    invite.network = *network;
    assert_int_equal(tl_invite_write(&text, &invite, maker), TL_OK);
    assert_int_equal(tl_buf_append(&text, tl_slice_of("", 1)), TL_OK);
    assert_int_equal(tl_authority_write_join(&member, (char *)tl_buf_begin(&text), &join), TL_OK);
    tl_buf_clear(&text);
    return join;
}

static void only_an_admin_of_that_network_invites(void **state)
{
    (void)state;
    tl_refusal r;
    tl_membership *n;
    tl_networks *b = book_at(&outsider, by_authority(&outsider, TL_ROLE_PROVIDER), NULL, &n);
    assert_null(request(b, n, &outsider, invite_for(TL_ROLE_CONSUMER), &member, &r));
    assert_int_equal(r, TL_REFUSAL_NOT_ADMIN);
    /* it makes one all the same */
    assert_int_equal(
        judge(b, &outsider, &member, by_hand(&outsider, &authority.id, TL_ROLE_CONSUMER), NOW),
        TL_REFUSAL_INVITE_FOREIGN);
    tl_networks_free(b);
    b = at_admin(&n);
    assert_int_equal(
        judge(b, &admin, &member, by_hand(&outsider, &authority.id, TL_ROLE_CONSUMER), NOW),
        TL_REFUSAL_INVITE_FOREIGN);
    assert_int_equal(
        judge(b, &admin, &member, by_hand(&admin, &other_authority.id, TL_ROLE_CONSUMER), NOW),
        TL_REFUSAL_INVITE_FOREIGN);
    assert_int_equal(judge(b, &admin, &member, by_hand(&admin, &authority.id, TL_ROLE_ADMIN), NOW),
                     TL_REFUSAL_NOT_CA);
    assert_int_equal(
        judge(b, &admin, &member, by_hand(&admin, &authority.id, TL_ROLE_CONSUMER), NOW), 0);
    tl_networks_free(b);
}

static void admins_are_made_with_the_authoritys_key_alone(void **state)
{
    (void)state;
    tl_refusal r;
    tl_membership *n;
    json_t *cert;
    tl_networks *b = at_admin(&n);
    assert_null(request(b, n, &admin, invite_for(TL_ROLE_ADMIN), &member, &r));
    assert_int_equal(r, TL_REFUSAL_NOT_CA);
    assert_int_equal(tl_authority_certify(b, n, &admin, &member.id, TL_ROLE_ADMIN, 0, NOW, &cert),
                     TL_REFUSAL_NOT_CA);
    tl_networks_free(b);
    b = at_root(&n);
    json_decref(request(b, n, &root, invite_for(TL_ROLE_ADMIN), &member, &r));
    assert_int_equal(r, 0);
    assert_int_equal(tl_authority_certify(b, n, &root, &member.id, TL_ROLE_ADMIN, 0, NOW, &cert),
                     0);
    json_decref(cert);
    tl_networks_free(b);
}

static void an_invite_lasts_a_month_at_most(void **state)
{
    (void)state;
    tl_refusal r;
    tl_membership *n;
    tl_networks *b = at_admin(&n);
    const struct {
        tl_unix ends;
        tl_refusal r;
    } cases[] = {{NOW, TL_REFUSAL_INVALID},
                 {NOW + 1, TL_REFUSAL_NONE},
                 {NOW + TL_INVITE_LIFE_MAX, TL_REFUSAL_NONE},
                 {NOW + TL_INVITE_LIFE_MAX + 1, TL_REFUSAL_INVALID}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_invite invite = invite_for(TL_ROLE_CONSUMER);
        invite.expires_at = cases[i].ends;
        json_decref(request(b, n, &admin, invite, &member, &r));
        assert_int_equal(r, cases[i].r);
    }
    tl_networks_free(b);
}

static void the_revoked_do_not_come_back(void **state)
{
    (void)state;
    tl_refusal r;
    tl_membership *n;
    json_t *list, *cert;
    bool stale;
    tl_networks *b = at_admin(&n);
    json_t *join = request(b, n, &admin, invite_for(TL_ROLE_CONSUMER), &member, &r);
    assert_int_equal(tl_authority_revoke(b, n, &admin, &member.id, NOW, &list), 0);
    assert_int_equal(judge(b, &admin, &member, json_incref(join), NOW), 0); /* the twin */
    assert_int_equal(tl_ptn_take_revocations(n->ptn, list, NOW, &stale), TL_PTN_OK);
    json_decref(list);
    assert_int_equal(judge(b, &admin, &member, join, NOW), TL_REFUSAL_REVOKED);
    assert_int_equal(
        tl_authority_certify(b, n, &admin, &member.id, TL_ROLE_CONSUMER, 0, NOW, &cert),
        TL_REFUSAL_REVOKED);
    assert_int_equal(tl_authority_revoke(b, n, &admin, &member.id, NOW, &list), TL_REFUSAL_EXISTS);
    tl_invite bound = invite_for(TL_ROLE_CONSUMER);
    bound.bound = true;
    bound.node = member.id;
    assert_null(request(b, n, &admin, bound, &member, &r));
    assert_int_equal(r, TL_REFUSAL_REVOKED);
    tl_networks_free(b);
}

/* What is signed by an admin ends with its own certificate. */
static void no_certificate_outlives_its_issuers(void **state)
{
    (void)state;
    tl_membership *n;
    json_t *own, *certificate;
    tl_cert wish = wish_of(&admin, TL_ROLE_ADMIN, &root), cert;
    wish.expires_at = NOW + 100;
    assert_int_equal(tl_cert_make(&wish, &authority, NULL, &own), TL_OK);
    tl_networks *b = book_at(&admin, own, NULL, &n);
    const struct {
        int64_t lifetime;
        tl_unix ends;
    } cases[] = {{50, NOW + 50}, {100, NOW + 100}, {101, NOW + 100}, {0, NOW + 100}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(tl_authority_certify(b, n, &admin, &member.id, TL_ROLE_CONSUMER,
                                              cases[i].lifetime, NOW, &certificate),
                         0);
        assert_int_equal(tl_cert_read(certificate, &cert), TL_PTN_OK);
        assert_int_equal(cert.expires_at, cases[i].ends);
        json_decref(certificate);
    }
    assert_int_equal(tl_authority_certify(b, n, &admin, &member.id, TL_ROLE_CONSUMER, 0, NOW + 101,
                                          &certificate),
                     TL_REFUSAL_DENIED);
    tl_networks_free(b);
}

static void a_new_certificate_is_newer_whoever_signed_the_last(void **state)
{
    (void)state;
    tl_membership *n;
    json_t *certificate;
    tl_networks *b = at_root(&n);
    tl_cert cert = wish_of(&member, TL_ROLE_CONSUMER, &admin);
    for (int ahead = 0; ahead < 3600; ahead += 1800) {
        cert.issued_at = NOW + ahead;
        assert_int_equal(tl_networks_keep(b, &cert), TL_PTN_OK);
        assert_int_equal(
            tl_authority_certify(b, n, &root, &member.id, TL_ROLE_PROVIDER, 0, NOW, &certificate),
            0);
        assert_int_equal(tl_networks_take_certificate(b, &member.id, certificate, NOW, NULL),
                         TL_PTN_OK);
        assert_int_equal(tl_networks_cert_of(b, n, &member.id)->role, TL_ROLE_PROVIDER);
        json_decref(certificate);
    }
    tl_networks_free(b);
}

static void prices_and_group_keys_follow_each_other(void **state)
{
    (void)state;
    tl_membership *n;
    json_t *object;
    int64_t version;
    const tl_hide_key *keys;
    tl_networks *b = at_admin(&n);
    for (int i = 1; i < 6; i++) {
        assert_int_equal(tl_authority_price(b, n, &admin, 100 * i, NOW, &object), 0);
        assert_int_equal(tl_ptn_take_price(n->ptn, object, NOW), TL_PTN_OK);
        assert_int_equal(tl_ptn_take_price(n->ptn, object, NOW), TL_PTN_OLD);
        json_decref(object);
        assert_int_equal(tl_ptn_price_of(n->ptn, &version), 100 * i);
        assert_int_equal(version, i);
        assert_int_equal(tl_authority_groupkey(b, n, &admin, &rng, NOW, &object), 0);
        assert_int_equal(tl_ptn_take_groupkey(n->ptn, object, NOW), TL_PTN_OK);
        assert_int_equal(tl_ptn_take_groupkey(n->ptn, object, NOW), TL_PTN_OLD);
        json_decref(object);
        assert_int_equal(tl_ptn_groupkey_version(n->ptn), i);
        assert_int_equal(tl_ptn_hide_keys(n->ptn, &keys),
                         i < TL_PTN_GROUPKEYS_MAX ? i : TL_PTN_GROUPKEYS_MAX);
    }
    assert_int_equal(tl_authority_price(b, n, &admin, -1, NOW, &object), TL_REFUSAL_INVALID);
    assert_int_equal(tl_authority_price(b, n, &admin, INT64_MAX, NOW, &object), TL_REFUSAL_INVALID);
    tl_networks_free(b);
}

static void a_member_that_is_no_admin_decides_nothing(void **state)
{
    (void)state;
    tl_membership *n;
    json_t *object;
    tl_networks *b = book_at(&member, by_authority(&member, TL_ROLE_PROVIDER), NULL, &n);
    assert_int_equal(tl_authority_price(b, n, &member, 1, NOW, &object), TL_REFUSAL_NOT_ADMIN);
    assert_int_equal(tl_authority_groupkey(b, n, &member, &rng, NOW, &object),
                     TL_REFUSAL_NOT_ADMIN);
    assert_int_equal(tl_authority_revoke(b, n, &member, &outsider.id, NOW, &object),
                     TL_REFUSAL_NOT_ADMIN);
    assert_int_equal(
        tl_authority_certify(b, n, &member, &outsider.id, TL_ROLE_CONSUMER, 0, NOW, &object),
        TL_REFUSAL_NOT_ADMIN);
    tl_networks_free(b);
}

static void every_refusal_has_a_code_and_words(void **state)
{
    (void)state;
    for (int i = 1; i < TL_REFUSALS; i++) {
        tl_refusal back;
        assert_true(tl_refusal_parse(tl_refusal_code((tl_refusal)i), &back));
        assert_int_equal(back, i);
        assert_true(strlen(tl_refusal_words((tl_refusal)i)) > 10);
    }
    tl_refusal none;
    assert_false(tl_refusal_parse("", &none));
    assert_false(tl_refusal_parse("E_", &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_founder_is_an_admin_whom_the_authority_signed),
        cmocka_unit_test(an_invite_admits_the_node_that_shows_it),
        cmocka_unit_test(a_request_of_another_node_is_refused),
        cmocka_unit_test(no_altered_request_is_accepted),
        cmocka_unit_test(an_invite_ends_to_the_second_and_keeps_to_its_node),
        cmocka_unit_test(only_an_admin_of_that_network_invites),
        cmocka_unit_test(admins_are_made_with_the_authoritys_key_alone),
        cmocka_unit_test(an_invite_lasts_a_month_at_most),
        cmocka_unit_test(the_revoked_do_not_come_back),
        cmocka_unit_test(no_certificate_outlives_its_issuers),
        cmocka_unit_test(a_new_certificate_is_newer_whoever_signed_the_last),
        cmocka_unit_test(prices_and_group_keys_follow_each_other),
        cmocka_unit_test(a_member_that_is_no_admin_decides_nothing),
        cmocka_unit_test(every_refusal_has_a_code_and_words),
    };
    rng = tl_rand_seeded(7);
    return cmocka_run_group_tests(tests, scene_set_up, NULL);
}
