/* Members ask each other what a node did for them: who hears what, and who does not. */
#include "members_scene.h"

#include <stdio.h>

/* 0 founds the lab; D and C are members; B and STRANGER are in none. */
enum { A, D, C, B, STRANGER, NODES };

#define ENOUGH (TL_RECIPROCITY_TOKENS + 10) /* they fall from the first second on */

static size_t asked, answers; /* messages that `asks_of` got; that anybody sent */
static const node *asks_of;
static json_t *last_answer;
static bool count_messages(const node *from, const node *to, const char *name, json_t *payload)
{
    (void)from;
    asked += to == asks_of && strcmp(name, "ptnDeedsWanted") == 0;
    if (strcmp(name, "ptnDeeds") == 0) {
        answers++;
        json_decref(last_answer);
        last_answer = json_deep_copy(payload);
    }
    return true;
}

static void watch(int of)
{
    asks_of = nodes[of];
    asked = answers = 0;
    json_decref(last_answer);
    last_answer = NULL;
    on_the_way = count_messages;
}

static int begin_members(void **state)
{
    (void)state;
    scene_begin(NODES);
    found_lab();
    for (int i = D; i <= C; i++) {
        char *invite = invite_by(nodes[A], TL_ROLE_PROVIDER, 0);
        assert_int_equal(join(nodes[i], invite), 0);
        free(invite);
    }
    cut_all(nodes[A]);
    settle();
    return 0;
}

static int end_members(void **state)
{
    (void)state;
    scene_end();
    json_decref(last_answer);
    last_answer = NULL;
    return 0;
}

static const tl_node_id *id_of(int i)
{
    return &nodes[i]->identity.id;
}

static bool counts(int at, int on)
{
    return tl_reciprocity_is(nodes[at]->deeds, id_of(on), wall());
}

static void serve(int by, int to, int64_t tokens)
{
    tl_reciprocity_add_served(nodes[to]->deeds, id_of(by), tokens, wall());
}

/* `at` wants to know of `node`, and all that follows has happened. */
static void ask_at(int at, int on)
{
    tl_members_ask_deeds(nodes[at]->members, id_of(on));
    run_for(TL_SEC);
}

static void a_member_hears_from_a_member_who_helped_it(void **state)
{
    (void)state;
    serve(B, A, ENOUGH);
    connect_nodes(nodes[A], nodes[D]);
    assert_true(counts(A, B));
    assert_false(counts(D, B)); /* nobody has asked */
    ask_at(D, B);
    assert_true(counts(D, B));
    assert_int_equal(nodes[A]->saved_deeds, 1); /* its own, so that its number goes on */
    ask_at(D, STRANGER);                        /* its twin */
    assert_false(counts(D, STRANGER));
    assert_false(counts(C, B));
    assert_int_equal(nodes[A]->saved_deeds, 1); /* its own, so that its number goes on */
    assert_int_equal(nodes[D]->saved_deeds, 1);
}

static void a_member_that_comes_later_is_asked_too(void **state)
{
    (void)state;
    serve(B, A, ENOUGH);
    nodes[A]->down = nodes[C]->down = true;
    ask_at(D, B);
    run_for(5 * TL_MIN);
    assert_false(counts(D, B));
    nodes[A]->down = false;
    connect_nodes(nodes[A], nodes[D]);
    assert_true(counts(D, B));
    run_for(6 * TL_MIN); /* by now nobody needs to know */
    nodes[C]->down = false;
    watch(C);
    connect_nodes(nodes[C], nodes[D]);
    assert_int_equal(asked, 0);
    ask_at(D, STRANGER); /* its twin */
    assert_int_equal(asked, 1);
}

