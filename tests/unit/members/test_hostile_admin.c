/* An admin turns hostile: what it signs with its own key, and what is left to the authority. Node 0
 * made the network, node 1 is that admin, nodes 2 and 3 are members. */
#include "members_scene.h"

#include "base/log.h"

#include <stdio.h>

static void begin_scene(void)
{
    scene_begin(5);
    found_lab();
    for (size_t i = 1; i < 4; i++) {
        char *invite = invite_by(nodes[0], i == 1 ? TL_ROLE_ADMIN : TL_ROLE_PROVIDER, 0);
        assert_int_equal(join(nodes[i], invite), 0);
        free(invite);
        connect_nodes(nodes[0], nodes[i]);
    }
}

static void hear(node *to, const node *from, const char *name, json_t *payload)
{
    tl_members_on_told(to->members, &from->identity.id, name, payload);
    json_decref(payload);
    settle();
}

/* A list of `n` made-up nodes, as the admin signs it. */
static void list_by_admin(node *to, int64_t sequence, size_t n)
{
    node *admin = nodes[1];
    json_t *list;
    tl_revocation *entries = calloc(n, sizeof *entries);
    for (size_t i = 0; i < n; i++) {
        uint8_t seed[32] = {(uint8_t)i, (uint8_t)(i >> 8), 7};
        tl_identity one;
        assert_int_equal(tl_identity_from_seed(seed, &one), TL_OK);
        entries[i] = (tl_revocation){one.id, wall()};
    }
    tl_revocations l = {.network = lab(admin)->id,
                        .issuer = admin->identity.id,
                        .sequence = sequence,
                        .issued_at = wall(),
                        .n = n,
                        .entries = entries};
    assert_int_equal(tl_revocations_make(&l, &admin->identity, lab(admin)->certificate, &list), 0);
    free(entries);
    hear(to, admin, "ptnList",
         json_pack("{s:o, s:s, s:i}", "list", list, "revoked", "00000000000000000000000000000000",
                   "sequence", 1));
}

static void the_highest_sequence_of_an_admin_hinders_no_revocation(void **state)
{
    (void)state;
    static const int64_t sequences[] = {TL_PTN_ADMIN_NUMBER_MAX, TL_PTN_TIME_MAX};
    for (int i = 0; i < 2; i++) {
        begin_scene();
        list_by_admin(nodes[0], sequences[i], 1);
        assert_int_equal(tl_ptn_sequence(lab(nodes[0])->ptn), i ? 0 : sequences[0]);
        (void)revoke(nodes[0], nodes[1], TL_REFUSAL_NONE);
        assert_true(is_out(nodes[0], nodes[1]));
        assert_true(is_out(nodes[2], nodes[1]));
        scene_end();
    }
}

static void a_list_that_an_admin_fills_has_room_for_the_authority(void **state)
{
    (void)state;
    begin_scene();
    list_by_admin(nodes[0], 2, TL_REVOCATIONS_MAX);
    assert_int_equal(tl_ptn_sequence(lab(nodes[0])->ptn), 0);
    list_by_admin(nodes[0], 2, TL_REVOCATIONS_ADMIN_MAX);
    assert_int_equal(tl_ptn_sequence(lab(nodes[0])->ptn), 2);
    /* an admin's own key adds nobody any more, the authority's does */
    run_for(TL_MIN);
    (void)revoke(nodes[1], nodes[3], TL_REFUSAL_NOT_CA);
    (void)revoke(nodes[0], nodes[1], TL_REFUSAL_NONE);
    assert_true(is_out(nodes[2], nodes[1]));
    scene_end();
}

