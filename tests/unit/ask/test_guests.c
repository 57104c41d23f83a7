#include "ask/guests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW (1000 * TL_SEC)

static tl_guest_key id_of(unsigned n)
{
    return (tl_guest_key){.id = {{(uint8_t)n, (uint8_t)(n >> 8)}}};
}

/* Enters until refused, at one time, within `most`; returns how often. */
static unsigned fill(tl_guests *g, unsigned who, bool member, unsigned at_once, unsigned most,
                     tl_guest **ret_guest)
{
    tl_guest_key id = id_of(who);
    const char *why;
    unsigned n = 0;
    for (tl_guest *guest; n < most && (guest = tl_guests_enter(g, &id, member, at_once, NOW, &why));
         n++)
        *ret_guest = guest;
    return n;
}

static void serve(tl_guests *g, unsigned who)
{
    tl_guest_key id = id_of(who);
    const char *why;
    tl_guest *guest = tl_guests_enter(g, &id, false, 1024, NOW, &why);
    assert_non_null(guest);
    tl_guests_leave(g, guest, true);
}

static void a_stranger_has_a_small_share_and_one_that_was_served_a_large_one(void **state)
{
    (void)state;
    static const struct {
        unsigned at_once, stranger, known;
    } rows[] = {{1, 1, 1}, {3, 3, 3}, {8, 4, 4}, {64, 8, 32}, {256, 32, 128}, {1024, 128, 512}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const unsigned expected[] = {rows[i].stranger, rows[i].known, rows[i].known};
        for (unsigned who = 1; who <= 3; who++) { /* a stranger, one that was served, a member */
            tl_guests g = tl_guests_new(NOW);
            tl_guest *guest = NULL;
            serve(&g, 2);
            assert_int_equal(fill(&g, who, who == 3, rows[i].at_once, 2000, &guest),
                             expected[who - 1]);
            tl_guests_clear(&g);
        }
    }
}

/* A relay can say that anyone asks in clear. That must not use up the share of the node so named. */
static void a_node_and_whoever_asks_in_clear_under_its_id_are_two(void **state)
{
    (void)state;
    tl_guests g = tl_guests_new(NOW);
    tl_guest_key proven = id_of(1), claimed = proven;
    const char *why;
    claimed.in_clear = 1;
    for (int i = 0; i < 8; i++)
        assert_non_null(tl_guests_enter(&g, &claimed, false, 64, NOW, &why));
    assert_null(tl_guests_enter(&g, &claimed, false, 64, NOW, &why));
    assert_non_null(tl_guests_enter(&g, &proven, false, 64, NOW, &why));
    tl_guests_clear(&g);
}

static void strangers_together_leave_a_quarter_to_those_we_know(void **state)
{
    (void)state;
    tl_guests g = tl_guests_new(NOW);
    tl_guest *guest = NULL;
    unsigned n = 0;
    for (unsigned who = 1; who <= 20; who++) /* of 64 */
        n += fill(&g, who, false, 64, 100, &guest);
    assert_int_equal(n, 48);
    assert_int_equal(fill(&g, 100, true, 64, 100, &guest), 32);
    tl_guests_leave(&g, guest, false);
    assert_int_equal(fill(&g, 100, true, 64, 100, &guest), 1);
    assert_int_equal(fill(&g, 101, false, 64, 100, &guest), 0);
    tl_guests_clear(&g);
}

static void who_asks_too_often_is_refused_whether_it_waits_for_answers_or_not(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        tl_guests g = tl_guests_new(NOW);
        tl_guest_key id = id_of(1);
        const char *why = NULL;
        unsigned in = 0;
        for (unsigned i = 0; i < 7500; i++) { /* 750 a second, ten seconds long */
            tl_guest *guest = tl_guests_enter(&g, &id, false, 1024, NOW + i * TL_SEC / 750, &why);
            if (guest)
                tl_guests_leave(&g, guest, whole);
            in += guest != NULL;
        }
        if (whole) /* served whole answers: that is work, and not an attack */
            assert_int_equal(in, 7500);
        else
            assert_int_equal(in, TL_GUEST_BURST + (7499 * TL_GUEST_RATE) / 750);
        assert_true(whole || why);
        tl_guests_clear(&g);
    }
}

static void strangers_have_a_rate_together_and_those_we_know_are_free_of_it(void **state)
{
    (void)state;
    tl_guests g = tl_guests_new(NOW);
    tl_guest *guest;
    const char *why;
    serve(&g, 5000);
    unsigned in = 0;
    for (unsigned who = 0; who < 1000; who++) { /* each with a key of its own */
        tl_guest_key id = id_of(who);
        if ((guest = tl_guests_enter(&g, &id, false, 1024, NOW, &why))) {
            tl_guests_leave(&g, guest, false);
            in++;
        }
    }
    assert_int_equal(in, TL_GUEST_SUM * TL_GUEST_BURST);
    tl_guest_key known = id_of(5000);
    assert_non_null(tl_guests_enter(&g, &known, false, 1024, NOW, &why));
    tl_guests_clear(&g);
}

