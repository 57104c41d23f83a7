/* What all connections may hold in sum: who is given up for it, and who never is. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1u << 20)

typedef struct {
    world w;
    char *junk;
    peer *honest, *reader; /* with a session, each at the address of a greedy one */
} scene;

/* 64 MiB in all, so 16 MiB an address. */
static void scene_init(scene *s)
{
    tl_relay_config config = tl_relay_config_default();
    config.memory_max = 64 * MIB;
    world_init(&s->w, &config);
    s->junk = calloc(1, 4 * MIB);
    assert_non_null(s->junk);
    s->w.remote.bytes[3] = 0;
    s->honest = peer_join(&s->w, 1, ",\"features\":[\"quiet\"]");
    s->w.remote.bytes[3] = 1;
    s->reader = peer_join(&s->w, 2, ",\"features\":[\"quiet\"]");
    peers_open(s->honest, s->reader, "s");
}

static void scene_clear(scene *s)
{
    peer_send_session(s->honest, "relayData", s->reader, "s", "QUJD"); /* they noticed nothing */
    peer_expect(s->reader, TL_SIGNAL_RELAY_DATA);
    free(s->junk);
    world_clear(&s->w);
}

/* A member at the address x.x.x.`at` that begins a message of `mib` MiB and never ends it. */
static peer *hold(scene *s, uint8_t at, size_t mib)
{
    s->w.remote.bytes[3] = at;
    peer *p = peer_join(&s->w, 0, ",\"features\":[\"quiet\"]");
    peer_send_frame(p, TL_WS_TEXT, false, s->junk, mib * MIB - 100);
    world_run(&s->w, 0);
    return p;
}

static const tl_relay_counters *counters(const scene *s)
{
    return tl_relay_counters_of(s->w.relay);
}

static void an_address_over_its_share_loses_its_largest_connections(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    peer *small = hold(&s, 0, 1), *large = hold(&s, 0, 3);
    for (int i = 0; i < 4; i++)
        hold(&s, 0, 2);
    assert_int_equal(counters(&s)->cut_budget, 0); /* not 16 MiB yet */
    hold(&s, 0, 2);
    hold(&s, 0, 2);
    assert_true(large->cut && !small->cut);
    assert_true(counters(&s)->cut_budget >= 1 && counters(&s)->cut_budget <= 3);
    for (int i = 0; i < 50; i++)
        hold(&s, 0, 1);
    assert_true(counters(&s)->memory_bytes < 17 * MIB);
    scene_clear(&s);
}

static void over_the_whole_the_greediest_address_pays(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    peer *others[5], *large = hold(&s, 1, 4);
    for (int i = 0; i < 4; i++)
        hold(&s, 1, 2); /* 12 MiB at this address */
    for (uint8_t i = 0; i < 5; i++) {
        others[i] = hold(&s, (uint8_t)(10 + i), 4);
        hold(&s, (uint8_t)(10 + i), 4);
    }
    assert_int_equal(counters(&s)->cut_budget, 0); /* 52 MiB */
    hold(&s, 20, 4);
    hold(&s, 21, 4);
    hold(&s, 22, 4); /* 64 */
    hold(&s, 23, 1);
    assert_true(large->cut);
    for (int i = 0; i < 5; i++)
        assert_false(others[i]->cut);
    assert_true(counters(&s)->memory_bytes < 64 * MIB);
    scene_clear(&s);
}

/* Of all the small connections, those that are not registered go, wherever they come from. */
static void who_has_not_registered_goes_before_all_others(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    peer *p[4], *news[3];
    for (uint8_t i = 0; i < 3; i++) {
        s.w.remote.bytes[3] = (uint8_t)(200 + i);
        news[i] = peer_connect(&s.w, 0);
    }
    for (uint8_t i = 0; i < 4; i++) {
        p[i] = hold(&s, (uint8_t)(10 + i), 1);
        tl_relay_on_held(s.w.relay, p[i]->conn, 14 * MIB + 200000, s.w.now);
    }
    world_run(&s.w, 0);
    assert_false(news[0]->cut);
    s.w.remote.bytes[3] = 10;
    peer *registers = peer_connect(&s.w, 0);
    peer_register_as(registers, NULL, NULL, NULL, NULL);
    hold(&s, 30, 4);
    assert_true(news[0]->cut && news[1]->cut && news[2]->cut && p[3]->cut);
    assert_false(p[0]->cut || p[1]->cut || p[2]->cut || registers->cut);
    scene_clear(&s);
}