static void the_highest_versions_of_an_admin_are_exceeded_by_the_authority(void **state)
{
    (void)state;
    static const int64_t versions[] = {TL_PTN_ADMIN_NUMBER_MAX, TL_PTN_TIME_MAX};
    for (int i = 0; i < 2; i++) {
        ask op;
        json_t *object;
        begin_scene();
        const node *admin = nodes[1];
        const tl_membership *n = lab(admin);
        int64_t before = tl_ptn_groupkey_version(lab(nodes[0])->ptn);
        tl_ptn_groupkey key = {.head.network = n->id,
                               .head.issuer = admin->identity.id,
                               .head.version = versions[i],
                               .head.issued_at = wall()};
        assert_int_equal(tl_ptn_groupkey_make(&key, &admin->identity, n->certificate, &object), 0);
        hear(nodes[0], admin, "ptnKey", json_pack("{s:o}", "key", object));
        assert_int_equal(tl_ptn_groupkey_version(lab(nodes[0])->ptn), i ? before : versions[0]);
        tl_ptn_price price = {.head.network = n->id,
                              .head.issuer = admin->identity.id,
                              .head.version = versions[i],
                              .head.issued_at = wall()};
        assert_int_equal(tl_ptn_price_make(&price, &admin->identity, n->certificate, &object), 0);
        hear(nodes[0], admin, "ptnPrice", json_pack("{s:o}", "price", object));
        if (!i) { /* the admin itself has no number left */
            run_for(TL_MIN);
            tl_members_price(nodes[1]->members, begin(&op), lab(nodes[1]), 3);
            settle();
            assert_int_equal(op.op.refusal, TL_REFUSAL_NOT_CA);
        }
        (void)revoke(nodes[0], admin, TL_REFUSAL_NONE);
        assert_true(tl_ptn_groupkey_version(lab(nodes[2])->ptn) > (i ? before : versions[0]));
        tl_members_price(nodes[0]->members, begin(&op), lab(nodes[0]), 5000);
        settle();
        assert_int_equal(op.op.refusal, 0);
        assert_int_equal(tl_ptn_price_of(lab(nodes[2])->ptn, NULL), 5000);
        scene_end();
    }
}

static json_t *certificate_by_admin(const node *who, tl_role role, tl_unix at)
{
    json_t *certificate;
    const node *admin = nodes[1];
    tl_cert wish = {.network = lab(admin)->id,
                    .node = who->identity.id,
                    .issuer = admin->identity.id,
                    .role = role,
                    .issued_at = at,
                    .expires_at = TL_PTN_NO_END};
    assert_int_equal(tl_cert_make(&wish, &admin->identity, lab(admin)->certificate, &certificate),
                     TL_OK);
    return certificate;
}

static void an_admin_takes_no_other_admins_role_away(void **state)
{
    (void)state;
    begin_scene();
    tl_unix at = wall() + 10;
    hear(nodes[0], nodes[1], "ptnRenewed",
         json_pack("{s:o}", "certificate", certificate_by_admin(nodes[0], TL_ROLE_CONSUMER, at)));
    assert_int_equal(lab(nodes[0])->cert.role, TL_ROLE_ADMIN);
    /* of a member it decides the role */
    connect_nodes(nodes[1], nodes[2]);
    hear(nodes[2], nodes[1], "ptnRenewed",
         json_pack("{s:o}", "certificate", certificate_by_admin(nodes[2], TL_ROLE_CONSUMER, at)));
    assert_int_equal(lab(nodes[2])->cert.role, TL_ROLE_CONSUMER);
    (void)revoke(nodes[0], nodes[1], TL_REFUSAL_NONE);
    assert_int_equal(state_of(nodes[0]), TL_MEMBERSHIP_VALID);
    scene_end();
}

static void a_certificate_of_the_future_does_not_shut_its_node_out(void **state)
{
    (void)state;
    char hex[TL_NODE_ID_HEX + 1];
    static const int64_t ahead[] = {100, TL_PTN_TIME_MAX - NOW - 100000};
    for (int i = 0; i < 2; i++) {
        begin_scene();
        tl_node_id_write(hex, &lab(nodes[0])->id);
        json_t *certificate = certificate_by_admin(nodes[2], TL_ROLE_CONSUMER, wall() + ahead[i]);
        hear(nodes[0], nodes[1], "ptnMembers",
             json_pack("{s:s, s:[o]}", "ptnID", hex, "certificates", certificate));
        const tl_cert *kept =
            tl_networks_cert_of(nodes[0]->book, lab(nodes[0]), &nodes[2]->identity.id);
        assert_int_equal(kept->role, i ? TL_ROLE_PROVIDER : TL_ROLE_CONSUMER);
        assert_true(may_ask(nodes[0], nodes[2]));
        scene_end();
    }
}

