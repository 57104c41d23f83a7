/* sim.h - a network under a virtual clock: hosts, and links between them that delay, lose,
 * duplicate, reorder, alter and replay datagrams. Everything follows from one seed; nothing sleeps
 * or reads a clock. Knows nothing of what the hosts run.
 *
 * Memory is the simulator's; a test frees all of it with sim_free. Running out of memory aborts. */
#ifndef TEALE_SIM_H
#define TEALE_SIM_H

#include "base/rand.h"
#include "base/slice.h"
#include "base/time.h"

typedef struct sim sim;
typedef struct sim_host sim_host;
typedef struct sim_link sim_link;

sim *sim_new(uint64_t seed);
void sim_free(sim *s);
tl_time sim_now(const sim *s);
/* Wall clock: some day in 2025, moving with sim_now. */
tl_unix sim_wall(const sim *s);
/* Every random choice of a test comes from here. */
tl_rand *sim_rand(sim *s);

/* --- hosts: whatever can take datagrams and wants to be called at times --- */
typedef struct {
    /* `path` is the host's own name for the link it came by. The bytes may be changed. */
    void (*on_datagram)(void *user, uint32_t path, uint8_t *data, size_t n);
    void (*on_timer)(void *user);
    tl_time (*expiry)(void *user);
    /* After each of the above and at the start: send what is to be sent. */
    void (*flush)(void *user);
} sim_host_ops;
/* Copies `ops`; borrows `user`. */
sim_host *sim_host_new(sim *s, const sim_host_ops *ops, void *user);
/* Sends by the link that this host calls `path`; without such a link it vanishes. */
void sim_send(sim_host *h, uint32_t path, const uint8_t *data, size_t n);
/* To be flushed at the next step: a test has acted on the host from outside. */
void sim_wake(sim_host *h);
/* How often the host's timer fired. */
uint64_t sim_timer_count(const sim_host *h);

/* --- links --- */
typedef struct {
    tl_time delay;  /* one way */
    tl_time jitter; /* added uniformly; more than the gap between datagrams reorders them */
    double loss;    /* probabilities, per datagram */
    double duplicate;
    double alter;           /* one to four bits flipped */
    double replay;          /* an old datagram of this direction is sent again beside it */
    uint64_t bytes_per_sec; /* 0: as fast as it comes */
    size_t queue_bytes;     /* waiting for the rate; what does not fit is lost. 0: any amount */
    size_t mtu;             /* longer datagrams vanish. 0: any length */
} sim_faults;

/* `path_a` is how `a` calls the link, `path_b` how `b` does. */
sim_link *sim_link_new(sim *s, sim_host *a, uint32_t path_a, sim_host *b, uint32_t path_b,
                       const sim_faults *faults);
void sim_link_set_faults(sim_link *l, const sim_faults *faults);
/* Nothing passes while down. */
void sim_link_set_down(sim_link *l, bool down);
/* A hostile middle: sees each datagram before the faults do and may change, lengthen (up to `cap`),
 * drop (*n = 0) it, or inject others with sim_inject. `from_a` tells the direction. */
typedef void (*sim_tap)(void *user, sim_link *l, bool from_a, uint8_t *data, size_t *n, size_t cap);
void sim_link_set_tap(sim_link *l, sim_tap tap, void *user);
/* A datagram towards b (to_b) or a, as if the other had sent it, after `delay`. */
void sim_inject(sim_link *l, bool to_b, const uint8_t *data, size_t n, tl_time delay);
/* Datagrams and bytes that came out at the ends. */
uint64_t sim_link_delivered(const sim_link *l);

/* --- running --- */
/* One event. False: nothing will ever happen again. */
bool sim_step(sim *s);
void sim_run_until(sim *s, tl_time when);
void sim_run_for(sim *s, tl_time span);
/* Until `done(user)` or `limit` from now; true when done. */
bool sim_run_while(sim *s, bool (*done)(void *user), void *user, tl_time limit);

/* --- seeds ---
 *
 * A test program is a list of scenes. Each has a name and runs with some seeds; the environment
 * may ask for others:
 *     SIM_SEED=n   this seed alone, of every scene
 *     SIM_COUNT=n  so many, from SIM_SEED or else from the scene's own first
 *     SIM_PART=n   an n-th of a scene's own, at least one
 *     SIM_APART=1  each in a process of its own; all run, and each that failed is printed with how
 *                  to run it again
 *     SIM_SCENE=s  the scene of this name alone
 * Without SIM_APART the program ends at the first that fails. */

/* A scene for any seed: `run(seed)` for `count` seeds from `first`, unless the environment asks for
 * others. It uses sim_expect. */
void sim_each_seed(const char *name, uint64_t first, uint64_t count, void (*run)(uint64_t seed));
/* Scenes that are cmocka tests, once each: their worlds begin with sim_seed. */
struct CMUnitTest;
void sim_each_test_of(const struct CMUnitTest *tests, size_t n);
#define sim_each_test(tests) sim_each_test_of(tests, sizeof(tests) / sizeof *(tests))
/* The seed of a cmocka test's `k`-th world: k itself, or another for each seed that the environment
 * asks for. */
uint64_t sim_seed(uint64_t k);
/* What main returns: 0 when no scene failed. */
int sim_result(void);
#define sim_expect(cond) sim_expect_at((cond), #cond, __FILE__, __LINE__)
void sim_expect_at(bool ok, const char *what, const char *file, int line);

#endif
