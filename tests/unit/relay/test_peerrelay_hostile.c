/* What strangers try at a node that relays: each beside its accepted twin. */
#include "peerrelay_scene.h"

static void refused_request(scene *s, const tl_control *c, tl_asked why)
{
    uint64_t before = requests(s, why), sessions = tl_peerrelay_counters_of(s->r)->sessions;
    write_signed(s, &s->at[A], c);
    assert_int_equal(s->n_sent, 0);
    assert_int_equal(requests(s, why), before + 1);
    assert_int_equal(tl_peerrelay_counters_of(s->r)->sessions, sessions);
}

static void a_million_guessed_tokens_move_nothing(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    join(&s, A, B, offers);
    enum { TRAIN = 1000, SIZE = TL_TOKEN_SIZE + 4 };
    static uint8_t train[TRAIN * SIZE];
    tl_burst_way way = way_from(&s.at[A]);
    for (int i = 0; i < 1000; i++) {
        tl_rand_bytes(&s.rand, train, sizeof train);
        for (int k = 0; k < TRAIN; k++) {
            uint8_t *p = &train[(size_t)k * SIZE];
            p[0] = 0x80 | (p[0] & 0x3F);
            if (k % 4 == 0) /* and near misses */
                memcpy(p, offers[0].token, 15);
            p[15] = offers[0].token[15] == p[15] ? (uint8_t)~p[15] : p[15];
        }
        tl_peerrelay_on_datagrams(s.r, &way, train, sizeof train, SIZE, s.now);
        assert_int_equal(tl_peerrelay_bursts(s.r)->n, 0);
    }
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_TOKEN), 1000000);
    write_packet(&s, &s.at[A], offers[0].token, 4);
    assert_int_equal(s.n_sent, 1);
    end(&s);
}

static void a_stolen_token_is_worth_nothing_from_another_address(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    join(&s, A, B, offers);
    tl_addr port = s.at[A];
    port.port++;
    write_packet(&s, &s.at[C], offers[0].token, 10);
    assert_int_equal(s.n_sent, 0);
    write_packet(&s, &port, offers[0].token, 10);
    assert_int_equal(s.n_sent, 0);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SOURCE), 2);
    write_packet(&s, &s.at[B], offers[1].token, 10);
    assert_true(tl_addr_eq(&s.sent[0].to, &s.at[A]));
    write_packet(&s, &s.at[A], offers[0].token, 10);
    assert_int_equal(s.n_sent, 1);
    end(&s);
}

static void lengths_at_the_edges(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    s.reciprocal = &s.id[A].id;
    join(&s, A, B, offers);
    static uint8_t bytes[65507];
    memcpy(bytes, offers[0].token, 16);
    tl_burst_way way = way_from(&s.at[A]);
    tl_peerrelay_on_datagrams(s.r, &way, bytes, 0, 1, s.now); /* no bytes at all */
    write_raw(&s, &s.at[A], bytes, 15, 15);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SHORT), 1);
    write_raw(&s, &s.at[A], bytes, 16, 16);
    assert_int_equal(s.n_sent, 0);
    write_raw(&s, &s.at[A], bytes, 17, 17);
    assert_int_equal(s.n_sent, 1);
    assert_int_equal(s.sent[0].n, 1);
    s.now += TL_SEC;                                            /* earns it */
    write_raw(&s, &s.at[A], bytes, sizeof bytes, sizeof bytes); /* the longest there is */
    assert_int_equal(s.bytes_sent, sizeof bytes - 16);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SHORT), 1);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SIZE), 0);
    end(&s);
}

