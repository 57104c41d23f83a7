/* The book of networks. This node is `member`, where nothing else is said. */
#include "ptn/networks.h"
#include "scene.h"

#include <stdio.h>

static tl_networks *book_of(const tl_identity *self, json_t *own)
{
    tl_networks *b;
    tl_membership *n;
    assert_int_equal(tl_networks_new(&self->id, &b), TL_OK);
    assert_int_equal(tl_networks_add(b, &authority.id, "lab", &n), TL_OK);
    assert_int_equal(tl_membership_state_of(b, n, NOW), TL_MEMBERSHIP_JOINING);
    if (own) {
        assert_int_equal(tl_networks_set_certificate(b, n, own), TL_PTN_OK);
        json_decref(own);
    }
    return b;
}

static tl_ptn_verdict show_at(tl_networks *b, const tl_identity *peer, json_t *cert, tl_unix now,
                              bool *ret_checked)
{
    tl_ptn_verdict v = tl_networks_take_certificate(b, &peer->id, cert, now, ret_checked);
    json_decref(cert);
    return v;
}

static tl_ptn_verdict show(tl_networks *b, const tl_identity *peer, json_t *cert)
{
    return show_at(b, peer, cert, NOW, NULL);
}

static json_t *made(const tl_identity *node, tl_role role, tl_unix from, tl_unix to)
{
    json_t *cert;
    tl_cert wish = wish_of(node, role, &root);
    wish.issued_at = from;
    wish.expires_at = to;
    assert_int_equal(tl_cert_make(&wish, &authority, NULL, &cert), TL_OK);
    return cert;
}

static tl_may may_ask(const tl_networks *b, const tl_identity *peer, tl_unix now)
{
    return tl_networks_may_ask(b, &authority.id, &peer->id, now);
}

static tl_may may_serve(const tl_networks *b, const tl_identity *peer, tl_unix now)
{
    return tl_networks_may_serve(b, &authority.id, &peer->id, now);
}

static void revoke(tl_networks *b, int64_t sequence, const tl_identity *node)
{
    bool stale;
    json_t *list = list_of(sequence, &authority, 1, (const tl_identity *[]){node});
    tl_membership *n = tl_networks_by_id(b, &authority.id);
    assert_int_equal(tl_ptn_take_revocations(n->ptn, list, NOW, &stale), TL_PTN_OK);
    tl_networks_changed(b);
    json_decref(list);
}

static void roles_decide_who_serves_and_every_member_asks(void **state)
{
    (void)state;
    for (int ours = 0; ours < TL_ROLES; ours++) {
        for (int theirs = 0; theirs < TL_ROLES; theirs++) {
            tl_networks *b = book_of(&member, by_authority(&member, (tl_role)ours));
            assert_int_equal(show(b, &outsider, by_authority(&outsider, (tl_role)theirs)),
                             TL_PTN_OK);
            assert_int_equal(may_ask(b, &outsider, NOW),
                             ours == TL_ROLE_CONSUMER ? TL_MAY_WE_ROLE : TL_MAY_OK);
            assert_int_equal(may_serve(b, &outsider, NOW),
                             theirs == TL_ROLE_CONSUMER ? TL_MAY_ROLE : TL_MAY_OK);
            assert_true(tl_networks_is_member(b, &outsider.id, NOW));
            tl_networks_free(b);
        }
    }
}

static void who_shows_no_certificate_may_nothing(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_PROVIDER));
    assert_int_equal(may_ask(b, &outsider, NOW), TL_MAY_UNKNOWN);
    assert_int_equal(may_serve(b, &outsider, NOW), TL_MAY_UNKNOWN);
    assert_false(tl_networks_is_member(b, &outsider.id, NOW));
    assert_int_equal(tl_networks_may_ask(b, &other_authority.id, &outsider.id, NOW),
                     TL_MAY_NOT_OURS);
    assert_int_equal(show(b, &outsider, by_authority(&outsider, TL_ROLE_PROVIDER)), TL_PTN_OK);
    assert_int_equal(may_ask(b, &outsider, NOW), TL_MAY_OK);
    assert_int_equal(may_serve(b, &outsider, NOW), TL_MAY_OK);
    assert_int_equal(tl_networks_may_ask(b, &other_authority.id, &outsider.id, NOW),
                     TL_MAY_NOT_OURS);
    tl_networks_free(b);
}