static void who_a_revoked_admin_admitted_learns_it_and_an_admin_takes_it_in_again(void **state)
{
    (void)state;
    ask op;
    begin_scene();
    char *invite = invite_by(nodes[1], TL_ROLE_PROVIDER, 0);
    assert_int_equal(join(nodes[4], invite), 0);
    free(invite);
    connect_nodes(nodes[0], nodes[4]);
    assert_true(may_serve(nodes[0], nodes[4]));
    cut(nodes[1], nodes[4]);
    (void)revoke(nodes[0], nodes[1], TL_REFUSAL_NONE);
    assert_int_equal(state_of(nodes[4]), TL_MEMBERSHIP_REVOKED);
    assert_int_equal(state_of(nodes[2]), TL_MEMBERSHIP_VALID);
    tl_members_renew(nodes[4]->members, begin(&op), lab(nodes[4]), &nodes[4]->identity.id, -1);
    settle();
    assert_int_equal(op.op.refusal, TL_REFUSAL_DENIED);
    assert_non_null(strstr(op.op.words, "was revoked; another admin signs"));
    tl_members_renew(nodes[0]->members, begin(&op), lab(nodes[0]), &nodes[4]->identity.id, -1);
    settle();
    assert_int_equal(op.op.refusal, 0);
    assert_int_equal(state_of(nodes[4]), TL_MEMBERSHIP_VALID);
    assert_true(may_serve(nodes[0], nodes[4]));
    scene_end();
}

/* Node 1, an admin, has admitted node 4. */
static void
the_revoking_admin_keeps_the_members_of_the_revoked_one_where_it_is_asked_to(void **state)
{
    (void)state;
    ask op;
    for (int again = 0; again < 2; again++) {
        begin_scene();
        char *invite = invite_by(nodes[1], TL_ROLE_PROVIDER, 90000);
        assert_int_equal(join(nodes[4], invite), 0);
        free(invite);
        connect_nodes(nodes[0], nodes[4]);
        connect_nodes(nodes[2], nodes[4]);
        cut(nodes[1], nodes[4]);
        run_for(TL_SEC);
        if (again) { /* without it first: repeating the command takes them in */
            (void)revoke(nodes[0], nodes[1], TL_REFUSAL_NONE);
            assert_int_equal(state_of(nodes[4]), TL_MEMBERSHIP_REVOKED);
            assert_true(tl_membership_lost_issuer(nodes[4]->book, lab(nodes[4])));
            const tl_cert *admin = tl_networks_an_admin(nodes[4]->book, lab(nodes[4]), wall());
            assert_true(admin && tl_node_id_eq(&admin->node, &nodes[0]->identity.id));
        }
        tl_members_revoke(nodes[0]->members, begin(&op), lab(nodes[0]), &nodes[1]->identity.id,
                          true);
        settle();
        assert_int_equal(op.op.refusal, TL_REFUSAL_NONE);
        assert_int_equal(state_of(nodes[4]), TL_MEMBERSHIP_VALID);
        assert_int_equal(state_of(nodes[1]), TL_MEMBERSHIP_REVOKED);
        assert_int_equal(lab(nodes[4])->cert.role, TL_ROLE_PROVIDER);
        assert_int_equal(tl_authority_lifetime(&lab(nodes[4])->cert), 90000);
        assert_true(may_ask(nodes[2], nodes[4]) && may_serve(nodes[2], nodes[4]));
        assert_false(may_ask(nodes[2], nodes[1]));
        restart(nodes[0]);
        assert_true(may_ask(nodes[0], nodes[4]));
        scene_end();
    }
}

