/* A node that introduces others: what it hands on, and what it refuses, each beside its accepted twin. */
#include "peerrelay_scene.h"

#include "relay/introducer.h"

typedef struct {
    scene base;
    tl_introducer *i;
    tl_introducer_output out; /* of the last call */
    uint64_t in, sent;        /* bytes, of all calls */
} intro_scene;

static void begin_intro(intro_scene *s)
{
    memset(s, 0, sizeof *s);
    begin(&s->base);
    assert_int_equal(tl_introducer_new(&s->base.self, s->base.config.attached, &s->i), TL_OK);
    tl_introducer_set_serving(s->i, true);
}

static void end_intro(intro_scene *s)
{
    tl_introducer_free(s->i);
    end(&s->base);
}

static bool write_bytes(intro_scene *s, const tl_addr *from, tl_slice bytes)
{
    tl_burst_way way = way_from(from);
    bool taken = tl_introducer_on_control(s->i, &way, bytes, s->base.now, wall(&s->base), &s->out);
    s->in += bytes.n;
    s->sent += s->out.n;
    assert_true(s->out.n <= bytes.n);
    return taken;
}

static bool write_it(intro_scene *s, const tl_addr *from, const tl_control *c)
{
    uint8_t bytes[TL_CONTROL_MAX];
    size_t n = tl_control_write(c, bytes);
    return write_bytes(s, from, tl_slice_of(bytes, n));
}

static void attach_to(intro_scene *s, int node)
{
    tl_control c = attach_of(&s->base, node);
    assert_true(write_it(s, &s->base.at[node], &c));
    assert_true(s->out.n && tl_addr_eq(&s->out.way.remote, &s->base.at[node]));
}

static tl_control intro_of(intro_scene *s, int initiator, int target)
{
    tl_control c = {.type = TL_CONTROL_PUNCH_INTRO,
                    .pad_n = TL_CONTROL_INTRO_PAD,
                    .addr = s->base.at[initiator],
                    .nat = TL_CONTROL_NAT_CONE,
                    .timestamp = (uint64_t)wall(&s->base)};
    memcpy(c.initiator, s->base.id[initiator].id.key, sizeof c.initiator);
    memcpy(c.introducer, s->base.self.id.key, sizeof c.introducer);
    memcpy(c.target, s->base.id[target].id.key, sizeof c.target);
    tl_rand_bytes(&s->base.rand, c.nonce, sizeof c.nonce);
    sign_as(&c, &s->base.id[initiator]);
    return c;
}

static tl_control ready_of(intro_scene *s, const tl_control *intro, int target)
{
    tl_control c = *intro;
    c.type = TL_CONTROL_PUNCH_READY;
    c.addr = s->base.at[target];
    c.timestamp = (uint64_t)wall(&s->base);
    sign_as(&c, &s->base.id[target]);
    return c;
}

static uint64_t intros(const intro_scene *s, tl_asked result)
{
    return tl_introducer_counters_of(s->i)->intros[result];
}

static void refused(intro_scene *s, const tl_addr *from, const tl_control *c, tl_asked why)
{
    uint64_t before = intros(s, why);
    assert_true(write_it(s, from, c));
    assert_int_equal(s->out.n, 0);
    assert_int_equal(intros(s, why), before + 1);
}

/* The PunchIntro is handed on, with the type byte alone changed. */
static void introduced(intro_scene *s, const tl_addr *from, const tl_control *c, int target)
{
    uint8_t bytes[TL_CONTROL_MAX];
    size_t n = tl_control_write(c, bytes);
    uint64_t before = intros(s, TL_ASKED_TAKEN);
    assert_true(write_bytes(s, from, tl_slice_of(bytes, n)));
    assert_int_equal(intros(s, TL_ASKED_TAKEN), before + 1);
    assert_true(tl_addr_eq(&s->out.way.remote, &s->base.at[target]));
    bytes[1] = TL_CONTROL_PUNCH_REQUEST;
    assert_int_equal(s->out.n, n);
    assert_memory_equal(s->out.bytes, bytes, n);
}

