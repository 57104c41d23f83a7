/* Two ends find each other through NATs of every kind, and keep what they found. */
#include "checks_world.h"

#include <stdlib.h>

#define ONE_WAY                                                                                    \
    (20 * TL_MS) /* of each line; end to end twice that, and four times there and back */
#define RTT   (4 * ONE_WAY)
#define SEEDS 400

static const sim_faults plain = {.delay = ONE_WAY};

static const tl_nat_mapping mappings[] = {TL_MAPPING_ENDPOINT_INDEPENDENT,
                                          TL_MAPPING_ADDRESS_DEPENDENT,
                                          TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT};
static const tl_nat_filtering filterings[] = {TL_FILTERING_ENDPOINT_INDEPENDENT,
                                              TL_FILTERING_ADDRESS_DEPENDENT,
                                              TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};
#define KINDS 9

static sim_nat_kind kind_of(unsigned k, bool preserve)
{
    return (sim_nat_kind){.mapping = mappings[k / 3],
                          .filtering = filterings[k % 3],
                          .preserve_ports = preserve,
                          .hairpin = true};
}

/* Can a peer know the address by which this NAT will let it in? */
static bool is_symmetric(const sim_nat_kind *k)
{
    return k->mapping != TL_MAPPING_ENDPOINT_INDEPENDENT;
}

/* What physics says. One whose port nobody knows needs another that lets in any port; two of them
 * need one that lets in anyone, even at the port that only the STUN server was asked from, and one
 * that settles on a port. */
static bool opens(const sim_nat_kind *a, const sim_nat_kind *b)
{
    bool strict_a = a->filtering == TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
    bool strict_b = b->filtering == TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
    if (is_symmetric(a) && is_symmetric(b))
        return (a->mapping == TL_MAPPING_ADDRESS_DEPENDENT ||
                b->mapping == TL_MAPPING_ADDRESS_DEPENDENT) &&
               !strict_a && !strict_b &&
               (a->filtering == TL_FILTERING_ENDPOINT_INDEPENDENT ||
                b->filtering == TL_FILTERING_ENDPOINT_INDEPENDENT);
    return !(is_symmetric(a) && strict_b) && !(is_symmetric(b) && strict_a);
}

static void expect_budgets(const end *e)
{
    size_t n;
    const tl_pair *pairs = tl_checks_pairs(e->checks, &n);
    unsigned unheard = 0;
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].answered || pairs[i].asked_by_peer)
            continue;
        sim_expect(pairs[i].sent <= TL_CHECKS_UNHEARD_MAX);
        unheard += pairs[i].sent;
    }
    sim_expect(unheard <= TL_CHECKS_ATTEMPT_MAX);
}

static void run_pair(uint64_t seed, unsigned ka, unsigned kb, bool preserve,
                     const sim_faults *faults, tl_time within)
{
    sim_nat_kind a = kind_of(ka, preserve), b = kind_of(kb, preserve);
    checks_world w;
    checks_world_init(&w, seed, &a, &b, faults);
    checks_tell(&w, &w.a, &w.b);
    checks_tell(&w, &w.b, &w.a);
    end_start(&w, &w.a);
    end_start(&w, &w.b);
    tl_time began = sim_now(w.s);
    if (opens(&a, &b)) {
        sim_expect(sim_run_while(w.s, both_valid, &w, within));
        tl_time left = began + 4 * TL_SEC > sim_now(w.s) ? began + 4 * TL_SEC - sim_now(w.s) : 0;
        sim_run_for(w.s, left);
        sim_expect(!w.a.done && !w.b.done);
    } else if (!preserve) {
        sim_run_for(w.s, 4 * TL_SEC);
        sim_expect(!end_valid(&w.a) && !end_valid(&w.b));
        sim_expect(w.a.done == 1 && w.b.done == 1);
    }
    expect_budgets(&w.a);
    expect_budgets(&w.b);
    checks_world_clear(&w);
}

/* One and a half round trips where both addresses are known; half a one more where one is only
 * learned from a check, and the other side's answer to the first went to the wrong port. */
static void every_pair_that_can_open_opens_in_two_round_trips(uint64_t seed)
{
    for (unsigned ka = 0; ka < KINDS; ka++)
        for (unsigned kb = 0; kb < KINDS; kb++)
            run_pair(seed, ka, kb, seed % 2, &plain,
                     (ka < 3 && kb < 3 ? 3 : 4) * RTT / 2 + 15 * TL_MS);
}

static void every_pair_that_can_open_opens_on_a_bad_line(uint64_t seed)
{
    /* 19% of round trips get nowhere */
    static const sim_faults bad = {.delay = 20 * TL_MS,
                                   .jitter = 30 * TL_MS,
                                   .loss = 0.1,
                                   .duplicate = 0.1,
                                   .alter = 0.01,
                                   .replay = 0.1};
    unsigned ka = (unsigned)(seed % KINDS), kb = (unsigned)(seed / KINDS % KINDS);
    run_pair(seed, ka, kb, false, &bad, 3 * TL_SEC);
}

int main(void)
{
    sim_each_seed("every pair that can open opens in two round trips", 1, 40,
                  every_pair_that_can_open_opens_in_two_round_trips);
    sim_each_seed("every pair that can open opens on a bad line", 1, 1500,
                  every_pair_that_can_open_opens_on_a_bad_line);
    return 0;
}
