/* A node that relays, at the edges of its bounds. */
#include "peerrelay_scene.h"

static void a_direct_way_is_used_without_an_address_of_ours_but_never_to_loopback(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    s.direct = &s.id[B].id;
    s.direct_local_unknown = true;
    s.direct_at = addr_of("127.0.0.1:22");
    tl_control c = request_of(&s, A, B);
    write_signed(&s, &s.at[A], &c);
    assert_int_equal(s.n_sent, 0);
    assert_int_equal(requests(&s, TL_ASKED_ADDRESS), 1);
    s.direct_at = s.at[B];
    request(&s, A, B, offers);
    end(&s);
}

static void a_session_that_begins_anew_has_no_more_offers_for_it(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    size_t sent = 0;
    begin(&s);
    attach(&s, B);
    for (int i = 0; i < 20; i++) { /* each from elsewhere, within a second */
        tl_control c = request_of(&s, A, B);
        write_signed(&s, &s.at[A], &c);
        sent += s.n_sent;
        if (s.n_sent == 2) {
            offers[0] = *sent_to(&s, A, TL_CONTROL_RELAY_OFFER);
            write_packet(&s, &s.at[A], offers[0].token, 0);
        }
        s.at[A].port++;
        s.now += 40 * TL_MS;
    }
    assert_in_range(sent, 2 * 4, 2 * 6);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->sessions, 1);
    end(&s);
}

static void a_move_from_a_relay_of_ours_is_not_looked_at(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    attach(&s, B);
    request(&s, A, B, offers);
    s.ours = s.at[C];
    tl_control c = {.type = TL_CONTROL_RELAY_MIGRATE,
                    .addr = s.at[D],
                    .sequence = 1,
                    .timestamp = (uint64_t)wall(&s)};
    memcpy(c.token, offers[0].token, 16);
    sign_as(&c, &s.id[A]);
    write_signed(&s, &s.at[C], &c);
    assert_int_equal(s.n_sent, 0);
    assert_int_equal(tl_peerrelay_counters_of(s.r)->packets_loop, 1);
    write_signed(&s, &s.at[A], &c); /* the twin */
    assert_int_equal(s.n_sent, 1);
    end(&s);
}

static void a_session_that_begins_late_is_warned_at_once(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    attach(&s, B);
    request(&s, A, B, offers);
    for (int i = 0; i < 8; i++) { /* asked for again, so that the pair keeps its time */
        tick(&s, 61 * TL_SEC);
        attach(&s, B);
        request(&s, A, B, offers);
    }
    tick(&s, 580 * TL_SEC - 8 * 61 * TL_SEC);
    attach(&s, B);
    request(&s, A, B, offers);
    write_packet(&s, &s.at[A], offers[0].token, 0);
    tick(&s, 0);
    const tl_control *w = sent_to(&s, A, TL_CONTROL_RELAY_WARNING);
    assert_non_null(w);
    assert_int_equal(w->ends_at, wall(&s) + 20);
    end(&s);
}

static void what_is_longer_than_1500_bytes_does_not_wait(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    attach(&s, B);
    request(&s, A, B, offers);
    write_packet(&s, &s.at[A], offers[0].token, 1501);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SLOW), 1);
    write_packet(&s, &s.at[A], offers[0].token, 1500);
    write_packet(&s, &s.at[B], offers[1].token, 0);
    assert_int_equal(s.n_sent, 1);
    assert_int_equal(s.sent[0].n, 1500);
    end(&s);
}

static void what_is_too_old_makes_room_for_what_comes(void **state)
{
    (void)state;
    scene s;
    tl_control offers[2];
    begin(&s);
    attach(&s, B);
    request(&s, A, B, offers);
    for (int i = 0; i < 3; i++)
        write_packet(&s, &s.at[A], offers[0].token, 100);
    s.now += 2 * TL_SEC;
    write_packet(&s, &s.at[A], offers[0].token, 200);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SLOW), 3);
    write_packet(&s, &s.at[B], offers[1].token, 0);
    assert_int_equal(s.n_sent, 1);
    assert_int_equal(s.sent[0].n, 200);
    end(&s);
}

/* How many new nodes from there are taken, of `count`. */
static uint64_t taken_from(scene *s, const char *from, size_t count)
{
    uint64_t before = attaches(s, TL_ASKED_TAKEN);
    tl_addr at = addr_of(from);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(tl_identity_new(&s->rand, &s->id[C]), TL_OK);
        tl_control c = attach_of(s, C);
        c.addr = way_from(&at).local;
        sign_as(&c, &s->id[C]);
        at.port++;
        write_signed(s, &at, &c);
    }
    return attaches(s, TL_ASKED_TAKEN) - before;
}

