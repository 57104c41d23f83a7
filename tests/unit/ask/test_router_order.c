/* Which of several providers is asked: the order among peers key by key, who is passed over, and
 * the model server before all of them. */
#include "router_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- the keys --- */

/* All that the order looks at. */
typedef struct {
    bool failing, blamed; /* by its connection; by what it answered */
    bool served;
    unsigned asking;
    uint64_t running;
    bool connected;
    tl_time rtt;
    int tier;
} candidate;

/* Who is asked, of two peers 2 and 3, of which `first` came to be known first. */
static unsigned winner(const candidate *two, const candidate *three, unsigned first,
                       const char *model)
{
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    for (unsigned i = 0; i < 2; i++) {
        unsigned who = i ? 5 - first : first;
        const candidate *c = who == 2 ? two : three;
        tl_peer *p = router_scene_peer(&s, who, "m");
        if (c->served)
            router_scene_served(&s, who);
        if (c->blamed)
            router_scene_failed(&s, who, TL_FAIL_INTERNAL);
        p->unusable_until = c->failing ? s.env.now + 1 : s.env.now;
        p->asking = c->asking;
        p->running = c->running;
        p->tier = c->tier;
        s.facts[who] = (peer_fact){c->connected, c->rtt};
    }
    router_scene_ask(&s, &l, model);
    if (!s.n_providers) /* all have failed: the relay is asked for a better one */
        router_scene_discovered(&s, strcmp(model, TL_MODEL_AUTO) == 0 ? "" : model);
    assert_asked(&s, 1);
    unsigned who = s.providers[0].who;
    router_scene_clear(&s);
    return who;
}

/* `better` is asked, whichever of the two it is, and whichever was known first. */
static void check_wins(const char *what, const candidate *better, const candidate *worse,
                       const char *model)
{
    for (unsigned first = 2; first <= 3; first++) {
        if (winner(better, worse, first, model) != 2)
            fail_msg("%s: the worse one was asked", what);
        if (winner(worse, better, first, model) != 3)
            fail_msg("%s: the worse one was asked when the two were exchanged", what);
    }
}

static const candidate plain = {false, false, true, 3, 3, true, 20 * TL_MS, 2};

enum { FAILING, BLAMED, ASKING, RUNNING, STRANGER, CONNECTED, RTT, TIER, KEYS };

static const char *const key_names[KEYS] = {"failing",  "blamed",    "asking",     "running",
                                            "stranger", "connected", "round trip", "tier"};

static void make_worse(candidate *c, int key)
{
    switch (key) {
    case FAILING: c->failing = true; break;
    case BLAMED: c->blamed = true; break;
    case STRANGER: c->served = false; break;
    case ASKING: c->asking++; break;
    case RUNNING: c->running++; break;
    case CONNECTED:
        c->connected = false;
        c->rtt = 0; /* unknown */
        break;
    case RTT: c->rtt++; break;
    default: c->tier++; break;
    }
}

/* Each key alone; then each against all behind it. */
static void check_order(const int *keys, size_t n, const char *model)
{
    for (size_t i = 0; i < n; i++) {
        candidate better = plain, worse = plain;
        if (keys[i] == CONNECTED)
            better.rtt = 0; /* not measured yet: the two differ in one key */
        make_worse(&worse, keys[i]);
        check_wins(key_names[keys[i]], &better, &worse, model);

        better = worse = plain;
        make_worse(&worse, keys[i]);
        for (size_t j = i + 1; j < n; j++) {
            bool both_of_load = keys[i] == ASKING && keys[j] == RUNNING;
            bool counts_as_load = keys[j] == STRANGER && (keys[i] == ASKING || keys[i] == RUNNING);
            if (!both_of_load && !counts_as_load)
                make_worse(&better, keys[j]);
        }
        check_wins(key_names[keys[i]], &better, &worse, model);
    }
}

