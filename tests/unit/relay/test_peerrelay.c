#include "peerrelay_scene.h"

/* Sides A and B with a relay session, both come. */
static void an_attached_node_is_told_its_address_and_forgotten_after_a_minute(void **state)
{
    (void)state;
    scene s;
    tl_time until;
    begin(&s);
    attach(&s, B);
    assert_int_equal(attaches(&s, TL_ASKED_TAKEN), 1);
    assert_true(tl_attached_has(s.config.attached, &s.id[B].id, &until));
    assert_true(until == s.now + 60 * TL_SEC);
    assert_true(tl_peerrelay_expiry(s.r) == until);
    tick(&s, 25 * TL_SEC);
    attach(&s, B);
    assert_int_equal(attaches(&s, TL_ASKED_AGAIN), 1);
    tick(&s, 59 * TL_SEC);
    assert_true(tl_attached_has(s.config.attached, &s.id[B].id, &until));
    tick(&s, 1 * TL_SEC);
    assert_false(tl_attached_has(s.config.attached, &s.id[B].id, &until));
    assert_int_equal(tl_attached_counters_of(s.config.attached)->attached, 0);
    assert_true(tl_peerrelay_expiry(s.r) == TL_NEVER);
    end(&s);
}

static void a_request_is_answered_by_an_offer_to_each_side_with_a_token_of_its_own(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    attach(&s, B);
    tl_control c = request_of(&s, A, B);
    write_signed(&s, &s.at[A], &c);
    assert_int_equal(s.n_sent, 2);
    assert_true(s.sent[0].n <= 400 && s.sent[1].n <= 400);
    assert_true(tl_addr_eq(&s.sent[0].to, &s.at[B]) || tl_addr_eq(&s.sent[1].to, &s.at[B]));
    offers[0] = *sent_to(&s, A, TL_CONTROL_RELAY_OFFER);
    offers[1] = *sent_to(&s, B, TL_CONTROL_RELAY_OFFER);
    tl_addr here = addr_of("198.18.0.1:4433");
    for (int i = 0; i < 2; i++) {
        const tl_control *o = &offers[i];
        assert_int_equal(tl_control_verify(o, &s.self.id), TL_OK);
        assert_memory_equal(o->to, s.id[i ? B : A].id.key, 32);
        assert_memory_equal(o->peer, s.id[i ? A : B].id.key, 32);
        assert_memory_equal(o->relay, s.self.id.key, 32);
        assert_memory_equal(o->nonce, c.nonce, 16);
        assert_true(tl_addr_eq(&o->addr, &here));
        assert_int_equal(o->limit, 64 * 1024);
        assert_int_equal(o->expires_at, wall(&s) + 600);
        assert_true(tl_control_is_fresh(o, wall(&s)));
        assert_true(tl_token_is_first(o->token[0]));
        assert_string_equal(o->session, offers[0].session);
        assert_int_equal(strlen(o->session), 32);
    }
    assert_memory_not_equal(offers[0].token, offers[1].token, 16);
    assert_int_equal(requests(&s, TL_ASKED_TAKEN), 1);
    end(&s);
}

static void packets_pass_without_their_token_and_trains_stay_whole(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    static uint8_t train[4 * (TL_TOKEN_SIZE + 100)];
    begin(&s);
    join(&s, A, B, offers);
    for (size_t i = 0; i < 4; i++) {
        uint8_t *p = train + i * 116;
        memcpy(p, offers[0].token, 16);
        memset(p + 16, (int)i + 1, 100);
    }
    tl_burst_way way = way_from(&s.at[A]);
    tl_peerrelay_on_datagrams(s.r, &way, train, sizeof train, 116, s.now);
    const tl_bursts *bursts = tl_peerrelay_bursts(s.r);
    assert_int_equal(bursts->n, 1); /* one call of the kernel */
    assert_int_equal(bursts->items[0].count, 4);
    assert_int_equal(bursts->items[0].size, 100);
    assert_true(tl_addr_eq(&bursts->items[0].way.remote, &s.at[B]));
    tl_peerrelay_sent(s.r);
    /* one foreign token inside a train stops nothing but itself */
    train[116] ^= 1;
    write_raw(&s, &s.at[A], train, sizeof train, 116);
    assert_int_equal(s.n_sent, 3);
    assert_int_equal(s.sent[1].bytes[0], 3);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_TOKEN), 1);
    train[116] ^= 1;
    write_raw(&s, &s.at[A], train, 116 + 9, 116); /* the last segment has no whole token */
    assert_int_equal(s.n_sent, 1);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SHORT), 1);
    tl_peerrelay_session list[2];
    assert_int_equal(tl_peerrelay_list(s.r, list, 2), 1);
    assert_int_equal(list[0].bytes, 8 * 100);
    assert_true(tl_node_id_eq(&list[0].node[0], &s.id[A].id));
    end(&s);
}