/* A stolen certificate is of no use: it holds for its node's key alone. */
static void a_certificate_counts_for_the_node_that_it_names(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_PROVIDER));
    assert_int_equal(show(b, &outsider, by_authority(&admin, TL_ROLE_ADMIN)), TL_PTN_FOREIGN);
    assert_false(tl_networks_is_member(b, &outsider.id, NOW));
    /* nor is ours, shown back to us */
    assert_int_equal(show(b, &member, by_authority(&member, TL_ROLE_ADMIN)), TL_PTN_FOREIGN);
    json_t *cert;
    tl_cert wish = wish_of(&outsider, TL_ROLE_PROVIDER, &root);
    wish.network = other_authority.id;
    assert_int_equal(tl_cert_make(&wish, &other_authority, NULL, &cert), TL_OK);
    assert_int_equal(show(b, &outsider, cert), TL_PTN_FOREIGN);
    assert_int_equal(show(b, &admin, by_authority(&admin, TL_ROLE_ADMIN)), TL_PTN_OK);
    assert_true(tl_networks_is_member(b, &admin.id, NOW));
    tl_networks_free(b);
}

static tl_networks *altered_book;

static bool altered_is_accepted(const json_t *value)
{
    return !tl_networks_take_certificate(altered_book, &outsider.id, value, NOW, NULL);
}

/* Also where the right certificate is known: what was checked is not believed again altered. */
static void an_altered_certificate_is_refused_every_time(void **state)
{
    (void)state;
    altered_book = book_of(&member, by_authority(&member, TL_ROLE_PROVIDER));
    json_t *cert = by_admin(&outsider, TL_ROLE_CONSUMER);
    no_change_is_accepted(cert, altered_is_accepted);
    assert_int_equal(may_serve(altered_book, &outsider, NOW), TL_MAY_ROLE);
    json_decref(cert);
    tl_networks_free(altered_book);
}

static void a_certificate_is_checked_once(void **state)
{
    (void)state;
    bool checked;
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_PROVIDER));
    assert_int_equal(
        show_at(b, &outsider, by_authority(&outsider, TL_ROLE_CONSUMER), NOW, &checked), TL_PTN_OK);
    assert_true(checked);
    assert_int_equal(
        show_at(b, &outsider, by_authority(&outsider, TL_ROLE_CONSUMER), NOW, &checked), TL_PTN_OK);
    assert_false(checked);
    assert_int_equal(
        show_at(b, &outsider, made(&outsider, TL_ROLE_CONSUMER, NOW + 1, NOW + 9), NOW, &checked),
        TL_PTN_OK);
    assert_true(checked);
    tl_networks_free(b);
}

/* A member that became a consumer could go on showing what it had before. */
static void an_older_certificate_does_not_take_the_place_of_a_newer(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_PROVIDER));
    assert_int_equal(show(b, &outsider, made(&outsider, TL_ROLE_CONSUMER, NOW, TL_PTN_NO_END)),
                     TL_PTN_OK);
    assert_int_equal(show(b, &outsider, made(&outsider, TL_ROLE_ADMIN, NOW - 1, TL_PTN_NO_END)),
                     TL_PTN_OLD);
    assert_int_equal(may_serve(b, &outsider, NOW), TL_MAY_ROLE);
    assert_int_equal(show(b, &outsider, made(&outsider, TL_ROLE_ADMIN, NOW + 1, TL_PTN_NO_END)),
                     TL_PTN_OK);
    assert_int_equal(may_serve(b, &outsider, NOW), TL_MAY_OK);
    tl_networks_free(b);
}