static void it_is_asked_once_in_ten_minutes(void **state)
{
    (void)state;
    connect_nodes(nodes[A], nodes[D]);
    watch(A);
    for (int i = 0; i < 9; i++) {
        ask_at(D, B);
        run_for(TL_MIN);
    }
    assert_int_equal(asked, 1);
    assert_int_equal(answers, 0); /* who has nothing to say says nothing */
    run_for(TL_MIN);
    ask_at(D, B);
    assert_int_equal(asked, 2);
}

static void what_is_wanted_in_one_moment_goes_in_one_message(void **state)
{
    (void)state;
    connect_nodes(nodes[A], nodes[D]);
    watch(A);
    tl_members_ask_deeds(nodes[D]->members, id_of(B));
    run_for(50 * TL_MS);
    assert_int_equal(asked, 0);
    tl_members_ask_deeds(nodes[D]->members, id_of(STRANGER));
    run_for(50 * TL_MS);
    assert_int_equal(asked, 1);
    tl_members_ask_deeds(nodes[D]->members, id_of(C));
    run_for(900 * TL_MS);
    assert_int_equal(asked, 1); /* one a second */
    run_for(200 * TL_MS);
    assert_int_equal(asked, 2);
}

static void what_was_told_is_handed_on_to_who_shares_a_network_with_its_signer(void **state)
{
    (void)state;
    serve(B, A, ENOUGH);
    connect_nodes(nodes[A], nodes[D]);
    ask_at(D, B);
    cut_all(nodes[A]); /* A is away; D has its word */
    nodes[A]->down = true;
    connect_nodes(nodes[D], nodes[C]);
    ask_at(C, B);
    assert_true(counts(C, B));
}

/* C is in the lab and in a network of its own with STRANGER, which is told nothing of the lab. */
static void the_word_of_a_member_does_not_leave_its_network(void **state)
{
    (void)state;
    ask op;
    tl_membership *other;
    tl_members_create(nodes[C]->members, begin(&op), "other", false);
    settle();
    assert_int_equal(op.op.refusal, 0);
    other = tl_networks_by_id(nodes[C]->book, &op.op.network);
    tl_buf text = {0};
    tl_invite invite = {.role = TL_ROLE_CONSUMER, .expires_at = wall() + 3600};
    tl_members_invite(nodes[C]->members, begin(&op), other, &invite, &text);
    settle();
    char *copy = strndup((char *)tl_buf_begin(&text), text.len);
    tl_buf_clear(&text);
    assert_int_equal(join(nodes[STRANGER], copy), 0);
    free(copy);
    serve(B, A, ENOUGH);
    connect_nodes(nodes[A], nodes[C]);
    ask_at(C, B);
    assert_true(counts(C, B)); /* it has A's word */
    watch(C);
    ask_at(STRANGER, B);
    assert_int_equal(asked, 1);
    assert_int_equal(answers, 0);
    assert_false(counts(STRANGER, B));
    serve(B, C, ENOUGH); /* its twin: C's own word is for its fellow member */
    run_for(11 * TL_MIN);
    ask_at(STRANGER, B);
    assert_int_equal(answers, 1);
    assert_int_equal(json_array_size(json_object_get(last_answer, "deeds")), 1);
    assert_true(counts(STRANGER, B));
}

static void say_to(int to, int from, const char *name, json_t *payload)
{
    tl_members_on_told(nodes[to]->members, id_of(from), name, payload);
    json_decref(payload);
    settle();
}

static json_t *wanted(int on)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, id_of(on));
    return json_pack("{s:[s]}", "nodes", hex);
}

static json_t *praise_by(int by, int on, int64_t tokens, int64_t sequence)
{
    json_t *o;
    tl_deeds d = {.by = *id_of(by),
                  .node = *id_of(on),
                  .count = {0, tokens, 0},
                  .sequence = sequence,
                  .issued_at = wall(),
                  .expires_at = wall() + 3600};
    assert_int_equal(tl_deeds_sign(&d, &nodes[by]->identity), TL_OK);
    assert_int_equal(tl_deeds_write(&d, &o), TL_OK);
    return o;
}