static void what_comes_before_the_other_side_waits_for_it(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    attach(&s, B);
    request(&s, A, B, offers);
    for (size_t i = 0; i < 4; i++) {
        write_packet(&s, &s.at[A], offers[0].token, 1200 + i);
        assert_int_equal(s.n_sent, 0); /* nothing goes where nobody has answered */
    }
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SLOW), 1);
    write_packet(&s, &s.at[B], offers[1].token, 0);
    assert_int_equal(s.n_sent, 3);
    assert_int_equal(s.sent[0].n, 1200);
    assert_int_equal(s.sent[2].n, 1202);
    assert_true(tl_addr_eq(&s.sent[0].to, &s.at[B]));
    assert_int_equal(tl_peerrelay_tokens(s.r)->packets[TL_TOKENS_BY_UDP][TL_TOKENS_BY_UDP], 3);
    end(&s);
}

static void what_waited_longer_than_two_seconds_is_dropped(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    attach(&s, B);
    request(&s, A, B, offers);
    write_packet(&s, &s.at[A], offers[0].token, 500);
    tick(&s, 2 * TL_SEC);
    write_packet(&s, &s.at[B], offers[1].token, 0);
    assert_int_equal(s.n_sent, 0);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SLOW), 1);
    write_packet(&s, &s.at[A], offers[0].token, 500);
    assert_int_equal(s.n_sent, 1);
    end(&s);
}

static void a_request_again_gives_the_same_session_in_either_direction(void **state)
{
    (void)state;
    scene s;
    tl_control first[2], again[2];
    begin(&s);
    join(&s, A, B, first);
    tick(&s, TL_SEC);
    request(&s, A, B, again);
    assert_string_equal(first[0].session, again[0].session);
    assert_memory_equal(first[0].token, again[0].token, 16);
    assert_memory_equal(first[1].token, again[1].token, 16);
    assert_memory_not_equal(first[0].nonce, again[0].nonce, 16);
    assert_int_equal(first[0].expires_at, again[0].expires_at);
    attach(&s, A);
    tick(&s, TL_SEC);
    request(&s, B, A, again); /* B asks now */
    assert_string_equal(first[0].session, again[0].session);
    assert_memory_equal(first[1].token, again[0].token, 16);
    assert_memory_equal(first[0].token, again[1].token, 16);
    assert_int_equal(requests(&s, TL_ASKED_AGAIN), 2);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->sessions, 1);
    end(&s);
}

static void a_side_that_comes_from_elsewhere_gets_a_new_session_and_the_old_one_ends(void **state)
{
    (void)state;
    scene s;
    tl_control first[2], again[2];
    begin(&s);
    join(&s, A, B, first);
    s.at[A] = addr_of("198.18.7.7:7777"); /* started again, on another port */
    request(&s, A, B, again);
    assert_string_not_equal(first[0].session, again[0].session);
    assert_int_equal(first[0].expires_at, again[0].expires_at); /* no more time by it */
    assert_int_equal(tl_peerrelay_counters_of(s.r)->sessions, 1);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->ended_moved, 1);
    write_packet(&s, &s.at[B], first[1].token, 10);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_TOKEN), 1);
    write_packet(&s, &s.at[A], again[0].token, 0);
    write_packet(&s, &s.at[B], again[1].token, 10);
    assert_int_equal(s.n_sent, 1);
    assert_true(tl_addr_eq(&s.sent[0].to, &s.at[A]));
    end(&s);
}

