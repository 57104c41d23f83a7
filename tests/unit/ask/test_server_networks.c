/* Requests of private networks: who is let in with a claim, and what ends with a certificate. */
#include "server_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* `peer` asks, and claims to do so for the network; NULL: for none. */
static tl_quic_stream *ask_for(server_scene *s, const tl_node_id *peer, const tl_node_id *network)
{
    char hex[TL_NODE_ID_HEX + 1] = "", text[512], claim[128] = "";
    if (network) {
        tl_node_id_write(hex, network);
        snprintf(claim, sizeof claim, ",\"ptnID\":\"%s\"", hex);
    }
    snprintf(text, sizeof text,
             "{\"inferenceRequest\":{\"requestID\":\"r1\",\"model\":\"m\",\"streaming\":true,"
             "\"path\":\"/v1/chat/completions\",\"contentType\":\"application/json\"%s}}",
             claim);
    tl_quic_stream *stream = s->streams[s->n_streams++] = fake_stream_new();
    tl_server_on_stream(s->server, peer, stream);
    fake_lay_text(stream, TL_FRAME_MESSAGE, text);
    fake_lay_text(stream, TL_FRAME_BODY, QUESTION);
    fake_ends(stream);
    return stream;
}

static const tl_node_id peer_id = {.key = {PEER}}, outsider = {.key = {77}};

static void join(server_scene *s, bool share_public)
{
    server_scene_init(s);
    server_scene_join(s, TL_ROLE_PROVIDER);
    s->access.share_public = share_public;
    members_add(&s->members, &peer_id, TL_ROLE_CONSUMER, TL_PTN_NO_END);
}

static void a_member_is_served_for_its_network(void **state)
{
    (void)state;
    server_scene s;
    join(&s, false);
    (void)ask_for(&s, &peer_id, &s.members.lab->id);
    assert_int_equal(s.n_jobs, 1);
    assert_true(s.jobs[0].ask.has_network);
    assert_true(tl_node_id_eq(&s.jobs[0].ask.network, &s.members.lab->id));
    assert_int_equal(tl_server_counters_of(s.server)->refused_claims, 0);
    server_scene_clear(&s);
}

static void without_naming_it_a_member_is_served_in_public_or_not_at_all(void **state)
{
    (void)state;
    for (int share_public = 0; share_public < 2; share_public++) {
        server_scene s;
        join(&s, share_public);
        tl_quic_stream *stream = ask_for(&s, &peer_id, NULL);
        assert_int_equal(s.n_jobs, share_public);
        if (share_public)
            assert_false(s.jobs[0].ask.has_network);
        else
            server_scene_check_error(stream, "forbidden", "");
        server_scene_clear(&s);
    }
}

/* The node is public: without the claim the same nodes are served. */
static void a_false_claim_is_refused_and_counted_not_served_in_public(void **state)
{
    (void)state;
    server_scene s;
    join(&s, true);
    tl_node_id elsewhere = {.key = {9}};
    tl_quic_stream *streams[] = {ask_for(&s, &outsider, &s.members.lab->id),
                                 ask_for(&s, &outsider, &elsewhere),
                                 ask_for(&s, &peer_id, &elsewhere)};
    server_scene_pass(&s, TL_SERVER_PROOF_WITHIN);
    for (int i = 0; i < 3; i++)
        server_scene_check_error(streams[i], "forbidden", "");
    assert_int_equal(s.n_jobs, 0);
    assert_int_equal(tl_server_counters_of(s.server)->refused, 3);
    assert_int_equal(tl_server_counters_of(s.server)->refused_claims, 3);
    (void)ask_for(&s, &outsider, NULL);
    (void)ask_for(&s, &peer_id, &s.members.lab->id);
    assert_int_equal(s.n_jobs, 2);
    assert_false(s.jobs[0].ask.has_network);
    server_scene_clear(&s);
}

static void what_an_outsider_hears_is_the_same_for_every_network(void **state)
{
    (void)state;
    server_scene s;
    join(&s, true);
    tl_node_id elsewhere = {.key = {9}};
    tl_quic_stream *ours = ask_for(&s, &outsider, &s.members.lab->id);
    tl_quic_stream *other = ask_for(&s, &outsider, &elsewhere);
    for (tl_time waited = 0; waited < TL_SERVER_PROOF_WITHIN;
         waited += TL_SERVER_PROOF_WITHIN / 2) {
        assert_int_equal(ours->out.len + other->out.len, 0);
        server_scene_pass(&s, TL_SERVER_PROOF_WITHIN / 2);
    }
    assert_true(ours->out.len > 0);
    assert_true(tl_slice_eq(tl_buf_slice(&ours->out), tl_buf_slice(&other->out)));
    server_scene_clear(&s);
}

