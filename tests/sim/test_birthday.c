/* The birthday search between a symmetric and a port-restricted NAT that keep no port. */
#include "checks_world.h"

#include <stdlib.h>

static const sim_nat_kind symmetric = {.mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                       .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                       .lifetime = 30 * TL_SEC};
static const sim_nat_kind restricted = {.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                                        .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                        .lifetime = 30 * TL_SEC};
static const sim_faults plain = {.delay = 20 * TL_MS};

static unsigned found, tried;

static void begin(checks_world *w, uint64_t seed, const sim_nat_kind *a, const sim_faults *core)
{
    checks_world_init(w, seed, a, &restricted, core);
    checks_tell(w, &w->a, &w->b);
    checks_tell(w, &w->b, &w->a);
    end_start(w, &w->a);
    end_start(w, &w->b);
    sim_run_for(w->s, 3500 * TL_MS);
    sim_expect(w->a.done == 1 && w->b.done == 1);
    checks_search(w, &w->a, &w->b);
}

/* Both have settled on the same mapping, and the other sockets may be closed. */
static void expect_settled(checks_world *w)
{
    const tl_pair *a = end_valid(&w->a), *b = end_valid(&w->b);
    sim_expect(w->a.sockets_done == 1 && w->b.sockets_done == 0);
    sim_expect(b->birthday);
    if (a->sock == END_SOCK4) /* the guess hit the mapping that the first checks had made */
        sim_expect(!w->a.search_left);
    else
        sim_expect(a->birthday && w->a.search_left == a->sock);
    sim_expect(b->sock == END_SOCK4);
    sim_expect(tl_addr_eq(&a->seen_as, &b->remote));
    sim_expect(w->a.done == 1 && w->b.done == 1);
}

static void search(uint64_t seed)
{
    checks_world w;
    begin(&w, seed, &symmetric, &plain);
    bool ok = sim_run_while(w.s, both_valid, &w, 10 * TL_SEC);
    tried++;
    found += ok;
    if (ok) {
        expect_settled(&w);
        /* It lives on over the one socket, and both sides stop asking. */
        uint64_t asked = tl_checks_counters_of(w.b.checks)->birthday_sent;
        sim_run_for(w.s, 2 * TL_MIN);
        sim_expect(both_valid(&w) && !w.a.lost && !w.b.lost);
        sim_expect(tl_checks_counters_of(w.b.checks)->birthday_sent == asked);
    } else {
        sim_run_for(w.s, 3 * TL_SEC);
        if (!both_valid(&w))
            sim_expect(w.a.sockets_done == 1 && w.a.done == 2 && w.b.done == 2);
    }
    sim_expect(tl_checks_counters_of(w.a.checks)->birthday_sent <= TL_BIRTHDAY_PROBES);
    sim_expect(tl_checks_counters_of(w.b.checks)->birthday_sent <= TL_BIRTHDAY_PROBES);
    checks_world_clear(&w);
}

static void search_on_a_bad_line(uint64_t seed)
{
    static const sim_faults bad = {
        .delay = 20 * TL_MS, .jitter = 30 * TL_MS, .loss = 0.03, .duplicate = 0.1, .replay = 0.05};
    checks_world w;
    begin(&w, seed, &symmetric, &bad);
    tried++;
    if (sim_run_while(w.s, both_valid, &w, 10 * TL_SEC)) {
        found++;
        sim_expect(end_valid(&w.a)->sock == (w.a.search_left ? w.a.search_left : END_SOCK4));
        sim_run_for(w.s, 30 * TL_SEC);
        sim_expect(both_valid(&w));
    }
    checks_world_clear(&w);
}

/* Who is behind the NAT is of no use to the guesser: it has moved away. */
static void a_search_in_vain_ends_and_keeps_to_its_budget(uint64_t seed)
{
    checks_world w;
    begin(&w, seed, &symmetric, &plain);
    tl_addr elsewhere = sim_addr("203.0.113.99", 0);
    sim_nat_move(sim_site_nat(w.a.site), &elsewhere);
    tl_time began = sim_now(w.s);
    sim_run_for(w.s, 5 * TL_SEC);
    sim_expect(tl_checks_counters_of(w.b.checks)->birthday_sent <= 501); /* 100 a second */
    sim_run_until(w.s, began + TL_BIRTHDAY_WITHIN + TL_MS);
    sim_expect(!end_valid(&w.a) && !end_valid(&w.b));
    sim_expect(w.a.sockets_done == 1 && !w.a.search_left);
    sim_expect(w.a.done == 2 && w.b.done == 2);
    sim_expect(tl_checks_counters_of(w.a.checks)->birthday_sent == 2 * TL_BIRTHDAY_SOCKETS);
    sim_expect(tl_checks_counters_of(w.b.checks)->birthday_sent == TL_BIRTHDAY_PROBES);
    uint64_t wrote = w.a.wrote + w.b.wrote;
    sim_run_for(w.s, TL_MIN);
    sim_expect(w.a.wrote + w.b.wrote == wrote);
    checks_world_clear(&w);
}

/* The search may be called off: something else opened. */
static void another_way_that_opens_ends_the_search(uint64_t seed)
{
    checks_world w;
    begin(&w, seed, &symmetric, &plain);
    sim_run_for(w.s, 100 * TL_MS);
    if (both_valid(&w)) { /* one of two thousand searches is through by now */
        checks_world_clear(&w);
        return;
    }
    tl_addr host = end_host(&w.a), mapped = sim_nat_map(sim_site_nat(w.a.site), &host);
    checks_tell_one(&w, &w.b, TL_CANDIDATE_MAPPED, &mapped);
    sim_expect(sim_run_while(w.s, both_valid, &w, 5 * TL_SEC));
    sim_expect(w.a.sockets_done == 1 && w.a.n_search == 0);
    uint64_t sent = tl_checks_counters_of(w.b.checks)->birthday_sent;
    sim_run_for(w.s, 20 * TL_SEC);
    sim_expect(tl_checks_counters_of(w.b.checks)->birthday_sent == sent);
    sim_expect(w.a.done == 1 && w.b.done == 1);
    checks_world_clear(&w);
}

int main(void)
{
    sim_each_seed("a birthday search", 1, 300, search);
    if (tried >= 50) /* fewer say nothing of a share */
        sim_expect(found * 10 >= tried * 9);
    found = tried = 0;
    sim_each_seed("a birthday search on a bad line", 1, 100, search_on_a_bad_line);
    if (tried >= 50) /* fewer say nothing of a share */
        sim_expect(found * 10 >= tried * 9);
    sim_each_seed("a search in vain", 1, 5, a_search_in_vain_ends_and_keeps_to_its_budget);
    sim_each_seed("another way opens", 1, 20, another_way_that_opens_ends_the_search);
    return sim_result();
}