static void a_target_with_a_direct_way_needs_no_attach(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    s.direct = &s.id[B].id;
    s.direct_at = s.at[B];
    request(&s, A, B, offers);
    tl_control c = request_of(&s, A, C); /* C has none */
    write_signed(&s, &s.at[A], &c);
    assert_int_equal(s.n_sent, 0);
    assert_int_equal(requests(&s, TL_ASKED_ABSENT), 1);
    end(&s);
}

static void both_sides_are_warned_three_times_before_the_time_is_over(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    join(&s, A, B, offers);
    for (int i = 0; i < 19; i++) { /* kept alive by a token alone */
        tick(&s, 30 * TL_SEC);
        write_packet(&s, &s.at[A], offers[0].token, 0);
    }
    /* 570 s have passed: the first warning has just gone out */
    assert_int_equal(tl_peerrelay_counters_of(s.r)->warnings, 2);
    tick(&s, TL_SEC);
    const tl_control *w = sent_to(&s, B, TL_CONTROL_RELAY_WARNING);
    assert_non_null(w);
    assert_non_null(sent_to(&s, A, TL_CONTROL_RELAY_WARNING));
    assert_int_equal(tl_control_verify(w, &s.self.id), TL_OK);
    assert_string_equal(w->session, offers[0].session);
    assert_memory_equal(w->nonce, offers[0].nonce, 16);
    assert_int_equal(w->ends_at, offers[0].expires_at);
    tick(&s, TL_SEC);
    assert_int_equal(s.n_sent, 2);
    tick(&s, 10 * TL_SEC);
    assert_int_equal(s.n_sent, 0);
    write_packet(&s, &s.at[A], offers[0].token, 100);
    assert_int_equal(s.n_sent, 1); /* it still passes */
    tick(&s, 18 * TL_SEC);
    write_packet(&s, &s.at[A], offers[0].token, 100);
    assert_int_equal(s.n_sent, 0);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_TOKEN), 1);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->ended_max, 1);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->sessions, 0);
    end(&s);
}

static void a_reciprocal_node_has_the_wider_rate_and_no_end(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    s.reciprocal = &s.id[A].id;
    join(&s, A, B, offers);
    assert_int_equal(offers[0].limit, 256 * 1024);
    assert_int_equal(offers[1].limit, 64 * 1024);
    assert_int_equal(offers[0].expires_at, 0);
    assert_int_equal(offers[1].expires_at, 0);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->reciprocal, 1);
    for (int i = 0; i < 40; i++) {
        tick(&s, 30 * TL_SEC);
        write_packet(&s, &s.at[A], offers[0].token, 1);
        assert_int_equal(s.n_sent, 1); /* after 20 minutes, too */
    }
    assert_int_equal(tl_peerrelay_counters_of(s.r)->warnings, 0);
    end(&s);
}

static void a_session_without_packets_ends_after_a_minute(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    join(&s, A, B, offers);
    tick(&s, 59 * TL_SEC);
    write_packet(&s, &s.at[B], offers[1].token, 0); /* a keep-alive is enough */
    tick(&s, 59 * TL_SEC);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->sessions, 1);
    tick(&s, TL_SEC);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->sessions, 0);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->ended_idle, 1);
    end(&s);
}

static void sessions_to_which_a_side_never_came_make_room_for_others(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2], first[2], c;
    begin(&s);
    attach(&s, B);
    request(&s, A, B, first);
    write_packet(&s, &s.at[A], first[0].token, 0);
    write_packet(&s, &s.at[B], first[1].token, 0);
    for (int i = 1; i < 50; i++) { /* from addresses where nobody is */
        s.at[C].port = (uint16_t)(6000 + i);
        assert_int_equal(tl_identity_new(&s.rand, &s.id[C]), TL_OK);
        request(&s, C, B, offers);
        write_packet(&s, &s.at[B], offers[1].token, 0); /* one side is not enough */
    }
    c = request_of(&s, D, B);
    write_signed(&s, &s.at[D], &c);
    assert_int_equal(requests(&s, TL_ASKED_FULL), 1); /* they may still come */
    tick(&s, TL_PEERRELAY_COME_WITHIN);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->sessions, 50); /* while nobody needs the room */
    request(&s, D, B, offers);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->sessions, 50);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->ended_idle, 1);
    write_packet(&s, &s.at[A], first[0].token, 10); /* who has come stays */
    assert_int_equal(s.n_sent, 1);
    end(&s);
}

