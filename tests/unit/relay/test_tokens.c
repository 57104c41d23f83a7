#include "relay/tokens.h"

#include "relay/signed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WALL 1790000000

/* A table with one socket, a pair of sides, and the users A and B of their streams. */
typedef struct {
    tl_tokens *t;
    tl_rand rand;
    tl_tokens_pair pair;
    tl_identity id[2];
    int users[2];
    tl_limit limits[2];
    tl_time now;
} scene;

enum { A, B };

static tl_addr addr_of(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static tl_burst_way from(const char *remote)
{
    return (tl_burst_way){.remote = addr_of(remote), .local = addr_of("198.18.0.1:3478")};
}

static void begin_with(scene *s, const tl_tokens_config *config, bool limited)
{
    *s = (scene){.rand = tl_rand_seeded(7), .now = TL_SEC};
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_tokens_new(config, &s->rand, s->now, &s->t), TL_OK);
    tl_tokens_member members[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tl_identity_new(&s->rand, &s->id[i]), TL_OK);
        s->limits[i] = tl_limit_make(64 << 10, 500 * TL_MS, s->now);
        members[i] = (tl_tokens_member){
            .node = &s->id[i].id, .user = &s->users[i], .limit = limited ? &s->limits[i] : NULL};
    }
    assert_int_equal(tl_tokens_open(s->t, members, s->now, &s->pair), TL_OK);
}

static const tl_tokens_config *one_socket(void)
{
    static tl_tokens_config config = {.socket_count = 1};
    config.sockets[0] = addr_of("198.18.0.1:3478");
    return &config;
}

static void begin(scene *s)
{
    begin_with(s, one_socket(), false);
}

static void end(scene *s)
{
    tl_tokens_close(s->t, &s->pair);
    tl_tokens_free(s->t);
}

static uint64_t dropped(const scene *s, tl_tokens_drop why)
{
    return tl_tokens_counters_of(s->t)->dropped[why];
}

/* A packet of that side with `n` bytes of payload. */
static tl_slice packet(const scene *s, int side, size_t n)
{
    static uint8_t bytes[TL_TOKEN_SIZE + 70000];
    memcpy(bytes, tl_tokens_token(s->pair.side[side]), TL_TOKEN_SIZE);
    return tl_slice_of(bytes, TL_TOKEN_SIZE + n);
}

static tl_tokens_verdict by_udp(scene *s, const char *remote, tl_slice p, const char *ret_to[1])
{
    static char text[TL_ADDR_TEXT_MAX];
    tl_burst_way way = from(remote);
    const tl_burst_way *to;
    tl_tokens_side *side;
    tl_tokens_verdict v = tl_tokens_on_datagram(s->t, &way, p, s->now, &to, &side);
    if (v == TL_TOKENS_TO_UDP && ret_to) {
        tl_addr_write(text, &to->remote);
        *ret_to = text;
    }
    return v;
}

static tl_tokens_verdict by_stream(scene *s, int user, tl_slice p)
{
    const tl_burst_way *to;
    tl_tokens_side *side;
    return tl_tokens_on_message(s->t, &s->users[user], p, s->now, &to, &side);
}

#define PA "198.18.0.10:1000"
#define PB "198.18.0.11:2000"
#define PX "198.18.0.66:6666"

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
    tl_tokens *t;
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
    tl_tokens_was_dropped(s.t, TL_TOKENS_DROP_SLOW, TL_TOKENS_BY_UDP, 9);
    const tl_tokens_counters *c = tl_tokens_counters_of(s.t);
    assert_int_equal(c->packets[TL_TOKENS_BY_UDP][TL_TOKENS_BY_STREAM], 0);
    assert_int_equal(c->bytes[TL_TOKENS_BY_UDP][TL_TOKENS_BY_STREAM], 0);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SLOW), 1);
    end(&s);
}

/* --- moving --- */

typedef struct {
    uint64_t sequence;
    const char *addr;
    tl_unix timestamp;
    int signer, side;
} migrate;

static size_t write_migrate(const scene *s, const migrate *m, uint8_t ret[TL_CONTROL_MAX])
{
    tl_control c = {.type = TL_CONTROL_RELAY_MIGRATE,
                    .addr = addr_of(m->addr),
                    .sequence = m->sequence,
                    .timestamp = (uint64_t)m->timestamp};
    memcpy(c.token, tl_tokens_token(s->pair.side[m->side]), TL_TOKEN_SIZE);
    assert_int_equal(tl_control_sign(&c, &s->id[m->signer]), TL_OK);
    return tl_control_write(&c, ret);
}

static bool control(scene *s, const char *remote, const uint8_t *bytes, size_t n,
                    tl_tokens_reply *ret)
{
    tl_burst_way way = from(remote ? remote : PX);
    return tl_tokens_on_control(s->t, remote ? &way : NULL, tl_slice_of(bytes, n), s->now, WALL,
                                ret);
}

