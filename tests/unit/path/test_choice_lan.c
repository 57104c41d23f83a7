#include "path/choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW (1000 * TL_SEC)
#define MS  TL_MS

enum { RELAY = 1, DIRECT, OTHER, LAN, UDP, TCP };

#define WAY(which, what, round_trip)                                                               \
    {                                                                                              \
        .id = (which), .kind = (what), .usable = true, .rtt = (round_trip),                        \
        .usable_since = NOW - 60 * TL_SEC                                                          \
    }
#define RELAYED_80 WAY(RELAY, TL_WAY_RELAYED, 80 * MS)
#define UDP_70     WAY(UDP, TL_WAY_RELAYED_UDP, 70 * MS)
#define DIRECT_40  WAY(DIRECT, TL_WAY_DIRECT, 40 * MS)
#define LAN_1      WAY(LAN, TL_WAY_LAN, MS)
#define TCP_1      WAY(TCP, TL_WAY_LAN_TCP, MS)

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

static void tcp_on_the_local_network_stands_between_udp_there_and_all_others(void **state)
{
    (void)state;
    static const char by_tcp[] = "the local network comes first, and only TCP passes there";
    static const row rows[] = {
        {"before the relay", {RELAYED_80, TCP_1}, SETTLED(RELAY), TCP, TL_NEVER, by_tcp},
        {"before UDP to the relay", {UDP_70, TCP_1}, SETTLED(UDP), TCP, TL_NEVER, by_tcp},
        {"before a way elsewhere", {DIRECT_40, TCP_1}, SETTLED(DIRECT), TCP, TL_NEVER, by_tcp},
        {"but not before one that is clearly faster",
         {WAY(DIRECT, TL_WAY_DIRECT, MS), WAY(TCP, TL_WAY_LAN_TCP, 40 * MS)},
         SETTLED(0),
         DIRECT,
         TL_NEVER,
         "it is clearly faster than the local network"},
        {"UDP there comes first",
         {TCP_1, LAN_1},
         SETTLED(TCP),
         LAN,
         TL_NEVER,
         "the local network comes first"},
        {"also where it looks slower: TCP hides what is lost",
         {TCP_1, WAY(LAN, TL_WAY_LAN, 4 * MS)},
         SETTLED(LAN),
         LAN,
         TL_NEVER,
         "the local network comes first"},
        {"whatever the order",
         {WAY(LAN, TL_WAY_LAN, 4 * MS), TCP_1},
         SETTLED(0),
         LAN,
         TL_NEVER,
         "the local network comes first"},
        {"of two by TCP the quicker",
         {TCP_1, WAY(OTHER, TL_WAY_LAN_TCP, 2 * MS)},
         SETTLED(0),
         TCP,
         TL_NEVER,
         by_tcp},
        {"UDP that was lost must hold first, and TCP carries meanwhile",
         {TCP_1,
          {.id = LAN,
           .kind = TL_WAY_LAN,
           .usable = true,
           .rtt = MS,
           .usable_since = NOW - 100 * MS,
           .losses = 1}},
         SETTLED(TCP),
         TCP,
         NOW + 900 * MS,
         "a way that was lost must hold first"},
    };
    CHECK(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_on_the_local_network_stands_between_udp_there_and_all_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