static void requests_that_are_not_exactly_right_are_silently_refused(void **state)
{
    (void)state;
    scene s;
    tl_control c, good;
    tl_control offers[2];
    uint8_t bytes[TL_CONTROL_MAX + 1];
    begin(&s);
    attach(&s, B);
    c = request_of(&s, A, B); /* for another relay */
    memcpy(c.relay, s.id[C].id.key, 32);
    sign_as(&c, &s.id[A]);
    refused_request(&s, &c, TL_ASKED_ELSEWHERE);
    for (int sign = -1; sign <= 1; sign += 2) { /* old, and of the future */
        c = request_of(&s, A, B);
        c.timestamp = (uint64_t)(wall(&s) + sign * 31);
        sign_as(&c, &s.id[A]);
        refused_request(&s, &c, TL_ASKED_LATE);
    }
    c = request_of(&s, A, B); /* signed by another */
    sign_as(&c, &s.id[C]);
    refused_request(&s, &c, TL_ASKED_FORGED);
    c = request_of(&s, A, B); /* no key at all */
    memset(c.initiator, 0, 32);
    refused_request(&s, &c, TL_ASKED_FORGED);
    c = request_of(&s, A, B); /* the target is changed on the way */
    memcpy(c.target, s.id[C].id.key, 32);
    refused_request(&s, &c, TL_ASKED_ABSENT);
    attach(&s, C);
    refused_request(&s, &c, TL_ASKED_FORGED);
    c = request_of(&s, A, D); /* not attached */
    refused_request(&s, &c, TL_ASKED_ABSENT);
    good = request_of(&s, A, B);
    size_t n = tl_control_write(&good, bytes);
    uint64_t malformed = requests(&s, TL_ASKED_MALFORMED);
    write_control(&s, &s.at[A], tl_slice_of(bytes, 799)); /* too short, */
    write_control(&s, &s.at[A], tl_slice_of(bytes, n - 1));
    bytes[n] = 0;
    write_control(&s, &s.at[A], tl_slice_of(bytes, n + 1)); /* and too long */
    assert_int_equal(requests(&s, TL_ASKED_MALFORMED), malformed + 3);
    assert_int_equal(s.n_sent, 0);
    write_control(&s, &s.at[A], tl_slice_of(bytes, n)); /* the same, right */
    assert_int_equal(s.n_sent, 2);
    refused_request(&s, &good, TL_ASKED_REPLAYED);
    s.at[A] = addr_of("198.18.44.4:44"); /* a thief sends it */
    refused_request(&s, &good, TL_ASKED_REPLAYED);
    tick(&s, 62 * TL_SEC);
    refused_request(&s, &good, TL_ASKED_LATE);
    attach(&s, B);
    request(&s, A, B, offers);
    end(&s);
}

static void no_relay_session_has_this_node_or_one_node_twice_in_it(void **state)
{
    (void)state;
    scene s;
    tl_control c, offers[2];
    begin(&s);
    attach(&s, A);
    attach(&s, B);
    c = request_of(&s, A, A);
    refused_request(&s, &c, TL_ASKED_LOOP);
    memcpy(c.target, s.self.id.key, 32);
    sign_as(&c, &s.id[A]);
    refused_request(&s, &c, TL_ASKED_LOOP);
    memcpy(c.target, s.id[B].id.key, 32);
    memcpy(c.initiator, s.self.id.key, 32);
    sign_as(&c, &s.self);
    refused_request(&s, &c, TL_ASKED_LOOP);
    c = attach_of(&s, A);
    memcpy(c.node, s.self.id.key, 32);
    sign_as(&c, &s.self);
    refused_attach(&s, &s.at[A], &c, TL_ASKED_LOOP);
    request(&s, A, B, offers);
    end(&s);
}

static void nothing_is_relayed_from_or_to_ourselves_or_a_relay_of_ours(void **state)
{
    (void)state;
    scene s;
    tl_control c, offers[2];
    tl_addr here = addr_of("198.18.0.1:4433");
    begin(&s);
    attach(&s, B);
    request(&s, C, B, offers);
    s.ours = s.at[A]; /* A's datagrams come over a relay of ours now */
    c = request_of(&s, A, B);
    refused_request(&s, &c, TL_ASKED_ADDRESS);
    c = attach_of(&s, A);
    refused_attach(&s, &s.at[A], &c, TL_ASKED_ADDRESS);
    refused_attach(&s, &here, &c, TL_ASKED_ADDRESS);
    write_packet(&s, &s.at[A], offers[0].token, 10);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->packets_loop, 1);
    assert_int_equal(tl_peerrelay_tokens(s.r)->udp_sides, 0);
    s.direct = &s.id[D].id; /* the target's address is a relay's */
    s.direct_at = s.ours;
    c = request_of(&s, C, D);
    s.at[A] = s.at[C];
    refused_request(&s, &c, TL_ASKED_ADDRESS);
    s.direct_at = s.at[D];
    request(&s, C, D, offers); /* the twin */
    end(&s);
}