static bool ask_to_move(scene *s, const migrate *m, tl_tokens_reply *ret)
{
    uint8_t bytes[TL_CONTROL_MAX];
    size_t n = write_migrate(s, m, bytes);
    return control(s, PX, bytes, n, ret);
}

static tl_control path_of(const tl_tokens_reply *r)
{
    tl_control c;
    assert_int_equal(tl_control_parse(tl_slice_of(r->bytes, r->n), &c), TL_OK);
    return c;
}

static bool answer(scene *s, const char *remote, const tl_control *path, int side,
                   tl_tokens_reply *ret)
{
    uint8_t bytes[TL_CONTROL_MAX];
    tl_control c = {.type = TL_CONTROL_RELAY_PATH_REPLY};
    memcpy(c.nonce, path->nonce, sizeof c.nonce);
    memcpy(c.token, tl_tokens_token(s->pair.side[side]), TL_TOKEN_SIZE);
    return control(s, remote, bytes, tl_control_write(&c, bytes), ret);
}

static void expect_at(scene *s, int side, const char *expected)
{
    const char *to;
    assert_int_equal(by_stream(s, !side, packet(s, !side, 1)), TL_TOKENS_TO_UDP);
    assert_int_equal(by_udp(s, expected, packet(s, side, 0), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_udp(s, !side == A ? PA : PB, packet(s, !side, 1), &to), TL_TOKENS_TO_UDP);
    assert_string_equal(to, expected);
}

#define NEW "198.18.0.20:4000"
static const migrate good = {.sequence = 1, .addr = NEW, .timestamp = WALL, .signer = A, .side = A};

static void bind_both(scene *s)
{
    assert_int_equal(by_udp(s, PA, packet(s, A, 0), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_udp(s, PB, packet(s, B, 0), NULL), TL_TOKENS_DONE);
}

static void a_side_moves_when_its_new_address_has_answered_and_not_before(void **state)
{
    (void)state;
    scene s;
    tl_tokens_reply r;
    begin(&s);
    bind_both(&s);
    assert_true(ask_to_move(&s, &good, &r));
    tl_control path = path_of(&r);
    assert_int_equal(path.type, TL_CONTROL_RELAY_PATH);
    assert_int_equal(path.sequence, 1);
    tl_addr new = addr_of(NEW);
    assert_true(tl_addr_eq(&r.way.remote, &new));
    expect_at(&s, A, PA); /* the old address stays until then */
    assert_true(answer(&s, NEW, &path, A, &r));
    assert_int_equal(path_of(&r).type, TL_CONTROL_RELAY_MIGRATED);
    assert_true(tl_addr_eq(&r.way.remote, &new));
    expect_at(&s, A, NEW);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 1), NULL), TL_TOKENS_DONE);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SOURCE), 1);
    assert_int_equal(tl_tokens_counters_of(s.t)->moved, 1);
    assert_int_equal(tl_tokens_counters_of(s.t)->udp_sides, 2);
    assert_int_equal(tl_tokens_expiry(s.t), TL_NEVER);
    /* its RelayMigrated was lost: it asks again */
    assert_true(answer(&s, NEW, &path, A, &r));
    assert_int_equal(path_of(&r).type, TL_CONTROL_RELAY_MIGRATED);
    assert_int_equal(tl_tokens_counters_of(s.t)->moved, 1);
    end(&s);
}

static void a_thief_that_was_first_is_displaced_by_the_node(void **state)
{
    (void)state;
    scene s;
    tl_tokens_reply r;
    begin(&s);
    assert_int_equal(by_udp(&s, PX, packet(&s, A, 0), NULL), TL_TOKENS_DONE);
    assert_int_equal(by_udp(&s, PA, packet(&s, A, 0), NULL), TL_TOKENS_DONE);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SOURCE), 1);
    assert_int_equal(by_udp(&s, PB, packet(&s, B, 0), NULL), TL_TOKENS_DONE);
    assert_true(ask_to_move(&s, &(migrate){1, PA, WALL, A, A}, &r));
    tl_control path = path_of(&r);
    assert_true(answer(&s, PA, &path, A, &r));
    expect_at(&s, A, PA);
    assert_int_equal(by_udp(&s, PX, packet(&s, A, 1), NULL), TL_TOKENS_DONE);
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_SOURCE), 2);
    end(&s);
}

