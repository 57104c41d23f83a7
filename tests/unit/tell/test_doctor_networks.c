/* What the doctor says of private networks, and of who may ask. */
#include "tell/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1800000000
#define DAY 86400

static tl_node_id admin;

static int make_admin(void **state)
{
    (void)state;
    static const char hex[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    return tl_crypto_init() || tl_node_id_parse(tl_slice_str(hex), &admin);
}

static const tl_finding *find(const tl_doctor_facts *of, const char *id)
{
    static tl_finding found[TL_FINDINGS_MAX];
    tl_doctor_facts f = *of;
    f.relay = f.relay_error = f.backend_url = f.backend_error = "";
    f.share = f.share ? f.share : "";
    f.own_id = "5e1b000000000000";
    f.now = NOW;
    size_t n = tl_doctor_examine(&f, found);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(found[i].id, id))
            return &found[i];
    return NULL;
}

/* A provider of "lab", whose certificate is from 30 days ago and ends in 60. */
static tl_doctor_network lab(void)
{
    return (tl_doctor_network){.name = "lab",
                               .state = TL_MEMBERSHIP_VALID,
                               .role = TL_ROLE_PROVIDER,
                               .issuer = admin,
                               .issued_at = NOW - 30 * DAY,
                               .expires_at = NOW + 60 * DAY,
                               .waiting = ""};
}

static const tl_finding *of_one(const tl_doctor_network *n)
{
    return find(&(tl_doctor_facts){.networks = n, .n_networks = 1, .in_network = true}, "networks");
}

static void an_expired_certificate_names_the_admin_to_ask(void **state)
{
    (void)state;
    tl_doctor_network n = lab();
    n.state = TL_MEMBERSHIP_EXPIRED;
    n.expires_at = NOW - 7200;
    const tl_finding *f = of_one(&n);
    assert_int_equal(f->state, TL_FINDING_PROBLEM);
    assert_string_equal(f->evidence, "lab: its certificate expired 2 h ago");
    assert_non_null(strstr(f->remedy, "An admin, d75a...1a, must renew it by hand"));
    assert_non_null(strstr(f->remedy, "not renewed by itself"));
    assert_non_null(strstr(f->remedy, "teale ptn renew lab 5e1b0000 there"));
    n.issued_here = true;
    assert_string_equal(of_one(&n)->remedy, "Renew it here: teale ptn renew lab");
}

static void a_certificate_that_should_be_renewed_by_now_is_a_warning(void **state)
{
    (void)state;
    tl_doctor_network n = lab();
    n.issued_at = NOW - 50 * DAY;
    n.expires_at = NOW + 10 * DAY + 1; /* a sixth of the time, and a second */
    assert_int_equal(of_one(&n)->state, TL_FINDING_OK);
    n.expires_at = NOW + 9 * DAY;
    const tl_finding *f = of_one(&n);
    assert_int_equal(f->state, TL_FINDING_WARNING);
    assert_string_equal(f->evidence,
                        "lab: its certificate ends in 9 d, and no admin has renewed it yet");
    n.expires_at = TL_PTN_NO_END;
    assert_int_equal(of_one(&n)->state, TL_FINDING_OK);
}

static void a_revoked_node_is_told_to_leave(void **state)
{
    (void)state;
    tl_doctor_network n = lab();
    n.state = TL_MEMBERSHIP_REVOKED;
    const tl_finding *f = of_one(&n);
    assert_int_equal(f->state, TL_FINDING_WARNING);
    assert_string_equal(f->evidence, "lab: an admin has revoked this node");
    assert_non_null(strstr(f->remedy, "teale ptn leave lab"));
}

static void who_falls_with_a_revoked_admin_is_told_whom_to_ask(void **state)
{
    (void)state;
    tl_doctor_network n = lab();
    n.state = TL_MEMBERSHIP_REVOKED;
    n.lost_issuer = true;
    const tl_finding *f = of_one(&n);
    assert_int_equal(f->state, TL_FINDING_PROBLEM);
    assert_string_equal(
        f->evidence, "lab: the admin that signed this node's certificate, d75a...1a, was revoked");
    assert_string_equal(
        f->remedy, "Ask an admin, whom this node has not met yet, to renew it: teale ptn renew lab "
                   "5e1b0000 there");
    n.has_admin = true;
    n.admin = (tl_node_id){{0x3f, 0x9a}};
    assert_string_equal(of_one(&n)->remedy,
                        "Ask an admin, 3f9a...00, to renew it: teale ptn renew lab 5e1b0000 there");
    n.has_ca = true;
    assert_string_equal(of_one(&n)->remedy, "This node holds the CA key: teale ptn renew lab");
}

static void a_revoked_node_with_the_ca_key_is_told_to_export_it_before_it_leaves(void **state)
{
    (void)state;
    tl_doctor_network n = lab();
    n.state = TL_MEMBERSHIP_REVOKED;
    n.has_ca = true;
    const char *remedy = of_one(&n)->remedy;
    assert_non_null(strstr(remedy, "teale ptn export-ca-key lab FILE"));
    assert_non_null(strstr(remedy, "teale ptn leave lab --delete"));
}

