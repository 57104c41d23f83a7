#include "tokens_scene.h"

static void two_sides_that_came_by_udp_reach_each_other_by_udp(void **state)
{
    (void)state;
    scene s;
    const char *to;
    begin(&s);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 0), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_udp(&s, PB, packet(&s, B, 0), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 1200), &to), TL_TOKENS_TO_UDP);
    assert_string_equal(to, PB);
    assert_int_equal(by_udp(&s, PB, packet(&s, B, 1), &to), TL_TOKENS_TO_UDP);
    assert_string_equal(to, PA);
    const tl_tokens_counters *c = tl_tokens_counters_of(s.t);
    assert_int_equal(c->packets[TL_TOKENS_BY_UDP][TL_TOKENS_BY_UDP], 2);
    assert_int_equal(c->bytes[TL_TOKENS_BY_UDP][TL_TOKENS_BY_UDP], 1201);
    assert_int_equal(c->udp_sides, 2);
    end(&s);
}

static void tokens_differ_begin_between_0x80_and_0xbf_and_name_their_loop(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(1);
    tl_relay_tokens *t;
    tl_identity id;
    assert_int_equal(tl_identity_new(&rand, &id), TL_OK);
    tl_tokens_config config = {.loop = 2, .loops = 5};
    assert_int_equal(tl_tokens_new(&config, &rand, 0, &t), TL_OK);
    enum { PAIRS = 500 };
    static tl_tokens_pair pairs[PAIRS];
    tl_tokens_member members[2] = {{.node = &id.id}, {.node = &id.id}};
    for (int i = 0; i < PAIRS; i++)
        assert_int_equal(tl_tokens_open(t, members, 0, &pairs[i]), TL_OK);
    for (int i = 0; i < PAIRS; i++) {
        const uint8_t *a = tl_tokens_token(pairs[i].side[0]),
                      *b = tl_tokens_token(pairs[i].side[1]);
        assert_true(tl_token_is_first(a[0]) && tl_token_is_first(b[0]));
        assert_int_equal(a[1] % 5, 2);
        assert_int_equal(b[1] % 5, 2);
        assert_memory_not_equal(a, b, TL_TOKEN_SIZE);
    }
    for (int i = 0; i < PAIRS; i++)
        tl_tokens_close(t, &pairs[i]);
    tl_tokens_free(t);
}

static void a_packet_goes_over_what_the_other_side_used_last(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 5), NULL), TL_TOKENS_TO_STREAM); /* at first */
    assert_int_equal(by_stream(&s, B, packet(&s, B, 5)), TL_TOKENS_TO_UDP);
    assert_int_equal(by_udp(&s, PB, packet(&s, B, 0), NULL), TL_TOKENS_DONE); /* B came by UDP, */
    assert_int_equal(by_stream(&s, A, packet(&s, A, 5)), TL_TOKENS_TO_UDP);
    assert_int_equal(by_stream(&s, B, packet(&s, B, 0)), TL_TOKENS_DONE); /* and left it */
    assert_int_equal(by_stream(&s, A, packet(&s, A, 5)), TL_TOKENS_TO_STREAM);
    end(&s);
}

static void a_stolen_token_is_worth_nothing_from_another_address(void **state)
{
    (void)state;
    scene s;
    const char *to;
    begin(&s);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 0), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_udp(&s, PB, packet(&s, B, 0), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_udp(&s, PX, packet(&s, A, 9), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_udp(&s, "198.18.0.10:1001", packet(&s, A, 9), NULL), TL_TOKENS_DONE);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SOURCE), 2);
    assert_int_equal(by_stream(&s, B, packet(&s, A, 9)), TL_TOKENS_DONE); /* on another's stream */
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SOURCE), 3);
    assert_int_equal(by_udp(&s, PB, packet(&s, B, 9), &to), TL_TOKENS_TO_UDP);
    assert_string_equal(to, PA); /* the thief moved nothing */
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 9), &to), TL_TOKENS_TO_UDP);
    assert_int_equal(by_stream(&s, A, packet(&s, A, 9)), TL_TOKENS_TO_UDP);
    end(&s);
}

static void nobody_is_bound_to_an_address_that_nobody_has(void **state)
{
    (void)state;
    static const char *const bad[] = {"224.0.0.1:5", "0.0.0.0:5",     "255.255.255.255:5",
                                      "127.0.0.1:5", "169.254.1.1:5", "198.18.0.10:0",
                                      "240.0.0.1:5"};
    scene s;
    begin(&s);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(by_udp(&s, bad[i], packet(&s, A, 9), NULL), TL_TOKENS_DONE);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SOURCE), sizeof bad / sizeof *bad);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 9), NULL), TL_TOKENS_TO_STREAM);
    end(&s);
}