/* A certificate that node 1, an admin, signs for a key that it made up. */
static json_t *made_up(size_t i)
{
    uint8_t seed[32] = {(uint8_t)i, (uint8_t)(i >> 8), 9, 1};
    tl_identity one;
    json_t *certificate;
    assert_int_equal(tl_identity_from_seed(seed, &one), TL_OK);
    tl_cert wish = {.network = lab(nodes[0])->id,
                    .node = one.id,
                    .issuer = nodes[1]->identity.id,
                    .delegated = true,
                    .role = TL_ROLE_PROVIDER,
                    .issued_at = wall(),
                    .expires_at = TL_PTN_NO_END};
    assert_int_equal(
        tl_cert_make(&wish, &nodes[1]->identity, lab(nodes[1])->certificate, &certificate), TL_OK);
    return certificate;
}

static void tell_made_up(size_t n)
{
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++)
        assert_int_equal(json_array_append_new(all, made_up(i)), 0);
    char id[TL_NODE_ID_HEX + 1];
    tl_node_id_write(id, &lab(nodes[0])->id);
    json_t *told = json_pack("{s:s, s:o}", "ptnID", id, "certificates", all);
    tl_members_on_told(nodes[0]->members, &nodes[1]->identity.id, "ptnMembers", told);
    json_decref(told);
    settle();
}

static void count_signers(void *user, const tl_cert *cert)
{
    size_t *n = user;
    n[cert->delegated]++;
}

/* A stolen admin's machine would come back through them, after its own revocation. */
static void
nodes_that_only_the_revoked_admin_told_of_are_not_kept_and_those_that_were_met_are(void **state)
{
    (void)state;
    ask op;
    size_t before[2] = {0}, after[2] = {0};
    begin_scene();
    char *invite = invite_by(nodes[1], TL_ROLE_PROVIDER, 0);
    assert_int_equal(join(nodes[4], invite), 0);
    free(invite);
    connect_nodes(nodes[0], nodes[4]);
    run_for(TL_SEC);
    tell_made_up(20);
    tl_networks_each(nodes[0]->book, lab(nodes[0]), count_signers, before);
    assert_int_equal(before[1], 21);
    tl_members_revoke(nodes[0]->members, begin(&op), lab(nodes[0]), &nodes[1]->identity.id, true);
    settle();
    assert_int_equal(op.op.refusal, TL_REFUSAL_NONE);
    assert_int_equal(op.op.not_kept, 20);
    tl_networks_each(nodes[0]->book, lab(nodes[0]), count_signers, after);
    assert_int_equal(after[1], 20);
    assert_int_equal(after[0], before[0] + 1);
    assert_int_equal(state_of(nodes[4]), TL_MEMBERSHIP_VALID);
    scene_end();
}

/* --- who dials a node that hides --- */

static size_t n_told;

static bool counts_told(const node *from, const node *to, const char *name, json_t *payload)
{
    (void)name, (void)payload;
    n_told += from == nodes[2] && to == nodes[4];
    return true;
}

/* How much node 2 answers to node 4, which has connected and shows a certificate. */
static size_t answers_to(json_t *certificate)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &lab(nodes[2])->id);
    n_told = 0;
    on_the_way = counts_told;
    connect_nodes(nodes[2], nodes[4]);
    hear(nodes[2], nodes[4], "ptnHello",
         json_pack("{s:[{s:s, s:o, s:i, s:s, s:i, s:i}]}", "networks", "ptnID", hex, "certificate",
                   certificate, "sequence", 0, "revoked", "00000000000000000000000000000000",
                   "priceVersion", 0, "keyVersion", 0));
    hear(nodes[2], nodes[4], "ptnRenew", json_pack("{s:s}", "ptnID", hex));
    on_the_way = NULL;
    return n_told;
}

