#include "path/choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW (1000 * TL_SEC)
#define MS  TL_MS

enum { RELAY = 1, DIRECT, OTHER, LAN, UDP };

#define WAY(which, what, round_trip)                                                               \
    {                                                                                              \
        .id = (which), .kind = (what), .usable = true, .rtt = (round_trip),                        \
        .usable_since = NOW - 60 * TL_SEC                                                          \
    }
#define RELAYED_80 WAY(RELAY, TL_WAY_RELAYED, 80 * MS)
#define UDP_70     WAY(UDP, TL_WAY_RELAYED_UDP, 70 * MS)
#define DIRECT_40  WAY(DIRECT, TL_WAY_DIRECT, 40 * MS)
#define LAN_1      WAY(LAN, TL_WAY_LAN, MS)

typedef struct {
    const char *name;
    tl_way ways[4];
    tl_choice_state state;
    uint32_t id;
    tl_time again_at;
    const char *why;
} row;

#define SETTLED(which)                                                                             \
    {                                                                                              \
        .present = (which), .switched_at = NOW - 60 * TL_SEC, .pto = 100 * MS                      \
    }

static void check_rows(const row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const row *r = &rows[i];
        size_t n_ways = 0;
        while (n_ways < 4 && r->ways[n_ways].id)
            n_ways++;
        tl_choice c = tl_choose(r->ways, n_ways, &r->state, NOW);
        if (c.id != r->id || c.again_at != r->again_at || strcmp(c.why, r->why) != 0)
            fail_msg("%s: way %u, again in %lld ms, \"%s\"", r->name, c.id,
                     (long long)((int64_t)(c.again_at - NOW) / (int64_t)MS), c.why);
    }
}
#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