static void lengths_at_the_edges_are_judged_one_by_one(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    tl_slice p = packet(&s, A, 0);
    assert_int_equal(by_udp(&s, PA, tl_slice_of(p.p, 0), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_udp(&s, PA, tl_slice_of(p.p, 15), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_stream(&s, A, tl_slice_of(p.p, 15)), TL_TOKENS_DONE);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SHORT), 3);
    assert_int_equal(tl_tokens_counters_of(s.t)->udp_sides, 0);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 0), NULL), TL_TOKENS_DONE); /* 16: a keep-alive */
    assert_int_equal(tl_tokens_counters_of(s.t)->udp_sides, 1);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SHORT), 3);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 65507 - 16), NULL), TL_TOKENS_TO_STREAM);
    assert_int_equal(by_stream(&s, B, packet(&s, B, 65507)), TL_TOKENS_TO_UDP);
    assert_int_equal(by_stream(&s, B, packet(&s, B, 65508)), TL_TOKENS_DONE);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SIZE), 1);
    assert_int_equal(by_stream(&s, A, packet(&s, A, 65508)), TL_TOKENS_TO_STREAM);
    end(&s);
}

static void tokens_are_dead_at_once_when_their_session_ends(void **state)
{
    (void)state;
    scene s;
    uint8_t token[2][TL_TOKEN_SIZE];
    begin(&s);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 0), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_udp(&s, PB, packet(&s, B, 0), NULL), TL_TOKENS_DONE);
    for (int i = 0; i < 2; i++)
        memcpy(token[i], tl_tokens_token(s.pair.side[i]), TL_TOKEN_SIZE);
    tl_tokens_close(s.t, &s.pair);
    tl_tokens_close(s.t, &s.pair); /* a second time does nothing */
    assert_int_equal(tl_tokens_counters_of(s.t)->udp_sides, 0);
    assert_int_equal(by_udp(&s, PA, tl_slice_of(token[A], 16), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_stream(&s, B, tl_slice_of(token[B], 16)), TL_TOKENS_DONE);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_TOKEN), 2);
    tl_tokens_free(s.t);
}

static void a_million_guessed_tokens_bind_nothing_and_disturb_nobody(void **state)
{
    (void)state;
    scene s;
    const char *to;
    begin(&s);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 0), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_udp(&s, PB, packet(&s, B, 0), NULL), TL_TOKENS_DONE);
    for (uint64_t i = 0; i < 1000000; i++) {
        uint64_t guess[2] = {tl_rand_u64(&s.rand), tl_rand_u64(&s.rand)};
        if (i % 4 == 0) /* near misses: one bit of a real one */
            memcpy(guess, packet(&s, (int)(i / 4 % 2), 0).p, sizeof guess),
                guess[1] ^= 1ull << i % 64;
        tl_slice p = tl_slice_of(guess, sizeof guess);
        if (by_udp(&s, PX, p, NULL) != TL_TOKENS_DONE)
            fail();
    }
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_TOKEN), 1000000);
    assert_int_equal(tl_tokens_counters_of(s.t)->udp_sides, 2);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 3), &to), TL_TOKENS_TO_UDP);
    assert_string_equal(to, PB);
    end(&s);
}

static void a_node_pays_for_what_it_sends_and_keep_alives_are_free(void **state)
{
    (void)state;
    scene s;
    begin_with(&s, one_socket(), true);
    uint64_t passed = 0;
    for (int i = 0; i < 20000; i++) { /* 2 MB/s for 10 s */
        s.now += 500 * TL_US;
        passed += by_udp(&s, PA, packet(&s, A, 1000), NULL) == TL_TOKENS_TO_STREAM ? 1000 : 0;
    }
    assert_true(passed <= 64u * 1024 * 10 + 32 * 1024);
    assert_true(passed >= 64u * 1024 * 10);
    assert_int_equal(passed / 1000 + dropped(&s, TL_TOKENS_DROP_RATE), 20000);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 0), NULL), TL_TOKENS_DONE);
    assert_int_equal(passed / 1000 + dropped(&s, TL_TOKENS_DROP_RATE), 20000);
    assert_int_equal(by_stream(&s, B, packet(&s, B, 1000)), TL_TOKENS_TO_UDP); /* B has its own */
    assert_int_equal(tl_tokens_heard(&s.pair), s.now);
    end(&s);
}

static void what_a_full_stream_did_not_take_counts_as_dropped(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 9), NULL), TL_TOKENS_TO_STREAM);
    tl_tokens_was_dropped(s.t, TL_TOKENS_BY_UDP, TL_TOKENS_BY_STREAM, 9);
    const tl_tokens_counters *c = tl_tokens_counters_of(s.t);
    assert_int_equal(c->packets[TL_TOKENS_BY_UDP][TL_TOKENS_BY_STREAM], 0);
    assert_int_equal(c->bytes[TL_TOKENS_BY_UDP][TL_TOKENS_BY_STREAM], 0);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SLOW), 1);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_sides_that_came_by_udp_reach_each_other_by_udp),
        cmocka_unit_test(tokens_differ_begin_between_0x80_and_0xbf_and_name_their_loop),
        cmocka_unit_test(a_packet_goes_over_what_the_other_side_used_last),
        cmocka_unit_test(a_stolen_token_is_worth_nothing_from_another_address),
        cmocka_unit_test(nobody_is_bound_to_an_address_that_nobody_has),
        cmocka_unit_test(lengths_at_the_edges_are_judged_one_by_one),
        cmocka_unit_test(tokens_are_dead_at_once_when_their_session_ends),
        cmocka_unit_test(a_million_guessed_tokens_bind_nothing_and_disturb_nobody),
        cmocka_unit_test(a_node_pays_for_what_it_sends_and_keep_alives_are_free),
        cmocka_unit_test(what_a_full_stream_did_not_take_counts_as_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