static void
a_named_model_is_asked_of_the_sound_then_idle_then_proven_then_connected_then_near(void **state)
{
    (void)state;
    static const int keys[] = {FAILING, ASKING, STRANGER, CONNECTED, RTT, TIER};
    static const int by_heartbeat[] = {BLAMED, RUNNING, STRANGER, CONNECTED, RTT, TIER};
    check_order(keys, 6, "m");
    check_order(by_heartbeat, 6, "m");
}

static void the_best_route_is_sound_then_proven_then_connected_then_strong_then_idle(void **state)
{
    (void)state;
    static const int keys[] = {FAILING, STRANGER, CONNECTED, TIER, ASKING, RTT};
    static const int by_heartbeat[] = {BLAMED, STRANGER, CONNECTED, TIER, RUNNING, RTT};
    check_order(keys, 6, TL_MODEL_AUTO);
    check_order(by_heartbeat, 6, TL_MODEL_AUTO);
}

static void a_peers_load_is_the_greater_of_what_we_ask_and_what_it_tells(void **state)
{
    (void)state;
    candidate four = plain, five = plain;
    four.asking = 4;
    four.running = 0;
    five.asking = 0;
    five.running = 5; /* less in sum would be 4 + 0 against 0 + 5, more by itself */
    check_wins("asking 4, running 5", &four, &five, "m");
    four.running = 4;
    five.asking = 5;
    five.running = 0;
    check_wins("running 4, asking 5", &four, &five, "m");
    four.asking = 4; /* not the sum */
    check_wins("4 and 4, asking 5", &four, &five, "m");
}

static void a_stranger_counts_as_if_it_had_two_more_questions(void **state)
{
    (void)state;
    candidate served = plain, stranger = plain;
    stranger.served = false;
    served.asking = plain.asking + 2;
    check_wins("two more", &served, &stranger, "m");
    served.asking++;
    check_wins("three more", &stranger, &served, "m");
}

static void of_two_that_failed_the_one_whose_penalty_ends_first_is_asked(void **state)
{
    (void)state;
    candidate soon = plain, late = plain;
    soon.failing = late.blamed = true; /* 1 ns and 5 s */
    check_wins("failing and blamed", &soon, &late, "m");
    check_wins("failing and blamed", &soon, &late, TL_MODEL_AUTO);
}

static void of_equals_the_one_known_first_is_asked(void **state)
{
    (void)state;
    for (unsigned first = 2; first <= 3; first++)
        assert_int_equal(winner(&plain, &plain, first, "m"), first);
}

static void the_best_of_many_is_found_wherever_it_stands(void **state)
{
    (void)state;
    for (unsigned best = 2; best < 12; best++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        for (unsigned who = 2; who < 12; who++) {
            (void)router_scene_peer(&s, who, "m");
            s.facts[who].rtt = (who == best ? 1 : 2 + who) * TL_MS;
        }
        router_scene_ask(&s, &l, "m");
        (void)router_scene_at(&s, best);
        router_scene_clear(&s);
    }
}

/* --- who is passed over --- */

static void members_come_before_strangers(void **state)
{
    (void)state;
    for (int networked = 0; networked < 2; networked++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        if (networked) {
            router_scene_join(&s, TL_ROLE_CONSUMER);
            router_scene_member(&s, 2);
        }
        (void)router_scene_peer(&s, 3, "m"); /* known first */
        (void)router_scene_peer(&s, 2, "m");
        router_scene_ask(&s, &l, "m");
        (void)router_scene_at(&s, networked ? 2 : 3);
        router_scene_clear(&s);
    }
}

static void make_unfit(router_scene *s, tl_peer *p, int how)
{
    switch (how) {
    case 1: p->available = false; break;
    case 2: p->models[0][0] = 'n'; break;
    case 3:
        s->access.ask_any = false;
        router_scene_join(s, TL_ROLE_CONSUMER);
        router_scene_member(s, 2);
        break;
    default: break;
    }
}