static void strangers_are_told_nothing_and_heard_by_nobody(void **state)
{
    (void)state;
    serve(B, A, ENOUGH);
    connect_nodes(nodes[A], nodes[STRANGER]);
    connect_nodes(nodes[A], nodes[D]);
    watch(A);
    say_to(A, STRANGER, "ptnDeedsWanted", wanted(B));
    assert_int_equal(answers, 0);
    say_to(A, D, "ptnDeedsWanted", wanted(B));
    assert_int_equal(answers, 1);
    tl_members_ask_deeds(nodes[A]->members, id_of(C));
    say_to(A, STRANGER, "ptnDeeds",
           json_pack("{s:[o]}", "deeds", praise_by(STRANGER, C, 100 * ENOUGH, 1)));
    say_to(A, STRANGER, "ptnDeeds", json_pack("{s:[o]}", "deeds", praise_by(D, C, ENOUGH, 1)));
    assert_false(counts(A, C));
    say_to(A, D, "ptnDeeds", json_pack("{s:[o]}", "deeds", praise_by(D, C, ENOUGH, 1)));
    assert_true(counts(A, C));
}

static void a_member_brings_no_word_of_a_stranger_or_of_one_nobody_asked_about(void **state)
{
    (void)state;
    connect_nodes(nodes[A], nodes[D]);
    const tl_members_counters *c = tl_members_counters_of(nodes[A]->members);
    say_to(A, D, "ptnDeeds", json_pack("{s:[o]}", "deeds", praise_by(D, B, ENOUGH, 1)));
    assert_false(counts(A, B)); /* nobody asked */
    assert_int_equal(c->deeds_refused, 1);
    ask_at(A, B);
    say_to(A, D, "ptnDeeds",
           json_pack("{s:[o, o]}", "deeds", praise_by(STRANGER, B, ENOUGH, 1),
                     praise_by(B, D, ENOUGH, 1)));
    assert_false(counts(A, B));
    assert_int_equal(c->deeds_refused, 3);
    assert_int_equal(c->deeds_taken, 0);
    assert_int_equal(nodes[A]->saved_deeds, 0);
    say_to(A, D, "ptnDeeds", json_pack("{s:[o]}", "deeds", praise_by(D, B, ENOUGH, 1)));
    assert_true(counts(A, B));
    assert_int_equal(c->deeds_taken, 1);
    assert_int_equal(nodes[A]->saved_deeds, 1);
}

static void what_is_good_is_taken_though_bad_ones_stand_before_it(void **state)
{
    (void)state;
    connect_nodes(nodes[A], nodes[D]);
    ask_at(A, B);
    say_to(A, D, "ptnDeeds",
           json_pack("{s:[{}, o, o]}", "deeds", praise_by(STRANGER, B, ENOUGH, 1),
                     praise_by(D, B, ENOUGH, 1)));
    assert_true(counts(A, B));
}

static void what_nobody_has_seen_uses_up_no_checks(void **state)
{
    (void)state;
    json_t *many = json_array();
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id id = {{0}};
    for (uint32_t i = 1; i <= TL_MEMBERS_DEEDS_NODES; i++) {
        memcpy(id.key, &i, sizeof i);
        tl_node_id_write(hex, &id);
        json_array_append_new(many, json_string(hex));
    }
    serve(B, A, ENOUGH);
    connect_nodes(nodes[A], nodes[D]);
    watch(A);
    for (int i = 0; i < TL_MEMBERS_DEEDS_BURST - 1; i++)
        say_to(A, D, "ptnDeedsWanted", json_pack("{s:O}", "nodes", many));
    assert_int_equal(answers, 0);
    say_to(A, D, "ptnDeedsWanted", wanted(B));
    assert_int_equal(answers, 1);
    json_decref(many);
}