static void who_is_not_served_any_more_loses_its_sessions_at_once(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2], others[2];
    tl_time until;
    begin(&s);
    join(&s, A, B, offers);
    join(&s, C, D, others);
    attach(&s, A);
    s.refused = &s.id[A].id;
    tl_attached_review(s.config.attached, s.now);
    tl_peerrelay_review(s.r, s.now, wall(&s));
    write_packet(&s, &s.at[B], offers[1].token, 10);
    assert_int_equal(s.n_sent, 0);
    assert_false(tl_attached_has(s.config.attached, &s.id[A].id, &until));
    assert_true(tl_attached_has(s.config.attached, &s.id[B].id, &until));
    assert_int_equal(tl_peerrelay_counters_of(s.r)->ended_policy, 1);
    write_packet(&s, &s.at[C], others[0].token, 10);
    assert_int_equal(s.n_sent, 1);
    end(&s);
}

static void a_review_gives_a_running_session_its_new_rate(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    join(&s, A, B, offers);
    s.reciprocal = &s.id[A].id;
    tl_peerrelay_review(s.r, s.now, wall(&s));
    tick(&s, TL_SEC);
    uint64_t passed = 0;
    for (int i = 0; i < 2000; i++) { /* 2 MB in a second */
        write_packet(&s, &s.at[A], offers[0].token, 1000);
        passed += s.bytes_sent;
        s.now += TL_SEC / 2000;
    }
    assert_in_range(passed, 256 * 1024, (256 + 128) * 1024); /* and what may come at once */
    end(&s);
}

static void a_session_in_which_nobody_is_reciprocal_any_more_gets_an_end(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    s.reciprocal = &s.id[A].id;
    join(&s, A, B, offers);
    tick(&s, 50 * TL_SEC);
    tl_peerrelay_review(s.r, s.now, wall(&s)); /* still: nothing changes */
    write_packet(&s, &s.at[A], offers[0].token, 1);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->reciprocal, 1);
    s.reciprocal = NULL; /* who vouched for it was revoked */
    for (int i = 0; i < 57; i++) {
        tl_peerrelay_review(s.r, s.now, wall(&s));
        tick(&s, 10 * TL_SEC);
        write_packet(&s, &s.at[A], offers[0].token, 1);
        assert_int_equal(s.n_sent, 1);
    }
    assert_int_equal(tl_peerrelay_counters_of(s.r)->warnings, 2); /* one to each side */
    tick(&s, 30 * TL_SEC);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->sessions, 0);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->ended_max, 1);
    end(&s);
}

static void a_pair_that_had_its_time_loses_the_session_of_its_reciprocal_days(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    join(&s, A, B, offers);
    for (int i = 0; i < 12; i++) { /* ten minutes */
        tick(&s, 50 * TL_SEC);
        write_packet(&s, &s.at[A], offers[0].token, 0);
    }
    assert_int_equal(tl_peerrelay_counters_of(s.r)->ended_max, 1);
    s.reciprocal = &s.id[B].id;
    join(&s, A, B, offers); /* the pause is not for a reciprocal one */
    s.reciprocal = NULL;
    tl_peerrelay_review(s.r, s.now, wall(&s));
    assert_int_equal(tl_peerrelay_counters_of(s.r)->sessions, 0);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->ended_max, 2);
    end(&s);
}