static void who_takes_no_questions_has_another_model_or_is_no_member_is_passed_over(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        (void)router_scene_peer(&s, 2, "m");
        tl_peer *better = router_scene_peer(&s, 3, "m");
        better->running = 0;
        s.facts[3].rtt = 1;
        make_unfit(&s, better, how);
        router_scene_ask(&s, &l, "m");
        (void)router_scene_at(&s, how ? 2 : 3);
        router_scene_clear(&s);
    }
}

static void the_best_route_needs_a_peer_with_any_model(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    s.facts[2].rtt = 1;
    (void)router_scene_peer(&s, 2, NULL);
    (void)router_scene_peer(&s, 3, "theirs");
    s.facts[2].rtt = 1;
    router_scene_ask(&s, &l, TL_MODEL_AUTO);
    provider *p = router_scene_at(&s, 3);
    assert_string_equal(p->model, "theirs");
    assert_string_equal(p->body, "{\"model\":\"theirs\"}");
    assert_string_equal(p->ask.model, TL_MODEL_AUTO); /* what was asked for */
    router_scene_clear(&s);
}

/* --- the model server --- */

static void the_model_server_comes_before_every_peer(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        unsigned who;
        const char *asked;
    } rows[] = {{"m", OWN, "m"}, {"n", OWN, "n"}, {"o", 2, "o"}, {TL_MODEL_AUTO, OWN, "n"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        s.models[0] = "n";
        s.models[1] = "m";
        (void)router_scene_peer(&s, 2, i == 2 ? "o" : "m");
        router_scene_ask(&s, &l, rows[i].model);
        provider *p = router_scene_at(&s, rows[i].who);
        assert_string_equal(p->model, rows[i].asked);
        assert_int_equal(p->ask.has_peer, rows[i].who != OWN);
        assert_int_equal(tl_router_counters_of(s.router)->local, rows[i].who == OWN);
        provider_head(p);
        provider_end(p);
        assert_int_equal(l.head.peer.key[0], rows[i].who);
        assert_int_equal(l.head.via, rows[i].who == OWN ? TL_VIA_LOCAL : TL_VIA_DIRECT);
        router_scene_clear(&s);
    }
}

static void a_question_for_the_best_route_needs_one_model_to_fill_in(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{}", "{\"model\":1}", "{\"model\":\"a\",\"model\":\"b\"}",
                                         "{\"model\":\"teale-auto\"}"};
    for (size_t i = 0; i < 4; i++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        s.models[0] = "n";
        tl_ask ask = router_scene_question(TL_MODEL_AUTO);
        ask.body = tl_slice_str(bodies[i]);
        router_scene_ask_full(&s, &l, &ask);
        assert_int_equal(l.calls[ON_FAIL], i < 3);
        assert_asked(&s, i == 3);
        if (i < 3)
            assert_int_equal(l.fail, TL_FAIL_INTERNAL);
        router_scene_clear(&s);
    }
    router_scene s; /* a named model's body passes as it is */
    listener l = {0};
    router_scene_init(&s);
    s.models[0] = "m";
    tl_ask ask = router_scene_question("m");
    ask.body = tl_slice_str("nonsense");
    router_scene_ask_full(&s, &l, &ask);
    assert_string_equal(router_scene_at(&s, OWN)->body, "nonsense");
    router_scene_clear(&s);
}

/* --- a named peer --- */