/* Of 16: two that were served would take 8 each. */
static void the_last_places_go_to_peers_that_have_none(void **state)
{
    (void)state;
    tl_guests g = tl_guests_new(NOW);
    tl_guest *guest = NULL;
    serve(&g, 1), serve(&g, 2);
    assert_int_equal(fill(&g, 1, false, 16, 100, &guest), 8);
    assert_int_equal(fill(&g, 2, false, 16, 100, &guest), 2);
    assert_int_equal(fill(&g, 3, false, 16, 100, &guest), 1);
    assert_int_equal(fill(&g, 4, false, 16, 100, &guest), 1);
    assert_int_equal(fill(&g, 5, false, 16, 100, &guest), 0);
    assert_int_equal(fill(&g, 6, true, 16, 100, &guest), 8); /* its own share: 4 are left there */
    tl_guests_leave(&g, guest, false);
    assert_int_equal(g.outsiders_running, 12);
    HASH_FIND(hh, g.peers, (&(tl_guest_key){{{3}}, 0}), sizeof(tl_guest_key), guest);
    tl_guests_leave(&g, guest, true);
    assert_int_equal(g.outsiders_running, 11);
    assert_int_equal(fill(&g, 1, false, 16, 100, &guest), 0);
    assert_int_equal(fill(&g, 5, false, 16, 100, &guest), 1);
    tl_guests_clear(&g);
}

/* Nothing proves that who asks next in clear is who was served. */
static void who_asks_in_clear_stays_a_stranger_when_it_was_served(void **state)
{
    (void)state;
    for (uint8_t in_clear = 0; in_clear < 2; in_clear++) {
        tl_guests g = tl_guests_new(NOW);
        tl_guest_key id = id_of(1);
        id.in_clear = in_clear;
        const char *why;
        unsigned n = 0;
        tl_guest *guest = tl_guests_enter(&g, &id, false, 64, NOW, &why);
        tl_guests_leave(&g, guest, true);
        assert_int_equal(guest->rate.tokens, TL_GUEST_BURST);
        while (tl_guests_enter(&g, &id, false, 64, NOW, &why))
            n++;
        assert_int_equal(n, in_clear ? 8 : 32);
        assert_int_equal(g.strangers_running, in_clear ? 8 : 0);
        tl_guests_clear(&g);
    }
}

/* What is full is told, and nobody is told of another limit than the one that he met. */
static void who_is_refused_hears_which_limit_it_was(void **state)
{
    (void)state;
    tl_guests g = tl_guests_new(NOW);
    tl_guest *guest = NULL;
    const char *why = NULL;
    tl_guest_key one = id_of(1), other = id_of(2), late = id_of(100);
    assert_int_equal(fill(&g, 1, false, 64, 100, &guest), 8);
    assert_null(tl_guests_enter(&g, &one, false, 64, NOW, &why));
    assert_string_equal(why, "this node answers as many requests of this peer as it takes");
    for (unsigned who = 3; who < 7; who++)
        assert_int_equal(fill(&g, who, false, 64, 100, &guest), 8);
    tl_guest_key third = id_of(8);
    assert_non_null(tl_guests_enter(&g, &third, false, 64, NOW, &why));
    assert_null(tl_guests_enter(&g, &third, false, 64, NOW, &why)); /* it has one */
    assert_string_equal(
        why, "this node answers as many requests of peers outside its networks as it takes");
    for (unsigned who = 9; who < 16; who++)
        assert_int_equal(fill(&g, who, false, 64, 100, &guest), 1);
    assert_null(tl_guests_enter(&g, &other, false, 64, NOW, &why));
    assert_string_equal(
        why, "this node answers as many requests of peers that it does not know as it takes");
    tl_guests_clear(&g);

    g = tl_guests_new(NOW);
    for (unsigned i = 0; i < TL_GUEST_BURST; i++) {
        assert_non_null(guest = tl_guests_enter(&g, &one, false, 1024, NOW, &why));
        tl_guests_leave(&g, guest, false);
    }
    uint64_t left = g.strangers.tokens;
    assert_null(tl_guests_enter(&g, &one, false, 1024, NOW, &why));
    assert_string_equal(why, "this peer asks more often than this node allows");
    assert_int_equal(g.strangers.tokens, left); /* it takes nothing from the others */
    g.strangers.tokens = 0;
    assert_null(tl_guests_enter(&g, &late, false, 1024, NOW, &why));
    assert_string_equal(
        why, "peers that this node does not know ask it more often than it allows, all together");
    HASH_FIND(hh, g.peers, &late, sizeof late, guest);
    assert_int_equal(guest->rate.tokens, TL_GUEST_BURST); /* nor do they take from its own */
    tl_guests_clear(&g);
}

