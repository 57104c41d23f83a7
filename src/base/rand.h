/* rand.h - the randomness a machine is handed: the kernel's in a program, a seeded generator in the
 * simulator. Keys and nonces must come from a tl_rand made by tl_rand_system. */
#ifndef TL_BASE_RAND_H
#define TL_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t state[4]; /* xoshiro256**; unused by the system source */
    int is_system;
} tl_rand;

tl_rand tl_rand_system(void);
tl_rand tl_rand_seeded(uint64_t seed);

void tl_rand_bytes(tl_rand *r, void *ret, size_t n);
uint64_t tl_rand_u64(tl_rand *r);
/* Uniform in [0, bound); bound must not be 0. */
uint64_t tl_rand_below(tl_rand *r, uint64_t bound);

#endif