static void a_named_peer_is_asked_whatever_is_known_of_it(void **state)
{
    (void)state;
    router_scene s;
    listener l[4] = {0};
    router_scene_init(&s);
    s.models[0] = "m";
    tl_peer *p = router_scene_peer(&s, 2, "n");
    (void)router_scene_peer(&s, 4, "m");
    p->available = false;
    p->unusable_until = s.env.now + TL_SEC;
    tl_ask known = router_scene_question_to("m", 2), unknown = router_scene_question_to("m", 3),
           own = router_scene_question_to("m", OWN), best = router_scene_question_to("", 2);
    memcpy(best.model, TL_MODEL_AUTO, sizeof TL_MODEL_AUTO);
    router_scene_ask_full(&s, &l[0], &known);
    assert_string_equal(router_scene_at(&s, 2)->model, "m");
    router_scene_ask_full(&s, &l[1], &unknown);
    assert_string_equal(router_scene_at(&s, 3)->model, "m");
    router_scene_ask_full(&s, &l[2], &own);
    (void)router_scene_at(&s, OWN);
    router_scene_ask_full(&s, &l[3], &best);
    assert_string_equal(router_scene_at(&s, 2)->model, "n");
    assert_int_equal(s.discovers, 0);
    router_scene_clear(&s);
}

static void a_named_peer_that_may_not_be_asked_is_not(void **state)
{
    (void)state;
    for (int member = 0; member < 2; member++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        s.access.ask_any = false;
        router_scene_join(&s, TL_ROLE_CONSUMER);
        router_scene_member(&s, 2);
        tl_ask ask = router_scene_question_to("m", member ? 2 : 3);
        router_scene_ask_full(&s, &l, &ask);
        assert_asked(&s, (size_t)member);
        router_scene_clear(&s);
    }
}

/* "m:latest" is what Ollama lists for what it takes as "m", too. */
static void a_name_without_a_tag_finds_the_latest_of_it(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0}, next = {0}, own = {0};
    router_scene_init(&s);
    (void)router_scene_peer(&s, 2, "m:latest");
    (void)router_scene_peer(&s, 3, "m:1b");
    router_scene_ask(&s, &l, "m");
    provider *p = router_scene_at(&s, 2);
    assert_string_equal(p->model, "m:latest");
    assert_string_equal(p->body, "{\"model\":\"m:latest\"}");
    provider_fail(p, TL_FAIL_QUEUE_FULL, "full");
    assert_asked(&s, 1); /* "m:1b" is another model */

    (void)router_scene_peer(&s, 4, "m"); /* the name itself comes first, whoever is nearer */
    s.facts[4].connected = false;
    router_scene_served(&s, 2);
    router_scene_ask(&s, &next, "m");
    assert_string_equal(router_scene_at(&s, 4)->body, QUESTION);

    s.models[0] = "m:latest";
    s.models[1] = "m";
    router_scene_ask(&s, &own, "m");
    assert_string_equal(router_scene_at(&s, OWN)->ask.model, "m");
    s.models[1] = NULL;
    router_scene_ask(&s, &own, "m");
    assert_string_equal(router_scene_at(&s, OWN)->ask.model, "m:latest");
    router_scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_named_model_is_asked_of_the_sound_then_idle_then_proven_then_connected_then_near),
        cmocka_unit_test(the_best_route_is_sound_then_proven_then_connected_then_strong_then_idle),
        cmocka_unit_test(a_peers_load_is_the_greater_of_what_we_ask_and_what_it_tells),
        cmocka_unit_test(a_stranger_counts_as_if_it_had_two_more_questions),
        cmocka_unit_test(of_two_that_failed_the_one_whose_penalty_ends_first_is_asked),
        cmocka_unit_test(members_come_before_strangers),
        cmocka_unit_test(of_equals_the_one_known_first_is_asked),
        cmocka_unit_test(the_best_of_many_is_found_wherever_it_stands),
        cmocka_unit_test(who_takes_no_questions_has_another_model_or_is_no_member_is_passed_over),
        cmocka_unit_test(the_best_route_needs_a_peer_with_any_model),
        cmocka_unit_test(the_model_server_comes_before_every_peer),
        cmocka_unit_test(a_question_for_the_best_route_needs_one_model_to_fill_in),
        cmocka_unit_test(a_named_peer_is_asked_whatever_is_known_of_it),
        cmocka_unit_test(a_named_peer_that_may_not_be_asked_is_not),
        cmocka_unit_test(a_name_without_a_tag_finds_the_latest_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