static void bodies_have_shares_as_requests_have(void **state)
{
    (void)state;
    tl_guests g = tl_guests_new(NOW);
    tl_guest_key id = id_of(1), known = id_of(9);
    const char *why = NULL;
    tl_guest *strangers[8];
    for (unsigned i = 0; i < 6; i++) {
        id = id_of(i);
        strangers[i] = tl_guests_enter(&g, &id, false, 64, NOW, &why);
        assert_true(tl_guests_take(&g, strangers[i], 100, 800, &why));
        assert_false(tl_guests_take(&g, strangers[i], 1, 800, &why));
        assert_string_equal(why, "this node has no memory for more requests of this peer now");
    }
    id = id_of(6);
    tl_guest *seventh = tl_guests_enter(&g, &id, false, 64, NOW, &why);
    assert_false(tl_guests_take(&g, seventh, 1, 800, &why));
    assert_string_equal(
        why, "this node has no memory for more requests of peers that it does not know now");
    tl_guest *member = tl_guests_enter(&g, &known, true, 64, NOW, &why);
    assert_true(tl_guests_take(&g, member, 400, 800, &why));
    assert_false(tl_guests_take(&g, member, 1, 800, &why));
    tl_guests_return(&g, strangers[0], 1);
    assert_true(tl_guests_take(&g, seventh, 1, 800, &why));
    tl_guests_return(&g, strangers[1], 100);
    tl_guests_leave(&g, strangers[1], true);
    tl_guest *second = tl_guests_enter(&g, &strangers[2]->who, false, 64, NOW, &why);
    tl_guests_leave(&g, second, true); /* it is known now, with what it has */
    assert_int_equal(g.strangers_bytes, 99 + 1 + 3 * 100);
    assert_true(tl_guests_take(&g, strangers[2], 300, 800, &why));
    tl_guests_return(&g, strangers[2], 400);
    assert_int_equal(g.strangers_bytes, 99 + 1 + 3 * 100);
    tl_guests_clear(&g);
}

static void of_too_many_strangers_without_requests_go_first(void **state)
{
    (void)state;
    tl_guests g = tl_guests_new(NOW);
    tl_guest *guest, *busy;
    const char *why;
    serve(&g, 1);
    tl_guest_key two = id_of(2), one = id_of(1);
    busy = tl_guests_enter(&g, &two, false, 1024, NOW, &why);
    for (unsigned who = 3; who < TL_GUESTS_MAX + 10; who++) {
        tl_guest_key id = id_of(who);
        guest = tl_guests_enter(&g, &id, false, 1024, NOW + who * TL_SEC, &why);
        assert_non_null(guest);
        tl_guests_leave(&g, guest, false);
        assert_true(HASH_COUNT(g.peers) <= TL_GUESTS_MAX);
    }
    HASH_FIND(hh, g.peers, &two, sizeof two, guest);
    assert_ptr_equal(guest, busy);
    HASH_FIND(hh, g.peers, &one, sizeof one, guest);
    assert_true(guest && guest->served);
    tl_guests_leave(&g, busy, false);
    tl_guests_clear(&g);
}

static void one_that_becomes_known_while_it_asks_is_no_stranger_from_then_on(void **state)
{
    (void)state;
    tl_guests g = tl_guests_new(NOW);
    tl_guest_key id = id_of(1);
    const char *why;
    tl_guest *a = tl_guests_enter(&g, &id, false, 64, NOW, &why);
    tl_guest *b = tl_guests_enter(&g, &id, false, 64, NOW, &why);
    assert_int_equal(g.strangers_running, 2);
    tl_guests_leave(&g, a, true);
    assert_int_equal(g.strangers_running, 0);
    tl_guest *c = tl_guests_enter(&g, &id, false, 64, NOW, &why);
    assert_int_equal(g.strangers_running, 0);
    tl_guests_leave(&g, b, false);
    tl_guests_leave(&g, c, false);
    assert_int_equal(g.strangers_running, 0);
    (void)tl_guests_enter(&g, &id, false, 64, NOW, &why);
    assert_int_equal(g.strangers_running, 0);
    tl_guests_clear(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_has_a_small_share_and_one_that_was_served_a_large_one),
        cmocka_unit_test(a_node_and_whoever_asks_in_clear_under_its_id_are_two),
        cmocka_unit_test(strangers_together_leave_a_quarter_to_those_we_know),
        cmocka_unit_test(who_asks_too_often_is_refused_whether_it_waits_for_answers_or_not),
        cmocka_unit_test(strangers_have_a_rate_together_and_those_we_know_are_free_of_it),
        cmocka_unit_test(the_last_places_go_to_peers_that_have_none),
        cmocka_unit_test(who_asks_in_clear_stays_a_stranger_when_it_was_served),
        cmocka_unit_test(who_is_refused_hears_which_limit_it_was),
        cmocka_unit_test(bodies_have_shares_as_requests_have),
        cmocka_unit_test(of_too_many_strangers_without_requests_go_first),
        cmocka_unit_test(one_that_becomes_known_while_it_asks_is_no_stranger_from_then_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