static void a_move_that_is_old_foreign_or_not_proven_is_refused(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    join(&s, A, B, offers);
    const tl_tokens_counters *t = tl_peerrelay_tokens(s.r);
    tl_control c = {.type = TL_CONTROL_RELAY_MIGRATE,
                    .addr = addr_of("198.18.9.9:9999"),
                    .sequence = 5,
                    .timestamp = (uint64_t)wall(&s)};
    memcpy(c.token, offers[0].token, 16);
    sign_as(&c, &s.id[B]); /* the other side's node */
    write_signed(&s, &s.at[A], &c);
    sign_as(&c, &s.id[C]); /* a foreigner */
    write_signed(&s, &s.at[A], &c);
    c.timestamp -= 31;
    sign_as(&c, &s.id[A]);
    write_signed(&s, &s.at[A], &c);
    assert_int_equal(s.n_sent, 0);
    assert_int_equal(t->refused, 3);
    c.timestamp += 31;
    sign_as(&c, &s.id[A]);
    write_signed(&s, &s.at[A], &c);
    assert_int_equal(s.n_sent, 1);  /* the twin: asks there */
    write_signed(&s, &s.at[A], &c); /* again, */
    c.sequence = 4;
    sign_as(&c, &s.id[A]);
    write_signed(&s, &s.at[A], &c); /* and an older one */
    assert_int_equal(s.n_sent, 0);
    assert_int_equal(t->refused, 5);
    c.sequence = 6;
    c.addr = addr_of("127.0.0.1:22"); /* where no stranger may send us */
    sign_as(&c, &s.id[A]);
    write_signed(&s, &s.at[A], &c);
    assert_int_equal(s.n_sent, 0);
    tl_control reply = {.type = TL_CONTROL_RELAY_PATH_REPLY}; /* a guessed nonce */
    memcpy(reply.token, offers[0].token, 16);
    write_signed(&s, &s.at[C], &reply);
    assert_int_equal(s.n_sent, 0);
    assert_int_equal(t->dropped[TL_TOKENS_DROP_CONTROL], 1);
    assert_int_equal(t->moved, 0);
    write_packet(&s, &s.at[B], offers[1].token, 10);
    assert_true(tl_addr_eq(&s.sent[0].to, &s.at[A]));
    end(&s);
}

static void a_flood_of_forged_signatures_costs_a_bounded_number_of_checks(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    attach(&s, A);
    attach(&s, B);
    tl_control c = request_of(&s, C, B);
    sign_as(&c, &s.id[D]);
    for (int i = 0; i < 3000; i++) { /* from one address, */
        tl_rand_bytes(&s.rand, c.nonce, sizeof c.nonce);
        write_signed(&s, &s.at[C], &c);
    }
    assert_int_equal(requests(&s, TL_ASKED_FORGED), TL_ATTACHED_PROOFS_BURST);
    for (int i = 0; i < 3000; i++) { /* and from many */
        tl_addr from = addr_of("198.19.0.1:1");
        from.bytes[2] = (uint8_t)(i >> 8);
        from.bytes[3] = (uint8_t)i;
        tl_rand_bytes(&s.rand, c.nonce, sizeof c.nonce);
        write_signed(&s, &from, &c);
    }
    assert_true(requests(&s, TL_ASKED_FORGED) <=
                TL_ATTACHED_PROOFS_BURST + TL_ATTACHED_STRANGERS_BURST);
    assert_int_equal(requests(&s, TL_ASKED_RATE) + requests(&s, TL_ASKED_FORGED), 6000);
    request(&s, A, B, offers); /* who is attached is served all the same */
    end(&s);
}