static void a_replay_costs_no_check_and_an_older_one_changes_nothing(void **state)
{
    (void)state;
    connect_nodes(nodes[A], nodes[D]);
    ask_at(A, B);
    const tl_members_counters *c = tl_members_counters_of(nodes[A]->members);
    uint64_t checks = c->checks;
    for (int i = 0; i < 100; i++)
        say_to(A, D, "ptnDeeds",
               json_pack("{s:[o, o]}", "deeds", praise_by(D, B, ENOUGH / 2, 7),
                         praise_by(D, B, 100 * ENOUGH, i % 7 + 1)));
    assert_int_equal(c->checks, checks + 1);
    assert_int_equal(c->deeds_taken, 1);
    assert_false(counts(A, B));
    say_to(A, D, "ptnDeeds", json_pack("{s:[o]}", "deeds", praise_by(D, B, ENOUGH, 8)));
    assert_true(counts(A, B));
}

static void the_word_of_a_revoked_member_is_worth_nothing(void **state)
{
    (void)state;
    connect_nodes(nodes[A], nodes[D]);
    connect_nodes(nodes[A], nodes[C]);
    tl_members_ask_deeds(nodes[A]->members, id_of(STRANGER));
    ask_at(A, B);
    say_to(A, D, "ptnDeeds", json_pack("{s:[o]}", "deeds", praise_by(D, B, ENOUGH, 1)));
    say_to(A, C, "ptnDeeds", json_pack("{s:[o]}", "deeds", praise_by(C, STRANGER, ENOUGH, 1)));
    assert_true(counts(A, B) && counts(A, STRANGER));
    (void)revoke(nodes[A], nodes[D], TL_REFUSAL_NONE);
    assert_false(counts(A, B));
    assert_true(counts(A, STRANGER)); /* its twin */
    tl_reciprocity_sweep(nodes[A]->deeds, wall());
    assert_int_equal(tl_reciprocity_count(nodes[A]->deeds), 1);
    say_to(A, D, "ptnDeeds", json_pack("{s:[o]}", "deeds", praise_by(D, B, ENOUGH, 2)));
    assert_false(counts(A, B));
    watch(A);
    serve(B, A, ENOUGH);
    say_to(A, D, "ptnDeedsWanted", wanted(B));
    assert_int_equal(answers, 0);
    say_to(A, C, "ptnDeedsWanted", wanted(B));
    assert_int_equal(answers, 1);
}

static void forged_ones_are_checked_within_the_neighbours_bound(void **state)
{
    (void)state;
    connect_nodes(nodes[A], nodes[D]);
    ask_at(A, B);
    run_for(100 * TL_SEC); /* the bound is full again */
    const tl_members_counters *c = tl_members_counters_of(nodes[A]->members);
    uint64_t checks = c->checks;
    for (int i = 0; i < 500; i++) {
        json_t *bad = praise_by(D, B, ENOUGH, 1);
        json_object_set_new(bad, "sequence", json_integer(i + 2));
        say_to(A, D, "ptnDeeds", json_pack("{s:[o]}", "deeds", bad));
    }
    assert_int_equal(c->checks - checks, TL_MEMBERS_CHECKS_BURST);
    assert_false(counts(A, B));
    run_for(10 * TL_SEC);
    say_to(A, D, "ptnDeeds", json_pack("{s:[o]}", "deeds", praise_by(D, B, ENOUGH, 1)));
    assert_true(counts(A, B));
}

static void so_many_questions_of_one_member_are_answered_and_no_more(void **state)
{
    (void)state;
    serve(B, A, ENOUGH);
    connect_nodes(nodes[A], nodes[D]);
    watch(A);
    for (int i = 0; i < 100; i++)
        say_to(A, D, "ptnDeedsWanted", wanted(B));
    assert_int_equal(answers, TL_MEMBERS_DEEDS_BURST);
    connect_nodes(nodes[A], nodes[C]); /* another member has its own */
    say_to(A, C, "ptnDeedsWanted", wanted(B));
    assert_int_equal(answers, TL_MEMBERS_DEEDS_BURST + 1);
    run_for(TL_SEC);
    say_to(A, D, "ptnDeedsWanted", wanted(B));
    assert_int_equal(answers, TL_MEMBERS_DEEDS_BURST + 2);
}