static void members_that_disagree_are_told_what_ends_it(void **state)
{
    (void)state;
    tl_doctor_network n = lab();
    assert_int_equal(of_one(&n)->state, TL_FINDING_OK);
    n.is_disputed = true;
    n.dispute = (tl_ptn_dispute){.by = {{0x3f, 0x9a}}, .node = {{0x12, 0xab}}};
    const tl_finding *f = of_one(&n);
    assert_int_equal(f->state, TL_FINDING_WARNING);
    assert_string_equal(
        f->evidence, "lab: members disagree on who is revoked: 3f9a...00, which is revoked here, "
                     "has revoked 12ab...00, which is not");
    assert_non_null(
        strstr(f->remedy, "Where the CA key is: teale ptn revoke lab 12ab000000000000."));
}

static void a_join_says_why_it_waits(void **state)
{
    (void)state;
    tl_doctor_network n = lab();
    n.state = TL_MEMBERSHIP_JOINING;
    n.expires_at = TL_PTN_NO_END;
    assert_string_equal(of_one(&n)->evidence, "lab: joining");
    n.waiting = "the inviter is not connected to the relay";
    assert_string_equal(of_one(&n)->evidence,
                        "lab: joining: the inviter is not connected to the relay");
}

static void of_many_networks_the_worst_is_told_and_the_others_counted(void **state)
{
    (void)state;
    tl_doctor_network n[4] = {lab(), lab(), lab(), lab()};
    tl_doctor_facts f = {.networks = n, .n_networks = 4, .in_network = true};
    n[1].name = "work";
    assert_string_equal(find(&f, "networks")->evidence,
                        "lab (provider), work (provider), lab (provider), lab (provider)");
    n[0].state = TL_MEMBERSHIP_JOINING;
    n[1].state = TL_MEMBERSHIP_EXPIRED;
    n[1].expires_at = NOW - 60;
    n[2].state = TL_MEMBERSHIP_REVOKED;
    assert_string_equal(find(&f, "networks")->evidence,
                        "work: its certificate expired 60 s ago (2 more: teale ptn list)");
}

static void a_node_in_no_network_hears_nothing_of_networks(void **state)
{
    (void)state;
    assert_null(find(&(tl_doctor_facts){.wan_enabled = true}, "networks"));
}

static void who_may_ask_is_said(void **state)
{
    (void)state;
    tl_doctor_network n = lab();
    tl_doctor_facts f = {.share = "auto", .wan_enabled = true};
    assert_non_null(strstr(find(&f, "share_with")->evidence, "open to the public"));
    assert_int_equal(find(&f, "share_with")->state, TL_FINDING_OK);
    f.share_members = true;
    assert_int_equal(find(&f, "share_with")->state, TL_FINDING_WARNING);
    assert_non_null(strstr(find(&f, "share_with")->remedy, "teale ptn create family"));
    assert_non_null(strstr(find(&f, "share_with")->remedy, "config set share_with public"));
    f.by_option.private = true;
    assert_non_null(strstr(find(&f, "share_with")->remedy, "without --private"));
    f.in_network = true;
    f.networks = &n;
    f.n_networks = 1;
    assert_string_equal(find(&f, "share_with")->evidence, "only members of your networks may ask");
    n.role = TL_ROLE_CONSUMER;
    assert_non_null(strstr(find(&f, "share_with")->evidence, "a consumer serves nobody"));
    f.share = "";
    assert_null(find(&f, "share_with"));
}

static void the_longest_texts_fit(void **state)
{
    (void)state;
    static tl_doctor_network n[TL_NETWORKS_MAX];
    char name[TL_PTN_NAME_MAX + 1], words[400];
    memset(name, 'n', sizeof name);
    memset(words, 'w', sizeof words);
    name[sizeof name - 1] = words[sizeof words - 1] = 0;
    tl_doctor_facts f = {.networks = n, .n_networks = TL_NETWORKS_MAX, .in_network = true};
    for (tl_membership_state s = 0; s < TL_MEMBERSHIP_STATES; s++) {
        for (size_t i = 0; i < TL_NETWORKS_MAX; i++) {
            n[i] = lab();
            n[i].name = name;
            n[i].state = s;
            n[i].waiting = words;
            n[i].expires_at = s == TL_MEMBERSHIP_EXPIRED ? 0 : NOW + 60 * DAY;
        }
        const tl_finding *found = find(&f, "networks");
        assert_true(strlen(found->evidence) < sizeof found->evidence - 1);
        assert_true(strlen(found->remedy) < sizeof found->remedy - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_expired_certificate_names_the_admin_to_ask),
        cmocka_unit_test(a_certificate_that_should_be_renewed_by_now_is_a_warning),
        cmocka_unit_test(a_revoked_node_is_told_to_leave),
        cmocka_unit_test(who_falls_with_a_revoked_admin_is_told_whom_to_ask),
        cmocka_unit_test(a_revoked_node_with_the_ca_key_is_told_to_export_it_before_it_leaves),
        cmocka_unit_test(members_that_disagree_are_told_what_ends_it),
        cmocka_unit_test(a_join_says_why_it_waits),
        cmocka_unit_test(of_many_networks_the_worst_is_told_and_the_others_counted),
        cmocka_unit_test(a_node_in_no_network_hears_nothing_of_networks),
        cmocka_unit_test(who_may_ask_is_said),
        cmocka_unit_test(the_longest_texts_fit),
    };
    return cmocka_run_group_tests(tests, make_admin, NULL);
}