static void certificates_end_to_the_second_on_both_sides(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, made(&member, TL_ROLE_PROVIDER, NOW, NOW + 20));
    tl_membership *n = tl_networks_at(b, 0);
    assert_int_equal(show(b, &outsider, made(&outsider, TL_ROLE_PROVIDER, NOW, NOW + 10)),
                     TL_PTN_OK);
    assert_int_equal(may_ask(b, &outsider, NOW + 10), TL_MAY_OK);
    assert_int_equal(may_ask(b, &outsider, NOW + 11), TL_MAY_EXPIRED);
    assert_int_equal(may_serve(b, &outsider, NOW + 10), TL_MAY_OK);
    assert_int_equal(may_serve(b, &outsider, NOW + 11), TL_MAY_EXPIRED);
    assert_int_equal(show(b, &outsider, made(&outsider, TL_ROLE_PROVIDER, NOW + 1, TL_PTN_NO_END)),
                     TL_PTN_OK);
    assert_int_equal(may_ask(b, &outsider, NOW + 20), TL_MAY_OK);
    assert_int_equal(may_ask(b, &outsider, NOW + 21), TL_MAY_WE_EXPIRED);
    assert_int_equal(may_serve(b, &outsider, NOW + 21), TL_MAY_WE_EXPIRED);
    assert_false(tl_networks_is_member(b, &outsider.id, NOW + 21));
    assert_int_equal(tl_membership_state_of(b, n, NOW + 20), TL_MEMBERSHIP_VALID);
    assert_int_equal(tl_membership_state_of(b, n, NOW + 21), TL_MEMBERSHIP_EXPIRED);
    tl_networks_free(b);
}

static void a_clock_may_be_an_hour_off_and_not_a_day(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_PROVIDER));
    assert_int_equal(show(b, &outsider, made(&outsider, TL_ROLE_PROVIDER, NOW + 3600, NOW + 99999)),
                     TL_PTN_OK);
    assert_int_equal(may_ask(b, &outsider, NOW), TL_MAY_OK);
    assert_int_equal(show(b, &admin, made(&admin, TL_ROLE_PROVIDER, NOW + 86400, NOW + 99999)),
                     TL_PTN_EARLY);
    assert_int_equal(may_ask(b, &admin, NOW), TL_MAY_EARLY);
    assert_int_equal(may_ask(b, &admin, NOW + 86400 - TL_PTN_AHEAD_MAX), TL_MAY_OK);
    assert_int_equal(may_ask(b, &outsider, NOW - 86400), TL_MAY_WE_EARLY);
    tl_networks_free(b);
}

static void the_revoked_may_nothing_on_either_side(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_PROVIDER));
    assert_int_equal(show(b, &outsider, by_authority(&outsider, TL_ROLE_PROVIDER)), TL_PTN_OK);
    assert_int_equal(show(b, &admin, by_authority(&admin, TL_ROLE_ADMIN)), TL_PTN_OK);
    revoke(b, 1, &outsider);
    assert_int_equal(may_ask(b, &outsider, NOW), TL_MAY_REVOKED);
    assert_int_equal(may_serve(b, &outsider, NOW), TL_MAY_REVOKED);
    assert_false(tl_networks_is_member(b, &outsider.id, NOW));
    assert_int_equal(may_ask(b, &admin, NOW), TL_MAY_OK);
    /* a new certificate does not help */
    assert_int_equal(show(b, &outsider, made(&outsider, TL_ROLE_ADMIN, NOW + 5, TL_PTN_NO_END)),
                     TL_PTN_REVOKED);
    assert_int_equal(may_ask(b, &outsider, NOW + 6), TL_MAY_REVOKED);
    revoke(b, 2, &member);
    assert_int_equal(may_ask(b, &admin, NOW), TL_MAY_WE_REVOKED);
    assert_int_equal(tl_membership_state_of(b, tl_networks_at(b, 0), NOW), TL_MEMBERSHIP_REVOKED);
    tl_networks_free(b);
}

static void what_a_revoked_admin_signed_for_falls_with_it(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_PROVIDER));
    assert_int_equal(show(b, &outsider, by_admin(&outsider, TL_ROLE_PROVIDER)), TL_PTN_OK);
    assert_int_equal(may_ask(b, &outsider, NOW), TL_MAY_OK);
    revoke(b, 1, &admin);
    assert_int_equal(may_ask(b, &outsider, NOW), TL_MAY_REVOKED);
    tl_networks_free(b);
}

static void a_list_that_is_too_old_ends_serving_until_an_admin_confirms_it(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_PROVIDER));
    tl_membership *n = tl_networks_at(b, 0);
    assert_int_equal(show(b, &outsider, by_authority(&outsider, TL_ROLE_PROVIDER)), TL_PTN_OK);
    assert_int_equal(may_ask(b, &outsider, NOW + 1000000), TL_MAY_OK);
    tl_networks_set_max_age(b, 3600);
    assert_int_equal(may_ask(b, &outsider, NOW + 3600), TL_MAY_OK);
    assert_int_equal(may_ask(b, &outsider, NOW + 3601), TL_MAY_STALE);
    assert_int_equal(may_serve(b, &outsider, NOW + 3601), TL_MAY_OK); /* the other side decides */
    n->checked_at = NOW + 100;
    assert_int_equal(may_ask(b, &outsider, NOW + 3700), TL_MAY_OK);
    assert_int_equal(may_ask(b, &outsider, NOW + 3701), TL_MAY_STALE);
    tl_networks_free(b);
}

