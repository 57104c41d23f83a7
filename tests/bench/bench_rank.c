/* bench_rank - how long it takes to put 1000 providers into an order, and to find the best of them as
 * the router does for each question; and to read a conversation of 32 KiB for what is cached where. */
#include "ask/rank.h"
#include "ask/warmth.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define N      1000
#define ROUNDS 2000

static uint64_t seed = 1;

static uint64_t below(uint64_t n)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (seed >> 33) % n;
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void fill(tl_rank_facts *facts)
{
    for (size_t i = 0; i < N; i++)
        facts[i] = (tl_rank_facts){.member = below(2),
                                   .price = {true, (int64_t)below(200)},
                                   .slots = (uint32_t)below(9),
                                   .load = below(12),
                                   .unread = below(9000),
                                   .stranger = below(2),
                                   .speed = 1000 + below(100000),
                                   .connected = below(2),
                                   .rtt = below(100) * TL_MS,
                                   .tier = (int)below(4),
                                   .known = i};
}

static size_t best_of(tl_rank_facts *facts)
{
    tl_rank_field field = tl_rank_begin(false, (tl_maybe){0});
    size_t best = 0;
    for (size_t i = 0; i < N; i++)
        tl_rank_see(&field, &facts[i]);
    tl_rank_key best_key = tl_rank_key_of(&field, &facts[0]);
    for (size_t i = 1; i < N; i++) {
        tl_rank_key key = tl_rank_key_of(&field, &facts[i]);
        if (!tl_rank_before(&key, &best_key))
            continue;
        best = i;
        best_key = key;
    }
    return best;
}

static double conversation_us(void)
{
    static char body[40 << 10];
    tl_warmth w = {0};
    tl_warm_place place;
    size_t n = (size_t)snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":[");
    for (int i = 0; i < 64; i++)
        n += (size_t)snprintf(body + n, sizeof body - n,
                              "%s{\"role\":\"user\",\"content\":\"%0480d\"}", i ? "," : "", i);
    n += (size_t)snprintf(body + n, sizeof body - n, "]}");
    double from = now_us();
    for (int i = 0; i < ROUNDS; i++)
        (void)tl_warmth_read(&w, "m", tl_slice_of(body, n), TL_SEC, &place);
    return (now_us() - from) / ROUNDS;
}

int main(void)
{
    static tl_rank_facts facts[N];
    static size_t order[N];
    size_t sum = 0;
    fill(facts);
    double from = now_us();
    for (int i = 0; i < ROUNDS; i++)
        sum += best_of(facts);
    double best = (now_us() - from) / ROUNDS;
    from = now_us();
    for (int i = 0; i < ROUNDS; i++) {
        tl_rank_field field = tl_rank_begin(false, (tl_maybe){0});
        for (size_t k = 0; k < N; k++)
            tl_rank_see(&field, &facts[k]);
        if (tl_rank_sort(&field, facts, N, order))
            return 1;
        sum -= order[0];
    }
    double sorted = (now_us() - from) / ROUNDS;
    printf(
        "best of %d providers: %.1f us\nall %d in order: %.1f us\na conversation of 32 KiB read: "
        "%.1f us\n",
        N, best, N, sorted, conversation_us());
    return sum != 0; /* the two agree on the best */
}