static void session_51_is_refused_and_pushes_nobody_out(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2], c;
    begin(&s);
    tl_control first[2];
    attach(&s, B);
    request(&s, A, B, first);
    write_packet(&s, &s.at[A], first[0].token, 0);
    write_packet(&s, &s.at[B], first[1].token, 0);
    for (int i = 1; i < 50; i++) {
        tl_addr at = s.at[C];
        at.port = (uint16_t)(6000 + i);
        assert_int_equal(tl_identity_new(&s.rand, &s.id[C]), TL_OK);
        s.at[C] = at;
        request(&s, C, B, offers);
        write_packet(&s, &s.at[C], offers[0].token, 0);
        write_packet(&s, &s.at[B], offers[1].token, 0);
        s.now += 100 * TL_MS;
    }
    assert_int_equal(tl_peerrelay_counters_of(s.r)->sessions, 50);
    c = request_of(&s, D, B);
    refused_request(&s, &c, TL_ASKED_FULL);
    request(&s, A, B, offers); /* who has one may ask again */
    write_packet(&s, &s.at[A], first[0].token, 10);
    assert_int_equal(s.n_sent, 1);
    for (int i = 0; i < 7; i++) { /* the others say nothing, and go */
        tick(&s, 10 * TL_SEC);
        write_packet(&s, &s.at[A], first[0].token, 0);
        attach(&s, B);
    }
    request(&s, D, B, offers);
    end(&s);
}

/* What ten sessions of A pass in ten seconds, when each sends 200 KB/s. */
static void ten_sessions_have_together_what_one_node_may(void **state)
{
    (void)state;
    scene s;
    tl_control offers[10][2];
    begin(&s);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(tl_identity_new(&s.rand, &s.id[B]), TL_OK);
        s.at[B].port++;
        attach(&s, B);
        request(&s, A, B, offers[i]);
        write_packet(&s, &s.at[B], offers[i][1].token, 0);
        write_packet(&s, &s.at[A], offers[i][0].token, 0);
    }
    uint64_t passed = 0, tried = 0;
    tl_time began = s.now;
    bool looked = false;
    while (s.now < began + 60 * TL_SEC) {
        for (int i = 0; i < 10; i++) {
            write_packet(&s, &s.at[A], offers[i][0].token, 1000);
            passed += s.bytes_sent;
            tried += 1000;
        }
        s.now += 5 * TL_MS;
        if (!looked && s.now >= began + 5 * TL_SEC)
            assert_true(passed <= 64 * 1024 * 5 * 1.05); /* also at first */
        looked |= s.now >= began + 5 * TL_SEC;
    }
    double seconds = (double)(s.now - began) / TL_SEC, rate = (double)passed / seconds;
    assert_true((double)tried / seconds > 1.9e6);
    assert_true(rate <= 64 * 1024 * 1.05);
    assert_true(rate >= 64 * 1024 * 0.95);                        /* and no less */
    assert_true(passed <= 64 * 1024 * 60 + 64 * 1024 / 2 + 1000); /* rate × t + rate × burst */
    end(&s);
}

static void closing_and_coming_back_gives_no_full_bucket(void **state)
{
    (void)state;
    scene s = {.config.limits = tl_relay_limits_default()};
    tl_control offers[2];
    s.config.limits.idle_timeout = 100 * TL_MS; /* sessions go quickly */
    begin_with(&s);
    attach(&s, B);
    uint64_t passed = 0;
    for (int i = 0; i < 100; i++) { /* 20 s: a new session each 200 ms */
        request(&s, A, B, offers);
        write_packet(&s, &s.at[B], offers[1].token, 0);
        for (int k = 0; k < 100; k++) {
            write_packet(&s, &s.at[A], offers[0].token, 1000);
            passed += s.bytes_sent;
        }
        tick(&s, 100 * TL_MS);
        assert_int_equal(tl_peerrelay_counters_of(s.r)->sessions, 0);
        tick(&s, 400 * TL_MS);
        attach(&s, B);
    }
    assert_true(passed <= 64 * 1024 * 50 + 64 * 1024 / 2 + 1000);
    end(&s);
}

