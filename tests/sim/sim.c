#include "sim.h"

#include "base/table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <utlist.h>

#define DATAGRAM_MAX  8192 /* also a message of a relay to a node, such as its list of nodes */
#define RECORD_MAX    64   /* datagrams a direction keeps for replay, the first 8 for good */
#define RECORD_KEEP   8
#define SPINS_MAX     64 /* a host's machines may each be due at once, one after the other */
#define WALL_AT_START INT64_C(1750000000)
#define APART_SECONDS_MAX                                                                          \
    900 /* of real time, for one seed; a sanitizer on a busy machine has enough */
#define TIME_AT_START (1000 * TL_SEC) /* as a monotonic clock is some time after boot */

typedef struct flight {
    tl_time at;
    uint64_t seq; /* order among equals */
    sim_host *to;
    uint32_t path;
    sim_link *link;
    size_t n;
    uint8_t data[];
} flight;

struct sim_host {
    sim *sim;
    sim_host *next;
    sim_host_ops ops;
    void *user;
    bool woken;
    uint64_t timers;
    tl_time fired_at; /* the last of them */
    unsigned spins;   /* so many in a row at that time */
};

typedef struct {
    sim_host *to;
    uint32_t path;      /* at `to` */
    uint32_t from_path; /* at the sender */
    tl_time free_at;    /* when the rate lets the next one begin */
    flight *record[RECORD_MAX];
    uint64_t record_n;
} direction;

struct sim_link {
    sim *sim;
    sim_link *next;
    sim_faults faults;
    bool down;
    sim_tap tap;
    void *tap_user;
    direction dir[2]; /* to b, to a */
    uint64_t delivered;
};

/* A seed replays only if its tables do: before any node could choose a random key. */
__attribute__((constructor)) static void fix_tables(void)
{
    tl_table_start((const uint8_t[TL_TABLE_KEY_SIZE]){0});
}

struct sim {
    tl_rand rand;
    tl_time now;
    uint64_t seq;
    sim_host *hosts;
    sim_link *links;
    flight **heap;
    size_t heap_n, heap_cap;
};

static uint64_t current_seed;
static const char *current_name = "test";

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

sim *sim_new(uint64_t seed)
{
    sim *s = must(calloc(1, sizeof *s));
    s->rand = tl_rand_seeded(seed);
    s->now = TIME_AT_START;
    return s;
}

void sim_free(sim *s)
{
    while (s->hosts) {
        sim_host *next = s->hosts->next;
        free(s->hosts);
        s->hosts = next;
    }
    while (s->links) {
        sim_link *l = s->links;
        s->links = l->next;
        for (int d = 0; d < 2; d++)
            for (int i = 0; i < RECORD_MAX; i++)
                free(l->dir[d].record[i]);
        free(l);
    }
    for (size_t i = 0; i < s->heap_n; i++)
        free(s->heap[i]);
    free(s->heap);
    free(s);
}

tl_time sim_now(const sim *s)
{
    return s->now;
}

tl_unix sim_wall(const sim *s)
{
    return WALL_AT_START + (tl_unix)((s->now - TIME_AT_START) / TL_SEC);
}

tl_rand *sim_rand(sim *s)
{
    return &s->rand;
}

/* --- heap of datagrams in flight --- */

