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

/* Four addresses with 14 MiB each, and one after the other three that are not registered, of whom
 * two hold `held` bytes. */
static void crowd(scene *s, size_t held, peer *ret_news[3])
{
    for (uint8_t i = 0; i < 4; i++) {
        peer *p = hold(s, (uint8_t)(10 + i), 1);
        tl_relay_on_held(s->w.relay, p->conn, 12 * MIB, s->w.now);
    }
    for (uint8_t i = 0; i < 3; i++) {
        s->w.remote.bytes[3] = (uint8_t)(200 + i);
        ret_news[i] = peer_connect(&s->w, 0);
        tl_relay_on_held(s->w.relay, ret_news[i]->conn, i < 2 ? held : 0, s->w.now);
    }
    world_run(&s->w, 0);
    assert_int_equal(counters(s)->cut_budget, 0);
    hold(s, 30, 4);
    hold(s, 31, 2);
}

static void when_memory_is_short_those_that_are_not_registered_go_first(void **state)
{
    (void)state;
    scene s;
    peer *news[3];
    scene_init(&s);
    crowd(&s, 5 * MIB, news);
    assert_int_equal(counters(&s)->cut_budget, 2);
    assert_true(news[0]->cut); /* they had more than an eighth */
    assert_false(news[2]->cut);
    scene_clear(&s);
}

static void but_not_when_they_take_little(void **state)
{
    (void)state;
    scene s;
    peer *news[3];
    scene_init(&s);
    crowd(&s, 3 * MIB + MIB / 2, news);
    assert_int_equal(counters(&s)->cut_budget, 1);
    for (int i = 0; i < 3; i++)
        assert_false(news[i]->cut);
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

static void a_tls_connection_counts_less_when_its_handshake_is_done(void **state)
{
    (void)state;
    scene s;
    tl_relay_conn *tls, *plain;
    tl_relay_output out;
    int user;
    scene_init(&s);
    size_t before = counters(&s)->memory_bytes;
    assert_int_equal(
        tl_relay_accept(s.w.relay, &s.w.remote, &s.w.local, false, &user, s.w.now, &plain), TL_OK);
    size_t of_plain = counters(&s)->memory_bytes - before;
    before = counters(&s)->memory_bytes;
    assert_int_equal(
        tl_relay_accept(s.w.relay, &s.w.remote, &s.w.local, true, &user, s.w.now, &tls), TL_OK);
    assert_in_range(counters(&s)->memory_bytes - before - of_plain, 40000, 45000);
    tl_relay_on_upgraded(s.w.relay, tls, s.w.now);
    while (tl_relay_next_output(s.w.relay, &out)) {
        tl_relay_on_written(s.w.relay, out.conn, out.bytes.n, s.w.now);
        tl_relay_chunk_unref(out.shared);
    }
    assert_in_range(counters(&s)->memory_bytes - before - of_plain, 14000, 17000);
    tl_relay_on_gone(s.w.relay, tls, s.w.now);
    tl_relay_on_gone(s.w.relay, plain, s.w.now);
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
        cmocka_unit_test(when_memory_is_short_those_that_are_not_registered_go_first),
        cmocka_unit_test(but_not_when_they_take_little),
        cmocka_unit_test(what_the_driver_keeps_and_what_nobody_reads_count),
        cmocka_unit_test(a_tls_connection_counts_less_when_its_handshake_is_done),
        cmocka_unit_test(registered_names_count),
        cmocka_unit_test(what_all_are_told_counts_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