static void a_network_is_found_by_id_prefix_or_name(void **state)
{
    (void)state;
    tl_membership *n, *other, *found[2];
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_PROVIDER));
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &authority.id);
    n = tl_networks_at(b, 0);
    const struct {
        size_t digits, count;
    } prefixes[] = {{64, 1}, {63, 1}, {8, 1}, {7, 0}, {1, 0}, {0, 0}};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        assert_int_equal(tl_networks_find(b, tl_slice_of(hex, prefixes[i].digits), found),
                         prefixes[i].count);
    assert_int_equal(tl_networks_find(b, TL_SLICE_LIT("lab"), found), 1);
    assert_ptr_equal(found[0], n);
    assert_int_equal(tl_networks_find(b, TL_SLICE_LIT("Lab"), found), 0);
    /* two of one name */
    assert_int_equal(tl_networks_add(b, &other_authority.id, "lab", &other), TL_OK);
    assert_int_equal(tl_networks_find(b, TL_SLICE_LIT("lab"), found), 2);
    assert_ptr_equal(found[0], n);
    assert_ptr_equal(found[1], other);
    assert_int_equal(tl_networks_find(b, tl_slice_str(hex), found), 1);
    /* one that was left gives way, and is found while no other fits */
    tl_networks_leave(b, n);
    assert_int_equal(tl_networks_find(b, TL_SLICE_LIT("lab"), found), 1);
    assert_ptr_equal(found[0], other);
    assert_int_equal(tl_networks_find(b, tl_slice_str(hex), found), 1);
    assert_ptr_equal(found[0], n);
    assert_int_equal(tl_membership_state_of(b, n, NOW), TL_MEMBERSHIP_LEFT);
    tl_networks_free(b);
}

static void old_names_of_a_network_are_known_and_stand_for_it_no_more(void **state)
{
    (void)state;
    tl_membership *n, *other, *found[2];
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_PROVIDER));
    n = tl_networks_at(b, 0);
    assert_null(tl_networks_once_called(b, TL_SLICE_LIT("lab"))); /* it still is */
    assert_int_equal(tl_networks_rename(b, n, "home"), TL_OK);
    assert_ptr_equal(tl_networks_once_called(b, TL_SLICE_LIT("lab")), n);
    assert_int_equal(tl_networks_find(b, TL_SLICE_LIT("lab"), found), 0);
    assert_int_equal(tl_networks_rename(b, n, "-no"), TL_ERR_INVALID);
    assert_int_equal(tl_networks_rename(b, n, n->name), TL_OK); /* the same: nothing is old by it */
    assert_null(tl_networks_once_called(b, TL_SLICE_LIT("home")));
    assert_int_equal(tl_networks_rename(b, n, "lab"), TL_OK); /* and back */
    assert_null(tl_networks_once_called(b, TL_SLICE_LIT("lab")));
    assert_ptr_equal(tl_networks_once_called(b, TL_SLICE_LIT("home")), n);
    /* the disk did not take a name */
    tl_old_names before = n->old;
    assert_int_equal(tl_networks_rename(b, n, "den"), TL_OK);
    tl_networks_rename_back(b, n, "lab", &before);
    assert_string_equal(n->name, "lab");
    assert_null(tl_networks_once_called(b, TL_SLICE_LIT("den")));
    assert_ptr_equal(tl_networks_once_called(b, TL_SLICE_LIT("home")), n);
    /* another network of that name is meant by it; one that was left comes after others */
    assert_int_equal(tl_networks_add(b, &other_authority.id, "home", &other), TL_OK);
    assert_int_equal(tl_networks_find(b, TL_SLICE_LIT("home"), found), 1);
    assert_ptr_equal(found[0], other);
    assert_int_equal(tl_networks_rename(b, other, "house"), TL_OK);
    tl_networks_leave(b, n);
    assert_ptr_equal(tl_networks_once_called(b, TL_SLICE_LIT("home")), other);
    tl_networks_remove(b, other);
    assert_ptr_equal(tl_networks_once_called(b, TL_SLICE_LIT("home")), n);
    tl_networks_free(b);
}