static void a_punch_intro_goes_to_the_target_and_its_answer_back_once(void **state)
{
    (void)state;
    intro_scene s;
    uint8_t bytes[TL_CONTROL_MAX];
    begin_intro(&s);
    attach_to(&s, B);
    tl_control c = intro_of(&s, A, B);
    introduced(&s, &s.base.at[A], &c, B);
    tl_control ready = ready_of(&s, &c, B);
    size_t n = tl_control_write(&ready, bytes);
    assert_true(write_it(&s, &s.base.at[B], &ready));
    assert_int_equal(s.out.n, n);
    assert_memory_equal(s.out.bytes, bytes, n);
    assert_true(tl_addr_eq(&s.out.way.remote, &s.base.at[A]));
    assert_true(write_it(&s, &s.base.at[B], &ready));
    assert_int_equal(s.out.n, 0);
    assert_int_equal(tl_introducer_counters_of(s.i)->answered, 1);
    assert_int_equal(tl_introducer_counters_of(s.i)->readies_refused, 1);
    assert_int_equal(tl_introducer_counters_of(s.i)->pending, 0);
    end_intro(&s);
}

/* A call for B. False: nothing is to be sent. */
static bool call(intro_scene *s, uint8_t nonce_byte)
{
    uint8_t nonce[TL_CONTROL_NONCE_SIZE] = {nonce_byte};
    return tl_introducer_call(s->i, &s->base.id[B].id, nonce, TL_CONTROL_NAT_PUBLIC, s->base.now,
                              wall(&s->base), &s->out);
}

static void who_introduces_asks_a_node_that_is_attached_to_it_itself(void **state)
{
    (void)state;
    intro_scene s;
    tl_control c;
    begin_intro(&s);
    assert_false(call(&s, 1)); /* not attached */
    attach_to(&s, B);
    for (int serving = 1; serving >= 0; serving--) {
        tl_introducer_set_serving(s.i, serving);
        assert_true(call(&s, 2));
        assert_true(tl_addr_eq(&s.out.way.remote, &s.base.at[B]));
        assert_int_equal(tl_control_parse(tl_slice_of(s.out.bytes, s.out.n), &c), TL_OK);
        assert_int_equal(c.type, TL_CONTROL_PUNCH_REQUEST);
        assert_memory_equal(c.initiator, s.base.self.id.key, sizeof c.initiator);
        assert_memory_equal(c.introducer, s.base.self.id.key, sizeof c.introducer);
        assert_memory_equal(c.target, s.base.id[B].id.key, sizeof c.target);
        assert_true(c.nonce[0] == 2 && c.nat == TL_CONTROL_NAT_PUBLIC);
        assert_true(tl_addr_eq(&c.addr, tl_attached_address(s.base.config.attached, TL_ADDR_V4)));
        assert_true(tl_control_is_fresh(&c, wall(&s.base)));
        assert_int_equal(tl_control_verify(&c, &s.base.self.id), TL_OK);
    }
    assert_int_equal(tl_introducer_counters_of(s.i)->calls, 2);
    assert_int_equal(tl_introducer_counters_of(s.i)->pending, 0);
    /* Its answer is for this node, and not to be handed on. */
    tl_control ready = ready_of(&s, &c, B);
    assert_false(write_it(&s, &s.base.at[B], &ready));
    assert_int_equal(s.out.n, 0);
    end_intro(&s);
}

static void a_call_goes_only_where_a_punch_request_may_go(void **state)
{
    (void)state;
    static const tl_addr none;
    intro_scene s;
    begin_intro(&s);
    attach_to(&s, B);
    tl_addr own = *tl_attached_address(s.base.config.attached, TL_ADDR_V4);
    tl_attached_set_address(s.base.config.attached, &none, &none);
    assert_false(call(&s, 1)); /* nobody can be told where this node is */
    tl_attached_set_address(s.base.config.attached, &own, &none);
    s.base.ours = s.base.at[B]; /* a relay of ours is there now */
    assert_false(call(&s, 1));
    s.base.ours = none;
    for (int i = 0; i < TL_ATTACHED_SOUGHT_BURST; i++)
        assert_true(call(&s, 1));
    assert_false(call(&s, 1)); /* it is sought too often */
    s.base.now += TL_SEC;
    assert_true(call(&s, 1));
    s.base.now += TL_ATTACHED_KEPT;
    assert_false(call(&s, 1)); /* not attached any more */
    end_intro(&s);
}