static void a_request_that_overtook_its_certificate_waits_for_it(void **state)
{
    (void)state;
    server_scene s;
    join(&s, false);
    tl_quic_stream *stream = ask_for(&s, &outsider, &s.members.lab->id);
    server_scene_pass(&s, TL_SERVER_PROOF_WITHIN - 1);
    tl_server_on_book(s.server); /* of somebody else */
    assert_int_equal(s.n_jobs, 0);
    assert_int_equal(tl_server_running(s.server), 0); /* it holds no place meanwhile */
    members_add(&s.members, &outsider, TL_ROLE_CONSUMER, TL_PTN_NO_END);
    tl_server_on_book(s.server);
    assert_int_equal(s.n_jobs, 1);
    assert_true(tl_slice_eq(tl_buf_slice(&s.jobs[0].body), TL_SLICE_LIT(QUESTION)));
    assert_int_equal(stream->out.len, 0);
    server_scene_clear(&s);
}

static void what_comes_behind_a_request_that_waits_is_read_later_and_all_of_it(void **state)
{
    (void)state;
    for (int proven = 0; proven < 2; proven++) {
        server_scene s;
        join(&s, false);
        char hex[TL_NODE_ID_HEX + 1], text[512];
        tl_node_id_write(hex, &s.members.lab->id);
        snprintf(text, sizeof text,
                 "{\"inferenceRequest\":{\"requestID\":\"r1\",\"model\":\"m\",\"streaming\":true,"
                 "\"path\":\"/v1/chat/completions\",\"contentType\":\"application/json\","
                 "\"ptnID\":\"%s\"}}",
                 hex);
        tl_quic_stream *stream = s.streams[s.n_streams++] = fake_stream_new();
        tl_server_on_stream(s.server, &outsider, stream);
        fake_lay_text(stream, TL_FRAME_MESSAGE, text);
        fake_arrives(stream);
        fake_lay_text(stream, TL_FRAME_BODY, "{\"model\":");
        fake_arrives(stream);
        fake_lay_text(stream, TL_FRAME_BODY, "\"m\"}");
        fake_ends(stream);
        assert_int_equal(s.n_jobs, 0);
        if (proven) {
            members_add(&s.members, &outsider, TL_ROLE_CONSUMER, TL_PTN_NO_END);
            tl_server_on_book(s.server);
            assert_int_equal(s.n_jobs, 1);
            assert_true(tl_slice_eq(tl_buf_slice(&s.jobs[0].body), TL_SLICE_LIT(QUESTION)));
        } else {
            server_scene_pass(&s, TL_SERVER_PROOF_WITHIN);
            server_scene_check_error(stream, "forbidden", "");
            assert_int_equal(s.n_jobs, 0);
        }
        server_scene_clear(&s);
    }
}

static void a_request_that_waits_may_be_given_up(void **state)
{
    (void)state;
    server_scene s;
    join(&s, false);
    fake_resets(ask_for(&s, &outsider, &s.members.lab->id));
    server_scene_pass(&s, TL_SERVER_PROOF_WITHIN);
    assert_true(tl_server_is_idle(s.server));
    server_scene_clear(&s);
}

/* A node whose key a signed list may name. */
static tl_node_id revocable(server_scene *s)
{
    tl_node_id id = s->members.authority.id;
    members_add(&s->members, &id, TL_ROLE_CONSUMER, TL_PTN_NO_END);
    return id;
}

static void an_answer_to_a_revoked_node_ends_and_no_other_does(void **state)
{
    (void)state;
    server_scene s;
    join(&s, true);
    tl_node_id gone = revocable(&s);
    tl_quic_stream *stream = ask_for(&s, &gone, &s.members.lab->id);
    tl_quic_stream *stays = ask_for(&s, &peer_id, &s.members.lab->id);
    (void)ask_for(&s, &gone, NULL); /* which may ask in public like anybody */
    assert_int_equal(s.n_jobs, 3);
    tl_server_on_book(s.server); /* nothing has changed */
    assert_false(s.jobs[0].cancelled);
    members_revoke(&s.members, &gone);
    tl_server_on_book(s.server);
    assert_true(s.jobs[0].cancelled);
    assert_int_equal(s.done, TL_FAIL_FORBIDDEN);
    server_scene_check_error(stream, "forbidden", "");
    assert_false(s.jobs[1].cancelled || s.jobs[2].cancelled);
    assert_int_equal(stays->out.len, 0);
    server_scene_check_error(ask_for(&s, &gone, &s.members.lab->id), "forbidden", "");
    server_scene_clear(&s);
}