static void of_old_names_the_newest_eight_are_known(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, NULL);
    tl_membership *n = tl_networks_at(b, 0);
    char name[16];
    for (int i = 0; i <= TL_NETWORK_OLD_NAMES; i++) { /* lab, n0 ... n7 are old then */
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(tl_networks_rename(b, n, name), TL_OK);
    }
    assert_null(tl_networks_once_called(b, TL_SLICE_LIT("lab")));
    assert_ptr_equal(tl_networks_once_called(b, TL_SLICE_LIT("n0")), n);
    assert_ptr_equal(tl_networks_once_called(b, TL_SLICE_LIT("n7")), n);
    assert_int_equal(n->old.n, TL_NETWORK_OLD_NAMES);
    tl_networks_add_old_name(n, "n0"); /* again: now it is the newest */
    assert_int_equal(n->old.n, TL_NETWORK_OLD_NAMES);
    assert_string_equal(n->old.names[TL_NETWORK_OLD_NAMES - 1], "n0");
    tl_networks_free(b);
}

static void names_and_keys_have_one_form(void **state)
{
    (void)state;
    tl_membership *n;
    tl_networks *b = book_of(&member, NULL);
    char longest[TL_PTN_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[TL_PTN_NAME_MAX + 1] = 0;
    const char *const bad[] = {"", "a b", "caf\xc3\xa9", "a/b", "a@b", "-a", "0123abcd", longest};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(tl_networks_add(b, &other_authority.id, bad[i], &n), TL_ERR_INVALID);
    longest[TL_PTN_NAME_MAX] = 0;
    static const char *const made[][2] = {{"a b@c", "a-b-c"},
                                          {"-a", "_a"},
                                          {"0123abcd", "net-0123abcd"},
                                          {"0123abc", "0123abc"},
                                          {"0123abcD", "0123abcD"}};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        char name[TL_PTN_NAME_MAX + 1];
        tl_network_name_make(made[i][0], name);
        assert_string_equal(name, made[i][1]);
        assert_true(tl_network_name_is(name));
    }
    assert_int_equal(tl_networks_add(b, &other_authority.id, longest, &n), TL_OK);
    assert_null(tl_networks_by_key(b, TL_SLICE_LIT("")));
    assert_int_equal(tl_networks_set_api_key(b, n, "tl-abc"), TL_OK);
    assert_ptr_equal(tl_networks_by_key(b, TL_SLICE_LIT("tl-abc")), n);
    assert_null(tl_networks_by_key(b, TL_SLICE_LIT("tl-ab")));
    assert_null(tl_networks_by_key(b, TL_SLICE_LIT("tl-abcd")));
    tl_networks_leave(b, n);
    assert_null(tl_networks_by_key(b, TL_SLICE_LIT("tl-abc")));
    tl_networks_free(b);
}

static void our_own_certificate_and_key_must_be_ours(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, NULL);
    tl_membership *n = tl_networks_at(b, 0);
    json_t *others = by_authority(&outsider, TL_ROLE_ADMIN);
    assert_int_equal(tl_networks_set_certificate(b, n, others), TL_PTN_FOREIGN);
    json_decref(others);
    assert_int_equal(tl_networks_are_we(b, &authority.id, NOW), TL_MAY_NOT_OURS);
    json_t *own = by_authority(&member, TL_ROLE_ADMIN);
    assert_int_equal(tl_networks_set_certificate(b, n, own), TL_PTN_OK);
    json_decref(own);
    assert_int_equal(tl_networks_are_we(b, &authority.id, NOW), TL_MAY_OK);
    assert_int_equal(tl_networks_set_ca(b, n, &other_authority), TL_ERR_FORBIDDEN);
    assert_false(n->has_ca);
    assert_int_equal(tl_networks_set_ca(b, n, &authority), TL_OK);
    assert_true(n->has_ca);
    tl_networks_leave(b, n);
    assert_false(n->has_ca);
    tl_networks_free(b);
}

