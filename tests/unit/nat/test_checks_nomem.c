#include "support/failalloc.h"

#include "nat/checks.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T0 (1000 * TL_SEC)

static tl_identity a, b;
static const tl_addr remote = {TL_ADDR_V4, 4004, 0, {203, 0, 113, 2}};

static unsigned events(tl_checks *c, tl_checks_event_type type)
{
    tl_checks_event e;
    unsigned n = 0;
    while (tl_checks_next_event(c, &e))
        n += e.type == type;
    return n;
}

static tl_err attempt(tl_checks *c, bool open)
{
    tl_candidate candidate = {TL_CANDIDATE_HOST, remote, 1};
    static const tl_sock socks[] = {10, 11, 12};
    tl_checks_output o;
    tl_checks_add_remote(c, &candidate, T0);
    tl_checks_start(c, T0);
    if (open)
        tl_checks_search_open(c, &remote, socks, 3, T0);
    else
        tl_checks_search_guess(c, &remote, T0);
    while (tl_checks_next_output(c, T0, &o))
        ;
    for (tl_time now = T0; now < T0 + 20 * TL_SEC; now += 100 * TL_MS) {
        tl_checks_on_timer(c, now);
        while (tl_checks_next_output(c, now, &o))
            ;
    }
    return failalloc_failed() ? TL_ERR_NOMEM : TL_OK;
}

static tl_err guessing(void *user)
{
    tl_rand rand = tl_rand_seeded(1);
    tl_checks_config config = {
        .rand = &rand, .self = &a, .peer = &b.id, .session = "S", .sock4 = 1, .keepalive = TL_SEC};
    tl_checks *c;
    bool open = *(const bool *)user;
    tl_err e = tl_checks_new(&config, &c);
    if (e)
        return e;
    e = attempt(c, open);
    /* whatever failed, the owner hears of the end, and of its sockets */
    tl_checks_event ev;
    unsigned done = 0, sockets = 0;
    while (tl_checks_next_event(c, &ev)) {
        done += ev.type == TL_CHECKS_DONE;
        sockets += ev.type == TL_CHECKS_SOCKETS_DONE;
    }
    assert_int_equal(done, 1);
    assert_int_equal(sockets, open);
    assert_int_equal(events(c, TL_CHECKS_DONE), 0);
    tl_checks_free(c);
    return e;
}

static void memory_that_runs_out_ends_a_search_and_no_more(void **state)
{
    (void)state;
    bool open = true, guess = false;
    assert_true(failalloc_sweep(guessing, &open) >= 3);
    assert_true(failalloc_sweep(guessing, &guess) >= 3);
}

int main(void)
{
    static const uint8_t seed_a[32] = {1}, seed_b[32] = {2};
    if (tl_crypto_init() || tl_identity_from_seed(seed_a, &a) || tl_identity_from_seed(seed_b, &b))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_runs_out_ends_a_search_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
