#include "ptn/invite.h"
#include "scene.h"

#include <stdio.h>

static tl_invite usual(void)
{
    tl_invite i = {.network = authority.id,
                   .inviter = admin.id,
                   .name = "lab",
                   .relay = "wss://relay.example/ws",
                   .role = TL_ROLE_CONSUMER,
                   .nonce = {1, 2, 3},
                   .expires_at = NOW + 60};
    return i;
}

static tl_slice written(tl_buf *out, const tl_invite *invite)
{
    tl_buf_clear(out);
    assert_int_equal(tl_invite_write(out, invite, &admin), TL_OK);
    return tl_buf_slice(out);
}

static void an_invite_reads_back(void **state)
{
    (void)state;
    tl_buf out = {0};
    tl_invite invite = usual(), read;
    invite.bound = true;
    invite.node = member.id;
    invite.valid_seconds = 3600;
    tl_slice text = written(&out, &invite);
    assert_memory_equal(text.p, TL_INVITE_PREFIX, strlen(TL_INVITE_PREFIX));
    assert_int_equal(tl_invite_read(text, &read), TL_PTN_OK);
    assert_string_equal(read.name, "lab");
    assert_string_equal(read.relay, "wss://relay.example/ws");
    assert_true(tl_node_id_eq(&read.network, &authority.id));
    assert_true(tl_node_id_eq(&read.inviter, &admin.id));
    assert_int_equal(read.role, TL_ROLE_CONSUMER);
    assert_memory_equal(read.nonce, invite.nonce, sizeof read.nonce);
    assert_int_equal(read.expires_at, NOW + 60);
    assert_int_equal(read.valid_seconds, 3600);
    assert_true(read.bound && tl_node_id_eq(&read.node, &member.id));
    tl_buf_clear(&out);
}

static void an_inviter_without_relay_invites(void **state)
{
    (void)state;
    tl_buf out = {0};
    tl_invite invite = usual(), read;
    invite.relay[0] = 0;
    assert_int_equal(tl_invite_read(written(&out, &invite), &read), TL_PTN_OK);
    assert_string_equal(read.relay, "");
    assert_false(read.bound);
    tl_buf_clear(&out);
}

static void white_space_around_a_pasted_invite_does_not_matter(void **state)
{
    (void)state;
    tl_buf out = {0}, pasted = {0};
    tl_invite invite = usual(), read;
    tl_slice text = written(&out, &invite);
    assert_int_equal(tl_buf_printf(&pasted, " \n%.*s\r\n", (int)text.n, (const char *)text.p),
                     TL_OK);
    assert_int_equal(tl_invite_read(tl_buf_slice(&pasted), &read), TL_PTN_OK);
    tl_buf_clear(&out);
    tl_buf_clear(&pasted);
}

/* Whatever is changed, nothing is accepted; and what stays an invite is called altered. */
static void no_altered_invite_is_accepted(void **state)
{
    (void)state;
    tl_buf out = {0};
    tl_invite invite = usual(), read;
    tl_slice text = written(&out, &invite);
    size_t malformed = 0, altered = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t kept = out.data[out.head + i];
        out.data[out.head + i] = kept == 'A' ? 'B' : 'A';
        tl_ptn_verdict v = tl_invite_read(text, &read);
        assert_true(v == TL_PTN_MALFORMED || v == TL_PTN_SIGNATURE);
        malformed += v == TL_PTN_MALFORMED;
        altered += v == TL_PTN_SIGNATURE;
        out.data[out.head + i] = kept;
        assert_true(tl_invite_read(tl_slice_of(text.p, i), &read) == TL_PTN_MALFORMED);
    }
    assert_true(malformed > 0 && altered > 0);
    assert_int_equal(tl_invite_read(text, &read), TL_PTN_OK);
    tl_buf_clear(&out);
}

static void what_is_no_invite_is_malformed(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        " ",
                                        "teale:inv1:",
                                        "teale:inv2:e30",
                                        "teale:inv1:e30",
                                        "teale:inv1:e30=",
                                        "teale:inv1:!!!",
                                        "hello",
                                        "teale:inv1:W10"};
    tl_invite read;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(tl_invite_read(tl_slice_str(texts[i]), &read), TL_PTN_MALFORMED);
    static char huge[TL_INVITE_MAX + 2];
    memset(huge, 'A', sizeof huge - 1);
    memcpy(huge, TL_INVITE_PREFIX, strlen(TL_INVITE_PREFIX));
    assert_int_equal(tl_invite_read(tl_slice_str(huge), &read), TL_PTN_MALFORMED);
}

static void what_cannot_be_read_back_is_not_written(void **state)
{
    (void)state;
    tl_buf out = {0};
    tl_invite invite = usual();
    invite.name[0] = 0;
    assert_int_equal(tl_invite_write(&out, &invite, &admin), TL_ERR_INVALID);
    invite = usual();
    invite.name[0] = (char)0xFF;
    assert_int_equal(tl_invite_write(&out, &invite, &admin), TL_ERR_INVALID);
    invite = usual();
    invite.expires_at = -1;
    assert_int_equal(tl_invite_write(&out, &invite, &admin), TL_ERR_INVALID);
    assert_int_equal(out.len, 0);
    tl_invite read;
    invite = usual();
    memset(invite.name, '"', TL_PTN_NAME_MAX); /* the longest there is, once escaped */
    memset(invite.relay, 'r', TL_INVITE_RELAY_MAX);
    assert_int_equal(tl_invite_read(written(&out, &invite), &read), TL_PTN_OK);
    tl_buf_clear(&out);
}

static void an_invite_ends_to_the_second_and_is_for_whom_it_names(void **state)
{
    (void)state;
    tl_invite invite = usual();
    assert_int_equal(tl_invite_at(&invite, &member.id, NOW + 60), TL_PTN_OK);
    assert_int_equal(tl_invite_at(&invite, &member.id, NOW + 61), TL_PTN_EXPIRED);
    invite.bound = true;
    invite.node = member.id;
    assert_int_equal(tl_invite_at(&invite, &member.id, NOW), TL_PTN_OK);
    assert_int_equal(tl_invite_at(&invite, &outsider.id, NOW), TL_PTN_FOREIGN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_invite_reads_back),
        cmocka_unit_test(an_inviter_without_relay_invites),
        cmocka_unit_test(white_space_around_a_pasted_invite_does_not_matter),
        cmocka_unit_test(no_altered_invite_is_accepted),
        cmocka_unit_test(what_is_no_invite_is_malformed),
        cmocka_unit_test(what_cannot_be_read_back_is_not_written),
        cmocka_unit_test(an_invite_ends_to_the_second_and_is_for_whom_it_names),
    };
    return cmocka_run_group_tests(tests, scene_set_up, NULL);
}