static json_t *certificate_of_the_authority(const node *who, tl_unix from, tl_unix until)
{
    json_t *certificate;
    const tl_membership *n = lab(nodes[0]);
    tl_cert wish = {.network = n->id,
                    .node = who->identity.id,
                    .issuer = nodes[0]->identity.id,
                    .role = TL_ROLE_CONSUMER,
                    .issued_at = from,
                    .expires_at = until};
    assert_int_equal(tl_cert_make(&wish, &n->ca, NULL, &certificate), TL_OK);
    return certificate;
}

static tl_may may_of(const node *server, const node *asker)
{
    return tl_networks_may_ask(server->book, &lab(server)->id, &asker->identity.id, wall());
}

static void begin_hidden(bool hide)
{
    begin_scene();
    nodes[2]->hidden = true;
    tl_networks_set_hide(nodes[2]->book, hide);
}

static void a_node_that_hides_answers_no_certificate_that_does_not_hold(void **state)
{
    (void)state;
    for (int hide = 0; hide < 2; hide++) {
        begin_hidden(hide); /* it has ended */
        json_t *ended = certificate_of_the_authority(nodes[4], wall() - 400000, wall() - 300000);
        assert_int_equal(answers_to(ended) == 0, hide);
        assert_int_equal(may_of(nodes[2], nodes[4]), hide ? TL_MAY_UNKNOWN : TL_MAY_EXPIRED);
        scene_end();
        begin_hidden(hide); /* its node is revoked */
        json_t *endless = certificate_of_the_authority(nodes[4], wall(), TL_PTN_NO_END);
        (void)revoke(nodes[0], nodes[4], TL_REFUSAL_NONE);
        assert_int_equal(answers_to(endless) == 0, hide);
        assert_int_equal(may_of(nodes[2], nodes[4]), hide ? TL_MAY_UNKNOWN : TL_MAY_REVOKED);
        scene_end();
        begin_hidden(hide); /* its issuer is revoked */
        json_t *minted = certificate_by_admin(nodes[4], TL_ROLE_CONSUMER, wall());
        (void)revoke(nodes[0], nodes[1], TL_REFUSAL_NONE);
        assert_int_equal(answers_to(minted) == 0, hide);
        assert_int_equal(may_of(nodes[2], nodes[4]), hide ? TL_MAY_UNKNOWN : TL_MAY_REVOKED);
        scene_end();
    }
    begin_hidden(true); /* one that holds is answered */
    assert_true(answers_to(certificate_of_the_authority(nodes[4], wall(), TL_PTN_NO_END)) > 0);
    assert_int_equal(may_of(nodes[2], nodes[4]), TL_MAY_OK);
    scene_end();
}

/* That the hidden node is a member is nothing new for it. */
static void who_met_a_node_that_hides_learns_from_it_that_it_is_revoked(void **state)
{
    (void)state;
    begin_hidden(true);
    char *invite = invite_by(nodes[0], TL_ROLE_PROVIDER, 0);
    assert_int_equal(join(nodes[4], invite), 0);
    free(invite);
    nodes[2]->recognises = nodes[4]->recognises = true;
    connect_nodes(nodes[2], nodes[4]);
    assert_true(may_ask(nodes[2], nodes[4]));
    cut_all(nodes[4]);
    nodes[4]->down = true;
    (void)revoke(nodes[0], nodes[4], TL_REFUSAL_NONE);
    assert_int_equal(state_of(nodes[4]), TL_MEMBERSHIP_VALID);
    nodes[4]->down = false;
    connect_nodes(nodes[2], nodes[4]);
    assert_int_equal(state_of(nodes[4]), TL_MEMBERSHIP_REVOKED);
    assert_int_equal(may_of(nodes[2], nodes[4]), TL_MAY_REVOKED);
    scene_end();
}

/* --- the authority's key comes back --- */