static void the_kind_decides_first(void **state)
{
    (void)state;
    static const row rows[] = {
        {"no way at all", {{0}}, SETTLED(0), 0, TL_NEVER, "no way is usable"},
        {"the relay alone", {RELAYED_80}, SETTLED(0), RELAY, TL_NEVER, "nothing direct stands"},
        {"direct before the relay, whatever the order",
         {RELAYED_80, DIRECT_40},
         SETTLED(0),
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"from the relay to direct",
         {DIRECT_40, RELAYED_80},
         SETTLED(RELAY),
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"a slow direct way, too",
         {RELAYED_80, WAY(DIRECT, TL_WAY_DIRECT, 300 * MS)},
         SETTLED(RELAY),
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"one not measured yet, too",
         {RELAYED_80, WAY(DIRECT, TL_WAY_DIRECT, 0)},
         SETTLED(RELAY),
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"the local network before all",
         {RELAYED_80, DIRECT_40, LAN_1},
         SETTLED(DIRECT),
         LAN,
         TL_NEVER,
         "the local network comes first"},
        {"what is in use stays",
         {RELAYED_80, DIRECT_40, LAN_1},
         SETTLED(LAN),
         LAN,
         TL_NEVER,
         "the local network comes first"},
        {"the quickest of a kind to begin with",
         {WAY(OTHER, TL_WAY_DIRECT, 50 * MS), DIRECT_40},
         SETTLED(0),
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"and a measured one",
         {WAY(OTHER, TL_WAY_DIRECT, 0), DIRECT_40},
         SETTLED(0),
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
    };
    CHECK(rows);
}

/* A bridge over a VPN, or a router that forwards a neighbour's address, looks like the local
 * network. */
static void udp_to_the_relay_stands_between_its_websocket_and_a_direct_way(void **state)
{
    (void)state;
    static const row rows[] = {
        {"a slow one, too",
         {RELAYED_80, WAY(UDP, TL_WAY_RELAYED_UDP, 300 * MS)},
         SETTLED(RELAY),
         UDP,
         TL_NEVER,
         "nothing direct stands, and UDP passes to the relay"},
        {"direct before it, whatever the order",
         {DIRECT_40, UDP_70, RELAYED_80},
         SETTLED(UDP),
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"direct at once, though the move to udp was a moment ago",
         {WAY(DIRECT, TL_WAY_DIRECT, 69 * MS), UDP_70, RELAYED_80},
         {.present = UDP, .switched_at = NOW - 400 * MS, .pto = 100 * MS},
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"but not before three probe timeouts",
         {WAY(DIRECT, TL_WAY_DIRECT, 69 * MS), UDP_70, RELAYED_80},
         {.present = UDP, .switched_at = NOW - 200 * MS, .pto = 100 * MS},
         UDP,
         NOW + 100 * MS,
         "a switch was made a moment ago"},
        {"a lost direct way leads to udp at once",
         {RELAYED_80, UDP_70},
         SETTLED(DIRECT),
         UDP,
         TL_NEVER,
         "nothing direct stands, and UDP passes to the relay"},
        {"udp that was lost must hold first",
         {RELAYED_80,
          {.id = UDP,
           .kind = TL_WAY_RELAYED_UDP,
           .usable = true,
           .rtt = 70 * MS,
           .usable_since = NOW - 500 * MS,
           .losses = 1}},
         SETTLED(RELAY),
         RELAY,
         NOW + 500 * MS,
         "a way that was lost must hold first"},
    };
    CHECK(rows);
}

static void a_clearly_faster_direct_way_comes_before_the_local_network(void **state)
{
    (void)state;
    static const row rows[] = {
        {"at the first choice",
         {WAY(LAN, TL_WAY_LAN, 12 * MS / 10), WAY(DIRECT, TL_WAY_DIRECT, 4 * MS / 10)},
         SETTLED(0),
         DIRECT,
         TL_NEVER,
         "it is clearly faster than the local network"},
        {"whatever the order",
         {WAY(DIRECT, TL_WAY_DIRECT, 4 * MS / 10), WAY(LAN, TL_WAY_LAN, 12 * MS / 10)},
         SETTLED(0),
         DIRECT,
         TL_NEVER,
         "it is clearly faster than the local network"},
        {"later, too",
         {WAY(LAN, TL_WAY_LAN, 60 * MS), DIRECT_40},
         SETTLED(LAN),
         DIRECT,
         TL_NEVER,
         "it is clearly faster than the local network"},
        {"and it stays",
         {WAY(LAN, TL_WAY_LAN, 60 * MS), DIRECT_40},
         SETTLED(DIRECT),
         DIRECT,
         TL_NEVER,
         "it is clearly faster than the local network"},
        {"less than a third is not clear",
         {WAY(LAN, TL_WAY_LAN, 60 * MS - 2), DIRECT_40},
         SETTLED(LAN),
         LAN,
         TL_NEVER,
         "the local network comes first"},
        {"nor at the first choice",
         {DIRECT_40, WAY(LAN, TL_WAY_LAN, 60 * MS - 2)},
         SETTLED(0),
         LAN,
         TL_NEVER,
         "the local network comes first"},
        {"a quarter of a millisecond is",
         {WAY(LAN, TL_WAY_LAN, 350 * TL_US), WAY(DIRECT, TL_WAY_DIRECT, 100 * TL_US)},
         SETTLED(LAN),
         DIRECT,
         TL_NEVER,
         "it is clearly faster than the local network"},
        {"less is what a scheduler adds",
         {WAY(LAN, TL_WAY_LAN, 349 * TL_US), WAY(DIRECT, TL_WAY_DIRECT, 100 * TL_US)},
         SETTLED(LAN),
         LAN,
         TL_NEVER,
         "the local network comes first"},
        {"one that is not measured is not faster",
         {WAY(LAN, TL_WAY_LAN, 60 * MS), WAY(DIRECT, TL_WAY_DIRECT, 0)},
         SETTLED(LAN),
         LAN,
         TL_NEVER,
         "the local network comes first"},
        {"the relay, however fast, is never before it",
         {WAY(RELAY, TL_WAY_RELAYED, MS), WAY(LAN, TL_WAY_LAN, 60 * MS)},
         SETTLED(LAN),
         LAN,
         TL_NEVER,
         "the local network comes first"},
        {"a dead one neither",
         {WAY(LAN, TL_WAY_LAN, 60 * MS), {.id = DIRECT, .kind = TL_WAY_DIRECT, .rtt = MS}},
         SETTLED(LAN),
         LAN,
         TL_NEVER,
         "the local network comes first"},
    };
    CHECK(rows);
}

#define LEFT_LAN                                                                                   \
    {                                                                                              \
        .present = DIRECT, .switched_at = NOW - 60 * TL_SEC, .pto = 100 * MS,                      \
        .gained_at = NOW - 60 * TL_SEC, .gains = 1, .slower = LAN                                  \
    }

static void a_local_way_that_was_slower_comes_back_when_it_is_faster(void **state)
{
    (void)state;
    static const row rows[] = {
        {"not when it is as fast",
         {DIRECT_40, WAY(LAN, TL_WAY_LAN, 40 * MS)},
         LEFT_LAN,
         DIRECT,
         TL_NEVER,
         "the local network is no faster, and was slower before"},
        {"where it never was slower it is taken",
         {DIRECT_40, WAY(LAN, TL_WAY_LAN, 40 * MS)},
         SETTLED(DIRECT),
         LAN,
         TL_NEVER,
         "the local network comes first"},
        {"not by less than a fifth",
         {DIRECT_40, WAY(LAN, TL_WAY_LAN, 32 * MS + 1)},
         LEFT_LAN,
         DIRECT,
         TL_NEVER,
         "the local network is no faster, and was slower before"},
        {"by a fifth",
         {DIRECT_40, WAY(LAN, TL_WAY_LAN, 32 * MS)},
         LEFT_LAN,
         LAN,
         TL_NEVER,
         "the local network comes first"},
        {"and when the other is dead",
         {{.id = DIRECT, .kind = TL_WAY_DIRECT, .rtt = MS}, WAY(LAN, TL_WAY_LAN, 60 * MS)},
         LEFT_LAN,
         LAN,
         TL_NEVER,
         "the local network comes first"},
    };
    CHECK(rows);
}

static void switches_for_a_gain_are_ever_further_apart(void **state)
{
    (void)state;
    static const tl_way ways[] = {DIRECT_40, WAY(OTHER, TL_WAY_DIRECT, 20 * MS)};
    static const tl_time apart[] = {0, 2, 4, 8, 16, 32, 60, 60};
    for (unsigned gains = 0; gains < sizeof apart / sizeof *apart; gains++)
        for (int early = 0; early < 2; early++) {
            tl_choice_state s = SETTLED(DIRECT);
            s.gains = gains;
            s.gained_at = gains ? NOW - apart[gains] * TL_SEC + (tl_time)early : 0;
            tl_choice c = tl_choose(ways, 2, &s, NOW);
            bool moves = !early || !gains;
            assert_int_equal(c.id, moves ? OTHER : DIRECT);
            assert_int_equal(c.again_at, moves ? TL_NEVER : NOW + 1);
            assert_true(c.gain == moves);
        }
    /* what is no gain never waits for it: the present way is dead, or it is the relay */
    static const tl_way relayed[] = {RELAYED_80, DIRECT_40};
    tl_choice_state s = SETTLED(RELAY);
    s.gains = 9;
    s.gained_at = NOW;
    assert_int_equal(tl_choose(relayed, 2, &s, NOW).id, DIRECT);
    s.present = OTHER;
    assert_int_equal(tl_choose(relayed, 2, &s, NOW).id, DIRECT);
    assert_false(tl_choose(relayed, 2, &s, NOW).gain);
}

static void after_a_calm_time_the_pauses_begin_anew(void **state)
{
    (void)state;
    tl_choice choice = {.id = OTHER, .gain = true};
    tl_choice_state s = SETTLED(DIRECT);
    tl_choice_made(&s, &choice, NOW);
    assert_int_equal(s.gains, 1);
    assert_int_equal(s.slower, DIRECT);
    assert_int_equal(s.present, OTHER);
    tl_choice_made(&s, &choice, NOW + TL_GAIN_CALM - 1);
    assert_int_equal(s.gains, 2);
    tl_choice_made(&s, &choice, NOW + TL_GAIN_CALM - 1 + TL_GAIN_CALM);
    assert_int_equal(s.gains, 1);
    choice.gain = false;
    tl_choice_made(&s, &choice, NOW + 9 * TL_GAIN_CALM);
    assert_int_equal(s.gains, 1);
}

static void what_is_dead_is_left_at_once(void **state)
{
    (void)state;
    static const row rows[] = {
        {"to the relay, a moment after a switch",
         {RELAYED_80, {.id = DIRECT, .kind = TL_WAY_DIRECT, .rtt = 40 * MS}},
         {.present = DIRECT, .switched_at = NOW - MS, .pto = TL_SEC},
         RELAY,
         TL_NEVER,
         "nothing direct stands"},
        {"to another direct way",
         {RELAYED_80, {.id = DIRECT, .kind = TL_WAY_DIRECT}, WAY(OTHER, TL_WAY_DIRECT, 70 * MS)},
         SETTLED(DIRECT),
         OTHER,
         TL_NEVER,
         "direct comes before the relay"},
        {"nowhere",
         {{.id = DIRECT, .kind = TL_WAY_DIRECT}},
         SETTLED(DIRECT),
         0,
         TL_NEVER,
         "no way is usable"},
        {"from a way that is gone from the list",
         {RELAYED_80},
         SETTLED(DIRECT),
         RELAY,
         TL_NEVER,
         "nothing direct stands"},
    };
    CHECK(rows);
}

static void among_equals_a_fifth_decides(void **state)
{
    (void)state;
    static const row rows[] = {
        {"a fifth",
         {DIRECT_40, WAY(OTHER, TL_WAY_DIRECT, 32 * MS)},
         SETTLED(DIRECT),
         OTHER,
         TL_NEVER,
         "it is faster by a fifth or more"},
        {"a little less",
         {DIRECT_40, WAY(OTHER, TL_WAY_DIRECT, 32 * MS + 1)},
         SETTLED(DIRECT),
         DIRECT,
         TL_NEVER,
         "no other is faster by a fifth"},
        {"not measured",
         {DIRECT_40, WAY(OTHER, TL_WAY_DIRECT, 0)},
         SETTLED(DIRECT),
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"the one in use not measured",
         {WAY(DIRECT, TL_WAY_DIRECT, 0), WAY(OTHER, TL_WAY_DIRECT, 3 * MS)},
         SETTLED(DIRECT),
         DIRECT,
         TL_NEVER,
         "no other is faster by a fifth"},
        {"slower",
         {DIRECT_40, WAY(OTHER, TL_WAY_DIRECT, 80 * MS)},
         SETTLED(DIRECT),
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"between two relays, too",
         {RELAYED_80, WAY(OTHER, TL_WAY_RELAYED, 20 * MS)},
         SETTLED(RELAY),
         OTHER,
         TL_NEVER,
         "it is faster by a fifth or more"},
    };
    CHECK(rows);
}

static void switches_are_apart(void **state)
{
    (void)state;
    static const row rows[] = {
        {"three PTO for a real gain",
         {RELAYED_80, DIRECT_40},
         {.present = RELAY, .switched_at = NOW - 299 * MS, .pto = 100 * MS},
         RELAY,
         NOW + MS,
         "a switch was made a moment ago"},
        {"and then at once",
         {RELAYED_80, DIRECT_40},
         {.present = RELAY, .switched_at = NOW - 300 * MS, .pto = 100 * MS},
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"two seconds for less",
         {RELAYED_80, WAY(DIRECT, TL_WAY_DIRECT, 79 * MS)},
         {.present = RELAY, .switched_at = NOW - 1999 * MS, .pto = 100 * MS},
         RELAY,
         NOW + MS,
         "a switch was made a moment ago"},
        {"and then at once",
         {RELAYED_80, WAY(DIRECT, TL_WAY_DIRECT, 79 * MS)},
         {.present = RELAY, .switched_at = NOW - 2000 * MS, .pto = 100 * MS},
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"three PTO when they are longer",
         {RELAYED_80, WAY(DIRECT, TL_WAY_DIRECT, 79 * MS)},
         {.present = RELAY, .switched_at = NOW - 2000 * MS, .pto = TL_SEC},
         RELAY,
         NOW + TL_SEC,
         "a switch was made a moment ago"},
        {"the first switch waits for nothing",
         {RELAYED_80, DIRECT_40},
         {.present = RELAY, .switched_at = 0, .pto = 100 * TL_SEC},
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
    };
    CHECK(rows);
}

#define BACK(since, times)                                                                         \
    {                                                                                              \
        .id = DIRECT, .kind = TL_WAY_DIRECT, .usable = true, .rtt = 40 * MS,                       \
        .usable_since = NOW - (since), .losses = (times)                                           \
    }

static void a_way_that_was_lost_must_hold(void **state)
{
    (void)state;
    static const row rows[] = {
        {"a second after one loss",
         {RELAYED_80, BACK(999 * MS, 1)},
         SETTLED(RELAY),
         RELAY,
         NOW + MS,
         "a way that was lost must hold first"},
        {"then it is taken",
         {RELAYED_80, BACK(TL_SEC, 1)},
         SETTLED(RELAY),
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"four after the third",
         {RELAYED_80, BACK(3 * TL_SEC, 3)},
         SETTLED(RELAY),
         RELAY,
         NOW + TL_SEC,
         "a way that was lost must hold first"},
        {"a minute at most",
         {RELAYED_80, BACK(59 * TL_SEC, 4000000000u)},
         SETTLED(RELAY),
         RELAY,
         NOW + TL_SEC,
         "a way that was lost must hold first"},
        {"no longer",
         {RELAYED_80, BACK(60 * TL_SEC, 4000000000u)},
         SETTLED(RELAY),
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"unless there is no other",
         {BACK(MS, 3)},
         SETTLED(0),
         DIRECT,
         NOW + 3999 * MS,
         "nothing else stands, though it was lost"},
        {"the one in use may have come back under the traffic",
         {RELAYED_80, BACK(MS, 3)},
         SETTLED(DIRECT),
         DIRECT,
         TL_NEVER,
         "direct comes before the relay"},
        {"another that holds is taken meanwhile",
         {RELAYED_80, BACK(MS, 1), WAY(OTHER, TL_WAY_DIRECT, 60 * MS)},
         SETTLED(RELAY),
         OTHER,
         NOW + 999 * MS,
         "direct comes before the relay"},
        {"one that is no better is not waited for",
         {LAN_1, BACK(MS, 1)},
         SETTLED(LAN),
         LAN,
         TL_NEVER,
         "the local network comes first"},
    };
    CHECK(rows);
}

/* Two ways whose measured round trips swap places all the time. */
static void jitter_moves_nobody(void **state)
{
    (void)state;
    tl_choice_state s = {.present = DIRECT, .switched_at = NOW, .pto = 100 * MS};
    unsigned switches = 0;
    for (unsigned i = 1; i <= 1000; i++) {
        tl_time up = (i % 2 ? 44 : 38) * MS, down = (i % 2 ? 38 : 44) * MS;
        const tl_way ways[] = {WAY(DIRECT, TL_WAY_DIRECT, up), WAY(OTHER, TL_WAY_DIRECT, down)};
        tl_choice c = tl_choose(ways, 2, &s, NOW + i * 100 * MS);
        switches += c.id != s.present;
        s.present = c.id;
    }
    assert_int_equal(switches, 0);
}

/* Round trips of a connection that fills the way it uses. `shared`: the other way runs through the
 * same cable, as a VPN between the same two machines does, and waits in the same queue. */
static tl_time loaded(tl_time idle, tl_time queue, bool used, bool shared, uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    tl_time jitter = idle * (*random >> 33) % (idle / 4);
    return idle + (used || shared ? queue : 0) + jitter;
}

/* The number of switches in ten minutes. */
static unsigned under_load(tl_way_kind other, tl_time queue, bool shared)
{
    tl_choice_state s = {.present = OTHER, .pto = 5 * MS};
    unsigned switches = 0;
    uint64_t random = 1;
    for (tl_time t = 0; t < 600 * TL_SEC; t += 100 * MS) {
        tl_time full = t / (7 * TL_SEC) % 2 ? queue : 0; /* questions come and go */
        const tl_way ways[] = {
            WAY(DIRECT, TL_WAY_DIRECT,
                loaded(4 * MS / 10, full, s.present == DIRECT, shared, &random)),
            WAY(OTHER, other, loaded(12 * MS / 10, full, s.present == OTHER, shared, &random))};
        tl_choice c = tl_choose(ways, 2, &s, NOW + t);
        if (c.id != s.present) {
            tl_choice_made(&s, &c, NOW + t);
            switches++;
        }
    }
    return switches;
}

static void a_vpn_over_the_same_cable_never_flaps(void **state)
{
    (void)state;
    for (tl_way_kind kind = TL_WAY_DIRECT; kind <= TL_WAY_LAN; kind++) /* a tunnel; a bridge */
        for (tl_time queue = 0; queue <= 50 * MS; queue += 2 * MS)
            assert_int_equal(under_load(kind, queue, true), 1); /* to the faster, for good */
}

static void ways_that_look_faster_in_turn_change_once_a_minute_at_most(void **state)
{
    (void)state;
    for (tl_way_kind kind = TL_WAY_DIRECT; kind <= TL_WAY_LAN; kind++)
        for (tl_time queue = 0; queue <= 50 * MS; queue += 2 * MS)
            assert_in_range(under_load(kind, queue, false), 1, 6 + 600 / 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kind_decides_first),
        cmocka_unit_test(udp_to_the_relay_stands_between_its_websocket_and_a_direct_way),
        cmocka_unit_test(a_clearly_faster_direct_way_comes_before_the_local_network),
        cmocka_unit_test(a_local_way_that_was_slower_comes_back_when_it_is_faster),
        cmocka_unit_test(switches_for_a_gain_are_ever_further_apart),
        cmocka_unit_test(after_a_calm_time_the_pauses_begin_anew),
        cmocka_unit_test(a_vpn_over_the_same_cable_never_flaps),
        cmocka_unit_test(ways_that_look_faster_in_turn_change_once_a_minute_at_most),
        cmocka_unit_test(what_is_dead_is_left_at_once),
        cmocka_unit_test(among_equals_a_fifth_decides),
        cmocka_unit_test(switches_are_apart),
        cmocka_unit_test(a_way_that_was_lost_must_hold),
        cmocka_unit_test(jitter_moves_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
