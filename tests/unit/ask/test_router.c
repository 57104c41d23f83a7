/* The router where things go wrong: nobody known serves the model, the chosen one refuses or breaks
 * off, the relay is not there, the node goes down. */
#include "router_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned asking(router_scene *s, unsigned who)
{
    tl_node_id id = router_scene_id(who);
    return tl_peer_table_find(&s->table, &id)->asking;
}

/* Peers 2, 3, 4, ... that serve "m", asked in this order. */
static void add_peers(router_scene *s, unsigned n)
{
    for (unsigned who = 2; who < 2 + n; who++) {
        (void)router_scene_peer(s, who, "m");
        s->facts[who].rtt = who * TL_MS;
    }
}

/* --- an answer --- */

static void an_answer_passes_and_is_counted(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    add_peers(&s, 1);
    unsigned wakes = s.env.wakes;
    router_scene_ask(&s, &l, "m");
    assert_true(s.env.wakes > wakes);
    provider *p = router_scene_at(&s, 2);
    assert_string_equal(p->model, "m");
    assert_string_equal(p->body, QUESTION);
    assert_int_equal(tl_router_running(s.router), 1);
    assert_int_equal(asking(&s, 2), 1);
    provider_head(p);
    assert_true(listener_heard_nothing(&l)); /* another could still do better */
    provider_body(p, "hello ");
    provider_body(p, "world");
    assert_int_equal(s.dones, 0);
    provider_end(p);
    assert_int_equal(l.calls[ON_END], 1);
    assert_int_equal(l.head.status, 200);
    assert_int_equal(l.head.via, TL_VIA_DIRECT);
    assert_int_equal(l.head.peer.key[0], 2);
    assert_true(listener_body_is(&l, "hello world"));
    assert_int_equal(l.end.tokens_out, 6);
    assert_int_equal(s.dones, 1);
    assert_int_equal(s.done, TL_FAIL_COUNT);
    assert_int_equal(s.done_by, 2);
    assert_int_equal(asking(&s, 2), 0);
    assert_int_equal(tl_router_running(s.router), 0);
    const tl_router_counters *c = tl_router_counters_of(s.router);
    assert_int_equal(c->asked, 1);
    assert_int_equal(c->answered, 1);
    assert_int_equal(c->failed + c->retried + c->local, 0);
    listener_clear(&l);
    router_scene_clear(&s);
}

static void a_peers_questions_are_counted_one_by_one(void **state)
{
    (void)state;
    router_scene s;
    listener l[4] = {0};
    router_scene_init(&s);
    s.relay_hopeless = "off";
    add_peers(&s, 1);
    for (unsigned i = 0; i < 4; i++) {
        router_scene_ask(&s, &l[i], "m");
        assert_int_equal(asking(&s, 2), i + 1);
    }
    provider_fail(&s.providers[0], TL_FAIL_QUEUE_FULL, "busy"); /* nobody else: it fails */
    assert_int_equal(asking(&s, 2), 3);
    provider_head(&s.providers[1]);
    provider_end(&s.providers[1]);
    assert_int_equal(asking(&s, 2), 2);
    listener_cancel(&l[2]);
    assert_int_equal(asking(&s, 2), 1);

    tl_peer_table_clear(&s.table); /* the peer is forgotten, and found again */
    provider_head(&s.providers[3]);
    add_peers(&s, 1);
    provider_end(&s.providers[3]);
    assert_int_equal(asking(&s, 2), 0);

    listener late = {0};
    router_scene_ask(&s, &late, "m");
    tl_peer_table_clear(&s.table);
    provider_head(&s.providers[4]);
    provider_end(&s.providers[4]);
    assert_int_equal(late.calls[ON_END], 1);
    router_scene_clear(&s);
}

/* --- failover --- */