static void a_punch_intro_that_is_not_exactly_right_goes_nowhere(void **state)
{
    (void)state;
    intro_scene s;
    begin_intro(&s);
    attach_to(&s, B);
    const tl_addr *a = &s.base.at[A];
    tl_control c = intro_of(&s, A, B);
    c.addr = s.base.at[C]; /* a victim's address */
    sign_as(&c, &s.base.id[A]);
    refused(&s, a, &c, TL_ASKED_ADDRESS);
    c = intro_of(&s, A, B);
    tl_addr port = *a;
    port.port++;
    refused(&s, &port, &c, TL_ASKED_ADDRESS);
    c = intro_of(&s, A, B);
    memcpy(c.introducer, s.base.id[C].id.key, sizeof c.introducer);
    sign_as(&c, &s.base.id[A]);
    refused(&s, a, &c, TL_ASKED_ELSEWHERE);
    c = intro_of(&s, A, D);
    refused(&s, a, &c, TL_ASKED_ABSENT);
    c = intro_of(&s, A, A);
    refused(&s, a, &c, TL_ASKED_LOOP);
    c = intro_of(&s, A, B);
    sign_as(&c, &s.base.id[C]);
    refused(&s, a, &c, TL_ASKED_FORGED);
    c = intro_of(&s, A, B);
    c.nat = TL_CONTROL_NAT_PUBLIC; /* not what was signed */
    refused(&s, a, &c, TL_ASKED_FORGED);
    uint8_t bytes[TL_CONTROL_MAX];
    c = intro_of(&s, A, B);
    size_t n = tl_control_write(&c, bytes);
    assert_true(write_bytes(&s, a, tl_slice_of(bytes, n - 1)));
    assert_int_equal(s.out.n, 0);
    assert_int_equal(intros(&s, TL_ASKED_MALFORMED), 1);
    c = intro_of(&s, A, B);
    introduced(&s, a, &c, B);
    refused(&s, a, &c, TL_ASKED_REPLAYED);
    tl_introducer_set_serving(s.i, false);
    c = intro_of(&s, A, B);
    refused(&s, a, &c, TL_ASKED_POLICY);
    end_intro(&s);
}

static void clocks_may_be_thirty_seconds_apart(void **state)
{
    (void)state;
    intro_scene s;
    begin_intro(&s);
    attach_to(&s, B);
    for (int by = -31; by <= 31; by += 1) {
        tl_control c = intro_of(&s, A, B);
        c.timestamp = (uint64_t)(wall(&s.base) + by);
        sign_as(&c, &s.base.id[A]);
        s.base.now += TL_SEC / 5;
        bool fresh = by >= -30 && by <= 30;
        c.timestamp = (uint64_t)(wall(&s.base) + by);
        sign_as(&c, &s.base.id[A]);
        if (fresh)
            introduced(&s, &s.base.at[A], &c, B);
        else
            refused(&s, &s.base.at[A], &c, TL_ASKED_LATE);
    }
    end_intro(&s);
}

static void a_nonce_is_taken_once_in_61_seconds(void **state)
{
    (void)state;
    intro_scene s;
    begin_intro(&s);
    attach_to(&s, B);
    tl_control c = intro_of(&s, A, B);
    introduced(&s, &s.base.at[A], &c, B);
    s.base.now += 60 * TL_SEC - 1;
    attach_to(&s, B);
    c.timestamp = (uint64_t)wall(&s.base);
    sign_as(&c, &s.base.id[A]);
    refused(&s, &s.base.at[A], &c, TL_ASKED_REPLAYED);
    s.base.now += TL_SEC + 1;
    tl_introducer_on_timer(s.i, s.base.now);
    c.timestamp = (uint64_t)wall(&s.base);
    sign_as(&c, &s.base.id[A]);
    introduced(&s, &s.base.at[A], &c, B);
    end_intro(&s);
}