static void opening_anew_does_not_escape_the_ten_minutes(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2], c;
    begin(&s);
    attach(&s, B);
    tl_time began = s.now;
    while (s.now < began + 590 * TL_SEC) { /* each lives a minute, and another follows */
        request(&s, A, B, offers);
        assert_int_equal(offers[0].expires_at, WALL + (tl_unix)(began / TL_SEC) + 600);
        for (int i = 0; i < 3; i++) {
            tick(&s, 20 * TL_SEC);
            attach(&s, B);
        }
    }
    tick(&s, began + 600 * TL_SEC - s.now);
    attach(&s, B);
    c = request_of(&s, A, B);
    refused_request(&s, &c, TL_ASKED_PAUSED);
    attach(&s, A); /* nor by turning it round */
    c = request_of(&s, B, A);
    uint64_t paused = requests(&s, TL_ASKED_PAUSED);
    write_signed(&s, &s.at[B], &c);
    assert_int_equal(requests(&s, TL_ASKED_PAUSED), paused + 1);
    request(&s, C, B, offers); /* another node has its own time */
    tick(&s, 59 * TL_SEC);
    attach(&s, B);
    c = request_of(&s, A, B);
    refused_request(&s, &c, TL_ASKED_PAUSED);
    tick(&s, 2 * TL_SEC);
    request(&s, A, B, offers); /* the minute is over */
    end(&s);
}

static void a_node_it_was_told_not_to_serve_gets_nothing(void **state)
{
    (void)state;
    scene s;
    tl_control c, offers[2];
    begin(&s);
    attach(&s, B);
    s.refused = &s.id[A].id;
    c = request_of(&s, A, B);
    refused_request(&s, &c, TL_ASKED_POLICY);
    c = attach_of(&s, A);
    refused_attach(&s, &s.at[A], &c, TL_ASKED_POLICY);
    s.refused = &s.id[B].id; /* nor one who would reach it */
    c = request_of(&s, A, B);
    refused_request(&s, &c, TL_ASKED_POLICY);
    s.refused = NULL;
    request(&s, A, B, offers);
    end(&s);
}

static void requests_of_one_pair_are_answered_twice_a_second(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    attach(&s, B);
    size_t offers = 0;
    for (int i = 0; i < 100; i++) { /* ten seconds */
        tl_control c = request_of(&s, A, B);
        write_signed(&s, &s.at[A], &c);
        offers += s.n_sent;
        s.now += 100 * TL_MS;
    }
    assert_in_range(offers, 2 * 20, 2 * (20 + 4));
    end(&s);
}

static void nothing_is_longer_than_what_caused_it(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    uint8_t raw[TL_CONTROL_MAX];
    tl_control c = attach_of(&s, B);
    s.at[B] = addr_of("255.254.253.252:65535");
    s.at[B].bytes[0] = 223; /* the longest text of an IPv4 address */
    write_signed(&s, &s.at[B], &c);
    assert_int_equal(s.n_sent, 1);
    assert_true(s.bytes_sent <= tl_control_write(&c, raw));
    s.at[A] = addr_of("198.118.117.116:65534");
    c = request_of(&s, A, B);
    write_signed(&s, &s.at[A], &c);
    assert_int_equal(s.n_sent, 2);
    assert_true(s.bytes_sent <= tl_control_write(&c, raw));
    const tl_control *offer = sent_to(&s, A, TL_CONTROL_RELAY_OFFER);
    assert_non_null(offer);
    uint8_t token[16];
    memcpy(token, offer->token, sizeof token);
    write_packet(&s, &s.at[A], token, 900); /* B has proven nothing */
    assert_int_equal(s.bytes_sent, 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_guessed_tokens_move_nothing),
        cmocka_unit_test(a_stolen_token_is_worth_nothing_from_another_address),
        cmocka_unit_test(lengths_at_the_edges),
        cmocka_unit_test(requests_that_are_not_exactly_right_are_silently_refused),
        cmocka_unit_test(no_relay_session_has_this_node_or_one_node_twice_in_it),
        cmocka_unit_test(nothing_is_relayed_from_or_to_ourselves_or_a_relay_of_ours),
        cmocka_unit_test(a_move_that_is_old_foreign_or_not_proven_is_refused),
        cmocka_unit_test(a_flood_of_forged_signatures_costs_a_bounded_number_of_checks),
        cmocka_unit_test(session_51_is_refused_and_pushes_nobody_out),
        cmocka_unit_test(ten_sessions_have_together_what_one_node_may),
        cmocka_unit_test(closing_and_coming_back_gives_no_full_bucket),
        cmocka_unit_test(opening_anew_does_not_escape_the_ten_minutes),
        cmocka_unit_test(a_node_it_was_told_not_to_serve_gets_nothing),
        cmocka_unit_test(requests_of_one_pair_are_answered_twice_a_second),
        cmocka_unit_test(nothing_is_longer_than_what_caused_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