static void another_is_asked_until_the_first_byte_has_come(void **state)
{
    (void)state;
    for (int f = 0; f < TL_FAIL_COUNT; f++)
        for (int begun = 0; begun < 3; begun++) {
            router_scene s;
            listener l = {0};
            router_scene_init(&s);
            add_peers(&s, 2);
            router_scene_ask(&s, &l, "m");
            provider *p = router_scene_at(&s, 2);
            if (begun >= 1)
                provider_head(p);
            if (begun >= 2)
                provider_body(p, "x");
            provider_fail(p, (tl_fail)f, "so it is");
            bool again = begun < 2;
            assert_asked(&s, again ? 2 : 1);
            assert_int_equal(l.calls[ON_FAIL], !again);
            assert_int_equal(tl_router_counters_of(s.router)->retried, again);
            assert_int_equal(tl_router_counters_of(s.router)->failed, !again);
            if (again) {
                /* One that broke off is asked once more: perhaps only its connection was dead. */
                p = router_scene_at(&s, f == TL_FAIL_PEER_FAILED ? 2 : 3);
                assert_int_equal(asking(&s, p->who), 1);
                assert_int_equal(asking(&s, 5 - p->who), 0);
                provider_head(p);
                provider_end(p);
                assert_int_equal(l.head.peer.key[0], p->who);
                assert_int_equal(l.calls[ON_END], 1);
            } else {
                assert_int_equal(l.fail, f == TL_FAIL_DUPLICATE ? TL_FAIL_PEER_FAILED : f);
                assert_string_equal(l.message, "peer 0200000000000000: so it is");
                assert_int_equal(s.done, l.fail);
                assert_int_equal(asking(&s, 2), 0);
            }
            listener_clear(&l);
            router_scene_clear(&s);
        }
}

static void a_model_server_that_fails_is_followed_by_peers(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    s.models[0] = "m";
    add_peers(&s, 1);
    router_scene_ask(&s, &l, "m");
    provider_fail(router_scene_at(&s, OWN), TL_FAIL_BACKEND_UNREACHABLE, "down");
    provider_fail(router_scene_at(&s, 2), TL_FAIL_QUEUE_FULL, "busy");
    assert_int_equal(s.discovers, 1); /* nobody is left */
    assert_int_equal(l.calls[ON_FAIL], 0);
    router_scene_discovered(&s, "m");
    assert_int_equal(l.fail, TL_FAIL_QUEUE_FULL);
    assert_string_equal(l.message, "peer 0200000000000000: busy");
    assert_asked(&s, 2);
    router_scene_clear(&s);
}

static void eight_providers_are_asked_and_the_last_ones_reason_is_told(void **state)
{
    (void)state;
    for (unsigned n = 7; n <= 9; n++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        s.relay_hopeless = "off";
        add_peers(&s, n);
        router_scene_ask(&s, &l, "m");
        for (unsigned who = 2; who < 2 + (n < 8 ? n : 8); who++) {
            char text[4];
            snprintf(text, sizeof text, who == 9 ? "" : "%u", who);
            assert_int_equal(l.calls[ON_FAIL], 0);
            provider_fail(router_scene_at(&s, who), TL_FAIL_QUEUE_FULL, text);
        }
        assert_asked(&s, n < 8 ? n : 8);
        assert_int_equal(l.fail, TL_FAIL_QUEUE_FULL);
        assert_string_equal(l.message, n < 8 ? "peer 0800000000000000: 8"
                                             : "peer 0900000000000000: queue_full"); /* no word */
        router_scene_clear(&s);
    }
}

static void a_peer_that_broke_off_is_asked_again_once_and_soon(void **state)
{
    (void)state;
    static const struct {
        tl_time after;
        bool again;
    } rows[] = {{0, true}, {5 * TL_SEC - 1, true}, {5 * TL_SEC, false}, {10 * TL_SEC, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        s.relay_hopeless = "off";
        add_peers(&s, 1);
        router_scene_ask(&s, &l, "m");
        router_scene_pass(&s, rows[i].after);
        provider_fail(router_scene_at(&s, 2), TL_FAIL_PEER_FAILED, "broken");
        assert_int_equal(l.calls[ON_FAIL], !rows[i].again);
        if (rows[i].again) /* twice is enough */
            provider_fail(router_scene_at(&s, 2), TL_FAIL_PEER_FAILED, "broken");
        assert_int_equal(l.calls[ON_FAIL], 1);
        assert_int_equal(l.fail, TL_FAIL_PEER_FAILED);
        router_scene_clear(&s);
    }
}

/* Nobody else was known while it was silent; then a peer comes, and the first one breaks off. */
static void after_ten_silent_seconds_a_question_that_breaks_off_fails(void **state)
{
    (void)state;
    static const struct {
        tl_fail fail;
        tl_time after;
        bool again;
    } rows[] = {{TL_FAIL_PEER_FAILED, 10 * TL_SEC - 1, true},
                {TL_FAIL_PEER_FAILED, 10 * TL_SEC, false},
                {TL_FAIL_TIMEOUT, 10 * TL_SEC, false},
                {TL_FAIL_QUEUE_FULL, TL_MIN, true}}; /* a word at last */
    for (int word = 0; word < 2; word++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            router_scene s;
            listener l = {0};
            router_scene_init(&s);
            s.relay_hopeless = "off";
            add_peers(&s, 1);
            router_scene_ask(&s, &l, "m");
            router_scene_pass(&s, rows[i].after);
            (void)router_scene_peer(&s, 3, "m");
            if (word) /* just heard of */
                provider_progress(router_scene_at(&s, 2));
            provider_fail(router_scene_at(&s, 2), rows[i].fail, "broken");
            bool again = rows[i].again || word;
            assert_asked(&s, again ? 2 : 1);
            if (!again)
                assert_int_equal(l.fail, rows[i].fail);
            router_scene_clear(&s);
        }
}

static void a_named_peer_has_no_stand_in(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0}, m = {0};
    router_scene_init(&s);
    s.models[0] = "m";
    add_peers(&s, 2);
    tl_ask ask = router_scene_question_to("m", 3);
    router_scene_ask_full(&s, &l, &ask);
    provider_fail(router_scene_at(&s, 3), TL_FAIL_PEER_FAILED, "broken");
    provider_fail(router_scene_at(&s, 3), TL_FAIL_QUEUE_FULL, "busy");
    assert_int_equal(l.fail, TL_FAIL_QUEUE_FULL);
    assert_asked(&s, 2);
    ask = router_scene_question_to("m", OWN);
    router_scene_ask_full(&s, &m, &ask);
    provider_fail(router_scene_at(&s, OWN), TL_FAIL_QUEUE_FULL, "busy");
    assert_int_equal(m.fail, TL_FAIL_QUEUE_FULL);
    assert_int_equal(s.discovers, 0);
    router_scene_clear(&s);
}