static void one_source_has_twenty_at_once_and_ten_a_second(void **state)
{
    (void)state;
    intro_scene s;
    begin_intro(&s);
    attach_to(&s, B);
    attach_to(&s, A); /* so that the source is known, and each counts */
    for (int i = 0; i < 20; i++) {
        tl_control c = intro_of(&s, A, B);
        introduced(&s, &s.base.at[A], &c, B);
    }
    tl_control c = intro_of(&s, A, B);
    refused(&s, &s.base.at[A], &c, TL_ASKED_RATE);
    c = intro_of(&s, C, B); /* another source */
    introduced(&s, &s.base.at[C], &c, B);
    for (int i = 0; i < 30; i++) {
        s.base.now += TL_SEC / 10;
        c = intro_of(&s, A, B);
        introduced(&s, &s.base.at[A], &c, B);
        c = intro_of(&s, A, B);
        refused(&s, &s.base.at[A], &c, TL_ASKED_RATE);
    }
    end_intro(&s);
}

static void one_node_is_sought_by_all_together_a_bounded_number_of_times(void **state)
{
    (void)state;
    intro_scene s;
    begin_intro(&s);
    attach_to(&s, B);
    attach_to(&s, C);
    tl_addr from = addr_of("198.19.1.1:7000");
    for (int i = 0; i < TL_ATTACHED_SOUGHT_BURST; i++) {
        from.bytes[2] = (uint8_t)(10 + i / 5);
        s.base.at[A] = from;
        tl_control c = intro_of(&s, A, B);
        introduced(&s, &from, &c, B);
    }
    from.bytes[2] = 9;
    s.base.at[A] = from;
    tl_control c = intro_of(&s, A, B);
    refused(&s, &from, &c, TL_ASKED_RATE);
    c = intro_of(&s, A, C);
    introduced(&s, &from, &c, C);
    end_intro(&s);
}

static void only_the_target_answers_from_where_it_is_attached_within_thirty_seconds(void **state)
{
    (void)state;
    intro_scene s;
    begin_intro(&s);
    attach_to(&s, B);
    tl_control c = intro_of(&s, A, B);
    introduced(&s, &s.base.at[A], &c, B);
    tl_control ready = ready_of(&s, &c, B), other;
    assert_true(write_it(&s, &s.base.at[C], &ready)); /* from elsewhere */
    assert_int_equal(s.out.n, 0);
    other = ready_of(&s, &c, C); /* signed by another */
    assert_true(write_it(&s, &s.base.at[B], &other));
    assert_int_equal(s.out.n, 0);
    other = c; /* of an introduction that was never asked for */
    tl_rand_bytes(&s.base.rand, other.nonce, sizeof other.nonce);
    other = ready_of(&s, &other, B);
    assert_true(write_it(&s, &s.base.at[B], &other));
    assert_int_equal(s.out.n, 0);
    assert_true(write_it(&s, &s.base.at[B], &ready));
    assert_true(s.out.n);
    c = intro_of(&s, A, B);
    introduced(&s, &s.base.at[A], &c, B);
    s.base.now += 30 * TL_SEC;
    ready = ready_of(&s, &c, B);
    assert_true(write_it(&s, &s.base.at[B], &ready)); /* too late */
    assert_int_equal(s.out.n, 0);
    end_intro(&s);
}

static void forged_answers_cost_few_checks_of_one_introduction(void **state)
{
    (void)state;
    intro_scene s;
    begin_intro(&s);
    attach_to(&s, B);
    tl_control c = intro_of(&s, A, B);
    introduced(&s, &s.base.at[A], &c, B);
    tl_control forged = ready_of(&s, &c, C), ready = ready_of(&s, &c, B);
    for (int i = 0; i < TL_INTRODUCTION_TRIES; i++)
        assert_true(write_it(&s, &s.base.at[B], &forged));
    assert_true(write_it(&s, &s.base.at[B], &ready));
    assert_int_equal(s.out.n, 0); /* its answer by the direct way is not kept out */
    c = intro_of(&s, A, B);
    introduced(&s, &s.base.at[A], &c, B);
    ready = ready_of(&s, &c, B);
    assert_true(write_it(&s, &s.base.at[B], &ready));
    assert_true(s.out.n);
    end_intro(&s);
}