/* Whoever makes a node ask, with as many identities as they like. */
static void strangers_cannot_make_a_node_ask_without_end(void **state)
{
    (void)state;
    tl_node_id id = {{0}};
    connect_nodes(nodes[A], nodes[D]);
    watch(A);
    for (uint32_t i = 1; i <= 10000; i++) {
        memcpy(id.key, &i, sizeof i);
        tl_members_ask_deeds(nodes[D]->members, &id);
    }
    serve(B, A, ENOUGH);
    ask_at(D, B); /* there is no room: others may be answered yet */
    run_for(TL_MIN - 2 * TL_SEC);
    assert_false(counts(D, B));
    assert_int_equal(asked, TL_MEMBERS_DEEDS_MAX / TL_MEMBERS_DEEDS_NODES);
    asked = 0;
    for (uint32_t i = 1; i <= 590; i++) { /* one every 100 ms, for a minute */
        uint32_t nth = 20000 + i;
        memcpy(id.key, &nth, sizeof nth);
        tl_members_ask_deeds(nodes[D]->members, &id);
        run_for(100 * TL_MS);
    }
    assert_true(asked <= 60);
    assert_true(asked >= 20);
    run_for(2 * TL_MIN);
    ask_at(D, B); /* who is asked about later is heard of */
    assert_true(counts(D, B));
}

static void an_answer_is_bounded_whatever_is_known(void **state)
{
    (void)state;
    json_t *nodes_wanted = json_array();
    char hex[65];
    tl_node_id id = {{0}};
    for (uint32_t i = 1; i <= TL_MEMBERS_DEEDS_NODES; i++) {
        memcpy(id.key, &i, sizeof i);
        tl_reciprocity_add_served(nodes[A]->deeds, &id, ENOUGH, wall());
        tl_node_id_write(hex, &id);
        json_array_append_new(nodes_wanted, json_string(hex));
    }
    connect_nodes(nodes[A], nodes[D]);
    run_for(100 * TL_SEC);
    watch(A);
    json_t *good = json_pack("{s:O}", "nodes", nodes_wanted);
    json_array_append_new(nodes_wanted, json_string(hex));
    say_to(A, D, "ptnDeedsWanted", json_pack("{s:O}", "nodes", nodes_wanted)); /* one too many */
    assert_int_equal(answers, 0);
    json_array_remove(nodes_wanted, TL_MEMBERS_DEEDS_NODES);
    say_to(A, D, "ptnDeedsWanted", good);
    assert_int_equal(answers, 1);
    assert_int_equal(json_array_size(json_object_get(last_answer, "deeds")),
                     TL_MEMBERS_DEEDS_NODES);
    json_decref(nodes_wanted);
}

static void what_is_no_message_of_this_kind_is_counted_and_dropped(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}", "{\"nodes\":7,\"deeds\":7}",
                                      "{\"nodes\":[7,null,\"\",\"aa\"],\"deeds\":[7,{},[]]}"};
    connect_nodes(nodes[A], nodes[D]);
    const tl_members_counters *c = tl_members_counters_of(nodes[A]->members);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t before = c->malformed;
        say_to(A, D, "ptnDeedsWanted", json_loads(bad[i], 0, NULL));
        assert_true(c->malformed > before);
        before = c->malformed;
        say_to(A, D, "ptnDeeds", json_loads(bad[i], 0, NULL));
        assert_true(c->malformed > before);
    }
    serve(B, A, ENOUGH);
    ask_at(D, B);
    assert_true(counts(D, B));
}