static void each_bad_move_is_refused_beside_its_accepted_twin(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        migrate m;
    } bad[] = {
        {"signed by the other side", {1, NEW, WALL, B, A}},
        {"too old", {1, NEW, WALL - 31, A, A}},
        {"of tomorrow", {1, NEW, WALL + 31, A, A}},
        {"sequence 0", {0, NEW, WALL, A, A}},
        {"multicast", {1, "224.0.0.1:5", WALL, A, A}},
        {"broadcast", {1, "255.255.255.255:5", WALL, A, A}},
        {"unspecified", {1, "0.0.0.0:5", WALL, A, A}},
        {"loopback", {1, "127.0.0.1:5", WALL, A, A}},
        {"link-local", {1, "169.254.0.1:5", WALL, A, A}},
        {"the relay's own", {1, "198.18.0.1:3478", WALL, A, A}},
        {"a family without a socket", {1, "[2001:db8::1]:5", WALL, A, A}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        scene s;
        tl_tokens_reply r;
        begin(&s);
        bind_both(&s);
        if (ask_to_move(&s, &bad[i].m, &r))
            fail_msg("%s", bad[i].what);
        assert_int_equal(tl_tokens_counters_of(s.t)->refused, 1);
        expect_at(&s, A, PA);
        assert_true(ask_to_move(&s, &good, &r)); /* and it used up no sequence */
        end(&s);
    }
}

static void a_replayed_move_and_an_old_sequence_are_refused(void **state)
{
    (void)state;
    scene s;
    tl_tokens_reply r;
    uint8_t first[TL_CONTROL_MAX];
    begin(&s);
    bind_both(&s);
    size_t n = write_migrate(&s, &(migrate){5, NEW, WALL, A, A}, first);
    assert_true(control(&s, PX, first, n, &r));
    assert_false(control(&s, PX, first, n, &r)); /* while it is pending, */
    tl_control path = path_of(&r);
    assert_true(answer(&s, NEW, &path, A, &r));
    assert_false(control(&s, PX, first, n, &r)); /* and when it is done */
    assert_false(ask_to_move(&s, &(migrate){4, PA, WALL, A, A}, &r));
    assert_int_equal(tl_tokens_counters_of(s.t)->refused, 3);
    expect_at(&s, A, NEW);
    assert_true(ask_to_move(&s, &(migrate){6, PA, WALL, A, A}, &r));
    end(&s);
}

static void an_address_that_stays_silent_gets_three_short_datagrams_in_a_second(void **state)
{
    (void)state;
    scene s;
    tl_tokens_reply r;
    uint8_t bytes[TL_CONTROL_MAX];
    begin(&s);
    bind_both(&s);
    size_t in = write_migrate(&s, &good, bytes), out = 0, sent = 0;
    tl_time began = s.now;
    assert_true(control(&s, PX, bytes, in, &r));
    tl_control path = path_of(&r);
    do {
        assert_true(r.n <= TL_TOKENS_REPLY_MAX);
        out += r.n;
        sent++;
        s.now = tl_tokens_expiry(s.t);
    } while (tl_tokens_on_timer(s.t, s.now, &r));
    assert_int_equal(sent, 3);
    assert_true(out <= in);
    assert_true(s.now - began >= TL_SEC);
    assert_int_equal(tl_tokens_expiry(s.t), TL_NEVER);
    assert_int_equal(tl_tokens_counters_of(s.t)->unanswered, 1);
    assert_false(answer(&s, NEW, &path, A, &r)); /* too late */
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_CONTROL), 1);
    expect_at(&s, A, PA);
    assert_true(ask_to_move(&s, &(migrate){2, NEW, WALL, A, A}, &r));
    end(&s);
}

static void only_the_new_address_can_answer_and_only_with_its_nonce_and_token(void **state)
{
    (void)state;
    scene s;
    tl_tokens_reply r, ignored;
    begin(&s);
    bind_both(&s);
    assert_true(ask_to_move(&s, &good, &r));
    tl_control path = path_of(&r), wrong = path;
    wrong.nonce[15] ^= 1;
    assert_false(answer(&s, PX, &path, A, &ignored));
    assert_false(answer(&s, PA, &path, A, &ignored));
    assert_false(answer(&s, NEW, &wrong, A, &ignored));
    assert_false(answer(&s, NEW, &path, B, &ignored));
    assert_false(answer(&s, NULL, &path, A, &ignored)); /* by a stream */
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_CONTROL), 5);
    assert_true(answer(&s, NEW, &path, A, &r));
    end(&s);
}

static void a_newer_move_takes_the_place_of_the_pending_one(void **state)
{
    (void)state;
    scene s;
    tl_tokens_reply r;
    begin(&s);
    bind_both(&s);
    assert_true(ask_to_move(&s, &good, &r));
    tl_control first = path_of(&r);
    assert_true(ask_to_move(&s, &(migrate){2, "198.18.0.30:1", WALL, A, A}, &r));
    tl_control second = path_of(&r);
    assert_memory_not_equal(first.nonce, second.nonce, sizeof first.nonce);
    assert_false(answer(&s, NEW, &first, A, &r));
    assert_true(answer(&s, "198.18.0.30:1", &second, A, &r));
    expect_at(&s, A, "198.18.0.30:1");
    end(&s);
}