static bool before(const flight *a, const flight *b)
{
    return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

static void heap_push(sim *s, flight *f)
{
    if (s->heap_n == s->heap_cap) {
        s->heap_cap = s->heap_cap ? 2 * s->heap_cap : 64;
        s->heap = must(realloc(s->heap, s->heap_cap * sizeof *s->heap));
    }
    size_t i = s->heap_n++;
    while (i && before(f, s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = f;
}

static flight *heap_pop(sim *s)
{
    flight *top = s->heap[0], *last = s->heap[--s->heap_n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap_n)
            break;
        if (child + 1 < s->heap_n && before(s->heap[child + 1], s->heap[child]))
            child++;
        if (!before(s->heap[child], last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    if (s->heap_n)
        s->heap[i] = last;
    return top;
}

/* --- hosts --- */

sim_host *sim_host_new(sim *s, const sim_host_ops *ops, void *user)
{
    sim_host *h = must(calloc(1, sizeof *h));
    h->sim = s;
    h->ops = *ops;
    h->user = user;
    h->woken = true;
    LL_APPEND(s->hosts, h);
    return h;
}

void sim_wake(sim_host *h)
{
    h->woken = true;
}

uint64_t sim_timer_count(const sim_host *h)
{
    return h->timers;
}

/* --- links --- */

sim_link *sim_link_new(sim *s, sim_host *a, uint32_t path_a, sim_host *b, uint32_t path_b,
                       const sim_faults *faults)
{
    sim_link *l = must(calloc(1, sizeof *l));
    l->sim = s;
    l->faults = *faults;
    l->dir[0] = (direction){.to = b, .path = path_b, .from_path = path_a};
    l->dir[1] = (direction){.to = a, .path = path_a, .from_path = path_b};
    LL_APPEND(s->links, l);
    return l;
}

void sim_link_set_faults(sim_link *l, const sim_faults *faults)
{
    l->faults = *faults;
}

void sim_link_set_down(sim_link *l, bool down)
{
    l->down = down;
}

void sim_link_set_tap(sim_link *l, sim_tap tap, void *user)
{
    l->tap = tap;
    l->tap_user = user;
}

uint64_t sim_link_delivered(const sim_link *l)
{
    return l->delivered;
}

static bool chance(sim *s, double p)
{
    return p > 0 && (double)(tl_rand_u64(&s->rand) >> 11) * 0x1p-53 < p;
}

static flight *flight_new(sim_link *l, direction *d, const uint8_t *data, size_t n)
{
    flight *f = must(malloc(sizeof *f + n));
    *f = (flight){.to = d->to, .path = d->path, .link = l, .n = n, .seq = l->sim->seq++};
    memcpy(f->data, data, n);
    return f;
}

static void launch(sim_link *l, direction *d, const uint8_t *data, size_t n, tl_time depart)
{
    sim *s = l->sim;
    flight *f = flight_new(l, d, data, n);
    f->at = depart + l->faults.delay;
    if (l->faults.jitter)
        f->at += tl_rand_below(&s->rand, l->faults.jitter);
    if (chance(s, l->faults.alter) && n) {
        uint64_t flips = 1 + tl_rand_below(&s->rand, 4);
        while (flips--) {
            uint64_t bit = tl_rand_below(&s->rand, 8 * n);
            f->data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
    heap_push(s, f);
}

static void record(sim_link *l, direction *d, const uint8_t *data, size_t n)
{
    uint64_t i = d->record_n++;
    if (i >= RECORD_MAX)
        i = RECORD_KEEP + i % (RECORD_MAX - RECORD_KEEP);
    free(d->record[i]);
    d->record[i] = flight_new(l, d, data, n);
}

static void replay_one(sim_link *l, direction *d, tl_time depart)
{
    uint64_t have = d->record_n < RECORD_MAX ? d->record_n : RECORD_MAX;
    const flight *old = d->record[tl_rand_below(&l->sim->rand, have)];
    launch(l, d, old->data, old->n, depart);
}

static void pass(sim_link *l, direction *d, const uint8_t *data, size_t n)
{
    sim *s = l->sim;
    const sim_faults *f = &l->faults;
    if (l->down || (f->mtu && n > f->mtu))
        return;
    tl_time depart = s->now;
    if (f->bytes_per_sec) {
        tl_time begin = d->free_at > s->now ? d->free_at : s->now;
        uint64_t waiting = (begin - s->now) * f->bytes_per_sec / TL_SEC;
        if (f->queue_bytes && waiting + n > f->queue_bytes)
            return;
        depart = d->free_at = begin + n * TL_SEC / f->bytes_per_sec;
    }
    if (f->replay > 0)
        record(l, d, data, n);
    if (!chance(s, f->loss))
        launch(l, d, data, n, depart);
    if (chance(s, f->duplicate))
        launch(l, d, data, n, depart);
    if (chance(s, f->replay))
        replay_one(l, d, depart);
}

void sim_send(sim_host *h, uint32_t path, const uint8_t *data, size_t n)
{
    sim_link *l;
    LL_FOREACH (h->sim->links, l) {
        for (int i = 0; i < 2; i++) {
            direction *d = &l->dir[i];
            if (l->dir[1 - i].to != h || d->from_path != path)
                continue;
            uint8_t copy[DATAGRAM_MAX];
            if (n > sizeof copy)
                return;
            memcpy(copy, data, n);
            if (l->tap) {
                l->tap(l->tap_user, l, i == 0, copy, &n, sizeof copy);
                if (n == 0)
                    return;
            }
            pass(l, d, copy, n);
            return;
        }
    }
}

void sim_inject(sim_link *l, bool to_b, const uint8_t *data, size_t n, tl_time delay)
{
    direction *d = &l->dir[to_b ? 0 : 1];
    flight *f = flight_new(l, d, data, n);
    f->at = l->sim->now + delay;
    heap_push(l->sim, f);
}

/* --- running --- */

static void flush_woken(sim *s)
{
    for (bool again = true; again;) {
        again = false;
        sim_host *h;
        LL_FOREACH (s->hosts, h) {
            if (!h->woken)
                continue;
            h->woken = false;
            h->ops.flush(h->user);
            again = true;
        }
    }
}

static tl_time next_timer(sim *s, sim_host **ret_host)
{
    tl_time first = TL_NEVER;
    sim_host *h;
    LL_FOREACH (s->hosts, h) {
        tl_time at = h->ops.expiry(h->user);
        if (at < first) {
            first = at;
            *ret_host = h;
        }
    }
    return first;
}

/* As sim_step, but nothing after `limit`; the clock is then at the limit. */
static bool step_before(sim *s, tl_time limit)
{
    flush_woken(s);
    sim_host *timer_host = NULL;
    tl_time timer = next_timer(s, &timer_host);
    tl_time arrival = s->heap_n ? s->heap[0]->at : TL_NEVER;
    if (tl_time_min(timer, arrival) > limit || tl_time_min(timer, arrival) == TL_NEVER) {
        if (limit != TL_NEVER && limit > s->now)
            s->now = limit;
        return false;
    }
    if (arrival <= timer) {
        flight *f = heap_pop(s);
        if (f->at > s->now)
            s->now = f->at;
        f->link->delivered++;
        f->to->ops.on_datagram(f->to->user, f->path, f->data, f->n);
        f->to->woken = true;
        free(f);
    } else {
        if (timer > s->now)
            s->now = timer;
        /* A timer that is due again at the very time it was due keeps a real loop from sleeping. */
        timer_host->spins = timer_host->fired_at == s->now ? timer_host->spins + 1 : 0;
        timer_host->fired_at = s->now;
        sim_expect(timer_host->spins < SPINS_MAX);
        timer_host->timers++;
        timer_host->ops.on_timer(timer_host->user);
        timer_host->woken = true;
    }
    return true;
}

bool sim_step(sim *s)
{
    return step_before(s, TL_NEVER);
}

void sim_run_until(sim *s, tl_time when)
{
    while (step_before(s, when))
        ;
    flush_woken(s);
}

void sim_run_for(sim *s, tl_time span)
{
    sim_run_until(s, s->now + span);
}

bool sim_run_while(sim *s, bool (*done)(void *user), void *user, tl_time limit)
{
    tl_time end = s->now + limit;
    for (;;) {
        flush_woken(s);
        if (done(user))
            return true;
        if (!step_before(s, end))
            return false;
    }
}

/* --- seeds --- */

/* What the environment asks for. */
static struct {
    bool read, given, apart;
    uint64_t seed, count, part; /* 0: not given */
    const char *scene;
} wish;
static unsigned failures;

static void read_wish(void)
{
    if (wish.read)
        return;
    const char *seed = getenv("SIM_SEED"), *count = getenv("SIM_COUNT"), *part = getenv("SIM_PART");
    wish.read = true;
    wish.given = seed != NULL;
    wish.seed = seed ? strtoull(seed, NULL, 0) : 0;
    wish.count = count ? strtoull(count, NULL, 0) : 0;
    wish.part = part ? strtoull(part, NULL, 0) : 0;
    wish.apart = getenv("SIM_APART") != NULL;
    wish.scene = getenv("SIM_SCENE");
}

uint64_t sim_seed(uint64_t k)
{
    return k + (current_seed << 16);
}

/* One seed in a process of its own. What it printed is shown when it failed. */
static void run_apart(void (*run)(uint64_t seed))
{
    FILE *out = must(tmpfile());
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        dup2(fileno(out), STDOUT_FILENO);
        dup2(fileno(out), STDERR_FILENO);
        alarm(APART_SECONDS_MAX);
        failures = 0;
        run(current_seed);
        exit(failures != 0);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status) {
        int c;
        failures++;
        rewind(out);
        while ((c = getc(out)) != EOF)
            putc(c, stderr);
        if (WIFSIGNALED(status))
            fprintf(stderr, "FAILED: %s\n  %s\n", current_name, strsignal(WTERMSIG(status)));
        fprintf(stderr, "  again: SIM_SEED=%llu SIM_SCENE=\"%s\"\n",
                (unsigned long long)current_seed, current_name);
    }
    fclose(out);
}

void sim_each_seed(const char *name, uint64_t first, uint64_t count, void (*run)(uint64_t seed))
{
    read_wish();
    if (wish.scene && strcmp(name, wish.scene) != 0)
        return;
    unsigned before = failures;
    current_name = name;
    if (wish.given) {
        first = wish.seed;
        count = 1;
    } else if (wish.part)
        count = (count + wish.part - 1) / wish.part;
    if (wish.count)
        count = wish.count;
    for (uint64_t i = 0; i < count; i++) {
        current_seed = first + i;
        if (wish.apart)
            run_apart(run);
        else
            run(current_seed);
    }
    if (failures == before)
        printf("ok: %s, seeds %llu to %llu\n", name, (unsigned long long)first,
               (unsigned long long)(first + count - 1));
    if (wish.apart)
        printf("ran: %llu\n", (unsigned long long)count);
    fflush(stdout);
    current_seed = 0;
}

static const struct CMUnitTest *one_test;

static void run_one_test(uint64_t seed)
{
    (void)seed;
    failures += (unsigned)_cmocka_run_group_tests(one_test->name, one_test, 1, NULL, NULL);
}

void sim_each_test_of(const struct CMUnitTest *tests, size_t n)
{
    read_wish();
    if (!wish.given && !wish.scene) { /* each once, as it was written */
        failures += (unsigned)_cmocka_run_group_tests("tests", tests, n, NULL, NULL);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        one_test = &tests[i];
        sim_each_seed(tests[i].name, 0, 1, run_one_test);
    }
}

int sim_result(void)
{
    return failures != 0;
}

void sim_expect_at(bool ok, const char *what, const char *file, int line)
{
    if (ok)
        return;
    fprintf(stderr, "FAILED: %s\n  expected: %s\n  at %s:%d\n", current_name, what, file, line);
    if (!wish.apart)
        fprintf(stderr, "  again: SIM_SEED=%llu SIM_SCENE=\"%s\"\n",
                (unsigned long long)current_seed, current_name);
    exit(1);
}