/* The slot of the answer that ends is not for the questions that end with it. */
static void no_slot_is_given_to_what_waits_when_its_certificate_ends(void **state)
{
    (void)state;
    for (int revoked = 0; revoked < 2; revoked++) {
        server_scene s;
        join(&s, true);
        server_scene_queue(&s, 1);
        tl_node_id gone = s.members.authority.id;
        members_add(&s.members, &gone, TL_ROLE_CONSUMER,
                    revoked ? TL_PTN_NO_END : FAKE_ENV_WALL + 9);
        tl_quic_stream *streams[2];
        for (int i = 0; i < 2; i++)
            streams[i] = ask_for(&s, &gone, &s.members.lab->id);
        (void)ask_for(&s, &peer_id, &s.members.lab->id);
        s.env.later = 9; /* its last second */
        tl_server_on_book(s.server);
        tl_slots_run(s.slots);
        assert_int_equal(s.n_jobs, 1);
        assert_false(s.jobs[0].cancelled);
        s.env.later = 10;
        if (revoked)
            members_revoke(&s.members, &gone);
        tl_server_on_book(s.server);
        assert_true(s.jobs[0].cancelled);
        assert_int_equal(s.n_jobs, 1); /* nobody has the slot before all are judged */
        tl_slots_run(s.slots);
        assert_int_equal(s.n_jobs, 2);
        assert_true(tl_node_id_eq(&s.jobs[1].ask.requester, &peer_id));
        for (int i = 0; i < 2; i++)
            server_scene_check_error(streams[i], "forbidden", "");
        server_scene_clear(&s);
    }
}

static void what_a_revoked_node_has_not_read_yet_is_not_sent(void **state)
{
    (void)state;
    server_scene s;
    join(&s, true);
    tl_node_id gone = revocable(&s);
    tl_quic_stream *stream = ask_for(&s, &gone, &s.members.lab->id);
    job_head(&s.jobs[0]);
    stream->room = 0;
    job_body_until_paused(&s.jobs[0]);
    members_revoke(&s.members, &gone);
    tl_server_on_book(s.server);
    server_scene_check_reset(stream, TL_CODE_CANCELLED);
    assert_true(s.jobs[0].cancelled);
    server_scene_clear(&s);
}

static void a_request_whose_body_still_comes_is_refused_with_its_certificate(void **state)
{
    (void)state;
    server_scene s;
    join(&s, false);
    tl_node_id gone = revocable(&s);
    char hex[TL_NODE_ID_HEX + 1], text[512];
    tl_node_id_write(hex, &s.members.lab->id);
    snprintf(text, sizeof text,
             "{\"inferenceRequest\":{\"requestID\":\"r1\",\"model\":\"m\",\"streaming\":true,"
             "\"path\":\"/v1/chat/completions\",\"contentType\":\"application/json\",\"ptnID\":"
             "\"%s\"}}",
             hex);
    tl_quic_stream *stream = s.streams[s.n_streams++] = fake_stream_new();
    tl_server_on_stream(s.server, &gone, stream);
    fake_lay_text(stream, TL_FRAME_MESSAGE, text);
    fake_arrives(stream);
    assert_int_equal(tl_server_running(s.server), 1);
    members_revoke(&s.members, &gone);
    tl_server_on_book(s.server);
    server_scene_check_error(stream, "forbidden", "");
    assert_int_equal(tl_server_running(s.server), 0);
    server_scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_served_for_its_network),
        cmocka_unit_test(without_naming_it_a_member_is_served_in_public_or_not_at_all),
        cmocka_unit_test(a_false_claim_is_refused_and_counted_not_served_in_public),
        cmocka_unit_test(what_an_outsider_hears_is_the_same_for_every_network),
        cmocka_unit_test(a_request_that_overtook_its_certificate_waits_for_it),
        cmocka_unit_test(what_comes_behind_a_request_that_waits_is_read_later_and_all_of_it),
        cmocka_unit_test(a_request_that_waits_may_be_given_up),
        cmocka_unit_test(an_answer_to_a_revoked_node_ends_and_no_other_does),
        cmocka_unit_test(no_slot_is_given_to_what_waits_when_its_certificate_ends),
        cmocka_unit_test(what_a_revoked_node_has_not_read_yet_is_not_sent),
        cmocka_unit_test(a_request_whose_body_still_comes_is_refused_with_its_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
