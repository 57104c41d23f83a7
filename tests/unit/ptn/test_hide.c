/* The tag that stands for a network: its bytes, and who recognises it. */
#include "ptn/hide.h"
#include "scene.h"

static const uint8_t group[TL_HIDE_KEY] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                           11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                           22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

static void a_tag_is_the_hmac_of_node_and_hour(void **state)
{
    (void)state;
    /* made with Python's hmac module; the node's key is the first of RFC 8032, 7.1 */
    static const char expected[] =
        "39180be82164f151a5565104108139589c76b9dda04e7def8048345cff603a3c";
    tl_node_id node;
    tl_hide_key key;
    uint8_t tag[TL_HIDE_TAG];
    char hex[2 * TL_HIDE_TAG + 1];
    assert_int_equal(
        tl_node_id_parse(
            TL_SLICE_LIT("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
            &node),
        TL_OK);
    tl_hide_prepare(&key, group);
    tl_hide_tag(&key, &node, NOW, tag);
    tl_hex_write(hex, tag, sizeof tag);
    assert_string_equal(hex, expected);
}

static void the_tag_changes_with_the_hour_and_only_then(void **state)
{
    (void)state;
    tl_hide_key key;
    uint8_t first[TL_HIDE_TAG], other[TL_HIDE_TAG];
    tl_hide_prepare(&key, group);
    tl_unix until = tl_hide_until(NOW);
    assert_true(until > NOW && until <= NOW + TL_HIDE_HOUR && until % TL_HIDE_HOUR == 0);
    assert_int_equal(tl_hide_until(until), until + TL_HIDE_HOUR);
    tl_hide_tag(&key, &member.id, NOW, first);
    tl_hide_tag(&key, &member.id, until - 1, other);
    assert_memory_equal(first, other, sizeof first);
    tl_hide_tag(&key, &member.id, until, other);
    assert_memory_not_equal(first, other, sizeof first);
    tl_hide_tag(&key, &admin.id, NOW, other); /* of another member */
    assert_memory_not_equal(first, other, sizeof first);
}

static void a_member_recognises_a_tag_whose_clock_is_an_hour_off(void **state)
{
    (void)state;
    static const struct {
        int hours;
        bool known;
    } cases[] = {{0, true}, {1, true}, {-1, true}, {2, false}, {-2, false}};
    tl_hide_key key;
    tl_hide_prepare(&key, group);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t tags[2][TL_HIDE_TAG] = {{0}};
        tl_hide_tag(&key, &member.id, NOW + cases[i].hours * TL_HIDE_HOUR, tags[1]);
        assert_int_equal(
            tl_hide_recognises(&key, &member.id, NOW, (const uint8_t(*)[TL_HIDE_TAG])tags, 2),
            cases[i].known);
    }
}

static void a_tag_tells_nothing_without_its_key_and_serves_no_other_node(void **state)
{
    (void)state;
    uint8_t other_group[TL_HIDE_KEY], tag[1][TL_HIDE_TAG];
    const uint8_t(*tags)[TL_HIDE_TAG] = (const uint8_t(*)[TL_HIDE_TAG])tag;
    tl_hide_key key, other;
    memcpy(other_group, group, sizeof group);
    other_group[31] ^= 1; /* as after a revocation */
    tl_hide_prepare(&key, group);
    tl_hide_prepare(&other, other_group);
    tl_hide_tag(&key, &member.id, NOW, tag[0]);
    assert_true(tl_hide_recognises(&key, &member.id, NOW, tags, 1));
    assert_false(tl_hide_recognises(&other, &member.id, NOW, tags, 1));
    assert_false(tl_hide_recognises(&key, &outsider.id, NOW, tags, 1)); /* it copied the tag */
    assert_false(tl_hide_recognises(&key, &member.id, NOW, tags, 0));
    memcpy(tag[0], authority.id.key, sizeof tag[0]); /* a ptnID is no tag */
    assert_false(tl_hide_recognises(&key, &member.id, NOW, tags, 1));
    tl_hide_clear(&key);
}

static void a_clock_at_its_beginning_has_an_hour(void **state)
{
    (void)state;
    tl_hide_key key;
    uint8_t tag[1][TL_HIDE_TAG];
    tl_hide_prepare(&key, group);
    tl_hide_tag(&key, &member.id, -5, tag[0]);
    assert_true(tl_hide_recognises(&key, &member.id, 0, (const uint8_t(*)[TL_HIDE_TAG])tag, 1));
    assert_int_equal(tl_hide_until(-5), TL_HIDE_HOUR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_is_the_hmac_of_node_and_hour),
        cmocka_unit_test(the_tag_changes_with_the_hour_and_only_then),
        cmocka_unit_test(a_member_recognises_a_tag_whose_clock_is_an_hour_off),
        cmocka_unit_test(a_tag_tells_nothing_without_its_key_and_serves_no_other_node),
        cmocka_unit_test(a_clock_at_its_beginning_has_an_hour),
    };
    return cmocka_run_group_tests(tests, scene_set_up, NULL);
}