static void an_ipv6_64_is_one_address_and_the_next_one_is_another(void **state)
{
    (void)state;
    scene s;
    tl_addr v4 = addr_of("198.18.0.1:4433"), v6 = addr_of("[2001:db8::1]:4433");
    begin(&s);
    tl_attached_set_address(s.config.attached, &v4, &v6);
    assert_int_equal(taken_from(&s, "[2001:db8:0:1::1]:1", 20), 20);
    assert_int_equal(taken_from(&s, "[2001:db8:0:1:ffff::2]:1", 40), 12);
    assert_int_equal(taken_from(&s, "[2001:db8:0:2::1]:1", 30), 30);
    assert_int_equal(taken_from(&s, "198.18.3.1:1", 30), 30);
    assert_int_equal(taken_from(&s, "198.18.3.2:1", 30), 30);
    end(&s);
}

static void a_node_that_moves_gives_its_place_back(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    attach(&s, B);
    tl_addr first = s.at[B];
    assert_int_equal(taken_from(&s, "198.18.1.2:100", 70),
                     TL_ATTACHED_UNPROVEN_PER_SOURCE - 1); /* beside B */
    s.at[B] = addr_of("198.18.9.2:1");
    attach(&s, B);
    assert_int_equal(attaches(&s, TL_ASKED_AGAIN), 1);
    tick(&s, TL_SEC);
    assert_int_equal(taken_from(&s, "198.18.1.2:300", 2), 1);
    s.at[B] = first; /* its old address is full now */
    tl_control c = attach_of(&s, B);
    uint64_t refused = attaches(&s, TL_ASKED_UNPROVEN);
    write_signed(&s, &first, &c);
    assert_int_equal(attaches(&s, TL_ASKED_UNPROVEN), refused + 1);
    end(&s);
}

/* Whoever has a relay session could else write as this node to the other side: forged words, of which each
 * costs the other side a signature, and packets for relay sessions of that node. */
static void nobody_speaks_for_the_node_or_to_another_session_through_it(void **state)
{
    (void)state;
    static const struct {
        uint8_t first;
        bool passes;
    } all[] = {{0x40, true},  {0x7F, true},  {0xC0, true},  {0xFF, true}, {0x00, true},
               {0x0C, false}, {0x80, false}, {0xBF, false}, {0x0D, true}};
    scene s;
    tl_control offers[2];
    begin(&s);
    attach(&s, B);
    request(&s, A, B, offers);
    write_packet(&s, &s.at[A], offers[0].token, 0);
    for (int bound = 0; bound < 2; bound++) { /* what waits for B, and what goes there at once */
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            uint8_t bytes[TL_TOKEN_SIZE + 40] = {0};
            uint64_t before = dropped(&s, TL_TOKENS_DROP_SLOW);
            memcpy(bytes, offers[0].token, TL_TOKEN_SIZE);
            bytes[TL_TOKEN_SIZE] = all[i].first;
            bytes[TL_TOKEN_SIZE + 1] = TL_CONTROL_RELAY_OFFER;
            write_raw(&s, &s.at[A], bytes, sizeof bytes, sizeof bytes);
            if (bound)
                assert_int_equal(s.n_sent, all[i].passes);
            if (bound || !all[i].passes)
                assert_int_equal(dropped(&s, TL_TOKENS_DROP_SLOW), before + !all[i].passes);
        }
        write_packet(&s, &s.at[B], offers[1].token, 0);
        for (size_t i = 0; i < s.n_sent; i++)
            assert_int_not_equal(s.sent[i].bytes[0], 0x0C);
        s.now += 2 * TL_SEC;
    }
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_speaks_for_the_node_or_to_another_session_through_it),
        cmocka_unit_test(a_direct_way_is_used_without_an_address_of_ours_but_never_to_loopback),
        cmocka_unit_test(a_session_that_begins_anew_has_no_more_offers_for_it),
        cmocka_unit_test(a_move_from_a_relay_of_ours_is_not_looked_at),
        cmocka_unit_test(a_session_that_begins_late_is_warned_at_once),
        cmocka_unit_test(what_is_longer_than_1500_bytes_does_not_wait),
        cmocka_unit_test(what_is_too_old_makes_room_for_what_comes),
        cmocka_unit_test(an_ipv6_64_is_one_address_and_the_next_one_is_another),
        cmocka_unit_test(a_node_that_moves_gives_its_place_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