static void a_provider_that_cannot_even_be_asked_fails_the_question(void **state)
{
    (void)state;
    for (int local = 0; local < 2; local++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        s.models[0] = local ? "m" : NULL;
        add_peers(&s, 1);
        s.ask_err = TL_ERR_BUSY;
        router_scene_ask(&s, &l, "m");
        assert_int_equal(l.fail, TL_FAIL_UNAVAILABLE);
        assert_int_equal(asking(&s, 2), 0);
        assert_int_equal(tl_router_counters_of(s.router)->local, 0);
        router_scene_clear(&s);
    }
}

static void a_peer_that_failed_a_moment_ago_waits_for_the_relays_word(void **state)
{
    (void)state;
    enum { ANSWERS, SAYS_NOTHING, AWAY, HOPELESS, RELAYS };
    for (int relay = 0; relay < RELAYS; relay++) {
        router_scene s;
        listener l = {0}, named = {0};
        router_scene_init(&s);
        s.relay_hopeless = relay == HOPELESS ? "off" : NULL;
        s.discover_err = relay == AWAY ? TL_ERR_CLOSED : TL_OK;
        tl_peer *p = router_scene_peer(&s, 2, "m");
        p->unusable_until = s.env.now + TL_MIN;
        router_scene_ask(&s, &l, "m");
        assert_int_equal(s.discovers, relay != HOPELESS);
        assert_asked(&s, relay >= AWAY); /* who cannot be told of a better one tries it */
        if (relay == ANSWERS)
            router_scene_discovered(&s, "m");
        if (relay == SAYS_NOTHING) {
            router_scene_pass(&s, 2500 * TL_MS - 1);
            assert_asked(&s, 0);
            router_scene_pass(&s, 1);
        }
        (void)router_scene_at(&s, 2); /* better than none */
        tl_ask ask = router_scene_question_to("m", 2);
        router_scene_ask_full(&s, &named, &ask);
        assert_asked(&s, 2);
        router_scene_clear(&s);
    }
}

/* --- nobody known --- */

/* A process that stood still, or a turn of the loop that took long: the word and the deadline come
 * together, and tl_router_run not between them. */
static void the_relays_word_and_the_deadline_may_come_in_one_turn(void **state)
{
    (void)state;
    for (int known = 0; known < 2; known++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        router_scene_ask(&s, &l, "m");
        s.env.now += TL_ROUTE_FIND_WITHIN;
        if (known)
            add_peers(&s, 1);
        tl_router_on_discovered(s.router, "m", true);
        tl_router_on_timer(s.router);
        tl_router_run(s.router);
        assert_asked(&s, known ? 1 : 0);
        assert_int_equal(l.calls[ON_FAIL], !known);
        assert_true(tl_router_expiry(s.router) > s.env.now);
        router_scene_clear(&s);
    }
}

