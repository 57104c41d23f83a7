/* What others say of nodes that introduce: each lie beside its accepted twin. */
#include "introducers_scene.h"

static void an_answer_that_is_not_signed_only_tells_the_mark(void **state)
{
    (void)state;
    nodes[0].asks_for_proof = nodes[0].asks_unsigned = true;
    give(0, 1);
    run_for(100 * TL_MS);
    assert_int_equal(nodes[0].attaches, 1);
    assert_int_equal(attached(), 0);
    run_for(TL_SEC); /* the twin: the next try bears the mark, and the answer is signed */
    assert_int_equal(attached(), 1);
    assert_memory_equal(nodes[0].last_attach.nonce + 13, scene_mark + 13, 3);
}

/* What the node sent to `at` (in `nodes`) is answered so; true: it is attached then. */
static bool is_attached_by(int at, const tl_control *reply)
{
    size_t before = attached();
    (void)tl_introducers_on_attached(it, &nodes[at].addr, reply);
    return attached() > before;
}

static void only_what_the_introducer_signed_for_this_node_opens_a_place(void **state)
{
    (void)state;
    nodes[0].silent = true;
    give(0, 1);
    run_for(100 * TL_MS);
    tl_control good = {.type = TL_CONTROL_ATTACHED, .addr = seen_as}, c;
    memcpy(good.node, own.id.key, sizeof good.node);
    memcpy(good.nonce, nodes[0].last_attach.nonce, sizeof good.nonce);
    c = good;
    assert_int_equal(tl_control_sign(&c, &nodes[1].identity), TL_OK);
    assert_false(is_attached_by(0, &c)); /* by another one */
    c = good;
    assert_int_equal(tl_control_sign(&c, &nodes[0].identity), TL_OK);
    c.addr.port++;
    assert_false(is_attached_by(0, &c)); /* changed on the way */
    c = good;
    memcpy(c.node, nodes[1].identity.id.key, sizeof c.node);
    assert_int_equal(tl_control_sign(&c, &nodes[0].identity), TL_OK);
    assert_false(is_attached_by(0, &c)); /* to somebody else who said our nonce */
    c = good;
    assert_int_equal(tl_control_sign(&c, &nodes[0].identity), TL_OK);
    assert_true(is_attached_by(0, &c)); /* the twin */
}

static void few_signatures_of_one_question_are_checked(void **state)
{
    (void)state;
    nodes[0].silent = true;
    give(0, 1);
    run_for(100 * TL_MS);
    tl_control good = {.type = TL_CONTROL_ATTACHED, .addr = seen_as}, bad;
    memcpy(good.node, own.id.key, sizeof good.node);
    memcpy(good.nonce, nodes[0].last_attach.nonce, sizeof good.nonce);
    assert_int_equal(tl_control_sign(&good, &nodes[0].identity), TL_OK);
    bad = good;
    bad.sig[0] ^= 1;
    for (int i = 0; i < TL_ATTACH_PROOFS; i++)
        assert_false(is_attached_by(0, &bad));
    assert_false(is_attached_by(0, &good));
    nodes[0].silent = false; /* the twin: the next question is another one */
    run_for(10 * TL_SEC);
    assert_int_equal(attached(), 1);
}

/* --- who is named by strangers --- */

static void an_introducer_that_is_known_is_found_nowhere_else(void **state)
{
    (void)state;
    tl_relayer_name lie = {nodes[0].identity.id, nodes[9].addr};
    give(0, 1);
    run_for(TL_SEC);
    tl_introducers_found(it, &lie);
    run_for(TL_SEC);
    assert_int_equal(nodes[9].attaches, 0);
    lie.id = nodes[9].identity.id; /* the twin: a node that is not known yet */
    tl_introducers_found(it, &lie);
    run_for(TL_SEC);
    assert_int_equal(nodes[9].attaches, 1);
    assert_int_equal(attached(), 2);
}

static void a_lie_about_where_a_node_is_keeps_nobody_from_the_node_itself(void **state)
{
    (void)state;
    tl_relayer_name lie = {nodes[0].identity.id, nodes[9].addr}, truth = name_of(0);
    nodes[9].silent = true;
    tl_introducers_found(it, &lie);
    run_for(10 * TL_SEC);
    assert_true(nodes[9].attaches);
    tl_introducers_found(it, &truth);
    run_for(TL_SEC);
    assert_int_equal(attached(), 1);
}

static void who_publishes_nothing_tells_strangers_nothing(void **state)
{
    (void)state;
    tl_relayer_name name = name_of(0);
    tl_introducers_set_published(it, false);
    assert_false(tl_introducers_wants(it));
    tl_introducers_found(it, &name);
    run_for(100 * TL_SEC);
    assert_int_equal(nodes[0].attaches, 0);
    (void)peer_says(1, "{\"introduces\":{\"addresses\":[\"198.18.2.1:4000\"]}}");
    run_for(100 * TL_SEC);
    assert_int_equal(attached(), 1); /* a peer, which knows us anyway */
    tl_introducers_set_published(it, true);
    assert_true(tl_introducers_wants(it)); /* the twin */
    tl_introducers_found(it, &name);
    run_for(TL_SEC);
    assert_int_equal(attached(), 2);
    tl_introducers_set_published(it, false);
    assert_int_equal(attached(), 1);
}

static void two_that_are_found_are_of_two_networks(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        char text[32];
        snprintf(text, sizeof text, "198.18.50.%d:%d", i + 1, 4000 + i);
        nodes[i].addr = addr_of(text);
        tl_relayer_name name = name_of(i);
        tl_introducers_found(it, &name);
    }
    run_for(10 * TL_SEC);
    assert_int_equal(attached(), 1);
    tl_relayer_name name = name_of(3); /* the twin */
    tl_introducers_found(it, &name);
    run_for(TL_SEC);
    assert_int_equal(attached(), 2);
}

static void invented_introducers_at_one_address_are_tried_once(void **state)
{
    (void)state;
    unsigned sent = 0;
    for (int i = 0; i < 8; i++) {
        char text[32];
        snprintf(text, sizeof text, "198.18.66.6:%d", 5000 + i);
        nodes[i].addr = addr_of(text);
        nodes[i].silent = true;
        tl_relayer_name name = name_of(i);
        tl_introducers_found(it, &name);
    }
    run_for(200 * TL_SEC);
    for (int i = 0; i < 8; i++)
        sent += nodes[i].attaches;
    assert_int_equal(sent, 4); /* the tries of one question */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_that_is_not_signed_only_tells_the_mark),
        TEST(only_what_the_introducer_signed_for_this_node_opens_a_place),
        TEST(few_signatures_of_one_question_are_checked),
        TEST(an_introducer_that_is_known_is_found_nowhere_else),
        TEST(a_lie_about_where_a_node_is_keeps_nobody_from_the_node_itself),
        TEST(who_publishes_nothing_tells_strangers_nothing),
        TEST(two_that_are_found_are_of_two_networks),
        TEST(invented_introducers_at_one_address_are_tried_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