static void at_its_own_address_too(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    peer *small = hold(&s, 3, 1), *large = hold(&s, 3, 3), *new = peer_connect(&s.w, 0);
    tl_relay_on_held(s.w.relay, small->conn, 12 * MIB, s.w.now);
    world_run(&s.w, 0);
    assert_true(new->cut && small->cut && !large->cut);
    scene_clear(&s);
}

static void what_the_driver_keeps_and_what_nobody_reads_count(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    size_t before = counters(&s)->memory_bytes;
    peer *p = hold(&s, 3, 1);
    assert_true(counters(&s)->memory_bytes >= before + MIB - 100);
    peer_send_frame(p, TL_WS_CONTINUATION, true, "", 0); /* the message ends, and is no JSON */
    peer_expect_error(p, TL_SIGNAL_TOO_LARGE);
    assert_true(counters(&s)->memory_bytes < before + MIB / 10);
    tl_relay_on_held(s.w.relay, p->conn, 15 * MIB, s.w.now);
    world_run(&s.w, 0);
    assert_false(p->cut);
    tl_relay_on_held(s.w.relay, p->conn, 16 * MIB, s.w.now);
    world_run(&s.w, 0);
    assert_true(p->cut);
    p = hold(&s, 3, 1);
    p->reads = false;
    before = counters(&s)->memory_bytes;
    peer_send_frame(p, TL_WS_PING, true, s.junk, 125);
    assert_true(counters(&s)->memory_bytes > before + 125);
    p->reads = true;
    peer_send_frame(p, TL_WS_PING, true, "", 0);
    assert_int_equal(counters(&s)->memory_bytes, before);
    scene_clear(&s);
}

static void registered_names_count(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    char capabilities[4000] = "{\"loadedModels\":[\"a\"";
    for (int i = 0; i < 255; i++)
        strcat(capabilities, ",\"longer-b\"");
    strcat(capabilities, "]}");
    size_t before = counters(&s)->memory_bytes;
    peer_register_as(s.honest, NULL, NULL, capabilities, ",\"features\":[\"quiet\"]");
    peer_expect(s.honest, TL_SIGNAL_REGISTER_ACK);
    assert_true(counters(&s)->memory_bytes > before + 10000);
    peer_register_as(s.honest, NULL, NULL, "{}", ",\"features\":[\"quiet\"]");
    peer_expect(s.honest, TL_SIGNAL_REGISTER_ACK);
    assert_int_equal(counters(&s)->memory_bytes, before);
    scene_clear(&s);
}

/* Each would be told of a thousand joins: that text is there once, not once for each of them. */
static void what_all_are_told_counts_little(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    for (int i = 0; i < 400; i++) {
        peer *p = peer_join(&s.w, 0, NULL);
        p->reads = false;
    }
    world_run(&s.w, TL_SEC); /* 400 times up to 60 KB */
    assert_int_equal(counters(&s)->cut_budget, 0);
    assert_true(counters(&s)->queue_bytes > 5 * MIB);
    assert_true(counters(&s)->memory_bytes < 4 * MIB);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_over_its_share_loses_its_largest_connections),
        cmocka_unit_test(over_the_whole_the_greediest_address_pays),
        cmocka_unit_test(who_has_not_registered_goes_before_all_others),
        cmocka_unit_test(at_its_own_address_too),
        cmocka_unit_test(what_the_driver_keeps_and_what_nobody_reads_count),
        cmocka_unit_test(registered_names_count),
        cmocka_unit_test(what_all_are_told_counts_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