static void a_side_that_never_came_by_udp_may_move_there(void **state)
{
    (void)state;
    scene s;
    tl_tokens_reply r;
    uint8_t bytes[TL_CONTROL_MAX];
    begin(&s);
    assert_int_equal(by_udp(&s, PB, packet(&s, B, 0), NULL), TL_TOKENS_DONE);
    size_t n = write_migrate(&s, &good, bytes);
    assert_true(control(&s, NULL, bytes, n, &r)); /* asked for by its stream */
    tl_control path = path_of(&r);
    assert_true(answer(&s, NEW, &path, A, &r));
    expect_at(&s, A, NEW);
    assert_int_equal(tl_tokens_counters_of(s.t)->udp_sides, 2);
    end(&s);
}

static void only_few_signatures_a_second_are_looked_at(void **state)
{
    (void)state;
    scene s;
    tl_tokens_reply r;
    begin(&s);
    bind_both(&s);
    for (uint64_t i = 0; i < TL_TOKENS_PROOFS_BURST;
         i++) /* a thief of the token, without the key */
        assert_false(ask_to_move(&s, &(migrate){1 + i, NEW, WALL, B, A}, &r));
    assert_false(ask_to_move(&s, &good, &r));
    s.now += TL_SEC / TL_TOKENS_PROOFS_PER_SEC;
    assert_true(ask_to_move(&s, &good, &r));
    assert_true(
        ask_to_move(&s, &(migrate){1, NEW, WALL, B, B}, &r)); /* the other side has its own */
    end(&s);
}

static void everything_else_that_says_control_is_dropped(void **state)
{
    (void)state;
    scene s;
    tl_tokens_reply r;
    uint8_t bytes[TL_CONTROL_MAX];
    begin(&s);
    bind_both(&s);
    for (int type = 0; type < 256; type++) {
        size_t n = write_migrate(&s, &good, bytes);
        if (type == TL_CONTROL_RELAY_MIGRATE)
            continue;
        bytes[1] = (uint8_t)type;
        assert_false(control(&s, PA, bytes, n, &r));
    }
    size_t n = write_migrate(&s, &good, bytes);
    for (size_t i = 0; i < n; i++)
        assert_false(control(&s, PA, bytes, i, &r));
    assert_int_equal(dropped(&s, TL_TOKENS_DROP_CONTROL), 255 + n);
    assert_true(control(&s, PA, bytes, n, &r));
    tl_tokens_close(s.t, &s.pair); /* with a move under way */
    assert_int_equal(tl_tokens_expiry(s.t), TL_NEVER);
    assert_false(control(&s, PA, bytes, n, &r));
    tl_tokens_free(s.t);
}

static void a_wildcard_socket_sends_nothing_to_loopback(void **state)
{
    (void)state;
    static const struct {
        const char *socket, *new;
        bool moves;
    } cases[] = {{"0.0.0.0:3478", "127.0.0.1:5", false},
                 {"0.0.0.0:3478", NEW, true},
                 {"127.0.0.1:3478", "127.0.0.1:5", true},
                 {"127.0.0.1:3478", NEW, false},
                 {"0.0.0.0:3478", "198.18.0.1:3478", false}}; /* where it was asked */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene s;
        tl_tokens_reply r;
        tl_tokens_config config = {.socket_count = 1, .sockets = {addr_of(cases[i].socket)}};
        begin_with(&s, &config, false);
        assert_int_equal(ask_to_move(&s, &(migrate){1, cases[i].new, WALL, A, A}, &r),
                         cases[i].moves);
        end(&s);
    }
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
        cmocka_unit_test(a_side_moves_when_its_new_address_has_answered_and_not_before),
        cmocka_unit_test(a_thief_that_was_first_is_displaced_by_the_node),
        cmocka_unit_test(each_bad_move_is_refused_beside_its_accepted_twin),
        cmocka_unit_test(a_replayed_move_and_an_old_sequence_are_refused),
        cmocka_unit_test(an_address_that_stays_silent_gets_three_short_datagrams_in_a_second),
        cmocka_unit_test(only_the_new_address_can_answer_and_only_with_its_nonce_and_token),
        cmocka_unit_test(a_newer_move_takes_the_place_of_the_pending_one),
        cmocka_unit_test(a_side_that_never_came_by_udp_may_move_there),
        cmocka_unit_test(only_few_signatures_a_second_are_looked_at),
        cmocka_unit_test(everything_else_that_says_control_is_dropped),
        cmocka_unit_test(a_wildcard_socket_sends_nothing_to_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