/* Twelve signers, each of whom was served by as many nodes as one message asks about. */
static void so_much_is_handed_on_and_no_more(void **state)
{
    enum { TELLER = 1, ASKER, SIGNERS, ALL = SIGNERS + 12 };
    json_t *many = json_array();
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id id = {{0}};
    (void)state;
    scene_begin(ALL);
    all_join(TL_ROLE_PROVIDER);
    for (uint32_t i = 1; i <= TL_MEMBERS_DEEDS_NODES; i++) {
        memcpy(id.key, &i, sizeof i);
        tl_node_id_write(hex, &id);
        json_array_append_new(many, json_string(hex));
        tl_members_ask_deeds(nodes[TELLER]->members, &id);
        for (int by = SIGNERS; by < ALL; by++)
            tl_reciprocity_add_served(nodes[by]->deeds, &id, ENOUGH, wall());
    }
    for (int by = SIGNERS; by < ALL; by++)
        connect_nodes(nodes[TELLER], nodes[by]);
    run_for(2 * TL_SEC);
    assert_int_equal(tl_reciprocity_count(nodes[TELLER]->deeds), 12 * TL_MEMBERS_DEEDS_NODES);
    connect_nodes(nodes[TELLER], nodes[ASKER]);
    watch(TELLER);
    say_to(TELLER, ASKER, "ptnDeedsWanted", json_pack("{s:[s]}", "nodes", hex));
    assert_int_equal(answers, 1);
    assert_int_equal(json_array_size(json_object_get(last_answer, "deeds")),
                     TL_MEMBERS_DEEDS_OTHERS);
    say_to(TELLER, SIGNERS, "ptnDeedsWanted", json_pack("{s:[s]}", "nodes", hex));
    assert_int_equal(answers, 2); /* it knows what it has said itself */
    assert_int_equal(json_array_size(json_object_get(last_answer, "deeds")),
                     TL_MEMBERS_DEEDS_OTHERS);
    for (size_t i = 0; i < TL_MEMBERS_DEEDS_OTHERS; i++) {
        tl_deeds d;
        assert_int_equal(
            tl_deeds_read(json_array_get(json_object_get(last_answer, "deeds"), i), &d), TL_OK);
        assert_false(tl_node_id_eq(&d.by, id_of(SIGNERS)));
    }
    say_to(TELLER, ASKER, "ptnDeedsWanted", json_pack("{s:O}", "nodes", many));
    assert_int_equal(answers, 2 + TL_MEMBERS_DEEDS_SAID / TL_MEMBERS_DEEDS_NODES);
    json_decref(many);
    (void)end_members(NULL);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin_members, end_members)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_hears_from_a_member_who_helped_it),
        TEST(a_member_that_comes_later_is_asked_too),
        TEST(it_is_asked_once_in_ten_minutes),
        TEST(what_is_wanted_in_one_moment_goes_in_one_message),
        TEST(what_was_told_is_handed_on_to_who_shares_a_network_with_its_signer),
        TEST(the_word_of_a_member_does_not_leave_its_network),
        TEST(strangers_are_told_nothing_and_heard_by_nobody),
        TEST(a_member_brings_no_word_of_a_stranger_or_of_one_nobody_asked_about),
        TEST(what_is_good_is_taken_though_bad_ones_stand_before_it),
        TEST(what_nobody_has_seen_uses_up_no_checks),
        TEST(a_replay_costs_no_check_and_an_older_one_changes_nothing),
        TEST(the_word_of_a_revoked_member_is_worth_nothing),
        TEST(forged_ones_are_checked_within_the_neighbours_bound),
        TEST(so_many_questions_of_one_member_are_answered_and_no_more),
        TEST(strangers_cannot_make_a_node_ask_without_end),
        TEST(an_answer_is_bounded_whatever_is_known),
        TEST(what_is_no_message_of_this_kind_is_counted_and_dropped),
        cmocka_unit_test(so_much_is_handed_on_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
