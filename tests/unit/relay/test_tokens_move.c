#include "tokens_scene.h"

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
