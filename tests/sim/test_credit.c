/* What whole nodes owe each other: charged over a real connection, through lost connections, restarts
 * and liars. */
#include "relayed_scene.h"
#include "whole_credit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { ASKER, PROVIDER, NODES };

typedef struct {
    scene s;
    char dir[64], paths[NODES][96];
} paying;

/* PROVIDER serves "m" at 1000 micro-credits for 1000 tokens: a token is one. An answer is the request's
 * body: one JSON text, no usage, no deltas. */
static paying paying_new(uint64_t seed)
{
    paying p = {.s = scene_new(seed, NODES)};
    snprintf(p.dir, sizeof p.dir, "/tmp/teale-sim-credit-XXXXXX");
    assert_non_null(mkdtemp(p.dir));
    for (size_t i = 0; i < NODES; i++) {
        snprintf(p.paths[i], sizeof p.paths[i], "%s/%zu.db", p.dir, i);
        whole_node_keep_accounts(p.s.nodes[i], p.paths[i]);
    }
    p.s.nodes[PROVIDER]->price = 1000;
    p.s.nodes[PROVIDER]->price_version = 1;
    whole_node_serve(p.s.nodes[PROVIDER], "m");
    sim_run_for(p.s.sim, 1 * TL_SEC);
    return p;
}

static void paying_free(paying *p)
{
    scene_free(&p->s);
    for (size_t i = 0; i < NODES; i++) {
        char mark[128];
        unlink(p->paths[i]);
        snprintf(mark, sizeof mark, "%s.mark", p->paths[i]);
        unlink(mark);
    }
    assert_int_equal(rmdir(p->dir), 0);
}

static void ask_and_wait(paying *p)
{
    question_record q = {0};
    whole_node_ask(p->s.nodes[ASKER], &q, "m", "{\"model\":\"m\"}");
    assert_answered(p->s.sim, &q, 5 * TL_SEC);
    question_clear(&q);
}

static void assert_even(paying *p, int64_t owed)
{
    const whole_node *asker = p->s.nodes[ASKER], *provider = p->s.nodes[PROVIDER];
    assert_int_equal(whole_node_balance(provider, asker), owed);
    assert_int_equal(whole_node_balance(asker, provider), -owed);
    for (size_t i = 0; i < NODES; i++) {
        json_t *audit = whole_node_audit(p->s.nodes[i]);
        assert_true(json_is_true(json_object_get(audit, "ok")));
        assert_int_equal(json_integer_value(json_object_get(audit, "unsigned")), 0);
        json_decref(audit);
    }
}

#define PROMPT 4 /* a quarter of the 13 bytes of the body, rounded up */

static void questions_are_paid_and_receipts_signed_a_moment_later(void **state)
{
    (void)state;
    paying p = paying_new(1);
    ask_and_wait(&p);
    sim_run_for(p.s.sim, 1 * TL_SEC);
    assert_even(&p, PROMPT);
    for (int i = 0; i < 20; i++)
        ask_and_wait(&p);
    sim_run_for(p.s.sim, 5 * TL_SEC);
    assert_even(&p, 21 * PROMPT);
    paying_free(&p);
}

/* No answer waits for the accounts. */
static void accounts_cost_an_answer_no_time(void **state)
{
    (void)state;
    tl_time took[2];
    for (int with = 0; with < 2; with++) {
        paying p = paying_new(2);
        if (!with) {
            tl_server_set_pay(p.s.nodes[PROVIDER]->server, NULL);
            tl_asker_set_pay(p.s.nodes[ASKER]->asker, NULL);
        }
        ask_and_wait(&p);
        sim_run_for(p.s.sim, 1 * TL_SEC);
        question_record q = {0};
        whole_node_ask(p.s.nodes[ASKER], &q, "m", "{\"model\":\"m\"}");
        assert_answered(p.s.sim, &q, 5 * TL_SEC);
        took[with] = q.over_at - q.asked_at;
        question_clear(&q);
        paying_free(&p);
    }
    assert_int_equal(took[0], took[1]);
}

static void who_cannot_owe_it_is_told_so_before_any_work(void **state)
{
    (void)state;
    paying p = paying_new(3);
    question_record q = {0};
    p.s.nodes[PROVIDER]->price = 1000000000; /* above a stranger's credit */
    p.s.nodes[PROVIDER]->price_version++;
    whole_node_ask(p.s.nodes[ASKER], &q, "m", "{\"model\":\"m\"}");
    assert_failed(p.s.sim, &q, TL_FAIL_PAYMENT_REQUIRED, 5 * TL_SEC);
    assert_int_equal(p.s.nodes[PROVIDER]->answered, 0);
    assert_non_null(strstr(q.why, "credit"));
    question_clear(&q);
    p.s.nodes[PROVIDER]->price = 1000; /* its twin */
    p.s.nodes[PROVIDER]->price_version++;
    sim_run_for(p.s.sim, 40 * TL_SEC);
    ask_and_wait(&p);
    sim_run_for(p.s.sim, 1 * TL_SEC);
    assert_even(&p, PROMPT);
    paying_free(&p);
}

static void both_agree_again_after_restarts_at_any_moment(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        paying p = paying_new(100 + seed);
        whole_node *asker = p.s.nodes[ASKER], *provider = p.s.nodes[PROVIDER];
        tl_rand dice = tl_rand_seeded(seed);
        provider->pieces = 20;
        provider->piece_every = 10 * TL_MS;
        ask_and_wait(&p);
        for (int i = 0; i < 6; i++) {
            question_record q = {0};
            whole_node_ask(asker, &q, "m", "{\"model\":\"m\"}");
            sim_run_for(p.s.sim, tl_rand_below(&dice, 500) * TL_MS);
            bool asks = tl_rand_below(&dice, 2);
            if (asks && q.exchange) { /* its client dies with it */
                tl_exchange_cancel(q.exchange);
                q.exchange = NULL;
            }
            whole_node_restart(asks ? asker : provider);
            sim_run_for(p.s.sim, 30 * TL_SEC);
            question_clear(&q);
        }
        ask_and_wait(&p);
        sim_run_for(p.s.sim, 60 * TL_SEC);
        int64_t owed = whole_node_balance(provider, asker);
        assert_true(owed >= 2 * PROMPT);
        assert_even(&p, owed);
        paying_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_paid_and_receipts_signed_a_moment_later),
        cmocka_unit_test(accounts_cost_an_answer_no_time),
        cmocka_unit_test(who_cannot_owe_it_is_told_so_before_any_work),
        cmocka_unit_test(both_agree_again_after_restarts_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