static void what_is_for_this_node_itself_is_left_to_others(void **state)
{
    (void)state;
    intro_scene s;
    begin_intro(&s);
    tl_control c = intro_of(&s, A, B);
    memcpy(c.target, s.base.self.id.key, sizeof c.target);
    sign_as(&c, &s.base.id[A]);
    assert_false(write_it(&s, &s.base.at[A], &c));
    c = intro_of(&s, A, B);
    memcpy(c.initiator, s.base.self.id.key, sizeof c.initiator);
    c = ready_of(&s, &c, B);
    assert_false(write_it(&s, &s.base.at[B], &c));
    c.type = TL_CONTROL_PUNCH_REQUEST;
    sign_as(&c, &s.base.id[A]);
    assert_false(write_it(&s, &s.base.at[A], &c));
    end_intro(&s);
}

static void a_node_with_a_direct_way_is_found_without_attaching(void **state)
{
    (void)state;
    intro_scene s;
    begin_intro(&s);
    tl_control c = intro_of(&s, A, B);
    refused(&s, &s.base.at[A], &c, TL_ASKED_ABSENT);
    s.base.direct = &s.base.id[B].id;
    s.base.direct_at = s.base.at[B];
    s.base.direct_local_unknown = true;
    introduced(&s, &s.base.at[A], &c, B);
    tl_control ready = ready_of(&s, &c, B);
    assert_true(write_it(&s, &s.base.at[B], &ready));
    assert_true(s.out.n);
    end_intro(&s);
}

static void beyond_4096_introductions_the_oldest_makes_room(void **state)
{
    (void)state;
    intro_scene s;
    tl_control first = {0};
    begin_intro(&s);
    for (int target = B; target < NODES; target++)
        attach_to(&s, target);
    tl_addr from = addr_of("198.19.0.1:7000");
    for (int i = 0; i < TL_INTRODUCTIONS_MAX + 1; i++) {
        from.bytes[2] = (uint8_t)(i % 250);
        from.bytes[3] = (uint8_t)(i / 250 + 1);
        s.base.at[A] = from;
        int target = B + i % (NODES - 1); /* one alone is not sought so often */
        tl_control c = intro_of(&s, A, target);
        introduced(&s, &from, &c, target);
        if (i == 0)
            first = c;
        s.base.now += TL_SEC / 150;
        for (int again = B; i % 1000 == 999 && again < NODES; again++)
            attach_to(&s, again);
    }
    assert_int_equal(tl_introducer_counters_of(s.i)->pending, TL_INTRODUCTIONS_MAX);
    tl_control ready = ready_of(&s, &first, B);
    assert_true(write_it(&s, &s.base.at[B], &ready));
    assert_int_equal(s.out.n, 0);
    assert_true(s.sent <= s.in);
    s.base.now += 30 * TL_SEC;
    tl_introducer_on_timer(s.i, s.base.now);
    assert_int_equal(tl_introducer_counters_of(s.i)->pending, 0);
    end_intro(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_punch_intro_goes_to_the_target_and_its_answer_back_once),
        cmocka_unit_test(who_introduces_asks_a_node_that_is_attached_to_it_itself),
        cmocka_unit_test(a_call_goes_only_where_a_punch_request_may_go),
        cmocka_unit_test(a_punch_intro_that_is_not_exactly_right_goes_nowhere),
        cmocka_unit_test(clocks_may_be_thirty_seconds_apart),
        cmocka_unit_test(a_nonce_is_taken_once_in_61_seconds),
        cmocka_unit_test(one_source_has_twenty_at_once_and_ten_a_second),
        cmocka_unit_test(one_node_is_sought_by_all_together_a_bounded_number_of_times),
        cmocka_unit_test(only_the_target_answers_from_where_it_is_attached_within_thirty_seconds),
        cmocka_unit_test(forged_answers_cost_few_checks_of_one_introduction),
        cmocka_unit_test(what_is_for_this_node_itself_is_left_to_others),
        cmocka_unit_test(a_node_with_a_direct_way_is_found_without_attaching),
        cmocka_unit_test(beyond_4096_introductions_the_oldest_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