static void the_relay_is_asked_who_serves_the_model(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0}, best = {0};
    router_scene_init(&s);
    router_scene_ask(&s, &l, "m");
    assert_int_equal(s.discovers, 1);
    assert_string_equal(s.discovered, "m");
    assert_int_equal(tl_router_expiry(s.router), s.env.now + TL_ROUTE_FIND_WITHIN);
    router_scene_ask(&s, &best, TL_MODEL_AUTO);
    assert_string_equal(s.discovered, ""); /* of everybody */
    assert_int_equal(s.discovers, 2);
    add_peers(&s, 1);
    router_scene_discovered(&s, "n");
    assert_asked(&s, 0); /* another's answer */
    router_scene_discovered(&s, "m");
    assert_asked(&s, 1);
    assert_string_equal(router_scene_at(&s, 2)->ask.model, "m");
    router_scene_discovered(&s, "");
    assert_asked(&s, 2);
    router_scene_pass(&s, TL_ROUTE_FIND_WITHIN);
    assert_int_equal(l.calls[ON_FAIL] + best.calls[ON_FAIL], 0); /* it was for the search */
    assert_int_equal(tl_router_expiry(s.router), TL_NEVER);
    router_scene_clear(&s);
}

static void what_fails_tells_why_nobody_could_be_asked(void **state)
{
    (void)state;
    static const struct {
        const char *name, *model, *local, *hopeless;
        bool asks_none;
        tl_fail fail;
        const char *words;
        bool near;
    } rows[] = {
        {"nobody has it", "m", "", NULL, false, TL_FAIL_MODEL_NOT_LOADED,
         "nobody at the relay serves \"m\" now"},
        {"nobody has any", TL_MODEL_AUTO, "", NULL, false, TL_FAIL_NO_PROVIDER,
         "nobody in reach shares a model now"},
        {"nobody has any, nor this machine", TL_MODEL_AUTO, "none found", NULL, false,
         TL_FAIL_NO_PROVIDER, "nobody in reach shares a model now, and here: none found"},
        {"no model server, a relay", "m", "none found", NULL, false, TL_FAIL_MODEL_NOT_LOADED,
         "nobody at the relay serves \"m\" now"},
        {"no relay", "m", "", "off", false, TL_FAIL_NO_PROVIDER,
         "nobody known serves \"m\", and no relay can be asked: off"},
        {"no relay for any", TL_MODEL_AUTO, "", "off", false, TL_FAIL_NO_PROVIDER,
         "nobody known shares a model, and no relay can be asked: off"},
        {"the local network alone", "m", "", "off", false, TL_FAIL_NO_PROVIDER,
         "nobody on the local network serves \"m\", and no relay can be asked: off", .near = true},
        {"the local network alone for any", TL_MODEL_AUTO, "", "off", false, TL_FAIL_NO_PROVIDER,
         "nobody on the local network shares a model, and no relay can be asked: off",
         .near = true},
        {"neither", "m", "none found", "off", false, TL_FAIL_BACKEND_UNREACHABLE, "none found"},
        {"in no network", "m", "", NULL, true, TL_FAIL_NO_PROVIDER,
         "no member of your networks serves this model (setting: ask)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        s.local_error = rows[i].local;
        s.relay_hopeless = rows[i].hopeless;
        s.has_near = rows[i].near;
        s.access.ask_any = !rows[i].asks_none;
        router_scene_ask(&s, &l, rows[i].model);
        if (!rows[i].hopeless && !rows[i].asks_none)
            router_scene_discovered(&s, strcmp(rows[i].model, "m") == 0 ? "m" : "");
        if (l.calls[ON_FAIL] != 1 || l.fail != rows[i].fail)
            fail_msg("%s: %s", rows[i].name, tl_fail_name(l.fail));
        assert_string_equal(l.message, rows[i].words);
        assert_int_equal(s.done, rows[i].fail);
        router_scene_clear(&s);
    }
}

static void a_relay_that_comes_late_is_asked_again_until_ten_seconds_are_over(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0}, found = {0};
    router_scene_init(&s);
    s.discover_err = TL_ERR_CLOSED;
    router_scene_ask(&s, &l, "m");
    assert_true(listener_heard_nothing(&l));
    tl_time deadline = s.env.now + TL_ROUTE_FIND_WITHIN;
    assert_int_equal(tl_router_expiry(s.router), deadline);
    router_scene_pass(&s, 4 * TL_SEC);
    tl_router_on_relay(s.router);
    tl_router_run(s.router);
    assert_int_equal(s.discovers, 2);
    router_scene_pass(&s, 6 * TL_SEC - 1);
    assert_true(listener_heard_nothing(&l));
    router_scene_ask(&s, &found, "m");
    router_scene_pass(&s, 1);
    assert_int_equal(l.fail, TL_FAIL_NO_PROVIDER);
    assert_string_equal(l.message,
                        "nobody known serves \"m\", and no relay can be asked: still connecting");
    assert_int_equal(tl_router_expiry(s.router), deadline - 1 + TL_ROUTE_FIND_WITHIN);

    s.discover_err = TL_OK; /* the other one sees it come */
    tl_router_on_relay(s.router);
    tl_router_run(s.router);
    add_peers(&s, 1);
    router_scene_discovered(&s, "m");
    (void)router_scene_at(&s, 2);
    router_scene_clear(&s);
}