static void a_node_that_shuts_down_warns_all_sides_and_takes_nothing_new(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    s.reciprocal = &s.id[A].id;
    join(&s, A, B, offers);
    tl_peerrelay_leave(s.r, s.now, wall(&s) + 5);
    assert_int_equal(tl_peerrelay_bursts(s.r)->n, 2);
    tick(&s, TL_SEC);
    const tl_control *w = sent_to(&s, A, TL_CONTROL_RELAY_WARNING);
    assert_non_null(w);
    assert_int_equal(w->ends_at, wall(&s) + 4);
    tl_control c = request_of(&s, C, B);
    write_signed(&s, &s.at[C], &c);
    c = attach_of(&s, C);
    write_signed(&s, &s.at[C], &c);
    assert_int_equal(requests(&s, TL_ASKED_POLICY), 1);
    assert_int_equal(attaches(&s, TL_ASKED_POLICY), 1);
    write_packet(&s, &s.at[A], offers[0].token, 10);
    assert_int_equal(s.n_sent, 1);
    end(&s);
}

static void nothing_new_is_taken_while_no_public_address_is_known(void **state)
{
    (void)state;
    scene s;
    tl_addr none = {0}, v4 = addr_of("198.18.0.1:4433");
    tl_control offers[2];
    begin(&s);
    join(&s, A, B, offers);
    tl_peerrelay_set_address(s.r, &none, &none);
    tl_attached_set_address(s.config.attached, &none, &none);
    tl_control c = attach_of(&s, C);
    write_signed(&s, &s.at[C], &c);
    assert_int_equal(s.n_sent, 0);
    assert_int_equal(attaches(&s, TL_ASKED_ADDRESS), 1);
    write_packet(&s, &s.at[A], offers[0].token, 10); /* what runs goes on */
    assert_int_equal(s.n_sent, 1);
    tl_peerrelay_set_address(s.r, &v4, &none);
    tl_attached_set_address(s.config.attached, &v4, &none);
    attach(&s, C);
    s.at[D] = addr_of("[2001:db8::d]:4"); /* IPv6 has no proven address */
    c = attach_of(&s, D);
    write_signed(&s, &s.at[D], &c);
    assert_int_equal(attaches(&s, TL_ASKED_ADDRESS), 2);
    end(&s);
}

static void a_side_moves_by_a_signed_word_and_an_answer_from_there(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    tl_addr old, there = addr_of("198.18.9.9:9999");
    begin(&s);
    join(&s, A, B, offers);
    old = s.at[A];
    tl_control c = {.type = TL_CONTROL_RELAY_MIGRATE,
                    .addr = there,
                    .sequence = 1,
                    .timestamp = (uint64_t)wall(&s)};
    memcpy(c.token, offers[0].token, 16);
    sign_as(&c, &s.id[A]);
    write_signed(&s, &old, &c);
    s.at[A] = there;
    const tl_control *path = sent_to(&s, A, TL_CONTROL_RELAY_PATH);
    assert_non_null(path);
    tl_control reply = {.type = TL_CONTROL_RELAY_PATH_REPLY};
    memcpy(reply.nonce, path->nonce, 16);
    memcpy(reply.token, offers[0].token, 16);
    write_packet(&s, &s.at[B], offers[1].token, 10);
    assert_true(tl_addr_eq(&s.sent[0].to, &old)); /* until the answer */
    write_signed(&s, &there, &reply);
    assert_non_null(sent_to(&s, A, TL_CONTROL_RELAY_MIGRATED));
    write_packet(&s, &s.at[B], offers[1].token, 10);
    assert_true(tl_addr_eq(&s.sent[0].to, &there));
    assert_int_equal(tl_peerrelay_tokens(s.r)->moved, 1);
    end(&s);
}

static void what_waits_for_a_side_goes_there_also_when_it_comes_by_a_move(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    attach(&s, B);
    request(&s, A, B, offers);
    write_packet(&s, &s.at[A], offers[0].token, 700);
    tl_control c = {.type = TL_CONTROL_RELAY_MIGRATE,
                    .addr = s.at[B],
                    .sequence = 1,
                    .timestamp = (uint64_t)wall(&s)};
    memcpy(c.token, offers[1].token, 16);
    sign_as(&c, &s.id[B]);
    write_signed(&s, &s.at[B], &c);
    const tl_control *path = sent_to(&s, B, TL_CONTROL_RELAY_PATH);
    assert_non_null(path);
    tl_control reply = {.type = TL_CONTROL_RELAY_PATH_REPLY};
    memcpy(reply.nonce, path->nonce, 16);
    memcpy(reply.token, offers[1].token, 16);
    write_signed(&s, &s.at[B], &reply);
    assert_int_equal(s.n_sent, 2);
    assert_int_equal(s.sent[0].n + s.sent[1].n > 700, 1);
    end(&s);
}