static void only_so_many_networks_are_ours_and_the_left_make_room(void **state)
{
    (void)state;
    tl_networks *b;
    tl_membership *n = NULL, *first = NULL;
    assert_int_equal(tl_networks_new(&member.id, &b), TL_OK);
    for (uint64_t i = 0; i <= TL_NETWORKS_MAX; i++) {
        tl_node_id id = {0};
        memcpy(id.key, &i, sizeof i);
        tl_err e = tl_networks_add(b, &id, "lab", &n);
        assert_int_equal(e, i < TL_NETWORKS_MAX ? TL_OK : TL_ERR_BUSY);
        first = i == 0 ? n : first;
    }
    tl_networks_leave(b, first);
    assert_int_equal(tl_networks_add(b, &authority.id, "lab", &n), TL_OK);
    assert_int_equal(tl_networks_count(b), TL_NETWORKS_MAX);
    tl_networks_free(b);
}

static void the_longest_unseen_certificate_makes_room_unless_connected(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_ADMIN));
    tl_membership *n = tl_networks_at(b, 0);
    tl_cert cert = wish_of(&outsider, TL_ROLE_CONSUMER, &root);
    for (uint64_t i = 0; i < TL_NETWORK_MEMBERS_MAX + 2; i++) {
        memcpy(cert.node.key, &i, sizeof i);
        if (i == 0)
            tl_networks_set_connected(b, &cert.node, true);
        assert_int_equal(tl_networks_keep(b, &cert), TL_PTN_OK);
    }
    assert_int_equal(n->n_members, TL_NETWORK_MEMBERS_MAX);
    for (uint64_t i = 0; i < 4; i++) {
        memcpy(cert.node.key, &i, sizeof i);
        assert_int_equal(tl_networks_cert_of(b, n, &cert.node) != NULL, i == 0 || i == 3);
    }
    tl_networks_free(b);
}

/* The book is full of certificates that hold, of nodes 0 and on. */
static tl_cert fill(tl_networks *b)
{
    tl_cert cert = wish_of(&outsider, TL_ROLE_CONSUMER, &root);
    for (uint64_t i = 0; i < TL_NETWORK_MEMBERS_MAX; i++) {
        memcpy(cert.node.key, &i, sizeof i);
        assert_int_equal(tl_networks_keep(b, &cert), TL_PTN_OK);
    }
    memset(cert.node.key, 0, sizeof(uint64_t));
    return cert;
}

static void a_certificate_that_counts_for_nothing_pushes_out_nobody(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_ADMIN));
    tl_membership *n = tl_networks_at(b, 0);
    tl_cert first = fill(b);
    revoke(b, 1, &admin);
    assert_int_equal(show(b, &outsider, by_admin(&outsider, TL_ROLE_PROVIDER)), TL_PTN_REVOKED);
    assert_int_equal(show(b, &outsider, made(&outsider, TL_ROLE_PROVIDER, NOW - 1000, NOW - 900)),
                     TL_PTN_EXPIRED);
    assert_null(tl_networks_cert_of(b, n, &outsider.id));
    assert_non_null(tl_networks_cert_of(b, n, &first.node));
    assert_int_equal(show(b, &outsider, by_authority(&outsider, TL_ROLE_PROVIDER)), TL_PTN_OK);
    assert_non_null(tl_networks_cert_of(b, n, &outsider.id)); /* a member finds room */
    assert_null(tl_networks_cert_of(b, n, &first.node));
    /* who is known is known to have ended, also in a full book */
    tl_unix later = NOW + 1000;
    json_t *ended = made(&outsider, TL_ROLE_PROVIDER, NOW + 10, NOW + 20);
    assert_int_equal(show_at(b, &outsider, ended, later, NULL), TL_PTN_EXPIRED);
    assert_int_equal(may_serve(b, &outsider, later), TL_MAY_EXPIRED);
    tl_networks_free(b);
}

static void what_counts_for_nothing_makes_room_before_a_member(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_ADMIN));
    tl_membership *n = tl_networks_at(b, 0);
    tl_cert first = fill(b);
    tl_networks_forget(b, n, &first.node);
    tl_cert second = first;
    second.node.key[0] = 1;
    /* the youngest of all, and then its admin is revoked */
    assert_int_equal(show(b, &outsider, by_admin(&outsider, TL_ROLE_PROVIDER)), TL_PTN_OK);
    revoke(b, 1, &admin);
    assert_int_equal(show(b, &root, by_authority(&root, TL_ROLE_ADMIN)), TL_PTN_OK);
    assert_non_null(tl_networks_cert_of(b, n, &root.id));
    assert_null(tl_networks_cert_of(b, n, &outsider.id));
    assert_non_null(tl_networks_cert_of(b, n, &second.node));
    tl_networks_free(b);
}