static void a_relay_that_has_become_hopeless_ends_the_wait(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    s.discover_err = TL_ERR_CLOSED;
    router_scene_ask(&s, &l, "m");
    s.relay_hopeless = "refused us";
    tl_router_on_relay(s.router);
    assert_true(listener_heard_nothing(&l)); /* not from inside */
    tl_router_run(s.router);
    assert_int_equal(l.fail, TL_FAIL_NO_PROVIDER);
    router_scene_clear(&s);
}

static void after_a_refusal_the_wait_for_others_is_short(void **state)
{
    (void)state;
    for (int connected = 0; connected < 2; connected++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        s.discover_err = connected ? TL_OK : TL_ERR_CLOSED;
        add_peers(&s, 1);
        router_scene_ask(&s, &l, "m");
        router_scene_pass(&s, 4 * TL_SEC);
        provider_fail(router_scene_at(&s, 2), TL_FAIL_QUEUE_FULL, "b");
        assert_int_equal(l.calls[ON_FAIL], !connected); /* without a relay: at once */
        router_scene_pass(&s, 6 * TL_SEC - 1);          /* ten in all */
        assert_int_equal(l.calls[ON_FAIL], !connected);
        router_scene_pass(&s, 1);
        assert_int_equal(l.fail, TL_FAIL_QUEUE_FULL);
        assert_string_equal(l.message, "peer 0200000000000000: b");
        router_scene_clear(&s);
    }
}

/* --- going down --- */

static void a_node_that_goes_down_takes_no_question_and_ends_those_it_has(void **state)
{
    (void)state;
    router_scene s;
    listener running = {0}, late = {0}, retried = {0};
    router_scene_init(&s);
    add_peers(&s, 2);
    router_scene_ask(&s, &running, "m");
    router_scene_ask(&s, &retried, "m");
    provider *second = router_scene_at(&s, 3); /* 2 is busy with the first */
    tl_router_drain(s.router);
    router_scene_ask(&s, &late, "m");
    assert_int_equal(late.fail, TL_FAIL_UNAVAILABLE);
    assert_string_equal(late.message, "this node is shutting down");
    provider_fail(second, TL_FAIL_QUEUE_FULL, "busy");
    assert_int_equal(retried.fail, TL_FAIL_UNAVAILABLE);
    unsigned wakes = s.env.wakes;
    provider_head(&s.providers[0]);
    provider_end(&s.providers[0]);
    assert_int_equal(running.calls[ON_END], 1);
    assert_true(s.env.wakes > wakes); /* it was the last */
    assert_int_equal(tl_router_running(s.router), 0);
    router_scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_passes_and_is_counted),
        cmocka_unit_test(a_peers_questions_are_counted_one_by_one),
        cmocka_unit_test(another_is_asked_until_the_first_byte_has_come),
        cmocka_unit_test(a_model_server_that_fails_is_followed_by_peers),
        cmocka_unit_test(eight_providers_are_asked_and_the_last_ones_reason_is_told),
        cmocka_unit_test(a_peer_that_broke_off_is_asked_again_once_and_soon),
        cmocka_unit_test(after_ten_silent_seconds_a_question_that_breaks_off_fails),
        cmocka_unit_test(a_named_peer_has_no_stand_in),
        cmocka_unit_test(a_provider_that_cannot_even_be_asked_fails_the_question),
        cmocka_unit_test(a_peer_that_failed_a_moment_ago_waits_for_the_relays_word),
        cmocka_unit_test(the_relays_word_and_the_deadline_may_come_in_one_turn),
        cmocka_unit_test(the_relay_is_asked_who_serves_the_model),
        cmocka_unit_test(what_fails_tells_why_nobody_could_be_asked),
        cmocka_unit_test(a_relay_that_comes_late_is_asked_again_until_ten_seconds_are_over),
        cmocka_unit_test(a_relay_that_has_become_hopeless_ends_the_wait),
        cmocka_unit_test(after_a_refusal_the_wait_for_others_is_short),
        cmocka_unit_test(a_node_that_goes_down_takes_no_question_and_ends_those_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