static void unanswered_moves_are_asked_for_three_times(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    size_t sent = 0;
    begin(&s);
    join(&s, A, B, offers);
    tl_control c = {.type = TL_CONTROL_RELAY_MIGRATE,
                    .addr = addr_of("198.18.66.66:53"), /* somebody else's */
                    .sequence = 1,
                    .timestamp = (uint64_t)wall(&s)};
    memcpy(c.token, offers[0].token, 16);
    sign_as(&c, &s.id[A]);
    write_signed(&s, &s.at[A], &c);
    uint64_t bytes = s.bytes_sent;
    sent = s.n_sent;
    for (int i = 0; i < 10; i++) {
        tick(&s, 500 * TL_MS);
        sent += s.n_sent;
        bytes += s.bytes_sent;
    }
    assert_int_equal(sent, 3);
    uint8_t raw[TL_CONTROL_MAX];
    assert_true(bytes <= tl_control_write(&c, raw));
    assert_int_equal(tl_peerrelay_tokens(s.r)->unanswered, 1);
    end(&s);
}

static void datagrams_of_other_types_are_for_somebody_else(void **state)
{
    (void)state;
    static const uint8_t path[] = {0x0C, 7, 0x80}, odd[] = {0x0C, 99}, one[] = {0x0C};
    scene s;
    begin(&s);
    tl_burst_way way = way_from(&s.at[A]);
    assert_false(tl_peerrelay_on_control(s.r, &way, tl_slice_of(path, 3), s.now, WALL));
    assert_false(tl_peerrelay_on_control(s.r, &way, tl_slice_of(odd, 2), s.now, WALL));
    assert_false(tl_peerrelay_on_control(s.r, &way, tl_slice_of(one, 1), s.now, WALL));
    for (int i = 0; i < TL_ASKED_RESULTS; i++)
        assert_true(tl_asked_name((tl_asked)i)[0]);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_attached_node_is_told_its_address_and_forgotten_after_a_minute),
        cmocka_unit_test(a_request_is_answered_by_an_offer_to_each_side_with_a_token_of_its_own),
        cmocka_unit_test(packets_pass_without_their_token_and_trains_stay_whole),
        cmocka_unit_test(what_comes_before_the_other_side_waits_for_it),
        cmocka_unit_test(what_waited_longer_than_two_seconds_is_dropped),
        cmocka_unit_test(a_request_again_gives_the_same_session_in_either_direction),
        cmocka_unit_test(a_side_that_comes_from_elsewhere_gets_a_new_session_and_the_old_one_ends),
        cmocka_unit_test(a_target_with_a_direct_way_needs_no_attach),
        cmocka_unit_test(both_sides_are_warned_three_times_before_the_time_is_over),
        cmocka_unit_test(a_reciprocal_node_has_the_wider_rate_and_no_end),
        cmocka_unit_test(a_session_without_packets_ends_after_a_minute),
        cmocka_unit_test(sessions_to_which_a_side_never_came_make_room_for_others),
        cmocka_unit_test(who_is_not_served_any_more_loses_its_sessions_at_once),
        cmocka_unit_test(a_review_gives_a_running_session_its_new_rate),
        cmocka_unit_test(a_session_in_which_nobody_is_reciprocal_any_more_gets_an_end),
        cmocka_unit_test(a_pair_that_had_its_time_loses_the_session_of_its_reciprocal_days),
        cmocka_unit_test(a_node_that_shuts_down_warns_all_sides_and_takes_nothing_new),
        cmocka_unit_test(nothing_new_is_taken_while_no_public_address_is_known),
        cmocka_unit_test(a_side_moves_by_a_signed_word_and_an_answer_from_there),
        cmocka_unit_test(what_waits_for_a_side_goes_there_also_when_it_comes_by_a_move),
        cmocka_unit_test(unanswered_moves_are_asked_for_three_times),
        cmocka_unit_test(datagrams_of_other_types_are_for_somebody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