static void the_ca_key_is_imported_where_the_network_was_left(void **state)
{
    (void)state;
    ask op;
    begin_scene();
    tl_identity ca = lab(nodes[0])->ca;
    tl_members_leave(nodes[0]->members, begin(&op), lab(nodes[0]), true);
    settle();
    assert_int_equal(state_of(nodes[0]), TL_MEMBERSHIP_LEFT);
    run_for(TL_SEC); /* its new certificate is a later one */
    tl_members_import(nodes[0]->members, begin(&op), &ca, "lab", NULL, NULL);
    settle();
    assert_int_equal(op.op.refusal, 0);
    assert_int_equal(state_of(nodes[0]), TL_MEMBERSHIP_VALID);
    assert_int_equal(lab(nodes[0])->cert.role, TL_ROLE_ADMIN);
    assert_int_equal(promote(nodes[0], nodes[1]), TL_REFUSAL_NONE);
    /* a member becomes the admin that its key makes it */
    tl_members_import(nodes[2]->members, begin(&op), &ca, "lab", NULL, NULL);
    settle();
    assert_int_equal(op.op.refusal, 0);
    assert_int_equal(lab(nodes[2])->cert.role, TL_ROLE_ADMIN);
    assert_true(lab(nodes[2])->has_ca);
    scene_end();
}

static void a_revoked_node_does_not_become_the_admin_by_the_ca_key(void **state)
{
    (void)state;
    ask op;
    begin_scene();
    (void)revoke(nodes[0], nodes[2], TL_REFUSAL_NONE);
    const tl_membership *n = lab(nodes[0]);
    for (int left = 0; left < 2; left++) {
        tl_members_import(nodes[2]->members, begin(&op), &n->ca, "lab", NULL, NULL);
        settle();
        assert_int_equal(op.op.refusal, TL_REFUSAL_REVOKED);
        assert_non_null(strstr(op.op.words, "import the CA key on another node"));
        assert_false(lab(nodes[2])->has_ca);
        assert_int_equal(state_of(nodes[2]), left ? TL_MEMBERSHIP_LEFT : TL_MEMBERSHIP_REVOKED);
        tl_members_leave(nodes[2]->members, begin(&op), lab(nodes[2]), false);
        settle();
    }
    tl_members_import(nodes[4]->members, begin(&op), &n->ca, "lab", tl_ptn_list(n->ptn), NULL);
    settle();
    assert_int_equal(op.op.refusal, 0);
    assert_true(is_out(nodes[4], nodes[2]));
    scene_end();
}

static void without_the_ca_key_nobody_promotes_whatever_its_role(void **state)
{
    (void)state;
    begin_scene();
    assert_int_equal(promote(nodes[2], nodes[3]), TL_REFUSAL_NOT_CA);
    assert_int_equal(promote(nodes[1], nodes[3]), TL_REFUSAL_NOT_CA);
    assert_int_equal(promote(nodes[0], nodes[3]), TL_REFUSAL_NONE);
    scene_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_sequence_of_an_admin_hinders_no_revocation),
        cmocka_unit_test(a_list_that_an_admin_fills_has_room_for_the_authority),
        cmocka_unit_test(the_highest_versions_of_an_admin_are_exceeded_by_the_authority),
        cmocka_unit_test(an_admin_takes_no_other_admins_role_away),
        cmocka_unit_test(a_certificate_of_the_future_does_not_shut_its_node_out),
        cmocka_unit_test(who_a_revoked_admin_admitted_learns_it_and_an_admin_takes_it_in_again),
        cmocka_unit_test(
            the_revoking_admin_keeps_the_members_of_the_revoked_one_where_it_is_asked_to),
        cmocka_unit_test(
            nodes_that_only_the_revoked_admin_told_of_are_not_kept_and_those_that_were_met_are),
        cmocka_unit_test(a_node_that_hides_answers_no_certificate_that_does_not_hold),
        cmocka_unit_test(who_met_a_node_that_hides_learns_from_it_that_it_is_revoked),
        cmocka_unit_test(the_ca_key_is_imported_where_the_network_was_left),
        cmocka_unit_test(a_revoked_node_does_not_become_the_admin_by_the_ca_key),
        cmocka_unit_test(without_the_ca_key_nobody_promotes_whatever_its_role),
    };
    tl_log_set_level(TL_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
