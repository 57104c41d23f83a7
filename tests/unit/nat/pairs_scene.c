#include "pairs_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

tl_checks *c;
static tl_rand rng;

int pairs_setup(void **state)
{
    (void)state;
    rng = tl_rand_seeded(3);
    c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->rand = &rng;
    c->keepalive = 25 * TL_SEC;
    c->attempt_left = TL_CHECKS_ATTEMPT_MAX;
    return 0;
}

int pairs_teardown(void **state)
{
    (void)state;
    free(c);
    return 0;
}

tl_addr at_port(unsigned port)
{
    return (tl_addr){.family = TL_ADDR_V4, .port = (uint16_t)port, .bytes = {203, 0, 113, 2}};
}

size_t add(tl_candidate_kind kind, unsigned port)
{
    tl_addr a = at_port(port);
    size_t i = tl_check_pair_add(c, SOCK, &a, kind, T0);
    assert_int_not_equal(i, CHECK_NO_PAIR);
    return i;
}

size_t add_candidate(void)
{
    return add(TL_CANDIDATE_HOST, 1);
}

size_t add_learned(void)
{
    return add(TL_CANDIDATE_PEER_REFLEXIVE, 1);
}

void ask(size_t i, uint64_t id, tl_time now)
{
    tl_check_on_sent(c, i, id, now);
}

void answer(size_t i, tl_time asked_at, tl_time now)
{
    tl_addr us = at_port(99);
    tl_check_on_answered(c, i, asked_at, &us, now);
}

size_t add_valid(tl_candidate_kind kind, unsigned port, tl_time rtt)
{
    size_t i = add(kind, port);
    ask(i, 1, T0);
    answer(i, T0, T0 + rtt);
    memset(c->sides[i].txns, 0, sizeof c->sides[i].txns);
    c->sides[i].confirms = 0;
    return i;
}

tl_pair_state state_of(size_t i)
{
    return c->pairs[i].state;
}

void lose(size_t i, tl_time at)
{
    c->sides[i].unanswered = CHECK_LOST_N;
    c->sides[i].unanswered_since = c->sides[i].answered_at = T0;
    tl_check_judge(c, i, at);
    assert_int_equal(state_of(i), TL_PAIR_LOST);
}