static json_t *issued(const tl_identity *node, int64_t later)
{
    json_t *value;
    tl_cert wish = wish_of(node, TL_ROLE_PROVIDER, &root);
    wish.issued_at = NOW + later;
    assert_int_equal(tl_cert_make(&wish, &authority, NULL, &value), TL_OK);
    return value;
}

static void who_left_is_forgotten(void **state)
{
    (void)state;
    tl_networks *b = book_of(&member, by_authority(&member, TL_ROLE_ADMIN));
    tl_membership *n = tl_networks_at(b, 0);
    uint64_t before = tl_networks_version(b);
    assert_int_equal(show(b, &outsider, by_authority(&outsider, TL_ROLE_PROVIDER)), TL_PTN_OK);
    assert_true(tl_networks_version(b) > before);
    tl_ptn_digest alone = tl_networks_members_digest(n), now;
    tl_networks_forget(b, n, &outsider.id);
    assert_int_equal(may_serve(b, &outsider, NOW), TL_MAY_UNKNOWN);
    assert_null(tl_networks_cert_of(b, n, &outsider.id));
    now = tl_networks_members_digest(n);
    assert_memory_not_equal(&now, &alone, sizeof now);
    /* nor does it come back with what it had, or with an older one: only with a later one */
    assert_int_equal(show(b, &outsider, by_authority(&outsider, TL_ROLE_PROVIDER)), TL_PTN_OLD);
    assert_int_equal(show(b, &outsider, issued(&outsider, -100)), TL_PTN_OLD);
    assert_int_equal(may_serve(b, &outsider, NOW), TL_MAY_UNKNOWN);
    assert_int_equal(show(b, &outsider, issued(&outsider, 1)), TL_PTN_OK);
    assert_int_equal(may_serve(b, &outsider, NOW), TL_MAY_OK);
    tl_networks_free(b);
}

static void every_verdict_has_words(void **state)
{
    (void)state;
    for (int i = 0; i < TL_MAY_VERDICTS; i++)
        assert_true(strlen(tl_may_words((tl_may)i)) > 5);
    for (int i = 0; i < TL_MEMBERSHIP_STATES; i++)
        assert_true(strlen(tl_membership_state_name((tl_membership_state)i)) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_decide_who_serves_and_every_member_asks),
        cmocka_unit_test(who_shows_no_certificate_may_nothing),
        cmocka_unit_test(a_certificate_counts_for_the_node_that_it_names),
        cmocka_unit_test(an_altered_certificate_is_refused_every_time),
        cmocka_unit_test(a_certificate_is_checked_once),
        cmocka_unit_test(an_older_certificate_does_not_take_the_place_of_a_newer),
        cmocka_unit_test(certificates_end_to_the_second_on_both_sides),
        cmocka_unit_test(a_clock_may_be_an_hour_off_and_not_a_day),
        cmocka_unit_test(the_revoked_may_nothing_on_either_side),
        cmocka_unit_test(what_a_revoked_admin_signed_for_falls_with_it),
        cmocka_unit_test(a_list_that_is_too_old_ends_serving_until_an_admin_confirms_it),
        cmocka_unit_test(a_network_is_found_by_id_prefix_or_name),
        cmocka_unit_test(old_names_of_a_network_are_known_and_stand_for_it_no_more),
        cmocka_unit_test(of_old_names_the_newest_eight_are_known),
        cmocka_unit_test(names_and_keys_have_one_form),
        cmocka_unit_test(our_own_certificate_and_key_must_be_ours),
        cmocka_unit_test(only_so_many_networks_are_ours_and_the_left_make_room),
        cmocka_unit_test(the_longest_unseen_certificate_makes_room_unless_connected),
        cmocka_unit_test(a_certificate_that_counts_for_nothing_pushes_out_nobody),
        cmocka_unit_test(what_counts_for_nothing_makes_room_before_a_member),
        cmocka_unit_test(who_left_is_forgotten),
        cmocka_unit_test(every_verdict_has_words),
    };
    return cmocka_run_group_tests(tests, scene_set_up, NULL);
}
